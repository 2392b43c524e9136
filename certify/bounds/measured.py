"""The measured road: plain forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.loading import State
from certify.networks.segment import Segment

BATCH = 256
# Unit roundoff of float64 over that of float32: how much smaller the error of a float64 evaluation is.
ROUNDOFF_RATIO = 2.0**-29
SAFETY = 4.0


def measure(networks: Sequence[nn.Module], images: Callable[[Sequence[int]], Tensor], indices: Sequence[int]) -> list[np.ndarray]:
    """(n, K) logits of each network on the samples at `indices`, in the networks' own number format, as float64."""
    found: list[list[np.ndarray]] = [[] for _ in networks]
    with torch.no_grad():
        for start in range(0, len(indices), BATCH):
            batch = images(indices[start : start + BATCH])
            for logits, network in zip(found, networks, strict=True):
                logits.append(network(batch).double().numpy())
    return [np.concatenate(logits) for logits in found]


@dataclass(frozen=True)
class Ends:
    """Both ends of a segment, in float64.

    logits : (2, T, K) at theta = 0 and 1. classes : (T,) class C. error : (T,) estimated error of one logit.
    """

    segment: Segment
    logits: np.ndarray
    classes: np.ndarray
    error: np.ndarray


def both_ends(model: nn.Module, reference: State, shipped: State, images: Tensor, labels: np.ndarray | None) -> Ends:
    """Evaluate both networks; without labels, class C of a sample is the reference's own decision."""
    segment = Segment(model, reference, shipped)
    logits = segment.path(images, np.array([0.0, 1.0]))
    classes = logits[1].argmax(axis=1) if labels is None else np.asarray(labels)
    error = evaluation_error(logits, Segment(model, reference, shipped, torch.float32), images, (0.0, 1.0))
    return Ends(segment, logits, classes, error)


def evaluation_error(double: np.ndarray, single: Segment, images: Tensor, thetas: Sequence[float]) -> np.ndarray:
    """(T,) estimated error of float64 logits, from float32 evaluations of the same networks.

        4 · 2^-29 · max |z_float32 − z_float64|,   at least 4 units in the last place of the largest logit

    double : (len(thetas), T, K) float64 logits.
    """
    gap = np.abs(single.path(images, np.asarray(thetas)) - double).max(axis=(0, 2))
    last_place = np.spacing(np.abs(double).max(axis=(0, 2)))
    return SAFETY * np.maximum(ROUNDOFF_RATIO * gap, last_place)
