"""Fine-tuning in tokens per second: el.LLM against a Trainer of transformers with the same network and texts.

    python llm_training.py [--repeats 3]

The bundled model and 381 careers of the wage panel, 16 per update, all weights, all tokens, float32, two epochs; sides
take turns. Then what bfloat16 products and a loss on titles alone add, which is how el.LLM trains.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import torch
from common import report, wage_panel
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

import econllm as el
from econllm.encoders.language import load_language_model
from econllm.llm.fitting import default_training

EPOCHS = 2


def ours(train: el.CareerPanel, **options: Any) -> float:
    """Tokens per second of training, without loading and scoring."""
    language = load_language_model("tiny", None, "float32", "cpu")
    training = el.Training(**{**vars(default_training("full", language)), "epochs": EPOCHS})
    fit = el.LLM("tiny", tuning="full", training=training, **options).fit(train, seed=0)
    return float(fit.tokens_per_second)


def theirs(texts: list[np.ndarray]) -> float:
    language = load_language_model("tiny", None, "float32", "cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=16,
            learning_rate=2e-3,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        rows = [{"input_ids": ids.tolist(), "labels": ids.tolist()} for ids in texts]
        collator = DataCollatorForSeq2Seq(language.tokenizer, padding=True, label_pad_token_id=-100)
        trainer = Trainer(copy.deepcopy(language.network), arguments, train_dataset=rows, data_collator=collator)
        clock = time.perf_counter()
        trainer.train()
        return EPOCHS * sum(map(len, texts)) / (time.perf_counter() - clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    train = wage_panel().split([0.7, 0.3], seed=0)[0]
    start = el.LLM("tiny").fit(train)
    texts = [item.ids for item in start.predictor.documents(train, train.outcome).items]
    sides = {
        "Trainer": lambda: theirs(texts),
        "el.LLM, all tokens, float32": lambda: ours(train, loss="all", dtype="float32"),
        "el.LLM, titles, float32": lambda: ours(train, dtype="float32"),
        "el.LLM, titles, bfloat16 products": lambda: ours(train),
    }
    found: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.repeats):
        for side, work in sides.items():
            found[side].append(work())
    speed = {side: statistics.median(values) for side, values in found.items()}
    report(
        "llm_training",
        **{"texts": len(texts), "tokens": sum(map(len, texts)), "threads": torch.get_num_threads()},
        **{"tokens per second": {side: round(value) for side, value in speed.items()}},
        **{"ratio, the same work": round(speed["el.LLM, all tokens, float32"] / speed["Trainer"], 2)},
        **{"ratio, as el.LLM trains": round(speed["el.LLM, titles, bfloat16 products"] / speed["Trainer"], 2)},
    )


if __name__ == "__main__":
    main()
