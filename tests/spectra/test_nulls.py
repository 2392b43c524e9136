"""Null layers: permutation edges keep their level, bands cover, vectors of noise are uniform, residuals of noise obey."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, kstest

from certify.records import Refused
from certify.spectra import layer_row, layer_table
from certify.spectra.edges import permutation_null
from certify.spectra.haar import haar_tests, holm
from certify.spectra.nulls import permutation_edge, permutation_p_values, stream
from certify.spectra.residual import residual_test


def gaussian(rows: int, cols: int, seed: int) -> np.ndarray:
    return 0.05 * np.random.default_rng(seed).normal(size=(rows, cols))


def inside(count: int, draws: int, rate: float, false_alarm: float = 1e-6) -> bool:
    """Whether a count is compatible with a rate, two-sided."""
    low, high = binom.cdf(count, draws, rate), binom.sf(count - 1, draws, rate)
    return bool(min(low, high) > false_alarm / 2)


def test_the_permutation_edge_keeps_its_level_on_heavy_tails_where_tracy_widom_does_not() -> None:
    """Student entries with 3 degrees of freedom, 24 x 36: 300 layers, exactly 10 % beyond their shuffles; false alarm 1e-6."""
    shuffled = normal = 0
    for seed in range(300):
        matrix = np.random.default_rng([7, seed]).standard_t(3, size=(24, 36))
        values = np.linalg.svd(matrix, compute_uv=False)
        null = permutation_null("w", matrix, draws=19, seed=seed)
        shuffled += values[0] >= permutation_edge(null, 0.1)
        normal += len(layer_row("w", matrix).spikes) > 0
    assert inside(shuffled, 300, 0.1)
    assert binom.sf(normal - 1, 300, 0.1) < 1e-6, "negative control: the iid edge is no test here"


def test_permutation_p_values_are_never_zero_and_levels_too_fine_are_refused() -> None:
    null = np.array([[3.0, 1.0], [2.0, 1.5], [5.0, 0.5]])
    assert permutation_p_values(np.array([4.0, 1.0]), null).tolist() == [0.5, 0.75]
    assert permutation_p_values(np.array([9.0, 9.0]), null).tolist() == [0.25, 0.25]
    assert permutation_edge(null, 0.25) == 5.0 and permutation_edge(null, 0.5) == 3.0
    with pytest.raises(Refused, match=r"3 shuffles state no level below 0\.25"):
        permutation_edge(null, 0.1)


def test_draws_belong_to_a_layer_and_a_seed() -> None:
    first = stream("a", "permutation", 0).random(3)
    assert np.array_equal(first, stream("a", "permutation", 0).random(3))
    others = [stream("b", "permutation", 0), stream("a", "gaussian", 0), stream("a", "permutation", 1)]
    assert all(not np.array_equal(first, other.random(3)) for other in others)
    weights = {"a": gaussian(24, 40, 0), "b": gaussian(32, 32, 1)}
    forward = layer_table(weights, bands=True, seed=4)
    backward = layer_table(dict(reversed(weights.items())), bands=True, seed=4)
    assert forward == backward[::-1] and forward != layer_table(weights, bands=True, seed=5)


@pytest.mark.parametrize(("kind", "band"), [("linear", "gaussian"), ("conv", "permutation")])
def test_a_band_holds_a_further_null_layer_as_often_as_it_says(kind: str, band: str) -> None:
    """19 draws: outside with probability 1/10, for the largest value and the fit error; 150 layers; false alarm 1e-6."""
    rows = [
        layer_row("w", np.random.default_rng([8, seed]).normal(size=(20, 30)), bands=True, seed=seed, kind=kind)
        for seed in range(150)
    ]
    assert {row.band_kind for row in rows} == {band} and {row.band_draws for row in rows} == {19}
    errors = [not row.fit_error_low <= row.fit_error <= row.fit_error_high for row in rows]
    assert inside(sum(errors), 150, 0.1)
    assert inside(sum(row.fit_p_value <= 0.1 for row in rows), 150, 0.1)
    if kind == "conv":
        assert inside(sum(not row.largest_low <= row.singular_values[0] <= row.largest_high for row in rows), 150, 0.1)


def test_haar_p_values_of_uniform_vectors() -> None:
    """2000 uniform vectors, d = 96, seed 2: the overlap with the constant vector exactly uniform (Kolmogorov–Smirnov, false
    alarm 1e-4); the two others, conservative, fall below .05 at most as often (1e-6)."""
    draws = np.random.default_rng(2).normal(size=(96, 2000))
    tests = haar_tests(draws / np.linalg.norm(draws, axis=0))
    assert kstest(tests.constant, "uniform").pvalue > 1e-4
    for p in (tests.largest, tests.cells, tests.p):
        share = int(np.sum(p <= 0.05))
        assert binom.sf(share - 1, 2000, 0.05) > 1e-6
        assert share > 20, "not so conservative that it could not reject"
    assert tests.rejected(1e-4) == 0


@pytest.mark.parametrize("test", ["largest", "constant", "cells"])
def test_each_haar_test_sees_what_it_is_for(test: str) -> None:
    rng = np.random.default_rng(6)
    vector = {
        "largest": np.concatenate([[8.0], rng.normal(size=255)]),
        "constant": np.abs(rng.normal(size=256)),
        "cells": rng.choice([-1.0, 1.0], size=256),
    }[test]
    others = rng.normal(size=(256, 40))
    block = np.column_stack([others, vector])
    found = haar_tests(block / np.linalg.norm(block, axis=0))
    assert getattr(found, test)[-1] < 1e-8 and found.adjusted[-1] < 1e-5
    assert found.rejected(1e-5) == 1


def test_holm_and_its_refusals() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.zeros(0)).size == 0
    with pytest.raises(Refused, match="columns of norm 1"):
        haar_tests(np.ones((4, 2)))


def test_vectors_of_noise_pass_and_those_of_a_masked_layer_do_not() -> None:
    """20 noises of 64 x 96, both sides: each side errs with chance .05 at most; false alarm 1e-6."""
    rows = [layer_row("w", gaussian(64, 96, seed), vectors=True) for seed in range(20)]
    for side in ("left", "right"):
        assert binom.sf(sum(getattr(row, f"haar_{side}_p") <= 0.05 for row in rows) - 1, 20, 0.05) > 1e-6
    masked = gaussian(64, 96, 0) * (np.arange(96) < 40)
    found = layer_row("w", masked, vectors=True)
    assert found.fitted is False or found.haar_right_rejected > 0
    block = np.kron(np.eye(4), np.ones((16, 24))) * gaussian(64, 96, 1)
    assert layer_row("w", block, vectors=True).haar_right_rejected > 10


@pytest.mark.parametrize(("rows", "cols"), [(768, 768), (768, 384), (64, 576)])
def test_the_residual_of_noise_obeys_and_the_released_standardisation_never_does(rows: int, cols: int) -> None:
    """Variance ratio within 2 % at 384 and more (acceptance row), within 5 standard deviations at 64. Negative control: the
    release divides the entry variance by the size once more, and reads a ratio of the size on pure noise."""
    matrix = gaussian(rows, cols, 11)
    row = layer_row("w", matrix, vectors=True)
    assert row.residual_obeys
    assert abs(row.residual_variance_ratio - 1.0) <= (0.02 if min(rows, cols) >= 384 else 5 / 64)
    wrong = residual_test(matrix, row.entry_variance / max(rows, cols), 0)
    assert wrong.variance_ratio == pytest.approx(max(rows, cols), rel=0.05) and not wrong.obeys


def test_the_residual_obeys_as_often_as_its_level_says() -> None:
    """At level .01, 60 noises of 48 x 80 with a spike: at most a binomial number is rejected (false alarm 1e-6)."""
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        matrix = rng.normal(size=(48, 80)) + 60.0 * np.outer(
            *(v / np.linalg.norm(v) for v in (rng.normal(size=48), rng.normal(size=80)))
        )
        row = layer_row("w", matrix, vectors=True)
        assert row.spikes
        rejected += not row.residual_obeys
    assert binom.sf(rejected - 1, 60, 0.01) > 1e-6


def test_the_spread_of_the_fitted_variance_is_what_the_tolerance_assumes() -> None:
    """Relative standard deviation times min(rows, cols): 1.0 for square noise, less elsewhere. 200 draws, seed 1; within 25 %
    (five standard errors of a standard deviation)."""
    from certify.laws.wishart import gaussian_singular_values
    from certify.spectra import fit_values

    for rows, cols, most in ((96, 96, 1.05), (96, 288, 0.5)):
        draws = gaussian_singular_values(rows, cols, 1.0, 200, np.random.default_rng(1))
        fits = [fit_values(values, rows, cols) for values in draws]
        ratios = [
            np.sum(values[fit.spikes :] ** 2) / ((rows - fit.spikes) * (cols - fit.spikes) * fit.entry_variance)
            for values, fit in zip(draws, fits, strict=True)
        ]
        assert np.std(ratios) * 96 < 1.25 * most
        assert abs(np.mean(ratios) - 1.0) < 1.5 / 96


@pytest.mark.parametrize("test", ["residual_normal_p", "residual_row_p", "residual_col_p"])
def test_each_residual_test_sees_what_it_is_for(test: str) -> None:
    matrix = np.random.default_rng(12).normal(size=(128, 160))
    if test == "residual_normal_p":
        matrix = np.random.default_rng(12).uniform(-1, 1, size=(128, 160))
    elif test == "residual_row_p":
        matrix[1] = 0.8 * matrix[0] + 0.6 * matrix[1]
    else:
        matrix[:, 1] = 0.8 * matrix[:, 0] + 0.6 * matrix[:, 1]
    row = layer_row("w", matrix, vectors=True)
    assert getattr(row, test) < 1e-6 and not row.residual_obeys
    if test == "residual_normal_p":
        assert row.fit_error < 0.03, "uniform entries: the law holds though the entries are not Gaussian"
