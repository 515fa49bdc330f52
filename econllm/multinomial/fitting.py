"""Estimation of the multinomial logit: from data to results."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.base import FitInfo
from econllm.choices import ChoiceSet
from econllm.errors import (
    ConvergenceWarning,
    DataError,
    OptionError,
    SeparationWarning,
    did_you_mean,
    listing,
    warn,
)
from econllm.formula import parse
from econllm.logit import newton
from econllm.logit.covariance import degrees_of_freedom
from econllm.logit.minimise import minimise
from econllm.logit.path import path as path_of
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Solution, log_proba
from econllm.multinomial.columns import Columns, Specification
from econllm.multinomial.estimates import Estimates, Tuning, expand, reserved_probability
from econllm.multinomial.penalty_path import PenaltyPath
from econllm.multinomial.results import MNLogitResults
from econllm.multinomial.separation import separated
from econllm.multinomial.setup import Setup
from econllm.multinomial.standard_errors import Plan, infer
from econllm.multinomial.tuning import Candidate, Part, at_the_edge, choose_alpha, folds
from econllm.options import Seed
from econllm.panel import CareerPanel
from econllm.sample import Data, Sample, cluster_labels, fit_weights, read_choice_set, read_sample

if TYPE_CHECKING:
    from econllm.multinomial.model import MNLogit


@dataclass(frozen=True)
class Rows:
    """An estimation sample as it was read.

    Attributes
    ----------
    spec : Specification
        The formula, after estimation of its transforms.
    columns : Columns
        The right-hand side.
    sample : Sample
        Outcomes of the same rows.
    weights : numpy.ndarray or None
        Weights of the same rows, as they were given.
    choices : ChoiceSet
        The outcomes.
    labels : dict of str to str
        Variable labels.
    clock : float
        When reading began.
    dropped : int
        Rows of the data that were left out for missing values.
    counted : bool
        Whether weights count rows.
    """

    spec: Specification
    columns: Columns
    sample: Sample
    weights: np.ndarray | None
    choices: ChoiceSet
    labels: dict[str, str]
    clock: float
    dropped: int
    counted: bool

    @property
    def frequency(self) -> float | None:
        """Number of rows that the weights count; None where they do not count rows."""
        return float(self.weights.sum()) if self.counted and self.weights is not None else None

    @property
    def positions(self) -> np.ndarray:
        """Positions of these rows in the data."""
        return np.flatnonzero(self.columns.kept)

    def take(self, rows: np.ndarray) -> Rows:
        """Keep some rows, given by position."""
        mask = np.zeros(len(self.sample), dtype=bool)
        mask[rows] = True
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, columns=self.columns.take(rows), sample=self.sample.take(mask), weights=weights)


def read(model: MNLogit, data: Data, weights: pd.Series | None) -> Rows:
    """Read an estimation sample: formula, outcomes and weights."""
    clock = time.perf_counter()
    outcome = parse(model.formula).outcome
    choices = read_choice_set(data, outcome)
    base_code(model, choices)
    given = fit_weights(data, weights, model.weighted)
    if given is not None and model.weight_type == "frequency":
        given = _frequencies(data, weights, model.weighted)
    everyone = read_sample(data, outcome, choices)
    spec, columns = Specification.fit(
        model.formula,
        data,
        choices,
        full=model.penalty is not None,
        missing=model.missing,
        context=model.context,
        offset=model.offset,
        choice_sets=model.choice_sets,
    )
    kept = columns.kept
    given = None if given is None else given[kept]
    return Rows(
        spec,
        columns,
        everyone.take(kept),
        given,
        choices,
        _labels(data),
        clock,
        int((~kept).sum()),
        model.weight_type == "frequency",
    )


def fit_one(
    model: MNLogit,
    data: Data,
    *,
    validation: Data | None,
    weights: pd.Series | None,
    seed: Seed,
    checkpoint: str | Path | None,
) -> MNLogitResults:
    """Estimate a model of one stage; see :meth:`MNLogit.fit`."""
    rows = read(model, data, weights)
    judge = None
    if validation is not None and model.penalty and model.alpha in ("auto", "validation"):
        columns = rows.spec.build(validation)
        judge = columns, read_sample(validation, rows.spec.outcome, rows.choices).take(columns.kept)
    return estimate(model, rows, data, judge=judge, seed=seed, checkpoint=checkpoint)


def estimate(
    model: MNLogit,
    rows: Rows,
    data: Data,
    *,
    judge: tuple[Columns, Sample] | None,
    seed: Seed,
    checkpoint: str | Path | None,
) -> MNLogitResults:
    """Estimate on rows that were read.

    Parameters
    ----------
    model : MNLogit
        Options.
    rows : Rows
        Estimation sample.
    data : CareerPanel or DataFrame
        Where it was read from: holds the columns of clusters and strata.
    judge : pair of Columns and Sample, or None
        Validation sample.
    seed : int, SeedSequence or Generator
        For folds and bootstrap.
    checkpoint : path or None
        Folder of the bootstrap.

    Returns
    -------
    MNLogitResults
    """
    spec, choices, names = rows.spec, rows.choices, rows.spec.shared_names
    setup = make_setup(model, spec, rows.columns, rows.sample, rows.weights, len(choices))
    base = _base(model, setup, choices)
    ratio = {"l1": 1.0, "elasticnet": model.l1_ratio}.get(model.penalty or "", 0.0)
    setup = setup.with_penalty(0.0, ratio)
    plan = Plan.make(model, setup, rows, data)
    tuning, start = _tune(model, setup, rows, data, judge, seed)
    setup = setup.with_penalty(tuning.alpha, ratio)
    problem = setup.problem
    solution = minimise(problem, start=start, tolerance=model.tol, max_iter=model.max_iter, device=model.device)
    if setup.identification is not None:
        solution = replace(solution, point=setup.identification.normalise(problem, solution.point))
    apart = _warn(model, solution, setup, choices)
    inference = infer(model, setup, solution, rows, plan, base=base, seed=seed, checkpoint=checkpoint)
    fitted, null = _log_likelihoods(setup, solution, model)
    total = rows.frequency
    estimates = Estimates(
        spec=spec,
        columns=setup.stacked.columns,
        terms=setup.stacked.terms,
        kept_columns=setup.columns,
        shared_columns=tuple(names[m] for m in setup.shared),
        kept_shared=setup.shared,
        point=setup.to_data(solution.point),
        seen=setup.seen,
        rows=problem.rows,
        base=base,
        tuning=tuning,
        solution=solution.report(),
        inference=inference,
        log_likelihood=fitted * (total or problem.rows),
        null_log_likelihood=null * (total or problem.rows),
        effective_df=_effective_df(model, setup, solution),
        shares=_shares(setup, len(choices)),
        omitted=setup.omitted,
        labels=rows.labels,
        sparse=ratio > 0,
        separated=apart,
    )
    info = _info(model, setup, rows, solution, total)
    return MNLogitResults(model, choices, info, estimates)


def _effective_df(model: MNLogit, setup: Setup, solution: Solution) -> float:
    """Effective degrees of freedom; nan where the Hessian that they need takes longer than the fit."""
    if model.penalty is None:
        return float(_parameters(model, setup))
    return degrees_of_freedom(setup.problem, solution.point) if newton.affordable(setup.problem) else float("nan")


def make_setup(
    model: MNLogit, spec: Specification, columns: Columns, sample: Sample, weights: np.ndarray | None, outcomes: int
) -> Setup:
    """Put rows into the coordinates of the solver, as the options say; see :meth:`Setup.make`."""
    return Setup.make(
        columns,
        spec.shared_names,
        sample,
        weights,
        outcomes,
        penalised=model.penalty is not None,
        intercept=spec.intercept,
        factors=model.penalty_factors,
    )


def _base(model: MNLogit, setup: Setup, choices: ChoiceSet) -> int | None:
    """Position of the base among the outcomes that occur; None for coefficients that sum to zero."""
    if model.base is None:
        return 0 if model.penalty is None else None
    place = np.flatnonzero(setup.seen == choices.codes.index(base_code(model, choices)))
    if not len(place):
        raise OptionError(f"base={model.base!r} never occurs in the estimation sample; choose an outcome that does.")
    return int(place[0])


def _tune(
    model: MNLogit, setup: Setup, rows: Rows, data: Data, judge: tuple[Columns, Sample] | None, seed: Seed
) -> tuple[Tuning, Point | None]:
    """Weight of the penalty, and a point to start the estimation from."""
    if model.penalty is None:
        return Tuning(), None
    if not isinstance(model.alpha, str):
        assert not isinstance(model.alpha, tuple)
        return Tuning(float(model.alpha), "given"), None
    problem, fold = setup.problem, None
    if judge is not None:
        parts, rule = [Part(problem, *setup.judged(*judge))], "by the validation sample"
    else:
        clusters, what = setup.sample.clusters, "persons" if setup.has_persons else "rows"
        if isinstance(model.cluster, str):
            everyone = read_sample(data, rows.spec.outcome, rows.spec.choices)
            clusters, what = (
                cluster_labels(data, everyone, model.cluster)[rows.positions],
                f"clusters of {model.cluster}",
            )
        parts, fold = folds(problem, clusters, seed, model.folds)
        rule = f"by {len(parts)}-fold cross-validation over {what}"
    alpha, tried = choose_alpha(parts, problem, rule=model.rule, count=model.path, max_iter=model.max_iter)
    if model.rule == "one_se":
        rule += ", strongest within one standard error of the best"
    if at_the_edge(alpha, tried, problem, model.path):
        rule += ", at the edge of the search"
    points = [c.point for c in tried] if judge is not None else _refit(problem, tried, model)
    start = next(point for c, point in zip(tried, points, strict=True) if c.alpha == alpha)
    path = PenaltyPath.make(setup, tried, points, alpha)
    return Tuning(alpha, rule, path, fold), start


def _refit(problem: Problem, tried: list[Candidate], model: MNLogit) -> list[Point]:
    """Estimates on the whole sample along the candidates, from strong to weak."""
    alphas = np.array([c.alpha for c in reversed(tried)])
    return [solution.point for solution in path_of(problem, alphas, max_iter=model.max_iter)][::-1]


def _warn(model: MNLogit, solution: Solution, setup: Setup, choices: ChoiceSet) -> str:
    """Warn of what went wrong; the column and outcome of a separation, in words."""
    if not solution.converged:
        cure = "" if model.penalty else " or set penalty='l2'"
        warn(
            f"MNLogit did not converge within max_iter={model.max_iter} iterations (largest scaled gradient "
            f"{solution.gradient:.1e}); raise max_iter{cure}.",
            ConvergenceWarning,
        )
    found = None if model.penalty else separated(setup.problem, setup.stacked, solution)
    if found is None:
        return ""
    column, outcome = found
    code = choices.codes[setup.seen[outcome]]
    words = (
        f"column {column!r} predicts outcome {code!r} ({choices.title(code)}) or its absence perfectly, so its "
        "coefficient has no finite estimate (separation)"
    )
    warn(f"{words}; set penalty='l2'. Probabilities remain finite.", SeparationWarning)
    return words


def _log_likelihoods(setup: Setup, solution: Solution, model: MNLogit) -> tuple[float, float]:
    """Mean log-likelihoods, weighted as the objective is: of the estimate, and with constants only."""
    problem = setup.problem
    ridge = 0.5 * float(problem.ridge @ (solution.point.slopes**2).sum(axis=1))
    ridge += 0.5 * float(problem.shared_ridge @ solution.point.shared**2)
    lasso = float(problem.lasso @ np.abs(solution.point.slopes).sum(axis=1))
    fitted = ridge + lasso - solution.objective
    weights = np.ones(problem.rows) if problem.weights is None else problem.weights
    if problem.offset is None:
        share = np.bincount(problem.outcome, weights, problem.outcomes) / weights.sum()
        return fitted, float(share @ np.log(share))
    null = replace(
        problem,
        sparse=problem.sparse[:, :0],
        dense=problem.dense[:, :0],
        shared=(),
        shared_factors=None,
        factors=None,
        alpha=0.0,
        l1_ratio=0.0,
        intercept=True,
    )
    return fitted, -minimise(null, tolerance=model.tol, max_iter=model.max_iter).objective


def _shares(setup: Setup, outcomes: int) -> np.ndarray:
    problem = setup.problem
    out = np.zeros(outcomes)
    out[setup.seen] = np.bincount(problem.outcome, problem.weights, problem.outcomes)
    shares: np.ndarray = out / out.sum()
    return shares


def _info(model: MNLogit, setup: Setup, rows: Rows, solution: Solution, total: float | None) -> FitInfo:
    sample, problem, choices = setup.sample, setup.problem, rows.choices
    seen = set(setup.seen.tolist())
    unseen = tuple(code for i, code in enumerate(choices.codes) if i not in seen)
    return FitInfo(
        rows=problem.rows if total is None else int(total),
        persons=len(np.unique(sample.clusters)) if sample.of_panel else None,
        first_records=int(sample.first.sum()) if sample.of_panel else None,
        log_likelihood=_sample_log_likelihood(setup, solution, rows, model, total is not None),
        parameters=_parameters(model, setup),
        seconds=time.perf_counter() - rows.clock,
        unseen=unseen,
        dropped=rows.dropped,
        truncated=rows.columns.truncated,
        weighted=rows.weights is not None,
    )


def _parameters(model: MNLogit, setup: Setup) -> int:
    """Number of parameters: with a penalty all, without one those that the design identifies."""
    if setup.identification is not None:
        return setup.identification.rank
    problem = setup.problem
    free = problem.outcomes if model.penalty else problem.outcomes - 1
    return (problem.features + problem.intercept) * free + len(problem.shared)


def _sample_log_likelihood(setup: Setup, solution: Solution, rows: Rows, model: MNLogit, frequency: bool) -> float:
    """Log-likelihood of the sample over the whole choice set, unweighted but for frequencies."""
    problem, outcome = setup.problem, setup.sample.outcome
    outcomes = len(rows.choices)
    reserved = reserved_probability(model.pseudo_count, problem.rows, outcomes - len(setup.seen))
    total = 0.0
    for at, values in log_proba(problem, solution.point):
        able = None if rows.columns.offset is None else np.isfinite(rows.columns.offset.values(at))
        scores = expand(values, setup.seen, outcomes, reserved, able)[np.arange(len(values)), outcome[at]]
        if frequency and rows.weights is not None:
            scores = np.where(rows.weights[at] > 0, scores, 0.0) * rows.weights[at]
        total += float(scores.sum())
    return total


def _frequencies(data: Data, weights: pd.Series | None, sampling: bool) -> np.ndarray:
    """Weights as counts of rows."""
    counts = fit_weights(data, weights, sampling, normalise=False)
    assert counts is not None
    broken = ~np.isclose(counts, np.round(counts))
    if broken.any():
        raise DataError(
            f"weight_type='frequency' needs whole numbers; {int(broken.sum())} of {len(counts)} weights are none, the "
            f"first {float(counts[broken][0]):g}. Weights that correct for sampling are weight_type='probability'."
        )
    return counts


def base_code(model: MNLogit, choices: ChoiceSet) -> Hashable | None:
    """Code of the base outcome, which may be given by its title.

    Raises
    ------
    OptionError
        If it is neither.
    """
    base = model.base
    if base is None or base in choices:
        return base
    if base in choices.titles:
        return choices.codes[choices.titles.index(str(base))]
    near = did_you_mean(base, [*choices.codes, *choices.titles])
    raise OptionError(f"base={base!r} is not an outcome.{near} Outcomes: {listing(choices.codes, 10)}.")


def _labels(data: Data) -> dict[str, str]:
    """Variable labels by column name."""
    labels = data.labels if isinstance(data, CareerPanel) else data.attrs.get("variable_labels", {})
    return {str(name): str(label) for name, label in labels.items() if label}
