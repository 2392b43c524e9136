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
from certify.bounds.proved_rungs import proved_edges, proved_rungs
from certify.bounds.resolved import ResolvedPath, resolve
from certify.networks.loading import State
from certify.networks.segment import Segment
from certify.records import Bound, Edge, Ladder, Pair, Plan, Refused, Target
from certify.records.recipe import BoundsRecipe
from certify.theory import cross_entropy as ce
from certify.theory import margins
from certify.theory.budget import telescoped
from certify.theory.elastic_net import break_even_l2, entrywise_l1, frobenius_squared, is_improvement

SEMANTICS = "float64 network evaluations with the stored weights, CPU"
MODEL = "removed weights modelled as independent Gaussian noise; they are not (F15)"


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
    rungs = [*_logit_rungs(path, error), *_nat_rungs(path, classes, error), *_decision_rungs(path, classes, error)]
    edges = _edges()
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
        rungs += _layer_rungs(path, classes, taken)
        edges += _layer_edges()
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


def _rung(
    quantity: str, label: str, unit: str, claim: str, upper: np.ndarray, tolerance: np.ndarray | float, **more: Any
) -> Bound:
    return Bound(
        quantity=quantity,
        label=label,
        unit=unit,
        tier="resolved",
        semantics=MODEL if more.get("modelled") else SEMANTICS,
        claim=claim,
        upper=upper,
        tolerance=np.broadcast_to(tolerance, np.shape(upper)),
        **more,
    )


def _logit_rungs(path: ResolvedPath, error: np.ndarray) -> list[Bound]:
    change = path.shipped - path.reference
    size, oscillation = np.abs(change).max(axis=1), change.max(axis=1) - change.min(axis=1)
    return [
        _rung("logit_change", "largest logit change, measured", "logit", "X8-path-variation", size, 2 * error, lower=size),
        _rung(
            "path_change",
            "largest logit change anywhere on the segment, resolved",
            "logit",
            "X8-path-variation",
            path.change.max(axis=1),
            path.change_error.max(axis=1),
        ),
        _rung("path_variation", "path variation", "logit", "X8-path-variation", path.max_norm, path.max_norm_error),
        _rung("path_speed", "largest speed on the path", "logit", "X9-best-L", path.speed_sup, path.speed_sup_error),
        _rung(
            "logit_oscillation",
            "spread of the logit change, measured",
            "logit",
            "X2-ce-pairwise",
            oscillation,
            4 * error,
            lower=oscillation,
        ),
        _rung(
            "path_oscillation",
            "path variation of the spread",
            "logit",
            "X8-path-variation",
            path.oscillation,
            path.oscillation_error,
        ),
    ]


def _nat_rungs(path: ResolvedPath, classes: np.ndarray, error: np.ndarray) -> list[Bound]:
    change = ce.cross_entropy(path.shipped, classes) - ce.cross_entropy(path.reference, classes)
    log_p, log_not_p = ce.log_probabilities(path.reference, classes)
    pairwise_error = path.pairwise_error.max(axis=1)
    # Each bound is 1-Lipschitz in pi and omega, 2-Lipschitz in eta.
    return [
        _rung("ce_change", "cross-entropy increase, measured", "nat", "L5.1-ce-path", change, 4 * error, lower=change),
        _rung(
            "ce_pairwise",
            "pairwise bound (X2)",
            "nat",
            "X2-ce-pairwise",
            ce.increase_upper_pairwise(path.reference, classes, path.pairwise),
            pairwise_error,
        ),
        _rung(
            "ce_oscillation",
            "oscillation bound (X2)",
            "nat",
            "X2-ce-pairwise",
            ce.increase_upper_oscillation(log_p, log_not_p, path.oscillation),
            path.oscillation_error,
        ),
        _rung(
            "ce_sharp",
            "sharp bound (X1)",
            "nat",
            "X1-ce-sharp",
            ce.increase_upper(log_p, log_not_p, path.max_norm),
            2 * path.max_norm_error,
        ),
        _rung(
            "ce_published",
            "the paper's 2 eta (L5.1)",
            "nat",
            "L5.1-ce-path",
            ce.increase_published(path.max_norm),
            2 * path.max_norm_error,
        ),
        _rung("ce_gain", "cross-entropy decrease, measured", "nat", "L5.1-ce-path", -change, 4 * error, lower=-change),
        _rung(
            "ce_gain_sharp",
            "sharp bound on the decrease (X1)",
            "nat",
            "X1-ce-sharp",
            -ce.increase_lower(log_p, log_not_p, path.max_norm),
            2 * path.max_norm_error,
        ),
    ]


def _decision_rungs(path: ResolvedPath, classes: np.ndarray, error: np.ndarray) -> list[Bound]:
    before, after = margins.true_margin(path.reference, classes), margins.true_margin(path.shipped, classes)
    predicted = margins.predicted_margin(path.reference)
    eta = path.max_norm + path.max_norm_error + error
    pairwise = path.pairwise + path.pairwise_error + 2 * error[:, None]
    loses = ((before > 0) & (after <= 0)).astype(float)
    moved = (path.reference.argmax(axis=1) != path.shipped.argmax(axis=1)).astype(float)
    rungs = (
        ("loses_decision", "correct before, wrong after, measured", "X5-margin-signed", loses),
        (
            "may_lose_pairwise",
            "may lose, pairwise margins (X6)",
            "X6-margin-pairwise",
            margins.may_lose_pairwise(path.reference, classes, pairwise),
        ),
        ("may_lose_signed", "may lose, signed margins (X5)", "X5-margin-signed", margins.may_lose(before, eta)),
        (
            "may_change_published",
            "may change, the paper's margins (C5.2)",
            "C5.2-margin",
            margins.may_change_published(before, eta),
        ),
        ("changes_label", "decision differs, measured", "C5.2-margin", moved),
        ("may_change_label", "decision may differ (C5.2)", "C5.2-margin", ~margins.predicted_label_stable(predicted, eta)),
    )
    return [_rung(name, label, "decision", claim, np.asarray(value, dtype=float), 0.0) for name, label, claim, value in rungs]


def _edges() -> list[Edge]:
    lipschitz = ("the logits are Lipschitz along the segment",)
    return [
        Edge("logit_change", "path_change", "X8-path-variation"),
        Edge("path_change", "path_variation", "X8-path-variation", lipschitz),
        Edge("path_variation", "path_speed", "X9-best-L", lipschitz),
        Edge("logit_oscillation", "path_oscillation", "X8-path-variation", lipschitz),
        Edge("ce_change", "ce_pairwise", "X2-ce-pairwise", lipschitz),
        Edge("ce_pairwise", "ce_oscillation", "X2-ce-pairwise"),
        Edge("ce_oscillation", "ce_sharp", "X2-ce-pairwise"),
        Edge("ce_sharp", "ce_published", "X1-ce-sharp"),
        Edge("ce_gain", "ce_gain_sharp", "X1-ce-sharp", lipschitz),
        Edge("ce_gain_sharp", "ce_sharp", "X1-ce-sharp"),
        Edge("loses_decision", "may_lose_pairwise", "X6-margin-pairwise", lipschitz),
        Edge("may_lose_pairwise", "may_lose_signed", "X5-margin-signed"),
        Edge("may_lose_signed", "may_change_published", "C5.2-margin"),
        Edge("changes_label", "may_change_label", "C5.2-margin", lipschitz),
    ]


def _layer_rungs(path: ResolvedPath, classes: np.ndarray, taken: Steps) -> list[Bound]:
    log_p, log_not_p = ce.log_probabilities(path.reference, classes)
    variation, speed = telescoped(taken.variation), telescoped(taken.speed)
    variation_error, speed_error = taken.variation_error.sum(axis=0), taken.speed_error.sum(axis=0)
    gauss = taken.gauss.sum(axis=0)
    paper = "the paper's budget with the X9(b) value of L_s"
    return [
        _rung(
            "layer_variation",
            "sum of single-layer variations",
            "logit",
            "ESM1-C1.3-multilayer-margin",
            variation,
            variation_error,
        ),
        _rung("layer_speed", f"{paper}, halved", "logit", "D5.0-budget", speed, speed_error),
        _rung(
            "layer_gauss",
            "Gaussian model of the removed weights, halved",
            "logit",
            "C5.10-gauss-budget",
            gauss,
            0.0,
            modelled=True,
        ),
        _rung(
            "ce_layers",
            "sharp bound over layers (X14c)",
            "nat",
            "X14-multilayer",
            ce.increase_upper(log_p, log_not_p, variation),
            2 * variation_error,
        ),
        _rung("ce_budget", paper, "nat", "D5.0-budget", 2 * speed, 2 * speed_error),
        _rung("ce_gauss", "Gaussian model of the removed weights", "nat", "C5.10-gauss-budget", 2 * gauss, 0.0, modelled=True),
    ]


def _layer_edges() -> list[Edge]:
    intermediate = (
        "each step is taken in the network where the earlier steps are made",
        "the logits are Lipschitz along each step",
    )
    model = ("the removed weights are independent Gaussian noise",)
    return [
        Edge("logit_change", "layer_variation", "ESM1-C1.3-multilayer-margin", intermediate),
        Edge("layer_variation", "layer_speed", "X9-best-L"),
        Edge("layer_speed", "layer_gauss", "C5.10-gauss-budget", model, asserted=False),
        Edge("ce_change", "ce_layers", "X14-multilayer", intermediate),
        Edge("ce_layers", "ce_budget", "X1-ce-sharp"),
        Edge("ce_budget", "ce_gauss", "C5.10-gauss-budget", model, asserted=False),
    ]


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
