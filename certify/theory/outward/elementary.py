"""exp and its relatives between two float64 numbers, proved; no function of the platform's libm is trusted.

Write u = 2^-53 and c = ln 2 / 64 = C1 + C2 + (an error below 2^-91), C1 of 32 bits. For n = round(x / c):

    exp(x) = 2^k T_j (1 + expm1(r)),   n = 64 k + j,  -32 <= j < 32,  T_j = 2^(j/64),  r = x - n c,  |r| < 0.0055

n C1 is exact (n has 17 bits), and so is x - n C1 (a multiple of 2^-60 below 2^-7). Rounding n C2 and subtracting it puts r
off by less than 0.005 u. q = r + r^2 (1/2 + r/6 + r^2/24 + r^3/120 + r^4/720) leaves r^7/5040, 0.05 u |r|, and rounds by
1.02 u |q|: 1.1 u |q| + 0.005 u together. The rounded T_j adds u, the last addition u: exp is right to 2.1 u. Near 0, where
k = 0, T_j - 1 + T_j q is right to 8 u: the rounded T_j - 1 adds 2.1 u, 0.022 u over |x| >= 0.0053 4.1 u, the last addition u.

log1p takes the platform's value as a guess y and encloses what is left: log1p(e) = y + log1p(t), t = exp(-y) (e - expm1(y)),
t - 2 t^2 <= log1p(t) <= t.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import isqrt

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, finite
from certify.theory.outward._rounding import LEAST, UNIT, add_down, add_up, mul_down, mul_up

_C1 = float.fromhex("0x1.62e42feep-7")
_C2 = float.fromhex("0x1.a39ef35793c76p-39")
_INVERSE = 92.33248261689366
_STEPS = 64
_HIGHEST, _LOWEST = 709.0, -746.0
_LARGE = 2.0**500

Pair = tuple[Array, Array]


def exp_bounds(x: Array, error: Array | float = 0.0) -> Pair:
    """Enclosure of the exponential.

        lower <= exp(x + d) <= upper   for every |d| <= error

    x     : any shape, finite.
    error : of the same shape or one number, 0 <= error <= 1/2.
    Returns two arrays; relative width 16 u + 4 error. Below 2^-1022 they are one or two subnormal steps apart, above e^709
    the upper end is inf.
    Claim X29-elementary (theory/mp-certificates.md, X29.5).
    """
    x = finite(x, "x")
    k, _, value = _reduced(x)
    slack = 4.0 * UNIT + 2.0 * np.asarray(error, dtype=np.float64)
    with np.errstate(under="ignore", over="ignore"):
        high = np.nextafter(np.ldexp(value * np.nextafter(1.0 + slack, np.inf), k), np.inf)
        low = np.nextafter(np.ldexp(value * np.nextafter(1.0 - slack, -np.inf), k), -np.inf)
    high = np.where(x > _HIGHEST, np.inf, np.where(x < _LOWEST + 0.5, LEAST, high))
    return np.where(x < _LOWEST + 0.5, 0.0, np.maximum(low, 0.0)), high


def expm1_bounds(x: Array) -> Pair:
    """Enclosure of exp(x) - 1 that keeps its digits near 0.

        lower <= exp(x) - 1 <= upper

    x : any shape, finite.
    Returns two arrays, relative width about 50 u; exactly 0 at 0.
    Claim X29-elementary (theory/mp-certificates.md, X29.5).
    """
    x = finite(x, "x")
    k, small, _ = _reduced(x)
    wide = 10.0 * UNIT
    low, high = exp_bounds(x)
    one = np.ones_like(x)
    near = k == 0
    with np.errstate(under="ignore"):
        near_low = np.nextafter(small * np.where(small > 0.0, 1.0 - wide, 1.0 + wide), -np.inf)
        near_high = np.nextafter(small * np.where(small > 0.0, 1.0 + wide, 1.0 - wide), np.inf)
    low, high = np.where(near, near_low, add_down(low, -one)), np.where(near, near_high, add_up(high, -one))
    return np.where(x == 0.0, 0.0, low), np.where(x == 0.0, 0.0, high)


def log1p_bounds(e: Array) -> Pair:
    """Enclosure of log(1 + e) that keeps its digits near 0.

        lower <= log(1 + e) <= upper

    e : any shape, >= -1/2; inf is allowed.
    Returns two arrays, relative width about 45 u; beyond 2^500 the upper end is inf.
    Claim X29-elementary (theory/mp-certificates.md, X29.5).
    """
    if not np.all(e >= -0.5):
        raise Refused("log1p: an argument below -1/2 or NaN")
    inside = np.minimum(e, _LARGE)
    guess = np.log1p(inside)
    grown, shrunk = expm1_bounds(guess), exp_bounds(-guess)
    gap_low, gap_high = add_down(inside, -grown[1]), add_up(inside, -grown[0])
    rest_high = mul_up(gap_high, np.where(gap_high > 0.0, shrunk[1], shrunk[0]))
    rest_low = mul_down(gap_low, np.where(gap_low > 0.0, shrunk[0], shrunk[1]))
    if not np.all(np.maximum(np.abs(rest_low), np.abs(rest_high)) <= 0.25):
        raise Refused("log1p: the platform's logarithm is wrong in its leading digits")
    bend = 2.0 * mul_up(np.abs(rest_low), np.abs(rest_low))
    high = np.minimum(add_up(guess, rest_high), inside)
    low = add_down(guess, add_down(rest_low, -bend))
    return np.where(inside >= 0.0, np.maximum(low, 0.0), low), np.where(e > _LARGE, np.inf, high)


def softplus_bounds(a: Array) -> Pair:
    """Enclosure of log(1 + exp(a)), the cross-entropy at log-odds a against the true class.

        lower <= max(a, 0) + log(1 + exp(-|a|)) <= upper

    a : any shape, finite.
    Returns two arrays, relative width about 60 u, down to exp(-745).
    Claim X29-elementary (theory/mp-certificates.md, X29.5).
    """
    low, high = exp_bounds(-np.abs(finite(a, "a")))
    base = np.maximum(a, 0.0)
    return add_down(base, log1p_bounds(low)[0]), add_up(base, log1p_bounds(high)[1])


def _reduced(x: Array) -> tuple[np.ndarray, Array, Array]:
    """(k, expm1(x) where k = 0, exp(x) 2^-k) of the clipped argument."""
    inside = np.clip(x, _LOWEST, _HIGHEST)
    n = np.rint(inside * _INVERSE)
    r = (inside - n * _C1) - n * _C2
    q = r + r * r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)))))
    whole = n.astype(np.int64)
    k = (whole + _STEPS // 2) // _STEPS
    powers, less_one = _tables()
    j = whole - _STEPS * k + _STEPS // 2
    rest = powers[j] * q
    return k, less_one[j] + rest, powers[j] + rest


@cache
def _tables() -> Pair:
    """2^(j/64) and 2^(j/64) - 1 for j = -32..31, rounded to nearest from whole numbers: no logarithm is involved."""
    bits = 256
    root = 2 << bits
    for _ in range(6):
        root = isqrt(root << bits)
    step = Fraction(root, 1 << bits)
    exact = [step**j for j in range(-_STEPS // 2, _STEPS // 2)]
    return np.array([float(value) for value in exact]), np.array([float(value - 1) for value in exact])
