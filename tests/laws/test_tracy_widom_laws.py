"""M7 for beta = 1, 2, 4: published tables, Painleve II at 50 digits, moments, tails, quantiles, and the error estimate."""

import math

import numpy as np
import pytest

from certify.laws.accuracy import PLACES, hastings_mcleod, painleve_laws, published_comparison, tail_errors
from certify.laws.published import TABLES
from certify.laws.tracy_widom import MOMENTS, TracyWidom, tracy_widom_cdf, tracy_widom_quantile
from certify.records import Refused


@pytest.fixture(scope="module")
def painleve():
    return {s: painleve_laws(values) for s, values in hastings_mcleod(PLACES).items()}


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2")
@pytest.mark.parametrize("beta", [1, 2])
def test_published_values(beta):
    """48 values of Praehofer and Spohn: distribution to 1e-13 absolute, density to 1e-10 relative from -5 up."""
    s, cdf, log_density = np.array(TABLES[beta]).T
    assert len(s) >= 20
    law = TracyWidom(beta)
    assert np.max(np.abs(law.cdf(s) - cdf)) < 2e-15
    assert np.max(np.abs(law.sf(s) - (1.0 - cdf))) < 2e-15
    right = s >= -5.0
    assert np.max(np.abs(np.log(law.pdf(s[right])) - log_density[right])) < 5e-13
    assert np.max(np.abs(law.pdf(s) - np.exp(log_density))) < 1e-14


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
def test_measured_errors():
    """What a report prints: 96 published values, upper tail 1e-10 relative, lower tail 1e-13 absolute, quantiles."""
    rows = published_comparison()
    assert len(rows) == 96
    assert all(row.difference == row.ours - row.published for row in rows)
    assert max(abs(row.difference) for row in rows if row.what == "cdf") < 2e-15
    assert max(abs(row.difference) for row in rows if row.s >= -5.0) < 5e-13
    errors = tail_errors()
    assert set(errors) == {1, 2, 4}
    for found in errors.values():
        assert found.upper < 1e-12
        assert found.lower < 5e-15
        assert found.quantile < 2e-12


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_painleve(beta, painleve):
    """Lower tail 1e-13 absolute (seen: 2e-15), upper tail 1e-10 relative down to 1e-12 and below (seen: 3e-13)."""
    law, tails = TracyWidom(beta), []
    for s, found in painleve.items():
        cdf, sf, pdf = (float(value) for value in found[beta])
        place = s / math.sqrt(2.0) if beta == 4 else s
        assert float(law.cdf(place)) == pytest.approx(cdf, abs=5e-15)
        assert float(law.pdf(place)) == pytest.approx(pdf, abs=2e-14)
        assert float(law.sf(place)) == pytest.approx(sf, rel=1e-11, abs=0.0)
        if s >= -2:
            assert float(law.pdf(place)) == pytest.approx(pdf, rel=1e-11, abs=0.0)
        tails.append(sf)
    assert min(tails) < 1e-12


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2")
def test_painleve_meets_the_tables(painleve):
    """The two references agree with each other, so neither is a copy of the determinant."""
    for beta in (1, 2):
        for s, cdf, log_density in TABLES[beta]:
            if s in painleve and s > -8:
                assert float(painleve[s][beta][0]) == pytest.approx(cdf, rel=4e-15)
                assert math.log(painleve[s][beta][2]) == pytest.approx(log_density, abs=2e-14)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_moments_against_quadrature(beta):
    """Mass, mean, variance, skewness and excess kurtosis of the density, to the printed digits (Bornemann 2010)."""
    nodes, weights = np.polynomial.legendre.leggauss(70)
    s, weights = 2.5 + 11.5 * nodes, 11.5 * weights
    law = TracyWidom(beta)
    weights = weights * law.pdf(s)
    mean, variance, skewness, kurtosis = MOMENTS[beta]
    assert weights.sum() == pytest.approx(1.0, abs=2e-13)
    assert weights @ s == pytest.approx(mean, abs=2e-12)
    centred = s - mean
    assert weights @ centred**2 == pytest.approx(variance, abs=3e-12)
    assert weights @ centred**3 / variance**1.5 == pytest.approx(skewness, abs=2e-11)
    assert weights @ centred**4 / variance**2 - 3.0 == pytest.approx(kurtosis, abs=3e-10)
    assert (law.mean(), law.var(), law.skewness(), law.kurtosis()) == MOMENTS[beta]
    assert law.std() ** 2 == pytest.approx(variance)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_density_is_the_slope(beta):
    law, s, h = TracyWidom(beta), np.linspace(-4.5, 2.0, 7), 1e-4
    slope = (8 * (law.cdf(s + h) - law.cdf(s - h)) - (law.cdf(s + 2 * h) - law.cdf(s - 2 * h))) / (12 * h)
    assert law.pdf(s) == pytest.approx(slope, abs=1e-10)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_quantiles_invert(beta):
    law = TracyWidom(beta)
    q = np.array([1e-9, 0.01, 0.2, 0.5, 0.9, 0.999])
    assert law.cdf(law.ppf(q)) == pytest.approx(q, abs=1e-12)
    tails = np.array([1e-60, 1e-12, 1e-5, 0.3, 0.99])
    assert np.log(law.sf(law.isf(tails))) == pytest.approx(np.log(tails), rel=1e-10)
    assert float(law.isf(0.25)) == pytest.approx(float(law.ppf(0.75)), abs=1e-12)
    assert law.median() == float(law.ppf(0.5))
    assert law.ppf(np.full((2, 1), 0.5)).shape == (2, 1)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
def test_known_quantiles():
    """The 20 % quantile of beta = 1, and the 95 % quantiles of all three (Bejan 2005 has sqrt 2 times the last)."""
    assert tracy_widom_quantile(0.2) == pytest.approx(-2.28316, abs=5e-6)
    assert [float(TracyWidom(beta).ppf(0.95)) for beta in (1, 2, 4)] == pytest.approx([0.97932, -0.23247, -1.09040], abs=5e-6)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
def test_interlacing():
    """Larger beta, smaller value: F_1 <= F_2 <= F_4(./sqrt 2), and D(-) <= D(+)."""
    s = np.linspace(-6.0, 4.0, 21)
    one, two, four = TracyWidom(1).cdf(s), TracyWidom(2).cdf(s), TracyWidom(4).cdf(s / math.sqrt(2.0))
    assert np.all(one <= four + 1e-15)
    assert np.all(two <= four + 1e-15)
    assert np.allclose(2.0 * four * one, one**2 + two, atol=1e-14)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_error_estimate_covers(beta):
    """The estimate is at most 1e-13 and is not below the deviation from the tables."""
    law = TracyWidom(beta)
    for s, cdf, _ in TABLES.get(beta, ()):
        assert abs(float(law.cdf(s)) - cdf) <= law.error(s) <= 1e-13
    assert 0.0 < law.error(-1.0) <= 1e-13
    assert law.error(-11.0) == law.error(math.inf) == 0.0


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_far_out(beta):
    law = TracyWidom(beta)
    assert law.cdf([-np.inf, -10.0, 70.0, np.inf]).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert law.sf([-np.inf, -10.0, 70.0, np.inf]).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert law.pdf([-np.inf, -10.0, 70.0, np.inf]).tolist() == [0.0] * 4
    assert 0.0 < float(law.sf(30.0 if beta == 1 else 20.0)) < 1e-45
    assert law.support() == (-math.inf, math.inf)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2")
def test_tail_asymptotics():
    """1 - F_2 ~ e^(-4/3 s^(3/2)) / (16 pi s^(3/2)), 1 - F_1 ~ e^(-2/3 s^(3/2)) / (4 sqrt pi s^(3/4))."""
    s = 40.0
    one = math.exp(-2 / 3 * s**1.5) / (4 * math.sqrt(math.pi) * s**0.75)
    assert float(TracyWidom(1).sf(s)) == pytest.approx(one, rel=0.02, abs=0.0)
    two = math.exp(-4 / 3 * 25.0**1.5) / (16 * math.pi * 25.0**1.5)
    assert float(TracyWidom(2).sf(25.0)) == pytest.approx(two, rel=0.03, abs=0.0)


@pytest.mark.claim("M7-tracy-widom", "M7-tracy-widom-2", "M7-tracy-widom-4")
@pytest.mark.parametrize("beta", [1, 2, 4])
def test_draws(beta):
    """MC-M for the mean at 5 standard errors (false alarm below 6e-7), and the uniform law of cdf(draws)."""
    law = TracyWidom(beta)
    draws = law.rvs(20_000, np.random.default_rng(beta))
    assert abs(draws.mean() - law.mean()) < 5.0 * law.std() / math.sqrt(20_000)
    assert draws.var() == pytest.approx(law.var(), rel=0.06)
    some = law.ppf([0.001, 0.2, 0.7, 0.999])
    assert [np.mean(draws <= s) for s in some] == pytest.approx([0.001, 0.2, 0.7, 0.999], abs=0.018)
    assert law.rvs((2, 3), np.random.default_rng(0)).shape == (2, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: TracyWidom(3),
        lambda: TracyWidom(True),
        lambda: TracyWidom(1).sf(np.nan),
        lambda: TracyWidom(2).isf(1e-200),
        lambda: TracyWidom(2).ppf([0.5, 0.0]),
        lambda: TracyWidom(2).ppf(np.nan),
        lambda: tracy_widom_cdf([np.nan]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
