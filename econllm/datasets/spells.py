"""Job spells, with a beginning and an end, turned into one record per person and year."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, check_columns, listing

_LONGEST = 100


def from_spells(
    df: pd.DataFrame,
    start: Hashable,
    end: Hashable,
    *,
    person: Hashable,
    occupation: Hashable,
    hours: Hashable | None = None,
    carry: Sequence[Hashable] = (),
    years: tuple[int, int] | None = None,
    gap: Any = None,
    time: Hashable = "year",
) -> pd.DataFrame:
    """Turn job spells into one record per person and calendar year: the main job of the year.

    The main job is, among the spells that touch the year, the one with the most days in it; with `hours`, the one with
    the most hours, that is hours per week times days in the year / 7. Ties go to the spell that starts later, then to
    the one that ends later (an open one last of all), then to the first by occupation code, then to the first row.
    Every row is a job of its own: rows of one employer have to be joined before.

    Parameters
    ----------
    df : pandas.DataFrame
        One row per spell, in any order; it is not changed.
    start, end : hashable
        Columns of first and last day (dates, both included), or of first and last calendar year (whole numbers: from
        1 January to 31 December). A missing end is an open spell: it lasts to the last year of the records.
    person, occupation : hashable
        Columns that identify person and job.
    hours : hashable, optional
        Column of hours per week.
    carry : sequence of hashable
        Columns taken over from the main job, such as its wage.
    years : (int, int), optional
        First and last year of the records; by default all years of the spells, the last one being the latest year
        in which a spell starts or ends.
    gap : occupation code, optional
        Occupation of the years without a job that lie between a person's first and last record, such as "Not working";
        carried columns are missing there. By default such years give no record. Where the occupations have value labels
        (Stata files) and this code has none, a number is labelled "No job" and a text by itself.
    time : hashable
        Name of the new column with the year.

    Returns
    -------
    pandas.DataFrame
        Columns person, time, occupation and the carried ones, sorted by person and time; ``.attrs`` as in the data.

    Raises
    ------
    MissingColumnError
        If a column is absent.
    DataError
        For missing persons, starts, occupations or hours, ends before starts, spells of more than 100 years, dates that
        are neither dates nor whole years; with counts and first offenders.
    OptionError
        For `years` that are no pair of rising years, or a `gap` of another type than the occupations.

    Examples
    --------
    >>> spells = pd.DataFrame({"id": [1, 1], "job": ["Cook", "Clerk"],
    ...                        "hired": pd.to_datetime(["2000-01-01", "2000-09-01"]),
    ...                        "left": pd.to_datetime(["2000-08-31", None])})
    >>> from_spells(spells, "hired", "left", person="id", occupation="job", years=(2000, 2001)).to_numpy().tolist()
    [[1, 2000, 'Cook'], [1, 2001, 'Clerk']]
    """
    _check_names(df, (person, occupation, start, end, *(() if hours is None else (hours,))), carry, time)
    _check_complete(df, [person, start, occupation, *([] if hours is None else [hours])])
    if len({df[column].dtype.kind == "M" for column in (start, end) if not df[column].isna().all()}) > 1:
        raise DataError(f"of columns {start!r} and {end!r} one holds dates and the other does not; make them alike.")
    first, last = _days(df[start], end=False), _days(df[end], end=True)
    _check_order(df, first, last, start, end)
    span = _year_span(first, last, years)
    rows, year, days = _expand(first, last, span)
    load = days.astype(np.float64)
    if hours is not None:
        load *= _hours(df[hours])[rows] / 7
    kept = _main_jobs(df, rows, year, load, first, last, person, occupation)
    records: pd.DataFrame = df[[person, occupation, *carry]].iloc[rows[kept]].reset_index(drop=True)
    records.insert(1, time, year[kept])
    if gap is not None:
        records = _fill_gaps(records, person, time, occupation, gap)
    records.attrs = dict(df.attrs) if gap is None else _label_gap(df.attrs, occupation, gap)
    return records


def _check_names(df: pd.DataFrame, roles: Sequence[Hashable], carry: Sequence[Hashable], time: Hashable) -> None:
    if isinstance(carry, str):
        raise OptionError(f"carry={carry!r} is a single text; give a list of column names.")
    check_columns(df, [*roles, *carry], "spell")
    made = [roles[0], roles[1], *carry, time]
    twice = [column for column in dict.fromkeys(made) if made.count(column) > 1]
    if twice:
        raise OptionError(f"the records would have two columns {twice[0]!r}; choose another name in time= or carry=.")


def _check_complete(df: pd.DataFrame, columns: Sequence[Hashable]) -> None:
    for column in columns:
        missing = df[column].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"column {column!r} is missing in {int(missing.sum())} spells, "
                f"first in rows {listing(df.index[missing])}."
            )


def _days(column: pd.Series, *, end: bool) -> np.ndarray:
    """First or last day of every spell; years count from 1 January to 31 December."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    if column.dtype.kind == "M":
        dates: np.ndarray = column.to_numpy().astype("datetime64[D]")
        return dates
    if not pd.api.types.is_numeric_dtype(column) and not column.isna().all():
        raise DataError(
            f"column {column.name!r} is {column.dtype}, neither dates nor years; convert it with pd.to_datetime()."
        )
    years = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    given = ~np.isnan(years)
    wrong = given & ((years != np.floor(years)) | (np.abs(years) > 9999))
    if wrong.any():
        raise DataError(
            f"column {column.name!r} holds {int(wrong.sum())} numbers that are no calendar years: "
            f"{listing(years[wrong])}."
        )
    days = np.full(len(column), "NaT", dtype="datetime64[D]")
    shift = (years[given] + (1 if end else 0) - 1970).astype(np.int64).astype("datetime64[Y]")
    days[given] = shift.astype("datetime64[D]") - (1 if end else 0)
    return days


def _check_order(df: pd.DataFrame, first: np.ndarray, last: np.ndarray, start: Hashable, end: Hashable) -> None:
    before = last < first
    if before.any():
        raise DataError(
            f"{int(before.sum())} spells end before they start ({end!r} before {start!r}), "
            f"first in rows {listing(df.index[before])}."
        )
    rows = df.index[_year(np.where(np.isnat(last), first, last)) - _year(first) > _LONGEST]
    if len(rows):
        raise DataError(
            f"{len(rows)} spells last more than {_LONGEST} years, first in rows {listing(rows)}; leave {end!r} missing "
            "for spells that go on."
        )


def _year(days: np.ndarray) -> np.ndarray:
    """Calendar year of every day; meaningless where the day is missing."""
    return days.astype("datetime64[Y]").astype(np.int64) + 1970


def _year_span(first: np.ndarray, last: np.ndarray, years: tuple[int, int] | None) -> tuple[int, int]:
    if years is None:
        if not len(first):
            return 0, -1
        return int(_year(first).min()), int(_year(np.append(first, last[~np.isnat(last)])).max())
    pair = tuple(years) if isinstance(years, tuple | list) else ()
    whole = all(isinstance(y, int | np.integer) and not isinstance(y, bool) for y in pair)
    if len(pair) != 2 or not whole or pair[0] > pair[1]:
        raise OptionError(f"years={years!r} is not allowed: give the first and the last year, as (1997, 2021).")
    return int(pair[0]), int(pair[1])


def _expand(first: np.ndarray, last: np.ndarray, span: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One entry per spell and year it touches within the span: row of the spell, year, days."""
    closed = np.where(np.isnat(last), np.datetime64(f"{max(span[1], 0):04d}-12-31"), last)
    low, high = np.maximum(_year(first), span[0]), np.minimum(_year(closed), span[1])
    counts = np.maximum(high - low + 1, 0)
    rows = np.repeat(np.arange(len(first)), counts)
    year = low[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    january = (year - 1970).astype("datetime64[Y]")
    begins = january.astype("datetime64[D]")
    ends = (january + 1).astype("datetime64[D]") - 1
    days = (np.minimum(closed[rows], ends) - np.maximum(first[rows], begins)).astype(np.int64) + 1
    return rows, year, days


def _hours(column: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(f"column {column.name!r} is {column.dtype}; hours per week must be numbers.")
    hours: np.ndarray = column.to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(hours) | (hours < 0)
    if wrong.any():
        raise DataError(
            f"column {column.name!r} holds {int(wrong.sum())} hours that are negative or infinite, first in rows "
            f"{listing(column.index[wrong])}; nls_missing() clears the missing codes of NLS files."
        )
    return hours


def _main_jobs(
    df: pd.DataFrame,
    rows: np.ndarray,
    year: np.ndarray,
    load: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    person: Hashable,
    occupation: Hashable,
) -> np.ndarray:
    """Entries of the main jobs, one per person and year, sorted by person and year."""
    who = pd.factorize(df[person], sort=True)[0][rows]
    job = pd.factorize(df[occupation], sort=True)[0][rows]
    starts = first.astype(np.int64)[rows]
    # An open spell ends later than any other.
    ends = np.where(np.isnat(last), np.iinfo(np.int64).max, last.astype(np.int64))[rows]
    # The last key sorts first; sums of hours are rounded so that 40 / 7 * 7 ties with 40.
    order: np.ndarray = np.lexsort((rows, job, -ends, -starts, -np.round(load, 6), year, who))
    if not len(order):
        return order
    new = (np.diff(who[order]) != 0) | (np.diff(year[order]) != 0)
    main: np.ndarray = order[np.append(True, new)]
    return main


def _fill_gaps(records: pd.DataFrame, person: Hashable, time: Hashable, occupation: Hashable, gap: Any) -> pd.DataFrame:
    """Add a record for every year without a job between two records of a person."""
    jobs = records[occupation]
    if isinstance(jobs.dtype, pd.CategoricalDtype):
        if gap not in jobs.cat.categories:
            jobs = jobs.cat.add_categories([gap])
    elif not isinstance(gap, str | int) or isinstance(gap, str) == pd.api.types.is_numeric_dtype(jobs):
        kind = "numbers" if pd.api.types.is_numeric_dtype(jobs) else "text"
        raise OptionError(f"gap={gap!r} is not of the type of column {occupation!r}, which holds {kind}.")
    elif pd.api.types.is_integer_dtype(jobs):
        # Stata's one-byte codes would not hold a code such as 1001.
        jobs = jobs.astype("Int64" if pd.api.types.is_extension_array_dtype(jobs) else "int64")
    year = records[time].to_numpy()
    missing = np.where(np.diff(pd.factorize(records[person])[0]) == 0, np.diff(year) - 1, 0)
    before = np.repeat(np.arange(len(missing)), missing)
    if not len(before):
        return records
    within = np.arange(len(before)) - np.repeat(np.cumsum(missing) - missing, missing)
    idle = pd.DataFrame({person: records[person].array.take(before), time: year[before] + 1 + within})
    idle[occupation] = pd.Series([gap] * len(idle), dtype=jobs.dtype)
    records = records.copy()
    records[occupation] = jobs
    # The new rows belong right behind the record they follow.
    order = np.argsort(np.concatenate([np.arange(len(records)), before]), kind="stable")
    return pd.concat([records, idle], ignore_index=True).iloc[order].reset_index(drop=True)


def _label_gap(attrs: Mapping[Any, Any], occupation: Hashable, gap: Any) -> dict[Any, Any]:
    """Attributes of the data, with a title for the gap where the other occupations have theirs."""
    labels = attrs.get("value_labels") or {}
    titles = labels.get(occupation)
    if not titles or gap in titles:
        return dict(attrs)
    title = gap if isinstance(gap, str) else "No job"
    if title in titles.values():
        title = f"{title} ({gap})"
    return {**attrs, "value_labels": {**labels, occupation: {**titles, gap: title}}}
