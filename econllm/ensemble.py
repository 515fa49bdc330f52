"""Averages of one model fitted with several seeds."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from econllm.base import Estimator, FitInfo, Results, summary_facts
from econllm.choices import ChoiceSet
from econllm.errors import OptionError, check_number, refusal
from econllm.options import Seed, child_seed, resolve_seed
from econllm.regtable import MaketablesStatistics
from econllm.sample import Data
from econllm.tables import Column, Fact, Row, Table


@dataclass(frozen=True, repr=False)
class Ensemble(Estimator):
    """One model fitted several times with different seeds, and the average of its probabilities.

    Parameters
    ----------
    model : Estimator
        A model whose fit depends on the seed, such as :class:`econllm.CAREER`.
    members : int
        How many fits, at least two.

    Raises
    ------
    OptionError
        If `model` is no estimator, or is an ensemble itself.

    Notes
    -----
    The log score of an average of probabilities is at least the average of the log scores (Jensen's inequality): what
    training leaves to chance costs perplexity, and averaging gets a part of it back. Member k has child k of the seed.

    Examples
    --------
    >>> from econllm.empirical import Empirical
    >>> Ensemble(Empirical(), members=3)
    Ensemble(Empirical(), members=3)
    """

    model: Estimator
    members: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.model, Estimator) or isinstance(self.model, Ensemble):
            raise OptionError(refusal("model", self.model, "not allowed", "give a model such as CAREER()"))
        check_number("members", self.members, minimum=2, integer=True)

    @property
    def automatic(self) -> tuple[str, ...]:
        """("model",) where the model chooses options from the data."""
        return ("model",) if self.model.automatic else ()

    @property
    def stochastic(self) -> bool:
        """Whether the model is."""
        return self.model.stochastic

    @property
    def without_inference(self) -> Ensemble:
        """The same ensemble without standard errors of its members."""
        return self.replace(model=self.model.without_inference)

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> EnsembleResults:
        """Fit every member.

        Parameters
        ----------
        data, validation, weights : object
            As the model takes them.
        seed : int, SeedSequence, Generator or None
            Source of randomness; the members get its children.
        checkpoint : path, optional
            Folder in which every member has a folder of its own.

        Returns
        -------
        EnsembleResults

        Raises
        ------
        OptionError
            For a checkpoint that is a file, or without a fixed seed.
        EconLLMError
            As the model does.
        """
        clock = time.perf_counter()
        folder = None if checkpoint is None else _checkpoint(checkpoint, seed)
        root = resolve_seed(seed)
        members = [
            self.model.fit(
                data,
                validation=validation,
                weights=weights,
                seed=child_seed(root, k),
                checkpoint=None if folder is None else folder / f"member-{k + 1}",
            )
            for k in range(self.members)
        ]
        scores = _average([member.log_likelihood(data).to_numpy() for member in members])
        info = dataclasses.replace(
            members[0].info,
            log_likelihood=float(scores.sum()),
            parameters=sum(member.info.parameters for member in members),
            seconds=time.perf_counter() - clock,
        )
        return EnsembleResults(self, members[0].choices, info, members)


class EnsembleResults(Results, MaketablesStatistics):
    """Fitted members and their average. Immutable; holds no rows of the data.

    Attributes
    ----------
    model : Ensemble
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    members : tuple of Results
        The fits.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> len(Ensemble(Empirical(), members=2).fit(panel).members)
    2
    """

    def __init__(self, model: Ensemble, choices: ChoiceSet, info: FitInfo, members: list[Results]) -> None:
        self.model: Ensemble = model
        self.choices = choices
        self.info = info
        self.members = tuple(members)

    @property
    def outcome(self) -> str | None:
        """Outcome column in a data frame; None for models that take only panels."""
        return self.members[0].outcome

    @property
    def chosen(self) -> dict[str, Any]:
        """The model with the options that the first member chose."""
        return {"model": self.model.model.replace(**self.members[0].chosen)} if self.model.automatic else {}

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of a comparison must know of any member."""
        return tuple(dict.fromkeys(flag for member in self.members for flag in member.flags))

    def kept(self, data: Data) -> np.ndarray:
        """Which rows the members predict."""
        return self.members[0].kept(data)

    def log_proba(self, data: Data) -> np.ndarray:
        """Log of the average probability of every outcome, shape (n, choices), in nats."""
        total = self.members[0].log_proba(data)
        for member in self.members[1:]:
            np.logaddexp(total, member.log_proba(data), out=total)
        out: np.ndarray = total - np.log(len(self.members))
        return out

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log of the average probability of what happened, row by row."""
        parts = [member.log_likelihood(data) for member in self.members]
        scores = _average([part.to_numpy() for part in parts])
        return pd.Series(scores, index=parts[0].index, name="log_likelihood")

    def summary(self) -> Table:
        """Describe the average and its members."""
        rows = [
            Row(str(k + 1), [member.info.log_likelihood, float(np.exp(-member.info.log_likelihood / member.info.rows))])
            for k, member in enumerate(self.members)
        ]
        columns = [Column("log-likelihood", ",.2f"), Column("perplexity in sample", ".4f")]
        facts = [*summary_facts(self), Fact("Members", len(self.members))]
        notes = ["Probabilities are averaged over members, which differ by their seed alone."]
        return Table(columns, rows, title="Ensemble", header="member", facts=facts, notes=notes)

    def _state(self) -> dict[str, Any]:
        return {"members": list(self.members)}

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> EnsembleResults:
        return cls(model, choices, info, state["members"])


def _checkpoint(folder: str | Path, seed: Seed) -> Path:
    """The folder of the members' folders, which they make themselves."""
    # Members get children of the seed, so that they cannot tell that there was none.
    if seed is None:
        raise OptionError(
            "checkpoint= goes on with a run that was interrupted, which needs a fixed seed: give seed=0, say."
        )
    place = Path(folder).expanduser()
    if place.exists() and not place.is_dir():
        raise OptionError(f"checkpoint={str(folder)!r} is a file; give a new or empty folder.")
    return place


def _average(scores: list[np.ndarray]) -> np.ndarray:
    """Log of the mean of exponentials."""
    out: np.ndarray = logsumexp(np.stack(scores), axis=0) - np.log(len(scores))
    return out
