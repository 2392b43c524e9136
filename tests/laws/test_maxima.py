"""M9: the printed means, mpmath quadrature, quantiles, and one sample."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.laws.maxima import MaxAbsGaussian
from certify.records import Refused

pytestmark = pytest.mark.claim("M9-max-gaussian")


def test_printed_means():
    means = [MaxAbsGaussian(n).mean() for n in (10, 64, 768, 3072)]
    assert means == pytest.approx([1.881, 2.596, 3.363, 3.730], abs=5e-4)
    assert MaxAbsGaussian(1).mean() == pytest.approx(math.sqrt(2 / math.pi), rel=1e-13)
    assert MaxAbsGaussian(1).var() == pytest.approx(1 - 2 / math.pi, rel=1e-12)
    assert MaxAbsGaussian(2).mean() == pytest.approx(2 / math.sqrt(math.pi), rel=1e-13)


@pytest.mark.parametrize("count", [3, 64, 3072, 10**9])
def test_mean_at_thirty_digits(count):
    with mp.workdps(30):
        middle = mp.sqrt(2 * mp.log(2 * count))

        def rest(x):
            return -mp.expm1(count * mp.log1p(-mp.erfc(x / mp.sqrt(2))))

        ends = [0, middle - 1, middle, middle + 1, middle + 3, 40] if middle > 1.5 else [0, 1, 3, 40]
        mean = mp.quad(rest, ends)
        second = 2 * mp.quad(lambda x: x * rest(x), ends)
    assert MaxAbsGaussian(count).mean() == pytest.approx(float(mean), rel=1e-13)
    assert MaxAbsGaussian(count).var() == pytest.approx(float(second - mean**2), rel=1e-9)


@given(st.integers(1, 10**12))
def test_mean_bound(count):
    """m_n <= sqrt(2 log 2n), and m_n grows."""
    mean = MaxAbsGaussian(count).mean()
    assert mean <= math.sqrt(2.0 * math.log(2.0 * count))
    assert mean < MaxAbsGaussian(2 * count).mean()


@given(st.integers(1, 10**9), st.floats(1e-12, 1.0 - 1e-12))
def test_quantiles(count, q):
    law = MaxAbsGaussian(count)
    assert float(law.cdf(law.ppf(q))) == pytest.approx(q, rel=1e-9, abs=1e-15)
    assert float(law.sf(law.isf(q))) == pytest.approx(q, rel=1e-9, abs=0.0)
    assert float(law.cdf(1.3) + law.sf(1.3)) == pytest.approx(1.0, abs=1e-15)


def test_ends_and_density():
    law = MaxAbsGaussian(5)
    assert law.cdf([-np.inf, -1.0, 0.0, np.inf]).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert law.sf([-1.0, 0.0, np.inf]).tolist() == [1.0, 1.0, 0.0]
    assert law.ppf([0.0, 1.0]).tolist() == law.isf([1.0, 0.0]).tolist() == [0.0, np.inf]
    assert law.support() == (0.0, math.inf)
    for count in (1, 5):
        one, h = MaxAbsGaussian(count), 1e-5
        x = np.array([0.4, 1.0, 2.5])
        assert one.pdf(x) == pytest.approx((one.cdf(x + h) - one.cdf(x - h)) / (2 * h), rel=1e-8)
    assert law.pdf([-1.0, 0.0]).tolist() == [0.0, 0.0]
    assert float(law.cdf(1.0)) == pytest.approx(math.erf(1 / math.sqrt(2)) ** 5, rel=1e-14)
    assert float(MaxAbsGaussian(1).sf(9.0)) == pytest.approx(math.erfc(9 / math.sqrt(2)), rel=1e-13, abs=0.0)


def test_monte_carlo():
    """MC-M: 4000 maxima of 64, mean within 5 standard errors (false alarm below 6e-7)."""
    draws = np.abs(np.random.default_rng(9).standard_normal((4000, 64))).max(axis=1)
    assert abs(draws.mean() - MaxAbsGaussian(64).mean()) < 5.0 * draws.std() / math.sqrt(4000)
    assert draws.var() == pytest.approx(MaxAbsGaussian(64).var(), rel=0.15)


@pytest.mark.parametrize(
    "call", [lambda: MaxAbsGaussian(0), lambda: MaxAbsGaussian(3).cdf(np.nan), lambda: MaxAbsGaussian(3).ppf(2)]
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
