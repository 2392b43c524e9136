"""SYM-16, SYM-17 and the algebra of the Gaussian budget: tails, levels, the radial law, magnitude thresholds."""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def tail() -> str:
    """SYM-16: e^(-x^2/2) - erfc(x/sqrt 2) is 0 at 0 and at infinity; its slope e^(-x^2/2) (sqrt(2/pi) - x) changes sign once."""
    x = sp.symbols("x", nonnegative=True)
    gap = sp.exp(-(x**2) / 2) - sp.erfc(x / sp.sqrt(2))
    factor = sp.sqrt(2 / sp.pi) - x
    roots = sp.solveset(factor, x, sp.Interval(0, sp.oo))
    found = zero(
        gap.subs(x, 0),
        sp.limit(gap, x, sp.oo),
        sp.diff(gap, x) - sp.exp(-(x**2) / 2) * factor,
        sp.diff(factor, x) + 1,
    )
    return found or ("" if roots == {sp.sqrt(2 / sp.pi)} else f"the slope vanishes on {roots}")


def bernoulli() -> str:
    """SYM-17: with 1 - delta = y^k, 1 - y >= (1 - y^k)/k; for every k by 1 - y^k = (1 - y) (1 + y + ... + y^(k - 1))."""
    z3 = prover()
    y = z3.Real("y")
    for k in range(1, 7):
        power = z3.RealVal(1)
        for _ in range(k):
            power = power * y
        found = unsatisfiable([y > 0, y < 1], k * (1 - y) >= 1 - power)
        if found:
            return f"k = {k}: {found}"
    t, n = sp.symbols("y", positive=True), 6
    return zero(*(sp.expand(1 - t**k - (1 - t) * sum(t**i for i in range(k))) for k in range(1, n + 1)))


def levels() -> str:
    """At the displayed levels 2 k e^(-x^2/2) and k e^(-x^2/2) are delta, and (1 - 2 Q(x))^k is 1 - delta."""
    k, delta = sp.symbols("k delta", positive=True)
    paper, dropped = sp.sqrt(2 * sp.log(2 * k / delta)), sp.sqrt(2 * sp.log(k / delta))
    two_tails = 1 - (1 - delta) ** (1 / k)
    return zero(
        2 * k * sp.exp(-(paper**2) / 2) - delta,
        k * sp.exp(-(dropped**2) / 2) - delta,
        sp.powdenest((1 - two_tails) ** k, force=True) - (1 - delta),
    )


def edge_budget() -> str:
    """C5.11: with sigma_+ = sqrt g (1 + sqrt(m/n)) the two right sides agree; R2.3: sqrt(N (g/N) (1 + sqrt c)^2) = sigma_+."""
    g, n, m, log, mean, c = sp.symbols("g n m log mean c", positive=True)
    edge = sp.sqrt(g) * (1 + sp.sqrt(m / n))
    published = 2 * edge / (1 + sp.sqrt(m / n)) * sp.sqrt(2 / n * log) * mean
    gaussian = 2 * mean * sp.sqrt(2 * g / n * log)
    return zero(published - gaussian, sp.sqrt(n * (g / n) * (1 + sp.sqrt(c)) ** 2) - sp.sqrt(g) * (1 + sp.sqrt(c)))


def subgaussian() -> str:
    """C1.4 at c = 1/2 is C5.10, and 2 k e^(-c x^2) = delta at x = sqrt(log(2 k/delta)/c)."""
    g, n, k, delta, c = sp.symbols("g n k delta c", positive=True)
    general = sp.sqrt(g / (c * n) * sp.log(2 * k / delta))
    gaussian = sp.sqrt(2 * g / n * sp.log(2 * k / delta))
    x = sp.sqrt(sp.log(2 * k / delta) / c)
    return zero(general.subs(c, sp.Rational(1, 2)) - gaussian, 2 * k * sp.exp(-c * x**2) - delta)


def mean_constant() -> str:
    """X16: (sum a_s)^2 <= |T| sum a_s^2 (the rest is a sum of squares, |T| = 2..5), and max_i |x_i| <= ||x||_2."""
    rests = []
    for count in range(2, 6):
        a = sp.symbols(f"a0:{count}", real=True)
        pairs = sum((a[i] - a[j]) ** 2 for i in range(count) for j in range(i))
        rests.append(sp.expand(count * sum(x**2 for x in a) - sum(a) ** 2 - pairs))
    z3 = prover()
    x, y, norm, w, v, move = z3.Reals("x y norm w v move")
    found = unsatisfiable([norm >= 0, norm * norm == x * x + y * y], z3.And(x <= norm, -x <= norm))
    # One sample, two by two: |(D v)_1| <= ||D|| ||v|| by Cauchy-Schwarz on a row.
    row = unsatisfiable(
        [move >= 0, move * move == (x * x + y * y) * (w * w + v * v)], z3.And(x * w + y * v <= move, -(x * w + y * v) <= move)
    )
    return zero(*rests) or found or row


def sphere_coordinate() -> str:
    """X18: u/(u + w) of chi^2_1 and chi^2_(d - 1) has the density of Beta(1/2, (d - 1)/2), which has mass 1."""
    x, s, d = sp.symbols("x s d", positive=True)

    def chi(t, k):
        return t ** (k / 2 - 1) * sp.exp(-t / 2) / (2 ** (k / 2) * sp.gamma(k / 2))

    rest = sp.symbols("rest", positive=True)  # 1 - x
    joint = chi(x * s, sp.Integer(1)) * chi(rest * s, d - 1) * s
    power = sp.powsimp(sp.simplify(joint * sp.exp(s * (x + rest) / 2)), force=True)
    scale = sp.simplify(power / s ** (d / 2 - 1))
    if s in scale.free_symbols:
        return f"{scale} still depends on the radius"
    density = scale * sp.integrate(s ** (d / 2 - 1) * sp.exp(-s / 2), (s, 0, sp.oo))
    beta = (
        x ** (-sp.Rational(1, 2))
        * rest ** ((d - 3) / 2)
        / (sp.gamma(sp.Rational(1, 2)) * sp.gamma((d - 1) / 2))
        * sp.gamma(d / 2)
    )
    return zero(density - beta)


def magnitude_threshold() -> str:
    """X22: removed share, energy and size of N(0, sigma^2) cut at kappa sigma; the untruncated cosh mean is e^(sigma^2 t^2/2)."""
    z, t = sp.symbols("z t", real=True)
    kappa, sigma = sp.symbols("kappa sigma", positive=True)
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)

    def mean(value, high=kappa):
        return 2 * sp.integrate(value * density, (z, 0, high))

    whole = sp.integrate(sp.exp(sigma * t * z) * density, (z, -sp.oo, sp.oo))
    return zero(
        mean(1) - sp.erf(kappa / sp.sqrt(2)),
        mean(sigma**2 * z**2) - sigma**2 * (sp.erf(kappa / sp.sqrt(2)) - kappa * sp.sqrt(2 / sp.pi) * sp.exp(-(kappa**2) / 2)),
        mean(sigma * z) - sigma * sp.sqrt(2 / sp.pi) * (1 - sp.exp(-(kappa**2) / 2)),
        sp.simplify(whole) - sp.exp(sigma**2 * t**2 / 2),
    )


def hoeffding_signs() -> str:
    """cosh t = (e^t + e^-t)/2 <= e^(t^2/2), term by term: (2k)! >= 2^k k!, since (2k)!/(2^k k!) = 1 * 3 * ... * (2k - 1)."""
    k = sp.symbols("k", integer=True, positive=True)
    ratio = sp.factorial(2 * k) / (2**k * sp.factorial(k))
    step = sp.gammasimp(ratio.subs(k, k + 1) / ratio)
    t = sp.symbols("t", real=True)
    order = 12
    series = sp.series(sp.exp(t**2 / 2), t, 0, order).removeO()
    terms = sum(t ** (2 * i) / (2**i * sp.factorial(i)) for i in range(order // 2))
    cosh = sp.series(sp.cosh(t), t, 0, order).removeO() - sum(t ** (2 * i) / sp.factorial(2 * i) for i in range(order // 2))
    return zero(step - (2 * k + 1), ratio.subs(k, 1) - 1, sp.expand(series - terms), sp.expand(cosh))


def norm_concentrates() -> str:
    """X20(b): E ||R v||^2 = g ||v||^2 for N(0, g/n) entries, so E ||R v|| <= sqrt g ||v||; E B_T scales as sqrt(g/n) (X16)."""
    z = sp.symbols("z", real=True)
    g, n, v = sp.symbols("g n v", positive=True)
    second = sp.integrate(z**2 * sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi), (z, -sp.oo, sp.oo))
    first = sp.integrate(2 * z * sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi), (z, 0, sp.oo))
    return zero(n * (g / n) * v**2 * second - g * v**2, first - sp.sqrt(2 / sp.pi))


CHECKS = (
    Check(
        "SYM-16", "sympy", "e^(-x^2/2) - 2 Q(x) >= 0: 0 at both ends, one turn", ("X15-gauss-exact", "ESM1-A3.6-sub-root-N"), tail
    ),
    Check("SYM-17", "z3", "1 - (1 - delta)^(1/k) >= delta/k", ("X15-gauss-exact", "X28-threshold-exact"), bernoulli),
    Check(
        "SYM-55",
        "sympy",
        "each multiplier spends exactly its delta",
        ("C5.10-gauss-budget", "X15-gauss-exact", "X28-threshold-exact", "ESM1-C1.5-multilayer-gauss"),
        levels,
    ),
    Check("SYM-56", "sympy", "C5.11 is C5.10 in other letters", ("C5.11-mp-edge-budget", "R2.3-mp-edge", "F19"), edge_budget),
    Check(
        "SYM-57",
        "sympy",
        "c = 1/2 gives the Gaussian budget",
        ("ESM1-C1.4-subgauss-budget", "ESM1-C1.6-multilayer-subgauss"),
        subgaussian,
    ),
    Check("SYM-58", "z3", "the two Lipschitz constants of B_T", ("X16-gauss-mean",), mean_constant),
    Check("SYM-59", "sympy", "a squared coordinate of the sphere is Beta(1/2, (d - 1)/2)", ("X18-g-free",), sphere_coordinate),
    Check("SYM-60", "sympy", "moments of a Gaussian cut at kappa sigma", ("X22-magnitude-threshold",), magnitude_threshold),
    Check(
        "SYM-61",
        "sympy",
        "(2k)! >= 2^k k!, so cosh t <= e^(t^2/2)",
        ("X21-sign-symmetric", "EMP-H1", "X22-magnitude-threshold"),
        hoeffding_signs,
    ),
    Check("SYM-62", "sympy", "E ||R v||^2 = g ||v||^2; m_1 = sqrt(2/pi)", ("X20-l2-tails", "M9-max-gaussian"), norm_concentrates),
)
