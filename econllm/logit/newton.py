"""Newton steps and second derivatives, for problems small enough to form the Hessian."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from econllm.logit.problem import Point, Problem
from econllm.logit.threads import workers

MAX_PARAMETERS = 1500
MAX_WORK = 4e10
_STEPS = 30
# Up to this many columns, products of all pairs of them are formed: half the work, where they are few.
_NARROW = 48
# Parts of the sum over rows; each holds a matrix of the size of the Hessian.
_SHARES = 8
# Numbers in the widest matrix of a chunk of rows.
_CHUNK_VALUES = 1_000_000


def affordable(problem: Problem) -> bool:
    """Whether the Hessian is small enough to be formed: its size, and the work of filling it.

    Examples
    --------
    >>> from scipy import sparse
    >>> affordable(Problem(sparse.csr_array((9, 0)), np.zeros((9, 2)), np.zeros(9, int), 3, None, 0.0, True))
    True
    """
    return problem.parameters <= MAX_PARAMETERS and problem.rows * problem.parameters**2 / 2 <= MAX_WORK


@dataclass(frozen=True)
class Chunk:
    """Some rows of a problem, at a point.

    Attributes
    ----------
    rows : slice
        Which rows.
    x : numpy.ndarray, shape (rows, k)
        Columns, the constant last.
    proba : numpy.ndarray, shape (rows, outcomes)
        Probabilities.
    residual : numpy.ndarray, shape (rows, outcomes)
        Probabilities less indicators of what happened.
    centred : numpy.ndarray, shape (rows, outcomes, shared)
        Alternative-specific columns less their mean under the probabilities.
    scores : numpy.ndarray, shape (rows,)
        Log probability of what happened.
    """

    rows: slice
    x: np.ndarray
    proba: np.ndarray
    residual: np.ndarray
    centred: np.ndarray
    scores: np.ndarray

    def gradients(self) -> np.ndarray:
        """Derivatives of the negative log-likelihood, row by row, shape (rows, parameters)."""
        own = (self.x[:, :, None] * self.residual[:, None, :]).reshape(len(self.x), -1)
        return np.hstack([own, np.einsum("ij,ijm->im", self.residual, self.centred)])


def chunks_at(
    problem: Problem, point: Point, size: int | None = None, first: int = 0, step: int = 1
) -> Iterator[Chunk]:
    """Walk through the rows of a problem at a point, in float64.

    Parameters
    ----------
    problem : Problem
        The rows.
    point : Point
        Coefficients.
    size : int, optional
        Rows per chunk; by default as many as keep the matrices of a chunk small.
    first, step : int
        Which chunks: every `step`-th, from this one on.

    Yields
    ------
    Chunk

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.array([0, 1]), 2, None, 0.0, True)
    >>> [c.residual.tolist() for c in chunks_at(p, Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0)))]
    [[[-0.5, 0.5], [0.5, -0.5]]]
    """
    size = size or max(64, _CHUNK_VALUES // max(problem.parameters, 1))
    constant = np.ones((size, int(problem.intercept)))
    for rows in itertools.islice(problem.chunks(size), first, None, step):
        dense = problem.dense[rows].astype(np.float64, copy=False)
        x = np.hstack([problem.sparse[rows].toarray(), dense, constant[: len(dense)]])
        z = problem.utilities(point, rows)
        z -= z.max(axis=1, keepdims=True)
        at = np.arange(len(z)), problem.outcome[rows]
        realised = z[at]
        np.exp(z, out=z)
        total = z.sum(axis=1)
        z /= total[:, None]
        residual = z.copy()
        residual[at] -= 1
        centred = np.empty((len(z), problem.outcomes, len(problem.shared)))
        for m, lookup in enumerate(problem.shared):
            values = lookup.values(rows)
            centred[:, :, m] = values - (z * values).sum(axis=1, keepdims=True)
        yield Chunk(rows, x, z, residual, centred, realised - np.log(total))


def penalties(problem: Problem) -> np.ndarray:
    """Weight of half the square of every coefficient, in the order of :meth:`Problem.vector`."""
    own = np.repeat(problem.ridge, problem.outcomes)
    return np.concatenate([own, np.zeros(problem.intercept * problem.outcomes), problem.shared_ridge])


def free_directions(problem: Problem) -> np.ndarray:
    """Matrix that is one in directions which change no probability and no penalty, and zero elsewhere.

    Adding the same number to the coefficients of an unpenalised column, for all outcomes, does neither.

    Returns
    -------
    numpy.ndarray, shape (parameters, parameters)
        A projection, to be added to the Hessian, which is singular in these directions.
    """
    unpenalised = np.concatenate([problem.ridge == 0, np.ones(int(problem.intercept), bool)])
    own = np.kron(np.diag(unpenalised.astype(float)), np.full((problem.outcomes, problem.outcomes), 1.0))
    out: np.ndarray = linalg.block_diag(own / problem.outcomes, np.zeros((len(problem.shared),) * 2))
    return out


def hessian(problem: Problem, point: Point) -> np.ndarray:
    """Hessian of the summed negative log-likelihood, penalty excluded.

    Parameters
    ----------
    problem : Problem
        Rows and weights.
    point : Point
        Where it is taken.

    Returns
    -------
    numpy.ndarray, shape (parameters, parameters)
        In the order of :meth:`Problem.vector`: sum_i w_i x_i x_i' (x) (diag(p_i) - p_i p_i'), bordered by the common
        coefficients.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.array([0]), 2, None, 0.0, False)
    >>> hessian(p, Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    k, outcomes = problem.features + problem.intercept, problem.outcomes
    own, pairs = k * outcomes, _Pairs(k, outcomes)
    narrow = k <= _NARROW
    widest = max(pairs.columns, pairs.outcomes) if narrow else k * outcomes
    size = max(64, _CHUNK_VALUES // max(4 * widest, 1))

    def share(number: int) -> tuple[np.ndarray, np.ndarray]:
        first = np.zeros((pairs.columns, pairs.outcomes) if narrow else (pairs.outcomes, k, k))
        border = np.zeros((problem.parameters, len(problem.shared)))
        for c in chunks_at(problem, point, size, number, _SHARES):
            w = c.proba if problem.weights is None else c.proba * problem.weights[c.rows, None]
            second = pairs.of_outcomes(c.proba, w)
            if narrow:
                first += pairs.of_columns(c.x) @ second
            else:
                for i in range(pairs.outcomes):
                    first[i] += c.x.T @ (c.x * second[:, i, None])
            for m in range(len(problem.shared)):
                part = w * c.centred[:, :, m]
                border[:own, m] += (c.x.T @ part).ravel()
                border[own:, m] += np.einsum("ij,ijl->l", part, c.centred)
        return first, border

    with workers(problem.rows * problem.parameters // _CHUNK_VALUES) as run:
        parts = run(share, range(_SHARES))
    first, border = (sum(part[i] for part in parts[1:]) + parts[0][i] for i in (0, 1))
    out = np.empty((problem.parameters, problem.parameters))
    out[:own, :own] = pairs.matrix(first) if narrow else pairs.matrix_of_blocks(first)
    out[:, own:] = border
    out[own:, :own] = border[:own].T
    return out


class _Pairs:
    """Pairs of columns and pairs of outcomes, each once: products of two of either are symmetric."""

    def __init__(self, k: int, outcomes: int) -> None:
        self.k, self.j = k, outcomes
        self.left, self.right = np.triu_indices(k)
        self.first, self.second = np.triu_indices(outcomes)
        self.columns, self.outcomes = len(self.left), len(self.first)

    def of_columns(self, x: np.ndarray) -> np.ndarray:
        """Products of columns, shape (pairs, rows)."""
        columns = np.ascontiguousarray(x.T)
        out = np.empty((self.columns, len(x)))
        end = 0
        for f in range(self.k):
            begin, end = end, end + self.k - f
            np.multiply(columns[f], columns[f:], out=out[begin:end])
        return out

    def of_outcomes(self, proba: np.ndarray, weighted: np.ndarray) -> np.ndarray:
        """Second derivatives with respect to utilities, w (p_j 1[j = l] - p_j p_l), shape (rows, pairs)."""
        out = np.empty((len(proba), self.outcomes))
        end = 0
        for j in range(self.j):
            begin, end = end, end + self.j - j
            np.multiply(weighted[:, j, None], -proba[:, j:], out=out[:, begin:end])
            out[:, begin] += weighted[:, j]
        return out

    def matrix(self, products: np.ndarray) -> np.ndarray:
        """From sums over pairs of columns and outcomes to the Hessian."""
        columns = np.zeros((self.k, self.k), dtype=np.int64)
        columns[self.left, self.right] = columns[self.right, self.left] = np.arange(self.columns)
        outcomes = np.zeros((self.j, self.j), dtype=np.int64)
        outcomes[self.first, self.second] = outcomes[self.second, self.first] = np.arange(self.outcomes)
        full = products[columns[:, None, :, None], outcomes[None, :, None, :]]
        out: np.ndarray = full.reshape(self.k * self.j, self.k * self.j)
        return out

    def matrix_of_blocks(self, blocks: np.ndarray) -> np.ndarray:
        """The same from one block of columns per pair of outcomes."""
        out = np.empty((self.k, self.j, self.k, self.j))
        out[:, self.first, :, self.second] = blocks
        out[:, self.second, :, self.first] = blocks
        return out.reshape(self.k * self.j, self.k * self.j)


def gradient(problem: Problem, point: Point) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood plus ridge penalty, and its gradient in the order of :meth:`Problem.vector`."""
    own = (problem.features + problem.intercept) * problem.outcomes

    def share(number: int) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros(problem.parameters)
        for c in chunks_at(problem, point, None, number, _SHARES):
            residual = c.residual
            if problem.weights is not None:
                residual = residual * problem.weights[c.rows, None]
                total -= float(problem.weights[c.rows] @ c.scores)
            else:
                total -= float(c.scores.sum())
            slope[:own] += (c.x.T @ residual).ravel()
            slope[own:] += np.einsum("ij,ijm->m", residual, c.centred)
        return total, slope

    with workers(problem.rows * problem.parameters // _CHUNK_VALUES) as run:
        parts = run(share, range(_SHARES))
    total, slope = sum(part[0] for part in parts), sum((part[1] for part in parts[1:]), parts[0][1])
    vector, ridge = problem.vector(point), penalties(problem)
    value = total / problem.rows + 0.5 * float(ridge @ vector**2)
    return value, slope / problem.rows + ridge * vector


def polish(problem: Problem, point: Point, most: int = _STEPS) -> tuple[Point, int, bool, np.ndarray | None]:
    """Take Newton steps from a point near the optimum.

    Parameters
    ----------
    problem : Problem
        Data and ridge penalty.
    point : Point
        Where to begin.
    most : int
        Limit on steps.

    Returns
    -------
    Point, steps taken
    bool
        Whether the last step started where the objective is flat to rounding.
    numpy.ndarray or None
        The last step, in the order of :meth:`Problem.vector`. It is tiny at an optimum, and about one in log odds where
        there is none and the objective only flattens out.
    """
    theta, ridge = problem.vector(point), penalties(problem)
    fill = free_directions(problem)
    value, slope = gradient(problem, point)
    steps, finished, step = 0, False, None
    for _ in range(min(most, _STEPS)):
        full = hessian(problem, problem.point(theta)) / problem.rows + np.diag(ridge) + fill
        step = solve_symmetric(full, slope)
        decrement = float(step @ slope)
        if decrement <= 1e-12 * max(1.0, abs(value)):
            # So near the optimum the full step squares the error; the objective is too flat to judge it.
            theta, steps, finished = theta - step, steps + 1, True
            break
        size = 1.0
        while size > 1e-6:
            candidate = theta - size * step
            new, new_slope = gradient(problem, problem.point(candidate))
            if new <= value - 1e-4 * size * decrement + 1e-15:
                break
            size /= 2
        else:
            break
        theta, value, slope, steps = candidate, new, new_slope, steps + 1
    return problem.point(theta), steps, finished, step


def solve_symmetric(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive semi-definite system; a tiny ridge only where the matrix is singular to rounding.

    Examples
    --------
    >>> solve_symmetric(np.diag([4.0, 16.0]), np.ones(2)).tolist()
    [0.25, 0.0625]
    """
    try:
        with workers(1):
            out: np.ndarray = linalg.cho_solve(linalg.cho_factor(matrix), right)
    except linalg.LinAlgError:
        ridge = 1e-10 * np.trace(matrix) / len(matrix)
        out = linalg.solve(matrix + ridge * np.eye(len(matrix)), right, assume_a="sym")
    return out
