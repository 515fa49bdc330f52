"""The two-stage likelihood: in torch to train, in float64 to report."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from econllm.career.network import Batch, CareerNetwork


def negative_log_likelihood(
    network: CareerNetwork, batch: Batch, outcome: Tensor, weight: Tensor, seen: Tensor | None
) -> Tensor:
    """Weighted sum of minus log P of what happened, in nats.

    Parameters
    ----------
    network : CareerNetwork
        The network, in training.
    batch : Batch
        Records of some persons.
    outcome : Tensor of int64, shape (persons, records)
        Positions of the occupations.
    weight : Tensor, shape (persons, records)
        Weights; records with weight zero are history or padding.
    seen : Tensor of bool, shape (choices,), optional
        Occupations that occur in the estimation sample: the others take no part in it. None if all do.

    Returns
    -------
    Tensor
        A scalar.

    Notes
    -----
    P(y) = 1 - P(move) if y is the last occupation, else P(move) P(y | move) with P(y | move) a softmax over the others;
    a softmax over all where there is no last occupation (Vafa et al., arXiv 2202.08370). A stay needs no softmax, which
    is most of the records of a yearly survey.
    """
    hidden = network(batch)
    person, record = weight.nonzero(as_tuple=True)
    last, y, w = batch.last[person, record], outcome[person, record], weight[person, record]
    total = hidden.new_zeros((), dtype=torch.float32)
    goes = torch.ones_like(y, dtype=torch.bool)
    if network.move is not None:
        log_odds = network.move(hidden[person, record])[:, 0].float()
        stay, first = last == y + 1, last == 0
        sign = torch.where(stay, 1.0, -1.0)
        total = total + (w * functional.softplus(sign * log_odds)).masked_fill(first, 0.0).sum()
        goes = ~stay
    person, record, last, y, w = (part[goes] for part in (person, record, last, y, w))
    logits = network.destinations(hidden, person, record, batch.last, batch.keep).float()
    if seen is not None:
        logits = logits.masked_fill(~seen, -torch.inf)
    if network.move is not None:
        logits = forbid(logits, last)
    return torch.add(total, (w * functional.cross_entropy(logits, y, reduction="none")).sum())


def forbid(logits: Tensor, last: Tensor) -> Tensor:
    """Give the last occupation no chance as a destination; rows without one stay as they are."""
    own = functional.one_hot(last, logits.shape[1] + 1)[:, 1:].bool()
    out: Tensor = logits.masked_fill(own, -torch.inf)
    return out
