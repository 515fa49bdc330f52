"""Where the variance of an estimate comes from: training sample, seed and test sample."""

from __future__ import annotations

import math
import os
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, check_columns, listing
from econllm.plots.style import (
    BAND,
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

# Lightness and hatching: column, words of the legend, fill, hatch.
_PARTS = (
    ("training", "training sample", INK, ""),
    ("seed", "seed of training", "white", "//////"),
    ("test", "test sample", BAND, ""),
)
# Characters: of a model's name, and of a line of the axis's title.
_LONGEST, _LINE_LENGTH = 40, 44
# Inches: the plotted area, a row, a character of a label, a further line of the axis's title, and the room for axis and
# legend.
_AREA, _ROW, _CHARACTER, _LINE, _FRAME = 4.4, 0.34, 0.075, 0.17, 1.0


def decomposition(
    frame: pd.DataFrame,
    *,
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    xlabel: str = "variance of the perplexity",
) -> Figure:
    """Draw the sources of a variance as stacked bars, a bar per model.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per model, which the index names, and the variances `training`, `seed` and `test`; no standard errors,
        which do not add up. A missing variance is not drawn. Nor is a negative one, which a correction for few
        replications can leave; it counts in the total.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title, xlabel : str
        Titles of the figure and its axis.

    Returns
    -------
    matplotlib.figure.Figure
        At the end of a bar stands the root of the total, the standard error from all sources that were measured. Small
        and large variances are in units of a power of ten, which the title of the axis names, as in (1e4).

    Raises
    ------
    OptionError
        Without rows or any variance that is finite, for infinite variances, or if the file cannot be written because of
        its ending or its folder.
    MissingColumnError
        If a column is absent.

    Examples
    --------
    >>> frame = pd.DataFrame({"training": [0.04], "seed": [float("nan")], "test": [0.05]}, index=["CAREER"])
    >>> figure = decomposition(frame)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['training sample', 'seed of training (not measured)', 'test sample']
    >>> figure.axes[0].texts[0].get_text()
    'SE 0.300'
    """
    variances = _read(frame)
    target = check_figure_path(path)
    names = [shorten(name, _LONGEST) for name in frame.index]
    power = _power(variances)
    unit = f" (1e{power})".replace("-", "\u2212") if power else ""
    below = textwrap.wrap((xlabel + unit).strip(), _LINE_LENGTH)
    width = _AREA + _CHARACTER * max(map(len, names))
    figure = new_figure(width, _FRAME + _ROW * len(names) + _LINE * max(len(below) - 1, 0), title)
    axes = figure.add_subplot()
    places = np.arange(len(names))
    ends = np.zeros(len(names))
    for (_, words, fill, hatch), values in zip(_PARTS, variances.T, strict=True):
        lengths = np.clip(np.nan_to_num(values), 0, None)
        absent = " (not measured)" if np.isnan(values).all() else ""
        axes.barh(
            places, lengths, left=ends, height=0.6, color=fill, hatch=hatch, edgecolor=INK, linewidth=0.7,
            label=words + absent,
        )  # fmt: skip
        ends += lengths
    _write_totals(axes, ends, variances)
    axes.set_yticks(places, names, fontsize=9, parse_math=False)
    axes.set(xlim=(0, float(ends.max()) * 1.18 or 1.0), ylim=(len(names) - 0.5, -0.5))
    # The title of the axis names the power: matplotlib's own note of it would run into a long title.
    axes.ticklabel_format(axis="x", style="sci" if power else "plain", scilimits=(power, power))
    axes.xaxis.get_offset_text().set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel("\n".join(below), parse_math=False)
    hide_frame(axes, ("top", "right", "left"))
    figure.legend(loc="outside lower center", ncols=len(_PARTS), frameon=False, fontsize=8)
    save(figure, target)
    return figure


def _read(frame: pd.DataFrame) -> np.ndarray:
    """Variances, shape (models, sources)."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"frame is a {type(frame).__name__}; give a data frame with one row per model.")
    columns = [column for column, *_ in _PARTS]
    check_columns(frame, columns, "frame")
    if not len(frame):
        raise OptionError("frame has no rows: give at least one model.")
    variances = read_numbers("frame", frame[columns].to_numpy(), (None, len(_PARTS)), "variances")
    endless = np.isinf(variances).any(axis=1)
    if endless.any():
        raise OptionError(f"the variance of {listing(frame.index[endless], 3)} is infinite: leave these models out.")
    if np.isnan(variances).all():
        raise OptionError("frame holds no variance: there is nothing to draw.")
    return variances


def _power(variances: np.ndarray) -> int:
    """Power of ten to count in: 0, unless numbers along the axis would be long."""
    longest = float(np.clip(np.nan_to_num(variances), 0, None).sum(axis=1).max())
    power = math.floor(math.log10(longest)) if longest > 0 else 0
    return 0 if -3 < power < 4 else power


def _write_totals(axes: Axes, ends: np.ndarray, variances: np.ndarray) -> None:
    """Write the standard error beside every bar, and what it leaves out where only some models have all sources."""
    measured = ~np.isnan(variances)
    for i, (end, values) in enumerate(zip(ends, variances, strict=True)):
        total = float(np.nansum(values))
        lacking = [column for j, (column, *_) in enumerate(_PARTS) if measured[:, j].any() and not measured[i, j]]
        words = f"SE {np.sqrt(total):#.3g}".rstrip(".") if total > 0 else "no SE"
        text = f"{words}, without {' and '.join(lacking)}" if lacking and measured[i].any() else words
        axes.annotate(text, (end, i), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
