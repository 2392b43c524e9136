"""Run: one folder that holds everything about one job. Every stage reads and writes it, so every stage can resume."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certify.records.errors import Refused
from certify.records.files import UNFINISHED, atomic_write
from certify.records.hashing import sha256_file, sha256_json
from certify.records.journal import Journal
from certify.records.recipe import Recipe


class Run:
    """The folder of a job. Opening it with another recipe than the one it was made with is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")

    @classmethod
    def create(cls, folder: Path, recipe: Recipe) -> Run:
        """Make the folder, or reopen it when it was made with the same recipe."""
        run = cls(folder)
        if folder.exists() and not folder.is_dir():
            raise Refused(f"{folder}: exists and is not a folder; choose another --out")
        if run.path("recipe.toml").exists():
            found = run.recipe()
            if found.digest != recipe.digest:
                raise Refused(
                    f"{folder}: holds a run of another recipe ({found.digest[:12]}, asked for {recipe.digest[:12]}); "
                    "choose another --out or remove the folder"
                )
        elif folder.exists() and any(entry for entry in folder.iterdir() if not entry.name.endswith(UNFINISHED)):
            raise Refused(f"{folder}: is not empty and holds no recipe.toml; choose another --out")
        else:
            atomic_write(run.path("recipe.toml"), recipe.to_toml().encode())
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run."""
        run = cls(folder)
        if not run.path("recipe.toml").is_file():
            raise Refused(f"{folder}: is not a run folder (no recipe.toml); make one with certify run --out {folder}")
        return run

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder for one process; a second one is refused instead of mixing its files with the first one's.

        What a killed process had half-written is removed.
        """
        with open(self.journal.path, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"{self.folder}: another process is working on this run; wait for it to end") from None
            for leftover in self.folder.rglob(f".*{UNFINISHED}"):
                leftover.unlink()
            yield

    def recipe(self) -> Recipe:
        return Recipe.load(self.path("recipe.toml"))

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def plan(self, name: str, *parts: str) -> Path:
        return self.folder.joinpath("plans", name, *parts)

    def stage(self, name: str, inputs: Any, outputs: Sequence[Path], work: Callable[[], None]) -> bool:
        """Do `work` unless the journal says it was done from the same inputs and its outputs still hash the same.

        inputs : a JSON value that determines the outputs. Returns True when work was done.
        """
        key = sha256_json(inputs)
        relative = [str(path.relative_to(self.folder)) for path in outputs]
        if self._is_done(name, key, relative):
            return False
        self.journal.append("start", stage=name, key=key)
        work()
        for path in outputs:
            if not path.is_file():
                raise Refused(f"stage {name} did not write {path}")
        hashes = {entry: sha256_file(path) for entry, path in zip(relative, outputs, strict=True)}
        self.journal.append("done", stage=name, key=key, outputs=hashes)
        return True

    def _is_done(self, name: str, key: str, relative: Sequence[str]) -> bool:
        done = [event for event in self.journal.events() if event.get("event") == "done" and event.get("stage") == name]
        if not done or done[-1].get("key") != key or sorted(done[-1].get("outputs", ())) != sorted(relative):
            return False
        for entry, stated in done[-1]["outputs"].items():
            path = self.folder / entry
            if not path.is_file():
                return False
            if sha256_file(path) != stated:
                raise Refused(
                    f"{path}: its bytes changed since stage {name} wrote it; restore it, or delete it to have the stage redone"
                )
        return True
