"""Newton steps and the information matrix, for problems small enough to form the Hessian."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from econllm.mnlogit.problem import Problem

MAX_PARAMETERS = 1500
MAX_WORK = 4e10
_STEPS = 30


def affordable(problem: Problem) -> bool:
    """Whether the Hessian is small enough to be formed: its size, and the work of filling it.

    Examples
    --------
    >>> from scipy import sparse
    >>> affordable(Problem(sparse.csr_array((9, 0)), np.zeros((9, 2)), np.zeros(9, int), 3, None, 0.0, True))
    True
    """
    size = (problem.features + 1) * problem.outcomes
    return size <= MAX_PARAMETERS and problem.rows * size**2 / 2 <= MAX_WORK


def regressors(problem: Problem) -> np.ndarray:
    """Dense columns of the problem, the constant last, shape (n, features + intercept)."""
    parts = [problem.sparse.toarray(), problem.dense]
    if problem.intercept:
        parts.append(np.ones((problem.rows, 1)))
    return np.hstack(parts).astype(np.float64, copy=False)


def probabilities(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Softmax of x times coefficients, shape (n, outcomes).

    Examples
    --------
    >>> probabilities(np.ones((1, 1)), np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    z = x @ coefficients
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    out: np.ndarray = z / z.sum(axis=1, keepdims=True)
    return out


def hessian(x: np.ndarray, proba: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Hessian of the summed negative log-likelihood.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, k)
        Regressors.
    proba : numpy.ndarray, shape (n, j)
        Probabilities of the outcomes to differentiate for.
    weights : numpy.ndarray, shape (n,), or None
        Weights of the rows.

    Returns
    -------
    numpy.ndarray, shape (k * j, k * j)
        Ordered by regressor, then outcome: sum_i w_i x_i x_i' p_ij (1[j = l] - p_il).

    Examples
    --------
    >>> hessian(np.ones((1, 1)), np.array([[0.5, 0.5]]), None).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    k, outcomes = x.shape[1], proba.shape[1]
    out = np.empty((k, outcomes, k, outcomes))
    for j in range(outcomes):
        for m in range(j + 1):
            v = proba[:, j] * ((j == m) - proba[:, m])
            if weights is not None:
                v = v * weights
            block = x.T @ (x * v[:, None])
            out[:, j, :, m] = block
            out[:, m, :, j] = block
    return out.reshape(k * outcomes, k * outcomes)


def polish(
    problem: Problem, w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int, bool, np.ndarray | None]:
    """Take Newton steps from a point near the optimum.

    Parameters
    ----------
    problem : Problem
        Data and penalty.
    w, b : numpy.ndarray
        Slopes and intercepts.

    Returns
    -------
    slopes, intercepts, steps taken
    bool
        Whether the last step started where the objective is flat to rounding.
    numpy.ndarray or None
        The last step, the intercepts in the last row. It is tiny at an optimum, and about one in log odds where there
        is none and the objective only flattens out.

    Notes
    -----
    Adding the same number to a feature's coefficients of all outcomes changes no probability. In these directions,
    where there is no penalty, the Hessian is zero; it is filled up there, which leaves the step unchanged elsewhere.
    """
    n, j = problem.rows, problem.outcomes
    x = regressors(problem)
    theta = np.vstack([w, b[None, :]]) if problem.intercept else w.copy()
    penalty = np.full(theta.shape, problem.alpha)
    if problem.intercept:
        penalty[-1] = 0.0
    fill = np.kron(np.diag((penalty[:, 0] == 0).astype(float)), np.ones((j, j))) / j
    at = np.arange(n), problem.outcome

    def objective(t: np.ndarray) -> tuple[float, np.ndarray]:
        proba = probabilities(x, t)
        scores = -np.log(np.maximum(proba[at], 1e-300))
        mean = float(np.mean(scores if problem.weights is None else scores * problem.weights))
        return mean + 0.5 * float(np.sum(penalty * t * t)), proba

    value, proba = objective(theta)
    steps, finished, step = 0, False, None
    for _ in range(_STEPS):
        residual = proba.copy()
        residual[at] -= 1
        if problem.weights is not None:
            residual *= problem.weights[:, None]
        gradient = x.T @ residual / n + penalty * theta
        full = hessian(x, proba, problem.weights) / n + np.diag(penalty.ravel()) + fill
        step = _solve(full, gradient.ravel()).reshape(theta.shape)
        decrement = float(np.sum(step * gradient))
        if decrement <= 1e-12 * max(1.0, abs(value)):
            # So near the optimum the full step squares the error; the objective is too flat to judge it.
            theta, steps, finished = theta - step, steps + 1, True
            break
        size = 1.0
        while size > 1e-6:
            candidate = theta - size * step
            new, proba_new = objective(candidate)
            if new <= value - 1e-4 * size * decrement + 1e-15:
                break
            size /= 2
        else:
            break
        theta, value, proba, steps = candidate, new, proba_new, steps + 1
    slopes, intercepts = (theta[:-1], theta[-1]) if problem.intercept else (theta, b)
    return slopes, intercepts, steps, finished, step


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Solve a positive semi-definite system; a tiny ridge only where the matrix is singular to rounding."""
    try:
        out: np.ndarray = linalg.cho_solve(linalg.cho_factor(matrix), vector)
    except linalg.LinAlgError:
        ridge = 1e-10 * np.trace(matrix) / len(matrix)
        out = linalg.solve(matrix + ridge * np.eye(len(matrix)), vector, assume_a="sym")
    return out
