"""The paper's layerwise budget and the data-path sizes it is made of. Its Gaussian model is `gaussian`.

A target acts on P vectors of a sample (tokens, positions), so a size is a maximum over rows and tokens. Matrices are
(rows = outputs, cols = inputs).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable


def data_path_size(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """What the removed weights send on, at its largest coordinate.

        ||R V_s||_inf = max_{i,p} |(R v_{s,p})_i|

    removed : (rows, cols) R.
    inputs  : (P, cols) the P vectors sample s sends into the target, or (T, P, cols) for T samples of equal P.
    Returns () or (T,), units of the target's output. Rounded dot products: `resolved`, not `proved`.
    Claim X19-tokens, D5.0-layer (repairs F2 of Definition 5.0, arXiv:2606.02608: psi_1(s) is a matrix of tokens).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        return representable(np.abs(v @ r.T).max(axis=(-2, -1)), "data-path size")


def data_path_upper_rows(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """Upper bound on the data-path size from absolute row sums.

        ||R V_s||_inf <= (max_i sum_j |R_ij|) max_p ||v_{s,p}||_inf,   attained by v = sign(row i*)

    removed, inputs : as in `data_path_size`.
    Returns () or (T,), units of the target's output. Neither this nor `data_path_upper_euclidean` is always smaller.
    Claim N0-norms (Section 2 of arXiv:2606.02608).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        bound = np.abs(r).sum(axis=1).max() * np.abs(v).max(axis=(-2, -1))
    return representable(bound, "row-sum bound")


def data_path_upper_euclidean(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """Upper bound on the data-path size from the largest row norm.

        ||R V_s||_inf <= (max_i ||R_i||_2) max_p ||v_{s,p}||_2,   attained by v parallel to row i*

    The product ||R||_op max_p ||v_{s,p}||_inf is smaller and is NOT an upper bound (F18).
    removed, inputs : as in `data_path_size`.
    Returns () or (T,), units of the target's output.
    Claim F18 (repairs the operator-norm proxy of the long preprint of arXiv:2606.02608).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        bound = _row_norms(r).max() * _row_norms(v).max(axis=-1)
    return representable(bound, "row-norm bound")


def budget(lipschitz: ArrayLike, sizes: ArrayLike) -> float:
    """The paper's budget of a removal on a sample list.

        B_T(R) = (2 / T) sum_s L_s ||R V_s||_inf

    lipschitz : (T,) upper bounds L_s on the max-norm Lipschitz constant of everything after the target, on the segment
                {A_theta v_s}; >= 0. A sampled slope or the Jacobian of an end point is not such a bound, and L_s = 1 is
                none.
    sizes     : (T,) `data_path_size` of each sample, >= 0.
    Returns nats: a bound on the change of the mean cross-entropy at theta = 0, linear in 1 - theta along the path.
    Claim D5.0-budget, X12-budget-calculus, ER-X12a-rows (Definition 5.0 and Lemma 5.1 of arXiv:2606.02608; a seminorm in R
    for common L_s, not larger when whole rows are restored).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    data = at_least(sizes, "sizes", 0.0, constants.shape)
    with np.errstate(over="ignore"):
        return float(representable(2.0 * np.mean(constants * data), "budget"))


def lipschitz_by_row_sums(weights: Sequence[ArrayLike]) -> float:
    """Max-norm Lipschitz constant of everything after the target, for a plain stack of layers.

        L = prod_k ||W_k||_inf,   ||W||_inf = max_i sum_j |W_ij|

    Hypotheses: psi_2 alternates the layers W_k x + b_k with coordinatewise maps of slope at most 1 (ReLU, |.|, tanh, the
                identity) and means over tokens. Softmax attention and LayerNorm have no such constant without bounds on
                their inputs.
    weights : the matrices in order, (rows, cols) each, cols of the next = rows of the one before. None at all: 1.
    Returns logits per unit of the target's output: valid for every sample, so an upper bound on L_s. Usually far above
    the smallest constant (`smallest_lipschitz`); sampled slopes and end-point Jacobians lie below that one and bound
    nothing.
    Claim ESM1-R2.9-local-lipschitz, A4.1-architecture (Remark 2.9 of Online Resource 1, Assumption 4.1 of
    arXiv:2606.02608).
    """
    constant, width = 1.0, None
    for k, entries in enumerate(weights):
        matrix = finite(entries, f"weights[{k}]", (None, width))
        width = matrix.shape[0]
        with np.errstate(over="ignore"):
            constant *= float(representable(np.abs(matrix).sum(axis=1).max(), f"row sums of weights[{k}]"))
    return number(constant, "product of row sums")


def restoration_can_help(budget_upper: float, reward_lower: float) -> bool:
    """Whether putting a removed part Q back could improve the certificate at all.

        B_T(Q) > rew(Q);   if B_T(Q) <= rew(Q), then B_T(Q + P) - rew(Q + P) <= B_T(P) - rew(P) for every disjoint P

    Hypotheses: one mask split, the same constants L_s in all three budgets (those of a segment that contains the others).
    budget_upper : B_T(Q) or an upper bound on it, >= 0, nats.
    reward_lower : rew(Q) or a lower bound on it, >= 0, nats.
    Returns False only where restoring Q cannot help: Q holds its own certificate. True promises nothing.
    Claim X12-budget-calculus (sharpens Corollary 5.6 of arXiv:2606.02608).
    """
    return number(budget_upper, "budget", 0.0) > number(reward_lower, "reward", 0.0)


def telescoped(steps: ArrayLike) -> Array:
    """Per-sample bound on the logit change of several removals in a row.

        eta_s = sum_j eta_{j,s},   eta_{j,s} >= ||z^(j)(s) - z^(j-1)(s)||_inf

    steps : (M, T) one row per removal, each bounded in the network where the earlier removals are already made, >= 0.
            M = 0 is allowed: nothing was removed.
    Returns (T,) logit units, an eta for every bound of this folder. Vacuous never.
    Claim ESM1-C1.3-multilayer-margin (Online Resource 1 of arXiv:2606.02608); with `increase_upper` it is
    X14-multilayer (c).
    """
    array = at_least(steps, "steps", 0.0)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Refused(f"steps: shape {array.shape}; (removals, samples) is expected")
    with np.errstate(over="ignore"):
        return representable(array.sum(axis=0), "sum of the steps")


def smallest_lipschitz(speed_sup: ArrayLike, sizes: ArrayLike) -> Array:
    """The smallest constant L_s that the paper's budget may use.

        L_s^min = sup_theta ||gamma_s'(theta)||_inf / ||R V_s||_inf,   gamma_s(theta) = logits at S + theta R

    speed_sup : (T,) supremum of the path's speed when this target alone is moved, >= 0 (`PathVariation.speed_sup`).
    sizes     : (T,) `data_path_size` of each sample, >= 0.
    Returns (T,), logits per unit of the target's output; nan means "not available": the size is 0 (any L_s will do) or
    too small for the quotient. As sure as `speed_sup` is: `resolved` there is `resolved` here.
    Claim X9-best-L, A4.1-architecture, NC-endpoint-jacobian (sharpens Definition 5.0 of arXiv:2606.02608).
    """
    speed = at_least(speed_sup, "speed_sup", 0.0, (None,))
    data = at_least(sizes, "sizes", 0.0, speed.shape)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        quotient = speed / data
    return np.where(np.isfinite(quotient), quotient, np.nan)


def _row_norms(table: Array) -> Array:
    """Euclidean norms along the last axis, scaled so that squares neither vanish nor overflow (an upper bound must not
    be 0)."""
    top = np.abs(table).max(axis=-1, keepdims=True)
    ratio = np.divide(table, top, out=np.zeros_like(table), where=top > 0.0)
    return top[..., 0] * np.sqrt(np.sum(np.square(ratio), axis=-1))


def _matrix_and_tokens(removed: ArrayLike, inputs: ArrayLike) -> tuple[Array, Array]:
    r = finite(removed, "removed", (None, None))
    v = finite(inputs, "inputs")
    if v.ndim not in (2, 3) or v.shape[-1] != r.shape[1] or not v.size:
        raise Refused(f"inputs: shape {v.shape}; (tokens, {r.shape[1]}) or (samples, tokens, {r.shape[1]}) is expected")
    return r, v
