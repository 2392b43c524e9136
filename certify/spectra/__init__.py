"""Fitting the Marchenko–Pastur bulk of a real layer: its edge, its spikes, and how well the law fits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from certify.laws.edge import bulk_edge, spike_threshold
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.records import Refused, Spectrum

SMALLEST = 16
MOST_ROUNDS = 50
TRIM = 0.25
BETA = 0.1
CURVE_POINTS = 160


def fit_spectra(weights: Mapping[str, np.ndarray]) -> tuple[Spectrum, ...]:
    """One `Spectrum` per matrix, in the order given. Never fails on a rank-one, zero or tiny matrix: its note says why."""
    return tuple(fit_bulk(name, weight) for name, weight in weights.items())


def fit_bulk(name: str, weight: np.ndarray, *, trim: float = TRIM, beta: float = BETA) -> Spectrum:
    """Fit the bulk of one matrix by its central quantiles, drop what lies beyond the edge, and fit again until nothing changes.

        v = sum_i q_i s_(i)^2 / sum_i q_i^2   over the central window of the values still held to be bulk,

    q_i the quantile at (i + 1/2)/p of the unit-variance law of R^T R on the shape that is left when the k spikes are
    taken away, (rows − k, cols − k). Plain regression through the origin is biased by spikes inside the window; dropping
    and refitting is not.

    weight : (rows, cols).   trim : share cut from each end of the window, in (0, 1/2).   beta : level of the spike threshold.
    The fit error is the Kolmogorov distance over the window, both one-sided limits of the empirical law; its null law is not
    the classical one, because eigenvalues are rigid. Convolutions and small layers have no iid null: read their edges as a
    description.
    Claim M10-bulk-fit (b); steps 1–9 of the BEMA fit, with the corrections named above.
    """
    rows, cols = weight.shape
    values = np.sort(np.linalg.svd(np.asarray(weight, dtype=np.float64), compute_uv=False))
    count = len(values)
    top = values[-1]
    if count < SMALLEST:
        return _unfitted(name, weight, values, f"{count} singular values; a bulk is fitted from {SMALLEST} on")
    if not top > 0:
        return _unfitted(name, weight, values, "the matrix is zero")
    if np.sum(values > 1e-12 * top) < SMALLEST:
        return _unfitted(name, weight, values, f"rank {int(np.sum(values > 1e-12 * top))}; no bulk to fit")
    spikes, seen, rounds, converged = 0, set[int](), 0, False
    variance = error = edge = 0.0
    while rounds < MOST_ROUNDS and not converged:
        rounds += 1
        variance, error = _regress(values[: count - spikes], rows - spikes, cols - spikes, trim)
        if not variance > 0:
            return _unfitted(name, weight, values, "the central singular values are zero; no bulk to fit")
        edge = spike_threshold(rows, cols, variance, beta)
        found = int(np.sum(values >= edge))
        if count - found < SMALLEST:
            return _unfitted(
                name, weight, values, f"{found} of {count} singular values lie beyond the fitted edge; this is no bulk"
            )
        converged = found == spikes
        if not converged and found in seen:
            spikes, converged = max(found, spikes), False
            variance, error = _regress(values[: count - spikes], rows - spikes, cols - spikes, trim)
            edge = spike_threshold(rows, cols, variance, beta)
            break
        seen.add(found)
        spikes = found
    outside = values[values >= edge]
    share = 1.0 - len(outside) / count
    curve = _curve(rows, cols, variance, share)
    return Spectrum(
        target=name,
        rows=rows,
        cols=cols,
        singular_values=tuple(values[::-1]),
        entry_variance=variance,
        bare_edge=bulk_edge(rows, cols, variance),
        tw_edge=edge,
        level=beta,
        fit_error=error,
        bulk_share=share,
        spikes=tuple(outside[::-1]),
        iterations=rounds,
        converged=converged,
        fitted=True,
        note="" if converged else "the set of spikes did not settle; the larger one is shown",
        curve_x=curve[0],
        curve_density=curve[1],
    )


def _regress(values: np.ndarray, rows: int, cols: int, trim: float) -> tuple[float, float]:
    """Entry variance from the central window of ascending `values`, and the Kolmogorov distance on it."""
    count = len(values)
    low, high = int(np.floor(trim * count)), int(np.floor((1 - trim) * count))
    if high - low < 8:
        low, high = 0, count
    window = np.arange(low, high)
    unit = MarchenkoPasturSingular(rows, cols, 1.0)
    quantiles = unit.ppf((window + 0.5) / count) ** 2
    squares = values[window] ** 2
    variance = float(np.sum(quantiles * squares) / np.sum(quantiles**2))
    if not variance > 0:
        return 0.0, 1.0
    fitted = unit.cdf(values[window] / np.sqrt(variance))
    error = np.maximum(np.abs(fitted - window / count), np.abs(fitted - (window + 1) / count))
    return variance, float(error.max())


def _curve(rows: int, cols: int, variance: float, share: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points of the fitted density, scaled to the bulk's share; spaced by cosine, so that square-root edges are drawn well."""
    law = MarchenkoPasturSingular(rows, cols, variance)
    low, high = law.support()
    x = low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, CURVE_POINTS))) / 2
    density = np.nan_to_num(share * law.pdf(x), posinf=0.0)
    return tuple(x), tuple(density)


def _unfitted(name: str, weight: np.ndarray, values: np.ndarray, note: str) -> Spectrum:
    if not np.all(np.isfinite(values)):
        raise Refused(f"{name}: its singular values are not finite")
    return Spectrum(
        target=name,
        rows=weight.shape[0],
        cols=weight.shape[1],
        singular_values=tuple(values[::-1]),
        entry_variance=0.0,
        bare_edge=0.0,
        tw_edge=0.0,
        level=BETA,
        fit_error=0.0,
        bulk_share=0.0,
        spikes=(),
        iterations=0,
        converged=False,
        fitted=False,
        note=note,
    )
