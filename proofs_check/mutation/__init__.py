"""Small wrong edits of the formulas, applied one at a time in a scratch copy; the tests named beside each must catch it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proofs_check.mutation.edit import Edit
from proofs_check.mutation.edits import EDITS

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("certify", "proofs_check", "simulations", "tests")
TIME_LIMIT = 600.0

Numbered = tuple[int, Edit]


def select(numbers: Sequence[int], every: int) -> list[Numbered]:
    """The edits of these numbers (all when empty), every N-th of them."""
    everything = list(enumerate(EDITS))
    return [everything[number] for number in numbers] if numbers else everything[::every]


def run(chosen: Sequence[Numbered], jobs: int) -> Iterator[tuple[int, Edit, bool, float]]:
    """(number, edit, whether a test caught it, seconds), in order."""
    with ThreadPoolExecutor(jobs) as pool:
        for (number, edit), (caught, seconds) in zip(chosen, pool.map(_caught, (edit for _, edit in chosen)), strict=True):
            yield number, edit, caught, seconds


def _caught(edit: Edit) -> tuple[bool, float]:
    """Whether the named tests fail once the edit is made. A test run that cannot start is an error, not a catch."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="certify-mutant-") as place:
        scratch = Path(place)
        for name in COPIED:
            shutil.copytree(ROOT / name, scratch / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(ROOT / "pyproject.toml", scratch / "pyproject.toml")
        path = scratch / edit.file
        source = path.read_text(encoding="utf-8")
        if source.count(edit.text) != 1:
            raise LookupError(f"{edit.file}: {edit.text!r} stands {source.count(edit.text)} times; once is expected")
        path.write_text(source.replace(edit.text, edit.wrong), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *edit.tests]
        environment = os.environ | {"HYPOTHESIS_PROFILE": "dev", "PYTHONPATH": str(scratch)}
        try:
            done = subprocess.run(
                command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return True, time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{edit.file}: {edit.what}: pytest ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 1, time.perf_counter() - start
