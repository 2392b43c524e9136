"""Splitting a count over layers so that the sum of their costs is least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from certify.records import Refused

Array = np.ndarray


@dataclass(frozen=True)
class Split:
    """How many entries each layer loses, and how good that is.

    counts : (layers,) with the wanted sum.
    cost   : sum of the given curves at these counts, linear between their points.
    hull   : the same for their lower convex hulls, which this split minimises exactly.
    dual   : max over prices of the Lagrangian: no split of this total costs less, on the hulls or on the curves.
    price  : cost of one entry more, at the margin.
    """

    counts: tuple[int, ...]
    cost: float
    hull: float
    dual: float
    price: float


def split_budget(curves: Sequence[tuple[Array, Array]], total: int) -> Split:
    """Counts n_l with sum n_l = total that minimise the sum of convex piecewise linear costs.

        min sum_l c_l(n_l)   subject to   sum_l n_l = total,  0 <= n_l <= N_l

    curves : per layer (points, costs): whole counts rising from 0 to N_l, and the cost at each. Costs that are not convex are
             replaced by their lower convex hull; `Split.cost` is then what the curves themselves say.
    total  : in 0..sum N_l.
    Segments of all hulls are bought in order of slope, so the last one bought sets the price and every count is whole. The dual
    value is sum_l min_n (c_l(n) - price n) + price total; on the hulls it equals the primal one.
    """
    hulls = [_hull(np.asarray(points), np.asarray(costs, dtype=np.float64)) for points, costs in curves]
    most = sum(int(points[-1]) for points, _ in hulls)
    if not 0 <= total <= most:
        raise Refused(f"split: {total} entries are to go, the layers hold {most}")
    segments = sorted(
        ((prices[k + 1] - prices[k]) / (points[k + 1] - points[k]), layer, k)
        for layer, (points, prices) in enumerate(hulls)
        for k in range(len(points) - 1)
    )
    counts, left, price = [0] * len(hulls), total, segments[0][0] if segments else 0.0
    for slope, layer, k in segments:
        if not left:
            break
        points = hulls[layer][0]
        step = min(left, int(points[k + 1] - points[k]))
        counts[layer], left, price = counts[layer] + step, left - step, slope
    cost = sum(float(np.interp(n, points, prices)) for n, (points, prices) in zip(counts, curves, strict=True))
    hull = sum(float(np.interp(n, points, prices)) for n, (points, prices) in zip(counts, hulls, strict=True))
    dual = sum(float(np.min(prices - price * points)) for points, prices in hulls) + price * total
    return Split(tuple(counts), cost, hull, dual, float(price))


def rising(points: Array, costs: Array) -> Array:
    """Costs whose slopes never fall: each step is at least as steep as the steepest before it. Never below the given costs.

    For measured costs that saturate, as they do when a layer is nearly gone and there is nothing left to change.
    """
    steps = np.diff(points)
    slopes = np.maximum.accumulate(np.diff(costs) / steps)
    return costs[0] + np.concatenate([[0.0], np.cumsum(slopes * steps)])


def _hull(points: Array, costs: Array) -> tuple[Array, Array]:
    """Lower convex hull of a curve, its ends included."""
    if points.ndim != 1 or points.shape != costs.shape or points[0] != 0 or np.any(np.diff(points) <= 0):
        raise Refused("split: a curve is (points, costs) with points rising from 0")
    kept: list[int] = []
    for k in range(len(points)):
        while len(kept) > 1 and _above(points, costs, kept[-2], kept[-1], k):
            kept.pop()
        kept.append(k)
    return points[kept], costs[kept]


def _above(points: Array, costs: Array, a: int, b: int, c: int) -> bool:
    """Whether point b lies on or above the line from a to c."""
    return (costs[b] - costs[a]) * (points[c] - points[a]) >= (costs[c] - costs[a]) * (points[b] - points[a])
