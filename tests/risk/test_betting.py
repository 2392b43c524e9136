"""Limits of a mean by betting: exact levels by enumeration, known numbers, monotone capital, bets that cheat."""

from __future__ import annotations

import itertools
import math
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from certify.records import Refused
from certify.risk.betting import (
    MOST_STAKED,
    SLACK,
    betting_upper,
    drop_betting_upper,
    drop_p_value,
    fractions,
    increase_upper,
    log_capital,
    log_portfolio,
)

LEVELS = (0.1, 0.05, 0.01)
differences = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40)
cells = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 300)).filter(lambda c: sum(c) > 0)


def sequences(n: int) -> np.ndarray:
    """(3^n, n) all differences, scaled to [0, 1]."""
    return np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=n)))


def chance(y: np.ndarray, loss: float, gain: float) -> np.ndarray:
    return np.prod(np.where(y == 1.0, loss, np.where(y == 0.0, gain, 1.0 - loss - gain)), axis=1)


RATES = [(0.0, 0.0), (0.05, 0.0), (0.2, 0.1), (0.3, 0.3), (0.0, 0.9), (0.1, 0.9), (0.6, 0.0), (0.9, 0.05), (0.97, 0.0)]


@pytest.mark.claim("B3-betting")
@pytest.mark.parametrize("alpha", LEVELS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_no_order_of_samples_breaks_the_level(n: int, alpha: float) -> None:
    """Exact over all 3^n sequences."""
    y = sequences(n)
    for loss, gain in RATES:
        rejected = log_capital(y, (loss - gain + 1.0) / 2.0, alpha) >= SLACK - math.log(alpha)
        assert chance(y, loss, gain)[rejected].sum() <= alpha + 1e-12


@pytest.mark.parametrize("alpha", LEVELS)
def test_capital_is_rarely_large_at_the_truth(alpha: float) -> None:
    """P(max >= 1/a) <= a for every a, not only the one the stakes are tuned for."""
    y = sequences(7)
    for loss, gain in RATES:
        mean = (loss - gain + 1.0) / 2.0
        peak, weight = np.exp(log_capital(y, mean, alpha)), chance(y, loss, gain)
        for other in (0.3, 0.1, 0.02):
            assert weight[peak >= 1.0 / other * (1.0 + 1e-12)].sum() <= other


@pytest.mark.claim("B4-betting-drop")
@pytest.mark.parametrize("alpha", LEVELS)
@pytest.mark.parametrize("n", [1, 4, 40])
def test_the_portfolio_has_its_level(n: int, alpha: float) -> None:
    """Exact over all (losses, gains)."""
    pairs = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
    limits = [drop_betting_upper(i, j, n, alpha) for i, j in pairs]
    for loss, gain in RATES:
        rest = max(0.0, 1.0 - loss - gain)
        missed = sum(
            comb(n, i) * comb(n - i, j) * loss**i * gain**j * rest ** (n - i - j)
            for (i, j), limit in zip(pairs, limits, strict=True)
            if limit < loss - gain
        )
        assert missed <= alpha


def test_a_bet_that_looks_ahead_is_caught() -> None:
    """A stake placed after the sample was seen wins too often; the same stake placed blindly does not."""
    y, mean, stake, alpha = sequences(8), 0.5, 1.98, 0.05
    bets = {"ahead": np.where(y < mean, stake, 0.0), "blind": np.full_like(y, stake)}
    missed = {}
    for name, bet in bets.items():
        capital = np.cumsum(np.log1p(-bet * (y - mean)), axis=1).max(axis=1)
        missed[name] = chance(y, 0.5, 0.5)[capital >= -math.log(alpha)].sum()
    assert missed["blind"] <= alpha < 0.3 < missed["ahead"]


@pytest.mark.parametrize("factor", [0.8, 0.9])
def test_a_limit_shrunk_is_caught(factor: float) -> None:
    """Capital 1/alpha raised by nothing but a smaller claim: from one sample without loss, exact at the edge."""
    alpha, n = 0.05, 1
    limit = drop_betting_upper(0, 0, n, alpha)
    truth = limit * (1.0 + factor) / 2.0
    assert 1.0 - truth > alpha, "a truth between the shrunk limit and the limit"
    assert factor * limit < truth < limit


@pytest.mark.claim("B3-betting")
@given(values=differences, alpha=st.sampled_from(LEVELS))
def test_capital_rises_with_the_claim_and_bisection_finds_its_crossing(values: list[float], alpha: float) -> None:
    y = (np.array(values) + 1.0) / 2.0
    grid = np.linspace(0.0, 0.999, 200)
    wealth = [float(log_capital(y, m, alpha)) for m in grid]
    assert np.all(np.diff(wealth) >= -1e-12)
    limit = betting_upper(values, -1.0, 1.0, alpha)
    found = grid[np.array(wealth) >= SLACK - math.log(alpha)]
    assert np.mean(values) <= limit <= 1.0
    if found.size:
        assert limit <= 2.0 * found[0] - 1.0 + 1e-12 and limit >= 2.0 * (found[0] - grid[1]) - 1.0 - 1e-12


@pytest.mark.claim("B4-betting-drop")
@given(counts=cells, alpha=st.sampled_from(LEVELS))
def test_the_portfolio_rises_with_the_claim_and_its_p_value_is_its_inverse(counts: tuple[int, int, int], alpha: float) -> None:
    losses, gains, n = counts[0], counts[1], sum(counts)
    grid = np.linspace(-1.0, 0.999, 100)
    wealth = [float(log_portfolio(losses, gains, n, d, alpha)) for d in grid]
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(wealth) if math.isfinite(a))
    limit = drop_betting_upper(losses, gains, n, alpha)
    assert (losses - gains) / n <= limit <= drop_betting_upper(losses, gains, n, alpha / 2) <= 1.0
    if -1.0 < limit < 1.0:
        step = 1e-6 * (1.0 - limit)
        assert drop_p_value(losses, gains, n, limit + step, alpha) <= alpha
        assert drop_p_value(losses, gains, n, max(-1.0, limit - step), alpha) > alpha


@given(values=differences)
def test_capital_is_the_product_told_step_by_step(values: list[float]) -> None:
    """A second derivation: one sample after the other in 40 digits."""
    alpha, m = 0.05, 0.6
    y = [(v + 1.0) / 2.0 for v in values]
    with mp.workdps(40):
        capital, best, seen, spread = mp.mpf(1), mp.mpf(0), [], mp.mpf(1) / 4
        for each in y:
            variance = spread / (len(seen) + 1)
            stake = min(mp.sqrt(2 * mp.log(1 / mp.mpf(alpha)) / (len(y) * variance)), MOST_STAKED / (1 - mp.mpf(m)))
            capital *= 1 - stake * (each - mp.mpf(m))
            best = max(best, capital)
            seen.append(each)
            spread += (each - (mp.mpf(1) / 2 + sum(map(mp.mpf, seen))) / (len(seen) + 1)) ** 2
        wanted = float(mp.log(best))
    assert float(log_capital(np.array(y), m, alpha)) == pytest.approx(wanted, abs=1e-12)


def test_known_answers() -> None:
    """One sample at equality has fraction 1 alone: 1 + d/(1 - d) = 20 gives 19/20; a gain doubles it, 2/(1 - d) = 20."""
    assert fractions(1, 0.05).tolist() == [1.0]
    assert drop_betting_upper(0, 0, 1, 0.05) == pytest.approx(0.95, rel=1e-8)
    assert drop_betting_upper(0, 1, 1, 0.05) == pytest.approx(0.9, rel=1e-8)
    # One value of 0 of [0, 1]: capital 1 + (3/4) m/(1 - m) = 2 at m = 4/7.
    assert betting_upper([0.0], 0.0, 1.0, 0.5) == pytest.approx(4 / 7, rel=1e-8)


@pytest.mark.parametrize("n", [1, 20, 500])
def test_edges(n: int) -> None:
    assert betting_upper(np.ones(n), -1, 1, 0.05) == 1.0 == drop_betting_upper(n, 0, n, 0.05)
    assert -1.0 < betting_upper(-np.ones(n), -1, 1, 0.05) <= 1.0
    assert -1.0 < drop_betting_upper(0, n, n, 0.05) < 1.0
    assert betting_upper([], -1, 1, 0.05) == 1.0 == drop_betting_upper(0, 0, 0, 0.05)
    assert drop_p_value(0, 0, 0, 0.5, 0.05) == 1.0 == drop_p_value(n, 0, n, 0.5, 0.05)


def test_the_limit_depends_on_the_stored_order_alone() -> None:
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], 60, p=[0.1, 0.7, 0.2])
    assert betting_upper(values, -1, 1, 0.05) == betting_upper(values.copy(), -1, 1, 0.05)
    assert betting_upper(10 * values, -10, 10, 0.05) == pytest.approx(10 * betting_upper(values, -1, 1, 0.05))


def test_an_increase_without_a_range_is_vacuous() -> None:
    assert increase_upper([0.1, 0.2], 0.0, math.inf, 0.05) == math.inf == increase_upper([0.1], math.nan, 1.0, 0.05)
    assert increase_upper([], -1.0, 3.0, 0.05) == 3.0
    assert increase_upper(np.zeros(500), -1.0, 3.0, 0.05) < 0.2


@pytest.mark.parametrize(
    ("values", "low", "high"), [([math.nan], 0, 1), ([2.0], 0, 1), ([0.0], 1, 1), ([[0.5]], 0, 1), ([0.5], 1, 0)]
)
def test_values_nobody_can_bet_on_are_refused(values: list[float], low: float, high: float) -> None:
    with pytest.raises(Refused):
        betting_upper(values, low, high, 0.05)
