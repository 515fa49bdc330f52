"""Likelihood ratios and Hausman tests."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.inference import hausman, likelihood_ratio
from tests.inference.samples import anes, random_cov


def test_likelihood_ratio_as_statsmodels() -> None:
    fit, *_ = anes()
    test = likelihood_ratio(fit.llnull, 6, fit.llf, fit.params.size, n_small=int(fit.nobs), n_big=int(fit.nobs))
    assert test.statistic == pytest.approx(fit.llr, rel=1e-12)
    assert test.df == fit.df_model
    assert test.p_value == pytest.approx(fit.llr_pvalue, rel=1e-8, abs=1e-300)
    text = " ".join(str(test).split())
    assert f"chi2(30): {fit.llr:.3f}" in text
    assert f"larger {fit.llf:.3f} 36" in text
    assert test.to_frame().loc[0, "df"] == 30


def test_likelihood_ratio_refuses_what_is_not_nested() -> None:
    with pytest.raises(OptionError, match="both models have 5 parameters"):
        likelihood_ratio(-10, 5, -9, 5)
    with pytest.raises(OptionError, match="the smaller model has 6 parameters and the larger one 5"):
        likelihood_ratio(-10, 6, -9, 5)
    with pytest.raises(OptionError, match="k_small"):
        likelihood_ratio(-10, 2.5, -9, 5)
    with pytest.raises(DataError, match="lower log-likelihood"):
        likelihood_ratio(-10, 3, -10.5, 5)
    with pytest.raises(DataError, match="100 and 99 rows"):
        likelihood_ratio(-10, 3, -9, 5, n_small=100, n_big=99)
    with pytest.raises(DataError, match="not finite"):
        likelihood_ratio(-np.inf, 3, -9, 5)
    # What an optimiser leaves is no contradiction.
    assert likelihood_ratio(-10.0, 3, -10.0 - 1e-9, 5).statistic == 0.0


INDEX = pd.MultiIndex.from_product([[2, 3], ["Intercept", "x", "z"]])


def test_hausman_closed_form() -> None:
    rng = np.random.default_rng(0)
    full, v = pd.Series(rng.normal(size=6), INDEX), random_cov(6)
    order = [5, 4, 3]  # the fit without outcome 2, its coefficients in another order
    part, more = full.iloc[order] + rng.normal(size=3), random_cov(3, 1)
    d = (part - full.iloc[order]).to_numpy()
    test = hausman(full, v, part, v[np.ix_(order, order)] + more)
    assert test.statistic == pytest.approx(d @ np.linalg.solve(more, d), rel=1e-9)
    assert (test.df, test.coefficients, test.positive_semidefinite) == (3, 3, True)
    assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, 3), rel=1e-12)
    slopes = hausman(full, v, part, v[np.ix_(order, order)] + more, intercepts=False)
    assert slopes.statistic == pytest.approx(d[:2] @ np.linalg.solve(more[:2, :2], d[:2]), rel=1e-9)
    assert slopes.df == 2


def test_hausman_takes_the_rank_as_degrees_of_freedom() -> None:
    v, more = random_cov(6), random_cov(6, 1, rank=4)
    full = pd.Series(np.zeros(6), INDEX)
    d = more @ np.arange(6.0)
    test = hausman(full, v, full + d, v + more)
    assert test.df == 4
    assert test.statistic == pytest.approx(d @ np.linalg.pinv(more, rcond=1e-10) @ d, rel=1e-7)


def test_hausman_says_where_the_covariances_do_not_differ_as_they_should() -> None:
    full = pd.Series(np.zeros(6), INDEX)
    test = hausman(full, np.diag([1.0, 1, 1, 1, 1, 2]), full + 1, np.diag([3.0, 3, 3, 3, 3, 1.5]))
    assert test.statistic == pytest.approx(5 / 2 - 1 / 0.5)
    assert not test.positive_semidefinite
    assert "not positive semi-definite" in " ".join(str(test).split())
    negative = hausman(full, np.eye(6), full + 1, 0.5 * np.eye(6))
    assert negative.statistic == pytest.approx(-12)
    assert np.isnan(negative.p_value)
    assert "negative and has no p-value: the test says nothing here" in " ".join(str(negative).split())
    assert negative.to_frame().loc[0, "coefficients"] == 6


def test_hausman_refuses_fits_that_cannot_be_compared() -> None:
    full = pd.Series(np.zeros(6), INDEX)
    other = pd.Series(np.zeros(6), pd.MultiIndex.from_product([[4, 5], ["a", "b", "c"]]))
    with pytest.raises(DataError, match="no coefficients in common"):
        hausman(full, np.eye(6), other, np.eye(6))
    with pytest.raises(DataError, match="leaves out no outcome"):
        hausman(full, np.eye(6), full, np.eye(6))
    with pytest.raises(DataError, match="6 rows and 6 columns"):
        hausman(full, np.eye(6), full, np.eye(6), cross=np.eye(3))
    with pytest.raises(DataError, match="no estimate or no covariance"):
        hausman(full, np.full((6, 6), np.nan), full, np.eye(6))


def test_hausman_with_the_covariance_between_the_fits() -> None:
    """From one joint covariance of both estimates: a Wald test that their difference is zero."""
    joint, b = random_cov(9), np.random.default_rng(0).normal(size=9)
    full, part = pd.Series(b[:6], INDEX), pd.Series(b[6:], INDEX[3:])
    test = hausman(full, joint[:6, :6], part, joint[6:, 6:], cross=joint[6:, :6])
    contrast = np.hstack([np.zeros((3, 3)), -np.eye(3), np.eye(3)])
    d = contrast @ b
    assert test.statistic == pytest.approx(d @ np.linalg.solve(contrast @ joint @ contrast.T, d), rel=1e-9)
    assert (test.df, test.positive_semidefinite, test.robust) == (3, True, True)
    assert "Covariance: robust" in str(test)


def fit(outcome: np.ndarray, x: np.ndarray, codes: list[int]) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Coefficients, their nonrobust covariance, and the influence of every row."""
    design = sm.add_constant(x)
    found = sm.MNLogit(outcome, design).fit(disp=0)
    v = np.asarray(found.cov_params())
    index = pd.MultiIndex.from_product([codes, ["Intercept", "x", "z"]])
    errors = (outcome[:, None] == [0, *codes]) - np.asarray(found.predict())
    scores = (errors[:, 1:, None] * design[:, None, :]).reshape(len(design), -1)
    return pd.Series(np.asarray(found.params).ravel("F"), index), v, scores @ v


def rejections(samples: int, n: int, *, substitutes: bool, robust: bool) -> float:
    """Share of samples where independence is rejected at 5 percent."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(samples):
        x = rng.normal(size=(n, 2))
        utility = np.column_stack([np.zeros(n), 0.3 + x @ [1.0, 0.5], x @ [-0.5, 0.5], 0.2 + x @ [0.5, -1.0]])
        noise = rng.gumbel(size=(n, 4))
        if substitutes:  # the first outcome and the last
            noise[:, 3] = noise[:, 0] + 0.3 * rng.normal(size=n)
        y = (utility + noise).argmax(axis=1)
        keep = y < 3
        full, v_full, from_full = fit(y, x, [1, 2, 3])
        part, v_part, from_part = fit(y[keep], x[keep], [1, 2])
        if robust:
            cross = from_part.T @ from_full[keep]
            test = hausman(full, from_full.T @ from_full, part, from_part.T @ from_part, cross=cross)
        else:
            test = hausman(full, v_full, part, v_part)
        rejected += test.p_value < 0.05  # never for a negative statistic
    return rejected / samples


@pytest.mark.slow
@pytest.mark.parametrize("robust", [False, True])
def test_hausman_rejects_one_in_twenty_under_independence(robust) -> None:
    # Four binomial standard errors of 0.011.
    assert rejections(400, 2000, substitutes=False, robust=robust) == pytest.approx(0.05, abs=0.044)


@pytest.mark.slow
def test_hausman_finds_near_substitutes() -> None:
    assert rejections(40, 2000, substitutes=True, robust=True) > 0.8
