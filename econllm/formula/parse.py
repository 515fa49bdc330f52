"""Reading a formula: its outcome, its terms, and whether they may know what they use."""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from formulaic import Formula
from formulaic.errors import FormulaicError

from econllm.errors import FormulaError, LeakageError, MissingColumnError, did_you_mean, listing
from econllm.formula.history import HISTORY_TERMS

RESUME = "resume"

# Methods and functions of pandas and numpy that move values between rows.
_CROSSING = """shift diff roll rolling expanding ewm cumsum cumprod cummax cummin ffill bfill pct_change interpolate
ediff1d gradient"""
CROSSING = frozenset(_CROSSING.split())


@dataclass(frozen=True)
class Factor:
    """One factor of a term: its text, and whether it is a bare column or an expression."""

    text: str
    is_column: bool


@dataclass(frozen=True)
class Term:
    """One term of a formula: a product of factors."""

    factors: tuple[Factor, ...]

    @property
    def text(self) -> str:
        """The term as it is printed."""
        return ":".join(factor.text for factor in self.factors)


@dataclass(frozen=True)
class Parsed:
    """A formula taken apart.

    Attributes
    ----------
    text : str
        The formula as given.
    outcome : str
        The column on the left.
    terms : tuple of Term
        The terms on the right, the intercept excepted.
    intercept : bool
        Whether there is one.
    """

    text: str
    outcome: str
    terms: tuple[Term, ...]
    intercept: bool


def parse(text: str) -> Parsed:
    """Take a formula apart.

    Parameters
    ----------
    text : str
        In formulaic's grammar, which reads like R's: ``"occupation ~ lag(occupation) + educ * married"``. ``-1`` or
        ``0`` leaves the intercept out.

    Returns
    -------
    Parsed

    Raises
    ------
    FormulaError
        If it is no text, does not parse, has no single outcome, or has several parts.

    Examples
    --------
    >>> [term.text for term in parse("y ~ a * b").terms]
    ['a', 'b', 'a:b']
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'occupation ~ educ'; found a {type(text).__name__}.")
    if text.count("~") != 1:
        raise FormulaError(f"formula {text!r} needs one '~', as in 'occupation ~ educ'.")
    try:
        formula = Formula(text)
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(f"formula {text!r} does not parse: {str(error).splitlines()[0]}") from error
    sides: tuple[Any, Any] = getattr(formula, "lhs", None), getattr(formula, "rhs", None)
    if any(side is None or not hasattr(side, "__iter__") or isinstance(side, tuple) for side in sides):
        raise FormulaError(
            f"formula {text!r} must have one outcome and one part on the right, as in 'occupation ~ educ'."
        )
    left = [_term(term) for term in sides[0]]
    if len(left) != 1 or len(left[0].factors) != 1 or not left[0].factors[0].is_column:
        raise FormulaError(f"the left-hand side of {text!r} must be one column, untransformed.")
    right = [_term(term) for term in sides[1]]
    terms = tuple(term for term in right if term.text != "1")
    return Parsed(text, left[0].text, terms, any(term.text == "1" for term in right))


def _term(term: object) -> Term:
    parts = [Factor(f.expr, f.eval_method.value == "lookup") for f in term.factors]  # type: ignore[attr-defined]
    return Term(tuple(parts))


def tree_of(factor: Factor) -> ast.AST:
    """Parse an expression; names in backquotes may hold blanks.

    Raises
    ------
    FormulaError
        If it is no valid expression.

    Examples
    --------
    >>> ast.unparse(tree_of(Factor("log(`hourly wage`)", False)))
    'log(hourly wage)'
    """
    if factor.is_column:
        return ast.Name(factor.text)
    quoted: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        return quoted.setdefault(f"_quoted_{len(quoted)}", match[1]) and f"_quoted_{len(quoted) - 1}"

    try:
        tree = ast.parse(re.sub("`([^`]+)`", alias, factor.text), mode="eval")
    except SyntaxError as error:
        raise FormulaError(f"the term {factor.text!r} is not valid: {error.msg}.") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = quoted.get(node.id, node.id)
    return tree


def names_in(factor: Factor) -> frozenset[str]:
    """Names that a factor refers to, functions included.

    Examples
    --------
    >>> sorted(names_in(Factor("np.log(x)", False)))
    ['np', 'x']
    """
    return frozenset(node.id for node in ast.walk(tree_of(factor)) if isinstance(node, ast.Name))


def calls_in(factor: Factor) -> frozenset[str]:
    """Names that a factor calls, methods included.

    Examples
    --------
    >>> sorted(calls_in(Factor("scale(x.diff())", False)))
    ['diff', 'scale']
    """
    called = [node.func for node in ast.walk(tree_of(factor)) if isinstance(node, ast.Call)]
    names = [f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) else "" for f in called]
    return frozenset(names)


def check_factor(
    factor: Factor,
    known: Iterable[Hashable],
    hidden: Iterable[Hashable],
    refused: dict[str, FormulaError],
    functions: Iterable[str],
) -> None:
    """Raise if a factor uses a column that does not exist or is not known before the outcome.

    Parameters
    ----------
    factor : Factor
        What to check.
    known, hidden : iterable of hashable
        Columns that may be used as they stand, and those that may be used only from earlier records (the outcome
        first).
    refused : dict of str to FormulaError
        Columns that are there but cannot be used, with what is raised.
    functions : iterable of str
        Names that are functions, not columns.

    Raises
    ------
    LeakageError
        If the outcome or a lagged column stands outside lag(), changed(), years_in() or bag().
    MissingColumnError
        For an unknown name.
    FormulaError
        If the résumé is used outside embed().

    Examples
    --------
    >>> check_factor(Factor("union", True), ["educ"], ["occupation", "union"], {}, [])
    Traceback (most recent call last):
    econllm.errors.LeakageError: formula uses 'union' as it stands, ...
    """
    known, hidden, functions = {str(c) for c in known}, [str(c) for c in hidden], set(functions)
    for name in sorted(_names_outside_history(tree_of(factor)) & set(hidden)):
        if name == hidden[0]:
            raise LeakageError(f"formula uses the outcome {name!r} on its right-hand side; write lag({name}).")
        raise LeakageError(
            f"formula uses {name!r} as it stands, but it describes the job that is to be predicted and is known only "
            f"afterwards; write lag({name})."
        )
    for name in sorted(names_in(factor)):
        if name in refused:
            raise refused[name]
        if name not in known and name not in hidden and name not in functions and name != RESUME:
            names = [*known, *hidden]
            raise MissingColumnError(
                f"formula uses {name!r}, which is no column here.{did_you_mean(name, [*names, *functions])} "
                f"Columns: {listing(sorted(names), 12)}."
            )
    if factor.is_column and factor.text == RESUME and RESUME not in known:
        raise FormulaError("resume is text; write embed(resume).")


def check_order(factor: Factor) -> None:
    """Raise if an expression shifts or accumulates rows, which in a panel would cross persons and read the future.

    Examples
    --------
    >>> check_order(Factor("educ.shift(1)", False))
    Traceback (most recent call last):
    econllm.errors.FormulaError: educ.shift(1) calls shift(), which crosses persons; write lag(x), ...
    """
    crossing = sorted(calls_in(factor) & CROSSING)
    if crossing:
        raise FormulaError(
            f"{factor.text} calls {crossing[0]}(), which crosses persons; write lag(x), changed(x) or years_in(x), or "
            "add a column to the data frame."
        )


def _names_outside_history(node: ast.AST) -> set[str]:
    """Names that are read at the record itself: not inside a call that only sees earlier records."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HISTORY_TERMS:
        # changed() knows by a column's name when its values are known, so it sees only earlier ones of bare columns.
        bare = all(isinstance(value, ast.Name) for value in (*node.args, *(k.value for k in node.keywords)))
        if node.func.id != "changed" or bare:
            return set()
    if isinstance(node, ast.Name):
        return {node.id}
    return set().union(*(_names_outside_history(child) for child in ast.iter_child_nodes(node)))
