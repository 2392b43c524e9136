"""Importing timm where torchvision's compiled operators cannot load."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

MISSING = "operator torchvision::nms does not exist"
_keep_alive: list[Any] = []


def import_timm() -> ModuleType:
    """timm, imported even when a CUDA build of torchvision stands beside a CPU build of torch.

    torchvision then fails with "operator torchvision::nms does not exist" before timm is reached. Declaring the schemas of
    the two operators is enough for everything that does not call them. Any other import error is left as it is.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if MISSING not in str(error):
            raise
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep_alive.append(library)
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    return importlib.import_module("timm")
