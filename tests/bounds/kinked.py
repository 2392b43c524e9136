"""Networks whose path of logits is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.loading import State
from certify.networks.segment import Segment

FIELDS = ("max_norm", "oscillation", "pairwise", "speed_sup")


@dataclass(frozen=True)
class Exact:
    """The fields of a ResolvedPath, without error."""

    max_norm: np.ndarray
    oscillation: np.ndarray
    pairwise: np.ndarray
    speed_sup: np.ndarray


class Twice(nn.Module):
    """One layer, run twice: its weights are the same theta's in both places."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu(self.layer(x)))


def relu_pair(
    seed: int, *, inputs: int = 6, hidden: int = 10, classes: int = 4, noise: float = 0.7
) -> tuple[nn.Module, State, State]:
    """x -> B relu(A x + a) + b, and the same with another A and a: each hidden unit walks straight and is cut at zero."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes)).eval()
    reference = {name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()}
    shipped = {
        name: tensor + noise * torch.randn_like(tensor) if name.startswith("1.") else tensor for name, tensor in reference.items()
    }
    return model, reference, shipped


def exact_path(reference: State, shipped: State, images: Tensor, labels: np.ndarray) -> Exact:
    """Between two neighbouring kinks the speed is constant, so every integral is a sum.

    h_i(theta) = (1 - theta) h_i(0) + theta h_i(1),   kink at h_i(0) / (h_i(0) - h_i(1)),   gamma' = B (active * (h(1) - h(0)))
    """
    x = images.flatten(1).double()
    start, end = ((x @ state["1.weight"].double().T + state["1.bias"].double()).numpy() for state in (shipped, reference))
    outer = reference["3.weight"].double().numpy()
    rows = []
    for low, high, label in zip(start, end, labels, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            kinks = low / (low - high)
        grid = np.array([0.0, *np.sort(kinks[(kinks > 0) & (kinks < 1)]), 1.0])
        middle = (grid[1:] + grid[:-1]) / 2
        active = (low + middle[:, None] * (high - low)) > 0
        speed, width = (active * (high - low)) @ outer.T, np.diff(grid)
        relative = np.abs(speed - speed[:, [label]])
        rows.append(
            (
                width @ np.abs(speed).max(axis=1),
                width @ (speed.max(axis=1) - speed.min(axis=1)),
                width @ relative,
                np.abs(speed).max(),
            )
        )
    return Exact(*(np.stack(column) for column in zip(*rows, strict=True)))


def segment_of(pair: tuple[nn.Module, State, State]) -> Segment:
    return Segment(*pair)
