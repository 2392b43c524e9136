"""The journal of a run: one JSON object a line, each complete or absent. The only file of a run that holds times."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from certify.records.hashing import canonical_json


class Journal:
    """Append-only record of what a run did.

    A line torn by a crash is dropped when the journal is opened for the next append.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, **fields: Any) -> None:
        """Write one line and force it to the disk."""
        line = canonical_json({"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **fields})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            self._drop_torn_line(file)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> list[dict[str, Any]]:
        """Every complete line, oldest first."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [event for event in found if isinstance(event, dict)]

    @staticmethod
    def _drop_torn_line(file: Any) -> None:
        file.seek(0)
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
