"""The ladder as a picture: one row per rung, the distribution over samples on a log axis, the partial order in the gutter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Curve
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from certify.records import Bound, Ladder
from certify.report.canvas import INK, MUTED, TIER_EDGE, TIER_FILL, TIER_MARKER, Picture, axes, figure, log_tick, svg
from certify.report.formats import count, listing, number, percent, trim, whole

ROW = 0.47
GUTTER = 0.55
DECADES = 8
# Letters that fit beside each other at 10 points, and at the smallest size used.
ROOM, LETTERS = 54, 62
UNIT_TITLE = {
    "logit": "Logits: how far a score can move",
    "nat": "Cross-entropy: how much the loss can move",
    "decision": "Decisions: on how many samples",
}
UNIT_AXIS = {"logit": "logits (log scale)", "nat": "nats (log scale)", "decision": "share of samples"}
TAIL = 5.0


@dataclass(frozen=True)
class Rung:
    """One bound, summed up over the samples of its ladder."""

    bound: Bound
    low: float
    median: float
    high: float
    largest: float
    not_positive: int

    vacuous: int

    @property
    def size(self) -> int:
        return len(self.bound.asked)


def rungs(ladder: Ladder, unit: str) -> list[Rung]:
    """The rungs of one unit, smallest median (for decisions: smallest share) first."""
    found = []
    for bound in ladder.bounds:
        values = bound.asked
        if bound.unit == unit and values.size:
            vacuous = int(np.sum(np.isinf(values)))
            method = "higher" if vacuous else "linear"
            low, median, high = (float(value) for value in np.percentile(values, [TAIL, 50, 100 - TAIL], method=method))
            found.append(Rung(bound, low, median, high, float(values.max()), int(np.sum(values <= 0)), vacuous))
    if unit == "decision":
        return sorted(found, key=lambda rung: (float(rung.bound.asked.mean()), rung.bound.quantity))
    return sorted(found, key=lambda rung: (rung.median, rung.largest, rung.bound.quantity))


def log_range(ladders: Sequence[Ladder], unit: str) -> tuple[float, float]:
    """Common axis of several ladders: every positive end that is not more than `DECADES` below the largest."""
    found = [rung for ladder in ladders for rung in rungs(ladder, unit)]
    largest = max((rung.largest for rung in found if not rung.vacuous), default=0.0)
    if largest <= 0:
        return 1e-3, 1.0
    ends = [end for rung in found for end in (rung.low, rung.median, rung.high) if np.inf > end > largest * 10.0**-DECADES]
    return min([*ends, largest / 10]) / 2, largest * 1.6


def ladder_picture(ladder: Ladder, unit: str, span: tuple[float, float], key: str, heading: str) -> Picture | None:
    """The rungs of one unit, or None where there are none."""
    found = rungs(ladder, unit)
    if not found:
        return None
    canvas = figure(0.62 + ROW * len(found))
    plot = axes(canvas, GUTTER, 0.52, 0.25, 0.1)
    plot.set_ylim(-0.5, len(found) - 0.5)
    plot.yaxis.set_visible(False)
    plot.spines["left"].set_visible(False)
    plot.set_xlabel(UNIT_AXIS[unit])
    if unit == "decision":
        _shares(plot, found)
    else:
        _distributions(plot, found, span)
    gutter = axes(canvas, 0.02, 0.52, canvas.get_size_inches()[0] - GUTTER + 0.02, 0.1)
    _order(gutter, ladder, [rung.bound.quantity for rung in found])
    words = [f"{rung.bound.label} {_in_words(rung)}" for rung in found]
    samples = len(ladder.samples)
    alt = f"{heading}, {UNIT_TITLE[unit]}, {whole(samples)} samples, from smallest to largest: {'; '.join(words)}."
    notes = [f"{whole(samples)} samples; numbers at the right are {'counts' if unit == 'decision' else 'medians'}."]
    some = sorted({rung.size for rung in found} - {samples})
    if some:
        notes.append(f"Proved rungs are of the first {listing([whole(size) for size in some])} samples.")
    if any(rung.vacuous for rung in found):
        notes.append("A bar that goes on to the right is VACUOUS on some samples: nothing is known there.")
    if unit != "decision" and any(rung.low < span[0] < rung.largest for rung in found):
        notes.append("A bar with an arrow goes on to the left, to zero or below.")
    if unit != "decision" and any(rung.largest <= 0 for rung in found):
        notes.append("A rung without a bar is zero or below on every sample.")
    return Picture(svg(canvas, key, alt), " ".join(notes), heading)


def _in_words(rung: Rung) -> str:
    if rung.bound.unit == "decision":
        return f"on {count(int(rung.bound.asked.sum()), rung.size)}"
    return f"median {size_of(rung.median)}, largest {size_of(rung.largest)}"


def size_of(value: float) -> str:
    """A bound for people: its digits, or that it says nothing."""
    return number(value) if np.isfinite(value) else "VACUOUS"


def _distributions(plot: Axes, found: Sequence[Rung], span: tuple[float, float]) -> None:
    low, high = span
    plot.set_xscale("log")
    plot.set_xlim(low, high)
    plot.xaxis.set_major_locator(LogLocator(numticks=7))
    plot.xaxis.set_major_formatter(FuncFormatter(log_tick))
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.grid(axis="x")
    for row, rung in enumerate(found):
        tier = rung.bound.tier
        some_below = f"{percent(rung.not_positive / rung.size, 0)} ≤ 0, " if rung.not_positive else ""
        few = f"of {whole(rung.size)}: " if rung.size < len(rung.bound.upper) else ""
        _label(plot, row, rung.bound, f"{few}{some_below}{size_of(rung.median)}")
        if rung.largest <= 0:
            continue
        left, right, largest = (min(max(value, low), high) for value in (rung.low, rung.high, rung.largest))
        # A bar of no width, where all samples agree, still has to be seen.
        if right < left * 1.02:
            left, right = left / 1.01, right * 1.01
        plot.plot([right, largest], [row - 0.16] * 2, color=TIER_EDGE[tier], linewidth=1)
        plot.plot([largest] * 2, [row - 0.3, row - 0.02], color=TIER_EDGE[tier], linewidth=2.2)
        if rung.high > low:
            _bar(plot, rung.bound, left, row - 0.3, right - left, 0.28)
        if rung.low < low:
            arrow = {"marker": "<", "markersize": 7, "color": TIER_EDGE[tier], "clip_on": False}
            plot.plot([-0.008], [row - 0.16], transform=plot.get_yaxis_transform(), **arrow)
        if rung.vacuous:
            arrow = {"marker": ">", "markersize": 7, "color": TIER_EDGE[tier], "clip_on": False}
            plot.plot([1.008], [row - 0.16], transform=plot.get_yaxis_transform(), **arrow)
        if low < rung.median <= high:
            plot.plot([rung.median], [row - 0.16], **_dot(tier))


def _shares(plot: Axes, found: Sequence[Rung]) -> None:
    largest = max(float(rung.bound.asked.mean()) for rung in found)
    plot.set_xlim(0, min(1.0, largest * 1.15) or 1.0)
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    plot.locator_params(axis="x", nbins=5)
    plot.grid(axis="x")
    for row, rung in enumerate(found):
        share = float(rung.bound.asked.mean())
        _label(plot, row, rung.bound, f"{whole(int(rung.bound.asked.sum()))} of {whole(rung.size)}")
        _bar(plot, rung.bound, 0, row - 0.3, share, 0.28)


def _label(plot: Axes, row: int, bound: Bound, value: str) -> None:
    across = plot.get_yaxis_transform()
    words = trim(bound.label, LETTERS - len(value))
    size = min(10.0, 10.0 * ROOM / (len(words) + len(value)))
    plot.text(0, row + 0.1, words, transform=across, fontsize=size, va="bottom")
    plot.text(1, row + 0.1, value, transform=across, fontsize=9, va="bottom", ha="right", color=MUTED)


def _bar(plot: Axes, bound: Bound, left: float, bottom: float, width: float, height: float) -> None:
    style: dict[str, Any] = {"hatch": "////", "facecolor": "white"} if bound.modelled else {"facecolor": TIER_FILL[bound.tier]}
    plot.add_patch(Rectangle((left, bottom), width, height, edgecolor=TIER_EDGE[bound.tier], linewidth=1, **style))


def _dot(tier: str) -> dict[str, Any]:
    return {
        "marker": TIER_MARKER[tier],
        "markersize": 7,
        "markerfacecolor": "white",
        "markeredgecolor": INK,
        "markeredgewidth": 1.4,
        "clip_on": False,
    }


def _order(gutter: Axes, ladder: Ladder, quantities: Sequence[str]) -> None:
    """Draw each edge of the partial order as a curve between its two rungs."""
    gutter.set_xlim(-1, 0.06)
    gutter.set_ylim(-0.5, len(quantities) - 0.5)
    gutter.axis("off")
    drawn = [edge for edge in ladder.edges if edge.below in quantities and edge.above in quantities]
    for edge in drawn:
        start, end = quantities.index(edge.below) - 0.16, quantities.index(edge.above) - 0.16
        depth = -min(1.25, 0.3 + 0.16 * abs(end - start))
        curve = Curve([(0, start), (depth, start), (depth, end), (0, end)], [Curve.MOVETO, *[Curve.CURVE4] * 3])
        style = (
            {"linewidth": 1.1, "alpha": 0.8} if edge.asserted else {"linewidth": 1.1, "linestyle": (0, (1.5, 2)), "alpha": 0.8}
        )
        gutter.add_patch(PathPatch(curve, facecolor="none", edgecolor=INK, **style))
    for row, quantity in enumerate(quantities):
        if any(quantity in (edge.below, edge.above) for edge in drawn):
            gutter.plot([0], [row - 0.16], marker="o", markersize=3.5, color=INK, clip_on=False)


def order_in_words(ladder: Ladder) -> str:
    """One sentence on the asserted edges of a ladder."""
    asserted = [edge for edge in ladder.edges if edge.asserted]
    if not asserted:
        return "No edge of this ladder is asserted."
    broken = [edge for edge in asserted if np.any(ladder.excess(edge) > 0)]
    samples = f"{whole(len(ladder.samples))} samples"
    if broken:
        return f"{len(broken)} of {len(asserted)} asserted edges are VIOLATED on at least one of {samples}: " + listing(
            [f"{edge.below} ≤ {edge.above}" for edge in broken]
        )
    return f"Each of the {len(asserted)} asserted edges holds on every one of the {samples}."
