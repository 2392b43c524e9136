"""Arithmetics that enclose: balls of Arb, intervals of mpmath, and either of them with partial derivatives.

All round outward. They share operators with each other and with whole numbers, and the functions of `Flint`. A function is
written once, `f(a, x, y)`, with `a` the arithmetic: `a.exp(x)`, `a.sqrt(x)`, constants `a.number(Fraction(1, 3))`, `a.pi`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

BITS = 80

Function = Callable[..., Any]
Number = int | float | Fraction


class Flint:
    """Balls of Arb."""

    name = "flint"

    def __init__(self) -> None:
        import flint

        self._flint, self._ball = flint, flint.arb

    @contextmanager
    def precise(self) -> Iterator[None]:
        before, self._flint.ctx.prec = self._flint.ctx.prec, BITS
        try:
            yield
        finally:
            self._flint.ctx.prec = before

    @property
    def pi(self) -> Any:
        return self._ball.pi()

    def number(self, value: Number) -> Any:
        if isinstance(value, Fraction):
            return self._ball(value.numerator) / value.denominator
        return self._ball(value)

    def interval(self, low: float, high: float) -> Any:
        return self._ball(low).union(self._ball(high))

    def ends(self, x: Any) -> tuple[float, float]:
        """Floats around x; infinite where x is not bounded."""
        below, above = x.lower(), x.upper()
        low, high = float(below), float(above)
        if math.isnan(low) or math.isnan(high):
            return -math.inf, math.inf
        low = low if self._ball(low) <= below else math.nextafter(low, -math.inf)
        return low, high if self._ball(high) >= above else math.nextafter(high, math.inf)

    def exp(self, x: Any) -> Any:
        return x.exp()

    def expm1(self, x: Any) -> Any:
        return x.expm1()

    def log(self, x: Any) -> Any:
        return x.log()

    def log1p(self, x: Any) -> Any:
        return x.log1p()

    def sqrt(self, x: Any) -> Any:
        """Of a quantity that is nonnegative on the whole box; what its enclosure has below 0 is cut off."""
        return x.nonnegative_part().sqrt()

    def square(self, x: Any) -> Any:
        low, high = x.abs_lower(), x.abs_upper()
        return (low * low).union(high * high)

    def erf(self, x: Any) -> Any:
        return x.erf()

    def erfc(self, x: Any) -> Any:
        return x.erfc()

    def atan(self, x: Any) -> Any:
        return x.atan()

    def cos(self, x: Any) -> Any:
        return x.cos()

    def sin(self, x: Any) -> Any:
        return x.sin()


class Mpmath:
    """Intervals of mpmath. erf is a series with its remainder; it is monotone, so its two ends are enough."""

    name = "mpmath"

    def __init__(self) -> None:
        from mpmath import iv

        self._iv = iv

    @contextmanager
    def precise(self) -> Iterator[None]:
        before, self._iv.prec = self._iv.prec, BITS
        try:
            yield
        finally:
            self._iv.prec = before

    @property
    def pi(self) -> Any:
        return +self._iv.pi

    def number(self, value: Number) -> Any:
        if isinstance(value, Fraction):
            return self._iv.mpf(value.numerator) / value.denominator
        return self._iv.mpf(value)

    def interval(self, low: float, high: float) -> Any:
        return self._iv.mpf([low, high])

    def ends(self, x: Any) -> tuple[float, float]:
        """Floats around x; infinite where x is not bounded."""
        low, high = float(x.a), float(x.b)
        if math.isnan(low) or math.isnan(high):
            return -math.inf, math.inf
        low = low if low <= x.a else math.nextafter(low, -math.inf)
        return low, high if high >= x.b else math.nextafter(high, math.inf)

    def exp(self, x: Any) -> Any:
        return self._iv.exp(x)

    def expm1(self, x: Any) -> Any:
        return self._iv.exp(x) - 1

    def log(self, x: Any) -> Any:
        return self._iv.log(x) if x.a > 0 else self._iv.mpf(["-inf", "inf"])

    def log1p(self, x: Any) -> Any:
        return self.log(1 + x)

    def sqrt(self, x: Any) -> Any:
        """Of a quantity that is nonnegative on the whole box; what its enclosure has below 0 is cut off."""
        return self._iv.sqrt(x if x.a >= 0 else self._iv.mpf([0, max(x.b, 0)]))

    def square(self, x: Any) -> Any:
        return x**2

    def erf(self, x: Any) -> Any:
        low, high = self._erf(self._iv.mpf(x.a)), self._erf(self._iv.mpf(x.b))
        return self._iv.mpf([low.a, high.b])

    def erfc(self, x: Any) -> Any:
        return 1 - self.erf(x)

    def atan(self, x: Any) -> Any:
        return self._iv.atan2(x, self._iv.mpf(1))

    def cos(self, x: Any) -> Any:
        return self._iv.cos(x)

    def sin(self, x: Any) -> Any:
        return self._iv.sin(x)

    def _erf(self, x: Any) -> Any:
        """(2 x / sqrt pi) e^(-x^2) sum_k (2 x^2)^k / (2k + 1)!!, cut where the terms fall by half each; e^(-x^2) beyond 6."""
        if x.b < 0:
            return -self._erf(-x)
        square = x * x
        if x.b > 6:
            return self._iv.mpf([(1 - self._iv.exp(-square)).a, 1])
        term, total, order = self._iv.mpf(1), self._iv.mpf(1), 0
        while order < 8 * square.b + 8 or term.b > 2.0**-BITS:
            order += 1
            term = term * 2 * square / (2 * order + 1)
            total = total + term
        total = total + self._iv.mpf([0, term.b])
        return 2 * x * self._iv.exp(-square) * total / self._iv.sqrt(self.pi)


@dataclass(frozen=True)
class Slope:
    """A value and its partial derivatives."""

    value: Any
    parts: tuple[Any, ...]

    def chain(self, value: Any, factor: Any) -> Slope:
        return Slope(value, tuple(factor * part for part in self.parts))

    def __neg__(self) -> Slope:
        return Slope(-self.value, tuple(-part for part in self.parts))

    def __add__(self, other: Any) -> Slope:
        if isinstance(other, Slope):
            return Slope(self.value + other.value, tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))
        return Slope(self.value + other, self.parts)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Slope:
        return self + (-other)

    def __rsub__(self, other: Any) -> Slope:
        return -self + other

    def __mul__(self, other: Any) -> Slope:
        if isinstance(other, Slope):
            pairs = zip(self.parts, other.parts, strict=True)
            return Slope(self.value * other.value, tuple(a * other.value + b * self.value for a, b in pairs))
        return self.chain(self.value * other, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Slope:
        if isinstance(other, Slope):
            ratio = self.value / other.value
            return Slope(ratio, tuple((a - ratio * b) / other.value for a, b in zip(self.parts, other.parts, strict=True)))
        return Slope(self.value / other, tuple(part / other for part in self.parts))

    def __rtruediv__(self, other: Any) -> Slope:
        ratio = other / self.value
        return Slope(ratio, tuple(-ratio * part / self.value for part in self.parts))


class Slopes:
    """The same functions on values with their partial derivatives by `size` variables (chain rule)."""

    def __init__(self, base: Flint | Mpmath | Slopes, size: int) -> None:
        self.base, self._size = base, size
        self._none = (base.number(0),) * size

    def variables(self, values: Sequence[Any]) -> list[Slope]:
        one = self.base.number(1)
        return [Slope(x, (*self._none[:i], one, *self._none[i + 1 :])) for i, x in enumerate(values)]

    def constant(self, value: Any) -> Slope:
        return Slope(value, self._none)

    def number(self, value: Number) -> Slope:
        return self.constant(self.base.number(value))

    @property
    def pi(self) -> Slope:
        return self.constant(self.base.pi)

    def exp(self, x: Slope) -> Slope:
        return self._chain(self.base.exp, x, lambda _, y: y)

    def expm1(self, x: Slope) -> Slope:
        return self._chain(self.base.expm1, x, lambda v, _: self.base.exp(v))

    def log(self, x: Slope) -> Slope:
        return self._chain(self.base.log, x, lambda v, _: 1 / v)

    def log1p(self, x: Slope) -> Slope:
        return self._chain(self.base.log1p, x, lambda v, _: 1 / (1 + v))

    def sqrt(self, x: Slope) -> Slope:
        return self._chain(self.base.sqrt, x, lambda _, y: 1 / (2 * y))

    def square(self, x: Slope) -> Slope:
        return self._chain(self.base.square, x, lambda v, _: 2 * v)

    def erf(self, x: Slope) -> Slope:
        return self._chain(self.base.erf, x, lambda v, _: self._bell(v))

    def erfc(self, x: Slope) -> Slope:
        return self._chain(self.base.erfc, x, lambda v, _: -self._bell(v))

    def atan(self, x: Slope) -> Slope:
        return self._chain(self.base.atan, x, lambda v, _: 1 / (1 + self.base.square(v)))

    def cos(self, x: Slope) -> Slope:
        return self._chain(self.base.cos, x, lambda v, _: -self.base.sin(v))

    def sin(self, x: Slope) -> Slope:
        return self._chain(self.base.sin, x, lambda v, _: self.base.cos(v))

    def _bell(self, x: Any) -> Any:
        return 2 * self.base.exp(-self.base.square(x)) / self.base.sqrt(self.base.pi)

    @staticmethod
    def _chain(function: Callable[[Any], Any], x: Slope, slope: Callable[[Any, Any], Any]) -> Slope:
        value = function(x.value)
        return x.chain(value, slope(x.value, value))


def arithmetic() -> Flint | Mpmath:
    """The fastest one installed."""
    return Flint() if find_spec("flint") else Mpmath()


def partial(a: Flint | Mpmath | Slopes, f: Function, values: Sequence[Any], axis: int) -> Any:
    """The partial derivative of f(a, *values) by one of them, in the arithmetic a; nests."""
    slopes = Slopes(a, 1)
    inputs = [Slope(x, (a.number(int(i == axis)),)) for i, x in enumerate(values)]
    return f(slopes, *inputs).parts[0]
