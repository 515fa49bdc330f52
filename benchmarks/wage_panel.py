"""The figures of the wage panel: split seed 0, all test records and those with a history.

python benchmarks/wage_panel.py
"""

from __future__ import annotations

from common import report, seconds, wage_panel

import econllm as el


def main() -> None:
    train, valid, test = wage_panel().split([0.7, 0.1, 0.2], seed=0)
    models = {
        "Empirical": el.Empirical(),
        "Empirical, two stages": el.Empirical(two_stage=True),
        "MNL": el.MNLogit(
            "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)", penalty="l2"
        ),
        "MNL + text": el.MNLogit("occupation ~ embed(resume)", penalty="l2"),
        "CAREER": el.CAREER(),
    }
    figures: dict[str, object] = {"persons": [len(part.persons) for part in (train, valid, test)]}
    fitted = {}
    for name, model in models.items():
        time, fitted[name] = seconds(lambda m=model: m.fit(train, validation=valid, seed=0))
        figures[f"{name}, fit seconds"] = round(time, 3)
    frame = el.compare(fitted, test, reference="MNL").frame
    career = frame.loc["CAREER"]
    figures["CAREER less MNL, nats, standard error"] = [career["difference"], career["difference_std_error"]]
    figures["perplexity"] = {n: [round(r["perplexity"], 3), round(r["history"], 3)] for n, r in frame.iterrows()}
    refits = {name: fitted[name] for name in ("Empirical", "MNL")}
    time, _ = seconds(
        lambda: el.bootstrap(refits, train, test, validation=valid, replications=200, n_jobs=2, seed=0), 1
    )
    figures["bootstrap, 200 replications of Empirical and MNL, seconds"] = round(time, 1)
    report("wage_panel", **figures)


if __name__ == "__main__":
    main()
