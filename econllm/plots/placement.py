"""Where to write labels beside points, so that they hide neither each other nor the points."""

from __future__ import annotations

import numpy as np

# Directions from a point to the centre of its label, in halves of its size, the ones that read best first, and how many
# gaps away a label may be moved: beyond the first, a line has to lead back to the point.
_DIRECTIONS = np.array(
    [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (0.6, 1), (-0.6, 1), (0.6, -1), (-0.6, -1)]
)
_DISTANCES = (1.0, 3.0, 5.0, 8.0)
# What a place costs in points covered: the further away a label is, the harder to read.
_COSTS = np.repeat([0.0, 0.4, 0.7, 1.0], len(_DIRECTIONS))
# A line is looked at in so many places to see what it crosses.
_STEPS = np.linspace(0, 1, 12)[:, None]


def place_labels(
    anchors: np.ndarray, sizes: np.ndarray, points: np.ndarray, frame: tuple[float, float, float, float], gap: float
) -> np.ndarray:
    """Choose a place for every label, one after the other.

    Parameters
    ----------
    anchors : numpy.ndarray, shape (n, 2)
        Points to be labelled.
    sizes : numpy.ndarray, shape (n, 2)
        Widths and heights of their labels.
    points : numpy.ndarray, shape (m, 2)
        All points that are drawn, those to be labelled included.
    frame : tuple of float
        Left, bottom, right and top end of the room.
    gap : float
        Distance between a point and its label, and around every point that labels keep free.

    Returns
    -------
    numpy.ndarray, shape (n, 2)
        Centres of the labels; missing for a label that would have covered another one. Places near the point that cover
        no other point come first.

    Examples
    --------
    >>> place_labels(np.array([[0.0, 0.0]]), np.array([[4.0, 2.0]]), np.zeros((1, 2)), (-9, -9, 9, 9), 1.0)
    array([[3., 0.]])
    """
    centres = np.full(anchors.shape, np.nan)
    hidden = points
    for i, (anchor, size) in enumerate(zip(anchors, sizes, strict=True)):
        candidates = np.concatenate([anchor + _DIRECTIONS * (size / 2 + gap * far) for far in _DISTANCES])
        inside = (candidates - size / 2 >= frame[:2]).all(axis=1) & (candidates + size / 2 <= frame[2:]).all(axis=1)
        done = np.flatnonzero(~np.isnan(centres[:i, 0]))
        apart = np.abs(candidates[:, None] - centres[done]) >= (size + sizes[done]) / 2
        free = inside & apart.any(axis=2).all(axis=1)
        if not free.any():
            continue
        lines = _lines(anchor, candidates, size)
        covered = _within(hidden, candidates[:, None], size / 2 + 0.7 * gap).sum(axis=1)
        crossed = _within(lines[:, :, None], centres[done], sizes[done] / 2).any(axis=1).sum(axis=1)
        best = int(np.argmin(np.where(free, covered + 2 * crossed + _COSTS, np.inf)))
        centres[i] = candidates[best]
        # Later labels keep off the line of this one as they do off points.
        hidden = np.concatenate([hidden, lines[best][1:]])
    return centres


def _within(points: np.ndarray, centres: np.ndarray, half: np.ndarray) -> np.ndarray:
    inside: np.ndarray = (np.abs(points - centres) < half).all(axis=-1)
    return inside


def _lines(anchor: np.ndarray, candidates: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Places on the way from a point to the nearest side of its label, for every candidate, shape (c, steps, 2)."""
    ends = np.clip(anchor, candidates - size / 2, candidates + size / 2)
    places: np.ndarray = anchor + (ends - anchor)[:, None] * _STEPS
    return places
