"""Spikes above the threshold stand where the law puts them and are found; those below leave no trace; tails and ranks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from certify.laws.spikes import detection_threshold, spiked_value
from certify.laws.tracy_widom import TracyWidom
from certify.spectra import layer_row
from certify.spectra.spikes import FLOOR, spike_p_values, upper_tail
from certify.spectra.tails import effective_rank, hill_exponent, hill_orders, nuclear_rank, stable_rank


def planted(rows: int, cols: int, strengths: list[float], seed: int, deviation: float = 0.02) -> np.ndarray:
    """Noise of standard deviation `deviation` and signals of these strengths, in units of the detection threshold."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, len(strengths))))[0]
    right = np.linalg.qr(rng.normal(size=(cols, len(strengths))))[0]
    sizes = np.array(strengths) * detection_threshold(rows, cols, deviation**2)
    return deviation * rng.normal(size=(rows, cols)) + (left * sizes) @ right.T


@pytest.mark.parametrize(("rows", "cols"), [(512, 512), (512, 1024)])
def test_spikes_lie_within_one_percent_of_the_bbp_value(rows: int, cols: int) -> None:
    """Strengths 2, 3, 5 of the threshold. A spike's spread is of order .02 sqrt(1/2), .3 % of its place: five of them are 1.5 %;
    the mean of 4 seeds is within 1 % with false alarm below 1e-5."""
    strengths = [5.0, 3.0, 2.0]
    rows_found = [layer_row("w", planted(rows, cols, strengths, seed)) for seed in range(4)]
    wanted = spiked_value(np.array(strengths) * detection_threshold(rows, cols, 4e-4), rows, cols, 4e-4)
    assert all(len(row.spikes) >= 3 for row in rows_found)
    assert np.allclose(np.mean([row.spikes[:3] for row in rows_found], axis=0), wanted, rtol=0.01)
    for row in rows_found:
        assert max(row.spike_p_values[:3]) < 1e-6 and all(0 < p <= 1 for p in row.spike_p_values)
        assert row.bulk_p_value is not None and row.bulk_p_value > 0.05
        assert np.sqrt(row.entry_variance) == pytest.approx(0.02, rel=5e-3)


def test_a_signal_below_the_threshold_is_not_separated() -> None:
    """Strength .7 at 512: the largest value is that of noise, so a spike comes about as often as the level (.1) says.
    20 seeds; false alarm 1e-6 for a rate of .1."""
    seen = sum(bool(layer_row("w", planted(512, 512, [0.7], seed)).spikes) for seed in range(20))
    assert binom.sf(seen - 1, 20, 0.1) > 1e-6


def test_the_fast_tail_is_the_tracy_widom_tail() -> None:
    points = np.concatenate([np.linspace(-6, 12, 37), [12.5, 20.0, 40.0, 59.0]])
    assert np.max(np.abs(upper_tail(points) / TracyWidom(1).sf(points) - 1.0)) < 1e-7
    assert upper_tail(np.array([-7.0, 1e9])).tolist() == [1.0, 0.0]
    assert np.all(np.diff(upper_tail(np.linspace(-5.9, 80, 500))) < 0)


def test_p_values_have_a_floor_and_count_the_larger_spikes_out() -> None:
    p = spike_p_values(np.array([1e6, 90.0]), 1000, 1000, 1.0)
    assert p[0] == FLOOR and 0 < p[1] < 1e-100
    same = spike_p_values(np.array([63.5, 63.5]), 1000, 1000, 1.0)
    assert same[1] < same[0], "the noise beside one spike is smaller by a row and a column"


@pytest.mark.parametrize("exponent", [2.0, 3.0, 5.0])
def test_hill_recovers_a_pareto_exponent_within_three_standard_errors(exponent: float) -> None:
    """Eigenvalues with density e^-alpha: survival e^-(alpha-1). Mean of 50 draws of k = 200 of 1000; the three standard errors
    are those of one draw (.2 (alpha - 1)), 21 of the mean: the estimate's bias shows long before chance does. Seed 5."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(50):
        eigenvalues = np.sort(rng.random(1000) ** (-1.0 / (exponent - 1.0)))[::-1]
        found.append(hill_exponent(np.sqrt(eigenvalues), 200))
    errors = (np.array(found) - exponent) / ((exponent - 1.0) / np.sqrt(200))
    assert abs(np.mean(errors)) < 5.0 / np.sqrt(50) + 0.1 and 0.6 < np.std(errors) < 1.4
    assert np.mean(np.abs(errors) < 3.0) > 0.9


def test_hill_says_nothing_where_there_is_no_tail() -> None:
    assert hill_orders(768) == (20, 77, 384) and hill_orders(10) == (9, 1, 5)
    assert hill_exponent(np.ones(30), 20) is None
    assert hill_exponent(np.array([3.0, 2.0, 1.0]), 1) is None
    assert hill_exponent(np.array([3.0, 2.0, 1.0]), 3) is None
    assert hill_exponent(np.array([3.0, 2.0, 1.0, 0.0]), 3) is None
    assert hill_exponent(np.array([np.e, np.e, 1.0]), 2) == pytest.approx(1.5)


def test_ranks_count_equal_values() -> None:
    equal = np.array([2.0, 2.0, 2.0, 0.0])
    assert (stable_rank(equal), effective_rank(equal), nuclear_rank(equal)) == pytest.approx((3.0, 3.0, 3.0))
    two = np.array([2.0, 1.0])
    assert stable_rank(two) == pytest.approx(1.25) and nuclear_rank(two) == pytest.approx(1.8)
    assert effective_rank(two) == pytest.approx(np.exp(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2))))
    assert stable_rank(two * 1e-200) == pytest.approx(1.25)
    assert stable_rank(np.zeros(3)) == effective_rank(np.zeros(3)) == nuclear_rank(np.zeros(0)) == 0.0
