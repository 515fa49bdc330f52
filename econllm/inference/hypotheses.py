"""Linear restrictions on coefficients, read from text."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from econllm.errors import OptionError, listing
from econllm.inference.algebra import Linear
from econllm.inference.expressions import Case, Side, cases, evaluate
from econllm.inference.names import Names
from econllm.inference.reader import read

# Relative to a row of length one: what is left of a restriction that others imply is rounding.
_DEPENDENT = 1e-9


@dataclass(frozen=True, eq=False)
class Restrictions:
    """Linear restrictions R b = q that do not imply one another.

    Attributes
    ----------
    matrix : numpy.ndarray of float64, shape (restrictions, coefficients)
        R.
    targets : numpy.ndarray of float64, shape (restrictions,)
        q.
    labels : tuple of str
        Each restriction in words.
    dropped : tuple of str
        Restrictions that the others imply.
    """

    matrix: np.ndarray
    targets: np.ndarray
    labels: tuple[str, ...]
    dropped: tuple[str, ...]


def parse_hypothesis(
    text: str | Sequence[str], index: pd.Index, titles: Mapping[Hashable, str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read linear restrictions on coefficients.

    Parameters
    ----------
    text : str or sequence of str
        The restrictions, see Notes.
    index : pandas.MultiIndex
        Pairs of response and term, as of `params`.
    titles : mapping of code to str, optional
        Titles of responses, accepted in place of their codes.

    Returns
    -------
    tuple of numpy.ndarray
        R of shape (restrictions, coefficients) and q of shape (restrictions,), such that R b = q; restrictions that
        others imply are left out.

    Raises
    ------
    OptionError
        If a name is unknown, an expression is not linear, or restrictions contradict each other.

    Notes
    -----
    ======================================  =======================================================
    ``educ = 0``, ``educ``                  the term in every equation, jointly
    ``[2]educ = 0``, ``[Clerk]educ``        in one equation, by code or title
    ``[2]educ = [3]educ``                   equal in two equations
    ``educ = exper``                        equal to each other, in every equation
    ``2*[2]educ - [3]exper = 0.5``          a linear combination
    ``lag(job)``                            all columns of a factor, in every equation
    ``[2]``                                 an equation: all its terms but the intercept
    ``[2=3]``, ``[2] = [3]``                two equations: all their terms but the intercept
    ``similarity = 1``                      a common coefficient, written without an equation
    ======================================  =======================================================

    Commas and new lines separate restrictions; ``a = b = 0`` is two. A known name is taken as a whole, the longest
    first, whatever signs are in it. A name in backquotes is always one name; a doubled backquote stands for one inside.
    Names that read as a number or begin with an operator or a bracket need backquotes.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([[2, 3], ["educ", "log(wage, 2)"]])
    >>> matrix, values = parse_hypothesis("[2]educ = [3]educ, [2]log(wage, 2) = 1", index)
    >>> matrix.tolist(), values.tolist()
    ([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0]], [0.0, 1.0])
    """
    found = restrictions(text, Names(index, titles))
    return found.matrix, found.targets


def restrictions(text: str | Sequence[str], names: Names) -> Restrictions:
    """Read linear restrictions; see :func:`parse_hypothesis`.

    Parameters
    ----------
    text : str or sequence of str
        The restrictions.
    names : Names
        The coefficients.

    Returns
    -------
    Restrictions

    Raises
    ------
    OptionError
        See :func:`parse_hypothesis`.

    Examples
    --------
    >>> names = Names(pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> restrictions("educ = 0, [2]educ = [3]educ", names).dropped
    ('[2]educ = [3]educ',)
    """
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list | tuple) or not texts:
        raise OptionError(f"a hypothesis is a text such as 'educ = 0', or a list of texts; found {_kind(text)}.")
    forms: list[Linear] = []
    labels: list[str] = []
    for one in texts:
        for statement in read(one, names, "hypothesis"):
            sides = statement.sides
            pairs: list[tuple[Side, Side | None]] = [*itertools.pairwise(sides)] or [(sides[0], None)]
            try:
                for case in cases(statement, names):
                    for left, right in pairs:
                        forms.append(_difference(case, left, right))
                        other = "0" if right is None else case.label(statement, right)
                        labels.append(f"{case.label(statement, left)} = {other}")
            except OptionError as error:
                raise OptionError(f"hypothesis {statement.written!r}: {error}") from None
    matrix = np.zeros((len(forms), len(names.position)))
    for row, form in zip(matrix, forms, strict=True):
        row[list(form.weights)] = list(form.weights.values())
    values = np.array([0.0 - form.constant for form in forms])
    if not (np.isfinite(matrix).all() and np.isfinite(values).all()):
        raise OptionError(f"hypothesis {listing(texts, 2)}: its numbers are not finite.")
    return _independent(matrix, values, labels)


def _difference(case: Case, left: Side, right: Side | None) -> Linear:
    """One side minus the other."""
    with np.errstate(all="ignore"):  # what is not finite is refused by name
        values = [
            evaluate(side.node, lambda r: Linear({case.places[r]: 1.0}), lambda number: Linear({}, number))
            for side in (left, right)
            if side is not None
        ]
    out: Linear = values[0] if right is None else values[0] - values[1]
    return out


def _independent(matrix: np.ndarray, values: np.ndarray, labels: list[str]) -> Restrictions:
    """Drop the restrictions that earlier ones imply, by Gram-Schmidt."""
    # A restriction with a coefficient that no other has implies none and is implied by none: the rule in joint tests.
    alone = ((matrix != 0) & ((matrix != 0).sum(axis=0) == 1)).any(axis=1)
    tied = np.flatnonzero(~alone)
    used = np.flatnonzero(matrix[tied].any(axis=0))
    basis = np.empty((0, len(used)))
    targets = np.empty(0)
    keep: list[int] = []
    for i in tied.tolist():
        row = matrix[i, used]
        length = np.sqrt(row @ row)
        rest, target = (row / length, values[i] / length) if length else (row, values[i])
        size = abs(target)
        for _ in range(2):  # the second time removes the rounding of the first
            onto = basis @ rest
            rest, target = rest - onto @ basis, target - onto @ targets
            size += np.abs(onto * targets).sum()
        left = np.sqrt(rest @ rest)
        if left > _DEPENDENT:
            basis, targets = np.vstack([basis, rest / left]), np.append(targets, target / left)
            keep.append(i)
        elif abs(target) > _DEPENDENT * size:
            before = f" with {listing([labels[j] for j in keep], 3)}" if keep else ""
            raise OptionError(f"restriction {labels[i]!r} cannot hold{before}: the restrictions contradict each other.")
    kept = sorted([*keep, *np.flatnonzero(alone).tolist()])
    if not kept:
        raise OptionError(f"restriction {labels[0]!r} holds whatever the coefficients are; there is nothing to test.")
    dropped = tuple(label for i, label in enumerate(labels) if i not in set(kept))
    return Restrictions(matrix[kept], values[kept], tuple(labels[i] for i in kept), dropped)


def _kind(value: object) -> str:
    return "an empty list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"
