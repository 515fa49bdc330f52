"""How the time of one evaluation of the objective, and of a fit, grows with rows, outcomes and columns.

    python growth.py

Writes results/growth.json and results/growth.png. The floor is what any method has to do for one gradient: two products
with the columns and one exponential per utility, timed with numpy in float32 on as many threads.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from common import RESULTS, report
from matplotlib.figure import Figure
from scipy import sparse
from threadpoolctl import threadpool_limits

from econllm.logit.problem import Problem
from econllm.logit.solver import _Objective, solve, start_point
from econllm.logit.threads import cores, workers

BASE = {"rows": 20_000, "outcomes": 50, "columns": 100}
GRID = {
    "rows": (5_000, 10_000, 20_000, 40_000, 80_000),
    "outcomes": (5, 20, 50, 100, 300),
    "columns": (10, 30, 100, 200, 400),
}


def make(rows: int, outcomes: int, columns: int) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    utilities = x @ rng.normal(size=(columns, outcomes)) / np.sqrt(columns) + rng.gumbel(size=(rows, outcomes))
    return Problem(sparse.csr_array((rows, 0)), x, utilities.argmax(axis=1), outcomes, None, 1 / rows, True)


def median(work: Any, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        work()
        times.append(time.perf_counter() - clock)
    return statistics.median(times)


def floor(problem: Problem) -> float:
    """Two products and one exponential, by chunks of rows on all cores."""
    x = problem.dense.astype(np.float32)
    w = np.zeros((problem.features, problem.outcomes), dtype=np.float32)
    size = max(1000, 400_000 // problem.outcomes)
    chunks = [x[rows] for rows in problem.chunks(size)]

    def part(chunk: np.ndarray) -> np.ndarray:
        z = chunk @ w
        np.exp(z, out=z)
        out: np.ndarray = chunk.T @ z
        return out

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as pool:
        return median(lambda: list(pool.map(part, chunks)))


def main() -> None:
    figures: dict[str, list[dict[str, float]]] = {}
    for name, values in GRID.items():
        figures[name] = []
        for value in values:
            problem = make(**{**BASE, name: value})
            with workers(cores()) as run:
                objective = _Objective(problem, np.float32, run)
                point = start_point(problem)
                evaluation = median(lambda objective=objective, point=point: objective(point))
            clock = time.perf_counter()
            found = solve(problem, polish=False)
            figures[name].append(
                {
                    name: value,
                    "evaluation_seconds": round(evaluation, 5),
                    "floor_seconds": round(floor(problem), 5),
                    "fit_seconds": round(time.perf_counter() - clock, 3),
                    "iterations": found.iterations,
                }
            )
    draw(figures)
    report("growth", base=BASE, **figures)


def draw(figures: dict[str, list[dict[str, float]]]) -> None:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(1, 3, sharey=True), figures.items(), strict=True):
        at = [row[name] for row in rows]
        ink, guide = "#004488", "#777777"
        axes.plot(at, [row["fit_seconds"] for row in rows], "o-", color=ink, label="fit to 1e-6")
        axes.plot(at, [row["evaluation_seconds"] for row in rows], "s--", color=ink, label="one gradient")
        axes.plot(at, [row["floor_seconds"] for row in rows], ":", color=guide, label="floor of a gradient")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(name)
        axes.set_xticks(at, [f"{value:,}" for value in at], fontsize=8)
        axes.minorticks_off()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.axes[0].set_ylabel("seconds")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / "growth.png", dpi=150)


if __name__ == "__main__":
    main()
