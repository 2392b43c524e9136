"""The door of every theorem: float64, finite, of the stated shape, or one sentence that names the array."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from certify.records import Refused

Array = npt.NDArray[np.float64]
ArrayLike = npt.ArrayLike
Whole = npt.NDArray[np.int64]


def finite(value: ArrayLike, name: str, shape: tuple[int | None, ...] | None = None) -> Array:
    """`value` as a float64 array without NaN or infinity. `shape` fixes dimensions; None stands for any size >= 1."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise Refused(f"{name}: entries of type {array.dtype}; real numbers are expected")
    array = array.astype(np.float64, copy=False)
    if shape is not None:
        _shaped(array, name, shape)
    if not np.all(np.isfinite(array)):
        bad = int(np.sum(~np.isfinite(array)))
        raise Refused(f"{name}: {bad} of {array.size} entries are NaN or infinite; nothing can be certified about them")
    return array


def at_least(value: ArrayLike, name: str, low: float, shape: tuple[int | None, ...] | None = None) -> Array:
    """A finite array whose entries are all >= low."""
    array = finite(value, name, shape)
    if array.size and array.min() < low:
        raise Refused(f"{name}: smallest entry {array.min()!r}; at least {low} is required")
    return array


def _shaped(array: np.ndarray, name: str, shape: tuple[int | None, ...]) -> None:
    wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        raise Refused(f"{name}: shape {array.shape}; {wanted} is expected")
    if any(want is None and got == 0 for want, got in zip(shape, array.shape, strict=True)):
        raise Refused(f"{name}: shape {array.shape} is empty; every statement is about at least one sample and one entry")


def logits_and_labels(logits: ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Whole]:
    """(T, K) logits with K >= 2, and (T,) whole labels in 0..K-1."""
    z = finite(logits, "logits", (None, None))
    if z.shape[1] < 2:
        raise Refused("logits: one class; a margin needs at least two")
    label = np.asarray(labels)
    if label.dtype.kind not in "iu":
        raise Refused(f"labels: entries of type {label.dtype}; class numbers are expected")
    _shaped(label, "labels", (z.shape[0],))
    if label.min() < 0 or label.max() >= z.shape[1]:
        raise Refused(f"labels: from {label.min()} to {label.max()}; 0 to {z.shape[1] - 1} are allowed")
    return z, label.astype(np.int64)


def others(table: Array, labels: Whole, fill: float) -> Array:
    """A copy of a (T, K) table with the entry of the true class replaced by `fill`."""
    copy = table.copy()
    copy[np.arange(len(labels)), labels] = fill
    return copy


def number(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """A finite real number in [low, high]."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise Refused(f"{name}: {value!r}; one real number is expected")
    found = float(value)
    if not np.isfinite(found) or not low <= found <= high:
        raise Refused(f"{name}: {found!r}; a finite number in [{low}, {high}] is expected")
    return found


def level(value: Any, name: str) -> float:
    """An error probability, strictly between 0 and 1."""
    found = number(value, name)
    if not 0.0 < found < 1.0:
        raise Refused(f"{name}: {found!r}; an error probability lies strictly between 0 and 1")
    return found


def whole(value: Any, name: str, low: int, high: int | None = None) -> int:
    """A whole number >= low (and <= high)."""
    if not isinstance(value, Integral) or isinstance(value, bool | np.bool_):
        raise Refused(f"{name}: {value!r}; a whole number is expected")
    found = int(value)
    if found < low or (high is not None and found > high):
        raise Refused(f"{name}: {found}; a whole number from {low} to {'infinity' if high is None else high} is expected")
    return found


def representable(result: npt.ArrayLike, name: str) -> Array:
    """`result`, refused where float64 overflowed on the way."""
    array = np.asarray(result, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise Refused(f"{name}: overflows float64; the inputs are too large for a certificate")
    return array
