"""How far the laws are from references that do not share their formulas: quadrature at 30 digits, published tables, and
the Painlevé equation at 50 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

from certify.laws._checks import check_model
from certify.laws.marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular
from certify.laws.published import TABLES
from certify.laws.tracy_widom import TracyWidom

SHAPES = ((400, 20), (1000, 999), (500, 500), (100, 600), (7, 1), (1, 7), (1, 1), (10**6, 1), (3, 10**5), (4096, 16), (4000, 15))
# Places inside the bulk, as shares of its width, and beyond it, as multiples of the edges.
INSIDE = (2.0**-20, 1e-3, 0.25, 0.5, 0.875, 1.0 - 2.0**-16)
BEYOND = (-1.0, 0.0, 0.5, 1.0 + 2.0**-40, 2.0)
PLACES = (-8.0, -6.5, -5.0, -3.5, -2.0, -1.0, 0.0, 1.5, 3.0, 5.0, 7.0, 8.5, 10.0, 12.0)
LEAST_TAIL, LEAST_QUANTILE = 1e-12, 1e-6

Painleve = tuple[Any, Any, Any, Any]


def bulk_integral(
    rows: int, cols: int, entry_variance: float, function: Callable[[Any], Any], low: Any = 0, high: Any = 1, pieces: int = 3
) -> Any:
    """Integral of a function of the eigenvalues over a part of the Marchenko–Pastur bulk, at 30 digits.

        int function(x) dG(x),   x from a + low (b - a) to a + high (b - a),   G of mass 1

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    function       : of an mpmath number.
    low, high      : shares of the bulk's width, 0 <= low <= high <= 1.
    pieces         : panels of the quadrature, >= 1, in an angle that removes both square roots.
    Returns an mpmath number.
    Claim M1-density, M2-cdf (Section 2 of arXiv:2606.02608; by quadrature of the density alone).
    """
    check_model(rows, cols, entry_variance)
    with mp.workdps(30):
        n, m, v = mp.mpf(max(rows, cols)), mp.mpf(min(rows, cols)), mp.mpf(entry_variance)
        start, width = v * (mp.sqrt(n) - mp.sqrt(m)) ** 2, 4 * v * mp.sqrt(n * m)

        def integrand(angle: Any) -> Any:
            x = start + width * mp.sin(angle) ** 2
            return function(x) * width**2 * mp.sin(2 * angle) ** 2 / (4 * mp.pi * m * v * x)

        ends = [mp.asin(mp.sqrt(mp.mpf(share))) for share in (low, high)]
        return mp.quad(integrand, np.linspace(0, 1, pieces + 1) * (ends[1] - ends[0]) + ends[0])


def quadrature_error(shapes: Iterable[tuple[int, int]] = SHAPES, entry_variance: float = 0.5) -> float:
    """Largest deviation of the Marchenko–Pastur distribution functions from quadrature of the density.

        max over shapes, points, both scales of |cdf - quadrature| and |sf - quadrature|

    The points are the float64 numbers nearest to fixed shares of the bulk, down to 1e-6 of its width from either edge, and
    points beyond the edges, where the exact values are 0, the atom and 1. Edges of the reference are exact.
    shapes         : (rows, cols) pairs.
    entry_variance : v > 0.
    Returns an absolute error of a probability.
    Claim M2-cdf, M2-singular-values (Section 7 of theory/mp-certificates.md).
    """
    return max(_law_error(rows, cols, entry_variance) for rows, cols in shapes)


class Comparison(NamedTuple):
    """One published value of a Tracy–Widom law beside ours: what = cdf, or log density.

    Claim M7-tracy-widom, M7-tracy-widom-2 (Praehofer and Spohn 2003).
    """

    beta: int
    s: float
    what: str
    published: float
    ours: float

    @property
    def difference(self) -> float:
        """ours - published."""
        return self.ours - self.published


def published_comparison() -> tuple[Comparison, ...]:
    """Every published value, for beta = 1 and 2, beside the value computed here.

        24 points from -8 to 16 per law: F(s) and log F'(s), to 16 digits

    Returns 96 rows. Left of -5 the logarithm of the density amplifies rounding; its absolute error stays at 1e-14.
    Claim M7-tracy-widom, M7-tracy-widom-2 (Praehofer and Spohn 2003).
    """
    rows = []
    for beta, table in TABLES.items():
        law = TracyWidom(beta)
        for s, cdf, log_density in table:
            rows.append(Comparison(beta, s, "cdf", cdf, float(law.cdf(s))))
            rows.append(Comparison(beta, s, "log density", log_density, float(np.log(law.pdf(s)))))
    return tuple(rows)


class TailErrors(NamedTuple):
    """Largest errors against the Painlevé road. upper: of 1 - F, relative, where it is at least 1e-12. lower: of F, absolute.
    quantile: of the points with those masses, absolute.

    Claim M7-tracy-widom, M7-tracy-widom-2, M7-tracy-widom-4 (Tracy and Widom 1994, 1996).
    """

    upper: float
    lower: float
    quantile: float


def tail_errors(places: Sequence[float] = PLACES) -> dict[int, TailErrors]:
    """Errors of both tails and of the quantiles of the three Tracy–Widom laws.

        |(1 - F) / exact - 1| for s >= 0,   |F - exact| everywhere,   |F^-1(exact mass) - s| for masses from 1e-6 on

    places : binary fractions s from -8 to 15, any order (s / sqrt 2 for beta = 4).
    Returns {beta: the largest errors over those points}.
    Claim M7-tracy-widom, M7-tracy-widom-2, M7-tracy-widom-4 (by Painlevé II, with no determinant).
    """
    exact = {s: painleve_laws(values) for s, values in hastings_mcleod(places).items()}
    return {beta: _tail_errors(beta, {s: laws[beta] for s, laws in exact.items()}) for beta in (1, 2, 4)}


def hastings_mcleod(places: Sequence[float]) -> dict[float, Painleve]:
    """The Hastings–McLeod solution of Painlevé II at 50 digits, and its integrals.

        q'' = s q + 2 q^3,  q ~ Ai at infinity;   U = int_s^inf q,   V = int_s^inf (x - s) q^2,   W = -V' = int_s^inf q^2

    Taylor series of order 40 in steps of 1/8 from s = 16, where q and Ai differ by 1e-38 relative.
    places : binary fractions s below 16, any order.
    Returns {s: (q, U, V, W)}, mpmath numbers.
    Claim M7-tracy-widom-2 (Tracy and Widom, Commun. Math. Phys. 159, 1994).
    """
    with mp.workdps(50):
        return _integrate(sorted(places, reverse=True))


def painleve_laws(values: Painleve) -> dict[int, tuple[Any, Any, Any]]:
    """All three Tracy–Widom laws from one point of the Hastings–McLeod solution.

        F_1 = e^(-(U + V)/2),   F_2 = e^(-V),   F_4(s / sqrt 2) = e^(-V/2) cosh(U/2)

    values : (q, U, V, W) of `hastings_mcleod` at s.
    Returns {beta: (F, 1 - F, F')} at s, for beta = 4 at s / sqrt 2, mpmath numbers.
    Claim M7-tracy-widom, M7-tracy-widom-2, M7-tracy-widom-4 (Tracy and Widom 1994, 1996).
    """
    q, u, v, w = values
    with mp.workdps(50):
        one, two, root = mp.exp(-(u + v) / 2), mp.exp(-v), mp.exp(-v / 2)
        four = root * mp.cosh(u / 2)
        density = root * (w * mp.cosh(u / 2) - q * mp.sinh(u / 2)) / mp.sqrt(2)
        return {
            1: (one, -mp.expm1(-(u + v) / 2), one * (q + w) / 2),
            2: (two, -mp.expm1(-v), two * w),
            4: (four, 1 - four, density),
        }


def _tail_errors(beta: int, exact: dict[float, tuple[Any, Any, Any]]) -> TailErrors:
    law, upper, lower, quantile = TracyWidom(beta), 0.0, 0.0, 0.0
    for s, (cdf, sf, _) in exact.items():
        place = s / math.sqrt(2.0) if beta == 4 else s
        lower = max(lower, abs(float(law.cdf(place)) - float(cdf)))
        if s >= 0.0 and sf >= LEAST_TAIL:
            upper = max(upper, abs(float(law.sf(place)) / float(sf) - 1.0))
            quantile = max(quantile, abs(float(law.isf(float(sf))) - place))
        if s <= 0.0 and cdf >= LEAST_QUANTILE:
            quantile = max(quantile, abs(float(law.ppf(float(cdf))) - place))
    return TailErrors(upper, lower, quantile)


def _law_error(rows: int, cols: int, variance: float) -> float:
    law, singular = MarchenkoPastur(rows, cols, variance), MarchenkoPasturSingular(rows, cols, variance)
    errors = []
    with mp.workdps(30):
        n, m, v = mp.mpf(max(rows, cols)), mp.mpf(min(rows, cols)), mp.mpf(variance)
        low, width = v * (mp.sqrt(n) - mp.sqrt(m)) ** 2, 4 * v * mp.sqrt(n * m)
        atom = mp.mpf(max(0, cols - rows)) / cols
        total = bulk_integral(rows, cols, variance, lambda x: 1)
        ends = [float(low) * factor for factor in BEYOND[:3]] + [float(low + width) * factor for factor in BEYOND[3:]]
        for x in [float(low + mp.mpf(share) * width) for share in INSIDE] + ends:
            share = min(mp.mpf(1), max(mp.mpf(0), (mp.mpf(x) - low) / width))
            bulk = bulk_integral(rows, cols, variance, lambda x: 1, 0, share)
            below = atom + (1 - atom) * bulk if x >= 0.0 else mp.mpf(0)
            errors += [abs(float(law.cdf(x)) - below), abs(float(law.sf(x)) - (total - below))]
            # The root of x is rounded again, so the reference takes the share of that root's own square.
            s = math.sqrt(max(x, 0.0))
            share = min(mp.mpf(1), max(mp.mpf(0), (mp.mpf(s) ** 2 - low) / width))
            bulk = bulk_integral(rows, cols, variance, lambda x: 1, 0, share)
            errors += [abs(float(singular.cdf(s)) - bulk), abs(float(singular.sf(s)) - (total - bulk))]
        return float(max(errors))


def _integrate(left: list[float], order: int = 40) -> dict[float, Painleve]:
    s = mp.mpf(16)
    q, slope = mp.airyai(s), mp.airyai(s, derivative=1)
    w = slope**2 - s * q**2
    v = (2 * s**2 * q**2 - 2 * s * slope**2 - q * slope) / 3
    u = mp.quad(mp.airyai, [s, s + 2, s + 6, s + 20, s + 40])
    found: dict[float, Painleve] = {}
    while left:
        if s == left[0]:
            found[left.pop(0)] = (q, u, v, w)
            continue
        step = max(-mp.mpf(1) / 8, mp.mpf(left[0]) - s)
        c, square = [q, slope], []
        for k in range(order):
            square.append(mp.fsum(c[i] * c[k - i] for i in range(k + 1)))
            cube = mp.fsum(square[i] * c[k - i] for i in range(k + 1))
            c.append((s * c[k] + (c[k - 1] if k else 0) + 2 * cube) / ((k + 1) * (k + 2)))
        w_series = [w] + [-square[k] / (k + 1) for k in range(order)]
        v_series = [v] + [-w_series[k] / (k + 1) for k in range(order)]
        u_series = [u] + [-c[k] / (k + 1) for k in range(order)]
        slopes = [(k + 1) * c[k + 1] for k in range(order)]
        q, slope, u, v, w = (mp.polyval(series[::-1], step) for series in (c, slopes, u_series, v_series, w_series))
        s += step
    return found
