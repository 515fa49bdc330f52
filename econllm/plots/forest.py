"""Estimates with their intervals, row by row."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from econllm.errors import OptionError, check_number
from econllm.plots.style import DASHES, GUIDE, INK, check_figure_path, hide_frame, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_LINE_LENGTH = 44
# Inches: the plotted area, a character of a label, a line of a label, and the room for axis and labels.
_AREA, _CHARACTER, _LINE, _FRAME = 3.8, 0.075, 0.17, 0.75


def forest(
    labels: Sequence[str],
    estimates: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    path: str | os.PathLike[str] | None = None,
    xlabel: str = "",
    title: str = "",
    reference: float | None = None,
    hollow: Sequence[bool] | None = None,
) -> Figure:
    """Draw estimates with their intervals, one row each, the first on top.

    Parameters
    ----------
    labels : sequence of str
        Names of the rows; long ones are broken into lines.
    estimates, lower, upper : array_like of float
        Estimates and the bounds of their intervals. A missing or infinite estimate leaves its row empty, a missing
        bound leaves out the interval, an infinite bound extends it to the edge.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    xlabel : str
        What the horizontal axis measures.
    title : str
        Title of the figure.
    reference : float, optional
        Where to draw a dashed vertical line, such as the estimate of the model that others are compared with.
    hollow : sequence of bool, optional
        Rows whose dot is hollow, such as results that are not ranked; none by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If there are no rows, the lengths differ, an estimate is outside its interval, `hollow` is not true or false, or
        the file cannot be written because of its ending or its folder.

    Examples
    --------
    >>> figure = forest(["Empirical", "MNLogit"], [4.7, 4.6], [4.4, 4.3], [5.0, 4.9], xlabel="Perplexity")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['Empirical', 'MNLogit']
    """
    points, low, high = (np.asarray(values, dtype=np.float64) for values in (estimates, lower, upper))
    names = [textwrap.fill(" ".join(str(label).split()), _LINE_LENGTH) for label in labels]
    _check_rows(names, points, low, high)
    empty = _read_hollow(hollow, len(names))
    if reference is not None:
        check_number("reference", reference)
    target = check_figure_path(path)
    longest = max(len(line) for name in names for line in name.split("\n"))
    figure = new_figure(_AREA + _CHARACTER * longest, _FRAME + sum(_row_height(name) for name in names), title)
    axes = figure.add_subplot()
    heights = _heights(names)
    shown = np.isfinite(points)
    axes.set_xlim(*_limits(np.concatenate([points[shown], low[shown], high[shown]]), reference))
    axes.set_ylim(heights[0] + heights[-1], 0)
    if reference is not None:
        axes.axvline(reference, color=GUIDE, linestyle=DASHES, linewidth=1, zorder=1)
    _draw_rows(axes, heights, points, low, high, empty)
    _style(axes)
    # Labels are data: a dollar sign in a job title is no formula.
    axes.set_yticks(heights, names, parse_math=False)
    axes.set_xlabel(xlabel, parse_math=False)
    save(figure, target)
    return figure


def _check_rows(names: list[str], points: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    if not names:
        raise OptionError("labels is empty: give at least one row.")
    for option, values in (("estimates", points), ("lower", low), ("upper", high)):
        if values.shape != (len(names),):
            raise OptionError(
                f"{option} has shape {values.shape}, but there are {len(names)} labels; give one number each."
            )
    outside = (low > points) | (high < points)
    if outside.any():
        i = int(np.flatnonzero(outside)[0])
        raise OptionError(
            f"the estimate {points[i]:g} of {names[i]!r} is outside its interval from {low[i]:g} to {high[i]:g}; "
            f"this holds for {int(outside.sum())} of {len(names)} rows."
        )


def _read_hollow(hollow: Sequence[bool] | None, rows: int) -> np.ndarray:
    if hollow is None:
        return np.zeros(rows, dtype=bool)
    marks = np.asarray(hollow)
    if marks.shape != (rows,) or marks.dtype != bool:
        raise OptionError(
            f"hollow has shape {marks.shape} and type {marks.dtype}; give true or false for each of {rows} labels."
        )
    return marks


def _row_height(name: str) -> float:
    return _LINE * (name.count("\n") + 1) + 0.13


def _heights(names: list[str]) -> np.ndarray:
    """Centres of the rows, in inches below the top edge, so that a label of three lines gets the room of three."""
    sizes = np.array([_row_height(name) for name in names])
    return np.cumsum(sizes) - sizes / 2


def _limits(numbers: np.ndarray, reference: float | None) -> tuple[float, float]:
    """Range of the axis: all finite numbers and the reference, with a margin."""
    finite = numbers[np.isfinite(numbers)]
    if reference is not None:
        finite = np.append(finite, reference)
    if not finite.size:
        return 0.0, 1.0
    margin = 0.06 * float(np.ptp(finite)) or 0.1 * abs(float(finite[0])) or 1.0
    return float(finite.min()) - margin, float(finite.max()) + margin


def _draw_rows(
    axes: Axes, heights: np.ndarray, points: np.ndarray, low: np.ndarray, high: np.ndarray, hollow: np.ndarray
) -> None:
    """Draw a dot per finite estimate, a line per interval, a tick per finite bound and an arrow per infinite one."""
    shown = np.isfinite(points)
    drawn = shown & ~np.isnan(low) & ~np.isnan(high)
    left, right = axes.get_xlim()
    axes.hlines(heights[drawn], np.maximum(low[drawn], left), np.minimum(high[drawn], right), INK, linewidth=1.6)
    for bound, edge, arrow in ((low, left, "<"), (high, right, ">")):
        finite, endless = drawn & np.isfinite(bound), drawn & np.isinf(bound)
        axes.plot(bound[finite], heights[finite], "|", color=INK, markersize=7, markeredgewidth=1.3)
        # An arrow sits on the edge of the axis and must not be clipped; drawn from no data, it would widen the figure.
        if endless.any():
            axes.plot(np.full(endless.sum(), edge), heights[endless], arrow, color=INK, markersize=6, clip_on=False)
    for rows, face in ((shown & ~hollow, INK), (shown & hollow, "white")):
        if rows.any():
            axes.plot(points[rows], heights[rows], "o", color=INK, markerfacecolor=face, markersize=5, zorder=3)


def _style(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    hide_frame(axes, ("top", "right", "left"))
