"""Newton's method on rows that are grouped by their columns, for many fits to the same rows with other weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from econllm.logit import newton
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import centre

_STEPS = 30
# Rows are grouped where that leaves fewer than this share of them.
_WORTHWHILE = 0.7
# Columns beyond which rows are hardly ever equal, and finding out takes long.
_MOST_COLUMNS = 60


@dataclass(frozen=True, eq=False)
class Grouped:
    """Distinct rows of a problem without alternative-specific columns and offsets.

    Attributes
    ----------
    problem : Problem
        The whole problem; its weights play no part.
    x : numpy.ndarray, shape (groups, k)
        Distinct rows, the constant last.
    squares : numpy.ndarray, shape (groups, k * k)
        Their products with themselves.
    cells : numpy.ndarray of int64, shape (n,)
        Group and outcome of every row of the problem in one number, group * outcomes + outcome.
    fill : numpy.ndarray, shape (parameters, parameters)
        What is added to the Hessian: the penalty, and ones in directions that change nothing.
    """

    problem: Problem
    x: np.ndarray
    squares: np.ndarray
    cells: np.ndarray
    fill: np.ndarray

    @classmethod
    def of(cls, problem: Problem) -> Grouped | None:
        """Group the rows of a problem; None where it has other parts, or is too large for its Hessian.

        Parameters
        ----------
        problem : Problem
            Ridge penalty or none.

        Returns
        -------
        Grouped or None

        Examples
        --------
        >>> from scipy import sparse
        >>> x = np.array([[0.0], [1.0], [1.0], [0.0]])
        >>> p = Problem(sparse.csr_array((4, 0)), x, np.array([0, 1, 1, 1]), 2, None, 0.0, True)
        >>> Grouped.of(p).x.tolist()
        [[0.0, 1.0], [1.0, 1.0]]
        """
        if problem.shared or problem.offset is not None or problem.l1_ratio > 0 or not newton.affordable(problem):
            return None
        constant = np.ones((problem.rows, int(problem.intercept)))
        x = np.hstack([problem.sparse.toarray(), problem.dense.astype(np.float64, copy=False), constant])
        group = np.arange(problem.rows)
        if x.shape[1] <= _MOST_COLUMNS:
            distinct, found = np.unique(x, axis=0, return_inverse=True)
            if len(distinct) < _WORTHWHILE * len(x):
                x, group = distinct, found.ravel()
        squares = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        fill = newton.free_directions(problem) + np.diag(newton.penalties(problem))
        return cls(problem, x, squares, group * problem.outcomes + problem.outcome, fill)

    def fit(self, weights: np.ndarray, start: Point) -> Point | None:
        """Minimise the objective with other weights.

        Parameters
        ----------
        weights : numpy.ndarray, shape (n,)
            Weights of the rows, of any positive sum.
        start : Point
            Where to begin, near the minimum.

        Returns
        -------
        Point or None
            None where Newton steps did not get there.
        """
        problem, k, outcomes = self.problem, self.x.shape[1], self.problem.outcomes
        counts = np.bincount(self.cells, weights / weights.sum(), len(self.x) * outcomes)
        counts = counts.reshape(len(self.x), outcomes)
        size = counts.sum(axis=1)
        ridge = np.append(problem.ridge, np.zeros(int(problem.intercept)))
        theta = np.vstack([start.slopes, start.intercepts]) if problem.intercept else start.slopes.copy()
        value, proba = self._value(theta, counts, ridge)
        for _ in range(_STEPS):
            weighted = proba * size[:, None]
            gradient = (self.x.T @ (weighted - counts) + ridge[:, None] * theta).ravel()
            step = _solve(self._hessian(proba, weighted) + self.fill, gradient)
            decrement = float(step @ gradient)
            move = step.reshape(k, outcomes)
            if decrement <= 1e-12 * max(1.0, abs(value)):
                # So near the optimum the full step squares the error; the objective is too flat to judge it.
                return self._point(theta - move)
            length = 1.0
            while True:
                candidate = theta - length * move
                new, proba = self._value(candidate, counts, ridge)
                if new <= value - 1e-4 * length * decrement + 1e-15:
                    break
                length /= 2
                if length < 1e-6:
                    return None
            theta, value = candidate, new
        return None

    def _value(self, theta: np.ndarray, counts: np.ndarray, ridge: np.ndarray) -> tuple[float, np.ndarray]:
        z = self.x @ theta
        z -= z.max(axis=1, keepdims=True)
        proba = np.exp(z)
        total = proba.sum(axis=1, keepdims=True)
        proba /= total
        value = float(np.sum(counts * (np.log(total) - z))) + 0.5 * float(ridge @ (theta * theta).sum(axis=1))
        return value, proba

    def _hessian(self, proba: np.ndarray, weighted: np.ndarray) -> np.ndarray:
        (groups, k), outcomes = self.x.shape, proba.shape[1]
        left = (self.x[:, :, None] * weighted[:, None, :]).reshape(groups, k * outcomes)
        right = (self.x[:, :, None] * proba[:, None, :]).reshape(groups, k * outcomes)
        out: np.ndarray = -(left.T @ right)
        blocks = out.reshape(k, outcomes, k, outcomes)
        places = np.arange(outcomes)
        blocks[:, places, :, places] += (self.squares.T @ weighted).reshape(k, k, outcomes).transpose(2, 0, 1)
        return out

    def _point(self, theta: np.ndarray) -> Point:
        slopes = theta[: self.problem.features]
        intercepts = theta[-1] if self.problem.intercept else np.zeros(self.problem.outcomes)
        return centre(Point(slopes, intercepts, np.zeros(0)))


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        factor = linalg.cho_factor(matrix, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return newton.solve_symmetric(matrix + 1e-10 * np.eye(len(matrix)), right)
    out: np.ndarray = linalg.cho_solve(factor, right, check_finite=False)
    return out
