"""Piecewise linear operations: where their centre bends, and what a bend that is missing or undecided can add.

A knot that stands a little beside a kink, or is missing, costs `wrong`: how far the centre goes to the other side of the kink
within one interval. No sign and no winner has to be decided rightly for the tube to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from certify.bounds.exact.affine import Window
from certify.bounds.exact.tubes import Tube, Values, outward, tube
from certify.theory.outward._rounding import UNIT


class Bends(NamedTuple):
    """Places (interval, share) at t_i + share (t_{i+1} - t_i), 0 < share < 1, where the operation bends."""

    interval: Values
    share: Values


@dataclass(frozen=True)
class Kink:
    """max(x, slope x) with slope <= 1: 0 for ReLU, -1 for the absolute value, otherwise a leaky ReLU.

    With l, r the ends of the centre, J = 1 - slope, L = max(1, |slope|), and wrong = min(|l|, |r|) if the signs of l and r
    differ, else 0: the chord lies at most J wrong above the function; where |centre| <= rem the side is open.

        side decided : rem' = |slope there| rem,   drift' = |slope there| drift
        otherwise    : rem' = L rem + J wrong,     drift' = L drift + J (min(rem + wrong, |r - l|) + wrong)
    """

    slope: float

    def value(self, x: Values) -> Values:
        return np.maximum(x, self.slope * x if self.slope else 0)

    def bends(self, x: Values) -> Bends:
        left, right = x[:-1], x[1:]
        at = np.nonzero(((left < 0) & (right > 0)) | ((left > 0) & (right < 0)))
        return Bends(at[0], left[at] / (left[at] - right[at]))

    def tube(self, x: Tube) -> Tube:
        left, right = x.ends
        low, high = np.minimum(left, right), np.maximum(left, right)
        wrong = np.maximum(np.minimum(high, -low), 0.0)
        jump, steep = 1.0 - self.slope, max(1.0, abs(self.slope))
        positive, negative = low >= x.rem, high <= -x.rem
        undecided = ~(positive | negative)
        factor = np.where(positive, 1.0, np.where(negative, abs(self.slope), steep))
        spread = np.where(undecided, np.minimum(x.rem + wrong, high - low) + wrong, 0.0)
        # slope x is exact for slopes 0, 1 and -1.
        off = 0.0 if self.slope in (0.0, 1.0, -1.0) else 2 * UNIT * abs(self.slope) * np.maximum(np.abs(low), np.abs(high))
        rem, drift = factor * x.rem + jump * wrong + off, factor * x.drift + jump * spread + 2.0 * off
        # Nothing comes through a side of slope 0 that is decided: exact zeros stay zeros.
        shut = negative if self.slope == 0.0 else np.zeros_like(negative)
        return tube(self.value(x.centre), np.where(shut, 0.0, outward(rem, 8)), np.where(shut, 0.0, outward(drift, 8)))


@dataclass(frozen=True)
class MaxPool:
    """Maximum over windows; the edge is repeated as padding, which adds no new candidate.

    Candidates j of a window, k the largest in the middle of the interval, D_j = c_k - c_j, gap = the largest of max_j c_j - c_k
    at the two ends. A candidate with D_j > rem_j + rem_k at both ends wins nowhere; the others contend:

        rem'   = max_j rem_j + gap
        drift' = sum_j drift_j + gap + sum_{j != k} min(rem_j + rem_k + gap, |D_j(right) - D_j(left)|)
    """

    window: Window

    def candidates(self, x: Values) -> Values:
        """(M, C, H, W) -> (M, C, H', W', kernel size)."""
        seen = self.window.of(x, mode="edge")
        return seen.reshape(*seen.shape[:4], -1)

    def value(self, x: Values) -> Values:
        return self.candidates(x).max(axis=-1)

    def bends(self, x: Values) -> Bends:
        lines = self.candidates(x)
        last = lines.shape[-1]
        top = lines.argmax(axis=-1)
        # By convexity a window bends only where the winner of the left end has lost at the right end.
        at = np.nonzero(_taken(lines[1:], top[:-1]) < lines[1:].max(axis=-1))
        return _envelope(lines[:-1][at].reshape(-1, last), lines[1:][at].reshape(-1, last), at[0])

    def tube(self, x: Tube) -> Tube:
        left, right = (self.candidates(end) for end in x.ends)
        rem, drift = self.candidates(x.rem), self.candidates(x.drift)
        best = (0.5 * left + 0.5 * right).argmax(axis=-1)
        leads = [_taken(end, best)[..., None] - end for end in (left, right)]
        both = rem + _taken(rem, best)[..., None]
        out = (leads[0] > outward(both, 8)) & (leads[1] > outward(both, 8))
        gap = -np.minimum(leads[0], leads[1]).min(axis=-1)
        swing = np.abs(leads[1] - leads[0]) + 4 * UNIT * (np.abs(leads[0]) + np.abs(leads[1]))
        extra = np.where(out, 0.0, drift + np.minimum(both + gap[..., None], swing)).sum(axis=-1)
        size = rem.shape[-1]
        wide = outward(np.where(out, 0.0, rem).max(axis=-1) + gap, size)
        return tube(self.value(x.centre), wide, outward(extra + gap, size))


def _taken(table: Values, index: Any) -> Values:
    return np.take_along_axis(table, index[..., None], axis=-1)[..., 0]


def _steepest(slope: Values, among: Values) -> Values:
    """Per row the column of the largest slope among those marked, at least one of them."""
    return np.where(among, slope - slope.min(axis=-1, keepdims=True), -1).argmax(axis=-1)


def _envelope(left: Values, right: Values, interval: Values) -> Bends:
    """Bends of max_j of the lines from left[:, j] to right[:, j], (P, w) each, one row per window and interval.

    The winner's slope grows at every bend, so that the walk from the left ends after at most w - 1 of them.
    """
    slope = right - left
    rows, found, shares = np.arange(len(left)), [interval[:0]], [left[:0, 0]]
    here = left.max(axis=-1)
    # Among equals at the left end the steepest goes on; a bend at share 0 is none.
    winner = _steepest(slope, left == here[:, None])
    for _ in range(left.shape[-1] - 1):
        lead, rate = _taken(left, winner)[:, None] - left, slope - _taken(slope, winner)[:, None]
        closing = rate > 0
        share = np.where(closing, lead / np.where(closing, rate, 1), 2)
        first = share.min(axis=-1)
        going = first < 1
        if not going.any():
            break
        rows, left, slope, share, first = rows[going], left[going], slope[going], share[going], first[going]
        winner = _steepest(slope, share == first[:, None])
        inside = first > 0
        found.append(interval[rows[inside]])
        shares.append(first[inside])
    return Bends(np.concatenate(found), np.concatenate(shares))
