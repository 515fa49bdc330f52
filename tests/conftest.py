"""A few careers that can be checked by hand, and the real ones that come with linearmodels."""

import os
from pathlib import Path

import pandas as pd
import pytest
from handmade import CAREERS, ROLES

from econllm.panel import CareerPanel


@pytest.fixture
def careers() -> pd.DataFrame:
    """The rows out of order, as a user may hold them."""
    return CAREERS.iloc[[7, 2, 5, 0, 4, 3, 6, 1]].copy()


@pytest.fixture
def roles() -> dict:
    return dict(ROLES)


@pytest.fixture
def panel(careers: pd.DataFrame) -> CareerPanel:
    return CareerPanel(careers, **ROLES)


@pytest.fixture(scope="session")
def wage_panel() -> CareerPanel:
    """The wage panel with the roles of the vignette."""
    from econllm.datasets import WAGE_PANEL_TITLES, load_wage_panel

    return CareerPanel(
        load_wage_panel(),
        person="nr",
        time="year",
        occupation="occupation",
        titles=WAGE_PANEL_TITLES,
        static=["black", "hisp"],
        dynamic=["educ", "exper", "married"],
        lagged=["union"],
    )


@pytest.fixture(scope="session")
def nlsy97() -> CareerPanel:
    """Real careers with 338 states, where the development data are at hand."""
    folder = Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "nlsy97"
    if not folder.is_dir():
        pytest.skip("the development data are not here; ECONLLM_SHARED names their folder")
    return CareerPanel(
        pd.read_csv(folder / "careers.csv.gz").dropna(subset=["birth_year"]),
        person="person_id",
        time="year",
        occupation="occupation",
        titles=pd.read_csv(folder / "occupations.csv"),
        static=["birth_year", "sex", "race"],
        dynamic=["region", "education"],
        lagged=["hours", "hourly_wage"],
    )
