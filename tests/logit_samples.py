"""Small samples for the tests of the multinomial logit."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.datasets import simulate_careers
from econllm.formula.lookup import Lookup
from econllm.logit.problem import Point, Problem
from econllm.multinomial.columns import Specification
from econllm.multinomial.setup import Setup
from econllm.panel import CareerPanel
from econllm.sample import fit_weights, read_sample


def choices_frame(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """A multinomial logit in x and g; every outcome occurs with every level."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=n), rng.choice(["u", "v", "w"], n)
    utility = np.column_stack([np.zeros(n), x + (g == "v"), -0.5 * x + 0.8 * (g == "w")]) + rng.gumbel(size=(n, 3))
    return pd.DataFrame({"y": np.array(["car", "bus", "walk"])[utility.argmax(axis=1)], "x": x, "g": g})


def careers(persons: int = 150, occupations: int = 5, **options) -> CareerPanel:
    return simulate_careers(persons, occupations, **{"records": (3, 8), **options})


def make_setup(panel: CareerPanel, formula: str, alpha: float, weights: pd.Series | None = None) -> Setup:
    """What MNLogit gives to its solver."""
    options = {"missing": "raise", "context": None, "offset": None, "choice_sets": None}
    _, columns = Specification.fit(formula, panel, panel.choices, full=True, **options)
    rows = read_sample(panel, "occupation", panel.choices)
    setup = Setup.make(columns, (), rows, fit_weights(panel, weights, False), len(panel.choices), penalised=True)
    return setup.with_penalty(alpha, 0.0)


def random_problem(seed: int, *, weighted: bool, intercept: bool, alpha: float = 0.03, n: int = 90) -> Problem:
    """Sparse indicators, a sparse column of numbers and dense columns, without structure."""
    rng = np.random.default_rng(seed)
    left = sparse.csr_array(
        np.column_stack([np.eye(4)[rng.integers(4, size=n)], rng.normal(size=n) * (rng.random(n) < 0.3)])
    )
    weights = rng.uniform(0, 2, n) if weighted else None
    if weights is not None:
        weights /= weights.mean()
    return Problem(left, rng.normal(size=(n, 2)), rng.integers(3, size=n), 3, weights, alpha, intercept)


def full_problem(seed: int, *, weighted: bool, intercept: bool, alpha: float = 0.03) -> Problem:
    """The same with factors of the penalty, two alternative-specific columns, an offset and unavailable outcomes."""
    problem = random_problem(seed, weighted=weighted, intercept=intercept, alpha=alpha)
    rng = np.random.default_rng(seed + 100)
    n = problem.rows
    table = rng.normal(size=(4, 3))
    table[0, 0], table[1, 2] = -np.inf, -np.inf
    codes = rng.integers(4, size=n)
    codes[~np.isfinite(table[codes, problem.outcome])] = 3
    shared = (Lookup(rng.integers(5, size=n), rng.normal(size=(5, 3))), Lookup(np.arange(n), rng.normal(size=(n, 3))))
    return replace(
        problem,
        factors=rng.uniform(0.5, 2, problem.features),
        shared=shared,
        shared_factors=np.array([0.0, 1.5]),
        offset=Lookup(codes, table),
    )


def random_point(problem: Problem, seed: int = 5) -> Point:
    rng = np.random.default_rng(seed)
    b = rng.normal(size=problem.outcomes) if problem.intercept else np.zeros(problem.outcomes)
    return Point(rng.normal(size=(problem.features, problem.outcomes)), b, rng.normal(size=len(problem.shared)))


def objective(problem: Problem, point: Point) -> float:
    """The objective, written out plainly."""
    z = np.hstack([problem.sparse.toarray(), problem.dense]) @ point.slopes + point.intercepts
    for lookup, coefficient in zip(problem.shared, point.shared, strict=True):
        z = z + coefficient * lookup.table[lookup.codes]
    if problem.offset is not None:
        z = z + problem.offset.table[problem.offset.codes]
    scores = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), problem.outcome]
    factors = np.ones(problem.features) if problem.factors is None else problem.factors
    penalty = (factors @ np.square(point.slopes)).sum()
    if problem.shared_factors is not None:
        penalty += problem.shared_factors @ np.square(point.shared)
    return float(np.average(scores, weights=problem.weights) + 0.5 * problem.alpha * penalty)


def plain_text(fitted: object) -> str:
    """The summary on one line: notes are wrapped to the width of the table."""
    return " ".join(str(fitted).split())
