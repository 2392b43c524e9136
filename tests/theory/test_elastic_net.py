"""The elastic net against exact rationals, on dead inputs, at known values; F1, F10, F11, F29, and NaN, which must not pass."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import LATTICE, mask_splits, weight_matrices

from certify.records import Refused
from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import cross_entropy
from certify.theory.elastic_net import (
    best_subgradient,
    best_theta,
    break_even_g,
    break_even_l2,
    break_even_scale,
    bregman_divergence,
    change_upper,
    change_upper_additive,
    change_upper_multilayer,
    change_upper_universal,
    entrywise_l1,
    frobenius_squared,
    is_improvement,
    restore_gain,
    reward,
    reward_additive,
    reward_lower_convex,
)

EXACT = ("zero", "lattice", "rank one")
THETAS = st.sampled_from([0.0, 0.5, 1.0, math.nextafter(1.0, 0.0), 1e-12, 0.3])
PENALTIES = st.sampled_from([0.0, 0.125, 1.0, 3.0])
BUDGETS = st.one_of(st.just(0.0), st.floats(1e-9, 100.0))  # half of a subnormal rounds to 0, and theta* with it


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


@pytest.mark.claim("T5.4-elastic-net")
@given(mask_splits(kinds=EXACT), THETAS, PENALTIES, PENALTIES)
def test_mask_bound_is_attained_on_dead_inputs(split, theta, l2, l1):
    """With B = 0 the cross-entropy cannot move, so T5.4 must give the exact change of the regulariser."""
    kept, removed = split
    found = change_upper(theta, 0.0, removed, kept, l2, l1)
    assert found == pytest.approx(exact_change(kept, removed, theta, l2, l1), rel=1e-12, abs=1e-9)


@pytest.mark.claim("T5.3-additive-frobenius")
@given(st.data(), THETAS, PENALTIES)
def test_additive_bound_is_attained_on_dead_inputs(data, theta, l2):
    removed = data.draw(weight_matrices(kinds=EXACT))
    kept = data.draw(arrays(np.float64, removed.shape, elements=LATTICE))
    found = change_upper_additive(theta, 0.0, removed, kept, l2)
    assert found == pytest.approx(exact_change(kept, removed, theta, l2, 0.0), rel=1e-12, abs=1e-9)


@pytest.mark.claim("T5.3-additive-frobenius")
def test_additive_bound_keeps_the_sign_of_the_cross_term():
    """F29: S = R = 1 has the exact reward 3; discarding the sign would state -1."""
    assert change_upper_additive(0.0, 0.0, [[1.0]], [[1.0]], 1.0) == -3.0
    assert change_upper_additive(0.0, 0.0, [[1.0]], [[-1.0]], 1.0) == 1.0


def test_the_budget_enters_linearly():
    removed, kept = [[2.0, 0.0]], [[0.0, 5.0]]
    assert change_upper(0.25, 8.0, removed, kept, 1.0, 1.0) == 0.75 * 8.0 - (1 - 0.0625) * 4.0 - 0.75 * 2.0
    assert change_upper_additive(0.25, 8.0, removed, kept, 1.0) == 0.75 * 8.0 - (1 - 0.0625) * 4.0
    assert change_upper(1.0, 8.0, removed, kept, 1.0, 1.0) == 0.0


@pytest.mark.claim("T5.4-elastic-net")
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


@pytest.mark.claim("X11-optimal-theta")
@given(BUDGETS, weight_matrices(kinds=("zero", "lattice", "moderate")), PENALTIES, PENALTIES)
def test_best_theta_against_a_grid(budget, removed, l2, l1):
    kept = np.zeros_like(removed)
    best = best_theta(budget, removed, l2, l1)
    at_best = change_upper(best, budget, removed, kept, l2, l1)
    grid = [change_upper(theta, budget, removed, kept, l2, l1) for theta in np.linspace(0.0, 1.0, 41)]
    assert at_best <= min(grid) + 1e-9 * (1.0 + budget + abs(min(grid)))
    assert (best == 0.0) == (budget <= reward(removed, 0.0, l1)) or reward(removed, l2, 0.0) == 0.0
    if budget >= 2.0 * reward(removed, l2, 0.0) + reward(removed, 0.0, l1) and budget > 0.0:
        assert best == 1.0


@pytest.mark.claim("X11-optimal-theta")
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


@pytest.mark.claim("T5.8-multilayer")
def test_budgets_of_the_dense_network_do_not_add_up():
    """F10: z = (max(relu(a x), b x), 0); each weight alone is idle, both together are not."""

    def logits(a, b):
        return np.array([[max(max(a, 0.0), b), 0.0]])

    dense = [2.0 * np.abs(logits(0, 1) - logits(1, 1)).max(), 2.0 * np.abs(logits(1, 0) - logits(1, 1)).max()]
    in_order = [dense[0], 2.0 * np.abs(logits(0, 0) - logits(0, 1)).max()]
    change = (cross_entropy(logits(0, 0), [0]) - cross_entropy(logits(1, 1), [0]))[0]
    assert change > change_upper_multilayer(dense, [0.0, 0.0]) == 0.0
    assert change <= change_upper_multilayer(in_order, [0.0, 0.0])


DEAD = np.array([[1.0, 0.0, -2.0], [0.5, 0.0, 3.0], [-1.5, 0.0, 0.25]])
LAYER = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
ON_DEAD = np.array([[0.0, -2.0, 0.0], [0.0, 3.0, 0.0]])


def objective(matrix, l2, l1):
    """The identity after the layer; the second input is 0 on every sample."""
    labels = [0, 1, 1]
    return cross_entropy(DEAD @ matrix.T, labels).mean() + np.sum(l2 * matrix**2) + np.sum(l1 * np.abs(matrix))


@pytest.mark.claim("T5.4-elastic-net", "T5.5-prune-restore", "ESM1-C1.1-weighted-elastic-net", "T5.3-additive-frobenius")
@pytest.mark.parametrize("theta", [0.0, 0.25, 0.5, 1.0])
def test_dead_inputs_attain_the_bounds(theta):
    kept, restored = LAYER - ON_DEAD, np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    assert budget(np.ones(3), data_path_size(ON_DEAD, DEAD[:, None, :])) == 0.0
    gamma = np.array([[1.0, 0.5, 2.0], [0.0, 0.25, 4.0]])
    for l2, l1 in ((0.5, 0.25), (0.0, 2.0), (gamma, gamma[::-1]), (gamma, 0.5)):
        moved = objective(kept + theta * ON_DEAD, l2, l1) - objective(LAYER, l2, l1)
        assert change_upper(theta, 0.0, ON_DEAD, kept, l2, l1) == pytest.approx(moved, rel=1e-12, abs=1e-14)
        pruned = ON_DEAD - restored
        moved = objective(kept + restored + theta * pruned, l2, l1) - objective(LAYER, l2, l1)
        assert change_upper(theta, 0.0, pruned, kept + restored, l2, l1) == pytest.approx(moved, rel=1e-12, abs=1e-14)
    moved = objective(kept + theta * ON_DEAD, gamma, 0.0) - objective(LAYER, gamma, 0.0)
    assert change_upper_additive(theta, 0.0, ON_DEAD, kept, gamma) == pytest.approx(moved, rel=1e-12, abs=1e-14)


@pytest.mark.claim("T5.8-multilayer")
def test_dead_inputs_attain_the_bound_of_several_removals():
    """W_2 relu(W_1 v): the second hidden unit is dead, and so is the second input; the first layer is visited twice."""
    first, second, labels = np.array([[1.0, -2.0], [-1.0, 3.0]]), np.array([[1.0, 4.0], [-0.5, 2.0]]), [0, 1]
    inputs = np.array([[1.0, 0.0], [0.5, 0.0]])

    def total(w1, w2):
        fit = cross_entropy(np.maximum(inputs @ w1.T, 0.0) @ w2.T, labels).mean()
        return fit + 0.5 * np.sum(w1**2) + 0.25 * np.sum(np.abs(w1)) + 2.0 * np.sum(w2**2) + 0.125 * np.sum(np.abs(w2))

    steps = [[[0.0, -2.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 3.0]]]
    gains = [reward(steps[0], 0.5, 0.25), reward(steps[1], 2.0, 0.125), reward(steps[2], 0.5, 0.25)]
    moved = total(first - steps[0] - steps[2], second - steps[1]) - total(first, second)
    assert change_upper_multilayer([0.0, 0.0, 0.0], gains) == pytest.approx(moved, rel=1e-13)


def test_one_weight_per_entry():
    removed, kept = [[2.0, 0.0], [0.0, -3.0]], [[0.0, 1.0], [1.0, 0.0]]
    l2, l1 = [[0.5, 9.0], [9.0, 0.25]], [[0.0, 9.0], [9.0, 2.0]]
    assert reward(removed, l2, l1) == 0.5 * 4.0 + 0.25 * 9.0 + 2.0 * 3.0
    assert reward(removed, l2, 1.0) == 0.5 * 4.0 + 0.25 * 9.0 + 5.0
    assert change_upper(0.5, 8.0, removed, kept, l2, l1) == 4.0 - 0.75 * 4.25 - 0.5 * 6.0
    assert change_upper_additive(0.5, 8.0, removed, np.array(removed) + kept, l2) == 4.0 - 0.75 * 4.25 - 2.0 * 0.5 * 4.25
    assert best_theta(8.25, removed, l2, l1) == (8.25 - 6.0) / 8.5
    assert reward([[0.0, 1e-170]], [[1e300, 1e300]], 0.0) == pytest.approx(1e-40, rel=1e-14, abs=0.0)
    assert reward([[1e200, 1e-170]], [[0.0, 1e300]], 0.0) == pytest.approx(1e-40, rel=1e-14, abs=0.0)


@given(weight_matrices(), PENALTIES, PENALTIES)
def test_constant_weights_are_numbers(removed, l2, l1):
    ones = np.ones_like(removed)
    assert reward(removed, l2 * ones, l1 * ones) == pytest.approx(reward(removed, l2, l1), rel=1e-14, abs=1e-320)


@pytest.mark.claim("X10-universal")
def test_universal_bound_known_values():
    assert change_upper_universal([1.0, -0.5], 3.0, 2.5) == 0.25 - 0.5
    rounded = np.round(LAYER * 3.0) / 3.0
    fits = [cross_entropy(DEAD @ matrix.T, [0, 1, 1]) for matrix in (LAYER, rounded)]
    penalties = [float(np.sum(np.cosh(matrix))) for matrix in (LAYER, rounded)]
    moved = fits[1].mean() - fits[0].mean() + penalties[1] - penalties[0]
    assert change_upper_universal(fits[1] - fits[0], *penalties) == pytest.approx(moved, rel=1e-13)


@pytest.mark.claim("C5.6-restore-gain")
def test_restoring_at_general_theta():
    """Errata: at theta = 1/2, B(R) = 1.2, B(P) = 0, l2 ||Q||^2 = 1 the published criterion holds and the bound rises."""
    assert 1.2 - 0.0 > 1.0
    assert restore_gain(0.5, 1.2, 0.0, [[1.0]], 1.0, 0.0) == pytest.approx(0.5 * (1.2 - 1.5))
    assert restore_gain(0.0, 1.2, 0.0, [[1.0]], 1.0, 0.0) == pytest.approx(0.2)
    assert restore_gain(0.0, 3.0, 1.0, [[1.0, -2.0]], 0.25, 0.5) == 2.0 - 1.25 - 1.5
    assert restore_gain(0.25, 3.0, 1.0, [[1.0, -2.0]], 0.25, 0.5) == 0.75 * (2.0 - 1.25 * 1.25 - 1.5)
    assert restore_gain(1.0, 3.0, 1.0, [[1.0]], 1.0, 1.0) == 0.0


@pytest.mark.claim("C5.6-restore-gain", "T5.5-prune-restore")
def test_restoring_can_raise_the_budget():
    """F11: Q = (1, 0), P = (0, 1), v = (1, -1)."""
    restored, pruned, inputs = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[[1.0, -1.0]]])
    together = budget([1.0], data_path_size(restored + pruned, inputs))
    alone = budget([1.0], data_path_size(pruned, inputs))
    assert (together, alone) == (0.0, 2.0)
    assert restore_gain(0.0, together, alone, restored, 0.0, 0.0) == -2.0


@pytest.mark.claim("ESM1-R2.8c-mask-vs-additive")
def test_a_mask_theorem_says_nothing_about_an_additive_split():
    """S = -R: the regulariser loses nothing by dropping R, it gains; S = R: it loses three times the reward."""
    assert reward([[1.0]], 1.0, 1.0) == 2.0
    assert reward_additive([[1.0]], [[-1.0]], 1.0, 1.0) == -2.0
    assert reward_additive([[1.0]], [[1.0]], 1.0, 1.0) == 4.0
    assert reward_additive([[1.0, 0.0]], [[0.0, 5.0]], 2.0, 0.5) == reward([[1.0, 0.0]], 2.0, 0.5)
    assert reward_additive([[2.0, 1.0]], [[1.0, 1.0]], [[1.0, 3.0]], [[0.5, 0.0]]) == 8.0 + 9.0 + 1.0


@pytest.mark.claim("ESM1-R2.8-bregman")
def test_bregman_known_values():
    """l2 x^2 at S = 3, R = 2: gradient 6 l2, divergence l2 R^2."""
    assert bregman_divergence(0.5 * 25.0, 0.5 * 9.0, [[3.0]], [[2.0]]) == 0.5 * 4.0
    assert reward_lower_convex([[3.0]], [[2.0]], 1.0) == 6.0 + 2.0
    xi = best_subgradient([[2.0, -3.0]], [[-1.0, 0.0]], 0.5, 4.0)
    assert xi.tolist() == [[-1.0 - 4.0, -4.0]]
    assert reward_lower_convex(xi, [[2.0, -3.0]], 1.0) == -10.0 + 12.0 + 6.5
    assert reward_additive([[2.0, -3.0]], [[-1.0, 0.0]], 0.5, 4.0) == 0.5 * (1.0 - 1.0) + 4.5 + 12.0


@given(mask_splits(kinds=EXACT), PENALTIES, PENALTIES)
def test_the_best_subgradient_of_a_mask_gives_the_reward(split, l2, l1):
    kept, removed = split
    found = reward_lower_convex(best_subgradient(removed, kept, l2, l1), removed, 2.0 * l2)
    assert found == pytest.approx(reward(removed, l2, l1), rel=1e-13, abs=1e-12)


@pytest.mark.claim("ESM1-R2.7-reg-scaling")
def test_break_even_variance_and_scale():
    """Lbar = 3, x = 2, l2 = 1/2, 4 x 8: g* = (12 / (4 * 2))^2; budget 2 Lbar x sqrt(g / 4) = 9 = l2 g 8."""
    assert break_even_g(3.0, 4, 8, 0.5, 2.0) == 2.25
    assert 2.0 * 3.0 * 2.0 * math.sqrt(2.25 / 4) == 0.5 * 2.25 * 8
    assert break_even_scale(3.0, [[1.0, -1.0]], 0.5, 0.25) == 2.5
    assert not is_improvement(2.5 * 3.0, reward([[2.5, -2.5]], 0.5, 0.25))
    assert is_improvement(2.6 * 3.0, reward([[2.6, -2.6]], 0.5, 0.25))
    assert break_even_scale(0.5, [[1.0, -1.0]], 0.5, 0.25) == 0.0
    assert break_even_scale(0.5, [[1.0, -1.0]], 0.0, 0.25) == math.inf
    assert break_even_scale(0.4, [[1.0, -1.0]], 0.0, 0.25) == 0.0
    assert break_even_scale(1.0, [[0.0]], 1.0, 1.0) == math.inf


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
        lambda: reward([[1.0]], [[-1.0]], 0.0),
        lambda: reward([[1.0, 2.0]], 0.0, [[0.0, -1e-9]]),
        lambda: reward([[1.0, 2.0]], [1.0, 2.0], 0.0),
        lambda: reward([[1.0]], [[np.nan]], 0.0),
        lambda: reward([[1e200]], [[1.0]], 0.0),
        lambda: change_upper(0.0, 0.0, [[1.0]], [[0.0]], [[-1.0]], 0.0),
        lambda: change_upper(0.0, 0.0, [[1.0]], [[1.0]], [[1.0]], [[1.0]]),
        lambda: change_upper_universal([], 0.0, 0.0),
        lambda: change_upper_universal([math.nan], 0.0, 0.0),
        lambda: change_upper_universal([0.0], math.inf, 0.0),
        lambda: restore_gain(0.0, -1.0, 0.0, [[1.0]], 0.0, 0.0),
        lambda: restore_gain(2.0, 1.0, 0.0, [[1.0]], 0.0, 0.0),
        lambda: reward_additive([[1.0]], [[1.0, 2.0]], 0.0, 0.0),
        lambda: bregman_divergence(math.nan, 0.0, [[1.0]], [[1.0]]),
        lambda: reward_lower_convex([[1.0]], [[1.0]], -1.0),
        lambda: best_subgradient([[1.0]], [[1.0]], -1.0, 0.0),
        lambda: break_even_g(1.0, 1, 1, 0.0, 1.0),
        lambda: break_even_g(1.0, 0, 1, 1.0, 1.0),
        lambda: break_even_g(-1.0, 1, 1, 1.0, 1.0),
        lambda: break_even_scale(-1.0, [[1.0]], 1.0, 1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
