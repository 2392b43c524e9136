"""D2.0, L5.1, X1, X2, X14(c): known answers, equality, and validity on the edge suite."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import bounds_on_logits, labelled_logits, log_probability_pairs

from certify.records import Refused
from certify.theory.cross_entropy import (
    cross_entropy,
    increase_lower,
    increase_published,
    increase_upper,
    increase_upper_oscillation,
    increase_upper_pairwise,
    log_probabilities,
)


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


@given(log_probability_pairs(), st.floats(0.0, 20.0), st.floats(0.0, 20.0))
def test_steps_compose_to_the_sum(pair, first, second):
    """X14(c): after one step the odds against the true class are e^(2 eta) larger, and the next bound starts there."""
    once = increase_upper([pair[0]], [pair[1]], [first])
    odds = pair[1] - pair[0] + 2.0 * first
    again = increase_upper([-np.logaddexp(0.0, odds)], [-np.logaddexp(0.0, -odds)], [second])
    assert once + again == pytest.approx(increase_upper([pair[0]], [pair[1]], [first + second]), rel=1e-11, abs=1e-280)


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


@given(labelled_logits(), st.floats(-40, 40))
def test_a_common_shift_is_free(instance, shift):
    logits, labels = instance
    assert increase_upper_oscillation(*log_probabilities(logits, labels), np.zeros(len(labels))) == pytest.approx(0.0)
    assert cross_entropy(logits + shift, labels) == pytest.approx(cross_entropy(logits, labels), abs=1e-11)


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
    """Here both forms of Lambda_p round to one ulp above 2 eta."""
    odds, twice = 54.16662480404356, 0.2434116185595
    pair = [-np.logaddexp(0.0, odds)], [-np.logaddexp(0.0, -odds)]
    assert increase_upper(*pair, [twice / 2])[0] <= twice


@pytest.mark.parametrize(
    "call",
    [
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
