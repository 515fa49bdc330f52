"""Careers on a device, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from econllm.career.inputs import Careers
from econllm.career.network import Batch

# Records per batch where nothing is learned: enough to keep the processor busy, few enough for its cache.
_RECORDS = 8192


@dataclass(frozen=True)
class Store:
    """The arrays of :class:`Careers` as tensors."""

    starts: Tensor
    lengths: Tensor
    last: Tensor
    outcome: Tensor
    target: Tensor
    factors: Tensor
    numbers: Tensor
    times: Tensor

    @classmethod
    def of(cls, careers: Careers, device: torch.device) -> Store:
        """Copy arrays to a device."""
        names = ("starts", "lengths", "last", "outcome", "target", "factors", "numbers", "times")
        return cls(**{name: torch.as_tensor(getattr(careers, name)).to(device) for name in names})

    def rows(self, persons: Tensor) -> tuple[Tensor, Tensor]:
        """Records of some persons, filled up with their last one, and which of them are real."""
        starts, lengths = self.starts[persons], self.lengths[persons]
        places = torch.arange(int(lengths.max()), device=starts.device)
        rows = starts[:, None] + torch.minimum(places[None], lengths[:, None] - 1)
        return rows, places[None] < lengths[:, None]

    def batch(self, rows: Tensor, keep: Tensor | None = None) -> Batch:
        """What the network reads about some records."""
        return Batch(self.last[rows], self.factors[rows], self.numbers[rows], self.times[rows], keep)


def in_order_of_length(lengths: np.ndarray, records: int = _RECORDS) -> Iterator[np.ndarray]:
    """Positions of persons, cut so that little is filled up and no batch has many more records than asked.

    Examples
    --------
    >>> [part.tolist() for part in in_order_of_length(np.array([3, 1, 1]), records=3)]
    [[1, 2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > records:
            yield order[begin:end]
            begin = end
