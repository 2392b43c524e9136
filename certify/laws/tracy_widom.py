"""The Tracy–Widom law of real matrices (beta = 1): how the largest eigenvalue fluctuates about the bulk's edge.

No table: the two packages on PyPI share one whose tail is off by 4 to 24 %. The determinant below converges
          exponentially in the
number of nodes, because the Airy kernel is entire.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import airy

from certify.records import Refused

Array = npt.NDArray[np.float64]

# Below LOW the law's mass is under 1e-16, above HIGH as well.
LOW, HIGH = -10.0, 14.0
NODES = 80
REACH = 16.0


def tracy_widom_cdf(s: npt.ArrayLike) -> Array:
    """Distribution function of the Tracy–Widom law for real matrices.

        F1(s) = det(I - K_s) on L^2(0, inf),   K_s(x, y) = Ai(x + y + s)       (Ferrari and Spohn)

    s : any shape, without NaN.
    Returns probabilities of the same shape, to about 1e-13 absolute; far tails are not relatively accurate.
    Gauss–Legendre on [0, 16 + max(0, -s)], beyond which the kernel is below 1e-20.
    Claim M7-tracy-widom (Section 2 of arXiv:2606.02608 uses the edge; Ferrari and Spohn, J. Phys. A 38, 2005).
    """
    points = np.asarray(s, dtype=np.float64)
    if np.any(np.isnan(points)):
        raise Refused("s: NaN; a law is evaluated at numbers")
    return np.array([_determinant(float(point)) for point in points.ravel()]).reshape(points.shape)


def tracy_widom_quantile(q: float) -> float:
    """Quantile of the Tracy–Widom law for real matrices.

        F1(t) = q

    q : in (0, 1), at least 1e-12 from either end, where the determinant still resolves it.
    Returns t, to about 1e-11 in the middle of the law.
    Claim M7-tracy-widom (Ferrari and Spohn, J. Phys. A 38, 2005).
    """
    if not 1e-12 <= q <= 1.0 - 1e-12:
        raise Refused(f"q: {q!r}; a probability from 1e-12 to 1 - 1e-12 is expected")
    root: Any = brentq(lambda s: _determinant(s) - q, LOW, HIGH, xtol=1e-13)
    return float(root)


@cache
def _gauss_legendre() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(NODES)


def _determinant(s: float) -> float:
    if s <= LOW:
        return 0.0
    if s >= HIGH:
        return 1.0
    nodes, weights = _gauss_legendre()
    length = REACH + max(0.0, -s)
    x, root = 0.5 * length * (nodes + 1.0), np.sqrt(0.5 * length * weights)
    kernel = root[:, None] * airy(x[:, None] + x[None, :] + s)[0] * root[None, :]
    return float(np.clip(np.linalg.det(np.eye(NODES) - kernel), 0.0, 1.0))
