"""The data path of a sample: the inputs v it sends into a target, all tokens and all positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certify.records import Refused, Target

# Numbers held at once when a convolution's inputs are unfolded.
UNFOLDED = 2**26


@dataclass(frozen=True)
class DataPath:
    """What one target receives from each of B samples, reduced over its P tokens or positions.

    size      : (B,) max over outputs and tokens of |(R v)_i| for the matrix R asked about.
    max_norm  : (B,) max over tokens of ||v||_inf.
    two_norm  : (B,) max over tokens of ||v||_2.
    squares   : (cols,) sum over samples and tokens of v_j^2; None for a grouped convolution, whose rows read different inputs.
    columns   : (B, cols) max over tokens of |v_j|; None likewise.
    tokens    : P, the same for every sample of a batch.
    """

    size: np.ndarray
    max_norm: np.ndarray
    two_norm: np.ndarray
    squares: np.ndarray | None
    columns: np.ndarray | None
    tokens: int


def data_paths(
    network: nn.Module, targets: Mapping[str, Target], images: Tensor, matrices: Mapping[str, Tensor] | None = None
) -> dict[str, DataPath]:
    """Run `images` once and reduce the inputs of each named target.

    matrices : target name -> R in the shape of the target's weight, in the network's number format. Without one, size is 0.
    A target that the forward pass does not reach, or reaches twice, is refused by name.
    """
    modules = dict(network.named_modules())
    found: dict[str, DataPath] = {}
    handles = []
    for name in targets:
        module = modules[name]

        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            if name in found:
                raise Refused(f"{name}: the forward pass uses this layer twice; its data path is not one input per sample")
            found[name] = _reduce(layer, inputs[0], None if matrices is None else matrices[name])

        handles.append(module.register_forward_pre_hook(hook))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    for name in targets:
        if name not in found:
            raise Refused(f"{name}: the forward pass never uses this layer; exclude it")
    return found


def _reduce(layer: nn.Module, inputs: Tensor, matrix: Tensor | None) -> DataPath:
    batch = inputs.shape[0]
    if isinstance(layer, nn.Conv2d):

        def convolve(x: Tensor, weight: Tensor) -> Tensor:
            return layer._conv_forward(x, weight, None)

        squares = convolve(inputs.double().square(), torch.ones_like(layer.weight, dtype=torch.float64))
        two_norm = squares.clamp_min(0).flatten(1).amax(1).sqrt()
        tokens = squares.shape[2] * squares.shape[3]
        sums, columns = _columns(layer, inputs) if layer.groups == 1 else (None, None)
        size = convolve(inputs, matrix).abs().flatten(1).amax(1) if matrix is not None else inputs.new_zeros(batch)
    else:
        rows = inputs.reshape(batch, -1, inputs.shape[-1])
        tokens = rows.shape[1]
        two_norm = rows.double().norm(dim=2).amax(1)
        sums, columns = rows.double().square().sum((0, 1)), rows.double().abs().amax(1)
        size = F.linear(rows, matrix).abs().flatten(1).amax(1) if matrix is not None else inputs.new_zeros(batch)
    max_norm = inputs.abs().flatten(1).amax(1)
    return DataPath(
        size.double().numpy(),
        max_norm.double().numpy(),
        two_norm.double().numpy(),
        None if sums is None else sums.numpy(),
        None if columns is None else columns.numpy(),
        int(tokens),
    )


def _columns(layer: nn.Conv2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """(in·kh·kw,) sums of squares of the unfolded input columns, and their largest sizes (B, in·kh·kw); some samples a time."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    height, width = (int(size) for size in layer.kernel_size)
    sums, largest = torch.zeros(layer.in_channels * height * width, dtype=torch.float64), []
    for some in inputs.double().split(max(1, UNFOLDED // (inputs[0].numel() * height * width))):
        padded = F.pad(some, layer._reversed_padding_repeated_twice, mode=mode)
        unfolded = F.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride).abs()
        largest.append(unfolded.amax(2))
        sums += unfolded.square_().sum((0, 2))
    return sums, torch.cat(largest)
