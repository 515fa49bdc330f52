"""Outcomes of every type, labels, unseen outcomes, rows left out, and summaries."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, plain_text

from econllm.choices import ChoiceSet
from econllm.errors import DataError, FormulaError, MissingColumnError, OptionError, UnseenLevelError
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

CODES = {"car": 10, "bus": 20, "walk": 30}


# Labels


def test_outcomes_of_every_type_give_the_same_model() -> None:
    df = choices_frame()
    # The order of the codes differs from that of the texts; everything is compared by label.
    texts = MNLogit("y ~ x + g", base="car").fit(df)
    kinds = {
        "integer": df["y"].map(CODES),
        "float": df["y"].map(CODES).astype(float),
        "nullable": df["y"].map(CODES).astype("Int64"),
        "category": pd.Categorical(df["y"].map(CODES), categories=[30, 10, 20]),
    }
    for kind, values in kinds.items():
        fitted = MNLogit("y ~ x + g", base=10).fit(df.assign(y=values))
        order = [30, 10, 20] if kind == "category" else [10, 20, 30]
        assert list(fitted.choices.codes) == order
        for name, code in CODES.items():
            if code != 10:
                mine, theirs = fitted.params.loc[code], texts.params.loc[name]
                assert mine.index.equals(theirs.index)
                assert mine.to_numpy() == pytest.approx(theirs.to_numpy(), abs=1e-9)
        assert fitted.predict_proba(df).columns.tolist() == order
        assert set(fitted.predict(df)) <= set(order)
        test = df.assign(y=values)
        assert fitted.log_likelihood(test).to_numpy() == pytest.approx(texts.log_likelihood(df).to_numpy(), abs=1e-9)


def test_index_and_names_are_kept() -> None:
    df = choices_frame(60)
    df.index = pd.MultiIndex.from_product([range(20), list("abc")], names=["household", "trip"])
    fitted = MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df)
    proba = fitted.predict_proba(df.drop(columns="y"))
    assert proba.index.equals(df.index)
    assert proba.columns.tolist() == ["bus", "car", "walk"]
    best = fitted.predict(df)
    assert (best.name, best.index.equals(df.index)) == ("y", True)
    assert best.tolist() == proba.idxmax(axis=1).tolist()
    assert fitted.log_likelihood(df).index.equals(df.index)
    assert fitted.params.index.names == ["response", "term"]
    assert fitted.params.index.tolist() == [(c, t) for c in ("bus", "car", "walk") for t in ("Intercept", "x")]
    assert fitted.tidy().columns.tolist()[:3] == ["response", "term", "estimate"]


def test_categories_keep_their_order_and_unused_ones_are_unseen_outcomes() -> None:
    df = choices_frame()
    df["y"] = pd.Categorical(df["y"], categories=["walk", "plane", "car", "bus"])
    fitted = MNLogit("y ~ x").fit(df)
    assert fitted.choices.codes == ("walk", "plane", "car", "bus")
    assert fitted.info.unseen == ("plane",)
    assert fitted.params.index.unique("response").tolist() == ["car", "bus"]
    with pytest.raises(OptionError, match="base='plane' never occurs"):
        MNLogit("y ~ x", base="plane").fit(df)


def test_value_labels_of_stata_become_titles() -> None:
    df = choices_frame()
    df["y"] = df["y"].map(CODES)
    df.attrs["value_labels"] = {"y": {10: "By car", 20: "By bus", 30: "On foot"}}
    fitted = MNLogit("y ~ x").fit(df)
    assert fitted.choices.titles == ("By car", "By bus", "On foot")
    assert "20 By bus" in str(fitted)
    assert "Base outcome: By car." in plain_text(fitted)


def test_outcomes_that_are_refused() -> None:
    df = choices_frame(20)
    cases = [
        (df.assign(y=df["x"]), "holds fractions such as"),
        (df.assign(y=df["x"] > 0), "is boolean; convert it with astype"),
        (df.assign(y="car"), "only one outcome occurs in the 20 rows"),
        (df.assign(y=np.nan), "missing in all 20 rows"),
        (df.assign(y=df["y"].where(df.index > 0)), "missing in 1 of 20 rows, first at index 0"),
        (df.iloc[:0], "estimate on have no rows"),
        ([1, 2], "data is a list"),
    ]
    for data, message in cases:
        with pytest.raises(DataError, match=message):
            MNLogit("y ~ x").fit(data)
    with pytest.raises(MissingColumnError, match="outcome column 'yy' is not in the data frame"):
        MNLogit("yy ~ x").fit(df)
    with pytest.raises(FormulaError, match="the outcome of this panel is its occupation column"):
        MNLogit("educ ~ exper").fit(careers(10))


# Unseen outcomes


@pytest.mark.parametrize("pseudo_count", [0.5, 3.0])
def test_reserved_probability(pseudo_count) -> None:
    df = choices_frame(150)
    df["y"] = pd.Categorical(df["y"], categories=["bus", "plane", "car", "boat", "walk"])
    model = MNLogit("y ~ x", pseudo_count=pseudo_count)
    fitted, plain = model.fit(df), model.fit(df.assign(y=df["y"].astype(str)))
    proba = fitted.predict_proba(df)
    reserved = pseudo_count / (150 + 2 * pseudo_count)
    assert proba[["plane", "boat"]].to_numpy() == pytest.approx(reserved, rel=1e-12)
    seen = proba[["bus", "car", "walk"]] / (1 - 2 * reserved)
    assert seen.to_numpy() == pytest.approx(plain.predict_proba(df).to_numpy(), abs=1e-12)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    test = df.assign(y=pd.Categorical(["plane"] * 150, categories=df["y"].cat.categories))
    assert fitted.log_likelihood(test).to_numpy() == pytest.approx(np.log(reserved))
    assert np.isfinite(fitted.perplexity(test).value)
    assert fitted.info.log_likelihood == pytest.approx(fitted.log_likelihood(df).sum(), rel=1e-10)
    assert f"2 outcomes of the choice set never occur; each has a reserved probability of {reserved:.2g}" in plain_text(
        fitted
    )


def test_rows_sum_to_one_far_from_the_sample() -> None:
    df = choices_frame()
    fitted = MNLogit("y ~ x").fit(df)
    far = pd.DataFrame({"x": [-1e6, -50.0, 0, 50, 1e6]})
    log_proba = fitted.log_proba(far)
    assert np.isfinite(log_proba).all()
    assert np.abs(np.exp(log_proba).sum(axis=1) - 1).max() < 1e-9


def test_panel_with_another_choice_set() -> None:
    panel = careers(60, 4)
    fitted = MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=0.1).fit(panel)
    turned = ChoiceSet(panel.choices.codes[::-1], panel.choices.titles[::-1])
    roles = {"static": ["sex", "birth_year"], "dynamic": ["educ", "exper"], "lagged": ["wage"]}
    other = CareerPanel(panel.to_frame().astype({"occupation": int}), "person", "year", "occupation", turned, **roles)
    assert fitted.log_likelihood(other).to_numpy() == pytest.approx(fitted.log_likelihood(panel).to_numpy(), abs=1e-13)
    assert fitted.perplexity(other).persons == 60


# Rows and levels


def test_missing_values() -> None:
    df = choices_frame(100)
    df.loc[[3, 7], "x"] = np.nan
    with pytest.raises(DataError, match=r"missing values: x in 2 of 100 rows.*missing='drop'"):
        MNLogit("y ~ x").fit(df)
    fitted = MNLogit("y ~ x", missing="drop").fit(df)
    clean = MNLogit("y ~ x").fit(df.dropna())
    assert fitted.params.equals(clean.params)
    assert (fitted.info.rows, fitted.info.dropped) == (98, 2)
    assert "Rows dropped" in str(fitted)
    assert fitted.predict_proba(df).index.equals(df.dropna().index)
    assert fitted.log_likelihood(df).equals(clean.log_likelihood(df.dropna()))
    assert fitted.kept(df).sum() == fitted.perplexity(df).n == 98
    with pytest.raises(DataError, match="missing values: x in 2"):
        clean.log_proba(df)
    with pytest.raises(DataError, match="no rows are left"):
        MNLogit("y ~ x", missing="drop").fit(df.assign(x=np.nan))
    with pytest.raises(DataError, match="not finite"):
        MNLogit("y ~ x").fit(df.assign(x=np.inf))


def test_unseen_level_at_prediction() -> None:
    df = choices_frame()
    for model in (MNLogit("y ~ g"), MNLogit("y ~ g", penalty="l2", alpha=0.1)):
        fitted = model.fit(df)
        new = df.assign(g=df["g"].where(df.index > 2, "z"))
        with pytest.raises(UnseenLevelError, match=r"g: 3 rows have a level that the model never saw: 'z'"):
            fitted.log_proba(new)
    with pytest.raises(DataError, match="predict have no rows"):
        fitted.log_proba(df.iloc[:0])


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "L2"}, "penalty='L2' is not an option.* Did you mean 'l2'"),
        ({"alpha": 0.1}, "alpha=0.1 has no effect without a penalty: set penalty='l2'"),
        ({"penalty": "l2", "alpha": 0}, "alpha=0 is not allowed"),
        ({"penalty": "l2", "alpha": "autoo"}, "alpha='autoo' is not an option.* Did you mean 'auto'"),
        ({"penalty": "l1", "l1_ratio": 0.3}, "l1_ratio=0.3 has no effect with penalty='l1': set penalty='elasticnet'"),
        ({"l1_ratio": 0.3}, "l1_ratio=0.3 has no effect with penalty=None"),
        ({"penalty": "l2", "alpha": 0.1, "rule": "one_se"}, "rule='one_se' has no effect with alpha=0.1"),
        ({"base": True}, "base=True must be an outcome"),
        ({"cluster": ("g", "g")}, "cluster names 'g' twice"),
        ({"cluster": pd.Series([1, 2])}, "cluster is a Series: it must be a column"),
        ({"context": 3}, "context=3 must be a mapping"),
        ({"missing": "Drop"}, "Did you mean 'drop'"),
        ({"max_iter": 0}, "max_iter=0 is not allowed"),
        ({"tol": -1.0}, "tol=-1.0 is not allowed"),
        ({"pseudo_count": 0}, "pseudo_count=0 is not allowed"),
        ({"weighted": "yes"}, "weighted='yes' is not an option"),
    ],
)
def test_options(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        MNLogit("y ~ x", **options)


def test_options_that_need_data() -> None:
    df = choices_frame(40)
    with pytest.raises(OptionError, match=r"base='buss' is not an outcome. Did you mean 'bus'"):
        MNLogit("y ~ x", base="buss").fit(df)
    with pytest.raises(OptionError, match="checkpoint keeps replications of cov_type='bootstrap'"):
        MNLogit("y ~ x").fit(df, checkpoint="here")
    with pytest.raises(OptionError, match="between 0 and 1"):
        MNLogit("y ~ x").fit(df).conf_int(95)


# Results


def test_base_only_re_expresses_a_penalised_fit() -> None:
    df = choices_frame()
    free = MNLogit("y ~ x + g", penalty="l2", alpha=0.01).fit(df)
    against = MNLogit("y ~ x + g", penalty="l2", alpha=0.01, base="walk").fit(df)
    assert against.log_proba(df).tobytes() == free.log_proba(df).tobytes()
    assert against.params["bus", "x"] == pytest.approx(free.params["bus", "x"] - free.params["walk", "x"])
    assert "walk" not in against.params.index.unique("response")
    assert free.params.index.unique("term").tolist() == ["Intercept", "g[u]", "g[v]", "g[w]", "x"]
    assert free.params.groupby("term").sum().abs().max() < 1e-12


def test_summaries() -> None:
    df = choices_frame()
    text = plain_text(MNLogit("y ~ x").fit(df))
    for part in ("Multinomial logit", "std. err.", "nonrobust", "Base outcome: bus.", "converged in", "Log-likelihood"):
        assert part in text
    panel = careers(100, 6)
    many = MNLogit("occupation ~ C(birth_year) + C(year)", penalty="l2", alpha=0.1).fit(panel)
    assert len(many.params) > 300
    assert "root of the sum of the squared coefficients" in plain_text(many)
    assert many.glance().loc[0, "persons"] == 100
    assert many.glance().loc[0, "parameters"] == len(many.params)


def test_no_regressors_gives_the_shares() -> None:
    df = choices_frame()
    for model in (MNLogit("y ~ 1"), MNLogit("y ~ 1", penalty="l2", alpha=0.1)):
        proba = model.fit(df).predict_proba(df).iloc[0]
        shares = df["y"].value_counts(normalize=True)
        assert proba.to_dict() == pytest.approx(shares.to_dict(), abs=1e-9)


def test_a_large_mean_does_not_make_a_column_constant():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    df = pd.DataFrame({"y": np.where(x + rng.logistic(size=400) > 0, "a", "b"), "x": x, "seconds": 1.6e9 + 60 * x})
    for penalty, alpha in ((None, "auto"), ("l2", 1e-4)):
        plain = MNLogit("y ~ x", penalty=penalty, alpha=alpha).fit(df)
        shifted = MNLogit("y ~ seconds", penalty=penalty, alpha=alpha).fit(df)
        assert np.allclose(shifted.predict_proba(df), plain.predict_proba(df), atol=1e-6)
