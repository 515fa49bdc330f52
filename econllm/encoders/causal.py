"""Vectors from causal language models: one pass over a text serves all its beginnings.

A token of a causal model sees only those before it. What it gives for the beginning of a text is therefore what it
gives at that place of the whole text, and all résumés of a person cost one pass over the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from econllm.encoders.language import LanguageModel
from econllm.encoders.network import special_tokens
from econllm.encoders.tokens import CHECKED_RESUMES, TextTokens, Tokens, quiet_fork, token_ids
from econllm.errors import DataError, OptionError
from econllm.options import Pooling
from econllm.text.resume import Resume

# Character positions come as Python objects, a hundred times larger than the text.
_CHUNK = 256
# Relative change of a token's state, after changes of later tokens, that rounding to bfloat16 explains.
_ROUNDING = 0.02


class Pass(NamedTuple):
    """One pass of the network and the texts it serves.

    Attributes
    ----------
    tokens : ndarray of int32
        What it reads, special tokens not included.
    texts : ndarray of int64, shape (m,)
        Positions of the texts that are beginnings of it.
    ends : ndarray of int64, shape (m,)
        How many of the tokens each of them has.

    Examples
    --------
    >>> Pass(np.array([5, 2, 7]), texts=np.array([1, 0]), ends=np.array([3, 2])).ends
    array([3, 2])
    """

    tokens: Tokens
    texts: np.ndarray
    ends: np.ndarray


def find_chains(texts: Sequence[str | Resume]) -> list[list[int]]:
    r"""Group texts so that in every group each is the beginning of the one before it.

    Parameters
    ----------
    texts : sequence of str or Resume
        In any order. The last piece of a résumé may be the beginning of a piece of another one; plain texts and
        résumés are not compared.

    Returns
    -------
    list of list of int
        Positions, the longest text of each group first; every text is in one group.

    Notes
    -----
    In lexical order, whatever begins with a text follows it at once. So a text is the beginning of its successor or
    of none.

    Examples
    --------
    >>> find_chains(["a cook", "a nurse", "a", "a nurse in 1980"])
    [[3, 1], [0, 2]]
    >>> find_chains([Resume("A.\n", ("1980: Cook\n", "1981:")), Resume("A.\n", ("1980:",))])
    [[0, 1]]
    """
    pieces = [(text,) if isinstance(text, str) else (text.header, *text.records) for text in texts]
    chains: list[list[int]] = []
    longer: tuple[str, ...] = ()
    for row in sorted(range(len(pieces)), key=pieces.__getitem__, reverse=True):
        *whole, last = pieces[row]
        place = len(whole)
        if len(longer) > place and longer[place].startswith(last) and longer[:place] == tuple(whole):
            chains[-1].append(row)
        else:
            chains.append([row])
        longer = pieces[row]
    return chains


def plan_passes(
    texts: Sequence[str | Resume], tokenizer: Any, budget: int, share: bool = True
) -> tuple[list[Pass], np.ndarray]:
    """Plan as few passes as serve all texts.

    Parameters
    ----------
    texts : sequence of str or Resume
        Different texts.
    tokenizer : transformers tokenizer
        One without character positions is slower, since every text is tokenised by itself.
    budget : int
        Most tokens per pass, special tokens not counted.
    share : bool
        Whether texts share passes at all.

    Returns
    -------
    passes : list of Pass
        Every text is in one of them.
    truncated : ndarray of bool, shape (n,)
        Whether the text has more tokens than `budget`. Résumés then keep their header and newest records and have a
        pass of their own, plain texts keep their beginning.

    Notes
    -----
    A text shares the pass of a longer one only if its own tokens are the first of the longer one's. That is so where a
    token of the longer text ends at the text's last character: no merge crosses that place, so tokens in front of it
    are the same with and without what follows. Where no token ends there the text is tokenised by itself and
    compared; so is a spread of the other texts, and all of them should one of the spread differ.

    Examples
    --------
    >>> plan_passes(["a cook", "a"], tokenizer, 256)[0][0].ends  # doctest: +SKIP
    array([2, 1])
    """
    chains = find_chains(texts) if share else [[row] for row in range(len(texts))]
    whole, counts = _read_chains(texts, tokenizer, chains)
    apart = _compare(texts, tokenizer, chains, whole, counts)
    truncated = counts > budget
    ends = np.minimum(counts, budget)
    cut = truncated & [isinstance(text, Resume) for text in texts]
    passes = []
    for chain, ids in zip(chains, whole, strict=True):
        rows = np.array([row for row in chain if not cut[row] and row not in apart], dtype=np.int64)
        if len(rows):
            passes.append(Pass(ids[: ends[rows].max()], rows, ends[rows]))
    passes += [_lone(row, ids[:budget]) for row, ids in apart.items() if not cut[row]]
    long = np.flatnonzero(cut).tolist()
    shortened, _ = TextTokens(tokenizer, budget).encode([texts[row] for row in long])
    passes += [_lone(row, np.concatenate(ids)) for row, ids in zip(long, shortened, strict=True)]
    return passes, truncated


def _lone(row: int, ids: Tokens) -> Pass:
    return Pass(ids, np.array([row]), np.array([len(ids)]))


def _text(text: str | Resume) -> str:
    return text if isinstance(text, str) else text.text


def _read_chains(
    texts: Sequence[str | Resume], tokenizer: Any, chains: list[list[int]]
) -> tuple[list[Tokens], np.ndarray]:
    """Tokens of the longest text of every chain, and how many of them each text has; -1 where that is not clear."""
    counts = np.full(len(texts), -1, dtype=np.int64)
    whole: list[Tokens] = []
    positions = bool(getattr(tokenizer, "is_fast", False))
    for start in range(0, len(chains), _CHUNK):
        part = chains[start : start + _CHUNK]
        with quiet_fork():
            found = tokenizer(
                [_text(texts[chain[0]]) for chain in part],
                add_special_tokens=False,
                return_offsets_mapping=positions,
                verbose=False,
            )
        for i, chain in enumerate(part):
            whole.append(np.asarray(found["input_ids"][i], dtype=np.int32))
            if positions and len(chain) > 1:
                counts[chain] = _cuts(found["offset_mapping"][i], [_characters(texts[row]) for row in chain])
            counts[chain[0]] = len(whole[-1])
    return whole, counts


def _characters(text: str | Resume) -> int:
    return len(text) if isinstance(text, str) else len(text.header) + sum(map(len, text.records))


def _cuts(offsets: Sequence[tuple[int, int]], lengths: Sequence[int]) -> np.ndarray:
    """Number of tokens in the first characters of a text, -1 where no token ends with the last of them."""
    starts, ends = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
    if not len(ends) or (np.diff(ends) < 0).any():
        return np.full(len(lengths), -1)
    cuts = np.searchsorted(ends, lengths, side="right")
    clean = (cuts > 0) & (ends[cuts - 1] == lengths) & (np.append(starts, ends[-1])[cuts] >= lengths)
    return np.where(clean, cuts, -1)


def _compare(
    texts: Sequence[str | Resume], tokenizer: Any, chains: list[list[int]], whole: list[Tokens], counts: np.ndarray
) -> dict[int, Tokens]:
    """Tokenise by themselves the texts of unclear length and a spread of the others, and mend their counts.

    Returns
    -------
    dict of int to ndarray
        Tokens of the texts that are not the first tokens of their chain.
    """
    chain_of = {row: i for i, chain in enumerate(chains) for row in chain}
    apart: dict[int, Tokens] = {}

    def agree(rows: list[int]) -> bool:
        """Whether the counts of some texts were right and their tokens those of their chain."""
        sound = True
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            for row, ids in zip(part, token_ids(tokenizer, [_text(texts[row]) for row in part]), strict=True):
                same = np.array_equal(ids, whole[chain_of[row]][: len(ids)])
                sound = sound and same and counts[row] == len(ids)
                counts[row] = len(ids)
                if not same:
                    apart[row] = ids
        return sound

    unclear = np.flatnonzero(counts < 0).tolist()
    longest = [chain[0] for chain in chains]
    others = np.setdiff1d(np.flatnonzero(counts >= 0), longest).tolist()
    if not agree(others[:: max(1, len(others) // CHECKED_RESUMES)]):
        agree(others)
    agree(unclear)
    return apart


@dataclass(frozen=True, eq=False)
class CausalNetwork:
    """A causal language model as an encoder.

    Attributes
    ----------
    language : LanguageModel
        The model in memory.
    pooling : {"last", "mean"}
        The state of a text's last token, or the mean over its tokens without special ones.
    layer : int
        Whose states: -1 after the last layer and the final normalisation, 0 the embeddings of the tokens, k layer k.
    normalize : bool
        Whether vectors have length one.
    closing : ndarray of int
        Special tokens after every text; where there are any no two texts share a pass, and the last token is theirs.
    dimension : int
        Length of a vector.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> model = load_language_model("tiny", None, "float32", "cpu")  # doctest: +SKIP
    >>> network = CausalNetwork.build(model, "last", -1, normalize=False)  # doctest: +SKIP
    >>> passes, _ = network.plan(["A cook", "A cook in 1980"], budget=256)  # doctest: +SKIP
    >>> network.encode(passes).shape == (2, network.dimension)  # doctest: +SKIP
    True
    """

    language: LanguageModel
    pooling: Pooling
    layer: int
    normalize: bool
    closing: np.ndarray
    dimension: int

    @classmethod
    def build(cls, language: LanguageModel, pooling: Pooling, layer: int, normalize: bool) -> CausalNetwork:
        """Check that the network has such a layer, and that its tokens do not see later ones.

        Raises
        ------
        OptionError
            If it has not, or they do.
        """
        config = language.network.config.get_text_config()
        layers = int(config.num_hidden_layers)
        name = language.files.folder.name
        if layer > layers:
            raise OptionError(
                f"layer={layer} is not a layer of model {name!r}: give -1 (after the final normalisation) or a number "
                f"from 0 (embeddings of the tokens) to {layers}."
            )
        _, closing = special_tokens(language.tokenizer)
        network = cls(language, pooling, layer, normalize, closing, 0)
        ids = np.array([[0, 1, 2, 3], [0, 1, config.vocab_size - 1, config.vocab_size - 2]])
        states = network._states(ids).float()
        if (states[0, :2] - states[1, :2]).norm() > _ROUNDING * states[:, :2].norm():
            raise OptionError(
                f"model {name!r} is no causal language model, whatever its configuration says: what it gives for a "
                "token depends on later ones."
            )
        return replace(network, dimension=int(states.shape[-1]))

    @property
    def specials(self) -> int:
        """Number of special tokens per text."""
        return len(self.language.opening) + len(self.closing)

    def plan(self, texts: Sequence[str | Resume], budget: int) -> tuple[list[Pass], np.ndarray]:
        """Passes that serve all texts, as :func:`plan_passes` plans them.

        Raises
        ------
        DataError
            If a text is empty and the model has no special token that it could read instead.
        """
        passes, truncated = plan_passes(texts, self.language.tokenizer, budget, share=not len(self.closing))
        if not self.specials and any((one.ends == 0).any() for one in passes):
            raise DataError(
                f"a text is empty, and model {self.language.files.folder.name!r} has no token with which it begins "
                "every text, so it would read nothing: drop the rows with empty texts, or put a word there."
            )
        return passes, truncated

    def encode(self, passes: Sequence[Pass]) -> np.ndarray:
        """Vectors of the texts of some passes, run as one batch.

        Returns
        -------
        ndarray of float32 (of float64 where the network computes in it), shape (texts, dimension)
            In the order of the passes and of the texts in each.
        """
        import torch

        sequences = [np.concatenate([self.language.opening, one.tokens, self.closing]) for one in passes]
        # What is padded on the right comes after all tokens, so none of them sees it.
        ids = np.zeros((len(passes), max(map(len, sequences))), dtype=np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
        with torch.inference_mode():
            states = self._states(ids)
            vectors = torch.cat([self._pool(states[row], one.ends) for row, one in enumerate(passes)])
            if self.normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
            array: np.ndarray = vectors.cpu().numpy()
        return array

    def _states(self, ids: np.ndarray) -> Any:
        """States of the chosen layer, shape (texts, tokens, dimension)."""
        import torch

        network = self.language.network
        given = torch.from_numpy(ids).to(network.device)
        with torch.inference_mode():
            if self.layer < 0:
                return network.base_model(input_ids=given, use_cache=False).last_hidden_state
            found = network.base_model(input_ids=given, use_cache=False, output_hidden_states=[self.layer])
            return found.hidden_states[self.layer]

    def _pool(self, states: Any, ends: np.ndarray) -> Any:
        """Vectors of the texts of one pass, in float32 or better: sums over many tokens lose digits in bfloat16."""
        import torch

        first = len(self.language.opening)
        wide = torch.promote_types(states.dtype, torch.float32)
        counts = torch.from_numpy(ends).to(states.device)
        vectors = states[first + counts - 1 + len(self.closing)].to(wide)
        if self.pooling == "mean":
            # A text without tokens keeps the state of the special ones.
            some = counts > 0
            sums = states[first:].cumsum(dim=0, dtype=wide)
            vectors[some] = sums[counts[some] - 1] / counts[some].unsqueeze(1)
        return vectors
