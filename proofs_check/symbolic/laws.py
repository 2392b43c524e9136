"""SYM-18: the Marchenko–Pastur law, its transform and its moments, limits and finite sizes; spikes and shrinkers are in `spikes`.

Written with entry variance g / n and c = m / n, as the specification does; sqrt c enters as k, so that edges are polynomials.
"""

from __future__ import annotations

import mpmath
import sympy as sp

from proofs_check.checks import Check, zero
from proofs_check.symbolic.spikes import edges

POINTS = [(g, c, share) for g in ("0.4", "1", "2.5") for c in ("0.05", "0.9", "1.7", "6") for share in ("0.01", "0.3", "0.97")]


def distribution_slope() -> str:
    """F' = f: the derivatives of the three terms of M2, each written with S = sqrt((b - x)(x - a)), add up to S / (2 pi c g x).

    (b - a)^2 - (2x - a - b)^2 = 4 S^2 and (2 k x)^2 - ((1 + c) x - g (1 - c)^2)^2 = (1 - c)^2 S^2 turn the slope of each
    arcsine into a multiple of 1 / S.
    """
    g, k, low, high = edges()
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
    g, k, low, high = edges()
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


def mass_between_edges() -> str:
    """(1 + c - |1 - c|) / (2 c) = min(1, 1/c), the bulk of M2 at b; M2': h(s) = 2 s f(s^2) / min(1, 1/c), quarter circle."""
    c, s, k, g = sp.symbols("c s k g", positive=True)
    small, large = c / (1 + c), 1 + c  # every aspect ratio below 1, and above
    rests = [(1 + r - (1 - r)) / (2 * r) - 1 for r in (small,)] + [(1 + r - (r - 1)) / (2 * r) - 1 / r for r in (large,)]
    square = (g * (1 + k) ** 2 - s**2) * (s**2 - g * (1 - k) ** 2)
    density = sp.sqrt(square) / (2 * sp.pi * k**2 * g * s**2)
    for least, share in ((k**2, 1), (1, 1 / k**2)):  # min(1, c) and min(1, 1/c)
        rests.append(sp.powsimp(2 * s * density / share - sp.sqrt(square) / (sp.pi * g * least * s)))
    rests.append(sp.expand(square.subs(k, 1) - s**2 * (4 * g - s**2)))
    return zero(*rests)


def angles() -> str:
    """The three-angle form: G = [pi - phi + A + (Im z - A)/r]/pi, z = sqrt r e^(i phi), A = arg(1 + z), x = v N |1 + z|^2.

    G is 0 at phi = pi (x = a) and 1 at phi = 0 (x = b), and -dG/dphi is the bulk's density times -dx/dphi, for m <= n and m > n.
    """
    phi, r, v, n, m = sp.symbols("phi r v N m", positive=True)
    root = sp.sqrt(r)
    argument = sp.atan2(root * sp.sin(phi), 1 + root * sp.cos(phi))
    law = (sp.pi - phi + argument + (root * sp.sin(phi) - argument) / r) / sp.pi
    x = v * n * (1 + r + 2 * root * sp.cos(phi))
    low, high = v * n * (1 - root) ** 2, v * n * (1 + root) ** 2
    square = sp.expand((high - x) * (x - low)) - (2 * n * v * root * sp.sin(phi)) ** 2
    shape = 2 * n * v * root * sp.sin(phi)  # sqrt((b - x)(x - a))
    bulk = shape / (2 * sp.pi * r * n * v * x)  # over min(n, m), N = max(n, m), r N = min(n, m)
    printed = shape / (2 * sp.pi * m * v * x)
    slope = sp.simplify((sp.diff(law, phi) - bulk * sp.diff(x, phi)).rewrite(sp.cos))
    ends = law.subs(r, sp.Rational(1, 4)).subs(phi, sp.pi), law.subs(phi, 0) - 1
    wide = {r: n / m, n: m}  # m > n: N = m, r = n/m, and the bulk has mass n/m
    return zero(
        sp.simplify(sp.expand_trig(square)),
        slope,
        *ends,
        sp.simplify(bulk.subs(r, m / n) - printed.subs(r, m / n)),
        sp.simplify((n / m * bulk.subs(wide, simultaneous=True)) - printed.subs(wide, simultaneous=True)),
    )


def inverse_moment() -> str:
    """m(z) = 2 / (g (1 - c) - z + sqrt((a - z)(b - z))) for z < a, so m(0) = 1/(g (1 - c)) for c < 1.

    For c > 1, R R^T has aspect 1/c and g c in place of g, and a bulk c times as heavy: 1/(g c (c - 1)).
    """
    g, k, low, high = edges()
    z, root = sp.symbols("z s")
    c = k**2
    base = g * (1 - c) - z
    other = sp.expand((base - root) * (base + root) - 4 * c * g * z).subs(root**2, sp.expand((low - z) * (high - z)))
    inner = sp.Symbol("t", positive=True)
    below = {k: inner / (1 + inner)}  # k < 1
    value = 2 / (g * (1 - c) + sp.sqrt(low * high))
    swapped = (value.subs({g: g * c, k: 1 / k}, simultaneous=True).subs(k, 1 + inner)) / (1 + inner) ** 2
    wide = (1 / (g * c * (c - 1))).subs(k, 1 + inner)
    return zero(other, sp.simplify((value - 1 / (g * (1 - c))).subs(below)), sp.simplify(swapped - wide))


def wick() -> str:
    """E tr (R^T R)^k by all pairings of 2k factors, k <= 4: a pairing counts v^k n^(row loops) m^(column loops)."""
    n, m = sp.symbols("n m", positive=True)
    stated = (
        sp.Integer(1),
        n + m + 1,
        n**2 + 3 * n * m + m**2 + 3 * n + 3 * m + 4,
        n**3 + 6 * n**2 * m + 6 * n * m**2 + m**3 + 6 * n**2 + 17 * n * m + 6 * m**2 + 21 * n + 21 * m + 20,
    )
    rests = []
    for k, polynomial in enumerate(stated, start=1):
        total = sp.Integer(0)
        for pairing in _pairings(list(range(2 * k))):
            rows, cols = _loops(pairing, k)
            total += n**rows * m**cols
        rests.append(sp.expand(total / m - n * polynomial))
    return zero(*rests)


def _pairings(places):
    if not places:
        yield []
        return
    first, *rest = places
    for i, other in enumerate(rest):
        for pairing in _pairings(rest[:i] + rest[i + 1 :]):
            yield [(first, other), *pairing]


def _loops(pairing, k):
    """R^T R R^T R ...: factors 2j and 2j + 1 share row j; factors 2j + 1 and 2j + 2 (cyclically) share column j."""
    row, col = list(range(k)), list(range(k))

    def find(parent, x):
        while parent[x] != x:
            x = parent[x]
        return x

    for one, two in pairing:
        row[find(row, one // 2)] = find(row, two // 2)
        first, second = (((place - 1) // 2) % k for place in (one, two))
        col[find(col, first)] = find(col, second)
    return sum(find(row, x) == x for x in range(k)), sum(find(col, x) == x for x in range(k))


CHECKS = (
    Check("SYM-18a", "sympy", "M2: F' = f, by the slopes of its three terms", ("M2-cdf", "M1-density"), distribution_slope),
    Check("SYM-18b", "mpmath", "M2: F' = f and the mass, to 20 digits", ("M2-cdf", "M1-density"), distribution_numbers),
    Check("SYM-18c", "sympy", "M3 solves its quadratic; (B + s)(B - s) = 4 c g z", ("M3-stieltjes",), stieltjes_quadratic),
    Check("SYM-18d", "sympy", "M4: the recursion of M3 is the Narayana sum, k <= 8", ("M4-moments",), narayana),
    Check(
        "SYM-18e",
        "sympy",
        "mass min(1, 1/c); the density of singular values; the quarter circle",
        ("M1-density", "M2-cdf", "M2-singular-values", "ESM1-P3.30-mp-bulk"),
        mass_between_edges,
    ),
    Check("SYM-18h", "sympy", "M2 by three angles: F' = f, F(a) = atom, F(b) = 1", ("M2-cdf",), angles, whole=("M2-cdf",)),
    Check("SYM-18f", "sympy", "inverse moments, c < 1 and c > 1", ("M4-moments", "M3-stieltjes"), inverse_moment),
    Check(
        "SYM-18g",
        "pairings",
        "E tr (R^T R)^k = v^k n m P_k, k <= 4, by the 1, 3, 15, 105 pairings",
        ("M4-finite",),
        wick,
        whole=("M4-finite",),
    ),
)
