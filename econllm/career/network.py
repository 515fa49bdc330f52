"""The two-stage transformer: embeddings, causal blocks, and the head that decides whether to move and where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_POSITIONS = 64


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes
    ----------
    choices : int
        Occupations.
    levels, numbers, times : int
        Rows of the table of covariates, numbers per record, calendar times.
    layers, dim, heads, ffn : int
        Blocks, width, attention heads, width of the hidden layer.
    dropout : float
        Share of activations dropped in training.
    position : {"learned", "sinusoidal"} or None
        Embedding of the record's number.
    two_stage : bool
        Whether staying is decided first.
    returns : bool
        Whether earlier occupations get a score of their own as destinations.
    titles : int
        Length of the vectors of titles; 0 without.
    """

    choices: int
    levels: int
    numbers: int
    times: int
    layers: int
    dim: int
    heads: int
    ffn: int
    dropout: float
    position: str | None
    two_stage: bool
    returns: bool
    titles: int


class Batch(NamedTuple):
    """Records of some persons, filled up on the right: shapes (persons, records, ...)."""

    last: Tensor
    factors: Tensor
    numbers: Tensor
    times: Tensor
    # Records that later ones may look at; None for all.
    keep: Tensor | None = None


class Scores(NamedTuple):
    """What the head says about some records.

    Attributes
    ----------
    move : Tensor, shape (rows,)
        Log odds of moving.
    destination : Tensor, shape (rows, choices)
        Logits of the destination.
    """

    move: Tensor
    destination: Tensor


class Dropout(nn.Module):
    """Dropout whose share is rounded to a multiple of 1/256 on a CPU.

    One random byte per activation decides there, in a sixth of the time of torch's own, which would be a tenth of that
    of training.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Set a share of the activations to zero, and scale the others up, in training."""
        if not self.training or not self.share:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        level = min(round(256 * self.share), 255)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= level
        return x * (kept * (256 / (256 - level))).to(x.dtype)


class Block(nn.Module):
    """Pre-norm block: causal self-attention, then two linear maps with GELU between."""

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_ffn = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, ffn), nn.Linear(ffn, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Update records; also their keys and values, which records that come later look at."""
        query, key, value = self.project(x)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        return self.finish(x, mixed), (key, value)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Update records by what attention read, given as (persons, heads, records, dim / heads)."""
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        out: Tensor = x + self.dropout(self.down(functional.gelu(self.up(self.before_ffn(x)))))
        return out

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each of shape (persons, heads, records, dim / heads)."""
        persons, records, dim = x.shape
        parts = self.qkv(self.before_attention(x)).view(persons, records, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        return query, key, value

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention weights, shape (persons, heads, records, records)."""
        query, key, _ = self.project(x)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


class CareerNetwork(nn.Module):
    """The network of CAREER.

    Parameters
    ----------
    shape : Shape
        Sizes.
    titles : Tensor, shape (choices, titles), optional
        Vectors of the titles.
    """

    titles: Tensor | None

    def __init__(self, shape: Shape, titles: Tensor | None = None) -> None:
        super().__init__()
        self.shape = shape
        d = shape.dim
        self.occupation = nn.Embedding(shape.choices + 1, d)
        self.covariates = nn.Embedding(max(shape.levels, 1), d)
        # Two maps with a bend between: effects of hours and wages are far from linear.
        self.numbers, self.bend = nn.Linear(max(shape.numbers, 1), d), nn.Linear(d, d, bias=False)
        self.times = nn.Embedding(max(shape.times, 1), d)
        self.position = nn.Embedding(_POSITIONS, d) if shape.position == "learned" else None
        self.blocks = nn.ModuleList(Block(d, shape.heads, shape.ffn, shape.dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(d)
        self.dropout = Dropout(shape.dropout)
        self.output = nn.Linear(d, shape.choices)
        self.move = nn.Linear(d, 1) if shape.two_stage else None
        self.ask: nn.Linear | None = nn.Linear(d, d) if shape.returns else None
        self.answer: nn.Linear | None = nn.Linear(d, d) if shape.returns else None
        self.title_input = nn.Linear(shape.titles, d, bias=False) if shape.titles else None
        self.title_output = nn.Linear(shape.titles, d, bias=False) if shape.titles else None
        self.register_buffer("titles", titles, persistent=False)
        self._initialise()
        # Whatever number type new tensors have by default: inputs are float32.
        self.float()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for name, weight in self.blocks.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * self.shape.layers))
        nn.init.normal_(self.occupation.weight, std=1 / math.sqrt(self.shape.dim))

    def occupations(self) -> Tensor:
        """Input embeddings: "no occupation", then every occupation, its own vector plus a map of its title."""
        if self.title_input is None or self.titles is None:
            return self.occupation.weight
        spoken = self.title_input(self.titles)
        table: Tensor = self.occupation.weight + torch.cat([torch.zeros_like(spoken[:1]), spoken])
        return table

    def outputs(self) -> Tensor:
        """Weights of destinations, likewise, shape (choices, dim)."""
        if self.title_output is None or self.titles is None:
            return self.output.weight
        weight: Tensor = self.output.weight + self.title_output(self.titles)
        return weight

    def embed(self, batch: Batch, place: Tensor | None = None) -> Tensor:
        """h1 = e(last occupation) + e(static) + e(dynamic) + e(time), shape (persons, records, dim).

        `place` counts the records before each one; by default they are the first ones of their persons.
        """
        persons, records = batch.last.shape
        x = functional.embedding(batch.last, self.occupations()) * math.sqrt(self.shape.dim)
        if self.shape.levels:
            flat = batch.factors.reshape(persons * records, -1)
            x = x + functional.embedding_bag(flat, self.covariates.weight, mode="sum").view_as(x)
        if self.shape.numbers:
            x = x + self.bend(functional.gelu(self.numbers(batch.numbers)))
        if self.shape.times:
            x = x + self.times(batch.times)
        if self.shape.position is not None:
            x = x + self.positions(torch.arange(records, device=x.device) if place is None else place)
        return x

    def positions(self, place: Tensor) -> Tensor:
        """Embedding of the number of records before each one; learned ones stay the same beyond the 64th."""
        if self.position is not None:
            return functional.embedding(place.clamp(max=_POSITIONS - 1), self.position.weight)
        half = (self.shape.dim + 1) // 2
        rate = torch.exp(
            -math.log(10_000) * torch.arange(half, device=place.device, dtype=torch.float32) / max(half - 1, 1)
        )
        angle = place[..., None] * rate
        return torch.cat([angle.sin(), angle.cos()], dim=-1)[..., : self.shape.dim]

    def forward(self, batch: Batch, place: Tensor | None = None) -> Tensor:
        """Representations of records, shape (persons, records, dim); record t sees records up to t only."""
        return self.remember(batch, place)[0]

    def remember(self, batch: Batch, place: Tensor | None = None) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Representations of records, and their keys and values in every block; `place` as in `embed`."""
        x = self.dropout(self.embed(batch, place))
        mask = None if batch.keep is None else visible(batch.keep)[:, None]
        memory = []
        for block in self.blocks:
            x, pair = block(x, mask)
            memory.append(pair)
        # Without dropout here, weights of rare destinations fit what is peculiar to a few persons.
        return self.dropout(self.norm(x)), memory

    def head(self, hidden: Tensor, person: Tensor, record: Tensor, last: Tensor, keep: Tensor | None = None) -> Scores:
        """Log odds of moving, and logits of destinations, of some records.

        Parameters
        ----------
        hidden : Tensor, shape (persons, records, dim)
            What `forward` gave.
        person, record : Tensor of int64, shape (rows,)
            The records wanted.
        last : Tensor, shape (persons, records)
            Last occupations, plus one.
        keep : Tensor of bool, optional
            As in `Batch`.
        """
        h = hidden[person, record]
        move = h.new_zeros(len(h)) if self.move is None else self.move(h)[:, 0]
        return Scores(move, self.destinations(hidden, person, record, last, keep))

    def destinations(
        self, hidden: Tensor, person: Tensor, record: Tensor, last: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Logits of destinations, shape (rows, choices); arguments as in `head`."""
        logits = functional.linear(hidden[person, record], self.outputs(), self.output.bias)
        if self.ask is None or self.answer is None:
            return logits
        places = torch.arange(last.shape[1], device=last.device)
        seen = (places[None] <= record[:, None]) & (last[person] > 0)
        if keep is not None:
            seen = seen & (keep[person] | (places[None] == record[:, None]))
        # Of all pairs of records of a person, because these take less memory than the vectors of the pairs wanted.
        score = self.ask(hidden) @ self.answer(hidden).transpose(1, 2) / math.sqrt(self.shape.dim)
        return logits.scatter_add(1, (last[person] - 1).clamp(min=0), score[person, record] * seen)


def visible(keep: Tensor) -> Tensor:
    """Which records each one may look at: earlier ones that are kept, and itself; (persons, records, records)."""
    records = keep.shape[1]
    causal = torch.ones(records, records, dtype=torch.bool, device=keep.device).tril()
    own = torch.eye(records, dtype=torch.bool, device=keep.device)
    return causal & (keep[:, None] | own)
