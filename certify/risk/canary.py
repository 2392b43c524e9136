"""Watching a rate in production: an alarm that may be looked at after every sample, and rings falsely with chance at most alpha.

The null hypothesis: whatever came before, the next sample fails with probability at most `level`. A portfolio of bets against
it, one for each rate q above the level, is a capital that does not grow on average; by Ville's inequality it ever reaches
1/alpha with probability at most alpha, however often one looks and whenever one stops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaln

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, level, number

# First parameter of the beta law of the rates that are bet on; the second makes their scale that of the level.
PRIOR = 0.5
# Logarithm of capital wanted beyond log(1 / alpha): float64 errors of the logarithms below lie beneath it.
SLACK = 1e-6
# Below it a float64 loses digits: the capital, far below 1 there, counts as 0.
LEAST = 1e-290


def log_evidence(failures: ArrayLike, samples: ArrayLike, rate: float) -> Array:
    """Logarithm of the capital of a portfolio of bets against "the next sample fails with probability at most `rate`".

        K(k, n) = int_rate^1 (q / rate)^k ((1 - q) / (1 - rate))^(n - k) w(q) dq,   w = Beta(a, b) cut to [rate, 1]
                = B(k + a, n - k + b) P(k + a, n - k + b) / (B(a, b) P(a, b)) / (rate^k (1 - rate)^(n - k))
        a = 1/2, b = 1 / (2 rate):   for small rates q / rate is chi-square of one degree of freedom, given that it exceeds 1

    failures, samples : integers 0 <= k <= n, of any shapes that go together; B is the beta function, P(a, b) the chance that a
                        Beta(a, b) variable exceeds `rate`.
    rate              : in (0, 1).
    Returns logarithms, -inf where the capital is too small for float64; 0 at n = 0. Rises with k, as q >= rate.

    Valid: a sample multiplies the integrand by 1 + (q - rate) (x - rate) / (rate (1 - rate)), x in {0, 1}, of conditional
    expectation at most 1 where E[x | past] <= rate. So K is a nonnegative supermartingale from 1, and
    P(some n has K(k_n, n) >= 1/alpha) <= alpha (Ville). Nothing is asked of dependence between samples beyond that.
    Claim B8-canary (mixture of likelihood ratios; Ville 1939, Robbins 1970).
    """
    p = number(rate, "rate", 0.0, 1.0)
    if p in (0.0, 1.0):
        raise Refused(f"rate: {p:g}; a rate inside (0, 1) is expected: at 0 one failure contradicts it, at 1 nothing does")
    k, n = np.broadcast_arrays(np.asarray(failures, dtype=np.float64), np.asarray(samples, dtype=np.float64))
    if np.any((k < 0) | (k > n) | (k != np.floor(k)) | (n != np.floor(n))):
        raise Refused("failures, samples: whole numbers with 0 <= failures <= samples are expected")
    a, b = PRIOR, PRIOR / p
    tail = betaincc(k + a, n - k + b, p)
    with np.errstate(divide="ignore"):
        above = np.log(np.where(tail < LEAST, 0.0, tail)) - math.log(betaincc(a, b, p))
    return betaln(k + a, n - k + b) - betaln(a, b) + above - k * math.log(p) - (n - k) * math.log1p(-p)


def alarms(failures: ArrayLike, samples: ArrayLike, rate: float, alpha: float) -> NDArray[np.bool_]:
    """Truth values: K(k, n) >= 1/alpha. On a stream that keeps the rate, ever: with chance at most alpha. Claim B8-canary."""
    return log_evidence(failures, samples, rate) >= SLACK - math.log(level(alpha, "alpha"))


def thresholds(rate: float, alpha: float) -> Iterator[int]:
    """For n = 0, 1, 2, ...: the fewest failures among n samples that raise the alarm; n + 1 where even n failures do not.

    Never falls, and from one n to the next it rises by at most 1: one more failure is worth at least one more sample.
    Claim B8-canary.
    """
    wanted, n = 1, 0
    while True:
        while wanted <= n and not bool(alarms(wanted, n, rate, alpha)):
            wanted += 1
        yield wanted
        n += 1
