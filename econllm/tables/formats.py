"""How values become text: Python format specs, p-values, missing values and infinities."""

from __future__ import annotations

import math
import re
from typing import Any

from econllm.errors import OptionError

PVALUE = "pvalue"
INTERVAL_SEPARATOR = ", "
# The least number that is not written with fixed decimals: it has eleven digits before the point.
_LARGEST = 1e10


def check_format(spec: str | None, what: str = "format") -> None:
    """Raise unless a number format can be used.

    Parameters
    ----------
    spec : str or None
        A Python format spec for numbers, such as ".3f", ".3g", ",d" or ".1%", the name "pvalue", or None for the
        default.
    what : str
        The option, for the message.

    Raises
    ------
    OptionError
        If Python cannot format a number with it.

    Examples
    --------
    >>> check_format(",d")
    >>> check_format("3 digits")
    Traceback (most recent call last):
        ...
    econllm.errors.OptionError: format='3 digits' is not a number format: give a Python format spec such as '.3f', ...
    """
    if spec is None or spec == PVALUE:
        return
    good = isinstance(spec, str)
    if good:
        try:
            format(1, spec)
        except ValueError:
            good = False
    if not good:
        raise OptionError(
            f"{what}={spec!r} is not a number format: give a Python format spec such as '.3f', '.3g', ',d' or '.1%', "
            "or 'pvalue'."
        )


def format_value(value: Any, spec: str | None = None) -> str:
    """Write one cell as plain text.

    Parameters
    ----------
    value : str, int, float or None
        Text is returned as it is.
    spec : str, optional
        Number format, see :func:`check_format`. By default whole numbers are written plainly and others with three
        decimals, or with two significant digits where three decimals would show a zero that is none. Where a format
        with fixed decimals would print more than ten digits before the point, the number is written as a power of ten.

    Returns
    -------
    str
        Empty for None, "." for NaN as in Stata, "∞" for infinity.

    Examples
    --------
    >>> format_value(1234567, ",d"), format_value(-0.00004, ".3f"), format_value(0.0002, "pvalue")
    ('1,234,567', '0.000', '<0.001')
    >>> format_value(2.5), format_value(0.00001), format_value(float("nan")), format_value(None)
    ('2.500', '1.0e-05', '.', '')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "." if math.isnan(value) else "∞" if value > 0 else "-∞"
    return _drop_negative_zero(_format_number(value, spec))


def interval(lower: float, upper: float, spec: str = ".3f") -> str:
    """Write an interval as the text of one cell.

    Parameters
    ----------
    lower, upper : float
        The bounds.
    spec : str
        Number format of both.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        If the format is not one.

    Examples
    --------
    >>> interval(-0.12, 0.3, ".2f")
    '[-0.12, 0.30]'
    """
    check_format(spec, "spec")
    return f"[{format_value(lower, spec)}{INTERVAL_SEPARATOR}{format_value(upper, spec)}]"


def looks_numeric(text: str) -> bool:
    """Whether a text reads as a number or an interval and so belongs on the right of its column.

    Examples
    --------
    >>> looks_numeric("[-0.12, 0.30]"), looks_numeric("<0.001"), looks_numeric("3rd job")
    (True, True, False)
    """
    return bool(re.fullmatch(r"(?:[\s\[\](),;<>=+\-−.%∞\d]|(?<=\d)e[+-]?(?=\d))*", text)) and any(
        character.isdigit() or character in ".∞" for character in text
    )


def _format_number(value: int | float, spec: str | None) -> str:
    if spec == PVALUE:
        return "<0.001" if 0 <= value < 0.001 else _format_number(value, ".3f")
    if spec is None:
        spec = "d" if isinstance(value, int) else ".3f" if value == 0 or 0.0005 <= abs(value) < 1e9 else ".1e"
    if isinstance(value, float) and spec[-1:] in tuple("bcdoxXn"):
        # A missing value turns a column of counts into floats; a count of 2.5 must not be rounded in silence.
        return format(int(value), spec) if value.is_integer() else _format_number(value, None)
    if spec[-1:] in ("f", "F", "%") and abs(value) * (100 if spec.endswith("%") else 1) >= _LARGEST:
        spec = ".2e"  # of the number itself, not of a percentage
    return format(value, spec)


def _drop_negative_zero(text: str) -> str:
    zero = text.startswith("-") and not any(character in "123456789" for character in re.sub(r"e.*", "", text))
    return text[1:] if zero and any(character == "0" for character in text) else text
