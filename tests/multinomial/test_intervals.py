"""Intervals of probabilities, scores and residuals: closed forms, finite differences and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from logit_samples import choices_frame
from scipy import sparse, special, stats

import econllm as el
from econllm.errors import DataError, OptionError
from econllm.formula.lookup import Lookup
from econllm.logit.problem import Point, Problem
from econllm.multinomial import MNLogit
from econllm.multinomial.estimates import report_coefficients, report_gradient
from econllm.multinomial.intervals import delta_interval, predict_interval, residuals, scores


def binary_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    return pd.DataFrame({"y": (rng.random(200) < special.expit(0.5 + x)).astype(int), "x": x})


@pytest.mark.parametrize("cov_type", ["nonrobust", "robust"])
def test_two_outcomes_have_the_intervals_of_the_logit(cov_type) -> None:
    df = binary_frame()
    fit = MNLogit("y ~ x", cov_type=cov_type).fit(df)
    lower, upper = bounds(fit, df, 0.9)
    x = np.column_stack([np.ones(len(df)), df["x"]])
    error = np.sqrt(np.einsum("ia,ab,ib->i", x, fit.cov.to_numpy(), x))
    z = stats.norm.ppf(0.95)
    index = x @ fit.params.to_numpy()
    assert lower[:, 1] == pytest.approx(special.expit(index - z * error), abs=1e-10)
    assert upper[:, 1] == pytest.approx(special.expit(index + z * error), abs=1e-10)
    assert lower[:, 0] == pytest.approx(1 - upper[:, 1], abs=1e-12)


def bounds(*options) -> list[np.ndarray]:
    return [bound.to_numpy() for bound in predict_interval(*options)]


def random_case(scale: float) -> tuple[Problem, Point, np.ndarray]:
    rng = np.random.default_rng(1)
    n = 12
    cost = Lookup(np.arange(n), rng.normal(size=(n, 4)))
    x = sparse.csr_array((rng.random((n, 2)) < 0.5).astype(float))
    problem = Problem(x, rng.normal(size=(n, 1)), np.zeros(n, int), 4, None, 0.0, True, shared=(cost,))
    point = Point(rng.normal(size=(3, 4)) * scale, rng.normal(size=4), rng.normal(size=1))
    size = len(report_coefficients(point, True, 1))
    root = rng.normal(size=(size, size)) * 0.1
    return problem, point, root @ root.T


def numerical_error(problem: Problem, point: Point, cov: np.ndarray) -> np.ndarray:
    """Standard errors of log odds with a gradient by finite differences."""

    def odds(theta: np.ndarray) -> np.ndarray:
        z = problem.utilities(problem.point(theta))
        out = np.empty(z.shape)
        for j in range(z.shape[1]):
            out[:, j] = z[:, j] - special.logsumexp(np.delete(z, j, axis=1), axis=1)
        return out

    theta = problem.vector(point)
    rows = [(odds(theta + step) - odds(theta - step)) / 2e-5 for step in np.eye(len(theta)) * 1e-5]
    gradient = np.array(rows).reshape(len(theta), -1).T
    reported = report_gradient(gradient, 3, 4, True, 1)
    return np.sqrt(np.einsum("ia,ab,ib->i", reported, cov, reported)).reshape(problem.rows, 4)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_delta_method_against_finite_differences(scale) -> None:
    problem, point, cov = random_case(scale)
    lower, upper = delta_interval(problem, point, cov, 1, 0.95)
    half = (special.logit(upper) - special.logit(lower)) / 2
    inside = (lower > 1e-9) & (upper < 1 - 1e-9)
    expected = stats.norm.ppf(0.975) * numerical_error(problem, point, cov)
    assert inside.sum() > 10
    assert half[inside] == pytest.approx(expected[inside], rel=1e-5)
    assert ((lower >= 0) & (upper <= 1) & (lower < upper)).all()


def test_nearly_certain_outcomes_keep_their_accuracy() -> None:
    """At p = 1 - 4e-18 one less p is zero in floating point; the interval comes from the other outcomes."""
    problem = Problem(sparse.csr_array((1, 0)), np.ones((1, 1)), np.zeros(1, int), 2, None, 0.0, False)
    point = Point(np.array([[0.0, 40.0]]), np.zeros(2), np.zeros(0))
    lower, upper = delta_interval(problem, point, np.array([[25.0]]), 0, 0.95)
    z = stats.norm.ppf(0.975)
    assert lower[0] == pytest.approx([special.expit(-40 - 5 * z), special.expit(40 - 5 * z)], rel=1e-9)
    assert upper[0] == pytest.approx([special.expit(-40 + 5 * z), special.expit(40 + 5 * z)], rel=1e-9)


def test_outcomes_that_are_not_available_have_no_width() -> None:
    problem, point, cov = random_case(1.0)
    offset = np.zeros((12, 4))
    offset[0, 2] = -np.inf
    offset[1, 1:] = -np.inf
    limited = Problem(
        problem.sparse,
        problem.dense,
        problem.outcome,
        4,
        None,
        0.0,
        True,
        shared=problem.shared,
        offset=Lookup(np.arange(12), offset),
    )
    lower, upper = delta_interval(limited, point, cov, 1, 0.95)
    assert (lower[0, 2], upper[0, 2]) == (0.0, 0.0)
    assert lower[1].tolist() == upper[1].tolist() == [1.0, 0.0, 0.0, 0.0]
    whole = delta_interval(problem, point, cov, 1, 0.95)
    assert lower[2:] == pytest.approx(whole[0][2:], abs=1e-14)


def test_bootstrap_percentiles() -> None:
    df = binary_frame()
    fit = MNLogit("y ~ x", cov_type="bootstrap", replications=40).fit(df, seed=0)
    lower, upper = bounds(fit, df, 0.8)
    draws = fit._estimates.inference.replicates
    x = np.column_stack([np.ones(len(df)), df["x"]])
    proba = special.expit(x @ draws.T)
    assert lower[:, 1] == pytest.approx(np.quantile(proba, 0.1, axis=1), abs=1e-12)
    assert upper[:, 1] == pytest.approx(np.quantile(proba, 0.9, axis=1), abs=1e-12)


def test_predict_proba_with_an_interval() -> None:
    df = choices_frame()
    fit = MNLogit("y ~ x + g").fit(df)
    wide = fit.predict_proba(df, interval=0.95)
    assert wide.columns.tolist()[:3] == [("bus", "estimate"), ("bus", "lower"), ("bus", "upper")]
    assert wide.columns.names == [None, "part"]
    lower, upper = bounds(fit, df)
    assert predict_interval(fit, df)[0].index.equals(df.index)
    assert wide.xs("lower", axis=1, level=1).to_numpy() == pytest.approx(lower)
    estimate = wide.xs("estimate", axis=1, level=1).to_numpy()
    assert ((lower < estimate) & (estimate < upper)).all()


def test_outcomes_never_seen_have_their_reserved_probability() -> None:
    df = choices_frame().assign(y=lambda d: pd.Categorical(d["y"], ["bus", "car", "walk", "tram"]))
    fit = MNLogit("y ~ x").fit(df)
    lower, upper = bounds(fit, df)
    proba = fit.predict_proba(df).to_numpy()
    assert lower[:, 3] == pytest.approx(proba[:, 3])
    assert upper[:, 3] == pytest.approx(proba[:, 3])
    assert ((lower[:, :3] < proba[:, :3]) & (proba[:, :3] < upper[:, :3])).all()


def test_intervals_need_standard_errors() -> None:
    df = choices_frame()
    with pytest.raises(DataError, match="intervals need standard errors of the coefficients"):
        predict_interval(MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df), df)
    with pytest.raises(OptionError, match="level"):
        predict_interval(MNLogit("y ~ x").fit(df), df, 95)


def test_scores_equal_statsmodels_and_sum_to_zero() -> None:
    df = sm.datasets.anes96.load_pandas().data
    fit = MNLogit("PID ~ age + educ").fit(df)
    exog = sm.add_constant(df[["age", "educ"]])
    model = sm.MNLogit(df["PID"], exog)
    theirs = model.score_obs(fit.params.to_numpy().reshape(6, 3).T)
    ours = scores(fit, df)
    assert ours.columns.equals(fit.params.index)
    assert ours.to_numpy() == pytest.approx(np.asarray(theirs), abs=1e-9)
    assert np.abs(ours.to_numpy().sum(axis=0)).max() < 1e-6


def test_scores_of_a_penalised_fit_are_about_every_outcome() -> None:
    df = choices_frame()
    fit = MNLogit("y ~ x + g", penalty="l2", alpha=0.05).fit(df)
    ours = scores(fit, df)
    assert ours.columns.equals(fit.params.index)
    constants = ours.xs("Intercept", axis=1, level="term")
    expected = residuals(fit, df)
    assert constants.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)


def test_scores_of_outcomes_that_never_occurred_are_zero() -> None:
    df = choices_frame().assign(y=lambda d: pd.Categorical(d["y"], ["bus", "car", "walk", "tram"]))
    fit = MNLogit("y ~ x").fit(df)
    new = df.head(3).assign(y=pd.Categorical(["tram", "bus", "tram"], df["y"].cat.categories))
    found = scores(fit, new).to_numpy()
    assert (found[[0, 2]] == 0).all()
    assert (found[1] != 0).any()


def test_residuals_of_two_outcomes_are_those_of_the_logit() -> None:
    df = binary_frame()
    fit = MNLogit("y ~ x").fit(df)
    theirs = sm.GLM(df["y"], sm.add_constant(df["x"]), family=sm.families.Binomial()).fit(tol=1e-13)
    for kind, expected in (
        ("response", theirs.resid_response),
        ("pearson", theirs.resid_pearson),
        ("deviance", theirs.resid_deviance),
    ):
        ours = residuals(fit, df, kind)
        assert ours[1].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-6)
        assert ours[0].to_numpy() == pytest.approx(-ours[1].to_numpy(), abs=1e-12)
    with pytest.raises(OptionError, match="kind='raw'"):
        residuals(fit, df, "raw")


def test_response_residuals_are_uncorrelated_with_the_columns() -> None:
    df = el.datasets.load_wage_panel()
    fit = MNLogit("occupation ~ educ + exper").fit(df)
    ours = residuals(fit, df)
    assert ours.sum(axis=1).abs().max() < 1e-12
    assert np.abs(ours.to_numpy().T @ df[["educ", "exper"]].to_numpy()).max() < 1e-4
