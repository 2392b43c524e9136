"""The door of the exact twins: floats, whole numbers or fractions become rationals without rounding."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Whole, finite
from certify.theory.emp.effective_number import fraction_of

Scalar = Rational | float
Exact = npt.NDArray[Any]
"""An array of fractions."""
Numbers = Any
"""A float64 array (each entry is the dyadic rational it stands for), or whole numbers and fractions in any nesting."""

_MANTISSA = 53


class Scaled(NamedTuple):
    """An array of rationals as whole numbers over one denominator, so that dot products run in integers."""

    whole: Exact
    denominator: int

    def fractions(self) -> Exact:
        return _each(lambda value: Fraction(value, self.denominator), self.whole)


def scaled(value: Numbers, name: str, shape: tuple[int | None, ...] | None = None) -> Scaled:
    """The array over its common denominator; the refusals of `finite`."""
    array = _shaped(value, name, shape)
    if array.dtype != np.object_:
        return _dyadic(array)
    denominator = math.lcm(1, *(entry.denominator for entry in array.flat))
    return Scaled(_each(lambda entry: entry.numerator * (denominator // entry.denominator), array), denominator)


def scaled_at_least(value: Numbers, name: str, low: int, shape: tuple[int | None, ...] | None = None) -> Scaled:
    """A scaled array whose entries are all >= low."""
    array = scaled(value, name, shape)
    if array.whole.size and array.whole.min() < low * array.denominator:
        raise Refused(f"{name}: smallest entry {float(array.fractions().min())!r}; at least {low} is required")
    return array


def dot(*factors: Scaled) -> Fraction:
    """Sum over all entries of the entrywise product."""
    product, denominator = factors[0].whole, factors[0].denominator
    for factor in factors[1:]:
        product, denominator = product * factor.whole, denominator * factor.denominator
    return Fraction(int(product.sum()), denominator)


def exact(value: Numbers, name: str, shape: tuple[int | None, ...] | None = None) -> Exact:
    """The array as fractions; the refusals of `finite`."""
    array = _shaped(value, name, shape)
    return array if array.dtype == np.object_ else _each(Fraction, array)


def at_least(value: Numbers, name: str, low: int, shape: tuple[int | None, ...] | None = None) -> Exact:
    """An exact array whose entries are all >= low."""
    return scaled_at_least(value, name, low, shape).fractions()


def rational(value: Scalar, name: str, low: int | None = None, high: int | None = None) -> Fraction:
    """One rational in [low, high]."""
    try:
        found = fraction_of(value.item() if isinstance(value, np.generic | np.ndarray) else value)
    except (Refused, ValueError):
        raise Refused(f"{name}: {value!r}; a whole number, a fraction or a finite float is expected") from None
    if (low is not None and found < low) or (high is not None and found > high):
        raise Refused(f"{name}: {float(found)!r}; a number in [{low}, {high}] is expected")
    return found


def mean(values: Numbers, name: str) -> Fraction:
    """Mean of a (T,) array, T >= 1."""
    array = scaled(values, name, (None,))
    return Fraction(int(array.whole.sum()), array.denominator * len(array.whole))


def logits_and_labels(logits: Numbers, labels: npt.ArrayLike) -> tuple[Exact, Whole]:
    """(T, K) logits with K >= 2, and (T,) whole labels in 0..K-1."""
    z = exact(logits, "logits", (None, None))
    if z.shape[1] < 2:
        raise Refused("logits: one class; a margin needs at least two")
    label = np.asarray(labels)
    if label.dtype.kind not in "iu" or label.shape != (len(z),):
        raise Refused(f"labels: {label.dtype} {label.shape}; {len(z)} class numbers are expected")
    if label.min() < 0 or label.max() >= z.shape[1]:
        raise Refused(f"labels: from {label.min()} to {label.max()}; 0 to {z.shape[1] - 1} are allowed")
    return z, label.astype(np.int64)


def _shaped(value: Numbers, name: str, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """A float64 array, or an object array of fractions."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return finite(array, name, shape)
    finite(np.zeros(array.shape), name, shape)
    try:
        return _each(fraction_of, array)
    except Refused as refused:
        raise Refused(f"{name}: {refused}") from None


def _dyadic(array: np.ndarray) -> Scaled:
    mantissa, exponent = np.frexp(array)
    integer = np.ldexp(mantissa, _MANTISSA).astype(np.int64)
    low = int(exponent[integer != 0].min()) if np.any(integer) else 0
    power = min(low - _MANTISSA, 0)
    shift = np.where(integer == 0, 0, exponent - _MANTISSA - power)
    return Scaled(_each(lambda m, k: int(m) << int(k), integer, shift), 1 << -power)


def _each(function: Any, *arrays: np.ndarray) -> Exact:
    result = np.empty(arrays[0].shape, dtype=np.object_)
    for index, entries in enumerate(zip(*(array.flat for array in arrays), strict=True)):
        result.flat[index] = function(*entries)
    return result
