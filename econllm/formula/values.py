"""What a factor of a formula evaluates to: a category per row, or columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.errors import FormulaError
from econllm.records import holds_dates

Matrix: TypeAlias = np.ndarray | sparse.csr_array


@dataclass(frozen=True, eq=False)
class FactorValue:
    """A category per row.

    Attributes
    ----------
    codes : numpy.ndarray of int64, shape (n,)
        Position of every row's level; -1 where the value is missing.
    levels : pandas.Index
        The levels in order; under treatment coding the first, or `base`, is the reference.
    base : object or None
        The reference level asked for.
    lagged : bool
        Whether the first level stands for an empty history.

    Examples
    --------
    >>> FactorValue(np.array([0, 1]), pd.Index(["a", "b"])).levels.tolist()
    ['a', 'b']
    """

    codes: np.ndarray
    levels: pd.Index
    base: Any = None
    lagged: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def __eq__(self, other: object) -> bool:
        # In a formula this is lag(job) == 'cook', which Python would take for False.
        raise TypeError("a FactorValue cannot be compared")

    __hash__ = object.__hash__

    def take(self, rows: np.ndarray) -> FactorValue:
        """Keep some rows."""
        return FactorValue(self.codes[rows], self.levels, self.base, self.lagged)


@dataclass(frozen=True, eq=False)
class NumericValue:
    """One or several columns of numbers.

    Attributes
    ----------
    matrix : numpy.ndarray or scipy.sparse.csr_array, shape (n, k)
        The columns; nan where a value is missing.
    suffixes : tuple of str
        What follows the term's text in each column's name; empty for a single column.
    truncated : float or None
        Share of the rows whose text was longer than an encoder reads, for embeddings.
    shares : bool
        Whether the columns are shares of a whole, averages of indicators, which are penalised like these.

    Examples
    --------
    >>> NumericValue(np.ones((3, 1)), ("",)).matrix.shape
    (3, 1)
    """

    matrix: Matrix
    suffixes: tuple[str, ...]
    truncated: float | None = None
    shares: bool = False

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def __eq__(self, other: object) -> bool:
        raise TypeError("a NumericValue cannot be compared")

    __hash__ = object.__hash__

    def take(self, rows: np.ndarray) -> NumericValue:
        """Keep some rows."""
        return NumericValue(self.matrix[rows], self.suffixes, self.truncated, self.shares)


Value = FactorValue | NumericValue


def is_factor(series: pd.Series) -> bool:
    """Whether a column enters a formula as categories: text, categorical and boolean columns do.

    Examples
    --------
    >>> is_factor(pd.Series(["a"])), is_factor(pd.Series([1.0]))
    (True, False)
    """
    return (
        isinstance(series.dtype, pd.CategoricalDtype)
        or pd.api.types.is_bool_dtype(series)
        or not pd.api.types.is_numeric_dtype(series)
    )


def as_factor(series: pd.Series, levels: pd.Index | None = None, base: Any = None) -> FactorValue:
    """Read a column as categories.

    Parameters
    ----------
    series : pandas.Series
        Any values.
    levels : pandas.Index, optional
        Levels frozen earlier; used if they cover every value, else the sorted distinct values.
    base : object, optional
        Reference level under treatment coding.

    Returns
    -------
    FactorValue
        Levels that are neither text nor numbers (dates, intervals) become text, so that they can be saved.

    Examples
    --------
    >>> as_factor(pd.Series(["b", "a", None])).codes.tolist()
    [1, 0, -1]
    """
    if isinstance(series.dtype, pd.CategoricalDtype) and levels is None:
        return FactorValue(series.cat.codes.to_numpy().astype(np.int64), _plain(series.cat.categories), base)
    plain = series.astype(object) if isinstance(series.dtype, pd.CategoricalDtype) else series
    if levels is not None:
        codes = levels.get_indexer(pd.Index(plain))
        if not ((codes < 0) & series.notna().to_numpy()).any():
            return FactorValue(codes.astype(np.int64), _plain(levels), base)
    try:
        codes, uniques = pd.factorize(plain, sort=True)
    except TypeError as error:
        raise FormulaError(f"column {series.name!r} cannot be read as categories: {error}.") from error
    return FactorValue(codes.astype(np.int64), _plain(pd.Index(uniques)), base)


def _plain(levels: pd.Index) -> pd.Index:
    values = [v.item() if isinstance(v, np.generic) else v for v in levels]
    if all(isinstance(v, str | bool | int | float) for v in values):
        return levels
    return pd.Index([v if isinstance(v, str | bool | int | float) else str(v) for v in values], dtype=object)


def refuse_dates(series: pd.Series, text: str) -> None:
    """Raise if a term is dates or spans of time, which are neither numbers nor few enough to be categories.

    Examples
    --------
    >>> refuse_dates(pd.Series(pd.to_datetime(["2000-01-01"])), "day")
    Traceback (most recent call last):
    econllm.errors.FormulaError: day holds dates; ...
    """
    if not isinstance(series.dtype, pd.CategoricalDtype) and holds_dates(series):
        raise FormulaError(f"{text} holds dates; use numbers such as the year ({text}.dt.year), or C({text}).")


def as_numbers(values: Any) -> np.ndarray:
    """Read a column as numbers, nan where pandas marks a value as missing.

    Examples
    --------
    >>> as_numbers(pd.Series([1, None], dtype="Int64")).tolist()
    [1.0, nan]
    """
    if np.iscomplexobj(values):
        raise FormulaError(f"{getattr(values, 'name', None) or 'a term'} holds complex numbers; give real ones.")
    if isinstance(values, pd.Series):
        numbers: np.ndarray = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    return np.asarray(values, dtype=np.float64)


def as_value(result: object, text: str, rows: int) -> Value:
    """Read whatever an expression returned.

    Parameters
    ----------
    result : object
        A value, a Series, an array, a constant, or what formulaic's transforms return.
    text : str
        The expression, for messages.
    rows : int
        Rows of the data, for constants.

    Returns
    -------
    FactorValue or NumericValue

    Raises
    ------
    FormulaError
        If it is neither categories nor numbers.

    Examples
    --------
    >>> as_value(pd.Series([1, 2]), "x", 2).matrix.ravel().tolist()
    [1.0, 2.0]
    """
    if isinstance(result, FactorValue | NumericValue):
        return result
    column_names = getattr(getattr(result, "__formulaic_metadata__", None), "column_names", None)
    plain = getattr(result, "__wrapped__", result)
    if np.isscalar(plain):
        plain = np.full(rows, plain)
    if isinstance(plain, pd.Categorical) or (isinstance(plain, np.ndarray) and plain.dtype.kind in "bUSO"):
        plain = pd.Series(plain) if plain.ndim == 1 else plain
    if isinstance(plain, pd.Series):
        if is_factor(plain):
            refuse_dates(plain, text)
            return as_factor(plain)
        plain = as_numbers(plain)
    if isinstance(plain, dict):
        columns = {k: v for k, v in plain.items() if not str(k).startswith("__")}
        column_names, plain = (
            tuple(columns),
            np.column_stack([np.asarray(v, dtype=np.float64) for v in columns.values()]),
        )
    if isinstance(plain, pd.DataFrame):
        column_names, plain = tuple(plain.columns), plain.to_numpy()
    if sparse.issparse(plain):
        matrix: Matrix = sparse.csr_array(plain, dtype=np.float64)
    else:
        try:
            matrix = as_numbers(plain)
        except FormulaError:
            raise
        except (TypeError, ValueError) as error:
            raise FormulaError(f"{text} is a {type(result).__name__}, neither numbers nor categories.") from error
        matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2:
        raise FormulaError(f"{text} has {matrix.ndim} dimensions; a term is one column or a matrix of columns.")
    names = tuple(column_names) if column_names is not None else tuple(range(1, matrix.shape[1] + 1))
    return NumericValue(matrix, ("",) if matrix.shape[1] == 1 else tuple(f"[{name}]" for name in names))
