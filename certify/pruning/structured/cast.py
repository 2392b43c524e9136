"""CAST: the k:n pattern that loses least of each output, by exact search; and mixed patterns over layers."""

from __future__ import annotations

import numpy as np

from certify.pruning.allocation.choice import least_choice
from certify.pruning.layout import Layout
from certify.pruning.masks import keep_largest, share_of
from certify.pruning.method import Made, Method, Request
from certify.pruning.structured.exact import cheapest, compensated, greedy, mean_cost
from certify.records import Edit, Usage, parse_pattern

SEARCHES = ("exact", "greedy")
SCALES = ("cost", "moment")
RIDGE = 1e-2


def cast(
    request: Request,
    *,
    search: str = "exact",
    source_sparsity: float = 0.0,
    restoration: bool = True,
    prior: float = 0.0,
    prior_scale: str = "cost",
    compensation: bool = False,
) -> Made:
    """In every row and group keep the k of n slots whose loss is least.

        min_m r^T C_g r + prior kappa |m - M|_1,   r = (1 - m) * u,   C_g = mean v_g v_g^T over all samples and tokens

    M is the source mask: entries that are not 0, and with source_sparsity > 0 among the largest magnitudes at that sparsity over
    all targets. u are the weights; without `restoration` those outside M count as 0 and stay 0. Weights that are 0 already, as
    in a network pruned before, are holes too, and nothing restores them: what they were is not in the evidence.
    With M full the prior is the same for every pattern and changes nothing.
    search        : "exact", or "greedy" with exchanges; then the facts state by how much it is worse than exact (n <= 16).
    prior         : >= 0, weight of the distance to the source mask. prior_scale : kappa, "cost" the mean cost of a cell over all
                    patterns, "moment" the mean over rows i and slots k of a group of u_ik^2 C_kk.
    compensation  : move the kept weights of a group to make up for the removed ones (ridge 1e-2 of the mean second moment).
    Needs grams within groups. Source: methods/mp-pruning 1.12; claim P3-cast, F17.
    """
    if search not in SEARCHES or prior_scale not in SCALES:
        raise Usage(f"search = {search!r}, prior_scale = {prior_scale!r}: known are {', '.join(SEARCHES)}; {', '.join(SCALES)}")
    if not (0 <= source_sparsity < 1 and prior >= 0):
        raise Usage(f"source_sparsity = {source_sparsity}, prior = {prior}: need a share in [0, 1) and a number >= 0")
    if search == "greedy" and prior:
        raise Usage("search = 'greedy' knows no prior; set prior = 0")
    sources = _sources(request, source_sparsity)
    edits, facts = [], {}
    for name, layout in request.layouts.items():
        weight = request.evidence.weights[name] if restoration else np.where(sources[name], request.evidence.weights[name], 0.0)
        slots, moments = layout.slots(weight), layout.moments(request.evidence)
        pull = _prior(slots, moments, layout, sources[name], prior, prior_scale)
        kept, costs = cheapest(slots, moments, layout.keep, pull)
        facts[name] = {"cost": float(costs.sum())}
        if search == "greedy":
            best = costs.sum()
            kept, costs = greedy(slots, moments, layout.keep)
            facts[name] = {"cost": float(costs.sum()), "gap": float(costs.sum() - best)}
        values = compensated(slots, moments, kept, ridge=RIDGE) if compensation else None if restoration else slots
        edits.append(layout.edit(kept, values))
    return Made(tuple(edits), {"layers": facts})


def _sources(request: Request, sparsity: float) -> dict[str, np.ndarray]:
    """Target name -> source mask."""
    weights = {name: request.evidence.weights[name] for name in request.layouts}
    largest = keep_largest({name: np.abs(weight) for name, weight in weights.items()}, sparsity)
    return {name: largest[name] & (weight != 0) for name, weight in weights.items()}


def _prior(
    slots: np.ndarray, moments: np.ndarray, layout: Layout, source: np.ndarray, prior: float, scale: str
) -> np.ndarray | None:
    """What removing each slot adds: -kappa where the source has it removed, +kappa where it keeps it; constants dropped."""
    if not prior:
        return None
    if scale == "cost":
        kappa = mean_cost(slots, moments, layout.keep)
    else:
        kappa = (np.square(slots) * np.einsum("gkk->gk", moments)).mean(axis=(0, 2))[None]
    signs = np.where(layout.slots(source, fill=True), 1.0, -1.0)
    return prior * kappa[..., None] * signs


def mixed(request: Request, *, patterns: str = "1:4,2:4,3:4", dense: bool = True) -> Made:
    """One pattern per layer, of least summed cost, for at least floor(s · total) removed weights.

        min sum_l c_l(p_l)   subject to   sum_l removed_l(p_l) >= floor(s · total)

    c_l(p) is the CAST cost of layer l under pattern p by exact search: lost output energy, compared between layers as it is.
    Solved exactly, see `least_choice`; the facts state the cost and each layer's pattern.
    patterns : comma-separated K:N; a layer takes those that divide its inputs. Stem and classifier stay dense.
    dense    : a layer may stay dense too.
    """
    assert request.sparsity is not None
    wanted = [parse_pattern(pattern.strip()) for pattern in patterns.split(",")]
    choices, candidates = [], []
    for target in request.targets:
        weight = request.evidence.weights[target.name]
        whole = np.ones((target.rows, target.cols), dtype=bool)
        options = [(0, 0.0, Edit(target.name, whole))] if dense else []
        for keep, group in wanted:
            if target.cols % group == 0 and target.role == "block":
                layout = Layout(target.name, target.rows, target.cols, keep, group)
                kept, costs = cheapest(layout.slots(weight), layout.moments(request.evidence), keep)
                edit = layout.edit(kept, own_pattern=True)
                options.append((edit.removed, float(costs.sum()), edit))
        options = options or [(0, 0.0, Edit(target.name, whole))]
        choices.append([(removed, cost) for removed, cost, _ in options])
        candidates.append([edit for _, _, edit in options])
    total = sum(target.size for target in request.targets)
    picked, cost = least_choice(choices, share_of(total, request.sparsity))
    edits = tuple(options[pick] for options, pick in zip(candidates, picked, strict=True))
    return Made(edits, {"cost": cost, "patterns": {edit.target: edit.pattern or "dense" for edit in edits}})


METHODS = (
    Method("cast", "k:n pattern of least lost output energy, exact search", cast, ("pattern",), ("grams",)),
    Method("mixed", "a k:n pattern for each layer, least summed cost", mixed, ("sparsity",), ("grams",)),
)
