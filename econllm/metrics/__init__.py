"""Pure functions on arrays: log scores and perplexity, accuracy and ROC curves, calibration; no panel, no model."""

from econllm.metrics.calibration import Recalibration, recalibration
from econllm.metrics.classification import auc, brier, clustered_auc, hits, roc, top_k
from econllm.metrics.scores import MeanScore, Perplexity, check_level, cluster_correction, mean_score, perplexity

__all__ = [
    "MeanScore",
    "Perplexity",
    "Recalibration",
    "auc",
    "brier",
    "check_level",
    "cluster_correction",
    "clustered_auc",
    "hits",
    "mean_score",
    "perplexity",
    "recalibration",
    "roc",
    "top_k",
]
