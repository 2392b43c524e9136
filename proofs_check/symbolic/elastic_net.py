"""SYM-10 to SYM-13: the penalties along a path, and the best point on it."""

from __future__ import annotations

import sympy as sp

from proofs_check.obligations import Obligation, prover, unsatisfiable, zero


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
    z3 = prover()
    bound, square, one, best, u = z3.Reals("B a b best u")

    def change(at):
        return at * (bound - 2 * square - one) + square * at**2

    free = (2 * square + one - bound) / (2 * square)
    clipped = z3.If(free < 0, z3.RealVal(0), z3.If(free > 1, z3.RealVal(1), free))
    hypotheses = [square > 0, one >= 0, bound >= 0, u >= 0, u <= 1, best == clipped]
    return unsatisfiable(hypotheses, z3.And(best >= 0, best <= 1, change(best) <= change(u)))


OBLIGATIONS = (
    Obligation(
        "SYM-10",
        "sympy",
        "(s + theta r)^2 - (s + r)^2 = -(1 - theta^2) r^2 - 2 (1 - theta) s r",
        ("T5.3-additive-frobenius",),
        additive,
    ),
    Obligation("SYM-11", "z3", "s r = 0: squares and sizes add along the path", ("T5.4-elastic-net", "F1"), disjoint),
    Obligation("SYM-12", "sympy", "(1 - (1 - h)^2) / h -> 2", ("T5.4-elastic-net", "X11-optimal-theta"), one_sided),
    Obligation("SYM-13", "z3", "the clipped u* minimises u (B - 2 a - b) + a u^2 on [0, 1]", ("X11-optimal-theta",), best_point),
)
