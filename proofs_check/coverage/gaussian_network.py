"""Gaussian and sub-Gaussian noise inside a network: several layers at once, and the way to the logits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import cross_entropy
from certify.theory.gaussian import subgaussian_multiplier
from certify.theory.gaussian_network import (
    affine_tail_change,
    affine_tail_pairwise,
    multilayer_budgets,
    smooth_tail_change,
    split_delta,
    subgaussian_scale,
)
from proofs_check.checks import Check, Finding
from proofs_check.coverage.protocols import held, monte_carlo, stream, together

DELTA = 0.1
SIZES = (5, 12, 10, 3)
C = 0.5


def _forward(weights: Sequence[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """Inputs of each layer of a ReLU network, then its logits."""
    seen = [x]
    for j, w in enumerate(weights):
        out = seen[-1] @ w.T
        seen.append(np.maximum(out, 0.0) if j < len(weights) - 1 else out)
    return seen


def _three_layers(law: str, order: Sequence[int]) -> Finding:
    """Layer by layer S + R -> S: every budget of its own intermediate network, and the loss at the end.

    The split is fixed beforehand, from the structured parts alone; a draw fails when one coordinate of one R_j v exceeds
    its level. Where none does, every budget and the loss must keep their bounds.
    """
    rng, draws, samples = stream(f"layers {law} {order}"), 1200, 6
    x, labels = rng.standard_normal((samples, SIZES[0])), rng.integers(0, SIZES[-1], samples)
    kept = [rng.standard_normal((n, m)) / math.sqrt(m) for m, n in itertools.pairwise(SIZES)]
    variances = [0.04 / w.shape[0] for w in kept]
    counts = [w.shape[0] * samples for w in kept]
    foreseen = [
        subgaussian_scale(np.full(samples, _tail(kept, j)), np.linalg.norm(v, axis=1), variances[j], C)
        for j, v in enumerate(_forward(kept, x)[:-1])
    ]
    deltas = split_delta(DELTA, foreseen, counts)
    failures = broken = 0
    for _ in range(draws):
        noise = [math.sqrt(u) * _unit_variance(rng, law, w.shape) for u, w in zip(variances, kept, strict=True)]
        network = [s + r for s, r in zip(kept, noise, strict=True)]
        dense = cross_entropy(_forward(network, x)[-1], labels)
        spent, scales, beyond = np.zeros(3), np.zeros(3), False
        for j in order:
            v = _forward(network, x)[j]
            norms, constants = np.linalg.norm(v, axis=1), np.full(samples, _tail(network, j))
            sizes = data_path_size(noise[j], v[:, None])
            level = math.sqrt(variances[j]) * subgaussian_multiplier(len(noise[j]), samples, deltas[j], C)
            beyond |= bool(np.any(sizes > level * norms))
            spent[j], scales[j] = budget(constants, sizes), subgaussian_scale(constants, norms, variances[j], C)
            network[j] = kept[j]
        bounds = multilayer_budgets(scales, counts, deltas)
        change = float(np.mean(cross_entropy(_forward(network, x)[-1], labels) - dense))
        failures += beyond
        broken += not beyond and not (np.all(spent <= bounds * (1.0 + 1e-12)) and abs(change) <= bounds.sum())
    return Finding(f"{broken} draws on the event exceed a budget") if broken else held(failures, draws, DELTA, loose=True)


def _unit_variance(rng: np.random.Generator, law: str, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape) if law == "Gaussian" else rng.choice([-1.0, 1.0], shape)


def _tail(weights: Sequence[np.ndarray], layer: int) -> float:
    return math.prod(float(np.abs(w).sum(axis=1).max()) for w in weights[layer + 1 :])


def _both_orders(law: str) -> Finding:
    orders = {"input to output": (0, 1, 2), "output to input": (2, 1, 0)}
    return together({name: _three_layers(law, order) for name, order in orders.items()})


def _affine_tail() -> Finding:
    """Unit-norm rows of the head; sampled at variance 1 / n."""
    rng, draws, rows, cols, classes, samples = stream("affine-tail"), 2500, 40, 16, 5, 8
    head, v = rng.standard_normal((classes, rows)), rng.standard_normal((samples, cols))
    head /= np.linalg.norm(head, axis=1, keepdims=True)
    labels = rng.integers(0, classes, samples)
    call = {"entry_variance": 1.0 / rows, "delta": DELTA}
    norms = np.linalg.norm(v, axis=1)
    whole, pairs = affine_tail_change(head, norms, **call), affine_tail_pairwise(head, labels, norms, **call)
    noise = rng.standard_normal((draws, rows, cols)) / math.sqrt(rows)
    moves = np.einsum("kr,drs->dsk", head, noise @ v.T, optimize=True)
    relative = moves - np.take_along_axis(moves, np.broadcast_to(labels[None, :, None], (draws, samples, 1)), axis=2)
    size, gain = np.abs(moves).max(axis=2) > whole, np.abs(relative) > pairs + 1e-12
    return together(
        {
            "max norm": held(int(size.any(axis=1).sum()), draws, DELTA),
            "pairwise": held(int(gain.any(axis=(1, 2)).sum()), draws, DELTA),
        }
    )


def _smooth_tail() -> Finding:
    """z = W |u|: coordinates of u are independent Gaussians, so E z is a folded normal mean."""
    rng, draws, rows, cols, samples, deviation = stream("smooth-tail"), 2500, 30, 12, 6, 0.2
    head, kept, v = rng.standard_normal((4, rows)), rng.standard_normal((rows, cols)) / 4.0, rng.standard_normal((samples, cols))
    norms = np.linalg.norm(v, axis=1)
    centre = kept @ v.T
    spread = np.broadcast_to(deviation * norms, centre.shape)
    erf = np.vectorize(math.erf)
    folded = spread * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * (centre / spread) ** 2)
    expected = head @ (folded + centre * erf(centre / (spread * math.sqrt(2.0))))
    slope = float(np.linalg.norm(head, axis=1).max())
    bound = smooth_tail_change(slope, 4, norms, rows=rows, entry_variance=deviation**2, delta=DELTA)
    noise = deviation * rng.standard_normal((draws, rows, cols))
    logits = head @ np.abs((kept + noise) @ v.T)
    failures = int(np.any(np.abs(logits - expected).max(axis=1) > bound.deviation, axis=1).sum())
    bias = np.abs(expected - head @ np.abs(centre)).max(axis=0)
    if not np.all(bias <= bound.bias):
        return Finding(f"bias {bias.max():.3g} beyond {bound.bias.max():.3g}")
    return together({"deviation": held(failures, draws, DELTA, loose=True)})


CHECKS: tuple[Check, ...] = (
    monte_carlo(
        "layers-gauss", "three layers in both orders, Gaussian", ("ESM1-C1.5-multilayer-gauss",), lambda: _both_orders("Gaussian")
    ),
    monte_carlo(
        "layers-subgauss",
        "three layers in both orders, random signs",
        ("ESM1-C1.6-multilayer-subgauss",),
        lambda: _both_orders("signs"),
    ),
    monte_carlo("affine-tail", "logits behind an affine map", ("X20-l2-tails",), _affine_tail),
    monte_carlo("smooth-tail", "logits behind a Lipschitz map", ("X20-l2-tails",), _smooth_tail),
)
