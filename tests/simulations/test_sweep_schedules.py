"""One result whatever computed it: one process, several, shards, a Dask cluster; and what is recorded of cells that fail."""

import dataclasses
import functools
import json
import os
import random
import signal
import threading
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
import threadpoolctl
from sweep_tools import call, grid_file, program, recorded, results, wait_for

from certify.records.files import read_table
from simulations.engine import index, table
from simulations.engine.cluster import cluster as cluster_runner
from simulations.engine.folder import journal_folder
from simulations.engine.grid import Grid, load_grid
from simulations.engine.journal import Writer, journals, new_journal, records
from simulations.engine.study import compute, generator_of, load
from simulations.engine.sweep import Stop, sweep

STUDY = "largest-singular-value"
FAULTY = "sweep_studies.faulty"


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    out = tmp_path_factory.mktemp("serial") / "out"
    assert call(STUDY, "--out", out) == 0
    return out


def test_the_result_is_the_study_on_the_grid(serial):
    """By the study's own function, without the engine."""
    study = load(STUDY)
    rows, about = read_table(serial / "results.parquet")
    cells = list(load_grid(study, study.grid_path).cells(study))
    assert len(cells) == 12 and list(rows) == ["rows", "cols", "draws", "replicate", "edge", "mean", "standard_error", "cell"]
    for number, cell in enumerate(cells):
        named = dict(zip(study.parameters, cell.values, strict=True))
        wanted = named | {"replicate": cell.replicate, "cell": cell.key.hex()} | study.run(named, generator_of(cell.key))
        assert {name: column[number] for name, column in rows.items()} == wanted
    assert about["study"] == STUDY and about["version"] == 1 and about["replicates"] == 2
    assert not (serial / "failures.parquet").exists()


def test_two_processes_give_the_same_bytes(serial, tmp_path):
    assert call(STUDY, "--out", tmp_path, "--workers", 2) == 0
    assert results(tmp_path) == results(serial)
    assert len(journals(journal_folder(tmp_path))) == 2 and set(recorded(tmp_path).values()) == {1}


def test_shards_merged_give_the_same_bytes(serial, tmp_path):
    parts = [tmp_path / str(number) for number in (1, 2, 3)]
    for number, part in enumerate(parts, start=1):
        assert call(STUDY, "--out", part, "--shard", f"{number}/3") == 0
        assert len(recorded(part)) == 4
    assert call("merge", parts[2], parts[0], "--out", tmp_path / "two") == 1
    assert call("merge", *parts, "--out", tmp_path / "all") == 0
    assert call("merge", *parts[::-1], *parts, tmp_path / "all", "--out", parts[0]) == 0
    for out in (tmp_path / "all", parts[0]):
        assert results(out) == results(serial) and set(recorded(out).values()) == {1}
    assert call(STUDY, "--out", tmp_path / "two") == 0
    assert results(tmp_path / "two") == results(serial)


def test_any_order_and_any_repetition_give_the_same_bytes(serial, tmp_path):
    """Seed 7; journals written by hand: every cell twice, shuffled, over three journals."""
    study = load(STUDY)
    assert call(STUDY, "--out", tmp_path, "--shard", "1/12") == 0
    outcomes = [compute(study, cell) for cell in load_grid(study, study.grid_path).cells(study)] * 2
    random.Random(7).shuffle(outcomes)
    for start in range(3):
        with Writer(new_journal(journal_folder(tmp_path))) as writer:
            for outcome in outcomes[start::3]:
                writer.append(outcome)
    assert call(STUDY, "--out", tmp_path) == 0
    assert results(tmp_path) == results(serial) and sum(recorded(tmp_path).values()) == 25


def test_small_groups_of_rows_give_the_same_table(serial, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "GROUP", 5)
    monkeypatch.setattr(index, "BATCH", 3)
    assert call(STUDY, "--out", tmp_path) == 0
    assert read_table(tmp_path / "results.parquet") == read_table(serial / "results.parquet")


def test_the_same_command_again_computes_nothing(serial, tmp_path, capsys):
    before, count = results(serial), sum(recorded(serial).values())
    assert call(STUDY, "--out", serial, "--workers", 2) == 0
    assert results(serial) == before and sum(recorded(serial).values()) == count


def test_a_wider_grid_computes_only_what_is_new(serial, tmp_path, capsys):
    small = "replicates = 2\n[grid]\nrows = [16, 64]\ncols = 32\ndraws = 20"
    assert call(STUDY, "--grid", grid_file(tmp_path, small), "--out", tmp_path / "out") == 0
    assert call(STUDY, "--out", tmp_path / "out", "--dry-run") == 0
    assert "4 cells, 4 have a row, 0 failed, 0 to compute" in capsys.readouterr().out
    assert call(STUDY, "--grid", load(STUDY).grid_path, "--out", tmp_path / "out") == 0
    assert results(tmp_path / "out") == results(serial) and set(recorded(tmp_path / "out").values()) == {1}


def test_rows_of_every_kind(tmp_path, capsys):
    assert call("sweep_studies.mixed", "--out", tmp_path, "--workers", 2) == 0
    found = pq.read_table(tmp_path / "results.parquet")
    kinds = {field.name: str(field.type) for field in found.schema}
    assert kinds == {
        "word": "string", "flag": "bool", "ratio": "double", "replicate": "int64", "extra": "int64", "infinite": "double",
        "nan": "double", "number": "double", "word_back": "string", "yes": "bool", "cell": "string",
    }  # fmt: skip
    rows = found.to_pylist()
    assert [(row["word"], row["flag"], row["ratio"]) for row in rows] == sorted(
        (row["word"], row["flag"], row["ratio"]) for row in rows
    )
    assert {(row["ratio"], row["number"], row["extra"], row["yes"]) for row in rows} == {
        (0.5, 1.0, None, True), (1.0, 1.5, None, False), (2.5, 1.5, 7, False)
    }  # fmt: skip
    assert all(np.isnan(row["nan"]) and row["infinite"] == -np.inf and row["word_back"] == row["word"] for row in rows)


def test_rows_that_cannot_be_stored_are_failed_cells(tmp_path):
    words = ["list", "none", "row", "taken", "huge", "array", "empty"]
    grid = grid_file(tmp_path, f"[grid]\nword = {json.dumps(['fine', *words])}\nflag = true\nratio = 0.5")
    assert call("sweep_studies.mixed", "--grid", grid, "--out", tmp_path / "out") == 1
    failures, _ = read_table(tmp_path / "out" / "failures.parquet")
    assert failures["word"] == sorted(words) and all(error.startswith(("TypeError", "ValueError")) for error in failures["error"])
    assert read_table(tmp_path / "out" / "results.parquet")[0]["word"] == ["fine"]


def test_a_column_of_words_and_numbers_is_refused_and_nothing_lost(tmp_path, capsys):
    grid = grid_file(tmp_path, '[grid]\nword = ["fine", "clash"]\nflag = true\nratio = 0.5')
    assert call("sweep_studies.mixed", "--grid", grid, "--out", tmp_path / "out") == 3
    assert "column number holds int and str" in capsys.readouterr().err
    assert len(recorded(tmp_path / "out")) == 2


def test_a_failing_cell_is_recorded_and_computed_again_on_request(tmp_path, monkeypatch, capsys):
    outs = [tmp_path / "serial", tmp_path / "two"]
    for out, words in zip(outs, ((), ("--workers", 2)), strict=True):
        monkeypatch.setenv("FAULTY", "1")
        assert call(FAULTY, "--out", out, *words) == 1
        assert "3 of 6 cells have a row, 3 failed" in capsys.readouterr().out
        assert call(FAULTY, "--out", out, *words) == 1
        failures, _ = read_table(out / "failures.parquet")
        assert failures["number"] == [1, 3, 5] and failures["attempts"] == [1, 1, 1]
        assert failures["error"] == ["ValueError: odd number (faulty.py:11)"] * 3
        assert call(FAULTY, "--out", out, "--retry", *words) == 1
        assert read_table(out / "failures.parquet")[0]["attempts"] == [2, 2, 2]
        monkeypatch.delenv("FAULTY")
        assert call(FAULTY, "--out", out, *words) == 1
        assert call(FAULTY, "--out", out, "--retry", *words) == 0
        assert not (out / "failures.parquet").exists() and sum(recorded(out).values()) == 12
    assert results(outs[0]) == results(outs[1])
    assert call(FAULTY, "--out", tmp_path / "never") == 0
    assert results(tmp_path / "never") == results(outs[0])


def test_failures_merge_and_a_row_mends_them(tmp_path, monkeypatch):
    monkeypatch.setenv("FAULTY", "1")
    assert call(FAULTY, "--out", tmp_path / "bad") == 1
    assert call("merge", tmp_path / "bad", "--out", tmp_path / "joint") == 1
    assert (tmp_path / "joint" / "failures.parquet").read_bytes() == (tmp_path / "bad" / "failures.parquet").read_bytes()
    monkeypatch.delenv("FAULTY")
    assert call(FAULTY, "--out", tmp_path / "good") == 0
    assert call("merge", tmp_path / "joint", tmp_path / "good", "--out", tmp_path / "joint") == 0
    assert results(tmp_path / "joint") == results(tmp_path / "good") and not (tmp_path / "joint" / "failures.parquet").exists()


def test_a_folder_of_something_else_is_refused(serial, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("kept")
    assert call(STUDY, "--out", other) == 3
    assert call(FAULTY, "--out", serial) == 3
    assert call(FAULTY, "--out", tmp_path / "faulty") == 0
    assert call("merge", serial, tmp_path / "faulty", "--out", tmp_path / "joint") == 3
    assert capsys.readouterr().err.count("\n") == 3
    about = json.loads((tmp_path / "faulty" / "sweep.json").read_text())
    (tmp_path / "faulty" / "sweep.json").write_text(json.dumps(about | {"version": 2}))
    assert call(FAULTY, "--out", tmp_path / "faulty") == 3
    assert "holds sweep_studies.faulty version 2, and the study is now version 1" in capsys.readouterr().err


def test_a_second_sweep_in_one_folder_is_refused(tmp_path, capsys):
    study, answers = load(FAULTY), []

    def run(parameters, generator):
        answers.append(call(FAULTY, "--out", tmp_path))
        return {"x": 1}

    sweep(dataclasses.replace(study, run=run), Grid((((0,),),)), tmp_path)
    assert answers == [3] and "another sweep is running" in capsys.readouterr().err


def test_a_dry_run_counts_and_writes_nothing(serial, tmp_path, capsys):
    assert call(STUDY, "--out", tmp_path / "out", "--dry-run", "--shard", "2/5", "--workers", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{STUDY}: 3 cells, 0 have a row, 0 failed, 3 to compute"
    assert "mean of 3 cells tried now" in lines[1] and lines[2].endswith("on 2 processes")
    assert not (tmp_path / "out").exists()
    assert call(STUDY, "--out", serial, "--dry-run") == 0
    assert "mean of 12 cells of the journals" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--workers", 2)])
def test_sigterm_finishes_the_cell_and_stops(words, tmp_path):
    grid = grid_file(tmp_path, "replicates = 40\n[grid]\nrounds = 100_000")
    out = tmp_path / "out"
    job = program("busy", "--grid", grid, "--out", out, *words)
    assert wait_for(lambda: len(recorded(out)) >= 2)
    job.send_signal(signal.SIGTERM)
    said, errors = job.communicate(timeout=60)
    finished = read_table(out / "results.parquet")[0]["cell"]
    assert job.returncode == 1 and errors == "" and "stopped before the end" in said
    assert 2 <= len(finished) < 40 and set(finished) == {key.hex() for key in recorded(out)}


def test_a_stop_in_a_cell_keeps_this_cell_and_no_more(tmp_path):
    stop = Stop()

    def run(parameters, generator):
        stop.requested = parameters["number"] == 2
        return {"x": 1}

    study = dataclasses.replace(load(FAULTY), run=run)
    summary = sweep(study, Grid((((0, 1, 2, 3),),)), tmp_path, stop=stop)
    assert summary.stopped and summary.done == 3 and summary.failed == 0


def test_memory_does_not_hold_the_cells(tmp_path, monkeypatch):
    """A sweep takes some 140 bytes a cell at its peak, in arrays; one that holds its tasks takes more than 300."""
    monkeypatch.setattr(table, "GROUP", 128)
    monkeypatch.setattr(index, "BATCH", 128)
    few, many = 500, 3500
    peaks = []
    sweep(load("busy"), Grid((((0,),),)), tmp_path / "imports")
    for cells in (few, many):
        tracemalloc.start()
        sweep(load("busy"), Grid((((0,),),), replicates=cells), tmp_path / str(cells))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / (many - few) < 220


def test_a_local_dask_cluster_gives_the_same_bytes_and_survives_a_killed_worker(serial, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
    local = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None, "host": "127.0.0.1"}
    grid = grid_file(tmp_path, "replicates = 60\n[grid]\nrounds = 10_000")
    with distributed.LocalCluster(**local) as cluster:
        address = cluster.scheduler_address
        assert call(STUDY, "--out", tmp_path / "dask", "--scheduler", address) == 0
        assert results(tmp_path / "dask") == results(serial)
        victim = next(iter(cluster.workers.values())).pid
        out = tmp_path / "killed"
        killer = threading.Thread(target=lambda: wait_for(lambda: len(recorded(out)) >= 5) and os.kill(victim, signal.SIGKILL))
        killer.start()
        assert call("busy", "--grid", grid, "--out", out, "--scheduler", address) == 0
        killer.join()
        assert wait_for(lambda: next(iter(cluster.workers.values())).pid != victim, 30.0)
    assert set(recorded(out).values()) == {1} and len(recorded(out)) == 60
    with distributed.LocalCluster(**local | {"n_workers": 0}) as cluster:
        stop = Stop()
        threading.Timer(1.0, setattr, (stop, "requested", True)).start()
        runner = functools.partial(cluster_runner, address=cluster.scheduler_address)
        summary = sweep(load(FAULTY), Grid((((0, 1, 2),),)), tmp_path / "idle", runner, stop=stop)
        assert summary.stopped and summary.done == 0
    assert call("busy", "--grid", grid, "--out", tmp_path / "busy") == 0
    assert results(out) == results(tmp_path / "busy")


def test_threads_are_one_in_a_sweep_and_as_before_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    pools = threadpoolctl.threadpool_info()
    seen = []

    def run(parameters, generator):
        seen.append((os.environ["OMP_NUM_THREADS"], {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}))
        return {"x": 1}

    sweep(dataclasses.replace(load(FAULTY), run=run), Grid((((0,),),)), tmp_path)
    assert seen == [("1", {1})]
    assert os.environ["OMP_NUM_THREADS"] == "7" and threadpoolctl.threadpool_info() == pools


def test_times_stand_in_the_journals_alone(serial):
    assert all(record.outcome.seconds > 0 for path in journals(journal_folder(serial)) for record in records(path))
    assert "seconds" not in read_table(serial / "results.parquet")[0]
