"""Checks shared by the record types: read-only arrays, finite numbers, names from a fixed list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from certify.records.errors import Refused

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
