"""Spectrum: the singular values of one target, the Marchenko–Pastur bulk fitted to them, and what was tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from certify.records.errors import Refused
from certify.records.files import read_table, write_table


@dataclass(frozen=True)
class Spectrum:
    """One row of the layer table. Numbers that were not asked for, or do not exist for this layer, are None.

    singular_values : descending, float64.
    entry_variance  : fitted variance of a bulk entry; nan-free, 0 when the matrix has no bulk.
    bare_edge       : sqrt of the fitted upper bulk edge, singular-value scale.
    tw_edge         : the same moved to the Tracy–Widom quantile of `level`: pure noise exceeds it with that probability.
    fit_error       : Kolmogorov distance between the central window and the fitted law, in [0, 1].
    bulk_share      : share of singular values below the edge of `edge_kind`.
    spikes          : the values at or above that edge, descending.
    iterations, converged : rounds of fitting and dropping, and whether the last one changed nothing.
    curve_x, curve_density : the fitted law on the singular-value axis, scaled to the bulk's share, for drawing.
    fitted          : False where no law can be fitted; `note` says why, and edges and shares are 0.
    kind            : linear, conv, or depthwise (one input channel per filter, never fitted).
    edge_kind       : tracy-widom, or permutation where the columns share taps (conv); empty where nothing was fitted.
    permutation_edge: what a layer of the same entries, shuffled, reaches with probability at most `level`.
    spike_p_values  : one per spike, by the law of `edge_kind`.
    bulk_p_value    : Tracy–Widom p-value of the largest value below the edge.
    hill_20, hill_tenth, hill_half : Hill exponents of the eigenvalue density at k = min(20, p - 1), .1 p, .5 p.
    stable_rank, effective_rank, nuclear_rank : sum s^2 / s_1^2; exp of the entropy of s^2; (sum s)^2 / sum s^2.
    band_kind, band_draws : null layers behind the bands: gaussian or permutation, and how many.
    *_low, *_high   : range of the number over the null layers; one more null layer lies outside with probability 2/(draws + 1).
    fit_p_value     : rank of fit_error among the null layers.
    haar_*_p        : smallest Holm-adjusted p-value over the bulk's left or right singular vectors against the uniform law.
    haar_*_rejected : how many of them are not uniform, at 5 % for all together.
    residual_*      : of the layer without its spikes: energy against the fit (1 for noise), p-values of the normality of the
                      entries and of the correlations of rows and columns, and whether it obeys the noise model.
    """

    target: str
    rows: int
    cols: int
    singular_values: tuple[float, ...]
    entry_variance: float
    bare_edge: float
    tw_edge: float
    level: float
    fit_error: float
    bulk_share: float
    spikes: tuple[float, ...]
    iterations: int
    converged: bool
    fitted: bool
    note: str
    curve_x: tuple[float, ...] = ()
    curve_density: tuple[float, ...] = ()
    kind: str = "linear"
    edge_kind: str = ""
    permutation_edge: float | None = None
    spike_p_values: tuple[float, ...] = ()
    bulk_p_value: float | None = None
    hill_20: float | None = None
    hill_tenth: float | None = None
    hill_half: float | None = None
    stable_rank: float = 0.0
    effective_rank: float = 0.0
    nuclear_rank: float = 0.0
    band_kind: str = ""
    band_draws: int = 0
    bare_edge_low: float | None = None
    bare_edge_high: float | None = None
    largest_low: float | None = None
    largest_high: float | None = None
    fit_error_low: float | None = None
    fit_error_high: float | None = None
    fit_p_value: float | None = None
    haar_left_p: float | None = None
    haar_right_p: float | None = None
    haar_left_rejected: int | None = None
    haar_right_rejected: int | None = None
    residual_variance_ratio: float | None = None
    residual_normal_p: float | None = None
    residual_row_p: float | None = None
    residual_col_p: float | None = None
    residual_obeys: bool | None = None

    @property
    def spike_edge(self) -> float:
        """Where spikes begin: the edge of `edge_kind`, 0 where nothing was fitted."""
        return self.permutation_edge if self.edge_kind == "permutation" and self.permutation_edge is not None else self.tw_edge

    def __post_init__(self) -> None:
        numbers: list[float] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if COLUMNS[str(field.type)] == LIST:
                value = tuple(float(each) for each in value)
                object.__setattr__(self, field.name, value)
                numbers += value
            elif COLUMNS[str(field.type)] == pa.float64() and value is not None:
                object.__setattr__(self, field.name, float(value))
                numbers.append(float(value))
        if not np.all(np.isfinite(numbers)):
            raise Refused(f"{self.target}: its spectrum holds NaN or infinity")
        if self.edge_kind and len(self.spike_p_values) != len(self.spikes):
            raise Refused(f"{self.target}: {len(self.spike_p_values)} p-values for {len(self.spikes)} spikes")


LIST = pa.list_(pa.float64())
COLUMNS = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "int | None": pa.int64(),
    "float | None": pa.float64(),
    "bool | None": pa.bool_(),
    "tuple[float, ...]": LIST,
}


def save_spectra(path: Path, spectra: Sequence[Spectrum]) -> None:
    """Write the layer table as Parquet, one row per target; `pandas.read_parquet` reads it. What is None is null there."""
    columns: dict[str, Any] = {
        field.name: pa.array([getattr(row, field.name) for row in spectra], type=COLUMNS[str(field.type)])
        for field in fields(Spectrum)
    }
    write_table(path, columns)


def load_spectra(path: Path) -> tuple[Spectrum, ...]:
    """Read the layer table. Columns that an older table lacks take their defaults."""
    columns, _ = read_table(path)
    asked = [field.name for field in fields(Spectrum) if field.name in columns or field.default is MISSING]
    try:
        rows = zip(*(columns[name] for name in asked), strict=True)
        return tuple(Spectrum(**dict(zip(asked, row, strict=True))) for row in rows)
    except (KeyError, TypeError) as error:
        raise Refused(f"{path}: not a layer table ({type(error).__name__}: {error})") from None
