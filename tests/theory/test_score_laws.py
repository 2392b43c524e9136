"""EMP-T14..T16: closed forms against quadrature, then against samples within five standard errors."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from certify.records import Refused
from certify.theory.emp.effective_number import effective_number, kept_count, retained_mass
from certify.theory.emp.score_laws import (
    default_init_ratio,
    gamma_power,
    gaussian_norm,
    gaussian_power,
    heavy_tail_exponent,
    laplace_power,
    log_normal,
    pareto,
    ratio_variance,
    student,
    uniform_power,
)

# name: (constants, density of x >= 0, its start, score as an increasing function of x, sampler of x)
HALF_NORMAL = (lambda x: 2.0 * stats.norm.pdf(x), 0.0)
EXPONENTIAL = (lambda x: math.exp(-x), 0.0)


def folded_t(n):
    return (lambda x: 2.0 * stats.t.pdf(x, n), 0.0)


def absolute_normal(rng, size):
    return np.abs(rng.normal(size=size))


def exponential(rng, size):
    return rng.exponential(size=size)


LAWS = {
    "gaussian": (gaussian_power(), *HALF_NORMAL, lambda x: x, absolute_normal),
    "gaussian^2": (gaussian_power(2.0), *HALF_NORMAL, lambda x: x**2, absolute_normal),
    "gaussian^.5": (gaussian_power(0.5), *HALF_NORMAL, lambda x: x**0.5, absolute_normal),
    "gaussian^1.5": (gaussian_power(1.5), *HALF_NORMAL, lambda x: x**1.5, absolute_normal),
    "laplace": (laplace_power(), *EXPONENTIAL, lambda x: x, exponential),
    "laplace^2": (laplace_power(2.0), *EXPONENTIAL, lambda x: x**2, exponential),
    "laplace^.5": (laplace_power(0.5), *EXPONENTIAL, lambda x: x**0.5, exponential),
    "uniform": (uniform_power(), lambda x: float(x < 1.0), 0.0, lambda x: x, lambda rng, n: rng.random(n)),
    "uniform^2": (uniform_power(2.0), lambda x: float(x < 1.0), 0.0, lambda x: x**2, lambda rng, n: rng.random(n)),
    "norm of 9": (gaussian_norm(9), stats.chi(9).pdf, 0.0, lambda x: x, lambda rng, n: np.sqrt(rng.chisquare(9, n))),
    "gamma": (gamma_power(3.0, 1.0), stats.gamma(3.0).pdf, 0.0, lambda x: x, lambda rng, n: rng.gamma(3.0, size=n)),
    "log-normal": (log_normal(0.5), stats.lognorm(0.5).pdf, 0.0, lambda x: x, lambda rng, n: rng.lognormal(0.0, 0.5, n)),
    "student 3": (student(3.0), *folded_t(3.0), lambda x: x, lambda rng, n: np.abs(rng.standard_t(3.0, n))),
    "student 9": (student(9.0), *folded_t(9.0), lambda x: x, lambda rng, n: np.abs(rng.standard_t(9.0, n))),
    "pareto 3": (pareto(3.0), stats.pareto(3.0).pdf, 1.0, lambda x: x, lambda rng, n: 1.0 + rng.pareto(3.0, n)),
    "pareto 9": (pareto(9.0), stats.pareto(9.0).pdf, 1.0, lambda x: x, lambda rng, n: 1.0 + rng.pareto(9.0, n)),
}


def above(density, low, start, score, power):
    """E[score^power; x > low] by quadrature, cut where the uniform law ends."""
    knots = sorted({max(low, start), *(k for k in (0.5, 1.0, 3.0, 8.0, 30.0) if k > max(low, start))})
    pieces = [
        integrate.quad(lambda x: score(x) ** power * density(x), a, b)[0]
        for a, b in zip(knots, [*knots[1:], np.inf], strict=True)
    ]
    return math.fsum(pieces)


@pytest.mark.claim("EMP-T14")
@pytest.mark.parametrize("name", LAWS)
def test_closed_forms_against_quadrature(name):
    constants, density, start, score, _ = LAWS[name]
    moments = [above(density, start, start, score, k) for k in (1, 2)]
    assert constants.ratio == pytest.approx(moments[0] ** 2 / moments[1], rel=1e-6)
    cut = optimize.brentq(lambda q: above(density, q, start, score, 0) - constants.ratio, start, start + 6.0, xtol=1e-12)
    assert constants.retained == pytest.approx(above(density, cut, start, score, 1) / moments[0], rel=1e-6)
    if math.isfinite(constants.variance):
        moments += [above(density, start, start, score, k) for k in (3, 4)]
        assert (constants.variance, constants.bias) == pytest.approx(ratio_variance(moments), rel=1e-4)


@pytest.mark.parametrize("name", LAWS)
def test_samples(name):
    """D/N within five standard errors where the fourth moment exists, else within 2 %; s_eff within 2 %."""
    constants, _, _, score, sampler = LAWS[name]
    size = 200_000
    values = score(sampler(np.random.default_rng(17), size))
    error = 5.0 * math.sqrt(constants.variance / size) if math.isfinite(constants.variance) else 0.02
    assert abs(effective_number(values) / size - constants.ratio) < error
    assert retained_mass(values, kept_count(values)) == pytest.approx(constants.retained, abs=0.02)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "uniform", "norm of 9"])
def test_central_limit(name):
    """Variance and bias over 4000 vectors of 400: the variance within 5 sqrt(2/4000), the mean within 5 errors."""
    constants, _, _, score, sampler = LAWS[name]
    size, draws = 400, 4000
    table = score(sampler(np.random.default_rng(23), size * draws)).reshape(draws, size)
    ratio = table.sum(axis=1) ** 2 / np.sum(table**2, axis=1) / size
    assert np.var(ratio) * size == pytest.approx(constants.variance, rel=5 * math.sqrt(2 / draws) + 0.05)
    error = 5.0 * math.sqrt(constants.variance / size / draws)
    assert abs(ratio.mean() - constants.ratio - constants.bias / size) < error + 50.0 / size**2


@pytest.mark.claim("EMP-T14")
def test_known_constants():
    q = stats.norm.isf(1 / math.pi)
    half = gaussian_power()
    assert half.ratio == pytest.approx(2 / math.pi, rel=1e-14)
    assert half.retained == pytest.approx(math.exp(-q * q / 2), rel=1e-12) == pytest.approx(0.89441, abs=1e-5)
    assert half.variance == pytest.approx(8 / math.pi - 24 / math.pi**2, rel=1e-11)
    assert half.bias == pytest.approx(1 - 2 / math.pi, rel=1e-12)
    r = stats.norm.ppf(5 / 6)
    assert gaussian_power(2.0).ratio == pytest.approx(1 / 3, rel=1e-14)
    assert gaussian_power(2.0).retained == pytest.approx(2 * r * stats.norm.pdf(r) + 1 / 3, rel=1e-12)
    assert [round(gaussian_power(p).ratio, 4) for p in (0.5, 1.5, 3.0, 4.0)] == [0.8472, 0.4635, 0.1698, 0.0857]
    log6 = math.log(6.0)
    assert laplace_power().retained == pytest.approx((1 + math.log(2)) / 2, rel=1e-12)
    assert laplace_power().variance == pytest.approx(0.25, rel=1e-11)
    assert laplace_power().bias == pytest.approx(1.0, rel=1e-12)
    assert laplace_power(2.0).retained == pytest.approx((log6**2 / 2 + log6 + 1) / 6, rel=1e-12)
    assert laplace_power(0.5).ratio == pytest.approx(math.pi / 4, rel=1e-13)
    assert (uniform_power().ratio, uniform_power().retained) == pytest.approx((3 / 4, 15 / 16))
    assert (uniform_power(2.0).ratio, uniform_power(2.0).retained) == pytest.approx((5 / 9, 1 - (4 / 9) ** 3))
    assert (student(3.0).ratio, student(3.0).retained) == pytest.approx((4 / math.pi**2, 0.7627), abs=5e-5)
    assert (student(5.0).ratio, student(5.0).retained) == pytest.approx((0.5404, 0.8475), abs=5e-5)
    assert (log_normal(0.5).ratio, log_normal(0.5).retained) == pytest.approx((math.exp(-0.25), 0.8976), abs=5e-5)
    assert (pareto(3.0).ratio, pareto(3.0).retained) == pytest.approx((0.75, 0.75 ** (2 / 3)))
    assert student(4.0).variance == pareto(4.0).variance == math.inf
    assert [gaussian_norm(k).ratio for k in (9, 64, 576)] == pytest.approx([0.9461, 0.9922, 0.9991], abs=5e-5)


def test_group_norms_concentrate():
    for k in (100, 400, 1600):
        assert gaussian_norm(k).ratio == pytest.approx(1 - 1 / (2 * k), abs=1 / k**2)
        assert gaussian_norm(k).retained > gaussian_norm(k).ratio


def test_limits_agree_where_laws_meet():
    assert student(1000.0).ratio == pytest.approx(gaussian_power().ratio, rel=1e-2)
    assert gaussian_norm(1).retained == gaussian_power().retained
    assert gaussian_norm(2).ratio == pytest.approx(laplace_power(0.5).ratio, rel=1e-14)
    assert log_normal(0.01).ratio > 0.9998


def test_moments_by_hand():
    assert ratio_variance([1.0, 2.0, 6.0, 24.0]) == (0.25, 1.0)
    assert ratio_variance([2.0, 4.0, 8.0, 16.0]) == (0.0, 0.0)


@pytest.mark.claim("EMP-T16")
def test_untrained_networks():
    """Section 4.2: sparsities of default initialisation, before any training."""

    def sparsity(*widths):
        sizes = [a * b for a, b in itertools.pairwise(widths)]
        return round(100 * (1 - default_init_ratio(sizes, widths[:-1])), 1)

    deep = (1000, 900, 800, 750, 700, 650, 600, 500, 400, 200, 100, 10)
    assert [sparsity(784, *tail) for tail in ((100, 10), (1000, 600, 300, 100, 10), deep)] == [27.8, 26.2, 26.1]
    assert [sparsity(3072, *tail) for tail in ((1000, 600, 300, 100, 10), deep)] == [32.9, 32.8]
    assert default_init_ratio([10, 20], [7, 7]) == pytest.approx(0.75)
    rng = np.random.default_rng(1)
    pool = np.concatenate([rng.uniform(-1, 1, 784 * 100) / 28.0, rng.uniform(-1, 1, 1000) / 10.0])
    assert effective_number(pool) / pool.size == pytest.approx(default_init_ratio([78_400, 1000], [784, 100]), rel=0.01)


def test_heavy_tails():
    """Slope of log D over log N at a = 3/2, and E[1/D] -> 1 - a below 1; both within wide Monte Carlo bands."""
    assert heavy_tail_exponent(1.5) == pytest.approx(2 / 3)
    assert heavy_tail_exponent(0.5) == 0.0
    rng = np.random.default_rng(4)

    def mean_log(size):
        return np.mean([math.log(effective_number(rng.random(size) ** (-1 / 1.5))) for _ in range(120)])

    slope = (mean_log(25_600) - mean_log(400)) / math.log(64)
    assert slope == pytest.approx(2 / 3, abs=0.12)
    for a in (0.3, 0.6):
        inverse = np.mean([1 / effective_number(rng.random(4000) ** (-1 / a)) for _ in range(800)])
        assert inverse == pytest.approx(1 - a, abs=0.07)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ratio_variance([1.0, 2.0, 3.0]),
        lambda: ratio_variance([0.0, 0.0, 0.0, 0.0]),
        lambda: ratio_variance([1.0, math.nan, 1.0, 1.0]),
        lambda: gaussian_power(0.0),
        lambda: gaussian_power(math.nan),
        lambda: laplace_power(-1.0),
        lambda: gamma_power(0.0, 1.0),
        lambda: gaussian_norm(0),
        lambda: gaussian_norm(10**6),
        lambda: uniform_power(0.0),
        lambda: student(2.0),
        lambda: pareto(2.0),
        lambda: log_normal(0.0),
        lambda: log_normal(7.0),
        lambda: heavy_tail_exponent(1.0),
        lambda: heavy_tail_exponent(2.5),
        lambda: default_init_ratio([1.0], [0.0]),
        lambda: default_init_ratio([1.0], [1.0, 2.0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
