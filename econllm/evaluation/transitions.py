"""Where people go and which occupations they hold, observed and predicted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from econllm.evaluation.rows import EvaluatedRows, Scored, observed_shares, outcomes_by

OTHERS = "(others)"


class Transitions(NamedTuple):
    """Shares of the next occupation by the last one.

    Attributes
    ----------
    observed, predicted : pandas.DataFrame of float64, shape (choices, choices)
        Last occupation in rows, next one in columns, by code. Rows sum to one (predicted ones as far as the model's
        probabilities do), and are nan where no test row comes from that occupation.
    rows : pandas.Series of int64, shape (choices,)
        Test rows by last occupation.

    Examples
    --------
    >>> staying = pd.DataFrame(np.eye(2))
    >>> Transitions(staying, staying, pd.Series([3, 1])).rows.sum()
    np.int64(4)
    """

    observed: pd.DataFrame
    predicted: pd.DataFrame
    rows: pd.Series


def transition_shares(rows: EvaluatedRows, scored: Scored) -> Transitions:
    """Compare predicted with observed transitions.

    Parameters
    ----------
    rows : EvaluatedRows
        The test rows; those without a history do not count.
    scored : Scored
        Predictions of one model.

    Returns
    -------
    Transitions

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(50, 3, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> transition_shares(rows, score("Oracle", oracle, rows, {})).predicted.sum(axis=1).round(9).tolist()
    [1.0, 1.0, 1.0]
    """
    index, count = rows.choices.index, len(rows.choices)
    observed = outcomes_by(rows.last, rows, count + 1)[1:]
    mass = observed.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [
            pd.DataFrame(np.where(mass > 0, sums / mass, np.nan), index=index, columns=index)
            for sums in (observed, scored.transitions)
        ]
    number = np.bincount(rows.last, minlength=count + 1)[1:]
    return Transitions(shares[0], shares[1], pd.Series(number, index=index, name="rows"))


def most_frequent(found: Transitions, top: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the transitions between the occupations that most rows come from.

    Parameters
    ----------
    found : Transitions
        All of them.
    top : int
        How many occupations to keep.

    Returns
    -------
    observed, predicted : pandas.DataFrame, shape (top, top + 1)
        The last column, "(others)", adds up the destinations that are left out.

    Examples
    --------
    >>> frame = pd.DataFrame([[0.5, 0.25, 0.25], [1, 0, 0], [0, 0, 1]], index=list("abc"), columns=list("abc"))
    >>> most_frequent(Transitions(frame, frame, pd.Series([9, 0, 1], index=list("abc"))), 1)[0].to_numpy().tolist()
    [[0.5, 0.5]]
    """
    # An occupation may have rows, but of survey weight zero only.
    known = found.rows[found.observed.notna().all(axis=1) & (found.rows > 0)]
    codes = known.sort_values(ascending=False, kind="stable").index[:top]
    parts = []
    for frame in (found.observed, found.predicted):
        part = frame.loc[codes, codes].astype(np.float64)
        parts.append(part.assign(**{OTHERS: frame.loc[codes].sum(axis=1) - part.sum(axis=1)}))
    return parts[0], parts[1]


def occupation_shares(rows: EvaluatedRows, scored: Scored) -> pd.DataFrame:
    """Compare predicted with observed shares of occupations.

    Parameters
    ----------
    rows : EvaluatedRows
        The test rows.
    scored : Scored
        Predictions of one model.

    Returns
    -------
    pandas.DataFrame
        By code: title, observed, predicted, difference (observed less predicted), std_error (of the difference,
        clustered).

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> from econllm.evaluation.rows import read_rows, score
    >>> panel = simulate_careers(50, 3, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> rows = read_rows({"Oracle": oracle}, panel, False, "person")
    >>> bool((occupation_shares(rows, score("Oracle", oracle, rows, {}))["difference"].abs() < 0.05).all())
    True
    """
    observed = observed_shares(rows)
    return pd.DataFrame(
        {
            "title": rows.choices.titles,
            "observed": observed,
            "predicted": scored.shares,
            "difference": observed - scored.shares,
            "std_error": scored.share_errors,
        },
        index=rows.choices.index.rename("occupation"),
    )
