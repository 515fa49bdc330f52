"""What marginal effects are asked for: which variables, values, groups and outcomes, over which rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, did_you_mean, listing
from econllm.formula.overrides import Variable
from econllm.formula.parse import BY_OUTCOME
from econllm.formula.values import as_numbers, is_factor
from econllm.logit.problem import Problem
from econllm.multinomial.estimates import reserved_probability
from econllm.panel import CareerPanel
from econllm.sample import Data, column_of, evaluation_weights, group_labels, groups_of, read_sample

if TYPE_CHECKING:
    from econllm.multinomial.results import MNLogitResults

Kind = Literal["dydx", "eyex", "discrete"]
Wanted = str | Sequence[str] | Mapping[str, Any] | None

# A column that jumps by this share of its size within one step has no derivative.
_JUMP = 1e-6


@dataclass(frozen=True)
class Change:
    """A variable that is changed.

    Attributes
    ----------
    variable : Variable
        The variable.
    path : tuple or None
        Values that it goes through, the first being the reference; None for derivatives and steps of one.

    Examples
    --------
    >>> Change(Variable("educ", "numeric"), (12, 16)).path
    (12, 16)
    """

    variable: Variable
    path: tuple[Any, ...] | None


@dataclass(frozen=True, eq=False)
class Group:
    """Rows that are averaged.

    Attributes
    ----------
    label : object
        Value of the column that forms groups; "" where there are none.
    share : numpy.ndarray, shape (n,)
        Weights that sum to one, zero outside the group.

    Examples
    --------
    >>> Group("m", np.array([0.5, 0.0, 0.5])).share.sum()
    np.float64(1.0)
    """

    label: Any
    share: np.ndarray


def complete_rows(results: MNLogitResults, data: Data) -> Data:
    """Keep the rows that are predicted, as data of their own.

    Raises
    ------
    DataError
        If there are none.
    """
    kept = results.kept(data)
    if not kept.any():
        raise DataError("the data have no rows that are predicted.")
    if kept.all():
        return data
    if not isinstance(data, CareerPanel):
        return data.loc[kept]
    target = data.is_target.copy()
    target[target] = kept
    return data._predicting(target, np.ones(len(target), dtype=bool))


def row_scale(results: MNLogitResults, data: Data) -> np.ndarray:
    """Probability that is left in every row for the outcomes that occurred in estimation, shape (n,).

    Less than one where the choice set has outcomes that never occurred, which have a reserved probability; zero in rows
    that have nothing but such outcomes to choose from.
    """
    e, outcomes = results._estimates, len(results.choices)
    unseen = np.delete(np.arange(outcomes), e.seen)
    reserved = reserved_probability(results.model.pseudo_count, e.rows, len(unseen))
    offset = None if e.spec.choice_sets is None and e.spec.stage is None else e.spec.build(data).offset
    if offset is None:
        return np.full(len(data), 1.0 - reserved * len(unseen))
    able = np.isfinite(offset.table)
    left = np.where(able[:, e.seen].any(axis=1), 1.0 - reserved * able[:, unseen].sum(axis=1), 0.0)
    out: np.ndarray = left[offset.codes]
    return out


def formula_variables(results: MNLogitResults) -> dict[str, Variable]:
    """Variables that can be changed, by name, those of alternative-specific terms last."""
    spec = results._estimates.spec
    parts = [spec.design.variables(), () if spec.alternatives is None else spec.alternatives.variables()]
    found: dict[str, Variable] = {}
    for variable in (v for part in parts for v in part):
        found.setdefault(variable.name, variable)
    return found


def read_changes(wanted: Wanted, known: Mapping[str, Variable], frame: pd.DataFrame, kind: Kind) -> list[Change]:
    """Read the option `variables`.

    Parameters
    ----------
    wanted : str, sequence of str, mapping or None
        As given to :func:`econllm.multinomial.effects.marginal_effects`.
    known : mapping
        Variables of the formula.
    frame : pandas.DataFrame
        The rows.
    kind : {"dydx", "eyex", "discrete"}
        Kind of effect.

    Returns
    -------
    list of Change

    Raises
    ------
    OptionError
        For names that are no variable, elasticities of factors, values without a use, and where nothing is left.

    Examples
    --------
    >>> read_changes(None, {"x": Variable("x", "numeric")}, pd.DataFrame({"x": [0, 1]}), "discrete")[0].path
    (0, 1)
    """
    if wanted is None:
        chosen: dict[str, Any] = {name: None for name, v in known.items() if kind != "eyex" or v.kind == "numeric"}
    elif isinstance(wanted, Mapping):
        chosen = {str(name): values for name, values in wanted.items()}
    else:
        chosen = dict.fromkeys([wanted] if isinstance(wanted, str) else map(str, wanted))
    if not chosen:
        what = "numeric variable" if kind == "eyex" else "variable"
        raise OptionError(f"there is no {what} to compute effects of; the formula reads {listing(known, 12)}.")
    named = [(each, values) for name, values in chosen.items() for each in _by_outcome(name, known)]
    return [_change(name, values, known, frame, kind) for name, values in named]


def _by_outcome(name: str, known: Mapping[str, Variable]) -> list[str]:
    """All columns x[code] for x[alt], else the name itself."""
    start = name.removesuffix("alt]")
    columns = [each for each in known if each.startswith(start) and each.endswith("]")]
    return columns if name.endswith(BY_OUTCOME) and columns else [name]


def code_of(results: MNLogitResults, name: Any) -> Any:
    """The code of an outcome that is given by its title; anything else as it is.

    Examples
    --------
    >>> from econllm import MNLogit
    >>> df = pd.DataFrame({"y": [1, 2, 1], "x": [0.0, 1, 2]})
    >>> df.attrs["value_labels"] = {"y": {1: "Cook", 2: "Clerk"}}
    >>> code_of(MNLogit("y ~ 1").fit(df), "Clerk")
    2
    """
    choices = results.choices
    places = [i for i, title in enumerate(choices.titles) if title == name]
    return choices.codes[places[0]] if name not in choices.codes and len(places) == 1 else name


def read_levels(results: MNLogitResults, variable: Variable | None, values: Sequence[Any]) -> tuple[Any, ...]:
    """Values of a variable; of earlier occupations, their codes where titles are given."""
    levels = () if variable is None else variable.levels
    codes = [code_of(results, value) for value in values]
    pairs = zip(values, codes, strict=True)
    return tuple(code if value not in levels and code in levels else value for value, code in pairs)


def _change(name: str, values: Any, known: Mapping[str, Variable], frame: pd.DataFrame, kind: Kind) -> Change:
    variable = known.get(name)
    if variable is None and name in frame.columns and not is_factor(frame[name]):
        variable = Variable(name, "numeric")  # such as one column of x[alt]; the design refuses what it never reads
    if variable is None:
        raise OptionError(
            f"variables: {name!r} is no variable of the formula.{did_you_mean(name, known)} It reads "
            f"{listing(known, 12)}."
        )
    if kind == "eyex" and variable.kind == "factor":
        raise OptionError(f"kind='eyex': {name!r} is a factor and has no elasticity; use kind='dydx'.")
    if values is None:
        return Change(variable, _default_values(variable, frame, kind))
    if kind != "discrete" and variable.kind == "numeric":
        raise OptionError(f"variables: values of {name!r} to compare need kind='discrete'.")
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or len(values) < 2:
        raise OptionError(f"variables: give at least two values of {name!r}, the first being the reference.")
    return Change(variable, tuple(values))


def _default_values(variable: Variable, frame: pd.DataFrame, kind: Kind) -> tuple[Any, ...] | None:
    if variable.kind == "factor":
        if len(variable.levels) < 2:
            raise OptionError(f"variables: {variable.name!r} has one level only, and so no effect.")
        return variable.levels
    if kind == "discrete" and variable.name in frame.columns:
        values = as_numbers(frame[variable.name])
        return (0, 1) if np.isin(values, [0, 1]).all() else None
    return None


def read_groups(results: MNLogitResults, data: Data, over: str | None, weights: bool) -> Iterator[Group]:
    """Read the options `over` and `weights`.

    Raises
    ------
    DataError
        If a group has no weight, or there are none.
    MissingColumnError
        If there is no such column.
    """
    spec = results._estimates.spec
    sample = read_sample(data, spec.outcome, spec.choices)
    weight = evaluation_weights(sample, weights)
    weight = np.ones(len(sample)) if weight is None else weight
    if over is None:
        labels = np.full(len(sample), "", dtype=object)
    elif over == "history":
        labels = group_labels(data, sample, over)
    else:
        labels = column_of(data, over, "over").astype(object).to_numpy()
        if pd.isna(labels).all():
            raise DataError(f"over={over!r} is missing in every row.")
    for label in groups_of(labels):
        share = weight * (labels == label)
        if not share.sum() > 0:
            raise DataError(f"over={over!r}: every row of group {label!r} has weight zero.")
        yield Group(label, share / share.sum())


def column_means(known: Mapping[str, Variable], frame: pd.DataFrame, groups: Sequence[Group]) -> dict[str, np.ndarray]:
    """Every numeric column of the formula at the mean of the row's group.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, 3.0]})
    >>> column_means({"x": Variable("x", "numeric")}, frame, [Group("", np.full(2, 0.5))])["x"].tolist()
    [2.0, 2.0]
    """
    means = {}
    for name in (name for name, v in known.items() if v.kind == "numeric" and name in frame.columns):
        x = as_numbers(frame[name])
        if np.isnan(x).any():  # of outcomes that are not available: choice sets that differ are refused
            continue
        means[name] = np.full(len(x), x.mean())
        for group in groups:
            means[name][group.share > 0] = group.share @ x
    return means


def read_targets(results: MNLogitResults, outcomes: Hashable | Sequence[Hashable] | None) -> np.ndarray:
    """Read the option `outcomes` as positions among the outcomes that occurred in estimation.

    Raises
    ------
    OptionError
        For outcomes that do not exist, or never occurred.
    """
    codes = results.choices.codes
    seen = [codes[i] for i in results._estimates.seen]
    if outcomes is None:
        return np.arange(len(seen))
    several = isinstance(outcomes, Sequence | np.ndarray | pd.Index) and not isinstance(outcomes, str)
    wanted = list(outcomes) if several else [outcomes]  # type: ignore[call-overload]
    wanted = [code_of(results, name) for name in wanted]
    for code in wanted:
        if code not in codes:
            known = dict.fromkeys([*codes, *results.choices.titles])
            raise OptionError(f"outcomes: {code!r} is no outcome.{did_you_mean(code, known)}")
        if code not in seen:
            raise OptionError(f"outcomes: {code!r} never occurred in estimation, so every effect on it is zero.")
    if not wanted or len(set(wanted)) < len(wanted):
        raise OptionError(f"outcomes={wanted!r} must name at least one outcome, each once.")
    return np.array([seen.index(code) for code in wanted])


def some_unavailable(problem: Problem) -> bool:
    """Whether some outcome is not available to some row."""
    return problem.offset is not None and bool(np.isneginf(problem.offset.table).any())


def check_same_sets(problem: Problem) -> None:
    """Raise where rows choose from different sets, which have no mean."""
    if problem.offset is None:
        return
    available = np.isfinite(problem.offset.table[np.unique(problem.offset.codes)])
    if (available != available[0]).any():
        raise OptionError("at='mean': rows choose from different sets, which have no mean; use at='overall'.")


def refuse_jumps(name: str, upper: Problem, centre: Problem, lower: Problem) -> None:
    """Raise where an indicator or a step function of a number changes: it has no derivative."""
    bends = [abs(upper.sparse + lower.sparse - 2 * centre.sparse)]
    sizes = [abs(centre.sparse)]
    for j in range(centre.dense.shape[1]):
        ends = upper.dense[:, j] - centre.dense[:, j], centre.dense[:, j] - lower.dense[:, j]
        bends.append(np.abs(ends[0] - ends[1]))
        sizes.append(np.abs(centre.dense[:, j]))
    able = np.isfinite(centre.offset.values()) if centre.offset is not None else np.array(True)
    for three in zip(upper.shared, centre.shared, lower.shared, strict=True):
        if three[0].table is not three[2].table:
            ends = three[0].values() - three[1].values(), three[1].values() - three[2].values()
            bends.append(np.where(able, np.abs(ends[0] - ends[1]), 0.0))
            sizes.append(np.abs(three[1].table))
    if any(bend.size and bend.max() > _JUMP * max(size.max(), _JUMP) for bend, size in zip(bends, sizes, strict=True)):
        raise _step_error(name)


def refuse_steps(name: str, near: tuple[Problem, Problem], far: tuple[Problem, Problem]) -> None:
    """Raise where a column differs between rows that are set far apart but nowhere between rows set near each other."""
    if (_differing(*far) & ~_differing(*near)).any():
        raise _step_error(name)


def _differing(a: Problem, b: Problem) -> np.ndarray:
    """Which columns of two problems differ in any row."""
    left = abs(a.sparse - b.sparse).sum(axis=0) > 0
    shared = [
        x.table is not y.table and bool((x.values() != y.values()).any())
        for x, y in zip(a.shared, b.shared, strict=True)
    ]
    out: np.ndarray = np.concatenate(
        [np.asarray(left).ravel(), (a.dense != b.dense).any(axis=0), np.array(shared, dtype=bool)]
    )
    return out


def _step_error(name: str) -> OptionError:
    return OptionError(
        f"variables: {name!r} enters the formula through a step, so it has no derivative; use kind='discrete'."
    )
