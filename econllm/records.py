"""From a data frame to records: which column plays which part, what is refused, and what is frozen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import MISSING_TEXT, ChoiceSet, plain_code
from econllm.errors import DataError, MissingColumnError, OptionError, check_columns, did_you_mean, listing

MAX_NUMERIC_LEVELS = 1000
# Ends the name by which columns x[code], one per outcome, are declared together.
_BY_OUTCOME = "[alt]"
_DATES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")


@dataclass(frozen=True)
class Roles:
    """Which column plays which part.

    Attributes
    ----------
    person, time, occupation : hashable
        Names of the identifying columns and of the outcome.
    static, dynamic : tuple of hashable
        Columns known before the occupation of the same record, constant within a person or not.
    lagged : tuple of hashable
        Columns that describe the job of the record and are known only afterwards.
    weights : hashable or None
        Survey weights.
    by_outcome : tuple of hashable
        Those static and dynamic columns that hold something about one outcome each.

    Examples
    --------
    >>> Roles("nr", "year", "occupation").known
    ('year',)
    """

    person: Hashable
    time: Hashable
    occupation: Hashable
    static: tuple[Hashable, ...] = ()
    dynamic: tuple[Hashable, ...] = ()
    lagged: tuple[Hashable, ...] = ()
    weights: Hashable | None = None
    by_outcome: tuple[Hashable, ...] = ()

    @property
    def known(self) -> tuple[Hashable, ...]:
        """Columns that a model may use as they stand at the record it predicts."""
        return (self.time, *self.static, *self.dynamic)

    @property
    def hidden(self) -> tuple[Hashable, ...]:
        """Columns that a model may use only from earlier records."""
        return (self.occupation, *self.lagged)

    @property
    def all(self) -> tuple[Hashable, ...]:
        """Every column of the panel, once."""
        weights = () if self.weights is None else (self.weights,)
        return tuple(dict.fromkeys((self.person, *self.known, *self.hidden, *weights)))

    @property
    def described(self) -> Roles:
        """The roles without what is declared as x[alt]: columns that describe persons and jobs, not outcomes."""
        return replace(self, static=_plain(self.static), dynamic=_plain(self.dynamic))

    @property
    def of_records(self) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...]]:
        """Static and dynamic columns that describe the record and not an outcome: those that texts show."""
        single = frozenset({*self.static, *self.dynamic}).difference(self.by_outcome)
        static, dynamic = (tuple(c for c in names if c in single) for names in (self.static, self.dynamic))
        return static, dynamic

    def expand(self, choices: ChoiceSet) -> Roles:
        """Put a column x[code] for every outcome in the place of x[alt].

        Examples
        --------
        >>> Roles("id", "year", "job", dynamic=("wage[alt]",)).expand(ChoiceSet([1, 2])).dynamic
        ('wage[1]', 'wage[2]')
        """
        columns = {
            name: tuple(f"{name.removesuffix(_BY_OUTCOME)}[{code}]" for code in choices.codes)
            for name in (*self.static, *self.dynamic)
            if isinstance(name, str) and name.endswith(_BY_OUTCOME)
        }
        static, dynamic = (
            tuple(column for name in names for column in columns.get(str(name), (name,)))
            for names in (self.static, self.dynamic)
        )
        expanded = tuple(column for group in columns.values() for column in group)
        return replace(self, static=static, dynamic=dynamic, by_outcome=expanded)


@dataclass(frozen=True)
class Rows:
    """The records of a panel, sorted by person and time.

    Attributes
    ----------
    frame : pandas.DataFrame
        Their columns.
    outcome : numpy.ndarray of int64
        Position of every occupation in the choice set.
    person, origin : numpy.ndarray
        Person, and person in the data where persons were drawn anew.
    target : numpy.ndarray of bool
        Which records are predicted; the others only serve as history.
    truth : numpy.ndarray or None
        True probabilities of simulated careers.
    """

    frame: pd.DataFrame
    outcome: np.ndarray
    person: np.ndarray
    origin: np.ndarray
    target: np.ndarray
    truth: np.ndarray | None

    def take(self, rows: np.ndarray, target: np.ndarray) -> Rows:
        """Keep some records, in the given order, of which some are predicted."""
        truth = None if self.truth is None else self.truth[rows]
        frame = self.frame.iloc[rows]
        return Rows(frame, self.outcome[rows], self.person[rows], self.origin[rows], target, truth)

    def with_truth(self, proba: np.ndarray, outcomes: int) -> Rows:
        """Add the true probabilities of every occupation, one row per record.

        Raises
        ------
        DataError
            If they have another shape.
        """
        truth = np.asarray(proba, dtype=np.float64)
        if truth.shape != (len(self.frame), outcomes):
            raise DataError(
                f"the true probabilities have shape {truth.shape}; expected one row per record and one column per "
                f"occupation, {(len(self.frame), outcomes)}."
            )
        return replace(self, truth=truth)


def _plain(names: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    return tuple(name for name in names if not (isinstance(name, str) and name.endswith(_BY_OUTCOME)))


def columns_by_outcome(df: pd.DataFrame, roles: Roles, choices: ChoiceSet, titles: Any = None) -> Roles:
    """Put columns x[code], one per outcome, in the place of every x[alt].

    Raises
    ------
    MissingColumnError
        If an outcome lacks its column, with their number, the first absent ones and the nearest column.
    """
    if roles == roles.described:
        return roles
    roles = roles.expand(choices)
    absent = [column for column in roles.by_outcome if column not in df.columns]
    if absent:
        name = str(absent[0]).rpartition("[")[0]
        wanted = [column for column in absent if str(column).startswith(f"{name}[")]
        raise MissingColumnError(
            f"{name}{_BY_OUTCOME} stands for a column {name}[code] for each of {len(choices)} outcomes, and "
            f"{len(wanted)} are not in the data frame: {listing(wanted, 3)}.{did_you_mean(wanted[0], df.columns)}"
        )
    check_roles(df, roles, titles)
    check_rows(df, roles)
    return roles


def names_of(option: str, value: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Read an option that lists columns."""
    if isinstance(value, str):
        raise OptionError(f"{option}={value!r} is one text; give a list of columns, [{value!r}].")
    return tuple(value)


def check_roles(df: pd.DataFrame, roles: Roles, titles: Any = None) -> None:
    """Raise unless every column exists and has one role, and none of them gives the outcome away."""
    parts = {
        "person": (roles.person,),
        "time": (roles.time,),
        "occupation": (roles.occupation,),
        "static": roles.static,
        "dynamic": roles.dynamic,
        "lagged": roles.lagged,
    }
    if roles.weights is not None:
        parts["weights"] = (roles.weights,)
    taken: dict[Hashable, str] = {}
    for role, columns in parts.items():
        _check_names(df, columns, role)
        check_columns(df, columns, role)
        for column in columns:
            if column in taken:
                raise OptionError(
                    f"column {column!r} is given as {taken[column]} and as {role}; a column has one role."
                )
            taken[column] = role
    if isinstance(titles, str) and titles in roles.known:
        raise OptionError(
            f"column {titles!r} is the title of the outcome and given as {taken[titles]}: it is known only after the "
            "occupation. Leave it out."
        )
    if "resume" in roles.known + roles.hidden:
        raise OptionError("a column is named 'resume', which formulas reserve for the text of a career; rename it.")


def _check_names(df: pd.DataFrame, columns: tuple[Hashable, ...], role: str) -> None:
    for column in columns:
        if column not in df.columns and column in df.index.names:
            raise MissingColumnError(
                f"{role} column {column!r} is a level of the index and no column: call reset_index() on the data frame."
            )
        if column in df.columns and (column is None or not str(column).strip()):
            raise OptionError(f"the {role} column {column!r} has no name that a formula could use; rename it.")


def check_rows(df: pd.DataFrame, roles: Roles) -> None:
    """Raise unless person, time and occupation are complete and unique, and static columns and weights as declared."""
    for column in roles.all:
        if pd.api.types.is_complex_dtype(df[column]):
            raise DataError(f"column {column!r} holds complex numbers; give real numbers or text.")
    _check_identifiers(df, roles)
    for column in roles.static:
        groups = df[column].groupby(df[roles.person], sort=False, observed=True)
        varies = groups.nunique(dropna=False) > 1  # noqa: PD101
        if varies.any():
            raise DataError(
                f"static column {column!r} varies within {int(varies.sum())} persons, first "
                f"{listing(varies.index[varies], 3)}; declare it in dynamic=."
            )
    if roles.weights is not None:
        weights = pd.to_numeric(df[roles.weights], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            raise DataError(
                f"weights column {roles.weights!r} is missing, not finite or negative in {int(bad.sum())} "
                f"rows, first at index {listing(df.index[bad], 3)}."
            )


def _check_identifiers(df: pd.DataFrame, roles: Roles) -> None:
    for column, what in ((roles.person, "person"), (roles.time, "time"), (roles.occupation, "occupation")):
        missing = df[column].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"{what} column {column!r} is missing in {int(missing.sum())} of {len(df)} rows, first at "
                f"index {listing(df.index[missing], 3)}; drop or fill these rows first."
            )
    if pd.api.types.infer_dtype(df[roles.person]).removesuffix("-integer") == "mixed":
        raise DataError(f"person column {roles.person!r} mixes types; make it one type with astype().")
    time = df[roles.time]
    if not pd.api.types.is_numeric_dtype(time) or pd.api.types.is_bool_dtype(time):
        raise DataError(
            f"time column {roles.time!r} has type {time.dtype}; give numbers, for dates the year (.dt.year)."
        )
    if not np.isfinite(time.to_numpy(dtype=np.float64)).all():
        raise DataError(f"time column {roles.time!r} holds values that are not finite.")
    twice = df.duplicated([roles.person, roles.time]).to_numpy()
    if twice.any():
        first = df.loc[twice, [roles.person, roles.time]].head(3).itertuples(index=False, name=None)
        raise DataError(
            f"{int(twice.sum())} rows repeat a {roles.person}-{roles.time} pair, first "
            f"{listing([tuple(plain_code(v) for v in pair) for pair in first], 3)}; keep one record per "
            "person and time (datasets.from_spells has a main-job rule)."
        )


def read_choices(df: pd.DataFrame, occupation: Hashable, titles: Any) -> ChoiceSet:
    """Find the choice set: a ChoiceSet as given, else the occupations that occur, in the order of their titles."""
    values = df[occupation]
    labels = df.attrs.get("value_labels", {}).get(occupation)
    if titles is None and labels:
        titles = labels
    if isinstance(titles, ChoiceSet):
        return titles
    categorical = isinstance(values.dtype, pd.CategoricalDtype)
    present = values.cat.remove_unused_categories().cat.categories if categorical else pd.Index(values.unique())
    if titles is None:
        codes = list(present)
        return ChoiceSet(codes if categorical else sorted(codes, key=lambda c: (isinstance(c, str), c)))
    if isinstance(titles, str):
        titles = _titles_from_column(df, occupation, titles)
    full = ChoiceSet.from_titles(titles)
    full.positions(values, str(occupation))
    held = {plain_code(code) for code in present}
    kept = [code for code in full.codes if code in held]
    return ChoiceSet(kept, [full.title(code) for code in kept])


def _titles_from_column(df: pd.DataFrame, occupation: Hashable, column: str) -> pd.Series:
    if column not in df.columns:
        raise MissingColumnError(
            f"titles={column!r} names no column of the data frame.{did_you_mean(column, df.columns)}"
        )
    pairs = df[[occupation, column]].drop_duplicates()
    twice = pairs[occupation].duplicated()
    if twice.any():
        raise DataError(
            f"column {column!r} gives {int(twice.sum())} occupations more than one title, first "
            f"{listing(pairs[occupation][twice], 3)}."
        )
    return pairs.set_index(occupation)[column].sort_index()


def sorted_frame(df: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Copy the panel's columns in person-time order, text columns as factors with frozen levels."""
    by: Any = [roles.person, roles.time]
    frame: pd.DataFrame = df[list(roles.all)]
    # A level of the index may be named as a column is, which sort_values() takes for an ambiguity.
    frame = frame.set_axis(frame.index.set_names([None] * frame.index.nlevels), axis=0).sort_values(by, kind="stable")
    frame.index = frame.index.set_names(df.index.names)
    frame.attrs = {}
    if not frame.index.is_unique:
        frame = frame.reset_index(drop=True)
    for column in (*roles.static, *roles.dynamic, *roles.lagged):
        values = frame[column] = plain_numbers(frame[column])
        if pd.api.types.is_numeric_dtype(values):
            continue
        if holds_dates(values):
            raise DataError(f"column {column!r} holds dates; give numbers, for instance the year (.dt.year).")
        values = frame[column] = values.astype("category")
        if MISSING_TEXT in values.cat.categories:
            raise DataError(
                f"column {column!r} has the level {MISSING_TEXT!r}, which is reserved for 'no history'; rename it."
            )
    return frame


def plain_numbers(values: pd.Series) -> pd.Series:
    """Read a column of type object as numbers if it holds nothing else: numbers, decimals and missing values.

    Examples
    --------
    >>> plain_numbers(pd.Series([1.5, None], dtype="object")).tolist()
    [1.5, nan]
    """
    there = values.notna().to_numpy()
    if values.dtype != object or not there.any():
        return values
    items = values[there].tolist()
    if not all(isinstance(v, Real | Decimal) and not isinstance(v, bool) for v in items):
        return values
    numbers = np.full(len(values), np.nan)
    numbers[there] = [float(v) for v in items]
    whole = there.all() and all(isinstance(v, Integral) for v in items) and np.abs(numbers).max() < 2**53
    return pd.Series(numbers.astype(np.int64) if whole else numbers, index=values.index, name=values.name)


def holds_dates(values: pd.Series) -> bool:
    """Whether a column holds points or spans of time, in a type of their own or as objects.

    Examples
    --------
    >>> holds_dates(pd.Series(pd.period_range("2000", periods=2, freq="Y"))), holds_dates(pd.Series(["2000"]))
    (True, False)
    """
    return pd.api.types.infer_dtype(values, skipna=True) in _DATES


def freeze_levels(frame: pd.DataFrame, roles: Roles) -> dict[Hashable, pd.Index]:
    """Levels of every column that may serve as a factor; continuous numbers are left out, for they are data."""
    levels: dict[Hashable, pd.Index] = {}
    for column in (roles.time, *roles.static, *roles.dynamic, *roles.lagged):
        if column in roles.by_outcome:
            continue
        values = frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            levels[column] = values.cat.categories
            continue
        unique = np.unique(values.dropna().to_numpy())
        whole = np.isfinite(unique.astype(np.float64)).all() and (unique.astype(np.float64) % 1 == 0).all()
        if len(unique) <= MAX_NUMERIC_LEVELS and whole:
            levels[column] = pd.Index(unique)
    return levels
