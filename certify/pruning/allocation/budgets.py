"""Allocation by what a removal costs: data-path scores, row masses, and splits of a count by measured or bounded curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from certify.pruning.allocation.split import Split, rising, split_budget
from certify.pruning.masks import keep_all_but, keep_largest, share_of
from certify.pruning.method import Made, Method, Request, by_scores
from certify.pruning.unstructured.obs import BLOCK, DAMPING, inverse_factor, no_worse, refitted, surgeon, whole_gram
from certify.records import COST_LEVELS, Edit, Refused, Usage
from certify.theory.emp.data_path_scores import budget_upper_rows, column_sizes, entry_scores

ORDERS = (1.0, 2.0, 4.0, 8.0, np.inf)
# Share of the signal that counts as nothing.
NOTHING_LEFT = 1e-3
SCORES = ("magnitude", "wanda", "data-path")


def data_path(request: Request, *, order: float = 2.0, scope: str = "global") -> Made:
    """Score 2 |A_ij| alpha_j, alpha_j the order-norm over samples of L_s max_tokens |v_j| (EMP-T10, EMP-T11).

    L_s are the evidence's sensitivities: first order, so the scores are estimates. order >= 1; 0 stands for infinity.
    """
    scores = {name: data_path_scores(request, name, _order(order)) for name in request.weights}
    made = by_scores(request, scores, scope=scope)
    return Made(made.edits, {"budgets": budget_facts(request, made.edits)})


def row_mass(request: Request, *, order: float = 2.0) -> Made:
    """The mask of this size with the least sum over all rows of (removed data-path mass)^order, exactly.

        min sum_{l,i} rho_li^p,   rho_li = sum_{j removed} |A_ij| alpha_j

    which for one layer is the mask that minimises the bound 2 (sum_i rho_i^p)^(1/p) of EMP-T11. In a row the smallest scores go
    first, and the price of the next one, (rho + sigma)^p - rho^p, rises; so the cheapest prices of all rows are the optimum.
    order 1 is the data-path score. With the sensitivities of the evidence the bound is an estimate (tier resolved).
    """
    if not 1 <= order < 64:
        raise Usage(f"order = {order} is not in [1, 64)")
    assert request.sparsity is not None
    prices = {}
    for name in request.weights:
        scores = 0.5 * data_path_scores(request, name, order)
        ascending = np.argsort(scores, axis=1, kind="stable")
        masses = np.cumsum(np.take_along_axis(scores, ascending, axis=1), axis=1)
        steps = np.diff(masses**order, axis=1, prepend=0.0)
        price = np.empty_like(scores)
        np.put_along_axis(price, ascending, np.maximum.accumulate(steps, axis=1), axis=1)
        prices[name] = price
    kept = keep_largest(prices, request.sparsity)
    edits = tuple(Edit(name, kept[name]) for name in kept)
    return Made(edits, {"budgets": budget_facts(request, edits)})


def budget_measured(request: Request, *, score: str = "wanda") -> Made:
    """Split the count over layers by their measured costs; within a layer the smallest scores go.

        min sum_l -log(1 - c_l(n_l) / C)   subject to   sum_l n_l = floor(s · total)

    c_l is the mean logit change when layer l alone is thinned by magnitude (evidence, whatever the score), C the largest cost
    of any layer at any level: there nothing of the signal is left. -log(1 - x) >= x, so the sum bounds the sum of the costs over
    C; it adds where what layers retain multiplies, and never buys the whole of a layer for a saturated price. Slopes are made
    rising (`rising`). Exact for these curves, see `split_budget`; the facts state sum, lower bound and gap.
    score : "magnitude", "wanda" or "data-path".
    Layers are priced one at a time in the dense network: their sum bounds nothing about all of them together (F10).
    """
    scores, found = _measured_split(request, score)
    return Made(_cut(scores, found.counts), _facts(found))


def budget_surgeon(request: Request, *, damping: float = DAMPING, block: int = BLOCK, refit: bool = False) -> Made:
    """The counts of `budget_measured`, and in each layer the surgeon of `sparsegpt`, which moves the weights that stay.

    No row ends with a larger mean squared output error than plain removal by the same mask; refit as in `sparsegpt`.
    """
    scores, found = _measured_split(request, "magnitude")
    edits, layers = [], {}
    for name, count in zip(scores, found.counts, strict=True):
        weight, gram = request.evidence.weights[name], whole_gram(request, name)
        kept, values = surgeon(weight, inverse_factor(gram, damping), count, None, block)
        values, layers[name] = no_worse(weight, kept, values, gram)
        edits.append(Edit(name, kept, values))
    made = refitted(request, edits, damping) if refit else Made(tuple(edits), {"layers": layers})
    return Made(made.edits, {**_facts(found), **made.facts})


def budget_least_squares(request: Request, *, score: str = "wanda", damping: float = DAMPING) -> Made:
    """The masks of `budget_measured`, and for each the values of `least_squares`."""
    scores, found = _measured_split(request, score)
    made = refitted(request, _cut(scores, found.counts), damping)
    return Made(made.edits, {**_facts(found), **made.facts})


def budget_bounded(request: Request, *, score: str = "data-path") -> Made:
    """Split the count so that the sum of the layers' bounds is least: EMP-T11 on what the score removes, least over ORDERS.

    With the evidence's first-order sensitivities each bound is an estimate (tier resolved), and the sum bounds nothing about all
    layers together. Exact for the lower convex hulls; the facts state what the curves themselves cost and the gap.
    """
    scores = _scores(request, score)
    curves = []
    for name, each in scores.items():
        points = _points(each.size)
        curves.append((points, np.concatenate([[0.0], _row_bounds(request, name, each, points[1:])])))
    found = split_budget(curves, _total(request, scores))
    return Made(_cut(scores, found.counts), _facts(found))


def _measured_split(request: Request, score: str) -> tuple[dict[str, np.ndarray], Split]:
    scores = _scores(request, score)
    costs = {name: request.evidence.part("costs", name) for name in scores}
    for name, cost in costs.items():
        if cost.shape != (len(COST_LEVELS),) or np.any(cost < 0):
            raise Refused(f"{name}: costs of shape {cost.shape}; {len(COST_LEVELS)} numbers >= 0 are expected")
    largest = max(float(cost.max()) for cost in costs.values()) or 1.0
    curves = []
    for name, each in scores.items():
        points = _points(each.size)
        prices = -np.log1p(-np.minimum(costs[name] / largest, 1.0 - NOTHING_LEFT))[_first(points[1:], each.size)]
        curves.append((points, rising(points, np.concatenate([[0.0], prices]))))
    return scores, split_budget(curves, _total(request, scores))


def _scores(request: Request, score: str) -> dict[str, np.ndarray]:
    if score not in SCORES:
        raise Usage(f"score = {score!r} is none of {', '.join(SCORES)}")
    return {name: layer_scores(request, name, score) for name in request.weights}


def _total(request: Request, scores: Mapping[str, np.ndarray]) -> int:
    assert request.sparsity is not None
    return share_of(sum(each.size for each in scores.values()), request.sparsity)


def _points(size: int) -> np.ndarray:
    """0 and the counts of COST_LEVELS; levels of a small layer that fall together are one."""
    return np.unique([0, *(share_of(size, level) for level in COST_LEVELS)])


def _cut(scores: Mapping[str, np.ndarray], counts: Sequence[int]) -> tuple[Edit, ...]:
    return tuple(
        Edit(name, keep_all_but(each.reshape(-1), count).reshape(each.shape))
        for (name, each), count in zip(scores.items(), counts, strict=True)
    )


def _facts(found: Split) -> dict[str, Any]:
    return {"cost": found.cost, "lower_bound": found.dual, "gap": found.cost - found.dual, "price": found.price}


def _first(points: np.ndarray, size: int) -> list[int]:
    """The first of COST_LEVELS at which each count is reached."""
    counts = [share_of(size, level) for level in COST_LEVELS]
    return [counts.index(count) for count in points.tolist()]


def layer_scores(request: Request, name: str, score: str) -> np.ndarray:
    """(rows, cols) score of a layer's entries."""
    size = np.abs(request.evidence.weights[name])
    if score == "wanda":
        return size * np.sqrt(request.evidence.part("moments", name))
    return size if score == "magnitude" else data_path_scores(request, name, 2.0)


def data_path_scores(request: Request, name: str, order: float) -> np.ndarray:
    """(rows, cols) of EMP-T10 and EMP-T11, in nats."""
    part = request.evidence.part
    return entry_scores(request.evidence.weights[name], part("inputs", name), part("sensitivities", name), order)


def bounded_budget(request: Request, name: str, removed: np.ndarray) -> float:
    """The least bound of EMP-T11 over ORDERS on the budget of removing `removed` (rows, cols)."""
    inputs, lipschitz = request.evidence.part("inputs", name), request.evidence.part("sensitivities", name)
    return min(budget_upper_rows(removed, inputs, lipschitz, order) for order in ORDERS)


def budget_facts(request: Request, edits: tuple[Edit, ...]) -> dict[str, Any]:
    """Per target the bound of EMP-T11 with first-order sensitivities, in nats; an estimate, and says so."""
    removed = {edit.target: np.where(edit.kept, 0.0, request.evidence.weights[edit.target]) for edit in edits}
    return {
        "claim": "EMP-T11",
        "tier": "resolved: first-order sensitivities, no bound",
        "targets": {name: bounded_budget(request, name, matrix) for name, matrix in removed.items()},
    }


def _row_bounds(request: Request, name: str, scores: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The least bound of EMP-T11 at each count, columns reduced over the samples once."""
    part, size = request.evidence.part, np.abs(request.evidence.weights[name])
    alphas = {order: column_sizes(part("inputs", name), part("sensitivities", name), order) for order in ORDERS}
    found = []
    for count in points.tolist():
        removed = np.where(keep_all_but(scores.reshape(-1), count).reshape(scores.shape), 0.0, size)
        found.append(min(2.0 * float(np.linalg.norm(removed @ alpha, order)) for order, alpha in alphas.items()))
    return np.array(found)


def _order(order: float) -> float:
    if order != 0 and not order >= 1:
        raise Usage(f"order = {order} is not at least 1, nor 0 for infinity")
    return np.inf if order == 0 else order


NEEDS = ("inputs", "sensitivities")
BY_SCORE = {"wanda": ("moments",), "data-path": NEEDS}
METHODS = (
    Method("data-path", "weight times how far its input reaches the logits", data_path, needs=NEEDS),
    Method("row-mass", "least sum of row masses, exactly", row_mass, ("sparsity",), NEEDS),
    Method(
        "budget-measured",
        "counts by the layers' measured costs, exactly",
        budget_measured,
        ("sparsity",),
        ("costs",),
        by_score=BY_SCORE,
    ),
    Method(
        "budget-surgeon",
        "the same counts, each layer by sparsegpt",
        budget_surgeon,
        ("sparsity",),
        ("costs", "grams"),
        whole=True,
    ),
    Method(
        "budget-least-squares",
        "the same counts, the best values for each mask",
        budget_least_squares,
        ("sparsity",),
        ("costs", "grams"),
        whole=True,
        by_score=BY_SCORE,
    ),
    Method("budget-bounded", "least sum of the layers' bounds", budget_bounded, ("sparsity",), NEEDS, by_score=BY_SCORE),
)
