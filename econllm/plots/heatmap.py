"""Matrices as shades, one or several on the same scale."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from econllm.errors import OptionError
from econllm.plots.style import check_figure_path, new_figure, read_numbers, save, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# One hue that darkens steadily from nearly white, so it prints in grey and all eyes order it alike.
_SHADES = "Blues"
# A line around every cell with a number tells a zero from a missing one. Its width is a share of the cell's, lest lines
# hide the cells, up to a number of points; around cells of less than so many inches there is none.
_LINES, _LINE_SHARE, _THICKEST, _LINED = (0.8, 0.8, 0.8, 1.0), 0.05, 0.5, 0.03
# Characters of a label, in a figure of one panel and in one of several.
_LONGEST, _LONGEST_OF_MANY = 28, 26
# Inches: the largest cell, the figure, the scale with its numbers, a panel at least, a line of text.
_CELL, _WIDTH, _HEIGHT, _SCALE, _PANEL, _LINE = 0.3, 7.0, 8.0, 0.8, 0.6, 0.13
# Sizes of labels in points, and the width of a character in inches per point.
_SMALL, _LARGE, _CHARACTER = 7.0, 9.0, 0.0072


def heatmap(
    values: ArrayLike,
    rows: Sequence[object],
    columns: Sequence[object],
    *,
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    panels: Sequence[object] | None = None,
) -> Figure:
    """Draw a matrix, or several on one scale, as shades: the darker, the larger.

    Parameters
    ----------
    values : array_like of float, shape (rows, columns) or (panels, rows, columns)
        The numbers. A cell that is missing or infinite stays white, such as the future in causal attention.
    rows, columns : sequence
        Names of rows, the first on top, and of columns. Long ones are cut, and where cells are too small for all
        names, every second, third, ... is shown.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title, xlabel, ylabel : str
        Titles of the figure and its axes.
    panels : sequence, optional
        Names of the matrices, for values of three axes; drawn as small multiples.

    Returns
    -------
    matplotlib.figure.Figure
        One axes per matrix, then that of the scale. The scale begins at zero where no number is negative.

    Raises
    ------
    OptionError
        If shapes and names do not match, no number is finite, or the file cannot be written because of its ending or
        its folder.

    Examples
    --------
    >>> figure = heatmap([[1.0, float("nan")], [0.3, 0.7]], ["2000", "2001"], ["2000", "2001"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['2000', '2001']
    """
    stack, names = _read_stack(values, len(rows), len(columns), panels)
    target = check_figure_path(path)
    finite = stack[np.isfinite(stack)]
    low, high = min(0.0, float(finite.min())), float(finite.max())
    plan = _Plan.of(len(stack), rows, columns)
    figure = new_figure(*plan.figure_size, title)
    grid = figure.subplots(plan.down, plan.across, squeeze=False)
    for axes in grid.flat[len(stack) :]:
        axes.remove()
    drawn = list(grid.flat[: len(stack)])
    for i, (axes, matrix) in enumerate(zip(drawn, stack, strict=True)):
        mesh = _draw(axes, matrix, low, high if high > low else low + 1, min(plan.cell))
        # Room that is left goes where saving cuts it off: to the left and below.
        axes.set(box_aspect=plan.height / plan.width, anchor="NE")
        # The first panel of a line of panels carries the names of rows, the last of a column those of columns.
        _label_rows(axes, plan, i % plan.across == 0)
        _label_columns(axes, plan, i + plan.across >= len(stack))
    _name_panels(drawn, names, plan.width)
    bar = figure.colorbar(mesh, ax=drawn, shrink=min(1.0, 2.5 / (plan.down * plan.height)), aspect=15, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if len(drawn) == 1:
        drawn[0].set_xlabel(xlabel, fontsize=9, parse_math=False)
        drawn[0].set_ylabel(ylabel, fontsize=9, parse_math=False)
    else:
        figure.supxlabel(xlabel, fontsize=9, parse_math=False)
        figure.supylabel(ylabel, fontsize=9, parse_math=False)
    save(figure, target)
    return figure


@dataclass(frozen=True)
class _Plan:
    """Names as they are written, panels side by side and one above the other, and the size of a panel in inches."""

    rows: list[str]
    columns: list[str]
    across: int
    down: int
    width: float
    height: float

    @classmethod
    def of(cls, panels: int, rows: Sequence[object], columns: Sequence[object]) -> _Plan:
        longest = _LONGEST if panels == 1 else _LONGEST_OF_MANY
        left, below = ([shorten(name, longest) for name in names] for names in (rows, columns))
        across = _panels_across(panels)
        down = math.ceil(panels / across)
        # Labels take their room first, but never more than half of the figure.
        width = max(_WIDTH - _SCALE - _longest(left, _SMALL), _WIDTH / 2)
        height = max(_HEIGHT - _longest(below, _SMALL), _HEIGHT / 2)
        cell = min(_CELL, width / (across * len(below)), height / (down * len(left)))
        # Cells are square, unless that makes a panel too thin to be seen.
        return cls(left, below, across, down, max(cell * len(below), _PANEL), max(cell * len(left), _PANEL))

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell."""
        return self.width / len(self.columns), self.height / len(self.rows)

    @property
    def upright(self) -> bool:
        """Whether names of columns are too long to be written side by side."""
        return _longest(self.columns, _SMALL) > self.cell[0]

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height of the figure without its title."""
        wide, high = self.cell
        below = _longest(self.columns, _font(wide)) if self.upright else _LINE
        width = self.across * (self.width + 0.1) + _longest(self.rows, _font(high)) + _SCALE + 0.2
        return width, self.down * (self.height + 0.25) + below + 0.3


def _longest(names: list[str], font: float) -> float:
    return max(map(len, names)) * font * _CHARACTER


def _font(cell: float) -> float:
    """Size of a label in points: that of its cell, within what can be read."""
    return min(max(72 * cell * 0.7, _SMALL), _LARGE)


def _read_stack(
    values: ArrayLike, rows: int, columns: int, panels: Sequence[object] | None
) -> tuple[np.ndarray, list[object]]:
    if not rows or not columns:
        raise OptionError(f"there are {rows} rows and {columns} columns; give names for at least one of each.")
    if panels is None:
        if np.ndim(values) == 3:
            raise OptionError(f"values has shape {np.shape(values)}: name its {len(values)} matrices in panels=.")  # type: ignore[arg-type]
        stack = read_numbers("values", values, (rows, columns), "one row per row name, one column per column name")
        stack, names = stack[None], []
    else:
        names = list(panels)
        shape = (len(names), rows, columns)
        stack = read_numbers("values", values, shape, "one matrix per panel, of one row and column per name")
    if not np.isfinite(stack).any():
        raise OptionError("values holds no finite number: there is nothing to draw.")
    return stack, names


def _panels_across(panels: int) -> int:
    """Panels side by side: about as many as there are rows of them, leaving no hole where that can be had."""
    side = math.ceil(math.sqrt(panels))
    return next((n for n in range(side, side + 3) if panels % n == 0), side)


def _draw(axes: Axes, matrix: np.ndarray, low: float, high: float, cell: float) -> Any:
    # A mesh of cells and not an image, so that the figure stays sharp at every size.
    mesh = axes.pcolormesh(np.ma.masked_invalid(matrix), cmap=_SHADES, vmin=low, vmax=high)
    if cell >= _LINED:
        edges = np.tile(_LINES, (matrix.size, 1))
        edges[~np.isfinite(matrix).ravel(), 3] = 0
        mesh.set(edgecolor=edges, linewidth=min(72 * cell * _LINE_SHARE, _THICKEST))
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set(color="#bbbbbb", linewidth=0.6)
    return mesh


def _label_rows(axes: Axes, plan: _Plan, named: bool) -> None:
    cell = plan.cell[1]
    shown = np.arange(0, len(plan.rows), math.ceil(_LINE / cell)) if named else np.zeros(0, np.int64)
    axes.set_yticks(shown + 0.5, [plan.rows[i] for i in shown], fontsize=_font(cell), parse_math=False)
    axes.tick_params(axis="y", length=0, pad=2)


def _label_columns(axes: Axes, plan: _Plan, named: bool) -> None:
    cell = plan.cell[0]
    step = math.ceil(_LINE / cell) if plan.upright else 1
    shown = np.arange(0, len(plan.columns), step) if named else np.zeros(0, np.int64)
    names = [plan.columns[i] for i in shown]
    rotation = 90 if plan.upright else 0
    axes.set_xticks(shown + 0.5, names, fontsize=_font(cell), rotation=rotation, parse_math=False)
    axes.tick_params(axis="x", length=0, pad=2)


def _name_panels(drawn: list[Axes], names: list[object], width: float) -> None:
    """Write the names of panels, smaller where the longest would not fit above its panel."""
    texts = [shorten(name, max(int(width / (_SMALL * _CHARACTER)), 6)) for name in names]
    size = _LARGE if texts and _longest(texts, _LARGE) <= width else _SMALL
    for axes, text in zip(drawn, texts, strict=False):
        axes.set_title(text, fontsize=size, pad=4, parse_math=False)
