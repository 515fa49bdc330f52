"""A fine-tuned encoder as plain objects and arrays, and back; what is not trained comes from the base model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from econllm.career.prediction import Unseen
from econllm.encoders.network import load_network
from econllm.encoders.weights import find_encoder
from econllm.errors import ModelNotFoundError
from econllm.llm.encoder import EncoderClassifier
from econllm.llm.encoder_network import EncoderNetwork, freeze
from econllm.llm.encoder_prediction import Predictor, Reader
from econllm.options import resolve_device


def pack_predictor(predictor: Predictor) -> dict[str, Any]:
    """Trained weights, vectors of titles and options, as :func:`econllm.io.pack` takes them."""
    network, reader = predictor.network, predictor.reader
    return {
        "fingerprint": reader.files.fingerprint,
        "max_tokens": reader.max_tokens,
        "pooling": network.pooling,
        "weights": {name: values.cpu().numpy() for name, values in network.trained().items()},
        "titles": network.titles.cpu().numpy(),
        "constants": network.constants.cpu().numpy(),
        "unseen": predictor.unseen.positions,
        "reserve": predictor.unseen.reserve,
    }


def unpack_predictor(model: EncoderClassifier, state: dict[str, Any]) -> Predictor:
    """Undo :func:`pack_predictor`.

    Raises
    ------
    ModelNotFoundError
        If the base model is absent, or is not the one that was trained.
    """
    files = find_encoder(model.model, model.revision)
    if files.fingerprint != state["fingerprint"]:
        raise ModelNotFoundError(
            f"the files of model {model.model!r} on this machine (fingerprint {files.fingerprint[:12]}...) are not "
            f"those that were fine-tuned (fingerprint {state['fingerprint'][:12]}...)."
        )
    device = resolve_device("auto")
    source = load_network(files, state["pooling"], "float32", str(device))
    titles, constants = (torch.as_tensor(np.array(state[name])) for name in ("titles", "constants"))
    network = EncoderNetwork(copy.deepcopy(source.model), source.pooling, titles, constants, model.head)
    freeze(network, model.frozen, model.model)
    weights = network.trained()
    for name, values in state["weights"].items():
        weights[name].copy_(torch.as_tensor(np.array(values)))
    unseen = Unseen(np.asarray(state["unseen"]), state["reserve"])
    return Predictor(network.to(device).eval(), Reader.of(source, state["max_tokens"]), unseen)
