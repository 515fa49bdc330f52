"""Attention weights as a list and as shades, whatever it is that looks and is looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.errors import check_option, plain_value
from econllm.plots.heatmap import heatmap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention_frame(
    weights: np.ndarray, names: Sequence[str], visible: np.ndarray, layer: int | None, head: int | None, what: str
) -> pd.DataFrame:
    """List attention weights.

    Parameters
    ----------
    weights : numpy.ndarray, shape (layers, heads, n, n)
        How much place i (third axis) takes from place j.
    names : sequence of str
        Of the places.
    visible : numpy.ndarray of bool, shape (n, n)
        Which places each one can see; the others are left out.
    layer, head : int or None
        The only ones wanted, from 1 on; all for None.
    what : str
        Name of the column with the number of the place that looks.

    Returns
    -------
    pandas.DataFrame
        One row per layer, head, place and place it looks at: numbers from 1 on, `label`, `looks_at_label`, `weight`.

    Raises
    ------
    OptionError
        If there is no such layer or head.

    Examples
    --------
    >>> weights = np.array([[[[1.0, 0.0], [0.5, 0.5]]]])
    >>> attention_frame(weights, ["a", "b"], np.tri(2, dtype=bool), 1, 1, "token")["weight"].tolist()
    [1.0, 0.5, 0.5]
    """
    layers, heads = _chosen(weights, layer, head)
    rows, columns = np.nonzero(visible)
    labels, each = np.array(names, dtype=object), len(layers) * len(heads)
    return pd.DataFrame(
        {
            "layer": np.repeat(layers + 1, len(heads) * len(rows)),
            "head": np.tile(np.repeat(heads + 1, len(rows)), len(layers)),
            what: np.tile(rows + 1, each),
            "looks_at": np.tile(columns + 1, each),
            "label": np.tile(labels[rows], each),
            "looks_at_label": np.tile(labels[columns], each),
            "weight": weights[np.ix_(layers, heads)][:, :, rows, columns].ravel(),
        }
    )


def attention_map(
    weights: np.ndarray,
    names: Sequence[str],
    visible: np.ndarray,
    layer: int | None,
    head: int | None,
    *,
    path: str | os.PathLike[str] | None,
    title: str,
    what: str,
) -> Figure:
    """Draw attention weights as shades: a row per place, a column per place it looks at.

    Parameters
    ----------
    weights, names, visible, what
        As :func:`attention_frame` takes them.
    layer, head : int or None
        With neither, a panel per layer shows the mean over its heads; with a layer, a panel per head of it; with a
        head, a panel per layer; with both, there is one panel.
    path : str or path or None
        File to save as well.
    title : str
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If there is no such layer or head, or the file cannot be written.

    Examples
    --------
    >>> weights = np.array([[[[1.0, 0.0], [0.5, 0.5]]]])
    >>> seen = np.tri(2, dtype=bool)
    >>> figure = attention_map(weights, ["a", "b"], seen, None, None, path=None, title="Attention", what="token")
    >>> figure.axes[0].get_ylabel()
    'token'
    """
    layers, heads = _chosen(weights, layer, head)
    kept = weights[np.ix_(layers, heads)]
    if layer is None and head is None:
        kept = kept.mean(axis=1, keepdims=True)
        panels = [f"layer {i + 1}, mean of heads" for i in layers]
    else:
        panels = [f"layer {i + 1}, head {j + 1}" for i in layers for j in heads]
    n = len(names)
    # What cannot be seen is not the same as a weight that is small.
    shown = np.where(visible, kept.reshape(-1, n, n), np.nan)
    return heatmap(shown, names, names, path=path, title=title, xlabel="looks at", ylabel=what, panels=panels)


def _chosen(weights: np.ndarray, layer: int | None, head: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the layers and heads wanted."""
    out = []
    for name, value, size in (("layer", layer, weights.shape[0]), ("head", head, weights.shape[1])):
        if value is not None:
            check_option(name, plain_value(value), list(range(1, size + 1)))
        out.append(np.arange(size) if value is None else np.array([value - 1]))
    return out[0], out[1]
