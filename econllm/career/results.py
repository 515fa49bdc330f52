"""What CAREER found."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.base import FitInfo, Results, summary_facts
from econllm.career.model import CAREER, career_panel
from econllm.career.presets import Preset
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.options import Seed
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesStatistics
from econllm.resampling import fingerprint
from econllm.sample import Data
from econllm.tables import Fact, Table
from econllm.training import History

if TYPE_CHECKING:
    from econllm.career.attention import Attention
    from econllm.career.forecast import CovariatesAfter, Forecast
    from econllm.career.occupations import Kind, OccupationEmbeddings
    from econllm.career.prediction import Predictor
    from econllm.career.rationale import Rationale
    from econllm.career.simulate import Covariates


class CAREERResults(Results, MaketablesStatistics):
    """A trained CAREER. Immutable; holds weights and codings, no rows of the data.

    Attributes
    ----------
    model : CAREER
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.
    sizes : Preset
        Sizes of the network and the training that was used.
    history : History
        Loss and validation by epoch.
    predictor : Predictor
        The network and its codings.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.training import Training
    >>> panel = simulate_careers(40, 4, seed=1)
    >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
    >>> fit.sizes.dim
    32
    """

    def __init__(self, model: CAREER, sizes: Preset, predictor: Predictor, history: History, info: FitInfo) -> None:
        self.model: CAREER = model
        self.choices = predictor.choices
        self.info = info
        self.sizes = sizes
        self.history = history
        self.predictor = predictor

    @property
    def chosen(self) -> dict[str, Any]:
        """The preset, where it was chosen by the number of transitions."""
        from econllm.career.presets import preset_for

        return dict.fromkeys(self.model.automatic, preset_for(self.info.rows))

    def __repr__(self) -> str:
        # A model that starts from this one is told from others by what it starts from.
        weights = self.predictor.network.state_dict().values()
        digest = fingerprint(*(values.cpu().numpy() for values in weights))[:8]
        return f"<CAREERResults of {self.model!r}: {self.info.rows:,} rows, weights {digest}>"

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every occupation, shape (n, choices), in nats."""
        return self.predictor.log_proba(self._panel(data))

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row; stays need no softmax."""
        panel = self._panel(data)
        scores = self.predictor.log_likelihood(self.predictor.coding.read(panel, self.choices))
        return pd.Series(scores, index=panel.index, name="log_likelihood")

    def move_proba(self, data: Data) -> pd.Series:
        """Probability of leaving the last occupation.

        Parameters
        ----------
        data : CareerPanel
            The rows to predict.

        Returns
        -------
        pandas.Series of float64, shape (n,)
            Missing at first records, which have nothing to leave.
        """
        panel = self._panel(data)
        values = self.predictor.move_proba(panel)
        return pd.Series(values, index=panel.index, name="move_proba")

    def transform(self, data: Data) -> pd.DataFrame:
        """Representations of histories, for regressions.

        Parameters
        ----------
        data : CareerPanel
            The rows.

        Returns
        -------
        pandas.DataFrame of float64, shape (n, dim - 1)
            One row per transition, columns "career_0", "career_1", ...: what the model knows before the occupation of
            the row, its own covariates included.

        Notes
        -----
        The last of the `dim` components is left out: the final normalisation makes it a linear function of the others
        and a constant, and no regression with an intercept could tell them apart.
        """
        panel = self._panel(data)
        values = self.predictor.represent(panel)[:, :-1]
        return pd.DataFrame(values, index=panel.index, columns=[f"career_{j}" for j in range(values.shape[1])])

    def attention(self, data: Data, person: Hashable) -> Attention:
        """Show where the network looks in one career.

        Parameters
        ----------
        data : CareerPanel
            Holds the person.
        person : hashable
            Identifier as in ``panel.persons``.

        Returns
        -------
        Attention
            Weights per layer and head, named by record; `.frame()` lists and `.plot()` draws them.

        Raises
        ------
        DataError
            If the person is not in the panel.

        Notes
        -----
        softmax(q k' / sqrt(dim / heads)) over the records up to each one (Vaswani et al., arXiv 1706.03762). Where
        `returns` is on, the head looks at earlier records once more to score going back; that is not part of it.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> from econllm.training import Training
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
        >>> fit.attention(panel, 3).weights.shape
        (2, 2, 18, 18)
        """
        from econllm.career.attention import attention_of

        return attention_of(self.predictor, self._panel(data), person)

    def rationale(
        self, data: Data, row: Hashable, target: Hashable | None = None, *, given_move: bool = False
    ) -> Rationale:
        """Find few records that suffice to make what happened the most probable occupation.

        Parameters
        ----------
        data : CareerPanel
            Holds the row, and the history of its person.
        row : hashable
            Label of the row, as in ``panel.index``.
        target : int or str, optional
            Code or title of another occupation to explain than the one that happened.
        given_move : bool
            Compare destinations only, given that the last occupation is left. In a yearly survey staying is nearly
            always most probable, so that a move is seldom explained otherwise.

        Returns
        -------
        Rationale
            Records in the order of inclusion; prints as a table.

        Raises
        ------
        OptionError
            If the model was fitted with ``history_dropout=0``: its network has never seen hidden records. If
            `given_move` and the occupation is the last one, or there is none.
        DataError
            If the row is not in the panel, or the occupation not in the choice set.

        Notes
        -----
        Wanted is the smallest set S of records with y = argmax P(y | S); greedy rationalisation (Vafa, Deng, Blei and
        Rush 2021, "Rationales for Sequential Predictions", arXiv 2109.06387) finds a small one. Begin with the row's
        own record, which carries the last occupation, how many records it has lasted (with `spell`) and what is known
        at the time; hide all others; include the
        earlier record that raises the probability of y most; stop when y is the most probable occupation, or when all
        records are in. Hidden records keep their place in time and pass nothing on.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> from econllm.training import Training
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> fit = CAREER(history_dropout=0.5, training=Training(epochs=1)).fit(panel, seed=0)
        >>> fit.rationale(panel, panel.index[3]).records
        4
        """
        from econllm.career.rationale import rationale_of

        return rationale_of(self.predictor, self.model, self._panel(data), row, target, given_move)

    def occupation_embeddings(self, kind: Kind = "output") -> OccupationEmbeddings:
        """Vectors of occupations, with nearest neighbours and a map.

        Parameters
        ----------
        kind : {"input", "output"}
            What an occupation says as the last one held, or its weights as a destination.

        Returns
        -------
        OccupationEmbeddings
            `.frame`, `.neighbours(occupation)`, `.map()` and `.plot()`.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> from econllm.training import Training
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
        >>> fit.occupation_embeddings("output").frame.shape
        (4, 32)
        """
        from econllm.career.occupations import embeddings_of

        return embeddings_of(self.predictor, kind)

    def simulate(
        self,
        data: Data,
        horizon: int,
        draws: int,
        seed: Seed = None,
        *,
        step: float | None = None,
        covariates: Covariates | None = None,
    ) -> pd.DataFrame:
        """Continue every career after its last record in the data.

        Parameters
        ----------
        data : CareerPanel
            Careers; records that only serve as history count.
        horizon : int
            Records to add.
        draws : int
            Simulated careers per person.
        seed : int, SeedSequence, Generator or None
            More draws or a longer horizon do not change the draws and records that there were.
        step : float, optional
            Time between new records; by default the median time between the records of the data.
        covariates : callable, optional
            Takes the data frame of the new records of one step and gives it back with changed columns. By default all
            columns are held at the values of the last record.

        Returns
        -------
        pandas.DataFrame, shape (persons x draws x horizon, 5)
            Person, "draw" and "step" (from 1), time and occupation, in this order, in the types of the data.

        Raises
        ------
        OptionError
            For a horizon, draws or a step that are no positive numbers.
        DataError
            If `covariates` gives back other rows or columns.
        UnseenLevelError
            If it makes levels that the model does not know.

        Notes
        -----
        The function sees person, "draw", "step", time, "last_occupation", the static and dynamic columns, and the
        lagged columns, which hold the values of the record before; these may be changed, the others only read. Columns
        begin as they were at the step before, so ``lambda new: new.assign(age=new["age"] + 1)`` makes everybody a year
        older at every step. It is called for some persons at a time and must treat every row by itself. Without it,
        columns such as age stand still while calendar time goes on.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> from econllm.training import Training
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
        >>> fit.simulate(panel, horizon=3, draws=2, seed=0).shape
        (240, 5)
        """
        from econllm.career.simulate import simulate

        panel = self._panel(data)
        return simulate(self.predictor, panel, horizon, draws, seed, step=step, covariates=covariates)

    def forecast(
        self,
        data: Data,
        cutoff: float,
        draws: int,
        seed: Seed = None,
        *,
        states: Sequence[Hashable] | None = None,
        covariates: CovariatesAfter = "held",
    ) -> Forecast:
        """Forecast what happened after a cutoff, as the average over simulated paths.

        Parameters
        ----------
        data : CareerPanel
            Careers. Persons with records both up to the cutoff and, to be predicted, after it are forecast.
        cutoff : float
            Last time whose records are known, in units of the time column.
        draws : int
            Paths per person; the paper has 1,000.
        seed : int, SeedSequence, Generator or None
            Source of randomness.
        states : sequence of codes or titles, optional
            States whose probabilities are kept and evaluated by the area under the ROC curve; by default those with at
            least ten forecast records in them and ten elsewhere.
        covariates : {"held", "realised"}
            Static and dynamic columns after the cutoff: as in the last known record, or as they turned out. Lagged
            columns, which describe jobs, are always held; the times of later records are always used.

        Returns
        -------
        Forecast

        Raises
        ------
        OptionError
            If nobody has records on both sides of the cutoff; for draws or states that do not exist.

        Notes
        -----
        Vafa et al. (arXiv 2202.08370): the probability of the k-th record after the cutoff is the mean, over paths, of
        its probability given the history up to the cutoff and the k - 1 simulated records. The first one needs no path:
        with realised covariates it is what :meth:`predict_proba` gives. The log of an average over few paths is too low
        on average, by half its relative variance, and so a perplexity from few draws is too high.

        Examples
        --------
        >>> from econllm.datasets import simulate_careers
        >>> from econllm.training import Training
        >>> panel = simulate_careers(40, 4, seed=1)
        >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
        >>> fit.forecast(panel, cutoff=2000, draws=5, seed=0).by_horizon.index.name
        'records_ahead'
        """
        from econllm.career.forecast import forecast

        return forecast(self.predictor, self._panel(data), cutoff, draws, seed, states=states, covariates=covariates)

    def summary(self) -> Table:
        """Describe the sample, the sizes and the training."""
        s, h = self.sizes, self.history
        facts = [
            *summary_facts(self),
            Fact("Layers, width, heads, hidden layer", f"{s.layers}, {s.dim}, {s.heads}, {s.ffn}"),
            Fact("Parameters", self.info.parameters, ",d"),
            Fact("Epochs", f"{len(h.frame)} of {s.training.epochs}, best {h.best_epoch}"),
        ]
        if self.info.unseen:
            facts.append(Fact("Never seen, probability reserved", len(self.info.unseen), ",d"))
        columns, rows = self.history.listed()
        notes = [
            "loss: minus the mean log-likelihood in training, with dropout; validation: mean log-likelihood; in nats.",
            "No standard errors of weights: bootstrap() gives those of predictions.",
        ]
        return Table(columns, rows, title="CAREER", header="epoch", facts=facts, notes=notes)

    def _panel(self, data: Data) -> CareerPanel:
        panel = career_panel(data)
        if not len(panel):
            raise DataError("the data to predict have no rows.")
        self.sample(panel)
        return panel

    def _state(self) -> dict[str, Any]:
        from econllm.career.state import pack_predictor

        return {
            "sizes": {f.name: getattr(self.sizes, f.name) for f in dataclasses.fields(self.sizes)},
            **self.history.to_state(),
            **pack_predictor(self.predictor),
        }

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> CAREERResults:
        from econllm.career.state import unpack_predictor

        history = History.from_state(state)
        return cls(model, Preset(**state["sizes"]), unpack_predictor(state, choices), history, info)
