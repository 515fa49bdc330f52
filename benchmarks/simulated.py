"""How near estimates come to the truth on simulated careers, and that none beats it.

    python benchmarks/simulated.py

Claim: on the "mnl" process with 20 occupations and 5,000 persons, MNLogit with the right formula is within 1.5% of the
oracle's test perplexity; no model beats the oracle beyond sampling error in any process.
"""

from __future__ import annotations

from common import report

import econllm as el


def main() -> None:
    figures = {}
    for process in ("mnl", "two_stage"):
        for order in (1, 2):
            panel = el.datasets.simulate_careers(5000, 20, process=process, order=order, seed=0)
            train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)
            lags = "lag(occupation)" + (" + lag(occupation, 2)" if order == 2 else "")
            models = {
                "Oracle": el.Oracle(),
                "Empirical": el.Empirical(smoothing="validation"),
                "Empirical, order 2": el.Empirical(smoothing="validation", order=2),
                "Empirical, two stages": el.Empirical(smoothing="validation", two_stage=True),
                "MNL": el.MNLogit(f"occupation ~ {lags} + educ + exper + sex", penalty="l2"),
            }
            fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}
            table = el.compare(fitted, test)
            oracle = table.frame.loc["Oracle", "perplexity"]
            figures[f"{process}, order {order}"] = {
                name: {
                    "perplexity": round(row["perplexity"], 4),
                    "over_oracle": round(row["perplexity"] / oracle - 1, 5),
                    "t_against_oracle": None
                    if name == "Oracle"
                    else round(row["difference"] / row["difference_std_error"], 2),
                }
                for name, row in table.frame.iterrows()
            }
    report("simulated", **figures)


if __name__ == "__main__":
    main()
