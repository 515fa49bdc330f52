r"""How large a LaTeX table comes out, and what makes it fit the page: font size, gaps, wrapped labels, longtable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from econllm.tables.content import Fact
from econllm.tables.decimals import DecimalColumn, decimal_columns
from econllm.tables.layout import FactLine, cell_texts, fact_lines, fact_text, headings, spans
from econllm.tables.widths import text_width

if TYPE_CHECKING:
    from econllm.tables.table import Table

# Narrower tables are spread to this share of the text width, or their captions and notes would be pillars of words.
NARROW = 0.6
# Where labels of levels, as lag(occupation)[Clerks], may break.
BREAK = ")["
# A wrapped column of labels is not made narrower than this, in points.
_LABEL = 60.0
# Widths at which Computer Modern grows relatively wider as it gets smaller, half the gap between columns, the distance
# of lines (in points), and how LaTeX is told; the first size at which a table fits is taken.
_SIZES: tuple[tuple[float, float, float, tuple[str, ...]], ...] = (
    (1.0, 6.0, 12.0, ()),
    (0.925, 6.0, 11.0, (r"\small",)),
    (0.85, 4.0, 9.5, (r"\footnotesize", r"\setlength{\tabcolsep}{4pt}")),
    (0.797, 3.0, 8.0, (r"\scriptsize", r"\setlength{\tabcolsep}{3pt}")),
    (0.797, 2.0, 8.0, (r"\scriptsize", r"\setlength{\tabcolsep}{2pt}")),
)


@dataclass(frozen=True)
class Page:
    """Room on a page of the article class, less that for a caption.

    Attributes
    ----------
    width, height : float
        In points.
    lines : int
        A table with more lines than this breaks over pages, whatever its size.
    """

    width: float
    height: float
    lines: int


PORTRAIT = Page(345.0, 500.0, 40)
LANDSCAPE = Page(550.0, 295.0, 22)


@dataclass(frozen=True)
class Size:
    r"""How a table is set.

    Attributes
    ----------
    points : float
        Estimated width of the rows.
    commands : tuple of str
        What sets the font size and the gaps.
    label : float or None
        Width of the wrapped column of labels, in points; None where labels stand on one line.
    long : bool
        Whether the table breaks over pages.
    scale : float
        Font size relative to ten points.
    page : Page
        Where it stands.
    decimals : tuple of DecimalColumn or None
        By column, how its numbers are aligned at the decimal point; None for a column that is set as text.
    """

    points: float
    commands: tuple[str, ...]
    label: float | None
    long: bool
    scale: float
    page: Page
    decimals: tuple[DecimalColumn | None, ...]

    @property
    def share(self) -> float:
        """Share of the text width that the table takes, rounded up a little."""
        return min(1.0, max(NARROW, math.ceil(103 * self.points / self.page.width) / 100))


def table_size(
    table: Table, *, siunitx: bool = False, landscape: bool | None = None, longtable: bool | None = None
) -> Size:
    """Choose how a table is set, so that it fits the text width and height of the article class.

    Parameters
    ----------
    table : Table
    siunitx : bool
        Whether numbers are aligned at the decimal point.
    landscape : bool, optional
        Whether the page is turned; by default where the table is wider than a portrait page at the smallest setting,
        unless it would be too long for a turned page over which it must not break.
    longtable : bool, optional
        Whether the table breaks over pages; by default where it is longer than one.

    Returns
    -------
    Size

    Examples
    --------
    >>> from econllm.tables import Table
    >>> size = table_size(Table(["n"], [("a", 1)] * 41))
    >>> size.commands, size.label, size.long
    ((), None, True)
    >>> table_size(Table([f"Column {j}" for j in range(14)], [("a", *range(14))])).page is LANDSCAPE
    True
    """
    if landscape is not None:
        return _size_on(LANDSCAPE if landscape else PORTRAIT, table, siunitx, longtable)
    upright = _size_on(PORTRAIT, table, siunitx, longtable)
    if upright.points <= PORTRAIT.width:
        return upright
    turned = _size_on(LANDSCAPE, table, siunitx, longtable or None)
    return upright if turned.long and longtable is False else turned


def _size_on(page: Page, table: Table, siunitx: bool, longtable: bool | None) -> Size:
    """Choose how a table is set on a page."""
    decimals = decimal_columns(table) if siunitx else (None,) * len(table.columns)
    label, columns = column_widths(table, decimals)
    label += 10.0 * any(panel.title for panel in table.body)
    groups = [(text_width(group), sum(columns[i : i + n]), n) for group, i, n in spans(table.columns)]
    for setting in _SIZES:
        scale, gap, leading, commands = setting
        # A spanning heading may be wider than its columns.
        rest = sum(max(scale * own + 2 * gap * count, scale * group + 2 * gap) for group, own, count in groups)
        if rest + scale * label <= page.width or setting is _SIZES[-1]:
            break
    points, wrapped = rest + scale * label, None
    if points > page.width:
        # Widths are estimates, so a little room is kept.
        wrapped = max(0.99 * page.width - rest, _LABEL, scale * _longest_word(table))
        points = rest + wrapped
    runs = groupby(fact_lines(table.facts), key=lambda line: len(line) == 1)
    facts = [scale * _facts_width(list(members), page.width / scale) for single, members in runs if not single]
    points = max([points, *facts])
    long = longtable
    if long is None:
        long = _is_long(table, _body_lines(table, wrapped, scale), points, leading, page)
    return Size(points, commands, wrapped, long, scale, page, decimals)


def column_widths(table: Table, decimals: Sequence[DecimalColumn | None]) -> tuple[float, list[float]]:
    """Widths of the labels and of each column in points, at a font of ten points and without gaps.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> column_widths(Table(["n"], [("a", 1)]), [None])
    (5.0, [5.6])
    """
    heads, _ = headings(table)
    label = max([text_width(row.label) for row in table.rows] + [text_width(line[0]) for line in heads], default=0.0)
    texts = [cell_texts(row, table.columns) for row in table.rows]
    columns = [
        max(
            [text_width(text[j]) for text in texts]
            + [text_width(line[j + 1]) for line in heads]
            + ([] if decimal is None else [decimal.width]),
            default=0.0,
        )
        for j, decimal in enumerate(decimals)
    ]
    return label, columns


def _longest_word(table: Table) -> float:
    """Width of the longest word of the labels, with the indentation of rows."""
    words = [word for row in table.rows for word in row.label.replace(BREAK, ") [").split()]
    return 20.0 + max(map(text_width, words), default=0.0)


def are_paired(lines: Sequence[FactLine], room: float) -> bool:
    """Whether facts fit side by side into so many points at ten points; else they are set below each other.

    Examples
    --------
    >>> from econllm.tables import Fact
    >>> are_paired([(Fact("Rows", 1), Fact("Persons", 1))], 345.0)
    True
    """
    return _pairs_width(lines) <= room


def _pairs_width(lines: Sequence[FactLine]) -> float:
    sides = [[fact for line in lines for fact in line[side : side + 1] if fact is not None] for side in (0, 1)]
    # Four half gaps and a \qquad.
    return sum(map(_side_width, sides)) + 44.0


def _side_width(facts: Sequence[Fact]) -> float:
    labels = max((text_width(fact.label + ":") for fact in facts), default=0.0)
    return labels + max((text_width(fact_text(fact)) for fact in facts), default=0.0)


def _facts_width(lines: Sequence[FactLine], room: float) -> float:
    if are_paired(lines, room):
        return _pairs_width(lines)
    return _side_width([fact for line in lines for fact in line if fact is not None]) + 12.0


def _body_lines(table: Table, wrapped: float | None, scale: float) -> int:
    """Lines of the rows and the titles of panels; a wrapped label is broken at words, a little before its end."""
    titles = sum(bool(panel.title) for panel in table.body)
    if wrapped is None:
        return titles + len(table.rows)
    return titles + sum(max(1, math.ceil(1.2 * scale * text_width(row.label) / wrapped)) for row in table.rows)


def _is_long(table: Table, lines: int, points: float, leading: float, page: Page) -> bool:
    above = len(headings(table)[0]) + len(fact_lines(table.facts))
    width = max(points, NARROW * page.width)
    notes = sum(math.ceil(0.85 * text_width(note) / width) for note in table.notes)
    height = leading * (lines + above) + 7.0 * (len(table.body) + 3) + 9.5 * notes
    return lines > page.lines or (len(table.rows) > 1 and height > page.height)
