"""Conjugate gradients against the covariance by the whole Hessian."""

from dataclasses import replace

import numpy as np
import pytest
from logit_samples import full_problem, random_point, random_problem
from scipy import sparse

from econllm.errors import ConvergenceWarning, DataError, OptionError
from econllm.logit import curvature as curvature_module
from econllm.logit import newton
from econllm.logit.covariance import NoCovarianceError, covariance
from econllm.logit.curvature import Curvature
from econllm.logit.directional import conjugate_gradients, directional_covariance
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import start_point


def optimum(problem: Problem) -> Point:
    return newton.polish(problem, start_point(problem))[0]


def contrasts(problem: Problem, count: int = 4, seed: int = 0) -> np.ndarray:
    """Combinations whose weights sum to zero over outcomes, with common coefficients among them."""
    out = np.random.default_rng(seed).normal(size=(problem.parameters, count))
    own = out[: problem.parameters - len(problem.shared)].reshape(-1, problem.outcomes, count)
    own -= own.mean(axis=1, keepdims=True)
    return out


def assert_close(mine: np.ndarray, other: np.ndarray, rel: float = 1e-6) -> None:
    assert mine.shape == other.shape
    assert np.abs(mine - other).max() <= rel * np.abs(other).max()


def careers_like(n: int = 3000, outcomes: int = 12, alpha: float | None = None) -> Problem:
    """All dummies of two factors and rare outcomes, with the weakest penalty: slow without a good preconditioner."""
    rng = np.random.default_rng(0)
    before = rng.integers(outcomes, size=(n, 2))
    left = np.hstack([np.eye(outcomes)[before[:, 0]], np.eye(outcomes)[before[:, 1]]])
    chance = np.exp(-0.5 * np.arange(outcomes))
    outcome = np.where(rng.random(n) < 0.7, before[:, 0], rng.choice(outcomes, n, p=chance / chance.sum()))
    return Problem(
        sparse.csr_array(left), np.zeros((n, 0)), outcome, outcomes, None, 1 / n if alpha is None else alpha, True
    )


@pytest.mark.parametrize(("weighted", "intercept"), [(False, True), (True, True), (True, False)])
def test_products_and_diagonal_are_those_of_the_hessian(weighted, intercept) -> None:
    problem = full_problem(0, weighted=weighted, intercept=intercept)
    point = random_point(problem)
    full = newton.hessian(problem, point) / problem.rows + np.diag(newton.penalties(problem))
    vector = np.random.default_rng(1).normal(size=problem.parameters)
    with Curvature(problem, point) as curvature:
        assert_close(curvature.product(vector), full @ vector, 1e-13)
        assert_close(curvature.diagonal(), np.diag(full), 1e-13)


@pytest.mark.parametrize("kind", ["robust", "clustered"])
@pytest.mark.parametrize(("weighted", "intercept"), [(False, True), (True, True), (True, False)])
def test_penalised(kind, weighted, intercept) -> None:
    problem = full_problem(1, weighted=weighted, intercept=intercept)
    point, directions = optimum(problem), contrasts(problem)
    clusters = (np.arange(problem.rows) // 3,) if kind == "clustered" else ()
    for ssc in ("groups", "parameters"):
        cov = covariance(problem, point, kind, clusters=clusters, ssc=ssc)
        mine = directional_covariance(problem, point, directions, kind, clusters=clusters, ssc=ssc)
        assert_close(mine, directions.T @ cov @ directions)


@pytest.mark.parametrize("kind", ["nonrobust", "robust", "clustered"])
def test_unpenalised(kind) -> None:
    problem = full_problem(2, weighted=False, intercept=True, alpha=0.0)
    problem = replace(problem, sparse=problem.sparse[:, [0, 1, 2, 4]])
    problem = replace(problem, factors=np.ones(problem.features))
    frequency = np.random.default_rng(0).integers(1, 4, problem.rows).astype(float)
    problem = replace(problem, weights=frequency / frequency.mean())
    point, directions = optimum(problem), contrasts(problem)
    clusters = (np.arange(problem.rows) // 3,) if kind == "clustered" else ()
    strata = None if kind == "nonrobust" else np.arange(problem.rows) // 30
    options = {"clusters": clusters, "strata": strata, "frequency": frequency}
    cov = covariance(problem, point, kind, **options)
    assert_close(directional_covariance(problem, point, directions, kind, **options), directions.T @ cov @ directions)


def test_two_ways_of_clustering() -> None:
    problem = random_problem(3, weighted=False, intercept=True)
    point, directions = optimum(problem), contrasts(problem, 2)
    ways = np.arange(90) // 3, np.random.default_rng(0).integers(40, size=90)
    v = [
        directional_covariance(problem, point, directions, "clustered", clusters=(labels,))
        for labels in (*ways, ways[0] * 100 + ways[1])
    ]
    mine = directional_covariance(problem, point, directions, "clustered", clusters=ways)
    assert_close(mine, v[0] + v[1] - v[2], 1e-9)


@pytest.mark.parametrize("setting", ["_KEPT_BYTES", "_BLOCK_BYTES", "_BLOCK_WORK", "_CHUNK_VALUES"])
def test_what_saves_memory_or_time_changes_nothing(setting, monkeypatch) -> None:
    problem = full_problem(4, weighted=True, intercept=True)
    point, directions = optimum(problem), contrasts(problem)
    expected = directional_covariance(problem, point, directions, "robust")
    monkeypatch.setattr(curvature_module, setting, 1000 if setting == "_BLOCK_WORK" else 0)
    assert_close(directional_covariance(problem, point, directions, "robust"), expected)


def test_a_curvature_serves_several_calls() -> None:
    problem = full_problem(4, weighted=True, intercept=True)
    point, directions = optimum(problem), contrasts(problem)
    expected = directional_covariance(problem, point, directions, "robust")
    curvature = Curvature(problem, point)
    for k in (0, 1):
        found = directional_covariance(problem, point, directions[:, [k]], "robust", curvature=curvature)
        assert found[0, 0] == pytest.approx(expected[k, k], rel=1e-9)
    assert curvature.preconditioner() is curvature.preconditioner()


def test_penalised_coefficients_are_identified_without_a_contrast() -> None:
    problem = random_problem(5, weighted=True, intercept=False)
    point = optimum(problem)
    one = np.eye(problem.parameters)[:, [4, 7]]
    cov = covariance(problem, point, "robust")
    assert_close(directional_covariance(problem, point, one, "robust"), one.T @ cov @ one)


def test_few_products_suffice_for_careers(monkeypatch) -> None:
    problem = careers_like()
    point, directions = optimum(problem), contrasts(careers_like(), 1)
    cov = covariance(problem, point, "robust")
    counts = []
    for limit in (curvature_module._BLOCK_BYTES, 0):
        monkeypatch.setattr(curvature_module, "_BLOCK_BYTES", limit)
        with Curvature(problem, point) as curvature:
            product, calls = curvature.product, []
            monkeypatch.setattr(curvature, "product", lambda v, f=product, c=calls: c.append(1) or f(v))
            conjugate_gradients(curvature, directions)
        counts.append(len(calls))
    assert counts[0] <= 40
    assert counts[1] > 3 * counts[0]
    monkeypatch.undo()
    assert_close(directional_covariance(problem, point, directions, "robust"), directions.T @ cov @ directions)


def test_what_is_not_identified_is_refused() -> None:
    problem = full_problem(6, weighted=False, intercept=True)
    point = optimum(problem)
    constant = np.eye(problem.parameters)[:, [problem.features * 3]]
    with pytest.raises(DataError, match=r"combination 0 is not identified: .* take a contrast"):
        directional_covariance(problem, point, constant, "robust")
    # Without a penalty, all dummies and a constant leave no effect of a single dummy.
    flat = random_problem(6, weighted=False, intercept=True, alpha=0.0)
    dummy = np.zeros((flat.parameters, 1))
    dummy[[0, 1], 0] = 1, -1
    with pytest.raises(NoCovarianceError, match="not identified: the likelihood is flat"):
        directional_covariance(flat, optimum(flat), dummy, "robust")


def test_too_few_iterations_warn() -> None:
    problem = careers_like(500, 4)
    with pytest.warns(ConvergenceWarning, match="after 1 iterations"):
        directional_covariance(problem, optimum(problem), contrasts(problem, 1), "robust", max_iter=1)


def test_options_are_checked() -> None:
    problem = random_problem(7, weighted=False, intercept=True)
    point, directions = optimum(problem), contrasts(problem)
    with pytest.raises(OptionError, match="does not hold with a penalty"):
        directional_covariance(problem, point, directions, "nonrobust")
    large = Problem(sparse.csr_array((4, 50_000)), np.zeros((4, 0)), np.arange(4), 4, None, 0.1, True)
    with pytest.raises(DataError, match="set ssc='groups'"):
        directional_covariance(large, start_point(large), np.zeros((200_004, 1)), "robust", ssc="parameters")


def test_nothing_has_no_variance() -> None:
    problem = random_problem(8, weighted=False, intercept=True)
    point = optimum(problem)
    assert directional_covariance(problem, point, np.zeros((problem.parameters, 2)), "robust").tolist() == [[0, 0]] * 2
    assert directional_covariance(problem, point, np.zeros((problem.parameters, 0)), "robust").shape == (0, 0)
