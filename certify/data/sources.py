"""Samples: images as a model wants them, each named by the hash of its content."""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from certify.networks.vision import import_timm
from certify.records.errors import Refused
from certify.records.fields import frozen
from certify.records.files import read_bytes
from certify.records.hashing import sha256_bytes, sha256_json
from certify.records.recipe import CIFAR10_PARTS, DataRecipe

CACHE_BYTES = 512_000_000
DIGITS_SHAPE = (1, 8, 8)
CIFAR10_SHAPE = (3, 32, 32)
IMAGE_MODES = {1: "L", 3: "RGB"}


def sample_digest(picture: str, label: str | None) -> str:
    """Name of one sample: sha256_json([picture, label]); `picture` is the SHA-256 of its pixels or of its file."""
    return sha256_json([picture, label])


class Samples(ABC):
    """Images in a fixed order, their labels, and what names them.

    name     : for people.
    classes  : class names in label order; () when labels are none.
    labels   : (n,) int64 positions in `classes`, or None.
    pictures : SHA-256 of each image's raw pixels or file bytes. Two samples with one picture are duplicates.
    digests  : `sample_digest` of each picture and its class name. No path, no position.
    origin   : what is known of samples that share a source.
    """

    def __init__(
        self,
        name: str,
        pictures: Sequence[str],
        labels: Sequence[int] | np.ndarray | None,
        classes: Sequence[str],
        preprocessing: Mapping[str, Any],
        origin: str,
    ) -> None:
        self.name = name
        self.pictures = tuple(pictures)
        self.classes = tuple(classes) if labels is not None else ()
        self.labels = frozen(labels, np.int64) if labels is not None else None
        self.preprocessing = dict(preprocessing)
        self.origin = origin
        if labels is None:
            self.digests = tuple(sample_digest(picture, None) for picture in self.pictures)
        else:
            pairs = zip(self.pictures, labels, strict=True)
            self.digests = tuple(sample_digest(picture, self.classes[label]) for picture, label in pairs)
        if self.labels is not None and len(np.unique(self.labels)) < 2:
            raise Refused(
                f"{name}: all {len(self)} images belong to one class; put each class into a folder of its own, "
                'or set data.labels = "none"'
            )

    @property
    def digest(self) -> str:
        """Name of the whole data set."""
        return sha256_json(list(self.digests))

    def __len__(self) -> int:
        return len(self.pictures)

    @abstractmethod
    def images(self, indices: Sequence[int]) -> torch.Tensor:
        """(B, C, H, W) float32, preprocessed for evaluation."""

    @abstractmethod
    def augmented(self, indices: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """(B, C, H, W) float32 for training; every random choice is drawn from `generator`."""


class Digits(Samples):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey."""

    def __init__(self, preprocessing: Mapping[str, Any], *, labelled: bool = True) -> None:
        shape = tuple(preprocessing["input_size"])
        if shape != DIGITS_SHAPE:
            raise Refused(
                f"digits: the model takes images of shape {shape}, the digits have {DIGITS_SHAPE}; "
                "set model.kwargs img_size = 8 and in_chans = 1"
            )
        from sklearn.datasets import load_digits

        found: Any = load_digits()
        pixels = found.data.astype(np.uint8)
        super().__init__(
            name="digits",
            pictures=[sha256_bytes(row.tobytes()) for row in pixels],
            labels=found.target if labelled else None,
            classes=[str(digit) for digit in range(10)],
            preprocessing=preprocessing,
            origin="writers unknown: samples by one writer may stand in several splits",
        )
        self._pixels = torch.from_numpy(pixels).reshape(-1, *DIGITS_SHAPE).float() / 16

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels - self.preprocessing["mean"][0]) / self.preprocessing["std"][0]

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        return self._normalised(self._pixels[torch.as_tensor(indices, dtype=torch.long)])

    def augmented(self, indices: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Turned, sheared, scaled and shifted a little, with empty paper around."""
        pixels = self._pixels[torch.as_tensor(indices, dtype=torch.long)]
        # Bilinear sampling would blur eight pixels into strokes no real digit has: five points of accuracy.
        turned = _warp(pixels, _pose(len(pixels), generator), mode="bicubic", padding="zeros")
        return self._normalised(turned.clamp(0, 1))


class Cifar10(Samples):
    """CIFAR-10 as torchvision keeps it on disk: 50,000 colour images of 32x32 to train on, 10,000 to test, or all of them."""

    def __init__(self, data: DataRecipe, preprocessing: Mapping[str, Any]) -> None:
        shape = tuple(preprocessing["input_size"])
        if shape != CIFAR10_SHAPE:
            raise Refused(f"{data.dir}: the model takes images of shape {shape}, CIFAR-10 has {CIFAR10_SHAPE}; set img_size = 32")
        import_timm()
        from torchvision.datasets import CIFAR10

        try:
            parts = [CIFAR10(data.dir, train=part, download=False) for part in CIFAR10_PARTS[data.split]]
        except RuntimeError:
            raise Refused(
                f"{data.dir}: no whole CIFAR-10 is there; torchvision.datasets.CIFAR10(dir, download=True) gets it"
            ) from None
        pixels = np.concatenate([part.data for part in parts])
        labels = np.concatenate([part.targets for part in parts])
        super().__init__(
            name="cifar10",
            pictures=[sha256_bytes(picture.tobytes()) for picture in pixels],
            labels=labels if data.labels == "given" else None,
            classes=parts[0].classes,
            preprocessing=preprocessing,
            origin="near-duplicates are known to stand in both parts of CIFAR-10",
        )
        self._pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        self._mean, self._std = (torch.tensor(preprocessing[key][:3]).reshape(3, 1, 1) for key in ("mean", "std"))

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        return (self._pixels[torch.as_tensor(indices, dtype=torch.long)].float() / 255 - self._mean) / self._std

    def augmented(self, indices: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """A crop of at least 60 % of the image, stretched back to its size, mirrored half of the time."""
        images = self.images(indices)
        return _warp(images, _crop(len(images), generator), mode="bilinear", padding="border")


class Folder(Samples):
    """An image folder as timm reads it: one subfolder per class. Small sets are kept decoded in memory."""

    def __init__(self, data: DataRecipe, preprocessing: Mapping[str, Any]) -> None:
        channels = preprocessing["input_size"][0]
        if channels not in IMAGE_MODES:
            raise Refused(f"{data.dir}: the model takes {channels} channels; images are read as grey (1) or colour (3)")
        files, class_to_index = _find_images(data)
        labelled = data.labels == "given"
        if labelled and "" in class_to_index and len(class_to_index) > 1:
            stray = next(path for path, label in files if label == class_to_index[""])
            raise Refused(f"{stray}: lies beside the class folders, so its class is unknown; move it into one of them")

        import_timm()
        from timm.data.transforms_factory import create_transform

        # timm resolves three means for every model; a grey one uses the first.
        per_channel = {key: tuple(preprocessing[key][:channels]) for key in ("mean", "std")}
        self._transform = create_transform(**{**preprocessing, **per_channel}, is_training=False)
        self._mode = IMAGE_MODES[channels]
        self._files = [path for path, _ in files]
        self._cache: torch.Tensor | None = None

        whole = (len(files), *preprocessing["input_size"])
        cache = torch.empty(whole) if math.prod(whole) * 4 < CACHE_BYTES else None
        pictures = []
        for position, path in enumerate(self._files):
            content = read_bytes(path)
            pictures.append(sha256_bytes(content))
            if cache is not None:
                cache[position] = self._decode(path, content)
        super().__init__(
            name=str(data.dir),
            pictures=pictures,
            labels=[label for _, label in files] if labelled else None,
            classes=sorted(class_to_index, key=lambda name: class_to_index[name]),
            preprocessing=preprocessing,
            origin="sources unknown: images of one scene, person or burst may stand in several splits",
        )
        self._cache = cache

    def _decode(self, path: Path, content: bytes) -> torch.Tensor:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(content)) as image:
                picture = image.convert(self._mode)
        except Exception as error:  # Pillow's decoders let almost any exception through
            raise Refused(f"{path}: not a readable image ({_short(error)}); repair or remove the file") from None
        return self._transform(picture)  # type: ignore[return-value]

    def _load(self, index: int) -> torch.Tensor:
        path = self._files[index]
        content = read_bytes(path)
        if sha256_bytes(content) != self.pictures[index]:
            raise Refused(f"{path}: its bytes changed while the data set was in use; restore the file and start again")
        return self._decode(path, content)

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        if self._cache is not None:
            return self._cache[torch.as_tensor(indices, dtype=torch.long)]
        return torch.stack([self._load(int(index)) for index in indices])

    def augmented(self, indices: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """A crop of at least 60 % of the evaluated image, stretched back to its size, mirrored half of the time."""
        images = self.images(indices)
        return _warp(images, _crop(len(images), generator), mode="bilinear", padding="border")


def load_samples(data: DataRecipe, preprocessing: Mapping[str, Any]) -> Samples:
    """The samples a recipe names, as the model's preprocessing wants them.

    preprocessing : what timm's resolve_data_config returned for the model (input_size, mean, std, crop_pct ...).
    """
    if data.source == "digits":
        return Digits(preprocessing, labelled=data.labels == "given")
    if data.source == "cifar10":
        return Cifar10(data, preprocessing)
    return Folder(data, preprocessing)


def check_classes(samples: Samples, num_classes: int) -> None:
    """Refuse a model whose outputs are not the classes of the data. Unlabelled samples fit every model."""
    if samples.labels is not None and len(samples.classes) != num_classes:
        raise Refused(
            f"{samples.name}: {len(samples.classes)} classes found, the model has {num_classes} outputs, so labels and "
            'outputs do not correspond; set model.num_classes, add the missing class folders, or set data.labels = "none"'
        )


def _find_images(data: DataRecipe) -> tuple[list[tuple[Path, int]], dict[str, int]]:
    """(path, label) of every image and class name -> label, by timm's own reader."""
    root = Path(data.dir)
    if not root.is_dir():
        raise Refused(f"{root}: no such folder; data.dir must name a folder of images")
    if "[" in data.split:
        raise Refused(f"{root}: split {data.split!r} asks for a part of a folder, which timm ignores; name the folder")
    import_timm()
    from timm.data.dataset_factory import create_dataset

    try:
        reader: Any = create_dataset("", root=str(root), split=data.split).reader  # type: ignore[union-attr]
    except RuntimeError:
        raise Refused(f"{root}: no images found; expected class subfolders of PNG or JPEG files") from None
    if data.split and Path(reader.root).samefile(root):
        raise Refused(f"{root}: has no folder for the split {data.split!r}; leave data.split empty to read all of it")
    # timm's sort key takes a.png for A.png and 01.png for 1.png, and leaves such ties to the file system.
    return [(Path(path), int(label)) for path, label in sorted(reader.samples)], dict(reader.class_to_idx)


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _warp(images: torch.Tensor, matrices: torch.Tensor, *, mode: str, padding: str) -> torch.Tensor:
    """Sample `images` at x' = A x + b, one (2, 3) matrix [A | b] per image, coordinates in [-1, 1]."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)


def _uniform(low: float, high: float, count: int, generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _pose(count: int, generator: torch.Generator) -> torch.Tensor:
    """Rotation by up to 15 degrees, scale within 15 %, shear up to 0.15, shift by up to 0.8 of eight pixels."""
    angle = _uniform(-math.pi / 12, math.pi / 12, count, generator)
    scale = torch.exp(_uniform(-0.15, 0.15, count, generator))
    shear = _uniform(-0.15, 0.15, count, generator)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    shift_x, shift_y = (_uniform(-0.2, 0.2, count, generator) for _ in range(2))
    rows = [torch.stack((cos, cos * shear - sin, shift_x), 1), torch.stack((sin, sin * shear + cos, shift_y), 1)]
    return torch.stack(rows, 1)


def _crop(count: int, generator: torch.Generator) -> torch.Tensor:
    """A window of 60 to 100 % of the area and aspect ratio 3/4 to 4/3, inside the image, mirrored half of the time."""
    area = _uniform(0.6, 1.0, count, generator)
    stretch = torch.exp(0.5 * _uniform(-math.log(4 / 3), math.log(4 / 3), count, generator))
    width, height = (area.sqrt() * stretch).clamp(max=1), (area.sqrt() / stretch).clamp(max=1)
    x, y = ((1 - side) * _uniform(-1, 1, count, generator) for side in (width, height))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    zero = torch.zeros(count)
    return torch.stack([torch.stack((mirror * width, zero, x), 1), torch.stack((zero, height, y), 1)], 1)
