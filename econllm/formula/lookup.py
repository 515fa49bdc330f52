"""Numbers that vary by row and outcome, stored once per distinct pattern of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Lookup:
    """A number per row and outcome.

    Attributes
    ----------
    codes : numpy.ndarray of int64, shape (n,)
        Which row of the table belongs to each row of the data.
    table : numpy.ndarray of float64, shape (patterns, outcomes)
        The numbers. What depends on a row only through its last occupation needs one pattern per occupation; where
        every row has numbers of its own, there are as many patterns as rows.

    Examples
    --------
    >>> Lookup(np.array([1, 1, 0]), np.eye(2)).values().tolist()
    [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    """

    codes: np.ndarray
    table: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def values(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Numbers of some rows, shape (rows, outcomes)."""
        out: np.ndarray = self.table[self.codes[rows]]
        return out

    def take(self, rows: np.ndarray) -> Lookup:
        """Keep some rows; patterns that no longer occur are dropped where there are many."""
        codes = self.codes[rows]
        if len(self.table) <= len(codes):
            return Lookup(codes, self.table)
        used, codes = np.unique(codes, return_inverse=True)
        return Lookup(codes.astype(np.int64), self.table[used])

    def outcomes(self, columns: np.ndarray) -> Lookup:
        """Keep some outcomes, given by position."""
        return Lookup(self.codes, self.table[:, columns])
