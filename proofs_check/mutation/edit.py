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


def theory_edit(module: str, text: str, wrong: str, what: str, *tests: str) -> Edit:
    """An edit of certify/theory/MODULE.py, with the names of its test files below tests/theory."""
    return Edit(f"certify/theory/{module}.py", text, wrong, what, tuple(f"tests/theory/test_{name}.py" for name in tests))


def room_edit(module: str, text: str, wrong: str, what: str, *tests: str) -> Edit:
    """An edit of certify/MODULE.py, with the names of its test files below tests."""
    return Edit(f"certify/{module}.py", text, wrong, what, tuple(f"tests/{name}.py" for name in tests))
