"""How far removed weights move when they alone are trained: what spectral edge reallocation restores by."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from certify.data.sources import Samples
from certify.records import Refused, Usage
from certify.records.recipe import RecoveryRecipe
from certify.training.masks import mask_gradients, removed_of
from certify.training.objective import objective

# The published driver: rate over that of the recovery, its last value over its first, and the least number of steps.
RATE, LAST, LEAST_STEPS = 8.0, 0.25, 128


def selection_steps(trainable: int, total: int, steps_an_epoch: int) -> int:
    """2 · trainable share · steps an epoch, rounded up, at least LEAST_STEPS (methods/mp-pruning 1.8)."""
    return max(LEAST_STEPS, -(-2 * trainable * steps_an_epoch // total))


def movement(
    model: nn.Module,
    samples: Samples,
    indices: Sequence[int],
    kept: Mapping[str, torch.Tensor],
    settings: RecoveryRecipe,
    *,
    steps: int,
    seed: int,
    teacher: nn.Module,
    origin: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, np.ndarray]:
    """|w_end - w_start| of every removed weight after `steps` steps in which removed weights alone were trained.

    model    : the network; it is left as it is. Kept weights, biases, norms and their statistics do not move; dropout off.
    kept     : weight name -> mask, True where a weight stays; the others are the reservoir. Masks may be lowered.
    origin   : weight name -> values that reservoir weights start from; None starts them at 0.
    settings : batch size, label smoothing, augmentation, and the learning rate, taken RATE times and falling to LAST of it.
    Loss: smoothed cross-entropy plus the mean squared difference to the teacher's logits (weight 1); without labels the latter.
    AdamW without decay. The published text leaves form and start open; these are the defaults of methods/mp-pruning 1.8.
    Returns weight name -> float64 in the weight's shape, 0 where a weight is kept.
    """
    if steps < 1:
        raise Usage(f"movement: {steps} steps; at least 1 is needed")
    if not kept:
        raise Usage("movement: no masks; name at least one weight whose removed entries may move")
    if origin is not None and not kept.keys() <= origin.keys():
        raise Usage(f"movement: origin has no values for {', '.join(sorted(kept.keys() - origin.keys()))}")
    if not len(indices):
        raise Refused(f"{samples.name}: no training samples; give splits.train at least one")
    network = copy.deepcopy(model).eval()
    teacher.eval()
    reservoir = removed_of(network, kept)  # True where an entry may move
    frozen = {name: (parameter, ~gone) for name, (parameter, gone) in reservoir.items()}
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    start: dict[str, torch.Tensor] = {}
    for name, (parameter, gone) in reservoir.items():
        parameter.data[gone] = 0.0 if origin is None else origin[name].to(parameter).reshape(parameter.shape)[gone]
        parameter.requires_grad_(True)
        start[name] = parameter.detach().clone()
    optimizer = torch.optim.AdamW([parameter for parameter, _ in reservoir.values()], lr=settings.learning_rate, weight_decay=0.0)
    generator = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    queue: list[torch.Tensor] = []
    for step in range(steps):
        if not queue:
            order = torch.as_tensor(indices)[torch.randperm(len(indices), generator=generator)]
            queue = list(order.tensor_split(math.ceil(len(indices) / settings.batch_size)))
        positions = queue.pop(0).tolist()
        images = (samples.augmented(positions, generator) if settings.augment else samples.images(positions)).to(device)
        with torch.no_grad():
            taught = teacher(images)
        logits = network(images)
        loss = F.mse_loss(logits, taught)
        if samples.labels is not None:
            labels = torch.tensor(samples.labels[positions], device=device)
            loss = loss + objective(
                logits, labels, None, label_smoothing=settings.label_smoothing, distill_loss_weight=0.0, temperature=1.0
            )
        if not math.isfinite(loss.item()):
            raise Refused(
                f"movement: the loss is {loss.item()} in step {step + 1}; lower recovery.learning_rate, or look for NaN"
            )
        optimizer.zero_grad()
        loss.backward()
        mask_gradients(frozen)
        for group in optimizer.param_groups:
            group["lr"] = RATE * settings.learning_rate * (1.0 - (1.0 - LAST) * step / steps)
        optimizer.step()
    return {name: (parameter.detach() - start[name]).abs().double().cpu().numpy() for name, (parameter, _) in reservoir.items()}
