"""Held-out scores and sizes of coefficients along the weights of a penalty."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from econllm.plots.style import (
    BAND,
    DASHES,
    GUIDE,
    INK,
    STROKES,
    check_figure_path,
    hide_frame,
    legend_text,
    new_figure,
    save,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


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
    order = np.argsort(np.asarray(alpha, dtype=np.float64))
    weights, means, errors, norms = (np.asarray(v, dtype=np.float64)[order] for v in (alpha, scores, std_errors, sizes))
    target = check_figure_path(path)
    figure = new_figure(5.6, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    above.fill_between(weights, means - errors, means + errors, color=BAND, linewidth=0)
    above.plot(weights, means, color=INK, marker="o", markersize=3, linewidth=1.2)
    above.set_ylabel("held-out log-likelihood")
    largest = np.argsort(-norms[np.argmin(weights)])[: len(STROKES)]
    for rank, j in enumerate(largest):
        line = below.plot(weights, norms[:, j], color=INK, linestyle=STROKES[rank], linewidth=1.2)[0]
        line.set_label(legend_text(terms[j]))
    for j in np.setdiff1d(np.arange(norms.shape[1]), largest):
        below.plot(weights, norms[:, j], color=GUIDE, linewidth=0.7)
    below.set_ylabel("norm of coefficients")
    below.set_xlabel("alpha (weak to strong penalty)")
    below.set_xscale("log")
    below.legend(frameon=False, fontsize=8)
    for axes in (above, below):
        axes.axvline(chosen, color=GUIDE, linestyle=DASHES, linewidth=1, zorder=1)
        hide_frame(axes)
    save(figure, target)
    return figure
