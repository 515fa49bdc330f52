"""Long data made wide: round trips, unbalanced choice sets, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.datasets import from_long
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.formula import parse
from econllm.formula.alternatives import AlternativesSpec
from econllm.formula.by_outcome import read_choice_sets

MODES = ["bus", "car", "train"]


@pytest.fixture
def long() -> pd.DataFrame:
    """Three trips, out of order; trip 7 has no train."""
    df = pd.DataFrame(
        {
            "trip": [9, 9, 9, 7, 7, 8, 8, 8],
            "mode": ["bus", "car", "train", "bus", "car", "train", "bus", "car"],
            "took": [0, 1, 0, 1, 0, 0, 0, 1],
            "price": [1.0, 2, 3, 4, 5, 6, 7, 8],
            "seats": [1, 2, 3, 1, 2, 3, 1, 2],
            "late": [True, False, False, True, True, False, False, True],
            "class": pd.Categorical(["a", "b", "a", "a", "a", "b", "b", "b"]),
            "income": [10, 10, 10, 20, 20, 30, 30, 30],
            "town": ["x", "x", "x", None, None, "y", "y", "y"],
        }
    )
    return df.iloc[[3, 0, 5, 6, 1, 2, 4, 7]].set_axis(list("hgfedcba"), axis=0)


def test_one_row_per_case(long: pd.DataFrame) -> None:
    before = long.copy()
    wide = from_long(long, case="trip", alternative="mode", chosen="took")
    pd.testing.assert_frame_equal(long, before)
    assert wide["trip"].tolist() == [7, 9, 8]
    assert wide["mode"].tolist() == ["bus", "car", "car"]
    assert wide["mode"].cat.categories.tolist() == MODES
    assert wide["income"].tolist() == [20, 10, 30]
    assert wide["town"].isna().tolist() == [True, False, False]
    np.testing.assert_array_equal(wide[[f"price[{m}]" for m in MODES]], [[4, 5, np.nan], [1, 2, 3], [7, 8, 6]])
    assert wide["seats[bus]"].tolist() == [1, 1, 1]
    assert wide["seats[bus]"].dtype == np.int64
    np.testing.assert_array_equal(wide["late[train]"], [np.nan, 0, 0])
    assert wide["class[car]"].tolist() == ["a", "b", "b"]
    np.testing.assert_array_equal(wide[[f"available[{m}]" for m in MODES]], [[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    assert wide["available[train]"].dtype == bool
    assert not any("took" in str(c) for c in wide.columns)


def test_the_wide_frame_is_what_formulas_read(long: pd.DataFrame) -> None:
    wide = from_long(long, case="trip", alternative="mode", chosen="took")
    choices = ChoiceSet(list(wide["mode"].cat.categories))
    available = read_choice_sets("available", wide, choices, choices.positions(wide["mode"]))
    formula = "mode ~ income | price[alt] + I(price[alt] / income)"
    found = AlternativesSpec.fit(parse(formula), wide, choices, available=available)[1]
    assert found.kept.all()
    np.testing.assert_array_equal(found.lookups[0].values(), [[4, 5, 0], [1, 2, 3], [7, 8, 6]])


@pytest.mark.parametrize("make", [lambda t: t == 1, lambda t: t.astype(float), lambda t: t.astype("Int64")])
def test_ways_to_say_what_was_chosen(long: pd.DataFrame, make) -> None:
    expected = from_long(long, "trip", "mode", "took")
    pd.testing.assert_frame_equal(from_long(long.assign(took=make(long["took"])), "trip", "mode", "took"), expected)
    named = long.assign(took=long["trip"].map({7: "bus", 9: "car", 8: "car"}))
    pd.testing.assert_frame_equal(from_long(named, "trip", "mode", "took"), expected)


def test_alternatives_by_number_and_in_the_order_of_categories(long: pd.DataFrame) -> None:
    numbered = long.assign(mode=long["mode"].map({"bus": 30, "car": 4, "train": 100}).astype(float))
    wide = from_long(numbered, "trip", "mode", "took")
    assert wide["mode"].cat.categories.tolist() == [4, 30, 100]
    assert {"price[4]", "price[30]", "price[100]"} <= set(wide.columns)
    code = numbered.assign(took=numbered["trip"].map({7: 30, 9: 4, 8: 4}))
    pd.testing.assert_frame_equal(from_long(code, "trip", "mode", "took"), wide)
    ordered = long.assign(mode=pd.Categorical(long["mode"], categories=["train", "ship", "bus", "car"]))
    assert from_long(ordered, "trip", "mode", "took")["mode"].cat.categories.tolist() == ["train", "bus", "car"]


def test_columns_that_vary_may_be_named(long: pd.DataFrame) -> None:
    wide = from_long(long, "trip", "mode", "took", varying=["price", "seats", "late", "class", "income"])
    assert wide["income[car]"].tolist() == [20, 10, 30]
    with pytest.raises(DataError, match=r"column 'seats', not in varying=, varies within 3 of 3 cases, first 7, 9, 8"):
        from_long(long, "trip", "mode", "took", varying=["price"])
    with pytest.raises(MissingColumnError, match=r"varying column 'prize' .* Did you mean 'price'"):
        from_long(long, "trip", "mode", "took", varying=["prize"])
    with pytest.raises(OptionError, match="varying='price' is one text"):
        from_long(long, "trip", "mode", "took", varying="price")
    with pytest.raises(OptionError, match="varying holds 'mode', which is given as case, alternative or chosen"):
        from_long(long, "trip", "mode", "took", varying=["mode", "price"])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31), st.booleans())
def test_wide_to_long_and_back(cases: int, alternatives: int, seed: int, complete: bool) -> None:
    rng = np.random.default_rng(seed)
    codes = [f"a{j}" for j in range(alternatives)]
    there = (rng.random((cases, alternatives)) < 0.7) | complete
    there[np.arange(cases), rng.integers(alternatives, size=cases)] = True
    there[0] = True
    chosen = np.array([rng.choice(np.flatnonzero(row)) for row in there])
    wide = pd.DataFrame({"id": rng.permutation(cases), "y": pd.Categorical.from_codes(chosen, categories=codes)})
    wide["age"] = rng.integers(20, 60, cases)
    for j, code in enumerate(codes):
        wide[f"x[{code}]"] = np.where(there[:, j], rng.normal(size=cases), np.nan)
    if not there.all():
        for j, code in enumerate(codes):
            wide[f"available[{code}]"] = there[:, j]
    rows = [
        (wide["id"][i], code, chosen[i] == j, wide["age"][i], wide[f"x[{code}]"][i])
        for i in range(cases)
        for j, code in enumerate(codes)
        if there[i, j]
    ]
    long = pd.DataFrame(rows, columns=["id", "y", "won", "age", "x"])
    pd.testing.assert_frame_equal(from_long(long, "id", "y", "won", varying=["x"]), wide, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: pd.concat([d, d.iloc[[0, 1]]]), r"2 rows repeat a pair of case and alternative, first \(7, 'bus'\)"),
        (lambda d: d.assign(took=0), "3 of 3 cases have no chosen alternative, first 7, 9, 8"),
        (lambda d: d.assign(took=d["took"].where(d["trip"] != 8, 0)), "1 of 3 cases have no chosen .* first 8"),
        (lambda d: d.assign(took=1), "3 of 3 cases have several chosen alternatives"),
        (
            lambda d: d.assign(took=d["took"].map({0: "no", 1: "yes"})),
            "holds 'yes', 'no'; give true or false, 1 or 0",
        ),
        (lambda d: d.assign(took=["bus", *["car"] * 7]), "'took', the chosen alternative, varies within 1 of 3 cases"),
        (lambda d: d.assign(took="train"), "1 of 3 cases have no chosen alternative, first 7"),
        (lambda d: d.assign(took=d["took"].where(d["price"] > 1)), "chosen column 'took' is missing in 1 of 8 rows"),
        (lambda d: d.assign(mode=d["mode"].where(d["price"] > 1)), "column 'mode' is missing in 1 of 8 rows, .* 'g'"),
        (lambda d: d.assign(trip=d["trip"].where(d["price"] > 1)), "column 'trip' is missing in 1 of 8 rows"),
        (lambda d: d.assign(mode=d["mode"] == "bus"), "repeat a pair"),
        (lambda d: d[d["mode"] != "train"].assign(mode=lambda e: e["mode"] == "bus"), "column 'mode' is boolean"),
        (lambda d: d.assign(mode=d["seats"] + 0.5), "must be whole numbers or text; found"),
        (lambda d: d.assign(available=d["price"]), r"already have a column 'available\[bus\]', which from_long"),
        (lambda d: d.iloc[:0], "has no rows"),
        (lambda d: {"a": 1}, "takes a data frame, not a dict"),
    ],
)
def test_what_is_refused(long: pd.DataFrame, change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_long(change(long), case="trip", alternative="mode", chosen="took")


def test_columns_are_checked(long: pd.DataFrame) -> None:
    with pytest.raises(MissingColumnError, match=r"chosen column 'tok' .* Did you mean 'took'"):
        from_long(long, "trip", "mode", "tok")
    with pytest.raises(OptionError, match="one of them is given twice"):
        from_long(long, "trip", "mode", "mode")
    with pytest.raises(DataError, match="data column 'price' occurs more than once"):
        from_long(pd.concat([long, long[["price"]]], axis=1), "trip", "mode", "took")
