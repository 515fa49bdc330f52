"""Multinomial logits on real careers: two stages, alternative-specific terms, text, and text beside covariates.

    python nlsy97_logits.py

The validation sample chooses every alpha and block penalty; the test sample is opened once, for the models as chosen.
Fits with text take 2,000 training persons, whose résumés are encoded once.
"""

from __future__ import annotations

import time

import numpy as np
from common import FORMULA, nlsy97_panel, report

import econllm as el

PERSONS = 2000
FACTORS = (3.0, 10.0, 30.0, 100.0)


def main() -> None:
    train, valid, test = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)
    few = train.subset(train.persons[np.random.default_rng(0).permutation(len(train.persons))[:PERSONS]])
    base = el.MNLogit(FORMULA, penalty="l2")
    text = el.MNLogit("occupation ~ embed(resume)", penalty="l2")
    both = el.MNLogit(f"{FORMULA} + embed(resume)", penalty="l2")
    models = {
        "all persons": {
            "MNL": (base, train),
            "MNL, two stages": (base.replace(two_stage=True), train),
            "MNL, stay and similarity": (
                base.replace(formula=f"{FORMULA} | stay() + similarity('title')"),
                train,
            ),
        },
        "2,000 persons": {
            "last occupation alone": (el.MNLogit("occupation ~ lag(occupation)", penalty="l2"), few),
            "MNL": (base, few),
            "text alone": (text, few),
            **{
                f"MNL and text, factor {factor:g}": (both.replace(penalty_factors={"embed(resume)": factor}), few)
                for factor in FACTORS
            },
        },
    }
    figures: dict[str, dict[str, dict[str, object]]] = {}
    for group, members in models.items():
        figures[group] = {}
        fitted = {}
        for name, (model, sample) in members.items():
            clock = time.perf_counter()
            fitted[name] = model.fit(sample, validation=valid, seed=0)
            figures[group][name] = {
                "validation": round(fitted[name].perplexity(valid).value, 4),
                "alpha_times_rows": np.round(np.multiply(fitted[name].alpha, len(sample)), 4).tolist(),
                "seconds": round(time.perf_counter() - clock, 1),
            }
            print(group, name, figures[group][name], flush=True)
        blocks = [name for name in fitted if name.startswith("MNL and text")]
        chosen = min(blocks, key=lambda n: fitted[n].perplexity(valid).value) if blocks else None
        for name, fit in fitted.items():
            if name in blocks and name != chosen:
                continue
            found = fit.perplexity(test)
            history = fit.perplexity(test, by="history")["perplexity"]
            figures[group][name] |= {
                "test": round(found.value, 4),
                "test_std_error": round(found.std_error, 4),
                "test_with_history": round(float(history["with a history"]), 4),
            }
    report("nlsy97_logits", training_rows={"all persons": len(train), "2,000 persons": len(few)}, **figures)


if __name__ == "__main__":
    main()
