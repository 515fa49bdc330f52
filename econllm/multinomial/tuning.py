"""Choosing the weight of the penalty by the log-likelihood of rows that were not used in estimation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from econllm.errors import DataError
from econllm.logit.minimise import minimise
from econllm.logit.path import grid
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import log_proba
from econllm.metrics import mean_score
from econllm.options import Seed, resolve_seed

Rule = Literal["best", "one_se"]

# Candidates of a ridge are alpha = 10^(step / 2) over the number of rows. The search begins with a strong penalty: such
# problems are solved fastest, and their solutions are good starts for weaker ones.
_STEP = 0.5
_FIRST, _LOWEST, _HIGHEST = 4, -8, 16
# Candidates are compared, not reported: a looser optimum is enough, and its error is far below the differences.
_TOLERANCE = 1e-5
# A path of absolute values ends after this many candidates in a row that are clearly worse than the best.
_PATIENCE = 4


@dataclass(frozen=True)
class Part:
    """One estimation sample and the rows that judge it.

    Attributes
    ----------
    problem : Problem
        Estimation sample; its alpha is replaced.
    judged : Problem
        Rows on which the log-likelihood is taken; outcomes as in `problem`.
    clusters : numpy.ndarray
        Persons of the judged rows.
    """

    problem: Problem
    judged: Problem
    clusters: np.ndarray


@dataclass(frozen=True)
class Candidate:
    """One weight of the penalty that was tried.

    Attributes
    ----------
    alpha : float
        The weight.
    score : float
        Mean held-out log-likelihood, in nats.
    std_error : float
        Its standard error, clustered by person; zero with a single one.
    point : Point
        Solution of the first part.
    """

    alpha: float
    score: float
    std_error: float
    point: Point


def held_out_scores(judged: Problem, point: Point) -> np.ndarray:
    """Log probability of what happened in every judged row, in nats.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.zeros((1, 0)), np.array([0]), 2, None, 0.0, True)
    >>> held_out_scores(p, Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0))).round(4).tolist()
    [-0.6931]
    """
    out = np.empty(judged.rows)
    for rows, values in log_proba(judged, point):
        out[rows] = values[np.arange(len(values)), judged.outcome[rows]]
    return out


def folds(problem: Problem, clusters: np.ndarray, seed: Seed, count: int) -> tuple[list[Part], pd.Series]:
    """Divide the persons at random: each fold is judged by a fit to the others.

    Parameters
    ----------
    problem : Problem
        The estimation sample.
    clusters : numpy.ndarray, shape (n,)
        Persons of its rows.
    seed : int, SeedSequence, Generator or None
        Draws the folds.
    count : int
        How many folds.

    Returns
    -------
    list of Part
    pandas.Series
        Fold of every person.

    Raises
    ------
    DataError
        With a single person, or if every outcome occurs in one fold only.
    """
    persons, person = np.unique(clusters, return_inverse=True)
    count = min(count, len(persons))
    if count < 2:
        raise DataError("cross-validation of alpha needs at least two persons; give a validation sample, or alpha.")
    order = np.random.default_rng(resolve_seed(seed)).permutation(len(persons))
    fold = order % count
    parts = [_part(problem, fold[person] == k, clusters) for k in range(count)]
    if not any(part.judged.rows for part in parts):
        raise DataError("alpha cannot be cross-validated: every outcome occurs in one fold only; give alpha.")
    return parts, pd.Series(fold, index=pd.Index(persons, name="person"), name="fold")


def _part(problem: Problem, held: np.ndarray, clusters: np.ndarray) -> Part:
    """Rows outside a fold to estimate on, rows inside to judge; both only with outcomes that occur outside."""
    outside = None if problem.weights is None else problem.weights[~held]
    occurs = np.bincount(problem.outcome[~held], outside, minlength=problem.outcomes) > 0
    # An outcome that occurs nowhere else has no finite estimate, whatever alpha is.
    possible = occurs[problem.outcome]
    kept = np.flatnonzero(occurs)
    problem = replace(
        problem,
        outcome=(np.cumsum(occurs) - 1)[problem.outcome],
        outcomes=len(kept),
        shared=tuple(lookup.outcomes(kept) for lookup in problem.shared),
        offset=None if problem.offset is None else problem.offset.outcomes(kept),
    )
    fitted = problem.take(np.flatnonzero(~held & possible))
    if problem.outcomes < 2:
        raise DataError("alpha cannot be cross-validated: without one fold, only one outcome is left; give alpha.")
    if fitted.weights is not None:
        fitted = replace(fitted, weights=fitted.weights / fitted.weights.mean())
    inside = np.flatnonzero(held & possible)
    return Part(fitted, problem.take(inside), clusters[inside])


def choose_alpha(
    parts: list[Part], full: Problem, *, rule: Rule, count: int, max_iter: int
) -> tuple[float, list[Candidate]]:
    """Search the weight of the penalty that predicts best out of sample.

    Parameters
    ----------
    parts : list of Part
        One part for a validation sample, one per fold for cross-validation.
    full : Problem
        The whole estimation sample, with the kind of penalty.
    rule : {"best", "one_se"}
        The best score, or the strongest penalty within one standard error of it.
    count : int
        Length of the path where the penalty has absolute values.
    max_iter : int
        Limit on the iterations of every fit.

    Returns
    -------
    float
        The chosen alpha.
    list of Candidate
        All that were tried, from weak to strong.

    Notes
    -----
    A ridge: candidates lie half a power of ten apart; the search starts at 100 over the number of rows, walks towards
    better scores until they fall, and ends with the vertex of the parabola through the best three, which is kept if it
    is better still. Absolute values: candidates lie on a path that begins where all slopes are zero, and the search
    ends where the score has become clearly worse than the best.
    """
    judge = _Judge(parts, max_iter)
    best = _along_path(judge, grid(full, count)) if full.l1_ratio > 0 else _walk_ridge(judge, full.rows)
    tried = sorted(judge.found.values(), key=lambda candidate: candidate.alpha)
    if rule == "best":
        return best.alpha, tried
    bound = best.score - best.std_error
    if full.l1_ratio == 0:
        # The walk may have stopped before the penalty became too strong.
        step = np.log10(max(judge.found) * full.rows) / _STEP
        while step < _HIGHEST and judge(max(judge.found)).score >= bound:
            step += 1
            judge(10 ** (_STEP * step) / full.rows)
        tried = sorted(judge.found.values(), key=lambda candidate: candidate.alpha)
    return max(c.alpha for c in tried if c.score >= bound and c.alpha >= best.alpha), tried


class _Judge:
    """Scores candidates, each fit starting from the last one."""

    def __init__(self, parts: list[Part], max_iter: int) -> None:
        self.parts, self.max_iter = parts, max_iter
        self.starts: list[Point | None] = [None] * len(parts)
        self.found: dict[float, Candidate] = {}

    def __call__(self, alpha: float) -> Candidate:
        if alpha not in self.found:
            scores = []
            for i, part in enumerate(self.parts):
                problem = replace(part.problem, alpha=alpha)
                start = self.starts[i]
                point = minimise(problem, start=start, tolerance=_TOLERANCE, max_iter=self.max_iter, polish=False).point
                self.starts[i] = point
                scores.append(held_out_scores(part.judged, point))
            weights = [part.judged.weights for part in self.parts]
            clusters = np.concatenate([part.clusters for part in self.parts])
            together = None if weights[0] is None else np.concatenate([w for w in weights if w is not None])
            mean = mean_score(np.concatenate(scores), clusters, together)
            first = self.starts[0]
            assert first is not None
            self.found[alpha] = Candidate(alpha, mean.mean, float(np.nan_to_num(mean.std_error)), first)
        return self.found[alpha]


def _walk_ridge(judge: _Judge, rows: int) -> Candidate:
    def at(step: float) -> Candidate:
        return judge(10 ** (_STEP * step) / rows)

    best = _walk(lambda step: at(step).score)
    around = [at(step).score for step in (best - 1, best, best + 1)]
    curvature = around[0] - 2 * around[1] + around[2]
    if curvature < 0:
        vertex = best + 0.5 * (around[0] - around[2]) / curvature
        if at(vertex).score > at(best).score:
            return at(vertex)
    return at(best)


def _walk(score: Callable[[float], float]) -> float:
    """Step with the best score, walking from the first in the better direction."""
    direction = 1 if score(_FIRST + 1) >= score(_FIRST) else -1
    best = _FIRST + 1 if direction == 1 else _FIRST
    while _LOWEST < best < _HIGHEST and score(best + direction) > score(best):
        best += direction
    return best


def _along_path(judge: _Judge, alphas: np.ndarray) -> Candidate:
    """Best candidate of a falling sequence, left where scores have become clearly worse."""
    best, worse = judge(float(alphas[0])), 0
    for alpha in alphas[1:]:
        candidate = judge(float(alpha))
        if candidate.score > best.score:
            best, worse = candidate, 0
        elif candidate.score < best.score - best.std_error:
            worse += 1
        if worse >= _PATIENCE:
            break
    return best


def at_the_edge(alpha: float, tried: list[Candidate], full: Problem, count: int) -> bool:
    """Whether the search ended at its weakest or strongest penalty, so that others might do better."""
    if full.l1_ratio > 0:
        return len(tried) == count and alpha == tried[0].alpha
    step = np.log10(alpha * full.rows) / _STEP
    return bool(step <= _LOWEST + 1e-6 or step >= _HIGHEST - 1e-6)
