"""The data of the reference values: the same numbers on every machine, in Python and in R."""

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from econllm.datasets import load_wage_panel

MODES = ("bus", "car", "train", "walk")


def choices() -> pd.DataFrame:
    """Three outcomes; numbers x and z, a factor g, and a count of how often each row was observed."""
    draw = _uniform(11, 400, 7)
    x, z = stats.norm.ppf(draw[:, 0]).round(3), (10 * draw[:, 1]).round(3)
    g = np.array(["u", "v", "w"])[(3 * draw[:, 2]).astype(int)]
    known = np.column_stack([np.zeros(400), 0.8 * x + (g == "v"), 0.3 * z - 1 - 0.5 * x * (g == "w")])
    y = np.array(["bus", "car", "walk"])[(known + _gumbel(draw[:, 3:6])).argmax(axis=1)]
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "count": 1 + (4 * draw[:, 6]).astype(int)})


def travel() -> pd.DataFrame:
    """Four ways to travel with price and time of each, some of which are not available; one column per outcome."""
    draw = _uniform(12, 300, 18)
    mean_price, mean_time = np.array([2.0, 5.0, 4.0, 0.5]), np.array([30.0, 20.0, 25.0, 50.0])
    income = (1 + 5 * draw[:, 0]).round(3)
    price = (mean_price * (0.5 + draw[:, 1:5])).round(3)
    time = (mean_time * (0.5 + draw[:, 5:9])).round(3)
    available = draw[:, 9:13] < [0.9, 0.6, 0.7, 0.8]
    available[~available.any(axis=1), 0] = True
    known = -0.4 * price - 0.05 * time + [0.0, -0.5, 0.2, 0.3] + np.outer(income, [0.0, 0.5, 0.2, 0.1])
    utility = np.where(available, known + _gumbel(draw[:, 13:17]), -np.inf)
    columns = {"y": np.array(MODES)[utility.argmax(axis=1)], "income": income}
    for name, values in (("price", price), ("time", time), ("available", available.astype(int))):
        columns |= {f"{name}[{mode}]": values[:, j] for j, mode in enumerate(MODES)}
    return pd.DataFrame(columns | {"count": 1 + (3 * draw[:, 17]).astype(int)})


def profiles() -> pd.DataFrame:
    """Made-up men for whom models of the wage panel give probabilities: no row of the survey is stored."""
    return pd.DataFrame(
        {"educ": [8, 12, 12, 14, 16], "exper": [10, 2, 6, 4, 3], "black": [0, 1, 0, 0, 1], "married": [1, 0, 1, 0, 1]}
    )


def wage() -> pd.DataFrame:
    """Columns of the wage panel, read where linearmodels has put it."""
    return load_wage_panel()[["occupation", "educ", "exper", "black", "married"]]


FRAMES: dict[str, Callable[[], pd.DataFrame]] = {
    "choices": choices,
    "travel": travel,
    "profiles": profiles,
    "wage": wage,
}


def as_csv(df: pd.DataFrame) -> str:
    """What R reads."""
    return df.to_csv(index=False, lineterminator="\n")


def md5(df: pd.DataFrame) -> str:
    """The hash that R takes of the file it reads."""
    return hashlib.md5(as_csv(df).encode(), usedforsecurity=False).hexdigest()


def _uniform(seed: int, rows: int, columns: int) -> np.ndarray:
    """Uniform numbers: unlike numpy's other distributions, drawn in a way that does not change with its version."""
    return np.random.Generator(np.random.MT19937(seed)).random((rows, columns))


def _gumbel(uniform: np.ndarray) -> np.ndarray:
    return -np.log(-np.log(uniform))
