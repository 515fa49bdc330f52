"""What a trained network says about a panel: probabilities, representations, odds of moving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from econllm.career.batches import Store, in_order_of_length
from econllm.career.inputs import Careers, Coding
from econllm.career.network import Batch, CareerNetwork
from econllm.choices import ChoiceSet
from econllm.panel import CareerPanel


@dataclass(frozen=True)
class Unseen:
    """Occupations that estimation never saw, and the probability that is set aside for them.

    Attributes
    ----------
    positions : numpy.ndarray of int64
        In the choice set.
    reserve : float
        Sum of their probabilities among destinations.
    """

    positions: np.ndarray
    reserve: float

    @classmethod
    def of(cls, seen: np.ndarray, records: int, pseudo_count: float) -> Unseen:
        """Set pseudo_count / (records + pseudo_count * unseen) aside for each.

        Parameters
        ----------
        seen : numpy.ndarray of bool, shape (choices,)
            Which occupations occur.
        records : int
            Destinations in the estimation sample.
        pseudo_count : float
            As in :class:`CAREER`.

        Examples
        --------
        >>> Unseen.of(np.array([True, False]), 9, 1.0).reserve
        0.1
        """
        positions = np.flatnonzero(~seen)
        mass = pseudo_count * len(positions)
        # A sample of stays alone says as little about the destinations that it has seen: they keep one record's weight.
        return cls(positions, mass / (max(records, 1) + mass))


@dataclass(frozen=True)
class Rows:
    """Some records of a panel and what the network says about them.

    Attributes
    ----------
    rows : numpy.ndarray of int64, shape (rows,)
        Among the transitions of the panel.
    hidden : Tensor, shape (persons, records, dim)
        Representations of their persons' records.
    person, record : Tensor of int64, shape (rows,)
        Where each row is among these.
    batch : Batch
        What the network read.
    """

    rows: np.ndarray
    hidden: Tensor
    person: Tensor
    record: Tensor
    batch: Batch


@dataclass(frozen=True)
class Predictor:
    """A trained network with everything that a prediction needs.

    Attributes
    ----------
    network : CareerNetwork
        In evaluation.
    coding : Coding
        How columns are read.
    choices : ChoiceSet
        Columns of every probability matrix.
    unseen : Unseen
        Occupations without an estimate.
    """

    network: CareerNetwork
    coding: Coding
    choices: ChoiceSet
    unseen: Unseen

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.output.weight.device

    def walk(self, careers: Careers) -> Iterator[Rows]:
        """Run the network over all persons, a batch at a time, and stop at the records that are predicted."""
        store = Store.of(careers, self.device)
        number = torch.as_tensor(np.cumsum(careers.target) - 1).to(self.device)
        self.network.eval()
        with torch.inference_mode():
            for persons in in_order_of_length(careers.lengths):
                rows, real = store.rows(torch.as_tensor(persons).to(self.device))
                batch = store.batch(rows)
                person, record = (store.target[rows] & real).nonzero(as_tuple=True)
                if len(person):
                    where = number[rows[person, record]].cpu().numpy()
                    yield Rows(where, self.network(batch), person, record, batch)

    def log_proba(self, panel: CareerPanel) -> np.ndarray:
        """Log probability of every occupation, float64, shape (n, choices)."""
        out = np.empty((len(panel), len(self.choices)))
        for part in self.walk(self.coding.read(panel, self.choices)):
            out[part.rows] = self.of_rows(part.hidden, part.person, part.record, part.batch)
        return out

    def of_rows(self, hidden: Tensor, person: Tensor, record: Tensor, batch: Batch) -> np.ndarray:
        """Log probability of every occupation in some records, float64."""
        with torch.inference_mode():
            scores = self.network.head(hidden, person, record, batch.last, batch.keep)
        last = batch.last[person, record].cpu().numpy()
        move = _float64(scores.move) if self.network.shape.two_stage else None
        return combine(_float64(scores.destination), move, last, self.unseen)

    def log_likelihood(self, careers: Careers) -> np.ndarray:
        """Log probability of what happened in the records that are predicted, float64; stays need no softmax."""
        y = careers.outcome[careers.target]
        out = np.empty(len(y))
        for part in self.walk(careers):
            happened = y[part.rows]
            last = part.batch.last[part.person, part.record].cpu().numpy()
            stays = last == happened + 1 if self.network.shape.two_stage else np.zeros(len(last), dtype=bool)
            with torch.inference_mode():
                if self.network.move is not None:
                    move = _float64(self.network.move(part.hidden[part.person, part.record])[:, 0])
                    out[part.rows[stays]] = -softplus(move[stays])
            goes = torch.as_tensor(np.flatnonzero(~stays)).to(self.device)
            if len(goes):
                table = self.of_rows(part.hidden, part.person[goes], part.record[goes], part.batch)
                out[part.rows[~stays]] = table[np.arange(len(table)), happened[~stays]]
        return out

    def move_proba(self, panel: CareerPanel) -> np.ndarray:
        """Probability of leaving the last occupation, float64, shape (n,); nan at first records."""
        careers = self.coding.read(panel, self.choices)
        last = careers.last[careers.target]
        out = np.empty(len(last))
        if self.network.move is None:
            out = 1 - np.exp(self.log_proba(panel)[np.arange(len(last)), np.maximum(last - 1, 0)])
        else:
            for part in self.walk(careers):
                with torch.inference_mode():
                    move = _float64(self.network.move(part.hidden[part.person, part.record])[:, 0])
                out[part.rows] = np.exp(-softplus(-move))
        out[last == 0] = np.nan
        return out

    def represent(self, panel: CareerPanel) -> np.ndarray:
        """Representations of the records that are predicted, float64, shape (n, dim)."""
        out = np.empty((len(panel), self.network.shape.dim))
        for part in self.walk(self.coding.read(panel, self.choices)):
            out[part.rows] = _float64(part.hidden[part.person, part.record])
        return out


def combine(logits: np.ndarray, move: np.ndarray | None, last: np.ndarray, unseen: Unseen) -> np.ndarray:
    """Log probabilities from the two stages.

    Parameters
    ----------
    logits : numpy.ndarray of float64, shape (rows, choices)
        Of the destination.
    move : numpy.ndarray of float64, shape (rows,), or None
        Log odds of moving; None for a single softmax.
    last : numpy.ndarray of int64, shape (rows,)
        Last occupation plus one; 0 at first records, which have no first stage.
    unseen : Unseen
        Occupations that share out what is set aside for them, in proportion to the exponentials of their logits.

    Returns
    -------
    numpy.ndarray of float64, shape (rows, choices)
        exp of a row sums to one.

    Notes
    -----
    P(y) = 1 - P(move) for the last occupation, else P(move) times a softmax over the others (Vafa et al.,
    arXiv 2202.08370). The public code lets its padding and special symbols take part in that softmax; here every row
    sums to one over the choice set.

    Examples
    --------
    >>> none = Unseen(np.array([], dtype=int), 0.0)
    >>> np.exp(combine(np.zeros((2, 3)), np.zeros(2), np.array([0, 1]), none)).round(3).tolist()
    [[0.333, 0.333, 0.333], [0.5, 0.25, 0.25]]
    """
    staged = np.zeros(len(last), dtype=bool) if move is None else last > 0
    row, own = np.flatnonzero(staged), last[staged] - 1
    seen = np.ones(logits.shape[1], dtype=bool)
    seen[unseen.positions] = False
    free = logits.copy()
    free[row, own] = -np.inf
    out = np.full_like(free, -np.inf)
    out[:, seen] = log_softmax(free[:, seen])
    if len(unseen.positions):
        apart = log_softmax(free[:, ~seen])
        left = np.isfinite(out).any(axis=1), np.isfinite(apart).any(axis=1)
        # Where one of the groups has nothing but the last occupation, all goes to the other.
        reserve = np.where(left[1], np.where(left[0], unseen.reserve, 1.0), 0.0)
        with np.errstate(divide="ignore"):
            out[:, seen] += np.log1p(-reserve)[:, None]
            out[:, ~seen] = apart + np.log(reserve)[:, None]
    if move is not None:
        out[row] += -softplus(-move[row])[:, None]
        out[row, own] = -softplus(move[row])
    return out


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logits minus the log of the sum of their exponentials, row by row; rows of minus infinity stay so."""
    if not logits.shape[1]:
        return logits
    top = logits.max(axis=1, keepdims=True)
    shifted = logits - np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    out: np.ndarray = shifted - np.where(np.isfinite(total), total, 0.0)
    return out


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    out: np.ndarray = np.logaddexp(0.0, x)
    return out


def _float64(values: Tensor) -> np.ndarray:
    out: np.ndarray = values.double().cpu().numpy()
    return out
