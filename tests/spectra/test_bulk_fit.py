"""Fitting the bulk of a matrix: right on noise, right on noise with spikes, and a reason where there is no bulk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.records import Refused
from certify.spectra import fit_bulk, layer_table


def noise(rows: int, cols: int, seed: int, scale: float = 0.1) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(rows, cols))


def spiked(rows: int, cols: int, sizes: list[float], seed: int) -> np.ndarray:
    """Noise of entry variance 1/rows and rank-one signals of these sizes; a signal above (cols/rows)^(1/4) leaves the bulk."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, len(sizes))))[0]
    right = np.linalg.qr(rng.normal(size=(cols, len(sizes))))[0]
    return rng.normal(size=(rows, cols)) / np.sqrt(rows) + left @ np.diag(sizes) @ right.T


@pytest.mark.parametrize(("rows", "cols"), [(512, 512), (256, 768)])
def test_the_edge_of_noise_is_found_within_three_per_mille(rows: int, cols: int) -> None:
    found = fit_bulk("noise", noise(rows, cols, 0))
    assert found.fitted and found.converged
    assert found.bare_edge == pytest.approx(0.1 * (np.sqrt(rows) + np.sqrt(cols)), rel=3e-3)
    assert found.entry_variance == pytest.approx(0.01, rel=6e-3)
    assert found.fit_error < 0.01


def test_noise_has_a_spike_as_often_as_its_level_says() -> None:
    """The threshold is the 90 % Tracy–Widom quantile, so 8 of 80 pure noises exceed it; false alarm of this test below 1e-3."""
    beyond = sum(bool(fit_bulk("noise", noise(40, 60, seed)).spikes) for seed in range(80))
    assert 1 <= beyond <= 20


def test_spikes_are_counted_and_stand_where_the_law_puts_them() -> None:
    """A signal of size t above the threshold is seen at sqrt((1 + t^2)(c + t^2)) / t with c = cols / rows (BBP)."""
    sizes = [4.0, 3.0, 2.5]
    found = [fit_bulk("spiked", spiked(240, 120, sizes, seed)) for seed in range(6)]
    assert [len(each.spikes) for each in found] == [3] * 6
    expected = [np.sqrt((1 + t**2) * (0.5 + t**2)) / t for t in sizes]
    assert np.allclose(np.mean([each.spikes for each in found], axis=0), expected, rtol=0.03)
    for each in found:
        assert each.bare_edge == pytest.approx(1 + np.sqrt(0.5), rel=0.02), "the spikes do not lift the edge"
        assert each.bulk_share == pytest.approx(117 / 120)


def test_many_spikes_do_not_lift_the_edge() -> None:
    """A fit that leaves 24 spikes of 120 in its window puts the edge 11 % too high."""
    for seed in range(4):
        found = fit_bulk("spiked", spiked(240, 120, list(np.linspace(2.5, 6, 24)), seed))
        assert found.converged and len(found.spikes) == 24
        assert found.bare_edge == pytest.approx(1 + np.sqrt(0.5), rel=0.03)


def test_a_signal_below_the_threshold_stays_in_the_bulk() -> None:
    assert sum(len(fit_bulk("hidden", spiked(240, 120, [0.4], seed)).spikes) for seed in range(10)) <= 3


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), rows=st.integers(16, 40), cols=st.integers(16, 40), exponent=st.integers(-20, 20))
def test_transposing_and_scaling_change_nothing_else(seed: int, rows: int, cols: int, exponent: int) -> None:
    weight = noise(rows, cols, seed)
    plain, turned, scaled = fit_bulk("w", weight), fit_bulk("w", weight.T), fit_bulk("w", weight * 2.0**exponent)
    for other, factor in ((turned, 1.0), (scaled, 2.0**exponent)):
        assert (other.fitted, len(other.spikes), other.note) == (plain.fitted, len(plain.spikes), plain.note)
        assert other.bare_edge == pytest.approx(plain.bare_edge * factor, rel=1e-9)
        assert other.tw_edge == pytest.approx(plain.tw_edge * factor, rel=1e-9)
        assert other.fit_error == pytest.approx(plain.fit_error, rel=1e-6, abs=1e-9)


DEGENERATE = {
    "zero": (np.zeros((32, 32)), "the matrix is zero"),
    "constant": (np.ones((32, 32)), "rank 1; no bulk to fit"),
    "rank one": (np.outer(np.arange(1.0, 33), np.arange(1.0, 41)), "rank 1; no bulk to fit"),
    "tiny": (np.eye(4), "4 singular values; a bulk is fitted from 16 on"),
    "one row": (np.ones((1, 500)), "1 singular values"),
    "half rank": (noise(64, 20, 1) @ noise(20, 64, 2), ""),
    "identity": (np.eye(64), ""),
    "huge": (noise(32, 32, 3) * 1e150, ""),
    "minute": (noise(32, 32, 3) * 1e-150, ""),
    "sparse": (noise(48, 48, 4) * (np.random.default_rng(5).random((48, 48)) < 0.02), ""),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_matrix_without_a_bulk_says_why(name: str) -> None:
    weight, words = DEGENERATE[name]
    (found,) = layer_table({name: weight})
    assert words in found.note and (found.fitted or found.note)
    assert len(found.singular_values) == min(weight.shape)
    assert list(found.singular_values) == sorted(found.singular_values, reverse=True)
    if not found.fitted:
        assert (found.entry_variance, found.bare_edge, found.tw_edge, found.bulk_share, found.spikes) == (0, 0, 0, 0, ())


def test_the_curve_is_a_density_of_the_bulk_share() -> None:
    """Its integral is the share, and it lives on the fitted support."""
    found = fit_bulk("spiked", spiked(240, 120, [4.0, 3.0], 0))
    x, density = np.array(found.curve_x), np.array(found.curve_density)
    assert np.trapezoid(density, x) == pytest.approx(found.bulk_share, abs=2e-3)
    assert x[-1] == pytest.approx(found.bare_edge, rel=1e-9) and np.all(np.diff(x) > 0) and np.all(density >= 0)


def test_one_spectrum_per_matrix_in_order_and_nan_is_refused() -> None:
    found = layer_table({"b": noise(20, 20, 0), "a": np.zeros((3, 3))})
    assert [(row.target, row.rows, row.cols) for row in found] == [("b", 20, 20), ("a", 3, 3)]
    with pytest.raises((Refused, np.linalg.LinAlgError)):
        layer_table({"a": np.full((3, 3), np.nan)})
