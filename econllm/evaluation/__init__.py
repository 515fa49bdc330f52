"""Comparing models, and how sure a comparison is."""

from econllm.evaluation.bootstrap import Bootstrap, bootstrap
from econllm.evaluation.compare import Comparison, compare

__all__ = ["Bootstrap", "Comparison", "bootstrap", "compare"]
