"""What the figures have in common: inks and strokes, titles, checks of their numbers, and how they are saved."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from econllm.errors import OptionError, did_you_mean
from econllm.files import check_target, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# Dark blue and a light grey differ in lightness alone, so they survive grey print and every kind of colour vision.
INK, GUIDE, BAND = "#004488", "#777777", "#c9d6e6"
# Lines of one colour, told apart by their strokes.
STROKES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 1, 2, 1, 2)))
# Of lines that mark a value, such as a reference.
DASHES = (0, (4, 3))
_SUFFIXES = (".png", ".pdf", ".svg")
# Inches: a character of a title, and a line of it.
_TITLE_CHARACTER, _TITLE_LINE = 0.095, 0.22


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure, higher by the lines of its title.

    Parameters
    ----------
    width, height : float
        Size in inches, without the title.
    title : str
        Broken into lines that fit.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> new_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, max(int(width / _TITLE_CHARACTER), 20))
    figure = Figure(figsize=(width, height + _TITLE_LINE * len(lines)), layout="constrained", dpi=100)
    if lines:
        # Titles and labels are data: a dollar sign in a job title is no formula.
        figure.suptitle("\n".join(lines), fontsize=11, parse_math=False)
    return figure


def hide_frame(axes: Axes, sides: Iterable[str] = ("top", "right")) -> None:
    """Take away sides of the frame around an axes.

    Examples
    --------
    >>> axes = new_figure(4, 3).add_subplot()
    >>> hide_frame(axes)
    >>> axes.spines["top"].get_visible()
    False
    """
    for side in sides:
        axes.spines[side].set_visible(False)


def shorten(label: object, width: int) -> str:
    """Cut a label to a number of characters, on one line.

    Examples
    --------
    >>> shorten("Secretaries and stenographers", 14), shorten("cook", 14)
    ('Secretaries...', 'cook')
    """
    text = " ".join(str(label).split())
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def legend_text(label: object, width: int = 34) -> str:
    r"""Shorten a label for a legend, where a dollar sign would begin a formula and a low line hide the entry.

    Examples
    --------
    >>> print(legend_text("wage in $"))
    wage in \$
    """
    text = shorten(label, width).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def read_numbers(option: str, values: ArrayLike, shape: Sequence[int | None], expected: str) -> np.ndarray:
    """Read an array of a given shape.

    Parameters
    ----------
    option : str
        Name of the argument, for the message.
    values : array_like of float
        What was given.
    shape : sequence of int or None
        Lengths of its axes; None for any length.
    expected : str
        What the argument should hold, for the message.

    Returns
    -------
    numpy.ndarray of float64

    Raises
    ------
    OptionError
        If these are no numbers or their shape differs.

    Examples
    --------
    >>> read_numbers("loss", [1, 2], (2,), "one number per epoch")
    array([1., 2.])
    >>> read_numbers("loss", [1, 2, 3], (2,), "one number per epoch")
    Traceback (most recent call last):
        ...
    econllm.errors.OptionError: loss has shape (3,); expected one number per epoch, shape (2,).
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{option} holds something else than numbers; expected {expected}.") from error
    fits = numbers.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, numbers.shape, strict=True))
    if not fits:
        wanted = f", shape {tuple(shape)}" if None not in shape else ""
        raise OptionError(f"{option} has shape {numbers.shape}; expected {expected}{wanted}.")
    return numbers


def check_figure_path(path: str | os.PathLike[str] | None) -> Path | None:
    """Return the file to save a figure in, or None where none was named.

    Raises
    ------
    OptionError
        If its ending is not that of a figure, or its folder does not exist.

    Examples
    --------
    >>> check_figure_path("figure.pdf").name
    'figure.pdf'
    """
    if path is None:
        return None
    suffix = Path(path).expanduser().suffix.lower()
    if suffix not in _SUFFIXES:
        near = did_you_mean(suffix, _SUFFIXES)
        raise OptionError(f"path={os.fspath(path)!r} must end in one of {', '.join(_SUFFIXES)}.{near}")
    return check_target(path)


def save(figure: Figure, target: Path | None) -> None:
    """Save a figure whole or not at all, where a file was named.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    target : pathlib.Path or None
        What :func:`check_figure_path` gave.

    Examples
    --------
    >>> save(new_figure(4, 3), None)
    """
    if target is None:
        return
    kind = target.suffix.lower()[1:]
    # Without the date, the same numbers give the same file.
    undated: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    # A constrained layout comes to rest in the second pass, and savefig makes one.
    figure.draw_without_rendering()
    with replacing(target) as draft:
        figure.savefig(draft, format=kind, dpi=300, bbox_inches="tight", metadata=undated[kind])
