"""Stata files with their labels, Parquet files, and NLS missing codes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from econllm.datasets import nls_missing, read_stata
from econllm.errors import DataError, MissingColumnError
from econllm.panel import CareerPanel

ROLES = {"person": "id", "time": "year", "occupation": "job"}


def careers() -> pd.DataFrame:
    return pd.DataFrame(
        {"id": [1, 1, 2], "year": [2000, 2001, 2000], "job": [1, 3, 1], "wage": [7.5, np.nan, 9.0], "sex": [1, 1, 2]}
    )


def write(path: Path, **options) -> Path:
    careers().to_stata(
        path,
        write_index=False,
        version=118,
        value_labels={"job": {1: "Cook", 2: "Never seen", 3: "Café owner"}},
        variable_labels={"wage": "Hourly wage", "job": "Main job"},
        **options,
    )
    return path


def test_labels_stay_beside_codes(tmp_path) -> None:
    df = read_stata(write(tmp_path / "a.dta"))
    assert df.attrs["value_labels"] == {"job": {1: "Cook", 2: "Never seen", 3: "Café owner"}}
    assert all(type(code) is int for code in df.attrs["value_labels"]["job"])
    assert df.attrs["variable_labels"] == {"wage": "Hourly wage", "job": "Main job"}
    pd.testing.assert_frame_equal(df, careers(), check_dtype=False)
    assert df["job"].dtype.kind == "i"


def test_a_panel_takes_titles_and_labels_from_them(tmp_path) -> None:
    panel = CareerPanel(read_stata(write(tmp_path / "a.dta")), **ROLES, lagged=["wage"], static=["sex"])
    assert panel.choices.title(3) == "Café owner"
    assert panel.labels == {"wage": "Hourly wage", "job": "Main job"}
    assert "Hourly wage: 7.5" in panel.resumes()[1].text


def test_missing_codes_of_a_series() -> None:
    with pytest.raises(DataError, match=r"takes a data frame, not a Series; .* df\[\['wage'\]\]"):
        nls_missing(pd.Series([1.0, -4.0]))


def test_columns_may_share_a_label_set_of_another_name(tmp_path) -> None:
    path = write(tmp_path / "a.dta")
    data = path.read_bytes()
    cut, end = data.index(b"<value_label_names>") + 19, data.index(b"</value_label_names>")
    width = (end - cut) // 5
    assert data[cut + 2 * width : cut + 2 * width + 3] == b"job"
    names = b"".join(name.ljust(width, b"\0") for name in (b"", b"", b"occ", b"", b"occ"))
    tables = data.index(b"<value_labels>")
    path.write_bytes(data[:cut] + names + data[end:tables] + data[tables:].replace(b"job\0", b"occ\0", 1))
    labels = read_stata(path).attrs["value_labels"]
    assert set(labels) == {"job", "sex"}
    assert labels["job"] == labels["sex"] == {1: "Cook", 2: "Never seen", 3: "Café owner"}


def test_a_file_that_is_no_stata_file(tmp_path) -> None:
    path = tmp_path / "a.dta"
    path.write_text("id,year\n1,2000\n")
    with pytest.raises(DataError, match="cannot be read as a Stata data set"):
        read_stata(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as a Stata data set"):
        read_stata(path)
    with pytest.raises(FileNotFoundError):
        read_stata(tmp_path / "absent.dta")


def test_a_panel_works_from_parquet(tmp_path) -> None:
    pytest.importorskip("pyarrow")
    careers().to_parquet(tmp_path / "a.parquet")
    stored = CareerPanel(pd.read_parquet(tmp_path / "a.parquet"), **ROLES, lagged=["wage"])
    direct = CareerPanel(careers(), **ROLES, lagged=["wage"])
    assert stored.choices == direct.choices
    assert [r.text for r in stored.resumes()] == [r.text for r in direct.resumes()]


def test_nls_codes_become_missing_and_are_counted() -> None:
    df = pd.DataFrame(
        {
            "hours": [40, -1, -5, -5],
            "wage": [12.5, -4.0, np.nan, 3.0],
            "gain": [-0.5, -4.0, 1.0, 2.0],
            "temperature": [-7, -1, 0, 3],
            "plain": [1, 2, 3, 4],
            "ok": [True, False, True, False],
            "text": ["-1", "a", "b", "c"],
            "kids": pd.array([1, -2, None, 0], dtype="Int64"),
        }
    )
    kept = df.copy()
    clean = nls_missing(df)
    pd.testing.assert_frame_equal(df, kept)
    assert clean["hours"].isna().tolist() == [False, True, True, True]
    assert clean["wage"].isna().tolist() == [False, True, True, False]
    assert clean["kids"].isna().tolist() == [False, True, True, False]
    assert clean["kids"].dtype == "Int64"
    assert clean["plain"].dtype == df["plain"].dtype
    for column in ("gain", "temperature", "plain", "ok", "text"):
        pd.testing.assert_series_equal(clean[column], df[column])
    assert clean.attrs["nls_missing"] == {"hours": {-1: 1, -5: 2}, "wage": {-4: 1}, "kids": {-2: 1}}
    assert "nls_missing" not in df.attrs


def test_named_columns_only() -> None:
    df = pd.DataFrame({"gain": [-0.5, -4.0], "hours": [-1, 2]})
    clean = nls_missing(df, ["gain"])
    assert clean["gain"].isna().tolist() == [False, True]
    assert clean["hours"].tolist() == [-1, 2]


def test_nls_messages() -> None:
    df = pd.DataFrame({"hours": [1], "text": ["a"]})
    with pytest.raises(MissingColumnError, match="Did you mean 'hours'"):
        nls_missing(df, ["hour"])
    with pytest.raises(DataError, match=r"column 'text' is .*not numeric"):
        nls_missing(df, ["text"])
    with pytest.raises(DataError, match="single text"):
        nls_missing(df, "hours")
