"""The doors of the laws: a shape, a variance, points and probabilities, or one sentence that says what was found."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from certify.records import Refused

Array = npt.NDArray[np.float64]


def check_size(value: Any, name: str) -> int:
    """A whole number >= 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise Refused(f"{name}: {value!r}; a whole number >= 1 is expected")
    return int(value)


def check_model(rows: int, cols: int, variance: float) -> None:
    """The shape of R and the variance of one entry."""
    check_size(rows, "rows")
    check_size(cols, "cols")
    if not isinstance(variance, Real) or not math.isfinite(variance) or not variance > 0.0:
        raise Refused(f"entry_variance: {variance!r}; a finite number > 0 is expected (a zero matrix has no bulk)")


def points(x: npt.ArrayLike, name: str = "x") -> Array:
    """Real numbers, infinities allowed."""
    array = np.asarray(x, dtype=np.float64)
    if np.any(np.isnan(array)):
        raise Refused(f"{name}: NaN; a law is evaluated at numbers")
    return array


def at_least(x: npt.ArrayLike, name: str, low: float) -> Array:
    """Finite real numbers >= low."""
    array = points(x, name)
    if not np.all((array >= low) & np.isfinite(array)):
        raise Refused(f"{name}: from {array.min()!r} to {array.max()!r}; finite numbers >= {low} are expected")
    return array


def shares(q: npt.ArrayLike) -> Array:
    """Probabilities, both ends included."""
    array = np.asarray(q, dtype=np.float64)
    if not np.all((array >= 0.0) & (array <= 1.0)):
        raise Refused("q: a probability lies in [0, 1]")
    return array


def level(value: float, name: str) -> float:
    """A probability strictly between 0 and 1."""
    if not isinstance(value, Real) or not 0.0 < value < 1.0:
        raise Refused(f"{name}: {value!r}; a probability strictly between 0 and 1 is expected")
    return float(value)
