"""Accuracy, Brier score and ROC curves against scikit-learn, brute force over pairs of rows, and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve, top_k_accuracy_score

from econllm.errors import DataError
from econllm.metrics import auc, brier, clustered_auc, hits, roc, top_k


def test_accuracy() -> None:
    found = hits(np.log([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]), np.array([1, 1, 0]))
    assert found.mean() == pytest.approx(2 / 3)


def test_accuracy_needs_rows() -> None:
    with pytest.raises(DataError, match="no rows"):
        hits(np.zeros((0, 2)), np.zeros(0))


def test_top_k_equals_scikit_learn_without_ties() -> None:
    rng = np.random.default_rng(0)
    proba, outcome = rng.dirichlet(np.ones(6), 200), rng.integers(6, size=200)
    found = top_k(np.log(proba), outcome, (1, 3, 6)).mean(axis=0)
    expected = [top_k_accuracy_score(outcome, proba, k=k, labels=range(6)) for k in (1, 3)]
    assert found == pytest.approx([*expected, 1])


def test_of_tied_outcomes_the_first_counts_as_more_probable() -> None:
    tied = np.log(np.full((3, 3), 1 / 3))
    assert top_k(tied, np.arange(3), (1, 2)).tolist() == [[1, 1], [0, 1], [0, 0]]


def test_impossible_outcomes_are_ranked_too() -> None:
    with np.errstate(divide="ignore"):
        log_proba = np.log([[0.0, 1.0, 0.0]])
    assert top_k(log_proba, np.array([0]), (1, 2)).tolist() == [[0, 1]]


def test_brier_score_by_definition_and_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(1)
    proba, outcome = rng.dirichlet(np.ones(4), 50), rng.integers(4, size=50)
    found = brier(proba, outcome)
    assert found == pytest.approx(((proba - np.eye(4)[outcome]) ** 2).sum(axis=1))
    two = np.column_stack([1 - proba[:, 0], proba[:, 0]])
    expected = 2 * brier_score_loss(outcome == 0, proba[:, 0])
    assert brier(two, (outcome == 0).astype(int)).mean() == pytest.approx(expected)


@pytest.mark.parametrize("digits", [1, 12])
def test_area_under_the_curve_equals_scikit_learn_with_and_without_ties(digits) -> None:
    rng = np.random.default_rng(1)
    scores, positive, weights = rng.random(300).round(digits), rng.random(300) < 0.2, rng.uniform(0.1, 3, 300)
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), rel=1e-12)
    expected = roc_auc_score(positive, scores, sample_weight=weights)
    assert auc(scores, positive, weights) == pytest.approx(expected, rel=1e-12)


def test_area_under_the_curve_needs_both_kinds_of_rows() -> None:
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([True, True])))
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([False, False])))
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([True, False]), np.array([1.0, 0.0])))
    assert np.isnan(clustered_auc(np.array([0.1, 0.2]), np.array([True, True]), np.arange(2))).all()
    with pytest.raises(DataError, match="1 of 2 rows"):
        auc(np.array([0.1, np.nan]), np.array([True, False]))


def pairs(scores, positive):
    """One where a positive row beats another, a half where they tie: shape (positive rows, other rows)."""
    up, down = scores[positive][:, None], scores[~positive][None]
    return (up > down) + 0.5 * (up == down)


def test_standard_error_of_independent_rows_is_that_of_delong() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(120) < 0.3
    scores = (rng.random(120) + 0.3 * positive).round(1)
    wins = pairs(scores, positive)
    variance = wins.mean(axis=1).var(ddof=1) / positive.sum() + wins.mean(axis=0).var(ddof=1) / (~positive).sum()
    area, error = clustered_auc(scores, positive, np.arange(120))
    assert area == pytest.approx(wins.mean())
    assert error == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_standard_error_of_clustered_rows_is_that_of_obuchowski() -> None:
    rng = np.random.default_rng(3)
    person = rng.integers(30, size=150)
    positive = rng.random(150) < 0.3
    scores = rng.random(150) + 0.4 * positive + 0.3 * rng.random(30)[person]
    wins = pairs(scores, positive)
    area, m, n = wins.mean(), positive.sum(), (~positive).sum()
    own, other = wins.mean(axis=1) - area, wins.mean(axis=0) - area
    sums = np.array([[own[person[positive] == i].sum(), other[person[~positive] == i].sum()] for i in range(30)])
    some = np.array([[(person[kind] == i).any() for kind in (positive, ~positive)] for i in range(30)]).sum(axis=0)
    # The paper's S10, S01 and S11.
    s10, s01 = some / ((some - 1) * np.array([m, n])) * np.sum(sums**2, axis=0)
    s11 = 30 / 29 * np.sum(sums[:, 0] * sums[:, 1])
    expected = np.sqrt(s10 / m + s01 / n + 2 * s11 / (m * n))
    assert clustered_auc(scores, positive, person)[1] == pytest.approx(expected, rel=1e-12)


def test_whole_weights_count_rows_several_times() -> None:
    rng = np.random.default_rng(4)
    person, weights = rng.integers(20, size=100), rng.integers(0, 4, size=100)
    positive, scores = rng.random(100) < 0.4, rng.random(100).round(1)
    again = np.repeat(np.arange(100), weights)
    expected = clustered_auc(scores[again], positive[again], person[again])
    assert clustered_auc(scores, positive, person, weights) == pytest.approx(expected, rel=1e-12)
    corners, expected_corners = roc(scores, positive, weights), roc(scores[again], positive[again])
    assert np.trapezoid(corners[1], corners[0]) == pytest.approx(np.trapezoid(expected_corners[1], expected_corners[0]))


def test_a_level_of_weight_zero_hides_no_corner() -> None:
    across, up = roc(np.array([3, 2, 1]), np.array([True, False, False]), np.array([1, 0, 1]))
    assert list(zip(across.tolist(), up.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1)]
    rng = np.random.default_rng(6)
    scores, positive, weights = rng.random(60).round(1), rng.random(60) < 0.4, rng.integers(0, 2, size=60)
    weights[scores == 0.5] = 0
    kept = weights > 0
    found, expected = roc(scores, positive, weights), roc(scores[kept], positive[kept])
    assert np.array_equal(found, expected)
    assert np.trapezoid(found[1], found[0]) == pytest.approx(auc(scores, positive, weights))


def test_without_any_weight_there_is_no_curve() -> None:
    assert np.isnan(roc(np.array([3, 2]), np.array([True, False]), np.zeros(2))).all()


def test_one_cluster_gives_no_standard_error() -> None:
    area, error = clustered_auc(np.array([0.1, 0.2, 0.3]), np.array([False, True, True]), np.zeros(3))
    assert area == 1
    assert np.isnan(error)


def test_clustered_standard_error_is_the_spread_over_samples() -> None:
    rng = np.random.default_rng(5)
    areas, errors, naive = [], [], []
    for _ in range(300):
        person = np.repeat(np.arange(60), 6)
        effect = rng.standard_normal(60)[person]
        # Persons differ in how often it happens and in their scores.
        positive = rng.random(360) < 1 / (1 + np.exp(1 - effect))
        scores = 0.8 * effect + 0.5 * positive + rng.standard_normal(360) + rng.standard_normal(60)[person]
        area, error = clustered_auc(scores, positive, person)
        areas.append(area)
        errors.append(error)
        naive.append(clustered_auc(scores, positive, np.arange(360))[1])
    spread = np.std(areas, ddof=1)
    assert np.mean(errors) / spread == pytest.approx(1, abs=0.12)
    assert np.mean(naive) / spread < 0.87


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_below_the_roc_curve_is_the_auc(rows) -> None:
    scores, positive = np.array([r[0] for r in rows]) / 5, np.array([r[1] for r in rows])
    across, up = roc(scores, positive)
    if positive.all() or not positive.any():
        assert np.isnan(across).all() or np.isnan(up).all()
        return
    assert np.trapezoid(up, across) == pytest.approx(auc(scores, positive))
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
    # Only corners: no point lies on the line between its neighbours.
    steps = np.diff(np.column_stack([across, up]), axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] - steps[1:, 0] * steps[:-1, 1]
    assert (np.abs(turns) > 1e-12).all()
    every = roc_curve(positive, scores, drop_intermediate=False)
    assert np.interp(every[0], across, up, left=0)[-1] == 1
    assert {(round(x, 9), round(y, 9)) for x, y in zip(across, up, strict=True)} <= {
        (round(x, 9), round(y, 9)) for x, y in zip(every[0], every[1], strict=True)
    }
