"""What moves the weights: the optimizer, gradient scaling, and the average of the weights that may be shipped instead."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from certify.records.recipe import RecoveryRecipe, TrainingRecipe
from certify.training.masks import Removed, removed_of

Settings = TrainingRecipe | RecoveryRecipe
NOT_DECAYED = ("pos_embed", "cls_token")


def optimizer_of(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum where the recipe asks for it."""
    groups = parameter_groups(model, settings.weight_decay)
    if isinstance(settings, RecoveryRecipe) and settings.opt == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors, scalars, position embeddings and class tokens do not."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_free = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in NOT_DECAYED
            (free if is_free else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def scaler_of(settings: Settings, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss of float16 autocast, whose small gradients would vanish; does nothing otherwise."""
    enabled = isinstance(settings, RecoveryRecipe) and settings.amp_dtype == "float16"
    return torch.amp.GradScaler(device.type, enabled=enabled)


def autocast_of(settings: Settings, device: torch.device) -> torch.autocast:
    """The forward pass's arithmetic."""
    name = settings.amp_dtype if isinstance(settings, RecoveryRecipe) else ""
    return torch.autocast(device.type, dtype=getattr(torch, name) if name else torch.bfloat16, enabled=bool(name))


class Average:
    """An exponential average of weights and buffers, masked as the weights are; does nothing at decay 0."""

    def __init__(self, model: nn.Module, decay: float, removed: Removed) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model) if decay else None
        kept = {name: ~gone for name, (_, gone) in removed.items()}
        self.removed = removed_of(self.model, kept) if self.model is not None else {}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """average = decay average + (1 - decay) weights; whole numbers are copied."""
        if self.model is None:
            return
        for average, tensor in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(tensor, 1.0 - self.decay)
            else:
                average.copy_(tensor)
        for parameter, gone in self.removed.values():
            parameter.masked_fill_(gone, 0)

    def begin(self, model: nn.Module) -> None:
        """Begin again from the model as it is."""
        if self.model is not None:
            self.model.load_state_dict(model.state_dict())

    def into(self, model: nn.Module) -> None:
        """Put the average in the model's place."""
        if self.model is not None:
            model.load_state_dict(self.model.state_dict())
