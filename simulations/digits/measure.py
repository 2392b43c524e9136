"""What a pair of digits networks is measured by: accuracy and loss on the test set, and how far its logits move."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds import resolve
from certify.networks.loading import state_of
from certify.networks.segment import Segment
from certify.records.outcomes import decision
from certify.theory.cross_entropy import log_probabilities
from simulations.digits.networks import samples, splits

PATH_SAMPLES = 64
TOLERANCE = 1e-2


@cache
def images(purpose: str, kind: str = "vit") -> tuple[Tensor, np.ndarray]:
    """(B, C, H, W) images and (B,) labels of one split of a kind of networks."""
    indices = list(splits(kind).indices[purpose])
    labels = samples(kind).labels
    assert labels is not None
    return samples(kind).images(indices), labels[indices]


@torch.no_grad()
def logits(network: nn.Module, purpose: str) -> np.ndarray:
    """(B, 10) float64 logits on one split."""
    return network.eval()(images(purpose)[0]).double().numpy()


def accuracy_and_loss(found: np.ndarray, purpose: str) -> tuple[float, float]:
    """Share of right decisions, a tie being wrong, and mean cross-entropy in nats."""
    labels = images(purpose)[1]
    return float(np.mean(decision(found) == labels)), float(-log_probabilities(found, labels)[0].mean())


def budgets(reference: nn.Module, shipped: nn.Module) -> tuple[float, float]:
    """Measured and resolved budget of a pair on calibration samples, logit units.

        measured = mean over samples of max_k |z'_k - z_k|   <=   resolved = mean of the path variation (X8)

    Both tier `resolved`: forward passes, the second at Chebyshev nodes of the segment, to a relative 1e-2.
    """
    chosen, labels = (part[:PATH_SAMPLES] for part in images("calibration"))
    segment = Segment(reference, state_of(reference), state_of(shipped))
    ends = segment.path(chosen, np.array([0.0, 1.0]))
    path = resolve(segment, chosen, labels, tolerance=TOLERANCE, max_order=64)
    return float(np.abs(ends[0] - ends[1]).max(axis=1).mean()), float(path.max_norm.mean())


def overlap(kept: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Share of one plan's removed weights that the other removes too; 1 where nothing is removed."""
    both = sum(int(np.sum(~a & ~b)) for a, b in zip(kept, other, strict=True))
    removed = sum(int(np.sum(~a)) for a in kept)
    return both / removed if removed else 1.0
