"""A language model with its titles as plain objects and arrays, and back; and as a model folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from econllm.choices import ChoiceSet
from econllm.encoders.network import no_loading_bar
from econllm.errors import ModelNotFoundError, OptionError
from econllm.llm.decoder import Decoder
from econllm.llm.documents import title_trie
from econllm.llm.fitting import load
from econllm.llm.model import LLM
from econllm.llm.prediction import Predictor, Words
from econllm.llm.prompts import Wording
from econllm.llm.scoring import Scorer
from econllm.llm.tuning import LoRA, PromptTuning, Tuning
from econllm.llm.tuning_network import restore, trained_state


def pack_predictor(predictor: Predictor, tuning: Tuning) -> dict[str, Any]:
    """What was trained, and how data become text, as :func:`econllm.io.pack` takes them. No examples."""
    words = predictor.words
    return {
        "weights": {} if tuning is None else trained_state(predictor.decoder),
        "base": words.language.files.fingerprint,
        "template": words.template,
        "limit": words.limit,
        "examples": words.examples_digest,
        "shown": None if words.shown is None else list(words.shown),
        "lead": predictor.ends[0],
        "terminator": predictor.ends[1],
        "titles": list(predictor.titles),
        "engine": predictor.scorer.engine,
        "temperature": predictor.temperature,
    }


def unpack_predictor(model: LLM, choices: ChoiceSet, state: dict[str, Any]) -> Predictor:
    """Undo :func:`pack_predictor`; the base model is looked for by its name.

    Raises
    ------
    ModelNotFoundError
        If the base model is not to be found, or is another one by now.
    """
    language = load(model)
    if language.files.fingerprint != state["base"]:
        raise ModelNotFoundError(
            f"the files of model {model.model!r} on this machine (sha256 {language.files.fingerprint[:12]}...) are not "
            f"those this result was fitted with (sha256 {state['base'][:12]}...)."
        )
    decoder = Decoder(language.network) if model.tuning is None else restore(language, model.tuning, state["weights"])
    shown = None if state["shown"] is None else tuple(state["shown"])
    words = Words(
        language, model.formula, model.prompt, None, state["template"], state["limit"], shown, state["examples"]
    )
    wording = Wording([], state["lead"], state["terminator"], tuple(state["titles"]))
    trie = title_trie(language.tokenizer, wording)
    scorer = Scorer(decoder, trie, state["engine"], model.tol)
    ends = (wording.lead, wording.terminator)
    return Predictor(words, choices, wording.titles, scorer, ends, model.normalize == "global", state["temperature"])


def export(predictor: Predictor, tuning: Tuning, folder: Path) -> None:
    """Write a model folder; see :meth:`econllm.llm.results.LLMResults.export`."""
    if isinstance(tuning, PromptTuning):
        raise OptionError(
            "export() writes networks, and PromptTuning has learned vectors in front of texts: use save()."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"folder={str(folder)!r} exists and is not empty: give a new one.")
    network = copy.deepcopy(predictor.decoder.network)
    if isinstance(tuning, LoRA):
        _merge(network)
    with no_loading_bar():
        network.save_pretrained(folder)
    predictor.words.language.tokenizer.save_pretrained(folder)


def _merge(network: Any) -> None:
    """Add what LoRA has learned to the weights, and leave plain layers."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, module.get_base_layer())
