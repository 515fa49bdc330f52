"""Reading expressions in coefficients: a small grammar of its own, never Python's eval."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable

from econllm.errors import OptionError, listing
from econllm.inference.algebra import FUNCTIONS
from econllm.inference.expressions import Call, Chain, Node, Number, Reference, Side, Statement
from econllm.inference.names import COMMON, NUMBER, Names

_DEEPEST = 40


def read(text: str, names: Names, what: str) -> list[Statement]:
    """Read statements, separated by commas or line ends.

    Parameters
    ----------
    text : str
        See :func:`econllm.inference.parse_hypothesis` for the grammar.
    names : Names
        The coefficients.
    what : str
        What the text is, for messages.

    Returns
    -------
    list of Statement

    Raises
    ------
    OptionError
        If the text does not follow the grammar, or names unknown coefficients.

    Examples
    --------
    >>> import pandas as pd
    >>> names = Names(pd.MultiIndex.from_product([[2, 3], ["educ", "log(wage, 2)"]]))
    >>> [len(statement.sides) for statement in read("educ = 0, [2]log(wage, 2) - 1", names, "hypothesis")]
    [2, 1]
    """
    if not isinstance(text, str):
        raise OptionError(f"a {what} is a text such as '[2]educ'; found a {type(text).__name__}.")
    try:
        return _Reader(text, names).statements()
    except OptionError as error:
        shown = text if len(text) <= 100 else text[:100] + "..."
        raise OptionError(f"{what} {shown!r}: {error}") from None


class _Reader:
    """Recursive descent over the characters: names can hold anything, so that no list of tokens exists without them."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._names = names
        self._at = 0
        self._depth = 0

    def statements(self) -> list[Statement]:
        out: list[Statement] = []
        while True:
            while self._skip() and self._text[self._at] == ",":
                self._at += 1
            if self._at == len(self._text):
                break
            if out and not re.search("[,\r\n]", self._text[out[-1].end : self._at]):
                raise self._expected("an operator, '=', a comma or a new line")
            begin = self._at
            sides = self._equations() or self._sides()
            out.append(Statement(self._text, tuple(sides), begin, self._at))
        if not out:
            raise OptionError("it is empty; name coefficients, such as 'educ = 0'.")
        return out

    def _sides(self) -> list[Side]:
        sides = [self._side()]
        while self._take("==", "="):
            sides.append(self._side())
        return sides

    def _side(self) -> Side:
        self._skip()
        start = self._at
        return Side(self._sum(), start, self._at)

    def _equations(self) -> list[Side]:
        """Stata's [2=3]: whole equations set equal."""
        begin = self._at
        found: list[tuple[Hashable, int, int]] = []
        if self._text.startswith("[", self._at):
            self._at += 1
            while True:
                self._skip()
                start = self._at
                known = self._names.response_at(self._text, start)
                if known is None:
                    break
                self._at = known[1]
                found.append((known[0], start, known[1]))
                if self._take("]") and len(found) > 1:
                    return [Side(self._equation(*one), *one[1:]) for one in found]
                if not self._take("==", "="):
                    break
        self._at = begin
        return []

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._signed, "*", "/")

    def _chain(self, operand: Callable[[], Node], *signs: str) -> Node:
        first, rest = operand(), []
        while sign := self._take(*signs):
            rest.append((sign, operand()))
        return Chain(first, tuple(rest)) if rest else first

    def _signed(self) -> Node:
        sign = 1.0
        while self._skip() and self._text[self._at] in "+-":
            sign = -sign if self._text[self._at] == "-" else sign
            self._at += 1
        node = self._operand()
        if self._take("**", "^"):
            node = Chain(node, (("**", self._deeper(self._signed)),))
        return node if sign > 0 else Chain(Number(-1.0), (("*", node),))

    def _operand(self) -> Node:
        self._skip()
        start, text = self._at, self._text
        if text.startswith("[", start):
            return self._of_equation()
        if text.startswith("`", start) or self._names.term_at(text, start):
            return self._reference(None, start, *self._name())
        number = NUMBER.match(text, start)
        if number:
            self._at = number.end()
            if not math.isfinite(float(number[0])):
                raise OptionError(f"{number[0]} is too large a number.")
            return Number(float(number[0]))
        function = re.compile(r"(\w+)\s*\(").match(text, start)
        if function and function[1] in FUNCTIONS:
            self._at = function.end()
            return Call(function[1], self._parenthesis())
        if text.startswith("(", start):
            self._at += 1
            return self._parenthesis()
        raise self._unknown()

    def _parenthesis(self) -> Node:
        node = self._deeper(self._sum)
        self._skip()
        if not self._take(")"):
            raise self._expected("')'")
        return node

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise OptionError(f"it nests more than {_DEEPEST} parentheses or powers.")
        node = part()
        self._depth -= 1
        return node

    def _of_equation(self) -> Reference:
        """[response]term, or [response] for the whole equation."""
        start = self._at
        self._at += 1
        self._skip()
        known = self._names.response_at(self._text, self._at)
        if known is None:
            raise OptionError(self._names.unknown_response(re.split(r"[\]=]", self._text[self._at :])[0].strip()))
        self._at = known[1]
        if not self._take("]"):
            raise OptionError("[a=b] compares whole equations and stands alone.")
        end = self._at
        following = self._text[end:].lstrip(" \t")
        self._at = len(self._text) - len(following)
        if following.startswith("`") or self._names.term_at(self._text, self._at):
            return self._reference(known[0], start, *self._name())
        if following[:1] not in tuple("=,+-*/^)\r\n") and following:
            raise self._unknown()
        self._at = end
        return self._equation(known[0], start, end)

    def _equation(self, response: Hashable, start: int, end: int) -> Reference:
        columns = self._names.slopes(response)
        if not columns:
            raise OptionError(f"equation {response!r} has no terms besides the intercept.")
        return Reference(response, "", columns, "equation", start, end)

    def _name(self) -> tuple[str, int]:
        """The name at this place, plain or in backquotes, and where it ends."""
        if not self._text.startswith("`", self._at):
            known = self._names.term_at(self._text, self._at)
            if known is None:
                raise self._unknown()
            return known
        quoted = re.compile(r"`((?:[^`]|``)*)`", re.DOTALL).match(self._text, self._at)
        if quoted is None:
            raise OptionError("a backquote is not closed.")
        return quoted[1].replace("``", "`"), quoted.end()

    def _reference(self, response: Hashable, start: int, name: str, end: int) -> Reference:
        columns = self._names.columns_of(name)
        if response is None and self._names.is_common(name):
            response = COMMON
        if response is not None and not any((response, column) in self._names.position for column in columns):
            common = all((COMMON, column) in self._names.position for column in columns)
            reason = " it is common to all outcomes; write it without an equation." if common else ""
            raise OptionError(f"equation {response!r} has no term {name!r}.{reason}")
        self._at = end
        return Reference(response, name, columns, "term" if columns == (name,) else "factor", start, end)

    def _skip(self) -> bool:
        """Move over blanks and line ends; False at the end of the text."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def _take(self, *signs: str) -> str:
        """Move over one of these signs. Outside parentheses a new line ends a statement, so none is passed over."""
        at = self._at
        while at < len(self._text) and self._text[at].isspace() and (self._depth or self._text[at] not in "\r\n"):
            at += 1
        for sign in signs:
            if self._text.startswith(sign, at) and not (sign == "*" and self._text.startswith("**", at)):
                self._at = at + len(sign)
                return sign
        return ""

    def _expected(self, what: str) -> OptionError:
        rest = self._text[self._at : self._at + 20]
        return OptionError(f"expected {what} {f'before {rest!r}' if rest else 'at the end'}.")

    def _unknown(self) -> OptionError:
        """What stands here is no coefficient; say which is nearest."""
        rest = self._text[self._at :].lstrip()
        word = re.match(r"[\w.]+(?:\([^()]*\))?(?:\[[^\]]*\])?(?::[^\s=,+*/^-]+)?", rest)
        if word is None:
            return self._expected("a coefficient or a number")
        try:
            self._names.columns_of(word[0])
        except OptionError as error:
            call = word[0].endswith(")")
            return OptionError(f"{error} Functions are {listing(FUNCTIONS)}." if call else str(error))
        return self._expected("an operator")
