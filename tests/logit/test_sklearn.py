"""With an L2 penalty: the same optimum as scikit-learn's on the same matrix."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, make_setup, objective
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from econllm.logit import newton
from econllm.logit.problem import Point
from econllm.logit.solver import log_proba, solve

FACTORS = "occupation ~ lag(occupation) + sex + educ"


def reference(problem):
    x = sparse.csr_matrix(sparse.hstack([problem.sparse, sparse.csr_array(problem.dense)]))
    x = x if problem.sparse.shape[1] else problem.dense
    model = LogisticRegression(C=1 / (problem.rows * problem.alpha), tol=1e-11, max_iter=20_000)
    model.fit(x, problem.outcome, sample_weight=problem.weights)
    return Point(model.coef_.T, model.intercept_, np.zeros(0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [1e-3, 0.05])
@pytest.mark.parametrize("formula", ["occupation ~ educ + exper", FACTORS])
def test_small_problems(formula, alpha, weighted) -> None:
    panel = careers()
    weights = pd.Series(np.random.default_rng(1).uniform(0.2, 3, len(panel.persons)), index=panel.persons)
    problem = make_setup(panel, formula, alpha, weights if weighted else None).problem
    assert newton.affordable(problem)
    found = solve(problem)
    other = reference(problem)
    theirs = objective(problem, other)
    assert found.objective == pytest.approx(objective(problem, found.point), rel=1e-13)
    assert found.objective <= theirs + 1e-14
    assert found.objective == pytest.approx(theirs, rel=1e-7)
    assert found.gradient < 1e-10
    centred = other.slopes - other.slopes.mean(axis=1, keepdims=True)
    assert found.point.slopes - found.point.slopes.mean(axis=1, keepdims=True) == pytest.approx(centred, abs=1e-4)


def test_large_problems_stop_near_the_optimum(monkeypatch) -> None:
    problem = make_setup(careers(300, 8), FACTORS + " + lag(occupation, 2)", 1e-3).problem
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 10)
    theirs = objective(problem, reference(problem))
    assert solve(problem).objective == pytest.approx(theirs, rel=1e-5)
    assert solve(problem, tolerance=1e-10).objective == pytest.approx(theirs, rel=1e-8)


def test_the_fit_itself(monkeypatch) -> None:
    """Through MNLogit: scaling, centring and all levels undone, probabilities agree with scikit-learn's."""
    from econllm.multinomial import MNLogit

    panel = careers()
    fitted = MNLogit(FACTORS, penalty="l2", alpha=0.01).fit(panel)
    problem = make_setup(panel, FACTORS, 0.01).problem
    theirs = np.exp(np.vstack([z for _, z in log_proba(problem, reference(problem))]))
    assert np.exp(fitted.log_proba(panel)) == pytest.approx(theirs, abs=1e-5)
    assert fitted.params.groupby("term").sum().abs().max() < 1e-9  # symmetric
    assert fitted.std_errors.isna().all()
    assert "penalised" in fitted.cov_description
