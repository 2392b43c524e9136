"""SYM-19 and SYM-20: spikes under rectangular noise, the correction of a persistent spike, thresholds and shrinkers.

Written with entry variance g / n and c = m / n, as the specification does; sqrt c enters as k, so that edges are polynomials.
"""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def edges():
    """g, k = sqrt c, a, b."""
    g, k = sp.symbols("g k", positive=True)
    return g, k, g * (1 - k) ** 2, g * (1 + k) ** 2


def spike_identities() -> str:
    g, k, low, high = edges()
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
    g, k, low, high = edges()
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


def d_transform() -> str:
    """D = s^2 m(s^2) companion(s^2); D' = -2 D s / sqrt((s^2 - a)(s^2 - b)) < 0, -infinity at sqrt b."""
    g, k, low, high = edges()
    y, root = sp.symbols("y root", positive=True)
    c = k**2
    place = {root**2: sp.expand((y - low) * (y - high))}
    transform = (y - g * (1 + c) - root) / (2 * g**2 * c)
    stieltjes = (g * (1 - c) - y + root) / (2 * c * g * y)
    companion = c * stieltjes - (1 - c) / y
    product = sp.expand(sp.expand((y * stieltjes * companion - transform) * 4 * c * g**2 * y)).subs(place)
    # d root / dy = (y - g (1 + c)) / root, so dD/dy = (1 - (y - g (1 + c)) / root) / (2 g^2 c) = -D / root.
    slope = (1 - (y - g * (1 + c)) / root) / (2 * g**2 * c)
    return zero(sp.expand(product), slope + transform / root, sp.diff((y - low) * (y - high), y) - 2 * (y - g * (1 + c)))


def spike_of_strength() -> str:
    """rho(theta(s)) = s: with p^2 = y - a, q^2 = y - b and theta = (p + q)/2, (theta^2 + g)(theta^2 + g c) = y theta^2.

    theta^2 >= (p^2 - q^2)/4 = theta_c^2, so the formula above the threshold applies.
    """
    g, k, low, high = edges()
    p, q = sp.symbols("p q", positive=True)
    square = ((p + q) / 2) ** 2
    rest = sp.expand(p**2 - q**2 - (high - low))
    difference = sp.expand((square + g) * (square + g * k**2) - (low + p**2) * square)
    return zero(sp.rem(difference, rest, p))


def strength_error() -> str:
    """|D - theta^(-2)| <= e < theta^(-2) gives |D^(-1/2) - theta| <= theta (q - 1), q^2 (1 - e theta^2) = 1; theta = 1."""
    z3 = prover()
    d, y, e, q = z3.Reals("D y e q")
    hypotheses = [d > 0, y > 0, y * y * d == 1, e >= 0, e < 1, q > 0, q * q * (1 - e) == 1, d - 1 <= e, 1 - d <= e]
    found = unsatisfiable(hypotheses, z3.And(y - 1 <= q - 1, 1 - y <= q - 1))
    theta, size = sp.symbols("theta D", positive=True)
    # D / theta^2 in place of D, e theta^2 in place of e: both sides scale by theta.
    scaled = (size / theta**2) ** sp.Rational(-1, 2) - theta - theta * (size ** sp.Rational(-1, 2) - 1)
    return found or zero(scaled)


def scaling() -> str:
    """rho_g(s) = sqrt g rho_1(s/sqrt g), and the overlaps depend on s/sqrt g alone (square case)."""
    g, s = sp.symbols("g s", positive=True)

    def rho(strength, variance):
        return strength + variance / strength

    def overlap(strength, variance):
        return (strength**4 - variance**2) / (strength**2 * (strength**2 + variance))

    unit = s / sp.sqrt(g)
    return zero(rho(s, g) - sp.sqrt(g) * rho(unit, 1), overlap(s, g) - overlap(unit, 1), overlap(s, g) - (1 - g / s**2))


def lipschitz() -> str:
    """Above the threshold d rho/d theta <= 1 and d rho/dw <= 1 + k, w = sqrt g; at it and below, rho = w (1 + k).

    rho d rho/d theta = theta - c g^2/theta^3 and rho d rho/dw = w (1 + c) + 2 c w^3/theta^2.
    """
    theta, k, w = sp.symbols("theta k w", positive=True)
    square = theta**2 + w**2 * (1 + k**2) + w**4 * k**2 / theta**2
    found = zero(
        sp.diff(square, theta) / 2 - (theta - k**2 * w**4 / theta**3),
        sp.diff(square, w) / 2 - (w * (1 + k**2) + 2 * k**2 * w**3 / theta**2),
    )
    z3 = prover()
    t, r, b, rho = z3.Reals("t k w rho")
    # Multiplied by powers of t: rho^2 t^2 = (t^2 + w^2)(t^2 + w^2 k^2).
    hypotheses = [t > 0, r > 0, b >= 0, t * t >= b * b * r, rho > 0]
    hypotheses.append(rho * rho * t * t == (t * t + b * b) * (t * t + b * b * r * r))
    slope = unsatisfiable(hypotheses, t * t * t * t - r * r * b * b * b * b <= rho * t * t * t)
    # (1 + c) t^2 + 2 c w^2 <= (1 + k) t sqrt((t^2 + w^2)(t^2 + c w^2)), squared; x = t^2, y = w^2, x >= k y.
    x, y = z3.Reals("x y")
    left = (1 + r * r) * x + 2 * r * r * y
    noise = unsatisfiable(
        [x > 0, y >= 0, r > 0, x >= r * y], y * left * left <= (1 + r) * (1 + r) * x * (x + y) * (x + r * r * y)
    )
    return found or slope or noise


def persistent() -> str:
    """theta <= rho(theta) <= theta + sqrt b - theta_c above the threshold: sqrt b = w (1 + k), theta_c^2 = w^2 k, k = q^2."""
    z3 = prover()
    t, q, w = z3.Reals("t q w")
    square = (t * t + w * w) * (t * t + w * w * q * q * q * q)
    top = t + w * (1 + q * q) - w * q
    return unsatisfiable([t > 0, q > 0, w >= 0, t >= w * q], z3.And(square >= t * t * t * t, square <= t * t * top * top))


def transform() -> str:
    """All of M6: D = theta^(-2) = s^2 m companion, its slope -D/sqrt((s^2 - a)(s^2 - b)), D(sqrt b) = theta_c^(-2), 0 far out."""
    g, k, _, high = edges()
    y = sp.symbols("y", positive=True)
    at_edge = (high - g * (1 + k**2)) / (2 * g**2 * k**2) - 1 / (g * k)
    # D = 2 / (y - g (1 + c) + root) <= 2 / (y - g (1 + c)), which vanishes far out.
    far = sp.limit(2 / (y - g * (1 + k**2)), y, sp.oo)
    return inverse_is_half_sum() or d_transform() or zero(at_edge, far)


def best_hard_threshold() -> str:
    """Keeping a spike costs theta^2 + rho^2 - 2 theta rho u v, dropping it theta^2: equal where rho^2 = 2 theta rho u v.

    With theta rho u v = theta^2 - c g^2/theta^2 that is theta^4 - g (1 + c) theta^2 - 3 c g^2 = 0, and rho^2 there is lambda^2.
    """
    c, g, t = sp.symbols("c g t", positive=True)  # t = theta^2
    square = (t + g) * (t + g * c) / t
    left, right = (t**2 - c * g**2) / (t * (t + g)), (t**2 - c * g**2) / (t * (t + c * g))
    gap = (t**2 - c * g**2) / t
    root = sp.symbols("root", positive=True)  # sqrt((1 + c)^2 + 12 c)
    level = g * ((1 + c) + root) / 2
    stated = g * (2 * (c + 1) + 8 * c / ((c + 1) + root))
    place = {root**2: (1 + c) ** 2 + 12 * c}

    def reduced(expression):
        numerator = sp.numer(sp.together(expression))
        return sp.rem(sp.expand(numerator), root**2 - (1 + c) ** 2 - 12 * c, root)

    return zero(
        t * square * left * right - gap**2,
        sp.expand((1 + c) ** 2 + 12 * c - (c**2 + 14 * c + 1)),
        sp.numer(sp.together(square - 2 * gap)) + (t**2 - g * (1 + c) * t - 3 * c * g**2),
        reduced((square - 2 * gap).subs(t, level)),
        reduced(square.subs(t, level) - stated),
        sp.sqrt(stated.subs(place).subs({root: sp.sqrt((1 + c) ** 2 + 12 * c)}).subs({c: 1, g: 1})) - 4 / sp.sqrt(3),
    )


def best_shrinkers() -> str:
    """Frobenius: theta^2 + eta^2 - 2 theta eta u v is least at gap/rho. Nuclear: its two forms agree. u^2, v^2 are overlaps."""
    g, k, low, high = edges()
    theta, rho = sp.symbols("theta rho", positive=True)
    c = k**2
    left = (theta**4 - c * g**2) / (theta**2 * (theta**2 + g))
    right = (theta**4 - c * g**2) / (theta**2 * (theta**2 + c * g))
    square = (theta**2 + g) * (theta**2 + g * c) / theta**2
    gap = (theta**4 - c * g**2) / theta**2
    nuclear = theta * (gap / (theta * rho) - g * k / theta**2)
    printed = (theta**4 - c * g**2 - k * g * theta * rho) / (theta**2 * rho)
    return zero(
        theta**2 * left * right - gap**2 / square,
        (square - low) * (square - high) - gap**2,
        (1 - left) * (1 - right) - c * g**2 / theta**4,
        nuclear - printed,
    )


def operator_shrinker() -> str:
    """Leeb: the loss of eta is the top singular value of theta e e^T - eta (u, .)(v, .)^T, theta sqrt(1 - v^2) at theta v/u.

    v <= u are the cosines, v/u = sqrt((theta^2 + g min)/(theta^2 + g max)); theta sqrt(1 - v^2) is a singular value there, and
    the determinant shows that the other one is not larger.
    """
    theta, u, v = sp.symbols("theta u v", positive=True)
    s, t = sp.sqrt(1 - u**2), sp.sqrt(1 - v**2)
    eta = theta * v / u
    matrix = sp.Matrix([[theta - eta * u * v, -eta * u * t], [-eta * s * v, -eta * s * t]])
    level = theta**2 * (1 - v**2)
    gram = matrix * matrix.T
    other = sp.simplify(gram.trace() - level)
    z3 = prover()
    x, y = z3.Reals("x y")  # u^2, v^2
    smaller = unsatisfiable([x > 0, x <= 1, y > 0, y <= x], y * (1 - x) <= x * (1 - y))
    aspect, g, c = sp.symbols("t g c", positive=True)
    left, right = 1 / (aspect + g), 1 / (aspect + c * g)
    return (
        zero(
            sp.simplify((gram - level * sp.eye(2)).det()),
            sp.simplify(other - theta**2 * v**2 * (1 - u**2) / u**2),
            left / right - (aspect + c * g) / (aspect + g),
        )
        or smaller
    )


CHECKS = (
    Check(
        "SYM-19a",
        "sympy",
        "rho^2 - b is a square; D(rho(theta)) = theta^(-2); D(sqrt b) = theta_c^(-2)",
        ("M5-bbp-map", "M5-inverse", "M5-overlaps", "M6-inverse-D", "ESM1-T5.1-bgn-square"),
        spike_identities,
    ),
    Check(
        "SYM-19b",
        "z3",
        "theta^4 >= c g^2: rho^2 >= b, equality at theta_c only; overlaps in [0, 1]",
        ("M5-bbp-map", "M5-overlaps", "M5-threshold"),
        spike_inequalities,
    ),
    Check("SYM-19c", "z3", "rho grows strictly above theta_c", ("M5-bbp-map",), spike_monotone),
    Check(
        "SYM-19d",
        "sympy",
        "theta = (sqrt(y - a) + sqrt(y - b)) / 2 is M5's inverse, and D theta^2 = 1",
        ("M5-inverse", "M6-inverse-D", "GD-shrinkers"),
        inverse_is_half_sum,
    ),
    Check("SYM-20a", "sympy", "s - sigma = 2 g / (s + sqrt(s^2 - 4 g))", ("C4.12-bbp-persistent",), correction),
    Check("SYM-20b", "z3", "0 < sigma < s, sigma^2 >= g", ("C4.12-bbp-persistent", "ESM1-T5.1-bgn-square"), correction_sign),
    Check(
        "SYM-19e",
        "sympy",
        "D = theta^(-2) = s^2 m companion falls from theta_c^(-2) to 0, with slope -infinity at sqrt b",
        ("M6-inverse-D", "M3-stieltjes"),
        transform,
        whole=("M6-inverse-D",),
    ),
    Check("SYM-19f", "sympy", "rho(theta(s)) = s", ("M5-inverse", "M5-bbp-map"), spike_of_strength, whole=("M5-inverse",)),
    Check(
        "SYM-63",
        "z3",
        "|D - theta^(-2)| <= e: the error of D^(-1/2)",
        ("ESM1-T5.4-inverse-D",),
        strength_error,
        whole=("ESM1-T5.4-inverse-D",),
    ),
    Check("SYM-77a", "sympy", "rho_g(s) = sqrt g rho_1(s/sqrt g)", ("ESM1-C5.2-bgn-g", "ESM1-T5.1-bgn-square"), scaling),
    Check("SYM-77b", "z3", "d rho/d theta <= 1, d rho/d sqrt g <= 1 + sqrt c", ("ESM1-T5.3-bgn-variable",), lipschitz),
    Check("SYM-77c", "z3", "theta <= rho <= theta + sqrt b - theta_c", ("ESM1-C2.4-bgn-persistent",), persistent),
    Check("SYM-64", "sympy", "keeping and dropping cost the same at lambda", ("GD-hard-threshold",), best_hard_threshold),
    Check("SYM-65", "sympy", "Frobenius and nuclear shrinkers from the overlaps", ("GD-shrinkers",), best_shrinkers),
    Check("SYM-66", "sympy", "theta sqrt(1 - v^2) is the loss at theta v/u", ("GD-shrinker-operator",), operator_shrinker),
)
