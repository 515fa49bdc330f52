"""How soon the solver comes near the optimum, against scikit-learn's LogisticRegression(lbfgs) on the same matrices.

    python solver_race.py dense [--repeats 3]
    python solver_race.py nlsy97 [--repeats 3] [--limit 1200]

Times until the objective is within a share of the best one that either side found. scikit-learn reports no progress, so
the function that it minimises is wrapped to note the time and the value of every evaluation.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
from common import FORMULA, nlsy97_panel, report
from scipy import sparse
from sklearn.linear_model import LogisticRegression, _logistic

from econllm.logit.problem import Problem
from econllm.logit.solver import solve
from econllm.multinomial.columns import Specification
from econllm.multinomial.setup import Setup
from econllm.sample import read_sample

SHARES = (1e-3, 1e-4, 1e-5, 1e-6)
Trace = list[tuple[float, float]]


def dense_problem() -> Problem:
    """20,000 rows of 384 Gaussian columns, 50 outcomes."""
    rng = np.random.default_rng(0)
    n, columns, outcomes = 20_000, 384, 50
    x = rng.normal(size=(n, columns))
    utilities = x @ rng.normal(size=(columns, outcomes)) * 0.1 + rng.gumbel(size=(n, outcomes))
    return Problem(sparse.csr_array((n, 0)), x, utilities.argmax(axis=1), outcomes, None, 1 / n, True)


def nlsy97_problem() -> Problem:
    """The training sample of the NLSY97 panel: factors of last and second-last occupation, year, and the person."""
    train = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)[0]
    options: dict[str, Any] = {"missing": "raise", "context": None, "offset": None, "choice_sets": None}
    _, columns = Specification.fit(FORMULA, train, train.choices, full=True, **options)
    sample = read_sample(train, "occupation", train.choices)
    setup = Setup.make(columns, (), sample, None, len(train.choices), penalised=True)
    return setup.with_penalty(1 / len(train), 0.0).problem


class _OutOfTime(Exception):
    pass


def theirs(problem: Problem, limit: float) -> Trace:
    """Seconds and objective at every evaluation of scikit-learn, for at most `limit` seconds."""
    trace: Trace = []
    minimise = _logistic.optimize.minimize
    clock = time.perf_counter()

    def watched(function: Any, *args: Any, **options: Any) -> Any:
        def noted(*inner: Any) -> Any:
            value = function(*inner)
            trace.append((time.perf_counter() - clock, float(value[0])))
            if trace[-1][0] > limit:
                raise _OutOfTime
            return value

        return minimise(noted, *args, **options)

    x = problem.dense if problem.dense.shape[1] else sparse.csr_matrix(problem.sparse)
    model = LogisticRegression(C=1 / (problem.rows * problem.alpha), tol=1e-10, max_iter=10_000)
    _logistic.optimize.minimize = watched
    try:
        model.fit(x, problem.outcome)
    except _OutOfTime:
        pass
    finally:
        _logistic.optimize.minimize = minimise
    return trace


def ours(problem: Problem) -> Trace:
    return list(solve(problem, tolerance=1e-8, max_iter=3000).trace)


def reached(trace: Trace, bound: float) -> float | None:
    """Seconds until the objective was below a bound."""
    return next((seconds for seconds, value in trace if value <= bound), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("design", choices=["dense", "nlsy97"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds for scikit-learn")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn warns that it has not converged
    problem = dense_problem() if options.design == "dense" else nlsy97_problem()
    many = options.design == "dense"
    own = [ours(problem) for _ in range(options.repeats)]
    other = [theirs(problem, options.limit) for _ in range(options.repeats if many else 1)]
    best = min(value for trace in (*own, *other) for _, value in trace)
    figures = {}
    for share in SHARES:
        sides = []
        for traces in (own, other):
            times = [reached(trace, best * (1 + share)) for trace in traces]
            sides.append(None if None in times else statistics.median([t for t in times if t is not None]))
        longest = max(trace[-1][0] for trace in other)
        bound = sides[1] if sides[1] is not None else longest
        figures[f"within {share:g}"] = {
            "econllm_seconds": None if sides[0] is None else round(sides[0], 2),
            "scikit_learn_seconds": None if sides[1] is None else round(sides[1], 2),
            "ratio": None if sides[0] is None else round(bound / sides[0], 1),
            "ratio_is_a_lower_bound": sides[1] is None,
        }
    last = min(value for _, value in other[0])
    report(
        f"solver_race_{options.design}",
        rows=problem.rows,
        columns=problem.features,
        outcomes=problem.outcomes,
        best_objective=best,
        iterations=[len(trace) for trace in own],
        seconds=[round(trace[-1][0], 2) for trace in own],
        scikit_learn_evaluations=[len(trace) for trace in other],
        scikit_learn_last_objective_over_best=last / best - 1,
        repeats={"econllm": len(own), "scikit_learn": len(other)},
        **figures,
    )


if __name__ == "__main__":
    main()
