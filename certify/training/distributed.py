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


def told(value: str | None) -> str | None:
    """What process 0 tells all processes; the value itself where there is one process. Every process must call it."""
    if processes()[1] == 1:
        return value
    said = [value]
    dist.broadcast_object_list(said)
    return said[0]


def check_model(model: nn.Module, frozen_batch_norm: bool) -> None:
    """Refuse what would not be the training of one process: batch norms that see a part of the batch, and dropout."""
    if processes()[1] == 1:
        return
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not frozen_batch_norm:
            raise Refused(f'{name}: a batch norm would normalise by a part of each batch; set recovery.batch_norm = "frozen"')
        if _drops(module):
            raise Refused(f"{name}: dropout draws anew in every process; set its probability to 0 for data-parallel training")


def check_batch(smallest: int) -> None:
    """Refuse batches that leave a process without a sample. `smallest` is the size of the smallest batch."""
    count = processes()[1]
    if smallest < count:
        raise Refused(f"batches of {smallest} for {count} processes; each needs a sample, so raise batch_size or start fewer")


def check_alike(key: str, done: int) -> None:
    """Refuse processes that would not train the same network: other weights, data or settings, or another state file."""
    count = processes()[1]
    if count == 1:
        return
    begun: list[tuple[str, int]] = [("", 0)] * count
    dist.all_gather_object(begun, (key, done))
    other = next((k for k in range(count) if begun[k] != begun[0]), None)
    if other is not None:
        what = "weights, data or settings" if begun[other][0] != begun[0][0] else "state file"
        raise Refused(f"process {other} has other {what} than process 0; every process must make the same call")


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
    weights = list(parameters)
    # A weight that no process reaches stays without a gradient: the optimizer would decay it for a gradient of 0.
    reached = torch.tensor([int(weight.grad is not None) for weight in weights], device=weights[0].device)
    dist.all_reduce(reached, dist.ReduceOp.MAX)
    for weight, is_reached in zip(weights, reached.tolist(), strict=True):
        if is_reached:
            gradient = weight.grad if weight.grad is not None else torch.zeros_like(weight)
            gradient.mul_(own / whole)
            dist.all_reduce(gradient)
            weight.grad = gradient


def average_loss(loss: torch.Tensor, own: int, whole: int) -> float:
    """Mean loss over the whole batch from the means of the parts. Summed on the device of the loss, as nccl asks."""
    if processes()[1] == 1:
        return loss.item()
    total = loss.detach().double() * (own / whole)
    dist.all_reduce(total)
    return total.item()


def _drops(module: nn.Module) -> bool:
    """Dropout of any shape, stochastic depth (`drop_prob`), dropout inside attention."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.MultiheadAttention):
        return module.dropout > 0
    share = getattr(module, "drop_prob", None)
    return isinstance(share, int | float) and share > 0
