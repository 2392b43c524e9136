"""A job that is killed at any point and started again ends with the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jobs
import pytest

import certify

KILLS = 12
HERE = Path(__file__).parent


def environment(cache: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(Path(certify.__file__).parents[1]), str(HERE.parent)])
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CERTIFY_CACHE": str(cache)}


class Forks:
    """The warm process of forks.py. Every job has its own cache, so that every job trains."""

    def __init__(self, cache: Path) -> None:
        command = [sys.executable, str(HERE / "forks.py")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(cache)
        )

    def start(self, recipe: Path, out: Path, last_file: int = 0, named: bool = False) -> int:
        """Process id of `certify run RECIPE --out OUT`."""
        assert self.process.stdin and self.process.stdout
        wanted = {"arguments": ["run", str(recipe), "--out", str(out), "--json"], "last_file": last_file, "named": named}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """Exit code of the command that was started last."""
        assert self.process.stdout
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kill")


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Path:
    return jobs.write_recipe(folder / "recipe.toml", jobs.DIGITS)


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, recipe: Path) -> dict[str, str]:
    """What the plain command, left alone, writes."""
    out = folder / "whole" / "run"
    command = [sys.executable, "-m", "certify.cli", "run", str(recipe), "--out", str(out), "--json"]
    said = subprocess.run(command, env=environment(folder / "cache"), capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert len(jobs.contents(out)) > 25
    return jobs.contents(out)


@pytest.fixture(scope="module")
def forks(folder: Path) -> Iterator[Forks]:
    served = Forks(folder / "cache of the killed")
    yield served
    assert served.process.stdin
    served.process.stdin.close()
    served.process.wait()


def forget_training(cache: Path) -> None:
    for path in cache.glob("*"):
        path.unlink()


def tear(journal: Path) -> None:
    """Leave the beginning of a line at the end of the journal of an unfinished job, as a kill inside a write would."""
    if journal.exists() and b"report.html" not in journal.read_bytes():
        with open(journal, "ab") as file:
            file.write(b'{"event":"done","stage":"pl')


@pytest.mark.slow
def test_killed_at_random_moments(
    folder: Path, tmp_path: Path, recipe: Path, uninterrupted: dict[str, str], forks: Forks
) -> None:
    """SIGKILL after random delays, several in a row on one folder until it is done; now and then a torn line in between.

    A folder that was killed starts again where it stopped, so delays of up to half the job reach every part of it.
    """
    forks.start(recipe, tmp_path / "timed" / "run")
    start = time.monotonic()
    assert forks.wait() == 0
    duration = time.monotonic() - start
    assert jobs.contents(tmp_path / "timed" / "run") == uninterrupted

    chance, killed, folders = random.Random(20), 0, 0
    while killed < KILLS:
        folders += 1
        assert folders < 4 * KILLS, f"{killed} kills only"
        forget_training(folder / "cache of the killed")
        out = tmp_path / f"killed {folders}" / "run"
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            child = os.pidfd_open(forks.start(recipe, out))
            time.sleep(chance.uniform(0, duration / 2))
            if killed < KILLS:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)
            code = forks.wait()
            killed += code == -signal.SIGKILL
            if chance.random() < 0.3:
                tear(out / "journal.jsonl")
        assert code == 0
        assert jobs.contents(out) == uninterrupted
        assert jobs.journal(out)[-1]["event"] == "done"


@pytest.mark.slow
def test_killed_between_writing_a_file_and_saying_so(
    folder: Path, tmp_path: Path, recipe: Path, uninterrupted: dict[str, str], forks: Forks
) -> None:
    """The moments at which random delays seldom strike: a temporary file that has no name yet, a file no journal line knows."""
    forget_training(folder / "cache of the killed")
    chance, out, kills, code = random.Random(21), tmp_path / "killed" / "run", 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        # Three files further each time, because a stage of two files begins again.
        forks.start(recipe, out, last_file=chance.randint(3, 4), named=bool(kills % 2))
        code = forks.wait()
        kills += code == -signal.SIGKILL
    assert code == 0 and kills >= 6
    assert jobs.contents(out) == uninterrupted


def test_a_second_process_on_the_same_folder_is_refused(run: Path, recipe: Path) -> None:
    from certify.records import Run

    before = jobs.contents(run)
    with Run.open(run).alone():
        said = jobs.certify("run", recipe, "--out", run, "--json")
    assert said.code == 3 and "another process" in said.err
    assert jobs.contents(run) == before
    assert jobs.certify("run", recipe, "--out", run, "--json").code == 0


def test_half_written_files_of_others_are_left_alone_until_the_folder_is_free(run: Path, recipe: Path) -> None:
    """A refused process must not sweep away what the working one is about to name."""
    from certify.records import Run
    from certify.records.files import UNFINISHED

    part = run / f".report.html.abc{UNFINISHED}"
    part.write_bytes(b"half")
    with Run.open(run).alone():
        part.write_bytes(b"half")
        assert jobs.certify("run", recipe, "--out", run, "--json").code == 3
        assert part.exists()
    assert jobs.certify("run", recipe, "--out", run, "--json").code == 0
    assert not part.exists()


def test_a_state_file_is_not_left_behind_by_a_cached_reference(tmp_path: Path, recipe: Path, finished: Path) -> None:
    """Killed between the cache and the folder: the rerun finds the reference in the cache, and must still clear the state."""
    out = tmp_path / "again" / "run"
    assert jobs.certify("run", recipe, "--out", out, "--json").code == 0
    (out / "reference.safetensors").unlink()
    (out / "training.state.safetensors").write_bytes(b"left over")
    assert jobs.certify("run", recipe, "--out", out, "--json").code == 0
    assert jobs.contents(out) == jobs.contents(finished)


def test_the_same_command_twice_does_no_work_twice(finished: Path, recipe: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    lines = len(jobs.journal(finished))
    said = jobs.certify("run", recipe, "--out", finished, "--json")
    assert said.code == 0, said.err
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before
    assert len(jobs.journal(finished)) == lines


def test_a_deleted_file_is_made_again_and_nothing_else_changes(run: Path, recipe: Path) -> None:
    before = jobs.contents(run)
    for name in ("splits.json", "plans/half/plan.safetensors", "plans/two-four/outcomes.parquet", "report.html"):
        (run / name).unlink()
    assert jobs.certify("run", recipe, "--out", run, "--json").code == 0
    assert jobs.contents(run) == before
