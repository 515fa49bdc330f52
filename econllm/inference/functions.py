"""Functions of coefficients with their standard errors: linear, nonlinear, and relative risk ratios."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.inference.algebra import Dual, Linear
from econllm.inference.expressions import Case, Side, cases, evaluate
from econllm.inference.names import Names
from econllm.inference.reader import read
from econllm.inference.wald import as_arrays
from econllm.metrics import check_level
from econllm.tables import Column, Table, interval

Function: TypeAlias = Callable[[pd.Series], Any]
Expressions: TypeAlias = str | Sequence[str] | Mapping[str, str]

# Balances the error of truncation, h^2, and of rounding, 1/h.
_STEP = float(np.cbrt(np.finfo(float).eps))
# Relative to the variance of a combination whose parts do not cancel.
_ROUNDING = 1e-13
_NONLINEAR = "Nonlinear functions of coefficients"


@dataclass(frozen=True, eq=False)
class FunctionEstimates:
    """Functions of coefficients, with standard errors, tests of zero and confidence intervals.

    Attributes
    ----------
    estimates : pandas.DataFrame
        Indexed by function: estimate, std_error, statistic (z), p_value (of estimate = 0; for exponentiated estimates
        of exponent = 0), lower and upper.
    cov : pandas.DataFrame
        Joint covariance of the estimates.
    level : float
        Coverage of the intervals.
    title : str
        What the functions are.
    notes : tuple of str
        What the numbers are.

    Examples
    --------
    >>> params = pd.Series([0.2, 0.5], pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> print(lincom(params, np.diag([0.01, 0.04]), "[3]educ - [2]educ"))
                         Linear combinations of coefficients
    ====================================================================
                         est.  std. err.     z      p             95% CI
    --------------------------------------------------------------------
    [3]educ - [2]educ  0.3000     0.2236  1.34  0.180  [-0.1383, 0.7383]
    ====================================================================
    """

    estimates: pd.DataFrame
    cov: pd.DataFrame
    level: float
    title: str
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """The estimates, as a copy."""
        return self.estimates.copy()

    def to_table(self) -> Table:
        """One row per function."""
        columns = [Column("est.", ".4f"), Column("std. err.", ".4f"), Column("z", ".2f"), Column("p", "pvalue")]
        body = [
            (label, *cells, interval(lower, upper, ".4f"))
            for label, (*cells, lower, upper) in zip(self.estimates.index, self.estimates.to_numpy(), strict=True)
        ]
        heading = Column(f"{100 * self.level:g}% CI")
        return Table([*columns, heading], body, title=self.title, notes=self.notes)

    def __str__(self) -> str:
        return str(self.to_table())

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()


def lincom(
    params: pd.Series,
    cov: np.ndarray | pd.DataFrame | Callable[[np.ndarray], np.ndarray],
    expression: Expressions,
    *,
    level: float = 0.95,
    titles: Mapping[Hashable, str] | None = None,
    exp: bool = False,
) -> FunctionEstimates:
    """Estimate linear combinations of coefficients.

    Parameters
    ----------
    params : pandas.Series, shape (coefficients,)
        Coefficients, indexed by (response, term).
    cov : numpy.ndarray or pandas.DataFrame, shape (coefficients, coefficients), or callable
        Their covariance, in the same order; or a function that gives R V R' for weights R of shape (m, coefficients),
        where V is too large to be formed.
    expression : str, sequence of str, or mapping of str to str
        Such as ``"[3]educ - [2]educ"``; commas and new lines separate several, a mapping names them. The grammar is
        that of :func:`parse_hypothesis`; ``educ`` stands for one combination per equation.
    level : float
        Coverage of the intervals.
    titles : mapping of code to str, optional
        Titles of responses, accepted in place of their codes.
    exp : bool
        Exponentiate: relative risk ratios.

    Returns
    -------
    FunctionEstimates

    Raises
    ------
    OptionError
        If an expression cannot be read or is not linear.
    DataError
        If the covariance does not belong to the coefficients.

    Notes
    -----
    The variance of R b + c is R V R'. With `exp`, the estimate is exp(R b + c), its standard error by the delta method
    exp(R b + c) times that of R b, the interval the exponentiated one of R b + c, and z and p are those of R b + c = 0.

    Examples
    --------
    >>> params = pd.Series([0.2, 0.5], pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> lincom(params, np.diag([0.01, 0.04]), {"gap": "[3]educ - [2]educ"}).estimates.round(3)
         estimate  std_error  statistic  p_value  lower  upper
    gap       0.3      0.224      1.342     0.18 -0.138  0.738
    """
    check_level(level)
    b, v = (params.to_numpy(np.float64), np.empty((0, 0))) if callable(cov) else as_arrays(params, cov)
    names = Names(params.index, titles)
    labels, forms = _expand(expression, names, lambda at: Linear({at: 1.0}), lambda number: Linear({}, number))
    matrix = _rows([form.weights for form in forms], len(b))
    values = matrix @ b + [form.constant for form in forms]
    _check_finite(np.column_stack([values, matrix]), labels)
    joint = cov(matrix) if callable(cov) else _sandwich(matrix, v)
    frame = _inference(values, _std_errors(joint), level)
    title = "Linear combinations of coefficients"
    if not exp:
        return _packed(frame, joint, labels, level, title, ())
    with np.errstate(over="ignore", invalid="ignore"):
        joint = joint * np.outer(np.exp(values), np.exp(values))
    notes = ("Standard errors: delta method. z and p are of the combination, whose interval is exponentiated.",)
    return _packed(_exponentiated(frame), joint, labels, level, f"Exponentiated {title[0].lower()}{title[1:]}", notes)


def nlcom(
    params: pd.Series,
    cov: np.ndarray | pd.DataFrame,
    expression: Expressions | Function,
    *,
    level: float = 0.95,
    titles: Mapping[Hashable, str] | None = None,
    replicates: np.ndarray | None = None,
) -> FunctionEstimates:
    """Estimate nonlinear functions of coefficients.

    Parameters
    ----------
    params : pandas.Series, shape (coefficients,)
        Coefficients, indexed by (response, term).
    cov : numpy.ndarray or pandas.DataFrame, shape (coefficients, coefficients)
        Their covariance, in the same order; not used with `replicates`.
    expression : str, sequence of str, mapping of str to str, or callable
        Such as ``"[2]educ / [2]exper"``, in the grammar of :func:`parse_hypothesis` with the functions exp, log and
        sqrt; commas and new lines separate several, a mapping names them. A callable takes a Series like `params` and
        returns a number, an array or a Series.
    level : float
        Coverage of the intervals.
    titles : mapping of code to str, optional
        Titles of responses, accepted in place of their codes.
    replicates : numpy.ndarray, shape (replications, coefficients), optional
        Coefficients of bootstrap replications: standard errors and percentile intervals come from the values of the
        function over them.

    Returns
    -------
    FunctionEstimates

    Raises
    ------
    OptionError
        If an expression cannot be read, or has no value at the estimates.
    DataError
        If the covariance or the replications do not belong to the coefficients.

    Notes
    -----
    Delta method: the variance of g(b) is G V G', G the derivatives of g at b. Those of texts are exact (forward
    differentiation of the parsed expression), those of callables central differences with a step of the cube root of
    the machine's precision times the larger of the coefficient and its standard error. z = g(b) / std. err. and p are
    of g = 0, by the normal distribution.

    Examples
    --------
    >>> params = pd.Series([0.2, 0.5], pd.MultiIndex.from_product([[2, 3], ["educ"]]))
    >>> nlcom(params, np.diag([0.01, 0.04]), "[2]educ / [3]educ").estimates.round(3)
                       estimate  std_error  statistic  p_value  lower  upper
    [2]educ / [3]educ       0.4      0.256      1.562    0.118 -0.102  0.902
    """
    check_level(level)
    if replicates is not None:
        return _over_replicates(params, expression, replicates, level, titles)
    b, v = as_arrays(params, cov)
    if callable(expression):
        labels, values = _call(expression, params, b)
        gradient = _central_differences(expression, params, b, _std_errors(v))
    else:
        labels, duals = _expand(expression, Names(params.index, titles), lambda i: Dual(b[i], {i: 1.0}), _constant)
        values = np.array([dual.value for dual in duals], dtype=np.float64)
        gradient = _rows([dual.gradient for dual in duals], len(b))
    _check_finite(np.column_stack([values, gradient]), labels)
    joint = _sandwich(gradient, v)
    frame = _inference(values, _std_errors(joint), level)
    return _packed(frame, joint, labels, level, _NONLINEAR, ("Standard errors: delta method.",))


def relative_risk_ratios(params: pd.Series, cov: np.ndarray | pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Exponentiate coefficients: the factor by which a unit more multiplies the odds of an outcome against the base.

    Parameters
    ----------
    params : pandas.Series, shape (coefficients,)
        Coefficients, indexed by (response, term).
    cov : numpy.ndarray or pandas.DataFrame, shape (coefficients, coefficients)
        Their covariance, in the same order.
    level : float
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed as `params`: estimate exp(b); std_error exp(b) se(b), by the delta method; statistic and p_value of
        b = 0; lower and upper, the exponentiated bounds of b.

    Raises
    ------
    DataError
        If the covariance does not belong to the coefficients.

    Examples
    --------
    >>> params = pd.Series([0.0], pd.MultiIndex.from_tuples([(2, "educ")], names=["response", "term"]))
    >>> relative_risk_ratios(params, np.array([[0.01]])).round(3)
                   estimate  std_error  statistic  p_value  lower  upper
    response term
    2        educ       1.0        0.1        0.0      1.0  0.822  1.217
    """
    check_level(level)
    b, v = as_arrays(params, cov)
    return _exponentiated(_inference(b, _std_errors(v), level)).set_axis(params.index)


def _expand(
    given: Expressions, names: Names, coefficient: Callable[[int], Any], constant: Callable[[float], Any]
) -> tuple[list[str], list[Any]]:
    """Labels and values of expressions, in any arithmetic."""
    if not isinstance(given, str | list | tuple | Mapping):
        raise OptionError(f"an expression is a {type(given).__name__}; give a text, a list of texts or a mapping.")
    texts = [given] if isinstance(given, str) else given
    pairs = texts.items() if isinstance(texts, Mapping) else [("", text) for text in texts]
    labels: list[str] = []
    values: list[Any] = []
    for name, text in pairs:
        for statement in read(text, names, "expression"):
            if len(statement.sides) > 1:
                raise OptionError(
                    f"expression {statement.written!r} has an equals sign; wald_test() tests restrictions."
                )
            side = statement.sides[0]
            try:
                found = cases(statement, names)
                values += [_value(side, case, coefficient, constant) for case in found]
            except OptionError as error:
                raise OptionError(f"expression {statement.written!r}: {error}") from None
            written = [case.label(statement, side) for case in found]
            labels += [name] if name and len(found) == 1 else [f"{name}: {w}" if name else w for w in written]
    if not labels:
        raise OptionError("no expression was given; name coefficients, such as '[2]educ - [3]educ'.")
    return labels, values


def _value(side: Side, case: Case, coefficient: Callable[[int], Any], constant: Callable[[float], Any]) -> Any:
    with np.errstate(all="ignore"):  # what is not finite is refused by name
        return evaluate(side.node, lambda reference: coefficient(case.places[reference]), constant)


def _constant(number: float) -> Dual:
    return Dual(np.float64(number), {})


def _rows(weights: list[dict[int, float]], columns: int) -> np.ndarray:
    out = np.zeros((len(weights), columns))
    for row, found in zip(out, weights, strict=True):
        row[list(found)] = list(found.values())
    return out


def _sandwich(gradient: np.ndarray, v: np.ndarray) -> np.ndarray:
    """G V G', reading only the coefficients that take part."""
    used = np.flatnonzero(gradient.any(axis=0))
    g, part = gradient[:, used], v[np.ix_(used, used)]
    out: np.ndarray = g @ part @ g.T
    # What cancels, as a sum over outcomes of coefficients that sum to zero, has no variance but that of rounding.
    size = (np.abs(g) @ _std_errors(part)) ** 2
    zero = np.abs(np.diag(out)) < _ROUNDING * size
    out[zero], out[:, zero] = 0.0, 0.0
    return out


def _std_errors(cov: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # nan where a covariance is not positive semi-definite
        out: np.ndarray = np.sqrt(np.diag(cov))
    return out


def _call(function: Function, params: pd.Series, b: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names and values of a callable at some coefficients."""
    value = function(pd.Series(b, index=params.index, name=params.name))
    out = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if out.ndim > 1:
        raise OptionError(f"the function returns an array of {out.ndim} dimensions; return a number or a vector.")
    name = getattr(function, "__name__", "function")
    if isinstance(value, pd.Series):
        return [str(label) for label in value.index], out
    return [name] if np.ndim(value) == 0 else [f"{name}[{k}]" for k in range(len(out))], out


def _central_differences(function: Function, params: pd.Series, b: np.ndarray, std_errors: np.ndarray) -> np.ndarray:
    """Derivatives of a callable, shape (values, coefficients)."""
    steps = _STEP * np.fmax(np.abs(b), std_errors)
    columns = []
    for i, step in enumerate(np.where(steps > 0, steps, _STEP)):
        up, down = b.copy(), b.copy()
        up[i], down[i] = b[i] + step, b[i] - step
        # The step as the machine holds it.
        columns.append((_call(function, params, up)[1] - _call(function, params, down)[1]) / (up[i] - down[i]))
    return np.column_stack(columns)


def _over_replicates(
    params: pd.Series,
    expression: Expressions | Function,
    replicates: np.ndarray,
    level: float,
    titles: Mapping[Hashable, str] | None,
) -> FunctionEstimates:
    """Standard errors and percentile intervals from bootstrap replications of the coefficients."""
    b, drawn = params.to_numpy(np.float64), np.asarray(replicates, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[1] != len(b) or len(drawn) < 2:
        raise DataError(f"replicates has shape {drawn.shape}; give at least two rows of {len(b)} coefficients.")
    if callable(expression):
        labels, values = _call(expression, params, b)
        draws = np.vstack([_call(expression, params, row)[1] for row in drawn])
    else:
        names = Names(params.index, titles)
        labels, found = _expand(expression, names, lambda i: Dual(b[i], {}), _constant)
        values = np.array([dual.value for dual in found], dtype=np.float64)
        _, found = _expand(expression, names, lambda i: Dual(drawn[:, i], {}), _constant)
        draws = np.column_stack([dual.value for dual in found])
    _check_finite(values[:, None], labels)
    good = np.isfinite(draws).all(axis=1)
    if good.sum() < 2:
        raise DataError(f"the functions have a value in {int(good.sum())} of {len(draws)} replications only.")
    notes = [f"Standard errors and percentile intervals: {int(good.sum())} bootstrap replications."]
    if not good.all():
        notes.append(f"{int((~good).sum())} replications, where a function has no value, were left out.")
    joint = np.atleast_2d(np.cov(draws[good], rowvar=False))
    frame = _inference(values, _std_errors(joint), level)
    frame["lower"], frame["upper"] = np.quantile(draws[good], [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return _packed(frame, joint, labels, level, _NONLINEAR, tuple(notes))


def _check_finite(values: np.ndarray, labels: list[str]) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        first = labels[int(np.argmax(bad))]
        raise OptionError(
            f"{first!r} has no finite value or derivative at the estimates; check divisors and logarithms."
        )


def _inference(values: np.ndarray, std_errors: np.ndarray, level: float) -> pd.DataFrame:
    half = stats.norm.ppf(0.5 + level / 2) * std_errors
    z = values / np.where(std_errors > 0, std_errors, np.nan)
    columns = {
        "estimate": values,
        "std_error": std_errors,
        "statistic": z,
        "p_value": 2 * stats.norm.sf(np.abs(z)),
        "lower": values - half,
        "upper": values + half,
    }
    return pd.DataFrame(columns)


def _exponentiated(frame: pd.DataFrame) -> pd.DataFrame:
    out = frame.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        out[["estimate", "lower", "upper"]] = np.exp(frame[["estimate", "lower", "upper"]])
        out["std_error"] = out["estimate"] * frame["std_error"]
    return out


def _packed(
    frame: pd.DataFrame, joint: np.ndarray, labels: list[str], level: float, title: str, notes: tuple[str, ...]
) -> FunctionEstimates:
    cov = pd.DataFrame(joint, index=labels, columns=labels)
    return FunctionEstimates(frame.set_axis(labels), cov, level, title, notes)
