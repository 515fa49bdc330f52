"""Vectors of every résumé of careers of 20 records from a causal language model: one pass per person.

    python benchmarks/prefix_embeddings.py

The model is a Llama of 4 layers of width 192 with random weights. The peers run the same weights once per résumé, in
padded batches of the same number of tokens: our own network without sharing, and sentence-transformers with its own
batches of 32. A second run of ours reads its cache.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from common import race, report, seconds

import econllm as el
from econllm.encoders.causal import CausalNetwork, plan_passes
from econllm.encoders.language import load_language_model
from econllm.encoders.sentence import plan_batches

PERSONS = 20
RECORDS = 20
BATCH_TOKENS = 4096


def main() -> None:
    resumes = list(el.datasets.simulate_careers(PERSONS, 40, records=(RECORDS, RECORDS), seed=0).resumes())
    texts = [resume.text for resume in resumes]
    with tempfile.TemporaryDirectory() as place:
        folder = make_model(Path(place) / "llama", texts)
        figures: dict[str, object] = {"persons": PERSONS, "records": RECORDS}
        for pooling in ("last", "mean"):
            figures[pooling] = compare(folder, resumes, pooling)
        figures["cache"] = cached(folder, resumes, Path(place) / "cache")
    report("prefix_embeddings", **figures)


def compare(folder: Path, resumes: list[el.text.Resume], pooling: str) -> dict[str, object]:
    options = {"dtype": "float32", "device": "cpu", "progress": False, "cache": False}
    encoder = el.SentenceEncoder(str(folder), pooling, batch_tokens=BATCH_TOKENS, **options)
    network = CausalNetwork.build(load_language_model(str(folder), None, "float32", "cpu"), pooling, -1, False)
    ours = encoder.encode(resumes).vectors
    apart = one_per_text(network, resumes)
    np.testing.assert_allclose(ours, apart, atol=1e-5)
    figures: dict[str, object] = {
        "largest_difference": float(np.abs(ours - apart).max()),
        "tokens": tokens(network, resumes, share=True),
        "tokens_one_per_text": tokens(network, resumes, share=False),
    }
    shared, alone = race(lambda: encoder.encode(resumes), lambda: one_per_text(network, resumes))
    figures |= {"seconds": round(shared, 3), "seconds_one_per_text": round(alone, 3), "ratio": round(alone / shared, 1)}
    if pooling == "last":
        library = sentence_transformer(folder)
        texts = [resume.text for resume in resumes]
        np.testing.assert_allclose(ours, library.encode(texts, show_progress_bar=False), atol=1e-4)
        shared, theirs = race(
            lambda: encoder.encode(resumes), lambda: library.encode(texts, show_progress_bar=False), repeats=3
        )
        figures |= {
            "seconds_sentence_transformers": round(theirs, 3),
            "ratio_sentence_transformers": round(theirs / shared, 1),
        }
    return figures


def one_per_text(network: CausalNetwork, resumes: list[el.text.Resume]) -> np.ndarray:
    """The same network and budget of tokens, every résumé with a pass of its own."""
    passes, _ = plan_passes(resumes, network.language.tokenizer, 10**6, share=False)
    vectors = np.empty((len(resumes), network.dimension), dtype=np.float32)
    for batch in plan_batches(np.array([len(one.tokens) for one in passes]) + network.specials, BATCH_TOKENS):
        vectors[batch] = network.encode([passes[i] for i in batch])
    return vectors


def tokens(network: CausalNetwork, resumes: list[el.text.Resume], share: bool) -> int:
    passes, _ = plan_passes(resumes, network.language.tokenizer, 10**6, share=share)
    return sum(len(one.tokens) + network.specials for one in passes)


def cached(folder: Path, resumes: list[el.text.Resume], cache: Path) -> dict[str, float]:
    encoder = el.SentenceEncoder(str(folder), dtype="float32", device="cpu", cache=cache, progress=False)
    clock = time.perf_counter()
    encoder.encode(resumes)
    first = time.perf_counter() - clock
    again, _ = seconds(lambda: encoder.encode(resumes))
    return {"first_seconds": round(first, 3), "again_seconds": round(again, 4), "ratio": round(first / again, 1)}


def sentence_transformer(folder: Path) -> object:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(str(folder), model_kwargs={"dtype": "float32"})
    return SentenceTransformer(modules=[transformer, Pooling(192, "lasttoken")], device="cpu")


def make_model(folder: Path, texts: list[str]) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "</s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2048, special_tokens=special, initial_alphabet=alphabet)
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="right",
        model_max_length=2048,
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=6,
        intermediate_size=512,
        max_position_embeddings=2048,
        pad_token_id=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
