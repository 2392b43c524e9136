"""Arguments of the command line that are read the same way by several verbs."""

from __future__ import annotations

from typing import Any

from certify.records import Usage


def merge_counts(text: str) -> tuple[int, ...]:
    """`8,8,4` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise Usage(f"--merge {text!r} is not a whole number, or one per block with commas between") from None


def parse_kwargs(pairs: list[str], flag: str = "--model-kwargs") -> dict[str, Any]:
    """`img_size=8` to {"img_size": 8}; values are TOML, or text when they are not."""
    import tomllib

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Usage(f"{flag} {pair!r} is not of the form key=value")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = {"True": True, "False": False}.get(value, value)
    return found
