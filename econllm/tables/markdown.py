"""Write a table as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from econllm.tables.escape import escape_markdown
from econllm.tables.layout import alignments, cell_texts, fact_text, one_line

if TYPE_CHECKING:
    from econllm.tables.table import Table


def markdown_table(table: Table) -> str:
    r"""Write a table as a pipe table, with its title above and its notes below.

    Parameters
    ----------
    table : Table

    Returns
    -------
    str
        Ending in a line break.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> print(markdown_table(Table(["p_1"], [("a|b", -0.5)], title="Fit")))
    **Fit**
    <BLANKLINE>
    |  | p\_1 |
    | :--- | ---: |
    | a\|b | -0.500 |
    """
    blocks = [f"**{escape_markdown(table.title)}**"] if table.title.strip() else []
    if table.facts:
        facts = [[escape_markdown(fact.label), escape_markdown(fact_text(fact))] for fact in table.facts]
        blocks.append("\n".join([_line(["", ""]), _line([":---", "---:"]), *(_line(fact) for fact in facts)]))
    if table.columns or table.body:
        blocks.append("\n".join(_rows(table)))
    blocks += [escape_markdown(note, paragraph=True) for note in table.notes]
    return "\n\n".join(blocks) + "\n"


def _rows(table: Table) -> list[str]:
    marks = {"left": ":---", "right": "---:", "center": ":---:"}
    # Pipe tables have neither spanning headings nor line breaks: a group goes in front of its headings.
    heads = [
        ": ".join(escape_markdown(part) for part in (column.group, one_line(column.label)) if part.strip())
        for column in table.columns
    ]
    lines = [
        _line([escape_markdown(one_line(table.header)), *heads]),
        _line([":---", *(marks[align] for align in alignments(table))]),
    ]
    for panel in table.body:
        if panel.title.strip():
            lines.append(_line([f"**{escape_markdown(panel.title)}**", *([""] * len(table.columns))]))
        for row in panel.rows:
            texts = cell_texts(row, table.columns)
            lines.append(_line([escape_markdown(text) for text in (row.label, *texts)]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
