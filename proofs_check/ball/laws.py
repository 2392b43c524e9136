"""Gaussian tails, the Marchenko–Pastur law, spikes and thresholds on boxes.

The laws depend on the variance only through a scale: g = 1, k = sqrt c, so that the edges are (1 -+ k)^2.
"""

from __future__ import annotations

from fractions import Fraction

from proofs_check.ball.arithmetic import arithmetic, partial
from proofs_check.ball.engine import every, integral, positive
from proofs_check.checks import Check, Finding

SMALL = Fraction(1, 64)
HALF = Fraction(1, 2)


def gaussian_tail() -> Finding:
    """2 Q(x) <= e^(-x^2/2): the quotient e^(x^2/2) 2 Q(x) is 1 at x = 0 and falls.

    For x > 1, 2 Q(x) <= sqrt(2/pi) e^(-x^2/2) / x, which is smaller.
    """

    def quotient(a, x):
        return a.exp(a.square(x) / 2) * a.erfc(x / a.sqrt(a.number(2)))

    def tail(a, x):
        return a.exp(-a.square(x) / 2) - a.erfc(x / a.sqrt(a.number(2)))

    return every(
        positive(lambda a, x: -partial(a, quotient, (x,), 0), {"x": (0, 1)}),
        positive(tail, {"x": (SMALL, 8)}),
    )


def sidak() -> Finding:
    """1 - (1 - d)^(1/k) >= d/k for real k >= 1, s = 1/k.

    The difference is concave in s and vanishes at s = 0 and s = 1: that settles every d, the box shows the difference itself.
    """

    def gap(a, d, s):
        return 1 - a.exp(s * a.log(1 - d)) - s * d

    def curvature(a, d, s):
        return partial(a, lambda b, e, t: partial(b, gap, (e, t), 1), (d, s), 1)

    box = {"d": (SMALL, 1 - SMALL), "1/k": (SMALL, 1 - SMALL)}
    return every(positive(gap, box), positive(lambda a, d, s: -curvature(a, d, s), {"d": (SMALL, 1 - SMALL), "1/k": (0, 1)}))


def published_constant() -> Finding:
    """1 - erf(m sqrt(log 2N))^N <= 1/(8 N^3) for m = 2 and <= 1/(2N) for m = sqrt 2, each N = 1..10000.

    The paper's 2 sqrt(2 log(2N) / N) ||v|| is m sqrt 2 standard deviations with m = 2, and it asks for 1/N alone.
    """
    a, worst = arithmetic(), [0.0, 0.0]
    with a.precise():
        for n in range(1, 10_001):
            log = a.log(a.number(2 * n))
            for i, (point, most) in enumerate(((2 * a.sqrt(log), 8 * n**3), (a.sqrt(2 * log), 2 * n))):
                share = -a.expm1(n * a.log1p(-a.erfc(point))) * most
                worst[i] = max(worst[i], a.ends(share)[1])
    if max(worst) > 1.0:
        return Finding(f"the failure probability reaches {worst} of its bounds")
    return Finding("", f"N = 1..10000: at most {worst[0]:.4f} of 1/(8 N^3), {worst[1]:.4f} of 1/(2 N)")


def distribution(a, k, x, side=1):
    """2 pi c times M2, its arcsines as arctangents (errata, M2); side = 1 for c < 1, -1 for c > 1, 0 at c = 1."""
    c = a.square(k)
    root = a.sqrt((a.square(1 + k) - x) * (x - a.square(1 - k)))
    bulk = root + (1 + c) * (a.atan((x - (1 + c)) / root) + a.pi / 2)
    if side == 0:
        return bulk
    gap = (1 - c) * side
    return bulk - gap * (a.atan(((1 + c) * x - a.square(gap)) / (gap * root)) + a.pi / 2)


def distribution_rises() -> Finding:
    """The slope of M2 lies between half and twice the density (they are equal by SYM-18).

    Two boxes, c < 1 and c > 1, and c = 1 by itself. Nearer to an edge, and for other c, SYM-18 alone.
    """

    def ratio(side):
        def function(a, k, u):
            x = a.square(1 - k) + 4 * k * u
            slope = partial(a, lambda b, r, y: distribution(b, r, y, side), (k, x), 1)
            return slope * x / (4 * k * a.sqrt(u * (1 - u)))

        return function

    part = "(x - a)/(b - a)"
    found = []
    for side, low, high, edge in (
        (1, Fraction(1, 4), Fraction(3, 4), Fraction(1, 8)),
        (-1, Fraction(5, 4), 2, Fraction(1, 8)),
        (0, 1, 1, SMALL),
    ):
        box = {"sqrt c": (low, high), part: (edge, 1 - edge)}
        quotient = ratio(side)
        found.append(positive(lambda a, k, u, f=quotient: f(a, k, u) - a.number(HALF), box))
        found.append(positive(lambda a, k, u, f=quotient: 2 - f(a, k, u), box))
    return every(*found)


def mass() -> Finding:
    """The density as printed has mass min(1, 1/c) between its edges, enclosed by integration in x = 1 + c - 2 k cos(t).

    f(x) dx = (2/pi) sin^2 t / x dt; at c = 1, sin^2 t / x = cos^2(t/2).
    """

    def density(a, k, t):
        if k == 1:
            return a.square(a.cos(t / 2)) * 2 / a.pi
        cosine = a.cos(t)
        c = a.number(k * k)
        return 2 * (1 - a.square(cosine)) / (1 + c - 2 * a.number(k) * cosine) / a.pi

    widest = 0.0
    for k in (Fraction(1, 4), Fraction(1, 2), Fraction(9, 10), Fraction(1), Fraction(13, 10), Fraction(2), Fraction(4)):
        low, high = integral(lambda a, u, k=k: a.pi * density(a, k, a.pi * u), 0, 1, pieces=400)
        if not low <= min(1.0, 1.0 / float(k) ** 2) <= high:
            return Finding(f"sqrt c = {k}: mass in [{low}, {high}]")
        widest = max(widest, high - low)
    return Finding("", f"sqrt c from 1/4 to 4, 1 among them: enclosures at most {widest:.2g} wide")


def _place(a, k, t):
    """theta^2 t^2 at theta = theta_c / t, theta_c^2 = k."""
    return (k + a.square(t)) * (1 + k * a.square(t))


ASPECT = (Fraction(1, 8), 8)
BEYOND = {"sqrt c": ASPECT, "theta_c / theta": (0, 1 - SMALL)}


def spike_rises() -> Finding:
    """rho^2 > b and d rho / d theta > 0 for every theta > theta_c: in t = theta_c / theta, (rho t)^2 = (k + t^2)(1 + k t^2).

    The box reaches theta = infinity at t = 0. At t = 1, rho^2 - b = (theta^2 - g k)^2 / theta^2 by SYM-19.
    """
    return every(
        positive(lambda a, k, t: _place(a, k, t) - a.square(1 + k) * a.square(t), BEYOND),
        positive(lambda a, k, t: 2 * _place(a, k, t) - t * partial(a, _place, (k, t), 1), BEYOND),
    )


def overlaps() -> Finding:
    """Both overlaps lie in (0, 1) above the threshold; the right one is the left one at 1/k."""

    def left(a, k, t):
        return (1 - a.square(t)) * (1 + a.square(t)) / (1 + a.square(t) / k)

    away = {"sqrt c": ASPECT, "theta_c / theta": (SMALL, 1 - SMALL)}
    return every(positive(left, BEYOND), positive(lambda a, k, t: (1 - left(a, k, t)) / a.square(t), away))


def transform_falls() -> Finding:
    """D falls strictly on the whole of [sqrt b, inf): in q = sqrt(1 - b / s^2), from theta_c^(-2) at q = 0 to 0 at q = 1.

    D = 2 / (y - (1 + c) + sqrt((y - a)(y - b))), y = s^2 = b / (1 - q^2).
    """

    def transform(a, k, q):
        v, low, high = 1 - a.square(q), a.square(1 - k), a.square(1 + k)
        return 2 * v / (high - (1 + a.square(k)) * v + high * q * a.sqrt(1 - low / high * v))

    return positive(lambda a, k, q: -partial(a, transform, (k, q), 1), {"sqrt c": ASPECT, "q": (0, 1 - SMALL)})


def hard_threshold_range() -> Finding:
    """lambda(r)^2 rises from 2 at r = 0 to 16/3 at r = 1 and stays above the edge (1 + sqrt r)^2."""

    def square(a, r):
        return 2 * (r + 1) + 8 * r / (r + 1 + a.sqrt(a.square(r) + 14 * r + 1))

    a = arithmetic()
    with a.precise():
        ends = [square(a, a.number(r)) - value for r, value in ((0, 2), (1, a.number(Fraction(16, 3))))]
        off = max(abs(end) for value in ends for end in a.ends(value))
    if off > 1e-15:
        return Finding(f"lambda^2 is off by {off} at an end")
    return every(
        positive(lambda a, r: partial(a, square, (r,), 0), {"r": (0, 1)}),
        positive(lambda a, q: square(a, a.square(q)) - a.square(1 + q), {"sqrt r": (0, 1)}),
    )


def hard_threshold_square() -> Finding:
    """omega(1) = (4/sqrt 3) / sqrt(median) lies in (2.8583, 2.8584): M2 passes 1/2 between the two squares."""
    a = arithmetic()
    with a.precise():
        one = a.number(1)
        halves = []
        for omega in ("28584", "28583"):
            x = a.number(Fraction(16, 3)) / a.square(a.number(Fraction(int(omega), 10_000)))
            halves.append(a.ends(distribution(a, one, x, 0) / (2 * a.pi) - a.number(HALF)))
    if not halves[0][1] < 0.0 < halves[1][0]:
        return Finding(f"F - 1/2 at the two ends: {halves}")
    return Finding("", f"F - 1/2 below {halves[0][1]:.2g} and above {halves[1][0]:.2g} at the two ends")


CHECKS = (
    Check("BALL-06", "flint", "2 Q(x) <= e^(-x^2/2) for x >= 0", ("X15-gauss-exact", "ESM1-A3.6-sub-root-N"), gaussian_tail),
    Check(
        "BALL-07",
        "flint",
        "1 - (1 - d)^(1/k) >= d/k for real k >= 1",
        ("X15-gauss-exact", "X28-threshold-exact"),
        sidak,
    ),
    Check(
        "BALL-08",
        "flint",
        "1 - erf(2 sqrt(log 2N))^N <= 1/(8 N^3), 1 - erf(sqrt(2 log 2N))^N <= 1/(2 N), N = 1..10000",
        ("E4.2-gauss", "ESM1-E2.5-gauss-constant", "F14"),
        published_constant,
    ),
    Check("BALL-09", "flint", "M2 increases as its density says", ("M2-cdf",), distribution_rises),
    Check("BALL-10", "flint", "the bulk of M1 has mass min(1, 1/c)", ("M1-density", "M2-cdf"), mass),
    Check("BALL-11", "flint", "rho^2 > b and rho rises beyond theta_c", ("M5-bbp-map", "M5-threshold"), spike_rises),
    Check("BALL-12", "flint", "overlaps in (0, 1) beyond theta_c", ("M5-overlaps",), overlaps),
    Check("BALL-13", "flint", "D falls from theta_c^(-2) to 0", ("M6-inverse-D",), transform_falls),
    Check("BALL-14", "flint", "lambda(r)^2 rises from 2 to 16/3, above the edge", ("GD-hard-threshold",), hard_threshold_range),
    Check("BALL-15", "flint", "2.8583 < omega(1) < 2.8584", ("GD-hard-threshold-unknown",), hard_threshold_square),
)
