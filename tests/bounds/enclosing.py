"""What tests of enclosures share: how far an evaluation lies outside of what is stated."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from certify.bounds.enclosed import Enclosure
from certify.networks.segment import Segment


def spread_over(found: Enclosure, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre and remainder (classes,) that are stated at a theta."""
    piece = int(np.argmax(np.abs(found.mid - theta) <= found.half * (1 + 1e-12)))
    u = (theta - found.mid[piece]) / found.half[piece]
    return (u ** np.arange(found.coef.shape[1])) @ found.coef[piece], found.rem[piece]


def inside(found: Enclosure, segment: Segment, image: Tensor, thetas: np.ndarray) -> float:
    """Largest excess over the stated remainder, in float64 evaluations; those have errors of about 1e-14."""
    worst = -math.inf
    for theta in thetas:
        centre, rem = spread_over(found, float(theta))
        excess = np.abs(centre - segment.logits(image[None], float(theta))[0]) - rem
        worst = max(worst, float(excess.max()))
    return worst
