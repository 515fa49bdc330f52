"""Standard errors of chosen combinations of coefficients, without ever forming the Hessian.

The variance of c'theta needs only the solution v of A v = c, with A the Hessian of the mean objective: then it is the
variance of the sum of v'psi_i over rows, which are plain numbers. A is applied to a vector at the price of a gradient,
and the equation is solved by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from econllm.errors import ConvergenceWarning, DataError, warn
from econllm.logit.covariance import NoCovarianceError, degrees_of_freedom, positive
from econllm.logit.curvature import Curvature, Preconditioner
from econllm.logit.problem import Point, Problem
from econllm.logit.sampling import Correction, Kind, Sampling

# Curvature below this share of the preconditioner's is none: it bounds what collinear columns leave from rounding.
_FLAT = 1e-6
# Weights that miss a sum of zero by this share of the largest weight do not sum to zero.
_UNIDENTIFIED = 1e-8


def directional_covariance(
    problem: Problem,
    point: Point,
    directions: np.ndarray,
    kind: Kind,
    *,
    clusters: Sequence[np.ndarray] = (),
    strata: np.ndarray | None = None,
    ssc: Correction = "groups",
    frequency: np.ndarray | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 1000,
    curvature: Curvature | None = None,
) -> np.ndarray:
    """Estimate the covariance of combinations of the coefficients: contrasts, marginal effects, predictions.

    Parameters
    ----------
    problem : Problem
        Data, weights and ridge penalty.
    point : Point
        The optimum.
    directions : numpy.ndarray, shape (parameters, m)
        Weights of the coefficients, in the order of :meth:`Problem.vector`, combination by combination; see
        :func:`econllm.logit.covariance.to_solver`.
    kind, clusters, strata, ssc, frequency
        As in :func:`econllm.logit.covariance.covariance`.
    tolerance : float
        Stop when the residual of A v = c is this small, relative to c, in the norm of the preconditioner.
    max_iter : int
        Limit on iterations.
    curvature : Curvature, optional
        Of the same problem and point, to be used for several calls: its preparation is most of the work of the first.

    Returns
    -------
    numpy.ndarray, shape (m, m)

    Raises
    ------
    DataError
        If a combination is not identified; see also :meth:`Sampling.make`.

    Warns
    -----
    ConvergenceWarning
        If the tolerance is not met.

    Notes
    -----
    C'A^-1 B A^-1 C / n^2, with A and B as in :func:`econllm.logit.covariance.covariance`. Memory: some vectors of the
    length of the coefficients for each direction, the probabilities of all rows where they take up to 1 GB, and the
    blocks of :meth:`Curvature.preconditioner` where they take up to 2 GB.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((8, 0)), np.zeros((8, 0)), np.repeat([0, 1], 4), 2, None, 0.0, True)
    >>> point = Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0))
    >>> directional_covariance(p, point, np.array([[-1.0], [1]]), "nonrobust").round(9).tolist()
    [[0.5]]
    """
    sampling = Sampling.make(problem, kind, clusters=clusters, strata=strata, ssc=ssc, frequency=frequency)
    used = 0.0
    if ssc == "parameters" and kind != "nonrobust":
        used = degrees_of_freedom(problem, point)
        if np.isnan(used):
            raise DataError(
                f"ssc='parameters' counts effective parameters, which takes the Hessian of {problem.parameters:,} "
                "coefficients; set ssc='groups'."
            )
    with curvature or Curvature(problem, point) as hessian:
        solved = conjugate_gradients(hessian, directions, tolerance, max_iter)
        if kind == "nonrobust":
            out = directions.T @ solved / sampling.total
            return np.asarray((out + out.T) / 2)
        scores = hessian.scores(solved)
    width = directions.shape[1]
    out = sampling.meat(lambda rows: scores[rows], width, 100_000, used) / problem.rows**2
    return positive(out) if len(clusters) == 2 else out


def conjugate_gradients(
    curvature: Curvature, directions: np.ndarray, tolerance: float = 1e-8, max_iter: int = 1000
) -> np.ndarray:
    """Solve A v = c for several c, with A a Hessian that is known by its products.

    Parameters
    ----------
    curvature : Curvature
        The Hessian.
    directions : numpy.ndarray, shape (parameters, m)
        Right-hand sides.
    tolerance : float
        Bound on the residual relative to the right-hand side, both in the norm of the
        preconditioner, see :meth:`Curvature.preconditioner`.
    max_iter : int
        Limit on iterations for each.

    Returns
    -------
    numpy.ndarray, shape (parameters, m)

    Raises
    ------
    DataError
        If a right-hand side lies partly in directions that change no probability and no penalty.

    Warns
    -----
    ConvergenceWarning
        If the tolerance is not met.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.array([0]), 2, None, 0.0, False)
    >>> with Curvature(p, Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))) as curvature:
    ...     conjugate_gradients(curvature, np.array([[1.0], [-1.0]])).ravel().tolist()
    [2.0, -2.0]
    """
    contrasts, rest = _split(curvature, directions)
    precondition = curvature.preconditioner()
    solved = [_solve(curvature, precondition, contrast, tolerance, max_iter) for contrast in contrasts.T]
    left = max((residual for _, residual in solved), default=0.0)
    if left > tolerance:
        warn(
            f"conjugate gradients left a residual of {left:.1e} (tolerance {tolerance:.1e}) after {max_iter} "
            "iterations: the information is nearly singular, or max_iter too small.",
            ConvergenceWarning,
        )
    return rest + np.stack([v for v, _ in solved], axis=1) if solved else rest


def _solve(
    curvature: Curvature, precondition: Preconditioner, right: np.ndarray, tolerance: float, max_iter: int
) -> tuple[np.ndarray, float]:
    """Solve for a right-hand side that sums to zero over outcomes; the solution and the relative residual."""
    v, residual = np.zeros(len(right)), right.astype(np.float64)
    step = z = precondition(residual)
    weight = residual
    size = start = float(residual @ z)
    if start == 0 and not right.any():
        return v, 0.0
    for _ in range(max_iter):
        image = curvature.product(step)
        bend = float(step @ image)
        if not bend > _FLAT * float(step @ weight):
            raise NoCovarianceError(
                "a combination of coefficients is not identified: the likelihood is flat in a direction on which it "
                "depends; leave out columns that others span, or set penalty='l2'."
            )
        v = v + size / bend * step
        old, residual = residual, residual - size / bend * image
        z = precondition(residual)
        new = float(residual @ z)
        if new <= tolerance**2 * start:
            return v, 0.0
        # Polak and Ribiere's form bears a preconditioner that is symmetric up to rounding only.
        turn = (new - float(old @ z)) / size
        step, weight, size = z + turn * step, residual + turn * weight, new
    return v, float(np.sqrt(size / start))


def _split(curvature: Curvature, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part that sums to zero over outcomes, and the solution for the rest, on which only the penalty acts."""
    problem = curvature.problem
    ridge = np.concatenate([problem.ridge, np.zeros(int(problem.intercept))])
    contrasts, solved = directions.astype(np.float64), np.zeros(directions.shape)
    for k in range(directions.shape[1]):
        column, rest = contrasts[:, k].copy(), np.zeros(len(contrasts))
        own = curvature.own(column)
        mean = own.mean(axis=1)
        if np.abs(mean[ridge == 0]).max(initial=0.0) > _UNIDENTIFIED * np.abs(column).max(initial=0.0):
            raise DataError(
                f"combination {k} is not identified: its weights on a column without penalty do not sum to zero over "
                "the outcomes; take a contrast between outcomes."
            )
        own -= mean[:, None]
        curvature.own(rest)[:] = np.divide(mean, ridge, out=np.zeros(len(mean)), where=ridge > 0)[:, None]
        contrasts[:, k], solved[:, k] = column, rest
    return contrasts, solved
