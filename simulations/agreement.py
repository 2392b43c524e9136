"""python -m simulations.agreement [--study bbp] [--kills 10] [--out reports/random-matrices/sweeps.md]

One sweep of a real study, computed five ways: in this process, by two processes, as two shards that are merged, on a local
Dask cluster, and by two processes that are killed (SIGKILL, driver and workers) at random moments and started again. The
SHA-256 of results.parquet must be one and the same. Memory and overhead of the engine, measured on `busy`, stand below it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from certify.records.files import atomic_write
from certify.records.hashing import sha256_file
from simulations.measure import memory, overhead

GRIDS = {
    "bbp": "replicates = 2\n[grid]\nrows = [64, 128, 256, 512]\ncols = [64, 128, 256, 512]\n"
    "ratio = [0, 0.5, 1, 1.5, 3]\ndraws = 40\n",
    "score-laws": '[grid]\nlaw = ["half-normal", "Pareto 2.5", "Pareto 1.5"]\nsize = [1000, 3000, 10000]\ndraws = 400\n',
}
MEMORY_CELLS = 100_000


def sweep(study: str, grid: Path, out: Path, *words: str) -> None:
    """Run the sweep to its end."""
    subprocess.run(_command(study, grid, out, *words), check=True, capture_output=True)


def _command(study: str, grid: Path, out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "simulations", study, "--grid", str(grid), "--out", str(out), *words]


def killed(study: str, grid: Path, out: Path, kills: int, longest: float) -> int:
    """Start the sweep with two processes and kill the whole group after a random time, `kills` times; then let it finish.

    Returns how many of the kills met a sweep that was still going.
    """
    met = 0
    for _ in range(kills):
        process = subprocess.Popen(
            _command(study, grid, out, "--workers", "2"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(random.uniform(0.3, longest))
        met += process.poll() is None
        with_group(process, signal.SIGKILL)
        process.wait()
    sweep(study, grid, out, "--workers", "2")
    return met


def with_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and all its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def on_dask(study: str, grid: Path, out: Path) -> None:
    """The sweep on a cluster of two single-threaded workers on this machine."""
    from dask.distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:  # type: ignore[no-untyped-call]
        sweep(study, grid, out, "--scheduler", cluster.scheduler_address)


def agreement(study: str, kills: int) -> list[tuple[str, float, str, str]]:
    """(how, seconds, SHA-256 of the Parquet, remark) of each way."""
    rows: list[tuple[str, float, str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid = folder / "grid.toml"
        grid.write_text(GRIDS[study])

        def one(how: str, out: Path, began: float, remark: str = "") -> None:
            rows.append((how, time.perf_counter() - began, sha256_file(out / "results.parquet"), remark))

        began = time.perf_counter()
        sweep(study, grid, folder / "serial")
        one("one process", folder / "serial", began)
        whole = rows[0][1]

        began = time.perf_counter()
        sweep(study, grid, folder / "two", "--workers", "2")
        one("`--workers 2`", folder / "two", began)

        began = time.perf_counter()
        for shard in ("1/2", "2/2"):
            sweep(study, grid, folder / f"shard{shard[0]}", "--shard", shard)
        merge = [sys.executable, "-m", "simulations", "merge", str(folder / "shard1"), str(folder / "shard2")]
        subprocess.run([*merge, "--out", str(folder / "merged")], check=True, capture_output=True)
        one("`--shard 1/2`, `--shard 2/2`, `merge`", folder / "merged", began)

        began = time.perf_counter()
        on_dask(study, grid, folder / "dask")
        one("`--scheduler` of a local Dask cluster", folder / "dask", began)

        began = time.perf_counter()
        met = killed(study, grid, folder / "killed", kills, max(whole / 3, 1.0))
        one(f"`--workers 2`, killed {kills} times", folder / "killed", began, f"{met} kills met it at work")
    return rows


def page(study: str, rows: Sequence[tuple[str, float, str, str]], measured: Sequence[tuple[str, str]]) -> str:
    """The page as Markdown."""
    same = len({row[2] for row in rows}) == 1
    lines = [
        "# One sweep, five ways",
        "",
        f"`python -m simulations.agreement --study {study}`. Each way starts from an empty folder; times include the start of",
        "the interpreter. The same bytes are the claim; that two processes are not twice as fast is the size of the sweep.",
        "",
        "| how | seconds | SHA-256 of results.parquet | |",
        "|---|---:|---|---|",
        *(f"| {how} | {seconds:.1f} | `{digest[:16]}…` | {remark} |" for how, seconds, digest, remark in rows),
        "",
        f"**{'Identical to the byte.' if same else 'NOT IDENTICAL.'}** The grid:",
        "",
        "```toml",
        GRIDS[study].rstrip(),
        "```",
        "",
        "## What the engine costs",
        "",
    ]
    for command, said in measured:
        lines += [f"`{command}`", "", "```", said, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.agreement", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", choices=sorted(GRIDS), default="bbp")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("reports/random-matrices/sweeps.md"))
    options = parser.parse_args()
    rows = agreement(options.study, options.kills)
    measured = [
        ("python -m simulations.measure overhead", overhead(2000, 10.0)),
        ("python -m simulations.measure memory", memory(MEMORY_CELLS, None)),
    ]
    atomic_write(options.out, page(options.study, rows, measured).encode())
    print(options.out.read_text())
    return 0 if len({row[2] for row in rows}) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
