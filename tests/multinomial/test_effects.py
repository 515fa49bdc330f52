"""Marginal effects: equal to statsmodels, to numerical derivatives of predictions, and to closed forms."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from logit_samples import careers, choices_frame, plain_text

import econllm as el
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.multinomial import MNLogit, MNLogitResults
from econllm.multinomial.effects import marginal_effects

ANES = "PID ~ logpopul + selfLR + age + educ + income"
WAGE = "occupation ~ educ + exper + black + married"
CURVED = "y ~ np.log(z) + I(z ** 2) + z:x + x + g"


@cache
def frame(name: str) -> pd.DataFrame:
    if name == "wage":
        return el.datasets.load_wage_panel()
    if name == "anes":
        return sm.datasets.anes96.load_pandas().data
    df = choices_frame()
    rng = np.random.default_rng(5)
    return df.assign(z=rng.uniform(0.5, 3, len(df)), flag=rng.random(len(df)) < 0.4, count=rng.integers(0, 5, len(df)))


@cache
def fitted(name: str, formula: str) -> MNLogitResults:
    return MNLogit(formula).fit(frame(name))


@cache
def reference(name: str, formula: str):
    return smf.mnlogit(formula, frame(name)).fit(method="newton", maxiter=100, disp=0, tol=1e-12)


def matrix(effects, column: str, variables: list[str]) -> np.ndarray:
    """Variables by outcomes."""
    values = effects.frame.set_index(["variable", "outcome"])[column]
    return np.array([values[name].to_numpy() for name in variables])


def mean_probability(fit: MNLogitResults, df: pd.DataFrame) -> np.ndarray:
    return fit.predict_proba(df).to_numpy().mean(axis=0)


def numerical_errors(theirs, value) -> np.ndarray:
    """Delta-method standard errors of a function of statsmodels' parameters, by finite differences."""
    params = np.asarray(theirs.params)
    flat, rows = params.ravel("F"), []
    for k in range(len(flat)):
        step = np.zeros(len(flat))
        step[k] = 1e-5
        ends = [value((flat + s).reshape(params.shape, order="F")) for s in (step, -step)]
        rows.append((ends[0] - ends[1]) / 2e-5)
    gradient = np.array(rows)
    return np.sqrt(np.einsum("pj,pq,qj->j", gradient, np.asarray(theirs.cov_params()), gradient))


@pytest.mark.parametrize("at", ["overall", "mean"])
@pytest.mark.parametrize(("name", "formula"), [("anes", ANES), ("wage", WAGE)])
def test_derivatives_equal_statsmodels(name, formula, at) -> None:
    theirs = reference(name, formula).get_margeff(at=at)
    names = reference(name, formula).model.exog_names[1:]
    ours = marginal_effects(fitted(name, formula), frame(name), at=at)
    assert matrix(ours, "estimate", names) == pytest.approx(theirs.margeff, abs=1e-7)
    assert matrix(ours, "std_error", names) == pytest.approx(theirs.margeff_se, abs=1e-7)
    assert matrix(ours, "p_value", names) == pytest.approx(theirs.pvalues, abs=1e-5)
    assert matrix(ours, "lower", names) == pytest.approx(theirs.conf_int()[:, 0], abs=1e-6)
    by_outcome = np.arange(len(ours)).reshape(len(names), -1).T.ravel()  # statsmodels' order
    cov = ours.cov.to_numpy()[np.ix_(by_outcome, by_outcome)]
    assert cov == pytest.approx(np.asarray(theirs.margeff_cov), abs=1e-9)


@pytest.mark.parametrize("at", ["overall", "mean"])
def test_discrete_changes_of_indicators_by_statsmodels_predictions(at) -> None:
    """statsmodels' own discrete effects fail for more than two outcomes, so they are taken from its predictions."""
    theirs = reference("wage", WAGE)
    place = theirs.model.exog_names.index("married")
    exog = theirs.model.exog if at == "overall" else theirs.model.exog.mean(axis=0)[None]
    ends = [exog.copy(), exog.copy()]
    ends[0][:, place], ends[1][:, place] = 1, 0

    def value(params) -> np.ndarray:
        one, zero = (np.asarray(theirs.model.predict(params, x)).mean(axis=0) for x in ends)
        return one - zero

    ours = marginal_effects(fitted("wage", WAGE), frame("wage"), "married", at=at, kind="discrete").frame
    assert ours["contrast"].unique().tolist() == ["1 vs. 0"]
    assert ours["estimate"].to_numpy() == pytest.approx(value(np.asarray(theirs.params)), abs=1e-7)
    assert ours["std_error"].to_numpy() == pytest.approx(numerical_errors(theirs, value), abs=1e-7)


def test_elasticities_and_their_errors_by_statsmodels_predictions() -> None:
    theirs = reference("anes", ANES)
    exog, place = theirs.model.exog, theirs.model.exog_names.index("age")

    def value(params) -> np.ndarray:
        # The elasticity is x (b_j - sum_l p_l b_l), with b = 0 for the base.
        slopes = np.concatenate([[0.0], np.asarray(params)[place]])
        p = np.asarray(theirs.model.predict(params, exog))
        return (exog[:, [place]] * (slopes - (p @ slopes)[:, None])).mean(axis=0)

    ours = marginal_effects(fitted("anes", ANES), frame("anes"), "age", kind="eyex").frame
    assert ours["estimate"].to_numpy() == pytest.approx(value(theirs.params), abs=1e-7)
    assert ours["std_error"].to_numpy() == pytest.approx(numerical_errors(theirs, value), abs=1e-7)


@pytest.mark.parametrize("name", ["z", "x"])
def test_derivatives_through_logs_squares_and_interactions(name) -> None:
    df, fit, step = frame("small"), fitted("small", CURVED), 1e-5
    ends = [mean_probability(fit, df.assign(**{name: df[name] + s})) for s in (step, -step)]
    ours = marginal_effects(fit, df, name).frame
    assert ours["estimate"].to_numpy() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


def test_standard_errors_through_logs_squares_and_interactions() -> None:
    df, fit, theirs = frame("small"), fitted("small", CURVED), reference_small()
    ends = [theirs.model.data.orig_exog.copy() for _ in range(2)]
    step = 1e-5
    for x, s in zip(ends, (step, -step), strict=True):
        z = df["z"] + s
        x["np.log(z)"], x["I(z ** 2)"], x["z:x"] = np.log(z), z**2, z * df["x"]

    def value(params) -> np.ndarray:
        up, down = (np.asarray(theirs.model.predict(params, x.to_numpy())).mean(axis=0) for x in ends)
        return (up - down) / (2 * step)

    ours = marginal_effects(fit, df, "z").frame
    assert ours["std_error"].to_numpy() == pytest.approx(numerical_errors(theirs, value), abs=1e-6)


@cache
def reference_small():
    df = frame("small")
    y = pd.Categorical(df["y"], categories=["bus", "car", "walk"]).codes
    right = CURVED.partition("~")[2]
    return smf.mnlogit(f"code ~ {right}", df.assign(code=y)).fit(method="newton", maxiter=100, disp=0, tol=1e-12)


def test_at_sets_some_variables_and_leaves_the_others() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    at = {"x": 0.5, "g": "v"}
    ours = marginal_effects(fit, df, {"z": (1, 2)}, at=at, kind="discrete").frame
    fixed = df.assign(**at)
    expected = mean_probability(fit, fixed.assign(z=2.0)) - mean_probability(fit, fixed.assign(z=1.0))
    assert ours["estimate"].to_numpy() == pytest.approx(expected, abs=1e-12)
    assert ours["contrast"].unique().tolist() == ["2 vs. 1"]
    table = marginal_effects(fit, df, "z", at=at)
    assert "x = 0.5, g = v" in plain_text(table)
    own = marginal_effects(fit, df, "x", at={"x": 0.5}).frame["estimate"].to_numpy()
    ends = [mean_probability(fit, df.assign(x=0.5 + s)) for s in (1e-5, -1e-5)]
    assert own == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


def test_at_the_means_takes_logs_of_means_and_averages_indicators() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    shares = df["g"].value_counts(normalize=True)
    constants = fit.params.xs("Intercept", level="term")

    def probability(z: float) -> np.ndarray:
        u = constants.copy()
        x = {"np.log(z)": np.log(z), "I(z ** 2)": z**2, "z:x": z * df["x"].mean(), "x": df["x"].mean()}
        x |= {f"g[{level}]": shares[level] for level in ("v", "w")}
        for term, value in x.items():
            u += value * fit.params.xs(term, level="term")
        e = np.exp(np.concatenate([[0.0], u]))
        return e / e.sum()

    z = df["z"].mean()
    ours = marginal_effects(fit, df, "z", at="mean").frame["estimate"].to_numpy()
    assert ours == pytest.approx((probability(z + 1e-5) - probability(z - 1e-5)) / 2e-5, abs=1e-8)
    elastic = marginal_effects(fit, df, "z", at="mean", kind="eyex").frame["estimate"].to_numpy()
    assert elastic == pytest.approx(ours * z / probability(z), abs=1e-8)


def test_factors_change_from_their_first_level() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    ours = marginal_effects(fit, df, "g")
    base = mean_probability(fit, df.assign(g="u"))
    for level in ("v", "w"):
        part = ours.frame.query(f"contrast == '{level} vs. u'")
        expected = mean_probability(fit, df.assign(g=level)) - base
        assert part["estimate"].to_numpy() == pytest.approx(expected, abs=1e-12)
    other = marginal_effects(fit, df, {"g": ["w", "v"]}).frame
    direct = ours.lincom({("g", "v vs. u", "car", ""): 1, ("g", "w vs. u", "car", ""): -1}).frame.iloc[0]
    mine = other.query("outcome == 'car'").iloc[0]
    assert mine[["estimate", "std_error"]].tolist() == pytest.approx(direct[["estimate", "std_error"]].tolist())


def test_booleans_and_steps_of_one() -> None:
    df = frame("small")
    fit = MNLogit("y ~ flag + count").fit(df)
    ours = marginal_effects(fit, df, kind="discrete").frame.set_index(["contrast", "outcome"])["estimate"]
    flag = mean_probability(fit, df.assign(flag=True)) - mean_probability(fit, df.assign(flag=False))
    count = mean_probability(fit, df.assign(count=df["count"] + 1)) - mean_probability(fit, df)
    assert ours["True vs. False"].to_numpy() == pytest.approx(flag, abs=1e-12)
    assert ours["+1"].to_numpy() == pytest.approx(count, abs=1e-12)


def test_groups_are_their_own_averages_and_differ_with_a_joint_covariance() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    ours = marginal_effects(fit, df, ["x", "z"], over="flag")
    for value in (False, True):
        alone = marginal_effects(fit, df[df["flag"] == value], ["x", "z"]).frame
        part = ours.frame[ours.frame["group"] == value]
        for column in ("estimate", "std_error"):
            assert part[column].to_numpy() == pytest.approx(alone[column].to_numpy(), abs=1e-12)
    gap = ours.contrast(group=(True, False))
    frame_, cov = ours.frame, ours.cov.to_numpy()
    one, two = (frame_.query(f"variable == 'x' and outcome == 'car' and group == {v}").index[0] for v in (True, False))
    first = gap.frame.iloc[1]
    assert (first["variable"], first["outcome"], first["group"]) == ("x", "car", "True - False")
    assert first["estimate"] == pytest.approx(frame_["estimate"][one] - frame_["estimate"][two])
    variance = cov[one, one] + cov[two, two] - 2 * cov[one, two]
    assert first["std_error"] == pytest.approx(np.sqrt(variance))
    assert len(gap) == 6
    test = gap.joint_test()
    assert test.df == 4  # effects on all outcomes sum to zero
    doubled = gap.contrast(outcome=("car", "bus")).frame
    assert doubled["estimate"][0] == pytest.approx(gap.frame["estimate"][1] - gap.frame["estimate"][0])


def test_groups_at_their_own_means() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    ours = marginal_effects(fit, df, "z", over="flag", at="mean").frame
    for value in (False, True):
        alone = marginal_effects(fit, df[df["flag"] == value], "z", at="mean").frame["estimate"]
        assert ours.loc[ours["group"] == value, "estimate"].to_numpy() == pytest.approx(alone.to_numpy(), abs=1e-12)


def test_effects_on_all_outcomes_sum_to_zero_and_some_can_be_chosen() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    whole = marginal_effects(fit, df, ["x", "g"])
    assert whole.frame.groupby(["variable", "contrast"])["estimate"].sum().abs().max() < 1e-14
    some = marginal_effects(fit, df, ["x", "g"], outcomes=["walk", "bus"])
    assert some.keys["outcome"].tolist() == ["walk", "bus"] * 3
    at = [list(whole.keys.itertuples(index=False)).index(key) for key in some.keys.itertuples(index=False)]
    assert some.estimates == pytest.approx(whole.estimates[at], abs=1e-15)
    assert some.covariance == pytest.approx(whole.covariance[np.ix_(at, at)], abs=1e-15)


def test_bootstrap_recomputes_effects_in_every_replication() -> None:
    df = frame("small")
    fit = MNLogit("y ~ x + g", cov_type="bootstrap", replications=30).fit(df, seed=0)
    ours = marginal_effects(fit, df, "x")
    replicates = fit._estimates.inference.replicates
    assert ours.replicates.shape == (30, 3)
    x = np.column_stack([np.ones(len(df)), df["g"] == "v", df["g"] == "w", df["x"]])
    order = ["Intercept", "g[v]", "g[w]", "x"]
    columns = fit.params.index.get_level_values("term")[:4].tolist()
    theta = replicates[7].reshape(2, 4)[:, [columns.index(name) for name in order]]
    e = np.exp(np.column_stack([np.zeros(len(df)), x @ theta.T]))
    p = e / e.sum(axis=1, keepdims=True)
    slopes = np.concatenate([[0.0], theta[:, 3]])
    expected = (p * (slopes - (p @ slopes)[:, None])).mean(axis=0)
    assert ours.replicates[7] == pytest.approx(expected, abs=1e-12)
    found = ours.frame
    assert found["std_error"].to_numpy() == pytest.approx(ours.replicates.std(axis=0, ddof=1))
    assert found["lower"].to_numpy() == pytest.approx(np.quantile(ours.replicates, 0.025, axis=0))
    difference = ours.contrast(outcome=("car", "bus"))
    assert difference.replicates[:, 0] == pytest.approx(ours.replicates[:, 1] - ours.replicates[:, 0])
    assert "percentiles" in plain_text(ours)


def test_without_a_covariance_there_are_effects_and_a_reason() -> None:
    df = frame("small")
    fit = MNLogit("y ~ x", penalty="l2", alpha=0.01).fit(df)
    ours = marginal_effects(fit, df)
    ends = [mean_probability(fit, df.assign(x=df["x"] + s)) for s in (1e-5, -1e-5)]
    assert ours.estimates == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)
    assert ours.cov is None
    assert ours.frame[["std_error", "p_value", "lower"]].isna().all(axis=None)
    text = plain_text(ours)
    assert "there are none of effects" in text
    assert "or 'bootstrap' gives them" in text
    assert "CI" not in str(ours.table(wide=False))
    with pytest.raises(DataError, match="no covariance to test with"):
        ours.joint_test()


def test_history_terms_describe() -> None:
    panel = careers(60, 4)
    fit = MNLogit("occupation ~ lag(occupation)", penalty="l2", alpha=0.01, cov_type="clustered").fit(panel)
    levels = list(panel.choices.codes)
    ours = marginal_effects(fit, panel, {"lag(occupation)": levels[:2]})
    row = {level: panel.to_frame().index[panel.to_frame()["occupation"].shift() == level] for level in levels[:2]}
    proba = fit.predict_proba(panel)
    later = ~panel.is_first
    expected = [proba[later].loc[[i for i in row[level] if i in proba.index[later]]].iloc[0] for level in levels[:2]]
    assert ours.estimates == pytest.approx((expected[1] - expected[0]).to_numpy(), abs=1e-12)
    assert "they are not causal" in plain_text(ours)
    groups = marginal_effects(fit, panel, {"lag(occupation)": levels[:2]}, over="history").keys["group"].unique()
    assert groups.tolist() == ["first record", "with a history"]


def test_a_lagged_indicator_goes_from_zero_to_one() -> None:
    df = el.datasets.load_wage_panel().query("nr < 800")
    panel = el.CareerPanel(df, person="nr", time="year", occupation="occupation", lagged=["union"], dynamic=["educ"])
    fit = MNLogit("occupation ~ educ + lag(union)", penalty="l2", alpha=0.01).fit(panel)
    ours = marginal_effects(fit, panel, "lag(union)", kind="discrete")
    named = marginal_effects(fit, panel, {"lag(union)": (0, 1)}, kind="discrete")
    assert list(ours.keys["contrast"].unique()) == ["1 vs. 0"]
    assert ours.estimates == pytest.approx(named.estimates, abs=1e-15)
    assert marginal_effects(fit, panel, "educ", kind="discrete", at={"educ": 1}).keys["contrast"][0] == "+1"


def test_occupations_may_be_named_by_their_titles() -> None:
    df, titles = el.datasets.load_wage_panel().query("nr < 800"), el.datasets.WAGE_PANEL_TITLES
    panel = el.CareerPanel(
        df, person="nr", time="year", occupation="occupation", titles=titles, dynamic=["educ"], lagged=["union"]
    )
    fit = MNLogit("occupation ~ educ + lag(occupation)", penalty="l2", alpha=0.01).fit(panel)
    both = [
        marginal_effects(fit, panel, {"lag(occupation)": [a, b]}, outcomes=[a], at={"lag(occupation)": b})
        for a, b in ((4, 7), (titles[4], titles[7]))
    ]
    assert both[0].estimates.tolist() == both[1].estimates.tolist()
    assert both[0].keys.equals(both[1].keys)
    assert str(both[0]) == str(both[1])
    with pytest.raises(OptionError, match=r"'Sales worker' is no outcome\. Did you mean 'Sales workers'"):
        marginal_effects(fit, panel, "educ", outcomes="Sales worker")


def test_the_cure_for_missing_errors_is_one_that_works() -> None:
    df = frame("small")
    for options, cure in (
        ({"penalty": "l1", "alpha": 0.01}, "a fit without a penalty and with fewer columns"),
        ({"penalty": "l2", "alpha": 0.01}, "a fit with cov_type='robust' or 'bootstrap'"),
        ({"cov_type": None}, "a fit with another cov_type"),
    ):
        fit = MNLogit("y ~ x", **options).fit(df)
        assert cure in plain_text(marginal_effects(fit, df))
        with pytest.raises(DataError, match=cure):
            fit.predict_proba(df, interval=0.9)


def test_elasticities_are_of_probabilities() -> None:
    ours = marginal_effects(fitted("small", CURVED), frame("small"), "x", kind="eyex")
    assert ours.title.startswith("Elasticities of the probabilities of")


def test_a_lagged_number_does_not_move_where_there_is_no_history() -> None:
    df = el.datasets.load_wage_panel().query("nr < 800")
    panel = el.CareerPanel(df, person="nr", time="year", occupation="occupation", lagged=["hours"], dynamic=["educ"])
    fit = MNLogit("occupation ~ educ + lag(hours)", penalty="l2", alpha=0.01).fit(panel)
    ours = marginal_effects(fit, panel, "lag(hours)", over="history").frame
    assert (ours.loc[ours["group"] == "first record", "estimate"] == 0).all()
    alone = marginal_effects(fit, panel, "lag(hours)").estimates
    later = ours.loc[ours["group"] == "with a history", "estimate"].to_numpy()
    assert alone == pytest.approx(later * (~panel.is_first).mean(), abs=1e-12)
    assert (later != 0).all()
    steps = marginal_effects(fit, panel, "lag(hours)", over="history", kind="discrete").frame
    assert (steps.loc[steps["group"] == "first record", "estimate"] == 0).all()
    assert steps.loc[steps["group"] == "with a history", "estimate"].to_numpy() == pytest.approx(later, rel=0.01)


@cache
def modes() -> tuple[pd.DataFrame, MNLogitResults]:
    """Prices by outcome, and a choice set that lacks the car for some."""
    df, rng = frame("small").copy(), np.random.default_rng(6)
    for mode in ("bus", "car", "walk"):
        df[f"price[{mode}]"] = rng.uniform(1, 5, len(df))
        df[f"able[{mode}]"] = True
    df["able[car]"] = (rng.random(len(df)) < 0.8) | (df["y"] == "car")
    return df, MNLogit("y ~ x | np.log(price[alt]) + x:price[alt]", choice_sets="able").fit(df)


def test_prices_by_outcome_and_choice_sets() -> None:
    df, fit = modes()
    for name in ("price[car]", "x"):
        ends = [mean_probability(fit, df.assign(**{name: df[name] + s})) for s in (1e-5, -1e-5)]
        ours = marginal_effects(fit, df, name)
        assert ours.estimates == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)
        assert (ours.frame["std_error"] > 0).all()
    with pytest.raises(OptionError, match="has no elasticity; use kind='dydx'"):
        marginal_effects(fit, df, "x", kind="eyex")
    with pytest.raises(OptionError, match="rows choose from different sets"):
        marginal_effects(fit, df, "x", at="mean")


def test_prices_that_are_missing_where_the_outcome_is_not_available() -> None:
    df, fit = modes()
    gaps = df.assign(**{"price[car]": df["price[car]"].where(df["able[car]"])})
    for options in ({}, {"variables": "price[car]"}, {"variables": {"price[bus]": (1, 2)}, "kind": "discrete"}):
        ours, whole = (marginal_effects(fit, data, **options) for data in (gaps, df))
        assert ours.estimates == pytest.approx(whole.estimates, abs=1e-9)
        assert ours.covariance == pytest.approx(whole.covariance, abs=1e-9)


def test_a_column_by_outcome_stands_for_all_of_its_columns() -> None:
    df, fit = modes()
    ours = marginal_effects(fit, df, "price[alt]")
    assert list(ours.keys["variable"].unique()) == ["price[bus]", "price[car]", "price[walk]"]
    assert ours.estimates == pytest.approx(marginal_effects(fit, df, list(ours.keys["variable"].unique())).estimates)


def test_the_last_occupation_enters_a_stay_dummy_too() -> None:
    panel = careers(60, 4)
    fit = MNLogit("occupation ~ lag(occupation) | stay()", penalty="l2", alpha=0.05, cov_type="clustered").fit(panel)
    levels = list(panel.choices.codes)
    ours = marginal_effects(fit, panel, {"lag(occupation)": levels[:2]}).estimates
    df = panel.to_frame()
    proba, last = fit.predict_proba(panel), df["occupation"].shift().where(~panel.is_first)
    one, two = (proba[(last == level).to_numpy()].iloc[0] for level in levels[:2])
    assert ours == pytest.approx((two - one).to_numpy(), abs=1e-12)


def test_a_covariance_by_directions_gives_the_same_errors() -> None:
    df, fit = frame("small"), fitted("small", CURVED)
    whole = marginal_effects(fit, df, ["x", "z"])
    small = MNLogit(CURVED, cov_type=None).fit(df)
    ours = marginal_effects(small, df, ["x", "z"], covariance=small.directional(df, "nonrobust"))
    assert ours.covariance == pytest.approx(whole.covariance, rel=1e-4, abs=1e-10)
    assert "delta method" in plain_text(ours)


def test_survey_weights_and_reserved_probabilities() -> None:
    df = el.datasets.load_wage_panel().query("nr < 800").copy()
    df["w"] = 1.0 + (df["nr"] % 3)
    titles = el.ChoiceSet.from_titles({**el.datasets.WAGE_PANEL_TITLES, 10: "Never seen"})
    panel = el.CareerPanel(
        df, person="nr", time="year", occupation="occupation", titles=titles, dynamic=["educ"], weights="w"
    )
    fit = MNLogit("occupation ~ educ", penalty="l2", alpha=0.01).fit(panel)
    ours = marginal_effects(fit, panel, {"educ": (12, 16)}, kind="discrete", weights=True)
    assert 10 not in ours.keys["outcome"].tolist()
    proba = []
    for educ in (12, 16):
        other = el.CareerPanel(
            df.assign(educ=educ), person="nr", time="year", occupation="occupation", titles=titles, dynamic=["educ"]
        )
        proba.append(np.average(fit.predict_proba(other).to_numpy(), axis=0, weights=panel.sampling_weights))
    seen = [panel.choices.codes.index(code) for code in ours.keys["outcome"]]
    assert ours.estimates == pytest.approx((proba[1] - proba[0])[seen], abs=1e-12)
    assert "1 outcome that never occurs in estimation" in plain_text(ours)
    assert "survey weights" in plain_text(ours)


def test_rows_with_missing_values_are_left_out_of_every_design() -> None:
    df = frame("small").copy()
    df.loc[df.index[:5], "x"] = np.nan
    fit = MNLogit("y ~ x + I(x ** 2)", missing="drop").fit(df)
    ours = marginal_effects(fit, df)
    assert ours.estimates == pytest.approx(marginal_effects(fit, df.iloc[5:]).estimates, abs=1e-15)


def test_steps_have_no_derivative() -> None:
    df = frame("small")
    fit = MNLogit("y ~ count + C(count > 2)").fit(df)
    with pytest.raises(OptionError, match="'count' enters the formula through a step"):
        marginal_effects(fit, df, "count")
    expected = mean_probability(fit, df.assign(count=3)) - mean_probability(fit, df.assign(count=2))
    ours = marginal_effects(fit, df, {"count": (2, 3)}, kind="discrete")
    assert ours.estimates == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("term", ["I(x > 0.1)", "x + np.floor(x)", "np.where(x > 0.1, 1.0, 0.0)"])
@pytest.mark.parametrize("at", ["overall", "mean", {"x": 0.5}])
def test_steps_that_no_row_is_near_have_no_derivative_either(term, at) -> None:
    df = frame("small")
    with pytest.raises(OptionError, match="'x' enters the formula through a step"):
        marginal_effects(MNLogit(f"y ~ g + {term}").fit(df), df, "x", at=at)


def test_a_derivative_that_is_zero_is_no_step() -> None:
    df = frame("small")
    fit = MNLogit("y ~ x:z + z + I(x ** 2)").fit(df)
    assert marginal_effects(fit, df, "x", at={"x": 0.0, "z": 0.0}).estimates == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variables": "zz"}, OptionError, "'zz' is no variable of the formula"),
        ({"kind": "dxdy"}, OptionError, "kind='dxdy'"),
        ({"at": "median"}, OptionError, "at='median'"),
        ({"at": {"z": [1, 2]}}, OptionError, "at sets every variable to one value"),
        ({"at": {"zz": 1}}, OptionError, "'zz' cannot be set"),
        ({"over": "zz"}, MissingColumnError, "over='zz' is no column"),
        ({"outcomes": ["tram"]}, OptionError, "'tram' is no outcome"),
        ({"outcomes": []}, OptionError, "at least one outcome"),
        ({"variables": "g", "kind": "eyex"}, OptionError, "'g' is a factor and has no elasticity"),
        ({"variables": {"z": (1, 2)}}, OptionError, "need kind='discrete'"),
        ({"variables": {"z": 1}, "kind": "discrete"}, OptionError, "at least two values of 'z'"),
        ({"weights": True}, OptionError, "needs survey weights"),
        ({"level": 95}, OptionError, "level"),
    ],
)
def test_refusals(options, error, message) -> None:
    with pytest.raises(error, match=message):
        marginal_effects(fitted("small", CURVED), frame("small"), **options)


def test_what_would_not_fit_is_refused_with_its_size(monkeypatch) -> None:
    monkeypatch.setattr("econllm.multinomial.effects._MOST_BYTES", 1e3)
    with pytest.raises(OptionError, match=r"standard errors of 12 effects need 0\.0 GB"):
        marginal_effects(fitted("small", CURVED), frame("small"))


def test_tables_in_both_layouts() -> None:
    ours = marginal_effects(fitted("small", CURVED), frame("small"), ["x", "g"])
    wide, long = ours.table(), ours.table(wide=False)
    assert wide.to_frame().columns.tolist() == ["bus", "car", "walk"]
    assert [row.label for row in wide.rows] == ["x", "", "g: v vs. u", "", "g: w vs. u", ""]
    assert [panel.title for panel in long.body] == ["x", "g: v vs. u", "g: w vs. u"]
    assert long.to_frame().loc[("x", "car"), "effect"] == ours.frame["estimate"][1]
    assert "nonrobust" in plain_text(ours)
    assert repr(ours) == "<MarginalEffects: 9 effects of 'x', 'g'>"


def test_contrasts_that_do_not_exist() -> None:
    ours = marginal_effects(fitted("small", CURVED), frame("small"), ["x", "g"])
    with pytest.raises(OptionError, match="give one of outcome="):
        ours.contrast()
    with pytest.raises(OptionError, match=r"outcome='cars'.* Did you mean 'car'"):
        ours.contrast(outcome=("cars", "bus"))
    with pytest.raises(OptionError, match="is no pair"):
        ours.contrast(outcome="car")
    with pytest.raises(OptionError, match="share no effects"):
        ours.contrast(variable=("x", "g"))
    with pytest.raises(OptionError, match="there is no effect"):
        ours.lincom({("x", "dy/dx", "tram", ""): 1})
