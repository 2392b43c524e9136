"""Applying a plan to a network."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from certify.networks.loading import State, digest, state_of
from certify.records import Plan, Refused


def masks(plan: Plan, state: Mapping[str, Tensor]) -> State:
    """Weight name -> boolean mask in the shape of the weight, True where the entry stays."""
    found: State = {}
    for edit in plan.edits:
        name = f"{edit.target}.weight"
        if name not in state:
            raise Refused(f"{edit.target}: the plan edits a layer the network does not have")
        shape = state[name].shape
        if edit.kept.shape != (shape[0], state[name][0].numel()):
            raise Refused(f"{edit.target}: mask of shape {edit.kept.shape} on a weight of shape {tuple(shape)}")
        found[name] = torch.from_numpy(edit.kept.copy()).reshape(shape)
    return found


def masked_state(state: State, plan: Plan) -> State:
    """`state` with every removed entry set to +0; all other tensors are the same."""
    kept = masks(plan, state)
    return {
        name: torch.where(kept[name], tensor, torch.zeros((), dtype=tensor.dtype)) if name in kept else tensor
        for name, tensor in state.items()
    }


def apply(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy of `model` without the weights the plan removes; the argument is untouched.

    The plan must have been made for this network: its digest is compared.
    """
    state = state_of(model)
    if digest(state) != plan.reference:
        raise Refused(f"plan {plan.name} was made for network {plan.reference[:12]}, this one is {digest(state)[:12]}")
    pruned = copy.deepcopy(model)
    pruned.load_state_dict(masked_state(state, plan))
    return pruned
