"""Options of stochastic training, and the learning rate that they imply."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from econllm.errors import OptionError, check_number, check_option, check_share, refusal
from econllm.options import as_code, make_plain

Schedule = Literal["one_cycle", "cosine", "inverse_sqrt", "constant"]

# Share of the peak at which the learning rate starts, and at which one_cycle ends.
_START, _END = 1 / 25, 1e-4


@dataclass(frozen=True, repr=False)
class Training:
    """How a network is trained: AdamW on batches of persons, under a schedule of learning rates.

    Parameters
    ----------
    epochs : int
        Passes over the sample.
    batch : int
        Persons per update; careers are never cut.
    learning_rate : float
        Highest learning rate.
    schedule : {"one_cycle", "cosine", "inverse_sqrt", "constant"}
        What follows the warm-up: a fall along half a cosine to 1e-4 of the peak, or to zero; a fall with one over the
        square root of the number of updates; or no fall.
    warmup : float
        Share of all updates, from 0 up to but not including 1, in which the rate rises in a straight line from 1/25 of
        the peak.
    weight_decay : float
        Decoupled weight decay, on parameters of two dimensions or more: neither biases nor scales of normalisations.
    betas : pair of float
        Decay of the running means of the gradient and of its square.
    clip : float or None
        Largest Euclidean norm of the gradient; longer ones are shortened to it. None clips nothing.
    patience : int or None
        Epochs without a better validation sample before training stops; None goes through all epochs. Either way the
        weights of the best epoch are kept where there is a validation sample.
    accumulate : int
        Parts into which the persons of an update are cut to save memory. The gradient is the same but for rounding, and
        for the places that dropout hits.
    buckets : int
        Batches that are filled together from this many batches' worth of shuffled persons, sorted by length, so that
        little is padded; 0 fills every batch at random.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Notes
    -----
    AdamW is that of Loshchilov and Hutter (Decoupled weight decay regularization, ICLR 2019), one_cycle the policy of
    Smith and Topin (Super-convergence, arXiv 1708.07120) without a cycle of momentum, inverse_sqrt that of Vaswani et
    al. (Attention is all you need, 2017, eq. 3).

    Examples
    --------
    >>> Training(epochs=5, schedule="cosine")
    Training(epochs=5, schedule='cosine')
    """

    epochs: int = 20
    batch: int = 64
    learning_rate: float = 1.5e-3
    schedule: Schedule = "one_cycle"
    warmup: float = 0.2
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float | None = 1.0
    patience: int | None = None
    accumulate: int = 1
    buckets: int = 16

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("epochs", "batch", "accumulate"):
            check_number(name, getattr(self, name), minimum=1, integer=True)
        check_number("learning_rate", self.learning_rate, above=0)
        check_option("schedule", self.schedule, ["one_cycle", "cosine", "inverse_sqrt", "constant"])
        check_share("warmup", self.warmup)
        check_number("weight_decay", self.weight_decay, minimum=0)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise OptionError(refusal("betas", self.betas, "not allowed", "give two numbers from 0 up to but not 1"))
        for k, beta in enumerate(self.betas):
            check_share(f"betas[{k}]", beta)
        object.__setattr__(self, "betas", (float(self.betas[0]), float(self.betas[1])))
        if self.clip is not None:
            check_number("clip", self.clip, above=0)
        if self.patience is not None:
            check_number("patience", self.patience, minimum=1, integer=True)
        check_number("buckets", self.buckets, minimum=0, integer=True)

    def __repr__(self) -> str:
        return as_code(self)

    def rate(self, update: int, updates: int) -> float:
        """Learning rate of an update.

        Parameters
        ----------
        update : int
            Number of the update, from 1.
        updates : int
            How many there are in all epochs together.

        Returns
        -------
        float

        Notes
        -----
        With w updates of warm-up, the peak p is reached at update w and, where u > w, the rate is
        p (e + (1 - e) (1 + cos(pi (u - w) / (U - w))) / 2) with e = 1e-4 for one_cycle;
        p (1 + cos(pi (u - w) / (U + 1 - w))) / 2 for cosine, which would be zero one update after the last;
        p sqrt(w / u) for inverse_sqrt.

        Examples
        --------
        >>> [round(Training(learning_rate=1, warmup=0.5, schedule="constant").rate(u, 6), 2) for u in (1, 2, 3, 6)]
        [0.04, 0.52, 1.0, 1.0]
        """
        rise = max(1, round(self.warmup * updates))
        if update < rise:
            share = _START + (1 - _START) * (update - 1) / (rise - 1)
        elif update == rise or self.schedule == "constant":
            share = 1.0
        elif self.schedule == "inverse_sqrt":
            share = math.sqrt(rise / update)
        elif self.schedule == "cosine":
            share = _half_cosine((update - rise) / (updates + 1 - rise))
        else:
            share = _END + (1 - _END) * _half_cosine((update - rise) / (updates - rise))
        return self.learning_rate * share


def _half_cosine(way: float) -> float:
    """Fall from one to zero as `way` goes from zero to one."""
    return (1 + math.cos(math.pi * way)) / 2
