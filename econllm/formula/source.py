"""Data as the evaluation of a formula sees them, and the value of a factor in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Hashable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from formulaic.utils.stateful_transforms import stateful_eval

from econllm.errors import DataError, EconLLMError, FormulaError, LeakageError
from econllm.formula.embedding import EmbedTerm
from econllm.formula.history import HISTORY_TERMS, History, without_panel
from econllm.formula.parse import BY_OUTCOME, RESUME, Factor, Parsed, functions_in, names_in, tree_of, values_outside
from econllm.formula.transforms import FUNCTIONS, categorical
from econllm.formula.values import Value, as_factor, as_value, is_factor, refuse_dates
from econllm.panel import CareerPanel
from econllm.records import plain_numbers

# Functions and methods by which an expression itself says what becomes of missing values.
TREATING_MISSING = frozenset(["fillna", "isna", "isnull", "notna", "notnull", "isnan", "nan_to_num", "where", "ffill"])


@dataclass(frozen=True)
class Source:
    """Data as the evaluation sees them: columns of all records, and which records become rows.

    Attributes
    ----------
    columns : mapping of str to Series
        Columns of all records, history included.
    functions : mapping
        What formulas may call.
    known, hidden : tuple of hashable
        Columns that may be used at the record itself, and those that may be used from earlier records only.
    refused : dict of str to FormulaError
        Columns that no term may use, with what is raised.
    levels : mapping
        Frozen levels of columns.
    target : numpy.ndarray of bool
        Which records are rows.
    panel : CareerPanel or None
        Where the columns are from.
    """

    columns: Mapping[str, pd.Series]
    functions: Mapping[str, Any]
    known: tuple[Hashable, ...]
    hidden: tuple[Hashable, ...]
    refused: dict[str, FormulaError]
    levels: Mapping[Hashable, pd.Index]
    target: np.ndarray
    panel: CareerPanel | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.target.sum())

    @classmethod
    def read(cls, data: CareerPanel | pd.DataFrame, parsed: Parsed) -> Source:
        """Take data apart for a formula.

        Raises
        ------
        DataError
            For another kind of object, and columns of the formula that occur twice.
        FormulaError
            If the outcome is not that of the panel.

        Examples
        --------
        >>> from econllm.formula.parse import parse
        >>> Source.read(pd.DataFrame({"y": [1, 2], "x": [3, 4]}), parse("y ~ x")).known
        ('x',)
        """
        if isinstance(data, CareerPanel):
            return _of_panel(data, parsed)
        if not isinstance(data, pd.DataFrame):
            raise DataError(f"data is a {type(data).__name__}; give a CareerPanel or a pandas DataFrame.")
        return _of_frame(data, parsed)


def _of_frame(data: pd.DataFrame, parsed: Parsed) -> Source:
    twice = {str(c) for c in data.columns[data.columns.duplicated()]}
    terms = (*parsed.terms, *parsed.alternatives)
    names = frozenset().union(*(names_in(f) for term in terms for f in term.factors))
    used = {name for name in twice if name in names or f"{name.partition('[')[0]}{BY_OUTCOME}" in names}
    if used:
        raise DataError(f"column {sorted(used)[0]!r} occurs more than once in the data frame; names must be unique.")
    columns = {str(c): data.iloc[:, i] for i, c in enumerate(data.columns)}
    columns |= {name: plain_numbers(columns[name]) for name in names & set(columns)}
    functions = {**FUNCTIONS, "embed": EmbedTerm(), "C": categorical({}, {})}
    functions |= {name: without_panel(name) for name in HISTORY_TERMS}
    known = tuple(c for c in columns if c != parsed.outcome)
    refused = {}
    if RESUME not in columns:
        reason = (
            "resume is the text of a career, so it needs a CareerPanel; of a data frame embed() takes a text column."
        )
        refused[RESUME] = FormulaError(reason)
    return Source(columns, functions, known, (parsed.outcome,), refused, {}, np.ones(len(data), dtype=bool))


def _of_panel(panel: CareerPanel, parsed: Parsed) -> Source:
    roles = panel.roles
    if parsed.outcome != str(roles.occupation):
        raise FormulaError(
            f"formula {parsed.text!r} has the outcome {parsed.outcome!r}; the outcome of this panel is its "
            f"occupation column {roles.occupation!r}."
        )
    frame = panel.to_frame(history=True).reset_index(drop=True)
    outcome = pd.Categorical.from_codes(
        panel.choices.positions(frame[roles.occupation]), categories=panel.choices.index
    )
    frame[roles.occupation] = pd.Series(outcome, name=roles.occupation)
    columns = {str(c): frame[c] for c in frame.columns}
    times = frame[roles.time].to_numpy(dtype=np.float64)
    history = History(panel.record_numbers, times, frozenset(roles.hidden), panel.levels, columns)
    terms = {
        "lag": history.lag,
        "gap": history.gap,
        "record": history.position,
        "changed": history.changed,
        "years_in": history.years_in,
        "bag": history.bag,
    }
    functions = {**FUNCTIONS, **terms, "embed": EmbedTerm(), "C": categorical(columns, panel.levels)}
    return Source(columns, functions, roles.known, roles.hidden, _refused(panel), panel.levels, panel.is_target, panel)


def _refused(panel: CareerPanel) -> dict[str, FormulaError]:
    """Columns that no term may use, with what is raised."""
    roles = panel.roles
    person, outcome, title = str(roles.person), str(roles.occupation), panel.title_column
    refused = {person: FormulaError(f"{person!r} identifies persons and cannot be a regressor.")}
    if roles.weights is not None:
        name = str(roles.weights)
        reason = f"{name!r} holds the survey weights; declare a copy of it to use it as a regressor."
        refused[name] = FormulaError(reason)
    if title is not None and title not in map(str, roles.hidden):
        reason = f"{title!r} is the title of the outcome {outcome!r} and known only afterwards; write lag({outcome})."
        refused[title] = LeakageError(reason)
    return refused


def evaluate(factor: Factor, source: Source, state: MutableMapping[str, Any], context: Mapping[str, Any]) -> Value:
    """Evaluate a factor on all records.

    Parameters
    ----------
    factor : Factor
        A column or an expression.
    source : Source
        The data.
    state : mapping
        What stateful transforms remember; filled at estimation.
    context : mapping
        Further names that the expression may use.

    Returns
    -------
    FactorValue or NumericValue

    Raises
    ------
    FormulaError
        If the expression fails, or gives neither numbers nor categories.

    Examples
    --------
    >>> from econllm.formula.parse import parse
    >>> source = Source.read(pd.DataFrame({"y": [1, 2], "x": [3, 4]}), parse("y ~ x"))
    >>> evaluate(Factor("I(x + 1)", False), source, {}, {}).matrix.ravel().tolist()
    [4.0, 5.0]
    """
    if factor.is_column:
        series = source.columns[factor.text]
        if is_factor(series):
            refuse_dates(series, factor.text)
            return as_factor(series, source.levels.get(factor.text))
        return as_value(series, factor.text, len(series))
    names = names_in(factor)
    env: dict[str, Any] = {**source.functions, **context}
    # A column may be called as a function is: what the formula calls is the function.
    functions = functions_in(factor)
    env.update({name: source.columns[name] for name in (names - functions) & set(source.columns)})
    if RESUME in names and source.panel is not None:
        env[RESUME] = source.panel.resumes()
    tree = tree_of(factor)
    for name, plain in identifiers(names, env).items():
        env[plain] = env.pop(name, None)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = plain
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is counted and refused below
            result = stateful_eval(ast.unparse(tree), env, {}, state, None)
    except (EconLLMError, MemoryError):
        raise
    except FormulaicError as error:
        raise FormulaError(f"{factor.text}: {error}") from error
    except Exception as error:  # a user's expression can fail in any way
        if isinstance(error, TypeError) and ("NumericValue" in str(error) or "FactorValue" in str(error)):
            raise FormulaError(
                f"{factor.text}: a term of several columns or of categories cannot be transformed; transform inside "
                "it, as in lag(np.log(wage)) or lag(job == 'cook')."
            ) from error
        raise FormulaError(f"{factor.text} cannot be evaluated: {type(error).__name__}: {error}") from error
    return as_value(result, factor.text, len(source.target))


def identifiers(names: Iterable[str], taken: Container[str] = ()) -> dict[str, str]:
    """Names that Python can read, for those that it cannot.

    formulaic would give a name that occurs twice in an expression a random one, under which no state is found again.

    Examples
    --------
    >>> identifiers(["x", "hourly wage", "2nd job"])
    {'2nd job': '_2nd_job', 'hourly wage': 'hourly_wage'}
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        if not name.isidentifier():
            plain = re.sub(r"^(?=\d)", "_", re.sub(r"\W", "_", name))
            while plain in taken or plain in found.values() or plain in names:
                plain += "_"
            found[name] = plain
    return found


def rows_of(value: Value, target: np.ndarray) -> Value:
    """Keep the rows that are predicted; embeddings of résumés are made for these alone."""
    if len(value) == len(target):
        return value if target.all() else value.take(np.flatnonzero(target))
    if len(value) != int(target.sum()):
        raise FormulaError(f"a term has {len(value)} rows where the data have {len(target)}.")
    return value


def treats_missing(factor: Factor) -> bool:
    """Whether an expression says itself what becomes of missing values.

    Examples
    --------
    >>> treats_missing(Factor("x.fillna(0)", False))
    True
    """
    identifiers = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree_of(factor))}
    return bool(identifiers & TREATING_MISSING)


def missing_inside(factor: Factor, source: Source) -> np.ndarray:
    """Rows without a value in a column that an expression reads: a comparison would take them for False."""
    missing = np.zeros(len(source.target), dtype=bool)
    if not factor.is_column and not treats_missing(factor):
        for name in values_outside(factor, (*HISTORY_TERMS, "embed")) & set(source.columns):
            missing |= source.columns[name].isna().to_numpy()
    inside: np.ndarray = missing[source.target]
    return inside
