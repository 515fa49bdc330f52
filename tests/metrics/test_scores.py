"""Mean scores against hand computations, statsmodels and a simulation of their coverage."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.metrics import MeanScore, mean_score, perplexity


def clustered_scores(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Log scores with a person effect that is stronger for persons with more rows, and the person of every row."""
    size = rng.integers(1, 11, size=clusters)
    person = np.repeat(np.arange(clusters), size)
    effect = -1 - 0.1 * size + 0.4 * rng.standard_normal(clusters)
    return effect[person] + 0.3 * rng.standard_normal(len(person)), person


def test_mean_score_by_hand() -> None:
    # Cluster sums -3 and -5 over 2 and 1 rows: mean -8/3; deviations -3 + 16/3 and -5 + 8/3.
    found = mean_score(np.array([-1.0, -5.0, -2.0]), np.array(["a", "b", "a"]))
    assert found.mean == pytest.approx(-8 / 3)
    assert found.std_error == pytest.approx(np.sqrt(2 * ((7 / 3) ** 2 + (7 / 3) ** 2)) / 3)
    assert (found.df, found.n, found.clusters) == (1, 3, 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_score_equals_cluster_robust_regression_on_a_constant(weighted) -> None:
    rng = np.random.default_rng(0)
    scores, person = clustered_scores(rng, 60)
    weights = rng.uniform(0.2, 3, len(scores)) if weighted else np.ones(len(scores))
    ols = sm.WLS(scores, np.ones(len(scores)), weights).fit(cov_type="cluster", cov_kwds={"groups": person}, use_t=True)
    found = mean_score(scores, person, weights if weighted else None)
    # statsmodels corrects by G / (G - 1) * (N - 1) / (N - 1): with a constant alone, the factor stated here.
    assert found.mean == pytest.approx(ols.params[0], rel=1e-12)
    assert found.std_error == pytest.approx(ols.bse[0], rel=1e-10)
    assert found.interval(0.9) == pytest.approx(tuple(ols.conf_int(0.1)[0]), rel=1e-10)
    assert found.pvalue == pytest.approx(ols.pvalues[0], rel=1e-6)


def test_singleton_clusters_give_the_textbook_standard_error() -> None:
    scores = np.random.default_rng(1).normal(size=50)
    assert mean_score(scores, np.arange(50)).std_error == pytest.approx(stats.sem(scores))


def test_interval_covers_with_person_effects() -> None:
    rng = np.random.default_rng(2)
    size = np.arange(1, 11)
    target = np.exp(-np.sum(size * (-1 - 0.1 * size)) / size.sum())
    covered, naive = 0, 0
    for _ in range(1500):
        scores, person = clustered_scores(rng, 80)
        low, high = perplexity(scores, person).conf_int
        covered += low <= target <= high
        low, high = perplexity(scores, np.arange(len(scores))).conf_int
        naive += low <= target <= high
    assert 0.93 < covered / 1500 < 0.97
    assert naive / 1500 < 0.85


def test_perplexity_carries_the_interval_by_exp() -> None:
    scores, person = clustered_scores(np.random.default_rng(3), 40)
    found = perplexity(scores, person, level=0.9)
    low, high = found.log_score.interval(0.9)
    assert found.value == pytest.approx(np.exp(-scores.mean()))
    assert found.conf_int == pytest.approx((np.exp(-high), np.exp(-low)))
    assert found.std_error == pytest.approx(found.value * found.log_score.std_error)
    assert "90% CI" in str(found)
    assert f"{len(scores):,} rows, 40 clusters" in str(found)


def test_pvalue_of_zero_difference_and_of_one_cluster() -> None:
    assert mean_score(np.zeros(4), np.arange(4)).pvalue == 1.0
    assert np.isnan(mean_score(np.ones(4), np.zeros(4)).pvalue)
    assert np.isnan(mean_score(np.ones(4), np.zeros(4)).std_error)
    assert MeanScore(0.2, 0.1, 30, 50, 31).pvalue == pytest.approx(2 * stats.t.sf(2, 30))


def test_probability_zero_gives_an_infinite_perplexity() -> None:
    found = perplexity(np.array([-1.0, -np.inf]), np.arange(2))
    assert found.value == np.inf
    assert np.isnan(found.log_score.std_error)


def test_a_row_of_weight_zero_does_not_count() -> None:
    scores = np.array([-1.0, -np.inf, -3.0])
    assert perplexity(scores, np.arange(3), np.array([1.0, 0, 1])).value == pytest.approx(np.exp(2))


def test_a_cluster_of_weight_zero_does_not_count_either() -> None:
    found = mean_score(np.array([-1.0, -2.0, -3.0]), np.array([1, 2, 3]), np.array([1.0, 1, 0]))
    dropped = mean_score(np.array([-1.0, -2.0]), np.array([1, 2]), np.array([1.0, 1]))
    assert found.std_error == dropped.std_error == pytest.approx(0.5)
    assert (found.df, found.clusters, found.n) == (1, 2, 3)
    assert found.interval() == dropped.interval()


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_clusters_of_weight_zero_drop_out_whatever_their_scores(lost) -> None:
    rng = np.random.default_rng(4)
    scores, person = clustered_scores(rng, 15)
    weights = np.where(person % 3 == 0, 0.0, rng.uniform(0.5, 2, len(person)))
    scores[weights == 0] = lost
    kept = weights > 0
    found, dropped = mean_score(scores, person, weights), mean_score(scores[kept], person[kept], weights[kept])
    assert (found.mean, found.std_error, found.df, found.clusters) == (dropped.mean, dropped.std_error, 9, 10)


def test_without_any_weight_there_is_no_mean() -> None:
    found = mean_score(np.array([-1.0, -2.0]), np.arange(2), np.zeros(2))
    assert np.isnan([found.mean, found.std_error, *found.interval()]).all()
    assert (found.df, found.clusters, found.n) == (-1, 0, 2)


def test_refused() -> None:
    with pytest.raises(DataError, match="no rows to evaluate"):
        perplexity(np.zeros(0), np.zeros(0))
    with pytest.raises(DataError, match=r"not a number \(nan\) in 1 of 2 rows"):
        perplexity(np.array([-1.0, np.nan]), np.arange(2))
    with pytest.raises(DataError, match="all 2 rows to evaluate have weight zero"):
        perplexity(np.array([-1.0, -1]), np.arange(2), np.zeros(2))
    with pytest.raises(OptionError, match=r"level=95 .* between 0 and 1. Did you mean 0.95"):
        perplexity(np.array([-1.0, -1]), np.arange(2), level=95)
