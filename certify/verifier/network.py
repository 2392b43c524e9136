"""Running a network from its stored bytes: built by timm, loaded strictly, interpolated plainly along the segment."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.records import Recipe, Refused
from certify.records.files import read_bytes
from certify.verifier.merging import merged_logits
from certify.verifier.tensors import Checkpoint

BATCH = 64
KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
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


def in_torch(recipe: Recipe, checkpoint: Checkpoint, source: str, runs: str = "float32") -> Callable[[np.ndarray], np.ndarray]:
    """Images to logits by the stored weights: in float32, or with weights and activations of 16 bits."""
    model = rebuild(recipe).to(KINDS[runs])
    fill(model, state(checkpoint), source)
    return lambda images: logits(model, images)


def in_torch_merging(
    recipe: Recipe, checkpoint: Checkpoint, source: str
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images to logits of the shipped network that merges tokens as its recipe says, and (n,) whose pairs were clear."""
    kind = KINDS[recipe.runs]
    model = rebuild(recipe).to(kind)
    fill(model, state(checkpoint), source)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            batches = [torch.from_numpy(images[start : start + BATCH]).to(kind) for start in range(0, len(images), BATCH)]
            found = [merged_logits(model, batch, recipe.merge) for batch in batches]
        return np.concatenate([out.double().numpy() for out, _ in found]), np.concatenate([clear for _, clear in found])

    return run


def in_onnxruntime(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Images to logits by an ONNX graph. `ImportError`, with a sentence, where the packages for it are absent."""
    try:
        import onnx
        import onnxruntime
    except ImportError as missing:
        raise ImportError(f"{missing.name} is not installed, so its graph was not run") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    data = read_bytes(path)

    def run(images: np.ndarray) -> np.ndarray:
        try:
            tensors = onnx.load_from_string(data).graph.initializer
            outside = [tensor.name for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
            if outside:
                raise ValueError(f"{outside[0]} lies in a file of its own, which the hash of this one does not cover")
            session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            (entry,) = session.get_inputs()
            batches = [session.run(None, {entry.name: images[i : i + BATCH]})[0] for i in range(0, len(images), BATCH)]
        except Exception as error:  # the libraries' errors share no base
            first = (str(error).splitlines() or [""])[0]
            raise Refused(f"{path}: onnxruntime cannot run it ({type(error).__name__}: {first})") from None
        return np.concatenate(batches).astype(np.float64)

    return run


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
