"""Multinomial logit on real careers: 110,654 rows, 727 sparse columns, 338 outcomes; against scikit-learn's lbfgs.

    python benchmarks/nlsy97_mnlogit.py [--peer]

Claim: test perplexity at most 8.72 within 60 s and 3 GB. With --peer scikit-learn minimises the same objective on the
same matrix (200 iterations), and the time at which each passes given distances from the best objective is compared.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from common import FORMULA, PeakMemory, nlsy97_panel, report, seconds
from scipy import sparse

import econllm as el
from econllm.formula import DesignSpec
from econllm.logit.coordinates import stack


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", action="store_true", help="also run scikit-learn, which takes some minutes")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    train, valid, test = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)
    model = el.MNLogit(FORMULA, penalty="l2", alpha=1 / len(train))
    with PeakMemory() as memory:
        time_fit, fitted = seconds(lambda: model.fit(train), options.repeats)
        time_predict, _ = seconds(lambda: fitted.log_likelihood(test), 1)
    on_test = fitted.perplexity(test)
    figures = {
        "rows": len(train),
        "columns": len(fitted.params.unstack().columns) - 1,
        "outcomes": len(fitted.choices),
        "fit_seconds": round(time_fit, 2),
        "predict_seconds": round(time_predict, 2),
        "peak_memory_gb": round(memory.peak, 2),
        "iterations": fitted.iterations,
        "converged": fitted.converged,
        "objective": fitted.objective,
        "perplexity_validation": fitted.perplexity(valid).value,
        "perplexity_test": on_test.value,
        "perplexity_test_se": on_test.std_error,
        "perplexity_test_with_history": float(
            fitted.perplexity(test, by="history").loc["with a history", "perplexity"]
        ),
    }
    for name, empirical in {
        "add_one": el.Empirical(),
        "smoothing_validation": el.Empirical(smoothing="validation"),
        "two_stage": el.Empirical(two_stage=True),
    }.items():
        figures[f"empirical_{name}_test"] = empirical.fit(train, validation=valid).perplexity(test).value
    if options.peer:
        figures |= peer(train, fitted, time_fit)
    report("nlsy97_mnlogit", **figures)


def peer(train: object, fitted: object, ours: float) -> dict[str, float]:
    """scikit-learn on the same matrix and objective."""
    from sklearn.linear_model import LogisticRegression

    _, design = DesignSpec.fit(FORMULA, train)
    x = sparse.csr_matrix(stack(design).sparse)
    outcome = train.outcome
    n = len(outcome)
    model = LogisticRegression(C=1.0, max_iter=200, tol=1e-8)
    clock = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, outcome)
    theirs = time.perf_counter() - clock
    z = x @ model.coef_.T + model.intercept_
    top = z.max(axis=1)
    log_total = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top
    at = np.searchsorted(model.classes_, outcome)
    objective = float(np.mean(log_total - z[np.arange(n), at]) + 0.5 / n * np.sum(model.coef_**2))
    trace = fitted._estimates.solution
    return {
        "sklearn_seconds": round(theirs, 1),
        "sklearn_iterations": int(np.max(model.n_iter_)),
        "sklearn_objective": objective,
        "objective_gap_relative": (objective - trace.objective) / trace.objective,
        "ratio_of_times": round(theirs / ours, 2),
    }


if __name__ == "__main__":
    main()
