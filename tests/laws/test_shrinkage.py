"""Gavish and Donoho: their printed constants, the identities between the forms, and each shrinker against its own loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.laws.edge import bulk_edge
from certify.laws.shrinkage import (
    hard_threshold,
    hard_threshold_unknown,
    shrink_frobenius,
    shrink_nuclear,
    shrink_operator,
)
from certify.laws.spikes import detection_threshold, left_overlap, right_overlap, spiked_value, strength
from certify.records import Refused

MODELS = st.tuples(st.integers(1, 3000), st.integers(1, 3000), st.floats(1e-6, 1e3))


@pytest.mark.claim("GD-hard-threshold", "GD-hard-threshold-unknown")
def test_printed_constants():
    """4 / sqrt 3, 2.858, and their table of omega (2014), whose numerical medians hold to 1e-3."""
    assert hard_threshold(100, 100, 0.01) == pytest.approx(4.0 / math.sqrt(3.0), rel=1e-14)
    assert hard_threshold_unknown(1000, 1000) == pytest.approx(2.858, abs=6e-4)
    printed = {50: 1.5194, 100: 1.6089, 250: 1.8371, 500: 2.1711, 750: 2.5011, 1000: 2.8582}
    for cols, omega in printed.items():
        assert hard_threshold_unknown(1000, cols) == pytest.approx(omega, abs=1e-3)
        assert hard_threshold_unknown(cols, 1000) == hard_threshold_unknown(1000, cols)


@pytest.mark.claim("GD-hard-threshold")
def test_hard_threshold_is_where_keeping_begins_to_pay():
    """At the threshold, keeping s costs theta^2 + s^2 - 2 theta s sqrt(overlaps), dropping it costs theta^2: equal."""
    for model in ((400, 100, 0.3), (100, 400, 0.3), (200, 200, 1.0)):
        s = hard_threshold(*model)
        theta = float(strength(s, *model))
        kept = theta**2 + s**2 - 2 * theta * s * math.sqrt(float(left_overlap(theta, *model) * right_overlap(theta, *model)))
        assert kept == pytest.approx(theta**2, rel=1e-12)
        assert s > bulk_edge(*model)


def loss(eta, theta, left, right, norm):
    """Norm of theta e_1 e_1^T - eta p q^T in the plane that the true and the found directions span."""
    p, q = np.array([math.sqrt(left), math.sqrt(1 - left)]), np.array([math.sqrt(right), math.sqrt(1 - right)])
    values = np.linalg.svd(np.diag([theta, 0.0]) - eta * np.outer(p, q), compute_uv=False)
    return {"frobenius": np.sum(values**2), "nuclear": values.sum(), "operator": values[0]}[norm]


@pytest.mark.claim("GD-shrinkers", "GD-shrinker-operator")
@pytest.mark.parametrize("model", [(400, 100, 0.01), (90, 300, 0.02), (50, 50, 0.1)])
@pytest.mark.parametrize("ratio", [1.05, 1.5, 3.0])
@pytest.mark.parametrize(
    "norm, rule", [("frobenius", shrink_frobenius), ("nuclear", shrink_nuclear), ("operator", shrink_operator)]
)
def test_each_minimises_its_loss(model, ratio, norm, rule):
    """No value on a fine grid has a smaller loss, and the grid's best lies where the rule says."""
    theta = ratio * detection_threshold(*model)
    left, right = float(left_overlap(theta, *model)), float(right_overlap(theta, *model))
    eta = float(rule(spiked_value(theta, *model), *model))
    grid = np.linspace(0.0, 2.0 * theta, 2001)
    losses = [loss(value, theta, left, right, norm) for value in grid]
    assert loss(eta, theta, left, right, norm) <= min(losses) * (1 + 1e-12)
    assert grid[int(np.argmin(losses))] == pytest.approx(eta, abs=2e-3 * theta)


@pytest.mark.claim("GD-shrinker-operator")
def test_operator_shrinker_published_for_square_matrices_alone():
    """Gavish and Donoho's eta = theta: equal for square W, 4.7 % worse on 400 x 100; the best loss is theta sqrt(1 - min^2)."""
    for model, worse in (((50, 50, 0.1), 1.0), ((400, 100, 0.01), 1.0469)):
        theta = 1.5 * detection_threshold(*model)
        left, right = float(left_overlap(theta, *model)), float(right_overlap(theta, *model))
        best = loss(float(shrink_operator(spiked_value(theta, *model), *model)), theta, left, right, "operator")
        assert best == pytest.approx(theta * math.sqrt(1.0 - min(left, right)), rel=1e-12)
        assert loss(theta, theta, left, right, "operator") / best == pytest.approx(worse, abs=1e-4)


@pytest.mark.claim("GD-shrinkers", "GD-shrinker-operator")
@given(MODELS, st.floats(0.0, 30.0))
def test_forms_agree(model, ratio):
    """Unit-noise forms of the paper, the overlap forms, the order of the three, and their support."""
    rows, cols, variance = model
    s = ratio * bulk_edge(*model)
    frobenius, operator, nuclear = (float(rule(s, *model)) for rule in (shrink_frobenius, shrink_operator, shrink_nuclear))
    assert 0.0 <= nuclear <= frobenius * (1 + 1e-12) <= operator * (1 + 2e-12)
    if ratio < 1.0:
        assert (frobenius, operator, nuclear) == (0.0, 0.0, 0.0)
    if ratio > 1.01:
        beta, scale = min(rows, cols) / max(rows, cols), math.sqrt(variance * max(rows, cols))
        theta = float(strength(s, *model))
        x, y = theta / scale, s / scale
        assert frobenius / scale == pytest.approx(math.sqrt((y * y - beta - 1) ** 2 - 4 * beta) / y, rel=1e-7)
        printed = max(0.0, x**4 - beta - math.sqrt(beta) * x * y) / (x * x * y)
        assert nuclear / scale == pytest.approx(printed, rel=1e-7, abs=1e-9 * y)
        overlaps = float(left_overlap(theta, *model) * right_overlap(theta, *model))
        assert frobenius == pytest.approx(theta * math.sqrt(overlaps), rel=1e-9)
        ratios = float(left_overlap(theta, *model) / right_overlap(theta, *model))
        assert operator == pytest.approx(theta * math.sqrt(min(ratios, 1.0 / ratios)), rel=1e-12)


@pytest.mark.claim("GD-shrinkers", "GD-shrinker-operator", "GD-hard-threshold")
def test_shrinking_helps_on_a_sample():
    """One 240 x 160 signal of rank 3 under noise: each rule beats the raw matrix in its own norm."""
    rng, model = np.random.default_rng(2), (240, 160, 1 / 240)
    u = np.linalg.qr(rng.standard_normal((240, 3)))[0]
    v = np.linalg.qr(rng.standard_normal((160, 3)))[0]
    signal = u * np.array([1.5, 2.0, 3.0]) @ v.T
    noisy = signal + rng.standard_normal((240, 160)) / math.sqrt(240)
    left, values, right = np.linalg.svd(noisy, full_matrices=False)
    for rule, order in ((shrink_frobenius, "fro"), (shrink_operator, 2), (shrink_nuclear, "nuc")):
        rebuilt = left * rule(values, *model) @ right
        assert np.linalg.norm(rebuilt - signal, order) < 0.8 * np.linalg.norm(noisy - signal, order)
    kept = left * np.where(values > hard_threshold(*model), values, 0.0) @ right
    best = np.linalg.norm(left * shrink_frobenius(values, *model) @ right - signal)
    assert best < np.linalg.norm(kept - signal) < 0.8 * np.linalg.norm(noisy - signal)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hard_threshold(0, 3, 1.0),
        lambda: hard_threshold_unknown(3, 0),
        lambda: shrink_frobenius(-1.0, 3, 3, 1.0),
        lambda: shrink_nuclear(np.nan, 3, 3, 1.0),
        lambda: shrink_operator(1.0, 3, 3, -1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
