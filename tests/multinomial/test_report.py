import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, plain_text

import econllm as el
from econllm.errors import OptionError
from econllm.multinomial import MNLogit, MNLogitResults
from econllm.regtable import table


@pytest.fixture(scope="module")
def df():
    return choices_frame()


@pytest.fixture(scope="module")
def fitted(df):
    return MNLogit("y ~ x + g", base="car").fit(df)


@pytest.fixture(scope="module")
def penalised(df):
    return MNLogit("y ~ x + g", penalty="l2", alpha=0.01).fit(df)


def facts_of(made):
    return {fact.label: fact.value for fact in made.facts}


def test_every_number_of_the_summary_is_that_of_the_result(fitted):
    made = fitted.summary()
    assert [panel.title for panel in made.body] == ["bus", "walk"]
    assert [column.label for column in made.columns] == ["coef.", "std. err.", "z", "p", "95% CI"]
    frame = fitted.tidy().set_index(["response", "term"])
    for panel in made.body:
        for row in panel.rows:
            expected = frame.loc[(panel.title, row.label)]
            assert row.cells[:4] == pytest.approx(expected[["estimate", "std_error", "statistic", "p_value"]].tolist())
            assert row.cells[4] == f"[{expected['lower']:.4f}, {expected['upper']:.4f}]"
    glance = fitted.glance().iloc[0]
    facts = facts_of(made)
    assert facts["Pseudo R²"] == pytest.approx(1 - glance["log_likelihood"] / glance["null_log_likelihood"])
    assert facts["AIC"] == pytest.approx(-2 * glance["log_likelihood"] + 2 * 8)
    assert facts["BIC"] == pytest.approx(-2 * glance["log_likelihood"] + np.log(400) * 8)
    assert facts["Standard errors"] == fitted.cov_description
    ended = f"converged in {glance['iterations']} iterations, gradient norm {glance['gradient']:.1e}, "
    assert facts["Optimiser"].startswith(ended)


def test_the_log_likelihood_of_criteria_is_named_where_it_is_another(df):
    weights = pd.Series(np.random.default_rng(0).uniform(0.2, 3, len(df)), index=df.index)
    for fit, why in (
        (MNLogit("y ~ x").fit(df, weights=weights), "weighted"),
        (MNLogit("y ~ x").fit(df.assign(y=pd.Categorical(df["y"], ["bus", "car", "tram", "walk"]))), "that occur"),
    ):
        glance = fit.glance().iloc[0]
        text = plain_text(fit.summary())
        assert f"log-likelihood {glance['log_likelihood']:,.2f}" in text
        assert why in text
        assert f"{glance['log_likelihood']:,.2f}" != f"{fit.info.log_likelihood:,.2f}"
    assert "AIC and BIC are of" not in plain_text(MNLogit("y ~ x").fit(df).summary())


def test_one_of_a_thing_is_singular(df, fitted):
    estimates = replace(fitted._estimates, solution=replace(fitted._estimates.solution, iterations=1))
    one = MNLogitResults(fitted.model, fitted.choices, fitted.info, estimates)
    assert "converged in 1 iteration," in plain_text(one.summary())
    tram = MNLogit("y ~ x").fit(df.assign(y=pd.Categorical(df["y"], ["bus", "car", "tram", "walk"])))
    assert "1 outcome of the choice set never occurs; it has" in plain_text(tram.summary())
    assert "Left out: 1 outcome that never occurs" in plain_text(tram.marginal_effects(df))


def test_only_some_outcomes_and_terms(fitted):
    made = fitted.summary(outcomes=["walk"], terms=["x"], level=0.9)
    assert [(panel.title, [row.label for row in panel.rows]) for panel in made.body] == [("walk", ["x"])]
    low, high = fitted.conf_int(0.9).loc[("walk", "x")]
    assert made.rows[0].cells[4] == f"[{low:.4f}, {high:.4f}]"
    assert made.columns[4].label == "90% CI"
    assert "7 coefficients not shown." in plain_text(made)
    by_term = fitted.summary(terms=[re.compile("^g"), "x"])
    assert [row.label for row in by_term.body[0].rows] == ["g[v]", "g[w]", "x"]
    assert by_term.rows[0].label == fitted.summary(terms=["g"]).rows[0].label
    with pytest.raises(OptionError, match="Did you mean 'walk'"):
        fitted.summary(outcomes=["wlk"])
    with pytest.raises(OptionError, match="base outcome, which has no coefficients"):
        fitted.summary(outcomes=["car"])
    with pytest.raises(OptionError, match="terms names 'z'"):
        fitted.summary(terms=["z"])


def test_relative_risk_ratios(fitted, penalised):
    made = fitted.summary(outcomes=["bus"], terms=["x"], exp=True)
    estimate, error = fitted.params[("bus", "x")], fitted.std_errors[("bus", "x")]
    assert made.rows[0].cells[:3] == pytest.approx((np.exp(estimate), np.exp(estimate) * error, estimate / error))
    assert made.columns[0].label == "RRR"
    assert "standard errors by the delta method" in plain_text(made)
    symmetric = penalised.summary(exp=True)
    assert symmetric.columns[0].label == "exp(coef.)"
    assert "relative to the geometric mean of all outcomes" in plain_text(symmetric)


def test_a_penalised_summary_shows_no_standard_errors(penalised):
    made = penalised.summary()
    assert [column.label for column in made.columns] == ["coef."]
    assert facts_of(made)["Penalty"].startswith("L2, alpha = 0.01")
    assert facts_of(made)["Penalty"].endswith(f"effective degrees of freedom {penalised.effective_df:.1f}")
    assert "there is no base outcome" in plain_text(made)


def test_a_fit_that_did_not_converge_says_so_in_capitals(fitted):
    numbers = fitted._estimates
    solution = replace(numbers.solution, converged=False, iterations=3)
    stopped = MNLogitResults(fitted.model, fitted.choices, fitted.info, replace(numbers, solution=solution))
    assert "NOT CONVERGED in 3 iterations" in plain_text(stopped)
    assert "NOT CONVERGED: (2)." in plain_text(table([fitted, stopped]))
    assert "NOT CONVERGED" not in plain_text(table([fitted]))


def test_a_term_of_many_columns_takes_one_line_per_outcome():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.choice(["a", "b", "c"], 600), "g": [f"g{i:02}" for i in range(40)] * 15})
    fitted = MNLogit("y ~ g", penalty="l2", alpha=0.1).fit(frame)
    made = fitted.summary()
    assert [row.label for row in made.body[0].rows] == ["g: norm of 40 coef.", "Intercept"]
    slopes = fitted.params.drop("Intercept", level="term")
    norms = [np.linalg.norm(slopes.loc[outcome]) for outcome in "abc"]
    assert [row.cells[0] for row in made.rows[::2]] == pytest.approx(norms)
    assert len(fitted.summary(terms=["g"]).rows) == 120


def test_common_coefficients_come_first():
    panel = careers(persons=200)
    fitted = MNLogit("occupation ~ educ | stay()").fit(panel)
    made = fitted.summary()
    assert made.body[0].title == "Alternative-specific, common to all outcomes"
    assert made.body[0].rows[0].cells[0] == pytest.approx(fitted.params.iloc[-1])


def test_side_by_side_with_the_titles_of_the_panel():
    panel = careers(persons=200)
    one = MNLogit("occupation ~ educ + exper").fit(panel)
    two = MNLogit("occupation ~ educ + lag(occupation)", penalty="l2", alpha=0.01).fit(panel)
    made = table({"Free": one, "Penalised": two}, shape="panels", stats=["n", "persons", "outcome_mean"])
    code = one.params.index[0][0]
    title = one.choices.title(code)
    first = next(panel for panel in made.body if panel.title == title)
    shares = panel.to_frame()["occupation"].value_counts(normalize=True)
    assert first.rows[-1].cells == pytest.approx((shares[code], shares[code]))
    assert (made.rows[-1].label, made.rows[-1].cells) == ("Persons", (200, 200))
    assert f"Standard errors in parentheses: {one.cov_description} in Free" in plain_text(made)
    assert all(f"lag(occupation)[{panel.choices.titles[i]}]" in plain_text(made) for i in range(1, 5))


def test_maketables_attributes_agree_with_the_result(fitted):
    frame = fitted.__maketables_coef_table__
    assert frame.loc["walk | x", "b"] == fitted.params[("walk", "x")]
    assert frame.loc["walk | x", "se"] == fitted.std_errors[("walk", "x")]
    assert fitted.__maketables_stat__("N") == 400
    assert not hasattr(fitted, "bse")


def test_stata_labels_reach_the_summary(tmp_path):
    df = pd.DataFrame(
        {"id": [1, 1, 2, 2, 3, 3], "year": [2000, 2001] * 3, "job": [1, 2, 2, 1, 1, 2], "ed": [9, 9, 12, 12, 10, 10]}
    )
    labels = {"ed": "years of schooling", "job": "main job"}
    df.to_stata(
        tmp_path / "a.dta", write_index=False, variable_labels=labels, value_labels={"job": {1: "Clerk", 2: "Cook"}}
    )
    loaded = el.datasets.read_stata(tmp_path / "a.dta")
    panel = el.CareerPanel(loaded, person="id", time="year", occupation="job", static=["ed"])
    fitted = el.MNLogit("job ~ lag(job) + ed", penalty="l2", alpha=0.1).fit(panel)
    text = str(fitted.summary())
    assert "Multinomial logit of main job" in text
    assert "years of schooling" in text
    assert "lag(main job)[Cook]" in text
    assert ("1", "years of schooling") not in fitted.params.index  # params keep the names of the formula
    assert (2, "ed") in fitted.params.index
    fitted.save(tmp_path / "fit")
    assert "years of schooling" in str(el.load(tmp_path / "fit").summary())


def test_value_labels_of_covariates_reach_the_resume(tmp_path):
    df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": [1, 2], "sex": [2, 2]})
    labels = {"job": {1: "Clerk", 2: "Cook"}, "sex": {1: "male", 2: "female"}}
    df.to_stata(tmp_path / "a.dta", write_index=False, value_labels=labels)
    loaded = el.datasets.read_stata(tmp_path / "a.dta")
    panel = el.CareerPanel(loaded, person="id", time="year", occupation="job", static=["sex"])
    assert "sex: female" in panel.resumes()[1].text
    assert "2000: Clerk" in panel.resumes()[1].text


def test_very_many_lines_become_one_per_term_unless_some_are_asked_for(df, monkeypatch):
    fitted = MNLogit("y ~ x + g", penalty="l2", alpha=0.01).fit(df)
    monkeypatch.setattr("econllm.multinomial.report._MOST_LINES", 14)
    made = fitted.summary()
    # Symmetric coefficients have mean zero over outcomes, so the norm is that of what is reported.
    slopes = fitted.params.drop("Intercept", level="term")
    of_g = slopes.index.get_level_values("term") != "x"
    assert {row.label: row.cells for row in made.rows} == {
        "x": (1, pytest.approx(np.linalg.norm(slopes[~of_g]))),
        "g": (3, pytest.approx(np.linalg.norm(slopes[of_g]))),
    }
    assert "15 coefficients, see params" in plain_text(made)
    assert len(fitted.summary(outcomes=["bus", "car", "walk"]).rows) == 15
