"""B1, B2: exact limits by their defining equation, coverage by enumeration (no sampling), sizes by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multinomial
from statsmodels.stats.proportion import proportion_confint

from certify.records import Refused
from certify.theory.binomial import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    hoeffding_gap_upper,
    noise_maximum,
    paired_drop_upper,
    samples_needed,
    samples_needed_drop,
)

ALPHAS = st.sampled_from([0.5, 0.1, 0.05, 0.01, 1e-6])


@st.composite
def counts(draw, most=400):
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@pytest.mark.claim("B1-clopper-pearson")
@given(counts(), ALPHAS)
def test_limits_solve_their_equation(count, alpha):
    """P(Binomial(n, U) <= k) = alpha and P(Binomial(n, L) >= k) = alpha: an equality, so no slack hides an off-by-one."""
    k, n = count
    upper, lower = clopper_pearson_upper(k, n, alpha), clopper_pearson_lower(k, n, alpha)
    assert 0.0 <= lower <= k / n <= upper <= 1.0 or alpha == 0.5
    assert upper == 1.0 if k == n else binom.cdf(k, n, upper) == pytest.approx(alpha, rel=1e-8, abs=0.0)
    assert lower == 0.0 if k == 0 else binom.sf(k - 1, n, lower) == pytest.approx(alpha, rel=1e-8, abs=0.0)
    assert clopper_pearson_lower(n - k, n, alpha) == pytest.approx(1.0 - upper, abs=1e-12)


def test_known_limits():
    assert clopper_pearson_upper(0, 100, 0.05) == pytest.approx(1.0 - 0.05**0.01, rel=1e-14)
    assert clopper_pearson_lower(100, 100, 0.05) == pytest.approx(0.05**0.01, rel=1e-14)
    assert clopper_pearson_upper(0, 10**9, 1e-6) == pytest.approx(13.815510557964274e-9, rel=1e-7, abs=0.0)
    both = proportion_confint(3, 100, alpha=0.05, method="beta")
    assert (clopper_pearson_lower(3, 100, 0.025), clopper_pearson_upper(3, 100, 0.025)) == pytest.approx(both, rel=1e-10)


@pytest.mark.claim("B1-clopper-pearson")
@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
@pytest.mark.parametrize("n", [1, 2, 5, 17, 40])
def test_coverage_by_enumeration(n, alpha):
    k = np.arange(n + 1)
    upper = np.array([clopper_pearson_upper(int(i), n, alpha) for i in k])
    lower = np.array([clopper_pearson_lower(int(i), n, alpha) for i in k])
    rates = np.unique(
        np.concatenate([np.linspace(0, 1, 201), upper, lower, np.clip(upper + 1e-12, 0, 1), np.clip(lower - 1e-12, 0, 1)])
    )
    mass = binom.pmf(k[None, :], n, rates[:, None])
    assert np.min(np.sum(mass * (upper >= rates[:, None]), axis=1)) >= 1.0 - alpha - 1e-9
    assert np.min(np.sum(mass * (lower <= rates[:, None]), axis=1)) >= 1.0 - alpha - 1e-9


@pytest.mark.claim("B2-paired-drop")
@pytest.mark.parametrize("alpha", [0.2, 0.05])
@pytest.mark.parametrize("n", [1, 3, 9])
def test_paired_coverage_by_enumeration(n, alpha):
    cells = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    limits = np.array([paired_drop_upper(a, b, n, alpha) for a, b, _ in cells])
    grid = np.linspace(0.0, 1.0, 21)
    for loss in grid:
        for gain in grid[grid <= 1.0 - loss + 1e-12]:
            mass = multinomial.pmf(cells, n, [loss, gain, max(0.0, 1.0 - loss - gain)])
            assert mass[limits >= loss - gain - 1e-12].sum() >= 1.0 - alpha - 1e-9


@pytest.mark.claim("B2-paired-drop")
def test_paired_known_value():
    expected = clopper_pearson_upper(3, 100, 0.025) - clopper_pearson_lower(1, 100, 0.025)
    assert paired_drop_upper(3, 1, 100, 0.05) == pytest.approx(expected, rel=1e-15)
    assert paired_drop_upper(1, 3, 100, 0.05) != pytest.approx(expected)
    assert paired_drop_upper(5, 0, 5, 0.05) == 1.0
    assert paired_drop_upper(0, 0, 100, 0.05) == pytest.approx(1.0 - 0.025**0.01, rel=1e-12)
    assert paired_drop_upper(0, 60, 100, 0.05) < 0.0


def brute(limit, wanted, most=4000):
    return next(n for n in range(1, most) if limit(n) <= wanted)


@pytest.mark.parametrize(
    "wanted, alpha, hundredths", [(0.05, 0.05, 0), (0.1, 0.05, 3), (0.2, 0.01, 7), (0.5, 0.3, 29), (0.03, 0.05, 1)]
)
def test_sizes_by_brute_force(wanted, alpha, hundredths):
    found = samples_needed(wanted, alpha, hundredths / 100)
    assert found == brute(lambda n: clopper_pearson_upper(-(-hundredths * n // 100), n, alpha), wanted)


@pytest.mark.parametrize(
    "wanted, alpha, loss, gain", [(0.05, 0.05, 0, 0), (0.1, 0.05, 3, 1), (0.05, 0.1, 2, 3), (-0.1, 0.2, 1, 29)]
)
def test_drop_sizes_by_brute_force(wanted, alpha, loss, gain):
    found = samples_needed_drop(wanted, alpha, loss / 100, gain / 100)
    assert found == brute(lambda n: paired_drop_upper(-(-loss * n // 100), gain * n // 100, n, alpha), wanted)


def test_known_sizes():
    assert samples_needed(0.05, 0.05) == 59
    assert samples_needed(0.01, 0.05) == 299
    assert clopper_pearson_upper(0, 299, 0.05) <= 0.01 < clopper_pearson_upper(0, 298, 0.05)


@pytest.mark.claim("SEL-T8")
def test_known_selection_optimism():
    """The figures of the specification: .072 and .023 for 900 masks; the best of pure noise gains .049 and .016."""
    assert [round(hoeffding_gap_upper(900, n, 0.05), 3) for n in (1000, 10_000)] == [0.072, 0.023]
    assert [round(noise_maximum(900, n, 0.62), 3) for n in (1000, 10_000)] == [0.049, 0.016]
    assert hoeffding_gap_upper(1, 2, 2 / np.e**4) == pytest.approx(1.0)
    assert noise_maximum(1, 50, 0.3) == pytest.approx(0.0, abs=1e-12)
    assert noise_maximum(2, 1, 0.5) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hoeffding_gap_upper(0, 10, 0.1),
        lambda: hoeffding_gap_upper(1, 10, 1.0),
        lambda: noise_maximum(1, 0, 0.5),
        lambda: noise_maximum(1, 10, 1.0),
        lambda: clopper_pearson_upper(-1, 10, 0.05),
        lambda: clopper_pearson_upper(11, 10, 0.05),
        lambda: clopper_pearson_upper(1.0, 10, 0.05),  # type: ignore[arg-type]
        lambda: clopper_pearson_upper(0, 0, 0.05),
        lambda: clopper_pearson_lower(0, 10, 0.0),
        lambda: clopper_pearson_lower(0, 10, 1.0),
        lambda: clopper_pearson_lower(0, 10, float("nan")),
        lambda: paired_drop_upper(6, 5, 10, 0.05),
        lambda: samples_needed(0.05, 0.05, 0.05),
        lambda: samples_needed(1.0, 0.05),
        lambda: samples_needed(0.05, 0.6),
        lambda: samples_needed(1e-10, 0.05),
        lambda: samples_needed_drop(0.01, 0.05, 0.02, 0.01),
        lambda: samples_needed_drop(0.5, 0.05, 0.7, 0.4),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
