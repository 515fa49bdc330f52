"""From data to the columns of a multinomial logit: the formula's two parts, offsets and choice sets together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.formula import DesignSpec
from econllm.formula.alternatives import Alternatives, AlternativesSpec
from econllm.formula.by_outcome import known_utilities, read_choice_sets, read_offset
from econllm.formula.design import Design
from econllm.formula.lookup import Lookup
from econllm.logit.coordinates import Stacked, stack
from econllm.options import Missing
from econllm.panel import CareerPanel
from econllm.sample import Data, last_occupation, read_sample


@dataclass(frozen=True)
class Columns:
    """The right-hand side of a model for some rows, in the units of the data.

    Attributes
    ----------
    stacked : Stacked
        Columns with coefficients per outcome.
    shared : tuple of Lookup
        Alternative-specific columns, over the whole choice set.
    offset : Lookup or None
        Known part of the utilities over the whole choice set, minus infinity where an outcome is not available.
    kept : numpy.ndarray of bool
        Which rows of the data these are, after rows with missing values were dropped.
    truncated : float or None
        Largest share of truncated texts among the embeddings.
    """

    stacked: Stacked
    shared: tuple[Lookup, ...]
    offset: Lookup | None
    kept: np.ndarray
    truncated: float | None

    def __len__(self) -> int:
        return int(self.kept.sum())

    def take(self, rows: np.ndarray) -> Columns:
        """Keep some of the kept rows, given by position in ascending order."""
        kept = np.zeros(len(self.kept), dtype=bool)
        kept[np.flatnonzero(self.kept)[rows]] = True
        offset = None if self.offset is None else self.offset.take(rows)
        return replace(
            self,
            stacked=self.stacked.rows(rows),
            shared=tuple(lookup.take(rows) for lookup in self.shared),
            offset=offset,
            kept=kept,
        )


@dataclass(frozen=True)
class Specification:
    """A formula with offset and choice sets after estimation: builds the same columns from new data.

    Attributes
    ----------
    design : DesignSpec
        The part of the formula with coefficients per outcome.
    alternatives : AlternativesSpec or None
        The part after "|".
    choices : ChoiceSet
        The outcomes.
    offset, choice_sets : str or None
        Columns by outcome that hold the offset, and what was available.
    stage : {None, "move", "destination"}
        Half of a two-stage model: whether the occupation changes, or to which one.
    """

    design: DesignSpec
    alternatives: AlternativesSpec | None
    choices: ChoiceSet
    offset: str | None = None
    choice_sets: str | None = None
    stage: str | None = None

    @classmethod
    def fit(
        cls,
        formula: str,
        data: Data,
        choices: ChoiceSet,
        *,
        full: bool,
        missing: Missing,
        context: Mapping[str, Any] | None,
        offset: str | None,
        choice_sets: str | None,
    ) -> tuple[Specification, Columns]:
        """Evaluate a formula for estimation.

        Parameters
        ----------
        formula : str
            One part, or two parted by "|".
        data : CareerPanel or DataFrame
            The rows.
        choices : ChoiceSet
            The outcomes.
        full, missing, context
            See :meth:`DesignSpec.fit`.
        offset, choice_sets : str or None
            Columns by outcome.

        Returns
        -------
        Specification, Columns
        """
        spec, design = DesignSpec.fit(formula, data, full=full, missing=missing, context=context)
        whole = cls(spec, None, choices, offset, choice_sets)
        available = None
        if choice_sets is not None:
            realised = read_sample(data, spec.parsed.outcome, choices).outcome
            available = read_choice_sets(choice_sets, data, choices, realised)
        if not spec.parsed.alternatives:
            return whole, whole._columns(design, None, available, data)
        found, alternatives = AlternativesSpec.fit(
            spec.parsed, data, choices, available=available, missing=missing, context=context
        )
        whole = replace(whole, alternatives=found)
        return whole, whole._columns(design, alternatives, available, data)

    @property
    def intercept(self) -> bool:
        """Whether every outcome has a constant."""
        return self.design.parsed.intercept

    @property
    def shared_names(self) -> tuple[str, ...]:
        """Names of the alternative-specific columns."""
        return () if self.alternatives is None else tuple(self.alternatives.names)

    @property
    def outcome(self) -> str:
        """Outcome column."""
        return self.design.parsed.outcome

    def build(self, data: Data, overrides: Mapping[str, Any] | None = None) -> Columns:
        """Build the columns for new data.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.
        overrides : mapping, optional
            Variables that are set to other values, see :meth:`DesignSpec.build`.

        Returns
        -------
        Columns
        """
        design = self.design.build(data, overrides)
        available = None
        if self.choice_sets is not None:
            available = read_choice_sets(self.choice_sets, data, self.choices)
        alternatives = None
        if self.alternatives is not None:
            alternatives = self.alternatives.build(data, overrides, available=available)
        return self._columns(design, alternatives, available, data)

    def _columns(
        self, design: Design, alternatives: Alternatives | None, available: Lookup | None, data: Data
    ) -> Columns:
        """Keep the rows that are complete in every part."""
        kept, known = design.kept, None
        if alternatives is not None:
            kept = kept & alternatives.kept
        if self.offset is not None:
            missing = self.design.missing
            known, complete = read_offset(self.offset, data, self.choices, available=available, missing=missing)
            kept = kept & complete
        known = known_utilities(known, available)
        if self.stage is not None:
            if not isinstance(data, CareerPanel):
                raise DataError("a two-stage model follows careers: give a CareerPanel, not a data frame.")
            if self.stage == "move":
                # Whether an occupation changes is a question for those who have had one.
                kept = kept & ~data.is_first
            else:
                known = leaving(last_occupation(data, self.choices), len(self.choices))
        rows = np.flatnonzero(kept)
        lookups = () if alternatives is None else alternatives.lookups
        return Columns(
            stack(design).rows(np.flatnonzero(kept[design.kept])),
            tuple(lookup.take(rows) for lookup in lookups),
            None if known is None else known.take(rows),
            kept,
            design.truncated,
        )

    def to_state(self) -> dict[str, Any]:
        """Return the plain content, to be saved; the choice set is saved with the result."""
        return {
            "design": self.design.to_state(),
            "alternatives": None if self.alternatives is None else self.alternatives.to_state(),
            "offset": self.offset,
            "choice_sets": self.choice_sets,
            "stage": self.stage,
        }

    @classmethod
    def from_state(cls, content: dict[str, Any], choices: ChoiceSet) -> Specification:
        """Rebuild what :meth:`to_state` gave."""
        alternatives = content["alternatives"]
        return cls(
            DesignSpec.from_state(content["design"]),
            None if alternatives is None else AlternativesSpec.from_state(alternatives, choices),
            choices,
            content["offset"],
            content["choice_sets"],
            content["stage"],
        )


def leaving(last: np.ndarray, outcomes: int) -> Lookup:
    """Offsets of who changes occupation: minus infinity for the last one.

    Parameters
    ----------
    last : numpy.ndarray of int, shape (n,)
        Position of the last occupation plus one; 0 at a first record.
    outcomes : int
        Size of the choice set.

    Returns
    -------
    Lookup

    Examples
    --------
    >>> leaving(np.array([0, 2]), 2).values().tolist()
    [[0.0, 0.0], [0.0, -inf]]
    """
    table = np.zeros((outcomes + 1, outcomes))
    table[np.arange(1, outcomes + 1), np.arange(outcomes)] = -np.inf
    return Lookup(last.astype(np.int64), table)
