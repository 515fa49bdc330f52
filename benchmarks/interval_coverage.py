"""How often confidence intervals of 95% hold the value that they are about.

Simulated data sets from five designs; for each kind of standard error the share of intervals that hold the target, for
coefficients, average marginal effects and predicted probabilities. The target is the pseudo-true value: what the same
estimator tends to, found on a very large sample of the same design. Effects are about the covariates at hand.

    python interval_coverage.py [--sets 500] [--jobs 2]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
from common import report

import econllm as el

LEVEL = 0.95
POINTS = pd.DataFrame({"person": [0, 1, 2], "year": 2000, "x": [-1.0, 0.0, 1.0], "g": ["u", "v", "u"]})
POINTS["y"] = ["a", "b", "c"]


@dataclass(frozen=True)
class Design:
    """One way to simulate data, and the estimators that are tried on it."""

    name: str
    persons: int
    records: int
    effect: float  # standard deviation of person effects on the utilities
    curved: bool  # utilities have a square of x that the formula leaves out
    models: dict[str, el.MNLogit]


def simulate(design: Design, persons: int, seed: int) -> pd.DataFrame:
    """Choices among three outcomes; x and the effects of a person last over the records."""
    rng = np.random.default_rng(seed)
    n = persons * design.records
    person = np.repeat(np.arange(persons), design.records)
    x = np.repeat(rng.normal(size=persons), design.records) * 0.8 + 0.6 * rng.normal(size=n)
    g = np.repeat(rng.choice(["u", "v"], persons), design.records)
    effects = np.repeat(rng.normal(size=(persons, 3)) * design.effect, design.records, axis=0)
    v = np.column_stack([np.zeros(n), 0.3 + 0.7 * x, -0.2 - 0.4 * x + 0.6 * (g == "v")]) + effects
    if design.curved:
        v[:, 1] += 0.4 * x**2
    y = np.array(["a", "b", "c"])[(v + rng.gumbel(size=v.shape)).argmax(axis=1)]
    year = np.tile(np.arange(design.records), persons)
    return pd.DataFrame({"person": person, "year": year, "y": y, "x": x, "g": g})


def panel_of(df: pd.DataFrame) -> el.CareerPanel:
    return el.CareerPanel(df, "person", "year", "y", titles=el.ChoiceSet(["a", "b", "c"]), static=["g"], dynamic=["x"])


def quantities(fit: el.MNLogitResults, data: el.CareerPanel, points: el.CareerPanel) -> dict[str, pd.DataFrame]:
    """Estimates with their intervals."""
    proba = fit.predict_proba(points, interval=LEVEL)
    parts = {part: proba.xs(part, axis=1, level="part").to_numpy().ravel() for part in ("estimate", "lower", "upper")}
    return {
        "coefficients": fit.tidy(LEVEL)[["estimate", "lower", "upper"]],
        "marginal effects": fit.marginal_effects(data, level=LEVEL).frame[["estimate", "lower", "upper"]],
        "probabilities": pd.DataFrame(parts),
    }


def targets(fit: el.MNLogitResults, data: el.CareerPanel, points: el.CareerPanel) -> dict[str, np.ndarray]:
    """The same of the fit to the large sample."""
    return {
        "coefficients": fit.params.to_numpy(),
        "marginal effects": fit.marginal_effects(data).frame["estimate"].to_numpy(),
        "probabilities": fit.predict_proba(points).to_numpy().ravel(),
    }


def one_set(design: Design, truths: dict[str, el.MNLogitResults], points: el.CareerPanel, seed: int) -> pd.DataFrame:
    """Whether every interval of one data set holds its target."""
    data = panel_of(simulate(design, design.persons, seed))
    rows = []
    for name, model in design.models.items():
        fit = model.fit(data, seed=seed)
        aim = targets(truths[name], data, points)
        for kind, frame in quantities(fit, data, points).items():
            held = (frame["lower"].to_numpy() <= aim[kind]) & (aim[kind] <= frame["upper"].to_numpy())
            rows += [(name, kind, i, bool(h)) for i, h in enumerate(held)]
    return pd.DataFrame(rows, columns=["se", "of", "number", "held"])


def designs() -> list[Design]:
    base = el.MNLogit("y ~ x + g")
    penalised = base.replace(penalty="l2", alpha=0.02)
    few = {"replications": 200, "cov_type": "bootstrap"}
    independent = {"nonrobust": base.replace(cov_type="nonrobust"), "robust": base.replace(cov_type="robust")}
    return [
        Design("independent records", 500, 1, 0.0, False, independent),
        Design("a square left out", 500, 1, 0.0, True, independent),
        Design(
            "person effects",
            200,
            5,
            1.2,
            False,
            {
                "nonrobust": base.replace(cov_type="nonrobust"),
                "clustered": base.replace(cov_type="clustered"),
                "bootstrap": base.replace(**few),
            },
        ),
        Design(
            "person effects, L2 penalty",
            200,
            5,
            1.2,
            False,
            {"clustered": penalised.replace(cov_type="clustered"), "bootstrap": penalised.replace(**few)},
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    points = panel_of(POINTS[["person", "year", "y", "x", "g"]])
    cells, clock = [], time.perf_counter()
    for design in designs():
        large = panel_of(simulate(design, 1_000_000 // design.records, seed=10**6))
        truths = {n: m.replace(cov_type=None, cluster=None).fit(large) for n, m in design.models.items()}
        work = (joblib.delayed(one_set)(design, truths, points, seed) for seed in range(options.sets))
        found = pd.concat(joblib.Parallel(n_jobs=options.jobs)(work))
        shares = found.groupby(["se", "of", "number"], sort=False)["held"].mean()
        for (kind, of), part in shares.groupby(level=["se", "of"], sort=False):
            cells.append(
                {
                    "design": design.name,
                    "std_errors": kind,
                    "of": of,
                    "intervals": len(part),
                    "mean": round(float(part.mean()), 4),
                    "lowest": round(float(part.min()), 4),
                    "highest": round(float(part.max()), 4),
                    "outside_93_97": int(((part < 0.93) | (part > 0.97)).sum()),
                    "outside_91_99": int(((part < 0.91) | (part > 0.99)).sum()),
                }
            )
            print(cells[-1], flush=True)
    honest = [c for c in cells if not (c["std_errors"] == "nonrobust" and c["design"] != "independent records")]
    report(
        "interval_coverage",
        level=LEVEL,
        sets=options.sets,
        seconds=round(time.perf_counter() - clock, 1),
        cells=cells,
        valid_intervals=sum(c["intervals"] for c in honest),
        valid_outside_93_97=sum(c["outside_93_97"] for c in honest),
        valid_outside_91_99=sum(c["outside_91_99"] for c in honest),
    )


if __name__ == "__main__":
    main()
