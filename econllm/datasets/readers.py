"""Readers of survey files: Stata data sets with their labels, and the missing codes of the NLS surveys.

Parquet needs no reader of its own: ``pandas.read_parquet`` keeps codes as integers and gives a frame that a
CareerPanel takes as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import DataError, check_columns

NLS_MISSING: dict[int, str] = {
    -1: "refusal",
    -2: "don't know",
    -3: "invalid skip",
    -4: "valid skip",
    -5: "non-interview",
}
"""Codes by which the National Longitudinal Surveys mark a missing answer, and what they mean."""

# Stata's largest whole number; the codes above it are its missing values.
_LARGEST = 2_147_483_620


def read_stata(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a Stata data set, keeping codes as numbers and labels beside them.

    Parameters
    ----------
    path : str or path
        A ``.dta`` file.

    Returns
    -------
    pandas.DataFrame
        ``.attrs["value_labels"]`` maps each labelled column to {code: label}, ``.attrs["variable_labels"]`` each
        column to its label (columns without one are left out). A CareerPanel takes occupation titles and the words for
        values in résumés from the former, and the words for columns in tables and résumés from the latter.

    Raises
    ------
    DataError
        If the file is no Stata data set.

    Notes
    -----
    Labels belong to codes, so that a code which never occurs keeps its title; pandas' categoricals would lose the code.
    Stata's missing values, extended ones included, become NaN.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "jobs.dta")
    >>> df = pd.DataFrame({"job": [1, 2]})
    >>> df.to_stata(path, write_index=False, value_labels={"job": {1: "Clerk", 2: "Cook"}})
    >>> read_stata(path).attrs["value_labels"]
    {'job': {1: 'Clerk', 2: 'Cook'}}
    """
    from pandas.io.stata import StataReader

    try:
        with StataReader(path, convert_categoricals=False) as reader:
            df: pd.DataFrame = reader.read()  # type: ignore[attr-defined]
            variables = reader.variable_labels()
            tables = reader.value_labels()
            # The public methods give the labels by the name of the label set, which several columns may share; only
            # this list says which set a column uses.
            sets = dict(zip(variables, reader._lbllist, strict=True))  # type: ignore[attr-defined]
    except (ValueError, LookupError, struct.error) as error:
        raise DataError(f"{str(path)!r} cannot be read as a Stata data set: {error}") from error
    labels = {column: _plain_labels(tables[name]) for column, name in sets.items() if tables.get(name)}
    df.attrs["value_labels"] = labels
    df.attrs["variable_labels"] = {column: label.strip() for column, label in variables.items() if label.strip()}
    return df


def nls_missing(df: pd.DataFrame, columns: Sequence[Hashable] | None = None) -> pd.DataFrame:
    """Replace the missing codes of the National Longitudinal Surveys, -1 to -5, by missing values.

    Parameters
    ----------
    df : pandas.DataFrame
        Data as downloaded; it is not changed.
    columns : sequence of hashable, optional
        Numeric columns to clean. By default every numeric column whose negative values are all among the five codes:
        a column with any other negative value (-7, -0.25) measures something below zero and is left alone unless
        it is named.

    Returns
    -------
    pandas.DataFrame
        A copy; integer columns with replaced values become float, nullable types stay. ``.attrs["nls_missing"]`` maps
        each cleaned column to {code: number of values replaced}.

    Raises
    ------
    MissingColumnError
        If a named column is absent.
    DataError
        If a named column is not numeric, or the data are no data frame.

    Notes
    -----
    -1 refusal, -2 don't know, -3 invalid skip, -4 valid skip, -5 non-interview (Bureau of Labor Statistics).

    Examples
    --------
    >>> clean = nls_missing(pd.DataFrame({"wage": [12.5, -4.0], "gain": [-0.5, 2.0]}))
    >>> clean["wage"].isna().tolist(), clean["gain"].tolist(), clean.attrs["nls_missing"]
    ([False, True], [-0.5, 2.0], {'wage': {-4: 1}})
    """
    if not isinstance(df, pd.DataFrame):
        raise DataError(
            f"nls_missing() takes a data frame, not a {type(df).__name__}; of one column make a frame, as df[['wage']]."
        )
    if isinstance(columns, str):
        raise DataError(f"columns={columns!r} is a single text; give a list of column names.")
    if columns is not None:
        check_columns(df, columns, "NLS")
        wrong = [column for column in columns if not _is_number(df[column])]
        if wrong:
            kind = df[wrong[0]].dtype
            raise DataError(f"column {wrong[0]!r} is {kind}, not numeric; convert it with pd.to_numeric().")
    clean = df.copy()
    counts: dict[Hashable, dict[int, int]] = {}
    for column in df.columns if columns is None else columns:
        if columns is None and not (_is_number(df[column]) and _only_codes(df[column])):
            continue
        coded = df[column].isin(list(NLS_MISSING))
        if coded.any():
            counts[column] = {code: n for code in NLS_MISSING if (n := int((df[column] == code).sum()))}
            clean[column] = df[column].mask(coded)
    clean.attrs["nls_missing"] = counts
    return clean


def _plain_labels(table: dict[Any, str]) -> dict[int, str]:
    """Labels of codes that can occur: those of Stata's missing values (.a and so on) are read as NaN."""
    return {int(code): label.strip() for code, label in table.items() if code <= _LARGEST}


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _only_codes(column: pd.Series) -> bool:
    """Whether every negative value is one of the five codes."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    negative = values[values < 0]
    return bool(np.isin(negative, list(NLS_MISSING)).all())
