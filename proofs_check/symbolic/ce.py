"""SYM-01 to SYM-08 and SYM-22: the cross-entropy, its exact worst case Lambda_p(x) = log(p + (1 - p) e^x), softmax."""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def _cross_entropy(logits, true):
    return -logits[true] + sp.log(sum(sp.exp(z) for z in logits))


def _softmax(logits):
    total = sum(sp.exp(z) for z in logits)
    return [sp.exp(z) / total for z in logits]


def gradient() -> str:
    """K = 2..5 and every true class up to symmetry: the gradient, and its one-norm with the signs of rho - e_C."""
    rests = []
    for classes in range(2, 6):
        logits = sp.symbols(f"z0:{classes}", real=True)
        rho = _softmax(logits)
        rests += [sp.diff(_cross_entropy(logits, 0), logits[k]) - rho[k] + (1 if k == 0 else 0) for k in range(classes)]
        rests.append((1 - rho[0]) + sum(rho[1:]) - 2 * (1 - rho[0]))
    return zero(*rests)


def identity() -> str:
    rests = []
    for classes in range(2, 5):
        logits, moves = sp.symbols(f"z0:{classes}", real=True), sp.symbols(f"d0:{classes}", real=True)
        moved = [z + d for z, d in zip(logits, moves, strict=True)]
        ratio = sum(q * sp.exp(d - moves[0]) for q, d in zip(_softmax(logits), moves, strict=True))
        difference = _cross_entropy(moved, 0) - _cross_entropy(logits, 0)
        rests.append(sp.exp(sp.expand_log(difference, force=True)) - ratio)
    return zero(*rests)


def curvature() -> str:
    p, x = sp.symbols("p x", positive=True)
    share = (1 - p) * sp.exp(x) / (p + (1 - p) * sp.exp(x))
    cumulant = sp.log(p + (1 - p) * sp.exp(x))
    return zero(sp.diff(cumulant, x) - share, sp.diff(cumulant, x, 2) - share * (1 - share), cumulant.subs(x, 0))


def largest_gain() -> str:
    z3 = prover()
    x, t, w = [z3.Real(f"x{j}") for j in range(4)], [z3.Real(f"t{j}") for j in range(1, 4)], z3.Real("w")
    hypotheses = [*(value > 0 for value in x), *(z3.And(value > 0, value <= w) for value in t)]
    moved = x[0] + sum(a * b for a, b in zip(x[1:], t, strict=True))
    return unsatisfiable(hypotheses, moved <= x[0] + w * sum(x[1:]))


def below_published() -> str:
    z3 = prover()
    p, w = z3.Reals("p w")
    return unsatisfiable([p > 0, p < 1, w > 1], z3.And(p + (1 - p) * w < w, (p + (1 - p) / w) * w > 1))


def asymmetry() -> str:
    z3 = prover()
    p, w = z3.Reals("p w")
    return unsatisfiable([p > 0, p < 1, w >= 1], (p + (1 - p) * w) * (p * w + 1 - p) >= w)


def semigroup() -> str:
    p, w, v = sp.symbols("p w v", positive=True)
    after = p / (p + (1 - p) * w)
    return zero((p + (1 - p) * w) * (after + (1 - after) * v) - (p + (1 - p) * w * v))


def concavity() -> str:
    """The second derivative by p is minus a square."""
    p, w = sp.symbols("p w", positive=True)
    affine = w - p * (w - 1)
    return zero(sp.diff(sp.log(affine), p, 2) + ((w - 1) / affine) ** 2)


def softmax_facts() -> str:
    """sum rho = 1, invariance under a common shift, and the log-sum-exp form of the loss, K = 2..5."""
    shift = sp.symbols("c", real=True)
    rests = []
    for classes in range(2, 6):
        logits = sp.symbols(f"z0:{classes}", real=True)
        rho, moved = _softmax(logits), _softmax([z + shift for z in logits])
        rests += [sum(rho) - 1, rho[0] - moved[0], sp.exp(-_cross_entropy(logits, 0)) - rho[0]]
    return zero(*rests)


def average() -> str:
    """X3: for real x the gap (1 - p) x + x^2/8 - Lambda has value 0 and slope 0 at x = 0 and curvature (Lambda' - 1/2)^2.

    Lambda is concave in p: its second derivative is minus a square, so its mean is at most its value at the mean (Jensen).
    """
    p, x = sp.symbols("p", positive=True), sp.symbols("x", real=True)
    cumulant = sp.log(p + (1 - p) * sp.exp(x))
    gap = (1 - p) * x + x**2 / 8 - cumulant
    slope = sp.diff(gap, x)
    square = (sp.diff(cumulant, x) - sp.Rational(1, 2)) ** 2
    bend = ((sp.exp(x) - 1) / (p + (1 - p) * sp.exp(x))) ** 2
    return zero(
        gap.subs(x, 0), slope.subs(x, 0), sp.diff(gap, x, 2) - square, sp.diff(cumulant, p, 2) + bend, cumulant.subs(p, 1)
    )


def soft_labels() -> str:
    """l_t(z + d) - l_t(z) = -t . d + log sum q e^d; at the vertex d = eta on D, -eta off D, it is X4's term of D (K = 2..4)."""
    eta = sp.symbols("eta", positive=True)
    rests = []
    for classes in range(2, 5):
        z, d = sp.symbols(f"z0:{classes}", real=True), sp.symbols(f"d0:{classes}", real=True)
        free = sp.symbols(f"t1:{classes}", real=True)
        t = (1 - sum(free), *free)
        q = _softmax(z)
        before = -sum(a * b for a, b in zip(t, z, strict=True)) + sp.log(sum(sp.exp(x) for x in z))
        moved = [a + b for a, b in zip(z, d, strict=True)]
        after = -sum(a * b for a, b in zip(t, moved, strict=True)) + sp.log(sum(sp.exp(x) for x in moved))
        stated = -sum(a * b for a, b in zip(t, d, strict=True)) + sp.log(sum(a * sp.exp(b) for a, b in zip(q, d, strict=True)))
        rests.append(sp.exp(sp.expand_log(sp.expand(after - before), force=True)) - sp.exp(sp.expand(stated)))
        for size in range(1, classes):
            vertex = dict(zip(d, [eta if j < size else -eta for j in range(classes)], strict=True))
            mass, label = sum(q[:size]), sum(t[:size])
            term = sp.exp(-2 * eta * label) * (mass * sp.exp(2 * eta) + 1 - mass)
            rests.append(sp.exp(sp.expand(stated)).subs(vertex) - term)
    return zero(*rests)


def confidence() -> str:
    """X13: |sum_j (rho_j - [j = C]) d_j| <= (1 - rho_C) osc(d), K = 3."""
    z3 = prover()
    rho, d = [z3.Real(f"rho{j}") for j in range(3)], [z3.Real(f"d{j}") for j in range(3)]
    osc = z3.Real("osc")
    hypotheses = [*(value >= 0 for value in rho), sum(rho) == 1, *(a - b <= osc for a in d for b in d)]
    inner = sum(a * b for a, b in zip(rho, d, strict=True)) - d[0]
    return unsatisfiable(hypotheses, z3.And(inner <= (1 - rho[0]) * osc, -inner <= (1 - rho[0]) * osc))


def induced_norm() -> str:
    """|A x|_i <= (|a_i1| + |a_i2|) max |x|, two by two, and equality at x = sign of the row."""
    z3 = prover()
    a, b, x, y, most = z3.Reals("a b x y most")

    def size(value):
        return z3.If(value >= 0, value, -value)

    def sign(value):
        return z3.If(value >= 0, 1, -1)

    return unsatisfiable(
        [size(x) <= most, size(y) <= most],
        z3.And(size(a * x + b * y) <= (size(a) + size(b)) * most, a * sign(a) + b * sign(b) == size(a) + size(b)),
    )


def softmax_gain() -> str:
    """tanh(E/2) - (m w^2/(m w^2 + 1 - m) - m) = (w - 1)/(w + 1) (1 - m (1 + w))^2 / (1 + m (w^2 - 1)), w = e^E.

    The right side is nonnegative for w >= 1 and 0 <= m <= 1, and 0 at m = 1/(1 + w).
    """
    m, w, e = sp.symbols("m w E", positive=True)
    gain = m * w**2 / (m * w**2 + 1 - m) - m
    square = (w - 1) / (w + 1) * (1 - m * (1 + w)) ** 2 / (1 + m * (w**2 - 1))
    half = (sp.exp(e) - 1) / (sp.exp(e) + 1)
    return zero((w - 1) / (w + 1) - gain - square, half - sp.tanh(e / 2).rewrite(sp.exp))


def softmax_set() -> str:
    """A set of classes gains most when its scores rise by E and the others fall by E, for any number of classes.

    X, Y: its sum of e^z and that of the others; after the move they are at most w X and at least Y/w, w = e^E.
    """
    z3 = prover()
    x, y, inside, outside, w, before, after, most = z3.Reals("X Y inside outside w before after most")
    hypotheses = [x > 0, y > 0, inside > 0, outside > 0, w >= 1, inside <= w * x, outside * w >= y]
    hypotheses += [after * (inside + outside) == inside, before * (x + y) == x, most * (w * w * x + y) == w * w * x]
    return unsatisfiable(hypotheses, z3.And(after <= most, most * (w * w * before + 1 - before) == w * w * before))


def weighted_mean() -> str:
    """|sum m_j v_j| <= TV osc(v) for sum m_j = 0, as each term has m (v - low) <= max(m, 0) osc; TV is the sum of max(m, 0)."""
    z3 = prover()
    move, v, low, high = z3.Reals("m v low high")
    up, down = z3.If(move >= 0, move, 0), z3.If(move <= 0, -move, 0)
    term = move * (v - low)
    return unsatisfiable([low <= v, v <= high], z3.And(term <= up * (high - low), -term <= down * (high - low)))


def softmax_variation() -> str:
    """All of the claim: a set gains at most its extreme gain, which is tanh(E/2) minus a square; weighted means follow."""
    return softmax_set() or softmax_gain() or weighted_mean()


def gelu_derivatives() -> str:
    """GELU' = Phi + x phi and GELU'' = (2 - x^2) phi; GELU'(x) + GELU'(-x) = 1; the curvature turns at 0 and at -+2 alone."""
    x = sp.symbols("x", real=True)
    density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    below = (1 + sp.erf(x / sp.sqrt(2))) / 2
    slope = below + x * density
    curvature = (2 - x**2) * density
    found = zero(
        sp.diff(x * below, x) - slope,
        sp.diff(slope, x) - curvature,
        slope + slope.subs(x, -x) - 1,
        sp.diff(curvature, x) - x * (x**2 - 4) * density,
        sp.limit(curvature, x, sp.oo),
        curvature.subs(x, 0) - 2 * density.subs(x, 0),
        curvature.subs(x, 2) + 2 * density.subs(x, 2),
    )
    turns = sp.solveset(x * (x**2 - 4), x, sp.S.Reals)
    return found or ("" if turns == {0, 2, -2} else f"the curvature turns at {turns}")


CHECKS = (
    Check(
        "SYM-01",
        "sympy",
        "d ce / dz_k = rho_k - delta_kC; ||rho - e_C||_1 = 2 (1 - rho_C)",
        ("L5.1-ce-path", "D2.0-ce"),
        gradient,
    ),
    Check("SYM-02", "sympy", "ce(z + d) - ce(z) = log sum_j q_j e^(d_j - d_C)", ("X1-ce-sharp", "X2-ce-pairwise"), identity),
    Check("SYM-03", "sympy", "Lambda' = pi, Lambda'' = pi (1 - pi), Lambda(0) = 0", ("X1-ce-sharp",), curvature),
    Check(
        "SYM-04", "z3", "x_C + sum x_j t_j <= x_C + w sum x_j for 0 < t_j <= w", ("X1-ce-sharp", "X2-ce-pairwise"), largest_gain
    ),
    Check(
        "SYM-05",
        "z3",
        "p + (1 - p) w < w and (p + (1 - p) / w) w > 1 for w > 1",
        ("X1-ce-sharp", "L5.1-ce-path"),
        below_published,
    ),
    Check("SYM-06", "z3", "Lambda(x) + Lambda(-x) >= 0", ("X1-ce-sharp",), asymmetry),
    Check(
        "SYM-07",
        "sympy",
        "two steps compose: Lambda_p(a) + Lambda_p'(b) = Lambda_p(a + b)",
        ("X14-multilayer", "ESM1-C1.3-multilayer-margin"),
        semigroup,
    ),
    Check("SYM-08", "sympy", "Lambda is concave in p for x >= 0", ("X1-ce-sharp", "X3-ce-average"), concavity),
    Check("SYM-51", "sympy", "softmax sums to 1 and ignores a common shift", ("D2.0-ce", "D2.0-network"), softmax_facts),
    Check(
        "SYM-03b",
        "sympy",
        "(1 - p) x + x^2/8 - Lambda_p(x): 0, slope 0, curvature a square; Lambda concave in p",
        ("X3-ce-average", "X4-soft-label"),
        average,
        whole=("X3-ce-average",),
    ),
    Check("SYM-52", "sympy", "soft labels: the change, and its value at a vertex", ("X4-soft-label",), soft_labels),
    Check(
        "SYM-53",
        "z3",
        "|<rho - e_C, d>| <= (1 - rho_C) osc(d)",
        ("X13-stationarity-gradient", "T5.7-stationarity"),
        confidence,
    ),
    Check("SYM-54", "z3", "||A x|| <= ||A|| ||x|| in max norm, attained", ("N0-norms",), induced_norm),
    Check(
        "SYM-22",
        "z3",
        "a set of classes gains at most tanh(E/2) minus a square",
        ("PE-softmax-tv",),
        softmax_variation,
        whole=("PE-softmax-tv",),
    ),
    Check(
        "SYM-24",
        "sympy",
        "GELU' = Phi + x phi, GELU'' = (2 - x^2) phi, whose slope is x (x^2 - 4) phi",
        ("PE-gelu-slope", "PE-gelu-curvature"),
        gelu_derivatives,
        whole=("PE-gelu-curvature",),
    ),
)
