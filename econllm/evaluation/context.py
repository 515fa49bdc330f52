"""Numbers of a comparison over any part of the test rows, model by model and pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy import stats

from econllm import metrics
from econllm.base import Results
from econllm.errors import OptionError
from econllm.evaluation.bootstrap import Bootstrap
from econllm.evaluation.comparison import THIS_MODEL
from econllm.evaluation.components import Components, interval
from econllm.evaluation.rows import EvaluatedRows, sample_words
from econllm.sample import Data

# Scores in nats that differ by less are equal.
_ROUNDING = 1e-10
_NO_PAIRS = pd.MultiIndex.from_arrays([[], []], names=["first", "second"])


def average(values: np.ndarray, weights: np.ndarray | None) -> float:
    """Mean over rows of positive weight; nan where there are none."""
    if weights is None:
        return float(np.mean(values)) if len(values) else np.nan
    kept = weights > 0
    return float(np.average(values[kept], weights=weights[kept])) if kept.any() else np.nan


@dataclass(frozen=True)
class ScoredModel:
    """One model on the test rows that it predicts."""

    result: Results
    scores: np.ndarray
    hits: np.ndarray
    mass: np.ndarray


def score_model(result: Results, test: Data) -> ScoredModel:
    """Predict the test rows and keep numbers per row, not the matrix of probabilities."""
    log_proba = result.log_proba(test)
    outcome = result.sample(test).outcome[result.kept(test)]
    scores = log_proba[np.arange(len(outcome)), outcome]
    return ScoredModel(result, scores, metrics.hits(log_proba, outcome), np.exp(log_proba).sum(axis=1))


@dataclass(frozen=True)
class Refits:
    """A bootstrap, and for every row of the test sample the number of its person there."""

    bootstrap: Bootstrap
    person: np.ndarray


@dataclass(frozen=True)
class Context:
    """What all lines of a comparison share; arrays have one entry per test row."""

    scored: dict[str, ScoredModel]
    reference: str
    rows: EvaluatedRows
    weights: np.ndarray | None
    beside: np.ndarray | None
    level: float
    refits: Refits | None

    @cached_property
    def clusters(self) -> np.ndarray:
        """Number of every row's cluster: numbers are told apart more quickly than labels."""
        return np.unique(self.rows.clusters, return_inverse=True)[1]

    def frame(self, rows: np.ndarray) -> pd.DataFrame:
        """All numbers over some of the rows, one line per model."""
        own, gaps = self._components(rows)
        lines = {}
        for name, s in self.scored.items():
            score = metrics.perplexity(s.scores[rows], self.clusters[rows], self._weights(rows), self.level)
            paired = self._difference(s, self.scored[self.reference], rows)
            lines[name] = self._line(s, score, paired, rows)
            lines[name] |= self._procedure(score.log_score, paired, own.get(name), gaps.get(name))
        frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("model")
        ranked = ~frame["flags"].map(lambda flags: "improper" in flags)
        frame["rank"] = frame["perplexity"].where(ranked).rank(method="min")
        return frame

    def pairs(self, rows: np.ndarray) -> pd.DataFrame:
        """Differences of all models that may be compared, over some of the rows."""
        names = [name for name, s in self.scored.items() if "improper" not in s.result.flags]
        gaps = {(a, b): self._difference(self.scored[a], self.scored[b], rows) for a, b in combinations(names, 2)}
        forth = {pair: (gap.mean, gap.std_error, gap.pvalue) for pair, gap in gaps.items()}
        back = {(b, a): (0.0 - mean, *rest) for (a, b), (mean, *rest) in forth.items()}
        found = {pair: (forth | back)[pair] for pair in permutations(names, 2)}
        index = pd.MultiIndex.from_tuples(found, names=["first", "second"]) if found else _NO_PAIRS
        return pd.DataFrame(list(found.values()), index, ["difference", "std_error", "p_value"], dtype=np.float64)

    def influence(self, rows: np.ndarray) -> tuple[np.ndarray, int]:
        """What every cluster adds to the deviation of each model's mean score, and how many have any of the rows."""
        weight = self._weight(rows)
        count = np.bincount(self.clusters, weight)
        out = np.empty((len(count), len(self.scored)))
        with np.errstate(invalid="ignore"):
            for m, s in enumerate(self.scored.values()):
                total = np.bincount(self.clusters, weight * np.where(weight > 0, s.scores, 0.0))
                out[:, m] = (total - total.sum() / count.sum() * count) / count.sum()
        return out, int(np.sum(count > 0))

    def _line(
        self, s: ScoredModel, own: metrics.Perplexity, paired: metrics.MeanScore, rows: np.ndarray
    ) -> dict[str, object]:
        low, high = paired.interval(self.level)
        later = rows & ~self.rows.first
        history = self._plain(s.scores, later) if later.any() and self.rows.sample.of_panel else np.nan
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
        weight = self._weight(rows)
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
        self, score: metrics.MeanScore, paired: metrics.MeanScore, own: Components | None, gap: Components | None
    ) -> dict[str, object]:
        """Standard errors and intervals that count the training sample and the chance of training in."""
        if own is None:
            return {}
        value = float(np.exp(-score.mean))
        error, low, high, _ = self._total(score, own)
        out: dict[str, object] = {
            "training_std_error": value * float(np.sqrt(own.training)),
            "seed_std_error": value * float(np.sqrt(own.seed)),
            "procedure_std_error": value * error,
            "procedure_lower": float(np.exp(-high)),
            "procedure_upper": float(np.exp(-low)),
        }
        if gap is None:
            return out
        error, low, high, p = self._total(paired, gap)
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
        p = float(2 * stats.t.sf(abs(score.mean) / error, df)) if error > 0 else 1.0 if score.mean == 0 else np.nan
        return error, *interval(score.mean, variance, df, self.level), p

    def _difference(self, s: ScoredModel, other: ScoredModel, rows: np.ndarray) -> metrics.MeanScore:
        # Where both give probability zero the models agree; a plain difference would be nan. Differences by rounding
        # alone are none, and would be significant for being all alike.
        equal = (s.scores == other.scores) | np.isclose(s.scores, other.scores, rtol=0, atol=_ROUNDING)
        with np.errstate(invalid="ignore"):
            gap = np.where(equal, 0.0, s.scores - other.scores)
        return metrics.mean_score(gap[rows], self.clusters[rows], self._weights(rows))

    def _plain(self, values: np.ndarray, rows: np.ndarray) -> float:
        return average(values[rows], self._weights(rows))

    def _weights(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[rows]

    def _weight(self, rows: np.ndarray) -> np.ndarray:
        """Weight of every row of the test sample, zero outside of some of them."""
        return np.where(rows, 1.0 if self.weights is None else self.weights, 0.0)

    def notes(self, cluster: str) -> list[str]:
        """What the numbers mean, and on which sample."""
        sample, dependence = sample_words(self.rows, cluster, self.weights is not None)
        out = [f"Test sample: {sample}. {self._training_note()}", self._error_note(dependence)]
        if self.weights is not None:
            out.append("Rows are weighted by survey weights.")
        for name, s in self.scored.items():
            if "improper" in s.result.flags:
                out.append(
                    f"{name} is improper: its probabilities sum to {s.mass.mean():.2f} on average, so its perplexity "
                    "flatters it; it is not ranked or compared."
                )
            if "conservative" in s.result.flags:
                out.append(f"{name} is conservative: its probabilities sum to {s.mass.mean():.2f} on average.")
        return out

    def _training_note(self) -> str:
        info = self.scored[self.reference].result.info
        whom = "rows" if info.persons is None else f"of {info.persons:,} persons"
        return f"Training sample: {info.rows:,} {whom}."

    def _error_note(self, dependence: str) -> str:
        ranked = sum("improper" not in s.result.flags for s in self.scored.values())
        best = " Best set, p: of the model confidence set." if ranked > 1 else ""
        return (
            f"Standard errors in parentheses. {THIS_MODEL.capitalize()}: {dependence}, on other test samples, as are "
            "the intervals and p-values on the first line. Intervals are on the log score, carried to perplexity by "
            "exp. Differences are paired, in nats per transition; positive is better. Ratio of perplexities; below one "
            f"is better.{best}"
        )
