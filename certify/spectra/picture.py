"""One layer drawn: its singular values, the fitted law, the edges and the spikes."""

from __future__ import annotations

from io import StringIO

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from certify.records import Spectrum

BINS = 60
BULK, LAW, BARE, EDGE, SHUFFLED, SPIKE = "#b9cbe0", "#222222", "#2c6fae", "#b8442c", "#7a4fa3", "#b8442c"
# Values beyond this many edges are counted in the title, not drawn: one spike would squeeze the bulk to a line.
REACH = 2.2


def spectrum_svg(row: Spectrum) -> str:
    """An SVG of one row of the layer table; the caller writes it. Equal rows give equal bytes.

    Histogram of all singular values as a density, the fitted law scaled to the bulk's share, the bare edge dashed, the
    Tracy–Widom edge solid, the permutation edge dotted where there is one, a triangle under each spike.
    """
    values = np.asarray(row.singular_values)
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    plot = figure.subplots()
    edge = max(row.tw_edge, row.permutation_edge or 0.0)
    largest = float(values.max(initial=0.0))
    right = (min(1.05 * largest, REACH * edge) if row.fitted else 1.05 * largest) or 1.0
    right = max(right, 1.1 * edge)
    beyond = int(np.sum(values > right))
    shown = values[values <= right]
    heights, bins = np.histogram(shown, np.linspace(0.0, right, max(10, min(BINS, values.size // 2)) + 1))
    width = bins[1] - bins[0]
    if 1e-250 < right < 1e250:
        plot.stairs(heights / (max(values.size, 1) * width), bins, fill=True, color=BULK, label="singular values")
    if row.fitted:
        plot.plot(row.curve_x, row.curve_density, color=LAW, linewidth=1.4, label=f"fitted law, error {row.fit_error:.3f}")
        plot.axvline(row.bare_edge, color=BARE, linestyle="--", linewidth=1.2, label=f"bare edge {row.bare_edge:.4g}")
        plot.axvline(row.tw_edge, color=EDGE, linewidth=1.2, label=f"Tracy–Widom edge {row.tw_edge:.4g}")
        if row.permutation_edge is not None:
            words = f"permutation edge {row.permutation_edge:.4g}"
            plot.axvline(row.permutation_edge, color=SHUFFLED, linestyle=":", linewidth=1.6, label=words)
        spikes = [value for value in row.spikes if value <= right]
        if spikes:
            style = {"linestyle": "none", "marker": "^", "markersize": 5, "color": SPIKE, "clip_on": False}
            plot.plot(spikes, np.zeros(len(spikes)), label=f"spikes ({len(row.spikes)})", **style)
    words = f"{row.target}  {row.rows} × {row.cols}"
    plot.set_title(words + (f", {beyond} values beyond the axis, up to {largest:.4g}" if beyond else ""), fontsize=10)
    if not row.fitted:
        plot.text(0.5, 0.9, f"not fitted: {row.note}", transform=plot.transAxes, ha="center", fontsize=9)
    plot.set_xlim(0.0, right)
    plot.set_xlabel("singular value")
    plot.set_ylabel("density")
    if plot.get_legend_handles_labels()[0]:
        plot.legend(fontsize=8, frameon=False)
    sink = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": row.target, "svg.fonttype": "none"}):
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return sink.getvalue()
