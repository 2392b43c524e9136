"""Data-path sizes and budgets without rounding. Twins of `certify.theory.budget`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from certify.records import Refused
from certify.theory.exact._rationals import Exact, Numbers, Scalar, Scaled, at_least, dot, rational, scaled, scaled_at_least


def data_path_size(removed: Numbers, inputs: Numbers) -> Fraction | Exact:
    """What the removed weights send on, at its largest coordinate.

        ||R V_s||_inf = max_{i,p} |(R v_{s,p})_i|

    removed : (rows, cols) R.
    inputs  : (P, cols), or (T, P, cols).
    Returns one fraction, or (T,).
    Claim X19-tokens (repairs F2 of Definition 5.0, arXiv:2606.02608).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    return _largest(np.abs(v.whole @ r.whole.T), r.denominator * v.denominator)


def data_path_upper_rows(removed: Numbers, inputs: Numbers) -> Fraction | Exact:
    """Upper bound on the data-path size from absolute row sums.

        ||R V_s||_inf <= (max_i sum_j |R_ij|) max_p ||v_{s,p}||_inf

    removed, inputs : as in `data_path_size`.
    Returns one fraction, or (T,).
    Claim N0-norms (Section 2 of arXiv:2606.02608).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    return _largest(np.abs(v.whole) * max(np.abs(r.whole).sum(axis=1)), r.denominator * v.denominator)


def data_path_upper_euclidean_squared(removed: Numbers, inputs: Numbers) -> Fraction | Exact:
    """Square of the upper bound from the largest row norm, which has no root in it.

        ||R V_s||_inf^2 <= (max_i ||R_i||_2^2) max_p ||v_{s,p}||_2^2

    removed, inputs : as in `data_path_size`.
    Returns one fraction, or (T,).
    Claim F18 (repairs the operator-norm proxy of the long preprint of arXiv:2606.02608).
    """
    r, v = _matrix_and_tokens(removed, inputs)
    rows, tokens = (r.whole**2).sum(axis=-1), (v.whole**2).sum(axis=-1)
    return _largest((tokens * max(rows))[..., None], (r.denominator * v.denominator) ** 2)


def budget(lipschitz: Numbers, sizes: Numbers) -> Fraction:
    """The paper's budget of a removal on a sample list.

        B_T(R) = (2 / T) sum_s L_s ||R V_s||_inf

    lipschitz : (T,) L_s >= 0.
    sizes     : (T,) `data_path_size` of each sample, >= 0.
    Returns nats.
    Claim D5.0-budget (Definition 5.0 and Lemma 5.1 of arXiv:2606.02608).
    """
    constants = scaled_at_least(lipschitz, "lipschitz", 0, (None,))
    return dot(constants, scaled_at_least(sizes, "sizes", 0, constants.whole.shape)) * 2 / len(constants.whole)


def lipschitz_by_row_sums(weights: Sequence[Numbers]) -> Fraction:
    """Max-norm Lipschitz constant of everything after the target, for a plain stack of layers.

        L = prod_k ||W_k||_inf,   ||W||_inf = max_i sum_j |W_ij|

    weights : the matrices in order, (rows, cols) each, cols of the next = rows of the one before. None at all: 1.
    Returns logits per unit of the target's output.
    Claim ESM1-R2.9-local-lipschitz (Remark 2.9 of Online Resource 1 of arXiv:2606.02608).
    """
    constant, width = Fraction(1), None
    for k, entries in enumerate(weights):
        matrix = scaled(entries, f"weights[{k}]", (None, width))
        width = matrix.whole.shape[0]
        constant *= Fraction(int(max(np.abs(matrix.whole).sum(axis=1))), matrix.denominator)
    return constant


def restoration_can_help(budget_upper: Scalar, reward_lower: Scalar) -> bool:
    """Whether putting a removed part Q back could improve the certificate at all.

        B_T(Q) > rew(Q)

    budget_upper, reward_lower : B_T(Q) and rew(Q), >= 0, nats.
    Returns False only where restoring Q cannot help.
    Claim X12-budget-calculus (sharpens Corollary 5.6 of arXiv:2606.02608).
    """
    return rational(budget_upper, "budget", 0) > rational(reward_lower, "reward", 0)


def telescoped(steps: Numbers) -> Exact:
    """Per-sample bound on the logit change of several removals in a row.

        eta_s = sum_j eta_{j,s}

    steps : (M, T), >= 0; M = 0 is allowed.
    Returns (T,).
    Claim ESM1-C1.3-multilayer-margin (Online Resource 1 of arXiv:2606.02608).
    """
    array = at_least(steps, "steps", 0)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Refused(f"steps: shape {array.shape}; (removals, samples) is expected")
    return array.sum(axis=0) + np.full(array.shape[1], Fraction(0))


def smallest_lipschitz(speed_sup: Numbers, sizes: Numbers) -> Exact:
    """The smallest constant L_s that the paper's budget may use.

        L_s^min = sup_theta ||gamma_s'(theta)||_inf / ||R V_s||_inf

    speed_sup : (T,) `ReluPath.speed_sup`, >= 0.
    sizes     : (T,) `data_path_size` of each sample, >= 0.
    Returns (T,); None where the size is 0 and any L_s will do.
    Claim X9-best-L (sharpens Definition 5.0 of arXiv:2606.02608).
    """
    speed = at_least(speed_sup, "speed_sup", 0, (None,))
    data = at_least(sizes, "sizes", 0, speed.shape)
    return np.array([a / b if b else None for a, b in zip(speed, data, strict=True)], dtype=np.object_)


def _largest(table: Exact, denominator: int) -> Fraction | Exact:
    if table.ndim == 2:
        return Fraction(int(table.max()), denominator)
    tops = [Fraction(int(sample.max()), denominator) for sample in table]
    return np.array([*tops, None], dtype=np.object_)[:-1]


def _matrix_and_tokens(removed: Numbers, inputs: Numbers) -> tuple[Scaled, Scaled]:
    r, v = scaled(removed, "removed", (None, None)), scaled(inputs, "inputs")
    cols = r.whole.shape[1]
    if v.whole.ndim not in (2, 3) or v.whole.shape[-1] != cols or not v.whole.size:
        raise Refused(f"inputs: shape {v.whole.shape}; (tokens, {cols}) or (samples, tokens, {cols}) is expected")
    return r, v
