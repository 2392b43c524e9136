"""T5.3, T5.4, T5.8, X11 against exact rationals, F1, F10, F29, and the comparison that NaN must not pass."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import LATTICE, mask_splits, weight_matrices

from certify.records import Refused
from certify.theory.cross_entropy import cross_entropy
from certify.theory.elastic_net import (
    best_theta,
    break_even_l2,
    change_upper,
    change_upper_additive,
    change_upper_multilayer,
    entrywise_l1,
    frobenius_squared,
    is_improvement,
    reward,
)

EXACT = ("zero", "lattice", "rank one")
THETAS = st.sampled_from([0.0, 0.5, 1.0, math.nextafter(1.0, 0.0), 1e-12, 0.3])
PENALTIES = st.sampled_from([0.0, 0.125, 1.0, 3.0])


def regulariser(matrix, l2, l1):
    entries = [Fraction(float(value)) for value in np.ravel(matrix)]
    return Fraction(l2) * sum(x * x for x in entries) + Fraction(l1) * sum(abs(x) for x in entries)


def along(kept, removed, theta):
    """S + theta R in exact arithmetic, entry by entry."""
    pairs = zip(np.ravel(kept), np.ravel(removed), strict=True)
    return [Fraction(float(s)) + Fraction(theta) * Fraction(float(r)) for s, r in pairs]


def exact_change(kept, removed, theta, l2, l1):
    before, after = along(kept, removed, 1.0), along(kept, removed, theta)
    square = sum(x * x for x in after) - sum(x * x for x in before)
    one = sum(abs(x) for x in after) - sum(abs(x) for x in before)
    return float(Fraction(l2) * square + Fraction(l1) * one)


def test_known_rewards():
    removed = [[1.0, -2.0], [0.0, 3.0]]
    assert frobenius_squared(removed) == 14.0
    assert entrywise_l1(removed) == 6.0
    assert reward(removed, 0.5, 0.25) == 8.5
    assert reward(removed, 0.0, 0.0) == 0.0


def test_the_induced_norm_is_the_wrong_one():
    """F1: with the largest column sum, T5.4's identity fails on diagonal matrices."""
    kept, removed = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    assert entrywise_l1(kept + removed) == entrywise_l1(kept) + entrywise_l1(removed) == 2.0
    assert np.linalg.norm(kept + removed, 1) != np.linalg.norm(kept, 1) + np.linalg.norm(removed, 1)


@given(weight_matrices(), PENALTIES, PENALTIES)
def test_reward_against_rationals(removed, l2, l1):
    exact = regulariser(removed, l2, l1)
    assert abs(Fraction(reward(removed, l2, l1)) - exact) <= exact * Fraction(1, 10**13) + Fraction(2) ** -1073


def test_reward_does_not_lose_underflowing_squares():
    """Errata on X29.4: squared one by one, 64 entries of 2^-537.4 come out 1.74 times too large."""
    removed = np.full((8, 8), 2.0**-537.4)
    exact = float(64 * Fraction(removed[0, 0]) ** 2 * 2**1074) * 2.0**-1074
    assert frobenius_squared(removed) == pytest.approx(exact, rel=0.02, abs=0.0)
    assert np.sum(removed**2) > 1.7 * exact


@given(mask_splits(kinds=EXACT), THETAS, PENALTIES, PENALTIES)
def test_mask_bound_is_attained_on_dead_inputs(split, theta, l2, l1):
    """With B = 0 the cross-entropy cannot move, so T5.4 must give the exact change of the regulariser."""
    kept, removed = split
    found = change_upper(theta, 0.0, removed, kept, l2, l1)
    assert found == pytest.approx(exact_change(kept, removed, theta, l2, l1), rel=1e-12, abs=1e-9)


@given(st.data(), THETAS, PENALTIES)
def test_additive_bound_is_attained_on_dead_inputs(data, theta, l2):
    removed = data.draw(weight_matrices(kinds=EXACT))
    kept = data.draw(arrays(np.float64, removed.shape, elements=LATTICE))
    found = change_upper_additive(theta, 0.0, removed, kept, l2)
    assert found == pytest.approx(exact_change(kept, removed, theta, l2, 0.0), rel=1e-12, abs=1e-9)


def test_additive_bound_keeps_the_sign_of_the_cross_term():
    """F29: S = R = 1 has the exact reward 3; discarding the sign would state -1."""
    assert change_upper_additive(0.0, 0.0, [[1.0]], [[1.0]], 1.0) == -3.0
    assert change_upper_additive(0.0, 0.0, [[1.0]], [[-1.0]], 1.0) == 1.0


def test_the_budget_enters_linearly():
    removed, kept = [[2.0, 0.0]], [[0.0, 5.0]]
    assert change_upper(0.25, 8.0, removed, kept, 1.0, 1.0) == 0.75 * 8.0 - (1 - 0.0625) * 4.0 - 0.75 * 2.0
    assert change_upper_additive(0.25, 8.0, removed, kept, 1.0) == 0.75 * 8.0 - (1 - 0.0625) * 4.0
    assert change_upper(1.0, 8.0, removed, kept, 1.0, 1.0) == 0.0


@given(st.data(), THETAS, PENALTIES, PENALTIES)
def test_softmax_regression_never_exceeds_the_bound(data, theta, l2, l1):
    """T5.4 with the identity after the layer: L_s = 1 is then a proved constant."""
    kept, removed = data.draw(mask_splits(kinds=(*EXACT, "moderate")))
    if len(kept) < 2:
        kept, removed = np.vstack([kept, kept]), np.vstack([removed, removed])
    inputs = data.draw(arrays(np.float64, (3, kept.shape[1]), elements=LATTICE))
    labels = data.draw(arrays(np.int64, 3, elements=st.integers(0, len(kept) - 1)))
    budget = 2.0 * np.mean(np.abs(inputs @ removed.T).max(axis=1))

    def objective(matrix):
        return cross_entropy(inputs @ matrix.T, labels).mean() + l2 * np.sum(matrix**2) + l1 * np.sum(np.abs(matrix))

    change = objective(kept + theta * removed) - objective(kept + removed)
    bound = change_upper(theta, budget, removed, kept, l2, l1)
    assert change <= bound + 1e-9 * (1.0 + abs(objective(kept + removed)))


@given(st.floats(0.0, 100.0), weight_matrices(kinds=("zero", "lattice", "moderate")), PENALTIES, PENALTIES)
def test_best_theta_against_a_grid(budget, removed, l2, l1):
    kept = np.zeros_like(removed)
    best = best_theta(budget, removed, l2, l1)
    at_best = change_upper(best, budget, removed, kept, l2, l1)
    grid = [change_upper(theta, budget, removed, kept, l2, l1) for theta in np.linspace(0.0, 1.0, 41)]
    assert at_best <= min(grid) + 1e-9 * (1.0 + budget + abs(min(grid)))
    assert (best == 0.0) == (budget <= reward(removed, 0.0, l1)) or reward(removed, l2, 0.0) == 0.0
    if budget >= 2.0 * reward(removed, l2, 0.0) + reward(removed, 0.0, l1) and budget > 0.0:
        assert best == 1.0


def test_best_theta_known_values():
    assert best_theta(1.0, [[1.0]], 1.0, 0.0) == 0.5
    assert best_theta(1.0, [[1.0]], 1.0, 0.5) == 0.25
    assert best_theta(3.0, [[1.0]], 1.0, 0.5) == 1.0
    assert best_theta(0.5, [[1.0]], 1.0, 0.5) == 0.0
    assert best_theta(0.4, [[1.0]], 0.0, 0.5) == 0.0
    assert best_theta(0.5, [[1.0]], 0.0, 0.5) == 1.0
    assert best_theta(1.0, [[0.0]], 1.0, 1.0) == 1.0


def test_break_even():
    assert break_even_l2(7.0, 14.0) == 0.5
    assert break_even_l2(1.0, 0.0) == math.inf
    assert break_even_l2(0.0, 0.0) == 0.0
    assert break_even_l2(1e300, 1e-300) == math.inf
    removed = np.array([[1.0, -2.0], [0.0, 3.0]])
    star = break_even_l2(7.0, frobenius_squared(removed))
    assert not is_improvement(7.0, reward(removed, star, 0.0))
    assert is_improvement(7.0, reward(removed, star * (1 + 1e-12), 0.0))


def test_nan_is_not_a_certificate():
    """The negated comparison certifies NaN; ours refuses it."""
    budget, gain = 1.0, math.nan
    assert not (budget >= gain)
    for pair in ((math.nan, 1.0), (1.0, math.nan), (-math.inf, 1.0), (0.0, math.inf)):
        with pytest.raises(Refused):
            is_improvement(*pair)
    assert is_improvement(1.0, 1.0 + 1e-15)
    assert not is_improvement(1.0, 1.0)


def test_several_layers():
    assert change_upper_multilayer([1.0, 0.25], [2.0, 0.5]) == -1.25
    with pytest.raises(Refused):
        change_upper_multilayer([1.0], [2.0, 0.5])


def test_budgets_of_the_dense_network_do_not_add_up():
    """F10: z = (max(relu(a x), b x), 0); each weight alone is idle, both together are not."""

    def logits(a, b):
        return np.array([[max(max(a, 0.0), b), 0.0]])

    dense = [2.0 * np.abs(logits(0, 1) - logits(1, 1)).max(), 2.0 * np.abs(logits(1, 0) - logits(1, 1)).max()]
    in_order = [dense[0], 2.0 * np.abs(logits(0, 0) - logits(0, 1)).max()]
    change = (cross_entropy(logits(0, 0), [0]) - cross_entropy(logits(1, 1), [0]))[0]
    assert change > change_upper_multilayer(dense, [0.0, 0.0]) == 0.0
    assert change <= change_upper_multilayer(in_order, [0.0, 0.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: reward([[np.nan]], 1.0, 1.0),
        lambda: reward([[1.0]], -1.0, 1.0),
        lambda: reward([[1.0]], 1.0, -1e-9),
        lambda: reward([[1e200]], 1.0, 1.0),
        lambda: reward([1.0], 1.0, 1.0),
        lambda: reward([[1.0]], math.inf, 1.0),
        lambda: change_upper(1.5, 0.0, [[1.0]], [[0.0]], 1.0, 1.0),
        lambda: change_upper(-1e-9, 0.0, [[1.0]], [[0.0]], 1.0, 1.0),
        lambda: change_upper(0.0, -1.0, [[1.0]], [[0.0]], 1.0, 1.0),
        lambda: change_upper(0.0, 0.0, [[1.0]], [[1.0]], 1.0, 1.0),
        lambda: change_upper(0.0, 0.0, [[1.0]], [[-1.0]], 1.0, 1.0),
        lambda: change_upper(0.0, 0.0, [[1.0, 0.0]], [[0.0]], 1.0, 1.0),
        lambda: change_upper_additive(0.0, math.nan, [[1.0]], [[0.0]], 1.0),
        lambda: change_upper_additive(0.0, 0.0, [[1e200]], [[1e200]], 1.0),
        lambda: best_theta(math.nan, [[1.0]], 1.0, 1.0),
        lambda: break_even_l2(-1.0, 1.0),
        lambda: break_even_l2(1.0, math.nan),
        lambda: frobenius_squared(np.zeros((0, 2))),
        lambda: change_upper_multilayer([], []),
        lambda: change_upper_multilayer([-1.0], [0.0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
