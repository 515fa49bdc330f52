"""Language models on real careers: off the shelf, prompted, fine-tuned; numeric titles; without birth year.

    python nlsy97_llm.py [PART ...] [--seed 0] [--epochs N] [--persons N] [--model tiny] [--threads 2] [--save FOLDER]
    python nlsy97_llm.py --paired tuned --save FOLDER [--persons N]

Parts: shelf, prompted, prompted-similar, tuned, codes, no-birth-year, ensemble; MNL and CAREER, for the same persons.
Validation persons choose the epoch; test persons are opened once per part. Peers on the same split: MNLogit 8.66, the
public CAREER code 7.63, el.CAREER() 7.08 (nlsy97_logits.py, nlsy97_career.py). Off the shelf and prompted are scored on
40 test persons. `--paired` holds all parts that were saved in the folder against one of them, with intervals clustered
by person.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from common import FORMULA, RESULTS, SHARED, PeakMemory, report
from nlsy97_career import by_kind

import econllm as el
from econllm import metrics

FEW = 40
YEARS = {"less than high school": "10", "high school": "12", "associate degree": "14", "bachelor's degree": "16"}
YEARS |= {"master's degree": "18", "professional degree": "19", "doctorate": "20"}
# Short lines, because time is proportional to tokens.
TEMPLATE = el.ResumeTemplate(
    opening="",
    person="{sex}, {race}, born {birth_year}",
    record="{time} {age} {education} {region}: {title}",
    details=" [{hours} {wage}]",
    closing="",
    values={"education": YEARS, "region": {"North Central": "Midwest"}},
    missing="no",
)
TUNED = el.Training(epochs=12, batch=16, learning_rate=2e-3, warmup=0.1, weight_decay=0.1)


def panel() -> el.CareerPanel:
    """The panel of the other benchmarks with age; hours in hundreds and wages in dollars, rounded to be few tokens."""
    folder = SHARED / "data" / "nlsy97"
    df = pd.read_csv(folder / "careers.csv.gz").dropna(subset=["birth_year"])
    df["age"] = df["year"] - df["birth_year"]
    df["hours"] = (df["hours"] / 100).round()
    df["wage"] = df["hourly_wage"].clip(upper=100).round()
    return el.CareerPanel(
        df,
        person="person_id",
        time="year",
        occupation="occupation",
        titles=pd.read_csv(folder / "occupations.csv"),
        static=["birth_year", "sex", "race"],
        dynamic=["age", "region", "education"],
        lagged=["hours", "wage"],
        template=TEMPLATE,
    )


def model(part: str, name: str, training: el.Training) -> el.Estimator:
    if part == "MNL":
        return el.MNLogit(FORMULA + " + age", penalty="l2")
    if part == "CAREER":
        return el.CAREER()
    shelf = {"tol": 1e-3}
    if part == "shelf":
        return el.LLM(name, **shelf)
    if part.startswith("prompted"):
        select = "similar" if part == "prompted-similar" else "random"
        return el.LLM(name, prompt=el.Prompt(examples=2, select=select, example_records=10), **shelf)
    template = {
        "codes": el.ResumeTemplate(**{**vars(TEMPLATE), "titles": "code"}),
        "no-birth-year": el.ResumeTemplate(
            **{
                **vars(TEMPLATE),
                "person": "{sex}, {race}",
                "record": "{time} {education} {region}: {title}",
            }
        ),
    }.get(part)
    tuned = el.LLM(name, tuning="full", template=template, training=training, dropout=0.15, tol=1e-3)
    return el.Ensemble(tuned, members=3) if part == "ensemble" else tuned


def measure(part: str, options: argparse.Namespace) -> dict[str, Any]:
    train, valid, test = panel().split([0.7, 0.1, 0.2], seed=options.seed)
    if options.persons:
        few = [options.persons, options.persons // 3, options.persons // 2]
        train, valid, test = (part.subset(part.persons[:n]) for part, n in zip((train, valid, test), few, strict=True))
    training = TUNED if options.epochs is None else el.Training(**{**vars(TUNED), "epochs": options.epochs})
    spec = model(part, options.model, training)
    tuned = part not in ("shelf", "prompted", "prompted-similar")
    if not tuned and not options.persons:
        test = test.subset(test.persons[:FEW])
    with PeakMemory() as memory:
        clock = time.perf_counter()
        fit = spec.fit(train, validation=valid if tuned else valid.subset(valid.persons[:5]), seed=options.seed)
        fitting = time.perf_counter() - clock
        clock = time.perf_counter()
        scores = fit.log_likelihood(test)
        scoring = time.perf_counter() - clock
    figures: dict[str, Any] = {
        "model": repr(spec),
        "test persons": len(test.persons),
        "test": by_kind(scores.to_numpy(), test),
        "fit seconds": round(fitting, 1),
        "transitions per second, all titles": round(len(test) / scoring, 1),
        "peak gigabytes": round(memory.peak, 2),
    }
    if tuned:
        figures["validation"] = by_kind(fit.log_likelihood(valid).to_numpy(), valid)
    if isinstance(fit, el.LLMResults):
        figures |= {"title mass": fit.title_mass, "engine": fit.engine}
        if fit.history is not None:
            figures["history"] = np.exp(-fit.history.frame["validation"]).round(3).tolist()
            figures["epoch seconds"] = fit.history.frame["seconds"].diff().median()
            figures["tokens per second"] = round(fit.tokens_per_second or 0)
        if options.save:
            fit.save(f"{options.save}/{part}", overwrite=True)
    if options.save:
        scores.to_frame("score").to_parquet(f"{options.save}/{part}.parquet")
    return figures


def paired(folder: Path, reference: str) -> dict[str, Any]:
    """Differences of the mean log scores to one part, in nats, from the rows that were saved."""
    scores = pd.DataFrame({file.stem: pd.read_parquet(file)["score"] for file in folder.glob("*.parquet")})
    persons = panel().to_frame()["person_id"].loc[scores.index].to_numpy()
    out = {}
    for part in scores.columns.drop(reference):
        gap = metrics.mean_score((scores[part] - scores[reference]).to_numpy(), persons)
        bounds = np.round(gap.interval(), 4).tolist()
        out[part] = {"nats": round(gap.mean, 4), "std_error": round(gap.std_error, 4), "95%": bounds}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--paired", metavar="PART", help="compare what was saved with this part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--persons", type=int, help="so many training persons, a third of validation, half of test")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", help="folder for fitted models and row scores (survey data: do not share)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    path = RESULTS / "nlsy97_llm.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    if options.paired:
        what = f"differences to {options.paired}" + (f", {options.persons} persons" if options.persons else "")
        report("nlsy97_llm", **figures | {what: paired(Path(options.save), options.paired)})
        return
    for part in options.parts or ["tuned"]:
        name = f"{part}, {options.persons} persons" if options.persons else part
        figures[name] = {"threads": options.threads, **measure(part, options)}
        print(name, json.dumps(figures[name], indent=1), flush=True)
        report("nlsy97_llm", **figures)


if __name__ == "__main__":
    main()
