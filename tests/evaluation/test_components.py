import numpy as np
import pytest

from econllm.evaluation.components import Components, components, interval

# Standard deviations of the parts from which scores are made.
TRAINING, SEED, PERSON, CROSSED, NESTED = 0.05, 0.03, 0.4, 0.5, 0.3


def scores(rng, replications, seeds, persons, counts):
    """Person sums with known components; persons differ, suit some training samples, and some seeds."""
    mean = (
        -1.0
        + TRAINING * rng.normal(size=(replications, 1, 1))
        + SEED * rng.normal(size=(replications, seeds, 1))
        + PERSON * rng.normal(size=persons)
        + CROSSED * rng.normal(size=(replications, 1, persons))
        + NESTED * rng.normal(size=(replications, seeds, persons))
    )
    return mean * counts


@pytest.mark.parametrize("replications", [3, 12])
def test_few_replications_cause_no_bias(replications):
    rng = np.random.default_rng(0)
    # Signed estimates are unbiased; cut off at zero they are not, so components are made large enough here.
    counts = np.full(400, 5.0)
    found = [components(scores(rng, replications, 3, 400, counts), counts) for _ in range(1500)]
    seed = np.array([c.seed for c in found])
    training = np.array([c.training for c in found])
    assert seed.mean() == pytest.approx(SEED**2, abs=4 * seed.std() / np.sqrt(1500))
    # With three replications one in ten is cut off at zero, which lifts the mean.
    assert training.mean() == pytest.approx(TRAINING**2, rel=0.12 if replications == 3 else 0.05)
    assert (found[0].df_training, found[0].df_seed) == (replications - 1, 2 * replications)


def test_what_suits_just_these_persons_is_taken_off():
    rng = np.random.default_rng(1)
    counts = np.ones(30)
    means, corrected = [], []
    for _ in range(800):
        values = scores(rng, 10, 1, 30, counts)
        means.append((values.sum(axis=2) / 30).mean(axis=1).var(ddof=1))
        corrected.append(components(values, counts).training)
    # The variance of the means holds the crossed parts; without them it is that of training sample and seed.
    crossed = (CROSSED**2 + NESTED**2) / 30
    assert np.mean(means) == pytest.approx(TRAINING**2 + SEED**2 + crossed, rel=0.05)
    assert np.mean(corrected) < 0.6 * np.mean(means)
    assert np.mean(corrected) >= TRAINING**2


def test_persons_of_unequal_length_count_by_their_transitions():
    rng = np.random.default_rng(2)
    counts = rng.integers(1, 20, size=300).astype(float)
    found = [components(scores(rng, 20, 2, 300, counts), counts) for _ in range(300)]
    assert np.mean([c.training for c in found]) == pytest.approx(TRAINING**2, rel=0.1)
    assert np.mean([c.seed for c in found]) == pytest.approx(SEED**2, rel=0.1)


def test_one_seed_leaves_the_seed_open():
    rng = np.random.default_rng(3)
    found = components(scores(rng, 30, 1, 500, np.ones(500)), np.ones(500))
    assert np.isnan(found.seed)
    assert found.df_seed == 0
    assert found.total(0.0)[0] == found.training


def test_equal_fits_have_no_components():
    same = np.broadcast_to(-np.arange(1.0, 6.0), (4, 2, 5))
    found = components(same, np.ones(5))
    assert (found.training, found.seed) == (0.0, 0.0)


def test_impossible_outcomes_leave_nothing_to_estimate():
    values = np.full((4, 1, 5), -1.0)
    values[2, 0, 3] = -np.inf
    assert np.isnan(components(values, np.ones(5)).training)


def test_degrees_of_freedom_are_satterthwaites():
    part = Components(4e-4, 1e-4, 5e-4, 9, 20)
    variance, df = part.total(2e-4, 108)
    assert variance == pytest.approx(7e-4)
    assert df == pytest.approx(49e-8 / (25e-8 / 9 + 1e-8 / 20 + 4e-8 / 108))
    assert Components(0.0, float("nan"), 0.0, 9, 0).total(0.0, 50) == (0.0, 50.0)
    assert np.isnan(interval(-1.0, float("nan"), 5, 0.95)).all()


def test_the_mean_score_of_one_sample_varies_as_the_total_says():
    """Training, seed and test variances add up to what new samples of everything show."""
    rng = np.random.default_rng(4)
    persons, counts = 60, np.ones(60)
    drawn = np.array([scores(rng, 1, 1, persons, counts).mean() for _ in range(4000)])
    totals = []
    for _ in range(300):
        # One population of persons is scored by replicates and by the fit at hand.
        values = scores(rng, 21, 2, persons, counts)
        fitted = values[0, 0]
        test = fitted.var(ddof=1) / persons
        totals.append(components(values[1:], counts).total(test)[0])
    assert np.mean(totals) == pytest.approx(drawn.var(), rel=0.08)


def test_a_part_set_to_zero_does_not_make_the_sum_less_certain_than_its_parts():
    assert Components(0.0, float("nan"), 3e-4, 2, 0).total(1e-4, 99)[1] == 2
    assert Components(0.0, 0.0, 3e-4, 9, 20).total(1e-4, 99)[1] >= 9
