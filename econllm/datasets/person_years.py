"""A panel from a file of person-years."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import pandas as pd

from econllm.datasets.readers import read_stata
from econllm.errors import DataError, OptionError, SampleWarning, check_columns, did_you_mean, listing, warn
from econllm.panel import CareerPanel

PERSON, TIME, OCCUPATION = "person_id", "year", "occupation"
STATIC = ("birth_year", "sex", "race")
DYNAMIC = ("region", "education")
LAGGED = ("hours", "hourly_wage")
_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".csv.gz": pd.read_csv,
    ".dta": read_stata,
    ".parquet": pd.read_parquet,
}
_TITLES = "occupations.csv"


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
    weights : str, optional
        Column of survey weights.

    Returns
    -------
    CareerPanel

    Raises
    ------
    DataError
        If there is no such file, or none that can be read.
    MissingColumnError
        If a column is missing that is needed.
    OptionError
        For a file of another kind.

    Warns
    -----
    SampleWarning
        If persons are left out because a column of theirs that does not vary is missing.

    Notes
    -----
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
    file = _find(Path(path).expanduser())
    df = _READERS[_kind(file)](file)
    check_columns(df, [PERSON, TIME, OCCUPATION], "person-year file")
    static = [column for column in STATIC if column in df.columns]
    incomplete = df[static].isna().any(axis=1)
    if incomplete.any():
        persons = df.loc[incomplete, PERSON].unique()
        warn(
            f"{len(persons)} of {df[PERSON].nunique()} persons are left out, because one of {listing(static)} is "
            "missing in their rows.",
            SampleWarning,
        )
        df = df[~df[PERSON].isin(persons)]
    return CareerPanel(
        df,
        person=PERSON,
        time=TIME,
        occupation=OCCUPATION,
        titles=_titles(file, df),
        static=static,
        dynamic=[column for column in DYNAMIC if column in df.columns],
        lagged=[column for column in LAGGED if column in df.columns],
        weights=weights,
    )


def _kind(file: Path) -> str:
    """Ending by which a file is read, .csv.gz being one."""
    return "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix


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


def _titles(file: Path, df: pd.DataFrame) -> pd.DataFrame | str | None:
    beside = file.parent / _TITLES
    if beside.is_file():
        titles = pd.read_csv(beside)
        check_columns(titles, [OCCUPATION, "title"], _TITLES)
        return titles[[OCCUPATION, "title"]]
    return "title" if "title" in df.columns else None
