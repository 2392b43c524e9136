"""Whole neurons by a function of one ranking: a base score, features along its rank, and weights that fuse them."""

from __future__ import annotations

import numpy as np

from certify.pruning.method import Made, Method, Request
from certify.pruning.neurons import units_of
from certify.pruning.ranking.complexity import runs_of
from certify.pruning.ranking.features import Layer, feature, fused
from certify.pruning.ranking.masks import ALLOCATIONS, keep
from certify.pruning.units import Group, groups_of, unit_edits
from certify.records import Usage

BASES = ("mean", "l2", "minmax", "act", "wanda", "taylor")


def ranked(
    request: Request,
    *,
    score: str = "mean",
    features: str = "A1=1",
    allocation: str = "per-layer",
    chaos: int = 0,
) -> Made:
    """Keep n - round(S n) neurons of each layer with the largest sum_k W_k phi_k of features of the base's rank.

    score      : the base. mean, l2: mean of the sizes of a neuron's incoming and outgoing weights; minmax: mean, scaled to [0, 1]
                 in each layer; act: root mean square activation; wanda: act times the outgoing norm; taylor: first-order answer.
    features   : NAME=WEIGHT, separated by commas; names as in `certify.pruning.ranking.features.FEATURES`. A1 alone is the base.
    allocation : per-layer, or global, one pool of fused scores.
    chaos      : seed of the chaotic features; nulls are drawn by the plan's seed.
    Monotone features with weights >= 0 keep the base's neurons, whatever they are (SEL-T1, SEL-T5); the facts count differences.
    Source: methods/selection-plateau.md 1.2 to 1.8.
    """
    if score not in BASES:
        raise Usage(f"score = {score!r} is none of {', '.join(BASES)}")
    if allocation not in ALLOCATIONS:
        raise Usage(f"allocation = {allocation!r} is none of {', '.join(ALLOCATIONS)}")
    assert request.sparsity is not None
    weights = weights_of(features)
    groups = groups_of(request, "neurons")
    bases = [base_of(request, group, score) for group in groups]
    layers = [
        Layer(base, _incoming(request, group), request.sparsity, chaos, request.seed, index)
        for index, (group, base) in enumerate(zip(groups, bases, strict=True))
    ]
    scores = [fused(np.stack([feature(name, layer) for name in weights]), list(weights.values())) for layer in layers]
    kept = keep(scores, bases, request.sparsity, allocation=allocation)
    plain = keep(bases, bases, request.sparsity)
    facts = {
        group.reader.name: {
            "kept": int(mask.sum()),
            "runs": runs_of(mask[np.argsort(layer.rank)]),
            "differs_from_base": int(np.sum(mask != other)) // 2,
        }
        for group, layer, mask, other in zip(groups, layers, kept, plain, strict=True)
    }
    masks = {group.reader.name: mask for group, mask in zip(groups, kept, strict=True)}
    return Made(unit_edits(request, groups, masks), {"units": facts})


def weights_of(features: str) -> dict[str, float]:
    """ "A1=1,B2=0.3" to {"A1": 1.0, "B2": 0.3}."""
    found: dict[str, float] = {}
    for part in features.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        try:
            found[name] = float(value)
        except ValueError:
            raise Usage(f"features = {features!r}: {part.strip()!r} is not NAME=WEIGHT") from None
        if not np.isfinite(found[name]):
            raise Usage(f"features = {features!r}: the weight of {name} is not finite")
    return found


def base_of(request: Request, group: Group, score: str) -> np.ndarray:
    """(units,) base scores of a group's neurons."""
    incoming, outgoing = _incoming(request, group), request.evidence.weights[group.reader.name]
    if score in ("mean", "l2", "minmax"):
        return base_score(score, incoming, outgoing)
    units = units_of(request, group, score)
    return base_score(score, incoming, outgoing, np.sqrt(np.mean(np.square(units.after), axis=0)), units.taylor)


def base_score(
    score: str, incoming: np.ndarray, outgoing: np.ndarray, rms: np.ndarray | None = None, taylor: np.ndarray | None = None
) -> np.ndarray:
    """(units,) scores of one layer by its base.

        mean   (mean |W_in[j]| + mean |W_out[:, j]|) / 2,  l2 the same of Euclidean norms,  minmax the mean scaled to [0, 1]
        act    RMS of the activation,  wanda  RMS ||W_out[:, j]||,  taylor  as it was collected

    incoming : (units, cols). outgoing : (rows, units). rms, taylor : (units,), of the bases that read them.
    """
    if score in ("mean", "minmax"):
        mean = (np.abs(incoming).mean(axis=1) + np.abs(outgoing).mean(axis=0)) / 2.0
        return mean if score == "mean" or np.ptp(mean) == 0 else (mean - mean.min()) / np.ptp(mean)
    if score == "l2":
        return (np.linalg.norm(incoming, axis=1) + np.linalg.norm(outgoing, axis=0)) / 2.0
    found = taylor if score == "taylor" else rms
    if found is None:
        raise Usage(f"base {score} reads what was not collected")
    return found * np.linalg.norm(outgoing, axis=0) if score == "wanda" else found


def _incoming(request: Request, group: Group) -> np.ndarray:
    """(units, cols) weights that each neuron reads with."""
    if group.writer is None:
        raise Usage(f"{group.reader.name}: the layer that writes its inputs is no target; include it")
    return request.evidence.weights[group.writer.name]


METHODS = (
    Method(
        "ranked",
        "whole neurons by features along the ranking of a base score; the share counts neurons",
        ranked,
        ("sparsity",),
        ("states",),
        by_score={"taylor": ("taylor",)},
    ),
)
