"""The list of occupations and the wage panel."""

import re

import pandas as pd
import pytest

from econllm.choices import ChoiceSet
from econllm.datasets import WAGE_PANEL_TITLES, load_occ1990dd, load_wage_panel
from econllm.panel import CareerPanel


def test_occ1990dd_is_a_clean_choice_set() -> None:
    jobs = load_occ1990dd()
    assert list(jobs.columns) == ["occupation", "title"]
    assert len(jobs) == 341
    assert jobs["occupation"].is_monotonic_increasing
    assert (jobs["occupation"].min(), jobs["occupation"].max()) == (4, 889)
    assert len(ChoiceSet.from_titles(jobs)) == 341
    assert "Autor" in jobs.attrs["citation"]
    assert "Deming" in jobs.attrs["citation"]


def test_occ1990dd_titles_are_sentences_without_abbreviations() -> None:
    titles = load_occ1990dd()["title"]
    for title in titles:
        assert title == " ".join(title.split())
        assert re.fullmatch(r"[A-Z][a-z'/:() ,.-]+", title), title
        assert not re.search(r"[a-z]{2}\.", title), title
        assert re.sub(r", n\.e\.c\.$", "", title).count(".") == 0, title
    assert not titles.str.contains(r"ellanious|machne|equipement|applicance|exlud|carpeters|Furnance|eyors,  ").any()


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (183, "Writers and authors"),
        (329, "Library assistants"),
        (444, "Miscellaneous food preparation and service workers"),
        (468, "Child care workers"),
        (647, "Jewelers and precious stone and metal workers"),
        (804, "Driver/sales workers and truck drivers"),
        (218, "Surveyors, cartographers, and mapping scientists and technicians"),
    ],
)
def test_mended_titles(code: int, title: str) -> None:
    assert load_occ1990dd().set_index("occupation").loc[code, "title"] == title


@pytest.mark.parametrize("load", [load_occ1990dd, load_wage_panel])
def test_every_call_gives_a_new_frame(load) -> None:
    first = load()
    kept = first.copy()
    first.iloc[:, 0] = 0
    first["new"] = 1
    pd.testing.assert_frame_equal(load(), kept)


def test_wage_panel_makes_the_panel_of_the_first_example() -> None:
    panel = CareerPanel(
        load_wage_panel(),
        person="nr",
        time="year",
        occupation="occupation",
        titles=WAGE_PANEL_TITLES,
        static=["black", "hisp"],
        dynamic=["educ", "exper", "married"],
        lagged=["union"],
    )
    assert len(panel) == 4360
    assert len(panel.persons) == 545
    assert panel.choices.titles == tuple(WAGE_PANEL_TITLES.values())
    assert panel.choices.codes == tuple(range(1, 10))
