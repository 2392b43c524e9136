"""Random removals inside a network: several layers at a shared error probability, and the way of the noise to the logits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, Whole, at_least, finite, level, number, representable, whole
from certify.theory.budget import _row_norms, budget, data_path_size
from certify.theory.gaussian import gaussian_multiplier


def subgaussian_scale(lipschitz: ArrayLike, norms: ArrayLike, entry_variance: float, c: float = 0.5) -> float:
    """What the budget of a layer is per square root of a logarithm.

        a = (2 / T) sum_s L_s max_p ||v_{s,p}||_2 sqrt(entry_variance / c)

    lipschitz      : (T,) L_s >= 0.
    norms          : (T,) max_p ||v_{s,p}||_2 >= 0.
    entry_variance : >= 0.
    c              : constant of the tail as in `subgaussian_multiplier`, > 0; 1/2 is Gaussian.
    Returns nats.
    Claim ESM1-C1.4-subgauss-budget (Online Resource 1 of arXiv:2606.02608).
    """
    constant = number(c, "c", 0.0)
    if constant == 0.0:
        raise Refused("c: 0; a tail that does not fall gives no budget")
    deviation = math.sqrt(number(entry_variance, "entry_variance", 0.0)) / math.sqrt(constant)
    with np.errstate(over="ignore"):
        sizes = representable(at_least(norms, "norms", 0.0, (None,)) * deviation, "data-path size")
    return budget(lipschitz, sizes)


def multilayer_budgets(scales: ArrayLike, counts: npt.ArrayLike, deltas: ArrayLike) -> Array:
    """Budgets of several removals that hold together.

        B_j(R_j) <= a_j sqrt(log(2 k_j / delta_j))   for all j with probability >= 1 - sum_j delta_j

    Hypotheses: R_j has the tail of `subgaussian_multiplier` given the vectors that enter it in the network where removals
                1..j-1 are already made (c = 1/2: iid Gaussian entries, independent of those vectors). Budgets of the
                dense network will not do (F10).
    scales : (M,) a_j = `subgaussian_scale` of each layer in its own network, >= 0.
    counts : (M,) k_j = rows_j sum_s P_{j,s}, whole, >= 1.
    deltas : (M,) delta_j in (0, 1); 0 where a_j = 0. Their sum is the error probability.
    Returns (M,) nats, for `change_upper_multilayer`. Refused when the deltas sum to 1 or more.
    Claim ESM1-C1.5-multilayer-gauss, ESM1-C1.6-multilayer-subgauss (Online Resource 1 of arXiv:2606.02608).
    """
    a, k = _layers(scales, counts)
    shares = at_least(deltas, "deltas", 0.0, a.shape)
    level(float(shares.sum()) or 0.5, "sum of the deltas")
    if np.any((shares == 0.0) & (a > 0.0)):
        raise Refused("deltas: 0 for a layer that has noise; its budget would be infinite")
    needed = a > 0.0
    logs = np.log(2.0 * k) - np.log(np.where(needed, shares, 1.0))
    with np.errstate(over="ignore"):
        return representable(np.where(needed, a * np.sqrt(logs), 0.0), "budgets")


def split_delta(delta: float, scales: ArrayLike, counts: npt.ArrayLike) -> Array:
    """The split of an error probability over layers that makes the sum of their budgets least.

        min sum_j a_j sqrt(log(2 k_j / delta_j))   over   sum_j delta_j = delta

    Convex, since log(2 k_j / delta_j) >= log 2 > 1/2. At the optimum delta_j sqrt(log(2 k_j / delta_j)) = a_j / (2 mu)
    with one mu for all layers: Newton for each log delta_j inside a bisection of log mu.
    delta  : in (0, 1).
    scales : (M,) a_j >= 0.
    counts : (M,) k_j >= 1.
    Returns (M,) deltas of sum <= delta, 0 for layers without noise (equal shares when no layer has any). Fixed before R
    is drawn: the scales must not depend on it.
    Claim ESM1-C1.5-multilayer-gauss, ESM1-C1.6-multilayer-subgauss (the choice is free there; convexity makes it unique).
    """
    a, k = _layers(scales, counts)
    log_delta = math.log(level(delta, "delta"))
    active = a > 0.0
    if not active.any():
        return np.full(a.size, delta / a.size * (1.0 - 2.0**-46))
    log_a, log_b = np.log(a[active]), np.log(2.0 * k[active])
    low, high = -1e4, 1e4
    for _ in range(70):
        middle = 0.5 * (low + high)
        spent = _log_shares(log_a - middle, log_b)
        low, high = (middle, high) if np.logaddexp.reduce(spent) > log_delta else (low, middle)
    logs = _log_shares(log_a - high, log_b)
    shares = np.zeros(a.size)
    parts = np.exp(logs - logs.max())
    shares[active] = np.maximum(parts / parts.sum() * (delta * (1.0 - 2.0**-46)), 5e-324)
    return shares


def affine_tail_change(head: ArrayLike, norms: ArrayLike, *, entry_variance: float, delta: float, method: str = "sidak") -> Array:
    """Logit change when only an affine map follows the noise.

        z = W (A v) + b:  |(W R v_s)_k| <= sqrt(entry_variance) ||v_s||_2 max_k ||w_k||_2 x   for all s, k

    with probability >= 1 - delta, x = gaussian_multiplier(K, T, delta, method): K coordinates per sample, not `rows`.
    Hypotheses: R iid N(0, entry_variance), independent of the vectors and of W (fails for W = the sign of R v); one vector
                per sample.
    head           : (K, rows) W.
    norms          : (T,) ||v_s||_2 >= 0.
    entry_variance : >= 0.
    delta, method  : as in `gaussian_multiplier`.
    Returns (T,) eta, logit units.
    Claim X20-l2-tails (a), ER-X20a (Section 6 of theory/mp-certificates.md with its errata), F12.
    """
    w, sizes = finite(head, "head", (None, None)), at_least(norms, "norms", 0.0, (None,))
    longest = float(_row_norms(w).max())
    return _spread(sizes, longest, entry_variance) * gaussian_multiplier(w.shape[0], sizes.size, delta, method)


def affine_tail_pairwise(
    head: ArrayLike, labels: npt.ArrayLike, norms: ArrayLike, *, entry_variance: float, delta: float, method: str = "sidak"
) -> Array:
    """What each logit can gain on the true one when only an affine map follows the noise.

        |d_j - d_C| <= pi_j = sqrt(entry_variance) ||v_s||_2 ||w_j - w_C||_2 x   for all s and j != C

    with probability >= 1 - delta, x = gaussian_multiplier(K - 1, T, delta, method).
    Hypotheses: those of `affine_tail_change`.
    head   : (K, rows), K >= 2.
    labels : (T,) true class C, 0..K-1.
    norms, entry_variance, delta, method : as in `affine_tail_change`.
    Returns (T, K) pi, logit units, 0 at the true class; for `increase_upper_pairwise` and the pairwise margins.
    Claim X20-l2-tails (a) (Section 6 of theory/mp-certificates.md with its errata).
    """
    w, sizes = finite(head, "head", (None, None)), at_least(norms, "norms", 0.0, (None,))
    label = np.asarray(labels)
    if w.shape[0] < 2:
        raise Refused("head: one class; a margin needs at least two")
    if label.dtype.kind not in "iu" or label.shape != sizes.shape or label.min() < 0 or label.max() >= w.shape[0]:
        raise Refused(f"labels: {label.dtype} {label.shape}; one class 0..{w.shape[0] - 1} per sample is expected")
    multiplier = gaussian_multiplier(w.shape[0] - 1, sizes.size, delta, method)
    gaps = representable(_row_norms(w[None] - w[label][:, None]), "differences of the head's rows")
    with np.errstate(over="ignore"):
        return representable(_spread(sizes, 1.0, entry_variance)[:, None] * gaps * multiplier, "pairwise change")


class TailBound(NamedTuple):
    """|z_k - E z_k| <= deviation and |E z_k - z_k(S)| <= bias, (T,) logit units each; their sum is an eta.

    Claim X20-l2-tails (b).
    """

    deviation: Array
    bias: Array


def smooth_tail_change(
    euclidean: float, classes: int, norms: ArrayLike, *, rows: int, entry_variance: float, delta: float
) -> TailBound:
    """Logit change when everything after the noise is Lipschitz in the Euclidean norm.

        |z_k - E z_k| <= Lambda ||v_s||_2 sqrt(2 entry_variance log(2 K T / delta))   for all s, k, probability >= 1 - delta
        |E z_k - z_k(S)| <= Lambda sqrt(rows entry_variance) ||v_s||_2

    Hypotheses: R iid N(0, entry_variance), independent of (S, psi_2, (v_s)); each logit of psi_2 is Lambda-Lipschitz in
                the Euclidean norm on the whole space, not only on a segment; one vector per sample. Concentration: the
                factor 2 inside the logarithm stays.
    euclidean      : Lambda >= 0.
    classes        : K >= 1.
    norms          : (T,) ||v_s||_2 >= 0.
    rows           : rows of R.
    entry_variance : >= 0.
    delta          : error probability in (0, 1).
    Returns both parts.
    Claim X20-l2-tails (b), ER-X20b (Section 6 of theory/mp-certificates.md with its errata).
    """
    sizes = at_least(norms, "norms", 0.0, (None,))
    spread = _spread(sizes, number(euclidean, "euclidean", 0.0), entry_variance)
    multiplier = gaussian_multiplier(whole(classes, "classes", 1), sizes.size, delta, "paper")
    with np.errstate(over="ignore"):
        bias = spread * math.sqrt(whole(rows, "rows", 1))
        return TailBound(representable(spread * multiplier, "deviation"), representable(bias, "bias"))


def change_upper_two_routes(removed: ArrayLike, inputs: ArrayLike, lipschitz: ArrayLike, euclidean: ArrayLike) -> Array:
    """Logit change by the shorter of two deterministic routes.

        ||z_A - z_S||_inf <= min(L_s ||R V_s||_inf, Lambda_s ||R V_s||_F)

    removed   : (rows, cols) R.
    inputs    : (T, P, cols).
    lipschitz : (T,) L_s >= 0, max norm to max norm.
    euclidean : (T,) Lambda_s >= 0, Euclidean norm of all P outputs together to max norm; both on the segment.
    Returns (T,) eta at full removal, logit units. No randomness.
    Claim X20-l2-tails (c) (Section 6 of theory/mp-certificates.md).
    """
    r = finite(removed, "removed", (None, None))
    v = finite(inputs, "inputs", (None, None, r.shape[1]))
    largest = at_least(lipschitz, "lipschitz", 0.0, (len(v),))
    together = at_least(euclidean, "euclidean", 0.0, (len(v),))
    with np.errstate(over="ignore"):
        sent = v @ r.T
        routes = largest * data_path_size(r, v), together * _row_norms(representable(sent, "R V").reshape(len(v), -1))
        return representable(np.minimum(*routes), "logit change")


def _spread(sizes: Array, factor: float, entry_variance: float) -> Array:
    with np.errstate(over="ignore"):
        return representable(sizes * (factor * math.sqrt(number(entry_variance, "entry_variance", 0.0))), "logit change")


def _layers(scales: ArrayLike, counts: npt.ArrayLike) -> tuple[Array, Whole]:
    a = at_least(scales, "scales", 0.0, (None,))
    k = np.asarray(counts)
    if k.dtype.kind not in "iu" or k.shape != a.shape or k.min() < 1:
        raise Refused(f"counts: {k.dtype} {k.shape}; one whole number >= 1 per layer is expected, shape {a.shape}")
    return a, k.astype(np.int64)


def _log_shares(log_target: Array, log_b: Array) -> Array:
    """log delta with delta sqrt(log(b / delta)) = target, capped at 1: the left side rises while log(b / delta) > 1/2."""
    t = np.minimum(log_target, 0.0)
    for _ in range(12):
        depth = log_b - t
        step = (t + 0.5 * np.log(depth) - log_target) / (1.0 - 0.5 / depth)
        t = np.minimum(t - step, 0.0)
    return t
