"""Where the truth is known: the right model comes near the oracle, and none passes it."""

import numpy as np
import pytest

from econllm.datasets import simulate_careers
from econllm.empirical import Empirical
from econllm.metrics import mean_score, perplexity
from econllm.multinomial import MNLogit

FIRST = "occupation ~ lag(occupation) + educ + exper + sex"
SECOND = FIRST + " + lag(occupation, 2)"
RIVALS = {
    "empirical": Empirical(),
    "empirical 2": Empirical(order=2, smoothing="validation"),
    "two-stage": Empirical(two_stage=True, smoothing="validation"),
    "two-stage 2": Empirical(two_stage=True, order=2, smoothing="validation"),
    "logit": MNLogit(FIRST, penalty="l2", alpha=1e-3),
    "logit 2": MNLogit(SECOND + " + bag(occupation) + years_in(occupation)", penalty="l2", alpha=1e-3),
}


def oracle_scores(panel) -> np.ndarray:
    return np.log(panel.truth.to_numpy()[np.arange(len(panel)), panel.outcome])


def assert_oracle_unbeaten(persons: int, occupations: int, process: str, order: int) -> dict[str, float]:
    train, valid, test = simulate_careers(persons, occupations, process, order).split([0.6, 0.1, 0.3])
    truth = oracle_scores(test)
    oracle = perplexity(truth, test.origin_ids).value
    ratios = {}
    for name, model in RIVALS.items():
        fitted = model.fit(train, validation=valid)
        gain = mean_score(fitted.log_likelihood(test).to_numpy() - truth, test.origin_ids)
        assert gain.mean < 3 * gain.std_error, f"{name} beats the oracle"
        ratios[name] = fitted.perplexity(test).value / oracle
    return ratios


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("process", ["mnl", "two_stage"])
def test_no_model_beats_the_oracle(process, order) -> None:
    ratios = assert_oracle_unbeaten(800, 6, process, order)
    # The models are not idle: the best come near, less so where staying depends on the length of the spell.
    best = min(ratios.values())
    assert best < (1.03 if process == "mnl" else 1.07)
    if process == "mnl":
        assert ratios["logit" if order == 1 else "logit 2"] == pytest.approx(best, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("process", ["mnl", "two_stage"])
def test_no_model_beats_the_oracle_in_large_samples(process, order) -> None:
    assert_oracle_unbeaten(5000, 20, process, order)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "formula"), [(1, FIRST), (2, SECOND)])
def test_the_right_formula_comes_near_the_oracle(order, formula) -> None:
    train, test = simulate_careers(5000, 20, "mnl", order).split([0.8, 0.2])
    fitted = MNLogit(formula, penalty="l2", alpha=1 / len(train)).fit(train)
    oracle = perplexity(oracle_scores(test), test.origin_ids).value
    assert fitted.perplexity(test).value == pytest.approx(oracle, rel=0.015)


def test_true_coefficients_are_recovered_within_their_standard_errors() -> None:
    """Contrasts of the slopes of schooling against the log odds of the truth."""
    panel = simulate_careers(1500, 4, "mnl", 1)
    fitted = MNLogit(FIRST).fit(panel)
    frame, odds = panel.to_frame(), np.log(panel.truth.to_numpy())
    last = np.where(panel.is_first, -1, np.roll(panel.outcome, 1))
    x = [(last == k).astype(float) for k in range(-1, 4)]
    x += [frame["educ"].to_numpy(float), frame["exper"].to_numpy(float), (frame["sex"] == "male").to_numpy(float)]
    true = np.linalg.lstsq(np.column_stack(x), odds[:, 1:] - odds[:, :1], rcond=None)[0]
    for row, term in ((5, "educ"), (6, "exper"), (7, "sex[male]")):
        z = (fitted.params.xs(term, level="term") - true[row]) / fitted.std_errors.xs(term, level="term")
        assert np.abs(z).max() < 3.5


@pytest.mark.shared
@pytest.mark.slow
def test_nlsy97_figure(nlsy97) -> None:
    train, _, test = nlsy97.split([0.7, 0.1, 0.2], seed=0)
    formula = (
        "occupation ~ lag(occupation) + lag(occupation, 2) + C(year) + C(birth_year) + sex + race + region + education"
    )
    fitted = MNLogit(formula, penalty="l2", alpha=1 / len(train)).fit(train)
    found = fitted.perplexity(test)
    assert found.value <= 8.72
    assert (found.n, found.persons) == (31_440, 1426)
    assert len(fitted.info.unseen) == 3
    assert fitted.converged
    proba = fitted.log_proba(test.subset(test.persons[:20]))
    assert np.abs(np.exp(proba).sum(axis=1) - 1).max() < 1e-9
