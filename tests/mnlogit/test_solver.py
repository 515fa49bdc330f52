"""Derivatives against finite differences, scales against their formula, and the stopping rule."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from econllm.datasets import simulate_careers
from econllm.mnlogit import MNLogit, newton, solver
from econllm.mnlogit.problem import Problem
from econllm.mnlogit.solver import scales, solve

from .samples import careers, make_setup, objective, random_problem

CASES = pytest.mark.parametrize(("weighted", "intercept"), [(False, True), (True, True), (True, False)])


def evaluate(problem: Problem, w: np.ndarray, b: np.ndarray, dtype=np.float64):
    with ThreadPoolExecutor(2) as pool:
        return solver._Objective(problem, dtype, pool)(w, b)


def point(problem: Problem, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    b = rng.normal(size=problem.outcomes) if problem.intercept else np.zeros(problem.outcomes)
    return rng.normal(size=(problem.features, problem.outcomes)), b


@CASES
def test_gradient_is_that_of_the_objective(weighted, intercept, monkeypatch) -> None:
    monkeypatch.setattr(solver, "_CHUNK_VALUES", 200)  # several chunks
    problem = random_problem(0, weighted=weighted, intercept=intercept)
    w, b = point(problem)
    loss, slope, constant = evaluate(problem, w, b)
    assert loss == pytest.approx(objective(problem, w, b), rel=1e-13)
    step = 1e-6
    for at in np.ndindex(w.shape):
        move = np.zeros_like(w)
        move[at] = step
        numeric = (objective(problem, w + move, b) - objective(problem, w - move, b)) / (2 * step)
        assert slope[at] == pytest.approx(numeric, abs=1e-8)
    for k in range(problem.outcomes):
        move = step * np.eye(problem.outcomes)[k]
        numeric = (objective(problem, w, b + move) - objective(problem, w, b - move)) / (2 * step)
        assert constant[k] == pytest.approx(numeric if intercept else 0.0, abs=1e-8)


@CASES
def test_hessian_is_that_of_the_gradient(weighted, intercept) -> None:
    problem = random_problem(1, weighted=weighted, intercept=intercept, alpha=0.0)
    w, b = point(problem)
    theta = np.vstack([w, b]) if intercept else w
    x = newton.regressors(problem)
    found = newton.hessian(x, newton.probabilities(x, theta), problem.weights) / problem.rows
    step, size = 1e-5, theta.size
    assert found.shape == (size, size)
    for i in range(size):
        move = np.zeros(size)
        move[i] = step
        sides = []
        for sign in (1, -1):
            t = theta + sign * move.reshape(theta.shape)
            _, slope, constant = evaluate(problem, *((t[:-1], t[-1]) if intercept else (t, b)))
            sides.append(np.vstack([slope, constant]).ravel() if intercept else slope.ravel())
        assert found[i] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-8)


@CASES
def test_scales_are_as_stated(weighted, intercept) -> None:
    problem = random_problem(2, weighted=weighted, intercept=intercept)
    weights = np.ones(problem.rows) if problem.weights is None else problem.weights
    hit = np.eye(problem.outcomes)[problem.outcome]
    share = (weights @ hit + 1 / 3) / (problem.rows + 1)
    slope, constant = scales(problem)
    x = np.hstack([problem.sparse.toarray(), problem.dense])
    for f in range(problem.features):
        size = np.abs(x[:, f])
        q = ((weights * size) @ hit + share) / (weights @ size + 1) if f < problem.sparse.shape[1] else share
        diagonal = np.mean(weights * x[:, f] ** 2) * q * (1 - q) + problem.alpha
        assert slope[f] == pytest.approx(1 / np.sqrt(diagonal), rel=1e-6)
    assert constant == pytest.approx(1 / np.sqrt(share * (1 - share)), rel=1e-6)


def test_single_precision_only_leads_to_the_region_of_the_optimum(monkeypatch) -> None:
    problem = make_setup(careers(1200, 20), "occupation ~ lag(occupation) + educ", 1e-3).problem
    assert problem.rows * problem.outcomes > 1e5
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 10)
    kinds = []
    plain = solver._Objective

    def spy(problem, dtype, pool):
        kinds.append(dtype)
        return plain(problem, dtype, pool)

    monkeypatch.setattr(solver, "_Objective", spy)
    mixed = solve(problem)
    assert kinds == [np.float32, np.float64, np.float64]
    double = solve(problem, single=False)
    assert mixed.objective == pytest.approx(double.objective, rel=3e-6)
    assert mixed.converged
    assert double.converged
    w, b = mixed.coefficients, mixed.intercepts
    low, high = evaluate(problem, w, b, np.float32), evaluate(problem, w, b)
    assert low[0] == pytest.approx(high[0], rel=1e-6)
    assert low[1] == pytest.approx(high[1], abs=1e-6)
    assert low[1].dtype == np.float64


def test_same_numbers_whatever_the_number_of_threads(monkeypatch) -> None:
    problem = make_setup(careers(600, 12), "occupation ~ lag(occupation) + educ", 1e-3).problem
    monkeypatch.setattr(solver, "_CHUNK_VALUES", 2000)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(solver, "_cores", lambda cores=cores: cores)
        found.append(solve(problem, max_iter=30, polish=False).coefficients)
    assert found[0].tobytes() == found[1].tobytes()


@CASES
def test_solution_satisfies_the_first_order_conditions(weighted, intercept) -> None:
    problem = random_problem(3, weighted=weighted, intercept=intercept)
    found = solve(problem)
    _, slope, constant = evaluate(problem, found.coefficients, found.intercepts)
    assert np.abs(slope).max() < 1e-12
    assert np.abs(constant).max() < 1e-12
    assert found.intercepts.any() == intercept
    assert found.intercepts.mean() == pytest.approx(0, abs=1e-15)
    assert found.converged


def test_start_does_not_matter() -> None:
    problem = random_problem(4, weighted=True, intercept=True)
    usual, far = solve(problem), solve(problem, start=point(problem))
    assert far.coefficients == pytest.approx(usual.coefficients, abs=1e-9)


def test_limit_on_iterations_is_not_convergence(monkeypatch) -> None:
    problem = make_setup(careers(), "occupation ~ lag(occupation) + educ", 1e-4).problem
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 1)
    for limit in (1, 5):
        found = solve(problem, max_iter=limit)
        assert not found.converged
        assert found.iterations == limit
    found = solve(problem, tolerance=1e-12, max_iter=2000)
    assert found.converged
    # A start where no step lowers the objective any more.
    again = solve(problem, start=(found.coefficients, found.intercepts), tolerance=1e-300, max_iter=50)
    assert again.objective <= found.objective


def test_trace_never_rises() -> None:
    problem = random_problem(6, weighted=False, intercept=True)
    trace = np.array([value for _, value in solve(problem, polish=False).trace])
    assert (np.diff(trace) <= 0).all()


def test_columns_without_variance_do_no_harm() -> None:
    problem = random_problem(7, weighted=False, intercept=True)
    padded = replace(problem, dense=np.hstack([problem.dense, np.zeros((problem.rows, 1))]))
    found = solve(padded)
    assert found.coefficients[-1].tolist() == [0, 0, 0]
    assert found.objective == pytest.approx(solve(problem).objective, rel=1e-13)
    empty = sparse.csr_array(np.zeros((problem.rows, 1)))
    wide = replace(problem, sparse=sparse.csr_array(sparse.hstack([problem.sparse, empty])))
    assert solve(wide).objective == pytest.approx(solve(problem).objective, rel=1e-13)


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
def test_more_iterations_change_no_test_perplexity(monkeypatch, alpha) -> None:
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 1)  # as for problems that Newton steps do not reach
    train, test = simulate_careers(600, 10, order=2).split([0.7, 0.3])
    formula = "occupation ~ lag(occupation) + lag(occupation, 2) + educ + C(year)"
    usual = MNLogit(formula, penalty="l2", alpha=alpha).fit(train)
    longer = MNLogit(formula, penalty="l2", alpha=alpha, tol=1e-11, max_iter=5000).fit(train)
    assert longer.iterations > usual.iterations
    assert usual.params.groupby("term").sum().abs().max() < 1e-12  # also where the optimiser stopped short
    assert usual.perplexity(test).value == pytest.approx(longer.perplexity(test).value, rel=1e-3)
    assert usual.objective == pytest.approx(longer.objective, rel=2e-5)
