"""How rows were drawn, and what follows for the variance of a sum of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from econllm.errors import DataError, OptionError, check_option, listing
from econllm.logit import newton
from econllm.logit.problem import Point, Problem
from econllm.logit.threads import workers

Kind = Literal["nonrobust", "robust", "clustered"]
Correction = Literal["groups", "parameters"] | None

# Weighted scores of some rows, given by position: shape (rows, width).
Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Sampling:
    """How rows were drawn, and which small-sample correction is made.

    Attributes
    ----------
    kind : {"nonrobust", "robust", "clustered"}
        Whether rows or clusters are independent draws.
    rows : numpy.ndarray of int
        Positions of the rows with a positive weight; the others count nowhere.
    clusters : tuple of numpy.ndarray of int, each of shape (rows,)
        None, one or two ways of clustering, numbered from zero; with two, their intersection comes third.
    strata : numpy.ndarray of int, shape (rows,), or None
        Strata of the survey, numbered from zero.
    copies : numpy.ndarray of float64, shape (rows,)
        How often every row counts.
    ssc : {"groups", "parameters"} or None
        Small-sample correction.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((4, 0)), np.zeros((4, 0)), np.array([0, 1, 0, 1]), 2, None, 0.0, True)
    >>> s = Sampling.make(p, "clustered", clusters=(np.array([7, 7, 9, 9]),))
    >>> s.counts, s.total
    ((2,), 4.0)
    """

    kind: Kind
    rows: np.ndarray
    clusters: tuple[np.ndarray, ...]
    strata: np.ndarray | None
    copies: np.ndarray
    ssc: Correction

    @classmethod
    def make(
        cls,
        problem: Problem,
        kind: Kind,
        *,
        clusters: Sequence[np.ndarray] = (),
        strata: np.ndarray | None = None,
        ssc: Correction = "groups",
        frequency: np.ndarray | None = None,
    ) -> Sampling:
        """Check the options against each other and the data.

        Parameters
        ----------
        problem, kind, clusters, strata, ssc, frequency
            As in :func:`econllm.logit.covariance.covariance`.

        Returns
        -------
        Sampling

        Raises
        ------
        OptionError
            For options that exclude each other.
        DataError
            For labels of the wrong length, missing ones, a single cluster, or strata with a single cluster.
        """
        check_option("cov_type", kind, ["nonrobust", "robust", "clustered"])
        check_option("ssc", ssc, ["groups", "parameters", None])
        _check_penalty(problem, kind)
        _check_design(kind, len(clusters), strata is not None)
        copies = np.ones(problem.rows) if frequency is None else np.asarray(frequency, dtype=np.float64)
        if len(copies) != problem.rows:
            raise DataError(f"frequency has {len(copies)} values for {problem.rows} rows.")
        weights = np.ones(problem.rows) if problem.weights is None else problem.weights
        if kind == "nonrobust" and not np.allclose(weights * copies.mean(), copies, rtol=1e-9, atol=0):
            raise OptionError(
                "cov_type='nonrobust' does not hold with probability weights: choose 'robust' or 'clustered'."
            )
        rows = np.flatnonzero((weights > 0) & (copies > 0))
        h = None if strata is None else _codes(strata, problem.rows, "strata")[rows]
        labels = [_codes(values, problem.rows, "cluster")[rows] for values in clusters]
        if len(labels) == 2:
            labels.append(labels[0] * (labels[1].max(initial=0) + 1) + labels[1])
        if h is not None:
            # A cluster is one within its stratum: surveys often number clusters anew in every stratum.
            labels = [values * (h.max(initial=0) + 1) + h for values in labels]
        groups = tuple(np.unique(values, return_inverse=True)[1] for values in labels)
        out = cls(kind, rows, groups, None if h is None else np.unique(h, return_inverse=True)[1], copies[rows], ssc)
        out._check_counts()
        return out

    @property
    def total(self) -> float:
        """Number of observations: rows, each as often as it counts."""
        return float(self.copies.sum())

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of clusters, for each way of clustering."""
        return tuple(int(values.max(initial=-1)) + 1 for values in self.clusters[:2])

    def _check_counts(self) -> None:
        """Variances need two units, everywhere."""
        if self.kind == "nonrobust":
            return
        for labels, copies in self._units():
            word = "cluster" if self.clusters else "row"
            if copies.sum() < 2:
                raise DataError(f"cov_type={self.kind!r} needs two {word}s; there is {copies.sum():.0f}.")
            if self.strata is None:
                continue
            sizes = np.bincount(_unit_strata(labels, self.strata), copies)
            alone = int((sizes < 2).sum())
            if alone:
                raise DataError(
                    f"{alone} of {len(sizes)} strata have a single {word}, so that no variance within them can be "
                    "measured: merge them with others that resemble them."
                )

    def _units(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Labels of the rows, and how often each unit counts, for each way of clustering."""
        if not self.clusters:
            yield np.arange(len(self.rows)), self.copies
        for labels in self.clusters:
            yield labels, np.ones(labels.max(initial=-1) + 1)

    def meat(self, scores: Scores, width: int, size: int, parameters: float) -> np.ndarray:
        """Estimate the variance of the sum of the scores.

        Parameters
        ----------
        scores : callable
            Scores of some rows, times their weights.
        width : int
            Number of scores per row.
        size : int
            Rows to ask for at a time.
        parameters : float
            Number of parameters, for the correction that counts them.

        Returns
        -------
        numpy.ndarray, shape (width, width)

        Notes
        -----
        The sum over clusters (or rows) of the outer product of their sums of scores, times M / (M - 1) with M clusters;
        for two ways of clustering the sum of both less that of their intersection [1]_. In strata sums are taken about
        the mean of the stratum, each times its own M_h / (M_h - 1). A row that counts c times enters as c rows, each
        with a c-th of its weighted score.

        References
        ----------
        .. [1] Cameron, A. C., Gelbach, J. B., and Miller, D. L. (2011). Robust inference with multiway clustering.
           Journal of Business & Economic Statistics, 29(2), 238-249.
        """
        out = np.zeros((width, width))
        with workers(1):
            for sign, (labels, copies) in zip((1, 1, -1), self._units(), strict=False):
                out += sign * self._one_way(scores, width, size, labels, copies)
        if self.ssc == "parameters":
            if parameters >= self.total:
                raise DataError(
                    f"ssc='parameters' needs more rows ({self.total:.0f}) than parameters ({parameters:.0f})."
                )
            out *= (self.total - 1) / (self.total - parameters)
        return out

    def _one_way(self, scores: Scores, width: int, size: int, labels: np.ndarray, copies: np.ndarray) -> np.ndarray:
        """Outer products of the sums over units."""
        h = np.zeros(len(copies), np.int64) if self.strata is None else _unit_strata(labels, self.strata)
        counts = np.bincount(h, copies)
        factor = np.ones(len(counts)) if self.ssc is None else counts / (counts - 1)
        totals = np.zeros((len(counts), width))
        out = np.zeros((width, width))
        for units, sums in _unit_sums(scores, self.rows, labels, size):
            if self.strata is not None:
                np.add.at(totals, h[units], sums)
            # Scaled by the root, so that the product is of a matrix with itself, which takes half the work.
            sums = sums * np.sqrt(factor[h[units]] / copies[units])[:, None]
            out += sums.T @ sums
        return out - (totals * (factor / counts)[:, None]).T @ totals


def row_scores(problem: Problem, point: Point) -> Scores:
    """Scores of an estimate: derivatives of the objective, row by row, times weights.

    Parameters
    ----------
    problem : Problem
        Data, weights and penalty.
    point : Point
        The estimate.

    Returns
    -------
    callable
        From positions of rows to an array (rows, parameters), in the order of :meth:`Problem.vector`.

    Notes
    -----
    psi_i = w_i (g_i + R theta), with g_i the gradient of the negative log-likelihood and R theta that of the ridge
    penalty. The penalised estimate solves sum_i psi_i = 0, where the sum of w_i g_i is not zero but -n R theta: outer
    products of g_i alone would add the square of that mean to the variance. The penalty is weighted like the row
    because it is one on the mean objective: clusters of different size pull on it in proportion.

    Examples
    --------
    >>> from scipy import sparse
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.array([0, 1]), 2, None, 0.0, True)
    >>> row_scores(p, Point(np.zeros((0, 2)), np.zeros(2), np.zeros(0)))(np.array([1])).tolist()
    [[0.5, -0.5]]
    """
    pull = newton.penalties(problem) * problem.vector(point)
    penalised = pull.any()

    def scores(rows: np.ndarray) -> np.ndarray:
        part = problem.take(rows)
        (chunk,) = newton.chunks_at(part, point, len(rows))
        out = chunk.gradients()
        if penalised:
            out += pull
        if part.weights is not None:
            out *= part.weights[:, None]
        return out

    return scores


def _unit_sums(
    scores: Scores, rows: np.ndarray, labels: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sums of scores over units, some units at a time; units that span several chunks are carried over."""
    order = np.argsort(labels, kind="stable")
    carried: tuple[np.ndarray, np.ndarray] | None = None
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        ours = labels[chunk]
        first = np.flatnonzero(np.diff(ours, prepend=-1))
        units, sums = ours[first], scores(rows[chunk])
        if len(first) < len(chunk):
            sums = np.add.reduceat(sums, first, axis=0)
        if carried is not None and carried[0][0] == units[0]:
            sums[0] += carried[1][0]
        elif carried is not None:
            yield carried
        carried = units[-1:], sums[-1:]
        yield units[:-1], sums[:-1]
    if carried is not None:
        yield carried


def _unit_strata(labels: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Stratum of every unit."""
    out = np.empty(labels.max(initial=-1) + 1, np.int64)
    out[labels] = strata
    return out


def _codes(labels: np.ndarray, rows: int, what: str) -> np.ndarray:
    """Number labels from zero."""
    values = np.asarray(labels)
    if values.shape != (rows,):
        raise DataError(f"{what} labels have shape {values.shape}; expected one for each of {rows} rows.")
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{what} labels are of type {values.dtype}; expected whole numbers.")
    missing = np.flatnonzero(values < 0)
    if len(missing):
        raise DataError(
            f"{what} labels are missing (negative) in {len(missing)} of {rows} rows: rows {listing(missing)}."
        )
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _check_penalty(problem: Problem, kind: Kind) -> None:
    if problem.lasso.any():
        raise OptionError(
            "an L1 penalty leaves no covariance of the coefficients: at zero their distribution is not normal and the "
            "bootstrap is inconsistent too; set cov_type=None, or penalty='l2'."
        )
    if kind == "nonrobust" and (problem.ridge.any() or problem.shared_ridge.any()):
        raise OptionError(
            "cov_type='nonrobust' does not hold with a penalty: choose 'robust', 'clustered' or 'bootstrap', which are "
            "about the penalised value."
        )


def _check_design(kind: Kind, ways: int, stratified: bool) -> None:
    if kind == "clustered" and ways not in (1, 2):
        raise OptionError(f"cov_type='clustered' needs one or two ways of clustering; there are {ways}.")
    if kind != "clustered" and ways:
        raise OptionError(f"cluster has no effect with cov_type={kind!r}: choose 'clustered'.")
    if stratified and kind == "nonrobust":
        raise OptionError("strata have no effect with cov_type='nonrobust': choose 'robust' or 'clustered'.")
    if stratified and ways == 2:
        raise OptionError("strata cannot go with two ways of clustering: give one.")
