"""The paper's layerwise budget, the data-path sizes it is made of, and its Gaussian model.

A target acts on P vectors of a sample (tokens, positions), so a size is a maximum over rows and tokens. Matrices are
(rows = outputs, cols = inputs). The Gaussian forms take the variance of one entry.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri_exp

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, Whole, at_least, finite, level, number, representable, whole

METHODS = ("paper", "drop2", "bonferroni", "sidak")


def data_path_size(removed: ArrayLike, inputs: ArrayLike) -> Array:
    """What the removed weights send on, at its largest coordinate.

        ||R V_s||_inf = max_{i,p} |(R v_{s,p})_i|

    removed : (rows, cols) R.
    inputs  : (P, cols) the P vectors sample s sends into the target, or (T, P, cols) for T samples of equal P.
    Returns () or (T,), units of the target's output. Rounded dot products: `resolved`, not `proved`.
    Claim X19-tokens (repairs F2 of Definition 5.0, arXiv:2606.02608: psi_1(s) is a matrix of tokens).
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
    Claim D5.0-budget (Definition 5.0 and Lemma 5.1 of arXiv:2606.02608).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    data = at_least(sizes, "sizes", 0.0, constants.shape)
    with np.errstate(over="ignore"):
        return float(representable(2.0 * np.mean(constants * data), "budget"))


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
    Claim X9-best-L (sharpens Definition 5.0 of arXiv:2606.02608).
    """
    speed = at_least(speed_sup, "speed_sup", 0.0, (None,))
    data = at_least(sizes, "sizes", 0.0, speed.shape)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        quotient = speed / data
    return np.where(np.isfinite(quotient), quotient, np.nan)


def gaussian_multiplier(rows: int, count: int, delta: float, method: str = "sidak") -> float:
    """Number of standard deviations that covers every coordinate of R v, for every vector v.

        P(for all v, i: |(R v)_i| <= x sqrt(entry_variance) ||v||_2) >= 1 - delta,   k = rows * count

        paper       x = sqrt(2 log(2 k / delta))
        drop2       x = sqrt(2 log(k / delta))
        bonferroni  x = Q^-1(delta / (2 k))
        sidak       x = Q^-1((1 - (1 - delta)^(1/k)) / 2)        exact for one vector

    Hypotheses: R iid N(0, entry_variance), independent of the vectors. A mask component has structural zeros and is not
                so (F15).
    rows   : rows of R, >= 1.
    count  : number of vectors: every token of every sample, sum_s P_s (F2), >= 1.
    delta  : error probability in (0, 1).
    method : as above; each is smaller than the one before it.
    Returns x > 0.
    Claim X15-gauss-exact (sharpens Corollary 5.10 of arXiv:2606.02608; tokens by X19).
    """
    k = float(whole(rows, "rows", 1)) * float(whole(count, "count", 1))
    error = level(delta, "delta")
    if method == "paper":
        return float(np.sqrt(2.0 * (np.log(2.0 * k) - np.log(error))))
    if method == "drop2":
        return float(np.sqrt(2.0 * (np.log(k) - np.log(error))))
    if method == "bonferroni":
        return float(-ndtri_exp(np.log(error) - np.log(2.0 * k)))
    if method == "sidak":
        return float(-ndtri_exp(np.log(-np.expm1(np.log1p(-error) / k)) - np.log(2.0)))
    raise Refused(f"method: {method!r} is not one of {', '.join(METHODS)}")


def gaussian_budget(
    lipschitz: ArrayLike,
    norms: ArrayLike,
    tokens: npt.ArrayLike,
    *,
    rows: int,
    entry_variance: float,
    delta: float,
    method: str = "sidak",
) -> float:
    """The budget when R is Gaussian noise, with every token counted.

        B_T(R) <= (2 / T) sum_s L_s max_p ||v_{s,p}||_2 sqrt(entry_variance) x   with probability >= 1 - delta

    x = gaussian_multiplier(rows, sum_s P_s, delta, method); the paper writes entry_variance = g / rows and P_s = 1.
    Hypotheses: R iid N(0, entry_variance), independent of the vectors; L_s may depend on R (F5). Model-based: a fitted
                variance
    or edge voids the guarantee (F19).
    lipschitz      : (T,) L_s >= 0.
    norms          : (T,) max_p ||v_{s,p}||_2, >= 0.
    tokens         : (T,) whole numbers P_s >= 1.
    rows           : rows of R.
    entry_variance : variance of one entry of R, >= 0.
    delta          : error probability in (0, 1).
    Returns nats.
    Claim C5.10-gauss-budget (Corollary 5.10 of arXiv:2606.02608, tokens by X19, multiplier by X15).
    """
    sizes = at_least(norms, "norms", 0.0, (None,))
    deviation = np.sqrt(number(entry_variance, "entry_variance", 0.0))
    multiplier = gaussian_multiplier(rows, int(_token_counts(tokens, sizes.shape).sum()), delta, method)
    with np.errstate(over="ignore"):
        return budget(lipschitz, representable(sizes * (deviation * multiplier), "Gaussian data-path size"))


def _row_norms(table: Array) -> Array:
    """Euclidean norms along the last axis, scaled so that squares neither vanish nor overflow (an upper bound must not
    be 0)."""
    top = np.abs(table).max(axis=-1, keepdims=True)
    ratio = np.divide(table, top, out=np.zeros_like(table), where=top > 0.0)
    return top[..., 0] * np.sqrt(np.sum(np.square(ratio), axis=-1))


def _token_counts(tokens: npt.ArrayLike, shape: tuple[int, ...]) -> Whole:
    counts = np.asarray(tokens)
    if counts.dtype.kind not in "iu" or counts.shape != shape or counts.min() < 1:
        raise Refused(f"tokens: {counts.dtype} {counts.shape}; one whole number >= 1 per sample is expected, shape {shape}")
    return counts.astype(np.int64)


def _matrix_and_tokens(removed: ArrayLike, inputs: ArrayLike) -> tuple[Array, Array]:
    r = finite(removed, "removed", (None, None))
    v = finite(inputs, "inputs")
    if v.ndim not in (2, 3) or v.shape[-1] != r.shape[1] or not v.size:
        raise Refused(f"inputs: shape {v.shape}; (tokens, {r.shape[1]}) or (samples, tokens, {r.shape[1]}) is expected")
    return r, v
