r"""Columns of numbers that siunitx aligns at the decimal point."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from econllm.tables.escape import clean, escape_latex
from econllm.tables.layout import alignments, cell_texts
from econllm.tables.widths import text_width

if TYPE_CHECKING:
    from econllm.tables.table import Table

# What may stand around a number: brackets, a comparison, a percent sign, marks such as stars.
_NUMBER = re.compile(
    r"(?P<before>[(\[<>]*)(?P<sign>[-−]?)(?P<whole>[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*|0)(?:\.(?P<decimals>\d+))?"
    r"(?P<after>[)\]%*†‡]*)"
)

# Stars are evened out by blanks that do not break, which other writers need.
_BLANK = " \u00a0"


@dataclass(frozen=True)
class DecimalColumn:
    """A column whose cells are aligned at the decimal point, with room for the longest of each part.

    Attributes
    ----------
    before, after : str
        The widest texts around a number, such as "(" and "***".
    signed : bool
        Whether any number is negative.
    whole, decimals : int
        Digits before and after the point.
    grouped : bool
        Whether thousands are set apart by commas.

    Examples
    --------
    >>> column = decimal_column(["-0.500***", "(0.100)", "."])
    >>> print(column.pattern)
    S[table-format={(}-1.3{***},group-digits=none,table-align-text-before=false,table-align-text-after=false]
    >>> [column.cell(text) for text in ("-0.500***", "(0.100)", ".")]
    ['-0.500{***}', '{(}0.100{)}', '{.}']
    """

    before: str
    after: str
    signed: bool
    whole: int
    decimals: int
    grouped: bool

    @property
    def pattern(self) -> str:
        """The column in the preamble of a tabular, in the words of siunitx 3."""
        digits = f"{'-' * self.signed}{self.whole}.{self.decimals}"
        options = [
            f"table-format={_braced(self.before)}{digits}{_braced(self.after)}",
            "group-digits=integer,group-minimum-digits=4,group-separator={,}" if self.grouped else "group-digits=none",
            # Marks stand next to their number, and not at the edge of the room for them.
            *(f"table-align-text-{side}=false" for side in ("before", "after") if getattr(self, side)),
        ]
        return f"S[{','.join(options)}]"

    @property
    def width(self) -> float:
        """Room for the numbers in points, in Computer Modern at ten points."""
        separators = (self.whole - 1) // 3 if self.grouped else 0
        number = "-" * self.signed + "0" * self.whole + "," * separators + "." * bool(self.decimals)
        return text_width(self.before) + text_width(number + "0" * self.decimals) + text_width(self.after)

    def cell(self, text: str) -> str:
        """Write a cell: what is no number in braces, and so is what stands around one."""
        match = _read(text)
        if match is None or not _belongs(match, bool(self.decimals), self.grouped):
            return _braced(text.strip(_BLANK))
        point = "." + match["decimals"] if match["decimals"] else ""
        number = "-" * bool(match["sign"]) + match["whole"].replace(",", "") + point
        return _braced(match["before"]) + number + _braced(match["after"])


def decimal_column(texts: Sequence[str]) -> DecimalColumn | None:
    """Find the room that the numbers of a column take; None for a column without numbers.

    Notes
    -----
    Where most numbers have decimals, whole numbers are left out, and so are numbers with commas where those of the
    usual format have none: the number of observations below a coefficient is not aligned with it.

    Examples
    --------
    >>> decimal_column(["[0.1, 0.3]", ""]) is None
    True
    >>> decimal_column(["1,090", "12"]).whole
    4
    >>> decimal_column(["0.512", "(0.100)", "1,090"]).cell("1,090")
    '{1,090}'
    """
    numbers = [match for match in map(_read, texts) if match is not None]
    if not numbers:
        return None
    usual, _ = Counter(len(match["decimals"] or "") for match in numbers).most_common(1)[0]
    grouped = any("," in match["whole"] for match in numbers if len(match["decimals"] or "") == usual)
    found = [match for match in numbers if _belongs(match, bool(usual), grouped)]
    return DecimalColumn(
        before=max((match["before"] for match in found), key=text_width),
        after=max((match["after"] for match in found), key=text_width),
        signed=any(match["sign"] for match in found),
        whole=max(len(match["whole"].replace(",", "")) for match in found),
        decimals=max(len(match["decimals"] or "") for match in found),
        grouped=grouped,
    )


def decimal_columns(table: Table) -> tuple[DecimalColumn | None, ...]:
    """Find the columns of a table that are aligned at the decimal point: those of numbers that stand on the right.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> [column is not None for column in decimal_columns(Table(["p", "Flag"], [("a", 0.5, "improper")]))]
    [True, False]
    """
    texts = [cell_texts(row, table.columns) for row in table.rows]
    return tuple(
        decimal_column([text[j] for text in texts]) if align == "right" else None
        for j, align in enumerate(alignments(table))
    )


def _read(text: str) -> re.Match[str] | None:
    return _NUMBER.fullmatch(clean(text).strip(_BLANK))


def _belongs(match: re.Match[str], has_decimals: bool, grouped: bool) -> bool:
    """Whether a number is aligned; one of many digits without commas is not, where siunitx would give it some."""
    written = "," in match["whole"] if len(match["whole"]) > 3 else grouped
    return bool(match["decimals"]) == has_decimals and written == grouped


def _braced(text: str) -> str:
    """Text in braces, in which a bracket or a star at the start needs none of its own."""
    escaped = re.sub(r"^\{([\[*])\}", r"\1", escape_latex(text, number=True))
    return f"{{{escaped}}}" if escaped else ""
