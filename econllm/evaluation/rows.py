"""Test rows that several models predict, and what is kept of each prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from econllm import metrics
from econllm.base import Results
from econllm.choices import ChoiceSet
from econllm.errors import DataError
from econllm.evaluation.events import Event
from econllm.panel import CareerPanel
from econllm.sample import Data, Sample, cluster_labels, evaluation_weights, last_occupation

KS = (1, 3, 5)


@dataclass(frozen=True)
class EvaluatedRows:
    """The rows of a test sample that every model predicts.

    Attributes
    ----------
    data : CareerPanel or DataFrame
        The test sample.
    sample : Sample
        All its rows as evaluation sees them.
    kept : numpy.ndarray of bool, shape (len(data),)
        Which of its rows; all other arrays have kept.sum() = n entries.
    choices : ChoiceSet
        The occupations, in the order of all arrays.
    outcome : numpy.ndarray of int, shape (n,)
        Position of the realised occupation.
    last : numpy.ndarray of int, shape (n,)
        Position of the occupation before, plus one; 0 without a history.
    clusters : numpy.ndarray, shape (n,)
        Cluster of every row.
    weights : numpy.ndarray, shape (n,), or None
        Survey weights.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> rows = read_rows({"Oracle": Oracle().fit(panel)}, panel, False, "person")
    >>> rows.weights is None, float(rows.mass.sum()) == len(panel)
    (True, True)
    """

    data: Data
    sample: Sample
    kept: np.ndarray
    choices: ChoiceSet
    outcome: np.ndarray
    last: np.ndarray
    clusters: np.ndarray
    weights: np.ndarray | None

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Survey weights of some rows."""
        return None if self.weights is None else self.weights[rows]

    @property
    def first(self) -> np.ndarray:
        """Rows without a history, shape (n,)."""
        out: np.ndarray = self.sample.first[self.kept]
        return out

    @property
    def mass(self) -> np.ndarray:
        """Weight of every row, one where nothing is weighted, shape (n,)."""
        return np.ones(len(self.outcome)) if self.weights is None else self.weights


def read_rows(fitted: Mapping[str, Results], test: Data, weights: bool, cluster: str) -> EvaluatedRows:
    """Read the rows that all models predict.

    Parameters
    ----------
    fitted : mapping of str to Results
        The models.
    test : CareerPanel or DataFrame
        Rows with outcomes.
    weights : bool
        Use the survey weights.
    cluster : str
        "person", or a column.

    Returns
    -------
    EvaluatedRows

    Raises
    ------
    DataError
        If the models predict different rows or occupations.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> rows = read_rows({"Oracle": Oracle().fit(panel)}, panel, False, "person")
    >>> int(np.sum(rows.last == 0))
    20
    """
    first_name, first = next(iter(fitted.items()))
    kept, choices = first.kept(test), first.choices
    for name, other in list(fitted.items())[1:]:
        also = other.kept(test)
        if not np.array_equal(also, kept):
            raise DataError(
                f"{first_name!r} predicts {int(kept.sum())} and {name!r} {int(also.sum())} of the {len(kept)} test "
                "rows, so they are not comparable; drop rows with missing values first."
            )
        if set(other.choices.codes) != set(choices.codes):
            raise DataError(
                f"{first_name!r} chooses among {len(choices)} and {name!r} among {len(other.choices)} occupations, or "
                "different ones; fit both on the same panel."
            )
    sample = first.sample(test)
    last = last_occupation(test, choices) if isinstance(test, CareerPanel) else np.zeros(len(sample), dtype=np.int64)
    clusters, weight = cluster_labels(test, sample, cluster), evaluation_weights(sample, weights)
    return EvaluatedRows(
        test,
        sample,
        kept,
        choices,
        sample.outcome[kept],
        last[kept],
        clusters[kept],
        None if weight is None else weight[kept],
    )


def sample_words(rows: EvaluatedRows, cluster: str, weighted: bool) -> tuple[str, str]:
    """Size of the test sample, and how rows depend on each other, in the words of notes under tables.

    Parameters
    ----------
    rows : EvaluatedRows
        The test rows.
    cluster : str
        As given by the user.
    weighted : bool
        Rows of weight zero do not count.

    Returns
    -------
    sample, dependence : str

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, records=(4, 4), seed=1)
    >>> sample_words(read_rows({"Oracle": Oracle().fit(panel)}, panel, False, "person"), "person", False)
    ('80 transitions of 20 persons, 60 with a history; 3 outcomes', 'clustered by person')
    """
    counted = rows.mass > 0 if weighted else np.ones(len(rows.outcome), dtype=bool)
    n, clusters = int(counted.sum()), len(np.unique(rows.clusters[counted]))
    outcomes = f"{len(rows.choices)} outcomes"
    if rows.sample.of_panel:
        whom = "persons" if cluster == "person" else "clusters"
        history = int((counted & ~rows.first).sum())
        sample = f"{n:,} transitions of {clusters:,} {whom}, {history:,} with a history"
    else:
        sample = f"{n:,} rows" + ("" if clusters == n else f" in {clusters:,} clusters")
    independent = not rows.sample.of_panel and clusters == n
    return f"{sample}; {outcomes}", "for independent rows" if independent else f"clustered by {cluster}"


@dataclass(frozen=True)
class Scored:
    """What is kept of a model's predictions: numbers per row and sums, never the matrix of probabilities.

    Attributes
    ----------
    flags : tuple of str
        "improper" or "conservative".
    mass : float
        Mean sum of the probabilities.
    scores, brier : numpy.ndarray of float64, shape (n,)
        Log probability of what happened, in nats, and Brier score.
    hits : numpy.ndarray of float64, shape (n, len(KS))
        Whether what happened is among the most probable outcomes.
    events : dict of str to numpy.ndarray
        Probability of every event, in the rows in which it can happen.
    shares, share_errors : numpy.ndarray of float64, shape (choices,)
        Mean probability of every occupation, and the standard error of the observed less the predicted share.
    transitions : numpy.ndarray of float64, shape (choices, choices)
        Sum of probabilities by last occupation; rows without a history are left out.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> scored = score("Oracle", oracle, read_rows({"Oracle": oracle}, panel, False, "person"), {})
    >>> scored.hits.shape == (len(panel), 3), scored.transitions.shape
    (True, (3, 3))
    """

    flags: tuple[str, ...]
    mass: float
    scores: np.ndarray
    brier: np.ndarray
    hits: np.ndarray
    events: dict[str, np.ndarray]
    shares: np.ndarray
    share_errors: np.ndarray
    transitions: np.ndarray


def score(name: str, result: Results, rows: EvaluatedRows, events: Mapping[str, Event]) -> Scored:
    """Predict the test rows with one model and keep what diagnostics need.

    Parameters
    ----------
    name : str
        The model's, for messages.
    result : Results
        The model.
    rows : EvaluatedRows
        From :func:`read_rows`.
    events : mapping of str to Event
        From :func:`econllm.evaluation.events.find_events`.

    Returns
    -------
    Scored

    Raises
    ------
    DataError
        If probabilities are nan.

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> oracle = Oracle().fit(panel)
    >>> scored = score("Oracle", oracle, read_rows({"Oracle": oracle}, panel, False, "person"), {})
    >>> bool(np.isclose(scored.shares.sum(), 1))
    True
    """
    log_proba = result.log_proba(rows.data)
    if result.choices.codes != rows.choices.codes:
        log_proba = log_proba[:, result.choices.index.get_indexer(rows.choices.index)]
    lost = int(np.isnan(log_proba).any(axis=1).sum())
    if lost:
        raise DataError(f"model {name!r}: probabilities are not a number (nan) in {lost} of {len(log_proba)} rows.")
    proba = np.exp(log_proba)
    shares = rows.mass @ proba / rows.mass.sum()
    return Scored(
        result.flags,
        float(rows.mass @ proba.sum(axis=1) / rows.mass.sum()),
        log_proba[np.arange(len(rows.outcome)), rows.outcome],
        metrics.brier(proba, rows.outcome),
        metrics.top_k(log_proba, rows.outcome, KS),
        {name: event.proba(log_proba, rows.last) for name, event in events.items()},
        shares,
        _share_errors(rows, proba, shares),
        _proba_by(rows.last, rows, len(rows.choices) + 1, proba)[1:],
    )


def observed_shares(rows: EvaluatedRows) -> np.ndarray:
    """Weighted share of every occupation among the realised ones, shape (choices,).

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> float(observed_shares(read_rows({"Oracle": Oracle().fit(panel)}, panel, False, "person")).sum())
    1.0
    """
    out: np.ndarray = np.bincount(rows.outcome, rows.mass, len(rows.choices)) / rows.mass.sum()
    return out


def outcomes_by(group: np.ndarray, rows: EvaluatedRows, groups: int) -> np.ndarray:
    """Weighted counts of realised occupations by group.

    Parameters
    ----------
    group : numpy.ndarray of int, shape (n,)
        Group of every row, from 0.
    rows : EvaluatedRows
        The rows.
    groups : int
        How many groups there are.

    Returns
    -------
    numpy.ndarray of float64, shape (groups, choices)

    Examples
    --------
    >>> from econllm.datasets import Oracle, simulate_careers
    >>> panel = simulate_careers(20, 3, seed=1)
    >>> rows = read_rows({"Oracle": Oracle().fit(panel)}, panel, False, "person")
    >>> outcomes_by(rows.last, rows, 4).sum(axis=1)[0]
    np.float64(20.0)
    """
    choices = len(rows.choices)
    return np.bincount(group * choices + rows.outcome, rows.mass, groups * choices).reshape(groups, choices)


def _proba_by(group: np.ndarray, rows: EvaluatedRows, groups: int, proba: np.ndarray) -> np.ndarray:
    """Weighted sums of probabilities by group, shape (groups, choices)."""
    out: np.ndarray = sparse.csr_array((rows.mass, (group, np.arange(len(group)))), (groups, len(group))) @ proba
    return out


def _share_errors(rows: EvaluatedRows, proba: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Clustered standard error of observed less predicted shares, as in :func:`econllm.metrics.mean_score`."""
    labels, group = np.unique(rows.clusters, return_inverse=True)
    count = len(labels)
    gaps = outcomes_by(group, rows, count) - _proba_by(group, rows, count, proba)
    weight = np.bincount(group, rows.mass)
    residual = gaps - weight[:, None] * (observed_shares(rows) - shares)
    variance = metrics.cluster_correction(weight) * np.sum(residual**2, axis=0)
    out: np.ndarray = np.sqrt(variance) / rows.mass.sum()
    return out
