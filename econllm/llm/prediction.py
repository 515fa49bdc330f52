"""A language model with its titles and wording: from data to log probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from econllm.choices import ChoiceSet
from econllm.encoders.language import LanguageModel
from econllm.errors import DataError
from econllm.llm.decoder import Decoder
from econllm.llm.documents import Documents, Pieces, read_documents, title_trie
from econllm.llm.likelihood import realised
from econllm.llm.prompts import Wording, word_frame, word_panel
from econllm.llm.scoring import Scorer
from econllm.llm.trie import Trie
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.text import Resume, ResumeTemplate

if TYPE_CHECKING:
    from econllm.llm.examples import Examples
    from econllm.llm.prompts import Prompt

# Padded tokens that are read at a time. On a CPU larger batches overflow its caches.
_BATCH_TOKENS = {"cpu": 4096}
# Tokens that titles may have beyond a plain count of theirs, when examples are fitted into a context.
_MARGIN = 8


@dataclass(frozen=True, eq=False)
class Words:
    """How data become text for a language model: everything that must be the same in prediction as in estimation.

    Attributes
    ----------
    language : LanguageModel
        Its tokenizer, and how much it reads.
    formula : str or None
        Of a data frame.
    prompt : Prompt or None
        What stands before résumés.
    examples : Examples or None
        Of the estimation sample; in memory only. None after loading, empty after pickling.
    template : ResumeTemplate or None
        Of résumés; None for data frames.
    limit : int
        Most tokens that are read.
    shown : tuple of str or None
        Columns that résumés show; None for data frames.
    examples_digest : str or None
        What the examples of the fit are recognised by when they are given again.
    """

    language: LanguageModel
    formula: str | None
    prompt: Prompt | None
    examples: Examples | None
    template: ResumeTemplate | None
    limit: int
    shown: tuple[str, ...] | None
    examples_digest: str | None = None

    def wording(self, data: Data, choices: ChoiceSet) -> Wording:
        """Put the rows of data into words."""
        tokenizer = self.language.tokenizer
        if isinstance(data, CareerPanel):
            assert self.template is not None
            panel = data.with_template(self.template)
            shown = self.template.shown(panel.text_columns)
            if shown != self.shown:
                raise DataError(
                    f"the résumés of this panel show the columns {', '.join(shown)}, and those of estimation "
                    f"{', '.join(self.shown or ())}: give the panel the same static, dynamic and lagged columns."
                )
            return word_panel(panel, self.prompt, self.examples, tokenizer, self._fits(choices), choices)
        assert self.formula is not None
        return word_frame(data, self.formula, choices, self.prompt, self.examples, tokenizer, self._fits(choices))

    def _fits(self, choices: ChoiceSet) -> Any:
        """Whether header and last record of a résumé leave room for a title."""
        cutter = Pieces(self.language.tokenizer)
        longest = max(len(ids) for ids in cutter.tokens(f" {title}" for title in choices.titles).values())
        room = self.limit - len(self.language.opening) - longest - _MARGIN

        # The rows of a person have one header.
        @lru_cache(maxsize=8)
        def front(header: str) -> int:
            return len(cutter.tokens([header], front=True)[header])

        def fits(resume: Resume) -> bool:
            last = cutter.tokens(resume.records[-1:])
            return front(resume.header) + sum(map(len, last.values())) <= room

        return fits


@dataclass(frozen=True, eq=False)
class Predictor:
    """What predicts: words, titles in tokens, a network, and how its scores become probabilities.

    Attributes
    ----------
    words : Words
        How data become text.
    choices : ChoiceSet
        The occupations or labels.
    titles : tuple of str
        What is printed for each of them.
    scorer : Scorer
        The network and the tree of titles.
    ends : tuple of str
        What stands before a title and what ends it.
    normalize : bool
        Whether probabilities of titles are divided by their sum.
    temperature : float
        By which their logs are divided first.
    """

    words: Words
    choices: ChoiceSet
    titles: tuple[str, ...]
    scorer: Scorer
    ends: tuple[str, str]
    normalize: bool
    temperature: float = 1.0

    @property
    def decoder(self) -> Decoder:
        """The network."""
        return self.scorer.decoder

    @property
    def trie(self) -> Trie:
        """The titles in tokens."""
        return self.scorer.trie

    @property
    def batch_tokens(self) -> int:
        """Padded tokens that are read at a time."""
        return _BATCH_TOKENS.get(self.decoder.device.type, 32_768)

    @classmethod
    def of(cls, words: Words, choices: ChoiceSet, wording: Wording, decoder: Decoder, normalize: bool) -> Predictor:
        """Read the titles."""
        trie = title_trie(words.language.tokenizer, wording)
        ends = (wording.lead, wording.terminator)
        return cls(words, choices, wording.titles, Scorer(decoder, trie), ends, normalize)

    def documents(self, data: Data, outcome: np.ndarray | None, wording: Wording | None = None) -> Documents:
        """The rows of data as tokens.

        Raises
        ------
        DataError
            If titles end in another way than in estimation, because the panel has other columns.
        """
        worded = self.words.wording(data, self.choices) if wording is None else wording
        if (worded.lead, worded.terminator) != self.ends:
            raise DataError(
                f"titles of these résumés end with {worded.terminator!r}, and with {self.ends[1]!r} in estimation: the "
                "panels must have the same lagged columns and template."
            )
        language = self.words.language
        return read_documents(language.tokenizer, language.opening, worded, self.trie, outcome, self.words.limit)

    def raw(self, documents: Documents) -> tuple[np.ndarray, np.ndarray]:
        """Log P(title) of all titles by the chain rule, not normalised, and what pruning may have cost.

        Returns
        -------
        raw : numpy.ndarray of float64, shape (rows, titles)
        bound : numpy.ndarray of float64, shape (rows,)
        """
        rows = len(documents.truncated)
        raw, bound = np.empty((rows, len(self.choices))), np.empty(rows)
        for item in _with_bar(documents):
            found = self.scorer.score(item.ids, item.cuts)
            raw[item.rows], bound[item.rows] = found.raw, found.bound
        return raw, bound

    def log_proba(self, documents: Documents) -> np.ndarray:
        """Log probabilities of all titles, shape (rows, titles)."""
        raw = self.raw(documents)[0]
        return tempered(raw, self.temperature) if self.normalize else raw

    def log_likelihood(self, documents: Documents) -> np.ndarray:
        """Log probability of what happened, shape (rows,); without normalisation one plain pass per document."""
        if not self.normalize:
            return realised(self.decoder, documents, self.batch_tokens)
        assert documents.outcome is not None
        out: np.ndarray = self.log_proba(documents)[np.arange(len(documents.truncated)), documents.outcome]
        return out

    def title_mass(self, documents: Documents) -> np.ndarray:
        """Sum of P(title) over titles, shape (rows,)."""
        out: np.ndarray = np.exp(logsumexp(self.raw(documents)[0], axis=1))
        return out

    def with_temperature(self, documents: Documents, weights: np.ndarray) -> Predictor:
        """The same with the temperature that makes what happened most probable, rows weighted."""
        assert documents.outcome is not None
        return replace(self, temperature=best_temperature(self.raw(documents)[0], documents.outcome, weights))


def tempered(raw: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities in proportion to P^(1 / temperature).

    Parameters
    ----------
    raw : numpy.ndarray of float64, shape (n, titles)
        Log P(title), normalised or not.
    temperature : float
        One leaves their proportions as they are.

    Returns
    -------
    numpy.ndarray of float64, shape (n, titles)

    Examples
    --------
    >>> np.exp(tempered(np.log([[0.1, 0.4]]), 1.0)).round(3).tolist()
    [[0.2, 0.8]]
    """
    out: np.ndarray = log_softmax(raw / temperature, axis=1)
    return out


def best_temperature(raw: np.ndarray, outcome: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Temperature with the largest log-likelihood, between 0.05 and 20.

    Parameters
    ----------
    raw : numpy.ndarray of float64, shape (n, titles)
    outcome : numpy.ndarray of int64, shape (n,)
    weights : numpy.ndarray of float64, shape (n,), optional
        Of the rows; equal by default.

    Returns
    -------
    float

    Notes
    -----
    Temperature scaling (Guo et al., On calibration of modern neural networks, ICML 2017), over titles. In the log of
    the inverse temperature the likelihood has one maximum.

    Examples
    --------
    >>> raw = np.log([[0.9, 0.1]] * 4)
    >>> round(best_temperature(raw, np.array([0, 0, 0, 1])), 2)
    2.0
    """
    rows = np.arange(len(outcome))

    def loss(log_inverse: float) -> float:
        return -float(np.average(tempered(raw, np.exp(-log_inverse))[rows, outcome], weights=weights))

    found = minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))


def _with_bar(documents: Documents) -> Any:
    """Documents one by one, with a bar for long work."""
    from tqdm.auto import tqdm

    return tqdm(documents.items, unit=" texts", desc="scoring titles", leave=False, disable=None, delay=2)
