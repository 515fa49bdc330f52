"""Where a trained network looks: the attention of one person's career."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import torch

from econllm.career.batches import Store
from econllm.career.network import Block, visible
from econllm.choices import ChoiceSet, plain_code
from econllm.errors import OptionError, plain_value, refusal
from econllm.plots import attention_frame, attention_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from econllm.career.prediction import Predictor
    from econllm.panel import CareerPanel


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention weights of one career.

    Attributes
    ----------
    person : hashable
        Whose career.
    records : tuple of str
        Names of the records, such as "2003 after Cook": the time, and the occupation before. That, with the
        covariates known at the time, is what the network reads in a record; its own occupation is what it predicts.
    weights : numpy.ndarray of float64, shape (layers, heads, records, records)
        How much record i (third axis) takes from record j (last axis). Zero for j > i; sums to one over j.

    Examples
    --------
    >>> found = Attention(7, ("2000 first record", "2001 after Cook"), np.array([[[[1.0, 0.0], [0.3, 0.7]]]]))
    >>> found
    <Attention of person 7: 1 layers, 1 heads, 2 records>
    >>> found.frame()[["record", "looks_at", "weight"]].to_numpy().tolist()
    [[1.0, 1.0, 1.0], [2.0, 1.0, 0.3], [2.0, 2.0, 0.7]]
    """

    person: Hashable
    records: tuple[str, ...]
    weights: np.ndarray

    def frame(self, layer: int | None = None, head: int | None = None) -> pd.DataFrame:
        """List the weights.

        Parameters
        ----------
        layer, head : int, optional
            The only ones wanted, from 1 on; all by default.

        Returns
        -------
        pandas.DataFrame
            One row per layer, head, record and record it looks at, with `label` and `looks_at_label`, the names of the
            two, and `weight`. Later records are left out.

        Raises
        ------
        OptionError
            If there is no such layer or head.
        """
        return attention_frame(self.weights, self.records, self._visible, layer, head, "record")

    def plot(
        self, path: str | os.PathLike[str] | None = None, layer: int | None = None, head: int | None = None
    ) -> Figure:
        """Draw the weights as shades: a row per record, a column per record it looks at.

        Parameters
        ----------
        path : str or path, optional
            File to save as well: .png, .pdf or .svg.
        layer, head : int, optional
            From 1 on. With neither, a panel per layer shows the mean over its heads; with a layer, a panel per head of
            it; with a head, a panel per layer; with both, there is one panel.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            If there is no such layer or head, or the file cannot be written.
        """
        title = f"Attention in the career of person {plain_value(self.person)}"
        return attention_map(
            self.weights, self.records, self._visible, layer, head, path=path, title=title, what="record"
        )

    @property
    def _visible(self) -> np.ndarray:
        return np.tri(len(self.records), dtype=bool)

    def __repr__(self) -> str:
        layers, heads, records, _ = self.weights.shape
        return f"<Attention of person {plain_value(self.person)}: {layers} layers, {heads} heads, {records} records>"


def attention_of(predictor: Predictor, panel: CareerPanel, person: Hashable) -> Attention:
    """Follow one career through the network; see :meth:`econllm.career.results.CAREERResults.attention`."""
    if not isinstance(person, Hashable):
        raise OptionError(refusal("person", person, "not allowed", "give one identifier as in panel.persons"))
    career = panel.subset([person])
    careers = predictor.coding.read(career, predictor.choices)
    network, device = predictor.network, predictor.device
    rows = torch.arange(len(careers.last), device=device)[None]
    mask = visible(torch.ones_like(rows, dtype=torch.bool))[:, None]
    layers = []
    network.eval()
    with torch.inference_mode():
        x = network.embed(Store.of(careers, device).batch(rows))
        for block in cast("Iterable[Block]", network.blocks):
            layers.append(block.weights(x, mask)[0].cpu().numpy().astype(np.float64))
            x, _ = block(x, mask)
    weights = np.stack(layers)
    # A softmax in float32 sums to one up to its own rounding only.
    weights /= weights.sum(axis=-1, keepdims=True)
    times = career.to_frame(history=True)[career.roles.time].to_numpy()
    return Attention(person, name_records(times, careers.last, predictor.choices), weights)


def name_records(times: np.ndarray, last: np.ndarray, choices: ChoiceSet) -> tuple[str, ...]:
    """Name records by their time and the occupation before them.

    Parameters
    ----------
    times : numpy.ndarray, shape (records,)
        Of the records.
    last : numpy.ndarray of int, shape (records,)
        Position of the occupation before, plus one; 0 at a first record.
    choices : ChoiceSet
        Titles.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> name_records(np.array([2000.0, 2001.5]), np.array([0, 1]), ChoiceSet(["k"], ["Cook"]))
    ('2000 first record', '2001.5 after Cook')
    """
    return tuple(
        f"{plain_code(time)} {f'after {choices.titles[code - 1]}' if code else 'first record'}"
        for time, code in zip(times, last, strict=True)
    )
