"""From texts to tokens: résumés are cut by whole records, plain texts at their end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from econllm.text.resume import Resume

# How many résumés are tokenised both whole and in pieces, to see whether the tokenizer treats both alike.
CHECKED_RESUMES = 256
_CHUNK = 4096
# Tokenizers change their own settings while they work; two threads at once raise "Already borrowed".
_LOCK = threading.Lock()

Tokens = np.ndarray


class Kept(NamedTuple):
    """What remains of a résumé: tokens of the header's beginning, first record, tokens left out of that record."""

    header: int
    first: int
    skip: int


def shorten(header: int, records: Sequence[int], budget: int) -> Kept:
    """Choose what to keep of a résumé that may be too long: the header and the newest records.

    Parameters
    ----------
    header : int
        Number of tokens of the header.
    records : sequence of int
        Number of tokens of every record, oldest first.
    budget : int
        Most tokens that may be kept, special tokens already taken off.

    Returns
    -------
    Kept
        The sum of what it keeps is at most `budget`.

    Notes
    -----
    Oldest records are dropped whole until the rest fits. If the header and the newest record alone do not fit, the
    record keeps its last tokens (they stand nearest to what is to be predicted) and the header comes first, but the
    record is never left with less than half of the budget (or less than all of it, if it is shorter): a header that
    is too long is then cut at its end. A résumé without records keeps the beginning of its header.

    Examples
    --------
    >>> shorten(10, [5, 5, 5], budget=20)
    Kept(header=10, first=1, skip=0)
    >>> shorten(10, [5, 40], budget=20)
    Kept(header=10, first=1, skip=30)
    >>> shorten(30, [5, 5], budget=20)
    Kept(header=15, first=1, skip=0)
    """
    if not records:
        return Kept(min(header, budget), 0, 0)
    newest = records[-1]
    if header + newest > budget:
        kept = min(newest, max(budget - header, (budget + 1) // 2))
        return Kept(min(header, budget - kept), len(records) - 1, newest - kept)
    first, total = len(records) - 1, header + newest
    while first > 0 and total + records[first - 1] <= budget:
        first -= 1
        total += records[first]
    return Kept(header, first, 0)


@contextmanager
def quiet_fork() -> Iterator[None]:
    """Tokenise in one thread.

    A tokenizer that has once used threads complains, or blocks, in every process forked afterwards; tokenising is a
    small part of encoding, so threads are left off unless the user set TOKENIZERS_PARALLELISM.
    """
    name = "TOKENIZERS_PARALLELISM"
    with _LOCK:
        given = os.environ.get(name)
        os.environ.setdefault(name, "false")
        try:
            yield
        finally:
            if given is None:
                os.environ.pop(name, None)


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    """Tokens of every text, without special ones.

    In chunks, because Python lists of integers take ten times the room of arrays.

    Examples
    --------
    >>> token_ids(lambda texts, **_: {"input_ids": [[len(text)] for text in texts]}, ["Cook"])
    [array([4], dtype=int32)]
    """
    found: list[Tokens] = []
    for start in range(0, len(texts), _CHUNK):
        with quiet_fork():
            ids = tokenizer(list(texts[start : start + _CHUNK]), add_special_tokens=False, verbose=False)
        found.extend(np.asarray(one, dtype=np.int32) for one in ids["input_ids"])
    return found


class TextTokens:
    """Tokens of many texts, each piece of text tokenised once.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Anything called as ``tokenizer(list of str, add_special_tokens=False)``.
    budget : int
        Most tokens per text, special tokens not counted.
    """

    def __init__(self, tokenizer: Any, budget: int) -> None:
        self._tokenizer = tokenizer
        self._budget = budget

    def encode(self, texts: Sequence[str | Resume]) -> tuple[list[list[Tokens]], np.ndarray]:
        """Tokenise and shorten.

        Parameters
        ----------
        texts : sequence of str or Resume
            Plain texts keep their beginning, résumés what `shorten` says.

        Returns
        -------
        tokens : list of list of ndarray
            Per text the pieces of its tokens, to be joined when a batch is made: résumés share their pieces.
        truncated : ndarray of bool
            Whether something was left out.
        """
        plain = list(dict.fromkeys(text for text in texts if isinstance(text, str)))
        resumes = [text for text in texts if isinstance(text, Resume)]
        known = dict(zip(plain, token_ids(self._tokenizer, plain), strict=True))
        additive = self._pieces_add_up(resumes)
        if additive:
            pieces = list(dict.fromkeys(chain.from_iterable((r.header, *r.records) for r in resumes)))
            parts = dict(zip(pieces, token_ids(self._tokenizer, pieces), strict=True))
        tokens: list[list[Tokens]] = []
        truncated = np.zeros(len(texts), dtype=bool)
        for i, text in enumerate(texts):
            if isinstance(text, str):
                ids = known[text]
                tokens.append([ids[: self._budget]])
                truncated[i] = len(ids) > self._budget
            else:
                split = [parts[p] for p in (text.header, *text.records)] if additive else self._split(text)
                kept, truncated[i] = _cut(split, self._budget)
                tokens.append(kept)
        return tokens, truncated

    def _pieces_add_up(self, resumes: Sequence[Resume]) -> bool:
        """Whether pieces tokenised alone and joined are the tokens of the whole text.

        True of tokenizers that split at white space (BERT and its children), false of those that mark the start of
        every text (SentencePiece). Looked at on a spread of résumés; a tokenizer without character positions can only
        be used piece by piece.
        """
        if not getattr(self._tokenizer, "is_fast", False):
            return True
        step = max(1, len(resumes) // CHECKED_RESUMES)
        sample = resumes[::step]
        for whole, resume in zip(token_ids(self._tokenizer, [r.text for r in sample]), sample, strict=True):
            split = token_ids(self._tokenizer, [resume.header, *resume.records])
            if not np.array_equal(whole, np.concatenate(split)):
                return False
        return True

    def _split(self, resume: Resume) -> list[Tokens]:
        """Tokens of the whole text, dealt out to the pieces in which they begin."""
        with quiet_fork():
            found = self._tokenizer(resume.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        starts = np.asarray([start for start, _ in found["offset_mapping"]], dtype=np.int64)
        ends = np.cumsum([len(piece) for piece in (resume.header, *resume.records)])
        bounds = np.searchsorted(starts, ends[:-1], side="left")
        return np.split(np.asarray(found["input_ids"], dtype=np.int32), bounds)


def _cut(split: list[Tokens], budget: int) -> tuple[list[Tokens], bool]:
    lengths = [len(piece) for piece in split]
    if sum(lengths) <= budget:
        return split, False
    kept = shorten(lengths[0], lengths[1:], budget)
    records = split[1 + kept.first :]
    if records:
        records[0] = records[0][kept.skip :]
    return [split[0][: kept.header], *records], True
