"""Whether some coefficient has no finite estimate because a column predicts an outcome perfectly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from econllm.logit.coordinates import Stacked
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Solution
from econllm.multinomial.identification import restricted

# An effect on log odds beyond this, over a column's range, has no finite estimate in any sample of ordinary size.
_SEPARATED = 15.0
# Change of log odds by the last Newton step: about one without a finite estimate, and below a thousandth with one.
_DRIFT = 0.01


def separated(problem: Problem, stacked: Stacked, solution: Solution) -> tuple[str, int] | None:
    """Column and outcome whose effect has no finite estimate, or None.

    Parameters
    ----------
    problem : Problem
        Without a penalty.
    stacked : Stacked
        Its columns by name.
    solution : Solution
        Where the optimiser stopped.

    Returns
    -------
    tuple of str and int, or None

    Notes
    -----
    An indicator that is never on together with an outcome separates. Otherwise there is no finite estimate where the
    last Newton step still moves log odds although the objective has become flat; where no such steps were taken, an
    effect on log odds that is huge over the column's range is taken for a sign of it.
    """
    if not problem.features:
        return None
    n, p = problem.rows, problem.sparse.shape[1]
    counted = np.ones(n) if problem.weights is None else (problem.weights > 0).astype(np.float64)
    hits = sparse.csr_array((counted, problem.outcome, np.arange(n + 1)), shape=(n, problem.outcomes))
    empty = (problem.sparse.T @ hits).toarray() == 0
    if restricted(problem.offset):
        # A column says nothing about outcomes that are never available together with it.
        assert problem.offset is not None
        able = np.isfinite(problem.offset.values()) * counted[:, None]
        empty &= problem.sparse.T @ able > 0
    empty[stacked.numeric[:p]] = False
    if empty.any():
        column, outcome = np.argwhere(empty)[0]
        return stacked.columns[column], int(outcome)
    if solution.last_step is None:
        # Products with numbers are left out: nothing can be read off the size of their coefficients.
        plain = ~(stacked.numeric & (np.arange(len(stacked.numeric)) < p))
        moved, limit = np.where(plain[:, None], solution.point.slopes, 0.0), _SEPARATED
    else:
        step = problem.point(solution.last_step)
        if np.abs(_log_odds(problem, step)).max() <= _DRIFT:
            return None
        moved, limit = step.slopes, 0.0
    effect = np.abs(moved - moved.mean(axis=1, keepdims=True)) * _spans(problem)[:, None]
    column, outcome = np.unravel_index(np.argmax(effect), effect.shape)
    return (stacked.columns[column], int(outcome)) if effect[column, outcome] > limit else None


def _spans(problem: Problem) -> np.ndarray:
    """Range of every column in the coordinates of the solver."""
    x, dense = problem.sparse, problem.dense
    wide = (x.max(axis=0) - x.min(axis=0)).toarray().ravel() if x.shape[1] else np.zeros(0)
    return np.concatenate([wide, np.ptp(dense, axis=0) if dense.shape[1] else np.zeros(0)])


def _log_odds(problem: Problem, move: Point) -> np.ndarray:
    """What a move of the coefficients does to log odds about their mean, for the rows that count."""
    change = replace(problem, offset=None).utilities(move)
    if problem.weights is not None:
        change = change[problem.weights > 0]
    if problem.offset is not None:
        # Outcomes that a row does not have cannot move.
        rows = slice(None) if problem.weights is None else np.flatnonzero(problem.weights > 0)
        change = np.where(np.isfinite(problem.offset.values(rows)), change, np.nan)
        centred: np.ndarray = np.nan_to_num(change - np.nanmean(change, axis=1, keepdims=True))
        return centred
    out: np.ndarray = change - change.mean(axis=1, keepdims=True)
    return out
