"""Rungs by norms: what the paper's L_s costs where it is proved, and what a box of weights costs."""

from __future__ import annotations

import numpy as np

from certify.bounds.norms import NormBounds
from certify.bounds.rungs.proved import proved_rung
from certify.records import Bound, Edge


def norm_rungs(found: NormBounds, samples: int) -> list[Bound]:
    """Rungs of the first samples of a ladder of `samples`, inf beyond."""
    return [
        proved_rung(samples, "norms_change", "products of operator norms, proved L_s", "logit", "D5.0-layer", found.change),
        proved_rung(samples, "box_change", "every weight on its own, by intervals", "logit", "X8-path-variation", found.box),
    ]


def norm_edges() -> list[Edge]:
    return [Edge("path_change", "norms_change", "D5.0-layer"), Edge("path_change", "box_change", "X8-path-variation")]


def norms_in_words(found: NormBounds) -> str:
    """What the proved constants are, for the notes of a ladder."""
    worst = int(np.argmax(found.lipschitz)) if len(found.lipschitz) else -1
    if worst < 0:
        return "no layer moves"
    return f"proved L_s by products of norms: up to {found.lipschitz[worst]:.3g}, behind {found.layers[worst]}"
