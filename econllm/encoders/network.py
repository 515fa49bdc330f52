"""The transformer behind a sentence encoder. Torch and transformers are imported when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from econllm.encoders.weights import EncoderFiles
from econllm.errors import ModelNotFoundError, OptionError, listing
from econllm.options import Pooling


@dataclass(frozen=True, eq=False)
class Network:
    """Weights in memory, with the tokens that open and close every text.

    Attributes
    ----------
    model, tokenizer : object
        From transformers.
    files : EncoderFiles
    pooling : {"mean", "cls", "pooler"}
    opening, closing : ndarray of int
        Special tokens around a text.
    dimension : int
        Length of a vector.
    """

    model: Any
    tokenizer: Any
    files: EncoderFiles
    pooling: Pooling
    opening: np.ndarray
    closing: np.ndarray
    dimension: int

    @property
    def specials(self) -> int:
        """Number of special tokens per text."""
        return len(self.opening) + len(self.closing)

    def encode(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of one batch of texts, given as tokens without the special ones.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
        """
        import torch

        sequences = [np.concatenate([self.opening, ids, self.closing]) for ids in texts]
        longest = max(map(len, sequences))
        # Padding is on the right, where it changes neither positions nor, being masked, anything else.
        ids = np.full((len(texts), longest), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        device = self.model.device
        with torch.inference_mode():
            seen = torch.from_numpy(mask).to(device)
            found = self.model(input_ids=torch.from_numpy(ids).to(device), attention_mask=seen)
            vectors = self._pool(found, seen)
            if self.files.normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
            array: np.ndarray = vectors.float().cpu().numpy()
        return array

    def _pool(self, found: Any, mask: Any) -> Any:
        """One vector per text, in float32 or better: sums over many tokens lose digits in bfloat16."""
        import torch

        if self.pooling == "pooler":
            return found.pooler_output.to(torch.promote_types(found.pooler_output.dtype, torch.float32))
        hidden = found.last_hidden_state
        hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        if self.pooling == "cls":
            return hidden[:, 0]
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


@lru_cache(maxsize=2)
def load_network(files: EncoderFiles, pooling: Pooling, dtype: str, device: str) -> Network:
    """Read an encoder's weights; the last two stay in memory.

    Parameters
    ----------
    files : EncoderFiles
        From `find_encoder`.
    pooling : {"mean", "cls", "pooler"}
    dtype, device : str
        Resolved names, never "auto".

    Returns
    -------
    Network

    Raises
    ------
    ModelNotFoundError
        If the weights cannot be read or are incomplete.
    OptionError
        If the network has no pooled output of its own and pooling="pooler".
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    name = files.folder.name
    try:
        with no_loading_bar():
            tokenizer = AutoTokenizer.from_pretrained(files.folder, **options)
            model, report = AutoModel.from_pretrained(
                files.folder, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True, **options
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelNotFoundError(f"the model in folder {name!r} cannot be read: {error}") from error
    _check_complete(name, model, sorted(report["missing_keys"]), pooling)
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model = model.to(device).eval()
    opening, closing = special_tokens(tokenizer)
    return Network(model, tokenizer, files, pooling, opening, closing, int(model.config.hidden_size))


def _check_complete(name: str, model: Any, missing: list[str], pooling: Pooling) -> None:
    """Refuse weights that the library would have made up at random."""
    pooler = [key for key in missing if key.startswith("pooler.")]
    if pooling == "pooler" and (pooler or getattr(model, "pooler", None) is None):
        raise OptionError(f"pooling='pooler': the model {name!r} has no trained pooler; use 'mean' or 'cls'.")
    others = [key for key in missing if key not in pooler]
    if others:
        raise ModelNotFoundError(
            f"the weights of model {name!r} lack {len(others)} parts of its network: {listing(others, 3)}."
        )


def special_tokens(tokenizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Tokens before and after a text, found by tokenising one with and without them."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            after = full[start + len(bare) :]
            return np.array(full[:start], dtype=np.int32), np.array(after, dtype=np.int32)
    raise ModelNotFoundError("the tokenizer of this model does not put its special tokens around the text.")


@contextmanager
def no_loading_bar() -> Iterator[None]:
    """Hide the library's own bar, which takes less time to fill than to read."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
