"""Absolute values in the penalty: against glmnet, scikit-learn, a smooth optimiser and the conditions of a minimum."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse
from sklearn.linear_model import LogisticRegression

from econllm.formula.lookup import Lookup
from econllm.logit.elastic import kkt_violation, solve_elastic
from econllm.logit.problem import Point, Problem

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "glmnet.json").read_text())


def simulated(seed, n=120, numeric=4, dummies=3, outcomes=4, **options):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((n, numeric))
    on = (rng.random((n, dummies)) < 0.3).astype(float)
    utility = np.hstack([on, dense]) @ rng.standard_normal((numeric + dummies, outcomes))
    y = (utility + rng.gumbel(size=(n, outcomes))).argmax(axis=1)
    base = {"weights": None, "alpha": 0.02, "intercept": True, "l1_ratio": 0.5}
    return Problem(sparse.csr_array(on), dense, y, outcomes, **(base | options))


def objective(problem, point):
    """The objective, written out."""
    u = problem.utilities(point)
    u -= u.max(axis=1, keepdims=True)
    score = u[np.arange(len(u)), problem.outcome] - np.log(np.exp(u).sum(axis=1))
    penalty = problem.lasso @ np.abs(point.slopes).sum(axis=1) + 0.5 * problem.ridge @ np.square(point.slopes).sum(
        axis=1
    )
    penalty += 0.5 * problem.shared_ridge @ np.square(point.shared)
    return -np.average(score, weights=problem.weights) + penalty


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda c: f"l1_ratio={c['l1_ratio']}, weighted={c['weighted']}"
)
def test_equals_glmnet(case):
    weights = np.array(REFERENCE["weights"])
    problem = Problem(
        sparse.csr_array((len(weights), 0)),
        np.array(REFERENCE["x"]),
        np.array(REFERENCE["y"]),
        4,
        weights / weights.mean() if case["weighted"] else None,
        case["alpha"],
        True,
        l1_ratio=case["l1_ratio"],
        factors=np.array(case["factors"], dtype=float),
    )
    solution = solve_elastic(problem, tolerance=1e-9)
    assert solution.converged
    np.testing.assert_allclose(solution.point.slopes, case["slopes"], atol=1e-5)
    intercepts = np.array(case["intercepts"])
    np.testing.assert_allclose(solution.point.intercepts, intercepts - intercepts.mean(), atol=1e-5)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_equals_scikit_learn(l1_ratio):
    problem = simulated(1, n=200, dummies=0, outcomes=3, l1_ratio=l1_ratio, intercept=False)
    n = problem.rows
    peer = LogisticRegression(
        C=1 / (n * problem.alpha), l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=20_000, fit_intercept=False
    )
    peer.fit(problem.dense, problem.outcome)
    np.testing.assert_allclose(solve_elastic(problem, tolerance=1e-9).point.slopes, peer.coef_.T, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    outcomes=st.integers(2, 6),
    l1_ratio=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    alpha=st.floats(0.002, 0.2),
    weighted=st.booleans(),
    intercept=st.booleans(),
)
def test_conditions_of_a_minimum_hold(seed, outcomes, l1_ratio, alpha, weighted, intercept):
    rng = np.random.default_rng(seed)
    problem = simulated(seed, n=60, outcomes=outcomes, l1_ratio=l1_ratio, alpha=alpha, intercept=intercept)
    if weighted:
        weights = rng.random(60) + 0.1
        problem = replace(problem, weights=weights / weights.mean(), factors=rng.choice([0.5, 1.0, 3.0], 7))
    solution = solve_elastic(problem, tolerance=1e-8)
    assert solution.converged
    assert solution.gradient <= 1e-8
    assert kkt_violation(problem, solution.point) < 1e-8 * outcomes
    assert objective(problem, solution.point) == pytest.approx(solution.objective, abs=1e-12)
    rounds = [value for _, value in solution.trace]
    assert all(later <= earlier + 1e-14 for earlier, later in itertools.pairwise(rounds))


def test_violation_by_hand():
    problem = simulated(2, weights=None)
    point = Point(np.zeros((7, 4)), np.zeros(4), np.zeros(0))
    indicators = np.eye(4)[problem.outcome]
    x = np.hstack([problem.sparse.toarray(), problem.dense])
    slope = x.T @ (0.25 - indicators) / 120
    excess = np.maximum(np.abs(slope) - 0.01, 0) / np.sqrt(np.square(x).mean(axis=0))[:, None]
    expected = max(excess.max(), np.abs((0.25 - indicators).mean(axis=0)).max())
    assert kkt_violation(problem, point) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_correlated_columns(l1_ratio):
    problem = simulated(3, n=150, numeric=20, dummies=0, l1_ratio=l1_ratio, alpha=1e-3)
    common = np.random.default_rng(0).standard_normal((150, 1))
    problem = replace(problem, dense=common + 0.05 * problem.dense)
    solution = solve_elastic(problem)
    assert solution.converged
    assert kkt_violation(problem, solution.point) < 4e-7


def test_nearly_separated_outcomes():
    x = np.linspace(-1, 1, 60)[:, None] * np.array([1.0, 10.0])
    problem = Problem(sparse.csr_array((60, 0)), x, np.repeat([0, 1, 2], 20), 3, None, 1e-4, True, l1_ratio=1.0)
    solution = solve_elastic(problem)
    assert solution.converged
    assert np.isfinite(solution.point.slopes).all()


@pytest.mark.parametrize("outcomes", [2, 3, 4])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_no_common_shift_has_a_smaller_penalty(outcomes, l1_ratio):
    problem = simulated(4, outcomes=outcomes, l1_ratio=l1_ratio, alpha=0.005)
    slopes = solve_elastic(problem, tolerance=1e-9).point.slopes
    shifts = np.linspace(-1, 1, 401)[:, None, None]
    moved = slopes + shifts
    penalty = l1_ratio * np.abs(moved).sum(axis=2) + (1 - l1_ratio) / 2 * np.square(moved).sum(axis=2)
    assert (penalty >= penalty[200] - 1e-9).all()


def test_columns_with_factor_zero_are_free_and_centred():
    problem = simulated(5, factors=np.array([1.0, 1, 1, 0, 1, 1, 1]), alpha=0.5, l1_ratio=1.0)
    solution = solve_elastic(problem, tolerance=1e-9)
    assert np.flatnonzero(solution.point.slopes.any(axis=1)).tolist() == [3]
    assert solution.point.slopes[3].sum() == pytest.approx(0, abs=1e-12)


def with_lookups(seed, **options):
    rng = np.random.default_rng(seed)
    problem = simulated(seed, **options)
    codes = rng.integers(0, 9, problem.rows)
    offset = rng.standard_normal((9, problem.outcomes))
    table = rng.standard_normal((9, problem.outcomes))
    for i, pattern in enumerate(codes):
        problem.outcome[i] = problem.outcome[i] if problem.outcome[i] != pattern % 4 else (problem.outcome[i] + 1) % 4
    offset[np.arange(9), np.arange(9) % 4] = -np.inf
    stay = np.eye(problem.outcomes)[np.arange(9) % 4]
    lookups = (Lookup(codes, table), Lookup((codes + 1) % 9, stay))
    return replace(problem, shared=lookups, shared_factors=np.array([0.0, 0.5]), offset=Lookup(codes, offset))


def test_common_coefficients_and_choice_sets_without_absolute_values():
    problem = with_lookups(6, l1_ratio=0.0, alpha=0.05)
    shape, cut = (problem.features, problem.outcomes), problem.features * problem.outcomes

    def at(theta):
        return Point(theta[:cut].reshape(shape), theta[cut:-2], theta[-2:])

    done = optimize.minimize(lambda t: objective(problem, at(t)), np.zeros(cut + 6), options={"gtol": 1e-7})
    solution = solve_elastic(problem, tolerance=1e-10)
    assert solution.converged
    assert solution.objective <= done.fun + 1e-12
    np.testing.assert_allclose(solution.point.slopes, at(done.x).slopes, atol=2e-5)
    np.testing.assert_allclose(solution.point.shared, at(done.x).shared, atol=2e-5)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_common_coefficients_and_choice_sets(l1_ratio):
    problem = with_lookups(7, l1_ratio=l1_ratio)
    solution = solve_elastic(problem, tolerance=1e-9)
    assert solution.converged
    assert kkt_violation(problem, solution.point) < 4e-9
    worse = replace(solution.point, shared=solution.point.shared + 0.01)
    assert objective(problem, worse) > solution.objective


def test_stops_at_the_limit_and_says_so():
    solution = solve_elastic(simulated(8), max_iter=1)
    assert (solution.iterations, solution.converged) == (1, False)
    assert solution.gradient > 1e-7


def test_warm_start_at_the_solution_takes_no_step():
    problem = simulated(9)
    first = solve_elastic(problem, tolerance=1e-9)
    second = solve_elastic(problem, start=first.point, tolerance=1e-8)
    assert second.iterations == 0
    np.testing.assert_allclose(second.point.slopes, first.point.slopes, atol=1e-12)
