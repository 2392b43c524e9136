"""The narrow matrices themselves: their storage, their leading blocks, the entries their construction promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi, kstest, norm

from certify.records import Refused
from simulations.samplers import _lapack, noise_band, value_band, vector_band

SHAPES = [(8, 6, 1), (8, 6, 2), (6, 6, 6), (7, 6, 4), (5, 1, 1), (1, 1, 1), (9, 4, 3)]


@pytest.mark.parametrize(("rows", "cols", "k"), SHAPES)
def test_storage_and_leading_blocks(rows: int, cols: int, k: int) -> None:
    rng = np.random.default_rng(1)
    for band in (value_band(rows, cols, 0.5, np.ones(k), rng), vector_band(rows, cols, 0.5, np.ones(k), rng)):
        matrix = band.dense()
        i, j = np.indices(matrix.shape)
        assert np.array_equal(matrix != 0.0, (j - i <= band.upper) & (i - j <= band.lower))
        for size in range(1, cols):
            block = band.leading(size)
            assert np.array_equal(block.dense(), matrix[:size, :size])
            assert np.count_nonzero(block.entries) == np.count_nonzero(matrix[:size, :size])
        assert band.leading(cols) is band


@pytest.mark.parametrize(("rows", "cols", "k"), SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_block_drawn_alone_has_its_shape(rows: int, cols: int, k: int, size: int) -> None:
    rng = np.random.default_rng(2)
    for model in (value_band, vector_band):
        whole, block = model(rows, cols, 0.5, np.ones(k), rng), model(rows, cols, 0.5, np.ones(k), rng, size)
        expected = whole.leading(size)
        assert block.entries.shape == expected.entries.shape and block.rows == expected.rows
        assert np.array_equal(block.dense() != 0.0, expected.dense() != 0.0)


def test_entries_have_their_laws() -> None:
    """Kolmogorov–Smirnov at 1e-6 over all of them (Bonferroni), 1500 draws, seed fixed; the neighbouring chi is refuted."""
    rng, draws, rows, cols, k = np.random.default_rng(3), 1500, 9, 6, 2
    upper = np.array([value_band(rows, cols, 4.0, np.zeros(k), rng).dense() for _ in range(draws)]) / 2.0
    both = np.array([vector_band(rows, cols, 4.0, np.zeros(k), rng).dense() for _ in range(draws)]) / 2.0
    tests = [(upper[:, i, i], chi(rows - i)) for i in range(cols)]
    tests += [(upper[:, i, i + k], chi(cols - k - i)) for i in range(cols - k)]
    tests += [(upper[:, i, i + 1], norm()) for i in range(cols - 1)]
    tests += [(both[:, i + k, i], chi(rows - k - i)) for i in range(cols)]
    tests += [(both[:, i, i + k], chi(cols - k - i)) for i in range(cols - k)]
    tests += [(both[:, i, i + d], norm()) for d in (0, 1) for i in range(cols - d)]
    tests += [(both[:, i + 1, i], norm()) for i in range(cols)]
    assert min(kstest(values, law.cdf).pvalue for values, law in tests) * len(tests) >= 1e-6
    assert kstest(upper[:, 0, 0], chi(rows + 1).cdf).pvalue < 1e-6


def test_one_spike_changes_one_entry() -> None:
    """The noncentral chi at (1, 1): its square has mean v n + theta^2. Five standard errors."""
    squares = (
        np.array([value_band(9, 6, 0.5, (3.0,), rng).diagonal(0)[0] for rng in [np.random.default_rng(4)] for _ in range(4000)])
        ** 2
    )
    assert abs(squares.mean() - (4.5 + 9.0)) < 5.0 * squares.std() / np.sqrt(4000)


def test_what_is_refused() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(Refused, match="rows >= cols"):
        vector_band(3, 4, 1.0, (1.0,), rng)
    with pytest.raises(Refused, match="offset"):
        noise_band(3, 3, 1.0, rng).diagonal(2)
    with pytest.raises(Refused, match="size"):
        noise_band(3, 3, 1.0, rng, 0)


def test_an_unknown_lapack_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_lapack.SIGNATURES, "dlasq1", "int int")
    _lapack._routine.cache_clear()
    with pytest.raises(Refused, match="dlasq1"):
        _lapack.bidiagonal_values(np.ones(2), np.ones(1))
    _lapack._routine.cache_clear()


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(Refused, match="not finite"):
        _lapack.bidiagonal_values(np.array([1.0, np.nan]), np.ones(1))
