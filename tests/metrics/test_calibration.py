"""Logistic recalibration against statsmodels, and where it has no finite answer."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit

from econllm.errors import DataError
from econllm.metrics import recalibration


def sample(seed=0, slope=0.6, intercept=0.3, persons=80):
    """Events of persons with effects of their own, predictions that are too extreme, and the person of every row."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), rng.integers(1, 9, persons))
    index = rng.normal(-0.5, 1.2, len(person))
    happened = rng.random(len(person)) < expit(intercept + slope * index + 0.4 * rng.standard_normal(persons)[person])
    return expit(index), happened, person


def reference(proba, happened, person, columns, weights=None):
    """Estimates and clustered errors of statsmodels, with the factor G / (G - 1) alone."""
    model = sm.GLM(
        happened.astype(float),
        columns,
        family=sm.families.Binomial(),
        offset=logit(proba) if columns.shape[1] == 1 else None,
        freq_weights=weights,
    )
    options = {"groups": person, "use_correction": False}
    fit = model.fit(tol=1e-14, cov_type="cluster", cov_kwds=options)
    count = len(np.unique(person))
    return fit.params[-1], fit.bse[-1] * np.sqrt(count / (count - 1))


@pytest.mark.parametrize("seed", range(3))
def test_intercept_and_slope_equal_statsmodels(seed) -> None:
    proba, happened, person = sample(seed)
    found = recalibration(proba, happened, person)
    ones = np.ones((len(proba), 1))
    intercept = reference(proba, happened, person, ones)
    slope = reference(proba, happened, person, np.column_stack([ones, logit(proba)]))
    assert (found.intercept, found.intercept_std_error) == pytest.approx(intercept, rel=1e-8, abs=1e-8)
    assert (found.slope, found.slope_std_error) == pytest.approx(slope, rel=1e-8, abs=1e-8)
    assert found.clipped == 0


def test_whole_weights_count_rows_several_times() -> None:
    proba, happened, person = sample(3)
    weights = np.random.default_rng(3).integers(0, 4, len(proba))
    again = np.repeat(np.arange(len(proba)), weights)
    expected = recalibration(proba[again], happened[again], person[again])
    found = recalibration(proba, happened, person, weights)
    names = ("intercept", "intercept_std_error", "slope", "slope_std_error")
    assert [getattr(found, n) for n in names] == pytest.approx([getattr(expected, n) for n in names], rel=1e-9)


def test_predictions_twice_as_extreme_have_half_the_slope() -> None:
    proba, happened, person = sample(4)
    plain = recalibration(proba, happened, person)
    extreme = recalibration(expit(2 * logit(proba) + 1), happened, person)
    assert extreme.slope == pytest.approx(plain.slope / 2, rel=1e-9)
    assert extreme.slope_std_error == pytest.approx(plain.slope_std_error / 2, rel=1e-9)


def test_intercepts_make_the_mean_prediction_right() -> None:
    proba, happened, person = sample(5)
    found = recalibration(proba, happened, person)
    assert expit(logit(proba) + found.intercept).mean() == pytest.approx(happened.mean(), rel=1e-12)


def test_the_slope_covers_the_truth_at_the_nominal_rate() -> None:
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        person = np.repeat(np.arange(100), 5)
        proba = expit(rng.normal(-1, 1, 100)[person] + 0.5 * rng.normal(size=500))
        found = recalibration(proba, rng.random(500) < proba, person)
        covered += abs(found.slope - 1) < 1.96 * found.slope_std_error
    assert 0.92 < covered / 300 < 0.98


def test_probabilities_of_zero_and_one_are_moved_a_little() -> None:
    proba, happened, person = sample(6)
    proba[:2], happened[:2] = (0.0, 1.0), (False, True)
    found = recalibration(proba, happened, person)
    assert found.clipped == 2
    proba[:2] = 1e-12, 1 - 1e-12
    assert recalibration(proba, happened, person).slope == pytest.approx(found.slope)
    # An improper model can even predict more than one.
    proba[1] = 1.2
    assert recalibration(proba, happened, person).slope == pytest.approx(found.slope)


def test_a_confident_error_pulls_the_slope_down_without_breaking_newton() -> None:
    proba, happened, person = sample(7)
    before = recalibration(proba, happened, person).slope
    proba[:3], happened[:3] = 0.0, True
    found = recalibration(proba, happened, person)
    assert 0 < found.slope < 0.5 * before
    columns = np.column_stack([np.ones(len(proba)), logit(np.maximum(proba, 1e-12))])
    assert found.slope == pytest.approx(reference(proba, happened, person, columns)[0], rel=1e-8)


def fitted(index, happened, weights):
    """Probabilities with the intercept, found by bisection, that makes them as many as the events."""
    low, high = -100 - index.max(), 100 - index.min()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if weights @ (expit(index + middle) - happened) > 0 else (middle, high)
    return expit(index + middle)


# Odds against the event, of nine rows that were all but sure of it; the one event is the sixth.
SURE = np.array([6.15e-4, 8.1e-4, 3.7e-4, 3.37e-4, 3.5e-4, 2.67e-3, 4.8e-4, 1.5e-3, 2.69e-2])


def test_a_few_rows_that_are_sure_and_wrong_have_a_slope_all_the_same() -> None:
    proba, happened = 1 - SURE, np.arange(9) == 5
    found = recalibration(proba, happened, np.arange(9))
    columns = np.column_stack([np.ones(9), logit(proba)])
    expected = reference(proba, happened, np.arange(9), columns)
    assert (found.slope, found.slope_std_error) == pytest.approx(expected, rel=1e-6)
    assert expit(logit(proba) + found.intercept).sum() == pytest.approx(1)


@pytest.mark.parametrize("spread", [1e-3, 0.1, 1.0, 20.0])
@pytest.mark.parametrize("centre", [-20.0, 0.0, 20.0])
def test_newton_solves_the_score_equations_however_wrong_the_predictions(centre, spread) -> None:
    solved = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        proba = np.clip(expit(centre + spread * rng.normal(size=9)), 1e-12, 1 - 1e-12)
        happened = np.arange(9) < rng.integers(1, 9)
        weights = rng.uniform(0.1, 10, 9)
        found = recalibration(proba, happened, np.arange(9), weights)
        index = logit(proba)
        assert weights @ (expit(index + found.intercept) - happened) == pytest.approx(0, abs=1e-6)
        yes, no = index[happened], index[~happened]
        if yes.min() < no.max() and no.min() < yes.max():
            residual = weights * (happened - fitted(found.slope * index, happened, weights))
            assert residual @ (index - index.mean()) / index.std() == pytest.approx(0, abs=1e-6)
            assert found.slope_std_error > 0
            solved += 1
    assert solved > 10


@pytest.mark.parametrize(
    "happened", [[False, False, True, True], [True, True, False, False], [False, True, True, True]]
)
def test_separated_rows_have_no_slope(happened) -> None:
    found = recalibration(np.array([0.1, 0.2, 0.2, 0.4]), np.array(happened), np.arange(4))
    assert np.isnan([found.slope, found.slope_std_error]).all()
    assert np.isfinite([found.intercept, found.intercept_std_error]).all()


def test_a_constant_prediction_has_an_intercept_only() -> None:
    found = recalibration(np.full(8, 0.25), np.arange(8) < 4, np.arange(8))
    assert found.intercept == pytest.approx(-logit(0.25))
    assert np.isnan(found.slope)


@pytest.mark.parametrize("happened", [True, False])
def test_an_event_without_variation_has_nothing(happened) -> None:
    found = recalibration(np.array([0.1, 0.2]), np.full(2, happened), np.arange(2))
    assert np.isnan([found.intercept, found.slope, found.intercept_std_error, found.slope_std_error]).all()


def test_one_cluster_gives_no_standard_errors() -> None:
    proba, happened, _ = sample(8)
    found = recalibration(proba, happened, np.zeros(len(proba)))
    assert np.isfinite([found.intercept, found.slope]).all()
    assert np.isnan([found.intercept_std_error, found.slope_std_error]).all()


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match=r"probability is not a number \(nan\) in 1 of 2 rows"):
        recalibration(np.array([0.5, np.nan]), np.array([True, False]), np.arange(2))
