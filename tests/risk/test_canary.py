"""The canary: a supermartingale, its chance of a false alarm computed exactly and by simulation, and how fast it finds harm."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom

from certify.records import Refused
from certify.risk.canary import alarms, log_evidence, thresholds
from certify.theory.binomial import clopper_pearson_lower

rates = st.floats(0.001, 0.9)


def fires(rate: float, limits: list[int]) -> np.ndarray:
    """P(an alarm among the first n samples), n = 0, 1, ..., for independent samples, by dynamic programming: no simulation.

    limits : for each n the fewest failures that raise the alarm.
    """
    chance = np.zeros(len(limits) + 2)
    chance[0] = 1.0
    out = [0.0]
    for n in range(1, len(limits)):
        chance[1:] = (1 - rate) * chance[1:] + rate * chance[:-1]
        chance[0] *= 1 - rate
        out.append(out[-1] + chance[limits[n] :].sum())
        chance[limits[n] :] = 0.0
    return np.array(out)


@pytest.mark.claim("B8-canary")
@given(rate=rates, samples=st.integers(0, 3000), share=st.floats(0, 1), true=st.floats(0, 1))
def test_one_more_sample_is_a_fair_bet_at_the_level_and_a_bad_one_below(
    rate: float, samples: int, share: float, true: float
) -> None:
    """E K after the next sample = K where it fails with chance `rate`, and at most K where with less."""
    k = int(share * samples)
    now, up, down = log_evidence([k, k + 1, k], [samples, samples + 1, samples + 1], rate)
    if not math.isfinite(min(now, up, down)):
        return
    more, less = math.exp(up - now), math.exp(down - now)
    assert math.isclose(rate * more + (1 - rate) * less, 1.0, rel_tol=1e-7)
    assert true * rate * more + (1 - true * rate) * less <= 1.0 + 1e-7
    assert less <= 1.0 + 1e-9 <= more + 2e-9


@pytest.mark.claim("B8-canary")
@given(rate=st.floats(0.01, 0.5), k=st.integers(0, 12), rest=st.integers(0, 30))
def test_the_closed_form_is_the_mixture(rate: float, k: int, rest: int) -> None:
    def bet(q: float) -> float:
        return (q / rate) ** k * ((1 - q) / (1 - rate)) ** rest

    # q = sin(t)^2 takes the density of Beta(1/2, b) to one in proportion to cos(t)^(2 b - 1), 2 b = 1 / rate.
    start, power = math.asin(math.sqrt(rate)), 1 / rate - 1
    found, _ = quad(lambda t: bet(math.sin(t) ** 2) * math.cos(t) ** power, start, math.pi / 2, epsrel=1e-10, limit=200)
    whole, _ = quad(lambda t: math.cos(t) ** power, start, math.pi / 2, epsrel=1e-10, limit=200)
    assert math.isclose(math.exp(float(log_evidence(k, k + rest, rate))), found / whole, rel_tol=1e-6)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_one_failure_never_raises_an_alarm(rate: float) -> None:
    """A prior with more weight far above the level would ring at the first sample that fails."""
    assert not bool(alarms(1, 1, rate, 0.05)) and math.exp(float(log_evidence(1, 1, rate))) < 3


@pytest.mark.claim("B8-canary")
@pytest.mark.parametrize("rate", [0.003, 0.03, 0.3])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_false_alarms_computed_exactly(rate: float, alpha: float) -> None:
    """3,000 looks: at the level the alarm rings with chance at most alpha, below it with less; it is not idle either."""
    limits = list(itertools.islice(thresholds(rate, alpha), 3001))
    at, below = fires(rate, limits)[-1], fires(rate / 2, limits)[-1]
    assert below < at <= alpha
    assert at > alpha / 20
    assert fires(rate / 2, limits)[-1] < alpha / 2


def test_looking_again_and_again_with_a_fixed_size_limit_is_not_allowed() -> None:
    """Negative control: Clopper–Pearson at every sample rings falsely far more often than alpha."""
    rate, alpha, n = 0.05, 0.05, 1000
    limits = [next(k for k in range(s + 2) if k > s or clopper_pearson_lower(k, s, alpha) > rate) for s in range(1, n + 1)]
    assert fires(rate, [1, *limits])[-1] > 3 * alpha
    assert fires(rate, list(itertools.islice(thresholds(rate, alpha), n + 1)))[-1] <= alpha


def test_false_alarms_and_detection_by_simulation() -> None:
    """4,000 streams of 2,000 samples at the level: alarms of at most alpha, up to a chance of 1e-6 that this test fails.

    At twice the level nearly all streams ring, and half of them before 350 samples.
    """
    rate, alpha, streams, length = 0.03, 0.05, 4000, 2000
    limits = np.array(list(itertools.islice(thresholds(rate, alpha), length + 1)))[1:]
    rng = np.random.default_rng(7)

    def first(true: float) -> np.ndarray:
        over = np.cumsum(rng.random((streams, length)) < true, axis=1) >= limits
        return np.where(over.any(axis=1), over.argmax(axis=1) + 1, length + 1)

    assert np.sum(first(rate) <= length) <= binom.ppf(1 - 1e-6, streams, alpha)
    harmed = first(2 * rate)
    assert np.mean(harmed <= length) > 0.99 and np.median(harmed) < 350


@given(rate=rates, alpha=st.floats(0.001, 0.5))
def test_thresholds_are_where_the_alarm_is(rate: float, alpha: float) -> None:
    limits = list(itertools.islice(thresholds(rate, alpha), 80))
    for n, limit in enumerate(limits):
        found = alarms(np.arange(n + 1), n, rate, alpha)
        assert not found[:limit].any() and found[limit:].all()
    steps = np.diff(limits)
    assert np.all((steps >= 0) & (steps <= 1))


@pytest.mark.parametrize(
    ("failures", "samples", "rate", "word"),
    [(2, 1, 0.1, "failures"), (-1, 1, 0.1, "failures"), (0.5, 1, 0.1, "whole"), (0, 1, 0.0, "rate"), (0, 1, 1.0, "rate")],
)
def test_what_cannot_be_watched_is_refused(failures: float, samples: float, rate: float, word: str) -> None:
    with pytest.raises(Refused, match=word):
        log_evidence(failures, samples, rate)
