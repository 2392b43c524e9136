"""Which k of n slots to keep, group by group: the exact search over all patterns, and a greedy one to compare it with."""

from __future__ import annotations

import numpy as np

from certify.records import Refused
from certify.theory.patterns import keep_patterns

Array = np.ndarray
MOST_SLOTS = 16
# Cells and patterns multiplied at a time: their product of float64 stays in a core's second cache.
CELLS, PATTERNS = 256, 768
# Costs closer than this share of a cell's energy are equal, and the first pattern wins: rounding must not break ties.
EQUAL = 1e-12


def cheapest(slots: Array, moments: Array, keep: int, prior: Array | None = None) -> tuple[Array, Array]:
    """The pattern of least cost in every cell, among all C(n, keep).

        c(m) = sum_{i,j removed} u_i u_j C_ij + sum_{k removed} prior_k   =   r^T C_g r + ..,   r = (1 - m) * u

    slots   : (rows, groups, n) u, n <= 16.
    moments : (groups, n, n) C.
    prior   : (rows, groups, n) added for every removed slot, of any sign; None is 0.
    Returns masks (rows, groups, n), and their costs (rows, groups) without the prior. Of equal costs (within EQUAL of the cell's
    energy) the pattern that keeps earlier slots wins.

    A cost is linear in the n (n + 1) / 2 products u_i u_j C_ij, so a block of cells times a block of patterns is one matrix
    product; a running minimum keeps memory at the order of the cells. Claim P3-cast.
    """
    rows, groups, n = slots.shape
    if n > MOST_SLOTS or not 0 < keep < n:
        raise Refused(f"pattern {keep}:{n}: exact search takes up to {MOST_SLOTS} slots, of which some are kept and some not")
    kept = keep_patterns(keep, n)
    first, second = np.triu_indices(n)
    table = _table(~kept, first, second)
    cells = slots.reshape(-1, n)
    best, costs = np.empty(len(cells), dtype=np.intp), np.empty(len(cells))
    scale = np.where(first == second, 1.0, 2.0)
    weights = (moments[:, first, second] * scale).astype(np.float64)
    group = np.tile(np.arange(groups), rows)
    for start in range(0, len(cells), CELLS):
        part = slice(start, start + CELLS)
        own = cells[part]
        features = np.empty((len(own), table.shape[0]))
        np.multiply(own[:, first], own[:, second], out=features[:, :-1])
        features[:, :-1] *= weights[group[part]]
        features[:, -1] = EQUAL * np.abs(features[:, :-1]).sum(axis=1)
        energy = features[:, :-1].copy() if prior is not None else features[:, :-1]
        if prior is not None:
            features[:, :-1][:, first == second] += prior.reshape(-1, n)[part]
        best[part] = _argmin(features, table)
        costs[part] = np.einsum("cf,fc->c", energy, table[:-1, best[part]])
    masks = kept[best].reshape(rows, groups, n)
    return masks, np.maximum(costs, 0.0).reshape(rows, groups)


def _table(removed: Array, first: Array, second: Array) -> Array:
    """(features, patterns): 1 where both slots of a pair are removed; last row, the place of the pattern, to order equal ones."""
    pairs = (removed[:, first] & removed[:, second]).astype(np.float64)
    place = np.arange(len(removed)) / len(removed)
    return np.ascontiguousarray(np.column_stack([pairs, place]).T)


def _argmin(features: Array, table: Array) -> Array:
    least, found = np.full(len(features), np.inf), np.zeros(len(features), dtype=np.intp)
    index = np.arange(len(features))
    for start in range(0, table.shape[1], PATTERNS):
        costs = features @ table[:, start : start + PATTERNS]
        place = costs.argmin(axis=1)
        here = costs[index, place]
        better = here < least
        least[better], found[better] = here[better], start + place[better]
    return found


def greedy(slots: Array, moments: Array, keep: int, *, swaps: int = 64) -> tuple[Array, Array]:
    """Remove the slot that adds least until `keep` are left, then exchange a removed and a kept slot while the cost falls.

    Same arguments and returns as `cheapest`, without a prior. No guarantee; the difference to `cheapest` is its optimality gap.
    """
    rows, groups, n = slots.shape
    u = slots.reshape(-1, n)
    gram = np.tile(moments, (rows, 1, 1)).reshape(rows, groups, n, n).reshape(-1, n, n)
    kept = np.ones(u.shape, dtype=bool)
    sent = np.zeros(u.shape)  # C r
    own = np.square(u) * np.einsum("cii->ci", gram)
    index = np.arange(len(u))
    for _ in range(n - keep):
        gone = np.where(kept, own + 2.0 * u * sent, np.inf).argmin(axis=1)
        kept[index, gone] = False
        sent += u[index, gone, None] * gram[index, gone]
    for _ in range(swaps):
        change = (own + 2.0 * u * sent)[:, None, :] + (own - 2.0 * u * sent)[:, :, None]
        change = change - 2.0 * u[:, None, :] * u[:, :, None] * gram
        change = np.where(~kept[:, :, None] & kept[:, None, :], change, np.inf).reshape(len(u), -1)
        place = change.argmin(axis=1)
        better = np.flatnonzero(change[index, place] < -EQUAL * own.sum(axis=1))
        if not better.size:
            break
        back, gone = np.divmod(place[better], n)
        kept[better, back], kept[better, gone] = True, False
        sent[better] += u[better, gone, None] * gram[better, gone] - u[better, back, None] * gram[better, back]
    removed = np.where(kept, 0.0, u)
    costs = np.maximum(np.einsum("ci,cij,cj->c", removed, gram, removed), 0.0)
    return kept.reshape(rows, groups, n), costs.reshape(rows, groups)


def mean_cost(slots: Array, moments: Array, keep: int) -> Array:
    """(rows, groups) mean of r^T C r over all C(n, keep) patterns, in closed form.

    sum_i u_i^2 C_ii a + sum_{i != j} u_i u_j C_ij b,   a = (n - k) / n,  b = a (n - k - 1) / (n - 1)
    """
    n = slots.shape[2]
    a = (n - keep) / n
    b = a * (n - keep - 1) / (n - 1)
    diagonal = np.einsum("rgi,rgi,gii->rg", slots, slots, moments)
    whole = np.einsum("rgi,gij,rgj->rg", slots, moments, slots, optimize=True)
    return diagonal * (a - b) + whole * b


def compensated(slots: Array, moments: Array, kept: Array, *, ridge: float) -> Array:
    """Kept weights that make up for the removed ones of their group: (rows, groups, n), zero where removed.

        u_K + (C_KK + ridge mean(diag C) I)^-1 C_KD u_D

    the least-squares answer within the group, damped; one small system a cell, solved over whole groups at once by weighting
    removed slots out of C.
    """
    rows, groups, n = slots.shape
    found = np.zeros(slots.shape)
    eye = np.eye(n)
    step = max(1, 2**22 // (n * n * max(rows, 1)))
    for start in range(0, groups, step):
        part = slice(start, start + step)
        u, mask, gram = slots[:, part], kept[:, part], moments[part]
        lost = np.einsum("gij,rgj->rgi", gram, np.where(mask, 0.0, u))
        mean = np.einsum("gii->g", gram) / n
        damping = ridge * np.where(mean > 0, mean, 1.0)  # inputs that are always zero leave nothing to make up for
        both = mask[..., :, None] & mask[..., None, :]
        system = np.where(both, gram + damping[:, None, None] * eye, 0.0) + np.where(mask, 0.0, 1.0)[..., None] * eye
        found[:, part] = np.where(mask, u + np.linalg.solve(system, np.where(mask, lost, 0.0)[..., None])[..., 0], 0.0)
    return found
