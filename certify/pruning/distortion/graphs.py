"""Graphs of a layer's neurons: nearest neighbours of their states, joined by a spanning tree.

A graph is a symmetric scipy.sparse CSR matrix of weights > 0 without a diagonal. Source: methods/spectral-distortion.md 1.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from certify.records import Refused, Usage

Sparse = Any  # scipy.sparse matrices, for which there are no usable types
SIMILARITIES = ("pearson", "cosine", "euclid", "abs")
WEIGHTS = ("unit", "corr", "gauss")
TIES = ("index", "all")
NEIGHBOURS = 10
# Of the approximate search: links a node, and candidates kept while it is built and asked.
LINKS, BREADTH = 16, 200
# Pairs of columns looked at together.
PAIRS = 4096
# Least weight of an edge: a tree edge between opposite neurons must still connect.
LEAST = 1e-6
# A neuron is constant where its standard deviation is at most this times max(1, |mean|).
CONSTANT = 1e-7


@dataclass(frozen=True)
class Graph:
    """A connected graph of n neurons.

    weights : (n, n) CSR. tree_edges : what the spanning tree adds to the neighbours' edges. components : of those alone.
    """

    weights: Sparse
    tree_edges: int
    components: int

    @property
    def degrees(self) -> np.ndarray:
        return np.asarray(self.weights.sum(axis=1)).ravel()


def constant_units(states: np.ndarray) -> np.ndarray:
    """(n,) True where a neuron of states (N, n) is constant, as a dead one is: std <= 1e-7 max(1, |mean|)."""
    return states.std(axis=0) <= CONSTANT * np.maximum(1.0, np.abs(states.mean(axis=0)))


def directions(states: np.ndarray, similarity: str) -> np.ndarray:
    """(N, n) columns whose inner products are similarities: of norm 1, for pearson and abs centred; of euclid as they are."""
    if similarity not in SIMILARITIES:
        raise Usage(f"similarity = {similarity!r} is none of {', '.join(SIMILARITIES)}")
    if states.ndim != 2 or not np.all(np.isfinite(states)):
        raise Refused(f"states of shape {states.shape}: a table (samples, neurons) without NaN and infinity is expected")
    if len(states) <= 2 and similarity in ("pearson", "abs"):
        raise Refused(f"states of {len(states)} samples: every correlation is 1 or -1; give at least three")
    if similarity == "euclid":
        return states
    moved = states - states.mean(axis=0) if similarity in ("pearson", "abs") else states
    norms = np.sqrt(np.sum(moved * moved, axis=0))
    if np.any(norms == 0.0):
        raise Refused(f"neuron {int(np.argmin(norms))} is constant; it has no direction and goes first")
    return moved / norms


def distances(columns: np.ndarray, similarity: str) -> np.ndarray:
    """(n, n) squared distances 2 - 2 C of the columns of `directions`, |C| for abs; of euclid those of the columns themselves."""
    gram = columns.T @ columns
    if similarity == "euclid":
        own = np.diag(gram)
        table = own[:, None] + own[None, :] - 2.0 * gram
    else:
        table = 2.0 - 2.0 * np.clip(np.abs(gram) if similarity == "abs" else gram, -1.0, 1.0)
    table = np.maximum(table, 0.0)
    np.fill_diagonal(table, 0.0)
    return np.maximum(table, table.T)  # rounding of a product is not symmetric everywhere


def neighbour_graph(table: np.ndarray, *, k: int = NEIGHBOURS, weight: str = "unit", ties: str = "index") -> Graph:
    """Union of each neuron's k nearest ones and the spanning tree of least distance.

    table  : (n, n) squared distances, n >= 2; k is at most n - 1.
    weight : unit; corr, 1 - d / 4 = (1 + C) / 2; gauss, exp(-d / (2 m)), m the neighbours' median distance. At least 1e-6.
    ties   : at the k-th distance the earlier neurons are taken (index), or all (all), which treats duplicates alike.
    """
    if weight not in WEIGHTS or ties not in TIES:
        raise Usage(f"weight = {weight!r}, ties = {ties!r}: known are {', '.join(WEIGHTS)} and {', '.join(TIES)}")
    if k < 1 or len(table) < 2:
        raise Usage(f"{k} neighbours of {len(table)} neurons: at least one neighbour of two neurons is needed")
    near = _nearest(table, min(k, len(table) - 1), ties)
    near |= near.T
    rows, cols = np.nonzero(near)
    return _joined(rows, cols, table[rows, cols], spanning_tree(table), lambda p, q: table[p, q], len(table), weight)


def _nearest(table: np.ndarray, k: int, ties: str) -> np.ndarray:
    """(n, n) bool: the k nearest of each row; memory n^2 numbers."""
    away = table.copy()
    np.fill_diagonal(away, np.inf)
    kth = np.partition(away, k - 1, axis=1)[:, k - 1 : k]
    if ties == "all":
        return away <= kth
    inside, level = away < kth, away == kth
    wanted = k - inside.sum(axis=1, keepdims=True)
    return inside | (level & (np.cumsum(level, axis=1) <= wanted))


def spanning_tree(table: np.ndarray) -> np.ndarray:
    """(n - 1, 2) edges of the least spanning tree, grown from neuron 0 (Prim), the earlier of equals. O(n^2)."""
    n = len(table)
    nearest, parent = table[0].copy(), np.zeros(n, dtype=np.int64)
    outside = np.ones(n, dtype=bool)
    outside[0] = False
    edges = np.empty((n - 1, 2), dtype=np.int64)
    for step in range(n - 1):
        chosen = int(np.argmin(np.where(outside, nearest, np.inf)))
        edges[step] = parent[chosen], chosen
        outside[chosen] = False
        closer = outside & (table[chosen] < nearest)
        nearest[closer] = table[chosen][closer]
        parent[closer] = chosen
    return edges


def _joined(
    rows: np.ndarray,
    cols: np.ndarray,
    lengths: np.ndarray,
    tree: np.ndarray,
    length_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    n: int,
    weight: str,
) -> Graph:
    """The graph of both edge lists. rows, cols: every neighbour edge in both directions."""
    alone = coo_matrix((np.ones(len(rows)), (rows, cols)), shape=(n, n)).tocsr()
    pieces = int(connected_components(alone, directed=False)[0])
    new = ~np.isin(tree[:, 0] * n + tree[:, 1], rows * n + cols)
    ends = tree[new]
    p, q = np.concatenate([rows, ends[:, 0], ends[:, 1]]), np.concatenate([cols, ends[:, 1], ends[:, 0]])
    added = length_of(ends[:, 0], ends[:, 1])
    values = _weigh(np.concatenate([lengths, added, added]), weight, float(np.median(lengths)))
    return Graph(coo_matrix((values, (p, q)), shape=(n, n)).tocsr(), int(new.sum()), pieces)


def _weigh(lengths: np.ndarray, weight: str, middle: float) -> np.ndarray:
    if weight == "unit":
        return np.ones(len(lengths))
    if weight == "corr":
        return np.maximum(1.0 - lengths / 4.0, LEAST)
    return np.maximum(np.exp(-lengths / (2.0 * middle)) if middle > 0 else (lengths == 0).astype(float), LEAST)


def approximate_graph(columns: np.ndarray, *, k: int = NEIGHBOURS, weight: str = "unit") -> Graph:
    """`neighbour_graph` without the table of all distances, neighbours by faiss (HNSW).

    columns : (N, n) of `directions` by pearson or cosine. Memory n (N + 2 k) numbers instead of n^2. Pieces of that graph are
              joined by the nearest pair of each and what is joined already; the spanning tree's other edges are left out.
    """
    try:
        import faiss
    except ImportError:
        raise Usage("approximate neighbours need the package faiss-cpu (extra `neighbours`); or use exact ones") from None
    n = columns.shape[1]
    index: Any = faiss.IndexHNSWFlat(len(columns), LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BREADTH, max(BREADTH, 4 * k)
    rows32 = np.ascontiguousarray(columns.T, dtype=np.float32)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # nodes that are added side by side link differently each time
    try:
        index.add(rows32)
        _, labels = index.search(rows32, k + 1)
    finally:
        faiss.omp_set_num_threads(threads)
    rows, cols = np.repeat(np.arange(n), k + 1), labels.ravel().astype(np.int64)
    other = (rows != cols) & (cols >= 0)
    pairs = np.unique(np.concatenate([rows[other] * n + cols[other], cols[other] * n + rows[other]]))
    p, q = pairs // n, pairs % n

    def length_of(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        parts = [slice(first, first + PAIRS) for first in range(0, len(one), PAIRS)]
        inner = [np.einsum("ij,ij->j", columns[:, one[part]], columns[:, two[part]]) for part in parts]
        return np.maximum(2.0 - 2.0 * np.concatenate([*inner, np.empty(0)]), 0.0)

    return _joined(p, q, length_of(p, q), _bridges(columns, p, q), length_of, n, weight)


def _bridges(columns: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """(pieces - 1, 2) edges that join the pieces of a graph, each the nearest pair of a piece and everything joined so far."""
    n = columns.shape[1]
    _, piece = connected_components(coo_matrix((np.ones(len(rows)), (rows, cols)), shape=(n, n)), directed=False)
    joined = piece == piece[0]
    edges = []
    while not joined.all():
        outside = np.flatnonzero(~joined)
        inside = np.flatnonzero(joined)
        best = (-np.inf, 0, 0)
        for part in np.array_split(outside, -(-len(outside) // 256)):
            table = columns[:, part].T @ columns[:, inside]
            place = np.unravel_index(int(np.argmax(table)), table.shape)
            best = max(best, (float(table[place]), int(inside[place[1]]), int(part[place[0]])))
        edges.append(best[1:])
        joined |= piece == piece[best[2]]
    return np.array(edges, dtype=np.int64).reshape(-1, 2)
