"""What every benchmark shares: timing, peak memory, and a JSON file with versions and hardware."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[2] / "shared"))
FORMULA = (
    "occupation ~ lag(occupation) + lag(occupation, 2) + C(year) + C(birth_year) + sex + race + region + education"
)
_PACKAGES = (
    "econllm",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "statsmodels",
    "torch",
    "transformers",
    "sentence-transformers",
)


def nlsy97_panel(**options: Any) -> Any:
    """Real careers: NLSY97 persons with a birth year, 338 occupation states."""
    import econllm as el

    folder = SHARED / "data" / "nlsy97"
    df = pd.read_csv(folder / "careers.csv.gz").dropna(subset=["birth_year"])
    titles = pd.read_csv(folder / "occupations.csv")
    return el.CareerPanel(
        df,
        person="person_id",
        time="year",
        occupation="occupation",
        titles=titles,
        static=["birth_year", "sex", "race"],
        dynamic=["region", "education"],
        lagged=["hours", "hourly_wage"],
        **options,
    )


def wage_panel() -> Any:
    """Real careers that ship with linearmodels: 545 men, 1980 to 1987, nine occupations."""
    import econllm as el

    return el.CareerPanel(
        el.datasets.load_wage_panel(),
        person="nr",
        time="year",
        occupation="occupation",
        titles=el.datasets.WAGE_PANEL_TITLES,
        static=["black", "hisp"],
        dynamic=["educ", "exper", "married"],
        lagged=["union"],
    )


def seconds(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Median wall time of several runs, and what the last one returned."""
    times, out = [], None
    for _ in range(repeats):
        clock = time.perf_counter()
        out = work()
        times.append(time.perf_counter() - clock)
    return statistics.median(times), out


def race(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """Median wall times of two sides that take turns, so that a busy spell of the machine hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, work in enumerate((ours, theirs)):
            clock = time.perf_counter()
            work()
            times[side].append(time.perf_counter() - clock)
    return statistics.median(times[0]), statistics.median(times[1])


class PeakMemory:
    """Largest resident memory while a block runs, in GB, sampled every few milliseconds."""

    def __enter__(self) -> PeakMemory:
        self.peak = _resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, _resident())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


def report(name: str, **figures: Any) -> None:
    """Print figures and write them to results/NAME.json with versions and hardware."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    content = {
        "figures": figures,
        "hardware": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
        },
        "versions": versions,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()
