"""The text format of the public CAREER code: a folder by hand, round trips, and every way a file can be wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.datasets import read_career_text, simulate_careers, write_career_text
from econllm.empirical import Empirical
from econllm.errors import DataError, OptionError
from econllm.panel import CareerPanel

# Two persons as in the description of the format, and other splits; one entry per line where a variable is static.
FILES = {
    "train.job": "31-2021 31-2021 35-3011 27-1012\n25-9044 23-1012 11-1030\n",
    "train.year": "1995 1996 1997 1998\n2005 2006 2010\n",
    "train.education": "bachelors bachelors bachelors masters\nmasters masters doctorate\n",
    "train.ethnicity": "white\nblack_or_african_american\n",
    "train.gender": "female\nmale\n",
    "train.location": "MO\nAL\n",
    "valid.job": "45-2021 19-1021\n",
    "valid.year": "2000 2001\n",
    "valid.education": "associates associates\n",
    "valid.ethnicity": "asian\n",
    "valid.gender": "male\n",
    "valid.location": "PA\n",
    "test.job": "19-2011 31-2021\n",
    "test.year": "1994 1997\n",
    "test.education": "high_school_diploma <unk>\n",
    "test.ethnicity": "asian\n",
    "test.gender": "<unk>\n",
    "test.location": "CA\n",
}
CODES = ("11-1030", "19-1021", "19-2011", "23-1012", "25-9044", "27-1012", "31-2021", "35-3011", "45-2021")


def lay(folder, files=FILES, **changes):
    """Write files; a change names one with a low line for its dot, and None leaves it out."""
    for name, text in {**files, **{key.replace("_", "."): text for key, text in changes.items()}}.items():
        if text is not None:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def contents(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_a_folder_as_the_public_code_describes_it(tmp_path):
    panel = read_career_text(lay(tmp_path))
    assert (panel.roles.person, panel.roles.time, panel.roles.occupation) == ("person", "year", "job")
    assert panel.roles.static == ("gender", "ethnicity", "location")
    assert panel.roles.dynamic == ("education",)
    assert panel.choices.codes == CODES
    df = panel.to_frame()
    assert df["person"].tolist() == ["train:1"] * 4 + ["train:2"] * 3
    assert df["year"].tolist() == [1995, 1996, 1997, 1998, 2005, 2006, 2010]
    assert df["job"].tolist()[2:5] == ["35-3011", "27-1012", "25-9044"]
    assert df["education"].tolist()[3:] == ["masters", "masters", "masters", "doctorate"]
    assert df["gender"].tolist() == ["female"] * 4 + ["male"] * 3


def test_splits_share_choices_and_levels_and_no_person(tmp_path):
    lay(tmp_path)
    panels = [read_career_text(tmp_path, split) for split in ("train", "valid", "test")]
    assert len({panel.choices for panel in panels}) == 1
    levels = [{name: tuple(panel.levels[name]) for name in ("gender", "education", "location")} for panel in panels]
    assert levels[0] == levels[1] == levels[2]
    assert levels[0]["gender"] == ("female", "male")
    assert levels[0]["location"] == ("AL", "CA", "MO", "PA")
    assert len({person for panel in panels for person in panel.persons}) == 4
    fit = Empirical().fit(panels[0])
    assert np.isfinite(fit.log_likelihood(panels[2])).all()


def test_the_reserved_word_is_a_missing_value(tmp_path):
    df = read_career_text(lay(tmp_path), "test").to_frame()
    assert df["gender"].isna().all()
    assert df["education"].isna().tolist() == [False, True]


def test_the_order_of_lines_is_the_order_of_persons(tmp_path):
    jobs = [f"job{i}" for i in range(120)]
    lay(tmp_path, {"train.job": "".join(f"{job}\n" for job in jobs)})
    panel = read_career_text(tmp_path)
    assert panel.to_frame()["job"].tolist() == jobs
    assert panel.persons[[0, -1]].tolist() == ["train:001", "train:120"]


def test_without_years_time_is_the_number_of_the_record(tmp_path):
    panel = read_career_text(lay(tmp_path, {"train.job": "b a\nc\n"}))
    assert panel.roles.known == ("step",)
    assert panel.times.tolist() == [1, 2, 1]
    assert panel.roles.static == panel.roles.dynamic == ()


def test_variables_of_choice(tmp_path):
    lay(tmp_path, train_region="S N N S\nW W W\n", valid_region="S S\n", test_region="N N\n")
    panel = read_career_text(tmp_path, static=["gender"], dynamic=["region"])
    assert (panel.roles.static, panel.roles.dynamic) == (("gender",), ("region",))
    assert list(panel.levels["region"]) == ["N", "S", "W"]
    assert read_career_text(tmp_path, dynamic=[]).roles.dynamic == ()
    lay(tmp_path, train_location="MO MO MO CA\nAL AL AL\n", valid_location="PA PA\n", test_location="CA CA\n")
    moving = read_career_text(tmp_path, dynamic=["location", "education"])
    assert moving.roles.static == ("gender", "ethnicity")
    assert moving.to_frame()["location"].tolist()[2:4] == ["MO", "CA"]


def test_titles_give_codes_their_type_and_order(tmp_path):
    lay(tmp_path, {"train.job": "8 22 8\n", "test.job": "4\n", "train.year": "1 2 3\n", "test.year": "1\n"})
    titles = {22: "Managers", 4: "Executives", 8: "Clerks", 9: "Nobody"}
    panel = read_career_text(tmp_path, titles=titles)
    assert panel.choices.codes == (22, 4, 8)
    assert panel.choices.title(8) == "Clerks"
    assert panel.to_frame()["job"].tolist() == [8, 22, 8]
    whole = ChoiceSet.from_titles(titles)
    assert read_career_text(tmp_path, titles=whole).choices is whole
    assert read_career_text(tmp_path).choices.codes == ("22", "4", "8")


def test_windows_line_ends_a_byte_order_mark_and_a_missing_last_line_end(tmp_path):
    panel = read_career_text(lay(tmp_path, {"train.job": b"\xef\xbb\xbfb a\r\nc", "train.year": b"1 2\r\n1\r\n"}))
    assert panel.choices.codes == ("a", "b", "c")
    assert panel.to_frame()["job"].tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_year": "1995 1996 1997\n2005 2006 2010\n"}, r"train.year', line 1 has 3 entries, but .* 4 records"),
        ({"train_year": "1995 1996 1997 1998\n"}, "train.year' has 1 lines, but 'train.job' has 2"),
        ({"train_year": "1995 1996 1997 x\n2005 2006 2010\n"}, r"train.year', line 1: 'x' is no year"),
        ({"train_year": "1995 1996 1997 1998\n2005 2.5 2010\n"}, r"train.year', line 2: '2.5' is no year"),
        ({"train_year": "1995 1996 1997 1998\n2005 2005 2010\n"}, "line 2: 2005 comes after 2005, .* 1 lines are not"),
        ({"train_year": "1995 <unk> 1997 1998\n2005 2006 2010\n"}, "train.year', line 1: '<unk>' is reserved"),
        ({"train_job": "31-2021 <unk> 35-3011 27-1012\n25-9044 23-1012 11-1030\n"}, "train.job', line 1: '<unk>' is"),
        ({"train_education": "a a a a\nb <pad> b\n"}, r"train.education', line 2: '<pad>' is reserved"),
        ({"train_job": "31-2021 31-2021 35-3011 27-1012\n\n"}, "train.job': 1 of 2 lines are empty, first line 2"),
        ({"train_gender": "female\nmale\n\n"}, "train.gender': 1 of 3 lines are empty, first line 3"),
        ({"train_job": ""}, "train.job': 1 of 1 lines are empty, first line 1"),
        ({"train_gender": "female female female female\nmale\n"}, r"line 1 has 4 entries; a static .* in dynamic="),
        ({"train_education": "a\nb\n"}, r"line 1 has 1 entries, .* differ in 2 of 2 lines. It has one .* in static="),
        ({"test_gender": None}, r"'test.gender' is not in the folder .*, but 'train.gender' is"),
        ({"valid_year": None}, r"'valid.year' is not in the folder"),
        ({"train_gender": b"\xff\xfe\n"}, "train.gender' is no UTF-8 text"),
        ({"train_gender": "(none)\nmale\n"}, r"level '\(none\)', which is reserved"),
    ],
)
def test_errors_name_file_and_line(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_career_text(lay(tmp_path, **changes))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "tain"}, OptionError, r"'tain.job' is not in the folder .*'test', 'train', 'valid'. .*'train'"),
        ({"static": ["gendr"]}, DataError, r"'train.gendr' is not in the folder .* Did you mean 'gender'"),
        ({"static": "gender"}, OptionError, r"static='gender' is one text; give a list of names, \['gender'\]"),
        ({"static": ["location"], "dynamic": ["location"]}, OptionError, "'location' is named twice"),
        ({"dynamic": ["year"]}, OptionError, "'year' is read without being named"),
        ({"titles": "job"}, OptionError, "titles='job' is a text"),
        ({"titles": {"31-2021": "A", "25-9044": "B"}}, DataError, r"train.job', line 1: the job '35-3011' is not in"),
        ({"titles": {4: "A"}}, DataError, r"line 1: the job '31-2021' .* 7 records and 6 codes"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        read_career_text(lay(tmp_path), **options)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(OptionError, match=r"the folder .*nowhere' does not exist"):
        read_career_text(tmp_path / "nowhere")
    with pytest.raises(OptionError, match=r"it holds no \.job file"):
        read_career_text(tmp_path)


# Writing


def test_files_that_were_read_are_written_as_they_were(tmp_path):
    (tmp_path / "in").mkdir()
    lay(tmp_path / "in")
    for split in ("train", "valid", "test"):
        write_career_text(read_career_text(tmp_path / "in", split), tmp_path / "out" / "new", split)
    assert contents(tmp_path / "out" / "new") == FILES


def careers():
    return pd.DataFrame(
        {
            "id": ["b", "b", "a"],
            "t": [2001.0, 2003.0, 2000.0],
            "job": [10, 20, 10],
            "sex": [1.0, 1.0, np.nan],
            "union": [True, False, True],
            "wage": [1.5, 2.0, 3.0],
            "weight": [1, 1, 2],
        }
    )


def test_columns_become_files_and_lagged_ones_are_left_out(tmp_path):
    df = careers()
    panel = CareerPanel(df, "id", "t", "job", static=["sex"], dynamic=["union"], lagged=["wage"], weights="weight")
    write_career_text(panel, tmp_path)
    assert contents(tmp_path) == {
        "train.job": "10\n10 20\n",
        "train.year": "2000\n2001 2003\n",
        "train.sex": "<unk>\n1\n",
        "train.union": "True\nTrue False\n",
    }


def test_records_of_history_are_written_too(tmp_path):
    late = CareerPanel(careers(), "id", "t", "job").split_time(2001)[1]
    assert len(late) == 1
    write_career_text(late, tmp_path, "test")
    assert contents(tmp_path) == {"test.job": "10 20\n", "test.year": "2001 2003\n"}


def test_columns_by_outcome_are_left_out(tmp_path):
    df = careers().assign(**{"pay[10]": 1.0, "pay[20]": 2.0})
    write_career_text(CareerPanel(df, "id", "t", "job", static=["sex"], dynamic=["pay[alt]"]), tmp_path)
    assert set(contents(tmp_path)) == {"train.job", "train.year", "train.sex"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"job": ["cook", "head cook", "cook"]}, DataError, r"'job' has 1 values .* 'head cook': .*as 'head_cook'"),
        ({"sex": ["a b", "a b", "a_b"]}, DataError, r"column 'sex' has 1 values .* first 'a b': .* is made\."),
        ({"sex": ["x\u2028y", "x\u2028y", "z"]}, DataError, "no single word of the format"),
        ({"sex": ["", "", "z"]}, DataError, r"first '': .* is made\."),
        ({"sex": ["<pad>", "<pad>", "z"]}, DataError, "first '<pad>'"),
        ({"sex": pd.Series([1, 1, "1"], dtype="object")}, DataError, "two values that are both written '1'"),
        ({"t": [2001.5, 2003.0, 2000.0]}, DataError, r"'t' is no whole number in 1 rows, first 2001.5"),
    ],
)
def test_values_that_the_format_cannot_hold(tmp_path, changes, error, message):
    panel = CareerPanel(careers().assign(**changes), "id", "t", "job", static=["sex"])
    with pytest.raises(error, match=message):
        write_career_text(panel, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["job", "year", "a/b", 7])
def test_columns_that_cannot_name_a_file(tmp_path, name):
    df = careers().rename(columns={"job": "occupation"}).rename(columns={"sex": name})
    with pytest.raises(OptionError, match="cannot end the name of a file of its own"):
        write_career_text(CareerPanel(df, "id", "t", "occupation", static=[name]), tmp_path)


def test_what_else_is_refused(tmp_path):
    panel = CareerPanel(careers(), "id", "t", "job")
    with pytest.raises(OptionError, match="panel is a DataFrame"):
        write_career_text(careers(), tmp_path)
    with pytest.raises(OptionError, match="split='a/b' cannot begin the name of a file"):
        write_career_text(panel, tmp_path, "a/b")
    with pytest.raises(DataError, match="no rows"):
        write_career_text(panel.subset([]), tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OptionError, match="is a file; give a folder"):
        write_career_text(panel, tmp_path / "file")
    (tmp_path / "train.gender").write_text("male\n")
    with pytest.raises(OptionError, match=r"holds 'train.gender', but the panel has no column 'gender'"):
        write_career_text(panel, tmp_path)


def test_an_interrupted_writing_leaves_the_old_files(tmp_path, monkeypatch):
    old = CareerPanel(careers(), "id", "t", "job", static=["sex"])
    write_career_text(old, tmp_path)
    before = contents(tmp_path)
    new = CareerPanel(careers().assign(job=[20, 10, 20], sex=[2, 2, 2]), "id", "t", "job", static=["sex"])
    opened = type(tmp_path).open

    def fail(self, *args, **options):
        if ".train.sex." in self.name:
            raise OSError("no room on the disk")
        return opened(self, *args, **options)

    monkeypatch.setattr(type(tmp_path), "open", fail)
    with pytest.raises(OSError, match="no room"):
        write_career_text(new, tmp_path)
    monkeypatch.undo()
    assert contents(tmp_path) == before


# Round trips

# One word each: what is printable, holds no blank, and is none of the words that the format or the panel reserves.
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda word: word.isprintable() and word not in ("<s>", "<pad>", "</s>", "<unk>", "(none)")
)


@st.composite
def panels(draw):
    codes = draw(st.one_of(st.lists(WORDS, min_size=1, max_size=4, unique=True), st.just([3, 20, 100])))
    levels = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
    rows = []
    for person in range(draw(st.integers(1, 5))):
        gender = draw(st.sampled_from([*levels, None]))
        years = sorted(draw(st.sets(st.integers(-5, 3000), min_size=1, max_size=4)))
        jobs = [draw(st.sampled_from(codes)) for _ in years]
        educations = [draw(st.sampled_from([*levels, None])) for _ in years]
        rows += [(person, *record, gender) for record in zip(years, jobs, educations, strict=True)]
    df = pd.DataFrame(rows, columns=["id", "year", "job", "education", "gender"]).astype(
        {"gender": "object", "education": "object"}
    )
    return CareerPanel(df, "id", "year", "job", ChoiceSet(codes), static=["gender"], dynamic=["education"])


def plain(column):
    return [None if pd.isna(value) else value for value in column]


@settings(max_examples=60, deadline=None)
@given(panel=panels())
def test_what_is_written_is_read_back(panel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("careers")
    write_career_text(panel, folder)
    again = read_career_text(folder, titles=panel.choices)
    assert again.choices == panel.choices
    old, new = panel.to_frame(), again.to_frame()
    for name in ("year", "job", "gender", "education"):
        assert plain(new[name]) == plain(old[name])
    assert again.is_first.tolist() == panel.is_first.tolist()
    before = contents(folder)
    write_career_text(again, folder)
    assert contents(folder) == before


def test_simulated_careers_in_three_splits(tmp_path):
    panel = simulate_careers(60, 6)
    parts = dict(zip(("train", "valid", "test"), panel.split([0.7, 0.1, 0.2]), strict=True))
    for split, part in parts.items():
        write_career_text(part, tmp_path, split)
    for split, part in parts.items():
        again = read_career_text(
            tmp_path, split, titles=panel.choices, static=["sex", "birth_year"], dynamic=["educ", "exper"]
        )
        assert again.choices == panel.choices
        assert again.outcome.tolist() == part.outcome.tolist()
        assert again.record_numbers.tolist() == part.record_numbers.tolist()
        for name in ("sex", "birth_year", "educ", "exper"):
            assert plain(again.to_frame()[name]) == [str(value) for value in part.to_frame()[name]]


@pytest.mark.parametrize("option", ["static", "dynamic"])
def test_names_that_are_no_list_are_refused(tmp_path, option):
    (tmp_path / "train.job").write_text("a b\n")
    with pytest.raises(OptionError, match=f"{option}=3 is not allowed: give a list of names"):
        read_career_text(tmp_path, **{option: 3})
