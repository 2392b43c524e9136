"""Spectrum: the singular values of one target and the Marchenko–Pastur bulk fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused
from certify.records.files import read_table, write_table


@dataclass(frozen=True)
class Spectrum:
    """One row of the layer table.

    singular_values : descending, float64.
    entry_variance  : fitted variance of a bulk entry; nan-free, 0 when the matrix has no bulk.
    bare_edge       : sqrt of the fitted upper bulk edge, singular-value scale.
    tw_edge         : the same moved to the Tracy–Widom quantile `level`, above which a value counts as a spike.
    fit_error       : Kolmogorov distance between the central window and the fitted law, in [0, 1].
    bulk_share      : share of singular values below tw_edge.
    spikes          : the values at or above tw_edge.
    curve_x, curve_density : the fitted law on the singular-value axis, scaled to the bulk's share, for drawing.
    fitted          : False where no law can be fitted; `note` says why, and edges and shares are 0.
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

    def __post_init__(self) -> None:
        for name in ("singular_values", "spikes", "curve_x", "curve_density"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        numbers = [self.entry_variance, self.bare_edge, self.tw_edge, self.level, self.fit_error, self.bulk_share]
        numbers += [*self.singular_values, *self.spikes, *self.curve_x, *self.curve_density]
        if not np.all(np.isfinite(numbers)):
            raise Refused(f"{self.target}: its spectrum holds NaN or infinity")


def save_spectra(path: Path, spectra: Sequence[Spectrum]) -> None:
    """Write the layer table, one row per target."""
    columns: dict[str, Any] = {field.name: [getattr(row, field.name) for row in spectra] for field in fields(Spectrum)}
    write_table(path, {name: [list(v) if isinstance(v, tuple) else v for v in column] for name, column in columns.items()})


def load_spectra(path: Path) -> tuple[Spectrum, ...]:
    """Read the layer table."""
    columns, _ = read_table(path)
    try:
        rows = zip(*(columns[field.name] for field in fields(Spectrum)), strict=True)
        return tuple(Spectrum(*row) for row in rows)
    except (KeyError, TypeError) as error:
        raise Refused(f"{path}: not a layer table ({type(error).__name__}: {error})") from None
