"""Covariance of the coefficients of an unpenalised multinomial logit."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from econllm.mnlogit import newton
from econllm.mnlogit.setup import Setup
from econllm.mnlogit.solver import Solution


def nonrobust(setup: Setup, solution: Solution, base: int) -> np.ndarray | None:
    """Inverse of the observed information, in the units of the data.

    Parameters
    ----------
    setup : Setup
        The estimation sample, without a penalty.
    solution : Solution
        The optimum.
    base : int
        Position of the base outcome.

    Returns
    -------
    numpy.ndarray, shape ((outcomes - 1) * k, (outcomes - 1) * k), or None
        Ordered by outcome, then coefficient with the intercept first. None where the information is too large to be
        formed, or singular.

    Notes
    -----
    With weights this is the inverse Hessian of the weighted likelihood, in which weights have mean one.
    """
    problem = setup.problem
    if not newton.affordable(problem):
        return None
    x = newton.regressors(problem)
    theta = np.vstack([solution.coefficients, solution.intercepts]) if problem.intercept else solution.coefficients
    proba = np.delete(newton.probabilities(x, theta), base, axis=1)
    k, j = x.shape[1], problem.outcomes - 1
    information = newton.hessian(x, proba, problem.weights)
    try:
        cov = linalg.cho_solve(linalg.cho_factor(information), np.eye(k * j))
    except linalg.LinAlgError:
        return None
    units = _to_data(setup, k)
    cov = cov.reshape(k, j, k, j).transpose(1, 0, 3, 2)
    out: np.ndarray = np.einsum("ab,jbkc,dc->jakd", units, cov, units).reshape(k * j, k * j)
    return out


def _to_data(setup: Setup, k: int) -> np.ndarray:
    """Linear map from coefficients of the solver to those in the units of the data, intercept first."""
    features = setup.problem.features
    units = np.zeros((k, k))
    if not setup.problem.intercept:
        units[np.arange(k), np.arange(k)] = 1 / setup.scaling.scale
        return units
    units[0, features] = 1.0
    units[0, :features] = -setup.scaling.shift / setup.scaling.scale
    units[np.arange(1, k), np.arange(features)] = 1 / setup.scaling.scale
    return units
