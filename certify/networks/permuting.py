"""Weights in memory in the order in which a plan forms its groups, and the network's function unchanged.

    y = W x = W[:, pi] x[pi]

A plan's masks stay in the stored order of the weights; a kernel for a k:n pattern wants the columns W[:, pi]. The inputs x[pi]
then come from the layer that writes x, where its outputs can be written in that order (fold), else from a gather.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.loading import digest, load_state, state_of
from certify.networks.masking import check_shipped, copied
from certify.networks.producers import AXES, Producer, calls_of, producer_of
from certify.networks.targets import sharers
from certify.records import Edit, Plan, Refused

BUFFER = "input_order"
AGREEMENT = 1e-10  # of the logits before and after, in float64, relative to their size


class GatheredLinear(nn.Linear):
    """y = W x[..., pi] + b; the order pi is a buffer, so a checkpoint keeps it."""

    input_order: Tensor

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.index_select(-1, self.input_order))


class GatheredConv2d(nn.Conv2d):
    """y = W * x[pi], pi an order of the channels and a buffer, so a checkpoint keeps it."""

    input_order: Tensor

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.index_select(-3, self.input_order))


@dataclass(frozen=True)
class LaidOut:
    """A network whose weights lie in the orders of its plan.

    network  : the same function as before. Its checkpoint has a tensor NAME.input_order for each gathered layer; see `restored`.
    plan     : the masks in the new places, without changed values (the network has them); its reference is `network`.
    folded   : target -> the layer that now writes its outputs in the target's order.
    gathered : targets that gather their inputs.
    blocked  : convolutions whose groups count channels at one tap. Their channels are in order; that a group lies in
               consecutive memory is a matter of the kernel's layout (out, kh, kw, in), and their edits keep that order.
    """

    network: nn.Module
    plan: Plan
    folded: Mapping[str, str]
    gathered: tuple[str, ...]
    blocked: tuple[str, ...]


def lay_out(model: nn.Module, plan: Plan, images: Tensor, *, fold: bool = True) -> LaidOut:
    """A copy of a pruned network with each edit's weights in the edit's order.

    model  : the network the plan was applied to, recovered or not: its removed entries must be 0.
    images : (B, C, H, W) on which the function is compared in float64 before and after; a difference is refused.
    fold   : where False, every order becomes a gather.
    """
    check_shipped(state_of(model), plan)
    network = copied(model).cpu().eval()
    calls = calls_of(network, images)
    shared = set(sharers(network))
    columns: dict[str, np.ndarray] = {}
    rows: dict[str, np.ndarray] = {}
    folded, gathered = {}, []
    for edit in plan.edits:
        if edit.order is None:
            continue
        layer = network.get_submodule(edit.target)
        channels, columns[edit.target] = _channel_order(edit, layer)
        if np.array_equal(channels, np.arange(len(channels))):
            continue
        if not calls.get(edit.target):
            raise Refused(
                f"{edit.target}: the forward pass never calls this layer; its inputs cannot be put in order, exclude it"
            )
        producer = producer_of(network, edit.target, len(channels), calls) if fold else None
        if producer is not None and not _shares(network, producer, shared):
            folded[edit.target] = producer.layer
            rows |= dict.fromkeys((producer.layer, *producer.between), channels)
        else:
            gathered.append(edit.target)
            _gather(layer, channels)
    with torch.no_grad():
        for name, order in columns.items():
            _permute_columns(network.get_submodule(name), order)
        for name, order in rows.items():
            _permute_rows(network.get_submodule(name), order)
    _check_function(model, network, images, columns, rows)
    edits = tuple(_moved(edit, columns.get(edit.target), rows.get(edit.target)) for edit in plan.edits)
    laid = replace(plan, reference=digest(state_of(network)), edits=edits)
    check_shipped(state_of(network), laid)
    blocked = tuple(edit.target for edit in edits if edit.order is not None)
    return LaidOut(network, laid, folded, tuple(gathered), blocked)


def restored(model: nn.Module, state: Mapping[str, Tensor], source: str) -> nn.Module:
    """A copy of the architecture `model` with the gathers a laid-out checkpoint has, and its tensors."""
    network = copied(model)
    modules = dict(network.named_modules())
    for key, order in state.items():
        name, _, last = key.rpartition(".")
        if last != BUFFER:
            continue
        layer = modules.get(name)
        channels = getattr(layer, AXES[_axis(layer)].inputs) if _axis(layer) else 0
        if layer is None or not channels:
            raise Refused(f"{source}: {key} is the order of a layer the model does not have")
        if not torch.equal(order.sort().values, torch.arange(channels)):
            raise Refused(f"{source}: {key} is not a permutation of the {channels} inputs of {name}")
        _gather(layer, order.numpy())
    return load_state(network, state, source)


def _axis(layer: nn.Module | None) -> str:
    return next((kind for kind, axis in AXES.items() if isinstance(layer, axis.layer)), "")


def _channel_order(edit: Edit, layer: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """(inputs,) order of the layer's input channels, and (cols,) the columns it puts in order; taps stay in their places."""
    assert edit.order is not None
    taps = int(np.prod(layer.kernel_size)) if isinstance(layer, nn.Conv2d) else 1
    width, tap = edit.kept.shape[1] // taps, np.arange(taps)
    flattened, blocked = edit.order.reshape(width, taps), edit.order.reshape(taps, width).T
    for order in (flattened, blocked):
        channels = order[:, 0] // taps
        if np.array_equal(order, channels[:, None] * taps + tap):
            groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
            whole = np.concatenate([group * width + channels for group in range(groups)])
            return whole, (channels[:, None] * taps + tap).reshape(-1)
    raise Refused(
        f"{edit.target}: its order takes the {taps} taps of a channel apart; only whole channels can be put in order, "
        "taps are placed by the kernel's memory layout"
    )


def _shares(network: nn.Module, producer: Producer, shared: set[str]) -> bool:
    """Whether a tensor that would be permuted stands under a second name too."""
    names = (producer.layer, *producer.between)
    own = (f"{name}.{part}" for name in names for part, _ in network.get_submodule(name).named_parameters(recurse=False))
    return any(name in shared for name in own)


def _gather(layer: nn.Module, order: np.ndarray) -> None:
    """Turn a layer of a copied network into its gathering subclass: parameters, settings and names stay."""
    kind: Any = GatheredConv2d if isinstance(layer, nn.Conv2d) else GatheredLinear
    layer.__class__ = kind
    layer.register_buffer(BUFFER, torch.from_numpy(order.astype(np.int64)))


def _permute_columns(layer: nn.Module, order: np.ndarray) -> None:
    weight = layer.get_parameter("weight")
    weight.copy_(weight.flatten(1)[:, torch.from_numpy(order)].reshape(weight.shape))


def _permute_rows(layer: nn.Module, order: np.ndarray) -> None:
    """Every tensor of the layer has one entry, or one row, per channel; counters have not."""
    for name, tensor in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
        if name != BUFFER and tensor.ndim and len(tensor) == len(order):
            tensor.copy_(tensor[torch.from_numpy(order)])


def _moved(edit: Edit, columns: np.ndarray | None, rows: np.ndarray | None) -> Edit:
    """The edit in the new places; an order that remains is one of taps."""
    kept = edit.kept if rows is None else edit.kept[rows]
    if columns is None:
        return replace(edit, kept=kept, values=None)
    assert edit.order is not None
    rest = np.argsort(columns)[edit.order]
    stored = np.array_equal(rest, np.arange(len(rest)))
    return replace(edit, kept=kept[:, columns], values=None, order=None if stored else rest)


def _check_function(
    before: nn.Module, after: nn.Module, images: Tensor, columns: Iterable[str], rows: Mapping[str, np.ndarray]
) -> None:
    """Refuse a network whose logits, or outputs of a target up to the new order of its rows, differ from before in float64.

    The targets are looked at too, because a network whose last layer starts at 0 says the same whatever happens before it.
    """
    names = (*columns, "")
    outputs, found = (_outputs(network, names, images) for network in (before, after))
    for name in names:
        for was, now in zip(outputs[name], found[name], strict=True):
            if name in rows:
                axis = -3 if isinstance(after.get_submodule(name), nn.Conv2d) else -1
                was = was.index_select(axis, torch.from_numpy(rows[name]))
            gap = float((was - now).abs().max() / (1 + was.abs().max()))
            if not gap <= AGREEMENT:
                raise Refused(
                    f"{name or type(before).__name__}: with the weights in the plan's orders its outputs differ by {gap:.1e} of "
                    "their size; another module reads a layer's weight directly. Exclude that layer from the plan"
                )


def _outputs(network: nn.Module, names: Iterable[str], images: Tensor) -> dict[str, list[Tensor]]:
    """What each named module returns, call by call, in float64; "" is the network."""
    double = copied(network).cpu().double().eval()
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for name, calls in found.items():
        double.get_submodule(name).register_forward_hook(lambda _, inputs, output, calls=calls: calls.append(output))
    with torch.no_grad():
        double(images.cpu().double())
    return found
