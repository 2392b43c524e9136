"""Scores of the weights alone, and of weights and input moments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from certify.pruning.masks import keep_largest
from certify.pruning.method import Made, Method, Request, by_scores


def magnitude(request: Request, *, scope: str = "global") -> Made:
    """Score |w|."""
    return by_scores(request, {name: np.abs(weight) for name, weight in request.weights.items()}, scope=scope)


def scaled_magnitude(request: Request) -> Made:
    """Score |w| / std of the layer's weights: global magnitude without the layers' scales. A layer of equal weights keeps |w|."""

    def score(weight: np.ndarray) -> np.ndarray:
        spread = weight.std()
        return np.abs(weight) / (spread if spread > 0 else 1.0)

    return by_scores(request, {name: score(weight) for name, weight in request.weights.items()})


def lamp(request: Request) -> Made:
    """Score w^2 / (sum of the layer's w'^2 with |w'| >= |w|); of equal magnitudes the earlier is counted as the smaller.

    Global: a layer's largest weight has score 1, so no layer is emptied before every layer is down to one weight.
    Source: Lee et al. 2021 (layer-adaptive magnitude-based pruning).
    """

    def score(weight: np.ndarray) -> np.ndarray:
        squares = np.square(weight.reshape(-1))
        ascending = np.argsort(squares, kind="stable")
        tails = np.cumsum(squares[ascending][::-1])[::-1]
        found = np.zeros(squares.size)
        found[ascending] = np.divide(squares[ascending], tails, out=np.zeros(squares.size), where=tails > 0)
        return found.reshape(weight.shape)

    return by_scores(request, {name: score(weight) for name, weight in request.weights.items()})


def wanda(request: Request, *, scope: str = "row") -> Made:
    """Score |w_ij| sqrt(mean v_j^2), compared within each row as published.

    Of tokens a row reads, the mean stands for the published sum; the factor is common to a row.
    Source: Sun et al. 2023 (Wanda); EMP-T11 with p = 2 gives its certificate.
    """
    scores = {name: np.abs(weight) * np.sqrt(request.evidence.part("moments", name)) for name, weight in request.weights.items()}
    return by_scores(request, scores, scope=scope)


def random(request: Request, *, scope: str = "global") -> Made:
    """Score drawn uniformly from the request's seed: the control that every method must beat."""
    generator = np.random.default_rng(request.seed)
    return by_scores(request, {name: generator.random(weight.shape) for name, weight in request.weights.items()}, scope=scope)


def overlap(request: Request, kept: Mapping[str, np.ndarray], sparsity: float) -> float:
    """Share of the entries that `kept` removes which global magnitude at `sparsity` removes too; 1 where nothing is removed.

    Near 1 a method that calls itself another one is magnitude.
    """
    plain = keep_largest({name: np.abs(weight) for name, weight in request.weights.items()}, sparsity)
    removed = sum(int(np.sum(~mask)) for mask in kept.values())
    shared = sum(int(np.sum(~mask & ~plain[name])) for name, mask in kept.items())
    return shared / removed if removed else 1.0


METHODS = (
    Method("magnitude", "largest |w|, over all layers, each layer or each row", magnitude),
    Method("scaled-magnitude", "largest |w| / std of the layer", scaled_magnitude),
    Method("lamp", "layer-adaptive magnitude", lamp),
    Method("random", "a seeded random choice: the control", random),
    Method("wanda", "largest |w| times the root mean square of its input", wanda, needs=("moments",)),
)
