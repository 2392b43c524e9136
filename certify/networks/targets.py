"""Which matrices of a network are prunable, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from certify.records import Target, Usage

LAYERS = {nn.Linear: "linear", nn.Conv2d: "conv2d"}
# Subclasses whose forward pass is their parent's, by full name, so that timm is not imported for them.
SAME_FORWARD = {"timm.layers.linear.Linear": "linear"}
# A matrix of fewer input channels than the smallest group has no groups of channels.
STEM_CHANNELS = 4


def describe(
    model: nn.Module, *, include: Sequence[str] = ("*",), exclude: Sequence[str] = (), roles: Mapping[str, str] | None = None
) -> tuple[Target, ...]:
    """Every weight matrix of `model` in module order, prunable or with the reason why it is skipped.

    Prunable are the weights of nn.Linear and nn.Conv2d whose name matches a glob of `include` and none of `exclude`. A weight
    that stands under several names, or shares memory with another, is not: a checkpoint holds it several times, and a mask
    would reach only one of them. Nor is a weight that the layer computes anew in each forward pass (weight norm, spectral norm).
    Works on the meta device. A glob that matches no target is an error, so that a typing mistake prunes nothing silently.

    Roles: a k:n pattern is projected on "block" alone (and on "classifier" where asked for).
        stem           the first layer, and every convolution of fewer than 4 input channels
        classifier     the last layer
        grouped        a convolution whose rows read different inputs (depthwise ones among them)
        downsampling   a convolution of kernel = stride > 1 without padding, behind the stem: patches that do not overlap
        block          all others
    timm's configuration names the first and the last layer where there is one. `roles` maps globs to roles and overrules this;
    the last glob that matches decides.
    """
    lazy = next((name for name, tensor in _tensors(model) if is_lazy(tensor)), None)
    if lazy is not None:
        raise Usage(f"{lazy} is built lazily and has no shape yet; run one forward pass before its network is described")
    ends = {"stem": _end(model, "first_conv", 0), "classifier": _end(model, "classifier", -1)}
    found: list[Target] = []
    shared = sharers(model)
    owned: set[str] = set()
    for name, module in model.named_modules():
        kind = _kind(module)
        if kind is None:
            continue
        weight: Any = module.weight
        owned.add(f"{name}.weight")
        if "weight" not in module._parameters:
            parts = [part for part, _ in module.named_parameters(recurse=False) if part.startswith("weight")]
            skipped = f"its weight is computed from {', '.join(parts) or 'elsewhere'} in each forward pass"
        elif others := shared.get(f"{name}.weight"):
            skipped = f"shares its weight with {', '.join(others)}"
        elif not any(fnmatchcase(name, glob) for glob in include):
            skipped = f"matches no include glob ({', '.join(include)})"
        else:
            skipped = next((f"excluded by {glob}" for glob in exclude if fnmatchcase(name, glob)), "")
        role = next((role for role, names in ends.items() if name in names), _geometry(module))
        role = next((own for glob, own in [*(roles or {}).items()][::-1] if fnmatchcase(name, glob)), role)
        found.append(Target(name, kind, tuple(weight.shape), role, skipped))
    for glob in (*include, *exclude, *(roles or {})):
        if not any(fnmatchcase(target.name, glob) for target in found):
            raise Usage(f"no target matches {glob!r}; certify describe lists their names")
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and name not in owned and min(parameter.shape) >= 1:
            reason = "not the weight of a Linear or Conv2d layer"
            if ".parametrizations." in f".{name}":
                reason = "a parametrisation computes the layer's weight from it in each forward pass"
            found.append(Target(name, "parameter", tuple(parameter.shape), "other", reason))
    return tuple(found)


def _kind(module: nn.Module) -> str | None:
    """The kind of a layer; None of a subclass, whose forward pass may be another: zeros in its weight may not be zeros there."""
    own = type(module)
    return LAYERS.get(own) or SAME_FORWARD.get(f"{own.__module__}.{own.__qualname__}")


def _geometry(module: nn.Module) -> str:
    """The role of a layer between the first and the last."""
    if not isinstance(module, nn.Conv2d):
        return "block"
    if module.groups > 1:
        return "grouped"
    if module.in_channels < STEM_CHANNELS:
        return "stem"
    if module.kernel_size == module.stride and max(module.kernel_size) > 1 and module.padding in ((0, 0), "valid"):
        return "downsampling"
    return "block"


def _end(model: nn.Module, key: str, position: int) -> set[str]:
    """Names of the first or the last layer: those timm's configuration names, else the one at `position` in module order.

    A name that stands for another kind of module (no classifier was asked for, a subclass of Conv2d) is believed.
    """
    modules = dict(model.named_modules())
    config = getattr(model, "pretrained_cfg", None) or {}
    value = config.get(key)
    named = {value} if isinstance(value, str) else set(value) if isinstance(value, list | tuple) else set()
    if named & set(modules):
        return named
    layers = [name for name, module in modules.items() if _kind(module)]
    return {layers[position]} if layers else set()


def _tensors(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def sharers(model: nn.Module) -> dict[str, list[str]]:
    """Parameter name -> the other names under which all of it or some of its memory stands."""
    named = [(name, parameter) for name, parameter in model.named_parameters(remove_duplicate=False) if parameter.numel()]
    clusters: list[list[tuple[str, int, int, str]]] = []
    here, reach = "", 0
    for span in sorted((*_span(parameter), name) for name, parameter in named):
        device, start, end, _ = span
        if device == here and start < reach:
            clusters[-1].append(span)
        else:
            clusters.append([span])
            here, reach = device, end
        reach = max(reach, end)
    order = {name: position for position, (name, _) in enumerate(named)}
    found: dict[str, list[str]] = {}
    for cluster in clusters:
        for _, start, end, name in cluster:
            others = [other for _, begin, stop, other in cluster if other != name and begin < end and start < stop]
            if others:
                found[name] = sorted(others, key=order.__getitem__)
    return found


def _span(tensor: Tensor) -> tuple[str, int, int]:
    """(device, first byte, byte after the last); a tensor without memory stands for itself."""
    if tensor.is_meta:
        return "meta", 2 * id(tensor), 2 * id(tensor) + 1
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return str(tensor.device), tensor.data_ptr(), tensor.data_ptr() + reach * tensor.element_size()
