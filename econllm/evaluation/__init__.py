"""Comparing models, and how sure a comparison is."""

from econllm.evaluation.bootstrap import Bootstrap, bootstrap
from econllm.evaluation.compare import compare
from econllm.evaluation.comparison import Comparison
from econllm.evaluation.diagnose import diagnose
from econllm.evaluation.diagnostics import Diagnostics
from econllm.evaluation.learning import LearningCurve, learning_curve
from econllm.evaluation.transitions import Transitions

__all__ = [
    "Bootstrap",
    "Comparison",
    "Diagnostics",
    "LearningCurve",
    "Transitions",
    "bootstrap",
    "compare",
    "diagnose",
    "learning_curve",
]
