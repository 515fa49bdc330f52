"""CAREER on real careers: perplexity by kind of record, time, memory, and what each idea gave.

    python nlsy97_career.py [PART ...] [--seed 0]

Parts: Empirical and logits; published (the published head, no lagged columns, no length of the spell, no hidden
records), then one by one lagged columns, returns (scores of earlier occupations), spell, and with hidden records the
default; titles; ensemble (five seeds, with titles); quick; split-1, split-2, split-3 and split-time (without and with
titles, and two seeds with titles, on other splits of persons and by time at 2012). Validation persons choose the
epoch; test persons are opened once per model.

The peer is the public CAREER code (12 layers, width 192, batches of 2,000 records) on the same split and as many cores:
validation 7.94 and test 7.63 after 7.3 minutes, 3,700 predicted records per second, stays 1.48, moves 134.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from common import FORMULA, RESULTS, PeakMemory, nlsy97_panel, report

import econllm as el

NOTHING_LAGGED = ["birth_year", "sex", "race", "region", "education"]
PLAIN = {"covariates": NOTHING_LAGGED, "returns": False, "spell": False, "history_dropout": 0.0}
# Weights of the penalties as the validation sample chose them in nlsy97_logits.py.
ROWS = 110_654
MODELS = {
    "Empirical, two stages": el.Empirical(smoothing="validation", two_stage=True),
    "MNL": el.MNLogit(FORMULA, penalty="l2", alpha=1.3744 / ROWS),
    "MNL, two stages": el.MNLogit(FORMULA, penalty="l2", alpha=(15.2659 / ROWS, 9.6412 / ROWS), two_stage=True),
    "quick": el.CAREER(preset="quick"),
    "published": el.CAREER(**PLAIN),
    "lagged": el.CAREER(returns=False, spell=False, history_dropout=0.0),
    "returns": el.CAREER(spell=False, history_dropout=0.0),
    "spell": el.CAREER(history_dropout=0.0),
    "default": el.CAREER(),
    "titles": el.CAREER(titles="minilm"),
    "ensemble": el.Ensemble(el.CAREER(titles="minilm"), members=5),
}


def kinds(panel: el.CareerPanel) -> dict[str, np.ndarray]:
    """Which rows are first records, stays and moves."""
    frame = panel.to_frame(history=True)
    occupation = frame["occupation"].to_numpy()
    stays = np.append(False, occupation[1:] == occupation[:-1])[panel.is_target] & ~panel.is_first
    first = panel.is_first
    return {
        "all": np.ones(len(panel), bool),
        "history": ~first,
        "first": first,
        "stays": stays,
        "moves": ~first & ~stays,
    }


def by_kind(scores: np.ndarray, panel: el.CareerPanel) -> dict[str, float]:
    return {name: round(float(np.exp(-scores[rows].mean())), 4) for name, rows in kinds(panel).items() if rows.any()}


def measure(model: el.Estimator, parts: tuple[el.CareerPanel, ...], seed: int) -> tuple[dict[str, Any], Any]:
    train, valid, test = parts
    with PeakMemory() as memory:
        clock = time.perf_counter()
        fit = model.fit(train, validation=valid, seed=seed)
        seconds = time.perf_counter() - clock
        clock = time.perf_counter()
        mass = np.exp(fit.log_proba(test)).sum(axis=1)
        predicting = time.perf_counter() - clock
        clock = time.perf_counter()
        scores = fit.log_likelihood(test)
        scoring = time.perf_counter() - clock
    figures: dict[str, Any] = {
        "validation": by_kind(fit.log_likelihood(valid).to_numpy(), valid),
        "test": by_kind(scores.to_numpy(), test),
        "seconds": round(seconds, 1),
        "seconds to predict all test rows": round(predicting, 2),
        "seconds to score all test rows": round(scoring, 2),
        "largest deviation of a row's sum from one": float(np.abs(mass - 1).max()),
        "peak memory, GB": round(memory.peak, 2),
        "parameters": fit.info.parameters,
    }
    if isinstance(model, el.CAREER):
        history = fit.history.frame
        rate = len(train) * len(history) / history["seconds"].iloc[-1]
        figures["transitions per second, training and validation"] = round(rate)
        figures["epochs"] = f"{fit.history.best_epoch} of {len(history)}"
    return figures, fit


def against(fits: dict[str, Any], test: el.CareerPanel, reference: str) -> dict[str, Any]:
    """Paired differences in mean log score, clustered by person."""
    table = el.compare(fits, test, reference=reference).frame
    wanted = ["difference", "difference_lower", "difference_upper"]
    return {name: table.loc[name, wanted].round(5).tolist() for name in fits if name != reference}


def alone_and_together(fit: el.EnsembleResults, test: el.CareerPanel) -> dict[str, Any]:
    """The first member of an ensemble, and the ensemble against it."""
    first = fit.members[0]
    figures = by_kind(first.log_likelihood(test).to_numpy(), test)
    return {"test": figures, **against({"first member": first, "ensemble": fit}, test, "first member")}


def split(panel: el.CareerPanel, case: str, seed: int) -> dict[str, Any]:
    """Without titles, with titles (the first member of the ensemble), and two seeds with titles averaged."""
    parts = panel.split([0.7, 0.1, 0.2], seed=int(case)) if case != "time" else None
    if parts is None:
        early, late = panel.split_time(2012)
        parts = (*early.split([0.9, 0.1], seed=0), late)
    train, valid, test = parts
    fits = {"default": MODELS["default"].fit(train, validation=valid, seed=seed)}
    fits["ensemble"] = el.Ensemble(MODELS["titles"], members=2).fit(train, validation=valid, seed=seed)
    fits["titles"] = fits["ensemble"].members[0]
    found: dict[str, Any] = {
        model: {
            "validation": by_kind(fit.log_likelihood(valid).to_numpy(), valid)["all"],
            "test": by_kind(fit.log_likelihood(test).to_numpy(), test),
        }
        for model, fit in fits.items()
    }
    return {**found, "difference to default, 95% interval": against(fits, test, "default")}


def keep(part: str, found: dict[str, Any]) -> None:
    """Add to what is in the file, which another run may have written meanwhile."""
    file = RESULTS / "nlsy97_career.json"
    figures = json.loads(file.read_text())["figures"] if file.exists() else {}
    report("nlsy97_career", **{**figures, part: found})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", default=list(MODELS))
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    panel = nlsy97_panel()
    parts = panel.split([0.7, 0.1, 0.2], seed=0)
    fits = {}
    for part in given.parts:
        if part.startswith("split-"):
            found = split(panel, part.removeprefix("split-"), given.seed)
        else:
            found, fits[part] = measure(MODELS[part], parts, given.seed)
            if part == "ensemble":
                found["first member"] = alone_and_together(fits[part], parts[2])
        keep(part, found)
    if "default" in fits and len(fits) > 1:
        keep("difference to default, 95% interval", against(fits, parts[2], "default"))


if __name__ == "__main__":
    main()
