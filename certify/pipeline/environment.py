"""What results depend on besides the recipe, and where trained references are kept between runs."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import certify
from certify.networks.loading import State, digest, read_checkpoint, save_state
from certify.records import Refused
from certify.records.files import read_json, write_json

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pyarrow", "matplotlib", "safetensors")


def environment(threads: int) -> dict[str, Any]:
    """Versions, processor kind and threads that results depend on."""
    return {
        "certify": certify.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": threads,
        **{name: version(name) for name in PACKAGES},
    }


def cache_folder() -> Path:
    """$CERTIFY_CACHE, else the user's cache folder."""
    base = os.environ.get("CERTIFY_CACHE")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache"))
    return Path(home) / "certify" / "references"


def from_cache(key: str) -> State | None:
    """The network kept under `key`, or None when there is none or its bytes are not those that were kept."""
    path = cache_folder() / f"{key}.safetensors"
    try:
        state = read_checkpoint(path)
        return state if digest(state) == read_json(path.with_suffix(".json"))["digest"] else None
    except (Refused, KeyError, TypeError):
        return None


def to_cache(key: str, state: State) -> None:
    """Keep a trained network. A cache that cannot be written is no error."""
    path = cache_folder() / f"{key}.safetensors"
    try:
        save_state(path, state)
        write_json(path.with_suffix(".json"), {"digest": digest(state)})
    except OSError:
        path.with_suffix(".json").unlink(missing_ok=True)
