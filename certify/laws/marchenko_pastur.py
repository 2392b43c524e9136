"""The Marchenko–Pastur law on both scales: eigenvalues of R^T R, and singular values of R.

Orientation. R is (rows, cols) = (n, m), entries independent with mean 0 and variance v (the paper writes v = g / n).
Unnormalised: the eigenvalues are those of R^T R itself, an m x m matrix, so the edges are v (sqrt n -+ sqrt m)^2
              whichever way R lies, and
m > n gives R^T R an atom of mass 1 - n/m at zero. The law of R R^T is that of the transposed (cols, rows). The
singular-value law is over the min(n, m) singular values and does not change under transposition.

Both laws share one bulk of mass 1. With u = x - a, w = b - x and r = min(n, m) / max(n, m),

    G(x) = [ sqrt(u w) / (2 v max(n, m)) + (psi - chi) + r (psi + chi) ] / (pi r),
    tan psi = sqrt(u / w),   tan chi = sqrt(b u / (a w)),

which is M2 with its two arcsines written as 2 psi and 2 chi, for m <= n and m > n at once. atan2 keeps the digits that
arcsine loses near the edges (errata, M2), and psi - chi is formed by the subtraction theorem because it is small when r
is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from scipy.special import ellipe, ellipkm1

from certify.records import Refused

Array = npt.NDArray[np.float64]

# Halvings of the quantile's bracket, in the angle psi in [0, pi/2]: past the last bit.
BISECTIONS = 60


@dataclass(frozen=True)
class MarchenkoPastur:
    """Law of the eigenvalues of R^T R, R of shape (rows, cols), as rows and cols grow in proportion.

        f(x) = sqrt((b - x)(x - a)) / (2 pi cols v x) on [a, b],   atom max(0, 1 - rows/cols) at 0

    rows, cols     : shape of R, >= 1.
    entry_variance : v > 0, variance of one entry; the eigenvalues are of R^T R, not of R^T R / rows.
    Methods follow scipy: pdf, cdf, sf, ppf, support, mean, var; arguments are eigenvalues (squared weight units).
    Claim M1-density, M2-cdf (Section 2 of arXiv:2606.02608, quoted there from Marchenko and Pastur).
    """

    rows: int
    cols: int
    entry_variance: float

    def __post_init__(self) -> None:
        _check_model(self.rows, self.cols, self.entry_variance)

    @property
    def atom(self) -> float:
        """Mass at exactly zero: the eigenvalues R^T R has because it has more columns than rows."""
        return max(0.0, (self.cols - self.rows) / self.cols)

    def support(self) -> tuple[float, float]:
        """The bulk's edges (a, b); the atom at zero lies outside when a > 0."""
        low, high = MarchenkoPasturSingular(self.rows, self.cols, self.entry_variance).support()
        return low * low, high * high

    def mean(self) -> float:
        """rows v, the atom included; exact at every finite size."""
        return self.rows * self.entry_variance

    def var(self) -> float:
        """rows cols v^2, the atom included."""
        return self.rows * self.cols * self.entry_variance**2

    def pdf(self, x: npt.ArrayLike) -> Array:
        """Density of the continuous part; it integrates to 1 - atom. Infinite at 0 when rows = cols."""
        x = _points(x)
        low, high = self.support()
        inside = (x >= low) & (x <= high)
        safe = np.where(inside, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.sqrt((high - safe) / safe) * np.sqrt(1.0 - low / safe if low > 0.0 else np.ones_like(safe))
        return np.where(inside, slope / (2.0 * math.pi * self.cols * self.entry_variance), 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        """P(eigenvalue <= x): 0 below zero, the atom up to a, 1 from b on."""
        x = _points(x)
        low, high = self.support()
        inside = np.clip(x, low, high)
        bulk = _bulk_cdf(inside - low, high - inside, self.rows, self.cols, self.entry_variance)
        return np.where(x < 0.0, 0.0, self.atom + (1.0 - self.atom) * bulk)

    def sf(self, x: npt.ArrayLike) -> Array:
        """P(eigenvalue > x), to absolute accuracy."""
        return 1.0 - self.cdf(x)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """Smallest x with cdf(x) >= q; 0 for q up to the atom."""
        q = _shares(q)
        bulk = np.clip((q - self.atom) / (1.0 - self.atom), 0.0, 1.0)
        x = _bulk_ppf(bulk, self.rows, self.cols, self.entry_variance)
        return np.where((q <= self.atom) & (self.atom > 0.0), 0.0, x)


@dataclass(frozen=True)
class MarchenkoPasturSingular:
    """Law of the min(rows, cols) singular values of R, as rows and cols grow in proportion.

        h(s) = sqrt((b - s^2)(s^2 - a)) / (pi min(rows, cols) v s) on [sqrt a, sqrt b],   no atom

    rows, cols     : shape of R, >= 1; the law is the same for the transpose.
    entry_variance : v > 0, variance of one entry.
    Methods follow scipy: pdf, cdf, sf, ppf, support, mean, var; arguments are singular values (weight units).
    rows = cols: the quarter circle of radius 2 sqrt(rows v).
    Claim M2-cdf (its singular-value form M2'; Section 2 of arXiv:2606.02608).
    """

    rows: int
    cols: int
    entry_variance: float

    def __post_init__(self) -> None:
        _check_model(self.rows, self.cols, self.entry_variance)

    @property
    def atom(self) -> float:
        """Always 0: the zeros of R^T R beyond the singular values are not counted."""
        return 0.0

    def support(self) -> tuple[float, float]:
        """The edges sqrt(v) |sqrt rows - sqrt cols| and sqrt(v) (sqrt rows + sqrt cols)."""
        deviation, total = math.sqrt(self.entry_variance), math.sqrt(self.rows) + math.sqrt(self.cols)
        return deviation * abs(self.rows - self.cols) / total, deviation * total

    def mean(self) -> float:
        """By complete elliptic integrals: beta [(alpha^2 + beta^2) E - 2 alpha^2 K] / (3 pi min(rows, cols) v)."""
        low, high = self.support()
        ratio = (low / high) ** 2
        second = 2.0 * ratio * float(ellipkm1(ratio)) if ratio > 0.0 else 0.0
        scale = 3.0 * math.pi * min(self.rows, self.cols) * self.entry_variance
        return high**3 * ((1.0 + ratio) * float(ellipe(1.0 - ratio)) - second) / scale

    def var(self) -> float:
        """E s^2 - (E s)^2, where E s^2 = max(rows, cols) v."""
        return max(self.rows, self.cols) * self.entry_variance - self.mean() ** 2

    def pdf(self, x: npt.ArrayLike) -> Array:
        """Density of the singular values; it integrates to 1."""
        x = _points(x)
        low, high = self.support()
        inside = (x >= low) & (x <= high)
        safe = np.where(inside, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            lower = np.sqrt((1.0 - low / safe) * (1.0 + low / safe)) if low > 0.0 else 1.0
        value = np.sqrt((high - safe) * (high + safe)) * lower / (math.pi * min(self.rows, self.cols) * self.entry_variance)
        return np.where(inside, value, 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        """P(singular value <= x): 0 below the lower edge, 1 from the upper edge on."""
        low, high = self.support()
        s = np.clip(_points(x), low, high)
        return _bulk_cdf((s - low) * (s + low), (high - s) * (high + s), self.rows, self.cols, self.entry_variance)

    def sf(self, x: npt.ArrayLike) -> Array:
        """P(singular value > x), to absolute accuracy."""
        return 1.0 - self.cdf(x)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """The singular value with cdf q."""
        return np.sqrt(_bulk_ppf(_shares(q), self.rows, self.cols, self.entry_variance))


def _bulk_cdf(u: Array, w: Array, rows: int, cols: int, variance: float) -> Array:
    """G of the module's formula at x = a + u = b - w, 0 <= u, w."""
    low, high = abs(rows - cols) / (math.sqrt(rows) + math.sqrt(cols)), math.sqrt(rows) + math.sqrt(cols)
    ratio = min(rows, cols) / max(rows, cols)
    root = np.sqrt(u) * np.sqrt(w)
    psi = np.arctan2(np.sqrt(u), np.sqrt(w))
    behind = np.arctan2(root * (high - low), low * w + high * u)
    total = root / (2.0 * variance * max(rows, cols)) - behind + ratio * (2.0 * psi + behind)
    return np.clip(np.where(u <= 0.0, 0.0, np.where(w <= 0.0, 1.0, total / (math.pi * ratio))), 0.0, 1.0)


def _bulk_ppf(q: Array, rows: int, cols: int, variance: float) -> Array:
    """Inverse of G by bisection in psi, x = a + (b - a) sin^2 psi, which resolves both square-root edges."""
    low, high = MarchenkoPastur(rows, cols, variance).support()
    width = 4.0 * variance * math.sqrt(rows) * math.sqrt(cols)
    left, right = np.zeros_like(q), np.full_like(q, math.pi / 2.0)
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        below = _bulk_cdf(width * np.sin(middle) ** 2, width * np.cos(middle) ** 2, rows, cols, variance) < q
        left, right = np.where(below, middle, left), np.where(below, right, middle)
    x = low + width * np.sin(right) ** 2
    return np.where(q <= 0.0, low, np.where(q >= 1.0, high, x))


def _check_model(rows: int, cols: int, variance: float) -> None:
    for name, size in (("rows", rows), ("cols", cols)):
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise Refused(f"{name}: {size!r}; a whole number >= 1 is expected")
    if not isinstance(variance, Real) or not math.isfinite(variance) or not variance > 0.0:
        raise Refused(f"entry_variance: {variance!r}; a finite number > 0 is expected (a zero matrix has no bulk)")


def _points(x: npt.ArrayLike) -> Array:
    array = np.asarray(x, dtype=np.float64)
    if np.any(np.isnan(array)):
        raise Refused("x: NaN; a law is evaluated at numbers")
    return array


def _shares(q: npt.ArrayLike) -> Array:
    array = np.asarray(q, dtype=np.float64)
    if not np.all((array >= 0.0) & (array <= 1.0)):
        raise Refused("q: a probability lies in [0, 1]")
    return array
