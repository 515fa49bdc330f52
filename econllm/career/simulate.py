"""Simulated careers: every person of a panel goes on, many times."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from econllm.career.batches import Store
from econllm.career.inputs import GAP, SPELL, Coding, as_numbers, factor_codes, nearest, standardise
from econllm.career.paths import Paths, Records, chunks, uniforms
from econllm.career.prediction import Predictor
from econllm.choices import ChoiceSet
from econllm.errors import DataError, MissingColumnError, OptionError, check_number, did_you_mean, listing, refusal
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel

Covariates = Callable[[pd.DataFrame], pd.DataFrame]

DRAW, STEP, LAST = "draw", "step", "last_occupation"


def simulate(
    predictor: Predictor,
    panel: CareerPanel,
    horizon: int,
    draws: int,
    seed: Seed = None,
    *,
    step: float | None = None,
    covariates: Covariates | None = None,
) -> pd.DataFrame:
    """Continue careers; see :meth:`econllm.career.results.CAREERResults.simulate`."""
    from tqdm.auto import tqdm

    check_paths(horizon, draws)
    if covariates is not None and not callable(covariates):
        advice = "give a function that takes and returns a data frame, or None to hold them"
        raise OptionError(refusal("covariates", covariates, "no function", advice))
    _check_names(panel)
    frame, time = panel.to_frame(history=True), panel.roles.time
    careers = predictor.coding.read(panel, predictor.choices)
    now = frame.iloc[careers.starts + careers.lengths - 1]
    length = median_gap(panel) if step is None else step
    check_number("step", length, above=0)
    root, labels = resolve_seed(seed), occupation_labels(panel, predictor.choices)
    times = [_times(now[time], length * s) for s in range(horizon + 1)]
    plan = [code_records(predictor.coding, now, time, times[s + 1], times[s]) for s in range(horizon)]
    history = Store.of(careers, predictor.device)
    out = np.empty((horizon, len(careers), draws), dtype=np.int32)
    order = np.argsort(careers.lengths, kind="stable")
    with tqdm(total=out.size, desc="simulation", unit=" records", disable=None, leave=False) as bar:
        for persons, some in chunks(order, careers.lengths, draws, horizon, predictor.network.shape):
            paths = Paths(predictor, history, persons, some.stop - some.start, horizon)
            moved = None
            if covariates is not None:
                part = [whole.iloc[persons] for whole in times]
                moved = _Moved(covariates, predictor.coding, panel, labels, part, now.iloc[persons], some)
            for s in range(horizon):
                paths.read(plan[s].of(persons) if moved is None else moved.records(s + 1, paths.last))
                drawn = paths.draw(uniforms(root, persons, s, some))
                out[s, persons, some] = drawn
                paths.go(drawn)
                bar.update(drawn.size)
    return _long(panel, now, out, times[1:], labels)


def check_paths(horizon: int, draws: int) -> None:
    """Raise unless there are records and draws to simulate.

    Raises
    ------
    OptionError
        Naming the argument.

    Examples
    --------
    >>> check_paths(5, 100)
    """
    check_number("horizon", horizon, minimum=1, integer=True)
    check_number("draws", draws, minimum=1, integer=True)


def median_gap(panel: CareerPanel) -> float:
    """Median time between the records of a person, history rows included.

    Raises
    ------
    OptionError
        If no person has two records.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1, 1], "year": [2000, 2002, 2004], "job": "cook"})
    >>> median_gap(CareerPanel(df, "id", "year", "job"))
    2.0
    """
    times = panel.to_frame(history=True)[panel.roles.time].to_numpy(np.float64)
    gaps = np.diff(times)[panel.record_numbers[1:] > 1]
    if not len(gaps):
        raise OptionError("step=None takes the median time between records, and no person has two: give step=.")
    return float(np.median(gaps))


def code_records(coding: Coding, frame: pd.DataFrame, time: Hashable, times: pd.Series, before: pd.Series) -> Records:
    """Code new records, which have no occupation yet; the lengths of spells are left to the paths.

    Parameters
    ----------
    coding : Coding
        The model's.
    frame : DataFrame, shape (rows, ...)
        Static and dynamic columns of the records, lagged columns of the records before.
    time : hashable
        Name of the time column.
    times, before : pandas.Series, shape (rows,)
        Time of the records and of those before.

    Raises
    ------
    UnseenLevelError
        For levels that the model does not know.
    DataError
        If a numeric column holds something else.
    """
    when, earlier = times.to_numpy(np.float64), before.to_numpy(np.float64)
    factors = np.zeros((len(frame), len(coding.factors)), dtype=np.int64)
    for j, (factor, offset) in enumerate(zip(coding.factors, coding.offsets, strict=True)):
        factors[:, j] = factor_codes(frame[factor.column], factor) + offset
    numbers = np.zeros((len(frame), coding.columns), dtype=np.float32)
    for j, number in enumerate(coding.numbers):
        if number.column == SPELL:
            continue
        if number.column == GAP:
            values = np.log1p(np.maximum(when - earlier, 0.0))
        elif number.column == time and not number.lagged:
            values = when
        else:
            values = as_numbers(frame[number.column])
        numbers[:, j], numbers[:, len(coding.numbers) + j] = standardise(values, number)
    return Records(factors, numbers, nearest(when, coding.times))


def occupation_labels(panel: CareerPanel, choices: ChoiceSet) -> pd.Series:
    """Codes of a choice set in the type of the panel's column, where that type can hold them."""
    held = panel.to_frame(history=True)[panel.roles.occupation].dtype
    codes = pd.Series(choices.index)
    if isinstance(held, pd.CategoricalDtype):
        known = held.categories.tolist()
        extra = [code for code in choices.codes if code not in known]
        return codes.astype(pd.CategoricalDtype([*known, *extra], held.ordered) if extra else held)
    typed = codes.astype(held)
    return typed if typed.tolist() == codes.tolist() else codes


def _times(now: pd.Series, later: float) -> pd.Series:
    """Times some time later, in the type of the panel's where that loses nothing."""
    times = now.to_numpy(np.float64) + later
    plain = pd.Series(times)
    if pd.api.types.is_integer_dtype(now.dtype) and (times % 1 != 0).any():
        return plain
    typed = plain.astype(now.dtype)
    return typed if (typed.to_numpy(np.float64) == times).all() else plain


def _at(values: pd.Series, rows: np.ndarray) -> pd.Series:
    """Values of some rows in the type that they have, numbered anew."""
    return values.iloc[rows].reset_index(drop=True)


def _check_names(panel: CareerPanel) -> None:
    for name in (DRAW, STEP, LAST):
        if name in panel.roles.all:
            raise DataError(f"the panel has a column {name!r}, which simulated careers use; rename it.")


@dataclass
class _Moved:
    """Covariates that a user's function moves: the frame of the step before is where a step begins."""

    function: Covariates
    coding: Coding
    panel: CareerPanel
    labels: pd.Series
    times: list[pd.Series]
    frame: pd.DataFrame
    draws: slice

    def __post_init__(self) -> None:
        roles, now = self.panel.roles, self.frame
        static, dynamic = roles.of_records
        numbers = np.arange(self.draws.start, self.draws.stop) + 1
        self._path = np.repeat(np.arange(len(now)), len(numbers))
        self._free = [*static, *dynamic, *roles.lagged]
        begin = {roles.person: _at(now[roles.person], self._path), DRAW: np.tile(numbers, len(now))}
        # Step, time and last occupation are put in at every step.
        begin |= dict.fromkeys((STEP, roles.time, LAST), 0)
        self.frame = pd.DataFrame({**begin, **{name: _at(now[name], self._path) for name in self._free}})

    def records(self, step: int, last: np.ndarray) -> Records:
        """What the function makes of the new records of one step, coded; one per path."""
        given, time = self.frame.copy(), self.panel.roles.time
        times, before = (_at(self.times[at], self._path) for at in (step, step - 1))
        given[STEP] = step
        given[time] = times
        given[LAST] = _at(self.labels, last.ravel() - 1)
        moved = self.function(given.copy())
        self._check(moved, given, step)
        self.frame = moved
        return code_records(self.coding, moved, time, times, before).reshape(*last.shape)

    def _check(self, moved: object, given: pd.DataFrame, step: int) -> None:
        start = f"covariates= at step {step}"
        if not isinstance(moved, pd.DataFrame):
            raise DataError(f"{start} gave back a {type(moved).__name__}; give the data frame back, with changes.")
        if not moved.index.equals(given.index):
            raise DataError(
                f"{start} gave back {len(moved)} rows for {len(given)}, or in another order; give back the same rows "
                "with the same index."
            )
        missing = [column for column in given.columns if column not in moved.columns]
        if missing:
            raise MissingColumnError(f"{start} dropped the columns {listing(missing)}; give all of them back.")
        new = [column for column in moved.columns if column not in given.columns]
        if new:
            raise DataError(f"{start} added the column {new[0]!r}.{did_you_mean(new[0], given.columns)}")
        for column in given.columns:
            if column not in self._free and not moved[column].equals(given[column]):
                raise DataError(f"{start} changed {column!r}, which it may only read.")


def _long(
    panel: CareerPanel, now: pd.DataFrame, paths: np.ndarray, times: list[pd.Series], labels: pd.Series
) -> pd.DataFrame:
    """One row per person, draw and step from paths of shape (steps, persons, draws)."""
    horizon, persons, draws = paths.shape
    who = np.repeat(np.arange(persons), draws * horizon)
    steps = np.tile(np.arange(horizon), persons * draws)
    return pd.DataFrame(
        {
            panel.roles.person: _at(now[panel.roles.person], who),
            DRAW: np.tile(np.repeat(np.arange(draws) + 1, horizon), persons),
            STEP: steps + 1,
            panel.roles.time: _at(pd.concat(times, ignore_index=True), steps * persons + who),
            panel.roles.occupation: _at(labels, paths.transpose(1, 2, 0).ravel()),
        }
    )
