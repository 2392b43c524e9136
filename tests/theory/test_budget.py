"""D5.0, C5.10, X9, X15, X19, F2, F18: known answers, equality, and Monte Carlo at a stated false-alarm rate.

Monte Carlo tests fail only if the Clopper–Pearson limit at level 1e-6 excludes the claim (protocols MC-V, MC-E).
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import erf
from strategies import token_inputs, weight_matrices

from certify.records import Refused
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from certify.theory.budget import (
    METHODS,
    budget,
    data_path_size,
    data_path_upper_euclidean,
    data_path_upper_rows,
    gaussian_budget,
    gaussian_multiplier,
    smallest_lipschitz,
    telescoped,
)

FALSE_ALARM = 1e-6


def test_known_budget():
    assert budget([1.0, 3.0], [2.0, 4.0]) == 14.0
    assert budget([1.0, 3.0, 1.0, 3.0], [2.0, 4.0, 2.0, 4.0]) == 14.0
    assert budget([0.0], [5.0]) == 0.0


def test_known_sizes():
    removed = np.array([[1.0, -2.0], [0.5, 0.0]])
    tokens = np.array([[1.0, 1.0], [2.0, -1.0], [0.0, 0.0]])
    assert data_path_size(removed, tokens) == 4.0
    assert data_path_size(removed, tokens[:1]) == 1.0
    assert data_path_upper_rows(removed, tokens) == 6.0
    assert data_path_upper_euclidean(removed, tokens) == pytest.approx(5.0)


@given(st.data())
def test_sizes_are_maxima_over_rows_and_tokens_and_lie_below_their_bounds(data):
    removed = data.draw(weight_matrices())
    inputs = data.draw(token_inputs(removed.shape[1]))
    sizes = data_path_size(removed, inputs)
    assert sizes.shape == (len(inputs),)
    for sample, size in zip(inputs, sizes, strict=True):
        assert size == data_path_size(removed, sample)
        each = [abs(float(np.dot(row, token))) for row in removed for token in sample]
        assert size == pytest.approx(max(each), rel=1e-12, abs=1e-300)
    slack = 1e-12 * sizes + 2.0**-1070
    assert np.all(sizes <= data_path_upper_rows(removed, inputs) + slack)
    assert np.all(sizes <= data_path_upper_euclidean(removed, inputs) + slack)


@given(weight_matrices(kinds=("lattice", "moderate")))
def test_upper_bounds_are_attained(removed):
    row = removed[np.abs(removed).sum(axis=1).argmax()]
    assert data_path_upper_rows(removed, [np.sign(row)]) == pytest.approx(float(data_path_size(removed, [np.sign(row)])))
    long = removed[np.linalg.norm(removed, axis=1).argmax()]
    assert data_path_upper_euclidean(removed, [long]) == pytest.approx(float(data_path_size(removed, [long])), rel=1e-12)


def test_operator_norm_proxy_is_no_bound():
    """F18: R = 1^T, psi = 1 gives m against sqrt(m)."""
    removed, ones = np.ones((1, 9)), np.ones((1, 9))
    size = data_path_size(removed, ones)
    assert size == 9.0
    assert np.linalg.norm(removed, 2) * np.abs(ones).max() == pytest.approx(3.0)
    assert data_path_upper_rows(removed, ones) == size
    assert data_path_upper_euclidean(removed, ones) == pytest.approx(size)


def test_tiny_weights_do_not_make_a_zero_bound():
    removed, inputs = np.full((1, 4), 1e-200), np.full((1, 4), 1e190)
    assert data_path_upper_euclidean(removed, inputs) >= data_path_size(removed, inputs) > 0.0


@pytest.mark.parametrize(
    "rows, count, delta, expected",
    [
        (1, 1, 0.05, (2.716, 2.448, 1.960, 1.960)),
        (64, 100, 0.05, (4.991, 4.850, 4.470, 4.465)),
        (768, 1000, 0.01, (6.140, 6.026, 5.686, 5.685)),
        (768, 50000, 0.01, (6.747, 6.644, 6.321, 6.320)),
        (768, 1281167, 0.01, (7.212, 7.115, 6.804, 6.803)),
    ],
)
def test_multiplier_table(rows, count, delta, expected):
    found = [gaussian_multiplier(rows, count, delta, method) for method in METHODS]
    assert found == pytest.approx(expected, abs=6e-4)


@given(st.integers(1, 5000), st.integers(1, 10**7), st.floats(1e-300, 0.999))
def test_multipliers_are_ordered(rows, count, delta):
    paper, drop2, bonferroni, sidak = (gaussian_multiplier(rows, count, delta, method) for method in METHODS)
    assert 0.0 < sidak <= bonferroni * (1 + 1e-12)
    assert bonferroni <= drop2 <= paper


@given(st.integers(1, 400), st.floats(1e-6, 0.9))
def test_sidak_is_exact_for_one_vector(rows, delta):
    assert erf(gaussian_multiplier(rows, 1, delta) / np.sqrt(2.0)) ** rows == pytest.approx(1.0 - delta, rel=1e-10)


def test_gaussian_budget_counts_every_token():
    call = {"rows": 16, "entry_variance": 0.25, "delta": 0.1}
    one = gaussian_budget([2.0, 1.0], [3.0, 4.0], [1, 1], **call)
    assert one == pytest.approx((2 * 3 + 1 * 4) * 0.5 * gaussian_multiplier(16, 2, 0.1), rel=1e-14)
    many = gaussian_budget([2.0, 1.0], [3.0, 4.0], [30, 20], **call)
    assert many == pytest.approx(5.0 * gaussian_multiplier(16, 50, 0.1), rel=1e-14)
    published = gaussian_budget([2.0, 1.0], [3.0, 4.0], [1, 1], **call, method="paper")
    assert published == pytest.approx(5.0 * np.sqrt(2 * np.log(2 * 16 * 2 / 0.1)), rel=1e-14)
    assert gaussian_budget([1.0], [1.0], [4], rows=1, entry_variance=0.0, delta=0.5) == 0.0
    assert gaussian_budget([1.0], [0.0], [4], rows=1, entry_variance=1.0, delta=0.5) == 0.0


def test_ignoring_tokens_fails_and_counting_them_does_not():
    """F2 at n = 16, P = 30, T = 10, delta = .1: the level per sample is exceeded, the level per token is not."""
    rows, cols, tokens, samples, delta, draws = 16, 24, 30, 10, 0.1, 2000
    rng = np.random.default_rng(20240517)
    inputs = rng.standard_normal((tokens * samples, cols))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    largest = np.array([np.abs(inputs @ rng.standard_normal((cols, rows))).max() for _ in range(draws)])
    ignored = int(np.sum(largest > gaussian_multiplier(rows, samples, delta)))
    counted = int(np.sum(largest > gaussian_multiplier(rows, samples * tokens, delta)))
    assert clopper_pearson_lower(ignored, draws, FALSE_ALARM) > 3 * delta
    assert clopper_pearson_lower(counted, draws, FALSE_ALARM) <= delta
    assert clopper_pearson_upper(counted, draws, FALSE_ALARM) > delta / 10


def test_sidak_level_by_simulation():
    """MC-E: for one vector the failure rate is delta itself, with entry variance g / rows."""
    rows, cols, delta, draws, variance = 12, 5, 0.1, 20_000, 0.04
    rng = np.random.default_rng(7)
    vector = rng.standard_normal(cols)
    noise = np.sqrt(variance) * rng.standard_normal((draws, rows, cols))
    level = gaussian_budget([1.0], [np.linalg.norm(vector)], [1], rows=rows, entry_variance=variance, delta=delta) / 2.0
    failures = int(np.sum(np.abs(noise @ vector).max(axis=1) > level))
    assert clopper_pearson_lower(failures, draws, FALSE_ALARM / 2) <= delta
    assert clopper_pearson_upper(failures, draws, FALSE_ALARM / 2) >= delta


def test_smallest_constant():
    found = smallest_lipschitz([6.0, 1.0, 0.0, 1.0], [2.0, 0.0, 3.0, 5e-324])
    assert found[0] == 3.0
    assert np.isnan(found[1])
    assert found[2] == 0.0
    assert np.isnan(found[3])


@given(st.integers(0, 4), st.integers(1, 3), st.data())
def test_telescoped_is_the_sum_over_steps(steps, samples, data):
    moves = data.draw(arrays(np.float64, (steps, samples), elements=st.floats(0, 10)))
    assert telescoped(moves) == pytest.approx(np.array([sum(moves[:, s]) for s in range(samples)]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: budget([-1.0], [1.0]),
        lambda: budget([1.0], [-1.0]),
        lambda: budget([], []),
        lambda: budget([np.nan], [1.0]),
        lambda: budget([1e200], [1e200]),
        lambda: budget([1.0, 1.0], [1.0]),
        lambda: data_path_size([[1.0]], [[np.inf]]),
        lambda: data_path_size([[1.0, 2.0]], [[1.0]]),
        lambda: data_path_size([[1e200]], [[1e200]]),
        lambda: data_path_size([[1.0]], np.zeros((0, 1))),
        lambda: data_path_upper_rows([[1.0]], [1.0]),
        lambda: gaussian_multiplier(0, 1, 0.1),
        lambda: gaussian_multiplier(1, 0, 0.1),
        lambda: gaussian_multiplier(1, 1.0, 0.1),  # type: ignore[arg-type]
        lambda: gaussian_multiplier(1, 1, 0.0),
        lambda: gaussian_multiplier(1, 1, 1.0),
        lambda: gaussian_multiplier(1, 1, np.nan),
        lambda: gaussian_multiplier(1, 1, 0.1, "rank"),
        lambda: gaussian_budget([1.0], [1.0], [0], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [1.0], [1.5], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [1.0], [1], rows=1, entry_variance=-1.0, delta=0.1),
        lambda: smallest_lipschitz([np.nan], [1.0]),
        lambda: telescoped([1.0]),
        lambda: telescoped([[-1.0]]),
        lambda: telescoped(np.zeros((2, 0))),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
