"""Watch: how far a canary has read a stream of predictions. Small enough to be written whole after every few lines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from certify.records.errors import Refused
from certify.records.files import read_json, write_json

HEADER = ("dense", "pruned")


@dataclass(frozen=True)
class Watch:
    """The lines read so far and what they held.

    level  : disagreement rate that is not to be exceeded.    alpha : chance of an alarm while it is not.
    source : content hash of the certificate the level was taken from, or "".
    lines, samples, failures : lines read; predictions among them (all but a header); those that differ.
    fired  : line at which the alarm was raised, 0 while there was none.
    chain  : SHA-256 of the chain before and the line, from "" on: names the lines that were read.
    """

    level: float
    alpha: float
    source: str = ""
    lines: int = 0
    samples: int = 0
    failures: int = 0
    fired: int = 0
    chain: str = ""

    def __post_init__(self) -> None:
        counts = (self.lines, self.samples, self.failures, self.fired)
        whole = all(isinstance(count, int) and not isinstance(count, bool) for count in counts)
        if not whole or not 0 <= self.failures <= self.samples <= self.lines or not 0 <= self.fired <= self.lines:
            raise Refused(f"watch: {self.failures} failures of {self.samples} samples on {self.lines} lines do not go together")

    def read(self, line: str, where: str) -> Watch:
        """The watch after one more line; refused by its number where it does not hold two predictions."""
        pair = parse(line, f"{where}: line {self.lines + 1}")
        header = self.lines == 0 and pair == HEADER
        return replace(
            self,
            lines=self.lines + 1,
            samples=self.samples + (not header),
            failures=self.failures + (not header and pair[0] != pair[1]),
            chain=hashlib.sha256((self.chain + line).encode()).hexdigest(),
        )

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Watch:
        value = read_json(path)
        if not isinstance(value, dict) or set(value) != {entry.name for entry in fields(cls)}:
            raise Refused(f"{path}: not the state of a canary; give another --state, or remove it to begin anew")
        try:
            return cls(**value)
        except TypeError as error:
            raise Refused(f"{path}: not the state of a canary ({error})") from None


def parse(line: str, where: str) -> tuple[str, str]:
    """The two predictions of a line: `{"dense": 3, "pruned": 3}` or `3,3`; class numbers or names."""
    text = line.strip()
    if text.startswith("{"):
        try:
            value = json.loads(text)
            pair = tuple(value[key] for key in HEADER)
        except (ValueError, KeyError, RecursionError) as error:
            raise Refused(f"{where}: not a JSON object with dense and pruned ({type(error).__name__}: {error})") from None
    else:
        pair = tuple(part.strip() for part in text.split(","))
    if len(pair) != 2 or not all(isinstance(each, int | str) and not isinstance(each, bool) and each != "" for each in pair):
        raise Refused(f'{where}: {text[:60]!r} is not two predictions; write 3,3 or {{"dense": 3, "pruned": 3}}')
    return str(pair[0]), str(pair[1])
