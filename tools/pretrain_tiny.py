"""Pretrain the language model that ships with the package, on simulated careers.

    python tools/pretrain_tiny.py [--documents 36000] [--seed 0] [--output econllm/encoders/tiny] [--threads 1]

Writes config, weights (bfloat16) and tokenizer, and prints the figures of the model card. The same seed and number of
documents give the same text and tokenizer; the weights differ in their last digits between machines.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tiny.corpus import documents, known_titles, load_jobs
from tiny.network import encode, fit, make_network, mean_loss, title_figures, token_weights
from tiny.vocabulary import build_tokenizer, single_token_share, wrap

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

OUTPUT = Path(__file__).parents[1] / "econllm" / "encoders" / "tiny"
# Documents for the vocabulary (each with a wording of its own) and documents held out.
_VOCABULARY, _HELD_OUT = 4000, 400


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Build the tokenizer, train, write and measure."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    clock, jobs = time.perf_counter(), load_jobs()
    # Seeds of the vocabulary's, the training's and the held-out documents.
    seeds = [3 * options.seed + k for k in range(3)]
    sample = documents(seeds[0], min(_VOCABULARY, options.documents), jobs, persons=1)
    tokenizer = build_tokenizer(sample, known_titles(jobs))
    rows = encode(tokenizer, documents(seeds[1], options.documents, jobs))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = make_network(tokenizer, options.seed).to(device)
    weights = token_weights(tokenizer)
    fit(network, rows, weights, options.batch, options.learning_rate, options.seed, half=not options.float32)
    # What is measured is what is written.
    network = network.to(torch.bfloat16)
    write(network, tokenizer, options.output)
    network = network.float()
    held_out = encode(tokenizer, documents(seeds[2], min(_HELD_OUT, options.documents), jobs))
    figures = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "tokens": sum(map(len, rows)),
        "minutes": round((time.perf_counter() - clock) / 60, 1),
        "single_token_titles": single_token_share(tokenizer, jobs.titles),
        "held_out_nats_per_token": mean_loss(network, held_out),
        **title_figures(network, tokenizer, jobs, seeds[2], blocks=min(60, options.documents // 8)),
    }
    print(json.dumps(figures, indent=2))
    return figures


def write(network: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Put the files of a model into a folder, each at once, so that a reader finds the old or the new one whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        network.save_pretrained(draft)
        wrap(tokenizer).save_pretrained(draft)
        for file in Path(draft).iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=36_000, help="documents to train on, each once")
    parser.add_argument("--batch", type=int, default=8, help="documents in a batch")
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="train without bfloat16, for processors that lack it")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
