"""Independence of irrelevant alternatives: whether coefficients change when outcomes are left out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, did_you_mean, listing
from econllm.inference import HausmanTest, hausman
from econllm.logit import newton
from econllm.logit.solver import log_proba
from econllm.multinomial.fitting import Rows, estimate, read
from econllm.panel import CareerPanel
from econllm.sample import Data

if TYPE_CHECKING:
    from econllm.multinomial.model import MNLogit
    from econllm.multinomial.results import MNLogitResults


def iia_test(
    results: MNLogitResults, data: Data, omit: Sequence[Hashable], weights: pd.Series | None = None
) -> HausmanTest:
    """Test of Hausman and McFadden; see :meth:`MNLogitResults.iia_test`."""
    e, model = results._estimates, results.model
    if model.penalty is not None or (results.info.weighted and model.weight_type == "probability"):
        raise DataError("iia_test() compares maximum-likelihood estimates: it takes no penalty and no such weights.")
    out = _positions(results, omit)
    base = None if e.base is None else results.choices.codes[e.seen[e.base]]
    if e.base is not None and e.seen[e.base] in out:
        raise OptionError(f"omit holds the base outcome {base!r}; fit with another base.")
    if len(np.setdiff1d(e.seen, out)) < 2:
        raise OptionError("omit leaves fewer than two outcomes; leave out fewer.")
    model = model.replace(cov_type=None, cluster=None, strata=None, base=base)
    rows = _read(results, model, data, weights)
    inside = np.flatnonzero(~np.isin(rows.sample.outcome, out))
    whole = estimate(model, rows, data, judge=None, seed=0, checkpoint=None)
    rest = estimate(model, rows.take(inside), data, judge=None, seed=0, checkpoint=None)
    if len(np.unique(rows.sample.clusters)) == len(rows.sample):
        covs = expected_covariances(whole, rest, rows)
        return hausman(whole.params, covs[0], rest.params, covs[1])
    # Records of a person depend on each other: the variance of the change is summed up person by person.
    persons = np.unique(rows.sample.clusters, return_inverse=True)[1]
    full = _sums(influence(whole, rows), persons)
    part = _sums(influence(rest, rows.take(inside)), persons[inside], len(full))
    return hausman(whole.params, full.T @ full, rest.params, part.T @ part, cross=part.T @ full)


def _read(results: MNLogitResults, model: MNLogit, data: Data, weights: pd.Series | None) -> Rows:
    """The estimation sample, of one stage where the fit is one."""
    from econllm.multinomial.two_stage import rows_of_stage

    rows, stage = read(model, data, weights), results._estimates.spec.stage
    if stage is None:
        return rows
    assert isinstance(data, CareerPanel)
    return rows_of_stage(rows, data, stage)


def expected_covariances(full: MNLogitResults, part: MNLogitResults, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Inverse expected information of both fits under independence, at the estimate of the full one.

    At one and the same estimate the difference of the two is a variance; at two estimates it often is not.

    Parameters
    ----------
    full, part : MNLogitResults
        Fits to all rows, and to those with the outcomes of `part`.
    rows : Rows
        Estimation sample of `full`.

    Returns
    -------
    pair of numpy.ndarray
        Covariances of the reported coefficients of `full` and of `part`.
    """
    e, kept = full._estimates, np.searchsorted(full._estimates.seen, part._estimates.seen)
    problem = full._as_problem(rows.columns)
    frequency = np.ones(problem.rows) if rows.weights is None else rows.weights
    share = np.concatenate([np.exp(z[:, kept]).sum(axis=1) for _, z in log_proba(problem, e.point)])
    smaller = replace(
        problem,
        outcomes=len(kept),
        shared=tuple(lookup.outcomes(kept) for lookup in problem.shared),
        offset=None if problem.offset is None else problem.offset.outcomes(kept),
        weights=frequency * share,
    )
    point = replace(e.point, slopes=e.point.slopes[:, kept], intercepts=e.point.intercepts[kept])
    out = []
    for fit, at, where in ((full, replace(problem, weights=frequency), e.point), (part, smaller, point)):
        own = fit._estimates
        information = own.reported_gradient(own.reported_gradient(newton.hessian(at, where)).T)
        out.append(np.linalg.inv(information))
    return out[0], out[1]


def influence(results: MNLogitResults, rows: Rows) -> np.ndarray:
    """What every row of the estimation sample adds to the reported coefficients.

    Parameters
    ----------
    results : MNLogitResults
        The fit, without a penalty.
    rows : Rows
        Its estimation sample; frequencies as weights or none.

    Returns
    -------
    numpy.ndarray, shape (n, coefficients)
        The inverse information times the row's score, times the root of its frequency: the sum of outer products is
        the robust covariance.
    """
    e = results._estimates
    problem = results._as_problem(rows.columns, np.searchsorted(e.seen, rows.sample.outcome))
    frequency = np.ones(problem.rows) if rows.weights is None else rows.weights
    scores = e.reported_gradient(np.vstack([c.gradients() for c in newton.chunks_at(problem, e.point)]))
    information = newton.hessian(replace(problem, weights=frequency), e.point)
    information = e.reported_gradient(e.reported_gradient(information).T)
    out: np.ndarray = -np.sqrt(frequency)[:, None] * np.linalg.solve(information, scores.T).T
    return out


def _sums(values: np.ndarray, groups: np.ndarray, count: int | None = None) -> np.ndarray:
    """Sums by group."""
    out = np.zeros((count or int(groups.max()) + 1, values.shape[1]))
    np.add.at(out, groups, values)
    return out


def _positions(results: MNLogitResults, codes: Sequence[Hashable]) -> np.ndarray:
    """Positions of outcomes in the choice set."""
    if isinstance(codes, str) or not isinstance(codes, Sequence) or not codes:
        raise OptionError(f"omit={codes!r} must be a list of outcomes.")
    titles: dict[Hashable, Hashable] = dict(zip(results.choices.titles, results.choices.codes, strict=True))
    codes = [titles.get(code, code) if code not in results.choices else code for code in codes]
    for code in codes:
        if code not in results.choices:
            raise OptionError(
                f"omit names {code!r}, which is no outcome.{did_you_mean(code, results.choices.codes)} Outcomes: "
                f"{listing(results.choices.codes, 10)}."
            )
    return np.array([results.choices.codes.index(code) for code in codes])
