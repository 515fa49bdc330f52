"""Coefficients, their inference and fit statistics, by definition."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import choices_frame
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.multinomial import MNLogit
from econllm.multinomial.results import MNLogitResults


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    return choices_frame(300)


@pytest.fixture(scope="module")
def fitted(df) -> MNLogitResults:
    return MNLogit("y ~ x + g", cov_type="robust").fit(df)


def test_statistics_of_a_coefficient(fitted) -> None:
    errors = np.sqrt(np.diag(fitted.cov))
    assert fitted.std_errors.to_numpy() == pytest.approx(errors)
    assert fitted.tstats.to_numpy() == pytest.approx(fitted.params.to_numpy() / errors)
    assert fitted.pvalues.to_numpy() == pytest.approx(2 * stats.norm.sf(np.abs(fitted.params / errors)))
    low, high = fitted.conf_int(0.9).to_numpy().T
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.95) * errors)
    tidy = fitted.tidy(0.9)
    names = ["response", "term", "estimate", "std_error", "statistic", "p_value", "lower", "upper"]
    assert tidy.columns.tolist() == names
    assert tidy["lower"].to_numpy() == pytest.approx(low)


def test_the_likelihood_ratio_of_nested_fits(df, fitted) -> None:
    small = MNLogit("y ~ x").fit(df)
    with pytest.raises(DataError, match=r"this fit has standard errors that do not \(robust"):
        fitted.lr_test(small)
    fitted = fitted.model.replace(cov_type="nonrobust").fit(df)
    with pytest.raises(DataError, match=r"column 'g.*' is not in the larger model"):
        small.lr_test(fitted)
    with pytest.raises(OptionError, match="restricted is a str"):
        fitted.lr_test("y ~ x")
    found = fitted.lr_test(small)
    statistic = 2 * (fitted.info.log_likelihood - small.info.log_likelihood)
    assert (found.statistic, found.df) == (pytest.approx(statistic), 4)
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 4))
    null = MNLogit("y ~ 1").fit(df)
    assert null.info.log_likelihood == pytest.approx(fitted.null_log_likelihood)
    assert null.pseudo_r2 == pytest.approx(0, abs=1e-12)


def test_tests_of_terms(fitted) -> None:
    joint = fitted.joint_tests()
    assert set(joint.index) == {"x", "g"}
    by_hand = fitted.wald_test("x = 0")
    assert joint.loc["x", "statistic"] == pytest.approx(by_hand.statistic)
    assert joint.loc["g", "df"] == 4
    b, v = fitted.params.xs("x", level="term"), fitted.cov.xs("x", level="term").xs("x", level="term", axis=1)
    assert by_hand.statistic == pytest.approx(b @ np.linalg.solve(v, b))
    assert fitted.joint_tests(["x"]).index.tolist() == ["x"]
    with pytest.raises(OptionError, match=r"'gg' is no term of the formula. Did you mean 'g'"):
        fitted.joint_tests(["gg"])
    with pytest.raises(OptionError, match=r"give a list: terms=\['g'\]"):
        fitted.joint_tests("g")


def test_combinations_and_ratios(fitted) -> None:
    gap = fitted.lincom("[car]x - [walk]x").estimates.iloc[0]
    v = fitted.cov
    variance = v.loc[("car", "x"), ("car", "x")] + v.loc[("walk", "x"), ("walk", "x")]
    variance -= 2 * v.loc[("car", "x"), ("walk", "x")]
    assert gap["estimate"] == pytest.approx(fitted.params["car", "x"] - fitted.params["walk", "x"])
    assert gap["std_error"] == pytest.approx(np.sqrt(variance))
    risk = fitted.relative_risk_ratios()
    assert risk["estimate"].to_numpy() == pytest.approx(np.exp(fitted.params.to_numpy()))
    assert risk["std_error"].to_numpy() == pytest.approx(np.exp(fitted.params) * fitted.std_errors)
    ratio = fitted.nlcom("[car]x / [walk]x").estimates.iloc[0]
    assert ratio["estimate"] == pytest.approx(fitted.params["car", "x"] / fitted.params["walk", "x"])


def test_without_a_covariance_the_reason_is_given(df) -> None:
    penalised = MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df)
    for call in (
        lambda f: f.wald_test("x = 0"),
        lambda f: f.lincom("x"),
        lambda f: f.nlcom("[car]x / [bus]x"),
        lambda f: f.joint_tests(),
        lambda f: f.relative_risk_ratios(),
    ):
        with pytest.raises(DataError, match=r"needs a covariance .* there is none \(none: penalised"):
            call(penalised)
    with pytest.raises(DataError, match=r"compares maximised likelihoods, and this fit has a penalty"):
        penalised.lr_test(penalised)
    weights = pd.Series(1.0 + df.index % 2, df.index)
    weighted = MNLogit("y ~ x").fit(df, weights=weights)
    with pytest.raises(DataError, match=r"does not hold with probability weights, and the restricted fit has them"):
        MNLogit("y ~ x").fit(df).lr_test(weighted)


def test_effective_degrees_of_freedom_fall_with_the_penalty(df) -> None:
    sizes = [MNLogit("y ~ x + g", penalty="l2", alpha=a).fit(df).effective_df for a in (1e-8, 0.1, 1e6)]
    # Two contrasts of the constant, x and two free levels of g; at last the constants alone.
    assert sizes[0] == pytest.approx(8, abs=1e-3)
    assert sizes[-1] == pytest.approx(2, abs=1e-3)
    assert sizes[0] > sizes[1] > sizes[2]
    lasso = MNLogit("y ~ x + g", penalty="l1", alpha=10).fit(df)
    assert lasso.effective_df == pytest.approx(2)


def test_how_alpha_was_chosen(df) -> None:
    given = MNLogit("y ~ x", penalty="l2", alpha=0.3).fit(df)
    assert (given.alpha, given.chosen, given.path, given.folds) == (0.3, {}, None, None)
    found = MNLogit("y ~ x", penalty="l2", folds=2).fit(df)
    assert found.chosen == {"alpha": found.alpha}
    assert MNLogit("y ~ x").fit(df).alpha == 0


def test_the_optimum(df, fitted) -> None:
    assert fitted.converged
    report = fitted.optimisation
    assert fitted.objective == pytest.approx(-fitted.info.log_likelihood / len(df), rel=1e-9)
    assert (report.iterations, report.converged) == (fitted.iterations, True)
    assert np.abs(fitted.scores(df).sum()).max() < 1e-3
