"""Average marginal effects with standard errors against statsmodels: equal numbers, time, and memory above the data.

python benchmarks/marginal_effects.py
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from common import PeakMemory, report, seconds

import econllm as el

ROWS, REGRESSORS, OUTCOMES = 2_000, 20, 20


def sample() -> tuple[pd.DataFrame, str]:
    """A multinomial logit in Gaussian regressors."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, REGRESSORS))
    utility = x @ rng.normal(scale=0.3, size=(REGRESSORS, OUTCOMES)) + rng.gumbel(size=(ROWS, OUTCOMES))
    names = [f"x{k}" for k in range(REGRESSORS)]
    df = pd.DataFrame(x, columns=names).assign(y=utility.argmax(axis=1))
    return df, f"y ~ {' + '.join(names)}"


def measured(work: Any, repeats: int) -> tuple[float, float, Any]:
    """Median seconds, and the largest memory in GB above what there was before."""
    with PeakMemory() as idle:
        pass
    with PeakMemory() as memory:
        time, out = seconds(work, repeats)
    return time, memory.peak - idle.peak, out


def main() -> None:
    df, formula = sample()
    ours = el.MNLogit(formula).fit(df)
    theirs = smf.mnlogit(formula, df).fit(method="newton", maxiter=100, disp=0, tol=1e-12)
    figures: dict[str, Any] = {"rows": ROWS, "regressors": REGRESSORS, "outcomes": OUTCOMES}
    for at in ("overall", "mean"):
        our_time, our_memory, effects = measured(lambda at=at: ours.marginal_effects(df, at=at), 5)
        their_time, their_memory, margins = measured(lambda at=at: theirs.get_margeff(at=at), 1)
        frame = effects.frame
        shape = (REGRESSORS, OUTCOMES)
        figures[at] = {
            "econllm_seconds": round(our_time, 3),
            "statsmodels_seconds": round(their_time, 2),
            "ratio": round(their_time / our_time, 1),
            "econllm_gigabytes": round(our_memory, 3),
            "statsmodels_gigabytes": round(their_memory, 3),
            "largest_difference_effects": float(
                np.abs(frame["estimate"].to_numpy().reshape(shape) - margins.margeff).max()
            ),
            "largest_difference_std_errors": float(
                np.abs(frame["std_error"].to_numpy().reshape(shape) - margins.margeff_se).max()
            ),
        }
    report("marginal_effects", **figures)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        main()
