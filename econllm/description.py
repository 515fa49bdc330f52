"""What a panel of careers looks like: counts, stays, gaps and patterns of observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PanelDescription:
    """Description of a panel, in the manner of Stata's xtdescribe.

    Attributes
    ----------
    persons, transitions, first_records : int
        Distinct persons, rows that are predicted, and those of them without a history.
    states, choices : int
        Occupations that occur, and the size of the choice set.
    stay_share : float
        Share of transitions with a history in which the occupation of the record before is kept.
    years : tuple of float
        First and last time, and the number of distinct times.
    records_per_person : pandas.Series
        Minimum, percentiles 5, 25, 50, 75 and 95, and maximum.
    gaps : int
        Pairs of successive records that are further apart than the usual step.
    gap_share : float
        `gaps` as a share of all pairs of successive records.
    step : float
        The usual (most frequent) distance in time between successive records; nan without such pairs.
    patterns : pandas.DataFrame
        The most frequent patterns of observation over time (1 observed, . not), with count and share of persons;
        empty when there are more than 60 distinct times.

    Examples
    --------
    >>> d = describe_panel(np.array([1.0, 2, 4]), np.array([0, 0, 1]), np.array([1, 2, 3]), np.ones(3, bool), 2)
    >>> d.stay_share, d.gaps
    (0.5, 1)
    """

    persons: int
    transitions: int
    first_records: int
    states: int
    choices: int
    stay_share: float
    years: tuple[float, float, int]
    records_per_person: pd.Series
    gaps: int
    gap_share: float
    step: float
    patterns: pd.DataFrame

    def __str__(self) -> str:
        first, last, distinct = self.years
        facts = [
            ("persons", f"{self.persons:,}"),
            ("transitions", f"{self.transitions:,}"),
            ("first records (empty history)", f"{self.first_records:,}"),
            ("occupations that occur", f"{self.states:,} of {self.choices:,}"),
            ("share of stays", f"{self.stay_share:.1%}"),
            ("times", f"{first:g} to {last:g}, {distinct} distinct"),
            ("usual step, gaps beyond it", f"{self.step:g}, {self.gaps:,} ({self.gap_share:.1%} of pairs)"),
        ]
        lines = [f"{name:<32}{value:>24}" for name, value in facts]
        quantiles = "  ".join(f"{name} {value:g}" for name, value in self.records_per_person.items())
        lines.append(f"records per person               {quantiles}")
        if len(self.patterns):
            lines += ["", f"{'persons':>9} {'share':>7}  pattern"]
            lines += [f"{r.persons:>9,} {r.share:>7.1%}  {r.pattern}" for r in self.patterns.itertuples()]
        return "\n".join(lines)

    __repr__ = __str__


def describe_panel(
    times: np.ndarray, outcome: np.ndarray, record: np.ndarray, target: np.ndarray, choices: int
) -> PanelDescription:
    """Describe records sorted by person and time.

    Parameters
    ----------
    times, outcome, record : numpy.ndarray, shape (n,)
        Time, position of the occupation in the choice set, and number 1, 2, ... of the record within its person.
    target : numpy.ndarray of bool, shape (n,)
        The records that are predicted; the others are history.
    choices : int
        Size of the choice set.

    Returns
    -------
    PanelDescription

    Examples
    --------
    >>> describe_panel(np.array([1.0]), np.array([0]), np.array([1]), np.array([True]), 3).first_records
    1
    """
    later = np.flatnonzero((record > 1) & target)
    steps = times[later] - times[later - 1]
    step = float(pd.Series(steps).mode().iloc[0]) if len(steps) else np.nan
    gaps = int((steps > step).sum()) if len(steps) else 0
    person = np.cumsum(record == 1)
    shown = person[target]
    counts = pd.Series(shown).value_counts()
    quantiles = counts.quantile([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]) if len(counts) else pd.Series([np.nan] * 7)
    quantiles.index = pd.Index(["min", "p5", "p25", "p50", "p75", "p95", "max"])
    distinct = np.unique(times[target])
    return PanelDescription(
        persons=len(counts),
        transitions=int(target.sum()),
        first_records=int(((record == 1) & target).sum()),
        states=len(np.unique(outcome[target])),
        choices=choices,
        stay_share=float((outcome[later] == outcome[later - 1]).mean()) if len(later) else np.nan,
        years=(float(distinct[0]), float(distinct[-1]), len(distinct)) if len(distinct) else (np.nan, np.nan, 0),
        records_per_person=quantiles,
        gaps=gaps,
        gap_share=gaps / len(steps) if len(steps) else 0.0,
        step=step,
        patterns=_patterns(shown, times[target], distinct),
    )


def _patterns(person: np.ndarray, times: np.ndarray, distinct: np.ndarray, limit: int = 9) -> pd.DataFrame:
    if not len(distinct) or len(distinct) > 60:
        return pd.DataFrame({"persons": [], "share": [], "pattern": []})
    _, row = np.unique(person, return_inverse=True)
    seen = np.full((row.max() + 1, len(distinct)), ".", dtype="U1")
    seen[row, np.searchsorted(distinct, times)] = "1"
    counts = pd.Series(seen.view(f"U{len(distinct)}").ravel()).value_counts().head(limit)
    frame = pd.DataFrame(
        {"persons": counts.to_numpy(), "share": counts.to_numpy() / len(seen), "pattern": counts.index}
    )
    rest = len(seen) - int(counts.sum())
    if rest:
        others = pd.DataFrame({"persons": [rest], "share": [rest / len(seen)], "pattern": ["(other patterns)"]})
        frame = pd.concat([frame, others], ignore_index=True)
    return frame
