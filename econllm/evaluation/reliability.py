"""How often an event happens, by its predicted probability: isotonic regression, with bands."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from econllm.errors import DataError
from econllm.options import Seed, child_seed, resolve_seed
from econllm.resampling import check_replications, person_weights

# Points of a curve at most; events that must lie at or below a point, and rows without the event at or above it.
_POINTS, _FEWEST = 200, 5


def reliability_curve(
    proba: np.ndarray,
    happened: np.ndarray,
    clusters: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    level: float = 0.95,
    replications: int = 200,
    seed: Seed = 0,
) -> pd.DataFrame:
    """Estimate how often an event happens as an increasing function of its predicted probability.

    Parameters
    ----------
    proba : numpy.ndarray of float64, shape (n,)
        Predicted probability.
    happened : numpy.ndarray of bool, shape (n,)
        Whether the event happened.
    clusters : numpy.ndarray, shape (n,)
        Cluster of every row, usually the person.
    weights : numpy.ndarray, shape (n,), optional
        Sampling weights.
    level : float
        Coverage of the band, point by point.
    replications : int
        Draws of exponential weights on clusters.
    seed : int, SeedSequence, Generator or None
        Source of randomness.

    Returns
    -------
    pandas.DataFrame
        At no more than 200 quantiles of the predictions: predicted, observed (isotonic regression), lower, upper
        (percentiles over the draws, stretched to hold the curve), density (share of the rows next to that point). There
        is no curve (nan) where fewer than 5 events lie at or below a point, or fewer than 5 rows without the event at
        or above it.

    Raises
    ------
    DataError
        Without rows of positive weight.
    OptionError
        For fewer than two replications.

    Notes
    -----
    Isotonic regression needs no bins (Dimitriadis, Gneiting and Jordan 2021, PNAS 118). It converges at the rate of the
    cube root, and at its ends not at all, which is why the curve stops short of them. At a single point the bootstrap
    is not consistent either (Abrevaya and Huang 2005, Econometrica 73); still, for simulated probabilities that are
    right, a 95% band covers the diagonal at about 95% of the points. It is a guide to the eye and no joint test; the
    slope of :func:`econllm.metrics.recalibration` is one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(500)
    >>> curve = reliability_curve(p, rng.random(500) < p, np.arange(500))
    >>> bool((curve["observed"] - curve["predicted"]).abs().mean() < 0.1)
    True
    """
    check_replications(replications, seed, None, None)
    mass = np.ones(len(proba)) if weights is None else weights
    counted = mass > 0
    if not counted.any():
        raise DataError("there are no rows of positive weight in which the event could happen.")
    levels, place = np.unique(proba[counted], return_inverse=True)
    mass, hit = mass[counted], happened[counted]
    labels, group = np.unique(np.asarray(clusters)[counted], return_inverse=True)
    grid = np.unique(np.quantile(place, np.linspace(0, 1, _POINTS), method="nearest"))

    def curve(weight: np.ndarray) -> np.ndarray:
        total = np.bincount(place, weight)
        fitted: np.ndarray = isotonic_regression(np.bincount(place, weight * hit) / total, weights=total).x[grid]
        return fitted

    root = resolve_seed(seed)
    draws = np.stack(
        [curve(mass * person_weights(labels, child_seed(root, b)).to_numpy()[group]) for b in range(replications)]
    )
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    observed, predicted = curve(mass), levels[grid]
    events, others = np.bincount(place, hit), np.bincount(place, ~hit)
    known = (np.cumsum(events)[grid] >= _FEWEST) & (np.cumsum(others[::-1])[::-1][grid] >= _FEWEST)
    nearest = np.searchsorted((predicted[1:] + predicted[:-1]) / 2, levels[place])
    frame = pd.DataFrame(
        {
            "predicted": predicted,
            "observed": observed,
            "lower": np.minimum(lower, observed),
            "upper": np.maximum(upper, observed),
            "density": np.bincount(nearest, mass, len(grid)) / mass.sum(),
        }
    )
    frame.loc[~known, ["observed", "lower", "upper"]] = np.nan
    return frame
