"""Directed rounding on float64 arrays: every function returns a number on the stated side of the exact result.

Round to nearest is off by at most half a unit, so one step of `nextafter` reaches the other side; sums step only where they
are inexact, which their exact remainder tells.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, representable
from certify.theory.emp.effective_number import rounded_up

UNIT = 2.0**-53
LEAST = 2.0**-1074
LEAST_NORMAL = 2.0**-1022
# A compensated sum of this many terms is still right to one unit; see `sum_nonnegative`.
MOST_TERMS = 2**25


def require_ieee() -> None:
    """Refuse to certify in an arithmetic that flushes subnormals or does not round to nearest."""
    one, half, small = np.array([1.0]), np.array([UNIT]), np.array([LEAST_NORMAL])
    nearest = (one + half)[0] == 1.0 and (one + 1.5 * half)[0] > 1.0 and (-one - half)[0] == -1.0
    if not nearest or (small * 0.5)[0] == 0.0 or (np.array([LEAST]) * 2.0**1000)[0] == 0.0:
        raise Refused("arithmetic: subnormal numbers are flushed to 0 or rounding is not to nearest; no bound is sound here")


def require_full_products(times: Callable[[Array, Array], Array]) -> None:
    """Refuse a matrix product for which |fl(A B) - A B| <= gamma_n |A| |B|, entry by entry, fails. By known answers:

    - (1 + 2^-30)^2 rounds to 1 + 2^-29: TF32, bfloat16, float32 and sums in them lose the last bits;
    - 2^-1022 / 2 is no 0: flushed subnormals;
    - integers whose rows and columns are scaled by powers of two come out exactly: Strassen's, Winograd's and fixed-point
      products mix numbers of different size.
    """
    require_ieee()
    row = np.zeros((64, 64))
    row[:, 0] = 1.0 + 2.0**-30
    full = bool(np.all(times(row, np.ascontiguousarray(row.T)) == 1.0 + 2.0**-29))
    small = np.eye(2) * 2.0**-1022
    generator = np.random.default_rng(0)
    left, right = (generator.integers(-9, 10, (256, 256)).astype(np.float64) for _ in range(2))
    scale = 2.0 ** np.where(np.arange(256) % 2, 60.0, -60.0)
    swapped = scale[generator.permutation(256)]
    plain = np.array_equal(times(scale[:, None] * left, right * swapped), scale[:, None] * (left @ right) * swapped)
    if not full or not plain or times(small, 0.5 * np.eye(2))[0, 0] == 0.0:
        raise Refused(
            "arithmetic: the matrix product is not float64 throughout, flushes subnormals or mixes rows of different size; "
            "no bound is sound here"
        )


def two_sum(a: Array, b: Array | float) -> tuple[Array, Array]:
    """a + b = s + e without error, s the rounded sum (Knuth). Holds unless s overflows."""
    s = a + b
    shadow = s - a
    return s, (a - (s - shadow)) + (b - shadow)


def add_up(a: Array, b: Array | float) -> Array:
    """Least float64 >= a + b."""
    with np.errstate(over="ignore", invalid="ignore"):
        s, e = two_sum(a, b)
        return np.where(e > 0.0, np.nextafter(s, np.inf), s)


def add_down(a: Array, b: Array) -> Array:
    """Largest float64 <= a + b."""
    return -add_up(-a, -b)


def mul_up(a: Array, b: Array | float) -> Array:
    """A float64 >= a b; 0 stays 0."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.where((a == 0.0) | (b == 0.0), 0.0, np.nextafter(a * b, np.inf))


def mul_down(a: Array, b: Array | float) -> Array:
    """A float64 <= a b; 0 stays 0."""
    return -mul_up(-a, b)


def gamma(count: int) -> Fraction:
    """k u / (1 - k u), refused where k u >= 1/4."""
    share = Fraction(count, 2**53)
    if 4 * share >= 1:
        raise Refused(f"{count} terms: the a-priori bound on their rounded sum needs fewer than 2^51")
    return share / (1 - share)


def up(value: Fraction, name: str) -> float:
    """Least float64 >= a fraction."""
    try:
        return float(representable(rounded_up(value), name))
    except OverflowError:
        raise Refused(f"{name}: overflows float64; the inputs are too large for a certificate") from None


def down(value: Fraction, name: str) -> float:
    """Largest float64 <= a fraction."""
    return -up(-value, name)


def sum_nonnegative(terms: Array) -> tuple[Array, Array]:
    """Lower and upper bound on the sums along the first axis of an array of numbers >= 0, at least one term.

    The exact remainders e_k of the partial sums, |e_k| <= u S, are summed plainly: off by at most gamma_K K u S, which is
    below u S / 4 for K <= 2^25. Together with the last addition the sum is right to 1.3 u.
    """
    if len(terms) > MOST_TERMS:
        raise Refused(f"{len(terms)} terms; at most {MOST_TERMS} are summed")
    total, rest = terms[0], np.zeros_like(terms[0])
    for term in terms[1:]:
        total, remainder = two_sum(total, term)
        rest = rest + remainder
    value = total + rest
    return np.maximum(mul_down(value, 1.0 - 3.0 * UNIT), 0.0), mul_up(value, 1.0 + 4.0 * UNIT)
