"""Choosing the weight of the penalty by the log-likelihood of rows that were not used in estimation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from econllm.mnlogit.problem import Problem
from econllm.mnlogit.solver import log_proba, solve

# Candidates are alpha = 10^(step / 2) over the number of rows. The search begins with a strong penalty: such problems
# are solved fastest, and their solutions are good starts for weaker ones.
_STEP = 0.5
_FIRST, _LOWEST, _HIGHEST = 4, -8, 16
# Candidates are compared, not reported: a looser optimum is enough, and its error is far below the differences.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Part:
    """One estimation sample and the rows that judge it.

    Attributes
    ----------
    problem : Problem
        Estimation sample; its alpha is replaced.
    judged : Problem
        Rows on which the log-likelihood is taken; outcomes as in `problem`.
    """

    problem: Problem
    judged: Problem


def held_out_score(part: Part, coefficients: np.ndarray, intercepts: np.ndarray) -> float:
    """Sum of the (weighted) log probabilities of the judged rows.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((1, 0)), np.zeros((1, 0)), np.array([0]), 2, None, 0.0, True)
    >>> round(held_out_score(Part(p, p), np.zeros((0, 2)), np.zeros(2)), 4)
    -0.6931
    """
    judged = part.judged
    total = 0.0
    for rows, values in log_proba(judged.sparse, judged.dense, coefficients, intercepts):
        scores = values[np.arange(len(values)), judged.outcome[rows]]
        total += float(scores.sum() if judged.weights is None else scores @ judged.weights[rows])
    return total


def choose_alpha(parts: list[Part], rows: int, max_iter: int) -> tuple[float, pd.DataFrame]:
    """Search the weight of the penalty that predicts best out of sample.

    Parameters
    ----------
    parts : list of Part
        One part for a validation sample, one per fold for cross-validation.
    rows : int
        Rows of the whole estimation sample; the search starts at 100 over it.
    max_iter : int
        Limit on the iterations of every fit.

    Returns
    -------
    float
        The chosen alpha.
    pandas.DataFrame
        One row per candidate: alpha, score (mean log-likelihood of held-out rows, in nats).

    Notes
    -----
    Candidates lie half a power of ten apart. The search walks towards better scores until they fall, and ends with the
    vertex of the parabola through the best three, which is kept if it is better still.
    """
    starts: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(parts)
    judged = sum(_size(part.judged) for part in parts)
    scores: dict[float, float] = {}

    def score(step: float) -> float:
        if step not in scores:
            total = 0.0
            for i, part in enumerate(parts):
                problem = replace(part.problem, alpha=10 ** (_STEP * step) / rows)
                found = solve(problem, start=starts[i], tolerance=_TOLERANCE, max_iter=max_iter, polish=False)
                starts[i] = (found.coefficients, found.intercepts)
                total += held_out_score(part, found.coefficients, found.intercepts)
            scores[step] = total / judged
        return scores[step]

    best = _walk(score)
    around = [score(step) for step in (best - 1, best, best + 1)]
    curvature = around[0] - 2 * around[1] + around[2]
    if curvature < 0:
        vertex = best + 0.5 * (around[0] - around[2]) / curvature
        if score(vertex) > scores[best]:
            best = vertex
    steps = sorted(scores)
    path = pd.DataFrame({"alpha": [10 ** (_STEP * s) / rows for s in steps], "score": [scores[s] for s in steps]})
    return 10 ** (_STEP * best) / rows, path


def at_the_edge(alpha: float, rows: int) -> bool:
    """Whether the search ended at its strongest or weakest penalty.

    Examples
    --------
    >>> at_the_edge(1e8 / 50, rows=50), at_the_edge(1 / 50, rows=50)
    (True, False)
    """
    step = np.log10(alpha * rows) / _STEP
    return bool(step <= _LOWEST + 1e-6 or step >= _HIGHEST - 1e-6)


def _size(problem: Problem) -> float:
    return float(problem.rows if problem.weights is None else problem.weights.sum())


def _walk(score: Callable[[float], float]) -> float:
    """Step with the best score, walking from the first in the better direction."""
    direction = 1 if score(_FIRST + 1) >= score(_FIRST) else -1
    best = _FIRST + 1 if direction == 1 else _FIRST
    while _LOWEST < best < _HIGHEST and score(best + direction) > score(best):
        best += direction
    return best
