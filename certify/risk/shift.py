"""What a limit is worth when the population moves: the largest mean of a [0, 1] loss within a radius of a divergence.

        sup {E_Q L : D(Q || P) <= radius}  <=  sup {q : D(Bernoulli(q) || Bernoulli(E_P L)) <= radius}

with equality for a loss of 0 and 1: replace L by a coin of that chance, and D of the coin is at most D of the populations
(data processing). Both limits rise with the rate, so an upper confidence limit of the rate may be put in its place.
The radius is an assumption: nothing here estimates it.
"""

from __future__ import annotations

import math

from certify.theory._arrays import number

STEPS = 200
# A smaller rate counts as this one: ratios of rates stay finite, and the limit only grows.
SMALLEST = 1e-300
# Relative error allowed to each of the two terms, whose difference is the divergence.
SLACK = 1e-14


def kl_shifted(rate: float, radius: float) -> float:
    """Largest mean of a [0, 1] loss over all Q with KL(Q || P) <= radius, P of mean `rate`.

        max {q in [rate, 1] : q log(q / rate) + (1 - q) log((1 - q) / (1 - rate)) <= radius}

    rate   : in [0, 1].    radius : >= 0, nats.
    Returns a rate, rounded up, not smaller than `rate` and rising with it: kl(q || p) falls in p below q. 0 at rate 0: Q
    sees no event that P does not know. Vacuous (1) where radius >= log(1 / rate).
    Claim B6-shift-kl (data processing; inverse of the binary divergence).
    """
    p, r = number(rate, "rate", 0.0, 1.0), number(radius, "radius", 0.0)
    if r == 0.0 or p in (0.0, 1.0):
        return p
    p = max(p, SMALLEST)
    if r >= -math.log(p):
        return 1.0
    low, high = p, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        more, less = middle * math.log1p((middle - p) / p), (1.0 - middle) * math.log1p((p - middle) / (1.0 - p))
        low, high = (middle, high) if more + less <= r + SLACK * more else (low, middle)
    return high


def chi_square_shifted(rate: float, radius: float) -> float:
    """Largest mean of a [0, 1] loss over all Q with E_P (dQ/dP - 1)^2 <= radius, P of mean `rate`.

        min(1, rate + sqrt(radius rate (1 - rate))),   and 1 from rate = 1 / (1 + radius) on

    rate   : in [0, 1].    radius : >= 0.
    Returns a rate, rounded up, not smaller than `rate` and rising with it: the sum peaks at
    (1 + 1 / sqrt(1 + radius)) / 2 >= 1 / (1 + radius). 0 at rate 0. Vacuous (1) from 1 / (1 + radius) on.
    Claim B7-shift-chi-square (data processing; Cauchy–Schwarz gives the same).
    """
    p, r = number(rate, "rate", 0.0, 1.0), number(radius, "radius", 0.0)
    if r == 0.0 or p in (0.0, 1.0):
        return p
    if p * (1.0 + r) >= 1.0:
        return 1.0
    return min(1.0, (p + math.sqrt(r * p * (1.0 - p))) * (1.0 + 4e-16))
