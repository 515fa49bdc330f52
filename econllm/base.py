"""What every model promises: a specification that fits, and results that predict."""

from __future__ import annotations

import abc
import dataclasses
import os
import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.choices import ChoiceSet
from econllm.errors import DataError, InfiniteScoreWarning, OptionError, did_you_mean
from econllm.options import Seed, make_plain
from econllm.panel import CareerPanel
from econllm.sample import (
    Data,
    Sample,
    cluster_labels,
    evaluation_weights,
    group_labels,
    groups_of,
    read_sample,
)
from econllm.tables import Fact, Table


@dataclass(frozen=True)
class Estimator(abc.ABC):
    """A frozen specification: options only, no data.

    Notes
    -----
    ``repr`` gives code that rebuilds the specification. Every choice that shapes estimation or inference is an option
    of it; `fit` takes only data and what goes with them.
    """

    def __post_init__(self) -> None:
        make_plain(self)

    def replace(self, **changes: Any) -> Self:
        """Return the specification with some options changed.

        Raises
        ------
        OptionError
            If an option does not exist.

        Examples
        --------
        >>> from econllm.empirical import Empirical
        >>> Empirical().replace(order=2)
        Empirical(order=2)
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise OptionError(f"{type(self).__name__} has no option {name!r}.{did_you_mean(name, names)}")
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        parts = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            default = field.default_factory() if callable(field.default_factory) else field.default
            if not field.repr or (value is default or (type(value) is type(default) and value == default)):
                continue
            required = field.default is dataclasses.MISSING and not callable(field.default_factory)
            parts.append(repr(value) if required else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def automatic(self) -> tuple[str, ...]:
        """Options that `fit` chooses from the data, such as alpha; :attr:`econllm.Results.chosen` has their values."""
        return ()

    @property
    def stochastic(self) -> bool:
        """Whether two fits of the same data differ by their seeds; choosing options by folds is such chance."""
        return bool(self.automatic)

    @property
    def without_inference(self) -> Self:
        """The same model without standard errors, for refits of which only predictions are used."""
        return self

    @abc.abstractmethod
    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> Results:
        """Estimate the model.

        Parameters
        ----------
        data : CareerPanel (or DataFrame, where a model takes one)
            Estimation sample.
        validation : the same, optional
            Sample on which tuning parameters are chosen.
        weights : pandas.Series, optional
            Non-negative weights indexed by person or by row; multiplied with survey weights where the model uses them.
        seed : int, SeedSequence, Generator or None
            Source of randomness, for models that have any.
        checkpoint : path, optional
            Folder from which long work resumes, for models that take long.

        Returns
        -------
        Results
        """


@dataclass(frozen=True)
class FitInfo:
    """What happened at estimation, in numbers only.

    Attributes
    ----------
    rows : int
        Transitions used.
    persons, first_records : int or None
        Distinct persons, and transitions without a history; None for a data frame, whose rows are independent.
    log_likelihood : float
        Of the estimation sample, in nats, unweighted; NaN for a model off the shelf, which is not evaluated on it.
    parameters : int
        Free parameters that were estimated.
    seconds : float
        Time that `fit` took.
    unseen : tuple
        Codes of the choice set that never occur in the estimation sample.
    dropped : int
        Rows left out for missing values.
    truncated : float or None
        Share of texts that were longer than an encoder reads.
    weighted : bool
        Whether weights were used.
    """

    rows: int
    persons: int | None
    first_records: int | None
    log_likelihood: float
    parameters: int
    seconds: float
    unseen: tuple[Hashable, ...] = ()
    dropped: int = 0
    truncated: float | None = None
    weighted: bool = False


class Results(abc.ABC):
    """What an estimation found. Immutable; holds no rows of the data.

    Attributes
    ----------
    model : Estimator
        The specification that made it.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    """

    model: Estimator
    choices: ChoiceSet
    info: FitInfo

    @abc.abstractmethod
    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every outcome.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows to predict.

        Returns
        -------
        numpy.ndarray of float64, shape (n, choices)
            In nats; exp of a row sums to one within 1e-9, unless the result is flagged improper.
        """

    @abc.abstractmethod
    def summary(self) -> Table:
        """Describe the estimation as a table; ``print(results)`` shows it."""

    @abc.abstractmethod
    def _state(self) -> dict[str, Any]:
        """Give all content as plain objects and arrays; `_from_state` takes it."""

    @classmethod
    @abc.abstractmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> Results:
        """Rebuild a result from its specification, choice set, numbers and what `_state` gave."""

    @property
    def outcome(self) -> str | None:
        """Outcome column in a data frame; None for models that take only panels."""
        return None

    @property
    def chosen(self) -> dict[str, Any]:
        """Values that the model's automatic options took; empty where there are none."""
        return {}

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of a comparison must know: "improper" (mass above one), "conservative" (mass below one)."""
        return ()

    def kept(self, data: Data) -> np.ndarray:
        """Which rows the model predicts: all of them, unless it drops rows with missing values; shape (n,) of bool."""
        return np.ones(len(data), dtype=bool)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model!r}: {self.info.rows:,} rows, {len(self.choices)} outcomes>"

    def _repr_html_(self) -> str:
        return self.summary().to_html()

    def predict_proba(self, data: Data) -> pd.DataFrame:
        """Probability of every outcome, labelled.

        Returns
        -------
        pandas.DataFrame, shape (n, choices)
            Indexed as the data, one column per occupation code.
        """
        proba = np.exp(self.log_proba(data))
        return pd.DataFrame(proba, index=data.index[self.kept(data)], columns=self.choices.index)

    def predict(self, data: Data) -> pd.Series:
        """Most probable outcome of every row.

        Returns
        -------
        pandas.Series
            Codes, indexed as the data.
        """
        best = np.argmax(self.log_proba(data), axis=1)
        return pd.Series(self.choices.index[best], index=data.index[self.kept(data)], name=self._outcome_name(data))

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row.

        Returns
        -------
        pandas.Series of float64, shape (n,)
            In nats, indexed as the data. Minus infinity where the model gave probability zero.
        """
        kept = self.kept(data)
        outcome = self.sample(data).outcome[kept]
        scores = self.log_proba(data)[np.arange(len(outcome)), outcome]
        return pd.Series(scores, index=data.index[kept], name="log_likelihood")

    def sample(self, data: Data) -> Sample:
        """Rows and realised outcomes of `data` in positions of this result's choice set."""
        return read_sample(data, self.outcome, self.choices)

    def _outcome_name(self, data: Data) -> str:
        return str(data.roles.occupation) if isinstance(data, CareerPanel) else str(self.outcome)

    def perplexity(
        self, data: Data, by: str | None = None, weights: bool = False, cluster: str = "person", level: float = 0.95
    ) -> metrics.Perplexity | pd.DataFrame:
        """Perplexity of realised outcomes, with a clustered confidence interval.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Rows with outcomes.
        by : str, optional
            Column whose values define groups, or "history" (first records against the others). Rows where it is missing
            belong to no group.
        weights : bool
            Weight rows by the panel's survey weights.
        cluster : str
            "person" (the row itself in a data frame), or a column.
        level : float
            Coverage of the intervals.

        Returns
        -------
        Perplexity, or DataFrame with `by`
            The frame has one row per group: perplexity, std_error, lower, upper, n, persons.

        Raises
        ------
        DataError
            For empty data.
        MissingColumnError
            If `by` or `cluster` is no column.

        Warns
        -----
        InfiniteScoreWarning
            If the model gave probability zero to something that happened: the perplexity is infinite.
        """
        rows = self.sample(data)
        if not len(rows):
            raise DataError("the data to evaluate have no rows.")
        kept = self.kept(data)
        scores = self.log_likelihood(data).to_numpy()
        impossible = int(np.isneginf(scores).sum())
        if impossible:
            warnings.warn(
                f"the model gives probability zero to what happened in {impossible} of {len(scores)} rows, so the "
                "perplexity is infinite.",
                InfiniteScoreWarning,
                stacklevel=2,
            )
        weight = evaluation_weights(rows, weights)
        weight = None if weight is None else weight[kept]
        clusters = cluster_labels(data, rows, cluster)[kept]
        if by is None:
            found = metrics.perplexity(scores, clusters, weight, level)
            return dataclasses.replace(found, first_records=int(rows.first[kept].sum()))
        groups = group_labels(data, rows, by)[kept]
        out = {}
        for group in groups_of(groups):
            at = groups == group
            part = metrics.perplexity(scores[at], clusters[at], None if weight is None else weight[at], level)
            out[group] = (part.value, part.std_error, *part.conf_int, part.n, part.persons)
        columns = ["perplexity", "std_error", "lower", "upper", "n", "persons"]
        return pd.DataFrame.from_dict(out, orient="index", columns=columns).rename_axis(by)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the result into a folder, as JSON and safetensors; :func:`econllm.load` reads it.

        Parameters
        ----------
        folder : path
            New folder.
        overwrite : bool
            Replace an earlier result in that folder.

        Raises
        ------
        OptionError
            If the folder exists and is not to be replaced, or holds something else.
        FormulaError
            If the formula uses objects of the caller, which cannot be saved.

        Notes
        -----
        No row of the data is written.
        """
        from econllm.io import write_results

        write_results(self, Path(folder), overwrite=overwrite)


def summary_facts(results: Results) -> list[Fact]:
    """Facts that head every summary, from the specification to the time taken.

    Parameters
    ----------
    results : Results
        Any result.

    Returns
    -------
    list of Fact
    """
    i = results.info
    facts = [
        Fact("Specification", repr(results.model)),
        Fact("Rows", i.rows, ",d"),
        Fact("Outcomes", f"{len(results.choices) - len(i.unseen):,} of {len(results.choices):,}"),
        Fact("Seconds", i.seconds, ".1f"),
    ]
    if np.isfinite(i.log_likelihood):
        facts[3:3] = [
            Fact("Log-likelihood", i.log_likelihood, ",.2f"),
            Fact("Perplexity in sample", float(np.exp(-i.log_likelihood / i.rows)), ".4f"),
        ]
    if i.persons is not None:
        facts[2:2] = [Fact("Persons", i.persons, ",d"), Fact("First records", i.first_records, ",d")]
    if i.dropped:
        facts.append(Fact("Rows dropped, missing values", i.dropped, ",d"))
    if i.truncated is not None:
        facts.append(Fact("Texts truncated", i.truncated, ".1%"))
    if i.weighted:
        facts.append(Fact("Weights", "mean one; log-likelihood unweighted"))
    return facts
