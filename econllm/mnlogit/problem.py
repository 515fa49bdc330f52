"""The data of an estimation, in the coordinates in which it is solved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Problem:
    """Data of the estimation, in the coordinates in which it is solved.

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

    Examples
    --------
    >>> x = sparse.csr_array((4, 0))
    >>> p = Problem(x, np.array([[0.0], [1], [0], [1]]), np.array([0, 1, 0, 1]), 2, None, 0.1, True)
    >>> p.rows, p.features
    (4, 1)
    """

    sparse: sparse.csr_array
    dense: np.ndarray
    outcome: np.ndarray
    outcomes: int
    weights: np.ndarray | None
    alpha: float
    intercept: bool

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.outcome)

    @property
    def features(self) -> int:
        """Number of columns, the constant excepted."""
        return int(self.sparse.shape[1] + self.dense.shape[1])
