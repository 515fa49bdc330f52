"""Products of what varies over outcomes with columns of the row: the columns of a term right of the bar."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from econllm.formula.by_outcome import patterns
from econllm.formula.encode import Block, encode
from econllm.formula.lookup import Lookup
from econllm.formula.values import FactorValue, Value


def reference(block: Block, value: Value, base: Lookup, available: Lookup | None) -> int:
    """Position of the level that is left out: the one asked for, or the first whose product varies over outcomes.

    The product of stay() and "no history" is zero; to leave that out would leave the others collinear with stay().

    Parameters
    ----------
    block : Block
        Indicators of all levels.
    value : FactorValue
        The factor.
    base : Lookup
        What varies over outcomes.
    available : Lookup or None
        Choice sets.

    Returns
    -------
    int

    Examples
    --------
    >>> value = FactorValue(np.array([0, 1]), pd.Index(["(none)", "cook"]))
    >>> base = Lookup(np.array([0, 1]), np.array([[0.0, 0.0], [1.0, 0.0]]))
    >>> reference(encode(value, "lag(job)", reduced=False), value, base, None)
    1
    """
    assert isinstance(value, FactorValue)
    if value.base is not None:
        encode(value, block.name, reduced=True)  # raises where there is no such level
        return int(value.levels.get_indexer(pd.Index([value.base]))[0])
    places = range(len(block.columns))
    return next((j for j in places if differs(times(base, column_of(block, j)), available)), 0)


def products(
    texts: list[str], blocks: Mapping[str, Block], base: Lookup, left_out: Mapping[str, int]
) -> Iterator[tuple[str, Lookup]]:
    """Columns of a term: what varies over outcomes times columns of the row, levels of reference left out.

    Parameters
    ----------
    texts : list of str
        The factors of the term in order.
    blocks : mapping of str to Block
        Columns of those that belong to the row.
    base : Lookup
        Product of those that vary over outcomes.
    left_out : mapping of str to int
        Position of the level of reference, by factor.

    Yields
    ------
    str, Lookup
        Name and numbers of a column.

    Examples
    --------
    >>> block = Block("x", ("x",), np.array([[2.0]]), "numeric")
    >>> [(n, c.values().tolist()) for n, c in products(["t", "x"], {"x": block}, Lookup(np.array([0]), np.eye(1)), {})]
    [('t:x', [[2.0]])]
    """
    options = [
        [j for j in range(len(blocks[text].columns)) if j != left_out.get(text)] if text in blocks else [0]
        for text in texts
    ]
    for places in itertools.product(*options):
        lookup, names = base, []
        for text, place in zip(texts, places, strict=True):
            names.append(blocks[text].columns[place] if text in blocks else text)
            if text in blocks:
                lookup = times(lookup, column_of(blocks[text], place))
        yield ":".join(names), lookup


def column_of(block: Block, place: int) -> np.ndarray:
    """One column of a block, dense."""
    column = block.matrix[:, [place]]
    dense = column if isinstance(column, np.ndarray) else column.toarray()
    return dense.ravel().astype(np.float64)


def multiply(lookups: list[Lookup]) -> Lookup:
    """Multiply numbers by row and outcome.

    Examples
    --------
    >>> one = Lookup(np.array([0]), np.array([[2.0, 3.0]]))
    >>> multiply([one, one]).values().tolist()
    [[4.0, 9.0]]
    """
    out = lookups[0]
    for other in lookups[1:]:
        codes, first = patterns([out.codes, other.codes])
        out = Lookup(codes, out.values(first) * other.values(first))
    return out


def times(lookup: Lookup, column: np.ndarray) -> Lookup:
    """Multiply the rows; all rows where the column is zero share one pattern."""
    codes, first = patterns([np.where(column == 0, 0, lookup.codes), column])
    return Lookup(codes, lookup.values(first) * column[first, None])


def differs(lookup: Lookup, available: Lookup | None) -> bool:
    """Whether a column differs between outcomes that some row can choose."""
    if available is None:
        return bool((np.ptp(lookup.table, axis=1) > 0).any())
    _, first = patterns([lookup.codes, available.codes])
    possible, numbers = available.values(first), lookup.values(first)
    high = np.where(possible, numbers, -np.inf).max(axis=1)
    low = np.where(possible, numbers, np.inf).min(axis=1)
    return bool((high > low).any())
