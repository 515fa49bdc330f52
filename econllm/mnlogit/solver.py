"""Minimising the penalised negative log-likelihood of the multinomial logit.

The objective is the weighted mean negative log-likelihood plus alpha times half the sum of squared slopes; intercepts
are free. It is minimised by L-BFGS on coefficients scaled by the inverse square root of a guess of the Hessian's
diagonal: products in float32 (sums in float64) reach the region of the optimum, float64 finishes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, sparse
from threadpoolctl import threadpool_limits

from econllm.mnlogit import newton
from econllm.mnlogit.problem import Problem

# Rows per chunk: the chunk's utilities (rows x outcomes) should stay in a core's cache.
_CHUNK_VALUES = 400_000
_SMOOTHING = 1.0
_MEMORY = 20
# Chunks are dealt to this many shares, whatever the number of cores, so that sums do not depend on the machine.
_SHARES = 16
# The stopping rule looks at the decrease over this many iterations: single steps of L-BFGS vary too much.
_WINDOW = 10
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
    coefficients : numpy.ndarray of float64, shape (features, outcomes)
        Slopes.
    intercepts : numpy.ndarray of float64, shape (outcomes,)
        Constants; zero where there are none.
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
        Where Newton steps were taken, the last of them: slopes, then intercepts if there are any.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
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


class _Objective:
    """The objective and its gradient, by chunks of rows spread over threads."""

    def __init__(self, problem: Problem, dtype: type[np.floating[Any]], pool: ThreadPoolExecutor) -> None:
        self.problem, self.dtype, self.pool = problem, dtype, pool
        size = max(64, _CHUNK_VALUES // max(problem.outcomes, problem.dense.shape[1], 1))
        x = problem.sparse.astype(dtype)
        dense = problem.dense.astype(dtype, copy=False)
        self.chunks = []
        for a in range(0, problem.rows, size):
            rows = slice(a, a + size)
            part = x[rows]
            weights = None if problem.weights is None else problem.weights[rows]
            transposed = sparse.csr_array(part.T.tocsr())
            self.chunks.append(_Chunk(part, transposed, dense[rows], problem.outcome[rows], weights))

    def __call__(self, w: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Objective, gradient of the slopes, gradient of the intercepts."""
        low, low_b = w.astype(self.dtype), b.astype(self.dtype)
        shares = range(min(_SHARES, len(self.chunks)))
        parts = list(self.pool.map(lambda k: self._share(k, low, low_b), shares))
        n, alpha = self.problem.rows, self.problem.alpha
        loss = sum(p[0] for p in parts) / n + 0.5 * alpha * float(np.vdot(w, w))
        slope = sum((p[1] for p in parts[1:]), parts[0][1])
        constant = sum((p[2] for p in parts[1:]), parts[0][2])
        slope *= 1 / n
        slope += alpha * w
        return loss, slope, constant / n if self.problem.intercept else np.zeros_like(b)

    def _share(self, share: int, w: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        p = self.problem.sparse.shape[1]
        gradient = np.zeros(w.shape)
        constant = np.zeros(len(b))
        loss = 0.0
        for chunk in self.chunks[share::_SHARES]:
            z, part = _residuals(chunk, w, b, p)
            loss += part
            if p:
                gradient[:p] += chunk.transposed @ z
            if chunk.dense.shape[1]:
                gradient[p:] += chunk.dense.T @ z
            constant += z.sum(axis=0, dtype=np.float64)
        return loss, gradient, constant


def _utilities(chunk: _Chunk, w: np.ndarray, b: np.ndarray, p: int) -> np.ndarray:
    z: np.ndarray = chunk.sparse @ w[:p] if p else np.zeros((len(chunk.outcome), w.shape[1]), dtype=w.dtype)
    if chunk.dense.shape[1]:
        z += chunk.dense @ w[p:]
    z += b
    return z


def _residuals(chunk: _Chunk, w: np.ndarray, b: np.ndarray, p: int) -> tuple[np.ndarray, float]:
    """Weighted probabilities less indicators of the realised outcome, and the chunk's negative log-likelihood."""
    z = _utilities(chunk, w, b, p)
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


def scales(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Scale of every coefficient: the inverse square root of a guess of the Hessian's diagonal.

    Parameters
    ----------
    problem : Problem
        Data and penalty.

    Returns
    -------
    numpy.ndarray of shape (features, outcomes), numpy.ndarray of shape (outcomes,)
        1 / sqrt(mean_i w_i x_if^2 q_fk (1 - q_fk) + alpha) for slopes and the same without penalty for constants,
        with q_fk the smoothed share of outcome k among the rows where indicator f is on (the overall share for
        numeric columns).

    Examples
    --------
    >>> p = Problem(sparse.csr_array(np.eye(2)), np.zeros((2, 0)), np.array([0, 1]), 2, None, 0.5, True)
    >>> scales(p)[1].round(6)
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
    slope = 1 / np.sqrt(squares[:, None] * spread + problem.alpha + floor)
    return slope, 1 / np.sqrt(share * (1 - share) + floor)


class _StoppedEarly(Exception):
    """The stopping rule was met."""


class _Run:
    """One L-BFGS run in scaled coordinates, with a trace and a stopping rule."""

    def __init__(
        self, objective: _Objective, scale: tuple[np.ndarray, np.ndarray], tolerance: float, clock: float
    ) -> None:
        self.objective, self.scale, self.tolerance, self.clock = objective, scale, tolerance, clock
        self.trace: list[tuple[float, float]] = []
        self.best = (np.inf, np.zeros(0))
        self.converged = False

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = self._unpack(theta)
        loss, slope, constant = self.objective(w, b)
        if loss < self.best[0]:
            self.best = (loss, theta.copy())
        slope *= self.scale[0]
        return loss, np.concatenate([slope.ravel(), constant * self.scale[1]])

    def _unpack(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = self.scale[0].shape
        return theta[: -shape[1]].reshape(shape) * self.scale[0], theta[-shape[1] :] * self.scale[1]

    def _watch(self, _: np.ndarray) -> None:
        self.trace.append((time.perf_counter() - self.clock, self.best[0]))
        if len(self.trace) > _WINDOW:
            decrease = self.trace[-1 - _WINDOW][1] - self.best[0]
            self.converged = decrease <= self.tolerance * abs(self.best[0])
        if self.converged:
            raise _StoppedEarly

    def minimise(self, w: np.ndarray, b: np.ndarray, max_iter: int) -> tuple[np.ndarray, np.ndarray]:
        # scipy's own criteria are switched off: they look at single steps, and stop early in float32.
        options = {"maxiter": max_iter, "maxfun": 3 * max_iter + 20, "maxcor": _MEMORY, "ftol": 0.0, "gtol": 1e-12}
        theta = np.concatenate([(w / self.scale[0]).ravel(), b / self.scale[1]])
        try:
            done = optimize.minimize(self, theta, jac=True, method="L-BFGS-B", callback=self._watch, options=options)
            # Status 1 is a limit; a line search that finds no decrease (status 2) has reached rounding.
            self.converged = done.status != 1
        except _StoppedEarly:
            pass
        return self._unpack(self.best[1])


def solve(
    problem: Problem,
    *,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    tolerance: float = 1e-6,
    max_iter: int = 500,
    single: bool = True,
    polish: bool = True,
) -> Solution:
    """Minimise the objective.

    Parameters
    ----------
    problem : Problem
        Data and penalty.
    start : pair of arrays, optional
        Slopes and intercepts to start from; by default zero slopes and the log shares of the outcomes.
    tolerance : float
        Stop when ten iterations together lower the objective by less than this share of it.
    max_iter : int
        Limit on iterations.
    single : bool
        Begin with float32 products where the problem is large.
    polish : bool
        End with Newton steps where the problem is small.

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
    clock = time.perf_counter()
    shape = (problem.features, problem.outcomes)
    w, b = _start(problem, shape) if start is None else (start[0].copy(), start[1].copy())
    scale = scales(problem)
    cells = problem.rows * problem.outcomes
    workers = max(1, min(_cores(), cells // _CHUNK_VALUES))
    trace: list[tuple[float, float]] = []
    converged, last_step = False, None
    phases: list[tuple[type[np.floating[Any]], float]] = [(np.float64, tolerance)]
    if single and cells > 1e5:
        phases.insert(0, (np.float32, max(tolerance, _SINGLE_TOLERANCE)))
    # The pool shares out chunks; BLAS threads of its own within each would compete for the same cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for dtype, goal in phases:
            run = _Run(_Objective(problem, dtype, pool), scale, goal, clock)
            w, b = run.minimise(w, b, max(max_iter - len(trace), 1))
            trace += run.trace
            converged = run.converged and dtype is np.float64
        if polish and newton.affordable(problem):
            w, b, steps, finished, last_step = newton.polish(problem, w, b)
            converged = converged or finished
            trace += [(time.perf_counter() - clock, trace[-1][1] if trace else np.nan)] * steps
        loss, slope, constant = _Objective(problem, np.float64, pool)(w, b)
    gradient = max(np.abs(slope * scale[0]).max(initial=0.0), np.abs(constant * scale[1]).max(initial=0.0))
    seconds = time.perf_counter() - clock
    return Solution(w, b - b.mean(), loss, converged, len(trace), float(gradient), seconds, tuple(trace), last_step)


def _start(problem: Problem, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(problem.outcome, problem.weights, minlength=problem.outcomes) + 1e-3
    logs = np.log(counts)
    return np.zeros(shape), logs - logs.mean() if problem.intercept else np.zeros(problem.outcomes)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def log_proba(
    x: sparse.csr_array, dense: np.ndarray, coefficients: np.ndarray, intercepts: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Log probabilities in float64, chunk by chunk.

    Yields
    ------
    slice, numpy.ndarray
        The rows, and their log probabilities.

    Examples
    --------
    >>> (_, p), = log_proba(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.zeros((0, 4)), np.zeros(4))
    >>> np.exp(p[0]).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    n, p = x.shape
    size = max(64, 4 * _CHUNK_VALUES // max(len(intercepts), 1))
    for a in range(0, n, size):
        rows = slice(a, min(a + size, n))
        z = x[rows] @ coefficients[:p] + dense[rows] @ coefficients[p:] + intercepts
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        yield rows, z
