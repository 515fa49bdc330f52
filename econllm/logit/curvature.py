"""The Hessian of the objective as a linear map: products and blocks of it, never the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse

from econllm.logit import newton
from econllm.logit.problem import Point, Problem
from econllm.logit.threads import SHARES, Map, workers

# Probabilities (rows x outcomes) of a chunk should stay in a core's cache.
_CHUNK_VALUES = 200_000
# Probabilities of all rows are kept where they fit, and computed anew for each product where they do not.
_KEPT_BYTES = 1e9
# Inverse blocks, in float32, may take this much; above it only the diagonal is used.
_BLOCK_BYTES = 2e9
# Multiplications with dense columns that blocks may cost; above it they are taken from a part of the rows.
_BLOCK_WORK = 1e11
# Added to the scaled diagonal of a block: about the rounding of float32, and more where that does not do.
_JITTERS = (1e-7, 1e-5, 1e-3)
# Stands for a diagonal of zero, relative to the largest.
_EMPTY = 1e-12

# From a residual to a step.
Preconditioner = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows, and their probabilities where those are kept."""

    at: slice
    sparse: sparse.csr_array
    transposed: sparse.csr_array
    dense: np.ndarray
    weights: np.ndarray | None
    proba: np.ndarray | None


class Curvature:
    """Products of the Hessian of the mean objective, penalty included, at one point.

    Within a `with` block rows are spread over threads.

    Parameters
    ----------
    problem : Problem
        Data, weights and ridge penalty.
    point : Point
        Where the Hessian is taken.

    Notes
    -----
    For a change u of the utilities, the Hessian of the negative log-likelihood of a row turns into p (u - sum_j p_j
    u_j), which is summed against the columns.

    Examples
    --------
    >>> p = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.array([0]), 2, None, 0.0, False)
    >>> with Curvature(p, Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))) as curvature:
    ...     curvature.product(np.array([1.0, -1.0])).tolist()
    [0.5, -0.5]
    """

    def __init__(self, problem: Problem, point: Point) -> None:
        self.problem, self.point = problem, point
        size = max(64, _CHUNK_VALUES // max(problem.outcomes, problem.dense.shape[1], 1))
        keep = problem.rows * problem.outcomes * 8 <= _KEPT_BYTES
        self._chunks = [self._rows(rows, keep) for rows in problem.chunks(size)]
        self._penalties = newton.penalties(problem)
        # Several threads within a `with` block, else one.
        self._threads = ExitStack()
        self._run: Map[Any, Any] = _one_by_one
        self._preconditioner: Preconditioner | None = None

    def __enter__(self) -> Curvature:
        self._run = self._threads.enter_context(workers(len(self._chunks)))
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.close()
        self._run = _one_by_one

    def own(self, vector: np.ndarray) -> np.ndarray:
        """View of the coefficients that differ by outcome: (columns, outcomes), the constant last."""
        k = self.problem.features + self.problem.intercept
        return vector[: k * self.problem.outcomes].reshape(k, self.problem.outcomes)

    def product(self, vector: np.ndarray) -> np.ndarray:
        """The Hessian times a vector, both in the order of :meth:`Problem.vector`."""
        move = self.problem.point(vector)
        shares = range(min(SHARES, len(self._chunks)))
        parts = self._run(lambda share: self._share(share, move), shares)
        out: np.ndarray = np.sum(parts, axis=0) / self.problem.rows + self._penalties * vector
        return out

    def scores(self, moves: np.ndarray) -> np.ndarray:
        """Weighted scores of the rows along some vectors, (n, m) for (parameters, m); see :func:`row_scores`."""
        out = np.empty((self.problem.rows, moves.shape[1]))
        pull = (self._penalties * self.problem.vector(self.point)) @ moves
        points = [self.problem.point(move) for move in moves.T]

        def fill(chunk: _Rows) -> None:
            proba = self._proba(chunk)
            at = np.arange(len(proba)), self.problem.outcome[chunk.at]
            for k, move in enumerate(points):
                u = self._change(chunk, move)
                out[chunk.at, k] = np.einsum("ij,ij->i", proba, u) - u[at] + pull[k]

        self._run(fill, self._chunks)
        return _weighted(out, self.problem.weights)

    def diagonal(self) -> np.ndarray:
        """The Hessian's diagonal, in the order of :meth:`Problem.vector`."""
        problem = self.problem
        out = np.zeros(problem.parameters)
        own = self.own(out)
        p, q = problem.sparse.shape[1], problem.features
        for chunk in self._chunks:
            proba = self._proba(chunk)
            spread = _weighted(proba * (1 - proba), chunk.weights)
            own[:p] += chunk.transposed.multiply(chunk.transposed) @ spread
            own[p:q] += np.square(chunk.dense).T @ spread
            own[q:] += spread.sum(axis=0)
            for m, lookup in enumerate(problem.shared):
                c = lookup.values(chunk.at)
                c = c - np.einsum("ij,ij->i", proba, c)[:, None]
                out[own.size + m] += np.sum(_weighted(proba * c * c, chunk.weights))
        out /= problem.rows
        out += self._penalties
        return out

    def preconditioner(self) -> Preconditioner:
        """Approximate inverse of the Hessian, for residuals that sum to zero over outcomes; made once.

        Returns
        -------
        callable
            From a residual to a step that sums to zero over outcomes, column by column.

        Notes
        -----
        One block per outcome, sum_i w_i p_ij (1 - p_ij) x_i x_i' / n + R, inverted; what ties outcomes to each other is
        left out. With p a row's probabilities, v'(diag(p) - pp')v is at most twice sum_j p_j (1 - p_j) (v_j + s)^2 for
        any s, and at least that with s = -p'v: where s is free, inverse and Hessian nearly cancel, and few products
        suffice. A mere diagonal is slow where columns nearly span each other, such as all dummies of several factors.
        """
        if self._preconditioner is None:
            self._preconditioner = self._precondition()
        return self._preconditioner

    def _precondition(self) -> Preconditioner:
        k, outcomes = self.problem.features + self.problem.intercept, self.problem.outcomes
        diagonal = self.diagonal()
        inverse = 1 / np.where(diagonal > 0, diagonal, _EMPTY * diagonal.max(initial=1.0))
        blocks = None
        if 4 * outcomes * k**2 <= _BLOCK_BYTES:
            blocks = self._inverse_blocks(np.array(self.own(diagonal)))

        def apply(residual: np.ndarray) -> np.ndarray:
            out: np.ndarray = inverse * residual
            own = self.own(out)
            if blocks is not None:
                right = self.own(residual).T.astype(blocks.dtype)
                own[:] = np.matmul(blocks, right[:, :, None])[:, :, 0].T
            own -= own.mean(axis=1, keepdims=True)
            return out

        return apply

    def _inverse_blocks(self, diagonal: np.ndarray) -> np.ndarray:
        """Inverses of the Hessian's blocks within outcomes, float32, shape (outcomes, k, k)."""
        blocks = self._blocks()
        scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        ridge = np.concatenate([self.problem.ridge, np.zeros(int(self.problem.intercept))])

        def invert(j: int) -> None:
            block = np.triu(blocks[j].astype(np.float64))
            block = block + np.triu(block, 1).T + np.diag(ridge)
            # Where blocks come from a part of the rows, this gives them the diagonal of all rows.
            size = np.sqrt(np.where(np.diag(block) > 0, np.diag(block), 1.0))
            blocks[j] = _inverse(block / np.outer(size, size)) / np.outer(scale[:, j], scale[:, j])

        self._run(invert, range(len(blocks)))
        return blocks

    def _blocks(self) -> np.ndarray:
        """Upper triangles of sum_i w_i p_ij (1 - p_ij) x_i x_i' / n, for each outcome j."""
        problem = self.problem
        p, q = problem.sparse.shape[1], problem.dense.shape[1]
        k, outcomes = problem.features + problem.intercept, problem.outcomes
        every = 1 + int(problem.rows * q * (p + q) * outcomes // _BLOCK_WORK) if q else 1
        blocks = np.zeros((outcomes, k, k), np.float32)
        keys, place = self._pattern(), self._places()
        sums = np.zeros((len(keys), outcomes))
        for chunk, x, spread in self._thinned(every):
            pairs, rows, products = _pairs(x)
            shape = (len(keys), x.shape[0])
            sums += sparse.csr_array((products, (np.searchsorted(keys, pairs), rows)), shape=shape) @ spread
            if q:
                self._add_dense(blocks, x, chunk, spread)
        left, right = place[keys // x.shape[1]], place[keys % x.shape[1]]
        blocks[:, np.minimum(left, right), np.maximum(left, right)] += sums.T
        blocks *= every / problem.rows
        return blocks

    def _places(self) -> np.ndarray:
        """Positions of sparse columns and the constant among all columns."""
        p, constant = self.problem.sparse.shape[1], self.problem.features
        return np.append(np.arange(p), constant) if self.problem.intercept else np.arange(p)

    def _pattern(self) -> np.ndarray:
        """Pairs of sparse columns (the constant among them) that occur in the same row, each as one number."""
        x = _with_constant(self.problem.sparse, self.problem.intercept)
        on = (x != 0).astype(np.int32)
        both = sparse.triu(on.T @ on, format="coo")
        return np.sort(both.row.astype(np.int64) * x.shape[1] + both.col)

    def _thinned(self, every: int) -> Iterator[tuple[np.ndarray, sparse.csr_array, np.ndarray]]:
        """Some of the rows of each chunk: dense columns, sparse columns with the constant, p (1 - p)."""
        for chunk in self._chunks:
            proba = self._proba(chunk)[::every]
            weights = None if chunk.weights is None else chunk.weights[::every]
            x = _with_constant(chunk.sparse[::every], self.problem.intercept)
            yield chunk.dense[::every], x, _weighted(proba * (1 - proba), weights)

    def _add_dense(self, blocks: np.ndarray, x: sparse.csr_array, dense: np.ndarray, spread: np.ndarray) -> None:
        """Add products of dense columns with each other and with sparse ones."""
        p, q = self.problem.sparse.shape[1], self.problem.features
        transposed = x.T.tocsr()

        def add(j: int) -> None:
            right = dense * spread[:, j, None]
            blocks[j, p:q, p:q] += dense.T @ right
            mixed = transposed @ right
            blocks[j, :p, p:q] += mixed[:p]
            blocks[j, p:q, q:] += mixed[p:].T

        self._run(add, range(len(blocks)))

    def _rows(self, at: slice, keep: bool) -> _Rows:
        problem = self.problem
        x = problem.sparse[at]
        weights = None if problem.weights is None else problem.weights[at]
        proba = _probabilities(problem, self.point, at) if keep else None
        return _Rows(at, x, sparse.csr_array(x.T.tocsr()), problem.dense[at], weights, proba)

    def _proba(self, chunk: _Rows) -> np.ndarray:
        return _probabilities(self.problem, self.point, chunk.at) if chunk.proba is None else chunk.proba

    def _change(self, chunk: _Rows, move: Point) -> np.ndarray:
        """Change of the utilities of some rows."""
        p = chunk.sparse.shape[1]
        u: np.ndarray = chunk.sparse @ move.slopes[:p]
        if chunk.dense.shape[1]:
            u += chunk.dense @ move.slopes[p:]
        u += move.intercepts
        for lookup, coefficient in zip(self.problem.shared, move.shared, strict=True):
            u += coefficient * lookup.values(chunk.at)
        return u

    def _share(self, share: int, move: Point) -> np.ndarray:
        """Product over some chunks, without penalty."""
        out = np.zeros(self.problem.parameters)
        own = self.own(out)
        p, q = self.problem.sparse.shape[1], self.problem.features
        for chunk in self._chunks[share::SHARES]:
            proba, u = self._proba(chunk), self._change(chunk, move)
            u -= np.einsum("ij,ij->i", proba, u)[:, None]
            u *= proba
            u = _weighted(u, chunk.weights)
            if p:
                own[:p] += chunk.transposed @ u
            if q > p:
                own[p:q] += chunk.dense.T @ u
            own[q:] += u.sum(axis=0)
            for m, lookup in enumerate(self.problem.shared):
                out[own.size + m] += np.einsum("ij,ij->", u, lookup.values(chunk.at))
        return out


def _inverse(block: np.ndarray) -> np.ndarray:
    """Inverse of a matrix with unit diagonal that is positive definite up to rounding."""
    for jitter in _JITTERS:
        try:
            factor, _ = linalg.cho_factor(block + jitter * np.eye(len(block)), lower=True)
        except linalg.LinAlgError:
            continue
        full = linalg.lapack.dpotri(factor, lower=1)[0]
        out: np.ndarray = np.tril(full) + np.tril(full, -1).T
        return out
    return np.eye(len(block))


def _pairs(x: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products of every two entries of a row: the pair of columns as one number, the row, the product."""
    counts = np.diff(x.indptr).astype(np.int64)
    squares = counts**2
    rows = np.repeat(np.arange(len(counts)), squares)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(squares) - squares, squares)
    first = np.repeat(x.indptr[:-1], squares) + within // counts[rows]
    second = np.repeat(x.indptr[:-1], squares) + within % counts[rows]
    left, right = x.indices[first].astype(np.int64), x.indices[second]
    kept = (left <= right) & (x.data[first] != 0) & (x.data[second] != 0)
    return (left * x.shape[1] + right)[kept], rows[kept], (x.data[first] * x.data[second])[kept]


def _with_constant(x: sparse.csr_array, intercept: bool) -> sparse.csr_array:
    """Add a column of ones, where there is an intercept."""
    return sparse.csr_array(sparse.hstack([x, np.ones((x.shape[0], 1))], format="csr")) if intercept else x


def _probabilities(problem: Problem, point: Point, rows: slice) -> np.ndarray:
    z = problem.utilities(point, rows)
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def _weighted(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return values if weights is None else values * weights[:, None]


def _one_by_one(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    return [work(item) for item in items]
