"""Multinomial logits on real careers: two stages, alternative-specific terms, text, and text beside covariates.

    python nlsy97_logits.py [--group "1,000 persons"]

The validation sample chooses every alpha and block penalty; the test sample is opened once, for the models as chosen.
Models with text, and those beside them, take 1,000 training persons, and 400 and 300 persons of the other two samples:
encoding is what takes long (minutes, once; vectors are kept in the cache).
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from common import FORMULA, RESULTS, nlsy97_panel, report

import econllm as el

PERSONS, JUDGES, TESTED = 1000, 400, 300
FACTORS = (100.0, 1000.0)
LAST = "occupation ~ lag(occupation)"


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
    both = el.MNLogit(f"{LAST} + embed(resume)", penalty="l2")
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
            "last occupation alone": (el.MNLogit(LAST, penalty="l2"), few),
            "MNL": (base, few),
            "text alone": (text, few),
            **{
                f"with text, factor {factor:g}": (
                    both.replace(penalty_factors={"embed(resume)": factor}),
                    few,
                )
                for factor in FACTORS
            },
        },
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", choices=list(models), help="run one group, and keep the other's figures")
    only = parser.parse_args().group
    figures: dict[str, dict[str, dict[str, object]]] = {}
    if only is not None:
        earlier = json.loads((RESULTS / "nlsy97_logits.json").read_text())["figures"]
        figures = {group: earlier[group] for group in models if group in earlier}
    for group, members in models.items():
        if only not in (None, group):
            continue
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
        blocks = [name for name in fitted if "factor" in name]
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
