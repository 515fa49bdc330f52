"""Whether events happen as often as their probabilities say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from econllm.errors import DataError

# The logit of zero and of one is infinite: probabilities are kept this far from both.
_CLOSEST = 1e-12
_ITERATIONS = 100
# Beyond this condition number the steps of Newton's method are noise.
_SINGULAR = 1e14


@dataclass(frozen=True)
class Recalibration:
    """Logistic recalibration of the probabilities of an event.

    Attributes
    ----------
    intercept, intercept_std_error : float
        Calibration in the large: a in logit P(event) = a + logit(p). Zero is perfect; above zero, the event happens
        more often than predicted. nan where the event never or always happens.
    slope, slope_std_error : float
        b in logit P(event) = a + b logit(p). One is perfect; below one, predictions are too extreme. nan also where the
        probabilities separate the rows with the event from those without it, but for a negligible weight, or do not
        vary.
    clipped : int
        Rows whose probability was moved away from zero or one to have a logit.

    Examples
    --------
    >>> Recalibration(0.0, 0.1, 1.0, 0.2, 0).slope
    1.0
    """

    intercept: float
    intercept_std_error: float
    slope: float
    slope_std_error: float
    clipped: int


def recalibration(
    proba: np.ndarray, happened: np.ndarray, clusters: np.ndarray, weights: np.ndarray | None = None
) -> Recalibration:
    """Regress an event on the logit of its predicted probability.

    Parameters
    ----------
    proba : numpy.ndarray of float64, shape (n,)
        Predicted probability of the event. Where it is not between 1e-12 and 1 - 1e-12, the nearer bound is taken.
    happened : numpy.ndarray of bool, shape (n,)
        Whether it happened.
    clusters : numpy.ndarray, shape (n,)
        Cluster of every row, usually the person.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.

    Returns
    -------
    Recalibration
        Standard errors are sandwiches of cluster sums times G / (G - 1); nan with a single cluster.

    Raises
    ------
    DataError
        If a probability is nan.

    Notes
    -----
    Cox (1958, Biometrika 45): the intercept is estimated with the slope held at one, the slope together with an
    intercept of its own. Both by maximum likelihood.

    Examples
    --------
    >>> event = np.array([True, False, True, False, True, False])
    >>> found = recalibration(np.array([0.6, 0.6, 0.6, 0.4, 0.4, 0.4]), event, np.arange(6))
    >>> round(found.intercept, 6), round(found.slope, 6)
    (0.0, 1.709511)
    """
    p, y = np.asarray(proba, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    if np.isnan(p).any():
        raise DataError(f"the probability is not a number (nan) in {int(np.isnan(p).sum())} of {len(p)} rows.")
    weight = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=np.float64)
    counted = weight > 0
    p, y, weight, clusters = p[counted], y[counted], weight[counted], np.asarray(clusters)[counted]
    kept = np.clip(p, _CLOSEST, 1 - _CLOSEST)
    x = np.log(kept) - np.log1p(-kept)
    group = np.unique(clusters, return_inverse=True)[1]
    ones = np.ones_like(x)
    intercept = slope = (float("nan"), float("nan"))
    share = float(np.average(y, weights=weight)) if len(y) else 0.0
    if 0 < share < 1:
        constant = float(logit(share))
        shift = np.array([_balance(x, y, weight, constant)])
        intercept = _fit(ones[:, None], shift, y, x, weight, group)
        if _overlap(x[y == 1], x[y == 0]):
            # From the constant probability with scaled logits: far from there Newton's equations can be singular.
            centre = np.average(x, weights=weight)
            scale = float(np.sqrt(np.average((x - centre) ** 2, weights=weight)))
            design = np.column_stack([ones, (x - centre) / scale])
            scaled, error = _fit(design, np.array([constant, 0.0]), y, np.zeros_like(x), weight, group)
            slope = scaled / scale, error / scale
    return Recalibration(*intercept, *slope, int(np.sum(kept != p)))


def _overlap(events: np.ndarray, others: np.ndarray) -> bool:
    """Whether no threshold separates the two, so that the slope is finite."""
    return bool(events.min() < others.max() and others.min() < events.max())


def _balance(x: np.ndarray, y: np.ndarray, weight: np.ndarray, constant: float) -> float:
    """Shift of all logits at which as many events are predicted as happened."""

    def surplus(shift: float) -> float:
        return float(weight @ (expit(x + shift) - y))

    # With this shift of the largest or of the smallest logit, all others predict too few or too many.
    low, high = constant - x.max(), constant - x.min()
    return float(brentq(surplus, low - 1, high + 1, xtol=1e-12))


def _fit(
    design: np.ndarray, start: np.ndarray, y: np.ndarray, offset: np.ndarray, weight: np.ndarray, group: np.ndarray
) -> tuple[float, float]:
    """Last coefficient of a logit with an offset, by Newton's method, and its clustered standard error."""

    def loss(at: np.ndarray) -> float:
        index = offset + design @ at
        return float(weight @ (np.logaddexp(0, index) - y * index))

    beta = start
    for _ in range(_ITERATIONS):
        mean = expit(offset + design @ beta)
        score = design * (weight * (y - mean))[:, None]
        curvature = (design * (weight * mean * (1 - mean))[:, None]).T @ design
        if np.linalg.cond(curvature) > _SINGULAR:
            return float("nan"), float("nan")
        inverse = np.linalg.inv(curvature)
        step = inverse @ score.sum(axis=0)
        gain = float(score.sum(axis=0) @ step)
        if gain < 1e-20 * weight.sum():
            break
        # Far from the optimum a full step can overshoot; next to it, the losses differ by rounding only.
        highest = loss(beta) + 1e-10 * weight.sum()
        while loss(beta + step) > highest:
            step = step / 2
        beta = beta + step
    else:
        return float("nan"), float("nan")
    count = group.max() + 1
    sums = np.column_stack([np.bincount(group, column) for column in score.T])
    factor = count / (count - 1) if count > 1 else np.nan
    return float(beta[-1]), float(np.sqrt(factor * np.sum((sums @ inverse[-1]) ** 2)))
