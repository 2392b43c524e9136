"""What the effective number says about the retained mass: the exact range of phi_K at a given concentration.

omega is a vector of N shares sorted downwards, c = sum omega_i^2 = 1 / D its concentration, phi_K the sum of its K
largest entries, zeta_k the vector (1/k, ..., 1/k, 0, ..., 0). The least and the largest phi_K at fixed c lie on edges
[zeta_k, zeta_j], where both are a rational plus a rational times a square root; the ends below are rounded outward.

Two edges are enough for every K and c (X1, O(1) where Theorem 1 scans k). On [zeta_k, zeta_1], k > K, put
y = sqrt((kc - 1)/(k - 1)): phi_K = y + K (c - y^2)/(1 + y), concave in y, which grows with k, so the least is at k = N or
at k0 = max(K + 1, ceil(D)). With j = floor(D), k0 is no lower than [zeta_{j+1}, zeta_j] if K = 1 or j >= 2K - 1 (both are
K/k plus a multiple of one root); otherwise k0 + 1 is no higher than k0 (as in Theorem 2), and k = N by concavity.

At scores typical of trained weights the lower end is close to the trivial K / N: report the measured mass.
"""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, finite, whole
from certify.theory.emp.effective_number import Scores, effective_number_exact, fraction_of, retained_mass_exact, rounded_up

_BITS = 192
# 1/N as a float may lie below 1/N; such a concentration is lifted to 1/N.
_LIFT = Fraction(1, 2**50)


def retained_mass_range(entries: int, kept: int, concentration: Rational | float) -> tuple[float, float]:
    """Least and largest retained mass of N shares of a given concentration.

        m_K(c) <= phi_K <= M_K(c),   both attained, every value in between occurs

        m_K = the lesser of phi_K on [zeta_N, zeta_1] and on [zeta_{j+1}, zeta_j], j = floor(D) < N:
              K/N + (1 - K/N) sqrt((N c - 1) / (N - 1)),  the least for K >= 2 if D <= K + 1 (always for beta >= 1)
              K/(j+1) + K sqrt((c - 1/(j+1)) / (j (j+1))) if j >= K,  the least for K = 1; 1 if j < K
        M_K = 1 if c >= 1/K, else K/N + sqrt((c - 1/N) K (N - K) / N)

    entries       : N >= 1; the number of nonzero shares is valid and tighter.
    kept          : K, 1..N.
    concentration : c in [1/N, 1]; a float is the dyadic rational it stands for. Both ends increase with c.
    Returns (lower, upper), rounded outward by less than one unit in the last place.
    Vacuous (K/N) at the lower end as N grows with K/N fixed.
    Claim EMP-X1, EMP-T2, EMP-T3, EMP-T4 (Section 2.2 of theory/emp.md, sharpened; repairs arXiv:2509.25606).
    """
    low, high = retained_mass_range_exact(entries, kept, concentration)
    return -rounded_up(-low), rounded_up(high)


def retained_mass_range_exact(entries: int, kept: int, concentration: Rational | float) -> tuple[Fraction, Fraction]:
    """The same range between two fractions.

        low <= m_K(c) <= M_K(c) <= high,   m_K - low and high - M_K at most 2^-192

    entries, kept, concentration : as in `retained_mass_range`.
    Returns (low, high): sound, and exact where no square root is left.
    Claim EMP-X1, EMP-T2, EMP-T3 (Section 2.2 of theory/emp.md, sharpened).
    """
    n, k, c = _instance(entries, kept, concentration)
    if k == n:
        return Fraction(1), Fraction(1)
    high = min(Fraction(1), Fraction(k, n) + _root((c - Fraction(1, n)) * k * (n - k) / n, up=True))
    return max(Fraction(k, n), min(_on_edge(k, c, *edge) for edge in _least_edges(n, c))), high


def retained_mass_bounds(scores: ArrayLike, kept: int) -> tuple[float, float]:
    """The range that the effective number of these scores allows, their zeros left out.

        m_K(Q / P^2) <= phi_K <= M_K(Q / P^2) on the nnz(s) nonzero scores

    scores : (N,), any sign, not all 0.
    kept   : K, 1..N.
    Returns (lower, upper), rounded outward; (1, 1) for K >= nnz(s).
    Claim EMP-X1, EMP-T2, EMP-T3 (Section 2 of theory/emp.md, sharpened).
    """
    values = finite(scores, "scores", (None,))
    count, nonzero = whole(kept, "kept", 1, values.size), int(np.count_nonzero(values))
    concentration = 1 / effective_number_exact(values)
    return (1.0, 1.0) if count >= nonzero else retained_mass_range(nonzero, count, concentration)


def mass_in_range_exact(scores: Scores, kept: int) -> bool:
    """Whether the retained mass lies in its range, decided in rationals without a square root.

        phi_K >= x + y sqrt(r)  iff  phi_K >= x and (phi_K - x)^2 >= y^2 r,   for one edge;   phi_K <= M_K likewise

    scores : (N,) whole numbers, fractions or floats, not all 0.
    kept   : K, 1..N.
    Returns True on every input (that is Theorems 1 to 3); False would refute them.
    Claim EMP-T1, EMP-T2, EMP-T3 (Section 2.3 of theory/emp.md).
    """
    n, k, c = _instance(len(scores), kept, 1 / effective_number_exact(scores))
    phi = retained_mass_exact(scores, k)
    if k == n:
        return phi == 1
    above = phi - Fraction(k, n)
    below_top = c * k >= 1 or above * above <= (c - Fraction(1, n)) * k * (n - k) / n
    return phi <= 1 and below_top and any(_reaches(phi, *_terms(k, c, *edge)) for edge in _all_edges(n, k, c))


def extremal_shares(entries: int, kept: int, concentration: Rational | float) -> tuple[Array, Array]:
    """Two vectors of shares that attain the ends of the range.

        (1 - t) zeta_k + t zeta_j,   t = sqrt((c - 1/k) / (1/j - 1/k))

    entries, kept, concentration : as in `retained_mass_range`.
    Returns (N,), (N,): phi_K equal to m_K(c) and to M_K(c) up to rounding.
    Claim EMP-X1, EMP-T3 (Section 2.2 of theory/emp.md, sharpened).
    """
    n, k, c = _instance(entries, kept, concentration)
    least = most = (n, 1)
    if k < n:
        least = min(_least_edges(n, c), key=lambda edge: _on_edge(k, c, *edge))
        most = (n, k) if c * k < 1 else (k, 1)
    return _point(n, c, *least), _point(n, c, *most)


def cell_retained_mass_infimum(entries: int, effective: int) -> float:
    """Infimum of the effective mass over all scores of one effective size.

        N_eff = N        : s_eff = 1
        N_eff = 1 < N    : s_eff > 1/2
        2 <= N_eff < N   : s_eff > N_eff/N + (1 - N_eff/N) sqrt((N - N_eff - 1) / ((N_eff + 1) (N - 1)))

    Strict, with nothing larger possible, and free of N: s_eff > 1 / sqrt(N_eff + 1).
    entries   : N >= 1.
    effective : N_eff, 1..N.
    Returns the infimum, rounded down. The supremum is 1 in every cell.
    Claim EMP-C5, EMP-P1 (Corollary 5 of theory/emp.md; repairs arXiv:2509.25606), EMP-tie.
    """
    n = whole(entries, "entries", 1)
    nu = whole(effective, "effective", 1, n)
    if nu == n:
        return 1.0
    if nu == 1:
        return 0.5
    root = _root(Fraction(n - nu - 1, (nu + 1) * (n - 1)), up=False)
    return -rounded_up(-(Fraction(nu, n) + Fraction(n - nu, n) * root))


def cell_holds_exact(scores: Scores) -> bool:
    """Whether the effective mass clears the infimum of its cell, in whole numbers.

        T = sum of the N_eff largest, a = N T - N_eff P
        N_eff = N: T = P;   N_eff = 1 < N: 2 T > P;   else a > 0 and a^2 (N-1)(N_eff+1) > (N-N_eff)^2 (N-N_eff-1) P^2

    At N_eff = N the general line would demand 0 > 0.
    scores : (N,) whole numbers, fractions or floats, not all 0.
    Returns True on every input; False would refute Corollary 5.
    Claim EMP-C5 (Section 2.3 of theory/emp.md, case N_eff = N by the errata), ER-EMP-cell.
    """
    n, nu = len(scores), math.floor(effective_number_exact(scores))
    phi = retained_mass_exact(scores, nu)
    if nu == n:
        return phi == 1
    if nu == 1:
        return 2 * phi > 1
    a = n * phi - nu
    return a > 0 and a * a * (n - 1) * (nu + 1) > (n - nu) ** 2 * (n - nu - 1)


def removed_mass_published(entries: int, effective: int) -> float:
    """The published bound on the removed mass. False at N_eff = 1 for every N >= 3: (.51, .49, 0) removes .49 > 1/3.

        1 - s_eff <= (1 - N_eff/N) (1 - sqrt((N - N_eff - 1) / ((N_eff + 1) (N - 1))))

    entries   : N >= 1.
    effective : N_eff, 1..N.
    Returns a share; 0 at N_eff = N, where the square root would be of -1. Right, as a strict bound, for N_eff >= 2; use
    1 - `cell_retained_mass_infimum`.
    Claim EMP-P1 (arXiv:2509.25606 as reported; refuted at N_eff = 1).
    """
    n = whole(entries, "entries", 1)
    nu = whole(effective, "effective", 1, n)
    if nu == n:
        return 0.0
    return (n - nu) / n * (1.0 - math.sqrt((n - nu - 1) / ((nu + 1) * (n - 1))))


def _instance(entries: int, kept: int, concentration: Rational | float) -> tuple[int, int, Fraction]:
    n = whole(entries, "entries", 1)
    k = whole(kept, "kept", 1, n)
    c = fraction_of(concentration)
    least = Fraction(1, n)
    if least * (1 - _LIFT) <= c < least:
        c = least
    if not least <= c <= 1:
        raise Refused(f"concentration: {float(c)!r}; {n} shares that sum to 1 have one in [1/{n}, 1]")
    return n, k, c


def _terms(kept: int, c: Fraction, k: int, j: int) -> tuple[Fraction, Fraction, Fraction]:
    """(x, y, r) with phi_K = x + y sqrt(r) at the point of the edge [zeta_k, zeta_j], j < k, whose concentration is c."""
    start, end = Fraction(min(kept, k), k), Fraction(min(kept, j), j)
    return start, end - start, (c - Fraction(1, k)) / (Fraction(1, j) - Fraction(1, k))


def _on_edge(kept: int, c: Fraction, k: int, j: int) -> Fraction:
    x, y, r = _terms(kept, c, k, j)
    return x + y * _root(r, up=False)


def _reaches(value: Fraction, x: Fraction, y: Fraction, r: Fraction) -> bool:
    return value >= x and (value - x) ** 2 >= y * y * r


def _all_edges(n: int, kept: int, c: Fraction) -> list[tuple[int, int]]:
    """The edges of Theorem 1: [zeta_k, zeta_1] for k > K that reach down to c, and [zeta_{j+1}, zeta_j], j = floor(D)."""
    edges = [(k, 1) for k in range(max(kept + 1, math.ceil(1 / c)), n + 1)]
    j = math.floor(1 / c)
    return [*edges, (j + 1, j)] if kept < j < n else edges


def _least_edges(n: int, c: Fraction) -> list[tuple[int, int]]:
    """The edges on which the least phi_K lies, whatever K is."""
    j = math.floor(1 / c)
    return [(n, 1), (j + 1, j)] if j < n else [(n, 1)]


def _root(r: Fraction, *, up: bool) -> Fraction:
    """sqrt(r) within 2^-_BITS, from the side asked for; exact for the square of a fraction."""
    n, d = math.isqrt(r.numerator), math.isqrt(r.denominator)
    if n * n == r.numerator and d * d == r.denominator:
        return Fraction(n, d)
    below = math.isqrt((r.numerator << 2 * _BITS) // r.denominator)
    return Fraction(below + up, 2**_BITS)


def _point(n: int, c: Fraction, k: int, j: int) -> Array:
    t = math.sqrt((c - Fraction(1, k)) / (Fraction(1, j) - Fraction(1, k))) if j < k else 0.0
    point = np.zeros(n)
    point[:k] = (1.0 - t) / k
    point[:j] += t / j
    return point
