"""SYM-01 to SYM-08: the cross-entropy and its exact worst case Lambda_p(x) = log(p + (1 - p) e^x)."""

from __future__ import annotations

import sympy as sp

from proofs_check.obligations import Obligation, prover, unsatisfiable, zero


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


OBLIGATIONS = (
    Obligation(
        "SYM-01",
        "sympy",
        "d ce / dz_k = rho_k - delta_kC; ||rho - e_C||_1 = 2 (1 - rho_C)",
        ("L5.1-ce-path", "D2.0-ce"),
        gradient,
    ),
    Obligation("SYM-02", "sympy", "ce(z + d) - ce(z) = log sum_j q_j e^(d_j - d_C)", ("X1-ce-sharp", "X2-ce-pairwise"), identity),
    Obligation("SYM-03", "sympy", "Lambda' = pi, Lambda'' = pi (1 - pi), Lambda(0) = 0", ("X1-ce-sharp",), curvature),
    Obligation(
        "SYM-04", "z3", "x_C + sum x_j t_j <= x_C + w sum x_j for 0 < t_j <= w", ("X1-ce-sharp", "X2-ce-pairwise"), largest_gain
    ),
    Obligation(
        "SYM-05",
        "z3",
        "p + (1 - p) w < w and (p + (1 - p) / w) w > 1 for w > 1",
        ("X1-ce-sharp", "L5.1-ce-path"),
        below_published,
    ),
    Obligation("SYM-06", "z3", "Lambda(x) + Lambda(-x) >= 0", ("X1-ce-sharp",), asymmetry),
    Obligation(
        "SYM-07", "sympy", "two steps compose: Lambda_p(a) + Lambda_p'(b) = Lambda_p(a + b)", ("X14-multilayer",), semigroup
    ),
    Obligation("SYM-08", "sympy", "Lambda is concave in p for x >= 0", ("X1-ce-sharp",), concavity),
)
