"""Refits on grouped rows find what the solver finds on all of them."""

from dataclasses import replace

import numpy as np
import pytest
from logit_samples import full_problem, random_problem

from econllm.logit import grouped as grouped_module
from econllm.logit.grouped import Grouped
from econllm.logit.problem import Problem
from econllm.logit.solver import solve


def few_patterns(seed: int, *, intercept: bool, alpha: float) -> Problem:
    """Columns with few distinct values: most rows are equal to others."""
    problem = random_problem(seed, weighted=False, intercept=intercept, alpha=alpha, n=300)
    rng = np.random.default_rng(seed)
    coarse = problem.sparse.copy()
    coarse.data = np.sign(coarse.data)
    return replace(problem, sparse=coarse, dense=rng.integers(3, size=(300, 2)).astype(float))


@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("coarse", [True, False])
def test_refits_equal_those_of_the_solver(alpha, intercept, coarse) -> None:
    make = few_patterns if coarse else lambda seed, **o: random_problem(seed, weighted=False, n=300, **o)
    problem = make(0, intercept=intercept, alpha=alpha)
    found = Grouped.of(problem)
    assert (len(found.x) < 200) == coarse
    start = solve(problem).point
    for seed in range(3):
        weights = np.random.default_rng(seed).standard_exponential(problem.rows)
        direct = solve(replace(problem, weights=weights / weights.mean()), tolerance=1e-12).point
        refit = found.fit(weights, start)
        # Of collinear columns only what they say together is known.
        own, other = (problem.utilities(point) for point in (refit, direct))
        gap = own - other
        assert gap - gap.mean(axis=1, keepdims=True) == pytest.approx(0 * gap, abs=1e-8)
        if alpha:
            assert refit.slopes == pytest.approx(direct.slopes, abs=1e-9)


def test_what_cannot_be_grouped_is_left_to_the_solver() -> None:
    assert Grouped.of(full_problem(0, weighted=False, intercept=True)) is None
    assert Grouped.of(replace(random_problem(0, weighted=False, intercept=True), l1_ratio=0.5)) is None


def test_no_minimum_is_no_answer(monkeypatch) -> None:
    problem = few_patterns(1, intercept=True, alpha=0.0)
    start = solve(problem).point
    monkeypatch.setattr(grouped_module, "_STEPS", 1)
    weights = np.random.default_rng(0).standard_exponential(problem.rows)
    assert Grouped.of(problem).fit(weights, start) is None
