"""MNLogit without a penalty against statsmodels: equal numbers, and the time of both.

python benchmarks/agreement.py
"""

from __future__ import annotations

import warnings

import numpy as np
import statsmodels.api as sm
import statsmodels.formula.api as smf
from common import report, seconds

import econllm as el


def main() -> None:
    anes, fair = sm.datasets.anes96.load_pandas().data, sm.datasets.fair.load_pandas().data
    wage = el.datasets.load_wage_panel()
    cases = {
        "anes96": (anes, "PID ~ logpopul + selfLR + age + educ + income"),
        "fair": (fair, "rate_marriage ~ age + yrs_married + religious"),
        "wage_panel": (wage, "occupation ~ educ + exper + black + married"),
    }
    figures = {}
    for name, (df, formula) in cases.items():
        theirs_time, theirs = seconds(
            lambda f=formula, d=df: smf.mnlogit(f, d).fit(method="newton", maxiter=100, disp=0)
        )
        ours_time, ours = seconds(lambda f=formula, d=df: el.MNLogit(f).fit(d))
        params = theirs.params.to_numpy().T.ravel()
        figures[name] = {
            "rows": len(df),
            "largest_difference_params": float(np.abs(ours.params.to_numpy() - params).max()),
            "largest_difference_std_errors": float(
                np.abs(ours.std_errors.to_numpy() - theirs.bse.to_numpy().T.ravel()).max()
            ),
            "difference_log_likelihood": float(ours.info.log_likelihood - theirs.llf),
            "econllm_seconds": round(ours_time, 4),
            "statsmodels_seconds": round(theirs_time, 4),
        }
    report("agreement_statsmodels", **figures)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        main()
