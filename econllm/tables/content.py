"""The parts of a table: columns, rows, panels of rows, and facts printed above them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from econllm.errors import OptionError, check_option, listing
from econllm.tables.formats import check_format

Cell: TypeAlias = str | int | float | None
Align: TypeAlias = Literal["left", "right", "center"]


def plain_cell(value: Any) -> Cell:
    """Turn a NumPy or pandas scalar into the Python value a cell holds.

    Parameters
    ----------
    value : object
        Text, a number, None, or what pandas uses for a missing value.

    Returns
    -------
    str, int, float or None
        Other objects become their text; ``pandas.NA`` and ``NaT`` become NaN.

    Examples
    --------
    >>> import numpy as np
    >>> plain_cell(np.float64(0.5)), plain_cell(np.int64(3)), plain_cell(("a", 1))
    (0.5, 3, "('a', 1)")
    """
    if type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    return value if value is None or isinstance(value, str | int | float) else str(value)


@dataclass(frozen=True)
class Column:
    r"""A column of a table.

    Parameters
    ----------
    label : str
        Heading; ``\n`` breaks it into lines. Where it is printed on one line, a break becomes a blank, and a hyphen
        before a break falls away with it (``Accu-\nracy``).
    format : str, optional
        Number format of its cells, see `econllm.tables.formats`.
    group : str
        Heading that adjacent columns of the same group share.
    align : {"left", "right", "center"}, optional
        By default numbers go right and text left.

    Raises
    ------
    OptionError
        For a format or an alignment that does not exist.

    Examples
    --------
    >>> Column("lower", ".2f", group="95% interval").group
    '95% interval'
    """

    label: str
    format: str | None = None
    group: str = ""
    align: Align | None = None

    def __post_init__(self) -> None:
        check_format(self.format, f"format of column {self.label!r}")
        if self.align is not None:
            check_option("align", self.align, ["left", "right", "center"])


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    label : str
        What the row is about.
    cells : sequence of str, int, float or None
        One value per column. None is printed blank, NaN as a dot.
    formats : str or sequence of str or None, optional
        Number format of all cells, or one per cell; wins over the formats of the columns.

    Raises
    ------
    OptionError
        For a format that does not exist, or a number of formats other than the number of cells.

    Examples
    --------
    >>> Row("Rows", [2725, 1090], ",d").cells
    (2725, 1090)
    """

    label: str
    cells: tuple[Cell, ...]
    formats: tuple[str | None, ...]

    def __init__(
        self, label: str, cells: Iterable[Any] = (), formats: str | Sequence[str | None] | None = None
    ) -> None:
        values = tuple(plain_cell(value) for value in cells)
        specs = (formats,) * len(values) if formats is None or isinstance(formats, str) else tuple(formats)
        if len(specs) != len(values):
            raise OptionError(f"row {label!r} has {len(values)} cells and {len(specs)} formats; give one per cell.")
        for spec in dict.fromkeys(specs):
            check_format(spec, f"format of row {label!r}")
        object.__setattr__(self, "label", str(label))
        object.__setattr__(self, "cells", values)
        object.__setattr__(self, "formats", specs)


@dataclass(frozen=True)
class Panel:
    """Rows that belong together, set apart by rules and an optional title: an equation, a group of models.

    Parameters
    ----------
    title : str
        Printed on a line of its own; empty for none.
    rows : sequence of Row, or of sequences
        Sequences are read as a label followed by the cells.

    Examples
    --------
    >>> Panel("Clerical", [("educ", 0.2)]).rows[0].label
    'educ'
    """

    title: str
    rows: tuple[Row, ...]

    def __init__(self, title: str, rows: Iterable[Row | Sequence[Any]]) -> None:
        object.__setattr__(self, "title", str(title))
        object.__setattr__(self, "rows", tuple(as_row(row) for row in rows))


@dataclass(frozen=True)
class Fact:
    """A statistic printed above the rows as a pair of name and value, as in the head of a regression output.

    Parameters
    ----------
    label : str
        Name of the statistic.
    value : str, int, float or None
        Its value; long texts take a line of their own.
    format : str, optional
        Number format.

    Raises
    ------
    OptionError
        For a format that does not exist.

    Examples
    --------
    >>> Fact("Rows", 2725, ",d").value
    2725
    """

    label: str
    value: Cell
    format: str | None = None

    def __post_init__(self) -> None:
        check_format(self.format, f"format of fact {self.label!r}")
        object.__setattr__(self, "value", plain_cell(self.value))


def as_column(column: str | Column) -> Column:
    """Read a column from its heading, or return it as it is.

    Examples
    --------
    >>> as_column("Perplexity").label
    'Perplexity'
    """
    return column if isinstance(column, Column) else Column(str(column))


def as_row(row: Row | Sequence[Any]) -> Row:
    """Read a row from a label followed by its cells, or return it as it is.

    Raises
    ------
    OptionError
        For text or an empty sequence.

    Examples
    --------
    >>> as_row(["Empirical", 4.7, None]).cells
    (4.7, None)
    """
    if isinstance(row, Row):
        return row
    if isinstance(row, str) or not len(row):
        raise OptionError(f"{row!r} is not a row: give a Row, or a label followed by one value per column.")
    return Row(row[0], row[1:])


def as_panels(body: Iterable[Row | Panel | Sequence[Any]]) -> tuple[Panel, ...]:
    """Gather rows that stand outside panels into panels without a title.

    Examples
    --------
    >>> [len(panel.rows) for panel in as_panels([("a", 1), ("b", 2), Panel("More", [("c", 3)])])]
    [2, 1]
    """
    panels: list[Panel] = []
    loose: list[Row] = []
    for item in body:
        if isinstance(item, Panel):
            panels += [Panel("", loose)] if loose else []
            panels.append(item)
            loose = []
        else:
            loose.append(as_row(item))
    return tuple(panels + ([Panel("", loose)] if loose else []))


def check_widths(columns: Sequence[Column], panels: Iterable[Panel]) -> None:
    """Raise unless every row has one cell per column.

    Raises
    ------
    OptionError
        Naming the first rows that do not fit.

    Examples
    --------
    >>> check_widths([Column("a")], [Panel("", [("x", 1)])])
    """
    wrong = [row for panel in panels for row in panel.rows if len(row.cells) != len(columns)]
    if wrong:
        raise OptionError(
            f"the table has {len(columns)} columns, but row {wrong[0].label!r} has {len(wrong[0].cells)} cells; rows "
            f"that do not fit: {listing([row.label for row in wrong])}. Use None for a blank cell."
        )
