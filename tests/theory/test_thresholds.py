"""T3.20, X28, X22: known answers, ties at the threshold, exact small cases."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory.gaussian import gaussian_multiplier
from certify.theory.thresholds import (
    above_threshold,
    miss_probability,
    support_threshold,
    threshold_moment_generating,
    threshold_moments,
)


@pytest.mark.claim("ESM1-T3.20-threshold", "X28-threshold-exact")
def test_known_thresholds():
    assert support_threshold(20, 30, 1.0 / 20.0, 0.1, "paper") == pytest.approx(math.sqrt(0.1 * math.log(2.0 * 600 / 0.1)))
    assert round(support_threshold(20, 30, 1.0 / 20.0, 0.1, "paper"), 3) == 0.969
    assert round(support_threshold(20, 30, 1.0 / 20.0, 0.1), 3) == 0.839
    assert support_threshold(3, 4, 4.0, 0.1) == pytest.approx(2.0 * gaussian_multiplier(12, 1, 0.1))
    assert support_threshold(3, 4, 0.0, 0.1) == 0.0


@pytest.mark.claim("ESM1-T3.20-threshold")
def test_ties_go_out():
    """Noise of size t against a signal of 2 t leaves exactly t: not above it. A little more is."""
    t = 0.5
    signal, noise = np.array([[2 * t, 2 * t + 2.0**-50, 0.0]]), np.array([[-t, -t, t]])
    assert above_threshold(signal + noise, t).tolist() == [[False, True, False]]
    assert above_threshold([[0.0, -1.0]], 0.0).tolist() == [[False, True]]


@pytest.mark.claim("ESM1-T3.20-threshold", kind="exact")
@given(st.lists(st.tuples(st.integers(-12, 12), st.integers(-4, 4)), min_size=1, max_size=6))
def test_inclusions_on_halves(entries):
    """Multiples of 1/2 and t = 2: every sum is exact, ties included."""
    signal, noise = np.array(entries, dtype=float)[None].transpose(2, 0, 1) / 2.0
    kept = above_threshold(signal + noise, 2.0)
    assert np.all(kept[np.abs(signal) > 4.0])
    assert not np.any(kept[signal == 0.0])


@pytest.mark.claim("X28-threshold-exact")
def test_known_miss_probabilities():
    found = miss_probability([0.0, 1.0, -1.0, 2.0], 1.0, 1.0)
    phi = [0.5 * math.erfc(-x / math.sqrt(2.0)) for x in (1.0, -1.0, 0.0, -2.0, -3.0)]
    assert found == pytest.approx([phi[0] - phi[1], phi[2] - phi[3], phi[2] - phi[3], phi[1] - phi[4]], rel=1e-13)
    assert miss_probability([1.0, 1.5], 1.0, 0.0).tolist() == [1.0, 0.0]
    assert miss_probability(3.0, 1.0, 0.25) == pytest.approx(0.5 * math.erfc(4.0 / math.sqrt(2.0)), rel=1e-10)
    assert miss_probability(1e200, 1.0, 1e-300) == 0.0


@pytest.mark.claim("X22-magnitude-threshold")
def test_known_moments():
    """kappa = .7 of the specification; 0 removes nothing, infinity in effect everything."""
    found = threshold_moments(0.7, 1.0)
    assert (round(found.square, 4), round(found.absolute, 4), round(found.fraction, 4)) == (0.0789, 0.1734, 0.5161)
    assert found.absolute == pytest.approx(math.sqrt(2.0 / math.pi) * (1.0 - math.exp(-0.245)), rel=1e-13)
    assert threshold_moments(0.0, 2.0) == (0.0, 0.0, 0.0)
    assert threshold_moments(1e300, 4.0) == pytest.approx((1.0, 4.0, 2.0 * math.sqrt(2.0 / math.pi)))
    assert threshold_moments(0.7, 9.0) == pytest.approx((found.fraction, 9.0 * found.square, 3.0 * found.absolute))


@pytest.mark.claim("X22-magnitude-threshold")
@pytest.mark.parametrize("kappa", [1e-6, 0.01, 0.7, 3.0, 30.0])
def test_moments_at_forty_digits(kappa):
    with mpmath.workdps(40):
        k = mpmath.mpf(kappa)
        tail = k * mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-k * k / 2)
        square = mpmath.erf(k / mpmath.sqrt(2)) - tail
        absolute = -mpmath.sqrt(2 / mpmath.pi) * mpmath.expm1(-k * k / 2)
        found = threshold_moments(kappa, 1.0)
        assert found.square == pytest.approx(float(square), rel=1e-13)
        assert found.absolute == pytest.approx(float(absolute), rel=1e-13)


@pytest.mark.claim("X22-magnitude-threshold")
@given(st.floats(-15.0, 15.0), st.floats(0.0, 8.0), st.sampled_from([0.25, 1.0, 4.0]))
def test_generating_function_stays_below_the_gaussian_one(t, kappa, variance):
    found = threshold_moment_generating(t, kappa, variance)
    assert 1.0 - 1e-11 <= found <= math.exp(variance * t * t / 2.0) * (1.0 + 1e-11)
    assert threshold_moment_generating(0.0, kappa, variance) == pytest.approx(1.0, rel=1e-15)
    assert threshold_moment_generating(t, 0.0, variance) == pytest.approx(1.0)
    assert threshold_moment_generating(t, kappa, variance) == threshold_moment_generating(-t, kappa, variance)


@pytest.mark.parametrize(
    "call",
    [
        lambda: support_threshold(0, 1, 1.0, 0.1),
        lambda: support_threshold(1, 0, 1.0, 0.1),
        lambda: support_threshold(1, 1, -1.0, 0.1),
        lambda: support_threshold(1, 1, 1.0, 1.0),
        lambda: above_threshold([[np.nan]], 1.0),
        lambda: above_threshold([[1.0]], -1.0),
        lambda: miss_probability([np.nan], 1.0, 1.0),
        lambda: miss_probability([1.0], -1.0, 1.0),
        lambda: miss_probability([1.0], 1.0, -1.0),
        lambda: threshold_moments(-1.0, 1.0),
        lambda: threshold_moments(1.0, np.nan),
        lambda: threshold_moment_generating(100.0, 200.0, 1.0),
        lambda: threshold_moment_generating(np.nan, 1.0, 1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
