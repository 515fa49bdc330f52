"""From texts to tokens, and from tokens to what a trained encoder says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from econllm.career.prediction import Unseen, combine
from econllm.encoders.network import Network
from econllm.encoders.sentence import plan_batches, published_form
from econllm.encoders.tokens import TextTokens
from econllm.encoders.weights import EncoderFiles
from econllm.llm.encoder_network import EncoderNetwork
from econllm.text import Resume

# Most tokens of a batch where nothing is learned, padding included, as for sentence encoders.
_BATCH_TOKENS = {"cpu": 4096}
_BATCH_TOKENS_ELSEWHERE = 65_536
# Batches from which a bar is shown.
_LONG = 40
# Rows of a matrix of probabilities that is not kept.
_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of texts.

    Attributes
    ----------
    pieces : list of list of numpy.ndarray
        By text, to be joined when a batch is made: the résumés of a person share their pieces.
    lengths : numpy.ndarray of int64, shape (n,)
        Tokens by text, special ones included.
    truncated : numpy.ndarray of bool, shape (n,)
        Whether something was left out.
    """

    pieces: list[list[np.ndarray]]
    lengths: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True, eq=False)
class Reader:
    """How texts are read: the tokenizer of an encoder, and the most tokens of a text.

    Attributes
    ----------
    tokenizer : object
        From transformers.
    files : EncoderFiles
        What is published about the encoder.
    opening, closing : numpy.ndarray of int
        Special tokens around a text.
    max_tokens : int
        Special tokens included.
    """

    tokenizer: Any
    files: EncoderFiles
    opening: np.ndarray
    closing: np.ndarray
    max_tokens: int

    @classmethod
    def of(cls, network: Network, max_tokens: int) -> Reader:
        """The reader of an encoder that was loaded."""
        return cls(network.tokenizer, network.files, network.opening, network.closing, max_tokens)

    def read(self, texts: Sequence[str | Resume]) -> Tokens:
        """Tokens of texts; résumés that are too long keep their header and newest records, plain texts their start."""
        specials = len(self.opening) + len(self.closing)
        prepared = [published_form(text, self.files) for text in texts]
        pieces, truncated = TextTokens(self.tokenizer, self.max_tokens - specials).encode(prepared)
        lengths = np.array([sum(map(len, parts)) for parts in pieces], dtype=np.int64) + specials
        return Tokens(pieces, lengths, truncated)

    def batch(self, tokens: Tokens, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tokens of some texts filled up on the right to one length, and which of them are real."""
        longest = int(tokens.lengths[rows].max())
        # A multiple of 16 as far as the encoder reads it, because kernels are compiled for every shape.
        shape = len(rows), max(longest, min(-(-longest // 16) * 16, self.max_tokens))
        ids = np.full(shape, self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for k, row in enumerate(rows):
            ids[k, : tokens.lengths[row]] = np.concatenate([self.opening, *tokens.pieces[row], self.closing])
            mask[k, : tokens.lengths[row]] = 1
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained encoder with everything that a prediction needs.

    Attributes
    ----------
    network : EncoderNetwork
        In evaluation.
    reader : Reader
        How texts become tokens.
    unseen : Unseen
        Outcomes without an estimate.
    """

    network: EncoderNetwork
    reader: Reader
    unseen: Unseen

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.bias.device

    def hidden(self, tokens: Tokens) -> Tensor:
        """Vectors of texts, float32, shape (n, dim), on the device of the network."""
        from tqdm.auto import tqdm

        out = torch.empty(len(tokens), self.network.titles.shape[1], device=self.device)
        batches = plan_batches(tokens.lengths, _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS_ELSEWHERE))
        self.network.eval()
        # None hides the bar where nobody looks.
        hidden = True if len(batches) < _LONG else None
        with torch.no_grad(), tqdm(total=len(tokens), unit=" texts", disable=hidden, leave=False) as bar:
            for rows in batches:
                out[torch.from_numpy(rows)] = self.network.hidden(*self.reader.batch(tokens, rows, self.device))
                bar.update(len(rows))
        return out

    def log_proba(self, hidden: Tensor) -> np.ndarray:
        """Log probability of every outcome, float64, shape (n, choices).

        Parameters
        ----------
        hidden : Tensor of float32, shape (n, dim)
            From :meth:`hidden`.

        Notes
        -----
        What is reserved for outcomes without an estimate is the same for each of them.
        """
        with torch.no_grad():
            logits: np.ndarray = self.network.logits(hidden).double().cpu().numpy()
        logits[:, self.unseen.positions] = 0.0
        return combine(logits, None, np.zeros(len(logits), dtype=np.int64), self.unseen)

    def log_likelihood(self, hidden: Tensor, outcome: np.ndarray) -> np.ndarray:
        """Log probability of what happened, float64, shape (n,)."""
        out = np.empty(len(outcome))
        for start in range(0, len(outcome), _ROWS):
            happened = outcome[start : start + _ROWS]
            table = self.log_proba(hidden[start : start + _ROWS])
            out[start : start + _ROWS] = table[np.arange(len(happened)), happened]
        return out
