"""M2 to 1e-12 for every aspect ratio, M3, M4: against mpmath quadrature, pairings, the transposed law, and samples."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.laws.accuracy import SHAPES, bulk_integral, quadrature_error
from certify.laws.marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular, gaussian_moment
from certify.records import Refused


@pytest.mark.claim("M2-cdf", "M2-singular-values")
def test_distribution_at_thirty_digits():
    """cdf and sf of both scales at and beyond the edges, eleven aspect ratios: absolute 1e-12 (seen: 2.4e-14)."""
    assert {rows > cols for rows, cols in SHAPES} == {True, False}
    assert quadrature_error() < 5e-14
    assert quadrature_error([(400, 20), (500, 500), (100, 600), (1000, 999)], 2.5e-3) < 2e-15


@pytest.mark.claim("M2-cdf")
def test_small_ratio_meets_the_semicircle():
    """As m / n -> 0 the bulk is a semicircle about n v; at one column in 1e12 the difference is below 1e-6."""
    law = MarchenkoPastur(10**12, 1, 1e-12)
    low, high = law.support()
    t = np.array([0.1, 0.5, 0.8])
    x = 2.0 * t - 1.0
    semicircle = 0.5 + (x * np.sqrt(1.0 - x * x) + np.arcsin(x)) / np.pi
    assert law.cdf(low + t * (high - low)) == pytest.approx(semicircle, abs=2e-6)


@pytest.mark.claim("M2-cdf", "M2-singular-values")
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.0, 1.0), st.floats(1e-6, 1e3))
def test_survival_and_quantiles(rows, cols, q, variance):
    for law in (MarchenkoPastur(rows, cols, variance), MarchenkoPasturSingular(rows, cols, variance)):
        x = np.linspace(*law.support(), 5)
        assert law.cdf(x) + law.sf(x) == pytest.approx(1.0, abs=4e-15)
        assert np.all(np.diff(law.cdf(x)) >= 0.0)
        low, high = law.support()
        slack = 1e-12 + 4.0 * np.spacing(high) / (high - low)
        assert float(law.sf(law.isf(q))) == pytest.approx(min(q, 1.0 - law.atom), abs=3 * slack**0.5 if slack > 1e-11 else 1e-11)
        assert float(law.isf(q)) == pytest.approx(float(law.ppf(1.0 - q)), abs=1e-6 * (high - low) + 4 * np.spacing(high))
        assert low <= law.isf(q) <= high or law.isf(q) == 0.0


@pytest.mark.claim("M2-cdf")
def test_survival_keeps_its_digits():
    """Near the upper edge 1 - cdf has nothing left; sf is the leading term (2/3) h(b) w^(3/2) to 1 %."""
    law = MarchenkoPastur(400, 100, 0.25)
    low, high = law.support()
    w = 1e-4
    leading = 2.0 / 3.0 * math.sqrt(high - low) * w**1.5 / (2.0 * math.pi * 100 * 0.25 * high)
    assert float(law.sf(high - w)) == pytest.approx(leading, rel=1e-4, abs=0.0)
    assert float(law.isf(leading)) == pytest.approx(high - w, abs=1e-7)
    assert law.isf([0.0, 1.0]) == pytest.approx([225.0, 25.0])
    wide = MarchenkoPastur(100, 400, 0.25)
    assert wide.isf([0.0, 0.25, 0.3, 1.0]) == pytest.approx([225.0, 0.0, 0.0, 0.0])
    assert float(wide.isf(0.25 - 1e-9)) >= 25.0


@pytest.mark.claim("M4-moments")
@pytest.mark.parametrize("rows, cols", [(400, 20), (300, 200), (200, 300), (64, 64)])
def test_moments_at_thirty_digits(rows, cols):
    law, singular = MarchenkoPastur(rows, cols, 0.3), MarchenkoPasturSingular(rows, cols, 0.3)
    share = min(1.0, rows / cols)
    for order in (1, 2, 3, 7, 0.5, 1.5, -0.25):
        bulk = float(bulk_integral(rows, cols, 0.3, lambda x, order=order: x**order))
        assert law.bulk_moment(order) == pytest.approx(bulk, rel=1e-12 if order > 0 else 1e-8)
        assert singular.moment(2 * order) == pytest.approx(law.bulk_moment(order), rel=1e-15)
        assert law.moment(order) == pytest.approx(share * law.bulk_moment(order) if order > 0 or share == 1 else math.inf)
    if rows != cols:
        assert law.bulk_moment(-1) == pytest.approx(float(bulk_integral(rows, cols, 0.3, lambda x: 1 / x)), rel=1e-12)
        assert law.bulk_moment(-1) == pytest.approx(1.0 / (0.3 * abs(rows - cols)), rel=1e-13)
    else:
        assert law.bulk_moment(-1) == math.inf
    log = float(bulk_integral(rows, cols, 0.3, mp.log))
    assert law.log_moment() == pytest.approx(log, abs=1e-12 if rows != cols else 1e-8)
    assert law.moment(0) == singular.moment(0) == 1.0
    assert law.moment(1) == pytest.approx(law.mean())
    assert law.moment(2) - law.mean() ** 2 == pytest.approx(law.var())
    assert singular.moment(1) == singular.mean()


@pytest.mark.claim("M4-moments")
def test_narayana_numbers():
    """g = c = 1: 1, 2, 5, 14, 42 (Catalan); c = 2: 1, 3, 11, 45."""
    assert [MarchenkoPastur(1, 1, 1.0).moment(k) for k in range(1, 6)] == pytest.approx([1, 2, 5, 14, 42], rel=1e-15)
    assert [MarchenkoPastur(1, 2, 1.0).moment(k) for k in range(1, 5)] == pytest.approx([1, 3, 11, 45], rel=1e-15)


def pairings(items):
    if not items:
        yield []
        return
    first = items[0]
    for k in range(1, len(items)):
        for rest in pairings(items[1:k] + items[k + 1 :]):
            yield [(first, items[k]), *rest]


def wick(rows, cols, order):
    """E tr (R^T R)^order at variance 1: each pairing of the 2 order factors counts n^(row classes) m^(column classes)."""
    total = 0
    for pairs in pairings(list(range(2 * order))):
        # Factor 2i is R[p_i, q_i], factor 2i + 1 is R[p_i, q_(i + 1)].
        places = {2 * i: (i, i) for i in range(order)} | {2 * i + 1: (i, (i + 1) % order) for i in range(order)}
        classes = []
        for side in (0, 1):
            parent = list(range(order))

            def root(i, parent=parent):
                return i if parent[i] == i else root(parent[i], parent)

            for one, two in pairs:
                parent[root(places[one][side])] = root(places[two][side])
            classes.append(sum(parent[i] == i for i in range(order)))
        total += rows ** classes[0] * cols ** classes[1]
    return total


@pytest.mark.claim("M4-finite")
@pytest.mark.parametrize("rows, cols", itertools.product((1, 2, 5), (1, 3)))
def test_finite_moments_by_pairings(rows, cols):
    for order in (1, 2, 3, 4):
        assert gaussian_moment(rows, cols, 2.0, order) == 2.0**order * wick(rows, cols, order) / cols


@pytest.mark.claim("M4-finite", "M4-moments")
def test_finite_moments_known():
    """n = m = 1: the moments 1, 3, 15, 105 of a squared Gaussian; n = 30, m = 20, g = 1: 1.7 and 3.6156."""
    assert [gaussian_moment(1, 1, 1.0, k) for k in (1, 2, 3, 4)] == [1, 3, 15, 105]
    assert gaussian_moment(30, 20, 1 / 30, 2) == pytest.approx(1.7)
    assert gaussian_moment(30, 20, 1 / 30, 3) == pytest.approx(3.6156, abs=5e-5)
    for k in (2, 3, 4):
        large = gaussian_moment(30_000, 20_000, 1 / 30_000, k)
        assert large == pytest.approx(MarchenkoPastur(30_000, 20_000, 1 / 30_000).moment(k), rel=1e-3)


@pytest.mark.claim("M4-finite")
def test_finite_moments_monte_carlo():
    """MC-M: 2000 draws of 12 x 8, each mean within 5 standard errors (false alarm below 6e-7 each)."""
    rng = np.random.default_rng(5)
    squares = np.linalg.svd(rng.standard_normal((2000, 12, 8)), compute_uv=False) ** 2
    for k in (1, 2, 3):
        draws = np.mean(squares**k, axis=1)
        assert abs(draws.mean() - gaussian_moment(12, 8, 1.0, k)) < 5.0 * draws.std() / math.sqrt(2000)


@pytest.mark.claim("M3-stieltjes")
@pytest.mark.parametrize("rows, cols", [(400, 100), (100, 400), (60, 60), (300, 250), (50, 51)])
def test_stieltjes(rows, cols):
    """Against the integral at complex and real points, at the quadratic, and by the companion formula."""
    law = MarchenkoPastur(rows, cols, 0.01)
    low, high = law.support()
    z = np.array([0.3 + 0.2j, 0.5 * (low + high) + 0.25j, 1.0 - 0.7j, high + 0.1, high * 50, -0.4, -3.0, 0.5 * low + 0.1j])
    if low > 0.01:
        z = np.append(z, 0.5 * low)
    value = law.stieltjes(z)
    share = 1.0 - law.atom
    for point, found in zip(z, value, strict=True):
        integral = complex(bulk_integral(rows, cols, 0.01, lambda x, point=point: 1 / (x - mp.mpc(point)), pieces=16))
        assert found == pytest.approx(share * integral - law.atom / point, rel=1e-11)
    b = 0.01 * (rows - cols) - z
    assert cols * 0.01 * z * value**2 - b * value + 1.0 == pytest.approx(0.0, abs=1e-12)
    c = cols / rows
    assert law.companion().stieltjes(z) == pytest.approx(c * value - (1.0 - c) / z, rel=1e-11)
    assert np.all(value[z.imag == 0].imag == 0.0)


@pytest.mark.claim("M3-stieltjes")
def test_stieltjes_where_forms_cancel():
    """m(0) = E 1/x without an atom, -atom / z beside one; -1/z far out; the density above the support."""
    assert complex(MarchenkoPastur(400, 100, 1.0).stieltjes(0.0)) == pytest.approx(1 / 300, rel=1e-14)
    assert complex(MarchenkoPastur(100, 400, 1.0).stieltjes(1e-9)) == pytest.approx(-0.75e9, rel=1e-9)
    assert complex(MarchenkoPastur(100, 400, 1.0).stieltjes(complex(-1e-9, -0.0))) == pytest.approx(0.75e9, rel=1e-9)
    assert complex(MarchenkoPastur(400, 100, 1.0).stieltjes(1e14)) == pytest.approx(-1e-14, rel=1e-11, abs=0.0)
    law = MarchenkoPastur(400, 100, 0.01)
    x = np.array([1.5, 4.0, 8.0])
    assert law.stieltjes(x + 1e-10j).imag / math.pi == pytest.approx(law.pdf(x), rel=1e-8)
    assert law.stieltjes(x - 1e-10j).imag / math.pi == pytest.approx(-law.pdf(x), rel=1e-8)


@pytest.mark.claim("M4-moments")
def test_draws_and_summaries():
    """MC-M at 5 standard errors for the mean of 20,000 draws; the atom is drawn as often as it weighs."""
    for law in (MarchenkoPastur(30, 40, 0.1), MarchenkoPasturSingular(30, 40, 0.1)):
        draws = law.rvs(20_000, np.random.default_rng(8))
        assert abs(draws.mean() - law.mean()) < 5.0 * law.std() / math.sqrt(20_000)
        assert abs(np.mean(draws == 0.0) - law.atom) < 5.0 * 0.5 / math.sqrt(20_000)
        assert law.median() == float(law.ppf(0.5))
    assert MarchenkoPastur(3, 4, 0.1) != MarchenkoPasturSingular(3, 4, 0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: MarchenkoPastur(400, 100, 1.0).stieltjes(400.0),
        lambda: MarchenkoPastur(100, 400, 1.0).stieltjes(0.0),
        lambda: MarchenkoPastur(4, 4, 1.0).stieltjes(complex(math.nan, 1.0)),
        lambda: MarchenkoPastur(4, 4, 1.0).moment(math.nan),
        lambda: MarchenkoPastur(4, 4, 1e300).moment(3.0),
        lambda: MarchenkoPastur(4, 4, 1.0).isf(-0.1),
        lambda: gaussian_moment(4, 4, 1.0, 5),
        lambda: gaussian_moment(4, 0, 1.0, 1),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
