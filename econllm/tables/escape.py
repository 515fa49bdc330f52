r"""Make any text safe inside LaTeX, HTML and Markdown.

LaTeX comes out as pure ASCII, so a table prints under every engine and input encoding: accented letters as accent
commands, symbols as math, and what Computer Modern has no glyph for as its nearest ASCII letters or a question mark.
"""

from __future__ import annotations

import html
import re
import unicodedata

_LATEX = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "^": r"\textasciicircum{}",
    # The tilde of formulas; the text command prints a raised accent.
    "~": r"$\sim$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\`{}",
    "\u00a0": "~",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    # Low and angular quotes exist only in T1 fonts; these read the same in OT1, the default.
    "„": r"\textquotedblleft{}",
    "«": r"\textquotedblleft{}",
    "»": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "©": r"\copyright{}",
    "£": r"\pounds{}",
    "€": "EUR",
    "¿": r"\textquestiondown{}",
    "¡": r"\textexclamdown{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
    "þ": "th",
    "Þ": "Th",
    "‐": "-",
    "‑": "-",
    "‒": r"\textendash{}",
    "‹": "'",
    "›": "'",
}

_MATH = {
    "−": "-",
    "×": r"\times",
    "÷": r"\div",
    "±": r"\pm",
    "•": r"\bullet",
    "·": r"\cdot",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∞": r"\infty",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "∈": r"\in",
    "∑": r"\sum",
    "∏": r"\prod",
    "√": r"\surd",
    "∂": r"\partial",
    "°": r"^\circ",
    "¬": r"\neg",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "µ": r"\mu",
    **{letter: rf"^{{{digit}}}" for digit, letter in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{letter: rf"_{{{digit}}}" for digit, letter in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    # Unicode spells lambda without its b.
    **{
        letter: "\\" + unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
        for letter in "αβγδεζηθικλμνξπρστυφχψω"
    },
    **{
        letter: "\\" + unicodedata.name(letter).split()[-1].capitalize().replace("Lamda", "Lambda")
        for letter in "ΓΔΘΛΞΠΣΥΦΨΩ"
    },
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0331": "b",
}
# A minus sign, not a hyphen: before a number, at the start of a cell or after a bracket, sign or space.
_MINUS = re.compile(r"(?<![\w\-)\]}.])-(?=[.∞]?[\d∞])")
_EXPONENT = re.compile(r"(?<![\w.])(-?)(\d[\d.]*)[eE]([+-]?\d+)(?!\w)")
# Pairs that TeX fuses into another character.
_LIGATURES = re.compile(r"-(?=-)|'(?=')|,(?=,)")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~$&#])")


def clean(text: str) -> str:
    r"""Bring a text onto one line, without control characters.

    Parameters
    ----------
    text : str
        Anything, line breaks and unpaired surrogates included.

    Returns
    -------
    str

    Examples
    --------
    >>> clean(" two\nlines\x00 ")
    'two lines'
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    # Format characters (Cf: text direction, zero width) are kept out as well: they reorder a table's cells on screen.
    kinds = {"Cc": "", "Cf": "", "Cs": "?", "Co": "?", "Cn": "?"}
    breaks = re.sub(r"[^\S\u00a0\u202f]", " ", text)
    printable = "".join(kinds.get(unicodedata.category(character), character) for character in breaks)
    return re.sub(" +", " ", printable).strip(" ")


def escape_latex(text: str, *, number: bool = False) -> str:
    r"""Escape a text for LaTeX.

    Parameters
    ----------
    text : str
        Anything.
    number : bool
        Whether it is a cell, in which a hyphen before a digit is a minus sign and 1e-05 a power of ten.

    Returns
    -------
    str
        ASCII that pdfLaTeX, XeLaTeX and LuaLaTeX print with their default fonts.

    Examples
    --------
    >>> print(escape_latex("50% of R&D_é – a < b"))
    50\% of R\&D\_\'{e} \textendash{} a \textless{} b
    >>> print(escape_latex("[-0.12, 0.30]", number=True), escape_latex("1.2e-05", number=True))
    {[}$-$0.12, 0.30] $1.2\times10^{-5}$
    """
    text = unicodedata.normalize("NFC", clean(text))
    if number:
        # Every fourth part stands between powers of ten; the others are their signs, digits and exponents.
        parts = _EXPONENT.split(text)
        escaped = _escape(_MINUS.sub("−", parts[0]))
        for sign, digits, power, rest in zip(*(parts[i::4] for i in (1, 2, 3, 4)), strict=True):
            escaped += rf"${sign}{digits}\times10^{{{int(power)}}}$" + _escape(_MINUS.sub("−", rest))
    else:
        escaped = _escape(text)
    # After the end of a row and after \item, TeX reads a bracket or a star as an option.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def escape_html(text: str) -> str:
    """Escape a text for HTML, attributes included.

    Examples
    --------
    >>> escape_html('a < "b" & c')
    'a &lt; &quot;b&quot; &amp; c'
    """
    return html.escape(clean(text), quote=True)


def escape_markdown(text: str, *, paragraph: bool = False) -> str:
    r"""Escape a text for GitHub Markdown.

    Parameters
    ----------
    text : str
        Anything.
    paragraph : bool
        Whether the text starts a line, where more characters have a meaning than inside a table.

    Returns
    -------
    str

    Examples
    --------
    >>> print(escape_markdown("a|b_c $5"), escape_markdown("1. first", paragraph=True))
    a\|b\_c \$5 1\. first
    """
    escaped = _MARKDOWN.sub(r"\\\1", clean(text))
    if not paragraph:
        return escaped
    # At the start of a line these begin lists and underlines of headings.
    escaped = re.sub(r"^([-+=])", r"\\\1", escaped)
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", escaped)


def _escape(text: str) -> str:
    text = _LIGATURES.sub(lambda match: match[0] + "\x00", text)
    pieces = []
    for position, character in enumerate(text):
        before = text[position - 1] if position else " "
        pieces.append(_latex_character(character, before))
    return "".join(pieces)


def _latex_character(character: str, before: str) -> str:
    if character == "\x00":
        return "{}"
    if character == '"':
        # Straight quotes do not exist in OT1; the side follows from what stands before.
        return r"\textquotedblleft{}" if before.isspace() or before in "([{" else r"\textquotedblright{}"
    if character in _LATEX:
        return _LATEX[character]
    if character in _MATH:
        return f"${_MATH[character]}$"
    if character.isascii():
        return character
    return _latex_letter(character)


def _latex_letter(character: str) -> str:
    """Compose a letter from accents, else fall back on what it is compatible with, else on a question mark."""
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and marks:
        letter = base
        for mark in marks:
            if mark in _ACCENTS:
                dotless = rf"\{base}{{}}" if base in "ij" and letter == base and mark not in "\u0323\u0327" else letter
                letter = rf"\{_ACCENTS[mark]}{{{dotless}}}"
        return letter
    if unicodedata.category(character) == "Zs":
        return "~"
    if unicodedata.combining(character):
        return ""
    plain = unicodedata.normalize("NFKD", character)
    if plain == character:
        return "?"
    return "".join(_latex_character(part, " ") for part in plain)
