"""Do intervals of a comparison cover the truth, and does its test reject as often as it says? On simulated careers.

    python benchmarks/comparison_coverage.py [--samples 300] [--replications 40] [--jobs 2] [--only size]

Every sample has new training and new test persons. "This fitted model" is held against the expected score of just these
fits, "this procedure" against its mean over training samples. Both are known: the true probabilities of all outcomes
are, on 4,000 further persons. Target: 92 to 98% of 95% intervals. Size: two different fits whose expected losses are
equal (one smooths too little, the other too much), on 1,000 test samples; target 3 to 7% rejections at 5%. A fit that
smooths hardly at all has rare and large losses: its differences are skewed, and few test persons do not average that.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import joblib
import numpy as np
from common import RESULTS, report
from scipy.optimize import brentq

import econllm as el

PERSONS = {"training": 120, "test": 120}
MODELS = {
    "Empirical": el.Empirical(smoothing=0.5),
    "MNL": el.MNLogit("occupation ~ lag(occupation) + educ + exper + sex", penalty="l2", alpha=1e-3),
}
OCCUPATIONS = 5


def careers(persons: int, seed: list[int]) -> el.CareerPanel:
    return el.datasets.simulate_careers(persons, OCCUPATIONS, seed=np.random.SeedSequence(seed))


def expected_score(result: el.Results, population: el.CareerPanel) -> float:
    """Mean log score with the outcomes' true probabilities in place of the outcomes."""
    return float((population.truth.to_numpy() * result.log_proba(population)).sum(axis=1).mean())


def sample(number: int, replications: int, population: el.CareerPanel) -> dict[str, list[float]]:
    train, test = careers(PERSONS["training"], [1, number]), careers(PERSONS["test"], [2, number])
    fitted = {name: model.fit(train) for name, model in MODELS.items()}
    boot = el.bootstrap(MODELS, train, test, replications=replications, seed=number)
    frame = el.compare(fitted, test, bootstrap=boot, draws=100).frame
    truth = {name: expected_score(result, population) for name, result in fitted.items()}
    out = {}
    for name in MODELS:
        columns = ["perplexity", "lower", "upper", "procedure_lower", "procedure_upper"]
        estimate, low, high, wide_low, wide_high = frame.loc[name, columns].to_numpy(dtype=float)
        score = -np.log([estimate, high, low, wide_high, wide_low])
        out[name] = [truth[name], *score]
    columns = [f"difference{c}" for c in ("", "_lower", "_upper", "_procedure_lower", "_procedure_upper")]
    out["difference"] = [truth["MNL"] - truth["Empirical"], *frame.loc["MNL", columns].to_numpy(dtype=float)]
    return out


def coverage(samples: int, replications: int, jobs: int) -> dict[str, Any]:
    population = careers(4000, [0])
    work = (joblib.delayed(sample)(s, replications, population) for s in range(samples))
    found = joblib.Parallel(n_jobs=jobs)(work)
    out = {}
    for name in found[0]:
        truth, estimate, low, high, wide_low, wide_high = np.array([f[name] for f in found]).T
        procedure = truth.mean()
        out[name] = {
            "this fitted model": round(float(np.mean((low <= truth) & (truth <= high))), 4),
            "this procedure": round(float(np.mean((wide_low <= procedure) & (procedure <= wide_high))), 4),
            "fitted-model interval for the procedure": round(
                float(np.mean((low <= procedure) & (procedure <= high))), 4
            ),
            "std dev of the estimate": round(float(estimate.std(ddof=1)), 5),
            "of which between training samples": round(float(truth.std(ddof=1)), 5),
            "half length, fitted model": round(float(np.mean(high - low) / 2), 5),
            "half length, procedure": round(float(np.mean(wide_high - wide_low) / 2), 5),
        }
    return out


def equal_losses(smoothing: float, population: el.CareerPanel) -> dict[str, el.Results]:
    """Two fits of transition frequencies on either side of the best smoothing, with the same expected loss."""
    train = careers(60, [3])

    def fit(log_smoothing: float) -> el.Results:
        return el.Empirical(smoothing=float(np.exp(log_smoothing))).fit(train)

    little = expected_score(fit(np.log(smoothing)), population)
    much = brentq(lambda s: expected_score(fit(s), population) - little, np.log(0.6), np.log(200.0), xtol=1e-10)
    return {"little": fit(np.log(smoothing)), "much": fit(much)}


def size(samples: int, jobs: int) -> list[dict[str, Any]]:
    """Rejections at 5% of a true hypothesis: by how little one fit smooths, and the number of test persons."""
    population = careers(20_000, [4])
    out = []
    for smoothing in (0.05, 0.2):
        fitted = equal_losses(smoothing, population)

        def p_values(persons: int, number: int, fitted: dict[str, el.Results] = fitted) -> tuple[float, float]:
            test = careers(persons, [5, persons, number])
            frame = el.compare(fitted, test, adjust="romano-wolf", draws=999).frame
            return frame.loc["much", "p_value"], frame.loc["much", "p_adjusted"]

        for persons in (100, 200, 400):
            work = (joblib.delayed(p_values)(persons, s) for s in range(samples))
            plain, adjusted = np.array(joblib.Parallel(n_jobs=jobs)(work)).T
            out.append(
                {
                    "smoothing": [round(result.model.smoothing, 3) for result in fitted.values()],
                    "test persons": persons,
                    "samples": samples,
                    "rejections": round(float(np.mean(plain < 0.05)), 4),
                    "rejections, Romano and Wolf": round(float(np.mean(adjusted < 0.05)), 4),
                }
            )
            print(out[-1], flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=["coverage", "size"], help="run one part, and keep the other's figures")
    options = parser.parse_args()
    path = RESULTS / "comparison_coverage.json"
    figures = json.loads(path.read_text())["figures"] if options.only else {}
    if options.only != "size":
        covered = coverage(options.samples, options.replications, options.jobs)
        given = {"persons": PERSONS, "replications": options.replications, "samples": options.samples}
        figures |= given | {"coverage": covered}
    if options.only != "coverage":
        figures["size"] = size(1000, options.jobs)
    report("comparison_coverage", **figures)


if __name__ == "__main__":
    main()
