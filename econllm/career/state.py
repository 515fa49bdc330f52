"""A trained network as plain objects and arrays, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from econllm.career.inputs import Coding, Factor, Number
from econllm.career.network import CareerNetwork, Shape
from econllm.career.prediction import Predictor, Unseen
from econllm.choices import ChoiceSet


def pack_predictor(predictor: Predictor) -> dict[str, Any]:
    """Weights, vectors of titles, sizes and codings, as :func:`econllm.io.pack` takes them."""
    network, coding = predictor.network, predictor.coding
    weights = {name: values.detach().cpu().numpy() for name, values in network.state_dict().items()}
    return {
        "shape": dataclasses.asdict(network.shape),
        "weights": weights,
        "titles": None if network.titles is None else network.titles.cpu().numpy(),
        "factors": [[f.column, f.lagged, list(f.levels)] for f in coding.factors],
        "numbers": [[n.column, n.lagged, n.mean, n.scale] for n in coding.numbers],
        "times": list(coding.times),
        "unseen": predictor.unseen.positions,
        "reserve": predictor.unseen.reserve,
    }


def unpack_predictor(state: dict[str, Any], choices: ChoiceSet) -> Predictor:
    """Undo :func:`pack_predictor`; the network is on the CPU."""
    titles = state["titles"]
    # The weights with which a network begins are drawn from the caller's random numbers, which stay as they were.
    with torch.random.fork_rng(devices=[]):
        network = CareerNetwork(Shape(**state["shape"]), None if titles is None else torch.as_tensor(np.array(titles)))
    network.load_state_dict({name: torch.as_tensor(np.array(values)) for name, values in state["weights"].items()})
    coding = Coding(
        tuple(Factor(_name(column), lagged, tuple(levels)) for column, lagged, levels in state["factors"]),
        tuple(Number(_name(column), lagged, mean, scale) for column, lagged, mean, scale in state["numbers"]),
        tuple(state["times"]),
    )
    return Predictor(network.eval(), coding, choices, Unseen(np.asarray(state["unseen"]), state["reserve"]))


def _name(column: Any) -> Any:
    """Name of a column; one of several parts was saved as a list."""
    return tuple(column) if isinstance(column, list) else column
