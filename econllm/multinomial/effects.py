"""Marginal effects of a multinomial logit: what is asked for, the designs it needs, and standard errors."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.choices import MISSING_TEXT
from econllm.errors import DataError, EconLLMError, OptionError, check_option
from econllm.formula.overrides import KEPT
from econllm.formula.parse import values_outside
from econllm.formula.values import as_numbers
from econllm.logit import derivatives
from econllm.logit.derivatives import Average, Slope
from econllm.logit.problem import Point, Problem
from econllm.metrics import check_level
from econllm.multinomial.effects_options import (
    Change,
    Group,
    Kind,
    Wanted,
    check_same_sets,
    column_means,
    complete_rows,
    formula_variables,
    read_changes,
    read_groups,
    read_levels,
    read_targets,
    refuse_jumps,
    refuse_steps,
    row_scale,
    some_unavailable,
)
from econllm.multinomial.effects_report import effects_notes, effects_titles
from econllm.multinomial.marginal import MarginalEffects
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.tables import Fact

if TYPE_CHECKING:
    from econllm.multinomial.large import DirectionalCovariance
    from econllm.multinomial.results import MNLogitResults

__all__ = ["Kind", "MarginalEffects", "marginal_effects"]

_CONTRASTS = {"dydx": "dy/dx", "eyex": "ey/ex", "discrete": "+1"}
_TITLES = {"dydx": "Marginal effects on", "eyex": "Elasticities of", "discrete": "Effects of discrete changes on"}
# Relative step of numerical derivatives of the columns: exact for linear and quadratic ones but for rounding.
_STEP = 2.0**-17
# Gradients larger than this are refused.
_MOST_BYTES = 4e9


@dataclass(frozen=True)
class _Effect:
    """One contrast of one variable: effects by point, group and target, and gradients by group and target."""

    variable: str
    contrast: str
    found: np.ndarray
    gradient: np.ndarray | None


def marginal_effects(
    results: MNLogitResults,
    data: Data,
    variables: Wanted = None,
    *,
    at: str | Mapping[str, Any] = "overall",
    over: str | None = None,
    kind: Kind = "dydx",
    outcomes: Hashable | Sequence[Hashable] | None = None,
    weights: bool = False,
    level: float = 0.95,
    covariance: DirectionalCovariance | None = None,
) -> MarginalEffects:
    """Effects of variables on the probabilities of outcomes, averaged over rows.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    data : CareerPanel or DataFrame
        Rows over which effects are averaged.
    variables : str, sequence of str or mapping, optional
        Columns, or whole history terms such as ``"lag(occupation)"``; by default all that the formula reads. A mapping
        gives the values to compare, the first being the reference: ``{"educ": (12, 16)}`` with kind="discrete",
        ``{"lag(occupation)": [1, 2, 3]}`` with any kind; None stands for the default ones.
    at : {"overall", "mean"} or mapping
        "overall" averages over the rows as they are. "mean" takes one row with numeric variables at their means and
        the indicators of factors averaged. A mapping sets some variables to one value each, others stay as they are.
    over : str, optional
        Column whose values form groups with effects of their own; "history" tells first records from others.
    kind : {"dydx", "eyex", "discrete"}
        "dydx": derivatives for numbers, changes from the first level for factors. "eyex": elasticities, of numbers
        only. "discrete": changes for all; numbers by one, or from 0 to 1 where they hold nothing else.
    outcomes : code or sequence of codes, optional
        Outcomes to look at; by default all that occurred in estimation. The effect on others is zero.
    weights : bool
        Weight rows by the panel's survey weights.
    level : float
        Coverage of the intervals.
    covariance : DirectionalCovariance, optional
        Covariance of the coefficients where that of the fit is too large to be formed.

    Returns
    -------
    MarginalEffects

    Raises
    ------
    OptionError
        For variables, outcomes or values that do not exist, elasticities of factors or where outcomes are not
        available, derivatives where a column jumps, and gradients that are too large.
    DataError
        For rows that cannot be predicted, see :class:`econllm.MNLogit`.

    Notes
    -----
    With utilities z_ij and probabilities p_ij the derivative is p_ij (dz_ij - sum_l p_il dz_il), where dz_ij follows
    from the columns of the design with the variable moved up and down. Standard errors are by the delta method, with
    the gradient in closed form, for the rows as they are; after a bootstrap effects are computed in every replication.

    Examples
    --------
    >>> from econllm.multinomial import MNLogit
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame({"y": rng.choice(["a", "b"], 200), "x": rng.normal(size=200)})
    >>> effects = marginal_effects(MNLogit("y ~ x").fit(df), df)
    >>> effects.keys.values.tolist()
    [['x', 'dy/dx', 'a', ''], ['x', 'dy/dx', 'b', '']]
    """
    check_option("kind", kind, list(_CONTRASTS))
    check_option("weights", weights, [True, False])
    check_level(level)
    if not isinstance(at, Mapping):
        check_option("at", at, ["overall", "mean"])
    elif any(np.ndim(value) for value in at.values()):
        raise OptionError("at sets every variable to one value; compare values by variables={...} and kind='discrete'.")
    work = _Work.make(results, data, at, over, kind, outcomes, weights, covariance)
    changes = read_changes(variables, formula_variables(results), work.frame, kind)
    changes = [replace(c, path=c.path and read_levels(results, c.variable, c.path)) for c in changes]
    work.check_size(changes)
    effects = [effect for change in changes for effect in work.effects(change)]
    return _collect(work, effects, level)


@dataclass(frozen=True)
class _Work:
    """What every effect needs: rows, groups, targets and coefficients."""

    results: MNLogitResults
    data: Data
    kind: Kind
    mean: bool
    fixed: dict[str, Any]
    over: str | None
    weighted: bool
    groups: tuple[Group, ...]
    targets: np.ndarray
    points: tuple[Point, ...]
    centre: Problem
    frame: pd.DataFrame
    scale: np.ndarray
    covariance: DirectionalCovariance | None

    @classmethod
    def make(
        cls,
        results: MNLogitResults,
        data: Data,
        at: str | Mapping[str, Any],
        over: str | None,
        kind: Kind,
        outcomes: Hashable | Sequence[Hashable] | None,
        weights: bool,
        covariance: DirectionalCovariance | None,
    ) -> _Work:
        data = complete_rows(results, data)
        frame = data.to_frame() if isinstance(data, CareerPanel) else data
        groups = tuple(read_groups(results, data, over, weights))
        known = formula_variables(results)
        fixed = {name: read_levels(results, known.get(name), [value])[0] for name, value in _given(at)}
        if at == "mean":
            fixed = column_means(known, frame, groups)
        centre = results._problem(data, fixed or None)
        if at == "mean":
            check_same_sets(centre)
        if kind == "eyex" and some_unavailable(centre):
            raise OptionError("kind='eyex': an outcome that is not available has no elasticity; use kind='dydx'.")
        targets = read_targets(results, outcomes)
        points = tuple(_points(results)) if covariance is None else (results._estimates.point,)
        scale = row_scale(results, data)
        return cls(
            results,
            data,
            kind,
            at == "mean",
            fixed,
            over,
            weights,
            groups,
            targets,
            points,
            centre,
            frame,
            scale,
            covariance,
        )

    @property
    def gradient(self) -> bool:
        """Whether the delta method is used."""
        inference = self.results._estimates.inference
        return self.covariance is not None or (inference.cov is not None and inference.replicates is None)

    def check_size(self, changes: Sequence[Change]) -> None:
        """Raise before starting where gradients and covariances would not fit."""
        if not self.gradient and len(self.points) == 1:
            return
        problem, e = self.centre, self.results._estimates
        cells = len(self.groups) * len(self.targets)
        effects = cells * sum(1 if c.path is None else len(c.path) - 1 for c in changes)
        needed = 16.0 * effects**2 + 8.0 * effects * len(self.points)
        if self.gradient:
            needed += 8.0 * (effects * len(e.reported) + 3 * cells * problem.parameters)
        if needed > _MOST_BYTES:
            raise OptionError(
                f"standard errors of {effects:,} effects need {needed / 1e9:,.1f} GB: name some variables= and "
                "outcomes=, or fit with cov_type=None."
            )

    def effects(self, change: Change) -> Iterator[_Effect]:
        """Effects of one variable."""
        name, path = change.variable.name, change.path
        if path is None and self.kind == "discrete" and np.isin(self._observed(name), (0, 1)).all():
            path = (0, 1)
        if path is not None:
            margins = (self._margins(self._problem({name: value})) for value in path)
            first = next(margins)
            for value, other in zip(path[1:], margins, strict=True):
                yield self._less(name, f"{value} vs. {path[0]}", other, first)
        elif self.kind == "discrete":
            upper, lower = self._moved(name, self._values(name) + 1), self.centre
            yield self._less(name, "+1", self._margins(upper), self._margins(lower))
        else:
            yield self._derivative(name)

    def _less(self, name: str, contrast: str, upper: list[list[Average]], lower: list[list[Average]]) -> _Effect:
        values = np.array(
            [[a.value - b.value for a, b in zip(*pair, strict=True)] for pair in zip(upper, lower, strict=True)]
        )
        gradient = None
        if self.gradient:
            parts = [a.gradient - b.gradient for a, b in zip(upper[0], lower[0], strict=True)]  # type: ignore[operator]
            gradient = np.stack(parts)
        return _Effect(name, contrast, values, gradient)

    def _margins(self, problem: Problem) -> list[list[Average]]:
        """Average probabilities, by point and group."""
        found = []
        for group in self.groups:
            rows, weights = self._rows(problem, group)
            found.append(
                [
                    self._reported(derivatives.margins(rows, point, weights, self.targets, gradient=self.gradient))
                    for point in self.points
                ]
            )
        return [list(by_group) for by_group in zip(*found, strict=True)]

    def _derivative(self, name: str) -> _Effect:
        x = self._values(name)
        slope = self._slope(name, x)
        elastic = self.kind == "eyex"
        compute = derivatives.elasticities if elastic else derivatives.slopes
        values, gradients = [], []
        for group in self.groups:
            rows, weights = self._rows(self.centre, group, scaled=not elastic)
            if self.mean:
                change, times = derivatives.mean_slope(slope, group.share), np.array([group.share @ x])
            else:
                used = np.flatnonzero(group.share)
                change, times = slope.take(used), x[used]
            if elastic:
                weights = weights * times
            found = [
                self._reported(compute(rows, change, point, weights, self.targets, gradient=self.gradient))
                for point in self.points
            ]
            values.append([average.value for average in found])
            gradients.append(found[0].gradient)
        stacked = np.stack(gradients) if self.gradient else None  # type: ignore[arg-type]
        return _Effect(name, _CONTRASTS[self.kind], np.array(values).swapaxes(0, 1), stacked)

    def _rows(self, problem: Problem, group: Group, *, scaled: bool = True) -> tuple[Problem, np.ndarray]:
        """The rows of a group, or their mean, with weights; scaled by what is left for outcomes that occurred."""
        if self.mean:
            return derivatives.mean_row(problem, group.share), np.array([group.share @ self.scale if scaled else 1.0])
        used = np.flatnonzero(group.share)
        weights = group.share[used] * (self.scale[used] if scaled else 1.0)
        return problem if len(used) == problem.rows else problem.take(used), weights

    def _reported(self, average: Average) -> Average:
        if average.gradient is None:
            return average
        return replace(average, gradient=self.results._estimates.reported_gradient(average.gradient))

    def _problem(self, overrides: dict[str, Any]) -> Problem:
        problem = self.results._problem(self.data, {**self.fixed, **overrides})
        if problem.rows != self.centre.rows:
            raise DataError("rows drop in or out of the design when a variable is set; drop missing values first.")
        return problem

    def _values(self, name: str) -> np.ndarray:
        """Values of a numeric variable, row by row."""
        if name in self.fixed:
            return np.broadcast_to(np.asarray(self.fixed[name], dtype=np.float64), self.centre.rows)
        return self._observed(name)

    def _observed(self, name: str) -> np.ndarray:
        """Values of a numeric variable in the data, wherever it is set."""
        if name in self.frame.columns:
            x = as_numbers(self.frame[name])
            # In rows that are predicted, what is missing belongs to an outcome that is not available: any value does.
            return np.where(np.isnan(x), np.nanmean(x) if not np.isnan(x).all() else 1.0, x)
        columns = self.results._estimates.columns
        if name not in columns:
            raise OptionError(
                f"variables: the values of {name} are no column of the design, so it cannot be moved from where it is; "
                f"compare two values: kind='discrete', variables={{{name!r}: (0, 1)}}."
            )
        return _column(self.centre, columns.index(name))

    def _slope(self, name: str, x: np.ndarray) -> Slope:
        columns = self.results._estimates.columns
        if name in columns and self._enters_alone(name):
            ones = sparse.csr_array(np.ones((len(x), 1)))
            return Slope(np.array([columns.index(name)]), ones, (None,) * len(self.centre.shared))
        upper, lower, width = self._beside(name, x)
        refuse_jumps(name, upper, self.centre, lower)
        real = self._observed(name)
        near = self._beside(name, real)[:2] if name in self.fixed else (upper, lower)
        try:
            far = self._moved(name, real + (float(np.ptp(real)) or 1.0)), self._moved(name, real)
        except EconLLMError:  # a formula need not be defined beyond the data
            far = near
        refuse_steps(name, near, far)
        return derivatives.difference(upper, lower, width)

    def _beside(self, name: str, x: np.ndarray) -> tuple[Problem, Problem, np.ndarray]:
        """The rows with a number moved a little up and down from x, and the distance between the two."""
        spread = float(np.std(x)) or float(np.abs(x).max(initial=0.0)) or 1.0
        step = 2.0 ** np.round(np.log2(_STEP * np.maximum(np.abs(x), 0.01 * spread)))
        up, down = x + step, x - step
        try:
            return self._moved(name, up), self._moved(name, down), up - down
        except OptionError:
            raise
        except EconLLMError as error:
            raise OptionError(
                f"variables: {name!r} has no derivative, as the formula cannot be evaluated beside its values: {error} "
                "Use kind='discrete' with two values."
            ) from error

    def _moved(self, name: str, values: np.ndarray) -> Problem:
        """The rows with a number moved; those without a history have nothing that could move."""
        problem, columns = self._problem({name: values}), self.results._estimates.columns
        absent = f"{name}[{MISSING_TEXT}]"
        if absent not in columns:
            return problem
        return derivatives.join_rows(problem, self.centre, _column(self.centre, columns.index(absent)) == 0)

    def _enters_alone(self, name: str) -> bool:
        """Whether a variable is one column of the design and enters nothing else, so that no design need be built."""
        parsed = self.results._estimates.spec.design.parsed
        terms = [
            t for t in (*parsed.terms, *parsed.alternatives) if any(name in values_outside(f, KEPT) for f in t.factors)
        ]
        return [term.text for term in terms] == [name]


def _given(at: str | Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in at.items()] if isinstance(at, Mapping) else []


def _points(results: MNLogitResults) -> Iterator[Point]:
    """The estimate, then the replications of a bootstrap."""
    e, replicates = results._estimates, results._estimates.inference.replicates
    yield e.point
    for row in () if replicates is None else replicates:
        yield derivatives.reported_point(row, len(e.columns), len(e.seen), e.spec.intercept, e.base)


def _column(problem: Problem, position: int) -> np.ndarray:
    p = problem.sparse.shape[1]
    if position >= p:
        return problem.dense[:, position - p].astype(np.float64)
    out: np.ndarray = problem.sparse[:, [position]].toarray().ravel()
    return out


def _collect(work: _Work, effects: Sequence[_Effect], level: float) -> MarginalEffects:
    """Put effects into one frame with a joint covariance, by group, variable, contrast and outcome."""
    results, e = work.results, work.results._estimates
    codes = [results.choices.codes[e.seen[t]] for t in work.targets]
    keys = pd.DataFrame(
        [(f.variable, f.contrast, code, g.label) for g in work.groups for f in effects for code in codes],
        columns=["variable", "contrast", "outcome", "group"],
    )
    values = np.stack([f.found for f in effects], axis=2)
    values = values.reshape(len(work.points), -1)
    cov, replicates = None, None
    if work.gradient:
        gradient = np.stack([f.gradient for f in effects if f.gradient is not None], axis=1)
        gradient = gradient.reshape(len(keys), -1)
        cov = gradient @ e.inference.cov @ gradient.T if work.covariance is None else work.covariance.of(gradient)
    elif len(values) > 1:
        replicates = values[1:]
        cov = np.atleast_2d(np.cov(replicates, rowvar=False))
    shown = [(f.variable, f.contrast) for f in effects]
    title = f"{_TITLES[work.kind]} the probabilities of {e.labels.get(results.outcome, results.outcome)}"
    facts = [Fact("Rows", work.centre.rows, ",d"), Fact("Evaluated", _evaluated(work))]
    facts += [Fact("Weights", "survey weights of the rows")] if work.weighted else []
    notes = tuple(effects_notes(results, [variable for variable, _ in shown], work.covariance))
    titles = effects_titles(results, shown, work.over, [group.label for group in work.groups])
    return MarginalEffects(keys, values[0], cov, replicates, level, title, tuple(facts), notes, titles)


def _evaluated(work: _Work) -> str:
    if work.mean:
        return "at the means"
    fixed = ", ".join(f"{name} = {value}" for name, value in work.fixed.items())
    return f"averaged over rows{f', {fixed}' if fixed else ''}"
