"""The Marchenko–Pastur law on both scales: eigenvalues of R^T R, and singular values of R.

Orientation. R is (rows, cols) = (n, m), entries independent with mean 0 and variance v (the paper writes v = g / n).
Unnormalised: the eigenvalues are those of R^T R itself, an m x m matrix, so the edges are v (sqrt n -+ sqrt m)^2
whichever way R lies, and m > n gives R^T R an atom of mass 1 - n/m at zero. The law of R R^T is that of the transposed
(cols, rows). The singular-value law is over the min(n, m) singular values and does not change under transposition.

Both laws share one bulk of mass 1. With u = x - a, w = b - x, r = min(n, m) / max(n, m) and z = sqrt(r) e^(i phi),

    G(x) = [ 2 psi + Im log(1 + z) + Im(z - log(1 + z)) / r ] / pi,      tan psi = sqrt(u / w),   phi = pi - 2 psi,

which is M2 for m <= n and m > n at once, with its two arcsines written as angles: atan2 keeps the digits that arcsine
loses near the edges (errata, M2). Its last term is a difference of two numbers near sqrt(r), so where r is small it is
summed as a series in z.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt
from scipy.special import hyp2f1

from certify.laws._checks import Array, check_model, points, shares
from certify.records import Refused

# Halvings of the quantile's bracket, in the angle psi in [0, pi/2]: past the last bit.
BISECTIONS = 60
# Where sqrt(r) is below SMALL, fourteen powers of it reach 1e-17.
SMALL, POWERS = 1.0 / 16.0, 16


@dataclass(frozen=True)
class _Bulk(ABC):
    """What both scales share: the shape, quantiles of uniform numbers, moments of the nonzero eigenvalues."""

    rows: int
    cols: int
    entry_variance: float

    def __post_init__(self) -> None:
        check_model(self.rows, self.cols, self.entry_variance)

    @abstractmethod
    def ppf(self, q: npt.ArrayLike) -> Array:
        """The point with cdf q."""

    @abstractmethod
    def var(self) -> float:
        """Variance of the whole law."""

    def median(self) -> float:
        """The point of mass one half."""
        return float(self.ppf(0.5))

    def std(self) -> float:
        """Root of the variance."""
        return math.sqrt(self.var())

    def rvs(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent draws, as quantiles of uniform numbers. Real spectra are not independent: they are more even."""
        return self.ppf(rng.random(size))

    def bulk_moment(self, order: float) -> float:
        """E x^order over the nonzero eigenvalues x, any real order.

        (v N)^k 2F1(-k, 1 - k; 2; r),   N = max(rows, cols),   r = min(rows, cols) / N;   inf where r = 1, k <= -1/2
        """
        if not isinstance(order, Real) or not math.isfinite(order):
            raise Refused(f"order: {order!r}; a finite real number is expected")
        longer, ratio = max(self.rows, self.cols), min(self.rows, self.cols) / max(self.rows, self.cols)
        if self.rows == self.cols and order <= -0.5:
            return math.inf
        shape = _narayana(int(order), ratio) if order == int(order) >= 0 else float(hyp2f1(-order, 1.0 - order, 2.0, ratio))
        try:
            return (self.entry_variance * longer) ** order * shape
        except OverflowError:
            raise Refused(f"order: {order}; this moment overflows float64") from None

    def log_moment(self) -> float:
        """E log x over the nonzero eigenvalues x: log(v N) - 1 - (1 - r) log(1 - r) / r."""
        longer, shorter = max(self.rows, self.cols), min(self.rows, self.cols)
        rest = (longer - shorter) / shorter * math.log1p(-shorter / longer) if longer > shorter else 0.0
        return math.log(self.entry_variance) + math.log(longer) - 1.0 - rest


class MarchenkoPastur(_Bulk):
    """Law of the eigenvalues of R^T R, R of shape (rows, cols), as rows and cols grow in proportion.

        f(x) = sqrt((b - x)(x - a)) / (2 pi cols v x) on [a, b],   atom max(0, 1 - rows/cols) at 0

    rows, cols     : shape of R, >= 1.
    entry_variance : v > 0, variance of one entry; the eigenvalues are of R^T R, not of R^T R / rows.
    Methods follow scipy: pdf, cdf, sf, ppf, isf, support, mean, var, std, median, moment, rvs; arguments are eigenvalues
    (squared weight units). Beside them the atom, the inverse and log moments of the nonzero part, the Stieltjes transform.
    Claim M1-density, M2-cdf, M3-stieltjes, M4-moments, ER-M2-arcsine, T2.2-mp-law (Section 2 of arXiv:2606.02608, quoted).
    """

    @property
    def atom(self) -> float:
        """Mass at exactly zero: the eigenvalues R^T R has because it has more columns than rows."""
        return max(0.0, (self.cols - self.rows) / self.cols)

    def companion(self) -> MarchenkoPastur:
        """The law of the eigenvalues of R R^T: the same bulk, another atom."""
        return MarchenkoPastur(self.cols, self.rows, self.entry_variance)

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

    def moment(self, order: float) -> float:
        """E x^k, the atom included: g^k sum_(r<k) c^r / (r+1) C(k, r) C(k-1, r), g = rows v, c = cols / rows, for whole k >= 1.

        Real orders by the hypergeometric form of the same sum; inf for k < 0 where there is an atom.
        """
        bulk = self.bulk_moment(order)
        if order == 0.0 or self.atom == 0.0:
            return bulk
        return bulk * (self.rows / self.cols) if order > 0.0 else math.inf

    def pdf(self, x: npt.ArrayLike) -> Array:
        """Density of the continuous part; it integrates to 1 - atom. Infinite at 0 when rows = cols."""
        x = points(x)
        low, high = self.support()
        inside = (x >= low) & (x <= high)
        safe = np.where(inside, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.sqrt(high - safe) / np.sqrt(safe) * np.sqrt(1.0 - low / safe if low > 0.0 else np.ones_like(safe))
        return np.where(inside, slope / (2.0 * math.pi * self.cols * self.entry_variance), 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        """P(eigenvalue <= x): 0 below zero, the atom up to a, 1 from b on."""
        x = points(x)
        low, high = self.support()
        inside = np.clip(x, low, high)
        bulk = _bulk_cdf(inside - low, high - inside, self.rows, self.cols)
        return np.where(x < 0.0, 0.0, self.atom + (1.0 - self.atom) * bulk)

    def sf(self, x: npt.ArrayLike) -> Array:
        """P(eigenvalue > x): 1 below zero, 0 from b on; near b by its own sum, not as 1 - cdf."""
        x = points(x)
        low, high = self.support()
        inside = np.clip(x, low, high)
        return np.where(x < 0.0, 1.0, (1.0 - self.atom) * _bulk_sf(inside - low, high - inside, self.rows, self.cols))

    def ppf(self, q: npt.ArrayLike) -> Array:
        """Smallest x with cdf(x) >= q; 0 for q up to the atom."""
        q = shares(q)
        bulk = np.clip((q - self.atom) / (1.0 - self.atom), 0.0, 1.0)
        return np.where((q <= self.atom) & (self.atom > 0.0), 0.0, _bulk_ppf(bulk, self))

    def isf(self, q: npt.ArrayLike) -> Array:
        """Smallest x with sf(x) <= q; 0 from q = 1 - atom on."""
        q = shares(q)
        bulk = np.clip(q / (1.0 - self.atom), 0.0, 1.0)
        return np.where((q >= 1.0 - self.atom) & (self.atom > 0.0), 0.0, _bulk_isf(bulk, self))

    def stieltjes(self, z: npt.ArrayLike) -> npt.NDArray[np.complex128]:
        """Stieltjes transform, the integral of 1 / (x - z) over the law, the atom included.

            m(z) = (B + s) / (2 cols v z) = 2 / (B - s),   B = v (rows - cols) - z,   s = sqrt(z - a) sqrt(z - b)

        z : complex or real, any shape, off [a, b], and not 0 where the law has an atom.
        Returns complex numbers; their imaginary part is 0 for real z. The form with the larger denominator or numerator
        is used, so that nothing cancels.
        """
        points_ = np.asarray(z, dtype=np.complex128)
        low, high = self.support()
        real = points_.real
        on_law = (points_.imag == 0.0) & (((real >= low) & (real <= high)) | ((real == 0.0) & (self.atom > 0.0)))
        if not np.all(np.isfinite(points_)) or np.any(on_law):
            raise Refused(f"z: a finite number off the support [{low}, {high}] and off the atom is expected")
        root = np.sqrt(points_ - low) * np.sqrt(points_ - high)
        # A real number left of a edge stands above its branch cut for both roots: i * i = -1, whatever the sign of the zero.
        root = np.where((points_.imag == 0.0) & (real < low), -np.sqrt(np.abs(real - low)) * np.sqrt(np.abs(real - high)), root)
        base = self.entry_variance * (self.rows - self.cols) - points_
        minus, plus = base - root, base + root
        direct = np.abs(minus) >= np.abs(plus)
        with np.errstate(divide="ignore", invalid="ignore"):
            second = plus / (2.0 * self.cols * self.entry_variance * points_)
        return np.where(direct, 2.0 / np.where(direct, minus, 1.0), second)


class MarchenkoPasturSingular(_Bulk):
    """Law of the min(rows, cols) singular values of R, as rows and cols grow in proportion.

        h(s) = sqrt((b - s^2)(s^2 - a)) / (pi min(rows, cols) v s) on [sqrt a, sqrt b],   no atom

    rows, cols     : shape of R, >= 1; the law is the same for the transpose.
    entry_variance : v > 0, variance of one entry.
    Methods follow scipy: pdf, cdf, sf, ppf, isf, support, mean, var, std, median, moment, rvs; arguments are singular
    values (weight units). rows = cols: the quarter circle of radius 2 sqrt(rows v).
    Claim M2-singular-values, M4-moments, ER-8.1-orientation (Section 2 of arXiv:2606.02608).
    """

    @property
    def atom(self) -> float:
        """Always 0: the zeros of R^T R beyond the singular values are not counted."""
        return 0.0

    def support(self) -> tuple[float, float]:
        """The edges sqrt(v) |sqrt rows - sqrt cols| and sqrt(v) (sqrt rows + sqrt cols)."""
        deviation, total = math.sqrt(self.entry_variance), math.sqrt(self.rows) + math.sqrt(self.cols)
        return deviation * abs(self.rows - self.cols) / total, deviation * total

    def mean(self) -> float:
        """sqrt(v N) 2F1(-1/2, 1/2; 2; r); 8 / (3 pi) of sqrt(v N) when rows = cols."""
        return self.bulk_moment(0.5)

    def var(self) -> float:
        """E s^2 - (E s)^2, where E s^2 = v N."""
        return max(self.rows, self.cols) * self.entry_variance - self.mean() ** 2

    def moment(self, order: float) -> float:
        """E s^order, any real order; the moment of half that order of the nonzero eigenvalues."""
        return self.bulk_moment(0.5 * order)

    def pdf(self, x: npt.ArrayLike) -> Array:
        """Density of the singular values; it integrates to 1."""
        x = points(x)
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
        s = np.clip(points(x), low, high)
        return _bulk_cdf((s - low) * (s + low), (high - s) * (high + s), self.rows, self.cols)

    def sf(self, x: npt.ArrayLike) -> Array:
        """P(singular value > x), near the upper edge by its own sum."""
        low, high = self.support()
        s = np.clip(points(x), low, high)
        return _bulk_sf((s - low) * (s + low), (high - s) * (high + s), self.rows, self.cols)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """The singular value with cdf q."""
        return np.sqrt(_bulk_ppf(shares(q), self))

    def isf(self, q: npt.ArrayLike) -> Array:
        """The singular value with sf q."""
        return np.sqrt(_bulk_isf(shares(q), self))


def gaussian_moment(rows: int, cols: int, entry_variance: float, order: int) -> float:
    """Mean of the order-th power of the eigenvalues of R^T R, exact at every finite size for Gaussian entries.

        E tr (R^T R)^k / m = v^k n P_k,   P_1 = 1,   P_2 = n + m + 1,   P_3 = n^2 + 3 n m + m^2 + 3 n + 3 m + 4,
        P_4 = n^3 + 6 n^2 m + 6 n m^2 + m^3 + 6 n^2 + 17 n m + 6 m^2 + 21 n + 21 m + 20,   (n, m) = (rows, cols)

    rows, cols     : shape of R, >= 1.
    entry_variance : v > 0.
    order          : k in 1..4.
    Returns squared weight units to the k. Its leading part is the Marchenko–Pastur moment (M4).
    Claim M4-finite (Section 7 of theory/mp-certificates.md; order 4 by the 105 pairings of Wick's formula).
    """
    check_model(rows, cols, entry_variance)
    n, m = int(rows), int(cols)
    polynomials = (
        1,
        n + m + 1,
        n * n + 3 * n * m + m * m + 3 * (n + m) + 4,
        n**3 + 6 * n * m * (n + m) + m**3 + 6 * (n * n + m * m) + 17 * n * m + 21 * (n + m) + 20,
    )
    if order not in (1, 2, 3, 4):
        raise Refused(f"order: {order!r}; 1 to 4 are known in closed form")
    return entry_variance**order * (n * polynomials[order - 1])


def _narayana(order: int, ratio: float) -> float:
    """sum_(j<k) r^j / (j + 1) C(k, j) C(k - 1, j); all terms positive."""
    if order == 0:
        return 1.0
    return math.fsum(ratio**j * (math.comb(order, j) * math.comb(order - 1, j) // (j + 1)) for j in range(order))


def _parts(u: Array, w: Array, rows: int, cols: int) -> tuple[float, Array, Array]:
    """r, Im log(1 + z) and Im(z - log(1 + z)) of the module's formula at x = a + u = b - w, 0 <= u, w; no scale enters."""
    longer, shorter = math.sqrt(max(rows, cols)), math.sqrt(min(rows, cols))
    size = shorter / longer
    low = abs(rows - cols) / (longer + shorter)
    total = u + w
    sine, cosine = 2.0 * np.sqrt(u / total) * np.sqrt(w / total), (u - w) / total
    # Im log(1 + z) is the angle of (1 - size) w + (1 + size) u against size * sine, both over u + w.
    angle = np.arctan2(size * sine, low / longer * (w / total) + (1.0 + size) * (u / total))
    if size > SMALL:
        return size * size, angle, size * sine - angle
    power = size * (cosine + 1j * sine)
    series = np.sum([(-1.0) ** k * power**k / k for k in range(2, POWERS)], axis=0)
    return size * size, angle, np.imag(series)


def _bulk_cdf(u: Array, w: Array, rows: int, cols: int) -> Array:
    """G of the module's formula."""
    ratio, angle, excess = _parts(u, w, rows, cols)
    total = 2.0 * np.arctan2(np.sqrt(u), np.sqrt(w)) + angle + excess / ratio
    return np.clip(np.where(u <= 0.0, 0.0, np.where(w <= 0.0, 1.0, total / math.pi)), 0.0, 1.0)


def _bulk_sf(u: Array, w: Array, rows: int, cols: int) -> Array:
    """1 - G, by the complementary angle pi/2 - psi."""
    ratio, angle, excess = _parts(u, w, rows, cols)
    total = 2.0 * np.arctan2(np.sqrt(w), np.sqrt(u)) - angle - excess / ratio
    return np.clip(np.where(u <= 0.0, 1.0, np.where(w <= 0.0, 0.0, total / math.pi)), 0.0, 1.0)


def _bisected(share: Callable[[Array, Array], Array], q: Array) -> Array:
    """sin^2 of the angle in [0, pi/2] where an increasing share(sin^2, cos^2) reaches q; resolves square-root edges."""
    left, right = np.zeros_like(q), np.full_like(q, math.pi / 2.0)
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        below = share(np.sin(middle) ** 2, np.cos(middle) ** 2) < q
        left, right = np.where(below, middle, left), np.where(below, right, middle)
    return np.sin(right) ** 2


def _bulk_ppf(q: Array, law: _Bulk) -> Array:
    """Inverse of G, with x = a + (b - a) sin^2 psi."""
    low, high = MarchenkoPastur(law.rows, law.cols, law.entry_variance).support()
    share = _bisected(lambda u, w: _bulk_cdf(u, w, law.rows, law.cols), q)
    return np.where(q <= 0.0, low, np.where(q >= 1.0, high, low + _width(law) * share))


def _bulk_isf(q: Array, law: _Bulk) -> Array:
    """Inverse of 1 - G, with x = b - (b - a) sin^2 of the complementary angle; by G itself in the lower half, where 1 - q is
    exact and a + (b - a) sin^2 keeps the digits that b - (b - a) sin^2 loses at a hard edge a = 0."""
    low, high = MarchenkoPastur(law.rows, law.cols, law.entry_variance).support()
    share = _bisected(lambda w, u: _bulk_sf(u, w, law.rows, law.cols), q)
    upper = np.where(q <= 0.0, high, np.maximum(high - _width(law) * share, low))
    return np.where(q > 0.5, _bulk_ppf(1.0 - q, law), upper)


def _width(law: _Bulk) -> float:
    return 4.0 * law.entry_variance * math.sqrt(law.rows) * math.sqrt(law.cols)
