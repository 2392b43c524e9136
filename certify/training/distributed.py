"""Data-parallel training under torchrun: each process takes its part of every batch, gradients are averaged over the batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn

from certify.records import Refused


def processes() -> tuple[int, int]:
    """(rank, number of processes): (0, 1) where no process group was started."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def check_model(model: nn.Module, frozen_batch_norm: bool) -> None:
    """Refuse what would not be the training of one process: batch norms that see a part of the batch, and dropout."""
    if processes()[1] == 1:
        return
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not frozen_batch_norm:
            raise Refused(f'{name}: a batch norm would normalise by a part of each batch; set recovery.batch_norm = "frozen"')
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise Refused(f"{name}: dropout draws anew in every process; set its probability to 0 for data-parallel training")


def own_part(batch: torch.Tensor) -> slice:
    """The positions of a batch that this process computes; all of them where there is one process."""
    rank, count = processes()
    base, more = divmod(len(batch), count)
    start = rank * base + min(rank, more)
    return slice(start, start + base + (rank < more))


def average_gradients(parameters: Iterable[nn.Parameter], own: int, whole: int) -> None:
    """Replace each gradient of the mean over `own` samples by that of the mean over all `whole` samples of the batch."""
    if processes()[1] == 1:
        return
    for parameter in parameters:
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        gradient.mul_(own / whole)
        dist.all_reduce(gradient)
        parameter.grad = gradient


def average_loss(loss: float, own: int, whole: int) -> float:
    """Mean loss over the whole batch from the means of the parts."""
    if processes()[1] == 1:
        return loss
    total = torch.tensor(loss * own / whole, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total)
