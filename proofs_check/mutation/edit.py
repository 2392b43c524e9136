"""One wrong edit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """`text`, which stands exactly once in `file`, becomes `wrong`; `tests` are the fast tests that must notice."""

    file: str
    text: str
    wrong: str
    what: str
    tests: tuple[str, ...]
