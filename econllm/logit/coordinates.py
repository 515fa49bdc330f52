"""From blocks of columns to the coordinates of the solver, and back to the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from econllm.formula import Block, Design

# Share of the largest standard deviation in a term below which a column counts as constant.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Stacked:
    """A design's columns in the order of the coefficients: sparse blocks first, then dense ones.

    Attributes
    ----------
    sparse : scipy.sparse.csr_array, shape (n, p)
        All sparse blocks side by side.
    dense : numpy.ndarray, shape (n, q)
        All dense blocks side by side.
    columns : tuple of str
        Their names, p + q of them.
    terms : tuple of str
        The term that every column belongs to.
    numeric : numpy.ndarray of bool, shape (p + q,)
        Columns that hold numbers and are scaled; indicators are not.
    """

    sparse: sparse.csr_array
    dense: np.ndarray
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    numeric: np.ndarray

    def take(self, columns: np.ndarray) -> Stacked:
        """Keep some columns, given by position in ascending order."""
        p = self.sparse.shape[1]
        left, right = columns[columns < p], columns[columns >= p] - p
        names, terms = (tuple(values[i] for i in columns) for values in (self.columns, self.terms))
        return Stacked(
            sparse.csr_array(self.sparse[:, left]), self.dense[:, right], names, terms, self.numeric[columns]
        )

    def rows(self, rows: np.ndarray) -> Stacked:
        """Keep some rows, given by position."""
        return replace(self, sparse=self.sparse[rows], dense=self.dense[rows])


def stack(design: Design) -> Stacked:
    """Put a design's blocks side by side without making sparse ones dense.

    Parameters
    ----------
    design : Design
        Named blocks.

    Returns
    -------
    Stacked

    Examples
    --------
    >>> block = Block("x", ("x",), np.ones((2, 1)), "numeric")
    >>> stack(Design((block,), True, np.ones(2, bool), None)).columns
    ('x',)
    """
    groups: tuple[list[Block], list[Block]] = ([], [])
    for block in design.blocks:
        groups[isinstance(block.matrix, np.ndarray)].append(block)
    n = len(design)
    ordered = groups[0] + groups[1]
    left = sparse.hstack([b.matrix for b in groups[0]], format="csr") if groups[0] else sparse.csr_array((n, 0))
    right = np.hstack([b.matrix for b in groups[1]]) if groups[1] else np.zeros((n, 0))
    numeric = np.array([b.kind == "numeric" for b in ordered for _ in b.columns], dtype=bool)
    names = tuple(name for b in ordered for name in b.columns)
    terms = tuple(b.name for b in ordered for _ in b.columns)
    return Stacked(sparse.csr_array(left), right, names, terms, numeric)


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of the columns in the estimation sample.

    Attributes
    ----------
    shift : numpy.ndarray, shape (p + q,)
        Subtracted from dense columns where there is an intercept to make up for it; zero elsewhere.
    scale : numpy.ndarray, shape (p + q,)
        Divides numeric columns. Dense ones: their standard deviation. Sparse ones (interactions of numbers with
        factors): their root mean square over the rows where they are not zero, so that the column of a rare level
        weighs like its indicator and is penalised as strongly. One where there is no variance.
    constant : numpy.ndarray of bool, shape (p + q,)
        Numeric columns without variance.
    """

    shift: np.ndarray
    scale: np.ndarray
    constant: np.ndarray

    @classmethod
    def fit(cls, x: Stacked, weights: np.ndarray | None, intercept: bool) -> Scaling:
        """Measure the columns.

        Parameters
        ----------
        x : Stacked
            Columns.
        weights : numpy.ndarray, shape (n,), or None
            Weights with mean one.
        intercept : bool
            Whether dense columns may be centred.

        Returns
        -------
        Scaling

        Examples
        --------
        >>> x = Stacked(sparse.csr_array((2, 0)), np.array([[1.0], [3.0]]), ("x",), ("x",), np.array([True]))
        >>> Scaling.fit(x, None, True).scale
        array([1.])
        """
        n, p = x.sparse.shape
        w = np.full(n, 1 / max(n, 1)) if weights is None else weights / weights.sum()
        mean = np.concatenate([np.asarray(x.sparse.T @ w), w @ x.dense.astype(np.float64, copy=False)])
        on = np.asarray((x.sparse != 0).astype(np.float64).T @ w)
        square = np.asarray(x.sparse.multiply(x.sparse).T @ w)
        spread = np.sqrt(np.divide(square, on, out=np.zeros(p), where=on > 0))
        deviation = np.empty(x.dense.shape[1])
        for j in range(len(deviation)):
            deviation[j] = np.sqrt(w @ (x.dense[:, j].astype(np.float64) - mean[p + j]) ** 2)
        spread = np.concatenate([spread, deviation])
        constant = x.numeric & ((spread <= np.sqrt(_rounding(x)) * np.abs(mean)) | _negligible(x, spread))
        scale = np.where(x.numeric & ~constant, spread, 1.0)
        centred = np.concatenate([np.zeros(p, bool), np.ones(len(deviation), bool)]) & intercept
        return cls(np.where(centred, mean, 0.0), scale, constant)

    def apply(self, x: Stacked) -> tuple[sparse.csr_array, np.ndarray]:
        """Columns in the coordinates of the solver."""
        p = x.sparse.shape[1]
        left = x.sparse
        if (self.scale[:p] != 1).any():
            left = sparse.csr_array(left @ sparse.diags_array(1 / self.scale[:p]))
        kind = x.dense.dtype if x.dense.dtype == np.float32 else np.float64
        return left, ((x.dense - self.shift[p:]) / self.scale[p:]).astype(kind)

    def to_data(self, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients in the units of the data."""
        slopes = w / self.scale[:, None]
        return slopes, b - self.shift @ slopes


def _negligible(x: Stacked, spread: np.ndarray) -> np.ndarray:
    """Dense columns that hardly vary beside others of their term: dimensions of an embedding that are not in use."""
    out = np.zeros(len(spread), dtype=bool)
    terms, p = np.array(x.terms), x.sparse.shape[1]
    for term in dict.fromkeys(x.terms[p:]):
        at = p + np.flatnonzero(terms[p:] == term)
        out[at] = spread[at] < _NEGLIGIBLE * spread[at].max()
    return out


def _rounding(x: Stacked) -> np.ndarray:
    """Share of its mean square that rounding leaves a constant column as variance about its mean.

    The variance of sparse columns is a difference of squares; dense ones are centred first, which loses far less.
    """
    dense = 1e-12 if x.dense.dtype == np.float32 else 1e-24
    return np.repeat([1e-14, dense], [x.sparse.shape[1], x.dense.shape[1]])


def redundant_columns(x: Stacked, weights: np.ndarray | None, intercept: bool, tolerance: float = 1e-9) -> np.ndarray:
    """Columns that are linear combinations of the ones before them, as Stata and R leave them out.

    Parameters
    ----------
    x : Stacked
        Columns.
    weights : numpy.ndarray, shape (n,), or None
        Weights of the rows.
    intercept : bool
        Whether a constant comes before them all.
    tolerance : float
        Share of a column's sum of squares that must be left after projection on the earlier columns.

    Returns
    -------
    numpy.ndarray of bool, shape (p + q,)

    Examples
    --------
    >>> dense = np.array([[2.0, 0], [2, 1], [2, 5]])
    >>> x = Stacked(sparse.csr_array((3, 0)), dense, ("a", "b"), ("a", "b"), np.array([True, True]))
    >>> redundant_columns(x, None, True).tolist()
    [True, False]
    """
    gram, raw = _moments(x, weights, intercept)
    out: np.ndarray = np.diag(gram) <= _rounding(x) * raw
    size = np.sqrt(np.where(out, 1.0, np.diag(gram)))
    gram = gram / np.outer(size, size)
    factor = np.zeros(gram.shape)
    for j in range(len(gram)):
        left = gram[j, j] - factor[j, :j] @ factor[j, :j]
        if out[j] or left <= tolerance:
            out[j] = True
            continue
        factor[j, j] = np.sqrt(left)
        factor[j + 1 :, j] = (gram[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / factor[j, j]
    return out


def _moments(x: Stacked, weights: np.ndarray | None, intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean cross products, about the means where there is an intercept, and mean squares about zero."""
    n, p = x.sparse.shape
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    dense = x.dense.astype(np.float64)
    means = np.concatenate([np.asarray(x.sparse.T @ w), w @ dense]) * intercept
    dense = dense - means[p:]
    weighted = dense * w[:, None]
    gram = np.empty((len(means), len(means)))
    gram[:p, :p] = (x.sparse.T @ x.sparse.multiply(w[:, None]).tocsr()).toarray()
    raw = np.concatenate([np.diag(gram)[:p], np.zeros(len(means) - p)])
    gram[:p, :p] -= np.outer(means[:p], means[:p])
    gram[:p, p:] = x.sparse.T @ weighted
    gram[p:, :p] = gram[:p, p:].T
    gram[p:, p:] = dense.T @ weighted
    raw[p:] = np.diag(gram)[p:] + means[p:] ** 2
    return gram, raw
