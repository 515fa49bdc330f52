"""Which columns of a panel a résumé is made of, and the words that the data bring along for them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from econllm.text.wording import plain


@dataclass(frozen=True)
class Columns:
    """Which columns of a panel a résumé is made of.

    Parameters
    ----------
    time : hashable
        Column that orders the records of a person.
    static, dynamic : tuple
        Covariates known before the occupation: constant within persons, and by record.
    lagged : tuple
        Columns that describe the job itself, so that only earlier records may show them.
    labels : mapping from column to str
        Words for columns; a column without a label goes by its name.
    values : mapping from column to mapping from value to str
        Words for values, such as the value labels of a Stata file; a value without any goes by the general rules.
        Columns that no résumé shows may be among them.

    Examples
    --------
    >>> Columns("year", static=("sex",), labels={"sex": "gender"}).label("sex")
    'gender'
    """

    time: Hashable
    static: tuple[Hashable, ...] = ()
    dynamic: tuple[Hashable, ...] = ()
    lagged: tuple[Hashable, ...] = ()
    labels: Mapping[Hashable, str] = field(default_factory=dict, hash=False)
    values: Mapping[Hashable, Mapping[Any, str]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        words = {column: {plain(key): text for key, text in given.items()} for column, given in self.values.items()}
        object.__setattr__(self, "values", words)

    @property
    def used(self) -> tuple[Hashable, ...]:
        """Every column a résumé may show, the occupation apart."""
        return (self.time, *self.static, *self.dynamic, *self.lagged)

    def label(self, column: Hashable) -> str:
        """Words for a column.

        Examples
        --------
        >>> Columns("year").label("year")
        'year'
        """
        return self.labels.get(column) or str(column)

    def value_words(self, column: Hashable) -> Mapping[Any, str]:
        """Words for the values of a column.

        Examples
        --------
        >>> Columns("year", values={"sex": {1.0: "male"}}).value_words("sex")
        {1: 'male'}
        """
        return self.values.get(column, {})
