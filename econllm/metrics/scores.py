"""Log scores: means with clustered standard errors, and perplexity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from econllm.errors import DataError, OptionError, check_number


@dataclass(frozen=True)
class MeanScore:
    """A mean over rows, with a standard error that allows for dependence within clusters.

    Attributes
    ----------
    mean : float
        Weighted mean of the scores; in nats for log probabilities.
    std_error : float
        Linearised standard error of the ratio of cluster sums; nan with a single cluster.
    df : int
        Degrees of freedom of the t distribution, clusters less one.
    n, clusters : int
        Rows, and clusters with a row of positive weight.

    Examples
    --------
    >>> MeanScore(-1.0, 0.1, 10, 50, 11).interval(0.95)[0] < -1.2
    True
    """

    mean: float
    std_error: float
    df: int
    n: int
    clusters: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the mean, by the t distribution."""
        half = self.std_error * stats.t.ppf(0.5 + level / 2, self.df) if self.df > 0 else np.nan
        return float(self.mean - half), float(self.mean + half)

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of a zero mean; one where the mean and its error are exactly zero."""
        if self.mean == 0 and self.std_error == 0:
            return 1.0
        if self.df <= 0 or not self.std_error > 0:
            return float("nan")
        return float(2 * stats.t.sf(abs(self.mean) / self.std_error, self.df))


def mean_score(scores: np.ndarray, clusters: np.ndarray, weights: np.ndarray | None = None) -> MeanScore:
    """Average scores over rows, with a clustered standard error.

    Parameters
    ----------
    scores : numpy.ndarray of float64, shape (n,)
        One score per row, such as the log probability of what happened.
    clusters : numpy.ndarray, shape (n,)
        Cluster of every row, usually the person.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.

    Returns
    -------
    MeanScore
        With L_i and T_i the (weighted) score and number of rows of cluster i, the mean is sum L_i / sum T_i and its
        variance G / (G - 1) * sum (L_i - mean * T_i)^2 / (sum T_i)^2: the linearised ratio.

    Raises
    ------
    DataError
        Without rows.

    Notes
    -----
    An infinite score (probability zero) makes the mean infinite and the standard error nan. Rows of weight zero do not
    count, whatever their score, nor do clusters that have no other rows; without any weight the mean is nan.

    Examples
    --------
    >>> mean_score(np.array([-1.0, -3.0]), np.array([1, 2])).mean
    -2.0
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        raise DataError("there are no rows to evaluate.")
    weight = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    counted, rows = weight > 0, len(scores)
    scores, weight = scores[counted], weight[counted]
    _, group = np.unique(np.asarray(clusters)[counted], return_inverse=True)
    total = np.bincount(group, weight)
    count = len(total)
    with np.errstate(invalid="ignore"):  # differences that are infinite in both directions have no mean
        mean = float(np.sum(weight * scores) / np.sum(weight)) if count else float("nan")
    if not np.isfinite(mean) or count < 2:
        return MeanScore(mean, float("nan"), count - 1, rows, count)
    residual = np.bincount(group, weight * scores) - mean * total
    variance = count / (count - 1) * np.sum(residual**2) / np.sum(total) ** 2
    return MeanScore(mean, float(np.sqrt(variance)), count - 1, rows, count)


def cluster_correction(mass: np.ndarray) -> float:
    """Small-sample factor G / (G - 1) of a variance from sums of clusters.

    Parameters
    ----------
    mass : numpy.ndarray, shape (clusters,)
        Weight of every cluster; those without any do not count.

    Returns
    -------
    float
        nan for a single cluster.

    Examples
    --------
    >>> cluster_correction(np.array([2.0, 0.0, 1.0]))
    2.0
    """
    count = int(np.sum(mass > 0))
    return count / (count - 1) if count > 1 else float("nan")


@dataclass(frozen=True)
class Perplexity:
    """Perplexity with a confidence interval.

    Attributes
    ----------
    value : float
        exp(-mean log score): the size of the uniform choice set that would be as hard to predict. Between 1 and the
        number of occupations for a model that beats guessing.
    std_error : float
        Delta method, value times the standard error of the mean log score.
    conf_int : tuple of float
        Computed on the mean log score (t with clusters less one) and carried over by exp, so it is not symmetric.
    n, persons : int
        Rows, and clusters (persons by default) with a row of positive weight.
    log_score : MeanScore
        The mean log score in nats.
    level : float
        Coverage of the interval.
    first_records : int
        How many of the rows are first records, which have no history and are harder to predict.

    Notes
    -----
    Athey et al. (arXiv 2406.17972): micro-averaged over all person-transitions.

    Examples
    --------
    >>> perplexity(np.log([0.5, 0.5]), np.array([1, 2])).value
    2.0
    """

    value: float
    std_error: float
    conf_int: tuple[float, float]
    n: int
    persons: int
    log_score: MeanScore
    level: float = 0.95
    first_records: int = 0

    def __str__(self) -> str:
        low, high = self.conf_int
        first = f"{self.first_records:,} of them first records, " if self.first_records else ""
        return (
            f"perplexity {self.value:.3f} (SE {self.std_error:.3f}, "
            f"{100 * self.level:.6g}% CI {low:.3f} to {high:.3f}; "
            f"{self.n:,} rows, {first}{self.persons:,} clusters)"
        )


def perplexity(
    log_scores: np.ndarray, clusters: np.ndarray, weights: np.ndarray | None = None, level: float = 0.95
) -> Perplexity:
    """Perplexity of realised outcomes.

    Parameters
    ----------
    log_scores : numpy.ndarray, shape (n,)
        Log probability of every realised outcome, in nats.
    clusters, weights : numpy.ndarray
        As in :func:`mean_score`.
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    Perplexity

    Raises
    ------
    DataError
        Without rows, without a row of positive weight, or where scores are nan.
    OptionError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> perplexity(np.log([0.25, 0.25]), np.array([1, 2])).value
    4.0
    """
    check_level(level)
    lost = int(np.isnan(log_scores).sum())
    if lost:
        raise DataError(f"the log probability is not a number (nan) in {lost} of {len(log_scores)} rows.")
    if weights is not None and len(weights) and not np.any(weights):
        raise DataError(f"all {len(weights)} rows to evaluate have weight zero.")
    score = mean_score(log_scores, clusters, weights)
    low, high = score.interval(level)
    value = float(np.exp(-score.mean))
    return Perplexity(
        value,
        value * score.std_error,
        (float(np.exp(-high)), float(np.exp(-low))),
        score.n,
        score.clusters,
        score,
        level,
    )


def check_level(level: float) -> None:
    """Raise unless a confidence level lies between 0 and 1.

    Raises
    ------
    OptionError
        Naming the value; 95 is taken for a percentage.

    Examples
    --------
    >>> check_level(0.95)
    """
    check_number("level", level, above=0)
    if level >= 1:
        hint = f" Did you mean {level / 100:g}?" if 1 < level < 100 else ""
        raise OptionError(f"level={level!r} is not allowed: give a number between 0 and 1.{hint}")
