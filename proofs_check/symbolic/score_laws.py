"""SYM-67 to SYM-70: the laws of independent scores (Section 5 of the specification), and elementary facts on few scores."""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero

HALF = sp.Rational(1, 2)


def _bell(z):
    return sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)


def ratios() -> str:
    """m_1^2 / m_2 of every law of the table, by integration of its density."""
    z, p, sigma, a, k, n = sp.symbols("z p sigma a k n", positive=True)
    y = sp.symbols("y", real=True)

    def ratio(one, two):
        return sp.simplify(one**2 / two)

    gaussian = [2 * sp.integrate(z ** (power * p) * _bell(z), (z, 0, sp.oo)) for power in (1, 2)]
    laplace = [sp.integrate(z ** (power * p) * sp.exp(-z), (z, 0, sp.oo)) for power in (1, 2)]
    uniform = [[sp.integrate(z ** (power * i), (z, 0, 1)) for power in (1, 2)] for i in (1, 2)]
    normal = [sp.integrate(sp.exp(power * sigma * y) * _bell(y), (y, -sp.oo, sp.oo)) for power in (1, 2)]
    beyond = sp.symbols("b", positive=True)  # index 2 + b
    pareto = [sp.integrate((2 + beyond) * z ** (power - 3 - beyond), (z, 1, sp.oo)) for power in (1, 2)]
    chi = [sp.integrate(z ** (k - 1 + i) * sp.exp(-(z**2) / 2), (z, 0, sp.oo)) for i in (0, 1, 2)]
    # Student: z (1 + z^2/n)^(-(n+1)/2) has the antiderivative -n/(n - 1) (1 + z^2/n)^(-(n-1)/2).
    weight = sp.gamma((n + 1) / 2) / (sp.sqrt(n * sp.pi) * sp.gamma(n / 2))
    inner = -n / (n - 1) * (1 + z**2 / n) ** (-(n - 1) / 2)
    student = (2 * weight * n / (n - 1)) ** 2 / (n / (n - 2))
    stated = (n - 2) / sp.pi * (sp.gamma((n - 1) / 2) / sp.gamma(n / 2)) ** 2
    seconds = []
    for freedom in (3, 4, 5, 6):
        density = weight.subs(n, freedom) * (1 + z**2 / freedom) ** (-sp.Rational(freedom + 1, 2))
        seconds.append(2 * sp.integrate(z**2 * density, (z, 0, sp.oo)) - sp.Rational(freedom, freedom - 2))
    return zero(
        ratio(*gaussian) - sp.gamma((p + 1) / 2) ** 2 / (sp.sqrt(sp.pi) * sp.gamma(p + HALF)),
        ratio(*gaussian).subs(p, 1) - 2 / sp.pi,
        ratio(*gaussian).subs(p, 2) - sp.Rational(1, 3),
        ratio(*laplace) - sp.gamma(p + 1) ** 2 / sp.gamma(2 * p + 1),
        ratio(*laplace).subs(p, HALF) - sp.pi / 4,
        ratio(*uniform[0]) - sp.Rational(3, 4),
        ratio(*uniform[1]) - sp.Rational(5, 9),
        ratio(*normal) - sp.exp(-(sigma**2)),
        ratio(*pareto) - (a * (a - 2) / (a - 1) ** 2).subs(a, 2 + beyond),
        chi[1] ** 2 / (chi[0] * chi[2]) - 2 / k * (sp.gamma((k + 1) / 2) / sp.gamma(k / 2)) ** 2,
        sp.diff(inner, z) - z * (1 + z**2 / n) ** (-(n + 1) / 2),
        sp.gammasimp(student / stated) - 1,
        *seconds,
    )


def retained() -> str:
    """E[s; s > q] / m_1 where P(s > q) = R."""
    z, q, sigma, low, b, n = sp.symbols("z q sigma low b n", positive=True)
    y, edge = sp.symbols("y edge", real=True)
    mean = 2 * sp.integrate(z * _bell(z), (z, 0, sp.oo))
    half_normal = 2 * sp.integrate(z * _bell(z), (z, q, sp.oo)) / mean
    squares = 2 * sp.integrate(z**2 * _bell(z), (z, q, sp.oo)) - (2 * q * _bell(q) + 1 - sp.erf(q / sp.sqrt(2)))
    laplace = sp.integrate(z * sp.exp(-z), (z, q, sp.oo)).subs(q, sp.log(2)) - (1 + sp.log(2)) / 2
    six = sp.integrate(z**2 * sp.exp(-z), (z, q, sp.oo)).subs(q, sp.log(6)) / 2
    uniform = 2 * sp.integrate(z, (z, low, 1)), 3 * sp.integrate(z**2, (z, low, 1))
    shifted = sp.integrate(sp.exp(sigma * y) * _bell(y), (y, edge, sp.oo)) * sp.exp(-(sigma**2) / 2)
    pareto = sp.integrate((2 + b) * z ** (-2 - b), (z, q, sp.oo)) * (1 + b) / (2 + b)
    above = sp.symbols("r", positive=True)
    student = (1 + q**2 / n) ** (-(n - 1) / 2)
    return zero(
        half_normal - sp.exp(-(q**2) / 2),
        squares,
        laplace,
        six - (sp.log(6) ** 2 / 2 + sp.log(6) + 1) / 6,
        uniform[0].subs(low, sp.Rational(1, 4)) - sp.Rational(15, 16),
        uniform[1].subs(low, sp.Rational(4, 9)) - (1 - sp.Rational(4, 9) ** 3),
        shifted - (1 + sp.erf((sigma - edge) / sp.sqrt(2))) / 2,
        pareto.subs(q, above ** (-1 / (2 + b))) - above ** (1 - 1 / (2 + b)),
        sp.diff(student, q) * n / (n - 1) + q * (1 + q**2 / n) ** (-(n + 1) / 2),
    )


def variance() -> str:
    """V and the bias of f = m_1^2/m_2 by the delta method: gradient and half the Hessian against Cov(s, s^2); two laws."""
    one, two, three, four = sp.symbols("m1:5", positive=True)
    f = one**2 / two
    covariance = sp.Matrix([[two - one**2, three - one * two], [three - one * two, four - two**2]])
    gradient = sp.Matrix([sp.diff(f, one), sp.diff(f, two)])
    hessian = sp.hessian(f, (one, two))
    limit = (gradient.T * covariance * gradient)[0]
    bias = (hessian * covariance).trace() / 2
    r = one / two
    stated = 4 * r**2 * (two - one**2) - 4 * r**3 * (three - one * two) + r**4 * (four - two**2)
    stated_bias = (two - one**2) / two - 2 * one * (three - one * two) / two**2 + one**2 * (four - two**2) / two**3
    root = sp.sqrt(2 / sp.pi)
    half_normal = {one: root, two: 1, three: 2 * root, four: 3}
    exponential = {one: 1, two: 2, three: 6, four: 24}
    return zero(
        sp.expand(limit - stated),
        sp.expand(bias - stated_bias),
        stated.subs(half_normal) - (8 / sp.pi - 24 / sp.pi**2),
        stated_bias.subs(half_normal) - (1 - 2 / sp.pi),
        stated.subs(exponential) - sp.Rational(1, 4),
        stated_bias.subs(exponential) - 1,
    )


def untrained() -> str:
    """Uniform on [-a, a]: E |s| = a/2, E s^2 = a^2/3; two layers pooled give (sum n a/2)^2 / (N sum n a^2/3)."""
    x, a = sp.symbols("x a", positive=True)
    n1, n2, a1, a2 = sp.symbols("n1 n2 a1 a2", positive=True)
    first, second = 2 * sp.integrate(x / (2 * a), (x, 0, a)), 2 * sp.integrate(x**2 / (2 * a), (x, 0, a))
    pool = (n1 * a1 / 2 + n2 * a2 / 2) ** 2 / ((n1 + n2) * (n1 * a1**2 / 3 + n2 * a2**2 / 3))
    total = n1 + n2
    mean = (n1 * first.subs(a, a1) + n2 * first.subs(a, a2)) / total
    square = (n1 * second.subs(a, a1) + n2 * second.subs(a, a2)) / total
    return zero(
        first - a / 2, second - a**2 / 3, sp.simplify(mean**2 / square - pool), pool.subs({a1: 1, a2: 1}) - sp.Rational(3, 4)
    )


def products_and_blocks() -> str:
    """D(s x t) = D(s) D(t), D(s x 1_k) = k D(s), and 1/D = sum pi^2/D_l over two blocks."""
    s, t = sp.symbols("s0:3", positive=True), sp.symbols("t0:2", positive=True)

    def number(values):
        return sum(values) ** 2 / sum(x**2 for x in values)

    outer = [a * b for a in s for b in t]
    total = sum(s) + sum(t)
    pooled = (sum(s) / total) ** 2 / number(s) + (sum(t) / total) ** 2 / number(t)
    return zero(
        sp.simplify(number(outer) - number(s) * number(t)),
        sp.simplify(number([a for a in s for _ in range(4)]) - 4 * number(s)),
        sp.simplify(1 / number([*s, *t]) - pooled),
    )


def facts() -> str:
    """Facts 1, 4, 5, 6, 7 on three or four scores, and the interval of Theorem 4 pointing up at the vertex e_1."""
    z3 = prover()
    x = [z3.Real(f"x{i}") for i in range(4)]
    total, square = sum(x), sum(a * a for a in x)
    ordered = [*(x[i] >= x[i + 1] for i in range(3)), x[3] >= 0, total == 1]
    three = [x[0] >= x[1], x[1] >= x[2], x[2] >= 0, x[3] == 0, total == 1]
    weight, one, two, both = z3.Reals("pi d1 d2 D")
    questions = (
        (ordered, z3.And(square <= x[0], square * 4 >= 1, square >= x[0] * x[0])),
        (
            [
                weight >= 0,
                weight <= 1,
                one > 0,
                two > 0,
                both > 0,
                both * (weight * weight * two + (1 - weight) * (1 - weight) * one) == one * two,
            ],
            both <= one + two,
        ),
        (
            ordered,
            z3.And((x[0] + x[1]) ** 2 + (x[2] + x[3]) ** 2 <= 2 * square, (x[0] + x[1]) ** 2 + (x[2] + x[3]) ** 2 >= square),
        ),
        (three, z3.And(z3.Implies(x[1] >= square, 2 * square <= 1), z3.Implies(x[2] >= square, 3 * square <= 1))),
        (ordered, z3.And(x[1] * x[1] + x[2] * x[2] + x[3] * x[3] <= square * (1 - x[0]), x[3] * x[3] <= square * x[3])),
        (ordered, x[2] * x[2] + x[3] * x[3] <= square * (x[2] + x[3])),
        (ordered, 2 * (x[0] - square) >= 0),
    )
    return next((found for hypotheses, conclusion in questions if (found := unsatisfiable(hypotheses, conclusion))), "")


def certificates() -> str:
    """T7: |h_12| <= sqrt(h_11 h_22) gives d^T H d <= (sum |d_i| sqrt h_ii)^2; C13: ||R||_1^2 <= (N - K) ||R||_2^2, entry rule."""
    z3 = prover()
    d, e, p, q, cross = z3.Reals("d e p q cross")  # p, q = sqrt h_11, sqrt h_22
    size = z3.If(d >= 0, d, -d) * p + z3.If(e >= 0, e, -e) * q
    quadratic = d * d * p * p + 2 * d * e * cross + e * e * q * q
    curvature = unsatisfiable([p >= 0, q >= 0, cross <= p * q, -cross <= p * q], quadratic <= size * size)
    r = [z3.Real(f"r{i}") for i in range(3)]
    cauchy = unsatisfiable([r[0] >= 0], sum(r) * sum(r) <= 3 * sum(x * x for x in r))
    a, alpha, one, two = z3.Reals("a alpha lambda1 lambda2")
    rule = [a >= 0, alpha >= 0, one >= 0, two >= 0, 2 * alpha <= one + two * a]
    return curvature or cauchy or unsatisfiable(rule, 2 * alpha * a <= one * a + two * a * a)


CHECKS = (
    Check("SYM-67a", "sympy", "m_1^2/m_2 of every law", ("EMP-T14",), ratios),
    Check("SYM-67b", "sympy", "retained mass of every law", ("EMP-T14",), retained),
    Check("SYM-67c", "sympy", "variance and bias by the delta method", ("EMP-T14",), variance),
    Check("SYM-68", "sympy", "uniform layers in one pool", ("EMP-T16",), untrained),
    Check("SYM-69", "sympy", "D of products and of pooled blocks", ("EMP-F2", "EMP-F4"), products_and_blocks),
    Check(
        "SYM-70a",
        "z3",
        "facts 1, 4, 5, 6, 7 on three or four scores",
        ("EMP-D1", "EMP-F1", "EMP-F4", "EMP-F5", "EMP-F6", "EMP-F7", "EMP-T4"),
        facts,
    ),
    Check("SYM-70b", "z3", "curvature scores; energy and entry rule of the elastic net", ("EMP-T7", "EMP-C13"), certificates),
)
