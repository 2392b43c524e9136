"""Samplers against the dense road, as ratios in one run: `python -m simulations.samplers.benchmark --out DIR`.

Writes samplers.csv (one row per comparison) and samplers.md (the same as a table, with the machine and the command).
Every line runs both roads in this process, in alternation, and gives medians and their ratio twice: of the time on the clock,
and of processor time, from which other work on the machine is missing.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import scipy
from threadpoolctl import threadpool_info, threadpool_limits

from certify.laws.spikes import detection_threshold
from certify.records import Refused
from certify.records.files import atomic_write
from simulations.samplers.data_paths import GramFactor, gram_factor, largest_noise_size, noise_sizes
from simulations.samplers.overlaps import leading_overlaps
from simulations.samplers.values import leading_singular_values, singular_values

SEED = 20260608
SIZES, MILLION, LEADING, SPIKES = (1024, 4096), 1_000_000, 10, (2.0, 1.5)
WIDTH, SAMPLES, RANKS = 768, 1000, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768)
# Draws of the fast road in one call, its calls per one draw of the slow road, and rounds of both.
REPEATS, CALLS, ROUNDS = 4, 5, 7


@dataclass(frozen=True)
class Seconds:
    """One draw: on the clock, and of the processor (all threads together)."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Line:
    """One comparison; dense is None where the dense matrix does not fit."""

    what: str
    size: int
    rank: int
    fast: Seconds
    dense: Seconds | None

    def cells(self) -> dict[str, float | int | str | None]:
        """The row of the table: what was drawn, seconds, ratios dense over fast."""
        dense = self.dense
        return {
            "what": self.what,
            "size": self.size,
            "rank": self.rank,
            "fast_seconds": self.fast.wall,
            "dense_seconds": dense.wall if dense else None,
            "ratio": dense.wall / self.fast.wall if dense else None,
            "fast_processor_seconds": self.fast.processor,
            "dense_processor_seconds": dense.processor if dense else None,
            "processor_ratio": dense.processor / self.fast.processor if dense else None,
        }


def measured(
    fast: Callable[[int], object], draws: int, dense: Callable[[], object] | None = None, rounds: int = ROUNDS
) -> tuple[Seconds, Seconds | None]:
    """Medians per draw of `fast`, asked for `draws` at once, and of `dense`, in alternation, after a warm-up of each."""
    fast(1)
    if dense is not None and rounds > 1:
        dense()
    found: tuple[list[Seconds], list[Seconds]] = ([], [])
    for _ in range(rounds):
        found[0].extend(_timed(lambda: fast(draws), draws) for _ in range(CALLS))
        if dense is not None:
            found[1].append(_timed(dense, 1))
    return _median(found[0]), _median(found[1]) if found[1] else None


def largest_values(sizes: tuple[int, ...], rng: np.random.Generator) -> list[Line]:
    """The ten largest singular values, and all of them, against a drawn matrix and LAPACK's values-only SVD."""
    lines = []
    for size in sizes:
        count, rounds = min(LEADING, size), 1 if size > 2000 else ROUNDS
        spikes = np.array(SPIKES) * detection_threshold(size, size, 1.0)
        leading = partial(leading_singular_values, size, size, 1.0, count, rng=rng)
        seconds, dense = measured(leading, REPEATS, partial(_dense_values, size, rng), rounds)
        lines.append(Line(f"{count} largest singular values", size, 0, seconds, dense))
        seconds = measured(partial(leading, strengths=spikes), REPEATS)[0]
        lines.append(Line(f"{count} largest singular values, two spikes", size, 2, seconds, dense))
        lines.append(
            Line("all singular values", size, 0, measured(partial(singular_values, size, size, 1.0, rng=rng), 1)[0], dense)
        )
    return lines


def a_million(size: int, rng: np.random.Generator) -> list[Line]:
    """Two spikes at a size whose dense matrix would take 8 TB."""
    spikes = np.array(SPIKES) * detection_threshold(size, size, 1.0)
    values = measured(partial(leading_singular_values, size, size, 1.0, LEADING, rng=rng, strengths=spikes), 1)[0]
    vectors = measured(partial(leading_overlaps, size, size, 1.0, 3, rng=rng, strengths=spikes), 1)[0]
    return [
        Line(f"{LEADING} largest singular values, two spikes", size, 2, values, None),
        Line("3 largest with overlaps, two spikes", size, 2, vectors, None),
    ]


def budgets(width: int, samples: int, ranks: tuple[int, ...], rng: np.random.Generator) -> list[Line]:
    """Every sample's size, and the largest of them, against drawing R and multiplying; and the floor: drawing G alone."""
    lines = []
    roads = {
        "sizes of all samples (a budget draw)": noise_sizes,
        "largest size over all samples": largest_noise_size,
        "the normal numbers of G alone": _normals,
    }
    for rank in ranks:
        inputs = rng.standard_normal((samples, rank)) @ rng.standard_normal((rank, width))
        factor = gram_factor(inputs[:, None])
        for what, road in roads.items():
            times = measured(partial(road, factor, width, 1.0, rng=rng), REPEATS, partial(_dense_sizes, width, inputs, rng))
            lines.append(Line(what, width, rank, *times))
    return lines


def _normals(factor: GramFactor, rows: int, entry_variance: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """What `noise_sizes` draws, and nothing done with it."""
    return math.sqrt(entry_variance) * np.array([rng.standard_normal((rows, factor.rank)) for _ in range(draws)])


def _dense_values(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.svd(rng.standard_normal((size, size)), compute_uv=False)


def _dense_sizes(width: int, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    products = rng.standard_normal((width, width)) @ inputs.T
    return np.abs(products, out=products).max(axis=0)


def as_csv(lines: list[Line]) -> str:
    """The lines with their ratios, full precision."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(lines[0].cells()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(line.cells() for line in lines)
    return sink.getvalue()


def as_markdown(lines: list[Line], command: str, threads: int) -> str:
    """The lines as a table, under the command and the machine."""
    blas = sorted({f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"})
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    head = [
        "# Samplers against dense matrices",
        "",
        f"`{command}`, seed {SEED}.",
        f"{os.cpu_count()} cores ({platform.machine()}), load {load:.1f} at the end; Python {platform.python_version()},",
        f"numpy {np.__version__}, scipy {scipy.__version__}, {', '.join(blas)}.",
        "",
        f"Medians of seconds per draw, both roads in alternation with {threads} BLAS thread(s), and dense over fast on the clock"
        " and",
        "in processor time (on a busy machine the second is the fair one). Dense values: draw the matrix, `numpy.linalg.svd`",
        "without vectors (once from 4096 on). Dense sizes: draw R, multiply with all samples, take the largest entries. The Gram",
        f"factor is made once per data set and not counted; the fast road makes {REPEATS} draws in a call. A dash: the dense"
        " matrix",
        "is too large for this machine.",
        "",
        "| drawn | n = m | rank | fast, s | dense, s | ratio | ratio, processor |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join(head + [_row(line) for line in lines]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; 0 done, 3 refused."""
    parser = argparse.ArgumentParser(prog="python -m simulations.samplers.benchmark", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for samplers.csv and samplers.md")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--threads", type=int, default=1, help="BLAS threads of both roads; 1 is what a sweep's worker has")
    given = parser.parse_args(arguments)
    if given.threads < 1:
        raise Refused(f"--threads: {given.threads}; one at least is expected")
    if given.out.exists() and not given.out.is_dir():
        raise Refused(f"{given.out}: a file; --out names a folder")
    rng = np.random.default_rng(SEED)
    with threadpool_limits(given.threads, user_api="blas"):
        if given.quick:
            lines = largest_values((64,), rng) + a_million(1000, rng) + budgets(48, 20, (1, 8, 48), rng)
        else:
            lines = largest_values(SIZES, rng) + a_million(MILLION, rng) + budgets(WIDTH, SAMPLES, RANKS, rng)
    options = f" --threads {given.threads}" * (given.threads != 1) + " --quick" * given.quick
    command = f"python -m simulations.samplers.benchmark --out {given.out}{options}"
    atomic_write(given.out / "samplers.csv", as_csv(lines).encode())
    table = as_markdown(lines, command, given.threads)
    atomic_write(given.out / "samplers.md", table.encode())
    print(table, end="")
    return 0


def _row(line: Line) -> str:
    cells = line.cells()
    numbers = (cells[name] for name in ("fast_seconds", "dense_seconds", "ratio", "processor_ratio"))
    shown = " | ".join("–" if number is None else f"{number:.3g}" for number in numbers)
    return f"| {line.what} | {line.size} | {line.rank or ''} | {shown} |"


def _timed(call: Callable[[], object], draws: int) -> Seconds:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return Seconds((time.perf_counter() - wall) / draws, (time.process_time() - processor) / draws)


def _median(times: list[Seconds]) -> Seconds:
    return Seconds(statistics.median(t.wall for t in times), statistics.median(t.processor for t in times))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(3)
