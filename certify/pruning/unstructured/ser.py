"""Spectral edge reallocation: prune too much, let the removed weights move, restore those that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request
from certify.pruning.unstructured.seb import cut, layer_weights
from certify.records import Edit, Refused, Usage

PRIORITIES = ("inverse", "weight", "one")
MARGIN = 0.03
FIRST_REALLOCATED = 0.20  # the hybrid's last step of plain magnitude
ALLOWED_DROP = 0.007


def over_pruned(request: Request, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Masks of spectral edge budgeting at sparsity s + margin, layer weights as at s; `options` are those of `ser` or `hybrid`.

    What they remove is the reservoir: the weights whose movement `ser` reads.
    """
    margin = options["margin"]
    assert request.sparsity is not None
    if not margin >= 0 or request.sparsity + margin >= 1:
        raise Usage(f"margin = {margin}: sparsity {request.sparsity} and margin together must stay below 1")
    own = {key: options[key] for key in ("signal", "strength") if key in options}
    return cut(request, layer_weights(request, request.sparsity, **own), round(request.sparsity + margin, 12))


def ser(
    request: Request, *, margin: float = MARGIN, priority: str = "inverse", signal: str = "regime", strength: float = 1.0
) -> Made:
    """Restore the removed weights that moved most until exactly floor(s · total) are removed.

    Of the entries that `over_pruned` removes, those with the largest movement · rho return at their own value; of equal ones the
    later stay removed. The published text and algorithm contradict each other about rho: "inverse" 1 / w_layer (the text; layers
    that the budget protects come first), "weight" w_layer (the algorithm), "one".
    Needs movements: how far each removed weight moved when only removed weights were trained (`certify.training`).
    margin = 0 is spectral edge budgeting. Source: methods/mp-pruning 1.8.
    """
    if priority not in PRIORITIES:
        raise Usage(f"priority = {priority!r} is none of {', '.join(PRIORITIES)}")
    assert request.sparsity is not None
    over = over_pruned(request, {"margin": margin, "signal": signal, "strength": strength})
    weights = layer_weights(request, request.sparsity, signal=signal, strength=strength)
    names = list(over)
    removed = np.concatenate([~over[name].reshape(-1) for name in names])
    wanted = share_of(removed.size, request.sparsity)
    if not margin:
        return Made(tuple(Edit(name, over[name]) for name in names), {"layer_weights": weights, "restored": 0})
    rank = {"inverse": lambda w: 1.0 / w, "weight": lambda w: w, "one": lambda w: 1.0}[priority]
    moved = np.concatenate([_movement(request, name).reshape(-1) * rank(weights[name]) for name in names])
    chosen = np.flatnonzero(removed)
    kept = ~removed
    # Among the removed, keep all but the `wanted` that moved least; the order is turned so that of equal ones the earlier return.
    kept[chosen] = keep_all_but(moved[chosen][::-1], wanted)[::-1]
    parts = np.split(kept, np.cumsum([over[name].size for name in names])[:-1])
    masks = {name: part.reshape(over[name].shape) for name, part in zip(names, parts, strict=True)}
    counts = {name: int(np.sum(masks[name] & ~over[name])) for name in names}
    facts = {"layer_weights": weights, "restored": sum(counts.values()), "restored_by_layer": counts}
    return Made(tuple(Edit(name, masks[name]) for name in names), facts)


def _movement(request: Request, name: str) -> np.ndarray:
    found = request.evidence.part("movements", name)
    if found.shape != request.evidence.weights[name].shape or np.any(found < 0):
        raise Refused(f"{name}: movements of shape {found.shape}, all >= 0, are expected to match the weight")
    return found


def hybrid(request: Request, *, margin: float = MARGIN, priority: str = "inverse", first: float = FIRST_REALLOCATED) -> Made:
    """Plain magnitude up to sparsity `first`, `ser` beyond. Source: methods/mp-pruning 1.9."""
    assert request.sparsity is not None
    if request.sparsity > first:
        return ser(request, margin=margin, priority=priority)
    kept = cut(request, dict.fromkeys(request.weights, 1.0), request.sparsity)
    return Made(tuple(Edit(name, kept[name]) for name in kept), {"restored": 0})


def first_reallocated_step(reference: float, accuracies: Sequence[float], drop: float = ALLOWED_DROP) -> int:
    """Step at which the drop-threshold variant turns from magnitude to reallocation: the one after the first drop > `drop`.

    reference  : accuracy of the dense network, accuracies : after each magnitude step. Both on the tuning split.
    Returns len(accuracies) where no step has dropped so far. Source: methods/mp-pruning 1.10.
    """
    return next((step + 1 for step, found in enumerate(accuracies) if reference - found > drop), len(accuracies))


METHODS = (
    Method("ser", "spectral edge budgeting, then the weights that moved most return", ser, ("sparsity",), ("movements",)),
    Method("hybrid", "magnitude at low sparsity, ser beyond", hybrid, ("sparsity",), ("movements",)),
)
