"""Spectral edge reallocation: prune too much, let the removed weights move, restore those that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request
from certify.pruning.unstructured.seb import budgeted, cut, layer_weights
from certify.records import Refused, Usage

PRIORITIES = ("inverse", "weight", "one")
BUDGET = ("signal", "strength", "attn", "mlp", "decay", "exponent")
MARGIN = 0.03
FIRST_REALLOCATED = 0.20  # the hybrid's last step of plain magnitude
ALLOWED_DROP = 0.007


def over_pruned(request: Request, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Masks of spectral edge budgeting at sparsity s + margin, layer weights as at s; `options` are those of `ser`.

    What they remove is the reservoir: the weights whose movement `ser` reads.
    """
    margin = options["margin"]
    assert request.sparsity is not None
    if not margin >= 0 or request.sparsity + margin >= 1:
        raise Usage(f"margin = {margin}: sparsity {request.sparsity} and margin together must stay below 1")
    return cut(request, _weights(request, options), round(request.sparsity + margin, 12))


def reallocates(sparsity: float, options: Mapping[str, Any]) -> bool:
    """Whether `ser` restores by movement at all under these options."""
    return options["margin"] > 0 and sparsity > options["first"]


def _weights(request: Request, options: Mapping[str, Any]) -> dict[str, float]:
    assert request.sparsity is not None
    return layer_weights(request, request.sparsity, **{key: options[key] for key in BUDGET if key in options})


def ser(
    request: Request,
    *,
    margin: float = MARGIN,
    priority: str = "inverse",
    first: float = 0.0,
    signal: str = "regime",
    strength: float = 1.0,
    attn: float = 1.0,
    mlp: float = 1.0,
    decay: float = 1.0,
    exponent: float = 1.0,
) -> Made:
    """Restore the removed weights that moved most until exactly floor(s · total) are removed.

    Of the entries that `over_pruned` removes, those with the largest movement · rho return at their own value; of equal ones the
    later stay removed. The published text and algorithm contradict each other about rho: "inverse" 1 / w_layer (the text; layers
    that the budget protects come first), "weight" w_layer (the algorithm), "one".
    Up to sparsity `first`, unless that is 0, it is plain magnitude. margin = 0 is spectral edge budgeting.
    Needs movements: how far each removed weight moved when only removed weights were trained (`certify.training`).
    The other options are those of `seb`. Source: methods/mp-pruning 1.8 and 1.9.
    """
    if priority not in PRIORITIES:
        raise Usage(f"priority = {priority!r} is none of {', '.join(PRIORITIES)}")
    assert request.sparsity is not None
    if first > 0 and request.sparsity <= first:
        equal = dict.fromkeys(request.weights, 1.0)
        return budgeted(request, cut(request, equal, request.sparsity), equal, restored=0)
    budget: dict[str, Any] = dict(zip(BUDGET, (signal, strength, attn, mlp, decay, exponent), strict=True))
    over, weights = over_pruned(request, {"margin": margin, **budget}), _weights(request, budget)
    if not margin:
        return budgeted(request, over, weights, restored=0)
    rank = {"inverse": lambda w: 1.0 / w, "weight": lambda w: w, "one": lambda w: 1.0}[priority]
    masks = restore(over, {name: _movement(request, name) * rank(weights[name]) for name in over}, request.sparsity)
    counts = {name: int(np.sum(masks[name] & ~over[name])) for name in over}
    return budgeted(request, masks, weights, restored=sum(counts.values()), restored_by_layer=counts)


def restore(over: Mapping[str, np.ndarray], ranks: Mapping[str, np.ndarray], sparsity: float) -> dict[str, np.ndarray]:
    """Masks with exactly floor(s · total) zeros: of what `over` removes, the entries of highest rank return."""
    removed = np.concatenate([~mask.reshape(-1) for mask in over.values()])
    moved = np.concatenate([ranks[name].reshape(-1) for name in over])
    wanted = share_of(removed.size, sparsity)
    chosen = np.flatnonzero(removed)
    kept = ~removed
    # Among the removed, keep all but the `wanted` that moved least; the order is turned so that of equal ones the earlier return.
    kept[chosen] = keep_all_but(moved[chosen][::-1], wanted)[::-1]
    parts = np.split(kept, np.cumsum([mask.size for mask in over.values()])[:-1])
    return {name: part.reshape(over[name].shape) for name, part in zip(over, parts, strict=True)}


def _movement(request: Request, name: str) -> np.ndarray:
    found = request.evidence.part("movements", name)
    if found.shape != request.evidence.weights[name].shape or np.any(found < 0):
        raise Refused(f"{name}: movements of shape {found.shape}, all >= 0, are expected to match the weight")
    return found


def first_reallocated_step(reference: float, accuracies: Sequence[float], drop: float = ALLOWED_DROP) -> int | None:
    """Step at which the drop-threshold variant turns from magnitude to reallocation: the one after the first drop > `drop`.

    reference  : accuracy of the dense network, accuracies : after each magnitude step. Both on the tuning split.
    Returns None where no step has dropped so far. A drop of exactly `drop` is allowed, whatever the last binary digit.
    Source: methods/mp-pruning 1.10.
    """
    drops = (round(reference - found, 12) > drop for found in accuracies)
    return next((step + 1 for step, beyond in enumerate(drops) if beyond), None)


METHODS = (
    Method("ser", "spectral edge budgeting, then the weights that moved most return", ser, ("sparsity",), ("movements",)),
    Method(
        "hybrid",
        "magnitude at low sparsity, ser beyond",
        partial(ser, first=FIRST_REALLOCATED),
        ("sparsity",),
        ("movements",),
    ),
)
