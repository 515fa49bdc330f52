"""Choosing the algorithm that a problem's penalty needs."""

from __future__ import annotations

from econllm.logit.elastic import solve_elastic
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Solution, solve


def minimise(
    problem: Problem,
    *,
    start: Point | None = None,
    tolerance: float,
    max_iter: int,
    polish: bool = True,
    device: str = "cpu",
) -> Solution:
    """Minimise the objective of a problem, whatever its penalty.

    Parameters
    ----------
    problem : Problem
        Data and penalty.
    start : Point, optional
        Where to begin.
    tolerance : float
        See :func:`solve` and, where the penalty has absolute values, :func:`solve_elastic`.
    max_iter : int
        Limit on iterations.
    polish : bool
        End with Newton steps where the problem is smooth and small.
    device : str
        Where smooth problems are solved.

    Returns
    -------
    Solution
    """
    if problem.l1_ratio > 0 and problem.alpha > 0:
        return solve_elastic(problem, start=start, tolerance=tolerance, max_iter=max_iter)
    return solve(problem, start=start, tolerance=tolerance, max_iter=max_iter, polish=polish, device=device)
