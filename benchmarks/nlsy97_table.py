"""The papers' comparison table on real careers: NLSY97, 338 occupation states, all families of models.

    python benchmarks/nlsy97_table.py --work FOLDER [--steps fit bootstrap table subset] [--llm FOLDER] [--jobs 2]

Writes benchmarks/results/nlsy97/: comparison.json, .tex, .png and so on, numbers only. Fits, refits and probabilities
stay in the work folder (they are made from survey data: do not share), so that a stopped run goes on. `--llm` is a
fine-tuned language model as nlsy97_llm.py saves it (`python nlsy97_llm.py tuned --save DIR`, then DIR/tuned).

Weights of penalties are those that validation persons chose in nlsy97_logits.py; validation persons choose epochs, too.
The subset has 1,000 training, 400 validation and 300 test persons, because encoding résumés takes long on a laptop.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import FORMULA, RESULTS, nlsy97_panel, report
from nlsy97_llm import panel as llm_panel
from nlsy97_logits import JUDGES, LAST, PERSONS, TESTED, some

import econllm as el

OUT = RESULTS / "nlsy97"
ROWS, FEW_ROWS = 110_654, 22_140
MODELS: dict[str, el.Estimator] = {
    "Empirical": el.Empirical(smoothing="validation"),
    "MNL": el.MNLogit(FORMULA, penalty="l2", alpha=1.3744 / ROWS),
    "MNL, two stages": el.MNLogit(FORMULA, penalty="l2", alpha=(15.2659 / ROWS, 9.6412 / ROWS), two_stage=True),
    "CAREER": el.CAREER(),
    "CAREER + titles": el.CAREER(titles="minilm"),
}
REFITTED = ("Empirical", "MNL", "CAREER")
TEXT = {"penalty_factors": {"embed(resume)": 1000.0}, "alpha": 0.5365 / FEW_ROWS}
SUBSET: dict[str, el.Estimator] = {
    "Last occupation": el.MNLogit(LAST, penalty="l2", alpha=0.2773 / FEW_ROWS),
    "MNL": el.MNLogit(FORMULA, penalty="l2", alpha=1.4129 / FEW_ROWS),
    "MNL + text": el.MNLogit(f"{LAST} + embed(resume)", penalty="l2", **TEXT),
    "CAREER": el.CAREER(),
    "CAREER + titles": el.CAREER(titles="minilm"),
}
STATES = {"Not working": [1002], "Education": [1001]}


class Remembered(el.Results):
    """A result whose probabilities of one panel are kept in a file, because a language model takes minutes for them."""

    def __init__(self, result: el.Results, panel: el.CareerPanel, file: Path) -> None:
        self.result, self.panel, self.file = result, panel, file
        self.model, self.choices, self.info = result.model, result.choices, result.info

    @property
    def flags(self) -> tuple[str, ...]:
        return self.result.flags

    def log_proba(self, data: el.CareerPanel) -> np.ndarray:
        if not self.file.exists():
            np.save(self.file, self.result.log_proba(self.panel))
        return np.load(self.file)

    def summary(self) -> el.Table:
        return self.result.summary()

    def _state(self) -> dict[str, Any]:
        return self.result._state()

    @classmethod
    def _from_state(cls, *args: Any) -> el.Results:
        return el.LLMResults._from_state(*args)


def fitted_models(
    models: dict[str, el.Estimator], folder: Path, train: el.CareerPanel, valid: el.CareerPanel
) -> dict[str, el.Results]:
    folder.mkdir(parents=True, exist_ok=True)
    out = {}
    for name, model in models.items():
        place = folder / "".join(c if c.isalnum() else "-" for c in name)
        if not place.exists():
            model.fit(train, validation=valid, seed=0).save(place)
        out[name] = el.load(place)
        print(out[name].summary(), flush=True)
    return out


def refits(
    fitted: dict[str, el.Results], work: Path, parts: tuple[el.CareerPanel, ...], replications: int, jobs: int
) -> el.Bootstrap:
    train, valid, test = parts
    chosen = {name: fitted[name] for name in REFITTED}
    return el.bootstrap(
        chosen,
        train,
        test,
        validation=valid,
        replications=replications,
        n_jobs=jobs,
        seed=0,
        folder=work / "bootstrap",
    )


def write(table: Any, name: str) -> None:
    table.to_latex(OUT / f"{name}.tex")
    table.to_markdown(OUT / f"{name}.md")
    print(table, flush=True)


def frame_as_json(frame: Any) -> Any:
    return json.loads(frame.reset_index().to_json(orient="records", double_precision=6))


def with_language_model(
    fitted: dict[str, el.Results], llm: Path | None, work: Path, test: el.CareerPanel
) -> dict[str, el.Results]:
    if llm is None:
        return fitted
    result = el.load(llm)
    worded = llm_panel().subset(test.persons)
    assert np.array_equal(worded.outcome, test.outcome)
    return fitted | {"LLM, fine-tuned": Remembered(result, worded, work / "llm.npy")}


def tables(fitted: dict[str, el.Results], boot: el.Bootstrap | None, test: el.CareerPanel, command: str) -> None:
    table = el.compare(fitted, test, reference="MNL", bootstrap=boot)
    write(table, "comparison")
    table.plot(OUT / "comparison.png")
    write(table.wins(), "wins")
    found = {"comparison": frame_as_json(table.frame), "pairs": frame_as_json(table.pairs)}
    if boot is not None:
        write(table.decomposition(), "decomposition")
        table.plot_decomposition(OUT / "decomposition.png")
    groups = el.compare(fitted, test, reference="MNL", by="move")
    write(groups, "movers")
    found["movers"] = frame_as_json(groups.frame)
    diagnostics = el.diagnose(fitted, test, states=STATES)
    write(diagnostics, "diagnostics")
    diagnostics.plot_reliability("move", OUT / "reliability.png")
    diagnostics.plot_roc("move", OUT / "roc.png")
    found["events"] = frame_as_json(diagnostics.events)
    report("nlsy97/comparison", command=command, **found)


def subset(work: Path) -> None:
    template = el.ResumeTemplate(
        opening="", person="{sex}, {race}, born {birth_year}.", record="{time}: {title}", details="", closing=""
    )
    train, valid, test = nlsy97_panel(template=template).split([0.7, 0.1, 0.2], seed=0)
    few, judges, tested = some(train, PERSONS), some(valid, JUDGES), some(test, TESTED)
    fitted = fitted_models(SUBSET, work / "subset", few, judges)
    table = el.compare(fitted, tested, reference="MNL")
    write(table, "subset")
    table.plot(OUT / "subset.png")
    report("nlsy97/subset", training_persons=PERSONS, test_persons=TESTED, comparison=frame_as_json(table.frame))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", nargs="*", default=["fit", "bootstrap", "table", "subset"])
    parser.add_argument("--llm", type=Path)
    parser.add_argument("--replications", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    OUT.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    parts = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)
    if "subset" in options.steps:
        subset(options.work)
    if not {"fit", "bootstrap", "table"} & set(options.steps):
        return
    fitted = fitted_models(MODELS, options.work / "all", parts[0], parts[1])
    boot = None
    if "bootstrap" in options.steps:
        boot = refits(fitted, options.work, parts, options.replications, options.jobs)
        print(boot, flush=True)
    if "table" in options.steps:
        models = with_language_model(fitted, options.llm, options.work, parts[2])
        llm = " --llm FOLDER" if options.llm else ""
        tables(
            models,
            boot,
            parts[2],
            f"python nlsy97_table.py --work FOLDER{llm} --replications {options.replications}",
        )


if __name__ == "__main__":
    main()
