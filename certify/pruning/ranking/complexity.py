"""How complex a feature is along the rank, measured four ways; only `runs` is felt by a mask.

Source: methods/selection-plateau.md 1.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct
from scipy.stats import spearmanr

from certify.pruning.units import kept_count
from certify.records import Refused
from certify.theory.rank_monotone import top_mask

TOLERANCE = 0.1
SMOOTH = 12


@dataclass(frozen=True)
class Complexity:
    """Of one feature on the n ranks of a layer.

    rho    : Spearman correlation with the rank.
    degree : D_eps at eps = .05, .1, .2, see `chebyshev_degree`.
    high   : share of the energy above a quarter of the Nyquist frequency (cosine transform, mean removed).
    level  : 0 strictly monotone on the grid, else 1 where D_.1 <= 12, else 2.
    """

    rho: float
    degree: tuple[int, int, int]
    high: float
    level: int


def measure(along: np.ndarray) -> Complexity:
    """Complexity of a feature given in the order of ranks, (n,) finite and not constant."""
    values = _along(along)
    steps = np.diff(values)
    monotone = bool(np.all(steps > 0) or np.all(steps < 0))
    degree = (chebyshev_degree(values, 0.05), chebyshev_degree(values, TOLERANCE), chebyshev_degree(values, 0.2))
    energy = np.square(np.asarray(dct(values - values.mean(), norm="ortho")))
    rho: float = spearmanr(np.arange(values.size), values)[0]  # type: ignore[assignment]
    level = 0 if monotone else 1 if degree[1] <= SMOOTH else 2
    return Complexity(float(rho), degree, float(energy[values.size // 4 :].sum() / energy.sum()), level)


def chebyshev_degree(along: np.ndarray, tolerance: float) -> int:
    """Smallest degree whose least-squares fit leaves at most `tolerance` standard deviations (D_eps).

        sqrt(sum_{k > d} c_k^2 / n) <= eps std,   c = Q^T phi,  Q the orthonormal factor of the Chebyshev-Vandermonde matrix

    The tail is summed, not subtracted from the whole, which would lose digits. Invariant under phi -> a phi + b and reversal.
    along : (n,) in the order of ranks, finite and not constant, at u = (rank + 1/2) / n.
    """
    values = _along(along)
    n = values.size
    x = 2.0 * (np.arange(n) + 0.5) / n - 1.0
    basis = np.linalg.qr(np.polynomial.chebyshev.chebvander(x, n - 1))[0]
    centred = values - values.mean()
    tail = np.cumsum(np.square(basis.T @ centred)[::-1])[::-1]  # tail[d]: energy of degrees >= d
    enough = np.append(tail[1:], 0.0) <= (tolerance**2) * np.sum(np.square(centred))
    return int(np.argmax(enough))


def runs(along: np.ndarray, sparsity: float) -> int:
    """Maximal runs, along the rank, of the channels that the feature alone keeps: 1 for an increasing one.

    along : (n,) in the order of ranks. Ties are decided for the higher rank.
    """
    values = _along(along)
    kept = top_mask(values, kept_count(values.size, sparsity), np.arange(values.size))
    return runs_of(kept)


def runs_of(kept: np.ndarray) -> int:
    """Maximal runs of True."""
    return int(np.sum(np.diff(np.concatenate([[0], np.asarray(kept, dtype=np.int8)])) == 1))


def _along(along: np.ndarray) -> np.ndarray:
    values = np.asarray(along, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.all(np.isfinite(values)) or not values.std() > 0.0:
        raise Refused(f"feature of shape {values.shape}: at least two finite values that are not all equal are expected")
    return values
