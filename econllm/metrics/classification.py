"""Which outcome is predicted, and how well a probability tells what happens from what does not."""

from __future__ import annotations

import numpy as np

from econllm.errors import DataError
from econllm.metrics.scores import cluster_correction


def hits(log_proba: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Whether the most probable outcome is the realised one, row by row; the mean is the accuracy.

    Parameters
    ----------
    log_proba : numpy.ndarray, shape (n, choices)
        Log probability of every outcome.
    outcome : numpy.ndarray of int, shape (n,)
        Position of the realised outcome.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)

    Raises
    ------
    DataError
        Without rows.

    Examples
    --------
    >>> hits(np.log([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1])).tolist()
    [1.0, 0.0]
    """
    return top_k(log_proba, outcome, (1,))[:, 0]


def top_k(log_proba: np.ndarray, outcome: np.ndarray, ks: tuple[int, ...]) -> np.ndarray:
    """Whether the realised outcome is among the k most probable ones, row by row and for several k.

    Parameters
    ----------
    log_proba : numpy.ndarray, shape (n, choices)
        Log probability of every outcome.
    outcome : numpy.ndarray of int, shape (n,)
        Position of the realised outcome.
    ks : tuple of int
        Numbers of outcomes.

    Returns
    -------
    numpy.ndarray of float64, shape (n, len(ks))
        One or zero. Of outcomes that are equally probable, the one that comes first in the choice set counts as the
        more probable.

    Raises
    ------
    DataError
        Without rows.

    Examples
    --------
    >>> top_k(np.log([[0.5, 0.3, 0.2], [0.5, 0.25, 0.25]]), np.array([1, 2]), (1, 2)).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    if not len(outcome):
        raise DataError("there are no rows to evaluate.")
    own = np.take_along_axis(log_proba, np.asarray(outcome)[:, None], axis=1)
    before = np.arange(log_proba.shape[1]) < np.asarray(outcome)[:, None]
    rank = 1 + np.sum((log_proba > own) | ((log_proba == own) & before), axis=1)
    out: np.ndarray = (rank[:, None] <= np.asarray(ks)).astype(np.float64)
    return out


def brier(proba: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Brier score of every row: the sum over outcomes of (p - 1{realised})^2; the smaller the better.

    Parameters
    ----------
    proba : numpy.ndarray of float64, shape (n, choices)
        Probability of every outcome.
    outcome : numpy.ndarray of int, shape (n,)
        Position of the realised outcome.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        Between 0 and 2 where probabilities sum to one.

    Notes
    -----
    Brier (1950, Monthly Weather Review 78), a proper score. For two outcomes it is twice the mean squared error of the
    probability of one of them.

    Examples
    --------
    >>> brier(np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 1])).tolist()
    [0.125, 0.5]
    """
    own = np.take_along_axis(proba, np.asarray(outcome)[:, None], axis=1)[:, 0]
    out: np.ndarray = np.einsum("ij,ij->i", proba, proba) - 2 * own + 1
    return out


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve: how often a positive row has the higher score, ties counted as half.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,)
        Such as the probability of a state.
    positive : numpy.ndarray of bool, shape (n,)
        Where the state was realised.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.

    Returns
    -------
    float
        Between 0 and 1; nan where no row or every row is positive.

    Raises
    ------
    DataError
        If a score is nan.

    Notes
    -----
    The Mann-Whitney statistic over the number of pairs (Hanley and McNeil 1982, Radiology 143).

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    share, hit, weight = _placements(scores, positive, weights)
    return _area(share, hit, weight)


def clustered_auc(
    scores: np.ndarray, positive: np.ndarray, clusters: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Area under the ROC curve, with a standard error that allows for dependence within clusters.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,)
        Such as the probability of a state.
    positive : numpy.ndarray of bool, shape (n,)
        Where the state was realised.
    clusters : numpy.ndarray, shape (n,)
        Cluster of every row, usually the person.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.

    Returns
    -------
    area, std_error : float
        Both nan where no row or every row is positive; the standard error also where one cluster holds all positive or
        all other rows.

    Raises
    ------
    DataError
        If a score is nan.

    Notes
    -----
    The placement of a positive row is the share of the others that it beats, the placement of another row the share of
    the positive ones that beat it; the area is the mean of either. Deviations of placements from the area, summed by
    cluster, are the area's influence (Obuchowski 1997, Biometrics 53). With one row per cluster this is the variance of
    DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44). The formula of Hanley and McNeil is for independent rows
    only.

    Examples
    --------
    >>> area, error = clustered_auc(np.array([1, 2, 3, 4]), np.array([False, True, False, True]), np.arange(4))
    >>> area, round(error, 4)
    (0.75, 0.3536)
    """
    share, hit, weight = _placements(scores, positive, weights)
    area = _area(share, hit, weight)
    if np.isnan(area):
        return area, area
    group = np.unique(clusters, return_inverse=True)[1]
    sums, factors = [], []
    for kind in (hit, ~hit):
        mass = weight * kind
        sums.append(np.bincount(group, mass * (share - area)) / mass.sum())
        factors.append(cluster_correction(np.bincount(group, mass)))
    cross = cluster_correction(np.bincount(group, weight))
    own, other = sums
    variance = factors[0] * own @ own + factors[1] * other @ other + 2 * cross * own @ other
    return area, float(np.sqrt(variance))


def roc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """ROC curve: what a falling threshold of the score catches, wrongly and rightly.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,)
        Such as the probability of a state.
    positive : numpy.ndarray of bool, shape (n,)
        Where the state was realised.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.

    Returns
    -------
    false_positive, true_positive : numpy.ndarray of float64
        Corners of the curve from (0, 0) to (1, 1); points on the line between two corners are left out. The area below
        it by trapezoids is :func:`auc`. nan where no row or every row is positive.

    Raises
    ------
    DataError
        If a score is nan.

    Examples
    --------
    >>> false_positive, true_positive = roc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    >>> false_positive.tolist(), true_positive.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    values, hit, weight = _read(scores, positive, weights)
    # A level without weight is a step of length zero, beside which no corner could be told.
    counted = weight > 0
    if not counted.any():
        return np.full(2, np.nan), np.full(2, np.nan)
    values, hit, weight = values[counted], hit[counted], weight[counted]
    level = np.unique(-values, return_inverse=True)[1]
    caught = [np.append(0.0, np.cumsum(np.bincount(level, weight * kind))) for kind in (~hit, hit)]
    across, up = np.diff(caught[0]), np.diff(caught[1])
    corner = np.append(True, np.append(across[:-1] * up[1:] != across[1:] * up[:-1], True))
    with np.errstate(invalid="ignore"):
        return caught[0][corner] / caught[0][-1], caught[1][corner] / caught[1][-1]


def _read(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, hit = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    lost = int(np.isnan(values).sum())
    if lost:
        raise DataError(f"the score is not a number (nan) in {lost} of {len(values)} rows.")
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    return values, hit, weight


def _placements(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the rows of the other kind that are on the right side of each row; which are positive; weights."""
    values, hit, weight = _read(scores, positive, weights)
    level = np.unique(values, return_inverse=True)[1]
    positives, others = np.bincount(level, weight * hit), np.bincount(level, weight * ~hit)
    below = np.cumsum(others) - others / 2
    above = positives.sum() - np.cumsum(positives) + positives / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(hit, below[level] / others.sum(), above[level] / positives.sum()), hit, weight


def _area(share: np.ndarray, hit: np.ndarray, weight: np.ndarray) -> float:
    if not weight[hit].any() or not weight[~hit].any():
        return float("nan")
    return float(np.average(share[hit], weights=weight[hit]))
