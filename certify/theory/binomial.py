"""Exact limits for a rate, and for the difference of two rates counted on the same samples.

Hypothesis throughout: the n samples are drawn independently from the population the statement is about, and were not
                       used to
choose what is tested. Levels are one-sided.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from scipy.special import bdtr, betainccinv, betaincinv

from certify.records import Refused
from certify.theory._arrays import Array, level, number, whole

# A size beyond this is answered by a refusal: nobody has so many samples.
MOST_SAMPLES = 10**9
SCAN = 1024


def clopper_pearson_upper(k: int, n: int, alpha: float) -> float:
    """Upper confidence limit of a rate, exact in the sense of Clopper and Pearson.

        U(k; alpha) = sup {r : P(Binomial(n, r) <= k) >= alpha},   P(rate <= U) >= 1 - alpha

    k     : observed events, 0 <= k <= n.
    n     : independent samples, >= 1.
    alpha : one-sided error probability in (0, 1).
    Returns a rate; 1 - alpha^(1/n) at k = 0. Vacuous (1) at k = n.
    Claim B1-clopper-pearson (Clopper and Pearson, Biometrika 26, 1934).
    """
    events, samples = _counts(k, n)
    return float(_upper(np.array([events]), np.array([samples]), level(alpha, "alpha"))[0])


def clopper_pearson_lower(k: int, n: int, alpha: float) -> float:
    """Lower confidence limit of a rate, exact in the sense of Clopper and Pearson.

        L(k; alpha) = inf {r : P(Binomial(n, r) >= k) >= alpha} = 1 - U(n - k; alpha)

    k, n, alpha : as in `clopper_pearson_upper`.
    Returns a rate; alpha^(1/n) at k = n. Vacuous (0) at k = 0.
    Claim B1-clopper-pearson (Clopper and Pearson, Biometrika 26, 1934).
    """
    events, samples = _counts(k, n)
    return float(_lower(np.array([events]), np.array([samples]), level(alpha, "alpha"))[0])


def paired_drop_upper(losses: int, gains: int, n: int, alpha: float) -> float:
    """Upper confidence limit of the drop in accuracy between two networks judged on the same samples.

        drop = P(right before, wrong after) - P(wrong before, right after)  <=  U(losses; alpha/2) - L(gains; alpha/2)

    losses : samples right before and wrong after.
    gains  : samples wrong before and right after; losses + gains <= n.
    n      : independent samples, >= 1.
    alpha  : one-sided error probability in (0, 1), shared by the two limits (union bound).
    Returns a difference of rates in [-1, 1]; negative certifies a rise. Vacuous (1) when every sample is a loss.
    Claim B2-paired-drop (Clopper–Pearson limits of the two discordant cells and a union bound).
    """
    lost, samples = _counts(losses, n)
    won, _ = _counts(gains, n)
    if lost + won > samples:
        raise Refused(f"losses, gains: {lost} + {won} of {samples} samples; no sample is both")
    return float(_drop(np.array([lost]), np.array([won]), np.array([samples]), level(alpha, "alpha"))[0])


def samples_needed(rate_wanted: float, alpha: float, expected_rate: float = 0.0) -> int:
    """Smallest number of samples at which the upper limit of a rate is as small as wanted.

        min {n : U(ceil(expected_rate n); alpha) <= rate_wanted}

    rate_wanted   : in (0, 1).
    alpha         : one-sided error probability in (0, 1/2].
    expected_rate : observed rate assumed, in [0, rate_wanted), read as the nearest fraction of denominator <= 10^9.
    Returns n. The limit is a sawtooth in n: a few larger n, just past a whole number of events, can miss it again.
    Refused when no n <= 10^9 suffices.
    Claim B1-clopper-pearson (Clopper and Pearson, Biometrika 26, 1934).
    """
    wanted, error = _strictly_inside(rate_wanted, "rate_wanted"), _small_level(alpha)
    rate = number(expected_rate, "expected_rate", 0.0, 1.0)
    if rate >= wanted:
        raise Refused(f"expected_rate: {rate}; no number of samples brings the limit of such a rate below {wanted}")
    return _smallest(
        lambda n: _upper(_ceiling(rate, n), n, error) <= wanted,
        lambda n: _upper(rate * n, n, error) <= wanted,
    )


def samples_needed_drop(drop_wanted: float, alpha: float, loss_rate: float = 0.0, gain_rate: float = 0.0) -> int:
    """Smallest number of samples at which the upper limit of the accuracy drop is as small as wanted.

        min {n : U(ceil(loss_rate n); alpha/2) - L(floor(gain_rate n); alpha/2) <= drop_wanted}

    drop_wanted          : in (-1, 1); negative asks for a certified rise.
    alpha                : one-sided error probability in (0, 1/2].
    loss_rate, gain_rate : observed shares of the two discordant cells assumed, >= 0, of sum <= 1.
    Returns n, with the sawtooth of `samples_needed`. Refused when no n <= 10^9 suffices.
    Claim B2-paired-drop (Clopper–Pearson limits of the two discordant cells and a union bound).
    """
    wanted, error = number(drop_wanted, "drop_wanted", -1.0, 1.0), _small_level(alpha)
    loss, gain = number(loss_rate, "loss_rate", 0.0, 1.0), number(gain_rate, "gain_rate", 0.0, 1.0)
    if loss + gain > 1.0:
        raise Refused(f"loss_rate, gain_rate: {loss} + {gain}; shares of the same samples sum to at most 1")
    if loss - gain >= wanted:
        raise Refused(f"loss_rate - gain_rate: {loss - gain}; no number of samples brings such a drop's limit below {wanted}")
    return _smallest(
        lambda n: _drop(_ceiling(loss, n), _floor(gain, n), n, error) <= wanted,
        lambda n: _drop(loss * n, gain * n, n, error) <= wanted,
    )


def hoeffding_gap_upper(candidates: int, n: int, delta: float) -> float:
    """Largest gap between measured and population accuracy over networks that were fixed before they were measured.

        P(for all B networks: |measured - population| <= sqrt(log(2 B / delta) / (2 n))) >= 1 - delta

    candidates : B, networks that could have been chosen, >= 1; of an adaptive search, all that it can reach.
    n          : independent samples, >= 1.
    delta      : error probability in (0, 1).
    Returns an accuracy. Vacuous at 1 and above.
    Claim SEL-T8 (Theorem 8 of methods/selection-plateau.md; Hoeffding and a union bound).
    """
    count, samples = whole(candidates, "candidates", 1), whole(n, "n", 1)
    return math.sqrt((math.log(2.0 * count) - math.log(level(delta, "delta"))) / (2.0 * samples))


def noise_maximum(candidates: int, n: int, rate: float) -> float:
    """Expected gain of the best of B networks that are all equally good, each measured on its own n samples.

        E max_b (k_b / n) - r = (1/n) sum_{k < n} (1 - P(Bin(n, r) <= k)^B) - r,   k_b iid Binomial(n, r)

    candidates : B >= 1.
    n          : samples behind each measurement, >= 1.
    rate       : common accuracy r in (0, 1).
    Returns an accuracy, >= 0: what a search "finds" where there is nothing.
    Claim SEL-T8 (Theorem 8 of methods/selection-plateau.md).
    """
    count, samples = whole(candidates, "candidates", 1), whole(n, "n", 1, MOST_SAMPLES // 100)
    below = bdtr(np.arange(samples), samples, level(rate, "rate"))
    return float(np.sum(-np.expm1(count * np.log(below, where=below > 0.0, out=np.full(samples, -np.inf)))) / samples - rate)


def _upper(k: np.ndarray, n: np.ndarray, alpha: float) -> Array:
    """U for arrays; k need not be whole (`_smallest` relaxes it)."""
    inside = np.minimum(k, n - 0.5)
    limit = betainccinv(inside + 1.0, n - inside, alpha)
    return np.where(k >= n, 1.0, np.where(k <= 0, -np.expm1(math.log(alpha) / n), limit))


def _lower(k: np.ndarray, n: np.ndarray, alpha: float) -> Array:
    inside = np.clip(k, 1e-9, n)
    limit = betaincinv(inside, n - inside + 1.0, alpha)
    return np.where(k <= 0, 0.0, np.where(k >= n, np.exp(math.log(alpha) / n), limit))


def _drop(losses: np.ndarray, gains: np.ndarray, n: np.ndarray, alpha: float) -> Array:
    return _upper(losses, n, alpha / 2.0) - _lower(gains, n, alpha / 2.0)


def first_true(holds: Callable[[int], bool]) -> int:
    """A number of samples at which `holds` becomes true, by doubling and bisection: the first, where it then stays true.

    Refused beyond MOST_SAMPLES.
    Claim B1-clopper-pearson (the sizes of splits).
    """
    high = 1
    while not holds(high):
        high *= 2
        if high > MOST_SAMPLES:
            raise Refused(f"the wanted limit needs more than {MOST_SAMPLES} samples")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _smallest(exact: Callable[[np.ndarray], np.ndarray], relaxed: Callable[[np.ndarray], np.ndarray]) -> int:
    """First n with exact(n). `relaxed` ignores the rounding to whole events, so it holds wherever `exact` does, and it
    stays true
    once true: bisect it, then walk over the sawtooth.
    """

    high = first_true(lambda n: bool(relaxed(np.array([n]))[0]))
    while high <= MOST_SAMPLES:
        found = np.flatnonzero(exact(np.arange(high, high + SCAN)))
        if found.size:
            return high + int(found[0])
        high += SCAN
    raise Refused(f"the wanted limit needs more than {MOST_SAMPLES} samples")


def _ceiling(rate: float, n: np.ndarray) -> np.ndarray:
    share = Fraction(rate).limit_denominator(MOST_SAMPLES)
    return -(-share.numerator * n // share.denominator)


def _floor(rate: float, n: np.ndarray) -> np.ndarray:
    share = Fraction(rate).limit_denominator(MOST_SAMPLES)
    return share.numerator * n // share.denominator


def _counts(k: int, n: int) -> tuple[int, int]:
    samples = whole(n, "n", 1)
    return whole(k, "events", 0, samples), samples


def _strictly_inside(value: float, name: str) -> float:
    found = number(value, name)
    if not 0.0 < found < 1.0:
        raise Refused(f"{name}: {found!r}; a rate strictly between 0 and 1 is expected")
    return found


def _small_level(alpha: float) -> float:
    found = level(alpha, "alpha")
    if found > 0.5:
        raise Refused(f"alpha: {found}; sample sizes are planned for error probabilities up to 1/2")
    return found
