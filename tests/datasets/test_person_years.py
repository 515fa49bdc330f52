import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import econllm as el
from econllm.errors import DataError, MissingColumnError, OptionError, SampleWarning


@pytest.fixture
def df():
    years = np.tile([1999, 2000, 2001], 4)
    return pd.DataFrame(
        {
            "person_id": np.repeat([1, 2, 3, 4], 3),
            "year": years,
            "occupation": [4, 7, 7] * 4,
            "title": ["Clerk", "Cook", "Cook"] * 4,
            "sex": np.repeat(["f", "m", "f", "m"], 3),
            "birth_year": np.repeat([1970.0, 1971.0, np.nan, 1972.0], 3),
            "region": "West",
            "hours": 2000.0,
            "w": np.repeat([1.0, 2.0, 1.0, 1.0], 3),
            "note": "x",
        }
    )


def write(df, file):
    {".gz": df.to_csv, ".csv": df.to_csv, ".parquet": df.to_parquet}[file.suffix](file, index=False)


@pytest.mark.parametrize("name", ["careers.csv", "careers.csv.gz", "careers.parquet"])
def test_columns_get_the_roles_that_their_names_say(df, tmp_path, name):
    write(df, tmp_path / name)
    with pytest.warns(SampleWarning, match="1 of 4 persons are left out, because one of 'birth_year', 'sex'"):
        panel = el.datasets.read_person_years(tmp_path / name, weights="w")
    assert panel.persons.tolist() == [1, 2, 4]
    assert panel.roles.static == ("birth_year", "sex")
    assert panel.roles.dynamic == ("region",)
    assert panel.roles.lagged == ("hours",)
    assert panel.choices.titles == ("Clerk", "Cook")
    assert panel.sampling_weights.mean() == pytest.approx(1)
    assert "note" not in panel.to_frame()


def test_a_stata_file_and_titles_of_its_own(df, tmp_path):
    df = df[df["person_id"] != 3]
    df.drop(columns=["title"]).to_stata(tmp_path / "careers.dta", write_index=False)
    titles = pd.DataFrame({"occupation": [4, 7], "title": ["Clerks", "Cooks"], "more": 1})
    titles.to_csv(tmp_path / "occupations.csv", index=False)
    panel = el.datasets.read_person_years(tmp_path)  # the folder
    assert panel.choices.titles == ("Clerks", "Cooks")
    assert len(panel) == 9


def test_what_cannot_be_read_is_named(df, tmp_path):
    write(df.drop(columns="occupation"), tmp_path / "careers.csv")
    with pytest.raises(MissingColumnError, match="occupation"):
        el.datasets.read_person_years(tmp_path / "careers.csv")
    with pytest.raises(DataError, match=r"there is no file .*Did you mean 'careers.csv'"):
        el.datasets.read_person_years(tmp_path / "career.csv")
    (tmp_path / "careers.xlsx").write_text("")
    with pytest.raises(OptionError, match=r"must end in one of \.csv, \.csv\.gz, \.dta, \.parquet"):
        el.datasets.read_person_years(tmp_path / "careers.xlsx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no file careers"):
        el.datasets.read_person_years(tmp_path / "empty")


def panel_of(text, tmp_path, titles=None):
    (tmp_path / "careers.csv").write_text(text)
    if titles is not None:
        (tmp_path / "occupations.csv").write_text(titles)
    return el.datasets.read_person_years(tmp_path)


def test_leading_zeros_keep_persons_and_occupations_apart(tmp_path):
    text = "person_id,year,occupation\n001,2000,0430\n1,2000,430\n1,2001,0430\n"
    panel = panel_of(text, tmp_path)
    assert panel.persons.tolist() == ["001", "1"]
    assert panel.choices.codes == ("0430", "430")
    panel = panel_of(text, tmp_path, "occupation,title\n0430,Cook\n430,Clerk\n")
    assert [panel.choices.title(code) for code in ("0430", "430")] == ["Cook", "Clerk"]


def test_codes_are_whole_numbers_only_where_both_files_say_so(tmp_path):
    text = "person_id,year,occupation\n10,2000,430\n9,2000,7\n"
    panel = panel_of(text, tmp_path, "occupation,title\n430,Cook\n7,Clerk\n")
    assert panel.persons.tolist() == [9, 10]
    assert panel.choices.codes == (430, 7)
    panel = panel_of(text, tmp_path, "occupation,title\n430,Cook\n7,Clerk\n007,Agent\n")
    assert panel.choices.codes == ("430", "7")
    with pytest.raises(DataError, match=r"not in the choice set.*'7'"):
        panel_of(text, tmp_path, "occupation,title\n430,Cook\n007,Clerk\n")


@settings(deadline=None, max_examples=40)
@given(codes=st.lists(st.from_regex(r"-?[0-9]{1,20}(\.0)?", fullmatch=True), min_size=1, unique=True))
def test_no_two_codes_are_made_one(codes, tmp_path_factory):
    whole = all(len(code.lstrip("-").removesuffix(".0")) < 19 and is_plain(code.removesuffix(".0")) for code in codes)
    if whole:  # 4 and 4.0 are the same number
        codes = list({int(code.removesuffix(".0")): code for code in codes}.values())
    rows = "".join(f"{code},2000,{code}\n" for code in codes)
    panel = panel_of("person_id,year,occupation\n" + rows, tmp_path_factory.mktemp("codes"))
    assert len(panel.persons) == len(panel.choices) == len(codes)
    expected = {int(code.removesuffix(".0")) for code in codes} if whole else set(codes)
    assert set(panel.choices.codes) == expected


def is_plain(code):
    return str(int(code)) == code


def test_whole_numbers_that_a_missing_value_once_made_floats_are_whole_numbers(tmp_path):
    text = "person_id,year,occupation\n1.0,2000,430.0\n2.0,2000,7.0\n"
    panel = panel_of(text, tmp_path, "occupation,title\n430,Cook\n7,Clerk\n")
    assert panel.persons.tolist() == [1, 2]
    assert panel.choices.codes == (430, 7)
    (tmp_path / "occupations.csv").unlink()
    panel = panel_of("person_id,year,occupation\n1,2000,11.0\n1,2001,11.1\n", tmp_path)
    assert panel.choices.codes == ("11.0", "11.1")


def test_parquet_keeps_its_types_and_the_titles_follow(tmp_path):
    df = pd.DataFrame({"person_id": ["01", "1"], "year": 2000, "occupation": ["430", "7"]})
    (tmp_path / "occupations.csv").write_text("occupation,title\n430,Cook\n7,Clerk\n")
    df.to_parquet(tmp_path / "careers.parquet")
    panel = el.datasets.read_person_years(tmp_path)
    assert panel.persons.tolist() == ["01", "1"]
    assert panel.choices.codes == ("430", "7")
    df.assign(occupation=[430, 7]).to_parquet(tmp_path / "careers.parquet")
    assert el.datasets.read_person_years(tmp_path).choices.codes == (430, 7)


@pytest.mark.parametrize("column", ["person_id", "occupation"])
def test_rows_without_person_or_occupation_are_refused(df, tmp_path, column):
    df = df[df["person_id"] != 3].astype({column: "Int64"})
    df.loc[[0, 9], column] = pd.NA
    write(df, tmp_path / "careers.csv")
    with pytest.raises(DataError, match=rf"'{column}' is missing in 2 of 9 rows, first at index 0, 6"):
        el.datasets.read_person_years(tmp_path / "careers.csv")


def test_missing_persons_are_refused_before_incomplete_ones_are_left_out(df, tmp_path):
    df = df.astype({"person_id": "Int64"})
    df.loc[6:8, "person_id"] = pd.NA  # the rows that lack their birth year too
    write(df, tmp_path / "careers.csv")
    with pytest.raises(
        DataError, match=r"careers\.csv.*'person_id' is missing in 3 of 12 rows, first at index 6, 7, 8"
    ):
        el.datasets.read_person_years(tmp_path / "careers.csv")


def test_a_column_that_should_not_vary_is_named_with_its_persons(df, tmp_path):
    df = df[df["person_id"] != 3]
    df.loc[[1, 4], "sex"] = "x"
    write(df, tmp_path / "careers.csv")
    with pytest.raises(DataError, match=r"'sex' varies within 2 of 3 persons, first 1, 2.*CareerPanel") as found:
        el.datasets.read_person_years(tmp_path)
    assert "careers.csv" in str(found.value)


def test_a_file_of_incomplete_persons_is_refused(df, tmp_path):
    write(df.assign(birth_year=np.nan), tmp_path / "careers.csv")
    with pytest.raises(DataError, match=r"careers\.csv.* all 4 persons .* 'birth_year', 'sex'"):
        el.datasets.read_person_years(tmp_path)


HEADER = "'person_id', 'year', 'occupation'"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"person_id,year,occupation\n1,2000,caf\xe9\n", "UTF-8"),
        (b"", HEADER),
        (b"person_id,year,occupation\n", "has no rows"),
        (b"person_id;year;occupation\n1;2000;7\n", "separated by commas"),
        (b"person_id;year;wage\n1;2000;7,5\n2;2000;8\n", "separated by commas"),
        (b"person_id\tyear\toccupation\n1\t2000\t7\n", "separated by commas"),
        (b"person_id,year,occupation\n1,2000,7\n1,2001,7,8\n", "separated by commas"),
        (b"person_id,year,occupation\n1,2000,7,\n1,2001,7,\n", "header line"),
    ],
)
def test_a_csv_file_that_is_none_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "careers.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as found:
        el.datasets.read_person_years(tmp_path / "careers.csv")
    assert "careers.csv" in str(found.value)


def test_a_file_of_titles_that_is_none_is_refused_by_name(tmp_path):
    text = "person_id,year,occupation\n1,2000,7\n"
    for titles, wanted in (("", "'occupation', 'title'"), ("occupation;title\n7;Clerk\n", "separated by commas")):
        with pytest.raises(DataError, match=wanted) as found:
            panel_of(text, tmp_path, titles)
        assert "occupations.csv" in str(found.value)


@pytest.mark.parametrize("name", ["careers.csv.gz", "careers.dta", "careers.parquet"])
def test_a_file_whose_ending_says_what_it_is_not_is_refused_by_name(tmp_path, name):
    for content in (b"", b"person_id,year\n"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            el.datasets.read_person_years(tmp_path / name)


@pytest.mark.parametrize("path", [3, None, b"careers.csv"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(OptionError, match=r"path=.* is not a path"):
        el.datasets.read_person_years(path)


@pytest.mark.shared
def test_the_national_survey_of_youth(nlsy97):
    folder = Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "nlsy97"
    with pytest.warns(SampleWarning, match="1 of 7131 persons"):
        panel = el.datasets.read_person_years(folder)
    assert (panel.outcome == nlsy97.outcome).all()
    assert len(panel.persons) == 7130
    assert len(panel.choices) == 338


def test_blanks_and_empty_lines_of_spreadsheets_do_not_count(tmp_path):
    text = "person_id,year,occupation\n1 ,2000, 4\n1,2001,4 \n1.0,2002,7\n,,\n"
    panel = panel_of(text, tmp_path, "occupation,title\n4,Cook\n7,Clerk\n,\n")
    assert panel.persons.tolist() == [1]
    assert panel.choices.codes == (4, 7)
