"""The state of an unfinished fit: one file, written at epoch ends, from which the fit goes on bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from certify.records.files import read_tensors, tensors_about, write_tensors
from certify.records.hashing import network_digest

MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")


@dataclass(frozen=True)
class Fit:
    """What changes during a fit. `average` is the averaged model, where one is kept."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: nn.Module | None


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Hash of named tensors."""
    arrays = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return network_digest(
        (name, str(array.dtype), tuple(array.shape), array.view(-1).view(torch.uint8).numpy().tobytes())
        for name, array in arrays.items()
    )


def save(path: Path, key: str, epoch: int, fit: Fit) -> None:
    """Write the state after `epoch` epochs of the fit named by `key`."""
    tensors = {f"model.{name}": tensor for name, tensor in fit.model.state_dict().items()}
    if fit.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in fit.average.state_dict().items()}
    steps: dict[str, int] = {}
    for name, parameter in fit.model.named_parameters():
        held = fit.optimizer.state.get(parameter)
        if not held:  # frozen, or not reached by any gradient
            continue
        tensors |= {f"{moment}.{name}": held[moment] for moment in MOMENTS if held.get(moment) is not None}
        steps[name] = int(held.get("step", 0))
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    about = {"key": key, "epoch": epoch, "steps": steps}
    if fit.scaler.is_enabled():
        about["scaler"] = fit.scaler.state_dict()
    write_tensors(path, arrays, about)


def restore(path: Path, key: str, fit: Fit) -> int:
    """Bring a fit to its saved state; returns the epochs done, 0 for a state of another fit."""
    if not path.is_file():
        return 0
    about = tensors_about(path)
    if not isinstance(about, dict) or about.get("key") != key:
        return 0
    arrays = read_tensors(path)

    def like(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return torch.tensor(arrays[name], dtype=tensor.dtype, device=tensor.device).reshape(tensor.shape)

    for part, model in (("model", fit.model), ("average", fit.average)):
        if model is not None:
            model.load_state_dict({name: like(f"{part}.{name}", tensor) for name, tensor in model.state_dict().items()})
    adaptive = isinstance(fit.optimizer, torch.optim.AdamW)
    for name, parameter in fit.model.named_parameters():
        if name in about["steps"]:
            moments = {moment: like(f"{moment}.{name}", parameter) for moment in MOMENTS if f"{moment}.{name}" in arrays}
            # A fused optimizer counts on the weight's device.
            step = {"step": torch.tensor(float(about["steps"][name]), device=parameter.device)} if adaptive else {}
            fit.optimizer.state[parameter] = step | moments
    if fit.scaler.is_enabled():
        fit.scaler.load_state_dict(about["scaler"])
    return int(about["epoch"])
