"""Results made by hand, so that every number of a table is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from econllm.regtable import COMMON, MaketablesPlugin, TableFacts

TITLES = {1: "Clerk", 2: "Cook", 3: "Driver"}


class Fit(MaketablesPlugin):
    """A result with tidy(), glance() and table_facts()."""

    def __init__(self, coefs, glance=None, facts=None, std_error=0.1):
        self.coefs, self._glance, self.facts, self.std_error = coefs, glance or {"n": 100}, facts, std_error

    def tidy(self, level=0.95):
        frame = pd.DataFrame(
            [(response, term, value) for (response, term), value in self.coefs.items()],
            columns=["response", "term", "estimate"],
        )
        frame["std_error"] = self.std_error
        frame["statistic"] = frame["estimate"] / frame["std_error"]
        frame["p_value"] = 2 * stats.norm.sf(frame["statistic"].abs())
        half = stats.norm.ppf(0.5 + level / 2) * frame["std_error"]
        return frame.assign(lower=frame["estimate"] - half, upper=frame["estimate"] + half)

    def glance(self):
        return pd.DataFrame([self._glance])

    def table_facts(self):
        return self.facts or TableFacts()


def facts(**changes):
    """Facts of a logit of three jobs."""
    usual = {"outcome": "job", "titles": TITLES, "base": 1, "cov": "clustered by person (40 clusters)"}
    return TableFacts(**{**usual, **changes})


def logit(shift=0.0, **changes):
    """Two equations of three coefficients: educ 0.5 and -0.2, black 0.15 and 0.3, constants 1 and 2."""
    values = {"Intercept": (1.0, 2.0), "educ": (0.5, -0.2), "black": (0.15, 0.3)}
    coefs = {(job, term): pair[i] + shift for i, job in enumerate((2, 3)) for term, pair in values.items()}
    numbers = {"n": 1200, "persons": 40, "log_likelihood": -1234.5, "aic": 2481.0, "bic": np.nan, "converged": True}
    shares = {1: 0.5, 2: 0.3, 3: 0.2}
    return Fit(coefs, {**numbers, **changes.pop("glance", {})}, facts(shares=shares, **changes))


def penalised():
    """Every outcome has an equation, and none a standard error."""
    coefs = {(job, "educ"): value for job, value in zip(TITLES, (0.3, -0.1, -0.2), strict=True)}
    words = {
        "cov": "none: penalised; choose another kind",
        "base": None,
        "symmetric": True,
        "penalty": "L2, alpha = 0.01",
    }
    return Fit(coefs, {"n": 1200}, facts(**words), std_error=np.nan)


def embedding(columns=384):
    """An embedding of so many columns beside one number, and a coefficient common to all outcomes."""
    names = [f"embed(resume)[{i}]" for i in range(columns)]
    coefs = {(job, name): float(job) for job in (2, 3) for name in names}
    coefs |= {(2, "educ"): 0.5, (3, "educ"): -0.2, (COMMON, "stay()"): 1.5}
    return Fit(coefs, None, facts(terms=dict.fromkeys(names, "embed(resume)")))


def plain_text(table):
    """The table on one line: notes are wrapped to its width."""
    return " ".join(str(table).split())
