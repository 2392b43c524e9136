"""The ladder of a pair: every bound this version knows, and the edges a theorem puts between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from certify.bounds.layers import steps
from certify.bounds.measured import both_ends
from certify.bounds.norms import norms
from certify.bounds.objective import mask_objective, proved_account, universal_objective
from certify.bounds.proved import ProvedPath, prove
from certify.bounds.resolved import ResolvedPath, resolve
from certify.bounds.rungs.layers import layer_edges, layer_rungs
from certify.bounds.rungs.measured import measured_rungs
from certify.bounds.rungs.norms import norm_edges, norm_rungs, norms_in_words
from certify.bounds.rungs.proved import proved_edges, proved_rungs
from certify.bounds.rungs.resolved import resolved_edges, resolved_rungs
from certify.networks.loading import State
from certify.records import Bound, Edge, Ladder, Pair, Plan, Refused, Target
from certify.records.recipe import BoundsRecipe


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
    tell("path", 0.0)
    ends = both_ends(model, reference, shipped, images, labels)
    classes, error = ends.classes, ends.error
    path = resolve(
        ends.segment,
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
    constants: Mapping[str, float] = {}
    notes = [_resolution(path)]
    if settings.proved:
        more = _proved(model, reference, shipped, images, classes, settings, tell)
        rungs, edges, notes, constants = rungs + more[0], edges + more[1], notes + more[2], more[3]
    if labels is None:
        notes.append("no labels: the class of each sample is the reference's own decision")
    taken = None
    if plan is not None and settings.layers:
        taken = steps(model, reference, shipped, images, classes, plan, targets, settings, tell)
        rungs += layer_rungs(path, classes, taken)
        edges += layer_edges()
        rows = tuple(_with_constant(row, constants) for row in taken.rows)
        notes.append("layer steps are taken in module order, each in the network where the earlier steps are made (T5.8)")
    if plan is not None and taken is not None and all(edit.values is None for edit in plan.edits):
        objective = mask_objective(rows, rungs, settings)
    else:
        objective = universal_objective(reference, shipped, targets, rungs, settings)
    for rung in rungs:
        if rung.quantity == "ce_proved_pairwise":
            objective["proved"] = proved_account(reference, shipped, targets, rung.asked, settings)
    return Ladder(pair, split, tuple(samples), tuple(rungs), tuple(edges), rows, objective, tuple(notes))


def _resolution(path: ResolvedPath) -> str:
    left = int(np.sum(~path.converged))
    said = f"path resolved at orders {int(path.order.min())} to {int(path.order.max())}"
    return said + (f"; {left} of {len(path.order)} samples still moved at the highest order" if left else "")


def _proved(
    model: nn.Module,
    reference: State,
    shipped: State,
    images: Tensor,
    classes: np.ndarray,
    settings: BoundsRecipe,
    tell: Callable[[str, float], None],
) -> tuple[list[Bound], list[Edge], list[str], Mapping[str, float]]:
    """Rungs of tier `proved` on the first samples, their edges, notes and L_s by layer; road auto may find none."""
    first = images[: settings.proved]
    rungs: list[Bound] = []
    edges: list[Edge] = []
    notes: list[str] = []
    constants: dict[str, float] = {}
    try:
        path = prove(
            model,
            reference,
            shipped,
            first,
            labels=classes[: len(first)],
            road=settings.road,
            progress=lambda done, count: tell("proof", done / count),
        )
        rungs, edges, notes = proved_rungs(path, len(images)), proved_edges(path), [_proof(path)]
        by_norms = norms(model, reference, shipped, first)
        rungs, edges = rungs + norm_rungs(by_norms, len(images)), edges + norm_edges()
        notes.append(norms_in_words(by_norms))
        constants = dict(zip(by_norms.layers, by_norms.lipschitz.tolist(), strict=True))
    except Refused as refusal:
        if settings.road != "auto" and not rungs:
            raise
        notes.append(f"{'by norms ' if rungs else ''}nothing proved: {refusal}")
    return rungs, edges, notes, constants


def _with_constant(row: Mapping[str, Any], constants: Mapping[str, float]) -> Mapping[str, Any]:
    """L_s of the paper, largest norm to largest norm: sqrt(rows tokens) times that from l2, where it is known."""
    known = constants.get(row["target"], np.inf) * np.sqrt(row["rows"] * row["tokens"]) * (1 + 1e-12)
    return {**row, "lipschitz_proved": float(known)} if np.isfinite(known) else row


def _proof(path: ProvedPath) -> str:
    count, vacuous = len(path.logits), int(np.sum(~np.isfinite(path.change).all(axis=1)))
    said = f"proved rungs by the {path.road} road on the first {count} samples, each alone"
    return f"{said}; VACUOUS on {vacuous} of them" if vacuous else said
