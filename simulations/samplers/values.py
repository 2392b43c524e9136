"""Singular values of Gaussian matrices, with or without spikes, drawn from the narrow matrices of `bands`.

A band is taken to bidiagonal form by plane rotations (LAPACK dgbbrd; nothing to do for at most one spike). Then all values come
by dqds (dlasq1), each to high relative accuracy, and a few leading ones by bisection of the Golub–Kahan form, the tridiagonal
matrix of order 2 N with zero diagonal whose eigenvalues are +-s_j (dstebz), to u s_1.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh_tridiagonal

from certify.laws._checks import Array, check_model, check_size
from certify.records import Refused
from simulations.samplers._lapack import band_to_bidiagonal, bidiagonal_values
from simulations.samplers.bands import Band, value_band

# Airy lengths kept beyond the turning point of the last wanted vector.
MARGIN = 12.0
# One value by bisection costs about as much as this many rows of dqds cost per row.
BISECTION_ROWS = 50


def singular_values(
    rows: int, cols: int, entry_variance: float, draws: int, rng: np.random.Generator, strengths: npt.ArrayLike = ()
) -> Array:
    """All singular values of independent copies of W = R + sum_i theta_i u_i v_i^T, without the matrices.

    Hypotheses: R has independent N(0, v) entries; the orthonormal directions are fixed or independent of R. The law is that of
                the dense matrix, exactly (`bands`): only theta matters.
    rows, cols     : shape, >= 1; the same for the transpose.
    entry_variance : v > 0.
    draws          : >= 1, with generator `rng`.
    strengths      : (k,) theta_i >= 0, k <= min(rows, cols); none by default.
    Returns (draws, min(rows, cols)), decreasing along the last axis. O(N (k + 1)) random numbers, O(N^2 (k + 1)) operations.
    Claim M7-bidiagonal.
    """
    found = np.empty((check_size(draws, "draws"), _short(rows, cols)))
    for row in found:
        row[:] = band_singular_values(value_band(rows, cols, entry_variance, strengths, rng))
    return found


def leading_singular_values(
    rows: int,
    cols: int,
    entry_variance: float,
    count: int,
    draws: int,
    rng: np.random.Generator,
    strengths: npt.ArrayLike = (),
) -> Array:
    """The largest singular values of independent copies of W = R + sum_i theta_i u_i v_i^T, from O(N^(1/3)) numbers.

        s_j(leading block of `leading_size`) <= s_j(W),   equal to rounding beside the fluctuation of order N^(-2/3)

    Exact in law up to the truncation, which `leading_size` justifies and `truncation_upper` bounds; from the size on at which
    the block is the whole band nothing is cut off.
    rows, cols, entry_variance, draws, rng, strengths : as in `singular_values`.
    count : how many, 1 to min(rows, cols).
    Returns (draws, count), decreasing along the last axis.
    Claim M7-bidiagonal.
    """
    size = leading_size(rows, cols, count, max(np.size(strengths), 1))
    found = np.empty((check_size(draws, "draws"), count))
    for row in found:
        row[:] = band_singular_values(value_band(rows, cols, entry_variance, strengths, rng, size), count)
    return found


def leading_size(rows: int, cols: int, count: int, step: int = 1) -> int:
    """How many rows and columns of a band carry its largest singular values to float64 accuracy.

        K = ceil((b^2 n m)^(1/3) (sqrt n + sqrt m)^(-2/3) (x_j + 12)) + 2 b,   x_j = (3 pi (4 j - 1) / 8)^(2/3),   j = count

    Why. b rows further along the band the chi's have lost b degrees of freedom, so the largest s^2 that the band supports
    around row i is (sqrt(n - i) + sqrt(m - i))^2, which falls from the edge by i (sqrt n + sqrt m)^2 / sqrt(n m). Each of the b
    chains of step b is a discrete -sqrt(n m) d^2/dp^2 + that line, p = i / b: the Airy operator on the length
    l = (b^2 n m / (sqrt n + sqrt m)^2)^(1/3), with noise of relative order l^(-3/2) per row (Edelman and Sutton; Ramírez,
    Rider and Virág, J. Amer. Math. Soc. 24, 2011). The vector of s_j turns at x_j lengths (the j-th zero of Ai), a spike's
    earlier, and beyond falls like exp(-(2/3) x^(3/2)), x lengths past the turn. Cutting there costs s_j its square times the
    chi's that are cut, `truncation_upper`: about exp(-(4/3) 12^(3/2)) = 1e-24 of the fluctuation. Where noise moves the
    turn outwards by 6 lengths (s_1 at the 1e-8 quantile of its law) still 1e-8 of it, and the fluctuation is N^(-2/3) of s_j.

    rows, cols : shape (n, m), >= 1; the same for the transpose.
    count      : 1 to min(rows, cols).
    step       : b >= 1, the distance from the diagonal of the outermost chi's (2 k for `vector_band`).
    Returns K <= min(rows, cols); that is everything.
    """
    check_model(rows, cols, 1.0)
    short = _short(rows, cols)
    if check_size(count, "count") > short:
        raise Refused(f"count: {count}; a ({rows}, {cols}) matrix has {short} singular values")
    step = check_size(step, "step")
    length = (step * step * float(rows) * cols) ** (1.0 / 3.0) * (math.sqrt(rows) + math.sqrt(cols)) ** (-2.0 / 3.0)
    turn = (3.0 * math.pi * (4.0 * count - 1.0) / 8.0) ** (2.0 / 3.0)
    return min(short, math.ceil(length * (turn + MARGIN)) + 2 * step)


def truncation_upper(block: Band, count: int, border: float, tail: float) -> Array:
    """Upper bounds on the largest singular values of an upper band matrix B, from its leading block B_K.

        s_j(B_K) <= s_j(B) <= s_j(D B_K),   D = 1 except (1 + f^2 / (s_j(B_K)^2 - c^2))^(1/2) in the last b rows

    Proof. B^T B = [[A, E], [E^T, C]] with A = B_K^T B_K, so the left side is Cauchy's. For t >= s_j(B_K)^2 > c^2 >= ||C|| the
    eigenvalues of B^T B above t are as many as those of A + E (t - C)^(-1) E^T above t (Schur complement, Sylvester), and
    E E^T = B_K^T F F^T B_K <= f^2 B_K^T P B_K, P the projection on the last b rows: A + E E^T / (t - c^2) <= (D B_K)^T (D B_K).

    block  : B_K, `Band.leading` of an upper band with b superdiagonals.
    count  : how many, 1 to the block's columns.
    border : f >= ||F||, F the last b rows of B_K's rows beyond its columns; 0 for nothing cut.
    tail   : c >= ||columns of B beyond the block||.
    Returns (count,) singular values; inf where s_j(B_K) <= c, where it is vacuous. Rounding is not included.
    """
    if block.lower != 0 or not (border >= 0.0 and tail >= 0.0):
        raise Refused(f"band with {block.lower} subdiagonals, border {border!r}, tail {tail!r}; an upper band, both >= 0 needed")
    lowest = band_singular_values(block)[: check_size(count, "count")]
    found = np.full(lowest.size, math.inf)
    for j in np.flatnonzero(lowest > tail):
        factor = math.sqrt(1.0 + border**2 / ((lowest[j] - tail) * (lowest[j] + tail)))
        scaled = Band(block.entries.copy(), block.rows, 0, block.upper)
        for offset in range(block.upper + 1):
            values = scaled.diagonal(offset)
            values[max(block.rows - block.upper, 0) :] *= factor
        found[j] = band_singular_values(scaled)[j]
    return found


def band_singular_values(band: Band, count: int | None = None) -> Array:
    """The min(rows, cols) singular values of a band matrix with rows >= cols, or the `count` largest; decreasing.

    Error of order u times the largest value in each; all values of a bidiagonal matrix have relative accuracy of order u.
    """
    if (band.lower, band.upper) == (0, 1):
        diagonal, beside = band.diagonal(0), band.diagonal(1)
    else:
        diagonal, beside = band_to_bidiagonal(band.entries, band.rows, band.lower, band.upper)
    if count is None or BISECTION_ROWS * count >= diagonal.size:
        return bidiagonal_values(diagonal, beside)[:count]
    beside_zero = np.zeros(2 * diagonal.size)
    beside_zero[0::2], beside_zero[1:-1:2] = diagonal, beside
    chosen = (beside_zero.size - count, beside_zero.size - 1)
    zero = np.zeros(beside_zero.size)
    found = eigvalsh_tridiagonal(zero, beside_zero[:-1], select="i", select_range=chosen, lapack_driver="stebz")
    return np.asarray(found)[::-1]


def _short(rows: int, cols: int) -> int:
    check_model(rows, cols, 1.0)
    return min(rows, cols)
