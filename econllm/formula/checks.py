"""Whether a term may know what it uses, and names things that exist."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from econllm.errors import FormulaError, LeakageError, MissingColumnError, did_you_mean, listing
from econllm.formula.history import HISTORY_TERMS
from econllm.formula.parse import RESUME, Factor, functions_in, tree_of, values_at_record, values_in

# Methods and functions of pandas and numpy that move values between rows, or can call ones that do.
_CROSSING = """shift diff roll rolling expanding ewm cumsum cumprod cummax cummin cumulative_sum cumulative_prod
nancumsum nancumprod ffill bfill pct_change interpolate ediff1d gradient flip fliplr flipud rot90 sort sort_values
sort_index argsort lexsort partition argpartition rank sample permutation permuted shuffle choice take
take_along_axis reindex reindex_like iloc loc iat at groupby resample asof convolve correlate nlargest nsmallest
drop_duplicates duplicated head tail truncate append concat concatenate hstack vstack insert delete apply agg
aggregate transform pipe"""
_STATISTICS = """mean std var sem min max amin amax median sum prod quantile percentile average ptp mode skew kurt
kurtosis nanmean nanstd nanvar nanmin nanmax nanmedian nansum nanprod nanquantile nanpercentile idxmin idxmax argmin
argmax nanargmin nanargmax any all nunique corr cov corrcoef"""
CROSSING = frozenset(_CROSSING.split())
STATISTICS = frozenset(_STATISTICS.split())

# Functions of R, patsy and Stata, with what to write instead.
_HINTS = {
    "factor": "write C(x)",
    "Q": "put the name in backquotes, `hourly wage`",
    "Treatment": "write C(x, base='level')",
    "offset": "a coefficient cannot be fixed here",
}
_ELSEWHERE = frozenset({*HISTORY_TERMS, "embed", "C"})


def check_factor(
    factor: Factor,
    known: Iterable[Hashable],
    hidden: Iterable[Hashable],
    refused: dict[str, FormulaError],
    functions: Mapping[str, Any],
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
    functions : mapping of str to object
        Names that are no columns, with what they stand for.

    Raises
    ------
    LeakageError
        If the outcome or a lagged column stands outside lag(), changed(), years_in() or bag().
    MissingColumnError
        For an unknown name.
    FormulaError
        For a function that does not exist or gets an unknown argument, and if the résumé is used outside embed().

    Examples
    --------
    >>> check_factor(Factor("union", True), ["educ"], ["occupation", "union"], {}, {})
    Traceback (most recent call last):
    econllm.errors.LeakageError: formula uses 'union' as it stands, ...
    """
    present, later = {str(c) for c in known}, [str(c) for c in hidden]
    _check_functions(factor, functions)
    for name in sorted(values_at_record(factor) & set(later)):
        if name == later[0]:
            raise LeakageError(f"formula uses the outcome {name!r} on its right-hand side; write lag({name}).")
        raise LeakageError(
            f"formula uses {name!r} as it stands, but it describes the job that is to be predicted and is known only "
            f"afterwards; write lag({name})."
        )
    for name in sorted(values_in(factor)):
        if name in refused:
            raise refused[name]
        names = [*present, *later]
        if name not in names and name != RESUME and (factor.is_column or name not in functions):
            near = _stata(name, factor.text) or did_you_mean(name, [*names, *functions])
            raise MissingColumnError(
                f"formula uses {name!r}, which is no column here.{near} Columns: {listing(sorted(names), 12)}."
            )
    if factor.is_column and factor.text == RESUME and RESUME not in present:
        raise FormulaError("resume is text; write embed(resume).")
    if factor.is_column and factor.text == "Intercept":
        raise FormulaError("a column named 'Intercept' would be taken for the constant; rename it.")


def _check_functions(factor: Factor, functions: Mapping[str, Any]) -> None:
    nodes = list(ast.walk(tree_of(factor)))
    if any(isinstance(node, ast.Lambda | ast.comprehension | ast.NamedExpr) for node in nodes):
        # They could give lag another meaning.
        raise FormulaError(f"{factor.text} defines names of its own; add a column to the data frame instead.")
    for name in sorted(functions_in(factor)):
        if name not in functions:
            hint = f" Instead {_HINTS[name]}." if name in _HINTS else did_you_mean(name, functions)
            raise FormulaError(f"{factor.text} calls {name}(), which is no function here.{hint}")
        if name in values_in(factor):
            raise FormulaError(
                f"in {factor.text} {name!r} is a function and stands for a value too; rename a column of that name."
            )
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ELSEWHERE:
            _check_arguments(node, node.func.id, functions[node.func.id])


def _check_arguments(call: ast.Call, name: str, function: Callable[..., Any]) -> None:
    for value in (*call.args[:1], *(k.value for k in call.keywords if k.arg in {"x", "text"})):
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            raise FormulaError(
                f"{ast.unparse(call)} has a text where a column belongs; write {name}({value.value}) without quotes."
            )
    parameters = inspect.signature(function).parameters
    allowed = [p for p in parameters if p != "self" and not p.startswith("_")]
    unknown = [k.arg for k in call.keywords if k.arg is not None and k.arg not in allowed]
    if unknown:
        raise FormulaError(
            f"{name}() has no argument {unknown[0]!r}.{did_you_mean(unknown[0], allowed)} "
            f"Its arguments: {', '.join(allowed) or 'none'}."
        )


def _stata(name: str, text: str) -> str:
    """Say what Stata's factor and time-series notation is called here, or nothing."""
    found = re.fullmatch(r"(i|c|L)(\d*)\.(\w+)", name) or re.search(rf"\b({re.escape(name)})()\.(\w+)", text)
    if not found or found[1] not in {"i", "c", "L"}:
        return ""
    prefix, count, column = found.groups()
    lag = f"lag({column}{', ' + count if count else ''})"
    return f" Instead write {({'i': f'C({column})', 'c': column, 'L': lag})[prefix]}."


def check_order(factor: Factor) -> None:
    """Raise if an expression moves values between rows, or sums them up: a panel's rows are persons and times.

    Raises
    ------
    FormulaError
        For functions and methods that shift, sort, pick or accumulate rows, subscripts, and statistics of all rows.

    Examples
    --------
    >>> check_order(Factor("educ.shift(1)", False))
    Traceback (most recent call last):
    econllm.errors.FormulaError: educ.shift(1) calls shift(), which crosses persons; write lag(x), ...
    """
    tree = tree_of(factor)
    cure = "which crosses persons; write lag(x), changed(x) or years_in(x), or add a column to the data frame."
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and not _of_text(node.value):
            raise FormulaError(f"{factor.text} picks rows by [...], {cure}")
        if not isinstance(node, ast.Attribute) or _of_text(node.value):
            continue
        if node.attr in CROSSING:
            raise FormulaError(f"{factor.text} calls {node.attr}(), {cure}")
        if node.attr in STATISTICS:
            raise FormulaError(
                f"{factor.text} calls {node.attr}(), a statistic of whichever rows there are, later ones included; "
                "write center(x) or scale(x), which remember those of the estimation, or add a column to the data "
                "frame."
            )


def _of_text(node: ast.AST) -> bool:
    """Whether an attribute is one of pandas' text methods, x.str, which stay within a row."""
    return isinstance(node, ast.Attribute) and node.attr == "str"
