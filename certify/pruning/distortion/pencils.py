"""Leading eigenpairs of A v = lambda B v for two Laplacians, dense or sparse, and edge scores from them or without them.

Both graphs are connected. Source: methods/spectral-distortion.md 1.4 and 4, claims SSD-T1 to SSD-T7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from certify.pruning.distortion.graphs import Sparse
from certify.records import Refused, Usage
from certify.theory.graph_spectra import Pencil

FORMS = ("spade", "log", "full")
# Two eigenvalues closer than this, relative, are one cluster: a cut between them would depend on the basis.
GAP = 1e-8
# Most nodes of the dense road: of the eigenproblem, and of the full form, whose other road is a sketch.
DENSE, DENSE_FULL = 500, 4000
RESIDUAL, LONGEST = 1e-13, 1000
SKETCH = 512


def laplacian(weights: Sparse) -> Sparse:
    """L = D - W, sparse."""
    return (diags(np.asarray(weights.sum(axis=1)).ravel()) - weights).tocsr()


def leading(inner: Sparse, outer: Sparse, count: int, *, form: str = "spade", dense: bool | None = None) -> Pencil:
    """The leading eigenpairs of (L_in, L_out), largest lambda first (spade) or largest |log lambda| (log), at least `count`.

    The number grows to the end of a cluster, so that no eigenspace is cut. v^T L_out v = 1, sum of v = 0.
    dense : the dense solver (n^3), or Lanczos with solves by conjugate gradients (about n k each). None decides by n.
    Returns (values, vectors) with vectors (n, pairs).
    """
    n = inner.shape[0]
    if outer.shape != inner.shape or n < 2:
        raise Refused(f"graphs of {inner.shape[0]} and {outer.shape[0]} nodes: the same two nodes at least are expected")
    if form not in ("spade", "log"):
        raise Usage(f"form = {form!r}: leading pairs belong to spade and log")
    wanted = min(max(1, count), n - 1)
    use = n <= DENSE if dense is None else dense
    a, b = laplacian(inner), laplacian(outer)
    extra = wanted + 1
    while True:
        extra = min(extra, n - 1)
        pairs = _dense(a, b, extra, form) if use else _iterated(a, b, extra, form)
        end = _cluster_end(pairs.values, wanted, form)
        if end < len(pairs.values) or extra == n - 1:
            return Pencil(pairs.values[:end], pairs.vectors[:, :end])
        extra *= 2


def size_of(values: np.ndarray, form: str) -> np.ndarray:
    """What pairs are ordered by: lambda, or |log lambda|."""
    return values if form == "spade" else np.abs(np.log(values))


def _cluster_end(values: np.ndarray, wanted: int, form: str) -> int:
    sizes = size_of(values, form)
    end = wanted
    scale = max(float(np.max(np.abs(sizes))), 1e-300)
    while end < len(sizes) and abs(sizes[end - 1] - sizes[end]) <= GAP * scale:
        end += 1
    return end


def _dense(a: Sparse, b: Sparse, count: int, form: str) -> Pencil:
    """J = 1 1^T / n added to B moves the constant vector alone, to the pair (0, 1)."""
    n = a.shape[0]
    subset = (n - count, n - 1) if form == "spade" else None
    values, vectors = eigh(a.toarray(), b.toarray() + 1.0 / n, subset_by_index=subset)
    if form == "log":
        values, vectors = values[1:], vectors[:, 1:]  # the first is the constant vector's 0
    order = np.argsort(-size_of(values, form), kind="stable")[:count]
    return Pencil(values[order], vectors[:, order])


def _iterated(a: Sparse, b: Sparse, count: int, form: str) -> Pencil:
    """Lanczos on the complement of the constant vector; log from both ends, where the smallest are largest once turned."""
    n = a.shape[0]
    if 2 * count >= n - 1:
        return _dense(a, b, count, form)
    found = [_lanczos(a, b, count)]
    if form == "log":
        turned, vectors = _lanczos(b, a, count)
        found.append((1.0 / turned, vectors / np.sqrt(turned)))
    values = np.concatenate([each[0] for each in found])
    vectors = np.concatenate([each[1] for each in found], axis=1)
    order = np.argsort(-size_of(values, form), kind="stable")[:count]
    return Pencil(values[order], vectors[:, order])


def _lanczos(a: Sparse, b: Sparse, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest pairs of (a, b + J) with (b + J)-orthonormal vectors; the start is fixed, so is the result."""
    solve = solver(b)
    operator: Any = LinearOperator
    shifted = operator(b.shape, matvec=lambda x: b @ x + x.mean(), dtype=np.float64)
    inverse = operator(b.shape, matvec=lambda x: solve(x) + x.mean(), dtype=np.float64)
    start = np.random.default_rng(0).normal(size=b.shape[0])
    ncv = min(b.shape[0], max(2 * count + 1, 40))
    values, vectors = eigsh(a, k=count, M=shifted, Minv=inverse, which="LM", v0=start - start.mean(), ncv=ncv)
    return values[::-1], vectors[:, ::-1]


def solver(b: Sparse) -> Callable[[np.ndarray], np.ndarray]:
    """x -> b^+ x of a connected graph's Laplacian, by conjugate gradients with its diagonal.

    Neighbour graphs expand well: about 30 steps to 1e-13, where a sparse factor fills in like a dense one. Where LONGEST steps do
    not do, b + J is factored, once.
    """
    scale = b.diagonal()
    operator: Any = LinearOperator
    preconditioner = operator(b.shape, matvec=lambda x: x / scale, dtype=np.float64)
    factor: list[Any] = []

    def solve(x: np.ndarray) -> np.ndarray:
        centred = x - x.mean()
        if not factor:
            found, failed = cg(b, centred, rtol=RESIDUAL, atol=0.0, maxiter=LONGEST, M=preconditioner)
            if not failed:
                return found - found.mean()
            factor.append(cho_factor(b.toarray() + 1.0 / len(x), lower=True, overwrite_a=True))
        found = cho_solve(factor[0], centred)
        return found - found.mean()

    return solve


@dataclass(frozen=True)
class EdgeScores:
    """e_pq of the input graph's edges.

    rows, cols : both directions of every edge. values : e_pq >= 0. weights : w_pq. pairs : eigenpairs used, 0 without any.
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    pairs: int

    def nodes(self, node: str, n: int) -> np.ndarray:
        """(n,) mean of the input edges of each node, weighted (mean), or half their sum, its share of the total (share)."""
        sums = np.bincount(self.rows, self.weights * self.values, minlength=n)
        if node == "share":
            return sums / 2.0
        return sums / np.bincount(self.rows, self.weights, minlength=n)


def edge_scores(
    inner: Sparse, outer: Sparse, *, form: str = "spade", count: int = 0, dense: bool | None = None, sketch: int = 0
) -> EdgeScores:
    """Embedded squared distances along the input edges.

        spade, log   e_pq = sum_i g(lambda_i) (v_ip - v_iq)^2,  g(x) = x or log(x)^2, the leading pairs
        full         e_pq = e^T B^+ A B^+ e, all pairs with g(x) = x, no eigenvector

    count  : pairs of spade and log; 0 takes min(10, n / 8), at least 1.
    sketch : random rows in place of all, of full above DENSE_FULL nodes (0: 512); relative error about sqrt(2 / rows) an edge.
    """
    n = inner.shape[0]
    if form not in FORMS:
        raise Usage(f"form = {form!r} is none of {', '.join(FORMS)}")
    edges = inner.tocoo()
    rows, cols, weights = edges.row, edges.col, edges.data
    if form == "full" and (n <= DENSE_FULL if dense is None else dense) and not sketch:
        return EdgeScores(rows, cols, _whole(inner, outer, rows, cols), weights, 0)
    if form == "full":
        embedding, pairs = _sketched(inner, outer, sketch or SKETCH), 0
    else:
        found = leading(inner, outer, count or default_count(n), form=form, dense=dense)
        gains = found.values if form == "spade" else np.log(found.values) ** 2
        embedding, pairs = found.vectors * np.sqrt(np.maximum(gains, 0.0)), len(found.values)
    values = np.sum((embedding[rows] - embedding[cols]) ** 2, axis=1)
    return EdgeScores(rows, cols, values, weights, pairs)


def default_count(n: int) -> int:
    """s = min(10, n / 8), at least 1."""
    return max(1, min(10, n // 8))


def _whole(inner: Sparse, outer: Sparse, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """e^T B^+ A B^+ e of each edge, from T = (B + J)^-1 A (B + J)^-1 by two solves; J cancels in differences."""
    factor = cho_factor(laplacian(outer).toarray() + 1.0 / inner.shape[0], lower=True)
    table = cho_solve(factor, cho_solve(factor, laplacian(inner).toarray()).T)
    own = np.diag(table)
    return np.maximum(own[rows] + own[cols] - table[rows, cols] - table[cols, rows], 0.0)


def _sketched(inner: Sparse, outer: Sparse, rows: int) -> np.ndarray:
    """The same with random signs in place of the incidence's columns: unbiased, `rows` solves."""
    incidence = _incidence(inner)
    generator, solve = np.random.default_rng(0), solver(laplacian(outer))
    signs = generator.integers(0, 2, (rows, incidence.shape[0])) * 2.0 - 1.0
    right = np.asarray(incidence.T @ signs.T) / np.sqrt(rows)
    return np.stack([solve(column) for column in right.T], axis=1)


def _incidence(graph: Sparse) -> Sparse:
    """(edges, n) rows sqrt(w) (e_p - e_q), so that its Gram matrix is the Laplacian."""
    edges = graph.tocoo()
    upper = edges.row < edges.col
    p, q, root = edges.row[upper], edges.col[upper], np.sqrt(edges.data[upper])
    each = np.arange(len(p))
    data, at = np.concatenate([root, -root]), (np.concatenate([each, each]), np.concatenate([p, q]))
    return csr_matrix((data, at), shape=(len(p), graph.shape[0]))
