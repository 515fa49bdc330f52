r"""Write a table as LaTeX with booktabs: in a float with threeparttable, or over several pages with longtable."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from econllm.tables.content import Cell, Fact, Panel, Row
from econllm.tables.escape import escape_latex
from econllm.tables.formats import looks_numeric
from econllm.tables.latex_size import BREAK, LANDSCAPE, NARROW, Size, are_paired, table_size
from econllm.tables.layout import (
    FactLine,
    alignments,
    cell_texts,
    fact_lines,
    fact_text,
    headings,
    spans,
)
from econllm.tables.widths import text_width

if TYPE_CHECKING:
    from econllm.tables.table import Table


# Rows at the end of a longtable that stay on one page with its notes.
_TOGETHER = 3


def latex_table(
    table: Table,
    *,
    fragment: bool = False,
    siunitx: bool = False,
    landscape: bool | None = None,
    longtable: bool | None = None,
) -> str:
    r"""Write a table as LaTeX.

    Parameters
    ----------
    table : Table
    fragment : bool
        Whether to leave out the float with its caption and label, for use inside a float of one's own. A table that
        is longer than a page is a ``longtable``, which cannot stand inside a float: its fragment lacks the caption and
        the label only.
    siunitx : bool
        Whether to align numbers at the decimal point.
    landscape : bool, optional
        Whether to turn the page; by default where the table is too wide for one that is not. A fragment is set for a
        turned page, which the document provides, only where this is True.
    longtable : bool, optional
        Whether to break over pages; by default where the table is longer than one.

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
    turns = bool(landscape) if fragment else landscape
    size = table_size(table, siunitx=siunitx, landscape=turns, longtable=longtable)
    # The label follows the caption, whose number it takes.
    caption = [rf"\caption{{{escape_latex(table.title)}}}"] if table.title and not fragment else []
    caption += [rf"\label{{{table.key}}}"] if table.key and not fragment else []
    three = not size.long and bool(table.notes or not fragment)
    if size.long:
        lines = ["{", *size.commands, *_longtable(table, size, caption), "}"]
    else:
        lines = _float(table, size, caption, fragment=fragment, three=three)
    turned = size.page is LANDSCAPE and not fragment
    if turned:
        lines = [r"\begin{landscape}", *lines, r"\end{landscape}"]
    needed = {
        "array": size.label is not None,
        "booktabs": True,
        "longtable": size.long,
        "pdflscape": turned,
        "siunitx": any(column is not None for column in size.decimals),
        "threeparttable": three,
    }
    head = "% needs: " + ", ".join(package for package, is_used in needed.items() if is_used)
    return "\n".join([head, *lines]) + "\n"


def _float(table: Table, size: Size, caption: list[str], *, fragment: bool, three: bool) -> list[str]:
    """The table on one page, in a float unless it is a fragment."""
    lines = [*caption, *_tabular(table, size), *_notes(table)]
    if three:
        lines = [r"\begin{threeparttable}", *lines, r"\end{threeparttable}"]
    if not fragment:
        return [r"\begin{table}[htbp]", r"\centering", *size.commands, *lines, r"\end{table}"]
    return ["{" + size.commands[0], *size.commands[1:], *lines, "}"] if size.commands else lines


def _tabular(table: Table, size: Size) -> list[str]:
    spread = _is_spread(table, size)
    name = "tabular*" if spread else "tabular"
    start = rf"\begin{{tabular*}}{{{NARROW}\linewidth}}" if spread else r"\begin{tabular}"
    lines = [f"{start}{{{_pattern(table, size, spread=spread)}}}", r"\toprule"]
    facts = _facts(table, size)
    lines += facts
    if table.columns or table.body:
        lines += [r"\midrule"] if facts else []
        heads = _headings(table, size)
        lines += heads
        for i, panel in enumerate(table.body):
            lines += [r"\midrule"] if i or heads else []
            lines += _panel(panel, table, size)
    return [*lines, r"\bottomrule", rf"\end{{{name}}}"]


def _longtable(table: Table, size: Size, caption: list[str]) -> list[str]:
    """The table with its headings repeated on every page, and the notes as its last rows."""
    margin = f"{(1 - size.share) / 2:.3f}".rstrip("0").rstrip(".")
    facts, heads = _facts(table, size), _headings(table, size)
    heads += [r"\midrule"] if heads else []
    named = bool(table.title) and bool(caption)
    again = r"Table~\thetable{} (continued)" if named else "(continued)"
    lines = [
        rf"\setlength{{\LTleft}}{{{margin}\linewidth}}\setlength{{\LTright}}{{{margin}\linewidth}}",
        rf"\setlength{{\LTcapwidth}}{{{size.share:.2f}\linewidth}}",
        rf"\begin{{longtable}}{{{_pattern(table, size, spread=True)}}}",
    ]
    if named:
        lines += [*caption[:-1], caption[-1] + r" \\"]
    else:
        # Without a number of its own, a label refers to the section.
        lines[-1:-1] = caption
    lines += [r"\toprule", *facts, *([r"\midrule"] if facts else []), *heads, r"\endfirsthead"]
    lines += [_line_of_its_own(table, rf"\makebox[0pt][l]{{\textit{{{again}}}}}"), r"\toprule", *heads, r"\endhead"]
    lines += [r"\midrule", r"\endfoot", r"\endlastfoot"]
    for i, panel in enumerate(table.body):
        lines += [r"\midrule", r"\nopagebreak"] if i else []
        lines += _panel(panel, table, size)
    # Neither the last rows nor their rule stay behind when the notes move to another page, nor do notes stand alone.
    kept = min(_TOGETHER, len(table.body[-1].rows)) if table.body and table.notes else 0
    lines[len(lines) - kept :] = [row + "*" for row in lines[len(lines) - kept :]]
    lines.append(_bottom_rule(len(table.columns) + 1) if table.notes else r"\bottomrule")
    lines += [_wide(table, size, rf"\footnotesize {escape_latex(note)}") for note in table.notes]
    lines.append(r"\end{longtable}")
    # Every longtable takes a number, which only one with a caption shows.
    return lines if named else [*lines, r"\addtocounter{table}{-1}"]


def _bottom_rule(columns: int) -> str:
    r"""Draw the rule above the notes of a longtable; a page may end below ``\bottomrule``, and here it may not."""
    return (
        rf"\noalign{{\nobreak\vskip\aboverulesep}}\multispan{{{columns}}}\leaders\hrule height\heavyrulewidth\hfill\cr"
        r"\noalign{\nobreak\vskip\belowrulesep}"
    )


def _pattern(table: Table, size: Size, *, spread: bool) -> str:
    letters = {"left": "l", "right": "r", "center": "c"}
    hang = 2 if any(panel.title for panel in table.body) else 1
    label = (
        "l"
        if size.label is None
        else rf">{{\raggedright\arraybackslash\hangindent={hang}em\hangafter=1}}p{{{size.label:.0f}pt}}"
    )
    columns = "".join(
        letters[align] if decimal is None else decimal.pattern
        for align, decimal in zip(alignments(table), size.decimals, strict=True)
    )
    return (r"@{\extracolsep{\fill}}" if spread else "@{}") + label + columns + "@{}"


def _is_spread(table: Table, size: Size) -> bool:
    return size.long or (size.points < NARROW * size.page.width and bool(table.title or table.notes))


def _line_of_its_own(table: Table, text: str) -> str:
    return rf"\multicolumn{{{len(table.columns) + 1}}}{{@{{}}l@{{}}}}{{{text}}} \\"


def _wide(table: Table, size: Size, text: str) -> str:
    """A line over all columns, of several lines if need be."""
    if _is_spread(table, size):
        # Without a width of its own, or the last column would be stretched.
        share = size.share if size.long else NARROW
        return _line_of_its_own(
            table, rf"\makebox[0pt][l]{{\parbox[t]{{{share:.2g}\linewidth}}{{\raggedright {text}\strut}}}}"
        )
    # A little less than the rows take, for the same reason.
    room = min(max(0.9 * size.points, NARROW * size.page.width), size.page.width)
    return rf"\multicolumn{{{len(table.columns) + 1}}}{{@{{}}p{{{room:.0f}pt}}@{{}}}}{{\raggedright {text}}} \\"


def _panel(panel: Panel, table: Table, size: Size) -> list[str]:
    lines = []
    if panel.title:
        title = rf"\textit{{{escape_latex(panel.title)}}}"
        fits = text_width(panel.title) <= size.points
        lines.append(_line_of_its_own(table, title) if fits else _wide(table, size, title))
        lines[-1] += "*" if size.long else ""
    indent = r"\quad " if panel.title else ""
    return lines + [_row(row, table, indent, size) for row in panel.rows]


def _row(row: Row, table: Table, indent: str, size: Size) -> str:
    texts = cell_texts(row, table.columns)
    cells = [
        _cell(value, text) if decimal is None else decimal.cell(text)
        for value, text, decimal in zip(row.cells, texts, size.decimals, strict=True)
    ]
    label = escape_latex(row.label)
    if size.label is not None:
        label = label.replace(BREAK, r")\allowbreak{}[")
    return _join([indent + label, *cells])


def _join(cells: list[str]) -> str:
    return " & ".join(cells).rstrip() + r" \\"


def _cell(value: Cell, text: str) -> str:
    number = not isinstance(value, str) or looks_numeric(text)
    return escape_latex(text, number=number)


def _headings(table: Table, size: Size) -> list[str]:
    lines, group_line = headings(table)
    written = []
    for i, line in enumerate(lines):
        cells = [escape_latex(text) for text in line]
        # In a column of numbers, siunitx takes as text what is in braces.
        for j, decimal in enumerate(size.decimals, start=1):
            cells[j] = f"{{{cells[j]}}}" if decimal is not None and cells[j] else cells[j]
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


def _facts(table: Table, size: Size) -> list[str]:
    """Pairs of facts in a tabular inside one cell, so that their columns are free of those below."""
    written = []
    lines: list[FactLine] = fact_lines(table.facts)
    for single, members in groupby(lines, key=lambda line: len(line) == 1):
        if single:
            written += [_wide(table, size, " ".join(_pair(line[0]))) for line in members]
            continue
        run = list(members)
        paired = are_paired(run, size.page.width / size.scale)
        pattern = r"@{}lr@{\qquad}lr@{}" if paired else "@{}ll@{}"
        if paired:
            pairs = [_join([part for fact in line for part in _pair(fact)]) for line in run]
        else:
            facts = [*(line[0] for line in run), *(line[1] for line in run if len(line) == 2)]
            pairs = [_join(_pair(fact)) for fact in facts if fact is not None]
        last = len(table.columns) + 1
        written += [
            rf"\multicolumn{{{last}}}{{@{{}}l@{{}}}}{{\begin{{tabular}}[t]{{{pattern}}}",
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
