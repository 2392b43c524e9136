"""Applying a plan to a network."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.loading import State, digest, state_of
from certify.records import Edit, Plan, Refused


def masks(plan: Plan, state: Mapping[str, Tensor]) -> State:
    """Weight name -> boolean mask in the shape of the weight, True where the entry stays."""
    return {name: torch.from_numpy(edit.kept.copy()).reshape(state[name].shape) for name, edit in _edited(plan, state).items()}


def masked_state(state: State, plan: Plan) -> State:
    """`state` with every removed entry set to +0 and changed values in place; all other tensors are the same."""
    edits = _edited(plan, state)
    return {name: _shipped(tensor, edits[name]) if name in edits else tensor for name, tensor in state.items()}


def _edited(plan: Plan, state: Mapping[str, Tensor]) -> dict[str, Edit]:
    """Weight name -> edit; a layer or a shape that the network does not have is refused."""
    found = {}
    for edit in plan.edits:
        name = f"{edit.target}.weight"
        if name not in state:
            raise Refused(f"{edit.target}: the plan edits a layer the network does not have")
        shape = state[name].shape
        if len(shape) < 2:
            raise Refused(f"{edit.target}: the plan edits a layer whose weight is a vector of {shape.numel()}, not a matrix")
        if edit.kept.shape != (shape[0], state[name][0].numel()):
            raise Refused(f"{edit.target}: mask of shape {edit.kept.shape} on a weight of shape {tuple(shape)}")
        found[name] = edit
    return found


def _shipped(weight: Tensor, edit: Edit) -> Tensor:
    kept = torch.from_numpy(edit.kept.copy()).reshape(weight.shape)
    values = weight if edit.values is None else torch.from_numpy(edit.values.copy()).to(weight.dtype).reshape(weight.shape)
    return torch.where(kept, values, torch.zeros((), dtype=weight.dtype))


def apply(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy of `model` without the weights the plan removes, and with the values it changes; the argument is untouched.

    The plan must have been made for this network: its digest is compared.
    """
    state = state_of(model)
    if digest(state) != plan.reference:
        raise Refused(f"plan {plan.name} was made for network {plan.reference[:12]}, this one is {digest(state)[:12]}")
    pruned = copied(model)
    pruned.load_state_dict(masked_state(state, plan))
    check_shipped(state_of(pruned), plan)  # a second name of the same memory would have put the weights back
    return pruned


def check_shipped(state: Mapping[str, Tensor], plan: Plan) -> dict[str, int]:
    """Refuse a network that is not sparse as `plan` says: w_ij = 0 exactly at every removed entry.

    Returns target -> number of removed entries, which may be spoken of now. Zeros at kept entries are not counted.
    """
    for name, edit in _edited(plan, state).items():
        weight = state[name].detach().reshape(edit.kept.shape)
        wrong = (weight != 0).cpu().numpy() & ~edit.kept
        count = int(np.count_nonzero(wrong))
        if count:
            row, col = (int(index) for index in np.argwhere(wrong)[0])
            raise Refused(
                f"{edit.target}: {count} of {edit.removed} removed entries are not 0; row {row}, column {col} holds "
                f"{float(weight[row, col])!r}. These weights are not sparse as plan {plan.name} says; apply the plan to them"
            )
    return {edit.target: edit.removed for edit in plan.edits}


def copied(model: nn.Module) -> nn.Module:
    """A copy of `model`. Where a forward pass left computed tensors behind (weight norm), it cannot be copied and is refused."""
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        left = ((name, attribute) for name, module in model.named_modules() for attribute in vars(module).items())
        name = next((f"{name}.{key}" for name, (key, value) in left if isinstance(value, Tensor) and not value.is_leaf), "")
        what = f"{name} is computed in the forward pass; remove its weight norm" if name else str(error).splitlines()[0]
        raise Refused(f"{type(model).__name__} cannot be copied: {what}") from None
