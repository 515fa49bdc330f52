"""Text after a text, token by token: draws and beams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from econllm.errors import OptionError, check_number, refusal
from econllm.llm.decoder import Cache, Decoder

# Tokens that are held at a time for texts side by side, and texts whose logits exist at a time.
_HELD = 16_384
_LOGITS = 64


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Parameters
    ----------
    temperature : float
        Log probabilities of tokens are divided by it; 0 takes the most probable token.
    top_k : int, optional
        Only so many of the most probable tokens are drawn.
    top_p : float, optional
        Only the fewest tokens are drawn that together have this probability, above 0 and at most 1.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Examples
    --------
    >>> Sampling(top_k=2).proba(np.log([0.5, 0.3, 0.2])).round(3).tolist()
    [0.625, 0.375, 0.0]
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, minimum=0)
        if self.top_k is not None:
            check_number("top_k", self.top_k, minimum=1, integer=True)
        if self.top_p is not None:
            check_number("top_p", self.top_p, above=0)
            if self.top_p > 1:
                raise OptionError(refusal("top_p", self.top_p, "not allowed", "give a probability of at most 1"))

    def proba(self, log_proba: np.ndarray) -> np.ndarray:
        """Probabilities with which tokens are drawn.

        Parameters
        ----------
        log_proba : numpy.ndarray of float64, shape (vocabulary,)

        Returns
        -------
        numpy.ndarray of float64, shape (vocabulary,)

        Notes
        -----
        The temperature comes first, then `top_k`, then `top_p` (Holtzman et al., The curious case of neural text
        degeneration, ICLR 2020) of what is left.
        """
        if self.temperature == 0:
            greedy = np.zeros(len(log_proba))
            greedy[np.argmax(log_proba)] = 1.0
            return greedy
        scaled = log_proba / self.temperature
        share: np.ndarray = np.exp(scaled - scaled.max())
        if self.top_k is not None or self.top_p is not None:
            order = np.argsort(-share, kind="stable")
            kept = share[order[: self.top_k]]
            if self.top_p is not None:
                before = np.cumsum(kept) - kept
                kept = kept[before < self.top_p * kept.sum()]
            share[order[len(kept) :]] = 0.0
        share /= share.sum()
        return share


@dataclass(frozen=True, eq=False)
class Ending:
    r"""When a continuation is over, and what it says.

    Attributes
    ----------
    tokenizer : transformers tokenizer
        Of the language model.
    mark : str
        What ends a title.
    limit : int
        Most tokens.
    stops : frozenset of int
        Tokens that end any text.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> words = SimpleNamespace(decode=lambda ids, **_: "".join([" Cook", "\n", "s", "</s>"][k] for k in ids))
    >>> ending = Ending(words, "\n", 3, frozenset({3}))
    >>> [ending.text(tokens) for tokens in ((0,), (0, 1), (0, 2, 3), (0, 2, 2))]
    [None, 'Cook', 'Cooks', 'Cookss']
    """

    tokenizer: Any
    mark: str
    limit: int
    stops: frozenset[int]

    def text(self, tokens: tuple[int, ...]) -> str | None:
        """Text of a continuation without its mark and blanks around it; None if it goes on."""
        head, mark, _ = self._decode(tokens).partition(self.mark)
        if not mark and tokens[-1] in self.stops:
            return self._decode(tokens[:-1]).strip()
        return head.strip() if mark or len(tokens) >= self.limit else None

    def _decode(self, tokens: tuple[int, ...]) -> str:
        # Special tokens are kept, because one of them may be the mark; blanks before commas, because titles have them.
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


@dataclass(frozen=True, eq=False)
class Live:
    """Texts of one length side by side, as far as they were read.

    Attributes
    ----------
    decoder : Decoder
        The language model.
    ids : Tensor of int64, shape (n, tokens)
        The texts, special tokens in front included.
    hidden : Tensor, shape (n, width)
        Hidden states after them.
    cache : list of (keys, values), or None
        The texts as the network remembers them; None to read them again for every token, by plain passes.
    """

    decoder: Decoder
    ids: Tensor
    hidden: Tensor
    cache: Cache | None

    def log_proba(self) -> Iterator[np.ndarray]:
        """Log probabilities of the next token.

        Yields
        ------
        numpy.ndarray of float64, shape (vocabulary,)
            Text by text.
        """
        for start in range(0, len(self.hidden), _LOGITS):
            with torch.inference_mode():
                logits = self.decoder.logits(self.hidden[start : start + _LOGITS])
                values = logits.cpu().double().log_softmax(dim=-1).numpy()
            yield from values

    def longer(self, of: Sequence[int], tokens: Sequence[int]) -> Live:
        """Some of the texts, each with one more token.

        Parameters
        ----------
        of : sequence of int
            Numbers of texts; each may come several times, or never.
        tokens : sequence of int
            What follows each of them.

        Returns
        -------
        Live
        """
        from transformers import DynamicCache

        device, decoder = self.ids.device, self.decoder
        at, new = torch.as_tensor(of, device=device), torch.as_tensor(tokens, device=device)[:, None]
        ids = torch.cat([self.ids[at], new], dim=1)
        with torch.inference_mode():
            if self.cache is None:
                return Live(decoder, ids, decoder(ids)[:, -1], None)
            found = decoder.network.base_model(
                input_ids=new,
                position_ids=torch.full_like(new, decoder.soft_tokens + self.ids.shape[1]),
                past_key_values=DynamicCache([(keys[at], values[at]) for keys, values in self.cache]),
                use_cache=True,
            )
        cache = [(layer.keys, layer.values) for layer in found.past_key_values.layers]
        return Live(decoder, ids, found.last_hidden_state[:, -1], cache)


def starts(decoder: Decoder, ids: np.ndarray, cuts: np.ndarray, remember: bool) -> list[Live]:
    """Texts that begin each other, read once.

    Parameters
    ----------
    decoder : Decoder
        The language model.
    ids : numpy.ndarray of int, shape (tokens,)
        A text.
    cuts : numpy.ndarray of int64, shape (n,)
        How many of its tokens each of the texts has.
    remember : bool
        Whether continuations may use what the network remembers of the text, which some networks get wrong.

    Returns
    -------
    list of Live, one text each
    """
    text = torch.as_tensor(np.asarray(ids[: max(cuts)], dtype=np.int64), device=decoder.device)
    with torch.inference_mode():
        hidden, cache = decoder.read(text) if remember else (decoder(text[None])[0], None)
    out = []
    for cut in cuts:
        kept = int(cut) + decoder.soft_tokens
        part = None if cache is None else [(keys[:, :, :kept], values[:, :, :kept]) for keys, values in cache]
        out.append(Live(decoder, text[None, :cut], hidden[cut - 1 : cut], part))
    return out


def draw(start: Live, ending: Ending, sampling: Sampling, uniforms: np.ndarray) -> list[str]:
    """Draw continuations.

    Parameters
    ----------
    start : Live
        One text.
    ending : Ending
        When they are over.
    sampling : Sampling
        How tokens are drawn.
    uniforms : numpy.ndarray of float64, shape (draws, tokens)
        Uniform random numbers, one for every token of every draw, as many as the ending allows.

    Returns
    -------
    list of str

    Notes
    -----
    Draws that have said the same so far are continued together.
    """
    size = max(1, _HELD // (start.ids.shape[1] + ending.limit))
    parts = [uniforms[k : k + size] for k in range(0, len(uniforms), size)]
    return [text for part in parts for text in _draw(start, ending, sampling, part)]


def _draw(start: Live, ending: Ending, sampling: Sampling, uniforms: np.ndarray) -> list[str]:
    texts = [""] * len(uniforms)
    live = start
    said: list[tuple[tuple[int, ...], list[int]]] = [((), list(range(len(uniforms))))]
    while said:
        found: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for number, ((tokens, owners), log_proba) in enumerate(zip(said, live.log_proba(), strict=True)):
            bounds = np.cumsum(sampling.proba(log_proba))
            # A token without probability has no room between its bounds.
            drawn = np.searchsorted(bounds, uniforms[owners, len(tokens)] * bounds[-1], side="right")
            for owner, token in zip(owners, drawn.tolist(), strict=True):
                found.setdefault((number, (*tokens, token)), []).append(owner)
        of, said = [], []
        for (number, tokens), owners in found.items():
            text = ending.text(tokens)
            if text is None:
                of.append(number)
                said.append((tokens, owners))
            for owner in owners:
                texts[owner] = text or ""
        if said:
            live = live.longer(of, [tokens[-1] for tokens, _ in said])
    return texts


def beams(start: Live, ending: Ending, width: int) -> list[str]:
    """Find the most probable continuations.

    Parameters
    ----------
    start : Live
        One text.
    ending : Ending
        When they are over.
    width : int
        Continuations that are kept after every token.

    Returns
    -------
    list of str, of length `width`
        The most probable first. A continuation is dropped once `width` others are more probable, and may have had a
        better end than those; with few beams, the best may be missed.
    """
    live = start
    said: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    over: list[tuple[float, str]] = []
    while said:
        found: list[tuple[float, int, tuple[int, ...], str | None]] = [(score, -1, (), text) for score, text in over]
        for number, ((score, tokens), log_proba) in enumerate(zip(said, live.log_proba(), strict=True)):
            for token in np.argsort(-log_proba, kind="stable")[:width].tolist():
                longer = (*tokens, token)
                found.append((score + float(log_proba[token]), number, longer, ending.text(longer)))
        best = sorted(found, key=lambda beam: -beam[0])[:width]
        over = [(score, text) for score, _, _, text in best if text is not None]
        going = [(score, number, tokens) for score, number, tokens, text in best if text is None]
        said = [(score, tokens) for score, _, tokens in going]
        if said:
            live = live.longer([number for _, number, _ in going], [tokens[-1] for _, _, tokens in going])
    return [text for _, text in over]
