"""From columns to codes and numbers: what is standardised, lagged, missing, unknown."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import econllm as el
from econllm.career.inputs import GAP, SPELL, Coding, Factor, Number, factor_codes, nearest, standardise
from econllm.errors import DataError, MissingColumnError, UnseenLevelError
from tests.career.samples import CHOICES, ROLES, TINY, careers, fitted, panel, panel_of


def column(coding, name, lagged=False):
    """Position of a number."""
    return [(n.column, n.lagged) for n in coding.numbers].index((name, lagged))


def read(data, **options):
    coding = Coding.of(data, **options)
    return coding, coding.read(data, data.choices)


def test_histories_are_those_of_pandas():
    data = panel()
    frame = data.to_frame()
    _, c = read(data)
    position = frame["job"].map({code: i for i, code in enumerate(CHOICES.codes)})
    before = (position.groupby(frame["id"]).shift() + 1).fillna(0).astype(int)
    assert (c.outcome == position).all()
    assert (c.last == before).all()
    assert c.lengths.tolist() == frame.groupby("id").size().tolist()
    assert frame["id"].to_numpy()[c.starts].tolist() == sorted(frame["id"].unique())
    assert c.target.all()
    assert len(c) == 40


def test_numbers_have_mean_zero_and_variance_one_and_zero_where_missing():
    data = panel()
    frame = data.to_frame()
    coding, c = read(data)
    for name in ("birth", "educ", "year"):
        j = column(coding, name)
        values = frame[name].astype(float)
        expected = ((values - values.mean()) / values.std(ddof=0)).fillna(0.0)
        np.testing.assert_allclose(c.numbers[:, j], expected, atol=1e-6)
        assert (c.numbers[:, len(coding.numbers) + j] == values.isna()).all()
    assert frame["educ"].isna().any()


def test_lagged_columns_are_those_of_the_record_before():
    data = panel()
    frame = data.to_frame()
    coding, c = read(data)
    hours = frame.groupby("id")["hours"].shift()
    j = column(coding, "hours", lagged=True)
    np.testing.assert_allclose(
        c.numbers[:, j], ((hours - hours.mean()) / hours.std(ddof=0)).clip(-5, 5).fillna(0.0), atol=1e-6
    )
    assert (c.numbers[:, len(coding.numbers) + j] == hours.isna()).all()
    sector = frame["sector"].astype(object).groupby(frame["id"]).shift()
    k = [f.column for f in coding.factors].index("sector")
    expected = sector.map({"private": 1, "public": 2}).fillna(0).astype(int) + coding.offsets[k]
    assert (c.factors[:, k] == expected).all()


def test_the_gap_is_the_log_of_one_plus_the_time_since_the_record_before():
    data = panel()
    frame = data.to_frame()
    coding, c = read(data)
    gap = np.log1p(frame.groupby("id")["year"].diff())
    j = column(coding, GAP)
    np.testing.assert_allclose(c.numbers[:, j], ((gap - gap.mean()) / gap.std(ddof=0)).fillna(0.0), atol=1e-6)
    assert GAP not in [n.column for n in Coding.of(data, gap=False).numbers]


def test_the_spell_is_the_number_of_records_in_a_row_with_the_last_occupation():
    data = panel()
    frame = data.to_frame()
    coding, c = read(data, spell=True)
    expected = []
    for _, jobs in frame.groupby("id")["job"]:
        for t in range(len(jobs)):
            before = jobs.iloc[:t][::-1].tolist()
            run = next((i for i, job in enumerate(before) if job != before[0]), len(before))
            expected.append(np.log1p(run) if t else np.nan)
    values = np.array(expected)
    j = column(coding, SPELL)
    scaled = (values - np.nanmean(values)) / np.nanstd(values)
    np.testing.assert_allclose(c.numbers[:, j], np.nan_to_num(scaled), atol=1e-6)
    assert (c.numbers[:, len(coding.numbers) + j] == np.isnan(values)).all()
    assert SPELL not in [n.column for n in read(data, spell=False)[0].numbers]


def test_categories_and_their_missing_value_have_rows_of_their_own():
    data = panel()
    coding, c = read(data)
    region = data.to_frame()["region"]
    k = [f.column for f in coding.factors].index("region")
    assert coding.factors[k].levels == ("east", "north", "west")
    expected = region.astype(object).map({"east": 1, "north": 2, "west": 3}).fillna(0).astype(int)
    assert (c.factors[:, k] - coding.offsets[k] == expected).all()
    assert coding.levels == sum(f.size for f in coding.factors) == (2 + 1) + (3 + 1) + (2 + 1)
    assert c.factors.max() < coding.levels


def test_moments_are_those_of_the_records_that_are_predicted():
    early, late = panel().split_time(1995)
    coding = Coding.of(late)
    number = coding.numbers[column(coding, "educ")]
    assert number.mean == pytest.approx(late.to_frame()["educ"].mean())
    assert number.mean != pytest.approx(late.to_frame(history=True)["educ"].mean())
    assert min(coding.times) > 1995
    assert max(Coding.of(early).times) <= 1995


def test_far_values_are_cut_at_five_standard_deviations():
    number = Number("x", False, 10.0, 2.0)
    values, missing = standardise(np.array([1e6, -1e6, np.inf, np.nan, 11.0]), number)
    assert values.tolist() == [5.0, -5.0, 0.0, 0.0, 0.5]
    assert missing.tolist() == [False, False, True, True, False]


def odd_columns():
    df = careers()
    g = np.random.default_rng(5)
    return df.assign(
        flag=g.random(len(df)) < 0.5,
        flag_missing=pd.array(np.where(g.random(len(df)) < 0.2, None, g.random(len(df)) < 0.5), dtype="boolean"),
        flag_object=pd.Series(np.where(g.random(len(df)) < 0.2, None, g.random(len(df)) < 0.5), df.index, object),
        whole=pd.array(np.where(g.random(len(df)) < 0.2, None, g.integers(5, size=len(df))), dtype="Int64"),
        nothing=np.nan,
        nothing_object=pd.Series([None] * len(df), df.index, object),
        constant=7.0,
        text="same",
        ordered=pd.Categorical(g.choice([3, 1, 2], len(df)), categories=[3, 1, 2], ordered=True),
    )


ODD = ["flag", "flag_missing", "flag_object", "whole", "nothing", "nothing_object", "constant", "text", "ordered"]


@pytest.mark.parametrize("name", ODD)
def test_odd_columns_are_read_and_predicted(name):
    for roles in ({"dynamic": [name]}, {"dynamic": [], "lagged": [name]}):
        data = panel_of(odd_columns(), **{"static": [], "lagged": [], **roles})
        coding, c = read(data)
        assert np.isfinite(c.numbers).all()
        if not roles["dynamic"]:
            continue
        fit = el.CAREER(**TINY).fit(data, seed=0)
        np.testing.assert_allclose(np.exp(fit.log_proba(data)).sum(axis=1), 1, atol=1e-9)
    assert coding.columns == 2 * len(coding.numbers)


def test_booleans_are_the_numbers_zero_and_one():
    data = panel_of(odd_columns(), dynamic=["flag", "flag_missing"])
    coding, c = read(data)
    frame = data.to_frame()
    for name in ("flag", "flag_missing"):
        values = frame[name].astype("float64")
        j = column(coding, name)
        np.testing.assert_allclose(
            c.numbers[:, j], ((values - values.mean()) / values.std(ddof=0)).fillna(0.0), atol=1e-6
        )


def test_constant_and_empty_columns_have_scale_one():
    data = panel_of(odd_columns(), dynamic=["constant", "nothing"])
    coding, c = read(data)
    constant, nothing = (coding.numbers[column(coding, name)] for name in ("constant", "nothing"))
    assert (constant.mean, constant.scale, nothing.mean, nothing.scale) == (7.0, 1.0, 0.0, 1.0)
    assert (c.numbers[:, column(coding, "constant")] == 0).all()


def test_columns_by_outcome_are_left_out():
    df = careers()
    for code in CHOICES.codes:
        df[f"wage[{code}]"] = 1.0
    data = panel_of(df, dynamic=["educ", "wage[alt]"])
    coding, _ = read(data)
    assert [n.column for n in coding.numbers] == ["birth", "educ", "hours", GAP, SPELL, "year"]
    for named in ("wage[alt]", "wage[10]"):
        with pytest.raises(MissingColumnError, match="does not read columns by outcome"):
            Coding.of(data, columns=[named])


def test_covariates_choose_columns():
    data = panel()
    coding = Coding.of(data, columns=["hours", "sex"], gap=False, spell=False, calendar=None)
    assert [(f.column, f.lagged) for f in coding.factors] == [("sex", False)]
    assert [(n.column, n.lagged) for n in coding.numbers] == [("hours", True)]
    fit = fitted(covariates=("hours", "sex"))
    other = panel_of(careers().assign(educ=0.0, region="east", sector="public", birth=1900))
    assert np.array_equal(fit.log_proba(other), fit.log_proba(data))
    with pytest.raises(MissingColumnError, match=r"covariates names 'educc'.*Did you mean 'educ'"):
        el.CAREER(covariates=["educc"], **TINY).fit(data)
    with pytest.raises(MissingColumnError, match="'job', which is no static"):
        el.CAREER(covariates=["job"], **TINY).fit(data)


def test_more_than_two_hundred_times_are_a_slope():
    df = pd.DataFrame({"id": 1, "t": np.arange(201), "job": ["a", "b", "a"] * 67})
    data = el.CareerPanel(df, "id", "t", "job")
    assert Coding.of(data).times == ()
    assert len(Coding.of(data.split_time(199)[0]).times) == 200
    assert Coding.of(data, calendar="number").times == ()
    assert [n.column for n in Coding.of(data, calendar=None).numbers] == [GAP, SPELL]


def test_times_as_text_are_refused_by_the_panel():
    with pytest.raises(DataError, match="time column 'year' has type"):
        panel_of(careers().assign(year=lambda df: df["year"].astype(str)))


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=8, unique=True),
    st.lists(st.floats(-80, 80), min_size=1, max_size=20),
)
def test_the_nearest_time_is_that_of_a_search(known, times):
    grid = sorted(float(v) for v in known)
    found = nearest(np.array(times), grid)
    expected = [min(range(len(grid)), key=lambda i, t=t: (abs(t - grid[i]), i)) for t in times]
    for i, j, t in zip(found, expected, times, strict=True):
        # Rounding may decide between two that are as near.
        assert i == j or abs(t - grid[i]) == pytest.approx(abs(t - grid[j]), abs=1e-9)


def test_levels_that_nobody_knows_are_named():
    fit = fitted()
    other = panel_of(careers(seed=3).replace({"region": {"west": "wset"}}))
    with pytest.raises(UnseenLevelError, match=r"column 'region': \d+ rows hold 1 levels .* 'wset'.*'west'"):
        fit.log_proba(other)
    with pytest.raises(UnseenLevelError, match="'lunar'"):
        factor_codes(pd.Series(["a", None, "lunar"]), Factor("x", False, ("a",)))


def test_a_level_unknown_in_the_past_of_a_person_is_named_too():
    df = careers(seed=3)
    df.loc[df.index[df["year"] <= 1992], "region"] = "south"
    late = panel_of(df).split_time(1993)[1]
    assert "south" not in set(late.to_frame()["region"])
    with pytest.raises(UnseenLevelError, match="'south'"):
        fitted().log_proba(late)


def test_columns_that_a_panel_lacks_are_named():
    fit = fitted()
    cases = [
        ({"dynamic": ["region"]}, "static or dynamic column 'educ'"),
        ({"lagged": ["sector"]}, "lagged column 'hours'"),
        # Known only afterwards in one panel, before in the other.
        ({"dynamic": ["region", "educ", "hours"], "lagged": ["sector"]}, "lagged column 'hours'"),
        ({"dynamic": ["region"], "lagged": ["hours", "sector", "educ"]}, "static or dynamic column 'educ'"),
    ]
    for roles, message in cases:
        with pytest.raises(MissingColumnError, match=message):
            fit.log_proba(panel_of(careers(), **roles))


def test_static_may_be_dynamic_elsewhere():
    other = panel_of(careers(), static=["sex"], dynamic=["birth", "region", "educ"])
    assert np.array_equal(fitted().log_proba(other), fitted().log_proba(panel()))


@pytest.mark.parametrize("name", ["educ", "hours"])
def test_text_where_the_model_knows_numbers_is_named(name):
    df = careers()
    df[name] = df[name].map(lambda v: None if pd.isna(v) else f"about {v:.0f}")
    with pytest.raises(DataError, match=f"column '{name}'"):
        fitted().log_proba(panel_of(df))


def test_numbers_where_the_model_knows_text_are_named():
    df = careers()
    with pytest.raises(UnseenLevelError, match="column 'region'"):
        fitted().log_proba(panel_of(df.assign(region=1.5)))


def test_an_empty_column_may_be_predicted_whatever_its_type():
    # A test sample without a single value has no type of its own.
    df = careers()
    as_object = pd.Series([None] * len(df), df.index, object)
    as_number = fitted().log_proba(panel_of(df.assign(educ=np.nan, region=as_object)))
    swapped = fitted().log_proba(panel_of(df.assign(educ=as_object, region=np.nan)))
    assert np.array_equal(as_number, swapped)


def test_numbers_as_categories_are_matched_by_value():
    df = careers().assign(grade=lambda d: pd.Categorical(d["educ"].fillna(12).astype(int)))
    data = panel_of(df, dynamic=["grade"])
    fit = el.CAREER(**TINY).fit(data, seed=0)
    assert fit.predictor.coding.factors[1].column == "grade"
    plain = panel_of(df.assign(grade=df["grade"].astype(int)), dynamic=["grade"])
    assert np.array_equal(fit.log_proba(plain), fit.log_proba(data))


def test_roles_cover_all_columns():
    coding = Coding.of(panel())
    used = {part.column for part in (*coding.factors, *coding.numbers)}
    assert used == {*ROLES["static"], *ROLES["dynamic"], *ROLES["lagged"], GAP, SPELL, "year"}


@pytest.mark.parametrize("name", [GAP, SPELL])
def test_names_that_mean_something_else_are_refused(name):
    data = panel_of(careers().rename(columns={"educ": name}), dynamic=["region", name])
    with pytest.raises(DataError, match=r"has a column '.*\(\)', a name that CAREER uses itself"):
        Coding.of(data)
    assert len(Coding.of(data, columns=["region"]).factors) == 1


def test_infinite_numbers_are_refused_with_their_column() -> None:
    df = pd.DataFrame({"id": [1, 1], "year": [1, 2], "job": ["a", "b"], "wealth": [1.0, np.inf]})
    panel = el.CareerPanel(df, "id", "year", "job", dynamic=["wealth"])
    with pytest.raises(DataError, match="column 'wealth' is infinite in 1 of 2 rows"):
        Coding.of(panel)
