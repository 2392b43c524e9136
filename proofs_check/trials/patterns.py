"""Trials of k:n patterns: costs by their definition, sample by sample, against the quadratic forms."""

from __future__ import annotations

import itertools
import math

import numpy as np

from certify.theory import budget as layer
from certify.theory import patterns
from proofs_check.trials.core import Field, Side, Trial

WEIGHT = Field("weights, one axis for the group and one within it", ("rows", "groups", "width"))
KEEP = Field("k of the pattern k:n", kind="whole", low=1, high=4)


def _possible(keep, weight, **_):
    return {"k <= n": keep <= weight.shape[2]}


def _pattern(weight, keep, choice):
    """A mask made of `keep_patterns`, and the mask of the k largest; each with one entry flipped."""
    rows, groups, n = weight.shape
    masks = patterns.keep_patterns(keep, n)
    yield Side("number of masks of one group", len(masks), math.comb(n, keep), True)
    yield Side("no mask twice", len({tuple(mask) for mask in masks}), len(masks), True)
    chosen = masks[choice % len(masks)].reshape(rows, groups * n)
    largest = np.zeros(weight.shape, dtype=bool)
    np.put_along_axis(largest, np.argsort(-np.abs(weight), axis=2, kind="stable")[:, :, :keep], True, axis=2)
    for name, kept in (("one of the list", chosen), ("the largest", largest.reshape(rows, -1))):
        counts = [sum(row[g * n : (g + 1) * n]) == keep for row in kept.tolist() for g in range(groups)]
        legal = patterns.is_pattern(kept, keep, n)
        yield Side(f"{name}: legal if and only if every group keeps k", float(all(counts)), float(legal), True)
        yield Side(f"{name}: density k / n", float(kept.mean()), keep / n, True)
        kept[0, 0] = ~kept[0, 0]
        yield Side(f"{name}: one entry flipped is not legal", 0.0, -float(patterns.is_pattern(kept, keep, n)), True)


def _speed(dense, saved):
    yield Side("dense over executed", dense / (dense - saved), patterns.theoretical_speedup(saved / dense), True)


def _plain_cost(weights, inputs, mask):
    """Mean over x of the square of what one group of one row loses."""
    gone = [j for j, stays in enumerate(mask) if not stays]
    return math.fsum(math.fsum(weights[j] * x[j] for j in gone) ** 2 for x in inputs) / len(inputs)


def _scale(weight, inputs):
    return float((np.abs(inputs).max(axis=0) * np.abs(weight)).sum(axis=(1, 2)).max() ** 2)


def _cost(weight, keep, inputs):
    rows, groups, n = weight.shape
    flat, moments = weight.reshape(rows, -1), patterns.group_moments(inputs.reshape(len(inputs), -1), n)
    masks = [[j in kept for j in range(n)] for kept in itertools.combinations(range(n), keep)]
    costs, scale = patterns.group_costs(flat, moments, np.array(masks)), _scale(weight, inputs)
    best = patterns.cheapest_masks(flat, moments, keep)
    yield Side("the chosen mask is legal", 1.0, float(patterns.is_pattern(best, keep, n)), True)
    for i, g in itertools.product(range(rows), range(groups)):
        plain = [_plain_cost(weight[i, g], inputs[:, g], mask) for mask in masks]
        for p, cost in enumerate(plain):
            yield Side(f"row {i}, group {g}, mask {p}: r' C r = mean of squares", cost, costs[i, g, p], True, scale)
        taken = _plain_cost(weight[i, g], inputs[:, g], best[i, g * n : (g + 1) * n])
        yield Side(f"row {i}, group {g}: no mask is cheaper", taken, min(plain), scale=scale)
        yield Side(f"row {i}, group {g}: costs are >= 0", 0.0, costs[i, g].min())


def _link(weight, kept, inputs, lipschitz):
    """R is what the mask removes, any mask; `inputs` are tokens of samples."""
    rows, groups, n = weight.shape
    removed = np.where(kept, 0.0, weight)
    samples, tokens = inputs.shape[:2]
    vectors = inputs.reshape(samples * tokens, groups, n)
    moments = patterns.group_moments(vectors.reshape(len(vectors), -1), n)
    flat, nothing = removed.reshape(rows, -1), np.zeros((1, n), dtype=bool)
    costs = patterns.group_costs(flat, moments, nothing)[:, :, 0]
    sent = np.einsum("rgi,xgi->xr", removed, vectors)
    energies, scale = (sent**2).mean(axis=0), _scale(weight, vectors)
    upper = patterns.row_energy_upper(costs)
    for i in range(rows):
        yield Side(f"row {i}: (R C R')_ii <= G sum_g c", energies[i], upper[i], scale=scale)
    paid = layer.budget(lipschitz, layer.data_path_size(flat, inputs.reshape(samples, tokens, -1)))
    most, lost = float(lipschitz.max()), 1e-140  # squares of smaller outputs underflow
    scale = most * max(math.sqrt(scale), lost)
    exact, grouped = (patterns.budget_upper_by_energy(most, e, tokens) for e in (energies, upper))
    yield Side("B <= 2 L sqrt(P tr R C R')", paid, exact, scale=scale)
    yield Side("tr R C R' <= G sum c", exact, grouped, scale=scale)


SMALL = {"rows": (1, 3), "groups": (1, 3), "width": (1, 4), "samples": (1, 3), "tokens": (1, 3)}

TRIALS = (
    Trial(
        "P3-kn",
        {"weight": WEIGHT, "keep": KEEP, "choice": Field("which mask each group takes", ("rows", "groups"), kind="whole", low=0)},
        lambda **i: list(_pattern(**i)),
        _possible,
        SMALL,
    ),
    Trial(
        "P3-mac",
        {
            "dense": Field("multiply-adds of the dense network", kind="whole", low=1),
            "saved": Field("multiply-adds saved", kind="whole", low=0),
        },
        lambda **i: list(_speed(**i)),
        lambda dense, saved: {"some multiply-adds are left": saved < dense},
    ),
    Trial(
        "P3-cast",
        {"weight": WEIGHT, "keep": KEEP, "inputs": Field("calibration vectors", ("samples", "groups", "width"))},
        lambda **i: list(_cost(**i)),
        _possible,
        SMALL,
    ),
    Trial(
        "X30-cast-link",
        {
            "weight": WEIGHT,
            "kept": Field("1 where the weight stays", ("rows", "groups", "width"), kind="mask"),
            "inputs": Field("tokens of every sample", ("samples", "tokens", "groups", "width")),
            "lipschitz": Field("L_s of each sample", ("samples",), low=0.0),
        },
        lambda **i: list(_link(**i)),
        ranges=SMALL,
    ),
)
