"""Bad input is refused in one sentence, with the right exit code, and leaves nothing half-written."""

from __future__ import annotations

from pathlib import Path

import bad_calls
import bad_input
import jobs
import pytest
from desk import KINDS, Bad, Desk

from certify.records.hashing import sha256_file

assert bad_input and bad_calls, "both enter their kinds when they are imported"


@pytest.mark.parametrize("bad", KINDS, ids=[bad.make.__name__ for bad in KINDS])
def test_one_sentence_and_the_right_exit_code(bad: Bad, tmp_path: Path, finished: Path) -> None:
    desk = Desk(tmp_path, finished)
    command = bad.make(desk)
    before = everything(tmp_path)
    said = jobs.certify(*command)
    assert said.code == bad.code, said.err
    assert said.err.startswith("certify: ") and said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err and said.out == ""
    for word in bad.words:
        assert word in said.err
    after = everything(tmp_path)
    assert {path: after[path] for path in before} == before, "a file that was there is another one now"
    if not bad.tampers:
        for run in (desk.out, desk.folder / "copy" / "run", desk.folder / "copy" / "second"):
            assert unfinished_files(run) == []
    if "recipe" in said.err and bad.code == 2:
        assert not desk.out.exists(), "a recipe that is wrong makes no folder"
    if "too few" in said.err:
        assert not list(tmp_path.rglob("*looks*")), "a split that is too small is not looked at"


def everything(folder: Path) -> dict[Path, bytes]:
    """Every file but journals."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "journal.jsonl"}


def unfinished_files(run: Path) -> list[str]:
    """Files of a run that no finished stage answers for, temporary ones first of all."""
    if not (run / "recipe.toml").is_file():
        return []
    stated = {name: digest for event in jobs.journal(run) for name, digest in event.get("outputs", {}).items()}
    free = ("recipe.toml", "env.json", "journal.jsonl")
    names = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return [name for name in names if name not in free and stated.get(name) != sha256_file(run / name)]
