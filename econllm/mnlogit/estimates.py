"""The numbers that an estimation of the multinomial logit found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from econllm.formula import DesignSpec
from econllm.mnlogit.solver import Report


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


@dataclass(frozen=True)
class Estimates:
    """Numbers behind :class:`MNLogitResults`, in the units of the data.

    Attributes
    ----------
    spec : DesignSpec
        Builds the columns for new data.
    columns, terms : tuple of str
        Name of every column with a coefficient, and the term it belongs to.
    kept_columns : numpy.ndarray of int
        Their positions among all columns of the design.
    slopes : numpy.ndarray, shape (columns, outcomes)
        Symmetric coefficients.
    intercepts : numpy.ndarray, shape (outcomes,)
        Constants.
    seen : numpy.ndarray of int
        Positions in the choice set of the outcomes that occurred.
    rows : int
        Size of the estimation sample.
    base : int or None
        Position among `seen` of the outcome that coefficients are expressed against.
    alpha, alpha_rule, alpha_path
        Weight of the penalty, how it was chosen, and the candidates with their scores.
    solution : Report
        How the optimisation ended.
    cov : numpy.ndarray or None
        Covariance of the coefficients against the base, by outcome, intercept first.
    omitted : tuple of str
        Columns left out because others span them.
    labels : dict of str to str
        Variable labels by column, for tables.
    """

    spec: DesignSpec
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    kept_columns: np.ndarray
    slopes: np.ndarray
    intercepts: np.ndarray
    seen: np.ndarray
    rows: int
    base: int | None
    alpha: float
    alpha_rule: str
    alpha_path: pd.DataFrame | None
    solution: Report
    cov: np.ndarray | None
    omitted: tuple[str, ...]
    labels: dict[str, str]
