"""The other figures: what was removed, spectra with the fitted law, margins before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from certify.records import Outcomes, Plan, Spectrum, decision
from certify.report.canvas import (
    FAINT,
    GAINED,
    INK,
    LOST,
    MUTED,
    REFERENCE,
    SHIPPED,
    Picture,
    axes,
    figure,
    svg,
)
from certify.report.formats import clip, count, number, percent, whole

MANY_POINTS = 1500
BINS = 36


def removal_picture(plan: Plan, key: str) -> Picture:
    """Share of removed weights of each target, in the order of the network."""
    counts = plan.counts()
    canvas = figure(0.55 + 0.24 * len(counts))
    plot = axes(canvas, 1.75, 0.45, 0.72, 0.08)
    for row, entry in enumerate(counts.values()):
        share = entry["removed"] / entry["total"]
        plot.barh(row, 1, height=0.66, color=FAINT)
        plot.barh(row, share, height=0.66, color=REFERENCE)
        plot.text(1.02, row, percent(share, 1), va="center", fontsize=9.5)
    plot.set_yticks(range(len(counts)), [clip(name, 25) for name in counts], fontsize=9)
    plot.tick_params(axis="y", length=0)
    plot.set_ylim(len(counts) - 0.4, -0.6)
    plot.set_xlim(0, 1)
    plot.set_xticks([0, 0.25, 0.5, 0.75, 1])
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    plot.spines["left"].set_visible(False)
    plot.set_xlabel("share of the target's weights removed")
    parts = "; ".join(f"{name} {percent(entry['removed'] / entry['total'])}" for name, entry in counts.items())
    alt = f"Share of weights removed from each target by plan {plan.name}: {parts}."
    return Picture(
        svg(canvas, key, alt),
        f"{count(plan.removed, plan.total)} of the weights of the edited targets are zero.",
        f"Plan {plan.name}",
    )


def spectrum_picture(spectrum: Spectrum, key: str) -> Picture:
    """Histogram of the singular values, the fitted law over it, both edges and the spikes."""
    values = np.asarray(spectrum.singular_values)
    canvas = figure(2.3, 3.4)
    plot = axes(canvas, 0.2, 0.46, 0.2, 0.12)
    plot.yaxis.set_visible(False)
    plot.spines["left"].set_visible(False)
    plot.set_xlabel("singular value")
    plot.xaxis.set_major_locator(MaxNLocator(5))
    beyond = _spectrum_body(plot, spectrum, values) if values.size else 0
    caption = f"Largest {number(values.max(initial=0.0))}. "
    if spectrum.fitted:
        caption += (
            f"Bulk {percent(spectrum.bulk_share, 1)}, fit error {number(spectrum.fit_error, 2)}, "
            f"{whole(len(spectrum.spikes))} {'spike' if len(spectrum.spikes) == 1 else 'spikes'}"
            + (f" ({whole(beyond)} beyond the axis)." if beyond else ".")
        )
    else:
        caption += f"No law fitted: {spectrum.note}."
    alt = f"Singular values of {spectrum.target}, {whole(spectrum.rows)} by {whole(spectrum.cols)}. {caption}"
    if spectrum.fitted:
        alt += f" Bare edge {number(spectrum.bare_edge)}, spike edge {number(spectrum.spike_edge)}."
    return Picture(svg(canvas, key, alt), caption, spectrum.target)


def _spectrum_body(plot: Axes, spectrum: Spectrum, values: np.ndarray) -> int:
    """Draw on `plot`; returns how many singular values lie right of the axis."""
    right = float(values.max())
    if spectrum.fitted and spectrum.spike_edge > 0:
        near = values[values <= 2.2 * spectrum.spike_edge]
        right = max(1.03 * float(near.max(initial=0.0)), 1.25 * spectrum.spike_edge)
    right = right or 1.0
    bins = np.linspace(0, right, max(10, min(BINS, values.size // 2)))
    heights, _ = np.histogram(values, bins)
    density = heights / (values.size * (bins[1] - bins[0]))
    plot.stairs(density, bins, fill=True, facecolor="#b9cbe0", edgecolor="#7d97b5", linewidth=0.6)
    top = float(density.max(initial=0.0))
    if spectrum.fitted:
        curve = np.asarray(spectrum.curve_density)
        plot.plot(spectrum.curve_x, curve, color=INK, linewidth=1.6)
        top = max(top, float(np.quantile(curve, 0.98)) if curve.size else 0.0)
        plot.axvline(spectrum.spike_edge, color=SHIPPED, linewidth=1.6)
        plot.axvline(spectrum.bare_edge, color=REFERENCE, linewidth=1.6, linestyle=(0, (4, 3)))
        spikes = [value for value in spectrum.spikes if value <= right]
        plot.plot(spikes, [0.045 * top] * len(spikes), linestyle="none", marker="v", markersize=6, color=SHIPPED, clip_on=False)
    beyond = int(np.sum(values > right * (1 + 1e-9)))
    if beyond:
        plot.plot([1.06 * right], [0.045 * top], marker=">", markersize=7, color=SHIPPED, clip_on=False)
    plot.set_xlim(0, right * 1.06)
    plot.set_ylim(0, 1.12 * (top or 1.0))
    return beyond


def margins(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray, str]:
    """(n,) margins of reference and shipped, and which label they are taken for.

    Margin of label c: z_c - max over j != c of z_j. c is the true label; without labels, the one the reference predicts.
    """
    if outcomes.labels is not None:
        labels, words = outcomes.labels, "the true label"
    else:
        labels, words = decision(outcomes.reference), "the label the reference predicts"
        labels = np.where(labels < 0, outcomes.reference.argmax(axis=1), labels)
    row = np.arange(outcomes.size)

    def margin(logits: np.ndarray) -> np.ndarray:
        others = logits.copy()
        others[row, labels] = -np.inf
        return logits[row, labels] - others.max(axis=1)

    return margin(outcomes.reference), margin(outcomes.shipped), words


def margin_pictures(outcomes: Outcomes, key: str) -> tuple[Picture, Picture]:
    """The margins of both networks as histograms, and each sample as a point."""
    reference, shipped, words = margins(outcomes)
    return _margin_histogram(reference, shipped, words, key), _margin_scatter(reference, shipped, words, key)


def _margin_histogram(reference: np.ndarray, shipped: np.ndarray, words: str, key: str) -> Picture:
    canvas = figure(3.2)
    plot = axes(canvas, 0.62, 0.5, 0.2, 0.3)
    low, high = _span(reference, shipped)
    bins = np.linspace(low, high, BINS)
    plot.stairs(np.histogram(reference, bins)[0], bins, color=REFERENCE, linewidth=1.6, fill=True, alpha=0.25)
    plot.stairs(np.histogram(reference, bins)[0], bins, color=REFERENCE, linewidth=1.6)
    plot.stairs(np.histogram(shipped, bins)[0], bins, color=SHIPPED, linewidth=1.8, linestyle=(0, (4, 1.5)))
    plot.axvline(0, color=INK, linewidth=1)
    plot.set_xlabel(f"margin of {words} (logits)")
    plot.set_ylabel("samples")
    plot.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    plot.legend(
        [Patch(facecolor=REFERENCE, alpha=0.4), Line2D([], [], color=SHIPPED, linewidth=1.8, linestyle=(0, (4, 1.5)))],
        ["reference", "shipped"],
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0,
        ncols=2,
    )
    medians = f"Median margin {number(float(np.median(reference)))} before, {number(float(np.median(shipped)))} after"
    before, after = (count(int(np.sum(margin <= 0)), margin.size) for margin in (reference, shipped))
    wrong = f"at or below zero on {before} before, {after} after"
    alt = f"Histograms of the margin of {words} over {whole(reference.size)} samples. {medians}; {wrong}."
    return Picture(svg(canvas, f"{key}-histogram", alt), f"{medians}; {wrong}.", "How the margins are spread")


def _margin_scatter(reference: np.ndarray, shipped: np.ndarray, words: str, key: str) -> Picture:
    canvas = figure(3.2)
    plot = axes(canvas, 0.62, 0.5, 0.2, 0.1)
    low, high = _span(reference, shipped)
    lost, gained = (reference > 0) & (shipped <= 0), (reference <= 0) & (shipped > 0)
    same = ~(lost | gained)
    plot.plot([low, high], [low, high], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    plot.axhline(0, color=INK, linewidth=0.9)
    plot.axvline(0, color=INK, linewidth=0.9)
    if reference.size > MANY_POINTS:
        grid = np.linspace(low, high, 49)
        cells = np.histogram2d(reference[same], shipped[same], bins=[grid, grid])[0].T
        shades = LinearSegmentedColormap.from_list("ink", ["#dfe7f0", "#31506f"])
        plot.pcolormesh(grid, grid, np.ma.masked_equal(np.log1p(cells), 0), cmap=shades, linewidth=0)
    else:
        plot.plot(reference[same], shipped[same], linestyle="none", marker="o", markersize=3.2, color="#5f7d9c", alpha=0.55)
    for chosen, marker, colour, name in ((lost, "X", LOST, "lost"), (gained, "P", GAINED, "gained")):
        shown = np.flatnonzero(chosen)[:MANY_POINTS]
        style = {"linestyle": "none", "marker": marker, "markersize": 7.5, "markeredgecolor": "white", "color": colour}
        plot.plot(reference[shown], shipped[shown], label=f"{name} ({whole(int(chosen.sum()))})", **style)
    plot.set_xlim(low, high)
    plot.set_ylim(low, high)
    plot.set_xlabel("reference margin (logits)")
    plot.set_ylabel("shipped margin (logits)")
    plot.legend(loc="lower right", handletextpad=0.2)
    caption = (
        f"Lost: the margin of {words} was positive and is not any more, {whole(int(lost.sum()))}. "
        f"Gained: the reverse, {whole(int(gained.sum()))}. Points on the dashed line did not move."
    )
    alt = f"Each of {whole(reference.size)} samples by its margin in the reference and in the shipped network. {caption}"
    return Picture(svg(canvas, f"{key}-scatter", alt), caption, "Sample by sample")


def _span(reference: np.ndarray, shipped: np.ndarray) -> tuple[float, float]:
    low = min(float(reference.min()), float(shipped.min()), 0.0)
    high = max(float(reference.max()), float(shipped.max()), 0.0)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room
