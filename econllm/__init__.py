"""econllm: econometrics of choices, careers and text, formula in and results table out.

Public names are loaded on first use, so that ``import econllm`` stays quick and does not load torch, statsmodels or
matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where every public name lives.
_HOMES = {
    "CareerPanel": "econllm.panel",
    "ChoiceSet": "econllm.choices",
    "Resume": "econllm.text",
    "ResumeTemplate": "econllm.text",
    "SentenceEncoder": "econllm.encoders",
    "embed": "econllm.encoders",
    "similarity": "econllm.encoders",
    "CAREER": "econllm.career",
    "CAREERResults": "econllm.career",
    "EncoderClassifier": "econllm.llm",
    "EncoderClassifierResults": "econllm.llm",
    "Frozen": "econllm.llm",
    "LLM": "econllm.llm",
    "LLMResults": "econllm.llm",
    "LoRA": "econllm.llm",
    "Prompt": "econllm.llm",
    "PromptTemplate": "econllm.llm",
    "PromptTuning": "econllm.llm",
    "Training": "econllm.training",
    "Empirical": "econllm.empirical",
    "EmpiricalResults": "econllm.empirical",
    "MNLogit": "econllm.multinomial.model",
    "MNLogitResults": "econllm.multinomial.results",
    "MarginalEffects": "econllm.multinomial.marginal",
    "TwoStageMNLogitResults": "econllm.multinomial.two_stage",
    "mnlogit": "econllm.multinomial.function",
    "table": "econllm.regtable",
    "Ensemble": "econllm.ensemble",
    "EnsembleResults": "econllm.ensemble",
    "Estimator": "econllm.base",
    "Results": "econllm.base",
    "Perplexity": "econllm.metrics",
    "Table": "econllm.tables",
    "Bootstrap": "econllm.evaluation",
    "Comparison": "econllm.evaluation",
    "Diagnostics": "econllm.evaluation",
    "LearningCurve": "econllm.evaluation",
    "bootstrap": "econllm.evaluation",
    "compare": "econllm.evaluation",
    "diagnose": "econllm.evaluation",
    "learning_curve": "econllm.evaluation",
    "Oracle": "econllm.datasets",
    "load": "econllm.io",
}
_MODULES = ("datasets", "errors")

__all__ = [
    "CAREER",
    "LLM",
    "Bootstrap",
    "CAREERResults",
    "CareerPanel",
    "ChoiceSet",
    "Comparison",
    "Diagnostics",
    "Empirical",
    "EmpiricalResults",
    "EncoderClassifier",
    "EncoderClassifierResults",
    "Ensemble",
    "EnsembleResults",
    "Estimator",
    "Frozen",
    "LLMResults",
    "LearningCurve",
    "LoRA",
    "MNLogit",
    "MNLogitResults",
    "MarginalEffects",
    "Oracle",
    "Perplexity",
    "Prompt",
    "PromptTemplate",
    "PromptTuning",
    "Results",
    "Resume",
    "ResumeTemplate",
    "SentenceEncoder",
    "Table",
    "Training",
    "TwoStageMNLogitResults",
    "__version__",
    "bootstrap",
    "compare",
    "datasets",
    "diagnose",
    "embed",
    "errors",
    "learning_curve",
    "load",
    "mnlogit",
    "similarity",
    "table",
]

if TYPE_CHECKING:
    from econllm import datasets, errors
    from econllm.base import Estimator, Results
    from econllm.career import CAREER, CAREERResults
    from econllm.choices import ChoiceSet
    from econllm.datasets import Oracle
    from econllm.empirical import Empirical, EmpiricalResults
    from econllm.encoders import SentenceEncoder, embed, similarity
    from econllm.ensemble import Ensemble, EnsembleResults
    from econllm.evaluation.bootstrap import Bootstrap, bootstrap
    from econllm.evaluation.compare import compare
    from econllm.evaluation.comparison import Comparison
    from econllm.evaluation.diagnose import diagnose
    from econllm.evaluation.diagnostics import Diagnostics
    from econllm.evaluation.learning import LearningCurve, learning_curve
    from econllm.io import load
    from econllm.llm import (
        LLM,
        EncoderClassifier,
        EncoderClassifierResults,
        Frozen,
        LLMResults,
        LoRA,
        Prompt,
        PromptTemplate,
        PromptTuning,
    )
    from econllm.metrics import Perplexity
    from econllm.multinomial import MarginalEffects, MNLogit, MNLogitResults, TwoStageMNLogitResults, mnlogit
    from econllm.panel import CareerPanel
    from econllm.regtable import table
    from econllm.tables import Table
    from econllm.text import Resume, ResumeTemplate
    from econllm.training import Training


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"econllm.{name}")
    from econllm.errors import did_you_mean

    raise AttributeError(f"econllm has no public name {name!r}.{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
