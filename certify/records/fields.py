"""Checks shared by the record types: read-only arrays, finite numbers, names from a fixed list, ranges of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from certify.records.errors import Refused, Usage

TIERS = ("proved", "enclosed", "resolved", "sampled")
UNITS = ("logit", "nat", "decision")


def frozen(array: Any, dtype: Any = None) -> np.ndarray:
    """A read-only copy of `array`."""
    copy = np.array(array, dtype=dtype)
    copy.setflags(write=False)
    return copy


def finite(array: np.ndarray, what: str) -> np.ndarray:
    """`array`, refused when any entry is NaN or infinite."""
    if not np.all(np.isfinite(array)):
        raise Refused(f"{what}: {int(np.sum(~np.isfinite(array)))} of {array.size} numbers are NaN or infinite")
    return array


def one_of(value: str, allowed: Iterable[str], what: str) -> None:
    """Refuse a word that is not in the list."""
    if value not in tuple(allowed):
        raise Refused(f"{what}: {value!r} is not one of {', '.join(allowed)}")


def build(cls: type, value: Mapping[str, Any], what: str) -> Any:
    """Make a record from a JSON object; unknown or missing keys are refused by name."""
    try:
        return cls(**value)
    except TypeError as error:
        raise Refused(f"{what}: not the expected fields ({error})") from None


def between(value: float, low: float, high: float, what: str, *, open_low: bool = False, open_high: bool = False) -> None:
    """A number of a recipe in its range, or one sentence that names both."""
    inside = (value > low if open_low else value >= low) and (value < high if open_high else value <= high)
    if not inside:
        brackets = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise Usage(f"recipe: {what} = {value} is not in {brackets}")


def as_floats(record: Any) -> None:
    """Whole numbers in fields of type float become floats, so that equal recipes have one digest."""
    for entry in fields(record):
        value = getattr(record, entry.name)
        if entry.type in ("float", "float | None") and isinstance(value, int):
            object.__setattr__(record, entry.name, float(value))
