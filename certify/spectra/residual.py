"""What is left of a layer when its spikes are taken out: is it independent noise of the fitted variance?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, kstest

from certify.laws._checks import check_model
from certify.records import Refused
from certify.spectra.haar import holm
from certify.spectra.values import Array

# The fitted variance of pure noise has a relative standard deviation of at most RATIO_SCALE / min(rows, cols), reached by square
# matrices: measured in tests/spectra/test_residual.py.
RATIO_ERRORS = 5.0
RATIO_SCALE = 1.0


@dataclass(frozen=True)
class Residual:
    """What was found.

    variance_ratio  : ||R||_F^2 over what noise of the fitted variance would leave; 1 for noise.
    normal_p        : Kolmogorov–Smirnov test of the standardised entries against N(0, 1).
    row_p, col_p    : test of the largest correlation between two rows, two columns.
    obeys           : ratio within tolerance and none of the three tests rejects at `level` (Holm).
    """

    variance_ratio: float
    ratio_tolerance: float
    normal_p: float
    row_p: float
    col_p: float
    obeys: bool


def residual_test(residual: Array, entry_variance: float, removed: int, *, level: float = 0.01) -> Residual:
    """Test R = W - (its spikes) against iid Gaussian entries of the fitted variance.

        ratio  = ||R||_F^2 / (v (n - k)(m - k)),                   obeys: |ratio - 1| <= 5 / min(n, m)
        normal : entries / sqrt(v (n - k)(m - k) / (n m)) against N(0, 1)
        rows   : max over pairs of <R_i, R_j>^2 / (||R_i||^2 ||R_j||^2) against Beta(1/2, (m - k - 1)/2), union bound over pairs
        cols   : the same for columns, with n - k

    residual       : (n, m), k = `removed` spikes taken out by `numpy.linalg.svd`.
    entry_variance : v > 0, variance of one entry; it is not divided by the size again. Dividing gives ratios of 191 to 3057
                     on pure noise (section 4.1, 3 of methods/mp-pruning.md), a test that always rejects.
    Hypotheses: k is small beside min(n, m); v comes from the middle of the spectrum, so the normal test, which takes it as
    known, is slightly off level. The largest singular value of R is no test: it lies below the edge by construction.
    Rejection says that the entries are not iid Gaussian, not that the Marchenko–Pastur law fails: that needs less.
    """
    rows, cols = residual.shape
    check_model(rows, cols, entry_variance)
    left = (rows - removed) * (cols - removed)
    if not 0 <= removed < min(rows, cols) - 1:
        raise Refused(f"removed: {removed} of {min(rows, cols)} directions; a residual of rank 2 at least is expected")
    ratio = float(np.sum(residual**2)) / (entry_variance * left)
    tolerance = RATIO_ERRORS * RATIO_SCALE / min(rows, cols)
    standard = residual.ravel() / math.sqrt(entry_variance * left / (rows * cols))
    normal = float(kstest(standard, "norm", method="asymp").pvalue)
    row, col = _correlation(residual, cols - removed), _correlation(residual.T, rows - removed)
    quiet = bool(np.all(holm(np.array([normal, row, col])) > level))
    return Residual(ratio, tolerance, normal, row, col, quiet and abs(ratio - 1.0) <= tolerance)


def _correlation(lines: Array, freedom: int) -> float:
    """p-value of the largest squared cosine between two lines of `freedom` independent entries; a zero line has none."""
    norms = np.sqrt(np.sum(lines**2, axis=1))
    lines = lines[norms > 0.0] / norms[norms > 0.0, None]
    count = len(lines)
    if count < 2 or freedom < 2:
        return 1.0
    cosines = lines @ lines.T
    np.fill_diagonal(cosines, 0.0)
    largest = min(1.0, float(np.max(cosines**2)))
    return min(1.0, 0.5 * count * (count - 1) * float(beta(0.5, 0.5 * (freedom - 1)).sf(largest)))
