"""Reading the samples of a run again: the digits, or an image folder walked file by file."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.records import Recipe, Refused, Splits
from certify.records.files import read_bytes

EXTENSIONS = (".png", ".jpg", ".jpeg")
SYNONYMS = (("train", "training"), ("val", "valid", "validation", "eval", "evaluation"))


@dataclass(frozen=True)
class Source:
    """Samples in the order the splits count them.

    digests : SHA-256 of the JSON list [SHA-256 of the picture, class name or null], per sample.
    labels  : (n,) class numbers, or None for unlabelled data.
    images  : positions -> (B, C, H, W) float32.
    """

    name: str
    digests: tuple[str, ...]
    labels: np.ndarray | None
    images: Callable[[Sequence[int]], np.ndarray]


def reload(recipe: Recipe, preprocessing: Mapping[str, Any], data_dir: Path | None) -> Source:
    """The samples the recipe names; `data_dir` says where an image folder lies now."""
    labelled = recipe.data.labels == "given"
    if recipe.data.source == "digits":
        return _digits(preprocessing, labelled)
    return _folder(Path(data_dir or recipe.data.dir), recipe.data.split, preprocessing, labelled)


def check_samples(source: Source, splits: Splits) -> None:
    """Refuse data whose samples are not, one by one, those the splits name."""
    for purpose, positions in splits.indices.items():
        for position, stated in zip(positions, splits.samples[purpose], strict=True):
            if not 0 <= position < len(source.digests):
                raise Refused(f"{source.name}: holds {len(source.digests)} samples, the {purpose} split uses number {position}")
            if source.digests[position] != stated:
                raise Refused(
                    f"{source.name}: sample {position} ({purpose}) has content {source.digests[position][:12]}, "
                    f"the splits state {stated[:12]}; the data changed"
                )
    whole = _sha256(_json(list(source.digests)))
    if whole != splits.dataset:
        raise Refused(f"{source.name}: its samples hash to {whole[:12]}, the splits state {splits.dataset[:12]}")


def _digits(preprocessing: Mapping[str, Any], labelled: bool) -> Source:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    pixels = bunch.data.astype(np.uint8)
    mean, std = np.float32(preprocessing["mean"][0]), np.float32(preprocessing["std"][0])
    grey = (pixels.astype(np.float32).reshape(-1, 1, 8, 8) / np.float32(16) - mean) / std
    names = [str(int(digit)) if labelled else None for digit in bunch.target]
    return Source(
        name="digits",
        digests=tuple(_digest(row.tobytes(), name) for row, name in zip(pixels, names, strict=True)),
        labels=bunch.target.astype(np.int64) if labelled else None,
        images=lambda positions: grey[np.asarray(positions, dtype=np.int64)],
    )


def _folder(folder: Path, split: str, preprocessing: Mapping[str, Any], labelled: bool) -> Source:
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder; name the images with --data-dir")
    root = _split_folder(str(folder), split)
    files = sorted(_walk(root))
    if not files:
        raise Refused(f"{folder}: no images ({', '.join(EXTENSIONS)}) found in it")
    names = ["" if os.path.dirname(path) == root else os.path.basename(os.path.dirname(path)) for path in files]
    classes = sorted(set(names), key=_natural)
    number = {name: index for index, name in enumerate(classes)}
    channels = int(preprocessing["input_size"][0])
    transform = _transform(preprocessing, channels)

    def images(positions: Sequence[int]) -> np.ndarray:
        return np.stack([_picture(files[position], channels, transform) for position in positions])

    return Source(
        name=str(folder),
        digests=tuple(
            _digest(read_bytes(Path(path)), name if labelled else None) for path, name in zip(files, names, strict=True)
        ),
        labels=np.array([number[name] for name in names], dtype=np.int64) if labelled else None,
        images=images,
    )


def _walk(root: str) -> list[str]:
    return [
        os.path.join(place, file)
        for place, _, files in os.walk(root, followlinks=True)
        for file in files
        if os.path.splitext(file)[1].lower() in EXTENSIONS
    ]


def _split_folder(root: str, split: str) -> str:
    """Where timm looks for a split: its own folder, or one of the names it also goes by."""
    wanted = split.split("[")[0]
    if not wanted:
        return root
    for name in (wanted, *(name for names in SYNONYMS if wanted in names for name in names)):
        if os.path.exists(os.path.join(root, name)):
            return os.path.join(root, name)
    return root


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]


def _transform(preprocessing: Mapping[str, Any], channels: int) -> Callable[[Any], Any]:
    from certify.verifier.network import import_timm

    import_timm()
    from timm.data.transforms_factory import create_transform

    options: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in preprocessing.items()}
    options |= {"mean": options["mean"][:channels], "std": options["std"][:channels]}
    transform: Any = create_transform(**options, is_training=False)
    return transform


def _picture(path: str, channels: int, transform: Callable[[Any], Any]) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(transform(image.convert({1: "L", 3: "RGB"}[channels])), dtype=np.float32)
    except Exception as error:  # Pillow's decoders raise almost anything
        raise Refused(f"{path}: not a readable image ({type(error).__name__}); restore the file") from None


def _digest(picture: bytes, name: str | None) -> str:
    return _sha256(_json([_sha256(picture), name]))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
