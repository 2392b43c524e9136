"""Upper limits for a mean by betting against every smaller claim: for bounded differences judged on the same samples.

A gambler who bets that the mean is below m cannot expect to win if it is not; capital 1/alpha is evidence at level alpha.
All of it rests on samples drawn independently from the population the statement is about, in an order fixed before they
were looked at, and not used to choose what is tested. Waudby-Smith and Ramdas, J. R. Stat. Soc. B 86 (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, finite, level, number, whole

# Of 1 / (1 - m), so that one sample never takes all the capital.
MOST_STAKED = 0.75
# Logarithm of capital wanted beyond log(1 / alpha): float64 errors of the sums lie below it.
SLACK = 1e-9
STEPS = 60


def betting_upper(values: ArrayLike, low: float, high: float, alpha: float) -> float:
    """Upper confidence limit of the mean of a bounded quantity by predictable plug-in bets.

        U = inf {m : max_t K_t(m) >= 1/alpha},   K_t(m) = prod_{i <= t} (1 - s_i(m) (y_i - m)),   P(mean <= U) >= 1 - alpha
        y_i = (x_i - low) / (high - low),   s_i(m) = min(s_i, c / (1 - m)),   s_i = sqrt(2 log(1/alpha) / (n v_{i-1}))

    values    : (n,) in [low, high], in stored order; v_{i-1} estimates the variance from the first i - 1 alone.
    low, high : finite range known before the samples were seen.
    alpha     : one-sided error probability in (0, 1).
    Returns a mean in [low, high]; bisection, rounded up. Vacuous (high) from no sample, or when every value is high.

    Valid: if the mean is at least m, each factor has conditional expectation at most 1, so K(m) is a nonnegative
    supermartingale from 1 and P(max_t K_t(m) >= 1/alpha) <= alpha (Ville). Monotone, so bisection finds U: where
    s_i(m) = s_i, the factor 1 - s_i y_i + s_i m rises with m; where s_i(m) = c / (1 - m), it is
    1 - c + c (1 - y_i) / (1 - m) and rises since y_i <= 1; the pieces meet, and both are positive (c < 1). Products
    and the maximum over t of positive rising functions rise.
    Claim B3-betting (Waudby-Smith and Ramdas, 2024, Theorem 3, one side).
    """
    a, b, error = number(low, "low"), number(high, "high"), level(alpha, "alpha")
    y = unit_range(values, a, b)
    if not y.size:
        return b
    mean = _smallest_rejected(lambda m: float(log_capital(y, m, error)) >= SLACK - math.log(error))
    return min(b, math.nextafter(a + (b - a) * mean, math.inf))


def increase_upper(increases: ArrayLike, low: float, high: float, alpha: float) -> float:
    """Upper confidence limit of the mean increase in cross-entropy, where its range is known beforehand.

        betting_upper(increases, low, high, alpha) for a finite range, infinite otherwise

    increases : (n,) nats per sample, in stored order.
    low, high : range the final normalisation allows for one sample, not the range seen. Logits without an a-priori bound
                have none: pass an infinity.
    alpha     : one-sided error probability in (0, 1).
    Returns nats. Vacuous: `high` from no sample, and infinite where the range is.
    Claim B3-betting.
    """
    error = level(alpha, "alpha")
    found = finite(np.asarray(increases, dtype=np.float64), "increases")
    if math.isnan(low) or math.isnan(high) or math.isinf(low) or math.isinf(high):
        return math.inf
    return betting_upper(found, low, high, error)


def drop_betting_upper(losses: int, gains: int, n: int, alpha: float) -> float:
    """Upper confidence limit of the paired accuracy drop by a portfolio of constant bets: counts are enough, order is nothing.

        U = inf {d : K(d) >= 1/alpha}
        K(d) = mean_c (1 - c)^losses (1 + c d/(1 - d))^(n - losses - gains) (1 + c (1 + d)/(1 - d))^gains

    losses, gains, n : as in `certify.theory.binomial.paired_drop_upper`; n may be 0.
    alpha            : one-sided error probability in (0, 1); fixes with n the fractions c = 1, 1/2, 1/4, ... .
    Returns a difference of rates in [-1, 1]. Vacuous (1) from no sample, or when every sample is a loss.

    Valid: a sample multiplies the capital of fraction c by 1 - c (x - d) / (1 - d), x = 1, 0, -1, of expectation at most
    1 if the drop is at least d; so E K(d) <= 1 (Markov). Monotone in d: 1/(1 - d), d/(1 - d) and (1 + d)/(1 - d) rise.
    Claim B4-betting-drop (constant bets of Waudby-Smith and Ramdas, 2024; mixture over fractions after Cover).
    """
    counts, error = _discordant(losses, gains, n), level(alpha, "alpha")
    if counts[2] == 0:
        return 1.0
    mean = _smallest_rejected(lambda m: float(log_portfolio(*counts, 2.0 * m - 1.0, error)) >= SLACK - math.log(error))
    return min(1.0, math.nextafter(2.0 * mean - 1.0, math.inf))


def drop_p_value(losses: int, gains: int, n: int, wanted: float, alpha: float) -> float:
    """p-value of "the paired accuracy drop is at least `wanted`", by the portfolio of `drop_betting_upper`.

        min(1, 1 / K(wanted)),   P(p <= a) <= a for every a in (0, 1)

    wanted : drop in [-1, 1); alpha : level in (0, 1) at which it will be used, which only tunes the fractions.
    Returns a probability; 1 from no sample.
    Claim B4-betting-drop.
    """
    counts, drop, error = _discordant(losses, gains, n), number(wanted, "wanted", -1.0, 1.0), level(alpha, "alpha")
    if counts[2] == 0 or drop == 1.0:
        return 1.0
    return float(min(1.0, math.exp(min(0.0, SLACK - float(log_portfolio(*counts, drop, error))))))


def log_capital(y: Array, mean: float, alpha: float) -> Array:
    """max_t log K_t(mean) of `betting_upper`; y : (..., n) in [0, 1], one row per set of samples; mean in [0, 1)."""
    n = y.shape[-1]
    count = np.arange(1, n + 1)
    centre = (0.5 + np.cumsum(y, axis=-1)) / (count + 1)
    spread = (0.25 + np.cumsum((y - centre) ** 2, axis=-1)) / (count + 1)
    # Sample i is staked by what samples 1 .. i - 1 have shown.
    before = np.concatenate([np.full_like(spread[..., :1], 0.25), spread[..., :-1]], axis=-1)
    stake = np.minimum(np.sqrt(-2.0 * math.log(alpha) / (n * before)), MOST_STAKED / (1.0 - mean))
    return np.cumsum(np.log1p(-stake * (y - mean)), axis=-1).max(axis=-1)


def log_portfolio(losses: ArrayLike, gains: ArrayLike, n: int, drop: float, alpha: float) -> Array:
    """log K(drop) of `drop_betting_upper`; losses, gains : arrays of counts of one shape; n >= 1; drop in [-1, 1)."""
    lost, won = (np.asarray(each, dtype=np.float64)[..., None] for each in (losses, gains))
    share = fractions(n, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [
            np.where(count > 0, count * np.log1p(share * edge), 0.0)
            for count, edge in ((lost, -1.0), (won, (1.0 + drop) / (1.0 - drop)), (n - lost - won, drop / (1.0 - drop)))
        ]
    total = terms[0] + terms[1] + terms[2]
    return np.logaddexp.reduce(total, axis=-1) - math.log(share.size)


def fractions(n: int, alpha: float) -> Array:
    """1, 1/2, 1/4, ... down to the best fraction for differences of variance 1, sqrt(2 log(1/alpha) / n)."""
    least = min(1.0, math.sqrt(-2.0 * math.log(alpha) / n))
    return 2.0 ** -np.arange(math.floor(-math.log2(least)) + 1.0)


def unit_range(values: ArrayLike, low: float, high: float) -> Array:
    """(n,) values of [low, high] as (values - low) / (high - low)."""
    if not low < high:
        raise Refused(f"low, high: {low} and {high}; a range with low below high is expected")
    found = finite(np.asarray(values, dtype=np.float64), "values")
    if found.ndim != 1:
        raise Refused(f"values: shape {found.shape}; one value per sample is expected")
    if found.size and (found.min() < low or found.max() > high):
        raise Refused(f"values: from {found.min()} to {found.max()}; the range stated beforehand is [{low}, {high}]")
    return np.clip((found - low) / (high - low), 0.0, 1.0)


def _smallest_rejected(rejected: Callable[[float], bool]) -> float:
    """The upper end of a bracket of the smallest rejected mean in [0, 1]; 1 where none is."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if middle < 1.0 and rejected(middle) else (middle, high)
    return high


def _discordant(losses: int, gains: int, n: int) -> tuple[int, int, int]:
    samples = whole(n, "n", 0)
    lost, won = whole(losses, "losses", 0, samples), whole(gains, "gains", 0, samples)
    if lost + won > samples:
        raise Refused(f"losses, gains: {lost} + {won} of {samples} samples; no sample is both")
    return lost, won, samples
