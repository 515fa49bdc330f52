"""How an estimate and what stands below or beside it become cells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from econllm.errors import OptionError, check_number, check_option
from econllm.tables import Cell, interval
from econllm.tables.formats import PVALUE, format_value

Statistic: TypeAlias = Literal["se", "t", "p", "ci"]
Stars: TypeAlias = bool | Mapping[str, float] | None

STATISTICS = ("se", "t", "p", "ci")
DEFAULT_STARS = {"*": 0.1, "**": 0.05, "***": 0.01}
_COLUMNS = {"se": "std_error", "t": "statistic", "p": "p_value", "ci": "lower"}
# What encloses the first, second and third statistic below an estimate; intervals have brackets of their own.
_ENCLOSURES = (("(", ")"), ("[", "]"), ("{", "}"))
# Fixed-width in text, and kept by every writer: it stands for the stars that a number does not have.
_BLANK = "\u00a0"
_MINUS = re.compile(r"(?<![\w])-(?=\d)")


@dataclass(frozen=True)
class Style:
    """What is printed of every coefficient.

    Attributes
    ----------
    statistics : tuple of str
        What goes with the estimate: "se", "t", "p", "ci".
    stars : tuple of (str, float)
        Symbols and their levels, strictest first.
    digits : int
        Decimals.
    level : float
        Coverage of the intervals.
    below : bool
        Whether statistics stand below the estimate, or beside it in columns of their own.
    exp : bool
        Whether estimates are exponentiated.
    """

    statistics: tuple[Statistic, ...] = ("se",)
    stars: tuple[tuple[str, float], ...] = ()
    digits: int = 3
    level: float = 0.95
    below: bool = True
    exp: bool = False

    @property
    def enclosures(self) -> dict[str, tuple[str, str]]:
        """What encloses every statistic but intervals when it stands below."""
        plain = [name for name in self.statistics if name != "ci"]
        return dict(zip(plain, _ENCLOSURES, strict=False))

    @property
    def pad(self) -> int:
        """Width of the longest run of stars."""
        return max((len(symbol) for symbol, _ in self.stars), default=0)

    @property
    def headings(self) -> list[str]:
        """Headings of the columns where statistics stand beside the estimate."""
        words = {"se": "SE", "t": "t", "p": "p", "ci": f"{100 * self.level:.10g}% CI"}
        return ["exp(coef.)" if self.exp else "coef.", *(words[name] for name in self.statistics)]


def make_style(
    statistic: str | Sequence[str] | None, stars: Stars, digits: int, level: float, *, below: bool, exp: bool
) -> Style:
    """Check the options that say what is printed of a coefficient.

    Raises
    ------
    OptionError
        Naming the option that is wrong.

    Examples
    --------
    >>> make_style("se", True, 3, 0.95, below=True, exp=False).stars
    (('***', 0.01), ('**', 0.05), ('*', 0.1))
    """
    chosen = () if statistic is None else (statistic,) if isinstance(statistic, str) else tuple(statistic)
    for name in chosen:
        check_option("statistic", name, STATISTICS)
    if len(set(chosen)) < len(chosen):
        raise OptionError(f"statistic={chosen!r} names one statistic twice.")
    check_number("digits", digits, minimum=0, integer=True)
    pairs: Mapping[str, float] = DEFAULT_STARS if stars is True else stars or {}
    if not isinstance(pairs, Mapping):
        raise OptionError(f'stars={stars!r} is not allowed: give None, True, or a mapping such as {{"*": 0.05}}.')
    for symbol, limit in pairs.items():
        check_number(f"stars[{symbol!r}]", limit, above=0)
        if limit >= 1:
            raise OptionError(f"stars[{symbol!r}]={limit!r} is not allowed: give a p-value below 1.")
    ordered = tuple(sorted(pairs.items(), key=lambda pair: pair[1]))
    return Style(chosen, ordered, digits, level, below, exp)  # type: ignore[arg-type]


def exponentiate(coefs: pd.DataFrame) -> pd.DataFrame:
    """Turn coefficients into ratios, with standard errors by the delta method; norms stay as they are.

    Examples
    --------
    >>> df = pd.DataFrame({"estimate": [0.0], "std_error": [0.5], "lower": [-1.0], "upper": [1.0], "count": [1]})
    >>> exponentiate(df)[["estimate", "std_error"]].values.tolist()
    [[1.0, 0.5]]
    """
    single = (coefs["count"] == 1).to_numpy()
    ratio = np.exp(coefs["estimate"])
    changed = {
        "estimate": ratio,
        "std_error": ratio * coefs["std_error"],
        "lower": np.exp(coefs["lower"]),
        "upper": np.exp(coefs["upper"]),
    }
    return coefs.assign(**{name: values.where(single, coefs[name]) for name, values in changed.items()})


def number_format(value: float, digits: int) -> str:
    """Decimals as asked for, or two significant digits where these would show a zero that is none.

    Examples
    --------
    >>> number_format(0.5, 3), number_format(0.00001, 3)
    ('.3f', '.1e')
    """
    tiny = math.isfinite(value) and 0 < abs(value) < 0.5 * 10.0**-digits
    return ".1e" if tiny else f".{digits}f"


def estimate_cell(line: Mapping[str, Any], style: Style) -> tuple[Cell, str | None]:
    r"""The estimate and its number format; text where stars go with it.

    Examples
    --------
    >>> estimate_cell({"estimate": 0.5, "p_value": 0.2}, Style())
    (0.5, '.3f')
    >>> estimate_cell({"estimate": -0.5, "p_value": 0.03}, Style(stars=(("***", 0.01), ("*", 0.05))))[0]
    '−0.500*\xa0\xa0'
    """
    value = float(line["estimate"])
    spec = number_format(value, style.digits)
    if not style.stars:
        return value, spec
    stars = next((symbol for symbol, limit in style.stars if line["p_value"] < limit), "")
    return _aligned(format_value(value, spec) + stars, style, len(stars)), None


def statistic_cell(line: Mapping[str, Any], name: str, style: Style) -> tuple[Cell, str | None]:
    """One statistic of a coefficient: text in brackets below the estimate, a number beside it.

    Examples
    --------
    >>> line = {"std_error": 0.1, "statistic": 5.0, "p_value": 0.0, "lower": 0.3, "upper": 0.7}
    >>> [statistic_cell(line, name, Style(("se", "p", "ci")))[0] for name in ("se", "p", "ci")]
    ['(0.100)', '[<0.001]', '[0.300, 0.700]']
    """
    value = float(line[_COLUMNS[name]])
    if math.isnan(value):
        return None, None
    spec = PVALUE if name == "p" else f".{min(style.digits, 2)}f" if name == "t" else number_format(value, style.digits)
    if name == "ci":
        text = interval(value, float(line["upper"]), f".{style.digits}f")
        return _aligned(text, style, 0), None
    if not style.below:
        return value, spec
    left, right = style.enclosures[name]
    return _aligned(f"{left}{format_value(value, spec)}{right}", style, 0), None


def plain_part(value: Cell, spec: str | None, style: Style) -> tuple[Cell, str | None]:
    r"""A cell without stars, in line with those that have them.

    Examples
    --------
    >>> plain_part(100, ",d", Style()), plain_part(100, ",d", Style(stars=(("*", 0.05),)))[0]
    ((100, ',d'), '100\xa0')
    """
    if value is None or not style.stars:
        return value, spec
    return _aligned(format_value(value, spec), style, 0), None


def _aligned(text: str, style: Style, stars: int) -> str:
    """With stars, numbers are text: minus signs are written out, and blanks stand where others have stars."""
    if not style.stars:
        return text
    return _MINUS.sub("−", text) + _BLANK * (style.pad - stars)
