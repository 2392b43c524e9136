"""Singular vectors of spiked Gaussian matrices against the directions of their signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_banded

from certify.laws._checks import Array, check_size
from certify.records import Refused
from simulations.samplers.bands import Band, vector_band
from simulations.samplers.values import band_singular_values, leading_size

# Inverse iterations per vector, from a start that no eigenvector is orthogonal to: each gains the ratio of gap to shift.
ITERATIONS, START_SEED, SHIFT = 3, 20260608, 1e-13


@dataclass(frozen=True)
class Overlaps:
    """Leading singular values of `draws` matrices and the squared overlaps of their vectors with k signal directions.

    values : (draws, count), decreasing along the last axis.
    left   : (draws, count, k), <u_i, hat u_j>^2 at [., j, i].
    right  : (draws, count, k), <v_i, hat v_j>^2 at [., j, i].
    """

    values: Array
    left: Array
    right: Array


def leading_overlaps(
    rows: int,
    cols: int,
    entry_variance: float,
    count: int,
    draws: int,
    rng: np.random.Generator,
    strengths: npt.ArrayLike,
) -> Overlaps:
    """The largest singular values of W = R + sum_i theta_i u_i v_i^T with the overlaps of their vectors, jointly.

    From the leading block of `vector_band`, whose first k coordinates are the directions; the block is that of
    `leading_size` with step 2 k, where a vector has fallen to exp(-(2/3) 12^(3/2)) = 1e-12. Vectors by inverse iteration on the
    banded W^T W: O(N^(1/3) k^2) operations each.
    Hypotheses: as in `singular_values`; one strength at least.
    rows, cols     : shape, >= 1; the transpose exchanges left and right.
    entry_variance : v > 0.
    count          : 1 to min(rows, cols). Overlaps of values below 1e-5 of the largest lose their digits (W^T W).
    draws          : >= 1, with generator `rng`.
    strengths      : (k,) theta_i >= 0; for equal ones only the sum over their directions has a meaning.
    Claim M5-overlaps (their limits: certify.laws.left_overlap, right_overlap).
    """
    if rows < cols:
        turned = leading_overlaps(cols, rows, entry_variance, count, draws, rng, strengths)
        return Overlaps(turned.values, turned.right, turned.left)
    k = max(np.size(strengths), 1)
    size = max(leading_size(rows, cols, count, 2 * k), min(2 * k, cols))
    shape = (check_size(draws, "draws"), count)
    found = Overlaps(np.empty(shape), np.empty((*shape, k)), np.empty((*shape, k)))
    for draw in range(draws):
        band = vector_band(rows, cols, entry_variance, strengths, rng, size)
        found.values[draw] = band_singular_values(band, count)
        right = right_vectors(band, found.values[draw])
        left = _product(band, right)
        found.left[draw] = (left[:k] ** 2 / (left**2).sum(axis=0)).T
        found.right[draw] = (right[:k] ** 2).T
    return found


def right_vectors(band: Band, values: Array) -> Array:
    """Unit right singular vectors (cols, count) of a band matrix at `values`, simple singular values of it, > 0."""
    squares = _gram(band)
    reach = squares.shape[0] // 2
    start = np.random.default_rng(START_SEED).standard_normal(band.cols)
    found = np.empty((band.cols, values.size))
    for j, value in enumerate(values):
        if not value > 0.0:
            raise Refused(f"singular value {value!r}; a vector is found for values > 0")
        shifted = squares.copy()
        shifted[reach] -= value * value * (1.0 + SHIFT)
        vector = start
        for _ in range(ITERATIONS):
            vector = solve_banded((reach, reach), shifted, vector)
            vector = vector / np.linalg.norm(vector)
        found[:, j] = vector
    return found


def _gram(band: Band) -> Array:
    """W^T W in the storage of scipy's solve_banded."""
    entries, size = band.entries, band.cols
    reach = min(band.lower + band.upper, size - 1)
    squares = np.zeros((2 * reach + 1, size))
    squares[reach] = (entries * entries).sum(axis=1)
    for d in range(1, reach + 1):
        beside = (entries[:-d, d:] * entries[d:, :-d]).sum(axis=1)
        squares[reach - d, d:] = squares[reach + d, :-d] = beside
    return squares


def _product(band: Band, vectors: Array) -> Array:
    """W times vectors (cols, count), one diagonal at a time."""
    found = np.zeros((band.rows, vectors.shape[1]))
    for offset in range(-band.lower, band.upper + 1):
        values = band.diagonal(offset)[:, None]
        row, col = max(-offset, 0), max(offset, 0)
        found[row : row + len(values)] += values * vectors[col : col + len(values)]
    return found
