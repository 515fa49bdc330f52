"""How wide a text comes out in LaTeX, in Computer Modern Roman."""

from __future__ import annotations

import re

from econllm.tables.escape import clean
from econllm.tables.formats import looks_numeric

# Computer Modern Roman at ten points.
_WIDTHS = {
    **dict.fromkeys("il,.;:'[]!|", 2.8),
    **dict.fromkeys("fjI -\u00a0", 3.3),
    **dict.fromkeys("rst()`_", 3.95),
    **dict.fromkeys("cez", 4.45),
    **dict.fromkeys("ago0123456789$*/?", 5.0),
    **dict.fromkeys("kqvxyJ", 5.3),
    **dict.fromkeys("bdhnpuS", 5.6),
    **dict.fromkeys("FLPEZ", 6.6),
    **dict.fromkeys("wABCDGHKNOQRTUVXY&+<>=~^−×≤≥≈±", 7.6),
    **dict.fromkeys("mM%#@", 8.6),
    **dict.fromkeys("W—∞→←…", 10.3),
}
_OTHER = 7.8
_POWER = re.compile(r"\de[+-]?\d+")


def text_width(text: str) -> float:
    """Rough width of a text in points, in Computer Modern at ten points.

    Examples
    --------
    >>> text_width("ill") < text_width("mmm")
    True
    """
    text = clean(text)
    width = sum(_WIDTHS.get(character, _OTHER) for character in text)
    if looks_numeric(text):  # minus signs, and powers of ten in place of e
        width += 3.9 * text.count("-") + 14.0 * len(_POWER.findall(text))
    return width
