"""Limits by a second derivation: each solves the equation that defines it, where the producing code evaluates its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom

LARGEST = 1 - 2.0**-53
# Bets stop where the logarithm of capital is log(1/alpha) and this, so that rounding never rejects too early.
LATE = 1e-9


def upper_limit(count: int, size: int, alpha: float) -> float:
    """The share p at which `count` or fewer of `size` events have probability alpha; 1 when every sample is an event.

    The binomial tail equation itself, summed in logarithms, instead of the beta quantile it is equivalent to.
    """
    if count == size:
        return 1.0
    if count == 0:
        return -math.expm1(math.log(alpha) / size)
    return _solve(np.arange(count + 1), size, alpha, count / size, 1.0)


def lower_limit(count: int, size: int, alpha: float) -> float:
    """The share p at which `count` or more of `size` events have probability alpha; 0 when there was no event."""
    if count == 0:
        return 0.0
    if count == size:
        return math.exp(math.log(alpha) / size)
    return _solve(np.arange(count, size + 1), size, alpha, 0.0, count / size)


def _solve(events: np.ndarray, size: int, alpha: float, low: float, high: float) -> float:
    """The p in (low, high) at which `events` have probability alpha together.

    At 0 and 1 the log-tail is infinite, so they are approached, not evaluated. A root beyond the observed share (alpha
    above about one half) opens the bracket to the whole interval.
    """

    def tail(p: float) -> float:
        terms = binom.logpmf(events, size, p)
        top = float(terms.max())
        return top + math.log(math.fsum(np.exp(terms - top))) - math.log(alpha)

    smallest, largest = 1e-300, LARGEST
    ends = max(low, smallest), min(high, largest)
    if tail(ends[0]) * tail(ends[1]) > 0:
        ends = smallest, largest
    root: Any = brentq(tail, *ends, xtol=1e-18, rtol=4 * np.finfo(np.float64).eps, maxiter=2000)
    return float(root)


def rate_tail(count: int, size: int, rate: float) -> float:
    """P(Bin(size, rate) <= count), term by term from the largest down."""
    if count >= size or rate == 0:
        return 1.0
    return min(1.0, math.fsum(sorted(binom.pmf(np.arange(count + 1), size, rate), reverse=True)))


def bets(size: int, alpha: float) -> list[float]:
    """1, 1/2, 1/4, ... while not below sqrt(2 log(1/alpha) / size)."""
    found = [1.0]
    while found[-1] / 2 >= math.sqrt(2 * math.log(1 / alpha) / size):
        found.append(found[-1] / 2)
    return found


def log_wealth(losses: int, gains: int, size: int, drop: float, alpha: float) -> float:
    """Log of the mean capital of the bets against "the drop is at least `drop`", paid out sample by sample.

    A sample x in {1, 0, -1} multiplies the capital of fraction c by 1 - c (x - drop) / (1 - drop).
    """
    logs = []
    for share in bets(size, alpha):
        total = 0.0
        for number, x in ((losses, 1), (size - losses - gains, 0), (gains, -1)):
            factor = 1 - share * (x - drop) / (1 - drop)
            total += (number * math.log(factor) if factor > 0 else -math.inf) if number else 0.0
        logs.append(total)
    top = max(logs)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(each - top) for each in logs) / len(logs))


def drop_limit(losses: int, gains: int, size: int, alpha: float) -> float:
    """The drop at which the bets' mean capital is 1/alpha; 1 where every sample is a loss."""
    if losses == size:
        return 1.0

    def missing(drop: float) -> float:
        return max(-1e300, log_wealth(losses, gains, size, drop, alpha) + math.log(alpha) - LATE)

    if missing(LARGEST) <= 0:
        return 1.0
    root: Any = brentq(missing, -1.0, LARGEST, xtol=1e-15, maxiter=2000)
    return float(root)


def drop_tail(losses: int, gains: int, size: int, drop: float, alpha: float) -> float:
    """One over the bets' mean capital against "the drop is at least `drop`", at most 1."""
    wealth = log_wealth(losses, gains, size, drop, alpha)
    return 1.0 if wealth <= LATE else math.exp(LATE - wealth)


def increase_limit(values: Sequence[float], low: float, high: float, alpha: float) -> float:
    """The mean at which the largest capital of the plug-in bets is 1/alpha; `high` where none is.

    Sample i, scaled to [0, 1], is staked by the spread of those before it: min(sqrt(2 log(1/alpha) / (n v)), 0.75 / (1 - m)).
    """
    scaled = [(value - low) / (high - low) for value in values]
    stakes, total, spread = [], 0.5, 0.25
    for place, value in enumerate(scaled, start=1):
        stakes.append(math.sqrt(2 * math.log(1 / alpha) / (len(scaled) * spread / place)))
        total += value
        spread += (value - total / (place + 1)) ** 2
    y, stake = np.array(scaled), np.array(stakes)

    def missing(mean: float) -> float:
        capital = np.add.accumulate(np.log(1 - np.minimum(stake, 0.75 / (1 - mean)) * (y - mean)))
        return float(capital.max()) + math.log(alpha) - LATE

    if missing(LARGEST) <= 0:
        return high
    if missing(0.0) >= 0:
        return low
    root: Any = brentq(missing, 0.0, LARGEST, xtol=1e-15, maxiter=2000)
    return low + (high - low) * float(root)


def loss_ceiling(weight: np.ndarray, bias: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> float:
    """Largest cross-entropy of a linear head on gamma * n + beta, for n of sum 0 and length at most sqrt(d), pair by pair.

    Widened by one part in a thousand and 0.001 nats for float32, as the producer does.
    """
    worst, size = 0.0, weight.shape[1]
    for row, own in zip(weight, bias, strict=True):
        slope = (weight - row) * gamma
        length = np.sqrt(np.maximum(0.0, (slope**2).sum(axis=1) - slope.sum(axis=1) ** 2 / size))
        reach = math.sqrt(size) * length + (weight - row) @ beta + bias - own
        worst = max(worst, float(reach.max()) + math.log(math.fsum(np.exp(reach - reach.max()))))
    return worst * 1.001 + 0.001


def within_kl(rate: float, radius: float) -> float:
    """Largest rate within a Kullback–Leibler radius, by duality: inf over t > 0 of (log(1 - p + p e^t) + radius) / t."""
    if rate in (0.0, 1.0) or radius == 0:
        return rate

    def dual(log_t: float) -> float:
        t = math.exp(log_t)
        return (float(np.logaddexp(math.log1p(-rate), math.log(rate) + t)) + radius) / t

    found: Any = minimize_scalar(dual, bounds=(-25.0, 25.0), method="bounded", options={"xatol": 1e-12, "maxiter": 2000})
    return max(rate, min(1.0, float(found.fun)))


def within_chi_square(rate: float, radius: float) -> float:
    """Largest rate whose coin has chi-square divergence `radius` from the coin of `rate`."""
    if rate in (0.0, 1.0) or radius == 0:
        return rate

    def missing(q: float) -> float:
        return (q - rate) ** 2 / rate + (rate - q) ** 2 / (1 - rate) - radius

    if missing(1.0) <= 0:
        return 1.0
    root: Any = brentq(missing, rate, 1.0, xtol=1e-18, rtol=4 * np.finfo(np.float64).eps, maxiter=2000)
    return float(root)
