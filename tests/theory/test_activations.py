"""PE: extrema of activation slopes on a fine grid, and the largest total variation of softmax."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from certify.records import Refused
from certify.theory.activations import gelu_curvature_range, gelu_slope_range, silu_slope_range, softmax_variation_upper
from certify.theory.cross_entropy import softmax

X = np.linspace(-12.0, 12.0, 480_001)


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


SLOPES = {
    "gelu": (gelu_slope_range, lambda x: norm.cdf(x) + x * norm.pdf(x), "PE-gelu-slope"),
    "gelu curvature": (gelu_curvature_range, lambda x: (2.0 - x * x) * norm.pdf(x), "PE-gelu-curvature"),
    "silu": (silu_slope_range, lambda x: sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))), "PE-silu-slope"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.claim(claim)) for name, (_, _, claim) in SLOPES.items()])
def test_ranges_enclose_and_are_tight_to_six_digits(name):
    bounds, slope, _ = SLOPES[name]
    low, high = bounds()
    values = slope(X)
    assert low <= values.min() <= low + 1.1e-6
    assert high - 1.1e-6 <= values.max() <= high


@pytest.mark.claim("PE-softmax-tv")
@given(arrays(np.float64, 5, elements=st.floats(-8.0, 8.0)), arrays(np.float64, 5, elements=st.floats(-3.0, 3.0)))
def test_softmax_moves_at_most_by_its_bound(scores, moves):
    p, q = softmax(scores[None])[0], softmax((scores + moves)[None])[0]
    assert 0.5 * np.abs(p - q).sum() <= float(softmax_variation_upper(np.abs(moves).max())) + 1e-12


@pytest.mark.claim("PE-softmax-tv")
def test_softmax_bound_is_attained():
    """Two scores at -e and e, moved to e and -e: from (1 - tanh e)/2 to (1 + tanh e)/2, E = 2 e."""
    for e in (0.1, 1.0, 3.0):
        p, q = softmax(np.array([[-e, e], [e, -e]]))
        assert 0.5 * np.abs(p - q).sum() == pytest.approx(float(softmax_variation_upper(2.0 * e)), rel=1e-12)
    assert softmax_variation_upper([0.0, 2.0]).tolist() == pytest.approx([0.0, np.tanh(1.0)])


@pytest.mark.parametrize("move", [-1.0, np.nan, np.inf])
def test_refuses(move):
    with pytest.raises(Refused):
        softmax_variation_upper(move)
