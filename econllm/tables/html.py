"""Write a table as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from econllm.tables.content import Fact, Panel
from econllm.tables.escape import escape_html
from econllm.tables.layout import alignments, cell_texts, fact_lines, fact_text, one_line, spans

if TYPE_CHECKING:
    from econllm.tables.table import Table

STYLE = """<style>
.econllm { font: 0.9rem system-ui, sans-serif; width: fit-content; max-width: 100%; overflow-x: auto; }
.econllm table { border-collapse: collapse; border-bottom: 2px solid; min-width: 100%; }
.econllm caption { font-weight: bold; padding: 0.4em 0; text-align: left; }
.econllm th, .econllm td { padding: 0.2em 0.7em; text-align: right; white-space: nowrap; }
.econllm td { font-variant-numeric: tabular-nums; }
.econllm th { font-weight: normal; }
.econllm thead th { font-weight: 600; vertical-align: bottom; white-space: normal; }
.econllm thead th[scope=colgroup] { border-bottom: 1px solid; text-align: center; }
.econllm .facts, .econllm thead tr:first-child { border-top: 2px solid; }
.econllm tbody { border-top: 1px solid; }
.econllm tbody th, .econllm .left { text-align: left; }
.econllm .center { text-align: center; }
.econllm th[scope=rowgroup] { font-style: italic; }
.econllm .indent { padding-left: 1.7em; }
.econllm .long, .econllm tfoot td { text-align: left; white-space: normal; }
.econllm tfoot { border-top: 2px solid; font-size: 0.85em; }
.econllm table:has(tfoot) { border-bottom: none; }
.econllm .facts { border-bottom: none; }
</style>"""


def html_table(table: Table, *, fragment: bool = False) -> str:
    """Write a table as HTML.

    Parameters
    ----------
    table : Table
    fragment : bool
        Whether to write the table alone, to be put into another page with a style of its own, and no whole page.

    Returns
    -------
    str
        Ending in a line break.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> print(html_table(Table(["p"], [("R&D", -0.5)]), fragment=True))
    <div class="econllm">
    <table>
    <thead>
    <tr><th></th><th scope="col">p</th></tr>
    </thead>
    <tbody>
    <tr><th scope="row">R&amp;D</th><td>-0.500</td></tr>
    </tbody>
    </table>
    </div>
    """
    parts = ['<div class="econllm">', *_facts(table), *_main(table), "</div>"]
    content = "\n".join(parts) + "\n"
    if fragment:
        return content
    title = escape_html(table.title) or "Table"
    head = f'<head>\n<meta charset="utf-8">\n<title>{title}</title>\n{STYLE}\n</head>'
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{content}</body>\n</html>\n'


def notebook_table(table: Table) -> str:
    """Write a table for a notebook cell: the fragment with its style.

    Examples
    --------
    >>> from econllm.tables import Table
    >>> notebook_table(Table(["p"], [("a", 1)])).startswith("<style>")
    True
    """
    return f"{STYLE}\n{html_table(table, fragment=True)}"


def _caption(table: Table) -> list[str]:
    return [f"<caption>{escape_html(table.title)}</caption>"] if table.title else []


def _facts(table: Table) -> list[str]:
    if not table.facts:
        return []
    rows = []
    for line in fact_lines(table.facts):
        if len(line) == 1:
            rows.append(f'<tr>{_name(line[0])}<td class="long" colspan="3">{escape_html(fact_text(line[0]))}</td></tr>')
        else:
            pairs = [_name(fact) + f"<td>{escape_html(fact_text(fact))}</td>" for fact in line if fact is not None]
            rows.append(f"<tr>{''.join(pairs)}</tr>")
    bare = not (table.columns or table.body)
    return [
        '<table class="facts">',
        *_caption(table),
        "<tbody>",
        *rows,
        "</tbody>",
        *(_notes(table) if bare else []),
        "</table>",
    ]


def _name(fact: Fact) -> str:
    return f'<th scope="row">{escape_html(fact.label)}</th>'


def _main(table: Table) -> list[str]:
    if table.facts and not (table.columns or table.body):
        return []
    caption = [] if table.facts else _caption(table)
    bodies = [line for panel in table.body for line in _panel(panel, table)]
    return ["<table>", *caption, *_headings(table), *bodies, *_notes(table), "</table>"]


def _headings(table: Table) -> list[str]:
    if not (table.header or any(column.label or column.group for column in table.columns)):
        return []
    lines = ["<thead>"]
    if any(column.group for column in table.columns):
        groups = [
            f'<th scope="colgroup" colspan="{count}">{escape_html(group)}</th>' if group else "<td></td>" * count
            for group, _, count in spans(table.columns)
        ]
        lines.append(f"<tr><td></td>{''.join(groups)}</tr>")
    label = f'<th scope="col" class="left">{escape_html(one_line(table.header))}</th>' if table.header else "<th></th>"
    cells = [
        f'<th scope="col"{_class(align)}>{escape_html(one_line(column.label))}</th>'
        for column, align in zip(table.columns, alignments(table), strict=True)
    ]
    return [*lines, f"<tr>{label}{''.join(cells)}</tr>", "</thead>"]


def _class(align: str) -> str:
    return "" if align == "right" else f' class="{align}"'


def _panel(panel: Panel, table: Table) -> list[str]:
    lines = ["<tbody>"]
    if panel.title:
        lines.append(
            f'<tr><th scope="rowgroup" colspan="{len(table.columns) + 1}">{escape_html(panel.title)}</th></tr>'
        )
    indent = ' class="indent"' if panel.title else ""
    aligns = alignments(table)
    for row in panel.rows:
        texts = cell_texts(row, table.columns)
        cells = [f"<td{_class(align)}>{escape_html(text)}</td>" for text, align in zip(texts, aligns, strict=True)]
        lines.append(f'<tr><th scope="row"{indent}>{escape_html(row.label)}</th>{"".join(cells)}</tr>')
    return [*lines, "</tbody>"]


def _notes(table: Table) -> list[str]:
    if not table.notes:
        return []
    span = len(table.columns) + 1 if table.columns or table.body else 4
    rows = [f'<tr><td colspan="{span}">{escape_html(note)}</td></tr>' for note in table.notes]
    return ["<tfoot>", *rows, "</tfoot>"]
