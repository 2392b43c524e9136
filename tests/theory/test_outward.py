"""The outward-rounded twins contain the exact value, on instances chosen to break them, and are not much wider than it.

Rational values are compared with `certify.theory.exact`. Each negative control is an evaluation to nearest, or a rule of the
specification before its errata, that does not contain the exact value.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import MODERATE, labelled_logits, mask_splits, weight_matrices

from certify.records import Refused
from certify.theory import budget, elastic_net, exact, outward
from certify.theory.outward import _rounding as rounding
from tests.theory.rationals import U, fractions, size

PENALTIES = st.one_of(st.just(0.0), st.floats(0.0, 2.0), st.sampled_from([5e-324, 0.01, 1e3]))
TINY_AND_HUGE = st.one_of(
    MODERATE,
    st.floats(-1e-300, 1e-300),
    st.floats(-1e150, 1e150),
    st.sampled_from([0.0, 5e-324, -5e-324, 2.0**-1022, 1e-160, 0.1, 1.0 + 2.0**-52]),
)


# Directed rounding.


@given(TINY_AND_HUGE, TINY_AND_HUGE)
def test_sums_and_products_are_directed(a, b):
    x, y = np.array([a]), np.array([b])
    exact_sum, exact_product = Fraction(a) + Fraction(b), Fraction(a) * Fraction(b)
    low, high = (float(f(x, y)[0]) for f in (rounding.add_down, rounding.add_up))
    assert Fraction(low) <= exact_sum <= Fraction(high)
    assert high in (low, np.nextafter(low, np.inf)) and (low == high) == (Fraction(float(a + b)) == exact_sum)
    low, high = (float(f(x, y)[0]) for f in (rounding.mul_down, rounding.mul_up))
    assert Fraction(low) <= exact_product <= Fraction(high)
    assert (low == high == 0.0) == (exact_product == 0)


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 2)), elements=TINY_AND_HUGE.map(abs)))
def test_sums_of_sizes_are_enclosed(terms):
    low, high = rounding.sum_nonnegative(terms)
    for column, a, b in zip(terms.T, low, high, strict=True):
        true = sum(map(Fraction, column))
        assert Fraction(a) <= true <= Fraction(b)
        assert Fraction(b) - Fraction(a) <= 14 * U * true + Fraction(1, 2**1072)


def test_gamma_and_the_refusals_of_the_arithmetic():
    assert rounding.gamma(2) == 2 * U / (1 - 2 * U)
    with pytest.raises(Refused):
        rounding.gamma(2**51)
    with pytest.raises(Refused):
        rounding.up(Fraction(10**400), "x")
    assert rounding.up(Fraction(1, 3), "x") == np.nextafter(rounding.down(Fraction(1, 3), "x"), 1.0)
    assert rounding.up(Fraction(1, 2), "x") == rounding.down(Fraction(1, 2), "x") == 0.5
    rounding.require_ieee()


def test_flushed_subnormals_are_refused(monkeypatch):
    real = np.array
    monkeypatch.setattr(rounding.np, "array", lambda value: real([0.0]) if value[0] == rounding.LEAST else real(value))
    with pytest.raises(Refused, match="flushed"):
        outward.data_path_size_upper([[1.0]], [[1.0]])


# Data-path sizes and budgets.


@st.composite
def removals(draw, kinds=("zero", "lattice", "moderate", "rank one", "subnormal", "huge")):
    removed = draw(weight_matrices(kinds=kinds))
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), removed.shape[1]
    small = st.one_of(MODERATE, st.just(0.0), st.floats(-1e-170, 1e-170))
    return removed, draw(arrays(np.float64, shape, elements=small))


@pytest.mark.claim("X29-dot", "X29-norms", kind="exact")
@given(removals())
def test_sizes_lie_above_the_exact_ones_and_close_to_them(case):
    removed, inputs = case
    true = exact.data_path_size(removed, inputs)
    found = outward.data_path_size_upper(removed, inputs)
    magnitude = exact.data_path_size(np.abs(removed), np.abs(inputs))
    cols = removed.shape[1]
    assert found.shape == true.shape
    assert np.all(fractions(found) >= true)
    assert np.all(fractions(found) <= true + (2 * cols + 4) * U * magnitude + (4 * cols + 4) * Fraction(1, 2**1074))
    assert np.all((found == 0.0) <= (true == 0))
    rows, squared = exact.data_path_upper_rows(removed, inputs), exact.data_path_upper_euclidean_squared(removed, inputs)
    by_rows, by_norms = outward.data_path_upper_rows(removed, inputs), outward.data_path_upper_euclidean(removed, inputs)
    assert np.all(fractions(by_rows) >= rows) and np.all(fractions(by_norms) ** 2 >= squared)
    assert np.all(fractions(by_rows) <= rows * (1 + 6 * U) + Fraction(1, 2**1073))
    step = (size(removed).sum() + size(inputs).sum() + 1) * Fraction(1, 2**1070)
    lowered = fractions(by_norms) * (1 - (2 * cols + 16) * U) - step
    assert np.all((lowered <= 0) | (lowered**2 <= squared))
    norms = outward.row_norms_upper(removed)
    assert np.all(fractions(norms) ** 2 >= (size(removed) ** 2).sum(axis=1))
    chain = [removed, removed.T]
    constant = Fraction(outward.lipschitz_by_row_sums(chain))
    assert exact.lipschitz_by_row_sums(chain) <= constant
    assert not constant or Fraction(np.nextafter(float(constant), 0.0)) < exact.lipschitz_by_row_sums(chain)


@pytest.mark.claim("X29-inputs", kind="exact")
@given(removals(kinds=("lattice", "moderate", "subnormal")), st.data())
def test_sizes_cover_enclosed_weights_and_inputs(case, data):
    removed, inputs = case
    share = st.sampled_from([0.0, 1e-16, 1e-3, 1.0])
    spread, e = (np.abs(part) * data.draw(share) + data.draw(st.sampled_from([0.0, 1e-9])) for part in case)
    found = outward.data_path_size_upper(removed, inputs, removed_error=spread, input_error=e)
    signs = [data.draw(arrays(np.float64, part.shape, elements=st.sampled_from([-1.0, 0.0, 1.0]))) for part in case]
    moved = [fractions(a) + fractions(b) * fractions(c) for a, b, c in ((removed, spread, signs[0]), (inputs, e, signs[1]))]
    assert np.all(fractions(found) >= exact.data_path_size(*moved))
    assert np.all(found >= outward.data_path_size_upper(removed, inputs))


def test_enclosed_inputs_are_attained():
    spread = {"removed_error": [[0.5, 0.25]], "input_error": [[0.125, 0.5]]}
    found = float(outward.data_path_size_upper([[2.0, 1.0]], [[1.0, 1.0]], **spread))
    worst = exact.data_path_size([[2.5, 1.25]], [[1.125, 1.5]])
    assert worst == Fraction(75, 16) <= Fraction(found) <= worst * (1 + 40 * U)
    assert outward.data_path_size_upper([[0.0, 1.0]], [[3.0, 0.0]]) == 0.0
    assert 0.0 < outward.data_path_size_upper([[1e-300]], [[1e-300]]) <= 2.0**-1070


@pytest.mark.claim("X29-float", kind="exact")
@given(st.data(), st.integers(1, 5))
def test_budgets_means_and_sums_are_rounded_once(data, samples):
    lipschitz, sizes, values = (
        data.draw(arrays(np.float64, samples, elements=element))
        for element in (TINY_AND_HUGE.map(abs), MODERATE.map(abs), TINY_AND_HUGE)
    )
    for found, true in (
        (outward.budget_upper(lipschitz, sizes), exact.budget(lipschitz, sizes)),
        (outward.mean_upper(values), sum(map(Fraction, values)) / samples),
        (-outward.mean_lower(values), -sum(map(Fraction, values)) / samples),
    ):
        assert Fraction(found) >= true and (Fraction(np.nextafter(found, -np.inf)) < true)
    steps = data.draw(arrays(np.float64, (data.draw(st.integers(0, 3)), samples), elements=TINY_AND_HUGE.map(abs)))
    total, found = exact.telescoped(steps), outward.telescoped_upper(steps)
    assert np.all(fractions(found) >= total) and np.all(fractions(found) <= total * (1 + 6 * U))


# Rewards and certificates.


@pytest.mark.claim("X29-reward", "X29-float", kind="exact")
@given(mask_splits(), PENALTIES, PENALTIES, st.sampled_from([0.0, 0.3, 1.0]), st.floats(0.0, 10.0))
def test_rewards_are_rounded_down_and_changes_up(split, l2, l1, theta, bound):
    kept, removed = split
    table = np.full(kept.shape, l2), np.full(kept.shape, l1)
    pairs = [
        (-outward.reward_lower(removed, l2, l1), -exact.reward(removed, l2, l1)),
        (-outward.reward_lower(removed, *table), -exact.reward(removed, l2, l1)),
        (-outward.reward_additive_lower(removed, kept, l2, l1), -exact.reward_additive(removed, kept, l2, l1)),
        (outward.change_upper(theta, bound, removed, kept, l2, l1), exact.change_upper(theta, bound, removed, kept, l2, l1)),
        (
            outward.change_upper_additive(theta, bound, removed, kept, l2),
            exact.change_upper_additive(theta, bound, removed, kept, l2),
        ),
        (outward.change_upper_universal([bound, 0.1], l1), (Fraction(bound) + Fraction(0.1)) / 2 - Fraction(l1)),
        (outward.change_upper_multilayer([bound, 0.1], [l1, l2]), exact.change_upper_multilayer([bound, 0.1], [l1, l2])),
    ]
    for found, true in pairs:
        assert Fraction(found) >= true and Fraction(np.nextafter(found, -np.inf)) < true
    with np.errstate(all="ignore"):
        naive = [l2 * np.sum(np.square(removed)) + l1 * np.sum(np.abs(removed)), elastic_net.reward(removed, l2, l1)]
    for value in naive:
        assert Fraction(outward.reward_lower_a_priori(float(value), removed.size, l2)) <= exact.reward(removed, l2, l1)


def test_the_certificate_of_the_specification_that_rounding_makes_false():
    removed, l2, bound = [[0.29, 0.47]], 0.01, 0.0030499999999999998
    assert elastic_net.is_improvement(bound, elastic_net.reward(removed, l2, 0.0))
    assert not exact.is_improvement(bound, exact.reward(removed, l2, 0.0))
    assert not elastic_net.is_improvement(bound, outward.reward_lower(removed, l2, 0.0))
    assert outward.change_upper(0.0, bound, removed, [[0.0, 0.0]], l2, 0.0) >= 0.0
    a_priori = outward.reward_lower_a_priori(elastic_net.reward(removed, l2, 0.0), 2, l2)
    assert not elastic_net.is_improvement(bound, a_priori) and a_priori > bound * (1.0 - 1e-14)


def test_naive_certificates_are_false_by_one_unit_often_enough_to_matter():
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(2000):
        removed, l2 = np.round(rng.random((1, 2)), 2), float(rng.choice([0.01, 0.001, 0.1]))
        reward = elastic_net.reward(removed, l2, 0.0)
        bound = np.nextafter(reward, 0.0)
        false += not exact.is_improvement(bound, exact.reward(removed, l2, 0.0))
        assert not elastic_net.is_improvement(bound, outward.reward_lower(removed, l2, 0.0)) or exact.is_improvement(
            bound, exact.reward(removed, l2, 0.0)
        )
    assert 0.01 < false / 2000 < 0.5


@pytest.mark.claim("X29-reward", kind="exact")
def test_underflow_makes_the_published_reward_rule_false():
    removed = np.full((8, 8), float(np.exp2(-537.4)))
    naive, true = float(np.sum(np.square(removed))), exact.reward(removed, 1.0, 0.0)
    assert 1.73 < Fraction(naive) / true < 1.75
    assert Fraction(naive) * (1 - rounding.gamma(67)) > true
    assert Fraction(outward.reward_lower_a_priori(naive, 64, 1.0)) <= true
    low = Fraction(outward.reward_lower(removed, 1.0, 0.0))
    assert 0 < low <= true < low + Fraction(1, 2**1074)
    assert outward.reward_lower_a_priori(0.0, 1, 0.0) == -(2.0**-1074)


def test_rounded_dot_products_are_off_and_stay_within_gamma():
    rng = np.random.default_rng(1)
    worst = Fraction(0)
    for _ in range(200):
        x, y = rng.standard_normal((2, 50))
        true = sum(Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True))
        magnitude = sum(abs(Fraction(a) * Fraction(b)) for a, b in zip(x, y, strict=True))
        worst = max(worst, abs(Fraction(float(x @ y)) - true) / (rounding.gamma(50) * magnitude))
        assert Fraction(float(outward.data_path_size_upper(x[None], y[None]))) >= abs(true)
    assert 0 < worst <= 1
    assert Fraction(float(budget.data_path_size([[1.0, 2.0**-53]], [[1.0, 1.0]]))) < 1 + U
    assert Fraction(float(outward.data_path_size_upper([[1.0, 2.0**-53]], [[1.0, 1.0]]))) >= 1 + U


@pytest.mark.parametrize(
    "call",
    [
        lambda: outward.cross_entropy([[0.0]], [0]),
        lambda: outward.cross_entropy([[0.0, np.nan]], [0]),
        lambda: outward.cross_entropy([[1.7e308, -1.7e308]], [1]),
        lambda: outward.increase_upper([-0.1], [-3.0, -1.0], [0.1]),
        lambda: outward.increase_upper([0.1], [-3.0], [0.1]),
        lambda: outward.increase_upper([-np.log(2)], [-np.log(2)], [-0.1]),
        lambda: outward.increase_upper([-np.log(2)], [-np.log(2)], [np.nan]),
        lambda: outward.increase_upper([-np.log(2)], [-np.log(2)], [1e308]),
        lambda: outward.increase_upper_pairwise([[0.0, 1.0]], [0], [[0.0]]),
        lambda: outward.data_path_size_upper([[1e200]], [[1e200]]),
        lambda: outward.data_path_size_upper([[1.0]], [[1.0]], input_error=[[-1.0]]),
        lambda: outward.data_path_size_upper([[1.0]], [[1.0]], removed_error=[[np.nan]]),
        lambda: outward.data_path_size_upper([[1.0, 1.0]], [[1.0]]),
        lambda: outward.budget_upper([1.0], [-1.0]),
        lambda: outward.budget_upper([1e300], [1e300]),
        lambda: outward.telescoped_upper([1.0]),
        lambda: outward.row_norms_upper(np.zeros((1, 0))),
        lambda: outward.reward_lower([[np.inf]], 1.0, 1.0),
        lambda: outward.reward_lower_a_priori(1.0, 0, 1.0),
        lambda: outward.reward_lower_a_priori(np.nan, 1, 1.0),
        lambda: outward.mean_upper([]),
        lambda: outward.may_lose([0.0], [0.0], [-1.0]),
        lambda: outward.may_lose([0.0], [0.0], [1.0], np.nan),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(Refused):
        call()


# Margins.


@pytest.mark.claim("X29-margin", kind="exact")
@given(labelled_logits(), st.data())
def test_no_decision_escapes_under_logit_error(table, data):
    logits, labels = table
    unit = st.sampled_from([0.0, 2.0**-52, 1e-3, 0.25])
    error, reach = data.draw(unit), data.draw(st.one_of(unit, st.floats(0.0, 5.0)))
    shift = st.sampled_from([Fraction(-1), Fraction(0), Fraction(1), Fraction(1, 3)])

    def moved(z, by):
        return z + np.array([[by * data.draw(shift) for _ in row] for row in z], dtype=object)

    real = moved(fractions(logits), Fraction(error))
    pruned = moved(real, Fraction(reach))
    eta = np.full(len(labels), reach)
    low, high = outward.true_margin(logits, labels)
    margin = exact.true_margin(logits, labels)
    assert np.all(fractions(low) <= margin) and np.all(margin <= fractions(high))
    assert np.all((low == high) | (np.nextafter(low, np.inf) == high))
    before, after = exact.true_margin(real, labels) > 0, exact.true_margin(pruned, labels) > 0
    assert not np.any(before & ~after & ~outward.may_lose(low, high, eta, error))
    assert not np.any(~before & after & ~outward.may_gain(low, high, eta, error))
    predicted = outward.predicted_margin_lower(logits)
    assert np.all(fractions(predicted) <= exact.predicted_margin(logits))
    for s in np.flatnonzero(outward.predicted_label_stable(predicted, eta, error)):
        winner = int(np.argmax(logits[s]))
        assert all(z[s][winner] > z[s][j] for z in (real, pruned) for j in range(len(z[s])) if j != winner)
    without = outward.may_lose(low, high, eta), outward.may_gain(low, high, eta)
    exact_sets = exact.may_lose(margin, eta), exact.may_gain(margin, eta)
    for found, true in zip(without, exact_sets, strict=True):
        assert np.all(true <= found)
        if np.array_equal(low, high):
            assert np.array_equal(found, true)


def test_margins_at_the_edge():
    for eta, error in itertools.product((0.5, 0.25), (0.0, 0.125)):
        edge = 2 * eta + 2 * error
        inside, outside = edge, np.nextafter(edge, 9.0)
        both = np.array([inside, outside, -edge, np.nextafter(-edge, 0.0), 2 * error, np.nextafter(2 * error, 9.0), -2 * error])
        assert list(outward.predicted_label_stable(both[:2], [eta] * 2, error)) == [False, True]
        lost, won = outward.may_lose(both, both, [eta] * 7, error), outward.may_gain(both, both, [eta] * 7, error)
        assert list(lost) == [True, False, False, bool(-edge > -2 * error), bool(error > 0), True, False]
        assert list(won) == [False, False, False, True, True, False, True]


# Looseness.


def test_outward_rounding_costs_little():
    rng = np.random.default_rng(2)
    removed = rng.standard_normal((64, 256)) * (rng.random((64, 256)) < 0.5)
    inputs = rng.standard_normal((8, 5, 256))
    sizes, above = budget.data_path_size(removed, inputs), outward.data_path_size_upper(removed, inputs)
    assert 0.0 < float(np.max(above / sizes - 1.0)) < 256 * 2.0**-53 * 8
    lipschitz = rng.random(8)
    assert 0.0 < outward.budget_upper(lipschitz, above) / budget.budget(lipschitz, sizes) - 1.0 < 1e-12
    assert abs(outward.reward_lower(removed, 0.01, 0.1) / elastic_net.reward(removed, 0.01, 0.1) - 1.0) < 1e-14
    nearest = elastic_net.reward(removed, 0.01, 0.1)
    assert 0.0 < 1.0 - outward.reward_lower_a_priori(nearest, removed.size, 0.01) / nearest < (removed.size + 8) * 2.0**-53
    logits, labels = rng.standard_normal((50, 100)) * 5.0, rng.integers(0, 100, 50)
    low, high = outward.cross_entropy(logits, labels)
    assert float(np.max((high - low) / low)) < 1e-13
