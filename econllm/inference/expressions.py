"""Expressions in coefficients: their parts, their values, and the cases they stand for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from econllm.errors import OptionError
from econllm.inference.names import Names

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Reference:
    """One or several coefficients.

    Attributes
    ----------
    response : hashable
        The equation; None stands for every equation.
    name : str
        The term or factor; empty for a whole equation.
    columns : tuple of str
        Its columns; the slopes of a whole equation.
    kind : {"term", "factor", "equation"}
        Whether it names one column, the columns of a factor, or all slopes of an equation.
    start, end : int
        Where it stands in the text.
    """

    response: Hashable
    name: str
    columns: tuple[str, ...]
    kind: Literal["term", "factor", "equation"]
    start: int
    end: int

    @property
    def several(self) -> bool:
        """Whether it stands for more than one coefficient."""
        return self.response is None or self.kind != "term"


@dataclass(frozen=True)
class Chain:
    """Operations from left to right: a sum, a product, or a power."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Call:
    """A function of an expression."""

    function: str
    argument: Node


Node: TypeAlias = Number | Reference | Chain | Call


@dataclass(frozen=True)
class Side:
    """An expression and where it stands in the text."""

    node: Node
    start: int
    end: int


@dataclass(frozen=True)
class Statement:
    """Expressions that are set equal; a single one where the text has no equals sign.

    Attributes
    ----------
    text : str
        The text that holds it, perhaps among others.
    sides : tuple of Side
        The expressions.
    start, end : int
        Where the statement stands in the text.
    """

    text: str
    sides: tuple[Side, ...]
    start: int
    end: int

    @property
    def written(self) -> str:
        """The statement alone."""
        return self.text[self.start : self.end].strip()

    @property
    def references(self) -> list[Reference]:
        """Every reference to coefficients, in order."""
        return [r for side in self.sides for r in references(side.node)]


@dataclass(frozen=True)
class Case:
    """One coefficient for every reference of a statement.

    Attributes
    ----------
    places : dict of Reference to int
        Positions of the coefficients.
    names : dict of Reference to str
        What to write for references that stand for several.
    """

    places: dict[Reference, int]
    names: dict[Reference, str]

    def label(self, statement: Statement, side: Side) -> str:
        """Write a side of the statement with the coefficients of this case."""
        text, out, at = statement.text, "", side.start
        for reference in references(side.node):
            if reference in self.names:
                out += text[at : reference.start] + self.names[reference]
                at = reference.end
        return (out + text[at : side.end]).strip()


def references(node: Node) -> Iterator[Reference]:
    """Walk over the references of an expression, from left to right."""
    if isinstance(node, Reference):
        yield node
    elif isinstance(node, Call):
        yield from references(node.argument)
    elif isinstance(node, Chain):
        for part in (node.first, *(part for _, part in node.rest)):
            yield from references(part)


def evaluate(node: Node, coefficient: Callable[[Reference], Any], constant: Callable[[float], Any]) -> Any:
    """Compute an expression in any arithmetic that has operators and `apply`.

    Parameters
    ----------
    node : Node
        The expression.
    coefficient, constant : callable
        The values of references and of numbers.

    Returns
    -------
    object
        What the operators of the values return.
    """
    if isinstance(node, Number):
        return constant(node.value)
    if isinstance(node, Reference):
        return coefficient(node)
    if isinstance(node, Call):
        return evaluate(node.argument, coefficient, constant).apply(node.function)
    out = evaluate(node.first, coefficient, constant)
    for sign, part in node.rest:
        out = _OPERATORS[sign](out, evaluate(part, coefficient, constant))
    return out


def cases(statement: Statement, names: Names) -> list[Case]:
    """Spell out a statement: once for every equation and column that its references stand for.

    Raises
    ------
    OptionError
        If it names no coefficient, or several references do not go together.

    Examples
    --------
    >>> import pandas as pd
    >>> from econllm.inference.reader import read
    >>> names = Names(pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> statement = read("2 * educ", names, "expression")[0]
    >>> [case.label(statement, statement.sides[0]) for case in cases(statement, names)]
    ['2 * [2]educ', '2 * [3]educ']
    """
    found = statement.references
    if not found:
        raise OptionError(f"{statement.written!r} names no coefficient.")
    free = any(reference.response is None for reference in found)
    out = []
    for response in names.responses if free else (None,):
        for column in _columns(statement, found):
            pairs = {
                r: (response if r.response is None else r.response, r.name if r.kind == "term" else column)
                for r in found
            }
            if all(pair in names.position for pair in pairs.values()):
                written = {r: names.write(*pair) for r, pair in pairs.items() if r.several}
                out.append(Case({r: names.position[pair] for r, pair in pairs.items()}, written))
    if not out:
        raise OptionError(f"{statement.written!r}: no equation has all of these coefficients.")
    return out


def _columns(statement: Statement, found: list[Reference]) -> tuple[str, ...]:
    """Columns over which the references of a statement run together."""
    wide = [reference for reference in found if reference.kind != "term"]
    if not wide:
        return ("",)
    if len({(r.kind, r.name) for r in wide}) > 1 or (wide[0].kind == "equation" and len(wide) < len(found)):
        raise OptionError(
            f"{statement.written!r} mixes whole equations or factors that have different columns; write one "
            "restriction for each, with the names of columns."
        )
    # An equation may lack terms that another has.
    return tuple(column for column in wide[0].columns if all(column in r.columns for r in wide))
