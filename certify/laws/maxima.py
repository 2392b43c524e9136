"""The largest of n absolute values of independent standard Gaussian numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erfc, ndtri

from certify.laws._checks import Array, check_size, points, shares

# Beyond HIGH a Gaussian number has no mass that float64 can count for 1e15 of them.
HIGH, PANELS, NODES = 40.0, 400, 12


@dataclass(frozen=True)
class MaxAbsGaussian:
    """Law of max_(i <= n) |Z_i|, Z_i independent N(0, 1).

        P(max <= x) = erf(x / sqrt 2)^n,   m_n = E max = int_0^inf (1 - erf(x / sqrt 2)^n) dx <= sqrt(2 log 2n)

    count : n >= 1.
    Methods follow scipy: pdf, cdf, sf, ppf, isf, mean, var, support.
    Claim M9-max-gaussian (Section 7 of theory/mp-certificates.md; the mean bound holds for n >= 1).
    """

    count: int

    def __post_init__(self) -> None:
        check_size(self.count, "count")

    def support(self) -> tuple[float, float]:
        """The half line."""
        return 0.0, math.inf

    def cdf(self, x: npt.ArrayLike) -> Array:
        """exp(n log(1 - erfc(x / sqrt 2))); 0 for x <= 0."""
        return np.where(points(x) <= 0.0, 0.0, np.exp(self._log(x)))

    def sf(self, x: npt.ArrayLike) -> Array:
        """P(max > x), to relative accuracy also where it is small."""
        return np.where(points(x) <= 0.0, 1.0, -np.expm1(self._log(x)))

    def pdf(self, x: npt.ArrayLike) -> Array:
        """n sqrt(2 / pi) exp(-x^2 / 2) erf(x / sqrt 2)^(n - 1) on x >= 0."""
        x = points(x)
        rest = np.exp(self._log(x) * ((self.count - 1) / self.count)) if self.count > 1 else np.ones_like(x)
        return np.where(x < 0.0, 0.0, self.count * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * x * x) * rest)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """The point with cdf q: the normal quantile of tail (1 - q^(1/n)) / 2."""
        with np.errstate(divide="ignore"):
            return -ndtri(-0.5 * np.expm1(np.log(shares(q)) / self.count)) + 0.0

    def isf(self, q: npt.ArrayLike) -> Array:
        """The point with sf q, to relative accuracy for small q."""
        with np.errstate(divide="ignore"):
            return -ndtri(-0.5 * np.expm1(np.log1p(-shares(q)) / self.count)) + 0.0

    def mean(self) -> float:
        """m_n by Gauss–Legendre panels; sqrt(2 / pi) for n = 1."""
        x, weights = _panels()
        return float(weights @ self.sf(x))

    def var(self) -> float:
        """E max^2 - m_n^2 = 2 int x sf - m_n^2."""
        x, weights = _panels()
        return float(2.0 * (weights * x) @ self.sf(x)) - self.mean() ** 2

    def _log(self, x: npt.ArrayLike) -> Array:
        with np.errstate(divide="ignore"):
            return self.count * np.log1p(-erfc(np.maximum(points(x), 0.0) / math.sqrt(2.0)))


def _panels() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    width = HIGH / PANELS
    starts = width * np.arange(PANELS)
    return (starts[:, None] + 0.5 * width * (nodes + 1.0)).ravel(), np.tile(0.5 * width * weights, PANELS)
