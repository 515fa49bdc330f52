"""The three layouts: equations as columns, outcomes as panels, and one long list."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from econllm.regtable.cells import Style, estimate_cell, plain_part, statistic_cell
from econllm.regtable.facts import COMMON, COMMON_TITLE
from econllm.regtable.naming import Name
from econllm.regtable.source import Source
from econllm.regtable.statistics import StatRow
from econllm.tables import Cell, Column, Panel, Row

# Headings are broken into lines of about this many characters, of fewer where there are more equations than so many.
_HEADING = 14
_NARROW_HEADINGS = ((7, 8), (5, 11))

Record = Mapping[str, Any]
Part = tuple[Cell, str | None]


@dataclass(frozen=True, eq=False)
class Content:
    """All that a layout arranges.

    Attributes
    ----------
    sources : sequence of Source
        The models, with the coefficients to show.
    lines : dict of str to Name
        Names of the lines.
    groups : sequence of (str, list of str)
        Titles and the lines under them.
    collapsed : dict of str to list of bool
        Which models have the coefficients that a row stands for.
    stats : sequence of StatRow
        Statistics.
    style : Style
        What is printed of a coefficient.
    """

    sources: Sequence[Source]
    lines: Mapping[str, Name]
    groups: Sequence[tuple[str, list[str]]]
    collapsed: Mapping[str, list[bool]]
    stats: Sequence[StatRow]
    style: Style

    def records(self, model: int) -> dict[tuple[Hashable, str], Record]:
        """Coefficients of a model by response and line."""
        coefs = self.sources[model].coefs
        rows = [dict(zip(coefs.columns, values, strict=True)) for values in coefs.itertuples(index=False, name=None)]
        return {(row["response"], row["column"]): row for row in rows}


def equations(content: Content) -> tuple[list[Column], list[Panel]]:
    """Lay out equations as columns and terms as rows; every model spans its equations.

    Returns
    -------
    list of Column, list of Panel
        Statistics of a model stand in its first column, and so do coefficients that all its outcomes share.
    """
    slots = [(i, code) for i, source in enumerate(content.sources) for code in source.responses or [""]]
    first = [j for j, (i, _) in enumerate(slots) if j == 0 or slots[j - 1][0] != i]
    tables = [content.records(i) for i in range(len(content.sources))]

    def found(line: str) -> list[Record | None]:
        return [tables[i].get((code, line)) for i, code in slots]

    def common(line: str) -> list[Record | None]:
        return [tables[i].get((COMMON, line)) if j in first else None for j, (i, _) in enumerate(slots)]

    panels = _group_panels(content, COMMON_TITLE, common) + _group_panels(content, "", found)
    ends = []
    for label, present in content.collapsed.items():
        here = ["yes" if present[i] else "no" for i, _ in slots]
        ends.append(_row(label, [(text if j in first else None, None) for j, text in enumerate(here)], content))
    for stat in content.stats:
        cells = [stat.cell(i, code, first=j in first) for j, (i, code) in enumerate(slots)]
        ends.append(_row(stat.label, [(cell, stat.format) for cell in cells], content))
    return _equation_columns(content, slots), _with_end(panels, ends)


def panels(content: Content) -> tuple[list[Column], list[Panel]]:
    """Lay out outcomes as panels and models as columns.

    Returns
    -------
    list of Column, list of Panel
    """
    tables = [content.records(i) for i in range(len(content.sources))]
    codes = [{source.facts.title(code): code for code in source.responses} for source in content.sources]
    titles = list(dict.fromkeys(title for by_title in codes for title in by_title))

    def common(line: str) -> list[Record | None]:
        return [table.get((COMMON, line)) for table in tables]

    body = _group_panels(content, COMMON_TITLE, common)
    by_outcome = [stat for stat in content.stats if stat.by_outcome]
    for title in titles:
        here = [by_title.get(title) for by_title in codes]

        def found(line: str, here: Sequence[Hashable | None] = here) -> list[Record | None]:
            return [table.get((code, line)) for table, code in zip(tables, here, strict=True)]

        parts = _group_panels(content, title, found)
        ends = [
            _row(s.label, [(s.cell(i, code, first=False), s.format) for i, code in enumerate(here)], content)
            for s in by_outcome
        ]
        body += [*parts[:-1], Panel(parts[-1].title, [*parts[-1].rows, *ends])] if parts else []
    ends = [
        _row(label, [("yes" if inside else "no", None) for inside in present], content)
        for label, present in content.collapsed.items()
    ]
    for stat in content.stats:
        if not stat.by_outcome:
            cells = [(stat.cell(i, None, first=True), stat.format) for i in range(len(tables))]
            ends.append(_row(stat.label, cells, content))
    return _model_columns(content), _with_end(body, ends)


def long(content: Content) -> tuple[list[Column], list[Panel]]:
    """Lay out all equations of all models below each other, with a column for every statistic.

    Returns
    -------
    list of Column, list of Panel
    """
    body: list[Panel] = []
    by_outcome = [stat for stat in content.stats if stat.by_outcome]
    for i, source in enumerate(content.sources):
        table = content.records(i)
        lead = f"{source.name}: " if len(content.sources) > 1 else ""
        for code in [COMMON, *source.responses]:

            def found(
                line: str,
                code: Hashable = code,
                table: Mapping[tuple[Hashable, str], Record] = table,
            ) -> list[Record | None]:
                return [table.get((code, line))]

            parts = _group_panels(content, lead + source.facts.title(code), found)
            ends = [
                _row(stat.label, [(stat.cell(i, code, first=False), stat.format)], content)
                for stat in by_outcome
                if code != COMMON
            ]
            body += [*parts[:-1], Panel(parts[-1].title, [*parts[-1].rows, *ends])] if parts else []
        ends = [
            _row(label, [("yes" if present[i] else "no", None)], content)
            for label, present in content.collapsed.items()
        ]
        for stat in content.stats:
            if not stat.by_outcome:
                ends.append(_row(stat.label, [(stat.cell(i, None, first=True), stat.format)], content))
        body += [Panel(source.name if lead else "", ends)] if ends else []
    return [Column(heading, align="right") for heading in content.style.headings], body


def _group_panels(content: Content, title: str, found: Any) -> list[Panel]:
    """Panels of the lines that any place has, one for every group of terms."""
    made = []
    for group, columns in content.groups:
        rows = []
        for column in columns:
            records = found(column)
            if any(record is not None for record in records):
                rows += _coefficient_rows(content.lines[column].label, records, content.style)
        if rows:
            made.append(Panel(": ".join(text for text in (title, group) if text), rows))
    return made


def _coefficient_rows(label: str, records: Sequence[Record | None], style: Style) -> list[Row]:
    nothing: Part = (None, None)
    estimates = [nothing if record is None else estimate_cell(record, style) for record in records]
    lines = [
        [nothing if record is None else statistic_cell(record, name, style) for record in records]
        for name in style.statistics
    ]
    if not style.below:
        return [_bare_row(label, [part for parts in zip(estimates, *lines, strict=True) for part in parts])]
    below = [_bare_row("", line) for line in lines if any(value is not None for value, _ in line)]
    return [_bare_row(label, estimates), *below]


def _row(label: str, parts: Sequence[Part], content: Content) -> Row:
    """A row of statistics, one per estimate; the columns beside the estimate stay blank."""
    style = content.style
    width = 1 if style.below else 1 + len(style.statistics)
    blank: list[Part] = [(None, None)] * (width - 1)
    return _bare_row(label, [part for value, spec in parts for part in (plain_part(value, spec, style), *blank)])


def _bare_row(label: str, parts: Sequence[Part]) -> Row:
    return Row(label, [value for value, _ in parts], [spec for _, spec in parts])


def _with_end(body: list[Panel], ends: Sequence[Row]) -> list[Panel]:
    return [*body, Panel("", ends)] if ends else body


def _equation_columns(content: Content, slots: Sequence[tuple[int, Hashable]]) -> list[Column]:
    several = len(content.sources) > 1
    room = next((room for many, room in _NARROW_HEADINGS if len(slots) > many), _HEADING)
    alone = all(len(source.responses) <= 1 for source in content.sources)
    columns = []
    for i, code in slots:
        source = content.sources[i]
        title = source.facts.title(code)
        heading = _wrapped(title, room)
        if not content.style.below:
            group = f"{source.name}: {title}" if several and title else source.name if several else title
            columns += [Column(name, group=group, align="right") for name in content.style.headings]
        elif several and alone:
            columns.append(Column("\n".join(text for text in (source.name, heading) if text), align="right"))
        else:
            columns.append(Column(heading, group=source.name if several else "", align="right"))
    return columns


def _model_columns(content: Content) -> list[Column]:
    if content.style.below:
        return [Column(_wrapped(source.name), align="right") for source in content.sources]
    return [
        Column(heading, group=source.name, align="right")
        for source in content.sources
        for heading in content.style.headings
    ]


def _wrapped(title: str, room: int = _HEADING) -> str:
    # A hyphen before a break would be taken for one that divides a word.
    kept = title.replace("- ", "-\u00a0")
    return "\n".join(textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False))
