"""Removed weights during training: never a gradient, never a moment, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from certify.records import Refused

Removed = Mapping[str, tuple[nn.Parameter, torch.Tensor]]


def removed_of(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> Removed:
    """Parameter name -> (parameter, True where an entry is removed). A lowered mask takes its parameter's shape."""
    parameters = dict(model.named_parameters())
    removed = {}
    for name, kept in masks.items():
        if name not in parameters:
            raise Refused(f"mask of {name}: the model has no such parameter")
        weight = parameters[name]
        if kept.numel() != weight.numel() or kept.shape[0] != weight.shape[0]:
            raise Refused(f"mask of {name}: its shape {tuple(kept.shape)} does not fit the weight's {tuple(weight.shape)}")
        removed[name] = (weight, ~kept.to(weight.device, torch.bool).reshape(weight.shape))
    return removed


def mask_gradients(removed: Removed) -> None:
    """No gradient where a weight is removed: neither clipping nor moments see it."""
    for parameter, gone in removed.values():
        if parameter.grad is not None:
            parameter.grad.masked_fill_(gone, 0)


@torch.no_grad()
def zero(optimizer: torch.optim.Optimizer, removed: Removed, moments: Iterable[str]) -> None:
    """Set removed weights and their moments to +0."""
    for parameter, gone in removed.values():
        held = optimizer.state.get(parameter, {})
        for tensor in (parameter, *(held[moment] for moment in moments if held.get(moment) is not None)):
            tensor.masked_fill_(gone, 0)


def check_zero(removed: Removed) -> None:
    """Refuse a removed weight that is alive, by name and count."""
    for name, (parameter, gone) in removed.items():
        alive = int(torch.count_nonzero(parameter.detach()[gone]))
        if alive:
            raise Refused(f"{name}: {alive} of {int(gone.sum())} removed weights are not 0 after an epoch of recovery")
