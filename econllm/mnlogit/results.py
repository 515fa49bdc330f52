"""What an estimation of the multinomial logit found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from econllm.base import FitInfo, Results
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.formula import Design, DesignSpec
from econllm.metrics import check_level
from econllm.mnlogit.coordinates import stack
from econllm.mnlogit.estimates import Estimates, reserved_probability
from econllm.mnlogit.report import summary_table
from econllm.mnlogit.solver import Report, log_proba
from econllm.sample import Data
from econllm.tables import Table

if TYPE_CHECKING:
    from econllm.mnlogit.model import MNLogit

_INTERCEPT = "Intercept"


class MNLogitResults(Results):
    """Estimated multinomial logit. Immutable; holds no rows of the data.

    Attributes
    ----------
    model : MNLogit
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.

    Examples
    --------
    >>> from econllm.mnlogit import MNLogit
    >>> df = pd.DataFrame({"y": ["a", "b", "b", "a", "b"], "x": [0.0, 1, 0, 1, 2]})
    >>> MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df).predict_proba(df).sum(axis=1).round(9).unique().tolist()
    [1.0]
    """

    def __init__(self, model: MNLogit, choices: ChoiceSet, info: FitInfo, estimates: Estimates) -> None:
        self.model: MNLogit = model
        self.choices = choices
        self.info = info
        self._estimates = estimates

    # Prediction

    @property
    def outcome(self) -> str:
        """Outcome column in a data frame."""
        return self._estimates.spec.parsed.outcome

    def kept(self, data: Data) -> np.ndarray:
        """Which rows are predicted: all, or with ``missing="drop"`` those without missing values."""
        if self.model.missing == "raise":
            return np.ones(len(data), dtype=bool)
        return self._estimates.spec.build(data).kept

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every outcome, shape (n, choices), in nats; see :meth:`Results.log_proba`."""
        design = self._estimates.spec.build(data)
        out = np.empty((len(design), len(self.choices)))
        for rows, values in self._pieces(design):
            out[rows] = values
        return out

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row, without holding the whole matrix."""
        design = self._estimates.spec.build(data)
        outcome = self.sample(data).outcome[design.kept]
        scores = np.empty(len(outcome))
        for rows, values in self._pieces(design):
            scores[rows] = values[np.arange(len(values)), outcome[rows]]
        return pd.Series(scores, index=data.index[design.kept], name="log_likelihood")

    def _pieces(self, design: Design) -> Iterator[tuple[slice, np.ndarray]]:
        """Log probabilities over the whole choice set, chunk by chunk."""
        e = self._estimates
        if not len(design):
            raise DataError("the data to predict have no rows.")
        x = stack(design).take(e.kept_columns)
        if x.columns != e.columns:
            raise DataError("the formula gives other columns on these data than at estimation.")
        unseen = len(self.choices) - len(e.seen)
        reserved = reserved_probability(self.model.pseudo_count, e.rows, unseen)
        for rows, values in log_proba(x.sparse, x.dense, e.slopes, e.intercepts):
            out = np.full((len(values), len(self.choices)), np.log(reserved))
            out[:, e.seen] = values + np.log1p(-reserved * unseen)
            yield rows, out

    # Coefficients

    @property
    def params(self) -> pd.Series:
        """Coefficients in the units of the data, indexed by (response, term).

        Against the base outcome, whose own are left out; with a penalty and no base, for every outcome, summing to
        zero over outcomes.
        """
        e = self._estimates
        theta = np.vstack([e.intercepts, e.slopes]) if e.spec.parsed.intercept else e.slopes
        if e.base is not None:
            theta = np.delete(theta - theta[:, [e.base]], e.base, axis=1)
        else:
            theta = theta - theta.mean(axis=1, keepdims=True)
        return pd.Series(theta.T.ravel(), index=self._labels, name="params")

    @property
    def _labels(self) -> pd.MultiIndex:
        e = self._estimates
        terms = [_INTERCEPT, *e.columns] if e.spec.parsed.intercept else list(e.columns)
        codes = [self.choices.codes[i] for k, i in enumerate(e.seen) if k != e.base]
        return pd.MultiIndex.from_product([codes, terms], names=["response", "term"])

    @property
    def cov(self) -> pd.DataFrame | None:
        """Covariance of the coefficients: inverse observed information. None with a penalty or where too large."""
        cov = self._estimates.cov
        return None if cov is None else pd.DataFrame(cov, index=self._labels, columns=self._labels)

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors, indexed as `params`; nan where there are none (penalised fits)."""
        cov = self._estimates.cov
        values = np.full(len(self._labels), np.nan) if cov is None else np.sqrt(np.diag(cov))
        return pd.Series(values, index=self._labels, name="std_errors")

    @property
    def tstats(self) -> pd.Series:
        """Coefficients over standard errors."""
        return (self.params / self.std_errors).rename("tstats")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values by the normal distribution."""
        values = 2 * stats.norm.sf(self.tstats.abs())
        return pd.Series(values, index=self._labels, name="pvalues")

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Confidence intervals by the normal distribution.

        Parameters
        ----------
        level : float
            Coverage.

        Returns
        -------
        pandas.DataFrame
            Columns lower and upper, indexed as `params`.
        """
        check_level(level)
        half = stats.norm.ppf(0.5 + level / 2) * self.std_errors
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    @property
    def chosen(self) -> dict[str, float]:
        """The weight of the penalty, where it was chosen by held-out log-likelihood."""
        return dict.fromkeys(self.model.automatic, self.alpha)

    @property
    def alpha(self) -> float:
        """Weight of the penalty that was used; 0 without a penalty."""
        return self._estimates.alpha

    @property
    def alpha_path(self) -> pd.DataFrame | None:
        """Candidates for alpha with their held-out mean log-likelihood, where alpha was chosen."""
        path = self._estimates.alpha_path
        return None if path is None else path.copy()

    @property
    def converged(self) -> bool:
        """Whether the optimiser met its tolerance."""
        return self._estimates.solution.converged

    @property
    def iterations(self) -> int:
        """Iterations of the optimiser."""
        return self._estimates.solution.iterations

    @property
    def objective(self) -> float:
        """Mean negative log-likelihood plus penalty at the solution."""
        return self._estimates.solution.objective

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient: response, term, estimate, std_error, statistic, p_value, lower, upper."""
        columns = {
            "estimate": self.params,
            "std_error": self.std_errors,
            "statistic": self.tstats,
            "p_value": self.pvalues,
        }
        return pd.DataFrame(columns).join(self.conf_int()).reset_index()

    def glance(self) -> pd.DataFrame:
        """One row of statistics of the fit."""
        i, s = self.info, self._estimates.solution
        row = {
            "n": i.rows,
            "persons": i.persons,
            "log_likelihood": i.log_likelihood,
            "parameters": i.parameters,
            "penalty": self.model.penalty or "none",
            "alpha": self.alpha,
            "converged": s.converged,
            "iterations": s.iterations,
            "seconds": i.seconds,
        }
        return pd.DataFrame([row])

    # Reporting

    def summary(self) -> Table:
        """Describe sample, estimation and coefficients.

        Returns
        -------
        Table
            Coefficients by outcome, with the variable labels of the data and the titles of occupations; where there are
            more than 300, one line per term with the number of its columns and the root of the sum of its squared
            coefficients.
        """
        return summary_table(self, self._estimates)

    # Saving

    def _state(self) -> dict[str, Any]:
        e = self._estimates
        path = None if e.alpha_path is None else {name: e.alpha_path[name].to_numpy() for name in e.alpha_path}
        plain = {
            name: getattr(e, name)
            for name in (
                "columns",
                "terms",
                "kept_columns",
                "slopes",
                "intercepts",
                "seen",
                "rows",
                "base",
                "alpha",
                "alpha_rule",
                "cov",
                "omitted",
                "labels",
            )
        }
        return {**plain, "spec": e.spec.to_state(), "alpha_path": path, "solution": asdict(e.solution)}

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> MNLogitResults:
        path = None if state["alpha_path"] is None else pd.DataFrame(state["alpha_path"])
        special = {
            "spec": DesignSpec.from_state(state["spec"]),
            "alpha_path": path,
            "solution": Report(**state["solution"]),
        }
        tuples = {name: tuple(state[name]) for name in ("columns", "terms", "omitted")}
        return cls(model, choices, info, Estimates(**{**state, **special, **tuples}))
