"""Probabilities of 341 titles after a text of 300 tokens: the tree against one pass per title and a cache with batches.

    python llm_scoring.py [--repeats 5] [--fit FOLDER]

Networks of 4 layers x 192 with random weights, the vocabulary and tokens of a WordPiece tokenizer (30,522), titles of
occ1990dd. Sides take turns. One pass per title is what lm-evaluation-harness and minicons do. With --fit, the folder of
a saved el.LLM that was fine-tuned: what tol=1e-3 saves there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
import transformers as tf
from common import PeakMemory, report

import econllm as el
from econllm.encoders.network import load_network
from econllm.encoders.weights import find_encoder
from econllm.llm.decoder import Decoder
from econllm.llm.scoring import Scorer, plain_log_proba
from econllm.llm.trie import Trie

PREFIX = 300
SMALL = {"vocab_size": 2_000, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
FEW_HEADS = {**SMALL, "intermediate_size": 128, "num_key_value_heads": 2, "head_dim": 16}
FAMILIES = {
    "llama": tf.LlamaConfig(intermediate_size=128, **SMALL),
    "gpt2": tf.GPT2Config(vocab_size=2_000, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0),
    "gpt_neox": tf.GPTNeoXConfig(intermediate_size=128, **SMALL),
    "qwen2": tf.Qwen2Config(intermediate_size=128, num_key_value_heads=2, **SMALL),
    "qwen3": tf.Qwen3Config(**FEW_HEADS),
    "gemma": tf.GemmaConfig(**FEW_HEADS),
    "gemma3": tf.Gemma3TextConfig(sliding_window=64, **FEW_HEADS),
    "phi3": tf.Phi3Config(intermediate_size=128, pad_token_id=0, eos_token_id=1, **SMALL),
    "mistral": tf.MistralConfig(sliding_window=64, **FEW_HEADS),
    "olmo2": tf.Olmo2Config(intermediate_size=128, **SMALL),
}


def title_tokens() -> list[list[int]]:
    """The 341 titles in WordPiece tokens, each with a mark at its end."""
    tokenizer = load_network(find_encoder("minilm"), "mean", "float32", "cpu").tokenizer
    titles = el.datasets.load_occ1990dd()["title"].tolist()
    return [[*ids, tokenizer.sep_token_id] for ids in tokenizer(titles, add_special_tokens=False)["input_ids"]]


def networks(vocabulary: int) -> dict[str, Any]:
    torch.manual_seed(0)
    llama = tf.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        max_position_embeddings=1024,
    )
    gpt2 = tf.GPT2Config(vocab_size=vocabulary, n_embd=192, n_layer=4, n_head=6, bos_token_id=0, eos_token_id=0)
    return {
        name: tf.AutoModelForCausalLM.from_config(config).eval() for name, config in (("llama", llama), ("gpt2", gpt2))
    }


def one_pass_per_title(decoder: Decoder, ids: np.ndarray, trie: Trie) -> np.ndarray:
    """The peers' way: every title with the whole text, logits of all its tokens, one after the other."""
    return np.array(
        [plain_log_proba(decoder, np.concatenate([ids, trie.path(k)]), len(ids)).sum() for k in range(len(trie.leaves))]
    )


def speed(repeats: int) -> dict[str, Any]:
    tokens = title_tokens()
    trie = Trie.of(tokens)
    ids = np.random.default_rng(0).integers(1000, 30_000, size=PREFIX)
    found: dict[str, Any] = {"titles": len(tokens), "tokens": sum(map(len, tokens)), "nodes read": len(trie.inner)}
    for name, network in networks(30_522).items():
        decoder = Decoder(network)
        sides = {
            "one pass per title": lambda d=decoder: one_pass_per_title(d, ids, trie),
            "cache and batches": lambda d=decoder: Scorer(d, trie, "kv").score(ids, [PREFIX]).raw[0],
            "tree": lambda d=decoder: Scorer(d, trie).score(ids, [PREFIX]).raw[0],
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        values = {}
        for _ in range(repeats):
            for side, work in sides.items():
                clock = time.perf_counter()
                values[side] = work()
                times[side].append(time.perf_counter() - clock)
        seconds = {side: statistics.median(spent) for side, spent in times.items()}
        gap = max(float(np.abs(values[side] - values["one pass per title"]).max()) for side in sides)
        found[name] = {
            "seconds": {side: round(value, 4) for side, value in seconds.items()},
            "one pass per title / tree": round(seconds["one pass per title"] / seconds["tree"], 1),
            "cache and batches / tree": round(seconds["cache and batches"] / seconds["tree"], 2),
            "largest difference in nats, float32": gap,
        }
    return found


def memory() -> dict[str, float]:
    """Peak above the weights with a vocabulary of 50,000."""
    trie = Trie.of(title_tokens())
    ids = np.random.default_rng(0).integers(1000, 30_000, size=PREFIX)
    found = {}
    for name, network in networks(50_000).items():
        scorer = Scorer(Decoder(network), trie)
        with PeakMemory() as before:
            time.sleep(0.05)
        with PeakMemory() as peak:
            scorer.score(ids, [PREFIX])
        found[name] = round(peak.peak - before.peak, 3)
    return found


def exactness() -> dict[str, Any]:
    """Largest difference between the tree and one pass per title, in nats."""
    rng = np.random.default_rng(1)
    sequences = {(*rng.integers(2, 40, size=rng.integers(1, 6)).tolist(), 1) for _ in range(60)}
    trie, ids = Trie.of(sorted(sequences)), rng.integers(2, 2_000, size=150)
    found = {}
    for name, config in FAMILIES.items():
        torch.manual_seed(0)
        network = tf.AutoModelForCausalLM.from_config(config).eval()
        for values in network.parameters():
            # At the small weights with which networks begin, all of them are nearly uniform.
            values.data.mul_(2.0)
        gaps = {}
        for kind in (torch.float32, torch.float64):
            decoder = Decoder(network.to(kind))
            right = Scorer(decoder, trie, "naive").score(ids, [20, 150]).raw
            gaps[str(kind).removeprefix("torch.")] = float(
                np.abs(Scorer(decoder, trie).score(ids, [20, 150]).raw - right).max()
            )
        found[name] = gaps
    return found


def pruning(folder: str, repeats: int) -> dict[str, Any]:
    """What tol=1e-3 saves for a model that was fine-tuned."""
    from nlsy97_llm import panel

    fit = el.load(folder)
    *_, test = panel().split([0.7, 0.1, 0.2], seed=0)
    test = test.subset(test.persons[:40])
    documents = fit.predictor.documents(test, test.outcome)
    scorer, times, values = fit.predictor.scorer, {0.0: [], 1e-3: []}, {}
    for _ in range(repeats):
        for tol, spent in times.items():
            clock = time.perf_counter()
            values[tol] = [scorer.score(item.ids, item.cuts, tol) for item in documents.items]
            spent.append(time.perf_counter() - clock)
    whole, pruned = (np.concatenate([s.raw for s in values[tol]]) for tol in times)
    gap = np.abs(_proba(pruned) - _proba(whole)).max()
    seconds = {tol: statistics.median(spent) for tol, spent in times.items()}
    return {
        "transitions": len(test),
        "full tree / tol=1e-3": round(seconds[0.0] / seconds[1e-3], 2),
        "transitions per second at tol=1e-3": round(len(test) / seconds[1e-3], 1),
        "nodes read per transition": [round(sum(s.read for s in values[tol]) / len(test), 1) for tol in times],
        "largest bound": float(max(s.bound.max() for s in values[1e-3])),
        "largest difference of a probability": float(gap),
    }


def _proba(raw: np.ndarray) -> np.ndarray:
    share = np.exp(raw - raw.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fit", help="folder of a fine-tuned el.LLM")
    options = parser.parse_args()
    figures = {"speed": speed(options.repeats), "gigabytes above weights": memory(), "exactness": exactness()}
    if options.fit:
        figures["pruning"] = pruning(options.fit, options.repeats)
    report("llm_scoring", **figures)


if __name__ == "__main__":
    main()
