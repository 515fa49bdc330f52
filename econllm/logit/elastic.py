"""Minimising the multinomial logit with absolute values in its penalty.

Newton steps on the objective: around the current point the negative log-likelihood is replaced by its quadratic model,
exact over all outcomes, and the penalty is kept as it is. The model is minimised by cycles of coordinate descent, which
find out which coefficients are zero, in turn with conjugate gradients over those that are not, which deal with
correlated columns. Steps that do not lower the objective enough are halved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from econllm.logit.linear import Columns, LinearMap
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Solution
from econllm.logit.threads import workers

# Cycles of coordinate descent before conjugate gradients take over, and the limits of both.
_CYCLES = 5
_CONJUGATE = 100
_ROUNDS = 30
# The model is minimised until its gradient has fallen to this share of what it was.
_FORCING = 0.05
_ARMIJO = 1e-3
_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class _Penalty:
    """Weights of the absolute values and of half the squares, by coefficient (flat) and by column."""

    lasso: np.ndarray
    ridge: np.ndarray
    columns: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, problem: Problem) -> _Penalty:
        k, m = problem.outcomes, len(problem.shared)
        lasso = np.concatenate([np.tile(problem.lasso, k), np.zeros(k + m)])
        ridge = np.concatenate([np.tile(problem.ridge, k), np.zeros(k), problem.shared_ridge])
        return cls(lasso, ridge, (problem.lasso, problem.ridge))

    def take(self, positions: np.ndarray, kept: np.ndarray) -> _Penalty:
        """Keep some columns."""
        return _Penalty(self.lasso[positions], self.ridge[positions], (self.columns[0][kept], self.columns[1][kept]))

    def value(self, theta: np.ndarray) -> float:
        return float(self.lasso @ np.abs(theta) + 0.5 * self.ridge @ np.square(theta))

    def violation(self, theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Distance of zero from the derivatives that the objective has at each coefficient."""
        slope = gradient + self.ridge * theta
        away = np.abs(slope + self.lasso * np.sign(theta))
        out: np.ndarray = np.where(theta != 0, away, np.maximum(np.abs(slope) - self.lasso, 0.0))
        return out


def _centre(slopes: np.ndarray, lasso: np.ndarray, ridge: np.ndarray, last: bool = False) -> np.ndarray:
    """Shift over the outcomes, column by column, that makes the penalty least; the likelihood does not see it.

    The derivative is linear between the ordered slopes, so its root is the median of the slopes and of the roots of
    the linear pieces. Without squares any point between the two middle slopes is as good: nothing is moved needlessly
    on the way, and in the end the midpoint is taken, as in glmnet, which does not depend on the order of the outcomes.
    """
    k = len(slopes)
    pure = (ridge == 0) & (lasso > 0)
    slack = np.where(ridge > 0, lasso / np.where(ridge > 0, ridge, 1.0), 0.0)
    roots = slopes.mean(axis=0) + np.outer(k - 2.0 * np.arange(k + 1), slack) / k
    shift: np.ndarray = np.median(np.concatenate([slopes, roots]), axis=0)
    shift = np.where((lasso == 0), slopes.mean(axis=0), shift)
    if pure.any():
        ordered = np.sort(slopes[:, pure], axis=0)
        low, high = ordered[(k - 1) // 2], ordered[k // 2]
        shift[pure] = (low + high) / 2 if last else np.clip(0.0, low, high)
    return shift


class _Model:
    """Quadratic model of the negative log-likelihood around a point, plus the penalty, and its minimisation."""

    def __init__(self, state: _State, violation: np.ndarray) -> None:
        self.state, self.map, self.penalty = state, state.map, state.penalty
        self.mass = state.proba * state.map.weights
        self.theta = state.theta.copy()
        self.moved = np.zeros_like(self.mass)
        self.mean = np.zeros(self.mass.shape[1])
        active = self.map.slopes((self.theta != 0) | (violation > 0))
        self.begin = np.concatenate([[0], active.sum(axis=1).cumsum()])
        self.features = np.nonzero(active)[1]
        self.active = active
        self.columns = np.flatnonzero(active.any(axis=0))
        self.curvature = np.empty(len(self.features))
        self.fresh = True
        # The floor keeps steps finite where an outcome's probabilities are zero or one in all rows.
        self.spread = (self.mass * (1 - state.proba)).sum(axis=1) + 1e-9
        self.shared_hessian = self._shared_hessian()

    def _shared_hessian(self) -> np.ndarray:
        count = len(self.map.problem.shared)
        out = np.diag(self.penalty.ridge[len(self.theta) - count :])
        for m, unit in enumerate(np.eye(count)):
            out[m] += self.map.shared(self.product(self.map.add_shared(np.zeros_like(self.mass), unit)))
        return out

    def product(self, utilities: np.ndarray) -> np.ndarray:
        """Second derivative by the utilities, in the direction of a change of the utilities."""
        out: np.ndarray = utilities - np.einsum("ki,ki->i", self.state.proba, utilities)
        out *= self.mass
        return out

    def value(self, theta: np.ndarray, moved: np.ndarray) -> float:
        """The model's change since it was made, with the penalty in full."""
        quadratic = 0.5 * float(np.vdot(moved, self.product(moved)))
        return float(self.state.gradient @ (theta - self.state.theta)) + quadratic + self.penalty.value(theta)

    def minimise(self, goal: float, kernels: ModuleType) -> None:
        """Cycles and conjugate gradients in turn until a whole cycle changes no gradient by more than the goal."""
        for _ in range(_ROUNDS):
            for _ in range(_CYCLES):
                if self._cycle(kernels) <= goal:
                    return
            if not self._conjugate(goal):
                return

    def _cycle(self, kernels: ModuleType) -> float:
        state, cut = self.state, self.map.cut
        slopes = self.map.slopes(self.theta)
        intercepts = self.theta[cut : cut + self.map.outcomes]
        x = self.map.columns
        lasso, ridge = self.penalty.columns
        largest = kernels.sweep(
            (x.dense, x.sparse.indptr, x.sparse.indices, x.sparse.data),
            (self.map.weights, self.map.problem.outcome, state.proba),
            (self.moved, self.mean, state.work),
            self.begin,
            self.features,
            self.curvature,
            (lasso, ridge, x.scale),
            slopes,
            intercepts,
            self.map.problem.intercept,
            self.fresh,
        )
        self.fresh = False
        at = self.columns
        slopes[:, at] -= _centre(slopes[:, at], lasso[at], ridge[at])
        return max(float(largest), self._shared_step())

    def _shared_step(self) -> float:
        """Newton step of the common coefficients; the largest gradient it removes."""
        at = slice(self.map.cut + self.map.outcomes, None)
        if not len(self.theta[at]):
            return 0.0
        gradient = self.state.gradient[at] + self.map.shared(self.product(self.moved))
        gradient += self.penalty.ridge[at] * self.theta[at]
        step = -np.linalg.lstsq(self.shared_hessian, gradient)[0]
        self.theta[at] += step
        self.map.add_shared(self.moved, step)
        self.mean = np.einsum("ki,ki->i", self.state.proba, self.moved)
        return float(np.max(np.abs(gradient) / self.map.scale[at]))

    def _conjugate(self, goal: float) -> bool:
        """Minimise over the coefficients that are not zero; False where the model could not be lowered."""
        free = (self.theta != 0) | (self.penalty.lasso == 0)
        signs = self.penalty.lasso * np.sign(self.theta)
        gradient = self.state.gradient + self.map.backward(self.product(self.moved))
        gradient += self.penalty.ridge * self.theta + signs
        step, moved = self._solve(np.where(free, -gradient, 0.0), free, 0.3 * goal)
        before, length = self.value(self.theta, self.moved), 1.0
        while length > 1e-3:
            theta, change = self.theta + length * step, self.moved + length * moved
            crossed = (theta * signs < 0) & free
            if crossed.any():
                change -= self.map.forward(np.where(crossed, theta, 0.0))
                theta[crossed] = 0.0
            if self.value(theta, change) <= before:
                self.theta, self.moved = theta, change
                self.mean = np.einsum("ki,ki->i", self.state.proba, change)
                return True
            length /= 4
        return False

    def _solve(self, residual: np.ndarray, free: np.ndarray, goal: float) -> tuple[np.ndarray, np.ndarray]:
        """Conjugate gradients with the Hessian's diagonal as preconditioner: the step and its change of utilities."""
        curvature = np.ones(self.active.shape)
        curvature[self.active] = self.curvature
        diagonal = np.concatenate([curvature.ravel(), self.spread, np.diag(self.shared_hessian)])
        diagonal[: self.map.cut] += self.penalty.ridge[: self.map.cut]
        diagonal = np.where(diagonal > 0, diagonal, 1.0)
        step, moved = np.zeros_like(residual), np.zeros_like(self.mass)
        scaled = residual / diagonal
        direction, size = scaled.copy(), float(residual @ scaled)
        for _ in range(_CONJUGATE):
            if np.max(np.abs(residual) / self.map.scale) <= goal:
                break
            utilities = self.map.forward(direction)
            image = self.map.backward(self.product(utilities)) + self.penalty.ridge * direction
            image[~free] = 0.0
            curve = float(direction @ image)
            if curve <= 1e-14 * float(direction @ (diagonal * direction)):
                break  # flat: a shift over the outcomes, which the likelihood does not see
            step += (size / curve) * direction
            moved += (size / curve) * utilities
            residual = residual - (size / curve) * image
            scaled = residual / diagonal
            size, last = float(residual @ scaled), size
            direction = scaled + (size / last) * direction
        return step, moved


class _State:
    """The current point of the minimisation, with all that depends on it."""

    def __init__(self, linear: LinearMap, penalty: _Penalty, theta: np.ndarray, offset: np.ndarray | None) -> None:
        self.map, self.penalty = linear, penalty
        self.theta = theta
        self.utilities = linear.forward(theta)
        if offset is not None:
            self.utilities += offset
        n = len(linear.weights)
        self.at = linear.problem.outcome, np.arange(n)
        self.proba = np.empty_like(self.utilities)
        self.work = np.empty((3, n))
        self.objective = self._evaluate(self.utilities) + penalty.value(theta)
        self.gradient = np.zeros_like(theta)

    def _evaluate(self, utilities: np.ndarray) -> float:
        """Mean negative log-likelihood; probabilities are left in place."""
        z = np.subtract(utilities, utilities.max(axis=0), out=self.proba)
        realised = z[self.at]
        np.exp(z, out=z)
        total = z.sum(axis=0)
        z /= total
        return float(self.map.weights @ (np.log(total) - realised))

    def residuals(self) -> np.ndarray:
        """Probabilities less indicators of the realised outcome, weighted, shape (outcomes, n)."""
        out: np.ndarray = self.proba.copy()
        out[self.at] -= 1
        out *= self.map.weights
        return out

    def violation(self) -> np.ndarray:
        """KKT violations over their scales; brings the gradient up to date."""
        self.gradient = self.map.backward(self.residuals())
        out: np.ndarray = self.penalty.violation(self.theta, self.gradient) / self.map.scale
        return out

    def advance(self, model: _Model) -> bool:
        """Go to the model's minimiser, or part of the way; False where no part of it lowers the objective."""
        step = model.theta - self.theta
        decrease = float(self.gradient @ step) + self.penalty.value(model.theta) - self.penalty.value(self.theta)
        length, rounding = 1.0, 1e-15 * max(1.0, abs(self.objective))
        for _ in range(_HALVINGS):
            theta = self.theta + length * step if length < 1 else model.theta
            utilities = self.utilities + length * model.moved
            objective = self._evaluate(utilities) + self.penalty.value(theta)
            if objective <= self.objective + _ARMIJO * length * decrease + rounding:
                self.theta, self.utilities, self.objective = theta, utilities, objective
                return True
            length /= 2
        self._evaluate(self.utilities)
        return False


@dataclass(frozen=True, eq=False)
class Descent:
    """A problem made ready for several minimisations that differ in alpha, start and columns kept."""

    problem: Problem
    map: LinearMap
    offset: np.ndarray | None

    @classmethod
    def of(cls, problem: Problem) -> Descent:
        """Lay out the data as the compiled loops want them."""
        n = problem.rows
        weights = np.full(n, 1 / n) if problem.weights is None else np.asarray(problem.weights, dtype=np.float64) / n
        offset = None if problem.offset is None else np.ascontiguousarray(problem.offset.values().T)
        return cls(problem, LinearMap(problem, Columns.of(problem, weights), weights), offset)

    def state(self, alpha: float, point: Point, kept: np.ndarray | None = None) -> _State:
        """The point, seen by the kept columns (a mask; None for all), at some alpha."""
        penalty, theta = _Penalty.of(replace(self.problem, alpha=alpha)), self.map.pack(point)
        if kept is None or kept.all():
            return _State(self.map, penalty, theta, self.offset)
        at = self.map.positions(kept)
        return _State(self.map.take(kept), penalty.take(at, kept), theta[at], self.offset)

    def start(self) -> Point:
        """Zero slopes and the log shares of the outcomes."""
        k = self.problem.outcomes
        logs = np.log(np.bincount(self.problem.outcome, self.map.weights, minlength=k) + 1e-3 / self.problem.rows)
        constants = logs - logs.mean() if self.problem.intercept else np.zeros(k)
        return Point(np.zeros((self.problem.features, k)), constants, np.zeros(len(self.problem.shared)))

    def minimise(
        self, alpha: float, start: Point, tolerance: float, max_iter: int, kept: np.ndarray | None = None
    ) -> Solution:
        """Minimise the objective over the kept columns, the others having zero slopes."""
        from econllm.logit import descent  # imports numba

        clock = time.perf_counter()
        trace: list[tuple[float, float]] = []
        # The products are too small to be worth sharing out.
        with workers(1):
            state = self.state(alpha, start, kept)
            while True:
                violation = state.violation()
                largest = float(violation.max(initial=0.0))
                if largest <= tolerance or len(trace) == max_iter:
                    break
                model = _Model(state, violation)
                model.minimise(max(_FORCING * largest, 0.3 * tolerance), descent)
                advanced = state.advance(model)
                trace.append((time.perf_counter() - clock, state.objective))
                if not advanced:
                    break
        theta = np.zeros(len(self.map.scale))
        theta[self.map.positions(np.ones(self.problem.features, dtype=bool) if kept is None else kept)] = state.theta
        point = _centred(replace(self.problem, alpha=alpha), self.map.unpack(theta))
        seconds = time.perf_counter() - clock
        return Solution(point, state.objective, largest <= tolerance, len(trace), largest, seconds, tuple(trace))


def _centred(problem: Problem, point: Point) -> Point:
    """Among points with the same likelihood, the one with the least penalty; see :func:`solve_elastic`."""
    shift = _centre(point.slopes.T, problem.lasso, problem.ridge, last=True)
    return replace(point, slopes=point.slopes - shift[:, None], intercepts=point.intercepts - point.intercepts.mean())


def solve_elastic(
    problem: Problem, *, start: Point | None = None, tolerance: float = 1e-7, max_iter: int = 100
) -> Solution:
    """Minimise the objective with absolute values, squares or both in the penalty.

    Parameters
    ----------
    problem : Problem
        Data and penalty; any `l1_ratio` from 0 to 1.
    start : Point, optional
        Where to begin; by default zero slopes and the log shares of the outcomes.
    tolerance : float
        Stop when no condition of a minimum is violated by more; see :func:`kkt_violation`.
    max_iter : int
        Limit on Newton steps.

    Returns
    -------
    Solution
        `gradient` is the largest violation and `last_step` is None. A shift of a column's slopes, common to all
        outcomes, leaves the likelihood as it is: of such points the one with the least penalty is returned. Where
        the penalty does not decide (constants, columns with factor zero) the mean over outcomes is zero; with
        absolute values only and an even number of outcomes the midpoint of the two middle slopes is zero.

    Notes
    -----
    Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized linear models via coordinate
    descent", Journal of Statistical Software 33(1), section 4, minimise a quadratic model outcome by outcome; here
    the model holds all outcomes, and conjugate gradients help where columns are correlated.

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[1.0], [1], [1], [-1], [-1], [-1]])
    >>> p = Problem(sparse.csr_array((6, 0)), x, np.array([0, 0, 0, 1, 1, 0]), 2, None, 0.1, True, l1_ratio=1.0)
    >>> solution = solve_elastic(p)
    >>> solution.converged, solution.point.slopes.shape, kkt_violation(p, solution.point) < 1e-7
    (True, (1, 2), True)
    """
    descent = Descent.of(problem)
    return descent.minimise(problem.alpha, descent.start() if start is None else start, tolerance, max_iter)


def kkt_violation(problem: Problem, point: Point) -> float:
    """Largest violation of the conditions of a minimum (Karush, Kuhn and Tucker).

    Parameters
    ----------
    problem : Problem
        Data and penalty.
    point : Point
        Coefficients.

    Returns
    -------
    float
        For a coefficient other than zero, the absolute derivative of the objective; for one at zero, what the
        absolute derivative of the smooth part exceeds the weight of the absolute value by. Each is divided by the
        root mean square of its column (for alternative-specific columns, of the sum over outcomes), so that the unit
        does not depend on the column's: it is the mean objective per unit of utility. Constants are divided by one.

    Examples
    --------
    >>> from scipy import sparse
    >>> x = np.array([[2.0], [-2]])
    >>> p = Problem(sparse.csr_array((2, 0)), x, np.array([0, 1]), 2, None, 0.5, True, l1_ratio=1.0)
    >>> kkt_violation(p, Point(np.zeros((1, 2)), np.zeros(2), np.zeros(0)))
    0.25
    """
    return float(Descent.of(problem).state(problem.alpha, point).violation().max(initial=0.0))
