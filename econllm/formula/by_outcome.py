"""Columns x[code], one per outcome: reading them, and the choice sets and offsets that they hold."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.errors import DataError, LeakageError, MissingColumnError, OptionError, did_you_mean, listing
from econllm.formula.lookup import Lookup
from econllm.formula.values import as_numbers
from econllm.options import Missing
from econllm.panel import CareerPanel

# Odd, so that multiplying by it modulo 2 ** 64 loses nothing.
_FACTOR = 1_000_003


def names_by_outcome(name: str, choices: ChoiceSet) -> list[str]:
    """Names of the columns that hold something by outcome.

    Examples
    --------
    >>> names_by_outcome("price", ChoiceSet(["bus", "car"]))
    ['price[bus]', 'price[car]']
    """
    return [f"{name}[{code}]" for code in choices.codes]


def check_by_outcome(
    name: str, known: Iterable[Hashable], hidden: Iterable[Hashable], choices: ChoiceSet, what: str, on_panel: bool
) -> None:
    """Raise unless there is a column ``name[code]`` for every outcome, known before the outcome.

    Raises
    ------
    LeakageError
        If one of them describes the job that is to be predicted.
    MissingColumnError
        If one is absent, with their number, the first of them and the nearest column.

    Examples
    --------
    >>> check_by_outcome("price", ["price[bus]"], [], ChoiceSet(["bus"]), "the formula", False)
    """
    wanted, there = names_by_outcome(name, choices), {str(c) for c in known}
    later = [column for column in wanted if column in {str(c) for c in hidden}]
    if later:
        raise LeakageError(
            f"{what} uses {later[0]!r}, which is declared in lagged= and known only after the outcome; what a person "
            f"knows of every outcome beforehand is declared in dynamic=['{name}[alt]']."
        )
    absent = [column for column in wanted if column not in there]
    if absent:
        declare = f" Declare them on the panel: dynamic=['{name}[alt]']." if on_panel else ""
        raise MissingColumnError(
            f"{what} needs a column {name}[code] for every outcome; {len(absent)} of {len(wanted)} are absent: "
            f"{listing(absent, 3)}.{did_you_mean(absent[0], there)}{declare}"
        )


class _Numbers:
    """The columns x[code] as arrays of numbers, made one at a time: together they may fill the memory."""

    def __init__(self, name: str, columns: Mapping[str, pd.Series], choices: ChoiceSet, rows: np.ndarray) -> None:
        self._columns = [columns[column] for column in names_by_outcome(name, choices)]
        self._rows = rows

    def __iter__(self) -> Iterator[np.ndarray]:
        for column in self._columns:
            try:
                numbers = as_numbers(column)
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"column {column.name!r} holds {column.dtype}, no numbers; convert it with pd.to_numeric()."
                ) from error
            yield numbers if self._rows.all() else numbers[self._rows]


def lookup_by_outcome(name: str, columns: Mapping[str, pd.Series], choices: ChoiceSet, rows: np.ndarray) -> Lookup:
    """Read numbers by row and outcome, nan where they are missing.

    Parameters
    ----------
    name : str
        The x of columns ``x[code]``.
    columns : mapping of str to Series
        All columns of the data.
    choices : ChoiceSet
        The outcomes.
    rows : numpy.ndarray of bool
        Rows to read.

    Returns
    -------
    Lookup

    Raises
    ------
    DataError
        If a column holds no numbers.

    Examples
    --------
    >>> df = pd.DataFrame({"t[a]": [1, 2, 1], "t[b]": [3.0, None, 3.0]})
    >>> found = lookup_by_outcome("t", {c: df[c] for c in df}, ChoiceSet(["a", "b"]), np.ones(3, bool))
    >>> found.table.tolist(), found.codes.tolist()
    ([[1.0, 3.0], [2.0, nan]], [0, 1, 0])
    """
    numbers = _Numbers(name, columns, choices, rows)
    codes, first = patterns(numbers)
    return Lookup(codes, np.column_stack([column[first] for column in numbers]))


def patterns(columns: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Find rows that are alike.

    Parameters
    ----------
    columns : iterable of numpy.ndarray, each of shape (n,)
        Numbers or objects; gone through twice.

    Returns
    -------
    codes : numpy.ndarray of int64, shape (n,)
        Number of every row's pattern.
    first : numpy.ndarray of int64, shape (patterns,)
        A row of each pattern.

    Examples
    --------
    >>> [found.tolist() for found in patterns([np.array([1.0, 2, 1]), np.array([5, 6, 5])])]
    [[0, 1, 0], [0, 1]]
    """
    hashes = np.zeros(1, dtype=np.uint64)
    for column in columns:
        hashes = hashes * np.uint64(_FACTOR) + pd.util.hash_array(column)
    codes, _ = pd.factorize(hashes)
    first = np.zeros(codes.max(initial=-1) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    if not all(_equal(column, column[first[codes]]) for column in columns):  # two patterns with one hash: never seen
        return np.arange(len(codes)), np.arange(len(codes))
    return codes.astype(np.int64), first


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | (pd.isna(a) & pd.isna(b))).all())


def _read(name: str, data: CareerPanel | pd.DataFrame, choices: ChoiceSet, option: str) -> Lookup:
    if not isinstance(name, str):
        raise OptionError(f"{option} must be the x of columns named x[code], a text; found a {type(name).__name__}.")
    on_panel = isinstance(data, CareerPanel)
    frame = data.to_frame() if isinstance(data, CareerPanel) else data
    known = data.roles.known if isinstance(data, CareerPanel) else data.columns
    hidden = data.roles.hidden if isinstance(data, CareerPanel) else ()
    check_by_outcome(name, known, hidden, choices, f"{option}={name!r}", on_panel)
    twice = set(map(str, frame.columns[frame.columns.duplicated()])) & set(names_by_outcome(name, choices))
    if twice:
        raise DataError(f"column {sorted(twice)[0]!r} occurs more than once in the data frame; names must be unique.")
    columns = {str(c): frame.iloc[:, i] for i, c in enumerate(frame.columns)}
    return lookup_by_outcome(name, columns, choices, np.ones(len(frame), dtype=bool))


def read_choice_sets(
    name: str, data: CareerPanel | pd.DataFrame, choices: ChoiceSet, outcome: np.ndarray | None = None
) -> Lookup:
    """Read which outcomes every row could choose.

    Parameters
    ----------
    name : str
        The x of columns ``x[code]``, true or false or 0 and 1, one per outcome.
    data : CareerPanel or DataFrame
        The rows.
    choices : ChoiceSet
        All outcomes.
    outcome : numpy.ndarray of int64, shape (n,), optional
        Position of the outcome that was chosen, which must be available.

    Returns
    -------
    Lookup
        With a table of bool: one pattern per distinct choice set.

    Raises
    ------
    MissingColumnError, LeakageError
        If there is no such column for some outcome, or it is not known before.
    DataError
        For values that are missing or others, rows that could choose nothing, and outcomes that were chosen though not
        available; with counts and first rows.

    Notes
    -----
    A row with a single available outcome is kept; its probability is one whatever the coefficients are, so that it adds
    nothing to the likelihood.

    Examples
    --------
    >>> df = pd.DataFrame({"free[bus]": [1, 1], "free[car]": [0, 1]})
    >>> read_choice_sets("free", df, ChoiceSet(["bus", "car"])).values().tolist()
    [[True, False], [True, True]]
    """
    found = _read(name, data, choices, "choice_sets")
    wrong = np.logical_not(np.isin(found.table, [0, 1]))
    if wrong.any():
        rows = np.asarray(wrong.any(axis=1))[found.codes]
        column = names_by_outcome(name, choices)[int(np.argmax(wrong.any(axis=0)))]
        raise DataError(
            f"choice_sets={name!r}: {_rows(rows, data)} hold values that are missing or neither true nor false (0, 1), "
            f"the first column with such a value is {column!r}."
        )
    available = found.table.astype(bool)
    empty = np.logical_not(available.any(axis=1))
    if empty.any():
        raise DataError(f"choice_sets={name!r}: {_rows(empty[found.codes], data)} have no available outcome.")
    if outcome is not None:
        barred = np.logical_not(available[found.codes, outcome])
        if barred.any():
            chosen = [choices.codes[i] for i in np.unique(outcome[barred])]
            raise DataError(
                f"choice_sets={name!r}: {_rows(barred, data)} chose an outcome that was not available to them: "
                f"{listing(chosen)}."
            )
    return Lookup(found.codes, available)


def read_offset(
    name: str,
    data: CareerPanel | pd.DataFrame,
    choices: ChoiceSet,
    *,
    available: Lookup | None = None,
    missing: Missing = "raise",
) -> tuple[Lookup, np.ndarray]:
    """Read a part of the utilities that is known: its coefficient is one.

    Parameters
    ----------
    name : str
        The x of columns ``x[code]``, one per outcome.
    data : CareerPanel or DataFrame
        The rows.
    choices : ChoiceSet
        All outcomes.
    available : Lookup, optional
        Choice sets; what is missing for outcomes that are not available does not matter.
    missing : {"raise", "drop"}
        Rows with missing values are an error or left out.

    Returns
    -------
    Lookup
        The numbers.
    numpy.ndarray of bool, shape (n,)
        Rows without missing values.

    Raises
    ------
    MissingColumnError, LeakageError
        If there is no such column for some outcome, or it is not known before.
    DataError
        For values that are missing, not finite or no numbers.

    Examples
    --------
    >>> df = pd.DataFrame({"o[bus]": [0.5, 0.0], "o[car]": [0.0, 1.0]})
    >>> read_offset("o", df, ChoiceSet(["bus", "car"]))[0].values().tolist()
    [[0.5, 0.0], [0.0, 1.0]]
    """
    found = without_unavailable(_read(name, data, choices, "offset"), available)
    incomplete = np.isnan(found.table).any(axis=1)[found.codes]
    if incomplete.any() and missing == "raise":
        raise DataError(
            f"offset={name!r}: {_rows(incomplete, data)} have missing values. Fill them, drop them, or set "
            "missing='drop'."
        )
    infinite = np.isinf(found.table).any(axis=1)[found.codes]
    if infinite.any():
        raise DataError(
            f"offset={name!r}: {_rows(infinite, data)} hold values that are not finite; what cannot be chosen goes "
            "into choice_sets=."
        )
    return Lookup(found.codes, np.nan_to_num(found.table)), ~incomplete


def without_unavailable(lookup: Lookup, available: Lookup | None) -> Lookup:
    """Put zero where an outcome is not available, if anything is missing or not finite.

    Examples
    --------
    >>> available = Lookup(np.array([0]), np.array([[True, False]]))
    >>> without_unavailable(Lookup(np.array([0]), np.array([[2.0, np.nan]])), available).values().tolist()
    [[2.0, 0.0]]
    """
    if available is None or np.isfinite(lookup.table).all():
        return lookup
    codes, first = patterns([lookup.codes, available.codes])
    return Lookup(codes, np.where(available.values(first), lookup.values(first), 0.0))


def known_utilities(offset: Lookup | None, available: Lookup | None) -> Lookup | None:
    """What is known of the utilities: the offset, and minus infinity where an outcome is not available.

    Examples
    --------
    >>> available = Lookup(np.array([0]), np.array([[True, False]]))
    >>> known_utilities(None, available).values().tolist()
    [[0.0, -inf]]
    """
    if available is None or offset is None:
        return offset if available is None else Lookup(available.codes, np.where(available.table, 0.0, -np.inf))
    pairs, first = patterns([offset.codes, available.codes])
    values = np.where(available.values(first), offset.values(first), -np.inf)
    return Lookup(pairs, values)


def _rows(mask: np.ndarray, data: CareerPanel | pd.DataFrame) -> str:
    return f"{int(mask.sum())} of {len(mask)} rows (first at index {listing(data.index[mask], 3)})"
