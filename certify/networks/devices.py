"""Where numbers are computed: the CPU, or a torch device in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from certify.records import Usage

Solver = Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]


def device_of(name: str) -> torch.device:
    """The device of a flag; "auto" takes a GPU where there is one. Usage where torch cannot compute in float64 there."""
    chosen = name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, dtype=torch.float64, device=chosen).cpu()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise Usage(f"device {name}: torch cannot compute in float64 there ({str(error).splitlines()[0]})") from None
    return torch.device(chosen)


def solvers_on(device: torch.device) -> tuple[Solver, Solver]:
    """Eigenvalues of tall^T tall, and singular values of any matrix, largest first, computed on a device in float64."""

    def squares(tall: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        moved = torch.as_tensor(tall, device=device)
        return torch.linalg.eigvalsh(moved.T @ moved).flip(0).cpu().numpy()

    def full(matrix: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        return torch.linalg.svdvals(torch.as_tensor(matrix, device=device)).cpu().numpy()

    return squares, full
