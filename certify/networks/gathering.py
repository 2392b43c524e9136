"""Evidence as it is asked for: each part from the pass that yields it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import Tensor, nn

from certify.networks.evidence import GRAM_BLOCK, STREAMED, collect
from certify.networks.hidden import OBSERVED, observe
from certify.networks.sensitivity import SENSED, sense
from certify.records import Evidence, Target, Usage


def gather(
    model: nn.Module,
    targets: Sequence[Target],
    batches: Callable[[], Iterable[Tensor]],
    *,
    split: str,
    parts: Sequence[str],
    labels: np.ndarray | None = None,
    gram_block: int = GRAM_BLOCK,
    seed: int = 0,
) -> Evidence:
    """Weights of the prunable targets and `parts` of `certify.records.PARTS` of what is known of their inputs, in float64.

    batches : called for every pass over the same images. labels : of all of them, in order. seed : of the tokens of states.
    """
    streamed, sensed, observed = (tuple(part for part in parts if part in group) for group in (STREAMED, SENSED, OBSERVED))
    unknown = [part for part in parts if part not in (*streamed, *sensed, *observed)]
    if unknown:
        raise Usage(f"evidence: {unknown[0]!r} is none of {', '.join((*STREAMED, *SENSED, *OBSERVED))}")
    found = collect(model, targets, batches(), split=split, parts=streamed, gram_block=gram_block)
    if sensed:
        found = sense(model, found, targets, batches(), parts=sensed)
    if observed:
        found = observe(model, found, targets, batches(), labels, parts=observed, seed=seed)
    return found
