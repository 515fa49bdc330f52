"""The specification of a sentence encoder that is fine-tuned to predict."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from econllm.base import Estimator
from econllm.errors import DataError, OptionError, check_number, check_option, refusal
from econllm.llm.frames import check_data, parse_formula, texts_of
from econllm.options import Seed, resolve_device
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.text import Resume, ResumeTemplate
from econllm.training import Training

if TYPE_CHECKING:
    from econllm.llm.encoder_results import EncoderClassifierResults

Head = Literal["titles+free", "titles", "free"]

# Chosen on validation persons of the wage panel; see benchmarks/encoder_classifier.py.
_WHOLE = Training(epochs=4, batch=16, learning_rate=1e-4, warmup=0.1)
_HEAD_ALONE = Training(epochs=30, batch=64, learning_rate=1e-4)


@dataclass(frozen=True, repr=False)
class EncoderClassifier(Estimator):
    """A sentence encoder fine-tuned end to end, with an output layer that begins at the vectors of the titles.

    Parameters
    ----------
    model : str
        "minilm", the hub name of another sentence encoder, or the path of a folder with one.
    formula : str, optional
        Of a data frame: "label ~ text", one outcome and one column of texts. A panel has none: its texts are the
        truncated résumés of its rows.
    frozen : int or "all"
        Layers of the encoder that stay as they are, from the first on, with the embeddings; 0 trains everything.
        "all" trains the output layer only, on vectors that are computed once.
    max_tokens : int, optional
        Most tokens to read, special tokens included; by default the published maximum. A résumé that is longer keeps
        its header and newest records, another text its beginning. Time is nearly proportional to it.
    head : {"titles+free", "titles", "free"}
        Parts of the output layer: similarity to titles, free weights of every outcome, or both.
    training : Training, optional
        Epochs, batches of rows, learning rate and so on; the default is 4 epochs of batches of 16, and 30 of 64 where
        all of the encoder is frozen.
    weighted : bool
        Use the survey weights of the panel.
    pseudo_count : float
        What outcomes count that were never seen in estimation: each of them has the reserved probability
        pseudo_count / (n + pseudo_count x unseen).
    template : ResumeTemplate, optional
        Wording of résumés, in place of the panel's.
    device : str
        "auto" takes cuda, mps, cpu in this order.
    dtype : {"auto", "float32", "bfloat16"}
        Number type of matrix products in training; "auto" is bfloat16 where the device multiplies it natively. Weights
        are float32, and predictions are made in float32 and summed in float64.
    revision : str, optional
        Commit, branch or tag of a model from a hub.

    Raises
    ------
    OptionError
        For a value that is not allowed.
    FormulaError
        If the formula is not of one outcome and one column.

    Notes
    -----
    logit_y = s (W h)' e_y + b_y + u_y' h, where h is the vector that the encoder gives a text, pooled as its authors
    publish and of length one, and e_y that of the title before training, which is held. W starts at the identity, u_y
    at zero, b_y at the log share of y; s starts at ten. So training begins with the similarity of text and title, and
    rare occupations borrow from similar ones. AdamW trains all weights (Devlin et al., BERT, arXiv 1810.04805, for the
    encoder; Reimers and Gurevych, Sentence-BERT, arXiv 1908.10084, for the pooling).

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"label": ["cook", "clerk"] * 4, "text": ["prepares meals", "keeps files"] * 4})
    >>> fit = EncoderClassifier("minilm", formula="label ~ text", frozen="all").fit(df, seed=0)  # doctest: +SKIP
    >>> fit.predict(df).tolist()[:2]  # doctest: +SKIP
    ['cook', 'clerk']
    """

    model: str = "minilm"
    formula: str | None = None
    frozen: int | Literal["all"] = 0
    max_tokens: int | None = None
    head: Head = "titles+free"
    training: Training | None = None
    weighted: bool = False
    pseudo_count: float = 0.5
    template: ResumeTemplate | None = None
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        if not isinstance(self.model, str) or not self.model.strip():
            raise OptionError(refusal("model", self.model, "not allowed", "give 'minilm', a model's name or a folder"))
        if self.formula is not None:
            parse_formula(self.formula)
            if self.template is not None:
                raise OptionError("template= words résumés, and formula= reads the texts of a data frame: give one.")
        if isinstance(self.frozen, str):
            check_option("frozen", self.frozen, ["all"])
        else:
            check_number("frozen", self.frozen, minimum=0, integer=True)
        if self.max_tokens is not None:
            check_number("max_tokens", self.max_tokens, minimum=3, integer=True)
        check_option("head", self.head, ["titles+free", "titles", "free"])
        check_option("weighted", self.weighted, [True, False])
        check_number("pseudo_count", self.pseudo_count, above=0)
        check_option("dtype", self.dtype, ["auto", "float32", "bfloat16"])
        if self.training is not None and not isinstance(self.training, Training):
            raise OptionError(refusal("training", self.training, "not allowed", "give Training(...) or None"))
        if self.template is not None and not isinstance(self.template, ResumeTemplate):
            raise OptionError(refusal("template", self.template, "not allowed", "give a ResumeTemplate or None"))
        if not isinstance(self.device, str):
            raise OptionError(refusal("device", self.device, "not a device", "use 'auto', 'cpu', 'cuda' or 'mps'"))

    @property
    def schedule(self) -> Training:
        """The training that is used: the one given, or the default for what is trained."""
        return self.training or (_HEAD_ALONE if self.frozen == "all" else _WHOLE)

    @property
    def stochastic(self) -> bool:
        """Training takes texts in random order."""
        return True

    @property
    def outcome(self) -> str | None:
        """Outcome column of a data frame; None for panels, which know their own."""
        return None if self.formula is None else parse_formula(self.formula)[0]

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> EncoderClassifierResults:
        """Train the encoder and its output layer.

        Parameters
        ----------
        data : CareerPanel, or DataFrame with `formula`
            Estimation sample.
        validation : the same, optional
            The weights of the epoch that predicts it best are kept; without, those of the last epoch.
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row: every term of the log-likelihood is multiplied by its weight.
        seed : int, SeedSequence, Generator or None
            Decides order and dropout, each by a child of its own; there are no random initial weights.
        checkpoint : path, optional
            Folder from which an interrupted run goes on; on a CPU its result is equal to an uninterrupted one's, bit
            for bit. Nothing is written elsewhere.

        Returns
        -------
        EncoderClassifierResults

        Raises
        ------
        DataError
            For data of the wrong kind, without rows or with a single outcome, and for missing texts.
        ModelNotFoundError
            If the encoder is neither on this machine nor to be had from a hub.
        OptionError
            For an encoder that does not read so many tokens or has not so many layers, and for a checkpoint of another
            run or without a fixed seed.
        TrainingError
            If the loss is no longer a number.
        """
        for part, what in ((data, "the data to estimate on have"), (validation, "the validation sample has")):
            if part is not None and not len(check_data(self.formula, part)):
                raise DataError(f"{what} no rows.")
        if checkpoint is not None and seed is None:
            raise OptionError(
                "checkpoint= goes on with a run that was interrupted, which needs a fixed seed: give seed=0, say."
            )
        resolve_device(self.device)
        from econllm.career.fitting import settled
        from econllm.llm.encoder_fitting import estimate
        from econllm.llm.encoder_results import EncoderClassifierResults

        with settled():
            fitted = estimate(self, data, validation, weights, seed, checkpoint)
        return EncoderClassifierResults(
            self, fitted.choices, fitted.info, fitted.predictor, fitted.history, fitted.template
        )


def row_texts(model: EncoderClassifier, data: Data, template: ResumeTemplate | None) -> list[str | Resume]:
    """Text of every row: the column of the formula, or the résumé up to the row's occupation, worded by a template.

    Raises
    ------
    DataError
        For texts that are missing or of another type.
    """
    if isinstance(data, CareerPanel):
        assert template is not None
        return list(data.with_template(template).resumes())
    assert model.formula is not None
    return list(texts_of(data, parse_formula(model.formula)[1]))
