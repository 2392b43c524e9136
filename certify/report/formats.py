"""Numbers as a reader meets them: few digits, true minus signs, upper limits rounded up and never down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

NOT_HERE = "not part of this run"
NOT_STATED = "–"

_PERCENT = "\u00a0%"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """`-3` to "10⁻³"."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def whole(value: int) -> str:
    """An integer with separators of thousands."""
    return f"{value:,}".replace("-", "−")


def number(value: float | None, digits: int = 3, *, exact: bool = False) -> str:
    """`digits` significant digits; powers of ten outside [1e-3, 1e5). `exact` drops zeros at the end, for chosen values."""
    if value is None:
        return NOT_STATED
    if isinstance(value, int):
        return whole(value)
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    size = int(exponent)
    if exact:
        mantissa = mantissa.rstrip("0").rstrip(".")
        digits = max(1, len(mantissa.lstrip("-").replace(".", "")))
    if -3 <= size < 5:
        return f"{float(f'{mantissa}e{size}'):,.{max(0, digits - 1 - size)}f}".replace("-", "−")
    return f"{mantissa}×{power_of_ten(size)}".replace("-", "−")


def percent(share: float, digits: int = 2, *, up: bool = False) -> str:
    """A share as a percentage. `up` rounds towards +infinity, as an upper limit must be."""
    step = Decimal(1).scaleb(-digits)
    rounded = (Decimal(share) * 100).quantize(step, rounding=ROUND_CEILING if up else ROUND_HALF_EVEN)
    return f"{rounded + 0:f}".replace("-", "−") + _PERCENT


def nats(limit: float, digits: int = 4) -> str:
    """An upper limit in nats, rounded towards +infinity."""
    return f"{Decimal(limit).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING) + 0:f}".replace("-", "−") + " nats"


def confidence(delta: float) -> str:
    """Confidence 1 - delta as a percentage, as many digits as it has."""
    return f"{100 * (1 - delta):.10g}{_PERCENT}"


def points(share: float, digits: int = 2, *, up: bool = False) -> str:
    """A difference of two shares, in percentage points."""
    return percent(share, digits, up=up).replace(_PERCENT, " percentage points")


def count(part: int, total: int, digits: int = 2) -> str:
    """ "3 of 180 (1.67 %)"."""
    return f"{whole(part)} of {whole(total)} ({percent(part / total, digits)})" if total else f"{whole(part)} of 0"


def short(digest: str) -> str:
    """The first twelve characters of a digest."""
    return digest[:12]


def clip(name: str, length: int) -> str:
    """A long name with its middle left out; the end of a layer name tells more than its start."""
    if len(name) <= length:
        return name
    head = (length - 1) // 3
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"


def trim(sentence: str, length: int) -> str:
    """A long sentence with its end left out."""
    return sentence if len(sentence) <= length else sentence[: length - 1].rstrip() + "…"


def listing(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plain(value: Any) -> str:
    """A JSON leaf as text, every digit kept."""
    if value is None:
        return NOT_STATED
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """A JSON value as (dotted key, text) rows; lists of plain values stay on one row."""
    if isinstance(value, Mapping) and value:
        return [row for key in sorted(value) for row in flatten(value[key], f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(not isinstance(entry, Mapping | list | tuple) for entry in value):
            return [(prefix, ", ".join(plain(entry) for entry in value) or NOT_STATED)]
        return [row for index, entry in enumerate(value) for row in flatten(entry, f"{prefix}[{index}]")]
    return [(prefix, NOT_STATED if isinstance(value, Mapping) else plain(value))]
