"""Figures, drawn from arrays with matplotlib's objects: no global state, no window.

Every function returns a figure and saves it too where a `path` is given (.png, .pdf or .svg). Lines, markers and shades
differ in lightness or shape, never in hue alone, so that they survive grey print and every kind of colour vision.
"""

from econllm.plots.attention import attention_frame, attention_map
from econllm.plots.curves import learning_curve
from econllm.plots.decomposition import decomposition
from econllm.plots.forest import forest
from econllm.plots.heatmap import heatmap
from econllm.plots.penalty_path import penalty_path
from econllm.plots.reliability import reliability
from econllm.plots.roc import roc
from econllm.plots.scatter_map import scatter_map
from econllm.plots.training_history import training_history

__all__ = [
    "attention_frame",
    "attention_map",
    "decomposition",
    "forest",
    "heatmap",
    "learning_curve",
    "penalty_path",
    "reliability",
    "roc",
    "scatter_map",
    "training_history",
]
