"""P3-kn, P3-mac, P3-cast, X30, F17: exact costs, ties, and the factors that the published link leaves out."""

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.theory.budget import budget, data_path_size
from certify.theory.patterns import (
    budget_upper_by_energy,
    cheapest_masks,
    group_costs,
    group_moments,
    is_pattern,
    keep_patterns,
    row_energy_upper,
    theoretical_speedup,
)

NOTHING = np.zeros((1, 2), dtype=bool)
HALVES = st.integers(-8, 8).map(lambda k: k / 2)


def test_patterns_are_listed_in_order_of_the_kept_positions():
    assert keep_patterns(2, 3).tolist() == [[True, True, False], [True, False, True], [False, True, True]]
    assert keep_patterns(1, 1).tolist() == [[True]]
    for keep, group in ((1, 4), (2, 4), (4, 8), (6, 12), (8, 16), (12, 16)):
        masks = keep_patterns(keep, group)
        assert masks.shape == (comb(group, keep), group)
        assert np.all(masks.sum(axis=1) == keep)


@pytest.mark.claim("P3-kn")
def test_legality_of_every_mask_of_four():
    """2:4 on one row of two groups: 36 of 256 masks are legal, and those alone."""
    masks = [np.array([bits]) for bits in itertools.product((False, True), repeat=8)]
    legal = [mask for mask in masks if is_pattern(mask, 2, 4)]
    assert len(legal) == 36
    assert all(mask[0, :4].sum() == 2 and mask[0, 4:].sum() == 2 for mask in legal)
    assert not is_pattern(np.array([[True, True, False, False], [True, False, False, False]]), 2, 4)
    assert is_pattern(np.array([[True, True, False, False]]), 1, 2) is False


@pytest.mark.claim("P3-mac")
def test_speedup_of_the_published_reduction():
    assert theoretical_speedup(0.5981) == pytest.approx(2.488, abs=5e-4)
    assert theoretical_speedup(0.5) == 2.0
    assert theoretical_speedup(0.0) == 1.0


@pytest.mark.claim("P3-cast", kind="exact")
@given(st.data())
def test_costs_are_means_of_squares_in_fractions(data):
    """Dyadic entries and a power of two of samples: float64 computes both sides without rounding."""
    rows, groups, n = (data.draw(st.integers(1, 3)) for _ in range(3))
    count = data.draw(st.sampled_from([1, 2, 4]))
    weights = data.draw(arrays(np.float64, (rows, groups * n), elements=HALVES))
    inputs = data.draw(arrays(np.float64, (count, groups * n), elements=HALVES))
    keep = data.draw(st.integers(1, n))
    masks = keep_patterns(keep, n)
    costs = group_costs(weights, group_moments(inputs, n), masks)
    best = cheapest_masks(weights, group_moments(inputs, n), keep)
    assert is_pattern(best, keep, n)
    for i, g in itertools.product(range(rows), range(groups)):
        exact = []
        for mask in masks:
            gone = [g * n + j for j in range(n) if not mask[j]]
            sums = [sum((Fraction(weights[i, j]) * Fraction(x[j]) for j in gone), Fraction(0)) for x in inputs]
            exact.append(sum((value**2 for value in sums), Fraction(0)) / count)
        assert [Fraction(cost) for cost in costs[i, g]] == exact
        assert min(exact) >= 0
        first = exact.index(min(exact))
        assert best[i, g * n : (g + 1) * n].tolist() == masks[first].tolist()


def test_known_costs():
    """Two samples (1, 1) and (1, -1): C = identity, so the cost is the removed square; with (1, 1) alone sums cancel."""
    weights, mask = np.array([[3.0, -3.0, 1.0, 2.0]]), keep_patterns(1, 2)
    spread = group_moments([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]], 2)
    assert spread.tolist() == [[[1.0, 0.0], [0.0, 1.0]]] * 2
    assert group_costs(weights, spread, mask).tolist() == [[[9.0, 9.0], [4.0, 1.0]]]
    assert cheapest_masks(weights, spread, 1).tolist() == [[True, False, False, True]]
    aligned = group_moments([[1.0, 1.0, 1.0, 1.0]], 2)
    assert group_costs(weights, aligned, NOTHING).tolist() == [[[0.0], [9.0]]]


def test_rounding_never_makes_a_cost_negative():
    rng = np.random.default_rng(3)
    inputs = np.outer(rng.standard_normal(50), rng.standard_normal(8))
    inputs[:, 4:] = rng.standard_normal((50, 4))
    weights = rng.standard_normal((40, 8))
    weights[:, :4] -= np.outer(weights[:, :4] @ inputs[0, :4], inputs[0, :4]) / (inputs[0, :4] @ inputs[0, :4])
    costs = group_costs(weights, group_moments(inputs, 4), np.zeros((1, 4), dtype=bool))
    assert costs.min() >= 0.0
    assert costs[:, 0].max() < 1e-14


@pytest.mark.claim("X30-cast-link")
def test_the_factor_of_groups_is_needed_and_attained():
    """F17(ii): G equal contributions add up to G^2 of one, G times their sum. Without G the bound fails."""
    groups = 4
    weights, inputs = np.ones((1, 2 * groups)), np.ones((3, 2 * groups))
    costs = group_costs(weights, group_moments(inputs, 2), NOTHING)[:, :, 0]
    energy = ((inputs @ weights.T) ** 2).mean(axis=0)
    assert costs.tolist() == [[4.0] * groups]
    assert row_energy_upper(costs).tolist() == energy.tolist() == [64.0]
    assert energy[0] > costs.sum()
    paid = budget(np.full(3, 0.5), data_path_size(weights, inputs[:, None, :]))
    assert budget_upper_by_energy(0.5, row_energy_upper(costs)) == paid == 8.0


@pytest.mark.claim("X30-cast-link")
def test_the_number_of_tokens_is_needed_and_attained():
    """One token of four carries everything: averaging C over tokens without P is half the budget."""
    weights, tokens = np.array([[2.0, 0.0]]), np.zeros((1, 4, 2))
    tokens[0, 1] = [3.0, 1.0]
    costs = group_costs(weights, group_moments(tokens[0], 2), NOTHING)[:, :, 0]
    paid = budget([1.0], data_path_size(weights, tokens))
    assert paid == 12.0
    assert budget_upper_by_energy(1.0, row_energy_upper(costs), 4.0) == pytest.approx(paid, rel=1e-14)
    assert budget_upper_by_energy(1.0, row_energy_upper(costs)) == pytest.approx(paid / 2, rel=1e-14)


def test_energy_sums_over_rows():
    assert budget_upper_by_energy(3.0, [4.0, 5.0]) == pytest.approx(18.0, rel=1e-15)
    assert budget_upper_by_energy(3.0, [0.0]) == 0.0
    assert row_energy_upper([[1.0, 2.0], [0.0, 5.0]]).tolist() == [6.0, 10.0]


def test_groupwise_choice_is_not_optimal_for_the_row():
    """F17(iii): groups that could cancel each other are pruned apart."""
    weights, inputs = np.array([[1.0, 1.1, -1.0, -1.2]]), np.ones((1, 4))
    best = cheapest_masks(weights, group_moments(inputs, 2), 1)
    assert best.tolist() == [[False, True, False, True]]
    weights = np.array([[1.0, 1.5, -1.4, -1.45]])
    chosen = cheapest_masks(weights, group_moments(inputs, 2), 1)
    losses = {
        kept: float(sum(weights[0, j] for j in range(4) if j not in kept)) ** 2 for kept in itertools.product((0, 1), (2, 3))
    }
    taken = losses[tuple(int(j) for j in np.flatnonzero(chosen[0]))]
    assert taken > min(losses.values()) + 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: keep_patterns(0, 4),
        lambda: keep_patterns(5, 4),
        lambda: keep_patterns(9, 18),
        lambda: keep_patterns(2.0, 4),  # type: ignore[arg-type]
        lambda: is_pattern(np.ones((1, 6), bool), 2, 4),
        lambda: is_pattern(np.ones((1, 4)), 2, 4),
        lambda: is_pattern(np.ones(4, bool), 2, 4),
        lambda: is_pattern(np.ones((0, 4), bool), 2, 4),
        lambda: is_pattern(np.ones((1, 4), bool), 5, 4),
        lambda: theoretical_speedup(1.0),
        lambda: theoretical_speedup(-0.1),
        lambda: theoretical_speedup(np.nan),
        lambda: group_moments(np.ones((2, 3)), 2),
        lambda: group_moments([[np.nan, 1.0]], 2),
        lambda: group_moments([[1e200, 1e200]], 2),
        lambda: group_moments(np.ones((0, 2)), 2),
        lambda: group_costs(np.ones((1, 4)), np.ones((1, 2, 2)), NOTHING),
        lambda: group_costs(np.ones((1, 2)), np.ones((1, 2, 3)), NOTHING),
        lambda: group_costs(np.ones((1, 2)), np.ones((1, 2, 2)), np.zeros((1, 3), bool)),
        lambda: group_costs(np.ones((1, 2)), np.ones((1, 2, 2)), np.zeros((1, 2))),
        lambda: group_costs(np.full((1, 2), 1e200), np.ones((1, 2, 2)), NOTHING),
        lambda: cheapest_masks([[np.nan, 1.0]], np.ones((1, 2, 2)), 1),
        lambda: cheapest_masks(np.ones((1, 2)), np.ones((1, 2, 2)), 3),
        lambda: row_energy_upper([[-1.0]]),
        lambda: row_energy_upper([1.0]),
        lambda: row_energy_upper([[1e308, 1e308]]),
        lambda: budget_upper_by_energy(-1.0, [1.0]),
        lambda: budget_upper_by_energy(1.0, [-1.0]),
        lambda: budget_upper_by_energy(1.0, []),
        lambda: budget_upper_by_energy(1.0, [1.0], 0.5),
        lambda: budget_upper_by_energy(1e200, [1e300]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
