"""Scores that measure what a weight sends on, for which the removed mass bounds the change of the cross-entropy.

One target A = S + R (kept + removed), inputs v of sample s (all its tokens p), L_s an upper bound for the max-norm
Lipschitz constant of everything after the target, valid for every mask that may result:

    B_T(R) = (2 / T) sum_s L_s max_p ||R v_{s,p}||_inf,   |CE(S) - CE(A)| <= B_T(R) <= each bound below.

`inputs` is (T, cols), or (T, P, cols) with P tokens per sample. Choose by scores, certify by the least bound.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole
from certify.theory.emp.effective_number import Mask, sums_exact

ORDERS = (1.0, 2.0, 4.0, 8.0, math.inf)


def group_scores(lipschitz: ArrayLike, sizes: ArrayLike) -> Array:
    """Score of a group of weights: the budget of removing it alone.

        s_g = B_T(A^(g)) = (2 / T) sum_s L_s ||A^(g) V_s||_inf

    A group may be an entry, a column, a head (W_O^(h) o_h), a convolution channel, an edge of a KAN.
    lipschitz : (T,) L_s >= 0.
    sizes     : (G, T) `data_path_size` of each group on each sample, >= 0.
    Returns (G,) nats.
    Claim EMP-T10 (Theorem 10 of theory/emp.md).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    table = at_least(sizes, "sizes", 0.0, (None, constants.size))
    with np.errstate(over="ignore"):
        return representable(2.0 * np.mean(table * constants, axis=1), "group scores")


def entry_scores(weights: ArrayLike, inputs: ArrayLike, lipschitz: ArrayLike, order: float = 1.0) -> Array:
    """Score of each single weight.

        s_ij = 2 |A_ij| alpha_j,   alpha_j = (mean_s (L_s max_p |v_{s,p,j}|)^order)^(1/order)

    weights   : (rows, cols) A.
    inputs    : (T, cols) or (T, P, cols).
    lipschitz : (T,) L_s >= 0.
    order     : in [1, inf]; 1 is the score of Theorem 10, 2 with L_s = 1 is Wanda's |A_ij| ||X_j||_2 times 2/sqrt(T),
                inf the largest size over the samples.
    Returns (rows, cols) nats, non-decreasing in order.
    Claim EMP-T10, EMP-T11 (Theorems 10 and 11 of theory/emp.md).
    """
    a = finite(weights, "weights", (None, None))
    with np.errstate(over="ignore"):
        return representable(2.0 * np.abs(a) * column_sizes(inputs, lipschitz, order, a.shape[1]), "entry scores")


def column_sizes(inputs: ArrayLike, lipschitz: ArrayLike, order: float, columns: int | None = None) -> Array:
    """Size of each input coordinate over the samples.

        alpha_j = (mean_s (L_s max_p |v_{s,p,j}|)^order)^(1/order),   max_s for order = inf

    inputs, lipschitz, order : as in `entry_scores`.
    columns                  : number of columns expected, or None for any.
    Returns (cols,), scaled before powers are taken.
    Claim EMP-T11 (Theorem 11 of theory/emp.md).
    """
    power = _order(order)
    v = finite(inputs, "inputs")
    if v.ndim not in (2, 3) or not v.size or (columns is not None and v.shape[-1] != columns):
        raise Refused(f"inputs: shape {v.shape}; (samples, cols) or (samples, tokens, cols) is expected, cols = {columns}")
    size = np.abs(v) if v.ndim == 2 else np.abs(v).max(axis=1)
    constants = at_least(lipschitz, "lipschitz", 0.0, (len(size),))
    with np.errstate(over="ignore"):
        return _power_mean(representable(constants[:, None] * size, "L_s |v_j|"), power)


def budget_upper_groups(scores: ArrayLike, keep: npt.ArrayLike) -> float:
    """Budget of removing several groups, from their scores.

        |CE(S) - CE(A)|  <=  B_T(R)  <=  sum_{g removed} s_g  =  (1 - phi_K) sum_g s_g

    B_T is a seminorm. Scores taken in the dense network are not valid for later layers.
    scores : (G,) `group_scores`, or `entry_scores` flattened; >= 0. Any partition of the weights, any mask.
    keep   : (G,) bool.
    Returns nats.
    Claim EMP-T10 (Theorem 10 of theory/emp.md), EMP-H-data-free.
    """
    table = at_least(scores, "scores", 0.0, (None,))
    return _fsum(table[~_mask(keep, table.shape)])


def budget_upper_rows(removed: ArrayLike, inputs: ArrayLike, lipschitz: ArrayLike, order: float) -> float:
    """Budget of a removal, from the masses that each row loses.

        B_T(R)  <=  2 (sum_i rho_i^order)^(1/order),   rho_i = sum_j |R_ij| alpha_j;   2 max_i rho_i for order = inf

    By Minkowski in each row; any mask; the least over several orders is valid too.
    removed                  : (rows, cols) R, 0 where the weight is kept.
    inputs, lipschitz, order : as in `entry_scores`.
    Returns nats. Equality for one sample, one row with R_ij v_j of one sign.
    Claim EMP-T11 (Theorem 11 of theory/emp.md).
    """
    r = finite(removed, "removed", (None, None))
    with np.errstate(over="ignore"):
        rows = representable(np.abs(r) @ column_sizes(inputs, lipschitz, order, r.shape[1]), "row masses")
        return float(representable(2.0 * _power_sum(rows, _order(order)), "budget"))


def budget_upper_row_masses(row_totals: ArrayLike, retained: ArrayLike, order: float) -> float:
    """The same bound from the retained mass of each row, as row-wise pruning reports it.

        B_T(R)  <=  2 (sum_i ((1 - phi_i) sigma_i)^order)^(1/order),   sigma_i = sum_j |A_ij| alpha_j

    For Wanda scores w_i = sum_j |A_ij| ||X_j||_2 and L_s <= L: order 2, sigma_i = L w_i / sqrt(T).
    row_totals : (rows,) sigma_i >= 0.
    retained   : (rows,) phi_i in [0, 1], measured; or `least retained mass` of each row, free of the distribution.
    order      : in [1, inf].
    Returns nats.
    Claim EMP-T11 (Theorem 11 of theory/emp.md).
    """
    totals = at_least(row_totals, "row_totals", 0.0, (None,))
    phi = at_least(retained, "retained", 0.0, totals.shape)
    if phi.max() > 1.0:
        raise Refused(f"retained: largest entry {phi.max()!r}; a share is at most 1")
    with np.errstate(over="ignore"):
        return float(representable(2.0 * _power_sum((1.0 - phi) * totals, _order(order)), "budget"))


def keep_by_mass(scores: ArrayLike, budget: float) -> Mask:
    """The mask that removes the most entries while each row loses at most half a budget.

        max_i sum_{j removed} sigma_ij  <=  budget / 2,   so B_T(R) <= budget for sigma_ij = |A_ij| alpha_j of order inf

    Smallest entries of each row first, ties by position from the right; each row's sum is checked exactly.
    scores : (rows, cols) sigma >= 0, half of `entry_scores` of order inf.
    budget : nats, >= 0.
    Returns (rows, cols) bool. No mask with this row-wise guarantee removes more.
    Claim EMP-T11 (Section 3.4 of theory/emp.md).
    """
    table, limit = at_least(scores, "scores", 0.0, (None, None)), number(budget, "budget", 0.0) / 2.0
    keep = np.ones(table.shape, dtype=np.bool_)
    for row, mask in zip(table, keep, strict=True):
        order = np.argsort(-row, kind="stable")[::-1]
        with np.errstate(over="ignore"):
            running = np.cumsum(row[order])
        count = int(np.count_nonzero(running <= limit * (1.0 + row.size * 2.0**-52)))
        while count and sums_exact(row[order[:count]])[0] > limit:
            count -= 1
        mask[order[:count]] = False
    return keep


def post_hoc_budget(dense_logits: ArrayLike, pruned_logits: ArrayLike) -> float:
    """Budget measured by one forward pass of each network on the same samples.

        |CE(S) - CE(A)|  <=  (2 / T) sum_s ||z_S(s) - z_A(s)||_inf  <=  B_T(R)

    dense_logits, pruned_logits : (T, K).
    Returns nats. Holds for these samples; needs no L_s.
    Claim EMP-T10 (Section 3.4 of theory/emp.md).
    """
    dense = finite(dense_logits, "dense_logits", (None, None))
    pruned = finite(pruned_logits, "pruned_logits", dense.shape)
    with np.errstate(over="ignore"):
        return float(representable(2.0 * np.mean(np.abs(pruned - dense).max(axis=1)), "post hoc budget"))


def column_scores(weights: ArrayLike, inputs: ArrayLike, lipschitz: ArrayLike) -> Array:
    """Score of an input neuron: the bound on the budget of removing its column.

        s_j = (2 / T) sum_s L_s max_p |v_{s,p,j}| max_i |A_ij|

    Equal to B_T of the column. Pass v - mu and add A mu to the bias for a compensated removal (`compensation`).
    weights, inputs, lipschitz : as in `entry_scores`.
    Returns (cols,) nats; the sum over removed columns bounds B_T(R).
    Claim EMP-T10 (Section 3.5 of theory/emp.md).
    """
    a = finite(weights, "weights", (None, None))
    with np.errstate(over="ignore"):
        size = column_sizes(inputs, lipschitz, 1.0, a.shape[1]) * np.abs(a).max(axis=0)
        return representable(2.0 * size, "column scores")


def compensation(inputs: ArrayLike, lipschitz: ArrayLike) -> Array:
    """The constants that make the column scores smallest when a removed column is replaced by its bias.

        mu_j = weighted median over s of v_{s,j}, weights L_s,   argmin_mu sum_s L_s |v_{s,j} - mu|

    inputs    : (T, cols), one token per sample.
    lipschitz : (T,) L_s >= 0, not all 0.
    Returns (cols,): an input value at which the weight below reaches one half.
    Claim EMP-T10 (bias-compensated columns, Section 3.5 of theory/emp.md).
    """
    v = finite(inputs, "inputs", (None, None))
    constants = at_least(lipschitz, "lipschitz", 0.0, (len(v),))
    if constants.max() == 0.0:
        raise Refused("lipschitz: all 0; every constant is as good as any other")
    order = np.argsort(v, axis=0, kind="stable")
    weight = np.cumsum((constants / constants.max())[order], axis=0)
    first = np.argmax(weight >= weight[-1] / 2.0, axis=0)
    return np.take_along_axis(v, np.take_along_axis(order, first[None], axis=0), axis=0)[0]


def row_scores(outputs: ArrayLike, lipschitz: ArrayLike) -> Array:
    """Score of an output row set to 0, of which only the largest removed one is paid.

        s_i = 2 max_s L_s max_p |A_i v_{s,p}|,   B_T(R) <= max_{i removed} s_i < ||s||_1 / D   for beta >= 1

    outputs   : (T, rows) or (T, P, rows), the target's outputs A v.
    lipschitz : (T,) L_s >= 0.
    Returns (rows,) nats.
    Claim EMP-T10, EMP-F6 (Section 3.5 of theory/emp.md).
    """
    return 2.0 * column_sizes(outputs, lipschitz, math.inf)


def accuracy_change_upper(margins: ArrayLike, budget: float, tau: float | None = None) -> float:
    """Largest change of the accuracy on the sample list, from a budget that holds on average.

        |acc_S - acc_A|  <=  #{s : |true margin| <= 2 tau} / T + B_T(R) / (2 tau)

    By Markov on eta_s, whose mean is B / 2. With every eta_s known, `margins.may_lose` and `may_gain` are sharper.
    margins : (T,) true margins of the dense network.
    budget  : B_T(R) >= 0, or any bound on 2 mean eta_s, nats.
    tau     : > 0, logit units; None takes the infimum over all tau, #{|m| < 2 tau}/T + B/(2 tau) at 2 tau = |m_s|.
    Returns a share, at most 1. Vacuous (1) when budgets reach the margins.
    Claim EMP-C12 (Corollary 12 of theory/emp.md).
    """
    size = np.sort(np.abs(finite(margins, "margins", (None,))))
    mean = number(budget, "budget", 0.0)
    if tau is not None:
        half = number(tau, "tau", 0.0)
        if half == 0.0:
            raise Refused("tau: 0; a distance above 0 is expected")
        return min(1.0, float(np.mean(size <= 2.0 * half)) + mean / (2.0 * half))
    if mean == 0.0:
        return float(np.mean(size == 0.0))
    below = np.searchsorted(size, size, side="left")
    with np.errstate(divide="ignore", over="ignore"):
        return min(1.0, float(np.min(below / size.size + mean / size)))


def objective_change_upper(budget: float, total: float, retained: float, entries: int, kept: int, l2: float, l1: float) -> float:
    """Largest change of the elastic-net objective by magnitude EMP, before the removed weights are summed.

        J(S) - J(A)  <=  B_T(R) - l2 (1 - phi_K)^2 ||A||_1^2 / (N - K) - l1 (1 - phi_K) ||A||_1

    `elastic_net.change_upper` with the measured ||R||_F^2 is sharper; here ||R||_F^2 >= ||R||_1^2 / (N - K).
    budget        : B_T(R) >= 0, nats.
    total         : ||A||_1 >= 0.
    retained      : phi_K in [0, 1] of the magnitudes.
    entries, kept : N, K with 0 <= K <= N; K = N removes nothing.
    l2, l1        : penalty weights >= 0.
    Returns nats; negative certifies a decrease.
    Claim EMP-C13 (Corollary 13 of theory/emp.md).
    """
    n = whole(entries, "entries", 1)
    gone = n - whole(kept, "kept", 0, n)
    mass = (1.0 - number(retained, "retained", 0.0, 1.0)) * number(total, "total", 0.0) if gone else 0.0
    gain = number(l2, "l2", 0.0) * mass * mass / max(gone, 1) + number(l1, "l1", 0.0) * mass
    return float(representable(number(budget, "budget", 0.0) - gain, "change of the objective"))


def never_harmful(weights: ArrayLike, alphas: ArrayLike, l2: float, l1: float) -> Mask:
    """Weights that an elastic net is glad to lose, alone or together.

        2 alpha_j <= l1 + l2 |A_ij|   =>   removing any set of such entries does not increase J

    weights : (rows, cols) A.
    alphas  : (cols,) `column_sizes` of order 1.
    l2, l1  : penalty weights >= 0.
    Returns (rows, cols) bool, True where removal is free.
    Claim EMP-C13 (Corollary 13 of theory/emp.md).
    """
    a = finite(weights, "weights", (None, None))
    alpha = at_least(alphas, "alphas", 0.0, (a.shape[1],))
    return 2.0 * alpha <= number(l1, "l1", 0.0) + number(l2, "l2", 0.0) * np.abs(a)


def _order(order: float) -> float:
    return math.inf if order == math.inf else number(order, "order", 1.0)


def _power_sum(values: Array, order: float) -> float:
    """(sum_i x_i^order)^(1/order), the largest taken out first."""
    top = float(values.max())
    if top == 0.0 or order == math.inf:
        return top
    return top * float(np.sum((values / top) ** order) ** (1.0 / order))


def _power_mean(table: Array, order: float) -> Array:
    """(mean_s x_sj^order)^(1/order) of each column, the largest taken out first."""
    top = table.max(axis=0)
    if order == math.inf:
        return top
    ratio = np.divide(table, top, out=np.zeros_like(table), where=top > 0.0)
    return top * np.mean(ratio**order, axis=0) ** (1.0 / order)


def _mask(keep: npt.ArrayLike, shape: tuple[int, ...]) -> Mask:
    mask = np.asarray(keep)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise Refused(f"keep: {mask.dtype} {mask.shape}; a mask of shape {shape} is expected")
    return mask


def _fsum(values: Array) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        raise Refused("sum of the scores: overflows float64") from None
