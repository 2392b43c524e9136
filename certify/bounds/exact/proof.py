"""The tube around the logits of one sample, whatever knots it is given."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from certify.bounds.exact.affine import Moved
from certify.bounds.exact.graph import Network, Step
from certify.bounds.exact.trace import MOST_NUMBERS
from certify.bounds.exact.tubes import Tube
from certify.records import Refused
from certify.theory._arrays import Array


def still_tubes(network: Network, image: Array) -> dict[int, Tube]:
    """Tubes of what does not move along the segment, by number of the result. image : (1, ...), taken as exact."""
    found = {0: Tube(image, np.zeros_like(image), np.zeros_like(image))}
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for number, step in enumerate(network.steps):
            if not step.moves:
                found[number + 1] = _tube(step, [found[source] for source in step.inputs], None)
    return found


def enclose(network: Network, fixed: dict[int, Tube], knots: Array) -> Tube:
    """The logits between the knots, with every rounding accounted for.

        |z(theta) - c(theta)| <= rem,   int |z' - c'| <= drift   on each interval

    fixed : from `still_tubes`.
    knots : (m + 1,) increasing, from 0 to 1. Any will do; the rem is at rounding level where no operation bends in between.
    Returns a tube of shapes (m + 1, K), (m, K). Tier `proved` for the real-arithmetic network with the stored weights.
    """
    step = max(2, MOST_NUMBERS // (4 * network.widest))
    parts = [_piece(network, fixed, knots[i : i + step + 1]) for i in range(0, len(knots) - 1, step)]
    centre = np.concatenate([parts[0].centre[:1], *(part.centre[1:] for part in parts)])
    # A piece evaluates its first knot anew, so its first centre may differ in the last digits from the last of the piece before.
    gaps = [
        np.zeros_like(parts[0].centre[0]),
        *(np.abs(b.centre[0] - a.centre[-1]) for a, b in pairwise(parts)),
    ]
    parts = [_widened(part, gap) for part, gap in zip(parts, gaps, strict=True)]
    found = Tube(centre, np.concatenate([part.rem for part in parts]), np.concatenate([part.drift for part in parts]))
    if not all(np.all(np.isfinite(part)) for part in found):
        raise Refused("exact: the activations overflow float64; the inputs or weights are too large for a certificate")
    return found


def _widened(part: Tube, gap: Array) -> Tube:
    """The piece with its first centre moved by at most `gap` (K,)."""
    first = np.zeros(part.rem.shape)
    first[0] = 2.0 * gap
    return Tube(part.centre, part.rem + first, part.drift + first) if gap.any() else part


def _piece(network: Network, fixed: dict[int, Tube], knots: Array) -> Tube:
    live: dict[int, Tube] = {}
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for number, step in enumerate(network.steps):
            if step.moves:
                inputs = [live[source] if source in live else fixed[source] for source in step.inputs]
                live[number + 1] = _tube(step, inputs, knots)
                live = {key: value for key, value in live.items() if key > number or network.last_use[key] > number}
    return live[len(network.steps)]


def _tube(step: Step, inputs: list[Tube], knots: Array | None) -> Tube:
    operation: Any = step.operation
    return operation.tube(inputs[0], knots) if knots is not None and isinstance(operation, Moved) else operation.tube(*inputs)
