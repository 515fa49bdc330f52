"""Points on a map of two dimensions, with names: occupations, words, persons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from econllm.errors import OptionError, check_number, listing
from econllm.plots.placement import place_labels
from econllm.plots.style import GUIDE, INK, check_figure_path, legend_text, new_figure, read_numbers, save, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# Shapes and shades together, so that neighbours in the list differ in both: shape, fill, edge.
_MARKS = (
    ("o", INK, INK),
    ("s", "white", INK),
    ("^", "#8fb0d9", "#33567f"),
    ("D", "#111111", "#111111"),
    ("v", "white", "#111111"),
    ("P", "#b8b8b8", "#555555"),
    ("X", "#5580b5", "#123f70"),
)
_LONGEST = 36
_FONT = 7
# Inches: the width of the figure, and the least and largest height.
_WIDTH, _LOWEST, _HIGHEST = 6.8, 4.0, 7.4


def scatter_map(
    points: ArrayLike,
    labels: Sequence[object],
    *,
    groups: Sequence[object] | None = None,
    path: str | os.PathLike[str] | None = None,
    title: str = "",
    show: int = 40,
) -> Figure:
    """Draw points on a map of two dimensions and write the names of the first ones beside them.

    Parameters
    ----------
    points : array_like of float, shape (n, 2)
        Coordinates; both axes have the same scale, and no numbers, since only distances mean something.
    labels : sequence, length n
        Names of the points, the most important first; long ones are cut.
    groups : sequence, length n, optional
        Group of every point, at most seven different ones, told apart by shape and lightness.
    path : str or path, optional
        File to save as well: .png, .pdf or .svg.
    title : str
        Title of the figure.
    show : int
        How many names to write. One that would cover another name is left out.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If lengths differ, a coordinate is missing, there are more than seven groups, or the file cannot be written
        because of its ending or its folder.

    Examples
    --------
    >>> figure = scatter_map([[0, 0], [1, 0.5]], ["Cook", "Clerk"], groups=["service", "office"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['Cook', 'Clerk']
    """
    places = read_numbers("points", points, (None, 2), "two coordinates per point, shape (n, 2)")
    if not len(places):
        raise OptionError("points is empty: give at least one.")
    absent = int((~np.isfinite(places)).any(axis=1).sum())
    if absent:
        raise OptionError(f"points: {absent} of {len(places)} rows hold missing or infinite numbers; leave them out.")
    check_number("show", show, minimum=0, integer=True)
    if len(labels) != len(places):
        raise OptionError(f"there are {len(labels)} labels for {len(places)} points; give one each.")
    members = _members(groups, len(places))
    target = check_figure_path(path)
    figure = new_figure(_WIDTH, _height(places), title)
    axes = figure.add_subplot()
    size = float(np.clip(6 - len(places) / 150, 3, 5.5))
    for (shape, fill, edge), (name, rows) in zip(_MARKS, members.items(), strict=False):
        axes.plot(
            *places[rows].T, shape, markersize=size, markerfacecolor=fill, markeredgecolor=edge, markeredgewidth=0.7,
            linestyle="none", label=legend_text(name),
        )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.margins(0.08)
    axes.set_aspect("equal", adjustable="datalim")
    for spine in axes.spines.values():
        spine.set(color="#bbbbbb", linewidth=0.8)
    if groups is not None:
        figure.legend(loc="outside lower center", ncols=min(len(members), 4), frameon=False, fontsize=8)
    _write_labels(figure, axes, places, [shorten(label, _LONGEST) for label in labels[:show]], size)
    save(figure, target)
    return figure


def _members(groups: Sequence[object] | None, n: int) -> dict[object, np.ndarray]:
    """Rows of every group, in the order in which groups first occur."""
    if groups is None:
        return {"": np.arange(n)}
    if len(groups) != n:
        raise OptionError(f"there are {len(groups)} groups for {n} points; give one each.")
    names = list(dict.fromkeys(groups))
    if len(names) > len(_MARKS):
        raise OptionError(
            f"groups holds {len(names)} different groups, {listing(names, 3)}; at most {len(_MARKS)} can be told "
            "apart: join the smaller ones into one, such as 'other'."
        )
    return {name: np.flatnonzero([group == name for group in groups]) for name in names}


def _height(places: np.ndarray) -> float:
    """Height of the figure in the proportions of the data, so that points fill it."""
    across, up = np.ptp(places, axis=0)
    return float(np.clip(_WIDTH * up / across if across > 0 else _WIDTH, _LOWEST, _HIGHEST))


def _write_labels(figure: Figure, axes: Axes, places: np.ndarray, names: list[str], size: float) -> None:
    from matplotlib.patheffects import withStroke

    if not names:
        return
    halo = withStroke(linewidth=1.2, foreground="white", alpha=0.7)
    # The layout has to be settled before a place on the page can be chosen; everything is then measured in points.
    texts = [axes.annotate(name, (0, 0), fontsize=_FONT, parse_math=False) for name in names]
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    boxes = [text.get_window_extent() for text in texts]
    sizes = np.array([(box.width, box.height) for box in boxes]) * scale
    for text in texts:
        text.remove()
    spots = axes.transData.transform(places) * scale
    frame = axes.get_window_extent()
    left, bottom, right, top = (float(end) * scale for end in frame.extents)
    gap = size / 2 + 1
    centres = place_labels(spots[: len(names)], sizes, spots, (left + 2, bottom + 2, right - 2, top - 2), gap)
    for i in np.flatnonzero(~np.isnan(centres[:, 0])):
        offset = centres[i] - spots[i]
        # Beyond its own gap a label is not seen to belong to its point without a line, to the label's nearest side.
        away = (np.abs(offset) > sizes[i] / 2 + 1.5 * gap).any()
        nearest = tuple(np.clip(0.5 - offset / sizes[i], 0, 1))
        line = {"arrowstyle": "-", "color": GUIDE, "linewidth": 0.6, "shrinkA": 0, "shrinkB": size / 2}
        arrow = {**line, "relpos": nearest} if away else None
        axes.annotate(
            names[i], tuple(places[i]), xytext=(offset[0], offset[1]), textcoords="offset points", ha="center",
            va="center", fontsize=_FONT, parse_math=False, arrowprops=arrow, path_effects=[halo],
        )  # fmt: skip
