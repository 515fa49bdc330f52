"""The two-stage multinomial logit: stay or move, then the destination."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.base import FitInfo, Results, summary_facts
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.multinomial.columns import Columns, leaving
from econllm.multinomial.fitting import Rows, estimate, read
from econllm.multinomial.results import MNLogitResults
from econllm.options import Seed, child_seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesPlugin, TableFacts
from econllm.sample import Data, Sample, last_occupation, read_sample
from econllm.tables import Fact, Panel, Table

if TYPE_CHECKING:
    from econllm.multinomial.model import MNLogit

MOVES = ChoiceSet(["stay", "move"])


class TwoStageMNLogitResults(Results, MaketablesPlugin):
    """Estimated two-stage multinomial logit. Immutable; holds no rows of the data.

    The probability of staying in the last occupation is that of the first stage; the probability of moving is shared
    out over the other occupations by the second. A first record has the probabilities of the second stage alone.

    Attributes
    ----------
    model : MNLogit
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    move : MNLogitResults
        Logit of whether the occupation changes, on records with a history.
    destination : MNLogitResults
        Multinomial logit of the occupation among those other than the last one, on records that change it and first
        records.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.multinomial import MNLogit
    >>> panel = simulate_careers(100, 4, seed=1)
    >>> fit = MNLogit("occupation ~ lag(occupation)", penalty="l2", alpha=0.01, two_stage=True).fit(panel)
    >>> fit.move.params.index.get_level_values("response").unique().tolist()
    ['stay', 'move']
    """

    def __init__(
        self, model: MNLogit, choices: ChoiceSet, info: FitInfo, move: MNLogitResults, destination: MNLogitResults
    ) -> None:
        self.model: MNLogit = model
        self.choices = choices
        self.info = info
        self.move = move
        self.destination = destination

    @property
    def outcome(self) -> str:
        """Outcome column."""
        return self.destination.outcome

    @property
    def chosen(self) -> dict[str, Any]:
        """The weights of the penalty, stage by stage, where they were chosen by held-out log-likelihood."""
        return dict.fromkeys(self.model.automatic, self.alpha)

    @property
    def alpha(self) -> tuple[float, float]:
        """Weights of the penalty of both stages."""
        return self.move.alpha, self.destination.alpha

    @property
    def converged(self) -> bool:
        """Whether both stages met their tolerance."""
        return self.move.converged and self.destination.converged

    @property
    def params(self) -> pd.Series:
        """Coefficients of both stages, indexed by (stage, response, term)."""
        parts = {"move": self.move.params, "destination": self.destination.params}
        out: pd.Series = pd.concat(parts, names=["stage"])
        return out

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors, indexed as `params`."""
        parts = {"move": self.move.std_errors, "destination": self.destination.std_errors}
        out: pd.Series = pd.concat(parts, names=["stage"])
        return out

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per coefficient: stage, response, term, estimate, std_error, statistic, p_value, lower, upper."""
        parts = {"move": self.move.tidy(level), "destination": self.destination.tidy(level)}
        return pd.concat(parts, names=["stage"]).reset_index("stage").reset_index(drop=True)

    def glance(self) -> pd.DataFrame:
        """Statistics of the fit: a row for both stages together, "both", and one for each."""
        stages = pd.concat([self.move.glance(), self.destination.glance()], ignore_index=True)
        common = stages.columns[(stages == stages.iloc[0]).all()]
        together: dict[str, Any] = {str(name): stages[name].iloc[0] if name in common else None for name in stages}
        fitted, null, size = (stages[name].sum() for name in ("log_likelihood", "null_log_likelihood", "effective_df"))
        together |= {
            "n": self.info.rows,
            "persons": self.info.persons,
            "log_likelihood": fitted,
            "null_log_likelihood": null,
            "pseudo_r2": 1 - fitted / null,
            "aic": 2 * (size - fitted),
            "bic": size * float(np.log(self.info.rows)) - 2 * fitted,
            "parameters": self.info.parameters,
            "effective_df": size,
            "converged": self.converged,
            "iterations": stages["iterations"].sum(),
            "gradient": stages["gradient"].max(),
            "seconds": self.info.seconds,
        }
        frame = pd.DataFrame([together, *stages.to_dict("records")])
        return frame.set_index(pd.Index(["both", "move", "destination"], name="stage"))

    def table_facts(self) -> TableFacts:
        """Words and names for tables; the equations of the first stage are "Stays" and "Moves"."""
        move, destination = self.move.table_facts(), self.destination.table_facts()
        return replace(
            destination,
            titles={**destination.titles, "stay": "Stays", "move": "Moves"},
            terms={**move.terms, **destination.terms},
            shares={**destination.shares, **move.shares},
            cov=_by_stage(move.cov, destination.cov),
            penalty=_by_stage(move.penalty, destination.penalty),
        )

    def kept(self, data: Data) -> np.ndarray:
        """Which rows are predicted: all, or with ``missing="drop"`` those without missing values."""
        return self.destination.kept(data)

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every occupation, shape (n, choices), in nats; see :meth:`Results.log_proba`."""
        parts = [values for _, values in self._pieces(data)]
        return np.concatenate(parts)

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row, without holding the whole matrix."""
        kept = self.kept(data)
        outcome = self.sample(data).outcome[kept]
        scores = np.empty(len(outcome))
        for rows, values in self._pieces(data):
            scores[rows] = values[np.arange(len(values)), outcome[rows]]
        return pd.Series(scores, index=data.index[kept], name="log_likelihood")

    def move_proba(self, panel: CareerPanel) -> pd.Series:
        """Probability that the occupation changes; nan at first records.

        Returns
        -------
        pandas.Series, shape (n,)
        """
        kept = self.kept(panel)
        out = pd.Series(np.nan, index=panel.index[kept], name="move_proba")
        later = ~panel.is_first[kept]
        if later.any():
            out[later] = self.move.predict_proba(panel)["move"].to_numpy()
        return out

    def _pieces(self, data: Data) -> Iterator[tuple[slice, np.ndarray]]:
        """Log probabilities over the whole choice set, chunk by chunk."""
        if not isinstance(data, CareerPanel):
            raise DataError("a two-stage model follows careers: give a CareerPanel, not a data frame.")
        columns = self.destination._estimates.spec.build(data)
        last = last_occupation(data, self.choices)[columns.kept]
        moving = np.zeros((len(columns), 2))
        if (last > 0).any():
            moving[last > 0] = self.move.log_proba(data)
        for rows, values in self.destination._pieces(columns):
            known = np.flatnonzero(last[rows] > 0)
            values[known] += moving[rows][known, 1:]
            values[known, last[rows][known] - 1] = moving[rows][known, 0]
            yield rows, values

    def summary(
        self,
        outcomes: Sequence[Hashable] | None = None,
        terms: Sequence[str] | None = None,
        *,
        level: float = 0.95,
        exp: bool = False,
    ) -> Table:
        """Describe sample, estimation and coefficients of both stages; see :meth:`MNLogitResults.summary`."""
        first = self.move.summary(None, terms, level=level, exp=exp)
        second = self.destination.summary(outcomes, terms, level=level, exp=exp)
        facts = [
            *summary_facts(self),
            Fact("Penalty of the move stage", self.move.table_facts().penalty or "none"),
            Fact("Penalty of the destination", self.destination.table_facts().penalty or "none"),
            Fact("Optimiser", "converged" if self.converged else "NOT CONVERGED"),
            Fact("Records in the move stage", self.move.info.rows, ",d"),
            Fact("Records in the destination stage", self.destination.info.rows, ",d"),
        ]
        notes = [f"First stage: {note}" for note in first.notes] + [f"Second stage: {note}" for note in second.notes]
        if [c.label for c in first.columns] != [c.label for c in second.columns]:
            notes.append("The first stage has other columns and is printed by results.move.summary().")
            body = second.body
        else:
            body = (*_named(first.body, "Moves: "), *_named(second.body, "To: "))
        return Table(
            second.columns,
            body,
            title=f"Two-stage {second.title[0].lower()}{second.title[1:]}",
            facts=facts,
            notes=notes,
        )

    def _state(self) -> dict[str, Any]:
        parts = {"move": self.move, "destination": self.destination}
        return {name: {"info": asdict(fit.info), "state": fit._state()} for name, fit in parts.items()}

    @classmethod
    def _from_state(
        cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]
    ) -> TwoStageMNLogitResults:
        fits = []
        for name, codes in (("move", MOVES), ("destination", choices)):
            own = FitInfo(**{**state[name]["info"], "unseen": tuple(state[name]["info"]["unseen"])})
            fits.append(MNLogitResults._from_state(_stage(model, name), codes, own, state[name]["state"]))
        return cls(model, choices, info, *fits)


def _by_stage(move: str, destination: str) -> str:
    return destination if move == destination else f"{move} (moves); {destination} (destinations)"


def _named(body: Sequence[Panel], prefix: str) -> list[Panel]:
    return [replace(panel, title=f"{prefix}{panel.title}") for panel in body]


def _stage(model: MNLogit, stage: str) -> MNLogit:
    """Options of one stage."""
    alpha = model.alpha[stage == "destination"] if isinstance(model.alpha, tuple) else model.alpha
    return model.replace(two_stage=False, alpha=alpha)


def fit_two_stage(
    model: MNLogit,
    data: Data,
    *,
    validation: Data | None,
    weights: pd.Series | None,
    seed: Seed,
    checkpoint: str | Path | None,
) -> TwoStageMNLogitResults:
    """Estimate both stages; see :meth:`MNLogit.fit`."""
    clock = time.perf_counter()
    if not isinstance(data, CareerPanel):
        raise DataError("two_stage=True follows careers: give a CareerPanel, not a data frame.")
    rows = read(model, data, weights)
    judge = None
    if validation is not None and model.penalty and model.alpha in ("auto", "validation"):
        if not isinstance(validation, CareerPanel):
            raise DataError("validation must be a CareerPanel too.")
        columns = rows.spec.build(validation)
        judge = columns, read_sample(validation, rows.spec.outcome, rows.choices).take(columns.kept), validation
    fits = []
    for number, stage in enumerate(("move", "destination")):
        part = rows_of_stage(rows, data, stage)
        judged = None if judge is None else _judge_of(*judge, rows.choices, stage)
        place = None if checkpoint is None else Path(checkpoint) / stage
        own = child_seed(resolve_seed(seed), number)
        fits.append(estimate(_stage(model, stage), part, data, judge=judged, seed=own, checkpoint=place))
    results = TwoStageMNLogitResults(model, rows.choices, fits[1].info, *fits)
    return TwoStageMNLogitResults(model, rows.choices, _info(results, rows, data, clock), *fits)


def rows_of_stage(rows: Rows, data: CareerPanel, stage: str) -> Rows:
    """Rows of one stage, with its outcome.

    Raises
    ------
    DataError
        If there are none.
    """
    last = last_occupation(data, rows.choices)[rows.positions]
    columns, sample, at = _select(rows.columns, rows.sample, last, len(rows.choices), stage)
    if not len(at):
        raise DataError(f"no record belongs to the {stage} stage: every person has a single one, or nobody moves.")
    spec = replace(rows.spec, stage=stage)
    choices = MOVES if stage == "move" else rows.choices
    weights = None if rows.weights is None else rows.weights[at]
    return replace(rows, spec=spec, columns=columns, sample=sample, choices=choices, weights=weights)


def _judge_of(
    columns: Columns, sample: Sample, panel: CareerPanel, choices: ChoiceSet, stage: str
) -> tuple[Columns, Sample]:
    last = last_occupation(panel, choices)[columns.kept]
    return _select(columns, sample, last, len(choices), stage)[:2]


def _select(
    columns: Columns, sample: Sample, last: np.ndarray, outcomes: int, stage: str
) -> tuple[Columns, Sample, np.ndarray]:
    """Rows that belong to a stage, and where they stand."""
    moves = sample.outcome != last - 1
    mask = last > 0 if stage == "move" else moves
    at = np.flatnonzero(mask)
    part, chosen = columns.take(at), sample.take(mask)
    if stage == "move":
        return part, replace(chosen, outcome=moves[at].astype(np.int64)), at
    return replace(part, offset=leaving(last[at], outcomes)), chosen, at


def _info(results: TwoStageMNLogitResults, rows: Rows, data: CareerPanel, clock: float) -> FitInfo:
    move, destination = results.move.info, results.destination.info
    scores = results.log_likelihood(data).to_numpy()
    counts = rows.weights if results.model.weight_type == "frequency" else None
    if counts is not None:
        scores = np.where(counts > 0, scores, 0.0) * counts
    return FitInfo(
        rows=len(rows.sample) if counts is None else int(counts.sum()),
        persons=len(np.unique(rows.sample.clusters)),
        first_records=int(rows.sample.first.sum()),
        log_likelihood=float(scores.sum()),
        parameters=move.parameters + destination.parameters,
        seconds=time.perf_counter() - clock,
        unseen=destination.unseen,
        dropped=rows.dropped,
        truncated=rows.columns.truncated,
        weighted=rows.weights is not None,
    )
