"""Examples for prompts: whole careers, or answered texts, of the estimation sample, drawn or retrieved by likeness."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet, plain_code
from econllm.encoders import SentenceEncoder, resolve_encoder
from econllm.errors import DataError
from econllm.llm.frames import parse_formula, questions, texts_of
from econllm.llm.prompts import Select
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.sample import read_sample
from econllm.text import Resume

# Rows whose similarities to all candidates are held at a time.
_CHUNK = 1024


class Example(NamedTuple):
    r"""The career of another person, or an answered text, in the pieces that prompts need.

    Attributes
    ----------
    resume : Resume
        Everything before the last title, in pieces.
    title : str
        The last title: the answer in a conversation.
    rest : str
        What follows it: details of the record, the line break, the end line.

    Examples
    --------
    >>> Example(Resume("A career.\n", ("1980: Cook\n", "1981:")), "Clerk", "\nThe end.\n").newest(1).text
    'A career.\n1981: Clerk\nThe end.\n'
    """

    resume: Resume
    title: str
    rest: str

    @property
    def text(self) -> str:
        """The pieces joined."""
        return f"{self.resume.text} {self.title}{self.rest}"

    @property
    def whole(self) -> Resume:
        """The same in pieces, as an encoder reads it: what is too long keeps its newest records."""
        *earlier, last = self.resume.records
        return Resume(self.resume.header, (*earlier, f"{last} {self.title}{self.rest}"))

    def newest(self, records: int | None) -> Example:
        """Keep the header and the newest records; all of them for None."""
        if records is None:
            return self
        return self._replace(resume=Resume(self.resume.header, self.resume.records[-records:]))


class Examples:
    """Whatever an estimation sample offers as examples, one per person or text. Kept in memory, never saved.

    Parameters
    ----------
    keys : sequence of hashable
        Whose example it is: the person in the data (origin), or the text itself. The first of equal keys counts.
    examples : sequence of Example
        One per key.
    texts : sequence of str or Resume
        What likeness is judged by, one per key.
    seed : int, SeedSequence, Generator or None
        Decides which are drawn.

    Notes
    -----
    A pickle or copy holds no examples: they are rows of the data. What is predicted never gets an example with its own
    key, so that no prompt holds the person's own career, and none of a person outside the estimation sample.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 2, 2], "year": [2000, 2000, 2001], "job": ["Clerk", "Cook", "Clerk"]})
    >>> held = Examples.of_panel(CareerPanel(df, "id", "year", "job"), seed=0)
    >>> print(held.choose([1], [], 1, "random")[0][0].resume.records[0].strip())
    2000: Cook
    """

    def __init__(
        self, keys: Sequence[Any], examples: Sequence[Example], texts: Sequence[str | Resume], seed: Seed
    ) -> None:
        first: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            first.setdefault(plain_code(key), row)
        self._position = {key: i for i, key in enumerate(first)}
        self._examples = [examples[row] for row in first.values()]
        self._texts = [texts[row] for row in first.values()]
        self._entropy = tuple(resolve_seed(seed).generate_state(4).tolist())

    @classmethod
    def of_panel(cls, panel: CareerPanel, seed: Seed) -> Examples:
        """Take the full résumé of every person.

        Parameters
        ----------
        panel : CareerPanel
            Estimation sample; of a resampled one every person in the data counts once.
        seed : int, SeedSequence, Generator or None
            Decides which are drawn.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 2], "year": 2000, "job": ["Clerk", "Cook"]})
        >>> len(Examples.of_panel(CareerPanel(df, "id", "year", "job"), seed=0))
        2
        """
        persons, resumes, outcome = panel.person_ids, panel.resumes(), panel.outcome
        last = np.flatnonzero(np.append(persons[1:] != persons[:-1], True))
        titles = panel.template.outcome_texts(panel.choices, panel.text_columns)
        examples = []
        for row, full in zip(last.tolist(), panel.resumes(full=True), strict=True):
            resume, title = resumes[row], titles[outcome[row]]
            examples.append(Example(resume, title, full[len(f"{resume.text} {title}") :]))
        origin = panel.origin_ids[last]
        # In the order of persons in the data, so that a draw does not depend on how a resample numbered them.
        order = np.argsort(origin, kind="stable")
        examples = [examples[i] for i in order]
        return cls(list(origin[order]), examples, [example.whole for example in examples], seed)

    @classmethod
    def of_frame(cls, frame: pd.DataFrame, formula: str, choices: ChoiceSet, seed: Seed) -> Examples:
        r"""Take every text with its label; of equal texts the first.

        Parameters
        ----------
        frame : pandas.DataFrame
            Estimation sample.
        formula : str
            As in ``"sentiment ~ sentence"``.
        choices : ChoiceSet
            The labels.
        seed : int, SeedSequence, Generator or None
            Decides which are drawn.

        Raises
        ------
        FormulaError, MissingColumnError, DataError
            If the formula is not of this form, a column is absent, or texts or labels are missing.

        Examples
        --------
        >>> df = pd.DataFrame({"s": ["Good.", "Bad."], "y": ["pos", "neg"]})
        >>> held = Examples.of_frame(df, "y ~ s", ChoiceSet(["neg", "pos"]), seed=0)
        >>> held.choose(["Good."], [], 1, "random")[0][0].text
        'Bad.\ny: neg\n'
        """
        outcome, column = parse_formula(formula)
        texts = texts_of(frame, column)
        labels = [choices.titles[position] for position in read_sample(frame, outcome, choices).outcome]
        asked = questions(texts, outcome)
        examples = [Example(resume, label, "\n") for resume, label in zip(asked, labels, strict=True)]
        return cls(texts, examples, texts, seed)

    def __len__(self) -> int:
        """Return how many persons or texts there are."""
        return len(self._examples)

    @property
    def digest(self) -> str:
        """SHA-256 of whose examples there are, what they say, and the seed: tells two samples apart."""
        parts = [repr(self._entropy)]
        parts += [f"{key!r} {example.text}" for key, example in zip(self._position, self._examples, strict=True)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out everything that is data."""
        return {"_position": {}, "_examples": [], "_texts": [], "_entropy": self._entropy}

    def choose(
        self,
        keys: Sequence[Any],
        queries: Sequence[str | Resume],
        count: int,
        select: Select,
        encoder: str | SentenceEncoder = "minilm",
    ) -> list[tuple[Example, ...]]:
        """Choose examples for every row.

        Parameters
        ----------
        keys : sequence of hashable
            Person in the data (origin), or text, of every row.
        queries : sequence of str or Resume
            What is known of every row, to judge likeness by; not read when examples are drawn.
        count : int
            Examples per row.
        select : {"random", "similar"}
            Drawn without replacement, by seed and key alone: the same for all rows of a person, whoever else is
            predicted. Or those whose vectors have the largest cosine with the row's, the most similar last.
        encoder : str or SentenceEncoder
            For "similar".

        Returns
        -------
        list of tuple of Example, one per row

        Raises
        ------
        DataError
            If there are fewer other persons or texts than `count`.

        Examples
        --------
        >>> held = Examples(["a", "b"], [Example(Resume("", ("1:",)), "x", "")] * 2, ["", ""], seed=0)
        >>> len(held.choose(["a", "c"], [], 1, "random"))
        2
        """
        known = [plain_code(key) for key in keys]
        self._check(known, count)
        if select == "random":
            drawn = {key: self._drawn(key, count) for key in dict.fromkeys(known)}
            return [drawn[key] for key in known]
        return self._similar(known, queries, count, resolve_encoder(encoder))

    def _check(self, keys: Sequence[Hashable], count: int) -> None:
        if not self._examples:
            raise DataError(
                "the examples of a prompt are rows of the estimation sample, which are kept in memory only: results "
                "that were saved, pickled or sent to another process have none. Fit the model again."
            )
        others = len(self) - any(key in self._position for key in keys)
        if count > others:
            raise DataError(
                f"examples={count}, but the estimation sample has only {others} other persons or texts to take them "
                "from; ask for fewer."
            )

    def _drawn(self, key: Hashable, count: int) -> tuple[Example, ...]:
        material = hashlib.sha256(repr((self._entropy, key)).encode()).digest()
        generator = np.random.default_rng(int.from_bytes(material[:16], "big"))
        # One more than asked for, in case the row's own is among them.
        drawn = generator.choice(len(self), size=min(count + 1, len(self)), replace=False).tolist()
        own = self._position.get(key)
        return tuple([self._examples[i] for i in drawn if i != own][:count])

    def _similar(
        self, keys: Sequence[Hashable], queries: Sequence[str | Resume], count: int, encoder: SentenceEncoder
    ) -> list[tuple[Example, ...]]:
        vectors = encoder.encode([*self._texts, *queries]).vectors.astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        held, asked = vectors[: len(self)], vectors[len(self) :]
        chosen: list[tuple[Example, ...]] = []
        for start in range(0, len(asked), _CHUNK):
            # Rounded, so that of equal texts the first is taken however many rows are predicted together.
            cosine = np.round(asked[start : start + _CHUNK] @ held.T, 9)
            rows = np.arange(len(cosine))
            own = np.array([self._position.get(key, -1) for key in keys[start : start + _CHUNK]])
            cosine[rows[own >= 0], own[own >= 0]] = -np.inf
            nearest = np.empty((len(rows), count), dtype=np.int64)
            for place in reversed(range(count)):
                nearest[:, place] = cosine.argmax(axis=1)
                cosine[rows, nearest[:, place]] = -np.inf
            chosen += [tuple(self._examples[i] for i in row) for row in nearest.tolist()]
        return chosen
