"""Learning curves, and what figures of several curves have in common: reading them and telling them apart."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, check_columns, listing
from econllm.plots.style import (
    GUIDE,
    INK,
    STROKES,
    check_figure_path,
    hide_frame,
    legend_text,
    new_figure,
    read_numbers,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Look(NamedTuple):
    """Shade and marker of one of several lines."""

    color: str
    marker: str


# Shape and lightness together, so that neighbours in the list differ in both.
LOOKS = (
    Look(INK, "o"),
    Look("#8c8c8c", "s"),
    Look("#111111", "^"),
    Look("#7d9fca", "D"),
    Look("#3f6ea6", "v"),
    Look("#b0b0b0", "<"),
    Look("#555555", ">"),
    Look("#a8c0de", "p"),
)
# Share of a number, or of one, by which rounding may move it beyond its bound.
_SLACK = 1e-12
# Inches: a line of a legend.
LEGEND_LINE = 0.18
# Shares of the axis: the least distance of two ticks, and how far the error bars of two lines, and of all, stand apart.
_APART, _DODGE, _DODGES = 0.1, 0.009, 0.03


def learning_curve(
    frame: pd.DataFrame,
    *,
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    xlabel: str = "training persons",
    ylabel: str = "perplexity",
) -> Figure:
    """Draw how estimates change with the size of the training sample, one line per model.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per model and size: `model`, `size` (persons, positive), `estimate`, `lower` and `upper` (bounds of its
        interval); and, if persons of another sample were added, `added`, their number. A missing or infinite estimate
        leaves a gap, a missing or infinite bound leaves out the error bar.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title, xlabel, ylabel : str
        Titles of the figure and its axes.

    Returns
    -------
    matplotlib.figure.Figure
        Sizes are on a log scale; error bars of different models stand beside each other. Points with added persons are
        at size + added, hollow, and dashed from the largest size without any.

    Raises
    ------
    OptionError
        Without rows, with more models than can be told apart, sizes that are not positive, estimates outside their
        intervals, or if the file cannot be written because of its ending or its folder.
    MissingColumnError
        If a column is absent.

    Examples
    --------
    >>> frame = pd.DataFrame({"model": "MNL", "size": [100, 200], "estimate": [5.1, 4.8], "lower": 4.5, "upper": 5.5})
    >>> figure = learning_curve(frame)
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['100', '200']
    """
    curves = _read_sizes(frame)
    target = check_figure_path(path)
    own, extended = (
        np.unique(np.concatenate([curve["total"][(curve["added"] > 0) == more] for curve in curves.values()]))
        for more in (False, True)
    )
    names = [*curves, *(["with added persons"] if len(extended) else [])]
    figure = new_figure(5.6, 3.4 + LEGEND_LINE * -(-len(names) // 2), title)
    axes = figure.add_subplot()
    _place_sizes(axes, own, extended)
    low, high = np.log(axes.get_xlim())
    dodge = min(_DODGE, _DODGES / len(curves)) * (high - low)
    for i, (look, curve) in enumerate(zip(LOOKS, curves.values(), strict=False)):
        _draw_sizes(axes, curve, look, np.exp(dodge * (i - (len(curves) - 1) / 2)))
    axes.tick_params(labelsize=9)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    hide_frame(axes)
    axes.set_xlabel(xlabel, parse_math=False)
    axes.set_ylabel(ylabel, parse_math=False)
    handles = [axes.plot([], [], **_line(look))[0] for look, _ in zip(LOOKS, curves, strict=False)]
    if len(extended):
        handles.append(axes.plot([], [], **_line(Look(GUIDE, "o"), added=True))[0])
    texts = [legend_text(name) for name in names]
    figure.legend(handles, texts, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    save(figure, target)
    return figure


def read_curves(
    option: str, curves: Mapping[str, pd.DataFrame], columns: Sequence[str], most: int | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Read several curves from data frames.

    Parameters
    ----------
    option : str
        Name of the argument, for messages.
    curves : mapping of str to DataFrame
        Curves by the name of their model.
    columns : sequence of str
        Columns that every frame must have.
    most : int, optional
        How many curves can be told apart.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray of float64
        The columns of every curve.

    Raises
    ------
    OptionError
        If there is no curve, too many, or one without rows or that is no frame or holds no numbers.
    MissingColumnError
        If a column is absent.

    Examples
    --------
    >>> read_curves("curves", {"MNL": pd.DataFrame({"x": [1, 2]})}, ["x"])["MNL"]["x"]
    array([1., 2.])
    """
    if not isinstance(curves, Mapping):
        raise OptionError(f"{option} is a {type(curves).__name__}; give a mapping from names to data frames.")
    if not curves:
        raise OptionError(f"{option} is empty: give at least one curve, {{'name': frame}}.")
    if most is not None and len(curves) > most:
        raise OptionError(
            f"{option} holds {len(curves)} curves, {listing(curves, 3)}; at most {most} can be told apart."
        )
    out = {}
    for name, frame in curves.items():
        what = f"{option}[{name!r}]"
        if not isinstance(frame, pd.DataFrame):
            raise OptionError(f"{what} is a {type(frame).__name__}; give a data frame.")
        check_columns(frame, columns, what)
        if not len(frame):
            raise OptionError(f"{what} has no rows.")
        out[str(name)] = {c: read_numbers(f"{what}[{c!r}]", frame[c].to_numpy(), (None,), "numbers") for c in columns}
    return out


def check_order(what: str, low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> None:
    """Raise unless numbers lie between their bounds, but for rounding; missing ones are left out.

    Raises
    ------
    OptionError
        Naming the first that does not, and how many there are.

    Examples
    --------
    >>> check_order("estimate", np.array([0.0]), np.array([1.0]), np.array([float("nan")]))
    """
    slack = _SLACK * np.maximum(1.0, np.abs(np.where(np.isfinite(middle), middle, 0.0)))
    outside = (low > middle + slack) | (high < middle - slack)
    if outside.any():
        i = int(np.flatnonzero(outside)[0])
        raise OptionError(
            f"{what} {middle[i]:g} is outside its interval from {low[i]:g} to {high[i]:g}; this holds for "
            f"{int(outside.sum())} of {len(middle)} rows."
        )


def check_shares(what: str, values: np.ndarray, slack: float = 0.0) -> None:
    """Raise unless all numbers lie between 0 and 1; missing ones do not.

    Raises
    ------
    OptionError
        Saying how many do not.

    Examples
    --------
    >>> check_shares("predicted", np.array([0.0, 0.5]))
    """
    bad = ~((values >= -slack) & (values <= 1 + slack))
    if bad.any():
        raise OptionError(f"{what} must lie between 0 and 1, which {int(bad.sum())} of {len(values)} rows do not.")


def _read_sizes(frame: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Columns of every model, rows sorted by the number of persons."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"frame is a {type(frame).__name__}; give a data frame with one row per model and size.")
    check_columns(frame, ["model"], "frame")
    full = frame if "added" in frame.columns else frame.assign(added=0)
    parts = {str(name): part for name, part in full.groupby("model", sort=False)}
    curves = read_curves("frame", parts, ["size", "added", "estimate", "lower", "upper"], len(LOOKS))
    for name, curve in curves.items():
        sizes, added = curve["size"], curve["added"]
        if not (np.isfinite(sizes) & (sizes > 0) & np.isfinite(added) & (added >= 0)).all():
            raise OptionError(f"model {name!r}: size must be a positive number of persons, and added not negative.")
        check_order(f"model {name!r}: estimate", curve["lower"], curve["estimate"], curve["upper"])
        order = np.argsort(sizes + added, kind="stable")
        curves[name] = {"total": (sizes + added)[order], **{c: values[order] for c, values in curve.items()}}
    return curves


def _line(look: Look, added: bool = False) -> dict[str, Any]:
    """Appearance of a line, solid with full markers or dashed with hollow ones."""
    return {
        "color": look.color,
        "linestyle": STROKES[1] if added else STROKES[0],
        "linewidth": 1.3,
        "marker": look.marker,
        "markersize": 5,
        "markerfacecolor": "white" if added else look.color,
    }


def _draw_sizes(axes: Axes, curve: dict[str, np.ndarray], look: Look, dodge: float) -> None:
    own = curve["added"] == 0
    shown, bounded = np.isfinite(curve["estimate"]), np.isfinite(curve["lower"]) & np.isfinite(curve["upper"])
    x, y = curve["total"] * dodge, np.where(shown, curve["estimate"], np.nan)
    bars = shown & bounded
    axes.vlines(x[bars], curve["lower"][bars], curve["upper"][bars], look.color, linewidth=0.9, zorder=1.5)
    axes.plot(x[own], y[own], **_line(look))
    if not own.all():
        # The dashes begin at the last full marker, which is drawn already.
        last = np.flatnonzero(own)[-1:]
        rows = np.append(last, np.flatnonzero(~own))
        axes.plot(x[rows], y[rows], **_line(look, added=True), markevery=slice(len(last), None))


def _place_sizes(axes: Axes, own: np.ndarray, extended: np.ndarray) -> None:
    """Make the axis of sizes; of sizes that would run into each other only one is written."""
    from matplotlib.ticker import NullLocator

    first, last = min([*own, *extended]), max([*own, *extended])
    margin = (last / first) ** 0.07 if last > first else 2.0
    axes.set_xscale("log")
    axes.set_xlim(first / margin, last * margin)
    least = _APART * np.log(last * margin**2 / first)
    kept: list[float] = []
    # Large samples matter most, and those without added persons more.
    for size in (*own[::-1], *extended[::-1]):
        if all(abs(np.log(size / other)) >= least for other in kept):
            kept.append(float(size))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sorted(kept), [f"{size:,.0f}" for size in sorted(kept)])
