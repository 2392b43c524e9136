"""A journal line is complete or absent; a stage is done when the journal says so and its outputs are still the same bytes."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from certify.records import Journal, Recipe, Refused, Run
from certify.records.recipe import DataRecipe, ModelRecipe, PlanRecipe

RECIPE = Recipe(ModelRecipe("resnet18"), DataRecipe("digits"), (PlanRecipe("half", sparsity=0.5),))


def test_lines_come_back_in_order_with_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    assert journal.events() == []
    journal.append("start", stage="splits", text="a\nb")
    journal.append("done", stage="splits")
    found = journal.events()
    assert [(event["event"], event["stage"]) for event in found] == [("start", "splits"), ("done", "splits")]
    assert found[0]["text"] == "a\nb"
    assert datetime.fromisoformat(found[0]["time"]).tzinfo is not None


def test_a_torn_line_is_absent_wherever_it_was_torn(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("one")
    whole = journal.path.read_bytes()
    journal.append("two")
    both = journal.path.read_bytes()
    for cut in range(len(whole), len(both)):
        journal.path.write_bytes(both[:cut])
        assert [event["event"] for event in journal.events()] == ["one"]
        journal.append("three")
        assert [event["event"] for event in journal.events()] == ["one", "three"]
        assert journal.path.read_bytes().startswith(whole)
        assert all(json.loads(line) for line in journal.path.read_bytes().splitlines())


def test_a_journal_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path.write_bytes(b'{"event": "on')
    assert journal.events() == []
    journal.append("one")
    assert [event["event"] for event in journal.events()] == ["one"]


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path.write_bytes(b'3\nnull\n[]\nnonsense\n{"event":"one"}\n\n')
    assert journal.events() == [{"event": "one"}]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", RECIPE)


class Worker:
    """Writes a file and counts how often it had to."""

    def __init__(self, path: Path, text: str = "content") -> None:
        self.path, self.text, self.times = path, text, 0

    def __call__(self) -> None:
        self.times += 1
        self.path.write_text(self.text)


def test_a_stage_works_once(run: Run) -> None:
    work = Worker(run.path("out.txt"))
    assert run.stage("stage", {"a": 1}, [work.path], work)
    assert not run.stage("stage", {"a": 1}, [work.path], work)
    assert not Run.open(run.folder).stage("stage", {"a": 1}, [work.path], work)
    assert work.times == 1


@pytest.mark.parametrize("spoil", ["inputs", "deleted", "journal", "torn"])
def test_a_stage_works_again_when_it_must(run: Run, spoil: str) -> None:
    work = Worker(run.path("out.txt"))
    run.stage("stage", {"a": 1}, [work.path], work)
    journal = run.path("journal.jsonl")
    inputs = {"a": 2 if spoil == "inputs" else 1}
    if spoil == "deleted":
        work.path.unlink()
    if spoil == "journal":
        journal.unlink()
    if spoil == "torn":
        journal.write_bytes(journal.read_bytes()[:-1])
    assert run.stage("stage", inputs, [work.path], work)
    assert work.times == 2
    assert not run.stage("stage", inputs, [work.path], work)


def test_a_changed_output_is_refused_by_name(run: Run) -> None:
    work = Worker(run.path("out.txt"))
    run.stage("stage", {}, [work.path], work)
    work.path.write_text("Content")
    with pytest.raises(Refused, match=r"out\.txt: its bytes changed since stage stage wrote it"):
        run.stage("stage", {}, [work.path], work)
    assert work.times == 1


def test_a_stage_that_fails_or_writes_too_little_is_not_done(run: Run) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run.stage("stage", {}, [run.path("out.txt")], fail)
    with pytest.raises(Refused, match=r"did not write .*out\.txt"):
        run.stage("stage", {}, [run.path("out.txt")], lambda: None)
    assert [event["event"] for event in run.journal.events()] == ["start", "start"]


def test_a_done_line_without_its_parts_does_not_count(run: Run) -> None:
    work = Worker(run.path("out.txt"))
    run.journal.append("done", stage="stage")
    assert run.stage("stage", {}, [work.path], work)


def test_a_folder_belongs_to_one_recipe(tmp_path: Path, run: Run) -> None:
    assert Run.create(run.folder, RECIPE).recipe() == RECIPE
    other = Recipe(RECIPE.model, RECIPE.data, (PlanRecipe("half", sparsity=0.6),))
    with pytest.raises(Refused, match="another recipe"):
        Run.create(run.folder, other)
    with pytest.raises(Refused, match=r"no recipe\.toml"):
        Run.open(tmp_path)


def test_what_a_killed_process_left_is_swept_by_the_next_owner(run: Run) -> None:
    run.path("plans", "half").mkdir(parents=True)
    left = [run.path(".splits.json.x1.part"), run.path("plans", "half", ".plan.json.x2.part")]
    kept = run.path("plans", "half", "mine.part")
    for path in (*left, kept):
        path.write_bytes(b"half")
    with run.alone():
        assert kept.exists() and not any(path.exists() for path in left)
        with pytest.raises(Refused, match="another process"), Run.open(run.folder).alone():
            pass
