"""The ladder of a pair: every bound this version knows, and the edges a theorem puts between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.layers import Steps, steps
from certify.bounds.measured import evaluation_error
from certify.bounds.proved import ProvedPath, prove
from certify.bounds.resolved import ResolvedPath, resolve
from certify.bounds.rungs.layers import layer_edges, layer_rungs
from certify.bounds.rungs.measured import measured_rungs
from certify.bounds.rungs.proved import proved_edges, proved_rungs
from certify.bounds.rungs.resolved import resolved_edges, resolved_rungs
from certify.networks.loading import State
from certify.networks.segment import Segment
from certify.records import Bound, Ladder, Pair, Plan, Refused, Target
from certify.records.recipe import BoundsRecipe
from certify.theory.elastic_net import break_even_l2, entrywise_l1, frobenius_squared, is_improvement


def ladder(
    model: nn.Module,
    reference: State,
    shipped: State,
    images: Tensor,
    labels: np.ndarray | None,
    *,
    pair: Pair,
    split: str,
    samples: Sequence[str],
    settings: BoundsRecipe,
    plan: Plan | None = None,
    targets: Sequence[Target] = (),
    progress: Callable[[str, float], None] | None = None,
) -> Ladder:
    """The ladder of one pair on one set of samples.

    labels : (T,) true classes; None takes the reference's own decisions, and the ladder then speaks of those.
    plan   : with it, and `settings.layers`, the layer-by-layer part and the elastic-net account of the masks are added.
    """
    tell = progress or (lambda label, share: None)
    segment = Segment(model, reference, shipped)
    tell("path", 0.0)
    ends = segment.path(images, np.array([0.0, 1.0]))
    classes = ends[1].argmax(axis=1) if labels is None else np.asarray(labels)
    error = evaluation_error(ends, Segment(model, reference, shipped, torch.float32), images, (0.0, 1.0))
    path = resolve(
        segment,
        images,
        classes,
        tolerance=settings.tolerance,
        max_order=settings.max_order,
        evaluation=error,
        progress=lambda share: tell("path", share),
    )
    rungs = [*measured_rungs(path.reference, path.shipped, classes, error), *resolved_rungs(path, classes, error)]
    edges = resolved_edges()
    rows: tuple[Any, ...] = ()
    notes = [_resolution(path)]
    if settings.proved:
        first = images[: settings.proved]
        try:
            proven = prove(
                model,
                reference,
                shipped,
                first,
                labels=classes[: len(first)],
                road=settings.road,
                progress=lambda done, count: tell("proof", done / count),
            )
        except Refused as refusal:
            if settings.road != "auto":
                raise
            notes.append(f"nothing proved: {refusal}")
        else:
            rungs += proved_rungs(proven, len(images))
            edges += proved_edges()
            notes.append(_proof(proven))
    if labels is None:
        notes.append("no labels: the class of each sample is the reference's own decision")
    taken = None
    if plan is not None and settings.layers:
        taken = steps(model, reference, shipped, images, classes, plan, targets, settings, tell)
        rungs += layer_rungs(path, classes, taken)
        edges += layer_edges()
        rows = taken.rows
        notes.append("layer steps are taken in module order, each in the network where the earlier steps are made (T5.8)")
    if plan is not None and taken is not None and all(edit.values is None for edit in plan.edits):
        objective = _mask_objective(taken, rungs, settings)
    else:
        objective = _universal_objective(reference, shipped, targets, rungs, settings)
    return Ladder(pair, split, tuple(samples), tuple(rungs), tuple(edges), rows, objective, tuple(notes))


def _resolution(path: ResolvedPath) -> str:
    left = int(np.sum(~path.converged))
    said = f"path resolved at orders {int(path.order.min())} to {int(path.order.max())}"
    return said + (f"; {left} of {len(path.order)} samples still moved at the highest order" if left else "")


def _proof(path: ProvedPath) -> str:
    count, vacuous = len(path.logits), int(np.sum(~np.isfinite(path.change).all(axis=1)))
    said = f"proved rungs by the {path.road} road on the first {count} samples, each alone"
    return f"{said}; VACUOUS on {vacuous} of them" if vacuous else said


def _mean(rungs: Sequence[Bound], quantity: str) -> float:
    return float(np.mean(next(rung.upper + rung.tolerance for rung in rungs if rung.quantity == quantity)))


def _mask_objective(taken: Steps, rungs: Sequence[Bound], settings: BoundsRecipe) -> dict[str, Any]:
    """T5.8: does the elastic net pay for the removal? With the paper's budget, and with the sharpest rung in its place (X10)."""
    squared = sum(row["frobenius_squared"] for row in taken.rows)
    won = sum(row["reward"] for row in taken.rows)
    spent, sharpest = _mean(rungs, "ce_budget"), min(max(_mean(rungs, name), 0.0) for name in ("ce_pairwise", "ce_layers"))
    holds = is_improvement(spent, won)
    needed = break_even_l2(spent, squared)
    return {
        "form": "T5.8-multilayer",
        "l2": settings.l2,
        "l1": settings.l1,
        "reward": won,
        "budget": spent,
        "budget_sharpest": sharpest,
        "break_even_l2": needed if np.isfinite(needed) else None,
        "break_even_l2_sharpest": break_even_l2(sharpest, squared) if squared else None,
        "holds": holds,
        "holds_sharpest": is_improvement(sharpest, won),
        "tier": "resolved",
        "lipschitz_proved": "L_s not available",
        "sentence": (
            f"Elastic net with lambda2 = {settings.l2:g}, lambda1 = {settings.l1:g}: "
            f"reward {won:.4g}, the paper's budget {spent:.4g} "
            f"(proved L_s not available; X9(b) value, tier resolved). The budget is {'smaller' if holds else 'not smaller'} than "
            f"the reward; it would break even at lambda2* = {needed:.4g}, with the sharpest bound of this ladder at "
            f"{break_even_l2(sharpest, squared):.4g}."
        ),
    }


def _universal_objective(
    reference: State, shipped: State, targets: Sequence[Target], rungs: Sequence[Bound], settings: BoundsRecipe
) -> dict[str, Any]:
    """X10: any two networks; the regulariser's difference is exact up to float64 rounding."""
    squared = one = 0.0
    for target in targets:
        if target.weight in reference and not target.skipped:
            for state, sign in ((reference, 1.0), (shipped, -1.0)):
                matrix = state[target.weight].double().reshape(target.rows, target.cols).numpy()
                squared += sign * frobenius_squared(matrix)
                one += sign * entrywise_l1(matrix)
    won = settings.l2 * squared + settings.l1 * one
    spent = max(_mean(rungs, "ce_pairwise"), 0.0)
    holds = is_improvement(spent, won)
    needed = break_even_l2(spent, squared) if squared > 0 else float("inf")
    return {
        "form": "X10-universal",
        "l2": settings.l2,
        "l1": settings.l1,
        "reward": won,
        "budget": spent,
        "break_even_l2": needed if np.isfinite(needed) else None,
        "holds": holds,
        "tier": "resolved",
        "lipschitz_proved": "L_s not available",
        "sentence": (
            f"Elastic net with lambda2 = {settings.l2:g}, lambda1 = {settings.l1:g}: "
            f"the regulariser falls by {won:.4g}, the pairwise "
            f"bound on the cross-entropy increase is {spent:.4g} (tier resolved, X10). The bound is "
            f"{'smaller' if holds else 'not smaller'} than the fall"
            + (f"; it would break even at lambda2* = {needed:.4g}." if np.isfinite(needed) else "; no lambda2 pays for it.")
        ),
    }
