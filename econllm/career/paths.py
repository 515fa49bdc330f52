"""Careers that go on, many draws at a time: the shared history is read once, a new record costs one token."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from econllm.career.batches import Store
from econllm.career.inputs import SPELL, standardise
from econllm.career.network import Batch, Block, Shape
from econllm.career.prediction import Predictor, combine, softplus
from econllm.options import child_seed

# Memory of the paths that are followed at a time; more is slower, for it leaves the processor's cache.
_BYTES = 2**26


@dataclass(frozen=True)
class Records:
    """What the network reads about new records beside the last occupation, as in :class:`Careers`.

    Attributes
    ----------
    factors, numbers, times : numpy.ndarray
        One record per person, shapes (persons, ...), the same in all draws; or one per path, (persons, draws, ...).
    """

    factors: np.ndarray
    numbers: np.ndarray
    times: np.ndarray

    def of(self, persons: np.ndarray) -> Records:
        """Those of some persons."""
        return Records(self.factors[persons], self.numbers[persons], self.times[persons])

    def reshape(self, persons: int, draws: int) -> Records:
        """Records of all paths, one after the other, by person and draw."""
        shape = (persons, draws)
        return Records(
            self.factors.reshape(*shape, self.factors.shape[1]),
            self.numbers.reshape(*shape, self.numbers.shape[1]),
            self.times.reshape(shape),
        )

    def batch(self, last: np.ndarray, device: torch.device) -> Batch:
        """A batch for paths whose last occupations (plus one) are given, shape (persons, draws)."""
        parts = []
        for values in (self.factors, self.numbers, self.times):
            tensor = torch.as_tensor(values).to(device)
            shared = self.times.ndim == 1
            parts.append(tensor[:, None].expand(*last.shape, *tensor.shape[1:]) if shared else tensor)
        return Batch(torch.as_tensor(last).to(device), *parts)


class Paths:
    """Paths that continue the careers of some persons; mutable.

    Parameters
    ----------
    predictor : Predictor
        A trained network.
    history : Store
        Careers up to now.
    persons : numpy.ndarray of int64, shape (persons,)
        Whose careers go on.
    draws, horizon : int
        Paths per person, and how many records they will have at most.

    Attributes
    ----------
    last : numpy.ndarray of int64, shape (persons, draws)
        Last occupation of every path, plus one.
    spell : numpy.ndarray of int64, shape (persons, draws)
        How many records in a row have had it.

    Notes
    -----
    A new record looks at keys and values of its person's history, which all draws share, and at those of its own path.
    The softmax runs over both, so that probabilities are those of the whole career read at once, up to rounding.
    """

    def __init__(self, predictor: Predictor, history: Store, persons: np.ndarray, draws: int, horizon: int) -> None:
        self.predictor, self.network = predictor, predictor.network.eval()
        shape, count = self.network.shape, len(persons)
        with torch.inference_mode():
            who = torch.as_tensor(persons).to(predictor.device)
            rows, self._real = history.rows(who)
            batch = history.batch(rows)
            hidden, self._memory = self.network.remember(batch)
            self._lengths, self._earlier = history.lengths[who], batch.last
            self._answers = hidden if self.network.answer is None else self.network.answer(hidden)
            own = (shape.layers, horizon, count, shape.heads, draws, shape.dim // shape.heads)
            self._keys, self._values = hidden.new_empty(own), hidden.new_empty(own)
            self._own_answers = hidden.new_empty(horizon, count, draws, shape.dim)
            self._own_last = batch.last.new_empty(horizon, count, draws)
            outcome = history.outcome[rows]
            # Rows are filled up with the last record, so that the last column is everybody's last occupation.
            other = torch.where(outcome == outcome[:, -1:], -1, torch.arange(rows.shape[1], device=rows.device))
            spell = self._lengths - 1 - other.max(dim=1).values
        self.last: np.ndarray = np.repeat(outcome[:, -1:].cpu().numpy() + 1, draws, axis=1)
        self.spell: np.ndarray = np.repeat(spell.cpu().numpy()[:, None], draws, axis=1)
        self._steps = 0

    def read(self, records: Records) -> None:
        """Append one record to every path; its occupation is not known yet."""
        network, step = self.network, self._steps
        with torch.inference_mode():
            batch = self._with_spell(records.batch(self.last, self.predictor.device))
            x = network.embed(batch, self._lengths[:, None] + step)
            for layer, block in enumerate(network.blocks):
                assert isinstance(block, Block)
                query, self._keys[layer, step], self._values[layer, step] = block.project(x)
                x = block.finish(x, self._look(layer, query))
            self._hidden: Tensor = network.norm(x)
            self._own_last[step] = batch.last
            if network.answer is not None:
                self._own_answers[step] = network.answer(self._hidden)
            if network.move is not None:
                self._move: np.ndarray = network.move(self._hidden)[..., 0].double().cpu().numpy()
        self._steps += 1

    def go(self, drawn: np.ndarray) -> None:
        """Give the record that was read its occupation, as a position in the choice set."""
        self.spell = np.where(drawn + 1 == self.last, self.spell + 1, 1)
        self.last = drawn + 1

    def _with_spell(self, batch: Batch) -> Batch:
        """Put the length of the spell, which depends on the path, where the coding has it."""
        coding = self.predictor.coding.numbers
        for j, number in enumerate(coding):
            if number.column == SPELL:
                values = batch.numbers.clone()
                spell = standardise(np.log1p(self.spell), number)[0]
                values[..., j] = torch.as_tensor(spell).to(values)
                return batch._replace(numbers=values)
        return batch

    def _look(self, layer: int, query: Tensor) -> Tensor:
        """What attention reads in the history and in the path so far, shape (persons, heads, draws, dim / heads)."""
        keys, values = self._keys[layer, : self._steps + 1], self._values[layer, : self._steps + 1]
        history_keys, history_values = self._memory[layer]
        before = (query @ history_keys.transpose(2, 3)).masked_fill(~self._real[:, None, None], -math.inf)
        own = (query * keys).sum(-1).permute(1, 2, 3, 0)
        weights = (torch.cat([before, own], dim=3) / math.sqrt(query.shape[-1])).softmax(dim=3)
        records = before.shape[3]
        own = weights[..., records:].permute(3, 0, 1, 2)
        out: Tensor = weights[..., :records] @ history_values + (own[..., None] * values).sum(0)
        return out

    def proba(self) -> np.ndarray:
        """Probability of every occupation in the record that was read, float64, shape (persons, draws, choices)."""
        everywhere = np.ones(self.last.shape, dtype=bool)
        return self._proba(everywhere).reshape(*self.last.shape, -1)

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Draw occupations of the record that was read; paths that stay need no softmax.

        Parameters
        ----------
        uniform : numpy.ndarray of float64, shape (persons, draws)
            Uniform numbers, as :func:`pick` takes them.

        Returns
        -------
        numpy.ndarray of int64, shape (persons, draws)
            Positions in the choice set.
        """
        goes = np.ones(self.last.shape, dtype=bool)
        if self.network.shape.two_stage:
            goes = uniform >= np.exp(-softplus(self._move))
        out = self.last - 1
        if goes.any():
            out[goes] = pick(self._proba(goes), self.last[goes], uniform[goes])
        return out

    def _proba(self, wanted: np.ndarray) -> np.ndarray:
        """Probabilities of some paths, shape (rows, choices)."""
        move = self._move[wanted] if self.network.shape.two_stage else None
        with torch.inference_mode():
            logits = self._destinations(torch.as_tensor(wanted).to(self.predictor.device)).double().cpu().numpy()
        scores = combine(logits, move, self.last[wanted], self.predictor.unseen)
        out: np.ndarray = np.exp(scores, out=scores)
        return out

    def _destinations(self, wanted: Tensor) -> Tensor:
        """Logits of destinations of some paths, as in :meth:`CareerNetwork.destinations`."""
        network = self.network
        logits = functional.linear(self._hidden[wanted], network.outputs(), network.output.bias)
        if network.ask is None:
            return logits
        ask = network.ask(self._hidden) / math.sqrt(network.shape.dim)
        person = wanted.nonzero(as_tuple=True)[0]
        seen = self._real & (self._earlier > 0)
        before = (ask @ self._answers.transpose(1, 2)) * seen[:, None]
        logits.scatter_add_(1, (self._earlier - 1).clamp(min=0)[person], before[wanted])
        own = (ask * self._own_answers[: self._steps]).sum(-1).permute(1, 2, 0)
        places = self._own_last[: self._steps].permute(1, 2, 0) - 1
        return logits.scatter_add_(1, places[wanted], own[wanted])


def pick(proba: np.ndarray, last: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw from distributions by inversion, the last occupation first and the others in order.

    Parameters
    ----------
    proba : numpy.ndarray of float64, shape (rows, choices)
        Probabilities.
    last : numpy.ndarray of int64, shape (rows,)
        Last occupation, plus one.
    uniform : numpy.ndarray of float64, shape (rows,)
        In [0, 1).

    Returns
    -------
    numpy.ndarray of int64, shape (rows,)
        Positions.

    Examples
    --------
    >>> table = np.array([[0.25, 0.5, 0.25]] * 3)
    >>> pick(table, np.array([2, 2, 2]), np.array([0.49, 0.51, 0.9])).tolist()
    [1, 0, 2]
    """
    out: np.ndarray = last - 1
    stay = proba[np.arange(len(last)), out]
    goes = np.flatnonzero(uniform >= stay)
    others = proba[goes]
    others[np.arange(len(goes)), out[goes]] = 0.0
    ladder = others.cumsum(axis=1, out=others)
    # Below the top in spite of rounding, so that nothing of probability zero is drawn.
    share = np.minimum((uniform[goes] - stay[goes]) / (1 - stay[goes]), 1 - 2.0**-50)
    out[goes] = ((share * ladder[:, -1])[:, None] >= ladder).sum(axis=1)
    return out


def uniforms(seed: np.random.SeedSequence, persons: np.ndarray, step: int, draws: slice) -> np.ndarray:
    """Uniform numbers of one step, shape (persons, draws).

    They depend on the seed, the person's place, the step and the draw alone: neither the number of draws or steps nor
    how the work is cut changes those of the others.

    Examples
    --------
    >>> seed = np.random.SeedSequence(0)
    >>> many, one = uniforms(seed, np.arange(3), 4, slice(0, 5)), uniforms(seed, np.array([2]), 4, slice(3, 4))
    >>> bool(many[2, 3] == one[0, 0])
    True
    """
    out = np.empty((len(persons), draws.stop - draws.start))
    for i, person in enumerate(persons):
        generator = np.random.default_rng(child_seed(child_seed(seed, int(person)), step))
        out[i] = generator.random(draws.stop)[draws]
    return out


def chunks(
    order: np.ndarray, lengths: np.ndarray, draws: int, horizon: int, shape: Shape
) -> Iterator[tuple[np.ndarray, slice]]:
    """Cut persons, in some order, and draws into parts whose paths take bounded memory.

    Parameters
    ----------
    order : numpy.ndarray of int64
        Persons.
    lengths : numpy.ndarray of int64
        Records of every person's history.
    draws, horizon : int
        Paths per person, records per path.
    shape : Shape
        Of the network.
    """
    record = 4 * (2 * shape.layers + 1) * shape.dim
    # Some arrays of float64 as large as the table of probabilities live at the same time.
    path = horizon * record + 8 * 6 * shape.choices
    together = int(np.clip(_BYTES // path, 1, draws))
    begin = 0
    for end in range(1, len(order) + 1):
        longest = lengths[order[begin : end + 1]].max()
        if end == len(order) or (end + 1 - begin) * (together * path + longest * record) > _BYTES:
            for first in range(0, draws, together):
                yield order[begin:end], slice(first, min(first + together, draws))
            begin = end
