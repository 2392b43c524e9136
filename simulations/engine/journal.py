"""Journals: append-only records of finished cells, each checking itself.

A record is one line: CRC-32 of the rest in eight hexadecimal digits, a space, and a JSON object
{"cell": key, "seconds": s} with either "row", or "error" and "attempt". NaN and infinity are written as JSON has no word for
them: NaN, Infinity, -Infinity.

One process writes one journal, created under a number nobody had before, and never appends to another's. A record goes to
the operating system in a single write before its cell counts as finished: the SIGKILL of any process loses no finished cell,
and leaves at most one torn line, at the end, which readers drop. The disk is forced (fsync) at most once a second and at the
end: losing power costs the cells of that second, and they are computed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from certify.records import Refused
from simulations.engine.study import KEY_BYTES, Outcome

FORCE_SECONDS = 1.0
SUFFIX = ".jsonl"
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Record:
    """An outcome and where it stands.

    offset, length : place of the line in its journal, in bytes.
    """

    outcome: Outcome
    offset: int
    length: int


def encode(outcome: Outcome) -> bytes:
    """The line of an outcome."""
    value = {"cell": outcome.key.hex(), "seconds": round(outcome.seconds, 7)}
    value |= {"error": outcome.error, "attempt": outcome.attempt} if outcome.error else {"row": dict(outcome.row)}
    text = ENCODER.encode(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> Outcome | None:
    """The outcome of a line, or None when the line is not whole."""
    if not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    text = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(text):
            return None
        value = json.loads(text)
        key = bytes.fromhex(value["cell"])
        if len(key) != KEY_BYTES or not ("row" in value) ^ ("error" in value):
            return None
        return Outcome(key, value["seconds"], value.get("row", {}), value.get("error", ""), value.get("attempt", 1))
    except (ValueError, KeyError, TypeError):
        return None


def records(path: Path) -> Iterator[Record]:
    """Every whole record of a journal, one at a time; a line that is not whole is passed over."""
    offset = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                outcome = decode(line)
                if outcome is not None:
                    yield Record(outcome, offset, len(line))
                offset += len(line)
    except OSError as error:
        raise Refused(f"{path}: the journal cannot be read ({error.strerror or error})") from None


def journals(folder: Path) -> list[Path]:
    """The journals of a folder in the order they were made."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def new_journal(folder: Path) -> Path:
    """Create an empty journal under the next free number."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.stem) for path in journals(folder) if path.stem.isdecimal()), default=0)
    while True:
        path = folder / f"{number:06d}{SUFFIX}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            return path
        except FileExistsError:
            number += 1


class Writer:
    """Appends to one journal, which must be this process's alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._forced = time.monotonic()

    def append(self, outcome: Outcome) -> None:
        """Hand one record to the operating system; a disk that does not take it whole is refused, and the part is taken back."""
        line = encode(outcome)
        before = os.fstat(self._handle).st_size
        try:
            written = os.write(self._handle, line)
            if written != len(line):
                raise OSError(f"{written} of {len(line)} bytes written")
            if time.monotonic() - self._forced > FORCE_SECONDS:
                os.fsync(self._handle)
                self._forced = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, before)
            sentence = f"{self.path}: the journal cannot be written ({error.strerror or error})"
            raise Refused(f"{sentence}; make room and give the same command again") from None

    def close(self) -> None:
        """Force the disk; an empty journal is removed."""
        with contextlib.suppress(OSError):
            os.fsync(self._handle)
        empty = os.fstat(self._handle).st_size == 0
        os.close(self._handle)
        if empty:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
