"""From the values of factors to named columns: coding, interactions, and blocks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.choices import plain_code
from econllm.errors import DataError, FormulaError, UnseenLevelError, did_you_mean, listing
from econllm.formula.values import FactorValue, Matrix, NumericValue, Value

Kind = Literal["factor", "numeric"]
Span = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True)
class Block:
    """The columns of one term.

    Attributes
    ----------
    name : str
        The term, as in the formula.
    columns : tuple of str
        One name per column.
    matrix : scipy.sparse.csr_array or numpy.ndarray, shape (n, k)
        Sparse where a factor takes part, else dense.
    kind : {"factor", "numeric"}
        Whether the columns are indicators (or shares, averages of indicators); columns with other numbers in them are
        scaled before they are penalised.
    """

    name: str
    columns: tuple[str, ...]
    matrix: Matrix
    kind: Kind

    def take(self, rows: np.ndarray) -> Block:
        """Keep some rows."""
        return Block(self.name, self.columns, self.matrix[rows], self.kind)


def recode(value: FactorValue, levels: pd.Index, text: str) -> FactorValue:
    """Express a factor in the levels of the estimation.

    Parameters
    ----------
    value : FactorValue
        As evaluated on new data.
    levels : pandas.Index
        The levels at estimation.
    text : str
        The factor's text, for the message.

    Returns
    -------
    FactorValue

    Raises
    ------
    UnseenLevelError
        If a row has a level that is not among them, with level and row count.

    Examples
    --------
    >>> recode(FactorValue(np.array([0]), pd.Index(["b"])), pd.Index(["a", "b"]), "x").codes.tolist()
    [1]
    """
    place = levels.get_indexer(value.levels)
    codes = np.where(value.codes >= 0, place[value.codes] if len(place) else -1, -1)
    unseen = (codes < 0) & (value.codes >= 0)
    if unseen.any():
        found = [value.levels[i] for i in np.unique(value.codes[unseen])]
        raise UnseenLevelError(
            f"{text}: {int(unseen.sum())} rows have a level that the model never saw: {listing(found)}. Its levels are "
            f"{listing(levels, 8)}.{did_you_mean(found[0], levels)}"
        )
    return FactorValue(codes.astype(np.int64), levels, value.base)


def align(value: NumericValue, suffixes: tuple[str, ...], text: str) -> NumericValue:
    """Express columns of numbers in the columns of the estimation; bag() has one per level.

    Raises
    ------
    UnseenLevelError
        If a row has something in a column that did not exist then.
    DataError
        If the columns are others and not one per level.

    Examples
    --------
    >>> bag = NumericValue(sparse.csr_array([[1.0]]), ("[b]",))
    >>> align(bag, ("[a]", "[b]"), "bag(x)").matrix.toarray().tolist()
    [[0.0, 1.0]]
    """
    if value.suffixes == suffixes:
        return value
    if not sparse.issparse(value.matrix):
        raise DataError(f"{text} has {len(value.suffixes)} columns and had {len(suffixes)} others at estimation.")
    entries = sparse.coo_array(value.matrix)
    place = pd.Index(suffixes).get_indexer(pd.Index(value.suffixes))[entries.col]
    if (place < 0).any():
        found = [value.suffixes[i] for i in np.unique(entries.col[place < 0])]
        rows = len(np.unique(entries.row[place < 0]))
        raise UnseenLevelError(f"{text}: {rows} rows have levels that the model never saw: {listing(found)}.")
    matrix = sparse.csr_array((entries.data, (entries.row, place)), shape=(len(value), len(suffixes)))
    return NumericValue(matrix, suffixes, value.truncated, value.shares)


def observed(value: FactorValue) -> FactorValue:
    """Keep only the levels that occur.

    Examples
    --------
    >>> observed(FactorValue(np.array([1, 1]), pd.Index(["a", "b"]))).levels.tolist()
    ['b']
    """
    present = np.unique(value.codes[value.codes >= 0])
    return recode(value, value.levels[present], "")


def missing_rows(value: Value) -> np.ndarray:
    """Rows of a value with something missing, shape (n,) of bool.

    Examples
    --------
    >>> missing_rows(NumericValue(np.array([[1.0], [np.nan]]), ("",))).tolist()
    [False, True]
    """
    if isinstance(value, FactorValue):
        return value.codes < 0
    if isinstance(value.matrix, np.ndarray):
        return np.asarray(np.isnan(value.matrix).any(axis=1))
    entries = sparse.coo_array(value.matrix)
    bad = np.zeros(len(value), dtype=bool)
    bad[entries.row[np.isnan(entries.data)]] = True
    return bad


def encode(value: Value, text: str, reduced: bool) -> Block:
    """Turn one factor of a term into columns.

    Parameters
    ----------
    value : FactorValue or NumericValue
        Without missing values.
    text : str
        The factor's text.
    reduced : bool
        Leave the reference level out (treatment coding).

    Returns
    -------
    Block

    Raises
    ------
    FormulaError
        If the reference level asked for does not exist.

    Examples
    --------
    >>> encode(FactorValue(np.array([0, 1]), pd.Index(["a", "b"])), "x", reduced=True).columns
    ('x[b]',)
    """
    if isinstance(value, NumericValue):
        kind: Kind = "factor" if value.shares else "numeric"
        return Block(text, tuple(f"{text}{suffix}" for suffix in value.suffixes), value.matrix, kind)
    n, k = len(value.codes), len(value.levels)
    matrix = sparse.csr_array(
        (np.ones(n), value.codes.astype(np.int32), np.arange(n + 1, dtype=np.int32)), shape=(n, k)
    )
    names = [f"{text}[{plain_code(level)}]" for level in value.levels]
    base = 0 if value.base is None else int(value.levels.get_indexer(pd.Index([value.base]))[0])
    if base < 0:
        near = did_you_mean(value.base, value.levels)
        raise FormulaError(f"{text}: base {value.base!r} is not a level.{near} Levels: {listing(value.levels, 8)}.")
    if reduced:
        keep = np.delete(np.arange(k), base)
        matrix, names = matrix[:, keep], [names[i] for i in keep]
    return Block(text, tuple(names), matrix, "factor")


def product(blocks: list[Block], name: str) -> Block:
    """Multiply the blocks of a term's factors row by row: an interaction.

    Examples
    --------
    >>> a = Block("a", ("a",), np.array([[2.0]]), "numeric")
    >>> product([a, Block("b", ("b",), np.array([[3.0]]), "numeric")], "a:b").matrix.tolist()
    [[6.0]]
    """
    out = blocks[0]
    for other in blocks[1:]:
        columns = tuple(f"{a}:{b}" for a in out.columns for b in other.columns)
        kind: Kind = "factor" if out.kind == other.kind == "factor" else "numeric"
        out = Block(name, columns, _row_products(out.matrix, other.matrix), kind)
    return Block(name, out.columns, out.matrix, out.kind)


def join(blocks: list[Block]) -> Block:
    """Put the parts of one term side by side.

    Examples
    --------
    >>> a = Block("a", ("a",), np.array([[2.0]]), "numeric")
    >>> join([a, Block("a", ("b",), np.array([[3.0]]), "numeric")]).columns
    ('a', 'b')
    """
    if len(blocks) == 1:
        return blocks[0]
    columns = tuple(column for block in blocks for column in block.columns)
    matrix = sparse.hstack([sparse.csr_array(block.matrix) for block in blocks], format="csr")
    return Block(blocks[0].name, columns, matrix, blocks[-1].kind)


def codings(factors: tuple[str, ...], numbers: frozenset[str], spanned: set[Span]) -> list[dict[str, bool]]:
    """Choose a full-rank coding of a term's factors, given what earlier terms span.

    Parameters
    ----------
    factors, numbers : collections of str
        The categorical and the numeric factors of the term.
    spanned : set
        What the design spans already, pairs of numeric and categorical factors; what the term adds is put in.

    Returns
    -------
    list of dict
        Parts of the term: for the categorical factors that take part in each, whether all levels are kept.

    Notes
    -----
    The rule of patsy: a term spans the products of every subset of its factors without their reference levels. Those
    that are new are added, and two that differ by one factor merge into a product with all levels of that factor.

    Examples
    --------
    >>> codings(("a",), frozenset(), {(frozenset(), frozenset())}), codings(("a",), frozenset(["x"]), set())
    ([{'a': False}], [{'a': True}])
    """
    subsets = [c for size in range(len(factors) + 1) for c in itertools.combinations(factors, size)]
    parts = [dict.fromkeys(c, False) for c in subsets if (numbers, frozenset(c)) not in spanned]
    spanned.update((numbers, frozenset(c)) for c in subsets)
    while True:
        pairs = itertools.combinations(parts, 2)
        merge = next(((a, b) for a, b in pairs if len(b) == len(a) + 1 and a.items() < b.items()), None)
        extra = None if merge is None else next(iter(merge[1].keys() - merge[0].keys()))
        if merge is None or extra is None:
            return parts
        merge[1][extra] = True
        parts.remove(merge[0])


def _row_products(a: Matrix, b: Matrix) -> Matrix:
    """Row-wise Kronecker products, sparse unless both are dense."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
    left, right = sparse.csr_array(a), sparse.csr_array(b)
    per_left, per_right = np.diff(left.indptr), np.diff(right.indptr)
    # Every stored element of a row of `left` meets every one of the same row of `right`.
    row_of_left = np.repeat(np.arange(left.shape[0]), per_left)
    times = per_right[row_of_left]
    first = np.repeat(np.arange(left.nnz), times)
    within = np.arange(len(first)) - np.repeat(np.cumsum(times) - times, times)
    second = right.indptr[row_of_left[first]] + within
    columns = left.indices[first].astype(np.int64) * right.shape[1] + right.indices[second]
    indptr = np.append(0, np.cumsum(per_left * per_right))
    shape = (left.shape[0], left.shape[1] * right.shape[1])
    return sparse.csr_array((left.data[first] * right.data[second], columns, indptr), shape=shape)
