"""What an elastic-net objective gains from a removal, and when that gain pays for the loss of fit.

Objective: J(A) = (mean cross-entropy) + l2 ||A||_F^2 + l1 ||A||_1 + (terms without A), with A = S + R, S kept, R
           removed,
A_theta = S + theta R. Every norm here is entrywise: with the induced 1-norm the theorems are false (F1), so
`numpy.linalg.norm(A, 1)` has no place in this folder.
"""

from __future__ import annotations

import math

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number


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


def reward(removed: ArrayLike, l2: float, l1: float) -> float:
    """What the regulariser gives back when a mask removes R.

        rew(R) = l2 ||R||_F^2 + l1 ||R||_1,   full removal decreases J when B_T(R) < rew(R)

    removed : (rows, cols) R, zero where the weight is kept.
    l2, l1  : weights of the two penalties, >= 0.
    Returns nats. Vacuous (0) when both weights are 0. Rounding to nearest: `resolved`, not `proved`.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    square, one = _penalties(removed, l2, l1)
    return _representable(square + one, "reward")


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


def is_improvement(budget_upper: float, reward_lower: float) -> bool:
    """The certificate itself, as a positive comparison.

        B_upper < reward_lower

    budget_upper : upper end of the budget, nats.
    reward_lower : lower end of the reward, nats.
    Returns True only if both are finite numbers and the comparison is strict; NaN is refused. Its negation is no
    certificate of the opposite, and `not (B >= reward)` would certify NaN.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    return number(budget_upper, "budget") < number(reward_lower, "reward")


def change_upper_additive(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: float) -> float:
    """Largest change of the objective along any additive path, squared penalty only.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - 2 l2 (1 - theta) <S, R>_F

    theta         : in [0, 1]; 0 is full removal.
    budget        : upper bound B on the increase of the mean cross-entropy at theta = 0, linear in 1 - theta (B_T(R)),
                    >= 0.
    removed, kept : (rows, cols) R and S, any pair; the sign of <S, R> is used, not discarded (F29).
    l2            : >= 0.
    Returns nats; negative certifies a decrease. Equality if and only if (1 - theta) B = 0.
    Claim T5.3-additive-frobenius (Theorem 5.3 of arXiv:2606.02608).
    """
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    r, s = _split(removed, kept)
    square, _ = _penalties(r, l2, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        cross = l2 * float(np.sum(s * r))
    bound = share * number(budget, "budget", 0.0)
    return _representable(bound - share * (2.0 - share) * square - 2.0 * share * cross, "change of the objective")


def change_upper(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: float, l1: float) -> float:
    """Largest change of the elastic-net objective along the path that shrinks a masked part.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - l1 (1 - theta) ||R||_1

    theta         : in [0, 1]; 0 is full removal.
    budget        : upper bound B on the increase of the mean cross-entropy at theta = 0, linear in 1 - theta (B_T(R)),
                    >= 0.
    removed, kept : (rows, cols) R and S with disjoint supports; overlapping supports are refused.
    l2, l1        : >= 0.
    Returns nats; negative certifies a decrease. Equality if and only if (1 - theta) B = 0, as on dead inputs.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    r, s = _split(removed, kept)
    overlap = int(np.count_nonzero((r != 0.0) & (s != 0.0)))
    if overlap:
        raise Refused(f"removed, kept: {overlap} entries are nonzero in both; a mask splits every entry to one side")
    square, one = _penalties(r, l2, l1)
    bound = share * number(budget, "budget", 0.0)
    return _representable(bound - share * (2.0 - share) * square - share * one, "change of the objective")


def change_upper_multilayer(budgets: ArrayLike, rewards: ArrayLike) -> float:
    """Largest change of the objective after several mask removals in a row.

        J(alpha_M) - J(alpha_0) <= sum_j B_j(R_j) - sum_j rew_j(R_j)

    budgets : (M,) B_j computed in the intermediate network where removals 1..j-1 are already made, >= 0. Budgets of the
              dense network do not add up to a bound (F10).
    rewards : (M,) `reward` of each removal, with the penalty weights of its own layer, >= 0.
    Returns nats; negative certifies a decrease. Equality when every R_j lies on dead inputs.
    Claim T5.8-multilayer (Theorem 5.8 of arXiv:2606.02608).
    """
    bounds = at_least(budgets, "budgets", 0.0, (None,))
    gains = at_least(rewards, "rewards", 0.0, bounds.shape)
    try:
        return math.fsum([*bounds, *(-gains)])
    except OverflowError:
        raise Refused("change of the objective: overflows float64") from None


def best_theta(budget: float, removed: ArrayLike, l2: float, l1: float) -> float:
    """The shrinkage whose certified change is smallest.

        theta* = clip((B - l1 ||R||_1) / (2 l2 ||R||_F^2), 0, 1)

    Some shrinkage is certified if and only if B < 2 l2 ||R||_F^2 + l1 ||R||_1; full removal is best if and only if B <=
    l1 ||R||_1.
    budget  : B >= 0, as in `change_upper`.
    removed : (rows, cols) R of a mask.
    l2, l1  : >= 0.
    Returns theta in [0, 1]; 1 means "leave the weights". When l2 ||R||_F^2 = 0: 0 if B < l1 ||R||_1, otherwise 1.
    Claim X11-optimal-theta (Section 5 of arXiv:2606.02608, sharpened).
    """
    bound = number(budget, "budget", 0.0)
    square, one = _penalties(removed, l2, l1)
    if square == 0.0:
        return 0.0 if bound < one else 1.0
    with np.errstate(over="ignore"):
        return float(np.clip((np.float64(bound) - one) / 2.0 / square, 0.0, 1.0))


def _penalties(removed: ArrayLike, l2: float, l1: float) -> tuple[float, float]:
    r = _matrix(removed, "removed")
    weights = number(l2, "l2", 0.0), number(l1, "l1", 0.0)
    square = weights[0] * frobenius_squared(r) if weights[0] else 0.0
    one = weights[1] * entrywise_l1(r) if weights[1] else 0.0
    return _representable(square, "l2 ||R||_F^2"), _representable(one, "l1 ||R||_1")


def _matrix(value: ArrayLike, name: str) -> Array:
    return finite(value, name, (None, None))


def _split(removed: ArrayLike, kept: ArrayLike) -> tuple[Array, Array]:
    r = _matrix(removed, "removed")
    return r, finite(kept, "kept", r.shape)


def _scaled_sum(matrix: Array, power: int, name: str) -> float:
    """sum |A_ij|^power, the entries divided by a power of two near the largest so that no term under- or overflows
    alone."""
    size = np.abs(matrix)
    _, exponent = np.frexp(size.max())
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.sum(np.ldexp(size, -int(exponent)) ** power)
        return _representable(float(np.ldexp(scaled, power * int(exponent))), name)


def _representable(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise Refused(f"{name}: overflows float64; the weights are too large for a certificate")
    return value
