"""What the same layer would show if it held no structure: shuffled entries, or Gaussian noise of its shape."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from certify.laws.bulk_fit import fit_p_value
from certify.records import Refused
from certify.spectra.fit import LEVEL, TRIM, fit_values
from certify.spectra.values import Array, singular_values

DRAWS = 19
PERMUTATION, GAUSSIAN = "permutation", "gaussian"


@dataclass(frozen=True)
class Band:
    """Where a number of the table lies for null layers of the same shape: the range of the draws.

    A further null layer falls outside with probability 2 / (draws + 1), exactly, whatever the null law is.
    bare_edge, largest, fit_error : (low, high). fit_p_value : rank of the layer's own fit error among the draws.
    """

    kind: str
    draws: int
    bare_edge: tuple[float, float]
    largest: tuple[float, float]
    fit_error: tuple[float, float]
    fit_p_value: float


def stream(name: str, purpose: str, seed: int) -> np.random.Generator:
    """Random numbers of one layer: they depend on its name, the purpose and the seed, not on the order of layers."""
    digest = hashlib.sha256(f"{purpose}\0{name}".encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype=np.uint32).tolist()])


def permuted_values(matrix: Array, draws: int, rng: np.random.Generator) -> Array:
    """(draws, p) singular values of the matrix with all its entries shuffled: same shape, same entries, no structure."""
    entries = matrix.ravel()
    return np.array([singular_values(rng.permutation(entries).reshape(matrix.shape)) for _ in range(draws)])


def permutation_edge(null: Array, level: float) -> float:
    """The singular value that a shuffled layer reaches with probability at most `level`.

        the j-th largest of the B null norms, j = floor(level (B + 1)):   P(s_1 >= edge) <= j / (B + 1)

    null  : (B, p) of `permuted_values`.
    level : in (0, 1), at least 1 / (B + 1).
    Returns weight units. Exact whatever the law of the entries: the layer and its B shuffles are exchangeable under the null;
    equality without ties.
    """
    rank = math.floor(level * (len(null) + 1) * (1.0 + 1e-12))
    if rank < 1:
        raise Refused(f"{len(null)} shuffles state no level below {1 / (len(null) + 1):.3g}; {level:g} was asked for")
    return float(np.sort(null[:, 0])[-rank])


def permutation_p_values(values: Array, null: Array) -> Array:
    """p_i = (1 + #{b : s_i^b >= s_i}) / (B + 1) for each rank i; never 0.

    values : (p,) of the layer, largest first; null : (B, p) of `permuted_values`.
    Claim: the p-value of i = 1 is valid at every size; those of i > 1 compare ranks and assume the larger ones to be noise.
    """
    return (1.0 + np.sum(null >= values, axis=0)) / (len(null) + 1.0)


def band_of(
    null: Array, kind: str, rows: int, cols: int, fit_error: float, *, trim: float = TRIM, level: float = LEVEL
) -> Band | None:
    """The band of null spectra (draws, p) of one shape, each fitted as the layer was; None where one of them has no bulk."""
    fits = [fit_values(values, rows, cols, trim=trim, level=level) for values in null]
    if not all(fit.fitted for fit in fits):
        return None
    edges = np.sqrt([fit.entry_variance for fit in fits]) * (math.sqrt(rows) + math.sqrt(cols))
    errors = np.array([fit.fit_error for fit in fits])

    def ends(numbers: Array) -> tuple[float, float]:
        return float(np.min(numbers)), float(np.max(numbers))

    return Band(kind, len(null), ends(edges), ends(null[:, 0]), ends(errors), fit_p_value(fit_error, errors))
