"""Convolutions as matrix products, the only way a 2:4 GEMM kernel can run them: im2col, or a plain product for 1x1."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn


class LoweredConv2d(nn.Linear):
    """A convolution with groups = 1 as a linear layer over patches: weight (out, in·kh·kw), row-major as `unfold`."""

    def __init__(self, conv: nn.Conv2d) -> None:
        weight = conv.weight.detach()
        super().__init__(1, 1, bias=False, device="meta")
        self.in_features, self.out_features = weight[0].numel(), weight.shape[0]
        self.weight = nn.Parameter(weight.reshape(weight.shape[0], -1).clone(), requires_grad=False)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
        self.kernel, self.stride = conv.kernel_size, conv.stride
        self.dilation = conv.dilation
        self.padding: tuple[int, ...] = conv.padding  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        batch, channels, height, width = input.shape
        tall, wide = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                (height, width), self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )
        if self.kernel == (1, 1) and self.padding == (0, 0):
            patches = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1).reshape(-1, channels)
        else:
            columns = F.unfold(input, self.kernel, self.dilation, self.padding, self.stride)
            patches = columns.transpose(1, 2).reshape(batch * tall * wide, -1)
        out = F.linear(patches, self.weight, self.bias)
        # A permuted view: the tensor is channels-last, so the next lowered 1x1 reads it without a copy.
        return out.reshape(batch, tall, wide, -1).permute(0, 3, 1, 2)


def lower(model: nn.Module, names: Iterable[str]) -> nn.Module:
    """A copy of the network in which the named convolutions run as matrix products."""
    lowered = copy.deepcopy(model)
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(lowered.get_submodule(parent), child, LoweredConv2d(lowered.get_submodule(name)))  # type: ignore[arg-type]
    return lowered
