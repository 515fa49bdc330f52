"""Values of expressions in coefficients: linear forms, and numbers with their exact derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from econllm.errors import OptionError

# A number, or one number per replication.
Real = Any
FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


@dataclass(frozen=True)
class Linear:
    """A linear form in the coefficients: weights by position, plus a constant.

    Examples
    --------
    >>> x, y = Linear({0: 1.0}), Linear({1: 1.0})
    >>> x * Linear({}, 2.0) - y + Linear({}, 0.5)
    Linear(weights={0: 2.0, 1: -1.0}, constant=0.5)
    """

    weights: dict[int, float]
    constant: float = 0.0

    def __add__(self, other: Linear) -> Linear:
        weights = _merge(self.weights, 1.0, other.weights, 1.0)
        return Linear({at: w for at, w in weights.items() if w}, _sum(self.constant, other.constant))

    def __sub__(self, other: Linear) -> Linear:
        return self + Linear({at: -w for at, w in other.weights.items()}, -other.constant)

    def __mul__(self, other: Linear) -> Linear:
        if other.weights:
            self, other = other, self
        factor = other._number("a product of coefficients")
        return Linear({at: w * factor for at, w in self.weights.items() if w * factor}, self.constant * factor)

    def __truediv__(self, other: Linear) -> Linear:
        return self * Linear({}, 1.0 / np.float64(other._number("a division by coefficients")))

    def __pow__(self, other: Linear) -> Linear:
        base, exponent = self._number("a power of coefficients"), other._number("a power of coefficients")
        return Linear({}, float(np.float64(base) ** exponent))

    def apply(self, function: str) -> Linear:
        """Apply exp, log or sqrt to a constant."""
        return Linear({}, float(FUNCTIONS[function](self._number(f"{function}() of coefficients"))))

    def _number(self, what: str) -> float:
        if self.weights:
            raise OptionError(f"it has {what}, which is not linear; nlcom() takes nonlinear functions.")
        return self.constant


@dataclass(frozen=True)
class Dual:
    """A number with its derivatives by coefficient position, or an array of them, one per replication.

    Notes
    -----
    Forward differentiation: every operation carries the exact derivative along, so that derivatives are as accurate as
    the values.

    Examples
    --------
    >>> x = Dual(4.0, {0: 1.0})
    >>> root = x.apply("sqrt")
    >>> float(root.value), float(root.gradient[0])
    (2.0, 0.25)
    """

    value: Real
    gradient: dict[int, Real]

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, _merge(self.gradient, 1.0, other.gradient, 1.0))

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, _merge(self.gradient, 1.0, other.gradient, -1.0))

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, _merge(self.gradient, other.value, other.gradient, self.value))

    def __truediv__(self, other: Dual) -> Dual:
        ratio = np.divide(self.value, other.value)
        inverse = np.divide(1.0, other.value)
        return Dual(ratio, _merge(self.gradient, inverse, other.gradient, -ratio * inverse))

    def __pow__(self, other: Dual) -> Dual:
        value = np.power(self.value, other.value)
        slope = other.value * np.power(self.value, other.value - 1.0)
        # Without a coefficient in the exponent, the base may be negative.
        rate = value * np.log(self.value) if other.gradient else 0.0
        return Dual(value, _merge(self.gradient, slope, other.gradient, rate))

    def apply(self, function: str) -> Dual:
        """Apply exp, log or sqrt."""
        value = FUNCTIONS[function](self.value)
        slope = {"exp": value, "log": np.divide(1.0, self.value), "sqrt": np.divide(0.5, value)}[function]
        return Dual(value, {at: slope * d for at, d in self.gradient.items()})


def _merge(a: dict[int, Real], times_a: Real, b: dict[int, Real], times_b: Real) -> dict[int, Real]:
    out = {at: times_a * d for at, d in a.items()}
    for at, d in b.items():
        out[at] = _sum(out[at], times_b * d) if at in out else times_b * d
    return out


def _sum(a: Real, b: Real) -> Real:
    """Add, and take for zero what is only rounding: 0.1 * 3 - 0.3 leaves no coefficient behind."""
    total = a + b
    if isinstance(total, float):
        return 0.0 if abs(total) <= 4 * np.finfo(float).eps * abs(a) else total
    return total
