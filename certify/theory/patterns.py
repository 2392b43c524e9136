"""k:n patterns: which masks are legal, what a group of removed weights costs, and what those costs say about the budget.

A k:n pattern keeps exactly k of each n consecutive inputs of every row. Matrices are (rows = outputs, cols = inputs) with
cols = G n; group g holds the inputs g n .. g n + n - 1.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole

Mask = npt.NDArray[np.bool_]

# Masks that are enumerated for one group: C(16, 8) = 12,870 is the largest in use.
MOST_PATTERNS = 20_000


def keep_patterns(keep: int, group: int) -> Mask:
    """All masks of one group.

        {m in {0, 1}^n : sum m = k},   C(n, k) of them

    keep, group : 1 <= k <= n.
    Returns (C(n, k), n) bool in lexicographic order of the kept positions: the mask that keeps the first k comes first.
    Claim P3-kn (Section 3 of arXiv:2606.02608).
    """
    n = whole(group, "group", 1)
    k = whole(keep, "keep", 1, n)
    if comb(n, k) > MOST_PATTERNS:
        raise Refused(f"{k}:{n}: {comb(n, k)} masks per group; at most {MOST_PATTERNS} are enumerated")
    masks = np.zeros((comb(n, k), n), dtype=bool)
    for index, kept in enumerate(combinations(range(n), k)):
        masks[index, list(kept)] = True
    return masks


def is_pattern(kept: npt.ArrayLike, keep: int, group: int) -> bool:
    """Whether a mask has the pattern k:n.

        sum_{j in group g} m_ij = k   for every row i and group g

    kept        : (rows, cols) bool, True where the weight stays; n must divide cols.
    keep, group : 1 <= k <= n.
    Returns True only if every group keeps exactly k. A mask that keeps fewer somewhere runs on the same hardware but is not
    of the pattern.
    Claim P3-kn (Section 3 of arXiv:2606.02608).
    """
    n = whole(group, "group", 1)
    k = whole(keep, "keep", 1, n)
    mask = np.asarray(kept)
    if mask.dtype != np.bool_ or mask.ndim != 2 or not mask.size:
        raise Refused(f"kept: {mask.dtype} {mask.shape}; a (rows, cols) mask is expected")
    return bool(np.all(_grouped(mask, n, "kept").sum(axis=2) == k))


def theoretical_speedup(reduction: float) -> float:
    """What a share of saved multiply-adds would gain if time were proportional to them.

        1 / (1 - r)

    reduction : r in [0, 1), saved over dense multiply-adds of the whole network.
    Returns a factor >= 1. An accounting number: no measured speed follows from it.
    Claim P3-mac (Section 3 of arXiv:2606.02608).
    """
    share = number(reduction, "reduction", 0.0, 1.0)
    if share == 1.0:
        raise Refused("reduction: 1; a network without multiply-adds has no speed-up")
    return 1.0 / (1.0 - share)


def group_moments(inputs: ArrayLike, group: int) -> Array:
    """Uncentred second moments of the inputs of each group.

        C_g = (1 / N) sum_x h_g(x) h_g(x)^T

    inputs : (N, cols) calibration vectors, one row per vector that enters the target (every token of every sample).
    group  : n, a divisor of cols.
    Returns (G, n, n), squared input units.
    Claim P3-cast (Section 3 of arXiv:2606.02608, CAST notes).
    """
    h = finite(inputs, "inputs", (None, None))
    parts = _grouped(h, whole(group, "group", 1), "inputs")
    with np.errstate(over="ignore", invalid="ignore"):
        return representable(np.einsum("xgi,xgj->gij", parts, parts) / len(h), "second moments")


def group_costs(weights: ArrayLike, moments: ArrayLike, kept: npt.ArrayLike) -> Array:
    """Mean squared contribution that each group of a row loses under each of some masks.

        c_{i,g}(m) = r^T C_g r = (1 / N) sum_x (sum_{k: m_k = 0} W_{i,g,k} h_{g,k}(x))^2,   r = (1 - m) * W_{i,g}

    The form r = (1 - m) * (m * W_g) of the long preprint is identically 0 (F17).
    weights : (rows, cols) W.
    moments : (G, n, n) from `group_moments`, cols = G n.
    kept    : (M, n) bool masks m, e.g. `keep_patterns`.
    Returns (rows, G, M), squared output units, >= 0 (rounding below 0 is clipped).
    Claim P3-cast (Section 3 of arXiv:2606.02608, CAST notes), F17.
    """
    moment = finite(moments, "moments", (None, None, None))
    groups, n = moment.shape[:2]
    w = _grouped(finite(weights, "weights", (None, groups * n)), n, "weights")
    mask = np.asarray(kept)
    if moment.shape[2] != n or mask.dtype != np.bool_ or mask.ndim != 2 or mask.shape[1] != n or not mask.size:
        raise Refused(f"moments, kept: shapes {moment.shape} and {mask.shape}; (G, n, n) and (M, n) masks are expected")
    with np.errstate(over="ignore", invalid="ignore"):
        removed = w[:, :, None, :] * ~mask
        costs = np.einsum("rgmi,gij,rgmj->rgm", removed, moment, removed, optimize=True)
    return np.maximum(representable(costs, "group costs"), 0.0)


def cheapest_masks(weights: ArrayLike, moments: ArrayLike, keep: int) -> Mask:
    """The mask of pattern k:n whose groups each lose least.

        m*_{i,g} = argmin_m c_{i,g}(m),   of equal costs the first in the order of `keep_patterns`

    Optimal group by group; for the cost of the whole row it is not (cross-group covariance).
    weights : (rows, cols) W.
    moments : (G, n, n) from `group_moments`.
    keep    : k, 1 <= k <= n.
    Returns (rows, cols) bool, True where the weight stays; `is_pattern` holds.
    Claim P3-cast, F17-iii (Section 3 of arXiv:2606.02608, CAST notes).
    """
    moment = finite(moments, "moments", (None, None, None))
    masks = keep_patterns(keep, moment.shape[1])
    best = group_costs(weights, moment, masks).argmin(axis=2)
    return masks[best].reshape(best.shape[0], -1)


def row_energy_upper(costs: ArrayLike) -> Array:
    """Upper bound on the mean squared output that each row loses, from its group costs.

        (1 / N) sum_x ((R h(x))_i)^2 = (R C R^T)_ii  <=  G sum_g c_{i,g},   equality iff all groups lose the same at every x

    Without the factor G it is no bound (F17): cross-group terms can reinforce each other up to G-fold.
    costs : (rows, G) c_{i,g} of the masks in use, >= 0.
    Returns (rows,), squared output units.
    Claim X30-cast-link (repairs F17-ii).
    """
    cost = at_least(costs, "costs", 0.0, (None, None))
    with np.errstate(over="ignore"):
        return representable(cost.shape[1] * cost.sum(axis=1), "row energy")


def budget_upper_by_energy(lipschitz: float, energies: ArrayLike, tokens: float = 1.0) -> float:
    """Upper bound on the paper's budget from the output energy that a mask removes.

        B_T(R) <= 2 L sqrt(P tr(R C R^T)),   tr(R C R^T) = sum_i e_i,   C = (1 / N) sum_x h(x) h(x)^T,   P = N / |T|

    lipschitz : L >= L_s for every sample, >= 0.
    energies  : (rows,) e_i >= (R C R^T)_ii: exact, or `row_energy_upper`; >= 0.
    tokens    : P, vectors per sample that C averages over, >= 1. Averaging over tokens and leaving P out is no bound: the
                budget takes the largest token.
    Returns nats, as `budget`; outputs below 1e-150 vanish when squared. Equality when P = 1, one row is hit, and
    |(R v_s)_i| and L_s are the same for all samples.
    Claim X30-cast-link (links the group costs to Definition 5.0 of arXiv:2606.02608; P by X19).
    """
    energy = at_least(energies, "energies", 0.0, (None,))
    constant, each = number(lipschitz, "lipschitz", 0.0), number(tokens, "tokens", 1.0)
    with np.errstate(over="ignore"):
        return float(representable(2.0 * constant * np.sqrt(each * energy.sum()), "budget"))


def _grouped(table: npt.NDArray, group: int, name: str) -> npt.NDArray:
    """(rows, cols) as (rows, G, n)."""
    rows, cols = table.shape
    if cols % group:
        raise Refused(f"{name}: {cols} inputs do not divide into groups of {group}")
    return table.reshape(rows, cols // group, group)
