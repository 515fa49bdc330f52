"""Names of coefficients for a reader, and how a user's choice of terms finds them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from econllm.errors import OptionError, did_you_mean, listing
from econllm.regtable.facts import TableFacts

Pattern: TypeAlias = str | re.Pattern[str]
Labels: TypeAlias = Mapping[Hashable | re.Pattern[str], str]


def display_name(term: str, variables: Mapping[str, str], outcome: str, titles: Mapping[str, str]) -> str:
    """Write a column's name for a reader: variable labels for columns, titles for codes of outcomes.

    Parameters
    ----------
    term : str
        Such as ``lag(occupation)[5]``.
    variables : mapping of str to str
        Variable labels by column.
    outcome : str
        The column that holds occupations.
    titles : mapping of str to str
        Title of every outcome, by the text of its code.

    Returns
    -------
    str

    Examples
    --------
    >>> display_name("lag(job)[5]:educ", {"educ": "years of schooling"}, "job", {"5": "Cook"})
    'lag(job)[Cook]:years of schooling'
    """
    parts = re.split(r"(\[[^\[\]]*\])", term)
    out, factor = "", ""
    for part in parts:
        if part.startswith("["):
            of_outcome = outcome and re.search(rf"(?<!\w){re.escape(outcome)}(?!\w)", factor)
            out += f"[{titles.get(part[1:-1], part[1:-1])}]" if of_outcome else part
            continue
        factor = part
        out += _replace_words(part, variables)
    return out


def _replace_words(text: str, words: Mapping[str, str]) -> str:
    """Replace whole names, all in one pass, so that a label is never read as a name."""
    if not words:
        return text
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.sub(rf"(?<![\w.])({'|'.join(longest_first)})(?![\w(.])", lambda match: words[match[1]], text)


def labelled(column: str, facts: TableFacts, labels: Labels) -> str:
    r"""Write a column's name by the labels of the user, and where they are silent by those of the data.

    Parameters
    ----------
    column : str
        Column or term.
    facts : TableFacts
        Of the result that has it.
    labels : mapping
        A whole name, a variable inside a name, or a compiled pattern, to its replacement.

    Examples
    --------
    >>> labels = {"educ": "Schooling", re.compile(r"C\(year\)\[(\d+)\]"): r"Year \1"}
    >>> [labelled(name, TableFacts(), labels) for name in ("educ", "educ:black", "C(year)[1981]")]
    ['Schooling', 'Schooling:black', 'Year 1981']
    """
    if column in labels:
        return labels[column]
    for key, label in labels.items():
        if isinstance(key, re.Pattern) and key.search(column):
            return key.sub(label, column)
    words = {key: label for key, label in labels.items() if isinstance(key, str)}
    titles = {str(code): labels.get(code, title) for code, title in facts.titles.items()}
    return display_name(column, {**facts.variables, **words}, facts.outcome, titles)


@dataclass(frozen=True)
class Name:
    """The names under which a row of coefficients can be asked for: its column, its term and its label."""

    column: str
    term: str
    label: str

    def matches(self, pattern: Pattern) -> bool:
        """Whether a text equals one of the names, or a compiled pattern is found in one."""
        names = (self.column, self.term, self.label)
        return pattern in names if isinstance(pattern, str) else any(pattern.search(name) for name in names)


def check_patterns(option: str, patterns: Sequence[Pattern], names: Sequence[Name]) -> None:
    """Raise unless every pattern is a text or a compiled expression that finds something.

    Raises
    ------
    OptionError
        Naming the option, the pattern and the nearest name.

    Examples
    --------
    >>> check_patterns("drop", ["educ"], [Name("educ", "educ", "Schooling")])
    """
    if isinstance(patterns, str | re.Pattern):
        raise OptionError(f"{option}={patterns!r} is one name; give a list of names, [{patterns!r}].")
    known = list(dict.fromkeys(text for name in names for text in (name.column, name.term, name.label)))
    for pattern in patterns:
        if not isinstance(pattern, str | re.Pattern):
            raise OptionError(f"{option} has {pattern!r}; give names of terms, or expressions made by re.compile().")
        if any(name.matches(pattern) for name in names):
            continue
        if isinstance(pattern, re.Pattern):
            raise OptionError(f"{option}: the expression {pattern.pattern!r} finds no term of {listing(known)}.")
        raise OptionError(
            f"{option} names {pattern!r}, which is no term of the models.{did_you_mean(pattern, known)} There are "
            f"{listing(known, 12)}. A regular expression is written re.compile({pattern!r})."
        )
