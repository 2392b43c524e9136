"""Channels kept by scores: per layer or from one pool, and which scorers must keep the same ones before anything is evaluated.

Source: methods/selection-plateau.md 1.1, 1.4, 1.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from certify.pruning.units import kept_count
from certify.records import Refused, Usage
from certify.theory.rank_monotone import cut_is_clean, is_rank_monotone, separates_top, top_mask

ALLOCATIONS = ("per-layer", "global")
TIES = ("base", "index")
PerLayer = Sequence[np.ndarray]


def keep(
    scores: PerLayer, base: PerLayer, sparsity: float, *, allocation: str = "per-layer", ties: str = "base"
) -> list[np.ndarray]:
    """The channels that stay, (n_l,) bool a layer.

    scores     : (n_l,) a layer, without NaN; the largest stay.
    base       : (n_l,) base scores; they decide ties, then the position does. ties = "index" lets the position decide alone.
    allocation : the same share of each layer, or the best of one pool over all layers. What a pool sees is what is given: raw
                 scores, or functions of each layer's ranks.
    """
    if allocation not in ALLOCATIONS:
        raise Usage(f"allocation = {allocation!r} is none of {', '.join(ALLOCATIONS)}")
    if ties not in TIES:
        raise Usage(f"ties = {ties!r} is none of {', '.join(TIES)}")
    if [len(layer) for layer in scores] != [len(layer) for layer in base] or not len(scores):
        raise Refused(f"scores of {[len(layer) for layer in scores]} channels for bases of {[len(layer) for layer in base]}")
    broken = base if ties == "base" else [None] * len(base)
    if allocation == "per-layer":
        return [top_mask(layer, kept_count(len(layer), sparsity), tie) for layer, tie in zip(scores, broken, strict=True)]
    pool = np.concatenate(scores)
    mask = top_mask(pool, kept_count(pool.size, sparsity), np.concatenate(base) if ties == "base" else None)
    return np.split(mask, np.cumsum([len(layer) for layer in scores])[:-1])


def mask_digest(kept: PerLayer) -> bytes:
    """16 bytes of blake2b over the packed mask of all layers."""
    return hashlib.blake2b(np.packbits(np.concatenate(kept)).tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Coincidence:
    """Scorers that keep the same channels.

    names : in the order given.
    why   : "monotone" where each is strictly rank-monotone for the base in every layer, so that they agree at every sparsity
            (SEL-T1); "cut" where each separates the base's top in every layer at this sparsity (SEL-T3); "mask" where they agree,
            and the base has another mask or ties decide; "alone" where there is one.
    """

    names: tuple[str, ...]
    why: str


def must_coincide(
    scorers: Mapping[str, PerLayer], base: PerLayer, sparsity: float, *, allocation: str = "per-layer", ties: str = "base"
) -> list[Coincidence]:
    """Which scorers must give the same network at a sparsity, said before any network is evaluated.

    What they measure on one network is one number: a spread between them is a bug or noise of a recovery.
    scorers : name -> (n_l,) scores a layer. base : (n_l,) a layer. Returns the classes in the order of their first members.
    Claims SEL-T1, SEL-T3.
    """
    classes: dict[bytes, list[str]] = {}
    for name, scores in scorers.items():
        classes.setdefault(mask_digest(keep(scores, base, sparsity, allocation=allocation, ties=ties)), []).append(name)
    return [Coincidence(tuple(names), _why(names, scorers, base, sparsity, allocation)) for names in classes.values()]


def _why(names: list[str], scorers: Mapping[str, PerLayer], base: PerLayer, sparsity: float, allocation: str) -> str:
    if len(names) == 1:
        return "alone"
    if allocation == "global":  # a pool is one comparison set with one base
        tables = [([np.concatenate(scorers[name])], [np.concatenate(base)]) for name in names]
    else:
        tables = [(scorers[name], base) for name in names]
    pairs = [(s, m) for scores, bases in tables for s, m in zip(scores, bases, strict=True)]
    if all(is_rank_monotone(s, m) for s, m in pairs):
        return "monotone"
    counts = [(s, m, kept_count(len(m), sparsity)) for s, m in pairs]
    if all(separates_top(s, m, count) and cut_is_clean(m, count) for s, m, count in counts):
        return "cut"
    return "mask"
