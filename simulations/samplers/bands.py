"""Narrow matrices with the singular values of W = R + S, R Gaussian of shape (rows, cols), S of small rank and independent.

R has independent N(0, v) entries, S = sum_i theta_i u_i v_i^T with orthonormal u_i and orthonormal v_i (any S independent of
R is of this form: its SVD). Three facts give all laws here.

(1) P R Q has the law of R for orthogonal P, Q independent of R. So S may be taken as diag(theta) in the leading k x k corner.
(2) Let C be some columns of a matrix, independent of its other columns G, and C = P T its QR. P depends on C alone, so P^T G
    has the law of G and is independent of T. A Gaussian C of shape (n, b) has T upper triangular with independent entries:
    chi_n, chi_{n-1}, .. on the diagonal, N(0, 1) above it (Bartlett). Same for rows, from the right, with T lower triangular.
(3) Singular values do not change under rotations from either side; <u_i, .> does not change under rotations that fix u_i.

No spike, (2) with one column, one row, one column .. : upper bidiagonal, chi_{n-i} at (i, i), chi_{m-1-i} at (i, i + 1)
(Golub and Kahan's reduction; Silverstein, Ann. Probab. 13, 1985; Dumitriu and Edelman, J. Math. Phys. 43, 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certify.laws._checks import Array, at_least, check_model, check_size
from certify.records import Refused


@dataclass(frozen=True)
class Band:
    """A matrix (rows, cols) whose entry (i, j) is zero unless -lower <= j - i <= upper.

    entries : (cols, lower + upper + 1), entries[j, upper + i - j] the entry (i, j), zero where that lies outside.
    """

    entries: Array
    rows: int
    lower: int
    upper: int

    @property
    def cols(self) -> int:
        """Columns."""
        return self.entries.shape[0]

    def diagonal(self, offset: int) -> Array:
        """The entries (i, i + offset), a view."""
        if not -self.lower <= offset <= self.upper:
            raise Refused(f"offset: {offset}; the band reaches from {-self.lower} to {self.upper}")
        first = max(offset, 0)
        length = max(min(self.rows + offset, self.cols) - first, 0)
        return self.entries[first : first + length, self.upper - offset]

    def leading(self, size: int) -> Band:
        """The leading block of `size` rows and columns; the whole matrix where that is all its columns."""
        if size >= self.cols:
            return self
        block = Band(np.array(self.entries[:size]), size, self.lower, self.upper)
        for below in range(1, self.lower + 1):
            block.entries[max(size - below, 0) :, self.upper + below] = 0.0
        return block

    def dense(self) -> Array:
        """The matrix with its zeros."""
        matrix = np.zeros((self.rows, self.cols))
        for offset in range(-self.lower, self.upper + 1):
            values = self.diagonal(offset)
            i = np.arange(values.size) + max(-offset, 0)
            matrix[i, i + offset] = values
        return matrix


def noise_band(rows: int, cols: int, entry_variance: float, rng: np.random.Generator, size: int | None = None) -> Band:
    """The bidiagonal chi model of a Gaussian matrix: `value_band` without spikes.

        chi_{N-i} at (i, i),   chi_{k-1-i} at (i, i + 1),   times sqrt(v);   N = max(rows, cols), k = min(rows, cols)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    rng, size      : as in `value_band`.
    Claim M7-bidiagonal.
    """
    return value_band(rows, cols, entry_variance, (), rng, size)


def value_band(
    rows: int, cols: int, entry_variance: float, strengths: npt.ArrayLike, rng: np.random.Generator, size: int | None = None
) -> Band:
    """An upper band matrix with the singular values of W = R + S.

        b = max(k, 1) superdiagonals; for rows = n >= cols = m, in units of sqrt(v):
        chi_{n-i} at (i, i),   N(0, 1) at (i, i + d), 0 < d < b,   chi_{m-b-i} at (i, i + b),
        the leading k x k corner replaced by the R factor of  diag(theta / sqrt v) + G  over  T

    G is k x k Gaussian and T the triangle (2) of its n - k remaining rows. The QR of the first k columns of W (rotated by (1))
    gives the corner and leaves n x (m - k) independent Gaussian numbers beside and below it, with no spike left in them; (2)
    on the k rows beside, then on the next k columns below, and so on, gives the rest. For k = 1 the matrix is bidiagonal and
    only its first entry knows the spike.

    rows, cols     : shape of W, >= 1; the transpose has the same values, so rows < cols is turned.
    entry_variance : v > 0.
    strengths      : (k,) theta_i >= 0, k <= min(rows, cols); equal ones allowed.
    rng            : draws (2 b + 1) size numbers or fewer.
    size           : only the leading block of this size is drawn (all columns when None); its law is that block's.
    Claim M7-bidiagonal for k = 0; the band for k spikes is Bloemendal and Virág's (Ann. Probab. 44, 2016).
    """
    theta = _strengths(rows, cols, entry_variance, strengths)
    n, m, k = max(rows, cols), min(rows, cols), theta.size
    b, length = max(k, 1), min(m, m if size is None else check_size(size, "size"))
    band = Band(np.zeros((length, b + 1)), length, 0, b)
    band.diagonal(0)[:] = _chi(n - np.arange(length), rng)
    band.diagonal(b)[:] = _chi(m - b - np.arange(max(length - b, 0)), rng)
    for offset in range(1, b):
        band.diagonal(offset)[:] = rng.standard_normal(max(length - offset, 0))
    band.entries[:] *= math.sqrt(entry_variance)
    if k:
        _write_corner(band, _corner(n, theta, entry_variance, rng))
    return band


def vector_band(
    rows: int, cols: int, entry_variance: float, strengths: npt.ArrayLike, rng: np.random.Generator, size: int | None = None
) -> Band:
    """A band matrix with the singular values of W = R + S whose leading k rows and columns are the directions of S.

        k diagonals on either side; in units of sqrt(v):
        N(0, 1) at (i, i + d), |d| < k,   chi_{m-k-i} at (i, i + k),   chi_{n-k-i} at (i + k, i),
        plus theta_i at (i, i), i < k

    By (1) the directions are coordinates 1 .. k of both sides. The rows below them are rotated among themselves so that the
    first k columns end in a triangle, the columns behind them so that the first k rows do; neither touches a direction, what
    remains is (n - k) x (m - k) Gaussian, and its first k rows and columns go on in the same way. So with hat u_j, hat v_j the
    singular vectors of the band, <u_i, hat u_j> = (hat u_j)_i and <v_i, hat v_j> = (hat v_j)_i, jointly with the values.

    rows, cols     : shape of W, >= 1, rows >= cols (turn W, and exchange u with v, otherwise).
    entry_variance : v > 0.
    strengths      : (k,) theta_i >= 0, 1 <= k <= cols.
    rng, size      : as in `value_band`; with size None the band has min(rows, cols + k) rows.
    """
    theta = _strengths(rows, cols, entry_variance, strengths)
    k = theta.size
    if rows < cols or k == 0:
        raise Refused(f"rows {rows}, cols {cols}, {k} strengths; rows >= cols and one strength at least are expected")
    length = min(cols, cols if size is None else check_size(size, "size"))
    height = length if length < cols else min(rows, cols + k)
    band = Band(np.zeros((length, 2 * k + 1)), height, k, k)
    right, left = band.diagonal(k), band.diagonal(-k)
    right[:] = _chi(cols - k - np.arange(right.size), rng)
    left[:] = _chi(rows - k - np.arange(left.size), rng)
    for offset in range(1 - k, k):
        values = band.diagonal(offset)
        values[:] = rng.standard_normal(values.size)
    band.entries[:] *= math.sqrt(entry_variance)
    band.diagonal(0)[:k] += theta[: band.diagonal(0).size]
    return band


def _strengths(rows: int, cols: int, entry_variance: float, strengths: npt.ArrayLike) -> Array:
    check_model(rows, cols, entry_variance)
    theta = at_least(strengths, "strengths", 0.0) if np.size(strengths) else np.zeros(0)
    if theta.ndim != 1 or theta.size > min(rows, cols):
        raise Refused(f"strengths: shape {theta.shape}; a list of at most min(rows, cols) = {min(rows, cols)} is expected")
    return theta


def _chi(freedom: npt.NDArray[np.int64], rng: np.random.Generator) -> Array:
    return np.sqrt(rng.chisquare(freedom))


def _corner(n: int, theta: Array, entry_variance: float, rng: np.random.Generator) -> Array:
    """R factor of the first k columns of W, (n, k), from at most 2 k of their rows; its diagonal >= 0."""
    k = theta.size
    columns = rng.standard_normal((min(n, 2 * k), k))
    if n >= 2 * k:
        columns[k:] = np.triu(columns[k:], 1) + np.diag(_chi(n - k - np.arange(k), rng))
    columns *= math.sqrt(entry_variance)
    columns[np.arange(k), np.arange(k)] += theta
    factor = np.asarray(np.linalg.qr(columns, mode="r"))
    return factor * np.where(np.diag(factor) < 0.0, -1.0, 1.0)[:, None]


def _write_corner(band: Band, corner: Array) -> None:
    """Put the upper triangle of the corner in place, as much of it as the block has columns."""
    for offset in range(min(corner.shape[0], band.cols)):
        values = np.diagonal(corner, offset)[: band.cols - offset]
        band.diagonal(offset)[: values.size] = values
