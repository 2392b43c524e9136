"""Running statistics of batch norms, taken again after weights were removed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from certify.data.sources import Samples
from certify.records import Refused


@torch.no_grad()
def reestimate_batch_norm(model: nn.Module, samples: Samples, indices: Sequence[int], *, batch_size: int = 256) -> int:
    """Replace the running mean and variance of every batch norm by averages over `indices`, in place.

    One pass in evaluation mode but for the batch norms, which normalise by their own batch and average cumulatively; nearly
    equal batches are cut from the indices in order. Pruning shifts what a batch norm sees, and a mask should not be blamed for
    statistics of another network (methods/mp-pruning 4.3). Never on tuning or certification data.
    Returns how many batch norms there were; without any, nothing is computed. Refused on fewer than two samples.
    """
    norms = [
        module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    if not norms:
        return 0
    if len(indices) < 2:
        raise Refused(f"batch norm: {len(indices)} samples; statistics need at least 2 from the train split")
    device = next(model.parameters()).device
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    model.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for part in torch.as_tensor(indices).tensor_split(-(-len(indices) // batch_size)):
            model(samples.images(part.tolist()).to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    return len(norms)
