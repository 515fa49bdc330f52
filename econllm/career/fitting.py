"""Estimation: from a specification and a panel to a trained network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from econllm.base import FitInfo
from econllm.career.batches import Store, in_order_of_length
from econllm.career.inputs import Careers, Coding
from econllm.career.likelihood import negative_log_likelihood
from econllm.career.network import CareerNetwork, Shape
from econllm.career.prediction import Predictor, Unseen
from econllm.career.transfer import transfer
from econllm.choices import ChoiceSet
from econllm.encoders import SentenceEncoder, resolve_encoder
from econllm.errors import DataError, EconLLMWarning, TrainingError, listing, warn
from econllm.options import Seed, resolve_device, resolve_seed
from econllm.panel import CareerPanel
from econllm.resampling import fingerprint
from econllm.sample import fit_weights
from econllm.training import History, seeds, train

if TYPE_CHECKING:
    from econllm.career.model import CAREER
    from econllm.career.presets import Preset

# Width below which a second core does not pay.
_NARROW = 128
# Records, those that only fill up counted, beyond which careers of a batch are not read together: one long career must
# not fill up all others to its length.
_FILLED = 16_384
# Modules of the network that freeze=["embeddings"] keeps.
_EMBEDDINGS = ("occupation", "covariates", "numbers", "bend", "times", "position", "title_input")


@dataclass(frozen=True)
class Fitted:
    """What estimation gives to results."""

    predictor: Predictor
    history: History
    info: FitInfo


@dataclass(frozen=True)
class _Sample:
    """The estimation sample as the loss sees it."""

    careers: Careers
    weights: np.ndarray
    seen: np.ndarray

    @property
    def goes(self) -> np.ndarray:
        """Records with weight that do not stay: first records, and moves."""
        out: np.ndarray = (self.weights > 0) & (self.careers.last != self.careers.outcome + 1)
        return out


@contextmanager
def settled() -> Iterator[None]:
    """Hold what a caller may have set for the whole of torch: the seed alone decides, and gradients are needed."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(before)


def estimate(
    model: CAREER,
    preset: Preset,
    panel: CareerPanel,
    validation: CareerPanel | None,
    weights: Any,
    seed: Seed,
    checkpoint: str | Path | None,
) -> Fitted:
    """Train a network; see :meth:`econllm.career.model.CAREER.fit`."""
    clock = time.perf_counter()
    root = resolve_seed(seed)
    predictor, sample = _prepare(model, preset, panel, weights, root)
    network = predictor.network
    held = None if validation is None else predictor.coding.read(validation, predictor.choices)
    held_weights = validation.sampling_weights if validation is not None and model.weighted else None
    score = None
    if held is not None:

        def score() -> float:
            return float(np.average(predictor.log_likelihood(held), weights=held_weights))

    with _threads(preset.dim):
        history = train(
            network,
            _loss(network, sample, predictor.device, model.history_dropout),
            np.add.reduceat(sample.weights, sample.careers.starts),
            sample.careers.lengths,
            preset.training,
            root,
            score=score,
            checkpoint=checkpoint,
            description=None if checkpoint is None else _description(model, preset, predictor, sample, held),
            precision=_precision(model.dtype, predictor.device),
            label="CAREER",
        )
        with np.errstate(invalid="ignore", over="ignore"):
            scores = predictor.log_likelihood(sample.careers)
    if not np.isfinite(scores).all():
        # The loss of an update is that before it, so that the training loop does not see what the last one did.
        raise TrainingError(
            "the log-likelihood is not finite after the last update: give a lower learning_rate than "
            f"{preset.training.learning_rate:g}."
        )
    info = FitInfo(
        rows=len(panel),
        persons=len(np.unique(panel.origin_ids)),
        first_records=int(panel.is_first.sum()),
        log_likelihood=float(scores.sum()),
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        seconds=time.perf_counter() - clock,
        unseen=tuple(predictor.choices.codes[i] for i in np.flatnonzero(~sample.seen)),
        weighted=weights is not None or model.weighted,
    )
    return Fitted(predictor, history, info)


def _prepare(
    model: CAREER, preset: Preset, panel: CareerPanel, weights: Any, seed: np.random.SeedSequence
) -> tuple[Predictor, _Sample]:
    """A network before training, with the codings and the reserve for unseen occupations, and the sample."""
    device, start = resolve_device(model.device), model.start
    choices = panel.choices if start is None else union(panel.choices, start.choices)
    row_weights = fit_weights(panel, weights, model.weighted)
    coding = Coding.of(
        panel,
        gap=model.gap,
        spell=model.spell,
        calendar=model.calendar,
        columns=model.covariates,
        like=None if start is None else start.predictor.coding,
        weights=row_weights,
    )
    sample = _sample(coding.read(panel, choices), row_weights, choices, start)
    titles = title_vectors(model, choices)
    network = _network(model, preset, coding, choices, titles, sample, seeds(seed).weights).to(device)
    records = int((sample.goes if network.shape.two_stage else sample.weights > 0).sum())
    return Predictor(network, coding, choices, Unseen.of(sample.seen, records, model.pseudo_count)), sample


@contextmanager
def _threads(dim: int) -> Iterator[None]:
    """Train narrow networks on one core: more would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if dim < _NARROW else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def union(choices: ChoiceSet, others: ChoiceSet) -> ChoiceSet:
    """The first choice set, then what only the second one has.

    Raises
    ------
    DataError
        If codes are of two types, or codes that differ have one title.

    Examples
    --------
    >>> union(ChoiceSet([1, 2]), ChoiceSet([2, 3])).codes
    (1, 2, 3)
    """
    extra = [code for code in others.codes if code not in choices]
    if not extra:
        return choices
    titles = [others.title(code) for code in extra]
    try:
        return ChoiceSet([*choices.codes, *extra], [*choices.titles, *titles])
    except DataError as error:
        raise DataError(
            f"start= has other occupations than the panel, and they cannot be put together: {error}"
        ) from None


def title_encoder(model: CAREER) -> SentenceEncoder | None:
    """The encoder of titles: the model's own, else that of the model it starts from, which may have it from another."""
    while model.titles is None and model.start is not None:
        model = model.start.model
    return None if model.titles is None else resolve_encoder(model.titles)


def _one_encoder(a: SentenceEncoder | None, b: SentenceEncoder | None) -> bool:
    """Whether two encoders give a text the same vector."""
    names = ("model", "pooling", "max_tokens", "revision")
    return all(getattr(a, name, None) == getattr(b, name, None) for name in names)


def title_vectors(model: CAREER, choices: ChoiceSet) -> Tensor | None:
    """Vectors of the titles, of length one, shape (choices, length); None where titles are not read."""
    encoder = title_encoder(model)
    if encoder is None:
        return None
    if not any(letter.isalpha() for title in choices.titles for letter in title):
        raise DataError(
            f"CAREER(titles=) reads the titles of occupations, and none of these {len(choices)} has a letter, first "
            f"{choices.titles[0]!r}: give titles= to CareerPanel, or leave the option out."
        )
    if encoder.dtype == "auto":
        # A few hundred short texts take no time, and the same titles give the same vectors everywhere.
        encoder = replace(encoder, dtype="float32")
    vectors = encoder.encode(list(choices.titles)).vectors.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.as_tensor(vectors / np.where(length > 0, length, 1.0), dtype=torch.float32)


def _sample(careers: Careers, row_weights: np.ndarray | None, choices: ChoiceSet, start: Any) -> _Sample:
    weights = np.zeros(len(careers.last))
    weights[careers.target] = 1.0 if row_weights is None else row_weights
    seen = np.zeros(len(choices), dtype=bool)
    seen[np.unique(careers.outcome[weights > 0])] = True
    if start is not None:
        known = [code for code in start.choices.codes if code not in start.info.unseen]
        seen |= np.array([code in known for code in choices.codes])
    return _Sample(careers, weights, seen)


def _network(
    model: CAREER,
    preset: Preset,
    coding: Coding,
    choices: ChoiceSet,
    titles: Tensor | None,
    sample: _Sample,
    seed: np.random.SeedSequence,
) -> CareerNetwork:
    """A network with random weights, or with those of the result to start from."""
    shape = Shape(
        choices=len(choices),
        levels=coding.levels,
        numbers=coding.columns,
        times=len(coding.times),
        layers=preset.layers,
        dim=preset.dim,
        heads=preset.heads,
        ffn=preset.ffn,
        dropout=preset.dropout,
        position=model.position,
        two_stage=model.two_stage,
        returns=model.returns,
        titles=0 if titles is None else titles.shape[1],
    )
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every GPU, too.
        torch.default_generator.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        network = CareerNetwork(shape, titles)
    unseen = torch.as_tensor(np.flatnonzero(~sample.seen))
    with torch.no_grad():
        # They are not trained: what is known of them is their title.
        network.occupation.weight[unseen + 1] = 0.0
        network.output.weight[unseen] = 0.0
    if model.start is not None:
        old = model.start.predictor
        same = _one_encoder(title_encoder(model.start.model), title_encoder(model))
        transfer(old.network, old.coding, old.choices, network, coding, choices, one_encoder=same)
        for name, parameter in network.named_parameters():
            if part_of(name) in model.freeze:
                parameter.requires_grad_(False)
        _warn_of_frozen(model, coding, [choices.codes[i] for i in np.flatnonzero(sample.seen)])
    return network


def _warn_of_frozen(model: CAREER, coding: Coding, seen: list[Any]) -> None:
    """Say what is new to the model that one starts from, and yet in a part that is not trained."""
    assert model.start is not None
    old = model.start.predictor
    jobs = [code for code in seen if code not in old.choices or code in model.start.info.unseen]
    if jobs and ("head" in model.freeze or "embeddings" in model.freeze):
        warn(
            f"freeze={list(model.freeze)!r}: start= does not know {len(jobs)} occupations, whose vectors stay as "
            f"they began: {listing(jobs)}.",
            EconLLMWarning,
        )
    levels = {(f.column, f.lagged): {*f.levels} for f in old.coding.factors}
    numbers = {(n.column, n.lagged) for n in old.coding.numbers}
    columns = [f.column for f in coding.factors if not levels.get((f.column, f.lagged), set()).issuperset(f.levels)]
    columns += [n.column for n in coding.numbers if (n.column, n.lagged) not in numbers]
    if columns and "embeddings" in model.freeze:
        warn(
            f"freeze={list(model.freeze)!r}: start= does not know the columns {listing(columns)}, or levels of theirs, "
            "which stay without effect.",
            EconLLMWarning,
        )


def part_of(parameter: str) -> str | int:
    """Part of the network that a parameter belongs to, as `freeze` names it.

    Examples
    --------
    >>> part_of("blocks.0.up.weight"), part_of("occupation.weight"), part_of("norm.bias")
    (1, 'embeddings', 'head')
    """
    first, *rest = parameter.split(".")
    if first == "blocks":
        return int(rest[0]) + 1
    return "embeddings" if first in _EMBEDDINGS else "head"


def _loss(network: CareerNetwork, sample: _Sample, device: torch.device, history_dropout: float) -> Any:
    """The loss of some persons as the training loop calls it."""
    store = Store.of(sample.careers, device)
    weights = torch.as_tensor(sample.weights, dtype=torch.float32).to(device)
    seen = None if sample.seen.all() else torch.as_tensor(sample.seen).to(device)

    def together(units: np.ndarray) -> Tensor:
        rows, real = store.rows(torch.as_tensor(units).to(device))
        keep = thin(rows, history_dropout) if history_dropout else None
        return negative_log_likelihood(
            network, store.batch(rows, keep), store.outcome[rows], weights[rows] * real, seen
        )

    def loss(units: np.ndarray) -> Tensor:
        lengths = sample.careers.lengths[units]
        if len(units) * int(lengths.max()) <= _FILLED:
            return together(units)
        return torch.stack([together(units[part]) for part in in_order_of_length(lengths, _FILLED)]).sum()

    return loss


def thin(rows: Tensor, share: float) -> Tensor:
    """Hide earlier records of a share of persons: of each, a part that is uniform between none and all.

    Returns
    -------
    Tensor of bool, shape of `rows`
        Which records later ones may look at.
    """
    persons = len(rows)
    kept = torch.rand(persons, 1, device=rows.device)
    whole = torch.rand(persons, 1, device=rows.device) >= share
    return whole | (torch.rand(rows.shape, device=rows.device) < kept)


def _precision(dtype: str, device: torch.device) -> torch.dtype | None:
    """Number type of matrix products in training; None for that of the weights, float32."""
    if dtype == "bfloat16" or (dtype == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()):
        return torch.bfloat16
    return None


def _description(
    model: CAREER, preset: Preset, predictor: Predictor, sample: _Sample, held: Careers | None
) -> dict[str, Any]:
    """What a checkpoint must agree with: the specification, and a digest of the data and of what it starts from."""
    choices = predictor.choices
    arrays = [sample.weights, *(np.array(texts, dtype=object) for texts in (choices.codes, choices.titles))]
    if model.start is not None:
        arrays += [values.cpu().numpy() for values in model.start.predictor.network.state_dict().values()]
    for careers in (sample.careers, held):
        if careers is not None:
            arrays += [careers.last, careers.outcome, careers.target, careers.factors, careers.numbers, careers.times]
    return {"model": repr(model), "training": repr(preset.training), "data": fingerprint(*arrays)}
