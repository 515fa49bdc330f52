"""Estimation: from a specification and texts to a language model that gives probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from econllm.base import FitInfo
from econllm.career.fitting import settled
from econllm.choices import ChoiceSet
from econllm.encoders.language import LanguageModel, load_language_model
from econllm.errors import DataError, OptionError, TrainingError
from econllm.llm.decoder import Decoder
from econllm.llm.documents import Documents
from econllm.llm.examples import Examples
from econllm.llm.likelihood import collate, realised, title_ends, token_log_proba
from econllm.llm.prediction import Predictor, Words
from econllm.llm.results import LLMResults
from econllm.llm.scoring import choose_engine
from econllm.llm.tuning import Frozen, LoRA, PromptTuning
from econllm.llm.tuning_network import prepare
from econllm.options import Loss, Seed, child_seed, resolve_device, resolve_dtype, resolve_seed
from econllm.panel import CareerPanel
from econllm.resampling import fingerprint
from econllm.sample import Data, Sample, fit_weights, read_choice_set, read_sample
from econllm.text import ResumeTemplate
from econllm.training import History, Training, seeds, train

if TYPE_CHECKING:
    from econllm.llm.model import LLM

# Rows whose title mass is looked at when a model is fitted.
_MASS_ROWS = 32
# Padded tokens that are trained on at a time; larger updates are put together from parts.
_FILLED = {"cpu": 8192}


@dataclass(frozen=True, eq=False)
class _Part:
    """A sample as estimation sees it."""

    sample: Sample
    documents: Documents
    weights: np.ndarray


def estimate(
    model: LLM, data: Data, validation: Data | None, weights: Any, seed: Seed, checkpoint: str | Path | None
) -> LLMResults:
    """Load and train a language model; see :meth:`econllm.llm.model.LLM.fit`."""
    clock = time.perf_counter()
    root = resolve_seed(seed)
    choices = read_choice_set(data, model.outcome)
    if len(choices) < 2:
        raise DataError("the choice set has a single title: there is nothing to predict.")
    language = load(model)
    words = _words(model, language, data, choices, root)
    wording = words.wording(data, choices)
    decoder = prepare(language, model.tuning, seeds(root).weights) if model.tuning else Decoder(language.network)
    predictor = Predictor.of(words, choices, wording, decoder, model.normalize == "global")
    sample = read_sample(data, model.outcome, choices)
    row_weights = fit_weights(data, weights, model.weighted)
    given = np.ones(len(sample)) if row_weights is None else row_weights
    part = _Part(sample, predictor.documents(data, sample.outcome, wording), given)
    # Before training: a network that cannot be read must not cost hours first.
    predictor = _with_engine(model, predictor, part.documents)
    held = None if validation is None else _held(model, predictor, validation)
    history, options, scores = None, None, None
    if model.tuning is not None:
        with settled():
            decoder.dropout = model.dropout
            options = model.training or default_training(model.tuning, language)
            history = _train(model, predictor, options, part, held, root, checkpoint)
            scores = realised(decoder, part.documents, predictor.batch_tokens)
        if not np.isfinite(scores).all():
            raise TrainingError(
                "the log-likelihood is not finite after the last update: give a lower learning_rate than "
                f"{options.learning_rate:g}."
            )
    if model.temperature == "validation":
        assert held is not None
        predictor = predictor.with_temperature(held.documents, held.weights)
    elif model.temperature != 1.0:
        predictor = replace(predictor, temperature=float(model.temperature))
    documents = (held or part).documents
    mass = float(predictor.title_mass(_some(documents)).mean())
    unseen = np.setdiff1d(np.arange(len(choices)), sample.outcome[given > 0])
    info = FitInfo(
        rows=len(sample),
        persons=len(np.unique(sample.clusters)) if sample.of_panel else None,
        first_records=int(sample.first.sum()) if sample.of_panel else None,
        log_likelihood=float("nan") if scores is None else float(scores.sum()),
        parameters=sum(p.numel() for p in decoder.parameters() if p.requires_grad) if model.tuning else 0,
        seconds=time.perf_counter() - clock,
        unseen=tuple(choices.codes[i] for i in unseen),
        truncated=float(part.documents.truncated.mean()),
        weighted=model.tuning is not None and row_weights is not None,
    )
    tokens = int(part.documents.lengths.sum())
    return LLMResults(model, info, predictor, history, options, mass, tokens, wording.fewer)


def load(model: LLM) -> LanguageModel:
    """The language model before training, shared and not to be changed.

    Raises
    ------
    ModelNotFoundError
        If it is not to be found.
    OptionError
        If it is no causal language model.
    """
    device = resolve_device(model.device)
    dtype = model.dtype
    if dtype == "auto":
        # Weights that are trained take steps that get lost at 16 bits.
        kept = not isinstance(model.tuning, Frozen) and model.tuning != "full"
        native = device.type == "cuda" and torch.cuda.is_bf16_supported()
        dtype = "bfloat16" if kept and native else "float32"
    return load_language_model(model.model, model.revision, dtype, str(device))


def default_training(tuning: Any, language: LanguageModel) -> Training:
    """Options of training that suit the size of a network and what of it is trained.

    Parameters
    ----------
    tuning : "full", LoRA, Frozen or PromptTuning
    language : LanguageModel

    Returns
    -------
    Training

    Notes
    -----
    The learning rate of all weights falls with the 0.6th power of the number of parameters, from 2e-3 at two million,
    which gives 1.6e-4 at 135 million and 1.5e-5 at seven billion. Small additions take five times as much, vectors in
    front of the text 1e-2.
    """
    parameters = sum(p.numel() for p in language.network.parameters())
    rate = min(2e-3, 2e-3 * (2e6 / parameters) ** 0.6)
    if isinstance(tuning, LoRA):
        rate = min(5e-3, 5 * rate)
    elif isinstance(tuning, PromptTuning):
        rate = 1e-2
    epochs = 10 if parameters < 20_000_000 else 3
    return Training(epochs=epochs, batch=16, learning_rate=float(f"{rate:.1e}"), warmup=0.1)


def _words(model: LLM, language: LanguageModel, data: Data, choices: ChoiceSet, root: np.random.SeedSequence) -> Words:
    limit = model.max_tokens or language.context
    if limit > language.context:
        raise OptionError(
            f"max_tokens={limit} is more than the {language.context} tokens that {model.model!r} reads: leave it out."
        )
    if isinstance(model.tuning, PromptTuning):
        limit -= model.tuning.tokens
    template = (model.template or data.template) if isinstance(data, CareerPanel) else None
    examples = examples_of(model, data, choices, template, root)
    shown = template.shown(data.text_columns) if isinstance(data, CareerPanel) and template is not None else None
    digest = None if examples is None else examples.digest
    return Words(language, model.formula, model.prompt, examples, template, limit, shown, digest)


def examples_of(
    model: LLM, data: Data, choices: ChoiceSet, template: ResumeTemplate | None, root: np.random.SeedSequence
) -> Examples | None:
    """What the prompt may show of the estimation sample; None where it shows nothing."""
    if model.prompt is None or not model.prompt.examples:
        return None
    # Children 0 to 2 belong to training.
    seed = child_seed(root, 3)
    if isinstance(data, CareerPanel):
        return Examples.of_panel(data if template is None else data.with_template(template), seed)
    assert model.formula is not None
    return Examples.of_frame(data, model.formula, choices, seed)


def _held(model: LLM, predictor: Predictor, validation: Data) -> _Part:
    sample = read_sample(validation, model.outcome, predictor.choices)
    weights = sample.weights if model.weighted and sample.weights is not None else np.ones(len(sample))
    return _Part(sample, predictor.documents(validation, sample.outcome), weights)


def _train(
    model: LLM,
    predictor: Predictor,
    options: Training,
    part: _Part,
    held: _Part | None,
    root: np.random.SeedSequence,
    checkpoint: str | Path | None,
) -> History:
    decoder, documents = predictor.decoder, part.documents
    score = None
    if held is not None:
        validation = held

        def score() -> float:
            found = realised(decoder, validation.documents, predictor.batch_tokens)
            return float(np.average(found, weights=validation.weights))

    units = _units(part)
    return train(
        decoder,
        _loss(decoder, documents, units, part.weights, model.loss),
        np.array([_amount(documents, unit, part.weights, model.loss) for unit in units]),
        np.array([max(len(documents.items[k].ids) for k in unit) for unit in units]),
        options,
        root,
        score=score,
        checkpoint=checkpoint,
        description=None if checkpoint is None else _description(model, options, predictor, part, held),
        precision=resolve_dtype(model.dtype, decoder.device),
        label="LLM",
    )


def _units(part: _Part) -> list[np.ndarray]:
    """Documents of every person, or of every row of a data frame."""
    first = np.array([item.rows[0] for item in part.documents.items], dtype=np.int64)
    owner = part.sample.clusters[first] if part.sample.of_panel else first
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    return np.split(np.arange(len(first)), starts[1:])


def _amount(documents: Documents, unit: np.ndarray, weights: np.ndarray, loss: Loss) -> float:
    """Weight of a unit: of its transitions, or of its tokens."""
    items = [documents.items[k] for k in unit]
    if loss == "titles":
        return float(sum(weights[item.rows].sum() for item in items))
    return float(sum(weights[item.rows[0]] * (len(item.ids) - 1) for item in items))


def _loss(
    decoder: Decoder, documents: Documents, units: list[np.ndarray], weights: np.ndarray, loss: Loss
) -> Callable[[np.ndarray], Tensor]:
    """Weighted sum of the negative log-likelihoods of some units, as the training loop calls it."""
    titles = title_ends(documents)
    shares = torch.as_tensor(weights, dtype=torch.float32).to(decoder.device)
    filled, of_documents = _FILLED.get(decoder.device.type, 65_536), documents.lengths

    def together(numbers: np.ndarray) -> Tensor:
        batch = collate([documents.items[k] for k in numbers], titles, loss, decoder.device, documents.limit)
        found = token_log_proba(decoder, batch)
        return -(found * shares[torch.as_tensor(batch.rows, device=found.device)]).sum()

    def of(at: np.ndarray) -> Tensor:
        numbers = np.concatenate([units[k] for k in at])
        lengths = of_documents[numbers]
        if len(numbers) * int(lengths.max()) <= filled:
            return together(numbers)
        order = numbers[np.argsort(lengths, kind="stable")]
        size = max(1, filled // int(lengths.max()))
        return torch.stack([together(order[k : k + size]) for k in range(0, len(order), size)]).sum()

    return of


def _with_engine(model: LLM, predictor: Predictor, documents: Documents) -> Predictor:
    """The way of reading titles that is right for the network, checked after a short text and a long one."""
    ends = np.array([item.cuts[-1] for item in documents.items])
    texts = [documents.items[k].ids[: documents.items[k].cuts[-1]] for k in {int(ends.argmin()), int(ends.argmax())}]
    scorer = choose_engine(replace(predictor.scorer, tol=model.tol), texts, model.engine)
    return replace(predictor, scorer=scorer)


def _some(documents: Documents) -> Documents:
    """A few rows, evenly spread: the last one of some documents."""
    step = max(1, len(documents.items) // _MASS_ROWS)
    chosen = documents.items[::step][:_MASS_ROWS]
    items = [item._replace(cuts=item.cuts[-1:], rows=np.array([k])) for k, item in enumerate(chosen)]
    return replace(documents, items=items, outcome=None, truncated=np.zeros(len(items), dtype=bool))


def _description(
    model: LLM, options: Training, predictor: Predictor, part: _Part, held: _Part | None
) -> dict[str, Any]:
    """What a checkpoint must agree with: the specification, the base model, and a digest of the data."""
    arrays = [part.weights]
    for some in (part, held):
        if some is not None:
            arrays += [np.concatenate([item.ids for item in some.documents.items]), some.sample.outcome]
    base = predictor.words.language.files.fingerprint
    return {"model": repr(model), "training": repr(options), "base": base, "data": fingerprint(*arrays)}
