"""The data of an estimation, in the coordinates in which it is solved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from econllm.formula.lookup import Lookup


@dataclass(frozen=True)
class Point:
    """Coefficients in the coordinates of a problem.

    Attributes
    ----------
    slopes : numpy.ndarray of float64, shape (features, outcomes)
        Coefficients of the columns, one per outcome.
    intercepts : numpy.ndarray of float64, shape (outcomes,)
        Constants; zero where there are none.
    shared : numpy.ndarray of float64, shape (shared,)
        Coefficients of alternative-specific columns, common to all outcomes.
    """

    slopes: np.ndarray
    intercepts: np.ndarray
    shared: np.ndarray


@dataclass(frozen=True)
class Problem:
    """Data of the estimation, in the coordinates in which it is solved.

    The utility of outcome j in row i is x_i'w_j + b_j + sum_m g_m c_ijm + o_ij: columns x with coefficients per
    outcome, constants, alternative-specific columns c with common coefficients, and an offset, which is minus infinity
    where an outcome is not available.

    Attributes
    ----------
    sparse : scipy.sparse.csr_array, shape (n, p)
        Indicator columns and interactions with them.
    dense : numpy.ndarray, shape (n, q)
        Numeric columns.
    outcome : numpy.ndarray of int64, shape (n,)
        Realised outcome, 0 to outcomes - 1.
    outcomes : int
        Number of outcomes.
    weights : numpy.ndarray of float64, shape (n,), or None
        Weights with mean one.
    alpha : float
        Weight of the penalty.
    intercept : bool
        Whether there is a free constant per outcome.
    l1_ratio : float
        Share of the absolute values in the penalty, the rest being half the squares: 0 for L2, 1 for L1.
    factors : numpy.ndarray, shape (features,), or None
        Multiples of alpha, column by column; None stands for one.
    shared : tuple of Lookup
        Alternative-specific columns.
    shared_factors : numpy.ndarray, shape (shared,), or None
        Multiples of alpha for their coefficients; None stands for zero: free.
    offset : Lookup or None
        Known part of the utilities.

    Examples
    --------
    >>> x = sparse.csr_array((4, 0))
    >>> p = Problem(x, np.array([[0.0], [1], [0], [1]]), np.array([0, 1, 0, 1]), 2, None, 0.1, True)
    >>> p.rows, p.features, p.ridge.tolist(), p.lasso.tolist()
    (4, 1, [0.1], [0.0])
    """

    sparse: sparse.csr_array
    dense: np.ndarray
    outcome: np.ndarray
    outcomes: int
    weights: np.ndarray | None
    alpha: float
    intercept: bool
    l1_ratio: float = 0.0
    factors: np.ndarray | None = None
    shared: tuple[Lookup, ...] = ()
    shared_factors: np.ndarray | None = None
    offset: Lookup | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.outcome)

    @property
    def features(self) -> int:
        """Number of columns, the constant excepted."""
        return int(self.sparse.shape[1] + self.dense.shape[1])

    @property
    def parameters(self) -> int:
        """Number of coefficients: of all columns and the constant for every outcome, and common ones."""
        return (self.features + self.intercept) * self.outcomes + len(self.shared)

    @property
    def ridge(self) -> np.ndarray:
        """Weight of half the squared slopes, shape (features,)."""
        return self.alpha * (1 - self.l1_ratio) * self._factors

    @property
    def lasso(self) -> np.ndarray:
        """Weight of the absolute slopes, shape (features,)."""
        return self.alpha * self.l1_ratio * self._factors

    @property
    def shared_ridge(self) -> np.ndarray:
        """Weight of half the squared common coefficients, shape (shared,); they never have absolute values."""
        factors = np.zeros(len(self.shared)) if self.shared_factors is None else self.shared_factors
        return self.alpha * factors

    @property
    def _factors(self) -> np.ndarray:
        return np.ones(self.features) if self.factors is None else self.factors

    def take(self, rows: np.ndarray) -> Problem:
        """Keep some rows, given by position; weights as they are."""
        return replace(
            self,
            sparse=self.sparse[rows],
            dense=self.dense[rows],
            outcome=self.outcome[rows],
            weights=None if self.weights is None else self.weights[rows],
            shared=tuple(lookup.take(rows) for lookup in self.shared),
            offset=None if self.offset is None else self.offset.take(rows),
        )

    def vector(self, point: Point) -> np.ndarray:
        """Coefficients in one row: by column, then outcome; the constant last; then common ones."""
        rows = [point.slopes.ravel(), point.intercepts] if self.intercept else [point.slopes.ravel()]
        return np.concatenate([*rows, point.shared])

    def point(self, vector: np.ndarray) -> Point:
        """Undo :meth:`vector`."""
        split = self.features * self.outcomes
        end = split + self.intercept * self.outcomes
        intercepts = vector[split:end] if self.intercept else np.zeros(self.outcomes)
        return Point(vector[:split].reshape(self.features, self.outcomes), intercepts, vector[end:])

    def chunks(self, size: int) -> Iterator[slice]:
        """Slices of `size` rows that cover all rows."""
        return (slice(a, min(a + size, self.rows)) for a in range(0, self.rows, size))

    def utilities(self, point: Point, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Utilities of some rows in float64, shape (rows, outcomes); minus infinity where not available."""
        p = self.sparse.shape[1]
        out: np.ndarray = self.sparse[rows] @ point.slopes[:p] + self.dense[rows] @ point.slopes[p:] + point.intercepts
        for lookup, coefficient in zip(self.shared, point.shared, strict=True):
            out += coefficient * lookup.values(rows)
        if self.offset is not None:
            out += self.offset.values(rows)
        return out
