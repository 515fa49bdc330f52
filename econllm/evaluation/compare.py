"""The comparison table: which model predicts best, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from econllm import metrics
from econllm.base import Results
from econllm.errors import DataError, OptionError, check_number, check_option, did_you_mean
from econllm.evaluation.bootstrap import Bootstrap, check_results, of_what, panel_digest, seed_note
from econllm.evaluation.comparison import THIS_MODEL, THIS_PROCEDURE, Comparison
from econllm.evaluation.components import Components, interval
from econllm.evaluation.multiple import confidence_set, holm, multiplier_draws, romano_wolf
from econllm.evaluation.rows import read_rows
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.sample import Data, group_labels, groups_of

Adjust = Literal["holm", "romano-wolf"]


def compare(
    fitted: Mapping[str, Results],
    test: Data,
    *,
    reference: str | None = None,
    validation: Data | None = None,
    by: str | None = None,
    weights: bool | Literal["both"] = False,
    cluster: str = "person",
    level: float = 0.95,
    adjust: Adjust | None = "holm",
    draws: int = 1999,
    seed: Seed = 0,
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
    validation : CareerPanel or DataFrame, optional
        Rows by which one would choose a model without looking at the test rows: adds their perplexity, and says which
        model they pick.
    by : str, optional
        Column whose values define groups, "history" (first records against the others), "move" (first records, stayers
        and movers, by what happened) or "decade".
    weights : bool or "both"
        Weight rows by the panel's survey weights; "both" leaves rows unweighted and adds the weighted perplexity.
    cluster : str
        "person", or a column.
    level : float
        Coverage of the intervals.
    adjust : {"holm", "romano-wolf"} or None
        Adjustment of the p-values for the number of models (and groups) that are compared with the reference.
    draws : int
        Random weightings of test persons, for "romano-wolf" and the model confidence set.
    seed : int, SeedSequence or Generator
        Of these draws.
    bootstrap : Bootstrap, optional
        Adds what is due to the training sample, and to the chance of training. Models that it has not refitted go
        without, and are named. Goes with groups and weights that do not vary within persons.

    Returns
    -------
    Comparison
        Prints as text; ``to_latex``, ``to_html``, ``to_markdown`` and ``plot`` export it; ``wins`` and
        ``decomposition`` are further tables.

    Raises
    ------
    DataError
        If the test sample is empty, models predict different rows or occupations, or the bootstrap is of another test
        sample.
    OptionError
        Without models, for a reference that is none of them or is improper, or an option that is not allowed.

    Notes
    -----
    Inference is on mean log scores, clustered by person, and carried to perplexity by exp. Differences are paired: both
    models are scored on the same rows. "This fitted model" describes these fits on other samples of test persons, "this
    procedure" new training samples, seeds and test samples; see :mod:`econllm.evaluation.components`. The test that two
    fitted models are equally good on average is that of Diebold and Mariano (1995), with persons for the time series.
    Several models: Holm (1979), Romano and Wolf (2005), Hansen, Lunde and Nason (2011); see
    :mod:`econllm.evaluation.multiple`.
    """
    check_results(fitted)
    metrics.check_level(level)
    check_option("weights", weights, [True, False, "both"])
    check_option("adjust", adjust, ["holm", "romano-wolf", None])
    check_number("draws", draws, minimum=100, integer=True)
    root = resolve_seed(seed)
    if not len(test):
        raise DataError("the test sample has no rows.")
    rows = read_rows({str(name): result for name, result in fitted.items()}, test, weights is not False, cluster)
    scored = {str(name): _score(result, test) for name, result in fitted.items()}
    base = _reference(scored, reference)
    context = _Context(
        scored,
        base,
        rows.clusters,
        rows.weights if weights is True else None,
        rows.weights if weights == "both" else None,
        rows.sample.first[rows.kept],
        rows.sample.of_panel,
        level,
        _refits(bootstrap, test, scored, rows.kept),
    )
    whole = np.zeros(len(rows.outcome), dtype=np.int64)
    groups = whole if by is None else group_labels(test, rows.sample, by)[rows.kept]
    masks = {group: groups == group for group in groups_of(groups)}
    frame, pairs = (_joined({g: make(m) for g, m in masks.items()}, by) for make in (context.frame, context.pairs))
    pairs["p_adjusted"] = _holm_over_pairs(pairs)
    influence = np.hstack([context.influence(mask) for mask in masks.values()])
    drawn = multiplier_draws(influence, draws, root)
    frame["set_p_value"] = _best_sets(frame, drawn)
    frame["p_adjusted"] = _adjusted(frame, drawn, base, adjust)
    frame["validation"] = np.nan if validation is None else _validation(scored, validation, frame)
    frame["picked"] = frame["validation"] == frame["validation"].where(frame["rank"].notna()).min()
    notes = context.notes(cluster, adjust if len(frame) > 2 else None)
    picked = frame.index.get_level_values("model")[frame["picked"]]
    if len(picked):
        notes.append(f"Validation rows pick {picked[0]}; test rows were not used in that choice.")
    sources = _sources(bootstrap, list(scored))
    return Comparison(frame, pairs, base, (*notes, *sources), sources, level, adjust)


def _joined(parts: dict[object, pd.DataFrame], by: str | None) -> pd.DataFrame:
    if by is None:
        return next(iter(parts.values()))
    return pd.concat(parts, names=[by])


def _holm_over_pairs(pairs: pd.DataFrame) -> np.ndarray:
    """Adjust over all pairs, each of which stands there twice with one p-value."""
    half = [(names[-2] < names[-1]) for names in pairs.index]
    out = pd.Series(np.nan, index=pairs.index)
    out[half] = holm(pairs["p_value"].to_numpy()[half])
    mirrored = [(*names[:-2], names[-1], names[-2]) for names in pairs.index]
    return np.where(half, out, out.reindex(mirrored))


def _best_sets(frame: pd.DataFrame, drawn: np.ndarray) -> np.ndarray:
    """P-values of the confidence set of the models that may be ranked, group by group."""
    models = frame.index.get_level_values("model").nunique()
    out = np.full(len(frame), np.nan)
    for start in range(0, len(frame), models):
        part = np.arange(start, start + models)
        ranked = part[frame["rank"].notna().to_numpy()[part]]
        means = -np.log(frame["perplexity"].to_numpy()[ranked])
        out[ranked] = confidence_set(means, drawn[:, ranked])
    return out


def _adjusted(frame: pd.DataFrame, drawn: np.ndarray, reference: str, adjust: Adjust | None) -> np.ndarray:
    """P-values of the differences to the reference, adjusted for all models and groups."""
    names = frame.index.get_level_values("model")
    tested = (names != reference) & frame["rank"].notna().to_numpy()
    out = np.full(len(frame), np.nan)
    if adjust == "romano-wolf":
        models = names.nunique()
        at = np.arange(len(frame)) // models * models + list(names).index(reference)
        estimates, errors = (frame[c].to_numpy()[tested] for c in ("difference", "difference_std_error"))
        out[tested] = romano_wolf(estimates, errors, (drawn - drawn[:, at])[:, tested])
    else:
        p = frame["p_value"].to_numpy()[tested]
        out[tested] = p if adjust is None else holm(p)
    return out


def _validation(scored: dict[str, _Scored], validation: Data, frame: pd.DataFrame) -> np.ndarray:
    found = {name: float(np.exp(-s.result.log_likelihood(validation).mean())) for name, s in scored.items()}
    return frame.index.get_level_values("model").map(found).to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class _Scored:
    """One model on the test rows that it predicts."""

    result: Results
    scores: np.ndarray
    hits: np.ndarray
    mass: np.ndarray


def _score(result: Results, test: Data) -> _Scored:
    log_proba = result.log_proba(test)
    outcome = result.sample(test).outcome[result.kept(test)]
    scores = log_proba[np.arange(len(outcome)), outcome]
    return _Scored(result, scores, metrics.hits(log_proba, outcome), np.exp(log_proba).sum(axis=1))


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


def _check_bootstrap(bootstrap: Bootstrap, test: Data, scored: dict[str, _Scored]) -> None:
    if bootstrap.test != panel_digest(test):
        raise DataError("the bootstrap was made on another test sample.")
    if not any(name in bootstrap.models for name in scored):
        raise OptionError(f"the bootstrap has none of these models; it has {', '.join(bootstrap.models)}.")
    refitted = dict(zip(bootstrap.models, bootstrap.specifications, strict=True))
    for name, s in scored.items():
        if name not in refitted:
            continue
        model, info = s.result.model.without_inference, s.result.info
        if refitted[name] not in (repr(model), repr(model.replace(**s.result.chosen))):
            raise OptionError(f"the bootstrap refitted another model under the name {name!r}: {refitted[name]}.")
        if (info.rows, info.persons) != bootstrap.train:
            raise DataError(
                f"model {name!r} was fitted on {info.rows:,} rows of {info.persons:,} persons and the bootstrap on "
                f"{bootstrap.train[0]:,} of {bootstrap.train[1]:,}; use the same training sample."
            )


@dataclass(frozen=True)
class _Refits:
    """A bootstrap, and for every row of the test sample the number of its person there."""

    bootstrap: Bootstrap
    person: np.ndarray


def _refits(bootstrap: Bootstrap | None, test: Data, scored: dict[str, _Scored], kept: np.ndarray) -> _Refits | None:
    if bootstrap is None:
        return None
    _check_bootstrap(bootstrap, test, scored)
    assert isinstance(test, CareerPanel)  # it has a digest
    if not kept.all():
        raise DataError(f"models drop {int((~kept).sum())} test rows and the bootstrap has all: drop them first.")
    return _Refits(bootstrap, np.unique(test.origin_ids, return_inverse=True)[1])


@dataclass(frozen=True)
class _Context:
    """What all lines of a comparison share; arrays have one entry per test row."""

    scored: dict[str, _Scored]
    reference: str
    clusters: np.ndarray
    weights: np.ndarray | None
    beside: np.ndarray | None
    first: np.ndarray
    of_panel: bool
    level: float
    refits: _Refits | None

    def frame(self, rows: np.ndarray) -> pd.DataFrame:
        """All numbers over some of the rows, one line per model."""
        own, gaps = self._components(rows)
        lines = {
            name: self._line(s, rows) | self._procedure(s, rows, own.get(name), gaps.get(name))
            for name, s in self.scored.items()
        }
        frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("model")
        ranked = ~frame["flags"].map(lambda flags: "improper" in flags)
        frame["rank"] = frame["perplexity"].where(ranked).rank(method="min")
        return frame

    def pairs(self, rows: np.ndarray) -> pd.DataFrame:
        """Differences of all models that may be compared, over some of the rows."""
        names = [name for name, s in self.scored.items() if "improper" not in s.result.flags]
        found = {}
        for a, b in permutations(names, 2):
            gap = self._difference(self.scored[a], self.scored[b], rows)
            found[a, b] = (gap.mean, gap.std_error, gap.pvalue)
        index = pd.MultiIndex.from_tuples(found, names=["first", "second"]) if found else _NO_PAIRS
        return pd.DataFrame(list(found.values()), index, ["difference", "std_error", "p_value"], dtype=np.float64)

    def influence(self, rows: np.ndarray) -> np.ndarray:
        """What every cluster adds to the deviation of each model's mean score, shape (clusters, models)."""
        _, group = np.unique(self.clusters, return_inverse=True)
        weight = np.where(rows, 1.0 if self.weights is None else self.weights, 0.0)
        count = np.bincount(group, weight)
        out = np.empty((len(count), len(self.scored)))
        with np.errstate(invalid="ignore"):
            for m, s in enumerate(self.scored.values()):
                total = np.bincount(group, weight * np.where(weight > 0, s.scores, 0.0))
                out[:, m] = (total - total.sum() / count.sum() * count) / count.sum()
        return out

    def _line(self, s: _Scored, rows: np.ndarray) -> dict[str, object]:
        weights = None if self.weights is None else self.weights[rows]
        own = metrics.perplexity(s.scores[rows], self.clusters[rows], weights, self.level)
        paired = self._difference(s, self.scored[self.reference], rows)
        low, high = paired.interval(self.level)
        later = rows & ~self.first
        history = self._plain(s.scores, later) if later.any() and self.of_panel else np.nan
        beside = self.beside
        other = None if beside is None else metrics.perplexity(s.scores[rows], self.clusters[rows], beside[rows])
        info = s.result.info
        return {
            "perplexity": own.value,
            "std_error": own.std_error,
            "lower": own.conf_int[0],
            "upper": own.conf_int[1],
            "history": float(np.exp(-history)),
            "weighted": np.nan if other is None else other.value,
            "weighted_std_error": np.nan if other is None else other.std_error,
            "difference": paired.mean,
            "difference_std_error": paired.std_error,
            "difference_lower": low,
            "difference_upper": high,
            "ratio": float(np.exp(-paired.mean)),
            "ratio_lower": float(np.exp(-high)),
            "ratio_upper": float(np.exp(-low)),
            "p_value": paired.pvalue,
            "accuracy": self._plain(s.hits, rows),
            "parameters": info.parameters,
            "seconds": info.seconds,
            "mass": self._plain(s.mass, rows),
            "flags": s.result.flags,
        }

    def _components(self, rows: np.ndarray) -> tuple[dict[str, Components], dict[str, Components]]:
        """Variances over training samples and seeds: of the scores, and of their differences to the reference."""
        if self.refits is None:
            return {}, {}
        boot, person = self.refits.bootstrap, self.refits.person
        weight = np.where(rows, 1.0 if self.weights is None else self.weights, 0.0)
        by_person = np.zeros(len(boot.counts))
        by_person[person] = weight
        if not np.array_equal(by_person[person], weight):
            raise OptionError(
                "the bootstrap keeps sums by person, and these groups or weights vary within persons: give a column "
                "that does not, or leave out bootstrap=."
            )
        gaps = boot.components(self.reference, persons=by_person) if self.reference in boot.models else {}
        return boot.components(persons=by_person), gaps

    def _procedure(
        self, s: _Scored, rows: np.ndarray, own: Components | None, gap: Components | None
    ) -> dict[str, float]:
        """Standard errors and intervals that count the training sample and the chance of training in."""
        if own is None:
            return {}
        weights = None if self.weights is None else self.weights[rows]
        score = metrics.mean_score(s.scores[rows], self.clusters[rows], weights)
        value = float(np.exp(-score.mean))
        error, low, high, _ = self._total(score, own)
        out = {
            "training_std_error": value * float(np.sqrt(own.training)),
            "seed_std_error": value * float(np.sqrt(own.seed)),
            "procedure_std_error": value * error,
            "procedure_lower": float(np.exp(-high)),
            "procedure_upper": float(np.exp(-low)),
        }
        if gap is None:
            return out
        error, low, high, p = self._total(self._difference(s, self.scored[self.reference], rows), gap)
        return out | {
            "difference_training_std_error": float(np.sqrt(gap.training)),
            "difference_seed_std_error": float(np.sqrt(gap.seed)),
            "difference_procedure_std_error": error,
            "difference_procedure_lower": low,
            "difference_procedure_upper": high,
            "difference_procedure_p_value": p,
        }

    def _total(self, score: metrics.MeanScore, part: Components) -> tuple[float, float, float, float]:
        """Standard error, interval and p-value of a mean score with all sources of chance."""
        variance, df = part.total(score.std_error**2, score.df)
        error = float(np.sqrt(variance))
        p = float(2 * stats.t.sf(abs(score.mean) / error, df)) if error > 0 else np.nan
        return error, *interval(score.mean, variance, df, self.level), p

    def _difference(self, s: _Scored, other: _Scored, rows: np.ndarray) -> metrics.MeanScore:
        # Where both give probability zero the models agree; a plain difference would be nan.
        equal = s.scores == other.scores
        with np.errstate(invalid="ignore"):
            gap = np.where(equal, 0.0, s.scores - other.scores)
        weights = None if self.weights is None else self.weights[rows]
        return metrics.mean_score(gap[rows], self.clusters[rows], weights)

    def _plain(self, values: np.ndarray, rows: np.ndarray) -> float:
        return float(np.average(values[rows], weights=None if self.weights is None else self.weights[rows]))

    def notes(self, cluster: str, adjust: str | None) -> list[str]:
        """What the numbers mean, and on which sample."""
        out = [self._sample_note(cluster), self._error_note(cluster)]
        if self.weights is not None:
            out.append("Rows are weighted by survey weights.")
        if adjust is not None:
            out.append(f"p adjusted for the number of comparisons by the method of {_AUTHORS[adjust]}.")
        for name, s in self.scored.items():
            if "improper" in s.result.flags:
                out.append(
                    f"{name} is improper: its probabilities sum to {s.mass.mean():.2f} on average, so its perplexity "
                    "flatters it; it is not ranked or compared."
                )
            if "conservative" in s.result.flags:
                out.append(f"{name} is conservative: its probabilities sum to {s.mass.mean():.2f} on average.")
        return out

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
        best = " Best set, p: of the model confidence set." if len(self.scored) > 1 else ""
        return (
            f"Standard errors in parentheses. {THIS_MODEL.capitalize()}: {kind}, on other test samples, as are the "
            "intervals and p-values on the first line. Intervals are on the log score, carried to perplexity by exp. "
            "Differences are paired, in nats per transition; positive is better. Ratio of perplexities; below one is "
            f"better.{best}"
        )


def _sources(bootstrap: Bootstrap | None, names: list[str]) -> tuple[str, ...]:
    """What the standard errors of the procedure hold."""
    if bootstrap is None:
        return ()
    fits = f", {bootstrap.seeds} seeds each" if bootstrap.seeds > 1 else ""
    refits = (
        f"{THIS_PROCEDURE.capitalize()}: training sample, seeds and test sample together, by {bootstrap.replications} "
        f"refits{fits} with {bootstrap.draws} weights on training {of_what(bootstrap.resample)}; p on its line is not "
        "adjusted."
    )
    lacking = [name for name in names if name not in bootstrap.models]
    without = [f"Not refitted: {', '.join(lacking)}."] if lacking else []
    return (refits, *without, *seed_note(bootstrap.seeds), *bootstrap.held)


_AUTHORS = {"holm": "Holm", "romano-wolf": "Romano and Wolf"}
_NO_PAIRS = pd.MultiIndex.from_arrays([[], []], names=["first", "second"])
