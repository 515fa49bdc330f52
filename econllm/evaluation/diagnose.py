"""Diagnose predicted probabilities: are they right, for whom, and where do they go wrong."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.base import Results
from econllm.errors import DataError, listing
from econllm.evaluation.bootstrap import check_results
from econllm.evaluation.diagnostics import Diagnostics
from econllm.evaluation.events import Event, find_events
from econllm.evaluation.measures import measure_events, measure_models
from econllm.evaluation.rows import EvaluatedRows, Scored, read_rows, sample_words, score
from econllm.sample import Data


def diagnose(
    fitted: Mapping[str, Results] | Results,
    test: Data,
    *,
    states: Mapping[str, Sequence[Hashable]] | None = None,
    weights: bool = False,
    cluster: str = "person",
    level: float = 0.95,
) -> Diagnostics:
    """Diagnose predicted probabilities on test rows.

    Parameters
    ----------
    fitted : mapping of str to Results, or Results
        The models, by the names under which they appear; a single one goes by its kind.
    test : CareerPanel or DataFrame
        Rows with outcomes that were not used in estimation.
    states : mapping of str to sequence, optional
        States whose probability is diagnosed beside that of a move: by name, the codes or titles of the occupations
        that make them up, {"Not working": [1002]}.
    weights : bool
        Weight rows by the panel's survey weights.
    cluster : str
        "person" (the row itself in a data frame), or a column.
    level : float
        Coverage of intervals and bands.

    Returns
    -------
    Diagnostics
        Prints as text; ``to_latex``, ``to_html`` and ``to_markdown`` export it; its methods give reliability and ROC
        curves, and what goes wrong for whom, when, and in which occupations.

    Raises
    ------
    DataError
        If the test sample is empty, or models predict different rows or occupations.
    OptionError
        Without models, or for states that do not exist.

    Notes
    -----
    A move is an occupation that differs from the record before; its probability is one less that of the last
    occupation. First records cannot be moves and are left out there. Probabilities are diagnosed as they are: a result
    that is improper or conservative is flagged.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(200, 4, seed=1).split([0.5, 0.5])
    >>> diagnose(Empirical().fit(train), test).events["auc"].between(0.5, 0.9).tolist()
    [True]
    """
    results = {type(fitted.model).__name__: fitted} if isinstance(fitted, Results) else fitted
    check_results(results)
    metrics.check_level(level)
    if not len(test):
        raise DataError("the test sample has no rows.")
    results = {str(name): result for name, result in results.items()}
    rows = read_rows(results, test, weights, cluster)
    events = find_events(states, rows.choices, rows.outcome, rows.last)
    scored = {name: score(name, result, rows, events) for name, result in results.items()}
    frame, numbers = measure_models(scored, rows), measure_events(scored, events, rows)
    notes = _notes(scored, rows, events, numbers, cluster)
    return Diagnostics(frame, numbers, notes, level, rows, scored, events)


def _notes(
    scored: Mapping[str, Scored],
    rows: EvaluatedRows,
    events: Mapping[str, Event],
    numbers: pd.DataFrame,
    cluster: str,
) -> tuple[str, ...]:
    """What the numbers mean, on which sample, and what to beware of."""
    out = [
        *_sample_notes(rows, cluster),
        "Top k: the realised outcome is among the k most probable. Brier: squared error of probabilities, summed over "
        "outcomes, or of the event; smaller is better.",
    ]
    if events:
        out.append(
            "AUC: how often a row with the event has a higher probability than one without. Intercept (at slope one) "
            "and slope of the event on the logit of its probability: zero and one are perfect; with a slope below one, "
            "predictions are too extreme."
        )
    out += [
        f"{event.name}: {listing([rows.choices.titles[i] for i in event.states])}."
        for event in events.values()
        if event.states is not None
    ]
    for name, s in scored.items():
        out += [f"{name} is {flag}: its probabilities sum to {s.mass:.2f} on average." for flag in s.flags]
    for name, event_name in numbers.index:
        out += _fit_notes(f"{name}, {event_name}", numbers.loc[(name, event_name)])
    return tuple(out)


def _sample_notes(rows: EvaluatedRows, cluster: str) -> list[str]:
    sample, kind = sample_words(rows, cluster, rows.weights is not None)
    out = [f"Test sample: {sample}. SE: {kind}, of these fitted models on other test samples."]
    return out if rows.weights is None else [*out, "Rows are weighted by survey weights."]


def _fit_notes(where: str, found: pd.Series) -> list[str]:
    """Whatever is out of the ordinary in a logistic recalibration."""
    out = []
    if found["clipped"]:
        out.append(
            f"{where}: {int(found['clipped']):,} probabilities of zero or one are kept 1e-12 away from it in intercept "
            "and slope."
        )
    if np.isnan(found["intercept"]):
        out.append(f"{where}: neither AUC nor recalibration, for the event happens in every row or in none.")
    elif np.isnan(found["slope"]):
        out.append(f"{where}: no slope, for the probabilities do not vary or separate the rows perfectly.")
    return out
