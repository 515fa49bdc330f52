"""The comparison table: which model predicts best, by how much, and how sure that is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.base import Results
from econllm.errors import DataError, OptionError, did_you_mean
from econllm.evaluation.bootstrap import Bootstrap, check_models, panel_digest
from econllm.sample import Data, Sample, cluster_labels, evaluation_weights, group_labels, groups_of
from econllm.tables import Column, Panel, Row, Table, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = "all"


@dataclass(frozen=True)
class Comparison:
    """Models compared on the same test rows.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per model (and group): perplexity, std_error, lower, upper, history (perplexity over the rows with a
        history), difference (mean log score less the reference's, in nats: positive is better), difference_std_error,
        difference_lower, difference_upper, ratio (of perplexities), p_value, accuracy, parameters, seconds, rank, mass
        (mean sum of probabilities), flags; with a bootstrap also bootstrap_std_error and
        bootstrap_difference_std_error.
    reference : str
        The model that others are compared with.
    notes : tuple of str
        What the numbers mean and on which sample.
    level : float
        Coverage of the intervals.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(200, 4, seed=1).split([0.7, 0.3])
    >>> table = compare({"Empirical": Empirical().fit(train), "Oracle": Oracle().fit(train)}, test)
    >>> bool(table.frame.loc["Oracle", "difference"] > 0)
    True
    """

    frame: pd.DataFrame
    reference: str
    notes: tuple[str, ...]
    level: float

    def table(self) -> Table:
        """Lay the comparison out as a table: standard errors in parentheses below the estimates."""
        f = self.frame
        score, gap = "Perplexity", f"Difference to {self.reference}"
        columns = [
            Column("All", ".3f", group=score),
            Column(f"{100 * self.level:.6g}% CI", group=score),
            *([Column("With\nhistory", ".3f", group=score)] if self._has_histories else []),
            Column("Nats", ".4f", group=gap),
            Column("Ratio", ".3f", group=gap),
            Column("p", "pvalue", group=gap),
            Column("Accu-\nracy", ".3f"),
            Column("Para-\nmeters", ",d"),
            Column("Fit,\nsec.", ".1f"),
        ]
        grouped = isinstance(f.index, pd.MultiIndex)
        panels = []
        for title, part in f.groupby(level=0, sort=False) if grouped else [("", f)]:
            rows = part.droplevel(0) if grouped else part
            lines = [line for name, r in rows.iterrows() for line in self._lines(str(name), r)]
            panels.append(Panel(f"{f.index.names[0]}: {title}" if grouped else "", lines))
        return Table(
            columns, panels, title="Comparison of models", header="Model", notes=self.notes, key="tab:comparison"
        )

    def _lines(self, name: str, r: pd.Series) -> list[Row]:
        """Estimates of one model, and below them one line per kind of standard error."""
        compared = name != self.reference and "improper" not in r["flags"]
        label = f"{name} ({', '.join(r['flags'])})" if r["flags"] else name
        gap = [r[c] if compared else None for c in ("difference", "ratio", "p_value")]
        history = [None if np.isnan(r["history"]) else r["history"]] if self._has_histories else []
        cells = [r["perplexity"], interval(r["lower"], r["upper"], ".3f"), *history, *gap, r["accuracy"]]
        lines = [Row(label, [*cells, int(r["parameters"]), r["seconds"]])]
        for prefix, what in (("", "test"), ("bootstrap_", "training")):
            if f"{prefix}std_error" in r:
                own = f"({r[f'{prefix}std_error']:.3f})"
                other = f"({r[f'{prefix}difference_std_error']:.4f})" if compared else None
                blank = [None] * (1 + len(history))
                lines.append(Row(f"\u00a0\u00a0SE, {what}", [own, *blank, other, None, None, None, None, None]))
        return lines

    @property
    def _has_histories(self) -> bool:
        return bool(self.frame["history"].notna().any())

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().to_html(fragment=True)

    def to_latex(self, path: str | os.PathLike[str] | None = None, *, fragment: bool = False) -> str:
        """Write the table in LaTeX, see :meth:`econllm.Table.to_latex`."""
        return self.table().to_latex(path, fragment=fragment)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, fragment: bool = False) -> str:
        """Write the table in HTML, see :meth:`econllm.Table.to_html`."""
        return self.table().to_html(path, fragment=fragment)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the table in Markdown, see :meth:`econllm.Table.to_markdown`."""
        return self.table().to_markdown(path)

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
        """
        from econllm.plots import forest

        f = self.frame
        names = [" · ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in f.index]
        labels = [f"{n} ({', '.join(flags)})" if flags else n for n, flags in zip(names, f["flags"], strict=True)]
        single = None if isinstance(f.index, pd.MultiIndex) else float(f["perplexity"].loc[self.reference])
        return forest(
            labels,
            f["perplexity"],
            f["lower"],
            f["upper"],
            path=path,
            reference=single,
            xlabel=f"Test perplexity, {100 * self.level:.6g}% confidence interval",
        )


def compare(
    fitted: Mapping[str, Results],
    test: Data,
    *,
    reference: str | None = None,
    by: str | None = None,
    weights: bool = False,
    cluster: str = "person",
    level: float = 0.95,
    bootstrap: Bootstrap | None = None,
) -> Comparison:
    """Compare fitted models on the same test rows.

    Parameters
    ----------
    fitted : mapping of str to Results
        The models, by the names under which they appear.
    test : CareerPanel or DataFrame
        Rows with outcomes that were not used in estimation.
    reference : str, optional
        Model that the others are compared with; by default the first one that is not improper.
    by : str, optional
        Column whose values define groups, or "history" (first records against the others).
    weights : bool
        Weight rows by the panel's survey weights.
    cluster : str
        "person", or a column.
    level : float
        Coverage of the intervals.
    bootstrap : Bootstrap, optional
        Adds the standard error that is due to the training sample.

    Returns
    -------
    Comparison
        Prints as text; ``to_latex``, ``to_html``, ``to_markdown`` and ``plot`` export it.

    Raises
    ------
    DataError
        If the test sample is empty, models predict different rows or occupations, or the bootstrap is of another test
        sample.
    OptionError
        Without models, or for a reference that is none of them or is improper.

    Notes
    -----
    Inference is on mean log scores, clustered by person, and carried to perplexity by exp. Differences are paired: both
    models are scored on the same rows. The standard error describes these fitted models on samples of test persons; how
    much the training sample matters is what :func:`bootstrap` adds.
    """
    check_models(fitted)
    wrong = [name for name, result in fitted.items() if not isinstance(result, Results)]
    if wrong:
        raise OptionError(f"model {wrong[0]!r} is a {type(fitted[wrong[0]]).__name__}, not a result: fit it first.")
    metrics.check_level(level)
    if not len(test):
        raise DataError("the test sample has no rows.")
    scored = {str(name): _score(str(name), result, test) for name, result in fitted.items()}
    first = next(iter(scored.values()))
    _check_same_rows(scored)
    base = _reference(scored, reference)
    rows, kept = first.sample, first.kept
    weight = evaluation_weights(rows, weights)
    context = _Context(
        scored,
        base,
        cluster_labels(test, rows, cluster)[kept],
        None if weight is None else weight[kept],
        rows.first[kept],
        rows.of_panel,
        level,
    )
    if by is None:
        frame = context.frame(np.ones(int(kept.sum()), dtype=bool))
    else:
        groups = group_labels(test, rows, by)[kept]
        parts = {group: context.frame(groups == group) for group in groups_of(groups)}
        frame = pd.concat(parts, names=[by, "model"])
    if bootstrap is not None:
        _check_bootstrap(bootstrap, test, scored, by)
        frame["bootstrap_std_error"] = bootstrap.std_errors.reindex(frame.index)
        frame["bootstrap_difference_std_error"] = bootstrap.difference_std_errors(base).reindex(frame.index)
    return Comparison(frame, base, context.notes(cluster, weights, bootstrap), level)


@dataclass(frozen=True)
class _Scored:
    """One model on the test rows."""

    result: Results
    sample: Sample
    kept: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    mass: np.ndarray


def _score(name: str, result: Results, test: Data) -> _Scored:
    sample = result.sample(test)
    kept = result.kept(test)
    log_proba = result.log_proba(test)
    outcome = sample.outcome[kept]
    scores = log_proba[np.arange(len(outcome)), outcome]
    hits = metrics.hits(log_proba, outcome)
    return _Scored(result, sample, kept, scores, hits, np.exp(log_proba).sum(axis=1))


def _check_same_rows(scored: dict[str, _Scored]) -> None:
    first_name, first = next(iter(scored.items()))
    for name, other in scored.items():
        if not np.array_equal(other.kept, first.kept):
            raise DataError(
                f"{first_name!r} predicts {int(first.kept.sum())} and {name!r} {int(other.kept.sum())} of the "
                f"{len(first.kept)} test rows, so their scores are not comparable; drop rows with missing values first."
            )
        if set(other.result.choices.codes) != set(first.result.choices.codes):
            raise DataError(
                f"{first_name!r} chooses among {len(first.result.choices)} and {name!r} among "
                f"{len(other.result.choices)} occupations, or different ones; fit both on the same panel."
            )


def _reference(scored: dict[str, _Scored], reference: str | None) -> str:
    improper = [name for name, s in scored.items() if "improper" in s.result.flags]
    if reference is None:
        return next((name for name in scored if name not in improper), next(iter(scored)))
    if reference not in scored:
        raise OptionError(f"reference={reference!r} is none of the models.{did_you_mean(reference, scored)}")
    if reference in improper:
        raise OptionError(
            f"reference={reference!r} is improper (its probabilities sum to more than one): choose another."
        )
    return reference


def _check_bootstrap(bootstrap: Bootstrap, test: Data, scored: dict[str, _Scored], by: str | None) -> None:
    if by is not None:
        raise OptionError("bootstrap= gives standard errors over the whole test sample: leave out by=.")
    if bootstrap.test != panel_digest(test):
        raise DataError("the bootstrap was made on another test sample.")
    missing = [name for name in scored if name not in bootstrap.models]
    if missing:
        raise OptionError(f"the bootstrap lacks the model {missing[0]!r}; it has {', '.join(bootstrap.models)}.")
    refitted = dict(zip(bootstrap.models, bootstrap.specifications, strict=True))
    for name, s in scored.items():
        model, info = s.result.model.without_inference, s.result.info
        if refitted[name] not in (repr(model), repr(model.replace(**s.result.chosen))):
            raise OptionError(f"the bootstrap refitted another model under the name {name!r}: {refitted[name]}.")
        if (info.rows, info.persons) != bootstrap.train:
            raise DataError(
                f"model {name!r} was fitted on {info.rows:,} rows of {info.persons:,} persons and the bootstrap on "
                f"{bootstrap.train[0]:,} of {bootstrap.train[1]:,}; use the same training sample."
            )


@dataclass(frozen=True)
class _Context:
    scored: dict[str, _Scored]
    reference: str
    clusters: np.ndarray
    weights: np.ndarray | None
    first: np.ndarray
    of_panel: bool
    level: float

    def frame(self, rows: np.ndarray) -> pd.DataFrame:
        """All numbers over some of the rows, one line per model."""
        lines = {name: self._line(s, rows) for name, s in self.scored.items()}
        frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("model")
        ranked = ~frame["flags"].map(lambda flags: "improper" in flags)
        frame["rank"] = frame["perplexity"].where(ranked).rank(method="min")
        return frame

    def _line(self, s: _Scored, rows: np.ndarray) -> dict[str, object]:
        weights = None if self.weights is None else self.weights[rows]
        own = metrics.perplexity(s.scores[rows], self.clusters[rows], weights, self.level)
        paired = self._difference(s, rows)
        low, high = paired.interval(self.level)
        later = rows & ~self.first
        history = self._plain(s.scores, later) if later.any() and self.of_panel else np.nan
        info = s.result.info
        return {
            "perplexity": own.value,
            "std_error": own.std_error,
            "lower": own.conf_int[0],
            "upper": own.conf_int[1],
            "history": float(np.exp(-history)),
            "difference": paired.mean,
            "difference_std_error": paired.std_error,
            "difference_lower": low,
            "difference_upper": high,
            "ratio": float(np.exp(-paired.mean)),
            "p_value": paired.pvalue,
            "accuracy": self._plain(s.hits, rows),
            "parameters": info.parameters,
            "seconds": info.seconds,
            "mass": self._plain(s.mass, rows),
            "flags": s.result.flags,
        }

    def _difference(self, s: _Scored, rows: np.ndarray) -> metrics.MeanScore:
        other = self.scored[self.reference]
        # Where both give probability zero the models agree; a plain difference would be nan.
        equal = s.scores == other.scores
        with np.errstate(invalid="ignore"):
            gap = np.where(equal, 0.0, s.scores - other.scores)
        weights = None if self.weights is None else self.weights[rows]
        return metrics.mean_score(gap[rows], self.clusters[rows], weights)

    def _plain(self, values: np.ndarray, rows: np.ndarray) -> float:
        return float(np.average(values[rows], weights=None if self.weights is None else self.weights[rows]))

    def notes(self, cluster: str, weighted: bool, bootstrap: Bootstrap | None) -> tuple[str, ...]:
        out = [self._sample_note(cluster), self._error_note(cluster)]
        if weighted:
            out.append("Rows are weighted by survey weights.")
        if bootstrap is not None:
            out.append(
                f"SE, training: {bootstrap.replications} refits with {bootstrap.draws} weights on training persons, "
                "test sample fixed."
            )
            out += bootstrap.held
        for name, s in self.scored.items():
            if "improper" in s.result.flags:
                out.append(
                    f"{name} is improper: its probabilities sum to {s.mass.mean():.2f} on average, so its perplexity "
                    "flatters it; it is not ranked or compared."
                )
            if "conservative" in s.result.flags:
                out.append(f"{name} is conservative: its probabilities sum to {s.mass.mean():.2f} on average.")
        return tuple(out)

    def _sample_note(self, cluster: str) -> str:
        n, clusters = len(self.clusters), len(np.unique(self.clusters))
        outcomes = f"{len(self.scored[self.reference].result.choices)} outcomes"
        if not self.of_panel:
            kind = "" if clusters == n else f" in {clusters:,} clusters"
            return f"Test sample: {n:,} rows{kind}; {outcomes}."
        whom = "persons" if cluster == "person" else "clusters"
        history = int((~self.first).sum())
        return f"Test sample: {n:,} transitions of {clusters:,} {whom}, {history:,} with a history; {outcomes}."

    def _error_note(self, cluster: str) -> str:
        independent = not self.of_panel and len(np.unique(self.clusters)) == len(self.clusters)
        kind = "for independent rows" if independent else f"clustered by {cluster}"
        return (
            f"SE, test: {kind}, of these fitted models on other test samples, as are the intervals and p-values. "
            "Intervals are on the log score, carried to perplexity by exp. Differences are paired, in nats per "
            "transition; positive is better. Ratio of perplexities; below one is better."
        )
