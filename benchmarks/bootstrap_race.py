"""Clustered bootstrap of coefficients: 200 replications on the wage panel, against refits by statsmodels.

    python bootstrap_race.py [--replications 200]

``occupation ~ educ + exper + black + married``. Both sides refit the same resamples: persons drawn with replacement.
statsmodels takes no weights, so its resamples are data frames with rows repeated; ours are weights.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import statsmodels.formula.api as smf
from common import report

import econllm as el
from econllm.options import child_seed, resolve_seed
from econllm.resampling import person_weights

FORMULA = "occupation ~ educ + exper + black + married"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    replications = parser.parse_args().replications
    warnings.simplefilter("ignore")  # resamples that separate an outcome are counted below
    df = el.datasets.load_wage_panel()
    panel = el.CareerPanel(
        df,
        person="nr",
        time="year",
        occupation="occupation",
        titles=el.datasets.WAGE_PANEL_TITLES,
        static=["black"],
        dynamic=["educ", "exper", "married"],
    )
    model = el.MNLogit(FORMULA, cov_type="bootstrap", replications=replications, draws="multinomial", n_jobs=1)
    clock = time.perf_counter()
    own = model.fit(panel, seed=0)
    alone = time.perf_counter() - clock
    clock = time.perf_counter()
    model.replace(n_jobs=2).fit(panel, seed=0)
    together = time.perf_counter() - clock
    frame = panel.to_frame()
    persons, group = np.unique(panel.origin_ids, return_inverse=True)
    refits, finished, clock = [], [], time.perf_counter()
    for b in range(replications):
        # The weights that replication b had above, as counts of persons.
        seed = child_seed(child_seed(resolve_seed(0), b), 0)
        counts = np.rint(person_weights(np.arange(len(persons)), seed, "multinomial").to_numpy()).astype(int)
        again = frame.iloc[np.repeat(np.arange(len(frame)), counts[group])]
        codes = again["occupation"].astype("category").cat.codes
        fit = smf.mnlogit(FORMULA, again.assign(occupation=codes)).fit(method="newton", maxiter=100, disp=0)
        refits.append(fit.params.to_numpy().T.ravel())
        finished.append(bool(fit.mle_retvals["converged"]))
    seconds = time.perf_counter() - clock
    # Where a resample separates an outcome, there is no estimate, and each side stops somewhere.
    difference = np.abs(np.asarray(refits) - own.replicates.to_numpy())[finished]
    report(
        "bootstrap_race",
        rows=len(frame),
        persons=len(persons),
        replications=replications,
        econllm_seconds_one_worker=round(alone, 2),
        econllm_seconds_two_workers=round(together, 2),
        statsmodels_seconds=round(seconds, 2),
        ratio_one_worker=round(seconds / alone, 1),
        ratio_two_workers=round(seconds / together, 1),
        statsmodels_did_not_converge=replications - sum(finished),
        largest_difference_where_it_did=float(difference.max()),
    )


if __name__ == "__main__":
    main()
