import warnings

import numpy as np
import pandas as pd
import pytest

from econllm.regtable import table

from .samples import logit, plain_text


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(0)
    x, z, person = rng.normal(size=300), rng.normal(size=300), np.repeat(np.arange(60), 5)
    y = 1 + 0.5 * x - z + rng.normal(size=300)
    job = np.column_stack([np.zeros(300), x, -z]) + rng.gumbel(size=(300, 3))
    year = np.tile(np.arange(5), 60)
    return pd.DataFrame({"y": y, "x": x, "z": z, "person": person, "year": year, "job": job.argmax(axis=1)})


@pytest.fixture(scope="module")
def ols(df):
    import statsmodels.formula.api as smf

    return smf.ols("y ~ x + z", df).fit(cov_type="cluster", cov_kwds={"groups": df["person"]})


@pytest.fixture(scope="module")
def mnlogit(df):
    import statsmodels.formula.api as smf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smf.mnlogit("job ~ x + z", df).fit(disp=0)


@pytest.fixture(scope="module")
def panel_ols(df):
    from linearmodels import PanelOLS

    indexed = df.set_index(["person", "year"])
    return PanelOLS.from_formula("y ~ 1 + x + EntityEffects", indexed).fit(cov_type="clustered", cluster_entity=True)


def values(made, label):
    return next(row.cells for row in made.rows if row.label == label)


def test_ordinary_regressions_stand_side_by_side(ols, panel_ols):
    made = table(
        {"OLS": ols, "FE": panel_ols}, statistic=("se", "ci"), below=False, level=0.9, stats=["n", "r2", "clusters"]
    )
    assert values(made, "x")[0] == pytest.approx(ols.params["x"])
    assert values(made, "x")[1] == pytest.approx(ols.bse["x"])
    low, high = ols.conf_int(0.1).loc["x"]
    assert values(made, "x")[2] == f"[{low:.3f}, {high:.3f}]"
    assert values(made, "x")[3] == pytest.approx(panel_ols.params["x"])
    assert values(made, "x")[4] == pytest.approx(panel_ols.std_errors["x"])
    low, high = panel_ols.conf_int(level=0.9).loc["x"]
    assert values(made, "x")[5] == f"[{low:.3f}, {high:.3f}]"
    assert values(made, "z")[3] is None
    assert values(made, "Observations")[::3] == (300, 300)
    assert values(made, "R²")[::3] == pytest.approx((ols.rsquared, panel_ols.rsquared))
    assert values(made, "Clusters")[::3] == (60, None)
    assert "Standard errors: clustered (60 clusters) in OLS; clustered in FE." in plain_text(made)
    assert made.columns[0].group == "OLS: y"


def test_the_multinomial_logit_of_statsmodels(mnlogit, df):
    made = table(
        [mnlogit], stats=["outcome_mean", "log_likelihood", "pseudo_r2"], labels={"1": "Cook"}, statistic=("se", "p")
    )
    assert [column.label for column in made.columns] == ["Cook", "2"]
    assert values(made, "z") == pytest.approx(tuple(mnlogit.params.loc["z"]))
    place = [row.label for row in made.rows].index("z")
    assert made.rows[place + 1].cells == tuple(f"({value:.3f})" for value in mnlogit.bse.loc["z"])
    shares = df["job"].value_counts(normalize=True)
    assert values(made, "Mean of outcome") == pytest.approx((shares[1], shares[2]))
    assert values(made, "Log-likelihood") == (pytest.approx(mnlogit.llf), None)
    bounds = table([mnlogit], statistic="ci", stats=[]).rows[1].cells
    low, high = mnlogit.conf_int().loc[("2", "x")]
    assert bounds[1] == f"[{low:.3f}, {high:.3f}]"


def test_all_kinds_in_one_table(ols, mnlogit):
    made = table({"OLS": ols, "Logit": mnlogit, "Ours": logit()}, shape="panels", stats=["n", "outcome_mean"])
    assert [panel.title for panel in made.body] == ["y", "1", "2", "Cook", "Driver", ""]
    assert made.rows[-1].cells == (300, 300, 1200)
    assert values(made, "Mean of outcome") == (pytest.approx(ols.model.endog.mean()), None, None)


def test_arrays_without_names_and_instrumental_variables(df):
    import statsmodels.api as sm
    from linearmodels import IV2SLS

    plain = sm.OLS(df["y"].to_numpy(), sm.add_constant(df[["x"]].to_numpy())).fit()
    instrumented = IV2SLS.from_formula("y ~ 1 + [x ~ z]", df).fit()
    made = table([plain, instrumented])
    assert values(made, "x1")[0] == pytest.approx(plain.params[1])
    assert values(made, "x")[1] == pytest.approx(instrumented.params["x"])
    assert made.rows[-1].label == "BIC"
    assert "nonrobust in (1); robust in (2)" in plain_text(made)
