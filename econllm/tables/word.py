"""Write a table as a Word document: laid out by maketables, completed with python-docx, on which that builds."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from econllm.errors import OptionError
from econllm.files import check_target, replacing
from econllm.tables.content import Align, Column, Panel
from econllm.tables.escape import clean
from econllm.tables.latex_size import NARROW, column_widths
from econllm.tables.layout import alignments, cell_texts, fact_text, spans
from econllm.tables.widths import text_width

if TYPE_CHECKING:
    from econllm.tables.table import Table

# Longer tables break over pages, upright or turned; others are kept together.
_LINES, _TURNED_LINES = 40, 26
# Where the values of facts stand, and how far rows are indented under a title, in centimetres.
_TAB = 5.0
_INDENT = 0.4
# Room between the margins of a page, upright and turned, in points.
_PAGE, _TURNED = 432.0, 612.0
# Room between columns, for a column before its texts are wrapped, and for wrapped labels, at ten points.
_GAP = 12.0
_WIDEST = 180.0
_LABEL = 80.0
# The first font size at which a table fits is taken; at the last one the page is turned.
_SIZES = (11, 10, 9, 8)
_MARGINS = {"left": 60, "right": 60, "top": 20, "bottom": 20}


def write_word(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table as a Word document, whole or not at all.

    Parameters
    ----------
    table : Table
    path : str or path
        File to write, which ends in ".docx".

    Raises
    ------
    OptionError
        If the folder does not exist, the file is none of Word, or maketables is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from econllm.tables import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_word(Table(["n"], [("x", 1)], title="Sizes"), Path(folder) / "sizes.docx")
    ...     [file.name for file in Path(folder).iterdir()]
    ['sizes.docx']
    """
    target = check_target(path)
    if target.suffix.lower() != ".docx":
        raise OptionError(f"path={os.fspath(path)!r}: a Word document ends in '.docx'.")
    if importlib.util.find_spec("maketables") is None:
        raise OptionError(
            'to_word needs the package maketables, which is not installed: pip install "econllm[tables]".'
        )
    document = _document(table if table.columns or table.body else _facts_as_rows(table))
    with replacing(target) as draft:
        document.save(str(draft))


def _facts_as_rows(table: Table) -> Table:
    """Facts alone become a table of their own."""
    panel = Panel("", [(fact.label, fact_text(fact)) for fact in table.facts])
    return replace(table, columns=(Column("", align="left"),), body=(panel,), facts=())


def _document(table: Table) -> Any:
    """Lay the table out with numbers for headings: maketables merges neighbours that read the same."""
    from docx.shared import Pt
    from maketables import MTable

    titled = any(panel.title for panel in table.body)
    spanned = [i for i, (_, _, count) in enumerate(spans(table.columns)) for _ in range(count)]
    numbers = list(range(len(table.columns)))
    pairs = [(i, clean(row.label)) for i, panel in enumerate(table.body) for row in panel.rows]
    frame = pd.DataFrame(
        [[clean(text) for text in cell_texts(row, table.columns)] for row in table.rows],
        columns=pd.MultiIndex.from_arrays([spanned, numbers]) if _is_spanned(table) else pd.Index(numbers),
        index=pd.MultiIndex.from_tuples(pairs, names=["panel", "row"]),
    )
    made = MTable(
        frame,
        notes="\n".join(clean(note) for note in table.notes),
        caption=clean(table.title) or None,
        rgroup_display=titled,
        rgroup_sep="tb" if titled else "t" if len(table.body) > 1 else "",
    )
    size, widths, turned = _layout(table)
    style = {
        "font_size_pt": size,
        "notes_font_size_pt": size - 1,
        "notes_align": "left",
        "align_center_cells": False,
        "cell_margins_dxa": _MARGINS,
        "prevent_page_breaks": len(pairs) <= (_TURNED_LINES if turned else _LINES),
    }
    document: Any = made.make(type="docx", docx_style=style)
    # The font of what is added below.
    document.styles["Normal"].font.name = str(MTable.DEFAULT_DOCX_STYLE["font_name"])
    document.styles["Normal"].font.size = Pt(size)
    if turned:
        _turn(document.sections[0])
    _set_widths(document, widths)
    _write_headings(table, document)
    _write_panels(table, document, titled=titled)
    _write_facts(table, document)
    if not table.notes:
        grid = document.tables[0]
        grid._tbl.remove(grid.rows[-1]._tr)
    return document


def _layout(table: Table) -> tuple[int, list[float], bool]:
    """Font size, widths of the columns in points, and whether the page is turned; texts that are too wide are wrapped.

    On a turned page that is too narrow, labels are wrapped first: numbers would be broken in the middle.
    """
    label, columns = column_widths(table, (None,) * len(table.columns))
    for group, start, count in spans(table.columns):
        columns[start] += max(text_width(group) - sum(columns[start : start + count]), 0.0)
    label += 20.0 * any(panel.title for panel in table.body)
    natural = [min(width, _WIDEST) + _GAP for width in (label, *columns)]
    turned = _SIZES[-1] / 10 * sum(natural) > _PAGE
    page = _TURNED if turned else _PAGE
    size = next((size for size in _SIZES if size / 10 * sum(natural) <= page), _SIZES[-1])
    natural[0] = min(natural[0], max(10 / size * page - sum(natural[1:]), _LABEL))
    # Narrow tables are spread, or their notes would be pillars of words.
    scale = min(max(size / 10, NARROW * page / sum(natural)), page / sum(natural))
    return size, [scale * width for width in natural], turned


def _turn(section: Any) -> None:
    from docx.enum.section import WD_ORIENT

    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width


def _set_widths(document: Any, widths: Sequence[float]) -> None:
    from docx.shared import Pt

    grid = document.tables[0]
    for column, width in zip(grid.columns, widths, strict=True):
        column.width = Pt(width)
    for row in grid.rows:
        for cell in row._tr.tc_lst:
            first = cell.grid_offset
            cell.width = Pt(sum(widths[first : first + cell.grid_span]))


def _is_spanned(table: Table) -> bool:
    return any(column.group for column in table.columns)


def _write_headings(table: Table, document: Any) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement

    rows = document.tables[0].rows[: 1 + _is_spanned(table)]
    if _is_spanned(table):
        for group, start, _ in spans(table.columns):
            _retitle(rows[0].cells[start + 1], group)
    for j, column in enumerate(table.columns, start=1):
        _retitle(rows[-1].cells[j], column.label)
    rows[-1].cells[0].paragraphs[0].add_run(_lines(table.header))
    for row in rows:
        # Repeated at the top of every page.
        row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
        for cell in row.cells[1:]:
            cell.paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.CENTER


def _write_panels(table: Table, document: Any, *, titled: bool) -> None:
    """Titles over all columns, rows indented under them, and cells aligned as elsewhere."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Cm

    sides: dict[Align, Any] = {
        "left": WD_ALIGN_PARAGRAPH.LEFT,
        "center": WD_ALIGN_PARAGRAPH.CENTER,
        "right": WD_ALIGN_PARAGRAPH.RIGHT,
    }
    aligns = [sides[align] for align in alignments(table)]
    rows = iter(document.tables[0].rows[1 + _is_spanned(table) :])
    for panel in table.body:
        if titled and panel.rows:
            cells = next(rows).cells
            _retitle(cells[0], panel.title, italic=True)
            for cell in cells[1:]:
                # Nothing of an empty cell is left behind when cells are merged.
                cell.paragraphs[0].clear()
            cells[0].merge(cells[-1])
        for _ in panel.rows:
            cells = next(rows).cells
            cells[0].paragraphs[0].paragraph_format.left_indent = Cm(_INDENT) if titled else None
            for cell, align in zip(cells[1:], aligns, strict=True):
                cell.paragraphs[0].alignment = align


def _write_facts(table: Table, document: Any) -> None:
    """Facts line by line between the caption and the table."""
    from docx.shared import Cm

    for fact in table.facts:
        paragraph = document.add_paragraph(f"{clean(fact.label)}:\t{clean(fact_text(fact))}")
        paragraph.paragraph_format.tab_stops.add_tab_stop(Cm(_TAB))
        paragraph.paragraph_format.left_indent = Cm(_TAB)
        paragraph.paragraph_format.first_line_indent = Cm(-_TAB)
        paragraph.paragraph_format.space_after = 0
        paragraph.paragraph_format.keep_with_next = True
        document.tables[0]._tbl.addprevious(paragraph._p)


def _retitle(cell: Any, text: str, *, italic: bool = False) -> None:
    """Change the text of a cell and keep its font."""
    run = cell.paragraphs[0].runs[0]
    run.text = _lines(text)
    run.italic = italic


def _lines(heading: str) -> str:
    return "\n".join(map(clean, heading.split("\n")))
