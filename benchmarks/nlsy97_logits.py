"""Multinomial logits on real careers: two stages, alternative-specific terms, text, and text beside covariates.

    python nlsy97_logits.py

The validation sample chooses every alpha and block penalty; the test sample is opened once, for the models as chosen.
Models with text, and those beside them, take 1,000 training persons, and 400 and 300 persons of the other two samples:
encoding is what takes long (minutes, once; vectors are kept in the cache).
"""

from __future__ import annotations

import time

import numpy as np
from common import FORMULA, nlsy97_panel, report

import econllm as el

PERSONS, JUDGES, TESTED = 1000, 400, 300
FACTORS = (3.0, 10.0, 30.0, 100.0)


def some(panel: el.CareerPanel, persons: int) -> el.CareerPanel:
    return panel.subset(panel.persons[np.random.default_rng(0).permutation(len(panel.persons))[:persons]])


def main() -> None:
    template = el.ResumeTemplate(
        opening="", person="{sex}, {race}, born {birth_year}.", record="{time}: {title}", details="", closing=""
    )
    train, valid, test = nlsy97_panel(template=template).split([0.7, 0.1, 0.2], seed=0)
    few, judges, tested = some(train, PERSONS), some(valid, JUDGES), some(test, TESTED)
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
        "1,000 persons": {
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
        judge, last = (valid, test) if group == "all persons" else (judges, tested)
        for name, (model, sample) in members.items():
            clock = time.perf_counter()
            fitted[name] = model.fit(sample, validation=judge, seed=0)
            figures[group][name] = {
                "validation": round(fitted[name].perplexity(judge).value, 4),
                "alpha_times_rows": np.round(np.multiply(fitted[name].alpha, len(sample)), 4).tolist(),
                "seconds": round(time.perf_counter() - clock, 1),
            }
            print(group, name, figures[group][name], flush=True)
        blocks = [name for name in fitted if name.startswith("MNL and text")]
        chosen = min(blocks, key=lambda n: fitted[n].perplexity(judge).value) if blocks else None
        for name, fit in fitted.items():
            if name in blocks and name != chosen:
                continue
            found = fit.perplexity(last)
            history = fit.perplexity(last, by="history")["perplexity"]
            figures[group][name] |= {
                "test": round(found.value, 4),
                "test_std_error": round(found.std_error, 4),
                "test_with_history": round(float(history["with a history"]), 4),
            }
    report("nlsy97_logits", training_rows={"all persons": len(train), "1,000 persons": len(few)}, **figures)


if __name__ == "__main__":
    main()
