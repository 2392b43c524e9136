"""The two parts of a layer: structured signals S and noise R of a chosen law."""

from __future__ import annotations

import math

import numpy as np

from certify.laws._checks import Array
from certify.records import Refused

# Common correlation of two entries in one row of correlated noise; degrees of freedom of Student noise.
CORRELATION, FREEDOM = 0.5, 5.0


def noise(law: str, rows: int, cols: int, variance: float, rng: np.random.Generator) -> Array:
    """R with entries of mean 0 and variance g / rows.

        gaussian    N(0, g / rows), independent
        rademacher  +-sqrt(g / rows), independent fair signs
        student     t with 5 degrees of freedom, scaled, independent
        correlated  Gaussian; entries of one row have correlation 1/2, rows are independent

    law        : as above.
    rows, cols : shape.
    variance   : g >= 0.
    Returns (rows, cols).
    """
    if law == "gaussian":
        drawn = rng.standard_normal((rows, cols))
    elif law == "rademacher":
        drawn = rng.choice((-1.0, 1.0), (rows, cols))
    elif law == "student":
        drawn = rng.standard_t(FREEDOM, (rows, cols)) * math.sqrt((FREEDOM - 2.0) / FREEDOM)
    elif law == "correlated":
        common = rng.standard_normal((rows, 1))
        drawn = math.sqrt(CORRELATION) * common + math.sqrt(1.0 - CORRELATION) * rng.standard_normal((rows, cols))
    else:
        raise Refused(f"noise law {law!r} is not known")
    return drawn * math.sqrt(variance / rows)


def low_rank(rows: int, cols: int, strengths: tuple[float, ...], rng: np.random.Generator) -> Array:
    """S = sum_i theta_i u_i v_i^T with Haar-distributed orthonormal u_i and v_i.

    strengths : theta_1, theta_2, ..; those beyond min(rows, cols) are left out.
    Returns (rows, cols) of rank min(len(strengths), rows, cols).
    """
    rank = min(len(strengths), rows, cols)
    left, right = (_orthonormal(size, rank, rng) for size in (rows, cols))
    return (left * np.array(strengths[:rank])) @ right.T


def blocks(rows: int, cols: int, scale: float, rng: np.random.Generator) -> Array:
    """Block-diagonal S of two dense blocks, ||S||_F^2 = scale^2 min(rows, cols), independent Gaussian entries inside.

    scale : root mean square singular value, > 0.
    Returns (rows, cols).
    """
    inside = np.arange(rows)[:, None] * 2 // rows == np.arange(cols)[None, :] * 2 // cols
    drawn = np.where(inside, rng.standard_normal((rows, cols)), 0.0)
    return drawn * (scale * math.sqrt(min(rows, cols)) / np.linalg.norm(drawn))


def _orthonormal(size: int, count: int, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((size, count)))
    return q * np.sign(np.diag(r))
