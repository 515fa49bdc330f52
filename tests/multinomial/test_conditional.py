"""Alternative-specific columns, choice sets and offsets."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers
from scipy import optimize
from statsmodels.discrete.conditional_models import ConditionalLogit

import econllm as el
from econllm.errors import CollinearityWarning, DataError, MissingColumnError, OptionError
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

CODES = ("bus", "car", "walk")


def travel(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Choices by income and price; each row can choose two or three outcomes."""
    rng = np.random.default_rng(seed)
    income, price = rng.normal(size=n), rng.normal(size=(n, 3))
    able = rng.random((n, 3)) < 0.8
    able[able.sum(axis=1) < 2] = True
    utility = np.column_stack([0.3 + 0 * income, income, -0.5 * income]) - 0.8 * price + rng.gumbel(size=(n, 3))
    df = pd.DataFrame({"income": income})
    for j, code in enumerate(CODES):
        df[f"price[{code}]"] = price[:, j]
        df[f"able[{code}]"] = able[:, j]
    df["free"] = np.array(CODES)[utility.argmax(axis=1)]
    df["y"] = np.array(CODES)[np.where(able, utility, -np.inf).argmax(axis=1)]
    return df


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    return travel()


def by_hand(z: np.ndarray, y: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Maximum likelihood of u_ij = z_ij'theta, written out, and the inverse information by differences."""
    able = np.ones(z.shape[:2], dtype=bool) if mask is None else mask

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        u = np.where(able, z @ theta, -np.inf)
        log_proba = u - np.log(np.exp(u).sum(axis=1, keepdims=True))
        residual = np.exp(log_proba)
        residual[np.arange(len(y)), y] -= 1
        return -log_proba[np.arange(len(y)), y].sum(), np.einsum("ij,ijk->k", residual, z)

    found = optimize.minimize(negative, np.zeros(z.shape[2]), jac=True, method="BFGS", options={"gtol": 1e-8})
    return found.x, -found.fun


def positions(values: pd.Series) -> np.ndarray:
    return values.map({code: j for j, code in enumerate(CODES)}).to_numpy()


def blocks(df: pd.DataFrame, *columns: str) -> np.ndarray:
    """Constants and columns of the row for car and walk, then the price."""
    parts = [np.ones(len(df)), *(df[c] for c in columns)]
    z = np.zeros((len(df), 3, 2 * len(parts) + 1))
    for j in (1, 2):
        for k, part in enumerate(parts):
            z[:, j, (j - 1) * len(parts) + k] = part
    z[:, :, -1] = df[[f"price[{code}]" for code in CODES]]
    return z


# Against other software and by hand


def test_conditional_logit_of_statsmodels(df) -> None:
    fitted = MNLogit("free ~ 1 | price[alt]", cov_type="nonrobust").fit(df)
    long = pd.DataFrame(
        {
            "chosen": (np.arange(3)[None] == positions(df["free"])[:, None]).ravel().astype(float),
            "car": np.tile([0.0, 1, 0], len(df)),
            "walk": np.tile([0.0, 0, 1], len(df)),
            "price": df[[f"price[{c}]" for c in CODES]].to_numpy().ravel(),
        }
    )
    groups = np.repeat(np.arange(len(df)), 3)
    theirs = ConditionalLogit(long["chosen"], long[["car", "walk", "price"]], groups=groups).fit(disp=0)
    assert fitted.params.to_numpy() == pytest.approx(theirs.params.to_numpy(), abs=1e-5)
    assert fitted.std_errors.to_numpy() == pytest.approx(theirs.bse.to_numpy(), rel=1e-4)
    assert fitted.params.index.tolist()[-1] == ("(common)", "price[alt]")
    assert fitted.info.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)


def test_columns_of_the_row_and_of_the_outcome(df) -> None:
    fitted = MNLogit("free ~ income | price[alt]", tol=1e-13).fit(df)
    theta, likelihood = by_hand(blocks(df, "income"), positions(df["free"]))
    assert fitted.params.to_numpy() == pytest.approx(theta, abs=1e-5)
    assert fitted.info.log_likelihood == pytest.approx(likelihood, abs=1e-8)
    assert fitted.info.parameters == fitted.effective_df == 5
    assert fitted.joint_tests().index.tolist() == ["income", "price[alt]"]


def test_staying_in_an_occupation() -> None:
    panel = careers(150, 4)
    fitted = MNLogit("occupation ~ educ | stay()", tol=1e-13).fit(panel)
    frame = panel.to_frame()
    codes = list(panel.choices.codes)
    last = frame["occupation"].astype(int).groupby(frame["person"]).shift()
    z = np.zeros((len(frame), 4, 7))
    for j in (1, 2, 3):
        z[:, j, 2 * (j - 1)], z[:, j, 2 * (j - 1) + 1] = 1, frame["educ"] / 10
    z[:, :, -1] = last.to_numpy()[:, None] == np.array(codes)
    theta, likelihood = by_hand(z, panel.outcome)
    theta[[1, 3, 5]] /= 10
    assert fitted.params.to_numpy() == pytest.approx(theta, abs=1e-5)
    assert fitted.info.log_likelihood == pytest.approx(likelihood, abs=1e-7)


# Choice sets


def test_choice_sets_against_a_masked_likelihood(df) -> None:
    model = MNLogit("y ~ income | price[alt]", choice_sets="able", cov_type="nonrobust", tol=1e-13)
    fitted = model.fit(df)
    able = df[[f"able[{c}]" for c in CODES]].to_numpy()
    z = blocks(df, "income")
    theta, likelihood = by_hand(z, positions(df["y"]), able)
    assert fitted.params.to_numpy() == pytest.approx(theta, abs=1e-5)
    assert fitted.info.log_likelihood == pytest.approx(likelihood, abs=1e-8)
    proba = fitted.predict_proba(df).to_numpy()
    assert np.array_equal(proba == 0, ~able)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    centred = z - np.einsum("ij,ijk->ik", proba, z)[:, None]
    information = np.einsum("ij,ijk,ijl->kl", proba, centred, centred)
    assert fitted.cov.to_numpy() == pytest.approx(np.linalg.inv(information), rel=1e-5)
    scores = np.einsum("ij,ijk->ik", np.eye(3)[positions(df["y"])] - proba, z)
    robust = model.replace(cov_type="robust", ssc="parameters").fit(df)
    n, bread = len(df), np.linalg.inv(information)
    expected = bread @ scores.T @ scores @ bread * n / (n - 5)
    assert robust.cov.to_numpy() == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(fitted.null_log_likelihood)
    null, _ = by_hand(z[:, :, [0, 2]], positions(df["y"]), able)[::-1]
    assert fitted.null_log_likelihood == pytest.approx(null, abs=1e-6)


def test_what_was_chosen_must_have_been_available(df) -> None:
    model = MNLogit("y ~ income", choice_sets="able")
    wrong = df.assign(**{"able[car]": df["able[car]"] & ~((df["y"] == "car") & (df.index < 50))})
    count = int(((df["y"] == "car") & (df.index < 50)).sum())
    with pytest.raises(DataError, match=rf"{count} of 400 rows .* chose an outcome that was not available"):
        model.fit(wrong)
    with pytest.raises(DataError, match=r"have no available outcome"):
        model.fit(df.assign(**{f"able[{c}]": df[f"able[{c}]"] & (df.index > 2) for c in CODES}))
    with pytest.raises(MissingColumnError, match=r"'abel' needs a column abel"):
        model.replace(choice_sets="abel").fit(df)
    fitted = model.fit(df)
    with pytest.raises(MissingColumnError, match=r"needs a column able"):
        fitted.predict_proba(df[["income"]])
    # At prediction what happened may have been impossible: its score says so.
    assert np.isneginf(fitted.log_likelihood(wrong)).sum() == count


def test_choice_sets_with_outcomes_that_never_occur(df) -> None:
    wide = df.assign(y=pd.Categorical(df["y"], categories=[*CODES, "plane", "boat"]))
    rng = np.random.default_rng(1)
    wide["able[plane]"], wide["able[boat]"] = rng.random(400) < 0.5, rng.random(400) < 0.5
    for code in ("plane", "boat"):
        wide[f"price[{code}]"] = 0.0
    model = MNLogit("y ~ income | price[alt]", choice_sets="able")
    fitted, narrow = model.fit(wide), model.fit(df)
    assert fitted.params.to_numpy() == pytest.approx(narrow.params.to_numpy(), abs=1e-9)
    proba = fitted.predict_proba(wide)
    reserved = 0.5 / (400 + 0.5 * 2)
    able = wide[["able[plane]", "able[boat]"]].to_numpy()
    assert proba[["plane", "boat"]].to_numpy() == pytest.approx(np.where(able, reserved, 0.0), abs=1e-15)
    left = 1 - reserved * able.sum(axis=1, keepdims=True)
    expected = narrow.predict_proba(df).to_numpy() * left
    assert proba[list(CODES)].to_numpy() == pytest.approx(expected, abs=1e-9)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    # A row that has nothing but outcomes without an estimate shares them equally.
    alone = wide.iloc[:3].assign(**{f"able[{c}]": False for c in CODES} | {"able[plane]": True, "able[boat]": True})
    found = fitted.predict_proba(alone)
    assert found[["plane", "boat"]].to_numpy() == pytest.approx(0.5)
    one = fitted.predict_proba(alone.assign(**{"able[boat]": False}))
    assert one["plane"].tolist() == [1.0, 1.0, 1.0]


def test_an_outcome_without_estimate_takes_no_share_where_nothing_else_is_left(df) -> None:
    single = df.assign(**{f"able[{c}]": df["y"] == c for c in CODES})
    together = pd.concat([df, single], ignore_index=True)
    model = MNLogit("y ~ income | price[alt]", choice_sets="able", cov_type=None, tol=1e-13)
    # Rows with a single possibility say nothing.
    assert model.fit(together).params.to_numpy() == pytest.approx(model.fit(df).params.to_numpy(), abs=1e-6)
    assert model.fit(df).predict_proba(single).max(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-12)


def test_weights_of_zero_may_have_chosen_what_does_not_count(df) -> None:
    wide = df.assign(y=df["y"].where(df.index > 3, "plane"))
    wide["able[plane]"], wide["price[plane]"] = wide.index <= 3, 0.0
    weights = pd.Series((df.index > 3).astype(float), df.index)
    model = MNLogit("y ~ income | price[alt]", choice_sets="able", tol=1e-13)
    fitted = model.fit(wide, weights=weights)
    clean = model.fit(df[df.index > 3])
    assert fitted.params.to_numpy() == pytest.approx(clean.params.to_numpy(), abs=1e-6)
    assert "plane" in fitted.info.unseen


# Offsets


def test_an_offset_is_a_coefficient_that_is_known(df) -> None:
    free = MNLogit("free ~ income | price[alt]", tol=1e-13).fit(df)
    known = df.assign(**{f"o[{c}]": df[f"price[{c}]"] * free.params["(common)", "price[alt]"] for c in CODES})
    held = MNLogit("free ~ income", offset="o", tol=1e-13).fit(known)
    assert held.params.to_numpy() == pytest.approx(free.params.to_numpy()[:-1], abs=1e-6)
    assert held.predict_proba(known).to_numpy() == pytest.approx(free.predict_proba(df).to_numpy(), abs=1e-8)
    assert held.info.log_likelihood == pytest.approx(free.info.log_likelihood, abs=1e-8)
    wrong = MNLogit("free ~ income", tol=1e-13).fit(df)
    assert held.info.log_likelihood > wrong.info.log_likelihood + 10


def test_offsets_and_choice_sets_together(df) -> None:
    known = df.assign(**{f"o[{c}]": -0.8 * df[f"price[{c}]"] for c in CODES})
    fitted = MNLogit("y ~ income", offset="o", choice_sets="able", tol=1e-13).fit(known)
    able = df[[f"able[{c}]" for c in CODES]].to_numpy()
    z = blocks(df, "income")

    def negative(theta: np.ndarray) -> float:
        u = np.where(able, z[:, :, :4] @ theta - 0.8 * z[:, :, 4], -np.inf)
        return -(u - np.log(np.exp(u).sum(axis=1, keepdims=True)))[np.arange(400), positions(df["y"])].sum()

    assert fitted.info.log_likelihood == pytest.approx(-negative(fitted.params.to_numpy()), abs=1e-8)
    found = optimize.minimize(negative, fitted.params.to_numpy(), method="BFGS", options={"gtol": 1e-6})
    assert fitted.params.to_numpy() == pytest.approx(found.x, abs=1e-4)
    # What is missing where nothing can be chosen does not matter.
    holes = known.assign(**{"o[car]": known["o[car]"].where(known["able[car]"])})
    again = MNLogit("y ~ income", offset="o", choice_sets="able", tol=1e-13).fit(holes)
    assert again.params.equals(fitted.params)


def test_offsets_that_are_refused(df) -> None:
    known = df.assign(**{f"o[{c}]": 0.1 for c in CODES})
    with pytest.raises(DataError, match=r"1 of 400 rows .* have missing values"):
        MNLogit("free ~ income", offset="o").fit(known.assign(**{"o[car]": known["o[car]"].where(df.index > 0)}))
    with pytest.raises(MissingColumnError, match=r"offset='p' needs a column p"):
        MNLogit("free ~ income", offset="p").fit(known)
    dropped = MNLogit("free ~ income", offset="o", missing="drop").fit(
        known.assign(**{"o[car]": known["o[car]"].where(df.index > 0)})
    )
    assert dropped.info.dropped == 1


# Columns without a coefficient of their own


def spans(df: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Columns by outcome that others span."""
    distance = {"bus": 1.0, "car": 4.0, "walk": -2.0}
    x = df["income"]
    values = {
        "twice": lambda c: 2 * df[f"price[{c}]"] + 1,
        "same distances in every row": lambda c: x * 7 + distance[c],
        "distances times income": lambda c: x * distance[c] + 3,
    }[kind]
    return df.assign(**{f"z[{c}]": values(c) for c in CODES})


@pytest.mark.parametrize("choice_sets", [None, "able"])
@pytest.mark.parametrize("offset", [None, "o"])
@pytest.mark.parametrize("kind", ["twice", "same distances in every row", "distances times income"])
def test_spanned_columns_are_left_out(df, kind, offset, choice_sets) -> None:
    y = "y" if choice_sets else "free"
    wider = spans(df, kind).assign(**{f"o[{c}]": 0.1 * np.arange(400) / 400 for c in CODES})
    options = {"offset": offset, "choice_sets": choice_sets, "cov_type": "nonrobust", "tol": 1e-13}
    clean = MNLogit(f"{y} ~ income | price[alt]", **options).fit(wider)
    with pytest.warns(CollinearityWarning, match=r"1 alternative-specific columns say nothing .* 'z\[alt\]'"):
        fitted = MNLogit(f"{y} ~ income | price[alt] + z[alt]", **options).fit(wider)
    assert fitted.params.index.equals(clean.params.index)
    assert fitted.params.to_numpy() == pytest.approx(clean.params.to_numpy(), abs=1e-6)
    assert fitted.std_errors.to_numpy() == pytest.approx(clean.std_errors.to_numpy(), rel=1e-6)
    assert np.isfinite(fitted.std_errors).all()
    assert "Omitted, spanned by other columns: z[alt]" in " ".join(str(fitted).split())
    assert fitted.log_proba(wider) == pytest.approx(clean.log_proba(wider), abs=1e-6)


def test_a_column_that_varies_where_it_can_be_chosen_only(df) -> None:
    # Constant within every choice set, though not over all outcomes: it changes no probability.
    able = df[[f"able[{c}]" for c in CODES]].to_numpy()
    wider = df.assign(**{f"z[{c}]": np.where(able[:, j], df["income"], 5.0) for j, c in enumerate(CODES)})
    with pytest.raises(DataError, match=r"z\[alt\] is the same for all outcomes in every row"):
        MNLogit("y ~ income | price[alt] + z[alt]", choice_sets="able").fit(wider)


def test_an_outcome_that_goes_with_a_level_only_is_not_identified_elsewhere(df) -> None:
    # Walking is possible in the city only: its coefficient of the countryside is about nothing.
    place = np.where(np.arange(400) % 2, "city", "land")
    wider = df.assign(place=place, **{"able[walk]": df["able[walk]"] & (place == "city")})
    wider = wider[(wider["y"] != "walk") | (place == "city")]
    model = MNLogit("y ~ C(place)", choice_sets="able", cov_type="nonrobust", tol=1e-13)
    fitted = model.fit(wider)
    assert fitted.std_errors.isna().to_dict() == {
        ("car", "Intercept"): False,
        ("car", "C(place)[land]"): False,
        ("walk", "Intercept"): False,
        ("walk", "C(place)[land]"): True,
    }
    assert fitted.info.parameters == 3
    assert fitted.cov_description.endswith("none for 1 coefficients that the choice sets do not identify")
    # Two logits made apart.
    for name, part in wider.groupby("place"):
        options = {"choice_sets": "able", "cov_type": "nonrobust", "tol": 1e-13}
        own = MNLogit("y ~ 1", **options).fit(part)
        value = fitted.params["car", "Intercept"] + (name == "land") * fitted.params["car", "C(place)[land]"]
        assert value == pytest.approx(own.params["car", "Intercept"], abs=1e-6)
    sums = "[car]Intercept + [car]C(place)[land]"
    land = MNLogit("y ~ 1", choice_sets="able", cov_type="nonrobust", tol=1e-13).fit(wider[wider["place"] == "land"])
    assert fitted.lincom(sums).estimates["std_error"].iloc[0] == pytest.approx(
        land.std_errors["car", "Intercept"], rel=1e-6
    )


# Penalties, saving, new data


def test_penalties_leave_common_columns_free_unless_named(df) -> None:
    model = MNLogit("free ~ income | price[alt]", penalty="l2", alpha=1e6, tol=1e-12)
    fitted = model.fit(df)
    assert fitted.params.xs("income", level="term").abs().max() < 1e-5
    assert fitted.params["(common)", "price[alt]"] < -0.5
    alone = MNLogit("free ~ 1 | price[alt]", tol=1e-12).fit(df)
    assert fitted.params["(common)", "price[alt]"] == pytest.approx(alone.params["(common)", "price[alt]"], abs=1e-4)
    named = model.replace(penalty_factors={"price[alt]": 1.0}).fit(df)
    assert abs(named.params["(common)", "price[alt]"]) < 1e-5
    lasso = model.replace(penalty="l1", alpha=10.0).fit(df)
    assert lasso.params["(common)", "price[alt]"] == pytest.approx(fitted.params["(common)", "price[alt]"], abs=1e-4)
    assert (lasso.params.xs("income", level="term") == 0).all()
    with pytest.raises(
        OptionError, match=r"names 'price', which is no term of the formula. Did you mean 'price\[alt\]"
    ):
        model.replace(penalty_factors={"price": 1.0}).fit(df)
    clustered = MNLogit("free ~ income | price[alt]", penalty="l2", alpha=0.01, cov_type="robust").fit(df)
    assert (clustered.std_errors > 0).all()


def test_units_of_a_common_column(df) -> None:
    cents = df.assign(**{f"price[{c}]": 100 * df[f"price[{c}]"] + 5 for c in CODES})
    for options in ({}, {"penalty": "l2", "alpha": 0.1}, {"choice_sets": "able"}):
        model = MNLogit(f"{'y' if 'choice_sets' in options else 'free'} ~ income | price[alt]", tol=1e-13, **options)
        one, two = model.fit(df), model.fit(cents)
        at = ("(common)", "price[alt]")
        assert two.params[at] * 100 == pytest.approx(one.params[at], rel=1e-6)
        assert two.log_proba(cents) == pytest.approx(one.log_proba(df), abs=1e-6)


def test_saved_loaded_and_new_data(df, tmp_path) -> None:
    known = df.assign(**{f"o[{c}]": 0.1 * df[f"price[{c}]"] for c in CODES})
    fitted = MNLogit("y ~ income | price[alt]", choice_sets="able", offset="o").fit(known)
    fitted.save(tmp_path / "fit")
    back = el.load(tmp_path / "fit")
    new = known.drop(columns=["y", "free"]).iloc[::-7]
    assert np.array_equal(back.log_proba(new), fitted.log_proba(new))
    assert back.predict_proba(new).index.equals(new.index)
    assert back.std_errors.equals(fitted.std_errors)
    assert str(back) == str(fitted)
    # One row at a time gives the same as all together.
    single = np.vstack([fitted.log_proba(new.iloc[[i]]) for i in range(5)])
    assert single == pytest.approx(fitted.log_proba(new.iloc[:5]), abs=1e-12)


def test_columns_by_occupation_of_a_panel() -> None:
    panel = careers(80, 3)
    frame = panel.to_frame().astype({"occupation": int})
    rng = np.random.default_rng(0)
    for code in panel.choices.codes:
        frame[f"wage_in[{code}]"] = rng.normal(size=len(frame))
    roles = {"static": ["sex"], "dynamic": ["educ", "wage_in[alt]"], "lagged": ["wage"]}
    wider = CareerPanel(frame, "person", "year", "occupation", panel.choices, **roles)
    fitted = MNLogit("occupation ~ educ | wage_in[alt] + stay()").fit(wider)
    assert fitted.cov_type == "clustered"
    assert fitted.params.index[-2:].tolist() == [("(common)", "wage_in[alt]"), ("(common)", "stay()")]
    part = wider.split([0.5, 0.5], seed=0)[1]
    whole = fitted.predict_proba(wider).loc[part.index]
    assert fitted.predict_proba(part).to_numpy() == pytest.approx(whole.to_numpy(), abs=1e-12)
