"""The choice set: which occupations exist, in which order, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, did_you_mean, listing, refusal

MISSING_TEXT = "(none)"


@dataclass(frozen=True)
class ChoiceSet:
    """The ordered set of outcomes, code by code, with a title for each: TITLE(y) in the papers.

    Parameters
    ----------
    codes : sequence of int or str
        Occupation codes in the order every probability matrix uses. Integer codes are labels, never numbers.
    titles : sequence of str, optional
        One title per code; by default the code itself as text.

    Raises
    ------
    DataError
        For codes that repeat, mix text and integers, or are missing; for titles that repeat, are empty, or hold a
        line break (titles are single lines of résumés).

    Notes
    -----
    The set of Athey et al. (arXiv 2406.17972) has 335 occupations and states such as education or unemployment.

    Examples
    --------
    >>> jobs = ChoiceSet([10, 20], ["Clerk", "Cook"])
    >>> jobs.title(20), len(jobs)
    ('Cook', 2)
    """

    codes: tuple[Hashable, ...]
    titles: tuple[str, ...]
    _position: dict[Hashable, int] = field(repr=False, compare=False)

    def __init__(self, codes: Sequence[Any], titles: Sequence[str] | None = None) -> None:
        plain = tuple(plain_code(code) for code in codes)
        names = tuple(str(code) for code in plain) if titles is None else tuple(titles)
        _check_codes(plain)
        _check_titles(plain, names)
        object.__setattr__(self, "codes", plain)
        object.__setattr__(self, "titles", names)
        object.__setattr__(self, "_position", {code: i for i, code in enumerate(plain)})

    def __len__(self) -> int:
        return len(self.codes)

    def __contains__(self, code: object) -> bool:
        return code in self._position

    @classmethod
    def from_titles(cls, titles: Mapping[Any, str] | pd.Series | pd.DataFrame | ChoiceSet) -> ChoiceSet:
        """Read a choice set from a mapping, a Series indexed by code, or a frame of two columns (code, title).

        Raises
        ------
        DataError
            For another kind of object, a frame without exactly two columns, or invalid codes and titles.

        Examples
        --------
        >>> ChoiceSet.from_titles({1: "Clerk", 2: "Cook"}).codes
        (1, 2)
        """
        if isinstance(titles, ChoiceSet):
            return titles
        if isinstance(titles, pd.DataFrame):
            if titles.shape[1] != 2:
                raise DataError(f"titles has {titles.shape[1]} columns; give exactly two: the code, then the title.")
            return cls(titles.iloc[:, 0].tolist(), titles.iloc[:, 1].tolist())
        if isinstance(titles, pd.Series):
            return cls(titles.index.tolist(), titles.tolist())
        if isinstance(titles, Mapping):
            return cls(list(titles), list(titles.values()))
        raise DataError(
            f"titles is a {type(titles).__name__}; give a mapping from code to title, a Series indexed by code, "
            "a frame of two columns, a ChoiceSet, or the name of a column."
        )

    @property
    def index(self) -> pd.Index:
        """The codes as a pandas Index, to label columns."""
        return pd.Index(self.codes, dtype="int64" if self._integer else "object")

    @property
    def _integer(self) -> bool:
        return all(isinstance(code, int) for code in self.codes)

    def title(self, code: Hashable) -> str:
        """Title of one code.

        Raises
        ------
        DataError
            If the code is not in the set.

        Examples
        --------
        >>> ChoiceSet(["a"], ["Actor"]).title("a")
        'Actor'
        """
        position = self._position.get(code)
        if position is None:
            raise DataError(f"occupation {code!r} is not in the choice set.{did_you_mean(code, self.codes)}")
        return self.titles[position]

    def positions(self, values: pd.Series, what: str = "occupation") -> np.ndarray:
        """Position of every value in the set.

        Parameters
        ----------
        values : pandas.Series
            Codes, of the same type as the set's.
        what : str
            Name of the column, for messages.

        Returns
        -------
        numpy.ndarray of int64, shape (n,)

        Raises
        ------
        DataError
            If values are missing or outside the set, with counts and first offenders, and a hint when numbers are
            held as text or the other way round.

        Examples
        --------
        >>> ChoiceSet([10, 20]).positions(pd.Series([20, 10])).tolist()
        [1, 0]
        """
        codes, unique = pd.factorize(values)
        if (codes < 0).any():
            first = listing(values.index[codes < 0], 3)
            raise DataError(f"column {what!r} is missing in {int((codes < 0).sum())} rows, first at index {first}.")
        where = np.array([self._position.get(plain_code(v), -1) for v in unique], dtype=np.int64)
        found = where[codes]
        if (found < 0).any():
            self._refuse([v for v, p in zip(unique, where, strict=True) if p < 0], int((found < 0).sum()), what)
        return found

    def _refuse(self, unknown: list[Any], rows: int, what: str) -> None:
        texts = {str(code) for code in self.codes}
        hint = ""
        if any(str(v) in texts for v in unknown):
            kinds = ("text", "whole numbers") if isinstance(unknown[0], str) else ("numbers", "text")
            hint = f" The column holds {kinds[0]} and the choice set {kinds[1]}: convert one of them with astype()."
        elif unknown:
            hint = did_you_mean(unknown[0], self.codes)
        raise DataError(
            f"column {what!r}: {rows} rows hold {len(unknown)} values that are not in the choice set "
            f"(the occupations with a title, or the outcomes that occurred at estimation): {listing(unknown)}.{hint}"
        )


def plain_code(code: Any) -> Any:
    """Python int or str for whatever pandas or numpy holds; 4.0 counts as 4, as Stata and missing values make floats.

    Examples
    --------
    >>> plain_code(np.float64(4)), plain_code("cook")
    (4, 'cook')
    """
    if hasattr(code, "item"):
        code = code.item()
    if isinstance(code, float) and code.is_integer():
        return int(code)
    return code


def _check_codes(codes: tuple[Any, ...]) -> None:
    if not codes:
        raise DataError("the choice set is empty; give at least one occupation.")
    wrong = [code for code in codes if isinstance(code, bool) or not isinstance(code, int | str)]
    if wrong:
        raise DataError(f"occupation codes must be whole numbers or text; found {listing(wrong)}.")
    if len({type(code) for code in codes}) > 1:
        texts = [code for code in codes if isinstance(code, str)]
        raise DataError(f"occupation codes mix whole numbers and text such as {listing(texts, 2)}; make them one type.")
    if len(set(codes)) < len(codes):
        twice = [code for code, times in Counter(codes).items() if times > 1]
        raise DataError(f"the choice set repeats {len(twice)} codes: {listing(twice)}.")


def _check_titles(codes: tuple[Any, ...], titles: tuple[Any, ...]) -> None:
    if len(titles) != len(codes):
        raise DataError(f"there are {len(titles)} titles for {len(codes)} occupation codes.")
    first: dict[str, Any] = {}
    for code, title in zip(codes, titles, strict=True):
        if not isinstance(title, str) or not title.strip():
            raise DataError(f"occupation {code!r} has no title (found {title!r}); every code needs a text.")
        if title != title.strip() or len(title.splitlines()) != 1:
            raise DataError(f"the title of occupation {code!r}, {title!r}, has a line break or blanks at its ends.")
        if title in first:
            raise DataError(
                f"occupations {first[title]!r} and {code!r} have the same title {title!r}; merge or rename one."
            )
        first[title] = code


def position_of(choices: ChoiceSet, occupation: object) -> int | None:
    """Position of a code, or of a title where no code is called so; None of anything else.

    Examples
    --------
    >>> jobs = ChoiceSet([10, 20], ["Clerk", "Cook"])
    >>> position_of(jobs, "Cook"), position_of(jobs, "Crook")
    (1, None)
    """
    code = plain_code(occupation)
    for names in (choices.codes, choices.titles):
        for position, name in enumerate(names):
            if type(name) is type(code) and name == code:
                return position
    return None


def state_positions(states: Sequence[Hashable], choices: ChoiceSet) -> np.ndarray:
    """Positions of occupations that are given by code or title.

    Raises
    ------
    OptionError
        For anything but a list, repeated states, and names that are neither, with the nearest one.

    Examples
    --------
    >>> state_positions(["Cook", 1], ChoiceSet([1, 2], ["Clerk", "Cook"])).tolist()
    [1, 0]
    """
    if isinstance(states, str):
        raise OptionError(f"states={states!r} is one text; give a list, [{states!r}].")
    if not isinstance(states, Iterable):
        raise OptionError(refusal("states", states, "not allowed", "give a list of codes or titles"))
    out: list[int] = []
    for state in states:
        position = position_of(choices, state)
        if position is None:
            near = did_you_mean(state, [*choices.titles, *choices.codes])
            raise OptionError(f"states names {state!r}, which is neither code nor title of an occupation.{near}")
        if position in out:
            raise OptionError(f"states names {state!r} twice.")
        out.append(position)
    return np.array(out, dtype=np.int64)
