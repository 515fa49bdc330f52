"""What a fine-tuned sentence encoder found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.base import FitInfo, Results, summary_facts
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.llm.encoder import EncoderClassifier, row_texts
from econllm.llm.frames import check_data
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesStatistics
from econllm.sample import Data
from econllm.tables import Fact, Table
from econllm.text import ResumeTemplate
from econllm.training import History

if TYPE_CHECKING:
    from torch import Tensor

    from econllm.llm.encoder_prediction import Predictor


class EncoderClassifierResults(Results, MaketablesStatistics):
    """A fine-tuned sentence encoder. Immutable; holds weights, no rows of the data.

    Attributes
    ----------
    model : EncoderClassifier
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    predictor : Predictor
        The network and its tokenizer.
    history : History
        Loss and validation by epoch.
    template : ResumeTemplate or None
        Wording of résumés, in prediction as in estimation; None for data frames.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> panel = simulate_careers(40, 4, seed=1)
    >>> fit = EncoderClassifier(frozen="all").fit(panel, seed=0)  # doctest: +SKIP
    >>> fit.log_proba(panel).shape == (len(panel), 4)  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        model: EncoderClassifier,
        choices: ChoiceSet,
        info: FitInfo,
        predictor: Predictor,
        history: History,
        template: ResumeTemplate | None,
    ) -> None:
        self.model: EncoderClassifier = model
        self.choices = choices
        self.info = info
        self.predictor = predictor
        self.history = history
        self.template = template

    @property
    def outcome(self) -> str | None:
        """Outcome column in a data frame; None for a model of careers."""
        return self.model.outcome

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every outcome, shape (n, choices), in nats."""
        return self.predictor.log_proba(self._hidden(data))

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row."""
        outcome = self.sample(check_data(self.model.formula, data)).outcome
        scores = self.predictor.log_likelihood(self._hidden(data), outcome)
        return pd.Series(scores, index=data.index, name="log_likelihood")

    def transform(self, data: Data) -> pd.DataFrame:
        """Vectors of texts after fine-tuning, for regressions.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.

        Returns
        -------
        pandas.DataFrame of float64, shape (n, dim)
            One row per row of the data, of length one; columns "encoder_0", "encoder_1", ...: what the model knows
            before the outcome.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> EncoderClassifier().fit(panel, seed=0).transform(panel).shape[1]  # doctest: +SKIP
        384
        """
        values = self._hidden(data).double().cpu().numpy()
        return pd.DataFrame(values, index=data.index, columns=[f"encoder_{j}" for j in range(values.shape[1])])

    def summary(self) -> Table:
        """Describe the sample, the encoder and the training."""
        frame, best = self.history.frame, self.history.best_epoch
        facts = [
            *summary_facts(self),
            Fact("Encoder", self.model.model),
            Fact("Most tokens", self.predictor.reader.max_tokens, ",d"),
            Fact("Layers frozen, with the embeddings", str(self.model.frozen)),
            Fact("Parameters", self.info.parameters, ",d"),
            Fact("Epochs", f"{len(frame)} of {self.history.planned}, best {best}"),
        ]
        if self.info.unseen:
            facts.append(Fact("Never seen, probability reserved", len(self.info.unseen), ",d"))
        columns, rows = self.history.listed()
        notes = [
            "loss: minus the mean log-likelihood in training, with dropout; validation: mean log-likelihood; in nats.",
            "No standard errors of weights: bootstrap() gives those of predictions.",
        ]
        return Table(columns, rows, title="EncoderClassifier", header="epoch", facts=facts, notes=notes)

    def _hidden(self, data: Data) -> Tensor:
        """Vectors of the rows, after a look at whether they are like those of the estimation sample."""
        data = check_data(self.model.formula, data)
        if not len(data):
            raise DataError("the data to predict have no rows.")
        if isinstance(data, CareerPanel):
            self.sample(data)
        return self.predictor.hidden(self.predictor.reader.read(row_texts(self.model, data, self.template)))

    def _state(self) -> dict[str, Any]:
        from econllm.llm.encoder_state import pack_predictor

        return {
            "template": self.template,
            **self.history.to_state(),
            **pack_predictor(self.predictor),
        }

    @classmethod
    def _from_state(
        cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]
    ) -> EncoderClassifierResults:
        from econllm.llm.encoder_state import unpack_predictor

        history = History.from_state(state)
        return cls(model, choices, info, unpack_predictor(model, state), history, state["template"])
