"""The numbers that an estimation of the multinomial logit found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.logit.problem import Point
from econllm.logit.solver import Report
from econllm.multinomial.columns import Specification
from econllm.multinomial.penalty_path import PenaltyPath


def reserved_probability(pseudo_count: float, rows: int, unseen: int) -> float:
    """Probability of each outcome of the choice set that never occurred in estimation.

    Parameters
    ----------
    pseudo_count : float
        Records that such an outcome is taken to have.
    rows, unseen : int
        Size of the estimation sample, and the number of such outcomes.

    Returns
    -------
    float

    Examples
    --------
    >>> reserved_probability(0.5, rows=99, unseen=2)
    0.005
    """
    return pseudo_count / (rows + pseudo_count * unseen)


def expand(
    values: np.ndarray, seen: np.ndarray, outcomes: int, reserved: float, able: np.ndarray | None = None
) -> np.ndarray:
    """Extend log probabilities of the outcomes that occurred in estimation to the whole choice set.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, seen)
        Log probabilities; nan in rows that have none of these outcomes.
    seen : numpy.ndarray of int
        Their positions in the choice set.
    outcomes : int
        Size of the choice set.
    reserved : float
        Probability of each of the others.
    able : numpy.ndarray of bool, shape (n, outcomes), optional
        What was available; what was not has probability zero.

    Returns
    -------
    numpy.ndarray, shape (n, outcomes)

    Examples
    --------
    >>> np.exp(expand(np.log([[0.5, 0.5]]), np.array([0, 2]), 3, 0.1)).round(6).tolist()
    [[0.45, 0.1, 0.45]]
    """
    unseen = outcomes - len(seen)
    out = np.full((len(values), outcomes), np.log(reserved) if unseen else 0.0)
    if able is None:
        out[:, seen] = values + np.log1p(-reserved * unseen)
        return out
    others = np.ones(outcomes, dtype=bool)
    others[seen] = False
    left = (able & others).sum(axis=1)
    out[:, seen] = values + np.log1p(-reserved * left)[:, None]
    # Who has nothing but outcomes without an estimate chooses among them with equal probability.
    nothing = ~able[:, seen].any(axis=1)
    out[nothing] = -np.log(np.maximum(left[nothing], 1))[:, None]
    out[~able] = -np.inf
    return out


@dataclass(frozen=True)
class Tuning:
    """How the weight of the penalty was found.

    Attributes
    ----------
    alpha : float
        The weight; 0 without a penalty.
    rule : str
        How it was chosen, in words.
    path : PenaltyPath or None
        The candidates.
    folds : pandas.Series or None
        Number of the fold by person (or by row of a data frame); kept in memory only.
    """

    alpha: float = 0.0
    rule: str = ""
    path: PenaltyPath | None = None
    folds: pd.Series | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Identifiers of persons are data: they are left behind when a result is pickled.
        return {**self.__dict__, "folds": None}


@dataclass(frozen=True)
class Inference:
    """What is known of the sampling variation of the coefficients.

    Attributes
    ----------
    kind : str or None
        "nonrobust", "robust", "clustered", "bootstrap", or None.
    words : str
        The same as a sentence, with clusters and small-sample correction; or why there is none.
    cov : numpy.ndarray, shape (parameters, parameters), or None
        Covariance of the reported coefficients.
    replicates : numpy.ndarray, shape (replications, parameters), or None
        Reported coefficients of every bootstrap replication.
    clusters : int or None
        Number of clusters.
    unidentified : numpy.ndarray of int, or None
        Positions of the reported coefficients that the choice sets leave unidentified; they have no standard errors.
    """

    kind: str | None
    words: str
    cov: np.ndarray | None = None
    replicates: np.ndarray | None = None
    clusters: int | None = None
    unidentified: np.ndarray | None = None


@dataclass(frozen=True)
class Estimates:
    """Numbers behind :class:`MNLogitResults`, in the units of the data.

    Attributes
    ----------
    spec : Specification
        Builds the columns for new data.
    columns, terms : tuple of str
        Name of every column with a coefficient, and the term it belongs to.
    kept_columns : numpy.ndarray of int
        Their positions among all columns of the design.
    shared_columns : tuple of str
        Names of the alternative-specific columns with a coefficient.
    kept_shared : numpy.ndarray of int
        Their positions among all alternative-specific columns.
    point : Point
        Coefficients: symmetric over outcomes, whatever the base.
    seen : numpy.ndarray of int
        Positions in the choice set of the outcomes that occurred.
    rows : int
        Size of the estimation sample.
    base : int or None
        Position among `seen` of the outcome that coefficients are expressed against.
    tuning : Tuning
        How alpha was found.
    solution : Report
        How the optimisation ended.
    inference : Inference
        Standard errors.
    log_likelihood, null_log_likelihood : float
        Log-likelihood of the estimation sample over the outcomes that occur, weighted as the fit is, at the estimate
        and with constants only.
    effective_df : float
        Effective degrees of freedom; nan where they are too much work.
    shares : numpy.ndarray, shape (choices,)
        Share of every outcome in the estimation sample.
    omitted : tuple of str
        Columns left out because others span them.
    labels : dict of str to str
        Variable labels by column, for tables.
    separated : str
        The column and outcome of a separation, in words; empty without one.
    sparse : bool
        Whether the penalty has absolute values: slopes are then reported as they are, with their zeros.
    """

    spec: Specification
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    kept_columns: np.ndarray
    shared_columns: tuple[str, ...]
    kept_shared: np.ndarray
    point: Point
    seen: np.ndarray
    rows: int
    base: int | None
    tuning: Tuning
    solution: Report
    inference: Inference
    log_likelihood: float
    null_log_likelihood: float
    effective_df: float
    shares: np.ndarray
    omitted: tuple[str, ...]
    labels: dict[str, str]
    sparse: bool = False
    separated: str = ""

    @property
    def reported(self) -> np.ndarray:
        """Coefficients as they are reported, see :func:`report_coefficients`."""
        if not self.sparse or self.base is not None:
            return report_coefficients(self.point, self.spec.intercept, self.base)
        point, constants = self.point, self.point.intercepts - self.point.intercepts.mean()
        own = np.vstack([constants, point.slopes]) if self.spec.intercept else point.slopes
        return np.concatenate([own.T.ravel(), point.shared])

    def reported_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """Derivatives with respect to the reported coefficients; see :func:`report_gradient`."""
        return report_gradient(gradient, len(self.columns), len(self.seen), self.spec.intercept, self.base)


def report_coefficients(point: Point, intercept: bool, base: int | None) -> np.ndarray:
    """Put coefficients in the order of reports.

    Parameters
    ----------
    point : Point
        Coefficients in the units of the data.
    intercept : bool
        Whether constants are estimated.
    base : int or None
        Outcome whose coefficients are subtracted and left out; with None the mean over outcomes is subtracted.

    Returns
    -------
    numpy.ndarray
        By outcome, the constant first; common coefficients last.

    Examples
    --------
    >>> report_coefficients(Point(np.array([[1.0, 3.0]]), np.array([0.0, 1.0]), np.array([9.0])), True, 0).tolist()
    [1.0, 2.0, 9.0]
    """
    theta = np.vstack([point.intercepts, point.slopes]) if intercept else point.slopes
    if base is None:
        theta = theta - theta.mean(axis=1, keepdims=True)
    else:
        theta = np.delete(theta - theta[:, [base]], base, axis=1)
    return np.concatenate([theta.T.ravel(), point.shared])


def report_gradient(gradient: np.ndarray, columns: int, outcomes: int, intercept: bool, base: int | None) -> np.ndarray:
    """Turn derivatives with respect to all coefficients into those with respect to the reported ones.

    Parameters
    ----------
    gradient : numpy.ndarray, shape (m, parameters)
        In the order of :meth:`Problem.vector`: by column, then outcome, the constant last, then common coefficients;
        of functions that do not change if the same number is added to the coefficients of all outcomes.
    columns, outcomes : int
        How many there are.
    intercept : bool
        Whether constants are among the coefficients.
    base : int or None
        Base outcome, whose coefficients are not reported.

    Returns
    -------
    numpy.ndarray, shape (m, reported)

    Examples
    --------
    >>> report_gradient(np.array([[1.0, -1.0, 2.0, -2.0]]), 1, 2, True, 0).tolist()
    [[-2.0, -1.0]]
    """
    k = columns + intercept
    own = gradient[:, : k * outcomes].reshape(-1, k, outcomes)
    if intercept:
        own = np.roll(own, 1, axis=1)
    if base is not None:
        own = np.delete(own, base, axis=2)
    return np.hstack([own.transpose(0, 2, 1).reshape(len(gradient), -1), gradient[:, k * outcomes :]])
