"""A fit without a penalty and with robust standard errors, against statsmodels' MNLogit (newton, HC0).

    python unpenalised.py [--repeats 3]

50,000 rows, 20 regressors, 10 outcomes. Both sides from the data frame to the standard errors.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from common import report

import econllm as el


def data(n: int = 50_000, regressors: int = 20, outcomes: int = 10) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, regressors))
    utilities = x @ rng.normal(size=(regressors, outcomes)) * 0.3 + rng.gumbel(size=(n, outcomes))
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(regressors)]).assign(y=utilities.argmax(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    df = data()
    formula = "y ~ " + " + ".join(c for c in df if c != "y")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        clock = time.perf_counter()
        own = el.MNLogit(formula, cov_type="robust", ssc=None).fit(df)
        errors = own.std_errors
        times[0].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        other = smf.mnlogit(formula, df).fit(method="newton", cov_type="HC0", maxiter=100, disp=0)
        reference = other.bse
        times[1].append(time.perf_counter() - clock)
    medians = [statistics.median(side) for side in times]
    report(
        "unpenalised",
        rows=len(df),
        regressors=20,
        outcomes=10,
        repeats=repeats,
        econllm_seconds=round(medians[0], 2),
        statsmodels_seconds=round(medians[1], 2),
        ratio=round(medians[1] / medians[0], 1),
        largest_difference_of_coefficients=float(
            np.abs(own.params.to_numpy() - other.params.to_numpy().T.ravel()).max()
        ),
        largest_relative_difference_of_std_errors=float(
            np.abs(errors.to_numpy() / np.asarray(reference).T.ravel() - 1).max()
        ),
    )


if __name__ == "__main__":
    main()
