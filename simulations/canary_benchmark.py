"""python -m simulations.canary_benchmark [--streams 20000] [--out reports/deploy]

The canary of `certify.risk.canary`: how often it rings falsely and how fast it finds harm, exactly by dynamic programming over
(samples, disagreements), and by simulated streams beside it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from certify.records.files import atomic_write
from certify.risk.canary import thresholds
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from simulations.studies._page import COLOURS, INK, STYLE, Array, table

LEVELS, ALPHA, LOOKS = (0.005, 0.02, 0.05), 0.05, 20_000
BLOCK = 100
RATIOS = (0.5, 1.0, 1.25, 1.5, 2.0, 4.0)
# Chance that any simulated rate of false alarms leaves its interval although the exact one is right.
ERROR = 1e-3


@dataclass(frozen=True)
class Watched:
    """Streams at `ratio` times the level. rung[n] = P(alarm within n samples), exact; simulated: the share of streams."""

    level: float
    ratio: float
    rung: Array
    simulated: int
    streams: int

    def delay(self, share: float) -> str:
        """Samples until this share of streams has rung."""
        reached = np.flatnonzero(self.rung >= share)
        return f"{int(reached[0]):,}" if len(reached) else f"> {LOOKS:,}"


def exact(rate: float, limits: Array) -> Array:
    """(looks + 1,) P(an alarm within n samples) of independent samples that fail at `rate`.

    limits : for n = 0, 1, ... the fewest failures that raise the alarm. What has rung leaves the table.
    """
    chance = np.zeros(int(limits.max()) + 2)
    chance[0] = 1.0
    rung = np.zeros(len(limits))
    for n in range(1, len(limits)):
        top = limits[n] + 1
        chance[1:top] = (1 - rate) * chance[1:top] + rate * chance[: top - 1]
        chance[0] *= 1 - rate
        rung[n] = rung[n - 1] + chance[limits[n]]
        chance[limits[n]] = 0.0
    return rung


def simulated(rate: float, limits: Array, streams: int, rng: np.random.Generator) -> int:
    """Streams that ring within the looks; their samples are drawn in blocks."""
    failures, rung = np.zeros(streams, dtype=np.int32), np.zeros(streams, dtype=bool)
    for start in range(1, len(limits), BLOCK):
        block = limits[start : start + BLOCK]
        counts = failures[:, None] + np.cumsum(rng.random((streams, len(block))) < rate, axis=1, dtype=np.int32)
        rung |= (counts >= block).any(axis=1)
        failures = counts[:, -1]
    return int(rung.sum())


def page(rows: list[Watched], streams: int) -> str:
    cells = sum(row.simulated >= 0 for row in rows)
    lines = [
        "# The canary",
        "",
        f"Written by `python -m simulations.canary_benchmark`. alpha = {ALPHA:g}, a look after each of {LOOKS:,} samples. "
        f"*Exact* is computed by dynamic programming; *simulated* are {streams:,} streams, with a Clopper–Pearson interval "
        f"at error {ERROR:g} over all {cells} of them together.",
        "",
        "![Chance of an alarm](canary.svg)",
        "",
        "## False alarms: the rate keeps to the level",
        "",
    ]
    quiet = [row for row in rows if row.ratio <= 1]
    lines += table(
        ("level", "rate", "allowed", f"exact, {LOOKS:,} looks", "simulated", "interval"),
        [
            (f"{row.level:g}", f"{row.ratio * row.level:g}", f"{ALPHA:g}", f"{row.rung[-1]:.4f}", *_interval(row, cells))
            for row in quiet
        ],
    )
    lines += ["## Detection: samples until a share of streams has rung", ""]
    loud = [row for row in rows if row.ratio > 1]
    lines += table(
        ("level", "rate", "a tenth", "half", "nine tenths", f"rung within {LOOKS:,}", "simulated", "interval"),
        [
            (
                f"{row.level:g}",
                f"{row.ratio * row.level:g}",
                *(row.delay(share) for share in (0.1, 0.5, 0.9)),
                f"{row.rung[-1]:.4f}",
                *_interval(row, cells),
            )
            for row in loud
        ],
    )
    return "\n".join(lines).rstrip("\n") + "\n"


def _interval(row: Watched, cells: int) -> tuple[str, str]:
    share = ERROR / (2 * cells)
    low = float(clopper_pearson_lower(row.simulated, row.streams, share))
    high = float(clopper_pearson_upper(row.simulated, row.streams, share))
    return f"{row.simulated / row.streams:.4f}", f"{low:.4f} to {high:.4f}"


def picture(rows: list[Watched]) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    into = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(1, len(LEVELS), figsize=(10.0, 3.6), sharey=True, layout="constrained")
        steps = np.unique(np.geomspace(1, LOOKS, 300).astype(int))
        for level, plot in zip(LEVELS, axes, strict=True):
            for row, colour in zip((row for row in rows if row.level == level), COLOURS, strict=False):
                plot.semilogx(steps, row.rung[steps], color=colour, label=f"{row.ratio:g} × level")
            plot.axhline(ALPHA, color=INK, linestyle=":", linewidth=1)
            plot.set_title(f"level {level:g}")
            plot.set_xlabel("samples")
        axes[0].set_ylabel("chance that the alarm has rung")
        axes[0].legend(frameon=False, fontsize=8)
        figure.savefig(into, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return into.getvalue()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("reports/deploy"))
    options = parser.parse_args(arguments)
    rng, rows = np.random.default_rng(0), []
    for level in LEVELS:
        limits = np.array(list(itertools.islice(thresholds(level, ALPHA), LOOKS + 1)))
        for ratio in RATIOS:
            count = simulated(ratio * level, limits, options.streams, rng)
            rows.append(Watched(level, ratio, exact(ratio * level, limits), count, options.streams))
    atomic_write(options.out / "canary.svg", picture(rows))
    atomic_write(options.out / "canary.md", page(rows, options.streams).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
