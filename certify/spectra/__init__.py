"""Spectra of real layers: singular values, the Marchenko–Pastur bulk fitted to them, edges, spikes, and tests of the rest.

`layer_table` is the door; `values`, `fit`, `edges`, `spikes`, `tails`, `nulls`, `haar`, `residual` hold one thing each, and
`picture` draws a row.
"""

from __future__ import annotations

import numpy as np

from certify.records import Spectrum
from certify.spectra.edges import Edges, edges
from certify.spectra.fit import Bulk, fit_values
from certify.spectra.table import layer_row, layer_table
from certify.spectra.values import kinds_of, singular_values

__all__ = [
    "Bulk",
    "Edges",
    "edges",
    "fit_bulk",
    "fit_values",
    "kinds_of",
    "layer_row",
    "layer_table",
    "singular_values",
]


def fit_bulk(name: str, weight: np.ndarray) -> Spectrum:
    """`layer_row` with its defaults."""
    return layer_row(name, weight)
