"""The names of coefficients, and how a text refers to them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd

from econllm.choices import plain_code
from econllm.errors import DataError, OptionError, did_you_mean, listing

COMMON = "(common)"
INTERCEPT = "Intercept"

NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Names that begin like this, or read as a number, need backquotes.
_NEEDS_QUOTES = tuple("`[=,+-*/^)")
# After a name none of these may follow: the text would then mean a longer name, which is not known.
_CONTINUES = ".([:`'\""


class Names:
    """Finds coefficients by what users write for them.

    Parameters
    ----------
    index : pandas.MultiIndex
        Pairs of response and term, as of `params`.
    titles : mapping of code to str, optional
        Titles of responses, accepted in place of their codes; those of responses without an equation may be among them.

    Attributes
    ----------
    position : dict
        From (response, term) to the place of the coefficient.
    responses : tuple
        Responses that have an equation, in order.

    Raises
    ------
    DataError
        If the index has no two levels or repeats itself.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([[2, 3], ["Intercept", "educ", "job[a]", "job[b]"]])
    >>> names = Names(index, {2: "Clerk"})
    >>> names.response_at("[Clerk]educ", 1), names.term_at("educ = 0", 0), names.columns_of("job")
    ((2, 6), ('educ', 4), ('job[a]', 'job[b]'))
    """

    def __init__(self, index: pd.Index, titles: Mapping[Hashable, str] | None = None) -> None:
        if index.nlevels != 2:
            raise DataError(f"coefficients are indexed by (response, term); the index has {index.nlevels} levels.")
        pairs = [(plain_code(response), str(term)) for response, term in index]
        self.position = {pair: i for i, pair in enumerate(pairs)}
        if len(self.position) < len(pairs):
            twice = pd.Index(pairs, tupleize_cols=False)
            raise DataError(f"the index repeats coefficients: {listing(twice[twice.duplicated()].unique())}.")
        self.responses = tuple(dict.fromkeys(response for response, _ in pairs if response != COMMON))
        self._titles = {plain_code(code): str(title) for code, title in (titles or {}).items()}
        self._terms: dict[str, tuple[str, ...]] = {}
        groups: dict[str, dict[str, None]] = {}
        for term in dict.fromkeys(term for _, term in pairs):
            self._terms[term] = (term,)
            groups.setdefault(factor_of(term), {})[term] = None
        self._terms.update({name: tuple(columns) for name, columns in groups.items() if name not in self._terms})
        bare = (name for name in self._terms if name == name.strip() and not name.startswith(_NEEDS_QUOTES))
        self._longest_first = sorted((n for n in bare if n and not NUMBER.fullmatch(n)), key=len, reverse=True)
        by_title = {self._titles[code]: code for code in self.responses if code in self._titles}
        self._codes: dict[str, Hashable] = {**by_title, **{str(code): code for code in self.responses}}
        if any((COMMON, term) in self.position for term in self._terms):
            self._codes[COMMON] = COMMON
        self._written: dict[str, str] = {}

    def response_at(self, text: str, start: int) -> tuple[Hashable, int] | None:
        """Read a response by code or title, up to a closing bracket or an equals sign; return it and where it ends."""
        found = [name for name in self._codes if name and text.startswith(name, start)]
        for name in sorted(found, key=len, reverse=True):
            end = start + len(name)
            if text[end:].lstrip()[:1] in ("]", "="):
                return self._codes[name], end
        return None

    def term_at(self, text: str, start: int) -> tuple[str, int] | None:
        """Read the longest known term or factor: its name and where it ends; blanks in parentheses may differ."""
        for read in (_exactly, _loosely):
            for name in self._longest_first:
                end = read(name, text, start)
                if end is not None and not _continues(text, end):
                    return name, end
        return None

    def columns_of(self, name: str) -> tuple[str, ...]:
        """Columns of a term, or of a factor named without its levels.

        Raises
        ------
        OptionError
            Naming the nearest known term.
        """
        if name not in self._terms:
            raise OptionError(
                f"no coefficient is called {_short(name)!r}.{did_you_mean(name, self._terms)} Terms are "
                f"{listing(self._terms, 8)}."
            )
        return self._terms[name]

    def places(self, columns: Iterable[str]) -> np.ndarray:
        """Positions of some columns in every equation, and among the common coefficients."""
        pairs = [(response, column) for response in (*self.responses, COMMON) for column in columns]
        return np.array([self.position[pair] for pair in pairs if pair in self.position], dtype=np.int64)

    def is_common(self, name: str) -> bool:
        """Whether a term, written without a response, is a common coefficient.

        Raises
        ------
        OptionError
            If equations have a term of that name too.
        """
        columns = self.columns_of(name)
        common = any((COMMON, column) in self.position for column in columns)
        if common and any((response, column) in self.position for response in self.responses for column in columns):
            raise OptionError(
                f"{name!r} is a common coefficient and a term of the equations: write [{COMMON}]{name} or "
                f"[{self.responses[0]}]{name}."
            )
        return common

    def slopes(self, response: Hashable) -> tuple[str, ...]:
        """Terms of an equation, the intercept excepted."""
        return tuple(term for code, term in self.position if code == response and term != INTERCEPT)

    def unknown_response(self, text: str) -> str:
        """Say why a response cannot be referred to."""
        absent = {str(code) for code in self._titles} | set(self._titles.values())
        if text in absent:
            return f"outcome {_short(text)!r} has no equation: it is the base outcome, or has no coefficients."
        near = did_you_mean(text, self._codes)
        return f"no equation is called {_short(text)!r}.{near} Equations are {listing(self.responses, 8)}."

    def write(self, response: Hashable, term: str) -> str:
        """Write a coefficient as it can be read again, by title where there is one."""
        if term not in self._written:
            self._written[term] = (
                term if self.term_at(term, 0) == (term, len(term)) else "`" + term.replace("`", "``") + "`"
            )
        title = self._titles.get(response, str(response))
        title = title if self._codes.get(title) == response else str(response)
        return self._written[term] if response == COMMON else f"[{title}]{self._written[term]}"


def factor_of(term: str) -> str:
    """Strip the levels from a column's name.

    Examples
    --------
    >>> factor_of("lag(job)[Sales: [retail]]:educ"), factor_of("educ")
    ('lag(job):educ', 'educ')
    """
    out, depth, level = "", 0, ""
    for character in term:
        depth += character == "["
        if depth:
            level += character
        else:
            # Only what ends a factor is a level: in x[0] + y it is part of an expression.
            out += character if character == ":" else level + character
            level = ""
        depth -= character == "]"
        if depth < 0:
            break
    # A level that holds one bracket only, as in job[a]b].
    return out if not depth else term.partition("[")[0] if term.endswith("]") else term


def _exactly(name: str, text: str, start: int) -> int | None:
    return start + len(name) if text.startswith(name, start) else None


def _loosely(name: str, text: str, start: int) -> int | None:
    """Match a name whose blanks inside parentheses may differ: log(x + 1) is log(x+1)."""
    i, at, depth = 0, start, 0
    if "(" not in name or not text.startswith(name.partition("(")[0], start):
        return None
    while True:
        while depth > 0 and i < len(name) and name[i] == " ":
            i += 1
        while depth > 0 and at < len(text) and text[at] == " ":
            at += 1
        if i == len(name):
            return at
        if at == len(text) or name[i] != text[at]:
            return None
        depth += (name[i] == "(") - (name[i] == ")")
        i, at = i + 1, at + 1


def _continues(text: str, end: int) -> bool:
    following = text[end : end + 1]
    return bool(following) and (following.isalnum() or following == "_" or following in _CONTINUES)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
