"""Encoders: from texts and résumés to vectors, each text once, kept on disk."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from econllm.encoders.cache import VectorStore, cache_folder, text_key
from econllm.encoders.texts import Texts, check_texts
from econllm.encoders.weights import EncoderFiles, find_encoder
from econllm.errors import (
    EconLLMWarning,
    OptionError,
    TruncationWarning,
    check_number,
    check_option,
    listing,
    refusal,
)
from econllm.options import Pooling, resolve_device, resolve_dtype
from econllm.text.resume import Resume

# Raised whenever the same text and options would give another vector, so that old caches are not used.
_VERSION = 1
_SAVE_SECONDS = 30.0
_LONG_BATCHES = 40
_BATCH_TOKENS = {"cpu": 4096}
# Poolings of either kind of model.
_CAUSAL = ["last", "mean"]
_SENTENCE = ["mean", "cls", "pooler"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """Vectors of texts, and what was cut to make them.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, d)
        One row per text, in the order given.
    truncated : ndarray of bool, shape (n,)
        Whether the text was longer than the encoder reads.
    dtype : str
        Number type in which the network computed.
    max_tokens : int
        Most tokens the encoder was let read, special tokens included.

    Examples
    --------
    >>> Encoding(np.zeros((2, 3), np.float32), np.array([True, False]), "float32", 256).truncated_share
    0.5
    """

    vectors: np.ndarray
    truncated: np.ndarray
    dtype: str
    max_tokens: int

    @property
    def truncated_share(self) -> float:
        """Share of the texts that were cut."""
        return float(self.truncated.mean()) if len(self.truncated) else 0.0


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder and how it is used. Holds options only; weights are read when first needed.

    Parameters
    ----------
    model : str
        "minilm" (all-MiniLM-L6-v2, 384 dimensions, 256 tokens), "tiny" (the small language model that comes with the
        package), the hub name of any sentence-transformers or transformers encoder or causal language model, or the
        path of a folder with one. Weights are read from safetensors files only and no code is ever taken from a
        model's folder.
    pooling : {"mean", "cls", "pooler", "last"}, optional
        How token vectors become one: their mean, the first token's, or the network's own pooled output; for causal
        language models the last token's or the mean, special tokens in front not counted. The default is what the
        model's authors publish (mean for MiniLM); where they publish nothing, the last token of a causal language
        model, the mean of others.
    max_tokens : int, optional
        Most tokens to read, special tokens included; by default the published maximum.
    dtype : {"auto", "bfloat16", "float32", "float64"}
        Number type of the network; "auto" is bfloat16 where the device multiplies it natively. Pooling is done in
        float32 or better, vectors are float32.
    device : str
        "auto" takes cuda, then mps, then cpu.
    batch_tokens : int, optional
        Most tokens per batch, padding included; by default 4,096 on a cpu, whose caches larger batches overflow, and
        65,536 elsewhere.
    cache : bool or path
        Whether vectors are kept on disk: True for the user's cache folder (or the environment's ECONLLM_CACHE), or
        the path of another folder. The cache holds hashes and vectors, no texts.
    revision : str, optional
        Commit, branch or tag of a model from a hub.
    progress : bool, optional
        Whether to show a bar; by default for long work only.
    layer : int
        Layer of a causal language model that the vectors are taken from: -1 for the last one after the final
        normalisation, 0 for the embeddings of the tokens, k for what layer k gives.

    Raises
    ------
    OptionError
        For a value that is not allowed, with what would be.

    Notes
    -----
    A vector depends a little on the other texts of its batch, because matrix products are summed in an order that
    depends on their shapes: about 1e-6 in float32 and 1e-2 in bfloat16, for vectors of length one. Published vectors
    that are normalised stay so under every pooling.

    A text of class :class:`econllm.Resume` that is too long keeps its header and newest records; a plain text
    keeps its beginning.

    In a causal language model a token sees only those before it, so all résumés of a person that are beginnings of
    one another cost one pass over the longest (``econllm.encoders.causal.plan_passes``).

    Examples
    --------
    >>> SentenceEncoder(pooling="cls").pooling
    'cls'
    >>> SentenceEncoder().encode(["Cook", "Clerk"]).vectors.shape  # doctest: +SKIP
    (2, 384)
    """

    model: str = "minilm"
    pooling: Pooling | None = None
    max_tokens: int | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    cache: bool | str | os.PathLike[str] = True
    revision: str | None = None
    progress: bool | None = None
    layer: int = -1

    def __post_init__(self) -> None:
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        if not isinstance(self.model, str) or not self.model.strip():
            raise OptionError(refusal("model", self.model, "not allowed", "give 'minilm', a model's name or a folder"))
        if self.pooling is not None:
            check_option("pooling", self.pooling, ["last", "mean", "cls", "pooler"])
        check_number("layer", self.layer, minimum=-1, integer=True)
        if self.max_tokens is not None:
            check_number("max_tokens", self.max_tokens, minimum=3, integer=True)
        check_option("dtype", self.dtype, ["auto", "float32", "bfloat16", "float64"])
        if self.batch_tokens is not None:
            check_number("batch_tokens", self.batch_tokens, minimum=1, integer=True)
        if not isinstance(self.cache, bool | str | os.PathLike):
            raise OptionError(refusal("cache", self.cache, "not allowed", "give True, False or the path of a folder"))

    @property
    def weights_sha256(self) -> str:
        """sha256 of the weights, for MiniLM the published one."""
        return self._files().weights_sha256

    def pinned(self) -> SentenceEncoder:
        """The same encoder with every "auto" that decides a vector replaced by what it means on this machine.

        What is fitted on one machine and used on another must not change its number type on the way.
        """
        files = self._files()
        return replace(self, **self._decisive(files))  # type: ignore[arg-type]

    def encode(self, texts: Texts) -> Encoding:
        """Turn texts into vectors.

        Parameters
        ----------
        texts : str, Resume, or a sequence, array or Series of them
            Equal texts are encoded once; texts whose vectors are in the cache are not encoded at all.

        Returns
        -------
        Encoding

        Raises
        ------
        DataError
            If texts are missing or are no texts, with the column's name, counts and first offenders.
        ModelNotFoundError
            If the model is neither on this machine nor to be had from a hub.
        OptionError
            If the model has no such pooling or layer, or cannot read as many tokens.
        """
        items = check_texts(texts)
        files = self._files()
        decisive = self._decisive(files)
        position: dict[bytes, int] = {}
        inverse = np.array([position.setdefault(text_key(item), len(position)) for item in items], dtype=np.int64)
        keys = list(position)
        first = np.zeros(len(keys), dtype=np.int64)
        first[inverse[::-1]] = np.arange(len(items) - 1, -1, -1)
        store = self._store(files, decisive)
        found, stored, cut = store.read(keys) if store else (np.zeros(0, np.int64), None, np.zeros(0, bool))
        truncated = np.zeros(len(keys), dtype=bool)
        truncated[found] = cut
        todo = np.setdiff1d(np.arange(len(keys)), found)
        if len(todo):
            new, truncated[todo] = self._encode_new([items[i] for i in first[todo]], [keys[i] for i in todo], store)
            vectors = np.empty((len(keys), new.shape[1]), dtype=np.float32)
            vectors[todo] = new
            if stored is not None and len(found):
                vectors[found] = stored
        else:
            vectors = cast("np.ndarray", stored)
        if len(keys) < len(items):
            vectors, truncated = vectors[inverse], truncated[inverse]
        return Encoding(vectors, truncated, str(decisive["dtype"]), int(cast("int", decisive["max_tokens"])))

    def _encode_new(
        self, texts: list[str | Resume], keys: list[bytes], store: VectorStore | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the network over distinct texts, saving as it goes: what is done survives an interruption."""
        work = self._plan(texts)
        device = resolve_device(self.device)
        vectors: np.ndarray = np.empty((len(texts), work.dimension), dtype=np.float32)
        batches = plan_batches(work.lengths, self.batch_tokens or _BATCH_TOKENS.get(device.type, 65536))
        waiting: list[int] = []
        saved = time.monotonic()
        try:
            with _bar(self.progress, len(texts), int(work.lengths.sum()), len(batches)) as bar:
                for batch in batches:
                    rows = np.concatenate([work.texts[i] for i in batch])
                    vectors[rows] = work.run(batch)
                    waiting.extend(rows.tolist())
                    bar.update(int(work.lengths[batch].sum()))
                    if time.monotonic() - saved > _SAVE_SECONDS:
                        _save(store, keys, vectors, work.truncated, waiting)
                        waiting, saved = [], time.monotonic()
        finally:
            _save(store, keys, vectors, work.truncated, waiting)
        return vectors, work.truncated

    def _plan(self, texts: list[str | Resume]) -> _Work:
        """Load the network and tokenise."""
        pinned, files = self.pinned(), self._files()
        device = str(resolve_device(self.device))
        ready = [published_form(text, files) for text in texts]
        limit, pooling = cast("int", pinned.max_tokens), cast("Pooling", pinned.pooling)
        if files.causal:
            from econllm.encoders import causal, language

            model = language.load_language_model(self.model, self.revision, pinned.dtype, device)
            network = causal.CausalNetwork.build(model, pooling, self.layer, files.normalize)
            passes, truncated = network.plan(ready, _room(limit, network.specials))
            return _Work(
                lengths=np.array([len(one.tokens) for one in passes]) + network.specials,
                texts=[one.texts for one in passes],
                truncated=truncated,
                dimension=network.dimension,
                run=lambda batch: network.encode([passes[i] for i in batch]),
            )
        from econllm.encoders.network import load_network
        from econllm.encoders.tokens import TextTokens

        encoder = load_network(files, pooling, pinned.dtype, device)
        tokens, truncated = TextTokens(encoder.tokenizer, _room(limit, encoder.specials)).encode(ready)
        return _Work(
            lengths=np.array([sum(map(len, pieces)) for pieces in tokens]) + encoder.specials,
            texts=[np.array([i]) for i in range(len(texts))],
            truncated=truncated,
            dimension=encoder.dimension,
            run=lambda batch: encoder.encode([np.concatenate(tokens[i]) for i in batch]),
        )

    def _files(self) -> EncoderFiles:
        return find_encoder(self.model, self.revision)

    def _decisive(self, files: EncoderFiles) -> dict[str, object]:
        """Options that decide a vector, each with its meaning for this model and machine."""
        pooling = self._checked_pooling(files)
        limit = self.max_tokens or files.max_tokens
        if limit > files.positions:
            raise OptionError(f"max_tokens={limit} is more than the {files.positions} tokens {self.model!r} can read.")
        dtype = str(resolve_dtype(self.dtype, resolve_device(self.device))).removeprefix("torch.")
        # Vectors of sentence encoders were kept under names without a layer before language models had one.
        layer = {"layer": self.layer} if files.causal else {}
        return {"pooling": pooling, "max_tokens": int(limit), "dtype": dtype, **layer}

    def _checked_pooling(self, files: EncoderFiles) -> str:
        kind, offered = ("a causal language model", _CAUSAL) if files.causal else ("a sentence encoder", _SENTENCE)
        if self.layer != -1 and not files.causal:
            raise OptionError(
                f"layer={self.layer}: model {self.model!r} is {kind}; inner layers are offered for causal language "
                "models. Leave layer= out."
            )
        if self.pooling is not None and self.pooling not in offered:
            raise OptionError(
                f"pooling={self.pooling!r} is not offered for model {self.model!r}, {kind}: use {listing(offered)}."
            )
        pooling = self.pooling or files.pooling
        if pooling not in offered:
            raise OptionError(f"model {self.model!r} is published with a pooling that is not offered: give pooling=.")
        return pooling

    def _store(self, files: EncoderFiles, decisive: dict[str, object]) -> VectorStore | None:
        if self.cache is False:
            return None
        parts = [f"{name}={decisive[name]}" for name in sorted(decisive)]
        name = hashlib.sha256("\n".join([f"version={_VERSION}", files.fingerprint, *parts]).encode()).hexdigest()
        return VectorStore(cache_folder(None if self.cache is True else self.cache) / name[:32])


@dataclass(frozen=True, eq=False)
class _Work:
    """Passes of a network that give the vectors of texts.

    Attributes
    ----------
    lengths : ndarray of int64, shape (passes,)
        Tokens per pass, special ones included.
    texts : list of ndarray
        Per pass the positions of its texts.
    truncated : ndarray of bool, shape (n,)
        Whether the text was cut.
    dimension : int
        Length of a vector.
    run : callable
        From the positions of some passes to the vectors of their texts.
    """

    lengths: np.ndarray
    texts: list[np.ndarray]
    truncated: np.ndarray
    dimension: int
    run: Callable[[np.ndarray], np.ndarray]


def resolve_encoder(model: str | os.PathLike[str] | SentenceEncoder) -> SentenceEncoder:
    """Accept an encoder, or the name or path of one.

    Raises
    ------
    OptionError
        For anything else.

    Examples
    --------
    >>> resolve_encoder("minilm") == SentenceEncoder("minilm")
    True
    """
    return model if isinstance(model, SentenceEncoder) else SentenceEncoder(model)  # type: ignore[arg-type]


def warn_truncated(encoding: Encoding) -> None:
    """Warn where texts were cut and no summary will say so."""
    count = int(encoding.truncated.sum())
    if count:
        warnings.warn(
            f"{count} of {len(encoding.truncated)} texts ({encoding.truncated_share:.1%}) are longer than the "
            f"{encoding.max_tokens} tokens this encoder reads and were cut.",
            TruncationWarning,
            stacklevel=3,
        )


def plan_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Group texts of similar length, longest first, so that no batch exceeds a number of padded tokens.

    Examples
    --------
    >>> [batch.tolist() for batch in plan_batches(np.array([2, 9, 3, 3]), 10)]
    [[1], [2, 3, 0]]
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches


def _room(max_tokens: int, specials: int) -> int:
    """Tokens left for a text beside the special ones."""
    if max_tokens <= specials:
        raise OptionError(f"max_tokens={max_tokens} leaves no room beside {specials} special tokens.")
    return max_tokens - specials


def published_form(text: str | Resume, files: EncoderFiles) -> str | Resume:
    """Put the published prompt in front of a text, and the text into the published case.

    Parameters
    ----------
    text : str or Resume
    files : EncoderFiles
        From :func:`econllm.encoders.weights.find_encoder`.

    Returns
    -------
    str or Resume

    Examples
    --------
    >>> from econllm.encoders.weights import find_encoder
    >>> published_form("Cook", find_encoder("minilm"))  # doctest: +SKIP
    'Cook'
    """
    if not files.prompt and not files.lower:
        return text
    case = str.lower if files.lower else str
    if isinstance(text, str):
        return case(files.prompt + text)
    return Resume(case(files.prompt + text.header), tuple(case(record) for record in text.records))


def _bar(progress: bool | None, texts: int, tokens: int, batches: int) -> Any:
    from tqdm.auto import tqdm

    hidden = batches < _LONG_BATCHES if progress is None else not progress
    return tqdm(total=tokens, unit="token", unit_scale=True, desc=f"Embedding {texts:,} texts", disable=hidden)


def _save(
    store: VectorStore | None, keys: list[bytes], vectors: np.ndarray, truncated: np.ndarray, done: list[int]
) -> None:
    """Write finished vectors; a full or read-only disk must not cost the work of the encoder."""
    if store is None or not done:
        return
    try:
        store.write([keys[i] for i in done], vectors[done], truncated[done])
    except OSError as error:
        place = Path(store.folder).parent
        warnings.warn(f"vectors cannot be cached in {place}: {error}. Give cache=.", EconLLMWarning, stacklevel=4)
