"""A list of occupations that is consistent over censuses and surveys since 1970."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

CITATION = (
    "D. Autor and D. Dorn (2013), The Growth of Low-Skill Service Jobs and the Polarization of the US Labor Market, "
    "American Economic Review 103(5), 1553-1597; as revised by D. Deming (2017), The Growing Importance of Social "
    "Skills in the Labor Market, Quarterly Journal of Economics 132(4), 1593-1640."
)


def load_occ1990dd() -> pd.DataFrame:
    """Load the codes and titles of the occ1990dd classification of occupations.

    Returns
    -------
    pandas.DataFrame
        341 rows with the columns ``occupation`` (code, 4 to 889) and ``title``, a new frame at every call;
        ``.attrs["citation"]`` says whom to cite. It can be given as `titles` of a CareerPanel.

    Notes
    -----
    Titles are those of the published list with typing errors, joined words and capitals mended and one-off
    abbreviations written out; "n.e.c." (not elsewhere classified) stays. Source: Autor and Dorn (2013), as revised by
    Deming (2017).

    Examples
    --------
    >>> jobs = load_occ1990dd()
    >>> jobs.set_index("occupation").loc[183, "title"]
    'Writers and authors'
    """
    with (files("econllm.datasets") / "data" / "occ1990dd.csv").open(encoding="utf-8") as file:
        df = pd.read_csv(file)
    df.attrs["citation"] = CITATION
    return df
