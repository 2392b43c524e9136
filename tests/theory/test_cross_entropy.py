"""D2.0, L5.1, X1 to X4, X14(c): known answers, equality, and validity on the edge suite."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import bounds_on_logits, labelled_logits, log_probability_pairs

from certify.records import Refused
from certify.theory.budget import budget, data_path_size, lipschitz_by_row_sums
from certify.theory.cross_entropy import (
    cross_entropy,
    increase_lower,
    increase_published,
    increase_upper,
    increase_upper_average,
    increase_upper_hoeffding,
    increase_upper_oscillation,
    increase_upper_pairwise,
    log_probabilities,
    pairwise_by_readout,
    softlabel_upper,
    softlabel_upper_hoeffding,
    softmax,
)
from certify.theory.margins import true_margin


def exact_cumulant(log_not_p, x):
    with mpmath.workdps(60):
        q = mpmath.exp(mpmath.mpf(log_not_p))
        return mpmath.log1p(q * mpmath.expm1(mpmath.mpf(x)))


def worst_direction(labels, classes):
    """1 - 2 e_C, the direction in which the true class loses on all others."""
    return 1.0 - 2.0 * np.eye(classes)[labels]


def test_known_values():
    logits = np.array([[0.0, np.log(3.0)], [np.log(3.0), 0.0], [0.0, 0.0]])
    assert cross_entropy(logits, [0, 0, 1]) == pytest.approx([np.log(4), np.log(4 / 3), np.log(2)], rel=1e-15)
    log_p, log_not_p = log_probabilities(logits, [0, 0, 1])
    assert np.exp(log_p) == pytest.approx([0.25, 0.75, 0.5])
    assert np.exp(log_not_p) == pytest.approx([0.75, 0.25, 0.5])


@pytest.mark.parametrize(
    "p, eta, upper, lower",
    [
        (0.5, 0.5, 0.6201145069582775, -0.3798854930417225),
        (0.25, 1.0, 1.7564417556472543, -1.0455414072067594),
        (0.9, 0.1, 0.0218987385428008127, -0.0182932301953839531),
    ],
)
def test_worst_case_values(p, eta, upper, lower):
    pair = [np.log(p)], [np.log1p(-p)]
    assert increase_upper(*pair, [eta])[0] == pytest.approx(upper, rel=1e-13)
    assert increase_lower(*pair, [eta])[0] == pytest.approx(lower, rel=1e-13)
    assert increase_upper_oscillation(*pair, [2 * eta])[0] == pytest.approx(upper, rel=1e-13)
    assert increase_published([eta])[0] == 2 * eta


@pytest.mark.parametrize(
    "p, eta, ratio", [(0.99, 0.1, 0.011), (0.9, 0.1, 0.11), (0.5, 0.1, 0.53), (1e-1, 1, 0.955), (1e-3, 1, 0.99957)]
)
def test_ratio_to_the_published_bound(p, eta, ratio):
    sharp = increase_upper([np.log(p)], [np.log1p(-p)], [float(eta)])
    assert sharp / increase_published([float(eta)]) == pytest.approx(ratio, rel=0.03 if eta < 1 else 1e-3)


@given(log_probability_pairs(), st.one_of(st.floats(-60, 60), st.floats(-1e-9, 1e-9), st.floats(-1400, 1400)))
def test_cumulant_against_sixty_digits(pair, x):
    found = increase_upper_oscillation([pair[0]], [pair[1]], [x])[0]
    exact = exact_cumulant(pair[1], x)
    assert abs(found - exact) <= 1e-12 * abs(exact) + 1e-290


@pytest.mark.claim("X1-ce-sharp")
@given(st.data())
def test_both_ends_are_attained(data):
    logits, labels = data.draw(labelled_logits())
    eta = data.draw(bounds_on_logits(len(labels)))
    shift = eta[:, None] * worst_direction(labels, logits.shape[1])
    pair = log_probabilities(logits, labels)
    dense = cross_entropy(logits, labels)
    slack = 1e-12 * (1.0 + np.abs(logits).max() + eta.max())
    assert cross_entropy(logits + shift, labels) - dense == pytest.approx(increase_upper(*pair, eta), abs=slack)
    assert cross_entropy(logits - shift, labels) - dense == pytest.approx(increase_lower(*pair, eta), abs=slack)


@pytest.mark.claim("X1-ce-sharp")
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_layer_attains_both_ends(sign):
    """8.4: m = 1, v = 1, no further layer, A = z, R = -d, theta = 0; the pruned layer S = A - R has the logits z + d."""
    weight, eta = np.array([[0.5], [-1.0], [2.0]]), 0.75
    removed = -sign * eta * np.array([[-1.0], [1.0], [1.0]])
    dense, pruned = (np.ones((1, 1)) @ matrix.T for matrix in (weight, weight - removed))
    bound = (increase_upper if sign > 0 else increase_lower)(*log_probabilities(dense, [0]), [eta])
    assert cross_entropy(pruned, [0]) - cross_entropy(dense, [0]) == pytest.approx(bound, rel=1e-14)
    assert sign * bound[0] > 0.0


@pytest.mark.claim("L5.1-ce-path")
@pytest.mark.parametrize("theta", [0.0, 1e-12, 0.5, np.nextafter(1.0, 0.0), 1.0])
@pytest.mark.parametrize("bend", [lambda x: np.maximum(x, 0.0), np.tanh, lambda x: x], ids=["relu", "tanh", "identity"])
def test_a_layer_along_its_path(bend, theta):
    """Row sums for L_s, every mask of a 2 x 2 layer; losses that rise and losses that fall both occur."""
    weight, readout = np.array([[1.0, -0.5], [0.25, 2.0]]), np.array([[1.0, -1.0], [-2.0, 0.5], [0.0, 1.0]])
    inputs, labels = np.array([[1.0, 0.5], [-0.5, 1.0], [0.0, 0.0]]), np.array([0, 2, 1])
    constants, changes = np.full(3, lipschitz_by_row_sums([readout])), []
    dense = bend(inputs @ weight.T) @ readout.T
    for bits in range(16):
        removed = weight * np.array([[bits & 1, bits & 2], [bits & 4, bits & 8]]).astype(bool)
        part = bend(inputs @ (weight - removed + theta * removed).T) @ readout.T
        change = np.mean(cross_entropy(part, labels) - cross_entropy(dense, labels))
        assert abs(change) <= (1.0 - theta) * budget(constants, data_path_size(removed, inputs[:, None, :])) + 1e-15
        changes.append(change)
    assert theta > 0.9 or min(changes) < -0.01 < 0.01 < max(changes)


@pytest.mark.claim("X1-ce-sharp", "L5.1-ce-path")
@given(st.data())
def test_every_change_within_the_box_is_covered(data):
    logits, labels = data.draw(labelled_logits())
    eta = data.draw(bounds_on_logits(len(labels)))
    share = data.draw(arrays(np.float64, logits.shape, elements=st.floats(-1.0, 1.0)))
    change = cross_entropy(logits + share * eta[:, None], labels) - cross_entropy(logits, labels)
    pair = log_probabilities(logits, labels)
    slack = 1e-12 * (1.0 + np.abs(logits).max() + eta.max())
    upper, lower = increase_upper(*pair, eta), increase_lower(*pair, eta)
    assert np.all(lower - slack <= change)
    assert np.all(change <= upper + slack)
    assert np.all(upper <= increase_published(eta))
    assert np.all(-lower <= upper * (1 + 1e-12))


@pytest.mark.claim("X14-multilayer")
@given(log_probability_pairs(), st.floats(0.0, 20.0), st.floats(0.0, 20.0))
def test_steps_compose_to_the_sum(pair, first, second):
    """X14(c): after one step the odds against the true class are e^(2 eta) larger, and the next bound starts there."""
    once = increase_upper([pair[0]], [pair[1]], [first])
    odds = pair[1] - pair[0] + 2.0 * first
    again = increase_upper([-np.logaddexp(0.0, odds)], [-np.logaddexp(0.0, -odds)], [second])
    assert once + again == pytest.approx(increase_upper([pair[0]], [pair[1]], [first + second]), rel=1e-11, abs=1e-280)


@pytest.mark.claim("X2-ce-pairwise")
@given(st.data())
def test_pairwise_is_attained_and_below_the_oscillation_form(data):
    logits, labels = data.draw(labelled_logits())
    pairwise = data.draw(arrays(np.float64, logits.shape, elements=st.one_of(st.floats(-5, 5), st.just(0.0))))
    bound = increase_upper_pairwise(logits, labels, pairwise)
    other = np.arange(logits.shape[1]) != labels[:, None]
    change = cross_entropy(logits + np.where(other, pairwise, 0.0), labels) - cross_entropy(logits, labels)
    slack = 1e-12 * (1.0 + np.abs(logits).max())
    assert bound == pytest.approx(change, abs=slack)
    omega = np.where(other, pairwise, -np.inf).max(axis=1)
    assert np.all(bound <= increase_upper_oscillation(*log_probabilities(logits, labels), omega) + slack)


def test_pairwise_known_value_and_ignored_entry():
    logits = np.log([[0.5, 0.25, 0.25]])
    pairwise = [[77.0, np.log(2.0), np.log(4.0)]]
    assert increase_upper_pairwise(logits, [0], pairwise) == pytest.approx([np.log(2.0)])
    assert increase_upper_pairwise(logits, [0], [[0.0, -np.log(2.0), 0.0]]) == pytest.approx([np.log(0.875)])


@pytest.mark.claim("D2.0-ce", "X2-ce-pairwise")
@given(labelled_logits(), st.floats(-40, 40))
def test_a_common_shift_is_free(instance, shift):
    logits, labels = instance
    assert increase_upper_oscillation(*log_probabilities(logits, labels), np.zeros(len(labels))) == pytest.approx(0.0)
    assert cross_entropy(logits + shift, labels) == pytest.approx(cross_entropy(logits, labels), abs=1e-11)


@pytest.mark.claim("D2.0-ce")
@given(labelled_logits())
def test_log_sum_exp_equals_the_naive_form_where_that_is_finite(instance):
    logits, labels = instance
    assert np.all(np.isfinite(cross_entropy(logits, labels)))
    if np.abs(logits).max() < 500:
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        naive = -np.log(p[np.arange(len(labels)), labels])
        assert cross_entropy(logits, labels) == pytest.approx(naive, rel=1e-9, abs=1e-14)


def test_probabilities_beyond_double_precision():
    log_p, log_not_p = log_probabilities([[800.0, 0.0], [0.0, 800.0]], [0, 0])
    assert log_not_p.tolist() == [-800.0, 0.0]
    assert log_p.tolist() == [0.0, -800.0]
    assert increase_upper(log_p, log_not_p, [1.0, 1.0]) == pytest.approx([0.0, 2.0])
    assert increase_upper([0.0], [-800.0], [500.0]) == pytest.approx([200.0])
    assert cross_entropy(np.tile(np.arange(1000.0), (2, 1)), [999, 0]) == pytest.approx([0.45867514538, 999.45867514538])


def test_rounding_does_not_carry_the_sharp_bound_above_the_published_one():
    """At p below 1e-16 both forms of Lambda_p round to one ulp above 2 eta in one of a thousand cases."""
    rng = np.random.default_rng(0)
    odds, twice = rng.uniform(38.0, 60.0, 100_000), rng.uniform(0.2, 0.3, 100_000)
    pair = -np.logaddexp(0.0, odds), -np.logaddexp(0.0, -odds)
    assert np.all(increase_upper(*pair, twice / 2) <= twice)


def test_softmax_known_values_and_edges():
    assert softmax([[0.0, np.log(3.0)], [7.0, 7.0]]) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]), rel=1e-15)
    assert softmax([[1e4, -1e4], [-1.5e308, 1.5e308]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    many = softmax(np.tile(np.arange(1000.0), (1, 1)))
    assert many.sum() == pytest.approx(1.0, rel=1e-14)
    assert many[0, -1] == pytest.approx(1.0 - np.exp(-1.0), rel=1e-13)


@pytest.mark.claim("D2.0-network")
def test_relu_logits_tie_at_zero_and_a_tie_is_an_error():
    """F28: X ends with its activation, so dead logits are equal."""
    logits = np.maximum([[-1.0, -2.0, -3.0]], 0.0)
    assert softmax(logits) == pytest.approx(np.full((1, 3), 1 / 3))
    assert cross_entropy(logits, [0]) == pytest.approx([np.log(3.0)])
    assert not true_margin(logits, [0])[0] > 0.0


def test_readout_known_values():
    readout = [[1.0, -2.0], [0.5, 0.0], [1.0, 3.0]]
    assert pairwise_by_readout(readout, [0, 2], [2.0, 1.0]).tolist() == [[0.0, 5.0, 10.0], [5.0, 3.5, 0.0]]
    assert pairwise_by_readout(readout, [1], [0.0]).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.claim("X2-ce-pairwise")
@given(st.data())
def test_readout_bounds_the_pairwise_gain_and_is_attained(data):
    shape = data.draw(st.tuples(st.integers(2, 5), st.integers(1, 4)))
    readout = data.draw(arrays(np.float64, shape, elements=st.integers(-6, 6).map(lambda k: k / 2)))
    features = data.draw(arrays(np.float64, shape[1], elements=st.integers(-6, 6).map(lambda k: k / 2)))
    label, size = data.draw(st.integers(0, shape[0] - 1)), np.abs(features).max()
    bound, moved = pairwise_by_readout(readout, [label], [size])[0], readout @ features
    assert np.all(np.abs(moved - moved[label]) <= bound)
    assert np.all(bound <= 2.0 * np.abs(readout).sum(axis=1).max() * size)
    for j in range(shape[0]):
        worst = size * np.sign(readout[j] - readout[label])
        assert (readout[j] - readout[label]) @ worst == bound[j]


def test_average_known_values():
    """p = 1/2 and 9/10, eta = 1/10: log(.7 + .3 e^.2)."""
    pair = np.log([0.5, 0.9]), np.log([0.5, 0.1])
    assert increase_upper_average(*pair, 0.1) == pytest.approx(np.log(0.7 + 0.3 * np.exp(0.2)), rel=1e-13)
    assert increase_upper_average(*pair, 0.1) > increase_upper(*pair, [0.1, 0.1]).mean() + 1e-4
    assert increase_upper_average(*pair, 0.0) == 0.0
    assert increase_upper_average([0.0], [-700.0], 1e4) == pytest.approx(2e4 - 700.0)
    assert increase_upper_average([-700.0], [0.0], 1.0) == pytest.approx(2.0)


@pytest.mark.claim("X3-ce-average")
@given(log_probability_pairs(), st.integers(1, 4), st.floats(0.0, 50.0))
def test_average_is_attained_by_equal_probabilities(pair, samples, eta):
    repeated = [np.full(samples, part) for part in pair]
    assert increase_upper_average(*repeated, eta) == pytest.approx(increase_upper([pair[0]], [pair[1]], [eta])[0], rel=1e-12)


def test_hoeffding_known_values():
    pair = np.log([0.5, 0.9]), np.log([0.5, 0.1])
    assert increase_upper_hoeffding(*pair, [0.2, 0.2]) == pytest.approx([0.105, 0.025], rel=1e-14)
    assert increase_upper_hoeffding(*pair, [-0.2, -0.2]) == pytest.approx([-0.095, -0.015], rel=1e-14)
    exact, second = increase_upper(*pair, [0.1, 0.1])[0], increase_upper_hoeffding(*pair, [0.2, 0.2])[0]
    assert second - exact == pytest.approx(0.2**4 / 192, rel=1e-2)
    assert increase_upper_hoeffding(np.log([0.25]), np.log([0.75]), [2.0])[0] == pytest.approx(2.0, rel=1e-14)


@pytest.mark.claim("X4-soft-label")
def test_greedy_is_not_exact():
    """Negative control: by t_j / q_j the sets are {1}, {1, 2}; the best is {2}."""
    q, t, eta = np.array([1, 6, 1]) / 8, np.array([2, 5, 1]) / 8, 2.0
    values = [np.log(q[D].sum() * np.exp(4.0) + 1 - q[D].sum()) - 4.0 * t[D].sum() for D in ([1], [1, 2], [2])]
    assert softlabel_upper([np.log(q)], [t], [eta])[0] == pytest.approx(values[2], rel=1e-14)
    assert values[2] == pytest.approx(np.log((np.exp(4) + 7) / 8) - 0.5)
    assert max(values[:2]) < values[2] - 0.3


@pytest.mark.claim("X4-soft-label", "X1-ce-sharp")
@given(st.data())
def test_hard_labels_are_a_special_case(data):
    logits, labels = data.draw(labelled_logits())
    eta = data.draw(bounds_on_logits(len(labels)))
    hard = np.eye(logits.shape[1])[labels]
    sharp = increase_upper(*log_probabilities(logits, labels), eta)
    assert softlabel_upper(logits, hard, eta) == pytest.approx(sharp, rel=1e-12, abs=1e-12)


def test_soft_labels_known_values_and_edges():
    third, half = np.zeros((1, 3)), np.zeros((1, 2))
    assert softlabel_upper(half, half + 0.5, [0.5]) == pytest.approx([np.log((np.e + 1) / 2) - 0.5], rel=1e-14)
    assert softlabel_upper(third, np.full((1, 3), 1 / 3), [0.0]).tolist() == [0.0]
    assert softlabel_upper_hoeffding(half, [[0.75, 0.25]], [0.5]) == pytest.approx([0.375], rel=1e-14)
    assert softlabel_upper_hoeffding(half, [[1.0, 0.0]], [4.0]).tolist() == [8.0]
    assert softlabel_upper([[2e4, -1e4]], [[1.0, 0.0]], [1e4]).tolist() == [0.0]
    assert softlabel_upper([[-1e4, 1e4]], [[1.0, 0.0]], [1e4]).tolist() == [2e4]
    assert softlabel_upper(half, [[1.0, 0.0]], [1e4]) == pytest.approx([2e4 - np.log(2.0)])


def test_a_probability_that_underflows_still_counts():
    """q = (1, e^-2000), t = (1, 0), eta = 1200: the other class can take over, at a loss of 2 eta - 2000."""
    assert softlabel_upper([[2000.0, 0.0]], [[1.0, 0.0]], [1200.0]) == pytest.approx([400.0], rel=1e-13)


def test_subsets_are_searched_up_to_twelve_classes():
    twelve, thirteen, thousand = (np.zeros((1, k)) for k in (12, 13, 1000))
    assert softlabel_upper(twelve, np.eye(12)[:1], [1.0]) == pytest.approx([np.log((1 + 11 * np.exp(2.0)) / 12)], rel=1e-13)
    for z in (thirteen, thousand):
        found, classes = softlabel_upper(z, np.eye(z.shape[1])[:1], [0.1]), z.shape[1]
        assert found == softlabel_upper_hoeffding(z, np.eye(classes)[:1], [0.1])
        assert found == pytest.approx([min(0.2 * (1 - 1 / classes) + 0.005, 0.2)], rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: softmax([[0.0]]),
        lambda: softmax([[np.nan, 0.0]]),
        lambda: softmax(np.zeros((0, 2))),
        lambda: pairwise_by_readout([[1.0]], [0], [1.0]),
        lambda: pairwise_by_readout([[1.0], [2.0]], [2], [1.0]),
        lambda: pairwise_by_readout([[1.0], [2.0]], [0], [-1.0]),
        lambda: pairwise_by_readout([[1e200], [2.0]], [0], [1e200]),
        lambda: increase_upper_average([np.log(0.5)], [np.log(0.5)], -0.1),
        lambda: increase_upper_average([np.log(0.5)], [np.log(0.5)], np.nan),
        lambda: increase_upper_average([np.log(0.5)], [np.log(0.4)], 0.1),
        lambda: increase_upper_average([], [], 0.1),
        lambda: increase_upper_hoeffding([np.log(0.5)], [np.log(0.5)], [0.1, 0.1]),
        lambda: increase_upper_hoeffding([np.log(0.5)], [np.log(0.5)], [1e200]),
        lambda: softlabel_upper([[1.0]], [[1.0]], [0.1]),
        lambda: softlabel_upper([[0.5, np.nan]], [[1.0, 0.0]], [0.1]),
        lambda: softlabel_upper([[0.5, 0.5]], [[1.0, 0.5]], [0.1]),
        lambda: softlabel_upper([[0.5, 0.5]], [[1.5, -0.5]], [0.1]),
        lambda: softlabel_upper([[0.5, 0.5]], [[1.0, 0.0]], [-0.1]),
        lambda: softlabel_upper([[0.5, 0.5]], [[1.0, 0.0]], [0.1, 0.1]),
        lambda: softlabel_upper([[0.5, 0.5]], [[1.0, 0.0, 0.0]], [0.1]),
        lambda: cross_entropy([[np.nan, 0.0]], [0]),
        lambda: cross_entropy([[np.inf, 0.0]], [0]),
        lambda: cross_entropy([[0.0]], [0]),
        lambda: cross_entropy(np.zeros((0, 3)), np.zeros(0, int)),
        lambda: cross_entropy([[0.0, 1.0]], [2]),
        lambda: cross_entropy([[0.0, 1.0]], [-1]),
        lambda: cross_entropy([[0.0, 1.0]], [0.0]),
        lambda: cross_entropy([[0.0, 1.0]], [0, 1]),
        lambda: cross_entropy([[-1.5e308, 1.5e308]], [0]),
        lambda: cross_entropy([[1j, 0.0]], [0]),
        lambda: increase_upper([np.log(0.5)], [np.log(0.5)], [-0.1]),
        lambda: increase_upper([np.log(0.5)], [np.log(0.5)], [np.nan]),
        lambda: increase_upper([np.log(0.5)], [np.log(0.5)], [1.5e308]),
        lambda: increase_upper([np.log(0.5)], [np.log(0.5)], [0.1, 0.1]),
        lambda: increase_upper([0.5], [0.5], [0.1]),
        lambda: increase_upper([np.log(0.5)], [np.log(0.4)], [0.1]),
        lambda: increase_upper([0.0], [-np.inf], [0.1]),
        lambda: increase_upper_oscillation([np.log(0.5)], [np.log(0.5)], [np.inf]),
        lambda: increase_upper_pairwise([[0.0, 1.0]], [0], [[0.0]]),
        lambda: increase_published([-1.0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
