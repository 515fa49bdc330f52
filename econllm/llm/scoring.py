"""Exact probabilities of all titles after a text, by one pass over the text and a tree of titles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from econllm.errors import EconLLMWarning, OptionError, warn
from econllm.llm.decoder import Cache, Decoder
from econllm.llm.trie import Trie

Engine = Literal["tree", "kv", "naive"]

# Nodes of the tree that are read in one pass: more would mostly look at masked ones.
_PASS = 512
# Padded tokens of titles that the "kv" engine reads at a time.
_RECTANGLE = 4096
# Largest difference to plain passes that is no more than rounding, in nats, by number type.
_TOLERANCES = {torch.float64: 1e-5, torch.float32: 1e-4, torch.bfloat16: 0.5, torch.float16: 0.1}
_CHECKED_TITLES = 8


class Scores(NamedTuple):
    """Log probabilities of titles, as the chain rule gives them.

    Attributes
    ----------
    raw : numpy.ndarray of float64, shape (texts, titles)
        log P(title), the token that ends it included; not normalised over titles.
    bound : numpy.ndarray of float64, shape (texts,)
        Largest relative error of a normalised probability that pruning may have caused; zero without.
    read : int
        Nodes of the tree that were read.
    """

    raw: np.ndarray
    bound: np.ndarray
    read: int


@dataclass(frozen=True, eq=False)
class Scorer:
    """A language model and the titles it gives probabilities to.

    Attributes
    ----------
    decoder : Decoder
        The language model.
    trie : Trie
        Titles in tokens.
    engine : {"tree", "kv", "naive"}
        How titles are read: all at once as a tree; each after a remembered text; each with the whole text.
    tol : float
        Largest relative error of a normalised probability that pruning may cause; 0 prunes nothing.
    """

    decoder: Decoder
    trie: Trie
    engine: Engine = "tree"
    tol: float = 0.0

    def score(self, ids: np.ndarray, cuts: Sequence[int] | np.ndarray, tol: float | None = None) -> Scores:
        """Log probability of every title after the first tokens of a text.

        Parameters
        ----------
        ids : numpy.ndarray of int, shape (tokens,)
            A text, special tokens in front included.
        cuts : sequence of int, shape (texts,)
            How many of its tokens come before a title, at least one each.
        tol : float, optional
            Another tolerance than the scorer's own.

        Returns
        -------
        Scores

        Notes
        -----
        P(title) = prod_t P(token_t | text, tokens before t), to the token that ends the title. The text is read once;
        the tree is read with a mask by which a node sees the text up to its cut and the nodes before it in its titles.

        With a tolerance, titles whose first token is improbable are not read: P(title) <= P(first token). Let B be the
        sum of P(first token) over first tokens that are left out, S the sum of P over the titles that were read. A
        probability is P / (sum of all P), and the sum lies between S and S + B, so that probabilities that were read
        are off by a factor of at most 1 + B / S, and the others sum to at most B / S. First tokens that are whole
        titles are never left out; the others are taken in the order of their probability until B / S <= tol. Titles
        that are left out share P(first token) evenly.
        """
        where = np.asarray(cuts, dtype=np.int64)
        tolerance = self.tol if tol is None else tol
        with torch.inference_mode():
            if self.engine == "naive":
                return Scores(self._naive(ids, where), np.zeros(len(where)), len(self.trie.inner) * len(where))
            text = torch.as_tensor(np.asarray(ids[: where.max()], dtype=np.int64), device=self.decoder.device)
            hidden, cache = self.decoder.read(text)
            first = self._first(hidden[torch.as_tensor(where - 1, device=hidden.device)])
            if self.engine == "kv":
                raw = np.stack([self._kv(cache, int(cut), row) for cut, row in zip(where, first, strict=True)])
                return Scores(raw, np.zeros(len(where)), len(self.trie.inner) * len(where))
            return self._pruned(len(text), cache, where, first, tolerance)

    def _first(self, hidden: Tensor) -> np.ndarray:
        """Log probability of the distinct first tokens after some hidden states, shape (texts, first tokens)."""
        tokens = torch.as_tensor(self.trie.tokens[self.trie.roots], device=hidden.device)
        rows = torch.arange(len(hidden), device=hidden.device).repeat_interleave(len(tokens))
        found = self.decoder.log_proba(hidden, rows, tokens.repeat(len(hidden)))
        return _numbers(found).reshape(len(hidden), len(tokens))

    def _pruned(self, read: int, cache: Cache, cuts: np.ndarray, first: np.ndarray, tol: float) -> Scores:
        trie = self.trie
        edges = np.full((len(cuts), len(trie)), np.nan)
        edges[:, trie.roots] = first
        share = np.exp(first)
        # A title that is one token costs nothing more: only what stands under the others can be saved.
        branching = np.isin(trie.roots, trie.parents)
        dear = np.where(branching, share, 0.0)
        keep = np.ones(first.shape, dtype=bool)
        if tol > 0:
            keep = ~branching | _probable(dear, tol * share.sum(axis=1))
        nodes = self._tree(read, cache, cuts, keep, edges)
        raw = self._titles(edges, keep)
        if tol == 0:
            return Scores(raw, np.zeros(len(cuts)), nodes)
        left, mass = self._left_and_read(share, keep, raw)
        # Titles have less mass than their first tokens: what was left out may have to be read after all.
        short = left > tol * mass
        if short.any():
            more = _probable(dear, tol * mass) & ~keep & short[:, None]
            nodes += self._tree(read, cache, cuts, more, edges)
            keep |= more
            raw = self._titles(edges, keep)
            left, mass = self._left_and_read(share, keep, raw)
        return Scores(raw, np.divide(left, mass, out=np.zeros(len(cuts)), where=left > 0), nodes)

    def _left_and_read(self, share: np.ndarray, keep: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of the first tokens that were left out, and of the titles that were read, by text."""
        left = np.where(keep, 0.0, share).sum(axis=1)
        return left, np.exp(raw).sum(axis=1, where=keep[:, self._title_roots])

    @property
    def _title_roots(self) -> np.ndarray:
        out: np.ndarray = self.trie.branches[self.trie.leaves]
        return out

    def _titles(self, edges: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Log probabilities of titles from those of their tokens; an even share where they were not read."""
        roots = self._title_roots
        among = np.bincount(roots, minlength=len(self.trie.roots))
        evenly = edges[:, self.trie.roots] - np.log(among)
        out: np.ndarray = np.where(keep[:, roots], self.trie.totals(edges), evenly[:, roots])
        return out

    def _tree(self, read: int, cache: Cache, cuts: np.ndarray, keep: np.ndarray, edges: np.ndarray) -> int:
        """Fill in the log probabilities of the tokens under some first tokens, and count the nodes that were read."""
        trie, device, count = self.trie, self.decoder.device, 0
        children = trie.parents >= 0
        place = np.full(len(trie), -1, dtype=np.int64)
        for texts, inner in self._passes(keep):
            nodes = trie.inner[inner]
            alike = texts[:, None] == texts[None, :]
            among = alike & trie.above[np.ix_(inner, inner)]
            before = np.arange(read)[None, :] < cuts[texts][:, None]
            hidden = self.decoder.extend(
                torch.as_tensor(trie.tokens[nodes], device=device)[None],
                torch.as_tensor(cuts[texts] + trie.depths[nodes], device=device)[None],
                torch.as_tensor(np.concatenate([before, among], axis=1), device=device),
                cache,
                read,
            )[0]
            rows, below = [], []
            for text in np.unique(texts):
                here = np.flatnonzero(texts == text)
                place[nodes[here]] = here
                edge = np.flatnonzero(children & (place[trie.parents] >= 0))
                order = np.argsort(place[trie.parents[edge]], kind="stable")
                rows.append(place[trie.parents[edge]][order])
                below.append(edge[order])
                place[nodes[here]] = -1
            tokens = torch.as_tensor(trie.tokens[np.concatenate(below)], device=device)
            found = _numbers(
                self.decoder.log_proba(hidden, torch.as_tensor(np.concatenate(rows), device=device), tokens)
            )
            edges[np.repeat(np.unique(texts), [len(part) for part in below]), np.concatenate(below)] = found
            count += len(nodes)
        return count

    def _passes(self, keep: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Divide the nodes to be read among passes of limited size, whole branches together.

        Yields
        ------
        texts, inner : numpy.ndarray of int64
            For every node of the pass the text it follows, ascending, and its number among inner nodes.
        """
        trie = self.trie
        branch = trie.branches[trie.inner]
        sizes = np.bincount(branch, minlength=len(trie.roots))
        starts = np.cumsum(sizes) - sizes
        texts, roots = np.nonzero(keep & (sizes > 0))
        begin = 0
        while begin < len(roots):
            total = np.cumsum(sizes[roots[begin:]])
            end = begin + max(1, int(np.searchsorted(total, _PASS, side="right")))
            some = roots[begin:end]
            yield (
                np.repeat(texts[begin:end], sizes[some]),
                np.concatenate([np.arange(starts[r], starts[r] + sizes[r]) for r in some]),
            )
            begin = end

    def _kv(self, cache: Cache, cut: int, first: np.ndarray) -> np.ndarray:
        """Read every title after a remembered text."""
        trie, decoder = self.trie, self.decoder
        kept = cut + decoder.soft_tokens
        out: np.ndarray = first[self._title_roots].copy()
        paths = [trie.path(k) for k in range(len(trie.leaves))]
        size = max(1, _RECTANGLE // max(1, trie.longest - 1))
        for start in range(0, len(paths), size):
            some = paths[start : start + size]
            longest = max(map(len, some)) - 1
            if longest < 1:
                continue
            ids = np.zeros((len(some), longest), dtype=np.int64)
            for row, path in enumerate(some):
                ids[row, : len(path) - 1] = path[:-1]
            copies = [
                (k[:, :, :kept].expand(len(some), -1, -1, -1), v[:, :, :kept].expand(len(some), -1, -1, -1))
                for k, v in cache
            ]
            causal = torch.ones(longest, cut + longest, dtype=torch.bool, device=decoder.device).tril(cut)
            positions = torch.arange(cut, cut + longest, device=decoder.device).expand(len(some), -1)
            hidden = decoder.extend(torch.as_tensor(ids, device=decoder.device), positions, causal, copies, cut)
            rows = np.concatenate([row * longest + np.arange(len(path) - 1) for row, path in enumerate(some)])
            tokens = np.concatenate([path[1:] for path in some])
            found = decoder.log_proba(
                hidden.flatten(0, 1),
                torch.as_tensor(rows, device=decoder.device),
                torch.as_tensor(tokens, device=decoder.device),
            )
            owner = np.repeat(np.arange(start, start + len(some)), [len(path) - 1 for path in some])
            out = out + np.bincount(owner, _numbers(found), minlength=len(paths))
        return out

    def _naive(self, ids: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        """Read every title with the whole text before it, by the network's own head: slow, and beyond doubt."""
        decoder, out = self.decoder, np.zeros((len(cuts), len(self.trie.leaves)))
        for row, cut in enumerate(cuts):
            for title in range(len(self.trie.leaves)):
                path = self.trie.path(title)
                whole = np.concatenate([np.asarray(ids[:cut], dtype=np.int64), path])
                out[row, title] = float(plain_log_proba(decoder, whole, int(cut)).sum())
        return out


def plain_log_proba(decoder: Decoder, ids: np.ndarray, cut: int) -> np.ndarray:
    """Log probability of every token after the first `cut` ones, by a plain pass of the network with its own head.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> decoder = Decoder(load_language_model("tiny", None, "float32", "cpu").network)
    >>> plain_log_proba(decoder, np.array([5, 6, 7]), 2).shape
    (1,)
    """
    with torch.inference_mode():
        inputs = decoder.front(torch.as_tensor(ids[None, :-1], device=decoder.device))
        logits = decoder.network(**inputs, use_cache=False).logits[0, decoder.soft_tokens + cut - 1 :]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        tokens = torch.as_tensor(ids[cut:], device=decoder.device)
        return _numbers(logits.log_softmax(dim=-1)[torch.arange(len(tokens)), tokens])


def choose_engine(
    scorer: Scorer, texts: Sequence[np.ndarray], wanted: Literal["auto", "tree", "kv", "naive"]
) -> Scorer:
    """Take the quickest way to read titles that is right for the network at hand.

    Parameters
    ----------
    scorer : Scorer
        Titles and network.
    texts : sequence of numpy.ndarray
        Some texts in tokens; a short one and one as long as they get.
    wanted : {"auto", "tree", "kv", "naive"}
        A way that was asked for is checked, too.

    Returns
    -------
    Scorer

    Raises
    ------
    OptionError
        If a way was asked for that is wrong for this network, or the network does to its logits what is not known here.

    Warns
    -----
    EconLLMWarning
        If the quickest way is wrong for this network, and a slower one is taken.

    Notes
    -----
    Networks differ in what they make of masks and positions, and some are silently wrong by several nats: those with
    attention by distance or with a recurrent state, for instance. Eight titles after every text are therefore compared
    with plain passes.
    """
    _check_logits(scorer, texts[0])
    if wanted == "naive":
        return Scorer(scorer.decoder, scorer.trie, "naive", scorer.tol)
    some = np.unique(np.linspace(0, len(scorer.trie.leaves) - 1, _CHECKED_TITLES).round().astype(int))
    trie = Trie.of([scorer.trie.path(k) for k in some])
    right = [Scorer(scorer.decoder, trie, "naive").score(text, [len(text)]).raw for text in texts]
    tolerance = _tolerance(scorer.decoder)
    reasons: list[str] = []
    for engine in ("tree", "kv") if wanted == "auto" else (wanted,):
        reason = _fault(Scorer(scorer.decoder, trie, engine), texts, right, tolerance)
        if reason is None:
            if reasons:
                warn(_fallback(reasons, engine), EconLLMWarning)
            return Scorer(scorer.decoder, scorer.trie, engine, scorer.tol)
        reasons.append(f"engine={engine!r} {reason}")
    if wanted != "auto":
        raise OptionError(f"{reasons[0]} for this network: use engine='auto', which takes one that is right.")
    warn(_fallback(reasons, "naive"), EconLLMWarning)
    return Scorer(scorer.decoder, scorer.trie, "naive", scorer.tol)


def _check_logits(scorer: Scorer, text: np.ndarray) -> None:
    """Raise unless training, which has logits where they count only, sees those of the network itself."""
    decoder, cut, path = scorer.decoder, len(text), scorer.trie.path(0)
    whole = torch.as_tensor(np.concatenate([text, path]).astype(np.int64), device=decoder.device)
    with torch.inference_mode():
        hidden = decoder(whole[None, :-1])[0, cut - 1 :]
        found = _numbers(decoder.log_proba(hidden, torch.arange(len(path), device=hidden.device), whole[cut:]))
    if np.abs(found - plain_log_proba(decoder, whole.cpu().numpy(), cut)).max() > _tolerance(decoder):
        raise OptionError(
            f"networks of type {decoder.network.config.model_type!r} do more to their logits than is known here, so "
            "that training and log-likelihoods would be wrong: take a model of another family."
        )


def _tolerance(decoder: Decoder) -> float:
    # Rounding differs by about as much at 16 bits as a mistake would at 32.
    return _TOLERANCES.get(decoder.dtype, 1e-4)


def _fault(scorer: Scorer, texts: Sequence[np.ndarray], right: Sequence[np.ndarray], tolerance: float) -> str | None:
    """What is wrong with a way of reading titles; None if nothing is."""
    try:
        found = [scorer.score(text, [len(text)]).raw for text in texts]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError, NotImplementedError) as error:
        # Whatever a network raises at masks, positions or caches that it does not take means the same here.
        return f"does not work ({type(error).__name__})"
    # Of very improbable titles the last digits are lost in proportion to their logs.
    gap = max(float((np.abs(a - b) / np.maximum(1.0, np.abs(b) / 10)).max()) for a, b in zip(found, right, strict=True))
    return None if gap <= tolerance else f"is off by {gap:.2g} nats"


def _fallback(reasons: Sequence[str], engine: str) -> str:
    return f"{'; '.join(reasons)} for this network: engine={engine!r} is used, which is right, but slower."


def _probable(share: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Fewest of the columns so that the sum of the others is at most what is allowed in each row."""
    order = np.argsort(-share, axis=1, kind="stable")
    sorted_share = np.take_along_axis(share, order, axis=1)
    # What is left after each column, summed from the smallest up so that no digits are lost.
    left = np.cumsum(sorted_share[:, ::-1], axis=1)[:, ::-1]
    keep = np.empty(share.shape, dtype=bool)
    np.put_along_axis(keep, order, left > allowed[:, None], axis=1)
    keep[np.arange(len(share)), order[:, 0]] = True
    return keep


def _numbers(values: Tensor) -> np.ndarray:
    out: np.ndarray = values.double().cpu().numpy()
    return out
