"""Which singular values stand beyond the bulk, and how surprising each is."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.special import airy

from certify.laws.tracy_widom import TracyWidom
from certify.laws.wishart import symmetric_edge
from certify.spectra.values import Array

# p-values are not stated below the smallest normal number of float64: no model of a layer is true to that depth.
FLOOR = float(np.finfo(np.float64).tiny)
# log sf by Chebyshev between LOW and HIGH (relative error below 2e-8), by the first trace of the determinant above HIGH.
# Beyond FAR the tail is 0 in float64.
LOW, HIGH, FAR, NODES, LAGUERRE = -6.0, 12.0, 200.0, 40, 24


def spike_p_values(spikes: Array, rows: int, cols: int, entry_variance: float) -> Array:
    """p-value of each spike: the chance that the largest singular value of the noise left beside the larger ones exceeds it.

        p_i = 1 - F_1((s_i^2 / v - mu) / tau),   mu and tau of `symmetric_edge` for the shape (rows - i + 1, cols - i + 1)

    spikes         : (k,) singular values, largest first.
    rows, cols     : shape of the layer, k <= min(rows, cols).
    entry_variance : v > 0, fitted to the bulk.
    Returns (k,) in [2.2e-308, 1]. Asymptotic in min(rows, cols); iid noise with four moments, v taken as known. Its centring
    is of second order, that of the edge of first order, so a value on the edge of level beta has a p-value slightly below beta.
    Claim M7-wishart-edge (Ma, Bernoulli 18, 2012).
    """
    left = [symmetric_edge(rows - index, cols - index, entry_variance) for index in range(len(spikes))]
    standard = np.array([(s * s - edge.centre) / edge.scale for s, edge in zip(spikes, left, strict=True)])
    return np.maximum(upper_tail(standard), FLOOR)


def upper_tail(x: Array) -> Array:
    """1 - F_1 of the Tracy–Widom law for real matrices at many points.

        1 - det(I - A_x) = exp(Chebyshev series of its logarithm) on [-6, 12],
        = tr A_x (1 + O(tr A_x)) = (1/2) int_x^inf Ai beyond, where tr A_x < 1e-13,   1 below -6 (within 1e-6)

    x : any shape.
    Returns probabilities, relative error below 1e-7 against `TracyWidom(1).sf`, which costs milliseconds a point.
    Claim M7-tracy-widom (Ferrari and Spohn 2005).
    """
    x = np.asarray(x, dtype=np.float64)
    inside = np.exp(np.minimum(_series()(np.clip(x, LOW, HIGH)), 0.0))
    found = np.where(x < LOW, 1.0, inside)
    found[x > HIGH] = _first_trace(np.minimum(x[x > HIGH], FAR))
    return found


@cache
def _series() -> Chebyshev:
    law = TracyWidom(1)
    return Chebyshev.interpolate(lambda s: np.log(law.sf(s)), NODES - 1, domain=[LOW, HIGH])


@cache
def _laguerre() -> tuple[Array, Array]:
    return np.polynomial.laguerre.laggauss(LAGUERRE)


def _first_trace(x: Array) -> Array:
    """(1/2) int_x^inf Ai(y) dy by Gauss–Laguerre in y = x + t / sqrt x, where Ai falls like exp(-t)."""
    nodes, weights = _laguerre()
    root = np.sqrt(x)[..., None]
    with np.errstate(under="ignore"):
        integrand = airy(x[..., None] + nodes / root)[0] * np.exp(nodes) / root
    return 0.5 * integrand @ weights
