"""Numbers for every row: confidence intervals of its probabilities, scores of its likelihood, and residuals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from econllm.errors import DataError, check_option
from econllm.logit import derivatives
from econllm.logit.problem import Point, Problem
from econllm.metrics import check_level
from econllm.multinomial.effects_options import complete_rows, row_scale
from econllm.multinomial.effects_report import cure
from econllm.sample import Data

if TYPE_CHECKING:
    from econllm.multinomial.results import MNLogitResults

ResidualKind = Literal["response", "pearson", "deviance"]
# Numbers per chunk of rows.
_CHUNK_VALUES = 2_000_000
# Frames of scores larger than this are refused.
_MOST_BYTES = 8e9


def predict_interval(results: MNLogitResults, data: Data, level: float = 0.95) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Confidence intervals of the probabilities of all outcomes.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    data : CareerPanel or DataFrame
        The rows to predict.
    level : float
        Coverage of each interval.

    Returns
    -------
    lower, upper : pandas.DataFrame, shape (n, choices)
        Indexed as the data, one column per outcome; within 0 and 1. Outcomes that never occurred in estimation have
        reserved probabilities, which do not vary: both bounds equal them.

    Raises
    ------
    DataError
        If the coefficients have neither a covariance nor bootstrap replications.

    Notes
    -----
    Delta method: log(p / (1 - p)) plus and minus the normal quantile times its standard error, carried back to p;
    symmetric intervals of p itself would leave 0 and 1. After a bootstrap: percentiles of p over the replications.

    Examples
    --------
    >>> from econllm.multinomial import MNLogit
    >>> df = pd.DataFrame({"y": ["a", "b"] * 50})
    >>> lower, upper = predict_interval(MNLogit("y ~ 1").fit(df), df.head(1))
    >>> lower.round(3).to_numpy().tolist(), upper.round(3).to_numpy().tolist()
    ([[0.403, 0.403]], [[0.597, 0.597]])
    """
    check_level(level)
    e, inference = results._estimates, results._estimates.inference
    data = complete_rows(results, data)
    problem, scale = results._problem(data), row_scale(results, data)
    if inference.replicates is not None:
        points = [
            derivatives.reported_point(row, len(e.columns), len(e.seen), e.spec.intercept, e.base)
            for row in inference.replicates
        ]
        bounds = percentile_interval(problem, points, level)
    elif inference.cov is not None:
        bounds = delta_interval(problem, e.point, inference.cov, e.base, level)
    else:
        raise DataError(
            f"intervals need standard errors of the coefficients ({inference.words}); {cure(results)} has them."
        )
    constant = np.exp(results.log_proba(data))
    whole = []
    for bound in bounds:
        out = constant.copy()
        out[:, e.seen] = np.where(scale[:, None] > 0, bound * scale[:, None], constant[:, e.seen])
        whole.append(pd.DataFrame(out, index=data.index, columns=results.choices.index))
    return whole[0], whole[1]


def delta_interval(
    problem: Problem, point: Point, cov: np.ndarray, base: int | None, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals by the delta method for log odds.

    Parameters
    ----------
    problem : Problem
        The rows.
    point : Point
        Coefficients.
    cov : numpy.ndarray, shape (reported, reported)
        Covariance of the reported coefficients.
    base : int or None
        Base outcome.
    level : float
        Coverage.

    Returns
    -------
    lower, upper : numpy.ndarray, shape (n, outcomes)

    Notes
    -----
    With q the probabilities of the other outcomes given that j does not happen, the derivative of outcome j's log odds
    is dz_j - sum_l q_l dz_l, so that its variance follows from the covariance of the utilities.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.array([0]), 2, None, 0.0, False)
    >>> even = Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))
    >>> delta_interval(p, even, np.array([[0.04]]), 0, 0.95)[0].round(4).tolist()
    [[0.4032, 0.4032]]
    """
    z = stats.norm.ppf(0.5 + level / 2)
    lower = np.empty((problem.rows, problem.outcomes))
    upper = np.empty_like(lower)
    k = problem.features + problem.intercept
    for rows in problem.chunks(max(16, _CHUNK_VALUES // (problem.outcomes**2 * (k + 1)))):
        utilities = problem.utilities(point, rows)
        odds = _log_odds(utilities)
        half = z * np.sqrt(_log_odds_variance(utilities, utility_covariance(problem, cov, base, rows)))
        with np.errstate(invalid="ignore"):  # what is not available, or alone available, has infinite log odds
            bounds = special.expit(odds - half), special.expit(odds + half)
        certain = ~np.isfinite(odds)
        for out, bound in zip((lower, upper), bounds, strict=True):
            out[rows] = np.where(certain, odds > 0, bound)
    return lower, upper


def utility_covariance(problem: Problem, cov: np.ndarray, base: int | None, rows: slice = slice(None)) -> np.ndarray:
    """Covariance of the utilities of every row that the sampling variation of the coefficients makes.

    Parameters
    ----------
    problem : Problem
        The rows.
    cov : numpy.ndarray, shape (reported, reported)
        Covariance of the reported coefficients, see :func:`econllm.multinomial.estimates.report_coefficients`.
    base : int or None
        Base outcome, whose coefficients are zero and not reported.
    rows : slice
        Which rows.

    Returns
    -------
    numpy.ndarray, shape (rows, outcomes, outcomes)
        Only differences between outcomes have a meaning.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.array([[2.0]]), np.array([0]), 2, None, 0.0, False)
    >>> utility_covariance(p, np.array([[0.5]]), 0).tolist()
    [[[0.0, 0.0], [0.0, 2.0]]]
    """
    x = np.hstack([problem.sparse[rows].toarray(), problem.dense[rows].astype(np.float64)])
    if problem.intercept:
        x = np.hstack([np.ones((len(x), 1)), x])
    n, k = x.shape
    on = np.delete(np.arange(problem.outcomes), [] if base is None else [base])
    j, own = len(on), len(on) * k
    blocks = cov[:own, :own].reshape(j, k, j, k).transpose(1, 0, 2, 3).reshape(k, -1)
    out = np.zeros((n, problem.outcomes, problem.outcomes))
    out[np.ix_(np.arange(n), on, on)] = ((x @ blocks).reshape(n, j * j, k) @ x[:, :, None]).reshape(n, j, j)
    if problem.shared:
        c = np.stack([lookup.values(rows) for lookup in problem.shared], axis=2)
        cross = np.zeros(c.shape)
        cross[:, on] = np.einsum("ia,jam->ijm", x, cov[:own, own:].reshape(j, k, -1))
        mixed = cross @ c.transpose(0, 2, 1)
        out += mixed + mixed.transpose(0, 2, 1) + c @ cov[own:, own:] @ c.transpose(0, 2, 1)
    return out


def percentile_interval(problem: Problem, points: list[Point], level: float) -> tuple[np.ndarray, np.ndarray]:
    """Intervals from percentiles of the probabilities over bootstrap replications.

    Parameters
    ----------
    problem : Problem
        The rows.
    points : list of Point
        Coefficients of every replication.
    level : float
        Coverage.

    Returns
    -------
    lower, upper : numpy.ndarray, shape (n, outcomes)

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.array([0]), 2, None, 0.0, False)
    >>> draws = [Point(np.array([[0.0, b]]), np.zeros(2), np.zeros(0)) for b in np.linspace(-1, 1, 201)]
    >>> percentile_interval(p, draws, 0.9)[1].round(4).tolist()
    [[0.7109, 0.7109]]
    """
    lower = np.empty((problem.rows, problem.outcomes))
    upper = np.empty_like(lower)
    tails = [0.5 - level / 2, 0.5 + level / 2]
    for rows in problem.chunks(max(16, _CHUNK_VALUES // (problem.outcomes * len(points)))):
        proba = np.stack([derivatives.probabilities(problem, point, rows) for point in points])
        lower[rows], upper[rows] = np.quantile(proba, tails, axis=0)
    return lower, upper


def scores(results: MNLogitResults, data: Data) -> pd.DataFrame:
    """Derivative of every row's log-likelihood with respect to the coefficients, at the estimate.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    data : CareerPanel or DataFrame
        Rows with outcomes.

    Returns
    -------
    pandas.DataFrame, shape (n, coefficients)
        Unweighted, indexed as the data, columns as `params`. Over the estimation sample they sum to zero, times the
        weights of the fit, where there is no penalty. Zero for outcomes that never occurred in estimation.

    Raises
    ------
    DataError
        If the frame would be too large.

    Notes
    -----
    The derivative with respect to the coefficients of outcome j is x_i (1[y_i = j] - p_ij).

    Examples
    --------
    >>> from econllm.multinomial import MNLogit
    >>> df = pd.DataFrame({"y": ["a", "b", "b", "a", "b"], "x": [0.0, 1, 0, 1, 2]})
    >>> scores(MNLogit("y ~ x").fit(df), df).sum().abs().max() < 1e-8
    np.True_
    """
    e, params = results._estimates, results.params
    data = complete_rows(results, data)
    needed = 8.0 * len(data) * len(params)
    if needed > _MOST_BYTES:
        raise DataError(
            f"scores of {len(data):,} rows and {len(params):,} coefficients need {needed / 1e9:,.1f} GB; take them for "
            "parts of the data."
        )
    place = np.full(len(results.choices), -1)
    place[e.seen] = np.arange(len(e.seen))
    problem = replace(results._problem(data), outcome=place[results.sample(data).outcome])
    out = np.empty((problem.rows, len(params)))
    for rows in problem.chunks(max(16, _CHUNK_VALUES // problem.parameters)):
        out[rows] = e.reported_gradient(derivatives.scores(problem, e.point, rows))
    return pd.DataFrame(out, index=data.index, columns=params.index)


def residuals(results: MNLogitResults, data: Data, kind: ResidualKind = "response") -> pd.DataFrame:
    """Residuals of every row and outcome.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    data : CareerPanel or DataFrame
        Rows with outcomes.
    kind : {"response", "pearson", "deviance"}
        "response": the indicator of the outcome less its probability. "pearson": the same over its standard deviation.
        "deviance": the signed root of minus twice the log probability of what the indicator is.

    Returns
    -------
    pandas.DataFrame, shape (n, choices)
        Indexed as the data, one column per outcome.

    Raises
    ------
    OptionError
        For another kind.

    Notes
    -----
    Each outcome is set against all others, as in a logit of its own; with two outcomes these are the residuals of the
    binary logit. Pearson residuals are nan where an outcome is certain.

    Examples
    --------
    >>> from econllm.multinomial import MNLogit
    >>> df = pd.DataFrame({"y": ["a", "b", "b", "b"]})
    >>> residuals(MNLogit("y ~ 1").fit(df), df).iloc[0].round(6).tolist()
    [0.75, -0.75]
    """
    check_option("kind", kind, ["response", "pearson", "deviance"])
    data = complete_rows(results, data)
    log_proba = results.log_proba(data)
    proba = np.exp(log_proba)
    at = np.arange(len(proba)), results.sample(data).outcome
    out = -proba
    out[at] += 1
    if kind == "pearson":
        variance = proba * (1 - proba)
        out = np.divide(out, np.sqrt(variance), out=np.full(out.shape, np.nan), where=variance > 0)
    elif kind == "deviance":
        with np.errstate(divide="ignore"):
            out = -np.sqrt(-2 * np.log1p(-proba))
        out[at] = np.sqrt(-2 * log_proba[at])
    return pd.DataFrame(out, index=data.index, columns=results.choices.index)


def _log_odds(utilities: np.ndarray) -> np.ndarray:
    """Log odds of every outcome, accurate where a probability is nearly one."""
    log_proba = special.log_softmax(utilities, axis=1)
    out = np.full(log_proba.shape, -np.inf)
    small = np.isfinite(log_proba)
    with np.errstate(divide="ignore"):
        out[small] = log_proba[small] - np.log1p(-np.exp(log_proba[small]))
    at = np.arange(len(out)), log_proba.argmax(axis=1)
    others = log_proba.copy()
    others[at] = -np.inf
    # The likeliest outcome against the others together: one less its probability could round to zero.
    out[at] = log_proba[at] - special.logsumexp(others, axis=1)
    return out


def _log_odds_variance(utilities: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Variance of every log odds, from the covariance of the utilities."""
    p = special.softmax(utilities, axis=1)
    # Only differences of utilities matter: taken from the likeliest, they are free of cancellation.
    at = np.arange(len(p)), p.argmax(axis=1)
    from_best = cov - cov[at][:, :, None] - cov[at][:, None, :] + cov[*at, at[1]][:, None, None]
    mixed = np.einsum("ijl,il->ij", from_best, p)
    mean = np.einsum("ij,ij->i", mixed, p)
    own = np.einsum("ijj->ij", from_best)
    rest = p.copy()
    rest[at] = 0.0
    total = rest.sum(axis=1)
    left = 1.0 - p
    left[at] = total
    variance = own - 2 * mixed + mean[:, None]
    out: np.ndarray = np.divide(variance, left**2, out=np.zeros(p.shape), where=left > 0)
    # For the likeliest itself, own and mixed would cancel against each other: q' cov q over the others is the same.
    q = np.divide(rest, total[:, None], out=np.zeros(p.shape), where=total[:, None] > 0)
    out[at] = np.einsum("ij,ijl,il->i", q, from_best, q)
    out = np.maximum(out, 0.0)
    return out
