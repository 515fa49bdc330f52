"""Panel terms: values by hand, and the proof that they never see the future."""

import numpy as np
import pandas as pd
import pytest
from handmade import ROLES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from econllm.choices import ChoiceSet
from econllm.errors import FormulaError
from econllm.formula import DesignSpec
from econllm.panel import CareerPanel


def block(term: str, panel: CareerPanel, **options) -> pd.DataFrame:
    """The columns of one term, by name."""
    design = DesignSpec.fit(f"{panel.roles.occupation} ~ {term}", panel, **options)[1]
    (only,) = design.blocks
    matrix = only.matrix.toarray() if sparse.issparse(only.matrix) else only.matrix
    return pd.DataFrame(matrix, columns=only.columns, index=panel.index)


def level(frame: pd.DataFrame) -> list[str]:
    """The level of every row of a factor's columns, from their names."""
    assert (frame.sum(axis=1) == 1).all()
    return [frame.columns[i].split("[")[-1].rstrip("]") for i in frame.to_numpy().argmax(axis=1)]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("lag(job)", "(none) cook clerk clerk (none) clerk cook (none)"),
        ("lag(job, 2)", "(none) (none) cook clerk (none) (none) clerk (none)"),
        ("lag(job, k=3)", "(none) (none) (none) cook (none) (none) (none) (none)"),
        ("lag(job, by='time')", "(none) cook clerk clerk (none) clerk (none) (none)"),
        ("lag(job, 2, by='time')", "(none) (none) cook clerk (none) (none) cook (none)"),
        ("lag(job, 9, by='time')", "(none) " * 7 + "(none)"),
        ("lag(region)", "(none) east east west (none) west west (none)"),
        ("lag(C(educ))", "(none) 12 12 13 (none) 10 11 (none)"),
        ("lag(lag(job))", "(none) (none) cook clerk (none) (none) clerk (none)"),
        ("C(educ)", "12 12 13 13 10 11 11 16"),
        ("C(lag(job))", "(none) cook clerk clerk (none) clerk cook (none)"),
    ],
)
def test_factors(panel: CareerPanel, term: str, expected: str) -> None:
    assert level(block(term, panel)) == expected.split()


@pytest.mark.parametrize(
    ("term", "columns"),
    [
        ("lag(educ > 12)", ["lag(educ > 12)[(none)]", "lag(educ > 12)[False]", "lag(educ > 12)[True]"]),
        ("bag(educ // 5)", ["bag(educ // 5)[2]", "bag(educ // 5)[3]"]),
        ("bag(educ)", [f"bag(educ)[{level}]" for level in (10, 11, 12, 13, 16)]),
    ],
)
def test_an_expression_has_levels_of_its_own(panel: CareerPanel, term: str, columns: list[str]) -> None:
    assert list(block(term, panel)) == columns


def test_a_lagged_factor_has_all_levels_in_order(panel: CareerPanel) -> None:
    assert list(block("lag(job)", panel)) == [
        "lag(job)[(none)]",
        "lag(job)[clerk]",
        "lag(job)[cook]",
        "lag(job)[nurse]",
    ]
    # Treatment coding leaves the reference "(none)" out, and nurses, who never have a next record: without a penalty
    # that level would have no estimate.
    assert list(block("lag(job)", panel, full=False)) == ["lag(job)[clerk]", "lag(job)[cook]"]


@pytest.mark.parametrize(
    ("term", "values", "indicator"),
    [
        ("lag(wage)", [0, 5, 6, 6, 0, 4, 4, 0], [1, 0, 0, 0, 1, 0, 0, 1]),
        ("lag(wage, 2)", [0, 0, 5, 6, 0, 0, 4, 0], [1, 1, 0, 0, 1, 1, 0, 1]),
        ("lag(wage, by='time')", [0, 5, 6, 6, 0, 4, 0, 0], [1, 0, 0, 0, 1, 0, 1, 1]),
        ("lag(educ - 10)", [0, 2, 2, 3, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0, 0, 1]),
        ("gap()", [0, 1, 1, 1, 0, 1, 2, 0], [1, 0, 0, 0, 1, 0, 0, 1]),
    ],
)
def test_numbers_with_an_indicator(panel: CareerPanel, term: str, values: list, indicator: list) -> None:
    frame = block(term, panel)
    assert frame.columns.str.endswith("[(none)]").tolist() == [False, True]
    assert frame.iloc[:, 0].tolist() == values
    assert frame.iloc[:, 1].tolist() == indicator


@pytest.mark.parametrize(
    ("term", "values"),
    [
        ("record()", [1, 2, 3, 4, 1, 2, 3, 1]),
        # Known before the outcome: this record against the one before.
        ("changed(educ)", [0, 0, 1, 0, 0, 1, 0, 0]),
        ("changed(region)", [0, 0, 1, 0, 0, 0, 1, 0]),
        # Known afterwards: the two records before this one.
        ("changed(job)", [0, 0, 1, 0, 0, 0, 1, 0]),
        ("changed(wage)", [0, 0, 1, 0, 0, 0, 0, 0]),
        ("years_in(job)", [0, 1, 1, 2, 0, 1, 1, 0]),
        ("years_in(region)", [0, 1, 2, 1, 0, 1, 2, 0]),
    ],
)
def test_single_columns(panel: CareerPanel, term: str, values: list) -> None:
    frame = block(term, panel)
    assert list(frame) == [term]
    assert frame[term].tolist() == values


def test_terms_of_one_column_can_be_transformed(panel: CareerPanel) -> None:
    assert block("I(years_in(job) ** 2)", panel).iloc[:, 0].tolist() == [0, 1, 1, 4, 0, 1, 1, 0]
    assert block("np.exp(record() - 1)", panel).iloc[:3, 0].tolist() == pytest.approx([1, np.e, np.e**2])
    assert block("I(educ * changed(job))", panel).iloc[:, 0].tolist() == [0, 0, 13, 0, 0, 0, 11, 0]
    assert block("log(record())", panel).shape == block("scale(years_in(job))", panel).shape == (8, 1)
    assert block("poly(record(), 2) ", panel).shape == (8, 2)
    assert block("bs(record(), df=4)", panel).shape == (8, 4)
    # At the record before, and as categories.
    assert block("lag(years_in(job))", panel).iloc[:, 0].tolist() == [0, 0, 1, 1, 0, 0, 1, 0]
    assert level(block("C(record())", panel)) == list("12341231")
    assert block("record():educ", panel).iloc[:, 0].tolist() == [12, 24, 39, 52, 10, 22, 33, 16]


def test_transformed_terms_are_remembered(panel: CareerPanel) -> None:
    terms = "I(years_in(job) ** 2) + scale(record()) + poly(years_in(job), 2) + changed(job):educ"
    spec, full = DesignSpec.fit(f"job ~ {terms}", panel)
    other = DesignSpec.from_state(spec.to_state())
    late = panel.split_time(2001)[1]
    rows = panel.index.get_indexer(late.index)
    for whole, part in zip(full.blocks, other.build(late).blocks, strict=True):
        np.testing.assert_allclose(dense(part.matrix), dense(whole.matrix)[rows], atol=1e-12)


def test_years_in_counts_calendar_time_over_gaps(careers: pd.DataFrame) -> None:
    careers.loc["f", "job"] = "clerk"
    careers = pd.concat([careers, careers.loc[["g"]].assign(year=2007).rename(index={"g": "i"})])
    frame = block("years_in(job)", CareerPanel(careers, **ROLES))
    # Clerk in 2000 and 2001: two years; cook from 2003 on: one year.
    assert frame.loc[list("efgi"), "years_in(job)"].tolist() == [0, 1, 2, 1]


def test_bag(panel: CareerPanel) -> None:
    frame = block("bag(job)", panel)
    assert list(frame) == ["bag(job)[clerk]", "bag(job)[cook]", "bag(job)[nurse]"]
    expected = [
        [0, 0, 0],
        [0, 1, 0],
        [1 / 2, 1 / 2, 0],
        [2 / 3, 1 / 3, 0],
        [0, 0, 0],
        [1, 0, 0],
        [1 / 2, 1 / 2, 0],
        [0, 0, 0],
    ]
    np.testing.assert_allclose(frame, expected)


def test_lag_by_time_with_fractions_of_years() -> None:
    # Months as fractions of a year: differences of one year are not exact in floating point.
    year = 1900 + np.arange(400) / 12
    df = pd.DataFrame(
        {"id": np.repeat([1, 2, 3], 400), "year": np.tile(year, 3), "job": "a", "x": np.tile(np.arange(400.0), 3)}
    )
    df.loc[0, "job"] = "b"
    frame = block("lag(x, by='time')", CareerPanel(df, "id", "year", "job", dynamic=["x"]))
    expected = np.tile(np.r_[np.zeros(12), np.arange(388)], 3)
    np.testing.assert_array_equal(frame["lag(x, by='time')"], expected)
    assert frame.iloc[:, 1].sum() == 36


def test_lag_by_a_fraction_of_a_unit_of_time() -> None:
    df = pd.DataFrame({"id": 1, "year": [2000, 2000.5, 2001.0, 2002.0], "job": list("abab"), "x": [1.0, 2, 3, 4]})
    panel = CareerPanel(df, "id", "year", "job", dynamic=["x"])
    assert block("lag(x, 0.5, by='time')", panel).iloc[:, 0].tolist() == [0, 1, 2, 0]
    assert block("lag(x, 1.5, 'time')", panel).iloc[:, 0].tolist() == [0, 0, 0, 2]
    # So short a time that it vanishes in rounding must not find the record itself.
    assert block("lag(x, 1e-9, by='time')", panel).iloc[:, 0].tolist() == [0, 0, 0, 0]


def test_the_level_for_no_history_is_reserved(panel: CareerPanel) -> None:
    for term in (
        "lag(region.astype('object').replace('east', '(none)'))",
        "lag(C(np.where(educ > 12, 'x', '(none)')))",
    ):
        with pytest.raises(FormulaError, match=r"lag\(\) meets a category named '\(none\)', which is reserved"):
            block(term, panel)
    assert level(block("lag(C(lag(job)))", panel)) == level(block("lag(lag(job))", panel))


def test_without_a_penalty_histories_may_all_exist(panel: CareerPanel) -> None:
    # No row lacks a history, so that the reference is the first occupation.
    late = panel.split_time(2000)[1].subset([1, 2])
    assert list(block("lag(job)", late, full=False)) == ["lag(job)[cook]"]


def test_histories_survive_split_time(panel: CareerPanel) -> None:
    terms = "lag(job) + lag(wage) + lag(job, 2) + gap() + record() + changed(job) + changed(educ) + years_in(job)"
    spec, full = DesignSpec.fit(f"job ~ {terms} + bag(job)", panel)
    late = panel.split_time(2001)[1]
    rows = panel.index.get_indexer(late.index)
    for whole, part in zip(full.blocks, spec.build(late).blocks, strict=True):
        assert part.columns == whole.columns
        np.testing.assert_array_equal(dense(part.matrix), dense(whole.matrix)[rows])


def test_persons_do_not_run_into_each_other(panel: CareerPanel) -> None:
    spec, full = DesignSpec.fit("job ~ lag(job) + lag(wage, by='time') + years_in(job) + bag(job) + gap()", panel)
    for person in panel.persons:
        rows = np.flatnonzero(panel.person_ids == person)
        for whole, part in zip(full.blocks, spec.build(panel.subset([person])).blocks, strict=True):
            np.testing.assert_array_equal(dense(part.matrix), dense(whole.matrix)[rows])


def test_empty_panels_have_empty_designs(panel: CareerPanel) -> None:
    spec, _ = DesignSpec.fit(
        "job ~ lag(job) + lag(wage, by='time') + gap() + years_in(job) + bag(job) + changed(job)", panel
    )
    assert [b.matrix.shape[0] for b in spec.build(panel.subset([])).blocks] == [0] * 6


def test_missing_values_in_history(careers: pd.DataFrame) -> None:
    careers.loc["b", "wage"] = np.nan
    careers.loc["e", "region"] = None
    panel = CareerPanel(careers, **ROLES)
    with pytest.raises(ValueError, match=r"missing values: lag\(wage\) in 1, lag\(region\) in 1 of 8 rows"):
        DesignSpec.fit("job ~ lag(wage) + lag(region)", panel)
    design = DesignSpec.fit("job ~ lag(wage) + lag(region)", panel, missing="drop")[1]
    assert panel.index[~design.kept].tolist() == ["c", "f"]
    with pytest.raises(ValueError, match=r"bag\(region\) meets missing values"):
        DesignSpec.fit("job ~ bag(region)", panel)


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else matrix


ALL_TERMS = (
    "lag(job) + lag(job, 2) + lag(job, by='time') + lag(wage) + lag(union, 3) + lag(educ) + lag(C(educ))"
    " + lag(region, by='time') + gap() + record() + changed(job) + changed(wage) + changed(union) + changed(educ)"
    " + changed(region) + years_in(job) + years_in(union) + years_in(educ) + bag(job) + bag(union) + bag(region)"
    " + educ:lag(job) + region:changed(job) + lag(wage * 2) + lag(union == 1) + lag(lag(job)) + changed(lag(job))"
)
JOBS, REGIONS, SCHOOLING = ["a", "b", "c"], ["east", "west"], [10, 11, 12]


@st.composite
def two_futures(draw):
    """Two careers panels that agree on everything known when record t of person p is predicted, and the row's label."""
    rows = []
    for person in range(draw(st.integers(1, 3))):
        years = draw(st.lists(st.integers(1990, 1997), min_size=1, max_size=5, unique=True))
        rows += [(person, year) for year in sorted(years)]
    df = pd.DataFrame(rows, columns=["id", "year"])
    n, pick = len(df), draw(st.integers(0, 10**6))

    def columns(rng: np.random.Generator) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "job": rng.choice(JOBS, n),
                "wage": rng.integers(1, 4, n) / 2,
                "union": rng.integers(0, 2, n),
                "educ": rng.choice(SCHOOLING, n),
                "region": rng.choice(REGIONS, n),
            }
        )

    here = pick % n
    one, other = columns(np.random.default_rng(pick)), columns(np.random.default_rng(pick + 1))
    # Later records of the same person, and what is hidden in the record itself, are free; so are other persons.
    same = df["id"].to_numpy() == df["id"][here]
    later = ~same | (df["year"].to_numpy() > df["year"][here])
    two = one.copy()
    two.loc[later] = other[later]
    two.loc[here, ["job", "wage", "union"]] = other.loc[here, ["job", "wage", "union"]]
    return pd.concat([df, one], axis=1), pd.concat([df, two], axis=1), here


def build(df: pd.DataFrame):
    # A person with every level freezes them, as the panel that was estimated on would have.
    grid = pd.DataFrame(
        {"id": 99, "year": range(1980, 1983), "job": JOBS, "wage": 1.0, "union": [0, 1, 1], "educ": SCHOOLING}
    )
    grid["region"] = ["east", "west", "west"]
    whole = pd.concat([df, grid])
    panel = CareerPanel(
        whole.reset_index(drop=True),
        "id",
        "year",
        "job",
        titles=ChoiceSet(JOBS),
        dynamic=["educ", "region"],
        lagged=["wage", "union"],
    )
    return DesignSpec.fit(f"job ~ {ALL_TERMS}", panel)[1]


@given(two_futures())
@settings(max_examples=60, deadline=None)
def test_the_future_is_never_read(futures) -> None:
    one, two, here = futures
    # Rows are sorted already, so that position and label agree.
    left, right = build(one), build(two)
    for a, b in zip(left.blocks, right.blocks, strict=True):
        assert a.columns == b.columns
        np.testing.assert_array_equal(dense(a.matrix)[here], dense(b.matrix)[here], err_msg=a.name)


@given(two_futures())
@settings(max_examples=25, deadline=None)
def test_records_yet_to_come_can_be_left_out(futures) -> None:
    one, _, here = futures
    known = one[~((one["id"] == one["id"][here]) & (one["year"] > one["year"][here]))]
    place = known.index.get_loc(here)
    for a, b in zip(build(one).blocks, build(known).blocks, strict=True):
        np.testing.assert_array_equal(dense(a.matrix)[here], dense(b.matrix)[place], err_msg=a.name)


def test_the_property_can_fail(panel: CareerPanel) -> None:
    # The same comparison finds a term that reads the record itself.
    frame = panel.to_frame()
    frame["peek"] = frame["wage"]
    peeking = CareerPanel(frame, **{**ROLES, "dynamic": ["educ", "region", "peek"]})
    before = block("changed(peek)", peeking)
    frame.loc["d", ["wage", "peek"]] = 99.0
    frame.loc["c", ["wage", "peek"]] = 99.0
    after = block("changed(peek)", CareerPanel(frame, **{**ROLES, "dynamic": ["educ", "region", "peek"]}))
    assert not before.loc["c"].equals(after.loc["c"])
