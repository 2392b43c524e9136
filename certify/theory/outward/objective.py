"""Rewards rounded down, changes of the objective rounded up. Twins of `certify.theory.elastic_net`.

Everything here but `reward_lower_a_priori` is the rational value of `certify.theory.exact`, rounded once: there is no
tighter float64. A million weights take 0.1 s with one number per penalty, about 5 s with one weight per entry.
"""

from __future__ import annotations

from fractions import Fraction

from certify.theory import exact
from certify.theory._arrays import ArrayLike, number, whole
from certify.theory.outward._rounding import LEAST, down, gamma, up


def reward_lower(removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """The reward of a mask, rounded down.

        rew(R) = l2 ||R||_F^2 + l1 ||R||_1

    removed : (rows, cols) R.
    l2, l1  : numbers or (rows, cols), >= 0; the doubles passed, not the decimals they were written as.
    Returns nats, the largest float64 that is not above the exact reward. Nothing is lost to underflow.
    Claim X29-reward, NC-naive-float (theory/mp-certificates.md, X29.4, repaired by the errata).
    """
    return down(exact.reward(removed, l2, l1), "reward")


def reward_additive_lower(removed: ArrayLike, kept: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """The exact difference of the regulariser for any split, rounded down.

        Reg(S + R) - Reg(S)

    removed, kept : (rows, cols) R and S, any pair; S + R is their exact sum.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats, of either sign.
    Claim X29-reward (theory/mp-certificates.md, X29.4; twin of ESM1-R2.8c-mask-vs-additive).
    """
    return down(exact.reward_additive(removed, kept, l2, l1), "difference of the regulariser")


def reward_lower_a_priori(reward: float, entries: int, l2: float) -> float:
    """Lower bound on the exact reward from a float64 evaluation of it in any order of summation.

        rew >= fl(rew) (1 - gamma_{N+3}) - (l2 N + 1) 2^-1074

    The first term alone is no bound (the published rule): 64 squares of 2^-537.4 underflow to 2^-1074 each, 1.74 times what
    they are.
    reward  : fl(l2 sum R_ij^2 + l1 sum |R_ij|), squares formed before they are summed, no overflow.
    entries : N = rows cols.
    l2      : >= 0.
    Returns nats; may be negative, which certifies nothing.
    Claim X29-reward, ER-X29.4 (theory/mp-certificates.md, X29.4, repaired by the errata).
    """
    count = whole(entries, "entries", 1)
    value, weight = Fraction(number(reward, "reward", 0.0)), Fraction(number(l2, "l2", 0.0))
    return down(value * (1 - gamma(count + 3)) - (weight * count + 1) * Fraction(LEAST), "reward")


def change_upper(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """Largest change of the elastic-net objective along a mask path, rounded up.

        (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - l1 (1 - theta) ||R||_1

    theta         : in [0, 1].
    budget        : B from `budget_upper`, >= 0.
    removed, kept : (rows, cols) R and S with disjoint supports.
    l2, l1        : numbers or (rows, cols), >= 0.
    Returns nats; negative certifies a decrease in real arithmetic.
    Claim X29-float (theory/mp-certificates.md, X29; twin of T5.4-elastic-net).
    """
    return up(exact.change_upper(theta, budget, removed, kept, l2, l1), "change of the objective")


def change_upper_additive(theta: float, budget: float, removed: ArrayLike, kept: ArrayLike, l2: ArrayLike) -> float:
    """Largest change of the objective along any additive path, rounded up.

        (1 - theta) B - l2 (1 - theta^2) ||R||_F^2 - 2 l2 (1 - theta) <S, R>_F

    theta, budget : as in `change_upper`.
    removed, kept : (rows, cols) R and S, any pair.
    l2            : number or (rows, cols), >= 0.
    Returns nats; negative certifies a decrease in real arithmetic.
    Claim X29-float (theory/mp-certificates.md, X29; twin of T5.3-additive-frobenius).
    """
    return up(exact.change_upper_additive(theta, budget, removed, kept, l2), "change of the objective")


def change_upper_universal(increases: ArrayLike, reward: float) -> float:
    """Largest change of any objective between any two layers, rounded up.

        mean_s increase_s - (Reg(A) - Reg(A'))

    increases : (T,) proved upper bounds on the increase of each sample's cross-entropy, nats.
    reward    : lower bound on Reg(A) - Reg(A'): `reward_lower`, `reward_additive_lower`.
    Returns nats; negative certifies a decrease in real arithmetic.
    Claim X29-float (theory/mp-certificates.md, X29; twin of X10-universal).
    """
    return up(exact.change_upper_universal(increases, reward, 0), "change of the objective")


def change_upper_multilayer(budgets: ArrayLike, rewards: ArrayLike) -> float:
    """Largest change of the objective after several mask removals in a row, rounded up.

        sum_j B_j(R_j) - sum_j rew_j(R_j)

    budgets : (M,) from `budget_upper`, each in its intermediate network, >= 0.
    rewards : (M,) from `reward_lower`, >= 0.
    Returns nats; negative certifies a decrease in real arithmetic.
    Claim X29-float (theory/mp-certificates.md, X29; twin of T5.8-multilayer).
    """
    return up(exact.change_upper_multilayer(budgets, rewards), "change of the objective")
