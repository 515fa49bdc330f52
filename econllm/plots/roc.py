"""Receiver operating characteristics: what share of events is found, at what share of false alarms."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.errors import OptionError
from econllm.plots.curves import LEGEND_LINE, LOOKS, check_shares, read_curves
from econllm.plots.style import DASHES, GUIDE, STROKES, check_figure_path, hide_frame, legend_text, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Markers along a curve, so that curves that cross can be followed in grey.
_MARKERS = 6
# Weighted shares add up to one but for rounding.
_SLACK = 1e-9


def roc(curves: Mapping[str, pd.DataFrame], *, path: str | os.PathLike[str] | None = None, title: str = "") -> Figure:
    """Draw ROC curves of several models into one square.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        For every model the columns `false_positive` and `true_positive`, shares that rise together from 0 to 1.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The legend gives every model's area under its curve, by the trapezoid rule; the dashed diagonal is guessing.

    Raises
    ------
    OptionError
        If there are no curves or more than can be told apart, shares are missing, outside 0 and 1 or do not rise, or
        the file cannot be written because of its ending or its folder.
    MissingColumnError
        If a column is absent.

    Examples
    --------
    >>> curve = pd.DataFrame({"false_positive": [0, 0, 0.5, 1], "true_positive": [0, 0.5, 1, 1]})
    >>> figure = roc({"MNL": curve})
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['MNL: 0.875']
    """
    read = read_curves("curves", curves, ["false_positive", "true_positive"], len(LOOKS))
    for name, curve in read.items():
        _check_shares(name, curve)
    target = check_figure_path(path)
    figure = new_figure(4.4, 4.4 + LEGEND_LINE * len(read), title)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GUIDE, linestyle=DASHES, linewidth=1, zorder=1)
    for i, (look, (name, curve)) in enumerate(zip(LOOKS, read.items(), strict=False)):
        x, y = curve["false_positive"], curve["true_positive"]
        axes.plot(
            x, y, color=look.color, linestyle=STROKES[i % len(STROKES)], linewidth=1.5, marker=look.marker,
            markersize=4.5, markevery=_marked(x, y, i, len(read)), label=f"{legend_text(name)}: {_area(x, y):.3f}",
        )  # fmt: skip
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.tick_params(labelsize=9)
    hide_frame(axes)
    figure.legend(
        loc="outside lower center", frameon=False, fontsize=8, title="area under the curve", title_fontsize=8,
        handlelength=4.5,
    )  # fmt: skip
    save(figure, target)
    return figure


def _check_shares(name: str, curve: dict[str, np.ndarray]) -> None:
    for column, values in curve.items():
        check_shares(f"curves[{name!r}]: {column}", values, _SLACK)
        if (np.diff(values) < -_SLACK).any():
            raise OptionError(f"curves[{name!r}]: {column} must rise from row to row: sort both columns together.")


def _area(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def _marked(x: np.ndarray, y: np.ndarray, i: int, curves: int) -> list[int]:
    """Rows with a marker, evenly along the curve and, from curve to curve, at different places."""
    along = x + y
    places = 2 * (np.arange(_MARKERS) + (i + 0.5) / curves) / _MARKERS
    return sorted({int(np.abs(along - place).argmin()) for place in places})
