"""The one training loop of networks: AdamW on batches of units, early stop, exact resumption."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from econllm.errors import DataError, OptionError
from econllm.resampling import fingerprint
from econllm.training.batches import seeds
from econllm.training.checkpoint import Checkpoint
from econllm.training.engine import Run, Task
from econllm.training.history import History
from econllm.training.options import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def train(
    network: nn.Module,
    loss: Callable[[np.ndarray], Tensor],
    amounts: np.ndarray,
    lengths: np.ndarray,
    options: Training,
    seed: np.random.SeedSequence,
    *,
    score: Callable[[], float] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    description: dict[str, Any] | None = None,
    precision: torch.dtype | None = None,
    label: str = "training",
) -> History:
    """Train a network in place.

    Parameters
    ----------
    network : torch.nn.Module
        On its device, with its initial weights. Only parameters that require a gradient are trained. It ends with the
        weights of the best epoch, in evaluation mode.
    loss : callable
        Takes positions of units (int64) and gives the weighted sum of their negative log-likelihoods, a scalar.
    amounts : numpy.ndarray, shape (units,)
        Sum of the weights of the terms of each unit; units of amount zero are left out.
    lengths : numpy.ndarray, shape (units,)
        How long the units are, for batches of similar length.
    options : Training
        How to train.
    seed : numpy.random.SeedSequence
        Source of the order of units and of dropout, divided by :func:`seeds`. The random numbers of the caller are left
        as they were.
    score : callable, optional
        Gives the mean log-likelihood of the validation sample. Called after every epoch, in evaluation mode and without
        gradients; decides which weights are kept. Without it the last are.
    checkpoint : path, optional
        Folder that the training is kept in, so that an interrupted one goes on, bit for bit on a CPU. Saved after every
        epoch and every five minutes.
    description : dict, optional
        What is trained, in JSON types, to recognise a training that may go on.
    precision : torch.dtype, optional
        torch.bfloat16 evaluates `loss` under autocast; the weights keep their type. Longer types change nothing.
    label : str
        Name of the progress bar.

    Returns
    -------
    History

    Raises
    ------
    DataError
        If amounts and lengths do not fit, or no unit has weight.
    OptionError
        If there is nothing to train, patience has no validation sample, or the folder is of another training.
    TrainingError
        If a loss, a gradient or a score is not finite. Nothing is saved then; the last checkpoint stays.

    Notes
    -----
    Every update descends the gradient of the sum of losses of its units times U / A, with U updates in an epoch and A
    the sum of all amounts: an estimate of the mean loss per unit of weight in which every unit of weight counts the
    same, whichever batch it is in.

    Examples
    --------
    >>> import torch
    >>> y, network = torch.tensor([0.0, 1.0, 1.0, 1.0]), torch.nn.Linear(1, 1)
    >>> def loss(at):
    ...     logits = network(torch.zeros(len(at), 1)).squeeze(1)
    ...     return torch.nn.functional.binary_cross_entropy_with_logits(logits, y[at], reduction="sum")
    >>> options = Training(epochs=200, learning_rate=0.1, weight_decay=0.0)
    >>> history = train(network, loss, np.ones(4), np.ones(4), options, np.random.SeedSequence(0))
    >>> round(float(torch.sigmoid(network.bias.detach())), 2)
    0.75
    """
    import torch

    amounts, lengths = np.asarray(amounts, dtype=np.float64), np.asarray(lengths, dtype=np.float64)
    used = _check(network, amounts, lengths, options, score, precision)
    task = Task(
        network=network,
        loss=lambda at: loss(used[at]),
        amounts=amounts[used],
        lengths=lengths[used],
        options=options,
        seeds=seeds(seed),
        score=score,
        half=precision == torch.bfloat16,
    )
    run = Run(task)
    if checkpoint is not None:
        identity = {
            "options": dataclasses.asdict(options),
            "seed": [str(seed.entropy), list(seed.spawn_key)],
            "data": fingerprint(amounts, lengths),
            "network": {name: [str(t.dtype), *t.shape] for name, t in task.moving().items()},
            "precision": "bfloat16" if task.half else "as weights",
            "validation": score is not None,
            "description": description or {},
        }
        run.keep(Checkpoint.open(checkpoint, identity))
    run.finish(label)
    return History(run.progress.frame(), options.epochs)


def _check(
    network: nn.Module,
    amounts: np.ndarray,
    lengths: np.ndarray,
    options: Training,
    score: Callable[[], float] | None,
    precision: torch.dtype | None,
) -> np.ndarray:
    """Positions of the units that have weight."""
    import torch

    if amounts.ndim != 1 or amounts.shape != lengths.shape:
        raise DataError(f"amounts have shape {amounts.shape} and lengths {lengths.shape}: give one of each per unit.")
    if not np.isfinite(amounts).all() or (amounts < 0).any():
        raise DataError("amounts must be finite and not negative.")
    units = np.flatnonzero(amounts).astype(np.int64)
    if not len(units):
        raise DataError("the data to train on have no rows with weight.")
    if not any(p.requires_grad for p in network.parameters()):
        raise OptionError("the network has no parameters to train.")
    if options.patience is not None and score is None:
        raise OptionError(
            f"patience={options.patience} stops by a validation sample: fit(train, validation=valid), or patience=None."
        )
    if precision not in (None, torch.float32, torch.float64, torch.bfloat16):
        raise OptionError(f"dtype={precision} is not for training: use 'float32', 'bfloat16' or 'float64'.")
    return units
