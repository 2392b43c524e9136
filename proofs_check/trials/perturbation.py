"""Trials of the perturbation constants: the left side is the singular value decomposition of the sum itself."""

from __future__ import annotations

import math

import numpy as np

from certify.theory import perturbation as pt
from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import cross_entropy
from certify.theory.elastic_net import change_upper_additive, frobenius_squared
from proofs_check.trials.core import Field, Side, Trial

KEPT = Field("S, what stays", ("rows", "cols"))
REMOVED = Field("R, what is removed", ("rows", "cols"))
RANK = Field("k, a rank", low=0, high=4, kind="whole")
PAIR = {"kept": KEPT, "removed": REMOVED}
RESOLVED_GAP = 1e-6  # of the largest value: below it float64 does not resolve the directions


def _values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def _size(*matrices):
    return sum(math.hypot(*matrix.ravel()) for matrix in matrices)


def _root(matrix):
    """||R||_F from the entries, beside the singular values of the theory."""
    return math.hypot(*matrix.ravel())


def _gap(values, k):
    """s_k - s_{k+1}, s_0 = inf, s_{r+1} = 0."""
    padded = np.concatenate([[np.inf], values, [0.0]])
    return float(padded[k] - padded[k + 1])


def _weyl(kept, removed):
    shift = np.abs(_values(kept + removed) - _values(kept)).max()
    return [Side("max |s_i(S + R) - s_i(S)| <= ||R||_op", shift, pt.value_shift_upper(removed), scale=_size(kept, removed))]


def _mirsky(kept, removed):
    shift, scale = np.linalg.norm(_values(kept + removed) - _values(kept)), _size(kept, removed)
    bound = pt.spectrum_shift_upper(removed)
    return [
        Side("||s(S + R) - s(S)||_2 <= ||R||_F", shift, bound, scale=scale),
        Side("||R||_F from the entries", _root(removed), bound, equal=True),
    ]


def _eckart_young(matrix, left, right):
    """left @ right is any matrix of rank <= k; the truncated decomposition attains the minimum."""
    k = left.shape[1]
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    best = (u[:, :k] * s[:k]) @ v[:k]
    tail, scale = pt.tail_energy(matrix, k), _size(matrix) ** 2
    return [
        Side("tail energy <= ||S - B||_F^2", tail, np.sum((matrix - left @ right) ** 2), scale=scale),
        Side("attained by the truncation", np.sum((matrix - best) ** 2), tail, equal=True, scale=scale),
    ]


def _structured(matrix, rank):
    """The functional by the eigenvalues of S S^T, beside the singular values."""
    squares = np.sort(np.maximum(np.linalg.eigvalsh(matrix @ matrix.T), 0.0))
    left = squares[: max(0, len(squares) - rank)].sum()
    scale = _size(matrix) ** 2
    full = int(np.linalg.matrix_rank(matrix))
    return [
        Side("energy of all but k eigenvalues of S S^T", left, pt.tail_energy(matrix, rank), equal=True, scale=scale),
        Side("decreases in k", pt.tail_energy(matrix, rank + 1), pt.tail_energy(matrix, rank)),
        Side("0 from the rank on", pt.tail_energy(matrix, full), 0.0, equal=True, scale=scale),
    ]


def _bulk_spike(kept, removed, rank, level):
    total = kept + removed
    values, scale = _values(total), _size(kept, removed)
    shift = np.abs(values - _values(kept)).max()
    beyond, bound = math.hypot(*values[rank:]), pt.tail_upper(kept, removed, rank)
    yield Side("(i) ||R||_op <= ||R||_F", pt.value_shift_upper(removed), _root(removed))
    yield Side("(ii) |s_i(W) - s_i(S)|", shift, pt.value_shift_upper(removed), scale=scale)
    yield Side("(iii) tail of W", beyond, bound, scale=scale)
    above = np.mean(values > level)
    for words, tail in (("tail of W", beyond), ("tail of S and R", max(beyond, bound))):
        yield Side(f"(iv) share above, {words}", above, pt.share_above_upper(tail, rank, level, *kept.shape))


def _turned(kept, removed, first, last):
    """Distances of the projectors on singular directions first..last-1 of S and of S + R, left and right."""
    here, there = np.linalg.svd(kept), np.linalg.svd(kept + removed)
    u, v = here[0][:, first:last], here[2][first:last].T
    p, q = there[0][:, first:last], there[2][first:last].T
    return max(np.linalg.norm(p @ p.T - u @ u.T, 2), np.linalg.norm(q @ q.T - v @ v.T, 2))


def _resolved(kept, removed, rank, **_):
    values = _values(kept)
    k = min(rank, len(values))
    gap = _gap(values, k)
    return {
        "the gap is above the rounding of the directions": k == 0 or gap > RESOLVED_GAP * (values[0] + _size(removed)),
        "the removed part is smaller than the gap": k == 0 or pt.value_shift_upper(removed) < gap,
    }


def _subspace(kept, removed, rank):
    values = _values(kept)
    k, shift = min(rank, len(values)), pt.value_shift_upper(removed)
    if k == 0:
        return [Side("no direction turns", 0.0, 0.0, equal=True)]
    distance, bound = _turned(kept, removed, 0, k), pt.projector_distance_upper(shift, pt.subspace_gap(kept, k))
    sides = [Side("top-k projectors", distance, bound, scale=1.0)]
    gap = min(_gap(values, k - 1), _gap(values, k))
    if shift < gap > RESOLVED_GAP * (values[0] + shift):
        bound = pt.spike_distance_upper(shift, gap)
        sides.append(Side("k-th pair of vectors", _turned(kept, removed, k - 1, k), bound, scale=1.0))
    return sides


def _constants(kept, removed, rank, noise):
    w, s, scale = _values(kept + removed), _values(kept), _size(kept, removed)
    yield Side("(a) Mirsky", np.linalg.norm(w - s), pt.spectrum_shift_upper(removed), scale=scale)
    yield Side("(a) Weyl", np.abs(w - s).max(), pt.value_shift_upper(removed), scale=scale)
    tail = np.sqrt(np.sum(w[rank:] ** 2))
    yield Side("(b) tail", tail, np.sqrt(np.sum(s[rank:] ** 2)) + _root(removed), scale=scale)
    yield Side("(b) tail, by the function", tail, pt.tail_upper(kept, removed, rank), scale=scale)
    yield from (Side(f"(c) {side.text}", *side[1:]) for side in _subspace(kept, removed, rank))
    ratio, gap = pt.value_shift_upper(removed), _gap(s, min(rank, len(s)))
    if rank and 0.0 < gap < np.inf and ratio <= gap / 4.0:
        bound = pt.projector_distance_upper(ratio, gap)
        yield Side("(c) at most 4/3 of e / delta", bound, 4.0 / 3.0 * ratio / gap, scale=1.0)
    edge = 2.0 * math.sqrt(noise)
    for i in np.flatnonzero(w >= edge):
        corrected = 0.5 * (w[i] + math.sqrt(w[i] - edge) * math.sqrt(w[i] + edge))
        bound = pt.corrected_value_error_upper(removed, noise)
        yield Side(f"(d) corrected value {i + 1}", abs(corrected - s[i]), bound, scale=scale)


def _split(weight, dropped, inputs, tail, labels, l2):
    """The rest of the network is the matrix `tail`; its largest absolute row sum is the smallest valid L_s."""
    out = np.asarray(dropped)[: min(weight.shape)]
    kept, removed = pt.singular_split(weight, out)
    energy, scale = frobenius_squared(weight), _size(weight) ** 2
    yield Side("S + R = A", np.abs(kept + removed - weight).max(), 0.0, equal=True, scale=_size(weight))
    yield Side("<S, R> = 0", np.sum(kept * removed), 0.0, equal=True, scale=scale)
    energies = np.sum(_values(weight)[out] ** 2)
    yield Side("||A||^2 - ||S||^2 = sum of dropped s_i^2", energy - frobenius_squared(kept), energies, equal=True, scale=scale)
    vectors = inputs[:, None, :]
    sizes, bounds = data_path_size(removed, vectors), pt.split_size_upper(weight, out, vectors)
    reach = _size(weight) * (1.0 + _size(inputs))
    for s in range(len(inputs)):
        yield Side(f"||R v|| of sample {s}", sizes[s], bounds[s], scale=reach)
    lipschitz = np.full(len(inputs), np.abs(tail).sum(axis=1).max())
    bound = budget(lipschitz, bounds)
    yield Side("edge budget", budget(lipschitz, sizes), bound, scale=2.0 * lipschitz[0] * reach)
    before, after = inputs @ weight.T @ tail.T, inputs @ kept.T @ tail.T
    change = np.mean(cross_entropy(after, labels) - cross_entropy(before, labels))
    change += l2 * (frobenius_squared(kept) - energy)
    size = 1.0 + np.abs(before).max() + np.abs(after).max() + l2 * scale + 2.0 * lipschitz[0] * reach
    yield Side("J(S) - J(A) by X23", change, bound - l2 * energies, scale=size)
    yield Side("J(S) - J(A) by T5.3", change, change_upper_additive(0.0, bound, removed, kept, l2), scale=size)


def _interlacing(left, right, removed):
    """The rank inequality, said without counting equal values: s_{i+k}(W) <= s_i(R) and s_{i+k}(R) <= s_i(W)."""
    rows, cols = removed.shape
    kept = left @ right
    rank = round(min(rows, cols) * pt.bulk_shift_upper(left.shape[1], rows, cols))
    w, r, scale = _values(kept + removed), _values(removed), _size(kept, removed)
    if rank == len(w):
        return [Side("full rank: vacuous", rank, len(w), equal=True)]
    return [
        side
        for i in range(len(w) - rank)
        for side in (
            Side(f"s_{i + 1 + rank}(W) <= s_{i + 1}(R)", w[i + rank], r[i], scale=scale),
            Side(f"s_{i + 1 + rank}(R) <= s_{i + 1}(W)", r[i + rank], w[i], scale=scale),
        )
    ]


def defined_levy(first, second):
    """Lévy distance by its definition: halving of e, distribution functions compared at every jump and just before it."""
    first, second = np.sort(first), np.sort(second)

    def holds(e):
        share = np.arange(1, len(first) + 1) / len(first)
        return all(
            np.searchsorted(x, y + e, side="right")[j] / len(x) + e >= share[j] - 1e-12
            for x, y in ((first, second), (second, first))
            for j in range(len(first))
        )

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _levy(kept, removed, rank):
    base, total = _values(removed), _values(kept + removed)
    distance, scale = defined_levy(base, total), 1.0 + _size(kept, removed)
    yield Side("the closed form", pt.levy_distance(base, total), distance, equal=True, scale=scale)
    yield Side("d_L(R, R + S)^3 <= ||S||_F^2 / r", distance**3, min(1.0, _root(kept) ** 2 / len(base)), scale=scale)
    yield Side("d_L(R, R + S), energy alone", distance, pt.levy_upper(kept), scale=scale)
    yield Side("d_L(R, R + S), rank and energy", distance, pt.levy_bulk_upper(kept, rank), scale=scale)


FACTORS = {
    "left": Field("left factor of a matrix of rank k", ("rows", "rank")),
    "right": Field("right factor", ("rank", "cols")),
}

TRIALS = (
    Trial("Weyl", PAIR, _weyl),
    Trial("Mirsky", PAIR, _mirsky),
    Trial("Eckart-Young", {"matrix": KEPT} | FACTORS, _eckart_young),
    Trial("A4.3-structured", {"matrix": KEPT, "rank": RANK}, _structured),
    Trial(
        "C4.10-bulk-spike",
        PAIR | {"rank": RANK, "level": Field("epsilon, a level > 0", low=1e-3, high=1e3)},
        lambda **i: list(_bulk_spike(**i)),
    ),
    Trial("C4.11-subspace", PAIR | {"rank": RANK}, _subspace, _resolved),
    Trial(
        "X26-perturbation-constants",
        PAIR | {"rank": RANK, "noise": Field("g, noise level", low=0.0, high=1e4)},
        lambda **i: list(_constants(**i)),
        _resolved,
    ),
    Trial(
        "X23-svd-split",
        {
            "weight": Field("A, the matrix that is split", ("rows", "cols")),
            "dropped": Field("which singular directions go, the first min(rows, cols) count", ("cols",), kind="mask"),
            "inputs": Field("one vector v_s per sample", ("samples", "cols")),
            "tail": Field("the rest of the network, a matrix", ("classes", "rows")),
            "labels": Field("true class of each sample", ("samples",), kind="label"),
            "l2": Field("weight of the squared penalty", low=0.0, high=1e3),
        },
        lambda **i: list(_split(**i)),
    ),
    Trial("ESM1-P3.30-mp-bulk", FACTORS | {"removed": Field("R, the bulk", ("rows", "cols"))}, _interlacing),
    Trial("X27-levy-bulk", PAIR | {"rank": RANK}, lambda **i: list(_levy(**i))),
)
