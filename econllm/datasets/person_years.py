"""A panel from a file of person-years."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from econllm.datasets.readers import read_stata
from econllm.errors import DataError, OptionError, SampleWarning, check_columns, did_you_mean, listing, refusal, warn
from econllm.panel import CareerPanel

PERSON, TIME, OCCUPATION = "person_id", "year", "occupation"
STATIC = ("birth_year", "sex", "race")
DYNAMIC = ("region", "education")
LAGGED = ("hours", "hourly_wage")
_NEEDED = (PERSON, TIME, OCCUPATION)
_TITLES, _TITLED = "occupations.csv", (OCCUPATION, "title")
# Whole numbers of 64 bits without leading zeros; also as pandas writes those that stood beside missing values.
_WHOLE = re.compile(r"(?:0|-?[1-9][0-9]{0,17})(?:\.0)?")


def _read_csv(file: Path) -> pd.DataFrame:
    df = pd.read_csv(file, dtype={PERSON: str, OCCUPATION: str}, skipinitialspace=True)
    if not isinstance(df.index, pd.RangeIndex):
        return df  # refused below
    # Spreadsheets leave blanks behind values, and lines of nothing but commas.
    texts = [column for column in (PERSON, OCCUPATION) if column in df.columns]
    return df.assign(**{column: df[column].str.strip() for column in texts}).dropna(how="all").reset_index(drop=True)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".dta": read_stata,
    ".parquet": pd.read_parquet,
}


def read_person_years(path: str | PathLike[str], *, weights: str | None = None) -> CareerPanel:
    """Read a file with one row per person and year into a panel.

    Parameters
    ----------
    path : path
        A .csv, .csv.gz, .dta or .parquet file, or a folder with one such file named ``careers``. Its columns:

        - ``person_id``, ``year``, ``occupation`` (a code or a title): needed, without missing values;
        - ``birth_year``, ``sex``, ``race``: the same in all years of a person;
        - ``region``, ``education``: known before the occupation of the year;
        - ``hours``, ``hourly_wage``: of the year's job, so that models see them only from earlier years.

        Those of the last three lines may be absent; other columns are not kept. A file ``occupations.csv`` beside
        it, with the columns ``occupation`` and ``title``, gives the titles; without it, a column ``title`` does.
        Files .csv are text in UTF-8 with a header line and commas.
    weights : str, optional
        Column of survey weights.

    Returns
    -------
    CareerPanel

    Raises
    ------
    DataError
        If there is no such file, or none that can be read; if persons are missing, or all are incomplete; if a column
        varies that should be the same in all years of a person.
    MissingColumnError
        If a column is missing that is needed.
    OptionError
        For a file of another kind, or what is no path.

    Warns
    -----
    SampleWarning
        If persons are left out because a column of theirs that does not vary is missing.

    Notes
    -----
    Persons and occupations of .csv files are whole numbers if all of them read so, the titles' occupations included,
    and else text: '001' and '1' are two persons, '0430' and '430' two occupations. Other files have types of their own.

    Any survey with yearly records can be put into this form; columns of other names go to
    :class:`econllm.CareerPanel` directly. It is that of the comparison table's vignette, ``--data PATH``.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "careers.csv"
    >>> df = pd.DataFrame({"person_id": [1, 1, 2], "year": [1999, 2000, 2000], "occupation": ["cook", "clerk", "cook"]})
    >>> df.assign(sex=["f", "f", "m"]).to_csv(file, index=False)
    >>> read_person_years(file)
    CareerPanel(2 persons, 3 transitions, 2 occupations, year 1999 to 2000)
    """
    if not isinstance(path, str | PathLike):
        raise OptionError(refusal("path", path, "not a path", "give that of a file or folder"))
    file = _find(Path(path).expanduser())
    df, titles = _read(file, _NEEDED), _titles(file)
    if _is_csv(file) and _are_whole(df[PERSON]):
        df = _numbered(df, PERSON)
    static = [column for column in STATIC if column in df.columns]
    df = _complete(df, static, file)
    df, titles = _coded(df, titles, text=_is_csv(file))
    return CareerPanel(
        df,
        person=PERSON,
        time=TIME,
        occupation=OCCUPATION,
        titles="title" if titles is None and "title" in df.columns else titles,
        static=static,
        dynamic=[column for column in DYNAMIC if column in df.columns],
        lagged=[column for column in LAGGED if column in df.columns],
        weights=weights,
    )


def _complete(df: pd.DataFrame, static: Sequence[str], file: Path) -> pd.DataFrame:
    """Rows of the persons who have all columns that do not vary."""
    name = repr(os.fspath(file))
    unknown = df[PERSON].isna()
    if unknown.any():
        raise DataError(
            f"the file {name}: {PERSON!r} is missing in {int(unknown.sum())} of {len(df)} rows, first at index "
            f"{listing(df.index[unknown], 3)}; drop or fill these rows first."
        )
    incomplete = df[static].isna().any(axis=1)
    if incomplete.any():
        persons, everyone = df.loc[incomplete, PERSON].unique(), df[PERSON].nunique()
        if len(persons) == everyone:
            raise DataError(
                f"the file {name}: all {everyone} persons lack one of {listing(static)} in some row, so that nobody is "
                "left; fill these columns, or drop them from the file."
            )
        warn(
            f"{len(persons)} of {everyone} persons are left out, because one of {listing(static)} is missing in "
            "their rows.",
            SampleWarning,
        )
        df = df[~df[PERSON].isin(persons)]
    for column in static:
        varies = df.groupby(PERSON, sort=False)[column].nunique() > 1  # noqa: PD101
        if varies.any():
            raise DataError(
                f"the file {name}: {column!r} varies within {int(varies.sum())} of {len(varies)} persons, first "
                f"{listing(varies.index[varies], 3)}; it should be the same in all years of a person. Correct these "
                f"rows, or make a CareerPanel from the data frame, with {column!r} among its dynamic columns."
            )
    return df


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Frame of a file, which must have rows and some columns."""
    name = f"the file {os.fspath(file)!r}"
    expected = (
        "Expected text in UTF-8 with values separated by commas, below a header line with the columns "
        f"{listing(columns)}."
        if _is_csv(file)
        else f"Expected a file of the kind {_kind(file)}."
    )
    try:
        df = _READERS[_kind(file)](file)
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {str(error).strip().rstrip('.')}. {expected}") from error
    # pandas takes values before the first column of a header line that is too short for row labels.
    if _is_csv(file) and (len(df.columns) == 1 or not isinstance(df.index, pd.RangeIndex)):
        raise DataError(f"{name} has a header line, {listing(df.columns)}, that does not fit its rows. {expected}")
    check_columns(df, columns, "titles" if file.name == _TITLES else "person-year file")
    if df.empty:
        raise DataError(f"{name} has no rows.")
    return df


def _coded(df: pd.DataFrame, titles: pd.DataFrame | None, *, text: bool) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Occupations as whole numbers, if those of the titles and those read as text are nothing else."""
    if not text and any(isinstance(code, str) for code in df[OCCUPATION].unique()):
        return df, titles
    read = ([df] if text else []) + ([] if titles is None else [titles])
    if not all(_are_whole(frame[OCCUPATION]) for frame in read):
        return df, titles
    df = _numbered(df, OCCUPATION) if text else df
    return df, None if titles is None else _numbered(titles, OCCUPATION)


def _are_whole(values: pd.Series) -> bool:
    texts = values.unique()
    return all(isinstance(text, str) and _WHOLE.fullmatch(text) for text in texts)


def _numbered(df: pd.DataFrame, column: str) -> pd.DataFrame:
    return df.assign(**{column: df[column].str.removesuffix(".0").astype("int64")})


def _kind(file: Path) -> str:
    """Ending by which a file is read, .csv.gz being one."""
    return "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix


def _is_csv(file: Path) -> bool:
    return _READERS[_kind(file)] is _read_csv


def _find(path: Path) -> Path:
    """The file itself, or the one named careers in a folder."""
    if path.is_dir():
        found = sorted(file for file in path.glob("careers.*") if _kind(file) in _READERS)
        if not found:
            raise DataError(f"the folder {os.fspath(path)!r} has no file careers with one of the endings {_endings()}.")
        return found[0]
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise DataError(f"there is no file {os.fspath(path)!r}.{near}")
    if _kind(path) not in _READERS:
        raise OptionError(f"path={os.fspath(path)!r} must end in one of {_endings()}.")
    return path


def _endings() -> str:
    return ", ".join(_READERS)


def _titles(file: Path) -> pd.DataFrame | None:
    """Frame of occupations and their titles beside a file, if there is one."""
    beside = file.parent / _TITLES
    return _read(beside, _TITLED)[list(_TITLED)] if beside.is_file() else None
