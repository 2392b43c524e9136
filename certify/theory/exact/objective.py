"""What an elastic net gains from a removal, and whether it pays, without rounding. Twins of `certify.theory.elastic_net`."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from certify.records import Refused
from certify.theory._arrays import finite
from certify.theory.emp.effective_number import sums_exact
from certify.theory.exact._rationals import (
    Exact,
    Numbers,
    Scalar,
    Scaled,
    at_least,
    dot,
    exact,
    mean,
    rational,
    scaled,
    scaled_at_least,
)
from certify.theory.exact.data_path import budget, data_path_size


class Certificate(NamedTuple):
    """Both sides of a certificate as fractions. It `holds` when the first is strictly below the second.

        B_T(R) < Reg(A) - Reg(A'),   R = A - A'

    Claim X10-universal (sharpens Theorems 5.3 to 5.5 of arXiv:2606.02608).
    """

    budget: Fraction
    reward: Fraction

    @property
    def holds(self) -> bool:
        return self.budget < self.reward


def entrywise_l1(matrix: Numbers) -> Fraction:
    """Entrywise one-norm.

        ||A||_1 = sum_{ij} |A_ij|

    matrix : (rows, cols).
    Returns weight units.
    Claim F1 (repairs the undefined norm of Theorem 5.4 of arXiv:2606.02608).
    """
    return _sums(matrix, "matrix")[0]


def frobenius_squared(matrix: Numbers) -> Fraction:
    """Squared Frobenius norm.

        ||A||_F^2 = sum_{ij} A_ij^2

    matrix : (rows, cols).
    Returns squared weight units.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    return _sums(matrix, "matrix")[1]


def reward(removed: Numbers, l2: Numbers, l1: Numbers) -> Fraction:
    """What the regulariser gives back when a mask removes R; of a whole layer, the regulariser itself.

        rew(R) = Reg(R) = l2 ||R||_F^2 + l1 ||R||_1

    removed : (rows, cols) R.
    l2, l1  : numbers or (rows, cols), >= 0.
    Returns nats.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608; one weight per entry: ESM1-C1.1-weighted-elastic-net).
    """
    square, one = _penalties(removed, l2, l1)
    return square + one


def reward_additive(removed: Numbers, kept: Numbers, l2: Numbers, l1: Numbers) -> Fraction:
    """What the regulariser gives back when R is removed from A = S + R, whatever the split.

        Reg(S + R) - Reg(S)

    removed, kept : (rows, cols) R and S, any pair.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats, of either sign.
    Claim ESM1-R2.8c-mask-vs-additive (Remark 2.8 of Online Resource 1 of arXiv:2606.02608).
    """
    r, s = _split(removed, kept)
    return reward(s + r, l2, l1) - reward(s, l2, l1)


def is_improvement(budget_upper: Scalar, reward_lower: Scalar) -> bool:
    """The certificate itself.

        B < rew

    budget_upper, reward_lower : nats.
    Returns True where the comparison is strict; NaN is refused.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    return rational(budget_upper, "budget") < rational(reward_lower, "reward")


def break_even_l2(budget: Scalar, removed_squared: Scalar) -> Fraction | float:
    """Smallest l2 from which the squared penalty alone pays for the removal.

        l2* = B / ||R||_F^2

    budget, removed_squared : >= 0.
    Returns l2 >= 0; inf when nothing is removed; 0 when the budget is 0.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608).
    """
    bound, square = rational(budget, "budget", 0), rational(removed_squared, "removed_squared", 0)
    if bound == 0:
        return Fraction(0)
    return bound / square if square else float("inf")


def break_even_scale(budget: Scalar, removed: Numbers, l2: Numbers, l1: Numbers) -> Fraction | float:
    """Smallest t from which the removal of t R is certified, along the ray of one R.

        t* = (B - l1 ||R||_1)_+ / (l2 ||R||_F^2)

    budget  : B = B_T(R) at t = 1, >= 0.
    removed : (rows, cols) R of a mask.
    l2, l1  : numbers or (rows, cols), >= 0.
    Returns t >= 0; inf where no scale is certified.
    Claim ESM1-R2.7-reg-scaling (Remark 2.7 of Online Resource 1 of arXiv:2606.02608, with F25 (ii)).
    """
    bound = rational(budget, "budget", 0)
    square, one = _penalties(removed, l2, l1)
    if bound < one or (bound == one and square > 0):
        return Fraction(0)
    return (bound - one) / square if square else float("inf")


def change_upper_additive(theta: Scalar, budget: Scalar, removed: Numbers, kept: Numbers, l2: Numbers) -> Fraction:
    """Largest change of the objective along any additive path, squared penalty only.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - 2 l2 (1 - theta) <S, R>_F

    theta         : in [0, 1].
    budget        : B >= 0.
    removed, kept : (rows, cols) R and S, any pair.
    l2            : number or (rows, cols), >= 0.
    Returns nats.
    Claim T5.3-additive-frobenius (Theorem 5.3 of arXiv:2606.02608).
    """
    share, bound = 1 - rational(theta, "theta", 0, 1), rational(budget, "budget", 0)
    r = scaled(removed, "removed", (None, None))
    square, _ = _penalties(removed, l2, 0)
    cross = dot(_weights(l2, "l2", r.whole.shape), scaled(kept, "kept", r.whole.shape), r)
    return share * bound - share * (2 - share) * square - 2 * share * cross


def change_upper(theta: Scalar, budget: Scalar, removed: Numbers, kept: Numbers, l2: Numbers, l1: Numbers) -> Fraction:
    """Largest change of the elastic-net objective along the path that shrinks a masked part.

        J(A_theta) - J(A) <= (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - l1 (1 - theta) ||R||_1

    Prune and restore: removed = P, kept = S + Q.
    theta         : in [0, 1].
    budget        : B >= 0.
    removed, kept : (rows, cols) R and S with disjoint supports.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats.
    Claim T5.4-elastic-net (Theorem 5.4 of arXiv:2606.02608), T5.5-prune-restore, and with one weight per entry
    ESM1-C1.1-weighted-elastic-net.
    """
    share, bound = 1 - rational(theta, "theta", 0, 1), rational(budget, "budget", 0)
    r = scaled(removed, "removed", (None, None)).whole
    overlap = int(np.count_nonzero((r != 0) & (scaled(kept, "kept", r.shape).whole != 0)))
    if overlap:
        raise Refused(f"removed, kept: {overlap} entries are nonzero in both; a mask splits every entry to one side")
    square, one = _penalties(removed, l2, l1)
    return share * bound - share * (2 - share) * square - share * one


def change_upper_universal(increases: Numbers, before: Scalar, after: Scalar) -> Fraction:
    """Largest change of any objective between any two layers, from the exact values of its regulariser.

        J(A') - J(A) <= mean_s increase_s - (Reg(A) - Reg(A'))

    increases     : (T,) upper bounds on ce_s(A') - ce_s(A), nats.
    before, after : Reg(A) and Reg(A'), nats.
    Returns nats.
    Claim X10-universal (sharpens Theorems 5.3 to 5.5 of arXiv:2606.02608).
    """
    return mean(increases, "increases") - rational(before, "before") + rational(after, "after")


def restore_gain(
    theta: Scalar, budget_removed: Scalar, budget_pruned: Scalar, restored: Numbers, l2: Numbers, l1: Numbers
) -> Fraction:
    """How far the bound falls when Q is put back and P = R - Q alone is removed.

        (1 - theta) (B(R) - B(P) - l2 (1 + theta) ||Q||_F^2 - l1 ||Q||_1)

    theta                         : in [0, 1].
    budget_removed, budget_pruned : B(R) and B(P), >= 0, nats.
    restored                      : (rows, cols) Q.
    l2, l1                        : numbers or (rows, cols), >= 0.
    Returns nats; positive if and only if restoring Q improves the bound.
    Claim C5.6-restore-gain (Corollary 5.6 of arXiv:2606.02608, general theta by the errata).
    """
    at = rational(theta, "theta", 0, 1)
    square, one = _penalties(restored, l2, l1)
    drop = rational(budget_removed, "budget_removed", 0) - rational(budget_pruned, "budget_pruned", 0)
    return (1 - at) * (drop - (1 + at) * square - one)


def change_upper_multilayer(budgets: Numbers, rewards: Numbers) -> Fraction:
    """Largest change of the objective after several mask removals in a row.

        J(alpha_M) - J(alpha_0) <= sum_j B_j(R_j) - sum_j rew_j(R_j)

    budgets : (M,) B_j computed in the intermediate network, >= 0.
    rewards : (M,) `reward` of each removal, >= 0.
    Returns nats.
    Claim T5.8-multilayer (Theorem 5.8 of arXiv:2606.02608).
    """
    bounds = at_least(budgets, "budgets", 0, (None,))
    return sum(bounds, Fraction(0)) - sum(at_least(rewards, "rewards", 0, bounds.shape), Fraction(0))


def best_theta(budget: Scalar, removed: Numbers, l2: Numbers, l1: Numbers) -> Fraction:
    """The shrinkage whose certified change is smallest.

        theta* = clip((B - l1 ||R||_1) / (2 l2 ||R||_F^2), 0, 1)

    budget  : B >= 0.
    removed : (rows, cols) R of a mask.
    l2, l1  : numbers or (rows, cols), >= 0.
    Returns theta in [0, 1]. When l2 ||R||_F^2 = 0: 0 if B < l1 ||R||_1, otherwise 1.
    Claim X11-optimal-theta (Section 5 of arXiv:2606.02608, sharpened).
    """
    bound = rational(budget, "budget", 0)
    square, one = _penalties(removed, l2, l1)
    if square == 0:
        return Fraction(0 if bound < one else 1)
    return min(max((bound - one) / (2 * square), Fraction(0)), Fraction(1))


def certificate_exact(
    weights: Numbers, shipped: Numbers, inputs: Numbers, lipschitz: Numbers, l2: Numbers, l1: Numbers
) -> Certificate:
    """Decide the certificate of any change of one layer: masks, quantisation, restored or mixed values.

        J(A') - J(A) <= B_T(A - A') - (Reg(A) - Reg(A'))

    weights, shipped : (rows, cols) A and A'.
    inputs           : (T, P, cols) what enters the layer.
    lipschitz        : (T,) L_s on the segment from A v_s to A' v_s, >= 0.
    l2, l1           : numbers or (rows, cols), >= 0.
    Returns both sides; `holds` certifies J(A') < J(A) for the numbers as stored, in real arithmetic.
    Claim X10-universal (sharpens Theorems 5.3 to 5.5 of arXiv:2606.02608).
    """
    before, after = _split(weights, shipped)
    sizes = exact(data_path_size(before - after, inputs), "data-path sizes", (None,))
    return Certificate(budget(lipschitz, sizes), reward(before, l2, l1) - reward(after, l2, l1))


def _penalties(removed: Numbers, l2: Numbers, l1: Numbers) -> tuple[Fraction, Fraction]:
    """(l2 ||R||_F^2, l1 ||R||_1), with one weight per entry where a matrix is given."""
    if np.ndim(l2) == 0 and np.ndim(l1) == 0:
        one, square = _sums(removed, "removed")
        return rational(l2, "l2", 0) * square, rational(l1, "l1", 0) * one
    r = scaled(removed, "removed", (None, None))
    squares, ones = _weights(l2, "l2", r.whole.shape), _weights(l1, "l1", r.whole.shape)
    return dot(squares, r, r), dot(ones, Scaled(np.abs(r.whole), r.denominator))


def _weights(value: Numbers, name: str, shape: tuple[int, ...]) -> Scaled:
    return scaled_at_least(value if np.ndim(value) else np.full(shape, rational(value, name, 0)), name, 0, shape)


def _sums(matrix: Numbers, name: str) -> tuple[Fraction, Fraction]:
    """(sum of sizes, sum of squares); floats by the fast integer sums."""
    array = np.asarray(matrix)
    if array.dtype == np.float64:
        return sums_exact(finite(array, name, (None, None)).ravel())
    return sums_exact(list(exact(matrix, name, (None, None)).flat))


def _split(removed: Numbers, kept: Numbers) -> tuple[Exact, Exact]:
    r = exact(removed, "removed", (None, None))
    return r, exact(kept, "kept", r.shape)
