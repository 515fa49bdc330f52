"""Covariances against statsmodels, repeated rows, plain sums over rows, finite differences and closed forms."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from logit_samples import full_problem, random_point
from scipy import linalg, sparse, special

from econllm.datasets import load_wage_panel
from econllm.errors import DataError, EconLLMWarning, OptionError
from econllm.formula.lookup import Lookup
from econllm.logit import newton
from econllm.logit.coordinates import Scaling
from econllm.logit.covariance import (
    NoCovarianceError,
    covariance,
    degrees_of_freedom,
    describe,
    free_parameters,
    hessian_bytes,
    positive,
    to_reported,
    to_solver,
    too_large,
)
from econllm.logit.problem import Point, Problem
from econllm.logit.sampling import Sampling, row_scores
from econllm.logit.solver import start_point
from econllm.multinomial.estimates import report_coefficients


def optimum(problem: Problem) -> Point:
    """The optimum by Newton steps."""
    point, _, finished, _ = newton.polish(problem, start_point(problem))
    assert finished
    return point


def sample(n: int = 240, seed: int = 0, **changes) -> Problem:
    """Two dense columns, a sparse indicator and a constant; outcomes depend on the first column and on groups."""
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(n, 2))
    effect = rng.normal(size=(n // 6 + 1, 3))[np.arange(n) // 6]
    z = effect + dense[:, :1] * np.array([0.0, 0.6, -0.4]) + rng.gumbel(size=(n, 3))
    left = sparse.csr_array((rng.random((n, 1)) < 0.4).astype(float))
    return replace(Problem(left, dense, z.argmax(axis=1), 3, None, 0.0, True), **changes)


def plain_scores(problem: Problem, point: Point) -> np.ndarray:
    """Gradients of the rows' negative log-likelihoods plus penalty, times weights, written out plainly."""
    x = np.hstack([problem.sparse.toarray(), problem.dense, np.ones((problem.rows, int(problem.intercept)))])
    proba = special.softmax(problem.utilities(point), axis=1)
    residual = proba - np.eye(problem.outcomes)[problem.outcome]
    common = [(residual * lookup.table[lookup.codes]).sum(axis=1, keepdims=True) for lookup in problem.shared]
    parts = [np.einsum("if,ij->ifj", x, residual).reshape(problem.rows, -1), *common]
    factors = np.ones(problem.features) if problem.factors is None else problem.factors
    shared = np.zeros(len(problem.shared)) if problem.shared_factors is None else problem.shared_factors
    pull = [np.repeat(factors, problem.outcomes), np.zeros(problem.intercept * problem.outcomes), shared]
    out = np.hstack(parts) + problem.alpha * np.concatenate(pull) * problem.vector(point)
    return out if problem.weights is None else out * problem.weights[:, None]


def plain_sandwich(problem: Problem, point: Point, meat: np.ndarray) -> np.ndarray:
    """Sandwich around a given variance of the scores, with the derivative of their mean by finite differences."""
    theta, step = problem.vector(point), 1e-5
    slopes = np.empty((len(theta), len(theta)))
    for k in range(len(theta)):
        move = step * np.eye(len(theta))[k]
        up, down = (plain_scores(problem, problem.point(theta + sign * move)).sum(axis=0) for sign in (1, -1))
        slopes[k] = (up - down) / (2 * step)
    bread = linalg.pinvh((slopes + slopes.T) / 2, rtol=1e-7)
    return bread @ meat @ bread


def assert_close(mine: np.ndarray, other: np.ndarray, rel: float) -> None:
    assert mine.shape == other.shape
    assert np.abs(mine - other).max() <= rel * np.abs(other).max()


class Against:
    """A statsmodels fit, and ours of the same data."""

    def __init__(self, x: pd.DataFrame, y: np.ndarray) -> None:
        self.model = sm.MNLogit(y, sm.add_constant(x))
        values = x.to_numpy(dtype=float)
        self.scaling = Scaling(values.mean(axis=0), values.std(axis=0), np.zeros(x.shape[1], bool))
        codes = np.unique(y, return_inverse=True)[1]
        scaled = (values - self.scaling.shift) / self.scaling.scale
        self.problem = Problem(sparse.csr_array((len(y), 0)), scaled, codes, codes.max() + 1, None, 0.0, True)
        self.point = optimum(self.problem)

    def ours(self, kind: str, **options) -> np.ndarray:
        cov = covariance(self.problem, self.point, kind, **options)
        return to_reported(cov, self.scaling, self.problem, 0)

    def theirs(self, cov_type: str = "nonrobust", **kwds) -> np.ndarray:
        options = {"cov_kwds": kwds} if kwds else {}
        with warnings.catch_warnings():
            # statsmodels hands cov_kwds on to its optimiser, which complains.
            warnings.simplefilter("ignore", FutureWarning)
            fitted = self.model.fit(method="newton", maxiter=100, tol=1e-12, disp=0, cov_type=cov_type, **options)
        return np.asarray(fitted.cov_params())


@pytest.fixture(scope="module")
def anes() -> Against:
    df = sm.datasets.anes96.load_pandas().data
    return Against(df[["logpopul", "selfLR", "age", "educ"]], df["PID"].to_numpy())


@pytest.fixture(scope="module")
def wage() -> Against:
    df = load_wage_panel()
    return Against(df[["educ", "exper", "black", "married"]], df["occupation"].to_numpy())


@pytest.fixture(scope="module")
def persons() -> np.ndarray:
    return load_wage_panel()["nr"].to_numpy()


@pytest.mark.parametrize("data", ["anes", "wage"])
def test_nonrobust_and_robust_are_those_of_statsmodels(data, request) -> None:
    both = request.getfixturevalue(data)
    n, k = both.problem.rows, free_parameters(both.problem)
    assert_close(both.ours("nonrobust"), both.theirs(), 1e-8)
    plain = both.theirs("HC0")
    assert_close(both.ours("robust", ssc=None), plain, 1e-8)
    assert_close(both.ours("robust"), plain * n / (n - 1), 1e-8)
    # statsmodels takes cov_type="HC1" but leaves the correction out for MNLogit.
    assert_close(both.ours("robust", ssc="parameters"), plain * n / (n - k), 1e-8)


def test_clustered_is_that_of_statsmodels(wage, persons) -> None:
    plain = wage.theirs("cluster", groups=persons, use_correction=False)
    count = len(np.unique(persons))
    assert_close(wage.ours("clustered", clusters=(persons,), ssc=None), plain, 1e-8)
    assert_close(wage.ours("clustered", clusters=(persons,)), plain * count / (count - 1), 1e-8)
    theirs = wage.theirs("cluster", groups=persons)
    assert_close(wage.ours("clustered", clusters=(persons,), ssc="parameters"), theirs, 1e-8)


def test_two_ways_are_the_sum_less_the_intersection(wage, persons) -> None:
    others = np.random.default_rng(0).integers(60, size=len(persons))
    ways = persons, others, persons * 100 + others
    parts = [wage.theirs("cluster", groups=groups, use_correction=False) for groups in ways]
    counts = [len(np.unique(groups)) for groups in ways]
    parts = [part * count / (count - 1) for part, count in zip(parts, counts, strict=True)]
    assert_close(wage.ours("clustered", clusters=(persons, others)), parts[0] + parts[1] - parts[2], 1e-8)


def test_clusters_within_clusters_count_once(wage, persons) -> None:
    regions = persons % 37
    mine = wage.ours("clustered", clusters=(persons, regions), ssc=None)
    assert_close(mine, wage.ours("clustered", clusters=(regions,), ssc=None), 1e-9)


def test_negative_variances_are_cut_with_a_warning() -> None:
    with pytest.warns(EconLLMWarning, match="1 negative eigenvalues of 2"):
        found = positive(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert found == pytest.approx(np.full((2, 2), 0.5))
    problem = sample()
    ways = np.arange(240) // 80, np.arange(240) % 80
    with pytest.warns(EconLLMWarning, match="negative"):
        cov = covariance(problem, optimum(problem), "clustered", clusters=ways)
    assert linalg.eigvalsh(cov).min() > -1e-12


@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("ssc", ["groups", "parameters", None])
def test_frequencies_are_repeated_rows(alpha, ssc) -> None:
    rng = np.random.default_rng(3)
    frequency = rng.integers(0, 4, 240).astype(float)
    weighted = sample(alpha=alpha, weights=frequency / frequency.mean())
    rows = np.repeat(np.arange(240), frequency.astype(int))
    repeated = sample(alpha=alpha).take(rows)
    point = optimum(weighted)
    groups, strata = np.arange(240) // 6, np.arange(240) // 48
    cases = [("robust", (), None), ("robust", (), strata), ("clustered", (groups,), None)]
    cases += [("clustered", (groups,), strata), ("clustered", (groups, strata), None)]
    cases += [] if alpha else [("nonrobust", (), None)]
    for kind, clusters, h in cases:
        again = tuple(values[rows] for values in clusters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EconLLMWarning)
            mine = covariance(weighted, point, kind, clusters=clusters, strata=h, ssc=ssc, frequency=frequency)
            other = covariance(repeated, point, kind, clusters=again, strata=None if h is None else h[rows], ssc=ssc)
        assert_close(mine, other, 1e-9)


def test_probability_weights_enter_scores() -> None:
    weights = np.random.default_rng(5).uniform(0.2, 3, 240)
    weights[:7] = 0  # rows that count nowhere
    problem = sample(weights=weights / weights.mean())
    point = optimum(problem)
    scores = plain_scores(problem, point)
    mine = covariance(problem, point, "robust")
    assert_close(mine, plain_sandwich(problem, point, scores.T @ scores * 233 / 232), 1e-7)
    with pytest.raises(OptionError, match="probability weights"):
        covariance(problem, point, "nonrobust")


@pytest.mark.parametrize("grouped", [False, True])
def test_strata(grouped) -> None:
    problem = sample(weights=np.tile([0.5, 1.5], 120))
    point = optimum(problem)
    strata = np.repeat([4, 1, 9], [60, 120, 60])
    within = np.concatenate([np.arange(60) // 6, np.arange(120) // 6, np.arange(60) // 6])  # numbered anew
    scores = plain_scores(problem, point)
    meat = np.zeros((scores.shape[1],) * 2)
    for h in np.unique(strata):
        part = scores[strata == h]
        if grouped:
            part = np.stack([part[within[strata == h] == g].sum(axis=0) for g in np.unique(within[strata == h])])
        part = part - part.mean(axis=0)
        meat += part.T @ part * len(part) / (len(part) - 1)
    kind, clusters = ("clustered", (within,)) if grouped else ("robust", ())
    mine = covariance(problem, point, kind, clusters=clusters, strata=strata)
    assert_close(mine, plain_sandwich(problem, point, meat), 1e-7)


@pytest.mark.parametrize(("weighted", "intercept"), [(False, True), (True, True), (True, False)])
def test_penalised_sandwich_by_finite_differences(weighted, intercept) -> None:
    problem = full_problem(1, weighted=weighted, intercept=intercept)
    point = optimum(problem)
    scores = plain_scores(problem, point)
    assert np.abs(scores.sum(axis=0)).max() < 1e-9
    groups = np.arange(problem.rows) // 3
    sums = np.stack([scores[groups == g].sum(axis=0) for g in range(30)])
    mine = covariance(problem, point, "clustered", clusters=(groups,), ssc=None)
    assert_close(mine, plain_sandwich(problem, point, sums.T @ sums), 1e-6)


def shares_problem(outcome: np.ndarray, alpha: float) -> Problem:
    """A penalised constant: the simplest penalised logit."""
    n = len(outcome)
    return Problem(sparse.csr_array((n, 0)), np.ones((n, 1)), outcome, 2, None, alpha, False)


def test_penalised_scores_are_taken_about_the_pull_of_the_penalty() -> None:
    """A penalised share is a function of the share: its variance is that of the share, whatever the penalty."""
    rng = np.random.default_rng(0)
    n, alpha, chance = 400, 0.4, 0.9
    t = np.zeros(3000)
    share = rng.binomial(n, chance, 3000) / n
    for _ in range(50):  # share - P = alpha t, with log odds 2 t
        chances = special.expit(2 * t)
        t -= (chances - share + alpha * t) / (2 * chances * (1 - chances) + alpha)
    outcome = (np.arange(n) < chance * n).astype(int)
    problem = shares_problem(outcome, alpha)
    point = optimum(problem)
    found = covariance(problem, point, "robust")[1, 1]
    assert found == pytest.approx(t.var(), rel=0.08)
    fitted = special.expit(2 * point.slopes[0, 1])
    slope = 2 * fitted * (1 - fitted) + alpha
    assert found == pytest.approx(chance * (1 - chance) / (n - 1) / slope**2, rel=1e-9)
    raw = row_scores(problem, point)(np.arange(n)) - alpha * point.slopes[0]
    assert np.mean(raw[:, 1] ** 2) / n / slope**2 > 1.3 * t.var()


def test_penalised_clusters_of_different_size_give_the_variance_of_a_ratio() -> None:
    sizes = np.array([1, 9, 2, 14, 5, 3, 22, 4])
    groups = np.repeat(np.arange(8), sizes)
    outcome = (np.random.default_rng(1).random(len(groups)) < np.linspace(0.3, 0.95, 8)[groups]).astype(int)
    problem = shares_problem(outcome, 0.3)
    point = optimum(problem)
    fitted = special.expit(2 * point.slopes[0, 1])
    about = np.bincount(groups, outcome) - outcome.mean() * sizes
    expected = (about @ about) / len(groups) ** 2 / (2 * fitted * (1 - fitted) + 0.3) ** 2
    found = covariance(problem, point, "clustered", clusters=(groups,), ssc=None)[1, 1]
    assert found == pytest.approx(expected, rel=1e-9)


def test_log_odds_of_shares() -> None:
    outcome = np.repeat([0, 1, 2], [20, 50, 30])
    problem = Problem(sparse.csr_array((100, 0)), np.zeros((100, 0)), outcome, 3, None, 0.0, True)
    point = optimum(problem)
    scaling = Scaling(np.zeros(0), np.zeros(0), np.zeros(0, bool))
    expected = np.array([[1 / 20 + 1 / 50, 1 / 20], [1 / 20, 1 / 20 + 1 / 30]])
    for kind in ("nonrobust", "robust"):
        cov = covariance(problem, point, kind, ssc=None)
        assert to_reported(cov, scaling, problem, 0) == pytest.approx(expected, rel=1e-10)


def test_directions_without_influence_have_no_variance() -> None:
    problem = sample()
    point = optimum(problem)
    same = newton.free_directions(problem)
    for kind in ("nonrobust", "robust"):
        cov = covariance(problem, point, kind)
        assert np.abs(cov @ same).max() < 1e-12 * np.abs(cov).max()


def test_chunks_do_not_matter() -> None:
    problem = sample(weights=np.tile([0.5, 1.5, 1.0], 80))
    point = optimum(problem)
    groups = np.random.default_rng(2).integers(9, size=240)  # clusters longer than chunks, and out of order
    sampling = Sampling.make(problem, "clustered", clusters=(groups,))
    scores = row_scores(problem, point)
    whole = sampling.meat(scores, problem.parameters, 1000, 0.0)
    for size in (1, 7, 100):
        assert_close(sampling.meat(scores, problem.parameters, size, 0.0), whole, 1e-12)


@pytest.mark.parametrize("base", [None, 1])
@pytest.mark.parametrize("intercept", [True, False])
def test_reported_covariance_is_that_of_reported_coefficients(base, intercept) -> None:
    problem = full_problem(2, weighted=False, intercept=intercept)
    rng = np.random.default_rng(0)
    scaling = Scaling(rng.normal(size=7) * intercept, rng.uniform(1, 3, 7), np.zeros(7, bool))
    shared_scale = np.array([2.0, 5.0])

    def reported(vector: np.ndarray) -> np.ndarray:
        point = problem.point(vector)
        slopes, intercepts = scaling.to_data(point.slopes, point.intercepts)
        return report_coefficients(Point(slopes, intercepts, point.shared / shared_scale), intercept, base)

    size = problem.parameters
    linear = np.column_stack([reported(row) for row in np.eye(size)])
    half = rng.normal(size=(size, size))
    found = to_reported(half @ half.T, scaling, problem, base, shared_scale)
    assert_close(found, linear @ half @ half.T @ linear.T, 1e-12)
    directions = rng.normal(size=(len(linear), 3))
    assert_close(to_solver(directions, scaling, problem, base, shared_scale), linear.T @ directions, 1e-12)


def test_degrees_of_freedom() -> None:
    plain = sample()
    assert degrees_of_freedom(plain, optimum(plain)) == free_parameters(plain) == 8
    problem = full_problem(3, weighted=True, intercept=True)
    point = optimum(problem)
    information = newton.hessian(problem, point)
    full = information + problem.rows * np.diag(newton.penalties(problem))
    expected = np.trace(linalg.pinvh(full) @ information)
    assert degrees_of_freedom(problem, point) == pytest.approx(expected, rel=1e-8)
    heavy = sample(alpha=1e9)
    assert degrees_of_freedom(heavy, optimum(heavy)) == pytest.approx(2, abs=1e-6)


def test_degrees_of_freedom_of_an_elastic_net_count_what_is_not_zero() -> None:
    problem = sample(alpha=0.01, l1_ratio=1.0)
    point = random_point(problem)
    point.slopes[0] = 0
    point.slopes[1, 0] = point.slopes[2, 1] = 0
    # Two coefficients of each of two columns, and two of three constants, are free.
    assert degrees_of_freedom(problem, point) == pytest.approx(6, abs=1e-6)


def test_too_large() -> None:
    problem = Problem(sparse.csr_array((4, 50_000)), np.zeros((4, 0)), np.array([0, 1, 2, 3]), 4, None, 0.1, True)
    point = start_point(problem)
    assert hessian_bytes(problem) == 8 * 5 * 200_004**2
    assert "200,004 coefficients would take 1,600 GB" in too_large(problem)
    with pytest.raises(NoCovarianceError, match="bootstrap"):
        covariance(problem, point, "robust")
    assert np.isnan(degrees_of_freedom(problem, point))


def test_singular_information_is_refused() -> None:
    problem = sample()
    point = optimum(problem)
    twice = replace(problem, dense=np.column_stack([problem.dense, problem.dense[:, 0] * 3]))
    wider = Point(np.vstack([point.slopes, np.zeros(3)]), point.intercepts, point.shared)
    with pytest.raises(NoCovarianceError, match="singular: 2 of 15 directions"):
        covariance(twice, wider, "robust")
    empty = replace(problem, dense=np.column_stack([problem.dense, np.zeros(240)]))
    with pytest.raises(NoCovarianceError, match="singular"):
        covariance(empty, wider, "nonrobust")
    flat = replace(problem, shared=(Lookup(np.zeros(240, int), np.ones((1, 3))),))
    with pytest.raises(NoCovarianceError, match="singular"):
        covariance(flat, replace(point, shared=np.zeros(1)), "nonrobust")
    # A penalty identifies them.
    penalised = replace(twice, alpha=0.01)
    assert np.isfinite(covariance(penalised, optimum(penalised), "robust")).all()


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"kind": "robus"}, "Did you mean 'robust'"),
        ({}, {"kind": "robust", "ssc": "group"}, "Did you mean 'groups'"),
        ({"alpha": 0.1}, {"kind": "nonrobust"}, "does not hold with a penalty"),
        ({"alpha": 0.1, "l1_ratio": 0.5}, {"kind": "robust"}, "cov_type=None"),
        ({}, {"kind": "clustered"}, "needs one or two ways of clustering; there are 0"),
        ({}, {"kind": "robust", "clusters": (np.zeros(240, int),)}, "choose 'clustered'"),
        ({}, {"kind": "nonrobust", "strata": np.zeros(240, int)}, "strata have no effect"),
        ({}, {"kind": "clustered", "clusters": (np.arange(240),) * 2, "strata": np.arange(240)}, "give one"),
    ],
)
def test_options_that_exclude_each_other(changes, options, message) -> None:
    problem = sample(**changes)
    with pytest.raises(OptionError, match=message):
        covariance(problem, start_point(problem), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "clustered", "clusters": (np.zeros(240, int),)}, "needs two clusters; there is 1"),
        ({"kind": "clustered", "clusters": (np.zeros(239, int),)}, r"shape \(239,\); expected one for each of 240"),
        ({"kind": "clustered", "clusters": (np.zeros(240),)}, "whole numbers"),
        ({"kind": "clustered", "clusters": (np.arange(240) - 2,)}, r"in 2 of 240 rows: rows 0, 1"),
        ({"kind": "robust", "strata": np.arange(240) // 2 + np.arange(240) % 3 // 2 * 200}, "strata have a single row"),
        ({"kind": "clustered", "clusters": (np.arange(240) // 6,), "strata": np.arange(240) // 6}, "40 of 40 strata"),
        ({"kind": "robust", "frequency": np.ones(3)}, "frequency has 3 values for 240 rows"),
    ],
)
def test_labels_that_cannot_be_used(options, message) -> None:
    problem = sample()
    with pytest.raises(DataError, match=message):
        covariance(problem, start_point(problem), **options)


def test_more_parameters_than_rows_have_no_correction() -> None:
    problem = sample(n=8)
    with pytest.raises(DataError, match=r"more rows \(8\) than parameters \(8\)"):
        covariance(problem, random_point(problem), "robust", ssc="parameters")


def test_words() -> None:
    assert describe("nonrobust") == "nonrobust (inverse information)"
    assert describe("robust", ssc=None) == "robust (HC0)"
    assert describe("clustered", names=("person", "year"), counts=(545, 8), ssc="parameters", strata="region") == (
        "clustered by person and year (545 and 8 clusters, G/(G-1) (N-1)/(N-K), within strata of region)"
    )


def test_many_outcomes_and_no_columns_take_little_memory() -> None:
    rows, outcomes = 20_000, 150
    outcome = np.arange(rows) % outcomes
    problem = Problem(sparse.csr_array((rows, 0)), np.zeros((rows, 0)), outcome, outcomes, None, 0.0, True)
    point = Point(np.zeros((0, outcomes)), np.zeros(outcomes), np.zeros(0))
    tracemalloc.start()
    found = newton.hessian(problem, point)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = rows * (np.eye(outcomes) / outcomes - 1 / outcomes**2)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    # All pairs of outcomes of all rows at once would be 1.8 GB.
    assert peak < 3e8
