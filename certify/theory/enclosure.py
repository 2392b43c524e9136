"""Formulas for enclosing the logits along a segment, in the corrected form. They bound a change; who evaluates them in float64
rounds outward (`outward`), or widens the result.

u = 2^-53, gamma_k = k u / (1 - k u).
"""

from __future__ import annotations

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole

UNIT = 2.0**-53


def normalised_change_upper(change: ArrayLike, normal_sup: ArrayLike, sigma_min: float) -> Array:
    """Entrywise change of a LayerNorm's output (before scale and shift) along a segment.

        |dy_i| <= (|C e|_i + X_i mean_j(X_j |C e|_j)) / sigma_min,   C e = e - mean(e)

    change     : (n,) e, the change of the input.
    normal_sup : (n,) X_i >= sup |xhat_i| over the WHOLE segment. The value at its centre is no bound: where xhat vanishes at
                 the centre alone, the second term would be lost.
    sigma_min  : smallest standard deviation on the segment, > 0 (with the layer's constant: of sqrt(var + eps)).
    Returns (n,).
    Claim ER-PE-layernorm (Section 5.2 of methods/path-enclosures.md by the errata).
    """
    e = finite(change, "change", (None,))
    size = at_least(normal_sup, "normal_sup", 0.0, e.shape)
    centred = np.abs(e - e.mean())
    return representable((centred + size * np.mean(size * centred)) / _positive(sigma_min), "change of a LayerNorm")


def normalised_gain(weights: ArrayLike, scale: ArrayLike, sigma_min: float) -> float:
    """Euclidean gain of a linear map behind a LayerNorm.

        ||W diag(scale)||_op / sigma_min

    The half-block x + W LN(x) of one token stretches by at most 1 plus this; with a value and an output matrix, W is their
    product. Leaving the scale out is no bound.
    weights   : (rows, n) W.
    scale     : (n,) the LayerNorm's scale.
    sigma_min : smallest standard deviation on the segment, > 0.
    Returns a gain >= 0.
    Claim ER-PE-attention (Section 5.3 of methods/path-enclosures.md by the errata).
    """
    w = finite(weights, "weights", (None, None))
    folded = representable(w * finite(scale, "scale", (w.shape[1],)), "W diag(scale)")
    return float(np.linalg.norm(folded, 2)) / _positive(sigma_min)


def truncated_terms(first: ArrayLike, second: ArrayLike, degree: int) -> float:
    """What a product of two Taylor models loses when it is cut at a degree.

        sum_{i + j > d} |a_i| |b_j|  >=  |terms of degree above d of (sum a_i t^i)(sum b_j t^j)|,   |t| <= 1

    first, second : (p + 1,), (q + 1,) coefficients a and b, constant term first.
    degree        : d >= 0.
    Returns a remainder >= 0, which each product of a Horner scheme adds.
    Claim ER-PE-horner (Section 5.2 of methods/path-enclosures.md by the errata).
    """
    table = np.outer(np.abs(finite(first, "first", (None,))), np.abs(finite(second, "second", (None,))))
    powers = np.add.outer(np.arange(table.shape[0]), np.arange(table.shape[1]))
    return float(representable(np.sum(table[powers > whole(degree, "degree", 0)]), "truncated terms"))


def linear_rounding_upper(weights: ArrayLike, inputs: ArrayLike, bias: ArrayLike) -> Array:
    """Rounding of one linear layer in float64.

        |fl(W a + b) - (W a + b)| <= gamma_{n+2} |W| |a| + u (|b| + |W| |a|)

    Any order of summation; no underflow. Without a bias the first term alone suffices.
    weights : (rows, n).   inputs : (n,).   bias : (rows,).
    Returns (rows,).
    Claim ER-PE-bias (Section 5.5.2 of methods/path-enclosures.md by the errata).
    """
    w = np.abs(finite(weights, "weights", (None, None)))
    size = representable(w @ np.abs(finite(inputs, "inputs", (w.shape[1],))), "|W| |a|")
    offset = np.abs(finite(bias, "bias", (w.shape[0],)))
    return rounding(w.shape[1] + 2) * size + UNIT * np.where(offset > 0.0, offset + size, 0.0)


def coefficient_sum_upper(computed: float, width: int, degree: int) -> float:
    """A sum of absolute Taylor coefficients, from its float64 value.

        sum_{k <= d} |a_k| <= fl(sum) (1 + gamma_{n+d+6}),   each a_k a dot product of n terms

    computed : fl(sum) >= 0.   width : n >= 1.   degree : d >= 0.
    Returns the same unit.
    Claim ER-PE-rounding (Section 5.5.2 of methods/path-enclosures.md by the errata).
    """
    steps = whole(width, "width", 1) + whole(degree, "degree", 0) + 6
    return number(computed, "computed", 0.0) * (1.0 + rounding(steps))


def rounding(steps: int) -> float:
    """Relative error of k roundings.

        gamma_k = k u / (1 - k u)

    steps : k >= 0, k u < 1/4.
    Claim ER-PE-rounding (Higham, Accuracy and Stability of Numerical Algorithms, Lemma 3.1).
    """
    count = whole(steps, "steps", 0, 2**50) * UNIT
    return count / (1.0 - count)


def _positive(sigma: float) -> float:
    found = number(sigma, "sigma_min", 0.0)
    if found == 0.0:
        raise Refused("sigma_min: 0; a LayerNorm without its constant has no bound through a constant vector")
    return found
