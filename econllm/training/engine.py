"""One training under way: its network, optimiser, progress and randomness."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.errors import TrainingError
from econllm.options import child_seed
from econllm.training.batches import Seeds, cut_batches
from econllm.training.checkpoint import Checkpoint
from econllm.training.options import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Within an epoch, how often a checkpoint is written.
SECONDS_BETWEEN_SAVES = 300.0


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained, and how.

    Attributes
    ----------
    network : torch.nn.Module
        On its device.
    loss : callable
        Sum of losses of the units at some positions, a scalar tensor.
    amounts, lengths : numpy.ndarray, shape (units,)
        Weight and length of every unit.
    options : Training
        How to train.
    seeds : Seeds
        Sources of randomness.
    score : callable or None
        Mean log-likelihood of the validation sample.
    half : bool
        Whether `loss` is evaluated with bfloat16 activations.
    """

    network: nn.Module
    loss: Callable[[np.ndarray], Tensor]
    amounts: np.ndarray
    lengths: np.ndarray
    options: Training
    seeds: Seeds
    score: Callable[[], float] | None
    half: bool

    def moving(self) -> dict[str, Tensor]:
        """What training changes: parameters with a gradient, and buffers that belong to the state of the network.

        Frozen weights, such as those of a large language model, are not part of it, so no checkpoint repeats them.
        """
        kept = self.network.state_dict().keys()
        found = {name: p.detach() for name, p in self.network.named_parameters() if p.requires_grad}
        return found | {name: b for name, b in self.network.named_buffers() if name in kept}


@dataclass
class Progress:
    """How far a training came.

    Attributes
    ----------
    epochs : list of [loss, validation or None, learning rate, seconds]
        Finished epochs.
    updates : int
        Updates done of the epoch under way.
    loss, amount : float
        Sums of losses and weights over those updates.
    seconds : float
        Time spent until this was saved.

    Examples
    --------
    >>> Progress([[1.2, -1.3, 1e-3, 0.5], [1.1, -1.4, 1e-4, 1.0]]).best()
    1
    """

    epochs: list[list[float | None]] = field(default_factory=list)
    updates: int = 0
    loss: float = 0.0
    amount: float = 0.0
    seconds: float = 0.0

    def best(self) -> int:
        """Number of the first epoch with the best validation."""
        return int(np.argmax(np.array([epoch[1] for epoch in self.epochs], dtype=np.float64))) + 1

    def finished(self, options: Training) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        done = len(self.epochs)
        impatient = options.patience is not None and done > 0 and done - self.best() >= options.patience
        return done >= options.epochs or impatient

    def frame(self) -> pd.DataFrame:
        """Finished epochs as the table of a :class:`History`."""
        index = pd.RangeIndex(1, len(self.epochs) + 1, name="epoch")
        values = np.array(self.epochs, dtype=np.float64)
        return pd.DataFrame(values, index, ["loss", "validation", "learning_rate", "seconds"])


class Run:
    """A training under way.

    Parameters
    ----------
    task : Task
        What is to be done.

    Attributes
    ----------
    progress : Progress
        How far it came.
    """

    def __init__(self, task: Task) -> None:
        import torch

        trained = {name: p for name, p in task.network.named_parameters() if p.requires_grad}
        decayed = [name for name, p in trained.items() if p.ndim >= 2]
        others = [name for name, p in trained.items() if p.ndim < 2]
        # In the order in which the optimiser numbers them.
        self._parameters = {name: trained[name] for name in decayed + others}
        self.task = task
        self.progress = Progress()
        self.device = next(task.network.parameters()).device
        # Makes the sum of an update an estimate of the mean over all weight; see train().
        self._scale = self.updates / float(task.amounts.sum())
        self._best: dict[str, Tensor] = {}
        self._checkpoint: Checkpoint | None = None
        self._saved = self._begun = time.perf_counter()
        self._optimiser = torch.optim.AdamW(
            [
                {"params": [trained[name] for name in decayed], "weight_decay": task.options.weight_decay},
                {"params": [trained[name] for name in others], "weight_decay": 0.0},
            ],
            betas=task.options.betas,
            # One kernel for all parameters, where there is one; elsewhere torch chooses.
            fused=True if self.device.type in ("cpu", "cuda", "mps") else None,
        )

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        return math.ceil(len(self.task.amounts) / self.task.options.batch)

    def finish(self, label: str) -> None:
        """Go through the epochs that are left, and put the best weights in place.

        Raises
        ------
        TrainingError
            If a loss, a gradient or a score is not finite.
        """
        from tqdm.auto import tqdm

        done = len(self.progress.epochs) * self.updates + self.progress.updates
        total = self.task.options.epochs * self.updates
        with (
            _private_randomness(self.device),
            tqdm(total=total, initial=done, desc=label, unit=" updates", disable=None, leave=False) as bar,
        ):
            try:
                while not self.progress.finished(self.task.options):
                    self._epoch(bar)
            finally:
                self.task.network.eval()
                self._optimiser.zero_grad(set_to_none=True)
        _put(self._best, self.task.moving())

    def _epoch(self, bar: Any) -> None:
        task, now = self.task, self.progress
        epoch = len(now.epochs) + 1
        order = np.random.default_rng(child_seed(task.seeds.order, epoch))
        batches = cut_batches(task.lengths, task.options.batch, task.options.buckets, order)
        dropout, rate = child_seed(task.seeds.dropout, epoch), 0.0
        task.network.train()
        for number in range(now.updates + 1, len(batches) + 1):
            units = batches[number - 1]
            rate = task.options.rate((epoch - 1) * len(batches) + number, task.options.epochs * len(batches))
            where = f"update {number} of {len(batches)} in epoch {epoch}, at learning rate {rate:.3g}"
            _sow(self.device, child_seed(dropout, number))
            now.loss += self._update(units, rate, where)
            now.amount += float(task.amounts[units].sum())
            now.updates = number
            bar.update()
            bar.set_postfix(self._postfix(), refresh=False)
            if number < len(batches) and time.perf_counter() - self._saved >= SECONDS_BETWEEN_SAVES:
                self._save()
        value = self._validate(epoch)
        seconds = time.perf_counter() - self._begun
        self.progress = Progress([*now.epochs, [now.loss / now.amount, value, rate, seconds]])
        if value is not None and self.progress.best() == epoch:
            self._best = {name: t.clone() for name, t in task.moving().items()}
        self._save()

    def _update(self, units: np.ndarray, rate: float, where: str) -> float:
        """Take one step, and give the sum of losses before it."""
        from torch.nn.utils import clip_grads_with_norm_, get_total_norm

        task = self.task
        self._optimiser.zero_grad(set_to_none=True)
        losses = []
        for part in np.array_split(units, min(task.options.accumulate, len(units))):
            with self._autocast():
                value = task.loss(part)
            (value * self._scale).backward()  # type: ignore[no-untyped-call]
            losses.append(value.detach())
        parameters = list(self._parameters.values())
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        # Looked at only now: on a GPU, this waits for all of the above.
        total = math.fsum(float(value) for value in losses)
        if not math.isfinite(total) or not math.isfinite(float(norm)):
            raise TrainingError(_diverged("loss" if not math.isfinite(total) else "gradient", where, task.options))
        if task.options.clip is not None:
            clip_grads_with_norm_(parameters, task.options.clip, norm)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        return total

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast(self.device.type, torch.bfloat16) if self.task.half else nullcontext()

    def _validate(self, epoch: int) -> float | None:
        import torch

        if self.task.score is None:
            return None
        self.task.network.eval()
        # What is not finite is said below, once.
        with torch.no_grad(), np.errstate(invalid="ignore", over="ignore"):
            value = float(self.task.score())
        # Minus infinity is a score, if a bad one: something that happened had probability zero.
        if math.isnan(value) or value == math.inf:
            raise TrainingError(_diverged("validation log-likelihood", f"epoch {epoch}", self.task.options))
        return value

    def _postfix(self) -> dict[str, str]:
        shown = {"loss": f"{self.progress.loss / self.progress.amount:.4f}"}
        if self._best:
            shown["validation"] = f"{self.progress.epochs[-1][1]:.4f}"
        return shown

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save into a checkpoint from now on, and go on from what it holds.

        Parameters
        ----------
        checkpoint : Checkpoint
            Of this training.

        Raises
        ------
        OptionError
            If it is of another training.
        """
        self._checkpoint = checkpoint
        found = checkpoint.read()
        if found is None:
            return
        progress, tensors = found
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        self.progress = Progress(**progress)
        self._begun = time.perf_counter() - self.progress.seconds
        self._best = {name: t.to(self.device) for name, t in parts.pop("best", {}).items()}
        _put(parts.pop("weights"), self.task.moving())
        # What is left are the quantities that the optimiser keeps of each parameter.
        state = {
            k: {key: part[name] for key, part in parts.items() if name in part}
            for k, name in enumerate(self._parameters)
        }
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": {k: v for k, v in state.items() if v}, "param_groups": groups})

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        self.progress.seconds = time.perf_counter() - self._begun
        parts = {"weights": self.task.moving(), "best": self._best}
        names = list(self._parameters)
        for k, quantities in self._optimiser.state_dict()["state"].items():
            for key, tensor in quantities.items():
                parts.setdefault(key, {})[names[k]] = tensor
        tensors = {f"{part}/{name}": t for part, named in parts.items() for name, t in named.items()}
        self._checkpoint.write(dataclasses.asdict(self.progress), tensors)
        self._saved = time.perf_counter()


def _put(values: dict[str, Tensor], into: dict[str, Tensor]) -> None:
    for name, value in values.items():
        into[name].copy_(value)


def _diverged(what: str, where: str, options: Training) -> str:
    clip = "lower clip" if options.clip is not None else "set clip=1.0"
    return (
        f"the {what} is not finite in {where}: give a lower learning_rate than {options.learning_rate:g}, a longer "
        f"warmup than {options.warmup:g}, or {clip}. If it happens at once, look for infinite numbers in the data."
    )


@contextmanager
def _private_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's random numbers to the caller as they were."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # fork_rng asks for the state of a numbered device, which mps has not.
        state = torch.mps.get_rng_state() if device.type == "mps" else None
        try:
            yield
        finally:
            if state is not None:
                torch.mps.set_rng_state(state)


def _sow(device: torch.device, seed: np.random.SeedSequence) -> None:
    """Seed the generators that a network on the device draws from, and no others, as torch.manual_seed would."""
    import torch

    number = int(seed.generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)
