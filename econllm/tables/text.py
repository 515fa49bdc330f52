"""Write a table as aligned plain text."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from econllm.tables.content import Align, Fact
from econllm.tables.escape import clean
from econllm.tables.layout import (
    FactLine,
    alignments,
    cell_texts,
    fact_lines,
    fact_text,
    headings,
    spans,
)

if TYPE_CHECKING:
    from econllm.tables.table import Table

_GAP = "  "
_FACT_GAP = "    "
_NARROWEST = 40
_INDENT = "  "

Line = tuple[str, list[str]]


def text_table(table: Table) -> str:
    """Write a table as plain text for a monospaced font.

    Parameters
    ----------
    table : Table

    Returns
    -------
    str
        Lines without trailing blanks, not ending in a line break.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> print(text_table(Table(["Perplexity", "SE"], [("Empirical", 4.705, 0.1), ("MNLogit", 4.588, None)])))
    ========================================
                           Perplexity     SE
    ----------------------------------------
    Empirical                   4.705  0.100
    MNLogit                     4.588
    ========================================
    """
    grid, group_line = headings(table)
    heads = [(clean(texts[0]), [clean(text) for text in texts[1:]]) for texts in grid]
    panels = [
        (
            clean(panel.title),
            [
                (_INDENT * bool(panel.title) + clean(row.label), [clean(t) for t in cell_texts(row, table.columns)])
                for row in panel.rows
            ],
        )
        for panel in table.body
    ]
    label, widths = _widths(table, heads, [row for _, rows in panels for row in rows])
    facts = fact_lines(table.facts)
    natural = label + sum(len(_GAP) + width for width in widths)
    total = max(natural, _facts_width(facts), _NARROWEST, *(display_width(title) for title, _ in panels), 0)
    label += total - natural
    lines = [line.center(total) for line in textwrap.wrap(clean(table.title), total)]
    lines.append("=" * total)
    lines += _facts(facts, total)
    if table.columns or table.body:
        lines += ["=" * total] if facts else []
        aligns = alignments(table)
        lines += _headings(table, heads, group_line, label, widths)
        for title, rows in panels:
            lines += ["-" * total] if lines[-1] != "=" * total else []
            lines += [title] if title else []
            lines += [_line(row, label, widths, aligns) for row in rows]
        lines.append("=" * total)
    elif facts:
        lines.append("=" * total)
    for note in table.notes:
        lines += textwrap.wrap(clean(note), total, break_on_hyphens=False)
    return "\n".join(line.rstrip() for line in lines)


def display_width(text: str) -> int:
    """Columns that a text takes on a terminal: two for East Asian wide characters, none for combining marks.

    Examples
    --------
    >>> display_width("é"), display_width("職業")
    (1, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _widths(table: Table, heads: list[Line], rows: list[Line]) -> tuple[int, list[int]]:
    lines = [*heads, *rows]
    label = max((display_width(text) for text, _ in lines), default=0)
    widths = [max(display_width(cells[j]) for _, cells in lines) for j in range(len(table.columns))]
    for group, start, count in spans(table.columns):
        missing = (
            display_width(clean(group)) + 4 * bool(group) - sum(widths[start : start + count]) - len(_GAP) * (count - 1)
        )
        widths[start] += max(missing, 0)
    return label, widths


def _pad(text: str, width: int, align: Align) -> str:
    room = max(width - display_width(text), 0)
    if align == "left":
        return text + " " * room
    left = room if align == "right" else room // 2
    return " " * left + text + " " * (room - left)


def _line(line: Line, label: int, widths: Sequence[int], aligns: Sequence[Align]) -> str:
    cells = [_pad(text, width, align) for text, width, align in zip(line[1], widths, aligns, strict=True)]
    return _GAP.join([_pad(line[0], label, "left"), *cells])


def _headings(table: Table, heads: list[Line], group_line: int | None, label: int, widths: list[int]) -> list[str]:
    aligns = alignments(table)
    lines = []
    for i, (name, cells) in enumerate(heads):
        parts = [_pad(text, width, align) for text, width, align in zip(cells, widths, aligns, strict=True)]
        if i == group_line:
            for group, start, count in spans(table.columns):
                if group:
                    width = sum(widths[start : start + count]) + len(_GAP) * (count - 1)
                    room = width - display_width(clean(group)) - 2
                    ruled = "-" * (room // 2) + f" {clean(group)} " + "-" * (room - room // 2)
                    parts[start : start + count] = [ruled, *([""] * (count - 1))]
            # An emptied place stands for a column inside a span, whose gap the span has taken.
            parts = [part for part in parts if part]
        lines.append(_GAP.join([_pad(name, label, "left"), *parts]))
    return lines


def _facts_width(lines: Sequence[FactLine]) -> int:
    """Width at which every pair of facts fits; long facts wrap and ask for nothing."""
    left, right = _halves(lines)
    return left + (len(_FACT_GAP) + right if right else 0)


def _halves(lines: Sequence[FactLine]) -> tuple[int, int]:
    pairs = [line for line in lines if len(line) == 2]
    left = max((_fact_width(line[0]) for line in pairs), default=0)
    return left, max((_fact_width(line[1]) for line in pairs if line[1] is not None), default=0)


def _fact_width(fact: Fact) -> int:
    return display_width(clean(fact.label)) + len(_GAP) + 1 + display_width(clean(fact_text(fact)))


def _facts(lines: Sequence[FactLine], total: int) -> list[str]:
    left, right = _halves(lines)
    spare = total - left - right - len(_FACT_GAP)
    left, right = (left + spare // 2, right + spare - spare // 2) if right else (total, 0)
    written = []
    for line in lines:
        if len(line) == 1:
            start = f"{clean(line[0].label)}:{_GAP}"
            text = clean(fact_text(line[0]))
            room = max(total, len(start) + 20)
            hang = " " * min(display_width(start), total // 3)
            written += textwrap.wrap(start + text, room, subsequent_indent=hang, break_on_hyphens=False)
        else:
            written.append(_FACT_GAP.join(_fact(fact, width) for fact, width in zip(line, (left, right), strict=True)))
    return written


def _fact(fact: Fact | None, width: int) -> str:
    if fact is None:
        return ""
    name = f"{clean(fact.label)}:"
    return name + _pad(clean(fact_text(fact)), width - display_width(name), "right")
