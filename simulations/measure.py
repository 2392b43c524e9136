"""python -m simulations.measure overhead [--cells 2000] [--milliseconds 10]
python -m simulations.measure memory [--cells 100000] [--workers N]

overhead  what a sweep in one process spends beyond the time its cells take, as a share of that time: on the clock, and in
          processor time, which other programs on the machine do not disturb
memory    peak resident memory of one process that sweeps trivial cells, at few and at many; and the processor time of the
          engine for each of them, its workers' included

Both sweep the study `busy` in a temporary folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from simulations.engine.folder import index_of
from simulations.engine.grid import Grid
from simulations.engine.processes import processes
from simulations.engine.study import Scalar, cell, compute, load
from simulations.engine.sweep import Survey, serial, sweep

STUDY = "busy"
FEW = 10_000
TRIALS = 25
TRIAL_ROUNDS = 20_000


def rounds_of(milliseconds: float) -> int:
    """Rounds of `busy` that take so much processor time on this machine, by the median of some trials."""
    study, times = load(STUDY), []
    for trial in range(TRIALS):
        began = time.process_time()
        compute(study, cell(study, 0, (TRIAL_ROUNDS,), trial))
        times.append(time.process_time() - began)
    return max(1, round(TRIAL_ROUNDS * milliseconds / 1000.0 / sorted(times)[TRIALS // 2]))


def overhead(cells: int, milliseconds: float) -> str:
    """Sweep `cells` cells and compare clock and processor with what the study's function took.

    Running: from the first finished cell to the last. Whole call: with its start, and with its Parquet at the end.
    """
    study, moments = load(STUDY), []
    grid = Grid((((rounds_of(milliseconds),),),), replicates=cells)
    spent = 0.0

    def timed(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> Mapping[str, Scalar]:
        nonlocal spent
        began = time.process_time()
        row = study.run(parameters, generator)
        spent += time.process_time() - began
        return row

    @contextmanager
    def watch(_: Survey) -> Iterator[Callable[[bool], None]]:
        yield lambda failed: moments.append((time.perf_counter(), time.process_time(), spent))

    with tempfile.TemporaryDirectory() as folder:
        began, processor = time.perf_counter(), time.process_time()
        sweep(dataclasses.replace(study, run=timed), grid, Path(folder) / "sweep", serial, watch=watch)
        whole, whole_processor = time.perf_counter() - began, time.process_time() - processor
        clock = index_of(Path(folder) / "sweep").seconds
    running, running_processor, running_spent = (last - first for first, last in zip(moments[0], moments[-1], strict=True))
    share = cells / (cells - 1)
    return (
        f"{cells} cells of {1000.0 * clock / cells:.2f} ms on the clock, {1000.0 * spent / cells:.2f} ms of processor\n"
        f"overhead while running: {running * share / clock - 1.0:.2%} on the clock, "
        f"{running_processor / running_spent - 1.0:.2%} of processor time\n"
        f"overhead of the whole call: {whole / clock - 1.0:.2%} on the clock, "
        f"{whole_processor / spent - 1.0:.2%} of processor time"
    )


def memory(cells: int, workers: int | None) -> str:
    """Sweep FEW and `cells` trivial cells, each in a process of its own, and the latter again on its finished folder."""
    few, few_seconds = _peak(FEW, workers, 1)
    many, many_seconds = _peak(cells, workers, 1)
    again, _ = _peak(cells, workers, 2)
    return (
        f"peak resident memory {few:.1f} MiB at {FEW} cells, {many:.1f} MiB at {cells} "
        f"({(many - few) * 1024.0**2 / (cells - FEW):.0f} bytes a cell), {again:.1f} MiB when gone through twice\n"
        f"processor time of the engine {1e6 * (many_seconds - few_seconds) / (cells - FEW):.0f} microseconds a cell, "
        f"Parquet included, {workers or 'no'} worker processes"
    )


def _peak(cells: int, workers: int | None, times: int) -> tuple[float, float]:
    words = [sys.executable, "-m", "simulations.measure", "peak", "--cells", str(cells), "--times", str(times)]
    words += ["--workers", str(workers)] if workers else []
    mebibytes, seconds = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return float(mebibytes), float(seconds)


def peak(cells: int, workers: int | None, times: int) -> str:
    """Sweep trivial cells `times` times in one folder. This process's peak resident MiB, and seconds of processor."""
    study, grid = load(STUDY), Grid((((0,),),), replicates=cells)
    runner = functools.partial(processes, workers=workers) if workers else serial
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            summary = sweep(study, grid, Path(folder) / "sweep", runner)
            if summary.done != cells:
                raise SystemExit(f"{summary.done} of {cells} cells have a row")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return f"{resident():.2f} {sum(one.ru_utime + one.ru_stime for one in used):.3f}"


def resident() -> float:
    """Peak resident MiB of this program. Linux lets ru_maxrss start at the parent's, so there the kernel's own mark is read."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024.0
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum / (1024.0**2 if sys.platform == "darwin" else 1024.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("overhead", "memory", "peak"))
    parser.add_argument("--cells", type=int)
    parser.add_argument("--milliseconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "overhead":
        print(overhead(options.cells or 2000, options.milliseconds))
    elif options.what == "memory":
        print(memory(options.cells or 100_000, options.workers))
    else:
        print(peak(options.cells or FEW, options.workers, options.times))


if __name__ == "__main__":
    main()
