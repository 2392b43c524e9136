"""Which k of n slots to keep, group by group: the exact search over all patterns, and a greedy one to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from certify.records import Refused

Array = np.ndarray
MOST_SLOTS = 16
# Costs held at a time, about what a core's second cache holds; with few slots the cells are bounded instead.
COSTS, CELLS = 2**19, 2**11
# Up to so many slots all patterns are priced in one product; beyond, a pattern is put together of two halves.
WHOLE = 12
# Costs closer than this share of the least one's absolute terms are equal: rounding must not break ties.
EQUAL = 1e-12


def cheapest(slots: Array, moments: Array, keep: int, prior: Array | None = None) -> tuple[Array, Array]:
    """The pattern of least cost in every cell, among all C(n, keep).

        c(m) = sum_{i,j removed} u_i u_j C_ij + sum_{k removed} prior_k   =   r^T C_g r + ..,   r = (1 - m) * u

    slots   : (rows, groups, n) u, n <= 16.
    moments : (groups, n, n) C, symmetric.
    prior   : (rows, groups, n) added for every removed slot, of any sign; None is 0.
    Returns masks (rows, groups, n), and their costs (rows, groups) without the prior. Of equal costs the pattern that keeps
    earlier slots wins (the first of `keep_patterns`); equal is within EQUAL of the sum of absolute terms of the least one.

    Removed sets S of the first h slots and T of the others meet: c = a(S) + b(T) + x_S^T Q x_T, a product of rank h + 2 a cell,
    where pricing every pattern by its pairs has rank n (n + 1) / 2. Memory beyond the results does not grow with the cells or
    the patterns. Refused where products overflow. Claim P3-cast.
    """
    rows, groups, n = slots.shape
    if n > MOST_SLOTS or not 0 < keep < n:
        raise Refused(f"pattern {keep}:{n}: exact search takes up to {MOST_SLOTS} slots, of which some are kept and some not")
    first, second = np.ogrid[:n, :n]
    upper = np.triu(moments * np.where(first == second, 1.0, 2.0))
    cells, pulls = slots.reshape(-1, n), None if prior is None else prior.reshape(-1, n)
    masks, costs = np.empty(cells.shape, dtype=bool), np.empty(len(cells))
    step = max(1, min(CELLS, COSTS // comb(n, keep), len(cells)))
    meetings = _meetings(n, keep, step)
    for start in range(0, len(cells), step):
        part = slice(start, start + step)
        own = cells[part]
        terms = own[:, :, None] * own[:, None, :] * upper[np.arange(start, start + len(own)) % groups]
        masks[part] = _first_least(terms, None if pulls is None else pulls[part], meetings)
        costs[part] = _removed(terms, masks[part])
    return masks.reshape(rows, groups, n), np.maximum(costs, 0.0).reshape(rows, groups)


@dataclass(frozen=True)
class _Half:
    """Sets of m slots that keep equally many, earlier slots first.

    gone : (sets, m) 1 where removed. pairs : i, j of the pairs i <= j. both : (pairs, sets) 1 where both are removed.
    """

    gone: Array
    pairs: tuple[Array, Array]
    both: Array

    @classmethod
    def of(cls, codes: Array, slots: int) -> _Half:
        removed = ~_kept(codes, slots)
        first, second = np.triu_indices(slots)
        both = removed[:, first] & removed[:, second]
        return cls(removed.astype(np.float64), (first, second), both.astype(np.float64).T)


@dataclass(frozen=True)
class _Meeting:
    """Patterns that keep equally many of the first h slots: S left sets, each with T right ones.

    codes : (S T,) kept slots in base two, falling. costs : (cells, S, T), room for what is computed.
    """

    left: _Half
    right: _Half
    codes: Array
    costs: Array


def _meetings(n: int, keep: int, cells: int) -> list[_Meeting]:
    """All patterns, by how many of the kept slots are among the first h."""
    h = 0 if n <= WHOLE else n // 2
    left, right = (np.arange(2**m, dtype=np.int64)[::-1] for m in (h, n - h))
    found = []
    for count in range(max(0, keep - (n - h)), min(h, keep) + 1):
        s, t = left[np.bitwise_count(left) == count], right[np.bitwise_count(right) == keep - count]
        codes = (s[:, None] * 2 ** (n - h) + t).reshape(-1)
        found.append(_Meeting(_Half.of(s, h), _Half.of(t, n - h), codes, np.empty((cells, len(s), len(t)))))
    return found


def _kept(codes: Array, slots: int) -> Array:
    """(N, slots) bool: the digits of each code in base two, the highest for the first slot."""
    return (codes[:, None] >> np.arange(slots)[::-1]) & 1 == 1


def _removed(terms: Array, kept: Array) -> Array:
    """(cells,) sum of the terms whose slots are both removed."""
    gone = (~kept).astype(np.float64)
    return np.matmul(gone[:, None, :], np.matmul(terms, gone[:, :, None]))[:, 0, 0]


def _first_least(terms: Array, prior: Array | None, meetings: list[_Meeting]) -> Array:
    """(cells, n) mask chosen in each cell. terms : (cells, n, n) summands of the pairs i <= j, zero below."""
    cells, n = terms.shape[:2]
    size = np.abs(terms)
    if prior is not None:
        slot = np.arange(n)
        terms = terms.copy()
        terms[:, slot, slot] += prior
        size[:, slot, slot] += np.abs(prior)
    least, place = np.full(cells, np.inf), np.zeros(cells, dtype=np.intp)
    priced = []
    for number, meeting in enumerate(meetings):
        costs = _costs(terms, meeting)
        here = costs.min(axis=1)
        better = here < least
        least[better], place[better] = here[better], number
        priced.append((costs, here, meeting.codes))
    if not np.all(np.isfinite(least)):
        raise Refused("k:n search: weight times weight times second moment is beyond float64; scale the weights down")
    found = np.zeros(cells, dtype=np.int64)
    for number, (costs, _, codes) in enumerate(priced):
        own = np.flatnonzero(place == number)
        found[own] = codes[costs[own].argmin(axis=1)]
    limit = least + EQUAL * _removed(size, _kept(found, n))
    for costs, here, codes in priced:
        near = np.flatnonzero(here <= limit)
        found[near] = np.maximum(found[near], codes[(costs[near] <= limit[near, None]).argmax(axis=1)])
    return _kept(found, n)


def _costs(terms: Array, meeting: _Meeting) -> Array:
    """(cells, S T): a(S) + b(T) + x_S^T Q x_T, as (x_S, a, 1) times (Q x_T, 1, b)."""
    left, right = meeting.left, meeting.right
    cells, h = len(terms), left.gone.shape[1]
    products = terms[:, h:, h:][:, *right.pairs]
    if not h:
        return np.matmul(products, right.both, out=meeting.costs[:cells, 0])
    rows, cols = np.empty((cells, len(left.gone), h + 2)), np.empty((cells, h + 2, len(right.gone)))
    rows[:, :, :h], rows[:, :, h + 1], cols[:, h] = left.gone, 1.0, 1.0
    rows[:, :, h] = terms[:, :h, :h][:, *left.pairs] @ left.both
    np.matmul(products, right.both, out=cols[:, h + 1])
    np.matmul(terms[:, :h, h:], right.gone.T, out=cols[:, :h])
    return np.matmul(rows, cols, out=meeting.costs[:cells]).reshape(cells, -1)


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
