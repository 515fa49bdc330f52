"""Coefficients with awkward names, and a fit of statsmodels to compare with."""

import numpy as np
import pandas as pd
import patsy
import statsmodels.api as sm

# What formulas give, and some that they could.
TERMS = [
    "Intercept",
    "educ",
    "exper",
    "educ:exper",
    "np.log(wage + 1)",
    "np.log(wage)",
    "lag(job)[(none)]",
    "lag(job)[Sales workers: all]",
    "lag(job)[a, b = c]",
    "lag(job)[Sales workers: all]:educ",
    "lag(job)[a, b = c]:educ",
    "C(x, base='a')[b]",
    "embed(resume)[1]",
    "embed(resume)[12]",
    "hourly wage",
    "a - b",
    "2nd",
    "2",
    "é`t`é",
]
RESPONSES = [2, 3, 5]
TITLES = {1: "Professional", 2: "Managers", 3: "Sales [retail], etc.", 5: "Clerks = typists"}
INDEX = pd.MultiIndex.from_tuples(
    [(r, t) for r in RESPONSES for t in TERMS] + [("(common)", "stay()"), ("(common)", "similarity('title')")],
    names=["response", "term"],
)


def random_cov(size: int, seed: int = 0, rank: int | None = None) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(size, rank or size + 3))
    return factor @ factor.T / factor.shape[1]


def sample(seed: int = 0) -> tuple[pd.Series, np.ndarray]:
    """Coefficients for INDEX and their covariance."""
    values = np.random.default_rng(seed).normal(size=len(INDEX))
    return pd.Series(values, index=INDEX), random_cov(len(INDEX), seed)


def anes():
    """Statsmodels' fit to the 1996 election study, its coefficients as a Series, and their covariance in that order."""
    df = sm.datasets.anes96.load_pandas().data
    x = patsy.dmatrix("logpopul + selfLR + age + educ + income", df, return_type="dataframe")
    fit = sm.MNLogit(df["PID"], x).fit(method="newton", disp=0)
    index = pd.MultiIndex.from_product([range(1, 7), x.columns], names=["response", "term"])
    params = pd.Series(np.asarray(fit.params).ravel("F"), index=index)
    return fit, params, np.asarray(fit.cov_params())
