"""The three edges of a layer: where the fitted law ends, what noise reaches, what the layer's own entries reach when shuffled."""

from __future__ import annotations

from dataclasses import dataclass

from certify.laws.edge import bulk_edge, spike_threshold
from certify.spectra.fit import LEVEL
from certify.spectra.nulls import DRAWS, permutation_edge, permuted_values, stream
from certify.spectra.values import Array


@dataclass(frozen=True)
class Edges:
    """Singular-value scale. `bare` for budgets, `tracy_widom` for spikes of iid noise, `permutation` where columns share taps."""

    bare: float
    tracy_widom: float
    permutation: float | None = None


def edges(rows: int, cols: int, entry_variance: float, level: float = LEVEL, null: Array | None = None) -> Edges:
    """The bare edge, the Tracy–Widom edge and, with null spectra, the permutation edge of one layer.

        bare = sqrt(v) (sqrt rows + sqrt cols);   the others are exceeded by pure noise with probability `level`

    rows, cols     : shape of the layer.
    entry_variance : v > 0, fitted to its bulk.
    level          : in (0, 1).
    null           : (B, p) of `permuted_values`, B >= 1/level - 1.
    Claim R2.3-mp-edge, M7-tracy-widom; `certify.laws.edge`, `permutation_edge`.
    """
    shuffled = None if null is None else permutation_edge(null, level)
    return Edges(bulk_edge(rows, cols, entry_variance), spike_threshold(rows, cols, entry_variance, level), shuffled)


def permutation_null(name: str, matrix: Array, *, draws: int = DRAWS, seed: int = 0) -> Array:
    """(draws, p) singular values of the shuffled layer, from the random numbers of its name and the seed."""
    return permuted_values(matrix, draws, stream(name, "permutation", seed))
