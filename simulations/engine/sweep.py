"""A sweep from start to end: what is left of a grid, computed by a runner, then compacted.

A runner is (study, tasks, journal folder, stop) -> iterator that yields, once per finished cell and after it stands in a
journal, whether it failed. It takes tasks lazily and returns early when a stop is asked for, after the running cells.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from certify.records import Usage
from simulations.engine.folder import alone, index_of, journal_folder, prepare
from simulations.engine.grid import Grid
from simulations.engine.index import Index
from simulations.engine.journal import Writer, new_journal
from simulations.engine.study import Cell, Study, compute, one_thread
from simulations.engine.table import attempts, compact, places

PROBE_CELLS = 3
PROBE_SECONDS = 10.0


class Stop:
    """Whether a sweep has been asked to end."""

    requested = False


@dataclass(frozen=True)
class Shard:
    """Every `of`-th cell of a grid, beginning with cell `number`; 1 <= number <= of."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/5` is the second of five shards."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise Usage(f"--shard {text} is not i/n with 1 <= i <= n")
        return cls(int(number), int(of))

    def cells(self, study: Study, grid: Grid) -> Iterator[Cell]:
        """The cells of this shard in the grid's order."""
        return itertools.islice(grid.cells(study), self.number - 1, None, self.of)

    def of_all(self, values: np.ndarray) -> np.ndarray:
        """The entries of this shard among one entry per cell of the grid."""
        return values[self.number - 1 :: self.of]


@dataclass(frozen=True)
class Task:
    """A cell to compute, and the number of this attempt."""

    cell: Cell
    attempt: int


Runner = Callable[[Study, Iterator[Task], Path, Stop], Iterator[bool]]


@dataclass(frozen=True)
class Survey:
    """Cells of a shard: all, with a row, failed so far, and those this sweep would compute."""

    cells: int
    done: int
    failed: int
    left: int


@dataclass(frozen=True)
class Summary:
    """Cells of the grid, with a row, failed, and whether the sweep stopped before its end."""

    cells: int
    done: int
    failed: int
    stopped: bool


def tasks(study: Study, grid: Grid, tried: np.ndarray, shard: Shard, *, retry: bool) -> Iterator[Task]:
    """What is left to compute, lazily: cells never recorded, and with `retry` the failed ones.

    tried : per cell of the grid -1 never recorded, 0 has a row, else how often it has failed.
    """
    for cell, before in zip(shard.cells(study, grid), map(int, shard.of_all(tried)), strict=True):
        if before < 0 or (before > 0 and retry):
            yield Task(cell, max(before, 0) + 1)


def survey(tried: np.ndarray, shard: Shard, *, retry: bool) -> Survey:
    """Count a shard's cells; `tried` as in `tasks`."""
    mine = shard.of_all(tried)
    done, failed = int(np.sum(mine == 0)), int(np.sum(mine > 0))
    return Survey(len(mine), done, failed, len(mine) - done - (0 if retry else failed))


def serial(study: Study, work: Iterator[Task], folder: Path, stop: Stop) -> Iterator[bool]:
    """The runner that computes in this process."""
    with one_thread(), Writer(new_journal(folder)) as journal:
        for task in work:
            outcome = compute(study, task.cell, task.attempt)
            journal.append(outcome)
            yield bool(outcome.error)
            if stop.requested:
                return


def standing(study: Study, grid: Grid, out: Path) -> np.ndarray:
    """How often each cell of the grid was tried, as in `tasks`, by the journals of a folder."""
    index = index_of(out)
    return attempts(index, places(study, grid, index))


@contextlib.contextmanager
def quiet(_: Survey) -> Iterator[Callable[[bool], None]]:
    """Watches a sweep without a word."""
    yield lambda failed: None


def sweep(
    study: Study,
    grid: Grid,
    out: Path,
    runner: Runner = serial,
    *,
    shard: Shard = Shard(),
    retry: bool = False,
    stop: Stop | None = None,
    watch: Callable[[Survey], contextlib.AbstractContextManager[Callable[[bool], None]]] = quiet,
) -> Summary:
    """Compute what the folder lacks of a shard, then write its Parquet files. The same call again goes on where it ended."""
    stop = stop or Stop()
    with alone(out):
        prepare(out, study, grid)
        tried = standing(study, grid, out)
        with watch(survey(tried, shard, retry=retry)) as tick:
            for failed in runner(study, tasks(study, grid, tried, shard, retry=retry), journal_folder(out), stop):
                tick(failed)
        tried = compact(out, study, grid, index_of(out))
    return Summary(len(grid), int(np.sum(tried == 0)), int(np.sum(tried > 0)), bool(np.any(shard.of_all(tried) < 0)))


@contextlib.contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a stop after the running cells; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _: object) -> None:
        if stop.requested:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.requested = True

    try:
        for number in before:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Cost:
    """Expected seconds of a cell, the cells it was estimated from, and whether they were computed just for that."""

    seconds: float
    cells: int
    probed: bool


def cost(study: Study, grid: Grid, index: Index, shard: Shard) -> Cost | None:
    """Mean time of the recorded cells, or of up to PROBE_CELLS cells spread over the grid. None when every probe failed.

    A probe ends after the cell that passes PROBE_SECONDS; its rows are thrown away.
    """
    if index.recorded:
        return Cost(index.seconds / index.recorded, index.recorded, probed=False)
    size = len(shard.of_all(np.empty(len(grid), dtype=bool)))
    wanted = sorted({(2 * step + 1) * size // (2 * PROBE_CELLS) for step in range(PROBE_CELLS)})
    spent, probed, began = 0.0, 0, time.perf_counter()
    for number, cell in enumerate(shard.cells(study, grid)):
        if number in wanted:
            with one_thread():
                outcome = compute(study, cell)
            if not outcome.error:
                spent, probed = spent + outcome.seconds, probed + 1
        if number >= wanted[-1] or time.perf_counter() - began > PROBE_SECONDS:
            break
    return Cost(spent / probed, probed, probed=True) if probed else None
