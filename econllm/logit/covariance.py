"""Covariance of the coefficients of a multinomial logit small enough to form the Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from econllm.errors import DataError, EconLLMWarning, warn
from econllm.logit import newton
from econllm.logit.coordinates import Scaling
from econllm.logit.problem import Point, Problem
from econllm.logit.sampling import Correction, Kind, Sampling, row_scores

MAX_BYTES = 4e9
# Matrices of the size of the Hessian that are held at the same time.
_MATRICES = 5
# Numbers in the scores of a chunk of rows, which should stay in a core's cache.
_CHUNK_VALUES = 200_000
# Below this reciprocal condition number, in units of the diagonal, inverses are rounding.
_SINGULAR = 1e-13
# Spread over outcomes below this share of a column's size is rounding.
_ROUNDING = 1e-10
# Eigenvalues this far below zero, relative to the largest, are more than rounding.
_NEGATIVE = 1e-10


class NoCovarianceError(DataError):
    """There is no covariance: the information is singular, or its matrix too large."""


def covariance(
    problem: Problem,
    point: Point,
    kind: Kind,
    *,
    clusters: Sequence[np.ndarray] = (),
    strata: np.ndarray | None = None,
    ssc: Correction = "groups",
    frequency: np.ndarray | None = None,
) -> np.ndarray:
    """Estimate the covariance of the coefficients, in the coordinates of the solver.

    Parameters
    ----------
    problem : Problem
        Data, weights and ridge penalty.
    point : Point
        The optimum.
    kind : {"nonrobust", "robust", "clustered"}
        Inverse information; sandwich with independent rows; sandwich with independent clusters.
    clusters : sequence of numpy.ndarray of int, each of shape (n,)
        One or two ways of clustering, as labels of the rows.
    strata : numpy.ndarray of int, shape (n,), optional
        Strata of a survey: scores are taken about the mean of their stratum. Clusters are counted within strata.
    ssc : {"groups", "parameters"} or None
        Small-sample correction of the sandwich. "groups": N/(N - 1) for rows and G/(G - 1) for clusters, as Stata's
        mlogit. "parameters": the same times (N - 1)/(N - K), which is N/(N - K) (HC1) for rows and what statsmodels
        uses for clusters. K counts free parameters, with a penalty the effective ones.
    frequency : numpy.ndarray, shape (n,), optional
        How often every row counts. The variances are those of the data with rows repeated.

    Returns
    -------
    numpy.ndarray, shape (parameters, parameters)
        In the order of :meth:`Problem.vector`; zero in directions that change no probability and no penalty.

    Raises
    ------
    NoCovarianceError
        If the information is singular, or larger than `MAX_BYTES`.
    OptionError, DataError
        See :meth:`Sampling.make`.

    Warns
    -----
    EconLLMWarning
        If two-way clustering gives negative variances in some direction; they are set to zero.

    Notes
    -----
    A^-1 B A^-1 / n^2, with A the Hessian of the mean objective, penalty included, and B the variance of the sum of the
    scores psi_i = w_i (g_i + R theta), see :func:`econllm.logit.sampling.row_scores`. With a penalty this is about
    the value that the penalised estimate tends to, alpha held fixed, not about the true one: it leaves out the bias.

    Examples
    --------
    The log odds of a share of one half among eight rows have variance 8 / (4 * 4).

    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((8, 0)), np.zeros((8, 0)), np.repeat([0, 1], 4), 2, None, 0.0, True)
    >>> v = covariance(p, Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0)), "nonrobust")
    >>> float(np.array([-1, 1]) @ v @ [-1, 1])
    0.5
    """
    sampling = Sampling.make(problem, kind, clusters=clusters, strata=strata, ssc=ssc, frequency=frequency)
    reason = too_large(problem)
    if reason:
        raise NoCovarianceError(reason)
    information = newton.hessian(problem, point) / problem.rows
    bread, fill = _inverse(problem, information)
    if kind == "nonrobust":
        return np.asarray((bread - fill) / sampling.total)
    used = _effective(problem, point, information, bread) if ssc == "parameters" else 0.0
    del information, fill
    width = problem.parameters
    meat = sampling.meat(row_scores(problem, point), width, max(64, _CHUNK_VALUES // width), used)
    out = bread @ meat @ bread / problem.rows**2
    out = (out + out.T) / 2
    return positive(out) if len(clusters) == 2 else out


def positive(cov: np.ndarray) -> np.ndarray:
    """Set negative eigenvalues of a two-way clustered covariance to zero, with a warning.

    Parameters
    ----------
    cov : numpy.ndarray, shape (k, k)
        Symmetric.

    Returns
    -------
    numpy.ndarray, shape (k, k)
        The same object where no eigenvalue is negative beyond rounding.

    Examples
    --------
    >>> positive(np.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    values, vectors = linalg.eigh(cov)
    negative = int((values < -_NEGATIVE * np.abs(values).max(initial=0.0)).sum())
    if not negative:
        return cov
    warn(
        f"the two-way clustered covariance has {negative} negative eigenvalues of {len(values)}, which were set to "
        "zero; there may be too few clusters in one of the two ways.",
        EconLLMWarning,
    )
    out: np.ndarray = (vectors * np.maximum(values, 0)) @ vectors.T
    return out


def hessian_bytes(problem: Problem) -> int:
    """Memory that the covariance takes, in bytes.

    Examples
    --------
    >>> from scipy import sparse
    >>> hessian_bytes(Problem(sparse.csr_array((9, 2)), np.zeros((9, 7)), np.zeros(9, int), 10, None, 0.0, True))
    400000
    """
    return 8 * _MATRICES * problem.parameters**2


def too_large(problem: Problem, limit: float = MAX_BYTES) -> str:
    """Say why there is no covariance, if it would take too much memory.

    Parameters
    ----------
    problem : Problem
        Data.
    limit : float
        Bytes.

    Returns
    -------
    str
        A sentence with the estimate and the alternatives; empty where the covariance is within the limit.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((9, 0)), np.zeros((9, 700)), np.zeros(9, int), 300, None, 0.0, True)
    >>> too_large(p)
    "the covariance of 210,300 coefficients would take 1,769 GB (limit 4 GB): ..."
    """
    need = hessian_bytes(problem)
    if need <= limit:
        return ""
    return (
        f"the covariance of {problem.parameters:,} coefficients would take {_size(need)} (limit {_size(limit)}): "
        "use cov_type='bootstrap', or standard errors of chosen coefficients, contrasts and marginal effects, which "
        "need no Hessian."
    )


def degrees_of_freedom(problem: Problem, point: Point) -> float:
    """Effective number of parameters.

    Parameters
    ----------
    problem : Problem
        Data and penalty.
    point : Point
        The optimum.

    Returns
    -------
    float
        Without a penalty the number of free parameters; nan where the Hessian is too large.

    Notes
    -----
    trace((H + n R)^-1 H), with H the Hessian of the negative log-likelihood and R the ridge penalty's; with an L1
    part, over the coefficients that are not zero.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.array([0, 1]), 2, None, 0.0, True)
    >>> degrees_of_freedom(p, Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0)))
    1.0
    """
    if not _penalised(problem):
        return float(free_parameters(problem))
    if too_large(problem):
        return float("nan")
    return _effective(problem, point, newton.hessian(problem, point) / problem.rows)


def free_parameters(problem: Problem) -> int:
    """Number of parameters that a fit without a penalty identifies.

    Examples
    --------
    >>> from scipy import sparse
    >>> free_parameters(Problem(sparse.csr_array((9, 2)), np.zeros((9, 1)), np.zeros(9, int), 3, None, 0.0, True))
    8
    """
    return (problem.features + problem.intercept) * (problem.outcomes - 1) + len(problem.shared)


def to_reported(
    cov: np.ndarray,
    scaling: Scaling,
    problem: Problem,
    base: int | None,
    shared_scale: np.ndarray | None = None,
) -> np.ndarray:
    """Turn the covariance of the solver's coefficients into that of the reported ones.

    Parameters
    ----------
    cov : numpy.ndarray, shape (parameters, parameters)
        From :func:`covariance`.
    scaling : Scaling
        Of the columns.
    problem : Problem
        Tells which coefficients there are.
    base : int or None
        Base outcome; with None, coefficients sum to zero over outcomes.
    shared_scale : numpy.ndarray, shape (shared,), optional
        What alternative-specific columns were divided by; ones by default.

    Returns
    -------
    numpy.ndarray, shape (reported, reported)
        In the order of :func:`econllm.multinomial.estimates.report_coefficients`.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((2, 0)), np.ones((2, 1)), np.array([0, 1]), 2, None, 0.0, False)
    >>> to_reported(np.eye(2), Scaling(np.zeros(1), np.array([2.0]), np.zeros(1, bool)), p, 0).tolist()
    [[0.5]]
    """
    half = _report(cov, scaling, problem, base, shared_scale)
    out = _report(half.T, scaling, problem, base, shared_scale)
    return np.asarray((out + out.T) / 2)


def to_solver(
    directions: np.ndarray,
    scaling: Scaling,
    problem: Problem,
    base: int | None,
    shared_scale: np.ndarray | None = None,
) -> np.ndarray:
    """Turn derivatives with respect to reported coefficients into those with respect to the solver's.

    Parameters
    ----------
    directions : numpy.ndarray, shape (reported, m)
        Weights of the reported coefficients, such as a column of the identity, or derivatives of marginal effects.
    scaling, problem, base, shared_scale
        As in :func:`to_reported`.

    Returns
    -------
    numpy.ndarray, shape (parameters, m)
        For :func:`econllm.logit.directional.directional_covariance`.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((2, 0)), np.ones((2, 1)), np.array([0, 1]), 2, None, 0.0, False)
    >>> to_solver(np.eye(1), Scaling(np.zeros(1), np.array([2.0]), np.zeros(1, bool)), p, 0).tolist()
    [[-0.5], [0.5]]
    """
    k, outcomes, m = problem.features + problem.intercept, problem.outcomes, directions.shape[1]
    kept = outcomes - (base is not None)
    own = directions[: kept * k].reshape(kept, k, m).transpose(1, 0, 2)
    own = own - own.mean(axis=1, keepdims=True) if base is None else np.insert(own, base, -own.sum(axis=1), axis=1)
    scale, shift = scaling.scale[:, None, None], scaling.shift[:, None, None]
    own = np.concatenate([(own[1:] - shift * own[:1]) / scale, own[:1]]) if problem.intercept else own / scale
    shared = directions[kept * k :]
    if shared_scale is not None:
        shared = shared / shared_scale[:, None]
    return np.concatenate([own.reshape(k * outcomes, m), shared])


def describe(
    kind: Kind,
    *,
    names: Sequence[str] = (),
    counts: Sequence[int] = (),
    ssc: Correction = "groups",
    strata: str | None = None,
    penalised: bool = False,
) -> str:
    """Say in words which covariance this is, for tables.

    Parameters
    ----------
    kind : {"nonrobust", "robust", "clustered"}
        The kind.
    names : sequence of str
        What rows are clustered by.
    counts : sequence of int
        Number of clusters for each.
    ssc : {"groups", "parameters"} or None
        Small-sample correction.
    strata : str, optional
        Column of the strata.
    penalised : bool
        Whether the estimate has a ridge penalty.

    Returns
    -------
    str

    Examples
    --------
    >>> describe("clustered", names=["person"], counts=[381])
    'clustered by person (381 clusters, G/(G-1))'
    >>> describe("robust", ssc="parameters", penalised=True)
    'penalised sandwich, robust (HC1, N/(N-K)): about the penalised value, not the true one'
    """
    if kind == "nonrobust":
        return "nonrobust (inverse information)"
    within = f", within strata of {strata}" if strata else ""
    if kind == "robust":
        facts = {"groups": "HC0, N/(N-1)", "parameters": "HC1, N/(N-K)", None: "HC0"}[ssc]
        words = f"robust ({facts}{within})"
    else:
        tail = {"groups": ", G/(G-1)", "parameters": ", G/(G-1) (N-1)/(N-K)", None: ""}[ssc]
        sizes = " and ".join(f"{count:,}" for count in counts)
        words = f"clustered by {' and '.join(names)} ({sizes} clusters{tail}{within})"
    return f"penalised sandwich, {words}: about the penalised value, not the true one" if penalised else words


def _penalised(problem: Problem) -> bool:
    return bool(problem.ridge.any() or problem.lasso.any() or problem.shared_ridge.any())


def _size(size: float) -> str:
    return f"{size / 1e9:,.0f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _inverse(problem: Problem, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of the mean Hessian with penalty, made regular in the free directions, and what that adds to it."""
    size = problem.outcomes
    own = np.diag(information)[: (problem.features + problem.intercept) * size].reshape(-1, size).mean(axis=1)
    level = np.concatenate([np.repeat(own, size), np.ones(len(problem.shared))])
    fill = newton.free_directions(problem)
    full = information + np.diag(newton.penalties(problem)) + fill * level[:, None]
    diagonal = np.sqrt(np.diag(full))
    # An alternative-specific column that is the same for all outcomes leaves rounding, which scaling would blow up.
    sizes = np.array([np.abs(lookup.table).max(initial=0.0) for lookup in problem.shared])
    shared = diagonal[len(diagonal) - len(sizes) :]
    shared[shared <= _ROUNDING * sizes] = 0
    if not diagonal.all():
        raise NoCovarianceError(_singular(int((diagonal == 0).sum()), problem))
    full /= np.outer(diagonal, diagonal)
    norm = np.abs(full).sum(axis=0).max(initial=0.0)
    try:
        factor = linalg.cho_factor(full, lower=True)
        reciprocal = linalg.lapack.dpocon(factor[0], norm, uplo="L")[0]
    except linalg.LinAlgError:
        reciprocal = 0.0
    if reciprocal < _SINGULAR:
        flat = int((linalg.eigvalsh(full) < 1e-10).sum())
        raise NoCovarianceError(_singular(max(flat, 1), problem))
    inverse = linalg.cho_solve(factor, np.eye(len(full))) / np.outer(diagonal, diagonal)
    fill /= np.where(level > 0, level, 1.0)[:, None]
    return inverse, fill


def _singular(directions: int, problem: Problem) -> str:
    return (
        f"the information is singular: {directions} of {problem.parameters:,} directions of the coefficients have no "
        "influence on the likelihood, so there are no standard errors; leave out columns that others span, or outcomes "
        "and levels that are perfectly predicted, or set penalty='l2'."
    )


def _effective(problem: Problem, point: Point, information: np.ndarray, bread: np.ndarray | None = None) -> float:
    """Trace of the inverse of the penalised times the plain Hessian."""
    if not _penalised(problem):
        return float(free_parameters(problem))
    if bread is not None:
        return float(np.einsum("ij,ij->", bread, information))
    lasso = np.zeros(problem.parameters, bool)
    lasso[: point.slopes.size] = np.repeat(problem.lasso > 0, problem.outcomes)
    active = ~lasso | (problem.vector(point) != 0)
    full = information + np.diag(newton.penalties(problem)) + newton.free_directions(problem) * ~lasso
    kept = np.ix_(active, active)
    return float(np.trace(newton.solve_symmetric(full[kept], information[kept])))


def _report(
    columns: np.ndarray, scaling: Scaling, problem: Problem, base: int | None, shared_scale: np.ndarray | None
) -> np.ndarray:
    """Apply the map from the solver's to the reported coefficients to every column."""
    k, outcomes, m = problem.features + problem.intercept, problem.outcomes, columns.shape[1]
    own = columns[: k * outcomes].reshape(k, outcomes, m)
    slopes = own[: problem.features] / scaling.scale[:, None, None]
    if problem.intercept:
        constant = own[-1] - np.tensordot(scaling.shift, slopes, axes=1)
        slopes = np.concatenate([constant[None], slopes])
    if base is None:
        slopes = slopes - slopes.mean(axis=1, keepdims=True)
    else:
        slopes = np.delete(slopes - slopes[:, [base]], base, axis=1)
    shared = columns[k * outcomes :]
    if shared_scale is not None:
        shared = shared / shared_scale[:, None]
    return np.concatenate([slopes.transpose(1, 0, 2).reshape(-1, m), shared])
