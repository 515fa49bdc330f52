"""Where a language model or an encoder looks when it reads a text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from econllm.encoders import shorten
from econllm.errors import OptionError
from econllm.llm.decoder import Decoder
from econllm.llm.documents import Pieces
from econllm.llm.tuning_network import shared_copy
from econllm.plots import attention_frame, attention_map
from econllm.text import Resume

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TextAttention:
    """Attention weights within one text.

    Attributes
    ----------
    tokens : tuple of str
        What the network reads, special tokens included; after :meth:`by_record`, the records.
    records : tuple of str
        Parts of the text: the header, the records, and what stands around them.
    record_of : numpy.ndarray of int64, shape (tokens,)
        Which of the parts every token belongs to.
    weights : numpy.ndarray of float32, shape (layers, heads, tokens, tokens)
        How much token i (third axis) takes from token j (last axis); sums to one over j. Zero for j > i in a model that
        reads from left to right.

    Examples
    --------
    >>> weights = np.array([[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6]]]])
    >>> found = TextAttention(("A", "cook", "."), ("1980: A cook", "."), np.array([0, 0, 1]), weights)
    >>> found
    <TextAttention: 1 layers, 1 heads, 3 tokens>
    >>> found.by_record().weights[0, 0].tolist()
    [[1.0, 0.0], [0.4, 0.6]]
    """

    tokens: tuple[str, ...]
    records: tuple[str, ...]
    record_of: np.ndarray
    weights: np.ndarray

    def by_record(self) -> TextAttention:
        """Attention between records.

        Returns
        -------
        TextAttention
            Its tokens are the records. What a record takes from another one is the sum over the tokens of the other,
            averaged over its own.
        """
        member = np.eye(len(self.records))[self.record_of]
        weights = (member / member.sum(axis=0)).T @ self.weights @ member
        return TextAttention(self.records, self.records, np.arange(len(self.records)), weights)

    def frame(self, layer: int | None = None, head: int | None = None) -> pd.DataFrame:
        """List the weights.

        Parameters
        ----------
        layer, head : int, optional
            The only ones wanted, from 1 on; all by default.

        Returns
        -------
        pandas.DataFrame
            One row per layer, head, token and token it looks at: their numbers from 1 on, `label` and `looks_at_label`,
            the tokens themselves, and `weight`. What a token cannot see is left out.

        Raises
        ------
        OptionError
            If there is no such layer or head.
        """
        return attention_frame(self.weights, self.tokens, self._visible, layer, head, "token")

    def plot(
        self, path: str | os.PathLike[str] | None = None, layer: int | None = None, head: int | None = None
    ) -> Figure:
        """Draw the weights as shades: a row per token, a column per token it looks at.

        Parameters
        ----------
        path : str or path, optional
            File to save as well: .png, .pdf or .svg.
        layer, head : int, optional
            From 1 on. With neither, a panel per layer shows the mean over its heads; with a layer, a panel per head of
            it; with a head, a panel per layer; with both, there is one panel.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            If there is no such layer or head, or the file cannot be written.
        """
        return attention_map(
            self.weights,
            self.tokens,
            self._visible,
            layer,
            head,
            path=path,
            title="Attention within the text",
            what="record" if self._of_records else "token",
        )

    @property
    def _of_records(self) -> bool:
        return self.tokens == self.records

    @property
    def _visible(self) -> np.ndarray:
        """Which tokens each token can see: those up to itself, unless some weight says that it looks ahead."""
        n = len(self.tokens)
        ahead = bool(np.triu(self.weights, 1).any())
        return np.ones((n, n), dtype=bool) if ahead else np.tri(n, dtype=bool)

    def __repr__(self) -> str:
        layers, heads, tokens, _ = self.weights.shape
        return (
            f"<TextAttention: {layers} layers, {heads} heads, {tokens} {'records' if self._of_records else 'tokens'}>"
        )


def attention_of_text(
    network: Any,
    tokenizer: Any,
    text: str | Resume,
    limit: int,
    opening: Sequence[int] | np.ndarray = (),
    closing: Sequence[int] | np.ndarray = (),
) -> TextAttention:
    """Read a text and see where the network looks.

    Parameters
    ----------
    network : Decoder or transformers.PreTrainedModel
        A language model, or an encoder.
    tokenizer : transformers tokenizer
        Of the network.
    text : str or Resume
        What it reads. A text that is too long keeps its beginning, a résumé its header and newest records.
    limit : int
        Most tokens, special ones included.
    opening, closing : sequence of int
        Special tokens around the text.

    Returns
    -------
    TextAttention

    Raises
    ------
    OptionError
        If the network has no attention weights, or the limit leaves no room for a text.

    Notes
    -----
    The weights are those of plain attention, softmax(q'k / sqrt(d)), computed by a second pass: the quick kernels that
    predict never form them. They say where information is taken from, not what it is worth to the prediction (Jain and
    Wallace, Attention is not explanation, NAACL 2019).

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> language = load_language_model("tiny", None, "float32", "cpu")
    >>> found = attention_of_text(Decoder(language.network), language.tokenizer, "A cook.", 50, language.opening)
    >>> float(found.weights.sum(axis=-1).round(3).min())
    1.0
    """
    decoder = isinstance(network, Decoder)
    front, back = np.asarray(opening, dtype=np.int64), np.asarray(closing, dtype=np.int64)
    room = limit - len(front) - len(back)
    if room < 1:
        raise OptionError(f"a limit of {limit} tokens leaves no room beside {len(front) + len(back)} special ones.")
    kept = _kept(tokenizer, Resume(text, ()) if isinstance(text, str) else text, room)
    parts = [("opening", front), *kept, ("closing", back)]
    ids = np.concatenate([tokens for _, tokens in parts]).astype(np.int64)
    soft = network.soft_tokens if decoder else 0
    weights = _weights(network, ids)
    names = [f"[{k + 1}]" for k in range(soft)] + [_shown(tokenizer, int(k)) for k in ids]
    sizes = [("learned vectors", soft), *((name, len(tokens)) for name, tokens in parts)]
    sizes = [(name, size) for name, size in sizes if size]
    record_of = np.repeat(np.arange(len(sizes)), [size for _, size in sizes])
    return TextAttention(tuple(names), tuple(name for name, _ in sizes), record_of, weights)


def _kept(tokenizer: Any, resume: Resume, room: int) -> list[tuple[str, np.ndarray]]:
    """Header and records with their tokens, as far as there is room for them."""
    cutter = Pieces(tokenizer)
    header = cutter.tokens([resume.header], front=True)[resume.header]
    known = cutter.tokens(resume.records)
    records = [known[record] for record in resume.records]
    if records and not resume.header:
        # The first record begins the text, which some tokenizers mark.
        records[0] = cutter.tokens(resume.records[:1], front=True)[resume.records[0]]
    kept = shorten(len(header), [len(tokens) for tokens in records], room)
    records = records[kept.first :]
    if records:
        records[0] = records[0][kept.skip :]
    named = [record.strip() for record in resume.records[kept.first :]]
    return [("header" if records else "text", header[: kept.header]), *zip(named, records, strict=True)]


def _weights(network: Any, ids: np.ndarray) -> np.ndarray:
    """Attention weights of one text, float32, shape (layers, heads, tokens, tokens)."""
    plain = shared_copy(network).eval()
    model = plain.network if isinstance(plain, Decoder) else plain
    # Other implementations do not form weights; changed on a copy, because they are quicker.
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        tokens = torch.as_tensor(ids[None], device=model.device)
        inputs = plain.front(tokens) if isinstance(plain, Decoder) else {"input_ids": tokens}
        found = getattr(model.base_model(**inputs, output_attentions=True), "attentions", None)
    if not found or any(part is None for part in found):
        raise OptionError(f"a {type(model).__name__} has no attention weights in some of its layers.")
    weights = np.stack([part[0].float().cpu().numpy() for part in found])
    # A softmax sums to one up to the rounding of the network's number type only.
    out: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return out


def _shown(tokenizer: Any, token: int) -> str:
    """A token as a reader knows it; a line break as its sign."""
    text: str = tokenizer.decode([token], clean_up_tokenization_spaces=False).replace("\n", "\\n").strip()
    return text or str(tokenizer.convert_ids_to_tokens(token))
