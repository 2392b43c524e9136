"""Whole units by their scores: neurons of MLP blocks and of plain MLPs, attention heads."""

from __future__ import annotations

import numpy as np

from certify.pruning.distortion.scores import Scored, Settings, Units, score_units
from certify.pruning.method import Made, Method, Request
from certify.pruning.units import Group, groups_of, kept_count, unit_edits
from certify.records import Refused, Usage

ALLOCATIONS = ("layer", "global")


def neurons(
    request: Request,
    *,
    score: str = "spectral",
    unit: str = "neurons",
    width: int = 1,
    reverse: bool = False,
    allocation: str = "layer",
    similarity: str = "pearson",
    k: int = 10,
    weight: str = "unit",
    ties: str = "index",
    form: str = "spade",
    pairs: int = 0,
    node: str = "mean",
) -> Made:
    """Remove a share of the units of each layer, those of low score: the sparsity asked for counts units, not weights.

    score      : spectral (structural distortion of arXiv:2605.18860), or a control: rms, std, magnitude, contribution, taylor,
                 random, degree, local, permuted, duplicate (`certify.pruning.distortion.scores`).
    unit       : neurons, or heads of `width` consecutive inputs of ..attn.proj.
    reverse    : the high scores go.
    allocation : round(S n) units of each layer, or one pool of scores over their layer's mean: eigenvalues of layers differ.
    similarity, k, weight, ties, form, pairs, node : of the graphs and the spectral score.
    Constant units go first, removed ones stay removed, ties go to the smaller contribution. All other targets stay whole.
    In steps without updates the scores are taken again after each (`[[plan]] steps`, `updates = false`).
    Source: methods/spectral-distortion.md; claims SSD-T1 to SSD-T8 say what the score can and cannot tell.
    """
    if allocation not in ALLOCATIONS:
        raise Usage(f"allocation = {allocation!r} is none of {', '.join(ALLOCATIONS)}")
    assert request.sparsity is not None
    settings = Settings(similarity, k, weight, ties, form, pairs, node)
    groups = groups_of(request, unit, width)
    scored = {group.reader.name: score_units(units_of(request, group, score), score, settings) for group in groups}
    kept = keep_units(scored, request.sparsity, allocation=allocation, reverse=reverse)
    facts = {name: {**found.facts, "kept": int(kept[name].sum())} for name, found in scored.items()}
    return Made(unit_edits(request, groups, kept), {"units": facts})


def keep_units(
    scored: dict[str, Scored], sparsity: float, *, allocation: str = "layer", reverse: bool = False
) -> dict[str, np.ndarray]:
    """Reader -> (units,) True where a unit stays: exactly n - round(S n) of each layer, or of all layers together."""
    if allocation == "layer":
        return {
            name: _best(found.order(reverse=reverse), kept_count(len(found.gone), sparsity)) for name, found in scored.items()
        }
    parts = list(scored.values())
    scales = [np.nanmean(np.abs(part.scores)) if np.any(np.isfinite(part.scores)) else 1.0 for part in parts]
    pool = Scored(
        np.concatenate([part.scores / (scale or 1.0) for part, scale in zip(parts, scales, strict=True)]),
        np.concatenate([part.gone for part in parts]),
        np.concatenate([part.constant for part in parts]),
        np.concatenate([part.fallback for part in parts]),
    )
    mask = _best(pool.order(reverse=reverse), kept_count(len(pool.gone), sparsity))
    ends = np.cumsum([len(part.gone) for part in parts])[:-1]
    return dict(zip(scored, np.split(mask, ends), strict=True))


def _best(order: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(len(order), dtype=bool)
    mask[order[len(order) - count :]] = True
    return mask


def units_of(request: Request, group: Group, score: str) -> Units:
    """What the evidence knows of a group's units; of a head, norms over its inputs and its dimensions as samples."""
    name, width = group.reader.name, group.width
    before, after = (_by_unit(states, width) for states in request.evidence.part("states", name))
    weights = request.evidence.weights
    producer = request.evidence.producers.get(name, "")
    if score == "magnitude" and producer not in weights:
        raise Refused(
            f"{name}: score magnitude reads the weights of {producer or 'its producer'}, which is no target; include it"
        )
    incoming = np.linalg.norm(weights[producer][-group.reader.cols :], axis=1) if producer in weights else None
    outgoing = np.linalg.norm(weights[name], axis=0)
    taylor = request.evidence.part("taylor", name) if score == "taylor" else None
    return Units(
        before,
        after,
        _norms(incoming, width) if incoming is not None else np.full(group.count, np.nan),
        _norms(outgoing, width),
        taylor.reshape(-1, width).sum(axis=1) if taylor is not None else np.full(group.count, np.nan),
        request.seed + sum(name.encode()),
    )


def _by_unit(states: np.ndarray, width: int) -> np.ndarray:
    samples, cols = states.shape
    return states.reshape(samples, cols // width, width).transpose(0, 2, 1).reshape(samples * width, cols // width)


def _norms(values: np.ndarray, width: int) -> np.ndarray:
    return np.sqrt(np.square(values).reshape(-1, width).sum(axis=1))


METHODS = (
    Method(
        "neurons",
        "whole neurons or heads by spectral distortion, or by one of its controls; the share counts units",
        neurons,
        ("sparsity",),
        ("states",),
        by_score={"taylor": ("taylor",)},
    ),
)
