"""The specification's own slips, as listed in theory/errata.md: the original wording fails, the corrected form holds."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
from scipy.special import betainc
from scipy.stats import chi

from certify.laws.marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular
from certify.records import Refused
from certify.theory.budget import data_path_size
from certify.theory.elastic_net import change_upper, frobenius_squared, restore_gain
from certify.theory.gaussian import gaussian_multiplier, sphere_multiplier
from certify.theory.margins import topk_margin, true_margin
from certify.theory.outward.objective import reward_lower_a_priori
from proofs_check.checks import Check
from proofs_check.counterexamples.core import Refutation, Relation, disjoint, log_loss
from proofs_check.counterexamples.random_models import exceeds

HALF = Fraction(1, 2)

ORIENTATION = Refutation(
    "ER-8.1-orientation",
    "by hand",
    "(n, m, g) = (1,2,1) and its transpose (2,1,2), entries of variance 1: eigenvalue law of R^T R / n against R R^T / m: mean "
    "1 against 2 (atom 1/2 against 0); the law of the singular values is the same",
    lambda n, m: {"the transpose keeps the entry variance, g -> g m / n": n >= 1 and m >= 1},
    lambda n, m: Relation(
        "mean of (n,m,g) = mean of (m,n,gm/n)", MarchenkoPastur(n, m, 1.0).mean(), "=", MarchenkoPastur(m, n, 1.0).mean()
    ),
    lambda n, m: Relation(
        "mean square singular value of (n,m,g) = that of (m,n,gm/n)",
        MarchenkoPasturSingular(n, m, 1.0).moment(2.0),
        "=",
        MarchenkoPasturSingular(m, n, 1.0).moment(2.0),
    ),
    {"n": 1, "m": 2},
    {"n": 2, "m": 2},
)

TIGHT = Refutation(
    "ER-T5.4-tight",
    "by hand",
    "n = 1, v = (1,1), A = R = (1,-1), S = 0, l2 = 1: R v = 0, so T5.4 holds with equality although neither input is dead",
    lambda R, v: {
        "J(S) - J(A) equals the bound": not np.any(R @ v)
        and math.isclose(-frobenius_squared(R), change_upper(0.0, 2.0 * float(data_path_size(R, v[None])), R, 0.0 * R, 1.0, 0.0))
    },
    lambda R, v: Relation("sum of |v_j| over the support of R = 0", float(np.abs(v[R[0] != 0.0]).sum()), "=", 0.0),
    lambda R, v: Relation("B_T(R) = 0", 2.0 * float(data_path_size(R, v[None])), "=", 0.0),
    {"R": np.array([[1.0, -1.0]]), "v": np.array([1.0, 1.0])},
    {"R": np.array([[1.0, 0.0]]), "v": np.array([0.0, 1.0])},
)


def _bounds(theta: Fraction, removed: Fraction, pruned: Fraction, square: Fraction) -> tuple[Fraction, Fraction]:
    """The bound of T5.4 for Q + P and for P alone, P of norm 0, l1 = 0."""
    return (1 - theta) * removed - (1 - theta**2) * square, (1 - theta) * pruned


RESTORE = Refutation(
    "ER-C5.6-theta",
    "rationals",
    "theta = 1/2, B(R) = 6/5, B(P) = 0, l2 ||Q||^2 = 1, l1 = 0: the criterion 6/5 > 1 says restoring Q lowers the bound; it "
    "raises it from 3/5 - 3/4 = -3/20 to 0",
    lambda theta, removed, pruned, square: {"B(R) - B(P) > l2 ||Q||_F^2": removed - pruned > square, "theta < 1": theta < 1},
    lambda theta, removed, pruned, square: Relation(
        "restored bound < all-pruned bound",
        _bounds(theta, removed, pruned, square)[1],
        "<",
        _bounds(theta, removed, pruned, square)[0],
    ),
    lambda theta, removed, pruned, square: Relation(
        "all-pruned minus restored bound = (1 - theta)(B(R) - B(P) - l2 (1 + theta) ||Q||^2)",
        float(_bounds(theta, removed, pruned, square)[0] - _bounds(theta, removed, pruned, square)[1]),
        "=",
        restore_gain(float(theta), float(removed), float(pruned), [[math.sqrt(square)]], 1.0, 0.0),
    ),
    {"theta": HALF, "removed": Fraction(6, 5), "pruned": Fraction(0), "square": Fraction(1)},
    {"theta": Fraction(0), "removed": Fraction(6, 5), "pruned": Fraction(0), "square": Fraction(1)},
)

ROUND_P = Refutation(
    "ER-X29.5",
    "rationals",
    "p = 1/2 rounded down to .49, x = 0: log(.49 + .5) = log .99 < 0 = Lambda_p(0), no upper bound; rounded up, log(.51 + .5) "
    "is one",
    lambda p, step, growth: {"p - step is p rounded down": 0 <= step < p, "e^x >= 1": growth >= 1},
    lambda p, step, growth: Relation(
        "p + (1-p) e^x <= p_down + (1-p) e^x", p + (1 - p) * growth, "<=", p - step + (1 - p) * growth
    ),
    lambda p, step, growth: Relation(
        "p + (1-p) e^x <= p_up + (1-p)_up e^x", p + (1 - p) * growth, "<=", p + step + (1 - p + step) * growth
    ),
    {"p": HALF, "step": Fraction(1, 100), "growth": Fraction(1)},
    {"p": HALF, "step": Fraction(0), "growth": Fraction(1)},
)


def _rounded_reward(size: float, count: int) -> float:
    return float(np.sum(np.full(count, size) ** 2))


def _naive_reward(size: float, count: int) -> Fraction:
    """fl(sum of squares) (1 - gamma_{count + 3}), the last factor exact."""
    unit = Fraction(1, 2**53)
    return Fraction(_rounded_reward(size, count)) * (1 - (count + 3) * unit / (1 - (count + 3) * unit))


UNDERFLOW = Refutation(
    "ER-X29.4",
    "rationals",
    "64 entries 2^-537.4, l2 = 1: each square 2^-1074.8 rounds up to the smallest subnormal 2^-1074, so the rounded reward is "
    "1.74 times the exact one and no factor 1 - gamma repairs it",
    lambda size, count: {"finite, positive entries": size > 0.0},
    lambda size, count: Relation(
        "fl(reward) (1 - gamma_{nm+3}) <= exact reward", _naive_reward(size, count), "<=", count * Fraction(size) ** 2
    ),
    lambda size, count: Relation(
        "fl(reward) (1 - gamma_{nm+3}) - (nm + 1) 2^-1074 <= exact reward",
        Fraction(reward_lower_a_priori(_rounded_reward(size, count), count, 1.0)),
        "<=",
        count * Fraction(size) ** 2,
    ),
    {"size": 2.0**-537.4, "count": 64},
    {"size": 0.3, "count": 64},
)


def _first_row(rows: int, cols: int, delta: float) -> float:
    """Lower bound on the failure probability of X18 at v = first row of R: ||v|| / ||R||_F exceeds x_B."""
    x = sphere_multiplier(rows, cols, 1, delta)
    return float(x < 1.0) if rows == 1 else 1.0 - float(betainc(cols / 2.0, (rows - 1) * cols / 2.0, x * x))


def _fixed_vector(rows: int, cols: int, delta: float) -> float:
    """Upper bound on it at a fixed v: each squared coordinate is Beta(1/2, (rows cols - 1)/2)."""
    x = sphere_multiplier(rows, cols, 1, delta)
    return 0.0 if rows * cols == 1 else rows * (1.0 - float(betainc(0.5, (rows * cols - 1) / 2.0, x * x)))


SPHERE = Refutation(
    "ER-X18",
    "incomplete beta",
    "n = 1, m = 2, delta = .1, v = the row R itself: |R v| = ||R||^2 exceeds ||R|| ||v|| x_B = .988 ||R||^2 always",
    lambda rows, cols, delta: {"R / ||R||_F uniform on the sphere": True, "0 < delta < 1": 0.0 < delta < 1.0},
    lambda rows, cols, delta: Relation(
        "P(||R v||_inf > ||R||_F ||v|| x_B) <= delta, v = row 1 of R", _first_row(rows, cols, delta), "<=", delta
    ),
    lambda rows, cols, delta: Relation(
        "P(||R v||_inf > ||R||_F ||v|| x_B) <= delta, v independent of R", _fixed_vector(rows, cols, delta), "<=", delta
    ),
    {"rows": 1, "cols": 2, "delta": 0.1},
    {"rows": 1, "cols": 1, "delta": 0.1},
)

READOUT = Refutation(
    "ER-X20a",
    "chi",
    "n = 100, readout row w = R v / ||R v||, K = 1: w R v = ||R v|| is sqrt(g/n) ||v|| times a chi variable of 100 degrees, "
    "which exceeds the two-sided 10 % level 1.645 of one Gaussian with probability 1",
    lambda rows, delta: {"affine tail, R iid N(0, g/n)": True, "unit readout row": True},
    lambda rows, delta: Relation(
        "P(|w R v| > sqrt(g/n) ||v|| ||w|| x) <= delta, w along R v",
        float(chi.sf(gaussian_multiplier(1, 1, delta), rows)),
        "<=",
        delta,
    ),
    lambda rows, delta: Relation(
        "P(|w R v| > sqrt(g/n) ||v|| ||w|| x) <= delta, w independent of R",
        exceeds(gaussian_multiplier(1, 1, delta), 1),
        "<=",
        delta,
    ),
    {"rows": 100, "delta": 0.1},
    {"rows": 1, "delta": 0.1},
)

TAIL = Refutation(
    "ER-X20b",
    "erf",
    "n = 1, v = 1, psi_2 = id, A fixed, S = A - R: z_A = A never moves, so E_R z = A, and |E_R z - z_S| = |R| exceeds sqrt g "
    "with probability .317; with S fixed E_R z = z_S",
    lambda coupled: {"psi_2 independent of R and 1-Lipschitz": True},
    lambda coupled: Relation("P(|E_R z - z_S| > sqrt g ||v||) <= 0, S = A - R", exceeds(1.0, 1) if coupled else 0.0, "<=", 0.0),
    lambda coupled: Relation("P(|E_R z - z_S| > sqrt g ||v||) <= 0, S independent of R", 0.0, "<=", 0.0),
    {"coupled": True},
    {"coupled": False},
)


def _topk(classes: int, k: int) -> int:
    try:
        topk_margin(np.zeros((1, classes)), [0], k)
    except Refused:
        return 0
    return 1


TOPK = Refutation(
    "ER-X7-k",
    "by hand",
    "K = 2 classes, k = 2: there is one other logit, so its second largest does not exist; the function refuses k = K",
    lambda classes, k: {"1 <= k <= K": 1 <= k <= classes},
    lambda classes, k: Relation("k <= number of other logits", k, "<=", classes - 1),
    lambda classes, k: Relation("the function answers = (k <= K - 1)", _topk(classes, k), "=", int(k <= classes - 1)),
    {"classes": 2, "k": 2},
    {"classes": 2, "k": 1},
)


def _kinked(t: float) -> float:
    """Mean CE of two samples with logits (|u|, 0), one of each class, u = A v and t = u: log cosh, smooth at 0."""
    return 0.5 * (log_loss(abs(t)) + log_loss(-abs(t)))


def _one_sided(u: float, side: int) -> float:
    """One-sided derivative of |u|."""
    return float(np.sign(u)) if u else float(side)


KINKS = Refutation(
    "ER-X13-kinks",
    "by hand",
    "A = (1,1), v = (1,-1), R = (1,0), psi_2(u) = (|u|, 0), two samples of the same v and of different classes: the mean CE is "
    "log(2 cosh(u/2)), smooth at theta = 1 where u = 0, but gamma' jumps from -1 to 1 there",
    lambda u: {
        "mean CE differentiable at theta = 1": abs((_kinked(u + 1e-6) - 2.0 * _kinked(u) + _kinked(u - 1e-6)) / 1e-6) < 1e-5
    },
    lambda u: Relation("left slope of gamma = right slope", _one_sided(u, -1), "=", _one_sided(u, 1)),
    lambda u: Relation(
        "-slope of mean CE <= mean (1 - p) |left slope|",
        -(_kinked(u + 1e-6) - _kinked(u - 1e-6)) / 2e-6,
        "<=",
        (0.5 / (1.0 + math.exp(u)) + 0.5 / (1.0 + math.exp(-u))) * abs(_one_sided(u, -1)),
    ),
    {"u": 0.0},
    {"u": 1.0},
)


def _size(matrix: np.ndarray, v: np.ndarray) -> float:
    return float(data_path_size(matrix, v[None]))


ROWS = Refutation(
    "ER-X12a-rows",
    "by hand",
    "Q = (1;0), P = (0;1), v = 1: ||(Q+P) v||_inf = max(1,1) = 1, not 1 + 1; Q = (1,0), P = (0,1), v = (1,1) in one row give 2",
    lambda Q, P, v: {"disjoint supports": disjoint(Q, P), "equal signs on the path": bool(np.all((Q + P) * v >= 0.0))},
    lambda Q, P, v: Relation("||(Q+P) v||_inf = ||Q v||_inf + ||P v||_inf", _size(Q + P, v), "=", _size(Q, v) + _size(P, v)),
    lambda Q, P, v: Relation(
        "the same with all entries moved to one row",
        _size((Q + P).reshape(1, -1), np.resize(v, Q.size)),
        "=",
        _size(Q.reshape(1, -1), np.resize(v, Q.size)) + _size(P.reshape(1, -1), np.resize(v, Q.size)),
    ),
    {"Q": np.array([[1.0], [0.0]]), "P": np.array([[0.0], [1.0]]), "v": np.array([1.0])},
    {"Q": np.array([[1.0, 0.0]]), "P": np.array([[0.0, 1.0]]), "v": np.array([1.0, 1.0])},
)


def _after(sign: float, eta: float) -> float:
    """Margin of z = (1, 0), C = 0, after d = sign eta (1 - 2 e_C)."""
    return float(true_margin(np.array([[1.0 - sign * eta, sign * eta]]), [0])[0])


SIGNS = Refutation(
    "ER-X5-signs",
    "by hand",
    "z = (1,0), true class first, eta = 1/2: d = -eta (1 - 2 e_C) = (1/2,-1/2) widens the margin to 2; d = (-1/2,1/2) makes a "
    "tie, which is an error",
    lambda sign, eta: {"0 < margin 1 <= 2 eta": 2.0 * eta >= 1.0},
    lambda sign, eta: Relation("margin after the stated d <= 0", _after(sign, eta), "<=", 0.0),
    lambda sign, eta: Relation("margin after d = +eta (1 - 2 e_C) <= 0", _after(1.0, eta), "<=", 0.0),
    {"sign": -1.0, "eta": 0.5},
    {"sign": 1.0, "eta": 0.5},
)


def _arcsine_error(ratio: Fraction, nearness: float, *, product: bool) -> float:
    """|F - F_50 digits| just below the upper edge, by the closed form of M2 with clipped arcsines, or by the product."""
    n, m = ratio.denominator, ratio.numerator
    c = m / n
    a, b = (1.0 - math.sqrt(c)) ** 2, (1.0 + math.sqrt(c)) ** 2
    x = b * (1.0 - nearness)
    with mpmath.workdps(50):
        exact = _closed_form(mpmath.mpf(x), mpmath.mpf(m) / n, mpmath.asin, mpmath.sqrt)
    if product:
        found = float(MarchenkoPastur(n, m, 1.0 / n).cdf(x))
    else:
        found = _closed_form(max(a, min(b, x)), c, lambda y: math.asin(max(-1.0, min(1.0, y))), math.sqrt)
    return abs(float(exact - found))


def _closed_form(x, c, arcsine, root):
    a, b, half_pi = (1 - root(c)) ** 2, (1 + root(c)) ** 2, arcsine(1)
    first = (1 + c) * (arcsine((x - 1 - c) / (2 * root(c))) + half_pi)
    second = (1 - c) * (arcsine(((1 + c) * x - (1 - c) ** 2) / (2 * root(c) * x)) + half_pi)
    return (root((b - x) * (x - a)) + first - second) / (4 * half_pi * c)


ARCSINE = Refutation(
    "ER-M2-arcsine",
    "50 digits",
    "c = 1/20, g = 1, x = b (1 - 10^-15): arcsines near 1 lose half the digits, the closed form in float64 is off by 4e-9 (by "
    "5e-8 at 10^-16)",
    lambda ratio, nearness: {"inside the bulk": 0.0 < nearness < 0.5},
    lambda ratio, nearness: Relation(
        "error of the arcsine form <= 6e-11", _arcsine_error(ratio, nearness, product=False), "<=", 6e-11
    ),
    lambda ratio, nearness: Relation(
        "error of the atan2 form <= 6e-11", _arcsine_error(ratio, nearness, product=True), "<=", 6e-11
    ),
    {"ratio": Fraction(1, 20), "nearness": 1e-15},
    {"ratio": Fraction(1, 20), "nearness": 0.1},
)

REFUTATIONS = (
    ORIENTATION, TIGHT, RESTORE, ROUND_P, UNDERFLOW, SPHERE, READOUT, TAIL, TOPK, KINKS, ROWS, SIGNS, ARCSINE,
)  # fmt: skip
CHECKS: tuple[Check, ...] = tuple(item.check() for item in REFUTATIONS)
