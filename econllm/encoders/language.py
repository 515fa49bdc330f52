"""Loading causal language models: network, tokenizer, and what every text of theirs begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from econllm.encoders.network import no_loading_bar, special_tokens
from econllm.encoders.weights import ModelFiles, find_model, is_causal, read_json
from econllm.errors import ModelNotFoundError, OptionError, listing

# How configurations name the most tokens that a network reads.
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model in memory, in evaluation mode.

    Attributes
    ----------
    network, tokenizer : object
        From transformers.
    files : ModelFiles
        Where it came from.
    dtype : str
        Number type of the weights.
    opening : numpy.ndarray of int32
        Special tokens in front of every text.
    context : int
        Most tokens that the network reads, special ones included.
    """

    network: Any
    tokenizer: Any
    files: ModelFiles
    dtype: str
    opening: np.ndarray
    context: int


def load_language_model(model: str, revision: str | None, dtype: str, device: str) -> LanguageModel:
    """Read a causal language model; the last two stay in memory, so nobody may change what this returns.

    Parameters
    ----------
    model : str
        "tiny", a hub name, or a folder.
    revision : str or None
        Commit, branch or tag on the hub.
    dtype, device : str
        Resolved names, never "auto".

    Returns
    -------
    LanguageModel

    Raises
    ------
    ModelNotFoundError
        If the files are absent, cannot be read, or are incomplete.
    OptionError
        If the model is no causal language model.

    Examples
    --------
    >>> load_language_model("tiny", None, "float32", "cpu").context
    1024
    """
    files = find_model(model, revision)
    if not is_causal(files.folder):
        names = read_json(files.folder / "config.json").get("architectures") or ["unknown"]
        raise OptionError(
            f"model {model!r} is a {listing(names)}, no causal language model: el.LLM needs one such as 'tiny' or "
            "'HuggingFaceTB/SmolLM2-135M'; for encoders there is el.EncoderClassifier."
        )
    return _load(files, dtype, device)


@lru_cache(maxsize=2)
def _load(files: ModelFiles, dtype: str, device: str) -> LanguageModel:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    name = files.folder.name
    try:
        with no_loading_bar():
            tokenizer = AutoTokenizer.from_pretrained(files.folder, **options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                files.folder, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True, **options
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelNotFoundError(f"the language model in folder {name!r} cannot be read: {error}") from error
    network, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelNotFoundError(
            f"the weights of language model {name!r} lack {len(missing)} parts of its network: {listing(missing, 3)}."
        )
    opening, _ = special_tokens(tokenizer)
    return LanguageModel(network.to(device).eval(), tokenizer, files, dtype, opening, context_of(network.config))


def context_of(config: Any) -> int:
    """Most tokens that a network reads; relative positions have no such bound.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> context_of(SimpleNamespace(max_position_embeddings=512))
    512
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = [int(getattr(text, name)) for name in _LENGTHS if isinstance(getattr(text, name, None), int)]
    return found[0] if found else 10**9
