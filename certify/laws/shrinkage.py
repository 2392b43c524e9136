"""What to do with the singular values of signal plus noise: keep or drop them, or shrink them (Gavish and Donoho; Leeb).

The setting is that of `spikes`. Each shrinker minimises the limit of one loss of the reconstruction sum_i eta(s_i) u'_i v'_i^T.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from certify.laws._checks import Array, at_least, check_model
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.laws.spikes import detection_threshold, left_overlap, right_overlap, strength


def hard_threshold(rows: int, cols: int, entry_variance: float) -> float:
    """The best level below which singular values are set to zero, the noise known (squared error).

        sqrt(v N) lambda(r),   lambda(r)^2 = 2 (r + 1) + 8 r / ((r + 1) + sqrt(r^2 + 14 r + 1)),
        N = max(rows, cols),   r = min(rows, cols) / N

    rows, cols     : shape of W, >= 1; the same for the transpose.
    entry_variance : v > 0, of the noise.
    Returns a singular value above the bulk's edge; (4 / sqrt 3) sqrt(N v) for square W.
    Claim GD-hard-threshold (Gavish and Donoho, IEEE Trans. Inform. Theory 60, 2014).
    """
    check_model(rows, cols, entry_variance)
    longer = max(rows, cols)
    ratio = min(rows, cols) / longer
    square = 2.0 * (ratio + 1.0) + 8.0 * ratio / (ratio + 1.0 + math.sqrt(ratio * ratio + 14.0 * ratio + 1.0))
    return math.sqrt(entry_variance * longer * square)


def hard_threshold_unknown(rows: int, cols: int) -> float:
    """The best level in units of the median singular value, the noise unknown.

        omega(r) = lambda(r) / sqrt(median of the Marchenko–Pastur law);   keep s_i > omega(r) median(s)

    rows, cols : shape of W, >= 1; the same for the transpose.
    Returns a pure number, 2.858 for square W. The median singular value of W estimates that of the noise, of fixed rank.
    Claim GD-hard-threshold-unknown (Gavish and Donoho, IEEE Trans. Inform. Theory 60, 2014).
    """
    return hard_threshold(rows, cols, 1.0) / MarchenkoPasturSingular(rows, cols, 1.0).median()


def shrink_frobenius(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The shrinker that minimises the Frobenius loss.

        eta(s) = sqrt((s^2 - a)(s^2 - b)) / s  for s >= sqrt b,   0 below;   = theta sqrt(left overlap * right overlap)

    s              : any shape, >= 0, singular values of W.
    rows, cols     : shape of W, >= 1; the same for the transpose.
    entry_variance : v > 0, of the noise.
    Returns the shrunken values, below theta(s).
    Claim GD-shrinkers (Gavish and Donoho, IEEE Trans. Inform. Theory 63, 2017).
    """
    s = at_least(s, "s", 0.0)
    low, high = MarchenkoPasturSingular(rows, cols, entry_variance).support()
    beyond = np.maximum(s, high)
    return np.sqrt((beyond - low) * (beyond + low)) * np.sqrt((beyond - high) * (beyond + high)) / beyond


def shrink_operator(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The shrinker that minimises the operator-norm loss.

        eta(s) = theta sqrt((theta^2 + v min(n, m)) / (theta^2 + v max(n, m)))  for s >= sqrt b,   0 below
               = theta min(c, d) / max(c, d),   c^2, d^2 the overlaps;   its loss is theta sqrt(1 - min(c, d)^2)

    s              : any shape, >= 0, singular values of W.
    rows, cols     : shape (n, m) of W, >= 1; the same for the transpose.
    entry_variance : v > 0, of the noise.
    Returns the shrunken values, the largest of the three shrinkers; they jump at the edge. eta = theta, as Gavish and
    Donoho (2017) have it, is best for square W alone: on 400 x 100, theta = 1.5 theta_c, its loss is 4.7 % larger.
    Claim GD-shrinker-operator (Leeb, arXiv:2005.11807).
    """
    theta = strength(s, rows, cols, entry_variance)
    critical = detection_threshold(rows, cols, entry_variance)
    square, aspect = (theta / critical) ** 2, math.sqrt(min(rows, cols) / max(rows, cols))
    return theta * np.sqrt((square + aspect) / (square + 1.0 / aspect))


def shrink_nuclear(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The shrinker that minimises the nuclear-norm loss.

        eta(s) = max(0, theta^4 - n m v^2 - sqrt(n m) v theta s) / (theta^2 s),   theta = theta(s),   0 below sqrt b
               = theta max(0, c d - sqrt((1 - c^2)(1 - d^2))),   c^2, d^2 the overlaps

    s              : any shape, >= 0, singular values of W.
    rows, cols     : shape of W, >= 1; the same for the transpose.
    entry_variance : v > 0, of the noise.
    Returns the shrunken values, the smallest of the three shrinkers.
    Claim GD-shrinkers (Gavish and Donoho, IEEE Trans. Inform. Theory 63, 2017).
    """
    theta = np.maximum(strength(s, rows, cols, entry_variance), detection_threshold(rows, cols, entry_variance))
    left, right = left_overlap(theta, rows, cols, entry_variance), right_overlap(theta, rows, cols, entry_variance)
    cosine = np.sqrt(left * right) - np.sqrt((1.0 - left) * (1.0 - right))
    return theta * np.maximum(0.0, cosine)
