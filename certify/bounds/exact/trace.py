"""Where the path of one sample bends: all knots at once, layer by layer.

Between two knots every activation is a straight line. An operation with kinks adds the knots at which its own inputs cross a
kink, and all activations still in use are put on the finer grid; after the last step the logits are straight between the knots.
(Sotoudeh and Thakur call this ExactLine; one pass serves all bends, where a walk from bend to bend takes one pass for each.)
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from certify.bounds.exact.affine import Moved
from certify.bounds.exact.graph import Network, Step
from certify.bounds.exact.kinks import Kink, MaxPool
from certify.bounds.exact.tubes import Values

# Numbers held at once in one activation, unfolded.
MOST_NUMBERS = 1 << 24
# Float knots are rounded to multiples of this: kinks that coincide up to rounding become one knot. The tube does not mind.
GRID = 2.0**-50


def still(network: Network, image: Values) -> dict[int, Values]:
    """Results that do not move along the segment, from the image (1, ...) up to the moved layer and beside it."""
    found = {0: image}
    for number, step in enumerate(network.steps):
        if not step.moves:
            found[number + 1] = _applied(step, [found[source] for source in step.inputs], None)
    return found


def knots_of(network: Network, fixed: dict[int, Values], ends: Values) -> Values:
    """(m + 1,) knots on [ends[0], ends[1]], both included; halves are traced apart where one grid would be too large.

    fixed : from `still`. Fractions in give the exact knots; floats give them up to rounding, for a tube to be put around.
    """
    most = max(8, MOST_NUMBERS // network.widest)
    found = _refined(network, fixed, ends, most)
    if found is not None:
        return found
    middle = (ends[:1] + ends[1:]) / 2
    first, second = (knots_of(network, fixed, np.concatenate(pair)) for pair in ((ends[:1], middle), (middle, ends[1:])))
    return np.concatenate([first, second[1:]])


def _refined(network: Network, fixed: dict[int, Values], knots: Values, most: int) -> Values | None:
    """The knots, or None where they are more than `most` and the piece is wide enough to be halved."""
    live: dict[int, Values] = {}
    divisible = knots[1] - knots[0] > 2.0**-30
    for number, step in enumerate(network.steps):
        if not step.moves:
            continue
        if isinstance(step.operation, Kink | MaxPool):
            finer = _with_bends(knots, *step.operation.bends(live[step.inputs[0]]))
            if len(finer) > most and divisible:
                return None
            if len(finer) > len(knots):
                interval = np.clip(np.searchsorted(knots, finer, side="right") - 1, 0, len(knots) - 2)
                share = (finer - knots[interval]) / (knots[interval + 1] - knots[interval])
                live = {key: _interpolated(value, interval, share) for key, value in live.items()}
                knots = finer
        live[number + 1] = _applied(step, [live.get(source, fixed.get(source)) for source in step.inputs], knots)
        live = {key: value for key, value in live.items() if key > number or network.last_use[key] > number}
    return knots


def logits_at(network: Network, fixed: dict[int, Values], knots: Values) -> Values:
    """(m + 1, K) logits at the knots by one forward pass."""
    live: dict[int, Values] = {}
    for number, step in enumerate(network.steps):
        if step.moves:
            live[number + 1] = _applied(step, [live.get(source, fixed.get(source)) for source in step.inputs], knots)
    return live[len(network.steps)]


def _applied(step: Step, inputs: list[Any], knots: Values | None) -> Values:
    operation: Any = step.operation
    return operation.value(inputs[0], knots) if knots is not None and isinstance(operation, Moved) else operation.value(*inputs)


def _with_bends(knots: Values, interval: Values, share: Values) -> Values:
    if not len(interval):
        return knots
    left, right = knots[interval], knots[interval + 1]
    bends = left + share * (right - left)
    if not isinstance(knots[0], Fraction):
        bends = np.rint(bends / GRID) * GRID
    return np.unique(np.concatenate([knots, bends[(bends > left) & (bends < right)]]))


def _interpolated(values: Values, interval: Values, share: Values) -> Values:
    start = values[interval]
    return start + share.reshape(-1, *(1,) * (values.ndim - 1)) * (values[interval + 1] - start)
