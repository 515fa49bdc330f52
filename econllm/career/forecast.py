"""Forecasts: what happened after a cutoff, under the average of simulated paths."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.career.batches import Store
from econllm.career.inputs import Careers
from econllm.career.paths import Paths, Records, chunks, pick, uniforms
from econllm.career.prediction import Predictor
from econllm.career.simulate import check_paths, code_records
from econllm.choices import ChoiceSet, plain_code, state_positions
from econllm.errors import OptionError, check_number, check_option
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.sample import read_sample
from econllm.tables import Column, Fact, Panel, Row, Table

CovariatesAfter = Literal["held", "realised"]
# An area under the curve from fewer records on either side says nothing.
_FEWEST = 10
_SHOWN = 20


@dataclass(frozen=True, repr=False)
class Forecast:
    """Probabilities of what happened after a cutoff, and how good they are.

    Attributes
    ----------
    cutoff : float
        Last time whose records are known.
    draws : int
        Paths per person.
    covariates : {"held", "realised"}
        What is known of static and dynamic columns after the cutoff.
    choices : ChoiceSet
        Occupations.
    log_likelihood : pandas.Series of float64, shape (n,)
        Log of the path average of the probability of what happened, in nats; indexed as the panel's rows.
    proba : pandas.DataFrame of float64, shape (n, states)
        Path average of the probability of every named state, columns its code.
    perplexity : Perplexity
        Of all forecast records, clustered by person.
    by_horizon, by_time : pandas.DataFrame
        Perplexity by number of records ahead, and by time: perplexity, std_error, lower, upper, n, persons.
    auc : pandas.Series of float64, shape (states,)
        Area under the ROC curve of every named state against all others; nan where it never or always happens.
    events : pandas.Series of int64, shape (states,)
        Records in every named state.
    """

    cutoff: float
    draws: int
    covariates: CovariatesAfter
    choices: ChoiceSet
    log_likelihood: pd.Series
    proba: pd.DataFrame
    perplexity: metrics.Perplexity
    by_horizon: pd.DataFrame
    by_time: pd.DataFrame
    auc: pd.Series
    events: pd.Series

    def summary(self) -> Table:
        """Perplexity by records ahead, and areas under the curve of the most frequent states."""
        p = self.perplexity
        facts = [
            Fact("Records up to", plain_code(self.cutoff)),
            Fact("Covariates after it", self.covariates),
            Fact("Paths per person", self.draws, ",d"),
            Fact("Persons", p.persons, ",d"),
            Fact("Records forecast", p.n, ",d"),
            Fact("Perplexity", p.value, ".3f"),
        ]
        shown = self.by_horizon[["perplexity", "std_error", "n"]]
        ahead = [Row(str(label), cells) for label, *cells in shown.itertuples(name=None)]
        panels = [Panel("Perplexity by records ahead", ahead)]
        notes = ["Probabilities are averages over simulated paths; standard errors are clustered by person."]
        if len(self.auc):
            most = self.events.sort_values(ascending=False, kind="stable").index[:_SHOWN]
            rows = [Row(self.choices.title(code), [self.auc[code], None, self.events[code]]) for code in most]
            panels.append(Panel("Area under the ROC curve by state", rows))
            if len(self.auc) > _SHOWN:
                notes.append(f"{len(self.auc) - _SHOWN} less frequent states are left out; .auc has all.")
        columns = [Column("value", ".3f"), Column("std. error", ".3f"), Column("n", ",d")]
        return Table(columns, panels, title="Forecast", header="", facts=facts, notes=notes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<Forecast after {plain_code(self.cutoff)}: {self.perplexity}>"

    def _repr_html_(self) -> str:
        return self.summary().to_html()


def forecast(
    predictor: Predictor,
    panel: CareerPanel,
    cutoff: float,
    draws: int,
    seed: Seed = None,
    *,
    states: Sequence[Hashable] | None = None,
    covariates: CovariatesAfter = "held",
) -> Forecast:
    """Forecast records after a cutoff; see :meth:`econllm.career.results.CAREERResults.forecast`."""
    check_number("cutoff", cutoff)
    check_paths(1, draws)
    check_option("covariates", covariates, ["held", "realised"])
    choices, root = predictor.choices, resolve_seed(seed)
    given = None if states is None else state_positions(states, choices)
    careers = predictor.coding.read(panel, choices)
    later = _Later.of(panel, careers, cutoff)
    step, person, row = later.targets()
    happened = careers.outcome[row]
    counts = np.bincount(happened, minlength=len(choices))
    named = np.flatnonzero(np.minimum(counts, len(row) - counts) >= _FEWEST) if given is None else given
    plan = _plan(predictor, panel, later, covariates == "realised")
    realised, table = _averages(predictor, careers, later, plan, draws, root, named)
    # Records in the order of the panel.
    order = np.argsort(row)
    step, person, row, happened = step[order], person[order], row[order], happened[order]
    place = np.cumsum(careers.target)[row] - 1
    sample = read_sample(panel, None, choices)
    index = panel.index[place]
    scores = np.log(realised[step, person])
    proba = pd.DataFrame(table[step, person], index=index, columns=choices.index[named])
    clusters = sample.clusters[place]
    areas = [metrics.auc(proba.iloc[:, j].to_numpy(), happened == state) for j, state in enumerate(named)]
    return Forecast(
        cutoff=float(cutoff),
        draws=draws,
        covariates=covariates,
        choices=choices,
        log_likelihood=pd.Series(scores, index=index, name="log_likelihood"),
        proba=proba,
        perplexity=metrics.perplexity(scores, clusters),
        by_horizon=_by(scores, clusters, step + 1, "records_ahead"),
        by_time=_by(scores, clusters, panel.times[place], panel.roles.time),
        auc=pd.Series(areas, index=proba.columns, name="auc", dtype=np.float64),
        events=pd.Series(counts[named], index=proba.columns, name="n"),
    )


@dataclass(frozen=True)
class _Later:
    """Persons with records up to a cutoff and after it.

    `starts` and `before` are the first record and the number of those up to the cutoff; `rows` the records after it,
    shape (steps, persons), filled up with the last one; `wanted` which of them are predicted.
    """

    starts: np.ndarray
    before: np.ndarray
    rows: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(cls, panel: CareerPanel, careers: Careers, cutoff: float) -> _Later:
        times = panel.to_frame(history=True)[panel.roles.time].to_numpy(np.float64)
        known = np.add.reduceat((times <= cutoff).astype(np.int64), careers.starts)
        place = np.arange(len(times))
        # Steps up to the last record that is predicted.
        final = np.maximum.reduceat(np.where(careers.target & (times > cutoff), place, -1), careers.starts)
        kept = (known > 0) & (final >= 0)
        if not kept.any():
            raise OptionError(
                f"cutoff={cutoff!r}: no person has records up to it and records to predict after it; "
                f"{panel.roles.time} runs from {plain_code(times.min())} to {plain_code(times.max())}."
            )
        starts, known, final = careers.starts[kept], known[kept], final[kept]
        first = starts + known
        steps = np.arange((final - first).max() + 1)
        rows = np.minimum(first + steps[:, None], final)
        wanted = (first + steps[:, None] <= final) & careers.target[rows]
        return cls(starts, known, rows, wanted)

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step, person and row of every record that is predicted."""
        step, person = np.nonzero(self.wanted)
        return step, person, self.rows[step, person]


def _plan(predictor: Predictor, panel: CareerPanel, later: _Later, realised: bool) -> list[Records]:
    """New records of every step: their own times, covariates of the last known record, or their own ones."""
    frame = panel.to_frame(history=True)
    times = frame[panel.roles.time]
    held = frame.iloc[later.rows[0] - 1]
    out = []
    for rows in later.rows:
        now = held
        if realised:
            now = frame.iloc[rows].copy()
            for column in panel.roles.lagged:
                now[column] = held[column].array
        out.append(code_records(predictor.coding, now, panel.roles.time, times.iloc[rows], times.iloc[rows - 1]))
    return out


def _averages(
    predictor: Predictor,
    careers: Careers,
    later: _Later,
    plan: list[Records],
    draws: int,
    seed: np.random.SeedSequence,
    named: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Path averages of the probability of what happened, (steps, persons), and of states, (steps, persons, states)."""
    from tqdm.auto import tqdm

    history = Store.of(replace(careers, starts=later.starts, lengths=later.before), predictor.device)
    longest = later.wanted.shape[0] - np.argmax(later.wanted[::-1], axis=0)
    realised = np.zeros(later.rows.shape)
    table = np.zeros((*later.rows.shape, len(named)))
    order = np.lexsort([later.before, longest])
    with tqdm(total=int(longest.sum()) * draws, desc="forecast", unit=" records", disable=None, leave=False) as bar:
        for persons, some in chunks(order, later.before, draws, len(plan), predictor.network.shape):
            horizon = int(longest[persons].max())
            paths = Paths(predictor, history, persons, some.stop - some.start, horizon)
            for s in range(horizon):
                paths.read(plan[s].of(persons))
                proba = paths.proba()
                mean = proba.sum(axis=1) / draws
                realised[s, persons] += mean[np.arange(len(persons)), careers.outcome[later.rows[s, persons]]]
                table[s, persons] += mean[:, named]
                if s + 1 < horizon:
                    flat = proba.reshape(-1, proba.shape[2])
                    uniform = uniforms(seed, persons, s, some)
                    paths.go(pick(flat, paths.last.ravel(), uniform.ravel()).reshape(uniform.shape))
            bar.update(int(longest[persons].sum()) * (some.stop - some.start))
    return realised, table


def _by(scores: np.ndarray, clusters: np.ndarray, groups: np.ndarray, name: Hashable) -> pd.DataFrame:
    """Perplexity of every group."""
    out = {}
    for group in np.unique(groups):
        at = groups == group
        part = metrics.perplexity(scores[at], clusters[at])
        out[group] = (part.value, part.std_error, *part.conf_int, part.n, part.persons)
    columns = ["perplexity", "std_error", "lower", "upper", "n", "persons"]
    frame = pd.DataFrame.from_dict(out, orient="index", columns=columns)
    frame.index.name = name
    return frame
