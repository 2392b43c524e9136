"""Whether two samples of vectors come from one law: p-values that hold at every sample size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

from certify.laws._checks import Array
from certify.records import Refused

PROJECTIONS, PROJECTION_SEED = 12, 20260608


@dataclass(frozen=True)
class Comparison:
    """The smallest of several two-sample p-values, times their number (Bonferroni).

    p_value  : in (0, 1]; below a level with probability at most that level when the laws are one.
    decided  : the statistic that gave it.
    count    : how many were compared.
    """

    p_value: float
    decided: str
    count: int


def compare(first: Array, second: Array) -> Comparison:
    """Two-sample test of vectors by Kolmogorov–Smirnov statistics of many functions of them.

        p = min(1, number of functions x min p_KS)

    The functions: each coordinate; 12 fixed combinations of the coordinates, standardised by the pooled sample; the energy
    witness w(z) = mean |z - x| - mean |z - y| of the first halves, evaluated on the second halves. The first two kinds do not
    know which vector is whose, the witness comes from other vectors, so every p_KS is exact under one law (no ties).
    Hypotheses: independent vectors within and between the samples, continuous law.
    first, second : (draws, d), (draws, d), at least four draws each.
    """
    x, y = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 4:
        raise Refused(
            f"samples of shapes {x.shape} and {y.shape}; two tables of as many columns, four rows at least, are expected"
        )
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise Refused("samples: numbers that are not finite")
    pooled = np.concatenate([x, y])
    spread = pooled.std(axis=0)
    centre, spread = pooled.mean(axis=0), np.where(spread > 0.0, spread, 1.0)
    x_unit, y_unit = (x - centre) / spread, (y - centre) / spread
    found = {f"coordinate {j}": _p_value(x[:, j], y[:, j]) for j in range(x.shape[1])}
    if x.shape[1] > 1:
        weights = np.random.default_rng(PROJECTION_SEED).standard_normal((x.shape[1], PROJECTIONS))
        found |= {f"combination {k}": _p_value(x_unit @ w, y_unit @ w) for k, w in enumerate(weights.T)}
    x_half, y_half = len(x) // 2, len(y) // 2
    witness = [
        cdist(held, x_unit[:x_half]).mean(axis=1) - cdist(held, y_unit[:y_half]).mean(axis=1)
        for held in (x_unit[x_half:], y_unit[y_half:])
    ]
    found["energy witness"] = _p_value(*witness)
    decided = min(found, key=lambda name: found[name])
    return Comparison(min(1.0, len(found) * found[decided]), decided, len(found))


def _p_value(x: Array, y: Array) -> float:
    result: Any = ks_2samp(x, y)
    return float(result.pvalue)
