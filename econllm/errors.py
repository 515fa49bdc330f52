"""Errors, warnings and the checks that raise them.

Every error of the package derives from :class:`EconLLMError`, every warning from :class:`EconLLMWarning`.
Messages name the offending column, level or option, say what was expected and, where one exists, the
nearest valid choice.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
import sys
import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Longer texts are cut in messages.
_LONGEST = 80


class EconLLMError(Exception):
    """Base class of every error raised on purpose by the package."""


class OptionError(EconLLMError, ValueError):
    """An option has a value that is not allowed."""


class DataError(EconLLMError, ValueError):
    """The data cannot be used as they are."""


class MissingColumnError(DataError):
    """A column that was asked for does not exist."""


class UnseenLevelError(DataError):
    """A factor has a level at prediction that it did not have at estimation."""


class FormulaError(EconLLMError, ValueError):
    """A formula cannot be parsed or evaluated."""


class LeakageError(FormulaError):
    """A formula uses information that is not known before the outcome."""


class ModelNotFoundError(EconLLMError, OSError):
    """The weights of a language model or encoder are not on this machine."""


class TrainingError(EconLLMError, RuntimeError):
    """Stochastic training met a number that is not finite, and cannot go on."""


class EconLLMWarning(UserWarning):
    """Base class of every warning of the package."""


class ConvergenceWarning(EconLLMWarning):
    """An optimiser stopped before its tolerance was met."""


class SeparationWarning(EconLLMWarning):
    """A column predicts an outcome perfectly, so its coefficient has no finite estimate."""


class CollinearityWarning(EconLLMWarning):
    """A column carries no information of its own and was left out."""


class CovarianceWarning(EconLLMWarning):
    """Standard errors that were asked for do not exist; the estimate does."""


class TruncationWarning(EconLLMWarning):
    """Texts were longer than a model reads."""


class SampleWarning(EconLLMWarning):
    """Persons or rows of a file were left out."""


class InfiniteScoreWarning(EconLLMWarning):
    """Some observed outcomes have probability zero, so a perplexity is infinite."""


def warn(message: str, category: type[EconLLMWarning]) -> None:
    """Warn with the place of the user's own call, however deep in the package the reason was found.

    Parameters
    ----------
    message : str
        The warning.
    category : type
        Its kind.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("x is constant", CollinearityWarning)
    >>> str(caught[0].message)
    'x is constant'
    """
    level, frame = 1, sys._getframe()
    inside = os.path.dirname(__file__) + os.sep
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def did_you_mean(value: Hashable, allowed: Iterable[Hashable]) -> str:
    """Say which allowed name is nearest to a wrong one.

    Parameters
    ----------
    value : hashable
        The name that was given.
    allowed : iterable of hashable
        The names that would have been valid.

    Returns
    -------
    str
        ``" Did you mean 'x'?"``, or the empty string when nothing is near.

    Examples
    --------
    >>> did_you_mean("educc", ["educ", "exper"])
    " Did you mean 'educ'?"
    """
    names = {str(name): name for name in allowed}
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.6)
    if not near:  # 'L2' shares no more than a digit with 'l2'
        names = {name.casefold(): original for name, original in names.items()}
        near = difflib.get_close_matches(str(value).casefold(), names, n=1, cutoff=0.6)
    return f" Did you mean {plain_value(names[near[0]])!r}?" if near else ""


def listing(values: Iterable[Any], limit: int = 5) -> str:
    """Join the first few values for a message, saying how many were left out.

    Examples
    --------
    >>> listing([1, 2, 3], limit=2)
    '1, 2 (and 1 more)'
    """
    items = [plain_value(v) for v in values]
    text = ", ".join(repr(v) for v in items[:limit])
    return text + (f" (and {len(items) - limit} more)" if len(items) > limit else "")


def plain_value(value: Any) -> Any:
    """Turn a NumPy scalar, or a tuple of them, into what Python prints plainly; other values stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> plain_value((np.int64(1), np.float64(0.5)))
    (1, 0.5)
    """
    if isinstance(value, tuple):
        return tuple(plain_value(part) for part in value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def refusal(name: str, value: Any, verdict: str, advice: str) -> str:
    """Write the message that refuses the value of an option, without printing data by mistake.

    Parameters
    ----------
    name : str
        The option.
    value : object
        What was given. Texts and numbers are printed, of other objects the type only.
    verdict : str
        What the value is not, such as "not an option".
    advice : str
        What to do.

    Returns
    -------
    str

    Examples
    --------
    >>> refusal("penalty", "l3", "not an option", "choose 'l2'")
    "penalty='l3' is not an option: choose 'l2'."
    >>> refusal("penalty", pd.DataFrame({"wage": [12.5]}), "not an option", "choose 'l2'")
    "penalty is a DataFrame, which is not an option: choose 'l2'; data go to fit()."
    """
    value = plain_value(value)
    if value is None or isinstance(value, str | bytes | numbers.Number):
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."
        return f"{name}={shown} is {verdict}: {advice}."
    kind = type(value).__name__
    hint = "; data go to fit()" if kind in ("DataFrame", "Series", "CareerPanel") else ""
    return f"{name} is a {kind}, which is {verdict}: {advice}{hint}."


def check_option(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise unless `value` is one of the allowed values of an option.

    Raises
    ------
    OptionError
        Naming the option, the value, the allowed values and the nearest of them.

    Examples
    --------
    >>> check_option("pooling", "mean", ["mean", "cls"])
    """
    for choice in allowed:
        if type(value) is type(choice) and value == choice:
            return
    choices = ", ".join(repr(v) for v in allowed)
    message = refusal(name, value, "not an option", f"choose one of {choices}")
    near = did_you_mean(value, allowed) if isinstance(value, str | numbers.Number) else ""
    raise OptionError(message + near)


def check_number(
    name: str, value: Any, *, minimum: float | None = None, above: float | None = None, integer: bool = False
) -> None:
    """Raise unless `value` is a finite number (no boolean) within bounds.

    Parameters
    ----------
    name : str
        The option, for the message.
    value : object
        What was given.
    minimum, above : float, optional
        Smallest allowed value, and a bound that must be exceeded.
    integer : bool
        Whether only whole numbers are allowed.

    Raises
    ------
    OptionError
        Naming the option, the value and the bound.

    Examples
    --------
    >>> check_number("replications", 10, minimum=2, integer=True)
    """
    kind = numbers.Integral if integer else numbers.Real
    bound = f" of at least {minimum}" if minimum is not None else f" above {above}" if above is not None else ""
    wanted = f"{'a whole number' if integer else 'a finite number'}{bound}"
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    good = good and (minimum is None or value >= minimum) and (above is None or value > above)
    if not good:
        raise OptionError(refusal(name, value, "not allowed", f"give {wanted}"))


def check_share(name: str, value: Any) -> None:
    """Raise unless `value` is a number from 0 up to but not including 1.

    Raises
    ------
    OptionError
        Naming the option and the value.

    Examples
    --------
    >>> check_share("dropout", 0.2)
    """
    check_number(name, value, minimum=0)
    if value >= 1:
        raise OptionError(refusal(name, value, "not allowed", "give a share of at least 0 and below 1"))


def check_columns(df: pd.DataFrame, columns: Iterable[Hashable], what: str) -> None:
    """Raise unless every column is in the frame.

    Raises
    ------
    MissingColumnError
        Naming the role, the absent column and the nearest present one.

    Examples
    --------
    >>> check_columns(pd.DataFrame({"educ": [1]}), ["educ"], "dynamic")
    """
    for column in columns:
        if column not in df.columns:
            raise MissingColumnError(
                f"{what} column {column!r} is not in the data frame.{did_you_mean(column, df.columns)}"
                f" Its columns are {listing(df.columns, 12)}."
            )
        if isinstance(df[column], pd.DataFrame):
            raise DataError(f"{what} column {column!r} occurs more than once in the data frame; names must be unique.")
