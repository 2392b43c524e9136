"""Finite Gaussian noise matrices: the Tracy–Widom centring of their largest singular value, bounds without limits, the
exact law of their norm, and a sampler of their singular values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh_tridiagonal
from scipy.special import gammaincc

from certify.laws._checks import Array, at_least, check_model, check_size, level, points
from certify.laws.tracy_widom import TracyWidom
from certify.records import Refused


@dataclass(frozen=True)
class WishartEdge:
    """Approximate law of the largest eigenvalue of R^T R: centre + scale X with X of the Tracy–Widom law of order beta.

    centre, scale : squared weight units, scale > 0.
    beta          : 1 for real entries, 2 for complex ones.
    Arguments and results are singular values (weight units). Asymptotic: no finite-size guarantee.
    Claim M7-wishart-edge (Johnstone, Ann. Statist. 29, 2001).
    """

    centre: float
    scale: float
    beta: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.centre) and math.isfinite(self.scale) and self.scale > 0.0):
            raise Refused(f"centre {self.centre!r}, scale {self.scale!r}; finite numbers and scale > 0 are expected")
        TracyWidom(self.beta)

    def sf(self, s: npt.ArrayLike) -> Array:
        """P(largest singular value > s), about: the p-value of an observed s; 1 for s <= 0."""
        s = points(s, "s")
        return np.where(s <= 0.0, 1.0, TracyWidom(self.beta).sf((np.sign(s) * s * s - self.centre) / self.scale))

    def level(self, beta: float) -> float:
        """The singular value that pure noise exceeds with probability about beta, in (0, 1)."""
        square = self.centre + self.scale * float(TracyWidom(self.beta).isf(level(beta, "beta")))
        if square <= 0.0:
            raise Refused(f"centre {self.centre:g}, scale {self.scale:g}: too small a matrix for a level of {beta}")
        return math.sqrt(square)


def johnstone_edge(rows: int, cols: int, entry_variance: float) -> WishartEdge:
    """Johnstone's centring and scaling of the largest eigenvalue of R^T R.

        mu = (sqrt(n - 1) + sqrt m)^2,   tau = (sqrt(n - 1) + sqrt m) (1 / sqrt(n - 1) + 1 / sqrt m)^(1/3)

    rows, cols     : shape (n, m) of R, rows >= 2, cols >= 1. Not the same for the transpose (errata, orientation rule).
    entry_variance : v > 0; centre v mu, scale v tau.
    Prefer `symmetric_edge`, which is of second order.
    Claim M7-johnstone (Johnstone, Ann. Statist. 29, 2001).
    """
    check_model(rows, cols, entry_variance)
    if rows < 2:
        raise Refused(f"rows: {rows}; Johnstone's centring needs at least 2")
    return _edge(rows - 1.0, float(cols), entry_variance)


def symmetric_edge(rows: int, cols: int, entry_variance: float) -> WishartEdge:
    """Second-order centring and scaling: Johnstone's with rows - 1/2 and cols - 1/2.

        mu = (sqrt(n - 1/2) + sqrt(m - 1/2))^2,   tau = sqrt(mu) (1 / sqrt(n - 1/2) + 1 / sqrt(m - 1/2))^(1/3)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; centre v mu, scale v tau.
    The error of the law falls as min(rows, cols)^(-2/3) instead of ^(-1/3).
    Claim M7-wishart-edge (Ma, Bernoulli 18, 2012).
    """
    check_model(rows, cols, entry_variance)
    return _edge(rows - 0.5, cols - 0.5, entry_variance)


def mean_edge_upper(rows: int, cols: int, entry_variance: float) -> float:
    """Upper bound of the mean of the largest singular value of Gaussian noise.

        E s_1(R) <= sqrt(v) (sqrt rows + sqrt cols)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; entries independent N(0, v).
    Returns a singular value. Holds at every finite size.
    Claim M8-nonasymptotic-edge (Gordon's comparison).
    """
    check_model(rows, cols, entry_variance)
    return math.sqrt(entry_variance) * (math.sqrt(rows) + math.sqrt(cols))


def exceedance_upper(rows: int, cols: int, entry_variance: float, s: npt.ArrayLike) -> Array:
    """Upper bound of the probability that the largest singular value of Gaussian noise exceeds s.

        P(s_1(R) > s) <= exp(-t^2 / 2),   t = max(0, s / sqrt(v) - sqrt rows - sqrt cols)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; entries independent N(0, v).
    s              : any shape, singular values.
    Returns probabilities, at every finite size; vacuous (1) up to the bulk's edge.
    Claim M8-nonasymptotic-edge (Gordon's comparison and Gaussian concentration).
    """
    edge = mean_edge_upper(rows, cols, entry_variance)
    t = np.maximum(0.0, points(s, "s") - edge) / math.sqrt(entry_variance)
    return np.exp(-0.5 * t * t)


def mean_smallest_lower(rows: int, cols: int, entry_variance: float) -> float:
    """Lower bound of the mean of the smallest of the min(rows, cols) singular values of Gaussian noise.

        E s_min(R) >= sqrt(v) |sqrt rows - sqrt cols|

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; entries independent N(0, v).
    Returns a singular value; vacuous (0) for square matrices.
    Claim M8-nonasymptotic-edge (Gordon's comparison).
    """
    check_model(rows, cols, entry_variance)
    return math.sqrt(entry_variance) * abs(rows - cols) / (math.sqrt(rows) + math.sqrt(cols))


def norm_exceedance(rows: int, cols: int, entry_variance: float, s: npt.ArrayLike) -> Array:
    """Probability that the Frobenius norm of Gaussian noise exceeds s.

        P(||R||_F > s) = Q(n m / 2, s^2 / (2 v)),   ||R||_F^2 / v ~ chi^2 with n m degrees of freedom

    E ||R||_F^2 = n m v, and the ratio ||R||_F^2 / (n m v) has standard deviation sqrt(2 / (n m)): so along a sequence this
    tends to 0 for every s > 0 if and only if n m v does (g m -> 0 for v = g / n).
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; entries independent N(0, v).
    s              : any shape, >= 0.
    Returns probabilities, exact at every finite size.
    Claim C4.9-variance-collapse (Corollary 4.9 of arXiv:2606.02608), M10-variance-norm.
    """
    check_model(rows, cols, entry_variance)
    s = at_least(s, "s", 0.0) / math.sqrt(entry_variance)
    return gammaincc(0.5 * rows * cols, 0.5 * s * s)


def gaussian_singular_values(rows: int, cols: int, entry_variance: float, draws: int, rng: np.random.Generator) -> Array:
    """Singular values of independent Gaussian matrices, without the matrices.

        B bidiagonal with independent chi_N, chi_{N-1}, .. on and chi_{k-1}, .., chi_1 beside its diagonal has the singular
        values of a matrix with k N entries N(0, 1);   k = min(rows, cols), N = max(rows, cols)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0; entries independent N(0, v).
    draws          : >= 1, with generator `rng`.
    Returns (draws, k), decreasing along the last axis, from the eigenvalues of B^T B: values below 1e-8 of the largest are
    rounding.
    Claim M7-bidiagonal (Golub and Kahan's reduction of a Gaussian matrix).
    """
    check_model(rows, cols, entry_variance)
    short, long = min(rows, cols), max(rows, cols)
    found = np.empty((check_size(draws, "draws"), short))
    for row in found:
        diagonal = rng.chisquare(long - np.arange(short))
        beside = rng.chisquare(np.arange(short - 1, 0, -1)) if short > 1 else np.zeros(0)
        squares = eigvalsh_tridiagonal(diagonal + np.append(0.0, beside), np.sqrt(diagonal[:-1] * beside))
        row[:] = np.sqrt(entry_variance * np.maximum(squares[::-1], 0.0))
    return found


def _edge(n: float, m: float, variance: float) -> WishartEdge:
    root = math.sqrt(n) + math.sqrt(m)
    return WishartEdge(variance * root * root, variance * root * (n**-0.5 + m**-0.5) ** (1.0 / 3.0))
