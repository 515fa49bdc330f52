"""What diagnostics of predicted probabilities found: whether they are right, for whom, and where they go wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.errors import DataError, OptionError, check_number, did_you_mean, listing
from econllm.evaluation.events import MOVE, Event
from econllm.evaluation.measures import gaps_by_group, perplexity_by_group
from econllm.evaluation.reliability import reliability_curve
from econllm.evaluation.rows import EvaluatedRows, Scored
from econllm.evaluation.transitions import (
    OTHERS,
    Transitions,
    most_frequent,
    occupation_shares,
    transition_shares,
)
from econllm.options import Seed
from econllm.panel import CareerPanel
from econllm.sample import group_labels
from econllm.tables import Column, Panel, Row, Table, TableExports

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_OF_EVENTS = ["auc", "intercept", "slope", "brier"]


@dataclass(frozen=True, repr=False)
class Diagnostics(TableExports):
    """What the predictions of fitted models are worth on a test sample.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per model: top_1, top_3, top_5 (how often what happened was among the most probable outcomes; fewer
        where there are fewer outcomes), brier (over all outcomes), each with its std_error; mass (mean sum of
        probabilities), flags.
    events : pandas.DataFrame
        One row per model and event: observed (share), predicted (mean probability), auc, intercept and slope (of the
        logistic recalibration), brier, each of the last four with its std_error; rows, clusters, clipped.
    notes : tuple of str
        What the numbers mean and on which sample.
    level : float
        Coverage of intervals and bands.

    Notes
    -----
    It holds the test sample, which its methods need, so keep its tables rather than the object.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.diagnose import diagnose
    >>> panel = simulate_careers(200, 4, seed=1)
    >>> found = diagnose({"Oracle": Oracle().fit(panel)}, panel)
    >>> bool(abs(found.events.loc[("Oracle", "move"), "slope"] - 1) < 0.2)
    True
    """

    frame: pd.DataFrame
    events: pd.DataFrame
    notes: tuple[str, ...]
    level: float
    _rows: EvaluatedRows = field(repr=False)
    _scored: dict[str, Scored] = field(repr=False)
    _events: dict[str, Event] = field(repr=False)

    def table(self) -> Table:
        """Lay the diagnostics out as a table, one panel per event: standard errors in parentheses below."""
        tops = [c for c in self.frame.columns if c.startswith("top_") and not c.endswith("error")]
        whole, single = [*tops, "brier"], _OF_EVENTS if self._events else []
        heads = [f"Top {c.removeprefix('top_')}" for c in tops]
        columns = [Column(head, ".3f", group="All outcomes") for head in (*heads, "Brier")]
        if self._events:
            columns += [Column(head, ".3f", group="Event") for head in ("AUC", "Inter-\ncept", "Slope", "Brier")]
        panels: list[Panel] = []
        for event in self._events or [""]:
            lines: list[Row] = []
            for name in self._scored:
                # What does not depend on the event stands in the first panel only.
                estimates, errors = self._cells(self.frame.loc[[name]], whole, not panels)
                more = self._cells(self.events.loc[[(name, event)]], single, True) if event else ([], [])
                lines += [Row(self._label(name), estimates + more[0]), Row("\u00a0\u00a0SE", errors + more[1])]
            panels.append(Panel(self._heading(event) if event else "", lines))
        return Table(columns, panels, title="Diagnostics", header="Model", notes=self.notes, key="tab:diagnostics")

    def _cells(self, line: pd.DataFrame, columns: Sequence[str], shown: bool) -> tuple[list[Any], list[Any]]:
        """Estimates and standard errors of a line of a frame, blank where they are not shown."""
        if not shown:
            return [None] * len(columns), [None] * len(columns)
        numbers = line.to_dict("records")[0]
        errors = [numbers[f"{c}_std_error"] for c in columns]
        return [numbers[c] for c in columns], [f"({e:.3f})" if np.isfinite(e) else None for e in errors]

    def _label(self, name: str) -> str:
        flags = self._scored[name].flags
        return f"{name} ({', '.join(flags)})" if flags else name

    def _heading(self, event: str) -> str:
        found = self.events.xs(event, level="event").iloc[0]
        return f"{event}: {found['observed']:.1%} of {int(found['rows']):,} rows"

    def to_frame(self) -> pd.DataFrame:
        """Copy the numbers over all outcomes, unrounded; ``events`` has those of events."""
        return self.frame.copy()

    def reliability(self, event: str, *, replications: int = 200, seed: Seed = 0) -> dict[str, pd.DataFrame]:
        """Estimate how often an event happens, by its predicted probability.

        Parameters
        ----------
        event : str
            "move" or the name of a state.
        replications : int
            Draws of exponential weights on clusters, for the band.
        seed : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        dict of str to pandas.DataFrame
            By model, at no more than 200 quantiles of the predictions: predicted, observed, lower, upper, density; see
            :func:`econllm.evaluation.reliability.reliability_curve`.

        Raises
        ------
        OptionError
            If there is no such event.
        """
        happening = self._event(event)
        rows = happening.rows
        arrays = self._rows.clusters[rows], self._rows.weights_of(rows)
        return {
            name: reliability_curve(
                scored.events[event],
                happening.happened,
                *arrays,
                level=self.level,
                replications=replications,
                seed=seed,
            )
            for name, scored in self._scored.items()
        }

    def roc(self, event: str) -> dict[str, pd.DataFrame]:
        """Corners of the ROC curve of an event.

        Parameters
        ----------
        event : str
            "move" or the name of a state.

        Returns
        -------
        dict of str to pandas.DataFrame
            By model: false_positive, true_positive.

        Raises
        ------
        OptionError
            If there is no such event.
        """
        happening = self._event(event)
        weights = self._rows.weights_of(happening.rows)
        curves = {name: metrics.roc(s.events[event], happening.happened, weights) for name, s in self._scored.items()}
        return {name: pd.DataFrame({"false_positive": x, "true_positive": y}) for name, (x, y) in curves.items()}

    def calibration(self, by: str | None = None) -> pd.DataFrame:
        """Compare observed shares of events with mean predictions, in groups.

        Parameters
        ----------
        by : str, optional
            Column whose values define groups, "history" or "decade". By default all rows are one group, "all".

        Returns
        -------
        pandas.DataFrame
            By model, event and group: observed, predicted, difference (observed less predicted: above zero, the event
            happens more often than predicted), std_error (clustered), lower, upper, n, clusters.

        Raises
        ------
        OptionError
            Without events, or for groups that are made by what happened.
        MissingColumnError
            If `by` is no column.
        """
        self._event(next(iter(self._events), ""))
        frame = gaps_by_group(self._scored, self._events, self._rows, self._groups(by), self.level)
        return frame.rename_axis(["model", "event", by or "group"])

    def by_occupation(self, min_rows: int = 20) -> pd.DataFrame:
        """Perplexity by what happened.

        Parameters
        ----------
        min_rows : int
            Occupations that were realised less often are left out.

        Returns
        -------
        pandas.DataFrame
            By model and occupation: title, perplexity, std_error (clustered), lower, upper, n, clusters.

        Notes
        -----
        It shows where a model goes wrong, and does not rank models: rows were selected by their outcome, which rewards
        the model that predicts it always.
        """
        check_number("min_rows", min_rows, minimum=1, integer=True)
        codes = self._rows.choices.index.to_numpy()[self._rows.outcome]
        counts = np.bincount(self._rows.outcome, minlength=len(self._rows.choices))
        frequent = [code for code, count in zip(self._rows.choices.codes, counts, strict=True) if count >= min_rows]
        frame = perplexity_by_group(self._scored, self._rows, codes, frequent, self.level)
        frame.insert(0, "title", [self._rows.choices.title(code) for code in frame.index.get_level_values("group")])
        return frame.rename_axis(["model", "occupation"])

    def by_year(self) -> pd.DataFrame:
        """Perplexity by time.

        Returns
        -------
        pandas.DataFrame
            By model and time: perplexity, std_error (clustered), lower, upper, n, clusters.

        Raises
        ------
        DataError
            For a data frame.
        """
        panel = self._panel("by_year")
        times = panel.times[self._rows.kept]
        frame = perplexity_by_group(self._scored, self._rows, times, np.unique(times).tolist(), self.level)
        return frame.rename_axis(["model", panel.roles.time])

    def shares(self) -> pd.DataFrame:
        """Compare predicted with observed shares of occupations.

        Returns
        -------
        pandas.DataFrame
            By model and occupation: title, observed, predicted, difference (observed less predicted), std_error
            (of the difference, clustered).
        """
        parts = {name: occupation_shares(self._rows, scored) for name, scored in self._scored.items()}
        return pd.concat(parts, names=["model"])

    def transitions(self, model: str) -> Transitions:
        """Compare predicted with observed transitions, from the last occupation to the next.

        Parameters
        ----------
        model : str
            Name of a model.

        Returns
        -------
        Transitions
            Observed and predicted shares by last occupation, and the rows behind them. Unlike the model, the test
            sample has few rows for rare occupations.

        Raises
        ------
        DataError
            For a data frame, or where no row has a history.
        OptionError
            If there is no such model.
        """
        self._panel("transitions")
        if model not in self._scored:
            raise OptionError(f"model={model!r} is none of the models.{did_you_mean(model, self._scored)}")
        if not self._rows.last.any():
            raise DataError("no test row has a history, so there are no transitions.")
        return transition_shares(self._rows, self._scored[model])

    def plot_reliability(
        self,
        event: str,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str = "",
        replications: int = 200,
        seed: Seed = 0,
    ) -> Figure:
        """Draw :meth:`reliability`; saved where a path is given (.png, .pdf or .svg).

        Raises
        ------
        OptionError
            If there is no such event, or it happens in every row or in none.
        """
        from econllm.plots import reliability

        self._check_varies(event)
        curves = self.reliability(event, replications=replications, seed=seed)
        # An improper model may go beyond 0 and 1, where there is nothing to draw.
        inside = {name: curve.assign(predicted=curve["predicted"].clip(0, 1)) for name, curve in curves.items()}
        return reliability(inside, path=path, title=title)

    def plot_roc(self, event: str, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
        """Draw :meth:`roc`; saved where a path is given (.png, .pdf or .svg).

        Raises
        ------
        OptionError
            If there is no such event, or it happens in every row or in none.
        """
        from econllm.plots import roc

        self._check_varies(event)
        return roc(self.roc(event), path=path, title=title)

    def plot_transitions(self, model: str, path: str | os.PathLike[str] | None = None, *, top: int = 12) -> Figure:
        """Draw observed beside predicted transitions between the most frequent occupations.

        Parameters
        ----------
        model : str
            Name of a model.
        path : path, optional
            File to save as well: .png, .pdf or .svg.
        top : int
            How many occupations, by the number of rows that come from them; other destinations are added up.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from econllm.plots import heatmap

        check_number("top", top, minimum=1, integer=True)
        parts = most_frequent(self.transitions(model), top)
        names = [self._rows.choices.title(code) for code in parts[0].index]
        return heatmap(
            [part.to_numpy() for part in parts],
            names,
            [*names, OTHERS],
            path=path,
            panels=["Observed", f"Predicted by {model}"],
            xlabel="Next occupation",
            ylabel="Last occupation",
        )

    def _event(self, event: str) -> Event:
        if not self._events:
            raise OptionError("there are no events: a data frame has no moves; name states, states={'name': [codes]}.")
        if event not in self._events:
            raise OptionError(
                f"event={event!r} is none of {listing(self._events, 12)}.{did_you_mean(event, self._events)}"
            )
        return self._events[event]

    def _check_varies(self, event: str) -> None:
        """Refuse to draw an event that always or never happens, which no probability can tell apart."""
        happening = self._event(event)
        weights = self._rows.weights_of(happening.rows)
        happened = happening.happened if weights is None else happening.happened[weights > 0]
        if happened.all() or not happened.any():
            where = "every row" if happened.all() else "no row"
            raise OptionError(f"event {event!r} happens in {where}, so there is no curve to draw: name another event.")

    def _panel(self, method: str) -> CareerPanel:
        if not isinstance(self._rows.data, CareerPanel):
            raise DataError(f"{method}() needs careers: diagnose with a CareerPanel, not a data frame.")
        return self._rows.data

    def _groups(self, by: str | None) -> np.ndarray:
        """Group of every row."""
        rows = self._rows
        if by is None:
            return np.full(len(rows.outcome), "all", dtype=object)
        if by == MOVE and rows.sample.of_panel:
            raise OptionError(
                "by='move' groups rows by what happened, which no probability knows: choose another column."
            )
        labels: np.ndarray = group_labels(rows.data, rows.sample, by)[rows.kept]
        return labels
