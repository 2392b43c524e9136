"""M5, M6, C4.12, OR1 5.1 and 5.4: inverses, identities, the Stieltjes road to D, and Monte Carlo of the table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.laws.edge import bulk_edge
from certify.laws.marchenko_pastur import MarchenkoPastur
from certify.laws.spikes import (
    d_transform,
    d_transform_inverse,
    d_transform_slope,
    detection_threshold,
    left_overlap,
    right_overlap,
    spiked_value,
    spiked_value_change_upper,
    strength,
    strength_error_upper,
    strength_shift_upper,
)
from certify.records import Refused

MODELS = st.tuples(st.integers(1, 5000), st.integers(1, 5000), st.floats(1e-6, 1e3))
# The specification's table: (rows, cols, g) and theta / theta_c, then s_1, u-overlap, v-overlap as predicted there.
TABLE = [
    ((1500, 600, 0.6), 1.4, 1.3332, 0.409, 0.559),
    ((1500, 600, 0.6), 2, 1.5661, 0.672, 0.810),
    ((1500, 600, 0.6), 3, 2.0730, 0.840, 0.923),
    ((600, 1500, 0.6), 1.4, 2.1079, 0.559, 0.409),
    ((600, 1500, 0.6), 2, 2.4763, 0.810, 0.672),
    ((600, 1500, 0.6), 3, 3.2777, 0.923, 0.840),
    ((1000, 1000, 0.5), 1.4, 1.4950, 0.490, 0.490),
    ((1000, 1000, 0.5), 2, 1.7678, 0.750, 0.750),
    ((1000, 1000, 0.5), 3, 2.3570, 0.889, 0.889),
]


@pytest.mark.claim("M5-bbp-map", "M5-overlaps")
@pytest.mark.parametrize("shape, ratio, value, left, right", TABLE)
def test_table(shape, ratio, value, left, right):
    model = (shape[0], shape[1], shape[2] / shape[0])
    theta = ratio * detection_threshold(*model)
    assert float(spiked_value(theta, *model)) == pytest.approx(value, abs=6e-5)
    assert float(left_overlap(theta, *model)) == pytest.approx(left, abs=6e-4)
    assert float(right_overlap(theta, *model)) == pytest.approx(right, abs=6e-4)


@pytest.mark.claim("M5-threshold", "M5-bbp-map", "M5-inverse", "M5-overlaps", "M6-inverse-D")
def test_formulas_as_printed():
    """g = .7, c = 1/4 on 40 x 10, entry variance g / 40; theta_c = sqrt g c^(1/4)."""
    g, c, theta = 0.7, 0.25, 1.3
    model = (40, 10, g / 40)
    assert detection_threshold(*model) == pytest.approx(math.sqrt(g) * c**0.25, rel=1e-15)
    rho = math.sqrt((theta**2 + g) * (theta**2 + g * c)) / theta
    assert float(spiked_value(theta, *model)) == pytest.approx(rho, rel=1e-15)
    low, high = g * (1 - math.sqrt(c)) ** 2, g * (1 + math.sqrt(c)) ** 2
    y = rho**2
    root = math.sqrt((y - low) * (y - high))
    assert float(strength(rho, *model)) ** 2 == pytest.approx(0.5 * (y - g * (1 + c) + root), rel=1e-14)
    assert float(d_transform(rho, *model)) == pytest.approx((y - g * (1 + c) - root) / (2 * g**2 * c), rel=1e-12)
    assert float(left_overlap(theta, *model)) == pytest.approx(1 - g * (theta**2 + c * g) / (theta**2 * (theta**2 + g)))
    assert float(right_overlap(theta, *model)) == pytest.approx(1 - c * g * (theta**2 + g) / (theta**2 * (theta**2 + c * g)))


@pytest.mark.claim("M5-bbp-map", "M5-inverse", "M6-inverse-D")
@given(MODELS, st.floats(0.0, 50.0))
def test_inverse(model, ratio):
    critical, edge = detection_threshold(*model), bulk_edge(*model)
    theta = ratio * critical
    value = float(spiked_value(theta, *model))
    assert value >= edge * (1 - 1e-15)
    if ratio <= 1.0:
        assert value == pytest.approx(edge, rel=1e-15)
        assert left_overlap(theta, *model) == right_overlap(theta, *model) == 0.0
    if ratio > 1.1:
        assert float(strength(value, *model)) == pytest.approx(theta, rel=1e-12)
        assert float(d_transform_inverse(d_transform(value, *model), *model)) == pytest.approx(value, rel=1e-13)
        assert float(d_transform(value, *model)) == pytest.approx(theta**-2, rel=1e-12)
    assert 0.0 <= left_overlap(theta, *model) < 1.0


@pytest.mark.claim("M5-threshold", "M5-bbp-map", "M5-inverse", "M5-overlaps")
@given(MODELS, st.floats(0.1, 20.0))
def test_transposition(model, ratio):
    """Invariant, left and right exchanged (orientation rule)."""
    rows, cols, variance = model
    turned, theta = (cols, rows, variance), ratio * detection_threshold(*model)
    assert detection_threshold(*turned) == detection_threshold(*model)
    assert float(spiked_value(theta, *turned)) == pytest.approx(float(spiked_value(theta, *model)), rel=1e-14)
    assert float(left_overlap(theta, *turned)) == float(right_overlap(theta, *model))
    s = 1.2 * bulk_edge(*model)
    assert float(strength(s, *turned)) == pytest.approx(float(strength(s, *model)), rel=1e-13)


@pytest.mark.claim("M6-inverse-D", "M3-stieltjes")
@pytest.mark.parametrize("rows, cols", [(400, 100), (100, 400), (200, 200), (7, 1)])
def test_d_transform_is_the_product_of_two_stieltjes_transforms(rows, cols):
    """D(s) = s^2 m(s^2) m~(s^2), by M3 alone."""
    law = MarchenkoPastur(rows, cols, 0.3)
    s = bulk_edge(rows, cols, 0.3) * np.array([1.0001, 1.1, 2.0, 10.0])
    product = s**2 * law.stieltjes(s**2) * law.companion().stieltjes(s**2)
    assert d_transform(s, rows, cols, 0.3) == pytest.approx(product.real, rel=1e-11)


@pytest.mark.claim("M6-inverse-D")
def test_d_transform_shape():
    model = (300, 200, 0.1)
    edge = bulk_edge(*model)
    s = edge * np.array([1.0 + 1e-12, 1.01, 1.5, 4.0, 100.0])
    d, h = d_transform(s, *model), 1e-6
    assert np.all(np.diff(d) < 0.0)
    assert float(d_transform(edge, *model)) == pytest.approx(detection_threshold(*model) ** -2, rel=1e-7)
    for point in s[1:]:
        slope = float(d_transform(point + h, *model) - d_transform(point - h, *model)) / (2 * h)
        assert float(d_transform_slope(point, *model)) == pytest.approx(slope, rel=1e-5)
    assert float(d_transform_slope(edge, *model)) == -math.inf
    assert float(d_transform_slope(1e4 * edge, *model)) == pytest.approx(-2.0 / (1e4 * edge) ** 3, rel=1e-6, abs=0.0)
    assert np.all(np.diff(d_transform_slope(s, *model)) > 0.0)


@pytest.mark.claim("ESM1-T5.4-inverse-D")
@given(st.floats(1e-3, 1e3), st.floats(0.0, 0.999), st.floats(-1.0, 1.0))
def test_strength_error(theta, share, sign):
    """Holds for every D within e, attained below."""
    e = share * theta**-2
    bound = float(strength_error_upper(theta, e))
    assert abs((theta**-2 + sign * e) ** -0.5 - theta) <= bound * (1 + 1e-9) + 1e-12 * theta
    assert (theta**-2 - e) ** -0.5 - theta == pytest.approx(bound, rel=1e-6, abs=1e-11 * theta)
    assert float(strength_error_upper(theta, 1.1 * theta**-2)) == math.inf


@pytest.mark.claim("C4.12-bbp-persistent", "ESM1-T5.1-bgn-square")
@given(st.integers(1, 2000), st.floats(1e-4, 10.0), st.floats(1.0, 30.0))
def test_square_correction(size, variance, ratio):
    """C4.12: s - sigma = 2 g / (s + sqrt(s^2 - 4 g)), sigma + g / sigma = s."""
    g = size * variance
    s = ratio * 2.0 * math.sqrt(g) * (1 + 1e-12)
    sigma = float(strength(s, size, size, variance))
    assert s - sigma == pytest.approx(2.0 * g / (s + math.sqrt(s * s - 4.0 * g)), rel=1e-5)
    assert sigma + g / sigma == pytest.approx(s, rel=1e-12)
    assert float(spiked_value(sigma, size, size, variance)) == pytest.approx(s, rel=1e-12)


@pytest.mark.claim("ESM1-T5.3-bgn-variable", "ESM1-C5.2-bgn-g")
def test_change_of_a_spike_known():
    """By hand, attained below both thresholds and far above them; square noise 1 to 4 moves the edge from 2 to 4."""
    assert float(spiked_value_change_upper(0.5, 4, 9, 1.0, 0.25)) == pytest.approx(0.5 + 0.5 * 5.0)
    assert float(spiked_value_change_upper(-0.5, 4, 9, 0.0, 0.0)) == 0.5
    assert float(spiked_value(0.1, 1, 1, 4.0) - spiked_value(0.1, 1, 1, 1.0)) == pytest.approx(2.0)
    assert float(spiked_value_change_upper(0.0, 1, 1, 4.0, 1.0)) == 2.0
    far = float(spiked_value(1e4 + 1.0, 4, 9, 1.0) - spiked_value(1e4, 4, 9, 1.0))
    assert far == pytest.approx(float(spiked_value_change_upper(1.0, 4, 9, 1.0, 1.0)), rel=1e-6)


@pytest.mark.claim("ESM1-C2.4-bgn-persistent", "C4.12-bbp-persistent")
@given(MODELS, st.floats(1.0, 50.0))
def test_most_that_the_inverse_takes_off(model, ratio):
    """sqrt b - theta_c, attained at the edge; sqrt g for square matrices; 4 x 9: 5 - sqrt 6."""
    assert strength_shift_upper(4, 9, 1.0) == pytest.approx(5.0 - math.sqrt(6.0))
    assert strength_shift_upper(7, 7, 2.0) == pytest.approx(math.sqrt(14.0))
    edge = bulk_edge(*model)
    taken = ratio * edge - float(strength(ratio * edge, *model))
    assert -1e-12 * edge <= taken <= strength_shift_upper(*model) + 1e-12 * ratio * edge
    at_the_edge = edge - float(spiked_value(detection_threshold(*model), *model)) + strength_shift_upper(*model)
    assert at_the_edge == pytest.approx(edge - detection_threshold(*model), abs=1e-12 * edge)


@pytest.mark.claim("M5-inverse", "M5-threshold")
def test_below_the_edge():
    assert strength([0.0, 0.99 * bulk_edge(30, 20, 1.0)], 30, 20, 1.0).tolist() == [0.0, 0.0]
    assert float(strength(bulk_edge(30, 20, 1.0), 30, 20, 1.0)) == pytest.approx(detection_threshold(30, 20, 1.0))


@pytest.mark.claim("M5-bbp-map", "M5-overlaps")
@pytest.mark.parametrize("rows, cols", [(300, 120), (120, 300), (200, 200)])
@pytest.mark.parametrize("ratio", [2.0, 3.0])
def test_monte_carlo(rows, cols, ratio):
    """MC-M, 24 draws: each mean within 5 standard errors plus the finite-size shift 2 / min(rows, cols) (false alarm < 6e-7)."""
    rng, g = np.random.default_rng(17), 0.6
    model = (rows, cols, g / rows)
    theta = ratio * detection_threshold(*model)
    found = []
    for _ in range(24):
        u, v = rng.standard_normal(rows), rng.standard_normal(cols)
        u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
        left, values, right = np.linalg.svd(
            math.sqrt(g / rows) * rng.standard_normal((rows, cols)) + theta * np.outer(u, v), full_matrices=False
        )
        found.append((values[0], (left[:, 0] @ u) ** 2, (right[0] @ v) ** 2))
    found = np.array(found)
    wanted = [float(rule(theta, *model)) for rule in (spiked_value, left_overlap, right_overlap)]
    slack = 5.0 * found.std(axis=0, ddof=1) / math.sqrt(24) + 2.0 / min(rows, cols)
    assert np.all(np.abs(found.mean(axis=0) - wanted) <= slack)
    assert np.all(slack < 0.09)


@pytest.mark.claim("M5-bbp-map", "M5-overlaps", "M5-threshold")
def test_monte_carlo_below_threshold():
    """At half the threshold the largest singular value stays at the edge within 3 %, the overlaps under .1."""
    rng, model = np.random.default_rng(4), (400, 225, 1 / 400)
    theta = 0.5 * detection_threshold(*model)
    u, v = np.eye(400)[0], np.eye(225)[0]
    left, values, right = np.linalg.svd(rng.standard_normal((400, 225)) / 20 + theta * np.outer(u, v), full_matrices=False)
    assert values[0] == pytest.approx(float(spiked_value(theta, *model)), rel=0.03)
    assert max((left[:, 0] @ u) ** 2, (right[0] @ v) ** 2) < 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: spiked_value(-1.0, 3, 3, 1.0),
        lambda: spiked_value(np.nan, 3, 3, 1.0),
        lambda: strength(np.inf, 3, 3, 1.0),
        lambda: d_transform(1.0, 30, 30, 1.0),
        lambda: d_transform_inverse(0.0, 3, 3, 1.0),
        lambda: d_transform_inverse(1.0, 30, 30, 1.0),
        lambda: detection_threshold(3, 3, 0.0),
        lambda: strength_error_upper(1.0, -1.0),
        lambda: strength_shift_upper(3, 3, 0.0),
        lambda: spiked_value_change_upper(np.nan, 3, 3, 1.0, 1.0),
        lambda: spiked_value_change_upper(1.0, 0, 3, 1.0, 1.0),
        lambda: spiked_value_change_upper(1.0, 3, 3, 1.0, -1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
