"""Data-path sizes and budgets rounded up. Twins of `certify.theory.budget`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from certify.records import Refused
from certify.theory import exact
from certify.theory._arrays import Array, ArrayLike, at_least, finite, representable
from certify.theory.outward._rounding import LEAST, LEAST_NORMAL, add_up, gamma, mul_up, require_ieee, up


def data_path_size_upper(
    removed: ArrayLike,
    inputs: ArrayLike,
    *,
    removed_error: ArrayLike | None = None,
    input_error: ArrayLike | None = None,
) -> Array:
    """Upper bound on what the removed weights send on, at its largest coordinate.

        ||R* V_s*||_inf <= max_{i,p} (|fl(R v)| + g |R||v| + E|v| + (|R| + E) e)_i,   g = gamma_m (1 + 2 gamma_m)

    for all |R* - R| <= E and |v* - v| <= e, gamma_m = m u / (1 - m u), m = cols; products that underflow add m 2^-1073. The
    matrix product may sum in any order, with or without fused operations, in float64 throughout (no TF32, no Strassen).
    removed       : (rows, cols) R. A mask copies its entries; a difference A - A' formed in float64 has E = u |R|.
    inputs        : (P, cols), or (T, P, cols).
    removed_error : E, of the shape of `removed`, >= 0; None stands for 0.
    input_error   : e, of the shape of `inputs`, >= 0; None stands for 0.
    Returns () or (T,), units of the target's output; 0 only where the exact size is 0.
    Claim X29-inputs, X29-dot (theory/mp-certificates.md, X29.1 and X29.2).
    """
    require_ieee()
    r, v = _matrix_and_tokens(removed, inputs)
    weights, tokens = np.abs(r), np.abs(v)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        size = add_up(np.abs(v @ r.T), _rounding_error(tokens, weights))
        if removed_error is not None:
            spread = at_least(removed_error, "removed_error", 0.0, r.shape)
            size = add_up(size, _dot_upper(tokens, spread))
            weights = add_up(weights, spread)
        if input_error is not None:
            size = add_up(size, _dot_upper(at_least(input_error, "input_error", 0.0, v.shape), weights))
    return representable(size.max(axis=(-2, -1)), "data-path size")


def data_path_upper_rows(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """The row-sum bound on the data-path size, rounded up.

        (max_i sum_j |R_ij|) max_p ||v_{s,p}||_inf

    removed, inputs : as in `data_path_size_upper`.
    Returns () or (T,), units of the target's output.
    Claim X29-norms (theory/mp-certificates.md, X29.3; twin of N0-norms).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    return representable(mul_up(np.abs(v).max(axis=(-2, -1)), lipschitz_by_row_sums([r])), "row-sum bound")


def data_path_upper_euclidean(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """The row-norm bound on the data-path size, rounded up.

        (max_i ||R_i||_2) max_p ||v_{s,p}||_2

    removed, inputs : as in `data_path_size_upper`.
    Returns () or (T,), units of the target's output.
    Claim X29-norms (theory/mp-certificates.md, X29.3; twin of F18).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    return representable(mul_up(row_norms_upper(r).max(), row_norms_upper(v).max(axis=-1)), "row-norm bound")


def row_norms_upper(table: ArrayLike) -> Array:
    """Euclidean norms along the last axis, rounded up.

        ||x||_2 <= 2^k sqrt((1 + 2 gamma_m) fl(sum_j (2^-k x_j)^2) + m 2^-1073),   2^k near the largest entry

    table : (..., m).
    Returns (...).
    Claim X29-norms (theory/mp-certificates.md, X29.3).
    """
    size = np.abs(finite(table, "table"))
    if size.ndim < 1 or not size.size:
        raise Refused(f"table: shape {size.shape}; (..., cols) is expected")
    require_ieee()
    cols = size.shape[-1]
    _, power = np.frexp(size.max(axis=-1))
    with np.errstate(over="ignore", under="ignore"):
        squares = np.sum(np.square(np.ldexp(size, -power[..., None])), axis=-1)
        total = add_up(mul_up(squares, up(1 + 2 * gamma(cols), "factor")), np.where(squares > 0.0, 2 * cols * LEAST, 0.0))
        norm = np.ldexp(np.nextafter(np.sqrt(total), np.inf), power)
    norm = np.where(norm < LEAST_NORMAL, np.nextafter(norm, np.inf), norm)
    return representable(np.where(size.max(axis=-1) == 0.0, 0.0, norm), "row norm")


def lipschitz_by_row_sums(weights: Sequence[ArrayLike]) -> float:
    """The product of largest absolute row sums, rounded up.

        L = prod_k ||W_k||_inf

    weights : the matrices in order, (rows, cols) each. None at all: 1.
    Returns logits per unit of the target's output, the least float64 that is not below the product.
    Claim X29-norms (theory/mp-certificates.md, X29.3; twin of ESM1-R2.9-local-lipschitz).
    """
    return up(exact.lipschitz_by_row_sums(weights), "product of row sums")


def budget_upper(lipschitz: ArrayLike, sizes: ArrayLike) -> float:
    """The budget, rounded up.

        (2 / T) sum_s L_s d_s

    lipschitz : (T,) upper bounds L_s, themselves proved, >= 0.
    sizes     : (T,) `data_path_size_upper`, >= 0.
    Returns nats, the least float64 that is not below the budget of these numbers.
    Claim X29-float (theory/mp-certificates.md, X29.4; twin of D5.0-budget).
    """
    return up(exact.budget(lipschitz, sizes), "budget")


def telescoped_upper(steps: ArrayLike) -> Array:
    """The sum of several logit changes, rounded up.

        eta_s = sum_j eta_{j,s}

    steps : (M, T), >= 0; M = 0 is allowed.
    Returns (T,), logit units.
    Claim X29-float (theory/mp-certificates.md, X29; twin of ESM1-C1.3-multilayer-margin).
    """
    array = at_least(steps, "steps", 0.0)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Refused(f"steps: shape {array.shape}; (removals, samples) is expected")
    total = np.zeros(array.shape[1])
    for step in array:
        total = add_up(total, step)
    return representable(total, "sum of the steps")


def _rounding_error(tokens: Array, weights: Array) -> Array:
    """What a rounded product of |v| >= 0 and |R| >= 0 can be off by, sign pattern aside."""
    share = gamma(weights.shape[1])
    return add_up(mul_up(tokens @ weights.T, up(share * (1 + 2 * share), "gamma")), _underflow(tokens, weights))


def _dot_upper(tokens: Array, weights: Array) -> Array:
    """Upper bound on |v| |R|^T for entries >= 0."""
    factor = up(1 + 2 * gamma(weights.shape[1]), "factor")
    return add_up(mul_up(tokens @ weights.T, factor), _underflow(tokens, weights))


def _underflow(tokens: Array, weights: Array) -> float:
    """m 2^-1073 where some product of nonzero entries may fall below the normal range, else 0."""
    least = [np.min(part, where=part > 0.0, initial=np.inf) for part in (tokens, weights)]
    return float(0.0 if least[0] * least[1] >= 2.0 * LEAST_NORMAL else 2 * weights.shape[1] * LEAST)


def _matrix_and_tokens(removed: ArrayLike, inputs: ArrayLike) -> tuple[Array, Array]:
    r, v = finite(removed, "removed", (None, None)), finite(inputs, "inputs")
    if v.ndim not in (2, 3) or v.shape[-1] != r.shape[1] or not v.size:
        raise Refused(f"inputs: shape {v.shape}; (tokens, {r.shape[1]}) or (samples, tokens, {r.shape[1]}) is expected")
    return r, v
