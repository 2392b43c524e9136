"""Extremal formulas of effective-number pruning for real K, k and N, each unbounded direction included.

On the edge [zeta_k, zeta_1], x = 1/k, the K largest of shares of concentration c hold g(x) = K x + (1 - K x) h,
h^2 = (c - x)/(1 - x).
"""

from __future__ import annotations

from fractions import Fraction

from proofs_check.ball.engine import every, positive
from proofs_check.checks import Check, Finding

SMALL = Fraction(1, 64)


def closed_form() -> Finding:
    """K >= 2, c >= 1/(K + 1): g rises on [0, 1/(K + 2)], so k = N is the least of all k >= K + 2 (k = K + 1: SYM-25).

    (1 - x) g'(x) / (1 - c) = K/(1 + h) - (1 - K x)/(2 h (1 - x)). On the box, x = u/(K + 2) and c = (1 + v K)/(K + 1). For
    K > 16, with t = 1/K and y = t - x >= 2 t^2/(1 + 2 t): c - x >= (y - t x)/(1 + t) >= y/(2 (1 + t)), so the second term over
    K is at most sqrt(t (1 + t)/(2 (1 - t))) < 1/5, and the first over K is at least 1/2.
    """

    def rise(a, kept, u, v):
        x = u / (kept + 2)
        h = a.sqrt(((1 + v * kept) / (kept + 1) - x) / (1 - x))
        return kept / (1 + h) - (1 - kept * x) / (2 * h * (1 - x))

    return positive(rise, {"K": (2, 16), "x (K + 2)": (0, 1), "((K + 1) c - 1)/K": (0, 1)})


def single() -> Finding:
    """K = 1, c >= 1/2: g falls, so k = 2 is the least; (1 + sqrt(2 c - 1))/2 is g(1/2).

    The gap vanishes at x = 1/2 and at c = 1; nearer to them than the box, g' <= 0 by SYM-26.
    """

    def gap(a, x, c):
        return x + a.sqrt((1 - x) * (c - x)) - (1 + a.sqrt(2 * c - 1)) / 2

    return positive(gap, {"x": (0, Fraction(1, 2) - SMALL), "c": (Fraction(1, 2), 1 - SMALL)})


def cell() -> Finding:
    """nu/N + (1 - nu/N) sqrt((N - nu - 1)/((nu + 1)(N - 1))) > 1/sqrt(nu + 1) for all real nu >= 2, N >= nu + 1.

    The bound is g(1/N) at K = nu, c = 1/(nu + 1), and tends to sqrt c as N grows. The box has s = nu^(-1/2), reaching nu =
    infinity at s = 0, and u = (nu + 1)/N, reaching N = infinity at u = 0; there (g - sqrt c) N/nu is
    1 - h - s sqrt(1 + s^2) (1 - c)/((1 - x)(1 + e)), e = h/sqrt c, positive: the gap vanishes as 1/N alone.
    """

    def gap(a, s, u):
        square = a.square(s)
        c = square / (1 + square)
        x = c * u
        e = a.sqrt((1 - u) / (1 - x))
        h = s / a.sqrt(1 + square) * e
        return 1 - h - s * a.sqrt(1 + square) * (1 - c) / ((1 - x) * (1 + e))

    return positive(gap, {"nu^(-1/2)": (0, Fraction(7072, 10_000)), "(nu + 1)/N": (0, 1)})


def published() -> Finding:
    """At nu = 1 the published bound 1/N + (1 - 1/N) sqrt((N - 2)/(2 (N - 1))) exceeds the true infimum 1/2 for real N >= 3.

    The box has x = 1/N, reaching N = infinity at x = 0.
    """

    def excess(a, x):
        return x + (1 - x) * a.sqrt((1 - 2 * x) / (2 * (1 - x))) - a.number(Fraction(1, 2))

    return positive(excess, {"1/N": (0, Fraction(1, 3))})


def largest_below_one() -> Finding:
    """m_K <= M_K <= 1 where c < 1/K: K/N + sqrt((c - 1/N) K (N - K)/N) < 1, and above the least mass of [zeta_N, zeta_1].

    In x = 1/N, r = K x and c = x + d (1 - r) x/r, 0 < d < 1, the largest is r + (1 - r) sqrt d and the least on that edge
    r + (1 - r) sqrt((c - x)/(1 - x)).
    """

    def below(a, r, d, x):
        return a.sqrt(d) - a.sqrt(d * (1 - r) * x / (r * (1 - x)))

    box = {"K/N": (SMALL, 1 - SMALL), "d": (SMALL, 1 - SMALL), "1/(2 K)": (SMALL, Fraction(1, 4))}
    return every(
        positive(lambda a, r, d: 1 - r - (1 - r) * a.sqrt(d), {"K/N": (0, 1 - SMALL), "d": (0, 1 - SMALL)}),
        positive(lambda a, r, d, w: below(a, r, d, 2 * w * r), box),
    )


CHECKS = (
    Check(
        "BALL-16",
        "flint",
        "K >= 2, c >= 1/(K + 1): the least mass on [zeta_k, zeta_1], k >= K + 2, is at k = N",
        ("EMP-T2", "EMP-X1"),
        closed_form,
    ),
    Check("BALL-17", "flint", "K = 1: (1 + sqrt(2 c - 1))/2 is the least", ("EMP-T2", "EMP-X1"), single),
    Check("BALL-18", "flint", "the infimum of a cell exceeds 1/sqrt(nu + 1)", ("EMP-C5",), cell),
    Check("BALL-19", "flint", "nu = 1: the published bound exceeds 1/2 for every N >= 3", ("EMP-P1",), published),
    Check("BALL-23", "flint", "least mass < M_K < 1 for 1/N < c < 1/K, K >= 2", ("EMP-T3",), largest_below_one),
)
