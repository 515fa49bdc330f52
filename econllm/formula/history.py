"""Terms that look back in a career: lag, gap, record, changed, years_in and bag."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.choices import MISSING_TEXT
from econllm.errors import FormulaError, check_number, check_option
from econllm.formula.values import FactorValue, NumericValue, Value, as_factor, as_numbers, is_factor

HISTORY_TERMS = ("lag", "changed", "years_in", "bag", "gap", "record")


@dataclass(frozen=True)
class History:
    """Where every record stands in its career; the methods are the panel terms of formulas.

    Attributes
    ----------
    record : numpy.ndarray of int64, shape (n,)
        Number 1, 2, ... of the record within its person; rows are sorted by person and time.
    time : numpy.ndarray of float64, shape (n,)
        Calendar time.
    hidden : frozenset
        Columns known only after the outcome of their record (the occupation itself, lagged columns).
    levels : dict
        Frozen levels of columns by name.
    columns : mapping
        The columns themselves, by name: an expression of a column has the column's name and not its levels.

    Examples
    --------
    >>> h = History(np.array([1, 2, 1]), np.array([2000.0, 2003, 2000]), frozenset(), {})
    >>> h.gap().matrix[:, 0].tolist()
    [0.0, 3.0, 0.0]
    """

    record: np.ndarray
    time: np.ndarray
    hidden: frozenset[Hashable]
    levels: dict[Hashable, pd.Index]
    columns: Mapping[str, pd.Series] = field(default_factory=dict)

    def lag(self, x: Any, k: float = 1, by: Literal["record", "time"] = "record") -> Value:
        """Value of `x` in an earlier record of the same person.

        Parameters
        ----------
        x : Series or factor
            A column, or a factor such as ``C(region)``.
        k : int or float
            How many records back or, with ``by="time"``, how much calendar time back, fractions included.
        by : {"record", "time"}
            What `k` counts. By time, a record exactly `k` earlier must exist.

        Returns
        -------
        FactorValue or NumericValue
            A factor gains the level "(none)"; a number becomes two columns, 0 where there is no earlier value and an
            indicator of that.

        Raises
        ------
        FormulaError
            For a factor that has a level "(none)" of its own.
        OptionError
            For `k` below one record or of no time at all, which would look at the outcome itself or ahead.

        Examples
        --------
        >>> h = History(np.array([1, 2]), np.array([2000.0, 2001]), frozenset(), {})
        >>> h.lag(pd.Series([5.0, 6.0])).matrix.tolist()
        [[0.0, 1.0], [5.0, 0.0]]
        """
        check_option("by of lag()", by, ["record", "time"])
        if by == "time":
            check_number("k of lag()", k, above=0)
        else:
            check_number("k of lag()", k, minimum=1, integer=True)
        source = self._source(k, by)
        found = source >= 0
        if isinstance(x, pd.Series) and is_factor(x):
            x = as_factor(x, self._frozen(x))
        if isinstance(x, FactorValue):
            codes, levels = x.codes, x.levels
            if not x.lagged:  # a lag of a lag has the level already
                if MISSING_TEXT in levels:
                    raise FormulaError(
                        f"lag() meets a category named {MISSING_TEXT!r}, which is reserved for 'no history'; rename it."
                    )
                codes, levels = np.where(codes >= 0, codes + 1, -1), pd.Index([MISSING_TEXT, *levels], dtype=object)
            return FactorValue(np.where(found, codes[source], 0), levels, lagged=True)
        if isinstance(x, NumericValue):
            raise FormulaError("lag() takes a column or a factor, not the result of another term with several columns.")
        values = as_numbers(x)
        columns = np.column_stack([np.where(found, values[source], 0.0), (~found).astype(np.float64)])
        return NumericValue(columns, ("", f"[{MISSING_TEXT}]"))

    def gap(self) -> NumericValue:
        """Time since the last record; 0 at the first one, and an indicator of that.

        Examples
        --------
        >>> History(np.array([1]), np.array([2000.0]), frozenset(), {}).gap().suffixes
        ('', '[(none)]')
        """
        first = self.record == 1
        steps = np.where(first, 0.0, self.time - np.roll(self.time, 1))
        return NumericValue(np.column_stack([steps, first.astype(np.float64)]), ("", f"[{MISSING_TEXT}]"))

    def position(self) -> pd.Series:
        """Number of the record within its career: 1, 2, ... (``record()`` in formulas).

        Examples
        --------
        >>> History(np.array([1, 2]), np.array([0.0, 1.0]), frozenset(), {}).position().tolist()
        [1.0, 2.0]
        """
        return pd.Series(self.record.astype(np.float64))

    def changed(self, x: Any) -> pd.Series:
        """Whether `x` differs from the record before; 0 at the start.

        A column known before the outcome is compared with its value one record earlier. A column known only
        afterwards (the occupation, lagged columns) is compared over the two last records that are known.

        Examples
        --------
        >>> h = History(np.array([1, 2, 3]), np.arange(3.0), frozenset(), {})
        >>> h.changed(pd.Series([1, 1, 2])).tolist()
        [0.0, 0.0, 1.0]
        """
        codes = self._codes(x)
        differs = (self.record > 1) & (codes != np.roll(codes, 1))
        if getattr(x, "name", None) in self.hidden:
            differs = np.roll(differs, 1) & (self.record > 2)
        return pd.Series(differs.astype(np.float64))

    def years_in(self, x: Any) -> pd.Series:
        """Length of the spell that the last record belongs to, in units of time; 0 at the first record.

        A spell is a run of records with the same value. Its length is the time from its first to its last record
        plus one, so that a spell of one record has length one.

        Examples
        --------
        >>> h = History(np.array([1, 2, 3]), np.array([2000.0, 2001, 2002]), frozenset(), {})
        >>> h.years_in(pd.Series(["a", "a", "b"])).tolist()
        [0.0, 1.0, 2.0]
        """
        codes = self._codes(x)
        starts = (self.record == 1) | (codes != np.roll(codes, 1))
        start = np.maximum.accumulate(np.where(starts, np.arange(len(codes)), 0))
        length = self.time - self.time[start] + 1 if len(codes) else np.zeros(0)
        return pd.Series(np.where(self.record > 1, np.roll(length, 1), 0.0))

    def bag(self, x: Any) -> NumericValue:
        """Shares of earlier records by level of `x`, one sparse column per level; all zero at the first record.

        Examples
        --------
        >>> h = History(np.array([1, 2, 3]), np.arange(3.0), frozenset(), {})
        >>> h.bag(pd.Series(["a", "b", "a"])).matrix.toarray()[2].tolist()
        [0.5, 0.5]
        """
        value = x if isinstance(x, FactorValue) else as_factor(x, self._frozen(x))
        earlier = self.record - 1
        row = np.repeat(np.arange(len(earlier)), earlier)
        begin = np.arange(len(earlier)) - earlier
        column = np.arange(len(row)) - np.repeat(np.cumsum(earlier) - earlier, earlier) + np.repeat(begin, earlier)
        codes = value.codes[column]
        if (codes < 0).any():
            raise FormulaError(f"bag({getattr(x, 'name', '...')}) meets missing values; fill or drop them first.")
        matrix = sparse.coo_array((1.0 / earlier[row], (row, codes)), shape=(len(earlier), len(value.levels)))
        return NumericValue(matrix.tocsr(), tuple(f"[{level}]" for level in value.levels), shares=True)

    def _frozen(self, x: pd.Series) -> pd.Index | None:
        return self.levels.get(x.name) if x is self.columns.get(str(x.name), x) else None

    def _source(self, k: float, by: str) -> np.ndarray:
        """Row that the lag reads, -1 where there is none."""
        rows = np.arange(len(self.record))
        if by == "record" or not len(rows):
            return np.where(self.record > k, rows - int(k), -1)
        # Times become whole numbers, so that months held as fractions of a year are found in spite of rounding.
        distinct, now = np.unique(self.time, return_inverse=True)
        tolerance = 1e-9 * max(1.0, float(np.abs(distinct).max()))
        then = np.minimum(np.searchsorted(distinct, distinct - k - tolerance), len(distinct) - 1)
        exists = (np.abs(distinct[then] - (distinct - k)) <= tolerance) & (then < np.arange(len(distinct)))
        person = np.cumsum(self.record == 1) * len(distinct)
        place = np.minimum(np.searchsorted(person + now, person + then[now]), len(rows) - 1)
        return np.where(exists[now] & ((person + now)[place] == person + then[now]), place, -1)

    def _codes(self, x: Any) -> np.ndarray:
        """Whole numbers that are equal where the values are equal; missing values count as one value."""
        if isinstance(x, FactorValue):
            return x.codes
        codes: np.ndarray = pd.factorize(np.asarray(x, dtype=object) if not hasattr(x, "dtype") else x)[0]
        return codes


def without_panel(term: str) -> Callable[..., Any]:
    """Stand in for a panel term where there is no panel: calling it raises.

    Examples
    --------
    >>> without_panel("gap")()
    Traceback (most recent call last):
    econllm.errors.FormulaError: gap() looks back in a career, ...
    """

    @functools.wraps(getattr(History, "position" if term == "record" else term))
    def refuse(*_: object, **__: object) -> Any:
        raise FormulaError(
            f"{term}() looks back in a career, so it needs to know persons and times: give a CareerPanel, not a data "
            "frame."
        )

    return refuse
