"""Derivatives against finite differences, scales against their formula, and the stopping rule."""

from dataclasses import replace

import numpy as np
import pytest
from logit_samples import careers, full_problem, make_setup, objective, random_point, random_problem
from scipy import sparse

from econllm.datasets import simulate_careers
from econllm.errors import OptionError
from econllm.logit import device, newton, solver, threads
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import scales, solve
from econllm.logit.threads import workers
from econllm.multinomial import MNLogit
from econllm.options import resolve_device

DEVICE = str(resolve_device("auto"))
PROBLEMS = pytest.mark.parametrize("make", [random_problem, full_problem])
CASES = pytest.mark.parametrize(("weighted", "intercept"), [(False, True), (True, True), (True, False)])


def evaluate(problem: Problem, at: Point, dtype=np.float64) -> tuple[float, Point]:
    with workers(2) as run:
        return solver._Objective(problem, dtype, run)(at)


def numeric_gradient(problem: Problem, at: Point, step: float = 1e-6) -> np.ndarray:
    """Central differences of the objective written out plainly, in the order of Problem.vector."""
    theta, out = problem.vector(at), np.empty(problem.parameters)
    for i in range(len(theta)):
        move = np.zeros(len(theta))
        move[i] = step
        sides = [objective(problem, problem.point(theta + sign * move)) for sign in (1, -1)]
        out[i] = (sides[0] - sides[1]) / (2 * step)
    return out


@CASES
@PROBLEMS
def test_gradient_is_that_of_the_objective(make, weighted, intercept, monkeypatch) -> None:
    monkeypatch.setattr(solver, "_CHUNK_VALUES", 200)  # several chunks
    problem = make(0, weighted=weighted, intercept=intercept)
    at = random_point(problem)
    loss, slope = evaluate(problem, at)
    assert loss == pytest.approx(objective(problem, at), rel=1e-13)
    assert problem.vector(slope) == pytest.approx(numeric_gradient(problem, at), abs=1e-8)
    if not intercept:
        assert not slope.intercepts.any()
    value, other = newton.gradient(problem, at)
    assert value == pytest.approx(loss, rel=1e-13)
    assert other == pytest.approx(problem.vector(slope), abs=1e-13)


@CASES
@PROBLEMS
def test_another_device_finds_the_same_objective_and_gradient(make, weighted, intercept, monkeypatch) -> None:
    monkeypatch.setattr(device, "_CHUNK_VALUES", 100)  # several chunks
    problem = make(0, weighted=weighted, intercept=intercept)
    at = random_point(problem)
    loss, slope = evaluate(problem, at)
    for double, tolerance in ((True, 1e-12), (False, 1e-5)):
        there = device.DeviceObjective(problem, DEVICE, double=double)
        value, gradient = there.value(at)
        assert float(value) == pytest.approx(loss, rel=tolerance)
        found = Point(*(part.double().cpu().numpy() for part in gradient))
        assert problem.vector(found) == pytest.approx(problem.vector(slope), abs=tolerance)


@CASES
def test_another_device_finds_the_same_optimum(weighted, intercept) -> None:
    problem = full_problem(3, weighted=weighted, intercept=intercept)
    here = solve(problem, tolerance=1e-12)
    there = solve(problem, tolerance=1e-12, device=DEVICE if DEVICE != "cpu" else "torch-cpu", polish=False)
    assert there.converged
    assert there.objective == pytest.approx(here.objective, rel=1e-9)
    assert problem.vector(there.point) == pytest.approx(problem.vector(here.point), abs=1e-3)


def test_small_problems_stay_on_the_processor() -> None:
    problem = random_problem(0, weighted=False, intercept=True)
    assert device.chosen_device("auto", problem) is None
    assert device.chosen_device("cpu", problem) is None
    with pytest.raises(OptionError, match="device='gpu0' is not a device"):
        device.chosen_device("gpu0", problem)


@CASES
@PROBLEMS
def test_hessian_is_that_of_the_gradient(make, weighted, intercept, monkeypatch) -> None:
    monkeypatch.setattr(newton, "_CHUNK_VALUES", 400)  # several chunks
    problem = replace(make(1, weighted=weighted, intercept=intercept), alpha=0.0)
    at = random_point(problem)
    found = newton.hessian(problem, at) / problem.rows
    step, theta = 1e-5, problem.vector(at)
    assert found.shape == (len(theta), len(theta))
    for i in range(len(theta)):
        move = np.zeros(len(theta))
        move[i] = step
        sides = [problem.vector(evaluate(problem, problem.point(theta + sign * move))[1]) for sign in (1, -1)]
        assert found[i] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-8)


@CASES
def test_scales_are_as_stated(weighted, intercept) -> None:
    problem = full_problem(2, weighted=weighted, intercept=intercept)
    weights = np.ones(problem.rows) if problem.weights is None else problem.weights
    hit = np.eye(problem.outcomes)[problem.outcome]
    share = (weights @ hit + 1 / 3) / (problem.rows + 1)
    found = scales(problem)
    x = np.hstack([problem.sparse.toarray(), problem.dense])
    for f in range(problem.features):
        size = np.abs(x[:, f])
        q = ((weights * size) @ hit + share) / (weights @ size + 1) if f < problem.sparse.shape[1] else share
        diagonal = np.mean(weights * x[:, f] ** 2) * q * (1 - q) + problem.alpha * problem.factors[f]
        assert found.slopes[f] == pytest.approx(1 / np.sqrt(diagonal), rel=1e-6)
    assert found.intercepts == pytest.approx(1 / np.sqrt(share * (1 - share)), rel=1e-6)
    for m, lookup in enumerate(problem.shared):
        values = lookup.values()
        spread = ((values - (values @ share)[:, None]) ** 2) @ share
        diagonal = np.mean(weights * spread) + problem.alpha * problem.shared_factors[m]
        assert found.shared[m] == pytest.approx(1 / np.sqrt(diagonal), rel=1e-6)


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
    low, high = evaluate(problem, mixed.point, np.float32), evaluate(problem, mixed.point)
    assert low[0] == pytest.approx(high[0], rel=1e-6)
    assert low[1].slopes == pytest.approx(high[1].slopes, abs=1e-6)
    assert low[1].slopes.dtype == np.float64


def test_same_numbers_whatever_the_number_of_threads(monkeypatch) -> None:
    problem = make_setup(careers(600, 12), "occupation ~ lag(occupation) + educ", 1e-3).problem
    monkeypatch.setattr(solver, "_CHUNK_VALUES", 2000)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(threads, "cores", lambda cores=cores: cores)
        found.append(solve(problem, max_iter=30, polish=False).point.slopes)
    assert found[0].tobytes() == found[1].tobytes()


@CASES
@PROBLEMS
def test_solution_satisfies_the_first_order_conditions(make, weighted, intercept) -> None:
    problem = make(3, weighted=weighted, intercept=intercept)
    found = solve(problem)
    assert np.abs(numeric_gradient(problem, found.point)).max() < 1e-9
    _, slope = evaluate(problem, found.point)
    assert np.abs(problem.vector(slope)).max() < 1e-12
    assert found.point.intercepts.any() == intercept
    assert found.point.intercepts.mean() == pytest.approx(0, abs=1e-15)
    assert found.converged


def test_start_does_not_matter() -> None:
    problem = full_problem(4, weighted=True, intercept=True)
    usual, far = solve(problem), solve(problem, start=random_point(problem))
    assert problem.vector(far.point) == pytest.approx(problem.vector(usual.point), abs=1e-9)


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
    again = solve(problem, start=found.point, tolerance=1e-300, max_iter=50)
    assert again.objective <= found.objective


def test_trace_never_rises() -> None:
    problem = random_problem(6, weighted=False, intercept=True)
    trace = np.array([value for _, value in solve(problem, polish=False).trace])
    assert (np.diff(trace) <= 0).all()


def test_columns_without_variance_do_no_harm() -> None:
    problem = random_problem(7, weighted=False, intercept=True)
    padded = replace(problem, dense=np.hstack([problem.dense, np.zeros((problem.rows, 1))]))
    found = solve(padded)
    assert found.point.slopes[-1].tolist() == [0, 0, 0]
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
