"""Paths of alphas: grid, screening, warm starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from econllm.errors import OptionError
from econllm.logit.elastic import kkt_violation, solve_elastic
from econllm.logit.path import alpha_max, elastic_path, grid, path
from econllm.logit.problem import Problem
from econllm.logit.solver import solve

from .test_elastic import simulated, with_lookups


@pytest.mark.parametrize(
    "problem",
    [
        simulated(11, l1_ratio=1.0),
        simulated(12, l1_ratio=0.2, factors=np.array([1.0, 2, 0, 1, 0.5, 0, 3])),
        simulated(13, intercept=False, weights=np.tile([0.5, 1.5], 60)),
        with_lookups(14),
    ],
    ids=["lasso", "factors", "weights, no intercept", "common coefficients"],
)
def test_alpha_max_is_exact(problem):
    largest = alpha_max(problem)
    penalised = problem.lasso > 0
    above = solve_elastic(replace(problem, alpha=largest * 1.0001), tolerance=1e-9).point.slopes
    below = solve_elastic(replace(problem, alpha=largest * 0.9999), tolerance=1e-9).point.slopes
    assert not above[penalised].any()
    assert below[penalised].any()


def test_alpha_max_by_hand():
    problem = simulated(15, l1_ratio=0.5)
    shares = np.bincount(problem.outcome) / 120
    x = np.hstack([problem.sparse.toarray(), problem.dense])
    slope = x.T @ (shares - np.eye(4)[problem.outcome]) / 120
    assert alpha_max(problem) == pytest.approx(np.abs(slope).max() / 0.5, rel=1e-9)


def test_grid():
    problem = simulated(16)
    alphas = grid(problem, 5)
    np.testing.assert_allclose(alphas, alpha_max(problem) * np.array([1, 1e-1, 1e-2, 1e-3, 1e-4]), rtol=1e-12)
    assert grid(problem, 3, 0.25)[-1] == pytest.approx(alphas[0] / 4)
    few = problem.take(np.arange(7))
    assert grid(few, 2)[1] == pytest.approx(grid(few, 2)[0] / 100)


def test_grid_needs_absolute_values_and_penalised_columns():
    with pytest.raises(OptionError, match="l1_ratio is 0"):
        grid(simulated(17, l1_ratio=0.0))
    with pytest.raises(OptionError, match="no column with a positive factor"):
        grid(simulated(17, factors=np.zeros(7)))


def wide(seed):
    """Many more columns than matter, sparse and dense."""
    problem = simulated(seed, n=80, numeric=60, dummies=60, outcomes=3)
    return replace(problem, factors=np.where(np.arange(120) % 50 == 0, 0.2, 1.0))


def test_screening_changes_nothing_and_leaves_columns_out(monkeypatch):
    from econllm.logit import elastic

    problem, kept = wide(18), []
    plain = elastic.Descent.minimise

    def spy(self, alpha, start, tolerance, max_iter, keep=None):
        kept.append(keep.sum())
        return plain(self, alpha, start, tolerance, max_iter, keep)

    full = elastic_path(problem, count=8, tolerance=1e-9, screen=False)
    monkeypatch.setattr(elastic.Descent, "minimise", spy)
    screened = elastic_path(problem, count=8, tolerance=1e-9)
    assert min(kept[1:]) < 60
    for a, b, alpha in zip(full, screened, grid(problem, 8), strict=True):
        assert a.converged
        assert b.converged
        assert kkt_violation(replace(problem, alpha=alpha), b.point) < 3e-9
        np.testing.assert_allclose(a.point.slopes, b.point.slopes, atol=1e-5)


def test_what_screening_misses_is_taken_in():
    # One large step makes the strong rule discard columns that belong in the solution or none at all: either way
    # the conditions hold for all columns.
    problem = wide(19)
    alphas = alpha_max(problem) * np.array([0.9, 0.3, 0.28, 0.05])
    for alpha, solution in zip(alphas, elastic_path(problem, alphas), strict=True):
        assert kkt_violation(replace(problem, alpha=alpha), solution.point) < 3e-7


def test_warm_equals_cold_in_any_order():
    problem = with_lookups(20, l1_ratio=0.7)
    alphas = [0.01, 0.1, 0.03]
    for alpha, warm in zip(alphas, elastic_path(problem, alphas, tolerance=1e-9), strict=True):
        cold = solve_elastic(replace(problem, alpha=alpha), tolerance=1e-9)
        np.testing.assert_allclose(warm.point.slopes, cold.point.slopes, atol=1e-6)
        np.testing.assert_allclose(warm.point.shared, cold.point.shared, atol=1e-6)
        assert warm.objective == pytest.approx(cold.objective, abs=1e-12)


def test_path_without_absolute_values():
    problem = simulated(21, l1_ratio=0.0)
    alphas = [0.01, 1.0, 0.1]
    for alpha, warm in zip(alphas, path(problem, alphas), strict=True):
        cold = solve(replace(problem, alpha=alpha))
        np.testing.assert_allclose(warm.point.slopes, cold.point.slopes, atol=1e-6)


def test_path_chooses_the_method():
    problem = simulated(22, l1_ratio=1.0)
    (solution,) = path(problem, [0.05])
    assert (solution.point.slopes == 0).any()


def test_no_penalised_column():
    empty = Problem(sparse.csr_array((6, 0)), np.zeros((6, 0)), np.arange(6) % 3, 3, None, 0.1, True, l1_ratio=1.0)
    assert alpha_max(empty) == 0.0
