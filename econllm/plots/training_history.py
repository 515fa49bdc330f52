"""Loss by epoch, of the sample a network learns from and of the sample that says when to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from econllm.errors import OptionError, check_number, listing
from econllm.plots.style import (
    DASHES,
    GUIDE,
    INK,
    STROKES,
    check_figure_path,
    hide_frame,
    new_figure,
    read_numbers,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# More markers than this run into each other.
_MOST_MARKERS = 40


def training_history(
    epochs: ArrayLike,
    loss: ArrayLike,
    validation: ArrayLike | None,
    *,
    best: float | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw training and validation loss against epochs.

    Parameters
    ----------
    epochs : array_like of float, shape (n,)
        Numbers of the epochs, rising.
    loss : array_like of float, shape (n,)
        Mean training loss of every epoch, in nats. What is missing or infinite leaves a gap.
    validation : array_like of float, shape (n,), or None
        Mean loss of the validation sample, in nats; None where there is none.
    best : float, optional
        The epoch whose weights were kept, to be marked.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If lengths differ, epochs do not rise, `best` is none of them, or the file cannot be written because of its
        ending or its folder.

    Examples
    --------
    >>> figure = training_history([1, 2, 3], [2.1, 1.7, 1.5], [2.0, 1.8, 1.9], best=2)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['training', 'validation']
    """
    times = read_numbers("epochs", epochs, (None,), "one number per epoch")
    if not times.size or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise OptionError("epochs must be at least one finite number, and rise from one to the next.")
    curves = {"training": _read_curve("loss", loss, times)}
    if validation is not None:
        curves["validation"] = _read_curve("validation", validation, times)
    if best is not None:
        check_number("best", best)
        if best not in times:
            raise OptionError(f"best={best!r} is none of the {times.size} epochs, which are {listing(times)}.")
    target = check_figure_path(path)
    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
    _draw_curves(axes, times, curves)
    if best is not None:
        _mark(axes, float(best), float(list(curves.values())[-1][times == best][0]))
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean loss in nats")
    axes.legend(frameon=False, fontsize=9)
    save(figure, target)
    return figure


def _read_curve(option: str, values: ArrayLike, times: np.ndarray) -> np.ndarray:
    curve = read_numbers(option, values, times.shape, "one number per epoch")
    return np.where(np.isfinite(curve), curve, np.nan)


def _draw_curves(axes: Axes, times: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    from matplotlib.ticker import MaxNLocator

    marker = "o" if times.size <= _MOST_MARKERS else None
    looks = {"training": (GUIDE, STROKES[1], "white"), "validation": (INK, STROKES[0], INK)}
    for name, values in curves.items():
        color, stroke, face = looks[name]
        axes.plot(
            times, values, color=color, linestyle=stroke, linewidth=1.4, marker=marker, markersize=4,
            markerfacecolor=face, label=name,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=9)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    hide_frame(axes)


def _mark(axes: Axes, epoch: float, height: float) -> None:
    """Mark the epoch whose weights were kept; its name stands above the axes, where no curve can be."""
    axes.axvline(epoch, color=GUIDE, linestyle=DASHES, linewidth=1, zorder=1)
    axes.plot([epoch], [height], "o", color=INK, markersize=10, markerfacecolor="none", markeredgewidth=1.4)
    axes.annotate(
        f"best: epoch {epoch:g}", (epoch, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3),
        textcoords="offset points", ha="center", va="bottom", fontsize=9, annotation_clip=False,
    )  # fmt: skip
