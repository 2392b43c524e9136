"""Ten kills without warning, of drivers and of workers; a killed scheduler; a cell that kills its worker."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections import deque
from types import SimpleNamespace

import pytest
from sweep_tools import call, environment, grid_file, program, recorded, results, wait_for

from certify.records.files import read_json, read_table
from simulations.engine import cluster
from simulations.engine.grid import Grid
from simulations.engine.journal import Writer, new_journal
from simulations.engine.processes import Pool, Worker
from simulations.engine.study import compute, load
from simulations.engine.sweep import Stop, Task

GRID = "replicates = 150\n[grid]\nrounds = [10_000, 12_000]"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    grid = grid_file(folder, GRID)
    assert call("busy", "--grid", grid, "--out", folder / "out") == 0
    return grid, results(folder / "out")


@pytest.mark.slow
def test_ten_kills_change_nothing(undisturbed, tmp_path):
    """Seed 11: four times the driver, after some cells, in the middle of whatever it does; then six times a worker."""
    grid, wanted = undisturbed
    luck, out = random.Random(11), tmp_path / "out"
    for _ in range(4):
        before = recorded(out)
        goal = len(before) + luck.randrange(1, 20)
        job = program("busy", "--grid", grid, "--out", out, "--workers", 2)
        assert wait_for(lambda goal=goal: len(recorded(out)) >= goal)
        job.kill()
        # Its workers hold the pipes: this waits for the last of them, which finishes its cells first.
        job.communicate()
        assert before <= recorded(out)
    killed = []

    def kill_workers():
        while len(killed) < 6:
            goal = len(recorded(out)) + luck.randrange(1, 12)
            if not wait_for(lambda goal=goal: len(recorded(out)) >= goal):
                return
            victims = multiprocessing.active_children()
            if victims:
                killed.append(luck.choice(victims).pid)
                os.kill(killed[-1], signal.SIGKILL)

    before = recorded(out)
    killer = threading.Thread(target=kill_workers)
    killer.start()
    assert call("busy", "--grid", grid, "--out", out, "--workers", 2) == 0
    killer.join()
    assert len(killed) == 6 and len(before) < 200
    assert results(out) == wanted
    # What a killed driver's workers were finishing may stand twice in the journals, what killed workers finished may not.
    assert len(recorded(out)) == 300 and set((recorded(out) - before).values()) == {1}


def test_what_a_dead_worker_wrote_and_had_not_reported_is_not_computed_again(tmp_path):
    study = load("busy")
    first, second = (Task(cell, 1) for cell in Grid((((0,),),), replicates=2).cells(study))
    path = new_journal(tmp_path)
    with Writer(path) as writer:
        writer.append(compute(study, first.cell))
    dead = SimpleNamespace(exitcode=-signal.SIGKILL, join=lambda: None)
    worker = Worker(dead, path, multiprocessing.Pipe()[0], deque([first, second]), ready=True)
    pool = Pool("busy", iter(()), tmp_path, Stop(), 1)
    pool.workers.append(worker)
    assert list(pool.bury(worker)) == [False]
    assert list(pool.again) == [second] and not pool.workers and pool.deaths == {second.cell.key: 1}


def test_a_cell_that_kills_its_worker_is_a_failed_cell(tmp_path):
    assert call("sweep_studies.deadly", "--out", tmp_path, "--workers", 1) == 1
    failures, _ = read_table(tmp_path / "failures.parquet")
    assert failures["number"] == [1]
    assert failures["error"] == ["the worker process ended 3 times in this cell, last with signal 9"]
    assert read_table(tmp_path / "results.parquet")[0]["number"] == [0, 2, 3, 4, 5]


def test_a_killed_scheduler_costs_no_finished_cell(undisturbed, tmp_path):
    pytest.importorskip("distributed", reason="needs the extra cluster")
    grid, wanted = undisturbed
    place, out = tmp_path / "scheduler.json", tmp_path / "out"
    command = [sys.executable, "-m"]
    quiet = {"env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(place)]
    scheduler = subprocess.Popen([*command, "distributed.cli.dask_scheduler", "--port", "0", *where], **quiet)
    worker = subprocess.Popen([*command, "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *where], **quiet)
    try:
        assert wait_for(lambda: place.exists() and place.stat().st_size)
        address = read_json(place)["address"]
        job = program("busy", "--grid", grid, "--out", out, "--scheduler", address)
        assert wait_for(lambda: len(recorded(out)) >= 5)
        scheduler.kill()
        said, errors = job.communicate(timeout=60)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    before = recorded(out)
    assert job.returncode == 3 and not said, (said, errors)
    assert "the cluster went away" in errors and errors.count("\n") == 1
    assert 5 <= len(before) < 300
    assert call("busy", "--grid", grid, "--out", out) == 0
    assert results(out) == wanted and set(recorded(out).values()) == {1} and before <= recorded(out)


def test_a_row_lost_with_its_worker_is_waited_for(tmp_path, monkeypatch):
    """A future may say `lost` when its end is reported: its worker died before the row was fetched."""
    study = load("busy")
    monkeypatch.setattr(cluster, "FEWEST", 2)

    class Future(SimpleNamespace):
        status = "lost"

        def add_done_callback(self, put):
            put(self)

    class Client:
        status = "running"
        under_way = 0

        def nthreads(self):
            return {}

        def submit(self, function, name, version, task, *, key, pure):
            self.under_way += 1
            assert self.under_way <= 2
            return Future(key=key, row=compute(study, task.cell))

        def gather(self, futures, errors):
            self.under_way -= len(futures)
            return {key: future.row for key, future in futures.items()}

    tasks = [Task(cell, 1) for cell in Grid((((0,),),), replicates=5).cells(study)]
    stream = cluster._Stream(None, Client(), study, "tcp://nowhere:0")
    assert [outcome.key for outcome in stream.outcomes(iter(tasks), Stop())] == [task.cell.key for task in tasks]


def test_no_scheduler_is_one_sentence(tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="needs the extra cluster")
    monkeypatch.setattr("simulations.engine.cluster.CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        assert call("busy", "--out", tmp_path / "out", "--scheduler", address) == 3
        errors = capsys.readouterr().err
        assert "no Dask scheduler answers" in errors and errors.count("\n") == 1


def test_without_dask_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert call("busy", "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9") == 3
    assert "certify[cluster]" in capsys.readouterr().err
