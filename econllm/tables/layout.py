"""What all writers need to know about a table: alignment, spanning headings, texts of cells, lines of facts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from econllm.tables.content import Align, Column, Fact, Row
from econllm.tables.formats import format_value, looks_numeric

if TYPE_CHECKING:
    from econllm.tables.table import Table

# A value longer than this does not fit beside another fact.
WIDE = 28

FactLine = tuple[Fact] | tuple[Fact, Fact | None]


def cell_texts(row: Row, columns: Sequence[Column]) -> list[str]:
    """Write the cells of a row as plain text, by the row's formats and then the columns'.

    Examples
    --------
    >>> cell_texts(Row("x", [1, 0.5], [None, ".1f"]), [Column("a", ",d"), Column("b")])
    ['1', '0.5']
    """
    return [
        format_value(value, spec or column.format)
        for value, spec, column in zip(row.cells, row.formats, columns, strict=True)
    ]


def alignments(table: Table) -> list[Align]:
    """Alignment of each column: as told, else left for text and right for numbers.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> alignments(Table(["p", "Flag"], [("a", 0.5, "improper")]))
    ['right', 'left']
    """
    found: list[Align] = []
    for j, column in enumerate(table.columns):
        texts = [row.cells[j] for row in table.rows if row.cells[j] is not None]
        prose = bool(texts) and all(isinstance(value, str) for value in texts)
        prose = prose and any(not looks_numeric(str(value)) for value in texts)
        found.append(column.align or ("left" if prose else "right"))
    return found


def spans(columns: Sequence[Column]) -> list[tuple[str, int, int]]:
    """Spanning headings as (group, first column, number of columns), blank groups included.

    Examples
    --------
    >>> spans([Column("a"), Column("low", group="CI"), Column("high", group="CI")])
    [('', 0, 1), ('CI', 1, 2)]
    """
    found, start = [], 0
    for group, members in groupby(columns, key=lambda column: column.group):
        count = len(list(members))
        found.append((group, start, count))
        start += count
    return found


def one_line(heading: str) -> str:
    r"""Bring a heading onto one line: a hyphen at the end of a line falls away with the break, others become blanks.

    Examples
    --------
    >>> one_line("Accu-\nracy"), one_line("With\nhistory")
    ('Accuracy', 'With history')
    """
    return " ".join(heading.replace("-\n", "").split("\n"))


def headings(table: Table) -> tuple[list[list[str]], int | None]:
    r"""Headings line by line, the label column's first; shorter ones sit at the bottom.

    Returns
    -------
    list of list of str
        The lines; empty when there is nothing to print.
    int or None
        The line that holds the spanning headings, right above the columns they span; None without any.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> headings(Table(["Std.\nerror", Column("low", group="CI")], [], header="Model"))
    ([['', 'Std.', ''], ['Model', 'error', 'low']], 0)
    """
    parts = [label.split("\n") for label in (table.header, *(column.label for column in table.columns))]
    spanned = [False, *(bool(column.group) for column in table.columns)]
    below = max((len(part) for part, under in zip(parts, spanned, strict=True) if under), default=0)
    height = max([*map(len, parts), below + 1 if any(spanned) else 1])
    padded = [[""] * (height - len(part)) + part for part in parts]
    lines = [list(line) for line in zip(*padded, strict=True)]
    if not any(spanned):
        return (lines, None) if any(text for line in lines for text in line) else ([], None)
    return lines, height - below - 1


def fact_text(fact: Fact) -> str:
    """Write the value of a fact as plain text.

    Examples
    --------
    >>> fact_text(Fact("Rows", 2725, ",d"))
    '2,725'
    """
    return format_value(fact.value, fact.format)


def fact_lines(facts: Sequence[Fact]) -> list[FactLine]:
    """Arrange facts in lines of two, read down the left side and then down the right; long ones stand alone.

    Returns
    -------
    list of tuple
        ``(fact,)`` for a line of its own, ``(left, right)`` for a pair, whose right side may be None.

    Examples
    --------
    >>> facts = [Fact("Formula", "a ~ " + 9 * "b + "), Fact("n", 1), Fact("k", 2), Fact("df", 3)]
    >>> [[fact.label if fact else None for fact in line] for line in fact_lines(facts)]
    [['Formula'], ['n', 'df'], ['k', None]]
    """
    lines: list[FactLine] = []
    for wide, members in groupby(facts, key=lambda fact: len(fact_text(fact)) > WIDE):
        run = list(members)
        if wide:
            lines += [(fact,) for fact in run]
            continue
        half = (len(run) + 1) // 2
        right = [*run[half:], *([None] if len(run) % 2 else [])]
        lines += list(zip(run[:half], right, strict=True))
    return lines
