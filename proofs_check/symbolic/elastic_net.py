"""SYM-10 to SYM-13 and SYM-15: the penalties along a path, the best point on it, restoring, several steps, group costs."""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def additive() -> str:
    s, r, theta = sp.symbols("s r theta", real=True)
    return zero((s + theta * r) ** 2 - (s + r) ** 2 + (1 - theta**2) * r**2 + 2 * (1 - theta) * s * r)


def disjoint() -> str:
    z3 = prover()
    s, r, theta = z3.Reals("s r theta")

    def size(value):
        return z3.If(value >= 0, value, -value)

    conclusion = z3.And((s + theta * r) ** 2 == s**2 + theta**2 * r**2, size(s + theta * r) == size(s) + theta * size(r))
    return unsatisfiable([s * r == 0, theta >= 0, theta <= 1], conclusion)


def one_sided() -> str:
    bound, square, one, h = sp.symbols("B a b h", real=True)
    limit = sp.limit(bound - (2 - h) * square - one, h, 0, "+")
    return zero(limit - (bound - 2 * square - one), 1 - (1 - h) ** 2 - h * (2 - h))


def best_point() -> str:
    """The clipped u* is best on [0, 1]; it gains iff B < 2 a + b and is 1 iff B <= b. Where a = 0: 1 gains iff B < b."""
    z3 = prover()
    bound, square, one, best, u = z3.Reals("B a b best u")

    def change(at):
        return at * (bound - 2 * square - one) + square * at**2

    free = (2 * square + one - bound) / (2 * square)
    clipped = z3.If(free < 0, z3.RealVal(0), z3.If(free > 1, z3.RealVal(1), free))
    hypotheses = [square > 0, one >= 0, bound >= 0, u >= 0, u <= 1, best == clipped]
    conclusion = z3.And(
        best >= 0,
        best <= 1,
        change(best) <= change(u),
        (change(best) < 0) == (bound < 2 * square + one),
        (best == 1) == (bound <= one),
    )
    flat = unsatisfiable([square == 0, one >= 0, bound >= 0], (change(z3.RealVal(1)) < 0) == (bound < one))
    return unsatisfiable(hypotheses, conclusion) or flat


def restoring() -> str:
    """SYM-15: the bound after restoring Q is below that without iff B(R) - B(P) > lambda2 (1 + theta) ||Q||^2 + lambda1 ||Q||_1.

    The rewards are additive over disjoint masks; theta < 1. At theta = 0 it is the published criterion.
    """
    z3 = prover()
    both, kept, theta, q2, q1, p2, p1 = z3.Reals("B_R B_P theta q2 q1 p2 p1")

    def bound(budget, square, one):
        return (1 - theta) * budget - (1 - theta * theta) * square - (1 - theta) * one

    hypotheses = [theta >= 0, theta < 1, both >= 0, kept >= 0, *(x >= 0 for x in (q2, q1, p2, p1))]
    better = bound(kept, p2, p1) < bound(both, q2 + p2, q1 + p1)
    return unsatisfiable(hypotheses, better == (both - kept > (1 + theta) * q2 + q1))


def published_restoring() -> str:
    """The criterion of theta = 0 does not decide at theta = 1/2: B(R) - B(P) = 1.2 > 1 = ||Q||^2, and the bound rises."""
    theta = sp.Rational(1, 2)
    gain = (1 - theta) * sp.Rational(6, 5) - (1 - theta**2) * 1
    return "" if gain < 0 else f"gain {gain}"


def three_colours() -> str:
    """Entries of pairwise disjoint S, Q, P: s + q + theta p has size |s| + |q| + theta |p| and square s^2 + q^2 + theta^2 p^2."""
    z3 = prover()
    s, q, p, theta = z3.Reals("s q p theta")

    def size(value):
        return z3.If(value >= 0, value, -value)

    total = s + q + theta * p
    conclusion = z3.And(
        total * total == s * s + q * q + theta * theta * p * p, size(total) == size(s) + size(q) + theta * size(p)
    )
    return unsatisfiable([s * q == 0, s * p == 0, q * p == 0, theta >= 0, theta <= 1], conclusion)


def weighted() -> str:
    """One entry with weights gamma2, gamma1: the penalty falls by (1 - theta^2) gamma2 r^2 + (1 - theta) gamma1 |r|."""
    z3 = prover()
    s, r, theta, two, one = z3.Reals("s r theta gamma2 gamma1")

    def size(value):
        return z3.If(value >= 0, value, -value)

    def penalty(value):
        return two * value * value + one * size(value)

    fall = penalty(s + r) - penalty(s + theta * r)
    stated = (1 - theta * theta) * two * r * r + (1 - theta) * one * size(r)
    return unsatisfiable([z3.Or(s == 0, r == 0), two >= 0, one >= 0, theta >= 0, theta <= 1], fall == stated)


def one_point() -> str:
    """F6: J(theta) >= J(1) - eps (1 - theta) at one theta < 1 gives (1 + theta) a + b <= B + eps there."""
    z3 = prover()
    a, b, bound, eps, theta, change = z3.Reals("a b B eps theta change")
    upper = (1 - theta) * bound - (1 - theta * theta) * a - (1 - theta) * b
    hypotheses = [theta >= 0, theta < 1, change <= upper, change >= -eps * (1 - theta)]
    return unsatisfiable(hypotheses, (1 + theta) * a + b <= bound + eps)


def all_points() -> str:
    """F6: (1 + theta) a + b <= B + eps for theta as near to 1 as one likes gives the factor 2, which implies every 1 + theta.

    An excess of 2 a + b over B + eps would be at most (1 - theta) a.
    """
    z3 = prover()
    a, b, bound, eps, theta = z3.Reals("a b B eps theta")
    excess = 2 * a + b - bound - eps
    near = unsatisfiable([a >= 0, theta >= 0, theta < 1, (1 + theta) * a + b <= bound + eps], excess <= (1 - theta) * a)
    hypotheses = [a >= 0, theta >= 0, theta <= 1, excess <= 0]
    return near or unsatisfiable(hypotheses, z3.And((1 + theta) * a + b <= bound + eps, (2 - theta) * a + b <= bound + eps))


def redundant() -> str:
    """F6 as a whole."""
    return one_point() or all_points()


def steps() -> str:
    """T5.8, M = 2, 3: the changes add up, each bounded by T5.4 at theta = 0; fractional steps by h B - h (2 - h) a - h b."""
    rests = []
    h = sp.symbols("h", positive=True)
    for count in (2, 3):
        values = sp.symbols(f"J0:{count + 1}", real=True)
        rests.append(sum(values[j + 1] - values[j] for j in range(count)) - (values[count] - values[0]))
        bounds, squares, ones = (sp.symbols(f"{name}0:{count}", real=True) for name in ("B", "a", "b"))
        theta = 1 - h
        parts = list(zip(bounds, squares, ones, strict=True))
        fractional = sum((1 - theta) * x - (1 - theta**2) * a - (1 - theta) * b for x, a, b in parts)
        rests.append(sp.expand(fractional / h - sum(x - (2 - h) * a - b for x, a, b in parts)))
        rests.append(sp.expand(fractional.subs(h, 1) - sum(x - a - b for x, a, b in parts)))
    return zero(*rests)


def restoring_needs() -> str:
    """X12(b): B(R) <= B(Q) + B(P) and rew additive: the certificate improves only if B(Q) > rew(Q); certificates add."""
    z3 = prover()
    both, q, p, rewq, rewp = z3.Reals("B_R B_Q B_P rew_Q rew_P")
    improves = p - rewp < both - (rewq + rewp)
    conclusion = z3.And(z3.Implies(improves, q > rewq), z3.Implies(z3.And(q < rewq, p < rewp), both < rewq + rewp))
    return unsatisfiable([both <= q + p], conclusion)


def groups() -> str:
    """X30: G sum a_g^2 - (sum a_g)^2 is the sum of squared differences, so the factor G serves, G = 2..5."""
    rests = []
    for count in range(2, 6):
        a = sp.symbols(f"a0:{count}", real=True)
        pairs = sum((a[i] - a[j]) ** 2 for i in range(count) for j in range(i))
        rests.append(sp.expand(count * sum(x**2 for x in a) - sum(a) ** 2 - pairs))
    equal = sp.symbols("a", positive=True)
    return zero(*rests, (4 * equal) ** 2 - 4 * (4 * equal**2))


def group_cost() -> str:
    """r^T C r = mean (r . h)^2 with r = (1 - m) W, four inputs, three samples; with r = (1 - m) (m W) it is 0 (F17)."""
    weights = sp.symbols("w0:4", real=True)
    inputs = [sp.symbols(f"h{x}_0:4", real=True) for x in range(3)]
    covariance = [[sum(h[i] * h[j] for h in inputs) / 3 for j in range(4)] for i in range(4)]
    rests = []
    for kept in ((0, 1), (1, 3), (2,)):
        removed = [0 if j in kept else weights[j] for j in range(4)]
        cost = sum(removed[i] * covariance[i][j] * removed[j] for i in range(4) for j in range(4))
        mean = sum(sum(r * x for r, x in zip(removed, h, strict=True)) ** 2 for h in inputs) / 3
        rests.append(sp.expand(cost - mean))
    mask = sp.symbols("m", real=True)
    rests.append(sp.expand(((1 - mask) * mask).subs(mask, 0)) + sp.expand(((1 - mask) * mask).subs(mask, 1)))
    return zero(*rests)


def speedup() -> str:
    """Dense over remaining multiply-adds is 1/(1 - r), r the removed share; 1/(1 - 0.5981) rounds to 2.488."""
    dense, left = sp.symbols("dense left", positive=True)
    ratio = dense / left - 1 / (1 - (dense - left) / dense)
    number = 1 / (1 - sp.Rational(5981, 10_000))
    return zero(ratio) or ("" if abs(number - sp.Rational(2488, 1000)) <= sp.Rational(1, 2000) else f"{sp.N(number)}")


def orthogonal_split() -> str:
    """<s1 u1 v1^T, s2 u2 v2^T>_F = s1 s2 (u1 . u2)(v1 . v2), which is 0 for singular triples; so the squares add."""
    one, two = sp.symbols("sigma1 sigma2", positive=True)
    u, w = (sp.Matrix(sp.symbols(f"{name}0:2", real=True)) for name in ("u", "w"))
    v, x = (sp.Matrix(sp.symbols(f"{name}0:3", real=True)) for name in ("v", "x"))
    product = (one * u * v.T).T * (two * w * x.T)
    angle, turn = sp.symbols("alpha beta", real=True)
    first, second = sp.Matrix([sp.cos(angle), sp.sin(angle)]), sp.Matrix([-sp.sin(angle), sp.cos(angle)])
    right, other = sp.Matrix([sp.cos(turn), sp.sin(turn)]), sp.Matrix([-sp.sin(turn), sp.cos(turn)])
    total = one * first * right.T + two * second * other.T
    squares = sum(entry**2 for entry in total) - one**2 - two**2
    return zero(sp.expand(product.trace() - one * two * (u.dot(w)) * (v.dot(x))), sp.simplify(squares))


CHECKS = (
    Check(
        "SYM-10",
        "sympy",
        "(s + theta r)^2 - (s + r)^2 = -(1 - theta^2) r^2 - 2 (1 - theta) s r",
        ("T5.3-additive-frobenius",),
        additive,
    ),
    Check("SYM-11", "z3", "s r = 0: squares and sizes add along the path", ("T5.4-elastic-net", "F1"), disjoint),
    Check(
        "SYM-12",
        "sympy",
        "B - (2 - h) a - b -> B - 2 a - b; 1 - (1 - h)^2 = h (2 - h)",
        ("T5.4-elastic-net", "X11-optimal-theta", "T5.7-stationarity", "T5.9-multilayer-stationarity"),
        one_sided,
    ),
    Check(
        "SYM-13",
        "z3",
        "the clipped u* minimises u (B - 2 a - b) + a u^2",
        ("X11-optimal-theta",),
        best_point,
        ("X11-optimal-theta",),
    ),
    Check(
        "SYM-15a",
        "z3",
        "restored bound < pruned bound iff B(R) - B(P) > lambda2 (1 + theta) ||Q||^2 + lambda1 ||Q||_1",
        ("C5.6-restore-gain",),
        restoring,
        whole=("C5.6-restore-gain",),
    ),
    Check("SYM-15b", "rationals", "the criterion of theta = 0 fails at theta = 1/2", ("C5.6-restore-gain",), published_restoring),
    Check("SYM-43", "z3", "three disjoint masks: squares and sizes add", ("T5.5-prune-restore",), three_colours),
    Check(
        "SYM-44",
        "z3",
        "one entry with weights gamma: what its penalty falls by",
        ("ESM1-C1.1-weighted-elastic-net", "ESM1-C1.2-weighted-stationarity"),
        weighted,
    ),
    Check("SYM-45a", "z3", "the factor 1 + theta at one theta; the factor 2 from all", ("F6",), redundant, whole=("F6",)),
    Check("SYM-45c", "z3", "a bound at one theta gives the factor 1 + theta there", ("T5.7-stationarity",), one_point),
    Check(
        "SYM-45b",
        "z3",
        "the factor 2 implies the factors 1 + theta and 2 - h",
        ("T5.7-stationarity", "T5.9-multilayer-stationarity", "ESM1-C1.2-weighted-stationarity"),
        all_points,
    ),
    Check(
        "SYM-46",
        "sympy",
        "M = 2, 3 steps: changes and bounds add up",
        ("T5.8-multilayer", "T5.9-multilayer-stationarity"),
        steps,
    ),
    Check("SYM-47", "z3", "restoring pays only if B(Q) > rew(Q); certificates add", ("X12-budget-calculus",), restoring_needs),
    Check("SYM-48a", "sympy", "(sum a_g)^2 <= G sum a_g^2, equal for equal a_g", ("X30-cast-link", "F17"), groups),
    Check("SYM-48b", "sympy", "r^T C r is a mean of squares; 0 with the mask applied twice", ("P3-cast", "F17"), group_cost),
    Check("SYM-49", "sympy", "dense / remaining = 1 / (1 - r); 2.488 at r = .5981", ("P3-mac",), speedup, whole=("P3-mac",)),
    Check("SYM-50", "sympy", "singular triples are orthogonal: squares add", ("X23-svd-split",), orthogonal_split),
)
