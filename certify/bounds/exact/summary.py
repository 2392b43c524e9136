"""What a tube around the logits says of their extent and their variation, rounded outward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from certify.bounds.exact.tubes import Tube, outward
from certify.theory._arrays import Array
from certify.theory.outward._rounding import UNIT


class Extent(NamedTuple):
    """change (K,): max |z_k - z*_k|; pairwise (K,): max |(z_j - z_C) - (z*_j - z*_C)|, 0 at j = C. From above."""

    change: Array
    pairwise: Array


class Variation(NamedTuple):
    """variation (K,): int |z_k'|; pairwise (K,): int |z_j' - z_C'|; max_norm: int max_k |z_k'|; oscillation:
    int (max_j z_j' - min_j z_j'). From above."""

    variation: Array
    pairwise: Array
    max_norm: Array
    oscillation: Array


def extent(tube: Tube, label: int, anchor: Array, error: Array) -> Extent:
    """How far the logits get from z*, which is within `error` (K,) of `anchor` (K,).

    A straight line is farthest at an end: max over the knots of |c_k - anchor_k|, plus rem of the interval and the error.
    """
    off = tube.centre - anchor
    size = np.abs(off)
    # The difference of two rounded differences is off by less than 4 u of their sizes.
    pair = np.abs(off - off[:, [label]]) + 4 * UNIT * (size + size[:, [label]])
    both = tube.rem + tube.rem[:, [label]] + (error + error[label])
    change = outward((_larger_end(size) + tube.rem + error).max(axis=0), 8)
    pairwise = outward((_larger_end(pair) + both).max(axis=0), 8)
    pairwise[label] = 0.0
    return Extent(change, pairwise)


def lower_extent(tube: Tube) -> Array:
    """(K,) numbers below max |z_k - z_k(1)|: the largest at a knot, less the errors there, and at least 0."""
    size = np.abs(tube.centre - tube.centre[-1])[:-1] * (1.0 - 8 * UNIT)
    errors = outward(tube.rem + tube.rem[-1], 8)
    return np.maximum((size - errors).max(axis=0) * (1.0 - 8 * UNIT), 0.0)


def variation(tube: Tube, label: int) -> Variation:
    """Integrals over the segment: the steps of the centre from knot to knot, plus the drift.

    |z_k'| <= |c_k'| + |e_k|, max_k |z_k'| <= max_k |c_k'| + sum_k |e_k|, and max z' - min z' <= max c' - min c' + sum_k |e_k|, as
    the two extremes of e belong to different classes.
    """
    step = np.diff(tube.centre, axis=0)
    size, count = np.abs(step), len(step)
    pair = np.abs(step - step[:, [label]]) + 4 * UNIT * (size + size[:, [label]]) + tube.drift + tube.drift[:, [label]]
    largest = size.max(axis=1)
    spread = step.max(axis=1) - step.min(axis=1) + 8 * UNIT * largest
    drift = tube.drift.sum(axis=1)
    pairwise = outward(pair.sum(axis=0), count)
    pairwise[label] = 0.0
    return Variation(
        variation=outward((size + tube.drift).sum(axis=0), count),
        pairwise=pairwise,
        max_norm=outward((largest + drift).sum(axis=0), count + step.shape[1]),
        oscillation=outward((spread + drift).sum(axis=0), count + step.shape[1]),
    )


def _larger_end(values: Array) -> Array:
    return np.maximum(values[:-1], values[1:])
