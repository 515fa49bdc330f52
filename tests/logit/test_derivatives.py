"""Averages and their gradients against finite differences, on problems without structure."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from econllm.formula.lookup import Lookup
from econllm.logit import derivatives
from econllm.logit.problem import Point, Problem
from econllm.multinomial.estimates import report_coefficients, report_gradient
from econllm.multinomial.intervals import utility_covariance

TARGETS = np.array([0, 2])


def make_problem(x: np.ndarray, *, intercept: bool = True, seed: int = 0) -> Problem:
    """Columns that x enters in every way: an interaction with an indicator, a square, and one per outcome."""
    rng = np.random.default_rng(seed)
    n = len(x)
    on = (np.arange(n) % 3 == 0).astype(float)
    left = sparse.csr_array(np.column_stack([on, on * x]))
    dense = np.column_stack([x, x**2, rng.normal(size=n)])
    cost = Lookup(np.arange(n), rng.normal(size=(n, 3)) + x[:, None] * [1.0, 0.0, -0.5])
    stay = Lookup(np.arange(n) % 3, np.eye(3))
    offset = rng.normal(size=(n, 3))
    offset[1, 1] = -np.inf
    sets = Lookup(np.arange(n), offset)
    return Problem(left, dense, np.zeros(n, int), 3, None, 0.0, intercept, shared=(cost, stay), offset=sets)


def make_point(seed: int = 1, *, intercept: bool = True) -> Point:
    rng = np.random.default_rng(seed)
    return Point(rng.normal(size=(5, 3)) * 0.5, rng.normal(size=3) * intercept, rng.normal(size=2))


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(2).normal(size=40)


@pytest.fixture
def weights() -> np.ndarray:
    w = np.random.default_rng(3).uniform(size=40)
    return w / w.sum()


def slope_of(x: np.ndarray, **options) -> derivatives.Slope:
    up, down = x + 0.5, x - 0.5
    return derivatives.difference(make_problem(up, **options), make_problem(down, **options), up - down)


def numerical_gradient(problem: Problem, point: Point, value) -> np.ndarray:
    theta, rows = problem.vector(point), []
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-5
        rows.append((value(problem.point(theta + step)) - value(problem.point(theta - step))) / 2e-5)
    return np.array(rows).T


@pytest.mark.parametrize("intercept", [True, False])
def test_gradient_of_average_probabilities(x, weights, intercept) -> None:
    problem, point = make_problem(x, intercept=intercept), make_point(intercept=intercept)
    found = derivatives.margins(problem, point, weights, TARGETS, gradient=True)
    p = derivatives.probabilities(problem, point)
    assert found.value == pytest.approx(weights @ p[:, TARGETS], abs=1e-15)

    def value(at: Point) -> np.ndarray:
        return derivatives.margins(problem, at, weights, TARGETS, gradient=False).value

    assert found.gradient == pytest.approx(numerical_gradient(problem, point, value), abs=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", ["slopes", "elasticities"])
def test_gradient_of_average_derivatives(x, weights, name, intercept) -> None:
    problem, point = make_problem(x, intercept=intercept), make_point(intercept=intercept)
    compute, slope = getattr(derivatives, name), slope_of(x, intercept=intercept)
    found = compute(problem, slope, point, weights, TARGETS, gradient=True)

    def value(at: Point) -> np.ndarray:
        return compute(problem, slope, at, weights, TARGETS, gradient=False).value

    assert found.value == pytest.approx(value(point), abs=1e-15)
    assert found.gradient == pytest.approx(numerical_gradient(problem, point, value), abs=1e-8)


def test_slopes_are_derivatives_of_average_probabilities(x, weights) -> None:
    """Exact through squares, interactions and columns that vary by outcome."""
    point, step = make_point(), 1e-5
    ends = [
        derivatives.margins(make_problem(x + s), point, weights, TARGETS, gradient=False).value for s in (step, -step)
    ]
    found = derivatives.slopes(make_problem(x), slope_of(x), point, weights, TARGETS, gradient=False)
    assert found.value == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-9)


def test_elasticities_are_derivatives_of_log_probabilities(x, weights) -> None:
    point, step = make_point(), 1e-6
    available = np.arange(40) != 1  # an outcome that is not available has no log probability
    weights = weights * available
    logs = [np.log(derivatives.probabilities(make_problem(x + s), point)[available]) for s in (step, -step)]
    expected = (weights * x)[available] @ ((logs[0] - logs[1]) / (2 * step))[:, TARGETS]
    found = derivatives.elasticities(make_problem(x), slope_of(x), point, weights * x, TARGETS, gradient=False)
    assert found.value == pytest.approx(expected, abs=1e-8)


def test_difference_finds_the_columns_that_change(x) -> None:
    slope = slope_of(x)
    assert slope.columns.tolist() == [1, 2, 3]
    on = np.arange(40) % 3 == 0
    assert slope.matrix.toarray() == pytest.approx(np.column_stack([on, np.ones(40), 2 * x]), abs=1e-12)
    assert slope.shared[1] is None
    assert slope.shared[0].values() == pytest.approx(np.tile([1.0, 0.0, -0.5], (40, 1)), abs=1e-12)
    some = np.array([3, 5])
    assert slope.take(some).matrix.toarray() == pytest.approx(slope.matrix.toarray()[some])


def test_chunks_change_nothing(x, weights, monkeypatch) -> None:
    problem, slope, point = make_problem(x), slope_of(x), make_point()
    whole = derivatives.slopes(problem, slope, point, weights, TARGETS, gradient=True)
    monkeypatch.setattr(derivatives, "_CHUNK_PAIRS", 1)
    monkeypatch.setattr(derivatives, "_LEAST_ROWS", 7)
    parts = derivatives.slopes(problem, slope, point, weights, TARGETS, gradient=True)
    assert parts.value == pytest.approx(whole.value, abs=1e-14)
    assert parts.gradient == pytest.approx(whole.gradient, abs=1e-14)


def test_mean_row_averages_columns_lookups_and_slopes(x, weights) -> None:
    problem, slope, point = make_problem(x), slope_of(x), make_point()
    problem = replace(problem, offset=Lookup(np.zeros(40, int), np.array([[0.3, 0.0, -0.2]])))
    row = derivatives.mean_row(problem, weights)
    assert row.utilities(point) == pytest.approx((weights @ problem.utilities(point))[None], abs=1e-12)
    moved = derivatives.mean_slope(slope, weights).utilities(point, slice(None))
    assert moved == pytest.approx((weights @ slope.utilities(point, slice(None)))[None], abs=1e-12)


def test_scores_are_the_gradient_of_each_log_probability(x) -> None:
    problem = replace(make_problem(x), outcome=np.arange(40) % 3)
    problem.outcome[1], problem.outcome[4] = 0, -1
    point = make_point()
    rows = np.arange(40)

    def value(at: Point) -> np.ndarray:
        return np.log(derivatives.probabilities(problem, at)[rows, problem.outcome])

    with np.errstate(divide="ignore"):
        expected = numerical_gradient(problem, point, value)
    expected[4] = 0  # the probability of an outcome that never occurred does not move
    assert derivatives.scores(problem, point) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("base", [0, 2, None])
def test_covariance_of_utilities(x, base) -> None:
    """Against the utilities of many coefficients drawn with that covariance: a linear map, so exactly."""
    problem = replace(make_problem(x), offset=None)
    size = len(report_coefficients(make_point(), True, base))
    root = np.random.default_rng(4).normal(size=(size, size))
    found = utility_covariance(problem, root @ root.T, base)
    z = np.stack([problem.utilities(derivatives.reported_point(column, 5, 3, True, base)) for column in root.T])
    expected = np.einsum("aij,ail->ijl", z, z)
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("base", [0, 2, None])
@pytest.mark.parametrize("intercept", [True, False])
def test_reported_coefficients_there_and_back(x, base, intercept) -> None:
    problem, point = make_problem(x, intercept=intercept), make_point(intercept=intercept)
    reported = report_coefficients(point, intercept, base)
    again = derivatives.reported_point(reported, 5, 3, intercept, base)
    p = derivatives.probabilities(problem, point)
    assert derivatives.probabilities(problem, again) == pytest.approx(p, abs=1e-14)
    assert report_coefficients(again, intercept, base) == pytest.approx(reported, abs=1e-14)


@pytest.mark.parametrize("base", [0, 2])
def test_reported_gradient_of_an_average(x, weights, base) -> None:
    problem, point = make_problem(x), make_point()
    reported = report_coefficients(point, True, base)
    found = derivatives.margins(problem, point, weights, TARGETS, gradient=True).gradient

    def value(theta: np.ndarray) -> np.ndarray:
        at = derivatives.reported_point(theta, 5, 3, True, base)
        return derivatives.margins(problem, at, weights, TARGETS, gradient=False).value

    steps = np.eye(len(reported)) * 1e-5
    rows = [(value(reported + step) - value(reported - step)) / 2e-5 for step in steps]
    assert report_gradient(found, 5, 3, True, base) == pytest.approx(np.array(rows).T, abs=1e-9)
