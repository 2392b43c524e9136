"""Hard thresholds on noisy weights: which entries survive, and what a magnitude mask removes from Gaussian ones."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import erf, gammainc, log_ndtr, ndtr

from certify.theory._arrays import Array, ArrayLike, finite, number, representable
from certify.theory.gaussian import gaussian_multiplier


def support_threshold(rows: int, cols: int, entry_variance: float, delta: float, method: str = "sidak") -> float:
    """The threshold that no entry of Gaussian noise passes.

        P(max_ij |R_ij| <= t) >= 1 - delta,   t = sqrt(entry_variance) gaussian_multiplier(rows, cols, delta, method)

    Then, for W = S + R, {|S_ij| > 2 t} is contained in {|W_ij| > t}, and that in the support of S. `paper` is the published
    t; `sidak` is t*, at which the probability is exactly 1 - delta.
    Hypotheses: R_ij independent N(0, entry_variance), S fixed or independent of R.
    rows, cols     : shape, >= 1.
    entry_variance : >= 0; 0 gives t = 0.
    delta          : error probability in (0, 1).
    method         : of `gaussian_multiplier`.
    Returns weight units.
    Claim ESM1-T3.20-threshold, X28-threshold-exact (Theorem 3.20 of Online Resource 1 of arXiv:2606.02608).
    """
    deviation = math.sqrt(number(entry_variance, "entry_variance", 0.0))
    return deviation * gaussian_multiplier(rows, cols, delta, method)


def above_threshold(weights: ArrayLike, threshold: float) -> np.ndarray:
    """The support after hard thresholding.

        supp H_t(W) = {(i, j) : |W_ij| > t}

    weights   : (rows, cols) W.
    threshold : t >= 0; an entry of size t is removed.
    Returns (rows, cols) bool.
    Claim ESM1-T3.20-threshold (Theorem 3.20 of Online Resource 1 of arXiv:2606.02608).
    """
    return np.abs(finite(weights, "weights", (None, None))) > number(threshold, "threshold", 0.0)


def miss_probability(signal: ArrayLike, threshold: float, entry_variance: float) -> Array:
    """Chance that a noisy entry is cut by a threshold.

        P(|S_ij + R_ij| <= t) = Phi((t - |S_ij|) / sigma) - Phi((-t - |S_ij|) / sigma)

    Hypotheses: R_ij ~ N(0, sigma^2), independent of S.
    signal         : S, any shape.
    threshold      : t >= 0.
    entry_variance : sigma^2 >= 0; at 0 the answer is 0 or 1.
    Returns the shape of signal, in [0, 1].
    Claim X28-threshold-exact (Section 6 of theory/mp-certificates.md).
    """
    size, t = np.abs(finite(signal, "signal")), number(threshold, "threshold", 0.0)
    sigma = math.sqrt(number(entry_variance, "entry_variance", 0.0))
    if sigma == 0.0:
        return np.where(size <= t, 1.0, 0.0)
    with np.errstate(over="ignore"):
        return ndtr((t - size) / sigma) - ndtr(-(t + size) / sigma)


class ThresholdMoments(NamedTuple):
    """Removed fraction, E R_ij^2 and E |R_ij| of a Gaussian matrix cut to its small entries.

    Claim X22-magnitude-threshold.
    """

    fraction: float
    square: float
    absolute: float


def threshold_moments(kappa: float, entry_variance: float) -> ThresholdMoments:
    """Moments of what a magnitude threshold removes from Gaussian weights.

        R = A 1{|A| <= kappa sigma}:  P(R != 0) = erf(kappa / sqrt 2),   E|R_ij| = sigma sqrt(2 / pi) (1 - exp(-kappa^2 / 2)),
        E R_ij^2 = sigma^2 (erf(kappa / sqrt 2) - kappa sqrt(2 / pi) exp(-kappa^2 / 2)) = sigma^2 P(chi^2_3 <= kappa^2)

    Hypotheses: A_ij iid N(0, sigma^2).
    kappa          : threshold in standard deviations of A, >= 0.
    entry_variance : sigma^2 of A before the cut, >= 0.
    Returns the three numbers, without cancellation for small kappa.
    Claim X22-magnitude-threshold (Section 6 of theory/mp-certificates.md).
    """
    cut, variance = number(kappa, "kappa", 0.0), number(entry_variance, "entry_variance", 0.0)
    half = min(cut, 1e3) ** 2 / 2.0
    absolute = math.sqrt(variance) * math.sqrt(2.0 / math.pi) * -math.expm1(-half)
    return ThresholdMoments(float(erf(cut / math.sqrt(2.0))), variance * float(gammainc(1.5, half)), absolute)


def threshold_moment_generating(t: ArrayLike, kappa: float, entry_variance: float) -> Array:
    """Moment generating function of what a magnitude threshold removes, and why C1.4 serves it with c = 1/2.

        E exp(t R_ij) = erfc(kappa / sqrt 2) + exp(s^2 / 2) (Phi(kappa - s) - Phi(-kappa - s)) <= exp(s^2 / 2),   s = t sigma

    so `subgaussian_multiplier` applies with c = 1/2 and the variance of A before the cut.
    Hypotheses: those of `threshold_moments`.
    t                     : any shape, per weight unit.
    kappa, entry_variance : as in `threshold_moments`.
    Returns the shape of t. Refused where the exponential overflows.
    Claim X22-magnitude-threshold (Section 6 of theory/mp-certificates.md).
    """
    cut, sigma = number(kappa, "kappa", 0.0), math.sqrt(number(entry_variance, "entry_variance", 0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        s = representable(np.abs(finite(t, "t")) * sigma, "t sigma")
        inside = np.exp(s * s / 2.0 + log_ndtr(cut - s)) - np.exp(s * s / 2.0 + log_ndtr(-cut - s))
        return representable(2.0 * ndtr(-cut) + inside, "moment generating function")
