"""Second-order methods: what is removed is made up for, column by column (SparseGPT) or by least squares for a given mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky

from certify.pruning.layout import Layout
from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request, by_scores
from certify.records import Edit, Refused, Usage

DAMPING, BLOCK = 0.01, 128
SCORES = ("wanda", "magnitude")
# U_jj of an input that is always zero: its weights cost w^2 / DEAD^2, less than any other.
DEAD = 1e100


def sparsegpt(request: Request, *, damping: float = DAMPING, block: int = BLOCK, refit: bool = False) -> Made:
    """Remove what costs least in the layer's output and move later weights of the row to make up for it.

        cost of w_j = w_j^2 / [U_jj]^2,   H^-1 = U^T U,   H = C + damping mean(diag C) I,   C = mean v v^T
        w_k -= (w_j / U_jj) U_jk,   k > j

    Columns go from first to last; under a sparsity each block of columns loses its share of each layer, exactly
    floor(s · entries) in all; under a pattern each group loses its cheapest, decided when its first column is reached.
    Weights of an input that is always zero (a tap that sees padding alone) cost nothing and go first; means are over the others.
    The pass knows nothing of columns to come, so a row can end worse than if its weights had only been removed; such a row is
    shipped with its own weights. No row ends with a larger mean squared output error than plain removal by the same mask.
    refit : afterwards each row takes the best values for its mask, see `least_squares`.
    Needs whole grams. The facts state each layer's error, mean ||(W - W') v||^2.
    Shipped weights differ from the reference's: certificates are those of the additive form (X10).
    Source: Frantar and Alistarh 2023.
    """
    if not damping > 0 or block < 1:
        raise Usage(f"damping = {damping}, block = {block}: need > 0 and >= 1")
    edits, facts = [], {}
    for target in request.targets:
        name = target.name
        layout = request.layouts.get(name)
        order = np.arange(target.cols) if layout is None or layout.order is None else layout.order
        weight = request.evidence.weights[name][:, order]
        gram = whole_gram(request, name)[np.ix_(order, order)]
        count = 0 if request.sparsity is None else share_of(weight.size, request.sparsity)
        kept, values = surgeon(weight, inverse_factor(gram, damping), count, layout, block)
        values, facts[name] = no_worse(weight, kept, values, gram)
        back = np.argsort(order, kind="stable")
        pattern = {} if layout is None else {"order": layout.order, "padded": layout.padded}
        edits.append(Edit(name, kept[:, back], values[:, back], **pattern))
    return refitted(request, edits, damping) if refit else Made(tuple(edits), {"layers": facts})


def least_squares(request: Request, *, score: str = SCORES[0], scope: str = "row", damping: float = DAMPING) -> Made:
    """A mask by scores; then the values that leave the least error in each row's output.

        w'_K = w_K + H_KK^-1 H_KD w_D,   K kept, D removed,   minimises r^T H r over r = w - w' with w'_D = 0

    H is that of `sparsegpt`. One pass of the surgeon moves later columns alone and is never better in r^T H r.
    score : "wanda" or "magnitude", scope as theirs. A factorisation of the kept inputs for each row: rows · cols^3 in all.
    Needs whole grams; of wanda the moments too. The facts state each layer's error.
    """
    if not damping > 0 or score not in SCORES:
        raise Usage(f"damping = {damping}, score = {score!r}: need > 0 and one of {', '.join(SCORES)}")
    scores = {name: np.abs(weight) for name, weight in request.weights.items()}
    if score == "wanda":
        scores = {name: size * np.sqrt(request.evidence.part("moments", name)) for name, size in scores.items()}
    return refitted(request, by_scores(request, scores, scope=scope).edits, damping)


def refitted(request: Request, edits: Iterable[Edit], damping: float) -> Made:
    """The same masks with the best values for them, and each layer's error; no row ends worse than by plain removal."""
    found, facts = [], {}
    for edit in edits:
        weight, gram = request.evidence.weights[edit.target], whole_gram(request, edit.target)
        values, facts[edit.target] = no_worse(weight, edit.kept, best_values(weight, edit.kept, gram, damping), gram)
        found.append(replace(edit, values=values))
    return Made(tuple(found), {"layers": facts})


def whole_gram(request: Request, name: str) -> np.ndarray:
    """(cols, cols) second moments of all inputs of a target."""
    collected = request.evidence.parts.get("grams", {})
    if collected and name not in collected:
        raise Refused(
            f"{name}: its rows read different inputs (a grouped convolution), so there are no second moments of all; exclude it"
        )
    found = request.evidence.part("grams", name)
    cols = request.evidence.weights[name].shape[1]
    if found.shape != (1, cols, cols):
        raise Refused(
            f"{name}: second moments of all {cols} inputs together are needed, the evidence holds blocks of {found.shape[1]}; "
            "collect grams with gram_block = 0"
        )
    return found[0]


def inverse_factor(gram: np.ndarray, damping: float) -> np.ndarray:
    """U upper triangular with H^-1 = U^T U, H = gram + damping mean(diag) I, over the inputs that are not always zero.

    Those that are have DEAD on the diagonal and zeros beside it.
    """
    diagonal = np.diag(gram)
    live = np.flatnonzero(diagonal > 0)
    factor = np.diag(np.where(diagonal > 0, 0.0, DEAD))
    if live.size:
        inverse = cho_solve(cho_factor(_damped(gram, damping)[np.ix_(live, live)]), np.eye(live.size))
        factor[np.ix_(live, live)] = cholesky((inverse + inverse.T) / 2.0, lower=False)
    return factor


def _damped(gram: np.ndarray, damping: float) -> np.ndarray:
    """H: the damping is a share of the mean over inputs that are not always zero."""
    diagonal = np.diag(gram)
    return gram + damping * float(diagonal.sum() / max(np.count_nonzero(diagonal), 1)) * np.eye(len(gram))


def surgeon(
    weight: np.ndarray, factor: np.ndarray, count: int, layout: Layout | None, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Masks and weights (rows, cols) after one pass over the columns. `count` entries go, or what the layout's pattern says."""
    rows, cols = weight.shape
    values, kept = weight.copy(), np.ones(weight.shape, dtype=bool)
    spread = np.diag(factor)
    step = block if layout is None else layout.group * max(1, block // layout.group)
    gone = _gone_before(rows, spread == DEAD, count)
    for start in range(0, cols, step):
        end = min(start + step, cols)
        if layout is None:
            cost = np.square(values[:, start:end] / spread[start:end])
            kept[:, start:end] = keep_all_but(cost.reshape(-1), gone[end] - gone[start]).reshape(rows, end - start)
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


def _gone_before(rows: int, dead: np.ndarray, count: int) -> list[int]:
    """(cols + 1,) how many of `count` entries go before each column: those of dead columns first, then others in equal shares."""
    free = min(count, rows * int(dead.sum()))
    ends = [np.concatenate([[0], np.cumsum(columns)]).tolist() for columns in (dead, ~dead)]
    return [
        free * before // max(ends[0][-1], 1) + (count - free) * others // max(ends[1][-1], 1)
        for before, others in zip(*ends, strict=True)
    ]


def best_values(weight: np.ndarray, kept: np.ndarray, gram: np.ndarray, damping: float) -> np.ndarray:
    """(rows, cols) values at kept entries that minimise r^T H r, r = w - w', in each row; zero elsewhere."""
    damped = _damped(gram, damping)
    values = np.where(kept, weight, 0.0)
    for row in np.flatnonzero(kept.any(axis=1) & ~kept.all(axis=1)) if gram.any() else ():
        stays, goes = np.flatnonzero(kept[row]), np.flatnonzero(~kept[row])
        missing = damped[np.ix_(stays, goes)] @ weight[row, goes]
        values[row, stays] += cho_solve(cho_factor(damped[np.ix_(stays, stays)]), missing)
    return values


def no_worse(weight: np.ndarray, kept: np.ndarray, values: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """The values, with the row's own weights where they leave a smaller error r^T C r; and what both come to."""
    plain = np.where(kept, weight, 0.0)
    moved, removed = (np.einsum("ij,ij->i", (weight - each) @ gram, weight - each) for each in (values, plain))
    worse = moved > removed
    found = {"error": float(np.minimum(moved, removed).sum()), "error_of_plain_removal": float(removed.sum())}
    return np.where(worse[:, None], plain, values), found | {"rows_left_plain": int(worse.sum())}


METHODS = (
    Method("sparsegpt", "second-order costs, later weights make up for what goes", sparsegpt, needs=("grams",), whole=True),
    Method(
        "least-squares",
        "a mask by scores, then the best values for it",
        least_squares,
        needs=("grams",),
        whole=True,
        by_score={"wanda": ("moments",)},
    ),
)
