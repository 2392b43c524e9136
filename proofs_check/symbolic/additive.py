"""SYM-14 and SYM-21, and the algebra of the additive framework W = S + R: losses along the split, collapse, energy."""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def _matrix(name, rows=2, cols=3):
    return sp.Matrix(rows, cols, sp.symbols(f"{name}0:{rows * cols}", real=True))


def _square(matrix):
    return sum(entry**2 for entry in matrix)


def _product(one, two):
    return sum(a * b for a, b in zip(one, two, strict=True))


def removal_identity() -> str:
    """L(S + theta R) - L(W) = change of the cross-entropy - lambda ((1 - theta^2) ||R||^2 + 2 (1 - theta) <S, R>).

    At theta = 0: L(S) - L(W) + lambda ||R||^2 = change - 2 lambda <S, R>. Other layers add the same to both losses.
    """
    signal, noise = _matrix("s"), _matrix("r")
    weight, theta, dense, moved, rest = sp.symbols("lambda theta ce1 ce0 c", real=True)
    change = moved + weight * _square(signal + theta * noise) + rest - dense - weight * _square(signal + noise) - rest
    right = moved - dense - weight * ((1 - theta**2) * _square(noise) + 2 * (1 - theta) * _product(signal, noise))
    at_zero = change.subs(theta, 0) + weight * _square(noise) - (moved - dense - 2 * weight * _product(signal, noise))
    return zero(sp.expand(change - right), sp.expand(at_zero))


def telescoping() -> str:
    """m = 2, 3 layers replaced in a row: L(m) - L(0) + lambda sum ||R_l||^2 = sum_l (change_l - 2 lambda <S_l, R_l>)."""
    rests = []
    weight = sp.symbols("lambda", real=True)
    for layers in (2, 3):
        signals = [_matrix(f"s{layer}_", 1, 2) for layer in range(layers)]
        noises = [_matrix(f"r{layer}_", 1, 2) for layer in range(layers)]
        ce = sp.symbols(f"ce0:{layers + 1}", real=True)

        def loss(replaced, ce=ce, signals=signals, noises=noises):
            parts = zip(range(len(signals)), signals, noises, strict=True)
            return ce[replaced] + weight * sum(_square(s if layer < replaced else s + r) for layer, s, r in parts)

        steps = [ce[j + 1] - ce[j] - 2 * weight * _product(signals[j], noises[j]) for j in range(layers)]
        rests.append(sp.expand(loss(layers) - loss(0) + weight * sum(map(_square, noises)) - sum(steps)))
    return zero(*rests)


def universal() -> str:
    """X10's exact difference of the regularisers is T5.3's right side, and T5.4's for a mask (entries with s r = 0)."""
    s, r, theta, two, one = sp.symbols("s r theta lambda2 lambda1", real=True)
    exact = two * ((s + r) ** 2 - (s + theta * r) ** 2)
    additive = two * ((1 - theta**2) * r**2 + 2 * (1 - theta) * s * r)
    positive = sp.symbols("theta", nonnegative=True)
    on_noise = two * (r**2 - (positive * r) ** 2) + one * (sp.Abs(r) - sp.Abs(positive * r))
    mask = two * (1 - positive**2) * r**2 + one * (1 - positive) * sp.Abs(r)
    return zero(sp.expand(exact - additive), on_noise - mask)


def scale_free() -> str:
    """SYM-14: 2 lambda r^2 <= r b + eps implies r <= max(b, 0) / (2 lambda) + q with 2 lambda q^2 = eps."""
    z3 = prover()
    weight, r, eps, q, b = z3.Reals("lambda r eps q b")
    hypotheses = [weight > 0, r >= 0, eps >= 0, q >= 0, 2 * weight * r * r <= r * b + eps, 2 * weight * q * q == eps]
    return unsatisfiable(hypotheses, 2 * weight * (r - q) <= z3.If(b > 0, b, 0))


def scale_free_step() -> str:
    """T5.3's one-sided inequality 2 lambda (r^2 + x) <= B + eps is that of SYM-14 with b = (B - 2 lambda x)/r, r = ||R||."""
    z3 = prover()
    weight, r, x, bound, eps, b, c = z3.Reals("lambda r x B eps b c")
    hypotheses = [weight > 0, r > 0, 2 * weight * (r * r + x) <= bound + eps, b * r == bound, c * r == -x]
    return unsatisfiable(hypotheses, 2 * weight * r * r <= r * (b + 2 * weight * c) + eps)


def collapse_limit() -> str:
    """h a - lambda (1 - theta^2) r^2 + 2 lambda h eta over h = 1 - theta tends to a - 2 lambda (r^2 - eta)."""
    a, weight, r, eta, h = sp.symbols("a lambda r eta h", positive=True)
    theta = 1 - h
    bound = (1 - theta) * a - weight * (1 - theta**2) * r**2 + 2 * weight * (1 - theta) * eta
    return zero(sp.limit(sp.expand(bound / h), h, 0, "+") - (a - 2 * weight * r**2 + 2 * weight * eta))


def collapse_solved() -> str:
    """-eps <= a - 2 lambda r^2 + 2 lambda eta implies r^2 <= (a + eps) / (2 lambda) + eta."""
    z3 = prover()
    a, weight, r, eta, eps = z3.Reals("a lambda r eta eps")
    return unsatisfiable([weight > 0, -eps <= a - 2 * weight * r * r + 2 * weight * eta], 2 * weight * (r * r - eta) <= a + eps)


def noise_energy() -> str:
    """R of shape (N, M), variance g/N: E ||R||^2 = g M, and ||R||^2 / (g M) has standard deviation sqrt(2 / (N M))."""
    z = sp.symbols("z", real=True)
    n, m, g = sp.symbols("N M g", positive=True)
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    two, four = (sp.integrate(z**power * density, (z, -sp.oo, sp.oo)) for power in (2, 4))
    mean = n * m * (g / n) * two
    variance = n * m * (g / n) ** 2 * (four - two**2)
    return zero(mean - g * m, sp.sqrt(variance) / (g * m) - sp.sqrt(2 / (n * m)))


def break_even() -> str:
    """(2/|T|) sum L ||v|| sqrt(g/n) x = lambda g m at g = (2 mean x / (lambda m sqrt n))^2; beyond it the reward is larger."""
    g, n, m, mean, x, weight = sp.symbols("g n m Lbar x lambda", positive=True)
    level = (2 * mean * x / (weight * m * sp.sqrt(n))) ** 2
    gap = weight * g * m - 2 * mean * sp.sqrt(g / n) * x
    factored = weight * m * sp.sqrt(g) * (sp.sqrt(g) - sp.sqrt(level))
    return zero(gap.subs(g, level), sp.simplify(gap - factored))


def ray() -> str:
    """t R is certified, t B < t^2 lambda2 ||R||^2 + t lambda1 ||R||_1, iff t > (B - lambda1 ||R||_1)/(lambda2 ||R||^2)."""
    z3 = prover()
    t, bound, square, one = z3.Reals("t B square one")
    certified = t * bound < t * t * square + t * one
    return unsatisfiable([t > 0, bound >= 0, square > 0, one >= 0], certified == (t * square > bound - one))


def apriori() -> str:
    """0 <= ce, ce + lambda w <= log K bounds w; where a layer has ||S||^2 + ||R||^2 + 2 x, ||R||^2 <= log K / lambda + 2 |x|."""
    z3 = prover()
    ce, weight, most, signal, noise, x, others = z3.Reals("ce lambda logK S R x others")
    layer = signal + noise + 2 * x
    total = layer + others
    hypotheses = [ce >= 0, weight > 0, signal >= 0, noise >= 0, layer >= 0, others >= 0, ce + weight * total <= most]
    size = z3.If(x >= 0, x, -x)
    return unsatisfiable(hypotheses, z3.And(weight * total <= most, weight * (noise - 2 * size) <= most))


def bregman() -> str:
    """Omega(S + R) - Omega(S) = Omega'(S) R + D with D as stated: squares, entropy s log s - s, fourth powers."""
    s, t, weight = sp.symbols("s t lambda", positive=True)
    r = t - s
    cases = (
        (lambda x: weight * x**2, weight * r**2),
        (lambda x: x * sp.log(x) - x, t * sp.log(t / s) - r),
        (lambda x: x**4, r**2 * (6 * s**2 + 4 * s * r + r**2)),
    )
    rests = []
    for omega, gap in cases:
        slope = sp.diff(omega(s), s)
        rests.append(sp.expand(sp.expand_log(omega(t) - omega(s) - slope * r - gap, force=True)))
    first_order = sp.diff(weight * s**2, s) * r - 2 * weight * s * r
    return zero(*rests, first_order)


def bregman_lower() -> str:
    """The fourth power's D = r^2 ((2 s + r)^2 + 2 s^2) is at least 2 s^2 r^2; squares have D = (mu/2) r^2 with mu = 2 lambda."""
    z3 = prover()
    s, r = z3.Reals("s r")
    return unsatisfiable([], r * r * (6 * s * s + 4 * s * r + r * r) >= 2 * s * s * r * r)


def subgradient() -> str:
    """|s + r| - |s| >= xi r for every subgradient xi of |s|; off the support of s the best one, sign r, gives |r|."""
    z3 = prover()
    s, r, xi = z3.Reals("s r xi")

    def size(value):
        return z3.If(value >= 0, value, -value)

    admissible = z3.And(xi >= -1, xi <= 1, z3.Implies(s > 0, xi == 1), z3.Implies(s < 0, xi == -1))
    best = z3.Implies(z3.And(s == 0, xi * r == size(r)), size(s + r) - size(s) == xi * r)
    return unsatisfiable([admissible], z3.And(size(s + r) - size(s) >= xi * r, best))


def discarded_sign() -> str:
    """The exact reward is lambda (||A||^2 - ||S||^2) = lambda (||R||^2 + 2 <S, R>); at S = R = 1: 3 lambda, stated -lambda."""
    s, r, weight = sp.symbols("s r lambda", real=True)
    exact, stated = weight * ((s + r) ** 2 - s**2), weight * (r**2 - 2 * sp.Abs(s * r))
    at = {s: 1, r: 1}
    return zero(sp.expand(exact - weight * (r**2 + 2 * s * r)), exact.subs(at) - 3 * weight, stated.subs(at) + weight)


def gaussian_constants() -> str:
    """2 N e^(-x^2/2) at the levels of E4.2: 1/(8 N^3) for x = 2 sqrt(2 log 2N), 1/(2N) for x = 2 sqrt(log 2N)."""
    n = sp.symbols("N", positive=True)

    def union(x):
        return 2 * n * sp.exp(-(x**2) / 2)

    log = sp.log(2 * n)
    return zero(union(2 * sp.sqrt(2 * log)) - 1 / (8 * n**3), union(2 * sp.sqrt(log)) - 1 / (2 * n))


def estimator_error() -> str:
    """X26(d): |(y + sqrt(y^2 - 4 g))/2 - s| <= e + sqrt g for |y - s| <= e and y^2 >= 4 g."""
    z3 = prover()
    y, s, e, k, root = z3.Reals("y s e k root")
    hypotheses = [y >= 0, s >= 0, k >= 0, e >= 0, y - s <= e, s - y <= e, root >= 0, root * root == y * y - 4 * k * k]
    estimate = (y + root) / 2
    return unsatisfiable(hypotheses, z3.And(estimate - s <= e + k, s - estimate <= e + k))


def rotation_constant() -> str:
    """X26(c): e <= delta/4 implies e/(delta - e) <= (4/3) e/delta."""
    z3 = prover()
    e, gap, share = z3.Reals("e delta share")
    return unsatisfiable([e >= 0, gap > 0, 4 * e <= gap, share * (gap - e) == e], 3 * share * gap <= 4 * e)


def tail_count() -> str:
    """C4.10(iv) per singular value: 1{s > eps} <= s^2 / eps^2, so #{i > k: s_i > eps} <= tail energy / eps^2."""
    z3 = prover()
    s, eps = z3.Reals("s eps")
    return unsatisfiable([s >= 0, eps > 0], z3.If(s > eps, 1, 0) * eps * eps <= s * s)


def threshold() -> str:
    """SYM-21: |r| <= t implies |s| > 2 t => |s + r| > t => s != 0."""
    z3 = prover()
    s, r, t = z3.Reals("s r t")

    def size(value):
        return z3.If(value >= 0, value, -value)

    conclusion = z3.And(z3.Implies(size(s) > 2 * t, size(s + r) > t), z3.Implies(size(s + r) > t, s != 0))
    return unsatisfiable([size(r) <= t], conclusion)


def slack() -> str:
    """SYM-21: x - y > delta implies x - y - delta/2 > delta/2, so L4.1's event lies in that of its hypothesis at delta/2."""
    z3 = prover()
    x, y, delta = z3.Reals("x y delta")
    return unsatisfiable([delta > 0, x - y > delta], x - y - delta / 2 > delta / 2)


CHECKS = (
    Check(
        "SYM-30",
        "sympy",
        "L(S + theta R) - L(W) = change of ce - lambda ((1 - theta^2) ||R||^2 + 2 (1 - theta) <S, R>)",
        ("T4.5-loss-reduction", "ESM1-C2.2-scaled-loss", "ESM1-C2.3-finiteN-path", "T5.3-additive-frobenius"),
        removal_identity,
    ),
    Check(
        "SYM-31",
        "sympy",
        "m = 2, 3 layers: L(m) - L(0) + lambda sum ||R||^2 = sum of steps",
        ("T4.6-telescoping",),
        telescoping,
    ),
    Check("SYM-32", "sympy", "X10 contains T5.3 and T5.4", ("X10-universal",), universal),
    Check(
        "SYM-14a",
        "z3",
        "2 lambda r^2 <= r b + eps implies r <= b_+ / (2 lambda) + sqrt(eps / (2 lambda))",
        ("X24-scale-free-collapse",),
        scale_free,
    ),
    Check("SYM-14b", "z3", "stationarity of J_2 is that quadratic inequality", ("X24-scale-free-collapse",), scale_free_step),
    Check(
        "SYM-14c",
        "z3",
        "-eps <= a - 2 lambda r^2 + 2 lambda eta implies r^2 <= (a + eps) / (2 lambda) + eta",
        ("T4.7-stationarity-collapse", "ESM1-T3.21-noise-collapse", "F7"),
        collapse_solved,
    ),
    Check(
        "SYM-33",
        "sympy",
        "the bound of C2.3 over h tends to a - 2 lambda r^2 + 2 lambda eta",
        ("T4.7-stationarity-collapse", "ESM1-T3.21-noise-collapse"),
        collapse_limit,
    ),
    Check(
        "SYM-34",
        "sympy",
        "E ||R||^2 = g M; sd of ||R||^2 / (g M) is sqrt(2 / (N M))",
        ("C4.9-variance-collapse", "ESM1-R2.7-reg-scaling", "M10-variance-norm"),
        noise_energy,
    ),
    Check("SYM-35", "sympy", "budget = expected reward at g_be only", ("ESM1-R2.7-reg-scaling", "F25"), break_even),
    Check(
        "SYM-36", "z3", "t R is certified iff t > (B - lambda1 ||R||_1)/(lambda2 ||R||^2)", ("F25", "ESM1-R2.7-reg-scaling"), ray
    ),
    Check("SYM-37", "z3", "energy of a point no worse than 0", ("X25-apriori-energy",), apriori, whole=("X25-apriori-energy",)),
    Check("SYM-38a", "sympy", "Bregman identities of squares, entropy, fourth powers", ("ESM1-R2.8-bregman",), bregman),
    Check("SYM-38b", "z3", "the fourth power's Bregman divergence >= 2 s^2 r^2", ("ESM1-R2.8-bregman",), bregman_lower),
    Check(
        "SYM-38c",
        "z3",
        "|s + r| - |s| >= xi r for every subgradient",
        ("ESM1-R2.8-bregman", "ESM1-R2.8c-mask-vs-additive"),
        subgradient,
    ),
    Check("SYM-39", "sympy", "exact reward lambda (||A||^2 - ||S||^2): 3 lambda, not -lambda", ("F29",), discarded_sign),
    Check(
        "SYM-40",
        "sympy",
        "2 N e^(-x^2/2) = 1/(8 N^3) and 1/(2N)",
        ("E4.2-gauss", "ESM1-E2.5-gauss-constant", "F14", "ESM1-L3.13-remove-R"),
        gaussian_constants,
    ),
    Check(
        "SYM-41a",
        "z3",
        "|estimate - s| <= e + sqrt g",
        ("X26-perturbation-constants", "C4.12-bbp-persistent", "F21"),
        estimator_error,
    ),
    Check(
        "SYM-41b",
        "z3",
        "e <= delta/4 implies e/(delta - e) <= (4/3) e/delta",
        ("X26-perturbation-constants", "C4.11-subspace"),
        rotation_constant,
    ),
    Check("SYM-42", "z3", "1{s > eps} <= s^2 / eps^2", ("C4.10-bulk-spike",), tail_count),
    Check("SYM-21a", "z3", "|R| <= t: |S| > 2 t => kept => in the support", ("ESM1-T3.20-threshold",), threshold),
    Check(
        "SYM-21b",
        "z3",
        "x - y > delta => x - y - delta/2 > delta/2",
        ("ESM1-L4.1-slack",),
        slack,
        whole=("ESM1-L4.1-slack",),
    ),
)
