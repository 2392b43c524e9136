"""Optimal brain surgeon, column by column: removed weights are made up for by later ones (SparseGPT)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky

from certify.pruning.layout import Layout
from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request
from certify.records import Edit, Refused, Usage

DAMPING, BLOCK = 0.01, 128


def sparsegpt(request: Request, *, damping: float = DAMPING, block: int = BLOCK) -> Made:
    """Remove what costs least in the layer's output and move later weights of the row to make up for it.

        cost of w_j = w_j^2 / [U_jj]^2,   H^-1 = U^T U,   H = mean v v^T + damping mean(diag) I
        w_k -= (w_j / U_jj) U_jk,   k > j

    Columns go from first to last; under a sparsity each block of columns loses its share of each layer, exactly
    floor(s · entries) in all; under a pattern each group loses its cheapest, decided when its first column is reached.
    Needs whole grams. An input that is always zero has its weights removed first (they cost nothing).
    Shipped weights differ from the reference's: certificates are those of the additive form (X10).
    Source: Frantar and Alistarh 2023.
    """
    if not damping > 0 or block < 1:
        raise Usage(f"damping = {damping}, block = {block}: need > 0 and >= 1")
    edits = []
    for target in request.targets:
        name = target.name
        layout = request.layouts.get(name)
        weight = request.evidence.weights[name]
        order = np.arange(target.cols) if layout is None or layout.order is None else layout.order
        gram = whole_gram(request, name)[np.ix_(order, order)]
        count = 0 if request.sparsity is None else share_of(weight.size, request.sparsity)
        kept, values = surgeon(weight[:, order], inverse_factor(gram, damping), count, layout, block)
        back = np.argsort(order, kind="stable")
        pattern = {} if layout is None else {"order": layout.order, "padded": layout.padded}
        edits.append(Edit(name, kept[:, back], values[:, back], **pattern))
    return Made(tuple(edits))


def whole_gram(request: Request, name: str) -> np.ndarray:
    """(cols, cols) second moments of all inputs of a target."""
    found = request.evidence.part("grams", name)
    cols = request.evidence.weights[name].shape[1]
    if found.shape != (1, cols, cols):
        raise Refused(
            f"{name}: second moments of all {cols} inputs together are needed, the evidence holds blocks of {found.shape[1]}; "
            "collect grams with gram_block = 0"
        )
    return found[0]


def inverse_factor(gram: np.ndarray, damping: float) -> np.ndarray:
    """U upper triangular with (gram + damping mean(diag) I)^-1 = U^T U. An input that is always zero gets a unit diagonal."""
    damped = gram.copy()
    diagonal = np.einsum("ii->i", damped)
    diagonal[diagonal == 0] = 1.0
    diagonal += damping * float(diagonal.mean())
    inverse = cho_solve(cho_factor(damped), np.eye(len(damped)))
    return cholesky((inverse + inverse.T) / 2.0, lower=False)


def surgeon(
    weight: np.ndarray, factor: np.ndarray, count: int, layout: Layout | None, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Masks and weights (rows, cols) after one pass over the columns. `count` entries go, or what the layout's pattern says."""
    rows, cols = weight.shape
    values, kept = weight.copy(), np.ones(weight.shape, dtype=bool)
    spread = np.diag(factor)
    step = block if layout is None else layout.group * max(1, block // layout.group)
    for start in range(0, cols, step):
        end = min(start + step, cols)
        if layout is None:
            here = count * end // cols - count * start // cols
            cost = np.square(values[:, start:end] / spread[start:end])
            kept[:, start:end] = keep_all_but(cost.reshape(-1), here).reshape(rows, end - start)
        lost = np.zeros((rows, end - start))
        for col in range(start, end):
            if layout is not None and col % layout.group == 0:
                last = min(col + layout.group, cols)
                cost = np.square(values[:, col:last] / spread[col:last])
                best = np.argsort(-cost, axis=1, kind="stable")[:, : layout.keep]
                kept[:, col:last] = False
                np.put_along_axis(kept[:, col:last], best, True, axis=1)
            lost[:, col - start] = np.where(kept[:, col], 0.0, values[:, col]) / factor[col, col]
            values[:, col:end] -= lost[:, col - start, None] * factor[col, col:end]
        values[:, end:] -= lost @ factor[start:end, end:]
    return kept, np.where(kept, values, 0.0)


METHODS = (
    Method("sparsegpt", "second-order costs, later weights make up for what goes", sparsegpt, needs=("grams",), whole=True),
)
