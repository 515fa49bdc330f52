"""Averages of probabilities, of their derivatives and of elasticities, with gradients in the coefficients.

Every average here is a sum over rows i of a function of the utilities z_i and of their derivatives dz_i with respect to
a variable. Its gradient in the coefficients therefore needs two numbers per row, target outcome t and outcome l: H_itl,
the derivative with respect to z_il, and K_itl, the one with respect to dz_il. They are formed in chunks of rows, and
summed against the columns x_i and their derivatives dx_i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse, special

from econllm.formula.lookup import Lookup
from econllm.logit.problem import Point, Problem

# Numbers per chunk: of probabilities, and of the arrays rows x targets x outcomes.
_CHUNK_VALUES = 2_000_000
_CHUNK_PAIRS = 250_000
_LEAST_ROWS = 16


@dataclass(frozen=True)
class Slope:
    """Derivative of a problem's columns with respect to a variable.

    Attributes
    ----------
    columns : numpy.ndarray of int, shape (r,)
        Positions of the columns that change with the variable.
    matrix : scipy.sparse.csr_array, shape (n, r)
        Their derivatives.
    shared : tuple of Lookup or None
        Derivative of each alternative-specific column; None where it does not change.
    """

    columns: np.ndarray
    matrix: sparse.csr_array
    shared: tuple[Lookup | None, ...] = ()

    def take(self, rows: np.ndarray) -> Slope:
        """Keep some rows, given by position."""
        return Slope(self.columns, self.matrix[rows], tuple(c and c.take(rows) for c in self.shared))

    def utilities(self, point: Point, rows: slice) -> np.ndarray:
        """Derivatives of the utilities of some rows, shape (rows, outcomes)."""
        out: np.ndarray = self.matrix[rows] @ point.slopes[self.columns]
        for lookup, coefficient in zip(self.shared, point.shared, strict=True):
            if lookup is not None:
                out += coefficient * lookup.values(rows)
        return out


def difference(upper: Problem, lower: Problem, step: np.ndarray) -> Slope:
    """Derivative of the columns by the difference of two problems that a variable sets apart.

    Parameters
    ----------
    upper, lower : Problem
        The same rows with the variable moved up and down.
    step : numpy.ndarray, shape (n,)
        Distance between its two values, row by row.

    Returns
    -------
    Slope
        Exact for columns that are linear or quadratic in the variable where it moved up and down equally far.

    Examples
    --------
    >>> def squares(x):
    ...     none = sparse.csr_array((2, 0))
    ...     return Problem(none, np.column_stack([x**2, [5.0, 6]]), np.array([0, 1]), 2, None, 0.0, True)
    >>> x = np.array([1.0, 3.0])
    >>> slope = difference(squares(x + 0.5), squares(x - 0.5), np.ones(2))
    >>> slope.columns.tolist(), slope.matrix.toarray().ravel().tolist()
    ([0], [2.0, 6.0])
    """
    left = sparse.csr_array(upper.sparse - lower.sparse)
    dense = upper.dense.astype(np.float64) - lower.dense
    moved = np.flatnonzero(dense.any(axis=0))
    left.eliminate_zeros()
    on = np.unique(left.indices)
    both = sparse.hstack([left[:, on], sparse.csr_array(dense[:, moved])], format="csr")
    matrix = sparse.csr_array(sparse.diags_array(1 / step) @ both)
    shared = tuple(_lookup_slope(a, b, step) for a, b in zip(upper.shared, lower.shared, strict=True))
    return Slope(np.concatenate([on, moved + upper.sparse.shape[1]]), matrix, shared)


def _same(a: Lookup, b: Lookup) -> bool:
    return np.array_equal(a.codes, b.codes) and np.array_equal(a.table, b.table)


def _lookup_slope(upper: Lookup, lower: Lookup, step: np.ndarray) -> Lookup | None:
    if _same(upper, lower):
        return None
    values = upper.values() - lower.values()
    return Lookup(np.arange(len(values)), values / step[:, None]) if values.any() else None


def join_rows(first: Problem, second: Problem, of_first: np.ndarray) -> Problem:
    """Take some rows from one problem and the others from another.

    Parameters
    ----------
    first, second : Problem
        The same rows with different columns.
    of_first : numpy.ndarray of bool, shape (n,)
        Which rows come from the first.

    Returns
    -------
    Problem

    Examples
    --------
    >>> a = Problem(sparse.csr_array((2, 0)), np.full((2, 1), 1), np.zeros(2, int), 2, None, 0.0, True)
    >>> join_rows(a, replace(a, dense=2 * a.dense), np.array([True, False])).dense.tolist()
    [[1], [2]]
    """
    rows, which = np.arange(second.rows), of_first.astype(np.float64)
    left = sparse.diags_array(which) @ first.sparse + sparse.diags_array(1 - which) @ second.sparse
    shared = tuple(
        b if _same(a, b) else Lookup(rows, np.where(of_first[:, None], a.values(), b.values()))
        for a, b in zip(first.shared, second.shared, strict=True)
    )
    dense = np.where(of_first[:, None], first.dense, second.dense)
    return replace(second, sparse=sparse.csr_array(left), dense=dense, shared=shared)


def mean_row(problem: Problem, weights: np.ndarray) -> Problem:
    """Problem of a single row with the weighted means of all columns; its outcome has no meaning.

    Parameters
    ----------
    problem : Problem
        The rows.
    weights : numpy.ndarray, shape (n,)
        Weights that sum to one.

    Returns
    -------
    Problem

    Examples
    --------
    >>> p = Problem(sparse.csr_array(np.eye(2)), np.array([[1.0], [3]]), np.array([0, 1]), 2, None, 0.0, True)
    >>> row = mean_row(p, np.array([0.5, 0.5]))
    >>> row.sparse.toarray().tolist(), row.dense.tolist()
    ([[0.5, 0.5]], [[2.0]])
    """
    return Problem(
        sparse.csr_array((weights @ problem.sparse)[None]),
        (weights @ problem.dense.astype(np.float64))[None],
        np.zeros(1, dtype=np.int64),
        problem.outcomes,
        None,
        0.0,
        problem.intercept,
        shared=tuple(_mean_lookup(lookup, weights) for lookup in problem.shared),
        offset=problem.offset and _mean_lookup(problem.offset, weights),
    )


def mean_slope(slope: Slope, weights: np.ndarray) -> Slope:
    """The same for derivatives of the columns.

    Examples
    --------
    >>> slope = Slope(np.array([0]), sparse.csr_array(np.array([[1.0], [2.0]])))
    >>> mean_slope(slope, np.array([0.5, 0.5])).matrix.toarray().tolist()
    [[1.5]]
    """
    means = tuple(c and _mean_lookup(c, weights) for c in slope.shared)
    return Slope(slope.columns, sparse.csr_array((weights @ slope.matrix)[None]), means)


def _mean_lookup(lookup: Lookup, weights: np.ndarray) -> Lookup:
    share = np.bincount(lookup.codes, weights, len(lookup.table))
    used = share > 0
    return Lookup(np.zeros(1, dtype=np.int64), (share[used] @ lookup.table[used])[None])


def probabilities(problem: Problem, point: Point, rows: slice = slice(None)) -> np.ndarray:
    """Probabilities of some rows in float64, shape (rows, outcomes)."""
    out: np.ndarray = special.softmax(problem.utilities(point, rows), axis=1)
    return out


@dataclass(frozen=True)
class Average:
    """A weighted average per target outcome.

    Attributes
    ----------
    value : numpy.ndarray, shape (targets,)
        The averages.
    gradient : numpy.ndarray, shape (targets, parameters), or None
        With respect to all coefficients, in the order of :meth:`Problem.vector`.
    """

    value: np.ndarray
    gradient: np.ndarray | None


def margins(problem: Problem, point: Point, weights: np.ndarray, targets: np.ndarray, *, gradient: bool) -> Average:
    """Average probabilities.

    Parameters
    ----------
    problem : Problem
        The rows.
    point : Point
        Coefficients.
    weights : numpy.ndarray, shape (n,)
        Weights of the rows, with sum one.
    targets : numpy.ndarray of int
        Outcomes whose probabilities are averaged.
    gradient : bool
        Whether to return the gradient too.

    Returns
    -------
    Average

    Notes
    -----
    The value is sum_i weight_i p_it; H_itl = weight_i p_it (1[t = l] - p_il).

    Examples
    --------
    >>> p = Problem(sparse.csr_array((1, 0)), np.array([[2.0]]), np.array([0]), 2, None, 0.0, False)
    >>> none = Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))
    >>> found = margins(p, none, np.ones(1), np.array([1]), gradient=True)
    >>> found.value.tolist(), found.gradient.tolist()
    ([0.5], [[-0.5, 0.5]])
    """
    value = np.zeros(len(targets))
    total = _Gradient(problem, targets) if gradient else None
    for rows in problem.chunks(_size(problem, targets, gradient)):
        p = probabilities(problem, point, rows)
        r = weights[rows, None] * p[:, targets]
        value += r.sum(axis=0)
        if total is not None:
            total.add(rows, _less_average(r, p, targets))
    return Average(value, None if total is None else total.vectors())


def slopes(
    problem: Problem, slope: Slope, point: Point, weights: np.ndarray, targets: np.ndarray, *, gradient: bool
) -> Average:
    """Average derivatives of probabilities with respect to a variable.

    Parameters
    ----------
    problem : Problem
        The rows.
    slope : Slope
        Derivatives of the columns with respect to the variable.
    point, weights, targets, gradient
        As for :func:`margins`.

    Returns
    -------
    Average

    Notes
    -----
    With a_il = dz_il - sum_m p_im dz_im the derivative of p_it is p_it a_it, and H_itl = weight_i p_it (1[t = l] a_it -
    p_il (a_it + a_il)), K_itl = weight_i p_it (1[t = l] - p_il).

    Examples
    --------
    >>> p = Problem(sparse.csr_array((1, 0)), np.array([[0.0]]), np.array([0]), 2, None, 0.0, False)
    >>> slope = Slope(np.array([0]), sparse.csr_array(np.ones((1, 1))))
    >>> at = Point(np.array([[0.0, 2.0]]), np.zeros(2), np.zeros(0))
    >>> slopes(p, slope, at, np.ones(1), np.array([0, 1]), gradient=False).value.tolist()
    [-0.5, 0.5]
    """
    value = np.zeros(len(targets))
    total = _Gradient(problem, targets, slope) if gradient else None
    place = np.arange(len(targets))
    for rows in problem.chunks(_size(problem, targets, gradient)):
        p = probabilities(problem, point, rows)
        a = _about_average(slope.utilities(point, rows), p)
        r, at = weights[rows, None] * p[:, targets], a[:, targets]
        value += np.einsum("it,it->t", r, at)
        if total is not None:
            k = _less_average(r, p, targets)
            h = a[:, None, :] + at[:, :, None]
            h *= k
            # On the diagonal k holds r (1 - p), so h holds 2 a r (1 - p) there where a r (1 - 2 p) is wanted.
            h[:, place, targets] -= at * r
            total.add(rows, h, k)
    return Average(value, None if total is None else total.vectors())


def elasticities(
    problem: Problem, slope: Slope, point: Point, weights: np.ndarray, targets: np.ndarray, *, gradient: bool
) -> Average:
    """Average elasticities of probabilities: derivatives of their logs, where weights hold the variable's values too.

    Parameters
    ----------
    problem, slope, point, targets, gradient
        As for :func:`slopes`.
    weights : numpy.ndarray, shape (n,)
        Weights of the rows, with sum one, times the variable.

    Returns
    -------
    Average

    Notes
    -----
    The derivative of log p_it is a_it; H_itl = -weight_i p_il a_il and K_itl = weight_i (1[t = l] - p_il).

    Examples
    --------
    >>> p = Problem(sparse.csr_array((1, 0)), np.array([[0.0]]), np.array([0]), 2, None, 0.0, False)
    >>> slope = Slope(np.array([0]), sparse.csr_array(np.ones((1, 1))))
    >>> at = Point(np.array([[0.0, 2.0]]), np.zeros(2), np.zeros(0))
    >>> elasticities(p, slope, at, np.array([3.0]), np.array([1]), gradient=False).value.tolist()
    [3.0]
    """
    value = np.zeros(len(targets))
    total = _Gradient(problem, targets, slope) if gradient else None
    for rows in problem.chunks(_size(problem, targets, gradient)):
        p = probabilities(problem, point, rows)
        a = _about_average(slope.utilities(point, rows), p)
        w = weights[rows, None]
        value += (w * a[:, targets]).sum(axis=0)
        if total is not None:
            r = np.broadcast_to(w, (len(p), len(targets)))
            h = np.broadcast_to((-w * p * a)[:, None, :], (*r.shape, problem.outcomes))
            total.add(rows, h, _less_average(r, p, targets))
    return Average(value, None if total is None else total.vectors())


class _Gradient:
    """Sums of H times the columns and K times their derivatives over chunks of rows."""

    def __init__(self, problem: Problem, targets: np.ndarray, slope: Slope | None = None) -> None:
        self.problem, self.slope, self.shape = problem, slope, (len(targets), problem.outcomes)
        self.own = np.zeros((problem.features, len(targets) * problem.outcomes))
        self.constant = np.zeros(self.shape)
        self.shared = np.zeros((len(targets), len(problem.shared)))

    def add(self, rows: slice, h: np.ndarray, k: np.ndarray | None = None) -> None:
        problem, p = self.problem, self.problem.sparse.shape[1]
        flat = h.reshape(len(h), -1)
        if p:
            self.own[:p] += problem.sparse[rows].T @ flat
        if problem.features > p:
            self.own[p:] += problem.dense[rows].T @ flat
        self.constant += h.sum(axis=0)
        for m, lookup in enumerate(problem.shared):
            self.shared[:, m] += np.einsum("il,itl->t", lookup.values(rows), h)
        if self.slope is None or k is None:
            return
        self.own[self.slope.columns] += self.slope.matrix[rows].T @ k.reshape(len(k), -1)
        for m, change in enumerate(self.slope.shared):
            if change is not None:
                self.shared[:, m] += np.einsum("il,itl->t", change.values(rows), k)

    def vectors(self) -> np.ndarray:
        targets, outcomes = self.shape
        own = self.own.reshape(-1, targets, outcomes).transpose(1, 0, 2).reshape(targets, -1)
        return np.hstack([own, self.constant, self.shared] if self.problem.intercept else [own, self.shared])


def _size(problem: Problem, targets: np.ndarray, gradient: bool) -> int:
    """Rows per chunk."""
    if gradient:
        return max(_LEAST_ROWS, _CHUNK_PAIRS // max(1, len(targets) * problem.outcomes))
    return max(_LEAST_ROWS, _CHUNK_VALUES // problem.outcomes)


def _about_average(dz: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Derivatives of log probabilities."""
    out: np.ndarray = dz - np.einsum("il,il->i", p, dz)[:, None]
    return out


def _less_average(r: np.ndarray, p: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """r_it (1[t = l] - p_il), shape (rows, targets, outcomes)."""
    out: np.ndarray = r[:, :, None] * -p[:, None, :]
    out[:, np.arange(len(targets)), targets] += r
    return out


def scores(problem: Problem, point: Point, rows: slice = slice(None)) -> np.ndarray:
    """Derivative of every row's log-likelihood, unweighted, with respect to all coefficients.

    Parameters
    ----------
    problem : Problem
        The rows; an outcome of -1 has a probability that no coefficient changes, and so a score of zero.
    point : Point
        Coefficients.
    rows : slice
        Which rows.

    Returns
    -------
    numpy.ndarray, shape (rows, parameters)
        In the order of :meth:`Problem.vector`.

    Notes
    -----
    The derivative with respect to the coefficients of outcome l is x_i (1[y_i = l] - p_il).

    Examples
    --------
    >>> p = Problem(sparse.csr_array((1, 0)), np.array([[2.0]]), np.array([0]), 2, None, 0.0, False)
    >>> scores(p, Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0))).tolist()
    [[1.0, -1.0]]
    """
    outcome = problem.outcome[rows]
    e = -probabilities(problem, point, rows)
    e[np.arange(len(e)), outcome] += 1
    e[outcome < 0] = 0
    x = np.hstack([problem.sparse[rows].toarray(), problem.dense[rows].astype(np.float64)])
    own = (x[:, :, None] * e[:, None, :]).reshape(len(e), -1)
    shared = np.column_stack([np.einsum("il,il->i", c.values(rows), e) for c in problem.shared] or [e[:, :0]])
    return np.hstack([own, e, shared] if problem.intercept else [own, shared])


def reported_point(reported: np.ndarray, columns: int, outcomes: int, intercept: bool, base: int | None) -> Point:
    """Undo :func:`econllm.multinomial.estimates.report_coefficients`.

    Parameters
    ----------
    reported : numpy.ndarray
        Coefficients by outcome, the constant first; common coefficients last.
    columns, outcomes : int
        How many there are.
    intercept : bool
        Whether constants are among the coefficients.
    base : int or None
        Base outcome, whose coefficients are zero and not reported.

    Returns
    -------
    Point

    Examples
    --------
    >>> reported_point(np.array([1.0, 2.0, 9.0]), 1, 2, True, 0).slopes.tolist()
    [[0.0, 2.0]]
    """
    k, j = columns + intercept, outcomes - (base is not None)
    theta = reported[: k * j].reshape(j, k).T
    if base is not None:
        theta = np.insert(theta, base, 0.0, axis=1)
    constants = theta[0] if intercept else np.zeros(outcomes)
    return Point(np.ascontiguousarray(theta[int(intercept) :]), constants, reported[k * j :])
