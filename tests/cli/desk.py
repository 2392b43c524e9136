"""A desk to spoil things at, and the list of bad input made there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jobs

VIT, RESNET = jobs.DIGITS["model"], jobs.RESNET


@dataclass(frozen=True)
class Desk:
    """A folder to work in, and the digits job that went the whole way."""

    folder: Path
    finished: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self, recipe: dict[str, Any]) -> list[object]:
        return ["run", jobs.write_recipe(self.folder / "recipe.toml", recipe), "--out", self.out, "--json"]

    def digits(self, **changes: Any) -> list[object]:
        """The digits job with the finished job's reference, so that nothing is trained."""
        model = {"checkpoint": str(self.finished / "reference.safetensors")} | changes.pop("model", {})
        return self.run(jobs.changed(jobs.DIGITS, model=model, training=None, **changes))

    def images(self, images: Path, **changes: Any) -> list[object]:
        """A job on an image folder with a random ResNet."""
        model = RESNET | {"checkpoint": str(jobs.write_checkpoint(self.folder / "resnet.safetensors", RESNET))}
        splits = {"train": 0, "calibration": 4, "tuning": 0, "certification": 30}
        base = {"model": model, "data": {"dir": str(images)}, "splits": splits, "recovery": {"epochs": 0}}
        return self.run(jobs.changed(base | {"threads": 1, "plan": [{"name": "half", "sparsity": 0.5}]}, **changes))

    def copied(self) -> Path:
        """A copy of the finished job."""
        shutil.copytree(self.finished.parent, self.folder / "copy")
        return self.folder / "copy" / "run"

    def checkpoint(self, name: str, content: bytes) -> list[object]:
        (self.folder / name).write_bytes(content)
        return self.digits(model={"checkpoint": str(self.folder / name)})

    def certificate(self, run: Path) -> Path:
        return run / "plans" / "half" / "certificate.json"


@dataclass(frozen=True)
class Bad:
    """A kind of bad input, the exit code it must give, and words its sentence must hold.

    tampers : it changes files of a finished job, so that these no longer hash as the journal says.
    """

    make: Callable[[Desk], list[object]]
    code: int
    words: tuple[str, ...]
    tampers: bool


KINDS: list[Bad] = []


def bad(code: int, *words: str, tampers: bool = False) -> Callable[[Callable[[Desk], list[object]]], None]:
    """Enter a kind of bad input."""
    return lambda make: KINDS.append(Bad(make, code, words, tampers))
