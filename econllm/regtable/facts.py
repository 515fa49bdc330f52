"""What a result tells a table beyond its coefficients and statistics."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

# The response, in tidy(), of coefficients that all outcomes share.
COMMON = "(common)"
COMMON_TITLE = "Alternative-specific, common to all outcomes"


@dataclass(frozen=True)
class TableFacts:
    """Words and names behind the numbers of a result; a result may offer them as ``table_facts()``.

    Attributes
    ----------
    outcome : str
        Column that holds the outcome.
    titles : dict
        Heading of every outcome, by its code, the base included.
    variables : dict of str to str
        Variable labels by column of the data.
    terms : dict of str to str
        The term of the formula that every column of the design belongs to; columns left out are terms of their own.
    base : hashable, optional
        Code of the base outcome; None where there is none.
    symmetric : bool
        Whether every outcome has coefficients and these sum to zero over outcomes.
    shares : dict
        Share of the rows that every outcome has, by its code; in a regression without equations the mean of the
        outcome, by the empty string.
    cov : str
        The kind of standard errors, in words.
    penalty : str
        The penalty and its weight, in words; empty without one.

    Examples
    --------
    >>> TableFacts("job", {1: "Cook"}, {"job": "main job"}).outcome_label
    'main job'
    """

    outcome: str = ""
    titles: Mapping[Hashable, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    base: Hashable | None = None
    symmetric: bool = False
    shares: Mapping[Hashable, float] = field(default_factory=dict)
    cov: str = ""
    penalty: str = ""

    @property
    def outcome_label(self) -> str:
        """The outcome as a reader calls it."""
        return self.variables.get(self.outcome, self.outcome)

    def title(self, response: Hashable) -> str:
        """Heading of an equation: the title of its outcome, or the outcome of a regression without equations."""
        if response == COMMON:
            return COMMON_TITLE
        return self.outcome_label if response == "" else self.titles.get(response, str(response))
