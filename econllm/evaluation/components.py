"""Where the variation of a mean log score comes from: the training sample, the chance of training, the test sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Components:
    """Variances of a mean log score over training samples and over seeds.

    Attributes
    ----------
    training : float
        Over training samples, in squared nats. Where every replication had one seed it holds the seed's part, too.
    seed : float
        Over seeds of stochastic training (order of the examples and initial values), in squared nats; nan where every
        replication had one seed.
    between : float
        Variance of the mean scores over replications, from which `training` is computed.
    df_training, df_seed : int
        Degrees of freedom of `between` and of `seed`.

    Examples
    --------
    >>> part = Components(training=4e-4, seed=float("nan"), between=5e-4, df_training=9, df_seed=0)
    >>> variance, df = part.total(1e-4)
    >>> round(variance, 6), round(df, 1)
    (0.0005, 9.0)
    """

    training: float
    seed: float
    between: float
    df_training: int
    df_seed: int

    def total(self, test: float, df_test: float = np.inf) -> tuple[float, float]:
        """Add the variance over test samples, and give the degrees of freedom of the sum.

        Parameters
        ----------
        test : float
            Variance of the score of a fitted model over test samples, in squared nats.
        df_test : float
            Its degrees of freedom, clusters less one.

        Returns
        -------
        variance, degrees of freedom : float
            By Satterthwaite (1946, Biometrics Bulletin 2): the squared sum over the sum of squares of what was
            measured, each divided by its degrees of freedom. The training part is a difference, as uncertain as what it
            was taken from.
        """
        seed = self.seed if self.df_seed else 0.0
        measured = [(self.between, self.df_training), (seed, self.df_seed), (test, df_test)]
        variance = self.training + seed + test
        spread = sum(value**2 / df for value, df in measured if df > 0)
        if not spread > 0:
            return float(variance), float(df_test)
        # A sum is no less certain than the least certain of its parts; a part set to zero would say otherwise.
        least = min(df for value, df in measured if df > 0 and value > 0)
        return float(variance), float(max(variance**2 / spread, least))


def components(scores: np.ndarray, counts: np.ndarray) -> Components:
    """Split the variation over replications into training sample and seed.

    Parameters
    ----------
    scores : numpy.ndarray, shape (replications, seeds, persons)
        Sums of log probabilities by test person, or differences of such sums between two models.
    counts : numpy.ndarray, shape (persons,)
        Transitions of each test person.

    Returns
    -------
    Components
        Never negative: an estimate below zero, which small components have by chance, is set to zero.

    Notes
    -----
    Training samples are crossed with test persons, seeds nested in training samples. The score of replication b and
    seed r on the test persons at hand, s_br, varies with b partly because some training samples suit just these
    persons: that part shrinks with the number of test persons, belongs to the test variance of a fitted model, and is
    taken off. With u_bri = (L_bri - s_br T_i) / sum T the part of person i, and n persons,

    - interaction with b: sum over b and i of ``(u_b.i - u_..i)^2 n / (n - 1) / (B - 1)``,
    - seed: mean variance of s_br within b, less the interaction with r found in the same manner within b,
    - training: variance of s_b. over b, less the interaction with b, less the seed's variance / R.

    These are the expected mean squares of an analysis of variance with random effects (Searle, Casella and McCulloch
    1992, Variance Components), so that few replications cause no bias but where an estimate is cut off at zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> effects = rng.normal(size=(2000, 1, 1)) * 0.3 + rng.normal(size=(2000, 1, 50)) - 1
    >>> round(components(effects, np.ones(50)).training, 2)
    0.09
    """
    replications, seeds, persons = scores.shape
    total = counts.sum()
    with np.errstate(invalid="ignore"):  # probability zero: all of it becomes nan
        means = scores.sum(axis=2) / total
        parts = (scores - means[:, :, None] * counts) / total
        correction = persons / (persons - 1) if persons > 1 else np.nan
        averaged = parts.mean(axis=1)
        crossed = correction * np.sum((averaged - averaged.mean(axis=0)) ** 2) / (replications - 1)
        between = float(means.mean(axis=1).var(ddof=1))
        training = between - crossed
        if seeds == 1:
            return Components(_at_least_zero(training), np.nan, between, replications - 1, 0)
        df = replications * (seeds - 1)
        nested = correction * np.sum((parts - averaged[:, None]) ** 2) / df
        seed = means.var(axis=1, ddof=1).mean() - nested
    return Components(_at_least_zero(training - seed / seeds), _at_least_zero(seed), between, replications - 1, df)


def _at_least_zero(value: float) -> float:
    return float(value) if np.isnan(value) else max(float(value), 0.0)


def interval(estimate: float, variance: float, df: float, level: float) -> tuple[float, float]:
    """Confidence interval of a mean log score by the t distribution.

    Examples
    --------
    >>> [round(bound, 2) for bound in interval(-1.0, 0.01, 10, 0.95)]
    [-1.22, -0.78]
    """
    if not variance >= 0 or not df > 0:
        return float("nan"), float("nan")
    half = np.sqrt(variance) * stats.t.ppf(0.5 + level / 2, df)
    return float(estimate - half), float(estimate + half)
