"""How steep activation functions are, and how far softmax can move when its scores do."""

from __future__ import annotations

import numpy as np

from certify.theory._arrays import Array, ArrayLike, at_least


def gelu_slope_range() -> tuple[float, float]:
    """Range of the slope of the exact GELU, x Phi(x).

        GELU'(x) = Phi(x) + x phi(x),   from -0.128904145... at -sqrt 2 to 1.128904145... at sqrt 2

    Returns (lower, upper), rounded outward to six digits; the largest |slope| is the upper one, a Lipschitz constant.
    Claim PE-gelu-slope (rounding by theory/errata.md on methods/path-enclosures.md, 5.2), ER-PE-gelu.
    """
    return -0.128905, 1.128905


def gelu_curvature_range() -> tuple[float, float]:
    """Range of the second derivative of the exact GELU.

        GELU''(x) = (2 - x^2) phi(x),   from -2 phi(2) = -0.107981933... at 2 and -2 to 2 phi(0) = 0.797884560... at 0

    Returns (lower, upper), rounded outward to six digits.
    Claim PE-gelu-curvature (methods/path-enclosures.md, 5.2).
    """
    return -0.107982, 0.797885


def silu_slope_range() -> tuple[float, float]:
    """Range of the slope of SiLU, x s(x) with s(x) = 1 / (1 + exp(-x)).

        SiLU'(x) = s(x) (1 + x (1 - s(x))),   from -0.099839320... to 1.099839320... at -+2.399357280...

    Returns (lower, upper), rounded outward to six digits; the two sum to 1, as SiLU'(x) + SiLU'(-x) does.
    Claim PE-silu-slope (as PE-gelu-slope, for the activation of gated networks).
    """
    return -0.099840, 1.099840


def softmax_variation_upper(move: ArrayLike) -> Array:
    """Largest change of softmax in total variation when no score moves by more than E.

        TV(softmax(z), softmax(z + d)) <= tanh(E / 2),   E >= max_j |d_j|

    Attained by two groups of classes of masses 1/(1 + e^E) and e^E/(1 + e^E) that move by +E and -E. It bounds a weighted
    mean as well: |sum_j (p'_j - p_j) v_j| <= tanh(E / 2) (max_j v_j - min_j v_j).
    move : any shape, >= 0, E in units of a score (oscillations osc(d) <= 2 E enter by their half).
    Returns the same shape, in [0, 1]; 1 says nothing, and is reached by rounding for E > 38.
    Claim PE-softmax-tv (methods/path-enclosures.md, 5.2).
    """
    return np.tanh(0.5 * at_least(move, "move", 0.0))
