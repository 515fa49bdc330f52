"""Figures, drawn from arrays with matplotlib's objects: no global state, no window."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from econllm.errors import OptionError, check_number, did_you_mean
from econllm.files import check_target, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_SUFFIXES = (".png", ".pdf", ".svg")
# Dark blue and a light grey differ in lightness alone, so they survive grey print and every kind of colour vision.
_INK, _GUIDE = "#004488", "#777777"
_BAND = "#c9d6e6"
# Lines of one colour, told apart by their strokes.
_STROKES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 1, 2, 1, 2)))
_LINE_LENGTH = 44
# Inches: the plotted area, a character of a label, a line of a label, and the room for axis and title.
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

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If there are no rows, the lengths differ, an estimate is outside its interval, or the file cannot be written
        because of its ending or its folder.

    Examples
    --------
    >>> figure = forest(["Empirical", "MNLogit"], [4.7, 4.6], [4.4, 4.3], [5.0, 4.9], xlabel="Perplexity")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['Empirical', 'MNLogit']
    """
    points, low, high = (np.asarray(values, dtype=np.float64) for values in (estimates, lower, upper))
    names = [textwrap.fill(" ".join(str(label).split()), _LINE_LENGTH) for label in labels]
    _check_rows(names, points, low, high)
    if reference is not None:
        check_number("reference", reference)
    target = None if path is None else _check_target(path)
    figure = _canvas(names, title)
    axes = figure.add_subplot()
    heights = _heights(names)
    shown = np.isfinite(points)
    axes.set_xlim(*_limits(np.concatenate([points[shown], low[shown], high[shown]]), reference))
    axes.set_ylim(heights[0] + heights[-1], 0)
    if reference is not None:
        axes.axvline(reference, color=_GUIDE, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    _draw_rows(axes, heights, points, low, high)
    _style(axes)
    # Labels are data: a dollar sign in a job title is no formula.
    axes.set_yticks(heights, names, parse_math=False)
    axes.set_xlabel(xlabel, parse_math=False)
    if title:
        figure.suptitle(textwrap.fill(title, _title_length(figure)), fontsize=11, parse_math=False)
    if target is not None:
        _save(figure, target)
    return figure


def penalty_path(
    alpha: ArrayLike,
    scores: ArrayLike,
    std_errors: ArrayLike,
    sizes: ArrayLike,
    terms: Sequence[str],
    *,
    chosen: float,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw held-out scores and the sizes of coefficients along the weights of a penalty.

    Parameters
    ----------
    alpha : array_like of float, shape (candidates,)
        Weights of the penalty, positive.
    scores, std_errors : array_like of float, shape (candidates,)
        Mean held-out log-likelihood in nats, and its standard error.
    sizes : array_like of float, shape (candidates, terms)
        Norm of the coefficients of every term.
    terms : sequence of str
        Their names; the largest at the weakest penalty are named in the figure.
    chosen : float
        Where to draw a dashed vertical line.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If the file cannot be written because of its ending or its folder.

    Examples
    --------
    >>> figure = penalty_path([0.01, 0.1], [-1.5, -1.6], [0.02, 0.02], [[2.0], [0.5]], ["educ"], chosen=0.01)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['held-out log-likelihood', 'norm of coefficients']
    """
    from matplotlib.figure import Figure

    order = np.argsort(np.asarray(alpha, dtype=np.float64))
    weights, means, errors, norms = (np.asarray(v, dtype=np.float64)[order] for v in (alpha, scores, std_errors, sizes))
    target = None if path is None else _check_target(path)
    figure = Figure(figsize=(5.6, 5.2), layout="constrained", dpi=100)
    above, below = figure.subplots(2, 1, sharex=True)
    above.fill_between(weights, means - errors, means + errors, color=_BAND, linewidth=0)
    above.plot(weights, means, color=_INK, marker="o", markersize=3, linewidth=1.2)
    above.set_ylabel("held-out log-likelihood")
    largest = np.argsort(-norms[np.argmin(weights)])[: len(_STROKES)]
    for rank, j in enumerate(largest):
        name = textwrap.shorten(str(terms[j]), 34, placeholder="...")
        line = below.plot(weights, norms[:, j], color=_INK, linestyle=_STROKES[rank], linewidth=1.2)[0]
        line.set_label(name.replace("$", r"\$"))
    for j in np.setdiff1d(np.arange(norms.shape[1]), largest):
        below.plot(weights, norms[:, j], color=_GUIDE, linewidth=0.7)
    below.set_ylabel("norm of coefficients")
    below.set_xlabel("alpha (weak to strong penalty)")
    below.set_xscale("log")
    below.legend(frameon=False, fontsize=8)
    for axes in (above, below):
        axes.axvline(chosen, color=_GUIDE, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    if target is not None:
        _save(figure, target)
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


def _canvas(names: list[str], title: str) -> Figure:
    from matplotlib.figure import Figure

    lines = [name.split("\n") for name in names]
    width = _AREA + _CHARACTER * max(len(line) for parts in lines for line in parts)
    height = _FRAME + sum(_row_height(name) for name in names)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=100)
    if title:
        rows = len(textwrap.wrap(title, _title_length(figure)))
        figure.set_size_inches(width, height + 0.22 * rows)
    return figure


def _title_length(figure: Figure) -> int:
    return max(int(figure.get_figwidth() / 0.095), 20)


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


def _draw_rows(axes: Axes, heights: np.ndarray, points: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Draw a dot per finite estimate, a line per interval, a tick per finite bound and an arrow per infinite one."""
    shown = np.isfinite(points)
    drawn = shown & ~np.isnan(low) & ~np.isnan(high)
    left, right = axes.get_xlim()
    axes.hlines(heights[drawn], np.maximum(low[drawn], left), np.minimum(high[drawn], right), _INK, linewidth=1.6)
    for bound, edge, arrow in ((low, left, "<"), (high, right, ">")):
        finite, endless = drawn & np.isfinite(bound), drawn & np.isinf(bound)
        axes.plot(bound[finite], heights[finite], "|", color=_INK, markersize=7, markeredgewidth=1.3)
        # An arrow sits on the edge of the axis and must not be clipped; drawn from no data, it would widen the figure.
        if endless.any():
            axes.plot(np.full(endless.sum(), edge), heights[endless], arrow, color=_INK, markersize=6, clip_on=False)
    axes.plot(points[shown], heights[shown], "o", color=_INK, markersize=5, zorder=3)


def _style(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _check_target(path: str | os.PathLike[str]) -> Path:
    target = Path(path).expanduser()
    if target.suffix.lower() not in _SUFFIXES:
        near = did_you_mean(target.suffix.lower(), _SUFFIXES)
        raise OptionError(f"path={os.fspath(path)!r} must end in one of {', '.join(_SUFFIXES)}.{near}")
    return check_target(path)


def _save(figure: Figure, target: Path) -> None:
    kind = target.suffix.lower()[1:]
    # Without the date, the same numbers give the same file.
    undated: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with replacing(target) as draft:
        figure.savefig(draft, format=kind, dpi=300, bbox_inches="tight", metadata=undated[kind])
