"""Real careers that come with linearmodels: young men in the United States, 1980 to 1987."""

from __future__ import annotations

import pandas as pd

from econllm.errors import check_columns

WAGE_PANEL_TITLES: dict[int, str] = {
    1: "Professional, technical and kindred",
    2: "Managers, officials and proprietors",
    3: "Sales workers",
    4: "Clerical and kindred",
    5: "Craftsmen, foremen and kindred",
    6: "Operatives and kindred",
    7: "Laborers and farmers",
    8: "Farm laborers and foremen",
    9: "Service workers",
}
"""Titles of the nine occupations of the wage panel, by code."""

_COLUMNS = ("nr", "year", "occupation", "black", "hisp", "educ", "exper", "married", "union", "hours", "lwage")


def load_wage_panel() -> pd.DataFrame:
    """Load the wage panel of Vella and Verbeek: 545 men of the NLSY, observed every year from 1980 to 1987.

    Returns
    -------
    pandas.DataFrame
        4,360 rows, a new frame at every call. Person ``nr``, time ``year``, ``occupation`` (1 to 9, see
        ``WAGE_PANEL_TITLES``), known before it ``black``, ``hisp``, ``educ``, ``exper``, ``married``, and the job's own
        ``union``, ``hours`` and ``lwage``.

    Raises
    ------
    MissingColumnError
        If the installed linearmodels ships other columns.

    Notes
    -----
    Source: F. Vella and M. Verbeek (1998), Whose Wages Do Unions Raise? A Dynamic Model of Unionism and Wage Rate
    Determination for Young Men, Journal of Applied Econometrics 13, 163-183; distributed with linearmodels.

    Examples
    --------
    >>> df = load_wage_panel()
    >>> df["nr"].nunique(), int(df["year"].min()), int(df["year"].max())
    (545, 1980, 1987)
    """
    from linearmodels.datasets import wage_panel

    df = pd.DataFrame(wage_panel.load())
    check_columns(df, _COLUMNS, "wage panel")
    return df
