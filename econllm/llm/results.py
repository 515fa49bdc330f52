"""What is known after a language model was loaded or fine-tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.base import FitInfo, Results, summary_facts
from econllm.choices import ChoiceSet
from econllm.errors import DataError, OptionError
from econllm.llm.documents import Documents
from econllm.llm.frames import check_data
from econllm.llm.model import LLM
from econllm.llm.prediction import Predictor
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesStatistics
from econllm.sample import Data, read_sample
from econllm.tables import Fact, Table
from econllm.text import ResumeTemplate
from econllm.training import History, Training

if TYPE_CHECKING:
    from econllm.llm.attention import TextAttention
    from econllm.llm.generate import Generated, SampledProba


class LLMResults(Results, MaketablesStatistics):
    """A language model that gives probabilities of titles. Holds no rows but the examples of its prompt, in memory.

    Attributes
    ----------
    model : LLM
        The specification.
    history : History or None
        Course of the training; None off the shelf.
    training : Training or None
        The options of training that were used.
    title_mass : float
        Mean of the sum of P(title) over titles, before any normalisation, after some texts of the validation sample, or
        of the estimation sample without one.
    predictor : Predictor
        Network, titles and wording.
    """

    model: LLM

    def __init__(
        self,
        model: LLM,
        info: FitInfo,
        predictor: Predictor,
        history: History | None,
        training: Training | None,
        title_mass: float,
        tokens: int,
        fewer: int,
    ) -> None:
        self.model = model
        self.choices = predictor.choices
        self.info = info
        self.predictor = predictor
        self.history = history
        self.training = training
        self.title_mass = title_mass
        self._tokens = tokens
        self._fewer = fewer

    @property
    def outcome(self) -> str | None:
        """Outcome column of a data frame; None for panels."""
        return self.model.outcome

    @property
    def engine(self) -> str:
        """How titles are read: "tree", "kv" or "naive"."""
        return self.predictor.scorer.engine

    @property
    def revision(self) -> str:
        """Commit of the base model where it is of a hub, else the digest of its files."""
        files = self.predictor.words.language.files
        return files.commit or files.fingerprint

    @property
    def template(self) -> ResumeTemplate | None:
        """Wording of résumés; None for data frames."""
        return self.predictor.words.template

    @property
    def temperature(self) -> float:
        """By which log probabilities of titles are divided."""
        return self.predictor.temperature

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of the estimation sample per second of training, validation after every epoch included."""
        if self.history is None:
            return None
        return self._tokens * len(self.history.frame) / float(self.history.frame["seconds"].iloc[-1])

    @property
    def chosen(self) -> dict[str, Any]:
        """The temperature, where the validation sample chose it."""
        return dict.fromkeys(self.model.automatic, self.temperature)

    @property
    def flags(self) -> tuple[str, ...]:
        """("conservative",) without normalisation: probabilities sum to less than one."""
        return () if self.predictor.normalize else ("conservative",)

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every title, shape (n, choices), in nats."""
        return self.predictor.log_proba(self._documents(data, realised=False))

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row; with normalize="raw" one plain pass per person."""
        scores = self.predictor.log_likelihood(self._documents(data))
        return pd.Series(scores, index=data.index, name="log_likelihood")

    def mass(self, data: Data) -> pd.Series:
        """Sum of P(title) over titles, before any normalisation: how much the model keeps to the choice set.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.

        Returns
        -------
        pandas.Series of float64, shape (n,)
        """
        values = self.predictor.title_mass(self._documents(data, realised=False))
        return pd.Series(values, index=data.index, name="title_mass")

    def error_bound(self, data: Data) -> pd.Series:
        """Largest relative error that `tol` may have caused in the probabilities of a row: at most `tol`.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.

        Returns
        -------
        pandas.Series of float64, shape (n,)
            Probabilities that were computed are off by a factor of at most one plus this, and all others together are
            at most this; zero where every title was read.
        """
        values = self.predictor.raw(self._documents(data, realised=False))[1]
        return pd.Series(values, index=data.index, name="error_bound")

    def truncated(self, data: Data) -> pd.Series:
        """Which rows are too long for the model, so that their oldest records are left out; bool, shape (n,)."""
        return pd.Series(self._documents(data, realised=False).truncated, index=data.index, name="truncated")

    def generate(
        self,
        data: Data,
        n: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        num_beams: int = 1,
        seed: Seed = None,
    ) -> Generated:
        """Have titles written as free text, as chat programs do.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.
        n : int
            Texts per row.
        temperature : float
            Log probabilities of tokens are divided by it; 0 takes the most probable token.
        top_k : int, optional
            Draw only among so many of the most probable tokens.
        top_p : float, optional
            Draw only among the fewest tokens that together have this probability.
        num_beams : int
            With more than one, nothing is drawn: the `n` most probable texts that a search with so many beams finds.
        seed : int, SeedSequence, Generator or None
            Source of draws; those of a row do not depend on which other rows are asked for.

        Returns
        -------
        Generated
            Texts, matched to titles exactly or to the nearest, and the share that are no titles.

        Raises
        ------
        OptionError
            For a value that is not allowed.

        Examples
        --------
        >>> df = pd.DataFrame({"tone": ["good", "bad"] * 8, "text": ["Sales rose.", "Sales fell."] * 8})
        >>> fit = LLM("tiny", formula="tone ~ text", tuning="full", training=Training(epochs=1)).fit(df, seed=0)
        >>> fit.generate(df[:2], n=3, seed=0).frame["draw"].tolist()
        [1, 2, 3, 1, 2, 3]
        """
        from econllm.llm.generate import generate

        documents = self._documents(data, realised=False)
        return generate(self.predictor, documents, data.index, n, temperature, top_k, top_p, num_beams, seed)

    def sampled_proba(self, data: Data, draws: int, temperature: float = 1.0, seed: Seed = None) -> SampledProba:
        """Probabilities of titles as their frequencies among texts that were drawn.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.
        draws : int
            Texts per row.
        temperature : float
            Log probabilities of tokens are divided by it.
        seed : int, SeedSequence, Generator or None
            Source of draws.

        Returns
        -------
        SampledProba
            Frequencies with their Monte Carlo standard errors.

        Raises
        ------
        OptionError
            For a value that is not allowed.

        Notes
        -----
        It shows what reading text instead of probabilities costs; :meth:`log_proba` is exact and quicker. Draws, at one
        or at several temperatures, are not a bootstrap: they do not tell how much a probability depends on the sample.
        """
        from econllm.llm.generate import sampled_proba

        documents = self._documents(data, realised=False)
        return sampled_proba(self.predictor, documents, data.index, draws, temperature, seed)

    def attention(self, data: Data, row: Hashable) -> TextAttention:
        """Show where the network looks in the text of one row.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Holds the row.
        row : hashable
            Label of the row, as in ``data.index``.

        Returns
        -------
        TextAttention
            Weights per layer and head; `.by_record()` sums them over records, `.plot()` draws them.

        Raises
        ------
        DataError
            If the row is not in the data.

        Examples
        --------
        >>> df = pd.DataFrame({"tone": ["good", "bad"], "text": ["Sales rose.", "Sales fell."]})
        >>> LLM("tiny", formula="tone ~ text").fit(df).attention(df, 0).weights.shape[:2]
        (4, 5)
        """
        from econllm.llm.attention import attention_of_text

        words = self.predictor.words
        at = np.flatnonzero(data.index == row)
        if len(at) != 1:
            raise DataError(f"{len(at)} rows of the data have the label {row!r}; give one of data.index.")
        # Of a panel, only the person's own rows are put into words.
        if isinstance(data, CareerPanel):
            data = data.subset(data.person_ids[at])
            at = np.flatnonzero(data.index == row)
        resume = words.wording(check_data(self.model.formula, data), self.choices).resumes[int(at[0])]
        language = words.language
        return attention_of_text(self.predictor.decoder, language.tokenizer, resume, words.limit, language.opening)

    def with_examples(self, data: Data, seed: Seed = None) -> LLMResults:
        """Return the same with examples for its prompt, after it was loaded from a folder.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The estimation sample.
        seed : int, SeedSequence, Generator or None
            The seed of the fit.

        Returns
        -------
        LLMResults

        Raises
        ------
        OptionError
            If the prompt has no examples.
        DataError
            If they are not those of the fit.
        """
        if self.model.prompt is None or not self.model.prompt.examples:
            raise OptionError("the prompt of this model has no examples to be given again.")
        from econllm.llm.fitting import examples_of

        held = examples_of(
            self.model, check_data(self.model.formula, data), self.choices, self.template, resolve_seed(seed)
        )
        known = self.predictor.words.examples_digest
        if known is not None and held is not None and held.digest != known:
            raise DataError("these examples are not those of the fit: give the sample and the seed of the fit.")
        words = dataclasses.replace(self.predictor.words, examples=held)
        changed = dataclasses.replace(self.predictor, words=words)
        return LLMResults(
            self.model, self.info, changed, self.history, self.training, self.title_mass, self._tokens, self._fewer
        )

    def export(self, folder: str | Path) -> None:
        """Write network and tokenizer as a model folder that other tools read, adapters merged into the weights.

        Parameters
        ----------
        folder : path
            New or empty folder. ``el.LLM(folder)`` and ``el.embed(texts, model=folder)`` read it.

        Raises
        ------
        OptionError
            If the folder exists and is not empty, or learned vectors in front of every text cannot be written.

        Notes
        -----
        Weights that were fine-tuned on rows of a survey can give some of them away.
        """
        from econllm.llm.state import export

        export(self.predictor, self.model.tuning, Path(folder))

    def summary(self) -> Table:
        """Describe the sample, the model and the training."""
        words = self.predictor.words
        facts = [
            *summary_facts(self),
            Fact("Revision", self.revision[:12]),
            Fact("Weights", words.language.dtype),
            Fact("Engine", self.engine),
            Fact("Title mass", self.title_mass, ".3g"),
        ]
        if self.temperature != 1.0:
            facts.append(Fact("Temperature", self.temperature, ".3f"))
        if self._fewer:
            facts.append(Fact("Rows with fewer examples than asked for", self._fewer, ",d"))
        notes = [
            "Title mass: mean of the sum of P(title) over titles, "
            + ("by which probabilities are divided." if self.predictor.normalize else "which is left as it is."),
        ]
        if self.history is None:
            return Table([], [], title="LLM", facts=facts, notes=notes)
        h, frame = self.history, self.history.frame
        facts += [
            Fact("Parameters trained", self.info.parameters, ",d"),
            Fact("Epochs", f"{len(frame)} of {h.planned}, best {h.best_epoch}"),
            Fact("Tokens per second", self.tokens_per_second, ",.0f"),
        ]
        columns, rows = h.listed()
        per = "transition" if self.model.loss == "titles" else "token"
        notes += [
            f"loss: minus the mean log-likelihood per {per} in training; validation: mean log-likelihood of realised "
            "titles, in nats. Both, and log-likelihood and perplexity in sample, are of P(title) before any "
            "normalisation.",
            "No standard errors of weights: bootstrap() gives those of predictions.",
        ]
        return Table(columns, rows, title="LLM", header="epoch", facts=facts, notes=notes)

    def _documents(self, data: Data, realised: bool = True) -> Documents:
        check_data(self.model.formula, data)
        if not len(data):
            raise DataError("the data to predict have no rows.")
        prompt, words = self.model.prompt, self.predictor.words
        if prompt is not None and prompt.examples and not words.examples:
            raise DataError(
                "the examples of the prompt are rows of the data and were not saved: "
                "fit = fit.with_examples(train, seed=...) with the sample and seed of the fit."
            )
        # Rows of a panel share a document by their realised titles; those of a data frame may not be known yet.
        known = realised or self.outcome is None
        outcome = read_sample(data, self.outcome, self.choices).outcome if known else None
        return self.predictor.documents(data, outcome)

    def _state(self) -> dict[str, Any]:
        from econllm.llm.state import pack_predictor

        nothing = {"history": None, "planned": None}
        return {
            **(nothing if self.history is None else self.history.to_state()),
            "training": self.training,
            "title_mass": self.title_mass,
            "tokens": self._tokens,
            "fewer": self._fewer,
            **pack_predictor(self.predictor, self.model.tuning),
        }

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> LLMResults:
        from econllm.llm.state import unpack_predictor

        history = None if state["history"] is None else History.from_state(state)
        predictor = unpack_predictor(model, choices, state)
        return cls(
            model, info, predictor, history, state["training"], state["title_mass"], state["tokens"], state["fewer"]
        )
