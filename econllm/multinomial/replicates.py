"""Bootstrap of the coefficients: refits on reweighted persons or clusters, each starting from the estimate."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from econllm.errors import DataError
from econllm.logit import newton
from econllm.logit.grouped import Grouped
from econllm.logit.minimise import minimise
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import centre
from econllm.logit.threads import workers
from econllm.multinomial.estimates import report_coefficients
from econllm.multinomial.setup import Setup
from econllm.options import Seed, child_seed
from econllm.resampling import Draws, fingerprint, person_weights, run_replications


@dataclass(frozen=True)
class _Task:
    """One replication: weight the clusters, refit from the estimate, report the coefficients."""

    setup: Setup
    start: Point
    groups: np.ndarray
    strata: np.ndarray
    draws: Draws
    base: int | None
    tolerance: float
    max_iter: int
    grouped: Grouped | None
    copies: np.ndarray | None

    def __call__(self, seed: np.random.SeedSequence) -> np.ndarray:
        problem = self.setup.problem
        drawn = np.empty(len(self.strata))
        for h, stratum in enumerate(np.unique(self.strata)):
            at = np.flatnonzero(self.strata == stratum)
            units = at if self.copies is None else np.repeat(at, self.copies[at])
            found = person_weights(units, child_seed(seed, h), self.draws).to_numpy()
            drawn[at] = found if self.copies is None else np.bincount(units, found, len(drawn))[at]
        if self.copies is not None:
            drawn /= np.maximum(self.copies, 1)
        weights = drawn[self.groups]
        if problem.weights is not None:
            weights = weights * problem.weights
        missing = np.bincount(problem.outcome, weights, minlength=problem.outcomes) == 0
        count = len(report_coefficients(self.start, problem.intercept, self.base))
        if missing.any():
            return np.full(count, np.nan)
        point = self._refit(weights)
        if self.setup.identification is not None:
            point = self.setup.identification.normalise(problem, point)
        return report_coefficients(self.setup.to_data(point), problem.intercept, self.base)

    def _refit(self, weights: np.ndarray) -> Point:
        """Estimate on other weights; Newton steps alone where they get there, for the start is near."""
        found = None if self.grouped is None else self.grouped.fit(weights, self.start)
        if found is not None:
            return found
        problem = replace(self.setup.problem, weights=weights / weights.mean())
        if problem.l1_ratio == 0 and newton.affordable(problem):
            point, _, finished, _ = newton.polish(problem, self.start)
            if finished:
                return centre(point)
        return minimise(problem, start=self.start, tolerance=self.tolerance, max_iter=self.max_iter).point


def bootstrap_coefficients(
    setup: Setup,
    point: Point,
    groups: np.ndarray,
    strata: np.ndarray | None,
    *,
    copies: np.ndarray | None = None,
    replications: int,
    draws: Draws,
    base: int | None,
    tolerance: float,
    max_iter: int,
    n_jobs: int | None,
    seed: Seed,
    folder: str | os.PathLike[str] | None,
    description: str,
) -> np.ndarray:
    """Coefficients of refits on reweighted clusters.

    Parameters
    ----------
    setup : Setup
        Estimation sample and penalty. Scales of the columns and the weight of the penalty are held.
    point : Point
        The estimate, in the coordinates of the solver.
    groups : numpy.ndarray of int, shape (n,)
        Cluster of every row, from 0.
    strata : numpy.ndarray, shape (n,), or None
        Stratum of every row; clusters are drawn within strata.
    copies : numpy.ndarray of int, shape (clusters,), optional
        How many clusters each stands for, as with frequencies of rows; all are drawn by themselves.
    replications, draws, n_jobs, seed, folder
        See :func:`econllm.resampling.run_replications` and :func:`econllm.resampling.person_weights`.
    base : int or None
        Base outcome of the reported coefficients.
    tolerance, max_iter
        Of every refit.
    description : str
        The model, to recognise a run that may be resumed.

    Returns
    -------
    numpy.ndarray, shape (replications, reported)

    Raises
    ------
    DataError
        If some replications lack an outcome, which multinomial draws can do; or a cluster lies in two strata.
    """
    clusters = int(groups.max()) + 1
    of_cluster = np.zeros(clusters, dtype=np.int64)
    if strata is not None:
        of_cluster[groups] = strata
        if (of_cluster[groups] != strata).any():
            raise DataError("a cluster has rows in several strata; strata must contain whole clusters.")
    problem = setup.problem
    task = _Task(setup, point, groups, of_cluster, draws, base, tolerance, max_iter, Grouped.of(problem), copies)
    content = {"model": description, "draws": draws, "data": _digest(problem, groups, of_cluster, copies)}
    # The matrices of a refit are small: threads of BLAS would take longer to start than to work.
    with workers(1):
        found = run_replications(task, replications, seed, n_jobs=n_jobs, folder=folder, description=content)
    lost = int(np.isnan(found).any(axis=1).sum())
    if lost:
        raise DataError(
            f"{lost} of {replications} replications drew no row of some outcome, so that its coefficients do not exist "
            "there; set draws='exponential', under which every row keeps a positive weight."
        )
    return found


def _digest(problem: Problem, groups: np.ndarray, strata: np.ndarray, copies: np.ndarray | None) -> str:
    """Recognises the same estimation sample, weights and penalty."""
    lookups = [*problem.shared, *([] if problem.offset is None else [problem.offset])]
    given = [a for a in (problem.weights, problem.factors, problem.shared_factors, copies) if a is not None]
    x = problem.sparse
    return fingerprint(
        groups,
        strata,
        problem.outcome,
        x.data,
        x.indices,
        x.indptr,
        problem.dense,
        np.array([problem.alpha, problem.l1_ratio]),
        *given,
        *(part for lookup in lookups for part in (lookup.codes, lookup.table)),
    )
