"""Multiply-add counts (MACs) of a network, per layer and in total, and what sparse execution could save at best.

One MAC is one multiply-add. Counted: convolutions, linear layers, and products of two activations (the two attention
products, 2 t² D per block, kept apart from the layers; the similarity product of token merging, apart again).
Not counted: norms, softmax, activations, pooling, additions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from certify.networks.merging import TokenMerging, schedule, token_counts
from certify.networks.targets import describe
from certify.records import Refused

Convention = Literal["executed", "paper"]


@dataclass(frozen=True, kw_only=True)
class LayerMacs:
    """MACs of one layer for one image. `kind`: conv, linear, attention (activation products) or matching (merging)."""

    name: str
    kind: str
    macs: int
    rows: int = 0
    cols: int = 0
    positions: int = 0


@dataclass(frozen=True, kw_only=True)
class MacTable:
    """All layers of one network at one resolution, in order of execution."""

    model: str
    resolution: tuple[int, int]
    layers: tuple[LayerMacs, ...]

    @property
    def total(self) -> int:
        """Layers and attention products; the matching of token merging is left out (see `of_kind`)."""
        return sum(layer.macs for layer in self.layers if layer.kind != "matching")

    @property
    def layers_only(self) -> int:
        """Convolutions and linear layers alone, as hook counters report it."""
        return self.of_kind("conv") + self.of_kind("linear")

    def of_kind(self, kind: str) -> int:
        """MACs of one kind."""
        return sum(layer.macs for layer in self.layers if layer.kind == kind)

    def of_layers(self, names: Iterable[str]) -> int:
        """MACs of the named layers; an unknown name is refused."""
        wanted = set(names)
        missing = wanted - {layer.name for layer in self.layers}
        if missing:
            raise Refused(f"{min(missing)}: no such layer in {self.model}. Names are those of named_modules().")
        return sum(layer.macs for layer in self.layers if layer.name in wanted and layer.kind in ("conv", "linear"))


@dataclass(frozen=True, kw_only=True)
class Saving:
    """MACs before and after, relative to the dense network without merging."""

    dense: int
    executed: int

    @property
    def reduction(self) -> float:
        """1 - executed / dense."""
        return 1 - self.executed / self.dense

    @property
    def speedup(self) -> float:
        """1 / (1 - reduction): what the count promises if every MAC cost the same and nothing else cost anything."""
        return self.dense / self.executed


def count(model: nn.Module, *, input_size: Sequence[int], name: str = "") -> MacTable:
    """Count one forward pass of one image of shape `input_size` = (channels, height, width).

    Runs the model once where its parameters are; built under `torch.device("meta")` it costs nothing.
    A layer used twice is counted twice. Refused: a size the network does not take (a ViT takes the one it was built for).
    """
    if len(input_size) != 3:
        raise Refused(f"input size {tuple(input_size)}: expected (channels, height, width).")
    counter = _Counter(model)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), counter:
            model(torch.empty(1, *input_size, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refused(f"{name or type(model).__name__}: cannot run on one image of shape {tuple(input_size)} ({first})") from None
    finally:
        counter.remove()
        model.train(training)
    title = name or type(model).__name__
    return MacTable(model=title, resolution=(input_size[1], input_size[2]), layers=tuple(counter.layers))


def with_merging(
    table: MacTable, r: int | Sequence[int], *, tokens: int, protected: int = 1, convention: Convention = "executed"
) -> MacTable:
    """The table of a ViT after token merging, from its dense table.

        block with t tokens at entry, t' after the merge:  qkv, proj and both products at t, MLP at t'
        paper convention:                                  MLP at t as well

    `table` needs timm's names (`blocks.N.attn`, `blocks.N.mlp`); `tokens` is the dense count, prefix included.
    """
    blocks = sorted({_block(layer.name) for layer in table.layers} - {None})  # type: ignore[type-var]
    if not blocks:
        raise Refused(f"{table.model}: no layer is named blocks.N...; token merging is defined for ViTs here.")
    counts = token_counts(tokens, schedule(r, len(blocks)), protected)

    def scaled(layer: LayerMacs) -> LayerMacs:
        block = _block(layer.name)
        if block is None:
            return layer
        late = ".mlp" in layer.name and convention == "executed"
        share = Fraction(counts[block + 1] if late else counts[block], tokens)
        power = 2 if layer.kind == "attention" else 1
        return replace(layer, macs=int(layer.macs * share**power), positions=int(layer.positions * share))

    return replace(table, layers=tuple(scaled(layer) for layer in table.layers))


def sparse_execution(dense: MacTable, executed: MacTable, projected: Iterable[str], *, density: float = 0.5) -> Saving:
    """executed total - (1 - density) · MACs of the projected layers, against the dense total.

    projected : layers in a k:n pattern with k/n = density. Attention products count on both sides.
    """
    if not 0 <= density <= 1:
        raise Refused(f"density {density}: expected a number in [0, 1].")
    saved = round((1 - density) * executed.of_layers(projected))
    return Saving(dense=dense.total, executed=executed.total - saved)


def block_linears(model: nn.Module) -> tuple[str, ...]:
    """Names of the linear layers a k:n pattern is projected on: those of the blocks, never the classifier."""
    return tuple(t.name for t in describe(model) if t.kind == "linear" and t.role == "block" and not t.skipped)


def eligible_convs(model: nn.Module, group: int = 4) -> tuple[str, ...]:
    """Names of the convolutions a k:n pattern is projected on: groups = 1, input channels a multiple of `group`."""
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.in_channels % group == 0
    )


def tokens_of(model: nn.Module, input_size: Sequence[int]) -> tuple[int, int] | None:
    """(tokens, prefix tokens) of a vision transformer whose blocks can merge, at this input size, else None."""
    embed, prefix = getattr(model, "patch_embed", None), getattr(model, "num_prefix_tokens", None)
    patch = getattr(embed, "patch_size", None)
    if patch is None or prefix is None or not isinstance(getattr(model, "blocks", None), nn.Sequential):
        return None
    return int(prefix) + (input_size[1] // patch[0]) * (input_size[2] // patch[1]), int(prefix)


def rows_of(table: MacTable) -> list[Mapping[str, Any]]:
    """The table as plain rows, for CSV and JSON."""
    return [{"model": table.model, **vars(layer)} for layer in table.layers]


def _block(name: str) -> int | None:
    head, _, rest = name.partition("blocks.")
    number = rest.partition(".")[0]
    return int(number) if not head and number.isdigit() else None


class _Counter(TorchDispatchMode):
    """Layers through forward hooks; products of two activations through the operators that run inside a module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers: list[LayerMacs] = []
        self._stack: list[tuple[str, nn.Module]] = []
        self._handles = []
        for name, module in model.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter(name), prepend=True))
            self._handles.append(module.register_forward_hook(self._leave(name), always_call=True))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            self._stack.append((name, module))

        return hook

    def _leave(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            self._stack.pop()
            if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(output, torch.Tensor):
                self.layers.append(_layer(name, module, output))

        return hook

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        macs = _product(str(func.overloadpacket), args)
        if macs and self._stack:
            name, module = self._stack[-1]
            kind = "matching" if isinstance(module, TokenMerging) else "attention"
            self.layers.append(LayerMacs(name=name, kind=kind, macs=macs, positions=args[0].shape[-2]))
        return out


def _layer(name: str, module: nn.Conv2d | nn.Linear, output: torch.Tensor) -> LayerMacs:
    if isinstance(module, nn.Linear):
        rows, cols, kind = module.out_features, module.in_features, "linear"
    else:
        cols = module.in_channels // module.groups * prod(module.kernel_size)
        rows, kind = module.out_channels, "conv"
    positions = output.numel() // rows
    return LayerMacs(name=name, kind=kind, macs=positions * rows * cols, rows=rows, cols=cols, positions=positions)


def _product(operator: str, args: Any) -> int:
    """MACs of one activation product: a batched matmul (b, m, k) x (b, k, n), or both halves of fused attention."""
    if operator in ("aten.bmm", "aten.baddbmm"):
        left, right = args[-2:] if operator == "aten.bmm" else args[1:3]
        return prod(left.shape) * right.shape[-1]
    if operator.startswith("aten._scaled_dot_product"):
        q, k, v = args[:3]
        return prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])
    return 0
