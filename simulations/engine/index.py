"""Which cells a set of journals has finished, and where their records stand: a few dozen bytes a cell."""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from certify.records import Refused
from simulations.engine.journal import decode, records
from simulations.engine.study import Outcome

BATCH = 4096
COLUMNS = {
    "high": "Q",
    "low": "Q",
    "attempt": "q",
    "digest": "Q",
    "journal": "i",
    "offset": "q",
    "length": "i",
}


@dataclass(frozen=True)
class Index:
    """One record per cell, sorted by key: its row if any attempt gave one, else the error of the last attempt.

    paths     : the journals.
    columns   : arrays of equal length. high, low: the key's halves. attempt: 0 for a row, else the number of the failed
                attempt. digest: of the row or error. journal, offset, length: place of the line.
    seconds   : total wall time of the study's function over all records read.
    recorded  : records read, those of repeated cells included.
    """

    paths: tuple[Path, ...]
    columns: dict[str, np.ndarray]
    seconds: float
    recorded: int

    def places(self, keys: Iterable[bytes]) -> Iterator[int]:
        """Position of each key, or -1; looked up BATCH at a time."""
        stream = iter(keys)
        while batch := b"".join(itertools.islice(stream, BATCH)):
            wanted = np.frombuffer(batch, dtype=">u8").astype(np.uint64).reshape(-1, 2)
            first = np.searchsorted(self.columns["high"], wanted[:, 0], side="left")
            behind = np.searchsorted(self.columns["high"], wanted[:, 0], side="right")
            for start, end, low in zip(first.tolist(), behind.tolist(), wanted[:, 1], strict=True):
                same = np.flatnonzero(self.columns["low"][start:end] == low) if end > start else []
                yield start + int(same[0]) if len(same) else -1

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        """Position and outcome of several cells, journal by journal."""
        journals, offsets, lengths = (self.columns[name] for name in ("journal", "offset", "length"))
        ordered = sorted(positions, key=lambda place: (journals[place], offsets[place]))
        for number, group in itertools.groupby(ordered, key=lambda place: journals[place]):
            path = self.paths[number]
            with open(path, "rb") as file:
                for place in group:
                    file.seek(offsets[place])
                    outcome = decode(file.read(int(lengths[place])))
                    if outcome is None:
                        raise Refused(f"{path}: changed while it was read; give the same command again")
                    yield place, outcome


def read_index(paths: Sequence[Path]) -> Index:
    """The index of these journals. Two different rows of one cell are refused."""
    found = {name: array(code) for name, code in COLUMNS.items()}
    seconds = 0.0
    for number, path in enumerate(paths):
        for record in records(path):
            outcome = record.outcome
            seconds += outcome.seconds
            entry = (
                int.from_bytes(outcome.key[:8], "big"),
                int.from_bytes(outcome.key[8:], "big"),
                outcome.attempt if outcome.error else 0,
                _digest(outcome),
                number,
                record.offset,
                record.length,
            )
            for column, value in zip(found.values(), entry, strict=True):
                column.append(value)
    columns = {name: np.array(column, dtype=np.uint64 if column.typecode == "Q" else np.int64) for name, column in found.items()}
    recorded = len(columns["high"])
    return Index(tuple(paths), _best(columns, paths), seconds, recorded)


def _digest(outcome: Outcome) -> int:
    text = outcome.error.encode() if outcome.error else repr(sorted(outcome.row.items())).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _best(columns: dict[str, np.ndarray], paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """One record per key: rows before errors, later attempts before earlier ones, then the smallest digest."""
    later_first = np.where(columns["attempt"] == 0, np.iinfo(np.int64).min, -columns["attempt"])
    order = np.lexsort((columns["digest"], later_first, columns["low"], columns["high"]))
    for name in columns:
        columns[name] = columns[name][order]
    same = (columns["high"][1:] == columns["high"][:-1]) & (columns["low"][1:] == columns["low"][:-1])
    rows = columns["attempt"] == 0
    clash = np.flatnonzero(same & rows[1:] & rows[:-1] & (columns["digest"][1:] != columns["digest"][:-1]))
    if clash.size:
        one, other = (int(clash[0]) + step for step in (0, 1))
        key = f"{int(columns['high'][one]):016x}{int(columns['low'][one]):016x}"
        first, second = (paths[columns["journal"][position]] for position in (one, other))
        raise Refused(
            f"cell {key} has one row in {first} and another in {second}: the study is no pure function of parameters and "
            "seed, or two machines compute differently; keep one of the two journals"
        )
    kept = np.concatenate(([True], ~same)) if len(rows) else rows
    return columns if kept.all() else {name: column[kept] for name, column in columns.items()}
