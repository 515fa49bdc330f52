"""Coefficients of an estimated multinomial logit, their standard errors, and tests and functions of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from econllm import inference
from econllm.base import FitInfo, Results
from econllm.choices import ChoiceSet
from econllm.errors import DataError, OptionError, did_you_mean
from econllm.inference import FunctionEstimates, LRTest, WaldTest
from econllm.logit.solver import Report
from econllm.metrics import check_level
from econllm.multinomial.estimates import Estimates
from econllm.multinomial.penalty_path import PenaltyPath
from econllm.regtable import COMMON

if TYPE_CHECKING:
    from econllm.multinomial.model import MNLogit

Function = Callable[[pd.Series], float | np.ndarray | pd.Series]

_INTERCEPT = "Intercept"
# Coefficients whose covariance matrix is still made from replications.
_MOST_FOR_COV = 10_000


class Coefficients(Results):
    """What :class:`MNLogitResults` knows without data: coefficients, inference, fit statistics."""

    def __init__(self, model: MNLogit, choices: ChoiceSet, info: FitInfo, estimates: Estimates) -> None:
        self.model: MNLogit = model
        self.choices = choices
        self.info = info
        self._estimates = estimates

    @property
    def params(self) -> pd.Series:
        """Coefficients in the units of the data, indexed by (response, term).

        Against the base outcome, whose own are left out; with a penalty and no base, for every outcome, summing to
        zero over outcomes ("l1" and "elasticnet": as the penalty leaves them, with their zeros). Those common to all
        outcomes have the response "(common)".
        """
        return pd.Series(self._estimates.reported, index=self._labels, name="params")

    @property
    def _labels(self) -> pd.MultiIndex:
        e = self._estimates
        terms = [_INTERCEPT, *e.columns] if e.spec.intercept else list(e.columns)
        codes = [self.choices.codes[i] for k, i in enumerate(e.seen) if k != e.base]
        pairs = [(code, term) for code in codes for term in terms]
        return pd.MultiIndex.from_tuples(
            [*pairs, *((COMMON, name) for name in e.shared_columns)], names=["response", "term"]
        )

    @property
    def cov(self) -> pd.DataFrame | None:
        """Covariance of the coefficients, of the kind that `cov_description` names; None where there is none."""
        found = self._estimates.inference
        cov = found.cov
        if found.replicates is not None:
            if found.replicates.shape[1] > _MOST_FOR_COV:
                raise DataError(
                    f"the covariance of {found.replicates.shape[1]:,} coefficients is too large to be formed; "
                    "std_errors are there."
                )
            cov = np.cov(found.replicates, rowvar=False).reshape((found.replicates.shape[1],) * 2)
        return None if cov is None else pd.DataFrame(cov, index=self._labels, columns=self._labels)

    @property
    def cov_type(self) -> str | None:
        """Kind of standard errors: "nonrobust", "robust", "clustered", "bootstrap", or None."""
        return self._estimates.inference.kind

    @property
    def cov_description(self) -> str:
        """The kind of standard errors in words, or why there are none."""
        return self._estimates.inference.words

    @property
    def replicates(self) -> pd.DataFrame | None:
        """Coefficients of every bootstrap replication, one row each; None without a bootstrap."""
        found = self._estimates.inference.replicates
        return None if found is None else pd.DataFrame(found, columns=self._labels)

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors, indexed as `params`; nan where there are none, or the choice sets identify none."""
        found = self._estimates.inference
        values = np.full(len(self._labels), np.nan)
        if found.replicates is not None:
            values = found.replicates.std(axis=0, ddof=1)
        elif found.cov is not None:
            values = np.sqrt(np.maximum(np.diag(found.cov), 0))
        if found.unidentified is not None:
            values[found.unidentified] = np.nan
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
    def chosen(self) -> dict[str, Any]:
        """The weight of the penalty, where it was chosen by held-out log-likelihood."""
        return dict.fromkeys(self.model.automatic, self.alpha)

    @property
    def alpha(self) -> float:
        """Weight of the penalty that was used; 0 without a penalty."""
        return self._estimates.tuning.alpha

    @property
    def path(self) -> PenaltyPath | None:
        """Candidates for alpha with their held-out scores, where alpha was chosen; ``path.frame``, ``path.plot()``."""
        return self._estimates.tuning.path

    @property
    def folds(self) -> pd.Series | None:
        """Fold of cross-validation of every person (or row of a data frame); kept in memory, never saved."""
        return self._estimates.tuning.folds

    # How well it fits, and how it was found

    @property
    def null_log_likelihood(self) -> float:
        """Log-likelihood of the sample with constants only."""
        return self._estimates.null_log_likelihood

    @property
    def pseudo_r2(self) -> float:
        """McFadden's: one less the ratio of log-likelihoods, of the fit and of constants only."""
        e = self._estimates
        return 1 - e.log_likelihood / e.null_log_likelihood

    @property
    def effective_df(self) -> float:
        """Number of free parameters; with a penalty trace((H + n R)^-1 H); nan where that is too much work."""
        return self._estimates.effective_df

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 (effective_df - log-likelihood)."""
        return 2 * (self.effective_df - self._estimates.log_likelihood)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, effective_df log(n) - 2 log-likelihood."""
        return self.effective_df * float(np.log(self.info.rows)) - 2 * self._estimates.log_likelihood

    @property
    def converged(self) -> bool:
        """Whether the optimiser met its tolerance."""
        return self._estimates.solution.converged

    @property
    def iterations(self) -> int:
        """Iterations of the optimiser."""
        return self._estimates.solution.iterations

    @property
    def optimisation(self) -> Report:
        """How the optimisation ended: objective, converged, iterations, gradient, seconds."""
        return self._estimates.solution

    @property
    def objective(self) -> float:
        """Mean negative log-likelihood plus penalty at the solution."""
        return self._estimates.solution.objective

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per coefficient: response, term, estimate, std_error, statistic, p_value, lower, upper."""
        columns = {
            "estimate": self.params,
            "std_error": self.std_errors,
            "statistic": self.tstats,
            "p_value": self.pvalues,
        }
        return pd.DataFrame(columns).join(self.conf_int(level)).reset_index()

    def glance(self) -> pd.DataFrame:
        """One row of statistics of the fit."""
        i, s, e = self.info, self._estimates.solution, self._estimates
        ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": self.model.l1_ratio}.get(self.model.penalty or "", np.nan)
        row = {
            "n": i.rows,
            "persons": i.persons,
            "clusters": e.inference.clusters,
            "log_likelihood": e.log_likelihood,
            "null_log_likelihood": e.null_log_likelihood,
            "pseudo_r2": self.pseudo_r2,
            "aic": self.aic,
            "bic": self.bic,
            "parameters": i.parameters,
            "effective_df": self.effective_df,
            "penalty": self.model.penalty or "none",
            "alpha": self.alpha,
            "l1_ratio": ratio,
            "cov_type": e.inference.kind or "none",
            "converged": s.converged,
            "iterations": s.iterations,
            "gradient": s.gradient,
            "seconds": i.seconds,
        }
        return pd.DataFrame([row])

    # Tests

    def wald_test(self, hypothesis: str | Sequence[str], *, df_denominator: float | None = None) -> WaldTest:
        """Test linear restrictions on the coefficients.

        Parameters
        ----------
        hypothesis : str or sequence of str
            ``"educ = 0"`` in every equation jointly, ``"[2]educ = [3]educ"``, ``"[Managers]educ = 0"``; see
            :func:`econllm.inference.parse_hypothesis`.
        df_denominator : float, optional
            Use the F distribution with these second degrees of freedom.

        Returns
        -------
        WaldTest
        """
        cov = self._needed_cov("wald_test()")
        return inference.wald_test(self.params, cov, hypothesis, titles=self._titles, df_denominator=df_denominator)

    def joint_tests(self, terms: Sequence[str] | None = None) -> pd.DataFrame:
        """Test every term of the formula jointly across all equations.

        Parameters
        ----------
        terms : sequence of str, optional
            Terms; all by default.

        Returns
        -------
        pandas.DataFrame
            Indexed by term: df, statistic (chi-squared) and p_value.
        """
        cov = self._needed_cov("joint_tests()")
        e = self._estimates
        columns = {
            t: [c for c, own in zip(e.columns, e.terms, strict=True) if own == t] for t in dict.fromkeys(e.terms)
        }
        columns |= {name: [name] for name in e.shared_columns}
        if terms is None:
            return inference.joint_tests(self.params, cov, columns)
        if isinstance(terms, str):
            raise OptionError(f"terms is a text; give a list: terms=[{terms!r}].")
        for term in terms:
            if term not in columns:
                raise OptionError(f"{term!r} is no term of the formula.{did_you_mean(term, columns)}")
        return inference.joint_tests(self.params, cov, {term: columns[term] for term in terms})

    def lr_test(self, restricted: Coefficients) -> LRTest:
        """Likelihood-ratio test of a smaller model that is nested in this one.

        Parameters
        ----------
        restricted : MNLogitResults
            Fitted to the same rows.

        Returns
        -------
        LRTest

        Raises
        ------
        OptionError
            If `restricted` is no such result.
        DataError
            With penalties, probability weights or standard errors that allow for dependent or misspecified rows: the
            ratio has no chi-squared distribution then; and if the smaller model is not nested in the larger.
        """
        if not isinstance(restricted, Coefficients):
            raise OptionError(f"restricted is a {type(restricted).__name__}; give the result of the smaller model.")
        for name, fit in (("this fit", self), ("the restricted fit", restricted)):
            if fit.model.penalty is not None:
                raise DataError(f"lr_test() compares maximised likelihoods, and {name} has a penalty.")
            if fit.info.weighted and fit.model.weight_type == "probability":
                raise DataError(
                    f"lr_test() does not hold with probability weights, and {name} has them; use wald_test()."
                )
            if fit.cov_type not in (None, "nonrobust"):
                raise DataError(
                    f"lr_test() takes rows to be independent and the model to be true, and {name} has standard errors "
                    f"that do not ({fit.cov_description}): use wald_test(), or fit both with cov_type='nonrobust'."
                )
        own, other = self._estimates, restricted._estimates
        extra = [name for name in (*other.columns, *other.shared_columns) if name not in self._named]
        if extra or not np.array_equal(own.seen, other.seen):
            what = f"column {extra[0]!r} is not in the larger model" if extra else "the outcomes differ"
            raise DataError(f"lr_test() needs nested models, and {what}; give the smaller model as `restricted`.")
        return inference.likelihood_ratio(
            restricted._estimates.log_likelihood,
            restricted.info.parameters,
            self._estimates.log_likelihood,
            self.info.parameters,
            n_small=restricted.info.rows,
            n_big=self.info.rows,
        )

    @property
    def _named(self) -> frozenset[str]:
        return frozenset((*self._estimates.columns, *self._estimates.shared_columns))

    # Functions of coefficients

    def lincom(
        self,
        expression: str | Sequence[str] | Mapping[str, str],
        *,
        level: float = 0.95,
        exp: bool = False,
    ) -> FunctionEstimates:
        """Estimate linear combinations of coefficients, such as ``"[3]educ - [2]educ"``.

        Parameters
        ----------
        expression : str, sequence of str, or mapping of str to str
            See :func:`econllm.inference.lincom`.
        level : float
            Coverage of the intervals.
        exp : bool
            Exponentiate.

        Returns
        -------
        FunctionEstimates
        """
        cov = self._needed_cov("lincom()")
        return inference.lincom(self.params, cov, expression, level=level, titles=self._titles, exp=exp)

    def nlcom(
        self,
        expression: str | Sequence[str] | Mapping[str, str] | Function,
        *,
        level: float = 0.95,
    ) -> FunctionEstimates:
        """Estimate nonlinear functions of coefficients, such as ``"[2]educ / [2]exper"``.

        Parameters
        ----------
        expression : str, sequence of str, mapping of str to str, or callable
            See :func:`econllm.inference.nlcom`.
        level : float
            Coverage of the intervals.

        Returns
        -------
        FunctionEstimates
            By the delta method; from the replications where the fit has a bootstrap.
        """
        replicates = self._estimates.inference.replicates
        cov = self._needed_cov("nlcom()") if replicates is None else np.empty((0, 0))
        return inference.nlcom(self.params, cov, expression, level=level, titles=self._titles, replicates=replicates)

    def relative_risk_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Exponentiated coefficients with delta-method standard errors and exponentiated intervals.

        Parameters
        ----------
        level : float
            Coverage of the intervals.

        Returns
        -------
        pandas.DataFrame
            Indexed as `params`: estimate, std_error, statistic, p_value, lower, upper.
        """
        return inference.relative_risk_ratios(self.params, self._needed_cov("relative_risk_ratios()"), level)

    def _needed_cov(self, purpose: str) -> np.ndarray:
        cov = self.cov
        if cov is None:
            raise DataError(
                f"{purpose} needs a covariance of the coefficients, and there is none ({self.cov_description})."
            )
        return cov.to_numpy()

    @property
    def _titles(self) -> dict[Hashable, str]:
        return dict(zip(self.choices.codes, self.choices.titles, strict=True))
