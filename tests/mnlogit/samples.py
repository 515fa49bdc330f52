"""Small samples for the tests of the multinomial logit."""

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.datasets import simulate_careers
from econllm.formula import DesignSpec
from econllm.mnlogit.problem import Problem
from econllm.mnlogit.setup import Setup
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
    _, design = DesignSpec.fit(formula, panel)
    rows = read_sample(panel, "occupation", panel.choices)
    setup = Setup.make(design, rows, fit_weights(panel, weights, False), len(panel.choices), penalised=True)
    return setup.with_alpha(alpha)


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


def objective(problem: Problem, w: np.ndarray, b: np.ndarray) -> float:
    """The objective, written out plainly."""
    z = np.hstack([problem.sparse.toarray(), problem.dense]) @ w + b
    scores = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), problem.outcome]
    return float(np.average(scores, weights=problem.weights) + 0.5 * problem.alpha * (w**2).sum())


def plain_text(fitted: object) -> str:
    """The summary on one line: notes are wrapped to the width of the table."""
    return " ".join(str(fitted).split())
