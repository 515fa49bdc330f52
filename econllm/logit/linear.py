"""The linear map from coefficients to utilities, laid out for coordinate descent: one contiguous row per outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from econllm.logit.problem import Point, Problem


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of the data: sparse ones first; dense ones transposed, so that each is contiguous."""

    sparse: sparse.csc_array
    dense: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, problem: Problem, weights: np.ndarray) -> Columns:
        """Columns of a problem, with their root mean squares under weights that sum to one."""
        x = sparse.csc_array(problem.sparse, dtype=np.float64)
        dense = np.ascontiguousarray(problem.dense.T, dtype=np.float64)
        squares = np.concatenate([np.asarray(x.multiply(x).T @ weights), np.square(dense) @ weights])
        return cls(x, dense, np.sqrt(np.where(squares > 0, squares, 1.0)))

    def take(self, kept: np.ndarray) -> Columns:
        """Keep some columns, given by a mask."""
        if kept.all():
            return self
        p = self.sparse.shape[1]
        return Columns(self.sparse[:, np.flatnonzero(kept[:p])], self.dense[kept[p:]], self.scale[kept])

    def forward(self, slopes: np.ndarray) -> np.ndarray:
        """Utilities, shape (outcomes, n), of slopes of shape (outcomes, features)."""
        p = self.sparse.shape[1]
        out: np.ndarray = slopes[:, p:] @ self.dense
        if p:
            out += (self.sparse @ slopes[:, :p].T).T
        return out

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Sums over rows of values, shape (outcomes, n), times each column: shape (outcomes, features)."""
        p = self.sparse.shape[1]
        out = np.empty((len(values), len(self.scale)))
        out[:, p:] = values @ self.dense.T
        if p:
            out[:, :p] = (self.sparse.T @ values.T).T
        return out


class LinearMap:
    """The linear map from one vector of coefficients (slopes by outcome, intercepts, common ones) to utilities."""

    def __init__(self, problem: Problem, columns: Columns, weights: np.ndarray) -> None:
        self.problem, self.columns, self.weights = problem, columns, weights
        self.outcomes, self.features = problem.outcomes, len(columns.scale)
        self.cut = self.outcomes * self.features
        self.scale = np.concatenate(
            [np.tile(columns.scale, self.outcomes), np.ones(self.outcomes), _shared_scale(problem, weights)]
        )

    def take(self, kept: np.ndarray) -> LinearMap:
        """Keep some columns, given by a mask."""
        return self if kept.all() else LinearMap(self.problem, self.columns.take(kept), self.weights)

    def positions(self, kept: np.ndarray) -> np.ndarray:
        """Positions in the vector of all coefficients of those that belong to the kept columns or to none."""
        rest = np.ones(self.outcomes + len(self.problem.shared), dtype=bool)
        return np.flatnonzero(np.concatenate([np.tile(kept, self.outcomes), rest]))

    def slopes(self, theta: np.ndarray) -> np.ndarray:
        """View of the slopes, shape (outcomes, features)."""
        return theta[: self.cut].reshape(self.outcomes, self.features)

    def forward(self, theta: np.ndarray) -> np.ndarray:
        """Utilities without the offset, shape (outcomes, n)."""
        k = self.outcomes
        out = self.columns.forward(self.slopes(theta))
        out += theta[self.cut : self.cut + k, None]
        return self.add_shared(out, theta[self.cut + k :])

    def add_shared(self, utilities: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Add what the alternative-specific columns contribute, outcome by outcome to spare memory."""
        for lookup, coefficient in zip(self.problem.shared, coefficients, strict=True):
            for k in range(self.outcomes):
                utilities[k] += coefficient * lookup.table[lookup.codes, k]
        return utilities

    def backward(self, values: np.ndarray) -> np.ndarray:
        """The transposed map: from values by outcome and row to one number per coefficient."""
        constants = values.sum(axis=1) if self.problem.intercept else np.zeros(self.outcomes)
        return np.concatenate([self.columns.backward(values).ravel(), constants, self.shared(values)])

    def shared(self, values: np.ndarray) -> np.ndarray:
        """The part of the transposed map that belongs to common coefficients."""
        return np.array(
            [
                sum(float(lookup.table[lookup.codes, k] @ values[k]) for k in range(self.outcomes))
                for lookup in self.problem.shared
            ]
        )

    def pack(self, point: Point) -> np.ndarray:
        """One vector of all coefficients."""
        return np.concatenate([point.slopes.T.ravel(), point.intercepts, point.shared]).astype(np.float64)

    def unpack(self, theta: np.ndarray) -> Point:
        """Coefficients as users of the module know them."""
        k = self.cut + self.outcomes
        return Point(np.ascontiguousarray(self.slopes(theta).T), theta[self.cut : k].copy(), theta[k:].copy())


def _shared_scale(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """Root mean over rows of the sum over outcomes of the squares of alternative-specific columns."""
    out = np.ones(len(problem.shared))
    for m, lookup in enumerate(problem.shared):
        mass = np.bincount(lookup.codes, weights, minlength=len(lookup.table))
        square = float(mass @ np.square(lookup.table).sum(axis=1))
        out[m] = np.sqrt(square) if square > 0 else 1.0
    return out
