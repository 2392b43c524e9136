"""The register of looks: who has seen which certification split, and what share of delta that look spent."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certify.records.errors import Refused
from certify.records.files import read_bytes
from certify.records.journal import Journal
from certify.records.recipe import DataRecipe

# Room for the rounding of sums such as 0.1 + 0.2 + 0.7; far below any share a person would declare.
SLACK = 1e-9


def register_path(data: DataRecipe, run_folder: Path) -> Path:
    """Beside the data where that can be written, else beside the run folder."""
    if data.source == "folder" and os.access(data.dir, os.W_OK | os.X_OK):
        return Path(data.dir) / ".certify-looks.jsonl"
    return run_folder.resolve().parent / "certify-looks.jsonl"


def look(path: Path, split_digest: str, family_digest: str, delta: float, share: float) -> int:
    """Enter one look at a certification split; returns how many there were when it was taken, this one included.

    family_digest : name of everything that was decided before looking. The same family again is the same look.
    share         : part of `delta` this look spends, in (0, 1]. All looks at a split share one delta and their shares sum
                    to at most 1, so by the union bound their statements hold together with probability 1 - delta.
    """
    with _locked(path):
        looks = [entry for entry in _read(path) if entry["split"] == split_digest]
        for number, entry in enumerate(looks, start=1):
            if entry["family"] == family_digest:
                if (entry["delta"], entry["share"]) != (delta, share):
                    raise Refused(
                        f"{path}: this look was entered with delta {entry['delta']} and share {entry['share']}, now "
                        f"asked for {delta} and {share}; keep the first values, they cannot change after looking"
                    )
                return number
        if any(entry["delta"] != delta for entry in looks):
            raise Refused(
                f"{path}: earlier looks at this certification split share delta {looks[0]['delta']}, this one asks for "
                f"{delta}; use that delta, or draw a new split with another splits.seed"
            )
        spent = sum(entry["share"] for entry in looks)
        if spent + share > 1 + SLACK:
            raise Refused(
                f"{path}: {len(looks)} earlier look{'s' if len(looks) > 1 else ''} at this certification split spent share "
                f"{spent:g} of delta {delta:g}, and share {share:g} more is asked for; draw a new split with another "
                "splits.seed, or plan for several looks with a smaller guarantees.share in the first one"
            )
        Journal(path).append("look", split=split_digest, family=family_digest, delta=delta, share=share)
        return len(looks) + 1


def _read(path: Path) -> list[dict[str, Any]]:
    """Every look entered. A torn last line was never acknowledged and does not count; any other damage is refused."""
    looks: list[dict[str, Any]] = []
    for number, line in enumerate(read_bytes(path).split(b"\n")[:-1], start=1):
        try:
            entry = json.loads(line)
            names = {key: entry[key] for key in ("split", "family")}
            looks.append(names | {key: float(entry[key]) for key in ("delta", "share")})
        except (ValueError, KeyError, TypeError):
            raise Refused(f"{path}: line {number} is not a look; restore the register, looks cannot be guessed") from None
    return looks


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the register alone; closing the file lets go."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise Refused(f"{path}: the register of looks cannot be written ({error.strerror or error})") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
