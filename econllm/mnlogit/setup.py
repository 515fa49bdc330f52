"""An estimation sample in the coordinates of the solver, and what can be said of it before and after."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from econllm.choices import MISSING_TEXT
from econllm.errors import CollinearityWarning, DataError, listing
from econllm.formula import Design
from econllm.mnlogit.coordinates import Scaling, Stacked, redundant_columns, stack
from econllm.mnlogit.problem import Problem
from econllm.mnlogit.solver import Solution, log_proba
from econllm.mnlogit.tuning import Part
from econllm.options import Seed, resolve_seed
from econllm.sample import Sample

FOLDS = 5
# An effect on log odds beyond this, over a column's range, has no finite estimate in any sample of ordinary size.
_SEPARATED = 15.0
# Change of log odds by the last Newton step: about one without a finite estimate, and below a thousandth with one.
_DRIFT = 0.01


@dataclass(frozen=True)
class Setup:
    """An estimation sample in the coordinates of the solver.

    Attributes
    ----------
    problem : Problem
        Scaled columns and outcomes.
    stacked : Stacked
        The columns in the units of the data, with their names.
    scaling : Scaling
        Between the two.
    columns : numpy.ndarray of int
        Positions of the columns in the whole design.
    omitted : tuple of str
        Columns left out because others span them.
    seen : numpy.ndarray of int
        Positions in the choice set of the outcomes that occur.
    sample : Sample
        The rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from econllm.sample import read_sample
    >>> from econllm.choices import ChoiceSet
    >>> from econllm.formula import DesignSpec
    >>> df = pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2.0]})
    >>> spec, design = DesignSpec.fit("y ~ x", df)
    >>> Setup.make(design, read_sample(df, "y", ChoiceSet(["a", "b"])), None, 2, penalised=True).problem.dense.tolist()
    [[-1.0], [1.0]]
    """

    problem: Problem
    stacked: Stacked
    scaling: Scaling
    columns: np.ndarray
    omitted: tuple[str, ...]
    seen: np.ndarray
    sample: Sample

    @classmethod
    def make(
        cls, design: Design, everyone: Sample, row_weights: np.ndarray | None, outcomes: int, *, penalised: bool
    ) -> Setup:
        """Put a design into the coordinates of the solver.

        Raises
        ------
        DataError
            Without rows, or with fewer than two outcomes.
        """
        sample = everyone.take(design.kept)
        if not len(sample):
            raise DataError("no rows are left after rows with missing values were dropped.")
        weights = None if row_weights is None else row_weights[design.kept]
        if weights is not None:
            if not weights.any():
                raise DataError(f"all {len(weights)} rows without missing values have weight zero.")
            weights = weights / weights.mean()
        seen = np.flatnonzero(np.bincount(sample.outcome, weights, minlength=outcomes) > 0)
        if len(seen) < 2:
            raise DataError(f"only one outcome occurs in the {len(sample)} rows; a model of choice needs two.")
        stacked = stack(design)
        omitted: tuple[str, ...] = ()
        columns = np.arange(len(stacked.columns))
        if not penalised:
            columns, omitted = _identified(stacked, weights, design.intercept)
            stacked = stacked.take(columns)
        scaling = Scaling.fit(stacked, weights, design.intercept)
        if penalised:
            _warn_constant(stacked, scaling, design.intercept)
        if weights is not None:
            # Rows of weight zero may hold outcomes that do not count as seen; they must not be looked up.
            sample_outcome = np.where(np.isin(sample.outcome, seen), sample.outcome, seen[0])
        else:
            sample_outcome = sample.outcome
        outcome = np.searchsorted(seen, sample_outcome)
        problem = Problem(*scaling.apply(stacked), outcome, len(seen), weights, 0.0, design.intercept)
        return cls(problem, stacked, scaling, columns, omitted, seen, sample)

    @property
    def has_persons(self) -> bool:
        """Whether rows belong to persons with several records."""
        return len(np.unique(self.sample.clusters)) < len(self.sample)

    def with_alpha(self, alpha: float) -> Setup:
        """Return the setup with a penalty."""
        return replace(self, problem=replace(self.problem, alpha=alpha))

    def judged(self, design: Design, sample: Sample) -> Problem:
        """Rows of another sample with outcomes that occur in estimation, in the same coordinates.

        Raises
        ------
        DataError
            If there are none.
        """
        part = sample.take(design.kept)
        rows = np.flatnonzero(np.isin(part.outcome, self.seen))
        if not len(rows):
            raise DataError("the validation sample has no rows with an outcome that occurs in estimation.")
        left, right = self.scaling.apply(stack(design).take(self.columns))
        outcome = np.searchsorted(self.seen, part.outcome[rows])
        return replace(self.problem, sparse=left[rows], dense=right[rows], outcome=outcome, weights=None)

    def folds(self, seed: Seed) -> list[Part]:
        """Divide the persons at random: each fold is judged by a fit to the others.

        Raises
        ------
        DataError
            With a single person.
        """
        persons, person = np.unique(self.sample.clusters, return_inverse=True)
        count = min(FOLDS, len(persons))
        if count < 2:
            raise DataError("alpha='auto' needs at least two persons, or a validation sample.")
        order = np.random.default_rng(resolve_seed(seed)).permutation(len(persons))
        fold = (order % count)[person]
        parts = [_part(self.problem, fold == k) for k in range(count)]
        if not any(part.judged.rows for part in parts):
            raise DataError("alpha='auto' cannot cross-validate: every outcome occurs in one fold only; give alpha.")
        return parts

    def separated(self, solution: Solution) -> tuple[str, int] | None:
        """Column and outcome whose effect has no finite estimate, or None.

        An indicator that is never on together with an outcome separates. Otherwise there is no finite estimate where
        the last Newton step still moves log odds although the objective has become flat; where no such steps were
        taken, an effect on log odds that is huge over the column's range is taken for a sign of it.
        """
        problem = self.problem
        if not problem.features:
            return None
        n, p = problem.rows, problem.sparse.shape[1]
        counted = np.ones(n) if problem.weights is None else (problem.weights > 0).astype(np.float64)
        hits = sparse.csr_array((counted, problem.outcome, np.arange(n + 1)), shape=(n, problem.outcomes))
        empty = (problem.sparse.T @ hits).toarray() == 0
        empty[self.stacked.numeric[:p]] = False
        if empty.any():
            column, outcome = np.argwhere(empty)[0]
            return self.stacked.columns[column], int(outcome)
        if solution.last_step is None:
            # Products with numbers are left out: nothing can be read off the size of their coefficients.
            moved, limit = np.where(self._indicators[:, None], solution.coefficients, 0.0), _SEPARATED
        else:
            moved, limit = solution.last_step, _DRIFT
            if np.abs(self._log_odds(moved)).max() <= limit:
                return None
            limit = 0.0
        effect = np.abs(moved[: problem.features] - moved[: problem.features].mean(axis=1, keepdims=True))
        effect *= self._spans[:, None]
        column, outcome = np.unravel_index(np.argmax(effect), effect.shape)
        return (self.stacked.columns[column], int(outcome)) if effect[column, outcome] > limit else None

    @property
    def _indicators(self) -> np.ndarray:
        """Columns whose coefficient times their range means something: all but sparse ones with numbers."""
        p = self.problem.sparse.shape[1]
        out: np.ndarray = ~(self.stacked.numeric & (np.arange(len(self.stacked.numeric)) < p))
        return out

    @property
    def _spans(self) -> np.ndarray:
        """Range of every column in the coordinates of the solver."""
        x, dense = self.problem.sparse, self.problem.dense
        wide = (x.max(axis=0) - x.min(axis=0)).toarray().ravel() if x.shape[1] else np.zeros(0)
        return np.concatenate([wide, np.ptp(dense, axis=0) if dense.shape[1] else np.zeros(0)])

    def _log_odds(self, move: np.ndarray) -> np.ndarray:
        """What a move of the coefficients does to log odds about their mean, for the rows that count."""
        problem, p = self.problem, self.problem.sparse.shape[1]
        change = problem.sparse @ move[:p] + problem.dense @ move[p : problem.features]
        if problem.intercept:
            change += move[-1]
        if problem.weights is not None:
            change = change[problem.weights > 0]
        out: np.ndarray = change - change.mean(axis=1, keepdims=True)
        return out

    def log_likelihood(self, solution: Solution, reserved: float, unseen: int) -> float:
        """Unweighted log-likelihood of the sample; `reserved` is the probability of each unseen outcome."""
        problem = self.problem
        # Rows of weight zero may hold an outcome that counts as unseen.
        estimated = np.isin(self.sample.outcome, self.seen)
        total = 0.0
        for rows, values in log_proba(problem.sparse, problem.dense, solution.coefficients, solution.intercepts):
            scores = values[np.arange(len(values)), problem.outcome[rows]] + np.log1p(-reserved * unseen)
            total += float(np.where(estimated[rows], scores, np.log(reserved)).sum())
        return total


def _part(problem: Problem, held: np.ndarray) -> Part:
    """Rows outside a fold to estimate on, rows inside to judge; both only with outcomes that occur outside."""
    outside = None if problem.weights is None else problem.weights[~held]
    occurs = np.bincount(problem.outcome[~held], outside, minlength=problem.outcomes) > 0
    # An outcome that occurs nowhere else has no finite estimate, whatever alpha is.
    possible = occurs[problem.outcome]
    problem = replace(problem, outcome=(np.cumsum(occurs) - 1)[problem.outcome], outcomes=int(occurs.sum()))
    fitted = _rows(problem, ~held & possible)
    if problem.outcomes < 2:
        raise DataError("alpha='auto' cannot cross-validate: without one fold, only one outcome is left; give alpha.")
    if fitted.weights is not None:
        fitted = replace(fitted, weights=fitted.weights / fitted.weights.mean())
    return Part(fitted, _rows(problem, held & possible))


def _rows(problem: Problem, mask: np.ndarray) -> Problem:
    at = np.flatnonzero(mask)
    weights = None if problem.weights is None else problem.weights[at]
    return replace(
        problem, sparse=problem.sparse[at], dense=problem.dense[at], outcome=problem.outcome[at], weights=weights
    )


def _identified(x: Stacked, weights: np.ndarray | None, intercept: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns that are not spanned by earlier ones; the others are named in a warning."""
    redundant = redundant_columns(x, weights, intercept)
    omitted = tuple(name for name, out in zip(x.columns, redundant, strict=True) if out)
    if omitted:
        warnings.warn(
            f"{len(omitted)} columns carry no information of their own (constant, or spanned by others) and were "
            f"omitted: {listing(omitted)}.",
            CollinearityWarning,
            stacklevel=4,
        )
    return np.flatnonzero(~redundant), omitted


def _warn_constant(x: Stacked, scaling: Scaling, intercept: bool) -> None:
    """Name constant dense columns where there is an intercept.

    Embeddings have some by construction, indicators of no history may be all zero, and so may sparse columns, which
    belong to levels of factors that need not occur.
    """
    p = x.sparse.shape[1]
    names = [
        name
        for name, term, constant in zip(x.columns[p:], x.terms[p:], scaling.constant[p:], strict=True)
        if intercept and constant and not term.startswith("embed(") and not name.endswith(f"[{MISSING_TEXT}]")
    ]
    if names:
        warnings.warn(
            f"column {names[0]!r} is constant in the estimation sample, so its coefficient is zero"
            f"{f' (as for {listing(names[1:])})' if names[1:] else ''}; leave it out.",
            CollinearityWarning,
            stacklevel=4,
        )
