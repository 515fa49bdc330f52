"""Compiled loops of coordinate descent.

Importing this module imports numba, so it is imported where it is used. Arrays that vary by row and outcome have one
contiguous row per outcome, and dense columns are contiguous too: every loop below runs along memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile at the first call; keep the result on disk where there is a folder to write to."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            out: Callable[..., Any] = numba.njit(function, cache=True, **options)
        except RuntimeError:  # neither the package's folder nor the user's can be written
            out = numba.njit(function, **options)
        return out

    return decorate


# Sums may be taken in any order, which lets the compiler use vector instructions; infinities stay what they are.
_LOOSE = {"reassoc", "contract"}


@_compiled(fastmath=_LOOSE)
def _dense_sums(x: np.ndarray, residual: np.ndarray, spread: np.ndarray, second: bool) -> tuple[float, float]:
    """Sum of a column times the residual and, on request, of its square times the spread."""
    first, square = 0.0, 0.0
    for i in range(x.shape[0]):
        first += x[i] * residual[i]
    if second:
        for i in range(x.shape[0]):
            square += x[i] * x[i] * spread[i]
    return first, square


@_compiled(fastmath=_LOOSE)
def _dense_move(step: float, x: np.ndarray, spread: np.ndarray, residual: np.ndarray, moved: np.ndarray) -> None:
    for i in range(x.shape[0]):
        change = step * x[i]
        moved[i] += change
        residual[i] += change * spread[i]


@_compiled(fastmath=_LOOSE)
def _sparse_sums(
    rows: np.ndarray, values: np.ndarray, residual: np.ndarray, spread: np.ndarray, second: bool
) -> tuple[float, float]:
    first, square = 0.0, 0.0
    for e in range(rows.shape[0]):
        first += values[e] * residual[rows[e]]
    if second:
        for e in range(rows.shape[0]):
            square += values[e] * values[e] * spread[rows[e]]
    return first, square


@_compiled(fastmath=_LOOSE)
def _sparse_move(
    step: float, rows: np.ndarray, values: np.ndarray, spread: np.ndarray, residual: np.ndarray, moved: np.ndarray
) -> None:
    for e in range(rows.shape[0]):
        change = step * values[e]
        moved[rows[e]] += change
        residual[rows[e]] += change * spread[rows[e]]


@_compiled()
def _shrunk(value: float, gradient: float, curvature: float, lasso: float, ridge: float) -> float:
    """Minimiser of a parabola in one coefficient plus its penalty."""
    total = curvature + ridge
    goal = value * curvature - gradient
    if goal > lasso:
        return (goal - lasso) / total
    if goal < -lasso:
        return (goal + lasso) / total
    return 0.0


@_compiled(fastmath=_LOOSE)
def _enter(
    k: int,
    weights: np.ndarray,
    outcome: np.ndarray,
    proba: np.ndarray,
    moved: np.ndarray,
    mean: np.ndarray,
    work: np.ndarray,
) -> None:
    """Gradient of the quadratic model by row for one outcome, the others being as they are, and its derivative."""
    for i in range(outcome.shape[0]):
        mass = weights[i] * proba[k, i]
        work[0, i] = mass * (1.0 + moved[k, i] - mean[i]) - (weights[i] if outcome[i] == k else 0.0)
        work[1, i] = mass * (1.0 - proba[k, i])
        work[2, i] = 0.0


@_compiled(fastmath=_LOOSE)
def _leave(k: int, proba: np.ndarray, moved: np.ndarray, mean: np.ndarray, work: np.ndarray) -> None:
    for i in range(mean.shape[0]):
        moved[k, i] += work[2, i]
        mean[i] += proba[k, i] * work[2, i]


@_compiled(fastmath=_LOOSE)
def _constant(residual: np.ndarray, spread: np.ndarray, moved: np.ndarray, floor: float) -> tuple[float, float]:
    """Newton step of an intercept; also the gradient it started from."""
    first, second = 0.0, floor
    for i in range(residual.shape[0]):
        first += residual[i]
        second += spread[i]
    step = -first / second
    for i in range(residual.shape[0]):
        residual[i] += step * spread[i]
        moved[i] += step
    return step, abs(first)


@_compiled()
def sweep(
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    direction: tuple[np.ndarray, np.ndarray, np.ndarray],
    begin: np.ndarray,
    features: np.ndarray,
    curvature: np.ndarray,
    penalty: tuple[np.ndarray, np.ndarray, np.ndarray],
    slopes: np.ndarray,
    intercepts: np.ndarray,
    free: bool,
    fresh: bool,
) -> float:
    """Visit the listed coefficients once, outcome by outcome, and minimise the quadratic model along each.

    Parameters
    ----------
    columns : dense columns (dense, n); indptr, indices, data of the sparse columns
        Sparse columns come first in the numbering of features.
    rows : weights over their number (n,), realised outcomes (n,), probabilities (outcomes, n)
        Where the quadratic model touches the objective.
    direction : change of the utilities (outcomes, n), its mean under the probabilities (n,), work space (3, n)
        Brought up to date.
    begin : integers, shape (outcomes + 1,)
        Where the list of each outcome begins in `features` and `curvature`.
    features : integers
        Features to visit.
    curvature : floats
        Second derivatives of the same coefficients, computed where `fresh`.
    penalty : weight of absolute values, weight of half the squares, scale; each (features,)
        The scale is the root mean square of the column.
    slopes, intercepts : arrays of shape (outcomes, features) and (outcomes,)
        Brought up to date.
    free : bool
        Whether there are intercepts.
    fresh : bool
        Whether the model is new, so that second derivatives have to be computed.

    Returns
    -------
    float
        Largest gradient that a step has removed, over the scale.
    """
    dense, indptr, indices, data = columns
    weights, outcome, proba = rows
    moved, mean, work = direction
    lasso, ridge, scale = penalty
    sparse = indptr.shape[0] - 1
    residual, spread, total = work[0], work[1], work[2]
    largest = 0.0
    for k in range(slopes.shape[0]):
        if begin[k] == begin[k + 1] and not free:
            continue
        _enter(k, weights, outcome, proba, moved, mean, work)
        for c in range(begin[k], begin[k + 1]):
            f = features[c]
            if f < sparse:
                at = slice(indptr[f], indptr[f + 1])
                gradient, square = _sparse_sums(indices[at], data[at], residual, spread, fresh)
            else:
                gradient, square = _dense_sums(dense[f - sparse], residual, spread, fresh)
            if fresh:
                curvature[c] = square + 1e-9 * scale[f] * scale[f]
            step = _shrunk(slopes[k, f], gradient, curvature[c], lasso[f], ridge[f]) - slopes[k, f]
            if step == 0.0:
                continue
            slopes[k, f] += step
            largest = max(largest, abs(step) * (curvature[c] + ridge[f]) / scale[f])
            if f < sparse:
                at = slice(indptr[f], indptr[f + 1])
                _sparse_move(step, indices[at], data[at], spread, residual, total)
            else:
                _dense_move(step, dense[f - sparse], spread, residual, total)
        if free:
            step, gradient = _constant(residual, spread, total, 1e-9)
            intercepts[k] += step
            largest = max(largest, gradient)
        _leave(k, proba, moved, mean, work)
    return largest
