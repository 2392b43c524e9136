"""Extrema of activation functions on the whole line: a box, and a bound of what lies beyond it."""

from __future__ import annotations

from fractions import Fraction

from certify.theory.activations import gelu_curvature_range, gelu_slope_range, silu_slope_range
from proofs_check.ball.arithmetic import arithmetic, partial
from proofs_check.ball.engine import every, positive
from proofs_check.checks import Check, Finding


def gelu(a, x):
    return x * (1 + a.erf(x / a.sqrt(a.number(2)))) / 2


def gelu_slope(a, x):
    """Phi(x) + x phi(x) (SYM-24: the derivative of gelu)."""
    return (1 + a.erf(x / a.sqrt(a.number(2)))) / 2 + x * a.exp(-a.square(x) / 2) / a.sqrt(2 * a.pi)


def gelu_curvature(a, x):
    return partial(a, gelu_slope, (x,), 0)


def silu_slope(a, x):
    share = 1 / (1 + a.exp(-x))
    return share * (1 + x * (1 - share))


def slope_of_gelu(lower=None, upper=None) -> Finding:
    """The slope lies strictly between the two numbers on [-8, 8], and comes within 10^-6 of each.

    For x > 8: 1 - Q(x) + x phi(x) is between 1 - e^(-32) and 1 + x phi(x) < 1.001; for x < -8 it is 1 minus that.
    """
    known = gelu_slope_range()
    lower, upper = known[0] if lower is None else lower, known[1] if upper is None else upper
    box = {"x": (-8, 8)}
    return every(
        positive(lambda a, x: a.number(upper) - gelu_slope(a, x), box),
        positive(lambda a, x: gelu_slope(a, x) - a.number(lower), box),
        _close(gelu_slope, Fraction(14142136, 10**7), upper),
        _close(gelu_slope, -Fraction(14142136, 10**7), lower),
    )


def curvature_of_gelu() -> Finding:
    """The curvature lies strictly between the two numbers on [-8, 8]; beyond, |(2 - x^2) phi(x)| < x^2 phi(x) < 10^-12."""
    lower, upper = gelu_curvature_range()
    box = {"x": (-8, 8)}
    return every(
        positive(lambda a, x: a.number(upper) - gelu_curvature(a, x), box),
        positive(lambda a, x: gelu_curvature(a, x) - a.number(lower), box),
        _close(gelu_curvature, Fraction(0), upper),
        _close(gelu_curvature, Fraction(2), lower),
    )


def slope_of_silu() -> Finding:
    """The slope lies strictly between the two numbers on [-24, 24], and comes within 10^-6 of each.

    For x > 24: |SiLU'(x) - 1| <= (1 + x) e^(-x) < 10^-8; for x < -24 it is 1 minus SiLU'(-x).
    """
    lower, upper = silu_slope_range()
    box = {"x": (-24, 24)}
    top = Fraction(23993573, 10**7)
    return every(
        positive(lambda a, x: a.number(upper) - silu_slope(a, x), box),
        positive(lambda a, x: silu_slope(a, x) - a.number(lower), box),
        _close(silu_slope, top, upper),
        _close(silu_slope, -top, lower),
    )


def _close(f, x: Fraction, bound: float) -> Finding:
    """f(x) is within 10^-6 of the bound."""
    a = arithmetic()
    with a.precise():
        low, high = a.ends(f(a, a.number(x)) - a.number(bound))
    gap = max(abs(low), abs(high))
    return Finding("" if gap < 1e-6 else f"f({float(x)}) is {gap:.3g} away from {bound}", f"within {gap:.2g} of {bound}")


CHECKS = (
    Check("BALL-20", "flint", "-0.128905 < GELU' < 1.128905", ("PE-gelu-slope",), slope_of_gelu, whole=("PE-gelu-slope",)),
    Check("BALL-21", "flint", "-0.107982 < GELU'' < 0.797885", ("PE-gelu-curvature",), curvature_of_gelu),
    Check("BALL-22", "flint", "-0.09984 < SiLU' < 1.09984", ("PE-silu-slope",), slope_of_silu, whole=("PE-silu-slope",)),
)
