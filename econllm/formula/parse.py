"""Reading a formula: its outcome, its terms, and the names in them."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from formulaic import Formula
from formulaic.errors import FormulaicError

from econllm.errors import FormulaError
from econllm.formula.history import HISTORY_TERMS

RESUME = "resume"

# Terms that vary over outcomes, besides columns x[alt].
ALTERNATIVE_TERMS = ("stay", "similarity")
BY_OUTCOME = "[alt]"

# What other software writes and no formula here may hold, with what to write instead.
_FOREIGN = {
    r"(?:^|[\s+*:(/-])\.(?:$|[\s+*:)/-])": "has a '.': name the columns, as in 'occupation ~ educ + sex'",
    r"\bas\.factor\(": "has as.factor(): write C(x)",
}


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
        The terms on the right (left of a bar), the intercept excepted: their coefficients differ by outcome.
    intercept : bool
        Whether there is one.
    alternatives : tuple of Term
        The terms right of the bar: they vary over outcomes and have one coefficient each.
    """

    text: str
    outcome: str
    terms: tuple[Term, ...]
    intercept: bool
    alternatives: tuple[Term, ...] = ()


def parse(text: str) -> Parsed:
    """Take a formula apart.

    Parameters
    ----------
    text : str
        In formulaic's grammar, which reads like R's: ``"occupation ~ lag(occupation) + educ * married"``. ``-1`` or
        ``0`` leaves the intercept out. Terms that vary over outcomes stand right of a bar: ``"mode ~ 1 | price[alt]"``.

    Returns
    -------
    Parsed

    Raises
    ------
    FormulaError
        If it is no text, does not parse, has no single outcome, has several bars, or a term on the wrong side of the
        bar.

    Examples
    --------
    >>> [term.text for term in parse("y ~ a * b").terms]
    ['a', 'b', 'a:b']
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'occupation ~ educ'; found a {type(text).__name__}.")
    if text.count("~") != 1:
        raise FormulaError(f"formula {text!r} needs one '~', as in 'occupation ~ educ'.")
    for pattern, reason in _FOREIGN.items():
        if re.search(pattern, text.partition("~")[2]):
            raise FormulaError(f"formula {text!r} {reason}.")
    if re.search(r"~\s*\|", text):
        raise FormulaError(
            f"formula {text!r} has nothing between '~' and '|'; write '~ 1 |' for constants only, '~ 0 |' for none."
        )
    sides = _sides(text)
    left = [_term(term) for term in sides[0]]
    if len(left) != 1 or len(left[0].factors) != 1 or not left[0].factors[0].is_column:
        raise FormulaError(f"the left-hand side of {text!r} must be one column, untransformed.")
    parts = [[_term(term) for term in part] for part in sides[1]]
    terms = tuple(term for term in parts[0] if term.text != "1")
    alternatives = tuple(term for part in parts[1:] for term in part if term.text != "1")
    if len(parts) > 2:
        raise FormulaError(f"formula {text!r} has more than one '|'; the terms that vary over outcomes are one part.")
    _check_parts(text, terms, alternatives if len(parts) == 2 else None)
    return Parsed(text, left[0].text, terms, any(term.text == "1" for term in parts[0]), alternatives)


def _sides(text: str) -> tuple[Any, tuple[Any, ...]]:
    """The left-hand side, and the parts of the right-hand side."""
    try:
        formula = Formula(re.sub(r"`([^`]+)`\[alt\]", r"`\1[alt]`", text))
    except Exception as error:  # of brackets out of place formulaic makes all kinds of errors
        reserved = [name for name in re.findall("`([^`]+)`", text) if keyword.iskeyword(name)]
        if reserved:
            reason = f"{reserved[0]!r} is a reserved word of Python; rename the column"
            raise FormulaError(f"formula {text!r} does not parse: {reason}.") from error
        known = isinstance(error, FormulaicError | SyntaxError) and str(error)
        reason = str(error).splitlines()[0] if known else "brackets or operators are out of place"
        raise FormulaError(f"formula {text!r} does not parse: {reason}") from error
    left, right = getattr(formula, "lhs", None), getattr(formula, "rhs", None)
    parts = right if isinstance(right, tuple) else (right,)
    if any(side is None or isinstance(side, tuple) or not hasattr(side, "__iter__") for side in (left, *parts)):
        raise FormulaError(
            f"formula {text!r} must have one outcome and one part on the right, as in 'occupation ~ educ', or two with "
            "a bar between them, as in 'mode ~ income | price[alt]'."
        )
    return left, parts


def _check_parts(text: str, terms: tuple[Term, ...], alternatives: tuple[Term, ...] | None) -> None:
    """Raise unless what varies over outcomes, and only that, stands right of the bar; None stands for no bar."""
    for factor in (factor for term in terms for factor in term.factors):
        if varies(factor):
            raise FormulaError(
                f"{factor.text} varies over outcomes and has one coefficient for all of them; write it right of a bar, "
                f"as in 'y ~ 1 | {factor.text}'."
            )
    if alternatives == ():
        raise FormulaError(f"formula {text!r} has nothing right of the '|'; write a term or leave the bar out.")
    for term in alternatives or ():
        if not any(varies(factor) for factor in term.factors):
            raise FormulaError(
                f"{term.text!r} stands right of the bar but is the same for all outcomes; write it left of the bar, or "
                f"times something that varies, as in stay():{term.text}. (a * b stands for a + b + a:b.)"
            )


def _term(term: object) -> Term:
    parts = []
    for factor in term.factors:  # type: ignore[attr-defined]
        is_column = factor.eval_method.value == "lookup"
        parts.append(Factor(factor.expr if is_column else factor.expr.replace("[alt]`", "`[alt]"), is_column))
    return Term(tuple(parts))


def varies(factor: Factor) -> bool:
    """Whether a factor varies over outcomes: it has x[alt], stay() or similarity().

    Examples
    --------
    >>> varies(Factor("np.log(price[alt])", False)), varies(Factor("np.log(price)", False))
    (True, False)
    """
    calls = functions_in(factor) & set(ALTERNATIVE_TERMS)
    return bool(calls) or any(name.endswith(BY_OUTCOME) for name in names_in(factor))


def tree_of(factor: Factor) -> ast.AST:
    """Parse an expression; names in backquotes may hold blanks, and ``x[alt]`` is read as one name.

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
        return ast.Name(factor.text, ast.Load())
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
    return _ByOutcome().visit(tree) if "[alt" in factor.text.replace(" ", "") else tree


class _ByOutcome(ast.NodeTransformer):
    """Turns the subscript x[alt] into a name."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Name) and node.slice.id == "alt":
            return ast.copy_location(ast.Name(f"{node.value.id}{BY_OUTCOME}", ast.Load()), node)
        return self.generic_visit(node)


def names_in(factor: Factor) -> frozenset[str]:
    """Names that a factor refers to, functions included.

    Examples
    --------
    >>> sorted(names_in(Factor("np.log(x)", False)))
    ['np', 'x']
    """
    return frozenset(node.id for node in ast.walk(tree_of(factor)) if isinstance(node, ast.Name))


def functions_in(factor: Factor) -> frozenset[str]:
    """Names that a factor calls as functions, methods excluded.

    Examples
    --------
    >>> sorted(functions_in(Factor("scale(x.diff())", False)))
    ['scale']
    """
    called = (node.func for node in ast.walk(tree_of(factor)) if isinstance(node, ast.Call))
    return frozenset(f.id for f in called if isinstance(f, ast.Name))


def values_in(factor: Factor) -> frozenset[str]:
    """Names that a factor reads as values, wherever they stand.

    Examples
    --------
    >>> sorted(values_in(Factor("scale(lag(x))", False)))
    ['x']
    """
    return frozenset(_values(tree_of(factor), lambda _: False))


def values_at_record(factor: Factor) -> frozenset[str]:
    """Names that a factor reads at the record itself: not inside a call that only sees earlier records.

    Examples
    --------
    >>> sorted(values_at_record(Factor("educ * lag(wage) + changed(union)", False)))
    ['educ']
    """
    return frozenset(_values(tree_of(factor), _sees_earlier_records))


def values_outside(factor: Factor, functions: Iterable[str]) -> frozenset[str]:
    """Names that a factor reads outside the calls of some functions.

    Examples
    --------
    >>> sorted(values_outside(Factor("x + embed(text)", False), ["embed"]))
    ['x']
    """
    names = frozenset(functions)
    return frozenset(_values(tree_of(factor), lambda call: isinstance(call.func, ast.Name) and call.func.id in names))


def _sees_earlier_records(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Name) or call.func.id not in HISTORY_TERMS:
        return False
    # changed() knows by a column's name when its values are known, so it sees only earlier ones of bare columns.
    values = (*call.args, *(k.value for k in call.keywords))
    return call.func.id != "changed" or all(isinstance(value, ast.Name) for value in values)


def _values(node: ast.AST, passed_over: Callable[[ast.Call], bool]) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        if passed_over(node):
            return set()
        children = [child for child in children if child is not node.func or not isinstance(child, ast.Name)]
    return set().union(*(_values(child, passed_over) for child in children))
