"""ER-PE: LayerNorm, truncated products, gains and roundings against what they bound, with known values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.theory.enclosure import (
    coefficient_sum_upper,
    linear_rounding_upper,
    normalised_change_upper,
    normalised_gain,
    rounding,
    truncated_terms,
)

VECTOR = arrays(np.float64, 4, elements=st.floats(-3.0, 3.0))
WHOLE = arrays(np.float64, st.integers(1, 5), elements=st.integers(-4, 4).map(float))


def deviation(x):
    return float(np.sqrt(np.mean((x - x.mean()) ** 2)))


def normal(x):
    return (x - x.mean()) / deviation(x)


@pytest.mark.claim("ER-PE-layernorm")
@given(VECTOR, VECTOR)
def test_layernorm_along_a_segment(x, e):
    segment = [x + t * e for t in np.linspace(0.0, 1.0, 201)]
    least = min(deviation(p) for p in segment)
    if least < 0.3:
        return
    size = np.max([np.abs(normal(p)) for p in segment], axis=0)
    assert np.all(np.abs(normal(x + e) - normal(x)) <= normalised_change_upper(e, 1.001 * size, 0.999 * least) + 1e-12)


@pytest.mark.claim("ER-PE-layernorm")
def test_known_layernorm_bound():
    assert normalised_change_upper([1.0, -1.0], [1.0, 1.0], 2.0).tolist() == [1.0, 1.0]
    assert normalised_change_upper([1.0, -1.0], [0.0, 0.0], 2.0).tolist() == [0.5, 0.5]
    assert normalised_change_upper([1.0, -1.0], [2.0, 2.0], 1.0).tolist() == [5.0, 5.0]
    assert normalised_change_upper([3.0, 3.0], [1.0, 1.0], 2.0).tolist() == [0.0, 0.0]


@pytest.mark.claim("ER-PE-attention")
@given(VECTOR, VECTOR, arrays(np.float64, (2, 4), elements=st.floats(-2.0, 2.0)), VECTOR)
def test_gain_of_a_normalised_map(x, e, weights, scale):
    segment = [x + t * e for t in np.linspace(0.0, 1.0, 201)]
    least = min(deviation(p) for p in segment)
    if least < 0.3:
        return
    moved = weights @ (scale * (normal(x + e) - normal(x)))
    assert np.linalg.norm(moved) <= normalised_gain(weights, scale, 0.999 * least) * np.linalg.norm(e) * (1 + 1e-9) + 1e-12


@pytest.mark.claim("ER-PE-attention")
def test_known_gain():
    assert normalised_gain([[1.0, 0.0], [0.0, 1.0]], [8.0, 2.0], 0.5) == pytest.approx(16.0)


@pytest.mark.claim("ER-PE-horner")
@given(WHOLE, WHOLE, st.integers(0, 8), st.floats(-1.0, 1.0))
def test_truncated_products(a, b, degree, t):
    product = np.convolve(a, b)
    cut = sum(c * t**k for k, c in enumerate(product) if k > degree)
    assert abs(cut) <= truncated_terms(a, b, degree) + 1e-12
    assert truncated_terms([0.0, 1.0, 1.0], [0.0, 1.0, 1.0], 2) == 3.0
    assert truncated_terms([0.0, 1.0, -1.0], [0.0, 1.0, 1.0], 3) == 1.0


@pytest.mark.claim("ER-PE-bias", kind="exact")
@given(st.integers(1, 6), st.data())
def test_rounding_of_a_linear_layer(width, data):
    numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0.0 or abs(x) > 1e-100)
    weights = data.draw(arrays(np.float64, (1, width), elements=numbers))
    inputs, bias = data.draw(arrays(np.float64, width, elements=numbers)), data.draw(numbers)
    computed = float(weights[0] @ inputs) + bias
    exact = sum((Fraction(w) * Fraction(x) for w, x in zip(weights[0], inputs, strict=True)), Fraction(bias))
    bound = Fraction(float(linear_rounding_upper(weights, inputs, [bias])[0]))
    assert abs(Fraction(computed) - exact) <= bound * (1 + Fraction(1, 2**40))


@pytest.mark.claim("ER-PE-bias")
def test_a_bias_needs_its_own_term():
    a = 2.0**-60
    assert float(linear_rounding_upper([[1.0]], [a], [0.0])[0]) == pytest.approx(3.0 * 2.0**-53 * a, rel=1e-9, abs=0)
    assert float(linear_rounding_upper([[1.0]], [a], [1.0])[0]) == pytest.approx(2.0**-53, rel=1e-9, abs=0)


@pytest.mark.claim("ER-PE-rounding", kind="exact")
@given(st.integers(0, 40))
def test_sums_that_lose_every_term(degree):
    computed = 1.0
    for _ in range(degree):
        computed += 2.0**-53
    assert 1 + degree * Fraction(1, 2**53) <= Fraction(coefficient_sum_upper(computed, 1, degree))
    assert rounding(4) == pytest.approx(4.0 * 2.0**-53, rel=1e-9, abs=0)
    assert coefficient_sum_upper(1.0, 3, 5) == 1.0 + rounding(14)


@pytest.mark.parametrize(
    "call",
    [
        lambda: normalised_change_upper([1.0, np.nan], [1.0, 1.0], 1.0),
        lambda: normalised_change_upper([1.0, 0.0], [-1.0, 1.0], 1.0),
        lambda: normalised_change_upper([1.0, 0.0], [1.0, 1.0], 0.0),
        lambda: normalised_gain([[1.0]], [1.0, 2.0], 1.0),
        lambda: truncated_terms([1.0], [1.0], -1),
        lambda: linear_rounding_upper([[1.0]], [1.0], [1.0, 2.0]),
        lambda: coefficient_sum_upper(-1.0, 1, 1),
        lambda: coefficient_sum_upper(1.0, 0, 1),
        lambda: rounding(2**60),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
