"""Elastic-net paths of 50 alphas against R glmnet: python elastic_net.py [iid ar sparse]."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import report, seconds
from scipy import sparse

from econllm.logit.elastic import kkt_violation
from econllm.logit.path import elastic_path, grid
from econllm.logit.problem import Point, Problem

ROWS, COLUMNS, OUTCOMES, ALPHAS = 5_000, 200, 10, 50
# With these glmnet's largest violation of the conditions is nearest to ours, without being smaller than half of it.
THRESHOLDS = {"iid": 1e-13, "ar": 1e-12, "sparse": 1e-13}
SCRIPT = """
suppressMessages({library(glmnet); library(Matrix)})
a <- commandArgs(TRUE); n <- as.integer(a[1]); p <- as.integer(a[2]); k <- as.integer(a[3]); repeats <- as.integer(a[6])
x <- matrix(readBin("x.bin", "double", n * p), n, p)
if (a[5] == "sparse") x <- Matrix(x, sparse = TRUE)
y <- factor(readBin("y.bin", "integer", n)); alphas <- readBin("alphas.bin", "double", 1000)
times <- numeric(repeats)
for (r in seq_len(repeats)) {
  times[r] <- system.time(f <- glmnet(x, y, family = "multinomial", type.multinomial = "ungrouped", alpha = 0.5,
    lambda = alphas, standardize = FALSE, thresh = as.numeric(a[4]), maxit = 1e8))[["elapsed"]]
}
out <- array(0, c(p + 1, length(f$lambda), k))
for (j in seq_len(k)) out[, , j] <- as.matrix(rbind(f$a0[j, ], f$beta[[j]]))
writeBin(as.vector(out), "slopes.bin"); writeBin(times, "times.bin")
cat(as.character(packageVersion("glmnet")))
"""


def problem(kind: str) -> Problem:
    """Ten outcomes, one slope in ten not zero."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, COLUMNS))
    if kind == "ar":
        for j in range(1, COLUMNS):
            x[:, j] = 0.9 * x[:, j - 1] + np.sqrt(0.19) * x[:, j]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    if kind == "sparse":
        x = (rng.random((ROWS, COLUMNS)) < 0.05).astype(float)
    slopes = rng.standard_normal((COLUMNS, OUTCOMES)) * (rng.random((COLUMNS, OUTCOMES)) < 0.1) * 0.7
    y = (x @ slopes + rng.gumbel(size=(ROWS, OUTCOMES))).argmax(axis=1)
    empty = sparse.csr_array((ROWS, 0)), np.zeros((ROWS, 0))
    columns = (sparse.csr_array(x), empty[1]) if kind == "sparse" else (empty[0], x)
    return Problem(*columns, y, OUTCOMES, None, 0.0, True, l1_ratio=0.5)


def glmnet(data: Problem, alphas: np.ndarray, threshold: float, repeats: int) -> tuple[float, list[Point], str] | None:
    """Median time in R, coefficients, version; None where R or glmnet is absent."""
    if (
        shutil.which("Rscript") is None
        or subprocess.run(["Rscript", "-e", "library(glmnet)"], capture_output=True).returncode
    ):
        return None
    kind = "sparse" if data.sparse.shape[1] else "dense"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.hstack([data.sparse.toarray(), data.dense]).T.tofile(folder / "x.bin")
        data.outcome.astype(np.int32).tofile(folder / "y.bin")
        alphas.tofile(folder / "alphas.bin")
        (folder / "path.R").write_text(SCRIPT)
        sizes = [ROWS, COLUMNS, OUTCOMES, threshold, kind, repeats]
        command = ["Rscript", "path.R", *map(str, sizes)]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        out = np.fromfile(folder / "slopes.bin").reshape(OUTCOMES, -1, COLUMNS + 1)
        times = np.fromfile(folder / "times.bin").tolist()
    points = [Point(out[:, a, 1:].T.copy(), out[:, a, 0].copy(), np.zeros(0)) for a in range(out.shape[1])]
    return statistics.median(times), points, done.stdout.strip()


def worst(data: Problem, alphas: np.ndarray, points: list[Point]) -> float:
    """Largest violation over the path."""
    return max(kkt_violation(replace(data, alpha=a), p) for a, p in zip(alphas, points, strict=False))


def compare(kind: str, repeats: int = 3) -> dict[str, Any]:
    """Both sides on one design."""
    data = problem(kind)
    alphas = grid(data, ALPHAS)
    elastic_path(data, alphas[:2])  # compiles
    ours, solutions = seconds(lambda: elastic_path(data, alphas), repeats)
    points = [s.point for s in solutions]
    figures: dict[str, Any] = {
        "seconds": round(ours, 2),
        "converged": all(s.converged for s in solutions),
        "kkt": worst(data, alphas, points),
    }
    peer = glmnet(data, alphas, THRESHOLDS[kind], repeats)
    if peer is None:
        print("Rscript with glmnet is not installed: the peer is left out")
        return figures
    theirs, others, version = peer
    gaps = [float(np.abs(a.slopes - b.slopes).max()) for a, b in zip(points, others, strict=False)]
    return figures | {
        "glmnet": version,
        "glmnet_seconds": round(theirs, 2),
        "glmnet_threshold": THRESHOLDS[kind],
        "glmnet_kkt": worst(data, alphas, others),
        "glmnet_alphas": len(others),
        "largest_difference": max(gaps),
        "ratio": round(theirs / ours, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("designs", nargs="*", default=["iid", "ar", "sparse"], help="iid, ar, sparse")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    report("elastic_net", **{kind: compare(kind, options.repeats) for kind in options.designs})
