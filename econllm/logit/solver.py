"""Minimising the penalised negative log-likelihood of the multinomial logit.

The objective is the weighted mean negative log-likelihood plus a ridge penalty on the slopes; intercepts are free. It
is minimised by L-BFGS on coefficients scaled by the inverse square root of a guess of the Hessian's diagonal: products
in float32 (sums in float64) reach the region of the optimum, float64 finishes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, sparse

from econllm.formula.lookup import Lookup
from econllm.logit import newton
from econllm.logit.device import chosen_device, minimise_on_device
from econllm.logit.problem import Point, Problem
from econllm.logit.threads import SHARES, Map, workers

# Rows per chunk: the chunk's utilities (rows x outcomes) should stay in a core's cache.
_CHUNK_VALUES = 400_000
# Utilities that a thread is worth.
_WORK_PER_THREAD = 100_000
_SMOOTHING = 1.0
_MEMORY = 20
# The stopping rule looks at the decrease over this many iterations: single steps of L-BFGS vary too much.
_WINDOW = 10
# Rows per chunk below which threads take longer to start than to work.
_FEWEST_ROWS = 1000
# Where Newton steps end the work, they begin at this decrease.
_NEWTON_TOLERANCE = 1e-2
# With float32 products a relative decrease below this cannot be told from rounding.
_SINGLE_TOLERANCE = 3e-6


@dataclass(frozen=True)
class Report:
    """How an optimisation ended; see :class:`Solution`."""

    objective: float
    converged: bool
    iterations: int
    gradient: float
    seconds: float


@dataclass(frozen=True)
class Solution:
    """Where the optimiser stopped.

    Attributes
    ----------
    point : Point
        Coefficients; the intercepts have mean zero over outcomes.
    objective : float
        Mean negative log-likelihood plus penalty.
    converged : bool
        Whether the tolerance was met before the limit on iterations.
    iterations : int
        Of L-BFGS and Newton together.
    gradient : float
        Largest absolute element of the preconditioned gradient of the mean objective.
    seconds : float
        Time taken.
    trace : tuple of (seconds, objective)
        One entry per iteration.
    last_step : numpy.ndarray or None
        Where Newton steps were taken, the last of them, in the order of :meth:`Problem.vector`.
    """

    point: Point
    objective: float
    converged: bool
    iterations: int
    gradient: float
    seconds: float
    trace: tuple[tuple[float, float], ...]
    last_step: np.ndarray | None = None

    def report(self) -> Report:
        """Everything but the coefficients and the trace."""
        return Report(self.objective, self.converged, self.iterations, self.gradient, self.seconds)


@dataclass(frozen=True)
class _Chunk:
    sparse: sparse.csr_array
    transposed: sparse.csr_array
    dense: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray | None
    shared: tuple[Lookup, ...]
    offset: Lookup | None


class _Objective:
    """The objective and its gradient, by chunks of rows spread over threads."""

    def __init__(self, problem: Problem, dtype: type[np.floating[Any]], run: Map[Any, Any]) -> None:
        self.problem, self.dtype, self.run = problem, dtype, run
        size = max(64, _CHUNK_VALUES // max(problem.outcomes, problem.dense.shape[1], 1))
        size = min(size, max(_FEWEST_ROWS, -(-problem.rows // SHARES)))
        x = problem.sparse.astype(dtype)
        dense = problem.dense.astype(dtype, copy=False)
        shared = [Lookup(lookup.codes, lookup.table.astype(dtype)) for lookup in problem.shared]
        offset = problem.offset and Lookup(problem.offset.codes, problem.offset.table.astype(dtype))
        self.chunks = []
        for rows in problem.chunks(size):
            part = x[rows]
            self.chunks.append(
                _Chunk(
                    part,
                    sparse.csr_array(part.T.tocsr()),
                    dense[rows],
                    problem.outcome[rows],
                    None if problem.weights is None else problem.weights[rows],
                    tuple(Lookup(lookup.codes[rows], lookup.table) for lookup in shared),
                    offset and Lookup(offset.codes[rows], offset.table),
                )
            )

    def __call__(self, point: Point) -> tuple[float, Point]:
        """Objective and gradient."""
        problem = self.problem
        low = Point(*(part.astype(self.dtype) for part in (point.slopes, point.intercepts, point.shared)))
        shares = range(min(SHARES, len(self.chunks)))
        loss, slopes, intercepts, shared = _total(self.run(lambda k: self._share(k, low), shares))
        n, ridge = problem.rows, problem.ridge[:, None]
        loss = loss / n + 0.5 * float(np.sum(ridge * point.slopes * point.slopes))
        loss += 0.5 * float(problem.shared_ridge @ point.shared**2)
        slopes *= 1 / n
        slopes += ridge * point.slopes
        intercepts = intercepts / n if problem.intercept else np.zeros_like(point.intercepts)
        return loss, Point(slopes, intercepts, shared / n + problem.shared_ridge * point.shared)

    def _share(self, share: int, point: Point) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        p = self.problem.sparse.shape[1]
        slopes = np.zeros(point.slopes.shape)
        intercepts, shared = np.zeros(len(point.intercepts)), np.zeros(len(point.shared))
        loss = 0.0
        for chunk in self.chunks[share::SHARES]:
            z, part = _residuals(chunk, point, p)
            loss += part
            if p:
                slopes[:p] += chunk.transposed @ z
            if chunk.dense.shape[1]:
                slopes[p:] += chunk.dense.T @ z
            intercepts += z.sum(axis=0, dtype=np.float64)
            for m, lookup in enumerate(chunk.shared):
                shared[m] += np.einsum("ij,ij->i", z, lookup.values()).sum(dtype=np.float64)
        return loss, slopes, intercepts, shared


def _total(
    parts: list[tuple[float, np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Sum over shares, in their order."""
    loss, slopes, intercepts, shared = parts[0]
    for part in parts[1:]:
        loss += part[0]
        slopes += part[1]
        intercepts += part[2]
        shared += part[3]
    return loss, slopes, intercepts, shared


def _utilities(chunk: _Chunk, point: Point, p: int) -> np.ndarray:
    w = point.slopes
    z: np.ndarray = chunk.sparse @ w[:p] if p else np.zeros((len(chunk.outcome), w.shape[1]), dtype=w.dtype)
    if chunk.dense.shape[1]:
        z += chunk.dense @ w[p:]
    z += point.intercepts
    for lookup, coefficient in zip(chunk.shared, point.shared, strict=True):
        z += coefficient * lookup.values()
    if chunk.offset is not None:
        z += chunk.offset.values()
    return z


def _residuals(chunk: _Chunk, point: Point, p: int) -> tuple[np.ndarray, float]:
    """Weighted probabilities less indicators of the realised outcome, and the chunk's negative log-likelihood."""
    z = _utilities(chunk, point, p)
    z -= z.max(axis=1, keepdims=True)
    at = np.arange(len(z)), chunk.outcome
    realised = z[at].astype(np.float64)
    np.exp(z, out=z)
    total = z.sum(axis=1, dtype=np.float64)
    z *= (1 / total).astype(z.dtype)[:, None]
    z[at] -= 1
    scores = np.log(total) - realised
    if chunk.weights is None:
        return z, float(scores.sum())
    z *= chunk.weights.astype(z.dtype)[:, None]
    return z, float(chunk.weights @ scores)


def scales(problem: Problem) -> Point:
    """Scale of every coefficient: the inverse square root of a guess of the Hessian's diagonal.

    Parameters
    ----------
    problem : Problem
        Data and penalty.

    Returns
    -------
    Point
        1 / sqrt(mean_i w_i x_if^2 q_fk (1 - q_fk) + ridge_f) for slopes and the same without penalty for constants,
        with q_fk the smoothed share of outcome k among the rows where indicator f is on (the overall share for
        numeric columns); for common coefficients by their columns' variance over outcomes under the overall shares.

    Examples
    --------
    >>> p = Problem(sparse.csr_array(np.eye(2)), np.zeros((2, 0)), np.array([0, 1]), 2, None, 0.5, True)
    >>> scales(p).intercepts.round(6)
    array([2., 2.])
    """
    n, k = problem.rows, problem.outcomes
    weights = np.ones(n) if problem.weights is None else problem.weights
    hits = sparse.csr_array((weights, problem.outcome, np.arange(n + 1)), shape=(n, k))
    share = (hits.sum(axis=0) + _SMOOTHING / k) / (n + _SMOOTHING)
    x = problem.sparse
    on = abs(x)
    joint = np.asarray((on.T @ hits).todense()) + _SMOOTHING * share
    q = joint / (np.asarray(on.T @ weights)[:, None] + _SMOOTHING)
    squares = np.concatenate([np.asarray(x.multiply(x).T @ weights), np.square(problem.dense).T @ weights]) / n
    spread = np.concatenate([q * (1 - q), np.broadcast_to(share * (1 - share), (problem.dense.shape[1], k))])
    floor = 1e-8
    slopes = 1 / np.sqrt(squares[:, None] * spread + problem.ridge[:, None] + floor)
    shared = np.empty(len(problem.shared))
    for m, lookup in enumerate(problem.shared):
        spreads = (lookup.table - (lookup.table @ share)[:, None]) ** 2 @ share
        shared[m] = np.bincount(lookup.codes, weights, len(spreads)) @ spreads / n
    return Point(slopes, 1 / np.sqrt(share * (1 - share) + floor), 1 / np.sqrt(shared + problem.shared_ridge + floor))


class _StoppedEarly(Exception):
    """The stopping rule was met."""


class _Run:
    """One L-BFGS run in scaled coordinates, with a trace and a stopping rule."""

    def __init__(self, objective: _Objective, scale: Point, tolerance: float, clock: float) -> None:
        self.objective, self.tolerance, self.clock = objective, tolerance, clock
        self.shape = scale.slopes.shape
        self.scale = _join(scale)
        self.trace: list[tuple[float, float]] = []
        self.best = (np.inf, np.zeros(0))
        self.converged = False

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = self.objective(self._point(theta))
        if loss < self.best[0]:
            self.best = (loss, theta.copy())
        return loss, _join(slope) * self.scale

    def _point(self, theta: np.ndarray) -> Point:
        values = theta * self.scale
        end = self.shape[0] * self.shape[1]
        return Point(values[:end].reshape(self.shape), values[end : end + self.shape[1]], values[end + self.shape[1] :])

    def _watch(self, _: np.ndarray) -> None:
        self.trace.append((time.perf_counter() - self.clock, self.best[0]))
        if len(self.trace) > _WINDOW:
            decrease = self.trace[-1 - _WINDOW][1] - self.best[0]
            self.converged = decrease <= self.tolerance * abs(self.best[0])
        if self.converged:
            raise _StoppedEarly

    def minimise(self, point: Point, max_iter: int) -> Point:
        # scipy's own criteria are switched off: they look at single steps, and stop early in float32.
        options = {"maxiter": max_iter, "maxfun": 3 * max_iter + 20, "maxcor": _MEMORY, "ftol": 0.0, "gtol": 1e-12}
        try:
            done = optimize.minimize(
                self, _join(point) / self.scale, jac=True, method="L-BFGS-B", callback=self._watch, options=options
            )
            # Status 1 is a limit; a line search that finds no decrease (status 2) has reached rounding.
            self.converged = done.status != 1
        except _StoppedEarly:
            pass
        return self._point(self.best[1])


def _join(point: Point) -> np.ndarray:
    return np.concatenate([point.slopes.ravel(), point.intercepts, point.shared])


def solve(
    problem: Problem,
    *,
    start: Point | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 500,
    single: bool = True,
    polish: bool = True,
    device: str = "cpu",
) -> Solution:
    """Minimise the objective of a problem with a ridge penalty or none.

    Parameters
    ----------
    problem : Problem
        Data and penalty, with l1_ratio 0.
    start : Point, optional
        Where to begin; by default zero slopes and the log shares of the outcomes.
    tolerance : float
        Stop when ten iterations together lower the objective by less than this share of it.
    max_iter : int
        Limit on iterations.
    single : bool
        Begin with float32 products where the problem is large.
    polish : bool
        End with Newton steps where the problem is small.
    device : str
        "cpu"; "auto" for a GPU if there is one and the problem is large; or a device of torch.

    Returns
    -------
    Solution
        Intercepts have mean zero over the outcomes. Newton steps bring the gradient down to rounding.

    Examples
    --------
    >>> x = sparse.csr_array(np.array([[1.0], [1], [0], [0]]))
    >>> p = Problem(x, np.zeros((4, 0)), np.array([0, 1, 1, 0]), 2, None, 1.0, True)
    >>> bool(abs(solve(p).objective - np.log(2)) < 1e-12)
    True
    """
    descent = _Descent(problem, start_point(problem) if start is None else start, max_iter)
    small = polish and newton.affordable(problem)
    converged, last_step = False, None
    if small:
        # Newton steps converge from far away where there are few coefficients, and are cheap there.
        kind = np.float32 if single and descent.cells > 1e5 else np.float64
        descent.run(kind, max(tolerance, _NEWTON_TOLERANCE))
        descent.point, steps, converged, last_step = newton.polish(problem, descent.point, descent.left)
        descent.note(steps)
    if not converged and descent.left:
        where = None if small else chosen_device(device, problem)
        if single and not small and (descent.cells > 1e5 or where):
            descent.run(np.float32, max(tolerance, _SINGLE_TOLERANCE), where)
        # Not every device has float64; the processor ends where the device could not.
        converged = descent.run(np.float64, tolerance, None if where == "mps" else where)
    loss, steepest = descent.state()
    point = centre(descent.point)
    trace = tuple(descent.trace)
    return Solution(point, loss, converged, len(trace), steepest, descent.seconds, trace, last_step)


def centre(point: Point) -> Point:
    """Coefficients that sum to zero over outcomes: no other ones that give the same probabilities are penalised less.

    Examples
    --------
    >>> centre(Point(np.array([[1.0, 3.0]]), np.array([0.0, 1.0]), np.zeros(0))).slopes.tolist()
    [[-1.0, 1.0]]
    """
    slopes = point.slopes - point.slopes.mean(axis=1, keepdims=True)
    return replace(point, slopes=slopes, intercepts=point.intercepts - point.intercepts.mean())


class _Descent:
    """A point on its way to the optimum, with a trace."""

    def __init__(self, problem: Problem, point: Point, max_iter: int) -> None:
        self.clock = time.perf_counter()
        self.problem, self.point, self.max_iter = problem, point, max_iter
        self.scale = scales(problem)
        self.trace: list[tuple[float, float]] = []

    @property
    def cells(self) -> int:
        return self.problem.rows * self.problem.outcomes

    @property
    def left(self) -> int:
        return max(self.max_iter - len(self.trace), 0)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.clock

    def run(self, dtype: type[np.floating[Any]], tolerance: float, device: str | None = None) -> bool:
        """Take L-BFGS steps in one number type; whether they met the tolerance."""
        left, begin = max(self.left, 1), self.seconds
        if device is not None:
            double = dtype is np.float64
            self.point, trace, converged = minimise_on_device(
                self.problem, self.point, self.scale, device, double=double, tolerance=tolerance, max_iter=left
            )
            self.trace += [(begin + seconds, value) for seconds, value in trace]
            return converged
        with workers(self.cells // _WORK_PER_THREAD) as share:
            run = _Run(_Objective(self.problem, dtype, share), self.scale, tolerance, self.clock)
            self.point = run.minimise(self.point, left)
        self.trace += run.trace
        return run.converged

    def note(self, steps: int) -> None:
        """Add steps that were taken elsewhere to the trace."""
        self.trace += [(self.seconds, self.trace[-1][1] if self.trace else np.nan)] * steps

    def state(self) -> tuple[float, float]:
        """Objective, and largest element of the preconditioned gradient."""
        with workers(self.cells // _WORK_PER_THREAD) as share:
            loss, slope = _Objective(self.problem, np.float64, share)(self.point)
        return loss, float(np.abs(_join(slope) * _join(self.scale)).max(initial=0.0))


def start_point(problem: Problem) -> Point:
    """No slopes, and the log shares of the outcomes as constants."""
    shape = (problem.features, problem.outcomes)
    logs = np.log(np.bincount(problem.outcome, problem.weights, minlength=problem.outcomes) + 1e-3)
    constants = logs - logs.mean() if problem.intercept else np.zeros(problem.outcomes)
    return Point(np.zeros(shape), constants, np.zeros(len(problem.shared)))


def log_proba(problem: Problem, point: Point) -> Iterator[tuple[slice, np.ndarray]]:
    """Log probabilities in float64, chunk by chunk.

    Yields
    ------
    slice, numpy.ndarray
        The rows, and their log probabilities; minus infinity where an outcome is not available.

    Examples
    --------
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.zeros(2, int), 4, None, 0.0, True)
    >>> (_, z), = log_proba(p, start_point(replace(p, intercept=False)))
    >>> np.exp(z[0]).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    for rows in problem.chunks(max(64, 4 * _CHUNK_VALUES // max(problem.outcomes, 1))):
        z = problem.utilities(point, rows)
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        yield rows, z
