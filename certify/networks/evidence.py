"""Collecting evidence: one pass over the calibration split in float64, reused by every method."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.data_path import data_paths
from certify.networks.loading import digest, state_of
from certify.records import Evidence, Target


def collect(model: nn.Module, targets: Sequence[Target], batches: Iterable[Tensor], *, split: str) -> Evidence:
    """Weights of the prunable targets and the second moments E[v_j^2] of their inputs over samples and tokens.

    batches : image batches (B, C, H, W) of the calibration split, whose digest is `split`.
    """
    prunable = {target.name: target for target in targets if not target.skipped}
    network = copy.deepcopy(model).double().eval()
    sums: dict[str, np.ndarray] = {}
    rows: dict[str, int] = {}
    samples = 0
    with torch.no_grad():
        for batch in batches:
            samples += len(batch)
            for name, path in data_paths(network, prunable, batch.double()).items():
                if path.squares is not None:
                    sums[name] = sums.get(name, 0) + path.squares
                    rows[name] = rows.get(name, 0) + path.tokens * len(batch)
    state = state_of(model)
    weights = {name: state[target.weight].double().reshape(target.rows, target.cols).numpy() for name, target in prunable.items()}
    moments = {name: total / rows[name] for name, total in sums.items()}
    return Evidence(digest(state), split, samples, weights, moments)
