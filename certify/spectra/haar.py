"""Are singular vectors uniform on the sphere, as those of Gaussian noise are?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, chi2

from certify.records import Refused
from certify.spectra.values import Array

CELLS = 8
# The Pearson statistic needs about five expected entries a cell.
FEWEST = 5 * CELLS


@dataclass(frozen=True)
class HaarTests:
    """p-values of k unit vectors, each (k,). `p` joins the three tests of a vector; `adjusted` controls all k together (Holm)."""

    largest: Array
    cells: Array
    constant: Array
    p: Array
    adjusted: Array

    def rejected(self, level: float) -> int:
        """How many vectors are not uniform, with at most `level` chance of one false rejection among them all."""
        return int(np.sum(self.adjusted <= level))


def haar_tests(vectors: Array) -> HaarTests:
    """Three tests of each unit vector against the uniform law on the sphere; none depends on the vector's sign.

        largest  : min(1, d P(Beta(1/2, (d-1)/2) >= max_i u_i^2))       concentrated entries; valid at every d (union bound)
        constant : P(Beta(1/2, (d-1)/2) >= (sum_i u_i)^2 / d)           overlap with the constant vector; exact at every d
        cells    : P(chi^2_(7) >= sum_c (n_c - d/8)^2 / (d/8)), n_c the count of u_i^2 between the eighths of its Beta law
                   the shape of the entries; conservative as d grows (the unit norm takes part of one degree of freedom)
        p        = min(1, 3 min(largest, constant, cells)), without cells where d < 40;   adjusted by Holm over the k vectors

    vectors : (d, k) with columns of norm 1, d >= 2.
    Hypotheses: the columns of Gaussian noise are exactly uniform; those of other iid entries only as d grows. Independence
    of the vectors is not assumed: Holm holds under any dependence.
    Section 1.3 of methods/mp-pruning.md, with exact laws for its entry tests.
    """
    u = np.asarray(vectors, dtype=np.float64)
    if u.ndim != 2 or u.shape[0] < 2 or not np.allclose(np.sum(u * u, axis=0), 1.0, atol=1e-8):
        raise Refused(f"vectors: shape {u.shape}; columns of norm 1 and at least 2 entries are expected")
    size, count = u.shape
    law = beta(0.5, 0.5 * (size - 1))
    squares = u * u
    largest = np.minimum(1.0, size * law.sf(np.minimum(np.max(squares, axis=0), 1.0)))
    constant = law.sf(np.minimum(np.sum(u, axis=0) ** 2 / size, 1.0))
    parts = [largest, constant]
    cells = np.ones(count)
    if size >= FEWEST:
        inner = law.ppf(np.arange(1, CELLS) / CELLS)
        below = np.array([np.sum(squares < each, axis=0) for each in inner])
        counts = np.diff(below, axis=0, prepend=np.zeros((1, count)), append=np.full((1, count), size))
        cells = chi2.sf(np.sum((counts - size / CELLS) ** 2, axis=0) * CELLS / size, CELLS - 1)
        parts.append(cells)
    p = np.minimum(1.0, len(parts) * np.min(parts, axis=0))
    return HaarTests(largest, cells, constant, p, holm(p))


def holm(p: Array) -> Array:
    """Holm's adjusted p-values: max_(j <= i) min(1, (k - j + 1) p_(j)); rejecting those <= a errs at all with chance <= a."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])) if len(p) else p
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return adjusted
