"""From a formula and data to a design: named blocks of columns, one per term."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from formulaic.utils.stateful_transforms import stateful_eval
from scipy import sparse

from econllm.errors import DataError, EconLLMError, FormulaError, LeakageError, listing
from econllm.formula.checks import check_factor, check_order
from econllm.formula.embedding import EmbedTerm
from econllm.formula.encode import Block, Span, align, codings, encode, join, missing_rows, observed, product, recode
from econllm.formula.history import HISTORY_TERMS, History, without_panel
from econllm.formula.parse import RESUME, Factor, Parsed, functions_in, names_in, parse, tree_of, values_outside
from econllm.formula.transforms import FUNCTIONS, categorical
from econllm.formula.values import FactorValue, NumericValue, Value, as_factor, as_value, is_factor, refuse_dates
from econllm.options import Missing
from econllm.panel import CareerPanel
from econllm.records import plain_numbers

# Functions and methods by which an expression itself says what becomes of missing values.
_TREATING_MISSING = frozenset(["fillna", "isna", "isnull", "notna", "notnull", "isnan", "nan_to_num", "where", "ffill"])


@dataclass(frozen=True)
class Design:
    """The right-hand side of a formula, evaluated.

    Attributes
    ----------
    blocks : tuple of Block
        One per term, in the formula's order.
    intercept : bool
        Whether a constant belongs to the design; it is not among the blocks.
    kept : numpy.ndarray of bool
        Which rows of the data remain after rows with missing values were dropped.
    truncated : float or None
        Largest share of truncated texts among the embeddings; None without embeddings.

    Examples
    --------
    >>> spec, design = DesignSpec.fit("y ~ x", pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2.0]}))
    >>> design.columns, design.blocks[0].matrix.tolist()
    (('x',), [[1.0], [2.0]])
    """

    blocks: tuple[Block, ...]
    intercept: bool
    kept: np.ndarray
    truncated: float | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(name for block in self.blocks for name in block.columns)

    def __len__(self) -> int:
        return int(self.kept.sum())


@dataclass(frozen=True)
class _Source:
    """Data as the evaluation sees them: columns of all records, and which records become rows."""

    columns: Mapping[str, pd.Series]
    functions: Mapping[str, Any]
    known: tuple[Hashable, ...]
    hidden: tuple[Hashable, ...]
    refused: dict[str, FormulaError]
    levels: Mapping[Hashable, pd.Index]
    target: np.ndarray
    panel: CareerPanel | None = None


@dataclass(frozen=True)
class DesignSpec:
    """A formula after estimation: what is needed to build the same columns from new data.

    Attributes
    ----------
    parsed : Parsed
        The formula.
    full : bool
        Every factor keeps all its levels (penalised models); otherwise treatment coding.
    levels : dict
        Levels of every factor, by its text.
    suffixes : dict
        Names of the columns of every numeric factor, by its text.
    state : dict
        What stateful transforms remember, by the text of their call.
    context : mapping
        Objects of the user's that the formula may name.
    missing : {"raise", "drop"}
        What happens to rows with missing values.
    template : str or None
        Digest of the résumé template, where the formula reads résumés.

    Notes
    -----
    The design is a list of blocks and never one dense matrix: factors are sparse, numbers and embeddings dense.

    Examples
    --------
    >>> df = pd.DataFrame({"y": ["a", "b"], "g": ["u", "v"]})
    >>> spec, _ = DesignSpec.fit("y ~ g", df)
    >>> spec.build(df.iloc[[1]]).blocks[0].matrix.toarray().tolist()
    [[0.0, 1.0]]
    """

    parsed: Parsed
    full: bool
    levels: dict[str, pd.Index]
    suffixes: dict[str, tuple[str, ...]]
    state: dict[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)
    missing: Missing = "raise"
    template: str | None = None

    @classmethod
    def fit(
        cls,
        formula: str,
        data: CareerPanel | pd.DataFrame,
        *,
        full: bool = True,
        missing: Missing = "raise",
        context: Mapping[str, Any] | None = None,
    ) -> tuple[DesignSpec, Design]:
        """Evaluate a formula for estimation.

        Parameters
        ----------
        formula : str
            ``"outcome ~ terms"``.
        data : CareerPanel or DataFrame
            The rows.
        full : bool
            All levels of every factor, or treatment coding.
        missing : {"raise", "drop"}
            Rows with missing values are an error or left out.
        context : mapping, optional
            Further names that the formula may use.

        Returns
        -------
        DesignSpec, Design

        Raises
        ------
        FormulaError, LeakageError, MissingColumnError, DataError
            See :func:`econllm.formula.checks.check_factor`; and for values that are missing or not finite.
        """
        parsed = parse(formula)
        spec = cls(parsed, full, {}, {}, {}, dict(context or {}), missing)
        source = _source(data, parsed, spec.context)
        uses_resume = any(RESUME in names_in(f) for term in parsed.terms for f in term.factors)
        if uses_resume and source.panel is not None:
            spec = replace(spec, template=source.panel.template.digest())
        return spec, spec._build(source, fitting=True)

    def build(self, data: CareerPanel | pd.DataFrame) -> Design:
        """Evaluate the formula on new data with the levels and states of the estimation.

        Raises
        ------
        UnseenLevelError
            For a level of a factor that was not there at estimation.
        DataError
            For missing values, and where résumés are worded by another template than at estimation.
        """
        source = _source(data, self.parsed, self.context)
        if self.template and source.panel is not None and source.panel.template.digest() != self.template:
            raise DataError(
                "the panel words its résumés by another template than the one of the estimation; pass the same "
                "template= to CareerPanel."
            )
        return self._build(source, fitting=False)

    def _build(self, source: _Source, *, fitting: bool) -> Design:
        values: dict[str, Value] = {}
        factors = dict.fromkeys(factor for term in self.parsed.terms for factor in term.factors)
        functions = {**source.functions, **self.context}
        for factor in factors:
            check_factor(factor, source.known, source.hidden, source.refused, functions)
            if source.panel is not None:
                check_order(factor)
        for factor in factors:
            value = _rows_of(_evaluate(factor, source, self), source.target)
            if isinstance(value, FactorValue):
                if fitting:
                    # Without a penalty a level that never occurs has no estimate: prediction refuses it.
                    value = value if self.full else observed(value)
                    self.levels[factor.text] = value.levels
                elif factor.text in self.levels:
                    value = recode(value, self.levels[factor.text], factor.text)
                else:
                    raise DataError(
                        f"{factor.text} held numbers at estimation and holds categories now; convert it back."
                    )
            elif fitting:
                self.suffixes[factor.text] = value.suffixes
            elif factor.text in self.levels:
                raise DataError(f"{factor.text} held categories at estimation and holds numbers now; convert it back.")
            else:
                value = align(value, self.suffixes[factor.text], factor.text)
            values[factor.text] = value
        incomplete = {text: missing_rows(value) for text, value in values.items()}
        for factor in factors:
            incomplete[factor.text] = incomplete[factor.text] | _missing_inside(factor, source)
        kept = _complete_rows(incomplete, self.missing, int(source.target.sum()))
        if not kept.all():
            values = {text: value.take(np.flatnonzero(kept)) for text, value in values.items()}
        _check_finite(values)
        shares = [v.truncated for v in values.values() if isinstance(v, NumericValue) and v.truncated is not None]
        return Design(self._encode(values), self.parsed.intercept, kept, max(shares) if shares else None)

    def _encode(self, values: dict[str, Value]) -> tuple[Block, ...]:
        spanned: set[Span] = {(frozenset(), frozenset())} if self.parsed.intercept else set()
        blocks = []
        for term in self.parsed.terms:
            texts = [factor.text for factor in term.factors]
            factors = tuple(text for text in texts if isinstance(values[text], FactorValue))
            numbers = frozenset(texts).difference(factors)
            parts = [dict.fromkeys(factors, True)] if self.full else codings(factors, numbers, spanned)
            coded = [
                [encode(values[t], t, reduced=not part.get(t, True)) for t in texts if t in numbers or t in part]
                for part in parts
            ]
            blocks.append(join([product(part, term.text) for part in coded]))
        return tuple(blocks)

    def to_state(self) -> dict[str, Any]:
        """Return the plain content, to be saved.

        Raises
        ------
        FormulaError
            If the formula uses objects of the caller, which cannot be saved; they are named.
        """
        used = set().union(*(names_in(f) for term in self.parsed.terms for f in term.factors)) & set(self.context)
        if used:
            raise FormulaError(
                f"a result whose formula uses the caller's {listing(sorted(used))} cannot be saved: only "
                "columns, registered transforms and embed() are."
            )
        return {
            "formula": self.parsed.text,
            "full": self.full,
            "missing": self.missing,
            "template": self.template,
            "levels": {text: list(levels) for text, levels in self.levels.items()},
            "suffixes": {text: list(names) for text, names in self.suffixes.items()},
            "state": self.state,
        }

    @classmethod
    def from_state(cls, content: dict[str, Any]) -> DesignSpec:
        """Rebuild what :meth:`to_state` gave."""
        levels = {text: pd.Index(values) for text, values in content["levels"].items()}
        suffixes = {text: tuple(names) for text, names in content["suffixes"].items()}
        parsed, options = parse(content["formula"]), (content["missing"], content["template"])
        return cls(parsed, content["full"], levels, suffixes, content["state"], {}, *options)


def _source(data: CareerPanel | pd.DataFrame, parsed: Parsed, context: Mapping[str, Any]) -> _Source:
    if isinstance(data, CareerPanel):
        return _panel_source(data, parsed)
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"data is a {type(data).__name__}; give a CareerPanel or a pandas DataFrame.")
    twice = {str(c) for c in data.columns[data.columns.duplicated()]}
    names = frozenset().union(*(names_in(f) for term in parsed.terms for f in term.factors))
    if names & twice:
        raise DataError(
            f"column {sorted(names & twice)[0]!r} occurs more than once in the data frame; names must be unique."
        )
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
    return _Source(columns, functions, known, (parsed.outcome,), refused, {}, np.ones(len(data), dtype=bool))


def _panel_source(panel: CareerPanel, parsed: Parsed) -> _Source:
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
    return _Source(columns, functions, roles.known, roles.hidden, _refused(panel), panel.levels, panel.is_target, panel)


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


def _evaluate(factor: Factor, source: _Source, spec: DesignSpec) -> Value:
    if factor.is_column:
        series = source.columns[factor.text]
        if is_factor(series):
            refuse_dates(series, factor.text)
            return as_factor(series, source.levels.get(factor.text))
        return as_value(series, factor.text, len(series))
    names = names_in(factor)
    env: dict[str, Any] = {**source.functions, **spec.context}
    # A column may be called as a function is: what the formula calls is the function.
    functions = functions_in(factor)
    env.update({name: source.columns[name] for name in (names - functions) & set(source.columns)})
    if RESUME in names and source.panel is not None:
        env[RESUME] = source.panel.resumes()
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is counted and refused below
            result = stateful_eval(factor.text, env, {}, spec.state, None)
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


def _rows_of(value: Value, target: np.ndarray) -> Value:
    """Keep the rows that are predicted; embeddings of résumés are made for these alone."""
    if len(value) == len(target):
        return value if target.all() else value.take(np.flatnonzero(target))
    if len(value) != int(target.sum()):
        raise FormulaError(f"a term has {len(value)} rows where the data have {len(target)}.")
    return value


def _missing_inside(factor: Factor, source: _Source) -> np.ndarray:
    """Rows without a value in a column that an expression reads: a comparison would take them for False."""
    missing = np.zeros(len(source.target), dtype=bool)
    identifiers = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree_of(factor))}
    if not factor.is_column and not identifiers & _TREATING_MISSING:
        for name in values_outside(factor, (*HISTORY_TERMS, "embed")) & set(source.columns):
            missing |= source.columns[name].isna().to_numpy()
    inside: np.ndarray = missing[source.target]
    return inside


def _complete_rows(incomplete: dict[str, np.ndarray], missing: Missing, rows: int) -> np.ndarray:
    kept = np.ones(rows, dtype=bool)
    counts = {}
    for text, bad in incomplete.items():
        if bad.any():
            counts[text] = int(bad.sum())
            kept &= ~bad
    if counts and missing == "raise":
        parts = ", ".join(f"{text} in {count}" for text, count in counts.items())
        raise DataError(f"missing values: {parts} of {len(kept)} rows. Fill them, drop them, or set missing='drop'.")
    return kept


def _check_finite(values: dict[str, Value]) -> None:
    for text, value in values.items():
        if isinstance(value, NumericValue):
            data = value.matrix.data if sparse.issparse(value.matrix) else value.matrix
            wrong = ~np.isfinite(data)
            if wrong.any():
                raise DataError(f"{text} holds {int(wrong.sum())} values that are not finite.")
