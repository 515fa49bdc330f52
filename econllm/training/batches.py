"""Which units go into which update, and the seeds of everything random in training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from econllm.options import child_seed


class Seeds(NamedTuple):
    """Independent sources of randomness of one training.

    Attributes
    ----------
    weights : numpy.random.SeedSequence
        Child 0: initial weights, which the caller draws before training.
    order : numpy.random.SeedSequence
        Child 1: order of units; epoch e has child e of it.
    dropout : numpy.random.SeedSequence
        Child 2: dropout and whatever else a network draws; update u of epoch e has child u of child e of it.

    Examples
    --------
    >>> Seeds._fields
    ('weights', 'order', 'dropout')
    """

    weights: np.random.SeedSequence
    order: np.random.SeedSequence
    dropout: np.random.SeedSequence


def seeds(seed: np.random.SeedSequence) -> Seeds:
    """Divide the seed of a training among its parts.

    Parameters
    ----------
    seed : numpy.random.SeedSequence
        The seed of the whole.

    Returns
    -------
    Seeds

    Examples
    --------
    >>> seeds(np.random.SeedSequence(0)).order.spawn_key
    (1,)
    """
    return Seeds(*(child_seed(seed, k) for k in range(3)))


def cut_batches(lengths: np.ndarray, batch: int, buckets: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Divide units among batches, every unit once.

    Parameters
    ----------
    lengths : numpy.ndarray, shape (n,)
        How long the units are.
    batch : int
        Units per batch; one batch may have fewer.
    buckets : int
        Batches that are filled together with units sorted by length; 0 for units at random.
    generator : numpy.random.Generator
        Source of the order.

    Returns
    -------
    list of numpy.ndarray of int64
        Positions of units, ceil(n / batch) arrays.

    Examples
    --------
    >>> lengths = np.array([5, 1, 5, 1])
    >>> sorted(lengths[units].tolist() for units in cut_batches(lengths, 2, 2, np.random.default_rng(0)))
    [[1, 1], [5, 5]]
    """
    order = generator.permutation(len(lengths)).astype(np.int64)
    if buckets:
        window = buckets * batch
        parts = [order[k : k + window] for k in range(0, len(order), window)]
        # A stable sort leaves units of one length in their random order.
        order = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in parts])
    batches = [order[k : k + batch] for k in range(0, len(order), batch)]
    return [batches[k] for k in generator.permutation(len(batches))]
