"""The network, its training on tokens of documents, and how well it predicts the titles of new simulated careers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from econllm.training import History, Training, train
from tiny.people import Jobs
from tiny.vocabulary import BEGIN, CONTEXT, END, PAD, word_pieces
from tiny.wordings import Block, occupation_block

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

# Standard deviation of the vectors of tokens at the start, and how much attention hands on.
_SPREAD, _COPY = 0.08, 0.3
# Probability with which a number counts in training, beside one of other tokens.
_NUMBERS = 0.2
# Texts are filled up to a multiple of so many tokens.
_STEP = 16


def make_network(tokenizer: Tokenizer, seed: int) -> LlamaForCausalLM:
    """A small Llama whose random weights already lean to copying.

    Notes
    -----
    Copying a title is what careers ask for most, and plain random weights find it late. Here every attention hands on
    a little of what it looks at, because the map out of its heads is the transpose of the map into them (an orthogonal
    one), in the spirit of Trockman and Kolter (2023, arXiv 2305.09828); and the vector of a chunk is made of those of
    its word pieces, so that all titles with one terminator have something in common from the start. After half a
    million tokens the loss of a title was 4.4 nats with both, a wider spread of the vectors and a learning rate of
    0.006; it was 6.8 with plain weights and 0.003.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    pad, begin, end = (tokenizer.token_to_id(token) for token in (PAD, BEGIN, END))
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=begin,
        eos_token_id=end,
    )
    network = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in network.model.layers:
            rotation = torch.linalg.qr(torch.randn_like(layer.self_attn.v_proj.weight))[0] * _COPY**0.5
            layer.self_attn.v_proj.weight.copy_(rotation)
            layer.self_attn.o_proj.weight.copy_(rotation.T)
        vectors = network.model.embed_tokens.weight
        own = vectors.normal_(0, _SPREAD).clone()
        for i, parts in word_pieces(tokenizer).items():
            vectors[i] = (own[parts].sum(0) / len(parts) ** 0.5 + own[i] / 2) / 1.25**0.5
    return network


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Tokens of every text, the beginning included, cut at the context and closed by the end if they fit."""
    end = tokenizer.token_to_id(END)
    rows = [[*row.ids, end][:CONTEXT] for row in tokenizer.encode_batch(list(texts))]
    return [np.array(row, dtype=np.int16) for row in rows]


def token_weights(tokenizer: Tokenizer) -> torch.Tensor:
    """Weight of each token in training: numbers count less, since hours and wages are noise that drowns the titles."""
    shares = torch.ones(tokenizer.get_vocab_size())
    for token, i in tokenizer.get_vocab().items():
        if token.lstrip("Ġ.").isdigit():
            shares[i] = _NUMBERS
    return shares


def fit(
    network: LlamaForCausalLM,
    rows: Sequence[np.ndarray],
    weights: torch.Tensor,
    batch: int,
    rate: float,
    seed: int,
    half: bool,
) -> History:
    """Train on every document once; `half` evaluates in bfloat16."""
    weights = weights.to(network.device)

    def loss(at: np.ndarray) -> torch.Tensor:
        # Drawing tokens in proportion to their weights costs fewer logits than weighting all of them.
        return token_losses(network, [rows[i] for i in at], weights)[0].sum()

    shares = weights.cpu().numpy()
    amounts = np.array([shares[row[1:]].sum() for row in rows], dtype=np.float64)
    lengths = np.array([len(row) for row in rows], dtype=np.float64)
    options = Training(epochs=1, batch=batch, learning_rate=rate, schedule="one_cycle", warmup=0.05, weight_decay=0.1)
    precision = torch.bfloat16 if half else None
    return train(network, loss, amounts, lengths, options, np.random.SeedSequence(seed), precision=precision)


def token_losses(
    network: LlamaForCausalLM, rows: Sequence[np.ndarray], shares: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood of every token after the first of every row, one after the other, and these tokens.

    With `shares`, tokens are drawn with these probabilities by token, and the others are left out.
    """
    # A multiple of 16, because kernels are compiled for every shape.
    longest = -(-max(len(row) for row in rows) // _STEP) * _STEP + 1
    # Pads stand on the right: no token before them sees them.
    inputs, used = np.zeros((len(rows), longest - 1), dtype=np.int64), np.zeros((len(rows), longest - 1), dtype=bool)
    for i, row in enumerate(rows):
        inputs[i, : len(row) - 1], used[i, : len(row) - 1] = row[:-1], True
    device = network.device
    hidden = network.model(input_ids=torch.from_numpy(inputs).to(device), use_cache=False).last_hidden_state
    targets = torch.from_numpy(np.concatenate([row[1:] for row in rows]).astype(np.int64)).to(device)
    seen = hidden[torch.from_numpy(used).to(device)]
    if shares is not None:
        drawn = torch.rand(len(targets), device=device) < shares[targets]
        seen, targets = seen[drawn], targets[drawn]
    logits = network.lm_head(seen)
    return cross_entropy(logits.float(), targets, reduction="none"), targets


@torch.no_grad()
def mean_loss(network: LlamaForCausalLM, rows: Sequence[np.ndarray]) -> float:
    """Nats per token of new documents."""
    total = sum(float(token_losses(network, rows[i : i + 32])[0].sum()) for i in range(0, len(rows), 32))
    return total / sum(len(row) - 1 for row in rows)


@torch.no_grad()
def title_figures(
    network: LlamaForCausalLM, tokenizer: Tokenizer, jobs: Jobs, seed: int, blocks: int = 60
) -> dict[str, float]:
    """How well titles of new careers in the usual wording are predicted, beside repeating the title before.

    Returns
    -------
    dict
        Titles after the first of each person: their number, perplexity (of the title with its terminator), share hit
        by the most probable tokens; share equal to the one before; perplexity of a rule that gives the title before
        that share and all others the rest in equal parts.
    """
    rng = Random(seed)
    losses, hits, stays, sizes = [], [], [], []
    for _ in range(blocks):
        block = occupation_block(rng, jobs, 4, usual=True)
        found = _title_losses(network, tokenizer, block)
        first = set(block.starts)
        for row, (loss, hit) in enumerate(found):
            if row not in first and not math.isnan(loss):
                losses.append(loss)
                hits.append(hit)
                stays.append(block.positions[row] == block.positions[row - 1])
                sizes.append(len(block.choices) - 1)
    share = float(np.mean(stays))
    rule = [
        -math.log(share) if stay else -math.log((1 - share) / size) for stay, size in zip(stays, sizes, strict=True)
    ]
    return {
        "titles": len(losses),
        "perplexity": math.exp(float(np.mean(losses))),
        "hits": float(np.mean(hits)),
        "repeated": share,
        "perplexity_of_rule": math.exp(float(np.mean(rule))),
    }


def _title_losses(network: LlamaForCausalLM, tokenizer: Tokenizer, block: Block) -> list[tuple[float, bool]]:
    """Of every record's title: its negative log-likelihood, and whether greedy decoding finds it; nan if cut."""
    mark = block.template.terminator(block.columns)
    prefixes, titles = block.prefixes(), [block.choices.titles[at] for at in block.positions]
    found: list[tuple[float, bool]] = []
    for first, end in zip(block.starts, [*block.starts[1:], len(titles)], strict=True):
        texts = [f"{prefixes[row]} {titles[row]}{mark}" for row in range(first, end)]
        whole = tokenizer.encode(texts[-1]).ids[:CONTEXT]
        logits = network(input_ids=torch.tensor([whole], device=network.device)).logits[0].double().log_softmax(1)
        best = logits.argmax(1).tolist()
        for row in range(first, end):
            a, b = len(tokenizer.encode(prefixes[row]).ids), len(tokenizer.encode(texts[row - first]).ids)
            if b > CONTEXT:
                found.append((math.nan, False))
                continue
            loss = -sum(float(logits[at - 1, whole[at]]) for at in range(a, b))
            found.append((loss, all(best[at - 1] == whole[at] for at in range(a, b))))
    return found
