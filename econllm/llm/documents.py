"""Rows as texts in tokens: one text for all transitions of a person, as far as it can be read at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from econllm.encoders import shorten
from econllm.encoders.tokens import quiet_fork
from econllm.errors import DataError, OptionError, listing
from econllm.llm.prompts import Wording
from econllm.llm.trie import Trie
from econllm.text import Resume

# Texts after which a piece is cut, so that it is not taken for the beginning of a text; the first that no tokenizer
# joins with the piece is used.
_ANCHORS = ("\n", ":", ".\n", "a ")
_CHUNK = 4096
# Documents of which the tokens of the whole text are compared with those of its pieces.
_COMPARED = 32


class Document(NamedTuple):
    """A text in tokens, and where in it titles are predicted.

    Attributes
    ----------
    ids : numpy.ndarray of int32, shape (tokens,)
        Special tokens in front included; to the end of the last title where outcomes are known.
    cuts : numpy.ndarray of int64, shape (titles,)
        Tokens before each title.
    rows : numpy.ndarray of int64, shape (titles,)
        Row that each title is of.
    """

    ids: np.ndarray
    cuts: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Documents:
    """All rows of a sample as documents.

    Attributes
    ----------
    items : list of Document
        In the order of the rows.
    trie : Trie
        Titles in tokens, with what ends them.
    outcome : numpy.ndarray of int64 or None
        Title of every row; None where it is not known.
    truncated : numpy.ndarray of bool, shape (rows,)
        Rows whose oldest records were left out.
    canonical : float
        Share of documents, among some that were compared, whose tokens are those of the whole text cut at once.
    limit : int
        Most tokens that may be read.
    """

    items: list[Document]
    trie: Trie
    outcome: np.ndarray | None
    truncated: np.ndarray
    canonical: float
    limit: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every document."""
        return np.array([len(item.ids) for item in self.items], dtype=np.int64)


class Pieces:
    """Tokens of pieces of text, so that cuts fall between tokens.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Of a language model.

    Notes
    -----
    A tokenizer may join characters across a cut, and some mark where a text begins. Pieces are therefore cut by
    themselves, after an anchor that is then taken off. Tokenizers that split texts at the cuts anyway, as most do, give
    the tokens of the whole text; for others the text is the same, and its tokens are not those of the whole.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> tokenizer = load_language_model("tiny", None, "float32", "cpu").tokenizer
    >>> Pieces(tokenizer).tokens(["1980:", " Cook"])["1980:"].dtype
    dtype('int32')
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def tokens(self, pieces: Iterable[str], *, front: bool = False) -> dict[str, np.ndarray]:
        """Tokens of distinct pieces.

        Parameters
        ----------
        pieces : iterable of str
            Pieces of texts.
        front : bool
            Whether they begin texts.

        Returns
        -------
        dict from str to numpy.ndarray of int32
        """
        todo, found = list(dict.fromkeys(pieces)), {}
        anchored = getattr(self._tokenizer, "is_fast", False) and not front
        for anchor in _ANCHORS if anchored else ():
            left = []
            for piece, ids in zip(todo, self._after(anchor, todo), strict=True):
                if ids is None:
                    left.append(piece)
                else:
                    found[piece] = ids
            todo = left
        for start in range(0, len(todo), _CHUNK):
            some = todo[start : start + _CHUNK]
            with quiet_fork():
                read = self._tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]
            found |= {piece: np.asarray(ids, dtype=np.int32) for piece, ids in zip(some, read, strict=True)}
        return found

    def _after(self, anchor: str, pieces: Sequence[str]) -> list[np.ndarray | None]:
        """Tokens of pieces after an anchor; None where a token belongs to both."""
        out: list[np.ndarray | None] = []
        for start in range(0, len(pieces), _CHUNK):
            texts = [anchor + piece for piece in pieces[start : start + _CHUNK]]
            with quiet_fork():
                read = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            for ids, offsets in zip(read["input_ids"], read["offset_mapping"], strict=True):
                spans = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
                joined = (spans[:, 0] < len(anchor)) & (spans[:, 1] > len(anchor))
                # Bytes of one character share its span, so that the anchor must not be the beginning of a token.
                out.append(None if joined.any() else np.asarray(ids, dtype=np.int32)[spans[:, 1] > len(anchor)])
        return out


def title_trie(tokenizer: Any, wording: Wording) -> Trie:
    """Titles in tokens, each with what stands before it and what ends it.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Of a language model.
    wording : Wording
        Says how titles are written.

    Returns
    -------
    Trie

    Raises
    ------
    DataError
        If two titles have the same tokens, or one is the beginning of another.
    """
    pieces = [_title(wording, title) for title in wording.titles]
    tokens = Pieces(tokenizer).tokens(pieces)
    return Trie.of([tokens[piece] for piece in pieces])


def read_documents(
    tokenizer: Any, opening: np.ndarray, wording: Wording, trie: Trie, outcome: np.ndarray | None, limit: int
) -> Documents:
    """Turn rows into documents.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Of the language model.
    opening : numpy.ndarray of int32
        Special tokens in front of every text.
    wording : Wording
        Rows as text.
    trie : Trie
        From :func:`title_trie`.
    outcome : numpy.ndarray of int64 or None, shape (rows,)
        Position of every row's title; None where it is not known, and then every row has a document of its own.
    limit : int
        Most tokens that may be read, the longest title included.

    Returns
    -------
    Documents

    Raises
    ------
    OptionError
        If the limit leaves no room beside the longest title.
    DataError
        If the text of a row is empty.

    Notes
    -----
    Consecutive rows share a document as long as the text of one, its title and what ends it are the beginning of the
    text of the next, and all of it can be read at once. A row for which there is too much keeps the header and the
    newest records, in a document of its own.
    """
    room = limit - len(opening) - trie.longest
    if room < 1:
        title = wording.titles[int(np.argmax(trie.depths[trie.leaves]))]
        raise OptionError(
            f"the model reads {limit} tokens, and the title {title!r} alone takes {trie.longest}: give a model with a "
            "longer context, a larger max_tokens, or shorter titles."
        )
    empty = [row for row, resume in enumerate(wording.resumes) if not resume.text]
    if empty and not len(opening):
        raise DataError(f"{len(empty)} rows have no text at all, the first at positions {listing(empty, 3)}.")
    chains = _chains(wording, outcome)
    known = _Tokens.of(tokenizer, opening, wording, chains)
    items: list[Document] = []
    truncated = np.zeros(len(wording.resumes), dtype=bool)
    for chain in chains:
        found, cut = _documents(chain, known, trie, outcome, room)
        items += found
        truncated[cut] = True
    return Documents(items, trie, outcome, truncated, _canonical(tokenizer, opening, chains, items), limit)


@dataclass(frozen=True)
class _Step:
    """A row of a chain: the pieces since the title before it, the last of which the title follows."""

    row: int
    pieces: tuple[str, ...]
    title: str | None


@dataclass(frozen=True)
class _Chain:
    """Rows whose texts begin each other."""

    header: str
    steps: list[_Step]

    @property
    def text(self) -> str:
        """Text of the last row."""
        parts = [self.header]
        for step in self.steps:
            parts += step.pieces
            if step is not self.steps[-1]:
                parts.append(step.title or "")
        return "".join(parts)


@dataclass(frozen=True)
class _Tokens:
    """Tokens of all pieces of a sample."""

    fronts: dict[str, np.ndarray]
    pieces: dict[str, np.ndarray]
    opening: np.ndarray

    @classmethod
    def of(cls, tokenizer: Any, opening: np.ndarray, wording: Wording, chains: Sequence[_Chain]) -> _Tokens:
        cutter = Pieces(tokenizer)
        pieces = [piece for chain in chains for step in chain.steps for piece in (*step.pieces, step.title or "")]
        fronts = [front for chain in chains for front in (chain.header, chain.steps[0].pieces[0])]
        return cls(cutter.tokens(fronts, front=True), cutter.tokens(pieces), opening)

    def of_step(self, chain: _Chain, step: _Step) -> list[np.ndarray]:
        """Tokens of the pieces of a step; where there is no header, the first piece begins the text."""
        found = [self.pieces[piece] for piece in step.pieces]
        if step is chain.steps[0] and not chain.header:
            found[0] = self.fronts[step.pieces[0]]
        return found


def _title(wording: Wording, title: str) -> str:
    return f"{wording.lead}{title}{wording.terminator}"


def _chains(wording: Wording, outcome: np.ndarray | None) -> list[_Chain]:
    """Group consecutive rows whose texts begin each other."""
    titles = [_title(wording, title) for title in wording.titles]
    chains: list[_Chain] = []
    before: Resume | None = None
    for row, resume in enumerate(wording.resumes):
        title = None if outcome is None else titles[outcome[row]]
        if before is not None:
            pieces = _continuation(before, resume, chains[-1].steps[-1].title)
            if pieces is not None:
                chains[-1].steps.append(_Step(row, pieces, title))
                before = resume
                continue
        chains.append(_Chain(resume.header, [_Step(row, resume.records, title)]))
        before = resume
    return chains


def _continuation(first: Resume, second: Resume, title: str | None) -> tuple[str, ...] | None:
    """What a text adds to another one and its title; None if it does not begin with them."""
    count = len(first.records)
    if title is None or not count or len(second.records) <= count or first.header != second.header:
        return None
    line, begun = second.records[count - 1], first.records[-1] + title
    if not line.startswith(begun) or first.records[:-1] != second.records[: count - 1]:
        return None
    return (line[len(begun) :], *second.records[count:])


def _documents(
    chain: _Chain, known: _Tokens, trie: Trie, outcome: np.ndarray | None, room: int
) -> tuple[list[Document], list[int]]:
    """Documents of a chain, and the rows of which something was left out."""
    header = known.fronts[chain.header]
    parts, total = [known.opening, header], len(header)
    cuts: list[int] = []
    for step in chain.steps:
        new = known.of_step(chain, step)
        total += sum(map(len, new))
        if total > room:
            break
        parts += new
        cuts.append(len(known.opening) + total)
        if step.title is not None:
            parts.append(known.pieces[step.title])
            total += len(parts[-1])
    items, rows = [], [step.row for step in chain.steps]
    if cuts:
        items.append(Document(np.concatenate(parts), np.array(cuts), np.array(rows[: len(cuts)])))
    late = rows[len(cuts) :]
    if not late:
        return items, late
    lines = _lines(chain, known)
    for row in late:
        stop = lines.stops[row]
        pieces = [*lines.whole[: stop - 1], lines.stubs[row]]
        kept = shorten(len(header), [len(piece) for piece in pieces], room)
        shown = pieces[kept.first :]
        shown[0] = shown[0][kept.skip :]
        front = np.concatenate([known.opening, header[: kept.header], *shown])
        tail = [] if outcome is None else [trie.path(int(outcome[row]))]
        ids = np.concatenate([front, *tail]).astype(np.int32)
        items.append(Document(ids, np.array([len(front)]), np.array([row])))
    return items, late


class _Lines(NamedTuple):
    """A chain record by record: whole lines, and for every row its last line up to the title and how many lines."""

    whole: list[np.ndarray]
    stubs: dict[int, np.ndarray]
    stops: dict[int, int]


def _lines(chain: _Chain, known: _Tokens) -> _Lines:
    """Tokens of the records of a chain."""
    whole: list[np.ndarray] = []
    stubs, stops = {}, {}
    begun: list[np.ndarray] = []
    for step in chain.steps:
        new = known.of_step(chain, step)
        if begun:
            whole.append(np.concatenate([*begun, new[0]]))
            new = new[1:]
        whole += new[:-1]
        stubs[step.row] = new[-1]
        stops[step.row] = len(whole) + 1
        begun = [new[-1], known.pieces[step.title or ""]]
    return _Lines(whole, stubs, stops)


def _canonical(tokenizer: Any, opening: np.ndarray, chains: Sequence[_Chain], items: Sequence[Document]) -> float:
    """Share of some chains whose tokens are those of their text cut at once."""
    by_row = {int(item.rows[-1]): item for item in items}
    some = chains[:: max(1, len(chains) // _COMPARED)]
    alike = []
    for chain in some:
        item = by_row.get(chain.steps[-1].row)
        if item is not None and len(item.rows) == len(chain.steps):
            with quiet_fork():
                whole = tokenizer(chain.text, add_special_tokens=False, verbose=False)["input_ids"]
            alike.append(np.array_equal(item.ids[len(opening) : item.cuts[-1]], whole))
    return float(np.mean(alike)) if alike else 1.0
