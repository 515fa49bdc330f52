"""Résumés per second of the sentence encoder, against sentence-transformers with the same weights.

    python benchmarks/encoders.py

Both sides encode the same 200 résumés of about 150 tokens in one process; a second run of ours reads its cache.
"""

from __future__ import annotations

import tempfile
import time

from common import race, report, seconds

import econllm as el
from econllm.encoders.weights import find_encoder

TEXTS = 200


def main() -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    panel = el.datasets.simulate_careers(300, 40, records=(6, 12), seed=0)
    resumes = [r for r in panel.resumes() if 5 <= len(r.records) <= 7][:TEXTS]
    texts = [r.text for r in resumes]
    files = find_encoder("minilm")
    figures: dict[str, object] = {"texts": len(texts)}
    for dtype in ("float32", "bfloat16"):
        encoder = el.SentenceEncoder(dtype=dtype, device="cpu", cache=False, progress=False)
        encoder.encode(resumes[:8])
        library = SentenceTransformer(str(files.folder), device="cpu", model_kwargs={"dtype": getattr(torch, dtype)})
        figures["tokens_mean"] = round(sum(len(library.tokenizer.encode(t)) for t in texts) / len(texts), 1)
        library.encode(texts[:8], show_progress_bar=False)
        ours, theirs = race(
            lambda e=encoder: e.encode(resumes), lambda m=library: m.encode(texts, show_progress_bar=False)
        )
        figures[dtype] = {
            "econllm_per_second": round(len(texts) / ours, 1),
            "sentence_transformers_per_second": round(len(texts) / theirs, 1),
            "ratio": round(theirs / ours, 2),
        }
    with tempfile.TemporaryDirectory() as folder:
        encoder = el.SentenceEncoder(device="cpu", cache=folder, progress=False)
        clock = time.perf_counter()
        encoder.encode(resumes)
        first = time.perf_counter() - clock
        again, _ = seconds(lambda: encoder.encode(resumes))
        figures["cache"] = {
            "first_seconds": round(first, 3),
            "again_seconds": round(again, 4),
            "ratio": round(first / again, 1),
        }
    report("encoders", **figures)


if __name__ == "__main__":
    main()
