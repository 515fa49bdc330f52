"""Prompts: what a language model reads before it is asked for a title, or for the label of a text."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.encoders import SentenceEncoder
from econllm.errors import DataError, OptionError, check_number, check_option, refusal
from econllm.llm.chat import Chat
from econllm.llm.frames import parse_formula, questions, texts_of
from econllm.options import as_code, make_plain
from econllm.panel import CareerPanel
from econllm.text import Resume
from econllm.text.wording import check_fields, fill, parse_pieces

if TYPE_CHECKING:
    from econllm.llm.examples import Example, Examples

Select = Literal["random", "similar"]
# Whether a language model can read a résumé at all: header and last record, older records left out.
Fits = Callable[[Resume], bool]

_PARTS = ("instruction", "titles", "example", "resume")


class Wording(NamedTuple):
    r"""Rows as text, ready for a language model.

    Attributes
    ----------
    resumes : list of Resume
        One per row: everything before the title. The prompt stands in the header; what a chat template puts after a
        question stands in the last piece.
    lead : str
        What stands between that text and a title: a blank or nothing.
    terminator : str
        What ends a title.
    titles : tuple of str
        What is printed for every outcome, in the order of the choice set.
    fewer : int
        Rows that got fewer examples than asked for, because a model could not read more.

    Examples
    --------
    >>> Wording([Resume("", ("1980:",))], " ", "\n", ("Clerk",)).fewer
    0
    """

    resumes: list[Resume]
    lead: str
    terminator: str
    titles: tuple[str, ...]
    fewer: int = 0


@dataclass(frozen=True, repr=False)
class PromptTemplate:
    r"""The wording of prompts: how instruction, list of titles, examples and résumé are put.

    Parameters
    ----------
    instruction : str
        With the field ``{instruction}``; left out where a prompt has none.
    titles : str
        With the field ``{titles}``; left out where a prompt lists none.
    separator : str
        What stands between two titles of the list.
    example : str
        With the field ``{example}``, a full résumé, which ends in a line break. Conversations have none: there an
        example is a question (worded as `resume` says) and its answer.
    resume : str
        Ends with the field ``{resume}``: a title follows the résumé at once.

    Raises
    ------
    OptionError
        If a text has another field, or not its own exactly once.

    Notes
    -----
    The parts are joined in this order as they stand, line breaks included. Titles, résumés and instructions are printed
    as they are: braces in them mean nothing.

    Examples
    --------
    >>> PromptTemplate(titles="One of: {titles}.\n", separator=" / ")
    PromptTemplate(titles='One of: {titles}.\n', separator=' / ')
    """

    instruction: str = "{instruction}\n\n"
    titles: str = "Choose among:\n{titles}\n\n"
    separator: str = "\n"
    example: str = "{example}\n"
    resume: str = "{resume}"

    def __post_init__(self) -> None:
        for part in _PARTS:
            text = getattr(self, part)
            pieces = parse_pieces(part, text)
            check_fields(part, pieces, [part])
            if sum(name is not None for _, name in pieces) != 1:
                raise OptionError(f"{part}={text!r} must hold {{{part}}} exactly once.")
        if not self.resume.endswith("{resume}"):
            raise OptionError(f"resume={self.resume!r} must end with {{resume}}: the title follows at once.")
        if not isinstance(self.separator, str) or not self.separator:
            raise OptionError(refusal("separator", self.separator, "not allowed", "give a text"))

    def __repr__(self) -> str:
        return as_code(self)

    def digest(self) -> str:
        """SHA-256 of the wording, as a key for caches.

        Returns
        -------
        str
            64 hexadecimal digits, equal for equal templates.

        Examples
        --------
        >>> PromptTemplate().digest() == PromptTemplate().digest() != PromptTemplate(separator="; ").digest()
        True
        """
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    def write(self, part: str, text: str) -> str:
        """Fill one of the parts that have a field.

        Parameters
        ----------
        part : {"instruction", "titles", "example", "resume"}
            Which.
        text : str
            What stands in the place of its field.

        Returns
        -------
        str

        Examples
        --------
        >>> PromptTemplate(resume="Résumé: {resume}").write("resume", "1980:")
        'Résumé: 1980:'
        """
        return fill(parse_pieces(part, getattr(self, part)), {part: [text]}, 1)[0]


@dataclass(frozen=True, repr=False)
class Prompt:
    """What a language model is told before the résumé of a person.

    Parameters
    ----------
    titles : bool
        List all titles.
    examples : int
        How many full résumés of other persons of the estimation sample stand in front.
    select : {"random", "similar"}
        Drawn at random for every person; or those whose vectors are nearest to the history of the row, the most
        similar last.
    instruction : str, optional
        First lines.
    template : PromptTemplate
        How all this is put into words.
    chat : bool
        Write a conversation through the chat template of the model's tokenizer: instruction and titles as the system
        message (in front of the first question where the template has no such role), examples as questions and
        answers, the résumé as the last question.
    example_records : int, optional
        Keep the header and this many newest records of an example; all of them by default.
    encoder : str or SentenceEncoder
        What makes the vectors that "similar" compares.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Notes
    -----
    Examples never are the person's own career, also in resampled panels, and never those of persons outside the
    estimation sample. They are rows of the data: they are kept in memory and never saved, so that a result with
    examples, once saved and loaded, predicts only after its ``with_examples`` gave them back. Retrieved examples: Liu
    et al. (What makes good in-context examples for GPT-3?, arXiv 2101.06804), who also put the most similar last.

    Examples
    --------
    >>> Prompt(titles=True, examples=2, instruction="Predict the next occupation.")
    Prompt(titles=True, examples=2, instruction='Predict the next occupation.')
    """

    titles: bool = False
    examples: int = 0
    select: Select = "random"
    instruction: str | None = None
    template: PromptTemplate = PromptTemplate()
    chat: bool = False
    example_records: int | None = None
    encoder: str | SentenceEncoder = "minilm"

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("titles", "chat"):
            check_option(name, getattr(self, name), [True, False])
        check_number("examples", self.examples, minimum=0, integer=True)
        check_option("select", self.select, ["random", "similar"])
        if self.instruction is not None and not (isinstance(self.instruction, str) and self.instruction.strip()):
            raise OptionError(refusal("instruction", self.instruction, "not allowed", "give a text or None"))
        if not isinstance(self.template, PromptTemplate):
            raise OptionError(refusal("template", self.template, "not allowed", "give PromptTemplate(...)"))
        if self.example_records is not None:
            check_number("example_records", self.example_records, minimum=1, integer=True)
        if not isinstance(self.encoder, str | SentenceEncoder):
            raise OptionError(refusal("encoder", self.encoder, "not allowed", "give 'minilm' or a SentenceEncoder"))

    def __repr__(self) -> str:
        return as_code(self)


def word_panel(
    panel: CareerPanel,
    prompt: Prompt | None,
    examples: Examples | None,
    tokenizer: Any = None,
    fits: Fits | None = None,
    choices: ChoiceSet | None = None,
) -> Wording:
    r"""Put the transitions of a panel into words.

    Parameters
    ----------
    panel : CareerPanel
        The rows.
    prompt : Prompt or None
        What stands before the résumés; None leaves them as :meth:`CareerPanel.resumes` writes them.
    examples : Examples or None
        Of the estimation sample; needed where the prompt asks for examples.
    tokenizer : transformers tokenizer, optional
        Needed for conversations.
    fits : callable, optional
        Whether a model can read the header and the last record of a résumé. Examples are dropped until it can, the
        first (least similar) first, for all rows of a person that have the same.
    choices : ChoiceSet, optional
        Whose titles are meant; those of the panel by default.

    Returns
    -------
    Wording

    Raises
    ------
    OptionError
        If the tokenizer cannot write a conversation, or a prompt is too long even without examples.
    DataError
        If there are too few examples or none any more, or a title cannot be told from what follows it.

    Notes
    -----
    Without a conversation, and with examples that are drawn, all rows of a person have the same header, and the text of
    a row with its title is the beginning of that of the next. In a conversation the end of the question comes between.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": ["Clerk", "Cook"]})
    >>> panel = CareerPanel(df, "id", "year", "job")
    >>> print(word_panel(panel, Prompt(titles=True), None).resumes[0].text)
    Choose among:
    Clerk
    Cook
    <BLANKLINE>
    The career of one person in a longitudinal survey.
    2000:
    """
    columns = panel.text_columns
    titles = panel.template.outcome_texts(choices or panel.choices, columns)
    plain = Wording(list(panel.resumes()), " ", panel.template.terminator(columns), titles)
    if prompt is None:
        return plain
    return _prompted(plain, panel.person_ids, list(panel.origin_ids), plain.resumes, prompt, examples, tokenizer, fits)


def word_frame(
    frame: pd.DataFrame,
    formula: str,
    choices: ChoiceSet,
    prompt: Prompt | None,
    examples: Examples | None,
    tokenizer: Any = None,
    fits: Fits | None = None,
) -> Wording:
    r"""Put the rows of a data frame into words: the text, and on the next line the outcome's name and a colon.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows. The outcome's column is not read.
    formula : str
        As in ``"sentiment ~ sentence"``.
    choices : ChoiceSet
        The labels; what is printed for them are their titles, which are the codes unless there are others.
    prompt, examples, tokenizer, fits
        As in :func:`word_panel`. No row gets an example with its own text.

    Returns
    -------
    Wording

    Raises
    ------
    FormulaError, MissingColumnError, OptionError, DataError
        If the formula has another form, a column is absent, or texts are missing; and as in :func:`word_panel`.

    Examples
    --------
    >>> df = pd.DataFrame({"sentence": ["Sales rose."]})
    >>> wording = word_frame(df, "sentiment ~ sentence", ChoiceSet(["neg", "pos"]), None, None)
    >>> wording.resumes[0].text, wording.terminator
    ('Sales rose.\nsentiment:', '\n')
    """
    outcome, column = parse_formula(formula)
    texts = texts_of(frame, column)
    plain = Wording(questions(texts, outcome), " ", "\n", choices.titles)
    if prompt is None:
        return plain
    return _prompted(plain, np.arange(len(texts)), texts, texts, prompt, examples, tokenizer, fits)


@dataclass(frozen=True)
class _Writer:
    """Puts a prompt around résumés, in plain text or as a conversation."""

    prompt: Prompt
    titles: tuple[str, ...]
    chat: Chat | None

    def around(self, shown: Sequence[Example]) -> tuple[str, str]:
        """Text before and after a résumé whose prompt shows some examples."""
        template = self.prompt.template
        head = "" if self.prompt.instruction is None else template.write("instruction", self.prompt.instruction)
        if self.prompt.titles:
            head += template.write("titles", template.separator.join(self.titles))
        opening = template.write("resume", "")
        kept = [example.newest(self.prompt.example_records) for example in shown]
        if self.chat is None:
            return head + "".join(template.write("example", example.text) for example in kept) + opening, ""
        turns = [(template.write("resume", example.resume.text), example.title) for example in kept]
        before, after = self.chat.around(head.strip(), turns)
        return before + opening, after

    def write(self, resumes: Sequence[Resume], shown: Sequence[Example]) -> list[Resume]:
        before, after = self.around(shown)
        # Rows of a person share one text: with a list of titles or examples it is long.
        headers = {header: before + header for header in {r.header for r in resumes}}
        return [Resume(headers[r.header], (*r.records[:-1], r.records[-1] + after)) for r in resumes]


def _prompted(
    plain: Wording,
    persons: np.ndarray,
    keys: Sequence[Any],
    queries: Sequence[str | Resume],
    prompt: Prompt,
    examples: Examples | None,
    tokenizer: Any,
    fits: Fits | None,
) -> Wording:
    """The wording with a prompt."""
    chat = Chat.read(tokenizer) if prompt.chat else None
    writer = _Writer(prompt, plain.titles, chat)
    chosen: list[tuple[Example, ...]] = [()] * len(plain.resumes)
    if prompt.examples:
        if examples is None:
            raise DataError("the prompt asks for examples, which are those of the estimation sample, and got none.")
        chosen = examples.choose(keys, queries, prompt.examples, prompt.select, prompt.encoder)
    resumes: list[Resume] = []
    fewer = 0
    for first, end in _runs(persons, chosen):
        shown = chosen[first]
        written = writer.write(plain.resumes[first:end], shown)
        while fits is not None and shown and not all(map(fits, written)):
            shown = shown[1:]
            written = writer.write(plain.resumes[first:end], shown)
        if fits is not None and (prompt.titles or prompt.instruction) and not fits(written[0]):
            raise OptionError(
                "the prompt is longer than the model reads, even without examples: leave out the list of titles, "
                "shorten the instruction, or give a model with a longer context."
            )
        fewer += (end - first) * (len(shown) < prompt.examples)
        resumes += written
    if chat is None:
        return plain._replace(resumes=resumes, fewer=fewer)
    _check_ends(plain.titles, chat.terminator)
    return Wording(resumes, chat.lead, chat.terminator, plain.titles, fewer)


def _runs(persons: np.ndarray, chosen: Sequence[tuple[Example, ...]]) -> Iterator[tuple[int, int]]:
    """Bounds of neighbouring rows of one person that have the same examples."""
    first = 0
    for row in range(1, len(chosen) + 1):
        if row == len(chosen) or persons[row] != persons[first] or chosen[row] != chosen[first]:
            yield first, row
            first = row


def _check_ends(titles: Sequence[str], terminator: str) -> None:
    for title in titles:
        if terminator in title:
            raise DataError(
                f"the title {title!r} holds {terminator!r}, with which the chat template ends every answer."
            )
