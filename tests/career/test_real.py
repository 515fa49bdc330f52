"""CAREER on real careers, against the multinomial logit and the figures that a user may expect."""

import numpy as np
import pytest

import econllm as el

MNL = "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)"


@pytest.mark.slow
def test_no_worse_than_the_logit_on_a_small_panel(wage_panel: el.CareerPanel) -> None:
    train, valid, test = wage_panel.split([0.7, 0.1, 0.2], seed=0)
    fits = {
        "MNL": el.MNLogit(MNL, penalty="l2").fit(train, validation=valid),
        "CAREER": el.CAREER().fit(train, validation=valid, seed=0),
    }
    row = el.compare(fits, test, reference="MNL").frame.loc["CAREER"]
    assert row["difference"] > -row["difference_std_error"]
    assert row["perplexity"] < 4.6


@pytest.mark.slow
@pytest.mark.shared
def test_the_quick_preset_on_real_careers(nlsy97: el.CareerPanel) -> None:
    train, valid, test = nlsy97.split([0.7, 0.1, 0.2], seed=0)
    fit = el.CAREER(preset="quick").fit(train, validation=valid, seed=0)
    scores = fit.log_likelihood(test).to_numpy()
    assert np.exp(-scores.mean()) < 7.3
    sums = np.exp(fit.log_proba(test)).sum(axis=1)
    assert np.abs(sums - 1).max() < 1e-9
    moves = fit.move_proba(test)
    assert moves.isna().sum() == test.is_first.sum()
