"""One spike under Gaussian noise: where its singular value goes, how far its vectors turn, and what can be read back.

python -m simulations bbp; python -m simulations.studies.bbp
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from certify.laws.edge import bulk_edge, spike_threshold
from certify.laws.spikes import detection_threshold, left_overlap, right_overlap, spiked_value, strength
from simulations.engine.study import Scalar, Study
from simulations.samplers import leading_overlaps
from simulations.studies._page import COLOURS, INK, Results, command, slope, standard_error, table, write

LEVEL = 0.05
CLEAR = 1.5
SMALL = 512
CLOSE = 0.01
FLUCTUATIONS = 5.0


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """Leading singular value of W = R + theta u v^T and its squared overlaps, beside their limits.

        R in R^{rows x cols} iid N(0, 1 / rows),  theta = ratio theta_c;   s_1, <u, u_1>^2, <v, v_1>^2 drawn jointly

    parameters : rows, cols >= 1; ratio >= 0; draws >= 2. Drawn from O(N^(1/3)) numbers (`leading_overlaps`), no matrix.
    Returns means with standard errors and limits (M5); the estimate of theta / theta_c from s_1 at the known variance, bias
    and root mean square relative to it; how often s_1 passes the Tracy–Widom threshold of level LEVEL and the bare edge; how
    often s_1 is further than 5 entries' deviations from its limit. nan where ratio = 0 makes a relative error meaningless.
    Claim M5-bbp-map, M5-threshold, M5-overlaps, M5-inverse.
    """
    rows, cols, draws = (int(parameters[name]) for name in ("rows", "cols", "draws"))
    variance = 1.0 / rows
    theta = float(parameters["ratio"]) * detection_threshold(rows, cols, variance)
    found = leading_overlaps(rows, cols, variance, 1, draws, generator, (theta,))
    s, left, right = found.values[:, 0], found.left[:, 0, 0], found.right[:, 0, 0]
    limit = float(spiked_value(theta, rows, cols, variance))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = strength(s, rows, cols, variance) / theta - 1.0 if theta else np.full(draws, math.nan)
    return {
        "value": float(s.mean()),
        "value_error": standard_error(s),
        "value_limit": limit,
        "left": float(left.mean()),
        "left_error": standard_error(left),
        "left_limit": float(left_overlap(theta, rows, cols, variance)),
        "right": float(right.mean()),
        "right_error": standard_error(right),
        "right_limit": float(right_overlap(theta, rows, cols, variance)),
        "strength_bias": float(error.mean()),
        "strength_rms": math.sqrt(float(np.mean(error**2))),
        "plain_bias": float(s.mean()) / theta - 1.0 if theta else math.nan,
        "detected": float(np.mean(s > spike_threshold(rows, cols, variance, LEVEL))),
        "beyond_edge": float(np.mean(s >= bulk_edge(rows, cols, variance))),
        "far": float(np.mean(np.abs(s - limit) > FLUCTUATIONS * math.sqrt(variance))),
    }


STUDY = Study(
    name="bbp",
    version=1,
    run=run,
    parameters={"rows": int, "cols": int, "ratio": float, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="the transition of one spike under noise: its singular value, overlaps and recovered strength against their limits",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write bbp.md and bbp.svg."""
    return write(STUDY, results, folder, "The transition of a spike, and its recovery", findings(results), draw)


def findings(results: Results) -> list[str]:
    """What the numbers say, one claim after another."""
    return [*_location(results), *_near(results), *_orientation(results), *_recovery(results), *_detection(results)]


def _location(results: Results) -> list[str]:
    clear = results.where(results["ratio"] >= CLEAR)
    large = clear.where(np.minimum(clear["rows"], clear["cols"]) >= SMALL)
    worst = float(np.max(np.abs(large["value"] / large["value_limit"] - 1.0), initial=0.0))
    far = float(np.max(clear["far"], initial=0.0))
    rows = []
    for (n,), group in large.groups("ratio"):
        rows.append(
            (
                n,
                float(np.max(np.abs(group["value"] / group["value_limit"] - 1.0))),
                float(np.max(np.abs(group["left"] - group["left_limit"]))),
                float(np.max(np.abs(group["right"] - group["right_limit"]))),
            )
        )
    holds = "holds" if worst <= CLOSE else "FAILS"
    return [
        "## Above the threshold",
        "",
        f"Location within 1 % where min(rows, cols) >= {SMALL} and theta >= {CLEAR} theta_c: **{holds}**, the largest relative "
        f"deviation of a mean is {worst:.2g}. Single draws further than 5 sqrt(g / rows) from the limit: at most {far:.2%} of "
        "a cell, all sizes.",
        "",
        *table(("theta / theta_c", "largest deviation of s_1, relative", "of the left overlap", "of the right overlap"), rows),
    ]


def _near(results: Results) -> list[str]:
    square = results.where(results["rows"] == results["cols"])
    rows = []
    for (ratio,), group in square.groups("ratio"):
        deviation = np.abs(group["left"] - group["left_limit"])
        order = np.argsort(group["rows"])
        rows.append(
            (
                ratio,
                slope(group["rows"], np.abs(group["value"] / group["value_limit"] - 1.0)),
                slope(group["rows"], deviation),
                float(deviation[order[0]]),
                float(deviation[order[-1]]),
            )
        )
    sizes = sorted(set(square["rows"].tolist()))
    return [
        "## How fast the limits are reached",
        "",
        f"Square matrices, N = {', '.join(f'{size:,}' for size in sizes)}. Exponent of N in the deviation of the mean from its "
        "limit; where the deviation is below its standard error, as well above the threshold, the exponent is noise. Expected: "
        "-2/3 for s_1 and -1 for the overlap below the threshold, -1/3 for the overlap at it.",
        "",
        *table(
            ("theta / theta_c", "exponent, s_1", "exponent, left overlap", "overlap off at the smallest N", "at the largest"),
            rows,
        ),
    ]


def _orientation(results: Results) -> list[str]:
    scores = []
    for (n, m, ratio), group in results.groups("rows", "cols", "ratio"):
        turned = results.where(rows=m, cols=n, ratio=ratio)
        if n <= m or len(turned) == 0:
            continue
        for one, other in (("left", "right"), ("right", "left")):
            spread = math.hypot(group[f"{one}_error"][0], turned[f"{other}_error"][0])
            scores.append((group[one][0] - turned[other][0]) / spread)
        scale = math.sqrt(n / m)
        spread = math.hypot(group["value_error"][0] * scale, turned["value_error"][0])
        scores.append((group["value"][0] * scale - turned["value"][0]) / spread)
    if not scores:
        return []
    chance = 1.0 - math.erf(max(map(abs, scores)) / math.sqrt(2.0)) ** len(scores)
    return [
        "## Both orientations",
        "",
        f"A matrix and its transpose, drawn independently: left and right overlaps change places, s_1 keeps its value up to the "
        f"scale of an entry. {len(scores)} comparisons, the largest difference is {max(map(abs, scores)):.2f} standard errors; "
        f"one as large or larger has probability {chance:.2f} if the laws agree.",
        "",
    ]


def _recovery(results: Results) -> list[str]:
    rows = []
    for (ratio,), group in results.where(results["ratio"] > 1.0).groups("ratio"):
        square = group.where(group["rows"] == group["cols"])
        rows.append(
            (
                ratio,
                float(np.max(np.abs(group["plain_bias"]))),
                float(np.max(np.abs(group["strength_bias"]))),
                slope(square["rows"], square["strength_rms"]),
            )
        )
    return [
        "## Strength read back",
        "",
        "`certify.laws.spikes.strength` at the known variance against the singular value itself, relative to theta: largest "
        "bias over all shapes, and the exponent of N in the root mean square error of `strength` on square matrices (-1/2 is "
        "the fluctuation of one entry). Near the threshold both the square-root edge and spikes that fall back into the bulk "
        "(estimate 0) spoil it; hypothesis 4 of ESM1-T5.4 asks for separated spikes.",
        "",
        *table(("theta / theta_c", "bias of s_1", "bias of `strength`", "exponent of its error"), rows),
    ]


def _detection(results: Results) -> list[str]:
    rows = []
    for (ratio,), group in results.groups("ratio"):
        big = group.where(np.minimum(group["rows"], group["cols"]) == np.max(np.minimum(group["rows"], group["cols"])))
        numbers = (group["detected"].min(), group["detected"].max(), big["detected"].mean(), big["beyond_edge"].mean())
        rows.append((ratio, *map(float, numbers)))
    return [
        "## Detection",
        "",
        f"Share of draws with s_1 beyond the Tracy–Widom threshold of level {LEVEL}, least and most over the shapes and at the "
        "largest one, and beyond the bare edge there. theta = 0 shows the level.",
        "",
        *table(("theta / theta_c", "detected, least", "most", "largest shape", "beyond the bare edge"), rows),
    ]


def draw(figure: Any, results: Results) -> None:
    """s_1 against its limit, and both overlaps, over theta / theta_c."""
    value, left, right = figure.subplots(1, 3)
    shapes = [shape for shape, _ in results.groups("rows", "cols")]
    picked = (min(shapes), (shapes[0][0], shapes[-1][1]), (shapes[-1][0], shapes[0][1]), max(shapes))
    for (rows, cols), colour in zip(dict.fromkeys(picked), COLOURS, strict=False):
        group = results.where(rows=rows, cols=cols)
        order = np.argsort(group["ratio"])
        x = group["ratio"][order]
        fine = np.linspace(0.0, x[-1], 200)
        variance = 1.0 / rows
        theta = fine * detection_threshold(rows, cols, variance)
        edge = bulk_edge(rows, cols, variance)
        label = f"{rows:,} x {cols:,}"
        value.plot(fine, spiked_value(theta, rows, cols, variance) / edge, color=colour, lw=1)
        value.plot(x, group["value"][order] / edge, "o", ms=3.5, color=colour, label=label)
        for axes, name, law in ((left, "left", left_overlap), (right, "right", right_overlap)):
            axes.plot(fine, law(theta, rows, cols, variance), color=colour, lw=1)
            axes.errorbar(x, group[name][order], group[f"{name}_error"][order], fmt="o", ms=3.5, color=colour, label=label)
    for axes, name in ((value, "s_1 / bulk edge"), (left, "<u, u_1>²"), (right, "<v, v_1>²")):
        axes.axvline(1.0, color=INK, lw=0.6, ls=":")
        axes.set(xlabel="theta / theta_c", ylabel=name)
    value.set_title("lines: limits; dots: means of draws", fontsize=9)
    left.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
