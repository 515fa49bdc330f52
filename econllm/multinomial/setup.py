"""An estimation sample in the coordinates of the solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from econllm.choices import MISSING_TEXT
from econllm.errors import CollinearityWarning, DataError, FormulaError, OptionError, did_you_mean, listing, warn
from econllm.formula.lookup import Lookup
from econllm.logit.coordinates import Scaling, Stacked, redundant_columns
from econllm.logit.problem import Point, Problem
from econllm.multinomial.columns import Columns
from econllm.multinomial.identification import Identification, restricted
from econllm.sample import Sample


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
    shared_scale : numpy.ndarray
        Divides the alternative-specific columns.
    shared : numpy.ndarray of int
        Positions of these columns among all alternative-specific ones.
    omitted : tuple of str
        Columns left out because others span them.
    seen : numpy.ndarray of int
        Positions in the choice set of the outcomes that occur.
    sample : Sample
        The rows.
    identification : Identification or None
        What the design identifies, without a penalty and where some outcomes are not available to some rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from econllm.choices import ChoiceSet
    >>> from econllm.multinomial.columns import Specification
    >>> from econllm.sample import read_sample
    >>> df, jobs = pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2.0]}), ChoiceSet(["a", "b"])
    >>> options = {"missing": "raise", "context": None, "offset": None, "choice_sets": None}
    >>> _, columns = Specification.fit("y ~ x", df, jobs, full=True, **options)
    >>> Setup.make(columns, (), read_sample(df, "y", jobs), None, 2, penalised=True).problem.dense.tolist()
    [[-1.0], [1.0]]
    """

    problem: Problem
    stacked: Stacked
    scaling: Scaling
    columns: np.ndarray
    shared_scale: np.ndarray
    shared: np.ndarray
    omitted: tuple[str, ...]
    seen: np.ndarray
    sample: Sample
    identification: Identification | None = None

    @classmethod
    def make(
        cls,
        columns: Columns,
        shared_names: tuple[str, ...],
        sample: Sample,
        weights: np.ndarray | None,
        outcomes: int,
        *,
        penalised: bool,
        intercept: bool = True,
        factors: Mapping[str, float] | None = None,
    ) -> Setup:
        """Put columns into the coordinates of the solver.

        Parameters
        ----------
        columns : Columns
            The right-hand side.
        shared_names : tuple of str
            Names of its alternative-specific columns.
        sample : Sample
            Outcomes of the same rows.
        weights : numpy.ndarray, shape (n,), or None
            Weights of the same rows.
        outcomes : int
            Size of the choice set.
        penalised : bool
            Whether there is a penalty: then columns that others span are kept.
        intercept : bool
            Whether every outcome has a constant.
        factors : mapping of str to float, optional
            Multiples of alpha by term.

        Returns
        -------
        Setup

        Raises
        ------
        DataError
            Without rows, with fewer than two outcomes, or where an outcome happened that was not available.
        OptionError
            If `factors` names no term.
        """
        if not len(sample):
            raise DataError("no rows are left after rows with missing values were dropped.")
        if not (intercept or columns.stacked.columns or columns.shared):
            raise FormulaError("the formula has no terms and no constant: there is nothing to estimate.")
        if weights is not None:
            if not weights.any():
                raise DataError(f"all {len(weights)} rows without missing values have weight zero.")
            weights = weights / weights.mean()
        seen, outcome = _seen(sample, weights, outcomes)
        offset = None if columns.offset is None else columns.offset.outcomes(seen)
        if offset is not None and weights is not None:
            offset = _possible(offset, outcome)
        stacked, kept = columns.stacked, np.arange(len(columns.stacked.columns))
        omitted: tuple[str, ...] = ()
        if not penalised:
            kept, omitted = _identified(stacked, weights, intercept)
            stacked = stacked.take(kept)
        scaling = Scaling.fit(stacked, weights, intercept)
        if penalised:
            _warn_constant(stacked, scaling, intercept)
        shared = tuple(lookup.outcomes(seen) for lookup in columns.shared)
        varying = _varying(shared, offset, stacked, weights, intercept, penalised)
        shared = tuple(shared[m] for m in varying)
        shared_scale = np.array([_spread(lookup, offset) for lookup in shared])
        shared = tuple(Lookup(s.codes, s.table / scale) for s, scale in zip(shared, shared_scale, strict=True))
        names = tuple(shared_names[m] for m in varying)
        own, common = _factors(factors, stacked, names)
        problem = Problem(
            *scaling.apply(stacked),
            outcome,
            len(seen),
            weights,
            0.0,
            intercept,
            factors=own,
            shared=shared,
            shared_factors=common,
            offset=offset,
        )
        found = None
        if not penalised:
            own_coefficient, found = _identified_shared(problem)
            problem = _with_shared(problem, own_coefficient)
            varying, shared_scale = varying[own_coefficient], shared_scale[own_coefficient]
        spanned = tuple(name for m, name in enumerate(shared_names) if m not in varying)
        _warn_spanned(spanned)
        return cls(problem, stacked, scaling, kept, shared_scale, varying, (*omitted, *spanned), seen, sample, found)

    @property
    def has_persons(self) -> bool:
        """Whether rows belong to persons with several records."""
        return len(np.unique(self.sample.clusters)) < len(self.sample)

    def with_penalty(self, alpha: float, l1_ratio: float) -> Setup:
        """Return the setup with a penalty."""
        return replace(self, problem=replace(self.problem, alpha=alpha, l1_ratio=l1_ratio))

    def to_data(self, point: Point) -> Point:
        """Coefficients in the units of the data."""
        slopes, intercepts = self.scaling.to_data(point.slopes, point.intercepts)
        return Point(slopes, intercepts, point.shared / self.shared_scale)

    def judged(self, columns: Columns, sample: Sample) -> tuple[Problem, np.ndarray]:
        """Rows of another sample with outcomes that occur in estimation, in the same coordinates, and their clusters.

        Raises
        ------
        DataError
            If there are none.
        """
        rows = np.flatnonzero(np.isin(sample.outcome, self.seen))
        if not len(rows):
            raise DataError("the validation sample has no rows with an outcome that occurs in estimation.")
        part = columns.take(rows)
        left, right = self.scaling.apply(part.stacked.take(self.columns))
        lookups = [part.shared[m].outcomes(self.seen) for m in self.shared]
        problem = replace(
            self.problem,
            sparse=left,
            dense=right,
            outcome=np.searchsorted(self.seen, sample.outcome[rows]),
            weights=None,
            shared=tuple(Lookup(s.codes, s.table / c) for s, c in zip(lookups, self.shared_scale, strict=True)),
            offset=None if part.offset is None else part.offset.outcomes(self.seen),
        )
        return problem, sample.clusters[rows]


def _seen(sample: Sample, weights: np.ndarray | None, outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes that occur, and the position among them of every row's."""
    seen = np.flatnonzero(np.bincount(sample.outcome, weights, minlength=outcomes) > 0)
    if len(seen) < 2:
        raise DataError(f"only one outcome occurs in the {len(sample)} rows; a model of choice needs two.")
    # Rows of weight zero may hold outcomes that do not count as seen; they must not be looked up.
    known = sample.outcome if weights is None else np.where(np.isin(sample.outcome, seen), sample.outcome, seen[0])
    return seen, np.searchsorted(seen, known)


def _possible(offset: Lookup, outcome: np.ndarray) -> Lookup:
    """Offsets under which rows of weight zero, whose outcome stands for another, do not become impossible."""
    able = np.isfinite(offset.values())
    at = np.arange(len(outcome)), outcome
    if able[at].all():
        return offset
    values = offset.values()
    values[at] = np.where(able[at], values[at], 0.0)
    return Lookup(np.arange(len(outcome)), values)


def _spread(lookup: Lookup, offset: Lookup | None) -> float:
    """Standard deviation of a column over rows and outcomes; one for indicators."""
    if np.isin(lookup.table, (0.0, 1.0)).all():
        return 1.0
    counts = np.bincount(lookup.codes, minlength=len(lookup.table)).astype(np.float64)
    if offset is None:
        weights = np.broadcast_to(counts[:, None], lookup.table.shape)
        spread = float(np.sqrt(np.cov(lookup.table.ravel(), aweights=weights.ravel(), ddof=0)))
    else:
        spread = float(lookup.values()[np.isfinite(offset.values())].std())
    return spread if spread > 0 else 1.0


def _varying(
    shared: tuple[Lookup, ...],
    offset: Lookup | None,
    stacked: Stacked,
    weights: np.ndarray | None,
    intercept: bool,
    penalised: bool,
) -> np.ndarray:
    """Positions of the alternative-specific columns that have a coefficient of their own.

    A column that is the same for all outcomes of a row changes no probability. Without a penalty it has no coefficient
    of its own either where its differences between outcomes are combinations of the other columns.
    """
    kept: list[int] = []
    residuals: list[np.ndarray] = []
    for m, lookup in enumerate(shared):
        # Rows by outcomes can be large; patterns are enough where rows need not be told apart.
        plain = penalised and offset is None
        values = (lookup.table[np.unique(lookup.codes)] if plain else lookup.values()).astype(np.float64)
        if offset is not None:
            values = np.where(np.isfinite(offset.values()), values, np.nan)
        values = values - np.nanmean(values, axis=1, keepdims=True)
        flat = np.nan_to_num(values)
        scale = float(np.abs(lookup.table).max(initial=0.0))
        alone = bool(np.abs(flat).max(initial=0.0) > 1e-10 * scale)
        # With choice sets the information tells, see _identified_shared().
        if alone and not penalised and not restricted(offset):
            residual = _unexplained(flat, stacked, weights, intercept).ravel()
            for earlier in residuals:
                residual = residual - earlier * (earlier @ residual)
            size = float(np.linalg.norm(residual))
            alone = size > 1e-6 * float(np.linalg.norm(flat))
            if alone:
                residuals.append(residual / size)
        if alone:
            kept.append(m)
    return np.array(kept, dtype=np.int64)


def _identified_shared(problem: Problem) -> tuple[np.ndarray, Identification | None]:
    """Common columns that have a coefficient of their own under the choice sets, and what the rest identifies."""
    kept = np.arange(len(problem.shared))
    found = Identification.make(problem)
    while found is not None and not (known := found.shared(_with_shared(problem, kept))).all():
        kept = np.delete(kept, np.flatnonzero(~known)[-1])
        found = Identification.make(_with_shared(problem, kept))
    return kept, found


def _with_shared(problem: Problem, kept: np.ndarray) -> Problem:
    """The problem with some of its common columns."""
    factors = None if problem.shared_factors is None else problem.shared_factors[kept]
    return replace(problem, shared=tuple(problem.shared[m] for m in kept), shared_factors=factors)


def _warn_spanned(names: tuple[str, ...]) -> None:
    if names:
        warn(
            f"{len(names)} alternative-specific columns say nothing that the others do not (the same for all "
            f"outcomes of a row, or spanned by columns with a coefficient per outcome) and were omitted: "
            f"{listing(names)}.",
            CollinearityWarning,
        )


def _unexplained(values: np.ndarray, stacked: Stacked, weights: np.ndarray | None, intercept: bool) -> np.ndarray:
    """What is left of every outcome's column after projection on the columns with a coefficient per outcome."""
    w = np.ones(len(values)) if weights is None else (weights > 0).astype(np.float64)
    parts = [stacked.sparse.toarray(), stacked.dense.astype(np.float64)]
    x = np.hstack([*parts, np.ones((len(values), int(intercept)))]) * w[:, None]
    if not x.shape[1]:
        return values
    solution = np.linalg.lstsq(x, values * w[:, None], rcond=None)[0]
    out: np.ndarray = values * w[:, None] - x @ solution
    return out


def _factors(
    factors: Mapping[str, float] | None, stacked: Stacked, shared: tuple[str, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Multiples of alpha of every column; common coefficients are free unless named."""
    if factors is None:
        return None, None
    terms = dict.fromkeys((*stacked.terms, *shared))
    for name in factors:
        if name not in terms:
            raise OptionError(
                f"penalty_factors names {name!r}, which is no term of the formula.{did_you_mean(name, terms)} Terms: "
                f"{listing(terms, 12)}."
            )
    own = np.array([float(factors.get(term, 1.0)) for term in stacked.terms])
    return own, np.array([float(factors.get(name, 0.0)) for name in shared])


def _identified(x: Stacked, weights: np.ndarray | None, intercept: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns that are not spanned by earlier ones; the others are named in a warning."""
    redundant = redundant_columns(x, weights, intercept)
    omitted = tuple(name for name, out in zip(x.columns, redundant, strict=True) if out)
    if omitted:
        warn(
            f"{len(omitted)} columns carry no information of their own (constant, or spanned by others) and were "
            f"omitted: {listing(omitted)}.",
            CollinearityWarning,
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
        warn(
            f"column {names[0]!r} is constant in the estimation sample, so its coefficient is zero"
            f"{f' (as for {listing(names[1:])})' if names[1:] else ''}; leave it out.",
            CollinearityWarning,
        )
