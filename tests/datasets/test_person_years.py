import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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


@pytest.mark.shared
def test_the_national_survey_of_youth(nlsy97):
    folder = Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "nlsy97"
    with pytest.warns(SampleWarning, match="1 of 7131 persons"):
        panel = el.datasets.read_person_years(folder)
    assert (panel.outcome == nlsy97.outcome).all()
    assert len(panel.persons) == 7130
    assert len(panel.choices) == 338
