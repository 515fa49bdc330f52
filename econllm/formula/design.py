"""From a formula and data to a design: named blocks of columns, one per term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from econllm.errors import DataError, FormulaError, listing
from econllm.formula.checks import check_factor, check_order
from econllm.formula.encode import Block, Span, align, codings, encode, join, missing_rows, observed, product, recode
from econllm.formula.overrides import KEPT, Overrides, Variable, variables_of
from econllm.formula.parse import RESUME, Factor, Parsed, names_in, parse, values_outside
from econllm.formula.source import Source, evaluate, missing_inside, rows_of
from econllm.formula.values import FactorValue, NumericValue, Value, is_factor
from econllm.options import Missing
from econllm.panel import CareerPanel


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
    kinds : dict
        "numeric", "boolean" or "text" for every column that is read at the record itself.

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
    kinds: dict[str, str] = field(default_factory=dict)

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
        source = Source.read(data, parsed)
        uses_resume = any(RESUME in names_in(f) for term in parsed.terms for f in term.factors)
        if uses_resume and source.panel is not None:
            spec = replace(spec, template=source.panel.template.digest())
        return spec, spec._design(*spec.evaluate(source, fitting=True))

    def build(self, data: CareerPanel | pd.DataFrame, overrides: Mapping[str, Any] | None = None) -> Design:
        """Evaluate the formula on new data with the levels and states of the estimation.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.
        overrides : mapping, optional
            Variables to set to other values: one number or level, or a Series, array or list with one per row. A column
            is set wherever the formula reads it at the record itself; lag(), changed(), years_in(), bag() and embed()
            still read it as it was. The text of a whole term, such as ``"lag(occupation)"``, sets that term.

        Returns
        -------
        Design

        Raises
        ------
        UnseenLevelError
            For a level of a factor that was not there at estimation.
        DataError
            For missing values, and where résumés are worded by another template than at estimation.
        OptionError
            If what is set is no variable of the formula.

        Examples
        --------
        >>> df = pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2.0]})
        >>> spec, _ = DesignSpec.fit("y ~ np.log(x)", df)
        >>> spec.build(df, {"x": 1}).blocks[0].matrix.tolist()
        [[0.0], [0.0]]
        """
        source = Source.read(data, self.parsed)
        if self.template and source.panel is not None and source.panel.template.digest() != self.template:
            raise DataError(
                "the panel words its résumés by another template than the one of the estimation; pass the same "
                "template= to CareerPanel."
            )
        return self._design(*self.evaluate(source, overrides=Overrides.read(overrides, self.parsed, data)))

    def variables(self) -> tuple[Variable, ...]:
        """What :meth:`build` can set: columns that enter at the record itself, and panel terms.

        Returns
        -------
        tuple of Variable
            Text inside embed() is left out, and so is bag().

        Examples
        --------
        >>> df = pd.DataFrame({"y": ["a", "b"], "sex": ["f", "m"], "x": [1.0, 2.0]})
        >>> [(v.name, v.kind, v.levels) for v in DesignSpec.fit("y ~ sex + I(x ** 2)", df)[0].variables()]
        [('sex', 'factor', ('f', 'm')), ('x', 'numeric', ())]
        """
        factors = dict.fromkeys(factor for term in self.parsed.terms for factor in term.factors)
        return variables_of(factors, self.levels, self.kinds)

    def evaluate(
        self, source: Source, *, fitting: bool = False, overrides: Overrides | None = None
    ) -> tuple[dict[str, Value], np.ndarray]:
        """Values of every factor of the formula.

        Parameters
        ----------
        source : Source
            The data.
        fitting : bool
            Whether levels, names of columns and states of transforms are to be remembered from these data.
        overrides : Overrides, optional
            Variables that are set to other values.

        Returns
        -------
        values : dict of str to FactorValue or NumericValue
            By the factor's text, for every row that is predicted.
        kept : numpy.ndarray of bool
            Rows without missing values.
        """
        values: dict[str, Value] = {}
        factors = dict.fromkeys(factor for term in self.parsed.terms for factor in term.factors)
        functions = {**source.functions, **self.context}
        for factor in factors:
            check_factor(factor, source.known, source.hidden, source.refused, functions)
            if source.panel is not None:
                check_order(factor)
        if fitting:
            self._remember_columns(tuple(factors), source)
        overrides = overrides or Overrides({}, {})
        as_set = overrides.apply(source)
        incomplete = {}
        for factor in factors:
            value = overrides.value(factor, self.levels, self.suffixes)
            chosen = value is not None
            if value is None:
                changed, data, state = overrides.rewrite(factor, as_set, source, self.state)
                value = rows_of(evaluate(changed, data, state, self.context), source.target)
            value = self._align(value, factor.text, fitting=fitting)
            values[factor.text] = value
            incomplete[factor.text] = missing_rows(value)
            if not chosen:
                incomplete[factor.text] = incomplete[factor.text] | missing_inside(factor, as_set)
        return values, complete_rows(incomplete, self.missing, source.rows)

    def _remember_columns(self, factors: tuple[Factor, ...], source: Source) -> None:
        for name in sorted(set().union(*(values_outside(f, KEPT) for f in factors)) & set(source.columns)):
            column = source.columns[name]
            boolean = pd.api.types.is_bool_dtype(column.dtype)
            self.kinds[name] = "boolean" if boolean else "text" if is_factor(column) else "numeric"

    def _align(self, value: Value, text: str, *, fitting: bool) -> Value:
        """Express a value in the levels and columns of the estimation, which are remembered when fitting."""
        if isinstance(value, FactorValue):
            if fitting:
                # Without a penalty a level that never occurs has no estimate: prediction refuses it.
                value = value if self.full else observed(value)
                self.levels[text] = value.levels
                return value
            if text not in self.levels:
                raise DataError(f"{text} held numbers at estimation and holds categories now; convert it back.")
            return recode(value, self.levels[text], text)
        if fitting:
            self.suffixes[text] = value.suffixes
            return value
        if text in self.levels:
            raise DataError(f"{text} held categories at estimation and holds numbers now; convert it back.")
        return align(value, self.suffixes[text], text)

    def _design(self, values: dict[str, Value], kept: np.ndarray) -> Design:
        if not kept.all():
            values = {text: value.take(np.flatnonzero(kept)) for text, value in values.items()}
        check_finite(values)
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
            "kinds": self.kinds,
        }

    @classmethod
    def from_state(cls, content: dict[str, Any]) -> DesignSpec:
        """Rebuild what :meth:`to_state` gave."""
        levels = {text: pd.Index(values) for text, values in content["levels"].items()}
        suffixes = {text: tuple(names) for text, names in content["suffixes"].items()}
        parsed, options = parse(content["formula"]), (content["missing"], content["template"])
        return cls(parsed, content["full"], levels, suffixes, content["state"], {}, *options, content["kinds"])


def complete_rows(incomplete: Mapping[str, np.ndarray], missing: Missing, rows: int) -> np.ndarray:
    """Rows without missing values, or an error that counts them by term.

    Examples
    --------
    >>> complete_rows({"x": np.array([True, False])}, "drop", 2).tolist()
    [False, True]
    """
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


def check_finite(values: Mapping[str, Value]) -> None:
    """Raise if a number is not finite."""
    for text, value in values.items():
        if isinstance(value, NumericValue):
            data = value.matrix.data if sparse.issparse(value.matrix) else value.matrix
            wrong = ~np.isfinite(data)
            if wrong.any():
                raise DataError(f"{text} holds {int(wrong.sum())} values that are not finite.")
