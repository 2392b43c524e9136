"""Formulas for path enclosures that fail as first written (methods/path-enclosures.md, sections 5.2, 5.3 and 5.5)."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np

from certify.theory.activations import gelu_slope_range
from certify.theory.enclosure import coefficient_sum_upper, linear_rounding_upper, normalised_change_upper, normalised_gain
from proofs_check.checks import Check
from proofs_check.counterexamples.core import Refutation, Relation

UNIT = Fraction(1, 2**53)


def gamma(steps: int) -> Fraction:
    """k u / (1 - k u), u = 2^-53."""
    return steps * UNIT / (1 - steps * UNIT)


def _deviation(x: np.ndarray) -> float:
    """Standard deviation with the divisor n, the denominator of a LayerNorm without its constant."""
    return float(np.sqrt(np.mean((x - x.mean()) ** 2)))


def _normal(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / _deviation(x)


TUBE = np.linspace(0.0, 1.0, 1001)


def _entrywise(x: np.ndarray, e: np.ndarray, index: int, *, tube: bool) -> float:
    """(|Ce|_i + |xhat_i| mean(|xhat| |Ce|)) / sigma_min on the segment from x to x + e; xhat at x, or its largest size there."""
    points = [x + t * e for t in TUBE]
    size = np.max([np.abs(_normal(p)) for p in points], axis=0) if tube else np.abs(_normal(x))
    return float(normalised_change_upper(e, size, min(_deviation(p) for p in points))[index])


LAYER_NORM = Refutation(
    "ER-PE-layernorm",
    "floats",
    "x = (1,-1,0,0), e = (0,0,1/2,-1/2), eps = 0: xhat at x vanishes where e does not, so the bound on the first output is 0; "
    "it moves from sqrt 2 = 1.414 to 2/sqrt 2.5 = 1.265. With the largest xhat of the tube the bound is .316",
    lambda x, e, index: {"sigma > 0 on the segment": min(_deviation(x + t * e) for t in TUBE) > 0.0},
    lambda x, e, index: Relation(
        "|dy_i| <= the entrywise bound, xhat at the centre",
        float(abs(_normal(x + e) - _normal(x))[index]),
        "<=",
        _entrywise(x, e, index, tube=False),
    ),
    lambda x, e, index: Relation(
        "|dy_i| <= the entrywise bound, xhat over the tube",
        float(abs(_normal(x + e) - _normal(x))[index]),
        "<=",
        _entrywise(x, e, index, tube=True),
    ),
    {"x": np.array([1.0, -1.0, 0.0, 0.0]), "e": np.array([0.0, 0.0, 0.5, -0.5]), "index": 0},
    {"x": np.array([1.0, -1.0, 0.0, 0.0]), "e": np.array([0.1, -0.1, 0.0, 0.0]), "index": 0},
)


def _square_terms(coefficients: list[Fraction], degree: int) -> tuple[Fraction, Fraction]:
    """(p - a_0)^2 at u = 1: its part of degree > d, and the sum of absolute values of that part."""
    w = [Fraction(0), *coefficients[1:]]
    product = [Fraction(0)] * (2 * len(w) - 1)
    for i, a in enumerate(w):
        for j, b in enumerate(w):
            product[i + j] += a * b
    return sum(product[degree + 1 :], Fraction(0)), sum(map(abs, product[degree + 1 :]), Fraction(0))


HORNER = Refutation(
    "ER-PE-horner",
    "rationals",
    "phi(x) = x^2, d = 2, p = u + u^2, no remainder: phi(p) = u^2 + 2u^3 + u^4, kept up to degree 2; the stated remainder "
    "(third derivative 0, e = 0) is 0, at u = 1 it has to be 3",
    lambda coefficients, degree: {"phi''' = 0 and e = 0": degree >= 2, "p has degree <= d": len(coefficients) <= degree + 1},
    lambda coefficients, degree: Relation(
        "|phi(p) - kept part| at u = 1 <= 0", abs(_square_terms(coefficients, degree)[0]), "<=", Fraction(0)
    ),
    lambda coefficients, degree: Relation(
        "|phi(p) - kept part| at u = 1 <= truncated terms",
        abs(_square_terms(coefficients, degree)[0]),
        "<=",
        _square_terms(coefficients, degree)[1],
    ),
    {"coefficients": [Fraction(0), Fraction(1), Fraction(1)], "degree": 2},
    {"coefficients": [Fraction(0), Fraction(1)], "degree": 2},
)


def _gelu_slope(x: float) -> Fraction:
    """Phi(x) + x phi(x) to 40 digits, as a fraction of that precision."""
    with mpmath.workdps(40):
        value = mpmath.ncdf(x) + mpmath.mpf(x) * mpmath.npdf(x)
        return Fraction(int(mpmath.floor(value * mpmath.mpf(10) ** 30)), 10**30)


GELU = Refutation(
    "ER-PE-gelu",
    "40 digits",
    "x = 1.4142: GELU'(x) = Phi(x) + x phi(x) = 1.1289041..., above 1.12890 (and below 1.128905)",
    lambda x: {"a real number": math.isfinite(x)},
    lambda x: Relation("GELU'(x) <= 1.12890", _gelu_slope(x), "<=", Fraction(112890, 100000)),
    lambda x: Relation("GELU'(x) <= 1.128905", _gelu_slope(x), "<=", Fraction(gelu_slope_range()[1])),
    {"x": 1.4142},
    {"x": 1.0},
)


def _attention_gain(x: np.ndarray, scale: float, step: float = 1e-6) -> float:
    """Stretch of x + gamma LN(x), the attention half for one token with W_O W_V = I, along (1,1,-2)."""
    e = np.array([1.0, 1.0, -2.0])
    after, before = ((x + t * e) + scale * _normal(x + t * e) for t in (step, 0.0))
    return float(np.linalg.norm(after - before) / (step * np.linalg.norm(e)))


ATTENTION = Refutation(
    "ER-PE-attention",
    "floats",
    "one token (softmax = 1), W_V = W_O = I, LayerNorm scale 8, x = (1,-1,0), sigma = .816: along (1,1,-2) the half-block "
    "stretches by 1 + 8/sigma = 10.8; without gamma the bound is 1 + 1/sigma = 2.22",
    lambda x, scale: {"sigma > 0": _deviation(x) > 0.0, "no LayerNorm constant": True},
    lambda x, scale: Relation(
        "stretch <= 1 + ||P|| ||W_V|| ||W_O|| / sigma",
        _attention_gain(x, scale),
        "<=",
        (1.0 + 1.0 / _deviation(x)) * (1.0 + 1e-5),
    ),
    lambda x, scale: Relation(
        "stretch <= 1 + ||P|| ||W_V diag(gamma)|| ||W_O|| / sigma",
        _attention_gain(x, scale),
        "<=",
        (1.0 + normalised_gain(np.eye(3), np.full(3, scale), _deviation(x))) * (1.0 + 1e-5),
    ),
    {"x": np.array([1.0, -1.0, 0.0]), "scale": 8.0},
    {"x": np.array([1.0, -1.0, 0.0]), "scale": 1.0},
)


def _rounded_sum(a: float, bias: float) -> Fraction:
    """|fl(a + b) - (a + b)|."""
    return abs(Fraction(a + bias) - Fraction(a) - Fraction(bias))


BIAS = Refutation(
    "ER-PE-bias",
    "rationals",
    "n = 1, W = 1, a_0 = 2^-60, b = 1: fl(a_0 + b) = 1 is off by 2^-60, gamma_3 |W| |a_0| is 3 2^-113; u (|b| + |a_0|) covers it",
    lambda a, bias: {"|W a_0| and b finite": math.isfinite(a + bias)},
    lambda a, bias: Relation(
        "rounding of W a_0 + b <= gamma_{n+2} |W| |a_0|", _rounded_sum(a, bias), "<=", gamma(3) * abs(Fraction(a))
    ),
    lambda a, bias: Relation(
        "rounding of W a_0 + b <= gamma_{n+2} |W| |a_0| + u (|b| + |W| |a_0|)",
        _rounded_sum(a, bias),
        "<=",
        Fraction(float(linear_rounding_upper([[1.0]], [a], [bias])[0])),
    ),
    {"a": 2.0**-60, "bias": 1.0},
    {"a": 2.0**-60, "bias": 0.0},
)


def _sums(degree: int) -> tuple[Fraction, Fraction]:
    """sum |a_k| for a_0 = 1 and d coefficients 2^-53: exact, and in float64 from k = 0 up, where each is lost."""
    rounded = 1.0
    for _ in range(degree):
        rounded += 2.0**-53
    return 1 + degree * UNIT, Fraction(rounded)


ROUNDING = Refutation(
    "ER-PE-rounding",
    "rationals",
    "n = 1, d = 8, a_0 = 1 and eight coefficients 2^-53: summed from a_0 on every one is lost, the sum is 1 instead of 1 + 8u, "
    "and 1 + gamma_5 does not make up for it",
    lambda degree, width: {"round to nearest, ties to even": 1.0 + 2.0**-53 == 1.0},
    lambda degree, width: Relation(
        "sum |a_k| <= fl(sum |a_k|) (1 + gamma_{n+4})", _sums(degree)[0], "<=", _sums(degree)[1] * (1 + gamma(width + 4))
    ),
    lambda degree, width: Relation(
        "sum |a_k| <= fl(sum |a_k|) (1 + gamma_{n+d+6})",
        _sums(degree)[0],
        "<=",
        Fraction(coefficient_sum_upper(float(_sums(degree)[1]), width, degree)),
    ),
    {"degree": 8, "width": 1},
    {"degree": 4, "width": 1},
)

REFUTATIONS = (LAYER_NORM, HORNER, GELU, ATTENTION, BIAS, ROUNDING)
CHECKS: tuple[Check, ...] = tuple(item.check() for item in REFUTATIONS)
