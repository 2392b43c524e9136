"""M7, R2.3: published quantiles, moments, and how often pure noise passes the threshold."""

import numpy as np
import pytest

from certify.laws.edge import bulk_edge, spike_threshold
from certify.laws.tracy_widom import tracy_widom_cdf, tracy_widom_quantile
from certify.records import Refused
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper

# The specification prints -3.1808 for 5 %; the determinant gives -3.18038 at every order and length of the quadrature.
PUBLISHED = [(0.05, -3.1804), (0.50, -1.2686), (0.90, 0.4501), (0.95, 0.9793), (0.99, 2.0234)]


@pytest.mark.claim("M7-tracy-widom")
@pytest.mark.parametrize("q, s", PUBLISHED)
def test_published_quantiles(q, s):
    assert tracy_widom_quantile(q) == pytest.approx(s, abs=6e-5)
    assert float(tracy_widom_cdf(s)) == pytest.approx(q, abs=5e-5)
    assert float(tracy_widom_cdf(tracy_widom_quantile(q))) == pytest.approx(q, abs=1e-12)


@pytest.mark.claim("M7-tracy-widom")
def test_moments():
    """E X^k = 14^k - k int x^(k-1) F over the range, whose ends carry no mass."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    s, weights = 2.0 + 12.0 * nodes, 12.0 * weights
    values = tracy_widom_cdf(s)
    first, second, third = (14.0**k - k * weights @ (s ** (k - 1) * values) for k in (1, 2, 3))
    variance = second - first**2
    assert first == pytest.approx(-1.20653, abs=1e-5)
    assert variance == pytest.approx(1.60780, abs=1e-4)
    assert (third - 3 * first * second + 2 * first**3) / variance**1.5 == pytest.approx(0.2935, abs=1e-4)
    assert np.all(np.diff(values) >= -1e-13)


@pytest.mark.claim("M7-tracy-widom")
def test_cdf_beyond_its_range():
    assert tracy_widom_cdf([-1e9, -10.0, 14.0, np.inf]).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert tracy_widom_cdf(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.claim("R2.3-mp-edge")
def test_edges():
    assert bulk_edge(400, 100, 0.25) == pytest.approx(15.0)
    assert bulk_edge(100, 400, 0.25) == pytest.approx(15.0)


@pytest.mark.claim("M7-tracy-widom", "R2.3-mp-edge")
def test_threshold_formulas():
    """Square: sigma sqrt(N (4 + 2^(4/3) t N^(-2/3))); rectangular: Johnstone's scale to leading order."""
    t = tracy_widom_quantile(0.9)
    n = 512
    square = np.sqrt(n * 0.3 * (4.0 + 2 ** (4 / 3) * t * n ** (-2 / 3)))
    assert spike_threshold(n, n, 0.3, 0.1) == pytest.approx(square, rel=1e-12)
    rows, cols = 3000, 700
    centre, root = (np.sqrt(rows) + np.sqrt(cols)) ** 2, np.sqrt(rows) + np.sqrt(cols)
    scale = root * (rows**-0.5 + cols**-0.5) ** (1 / 3)
    assert spike_threshold(rows, cols, 0.3, 0.1) == pytest.approx(np.sqrt(0.3 * (centre + scale * t)), rel=1e-12)
    assert spike_threshold(cols, rows, 0.3, 0.1) == pytest.approx(spike_threshold(rows, cols, 0.3, 0.1), rel=1e-14)
    assert spike_threshold(n, n, 0.3, 0.1) > bulk_edge(n, n, 0.3) > spike_threshold(n, n, 0.3, 0.8)


@pytest.mark.claim("M7-tracy-widom")
@pytest.mark.parametrize("rows, cols", [(80, 40), (50, 50)])
def test_pure_noise_passes_about_as_often_as_stated(rows, cols):
    """Asymptotic law at small size: the share of 600 draws above the 10 % threshold lies between 4 % and 16 %."""
    rng, draws = np.random.default_rng(11), 600
    level = spike_threshold(rows, cols, 1.0, 0.1)
    above = sum(np.linalg.norm(rng.standard_normal((rows, cols)), 2) > level for _ in range(draws))
    assert clopper_pearson_lower(int(above), draws, 1e-6) <= 0.1 <= clopper_pearson_upper(int(above), draws, 1e-6)
    assert 0.04 * draws < above < 0.16 * draws


@pytest.mark.parametrize(
    "call",
    [
        lambda: tracy_widom_cdf(np.nan),
        lambda: tracy_widom_quantile(0.0),
        lambda: tracy_widom_quantile(1.0),
        lambda: tracy_widom_quantile(np.nan),
        lambda: spike_threshold(10, 10, 1.0, 0.0),
        lambda: spike_threshold(10, 10, 1.0, np.nan),
        lambda: spike_threshold(10, 10, 0.0, 0.1),
        lambda: bulk_edge(0, 10, 1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
