"""Reliability: how often events happen among rows that are given the same probability of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.errors import OptionError
from econllm.plots.curves import check_order, check_shares, read_curves
from econllm.plots.style import (
    BAND,
    DASHES,
    GUIDE,
    INK,
    check_figure_path,
    hide_frame,
    new_figure,
    read_numbers,
    save,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 3
# Inches: side of a panel, its name and numbers, and the strip below it.
_SIDE, _FRAME, _STRIP = 2.1, 0.45, 0.22
# Between panels, as a share of their width: the numbers of neighbours must not meet.
_GAP = 0.15
_BINS = 50
# A curve over less than this share of the axis is drawn as dots.
_NARROW = 0.01


def reliability(
    curves: Mapping[str, pd.DataFrame],
    *,
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    xlabel: str = "predicted probability",
    ylabel: str = "observed share",
) -> Figure:
    """Draw reliability curves, a small panel per model.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        For every model the columns `predicted`, the probability of the event; `observed`, how often it happened at that
        probability, such as an isotonic regression of the one on the other; `lower` and `upper`, bounds of its band;
        and, if wished, `density`, the share of all rows at that probability. Missing numbers leave gaps.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title, xlabel, ylabel : str
        Titles of the figure and its axes.

    Returns
    -------
    matplotlib.figure.Figure
        At most three panels side by side, on the same axes. On the dashed diagonal probabilities mean what they say. A
        strip below a panel shows where predictions lie. Axes end with the curves; a wide band may go on beyond them. A
        curve too narrow to be seen, such as that of a single predicted value, is a dot on its band.

    Raises
    ------
    OptionError
        If there are no curves, probabilities are missing or outside 0 and 1, shares are negative or outside their band,
        or the file cannot be written because of its ending or its folder.
    MissingColumnError
        If a column is absent.

    Examples
    --------
    >>> curve = pd.DataFrame({"predicted": [0.1, 0.6], "observed": [0.2, 0.5], "lower": [0.1, 0.3], "upper": 0.8})
    >>> [axes.get_title() for axes in reliability({"MNL": curve}).axes]
    ['MNL']
    """
    read = read_curves("curves", curves, ["predicted", "observed", "lower", "upper"])
    shares = {str(name): _density(str(name), frame) for name, frame in curves.items()}
    for name, curve in read.items():
        _check(name, curve)
    target = check_figure_path(path)
    top = _top(read)
    across = min(len(read), _ACROSS)
    down = math.ceil(len(read) / across)
    strip = _STRIP if any(share is not None for share in shares.values()) else 0.0
    figure = new_figure(across * _SIDE * (1 + _GAP) + 0.5, down * (_SIDE + _FRAME + strip) + 0.3, title)
    grid = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": _GAP})
    for axes in grid.flat[len(read) :]:
        axes.remove()
    for i, (name, curve) in enumerate(read.items()):
        axes = lowest = grid.flat[i]
        _draw(axes, curve, top)
        axes.set_title(shorten(name, 30), fontsize=9, parse_math=False)
        axes.tick_params(labelleft=i % across == 0)
        density = shares[name]
        if density is not None:
            lowest = _draw_strip(axes, curve["predicted"], density, top)
            axes.tick_params(labelbottom=False)
        # The last panel of every column carries the numbers.
        lowest.tick_params(labelbottom=i + across >= len(read))
    if len(read) == 1:
        lowest.set_xlabel(xlabel, parse_math=False)
        axes.set_ylabel(ylabel, parse_math=False)
    else:
        figure.supxlabel(xlabel, fontsize=10, parse_math=False)
        figure.supylabel(ylabel, fontsize=10, parse_math=False)
    save(figure, target)
    return figure


def _density(name: str, frame: pd.DataFrame) -> np.ndarray | None:
    """Share of rows at every predicted value, where it is given."""
    if "density" not in frame.columns:
        return None
    what = f"curves[{name!r}]['density']"
    shares = read_numbers(what, frame["density"].to_numpy(), (len(frame),), "one share per row")
    if not (np.isfinite(shares) & (shares >= 0)).all():
        raise OptionError(f"{what} holds shares that are missing, infinite or negative.")
    return shares


def _check(name: str, curve: dict[str, np.ndarray]) -> None:
    check_shares(f"curves[{name!r}]: predicted", curve["predicted"])
    check_order(f"curves[{name!r}]: observed", curve["lower"], curve["observed"], curve["upper"])


def _top(curves: dict[str, dict[str, np.ndarray]]) -> float:
    """End of both axes: one, unless the event is so rare for every model that curves would fill a corner."""
    # Bands count up to twice the curve: one wide upper bound would press all curves into a corner.
    curve, band = _largest(curves, ["predicted", "observed"]), _largest(curves, ["upper"])
    largest = max(curve, min(band, 2 * curve)) or band
    return 1.0 if largest > 0.6 or largest == 0 else 1.05 * largest


def _largest(curves: dict[str, dict[str, np.ndarray]], columns: list[str]) -> float:
    """Largest finite number of some columns, at least zero."""
    numbers = np.concatenate([curve[column] for curve in curves.values() for column in columns])
    return float(np.max(numbers, where=np.isfinite(numbers), initial=0.0))


def _draw(axes: Axes, curve: dict[str, np.ndarray], top: float) -> None:
    order = np.argsort(curve["predicted"], kind="stable")
    x, y, low, high = (curve[c][order] for c in ("predicted", "observed", "lower", "upper"))
    axes.plot([0, top], [0, top], color=GUIDE, linestyle=DASHES, linewidth=1, zorder=1)
    # Between two predicted values nothing was seen: a step half-way favours neither. Next to a missing point
    # fill_between would end a step of its own early, so the corners are given.
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    corners = np.column_stack([edges[:-1], edges[1:]]).ravel()
    axes.fill_between(corners, np.repeat(low, 2), np.repeat(high, 2), color=BAND, linewidth=0, zorder=0.5)
    narrow = float(np.diff(edges)[np.isfinite(y)].sum()) < _NARROW * top
    if narrow:
        axes.vlines(x, low, high, color=BAND, linewidth=4, zorder=0.5)
    axes.plot(
        x, y, color=INK, linewidth=1.4, drawstyle="steps-mid", marker="o" if narrow else None, markersize=4,
        clip_on=not narrow,
    )  # fmt: skip
    axes.set(xlim=(0, top), ylim=(0, top), box_aspect=1)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=5)
    hide_frame(axes)


def _draw_strip(axes: Axes, predicted: np.ndarray, shares: np.ndarray, top: float) -> Axes:
    """Draw below a panel, and exactly as wide, where predictions lie."""
    strip = axes.inset_axes((0.0, -0.05 - _STRIP / _SIDE, 1.0, 0.8 * _STRIP / _SIDE))
    heights, edges = np.histogram(predicted, bins=_BINS, range=(0, top), weights=shares)
    strip.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=GUIDE, linewidth=0)
    strip.set(xlim=(0, top), yticks=[])
    strip.tick_params(labelsize=8)
    strip.locator_params(axis="x", nbins=5)
    hide_frame(strip, ("top", "right", "left"))
    return strip
