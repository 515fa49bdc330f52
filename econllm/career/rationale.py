"""Which records a prediction rests on: greedy rationales."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from econllm.career.attention import name_records
from econllm.career.batches import Store
from econllm.career.occupations import find_occupation
from econllm.choices import MISSING_TEXT, ChoiceSet
from econllm.errors import DataError, OptionError, check_option, did_you_mean, plain_value, refusal
from econllm.tables import Column, Fact, Table

if TYPE_CHECKING:
    from econllm.career.inputs import Careers
    from econllm.career.model import CAREER
    from econllm.career.prediction import Predictor
    from econllm.panel import CareerPanel

# Records per batch: candidates of one step go together as far as this allows.
_RECORDS = 8192


@dataclass(frozen=True, eq=False)
class Rationale:
    """The records that suffice for a prediction, in the order in which they were included.

    Attributes
    ----------
    row : hashable
        Label of the row that is explained.
    person : hashable
        Its person.
    occupation : int or str
        Code of the occupation that is explained.
    title : str
        Its title.
    records : int
        Records that the model could look at: the row's own, and all before it.
    given_move : bool
        Whether probabilities are those of destinations, given that the last occupation is left.
    reached : bool
        Whether the occupation became the most probable one.
    full_probability : float
        Its probability given all records.
    frame : pandas.DataFrame
        One row per record included, the row's own first, indexed by "step" from 1: `record`, its name, such as
        "2003 after Cook"; its `time`; `occupation` and `title` of the occupation before it, which is what the network
        reads in a record beside its covariates (missing and "(none)" at a first record); `probability` of the
        occupation explained after inclusion; its `rank` among all occupations.

    Examples
    --------
    >>> records = ["2003 after Cook", "2001 after Nurse"]
    >>> steps = pd.DataFrame({"record": records, "probability": [0.2, 0.7], "rank": [3, 1]}, index=[1, 2])
    >>> found = Rationale(17, 5, 9, "Surgeon", 4, False, True, 0.8, steps)
    >>> found.share, found
    (0.5, <Rationale of row 17: 2 of 4 records>)
    """

    row: Hashable
    person: Hashable
    occupation: Hashable
    title: str
    records: int
    given_move: bool
    reached: bool
    full_probability: float
    frame: pd.DataFrame

    @property
    def share(self) -> float:
        """Share of the records that were included, the row's own counted."""
        return len(self.frame) / self.records

    @property
    def _is_move(self) -> bool:
        """Whether there is an occupation before, and the one explained is another."""
        last = self.frame["occupation"].iloc[0]
        return bool(pd.notna(last) and last != self.occupation)

    def summary(self) -> Table:
        """Describe the rationale as a table; ``print(rationale)`` shows it.

        Returns
        -------
        Table
            One row per record included.
        """
        facts = [
            Fact("Row", str(plain_value(self.row))),
            Fact("Person", str(plain_value(self.person))),
            Fact("Occupation explained", self.title),
            Fact("Most probable", "reached" if self.reached else "NOT REACHED"),
            Fact("Records needed", f"{len(self.frame)} of {self.records}"),
            Fact("Probability given all", self.full_probability, ".4f"),
        ]
        rows = self.frame[["record", "probability", "rank"]].to_numpy(dtype=object).tolist()
        what = "among destinations of a move, " if self.given_move else ""
        notes = [
            "Records in the order of inclusion, with the occupation before each; the row's own is always in.",
            f"probability, rank: of the occupation explained, {what}given the records up to that line.",
        ]
        if not self.reached:
            notes.append("All records are in, and another occupation is still more probable.")
            if not self.given_move and self._is_move:
                notes.append("Most people stay where they are: given_move=True explains where to, given a move.")
        columns = [Column("probability", ".4f"), Column("rank", ",d")]
        return Table(columns, rows, title="Rationale", header="record", facts=facts, notes=notes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        verdict = "" if self.reached else ", not reached"
        return f"<Rationale of row {plain_value(self.row)!r}: {len(self.frame)} of {self.records} records{verdict}>"

    def _repr_html_(self) -> str:
        return self.summary().to_html()


def rationale_of(
    predictor: Predictor,
    model: CAREER,
    panel: CareerPanel,
    row: Hashable,
    target: Hashable | None,
    given_move: bool,
) -> Rationale:
    """Explain one row; see :meth:`econllm.career.results.CAREERResults.rationale`."""
    if not model.history_dropout:
        raise OptionError(
            "rationale() hides records, and this network was trained with history_dropout=0, so it has never seen a "
            "career with hidden ones: fit CAREER(history_dropout=0.5), say."
        )
    check_option("given_move", given_move, [True, False])
    choices = predictor.choices
    person = panel.person_ids[_position(panel, row)]
    wanted = None if target is None else find_occupation(choices, target)
    career = panel.subset([person])
    careers = predictor.coding.read(career, choices)
    record = int(np.flatnonzero(careers.target)[_position(career, row)])
    goal = int(careers.outcome[record]) if wanted is None else wanted
    if given_move:
        _check_move(row, int(careers.last[record]), goal, choices)
    proba_of = functools.partial(_tables, predictor, careers, record, given_move)
    included, proba, ranks = _search(proba_of, record, goal)
    everything = proba_of(np.ones((1, record + 1), dtype=bool))
    times = career.to_frame(history=True)[career.roles.time].to_numpy()
    last = careers.last[included]
    codes = pd.Series([choices.codes[i - 1] if i else pd.NA for i in last], dtype=_nullable(choices.index.dtype))
    frame = pd.DataFrame(
        {
            "record": name_records(times[included], last, choices),
            "time": times[included],
            "occupation": codes,
            "title": [choices.titles[i - 1] if i else MISSING_TEXT for i in last],
            "probability": proba,
            "rank": ranks,
        }
    )
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="step")
    return Rationale(
        row=row,
        person=plain_value(person),
        occupation=choices.codes[goal],
        title=choices.titles[goal],
        records=record + 1,
        given_move=given_move,
        reached=ranks[-1] == 1,
        full_probability=float(everything[0, goal]),
        frame=frame,
    )


def _check_move(row: Hashable, last: int, goal: int, choices: ChoiceSet) -> None:
    """Raise unless an occupation can be the destination of a move."""
    if not last:
        raise OptionError(
            f"given_move=True, but row {plain_value(row)!r} is a first record, which leaves no occupation."
        )
    if last == goal + 1:
        raise OptionError(
            f"given_move=True, but {choices.titles[goal]!r} is the occupation before row {plain_value(row)!r}, too: a "
            "stay is no move. Leave given_move out, or explain another occupation with target=."
        )


def _search(
    proba_of: Callable[[np.ndarray], np.ndarray], record: int, goal: int
) -> tuple[list[int], list[float], list[int]]:
    """Include records one by one until `goal` is the most probable occupation; also its probabilities and ranks."""
    included: list[int] = []
    proba, ranks = [], []
    candidates = [record]
    while candidates:
        keep = np.zeros((len(candidates), record + 1), dtype=bool)
        keep[:, included] = True
        keep[np.arange(len(candidates)), candidates] = True
        tables = proba_of(keep)
        best = int(np.argmax(tables[:, goal]))
        included.append(candidates[best])
        proba.append(float(tables[best, goal]))
        ranks.append(1 + int((tables[best] > tables[best, goal]).sum()))
        if ranks[-1] == 1:
            break
        # The latest record first: it wins a tie.
        candidates = [place for place in range(record - 1, -1, -1) if place not in included]
    return included, proba, ranks


def _tables(predictor: Predictor, careers: Careers, record: int, given_move: bool, keep: np.ndarray) -> np.ndarray:
    """Probabilities in one record of a single career, a row for each row of `keep`, the records that are not hidden.

    Every row of `keep` has as many of them, the record itself, the last one, among them.
    """
    store, network = Store.of(careers, predictor.device), predictor.network
    # Hidden records pass nothing on, and need not be read.
    places = np.nonzero(keep)[1].reshape(len(keep), -1)
    size = max(1, _RECORDS // places.shape[1])
    out = np.empty((len(keep), len(predictor.choices)))
    network.eval()
    for begin in range(0, len(keep), size):
        part = torch.as_tensor(places[begin : begin + size], device=predictor.device)
        with torch.inference_mode():
            batch = store.batch(part)
            hidden = network(batch, part)
        persons = torch.arange(len(part), device=predictor.device)
        own = torch.full_like(persons, part.shape[1] - 1)
        out[begin : begin + size] = np.exp(predictor.of_rows(hidden, persons, own, batch))
    if given_move:
        out[:, careers.last[record] - 1] = 0
        out /= out.sum(axis=1, keepdims=True)
    return out


def _position(panel: CareerPanel, row: Hashable) -> int:
    """Where a row is among those of the panel that are predicted."""
    if not isinstance(row, Hashable):
        raise OptionError(refusal("row", row, "not allowed", "give one label of panel.index"))
    try:
        place = panel.index.get_loc(row)
    except (KeyError, TypeError):
        place = None
    # A part of a label of several levels gives a slice. Labels themselves are unique in a panel.
    if not isinstance(place, int):
        raise DataError(
            f"row {plain_value(row)!r} is not in the panel's index, or is history and not predicted."
            f"{did_you_mean(row, panel.index[:1000])}"
        )
    return place


def _nullable(dtype: Any) -> str:
    """Type of a column of codes that may lack one."""
    return "Int64" if dtype == "int64" else "object"
