"""The part of a formula right of the bar: columns that vary over outcomes and have one coefficient each."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.choices import MISSING_TEXT, ChoiceSet
from econllm.errors import DataError, FormulaError, UnseenLevelError, check_option, listing
from econllm.formula.by_outcome import (
    check_by_outcome,
    lookup_by_outcome,
    names_by_outcome,
    patterns,
    without_unavailable,
)
from econllm.formula.checks import check_factor, check_order
from econllm.formula.design import DesignSpec, check_finite, complete_rows
from econllm.formula.encode import Span, codings, encode
from econllm.formula.expressions import check_cellwise, evaluate_cells, missing_cells
from econllm.formula.lookup import Lookup
from econllm.formula.overrides import Overrides, Variable, of_levels, variables_of
from econllm.formula.parse import (
    ALTERNATIVE_TERMS,
    BY_OUTCOME,
    Factor,
    Parsed,
    Term,
    functions_in,
    names_in,
    parse,
    tree_of,
    values_in,
    varies,
)
from econllm.formula.products import differs, multiply, products, reference
from econllm.formula.source import Source, treats_missing
from econllm.formula.values import FactorValue, Value, as_numbers
from econllm.options import Missing
from econllm.panel import CareerPanel

if TYPE_CHECKING:
    from econllm.encoders import SentenceEncoder

# One column per level or dimension, each a number per row and outcome.
_TOO_WIDE = frozenset(["embed", "bag"])


@dataclass(frozen=True)
class Alternatives:
    """The part right of the bar, evaluated.

    Attributes
    ----------
    names : tuple of str
        Names of the columns, each with one coefficient.
    terms : tuple of str
        The term that every column belongs to.
    lookups : tuple of Lookup
        The columns: a number for every row that is predicted and every outcome of the choice set, finite also where the
        outcome is not available or the row has missing values.
    kept : numpy.ndarray of bool
        Rows without missing values.

    Examples
    --------
    >>> Alternatives(("stay()",), ("stay()",), (Lookup(np.array([0]), np.eye(1)),), np.array([True])).names
    ('stay()',)
    """

    names: tuple[str, ...]
    terms: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    kept: np.ndarray


@dataclass(frozen=True)
class AlternativesSpec:
    """The part right of the bar after estimation: what is needed to build the same columns from new data.

    Attributes
    ----------
    parsed : Parsed
        The formula.
    choices : ChoiceSet
        The outcomes, in the order of every table.
    rows : DesignSpec
        What multiplies the terms that vary: columns and factors of the row.
    names : list of str
        Names of the columns.
    tables : dict
        Similarities of titles by the text of their call, with the sha256 of the encoder's weights.
    kinds : dict
        "numeric", "boolean" or "text" for every column of the row inside the terms that vary.
    context : mapping
        Objects of the user's that the formula may name.
    missing : {"raise", "drop"}
        What happens to rows with missing values.

    Notes
    -----
    McFadden's conditional logit: the utility of outcome j in row i has a part sum_m g_m c_ijm with one coefficient g_m
    per column for all outcomes (D. McFadden, 1974). Factors of the row lose a reference level where an earlier
    term spans it, also in penalised models, because common coefficients are free.

    Examples
    --------
    >>> df = pd.DataFrame({"y": ["a", "b"], "cost[a]": [1.0, 2.0], "cost[b]": [3.0, 1.0]})
    >>> spec, found = AlternativesSpec.fit(parse("y ~ 1 | cost[alt]"), df, ChoiceSet(["a", "b"]))
    >>> found.names, found.lookups[0].values().tolist()
    (('cost[alt]',), [[1.0, 3.0], [2.0, 1.0]])
    """

    parsed: Parsed
    choices: ChoiceSet
    rows: DesignSpec
    names: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    missing: Missing = "raise"

    @classmethod
    def fit(
        cls,
        parsed: Parsed,
        data: CareerPanel | pd.DataFrame,
        choices: ChoiceSet,
        *,
        available: Lookup | None = None,
        missing: Missing = "raise",
        context: Mapping[str, Any] | None = None,
    ) -> tuple[AlternativesSpec, Alternatives]:
        """Evaluate the part right of the bar for estimation.

        Parameters
        ----------
        parsed : Parsed
            The formula.
        data : CareerPanel or DataFrame
            The rows.
        choices : ChoiceSet
            All outcomes.
        available : Lookup, optional
            Choice sets, as :func:`econllm.formula.by_outcome.read_choice_sets` gives them.
        missing : {"raise", "drop"}
            Rows with missing values are an error or left out.
        context : mapping, optional
            Further names that the formula may use.

        Returns
        -------
        AlternativesSpec, Alternatives

        Raises
        ------
        FormulaError, LeakageError, MissingColumnError, DataError
            As for the part left of the bar; also for a term that never varies over outcomes, and for an expression that
            is not evaluated row by row and outcome by outcome.
        """
        factors = dict.fromkeys(f for term in parsed.alternatives for f in term.factors if not varies(f))
        alone = replace(parsed, terms=tuple(Term((f,)) for f in factors), alternatives=(), intercept=False)
        rows = DesignSpec(alone, False, {}, {}, {}, dict(context or {}), missing)
        spec = cls(parsed, choices, rows, [], {}, {}, dict(context or {}), missing)
        return spec, spec._build(Source.read(data, parsed), Overrides({}, {}), available, fitting=True)

    def build(
        self,
        data: CareerPanel | pd.DataFrame,
        overrides: Mapping[str, Any] | None = None,
        *,
        available: Lookup | None = None,
    ) -> Alternatives:
        """Evaluate the same columns on new data.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows.
        overrides : mapping, optional
            Variables to set to other values, see :meth:`DesignSpec.build`. Columns by outcome are set one by one
            (``"price[bus]"``); ``"lag(occupation)"`` is the occupation that stay() and similarity() look at.
        available : Lookup, optional
            Choice sets.

        Returns
        -------
        Alternatives
        """
        source = Source.read(data, self.parsed)
        return self._build(source, Overrides.read(overrides, self.parsed, data), available, fitting=False)

    def variables(self) -> tuple[Variable, ...]:
        """What :meth:`build` can set.

        Returns
        -------
        tuple of Variable
            Columns of the row, columns by outcome one by one, and the last occupation where a term looks at it.
        """
        found = {v.name: v for v in variables_of(self._of_rows, self.rows.levels, self.rows.kinds)}
        for name, kind in self.kinds.items():
            if kind == "numeric":
                found.setdefault(name, Variable(name, "numeric"))
            elif kind == "boolean":
                found.setdefault(name, Variable(name, "factor", (False, True)))
        for name in self._columns_by_outcome:
            found |= {column: Variable(column, "numeric") for column in names_by_outcome(name, self.choices)}
        if self._looks_back:
            name = f"lag({self.parsed.outcome})"
            found[name] = Variable(name, "factor", (MISSING_TEXT, *self.choices.codes))
        return tuple(found.values())

    @property
    def _varying(self) -> list[Factor]:
        return list(dict.fromkeys(f for term in self.parsed.alternatives for f in term.factors if varies(f)))

    @property
    def _of_rows(self) -> list[Factor]:
        return [term.factors[0] for term in self.rows.parsed.terms]

    @property
    def _columns_by_outcome(self) -> list[str]:
        names = dict.fromkeys(name for f in self._varying for name in sorted(values_in(f)) if name.endswith(BY_OUTCOME))
        return [name.removesuffix(BY_OUTCOME) for name in names]

    @property
    def _looks_back(self) -> bool:
        return any(functions_in(f) & set(ALTERNATIVE_TERMS) for f in self._varying)

    def _build(self, source: Source, overrides: Overrides, available: Lookup | None, *, fitting: bool) -> Alternatives:
        self._check(source)
        values, kept = self.rows.evaluate(source, fitting=fitting, overrides=overrides)
        as_set = overrides.apply(source)
        last = self._last(source, overrides) if self._looks_back else None
        inputs = self._inputs(as_set, fitting=fitting)
        varying: dict[str, Lookup] = {}
        incomplete: dict[str, np.ndarray] = {}
        for factor in self._varying:
            lookup = self._lookup(factor, as_set, inputs, last, fitting=fitting)
            lookup = without_unavailable(lookup, available)
            infinite = np.isinf(lookup.table).any(axis=1)[lookup.codes]
            if infinite.any():
                raise DataError(f"{factor.text} is not finite in {int(infinite.sum())} of {len(lookup)} rows.")
            incomplete[factor.text] = np.isnan(lookup.table).any(axis=1)[lookup.codes]
            varying[factor.text] = Lookup(lookup.codes, np.nan_to_num(lookup.table))
        kept = kept & complete_rows(incomplete, self.missing, source.rows)
        filled = {text: _filled(value) for text, value in values.items()}
        check_finite(filled)
        found = self._columns(varying, filled, available, fitting=fitting)
        names, terms, lookups = zip(*found, strict=True)
        return Alternatives(names, terms, lookups, kept)

    def _columns(
        self, varying: dict[str, Lookup], values: dict[str, Value], available: Lookup | None, *, fitting: bool
    ) -> list[tuple[str, str, Lookup]]:
        """Name, term and numbers of every column; those that never vary over outcomes at estimation are left out."""
        spanned: set[Span] = set()
        found: list[tuple[str, str, Lookup]] = []
        for term in self.parsed.alternatives:
            texts = [factor.text for factor in term.factors]
            categories = tuple(t for t in texts if isinstance(values.get(t), FactorValue))
            before = len(found)
            for part in codings(categories, frozenset(texts).difference(categories), spanned):
                taking = [t for t in texts if t not in categories or t in part]
                blocks = {t: encode(values[t], t, reduced=False) for t in taking if t not in varying}
                base = multiply([varying[t] for t in taking if t in varying])
                left_out = {
                    t: reference(blocks[t], values[t], base, available) for t in part if fitting and not part[t]
                }
                for name, lookup in products(taking, blocks, base, left_out):
                    if differs(lookup, available) if fitting else name in self.names:
                        found.append((name, term.text, lookup))
            if fitting and len(found) == before:
                raise DataError(
                    f"{term.text} is the same for all outcomes in every row, so that it cancels out of the "
                    "probabilities; leave it out."
                )
        if fitting:
            self.names.extend(name for name, _, _ in found)
        return found

    def _check(self, source: Source) -> None:
        """Raise unless every name exists and is known before the outcome, and expressions go cell by cell."""
        for name in self._columns_by_outcome:
            what = f"formula term {name}{BY_OUTCOME}"
            check_by_outcome(name, source.known, source.hidden, self.choices, what, source.panel is not None)
        functions = {**source.functions, **self.context, **dict.fromkeys(ALTERNATIVE_TERMS)}
        known = (*source.known, *(f"{name}{BY_OUTCOME}" for name in self._columns_by_outcome))
        for factor in self._varying:
            check_cellwise(factor, self.context)
            check_factor(factor, known, source.hidden, source.refused, functions)
            looks = functions_in(factor) & set(ALTERNATIVE_TERMS)
            if looks and source.panel is None:
                raise FormulaError(
                    f"{factor.text} looks back in a career, so it needs to know persons and times: give a CareerPanel, "
                    "not a data frame."
                )
        for factor in self._of_rows:
            wide = functions_in(factor) & _TOO_WIDE
            if wide:
                raise FormulaError(
                    f"{factor.text} stands right of the bar, where {sorted(wide)[0]}() would need a number per row, "
                    "outcome and column; write it left of the bar."
                )
            if source.panel is not None:
                check_order(factor)

    def _last(self, source: Source, overrides: Overrides) -> np.ndarray:
        """Position of every row's last occupation in the choice set, the number of outcomes where there is none."""
        outcomes = len(self.choices)
        chosen = overrides.terms.get(f"lag({self.parsed.outcome})")
        if chosen is not None:
            levels = pd.Index([*self.choices.codes, MISSING_TEXT], dtype=object)
            last: np.ndarray = of_levels(f"lag({self.parsed.outcome})", chosen, levels).codes
            return last
        assert source.panel is not None
        own = source.columns[self.parsed.outcome].cat
        place = np.array([self.choices.codes.index(c) if c in self.choices else -1 for c in own.categories])
        position = place[own.codes.to_numpy()]
        last = np.where(source.panel.record_numbers > 1, np.roll(position, 1), outcomes)[source.target]
        if (last < 0).any():
            unseen = own.categories[np.unique(np.roll(own.codes.to_numpy(), 1)[source.target][last < 0])]
            raise UnseenLevelError(
                f"{int((last < 0).sum())} rows have a last occupation that is not in the model's choice set: "
                f"{listing(unseen)}."
            )
        return last.astype(np.int64)

    def _inputs(self, source: Source, *, fitting: bool) -> dict[str, Lookup]:
        """What the factors that vary over outcomes read: columns by outcome, and columns of the row."""
        inputs: dict[str, Lookup] = {}
        for name in sorted(set().union(*(values_in(factor) for factor in self._varying))):
            if name.endswith(BY_OUTCOME):
                plain = name.removesuffix(BY_OUTCOME)
                inputs[name] = lookup_by_outcome(plain, source.columns, self.choices, source.target)
            elif name in source.columns and name not in self.context:
                column = source.columns[name]
                numeric = pd.api.types.is_numeric_dtype(column)
                values = as_numbers(column) if numeric else column.astype(object).to_numpy()
                codes, distinct = pd.factorize(values[source.target], use_na_sentinel=False)
                inputs[name] = Lookup(codes, np.asarray(distinct)[:, None])
                if fitting:
                    boolean = pd.api.types.is_bool_dtype(column.dtype)
                    self.kinds[name] = "boolean" if boolean else "numeric" if numeric else "text"
        return inputs

    def _lookup(
        self, factor: Factor, source: Source, inputs: Mapping[str, Lookup], last: np.ndarray | None, *, fitting: bool
    ) -> Lookup:
        """Evaluate a factor that varies over outcomes once for every distinct pattern of what it reads."""
        reads = {name: inputs[name] for name in sorted(values_in(factor)) if name in inputs}
        tables = self._career_tables(factor, fitting=fitting)
        keys = [lookup.codes for lookup in reads.values()]
        if tables and last is not None:
            keys.append(last)
        codes, first = patterns(keys)
        numbers = {name: lookup.values(first) for name, lookup in reads.items()}
        if last is not None:
            tables = {text: table[last[first]] for text, table in tables.items()}
        shape = (len(first), len(self.choices))
        table = evaluate_cells(factor, numbers, tables, {**source.functions, **self.context}, shape)
        if not treats_missing(factor):
            table = np.where(missing_cells(numbers, shape), np.nan, table)
        return Lookup(codes, table)

    def _career_tables(self, factor: Factor, *, fitting: bool) -> dict[str, np.ndarray]:
        """Tables by last occupation (none last) and outcome, by the text of the call that stands for them."""
        size, tables = len(self.choices), {}
        for node in ast.walk(tree_of(factor)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            text = ast.unparse(node)
            if node.func.id == "stay":
                if node.args or node.keywords:
                    raise FormulaError(f"{text} has arguments; write stay().")
                tables[text] = np.vstack([np.eye(size), np.zeros((1, size))])
            elif node.func.id == "similarity":
                if fitting and text not in self.tables:
                    self.tables[text] = self._similarity(node, text)
                tables[text] = np.vstack([self.tables[text]["cosines"], np.zeros((1, size))])
        return tables

    def _similarity(self, call: ast.Call, text: str) -> dict[str, Any]:
        from econllm.encoders import resolve_encoder, similarity

        def arguments(
            what: str = "title", model: str | SentenceEncoder = "minilm"
        ) -> tuple[str, str | SentenceEncoder]:
            return what, model

        names = {"similarity": arguments, **self.context}
        try:
            code = compile(ast.fix_missing_locations(ast.Expression(call)), text, "eval")
            what, model = eval(code, {"__builtins__": {}}, names)
        except (TypeError, NameError) as error:
            raise FormulaError(f"{text} cannot be evaluated: {error}; write similarity('title').") from error
        check_option("similarity()", what, ["title"])
        encoder = resolve_encoder(model)
        titles = list(self.choices.titles)
        return {"cosines": similarity(titles, titles, encoder), "weights": encoder.weights_sha256}

    def to_state(self) -> dict[str, Any]:
        """Return the plain content, to be saved; similarities are kept, so that prediction needs no encoder.

        Raises
        ------
        FormulaError
            If the formula uses objects of the caller, which cannot be saved; they are named.
        """
        used = set().union(*(names_in(f) for f in self._varying)) & set(self.context)
        if used:
            raise FormulaError(
                f"a result whose formula uses the caller's {listing(sorted(used))} cannot be saved: only "
                "columns, registered transforms, stay() and similarity() with a model's name are."
            )
        return {"rows": self.rows.to_state(), "names": self.names, "tables": self.tables, "kinds": self.kinds}

    @classmethod
    def from_state(cls, content: dict[str, Any], choices: ChoiceSet) -> AlternativesSpec:
        """Rebuild what :meth:`to_state` gave, for the outcomes of the estimation."""
        parsed = parse(content["rows"]["formula"])
        factors = dict.fromkeys(f for term in parsed.alternatives for f in term.factors if not varies(f))
        alone = replace(parsed, terms=tuple(Term((f,)) for f in factors), alternatives=(), intercept=False)
        rows = replace(DesignSpec.from_state(content["rows"]), parsed=alone)
        plain = list(content["names"]), content["tables"], content["kinds"]
        return cls(parsed, choices, rows, *plain, {}, rows.missing)


def _filled(value: Value) -> Value:
    """Put something in the place of missing values, whose rows are not kept."""
    if isinstance(value, FactorValue):
        return replace(value, codes=np.maximum(value.codes, 0))
    if isinstance(value.matrix, np.ndarray):
        return replace(value, matrix=np.where(np.isnan(value.matrix), 0.0, value.matrix))
    return value
