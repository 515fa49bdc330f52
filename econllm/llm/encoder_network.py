"""A sentence encoder to be trained, with an output layer that begins at the vectors of the titles."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from econllm.errors import OptionError
from econllm.options import Pooling

Head = Literal["titles+free", "titles", "free"]

# Scale of cosines at the start: the most similar title is then a few times as probable as one that is unlike.
SCALE = 10.0
# The output layer starts from nothing and learns faster than an encoder that was trained before. Its parameters are
# multiples of this number, since one learning rate serves all: a step of AdamW has the same size for each of them.
HEAD_RATE = 20.0


class EncoderNetwork(nn.Module):
    """Texts to vectors of length one, and these to logits.

    Parameters
    ----------
    encoder : torch.nn.Module
        From transformers; a copy of its own, because it is trained.
    pooling : {"mean", "cls", "pooler"}
        How the vectors of tokens become one.
    titles : Tensor of float32, shape (choices, dim)
        Vectors of the titles, of length one. They are held.
    constants : Tensor of float32, shape (choices,)
        Intercepts at the start.
    head : {"titles+free", "titles", "free"}
        Parts of the output layer.

    Notes
    -----
    logit_y = s (W h)' e_y + b_y + u_y' h with h the vector of the text and e_y that of the title. At the start W is the
    identity, s ten, b_y as given and u_y zero, so that a text is nearest to the titles that it resembles. Weight decay
    pulls W and u_y back to where they started.
    """

    titles: Tensor
    constants: Tensor

    def __init__(self, encoder: nn.Module, pooling: Pooling, titles: Tensor, constants: Tensor, head: Head) -> None:
        super().__init__()
        choices, dim = titles.shape
        self.encoder = encoder
        self.pooling = pooling
        self.register_buffer("titles", titles, persistent=False)
        self.register_buffer("constants", constants, persistent=False)
        self.bias = nn.Parameter(torch.zeros(choices))
        self.turn = nn.Parameter(torch.zeros(dim, dim)) if head != "free" else None
        self.scale = nn.Parameter(torch.zeros(())) if head != "free" else None
        self.free = nn.Parameter(torch.zeros(choices, dim)) if head != "titles" else None

    def hidden(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors of texts, of length one.

        Parameters
        ----------
        ids : Tensor of int64, shape (texts, tokens)
            Special tokens included, filled up on the right.
        mask : Tensor of int64, shape (texts, tokens)
            One at tokens, zero where filled up.

        Returns
        -------
        Tensor of float32, shape (texts, dim)
        """
        found = self.encoder(input_ids=ids, attention_mask=mask)
        vectors: Tensor
        if self.pooling == "pooler":
            vectors = found.pooler_output.float()
        elif self.pooling == "cls":
            vectors = found.last_hidden_state[:, 0].float()
        else:
            # Sums over many tokens lose digits in bfloat16; the mean and the sum have one direction.
            vectors = (found.last_hidden_state.float() * mask.unsqueeze(-1)).sum(dim=1)
        return nn.functional.normalize(vectors, dim=1)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of all outcomes, float32, shape (texts, choices)."""
        with torch.autocast(hidden.device.type, enabled=False):
            out: Tensor = self.constants + HEAD_RATE * self.bias
            if self.turn is not None and self.scale is not None:
                turned = hidden + HEAD_RATE * hidden @ self.turn.T
                out = out + SCALE * torch.exp(HEAD_RATE * self.scale) * turned @ self.titles.T
            if self.free is not None:
                out = out + HEAD_RATE * hidden @ self.free.T
        return out

    def trained(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}


def freeze(network: EncoderNetwork, frozen: int | Literal["all"], name: str) -> None:
    """Fix the embeddings and first layers of an encoder, or all of it.

    Parameters
    ----------
    network : EncoderNetwork
        Changed in place.
    frozen : int or "all"
        Layers that are not trained; 0 trains everything, embeddings included.
    name : str
        The encoder, for messages.

    Raises
    ------
    OptionError
        If the encoder has no more layers than that, or layers that share their weights.
    """
    encoder: Any = network.encoder
    if network.pooling != "pooler" and getattr(encoder, "pooler", None) is not None:
        encoder.pooler.requires_grad_(False)
    if frozen == "all":
        encoder.requires_grad_(False)
    elif frozen:
        layers = int(encoder.config.num_hidden_layers)
        stacks = [prefix for prefix, m in encoder.named_modules() if isinstance(m, nn.ModuleList) and len(m) == layers]
        if not stacks:
            raise OptionError(f"frozen={frozen}: the layers of {name!r} share their weights; give 0 or 'all'.")
        if frozen >= layers:
            raise OptionError(
                f"frozen={frozen}, but {name!r} has {layers} layers: give at most {layers - 1}, or 'all'."
            )
        kept = tuple(f"{stacks[0]}.{k}." for k in range(frozen))
        for parameter, values in encoder.named_parameters():
            outside = not parameter.startswith(f"{stacks[0]}.")
            if parameter.startswith(kept) or (outside and "embed" in parameter):
                values.requires_grad_(False)


def smoothed_log_shares(counts: Tensor) -> Tensor:
    """Log of shares with half a row added to every outcome, float32.

    Examples
    --------
    >>> [round(share, 4) for share in smoothed_log_shares(torch.tensor([1.5, 0.5])).exp().tolist()]
    [0.6667, 0.3333]
    """
    added = counts.double() + 0.5
    return (added.log() - math.log(float(added.sum()))).float()
