"""From a panel to what the network reads: integer histories, coded covariates, standardised numbers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet, plain_code
from econllm.errors import DataError, MissingColumnError, UnseenLevelError, did_you_mean, listing
from econllm.panel import CareerPanel

GAP = "gap()"
SPELL = "spell()"
# Standardised numbers are cut here: one wage of a million must not decide what the network sees of it.
_FARTHEST = 5.0
# Calendar times beyond this many are described by a number alone.
_MAX_TIMES = 200


@dataclass(frozen=True)
class Factor:
    """A column of categories: level i has code i + 1, a missing value 0.

    Attributes
    ----------
    column : hashable
        Column of the panel.
    lagged : bool
        Whether the value of the record before is meant.
    levels : tuple
        Levels in order.
    """

    column: Hashable
    lagged: bool
    levels: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.levels) + 1


@dataclass(frozen=True)
class Number:
    """A numeric column, standardised with moments of the estimation sample.

    Attributes
    ----------
    column : hashable
        Column of the panel, "gap()" for the time since the record before, or "spell()" for the number of records in a
        row with the last occupation.
    lagged : bool
        Whether the value of the record before is meant.
    mean, scale : float
        Subtracted, and divided by.
    """

    column: Hashable
    lagged: bool
    mean: float
    scale: float


@dataclass(frozen=True)
class Coding:
    """How columns become codes and numbers: made from the estimation sample, applied to every other.

    Attributes
    ----------
    factors : tuple of Factor
        Categories, in the order of their codes.
    numbers : tuple of Number
        Numbers, in order.
    times : tuple of float
        Calendar times with an effect of their own, sorted; empty where there are none.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2002], "job": ["a", "b"], "sex": "f"})
    >>> panel = CareerPanel(df, "id", "year", "job", static=["sex"])
    >>> coding = Coding.of(panel, gap=True, calendar="learned")
    >>> [factor.column for factor in coding.factors], [number.column for number in coding.numbers], coding.times
    (['sex'], ['gap()', 'spell()', 'year'], (2000.0, 2002.0))
    """

    factors: tuple[Factor, ...]
    numbers: tuple[Number, ...]
    times: tuple[float, ...]

    @classmethod
    def of(
        cls,
        panel: CareerPanel,
        *,
        gap: bool = True,
        spell: bool = True,
        calendar: str | None = "learned",
        columns: Sequence[Hashable] | None = None,
        like: Coding | None = None,
        weights: np.ndarray | None = None,
    ) -> Coding:
        """Read the coding off an estimation sample.

        Parameters
        ----------
        panel : CareerPanel
            Its static and dynamic columns enter as they stand, its lagged ones from the record before. Text and
            categorical columns are factors, all others numbers.
        gap : bool
            Whether the time since the record before is a number, too.
        spell : bool
            Whether the number of records in a row with the last occupation is one.
        calendar : {"learned", "number"} or None
            An effect for every time beside a slope, the slope alone, or nothing.
        columns : sequence of hashable, optional
            The only static, dynamic and lagged columns to use; all of them by default.
        like : Coding, optional
            Coding of a network to start from, whose means, scales and times are kept.
        weights : numpy.ndarray, shape (n,), optional
            Weights of the rows in means and scales. A row with weight zero might as well not be there.

        Raises
        ------
        MissingColumnError
            If a column of `columns` is no covariate of the panel.
        DataError
            If a column has a name of this module's own.
        """
        frame, target = panel.to_frame(history=True), panel.is_target
        if weights is not None:
            target[target] = weights > 0
            weights = weights[weights > 0]
        static, dynamic = panel.roles.of_records
        covariates = (*static, *dynamic, *panel.roles.lagged)
        for column in covariates if columns is None else columns:
            if column in (GAP, SPELL):
                raise DataError(f"the panel has a column {column!r}, a name that CAREER uses itself; rename it.")
            if str(column).endswith("[alt]") or column in panel.roles.by_outcome:
                raise MissingColumnError(f"covariates names {column!r}: CAREER does not read columns by outcome.")
            if column not in covariates:
                raise MissingColumnError(
                    f"covariates names {column!r}, which is no static, dynamic or lagged column of the panel."
                    f"{did_you_mean(column, covariates)}"
                )
        known: dict[tuple[Hashable, bool], Number] = {}
        if like is not None:
            known = {(n.column, n.lagged): n for n in like.numbers}
        factors: list[Factor] = []
        numbers: list[Number] = []
        for column in covariates if columns is None else columns:
            lagged = column in panel.roles.lagged
            if isinstance(frame[column].dtype, pd.CategoricalDtype):
                factors.append(Factor(column, lagged, tuple(_level(v) for v in panel.levels[column])))
            else:
                values = _lag(frame[column], panel) if lagged else as_numbers(frame[column])
                numbers.append(known.get((column, lagged)) or _number(column, lagged, values[target], weights))
        times = frame[panel.roles.time].to_numpy(np.float64)
        if gap:
            numbers.append(known.get((GAP, False)) or _number(GAP, False, _gaps(times, panel)[target], weights))
        if spell:
            outcome = panel.choices.positions(frame[panel.roles.occupation], str(panel.roles.occupation))
            values = np.log1p(spells(outcome, panel.record_numbers))
            numbers.append(known.get((SPELL, False)) or _number(SPELL, False, values[target], weights))
        if calendar is not None:
            name = panel.roles.time
            numbers.append(known.get((name, False)) or _number(name, False, times[target], weights))
        distinct = np.unique(np.append(times[target], () if like is None else like.times))
        learned = calendar == "learned" and len(distinct) <= _MAX_TIMES
        return cls(tuple(factors), tuple(numbers), tuple(distinct.tolist()) if learned else ())

    @property
    def offsets(self) -> np.ndarray:
        """First row of every factor in one table of embeddings."""
        return np.cumsum([0, *(factor.size for factor in self.factors)])[:-1].astype(np.int64)

    @property
    def levels(self) -> int:
        """Rows of that table."""
        return sum(factor.size for factor in self.factors)

    @property
    def columns(self) -> int:
        """Numbers per record: the values, and as many indicators of missing ones."""
        return 2 * len(self.numbers)

    def read(self, panel: CareerPanel, choices: ChoiceSet) -> Careers:
        """Code a panel.

        Parameters
        ----------
        panel : CareerPanel
            Any panel with the columns of the estimation sample.
        choices : ChoiceSet
            In whose positions occupations are given.

        Returns
        -------
        Careers

        Raises
        ------
        MissingColumnError
            If the panel lacks a column.
        UnseenLevelError
            If a factor has a level that the estimation sample's panel did not know.
        DataError
            For occupations outside the choice set.
        """
        frame = panel.to_frame(history=True)
        self._check(panel)
        occupation = panel.roles.occupation
        outcome = choices.positions(frame[occupation], str(occupation)).astype(np.int64)
        record = panel.record_numbers
        last = np.where(record > 1, np.roll(outcome, 1) + 1, 0)
        starts = panel.starts
        times = frame[panel.roles.time].to_numpy(np.float64)
        return Careers(
            starts=starts,
            lengths=np.diff(np.append(starts, len(frame))),
            last=last,
            outcome=outcome,
            target=panel.is_target,
            factors=self._codes(frame, panel),
            numbers=self._values(frame, panel, times, outcome),
            times=nearest(times, self.times),
        )

    def _check(self, panel: CareerPanel) -> None:
        roles = panel.roles
        static, dynamic = roles.of_records
        parts: list[Factor | Number] = [*self.factors, *self.numbers]
        for part in parts:
            known = roles.lagged if part.lagged else (GAP, SPELL, roles.time, *static, *dynamic)
            if part.column not in known:
                kind = "lagged" if part.lagged else "static or dynamic"
                raise MissingColumnError(
                    f"the model was fitted with the {kind} column {part.column!r}, which the panel does not have."
                    f"{did_you_mean(part.column, known)}"
                )

    def _codes(self, frame: pd.DataFrame, panel: CareerPanel) -> np.ndarray:
        out = np.zeros((len(frame), len(self.factors)), dtype=np.int64)
        for j, (factor, offset) in enumerate(zip(self.factors, self.offsets, strict=True)):
            code = factor_codes(frame[factor.column], factor)
            if factor.lagged:
                code = np.where(panel.record_numbers > 1, np.roll(code, 1), 0)
            out[:, j] = code + offset
        return out

    def _values(self, frame: pd.DataFrame, panel: CareerPanel, times: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        out = np.zeros((len(frame), self.columns), dtype=np.float32)
        for j, number in enumerate(self.numbers):
            if number.column == GAP:
                values = _gaps(times, panel)
            elif number.column == SPELL:
                values = np.log1p(spells(outcome, panel.record_numbers))
            elif number.lagged:
                values = _lag(frame[number.column], panel)
            else:
                values = as_numbers(frame[number.column])
            out[:, j], out[:, len(self.numbers) + j] = standardise(values, number)
        return out


@dataclass(frozen=True)
class Careers:
    """Careers as arrays, one row per record, persons one after the other.

    Attributes
    ----------
    starts, lengths : numpy.ndarray of int, shape (persons,)
        First record and number of records of every person.
    last : numpy.ndarray of int64, shape (records,)
        Position of the occupation before, plus one; 0 at a first record.
    outcome : numpy.ndarray of int64, shape (records,)
        Position of the occupation.
    target : numpy.ndarray of bool, shape (records,)
        Which records are predicted.
    factors : numpy.ndarray of int64, shape (records, factors)
        Rows of the table of covariates.
    numbers : numpy.ndarray of float32, shape (records, 2 x numbers)
        Standardised values with zeros for missing ones, then indicators of these.
    times : numpy.ndarray of int64, shape (records,)
        Nearest calendar time with an effect of its own; 0 where there are none.
    """

    starts: np.ndarray
    lengths: np.ndarray
    last: np.ndarray
    outcome: np.ndarray
    target: np.ndarray
    factors: np.ndarray
    numbers: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        """Return the number of persons."""
        return len(self.starts)


def factor_codes(values: pd.Series, factor: Factor) -> np.ndarray:
    """Code of every value of a factor: its level's position plus one, 0 where it is missing.

    Raises
    ------
    UnseenLevelError
        For levels that the factor does not have, with their rows.

    Examples
    --------
    >>> factor_codes(pd.Series(["b", None]), Factor("x", False, ("a", "b"))).tolist()
    [2, 0]
    """
    plain = values.astype(object)
    distinct = {value: _level(value) for value in plain.dropna().unique()}
    codes: np.ndarray = pd.Index(factor.levels, dtype=object).get_indexer(pd.Index(plain.map(distinct))) + 1
    unknown = (codes == 0) & plain.notna().to_numpy()
    if unknown.any():
        found = plain[unknown].unique()
        raise UnseenLevelError(
            f"column {factor.column!r}: {int(unknown.sum())} rows hold {len(found)} levels that the model does not "
            f"know: {listing(found)}.{did_you_mean(found[0], factor.levels)}"
        )
    return codes.astype(np.int64)


def as_numbers(values: pd.Series) -> np.ndarray:
    """Values of a numeric column in float64, not-a-number where they are missing.

    Raises
    ------
    DataError
        If the column holds text or infinite numbers.

    Examples
    --------
    >>> as_numbers(pd.Series([1, None], name="x")).tolist()
    [1.0, nan]
    """
    plain = values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
    try:
        out: np.ndarray = plain.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        found = plain[plain.notna() & pd.to_numeric(plain, errors="coerce").isna()]
        raise DataError(
            f"column {values.name!r}: the model knows numbers, and {len(found)} rows hold something else: "
            f"{listing(found.unique())}."
        ) from error
    endless = np.isinf(out)
    if endless.any():
        raise DataError(
            f"column {values.name!r} is infinite in {int(endless.sum())} of {len(out)} rows, first at index "
            f"{listing(values.index[endless], 3)}; give finite numbers, or missing ones."
        )
    return out


def standardise(values: np.ndarray, number: Number) -> tuple[np.ndarray, np.ndarray]:
    """Standardised values, cut at five standard deviations and zero where missing; and where they are missing.

    Examples
    --------
    >>> standardise(np.array([1.0, np.nan]), Number("x", False, 0.0, 2.0))
    (array([0.5, 0. ]), array([False,  True]))
    """
    missing = ~np.isfinite(values)
    scaled = np.clip((values - number.mean) / number.scale, -_FARTHEST, _FARTHEST)
    return np.where(missing, 0.0, scaled), missing


def nearest(times: np.ndarray, known: Sequence[float]) -> np.ndarray:
    """Position of the nearest known time; the earlier one of two that are as near.

    Examples
    --------
    >>> nearest(np.array([1999.0, 2001.0, 2030.0]), (2000.0, 2002.0)).tolist()
    [0, 0, 1]
    """
    if not len(known):
        return np.zeros(len(times), dtype=np.int64)
    grid = np.asarray(known, dtype=np.float64)
    right = np.clip(np.searchsorted(grid, times), 1, max(len(grid) - 1, 1))
    right = np.minimum(right, len(grid) - 1)
    left = np.maximum(right - 1, 0)
    out: np.ndarray = np.where(times - grid[left] <= grid[right] - times, left, right).astype(np.int64)
    return out


def spells(outcome: np.ndarray, record: np.ndarray) -> np.ndarray:
    """Number of records in a row with the last occupation, before each record; nan at first records.

    Parameters
    ----------
    outcome, record : numpy.ndarray, shape (records,)
        Occupations, and positions 1, 2, ... of the records within their persons.

    Examples
    --------
    >>> spells(np.array([5, 5, 7, 7]), np.array([1, 2, 3, 4])).tolist()
    [nan, 1.0, 2.0, 1.0]
    """
    begins = (record == 1) | (outcome != np.roll(outcome, 1))
    place = np.arange(len(outcome))
    length = place - np.maximum.accumulate(np.where(begins, place, 0)) + 1
    out: np.ndarray = np.where(record > 1, np.roll(length, 1), np.nan)
    return out


def _level(value: Any) -> Any:
    """A level as it can be saved: intervals of pandas.cut and the like become text."""
    plain = plain_code(value)
    return plain if isinstance(plain, str | int | float | bool) else str(plain)


def _number(column: Hashable, lagged: bool, values: np.ndarray, weights: np.ndarray | None) -> Number:
    known = np.isfinite(values)
    there, weight = values[known], None if weights is None else weights[known]
    mean = float(np.average(there, weights=weight)) if len(there) else 0.0
    scale = float(np.sqrt(np.average((there - mean) ** 2, weights=weight))) if len(there) else 0.0
    return Number(column, lagged, mean, scale if scale > 1e-12 * max(abs(mean), 1.0) else 1.0)


def _lag(values: pd.Series, panel: CareerPanel) -> np.ndarray:
    numbers = as_numbers(values)
    out: np.ndarray = np.where(panel.record_numbers > 1, np.roll(numbers, 1), np.nan)
    return out


def _gaps(times: np.ndarray, panel: CareerPanel) -> np.ndarray:
    since = np.diff(times, prepend=times[:1])
    out: np.ndarray = np.where(panel.record_numbers > 1, np.log1p(np.maximum(since, 0.0)), np.nan)
    return out
