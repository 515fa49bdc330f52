"""CAREER where the truth is known: the gap to the oracle, and what pretraining on another population is worth.

    python career_simulated.py [order] [transfer]

order: careers of 10,000 persons whose next occupation depends on the last two (`simulate_careers(process="two_stage",
order=2)`). The gap of a model is its mean log score below the oracle's; perplexities are given, too.
transfer: 50,000 persons of a shifted population, then 500 of the population of interest.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from common import RESULTS, report

import econllm as el
from econllm.datasets import simulate_careers

MNL = "occupation ~ lag(occupation) + educ + exper + sex"
OCCUPATIONS = 20
PROCESS: dict[str, Any] = {"occupations": OCCUPATIONS, "process": "two_stage", "order": 2}


def order() -> dict[str, Any]:
    train = simulate_careers(10_000, seed=1, **PROCESS)
    valid, test = simulate_careers(1_000, seed=2, **PROCESS), simulate_careers(5_000, seed=3, **PROCESS)
    models = {
        "Oracle": el.Oracle(),
        "MNLogit, first order": el.MNLogit(MNL, penalty="l2", alpha=1 / len(train)),
        "MNLogit, second order, two stages": el.MNLogit(
            f"{MNL} + lag(occupation, 2)", penalty="l2", alpha=(1 / len(train),) * 2, two_stage=True
        ),
        "CAREER": el.CAREER(),
        "CAREER, published head": el.CAREER(returns=False),
    }
    found: dict[str, Any] = {"training transitions": len(train)}
    scores = {}
    for name, model in models.items():
        clock = time.perf_counter()
        fit = model.fit(train, validation=valid, seed=0)
        seconds = time.perf_counter() - clock
        scores[name] = fit.log_likelihood(test).to_numpy()
        perplexity = float(np.exp(-scores[name].mean()))
        gap = float(scores["Oracle"].mean() - scores[name].mean())
        found[name] = {"perplexity": round(perplexity, 4), "gap in nats": round(gap, 5), "seconds": round(seconds, 1)}
        print(name, found[name], flush=True)
    gaps = {name: found[name]["perplexity"] - found["Oracle"]["perplexity"] for name in models}
    found["gap in perplexity, CAREER over first-order MNLogit"] = round(
        gaps["CAREER"] / gaps["MNLogit, first order"], 4
    )
    return found


def transfer() -> dict[str, Any]:
    titles = simulate_careers(10, seed=0, **PROCESS).choices
    resumes = simulate_careers(50_000, seed=11, shift=0.5, **PROCESS)
    survey, valid = simulate_careers(500, seed=12, **PROCESS), simulate_careers(100, seed=13, **PROCESS)
    test = simulate_careers(5_000, seed=14, **PROCESS)
    assert resumes.choices == titles
    many, held = resumes.split([0.98, 0.02])
    clock = time.perf_counter()
    pretrained = el.CAREER(preset="quick", training=el.Training(epochs=4, batch=256, learning_rate=3e-3)).fit(
        many, validation=held, seed=0
    )
    seconds = time.perf_counter() - clock
    tuned = el.CAREER(start=pretrained, training=el.Training(epochs=10, batch=32, learning_rate=5e-4))
    fits = {
        "500 persons alone": el.CAREER().fit(survey, validation=valid, seed=0),
        "50,000 others alone": pretrained,
        "50,000 others, then 500": tuned.fit(survey, validation=valid, seed=0),
        "Oracle": el.Oracle().fit(survey),
    }
    found: dict[str, Any] = {"seconds of pretraining": round(seconds, 1), "pretraining transitions": len(many)}
    for name, fit in fits.items():
        found[name] = round(fit.perplexity(test).value, 4)
    found["perplexity saved"] = round(1 - found["50,000 others, then 500"] / found["500 persons alone"], 4)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", default=["order", "transfer"])
    file = RESULTS / "career_simulated.json"
    figures = json.loads(file.read_text())["figures"] if file.exists() else {}
    for part in options.parse_args().parts:
        figures[part] = {"order": order, "transfer": transfer}[part]()
        report("career_simulated", **figures)


if __name__ == "__main__":
    main()
