"""Which matrices of a network are prunable, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from certify.records import Target, Usage

LAYERS = {nn.Linear: "linear", nn.Conv2d: "conv2d"}


def describe(model: nn.Module, *, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> tuple[Target, ...]:
    """Every weight matrix of `model` in module order, prunable or with the reason why it is skipped.

    Prunable are the weights of nn.Linear and nn.Conv2d whose name matches a glob of `include` and none of `exclude`. A weight
    that stands under several names is not: a checkpoint holds it several times, and a mask would reach only one of them.
    Works on the meta device. A glob that matches no target is an error, so that a typing mistake prunes nothing silently.
    """
    stem, classifier = _ends(model)
    found: list[Target] = []
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    owned: set[str] = set()
    for name, module in model.named_modules():
        kind = LAYERS.get(type(module))
        if kind is None:
            continue
        weight: Any = module.weight
        owned.add(f"{name}.weight")
        role = "stem" if name in stem else "classifier" if name in classifier else "block"
        others = [other for other in owners.get(id(weight), []) if other != f"{name}.weight"]
        if others:
            skipped = f"shares its weight with {', '.join(others)}"
        elif not any(fnmatchcase(name, glob) for glob in include):
            skipped = f"matches no include glob ({', '.join(include)})"
        else:
            skipped = next((f"excluded by {glob}" for glob in exclude if fnmatchcase(name, glob)), "")
        found.append(Target(name, kind, tuple(weight.shape), role, skipped))
    for glob in (*include, *exclude):
        if not any(fnmatchcase(target.name, glob) for target in found):
            raise Usage(f"no target matches {glob!r}; certify describe lists their names")
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and name not in owned and min(parameter.shape) >= 1:
            reason = "not the weight of a Linear or Conv2d layer"
            found.append(Target(name, "parameter", tuple(parameter.shape), "other", reason))
    return tuple(found)


def _ends(model: nn.Module) -> tuple[set[str], set[str]]:
    """Names of the first and the last layer, from timm's configuration where there is one."""
    config = getattr(model, "pretrained_cfg", None) or {}
    names = [name for name, module in model.named_modules() if type(module) in LAYERS]
    stem = _as_names(config.get("first_conv")) & set(names) or set(names[:1])
    classifier = _as_names(config.get("classifier")) & set(names) or set(names[-1:])
    return stem, classifier


def _as_names(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    return set(value) if isinstance(value, list | tuple) else set()
