"""Titles as a language model writes them: free text, matched to the choice set."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.errors import OptionError, check_number, plain_value
from econllm.llm.continuation import Ending, Live, Sampling, beams, draw, starts
from econllm.llm.documents import Documents
from econllm.options import Seed, child_seed, resolve_seed
from econllm.tables import Column, Fact, Table

if TYPE_CHECKING:
    from econllm.llm.prediction import Predictor

# Similarity from which a text that is no title is taken for the nearest one, see match_titles().
SIMILAR = 0.6
# A text may have this many times the tokens of the longest title before it is broken off.
_LONGER = 2
_SHOWN = 20


@dataclass(frozen=True, repr=False)
class Generated:
    """Titles as a language model wrote them. The texts are for the eye only: nothing saves them.

    Attributes
    ----------
    frame : pandas.DataFrame
        Indexed as the rows, each repeated: `draw` from 1 on (with beams, the most probable first), `text`, `outcome`
        (code, or missing) and `match`, which is "exact", "nearest" or "none".
    choices : ChoiceSet
        The occupations or labels.

    Examples
    --------
    >>> texts = {"draw": [1, 2], "text": ["Cook", "Coke"], "outcome": [7, 7], "match": ["exact", "nearest"]}
    >>> Generated(pd.DataFrame(texts), ChoiceSet([7], ["Cook"]))
    <Generated: 2 texts, 50.0% are no titles>
    """

    frame: pd.DataFrame
    choices: ChoiceSet

    @property
    def invalid(self) -> float:
        """Share of the texts that are no titles of the choice set."""
        return float((self.frame["match"] != "exact").mean())

    def summary(self) -> Table:
        """Show the first texts as a table; ``print(generated)`` shows it.

        Returns
        -------
        Table
        """
        shown = self.frame.head(_SHOWN)
        titles = ["" if pd.isna(code) else self.choices.title(code) for code in shown["outcome"]]
        labels = [str(plain_value(label)) for label in shown.index]
        rows = list(zip(labels, shown["draw"], shown["text"], titles, shown["match"], strict=True))
        kinds = self.frame["match"].value_counts(normalize=True)
        facts = [Fact("Texts", len(self.frame), ",d"), Fact("No titles", self.invalid, ".1%")]
        facts += [Fact(f"Match: {kind}", float(kinds.get(kind, 0.0)), ".1%") for kind in ("nearest", "none")]
        left = len(self.frame) - len(shown)
        notes = [f"and {left:,} more texts"] if left else []
        columns = [Column("draw", "d"), Column("text"), Column("title"), Column("match")]
        return Table(columns, rows, title="Generated titles", header="row", facts=facts, notes=notes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<Generated: {len(self.frame):,} texts, {self.invalid:.1%} are no titles>"

    def _repr_html_(self) -> str:
        return self.summary().to_html()


@dataclass(frozen=True, repr=False)
class SampledProba:
    """Probabilities of titles as their frequencies among draws.

    Attributes
    ----------
    proba : pandas.DataFrame of float64, shape (rows, choices)
        Share of the draws that were matched to each title, exactly or as the nearest. Rows sum to less than one where
        draws were matched to none.
    std_errors : pandas.DataFrame of float64, shape (rows, choices)
        Monte Carlo standard errors, sqrt(p (1 - p) / draws).
    draws : int
        Texts per row.
    invalid : float
        Share of all texts that are no titles of the choice set.
    choices : ChoiceSet
        The occupations or labels.

    Examples
    --------
    >>> p = pd.DataFrame([[0.9, 0.1]], columns=[7, 8])
    >>> SampledProba(p, (p * (1 - p) / 100) ** 0.5, 100, 0.02, ChoiceSet([7, 8], ["Cook", "Clerk"]))
    <SampledProba: 1 rows, 100 draws, 2.0% are no titles>
    """

    proba: pd.DataFrame
    std_errors: pd.DataFrame
    draws: int
    invalid: float
    choices: ChoiceSet

    def summary(self) -> Table:
        """Show the most frequent titles as a table; ``print(sampled)`` shows it.

        Returns
        -------
        Table
        """
        means = self.proba.to_numpy().mean(axis=0)
        errors = np.sqrt((self.std_errors.to_numpy() ** 2).sum(axis=0)) / len(self.proba)
        best = np.argsort(-means, kind="stable")[:_SHOWN]
        rows = [(self.choices.titles[k], means[k], errors[k]) for k in best if means[k] > 0]
        facts = [
            Fact("Rows", len(self.proba), ",d"),
            Fact("Draws per row", self.draws, ",d"),
            Fact("No titles", self.invalid, ".1%"),
            Fact("Zero probabilities", float((self.proba.to_numpy() == 0).mean()), ".1%"),
        ]
        notes = [
            "share: mean over rows; std. error: of the draws only, given the rows and the model.",
            "A title that was never drawn has probability zero, so that the perplexity is infinite if it happened.",
        ]
        columns = [Column("share", ".4f"), Column("std. error", ".4f")]
        return Table(columns, rows, title="Sampled probabilities", header="title", facts=facts, notes=notes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        shape = f"{len(self.proba):,} rows, {self.draws:,} draws"
        return f"<SampledProba: {shape}, {self.invalid:.1%} are no titles>"

    def _repr_html_(self) -> str:
        return self.summary().to_html()


def generate(
    predictor: Predictor,
    documents: Documents,
    index: pd.Index,
    n: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    num_beams: int = 1,
    seed: Seed = None,
) -> Generated:
    """Have titles written as free text.

    Parameters
    ----------
    predictor : Predictor
        The language model and its titles.
    documents : Documents
        The rows as tokens.
    index : pandas.Index
        Labels of the rows.
    n : int
        Texts per row.
    temperature : float
        Log probabilities of tokens are divided by it; 0 takes the most probable token.
    top_k : int, optional
        Draw only among so many of the most probable tokens.
    top_p : float, optional
        Draw only among the fewest tokens that together have this probability.
    num_beams : int
        With more than one, nothing is drawn: the `n` most probable texts that a search with so many beams finds.
    seed : int, SeedSequence, Generator or None
        Source of draws.

    Returns
    -------
    Generated

    Raises
    ------
    OptionError
        For a value that is not allowed, options of draws with beams, or fewer beams than texts.

    Notes
    -----
    A text goes on until what ends a title, a token that ends all texts, or twice the tokens of the longest title.
    Without filters and at temperature one, the probability of a title with its end is that of the chain rule, but for
    other tokens that spell the same text. A row's draws depend on the seed, its label and its text, and not on which
    other rows are asked for, but for rounding. The temperature of probabilities over titles has no part in this.
    """
    sampling = Sampling(temperature, top_k, top_p)
    check_number("n", n, minimum=1, integer=True)
    check_number("num_beams", num_beams, minimum=1, integer=True)
    if num_beams > 1 and sampling != Sampling():
        raise OptionError("temperature=, top_k= and top_p= are for draws, and num_beams= draws nothing: give one.")
    if num_beams > 1 and n > num_beams:
        raise OptionError(f"n={n} texts cannot come from num_beams={num_beams}: give at least {n} beams.")
    numbers = _row_seeds(resolve_seed(seed), index)

    def ask(start: Live, ending: Ending, row: int) -> list[str]:
        if num_beams > 1:
            return beams(start, ending, num_beams)[:n]
        return draw(start, ending, sampling, np.random.default_rng(numbers[row]).random((n, ending.limit)))

    rows = _written(predictor, documents, ask)
    counts, texts = [len(row) for row in rows], [text for row in rows for text in row]
    positions, kinds = match_titles(texts, predictor.titles)
    frame = pd.DataFrame(
        {
            "draw": [k + 1 for count in counts for k in range(count)],
            "text": texts,
            "outcome": _codes(predictor.choices, positions),
            "match": kinds,
        }
    ).set_index(index.repeat(counts))
    return Generated(frame, predictor.choices)


def sampled_proba(
    predictor: Predictor, documents: Documents, index: pd.Index, draws: int, temperature: float = 1.0, seed: Seed = None
) -> SampledProba:
    """Probabilities of titles as their frequencies among draws.

    Parameters
    ----------
    predictor, documents, index
        As :func:`generate` takes them.
    draws : int
        Texts per row.
    temperature : float
        Log probabilities of tokens are divided by it.
    seed : int, SeedSequence, Generator or None
        Source of draws.

    Returns
    -------
    SampledProba

    Raises
    ------
    OptionError
        For a value that is not allowed.
    """
    check_number("draws", draws, minimum=1, integer=True)
    found = generate(predictor, documents, index, draws, temperature, seed=seed)
    choices = predictor.choices
    codes = found.frame["outcome"]
    positions = np.full(len(codes), len(choices), dtype=np.int64)
    matched = codes.notna().to_numpy()
    positions[matched] = choices.positions(codes[matched])
    counts = np.zeros((len(index), len(choices) + 1))
    np.add.at(counts, (np.repeat(np.arange(len(index)), draws), positions), 1)
    proba = pd.DataFrame(counts[:, :-1] / draws, index=index, columns=choices.index)
    return SampledProba(proba, (proba * (1 - proba) / draws) ** 0.5, draws, found.invalid, choices)


def match_titles(texts: Sequence[str], titles: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Find the titles that texts mean.

    Parameters
    ----------
    texts : sequence of str
        As a model wrote them, without blanks around them.
    titles : sequence of str
        Distinct titles.

    Returns
    -------
    positions : numpy.ndarray of int64, shape (texts,)
        Of the title; -1 for none.
    kinds : list of str
        "exact", "nearest" or "none".

    Notes
    -----
    The similarity of two texts is twice the number of characters that they share in order, by Ratcliff and Obershelp's
    way of matching, over the number of all their characters; capitals count as small letters. The nearest title is
    taken from a similarity of 0.6. Titles without letters, such as codes, are matched exactly or not at all: a code
    that looks alike is of another occupation.

    Examples
    --------
    >>> positions, kinds = match_titles(["Cook", "cooks", "Astronaut"], ["Clerk", "Cook"])
    >>> positions.tolist(), kinds
    ([1, 1, -1], ['exact', 'nearest', 'none'])
    """
    exact = {title: k for k, title in enumerate(titles)}
    worded = {title.casefold(): k for k, title in enumerate(titles) if any(map(str.isalpha, title))}
    known: dict[str, tuple[int, str]] = {}
    for text in dict.fromkeys(texts):
        if text in exact:
            known[text] = exact[text], "exact"
        else:
            near = difflib.get_close_matches(text.casefold(), worded, n=1, cutoff=SIMILAR)
            known[text] = (worded[near[0]], "nearest") if near else (-1, "none")
    return np.array([known[text][0] for text in texts], dtype=np.int64), [known[text][1] for text in texts]


def _written(
    predictor: Predictor, documents: Documents, ask: Callable[[Live, Ending, int], list[str]]
) -> list[list[str]]:
    """Texts of every row."""
    from tqdm.auto import tqdm

    decoder, language = predictor.decoder, predictor.words.language
    longest, room = _LONGER * documents.trie.longest, language.context - decoder.soft_tokens
    stops = _stops(language.tokenizer, decoder.network)
    remember = predictor.scorer.engine != "naive"
    out: list[list[str]] = [[] for _ in documents.truncated]
    for item in tqdm(documents.items, unit=" texts", desc="writing titles", leave=False, disable=None, delay=2):
        for start, row in zip(starts(decoder, item.ids, item.cuts, remember), item.rows, strict=True):
            limit = min(longest, room - start.ids.shape[1])
            out[row] = ask(start, Ending(language.tokenizer, predictor.ends[1], limit, stops), int(row))
    return out


def _stops(tokenizer: object, network: object) -> frozenset[int]:
    """Tokens that end any text, by the tokenizer and by the network's own settings, which name one or several."""
    named = getattr(getattr(network, "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    return frozenset(k for k in (*several, getattr(tokenizer, "eos_token_id", None)) if k is not None)


def _row_seeds(root: np.random.SeedSequence, index: pd.Index) -> list[np.random.SeedSequence]:
    """A seed for every row, by its label and how many rows before it have the same."""
    seen: Counter[Hashable] = Counter()
    out = []
    for label in index:
        digest = hashlib.sha256(repr(plain_value(label)).encode()).digest()
        out.append(child_seed(child_seed(root, int.from_bytes(digest[:8], "little")), seen[label]))
        seen[label] += 1
    return out


def _codes(choices: ChoiceSet, positions: np.ndarray) -> pd.Series:
    """Codes at some positions, missing at -1."""
    codes = pd.Series(choices.index).reindex(positions)
    return codes.astype("Int64" if choices.index.dtype == "int64" else "object").reset_index(drop=True)
