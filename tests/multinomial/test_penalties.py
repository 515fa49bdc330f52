"""Penalties: conditions of optimality, multiples by term, scales, searches and paths."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, plain_text
from scipy import optimize

import econllm as el
from econllm.errors import OptionError
from econllm.metrics import mean_score
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

# A level of the factor is an indicator and is not scaled; numbers are divided by their standard deviation.
FORMULA = "y ~ x + w + g"


def make(n: int = 300, seed: int = 0) -> pd.DataFrame:
    df = choices_frame(n, seed)
    rng = np.random.default_rng(seed + 9)
    return df.assign(w=3 * rng.normal(size=n) + 20, x=5 * df["x"])


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    return make()


@pytest.fixture(scope="module")
def panel() -> CareerPanel:
    return careers(80, 3)


def slopes(fitted) -> pd.DataFrame:
    """Terms by outcome."""
    return pd.DataFrame({code: fitted.params[code].drop("Intercept") for code in fitted.choices.codes})


def scales(df: pd.DataFrame) -> pd.Series:
    return pd.Series({"x": df["x"].std(ddof=0), "w": df["w"].std(ddof=0), "g[u]": 1.0, "g[v]": 1.0, "g[w]": 1.0})


def gradient(fitted, df: pd.DataFrame) -> pd.DataFrame:
    """Derivative of the mean log-likelihood by the scaled slopes, from probabilities and columns alone."""
    proba = fitted.predict_proba(df)
    residual = pd.get_dummies(df["y"])[proba.columns].astype(float) - proba
    columns = {"x": df["x"] - df["x"].mean(), "w": df["w"] - df["w"].mean()}
    columns |= {f"g[{level}]": (df["g"] == level).astype(float) for level in "uvw"}
    x = pd.DataFrame(columns) / scales(df)
    assert np.abs(residual.sum()).max() < 1e-6 * len(df)
    return x.T @ residual / len(df)


@pytest.mark.parametrize("factors", [None, {"x": 0.0, "g": 3.0}])
@pytest.mark.parametrize(("penalty", "ratio"), [("l2", 0.0), ("l1", 1.0), ("elasticnet", 0.5), ("elasticnet", 0.9)])
def test_conditions_of_optimality(df, penalty, ratio, factors) -> None:
    alpha = 0.03
    options = {"l1_ratio": ratio} if penalty == "elasticnet" else {}
    model = MNLogit(FORMULA, penalty=penalty, alpha=alpha, penalty_factors=factors, tol=1e-9, **options)
    fitted = model.fit(df)
    b = slopes(fitted).mul(scales(df), axis=0)
    g = gradient(fitted, df).loc[b.index]
    weight = pd.Series(1.0, b.index)
    if factors is not None:
        weight[:] = [0.0 if t == "x" else 3.0 if t.startswith("g[") else 1.0 for t in b.index]
    g = g.sub((1 - ratio) * alpha * b.mul(weight, axis=0))
    bound = ratio * alpha * weight
    inside = b == 0
    free = weight == 0
    assert np.abs(g[free]).max(axis=None) < 1e-5 if free.any() else True
    active = g.sub(np.sign(b).mul(bound, axis=0)).where(~inside, 0.0)
    assert np.abs(active).max(axis=None) < 1e-5
    assert (g.abs().where(inside, 0.0).sub(bound, axis=0) <= 1e-5).all(axis=None)
    if ratio:
        assert 0 < inside.sum().sum() < inside.size
        assert fitted.effective_df < 2 + inside.size


def test_zeros_are_reported_as_zeros(df) -> None:
    fitted = MNLogit(FORMULA, penalty="l1", alpha=0.05).fit(df)
    zeros = int((slopes(fitted) == 0).sum().sum())
    assert 3 < zeros < slopes(fitted).size
    assert "the penalty sets some of them to zero" in plain_text(fitted)
    assert "sum to zero" not in plain_text(fitted)
    assert fitted.params.xs("Intercept", level="term").sum() == pytest.approx(0, abs=1e-12)
    against = MNLogit(FORMULA, penalty="l1", alpha=0.05, base="car").fit(df)
    expected = fitted.params["bus", "x"] - fitted.params["car", "x"]
    assert against.params["bus", "x"] == pytest.approx(expected, abs=1e-12)


def test_units_of_a_column_change_its_coefficient_only(df) -> None:
    other = df.assign(x=df["x"] / 1000 + 7, w=-df["w"])
    for penalty in ("l2", "l1", "elasticnet"):
        model = MNLogit(FORMULA, penalty=penalty, alpha=0.02, tol=1e-9)
        one, two = model.fit(df), model.fit(other)
        assert slopes(two).loc["x"].to_numpy() == pytest.approx(1000 * slopes(one).loc["x"].to_numpy(), rel=1e-4)
        assert slopes(two).loc["w"].to_numpy() == pytest.approx(-slopes(one).loc["w"].to_numpy(), abs=1e-5)
        assert two.log_proba(other) == pytest.approx(one.log_proba(df), abs=1e-5)


# Multiples by term


def test_a_factor_scales_the_column(df) -> None:
    fitted = MNLogit("y ~ x", penalty="l2", alpha=0.02, penalty_factors={"x": 10}, tol=1e-13).fit(df)
    strong = MNLogit("y ~ x", penalty="l2", alpha=0.2, tol=1e-13).fit(df)
    assert fitted.params.to_numpy() == pytest.approx(strong.params.to_numpy(), abs=1e-6)
    two = MNLogit("y ~ x + w", penalty="l2", alpha=0.02, penalty_factors={"x": 10, "w": 10}, tol=1e-13).fit(df)
    same = MNLogit("y ~ x + w", penalty="l2", alpha=0.2, tol=1e-13).fit(df)
    assert two.params.to_numpy() == pytest.approx(same.params.to_numpy(), abs=1e-6)
    # By hand: ten times the penalty of an indicator is that of a tenth of its square, of root ten times its slope.
    model = MNLogit("y ~ x + C(g)", penalty="l2", alpha=0.02, tol=1e-13)
    ten = model.replace(penalty_factors={"C(g)": 10}).fit(df)
    design = np.column_stack([df["x"] / df["x"].std(ddof=0), *[(df["g"] == v) / np.sqrt(10) for v in "uvw"]])
    y = np.array([list(ten.choices.codes).index(code) for code in df["y"]])

    def objective(theta: np.ndarray) -> float:
        b = theta.reshape(5, 3)
        z = b[0] + design @ b[1:]
        scores = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
        return float(scores.mean() + 0.01 * np.square(b[1:]).sum())

    found = optimize.minimize(objective, np.zeros(15), method="BFGS", options={"gtol": 1e-7}).x.reshape(5, 3)
    mine = slopes(ten)
    assert mine.filter(like="C(g)", axis=0).to_numpy() == pytest.approx(found[2:] / np.sqrt(10), abs=1e-4)
    assert mine.loc["x"].to_numpy() * df["x"].std(ddof=0) == pytest.approx(found[1], abs=1e-4)


def test_a_factor_of_zero_leaves_a_term_free(df) -> None:
    for penalty in ("l2", "l1"):
        model = MNLogit("y ~ x + g", penalty=penalty, alpha=1e4, penalty_factors={"x": 0})
        fitted = model.replace(tol=1e-10).fit(df)
        alone = MNLogit("y ~ x").fit(df)
        gap = fitted.params["car", "x"] - fitted.params["bus", "x"]
        assert gap == pytest.approx(alone.params["car", "x"], abs=1e-4)
        assert slopes(fitted).filter(like="g[", axis=0).abs().max(axis=None) < 1e-3
    assert fitted.alpha == 1e4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty_factors": {"x": -1}}, r"penalty_factors\['x'\]=-1 is not allowed"),
        ({"penalty_factors": [1]}, "must be a mapping from terms to factors"),
        ({"penalty": None, "alpha": "auto", "penalty_factors": {"x": 1}}, "have no effect without a penalty"),
        ({"penalty": "elasticnet", "l1_ratio": 1.0}, "penalty='l1' is the case of 1"),
        ({"rule": "1se"}, "rule='1se' is not an option"),
        ({"folds": 1}, "folds=1 is not allowed"),
        ({"path": 1}, "path=1 is not allowed"),
        ({"penalty": "l1", "cov_type": "robust"}, "refit the chosen columns without a penalty on other data"),
    ],
)
def test_refusals(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        MNLogit("y ~ x", **{"penalty": "l2", "alpha": 0.1, **options})


def test_factors_name_terms(df) -> None:
    model = MNLogit(FORMULA, penalty="l2", alpha=0.1, penalty_factors={"gg": 2})
    with pytest.raises(
        OptionError, match=r"'gg', which is no term of the formula. Did you mean 'g'\? Terms: 'g', 'x', 'w'"
    ):
        model.fit(df)
    with pytest.raises(OptionError, match="alpha='validation' needs a sample"):
        MNLogit("y ~ x", penalty="l2", alpha="validation").fit(df)


# Searches


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_cross_validation_by_person_by_hand(panel, penalty) -> None:
    model = MNLogit("occupation ~ educ + exper", penalty=penalty, alpha="cv", folds=3, path=12, tol=1e-10)
    fitted = model.fit(panel, seed=5)
    folds = fitted.folds
    assert sorted(folds.index) == sorted(panel.persons)
    assert folds.value_counts().max() - folds.value_counts().min() <= 1
    assert folds.equals(model.fit(panel, seed=5).folds)
    assert not folds.equals(model.fit(panel, seed=6).folds)
    frame = fitted.path.frame
    assert frame["chosen"].sum() == 1
    assert frame.loc[frame["chosen"], "alpha"].iloc[0] == fitted.alpha
    assert frame["score"].max() == frame.loc[frame["chosen"], "score"].iloc[0]
    # Held-out scores of the chosen alpha: the scales of the columns are those of the whole sample.
    data = panel.to_frame().astype({"occupation": int})
    person = data["person"].map(folds).to_numpy()
    scaled = data.assign(**{c: (data[c] - data[c].mean()) / data[c].std(ddof=0) for c in ("educ", "exper")})
    scores = np.empty(len(data))
    for k in range(3):
        inside, outside = scaled[person == k], scaled[person != k]
        # Scaled again within the fold, so the penalty of every column is put back.
        factors = {c: float(outside[c].std(ddof=0) ** -2) for c in ("educ", "exper")}
        if penalty == "l1":
            factors = {c: float(outside[c].std(ddof=0) ** -1) for c in ("educ", "exper")}
        own = MNLogit(
            "occupation ~ educ + exper", penalty=penalty, alpha=fitted.alpha, penalty_factors=factors, tol=1e-12
        ).fit(outside)
        scores[person == k] = own.log_likelihood(inside)
    found = mean_score(scores, data["person"].to_numpy(), None)
    chosen = frame[frame["chosen"]].iloc[0]
    assert chosen["score"] == pytest.approx(found.mean, abs=1e-5)
    assert chosen["std_error"] == pytest.approx(found.std_error, rel=1e-3)


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_one_standard_error_takes_the_strongest_that_is_as_good(panel, penalty) -> None:
    model = MNLogit("occupation ~ educ + exper", penalty=penalty, alpha="cv", folds=3, path=12)
    best, one = model.fit(panel, seed=5), model.replace(rule="one_se").fit(panel, seed=5)
    assert one.alpha > best.alpha
    frame = one.path.frame
    top = frame.loc[frame["score"].idxmax()]
    bound = top["score"] - top["std_error"]
    assert one.alpha == frame.loc[frame["score"] >= bound, "alpha"].max()
    # Something stronger was tried and was worse, or nothing is left that could be.
    stronger = frame[frame["alpha"] > one.alpha]
    assert (stronger["score"] < bound).all()
    assert "strongest within one standard error" in plain_text(one)


def test_validation_of_every_penalty(panel) -> None:
    train, valid = panel.split([0.6, 0.4], seed=0)
    for penalty in ("l1", "elasticnet", "l2"):
        model = MNLogit("occupation ~ educ + exper", penalty=penalty, alpha="validation", path=8, tol=1e-9)
        fitted = model.fit(train, validation=valid)
        frame = fitted.path.frame
        assert fitted.folds is None
        for alpha, score in frame[["alpha", "score"]].iloc[:: max(1, len(frame) // 3)].to_numpy():
            again = model.replace(alpha=float(alpha)).fit(train)
            assert again.log_likelihood(valid).mean() == pytest.approx(score, abs=1e-4)
        assert model.replace(alpha="auto").fit(train, validation=valid).alpha == fitted.alpha


# The path


def test_the_path_and_its_figure(df, tmp_path) -> None:
    fitted = MNLogit("y ~ x + w", penalty="l1", folds=2, path=10, tol=1e-9).fit(df, seed=0)
    path = fitted.path
    assert path.frame.columns.tolist() == ["alpha", "score", "std_error", "nonzero", "chosen"]
    assert path.frame["alpha"].is_monotonic_increasing
    assert path.frame["nonzero"].iloc[-1] == 0
    assert path.term_norms.columns.tolist() == ["x", "w"]
    spread = pd.Series({"x": df["x"].std(ddof=0), "w": df["w"].std(ddof=0)})
    for alpha in path.term_norms.index[[2, 5]]:
        own = slopes(MNLogit("y ~ x + w", penalty="l1", alpha=float(alpha), tol=1e-9).fit(df)).mul(spread, axis=0)
        assert path.term_norms.loc[alpha].to_dict() == pytest.approx(np.sqrt((own**2).sum(axis=1)).to_dict(), abs=1e-4)
        assert path.frame.set_index("alpha").loc[alpha, "nonzero"] == (own != 0).sum().sum()
    figure = path.plot(tmp_path / "path.png")
    assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) == 2
    fitted.save(tmp_path / "fit")
    back = el.load(tmp_path / "fit")
    assert back.path.frame.equals(path.frame)
    assert back.path.term_norms.equals(path.term_norms)
    assert back.folds is None
    assert back.params.equals(fitted.params)
