import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from econllm.choices import ChoiceSet, plain_code
from econllm.errors import DataError


@pytest.fixture
def jobs() -> ChoiceSet:
    return ChoiceSet([30, 10, 20], ["Nurse", "Clerk", "Cook"])


def test_order_titles_and_index(jobs: ChoiceSet) -> None:
    assert jobs.codes == (30, 10, 20)
    assert jobs.title(np.int64(10)) == "Clerk"
    assert jobs.index.equals(pd.Index([30, 10, 20]))
    assert 20 in jobs
    assert 21 not in jobs
    assert len(jobs) == 3
    assert ChoiceSet(["b", "a"]).titles == ("b", "a")


@pytest.mark.parametrize(
    "titles",
    [
        {1: "Clerk", 2: "Cook"},
        pd.Series(["Clerk", "Cook"], index=[1, 2]),
        pd.DataFrame({"code": [1.0, 2.0], "title": ["Clerk", "Cook"]}),
        ChoiceSet([1, 2], ["Clerk", "Cook"]),
    ],
    ids=["mapping", "series", "frame", "choices"],
)
def test_from_titles_reads_every_form(titles: object) -> None:
    assert ChoiceSet.from_titles(titles) == ChoiceSet([1, 2], ["Clerk", "Cook"])


def test_equality_pickling_and_immutability(jobs: ChoiceSet) -> None:
    assert pickle.loads(pickle.dumps(jobs)) == copy.deepcopy(jobs) == jobs
    assert jobs != ChoiceSet([10, 30, 20], ["Clerk", "Nurse", "Cook"])
    with pytest.raises(AttributeError):
        jobs.codes = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([20, 30, 20]),
        pd.Series([20.0, 30.0, 20.0]),
        pd.Series([20, 30, 20], dtype="Int64"),
        pd.Series([20, 30, 20], dtype=object),
        pd.Series([20, 30, 20], dtype="category"),
    ],
)
def test_positions_for_every_kind_of_integer(jobs: ChoiceSet, values: pd.Series) -> None:
    found = jobs.positions(values)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 2]


def test_positions_of_nothing(jobs: ChoiceSet) -> None:
    assert jobs.positions(pd.Series([], dtype=object)).shape == (0,)


def test_positions_count_rows_and_name_offenders(jobs: ChoiceSet) -> None:
    with pytest.raises(
        DataError, match=r"column 'job': 3 rows hold 2 values that are not in the choice set .*: 99, 11"
    ):
        jobs.positions(pd.Series([10, 99, 99, 11]), "job")


def test_positions_hint_at_the_nearest_text() -> None:
    with pytest.raises(DataError, match=r"1 rows hold 1 values .* 'coook'. Did you mean 'cook'\?"):
        ChoiceSet(["cook", "clerk"]).positions(pd.Series(["coook"]))


@pytest.mark.parametrize(
    ("codes", "values", "kinds"),
    [
        ([10, 20], ["10", "20"], "holds text and the choice set whole numbers"),
        (["10"], [10], "holds numbers and the choice set text"),
    ],
)
def test_positions_hint_at_astype(codes: list, values: list, kinds: str) -> None:
    with pytest.raises(DataError, match=rf"{kinds}: convert one of them with astype\(\)"):
        ChoiceSet(codes).positions(pd.Series(values))


@pytest.mark.parametrize("values", [[10, None, None], ["a", None, np.nan]])
def test_positions_count_missing_values(values: list) -> None:
    codes = [v for v in values if v is not None and v == v]
    with pytest.raises(DataError, match=r"column 'job' is missing in 2 rows, first at index 1, 2"):
        ChoiceSet(codes).positions(pd.Series(values), "job")


@pytest.mark.parametrize(
    ("codes", "titles", "message"),
    [
        ([], None, "the choice set is empty"),
        ([1, 2, 1], None, "repeats 1 codes: 1"),
        ([1, "b"], None, "mix whole numbers and text such as 'b'"),
        ([1.5], None, "must be whole numbers or text; found 1.5"),
        ([True], None, "must be whole numbers or text; found True"),
        ([None], None, "must be whole numbers or text; found None"),
        ([1, 2], ["a"], "1 titles for 2 occupation codes"),
        ([1], [np.nan], r"occupation 1 has no title \(found nan\)"),
        ([1], [" "], "occupation 1 has no title"),
        ([1], ["a\nb"], "line break or blanks at its ends"),
        ([1], ["a "], "line break or blanks at its ends"),
        ([1, 2], ["a", "a"], "occupations 1 and 2 have the same title 'a'; merge or rename one"),
    ],
)
def test_bad_sets(codes: list, titles: list | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ChoiceSet(codes, titles)


def test_bad_titles_objects() -> None:
    with pytest.raises(DataError, match="titles has 3 columns; give exactly two"):
        ChoiceSet.from_titles(pd.DataFrame(np.ones((1, 3))))
    with pytest.raises(DataError, match="titles is a list; give a mapping"):
        ChoiceSet.from_titles(["Clerk"])  # type: ignore[arg-type]


def test_unknown_title() -> None:
    with pytest.raises(DataError, match=r"occupation 'cok' is not in the choice set. Did you mean 'cook'\?"):
        ChoiceSet(["cook"]).title("cok")


def test_plain_code() -> None:
    assert [type(plain_code(v)) for v in (np.float64(4), np.int32(4), "4", 4.5)] == [int, int, str, float]
