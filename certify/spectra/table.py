"""The layer table: one row for each layer, whatever its matrix is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.laws.wishart import gaussian_singular_values
from certify.records import Spectrum
from certify.spectra import tails
from certify.spectra.edges import edges, permutation_null
from certify.spectra.fit import LEVEL, TRIM, Bulk, fit_values
from certify.spectra.haar import haar_tests
from certify.spectra.nulls import DRAWS, GAUSSIAN, PERMUTATION, band_of, permutation_p_values, stream
from certify.spectra.residual import residual_test
from certify.spectra.spikes import spike_p_values
from certify.spectra.values import CONVOLUTION, DEPTHWISE, LINEAR, Array, lower, numerical_rank, singular_values

CURVE_POINTS = 160
HAAR_LEVEL = 0.05
TRACY_WIDOM = "tracy-widom"

Values = Callable[[Array], Array]


def layer_table(
    weights: Mapping[str, Any],
    *,
    bands: bool = False,
    vectors: bool = False,
    seed: int = 0,
    trim: float = TRIM,
    level: float = LEVEL,
    draws: int = DRAWS,
    kinds: Mapping[str, str] | None = None,
    values: Values = singular_values,
) -> tuple[Spectrum, ...]:
    """One `Spectrum` per layer, in the order given; `save_spectra` writes them as one Parquet table.

    weights : name to array; (rows, cols), or a convolution's (out, in, k...). One layer at a time is asked for and let go, so
              a mapping that reads from disk never holds two.
    bands   : compare each layer with `draws` null layers, Gaussian ones for a linear layer, shuffled ones for a convolution.
    vectors : test singular vectors and the residual; costs a full decomposition.
    seed    : of every null; each layer draws from its own stream, so rows do not depend on their neighbours.
    trim    : share of the fit's window cut from each end.   level : of the spike threshold.
    kinds   : "linear", "conv" or "depthwise" for layers given as matrices, by name.
    values  : (rows, cols) to all singular values, largest first; another solver (a GPU's) goes here.
    A matrix without a bulk (rank one, zero, constant, few rows) has a row that says so. NaN and infinity are refused by name.
    Convolutions: neighbouring columns share taps, so their spikes are told by the permutation null, drawn even without bands;
    their fit is a description. Depthwise kernels have as many columns as taps, and no asymptotics: declared unfit.
    """
    return tuple(
        layer_row(
            name,
            weights[name],
            bands=bands,
            vectors=vectors,
            seed=seed,
            trim=trim,
            level=level,
            draws=draws,
            kind=(kinds or {}).get(name),
            values=values,
        )
        for name in weights
    )


def layer_row(
    name: str,
    weight: Any,
    *,
    bands: bool = False,
    vectors: bool = False,
    seed: int = 0,
    trim: float = TRIM,
    level: float = LEVEL,
    draws: int = DRAWS,
    kind: str | None = None,
    values: Values = singular_values,
) -> Spectrum:
    """The row of one layer. Arguments as in `layer_table`."""
    matrix, shaped = lower(name, weight)
    kind = kind or shaped
    if vectors and min(matrix.shape) > 0:
        left, found, right = np.linalg.svd(matrix, full_matrices=False)
    else:
        left, found, right = None, values(matrix), None
    rows, cols = matrix.shape
    bulk = fit_values(found, rows, cols, trim=trim, level=level)
    if kind == DEPTHWISE:
        words = f"one input channel per filter: {cols} shared taps, and no law for so few columns"
        bulk = Bulk(0.0, 0.0, 0, 0, False, words)
    row = _base(name, kind, rows, cols, found, bulk, level)
    if not bulk.fitted:
        return Spectrum(**row)
    null = permutation_null(name, matrix, draws=draws, seed=seed) if bands or kind == CONVOLUTION else None
    row |= _edges(found, rows, cols, bulk, level, kind, null)
    if bands:
        row |= _band(name, kind, rows, cols, bulk, null, draws, seed, trim, level)
    if left is not None and right is not None:
        row |= _vectors(matrix, left, found, right, bulk.entry_variance, len(row["spikes"]))
    return Spectrum(**row)


def _base(name: str, kind: str, rows: int, cols: int, found: Array, bulk: Bulk, level: float) -> dict[str, Any]:
    """What every row has."""
    orders = tails.hill_orders(len(found))
    hill = [tails.hill_exponent(found, order) for order in orders]
    return {
        "target": name,
        "rows": rows,
        "cols": cols,
        "singular_values": tuple(found),
        "entry_variance": bulk.entry_variance,
        "bare_edge": 0.0,
        "tw_edge": 0.0,
        "level": level,
        "fit_error": bulk.fit_error,
        "bulk_share": 0.0,
        "spikes": (),
        "iterations": bulk.rounds,
        "converged": bulk.converged,
        "fitted": bulk.fitted,
        "note": bulk.note,
        "kind": kind,
        "hill_20": hill[0],
        "hill_tenth": hill[1],
        "hill_half": hill[2],
        "stable_rank": tails.stable_rank(found),
        "effective_rank": tails.effective_rank(found),
        "nuclear_rank": tails.nuclear_rank(found),
    }


def _edges(found: Array, rows: int, cols: int, bulk: Bulk, level: float, kind: str, null: Array | None) -> dict[str, Any]:
    """Edges, spikes with their p-values, and the curve of the fitted law."""
    ends = edges(rows, cols, bulk.entry_variance, level, null)
    shuffled = kind == CONVOLUTION and null is not None
    edge = ends.permutation if shuffled and ends.permutation is not None else ends.tracy_widom
    beyond = int(np.sum(found >= edge))
    p_values = (
        permutation_p_values(found, null)[:beyond]
        if shuffled and null is not None
        else spike_p_values(found[:beyond], rows, cols, bulk.entry_variance)
    )
    inside = found[beyond : beyond + 1]
    left = (rows - beyond, cols - beyond)
    share = 1.0 - beyond / len(found)
    curve_x, curve_density = _curve(rows, cols, bulk.entry_variance, share)
    return {
        "bare_edge": ends.bare,
        "tw_edge": ends.tracy_widom,
        "permutation_edge": ends.permutation,
        "edge_kind": PERMUTATION if shuffled else TRACY_WIDOM,
        "bulk_share": share,
        "spikes": tuple(found[:beyond]),
        "spike_p_values": tuple(p_values),
        "bulk_p_value": float(spike_p_values(inside, *left, bulk.entry_variance)[0]) if inside.size else None,
        "curve_x": curve_x,
        "curve_density": curve_density,
    }


def _curve(rows: int, cols: int, variance: float, share: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points of the fitted density, scaled to the bulk's share; spaced by cosine, so that square-root edges are drawn well."""
    law = MarchenkoPasturSingular(rows, cols, variance)
    low, high = law.support()
    x = low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, CURVE_POINTS))) / 2
    density = np.nan_to_num(share * law.pdf(x), posinf=0.0)
    return tuple(x), tuple(density)


def _band(
    name: str,
    kind: str,
    rows: int,
    cols: int,
    bulk: Bulk,
    null: Array | None,
    draws: int,
    seed: int,
    trim: float,
    level: float,
) -> dict[str, Any]:
    chosen = PERMUTATION if kind == CONVOLUTION else GAUSSIAN
    if kind == LINEAR or null is None:
        null = gaussian_singular_values(rows, cols, bulk.entry_variance, draws, stream(name, GAUSSIAN, seed))
    band = band_of(null, chosen, rows, cols, bulk.fit_error, trim=trim, level=level)
    if band is None:
        return {}
    return {
        "band_kind": band.kind,
        "band_draws": band.draws,
        "bare_edge_low": band.bare_edge[0],
        "bare_edge_high": band.bare_edge[1],
        "largest_low": band.largest[0],
        "largest_high": band.largest[1],
        "fit_error_low": band.fit_error[0],
        "fit_error_high": band.fit_error[1],
        "fit_p_value": band.fit_p_value,
    }


def _vectors(matrix: Array, left: Array, found: Array, right: Array, variance: float, spikes: int) -> dict[str, Any]:
    """Haar tests of the bulk's vectors whose singular value stands above rounding, and the test of what the spikes leave."""
    rows, cols = matrix.shape
    bulk = slice(spikes, numerical_rank(found, rows, cols))
    about: dict[str, Any] = {}
    if bulk.stop > bulk.start:
        for side, block in (("left", left[:, bulk]), ("right", right[bulk].T)):
            tests = haar_tests(block)
            about[f"haar_{side}_p"] = float(np.min(tests.adjusted))
            about[f"haar_{side}_rejected"] = tests.rejected(HAAR_LEVEL)
    if spikes < min(rows, cols) - 1:
        residual = matrix - (left[:, :spikes] * found[:spikes]) @ right[:spikes]
        test = residual_test(residual, variance, spikes)
        about |= {
            "residual_variance_ratio": test.variance_ratio,
            "residual_normal_p": test.normal_p,
            "residual_row_p": test.row_p,
            "residual_col_p": test.col_p,
            "residual_obeys": test.obeys,
        }
    return about
