"""Stationarity at softmax regressions solved to a KKT residual of 1e-12, at known values, and what is refused."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import LATTICE

from certify.records import Refused
from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import cross_entropy, log_probabilities
from certify.theory.elastic_net import reward
from certify.theory.stationarity import (
    alignment_upper,
    collapse_upper,
    column_budgets,
    descent_lower,
    descent_lower_multilayer,
    directional_descent,
    energy_upper,
    entry_upper,
    noise_energy_upper,
    singular_value_upper,
    slope_upper,
)

ROWS, COLS, SAMPLES = 3, 4, 7
PROBLEMS = ("ridge", "elastic net", "weighted", "sparse")
SHAPE = (ROWS, COLS)
MASKS = arrays(bool, SHAPE)


def gradient(weights, inputs, labels):
    logits = inputs @ weights.T
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(labels)), labels] -= 1.0
    return share.T @ inputs / len(labels)


def hessian(weights, inputs, labels):
    logits = inputs @ weights.T
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    curvature = np.einsum("sk,kl->skl", share, np.eye(ROWS)) - np.einsum("sk,sl->skl", share, share)
    return np.einsum("skl,si,sj->kilj", curvature, inputs, inputs).reshape(ROWS * COLS, -1) / len(labels)


def kkt_residual(weights, slope, l2, l1):
    smooth = slope + 2.0 * l2 * weights
    zero = np.maximum(np.abs(smooth) - l1, 0.0)
    return float(np.abs(np.where(weights != 0.0, smooth + l1 * np.sign(weights), zero)).max())


def solve(inputs, labels, l2, l1):
    """Proximal gradient to find the support, then Newton's method on it."""
    weights = np.zeros(SHAPE)
    step = 1.0 / (np.square(inputs).sum(axis=1).max() + 2.0 * np.max(l2))
    for _ in range(3000):
        moved = weights - step * (gradient(weights, inputs, labels) + 2.0 * l2 * weights)
        weights = np.sign(moved) * np.maximum(np.abs(moved) - step * l1, 0.0)
    for _ in range(20):
        free = np.flatnonzero(weights)
        residual = gradient(weights, inputs, labels) + 2.0 * l2 * weights + l1 * np.sign(weights)
        curvature = hessian(weights, inputs, labels) + np.diag(np.ravel(2.0 * l2 * np.ones(SHAPE)))
        move = np.linalg.solve(curvature[np.ix_(free, free)], np.ravel(residual)[free])
        weights.flat[free] -= move
    return weights


@functools.cache
def solved(name):
    """(A, inputs, labels, l2, l1, gradient) at a minimum; the last input of `sparse` is almost dead."""
    rng = np.random.default_rng(PROBLEMS.index(name))
    inputs, labels = rng.standard_normal((SAMPLES, COLS)), rng.integers(0, ROWS, SAMPLES)
    if name == "sparse":
        inputs[:, -1] *= 0.01
    l2, l1 = {
        "ridge": (0.05, 0.0),
        "elastic net": (0.02, 0.03),
        "weighted": (rng.uniform(0.01, 0.2, SHAPE), rng.uniform(0.0, 0.1, SHAPE)),
        "sparse": (0.02, 0.05),
    }[name]
    weights = solve(inputs, labels, l2, l1)
    slope = gradient(weights, inputs, labels)
    assert kkt_residual(weights, slope, l2, l1) <= 1e-12
    return weights, inputs, labels, l2, l1, slope


def budget_of(removed, inputs):
    return budget(np.ones(len(inputs)), data_path_size(removed, inputs[:, None, :]))


@pytest.mark.claim("T5.7-stationarity", "ESM1-C1.2-weighted-stationarity", "X13-stationarity-gradient")
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_mask_of_a_minimum(name):
    weights, inputs, labels, l2, l1, slope = solved(name)
    pair = log_probabilities(inputs @ weights.T, labels)

    @given(MASKS)
    def check(mask):
        removed = np.where(mask, weights, 0.0)
        bound = budget_of(removed, inputs)
        paid = 2.0 * reward(removed, l2, 0.0) + reward(removed, 0.0, l1)
        assert paid == pytest.approx(-np.sum(slope * removed), abs=1e-11)
        assert directional_descent(slope, weights, removed, l2, l1) == pytest.approx(0.0, abs=1e-11)
        assert descent_lower(bound, removed, l2, l1) <= 1e-11
        moved = inputs @ removed.T
        swing = slope_upper(pair[1], np.ptp(moved, axis=1))
        assert paid <= swing + 1e-11
        assert swing <= slope_upper(pair[1], 2.0 * np.abs(moved).max(axis=1)) + 1e-12 <= bound + 1e-11

    check()


@pytest.mark.claim("T5.7-stationarity")
@pytest.mark.parametrize("name, largest", [("ridge", 0.1886), ("elastic net", 0.1261), ("weighted", 0.2051), ("sparse", 0.1192)])
def test_how_far_the_budget_is_from_what_stationarity_needs(name, largest):
    """Largest share of B_T that the left side takes, over all masks of a minimum (.037 in the specification's example)."""
    weights, inputs, _, l2, l1, _ = solved(name)
    removed = weights * np.array(list(np.ndindex(*(2,) * weights.size)))[1:].reshape(-1, *SHAPE)
    removed = removed[np.any(removed != 0.0, axis=(1, 2))]
    paid = np.sum(2.0 * l2 * removed**2 + l1 * np.abs(removed), axis=(1, 2))
    budgets = 2.0 * np.abs(inputs @ removed.transpose(0, 2, 1)).max(axis=2).mean(axis=1)
    assert np.max(paid / budgets) == pytest.approx(largest, abs=1e-4)


@pytest.mark.claim("T5.7-stationarity", "ESM1-C1.2-weighted-stationarity")
@given(st.sampled_from(PROBLEMS), MASKS, st.sampled_from([0.0, 0.3, 0.9]))
def test_a_minimum_meets_the_second_hypothesis_at_every_theta(name, mask, theta):
    """epsilon = 0 at a minimum, so (1 + theta) l2 ||R||^2 + l1 ||R||_1 <= B at each theta, and at one alone with its epsilon."""
    weights, inputs, labels, l2, l1, _ = solved(name)
    removed = np.where(mask, weights, 0.0)

    def objective(matrix):
        return cross_entropy(inputs @ matrix.T, labels).mean() + np.sum(l2 * matrix**2 + l1 * np.abs(matrix))

    rate = (objective(weights) - objective(weights - (1.0 - theta) * removed)) / (1.0 - theta)
    assert descent_lower(budget_of(removed, inputs), removed, l2, l1, theta) <= rate + 1e-11
    assert rate <= 1e-11


@pytest.mark.claim("X13-stationarity-gradient", "X24-scale-free-collapse", "T4.7-stationarity-collapse")
@given(arrays(np.float64, SHAPE, elements=st.one_of(LATTICE, st.floats(-3.0, 3.0))))
def test_every_direction_at_a_ridge_minimum(removed):
    weights, inputs, _, l2, _, slope = solved("ridge")
    bound, kept = budget_of(removed, inputs), weights - removed
    cross, norm = float(np.sum(kept * removed)), float(np.linalg.norm(removed))
    assert 2.0 * l2 * np.sum(weights * removed) == pytest.approx(-np.sum(slope * removed), abs=1e-11)
    assert np.sum(weights * removed) <= alignment_upper(bound, l2) + 1e-9
    assert norm**2 <= noise_energy_upper(bound, max(-cross, 0.0), l2) + 1e-9
    if norm > 1e-6:
        assert norm <= collapse_upper(bound / norm, -cross / norm, l2) + 1e-9


@pytest.mark.claim("X13-stationarity-gradient")
@pytest.mark.parametrize("name", ["ridge", "elastic net", "sparse"])
def test_entries_of_a_minimum(name):
    weights, inputs, _, l2, l1, _ = solved(name)
    beta = column_budgets(np.ones(SAMPLES), inputs[:, None, :])
    limits = entry_upper(beta, l2, l1)
    assert np.all(np.abs(weights) <= limits[None, :] + 1e-11)
    for j, i in np.ndindex(COLS, ROWS):
        single = np.zeros(SHAPE)
        single[i, j] = weights[i, j]
        assert budget_of(single, inputs) == pytest.approx(abs(weights[i, j]) * beta[j], rel=1e-12, abs=1e-15)
    if name == "sparse":
        assert beta[-1] < l1
        assert not np.any(weights[:, -1])
        assert limits[-1] == 0.0
        assert np.any(weights)


@pytest.mark.claim("X13-stationarity-gradient")
def test_singular_values_of_a_minimum():
    weights, inputs, _, l2, _, _ = solved("ridge")
    left, values, right = np.linalg.svd(weights, full_matrices=False)
    ratios = []
    for k, value in enumerate(values):
        bound = singular_value_upper(np.ones(SAMPLES), inputs[:, None, :], left[:, k], right[k], l2)
        component = value * np.outer(left[:, k], right[k])
        assert value**2 <= alignment_upper(budget_of(component, inputs), l2) + 1e-11
        assert bound * value == pytest.approx(alignment_upper(budget_of(component, inputs), l2), rel=1e-12)
        ratios.append(value / bound)
    assert max(ratios) <= 1.0


@pytest.mark.claim("X14-multilayer", "T5.9-multilayer-stationarity")
def test_dense_gradients_add_up_over_layers():
    """X14 (a): -dJ/dh along the joint path of W_2 tanh(W_1 v), by complex step, is the sum of two dense directional rates."""
    rng = np.random.default_rng(4)
    first, second = rng.standard_normal((3, 2)), rng.standard_normal((4, 3))
    gone = np.array([[1, 0], [0, 1], [1, 1]]) * first, (rng.random((4, 3)) < 0.5) * second
    inputs, labels = rng.standard_normal((5, 2)), rng.integers(0, 4, 5)
    hidden = np.tanh(inputs @ first.T)
    share = np.exp(hidden @ second.T)
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(5), labels] -= 1.0
    slopes = ((share @ second) * (1.0 - hidden**2)).T @ inputs / 5, share.T @ hidden / 5
    found = directional_descent(slopes[0], first, gone[0], 0.3, 0.2) + directional_descent(slopes[1], second, gone[1], 0.1, 0.4)

    def fit(h):
        logits = np.tanh(inputs @ (first - h * gone[0]).T) @ (second - h * gone[1]).T
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), labels])

    penalties = 0.3 * np.sum(gone[0] ** 2), 0.1 * np.sum(gone[1] ** 2), 0.2 * np.abs(gone[0]).sum(), 0.4 * np.abs(gone[1]).sum()
    exact = -fit(1e-60j).imag / 1e-60 + 2.0 * penalties[0] + 2.0 * penalties[1] + penalties[2] + penalties[3]
    assert found == pytest.approx(exact, rel=1e-13)
    gain = np.abs(second).sum(axis=1).max()
    budgets = [2.0 * np.mean(gain * np.abs(inputs @ gone[0].T).max(axis=1)), 2.0 * np.abs(gone[1]).sum(axis=1).max()]
    assert descent_lower_multilayer(budgets, penalties[:2], penalties[2:]) <= found


def test_known_rates():
    removed = [[1.0, -2.0]]
    assert descent_lower(3.0, removed, 0.5, 0.25) == 2.0 * 0.5 * 5.0 + 0.25 * 3.0 - 3.0
    assert descent_lower(3.0, removed, 0.5, 0.25, 0.5) == 1.5 * 2.5 + 0.75 - 3.0
    assert descent_lower(3.0, removed, 0.5, 0.25, 0.0) == 2.5 + 0.75 - 3.0
    assert descent_lower(3.0, removed, [[1.0, 0.5]], [[0.0, 2.0]]) == 2.0 * 3.0 + 4.0 - 3.0
    assert descent_lower_multilayer([1.0, 0.5], [2.0, 1.0], [0.25, 0.0]) == 2.0 * 3.0 + 0.25 - 1.5
    assert descent_lower_multilayer([1.0, 0.5], [2.0, 1.0], [0.25, 0.0], 0.5) == 1.5 * 3.0 + 0.25 - 1.5
    assert descent_lower_multilayer([1.0], [2.0], [0.0], 1.0) == 1.0


@pytest.mark.claim("X13-stationarity-gradient")
def test_known_directional_descent():
    """Entry by entry: 2 * 3 + 2 l2 (-1) 3 - l1 3 where A = -1, and -l1 |R| where A = 0."""
    assert directional_descent([[2.0]], [[-1.0]], [[3.0]], 0.5, 0.25) == 6.0 - 3.0 - 0.75
    assert directional_descent([[2.0]], [[0.0]], [[3.0]], 0.5, 0.25) == 6.0 - 0.75
    assert directional_descent([[2.0]], [[0.0]], [[-3.0]], 0.5, 0.25) == -6.0 - 0.75
    assert directional_descent([[0.0, 1.0]], [[2.0, 1.0]], [[2.0, 0.0]], [[0.5, 9.0]], [[1.0, 9.0]]) == 4.0 + 2.0


@pytest.mark.claim("X13-stationarity-gradient")
def test_confidence_weighted_budget():
    quarter, half = math.log(0.25), math.log(0.5)
    assert slope_upper([quarter, half], [2.0, 4.0]) == pytest.approx((0.5 + 2.0) / 2.0)
    weights, removed, inputs = np.array([[0.3], [-0.2]]), np.array([[1.0], [-0.5]]), np.array([[2.0]])
    moved = inputs @ removed.T
    slope = -np.sum(gradient(weights, inputs, np.array([0])) * removed)
    attained = slope_upper(log_probabilities(inputs @ weights.T, [0])[1], np.ptp(moved, axis=1))
    assert slope == pytest.approx(attained, rel=1e-14)


@pytest.mark.claim("X13-stationarity-gradient")
def test_known_consequences():
    assert alignment_upper(3.0, 0.5, 1.0) == 4.0
    assert alignment_upper(3.0, 0.0) == math.inf
    assert alignment_upper(0.0, 0.0) == math.inf
    inputs = [[[1.0, 0.0], [-3.0, 0.0]], [[2.0, 0.0], [0.0, 0.0]]]
    assert column_budgets([1.0, 2.0], inputs).tolist() == [3.0 + 4.0, 0.0]
    assert entry_upper([7.0, 1.0, 0.5], 0.25, 1.0).tolist() == [12.0, 0.0, 0.0]
    assert entry_upper([7.0, 1.0, 0.5], 0.0, 1.0).tolist() == [math.inf, math.inf, 0.0]
    assert singular_value_upper([1.0, 2.0], inputs, [0.0, -1.0], [1.0, 0.0], 0.5) == (3.0 + 4.0) / 2.0 / 0.5
    assert singular_value_upper([1.0, 2.0], inputs, [0.6, -0.8], [0.0, 1.0], 0.5) == 0.0
    assert singular_value_upper([1.0, 2.0], inputs, [0.6, -0.8], [1.0, 0.0], 0.0) == math.inf


@pytest.mark.claim("X24-scale-free-collapse")
def test_collapse_known_values():
    assert collapse_upper(1.0, 0.5, 0.25, 2.0) == 1.25 / 0.5 + 2.0
    assert collapse_upper(1.0, -3.0, 0.25, 2.0) == 2.0
    assert collapse_upper(1.0, -3.0, 0.25) == 0.0
    assert collapse_upper(1.0, 0.0, 0.0) == math.inf


@pytest.mark.claim("X24-scale-free-collapse")
@given(st.floats(0.0, 10.0), st.floats(-10.0, 10.0), st.floats(0.01, 10.0), st.floats(0.0, 10.0))
def test_collapse_covers_the_root_of_the_quadratic(budget_ratio, cross, l2, epsilon):
    """The largest r with 2 l2 r^2 <= r (Bhat + 2 l2 chat) + epsilon."""
    slope = budget_ratio + 2.0 * l2 * cross
    root = (slope + math.sqrt(slope**2 + 8.0 * l2 * epsilon)) / (4.0 * l2)
    bound = collapse_upper(budget_ratio, cross, l2, epsilon)
    assert root <= bound * (1.0 + 1e-9) + 1e-6
    if epsilon == 0.0:
        assert bound == pytest.approx(max(root, 0.0), rel=1e-9, abs=1e-12)


@pytest.mark.claim("T4.7-stationarity-collapse", "ESM1-T3.21-noise-collapse")
def test_noise_energy_known_values():
    """F7: the finite-size display; J(A) = ce + l2 A^2 at A = R attains it where the cross-entropy falls at full speed."""
    assert noise_energy_upper(3.0, 0.5, 0.25, 1.0) == 4.0 / 0.5 + 0.5
    assert noise_energy_upper(3.0, 0.5, 0.0) == math.inf
    assert noise_energy_upper(0.0, 0.0, 1.0) == 0.0


@pytest.mark.claim("X25-apriori-energy")
def test_energy_known_values():
    assert energy_upper(4, 0.5) == math.log(4) / 0.5
    assert energy_upper(4, 0.5, 3.0) == math.log(4) / 0.5 + 6.0
    assert energy_upper(2, 0.0) == math.inf
    weights, inputs, labels, l2, _, _ = solved("ridge")
    assert cross_entropy(inputs @ weights.T, labels).mean() + l2 * np.sum(weights**2) <= math.log(ROWS)
    assert np.sum(weights**2) <= energy_upper(ROWS, l2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: descent_lower(-1.0, [[1.0]], 1.0, 1.0),
        lambda: descent_lower(math.nan, [[1.0]], 1.0, 1.0),
        lambda: descent_lower(1.0, [[1.0]], -1.0, 1.0),
        lambda: descent_lower(1.0, [[1.0]], 1.0, [[-1.0]]),
        lambda: descent_lower(1.0, [[1.0]], 1.0, 1.0, 1.5),
        lambda: descent_lower_multilayer([], [], []),
        lambda: descent_lower_multilayer([1.0], [-1.0], [0.0]),
        lambda: descent_lower_multilayer([1.0], [1.0], [0.0, 0.0]),
        lambda: descent_lower_multilayer([1.0], [1.0], [0.0], 2.0),
        lambda: directional_descent([[1.0]], [[1.0, 2.0]], [[1.0, 2.0]], 0.0, 0.0),
        lambda: directional_descent([[np.nan]], [[1.0]], [[1.0]], 0.0, 0.0),
        lambda: directional_descent([[1.0]], [[1.0]], [[1.0]], -1.0, 0.0),
        lambda: slope_upper([0.1], [1.0]),
        lambda: slope_upper([-0.1], [-1.0]),
        lambda: slope_upper([], []),
        lambda: alignment_upper(-1.0, 1.0),
        lambda: alignment_upper(1.0, -1.0),
        lambda: alignment_upper(1.0, 1.0, -1.0),
        lambda: column_budgets([-1.0], [[[1.0]]]),
        lambda: column_budgets([1.0], [[1.0]]),
        lambda: entry_upper([-1.0], 1.0, 1.0),
        lambda: entry_upper([1.0], 1.0, -1.0),
        lambda: singular_value_upper([1.0], [[[1.0]]], [1.0], [1.0, 0.0], 1.0),
        lambda: collapse_upper(-1.0, 0.0, 1.0),
        lambda: collapse_upper(1.0, math.nan, 1.0),
        lambda: noise_energy_upper(1.0, -1.0, 1.0),
        lambda: noise_energy_upper(1.0, 1.0, 1.0, -1.0),
        lambda: energy_upper(1, 1.0),
        lambda: energy_upper(2, -1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
