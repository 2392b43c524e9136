"""Draws until an interval is narrow enough: a cell may stop at a stated precision instead of a fixed number of draws.

Both helpers look at n = first, 2 first, 4 first, ... draws, up to `most`, and give look k = 1, 2, ... the error probability
delta / (k (k + 1)), which sums to delta: stopping at the first narrow interval costs no coverage. The numbers of draws are
fixed beforehand, so that the same generator gives the same answer everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from certify.records import Refused, Usage

Draw = Callable[[int], np.ndarray]
FIRST = 64
MOST = 1 << 20


@dataclass(frozen=True)
class Estimate:
    """A value with an interval around it.

    value, lower, upper : estimate and limits.
    draws               : how many were made.
    reached             : whether upper - lower came down to the wanted precision before `most` draws.
    """

    value: float
    lower: float
    upper: float
    draws: int
    reached: bool


def until(precision: float, draw: Draw, *, delta: float = 0.05, first: int = FIRST, most: int = MOST) -> Estimate:
    """Mean of draws, to an interval no wider than `precision`.

        mean +- t_{n-1}(1 - delta_k / 2) sd / sqrt(n),   delta_k = delta / (k (k + 1))

    precision : wanted upper - lower, > 0, in units of the draws.
    draw      : n -> (n,) finite draws, independent and alike, from the cell's own generator.
    delta     : error probability of the interval, in (0, 1). Exact for normal draws, asymptotic for draws of finite
                variance; at small n unsafe for heavy tails. For events use `until_share`, exact at every n.
    Returns an Estimate; never vacuous. Draws that are all equal give an interval of width 0.
    """
    count, mean, square = 0, 0.0, 0.0
    for look, size in _looks(precision, delta, max(first, 2), most):
        block = _draws(draw, size - count)
        gap = float(block.mean()) - mean
        square += float(np.sum((block - block.mean()) ** 2)) + gap * gap * count * len(block) / size
        mean += gap * len(block) / size
        count = size
        level = delta / (look * (look + 1))
        half = -float(stdtrit(count - 1, level / 2.0)) * math.sqrt(square / (count - 1) / count)
        if 2.0 * half <= precision:
            return Estimate(mean, mean - half, mean + half, count, True)
    return Estimate(mean, mean - half, mean + half, count, False)


def until_share(precision: float, draw: Draw, *, delta: float = 0.05, first: int = FIRST, most: int = MOST) -> Estimate:
    """Share of draws in which an event happened, to a Clopper–Pearson interval no wider than `precision`.

        [L(k; delta_k / 2), U(k; delta_k / 2)],   P(the probability lies outside at some look) <= delta

    precision : wanted upper - lower, in (0, 1].
    draw      : n -> (n,) truth values, independent and alike, from the cell's own generator.
    delta     : error probability of the interval, in (0, 1), exact at every number of draws.
    Returns an Estimate; vacuous, [0, 1], never.
    """
    from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper

    count, events = 0, 0
    for look, size in _looks(precision, delta, first, most):
        block = np.asarray(draw(size - count))
        if block.shape != (size - count,) or block.dtype != np.bool_:
            raise Refused(
                f"until_share: draw({size - count}) gave {block.dtype} of shape {block.shape}, not as many truth values"
            )
        events += int(np.count_nonzero(block))
        count = size
        level = delta / (look * (look + 1)) / 2.0
        lower, upper = clopper_pearson_lower(events, count, level), clopper_pearson_upper(events, count, level)
        if upper - lower <= precision:
            return Estimate(events / count, lower, upper, count, True)
    return Estimate(events / count, lower, upper, count, False)


def _looks(precision: float, delta: float, first: int, most: int) -> Iterator[tuple[int, int]]:
    """Look number and draws so far at it; the last look is at `most` draws."""
    if not (precision > 0.0 and math.isfinite(precision)):
        raise Usage(f"precision = {precision} is not a finite number above 0")
    if not 0.0 < delta < 1.0:
        raise Usage(f"delta = {delta} is not in (0, 1)")
    if not 1 <= first <= most:
        raise Usage(f"first = {first} and most = {most}: need 1 <= first <= most")
    look, size = 1, first
    while True:
        yield look, size
        if size == most:
            return
        look, size = look + 1, min(2 * size, most)


def _draws(draw: Draw, size: int) -> np.ndarray:
    block = np.asarray(draw(size), dtype=np.float64)
    if block.shape != (size,) or not np.all(np.isfinite(block)):
        raise Refused(f"until: draw({size}) gave shape {block.shape}, or numbers that are not finite")
    return block
