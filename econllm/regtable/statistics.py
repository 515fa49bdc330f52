"""Rows of statistics below the coefficients."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from econllm.errors import OptionError, did_you_mean, listing
from econllm.regtable.source import Source
from econllm.tables import Cell
from econllm.tables.content import plain_cell

Custom: TypeAlias = str | Callable[[Any], Any] | Sequence[Any]
Stats: TypeAlias = Sequence[str | Mapping[str, Custom]] | Mapping[str, Custom] | None

OUTCOME_MEAN = "outcome_mean"
LABELS: dict[str, tuple[str, str | None]] = {
    "n": ("Observations", ",d"),
    "persons": ("Persons", ",d"),
    "clusters": ("Clusters", ",d"),
    "log_likelihood": ("Log-likelihood", ",.2f"),
    "null_log_likelihood": ("Log-likelihood, constants only", ",.2f"),
    "pseudo_r2": ("Pseudo R²", ".3f"),
    "r2": ("R²", ".3f"),
    "adj_r2": ("Adjusted R²", ".3f"),
    "aic": ("AIC", ",.1f"),
    "bic": ("BIC", ",.1f"),
    "parameters": ("Parameters", ",d"),
    "effective_df": ("Effective degrees of freedom", ",.1f"),
    "penalty": ("Penalty", None),
    "alpha": ("alpha", ".3g"),
    "l1_ratio": ("L1 ratio", ".2f"),
    "cov_type": ("Standard errors", None),
    "converged": ("Converged", None),
    "iterations": ("Iterations", ",d"),
    "gradient": ("Gradient norm", ".1e"),
    "seconds": ("Seconds", ".1f"),
    OUTCOME_MEAN: ("Mean of outcome", ".3f"),
}
DEFAULT = ("n", "persons", "clusters", "log_likelihood", "pseudo_r2", "r2", "aic", "bic")


@dataclass(frozen=True)
class StatRow:
    """One row of statistics.

    Attributes
    ----------
    label : str
        What it says.
    values : tuple
        One per model: a value, or a mapping from the code of an outcome to its value.
    format : str, optional
        Number format.
    """

    label: str
    values: tuple[Any, ...]
    format: str | None = None

    @property
    def by_outcome(self) -> bool:
        """Whether any model has one value per outcome."""
        return any(isinstance(value, Mapping) for value in self.values)

    def cell(self, model: int, response: Hashable, *, first: bool) -> Cell:
        """The cell of one equation: its own value, or in the first equation the model's."""
        value = self.values[model]
        if isinstance(value, Mapping):
            return _cell(value.get(response))
        return _cell(value) if first else None


def stat_rows(sources: Sequence[Source], stats: Stats) -> list[StatRow]:
    """Read the option `stats`.

    Parameters
    ----------
    sources : sequence of Source
        The models.
    stats : sequence of str or mapping, mapping, or None
        Names of statistics, and mappings from a label to a name, a function of a result, or a list of values, one per
        model. By default what the models have of the usual ones.

    Returns
    -------
    list of StatRow

    Raises
    ------
    OptionError
        For a statistic that no model has, or a list whose length is not the number of models.

    Examples
    --------
    >>> stat_rows([], {"Cities": []})
    [StatRow(label='Cities', values=(), format=None)]
    """
    if stats is None:
        rows = [_named(sources, key, None) for key in DEFAULT]
        return [row for row in rows if any(_is_there(value) for value in row.values)]
    if isinstance(stats, str):
        raise OptionError(f"stats={stats!r} is one name; give a list, [{stats!r}].")
    items = [stats] if isinstance(stats, Mapping) else list(stats)
    rows = []
    for item in items:
        if isinstance(item, Mapping):
            rows += [_custom(sources, label, given) for label, given in item.items()]
        else:
            rows.append(_checked(sources, item, None))
    return rows


def _custom(sources: Sequence[Source], label: str, given: Custom) -> StatRow:
    if isinstance(given, str):
        return _checked(sources, given, label)
    if callable(given):
        return StatRow(label, tuple(given(source.result) for source in sources))
    values = tuple(given)
    if len(values) != len(sources):
        raise OptionError(
            f"stats[{label!r}] has {len(values)} values for {len(sources)} models; give one per model, None for none."
        )
    return StatRow(label, values)


def _checked(sources: Sequence[Source], key: str, label: str | None) -> StatRow:
    row = _named(sources, key, label)
    if key == OUTCOME_MEAN and not any(row.values):
        raise OptionError(f"stats names {key!r}, but no model says how often its outcomes occur.")
    if key != OUTCOME_MEAN and not any(key in source.statistics for source in sources):
        known = dict.fromkeys([*(name for s in sources for name in s.statistics), OUTCOME_MEAN])
        raise OptionError(
            f"stats names {key!r}, which no model has.{did_you_mean(key, known)} There are {listing(known, 25)}; "
            "others are given as a mapping from a label to a function or to one value per model."
        )
    return row


def _named(sources: Sequence[Source], key: str, label: str | None) -> StatRow:
    usual, spec = LABELS.get(key, (key.replace("_", " "), None))
    if key == OUTCOME_MEAN:
        return StatRow(label or usual, tuple(dict(source.facts.shares) or None for source in sources), spec)
    return StatRow(label or usual, tuple(_cell(source.statistics.get(key)) for source in sources), spec)


def _cell(value: Any) -> Cell:
    """A value for a table; what is missing is left blank."""
    cell = plain_cell(value)
    return cell if _is_there(cell) else None


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and value != value)
