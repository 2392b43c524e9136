"""The command line of the sweep engine."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from certify.records import CertifyError, Usage
from simulations.engine.cluster import cluster, require_dask
from simulations.engine.folder import index_of, merge, stored
from simulations.engine.grid import Grid, load_grid
from simulations.engine.processes import processes
from simulations.engine.study import Study, load
from simulations.engine.sweep import Runner, Shard, Stop, Survey, cost, serial, standing, stop_on_signals, survey, sweep
from simulations.studies import STUDIES

OUT = Path("runs/simulations")


def main(words: Sequence[str]) -> int:
    """Run one command; the exit code."""
    try:
        if words and words[0] == "merge":
            return _merge(words[1:])
        if words and words[0] == "list":
            return _list(words[1:])
        return _sweep(words)
    except CertifyError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _parser(tail: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m simulations{tail}", description=about, allow_abbrev=False)


def _list(words: Sequence[str]) -> int:
    _parser(" list", "Name, version, cells of the default grid, parameters and purpose of every study.").parse_args(words)
    for name in sorted(STUDIES):
        study = load(name)
        cells = len(load_grid(study, study.grid_path))
        print(f"{name}  version {study.version} · {cells} cells over {', '.join(study.parameters)} · {study.about}")
    return 0


def _merge(words: Sequence[str]) -> int:
    parser = _parser(" merge", "Join the folders of one sweep's shards; each cell is kept once.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="OUT_I")
    parser.add_argument("--out", type=Path, required=True, help="folder of the joint results; may be one of the others")
    options = parser.parse_args(words)
    tried = merge(options.folders, options.out)
    failed, done = int(np.sum(tried > 0)), int(np.sum(tried == 0))
    print(f"{done} of {len(tried)} cells have a row, {failed} failed: {options.out}")
    return int(done < len(tried))


def _sweep(words: Sequence[str]) -> int:
    parser = _parser("", "Evaluate a study on its grid. The same command again goes on where it ended.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "python -m simulations list                    the studies\n"
        "python -m simulations merge OUT_1 ... --out OUT   join shards\n\n"
        "Exit codes: 0 every cell of the grid (or shard) has a row · 1 cells failed, or the sweep was stopped · 2 usage ·\n"
        "3 refused input, or a disk or cluster that went away."
    )
    parser.add_argument("study", metavar="STUDY", help="a name of `list`, or package.module with a STUDY")
    parser.add_argument("--grid", type=Path, help="TOML file; without it the grid of --out, or the study's own")
    parser.add_argument("--out", type=Path, help=f"folder of the sweep, {OUT}/STUDY without it")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="local processes; without it this process computes")
    where.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="an existing Dask cluster")
    parser.add_argument("--shard", metavar="i/n", default="1/1", help="every n-th cell beginning with the i-th")
    parser.add_argument("--dry-run", action="store_true", help="print cells and estimated cost; writes nothing")
    parser.add_argument("--retry", action="store_true", help="compute failed cells again")
    options = parser.parse_args(words)
    if options.workers is not None and options.workers < 1:
        raise Usage(f"--workers {options.workers} is not at least 1")
    study, shard = load(options.study), Shard.parse(options.shard)
    out = options.out or OUT / study.name
    grid = _grid(study, options.grid, out)
    if options.dry_run:
        return _dry_run(study, grid, out, shard, options.workers or 1, options.retry)
    stop = Stop()
    with stop_on_signals(stop):
        summary = sweep(study, grid, out, _runner(options), shard=shard, retry=options.retry, stop=stop, watch=_bar(study.name))
    ending = "; stopped before the end, the same command goes on" if summary.stopped else ""
    ending += "; errors in failures.parquet, --retry computes them again" if summary.failed else ""
    print(f"{study.name}: {summary.done} of {summary.cells} cells have a row, {summary.failed} failed{ending}: {out}")
    return int(summary.stopped or summary.failed > 0)


def _grid(study: Study, path: Path | None, out: Path) -> Grid:
    if path is not None:
        return load_grid(study, path)
    before = stored(out)
    return before[1] if before is not None and before[0] == study else load_grid(study, study.grid_path)


def _runner(options: argparse.Namespace) -> Runner:
    if options.scheduler is not None:
        require_dask()
        return functools.partial(cluster, address=options.scheduler)
    if options.workers is not None:
        return functools.partial(processes, workers=options.workers)
    return serial


def _dry_run(study: Study, grid: Grid, out: Path, shard: Shard, workers: int, retry: bool) -> int:
    index = index_of(out)
    seen = survey(standing(study, grid, out), shard, retry=retry)
    print(f"{study.name}: {seen.cells} cells, {seen.done} have a row, {seen.failed} failed, {seen.left} to compute")
    price = cost(study, grid, index, shard)
    if price is None:
        print("cost unknown: every cell that was tried failed")
        return 0
    source = f"{price.cells} cells tried now" if price.probed else f"{price.cells} cells of the journals"
    total = price.seconds * seen.left
    print(f"about {_time(price.seconds)} a cell (mean of {source}), {_time(total)} of computing")
    print(f"about {_time(total / workers)} on {workers} process{'es' if workers > 1 else ''}")
    return 0


def _time(seconds: float) -> str:
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def _bar(name: str) -> Callable[[Survey], contextlib.AbstractContextManager[Callable[[bool], None]]]:
    """One progress bar on the terminal; nothing where there is none."""

    @contextlib.contextmanager
    def watch(seen: Survey) -> Iterator[Callable[[bool], None]]:
        if not sys.stderr.isatty():
            yield lambda failed: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[failed]}"), console=Console(stderr=True), refresh_per_second=4) as bar:
            line = bar.add_task(name, total=seen.cells, completed=seen.cells - seen.left, failed="")
            failures = 0

            def tick(failed: bool) -> None:
                nonlocal failures
                failures += failed
                bar.update(line, advance=1, failed=f"{failures} failed" if failures else "")

            yield tick

    return watch
