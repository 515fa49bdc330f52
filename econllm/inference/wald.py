"""Wald tests of linear restrictions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from econllm.errors import DataError, OptionError, check_number
from econllm.inference.hypotheses import restrictions
from econllm.inference.names import Names
from econllm.tables import Fact, Table

_MOST_SHOWN = 12
# Relative to the largest eigenvalue of a correlation matrix.
_SINGULAR = 1e-11
# In standard errors: how far estimates may lie outside what a singular covariance spans.
_OUTSIDE = 1e-6


@dataclass(frozen=True)
class WaldTest:
    """A Wald test of linear restrictions.

    Attributes
    ----------
    statistic : float
        Chi-squared statistic, or F: the same over the degrees of freedom.
    df : int
        Degrees of freedom: the rank of the covariance of the restrictions.
    p_value : float
        Probability of a larger statistic if the restrictions hold.
    distribution : {"chi2", "F"}
        The distribution of the statistic.
    df_denominator : float or None
        The second degrees of freedom of F.
    hypothesis : str
        As given.
    restrictions : tuple of str
        Each restriction in words.
    dropped : tuple of str
        Restrictions that the others imply; they add no degrees of freedom.

    Examples
    --------
    >>> test = WaldTest(3.84, 1, 0.05, "chi2", None, "[2]educ", ("[2]educ = 0",), ())
    >>> print(test)
                   Wald test
    ========================================
    chi2(1):        3.840    p:        0.050
    ========================================
    [2]educ = 0
    ========================================
    """

    statistic: float
    df: int
    p_value: float
    distribution: Literal["chi2", "F"]
    df_denominator: float | None
    hypothesis: str
    restrictions: tuple[str, ...]
    dropped: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row: hypothesis, statistic, df, df_denominator, p_value, distribution."""
        names = ("hypothesis", "statistic", "df", "df_denominator", "p_value", "distribution")
        row = {name: getattr(self, name) for name in names}
        row["df_denominator"] = np.nan if self.df_denominator is None else self.df_denominator
        return pd.DataFrame([row])

    def to_table(self) -> Table:
        """Statistic and p-value above the restrictions."""
        degrees = f"{self.df}" if self.df_denominator is None else f"{self.df}, {self.df_denominator:g}"
        facts = [Fact(f"{self.distribution}({degrees})", self.statistic, ".3f"), Fact("p", self.p_value, "pvalue")]
        notes = []
        if len(self.restrictions) > _MOST_SHOWN:
            notes.append(f"{len(self.restrictions)} restrictions, of which the first {_MOST_SHOWN} are shown.")
        if self.dropped:
            many = "restriction" if len(self.dropped) == 1 else "restrictions"
            notes.append(f"{len(self.dropped)} {many} dropped, which the others imply.")
        if self.df < len(self.restrictions):
            notes.append(f"The covariance of the {len(self.restrictions)} restrictions has rank {self.df}.")
        return Table(
            [], [(text,) for text in self.restrictions[:_MOST_SHOWN]], title="Wald test", facts=facts, notes=notes
        )

    def __str__(self) -> str:
        return str(self.to_table())

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()


def wald_test(
    params: pd.Series,
    cov: np.ndarray | pd.DataFrame,
    hypothesis: str | Sequence[str],
    *,
    titles: Mapping[Hashable, str] | None = None,
    df_denominator: float | None = None,
) -> WaldTest:
    """Test linear restrictions on coefficients.

    Parameters
    ----------
    params : pandas.Series, shape (coefficients,)
        Coefficients, indexed by (response, term).
    cov : numpy.ndarray or pandas.DataFrame, shape (coefficients, coefficients)
        Their covariance, in the same order.
    hypothesis : str or sequence of str
        Such as ``"educ = 0"``; see :func:`parse_hypothesis`.
    titles : mapping of code to str, optional
        Titles of responses, accepted in place of their codes.
    df_denominator : float, optional
        Use the F distribution with these second degrees of freedom, such as the number of clusters less one.

    Returns
    -------
    WaldTest

    Raises
    ------
    OptionError
        If the hypothesis cannot be read, or is contradictory.
    DataError
        If the covariance does not belong to the coefficients, has missing entries, or cannot support the test.

    Notes
    -----
    W = (R b - q)' (R V R')^- (R b - q), chi-squared with degrees of freedom the rank of R V R'; F = W / rank. A
    generalised inverse serves where R V R' is singular, as for coefficients that sum to zero over outcomes, as long as
    R b - q lies in its range.

    Examples
    --------
    >>> params = pd.Series([0.2, 0.5], pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> test = wald_test(params, np.diag([0.01, 0.04]), "educ = 0")
    >>> test.df, round(test.statistic, 2)
    (2, 10.25)
    """
    b, v = as_arrays(params, cov)
    if df_denominator is not None:
        check_number("df_denominator", df_denominator, above=0)
    found = restrictions(hypothesis, Names(params.index, titles))
    used = np.flatnonzero(found.matrix.any(axis=0))
    weights = found.matrix[:, used]
    variance = weights @ v[np.ix_(used, used)] @ weights.T
    statistic, df = quadratic_form(weights @ b[used] - found.targets, variance)
    text = hypothesis if isinstance(hypothesis, str) else "\n".join(hypothesis)
    if df_denominator is None:
        p_value = float(stats.chi2.sf(statistic, df))
        return WaldTest(statistic, df, p_value, "chi2", None, text, found.labels, found.dropped)
    statistic /= df
    p_value = float(stats.f.sf(statistic, df, df_denominator))
    return WaldTest(statistic, df, p_value, "F", float(df_denominator), text, found.labels, found.dropped)


def joint_tests(
    params: pd.Series, cov: np.ndarray | pd.DataFrame, terms: Sequence[str] | Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Test each term jointly over all equations: all its coefficients are zero.

    Parameters
    ----------
    params : pandas.Series, shape (coefficients,)
        Coefficients, indexed by (response, term).
    cov : numpy.ndarray or pandas.DataFrame, shape (coefficients, coefficients)
        Their covariance, in the same order.
    terms : sequence of str, or mapping of str to sequence of str
        Terms, or factors named without their levels; a mapping lists the columns of each.

    Returns
    -------
    pandas.DataFrame
        Indexed by term: df, statistic (chi-squared) and p_value. Statistic and p-value are nan where the covariance
        cannot support the test, such as that of a bootstrap with fewer replications than restrictions.

    Raises
    ------
    OptionError
        Naming a term that does not exist, and the nearest that does.
    DataError
        If the covariance does not belong to the coefficients.

    Examples
    --------
    >>> params = pd.Series([0.2, 0.5], pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> joint_tests(params, np.diag([0.01, 0.04]), ["educ"]).round(3)
          df  statistic  p_value
    term
    educ   2      10.25    0.006
    """
    b, v = as_arrays(params, cov)
    names = Names(params.index)
    if isinstance(terms, str):
        raise OptionError(f"terms is a text; give a list: terms=[{terms!r}].")
    given = terms if isinstance(terms, Mapping) else {term: names.columns_of(term) for term in terms}
    rows = []
    for columns in given.values():
        at = names.places(dict.fromkeys(column for name in columns for column in names.columns_of(name)))
        if not len(at):
            raise OptionError("terms names a term without columns.")
        try:
            statistic, df = quadratic_form(b[at], v[np.ix_(at, at)])
        except DataError:
            statistic, df = float("nan"), len(at)
        rows.append((df, statistic, float(stats.chi2.sf(statistic, df))))
    return pd.DataFrame(rows, columns=["df", "statistic", "p_value"], index=pd.Index(list(given), name="term"))


def as_arrays(params: pd.Series, cov: np.ndarray | pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Take coefficients and covariance as arrays, after checking that they belong together.

    Raises
    ------
    DataError
        If sizes or labels differ.

    Examples
    --------
    >>> params = pd.Series([0.2], pd.MultiIndex.from_tuples([(2, "educ")]))
    >>> as_arrays(params, np.array([[0.04]]))
    (array([0.2]), array([[0.04]]))
    """
    if not isinstance(params, pd.Series):
        raise DataError(f"params is a {type(params).__name__}; give a Series indexed by (response, term).")
    if isinstance(cov, pd.DataFrame) and not (cov.index.equals(params.index) and cov.columns.equals(params.index)):
        raise DataError("cov is labelled otherwise than params; give the covariance of these coefficients, in order.")
    b, v = params.to_numpy(np.float64), np.asarray(cov, dtype=np.float64)
    if v.shape != (len(b), len(b)):
        raise DataError(f"cov has shape {v.shape} for {len(b)} coefficients; there is no covariance to test with.")
    return b, v


def quadratic_form(distance: np.ndarray, variance: np.ndarray) -> tuple[float, int]:
    """Measure a vector by its covariance matrix, with a generalised inverse where that is singular.

    Parameters
    ----------
    distance : numpy.ndarray, shape (k,)
        The vector d.
    variance : numpy.ndarray, shape (k, k)
        Its covariance V.

    Returns
    -------
    tuple of float and int
        d' V^- d, and the rank of V.

    Raises
    ------
    DataError
        If V has missing entries, is not positive semi-definite or is zero, or if d lies outside its range.

    Examples
    --------
    >>> value, rank = quadratic_form(np.array([1.0, -1.0]), np.array([[2.0, -2.0], [-2.0, 2.0]]))
    >>> round(value, 6), rank
    (0.5, 1)
    """
    if not (np.isfinite(variance).all() and np.isfinite(distance).all()):
        raise DataError("some of these coefficients have no estimate or no covariance.")
    scale = np.sqrt(np.maximum(np.diag(variance), 0))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh((variance + variance.T) / 2 / np.outer(scale, scale))
    tolerance = _SINGULAR * float(np.abs(values).max())
    good = values > tolerance
    if (values < -tolerance).any():
        raise DataError("the covariance of the restrictions is not positive semi-definite; use another cov_type.")
    z = vectors.T @ (distance / scale)
    if not good.any() or np.sqrt((z[~good] ** 2).sum()) > _OUTSIDE * max(1.0, float(np.sqrt(z @ z))):
        raise DataError(
            f"the covariance of {len(distance)} restrictions has rank {int(good.sum())}, and the estimates lie outside "
            "what it spans: test fewer restrictions (few clusters or replications give a covariance of low rank)."
        )
    return float((z[good] ** 2 / values[good]).sum()), int(good.sum())
