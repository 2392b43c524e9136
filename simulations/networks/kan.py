"""A Kolmogorov-Arnold layer: an edge is a function of one input, and edges are pruned by their effective number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from certify.laws._checks import Array
from certify.pruning.emp import Kept, keep_effective

DEGREE = 3


@dataclass(frozen=True)
class KanLayer:
    """y_i = sum_j phi_ij(x_j),   phi_ij(x) = base_ij silu(x) + sum_k coefficients_ijk B_k(x)

    base         : (rows, cols). coefficients : (rows, cols, K) of K = intervals + DEGREE cubic B-splines on [low, high].
    Outside [low, high] the splines are those of the nearest end: inputs are clipped for them.
    """

    base: Array
    coefficients: Array
    low: float = -2.0
    high: float = 2.0

    def edges(self, inputs: Array) -> Array:
        """(T, rows, cols) phi_ij(x_sj) of inputs (T, cols)."""
        silu = inputs / (1.0 + np.exp(-inputs))
        return np.einsum("ij,sj->sij", self.base, silu) + np.einsum("ijk,sjk->sij", self.coefficients, self._splines(inputs))

    def __call__(self, inputs: Array) -> Array:
        """(T, rows) outputs."""
        return self.edges(inputs).sum(axis=2)

    def edge_bound(self, inputs: Array) -> Array:
        """(T, rows, cols) upper bound on |phi_ij(x_sj)| without its splines: they are >= 0 and sum to 1.

        |phi_ij(x)| <= |base_ij| |silu(x)| + max_k |coefficients_ijk|
        """
        silu = np.abs(inputs / (1.0 + np.exp(-inputs)))
        return np.einsum("ij,sj->sij", np.abs(self.base), silu) + np.abs(self.coefficients).max(axis=2)

    def without(self, kept: Array) -> KanLayer:
        """The layer with the edges that `kept` (rows, cols) leaves."""
        return KanLayer(self.base * kept, self.coefficients * kept[..., None], self.low, self.high)

    def _splines(self, inputs: Array) -> Array:
        count = self.coefficients.shape[2]
        inner = np.linspace(self.low, self.high, count - DEGREE + 1)
        knots = np.concatenate([np.full(DEGREE, self.low), inner, np.full(DEGREE, self.high)])
        flat = np.clip(inputs, self.low, self.high).ravel()
        return BSpline.design_matrix(flat, knots, DEGREE).toarray().reshape(*inputs.shape, count)


def edge_scores(layer: KanLayer, inputs: Array, lipschitz: Array) -> Array:
    """(rows, cols) budget of removing each edge: s_ij = (2 / T) sum_s L_s |phi_ij(x_sj)|. Claim EMP-T10."""
    return 2.0 * np.mean(lipschitz[:, None, None] * np.abs(layer.edges(inputs)), axis=0)


def prune_edges(layer: KanLayer, inputs: Array, lipschitz: Array) -> tuple[KanLayer, Kept]:
    """Keep the effective number of edges. The budget of what goes is at most the removed share of the summed scores."""
    kept = keep_effective(edge_scores(layer, inputs, lipschitz).ravel())
    return layer.without(kept.mask.reshape(layer.base.shape)), kept
