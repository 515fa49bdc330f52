"""The functions that formulas may call, besides the panel terms and embed()."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from formulaic.transforms import TRANSFORMS

from econllm.errors import FormulaError
from econllm.formula.values import FactorValue, NumericValue, as_factor, as_numbers


class SkipMissing:
    """A stateful transform that looks only at values that are there: formulaic's mean of a column with gaps is nan.

    Examples
    --------
    >>> SkipMissing(TRANSFORMS["center"])(pd.Series([1.0, 3.0, None])).tolist()
    [-1.0, 1.0, nan]
    """

    __is_stateful_transform__ = True

    def __init__(self, transform: Callable[..., Any]) -> None:
        self._transform = transform

    def __call__(self, data: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Transform the values that are there; nan elsewhere."""
        values = as_numbers(data)
        missing = np.isnan(values)
        there = ~(missing if values.ndim == 1 else missing.any(axis=1))
        out = np.full(values.shape, np.nan)
        out[there] = self._transform(values[there], *args, **kwargs)
        return out


# Left out of formulaic's: its lag crosses persons, its contrasts bypass the coding rules of this package, and Q() would
# name columns by a text that the check for leakage does not read (backquotes do the same).
FUNCTIONS: dict[str, Any] = {
    **{name: TRANSFORMS[name] for name in ("I", "np", "poly", "bs", "cs", "cr", "cc")},
    **{name: TRANSFORMS[name] for name in ("log", "log2", "log10", "exp", "exp2", "exp10")},
    **{name: SkipMissing(TRANSFORMS[name]) for name in ("center", "scale", "standardize")},
}


def categorical(columns: Mapping[str, pd.Series], levels: Mapping[Hashable, pd.Index]) -> Callable[..., FactorValue]:
    """Make the function C() of formulas; a bare column takes the levels that were frozen with the panel.

    Examples
    --------
    >>> categorical({}, {})(pd.Series([2, 1])).levels.tolist()
    [1, 2]
    """

    def C(x: Any, base: object | None = None) -> FactorValue:
        """Treat a column as categories; `base` is the reference level under treatment coding."""
        if isinstance(x, FactorValue):
            return FactorValue(x.codes, x.levels, base, x.lagged)
        if isinstance(x, NumericValue):
            raise FormulaError("C() takes a column; for the category of an earlier record write lag(C(x)).")
        name = getattr(x, "name", None)
        frozen = levels.get(name) if x is columns.get(str(name)) else None
        return as_factor(pd.Series(x), frozen, base)

    return C
