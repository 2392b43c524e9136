"""What a spectral distortion score of neurons says, and what it cannot say.

Nodes are the neurons of one layer; W_in and W_out weigh the same node set before and after the activation. With
L = D - W the Laplacian, A = L_in, B = L_out, J = 1 1^T / n and both graphs connected, the pencil

    A v = lambda (B + J) v,   v^T (B + J) v = 1

has one trivial pair (0, 1); the others are the nonzero spectrum of pinv(L_out) L_in. Dense float64, rounded: `resolved`.
A weight table is (n, n), symmetric, >= 0, zero on the diagonal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, whole

FORMS = ("spade", "log")
# 1 - w R below this is a bridge: deleting it disconnects the graph.
_BRIDGE = 1e-9


class Pencil(NamedTuple):
    """Eigenpairs of the pencil without the constant one, largest first.

        A v_i = values_i B v_i,   vectors^T B vectors = I,   1^T v_i = 0

    values  : (n - 1,) generalised eigenvalues.
    vectors : (n, n - 1).
    Claim SSD-T1 (Section 1.4 of methods/spectral-distortion.md).
    """

    values: Array
    vectors: Array


def laplacian(weights: ArrayLike) -> Array:
    """Combinatorial Laplacian.

        L = D - W,   x^T L x = sum_{edges} w_pq (x_p - x_q)^2,   L 1 = 0

    weights : (n, n) symmetric, >= 0, zero diagonal.
    Returns (n, n).
    Claim SSD-T1 (methods/spectral-distortion.md).
    """
    w = _table(weights, "weights")
    return np.diag(w.sum(axis=1)) - w


def components(weights: ArrayLike) -> int:
    """Number of connected components.

        dim ker L

    weights : (n, n) as in `laplacian`.
    Returns a whole number >= 1. More in the output graph than in the input graph: directions of infinite distortion,
    which a pseudo-inverse drops in silence.
    Claim SSD-T9 (Theorem T9 of methods/spectral-distortion.md), SSD-disconnection.
    """
    return int(connected_components(_table(weights, "weights"), directed=False)[0])


def pencil(inner: ArrayLike, outer: ArrayLike) -> Pencil:
    """Dominant directions: how much more a direction varies across input edges than across output edges.

        A v = lambda B v on the complement of 1;   all n - 1 values > 0, the spectrum of pinv(B) A but for one 0

    inner, outer : (n, n) weights of the two graphs, both connected, n >= 2.
    Returns `Pencil`. All values are 1 if L_in = L_out.
    Claim SSD-T1, SSD-T7 (Theorems T1 and T7 of methods/spectral-distortion.md).
    """
    a, b = _pair(inner, outer)
    values, vectors = eigh(laplacian(a), laplacian(b) + 1.0 / len(b))
    constant = int(np.argmax(np.abs(vectors.sum(axis=0))))
    order = np.argsort(-np.delete(values, constant), kind="stable")
    return Pencil(np.delete(values, constant)[order], np.delete(vectors, constant, axis=1)[:, order])


def effective_resistance(weights: ArrayLike) -> Array:
    """Effective resistance of each pair of nodes.

        R(p, q) = (e_p - e_q)^T L^+ (e_p - e_q);   sum_{edges} w R = n - components (Foster)

    weights : (n, n) connected.
    Returns (n, n), zero diagonal.
    Claim SSD-T10 (Theorem T10 of methods/spectral-distortion.md).
    """
    w = _connected(_table(weights, "weights"), "weights")
    inverse = _inverse(laplacian(w))
    own = np.diag(inverse)
    return own[:, None] + own[None, :] - inverse - inverse.T


def resistance_ratio_range(inner: ArrayLike, outer: ArrayLike) -> tuple[float, float]:
    """Range of the ratio of effective resistances over all pairs of nodes.

        lambda_min  <=  R_out(p, q) / R_in(p, q)  <=  lambda_max

    inner, outer : as in `pencil`.
    Returns (lower, upper). Attained by a pair whose e_p - e_q is an eigenvector of both Laplacians at that value (twins).
    Claim SSD-T2 (Theorem T2 of methods/spectral-distortion.md).
    """
    values = pencil(inner, outer).values
    return float(values[-1]), float(values[0])


def edge_scores(pairs: Pencil, count: int, form: str = "spade") -> Array:
    """Embedded distance of each pair of nodes over the leading eigenpairs.

        e_pq = sum_{i <= s} g(lambda_i) (v_ip - v_iq)^2
        spade  g(x) = x, the s largest values
        log    g(x) = log(x)^2, the s values of largest |log lambda|; all scores 0 if L_in = L_out

    Undefined where the cut at s splits an eigenspace; refused there when the gap is below 1e-8 relative.
    pairs : from `pencil`.
    count : s, 1..n-1.
    form  : as above.
    Returns (n, n).
    Claim SSD-T3, SSD-T5 (Theorems T3 and T5 of methods/spectral-distortion.md), ER-SSD-log.
    """
    if form not in FORMS:
        raise Refused(f"form: {form!r} is not one of {', '.join(FORMS)}")
    chosen = whole(count, "count", 1, len(pairs.values))
    logs = np.log(pairs.values)
    size = logs if form == "spade" else np.abs(logs)
    order = np.argsort(-size, kind="stable")
    if chosen < len(order) and size[order[chosen - 1]] - size[order[chosen]] < 1e-8:
        raise Refused(f"count: {chosen} splits a cluster of equal eigenvalues; take the whole cluster or none of it")
    weight = (pairs.values if form == "spade" else logs**2)[order[:chosen]]
    return _distances(pairs.vectors[:, order[:chosen]] * np.sqrt(weight))


def edge_scores_full(inner: ArrayLike, outer: ArrayLike) -> Array:
    """Edge scores over all eigenpairs, without an eigenvector.

        e_pq = (e_p - e_q)^T B^+ A B^+ (e_p - e_q);   R(p, q), not 0, if L_in = L_out

    inner, outer : as in `pencil`.
    Returns (n, n), equal to `edge_scores` in the spade form at s = n - 1.
    Claim SSD-T4, SSD-T7 (Theorems T4 and T7 of methods/spectral-distortion.md).
    """
    a, b = _pair(inner, outer)
    inverse = _inverse(laplacian(b))
    table = inverse @ laplacian(a) @ inverse
    own = np.diag(table)
    return own[:, None] + own[None, :] - table - table.T


def node_scores(inner: ArrayLike, edges: ArrayLike) -> Array:
    """Score of each neuron: the mean of its input edges.

        s_p = (1 / d_p) sum_q w_pq e_pq;   sum_p d_p s_p = 2 sum_i g(lambda_i) lambda_i

    Equivariant under relabelling; W_in -> a W_in scales the spade form by a, W_out -> b W_out by 1/b^2. A function of
    the two graphs alone: outgoing weights do not enter, so no score certifies that a neuron can go (`refit_cost`).
    inner : (n, n) weights of the input graph, no isolated node.
    edges : (n, n) `edge_scores`.
    Returns (n,).
    Claim SSD-T3, SSD-T5, SSD-T6, SSD-T8 (methods/spectral-distortion.md), SSD-identity.
    """
    w = _table(inner, "inner")
    e = finite(edges, "edges", w.shape)
    degree = w.sum(axis=1)
    if degree.min() == 0.0:
        raise Refused(f"inner: node {int(np.argmin(degree))} has no edge; its mean over edges is 0/0")
    return np.sum(w * e, axis=1) / degree


def twin_value(inner: ArrayLike, outer: ArrayLike, first: int, second: int) -> float:
    """The eigenvalue of a pair of twins, whose eigenvector is e_p - e_p'.

        lambda = (d_in + w_in) / (d_out + w_out),   d degree of a twin, w weight of the twin edge

    Every other eigenvector can be chosen equal on both, so twins have equal scores: duplicates are not flagged.
    inner, outer  : as in `pencil`.
    first, second : two nodes with equal weights towards all others in both graphs; else refused.
    Returns the eigenvalue.
    Claim SSD-T6 (Theorem T6 of methods/spectral-distortion.md), SSD-twins.
    """
    tables = _pair(inner, outer)
    n = len(tables[0])
    p, q = whole(first, "first", 0, n - 1), whole(second, "second", 0, n - 1)
    rest = ~np.isin(np.arange(n), (p, q))
    if p == q or any(not np.array_equal(w[p, rest], w[q, rest]) for w in tables):
        raise Refused(f"first, second: nodes {p} and {q} are not twins; equal weights towards all others are required")
    top, bottom = (w[p].sum() + w[p, q] for w in tables)
    return float(top / bottom)


def pinv_after_deletion(inverse: ArrayLike, first: int, second: int, weight: float) -> Array:
    """Pseudo-inverse of a Laplacian after one edge is deleted.

        (L - w e e^T)^+ = L^+ + w L^+ e e^T L^+ / (1 - w R),   e = e_p - e_q,   w R = 1 iff the edge is a bridge

    inverse       : (n, n) L^+ of a connected graph.
    first, second : the edge.
    weight        : its weight > 0.
    Returns (n, n). Refused for a bridge.
    Claim SSD-T10 (Theorem T10 of methods/spectral-distortion.md).
    """
    table = finite(inverse, "inverse", (None, None))
    p, q = (whole(node, name, 0, len(table) - 1) for node, name in ((first, "first"), (second, "second")))
    w = number(weight, "weight", 0.0)
    column = table[:, p] - table[:, q]
    rest = 1.0 - w * (column[p] - column[q])
    if rest < _BRIDGE:
        raise Refused(f"first, second: the edge ({p}, {q}) is a bridge; without it the graph falls apart")
    return table + (w / rest) * np.outer(column, column)


def without_node(weights: ArrayLike, node: int) -> Array:
    """Laplacian after one node is removed.

        L' = L[-p, -p] - diag(w_p[-p])

    weights : (n, n), n >= 2.
    node    : p.
    Returns (n - 1, n - 1).
    Claim SSD-T10 (Theorem T10 of methods/spectral-distortion.md).
    """
    w = _table(weights, "weights")
    p = whole(node, "node", 0, len(w) - 1)
    others = np.delete(np.arange(len(w)), p)
    return laplacian(w)[np.ix_(others, others)] - np.diag(w[p, others])


def refit_cost(activations: ArrayLike, unit: int, outgoing: ArrayLike) -> float:
    """Least squared error that removing a unit leaves, the linear map behind it refitted.

        min over affine maps f of the other units: ||A W^T - f||_F^2 = ||W[:, p]||_2^2 dist(A_p, span{1, A_q : q != p})^2

    The score of a unit depends on its graphs alone, the cost grows with ||W[:, p]||^2: at any score it can be anything.
    activations : (N, n) states after the activation.
    unit        : p.
    outgoing    : (outputs,) W[:, p].
    Returns squared output units. 0 only for a unit the others and a bias can imitate.
    Claim SSD-T8 (Theorem T8 of methods/spectral-distortion.md), SSD-removability.
    """
    a = finite(activations, "activations", (None, None))
    p = whole(unit, "unit", 0, a.shape[1] - 1)
    weight = finite(outgoing, "outgoing", (None,))
    known = np.column_stack([np.ones(len(a)), np.delete(a, p, axis=1)])
    residual = a[:, p] - known @ np.linalg.lstsq(known, a[:, p], rcond=None)[0]
    return float(np.sum(weight**2) * np.sum(residual**2))


def correlation_distances(states: ArrayLike) -> Array:
    """Squared distances of the neurons of one layer, from which its graphs are made.

        d_pq = 2 - 2 corr(H_p, H_q)

    Invariant under H_p -> c H_p + t with c > 0, neuron by neuron. Removing neurons of a layer leaves the states of its
    survivors and of all earlier layers as they are, so the table of the survivors is a block of the table of all: only
    neighbour lists, and later layers, change.
    states : (samples, n) states of n neurons, none of them constant.
    Returns (n, n) in [0, 4], zero diagonal.
    Claim SSD-T5, SSD-T11 (Theorems T5(c) and T11 of methods/spectral-distortion.md).
    """
    h = finite(states, "states", (None, None))
    centred = h - h.mean(axis=0)
    norms = np.sqrt(np.sum(centred * centred, axis=0))
    if np.any(norms == 0.0):
        raise Refused(f"states: neuron {int(np.argmin(norms))} is constant; fold it into the next bias first")
    unit = centred / norms
    table = np.clip(2.0 - 2.0 * (unit.T @ unit), 0.0, 4.0)
    np.fill_diagonal(table, 0.0)
    return table


def _table(weights: ArrayLike, name: str) -> Array:
    w = at_least(weights, name, 0.0, (None, None))
    if w.shape[0] != w.shape[1] or w.shape[0] < 2:
        raise Refused(f"{name}: shape {w.shape}; a square table of at least two nodes is expected")
    if not np.array_equal(w, w.T) or np.any(np.diag(w)):
        raise Refused(f"{name}: an undirected graph without loops is expected: symmetric, zero on the diagonal")
    return w


def _connected(weights: Array, name: str) -> Array:
    pieces = components(weights)
    if pieces > 1:
        raise Refused(f"{name}: {pieces} components; join them first (a spanning tree), a pseudo-inverse would drop them")
    return weights


def _pair(inner: ArrayLike, outer: ArrayLike) -> tuple[Array, Array]:
    a, b = _table(inner, "inner"), _table(outer, "outer")
    if a.shape != b.shape:
        raise Refused(f"inner, outer: {len(a)} and {len(b)} nodes; the same node set is expected")
    return _connected(a, "inner"), _connected(b, "outer")


def _inverse(matrix: Array) -> Array:
    """(L + J)^-1 = L^+ + J of a connected graph; the J cancels wherever differences of nodes enter."""
    inverse = np.linalg.inv(matrix + 1.0 / len(matrix))
    return (inverse + inverse.T) / 2.0


def _distances(points: Array) -> Array:
    """Squared distances of the rows of (n, s)."""
    return np.sum((points[:, None, :] - points[None, :, :]) ** 2, axis=2)
