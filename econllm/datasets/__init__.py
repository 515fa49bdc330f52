"""Data to begin with: real and simulated careers, occupation titles, and readers of survey files."""

from econllm.datasets.career_text import read_career_text, write_career_text
from econllm.datasets.long import from_long
from econllm.datasets.occ1990dd import load_occ1990dd
from econllm.datasets.oracle import Oracle, OracleResults
from econllm.datasets.person_years import read_person_years
from econllm.datasets.readers import nls_missing, read_stata
from econllm.datasets.simulate import simulate_careers
from econllm.datasets.spells import from_spells
from econllm.datasets.wage_panel import WAGE_PANEL_TITLES, load_wage_panel

__all__ = [
    "WAGE_PANEL_TITLES",
    "Oracle",
    "OracleResults",
    "from_long",
    "from_spells",
    "load_occ1990dd",
    "load_wage_panel",
    "nls_missing",
    "read_career_text",
    "read_person_years",
    "read_stata",
    "simulate_careers",
    "write_career_text",
]
