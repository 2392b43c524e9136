"""The register of looks: a look counts once, spends its share, and cannot be unseen."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from certify.data import look, register_path
from certify.data import register as register_module
from certify.records import Refused
from certify.records.recipe import DataRecipe


@pytest.fixture
def register(tmp_path):
    return tmp_path / "beside" / "looks.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_same_family_is_the_same_look(register):
    assert [look(register, "split", "family", 0.05, 1.0) for _ in range(3)] == [1, 1, 1]
    assert len(lines(register)) == 1
    assert look(register, "other split", "family", 0.05, 1.0) == 1


def test_second_look_is_refused_when_delta_is_spent(register):
    look(register, "split", "first", 0.05, 1.0)
    with pytest.raises(Refused, match=r"1 earlier look .* spent share 1 of delta 0\.05.*another splits\.seed") as refusal:
        look(register, "split", "second", 0.05, 0.1)
    assert refusal.value.exit_code == 3 and "\n" not in str(refusal.value)
    assert len(lines(register)) == 1


def test_shares_are_spent_to_the_last(register):
    for number, share in enumerate((0.4, 0.2, 0.3, 0.1), start=1):  # added in this order: 1 + 2e-16
        assert look(register, "split", f"family {number}", 0.05, share) == number
    assert look(register, "split", "family 2", 0.05, 0.2) == 2  # a repeated job counts as it did the first time
    with pytest.raises(Refused, match="4 earlier looks"):
        look(register, "split", "family 5", 0.05, 0.001)


def test_terms_cannot_change_after_looking(register):
    look(register, "split", "family", 0.05, 0.5)
    with pytest.raises(Refused, match=r"entered with delta 0\.05 and share 0\.5, now asked for 0\.05 and 0\.25"):
        look(register, "split", "family", 0.05, 0.25)
    with pytest.raises(Refused, match=r"share delta 0\.05, this one asks for 0\.1"):
        look(register, "split", "another", 0.1, 0.5)


def test_torn_line_was_no_look_but_damage_is_refused(register):
    look(register, "split", "first", 0.05, 1.0)
    whole = register.read_bytes()
    register.write_bytes(whole[:-5])
    assert look(register, "split", "second", 0.05, 1.0) == 1
    register.write_bytes(whole.replace(b'"share":', b'"shore":'))
    with pytest.raises(Refused, match="line 1 is not a look"):
        look(register, "split", "second", 0.05, 1.0)


def test_concurrent_looks_never_overspend(register, monkeypatch):
    def slow_read(path):
        found = read(path)
        time.sleep(0.005)
        return found

    read = register_module._read
    monkeypatch.setattr(register_module, "_read", slow_read)

    def attempt(number):
        try:
            return look(register, "split", f"family {number}", 0.05, 0.25)
        except Refused:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(attempt, range(16)))
    assert sorted(number for number in found if number) == [1, 2, 3, 4]
    assert len(lines(register)) == 4


def test_register_lies_beside_the_data(tmp_path, monkeypatch):
    run = tmp_path / "runs" / "job"
    data = tmp_path / "images"
    data.mkdir()
    assert register_path(DataRecipe(dir=str(data)), run) == data / ".certify-looks.jsonl"
    assert register_path(DataRecipe(source="digits"), run) == tmp_path / "runs" / "certify-looks.jsonl"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert register_path(DataRecipe(dir=str(data)), run) == tmp_path / "runs" / "certify-looks.jsonl"
    monkeypatch.chdir(tmp_path)
    assert register_path(DataRecipe(source="digits"), Path("job")) == tmp_path / "certify-looks.jsonl"


def test_register_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot be written"):
        look(tmp_path / "file" / "looks.jsonl", "split", "family", 0.05, 1.0)
