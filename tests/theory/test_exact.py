"""The rational twins against their float64 twins, and the theorems about norms, budgets and regularisers decided exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import MODERATE, bounds_on_logits, labelled_logits, lattice_logits, mask_splits, token_inputs, weight_matrices

from certify.records import Refused
from certify.theory import budget, elastic_net, exact, margins
from tests.theory.rationals import U, assert_close, fractions, size

PENALTIES = st.one_of(st.just(0.0), st.floats(1e-6, 2.0))
# Below it a quotient by a square, or the square itself, leaves the range of float64.
NORMAL = Fraction(1, 2**900)
THETAS = st.sampled_from([0.0, 0.5, 1.0, float(np.nextafter(1.0, 0.0)), 1e-12, 0.3])
DYADIC = st.integers(-24, 24).map(lambda k: k / 8)


# Against the float64 twins.


@given(mask_splits(), PENALTIES, PENALTIES, THETAS, st.floats(0.0, 100.0))
def test_objective_twins_agree_to_rounding(split, l2, l1, theta, bound):
    kept, removed = split
    entries = removed.size
    one, square = exact.entrywise_l1(removed), exact.frobenius_squared(removed)
    assert_close(elastic_net.entrywise_l1(removed), one, one, entries)
    assert_close(elastic_net.frobenius_squared(removed), square, square, entries)
    gain = exact.reward(removed, l2, l1)
    assert_close(elastic_net.reward(removed, l2, l1), gain, gain, entries)
    total = Fraction(bound) + 2 * gain + 2 * exact.reward(kept, l2, l1)
    pair = theta, bound, removed, kept
    assert_close(elastic_net.change_upper(*pair, l2, l1), exact.change_upper(*pair, l2, l1), total, entries)
    assert_close(elastic_net.change_upper_additive(*pair, l2), exact.change_upper_additive(*pair, l2), total, entries)
    back = theta, 2 * bound, bound, removed, l2, l1
    assert_close(elastic_net.restore_gain(*back), exact.restore_gain(*back), 3 * total, entries)
    whole = removed + kept, kept, l2, l1
    scale = 4 * exact.reward(removed + kept, l2, l1) + 4 * exact.reward(kept, l2, l1)
    assert_close(elastic_net.reward_additive(*whole), exact.reward_additive(*whole), scale, entries)


@given(mask_splits(kinds=("lattice", "moderate", "zero")), PENALTIES, PENALTIES, st.floats(0.0, 100.0))
def test_best_theta_and_break_even_twins_agree_to_rounding(split, l2, l1, bound):
    _, removed = split
    square, one = Fraction(l2) * exact.frobenius_squared(removed), Fraction(l1) * exact.entrywise_l1(removed)
    found = elastic_net.best_theta(bound, removed, l2, l1), exact.best_theta(bound, removed, l2, l1)
    if square > NORMAL:
        assert_close(*found, (Fraction(bound) + one) / square + 1, removed.size)
        scale = elastic_net.break_even_scale(bound, removed, l2, l1), exact.break_even_scale(bound, removed, l2, l1)
        assert_close(*scale, (Fraction(bound) + one) / square, removed.size)
        level = elastic_net.break_even_l2(bound, 3.0), exact.break_even_l2(bound, 3.0)
        assert_close(*level, level[1], 1)
    elif not square and Fraction(bound) != one:
        assert found[0] == found[1]


@given(st.data(), weight_matrices(kinds=("zero", "lattice", "moderate", "rank one", "subnormal", "huge")))
def test_data_path_twins_agree_to_rounding(data, removed):
    inputs = data.draw(token_inputs(removed.shape[1]))
    true = exact.data_path_size(removed, inputs)
    rows = exact.data_path_upper_rows(removed, inputs)
    magnitude = exact.data_path_size(np.abs(removed), np.abs(inputs))
    assert_close(budget.data_path_size(removed, inputs), true, magnitude, removed.shape[1])
    assert_close(budget.data_path_upper_rows(removed, inputs), rows, rows, removed.shape[1])
    norm = budget.data_path_upper_euclidean(removed, inputs)
    squared = exact.data_path_upper_euclidean_squared(removed, inputs)
    assert_close(
        norm, fractions(norm) if not np.any(squared) else squared / np.where(norm > 0, fractions(norm), 1), size(norm), 9
    )
    assert np.all(true <= rows)
    assert np.all(true**2 <= squared)
    assert exact.data_path_size(removed, inputs[0]) == true[0]
    lipschitz = data.draw(arrays(np.float64, len(inputs), elements=st.floats(0.0, 9.0)))
    sizes = budget.data_path_size(removed, inputs)
    value = exact.budget(lipschitz, sizes)
    assert_close(budget.budget(lipschitz, sizes), value, value, len(inputs))
    chain = [removed, removed.T]
    assert_close(budget.lipschitz_by_row_sums(chain), exact.lipschitz_by_row_sums(chain), exact.lipschitz_by_row_sums(chain), 20)


@given(st.integers(0, 3), st.integers(1, 3), st.data())
def test_telescoped_twins_agree_to_rounding(removals, samples, data):
    steps = data.draw(arrays(np.float64, (removals, samples), elements=st.floats(0.0, 1e3)))
    total = exact.telescoped(steps)
    assert total.shape == (samples,)
    assert_close(budget.telescoped(steps), total, total, removals)


@given(labelled_logits(), st.data())
def test_margin_twins_decide_alike_where_the_margin_exceeds_the_rounding(table, data):
    logits, labels = table
    eta = data.draw(bounds_on_logits(len(labels)))
    pairwise = data.draw(arrays(np.float64, logits.shape, elements=MODERATE))
    rank = data.draw(st.integers(1, logits.shape[1] - 1))
    largest = 2 * Fraction(float(np.abs(logits).max()))
    for name, arguments in {
        "true_margin": (logits, labels),
        "topk_margin": (logits, labels, rank),
        "predicted_margin": (logits,),
    }.items():
        assert_close(getattr(margins, name)(*arguments), getattr(exact, name)(*arguments), largest, 1)
    error = 8 * U * (largest + fractions(eta) + Fraction(float(np.abs(pairwise).max())))
    true, predicted = exact.true_margin(logits, labels), exact.predicted_margin(logits)
    twice = 2 * fractions(eta)
    clear = (np.abs(true) > error) & (np.abs(np.abs(true) - twice) > error)
    for name in ("may_lose", "may_gain", "may_change_published"):
        found = getattr(margins, name)(margins.true_margin(logits, labels), eta)
        assert np.array_equal(found[clear], getattr(exact, name)(true, eta)[clear])
    found = margins.predicted_label_stable(margins.predicted_margin(logits), eta)
    clear = np.abs(predicted - twice) > error
    assert np.array_equal(found[clear], exact.predicted_label_stable(predicted, eta)[clear])
    lead = fractions(logits)[np.arange(len(labels)), labels][:, None] - fractions(logits)
    lead[np.arange(len(labels)), labels] = 10**9
    apart = np.minimum(np.abs(lead - fractions(pairwise)), np.abs(lead + fractions(pairwise)))
    clear = np.all((apart > error[:, None]) & (np.abs(lead) > error[:, None]), axis=1)
    for name in ("may_lose_pairwise", "may_gain_pairwise"):
        found = getattr(margins, name)(logits, labels, pairwise)
        assert np.array_equal(found[clear], getattr(exact, name)(logits, labels, pairwise)[clear])


@given(lattice_logits(), st.data())
def test_margin_twins_are_equal_on_a_lattice(table, data):
    logits, labels = table
    eta = data.draw(bounds_on_logits(len(labels), entries=st.integers(0, 6).map(lambda k: k / 4)))
    pairwise = data.draw(arrays(np.float64, logits.shape, elements=st.integers(-6, 6).map(lambda k: k / 2)))
    true = exact.true_margin(logits, labels)
    assert np.array_equal(true, margins.true_margin(logits, labels))
    for name in ("may_lose", "may_gain", "may_change_published"):
        assert np.array_equal(getattr(margins, name)(true.astype(float), eta), getattr(exact, name)(true, eta))
    for name in ("may_lose_pairwise", "may_gain_pairwise"):
        assert np.array_equal(getattr(margins, name)(logits, labels, pairwise), getattr(exact, name)(logits, labels, pairwise))
    predicted = exact.predicted_margin(logits)
    assert np.array_equal(
        margins.predicted_label_stable(predicted.astype(float), eta), exact.predicted_label_stable(predicted, eta)
    )


def test_fractions_floats_and_whole_numbers_are_read_alike():
    assert exact.reward([[1, 2]], Fraction(1, 2), 1) == Fraction(11, 2) == exact.reward(np.array([[1.0, 2.0]]), 0.5, 1.0)
    assert exact.reward(np.array([[1, 2]]), 0.5, 1) == Fraction(11, 2)
    assert exact.entrywise_l1([[Fraction(1, 3), Fraction(-1, 6)]]) == Fraction(1, 2)
    assert exact.frobenius_squared(np.array([[0.1]])) == Fraction(0.1) ** 2
    assert exact.data_path_size([[Fraction(1, 3), -1]], [[1, Fraction(1, 2)], [0, 2]]) == 2
    assert exact.data_path_size([[2.0**-1074, 1e300]], [[1.0, 0.0]]) == Fraction(1, 2**1074)
    assert exact.budget([1, 3], [2, 4]) == 14
    assert exact.budget([1], [Fraction(1, 3)]) == Fraction(2, 3)
    assert (
        exact.reward(
            [[1, 2]],
            [
                [1, 0],
            ][:1],
            [[0, Fraction(1, 2)]],
        )
        == 2
    )
    assert exact.accuracy_change_interval([True, False, False], [False, True, True]) == (Fraction(-1, 3), Fraction(2, 3))
    assert exact.change_upper_universal([1, Fraction(1, 2)], 2, Fraction(1, 4)) == -1
    assert exact.change_upper_multilayer([1, 2], [Fraction(1, 2), 4]) == Fraction(-3, 2)
    assert exact.is_improvement(1, 1) is False and exact.is_improvement(Fraction(1, 3), 0.34) is True
    assert exact.break_even_l2(0, 0) == 0 and exact.break_even_l2(1, 0) == float("inf")
    assert exact.restoration_can_help(2, 1) and not exact.restoration_can_help(1, 1)
    assert list(exact.smallest_lipschitz([1, 2], [2, 0])) == [Fraction(1, 2), None]


@pytest.mark.parametrize(
    "call",
    [
        lambda: exact.reward([[float("nan")]], 1, 1),
        lambda: exact.reward([[1.0]], -1, 1),
        lambda: exact.reward([[1.0]], float("nan"), 1),
        lambda: exact.reward([1.0], 1, 1),
        lambda: exact.reward([["a"]], 1, 1),
        lambda: exact.reward([[1.0, 2.0]], [[1.0]], 0),
        lambda: exact.budget([], []),
        lambda: exact.budget([1.0], [-1.0]),
        lambda: exact.budget([-1.0], [1.0]),
        lambda: exact.change_upper(1.5, 0, [[1.0]], [[0.0]], 1, 1),
        lambda: exact.change_upper(0, 0, [[1.0]], [[1.0]], 1, 1),
        lambda: exact.is_improvement(float("nan"), 1),
        lambda: exact.true_margin([[1.0]], [0]),
        lambda: exact.true_margin([[1.0, 2.0]], [2]),
        lambda: exact.true_margin([[1.0, 2.0]], [0.5]),
        lambda: exact.topk_margin([[1.0, 2.0]], [0], 2),
        lambda: exact.accuracy_change_interval([True], [True]),
        lambda: exact.data_path_size([[1.0, 2.0]], [[1.0]]),
        lambda: exact.telescoped([1.0]),
        lambda: exact.relu_path([1.0], [1.0], [], "tanh"),
        lambda: exact.relu_path([1.0], [1.0, 2.0], []),
        lambda: exact.relu_path([1.0], [1.0], [([[1.0, 2.0]], [0.0])]),
        lambda: exact.group_moments([[1.0, 2.0, 3.0]], 2),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(Refused):
        call()


# Norms, budgets, regularisers.


@pytest.mark.claim("N0-norms", kind="exact")
@given(weight_matrices(kinds=("lattice", "moderate", "subnormal", "huge")), st.data())
def test_row_sums_bound_the_data_path_and_are_attained(removed, data):
    inputs = data.draw(token_inputs(removed.shape[1]))
    assert np.all(exact.data_path_size(removed, inputs) <= exact.data_path_upper_rows(removed, inputs))
    signs = np.sign(removed[int(np.argmax(size(removed).sum(axis=1)))])[None]
    assert exact.data_path_size(removed, signs) == max(size(removed).sum(axis=1))
    if np.any(signs):
        assert exact.data_path_upper_rows(removed, signs) == exact.data_path_size(removed, signs)


@pytest.mark.claim("D5.0-budget", "X12-budget-calculus", "X19-tokens", kind="exact")
@given(st.data(), weight_matrices(kinds=("zero", "lattice", "moderate")))
def test_budget_is_a_seminorm_over_samples_and_tokens(data, first):
    second = data.draw(arrays(np.float64, first.shape, elements=DYADIC))
    inputs = data.draw(token_inputs(first.shape[1]))
    lipschitz = data.draw(arrays(np.float64, len(inputs), elements=st.floats(0.0, 9.0)))

    def of(removed, order=slice(None)):
        return exact.budget(lipschitz[order], exact.data_path_size(removed, inputs[order]))

    by_hand = sum(
        Fraction(c)
        * max(abs(sum(Fraction(a) * Fraction(b) for a, b in zip(row, token, strict=True))) for row in first for token in v)
        for c, v in zip(lipschitz, inputs, strict=True)
    )
    assert of(first) == 2 * by_hand / len(inputs) >= 0
    assert of(fractions(first) * Fraction(-3, 7)) == Fraction(3, 7) * of(first)
    assert of(fractions(first) + fractions(second)) <= of(first) + of(second)
    assert of(first) - of(second) <= of(fractions(first) - fractions(second))
    twice = list(range(len(inputs))) * 2
    assert of(first, twice) == of(first) == of(first, slice(None, None, -1))
    fewer = first.copy()
    fewer[0] = 0.0
    assert of(fewer) <= of(first)


@pytest.mark.claim("X12-budget-calculus", "C5.6-restore-gain", kind="exact")
@given(st.data(), mask_splits(kinds=("lattice", "moderate")), PENALTIES, PENALTIES, THETAS)
def test_restoring_is_judged_by_the_bounds_alone(data, split, l2, l1, theta):
    kept, removed = split
    restored = np.where(data.draw(arrays(bool, removed.shape)), removed, 0.0)
    pruned = removed - restored
    inputs = data.draw(token_inputs(removed.shape[1]))
    lipschitz = data.draw(arrays(np.float64, len(inputs), elements=st.floats(0.0, 3.0)))
    b_removed, b_pruned, b_restored = (
        exact.budget(lipschitz, exact.data_path_size(part, inputs)) for part in (removed, pruned, restored)
    )
    gain = exact.restore_gain(theta, b_removed, b_pruned, restored, l2, l1)
    all_gone = exact.change_upper(theta, b_removed, removed, kept, l2, l1)
    assert gain == all_gone - exact.change_upper(theta, b_pruned, pruned, kept + restored, l2, l1)
    if not exact.restoration_can_help(b_restored, exact.reward(restored, l2, l1)):
        assert exact.restore_gain(0, b_removed, b_pruned, restored, l2, l1) <= 0


@pytest.mark.claim("X12-budget-calculus", "C5.6-restore-gain", kind="exact")
def test_restoring_may_raise_the_budget_and_entries_of_equal_effect_add():
    assert exact.data_path_size([[1, 1]], [[1, -1]]) == 0 < exact.data_path_size([[0, 1]], [[1, -1]])
    q, p, v = [[1, 0]], [[0, 2]], [[3, 4]]
    assert exact.data_path_size([[1, 2]], v) == exact.data_path_size(q, v) + exact.data_path_size(p, v)
    assert (
        exact.restore_gain(Fraction(1, 2), Fraction(6, 5), 0, q, 1, 0)
        == Fraction(-3, 20)
        < 0
        < exact.restore_gain(0, Fraction(6, 5), 0, q, 1, 0)
    )


@pytest.mark.claim(
    "T5.3-additive-frobenius", "T5.4-elastic-net", "T5.5-prune-restore", "ESM1-C1.1-weighted-elastic-net", kind="exact"
)
@given(st.data(), mask_splits(), THETAS)
def test_the_regularisers_part_of_every_bound_is_an_identity(data, split, theta):
    kept, removed = (fractions(part) for part in split)
    at = Fraction(theta)
    l2, l1 = (fractions(data.draw(arrays(np.float64, kept.shape, elements=PENALTIES))) for _ in range(2))
    moved = exact.reward(kept + at * removed, l2, l1) - exact.reward(kept + removed, l2, l1)
    assert exact.change_upper(theta, 0, removed, kept, l2, l1) == moved
    assert exact.change_upper(theta, 7, removed, kept, l2, l1) == moved + (1 - at) * 7
    one = data.draw(PENALTIES), data.draw(PENALTIES)
    moved = exact.reward(kept + at * removed, *one) - exact.reward(kept + removed, *one)
    assert exact.change_upper(theta, 0, removed, kept, *one) == moved
    assert exact.change_upper(0, 0, removed, kept, *one) == -exact.reward(removed, *one)
    dense = fractions(data.draw(arrays(np.float64, kept.shape, elements=DYADIC)))
    moved = exact.reward(dense + at * removed, l2, 0) - exact.reward(dense + removed, l2, 0)
    assert exact.change_upper_additive(theta, 0, removed, dense, l2) == moved
    assert exact.reward_additive(removed, dense, l2, l1) == exact.reward(dense + removed, l2, l1) - exact.reward(dense, l2, l1)


@pytest.mark.claim("X11-optimal-theta", kind="exact")
@given(mask_splits(kinds=("lattice", "zero")), st.integers(0, 40), st.integers(0, 8), st.integers(0, 8))
def test_best_theta_minimises_the_bound(split, bound, l2, l1):
    kept, removed = split
    weights = Fraction(l2, 8), Fraction(l1, 8)
    best = exact.best_theta(Fraction(bound, 4), removed, *weights)

    def change(theta):
        return exact.change_upper(theta, Fraction(bound, 4), removed, kept, *weights)

    assert all(change(best) <= change(Fraction(k, 32)) for k in range(33))
    assert all(
        change(best) < change(other)
        for other in (best - Fraction(1, 999), best + Fraction(1, 999))
        if 0 <= other <= 1 and exact.reward(removed, weights[0], 0)
    )
    square, one = exact.reward(removed, weights[0], 0), exact.reward(removed, 0, weights[1])
    assert (change(best) < 0) == (Fraction(bound, 4) < 2 * square + one)
    if square:
        assert (best == 0) == (Fraction(bound, 4) <= one)
