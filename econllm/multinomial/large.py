"""Standard errors of single coefficients and effects of fits whose covariance is too large to be formed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.errors import DataError, OptionError, check_option
from econllm.inference import FunctionEstimates, lincom
from econllm.logit.covariance import describe, to_solver
from econllm.logit.curvature import Curvature
from econllm.logit.directional import directional_covariance
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import log_proba
from econllm.multinomial.columns import Columns
from econllm.multinomial.fitting import make_setup
from econllm.multinomial.setup import Setup
from econllm.panel import CareerPanel
from econllm.sample import Data, Sample, cluster_labels, fit_weights, last_occupation, read_sample

if TYPE_CHECKING:
    from econllm.multinomial.results import MNLogitResults

# Relative difference of mean log-likelihoods that single precision can make.
_SAME = 1e-5


@dataclass(frozen=True, eq=False)
class DirectionalCovariance:
    """Covariance of any combinations of coefficients, by conjugate gradients; the Hessian is never formed.

    It holds the estimation sample in memory and cannot be saved.

    Attributes
    ----------
    params : pandas.Series
        The coefficients.
    titles : dict
        Titles of the outcomes.
    description : str
        Kind of covariance, in words.
    setup : Setup
        The estimation sample.
    point : Point
        The estimate, in the coordinates of the solver.
    base : int or None
        Base outcome.
    options : dict
        Kind, clusters and correction.
    curvature : Curvature
        Products with the Hessian, prepared once.
    """

    params: pd.Series
    titles: dict[Any, str]
    description: str
    setup: Setup
    point: Point
    base: int | None
    options: dict[str, Any]
    curvature: Curvature

    @classmethod
    def make(
        cls,
        results: MNLogitResults,
        data: Data,
        cov_type: str,
        cluster: str | None,
        weights: pd.Series | None,
    ) -> DirectionalCovariance:
        """Read the estimation sample again; see :meth:`econllm.MNLogitResults.directional`."""
        model, e = results.model, results._estimates
        check_option("cov_type", cov_type, ["nonrobust", "robust", "clustered"])
        if model.penalty in ("l1", "elasticnet"):
            raise OptionError("coefficients that a penalty can set to zero have no valid standard errors.")
        columns = e.spec.build(data)
        sample = results.sample(data) if e.spec.stage == "move" else read_sample(data, e.spec.outcome, e.spec.choices)
        given = fit_weights(data, weights, model.weighted, normalise=model.weight_type == "probability")
        if e.spec.stage == "destination" and isinstance(data, CareerPanel):
            columns = columns.take(np.flatnonzero(_moves(data, sample, e.spec.choices)[columns.kept]))
        labels: tuple[np.ndarray, ...] = ()
        if cov_type == "clustered":
            if cluster is None and not sample.of_panel:
                raise OptionError("cov_type='clustered' on a data frame needs cluster='column'.")
            groups = cluster_labels(data, sample, cluster or "person")[columns.kept]
            labels = (np.unique(groups, return_inverse=True)[1],)
        elif cluster is not None:
            raise OptionError(f"cluster has no effect with cov_type={cov_type!r}.")
        given = None if given is None else given[columns.kept]
        setup = _again(results, columns, sample.take(columns.kept), given)
        scale, shift = setup.scaling.scale, setup.scaling.shift
        slopes = e.point.slopes * scale[:, None]
        point = Point(slopes, e.point.intercepts + shift @ e.point.slopes, e.point.shared * setup.shared_scale)
        frequency = given if model.weight_type == "frequency" else None
        options = {"kind": cov_type, "clusters": labels, "ssc": model.ssc, "frequency": frequency}
        counts = [int(group.max()) + 1 for group in labels]
        words = describe(
            cov_type,  # type: ignore[arg-type]
            names=[cluster or "person"],
            counts=counts,
            ssc=model.ssc,
            penalised=model.penalty is not None,
        )
        titles = dict(zip(results.choices.codes, results.choices.titles, strict=True))
        _check_fit(results, setup.problem, point)
        curvature = Curvature(setup.problem, point)
        return cls(results.params, titles, words, setup, point, e.base, options, curvature)

    def of(self, gradient: np.ndarray) -> np.ndarray:
        """Covariance of functions of the coefficients.

        Parameters
        ----------
        gradient : numpy.ndarray, shape (m, coefficients)
            Their derivatives with respect to the reported coefficients.

        Returns
        -------
        numpy.ndarray, shape (m, m)
        """
        setup = self.setup
        directions = to_solver(gradient.T, setup.scaling, setup.problem, self.base, setup.shared_scale)
        return directional_covariance(setup.problem, self.point, directions, curvature=self.curvature, **self.options)

    def lincom(
        self,
        expression: str | Sequence[str] | Mapping[str, str],
        *,
        level: float = 0.95,
        exp: bool = False,
    ) -> FunctionEstimates:
        """Estimate linear combinations of coefficients; see :func:`econllm.inference.lincom`.

        Parameters
        ----------
        expression : str, sequence of str, or mapping of str to str
            Such as ``"[3]educ"`` or ``"[3]educ - [2]educ"``.
        level : float
            Coverage of the intervals.
        exp : bool
            Exponentiate.

        Returns
        -------
        FunctionEstimates
        """
        return lincom(self.params, self.of, expression, level=level, titles=self.titles, exp=exp)


def _moves(panel: CareerPanel, sample: Sample, choices: ChoiceSet) -> np.ndarray:
    """Rows that belong to the destination stage."""
    out: np.ndarray = last_occupation(panel, choices) != sample.outcome + 1
    return out


def _check_fit(results: MNLogitResults, problem: Problem, point: Point) -> None:
    """Raise unless rows and weights have the likelihood that they had at estimation."""
    weights = np.ones(problem.rows) if problem.weights is None else problem.weights
    total = 0.0
    for rows, values in log_proba(problem, point):
        total += float(weights[rows] @ values[np.arange(len(values)), problem.outcome[rows]])
    before = results._estimates.log_likelihood / results.info.rows
    if abs(total / problem.rows - before) > _SAME * abs(before):
        raise DataError(
            "directional() needs the estimation sample with its weights: the mean log-likelihood of these data is "
            f"{total / problem.rows:.6g}, at estimation it was {before:.6g}."
        )


def _again(results: MNLogitResults, columns: Columns, sample: Sample, weights: np.ndarray | None) -> Setup:
    """The estimation sample in the coordinates of the solver, as it was at estimation."""
    e, model = results._estimates, results.model
    setup = make_setup(model, e.spec, columns, sample, weights, len(results.choices))
    same = setup.stacked.columns == e.columns and np.array_equal(setup.seen, e.seen) and setup.problem.rows == e.rows
    if not same or not np.array_equal(setup.shared, e.kept_shared):
        raise DataError(
            f"directional() needs the estimation sample: these data have {setup.problem.rows:,} rows and "
            f"{len(setup.seen)} outcomes, at estimation there were {e.rows:,} and {len(e.seen)}."
        )
    return setup.with_penalty(e.tuning.alpha, 0.0)
