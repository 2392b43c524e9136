"""M7 at finite size, M8, M10: centrings as printed, Monte Carlo levels, chi-square exactness, robustness to spikes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.laws.bulk_fit import fit_distance, fit_p_value, variance_by_norm, variance_by_quantiles, variance_interval
from certify.laws.marchenko_pastur import MarchenkoPasturSingular, gaussian_moment
from certify.laws.wishart import (
    WishartEdge,
    exceedance_upper,
    gaussian_singular_values,
    johnstone_edge,
    mean_edge_upper,
    mean_smallest_lower,
    norm_exceedance,
    symmetric_edge,
)
from certify.records import Refused
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper


def largest(rows, cols, draws, rng):
    return gaussian_singular_values(rows, cols, 1.0, draws, rng)[:, 0]


@pytest.mark.claim("M7-wishart-edge", "M7-johnstone")
def test_as_printed():
    n, m, v = 400, 200, 0.3
    root = math.sqrt(n - 1) + math.sqrt(m)
    edge = johnstone_edge(n, m, v)
    assert edge.centre == pytest.approx(v * root**2, rel=1e-15)
    assert edge.scale == pytest.approx(v * root * (1 / math.sqrt(n - 1) + 1 / math.sqrt(m)) ** (1 / 3), rel=1e-15)
    root = math.sqrt(n - 0.5) + math.sqrt(m - 0.5)
    edge = symmetric_edge(n, m, v)
    assert edge.centre == pytest.approx(v * root**2, rel=1e-15)
    assert edge.scale == pytest.approx(v * root * ((n - 0.5) ** -0.5 + (m - 0.5) ** -0.5) ** (1 / 3), rel=1e-15)
    square = symmetric_edge(10**6, 10**6, 1.0)
    assert square.centre / 10**6 == pytest.approx(4.0, rel=1e-5)
    assert square.scale / 10**6 == pytest.approx(2 ** (4 / 3) * 1e-4, rel=1e-5)


@pytest.mark.claim("M7-wishart-edge", "M8-nonasymptotic-edge")
@given(st.integers(2, 10**5), st.integers(2, 10**5), st.floats(1e-6, 1e3))
def test_transposition(rows, cols, variance):
    """Errata: only the symmetric version is the same for the transpose; Johnstone's is not unless square."""
    one, two = symmetric_edge(rows, cols, variance), symmetric_edge(cols, rows, variance)
    assert (one.centre, one.scale) == (pytest.approx(two.centre, rel=1e-14), pytest.approx(two.scale, rel=1e-14))
    assert mean_edge_upper(rows, cols, variance) == pytest.approx(mean_edge_upper(cols, rows, variance), rel=1e-15)


@pytest.mark.claim("M7-johnstone")
def test_johnstone_is_not_invariant():
    assert abs(johnstone_edge(400, 20, 1.0).centre - johnstone_edge(20, 400, 1.0).centre) > 1.0


@pytest.mark.claim("M7-wishart-edge")
def test_level_inverts_sf():
    edge = symmetric_edge(300, 200, 0.2)
    for beta in (0.9, 0.5, 0.05, 1e-10):
        assert float(edge.sf(edge.level(beta))) == pytest.approx(beta, rel=1e-9, abs=0.0)
    assert edge.sf([0.0, -1.0]).tolist() == [1.0, 1.0]
    assert WishartEdge(4.0, 1.0, 2).level(0.5) == pytest.approx(math.sqrt(4.0 - 1.8049142), abs=1e-3)


@pytest.mark.claim("M7-wishart-edge", "M7-bidiagonal")
@pytest.mark.parametrize("rows, cols", [(120, 60), (60, 60), (100, 6)])
def test_monte_carlo_level(rows, cols):
    """MC-E at 4000 draws: the exceedance of the 5 % and 50 % levels, limits at 1e-6 widened by the second-order error."""
    draws = largest(rows, cols, 4000, np.random.default_rng(23))
    edge = symmetric_edge(rows, cols, 1.0)
    for beta in (0.05, 0.5):
        above = int(np.sum(draws > edge.level(beta)))
        error = 0.4 * min(rows, cols) ** (-2 / 3) * beta
        assert clopper_pearson_lower(above, 4000, 1e-6) - error <= beta <= clopper_pearson_upper(above, 4000, 1e-6) + error
    centred = (draws**2 - edge.centre) / edge.scale
    assert abs(centred.mean() + 1.2065336) < 5.0 * centred.std() / math.sqrt(4000) + 0.5 * min(rows, cols) ** (-2 / 3)


@pytest.mark.claim("M8-nonasymptotic-edge")
@pytest.mark.parametrize("rows, cols", [(100, 50), (50, 50), (3, 40), (1, 1)])
def test_nonasymptotic_edge(rows, cols):
    """MC-V, 1000 draws: the lower Clopper–Pearson limit at 1e-6 of each exceedance is under its bound; the mean likewise."""
    draws = largest(rows, cols, 1000, np.random.default_rng(31))
    upper = mean_edge_upper(rows, cols, 1.0)
    assert draws.mean() - 5.0 * draws.std() / math.sqrt(1000) <= upper
    for t in (0.0, 0.5, 1.0, 2.0):
        above = int(np.sum(draws > upper + t))
        assert clopper_pearson_lower(above, 1000, 1e-6) <= float(exceedance_upper(rows, cols, 1.0, upper + t))
    assert exceedance_upper(rows, cols, 4.0, [2.0 * upper, 2.0 * upper + 2.0]) == pytest.approx([1.0, math.exp(-0.5)])


@pytest.mark.claim("M8-nonasymptotic-edge")
def test_smallest_mean():
    """MC-V at 5 standard errors, 300 draws of 30 x 12; 0 for square matrices; the edge of the law."""
    values = np.linalg.svd(np.random.default_rng(6).standard_normal((300, 30, 12)), compute_uv=False)[:, -1]
    assert values.mean() + 5.0 * values.std() / math.sqrt(300) >= mean_smallest_lower(30, 12, 1.0) > 2.0
    assert mean_smallest_lower(5, 5, 1.0) == 0.0
    assert mean_smallest_lower(12, 30, 0.3) == pytest.approx(MarchenkoPasturSingular(30, 12, 0.3).support()[0])


@pytest.mark.claim("M8-nonasymptotic-edge")
def test_mean_published():
    """M8: E s_1 <= 1.707, 2.414, 2 at g = 1."""
    bounds = [mean_edge_upper(n, m, 1 / n) for n, m in ((200, 100), (100, 200), (150, 150))]
    assert bounds == pytest.approx([1.707, 2.414, 2.0], abs=5e-4)


@pytest.mark.claim("M10-variance-norm")
def test_variance_by_norm():
    """Exact on a known matrix; unbiased (MC-M) and of exact level (MC-E, 1000 draws at 10 %)."""
    assert variance_by_norm([3.0, 4.0], 2, 5) == pytest.approx(2.5)
    rng = np.random.default_rng(12)
    values = np.linalg.svd(math.sqrt(0.3) * rng.standard_normal((1000, 6, 4)), compute_uv=False)
    estimates = np.array([variance_by_norm(row, 6, 4) for row in values])
    assert abs(estimates.mean() - 0.3) < 5.0 * estimates.std() / math.sqrt(1000)
    intervals = np.array([variance_interval(row, 6, 4, 0.1) for row in values])
    missed = int(np.sum((intervals[:, 0] > 0.3) | (intervals[:, 1] < 0.3)))
    assert clopper_pearson_lower(missed, 1000, 1e-6) <= 0.1 <= clopper_pearson_upper(missed, 1000, 1e-6)
    assert np.all(intervals[:, 0] < estimates)
    assert np.all(estimates < intervals[:, 1])


@pytest.mark.claim("M10-bulk-fit")
def test_variance_by_quantiles():
    """Exact on exact quantiles; within 2 % on one sample; moved by under 5 % by spikes that ruin the norm."""
    law = MarchenkoPasturSingular(50, 30, 0.7)
    exact = law.ppf((np.arange(30) + 0.5) / 30)
    for share in (0.0, 0.2, 0.45):
        assert variance_by_quantiles(exact[::-1], 50, 30, share) == pytest.approx(0.7, rel=1e-12)
    rng = np.random.default_rng(3)
    values = np.linalg.svd(math.sqrt(0.7) * rng.standard_normal((200, 300)), compute_uv=False)
    assert variance_by_quantiles(values, 200, 300, 0.2) == pytest.approx(0.7, rel=0.02)
    spiked = np.append(values[4:], [200.0, 180.0, 170.0, 150.0])
    assert variance_by_quantiles(spiked, 200, 300, 0.2) == pytest.approx(0.7, rel=0.05)
    assert variance_by_norm(spiked, 200, 300) > 2.0


@pytest.mark.claim("M7-bidiagonal")
@pytest.mark.parametrize("rows, cols", [(5, 3), (3, 5), (4, 4), (1, 6), (1, 1)])
def test_bidiagonal_model(rows, cols):
    """MC-M, 2000 draws: the traces of three powers have the exact means of Gaussian matrices (false alarm below 6e-7 each)."""
    values = gaussian_singular_values(rows, cols, 0.5, 2000, np.random.default_rng(41))
    assert values.shape == (2000, min(rows, cols))
    assert np.all(np.diff(values, axis=1) <= 0.0)
    for order in (1, 2, 3):
        draws = np.sum(values ** (2 * order), axis=1) / cols
        assert abs(draws.mean() - gaussian_moment(rows, cols, 0.5, order)) < 5.0 * draws.std() / math.sqrt(2000)


@pytest.mark.claim("C4.9-variance-collapse", "M10-variance-norm")
def test_norm_exceedance_known():
    """One entry: erfc(s / sqrt 2); two: exp(-s^2 / 2); the variance scales."""
    s = np.array([0.0, 0.5, 2.0, 6.0])
    assert norm_exceedance(1, 1, 1.0, s) == pytest.approx([math.erfc(x / math.sqrt(2.0)) for x in s], rel=1e-13, abs=0.0)
    assert norm_exceedance(2, 1, 1.0, s) == pytest.approx(np.exp(-0.5 * s * s), rel=1e-13, abs=0.0)
    assert norm_exceedance(1, 2, 4.0, 2.0 * s) == pytest.approx(np.exp(-0.5 * s * s), rel=1e-13, abs=0.0)


@pytest.mark.claim("C4.9-variance-collapse")
def test_collapse_if_and_only_if_the_energy_vanishes():
    """N x 2N with g = N^-a, v = g / N: the norm vanishes for a > 1 alone, though the edge does so for every a > 0."""
    for power, collapses in ((1.5, True), (1.3, True), (1.0, False), (0.5, False)):
        tails = [float(norm_exceedance(n, 2 * n, n ** -(1.0 + power), 0.5)) for n in (10, 1000, 10**5)]
        assert (tails[-1] < 1e-12) == collapses
        assert (tails[-1] > 0.999) == (not collapses)
        assert mean_edge_upper(10**5, 2 * 10**5, 10.0 ** (-5 * (1.0 + power))) < 0.2


@pytest.mark.claim("M10-fit-statistic")
def test_fit_distance_known():
    """Exact quantiles are 1 / (2 p) off; a doubled top value changes nothing inside the window; scale does not matter."""
    exact = MarchenkoPasturSingular(50, 30, 0.7).ppf((np.arange(30) + 0.5) / 30)
    assert fit_distance(exact, 50, 30, 0.2) == pytest.approx(0.5 / 30, abs=1e-12)
    spiked = np.append(exact[:-1], 2.0 * exact[-1])
    assert fit_distance(3.0 * spiked, 50, 30, 0.2) == pytest.approx(0.5 / 30, abs=1e-12)
    assert fit_distance(spiked, 50, 30, 0.0) > 0.03
    for level, share in ((1.0, 0.0), (0.1, 0.0), (1.0, 0.3)):
        equal = np.full(30, level)
        place = float(MarchenkoPasturSingular(50, 30, variance_by_quantiles(equal, 50, 30, share)).cdf(level))
        first, last = (0.0, 1.0) if share == 0.0 else (9 / 30, 21 / 30)
        assert fit_distance(equal, 50, 30, share) == pytest.approx(max(place - first, last - place))
    assert fit_distance([0.0] * 15 + [1.0] * 15, 50, 30, 0.0) == 0.5, "the step above the last zero"
    one = MarchenkoPasturSingular(4, 1, 1.0)
    assert fit_distance([2.0], 4, 1, 0.0) == pytest.approx(max(float(one.cdf(one.median())), 0.5), abs=1e-12)


@pytest.mark.claim("M10-fit-statistic")
def test_fit_p_value_known():
    null = [0.1, 0.2, 0.3, 0.4]
    assert [fit_p_value(d, null) for d in (0.5, 0.35, 0.3, 0.05)] == pytest.approx([0.2, 0.4, 0.6, 1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: johnstone_edge(1, 5, 1.0),
        lambda: symmetric_edge(5, 5, 0.0),
        lambda: symmetric_edge(5, 5, 1.0).level(0.0),
        lambda: symmetric_edge(1, 1, 1.0).level(0.9999),
        lambda: symmetric_edge(5, 5, 1.0).sf(np.nan),
        lambda: WishartEdge(1.0, 0.0),
        lambda: WishartEdge(1.0, 1.0, 3),
        lambda: variance_by_norm([1.0], 2, 2),
        lambda: variance_by_quantiles([1.0, 2.0], 2, 2, 0.5),
        lambda: variance_by_quantiles([1.0, -2.0], 2, 2, 0.1),
        lambda: variance_interval([1.0], 1, 2, 1.0),
        lambda: norm_exceedance(2, 2, 1.0, -1.0),
        lambda: gaussian_singular_values(2, 2, 0.0, 3, np.random.default_rng(0)),
        lambda: gaussian_singular_values(2, 2, 1.0, 0, np.random.default_rng(0)),
        lambda: fit_distance([0.0, 0.0], 2, 2, 0.0),
        lambda: fit_distance([1.0, 1.0], 2, 2, 0.5),
        lambda: fit_p_value(0.1, []),
        lambda: fit_p_value(np.nan, [0.1]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
