"""Running a network from its stored bytes: built by timm, loaded strictly, interpolated plainly along the segment."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.records import Recipe, Refused
from certify.verifier.tensors import Checkpoint

BATCH = 64
_declared: list[Any] = []


def import_timm() -> ModuleType:
    """timm. Where a CUDA torchvision stands beside a CPU torch, its operators are declared, or it would not import."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    schemas = torch.library.Library("torchvision", "DEF")
    schemas.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    schemas.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(schemas)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torchvision", "timm"):
            del sys.modules[name]
    return importlib.import_module("timm")


def rebuild(recipe: Recipe) -> nn.Module:
    """The architecture the recipe names, in evaluation mode, with weights that are about to be replaced."""
    timm = import_timm()
    options = dict(recipe.model.kwargs)
    if recipe.model.num_classes > 0:
        options["num_classes"] = recipe.model.num_classes
    try:
        model = timm.create_model(recipe.model.name, pretrained=False, **options)
    except Exception as error:  # timm passes anything on that a constructor raises
        first = (str(error).splitlines() or [""])[0]
        raise Refused(
            f"model {recipe.model.name}: timm cannot build it with {options} ({type(error).__name__}: {first})"
        ) from None
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of a checkpoint for torch; bfloat16 comes as float32."""
    return {name: torch.from_numpy(stored.values().copy()) for name, stored in checkpoint.items()}


def fill(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor, and nothing else than every tensor."""
    try:
        model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Refused(f"{source}: does not fit the model of the recipe ({lines[1] if len(lines) > 1 else lines[0]})") from None


def logits(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """(n, K) float64, computed batch by batch in the number format of the model."""
    kind = next(model.parameters()).dtype
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(images[start : start + BATCH]).to(kind)
            try:
                out = model(batch)
            except (AssertionError, RuntimeError) as error:
                first = (str(error).splitlines() or [""])[0]
                raise Refused(f"the model of the recipe cannot run on images of shape {images.shape[1:]} ({first})") from None
            if out.ndim != 2:
                raise Refused(f"the model of the recipe returns shape {tuple(out.shape)}; (images, classes) is expected")
            found.append(out.double().numpy())
    return np.concatenate(found)


class Line:
    """The networks shipped + theta (reference − shipped) in float64; at theta = 0 and 1 the two networks themselves."""

    def __init__(self, recipe: Recipe, reference: Checkpoint, shipped: Checkpoint) -> None:
        self.model = rebuild(recipe).double()
        self.start, self.end = _wide(state(shipped)), _wide(state(reference))

    def at(self, theta: float, images: np.ndarray) -> np.ndarray:
        """(n, K) logits."""
        mixed = {}
        for name, end in self.end.items():
            start = self.start[name]
            inside = end.is_floating_point() and 0 < theta < 1
            mixed[name] = (1 - theta) * start + theta * end if inside else start if theta == 0 else end
        fill(self.model, mixed, "segment")
        return logits(self.model, images)

    def grid(self, steps: int, images: np.ndarray) -> np.ndarray:
        """(steps + 1, n, K) logits at evenly spaced theta."""
        return np.stack([self.at(step / steps, images) for step in range(steps + 1)])


def _wide(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
