"""What is known of one activation along the segment: a piecewise linear centre and two errors per interval.

Every bound here is a sum of products of numbers >= 0, evaluated in float64 and then enlarged. A term that passed at most k
roundings is at least (1 - u)^k of its exact value, so that a factor 1 + 4 (k + 8) u (itself a float64 for k < 2^40) more than
makes up for them; what underflow takes is below k 2^-1074 and is covered by adding 2^-1000.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from certify.theory._arrays import Array
from certify.theory.outward._rounding import UNIT, gamma, up

# Of float64 numbers in the proof, of fractions in the rational road.
Values = npt.NDArray[Any]
# Far below any logit and far above what underflow can take, and still a normal number after a product with a weight.
TINY = 2.0**-1000


class Tube(NamedTuple):
    """An activation a(theta) on the intervals of the knots t_0 < ... < t_m, and the straight lines c between the knots.

        |a(theta) - c(theta)| <= rem          on the interval
        int |a' - c'| dtheta  <= drift        over the interval

    centre : (m + 1, ...) values of c at the knots; (1, ...) for an activation that does not move.
    rem, drift : (m, ...) or (1, ...), >= 0, of the same trailing shape.
    """

    centre: Array
    rem: Array
    drift: Array

    @property
    def ends(self) -> tuple[Array, Array]:
        """Left and right values of the centre on each interval."""
        if len(self.centre) == 1:
            return self.centre, self.centre
        return self.centre[:-1], self.centre[1:]


def tube(centre: Array, rem: Array, drift: Array) -> Tube:
    """A tube; what stands still has no drift."""
    return Tube(centre, rem, np.zeros_like(rem) if len(centre) == 1 else drift)


def outward(value: Array, roundings: int) -> Array:
    """At least the exact value of a sum of products of numbers >= 0 that passed at most this many roundings per term."""
    return value * (1.0 + 4.0 * (roundings + 8) * UNIT) + TINY


@lru_cache(maxsize=1024)
def gamma_up(count: int) -> float:
    """k u / (1 - k u), rounded up."""
    return up(gamma(count), "gamma")
