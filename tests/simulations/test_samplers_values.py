"""Singular values from narrow matrices: the law of the dense ones, the moments and limits of certify.laws, the truncation.

Every comparison of laws has false-alarm rate 1e-6 (Bonferroni over its statistics), seeds are fixed; 5 standard errors: 6e-7.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.stats import kstest

from certify.laws.marchenko_pastur import gaussian_moment
from certify.laws.spikes import spiked_value
from certify.laws.tracy_widom import TracyWidom
from certify.laws.wishart import symmetric_edge
from certify.records import Refused
from simulations.samplers import (
    Band,
    compare,
    leading_singular_values,
    leading_size,
    noise_band,
    singular_values,
    truncation_upper,
    value_band,
    vector_band,
)
from simulations.samplers._lapack import bidiagonal_values
from simulations.samplers.values import band_singular_values

FALSE_ALARM = 1e-6
DRAWS = 3000
SHAPES = [(9, 6), (6, 9), (7, 7), (12, 2), (1, 5), (30, 20)]
SPIKED = [
    (9, 6, (4.0,)),
    (6, 9, (4.0, 2.0)),
    (7, 7, (3.0, 3.0, 0.5)),
    (5, 4, (6.0, 5.0, 4.0, 1.0)),
    (4, 4, (3.0, 2.0, 1.0, 0.0)),
    (20, 12, (9.0, 7.0)),
    (3, 1, (2.0,)),
]


def directions(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((size, count)))[0]


def dense(rows: int, cols: int, variance: float, draws: int, rng: np.random.Generator, strengths=()) -> np.ndarray:
    """Singular values of drawn matrices, the signal in fixed directions that are no coordinates."""
    k = len(strengths)
    signal = directions(rows, k, rng) @ np.diag(strengths) @ directions(cols, k, rng).T if k else 0.0
    return np.linalg.svd(math.sqrt(variance) * rng.standard_normal((draws, rows, cols)) + signal, compute_uv=False)


def differ(first: np.ndarray, second: np.ndarray) -> bool:
    return compare(first, second).p_value < FALSE_ALARM


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_noise_has_the_law_of_the_dense_matrix(rows: int, cols: int) -> None:
    rng = np.random.default_rng([1, rows, cols])
    assert not differ(singular_values(rows, cols, 0.7, DRAWS, rng), dense(rows, cols, 0.7, DRAWS, rng))


@pytest.mark.parametrize(("rows", "cols", "strengths"), SPIKED)
def test_spikes_have_the_law_of_the_dense_matrix(rows: int, cols: int, strengths: tuple[float, ...]) -> None:
    rng = np.random.default_rng([2, rows, cols])
    assert not differ(singular_values(rows, cols, 0.7, DRAWS, rng, strengths), dense(rows, cols, 0.7, DRAWS, rng, strengths))


@pytest.mark.parametrize(("rows", "cols", "strengths"), [(90, 90, ()), (75, 120, (12.0,))])
def test_leading_blocks_have_the_law_of_the_dense_matrix(rows: int, cols: int, strengths: tuple[float, ...]) -> None:
    rng = np.random.default_rng([3, rows])
    assert leading_size(rows, cols, 2, max(len(strengths), 1)) < min(rows, cols)
    fast = leading_singular_values(rows, cols, 1.0, 2, 1000, rng, strengths)
    assert not differ(fast, dense(rows, cols, 1.0, 1000, rng, strengths)[:, :2])


def test_wrong_laws_are_seen() -> None:
    rng = np.random.default_rng(4)
    right = dense(9, 6, 1.0, DRAWS, rng, (4.0, 2.0))
    assert differ(singular_values(10, 6, 1.0, DRAWS, rng, (4.0, 2.0)), right)
    assert differ(singular_values(9, 6, 1.2, DRAWS, rng, (4.0, 2.0)), right)
    assert differ(singular_values(9, 6, 1.0, DRAWS, rng, (5.0, 2.0)), right)
    assert differ(singular_values(9, 6, 1.0, DRAWS, rng, (4.0,)), right)
    added = np.empty((DRAWS, 6))
    for row in added:
        band = noise_band(9, 6, 1.0, rng)
        band.diagonal(0)[:2] += (4.0, 2.0)
        row[:] = band_singular_values(band)
    assert differ(added, right)


def test_the_trace_of_spiked_matrices() -> None:
    values = singular_values(11, 8, 0.5, 4000, np.random.default_rng(5), (3.0, 1.0))
    squares = (values**2).sum(axis=1)
    assert abs(squares.mean() - (11 * 8 * 0.5 + 10.0)) <= 5.0 * squares.std() / math.sqrt(4000)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("rows", "cols"), [(30, 20), (20, 30), (12, 12), (1, 1)])
def test_exact_moments(rows: int, cols: int, order: int) -> None:
    values = singular_values(rows, cols, 0.8, 4000, np.random.default_rng([6, rows, order]))
    traces = (values ** (2 * order)).sum(axis=1) / cols
    assert abs(traces.mean() - gaussian_moment(rows, cols, 0.8, order)) <= 5.0 * traces.std() / math.sqrt(4000)


@pytest.fixture(scope="module")
def tracy_widom() -> PchipInterpolator:
    """The law's cdf from 281 of its values; interpolation errs by less than 1e-5."""
    points = np.linspace(-8.0, 6.0, 281)
    return PchipInterpolator(points, TracyWidom(1).cdf(points))


@pytest.mark.parametrize(("rows", "cols"), [(20_000, 20_000), (4_000, 60_000)])
def test_the_largest_value_follows_tracy_widom(rows: int, cols: int, tracy_widom: PchipInterpolator) -> None:
    """The finite-size error of the second-order centring, about N^(-2/3) = .004, is far below what 1500 draws resolve."""
    largest = leading_singular_values(rows, cols, 0.3, 1, 1500, np.random.default_rng([7, rows]))[:, 0]
    edge = symmetric_edge(rows, cols, 0.3)
    scaled = np.clip((largest**2 - edge.centre) / edge.scale, -8.0, 6.0)
    assert kstest(scaled, tracy_widom).pvalue >= FALSE_ALARM
    assert kstest(scaled + 0.3, tracy_widom).pvalue < FALSE_ALARM


def test_a_million_rows_with_two_spikes_meet_their_limits() -> None:
    """Spikes fluctuate on the scale of one entry: sd below 2 of them at these strengths; 12 is beyond every chance."""
    size, strengths = 1_000_000, np.array([2500.0, 1500.0])
    values = leading_singular_values(size, size, 1.0, 3, 1, np.random.default_rng(8), strengths)[0]
    assert np.all(np.abs(values[:2] - spiked_value(strengths, size, size, 1.0)) < 12.0)
    assert abs(values[2] - 2000.0) < 1.0


@pytest.mark.parametrize(
    ("rows", "cols", "strengths", "count"),
    [
        (300, 300, (), 1),
        (3000, 3000, (), 5),
        (4000, 800, (), 20),
        (2000, 2000, (1.0,), 3),
        (2500, 1500, (1.3, 1.02), 4),
        (1500, 1500, (40.0, 2.0, 1.0), 10),
    ],
)
def test_the_leading_block_loses_nothing(rows: int, cols: int, strengths: tuple[float, ...], count: int) -> None:
    """Same random numbers, block and whole band: equal to 1e-13, below 1e-10 of the value and of the fluctuation."""
    rng = np.random.default_rng([9, rows, count])
    theta = np.array(strengths) * (rows * cols) ** 0.25
    step = max(len(strengths), 1)
    size = leading_size(rows, cols, count, step)
    assert size < min(rows, cols)
    for _ in range(3):
        band = value_band(rows, cols, 1.0, theta, rng)
        whole = band_singular_values(band)[:count]
        block = band_singular_values(band.leading(size), count)
        assert np.max(np.abs(block / whole - 1.0)) < 1e-13
        short = band_singular_values(band.leading(size // 4))[:count]
        assert np.max(1.0 - short / whole) > 1e-9


@pytest.mark.parametrize("strengths", [(), (1.2, 1.2)])
def test_the_truncation_bound_holds_and_is_not_idle(strengths: tuple[float, ...]) -> None:
    """On blocks so short that the loss is far above rounding; inf once a short block's value lies below the tail's norm."""
    rng, met = np.random.default_rng(10), 0
    for _ in range(5):
        band = value_band(600, 400, 1.0, np.array(strengths) * (600 * 400) ** 0.25, rng)
        matrix, whole = band.dense(), band_singular_values(band)
        for size in (30, 45, 60):
            border = np.linalg.norm(matrix[:size, size:], 2)
            tail = np.linalg.norm(matrix[:, size:], 2)
            block = band.leading(size)
            upper = truncation_upper(block, 2, border, tail)
            lower = band_singular_values(block)[:2]
            assert np.all(lower <= whole[:2] * (1 + 1e-14)) and np.all(whole[:2] <= upper * (1 + 1e-14))
            met += int(np.sum(np.isfinite(upper) & (whole[:2] - lower > 1e-12 * whole[:2])))
    assert met > 5
    assert np.array_equal(truncation_upper(band, 2, 0.0, 0.0), whole[:2])


def test_the_truncation_bound_is_sharp_for_a_short_border() -> None:
    """[[1, e], [0, 0]] has the value (1 + e^2)^(1/2), its first entry alone loses e^2 / 2, and the bound is e^4 / 2 above."""
    e = 1e-2
    block = Band(np.array([[0.0, 1.0]]), 1, 0, 1)
    upper = truncation_upper(block, 1, e, e)[0]
    assert math.sqrt(1.0 + e**2) <= upper <= math.sqrt(1.0 + e**2) + e**4


def test_sizes_grow_like_the_cube_root() -> None:
    small, large = (leading_size(n, n, 2) - 2 for n in (10_000, 10_000_000))
    assert large / small == pytest.approx(10.0, rel=0.01)
    assert leading_size(1_000_000, 50, 1) == 50
    assert leading_size(5000, 300, 3) == leading_size(300, 5000, 3)


def test_bisection_and_dqds_agree() -> None:
    for band in (
        noise_band(900, 800, 2.0, np.random.default_rng(11)),
        vector_band(90, 80, 2.0, (40.0, 3.0), np.random.default_rng(12)),
    ):
        np.testing.assert_allclose(band_singular_values(band, 1), band_singular_values(band)[:1], rtol=1e-13)
        np.testing.assert_allclose(band_singular_values(band), np.linalg.svd(band.dense(), compute_uv=False), rtol=1e-9)


def test_small_values_keep_their_digits() -> None:
    """The bidiagonal [[1, 1e10], [0, 1]] has determinant 1: its smaller value is the inverse of the larger."""
    values = bidiagonal_values(np.array([1.0, 1.0]), np.array([1e10]))
    assert values[0] * values[1] == pytest.approx(1.0, rel=1e-14)


def test_draws_depend_on_the_seed_alone() -> None:
    first, again = (leading_singular_values(500, 400, 1.0, 3, 4, np.random.default_rng(13), (50.0, 20.0)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.all(np.diff(first, axis=1) <= 0.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda rng: singular_values(0, 3, 1.0, 1, rng), "rows"),
        (lambda rng: singular_values(3, 3, 0.0, 1, rng), "entry_variance"),
        (lambda rng: singular_values(3, 3, 1.0, 0, rng), "draws"),
        (lambda rng: singular_values(3, 2, 1.0, 1, rng, (1.0, 1.0, 1.0)), "strengths"),
        (lambda rng: singular_values(3, 2, 1.0, 1, rng, (-1.0,)), "strengths"),
        (lambda rng: singular_values(3, 2, 1.0, 1, rng, (math.nan,)), "strengths"),
        (lambda rng: singular_values(3, 2, 1.0, 1, rng, ((1.0,), (1.0,))), "strengths"),
        (lambda rng: leading_singular_values(3, 2, 1.0, 3, 1, rng), "count"),
        (lambda rng: truncation_upper(noise_band(4, 4, 1.0, rng), 1, -1.0, 0.0), "border"),
        (lambda rng: truncation_upper(vector_band(4, 4, 1.0, (1.0,), rng), 1, 0.0, 0.0), "subdiagonals"),
    ],
)
def test_bad_input_is_refused(call, said: str) -> None:
    with pytest.raises(Refused, match=said):
        call(np.random.default_rng(0))
