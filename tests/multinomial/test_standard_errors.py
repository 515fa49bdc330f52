"""Kinds of standard errors: which one a fit gets, what is refused, and their numbers against others."""

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
from logit_samples import careers, choices_frame, plain_text

from econllm.datasets import load_wage_panel
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.logit import newton
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

WAGE = "occupation ~ educ + exper + black"


@pytest.fixture(scope="module")
def wage() -> pd.DataFrame:
    df = load_wage_panel()
    df["cohort"] = df["year"] - df["exper"]
    return df


@pytest.fixture(scope="module")
def reference(wage):
    x = patsy.dmatrix(WAGE.split("~")[1], wage, return_type="dataframe")

    def fit(**options):
        return sm.MNLogit(wage["occupation"], x).fit(method="newton", maxiter=100, disp=0, tol=1e-12, **options)

    return fit


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    df = choices_frame(240)
    village = np.random.default_rng(3).integers(30, size=240)
    return df.assign(village=village, region="r" + pd.Series(village % 3).astype(str), time=np.arange(240) // 5)


@pytest.fixture(scope="module")
def panel() -> CareerPanel:
    return careers(60, 3)


def matrix(fitted, values: pd.Series) -> np.ndarray:
    """By term and outcome, as statsmodels has it."""
    return np.column_stack([values[code] for code in fitted.choices.codes[1:]])


# Against statsmodels


def test_nonrobust(wage, reference) -> None:
    fitted = MNLogit(WAGE).fit(wage)
    assert matrix(fitted, fitted.std_errors) == pytest.approx(np.asarray(reference().bse), rel=1e-6)
    assert fitted.cov_type == "nonrobust"


@pytest.mark.parametrize("ssc", [None, "groups"])
def test_robust(wage, reference, ssc) -> None:
    fitted = MNLogit(WAGE, cov_type="robust", ssc=ssc).fit(wage)
    n = len(wage)
    factor = 1 if ssc is None else np.sqrt(n / (n - 1))
    theirs = np.asarray(reference(cov_type="HC0").bse)
    assert matrix(fitted, fitted.std_errors) == pytest.approx(theirs * factor, rel=1e-6)


@pytest.mark.parametrize("ssc", [None, "groups", "parameters"])
def test_clustered(wage, reference, ssc) -> None:
    fitted = MNLogit(WAGE, cov_type="clustered", cluster="nr", ssc=ssc).fit(wage)
    options = {"groups": wage["nr"].to_numpy(), "use_correction": ssc == "parameters"}
    theirs = np.asarray(reference(cov_type="cluster", cov_kwds=options).bse)
    groups = wage["nr"].nunique()
    factor = np.sqrt(groups / (groups - 1)) if ssc == "groups" else 1
    assert matrix(fitted, fitted.std_errors) == pytest.approx(theirs * factor, rel=1e-6)
    assert f"clustered by nr ({groups} clusters" in fitted.cov_description
    assert fitted.glance().loc[0, "clusters"] == groups


def test_a_panel_clusters_by_person(wage, reference) -> None:
    roles = {"person": "nr", "time": "year", "occupation": "occupation"}
    panel = CareerPanel(wage, **roles, dynamic=["educ", "exper", "black"], static=["cohort"])
    fitted = MNLogit(WAGE).fit(panel)
    by_column = MNLogit(WAGE, cov_type="clustered", cluster="nr").fit(wage)
    assert fitted.std_errors.to_numpy() == pytest.approx(by_column.std_errors.to_numpy(), rel=1e-9)
    assert fitted.std_errors.equals(MNLogit(WAGE, cluster="person").fit(panel).std_errors)
    assert "clustered by person (545 clusters, G/(G-1))" in plain_text(fitted)


def test_two_way(wage, reference) -> None:
    both = MNLogit(WAGE, cov_type="clustered", cluster=["nr", "year"], ssc=None).fit(wage)
    assert both.model.cluster == ("nr", "year")
    parts = {}
    wage = wage.assign(cell=wage["nr"] * 10_000 + wage["year"])
    for column in ("nr", "year", "cell"):
        options = {"groups": wage[column].to_numpy(), "use_correction": False}
        parts[column] = np.asarray(reference(cov_type="cluster", cov_kwds=options).cov_params())
    expected = np.sqrt(np.diag(parts["nr"] + parts["year"] - parts["cell"]))
    # statsmodels orders by equation, then term, as here.
    assert both.std_errors.to_numpy() == pytest.approx(expected, rel=1e-5)
    assert "clustered by nr and year (545 and 8 clusters" in both.cov_description
    assert both.glance().loc[0, "clusters"] == 8


# By hand


def by_hand(fitted, df: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Inverse information by finite differences of the scores, and the scores."""
    scores = fitted.scores(df).to_numpy()
    proba = fitted.predict_proba(df).to_numpy()
    terms = fitted.params.index.unique("term")
    x = np.column_stack([np.ones(len(df)) if t == "Intercept" else df[t] for t in terms])
    p = proba[:, 1:]
    information = np.zeros((scores.shape[1],) * 2)
    for row, q in zip(x, p, strict=True):
        information += np.kron(np.diag(q) - np.outer(q, q), np.outer(row, row))
    return np.linalg.inv(information), scores


@pytest.mark.parametrize("cluster", [None, "village"])
def test_strata(frame, cluster) -> None:
    kind = "robust" if cluster is None else "clustered"
    fitted = MNLogit("y ~ x", cov_type=kind, cluster=cluster, strata="region").fit(frame)
    bread, scores = by_hand(fitted, frame)
    unit = frame["village"] if cluster else pd.Series(frame.index, frame.index)
    meat = np.zeros_like(bread)
    for at in frame.groupby("region").groups.values():
        sums = pd.DataFrame(scores, index=frame.index).loc[at].groupby(unit.loc[at]).sum().to_numpy()
        centred = sums - sums.mean(axis=0)
        meat += centred.T @ centred * len(sums) / (len(sums) - 1)
    expected = np.sqrt(np.diag(bread @ meat @ bread))
    assert fitted.std_errors.to_numpy() == pytest.approx(expected, rel=1e-6)
    assert "within strata of region" in fitted.cov_description


def test_probability_weights_are_robust(frame) -> None:
    weights = pd.Series(np.random.default_rng(0).uniform(0.2, 3, len(frame)), frame.index)
    fitted = MNLogit("y ~ x", ssc=None).fit(frame, weights=weights)
    assert fitted.cov_type == "robust"
    proba = fitted.predict_proba(frame).to_numpy()[:, 1:]
    x = np.column_stack([np.ones(len(frame)), frame["x"]])
    information = sum(
        w * np.kron(np.diag(q) - np.outer(q, q), np.outer(row, row))
        for w, row, q in zip(weights, x, proba, strict=True)
    )
    scores = fitted.scores(frame).to_numpy() * weights.to_numpy()[:, None]
    assert np.abs(scores.sum(axis=0)).max() < 1e-4
    bread = np.linalg.inv(information)
    assert fitted.cov.to_numpy() == pytest.approx(bread @ scores.T @ scores @ bread, rel=1e-6)
    # The scale of the weights says nothing.
    assert fitted.std_errors.to_numpy() == pytest.approx(
        MNLogit("y ~ x", ssc=None).fit(frame, weights=weights * 9).std_errors.to_numpy(), rel=1e-9
    )


@pytest.mark.parametrize(
    "options",
    [
        {"cov_type": "nonrobust"},
        {"cov_type": "robust"},
        {"cov_type": "robust", "ssc": "parameters"},
        {"cov_type": "robust", "strata": "region"},
        {"cov_type": "clustered", "cluster": "village"},
        {"cov_type": "clustered", "cluster": "village", "ssc": "parameters", "strata": "region"},
        {"cov_type": "clustered", "cluster": ("village", "time")},
        {"cov_type": "robust", "penalty": "l2", "alpha": 0.1},
    ],
)
def test_frequencies_are_repeated_rows(frame, options) -> None:
    counts = pd.Series(np.arange(len(frame)) % 4, index=frame.index)
    longer = frame.loc[frame.index.repeat(counts)].reset_index(drop=True)
    model = MNLogit("y ~ x + g", tol=1e-13, **options)
    short = model.replace(weight_type="frequency").fit(frame, weights=counts)
    long = model.fit(longer)
    assert short.params.to_numpy() == pytest.approx(long.params.to_numpy(), abs=1e-6)
    assert short.std_errors.to_numpy() == pytest.approx(long.std_errors.to_numpy(), rel=1e-5)
    mine, theirs = short.glance().loc[0], long.glance().loc[0]
    for name in ("n", "clusters", "log_likelihood", "null_log_likelihood", "aic", "bic", "effective_df"):
        assert mine[name] == theirs[name] or mine[name] == pytest.approx(theirs[name], rel=1e-6)
    assert short.cov_description == long.cov_description


# Which kind


def test_what_auto_means(frame, panel, monkeypatch) -> None:
    weights = pd.Series(1.0 + frame.index % 2, frame.index)
    assert MNLogit("y ~ x").fit(frame).cov_type == "nonrobust"
    assert MNLogit("y ~ x").fit(frame, weights=weights).cov_type == "robust"
    assert MNLogit("y ~ x", weight_type="frequency").fit(frame, weights=weights).cov_type == "nonrobust"
    assert MNLogit("y ~ x", strata="region").fit(frame).cov_type == "robust"
    assert MNLogit("y ~ x", cluster="village").fit(frame).cov_type == "clustered"
    assert MNLogit("occupation ~ educ").fit(panel).cov_type == "clustered"
    none = MNLogit("y ~ x", penalty="l2", alpha=0.1)
    assert none.fit(frame).cov_type is None
    assert "none: penalised; cov_type='clustered' or 'bootstrap'" in none.fit(frame).cov_description
    assert none.replace(cluster="village").fit(frame).cov_type == "clustered"
    assert none.replace(strata="region").fit(frame).cov_type == "robust"
    assert "about the penalised value" in none.replace(cluster="village").fit(frame).cov_description
    lasso = none.replace(penalty="l1").fit(frame)
    assert lasso.cov_type is None
    assert "no valid confidence intervals" in lasso.cov_description
    asked = MNLogit("y ~ x", cov_type=None).fit(frame)
    assert (asked.cov_type, asked.cov) == (None, None)
    assert asked.std_errors.isna().all()
    assert asked.glance().loc[0, "cov_type"] == "none"
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 3)
    large = MNLogit("y ~ x").fit(frame)
    assert large.cov_type is None
    assert "results.directional(data) gives those of chosen coefficients" in large.cov_description
    with pytest.raises(OptionError, match=r"cov_type='robust' needs an information matrix of .* cov_type='bootstrap'"):
        MNLogit("y ~ x", cov_type="robust").fit(frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cov_type": "robus"}, "Did you mean 'robust'"),
        ({"cov_type": "robust", "cluster": "village"}, "cluster has no effect with cov_type='robust'"),
        ({"cluster": 3}, "must be a column"),
        ({"cluster": ("a", "b", "c")}, "two for two-way clustering"),
        ({"cov_type": "nonrobust", "strata": "region"}, "strata have no effect with cov_type='nonrobust'"),
        ({"cov_type": None, "strata": "region"}, "strata have no effect"),
        ({"ssc": "stata"}, "ssc='stata' is not an option"),
        ({"penalty": "l2", "cov_type": "nonrobust"}, "not valid with a penalty"),
        ({"penalty": "l1", "cov_type": "bootstrap"}, "the bootstrap is inconsistent there too"),
        ({"penalty": "elasticnet", "cov_type": "robust"}, "no valid standard errors"),
    ],
)
def test_options_that_exclude_each_other(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        MNLogit("y ~ x", **options)


def test_data_that_exclude_a_kind(frame, panel) -> None:
    weights = pd.Series(1.0 + frame.index % 2, frame.index)
    with pytest.raises(OptionError, match=r"not valid with probability weights: set cov_type='robust'"):
        MNLogit("y ~ x", cov_type="nonrobust").fit(frame, weights=weights)
    with pytest.raises(OptionError, match=r"needs cluster='column'"):
        MNLogit("y ~ x", cov_type="clustered").fit(frame)
    with pytest.raises(MissingColumnError, match=r"cluster='vilage' is no column. Did you mean 'village'"):
        MNLogit("y ~ x", cluster="vilage").fit(frame)
    with pytest.raises(MissingColumnError, match=r"strata='rgion' is no column. Did you mean 'region'"):
        MNLogit("y ~ x", strata="rgion").fit(frame)
    holes = frame.assign(region=frame["region"].where(frame.index > 4), village=frame["village"].where(frame.index > 1))
    with pytest.raises(DataError, match=r"strata column 'region' is missing in 5 rows"):
        MNLogit("y ~ x", strata="region").fit(holes)
    with pytest.raises(DataError, match=r"cluster column 'village' is missing in 2 rows"):
        MNLogit("y ~ x", cluster="village").fit(holes)
    with pytest.raises(DataError, match=r"single cluster"):
        MNLogit("y ~ x", cluster="village", strata="alone").fit(frame.assign(alone=frame["village"] == 3))
    with pytest.raises(OptionError, match=r"strata cannot go with two ways"):
        MNLogit("y ~ x", cluster=("village", "time"), strata="region").fit(frame)
    with pytest.raises(DataError, match=r"weight_type='frequency' needs whole numbers; 240 of 240 weights are none"):
        MNLogit("y ~ x", weight_type="frequency").fit(frame, weights=weights + 0.5)


def test_labels_of_several_types_are_clusters(frame) -> None:
    mixed = frame.assign(village=[v if v % 2 else f"v{v}" for v in frame["village"]])
    plain = MNLogit("y ~ x", cluster="village").fit(frame)
    assert MNLogit("y ~ x", cluster="village").fit(mixed).std_errors.to_numpy() == pytest.approx(
        plain.std_errors.to_numpy(), rel=1e-9
    )
    strata = frame["region"].map({"r0": 1, "r1": "b", "r2": 2.5})
    plain = MNLogit("y ~ x", strata="region").fit(frame)
    assert MNLogit("y ~ x", strata="s").fit(frame.assign(s=strata)).std_errors.to_numpy() == pytest.approx(
        plain.std_errors.to_numpy(), rel=1e-9
    )


def test_rows_left_out_take_their_clusters_along(frame) -> None:
    holes = frame.assign(x=frame["x"].where(frame.index % 5 > 0))
    model = MNLogit("y ~ x", cluster="village", strata="region", missing="drop")
    dropped, clean = model.fit(holes), model.fit(holes.dropna())
    assert dropped.std_errors.to_numpy() == pytest.approx(clean.std_errors.to_numpy(), rel=1e-9)
    assert dropped.cov_description == clean.cov_description


def test_a_number_for_every_field(frame) -> None:
    fitted = MNLogit("y ~ x", cluster="village").fit(frame)
    row = fitted.glance().loc[0]
    assert (row["n"], row["clusters"], row["cov_type"]) == (240, frame["village"].nunique(), "clustered")
    assert (row["persons"], fitted.info.persons, fitted.info.first_records) == (None, None, None)
    assert row["parameters"] == row["effective_df"] == len(fitted.params)
    assert row["aic"] == pytest.approx(2 * (4 - fitted.info.log_likelihood))
    assert row["bic"] == pytest.approx(4 * np.log(240) - 2 * fitted.info.log_likelihood)
    shares = frame["y"].value_counts(normalize=True)
    assert row["null_log_likelihood"] == pytest.approx(240 * (shares * np.log(shares)).sum())
    assert row["pseudo_r2"] == pytest.approx(1 - row["log_likelihood"] / row["null_log_likelihood"])
