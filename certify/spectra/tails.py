"""Numbers that describe a spectrum without a law of the bulk: tail exponents and ranks."""

from __future__ import annotations

import math

import numpy as np

from certify.spectra.values import Array

FIXED = 20
TENTH, HALF = 0.1, 0.5


def hill_exponent(values: Array, order: int) -> float | None:
    """Hill's estimate of the exponent of a power-law density of eigenvalues, f(e) ~ e^-alpha, from the `order` largest.

        alpha = 1 + 1 / mean_(j <= k) log(e_j / e_(k+1)),   e_j = s_j^2;   standard error (alpha - 1) / sqrt k

    values : (p,) singular values, largest first.
    order  : k.
    Returns None where k < 2, k >= p, e_(k+1) = 0, or the k + 1 largest are equal: there is no tail to measure.
    Hill, Ann. Statist. 3, 1975; section 1.2 of methods/mp-pruning.md.
    """
    if not 2 <= order < len(values) or not values[order] > 0.0:
        return None
    mean = 2.0 * float(np.mean(np.log(values[:order] / values[order])))
    return 1.0 + 1.0 / mean if mean > 1e-12 else None


def hill_orders(count: int) -> tuple[int, int, int]:
    """The three k: min(20, p - 1), the upper tenth, the upper half. A fixed k is 2.6 % of 768 values and 31 % of 64."""
    return min(FIXED, count - 1), math.ceil(TENTH * count), math.ceil(HALF * count)


def stable_rank(values: Array) -> float:
    """||W||_F^2 / ||W||_op^2, in [1, p]; 0 for the zero matrix."""
    return float(np.sum(_relative(values) ** 2))


def effective_rank(values: Array) -> float:
    """exp(-sum p_i log p_i), p_i = s_i^2 / sum s^2, in [1, p]; 0 for the zero matrix (Roy and Vetterli 2007, on squares)."""
    squares = _relative(values) ** 2
    shares = squares[squares > 0.0] / max(float(np.sum(squares)), 1e-300)
    return float(np.exp(-np.sum(shares * np.log(shares)))) if shares.size else 0.0


def nuclear_rank(values: Array) -> float:
    """(sum s)^2 / sum s^2, in [1, p]; 0 for the zero matrix. The other number that goes by the name of effective rank."""
    relative = _relative(values)
    return float(np.sum(relative) ** 2 / np.sum(relative**2)) if relative.size and relative[0] > 0.0 else 0.0


def _relative(values: Array) -> Array:
    return values / values[0] if values.size and values[0] > 0.0 else np.zeros(len(values))
