"""Fits at several weights of the penalty, each begun where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize

from econllm.errors import OptionError
from econllm.logit.elastic import Descent
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Solution, solve

# The largest alpha is found from a fit without penalised columns that is this exact.
_EXACT = 1e-11


def alpha_max(problem: Problem) -> float:
    """Smallest alpha at which all penalised slopes are zero.

    Parameters
    ----------
    problem : Problem
        Data and penalty, `l1_ratio` above zero; its alpha plays no part.

    Returns
    -------
    float
        The largest absolute derivative of the mean negative log-likelihood by a penalised slope, over its multiple of
        `l1_ratio`, where constants, columns with factor zero and common coefficients are fitted and the rest is zero.
        Zero where no column is penalised.

    Raises
    ------
    OptionError
        Where the penalty has no absolute values.

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[1.0], [-1]])
    >>> alpha_max(Problem(sparse.csr_array((2, 0)), x, np.array([0, 1]), 2, None, 0.0, True, l1_ratio=1.0))
    0.5
    """
    return _largest(Descent.of(problem))[0]


def _largest(descent: Descent) -> tuple[float, Point]:
    """The smallest alpha at which all penalised slopes are zero, and the coefficients there."""
    problem = descent.problem
    if not problem.l1_ratio > 0:
        raise OptionError("l1_ratio is 0: without absolute values slopes are zero at no alpha; give the alphas")
    weight = replace(problem, alpha=1.0).lasso
    free, point = weight == 0, descent.start()
    if free.all():
        return 0.0, descent.minimise(0.0, point, _EXACT, 100, free).point

    def fit(alpha: float) -> tuple[float, Point]:
        null = descent.minimise(alpha, point, _EXACT, 100, free).point
        gradient = np.abs(_gradient(descent, alpha, null)).max(axis=0)
        return float((gradient[~free] / weight[~free]).max()), null

    alpha, null = fit(0.0)
    if not np.any(problem.shared_factors):
        return alpha, null
    # The common coefficients shrink with alpha, and the gradient at zero slopes with them.
    high = max(alpha, 1e-12)
    while fit(high)[0] > high:
        high *= 2
    alpha = float(optimize.brentq(lambda a: fit(a)[0] - a, 0.0, high, xtol=1e-14, rtol=1e-12))
    return alpha, fit(alpha)[1]


def _gradient(descent: Descent, alpha: float, point: Point) -> np.ndarray:
    """Derivative of the mean negative log-likelihood by the slopes, shape (outcomes, features)."""
    state = descent.state(alpha, point)
    return descent.map.columns.backward(state.residuals())


def elastic_path(
    problem: Problem,
    alphas: Sequence[float] | np.ndarray | None = None,
    *,
    count: int = 100,
    ratio: float | None = None,
    tolerance: float = 1e-7,
    max_iter: int = 100,
    screen: bool = True,
) -> tuple[Solution, ...]:
    """Fits with absolute values in the penalty, from the largest alpha down.

    Parameters
    ----------
    problem : Problem
        Data and penalty, `l1_ratio` above zero; its alpha plays no part.
    alphas : sequence of float, optional
        Weights of the penalty; by default :func:`grid`.
    count : int
        Number of alphas of the default grid.
    ratio : float, optional
        Smallest alpha of the default grid over the largest.
    tolerance : float
        See :func:`econllm.logit.elastic.solve_elastic`.
    max_iter : int
        Limit on Newton steps at each alpha.
    screen : bool
        Leave out columns that are unlikely to matter, and take them in again where a condition of the minimum is
        violated. The result is the same.

    Returns
    -------
    tuple of Solution
        In the order of the alphas.

    Notes
    -----
    Screening is by the sequential strong rule: Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani
    (2012), "Strong rules for discarding predictors in lasso-type problems", JRSS B 74(2).

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[1.0], [1], [1], [-1], [-1], [-1]])
    >>> p = Problem(sparse.csr_array((6, 0)), x, np.array([0, 0, 1, 1, 1, 0]), 2, None, 0.0, True, l1_ratio=1.0)
    >>> [round(float(s.point.slopes[0, 0]), 3) for s in elastic_path(p, [1.0, 0.1, 0.01])]
    [0.0, 0.134, 0.324]
    """
    descent = Descent.of(problem)
    last, point = _largest(descent)
    order = _grid(problem, last, count, ratio) if alphas is None else np.asarray(alphas, dtype=np.float64)
    gradient = np.abs(_gradient(descent, last, point))
    out: dict[int, Solution] = {}
    for position in np.argsort(-order, kind="stable"):
        alpha = float(order[position])
        weight = replace(problem, alpha=1.0).lasso
        kept = (point.slopes != 0).any(axis=1) | (gradient >= weight * (2 * alpha - last)).any(axis=0)
        kept |= not screen
        solution = descent.minimise(alpha, point, tolerance, max_iter, kept)
        while True:
            gradient = np.abs(_gradient(descent, alpha, solution.point))
            excess = (gradient - weight * alpha) / descent.map.columns.scale
            missed = ~kept & (excess > tolerance).any(axis=0)
            if not missed.any():
                break
            kept |= missed
            solution = _after(solution, descent.minimise(alpha, solution.point, tolerance, max_iter, kept))
        out[int(position)], last, point = solution, alpha, solution.point
    return tuple(out[i] for i in range(len(order)))


def _after(first: Solution, second: Solution) -> Solution:
    """The second solution, with the time and the iterations of both."""
    trace = first.trace + tuple((first.seconds + t, value) for t, value in second.trace)
    return replace(
        second, iterations=first.iterations + second.iterations, seconds=first.seconds + second.seconds, trace=trace
    )


def grid(problem: Problem, count: int = 100, ratio: float | None = None) -> np.ndarray:
    """Alphas of a path, evenly spaced in logs from the smallest at which all penalised slopes are zero.

    Parameters
    ----------
    problem : Problem
        Data and penalty, `l1_ratio` above zero.
    count : int
        Number of alphas.
    ratio : float, optional
        Smallest over largest: by default 1e-4, or 1e-2 where there are not more rows than columns, as in glmnet.

    Returns
    -------
    numpy.ndarray of float64, shape (count,)
        From the largest down.

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[1.0], [-1]])
    >>> p = Problem(sparse.csr_array((2, 0)), x, np.array([0, 1]), 2, None, 0.0, True, l1_ratio=1.0)
    >>> grid(p, 3).tolist()
    [0.5, 0.005, 5e-05]
    """
    return _grid(problem, alpha_max(problem), count, ratio)


def _grid(problem: Problem, largest: float, count: int, ratio: float | None) -> np.ndarray:
    if largest <= 0:
        raise OptionError("no column with a positive factor tells the outcomes apart, so there is no path; give alphas")
    if ratio is None:
        ratio = 1e-4 if problem.rows > problem.features else 1e-2
    out: np.ndarray = largest * ratio ** (np.arange(count) / max(count - 1, 1))
    return out


def path(
    problem: Problem, alphas: Sequence[float] | np.ndarray, *, tolerance: float | None = None, max_iter: int = 500
) -> tuple[Solution, ...]:
    """Fits at given alphas, each begun where the last one ended, by the method that suits the penalty.

    Parameters
    ----------
    problem : Problem
        Data and penalty; its alpha plays no part.
    alphas : sequence of float
        Weights of the penalty; solved from the largest down.
    tolerance : float, optional
        Of :func:`econllm.logit.solver.solve` where `l1_ratio` is 0, else of :func:`elastic_path`; by default theirs.
    max_iter : int
        Limit on iterations at each alpha.

    Returns
    -------
    tuple of Solution
        In the order of the alphas.

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[1.0], [1], [-1], [-1]])
    >>> p = Problem(sparse.csr_array((4, 0)), x, np.array([0, 0, 1, 0]), 2, None, 0.0, True)
    >>> small, large = path(p, [0.01, 10.0])
    >>> bool(small.point.slopes[0, 0] > large.point.slopes[0, 0] > 0)
    True
    """
    if problem.l1_ratio > 0:
        return elastic_path(problem, alphas, tolerance=1e-7 if tolerance is None else tolerance, max_iter=max_iter)
    out: dict[int, Solution] = {}
    point: Point | None = None
    goal = 1e-6 if tolerance is None else tolerance
    for position in np.argsort(-np.asarray(alphas, dtype=np.float64), kind="stable"):
        at = replace(problem, alpha=float(alphas[position]))
        out[int(position)] = solve(at, start=point, tolerance=goal, max_iter=max_iter)
        point = out[int(position)].point
    return tuple(out[i] for i in range(len(alphas)))
