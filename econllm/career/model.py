"""The specification of CAREER."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from econllm.base import Estimator, Results
from econllm.career.presets import PRESETS, Preset, preset_for
from econllm.encoders import SentenceEncoder
from econllm.errors import DataError, OptionError, check_number, check_option, check_share, did_you_mean, refusal
from econllm.options import Seed, resolve_device
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.training import Training

if TYPE_CHECKING:
    from econllm.career.results import CAREERResults

PresetName = Literal["auto", "tiny", "quick", "small", "large", "paper"]
Position = Literal["learned", "sinusoidal"]
Calendar = Literal["learned", "number"]


@dataclass(frozen=True, repr=False)
class CAREER(Estimator):
    """CAREER: a transformer on coded careers that decides whether to move, and then where.

    Parameters
    ----------
    preset : {"auto", "tiny", "quick", "small", "large", "paper"}
        Sizes and training that go together; "auto" chooses "tiny", "small" or "large" by the number of transitions.
        "paper" has the published sizes: 12 layers, width 192, 3 heads, hidden layer 768.
    layers, dim, heads, ffn : int, optional
        Blocks, width of the representations, attention heads, width of the hidden layer; by default the preset's
        (`ffn` four times `dim` where only `dim` is given).
    dropout : float, optional
        Share of activations dropped in training; by default the preset's.
    two_stage : bool
        Decide first whether to stay. Without, one softmax over all occupations.
    returns : bool
        Give every earlier occupation of a career a score of its own as a destination: people go back. False is the
        published head.
    titles : str, SentenceEncoder or None
        Encoder of titles, such as "minilm": the input embedding and the output weights of an occupation are each a
        free vector plus a learned linear map of its title's vector, so that rare occupations borrow from similar ones.
    covariates : sequence of column names, optional
        The only static, dynamic and lagged columns to use; all those of the panel by default. Columns by outcome
        ("wage[alt]") are not read.
    position : {"learned", "sinusoidal"} or None
        Embedding of the record's number.
    calendar : {"learned", "number"} or None
        Calendar time: a slope and an effect of every time (of the nearest one for times never seen), or the slope.
    gap : bool
        Use the time since the record before.
    spell : bool
        Use the number of records in a row with the last occupation.
    history_dropout : float
        Share of persons in every update whose earlier records are hidden at random. It keeps the model from learning
        careers by heart, and :meth:`CAREERResults.rationale` needs it above zero.
    start : CAREERResults, optional
        A fitted model to start from; its sizes are taken. Occupations and covariates are matched by name: those it
        knows start where it left them, new covariates without effect. The choice set is the union.
    freeze : sequence of int or str
        Parts of `start` that are not trained: numbers of blocks from 1 on, "embeddings", "head".
    training : Training, optional
        Epochs, batches, learning rate and so on; by default the preset's.
    weighted : bool
        Use the survey weights of the panel.
    pseudo_count : float
        What occupations count that were never seen in estimation: each destination of them has a reserved probability
        pseudo_count / (n + pseudo_count x unseen), shared out by title where there are `titles`.
    device : str
        "auto" takes cuda, mps, cpu in this order.
    dtype : {"auto", "float32", "bfloat16"}
        Number type of matrix products in training; "auto" is bfloat16 on CUDA, else float32. Predictions are made in
        float32 and summed in float64.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Notes
    -----
    h1 = e(last occupation) + e(static) + e(dynamic) + e(time), causal pre-norm blocks, then P(move) = sigmoid(eta' h)
    and P(y | move) = softmax of b_y' h over the other occupations; at a first record a softmax over all (Vafa et al.,
    arXiv 2202.08370). Categories are embedded; numbers are standardised, cut at five standard deviations, and mapped by
    two layers; a missing value has an indicator or an embedding of its own. Lagged columns enter from the record
    before. Unlike the public code's, probabilities of a row sum to one over the choice set.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> panel = simulate_careers(40, 4, seed=1)
    >>> fit = CAREER(training=Training(epochs=1)).fit(panel, seed=0)
    >>> fit.log_proba(panel).shape == (len(panel), 4)
    True
    """

    preset: PresetName = "auto"
    layers: int | None = None
    dim: int | None = None
    heads: int | None = None
    ffn: int | None = None
    dropout: float | None = None
    two_stage: bool = True
    returns: bool = True
    titles: str | SentenceEncoder | None = None
    covariates: tuple[Hashable, ...] | None = None
    position: Position | None = "learned"
    calendar: Calendar | None = "learned"
    gap: bool = True
    spell: bool = True
    history_dropout: float = 0.3
    start: CAREERResults | None = None
    freeze: tuple[int | str, ...] = ()
    training: Training | None = None
    weighted: bool = False
    pseudo_count: float = 0.5
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("preset", self.preset, ["auto", *PRESETS])
        for name in ("layers", "dim", "heads", "ffn"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=1, integer=True)
        for name in ("dropout", "history_dropout"):
            if getattr(self, name) is not None:
                check_share(name, getattr(self, name))
        check_number("pseudo_count", self.pseudo_count, above=0)
        for name in ("two_stage", "returns", "gap", "spell", "weighted"):
            check_option(name, getattr(self, name), [True, False])
        check_option("position", self.position, ["learned", "sinusoidal", None])
        check_option("calendar", self.calendar, ["learned", "number", None])
        check_option("dtype", self.dtype, ["auto", "float32", "bfloat16"])
        if self.titles is not None and not isinstance(self.titles, str | SentenceEncoder):
            raise OptionError(refusal("titles", self.titles, "not allowed", "give 'minilm', an encoder or None"))
        if self.training is not None and not isinstance(self.training, Training):
            raise OptionError(refusal("training", self.training, "not allowed", "give Training(...) or None"))
        if not isinstance(self.device, str):
            raise OptionError(refusal("device", self.device, "not a device", "use 'auto', 'cpu', 'cuda' or 'mps'"))
        object.__setattr__(self, "freeze", _names("freeze", self.freeze))
        if self.covariates is not None:
            object.__setattr__(self, "covariates", _names("covariates", self.covariates))
        self._check_start()

    def _check_start(self) -> None:
        if self.start is None:
            if self.freeze:
                raise OptionError(f"freeze={list(self.freeze)!r} keeps parts of start=, and there is none.")
            return
        if not isinstance(self.start, Results) or not isinstance(self.start.model, CAREER):
            raise OptionError(refusal("start", self.start, "not allowed", "give a result of CAREER(...).fit()"))
        sizes = self.start.sizes
        for name in ("layers", "dim", "heads", "ffn"):
            value = getattr(self, name)
            if value is not None and value != getattr(sizes, name):
                raise OptionError(
                    f"{name}={value!r}, but start= has {name}={getattr(sizes, name)}, and its sizes are taken: leave "
                    f"{name} out."
                )
        for name in ("two_stage", "returns", "position"):
            if getattr(self, name) != getattr(self.start.model, name):
                raise OptionError(
                    f"{name}={getattr(self, name)!r}, but start= was fitted with {getattr(self.start.model, name)!r}; "
                    "give the same."
                )
        parts = ["embeddings", *range(1, sizes.layers + 1), "head"]
        for part in self.freeze:
            if part not in parts or isinstance(part, bool):
                raise OptionError(
                    f"freeze names {part!r}, which is no part of start=.{did_you_mean(part, parts)} "
                    f"Parts: 'embeddings', blocks 1 to {sizes.layers}, 'head'."
                )

    @property
    def automatic(self) -> tuple[str, ...]:
        """("preset",) where it is chosen by the number of transitions."""
        return ("preset",) if self.preset == "auto" and self.start is None else ()

    @property
    def stochastic(self) -> bool:
        """Training begins at random weights and takes persons in random order."""
        return True

    def sizes(self, transitions: int) -> Preset:
        """Sizes and training for a sample of some size.

        Parameters
        ----------
        transitions : int
            Rows of the sample.

        Returns
        -------
        Preset

        Raises
        ------
        OptionError
            If `heads` does not divide `dim`.

        Examples
        --------
        >>> CAREER(preset="paper").sizes(1000).layers
        12
        """
        base = PRESETS[preset_for(transitions) if self.preset == "auto" else self.preset]
        if self.start is not None:
            known = self.start.sizes
            kept = ("layers", "dim", "heads", "ffn", "dropout")
            base = dataclasses.replace(base, **{name: getattr(known, name) for name in kept})
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("layers", "dim", "heads", "ffn", "dropout", "training")
            if getattr(self, name) is not None
        }
        if self.start is None and "dim" in given and "ffn" not in given:
            given["ffn"] = 4 * given["dim"]
        out = dataclasses.replace(base, **given)
        if out.dim % out.heads:
            raise OptionError(f"heads={out.heads} must divide dim={out.dim}.")
        return out

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> CAREERResults:
        """Train the network.

        Parameters
        ----------
        data : CareerPanel
            Estimation sample.
        validation : CareerPanel, optional
            The weights of the epoch that predicts it best are kept; without, those of the last epoch.
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row: every term of the log-likelihood is multiplied by its weight.
        seed : int, SeedSequence, Generator or None
            Decides initial weights, order and dropout, each by a child of its own.
        checkpoint : path, optional
            Folder from which an interrupted run goes on; on a CPU its result is equal to an uninterrupted one's, bit
            for bit. Nothing is written elsewhere.

        Returns
        -------
        CAREERResults

        Raises
        ------
        DataError
            If `data` is no CareerPanel, has no rows, or its choice set has a single occupation.
        OptionError
            For a checkpoint of another run, or without a fixed seed.
        TrainingError
            If the loss is no longer a number.
        """
        panel = career_panel(data)
        held = None if validation is None else career_panel(validation)
        for part, what in ((panel, "the data to estimate on"), (held, "the validation sample")):
            if part is not None and not len(part):
                raise DataError(f"{what} have no rows." if part is panel else f"{what} has no rows.")
        if len(panel.choices) < 2:
            raise DataError("the choice set has a single occupation: there is nothing to predict.")
        if checkpoint is not None and seed is None:
            raise OptionError(
                "checkpoint= goes on with a run that was interrupted, which needs a fixed seed: give seed=0, say."
            )
        resolve_device(self.device)
        sizes = self.sizes(len(panel))
        from econllm.career.fitting import estimate, settled
        from econllm.career.results import CAREERResults

        with settled():
            fitted = estimate(self, sizes, panel, held, weights, seed, checkpoint)
        return CAREERResults(self, sizes, fitted.predictor, fitted.history, fitted.info)


def career_panel(data: Data | None) -> CareerPanel:
    """The panel, or an error that says that one is needed."""
    if not isinstance(data, CareerPanel):
        raise DataError(f"CAREER follows careers: give a CareerPanel, not a {type(data).__name__}.")
    return data


def _names(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        raise OptionError(f"{name}={value!r} is one text; give a list, [{value!r}].")
    if not isinstance(value, list | tuple | pd.Index):
        raise OptionError(refusal(name, value, "not allowed", "give a list"))
    twice = [v for i, v in enumerate(value) if v in value[:i]]
    if twice:
        raise OptionError(f"{name} names {twice[0]!r} twice.")
    # A column with a name of several parts is a list where it was saved.
    return tuple(tuple(v) if isinstance(v, list) else v for v in value)
