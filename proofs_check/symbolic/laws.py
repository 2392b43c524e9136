"""SYM-18 to SYM-20: the Marchenko–Pastur law, spikes under rectangular noise, the correction of a persistent spike.

Written with entry variance g / n and c = m / n, as the specification does; sqrt c enters as k, so that edges are polynomials.
"""

from __future__ import annotations

import mpmath
import sympy as sp

from proofs_check.obligations import Obligation, prover, unsatisfiable, zero

POINTS = [(g, c, share) for g in ("0.4", "1", "2.5") for c in ("0.05", "0.9", "1.7", "6") for share in ("0.01", "0.3", "0.97")]


def _edges():
    g, k = sp.symbols("g k", positive=True)
    return g, k, g * (1 - k) ** 2, g * (1 + k) ** 2


def distribution_slope() -> str:
    """F' = f: the derivatives of the three terms of M2, each written with S = sqrt((b - x)(x - a)), add up to S / (2 pi c g x).

    (b - a)^2 - (2x - a - b)^2 = 4 S^2 and (2 k x)^2 - ((1 + c) x - g (1 - c)^2)^2 = (1 - c)^2 S^2 turn the slope of each
    arcsine into a multiple of 1 / S.
    """
    g, k, low, high = _edges()
    x = sp.symbols("x", positive=True)
    c, square = k**2, sp.expand((high - x) * (x - low))
    first = sp.diff(square, x) / 2  # S' S
    second = g * (1 + c)  # S times the slope of g (1 + c) arcsin((x - g (1 + c)) / (2 g k))
    third = g**2 * (1 - c) ** 2 / x  # S times the slope of g |1 - c| arcsin(((1 + c) x - g (1 - c)^2) / (2 k x))
    return zero(
        (2 * g * k) ** 2 - (x - g * (1 + c)) ** 2 - square,
        (2 * k * x) ** 2 - ((1 + c) * x - g * (1 - c) ** 2) ** 2 - (1 - c) ** 2 * square,
        sp.diff(((1 + c) * x - g * (1 - c) ** 2) / (2 * k * x), x) * 2 * k * x - g * (1 - c) ** 2 / x,
        first + second - third - square / x,
    )


def distribution_numbers() -> str:
    """F' = f by differentiating M2 as printed, at 30 digits, and the mass min(1, 1/c) between the edges."""
    with mpmath.workdps(50):
        for g_, c_, share in POINTS:
            g, c = mpmath.mpf(g_), mpmath.mpf(c_)
            low, high = g * (1 - mpmath.sqrt(c)) ** 2, g * (1 + mpmath.sqrt(c)) ** 2

            def bulk(x, g=g, c=c, low=low, high=high):
                one = mpmath.asin((x - g * (1 + c)) / (2 * g * mpmath.sqrt(c))) + mpmath.pi / 2
                two = mpmath.asin(((1 + c) * x - g * (1 - c) ** 2) / (2 * mpmath.sqrt(c) * x)) + mpmath.pi / 2
                root = mpmath.sqrt((high - x) * (x - low))
                return (root + g * (1 + c) * one - g * abs(1 - c) * two) / (2 * mpmath.pi * c * g)

            x = low + mpmath.mpf(share) * (high - low)
            density = mpmath.sqrt((high - x) * (x - low)) / (2 * mpmath.pi * c * g * x)
            if abs(mpmath.diff(bulk, x) - density) > mpmath.mpf(10) ** -20 * density:
                return f"F' is not f at g = {g}, c = {c}, x = {x}"
            arc = (high + low) / 2 - mpmath.sqrt(low * high)
            if abs(arc / (2 * c * g) - min(1, 1 / c)) > mpmath.mpf(10) ** -40:
                return f"mass at g = {g}, c = {c}"
    return ""


def stieltjes_quadratic() -> str:
    """Both signs of the root solve c g z m^2 + (z - g (1 - c)) m + 1 = 0, which is z = -1/m + g / (1 + c g m)."""
    g, k, low, high = _edges()
    z, root, m = sp.symbols("z s m")
    c, base = k**2, g * (1 - k**2) - z
    formula = (base + root) / (2 * c * g * z)
    quadratic = sp.expand(sp.together(c * g * z * formula**2 - base * formula + 1) * 4 * c * g * z)
    return zero(
        quadratic.subs(root**2, sp.expand((z - low) * (z - high))),
        sp.expand(base**2 - (z - low) * (z - high) - 4 * c * g * z),
        sp.numer(sp.together(-1 / m + g / (1 + c * g * m) - z)) + (c * g * z * m**2 + (z - g * (1 - c)) * m + 1),
    )


def narayana() -> str:
    """Moments from the quadratic, order by order in 1/z, against the Narayana sum, k <= 8."""
    g, c, w = sp.symbols("g c w", positive=True)
    moments = [sp.Integer(1)]
    for order in range(1, 9):
        # With M(w) = sum m_k w^k: M = 1 + w M (g (1 - c) + c g M).
        squares = sum(moments[i] * moments[order - 1 - i] for i in range(order))
        moments.append(sp.expand(g * (1 - c) * moments[order - 1] + c * g * squares))
    rests = []
    for order in range(1, 9):
        terms = (c**r * sp.binomial(order, r) * sp.binomial(order - 1, r) / (r + 1) for r in range(order))
        rests.append(moments[order] - g**order * sum(terms))
    series, z, m = sp.Symbol("M"), 1 / w, sp.Symbol("m")
    quadratic = c * g * z * m**2 + (z - g * (1 - c)) * m + 1
    rests.append(sp.expand(quadratic.subs(m, -w * series) - (1 - series + w * series * (g * (1 - c) + c * g * series))))
    return zero(*rests)


def spike_identities() -> str:
    g, k, low, high = _edges()
    theta = sp.symbols("theta", positive=True)
    c = k**2
    square = (theta**2 + g) * (theta**2 + g * c) / theta**2
    gap = (theta**4 - c * g**2) / theta**2  # sqrt((rho^2 - a)(rho^2 - b)) where theta^4 >= c g^2
    transform = (square - g * (1 + c) - gap) / (2 * g**2 * c)
    edge = (high - g * (1 + c)) / (2 * g**2 * c)
    left = (theta**4 - c * g**2) / (theta**2 * (theta**2 + g))
    right = (theta**4 - c * g**2) / (theta**2 * (theta**2 + c * g))
    return zero(
        sp.expand((square - low) * (square - high) - gap**2),
        square - high - (theta**2 - g * k) ** 2 / theta**2,
        square.subs(theta, sp.sqrt(g * k)) - high,
        transform - theta**-2,
        edge - 1 / (g * k),
        (square - g * (1 + c) + gap) / 2 - theta**2,
        left - (1 - g * (theta**2 + c * g) / (theta**2 * (theta**2 + g))),
        right - (1 - c * g * (theta**2 + g) / (theta**2 * (theta**2 + c * g))),
        sp.diff(square, theta) - 2 * (theta**4 - c * g**2) / theta**3,
        theta**2 * left * right - gap**2 / square,
    )


def spike_inequalities() -> str:
    """t = theta^2 and k^2 = c: rho^2 >= b, equality only at t = g k, overlaps in [0, 1] and D in (0, 1 / theta_c^2]."""
    z3 = prover()
    t, g, k = z3.Reals("t g k")
    c = k * k
    conclusion = z3.And(
        (t + g) * (t + g * c) >= g * (1 + k) * (1 + k) * t,
        z3.Implies(t > g * k, (t + g) * (t + g * c) > g * (1 + k) * (1 + k) * t),
        t * t - c * g * g >= 0,
        t * t - c * g * g <= t * (t + g),
        t * t - c * g * g <= t * (t + c * g),
        t >= g * k,
    )
    return unsatisfiable([t > 0, g > 0, k > 0, t * t >= c * g * g], conclusion)


def spike_monotone() -> str:
    """rho^2 grows strictly above the threshold."""
    z3 = prover()
    t, u, g, k = z3.Reals("t u g k")
    hypotheses = [g > 0, k > 0, t >= g * k, u > t]
    return unsatisfiable(hypotheses, (u + g) * (u + g * k * k) * t > (t + g) * (t + g * k * k) * u)


def inverse_is_half_sum() -> str:
    """With p^2 = y - a and q^2 = y - b, ((p + q) / 2)^2 is M5's inverse, and its product with D is 1."""
    g, k, low, high = _edges()
    y, p, q = sp.symbols("y p q", positive=True)
    strength = ((p + q) / 2) ** 2
    printed = (y - g * (1 + k**2) + p * q) / 2
    transform = (y - g * (1 + k**2) - p * q) / (2 * g**2 * k**2)
    place = {y: low + p**2}
    rest = sp.expand(p**2 - q**2 - (high - low))  # vanishes by the definition of p and q
    product = sp.expand((printed * transform - 1).subs(place) * 4 * g**2 * k**2)
    return zero(sp.expand((strength - printed).subs(place)) + rest / 4, sp.rem(product, rest, p))


def correction() -> str:
    """With root^2 = s^2 - 4 g: s - sigma = 2 g / (s + root) and sigma + g / sigma = s for sigma = (s + root) / 2."""
    s, root = sp.symbols("s root", positive=True)
    g = (s**2 - root**2) / 4
    sigma = (s + root) / 2
    return zero(s - sigma - 2 * g / (s + root), sigma + g / sigma - s)


def correction_sign() -> str:
    z3 = prover()
    s, g, root = z3.Reals("s g root")
    hypotheses = [s > 0, g > 0, s * s >= 4 * g, root >= 0, root * root == s * s - 4 * g]
    sigma = (s + root) / 2
    return unsatisfiable(hypotheses, z3.And(sigma > 0, sigma < s, sigma * sigma >= g, (s - sigma) * sigma == g))


OBLIGATIONS = (
    Obligation("SYM-18a", "sympy", "M2: F' = f, by the slopes of its three terms", ("M2-cdf", "M1-density"), distribution_slope),
    Obligation("SYM-18b", "mpmath", "M2: F' = f and the mass, to 20 digits", ("M2-cdf", "M1-density"), distribution_numbers),
    Obligation("SYM-18c", "sympy", "M3 solves its quadratic; (B + s)(B - s) = 4 c g z", ("M3-stieltjes",), stieltjes_quadratic),
    Obligation("SYM-18d", "sympy", "M4: the recursion of M3 is the Narayana sum, k <= 8", ("M4-moments",), narayana),
    Obligation(
        "SYM-19a",
        "sympy",
        "rho^2 - b is a square; D(rho(theta)) = theta^(-2); D(sqrt b) = theta_c^(-2)",
        ("M5-bbp-map", "M5-inverse", "M5-overlaps", "M6-inverse-D", "ESM1-T5.1-bgn-square"),
        spike_identities,
    ),
    Obligation(
        "SYM-19b",
        "z3",
        "theta^4 >= c g^2: rho^2 >= b, equality at theta_c only; overlaps in [0, 1]",
        ("M5-bbp-map", "M5-overlaps", "M5-threshold"),
        spike_inequalities,
    ),
    Obligation("SYM-19c", "z3", "rho grows strictly above theta_c", ("M5-bbp-map",), spike_monotone),
    Obligation(
        "SYM-19d",
        "sympy",
        "theta = (sqrt(y - a) + sqrt(y - b)) / 2 is M5's inverse, and D theta^2 = 1",
        ("M5-inverse", "M6-inverse-D", "GD-shrinkers"),
        inverse_is_half_sum,
    ),
    Obligation("SYM-20a", "sympy", "s - sigma = 2 g / (s + sqrt(s^2 - 4 g))", ("C4.12-bbp-persistent",), correction),
    Obligation("SYM-20b", "z3", "0 < sigma < s, sigma^2 >= g", ("C4.12-bbp-persistent", "ESM1-T5.1-bgn-square"), correction_sign),
)
