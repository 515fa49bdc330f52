import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from econllm.errors import OptionError
from econllm.evaluation.multiple import confidence_set, holm, multiplier_draws, romano_wolf


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1]
    assert np.allclose(holm(np.array(p_values)), expected, atol=1e-12)


def test_missing_p_values_are_no_hypotheses():
    assert np.allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04], equal_nan=True)


def test_draws_have_the_covariance_of_the_means():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    influence = (values - values.mean(axis=0)) / 200
    drawn = multiplier_draws([influence], [200], 40_000, np.random.SeedSequence(1))
    assert np.allclose(np.cov(drawn.T), np.cov(values.T) / 200, rtol=0.04)


def samples(rng, clusters, means):
    """Correlated scores of several models, and the statistics of their means."""
    values = means + rng.normal(size=(clusters, 1)) + rng.normal(size=(clusters, len(means)))
    influence = (values - values.mean(axis=0)) / clusters
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(clusters), [influence]


def test_romano_wolf_holds_the_chance_of_any_false_finding_and_is_sharper_than_holm():
    from scipy import stats

    rng, false, sharper = np.random.default_rng(2), 0, []
    for trial in range(400):
        means, errors, influence = samples(rng, 80, np.zeros(6))
        drawn = multiplier_draws(influence, [80], 399, np.random.SeedSequence(trial))
        adjusted = romano_wolf(means, errors, drawn)
        false += bool((adjusted < 0.05).any())
        sharper.append(adjusted.min() <= holm(2 * stats.t.sf(np.abs(means / errors), 79)).min())
    assert 0.02 <= false / 400 <= 0.085
    assert np.mean(sharper) > 0.7


def test_romano_wolf_steps_down():
    drawn = np.random.default_rng(3).normal(size=(1999, 3))
    adjusted = romano_wolf(np.array([10.0, 2.1, np.nan]), np.array([1.0, 1.0, 1.0]), drawn)
    alone = romano_wolf(np.array([2.1]), np.array([1.0]), drawn[:, [1]])
    assert adjusted[0] == pytest.approx(1 / 2000)
    assert adjusted[1] == alone[0]  # once the first is out, the second is held against itself
    assert np.isnan(adjusted[2])
    assert np.isnan(romano_wolf(np.zeros(1), np.zeros(1), drawn[:, [0]]))[0]


def test_the_confidence_set_holds_the_best_models():
    """Two models are equally the best: both are in the set of level 90% in about nine of ten samples."""
    rng, covered, sizes = np.random.default_rng(4), 0, []
    for trial in range(300):
        means, _, influence = samples(rng, 100, np.array([0.0, 0.0, -0.3, -2.0]))
        drawn = multiplier_draws(influence, [100], 299, np.random.SeedSequence(trial))
        inside = confidence_set(means, drawn) >= 0.1
        covered += bool(inside[:2].all())
        sizes.append(inside.sum())
    assert 0.84 <= covered / 300 <= 0.97
    assert np.mean(sizes) < 3.2  # the worst model is nearly never in


def test_p_values_of_the_set_are_ordered_and_the_last_is_one():
    drawn = np.random.default_rng(5).normal(size=(999, 4)) / 5
    p = confidence_set(np.array([-1.0, -1.2, -1.1, -4.0]), drawn)
    assert p[0] == 1
    assert p[3] <= p[1] <= p[2] <= 1
    assert confidence_set(np.array([-1.0, -np.inf]), drawn[:, :2]).tolist() == [1, 0]
    with pytest.raises(OptionError, match=r"expected \(draws, 2\)"):
        confidence_set(np.zeros(2), drawn)


def test_equal_models_are_both_in_the_set():
    drawn = np.repeat(np.random.default_rng(6).normal(size=(99, 1)), 2, axis=1)
    assert (confidence_set(np.array([-1.0, -1.0]), drawn) > 0.9).all()


@pytest.mark.parametrize("clusters", [3, 5, 20])
def test_few_clusters_do_not_make_findings(clusters):
    """With one hypothesis the adjusted p-value has the size of the t test, however few the clusters are."""
    rng, false = np.random.default_rng(7), 0
    for trial in range(1500):
        values = rng.normal(size=(clusters, 1))
        influence = (values - values.mean(axis=0)) / clusters
        drawn = multiplier_draws([influence], [clusters], 199, np.random.SeedSequence(trial))
        error = values.std(axis=0, ddof=1) / np.sqrt(clusters)
        false += romano_wolf(values.mean(axis=0), error, drawn)[0] <= 0.05
    assert 0.025 <= false / 1500 <= 0.075


def test_groups_have_clusters_of_their_own():
    influence = np.array([[1.0], [-1.0], [0.0]]), np.array([[0.0], [0.0], [0.0]])
    drawn = multiplier_draws(influence, [2, 1], 50, np.random.SeedSequence(0))
    assert np.isfinite(drawn[:, 0]).all()
    assert np.isnan(drawn[:, 1]).all()  # one cluster: nothing is known of its variation
    assert np.isnan(confidence_set(np.array([-1.0, -2.0]), drawn[:, [1, 1]])).all()


def test_rounding_is_no_variation():
    drawn = np.random.default_rng(8).normal(size=(99, 1)) + np.random.default_rng(9).normal(size=(99, 7)) * 1e-17
    assert (confidence_set(np.full(7, -1.0), drawn) > 0.9).all()
