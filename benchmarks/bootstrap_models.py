"""Refits of whole models on reweighted persons: the wage panel, and CAREER on real careers, stopped and resumed.

    python benchmarks/bootstrap_models.py wage              # Empirical and MNLogit, 200 replications: under 30 s
    python benchmarks/bootstrap_models.py career            # CAREER, 2,000 persons of NLSY97, 20 replications x 2 seeds

The peers have no bootstrap of this kind (biogeme resamples rows, none separates seeds), so these are times, not ratios.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, nlsy97_panel, report, wage_panel

import econllm as el


def wage(jobs: int) -> dict[str, Any]:
    train, valid, test = wage_panel().split([0.7, 0.1, 0.2], seed=0)
    formula = "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)"
    models = {"Empirical": el.Empirical(), "MNL": el.MNLogit(formula, penalty="l2")}
    fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}
    clock = time.perf_counter()
    boot = el.bootstrap(fitted, train, test, validation=valid, replications=200, n_jobs=jobs, seed=0)
    seconds = time.perf_counter() - clock
    table = el.compare(fitted, test, bootstrap=boot)
    print(table, table.decomposition(), sep="\n")
    return {"replications": 200, "workers": jobs, "seconds": round(seconds, 1), "target seconds": 30}


def career(jobs: int) -> dict[str, Any]:
    train, valid, test = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)
    train = train.subset(train.persons[:2000])
    models = {"CAREER": el.CAREER(preset="quick")}
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"validation": valid, "seeds": 2, "n_jobs": jobs, "seed": 0, "folder": Path(folder) / "boot"}
        clock = time.perf_counter()
        some = el.bootstrap(models, train, test, replications=4, **arguments)
        half = time.perf_counter() - clock
        boot = el.bootstrap(models, train, test, replications=20, **arguments)
        seconds = time.perf_counter() - clock
        assert np.array_equal(boot.scores[:4], some.scores)
    part = boot.components()["CAREER"]
    return {
        "replications": 20,
        "seeds": 2,
        "workers": jobs,
        "seconds": round(seconds, 1),
        "of these before the run was stopped": round(half, 1),
        "target seconds": 900,
        "mean perplexity": round(float(boot.perplexity["CAREER"].mean()), 3),
        "std error of the log score, training": round(float(np.sqrt(part.training)), 5),
        "std error of the log score, seed": round(float(np.sqrt(part.seed)), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["wage", "career"])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    name = f"bootstrap_models_{options.part}"
    report(name, **{"wage": wage, "career": career}[options.part](options.jobs))
    print(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
