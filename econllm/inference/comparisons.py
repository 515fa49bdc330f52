"""Tests that compare two fits: the likelihood ratio, and Hausman's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from econllm.choices import plain_code
from econllm.errors import DataError, OptionError, check_number
from econllm.inference.names import INTERCEPT
from econllm.inference.wald import as_arrays
from econllm.tables import Fact, Row, Table

# A larger model may fall short of a smaller one by what an optimiser leaves.
_ROUNDING = 1e-6
# Relative to the covariance of the restricted fit, direction by direction.
_SINGULAR = 1e-8


@dataclass(frozen=True)
class LRTest:
    """A likelihood-ratio test of nested fits.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Difference of the numbers of parameters.
    p_value : float
        Probability of a larger statistic if the smaller model holds, by the chi-squared distribution.
    log_likelihoods : tuple of float
        Of the smaller and the larger model.
    parameters : tuple of int
        Of the smaller and the larger model.

    Examples
    --------
    >>> print(likelihood_ratio(-110.0, 3, -105.0, 5))
             Likelihood-ratio test
    ========================================
    chi2(2):       10.000    p:        0.007
    ========================================
                  log-likelihood  parameters
    ----------------------------------------
    smaller             -110.000           3
    larger              -105.000           5
    ========================================
    """

    statistic: float
    df: int
    p_value: float
    log_likelihoods: tuple[float, float]
    parameters: tuple[int, int]

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, df, p_value."""
        return pd.DataFrame([{"statistic": self.statistic, "df": self.df, "p_value": self.p_value}])

    def to_table(self) -> Table:
        """The two models under statistic and p-value."""
        facts = [Fact(f"chi2({self.df})", self.statistic, ".3f"), Fact("p", self.p_value, "pvalue")]
        pairs = zip(("smaller", "larger"), self.log_likelihoods, self.parameters, strict=True)
        body = [Row(name, [value, count], [".3f", ",d"]) for name, value, count in pairs]
        return Table(["log-likelihood", "parameters"], body, title="Likelihood-ratio test", facts=facts)

    def __str__(self) -> str:
        return str(self.to_table())

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()


def likelihood_ratio(
    ll_small: float,
    k_small: int,
    ll_big: float,
    k_big: int,
    *,
    n_small: int | None = None,
    n_big: int | None = None,
) -> LRTest:
    """Test a model against a larger one that contains it.

    Parameters
    ----------
    ll_small, ll_big : float
        Maximised log-likelihoods in nats, without penalties or probability weights.
    k_small, k_big : int
        Numbers of parameters.
    n_small, n_big : int, optional
        Rows of the two fits; where both are given they must agree.

    Returns
    -------
    LRTest

    Raises
    ------
    OptionError
        If the larger model has no more parameters.
    DataError
        If a log-likelihood is not finite, the rows differ, or the larger model fits worse, which nested models at their
        maximum cannot.

    Notes
    -----
    LR = 2 (l_big - l_small), chi-squared with k_big - k_small degrees of freedom.

    Examples
    --------
    >>> test = likelihood_ratio(-110.0, 3, -105.0, 5)
    >>> test.statistic, test.df, round(test.p_value, 4)
    (10.0, 2, 0.0067)
    """
    for name, count in (("k_small", k_small), ("k_big", k_big)):
        check_number(name, count, minimum=0, integer=True)
    if k_big == k_small:
        raise OptionError(f"both models have {k_big} parameters; one must be a restriction of the other.")
    if k_big < k_small:
        raise OptionError(
            f"the smaller model has {k_small} parameters and the larger one {k_big}: they are the wrong way round."
        )
    if n_small is not None and n_big is not None and n_small != n_big:
        raise DataError(f"the fits use {n_small} and {n_big} rows; a likelihood ratio compares fits to the same rows.")
    if not (np.isfinite(ll_small) and np.isfinite(ll_big)):
        raise DataError("a log-likelihood is not finite; there is nothing to compare.")
    statistic = 2 * (float(ll_big) - float(ll_small))
    if statistic < -_ROUNDING * max(1.0, abs(ll_big)):
        raise DataError(
            f"the larger model has the lower log-likelihood ({ll_big:.3f} against {ll_small:.3f}): the models are not "
            "nested, or a fit has not converged."
        )
    statistic, df = max(statistic, 0.0), int(k_big) - int(k_small)
    p_value = float(stats.chi2.sf(statistic, df))
    return LRTest(statistic, df, p_value, (float(ll_small), float(ll_big)), (int(k_small), int(k_big)))


@dataclass(frozen=True)
class HausmanTest:
    """A Hausman-McFadden test of the independence of irrelevant alternatives.

    Attributes
    ----------
    statistic : float
        May be negative where the covariance is not positive semi-definite.
    df : int
        Rank of the covariance of the difference.
    p_value : float
        Probability of a larger statistic under independence, by the chi-squared distribution; nan for a negative one.
    coefficients : int
        Coefficients compared.
    positive_semidefinite : bool
        Whether the covariance of the difference is.
    robust : bool
        Whether that covariance was estimated, instead of taken as the difference of the covariances.

    Examples
    --------
    >>> print(HausmanTest(4.2, 3, 0.24, 3, True, False))
        Hausman test of independence of
            irrelevant alternatives
    ========================================
    chi2(3):    4.200    Coefficients:     3
    p:          0.240
    ========================================
    Covariance: difference of the two.
    """

    statistic: float
    df: int
    p_value: float
    coefficients: int
    positive_semidefinite: bool
    robust: bool

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, df, p_value, coefficients, positive_semidefinite, robust."""
        names = ("statistic", "df", "p_value", "coefficients", "positive_semidefinite", "robust")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def to_table(self) -> Table:
        """Statistic and p-value, with what speaks against them in the notes."""
        facts = [
            Fact(f"chi2({self.df})", self.statistic, ".3f"),
            Fact("p", self.p_value, "pvalue"),
            Fact("Coefficients", self.coefficients, ",d"),
        ]
        notes = [
            f"Covariance: {'robust, with the covariance between the fits' if self.robust else 'difference of the two'}."
        ]
        if not self.positive_semidefinite:
            notes.append(
                "It is not positive semi-definite, so the statistic need not be chi-squared; the robust form is always."
            )
        if self.statistic < 0:
            notes.append("The statistic is negative and has no p-value: the test says nothing here.")
        return Table([], [], title="Hausman test of independence of irrelevant alternatives", facts=facts, notes=notes)

    def __str__(self) -> str:
        return str(self.to_table())

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()


def hausman(
    params_full: pd.Series,
    cov_full: np.ndarray | pd.DataFrame,
    params_restricted: pd.Series,
    cov_restricted: np.ndarray | pd.DataFrame,
    *,
    cross: np.ndarray | None = None,
    intercepts: bool = True,
) -> HausmanTest:
    """Test the independence of irrelevant alternatives: whether coefficients change when outcomes are left out.

    Parameters
    ----------
    params_full : pandas.Series
        Coefficients of the fit to all outcomes, indexed by (response, term).
    cov_full : numpy.ndarray or pandas.DataFrame
        Their nonrobust covariance, in the same order.
    params_restricted : pandas.Series
        Coefficients of the fit to the rows with a subset of the outcomes, against the same base outcome.
    cov_restricted : numpy.ndarray or pandas.DataFrame
        Their nonrobust covariance.
    cross : numpy.ndarray, shape (restricted coefficients, full coefficients), optional
        Covariance between the two estimates, the sum over rows (or clusters) of the products of their influences; the
        two covariances should be robust (or clustered) then.
    intercepts : bool
        Whether to compare intercepts too.

    Returns
    -------
    HausmanTest
        Of the coefficients that both fits have.

    Raises
    ------
    DataError
        If the fits have no coefficients in common, or a covariance is missing or does not belong to its coefficients.

    Notes
    -----
    Hausman and McFadden (1984): (b_r - b_f)' (V_r - V_f)^- (b_r - b_f), chi-squared with degrees of freedom the rank of
    V_r - V_f. Under independence both fits are consistent and the full one is efficient, so that the difference of the
    covariances is the covariance of the difference; this holds for maximum likelihood with nonrobust covariances only.
    In samples the difference need not be positive semi-definite, and where independence fails it may not be however
    large the sample: the statistic can then be far below zero, which is no sign of independence. With `cross` = C the
    covariance is V_r + V_f - C - C', which always is and needs no efficiency.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([[2], ["Intercept", "educ"]])
    >>> full, part = pd.Series([0.1, 0.5], index), pd.Series([0.2, 0.4], index)
    >>> test = hausman(full, np.diag([0.01, 0.01]), part, np.diag([0.02, 0.03]))
    >>> round(test.statistic, 3), test.df
    (1.5, 2)
    """
    b_full, v_full = as_arrays(params_full, cov_full)
    b_part, v_part = as_arrays(params_restricted, cov_restricted)
    places = {_plain(pair): i for i, pair in enumerate(params_full.index)}
    shared = [
        (places[_plain(pair)], i)
        for i, pair in enumerate(params_restricted.index)
        if _plain(pair) in places and (intercepts or pair[1] != INTERCEPT)
    ]
    if not shared:
        raise DataError("the two fits have no coefficients in common: they need the same terms and base outcome.")
    f, r = (np.array(side) for side in zip(*shared, strict=True))
    difference, variance = b_part[r] - b_full[f], v_part[np.ix_(r, r)] - v_full[np.ix_(f, f)]
    if cross is not None:
        if np.shape(cross) != (len(b_part), len(b_full)):
            raise DataError(f"cross has shape {np.shape(cross)}; give {len(b_part)} rows and {len(b_full)} columns.")
        between = np.asarray(cross, dtype=np.float64)[np.ix_(r, f)]
        variance = v_part[np.ix_(r, r)] + v_full[np.ix_(f, f)] - between - between.T
    if not (np.isfinite(difference).all() and np.isfinite(variance).all()):
        raise DataError("some of the common coefficients have no estimate or no covariance.")
    scale = np.sqrt(np.diag(v_part)[r])
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh((variance + variance.T) / 2 / np.outer(scale, scale))
    tolerance = _SINGULAR * np.abs(values).max()
    good = np.abs(values) > tolerance
    if not good.any():
        raise DataError("the two covariances are equal: the second fit leaves out no outcome.")
    z = vectors.T @ (difference / scale)
    statistic, df = float((z[good] ** 2 / values[good]).sum()), int(good.sum())
    p_value = float(stats.chi2.sf(statistic, df)) if statistic >= 0 else float("nan")
    definite = bool((values >= -tolerance).all())
    return HausmanTest(statistic, df, p_value, len(shared), definite, cross is not None)


def _plain(pair: tuple[object, object]) -> tuple[object, str]:
    return plain_code(pair[0]), str(pair[1])
