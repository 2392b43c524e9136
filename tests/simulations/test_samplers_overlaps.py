"""Singular vectors of spiked matrices from two-sided bands: joint law with the values, limits, orientation.

Every comparison of laws has false-alarm rate 1e-6 (Bonferroni over its statistics), seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest

from certify.laws.spikes import left_overlap, right_overlap, spiked_value
from certify.records import Refused
from simulations.samplers import compare, leading_overlaps, vector_band
from simulations.samplers.overlaps import Overlaps, right_vectors
from simulations.samplers.values import band_singular_values

FALSE_ALARM, DRAWS = 1e-6, 1500
CASES = [(9, 6, (4.0,)), (6, 9, (4.0, 2.0)), (5, 5, (4.0, 3.0, 1.0)), (4, 3, (3.0, 2.0, 1.0)), (14, 10, (6.0, 4.0))]


def table(found: Overlaps) -> np.ndarray:
    parts = (found.values, found.left, found.right)
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def dense(rows: int, cols: int, strengths: tuple[float, ...], count: int, draws: int, rng: np.random.Generator) -> Overlaps:
    k = len(strengths)
    u, v = (np.linalg.qr(rng.standard_normal((size, k)))[0] for size in (rows, cols))
    noise = np.sqrt(0.7) * rng.standard_normal((draws, rows, cols))
    left, values, right = np.linalg.svd(noise + u @ np.diag(strengths) @ v.T, full_matrices=False)
    left, right = np.swapaxes(left, 1, 2)[:, :count], right[:, :count]
    return Overlaps(values[:, :count], (left @ u) ** 2, (right @ v) ** 2)


@pytest.mark.parametrize(("rows", "cols", "strengths"), CASES)
def test_values_and_overlaps_have_the_joint_law_of_the_dense_matrix(rows: int, cols: int, strengths: tuple[float, ...]) -> None:
    rng = np.random.default_rng([1, rows, cols])
    fast = table(leading_overlaps(rows, cols, 0.7, 2, DRAWS, rng, strengths))
    assert compare(fast, table(dense(rows, cols, strengths, 2, DRAWS, rng))).p_value >= FALSE_ALARM


def test_exchanged_sides_are_seen() -> None:
    rng = np.random.default_rng(2)
    fast = leading_overlaps(20, 5, 0.7, 2, DRAWS, rng, (4.0, 2.0))
    turned = Overlaps(fast.values, fast.right, fast.left)
    reference = table(dense(20, 5, (4.0, 2.0), 2, DRAWS, rng))
    assert compare(table(fast), reference).p_value >= FALSE_ALARM
    assert compare(table(turned), reference).p_value < FALSE_ALARM


def test_a_leading_block_carries_the_overlaps() -> None:
    """Same random numbers: the block's overlaps are those of the whole band to 1e-8."""
    band = vector_band(2000, 1500, 1.0, np.array([1.3, 1.1]) * (2000 * 1500) ** 0.25, np.random.default_rng(3))
    found = []
    for part in (band, band.leading(700)):
        values = band_singular_values(part, 3)
        found.append(right_vectors(part, values)[:2] ** 2)
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)


@pytest.mark.parametrize(("rows", "cols"), [(200_000, 50_000), (50_000, 200_000)])
def test_limits(rows: int, cols: int) -> None:
    """Fluctuations at this size are about N^(-1/2) = .005; ten of them."""
    strengths = np.array([2.0, 1.5]) * (rows * cols) ** 0.25
    found = leading_overlaps(rows, cols, 1.0, 2, 1, np.random.default_rng([4, rows]), strengths)
    np.testing.assert_allclose(found.values[0], spiked_value(strengths, rows, cols, 1.0), atol=12.0)
    np.testing.assert_allclose(np.diag(found.left[0]), left_overlap(strengths, rows, cols, 1.0), atol=0.05)
    np.testing.assert_allclose(np.diag(found.right[0]), right_overlap(strengths, rows, cols, 1.0), atol=0.05)
    assert np.abs(left_overlap(strengths, rows, cols, 1.0) - right_overlap(strengths, rows, cols, 1.0)).min() > 0.1


def test_vectors_are_those_of_the_dense_band() -> None:
    band = vector_band(30, 24, 1.0, (12.0, 9.0, 3.0), np.random.default_rng(5))
    _, values, right = np.linalg.svd(band.dense(), full_matrices=False)
    vectors = right_vectors(band, values[:5])
    np.testing.assert_allclose(np.abs((vectors * right[:5].T).sum(axis=0)), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("strengths", "count", "said"), [((), 1, "one strength"), ((1.0,) * 4, 1, "strengths"), ((1.0,), 4, "count")]
)
def test_bad_input_is_refused(strengths: tuple[float, ...], count: int, said: str) -> None:
    with pytest.raises(Refused, match=said):
        leading_overlaps(4, 3, 1.0, count, 1, np.random.default_rng(0), strengths)
