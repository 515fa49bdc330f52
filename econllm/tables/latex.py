"""Write a table as LaTeX with booktabs and threeparttable."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from econllm.tables.content import Cell, Fact, Panel, Row
from econllm.tables.escape import clean, escape_latex
from econllm.tables.formats import looks_numeric
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

# Text width of the article class in points.
_PAGE = 345.0
# Font size, width of a character, half the gap between columns (all in points), and how LaTeX is told; the first at
# which a table fits is taken. Small sizes of Computer Modern are relatively wide.
_SIZES: tuple[tuple[float, float, float, tuple[str, ...]], ...] = (
    (10.0, 5.1, 6.0, ()),
    (9.0, 4.75, 6.0, (r"\small",)),
    (8.0, 4.4, 4.0, (r"\footnotesize", r"\setlength{\tabcolsep}{4pt}")),
    (7.0, 4.1, 3.0, (r"\scriptsize", r"\setlength{\tabcolsep}{3pt}")),
)
# Narrower tables are spread to this share of the text width, or their captions and notes would be pillars of words.
_NARROW = 0.6


def latex_table(table: Table, *, fragment: bool = False) -> str:
    r"""Write a table as LaTeX.

    Parameters
    ----------
    table : Table
    fragment : bool
        Whether to leave out the float with its caption and label, for use inside a float of one's own.

    Returns
    -------
    str
        ASCII, ending in a line break; the first line is a comment that names the packages to load.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> print(latex_table(Table(["p_1"], [("R&D", -0.5)]), fragment=True))
    % needs: booktabs
    \begin{tabular}{@{}lr@{}}
    \toprule
     & p\_1 \\
    \midrule
    R\&D & $-$0.500 \\
    \bottomrule
    \end{tabular}
    """
    tabular = _tabular(table)
    notes = _notes(table)
    three = bool(notes) or not fragment
    caption = [rf"\caption{{{escape_latex(table.title)}}}"] if table.title and not fragment else []
    # The label follows the caption, whose number it takes.
    caption += [rf"\label{{{table.key}}}"] if table.key and not fragment else []
    lines = [*caption, *tabular, *notes]
    if three:
        lines = [r"\begin{threeparttable}", *lines, r"\end{threeparttable}"]
    *_, size = _size(table)
    if not fragment:
        lines = [r"\begin{table}[htbp]", r"\centering", *size, *lines, r"\end{table}"]
    elif size:
        lines = ["{" + size[0], *size[1:], *lines, "}"]
    head = "% needs: booktabs" + (", threeparttable" if three else "")
    return "\n".join([head, *lines]) + "\n"


def _tabular(table: Table) -> list[str]:
    letters = {"left": "l", "right": "r", "center": "c"}
    pattern = "l" + "".join(letters[align] for align in alignments(table)) + "@{}}"
    width, *_ = _size(table)
    spread = width < _NARROW * _PAGE and bool(table.title or table.notes)
    name = "tabular*" if spread else "tabular"
    start = (
        rf"\begin{{tabular*}}{{{_NARROW}\linewidth}}{{@{{\extracolsep{{\fill}}}}" if spread else r"\begin{tabular}{@{}"
    )
    lines = [start + pattern, r"\toprule"]
    facts = fact_lines(table.facts)
    lines += _facts(table, facts)
    if table.columns or table.body:
        lines += [r"\midrule"] if facts else []
        heads = _headings(table)
        lines += heads
        for i, panel in enumerate(table.body):
            lines += [r"\midrule"] if i or heads else []
            lines += _panel(panel, table)
    return [*lines, r"\bottomrule", rf"\end{{{name}}}"]


def _panel(panel: Panel, table: Table) -> list[str]:
    lines = []
    if panel.title:
        lines.append(
            rf"\multicolumn{{{len(table.columns) + 1}}}{{@{{}}l@{{}}}}{{\textit{{{escape_latex(panel.title)}}}}} \\"
        )
    indent = r"\quad " if panel.title else ""
    return lines + [_row(row, table, indent) for row in panel.rows]


def _row(row: Row, table: Table, indent: str) -> str:
    texts = cell_texts(row, table.columns)
    cells = [_cell(value, text) for value, text in zip(row.cells, texts, strict=True)]
    return _join([indent + escape_latex(row.label), *cells])


def _join(cells: list[str]) -> str:
    return " & ".join(cells).rstrip() + r" \\"


def _cell(value: Cell, text: str) -> str:
    number = not isinstance(value, str) or looks_numeric(text)
    return escape_latex(text, number=number)


def _headings(table: Table) -> list[str]:
    lines, group_line = headings(table)
    written = []
    for i, line in enumerate(lines):
        cells = [escape_latex(text) for text in line]
        if i != group_line:
            written.append(_join(cells))
            continue
        groups = spans(table.columns)
        parts = [cells[0]]
        for group, start, count in groups:
            wide = rf"\multicolumn{{{count}}}{{c}}{{{escape_latex(group)}}}"
            parts += [wide] if group else cells[start + 1 : start + count + 1]
        written.append(_join(parts))
        written += [rf"\cmidrule(lr){{{start + 2}-{start + count + 1}}}" for group, start, count in groups if group]
    return written


def _facts(table: Table, lines: list[FactLine]) -> list[str]:
    """Pairs of facts in a tabular inside one cell, so that their columns are free of those below."""
    width = len(table.columns) + 1
    written = []
    for single, members in groupby(lines, key=lambda line: len(line) == 1):
        if single:
            points, em, _ = _size(table)
            # A little less than the rows take, or the last column would be stretched.
            room = min(max(0.9 * points, _NARROW * _PAGE), _PAGE) / em
            for line in members:
                text = " ".join(_pair(line[0]))
                written.append(rf"\multicolumn{{{width}}}{{@{{}}p{{{room:.1f}em}}@{{}}}}{{\raggedright {text}}} \\")
            continue
        pairs = [_join([part for fact in line for part in _pair(fact)]) for line in members]
        written += [
            rf"\multicolumn{{{width}}}{{@{{}}l@{{}}}}{{\begin{{tabular}}[t]{{@{{}}lr@{{\qquad}}lr@{{}}}}",
            *pairs,
            r"\end{tabular}} \\",
        ]
    return written


def _pair(fact: Fact | None) -> list[str]:
    if fact is None:
        return ["", ""]
    return [_name(fact.label), _cell(fact.value, fact_text(fact))]


def _name(label: str) -> str:
    return escape_latex(label) + ":"


def _notes(table: Table) -> list[str]:
    if not table.notes:
        return []
    items = [rf"\item {escape_latex(note)}" for note in table.notes]
    return [r"\begin{tablenotes}[flushleft]\footnotesize\setlength{\labelsep}{0pt}", *items, r"\end{tablenotes}"]


def _size(table: Table) -> tuple[float, float, tuple[str, ...]]:
    """Rough width of the rows in points, the font size at which they fit the page, and the commands to set it."""
    texts = [cell_texts(row, table.columns) for row in table.rows]
    heads, _ = headings(table)
    characters = max([len(clean(row.label)) for row in table.rows] + [len(line[0]) for line in heads], default=0)
    for j in range(len(table.columns)):
        characters += max([len(text[j]) for text in texts] + [len(line[j + 1]) for line in heads], default=0)
    fitted = [
        (characters * width + 2 * separation * len(table.columns), em, commands)
        for em, width, separation, commands in _SIZES
    ]
    return next((size for size in fitted if size[0] <= _PAGE), fitted[-1])
