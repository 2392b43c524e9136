"""C1.5, C1.6, X20: budgets of several layers and the best split, logits behind noise; known answers and optimality."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.theory.gaussian import gaussian_multiplier, subgaussian_budget
from certify.theory.gaussian_network import (
    affine_tail_change,
    affine_tail_pairwise,
    change_upper_two_routes,
    multilayer_budgets,
    smooth_tail_change,
    split_delta,
    subgaussian_scale,
)

LAYERS = st.integers(1, 5)
LEVELS = st.one_of(st.floats(1e-300, 0.999), st.sampled_from([1e-300, 1e-12, 0.5]))


@st.composite
def layers(draw):
    size = draw(LAYERS)
    scales = draw(arrays(np.float64, size, elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3))))
    return scales, draw(arrays(np.int64, size, elements=st.sampled_from([1, 7, 10**6, 10**15])))


@pytest.mark.claim("ESM1-C1.4-subgauss-budget", "ESM1-C1.5-multilayer-gauss", "ESM1-C1.6-multilayer-subgauss")
def test_known_budgets_of_several_layers():
    assert subgaussian_scale([2.0, 1.0], [3.0, 4.0], 4.0) == pytest.approx(10.0 * math.sqrt(8.0))
    assert subgaussian_scale([2.0, 1.0], [3.0, 4.0], 4.0, 1.0) == pytest.approx(20.0)
    found = multilayer_budgets([3.0, 1.0, 0.0], [1, 5, 7], [2.0 / math.e**4, 10.0 / math.e**9, 0.0])
    assert found == pytest.approx([6.0, 3.0, 0.0])
    one = subgaussian_budget([2.0, 1.0], [3.0, 4.0], [2, 3], rows=4, entry_variance=4.0, delta=0.1, c=0.7)
    scale = subgaussian_scale([2.0, 1.0], [3.0, 4.0], 4.0, 0.7)
    assert multilayer_budgets([scale], [4 * 5], [0.1]) == pytest.approx([one])


def total(scales, counts, deltas):
    return float(multilayer_budgets(scales, counts, deltas).sum())


@pytest.mark.claim("ESM1-C1.5-multilayer-gauss", "ESM1-C1.6-multilayer-subgauss")
@given(layers(), LEVELS, st.integers(0, 2**32))
def test_the_split_is_best_and_the_way_to_it_only_improves(layer, delta, seed):
    scales, counts = layer
    best = split_delta(delta, scales, counts)
    assert np.all((best > 0.0) == (scales > 0.0)) or not scales.any()
    assert float(best.sum()) <= delta
    assert float(best.sum()) == pytest.approx(delta, rel=1e-9, abs=1e-322)
    if not scales.any():
        return
    other = delta * np.random.default_rng(seed).dirichlet(np.ones(len(scales))) + 1e-306 * delta
    other = other / other.sum() * delta * (1.0 - 1e-12)
    values = [total(scales, counts, (1.0 - t) * other + t * best) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert all(later <= earlier * (1.0 + 1e-12) for earlier, later in itertools.pairwise(values))


@pytest.mark.claim("ESM1-C1.5-multilayer-gauss")
def test_known_splits():
    assert split_delta(0.3, [2.0, 2.0, 2.0], [5, 5, 5]) == pytest.approx([0.1, 0.1, 0.1])
    assert split_delta(0.3, [0.0, 2.0], [5, 5]) == pytest.approx([0.0, 0.3])
    assert split_delta(0.3, [0.0, 0.0], [5, 5]) == pytest.approx([0.15, 0.15])
    deltas = split_delta(0.1, [1.0, 5.0], [10, 1000])
    slopes = np.array([1.0, 5.0]) / (deltas * np.sqrt(np.log(2.0 * np.array([10, 1000]) / deltas)))
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-9)
    extreme = split_delta(1e-300, [1e-300, 1.0, 1e300], [1, 10**15, 3])
    assert np.all(extreme > 0.0)
    assert np.all(np.isfinite(multilayer_budgets([1e-300, 1.0, 1e300], [1, 10**15, 3], extreme)))


@pytest.mark.claim("X20-l2-tails")
def test_known_affine_tails():
    head, norms = [[3.0, 4.0], [0.0, 1.0], [3.0, 0.0]], [2.0, 1.0]
    whole = affine_tail_change(head, norms, entry_variance=0.25, delta=0.1)
    assert whole == pytest.approx(np.array([5.0, 2.5]) * gaussian_multiplier(3, 2, 0.1))
    published = affine_tail_change(head, norms, entry_variance=0.25, delta=0.1, method="paper")
    assert published == pytest.approx(np.array([5.0, 2.5]) * math.sqrt(2.0 * math.log(2.0 * 3 * 2 / 0.1)))
    pairs = affine_tail_pairwise(head, [0, 2], norms, entry_variance=0.25, delta=0.1)
    gaps = np.array([[0.0, math.sqrt(18.0), 4.0], [2.0, math.sqrt(10.0) / 2.0, 0.0]])
    assert pairs == pytest.approx(gaps * gaussian_multiplier(2, 2, 0.1))
    assert not affine_tail_change(head, norms, entry_variance=0.0, delta=0.1).any()


@pytest.mark.claim("X20-l2-tails")
def test_a_head_that_depends_on_the_noise_is_not_covered():
    """Errata: W = sign(R v)^T, one vector: W R v is the sum of all |(R v)_i|."""
    rng, rows = np.random.default_rng(1), 30
    noise, v = rng.standard_normal((rows, 4)), np.ones(4)
    head = np.sign(noise @ v)[None]
    assert abs(float((head @ noise @ v)[0])) > 2.0 * affine_tail_change(head, [2.0], entry_variance=1.0, delta=0.1)[0]


@pytest.mark.claim("X20-l2-tails")
def test_known_smooth_tail():
    found = smooth_tail_change(3.0, 5, [2.0, 0.0], rows=9, entry_variance=0.25, delta=0.1)
    assert found.deviation == pytest.approx([3.0 * math.sqrt(2.0 * math.log(2.0 * 5 * 2 / 0.1)), 0.0])
    assert found.bias == pytest.approx([9.0, 0.0])


@pytest.mark.claim("X20-l2-tails")
def test_known_routes():
    """R V: tokens (3, 4) and (0, 0) of one sample, (1, 1) and (1, -1) of the other."""
    inputs = np.array([[[3.0, 4.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, -1.0]]])
    assert change_upper_two_routes(np.eye(2), inputs, [2.0, 2.0], [1.0, 1.5]) == pytest.approx([5.0, 2.0])
    assert change_upper_two_routes(np.eye(2), inputs, [1.0, 2.0], [1.0, 0.9]) == pytest.approx([4.0, 1.8])
    tiny = change_upper_two_routes([[1e-200]], [[[1.0], [1.0]]], [2.0], [1.0])
    assert tiny == pytest.approx([math.sqrt(2.0) * 1e-200])


def test_a_layer_with_noise_needs_a_share():
    with pytest.raises(Refused, match="0 for a layer that has noise"):
        multilayer_budgets([1.0, 1.0], [1, 1], [0.0, 0.5])


@pytest.mark.parametrize(
    "call",
    [
        lambda: subgaussian_scale([1.0], [1.0], 1.0, 0.0),
        lambda: subgaussian_scale([1.0], [1.0], -1.0),
        lambda: subgaussian_scale([1.0], [1e308], 1e308),
        lambda: multilayer_budgets([1.0], [1], [0.0]),
        lambda: multilayer_budgets([1.0], [1], [1.0]),
        lambda: multilayer_budgets([1.0, 1.0], [1, 1], [0.5, 0.5]),
        lambda: multilayer_budgets([1.0], [0], [0.5]),
        lambda: multilayer_budgets([1.0], [1.0], [0.5]),
        lambda: multilayer_budgets([-1.0], [1], [0.5]),
        lambda: multilayer_budgets([1.0], [1], [-0.5]),
        lambda: multilayer_budgets([], np.array([], int), []),
        lambda: split_delta(1.0, [1.0], [1]),
        lambda: split_delta(0.1, [1.0], [1, 2]),
        lambda: split_delta(0.1, [np.nan], [1]),
        lambda: affine_tail_change([[1.0]], [-1.0], entry_variance=1.0, delta=0.1),
        lambda: affine_tail_change([1.0], [1.0], entry_variance=1.0, delta=0.1),
        lambda: affine_tail_pairwise([[1.0]], [0], [1.0], entry_variance=1.0, delta=0.1),
        lambda: affine_tail_pairwise([[1.0], [2.0]], [2], [1.0], entry_variance=1.0, delta=0.1),
        lambda: affine_tail_pairwise([[1.0], [2.0]], [-1], [1.0], entry_variance=1.0, delta=0.1),
        lambda: affine_tail_pairwise([[1.0], [2.0]], [0.0], [1.0], entry_variance=1.0, delta=0.1),
        lambda: smooth_tail_change(-1.0, 2, [1.0], rows=1, entry_variance=1.0, delta=0.1),
        lambda: smooth_tail_change(1.0, 0, [1.0], rows=1, entry_variance=1.0, delta=0.1),
        lambda: smooth_tail_change(1.0, 2, [1.0], rows=0, entry_variance=1.0, delta=0.1),
        lambda: change_upper_two_routes([[1.0]], [[1.0]], [1.0], [1.0]),
        lambda: change_upper_two_routes([[1.0]], [[[1.0]]], [1.0], [-1.0]),
        lambda: change_upper_two_routes([[1e200]], [[[1e200]]], [1.0], [1.0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
