"""Many comparisons at once: adjusted p-values, and the set of models that may be the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from econllm.errors import OptionError

# Ties in the bootstrap distribution are broken against the finding.
_ROUNDING = 1e-12


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values so that the chance of any false finding among them is held, whatever their dependence.

    Parameters
    ----------
    p_values : numpy.ndarray, shape (m,)
        Missing ones are no hypotheses and stay missing.

    Returns
    -------
    numpy.ndarray, shape (m,)

    Notes
    -----
    Holm (1979, Scandinavian Journal of Statistics 6): the k-th smallest of m is multiplied by m - k + 1, and none is
    smaller than one before it.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return out


def multiplier_draws(
    influence: Sequence[np.ndarray], clusters: Sequence[int], draws: int, seed: np.random.SeedSequence
) -> np.ndarray:
    """Draw deviations of means by weighting clusters at random.

    Parameters
    ----------
    influence : sequence of numpy.ndarray, each of shape (all clusters, m)
        Group of rows by group of rows, what every cluster adds to the deviation of each of m means; columns sum to
        zero.
    clusters : sequence of int
        How many of the clusters have rows in each group.
    draws : int
        Number of draws.
    seed : numpy.random.SeedSequence
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (draws, sum of m)
        Deviations with the covariance of the means, from exponential weights less one, and tails as those of t: every
        draw of a group is divided by the root of a chi-squared variable over its degrees of freedom, clusters less one,
        as statistics are divided by an estimated standard error. nan for a group of fewer than two clusters.

    Examples
    --------
    >>> multiplier_draws([np.array([[0.5], [-0.5]])], [2], 3, np.random.SeedSequence(0)).shape
    (3, 1)
    """
    together = np.hstack(influence)
    generator = np.random.default_rng(seed)
    out = np.empty((draws, together.shape[1]))
    # In blocks: all weights at once would be draws times clusters numbers.
    block = max(1, 2_000_000 // max(len(together), 1))
    for start in range(0, draws, block):
        weights = generator.standard_exponential((min(block, draws - start), len(together))) - 1.0
        with np.errstate(invalid="ignore"):  # a mean that is infinite has deviations that are nan
            out[start : start + len(weights)] = weights @ together
    end = 0
    for part, count in zip(influence, clusters, strict=True):
        start, end = end, end + part.shape[1]
        if count < 2:
            out[:, start:end] = np.nan
            continue
        tails = generator.chisquare(count - 1, (draws, 1)) / (count - 1)
        out[:, start:end] *= np.sqrt(count / (count - 1) / tails)
    return out


def romano_wolf(estimates: np.ndarray, std_errors: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Adjust p-values by the joint distribution of the statistics, which costs less power than :func:`holm`.

    Parameters
    ----------
    estimates, std_errors : numpy.ndarray, shape (m,)
        Differences that are zero under their hypotheses, and their standard errors. Where the standard error is zero or
        missing there is no hypothesis, and the p-value is missing.
    deviations : numpy.ndarray, shape (draws, m)
        Draws of the estimates about their values, see :func:`multiplier_draws`.

    Returns
    -------
    numpy.ndarray, shape (m,)
        Two-sided, at least 1 / (draws + 1).

    Notes
    -----
    Romano and Wolf (2005, Econometrica 73; 2016, Statistics and Probability Letters 113): the largest statistic is held
    against the distribution of the largest of all, the next against that of the largest of those left, and so on.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(999, 2))
    >>> romano_wolf(np.array([5.0, 0.0]), np.ones(2), draws).round(2).tolist()
    [0.0, 1.0]
    """
    out = np.full(len(estimates), np.nan)
    tested = np.flatnonzero(np.isfinite(estimates) & (std_errors > 0))
    if not len(tested):
        return out
    statistics = np.abs(estimates[tested] / std_errors[tested])
    order = np.argsort(-statistics, kind="stable")
    drawn = np.abs(deviations[:, tested[order]] / std_errors[tested[order]])
    # Column k: the largest of the k-th and all after it.
    largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
    exceed = (largest >= statistics[order] - _ROUNDING).sum(axis=0)
    out[tested[order]] = np.maximum.accumulate((exceed + 1) / (len(drawn) + 1))
    return out


def confidence_set(means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """P-values of the model confidence set: a model is in the set of level 1 - a where its p-value is at least a.

    Parameters
    ----------
    means : numpy.ndarray, shape (models,)
        Mean log score of every model, larger is better; a missing or infinite one is not in any set (p-value 0). Where
        deviations are missing, all p-values are.
    deviations : numpy.ndarray, shape (draws, models)
        Draws of the means about their values, see :func:`multiplier_draws`.

    Returns
    -------
    numpy.ndarray, shape (models,)

    Raises
    ------
    OptionError
        If the shapes do not fit.

    Notes
    -----
    Hansen, Lunde and Nason (2011, Econometrica 79), with the statistic T_max: models leave one by one, the worst first,
    each with the p-value of the test that those still in are equally good; a p-value is the largest of those so far.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(999, 3)) / 10
    >>> (confidence_set(np.array([-1.0, -1.01, -3.0]), draws) > 0.1).tolist()
    [True, True, False]
    """
    if deviations.ndim != 2 or deviations.shape[1] != len(means):
        raise OptionError(f"deviations has shape {deviations.shape}; expected (draws, {len(means)}).")
    out = np.zeros(len(means))
    left = list(np.flatnonzero(np.isfinite(means)))
    if not np.isfinite(deviations[:, left]).all():
        return np.full(len(means), np.nan)
    largest = 0.0
    while len(left) > 1:
        gaps = means[left] - means[left].mean()
        drawn = deviations[:, left] - deviations[:, left].mean(axis=1, keepdims=True)
        errors = drawn.std(axis=0)
        # Models without any variation about the mean of all are equal to it, but for rounding.
        safe = np.where(errors > _ROUNDING, errors, np.inf)
        statistics = -gaps / safe
        worst = int(np.argmax(statistics))
        exceed = (np.max(-drawn / safe, axis=1) >= statistics[worst] - _ROUNDING).sum()
        largest = max(largest, (exceed + 1) / (len(drawn) + 1))
        out[left.pop(worst)] = largest
    if left:
        out[left[0]] = 1.0
    return out
