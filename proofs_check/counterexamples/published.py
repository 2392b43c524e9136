"""Deterministic statements of the Marchenko–Pastur paper that fail as written: norms, ties, paths, restoration."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from certify.theory.budget import budget, data_path_size, data_path_upper_euclidean
from certify.theory.cross_entropy import increase_upper, log_probabilities
from certify.theory.elastic_net import change_upper_universal, entrywise_l1
from certify.theory.margins import may_change_published, may_gain, may_lose
from proofs_check.checks import Check
from proofs_check.counterexamples.core import Refutation, Relation, disjoint, doubles, exact, log_loss

HALF = Fraction(1, 2)


def _induced(matrix: np.ndarray) -> Fraction:
    return np.abs(matrix).sum(axis=0).max()


def _mask_on_dead_inputs(S: np.ndarray, R: np.ndarray, v: np.ndarray) -> Mapping[str, bool]:
    return {"S and R have disjoint supports": disjoint(S, R), "R v = 0, so CE and B_T do not enter": not np.any(R @ v)}


F1 = Refutation(
    "F1",
    "rationals",
    "S = diag(1,0), R = diag(0,1), v = (1,0), l2 = 0, l1 = 1, largest column sum as the norm: R v = 0, and J(S) - J(A) is 1 - "
    "1 = 0, not <= -1",
    _mask_on_dead_inputs,
    lambda S, R, v: Relation("J(S) - J(A) <= -||R||_1, induced", _induced(S) - _induced(S + R), "<=", -_induced(R)),
    lambda S, R, v: Relation(
        "J(S) - J(A) <= -||R||_1, entrywise",
        entrywise_l1(doubles(S)) - entrywise_l1(doubles(S + R)),
        "<=",
        -entrywise_l1(doubles(R)),
    ),
    {"S": exact([[1, 0], [0, 0]]), "R": exact([[0, 0], [0, 1]]), "v": exact([1, 0])},
    {"S": exact([[1, 0], [0, 0]]), "R": exact([[0, 0], [1, 0]]), "v": exact([0, 1])},
)

F3 = Refutation(
    "F3",
    "rationals",
    "one weight a = 1 used twice, z = a (a v), v = 1, all of it removed, theta = 1/2: with the second use frozen psi_2(u) = u "
    "and L = 1, so the logit should move by at most 1/2; it moves from 1 to 1/4",
    lambda a, v, theta: {"L is the Lipschitz constant of u -> a u": True, "theta in [0, 1]": 0 <= theta <= 1},
    lambda a, v, theta: Relation(
        "|z_theta - z_1| <= (1 - theta) L |R v|", abs((theta * a) ** 2 - a * a) * abs(v), "<=", (1 - theta) * abs(a) * abs(a * v)
    ),
    lambda a, v, theta: Relation(
        "|z_theta - z_1| <= V(theta)", abs((theta * a) ** 2 - a * a) * abs(v), "<=", (1 - theta**2) * a * a * abs(v)
    ),
    {"a": Fraction(1), "v": Fraction(1), "theta": HALF},
    {"a": Fraction(1), "v": Fraction(1), "theta": Fraction(0)},
)


def _share(decided: np.ndarray) -> float:
    return float(np.mean(decided))


F4 = Refutation(
    "F4",
    "by hand",
    "one sample with logits (1,1), eta = 0: C5.2(b) counts it, |0| <= 0, so it allows the accuracy to change by 1",
    lambda margin, eta: {"every budget is 0": not np.any(eta)},
    lambda margin, eta: Relation("share that C5.2(b) lets change = 0", _share(may_change_published(margin, eta)), "=", 0.0),
    lambda margin, eta: Relation(
        "share that X5 lets change = 0", _share(may_lose(margin, eta) | may_gain(margin, eta)), "=", 0.0
    ),
    {"margin": np.array([0.0]), "eta": np.array([0.0])},
    {"margin": np.array([1.0]), "eta": np.array([0.0])},
)


def _tent(u: Fraction) -> Fraction:
    return 1 - 2 * abs(u - HALF)


F8 = Refutation(
    "F8",
    "rationals",
    "psi_2(u) = (1 - 2|u - 1/2|, 0), S v = 0, R v = 1: both end points give the logit 0, the middle gives 1",
    lambda theta: {"the logits of both end points differ by at most a = 0": abs(_tent(Fraction(0)) - _tent(Fraction(1))) <= 0},
    lambda theta: Relation("|z_theta - z_1| <= (1 - theta) a", abs(_tent(theta) - _tent(Fraction(1))), "<=", (1 - theta) * 0),
    lambda theta: Relation(
        "|z_theta - z_1| <= (1 - theta) L d, |R v| <= d = 1, L = 2", abs(_tent(theta) - _tent(Fraction(1))), "<=", (1 - theta) * 2
    ),
    {"theta": HALF},
    {"theta": Fraction(0)},
)


def _objective(weights: np.ndarray, l2: float) -> float:
    """Logits (w_1, 0), true class first: the second weight sits on a dead input."""
    return log_loss(float(weights[0])) + l2 * float(weights @ weights)


def _fractional(weights: np.ndarray, h: float, *, literal: bool) -> np.ndarray:
    """Both entries of one layer removed in two steps. Literally, step 2 replaces A_2 = S_1 by S_2 + (1 - h) R_2, S_2 = 0."""
    return np.array([0.0 if literal else (1.0 - h) * weights[0], (1.0 - h) * weights[1]])


def _slope(weights: np.ndarray, l2: float, h: float, *, literal: bool) -> float:
    return (_objective(_fractional(weights, h, literal=literal), l2) - _objective(weights, l2)) / h


def _twice_removed(weights: np.ndarray, l2: float, slack: float) -> Relation:
    budgets = 2.0 * abs(float(weights[0]))
    return Relation("2 l2 (||R_1||^2 + ||R_2||^2) <= B_1 + B_2 + eps", 2.0 * l2 * float(weights @ weights), "<=", budgets + slack)


F9 = Refutation(
    "F9",
    "floats",
    "one layer A = (1,10), v = (1,0), logits (A v, 0), l2 = 1/20; steps remove first the 1, then the 10. Read literally step 2 "
    "puts the current layer at (0, 10 (1-h)) for every h, J jumps up by .33 at h = 0+, stationarity holds with eps = 0; but 2 "
    "l2 (1 + 100) = 10.1 > B_1 + B_2 = 2 + 0",
    lambda weights, l2: {
        f"(J(alpha_h) - J(alpha_0)) / h >= 0 at h = {h}": _slope(weights, l2, h, literal=True) >= 0.0 for h in (1e-2, 1e-4, 1e-6)
    },
    lambda weights, l2: _twice_removed(weights, l2, 0.0),
    lambda weights, l2: _twice_removed(weights, l2, max(0.0, -_slope(weights, l2, 1e-6, literal=False))),
    {"weights": np.array([1.0, 10.0]), "l2": 0.05},
    {"weights": np.array([1.0, 0.1]), "l2": 0.05},
)


def _larger(a: Fraction, b: Fraction, x: Fraction) -> Fraction:
    return max(max(a * x, Fraction(0)), b * x)


def _dense_budgets(a: Fraction, b: Fraction, x: Fraction) -> Fraction:
    """L_s |R v| of removing a alone plus that of removing b alone: a segment below the other branch is flat, so L_s = 0."""
    return (a * x if a > b else Fraction(0)) + (b * x if b > a else Fraction(0))


F10 = Refutation(
    "F10",
    "rationals",
    "z = (max(relu(a x), b x), 0), a = b = x = 1: removing a alone, or b alone, moves nothing (local L = 0 on each segment); "
    "removing both moves the logit from 1 to 0",
    lambda a, b, x: {"a, b, x >= 0, so each segment is monotone": min(a, b, x) >= 0},
    lambda a, b, x: Relation(
        "|z after both - z| <= sum of dense budgets / 2", abs(_larger(a, b, x)), "<=", _dense_budgets(a, b, x)
    ),
    lambda a, b, x: Relation(
        "|z after both - z| <= step 1 + step 2 after step 1",
        abs(_larger(a, b, x)),
        "<=",
        (a * x if a > b else Fraction(0)) + b * x,
    ),
    {"a": Fraction(1), "b": Fraction(1), "x": Fraction(1)},
    {"a": Fraction(2), "b": Fraction(1), "x": Fraction(1)},
)


def _budget(removed: np.ndarray, v: np.ndarray) -> float:
    return budget([1.0], data_path_size(removed, v[None, :])[None])


F11 = Refutation(
    "F11",
    "by hand",
    "Q = (1,0), P = (0,1), v = (1,-1), L = 1: B_T(Q+P) = 2 |1 - 1| = 0, and restoring Q leaves B_T(P) = 2",
    lambda Q, P, v: {"Q and P have disjoint supports": disjoint(Q, P)},
    lambda Q, P, v: Relation("B_T(P) <= B_T(Q+P)", _budget(P, v), "<=", _budget(Q + P, v)),
    lambda Q, P, v: Relation("B_T(P) <= B_T(Q+P) + B_T(Q)", _budget(P, v), "<=", _budget(Q + P, v) + _budget(Q, v)),
    {"Q": np.array([[1.0, 0.0]]), "P": np.array([[0.0, 1.0]]), "v": np.array([1.0, -1.0])},
    {"Q": np.array([[1.0, 0.0]]), "P": np.array([[0.0, 1.0]]), "v": np.array([1.0, 1.0])},
)


def _loss_and_penalty(layer: np.ndarray, v: np.ndarray) -> float:
    return log_loss(float((layer @ v)[0])) + float(np.sum(layer**2))


def _universal(before: np.ndarray, after: np.ndarray, v: np.ndarray) -> float:
    """X10 for the logits (A v, 0): the straight path has V = |(A - A') v|."""
    pair = log_probabilities([[float((before @ v)[0]), 0.0]], [0])
    increase = increase_upper(*pair, data_path_size(before - after, v[None, :])[None])
    return change_upper_universal(increase, float(np.sum(before**2)), float(np.sum(after**2)))


F16 = Refutation(
    "F16",
    "floats",
    "A = (1,1), v = (1,0), logits (A v, 0), l2 = 1; prune the second entry, let training move the kept one to 3: J(3,0) - "
    "J(1,1) = 7 - .26, while T5.5 for the pruned entry promises <= B_T(P) - l2 ||P||^2 = -1",
    lambda dense, kept, pruned, v: {"kept and pruned entries are disjoint": disjoint(kept, pruned)},
    lambda dense, kept, pruned, v: Relation(
        "J(new) - J(A) <= B_T(P) - l2 ||P||_F^2",
        _loss_and_penalty(kept, v) - _loss_and_penalty(dense, v),
        "<=",
        _budget(pruned, v) - float(np.sum(pruned**2)),
    ),
    lambda dense, kept, pruned, v: Relation(
        "J(new) - J(A) <= the bound of X10, R = A - A_new",
        _loss_and_penalty(kept, v) - _loss_and_penalty(dense, v),
        "<=",
        _universal(dense, kept, v),
    ),
    {
        "dense": np.array([[1.0, 1.0]]),
        "kept": np.array([[3.0, 0.0]]),
        "pruned": np.array([[0.0, 1.0]]),
        "v": np.array([1.0, 0.0]),
    },
    {
        "dense": np.array([[1.0, 1.0]]),
        "kept": np.array([[1.0, 0.0]]),
        "pruned": np.array([[0.0, 1.0]]),
        "v": np.array([1.0, 0.0]),
    },
)


F18 = Refutation(
    "F18",
    "by hand",
    "R = (1,1,1,1), psi = (1,1,1,1): ||R psi||_inf = 4, ||R||_op ||psi||_inf = 2; ||R||_{2 to inf} ||psi||_2 = 2 * 2",
    lambda R, psi: {"R and psi are finite": bool(np.isfinite(R).all() and np.isfinite(psi).all())},
    lambda R, psi: Relation(
        "||R psi||_inf <= ||R||_op ||psi||_inf",
        float(data_path_size(R, psi)),
        "<=",
        float(np.linalg.svd(R, compute_uv=False)[0] * np.abs(psi).max()),
    ),
    lambda R, psi: Relation(
        "||R psi||_inf <= max_i ||R_i||_2 ||psi||_2",
        float(data_path_size(R, psi)),
        "<=",
        float(data_path_upper_euclidean(R, psi)),
    ),
    {"R": np.ones((1, 4)), "psi": np.ones((1, 4))},
    {"R": np.ones((1, 1)), "psi": np.ones((1, 1))},
)

REFUTATIONS = (F1, F3, F4, F8, F9, F10, F11, F16, F18)
CHECKS: tuple[Check, ...] = tuple(item.check() for item in REFUTATIONS)
