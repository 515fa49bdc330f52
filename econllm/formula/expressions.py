"""Expressions that vary over outcomes, evaluated row by row and outcome by outcome."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import FormulaError
from econllm.formula.parse import ALTERNATIVE_TERMS, Factor, tree_of

_FUNCTIONS = frozenset(["I", "log", "log2", "log10", "exp", "exp2", "exp10", *ALTERNATIVE_TERMS])
_OF_NUMPY = frozenset(["where", "clip", "nan_to_num", "round", "pi", "e", "nan", "inf"])


def check_cellwise(factor: Factor, context: Mapping[str, Any]) -> None:
    """Raise if an expression is more than arithmetic and functions of one number.

    Parameters
    ----------
    factor : Factor
        An expression with ``x[alt]``, stay() or similarity().
    context : mapping
        Objects of the user's, who vouches for them.

    Raises
    ------
    FormulaError
        For functions that look at several rows or outcomes, methods and subscripts.

    Examples
    --------
    >>> check_cellwise(Factor("np.log(price[alt]) / income", False), {})
    >>> check_cellwise(Factor("price[alt] - price[alt].mean()", False), {})
    Traceback (most recent call last):
    econllm.errors.FormulaError: price[alt] - price[alt].mean() uses .mean, ...
    """
    for node in ast.walk(tree_of(factor)):
        if isinstance(node, ast.Attribute) and not _of_numpy(node) and _root(node) not in context:
            raise FormulaError(
                f"{factor.text} uses .{node.attr}, but right of the bar an expression is evaluated row by row and "
                "outcome by outcome: arithmetic, log(), exp() and numpy's functions of one number, np.where and "
                "np.clip. Add a column to the data frame for anything else."
            )
        if isinstance(node, ast.Subscript) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)):
            raise FormulaError(f"{factor.text} picks or mixes rows or outcomes; only x[alt] may be written with [...].")
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in _FUNCTIONS and node.func.id not in context:
            raise FormulaError(
                f"{factor.text} calls {node.func.id}() in an expression that varies over outcomes; multiply instead, "
                f"as in x[alt]:{node.func.id}(...), or add a column to the data frame."
            )


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _of_numpy(node: ast.Attribute) -> bool:
    if not isinstance(node.value, ast.Name) or node.value.id != "np":
        return False
    function = getattr(np, node.attr, None)
    return node.attr in _OF_NUMPY or (isinstance(function, np.ufunc) and function.signature is None)


class _Named(ast.NodeTransformer):
    """Gives a name to every call that stands for a table."""

    def __init__(self, tables: Mapping[str, np.ndarray]) -> None:
        self.names = {text: f"_table_{i}" for i, text in enumerate(tables)}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = self.names.get(ast.unparse(node))
        return self.generic_visit(node) if name is None else ast.Name(name, ast.Load())


def evaluate_cells(
    factor: Factor,
    inputs: Mapping[str, np.ndarray],
    tables: Mapping[str, np.ndarray],
    names: Mapping[str, Any],
    shape: tuple[int, int],
) -> np.ndarray:
    """Evaluate an expression for every row and outcome.

    Parameters
    ----------
    factor : Factor
        The expression.
    inputs : mapping of str to numpy.ndarray, shape (n, outcomes) or (n, 1)
        Columns by outcome, and columns of the row.
    tables : mapping of str to numpy.ndarray, shape (n, outcomes)
        What calls of stay() and similarity() stand for, by their text.
    names : mapping
        Functions, and objects of the user's.
    shape : (int, int)
        Rows and outcomes.

    Returns
    -------
    numpy.ndarray of float64

    Raises
    ------
    FormulaError
        If it fails, or does not give numbers.

    Examples
    --------
    >>> prices = {"p[alt]": np.array([[1.0, 2.0]]), "x": np.array([[2.0]])}
    >>> evaluate_cells(Factor("p[alt] / x", False), prices, {}, {}, (1, 2)).tolist()
    [[0.5, 1.0]]
    """
    transform = _Named(tables)
    tree = transform.visit(tree_of(factor))
    body = tree.body if isinstance(tree, ast.Expression) else tree
    values = {transform.names[text]: table for text, table in tables.items()}
    env = {**names, **inputs, **values}
    try:
        code = compile(ast.fix_missing_locations(ast.Expression(body)), factor.text, "eval")
        with np.errstate(all="ignore"):  # what is not finite is counted and refused later
            result = np.asarray(eval(code, {"__builtins__": {}}, env), dtype=np.float64)
            return np.array(np.broadcast_to(result, shape))
    except MemoryError:
        raise
    except Exception as error:  # a user's expression can fail in any way
        raise FormulaError(f"{factor.text} cannot be evaluated: {type(error).__name__}: {error}") from error


def missing_cells(inputs: Mapping[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Rows and outcomes for which something that an expression reads is missing.

    Examples
    --------
    >>> missing_cells({"p[alt]": np.array([[1.0, np.nan]]), "x": np.array([[2.0]])}, (1, 2)).tolist()
    [[False, True]]
    """
    missing = np.zeros(shape, dtype=bool)
    for values in inputs.values():
        missing |= pd.isna(values)
    return missing
