"""The entry variance of a layer's bulk: quantile regression on the middle of its spectrum, outliers dropped, fitted again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from certify.laws.edge import spike_threshold
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.spectra.values import Array, numerical_rank

SMALLEST = 16
MOST_ROUNDS = 50
TRIM = 0.25
LEVEL = 0.1
# The laws square what they are given.
LOWEST, HIGHEST = 1e-145, 1e152
# A window of fewer values is widened to all that are left, and with fewer than these left there is no bulk.
WINDOW = 8


@dataclass(frozen=True)
class Bulk:
    """What the fit found.

    entry_variance : variance of one entry of the noise, squared weight units; 0 where nothing was fitted.
    fit_error      : Kolmogorov distance to the fitted law over the window of the bulk, in [0, 1].
    spikes         : how many values were held to be beyond the bulk when the variance was fitted.
    rounds         : fits made. `converged`: the last one moved no value across the edge.
    note           : why nothing was fitted, or why the rounds did not settle; empty when all is well.
    """

    entry_variance: float
    fit_error: float
    spikes: int
    rounds: int
    converged: bool
    note: str = ""

    @property
    def fitted(self) -> bool:
        return self.entry_variance > 0.0


def fit_values(values: Array, rows: int, cols: int, *, trim: float = TRIM, level: float = LEVEL) -> Bulk:
    """Entry variance of the bulk, by regression of central eigenvalues on quantiles of the law, until no value changes sides.

        v = sum_i q_i s_(i)^2 / sum_i q_i^2   over trim p' <= i < (1 - trim) p',   p' = p - k values held to be bulk,
        q_i the quantile at (i + 1/2) / p' of R^T R for unit variance and the shape (rows - k, cols - k)

    and k = #{s_i >= spike_threshold(v)} for the next round. One round alone is biased by spikes in its window
    (a bulk share below 75 % at trim = .25); dropping and fitting again is not. Where rounds alternate, the larger k is kept.

    values     : (p,) singular values, largest first, p = min(rows, cols); those below rounding count as 0.
    rows, cols : shape of the layer.
    trim       : share of the window cut from each end, in (0, 1/2).
    level      : chance that pure noise has a value beyond the edge, in (0, 1).
    Returns a `Bulk`; never fails on a matrix without one.
    Claim M10-bulk-fit (b) (BEMA: Ke, Ma and Lin, J. Amer. Statist. Assoc. 118, 2023), iterated.
    """
    reason = _no_bulk(values, rows, cols)
    if reason:
        return Bulk(0.0, 0.0, 0, 0, False, reason)
    count, rank = len(values), numerical_rank(values, rows, cols)
    ascending = np.where(np.arange(count) < rank, values, 0.0)[::-1]
    spikes, seen, rounds, converged = 0, set[int](), 0, False
    while True:
        rounds += 1
        variance = _variance(ascending[: count - spikes], rows - spikes, cols - spikes, trim)
        if not variance > 0.0:
            return Bulk(0.0, 0.0, 0, rounds, False, "the central singular values are zero; no bulk to fit")
        found = int(np.sum(values >= spike_threshold(rows, cols, variance, level)))
        if count - found < WINDOW:
            words = f"{found} of {count} singular values lie beyond the fitted edge; this is no bulk"
            return Bulk(0.0, 0.0, 0, rounds, False, words)
        converged = found == spikes
        if converged or rounds >= MOST_ROUNDS:
            break
        if found in seen:
            spikes = max(found, spikes)
            variance = _variance(ascending[: count - spikes], rows - spikes, cols - spikes, trim)
            break
        seen.add(found)
        spikes = found
    error = _distance(ascending[: count - spikes], rows - spikes, cols - spikes, variance, trim)
    note = "" if converged else "the set of spikes did not settle; the larger one is shown"
    return Bulk(variance, error, spikes, rounds, converged, note)


def _no_bulk(values: Array, rows: int, cols: int) -> str:
    count = len(values)
    if count < SMALLEST:
        return f"{count} singular values; a bulk is fitted from {SMALLEST} on"
    if not values[0] > 0.0:
        return "the matrix is zero"
    if not LOWEST <= values[0] <= HIGHEST:
        return f"largest singular value {values[0]:.3g}; its square leaves float64, so rescale the layer"
    rank = numerical_rank(values, rows, cols)
    return f"rank {rank}; no bulk to fit" if rank < SMALLEST else ""


def _window(count: int, trim: float) -> slice:
    low, high = int(np.floor(trim * count)), int(np.floor((1.0 - trim) * count))
    return slice(low, high) if high - low >= WINDOW else slice(0, count)


@lru_cache(maxsize=256)
def _quantiles(rows: int, cols: int, trim: float) -> Array:
    """Eigenvalue quantiles over the window, unit variance."""
    count = min(rows, cols)
    ranks = (np.arange(count)[_window(count, trim)] + 0.5) / count
    found = MarchenkoPasturSingular(rows, cols, 1.0).ppf(ranks) ** 2
    found.setflags(write=False)
    return found


def _variance(ascending: Array, rows: int, cols: int, trim: float) -> float:
    quantiles, used = _quantiles(rows, cols, trim), ascending[_window(len(ascending), trim)]
    scale = float(used[-1])
    if not scale > 0.0:
        return 0.0
    return float(quantiles @ (used / scale) ** 2 / (quantiles @ quantiles)) * scale * scale


def _distance(ascending: Array, rows: int, cols: int, variance: float, trim: float) -> float:
    """max over the window of |F - i/p| and |F - (i+1)/p|: both one-sided limits of the empirical law; F = 1 beyond the edge."""
    count, window = len(ascending), _window(len(ascending), trim)
    fitted = MarchenkoPasturSingular(rows, cols, variance).cdf(ascending[window])
    ranks = np.arange(count)[window]
    return float(np.max(np.maximum(np.abs(fitted - ranks / count), np.abs(fitted - (ranks + 1) / count))))
