"""Language models and fine-tuned encoders: off the shelf, prompted, fine-tuned.

Importing this room is cheap: torch and transformers are imported when a model is first fitted or loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from econllm.llm.encoder import EncoderClassifier
from econllm.llm.model import LLM
from econllm.llm.prompts import Prompt, PromptTemplate
from econllm.llm.tuning import Frozen, LoRA, PromptTuning

if TYPE_CHECKING:
    from econllm.llm.encoder_results import EncoderClassifierResults
    from econllm.llm.results import LLMResults

__all__ = [
    "LLM",
    "EncoderClassifier",
    "EncoderClassifierResults",
    "Frozen",
    "LLMResults",
    "LoRA",
    "Prompt",
    "PromptTemplate",
    "PromptTuning",
]

# These bring torch along.
_LATER = {
    "EncoderClassifierResults": "econllm.llm.encoder_results",
    "LLMResults": "econllm.llm.results",
}


def __getattr__(name: str) -> Any:
    """Load a class of results on first use."""
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
