"""Time and memory of CAREER at 4 layers of width 128 on NLSY97: training, prediction, simulation, forecast.

    python career_speed.py

Two epochs of training; all test rows; 100 continuations of every test person's career by 9 records; forecasts after
2010 from 100 paths. The peer, the public CAREER code (12 layers, width 192), predicts about 3,700 records per second on
as many cores.
"""

from __future__ import annotations

import time

from common import PeakMemory, nlsy97_panel, report

import econllm as el


def main() -> None:
    train, _, test = nlsy97_panel().split([0.7, 0.1, 0.2], seed=0)
    wide = el.CAREER(layers=4, dim=128, heads=4, dropout=0.3, training=el.Training(epochs=2))
    published = el.CAREER(preset="paper", training=el.Training(epochs=1, learning_rate=5e-4))
    figures: dict[str, object] = {}
    for name, model in {"4 layers, width 128": wide, "12 layers, width 192": published}.items():
        with PeakMemory() as memory:
            fit = model.fit(train, seed=0)
            history = fit.history.frame
            figures[name] = {
                "transitions per second in training": round(len(train) * len(history) / history["seconds"].iloc[-1]),
                **timed(fit, test, simulating=model is wide),
            }
        figures[f"{name}, peak memory, GB"] = round(memory.peak, 2)
        report("career_speed", **figures)


def timed(fit: el.CAREERResults, test: el.CareerPanel, simulating: bool) -> dict[str, float]:
    out = {}
    clock = time.perf_counter()
    fit.log_proba(test)
    out["test rows predicted, all occupations, per second"] = round(len(test) / (time.perf_counter() - clock))
    if simulating:
        clock = time.perf_counter()
        fit.simulate(test, horizon=9, draws=100, seed=0)
        out["seconds to simulate"] = round(time.perf_counter() - clock, 1)
        clock = time.perf_counter()
        found = fit.forecast(test, cutoff=2010, draws=100, seed=0)
        out["seconds to forecast"] = round(time.perf_counter() - clock, 1)
        out["records forecast"] = found.perplexity.n
    return out


if __name__ == "__main__":
    main()
