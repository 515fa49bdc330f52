"""Estimation: from a specification and texts to a fine-tuned encoder."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from econllm.base import FitInfo
from econllm.career.prediction import Unseen
from econllm.choices import ChoiceSet
from econllm.encoders import SentenceEncoder
from econllm.encoders.network import Network, load_network
from econllm.encoders.weights import find_encoder
from econllm.errors import DataError, OptionError, TrainingError
from econllm.llm.encoder import EncoderClassifier, row_texts
from econllm.llm.encoder_network import EncoderNetwork, freeze, smoothed_log_shares
from econllm.llm.encoder_prediction import Predictor, Reader, Tokens
from econllm.options import Pooling, Seed, resolve_device, resolve_dtype, resolve_seed
from econllm.panel import CareerPanel
from econllm.resampling import fingerprint
from econllm.sample import Data, fit_weights, read_choice_set, read_sample
from econllm.text import Resume, ResumeTemplate
from econllm.training import History, train


@dataclass(frozen=True)
class Fitted:
    """What estimation gives to results."""

    choices: ChoiceSet
    predictor: Predictor
    history: History
    info: FitInfo
    template: ResumeTemplate | None


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a sample as training sees them.

    Attributes
    ----------
    tokens : Tokens
        Of their texts.
    outcome : numpy.ndarray of int64, shape (n,)
        Positions in the choice set.
    weights : numpy.ndarray of float64, shape (n,)
        With mean one.
    hidden : Tensor or None
        Vectors of their texts, where the encoder is not trained.
    """

    tokens: Tokens
    outcome: np.ndarray
    weights: np.ndarray
    hidden: Tensor | None


def estimate(
    model: EncoderClassifier,
    data: Data,
    validation: Data | None,
    weights: Any,
    seed: Seed,
    checkpoint: str | Path | None,
) -> Fitted:
    """Train an encoder; see :meth:`econllm.llm.encoder.EncoderClassifier.fit`."""
    clock = time.perf_counter()
    choices = read_choice_set(data, model.outcome)
    sample = read_sample(data, model.outcome, choices)
    row_weights = fit_weights(data, weights, model.weighted)
    given = np.ones(len(sample)) if row_weights is None else row_weights
    counts = np.bincount(sample.outcome, given, minlength=len(choices))
    if (counts > 0).sum() < 2:
        raise DataError(f"only one outcome occurs in the {len(sample)} rows; a model of choice needs two.")
    template = (model.template or data.template) if isinstance(data, CareerPanel) else None
    source, encoder = load_source(model)
    # Outcomes are called as in the résumés.
    coded = template is not None and template.titles == "code"
    names = [str(code) for code in choices.codes] if coded else list(choices.titles)
    titles = _unit(encoder.encode(names).vectors)
    network = EncoderNetwork(
        copy.deepcopy(source.model), source.pooling, titles, smoothed_log_shares(torch.as_tensor(counts)), model.head
    ).to(resolve_device(model.device))
    freeze(network, model.frozen, model.model)
    unseen = Unseen.of(counts > 0, int((given > 0).sum()), model.pseudo_count)
    predictor = Predictor(network, Reader.of(source, cast("int", encoder.max_tokens)), unseen)
    rows = _rows(model, predictor, row_texts(model, data, template), sample.outcome, given)
    held = None if validation is None else _held(model, predictor, validation, choices, template)
    history = _train(model, predictor, rows, held, counts > 0, resolve_seed(seed), checkpoint)
    with np.errstate(invalid="ignore", over="ignore"):
        scores = _scores(predictor, rows)
    if not np.isfinite(scores).all():
        # The loss of an update is that before it, so that the training loop does not see what the last one did.
        raise TrainingError(
            "the log-likelihood is not finite after the last update: give a lower learning_rate than "
            f"{model.schedule.learning_rate:g}."
        )
    info = FitInfo(
        rows=len(sample),
        persons=len(np.unique(sample.clusters)) if sample.of_panel else None,
        first_records=int(sample.first.sum()) if sample.of_panel else None,
        log_likelihood=float(scores.sum()),
        parameters=sum(values.numel() for values in network.trained().values()),
        seconds=time.perf_counter() - clock,
        unseen=tuple(choices.codes[i] for i in unseen.positions),
        truncated=float(rows.tokens.truncated.mean()),
        weighted=row_weights is not None,
    )
    return Fitted(choices, predictor, history, info, template)


def load_source(model: EncoderClassifier) -> tuple[Network, SentenceEncoder]:
    """The encoder before training, shared and not to be changed, and its options with every "auto" resolved.

    Raises
    ------
    OptionError
        If it is a causal language model, or does not read so many tokens.
    ModelNotFoundError
        If it is not to be found.
    """
    files = find_encoder(model.model, model.revision)
    if files.causal or files.pooling == "last":
        raise OptionError(
            f"model {model.model!r} is a causal language model: el.EncoderClassifier needs a sentence encoder such as "
            "'minilm'; for language models there is el.LLM."
        )
    encoder = SentenceEncoder(
        model.model,
        max_tokens=model.max_tokens,
        # A few hundred titles take no time, and the same titles give the same vectors everywhere.
        dtype="float32",
        device=model.device,
        cache=False,
        revision=model.revision,
    ).pinned()
    pooling = cast("Pooling", encoder.pooling)
    return load_network(files, pooling, "float32", str(resolve_device(model.device))), encoder


def _unit(vectors: np.ndarray) -> Tensor:
    """Vectors of length one, float32."""
    return torch.nn.functional.normalize(torch.as_tensor(vectors, dtype=torch.float64), dim=1).float()


def _rows(
    model: EncoderClassifier,
    predictor: Predictor,
    texts: Sequence[str | Resume],
    outcome: np.ndarray,
    weights: np.ndarray,
) -> Rows:
    """Read texts; vectors at once where they do not change."""
    tokens = predictor.reader.read(texts)
    return Rows(tokens, outcome, weights, predictor.hidden(tokens) if model.frozen == "all" else None)


def _held(
    model: EncoderClassifier,
    predictor: Predictor,
    data: Data,
    choices: ChoiceSet,
    template: ResumeTemplate | None,
) -> Rows:
    """The validation sample; survey weights count where the model uses them."""
    sample = read_sample(data, model.outcome, choices)
    weights = sample.weights if model.weighted and sample.weights is not None else np.ones(len(sample))
    return _rows(model, predictor, row_texts(model, data, template), sample.outcome, weights)


def _scores(predictor: Predictor, rows: Rows) -> np.ndarray:
    """Log probability of what happened, row by row."""
    hidden = predictor.hidden(rows.tokens) if rows.hidden is None else rows.hidden
    return predictor.log_likelihood(hidden, rows.outcome)


def _train(
    model: EncoderClassifier,
    predictor: Predictor,
    rows: Rows,
    held: Rows | None,
    seen: np.ndarray,
    seed: np.random.SeedSequence,
    checkpoint: str | Path | None,
) -> History:
    """Train in place, the best epoch by the validation sample."""
    score = None
    if held is not None:

        def score() -> float:
            return float(np.average(_scores(predictor, held), weights=held.weights))

    return train(
        predictor.network,
        _loss(predictor, rows, seen),
        rows.weights,
        rows.tokens.lengths,
        model.schedule,
        seed,
        score=score,
        checkpoint=checkpoint,
        description=None if checkpoint is None else _description(model, predictor, rows, held),
        precision=resolve_dtype(model.dtype, predictor.device),
        label="EncoderClassifier",
    )


def _loss(predictor: Predictor, rows: Rows, seen: np.ndarray) -> Callable[[np.ndarray], Tensor]:
    """The loss of some rows as the training loop calls it; outcomes without an estimate take no part."""
    network, device = predictor.network, predictor.device
    columns = torch.as_tensor(np.flatnonzero(seen)).to(device)
    # Rows of weight zero may hold outcomes that are not seen; the loop leaves them out.
    target = torch.as_tensor(np.searchsorted(np.flatnonzero(seen), rows.outcome)).to(device)
    weights = torch.as_tensor(rows.weights, dtype=torch.float32).to(device)

    def loss(units: np.ndarray) -> Tensor:
        at = torch.as_tensor(units).to(device)
        if rows.hidden is None:
            hidden = network.hidden(*predictor.reader.batch(rows.tokens, units, device))
        else:
            hidden = rows.hidden[at]
        logits = network.logits(hidden)[:, columns]
        return (weights[at] * torch.nn.functional.cross_entropy(logits, target[at], reduction="none")).sum()

    return loss


def _description(model: EncoderClassifier, predictor: Predictor, rows: Rows, held: Rows | None) -> dict[str, str]:
    """What a checkpoint must agree with: the specification, and a digest of the encoder and the data."""
    arrays = [predictor.network.titles.cpu().numpy(), predictor.network.constants.cpu().numpy()]
    for part in (rows, held):
        if part is not None:
            joined = np.concatenate([piece for pieces in part.tokens.pieces for piece in pieces])
            arrays += [joined, part.tokens.lengths, part.outcome, part.weights]
    files = predictor.reader.files
    return {
        "model": repr(model),
        "training": repr(model.schedule),
        "encoder": files.fingerprint,
        "data": fingerprint(*arrays),
    }
