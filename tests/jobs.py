"""Jobs small enough to run the whole way in seconds, and the command line called from inside the process."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.files import write_tensors
from certify.records.hashing import sha256_file

DIGITS: dict[str, Any] = {
    "seed": 3,
    "threads": 1,
    "model": {
        "name": "vit_tiny_patch16_224",
        "num_classes": 10,
        "kwargs": {
            "img_size": 8,
            "patch_size": 2,
            "in_chans": 1,
            "embed_dim": 16,
            "depth": 1,
            "num_heads": 2,
            "global_pool": "avg",
            "class_token": False,
        },
    },
    "data": {"source": "digits"},
    "splits": {"seed": 5, "train": 200, "calibration": 16, "tuning": 50, "certification": 100},
    "training": {"epochs": 2},
    "recovery": {"epochs": 1},
    "bounds": {"max_order": 16},
    "plan": [{"name": "half", "sparsity": 0.5}, {"name": "two-four", "pattern": "2:4"}],
}

# A ResNet of 13,665 parameters on 32 x 32 images, batch normalisation and all.
RESNET: dict[str, Any] = {
    "name": "resnet10t",
    "num_classes": 3,
    "kwargs": {
        "channels": [8, 8, 16, 16],
        "stem_width": 8,
        "zero_init_last": False,
        "pretrained_cfg_overlay": {"input_size": [3, 32, 32]},
    },
}
CLASSES = ("checks", "columns", "rows")


@dataclass(frozen=True)
class Said:
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str


def certify(*arguments: object) -> Said:
    """`certify ARGUMENTS` in this process."""
    from certify.cli import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Said(code, out.getvalue(), "".join(f"{warning.message}\n" for warning in warned) + err.getvalue())


def changed(recipe: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The recipe with keys of its tables replaced; None removes a key."""
    found = json.loads(json.dumps(recipe))
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(found.get(key, {}), Mapping):
            found[key] = {name: entry for name, entry in (found.get(key, {}) | value).items() if entry is not None}
        elif value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found


def toml(value: Any) -> str:
    """One TOML value; tables inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_recipe(path: Path, recipe: Mapping[str, Any]) -> Path:
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in recipe.items()))
    return path


def contents(folder: Path) -> dict[str, str]:
    """Every file below `folder` except the journal, with the hash of its bytes."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "journal.jsonl"
    }


def journal(folder: Path) -> list[dict[str, Any]]:
    """The events of a run; every line must be whole."""
    data = (folder / "journal.jsonl").read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def write_checkpoint(path: Path, model: Mapping[str, Any], seed: int = 0, **tensors: np.ndarray) -> Path:
    """A random network of this recipe as safetensors; `tensors` replaces or adds some (dots written as two underscores)."""
    import torch

    from certify.networks.loading import build, state_of
    from certify.records.recipe import ModelRecipe

    torch.manual_seed(seed)
    network = build(ModelRecipe(model["name"], "", model["num_classes"], model["kwargs"]))
    arrays = {name: tensor.numpy() for name, tensor in state_of(network).items()}
    write_tensors(path, arrays | {name.replace("__", "."): array for name, array in tensors.items()})
    return path


def write_images(folder: Path, *, per_class: int = 50, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Path:
    """32 x 32 colour noise with one of three textures on it, one folder per class; "" puts the images into the folder itself."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    textures = ((x // 4 + y // 4) % 2, (x // 3) % 2, (y // 3) % 2)
    for position, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            noise = rng.integers(0, 120, (32, 32, 3))
            pixels = noise + 100 * rng.uniform(0.4, 1.0) * textures[position % 3][..., None]
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{position}-{number:03}.png")
    return folder
