"""The variance of the entries of a noise matrix, from its norm or from the middle of its spectrum, and how well a bulk fits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from certify.laws._checks import Array, at_least, check_model, level
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.records import Refused


def variance_by_norm(values: npt.ArrayLike, rows: int, cols: int) -> float:
    """The unbiased estimate from all singular values of pure noise.

        v = ||R||_F^2 / (n m),   E v exact for any entries of variance v

    values     : (min(rows, cols),) singular values of R, >= 0.
    rows, cols : shape (n, m) of R, >= 1.
    Returns squared weight units. Every spike adds its square: not for signal plus noise.
    Claim M10-variance-norm (Section 7 of theory/mp-certificates.md).
    """
    return float(np.sum(_spectrum(values, rows, cols) ** 2)) / (rows * cols)


def variance_interval(values: npt.ArrayLike, rows: int, cols: int, delta: float) -> tuple[float, float]:
    """Exact confidence interval for the variance of Gaussian noise.

        n m v / v_true ~ chi^2 with n m degrees of freedom

    values     : (min(rows, cols),) singular values of R, >= 0.
    rows, cols : shape (n, m) of R, >= 1.
    delta      : error probability in (0, 1), half of it on each side.
    Returns (lower, upper); entries independent N(0, v_true).
    Claim M10-variance-norm (Section 7 of theory/mp-certificates.md).
    """
    half, total = 0.5 * level(delta, "delta"), float(np.sum(_spectrum(values, rows, cols) ** 2))
    return total / float(chi2.isf(half, rows * cols)), total / float(chi2.ppf(half, rows * cols))


def variance_by_quantiles(values: npt.ArrayLike, rows: int, cols: int, share: float) -> float:
    """The estimate from the middle of the spectrum, which a few spikes cannot move far.

        v = sum q_k x_k / sum q_k^2 over share p <= k - 1/2 <= (1 - share) p,   p = min(rows, cols),   x_k = s_k^2,
        q_k the quantile at (k - 1/2) / p of the nonzero eigenvalues at variance 1

    values     : (p,) singular values, >= 0, any order.
    rows, cols : shape of the matrix, >= 1.
    share      : in [0, 1/2), left out on each side.
    Returns squared weight units. r spikes shift upper quantiles by at most r / p of mass.
    Claim M10-bulk-fit (BEMA: Ke, Ma and Lin, J. Amer. Statist. Assoc. 118, 2023).
    """
    eigenvalues = np.sort(_spectrum(values, rows, cols)) ** 2
    window, quantiles = _unit_quantiles(rows, cols, share)
    return float(quantiles @ eigenvalues[window] / (quantiles @ quantiles))


def fit_distance(values: npt.ArrayLike, rows: int, cols: int, share: float) -> float:
    """How far the middle of a spectrum lies from the law fitted to it.

        D = max over the window of |F(s_(k)) - k / p| and |F(s_(k)) - (k - 1) / p|,   F the law at `variance_by_quantiles`

    values     : (p,) singular values, >= 0, any order; not all of the window 0.
    rows, cols : shape of the matrix, >= 1.
    share      : in [0, 1/2), left out on each side.
    Returns a share, free of scale. Classical Kolmogorov tables do not apply, eigenvalues are rigid: use `fit_p_value`.
    Claim M10-fit-statistic (Section 7 of theory/mp-certificates.md, M10(c)).
    """
    ordered = np.sort(_spectrum(values, rows, cols))
    window, _ = _unit_quantiles(rows, cols, share)
    variance = variance_by_quantiles(ordered, rows, cols, share)
    if not variance > 0.0:
        raise Refused("values: the middle of the spectrum is zero; there is no bulk to fit")
    fitted = MarchenkoPasturSingular(rows, cols, variance).cdf(ordered[window])
    steps = np.flatnonzero(window) / len(ordered)
    return float(max(np.max(np.abs(fitted - steps)), np.max(np.abs(fitted - steps - 1.0 / len(ordered)))))


def fit_p_value(distance: float, null: npt.ArrayLike) -> float:
    """Rank of a fit among fits of simulated noise of the same shape.

        p = (1 + #{b : D_b >= D}) / (B + 1),   P(p <= delta) <= delta under Gaussian noise, equality for delta (B + 1) whole

    distance : `fit_distance` of the matrix, in [0, 1].
    null     : (B,) distances of independent `gaussian_singular_values` of that shape, at the same share; any variance.
    Returns a p-value >= 1 / (B + 1); exact whatever the law of D is, because all B + 1 distances are exchangeable.
    Claim M10-fit-statistic (Monte Carlo test; Section 7 of theory/mp-certificates.md, M10(c)).
    """
    drawn, found = at_least(null, "null", 0.0), float(at_least(distance, "distance", 0.0))
    if drawn.ndim != 1 or drawn.size == 0:
        raise Refused(f"null: shape {drawn.shape}; (draws,) with at least one is expected")
    return (1.0 + float(np.sum(drawn >= found))) / (drawn.size + 1.0)


@lru_cache(maxsize=64)
def _unit_quantiles(rows: int, cols: int, share: float) -> tuple[npt.NDArray[np.bool_], Array]:
    """Which of the ascending values are used, and the eigenvalue quantiles at (k - 1/2) / p of those, variance 1."""
    count = min(rows, cols)
    if not 0.0 <= share < 0.5:
        raise Refused(f"share: {share!r}; a number in [0, 1/2) is expected")
    ranks = (np.arange(count) + 0.5) / count
    window = (ranks >= share) & (ranks <= 1.0 - share)
    if not np.any(window):
        raise Refused(f"share: {share}; nothing of {count} values is left")
    return window, MarchenkoPasturSingular(rows, cols, 1.0).ppf(ranks[window]) ** 2


def _spectrum(values: npt.ArrayLike, rows: int, cols: int) -> Array:
    check_model(rows, cols, 1.0)
    array = at_least(values, "values", 0.0)
    if array.shape != (min(rows, cols),):
        raise Refused(
            f"values: shape {array.shape}; the {min(rows, cols)} singular values of a {rows} x {cols} matrix are expected"
        )
    return array
