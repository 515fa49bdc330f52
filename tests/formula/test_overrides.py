"""Designs at chosen values: what a variable is, where it is set, and where history stays as it was."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from econllm.datasets import simulate_careers
from econllm.errors import DataError, OptionError, UnseenLevelError
from econllm.formula import Design, DesignSpec
from econllm.formula.overrides import Variable, normal
from econllm.panel import CareerPanel


def dense(design: Design) -> np.ndarray:
    return np.hstack([b.matrix.toarray() if sparse.issparse(b.matrix) else b.matrix for b in design.blocks])


def column(design: Design, name: str) -> np.ndarray:
    return dense(design)[:, design.columns.index(name)]


@pytest.fixture
def df() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 30
    return pd.DataFrame(
        {
            "y": rng.choice(["u", "v"], n),
            "x": rng.uniform(1, 5, n),
            "hourly wage": rng.uniform(1, 5, n),
            "a": rng.choice(["a1", "a2", "a3"], n),
            "k": rng.integers(0, 3, n),
            "flag": rng.random(n) < 0.5,
        }
    )


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"x": 2.0},
        {"x": 2},
        {"x": np.linspace(1, 3, 30)},
        {"hourly wage": 3.5, "a": "a3"},
        {"a": np.array(["a1", "a2", "a3"] * 10)},
        {"k": 1},
        {"flag": True, "x": np.float64(2.5)},
        {"flag": np.arange(30) % 2 == 0},
        {},
    ],
)
def test_setting_a_column_is_changing_the_data(df: pd.DataFrame, full: bool, settings: dict) -> None:
    formula = (
        "y ~ x + a + np.log(`hourly wage`) + scale(x) + bs(x, df=4, extrapolation='clip')"
        " + a:x + C(k) + flag + flag:scale(`hourly wage`)"
        " + I(x * flag) + I((a == 'a1') * x)"
    )
    spec, _ = DesignSpec.fit(formula, df, full=full)
    remembered = repr(spec.state)
    built, by_hand = spec.build(df, settings), spec.build(df.assign(**settings))
    assert built.columns == by_hand.columns
    np.testing.assert_allclose(dense(built), dense(by_hand), rtol=1e-14)
    assert repr(spec.state) == remembered
    assert spec.build(df.iloc[:3], {"x": pd.Series([1.0, 2, 3], index=df.index[:3])}).columns == built.columns


def test_history_keeps_the_columns_as_they_were(panel: CareerPanel) -> None:
    formula = "job ~ educ + lag(educ) + changed(educ) + I(educ - years_in(educ)) + scale(educ) + bag(region) + region"
    spec, design = DesignSpec.fit(formula, panel)
    built = spec.build(panel, {"educ": 20, "region": "north"})
    for name in design.columns:
        if name.startswith(("lag", "changed", "bag")):
            np.testing.assert_array_equal(column(built, name), column(design, name))
    educ = panel.to_frame()["educ"].to_numpy()
    np.testing.assert_array_equal(column(built, "educ"), 20)
    np.testing.assert_array_equal(column(built, "region[north]"), 1)
    spells = educ - column(design, "I(educ - years_in(educ))")
    np.testing.assert_array_equal(column(built, "I(educ - years_in(educ))"), 20 - spells)
    np.testing.assert_allclose(column(built, "scale(educ)"), (20 - educ.mean()) / educ.std(ddof=1))


def test_states_are_those_of_the_estimation_where_history_and_column_meet(panel: CareerPanel) -> None:
    spec, design = DesignSpec.fit("job ~ scale(educ - years_in(educ)) + scale(record() * educ)", panel)
    before = repr(spec.state)
    educ = panel.to_frame()["educ"].to_numpy()
    inside = educ - DesignSpec.fit("job ~ years_in(educ)", panel)[1].blocks[0].matrix[:, 0]
    built = spec.build(panel, {"educ": 20})
    numbers = inside - educ + 20
    expected = (numbers - inside.mean()) / inside.std(ddof=1)
    np.testing.assert_allclose(built.blocks[0].matrix[:, 0], expected)
    product = educ * panel.record_numbers
    built = spec.build(panel, {"record()": 3})
    expected = (3 * educ - product.mean()) / product.std(ddof=1)
    np.testing.assert_allclose(built.blocks[1].matrix[:, 0], expected)
    np.testing.assert_array_equal(built.blocks[0].matrix, design.blocks[0].matrix)
    assert repr(spec.state) == before


def test_a_column_with_a_blank_in_its_name(careers: pd.DataFrame, roles: dict) -> None:
    careers["years of school"] = careers["educ"]
    panel = CareerPanel(careers, **{**roles, "dynamic": ["years of school"]})
    spec, design = DesignSpec.fit("job ~ scale(`years of school` - years_in(`years of school`))", panel)
    before = repr(spec.state)
    same = spec.build(panel, {"years of school": panel.to_frame()["years of school"]})
    np.testing.assert_allclose(dense(same), dense(design), rtol=1e-12)
    assert repr(spec.state) == before
    other = spec.build(panel, {"years of school": panel.to_frame()["years of school"] + 1})
    steps = dense(other) - dense(design)
    np.testing.assert_allclose(steps, steps[0, 0])
    assert steps[0, 0] > 0.1
    spell = spec.build(panel, {"years_in(`years of school`)": 0.0})
    assert (dense(spell) >= dense(design)).all()
    assert repr(spec.state) == before


def test_the_state_of_a_name_with_a_blank_that_occurs_twice(df: pd.DataFrame) -> None:
    spec, design = DesignSpec.fit("y ~ scale(`hourly wage` * np.sqrt(`hourly wage`))", df)
    np.testing.assert_array_equal(dense(spec.build(df.iloc[:4])), dense(design)[:4])
    assert len(spec.state) == 1


def test_records_that_only_serve_as_history_stay_as_they_were(wage_panel: CareerPanel) -> None:
    late = wage_panel.split_time(1985)[1]
    spec, _ = DesignSpec.fit("occupation ~ educ + lag(union) + np.log(exper + 1) + lag(exper)", wage_panel)
    built = spec.build(late, {"exper": np.arange(len(late))})
    plain = spec.build(late)
    np.testing.assert_allclose(column(built, "np.log(exper + 1)"), np.log(np.arange(len(late)) + 1))
    for name in ("lag(union)", "lag(exper)", "educ"):
        np.testing.assert_array_equal(column(built, name), column(plain, name))


def test_whole_terms_of_history(panel: CareerPanel) -> None:
    spec, _ = DesignSpec.fit("job ~ lag(job) + lag(job):educ + lag(wage) + years_in(job) + log(record())", panel)
    built = spec.build(panel, {"lag(job)": "nurse", "lag(wage)": 7.5, "years_in(job)": np.arange(8), "record()": 2})
    np.testing.assert_array_equal(column(built, "lag(job)[nurse]"), 1)
    assert column(built, "lag(job)[(none)]").sum() == 0
    np.testing.assert_array_equal(column(built, "lag(job)[nurse]:educ"), panel.to_frame()["educ"])
    np.testing.assert_array_equal(column(built, "lag(wage)"), 7.5)
    np.testing.assert_array_equal(column(built, "lag(wage)[(none)]"), 0)
    np.testing.assert_array_equal(column(built, "years_in(job)"), np.arange(8))
    np.testing.assert_allclose(column(built, "log(record())"), np.log(2))
    jobs = ["(none)", "cook", "clerk", "nurse"] * 2
    each = spec.build(panel, {"lag( job )": jobs})
    hits = [column(each, f"lag(job)[{job}]")[i] for i, job in enumerate(jobs)]
    assert hits == [1] * 8


def test_setting_what_is_there_changes_nothing() -> None:
    panel = simulate_careers(30, 5, seed=3)
    formula = "occupation ~ lag(occupation) + educ + exper + C(sex) + educ:C(sex) + lag(wage) + years_in(occupation)"
    spec, design = DesignSpec.fit(formula, panel)
    frame = panel.to_frame()
    last = np.where(panel.is_first, "(none)", np.roll(panel.choices.index.to_numpy(dtype=object)[panel.outcome], 1))
    settings = {"educ": frame["educ"], "sex": frame["sex"], "lag(occupation)": last}
    for overrides in ({name: value} for name, value in settings.items()):
        np.testing.assert_array_equal(dense(spec.build(panel, overrides)), dense(design))


def test_missing_values_are_filled_by_setting(df: pd.DataFrame) -> None:
    spec, _ = DesignSpec.fit("y ~ x + I(x > 2)", df)
    df.loc[3, "x"] = np.nan
    with pytest.raises(DataError, match="missing values: x in 1"):
        spec.build(df)
    assert spec.build(df, {"x": 1.0}).kept.all()


def test_variables_of_a_formula(df: pd.DataFrame, panel: CareerPanel) -> None:
    spec, _ = DesignSpec.fit("y ~ np.log(x) + x:a + C(k) + I(flag * x) + np.sqrt(`hourly wage`) + I(a == 'a1')", df)
    assert {v.name: v for v in spec.variables()} == {
        "x": Variable("x", "numeric"),
        "a": Variable("a", "factor", ("a1", "a2", "a3")),
        "k": Variable("k", "factor", (0, 1, 2)),
        "flag": Variable("flag", "factor", (False, True)),
        "hourly wage": Variable("hourly wage", "numeric"),
    }
    formula = "job ~ lag(job) + lag(wage) + educ * sex + I(record() ** 2) + bag(region) + years_in(job) + lag(C(educ))"
    spec, _ = DesignSpec.fit(formula, panel)
    found = {v.name: v for v in spec.variables()}
    assert found == {
        "lag(job)": Variable("lag(job)", "factor", ("(none)", "clerk", "cook", "nurse")),
        "lag(wage)": Variable("lag(wage)", "numeric"),
        "educ": Variable("educ", "numeric"),
        "sex": Variable("sex", "factor", ("f", "m")),
        "record()": Variable("record()", "numeric"),
        "years_in(job)": Variable("years_in(job)", "numeric"),
        "lag(C(educ))": Variable("lag(C(educ))", "factor", ("(none)", 10, 11, 12, 13, 16)),
    }
    # Every variable can be set, also after a journey through plain content.
    again = DesignSpec.from_state(spec.to_state())
    assert again.variables() == spec.variables()
    for variable in spec.variables():
        value = variable.levels[-1] if variable.kind == "factor" else 1.0
        assert len(again.build(panel, {variable.name: value})) == 8


def test_text_inside_functions_is_no_variable(df: pd.DataFrame) -> None:
    spec, _ = DesignSpec.fit("y ~ a.str.len() + x", df.assign(a=[f"text {i}" * (i % 3 + 1) for i in range(30)]))
    assert [v.name for v in spec.variables()] == ["x"]
    assert "text" not in repr(spec.to_state()).replace("'text'", "")


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ({"edu": 1}, OptionError, r"'edu' cannot be set: it is no variable of the formula. Did you mean 'educ'"),
        ({"wage": 1}, OptionError, r"'wage' cannot be set.* It enters only through 'lag\(wage\)'"),
        ({"bag(region)": 1}, OptionError, r"'bag\(region\)' cannot be set"),
        ({"educ": "high"}, DataError, "'educ' holds numbers and cannot be set to 'high'"),
        ({"educ": np.nan}, DataError, "'educ' is set to missing values in 8 of 8 rows"),
        ({"educ": None}, DataError, "'educ' is set to missing values"),
        ({"educ": [1, 2]}, DataError, "'educ' is set to 2 values; give one, or one for each of 8 rows"),
        ({"educ": pd.Series(range(8))}, DataError, "'educ' is set to have another index than"),
        ({"sex": "x"}, UnseenLevelError, "sex: 8 rows have a level that the model never saw: 'x'"),
        ({"lag(job)": "cooc"}, UnseenLevelError, r"lag\(job\) cannot be set to 'cooc'.* Did you mean 'cook'"),
        ({"lag(wage)": "much"}, DataError, r"'lag\(wage\)' holds numbers and cannot be set to 'much'"),
        ({"years_in(job)": "long"}, DataError, "holds numbers and cannot be set to 'long'"),
        ({"poly(educ, 2)": 1.0}, OptionError, r"poly\(educ, 2\) has 2 columns and cannot be set"),
    ],
)
def test_what_cannot_be_set(panel: CareerPanel, overrides: dict, error: type, message: str) -> None:
    formula = "job ~ lag(job) + lag(wage) + educ + sex + bag(region) + I(years_in(job) ** 2) + poly(educ, 2)"
    spec, _ = DesignSpec.fit(formula, panel)
    with pytest.raises(error, match=message):
        spec.build(panel, overrides)


def test_one_spelling_of_a_term() -> None:
    assert normal("lag( job,k = 2 )") == normal("lag(job, k=2)") == "lag(job, k=2)"
    assert normal("hourly wage") == "hourly wage"
    assert normal("lag(`hourly wage`)") == "lag(hourly wage)"
