"""The specification of language models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from econllm.base import Estimator
from econllm.errors import DataError, OptionError, check_number, check_option, check_share, refusal
from econllm.llm.frames import check_data, parse_formula
from econllm.llm.prompts import Prompt
from econllm.llm.tuning import Tuning, check_tuning
from econllm.options import Loss, Seed, resolve_device
from econllm.sample import Data
from econllm.text import ResumeTemplate
from econllm.training import Training

if TYPE_CHECKING:
    from econllm.llm.results import LLMResults

Normalize = Literal["global", "raw"]
EngineOption = Literal["auto", "tree", "kv", "naive"]


@dataclass(frozen=True, repr=False)
class LLM(Estimator):
    """A causal language model that reads a résumé, or any text, and gives exact probabilities of all titles.

    Parameters
    ----------
    model : str
        "tiny" (comes with the package and is for trying things out), the hub name of a causal language model, such as
        "HuggingFaceTB/SmolLM2-135M", or the path of a folder with one.
    formula : str, optional
        Of a data frame: "label ~ text", one outcome and one column of texts. A panel has none: its texts are the
        truncated résumés of its rows.
    tuning : None, "full", LoRA, Frozen or PromptTuning
        What is trained: nothing (off the shelf), all weights, small additions to them, the last layers, or vectors in
        front of every text.
    prompt : Prompt, optional
        What stands before the résumé: an instruction, the list of titles, other persons' résumés, a conversation.
    loss : {"titles", "all"}
        Tokens that fine-tuning is to make probable: those of the titles with what ends them, or all of the text.
    dropout : float
        Share of the components of token vectors and of last hidden states that is dropped in fine-tuning, beside what
        the network itself drops.
    normalize : {"global", "raw"}
        Divide the probabilities of titles by their sum; or leave them as they are, the product of LABOR-LLM, with a sum
        below one: such results are flagged conservative.
    tol : float
        Largest relative error of a probability that leaving out improbable titles may cause; 0 reads all of them. Only
        with normalize="global" and temperature=1.
    temperature : float or "validation"
        Probabilities are proportional to P(title)^(1 / temperature); "validation" takes the one that predicts the
        validation sample best, which recalibrates models off the shelf. Only with normalize="global".
    engine : {"auto", "tree", "kv", "naive"}
        How titles are read: all at once as a tree after one pass over the text; in batches after a remembered text; or
        each with the whole text. "auto" takes the first that agrees with plain passes of this network.
    max_tokens : int, optional
        Most tokens to read; by default as many as the model can. What is too long keeps header and newest records.
    template : ResumeTemplate, optional
        Wording of résumés, in place of the panel's. ``ResumeTemplate(titles="code")`` shows codes instead of titles.
    training : Training, optional
        Epochs, batches of persons, learning rate and so on; the default depends on the size of the network and on what
        is trained.
    weighted : bool
        Use the survey weights of the panel.
    revision : str, optional
        Commit, branch or tag of a model from a hub.
    device : str
        "auto" takes cuda, mps, cpu in this order.
    dtype : {"auto", "float32", "bfloat16", "float64"}
        Number type of the weights; "auto" is bfloat16 on cuda, else float32, and weights that are trained are never
        shorter than float32. In training, matrix products are bfloat16 under "auto" where the device multiplies it
        natively, and under "bfloat16". Logits are float32 or better in prediction, sums float64.

    Raises
    ------
    OptionError
        For a value that is not allowed, or options that do not go together.
    FormulaError
        If the formula is not of one outcome and one column.

    Notes
    -----
    P(title | text) = prod_t P(token_t | text, tokens before t), to the token that ends the title, so that no title is
    the beginning of another one (Athey et al., arXiv 2406.17972, who use the product as it is). Titles are read as a
    tree in one pass; nothing is sampled.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"tone": ["good", "bad"], "text": ["Sales rose.", "Sales fell."]})
    >>> LLM("tiny", formula="tone ~ text").fit(df).predict_proba(df).sum(axis=1).round(9).tolist()
    [1.0, 1.0]
    """

    model: str
    formula: str | None = None
    tuning: Tuning = None
    prompt: Prompt | None = None
    loss: Loss = "titles"
    dropout: float = 0.0
    normalize: Normalize = "global"
    tol: float = 0.0
    temperature: float | Literal["validation"] = 1.0
    engine: EngineOption = "auto"
    max_tokens: int | None = None
    template: ResumeTemplate | None = None
    training: Training | None = None
    weighted: bool = False
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        if not isinstance(self.model, str) or not self.model.strip():
            raise OptionError(refusal("model", self.model, "not allowed", "give 'tiny', a model's name or a folder"))
        if self.formula is not None:
            parse_formula(self.formula)
            if self.template is not None:
                raise OptionError("template= words résumés, and formula= reads the texts of a data frame: give one.")
        check_tuning(self.tuning)
        for name, kind in (("prompt", Prompt), ("template", ResumeTemplate), ("training", Training)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise OptionError(refusal(name, value, "not allowed", f"give {kind.__name__}(...) or None"))
        check_option("loss", self.loss, ["titles", "all"])
        check_option("normalize", self.normalize, ["global", "raw"])
        check_option("engine", self.engine, ["auto", "tree", "kv", "naive"])
        check_option("weighted", self.weighted, [True, False])
        check_option("dtype", self.dtype, ["auto", "float32", "bfloat16", "float64"])
        check_share("dropout", self.dropout)
        check_number("tol", self.tol, minimum=0)
        if isinstance(self.temperature, str):
            check_option("temperature", self.temperature, ["validation"])
        else:
            check_number("temperature", self.temperature, above=0)
        if self.max_tokens is not None:
            check_number("max_tokens", self.max_tokens, minimum=3, integer=True)
        if not isinstance(self.device, str):
            raise OptionError(refusal("device", self.device, "not a device", "use 'auto', 'cpu', 'cuda' or 'mps'"))
        self._check_together()

    def _check_together(self) -> None:
        if self.normalize == "raw" and (self.tol or self.temperature != 1.0):
            raise OptionError("normalize='raw' gives the product as it is: tol and temperature need 'global'.")
        if self.tol and self.temperature != 1.0:
            raise OptionError(
                f"tol={self.tol!r} bounds the error of probabilities at temperature=1, and another temperature can "
                "make it larger: give one of them."
            )
        if self.tol and self.engine in ("kv", "naive"):
            raise OptionError(f"tol={self.tol!r} leaves titles out of the tree: engine={self.engine!r} has none.")
        if self.tuning is None:
            for name, default in (("training", None), ("loss", "titles"), ("dropout", 0.0), ("weighted", False)):
                if getattr(self, name) != default:
                    raise OptionError(f"{name}= is for fine-tuning: give tuning='full', LoRA(), ... or leave it out.")

    @property
    def automatic(self) -> tuple[str, ...]:
        """("temperature",) where the validation sample chooses it."""
        return ("temperature",) if self.temperature == "validation" else ()

    @property
    def stochastic(self) -> bool:
        """Where it is trained, or draws examples for a prompt."""
        return self.tuning is not None or self.prompt is not None

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
    ) -> LLMResults:
        """Load the model, and fine-tune it where `tuning` says so.

        Parameters
        ----------
        data : CareerPanel, or DataFrame with `formula`
            Estimation sample. A model off the shelf takes from it the choice set, and a prompt its examples.
        validation : the same, optional
            Chooses the epoch whose weights are kept, by the log-likelihood of realised titles, and the temperature.
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row: every term of the log-likelihood is multiplied by its weight.
            They have no effect off the shelf, where nothing is estimated.
        seed : int, SeedSequence, Generator or None
            Decides new weights, order, dropout and examples, each by a child of its own.
        checkpoint : path, optional
            Folder from which interrupted training goes on; on a CPU its result is equal to an uninterrupted one's, bit
            for bit. Nothing is written elsewhere.

        Returns
        -------
        LLMResults

        Raises
        ------
        DataError
            For data of the wrong kind, without rows, and for texts or titles that cannot be read.
        ModelNotFoundError
            If the model is neither on this machine nor to be had from a hub.
        OptionError
            For a context that is too short for a title, a way of reading titles that is wrong for the network, and a
            checkpoint of another run, without a fixed seed or without anything to train.
        TrainingError
            If the loss is no longer a number.
        """
        for part, what in ((data, "the data to estimate on have"), (validation, "the validation sample has")):
            if part is not None and not len(check_data(self.formula, part)):
                raise DataError(f"{what} no rows.")
        if checkpoint is not None and (self.tuning is None or seed is None):
            why = (
                "nothing is trained without tuning=" if self.tuning is None else "that needs a fixed seed: seed=0, say"
            )
            raise OptionError(f"checkpoint= goes on with a training that was interrupted: {why}.")
        if self.temperature == "validation" and validation is None:
            raise OptionError("temperature='validation' needs a validation sample: fit(train, validation=valid).")
        resolve_device(self.device)
        from econllm.llm.fitting import estimate

        return estimate(self, data, validation, weights, seed, checkpoint)
