"""Numbers that diagnose predictions: per model, per event, and in groups of rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.evaluation.events import Event
from econllm.evaluation.rows import KS, EvaluatedRows, Scored
from econllm.sample import groups_of


def measure_models(scored: Mapping[str, Scored], rows: EvaluatedRows) -> pd.DataFrame:
    """Top-k accuracy and Brier score of every model.

    Parameters
    ----------
    scored : mapping of str to Scored
        Predictions by model.
    rows : EvaluatedRows
        The test rows.

    Returns
    -------
    pandas.DataFrame
        By model: top_1, top_3, top_5 (as far as there are more outcomes) and brier, each with its std_error; mass,
        flags.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(20, 4, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> list(measure_models({"Oracle": score("Oracle", oracle, rows, {})}, rows))[:3]
    ['top_1', 'top_1_std_error', 'top_3']
    """
    out = {}
    for name, s in scored.items():
        values = {f"top_{k}": s.hits[:, i] for i, k in enumerate(KS) if k == 1 or k < len(rows.choices)}
        line: dict[str, object] = {}
        for measure, value in {**values, "brier": s.brier}.items():
            found = metrics.mean_score(value, rows.clusters, rows.weights)
            line[measure], line[f"{measure}_std_error"] = found.mean, found.std_error
        out[name] = {**line, "mass": s.mass, "flags": s.flags}
    return pd.DataFrame.from_dict(out, orient="index").rename_axis("model")


def measure_events(scored: Mapping[str, Scored], events: Mapping[str, Event], rows: EvaluatedRows) -> pd.DataFrame:
    """Discrimination and calibration of every model, event by event.

    Parameters
    ----------
    scored : mapping of str to Scored
        Predictions by model.
    events : mapping of str to Event
        What may have happened.
    rows : EvaluatedRows
        The test rows.

    Returns
    -------
    pandas.DataFrame
        By model and event: observed, predicted; auc, intercept, slope and brier, each with its std_error; rows,
        clusters, clipped.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.events import find_events
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(50, 4, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> events = find_events(None, rows.choices, rows.outcome, rows.last)
    >>> scored = {"Oracle": score("Oracle", oracle, rows, events)}
    >>> measure_events(scored, events, rows)["auc"].between(0.5, 1).tolist()
    [True]
    """
    out = {
        (name, e.name): _measure_event(s.events[e.name], e, rows) for name, s in scored.items() for e in events.values()
    }
    return _labelled(out, {"model": list(scored), "event": list(events)})


def _measure_event(proba: np.ndarray, event: Event, rows: EvaluatedRows) -> dict[str, float]:
    happened = event.happened
    arrays = rows.clusters[event.rows], rows.weights_of(event.rows)
    area, area_error = metrics.clustered_auc(proba, happened, *arrays)
    fit = metrics.recalibration(proba, happened, *arrays)
    square = metrics.mean_score((happened - proba) ** 2, *arrays)
    return {
        "observed": metrics.mean_score(happened, *arrays).mean,
        "predicted": metrics.mean_score(proba, *arrays).mean,
        "auc": area,
        "auc_std_error": area_error,
        "intercept": fit.intercept,
        "intercept_std_error": fit.intercept_std_error,
        "slope": fit.slope,
        "slope_std_error": fit.slope_std_error,
        "brier": square.mean,
        "brier_std_error": square.std_error,
        "rows": square.n,
        "clusters": square.clusters,
        "clipped": fit.clipped,
    }


def gaps_by_group(
    scored: Mapping[str, Scored], events: Mapping[str, Event], rows: EvaluatedRows, labels: np.ndarray, level: float
) -> pd.DataFrame:
    """Calibration in the large: observed share less mean prediction of events, in groups.

    Parameters
    ----------
    scored, events, rows
        As in :func:`measure_events`.
    labels : numpy.ndarray, shape (n,)
        Group of every row; rows without a label belong to none.
    level : float
        Coverage of intervals.

    Returns
    -------
    pandas.DataFrame
        By model, event and group: observed, predicted, difference, std_error (clustered), lower, upper, n, clusters.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.events import find_events
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(50, 4, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> events = find_events(None, rows.choices, rows.outcome, rows.last)
    >>> scored = {"Oracle": score("Oracle", oracle, rows, events)}
    >>> gaps_by_group(scored, events, rows, panel.to_frame()["sex"].to_numpy(), 0.95).index.tolist()
    [('Oracle', 'move', 'female'), ('Oracle', 'move', 'male')]
    """
    out = {}
    for name, s in scored.items():
        for event in events.values():
            here = labels[event.rows]
            for group in groups_of(here):
                at = here == group
                out[name, event.name, group] = _gap(s.events[event.name][at], event, at, rows, level)
    return _labelled(out, {"model": list(scored), "event": list(events), "group": groups_of(labels)})


def _gap(proba: np.ndarray, event: Event, at: np.ndarray, rows: EvaluatedRows, level: float) -> dict[str, float]:
    where, happened = np.flatnonzero(event.rows)[at], event.happened[at]
    arrays = rows.clusters[where], rows.weights_of(where)
    gap = metrics.mean_score(happened - proba, *arrays)
    lower, upper = gap.interval(level)
    return {
        "observed": metrics.mean_score(happened, *arrays).mean,
        "predicted": metrics.mean_score(proba, *arrays).mean,
        "difference": gap.mean,
        "std_error": gap.std_error,
        "lower": lower,
        "upper": upper,
        "n": gap.n,
        "clusters": gap.clusters,
    }


def perplexity_by_group(
    scored: Mapping[str, Scored], rows: EvaluatedRows, labels: np.ndarray, groups: Sequence[Hashable], level: float
) -> pd.DataFrame:
    """Perplexity in groups of rows.

    Parameters
    ----------
    scored, rows
        As in :func:`measure_models`.
    labels : numpy.ndarray, shape (n,)
        Group of every row.
    groups : sequence
        The groups that are wanted; one whose rows all have survey weight zero is left out.
    level : float
        Coverage of intervals.

    Returns
    -------
    pandas.DataFrame
        By model and group: perplexity, std_error (clustered), lower, upper, n, clusters.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(20, 4, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> scored = {"Oracle": score("Oracle", oracle, rows, {})}
    >>> perplexity_by_group(scored, rows, panel.is_first, [True], 0.95)["n"].tolist()
    [20]
    """
    out = {}
    for name, s in scored.items():
        for group in groups:
            at = labels == group
            weights = rows.weights_of(at)
            if weights is not None and not weights.any():
                continue
            found = metrics.perplexity(s.scores[at], rows.clusters[at], weights, level)
            lower, upper = found.conf_int
            out[name, group] = {
                "perplexity": found.value,
                "std_error": found.std_error,
                "lower": lower,
                "upper": upper,
                "n": found.n,
                "clusters": found.persons,
            }
    return _labelled(out, {"model": list(scored), "group": list(groups)})


def _labelled(numbers: Mapping[tuple[Any, ...], dict[str, float]], levels: Mapping[str, list[Any]]) -> pd.DataFrame:
    """One row per key, in the order of the levels: pandas finds parts of such an index without a search."""
    codes = [
        pd.Index(level, dtype=object).get_indexer([key[i] for key in numbers])
        for i, level in enumerate(levels.values())
    ]
    index = pd.MultiIndex(list(levels.values()), codes, names=list(levels))
    return pd.DataFrame(list(numbers.values()), index=index)
