"""Enclosures of exponentials, logarithms and cross-entropies against mpmath's interval arithmetic at 1,400 bits and more."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mpmath import iv
from strategies import MODERATE, bounds_on_logits, labelled_logits

from certify.records import Refused
from certify.theory import cross_entropy, outward
from tests.theory.rationals import U, interval


@pytest.fixture(autouse=True)
def _precise():
    before, iv.prec = iv.prec, 1400
    yield
    iv.prec = before


def at_most(left, right):
    """left <= right unless the enclosures prove the contrary: at this precision they decide all but ties."""
    left, right = (interval(end) if isinstance(end, float) else end for end in (left, right))
    return left.a <= right.b


# Exponential and logarithm.


def arguments(low, high):
    near = st.builds(lambda n, k: (n + 0.5) * np.log(2.0) / 64.0 + k * 1e-16, st.integers(-68000, 65000), st.integers(-3, 3))
    chosen = st.sampled_from([0.0, 5e-324, -5e-324, 1e-300, -1e-160, low, high, -700.0, 0.34657359, -0.352, 1e-8])
    tiny = st.floats(-1e-3, 1e-3)
    return st.one_of(st.floats(low, high), tiny, st.one_of(near, chosen).filter(lambda x: low <= x <= high))


@pytest.mark.claim("X29-elementary", kind="exact")
@given(arguments(-760.0, 709.0), st.sampled_from([0.0, 2.0**-60, 1e-13, 0.25]))
def test_exponential_is_enclosed(x, error):
    low, high = (float(v[0]) for v in outward.exp_bounds(np.array([x]), error))
    for d in (-error, 0.0, error):
        true = iv.exp(interval(x) + interval(d))
        assert at_most(low, true) and at_most(true, high)
    if error == 0.0 and x > -708.0:
        assert high - low <= 20 * float(U) * low
    low, high = (float(v[0]) for v in outward.expm1_bounds(np.array([x])))
    true = iv.exp(interval(x)) - 1
    assert at_most(low, true) and at_most(true, high)
    assert (low == high == 0.0) if x == 0.0 else high - low <= 60 * float(U) * abs(low) + 2.0**-1072


@pytest.mark.claim("X29-elementary", kind="exact")
@given(st.one_of(st.floats(-0.5, 3.0), st.floats(0.0, 1e150), arguments(-0.5, 0.5)), arguments(-760.0, 760.0))
def test_logarithm_is_enclosed(e, a):
    low, high = (float(v[0]) for v in outward.log1p_bounds(np.array([e])))
    true = iv.log(1 + interval(e))
    assert at_most(low, true) and at_most(true, high)
    assert high - low <= 60 * float(U) * abs(low) + 2.0**-1071
    low, high = (float(v[0]) for v in outward.softplus_bounds(np.array([a])))
    true = iv.log(1 + iv.exp(interval(a)))
    assert at_most(low, true) and at_most(true, high)
    assert high - low <= 80 * float(U) * abs(low) + 2.0**-1070


def test_elementary_ends():
    low, high = outward.exp_bounds(np.array([-1e4, 0.0, 1e4]))
    assert list(low[:1]) == [0.0] and high[0] == 5e-324 and low[1] < 1.0 < high[1] and np.isinf(high[2]) and low[2] > 8e307
    low, high = outward.log1p_bounds(np.array([np.inf, 0.0]))
    assert low[0] > 340.0 and np.isinf(high[0]) and low[1] == high[1] == 0.0
    for bad in (-0.6, np.nan):
        with pytest.raises(Refused):
            outward.log1p_bounds(np.array([bad]))


def test_a_wrong_libm_is_noticed_or_corrected(monkeypatch):
    monkeypatch.setattr(np, "log1p", lambda x: 0.999 * np.log(1.0 + x))
    low, high = (float(v[0]) for v in outward.log1p_bounds(np.array([1.0])))
    assert at_most(low, iv.log(interval(2))) and at_most(iv.log(interval(2)), high) and high - low < 1e-5
    monkeypatch.setattr(np, "log1p", lambda x: 3.0 * x)
    with pytest.raises(Refused, match="logarithm"):
        outward.log1p_bounds(np.array([1.0]))


# Cross-entropies.


def wide_logits():
    kinds = st.floats(-700.0, 700.0), st.floats(-1e-9, 1e-9), MODERATE
    return st.one_of(labelled_logits(), *(labelled_logits(entries=kind) for kind in kinds))


def log1p(y):
    """Enclosure of log(1 + y) that is not lost in the precision where y is tiny."""
    small = max(abs(y.a), abs(y.b)) < iv.mpf(2) ** -1000
    return iv.mpf([(y - y * y).a, y.b]) if small else iv.log(1 + y)


@pytest.mark.claim("X29-lambda", kind="exact")
@given(wide_logits(), st.data())
def test_cross_entropies_and_their_largest_changes_are_enclosed(table, data):
    logits, labels = table
    small = st.one_of(st.just(0.0), st.floats(0.0, 50.0), st.floats(0.0, 1e-9), st.sampled_from([5e-324, 400.0]))
    eta = data.draw(bounds_on_logits(len(labels), entries=small))
    omega = eta * data.draw(arrays(np.float64, eta.shape, elements=st.sampled_from([-1.0, -0.5, 1.0])))
    pairwise = data.draw(arrays(np.float64, logits.shape, elements=st.one_of(st.floats(-40.0, 40.0), st.floats(-1e-9, 1e-9))))
    iv.prec = 2_500
    bounds = outward.log_probabilities(logits, labels)
    low, high = outward.cross_entropy(logits, labels)
    upper, lower = outward.increase_upper(bounds[1], bounds[3], eta), outward.increase_lower(bounds[0], bounds[2], eta)
    by_oscillation = outward.increase_upper_oscillation(bounds[1], bounds[3], omega)
    by_pairs = outward.increase_upper_pairwise(logits, labels, pairwise)
    for s, label in enumerate(labels):
        rest = [iv.exp(interval(Fraction(z) - Fraction(logits[s][label]))) for z in logits[s]]
        against = sum(odds for j, odds in enumerate(rest) if j != label)
        log_p, log_not_p, not_p = -log1p(against), -log1p(1 / against), against / (1 + against)
        assert at_most(float(low[s]), -log_p) and at_most(-log_p, high[s])
        assert at_most(float(bounds[0][s]), log_p) and at_most(log_p, bounds[1][s])
        assert at_most(float(bounds[2][s]), log_not_p) and at_most(log_not_p, bounds[3][s])

        def increase(x, not_p=not_p):
            return log1p(not_p * (iv.exp(interval(x)) - 1))

        for x, bound in ((2 * eta[s], upper[s]), (omega[s], by_oscillation[s])):
            assert at_most(increase(x), bound) or (x == bound == 0.0)
        assert at_most(float(lower[s]), increase(-2 * eta[s])) or (eta[s] == lower[s] == 0.0)
        gain = [Fraction(pi) if j != label else Fraction(0) for j, pi in enumerate(pairwise[s])]
        true = log1p(sum(odds * (iv.exp(interval(pi)) - 1) for odds, pi in zip(rest, gain, strict=True)) / (1 + against))
        assert at_most(true, by_pairs[s]) or (by_pairs[s] == 0.0 and not any(gain))


@given(labelled_logits(entries=MODERATE), st.data())
def test_enclosures_of_the_loss_are_narrow_and_hold_the_value_to_nearest(table, data):
    logits, labels = table
    eta = data.draw(bounds_on_logits(len(labels), entries=st.floats(1e-12, 20.0)))
    low, high = outward.cross_entropy(logits, labels)
    assert np.all(high - low <= 1e-14 * (1.0 + np.abs(logits).max()) * low)
    nearest = cross_entropy.cross_entropy(logits, labels)
    assert np.all(np.abs(nearest - low) <= 1e-13 * nearest + 1e-300)
    bounds, pair = outward.log_probabilities(logits, labels), cross_entropy.log_probabilities(logits, labels)
    upper, lower = outward.increase_upper(bounds[1], bounds[3], eta), outward.increase_lower(bounds[0], bounds[2], eta)
    assert np.all(np.abs(upper - cross_entropy.increase_upper(*pair, eta)) <= 1e-12 * upper)
    assert np.all(np.abs(lower - cross_entropy.increase_lower(*pair, eta)) <= 1e-12 * np.abs(lower))
    assert np.all(upper <= 2.0 * eta) and np.all(lower >= -2.0 * eta) and np.all(lower <= 0.0)


def test_confident_samples_keep_their_digits():
    logits = np.array([[0.0, -700.0], [0.0, -40.0], [0.0, 700.0], [0.0, 0.0]])
    low, high = outward.cross_entropy(logits, [0, 0, 0, 0])
    assert np.all(low > 0.0) and np.all(high <= low * (1.0 + 2e-12))
    assert low[0] == pytest.approx(np.exp(-700.0), rel=1e-11) and low[3] <= np.log(2.0) <= high[3]
    bounds = outward.log_probabilities(logits, [0, 0, 0, 0])
    assert bounds.log_p_lower[2] == pytest.approx(-700.0) and bounds.log_not_p_upper[0] == pytest.approx(-700.0)
    upper = outward.increase_upper(bounds[1], bounds[3], np.full(4, 0.5))
    assert upper[0] == pytest.approx(np.exp(-700.0) * np.expm1(1.0), rel=1e-10) and 0.9999 < upper[2] <= 1.0
    assert upper[3] == pytest.approx(np.log1p(0.5 * np.expm1(1.0)), rel=1e-14)


@pytest.mark.claim("X29-lambda", kind="exact")
def test_a_probability_rounded_down_beside_its_exact_complement_is_unsound():
    rounded_down = iv.log(interval(Fraction(49, 100)) + interval(Fraction(1, 2)) * iv.exp(interval(0)))
    assert rounded_down < 0
    logits = np.array([[0.0, 0.0]])
    bounds = outward.log_probabilities(logits, [0])
    assert outward.increase_upper(bounds[1], bounds[3], [1e-20])[0] >= 1e-20 * (1 - 1e-15)
    assert np.logaddexp(np.log(0.49), np.log(0.5)) < 0.0
    with pytest.raises(Refused):
        outward.increase_upper([np.log(0.49)], [np.log(0.5)], [0.0])
