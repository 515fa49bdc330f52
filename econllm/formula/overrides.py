"""Designs with some variables set to other values, for effects and predictions at chosen values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from econllm.choices import MISSING_TEXT, plain_code
from econllm.errors import DataError, FormulaError, OptionError, UnseenLevelError, did_you_mean, listing
from econllm.formula.history import HISTORY_TERMS
from econllm.formula.parse import (
    ALTERNATIVE_TERMS,
    BY_OUTCOME,
    RESUME,
    Factor,
    Parsed,
    functions_in,
    tree_of,
    values_in,
    values_outside,
    varies,
)
from econllm.formula.source import Source, identifiers
from econllm.formula.values import FactorValue, NumericValue, Value, as_numbers, is_factor
from econllm.panel import CareerPanel

# Inside these calls a column is that of other records, or text: setting a variable leaves it as it is.
KEPT = (*HISTORY_TERMS, "embed")
# Panel terms that are one column of numbers or one factor, and so can be set.
_SETTABLE = ("lag", "changed", "years_in", "gap", "record")
_SINGLE = ("changed", "years_in", "record")
_EARLIER = "__as_it_was"


@dataclass(frozen=True)
class Variable:
    """Something in a formula that can be set to other values.

    Attributes
    ----------
    name : str
        A column, or a whole term such as ``lag(occupation)``.
    kind : {"numeric", "factor"}
        Whether it takes numbers or levels.
    levels : tuple
        Levels of a factor in order; empty for numbers.

    Examples
    --------
    >>> Variable("sex", "factor", ("f", "m")).levels
    ('f', 'm')
    """

    name: str
    kind: Literal["numeric", "factor"]
    levels: tuple[Any, ...] = ()


def normal(text: str) -> str:
    """A term's text, spelled as this module compares it.

    Examples
    --------
    >>> normal("lag( job,k = 2 )")
    'lag(job, k=2)'
    """
    try:
        return ast.unparse(tree_of(Factor(text, text.isidentifier())))
    except (FormulaError, ValueError):  # the name of a column need be no expression
        return text


@dataclass(frozen=True)
class Overrides:
    """Variables with the values that they are set to, one per row that is predicted.

    Attributes
    ----------
    columns : dict of str to numpy.ndarray
        Values by column.
    terms : dict of str to numpy.ndarray
        Values by whole term, in its normal spelling.

    Examples
    --------
    >>> from econllm.formula.parse import parse
    >>> Overrides.read({"x": 1.0}, parse("y ~ x"), pd.DataFrame({"y": ["a", "b"], "x": [3, 4]})).columns["x"].tolist()
    [1.0, 1.0]
    """

    columns: dict[str, np.ndarray]
    terms: dict[str, np.ndarray]

    @classmethod
    def read(cls, overrides: Mapping[str, Any] | None, parsed: Parsed, data: CareerPanel | pd.DataFrame) -> Overrides:
        """Check what is set, and give every row a value.

        Parameters
        ----------
        overrides : mapping or None
            A Series (with the index of the rows), an array or list of one value per row, or a single number or level;
            by column, or by the text of a whole term such as ``"lag(occupation)"``.
        parsed : Parsed
            The formula; a variable of either part may be set.
        data : CareerPanel or DataFrame
            The rows.

        Returns
        -------
        Overrides

        Raises
        ------
        OptionError
            For a name that is no variable of the formula, with the nearest one.
        DataError
            For values that are missing, or not one per row.
        """
        columns, terms = _columns(parsed), _terms(parsed)
        found = cls({}, {})
        for key, value in (overrides or {}).items():
            values = _values(str(key), value, data.index)
            if str(key) in columns or _by_outcome(str(key), columns):
                found.columns[str(key)] = values
            elif normal(str(key)) in terms:
                found.terms[normal(str(key))] = values
            else:
                _refuse(str(key), parsed, [*columns, *terms])
        return found

    def apply(self, source: Source) -> Source:
        """The data with the columns set; history terms still read the columns as they were."""
        if not self.columns:
            return source
        columns = dict(source.columns)
        for name, values in self.columns.items():
            if name not in columns:
                raise OptionError(f"{name!r} cannot be set: there is no such column.{did_you_mean(name, columns)}")
            columns[name] = _set_column(columns[name], values, source.target)
        return replace(source, columns=columns)

    def value(
        self, factor: Factor, levels: Mapping[str, pd.Index], suffixes: Mapping[str, tuple[str, ...]]
    ) -> Value | None:
        """Value of a whole factor that is set, one per row that is predicted; None for others.

        Raises
        ------
        UnseenLevelError
            For a level that the model never saw.
        OptionError
            If the factor has several columns.
        """
        values = None if factor.is_column else self.terms.get(normal(factor.text))
        if values is None:
            return None
        if factor.text in levels:
            return of_levels(factor.text, values, levels[factor.text])
        numbers, names = _numbers(factor.text, values), suffixes[factor.text]
        if len(names) > 1 and names != ("", f"[{MISSING_TEXT}]"):
            raise OptionError(f"{factor.text} has {len(names)} columns and cannot be set; set what it is made of.")
        matrix = np.zeros((len(values), len(names)))
        matrix[:, 0] = numbers
        return NumericValue(matrix, names)

    def rewrite(
        self, factor: Factor, source: Source, before: Source, state: MutableMapping[str, Any]
    ) -> tuple[Factor, Source, MutableMapping[str, Any]]:
        """Let an expression read columns as they were in history terms, and values for terms that are set.

        Parameters
        ----------
        factor : Factor
            The expression.
        source, before : Source
            The data with columns set, and as they were.
        state : mapping
            What stateful transforms remember.

        Returns
        -------
        Factor, Source, mapping
            An expression with other names, the data with columns of these names, and the state by these names.
        """
        if factor.is_column or not (self.columns or self.terms):
            return factor, source, state
        rewriter = _Rewriter(frozenset(self.columns), tuple(self.terms))
        tree = rewriter.visit(tree_of(factor))
        if not rewriter.aliases:
            return factor, source, state
        columns = dict(source.columns)
        for alias, original in rewriter.aliases.items():
            if alias.endswith(_EARLIER):
                columns[alias] = before.columns[original]
            else:
                numbers = np.zeros(len(source.target))
                numbers[source.target] = _numbers(original, self.terms[original])
                columns[alias] = pd.Series(numbers, name=alias)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and not node.id.isidentifier():
                node.id = f"`{node.id}`"
        return Factor(ast.unparse(tree), False), replace(source, columns=columns), _Aliased(state, rewriter.readable)


class _Rewriter(ast.NodeTransformer):
    """Gives other names to columns inside history terms, and to terms that are set."""

    def __init__(self, columns: frozenset[str], terms: tuple[str, ...]) -> None:
        self.columns, self.terms = columns, terms
        self.aliases: dict[str, str] = {}
        self.readable: dict[str, str] = {}
        self._inside = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        text = ast.unparse(node)
        if not self._inside and text in self.terms:
            alias = f"_set_{self.terms.index(text)}"
            self.aliases[alias], self.readable[alias] = text, _readable(node)
            return ast.Name(alias, ast.Load())
        outer = self._inside
        self._inside = outer or (isinstance(node.func, ast.Name) and node.func.id in KEPT)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]
        if not isinstance(node.func, ast.Name):
            node.func = self.visit(node.func)
        self._inside = outer
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if not self._inside or node.id not in self.columns:
            return node
        alias = f"{node.id}{_EARLIER}"
        self.aliases[alias] = node.id
        return ast.Name(alias, ast.Load())


class _Aliased(dict[str, Any]):
    """The state of transforms, found under the names that an expression had at estimation."""

    def __init__(self, state: MutableMapping[str, Any], terms: Mapping[str, str]) -> None:
        super().__init__()
        self._state, self._terms = state, terms

    def _original(self, name: str) -> str:
        name = name.replace(_EARLIER, "")
        for alias, text in self._terms.items():
            name = name.replace(alias, text)
        return name

    def __contains__(self, name: object) -> bool:
        return self._original(str(name)) in self._state

    def __getitem__(self, name: str) -> Any:
        return self._state[self._original(name)]


def _readable(node: ast.AST) -> str:
    """A term as it stands in the names of states, where columns have names that Python can read."""
    copy = deepcopy(node)
    names = [part for part in ast.walk(copy) if isinstance(part, ast.Name)]
    plain = identifiers({name.id for name in names})
    for name in names:
        name.id = plain.get(name.id, name.id)
    return ast.unparse(copy)


def variables_of(
    factors: Iterable[Factor], levels: Mapping[str, pd.Index], kinds: Mapping[str, str]
) -> tuple[Variable, ...]:
    """What can be set in the factors of a formula.

    Parameters
    ----------
    factors : iterable of Factor
        Columns and expressions.
    levels : mapping
        Levels of those that are categories, by their text.
    kinds : mapping
        "numeric", "boolean" or "text" for every column that an expression reads at the record itself.

    Returns
    -------
    tuple of Variable
        Columns that enter at the record itself, and panel terms. Text inside embed() and other functions is left out,
        and so is bag().

    Examples
    --------
    >>> variables_of([Factor("np.log(x)", False)], {}, {"x": "numeric"})
    (Variable(name='x', kind='numeric', levels=()),)
    """
    found: dict[str, Variable] = {}

    def add(name: str, levels: Iterable[Any] | None) -> None:
        # A number that also stands inside C() takes levels: other values would have no category.
        if levels is not None:
            found[name] = Variable(name, "factor", tuple(plain_code(level) for level in levels))
        else:
            found.setdefault(name, Variable(name, "numeric"))

    for factor in factors:
        tree = _expression(factor)
        called = tree.func.id if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) else ""
        if factor.is_column or called in _SETTABLE:
            add(factor.text, levels.get(factor.text))
            continue
        at_record = sorted(values_outside(factor, KEPT) & set(kinds))
        if called == "C" and isinstance(tree, ast.Call):
            argument = tree.args[0] if tree.args else None
            if isinstance(argument, ast.Name):
                add(argument.id, levels[factor.text])
                continue
            add(factor.text, levels[factor.text])
        for name in at_record:
            if kinds[name] != "text":
                add(name, [False, True] if kinds[name] == "boolean" else None)
        for text in _calls(factor, _SINGLE):
            add(text, None)
    return tuple(found.values())


def _expression(factor: Factor) -> ast.AST:
    tree = tree_of(factor)
    return tree.body if isinstance(tree, ast.Expression) else tree


def _calls(factor: Factor, names: Iterable[str]) -> list[str]:
    """Panel terms inside an expression, outermost ones only, in their normal spelling."""
    found: list[str] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEPT:
            if node.func.id in names:
                found.append(ast.unparse(node))
            return
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(tree_of(factor))
    return found


def _factors(parsed: Parsed) -> list[Factor]:
    terms = (*parsed.terms, *parsed.alternatives)
    return list(dict.fromkeys(factor for term in terms for factor in term.factors))


def _columns(parsed: Parsed) -> list[str]:
    """Columns that a formula reads at the record itself, ``x[alt]`` among them."""
    names = set().union(*(values_outside(f, KEPT) for f in _factors(parsed))) if _factors(parsed) else set()
    return sorted(names - {RESUME})


def _terms(parsed: Parsed) -> list[str]:
    """Whole terms that can be set."""
    found = dict.fromkeys(text for f in _factors(parsed) for text in _calls(f, _SINGLE))
    for factor in _factors(parsed):
        first = _calls(factor, KEPT)
        whole = not factor.is_column and not varies(factor) and not functions_in(factor) & {"embed", "bag"}
        if whole and (not first or first[0].split("(")[0] in _SETTABLE):
            found[normal(factor.text)] = None
        if functions_in(factor) & set(ALTERNATIVE_TERMS):
            found[f"lag({parsed.outcome})"] = None
    return list(found)


def _by_outcome(key: str, columns: Iterable[str]) -> bool:
    return any(key.startswith(name.removesuffix("alt]")) for name in columns if name.endswith(BY_OUTCOME))


def _refuse(key: str, parsed: Parsed, allowed: list[str]) -> None:
    inside = [f.text for f in _factors(parsed) if key in values_in(f)]
    hint = f" It enters only through {listing(inside, 3)}." if inside else did_you_mean(key, allowed)
    raise OptionError(
        f"{key!r} cannot be set: it is no variable of the formula.{hint} Its variables: {listing(allowed, 12)}."
    )


def _values(key: str, value: Any, index: pd.Index) -> np.ndarray:
    if isinstance(value, pd.Series):
        if not value.index.equals(index):
            raise DataError(f"the values that {key!r} is set to have another index than the rows of the data.")
        values = value.astype(object).to_numpy() if is_factor(value) else as_numbers(value)
    elif isinstance(value, list | tuple | np.ndarray | pd.Categorical | pd.Index):
        values = np.asarray(value)
        if values.shape != (len(index),):
            raise DataError(f"{key!r} is set to {values.size} values; give one, or one for each of {len(index)} rows.")
    else:
        values = np.full(len(index), value, dtype=object if isinstance(value, str) else None)
    missing = pd.isna(values)
    if missing.any():
        raise DataError(f"{key!r} is set to missing values in {int(missing.sum())} of {len(index)} rows.")
    return values


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name!r} holds numbers and cannot be set to {listing(values[:1])}.") from error


def of_levels(name: str, values: np.ndarray, levels: pd.Index) -> FactorValue:
    """Read values as levels that a factor has."""
    codes = levels.get_indexer(pd.Index([plain_code(v) for v in values], dtype=object))
    if (codes < 0).any():
        wrong = values[np.argmax(codes < 0)]
        raise UnseenLevelError(
            f"{name} cannot be set to {plain_code(wrong)!r}, a level that the model never saw."
            f"{did_you_mean(wrong, levels)} Its levels are {listing(levels, 8)}."
        )
    return FactorValue(codes.astype(np.int64), levels, lagged=MISSING_TEXT in levels)


def _set_column(column: pd.Series, values: np.ndarray, target: np.ndarray) -> pd.Series:
    """The column with the rows that are predicted set, those of the history as they were."""
    name = str(column.name)
    if pd.api.types.is_bool_dtype(column.dtype):
        wrong = ~np.isin(values.astype(object), np.array([False, True], dtype=object))
        if wrong.any():
            raise DataError(f"{name!r} is true or false and cannot be set to {listing(values[wrong][:1])}.")
        out = column.fillna(False).to_numpy(dtype=bool, copy=True)
        out[target] = values.astype(bool)
    elif is_factor(column):
        out = column.astype(object).to_numpy(copy=True)
        out[target] = values
    else:
        out = as_numbers(column).copy()
        out[target] = _numbers(name, values)
    return pd.Series(out, index=column.index, name=column.name)
