"""Pure noise through the bulk fit and its edges, corrected and as released: how often noise shows spikes.

python -m simulations noise-fits; python -m simulations.studies.noise_fits
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from certify.laws.edge import bulk_edge, spike_threshold
from certify.laws.wishart import gaussian_singular_values
from certify.spectra import fit_values
from simulations.engine.study import Scalar, Study
from simulations.studies._page import INK, OURS, PUBLISHED, Array, Results, command, standard_error, table, write
from simulations.studies.bulk_fit import release_fit

EDGES = ("bare", "tw_10", "tw_80", "release")
NAMES = ("bare edge", "Tracy–Widom, level .1", "Tracy–Widom, level .8", "release formula, level .8")


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | int]:
    """One iid Gaussian matrix of standard deviation 1: each edge over sqrt(rows) + sqrt(cols), and the values beyond it.

    parameters : rows, cols. Returns per edge its ratio and its false spikes, the fit error, and the fitted entry variance.
    """
    rows, cols = int(parameters["rows"]), int(parameters["cols"])
    (values,) = gaussian_singular_values(rows, cols, 1.0, 1, generator)
    fit = fit_values(values, rows, cols)
    found = {
        "bare": bulk_edge(rows, cols, fit.entry_variance),
        "tw_10": spike_threshold(rows, cols, fit.entry_variance, 0.1),
        "tw_80": spike_threshold(rows, cols, fit.entry_variance, 0.8),
        "release": release_fit(values, rows, cols).edge,
    }
    truth = math.sqrt(rows) + math.sqrt(cols)
    return {
        **{name: edge / truth for name, edge in found.items()},
        **{f"{name}_spikes": int(np.sum(values >= edge)) for name, edge in found.items()},
        "fit_error": fit.fit_error,
        "entry_variance": fit.entry_variance,
    }


STUDY = Study(
    name="noise-fits",
    version=1,
    run=run,
    parameters={"rows": int, "cols": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="pure noise through the bulk fit: edges and false spikes, corrected and as released",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write noise-fits.md and noise-fits.svg."""
    return write(STUDY, results, folder, "Pure noise through the bulk fit", findings(results), draw)


def findings(results: Results) -> list[str]:
    """Two tables: where the edges lie, and what noise shows beyond them."""
    groups = list(results.groups("rows", "cols"))
    places = [
        (f"{rows}x{cols}", len(part), *(_spread(part[name]) for name in EDGES), _spread(part["fit_error"]))
        for (rows, cols), part in groups
    ]
    spikes = [
        (f"{rows}x{cols}", *(f"{np.mean(part[f'{name}_spikes'] > 0):.0%}, {part[f'{name}_spikes'].mean():.2f}" for name in EDGES))
        for (rows, cols), part in groups
    ]
    return [
        "## Where the edges lie",
        "",
        "Edges over sqrt(rows) + sqrt(cols) times the standard deviation, which is where the bulk ends in the limit; mean and "
        "standard deviation over draws.",
        "",
        *table(("shape", "draws", *NAMES, "fit error"), places),
        "## False spikes",
        "",
        "Draws that show a spike beyond the edge, and false spikes a draw. Level .1 may show one in a tenth of the draws.",
        "",
        *table(("shape", *NAMES), spikes),
    ]


def _spread(values: Array) -> str:
    return f"{values.mean():.4f} ± {standard_error(values) * math.sqrt(len(values)):.4f}"


def draw(figure: Any, results: Results) -> None:
    """One panel: each edge's ratio by shape, every draw a point."""
    axes = figure.subplots()
    groups = list(results.groups("rows", "cols"))
    for index, (name, label) in enumerate(zip(EDGES, NAMES, strict=True)):
        for place, (_, part) in enumerate(groups):
            x = place + 0.18 * (index - 1.5)
            colour = PUBLISHED if name == "release" else OURS if name != "bare" else INK
            axes.plot(np.full(len(part), x), part[name], "_", ms=9, color=colour, alpha=0.5, label=label if place == 0 else None)
    axes.axhline(1.0, color=INK, lw=0.6)
    axes.set(xticks=range(len(groups)), ylabel="edge over sqrt(rows) + sqrt(cols)")
    axes.set_xticklabels([f"{rows}x{cols}" for (rows, cols), _ in groups])
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
