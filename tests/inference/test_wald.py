"""Wald tests: the same as statsmodels, and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.inference import joint_tests, parse_hypothesis, wald_test
from econllm.inference.wald import quadratic_form
from tests.inference.samples import INDEX, TITLES, anes, random_cov, sample


@pytest.fixture(scope="module")
def election():
    return anes()


@pytest.mark.parametrize(
    "hypothesis",
    [
        "educ = 0",
        "[2]educ = [3]educ",
        "[4] = 0",
        "[2=3]",
        "2*[2]educ - [3]age = 0.5, [6]income",
        "age = 0.01, selfLR = educ",
    ],
)
def test_as_statsmodels(election, hypothesis) -> None:
    fit, params, cov = election
    matrix, values = parse_hypothesis(hypothesis, params.index)
    for df_denominator in (None, fit.df_resid):
        theirs = fit.wald_test((matrix, values), use_f=df_denominator is not None, scalar=True)
        mine = wald_test(params, cov, hypothesis, df_denominator=df_denominator)
        assert mine.statistic == pytest.approx(float(theirs.statistic), rel=1e-8)
        assert mine.p_value == pytest.approx(float(theirs.pvalue), rel=1e-8, abs=1e-300)
        assert mine.df == len(values) == (theirs.df_num if df_denominator else theirs.df_denom)


def test_one_restriction_is_the_square_of_z(election) -> None:
    fit, params, cov = election
    mine = wald_test(params, cov, "[3]educ")
    assert mine.statistic == pytest.approx((params[3, "educ"] / np.asarray(fit.bse)[4, 2]) ** 2, rel=1e-10)


def test_joint_tests_as_statsmodels(election) -> None:
    fit, params, cov = election
    table = joint_tests(params, cov, ["age", "educ", "Intercept"])
    assert table.index.tolist() == ["age", "educ", "Intercept"]
    for term in table.index:
        matrix, values = parse_hypothesis(term, params.index)
        theirs = fit.wald_test((matrix, values), use_f=False, scalar=True)
        assert table.loc[term].tolist() == pytest.approx([6, float(theirs.statistic), float(theirs.pvalue)], rel=1e-8)


def test_joint_tests_of_factors_and_common_coefficients() -> None:
    params, cov = sample()
    table = joint_tests(params, cov, {"job": ["lag(job)"], "stay()": ["stay()"], "both": ["educ", "exper"]})
    assert table["df"].tolist() == [9, 1, 6]
    for term, text in (("job", "lag(job)"), ("stay()", "stay()"), ("both", "educ, exper")):
        assert table.loc[term, "statistic"] == pytest.approx(wald_test(params, cov, text).statistic, rel=1e-10)
    with pytest.raises(OptionError, match="Did you mean 'educ'"):
        joint_tests(params, cov, ["educc"])
    with pytest.raises(OptionError, match=r"terms=\['educ'\]"):
        joint_tests(params, cov, "educ")
    with pytest.raises(OptionError, match="without columns"):
        joint_tests(params, cov, {"nothing": []})


def test_coefficients_that_sum_to_zero_over_outcomes() -> None:
    """Any choice of base gives the same test of a term as the symmetric form, whose covariance is singular."""
    rng = np.random.default_rng(1)
    against_base, v = rng.normal(size=3), random_cov(3)
    spread = np.vstack([np.zeros(3), np.eye(3)]) - 0.25
    params = pd.Series(spread @ against_base, pd.MultiIndex.from_product([[1, 2, 3, 4], ["x"]]))
    test = wald_test(params, spread @ v @ spread.T, "x = 0")
    assert test.df == 3
    assert test.statistic == pytest.approx(against_base @ np.linalg.solve(v, against_base), rel=1e-10)
    assert "rank 3" in " ".join(str(test).split())
    with pytest.raises(DataError, match="rank 3, and the estimates lie outside"):
        wald_test(params, spread @ v @ spread.T, "x = 1")


def test_units_do_not_matter() -> None:
    params, cov = sample()
    scale = 10.0 ** np.random.default_rng(0).integers(-8, 8, len(params))
    text = "educ, exper, [2]hourly wage"
    other = wald_test(params * scale, cov * np.outer(scale, scale), text)
    assert other.statistic == pytest.approx(wald_test(params, cov, text).statistic, rel=1e-8)


def test_few_clusters_or_replications_cannot_support_many_restrictions() -> None:
    params, _ = sample()
    cov = random_cov(len(INDEX), rank=4)
    with pytest.raises(DataError, match="9 restrictions has rank 4"):
        wald_test(params, cov, "lag(job)")
    table = joint_tests(params, cov, ["lag(job)", "educ"])
    assert table["statistic"].isna().tolist() == [True, False]
    assert table["p_value"].isna().tolist() == [True, False]


def test_covariances_that_cannot_be_used() -> None:
    params, cov = sample()
    with pytest.raises(DataError, match="not positive semi-definite"):
        wald_test(params, cov - 2 * np.diag(np.diag(cov)) * (np.arange(len(cov)) == 1), "educ")
    holes = cov.copy()
    holes[PLACE_EDUC, :] = np.nan
    with pytest.raises(DataError, match="no estimate or no covariance"):
        wald_test(params, holes, "educ")
    assert wald_test(params, holes, "exper").df == 3  # only what is tested is read
    with pytest.raises(DataError, match=r"shape \(2, 2\) for 59"):
        wald_test(params, np.eye(2), "educ")
    with pytest.raises(DataError, match="no covariance"):
        wald_test(params, None, "educ")
    with pytest.raises(DataError, match="labelled otherwise"):
        wald_test(params, pd.DataFrame(cov), "educ")
    with pytest.raises(DataError, match="params is a ndarray"):
        wald_test(params.to_numpy(), cov, "educ")
    with pytest.raises(OptionError, match="df_denominator"):
        wald_test(params, cov, "educ", df_denominator=0)
    labelled = pd.DataFrame(cov, INDEX, INDEX)
    assert wald_test(params, labelled, "educ") == wald_test(params, cov, "educ")


PLACE_EDUC = list(INDEX).index((2, "educ"))


def test_report() -> None:
    params, cov = sample()
    test = wald_test(params, cov, "[Managers]educ = [3]educ, [2]educ = [3]educ", titles=TITLES, df_denominator=10)
    assert test.restrictions == ("[Managers]educ = [3]educ",)
    assert test.dropped == ("[2]educ = [3]educ",)
    assert test.p_value == pytest.approx(stats.f.sf(test.statistic, 1, 10))
    text = " ".join(str(test).split())
    assert "F(1, 10):" in text
    assert "1 restriction dropped, which the others imply." in text
    wide = wald_test(params, cov, "lag(job) = 0, embed(resume), educ = 0", titles=TITLES)
    text = " ".join(str(wide).split())
    assert f"chi2(18): {wide.statistic:.3f}" in text
    assert "[Managers]lag(job)[a, b = c] = 0" in text
    assert "18 restrictions, of which the first 12 are shown." in text
    frame = wide.to_frame()
    assert frame.loc[0, "df"] == 18
    assert frame.loc[0, "p_value"] == wide.p_value
    assert frame.loc[0, "distribution"] == "chi2"
    assert np.isnan(frame.loc[0, "df_denominator"])
    assert "tabular" in wide.to_table().to_latex()


def test_quadratic_form_by_hand() -> None:
    v = np.diag([4.0, 9.0])
    assert quadratic_form(np.array([2.0, 3.0]), v) == (pytest.approx(2.0), 2)
    with pytest.raises(DataError, match="rank 0"):
        quadratic_form(np.array([1.0]), np.zeros((1, 1)))
