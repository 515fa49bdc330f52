"""What the package promises to everybody: a change of this list is a change of the API."""

import importlib.util

import pytest

import econllm

PUBLIC = [
    "Bootstrap",
    "CAREER",
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
    "LLM",
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


def test_the_public_names() -> None:
    assert sorted(econllm.__all__) == PUBLIC
    assert dir(econllm) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(econllm, name)
    assert value is getattr(econllm, name)
    if name != "__version__":
        assert (value.__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(econllm._HOMES))
def test_every_room_exports_its_public_names(name: str) -> None:
    home = importlib.import_module(econllm._HOMES[name])
    assert hasattr(home, name)
    if hasattr(home, "__path__"):
        assert name in home.__all__


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"econllm has no public name 'MNLogitt'. Did you mean 'MNLogit"):
        _ = econllm.MNLogitt
    assert importlib.util.find_spec("econllm.nothing") is None
