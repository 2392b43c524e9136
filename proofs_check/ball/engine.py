"""f > 0 on a whole box, by ball arithmetic: enclose f on a cell, and halve the cell where the enclosure does not decide.

On each cell X with middle m, two enclosures are tried: f(X), and f(m) + sum_i f_i(X) (X_i - m_i) with X_i shrunk to one end
wherever the partial derivative f_i has one sign on X. A cell whose middle has f <= 0 refutes the statement. Time and cells
are limited, and reaching a limit is a failure. Cells are closed, share their faces and have float64 ends, widened outward.

Where f vanishes on a part of the box no subdivision ends: a check divides by the factor that vanishes, or shows the sign of
a derivative there, and says so. An unbounded direction is mapped to a bounded one, or left to an argument that the check
states; otherwise it speaks of its box alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from proofs_check.ball.arithmetic import Flint, Function, Mpmath, Number, Slopes, arithmetic, partial
from proofs_check.checks import Finding

CELLS, SECONDS = 200_000, 30.0

Side = tuple[Number, Number]


def positive(
    f: Function,
    box: Mapping[str, Side],
    *,
    cells: int = CELLS,
    seconds: float = SECONDS,
    on: Flint | Mpmath | None = None,
) -> Finding:
    """f > 0 on the whole box, or the cell that refutes it, or what was reached when a limit stopped the search.

    f   : called as f(a, *values) with one value per name of the box, in its order.
    box : name to (low, high), finite; ends that are no floats are moved outward.
    """
    base = on or arithmetic()
    with base.precise():
        return _search(f, base, box, cells, time.process_time() + seconds, seconds)


Cell = tuple[tuple[float, float], ...]


def _search(f: Function, base: Flint | Mpmath, box: Mapping[str, Side], cells: int, until: float, seconds: float) -> Finding:
    whole: Cell = tuple((_down(low), _up(high)) for low, high in box.values())
    pending, done, smallest = [whole], 0, math.inf
    while pending:
        cell = pending.pop()
        done += 1
        low, steep = _lower(f, base, cell)
        if low > 0.0:
            smallest = min(smallest, low)
            continue
        middle = [(low + high) / 2 for low, high in cell]
        _, high = _ends(base, f, [base.number(x) for x in middle])
        if high <= 0.0:
            return Finding(f"false at {_words(box, cell)}: at its middle f <= {high:.3g}")
        halves = _halves(cell, whole, steep)
        if not halves or done >= cells or time.process_time() > until:
            limit = f"{done} cells" if not halves or done >= cells else f"{seconds:g} s"
            return Finding(f"undecided after {limit} at {_words(box, cell)}: f >= {low:.3g} is all that is known there")
        pending += halves
    words = ", ".join(f"{name} in [{low}, {high}]" for name, (low, high) in box.items())
    return Finding("", f"box {words}: {done} cells, smallest lower bound {smallest:.3g} ({base.name})")


def _lower(f: Function, base: Flint | Mpmath, cell: Cell) -> tuple[float, Sequence[float]]:
    """A lower bound of f on the cell, and how much each side can matter (slope times width)."""
    low, _ = _ends(base, f, [base.interval(*side) for side in cell])
    if low > 0.0:
        return low, ()
    steep: list[float] = []
    for attempt in range(2):
        values = [base.interval(*side) for side in cell]
        slopes = Slopes(base, len(cell))
        try:
            parts = f(slopes, *slopes.variables(values)).parts
        except (ZeroDivisionError, ValueError):
            return low, steep
        ranges = [base.ends(part) for part in parts]
        if attempt == 0:
            steep = [(b - a) * max(abs(low), abs(high)) for (a, b), (low, high) in zip(cell, ranges, strict=True)]
        shrunk = tuple(_face(side, slope) for side, slope in zip(cell, ranges, strict=True))
        middle = [(a + b) / 2 for a, b in shrunk]
        total = f(base, *(base.number(x) for x in middle))
        for (a, b), center, part in zip(shrunk, middle, parts, strict=True):
            if a < b:
                total = total + part * (base.interval(a, b) - center)
        low = max(low, base.ends(total)[0])
        if low > 0.0 or shrunk == cell:
            break
        cell = shrunk
    return low, steep


def _face(side: tuple[float, float], slope: tuple[float, float]) -> tuple[float, float]:
    """The end where f is least, if its slope along this side has one sign."""
    if slope[0] >= 0.0:
        return side[0], side[0]
    return (side[1], side[1]) if slope[1] <= 0.0 else side


def _ends(base: Flint | Mpmath, f: Function, values: Sequence[Any]) -> tuple[float, float]:
    try:
        return base.ends(f(base, *values))
    except (ZeroDivisionError, ValueError):
        return -math.inf, math.inf


def _halves(cell: Cell, whole: Cell, steep: Sequence[float]) -> list[Cell]:
    """Halved along the side that matters most; along the longest, in shares of the box, where slopes are unknown.

    Empty where no float lies between the ends.
    """
    shares = [(b - a) / (high - low) if high > low else 0.0 for (a, b), (low, high) in zip(cell, whole, strict=True)]
    usable = steep and all(math.isfinite(value) for value in steep) and max(steep) > 0.0
    weights = [value if share > 0.0 else 0.0 for value, share in zip(steep if usable else shares, shares, strict=True)]
    axis = weights.index(max(weights))
    a, b = cell[axis]
    center = (a + b) / 2
    if not a < center < b:
        return []
    return [(*cell[:axis], half, *cell[axis + 1 :]) for half in ((a, center), (center, b))]


def _down(x: Number) -> float:
    return float(x) if Fraction(float(x)) <= Fraction(x) else math.nextafter(float(x), -math.inf)


def _up(x: Number) -> float:
    return float(x) if Fraction(float(x)) >= Fraction(x) else math.nextafter(float(x), math.inf)


def _words(box: Mapping[str, Side], cell: Cell) -> str:
    return ", ".join(f"{name} in [{low!r}, {high!r}]" for name, (low, high) in zip(box, cell, strict=True))


def integral(f: Function, low: Number, high: Number, pieces: int = 100, on: Flint | Mpmath | None = None) -> tuple[float, float]:
    """Enclosure of the integral of f(a, x) by the midpoint rule: sum of w f(m) + w^3/24 f''(cell), w the width of a cell."""
    base = on or arithmetic()

    def second(a: Any, x: Any) -> Any:
        return partial(a, lambda b, y: partial(b, f, (y,), 0), (x,), 0)

    with base.precise():
        width = (base.number(high) - base.number(low)) / pieces
        total = base.number(0)
        for i in range(pieces):
            middle = base.number(low) + width * (2 * i + 1) / 2
            cell = middle + width * base.interval(-0.5, 0.5)
            total = total + width * f(base, middle) + width * width * width / 24 * second(base, cell)
        return base.ends(total)


def every(*findings: Finding | str) -> Finding:
    """The first failure, or all details in a row."""
    found = [Finding(finding) if isinstance(finding, str) else finding for finding in findings]
    failed = next((finding for finding in found if finding.failure), None)
    return failed or Finding("", "; ".join(finding.detail for finding in found if finding.detail))
