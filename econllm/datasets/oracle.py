"""The truth as a model: what no estimate can beat on simulated careers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from econllm.base import Estimator, FitInfo, Results, summary_facts
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.options import Seed
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.tables import Table


@dataclass(frozen=True, repr=False)
class Oracle(Estimator):
    """Predict simulated careers by the probabilities that generated them.

    Its perplexity is the lower bound: a model that beats it beyond sampling error has seen the outcomes.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> panel = simulate_careers(50, 4, seed=1)
    >>> bool(Oracle().fit(panel).perplexity(panel).value < 4)
    True
    """

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> OracleResults:
        """Take note of the choice set; there is nothing to estimate.

        Raises
        ------
        DataError
            If the data are not simulated.
        """
        panel, log_truth = _simulated(data)
        outcome = np.arange(len(log_truth)), panel.outcome
        info = FitInfo(
            rows=len(panel),
            persons=len(np.unique(panel.origin_ids)),
            first_records=int(panel.is_first.sum()),
            log_likelihood=float(log_truth[outcome].sum()),
            parameters=0,
            seconds=0.0,
        )
        return OracleResults(self, panel.choices, info)


def _simulated(data: Data) -> tuple[CareerPanel, np.ndarray]:
    """The panel and the log of its true probabilities."""
    truth = data.truth if isinstance(data, CareerPanel) else None
    if not isinstance(data, CareerPanel) or truth is None:
        raise DataError("only simulated careers know their true probabilities: use datasets.simulate_careers.")
    with np.errstate(divide="ignore"):
        return data, np.log(truth.to_numpy())


class OracleResults(Results):
    """The true probabilities, as a result like any other.

    Attributes
    ----------
    model : Oracle
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample in numbers.
    """

    def __init__(self, model: Oracle, choices: ChoiceSet, info: FitInfo) -> None:
        self.model: Oracle = model
        self.choices = choices
        self.info = info

    def log_proba(self, data: Data) -> np.ndarray:
        """Log of the true probabilities, shape (n, choices)."""
        return _simulated(data)[1]

    def summary(self) -> Table:
        """Describe the sample."""
        return Table([], [], title="True probabilities", facts=summary_facts(self))

    def _state(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> OracleResults:
        return cls(model, choices, info)
