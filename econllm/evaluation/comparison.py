"""What a comparison found: as a table, by pairs of models, by source of chance, and as figures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.errors import OptionError, check_option
from econllm.tables import Column, Panel, Row, Table, TableExports, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THIS_MODEL, THIS_PROCEDURE = "this fitted model", "this procedure"
_INDENT = "\u00a0\u00a0"


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(TableExports):
    """Models compared on the same test rows.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per model (and group):

        - perplexity, std_error, lower, upper: of this fitted model on other test samples; history: over the rows with a
          history; validation: of the validation sample, and picked: the best there; weighted, weighted_std_error: by
          survey weights;
        - difference (mean log score less the reference's, in nats: positive is better), difference_std_error,
          difference_lower, difference_upper, ratio (of perplexities: below one is better), ratio_lower, ratio_upper,
          p_value, p_adjusted;
        - set_p_value: of the model confidence set; rank, accuracy, parameters, seconds, mass (mean sum of
          probabilities), flags;
        - with a bootstrap: training_std_error, seed_std_error, procedure_std_error, procedure_lower, procedure_upper of
          the perplexity, and the same of the difference, in nats, behind ``difference_``, with
          difference_procedure_p_value and difference_procedure_p_adjusted (by Holm's method, unless adjust is None).
    pairs : pandas.DataFrame
        All pairs of models that may be compared: difference of the mean log scores (the first less the second, in
        nats), std_error, p_value, p_adjusted (over all pairs).
    reference : str
        The model that others are compared with.
    notes : tuple of str
        What the numbers mean and on which sample.
    sources : tuple of str
        What the standard errors of "this procedure" hold; empty without a bootstrap.
    level : float
        Coverage of the intervals.
    adjust : str or None
        How p-values were adjusted for the number of comparisons.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.empirical import Empirical
    >>> from econllm.evaluation import compare
    >>> train, test = simulate_careers(200, 4, seed=1).split([0.7, 0.3])
    >>> table = compare({"Empirical": Empirical().fit(train), "Oracle": Oracle().fit(train)}, test)
    >>> bool(table.frame.loc["Oracle", "difference"] > 0)
    True
    """

    frame: pd.DataFrame
    pairs: pd.DataFrame
    reference: str
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    level: float
    adjust: str | None

    def table(self) -> Table:
        """Lay the comparison out as a table: standard errors in parentheses below the estimates."""
        score, gap = "Perplexity", f"Difference to {self.reference}"
        band = f"{100 * self.level:.6g}% CI"
        columns = [
            Column("All", ".3f", group=score),
            Column(band, group=score),
            *(Column(label, ".3f", group=score) for _, label in self._more_scores),
            Column("Nats", ".4f", group=gap),
            Column("Ratio", ".3f", group=gap),
            Column(band, group=gap),
            Column("p", "pvalue", group=gap),
            *([Column("Best\nset, p", "pvalue")] if self._has_set else []),
            Column("Accu-\nracy", ".3f"),
            Column("Para-\nmeters", ",d"),
            Column("Fit,\nsec.", ".1f"),
        ]
        panels = [
            Panel(title, [line for name, r in rows.iterrows() for line in self._lines(str(name), r)])
            for title, rows in self._by_group(self.frame)
        ]
        return Table(
            columns, panels, title="Comparison of models", header="Model", notes=self.notes, key="tab:comparison"
        )

    @property
    def _more_scores(self) -> list[tuple[str, str]]:
        """Columns of perplexities beside that of all rows, where there are such, with their headings."""
        known = [("history", "With\nhistory"), ("weighted", "Survey-\nweighted"), ("validation", "Vali-\ndation")]
        return [(name, label) for name, label in known if self.frame[name].notna().any()]

    @property
    def _has_set(self) -> bool:
        return bool((self.frame["set_p_value"].notna()).sum() > 1)

    @property
    def _has_bootstrap(self) -> bool:
        return "procedure_std_error" in self.frame

    @staticmethod
    def _by_group(frame: pd.DataFrame, labels: int = 1) -> list[tuple[str, pd.DataFrame]]:
        """Parts of the frame, under their titles; one without a title where the index has the labels of rows alone."""
        if frame.index.nlevels == labels:
            return [("", frame)]
        name = frame.index.names[0]
        return [(f"{name}: {group}", part.droplevel(0)) for group, part in frame.groupby(level=0, sort=False)]

    def _lines(self, name: str, r: pd.Series) -> list[Row]:
        """Estimates of one model, and below them one line per kind of standard error."""
        compared = name != self.reference and "improper" not in r["flags"]
        label = _label(name, r["flags"])
        more = [_or_none(r[column]) for column, _ in self._more_scores]
        gap: list[Any] = [None] * 4
        if compared:
            bounds = interval(r["ratio_lower"], r["ratio_upper"], ".3f")
            p = r["p_value"] if self.adjust is None else r["p_adjusted"]
            gap = [r["difference"], r["ratio"], bounds, p]
        in_set = [_or_none(r["set_p_value"])] if self._has_set else []
        own: list[Any] = [r["perplexity"], interval(r["lower"], r["upper"], ".3f")]
        lines = [Row(label, [*own, *more, *gap, *in_set, r["accuracy"], int(r["parameters"]), r["seconds"]])]
        errors = [self._weighted_error(r) if c == "weighted" else None for c, _ in self._more_scores]
        rest = [None] * (self._has_set + 3)
        error = f"({r['difference_std_error']:.4f})" if compared else None
        lines.append(
            Row(f"{_INDENT}{THIS_MODEL}", [f"({r['std_error']:.3f})", None, *errors, error, None, None, None, *rest])
        )
        if self._has_bootstrap and not np.isnan(r["procedure_std_error"]):
            own = [f"({r['procedure_std_error']:.3f})", interval(r["procedure_lower"], r["procedure_upper"], ".3f")]
            blank = [None] * len(self._more_scores)
            lines.append(Row(f"{_INDENT}{THIS_PROCEDURE}", [*own, *blank, *self._procedure_gap(r, compared), *rest]))
        return lines

    @staticmethod
    def _procedure_gap(r: pd.Series, compared: bool) -> list[Any]:
        """Standard error, interval of the ratio and p-value of a difference with all sources of chance."""
        error = r.get("difference_procedure_std_error", np.nan)
        if not compared or np.isnan(error):
            return [None] * 4
        low, high = np.exp([-r["difference_procedure_upper"], -r["difference_procedure_lower"]])
        return [f"({error:.4f})", None, interval(low, high, ".3f"), r["difference_procedure_p_adjusted"]]

    @staticmethod
    def _weighted_error(r: pd.Series) -> str:
        return f"({r['weighted_std_error']:.3f})"

    def wins(self) -> Table:
        """Every model against every other: who predicts better, by how much, and whether that is more than chance.

        Returns
        -------
        Table
            The model of the row against that of the column: the difference of the mean log scores in nats, and "win" or
            "lose" where its adjusted p-value is below 1 - level.

        Raises
        ------
        OptionError
            With fewer than two models that may be compared.
        """
        if self.pairs.empty:
            raise OptionError("wins() needs two models that may be compared.")
        limit = 1 - self.level
        panels: list[Panel] = []
        columns: list[str] = []
        for title, pairs in self._by_group(self.pairs, labels=2):
            names = list(dict.fromkeys(pairs.index.get_level_values(0)))
            columns = names if len(names) > len(columns) else columns
            rows = []
            for a in names:
                cells = [None if a == b else _verdict(pairs.loc[(a, b)], limit) for b in names]
                rows.append(Row(a, cells))
            panels.append(Panel(title, rows))
        note = (
            "Difference of the mean log scores, row less column, in nats per transition, paired by row; win and lose: "
            f"p < {limit:.2g}, adjusted for the number of pairs by Holm's method, or an infinite gap."
        )
        heads = [Column(name.replace(" ", "\n")) for name in columns]
        return Table(heads, panels, title="Wins and losses", header="Model", notes=[note], key="tab:wins")

    def decomposition(self) -> Table:
        """How much of the uncertainty is due to the training sample, to the chance of training and to the test sample.

        Returns
        -------
        Table
            Standard errors by source, for perplexities and for the differences to the reference: "this fitted model"
            is uncertain by the test sample alone, "this procedure" by all three.

        Raises
        ------
        OptionError
            Without a bootstrap.
        """
        self._need_bootstrap("decomposition")
        due, of = "Standard error due to", "Standard error of"
        columns = [
            Column("Estimate", ".4f"),
            Column("training\nsample", ".4f", group=due),
            Column("training order,\ninitialisation", ".4f", group=due),
            Column("test\nsample", ".4f", group=due),
            Column(THIS_MODEL.replace("this ", "this\n"), ".4f", group=of),
            Column(THIS_PROCEDURE.replace(" ", "\n"), ".4f", group=of),
        ]
        panels = []
        for title, rows in self._by_group(self.frame):
            for prefix, value, what in (
                ("", "perplexity", "Perplexity"),
                ("difference_", "difference", f"Difference to {self.reference}, nats"),
            ):
                lines = [
                    Row(
                        _label(str(name), r["flags"]),
                        [r[value], *(_or_none(r.get(f"{prefix}{source}std_error", np.nan)) for source in _SOURCES)],
                    )
                    for name, r in rows.iterrows()
                    if not prefix or (name != self.reference and "improper" not in r["flags"])
                ]
                if lines:
                    panels.append(Panel(f"{title}. {what}" if title else what, lines))
        return Table(
            columns,
            panels,
            title="Sources of uncertainty",
            header="Model",
            notes=(self.notes[0], *self.sources),
            key="tab:decomposition",
        )

    def _need_bootstrap(self, what: str) -> None:
        if not self._has_bootstrap:
            raise OptionError(f"{what} needs refits: give compare(..., bootstrap=el.bootstrap(...)).")

    def to_frame(self) -> pd.DataFrame:
        """Copy all numbers, unrounded."""
        return self.frame.copy()

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw perplexities with their intervals; the dashed line is the reference's perplexity.

        Parameters
        ----------
        path : path, optional
            File to save as well: .png, .pdf or .svg.

        Returns
        -------
        matplotlib.figure.Figure
            Dots of improper models, whose perplexity flatters them, are hollow.
        """
        from econllm.plots import forest

        f = self.frame
        names = [" · ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in f.index]
        labels = [_label(n, flags) for n, flags in zip(names, f["flags"], strict=True)]
        single = None if isinstance(f.index, pd.MultiIndex) else float(f["perplexity"].loc[self.reference])
        if single is not None and not np.isfinite(single):
            single = None
        return forest(
            labels,
            f["perplexity"],
            f["lower"],
            f["upper"],
            path=path,
            reference=single,
            hollow=["improper" in flags for flags in f["flags"]],
            xlabel=f"Test perplexity, {100 * self.level:.6g}% confidence interval",
        )

    def plot_decomposition(self, path: str | os.PathLike[str] | None = None, *, of: str = "difference") -> Figure:
        """Draw how the variance of every perplexity or difference is made up.

        Parameters
        ----------
        path : path, optional
            File to save as well: .png, .pdf or .svg.
        of : {"difference", "perplexity"}
            The differences to the reference, or the perplexities themselves.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            Without a bootstrap, or where it refitted none of the models to draw.
        """
        from econllm.plots import decomposition

        check_option("of", of, ["difference", "perplexity"])
        self._need_bootstrap("plot_decomposition")
        prefix = "difference_" if of == "difference" else ""
        column = f"{prefix}procedure_std_error"
        rows = self.frame if of == "perplexity" else self.frame[self._is_compared(self.frame)]
        rows = rows[rows[column].notna()] if column in rows else rows[:0]
        if rows.empty:
            raise OptionError(f"there is no {of} to draw: the bootstrap refitted none of the models, or one of a pair.")
        names = [" · ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in rows.index]
        labels = [_label(n, flags) for n, flags in zip(names, rows["flags"], strict=True)]
        parts = {part: rows[f"{prefix}{part}_std_error"].to_numpy() ** 2 for part in ("training", "seed")}
        parts["test"] = rows[f"{prefix}std_error"].to_numpy() ** 2
        what = f"the difference to {self.reference}, squared nats" if prefix else "the perplexity"
        return decomposition(pd.DataFrame(parts, index=labels), path=path, xlabel=f"Variance of {what}")

    def _is_compared(self, frame: pd.DataFrame) -> np.ndarray:
        other = frame.index.get_level_values(-1) != self.reference
        proper = ~frame["flags"].map(lambda flags: "improper" in flags).to_numpy(dtype=bool)
        out: np.ndarray = other & proper
        return out


# Columns of the frame in the order of the decomposition's columns, without their ending.
_SOURCES = ("training_", "seed_", "", "", "procedure_")


def _label(name: str, flags: tuple[str, ...]) -> str:
    return f"{name} ({', '.join(flags)})" if flags else name


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _verdict(pair: pd.Series, limit: float) -> str:
    gap, p = pair["difference"], pair["p_adjusted"]
    if np.isnan(gap):
        return "."  # each gives probability zero to something the other does not
    shown = "0.000" if abs(gap) < 0.0005 else f"{gap:+.3f}".replace("-", "\u2212").replace("inf", "\u221e")
    if np.isnan(p) and np.isfinite(gap):
        return shown  # a single cluster: nothing can be tested
    word = "tie" if np.isfinite(gap) and not p < limit else "win" if gap > 0 else "lose"
    return f"{shown} {word}"
