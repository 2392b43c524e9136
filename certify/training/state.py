"""The state of an unfinished fit: one file, written at epoch ends, from which the fit goes on bit for bit."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from certify.records.files import read_tensors, tensors_about, write_tensors
from certify.records.hashing import network_digest

MOMENTS = ("exp_avg", "exp_avg_sq")


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Hash of named tensors."""
    arrays = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return network_digest(
        (name, str(array.dtype), tuple(array.shape), array.view(-1).view(torch.uint8).numpy().tobytes())
        for name, array in arrays.items()
    )


def save(path: Path, key: str, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write the state after `epoch` epochs of the fit named by `key`."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    steps: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        held = optimizer.state.get(parameter)
        if not held:  # frozen, or not reached by any gradient
            continue
        tensors |= {f"{moment}.{name}": held[moment] for moment in MOMENTS}
        steps[name] = int(held["step"])
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    write_tensors(path, arrays, {"key": key, "epoch": epoch, "steps": steps})


def restore(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bring model and optimizer to the saved state; returns the epochs done, 0 for a state of another fit."""
    if not path.is_file():
        return 0
    about = tensors_about(path)
    if not isinstance(about, dict) or about.get("key") != key:
        return 0
    arrays = read_tensors(path)

    def like(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return torch.tensor(arrays[name], dtype=tensor.dtype, device=tensor.device).reshape(tensor.shape)

    model.load_state_dict({name: like(f"model.{name}", tensor) for name, tensor in model.state_dict().items()})
    for name, parameter in model.named_parameters():
        if name in about["steps"]:
            moments = {moment: like(f"{moment}.{name}", parameter) for moment in MOMENTS}
            optimizer.state[parameter] = {"step": torch.tensor(float(about["steps"][name])), **moments}
    return int(about["epoch"])
