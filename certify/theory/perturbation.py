"""What removing R does to the singular values, singular vectors and spectral distribution of W = S + R.

Matrices are (rows, cols) = (n, m), of any shape; r = min(n, m), singular values s_1 >= .. >= s_r. Nothing here is random:
every bound holds for the given matrices. Singular values come from LAPACK, so all values are `resolved`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, finite, number, representable, whole


def tail_energy(matrix: ArrayLike, rank: int) -> float:
    """Energy outside the best approximation of a rank.

        sum_{i>k} s_i(S)^2 = min {||S - B||_F^2 : rank B <= k}

    matrix : (rows, cols) S.
    rank   : k >= 0; 0 counts everything, k >= rank S nothing.
    Returns squared weight units, decreasing in k. Squares below 1e-308 are lost; `tail_upper` with R = 0 is the root.
    Claim A4.3-structured, Eckart-Young (Section 4 of arXiv:2606.02608; Eckart and Young 1936).
    """
    values = _values(matrix, "matrix")[whole(rank, "rank", 0) :]
    with np.errstate(over="ignore"):
        return float(representable(np.sum(values**2), "tail energy"))


def value_shift_upper(removed: ArrayLike) -> float:
    """Largest shift of any single singular value.

        max_i |s_i(S + R) - s_i(S)| <= ||R||_op,   attained at i = 1 by R = t S, t > 0

    removed : (rows, cols) R; S is any matrix of that shape.
    Returns weight units, uniform in i.
    Claim Weyl, X26-perturbation-constants (a), C4.10-bulk-spike (i, ii) (Corollary 4.10 of arXiv:2606.02608).
    """
    return float(_values(removed, "removed")[0])


def spectrum_shift_upper(removed: ArrayLike) -> float:
    """Largest shift of all singular values together, in the Euclidean norm.

        sqrt(sum_i (s_i(S + R) - s_i(S))^2) <= ||R||_F,   attained by R = t S, t > 0

    removed : (rows, cols) R; S is any matrix of that shape.
    Returns weight units.
    Claim Mirsky, X26-perturbation-constants (a), F22 (Mirsky 1960; sharpens Corollary 4.10 of arXiv:2606.02608).
    """
    return _length(_values(removed, "removed"))


def tail_upper(kept: ArrayLike, removed: ArrayLike, rank: int) -> float:
    """Root of the energy of W beyond rank k.

        sqrt(sum_{i>k} s_i(W)^2) <= sqrt(sum_{i>k} s_i(S)^2) + ||R||_F,   attained by R = t S at k = 0

    kept, removed : (rows, cols) S and R, W = S + R.
    rank          : k >= 0.
    Returns weight units; 0 from k = min(rows, cols) on.
    Claim X26-perturbation-constants (b), C4.10-bulk-spike (iii) (without the factor 2 of Corollary 4.10's proof).
    """
    s = finite(kept, "kept", (None, None))
    r = finite(removed, "removed", s.shape)
    beyond = _values(s, "kept")[whole(rank, "rank", 0) :]
    return float(representable(_length(beyond) + spectrum_shift_upper(r), "tail")) if beyond.size else 0.0


def share_above_upper(tail: float, rank: int, level: float, rows: int, cols: int) -> float:
    """Largest share of the singular values that lie above a level.

        #{i : s_i > epsilon} / r <= min(1, (k + (tail / epsilon)^2) / r),   tail >= sqrt(sum_{i>k} s_i^2),   r = min(rows, cols)

    tail       : root of the energy beyond rank k, >= 0, weight units: `tail_upper`, or the root of `tail_energy`.
    rank       : k >= 0.
    level      : epsilon > 0, weight units.
    rows, cols : shape, >= 1.
    Returns a share; vacuous (1) where k >= r or tail >= epsilon sqrt r.
    Claim C4.10-bulk-spike (iv) (Corollary 4.10 of arXiv:2606.02608).
    """
    root, epsilon = number(tail, "tail", 0.0), number(level, "level", 0.0)
    if epsilon == 0.0:
        raise Refused("level: 0.0; a number > 0 is expected")
    ratio = root / epsilon
    return min(1.0, (whole(rank, "rank", 0) + ratio * ratio) / _shorter(rows, cols))


def subspace_gap(matrix: ArrayLike, rank: int) -> float:
    """Distance from the k-th singular value to the next one.

        delta_k = s_k - s_{k+1},   s_{r+1} = 0

    matrix : (rows, cols) S.
    rank   : k in 1..r.
    Returns weight units; 0 where a repeated value leaves the top-k directions undetermined.
    Claim C4.11-subspace (Corollary 4.11 of arXiv:2606.02608).
    """
    values = np.append(_values(matrix, "matrix"), 0.0)
    k = whole(rank, "rank", 1, len(values) - 1)
    return float(values[k - 1] - values[k])


def projector_distance_upper(shift: float, gap: float) -> float:
    """Largest rotation of the top-k singular directions, left and right.

        max(||P'_U - P_U||_op, ||P'_V - P_V||_op) <= min(1, e / (delta_k - e)),   e = ||R||_op < delta_k

    P are the projectors on the top-k left and right singular directions of S, P' those of S + R. e / delta_k to first
    order, attained by R perpendicular to S; at most (4/3) e / delta_k where e <= delta_k / 4. k = r is included on both
    sides with s_{r+1} = 0 (on the short side the projector is the identity and nothing turns).
    shift : e = `value_shift_upper` of R, >= 0.
    gap   : delta_k = `subspace_gap` of S, >= 0.
    Returns the sine of an angle. Vacuous (1) where e >= delta_k / 2, unless e = 0 < delta_k.
    Claim X26-perturbation-constants (c), C4.11-subspace (Wedin 1972; the constant is explicit).
    """
    error, room = _error_and_gap(shift, gap)
    return min(1.0, error / (room - error)) if error < room else 1.0


def spike_distance_upper(shift: float, gap: float) -> float:
    """Largest rotation of one pair of singular vectors.

        max(||u' u'^T - u u^T||_op, ||v' v'^T - v v^T||_op) <= min(1, sqrt 2 e / (Delta_i - e)),
        Delta_i = min(s_{i-1} - s_i, s_i - s_{i+1}),   s_0 = inf,   s_{r+1} = 0

    With values on both sides of s_i the root of 2 cannot be replaced by 1: S = diag(2, 1) on 3 x 2, i = 2, and the isometry
    R = e ((0, 1/4), (1, 0), (0, sqrt(15)/4)) turn u by sqrt(3/2) e to first order.
    shift : e = ||R||_op, >= 0.
    gap   : Delta_i of S, >= 0: the smaller of two `subspace_gap`s.
    Returns the sine of an angle; vacuous (1) where e (1 + sqrt 2) >= Delta_i > 0.
    Claim C4.11-subspace (rank-one projectors, as Corollary 4.12 uses them; Wedin 1972 in the Frobenius norm).
    """
    error, room = _error_and_gap(shift, gap)
    return min(1.0, math.sqrt(2.0) * error / (room - error)) if error < room else 1.0


def corrected_value_error_upper(removed: ArrayLike, noise: float) -> float:
    """How far a singular value with the square correction lies from that of S.

        |(s_i(W) + sqrt(s_i(W)^2 - 4 g)) / 2 - s_i(S)| <= ||R||_op + sqrt g   whenever s_i(W)^2 >= 4 g

    Attained by S = 3, R = -1, g = 1. It holds for every R, so it is no sign that the correction improves anything (F21).
    removed : (rows, cols) R.
    noise   : g >= 0, squared weight units; in a Gaussian model rows times the variance of one entry.
    Returns weight units.
    Claim X26-perturbation-constants (d), F21 (core of Corollary 4.12 of arXiv:2606.02608).
    """
    return value_shift_upper(removed) + math.sqrt(number(noise, "noise", 0.0))


def singular_split(matrix: ArrayLike, dropped: npt.ArrayLike) -> tuple[Array, Array]:
    """A matrix split along its singular directions.

        A = S + R,   R = sum_{i dropped} s_i u_i v_i^T,   <S, R>_F = 0,   ||A||_F^2 = ||S||_F^2 + ||R||_F^2

    matrix  : (rows, cols) A.
    dropped : (min(rows, cols),) booleans, in the order of decreasing singular values.
    Returns S and R, (rows, cols) each; their sum is A to rounding. With equal singular values the split depends on the
    basis that LAPACK picks; the identities do not.
    Claim X23-svd-split (so the cross term of T5.3 vanishes).
    """
    left, values, right, out = _split(matrix, dropped)
    return (left[:, ~out] * values[~out]) @ right[~out], (left[:, out] * values[out]) @ right[out]


def split_size_upper(matrix: ArrayLike, dropped: npt.ArrayLike, inputs: ArrayLike) -> Array:
    """What dropped singular directions send on, bounded by the largest of their values.

        max_p ||R v_{s,p}||_inf <= tau max_p ||P_R v_{s,p}||_2,   tau = max {s_i : i dropped}

    P_R projects on the dropped right singular directions; no randomness is assumed. With `budget.budget` it is the edge
    budget B_T(R) <= (2 tau / T) sum_s L_s max_p ||P_R v_{s,p}||_2. Attained by diagonal A and v along a dropped axis.
    matrix, dropped : as in `singular_split`.
    inputs          : (P, cols) the P vectors of a sample, or (T, P, cols).
    Returns () or (T,), units of the target's output; 0 when nothing is dropped.
    Claim X23-svd-split (deterministic counterpart of Corollary 5.11 of arXiv:2606.02608).
    """
    _, values, right, out = _split(matrix, dropped)
    v = finite(inputs, "inputs")
    if v.ndim not in (2, 3) or v.shape[-1] != right.shape[1] or 0 in v.shape:
        raise Refused(f"inputs: shape {v.shape}; (vectors, {right.shape[1]}) or (samples, vectors, {right.shape[1]}) is expected")
    top = values[out].max(initial=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(v @ right[out].T, axis=-1)
        return representable(top * lengths.max(axis=-1), "split size")


def kolmogorov_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Largest difference of the distribution functions of two sets of numbers.

        sup_x |nu_A(-inf, x] - nu_B(-inf, x]|

    first, second : (p,) and (q,) singular values, any order.
    Returns a share in [0, 1]. Equal values must be equal in the last bit; noise in them counts.
    Claim ESM1-P3.30-mp-bulk (OR1, Proposition 3.30).
    """
    a, b = np.sort(finite(first, "first", (None,))), np.sort(finite(second, "second", (None,)))
    places = np.concatenate([a, b])
    below = np.searchsorted(a, places, side="right") * len(b) - np.searchsorted(b, places, side="right") * len(a)
    return float(np.max(np.abs(below)) / (len(a) * len(b)))


def bulk_shift_upper(rank: int, rows: int, cols: int) -> float:
    """Kolmogorov distance between the spectral distributions of R and R + S.

        sup_x |nu_W(-inf, x] - nu_R(-inf, x]| <= min(1, rank(S) / r),   r = min(rows, cols)

    the same as s_{i+k}(W) <= s_i(R) and s_{i+k}(R) <= s_i(W), k = rank S. Attained by R = 0 and S of full nominal rank.
    rank       : of S, >= 0.
    rows, cols : shape, >= 1.
    Returns a share; vacuous (1) at full rank.
    Claim ESM1-P3.30-mp-bulk (ii) (OR1, Proposition 3.30).
    """
    return min(1.0, whole(rank, "rank", 0) / _shorter(rows, cols))


def levy_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Lévy distance of two spectral distributions with equally many values.

        d_L = inf {e : F(x - e) - e <= G(x) <= F(x + e) + e for all x}
            = min_{0<=i<=p} max(i / p, max_{j>i} (x_{j-i} - y_j), max_{j>i} (y_{j-i} - x_j)),   x, y increasing

    first, second : (p,) values, any order.
    Returns a number in [0, 1]; it mixes shares and weight units, so it depends on the scale of the weights.
    Claim X27-levy-bulk (definition).
    """
    x = np.sort(finite(first, "first", (None,)))
    y = np.sort(finite(second, "second", x.shape))
    count = len(x)
    worst = [max(np.max(x[: count - i] - y[i:]), np.max(y[: count - i] - x[i:])) for i in range(count)] + [0.0]
    return float(min(max(i / count, gap) for i, gap in enumerate(worst)))


def levy_upper(difference: ArrayLike) -> float:
    """Lévy distance between the spectral distributions of two matrices.

        d_L(nu_A, nu_B) <= min(1, (||A - B||_F^2 / r)^(1/3)),   r = min(rows, cols)

    difference : (rows, cols) A - B.
    Returns a number in [0, 1]; vacuous (1) where ||A - B||_F^2 >= r.
    Claim X27-levy-bulk (Bai and Silverstein 2010, appendix; by Mirsky's inequality).
    """
    d = finite(difference, "difference", (None, None))
    return min(1.0, _cube_root_share(_values(d, "difference")))


def levy_bulk_upper(kept: ArrayLike, rank: int) -> float:
    """Lévy distance between the spectral distributions of R and R + S, S of small rank plus small energy.

        d_L(nu_{R+S}, nu_R) <= min(1, k / r + (sum_{i>k} s_i(S)^2 / r)^(1/3)),   r = min(rows, cols)

    kept : (rows, cols) S; R is any matrix of that shape.
    rank : k >= 0; the bound holds for every k.
    Returns a number in [0, 1].
    Claim X27-levy-bulk, F23 (extends ESM1-P3.30-mp-bulk to A4.3-structured).
    """
    s = finite(kept, "kept", (None, None))
    values = _values(s, "kept")
    values[: whole(rank, "rank", 0)] = 0.0
    return min(1.0, bulk_shift_upper(rank, *s.shape) + _cube_root_share(values))


def _values(matrix: ArrayLike, name: str) -> Array:
    return np.asarray(np.linalg.svd(finite(matrix, name, (None, None)), compute_uv=False), dtype=np.float64)


def _length(values: Array) -> float:
    """Euclidean norm without lost squares: an upper bound must not be 0."""
    top = float(representable(values.max(initial=0.0), "norm"))
    if top == 0.0:
        return 0.0
    with np.errstate(over="ignore"):
        return float(representable(top * np.sqrt(np.sum((values / top) ** 2)), "norm"))


def _cube_root_share(values: Array) -> float:
    """(sum of squares / count)^(1/3)."""
    return _length(values) ** (2.0 / 3.0) / len(values) ** (1.0 / 3.0)


def _shorter(rows: int, cols: int) -> int:
    return min(whole(rows, "rows", 1), whole(cols, "cols", 1))


def _error_and_gap(shift: float, gap: float) -> tuple[float, float]:
    return number(shift, "shift", 0.0), number(gap, "gap", 0.0)


def _split(matrix: ArrayLike, dropped: npt.ArrayLike) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    left, values, right = np.linalg.svd(finite(matrix, "matrix", (None, None)), full_matrices=False)
    out = np.asarray(dropped)
    if out.dtype.kind != "b" or out.shape != values.shape:
        raise Refused(f"dropped: {out.dtype} {out.shape}; one boolean per singular value is expected, shape {values.shape}")
    return left, values, right, out
