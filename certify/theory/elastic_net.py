"""What an elastic-net objective gains from a removal, and when that gain pays for the loss of fit.

Objective: J(A) = (mean cross-entropy) + Reg(A) + (terms without A),   Reg(A) = l2 ||A||_F^2 + l1 ||A||_1,

with A = S + R, S kept, R removed, A_theta = S + theta R. Each penalty weight is one number or a matrix with one weight per
entry, >= 0: l2 ||R||_F^2 then reads sum_{ij} l2_ij R_ij^2. Every norm here is entrywise: with the induced 1-norm the
theorems are false (F1), so `numpy.linalg.norm(A, 1)` has no place in this folder.
"""

from __future__ import annotations

import math

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole


def entrywise_l1(matrix: ArrayLike) -> float:
    """Entrywise one-norm.

        ||A||_1 = sum_{ij} |A_ij|

    matrix : (rows, cols).
    Returns weight units. Never the induced norm (the largest column sum).
    Claim F1 (repairs the undefined norm of Theorem 5.4 of arXiv:2606.02608).
    """
    return _scaled_sum(_matrix(matrix, "matrix"), 1, "||A||_1")


def frobenius_squared(matrix: ArrayLike) -> float:
    """Squared Frobenius norm.

        ||A||_F^2 = sum_{ij} A_ij^2

    matrix : (rows, cols).
    Returns squared weight units. Entries are scaled by a power of two first, so squares below 1e-308 still count.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    return _scaled_sum(_matrix(matrix, "matrix"), 2, "||A||_F^2")


def reward(removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """What the regulariser gives back when a mask removes R; of a whole layer, the regulariser itself.

        rew(R) = Reg(R) = l2 ||R||_F^2 + l1 ||R||_1,   full removal decreases J when B_T(R) < rew(R)

    removed : (rows, cols) R, zero where the weight is kept.
    l2, l1  : weights of the two penalties, numbers or (rows, cols), >= 0.
    Returns nats. Vacuous (0) when both weights are 0. Rounding to nearest: `resolved`, not `proved`.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608; one weight per entry: ESM1-C1.1-weighted-elastic-net).
    """
    square, one = _penalties(removed, l2, l1)
    return _representable(square + one, "reward")


def reward_additive(removed: ArrayLike, kept: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """What the regulariser gives back when R is removed from A = S + R, whatever the split.

        Reg(S + R) - Reg(S) = rew(R) + 2 l2 <S, R>_F + l1 (||S + R||_1 - ||S||_1 - ||R||_1)

    On disjoint supports both corrections vanish and this is `reward`; otherwise `reward` may be on either side of it, so a
    mask theorem says nothing about an additive split.
    removed, kept : (rows, cols) R and S, any pair.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats, of either sign.
    Claim ESM1-R2.8c-mask-vs-additive (Remark 2.8 of Online Resource 1 of arXiv:2606.02608).
    """
    r, s = _split(removed, kept)
    squares, ones = _weights(l2, "l2", r.shape), _weights(l1, "l1", r.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        gain = np.sum(squares * (r + 2.0 * s) * r) + np.sum(ones * (np.abs(s + r) - np.abs(s)))
    return _representable(float(gain), "difference of the regulariser")


def break_even_l2(budget: float, removed_squared: float) -> float:
    """Smallest l2 from which the squared penalty alone pays for the removal.

        l2* = B / ||R||_F^2;   J decreases by full removal when l2 > l2* (l1 = 0)

    budget          : upper bound on the increase of the mean cross-entropy, >= 0, nats. Any bound serves, the paper's
                      B_T or a sharper one; for several layers, the sum of the bounds made in the intermediate networks
                      (T5.8).
    removed_squared : ||R||_F^2, or its sum over the layers, >= 0.
    Returns l2 >= 0. Vacuous (inf) when nothing is removed or the quotient overflows; 0 when the budget is 0.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    bound, square = number(budget, "budget", 0.0), number(removed_squared, "removed_squared", 0.0)
    if bound == 0.0:
        return 0.0
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.float64(bound) / square)


def break_even_scale(budget: float, removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """Smallest t from which the removal of t R is certified, along the ray of one R.

        t* = (B - l1 ||R||_1)_+ / (l2 ||R||_F^2);   B_T(t R) = t B < t^2 l2 ||R||_F^2 + t l1 ||R||_1 for t > t*, t > 0

    Without the one-norm no small component with B > 0 is ever certified.
    budget  : B = B_T(R) at t = 1, >= 0, nats; homogeneous in R, as the budget is for constants L_s that serve all t.
    removed : (rows, cols) R of a mask.
    l2, l1  : numbers or (rows, cols), >= 0.
    Returns t >= 0; inf where no scale is certified, or where the quotient overflows.
    Claim ESM1-R2.7-reg-scaling (Remark 2.7 of Online Resource 1 of arXiv:2606.02608, with F25 (ii)).
    """
    bound = number(budget, "budget", 0.0)
    square, one = _penalties(removed, l2, l1)
    if bound < one or (bound == one and square > 0.0):
        return 0.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return float((np.float64(bound) - one) / square) if bound > one else math.inf


def break_even_g(mean_size: float, rows: int, cols: int, l2: float, multiplier: float) -> float:
    """The variance parameter at which Gaussian noise is expected to pay for its own removal.

        g* = (2 Lbar x / (l2 cols sqrt(rows)))^2:   2 Lbar x sqrt(g / rows) = l2 g cols at g = g*, less above it

    Hypotheses: R iid N(0, g / rows), so E ||R||_F^2 = g cols; the left side is the budget of `gaussian_budget`.
    mean_size  : Lbar = mean over samples of L_s max_p ||v_{s,p}||_2, >= 0.
    rows, cols : of R, >= 1.
    l2         : > 0.
    multiplier : x of `gaussian_multiplier`, every token of every sample counted, >= 0.
    Returns g* >= 0; certification is expected above it, not below. At fixed l2 it falls like log(rows) / (rows cols^2).
    Claim ESM1-R2.7-reg-scaling (Remark 2.7 of Online Resource 1 of arXiv:2606.02608, level by F25).
    """
    size, x = number(mean_size, "mean_size", 0.0), number(multiplier, "multiplier", 0.0)
    weight = number(l2, "l2", 0.0)
    if weight == 0.0:
        raise Refused("l2: 0; without a squared penalty no variance breaks even")
    root = 2.0 * size * x / (weight * whole(cols, "cols", 1) * math.sqrt(whole(rows, "rows", 1)))
    return _representable(root * root, "break-even variance")


def is_improvement(budget_upper: float, reward_lower: float) -> bool:
    """The certificate itself, as a positive comparison.

        B_upper < reward_lower

    budget_upper : upper end of the budget, nats.
    reward_lower : lower end of the reward, nats.
    Returns True only if both are finite numbers and the comparison is strict; NaN is refused. Its negation is no
    certificate of the opposite, and `not (B >= reward)` would certify NaN (NC-nan).
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608), NC-nan.
    """
    return number(budget_upper, "budget") < number(reward_lower, "reward")


def change_upper_additive(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: ArrayLike) -> float:
    """Largest change of the objective along any additive path, squared penalty only.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - 2 l2 (1 - theta) <S, R>_F

    theta         : in [0, 1]; 0 is full removal.
    budget        : upper bound B on the increase of the mean cross-entropy at theta = 0, linear in 1 - theta (B_T(R)),
                    >= 0.
    removed, kept : (rows, cols) R and S, any pair; the sign of <S, R> is used, not discarded (F29).
    l2            : number or (rows, cols), >= 0.
    Returns nats; negative certifies a decrease. Equality if and only if (1 - theta) B = 0.
    Claim T5.3-additive-frobenius (Theorem 5.3 of arXiv:2606.02608), F29.
    """
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    r, s = _split(removed, kept)
    square, _ = _penalties(r, l2, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        cross = float(np.sum(_weights(l2, "l2", r.shape) * s * r))
    bound = share * number(budget, "budget", 0.0)
    return _representable(bound - share * (2.0 - share) * square - 2.0 * share * cross, "change of the objective")


def change_upper(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """Largest change of the elastic-net objective along the path that shrinks a masked part.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - l1 (1 - theta) ||R||_1

    Prune and restore: with A = S + Q + P and Q put back, removed = P and kept = S + Q, both with the values of A (values
    from elsewhere belong to `change_upper_universal`), and B valid on the segment of P.
    theta         : in [0, 1]; 0 is full removal.
    budget        : upper bound B on the increase of the mean cross-entropy at theta = 0, linear in 1 - theta (B_T(R)),
                    >= 0.
    removed, kept : (rows, cols) R and S with disjoint supports; overlapping supports are refused.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats; negative certifies a decrease. Equality if and only if (1 - theta) B = 0, as on dead inputs.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608), T5.5-prune-restore, and with one weight per entry
    ESM1-C1.1-weighted-elastic-net; the equality is ER-T5.4-tight.
    """
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    r, s = _split(removed, kept)
    overlap = int(np.count_nonzero((r != 0.0) & (s != 0.0)))
    if overlap:
        raise Refused(f"removed, kept: {overlap} entries are nonzero in both; a mask splits every entry to one side")
    square, one = _penalties(r, l2, l1)
    bound = share * number(budget, "budget", 0.0)
    return _representable(bound - share * (2.0 - share) * square - share * one, "change of the objective")


def change_upper_universal(increases: ArrayLike, before: float, after: float) -> float:
    """Largest change of any objective between any two layers, from the exact values of its regulariser.

        J(A') - J(A) <= mean_s increase_s - (Reg(A) - Reg(A'))

    Needs no mask and no norm: quantised, low-rank and restored layers, values of other checkpoints included. The theorems of
    this module are special cases.
    increases     : (T,) upper bounds on ce_s(A') - ce_s(A), of any sign, nats: `increase_upper` at eta = `max_norm` of the
                    straight path, or any other.
    before, after : Reg(A) and Reg(A') of any regulariser, nats.
    Returns nats; negative certifies a decrease. Equality when every increase is exact.
    Claim X10-universal (sharpens Theorems 5.3 to 5.5 of arXiv:2606.02608; values of another checkpoint: F16).
    """
    steps = finite(increases, "increases", (None,))
    gain = number(before, "before") - number(after, "after")
    with np.errstate(over="ignore"):
        return _representable(float(np.mean(steps)) - gain, "change of the objective")


def restore_gain(
    theta: float, budget_removed: float, budget_pruned: float, restored: ArrayLike, l2: ArrayLike, l1: ArrayLike
) -> float:
    """How far the bound falls when Q is put back and P = R - Q alone is removed.

        (1 - theta) (B(R) - B(P) - l2 (1 + theta) ||Q||_F^2 - l1 ||Q||_1)

    the bound of `change_upper` for R minus that for P. Positive if and only if restoring Q improves the bound, theta < 1. It
    compares bounds, not losses; B(P) > B(R) can happen (F11), and then restoring never pays.
    theta          : in [0, 1]; the published criterion is that of theta = 0.
    budget_removed : B(R), >= 0, nats.
    budget_pruned  : B(P), valid on the segment of P, >= 0, nats.
    restored       : (rows, cols) Q, part of a mask removal R = Q + P, supports disjoint.
    l2, l1         : numbers or (rows, cols), >= 0.
    Returns nats, of either sign; 0 at theta = 1.
    Claim C5.6-restore-gain (Corollary 5.6 of arXiv:2606.02608, general theta by ER-C5.6-theta), F11.
    """
    at = number(theta, "theta", 0.0, 1.0)
    square, one = _penalties(restored, l2, l1)
    drop = number(budget_removed, "budget_removed", 0.0) - number(budget_pruned, "budget_pruned", 0.0)
    return _representable((1.0 - at) * (drop - (1.0 + at) * square - one), "gain of the bound")


def change_upper_multilayer(budgets: ArrayLike, rewards: ArrayLike) -> float:
    """Largest change of the objective after several mask removals in a row.

        J(alpha_M) - J(alpha_0) <= sum_j B_j(R_j) - sum_j rew_j(R_j)

    budgets : (M,) B_j computed in the intermediate network where removals 1..j-1 are already made, >= 0. Budgets of the
              dense network do not add up to a bound (F10).
    rewards : (M,) `reward` of each removal, with the penalty weights of its own layer, >= 0.
    Returns nats; negative certifies a decrease. Equality when every R_j lies on dead inputs.
    Claim T5.8-multilayer (Theorem 5.8 of arXiv:2606.02608), F10.
    """
    bounds = at_least(budgets, "budgets", 0.0, (None,))
    gains = at_least(rewards, "rewards", 0.0, bounds.shape)
    try:
        return math.fsum([*bounds, *(-gains)])
    except OverflowError:
        raise Refused("change of the objective: overflows float64") from None


def best_theta(budget: float, removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """The shrinkage whose certified change is smallest.

        theta* = clip((B - l1 ||R||_1) / (2 l2 ||R||_F^2), 0, 1)

    Some shrinkage is certified if and only if B < 2 l2 ||R||_F^2 + l1 ||R||_1; full removal is best if and only if B <=
    l1 ||R||_1.
    budget  : B >= 0, as in `change_upper`.
    removed : (rows, cols) R of a mask.
    l2, l1  : numbers or (rows, cols), >= 0.
    Returns theta in [0, 1]; 1 means "leave the weights". When l2 ||R||_F^2 = 0: 0 if B < l1 ||R||_1, otherwise 1. Where
    l2 ||R||_F^2 underflows it counts as 0, and the answer may be above the exact one (`exact.best_theta`), never below.
    Claim X11-optimal-theta (Section 5 of arXiv:2606.02608, sharpened).
    """
    bound = number(budget, "budget", 0.0)
    square, one = _penalties(removed, l2, l1)
    if square == 0.0:
        return 0.0 if bound < one else 1.0
    with np.errstate(over="ignore"):
        return float(np.clip((np.float64(bound) - one) / 2.0 / square, 0.0, 1.0))


def bregman_divergence(value_sum: float, value_kept: float, gradient: ArrayLike, removed: ArrayLike) -> float:
    """What a differentiable regulariser gives back beyond first order.

        D(S + R, S) = Omega(S + R) - Omega(S) - <grad Omega(S), R>_F

    value_sum, value_kept : Omega(S + R) and Omega(S).
    gradient              : (rows, cols) gradient of Omega at S.
    removed               : (rows, cols) R.
    Returns the unit of Omega; >= 0 for convex Omega, >= mu/2 ||R||_F^2 for a mu-strongly convex one (l2 ||.||_F^2: mu = 2 l2,
    and D = l2 ||R||_F^2 exactly).
    Claim ESM1-R2.8-bregman (Remark 2.8 of Online Resource 1 of arXiv:2606.02608).
    """
    slope = reward_lower_convex(gradient, removed, 0.0)
    return _representable(number(value_sum, "value_sum") - number(value_kept, "value_kept") - slope, "Bregman divergence")


def reward_lower_convex(subgradient: ArrayLike, removed: ArrayLike, convexity: float) -> float:
    """Least that a convex regulariser gives back when R is removed from S + R.

        Omega(S + R) - Omega(S) >= <xi, R>_F + mu/2 ||R||_F^2,   xi in the subdifferential of Omega at S

    subgradient : (rows, cols) xi; `best_subgradient` gives the elastic net's best one.
    removed     : (rows, cols) R.
    convexity   : mu >= 0, Omega being mu-strongly convex (elastic net: 2 l2).
    Returns the unit of Omega. Vacuous (<= 0) when the first-order term is that negative.
    Claim ESM1-R2.8-bregman (Remark 2.8 of Online Resource 1 of arXiv:2606.02608).
    """
    r, xi = _split(removed, subgradient)
    mu = number(convexity, "convexity", 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        slope = float(np.sum(xi * r))
    return _representable(slope + 0.5 * mu * frobenius_squared(r), "first-order reward")


def best_subgradient(removed: ArrayLike, kept: ArrayLike, l2: float, l1: float) -> Array:
    """The subgradient of the elastic net at S whose first-order reward is largest.

        xi = 2 l2 S + l1 sigma,   sigma = sign(S) where S != 0, sign(R) elsewhere

    For a mask <xi, R> = l1 ||R||_1, and `reward_lower_convex` with mu = 2 l2 is `reward`.
    removed, kept : (rows, cols) R and S, any pair.
    l2, l1        : >= 0.
    Returns (rows, cols).
    Claim ESM1-R2.8-bregman (Remark 2.8 of Online Resource 1 of arXiv:2606.02608).
    """
    r, s = _split(removed, kept)
    signs = np.where(s != 0.0, np.sign(s), np.sign(r))
    with np.errstate(over="ignore"):
        xi = 2.0 * number(l2, "l2", 0.0) * s + number(l1, "l1", 0.0) * signs
    return representable(xi, "subgradient")


def _penalties(removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> tuple[float, float]:
    """Both penalties of R: (l2 ||R||_F^2, l1 ||R||_1), with one weight per entry where a matrix is given."""
    r = _matrix(removed, "removed")
    square = _penalty(r, _weights(l2, "l2", r.shape), 2, "l2 ||R||_F^2")
    return square, _penalty(r, _weights(l1, "l1", r.shape), 1, "l1 ||R||_1")


def _penalty(removed: Array, weights: float | Array, power: int, name: str) -> float:
    if not isinstance(weights, float):
        return _scaled_sum(removed, power, name, weights)
    return _representable(weights * _scaled_sum(removed, power, name) if weights else 0.0, name)


def _weights(value: ArrayLike, name: str, shape: tuple[int, ...]) -> float | Array:
    return number(value, name, 0.0) if np.ndim(value) == 0 else at_least(value, name, 0.0, shape)


def _matrix(value: ArrayLike, name: str) -> Array:
    return finite(value, name, (None, None))


def _split(removed: ArrayLike, kept: ArrayLike) -> tuple[Array, Array]:
    r = _matrix(removed, "removed")
    return r, finite(kept, "kept", r.shape)


def _scaled_sum(matrix: Array, power: int, name: str, weights: ArrayLike = 1.0) -> float:
    """sum w_ij |A_ij|^power on mantissas and exponents, so that no term under- or overflows alone."""
    size, exponent = np.frexp(np.abs(matrix))
    share, shift = np.frexp(np.asarray(weights, dtype=np.float64))
    term, height = share * size**power, shift + power * exponent
    top = int(height[term > 0.0].max()) if np.any(term > 0.0) else 0
    with np.errstate(over="ignore", under="ignore"):
        return _representable(float(np.ldexp(np.sum(np.ldexp(term, height - top)), top)), name)


def _representable(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise Refused(f"{name}: overflows float64; the weights are too large for a certificate")
    return value
