"""Empirical transition frequencies: the model that every other one has to beat."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from econllm.base import Estimator, FitInfo, Results, summary_facts
from econllm.choices import MISSING_TEXT, ChoiceSet
from econllm.errors import DataError, OptionError, check_number, check_option
from econllm.options import Normalization, Seed
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesStatistics
from econllm.sample import Data, fit_weights
from econllm.tables import Column, Fact, Row, Table

_GRID = 10.0 ** np.arange(-4, 1.51, 0.25)


@dataclass(frozen=True, repr=False)
class Empirical(Estimator):
    """Smoothed transition frequencies between occupations.

    Parameters
    ----------
    smoothing : float or "validation"
        Pseudo-count of every cell; "validation" chooses it by the log-likelihood of the validation sample.
    order : {1, 2}
        How many earlier occupations the probabilities depend on.
    two_stage : bool
        Estimate the share of stays by origin, then the destination given a move, each smoothed on its own: the
        two-stage head of CAREER (Vafa et al., arXiv 2202.08370) without the transformer.
    normalization : {"proper", "printed"}
        "proper" makes every row sum to one. "printed" is the formula on the slides of LABOR-LLM,
        (#{o -> y} + 1) / (#{o} + 1), whose rows sum to more than one: results are flagged improper and never ranked.
    weighted : bool
        Use the panel's survey weights.

    Raises
    ------
    OptionError
        For options that do not exist or do not go together.

    Notes
    -----
    With C the counts of moves from origin o (the occupation before, or "(none)" at the first record) to y, N their sum,
    s the smoothing and K the number of occupations, P(y | o) = (C_oy + s) / (N_o + s K). At second order,
    P(y | o2, o1) adds s K pseudo-counts in the proportions of P(y | o1). In two stages, P(stay | o) =
    (C_oo + s) / (N_o + 2 s) and, given a move, s (K - 1) pseudo-counts are spread over y other than o as the moves of
    all origins together; at second order both shrink towards the first order in the same way. First records always
    have one stage.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1, 2], "t": [0, 1, 0], "job": ["a", "b", "a"]})
    >>> panel = CareerPanel(df, "id", "t", "job")
    >>> Empirical().fit(panel).transition_matrix.loc["a"].round(3).tolist()
    [0.333, 0.667]
    """

    smoothing: float | Literal["validation"] = 1.0
    order: int = 1
    two_stage: bool = False
    normalization: Normalization = "proper"
    weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.smoothing, str):
            check_option("smoothing", self.smoothing, ["validation"])
        else:
            check_number("smoothing", self.smoothing, above=0)
        check_option("order", self.order, [1, 2])
        check_option("two_stage", self.two_stage, [True, False])
        check_option("normalization", self.normalization, ["proper", "printed"])
        check_option("weighted", self.weighted, [True, False])
        if self.normalization == "printed" and (self.smoothing != 1.0 or self.order != 1 or self.two_stage):
            raise OptionError(
                "normalization='printed' is the add-one formula of the slides: it goes with smoothing=1.0, "
                "order=1 and two_stage=False only."
            )

    @property
    def automatic(self) -> tuple[str, ...]:
        """("smoothing",) where it is chosen by the validation sample."""
        return ("smoothing",) if self.smoothing == "validation" else ()

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> EmpiricalResults:
        """Count transitions.

        Parameters
        ----------
        data : CareerPanel
            Estimation sample.
        validation : CareerPanel, optional
            Chooses the smoothing where it is "validation".
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row.
        seed : object
            Not used: counting is deterministic.
        checkpoint : None
            Not used: counting takes no time.

        Returns
        -------
        EmpiricalResults

        Raises
        ------
        DataError
            If `data` is no CareerPanel or has no rows.
        OptionError
            If the smoothing is to be chosen and there is no validation sample.
        """
        clock = time.perf_counter()
        if checkpoint is not None:
            raise OptionError("checkpoint has no effect on Empirical, which counts at once; leave it out.")
        panel = _panel(data)
        if self.smoothing == "validation" and validation is None:
            raise OptionError("smoothing='validation' needs a validation sample: fit(train, validation=valid).")
        if not len(panel):
            raise DataError("the data to estimate on have no rows.")
        if self.two_stage and len(panel.choices) < 2:
            raise DataError("two_stage=True needs a choice set of at least two occupations: there is nowhere to move.")
        row_weights = fit_weights(panel, weights, self.weighted)
        counts = _Counts.of(panel, panel.choices, row_weights)
        smoothing = float(self.smoothing) if self.smoothing != "validation" else self._choose(counts, validation)
        tables = _Tables.make(counts, smoothing, self)
        scores = tables.pick(*_histories(panel, panel.choices), panel.outcome)
        seen = set(np.unique(panel.outcome).tolist())
        info = FitInfo(
            rows=len(panel),
            persons=len(np.unique(panel.origin_ids)),
            first_records=int(panel.is_first.sum()),
            log_likelihood=float(np.log(scores).sum()),
            parameters=counts.histories(self.order) * (len(panel.choices) - 1),
            seconds=time.perf_counter() - clock,
            unseen=tuple(code for i, code in enumerate(panel.choices.codes) if i not in seen),
            weighted=row_weights is not None,
        )
        return EmpiricalResults(self, panel.choices, info, counts, smoothing)

    def _choose(self, counts: _Counts, validation: Data | None) -> float:
        panel = _panel(validation)
        if not len(panel):
            raise DataError("the validation sample has no rows.")
        rows = (*_histories(panel, panel.choices), panel.outcome)
        scores = [np.log(_Tables.make(counts, float(s), self).pick(*rows)).sum() for s in _GRID]
        return float(_GRID[int(np.argmax(scores))])


def _panel(data: Data | None) -> CareerPanel:
    if not isinstance(data, CareerPanel):
        raise DataError(f"Empirical counts transitions in careers: give a CareerPanel, not a {type(data).__name__}.")
    return data


def _histories(panel: CareerPanel, choices: ChoiceSet) -> tuple[np.ndarray, np.ndarray]:
    """Last and second-last occupation of every row, as positions plus one; 0 where there is none."""
    frame = panel.to_frame(history=True)
    outcome = choices.positions(frame[panel.roles.occupation], str(panel.roles.occupation))
    record, target = panel.record_numbers, panel.is_target
    last = np.where(record > 1, np.roll(outcome, 1) + 1, 0)
    second = np.where(record > 2, np.roll(outcome, 2) + 1, 0)
    return last[target], second[target]


@dataclass(frozen=True)
class _Counts:
    """Weighted counts: `first` by last occupation (row 0: none), `second` by pairs of the last two."""

    first: np.ndarray
    keys: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, panel: CareerPanel, choices: ChoiceSet, weights: np.ndarray | None) -> _Counts:
        last, second = _histories(panel, choices)
        k = len(choices)
        first = np.bincount(last * k + panel.outcome, weights, minlength=(k + 1) * k).reshape(k + 1, k)
        keys, pair = np.unique(second * (k + 1) + last, return_inverse=True)
        pairs = np.bincount(pair * k + panel.outcome, weights, minlength=len(keys) * k).reshape(len(keys), k)
        return cls(first.astype(np.float64), keys, pairs.astype(np.float64))

    def histories(self, order: int) -> int:
        """Number of distinct histories that occurred."""
        return len(self.keys) if order == 2 else int((self.first.sum(axis=1) > 0).sum())


@dataclass(frozen=True)
class _Tables:
    """Probabilities by history."""

    first: np.ndarray
    keys: np.ndarray
    second: np.ndarray | None

    @classmethod
    def make(cls, counts: _Counts, smoothing: float, model: Empirical) -> _Tables:
        k = counts.first.shape[1]
        if model.normalization == "printed":
            first = (counts.first + 1) / (counts.first.sum(axis=1, keepdims=True) + 1)
            return cls(first, counts.keys, None)
        origin = np.arange(k + 1) - 1
        uniform = np.full_like(counts.first, 1 / k)
        if model.two_stage:
            prior = np.vstack([uniform[:1], np.tile(_pooled_moves(counts.first[1:]), (k, 1))])
            first = _two_stage(counts.first, origin, np.full(k + 1, 0.5), _without_origin(prior, origin), smoothing)
        else:
            first = _shrink(counts.first, uniform, smoothing * k)
        if model.order == 1:
            return cls(first, counts.keys, None)
        last = counts.keys % (k + 1)
        prior = first[last]
        if model.two_stage:
            stays = prior[np.arange(len(last)), last - 1]
            moves = _without_origin(prior, last - 1)
            second = _two_stage(counts.second, last - 1, stays, moves, smoothing)
        else:
            second = _shrink(counts.second, prior, smoothing * k)
        # The history of a first record holds no more at second order than at first.
        second[last == 0] = first[0]
        return cls(first, counts.keys, second)

    def rows(self, last: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Probabilities of every outcome, one row per history."""
        out: np.ndarray = self.first[last]
        if self.second is not None:
            place, found = self._place(last, second)
            out[found] = self.second[place[found]]
        return out

    def pick(self, last: np.ndarray, second: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        """Probability of one outcome per history."""
        out: np.ndarray = self.first[last, outcome]
        if self.second is not None:
            place, found = self._place(last, second)
            out[found] = self.second[place[found], outcome[found]]
        return out

    def _place(self, last: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = second * len(self.first) + last
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return place, self.keys[place] == key


def _shrink(counts: np.ndarray, prior: np.ndarray, mass: float) -> np.ndarray:
    """Frequencies with `mass` pseudo-counts spread as `prior`."""
    out: np.ndarray = (counts + mass * prior) / (counts.sum(axis=1, keepdims=True) + mass)
    return out


def _pooled_moves(counts: np.ndarray) -> np.ndarray:
    """Destinations of the moves of all origins together, every cell with one pseudo-count."""
    moves = counts.sum(axis=0) - np.diag(counts) + 1
    out: np.ndarray = moves / moves.sum()
    return out


def _without_origin(proba: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Probabilities given a move; rows without an origin stay as they are."""
    out = proba.copy()
    has = origin >= 0
    out[np.flatnonzero(has), origin[has]] = 0
    out /= out.sum(axis=1, keepdims=True)
    return out


def _two_stage(
    counts: np.ndarray, origin: np.ndarray, stays: np.ndarray, moves: np.ndarray, smoothing: float
) -> np.ndarray:
    """Stay or move, then where: both shrunk towards `stays` and `moves`. Without an origin there is one stage."""
    k = counts.shape[1]
    has = origin >= 0
    row, column = np.flatnonzero(has), origin[has]
    stayed = np.zeros(len(counts))
    stayed[row] = counts[row, column]
    moved = counts.copy()
    moved[row, column] = 0
    stay = (stayed + 2 * smoothing * stays) / (counts.sum(axis=1) + 2 * smoothing)
    targets = np.where(has, k - 1, k)[:, None]
    given_move = (moved + smoothing * targets * moves) / (moved.sum(axis=1, keepdims=True) + smoothing * targets)
    out: np.ndarray = given_move * np.where(has, 1 - stay, 1.0)[:, None]
    out[row, column] = stay[row]
    return out


class EmpiricalResults(Results, MaketablesStatistics):
    """Estimated transition frequencies. Immutable; holds counts, no rows of the data.

    Attributes
    ----------
    model : Empirical
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    smoothing : float
        Pseudo-count that was used.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1], "t": [0, 1], "job": ["a", "b"]})
    >>> Empirical().fit(CareerPanel(df, "id", "t", "job")).counts.loc["a", "b"]
    np.float64(1.0)
    """

    def __init__(self, model: Empirical, choices: ChoiceSet, info: FitInfo, counts: _Counts, smoothing: float) -> None:
        self.model: Empirical = model
        self.choices = choices
        self.info = info
        self.smoothing = smoothing
        self._counts = counts
        self._tables = _Tables.make(counts, smoothing, model)

    @property
    def chosen(self) -> dict[str, float]:
        """The smoothing, where it was chosen by the validation sample."""
        return dict.fromkeys(self.model.automatic, self.smoothing)

    @property
    def flags(self) -> tuple[str, ...]:
        """("improper",) for the printed formula, whose rows sum to more than one."""
        return ("improper",) if self.model.normalization == "printed" else ()

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every outcome, shape (n, choices), in nats.

        Rows sum to one after exp, unless the result is flagged improper.
        """
        panel = _panel(data)
        if not len(panel):
            raise DataError("the data to predict have no rows.")
        self.sample(panel)
        out: np.ndarray = np.log(self._tables.rows(*_histories(panel, self.choices)))
        return out

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row, without holding the whole matrix."""
        panel = _panel(data)
        outcome = self.sample(panel).outcome
        scores = np.log(self._tables.pick(*_histories(panel, self.choices), outcome))
        return pd.Series(scores, index=panel.index, name="log_likelihood")

    @property
    def transition_matrix(self) -> pd.DataFrame:
        """Probabilities by history: rows are origins ("(none)" for first records), columns occupations.

        At second order the rows are the pairs (second-last, last) that occurred in estimation.
        """
        values = self._tables.first if self._tables.second is None else self._tables.second
        return pd.DataFrame(values, index=self._origins, columns=self.choices.index)

    @property
    def counts(self) -> pd.DataFrame:
        """Counts behind the matrix, weighted where weights were used."""
        values = self._counts.first if self.model.order == 1 else self._counts.second
        return pd.DataFrame(values, index=self._origins, columns=self.choices.index)

    @property
    def probability_mass(self) -> pd.Series:
        """Sum of the probabilities by history: one, or more for the printed formula."""
        return self.transition_matrix.sum(axis=1).rename("probability_mass")

    @property
    def _origins(self) -> pd.Index:
        names = np.array([MISSING_TEXT, *self.choices.codes], dtype=object)
        if self.model.order == 1:
            single: pd.Index = pd.Index(names.tolist(), dtype=object, name="last")
            return single
        second, last = np.divmod(self._counts.keys, len(names))
        return pd.MultiIndex.from_arrays([names[second], names[last]], names=["second-last", "last"])

    def summary(self) -> Table:
        """Describe the sample, the smoothing, and the origins with most records."""
        facts = [*summary_facts(self), Fact("Smoothing", self.smoothing, ".4g")]
        if self.chosen and self.smoothing in (_GRID[0], _GRID[-1]):
            facts.append(Fact("Smoothing chosen", "at the edge of the search"))
        notes = ["Share of stays, and the most frequent destination given a move, by origin; raw counts, not smoothed."]
        if self.flags:
            mass = self.probability_mass
            notes.insert(
                0,
                f"IMPROPER: rows sum to {mass.min():.3f} to {mass.max():.3f}, so a perplexity of this formula "
                "is not comparable with that of a probability model.",
            )
        body = [Row(*row) for row in self._largest_origins()]
        columns = [
            Column("records", ",.0f"),
            Column("stay", ".3f"),
            Column("next after a move"),
            Column("share", ".3f"),
        ]
        return Table(columns, body, title="Empirical transition frequencies", header="origin", facts=facts, notes=notes)

    def _largest_origins(self, limit: int = 10) -> list[tuple[str, list[Any]]]:
        first = self._counts.first[1:]
        rows: list[tuple[str, list[Any]]] = []
        for i in np.argsort(-first.sum(axis=1), kind="stable")[:limit]:
            total, moves = first[i].sum(), first[i].copy()
            if total <= 0:
                break
            moves[i] = 0
            best = int(np.argmax(moves))
            moved = moves.sum()
            destination = (self.choices.titles[best], moves[best] / moved) if moved > 0 else (None, None)
            rows.append((self.choices.titles[i], [total, first[i, i] / total, *destination]))
        return rows

    def _state(self) -> dict[str, Any]:
        c = self._counts
        return {"first": c.first, "keys": c.keys, "second": c.second, "smoothing": self.smoothing}

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> EmpiricalResults:
        counts = _Counts(state["first"], state["keys"], state["second"])
        return cls(model, choices, info, counts, state["smoothing"])
