"""The Tracy–Widom laws, beta = 1, 2, 4: how the largest eigenvalue fluctuates about the bulk's edge.

No table: the two packages on PyPI share one whose tail is off by 4 to 24 %. All three laws come from the eigenvalues mu_j
of one symmetric operator, whose discretisation converges exponentially because the Airy kernel is entire:

    A_t on L^2(0, inf),   A_t(x, y) = Ai(x + y + t),   D(-) = det(I - A_t),   D(+) = det(I + A_t)

    F_1(t) = D(-)      F_2(t) = D(-) D(+) = det(I - A_t^2)      F_4(t / sqrt 2) = (D(-) + D(+)) / 2

A_t^2 is the Airy kernel on (t, inf). The last argument fixes the normalisation of beta = 4: that of Bornemann (2010), mean
-2.306884893241; sqrt 2 times it (mean -3.2624) and 2^(-1/6) times it (mean -2.0552, the stochastic Airy operator) are
also in use. Determinants are exp of sums of log1p, so an upper tail is -expm1 of one sum and keeps its relative accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.special import airy

from certify.laws._checks import Array, points
from certify.records import Refused

# Below LOW the mass of each law is under 1e-21; above HIGH under 1e-120.
LOW, HIGH = -10.0, 60.0
# Gauss–Legendre nodes; CHECK is the smaller rule that the error estimate compares with.
NODES, CHECK = 56, 44
# The operator is cut where (2/3)(x^(3/2) - t^(3/2)) passes 2/3 of this: kernel below 1e-18 of its size at the corner.
REACH = 64.0
# Rounding of the determinants: eigenvalues and Airy functions, measured against tables of 16 digits.
ROUNDING = 2e-15

# Mean, variance, skewness, excess kurtosis (Bornemann, Markov Process. Related Fields 16, 2010).
MOMENTS = {
    1: (-1.2065335745820, 1.607781034581, 0.29346452408, 0.1652429384),
    2: (-1.771086807411, 0.8131947928329, 0.224084203610, 0.0934480876),
    4: (-2.306884893241, 0.5177237207726, 0.16550949435, 0.0491951565),
}


@dataclass(frozen=True)
class TracyWidom:
    """The Tracy–Widom law of real (beta = 1), complex (2) or quaternion (4) matrices, in the manner of a frozen scipy law.

        F_1(s) = D(-)(s),   F_2(s) = D(-)(s) D(+)(s),   F_4(s) = (D(-) + D(+))(sqrt 2 s) / 2

    beta : 1, 2 or 4; the normalisations are the module's.
    Methods: cdf and pdf to 1e-13 absolute, sf to 1e-10 relative (down to 1e-100), ppf, isf, mean, var, std, skewness,
    kurtosis (excess), median, rvs; `error` estimates the truncation of the quadrature at a point.
    Claim M7-tracy-widom, M7-tracy-widom-2, M7-tracy-widom-4 (Ferrari and Spohn 2005; Bornemann 2010).
    """

    beta: int

    def __post_init__(self) -> None:
        if self.beta not in MOMENTS or isinstance(self.beta, bool):
            raise Refused(f"beta: {self.beta!r}; 1 (real), 2 (complex) or 4 (quaternion) is expected")

    def support(self) -> tuple[float, float]:
        """The whole line."""
        return -math.inf, math.inf

    def mean(self) -> float:
        """To 13 digits (Bornemann 2010)."""
        return MOMENTS[self.beta][0]

    def var(self) -> float:
        """To 13 digits (Bornemann 2010)."""
        return MOMENTS[self.beta][1]

    def std(self) -> float:
        """Root of the variance."""
        return math.sqrt(self.var())

    def skewness(self) -> float:
        """To 11 digits (Bornemann 2010)."""
        return MOMENTS[self.beta][2]

    def kurtosis(self) -> float:
        """Excess kurtosis, to 10 digits (Bornemann 2010)."""
        return MOMENTS[self.beta][3]

    def median(self) -> float:
        """The point of mass one half."""
        return _quantile(self.beta, 0.5, False)

    def cdf(self, s: npt.ArrayLike) -> Array:
        """P(X <= s), to 1e-13 absolute; 0 for s <= -10, where less than 1e-21 is left."""
        return self._over(s, 0, 0.0, 1.0)

    def sf(self, s: npt.ArrayLike) -> Array:
        """P(X > s), to 1e-10 relative; 0 for s >= 60, where less than 1e-120 is left."""
        return self._over(s, 1, 1.0, 0.0)

    def pdf(self, s: npt.ArrayLike) -> Array:
        """Density, to 1e-13 absolute, and to 1e-10 relative in the upper tail."""
        return self._over(s, 2, 0.0, 0.0)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """The point with cdf q, for q from 1e-12 to 1 - 1e-12."""
        return self._inverse(q, False)

    def isf(self, q: npt.ArrayLike) -> Array:
        """The point with sf q, for q from 1e-100 to 1 - 1e-12."""
        return self._inverse(q, True)

    def rvs(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent draws: uniform numbers through a cubic inverse of 400 exact values; off by less than 1e-6."""
        grid, values = _grid(self.beta)
        return np.asarray(PchipInterpolator(values, grid)(rng.uniform(values[0], values[-1], size)), dtype=np.float64)

    def error(self, s: float) -> float:
        """Estimate of |computed - exact| of cdf and sf at s: the change from 44 to 56 nodes, and the rounding."""
        t = _argument(self.beta, float(points(s, "s")))
        if not math.isfinite(t) or not LOW < float(s) < HIGH:
            return 0.0
        fine, coarse = _values(self.beta, _spectrum(t, NODES)), _values(self.beta, _spectrum(t, CHECK))
        return abs(fine.lower - coarse.lower) + ROUNDING

    def _over(self, s: npt.ArrayLike, which: int, left: float, right: float) -> Array:
        x = points(s, "s")
        flat = [left if p <= LOW else right if p >= HIGH else _at(self.beta, float(p))[which] for p in x.ravel()]
        return np.array(flat, dtype=np.float64).reshape(x.shape)

    def _inverse(self, q: npt.ArrayLike, upper: bool) -> Array:
        array = np.asarray(q, dtype=np.float64)
        return np.array([_quantile(self.beta, float(p), upper) for p in array.ravel()], dtype=np.float64).reshape(array.shape)


def tracy_widom_cdf(s: npt.ArrayLike) -> Array:
    """Distribution function of the Tracy–Widom law for real matrices.

        F1(s) = det(I - K_s) on L^2(0, inf),   K_s(x, y) = Ai(x + y + s)       (Ferrari and Spohn)

    s : any shape, without NaN.
    Returns probabilities of the same shape, to about 1e-13 absolute; TracyWidom(1).sf keeps the upper tail's digits.
    Claim M7-tracy-widom (Section 2 of arXiv:2606.02608 uses the edge; Ferrari and Spohn, J. Phys. A 38, 2005).
    """
    return TracyWidom(1).cdf(s)


def tracy_widom_quantile(q: float) -> float:
    """Quantile of the Tracy–Widom law for real matrices.

        F1(t) = q

    q : in (0, 1), at least 1e-12 from either end, where the determinant still resolves it.
    Returns t, to about 1e-11 in the middle of the law.
    Claim M7-tracy-widom (Ferrari and Spohn, J. Phys. A 38, 2005).
    """
    return _quantile(1, float(q), False)


class _Values(NamedTuple):
    lower: float
    upper: float
    density: float


def _argument(beta: int, s: float) -> float:
    return math.sqrt(2.0) * s if beta == 4 else s


def _at(beta: int, s: float) -> _Values:
    return _values(beta, _spectrum(_argument(beta, s), NODES))


@cache
def _quantile(beta: int, q: float, upper: bool) -> float:
    least = 1e-100 if upper else 1e-12
    if not least <= q <= 1.0 - 1e-12:
        raise Refused(f"q: {q!r}; a probability from {least:g} to 1 - 1e-12 is expected")

    def rest(s: float) -> float:
        value = _at(beta, s)
        if upper:
            return math.log(q) - math.log(value.upper) if value.upper > 0.0 else math.inf
        return value.lower - q if q <= 0.5 else (1.0 - q) - value.upper

    root: Any = brentq(rest, LOW, HIGH, xtol=1e-13)
    return float(root)


@cache
def _grid(beta: int) -> tuple[Array, Array]:
    """Points and their cdf, closer where the law has its mass; the ends hold less than 1e-12."""
    law = TracyWidom(beta)
    grid = np.linspace(_quantile(beta, 1e-12, False), _quantile(beta, 1e-12, True), 400)
    return grid, law.cdf(grid)


@cache
def _gauss_legendre(count: int) -> tuple[Array, Array]:
    """Nodes and weights on [-1, 1], correct to the last bit: those of numpy and scipy are off by up to 1e-13.

    Newton's method on the Legendre recurrence; P' from P_(k-1), weights 2 / ((1 - x^2) P'^2); in long double where there is one.
    """
    x = np.polynomial.legendre.leggauss(count)[0].astype(np.longdouble)
    slope = np.ones_like(x)
    for _ in range(3):
        before, value = np.ones_like(x), x.copy()
        for k in range(2, count + 1):
            before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
        slope = count * (before - x * value) / (1.0 - x * x)
        x = x - value / slope
    return x.astype(np.float64), (2.0 / ((1.0 - x * x) * slope * slope)).astype(np.float64)


@cache
def _reference(count: int) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = _gauss_legendre(count)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def _spectrum(t: float, count: int) -> tuple[Array, Array]:
    """Eigenvalues mu_j of A_t, kept inside (-1, 1), and their derivatives by t (first-order perturbation)."""
    nodes, weights = _reference(count)
    length = (max(t, 0.0) ** 1.5 + REACH) ** (2.0 / 3.0) - t
    x, root = length * nodes, np.sqrt(length * weights)
    value, slope = airy(x[:, None] + x[None, :] + t)[:2]
    mu, vectors = np.linalg.eigh(root[:, None] * value * root[None, :])
    change = np.sum(vectors * ((root[:, None] * slope * root[None, :]) @ vectors), axis=0)
    return np.clip(mu, -1.0 + 2.0**-53, 1.0 - 2.0**-53), change


def _values(beta: int, spectrum: tuple[Array, Array]) -> _Values:
    """F, 1 - F and F'. A derivative of a product is a sum over the factor that is left out, so nothing is divided by 0."""
    mu, change = spectrum
    minus, plus = np.log1p(-mu), np.log1p(mu)
    if beta == 1:
        total = float(np.sum(minus))
        return _Values(math.exp(total), -math.expm1(total), float(-np.sum(change * np.exp(total - minus))))
    if beta == 2:
        factors = np.log1p(-mu * mu)
        total = float(np.sum(factors))
        density = -2.0 * np.sum(mu * change * np.exp(total - factors))
        return _Values(math.exp(total), -math.expm1(total), float(density))
    # (D(-) + D(+)) / 2 = e^a cosh b; its complement is -(e^a - 1) - 2 e^a sinh^2(b / 2); both lose |mu_2 / mu_1| only.
    a, b = 0.5 * float(np.sum(np.log1p(-mu * mu))), float(np.sum(np.arctanh(mu)))
    lower = 0.5 * (math.exp(a + b) + math.exp(a - b))
    upper = -math.expm1(a) - 2.0 * math.exp(a) * math.sinh(0.5 * b) ** 2
    rest_a, rest_b = a - 0.5 * (minus + plus), b - np.arctanh(mu)
    density = math.sqrt(2.0) * float(np.sum(change * np.exp(rest_a) * np.sinh(rest_b)))
    return _Values(lower, upper, density)
