"""Careers as a panel: what is refused, what is frozen, and who goes where."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from handmade import CAREERS, ROLES
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.panel import CareerPanel, Roles
from econllm.text import ResumeTemplate


def long_panel(persons: int = 25, seed: int = 0) -> CareerPanel:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, persons)
    ids = np.repeat(rng.permutation(1000)[:persons], counts)
    year = np.concatenate([1990 + rng.choice(9, c, replace=False) for c in counts])
    job = rng.choice(["cook", "clerk", "nurse"], len(ids))
    df = pd.DataFrame({"id": ids, "year": year, "job": job, "weight": rng.random(len(ids)) + 0.1})
    return CareerPanel(df, "id", "year", "job", weights="weight")


# Construction


def test_rows_are_sorted_and_keep_their_labels(panel: CareerPanel) -> None:
    assert panel.index.tolist() == list("abcdefgh")
    assert panel.index.name == "row"
    assert panel.person_ids.tolist() == CAREERS["id"].tolist()
    assert panel.times.tolist() == CAREERS["year"].tolist()
    assert panel.choices.codes == ("clerk", "cook", "nurse")
    assert panel.outcome.tolist() == [1, 0, 0, 2, 0, 1, 1, 0]
    frame = panel.to_frame()
    pd.testing.assert_frame_equal(
        frame[["id", "year", "job", "educ", "wage"]], CAREERS[["id", "year", "job", "educ", "wage"]]
    )
    assert len(panel) == 8
    assert repr(panel) == "CareerPanel(3 persons, 8 transitions, 3 occupations, year 1999 to 2003)"


def test_first_records_have_no_history(panel: CareerPanel) -> None:
    assert panel.record_numbers.tolist() == [1, 2, 3, 4, 1, 2, 3, 1]
    assert np.flatnonzero(panel.is_first).tolist() == [0, 4, 7] == panel.starts.tolist()
    resumes = panel.resumes()
    assert len(resumes) == len(panel)
    texts = [resume.text for resume in resumes]
    assert "nurse" not in texts[3]
    assert "clerk" in texts[3]
    # The first record is written without any occupation, and every prefix begins the person's full text.
    assert not any(job in texts[0] for job in panel.choices.titles)
    full = panel.resumes(full=True)
    assert full.index.tolist() == [1, 2, 3]
    assert all(full[person].startswith(text) for person, text in zip(panel.person_ids, texts, strict=True))


def test_wages_reach_a_resume_only_from_earlier_records(careers: pd.DataFrame, roles: dict) -> None:
    before = [r.text for r in CareerPanel(careers, **roles).resumes()]
    careers.loc["c", "wage"] = 777.0
    after = [r.text for r in CareerPanel(careers, **roles).resumes()]
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [3]


@pytest.mark.parametrize("shuffle", range(3))
def test_the_order_of_the_rows_does_not_matter(panel: CareerPanel, roles: dict, shuffle: int) -> None:
    other = CareerPanel(CAREERS.sample(frac=1, random_state=shuffle), **roles)
    pd.testing.assert_frame_equal(panel.to_frame(), other.to_frame())
    assert other.choices == panel.choices


def test_the_data_frame_is_never_changed(careers: pd.DataFrame, roles: dict) -> None:
    careers.attrs["variable_labels"] = {"educ": "Years of schooling"}
    before, attrs = careers.copy(deep=True), copy.deepcopy(careers.attrs)
    panel = CareerPanel(careers, **roles)
    panel.split([0.5, 0.5])
    panel.split_time(2001)
    panel.resample(0).resumes()
    frame = panel.to_frame()
    frame["wage"] = 0.0
    frame.iloc[0, 0] = -1
    pd.testing.assert_frame_equal(careers, before)
    assert careers.attrs == attrs
    assert panel.labels == {"educ": "Years of schooling"}
    assert panel.to_frame().attrs == {}
    assert panel.to_frame()["wage"].tolist() == CAREERS["wage"].tolist()


def test_later_changes_of_the_data_do_not_reach_the_panel(careers: pd.DataFrame, roles: dict) -> None:
    panel = CareerPanel(careers, **roles)
    careers.loc[:, "educ"] = 0
    assert panel.to_frame()["educ"].tolist() == CAREERS["educ"].tolist()


def test_repeated_row_labels_become_numbers(careers: pd.DataFrame, roles: dict) -> None:
    careers.index = pd.Index([0] * len(careers))
    assert CareerPanel(careers, **roles).index.tolist() == list(range(8))


def test_integer_codes_are_labels(wage_panel: CareerPanel) -> None:
    assert wage_panel.choices.codes == tuple(range(1, 10))
    assert wage_panel.choices.title(9) == "Service workers"
    assert len(wage_panel) == 4360
    assert len(wage_panel.persons) == 545


def test_the_choice_set_is_what_occurs_unless_given_whole(careers: pd.DataFrame, roles: dict) -> None:
    titles = {"nurse": "Nurse", "actor": "Actor", "cook": "Cook", "clerk": "Clerk"}
    assert CareerPanel(careers, **roles, titles=titles).choices.codes == ("nurse", "cook", "clerk")
    whole = ChoiceSet.from_titles(titles)
    assert CareerPanel(careers, **roles, titles=whole).choices is whole


def test_titles_from_a_column_and_from_stata_labels(careers: pd.DataFrame, roles: dict) -> None:
    careers["name"] = careers["job"].str.upper()
    panel = CareerPanel(careers, **roles, titles="name")
    assert panel.choices == ChoiceSet(["clerk", "cook", "nurse"], ["CLERK", "COOK", "NURSE"])
    careers["job"] = careers["job"].map({"clerk": 3, "cook": 1, "nurse": 2})
    careers.attrs["value_labels"] = {"job": {1: "Cook", 2: "Nurse", 3: "Clerk", 4: "Actor"}}
    assert CareerPanel(careers, **roles).choices == ChoiceSet([1, 2, 3], ["Cook", "Nurse", "Clerk"])


def test_categorical_occupations_keep_their_order(careers: pd.DataFrame, roles: dict) -> None:
    careers["job"] = pd.Categorical(careers["job"], categories=["nurse", "unused", "cook", "clerk"])
    assert CareerPanel(careers, **roles).choices.codes == ("nurse", "cook", "clerk")


def test_one_record_persons_are_allowed() -> None:
    df = pd.DataFrame({"id": [1, 2], "year": 2000, "job": ["cook", "clerk"]})
    panel = CareerPanel(df, "id", "year", "job")
    assert panel.is_first.all()
    assert len(panel.split([0.5, 0.5])[0]) == 1


@pytest.mark.parametrize("dtype", ["string", "object", "Int64", "float64", "category"])
def test_identifiers_of_every_type(careers: pd.DataFrame, roles: dict, dtype: str) -> None:
    ids = careers["id"].astype(str) if dtype in {"string", "object"} else careers["id"]
    careers["id"] = ids.astype(dtype)
    panel = CareerPanel(careers, **roles)
    assert panel.index.tolist() == list("abcdefgh")
    assert [len(part) for part in panel.split([0.4, 0.6])] in ([4, 4], [3, 5], [1, 7])


# What is refused


def refused(df: pd.DataFrame, error: type[Exception], message: str, **changes: object) -> None:
    with pytest.raises(error, match=message):
        CareerPanel(df, **{**ROLES, **changes})


def test_duplicates_are_counted_and_shown(careers: pd.DataFrame) -> None:
    doubled = pd.concat([careers, careers.loc[["a", "h"]]])
    refused(doubled, DataError, r"2 rows repeat a id-year pair, first \(1, 1999\), \(3, 2001\); keep one record")


@pytest.mark.parametrize(("column", "what"), [("id", "person"), ("year", "time"), ("job", "occupation")])
def test_missing_identifiers(careers: pd.DataFrame, column: str, what: str) -> None:
    careers[column] = careers[column].astype(object)
    careers.loc[["c", "e"], column] = None
    refused(
        careers,
        DataError,
        rf"{what} column '{column}' is missing in 2 of 8 rows, first at index 'c', 'e'; drop or fill",
    )


def test_occupations_without_a_title_are_counted_by_rows(careers: pd.DataFrame) -> None:
    message = r"column 'job': 5 rows hold 2 values that are not in the choice set .*: 'clerk', 'nurse'"
    refused(careers, DataError, message, titles={"cook": "Cook"})
    refused(careers, DataError, message, titles=ChoiceSet(["cook"]))


def test_integers_as_text_get_a_hint(careers: pd.DataFrame) -> None:
    careers["job"] = careers["job"].map({"clerk": "1", "cook": "2", "nurse": "3"})
    message = (
        r"8 rows hold 3 values .* The column holds text and the choice set whole numbers: convert one .* astype\(\)"
    )
    refused(careers, DataError, message, titles={1: "Clerk", 2: "Cook", 3: "Nurse"})


def test_columns_that_are_absent_or_have_two_roles(careers: pd.DataFrame) -> None:
    refused(
        careers,
        MissingColumnError,
        r"dynamic column 'edcu' is not in the data frame. Did you mean 'educ'\?",
        dynamic=["edcu"],
    )
    refused(careers, MissingColumnError, "person column 'nr' is not", person="nr")
    refused(
        careers, OptionError, "column 'educ' is given as dynamic and as lagged; a column has one role", lagged=["educ"]
    )
    refused(careers, OptionError, r"static='sex' is one text; give a list of columns, \['sex'\]", static="sex")
    refused(careers, MissingColumnError, r"titles='jbo' names no column .* Did you mean 'job'", titles="jbo")
    refused(
        careers.rename(columns={"educ": "resume"}), OptionError, "'resume', which formulas reserve", dynamic=["resume"]
    )
    refused(careers, OptionError, "template is a str; give a ResumeTemplate", template="short")


def test_the_title_of_the_outcome_is_no_covariate(careers: pd.DataFrame) -> None:
    careers["name"] = careers["job"].str.title()
    message = "column 'name' is the title of the outcome and given as dynamic: it is known only after"
    refused(careers, OptionError, message, titles="name", dynamic=["name"])


def test_titles_that_disagree(careers: pd.DataFrame) -> None:
    careers["name"] = careers["job"].str.title()
    careers.loc["a", "name"] = "Chef"
    refused(careers, DataError, "column 'name' gives 1 occupations more than one title, first 'cook'", titles="name")


def test_static_columns_that_vary(careers: pd.DataFrame) -> None:
    refused(
        careers,
        DataError,
        r"static column 'educ' varies within 2 persons, first 1, 2; declare it in dynamic=",
        static=["educ"],
        dynamic=[],
    )


def test_times_must_be_finite_numbers(careers: pd.DataFrame) -> None:
    refused(careers.assign(year=np.inf), DataError, "time column 'year' holds values that are not finite")
    refused(careers.assign(year=careers["year"].astype(str)), DataError, "time column 'year' has type .*; give numbers")
    dates = pd.to_datetime(careers["year"].astype(str))
    refused(careers.assign(year=dates), DataError, r"for dates the year \(.dt.year\)")
    refused(careers.assign(educ=dates), DataError, "column 'educ' holds dates")


def test_persons_of_mixed_types(careers: pd.DataFrame) -> None:
    careers["id"] = careers["id"].astype(object)
    careers.loc["h", "id"] = "three"
    refused(careers, DataError, "person column 'id' mixes types; make it one type with astype")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_weights(careers: pd.DataFrame, value: float) -> None:
    careers.loc["b", "weight"] = value
    refused(
        careers, DataError, "weights column 'weight' is missing, not finite or negative in 1 rows, first at index 'b'"
    )


def test_not_a_frame_or_no_rows(careers: pd.DataFrame) -> None:
    refused(careers.to_dict(), DataError, "df is a dict; give a pandas DataFrame")
    refused(careers.iloc[:0], DataError, "the choice set is empty")


def test_numbers_held_as_objects_are_numbers(careers: pd.DataFrame, roles: dict) -> None:
    from decimal import Decimal

    careers["wage"] = careers["wage"].map(lambda v: Decimal(str(v))).astype(object)
    careers["educ"] = careers["educ"].astype(object)
    frame = CareerPanel(careers, **roles).to_frame()
    assert frame["wage"].dtype == np.float64
    assert frame["wage"].tolist() == CAREERS["wage"].tolist()
    assert frame["educ"].dtype == np.int64
    careers.loc["b", "wage"] = None
    assert np.isnan(CareerPanel(careers, **roles).to_frame().loc["b", "wage"])
    # Booleans are categories, and so is what mixes numbers and text.
    careers["educ"] = pd.Series([True, False] * 4, index=careers.index, dtype=object)
    assert isinstance(CareerPanel(careers, **roles).to_frame()["educ"].dtype, pd.CategoricalDtype)


def test_the_word_for_no_history_is_reserved(careers: pd.DataFrame) -> None:
    for column in ("region", "job", "sex"):
        named = careers.assign(
            **{column: careers[column].replace({"east": "(none)", "clerk": "(none)", "f": "(none)"})}
        )
        refused(named, DataError, f"'{column}' has the (level|code or title) '\\(none\\)', which is reserved")
    message = r"an occupation of 'job' has the code or title '\(none\)', which is reserved for 'no history'"
    refused(careers, DataError, message, titles={"clerk": "(none)", "cook": "Cook", "nurse": "Nurse"})
    refused(careers, DataError, message, titles=ChoiceSet(["clerk", "cook", "nurse", "(none)"]))


@pytest.mark.parametrize("index", ["id", ["id", "year"]])
def test_an_index_named_as_a_column(careers: pd.DataFrame, roles: dict, index: list) -> None:
    doubled = careers.set_index(index, drop=False)
    panel = CareerPanel(doubled.sample(frac=1, random_state=0), **roles)
    assert panel.to_frame()["wage"].tolist() == CAREERS["wage"].tolist()
    # An index with repeated labels is replaced, by one without a name.
    assert list(panel.index.names) == (index if isinstance(index, list) else [None])
    assert len(panel.resample(0).split([0.5, 0.5])) == 2
    assert len(panel.resumes(full=True)) == 3
    assert panel.describe().persons == 3
    dropped = careers.set_index(index)
    refused(
        dropped, MissingColumnError, r"person column 'id' is a level of the index and no column: call reset_index\(\)"
    )


def test_columns_that_nothing_can_name_or_use(careers: pd.DataFrame) -> None:
    refused(careers.assign(educ=1j), DataError, "column 'educ' holds complex numbers")
    refused(careers.assign(job=1j), DataError, "column 'job' holds complex numbers")
    for name in ("", None):
        refused(careers.rename(columns={"educ": name}), OptionError, "has no name that a formula", dynamic=[name])
    months = pd.Series(pd.period_range("2000-01", periods=8, freq="M"), index=careers.index)
    for dates in (months, months.astype(object), pd.to_timedelta(careers["educ"], unit="D")):
        refused(careers.assign(educ=dates), DataError, "column 'educ' holds dates")


# Weights, roles, truth


def test_weights_have_mean_one_in_every_panel(panel: CareerPanel) -> None:
    expected = CAREERS["weight"].to_numpy() / CAREERS["weight"].mean()
    assert panel.sampling_weights == pytest.approx(expected)
    assert panel.subset([1, 2]).sampling_weights == pytest.approx(np.array([1, 1, 1, 1, 2, 2, 2]) * 0.7)
    later = panel.split_time(2001)[1]
    assert later.sampling_weights == pytest.approx([2 / 3, 4 / 3])
    assert panel.resample(0).sampling_weights.mean() == pytest.approx(1)


def test_weights_of_zero_are_kept_but_not_all(careers: pd.DataFrame, roles: dict) -> None:
    careers.loc["a", "weight"] = 0.0
    assert CareerPanel(careers, **roles).sampling_weights[0] == 0
    careers["weight"] = 0.0
    with pytest.raises(DataError, match="weights column 'weight' is zero in all 8 rows"):
        _ = CareerPanel(careers, **roles).sampling_weights


def test_roles() -> None:
    roles = Roles(**ROLES | {k: tuple(ROLES[k]) for k in ("static", "dynamic", "lagged")})
    assert roles.known == ("year", "sex", "educ", "region")
    assert roles.hidden == ("job", "wage")
    assert roles.all == ("id", "year", "sex", "educ", "region", "job", "wage", "weight")


def test_the_truth_goes_along() -> None:
    panel = long_panel()
    proba = np.random.default_rng(0).dirichlet(np.ones(3), len(panel))
    with_truth = panel._attach_truth(proba)
    assert panel.truth is None
    parts = (*with_truth.split([0.5, 0.5]), with_truth.subset(with_truth.persons[:4]), *with_truth.split_time(1995))
    for part in parts:
        place = with_truth.index.get_indexer(part.index)
        pd.testing.assert_frame_equal(part.truth, with_truth.truth.iloc[place])
        assert part.truth.columns.tolist() == ["clerk", "cook", "nurse"]
    drawn = with_truth.resample(1)
    by_row = {(p, t): row for p, t, row in zip(panel.origin_ids, panel.times, proba, strict=True)}
    expected = [by_row[key] for key in zip(drawn.origin_ids, drawn.times, strict=True)]
    np.testing.assert_array_equal(drawn.truth.to_numpy(), expected)
    with pytest.raises(
        DataError, match=re.escape(f"expected one row per record and one column per occupation, ({len(panel)}, 3)")
    ):
        panel._attach_truth(proba[:, :2])


# Splits


@pytest.mark.parametrize("shares", [[0.7, 0.1, 0.2], [0.5, 0.5], [1.0], [1 / 3, 1 / 3, 1 / 3], [0.29, 0.71]])
@pytest.mark.parametrize("seed", [0, 5])
def test_split_follows_the_stated_rule(shares: list[float], seed: int) -> None:
    panel = long_panel(persons=29, seed=seed)
    order = np.sort(panel.persons)[np.random.default_rng(seed).permutation(29)]
    cuts = [int(np.floor(round(29 * sum(shares[: i + 1]), 9))) for i in range(len(shares))]
    cuts[-1] = 29
    begin = 0
    for part, cut in zip(panel.split(shares, seed=seed), cuts, strict=True):
        assert set(part.persons) == set(order[begin:cut])
        assert part.index.tolist() == panel.index[np.isin(panel.person_ids, order[begin:cut])].tolist()
        begin = cut


def test_cuts_are_not_moved_by_rounding() -> None:
    # 10 * (0.7 + 0.1) is 7.999... in floating point.
    df = pd.DataFrame({"id": range(10), "year": 2000, "job": ["cook", "clerk"] * 5})
    assert [len(p) for p in CareerPanel(df, "id", "year", "job").split([0.7, 0.1, 0.2])] == [7, 1, 2]


def test_persons_are_sorted_in_their_own_type() -> None:
    # As numbers 9 comes before 10, as text after it: the same seed must give other persons.
    df = pd.DataFrame({"id": range(5, 15), "year": 2000, "job": ["cook", "clerk"] * 5})
    for ids in (df["id"], df["id"].astype(str)):
        panel = CareerPanel(df.assign(id=ids), "id", "year", "job")
        expected = np.array(sorted(ids), dtype=object)[np.random.default_rng(1).permutation(10)][:4]
        assert set(panel.split([0.4, 0.6], seed=1)[0].persons) == set(expected)


def test_wage_panel_sizes(wage_panel: CareerPanel) -> None:
    parts = wage_panel.split([0.7, 0.1, 0.2], seed=0)
    assert [len(part.persons) for part in parts] == [381, 55, 109]
    assert [len(part) for part in parts] == [3048, 440, 872]


@pytest.mark.parametrize("shares", [[0.5, 0.4], [1.2, -0.2], [], [0.0, 1.0], [[0.5, 0.5]], [float("nan"), 0.5]])
def test_shares_that_are_no_shares(shares: list) -> None:
    with pytest.raises(OptionError, match="must be positive and sum to one"):
        long_panel().split(shares)


def test_shares_that_leave_a_part_empty(panel: CareerPanel) -> None:
    with pytest.raises(OptionError, match="leave a part empty: the panel has only 3 persons"):
        panel.split([0.1, 0.9])


def test_seeds_that_are_no_seeds(panel: CareerPanel) -> None:
    for draw in (lambda: panel.split([0.5, 0.5], seed=-1), lambda: panel.resample(seed="a")):
        with pytest.raises(OptionError, match="is not a seed: give a non-negative integer"):
            draw()


def test_copies_of_a_resampled_person_stay_together() -> None:
    drawn = long_panel(persons=40).resample(seed=2)
    assert len(np.unique(drawn.origin_ids)) < 40
    parts = drawn.split([0.5, 0.3, 0.2], seed=1)
    origins = [set(part.origin_ids) for part in parts]
    assert sum(map(len, origins)) == len(set.union(*origins))
    assert set.union(*origins) == set(drawn.origin_ids)
    assert sum(len(part) for part in parts) == len(drawn)


def test_resample_draws_persons_with_all_their_records() -> None:
    panel = long_panel(persons=30)
    drawn = panel.resample(seed=4)
    assert drawn.persons.tolist() == list(range(30))
    assert drawn.index.tolist() == list(range(len(drawn)))
    frame, drawn_frame = panel.to_frame(), drawn.to_frame()
    assert drawn_frame["id"].tolist() == drawn.person_ids.tolist()
    for new in range(30):
        rows = drawn.person_ids == new
        origin = np.unique(drawn.origin_ids[rows])
        assert len(origin) == 1
        left, right = drawn_frame[rows].drop(columns="id"), frame[frame["id"] == origin[0]].drop(columns="id")
        pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True))
        np.testing.assert_array_equal(drawn.outcome[rows], panel.outcome[panel.person_ids == origin[0]])


def test_resample_follows_its_seed_and_repeated_draws_keep_the_origin() -> None:
    panel = long_panel()
    twice = panel.resample(1).resample(2)
    assert set(twice.origin_ids) <= set(panel.persons)
    assert panel.resample(1).origin_ids.tolist() == panel.resample(np.random.SeedSequence(1)).origin_ids.tolist()
    assert panel.resample(1).origin_ids.tolist() != panel.resample(2).origin_ids.tolist()


def test_every_person_is_drawn_equally_often() -> None:
    # Persons are drawn, not rows: a person with four records comes no more often than one with one.
    panel = CareerPanel(CAREERS, **ROLES)
    drawn = [panel.resample(seed).origin_ids[panel.resample(seed).is_first] for seed in range(600)]
    counts = np.bincount(np.concatenate(drawn), minlength=4)[1:]
    # 1,800 draws of three persons: five standard deviations around 600.
    assert np.abs(counts - 600).max() < 5 * np.sqrt(1800 * 2 / 9)


def test_split_time_keeps_histories(panel: CareerPanel) -> None:
    early, late = panel.split_time(2001)
    assert early.index.tolist() == ["a", "b", "c", "e", "f", "h"]
    assert early.is_target.all()
    assert late.index.tolist() == ["d", "g"]
    assert late.to_frame(history=True).index.tolist() == list("abcdefg")
    assert late.record_numbers[late.is_target].tolist() == [4, 3]
    assert not late.is_first.any()
    assert late.persons.tolist() == [1, 2]
    full = {index: r.text for index, r in zip(panel.index, panel.resumes(), strict=True)}
    assert [r.text for r in late.resumes()] == [full["d"], full["g"]]


def test_split_time_of_a_later_part(panel: CareerPanel) -> None:
    later = panel.split_time(2000)[1]
    middle, last = later.split_time(2001)
    assert middle.index.tolist() == ["c", "f", "h"]
    assert last.index.tolist() == ["d", "g"]
    # The history before 2001 stays in both; nobody is left who is not predicted.
    assert middle.to_frame(history=True).index.tolist() == ["a", "b", "c", "e", "f", "h"]
    only = later.subset([1]).split_time(2001)[0]
    assert only.record_numbers[only.is_target].tolist() == [3]


def test_persons_without_targets_are_not_drawn() -> None:
    df = pd.DataFrame({"id": [1, 1, 1, 2, 2], "year": [2000, 2001, 2003, 2000, 2003], "job": list("ababa")})
    middle = CareerPanel(df, "id", "year", "job").split_time(2000)[1].split_time(2001)[0]
    assert middle.persons.tolist() == [1]
    assert set(middle.to_frame(history=True)["id"]) == {1}
    assert [len(middle.resample(seed)) for seed in range(5)] == [1] * 5


def test_split_time_that_leaves_nothing(panel: CareerPanel) -> None:
    for year in (1998, 2003):
        with pytest.raises(
            OptionError, match=rf"split_time\({year}\) leaves one part empty: year runs from 1999 to 2003"
        ):
            panel.split_time(year)
    with pytest.raises(OptionError, match="year of split_time"):
        panel.split_time("2001")  # type: ignore[arg-type]


def test_subset(panel: CareerPanel) -> None:
    part = panel.subset([3, 1])
    assert part.persons.tolist() == [1, 3]
    assert part.index.tolist() == list("abcdh")
    assert len(panel.subset([])) == 0
    assert repr(panel.subset([])) == "CareerPanel(0 persons, 0 transitions)"
    assert panel.subset({2}).index.tolist() == list("efg")
    with pytest.raises(DataError, match="2 persons are not in the panel: 4, 5"):
        panel.subset([1, 4, 5])


def test_subset_names_the_nearest_person() -> None:
    df = pd.DataFrame({"id": ["anna", "bert"], "year": 2000, "job": ["cook", "clerk"]})
    with pytest.raises(DataError, match=r"1 persons are not in the panel: 'ana'. Did you mean 'anna'\?"):
        CareerPanel(df, "id", "year", "job").subset(["ana"])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.subset([3]),
        lambda p: p.resample(0).subset([0]),
        lambda p: p.split_time(2001)[1],
        lambda p: p.split([0.4, 0.6], seed=1)[0],
    ],
    ids=["subset", "resample", "split_time", "split"],
)
def test_choices_levels_and_template_are_frozen(careers: pd.DataFrame, roles: dict, change) -> None:
    template = ResumeTemplate(titles="code")
    panel = CareerPanel(careers, **roles, template=template)
    part = change(panel)
    assert part.choices is panel.choices
    assert part.template is template
    assert part.roles == panel.roles
    assert part.levels.keys() == panel.levels.keys() == {"year", "sex", "educ", "region", "wage"}
    assert part.levels["region"].tolist() == ["east", "north", "west"]
    assert part.levels["educ"].tolist() == [10, 11, 12, 13, 16]
    assert part.to_frame()["region"].cat.categories.tolist() == ["east", "north", "west"]


def test_continuous_numbers_have_no_levels(careers: pd.DataFrame, roles: dict) -> None:
    careers["wage"] += 0.5
    assert "wage" not in CareerPanel(careers, **roles).levels


def test_a_panel_can_be_pickled(panel: CareerPanel) -> None:
    other = pickle.loads(pickle.dumps(panel.split_time(2001)[1]))
    assert other.index.tolist() == ["d", "g"]
    assert other.choices == panel.choices


@given(seed=st.integers(0, 10**6), shares=st.sampled_from([[0.6, 0.4], [0.3, 0.3, 0.4]]))
@settings(max_examples=25, deadline=None)
def test_parts_are_a_partition(seed: int, shares: list[float]) -> None:
    panel = long_panel(persons=12, seed=seed % 7)
    parts = panel.split(shares, seed=seed)
    rows = [label for part in parts for label in part.index]
    assert sorted(rows) == sorted(panel.index)
    assert len(np.unique(np.concatenate([part.persons for part in parts]))) == 12


@pytest.mark.shared
def test_nlsy97_sizes(nlsy97: CareerPanel) -> None:
    parts = nlsy97.split([0.7, 0.1, 0.2], seed=0)
    assert [len(part.persons) for part in parts] == [4991, 713, 1426]
    assert [len(part) for part in parts] == [110_654, 16_127, 31_440]
    assert len(nlsy97.choices) == 338
    assert nlsy97.describe().stay_share == pytest.approx(0.633, abs=5e-4)
    unseen = np.setdiff1d(np.arange(338), parts[0].outcome)
    assert len(unseen) == 3
    assert np.isin(parts[2].outcome, unseen).sum() == 18


def test_subset_takes_identifiers_and_no_mask(panel: CareerPanel) -> None:
    for mask in (panel.person_ids < 3, [True, 2], pd.Series([True, False])):
        with pytest.raises(DataError, match="persons holds booleans; give identifiers"):
            panel.subset(mask)
    for wrong in (1, "ann"):
        with pytest.raises(OptionError, match=rf"persons={wrong!r} is no list; give a list of identifiers"):
            panel.subset(wrong)
    df = pd.DataFrame({"id": [True, False], "year": 2000, "job": ["cook", "clerk"]})
    assert CareerPanel(df, "id", "year", "job").subset([True]).persons.tolist() == [True]


@pytest.mark.parametrize("shares", [0.7, "a", None, [0.5, "a"], [[0.5], [0.5, 0.5]]])
def test_shares_that_are_no_numbers(panel: CareerPanel, shares: object) -> None:
    with pytest.raises(OptionError, match=r"shares=.* is no list of numbers; give shares as \[0.7, 0.1, 0.2\]"):
        panel.split(shares)
