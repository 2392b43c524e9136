"""The state of a canary: lines it takes, lines it refuses, and the file it is kept in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certify.records import Refused
from certify.records.watch import Watch, parse


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("3,4\n", ("3", "4")),
        (" cat , dog\r\n", ("cat", "dog")),
        ('{"dense": 3, "pruned": 3, "id": 7}', ("3", "3")),
        ('{"dense": "a,b", "pruned": "a"}', ("a,b", "a")),
    ],
)
def test_a_line_is_two_predictions(line: str, pair: tuple[str, str]) -> None:
    assert parse(line, "here") == pair


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "3",
        "3,4,5",
        "3,",
        ",",
        '{"dense": 3}',
        '{"dense": 3, "pruned": null}',
        '{"dense": true, "pruned": 1}',
        "{",
        "[3, 3]x,",
    ],
)
def test_anything_else_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(Refused, match="log: line 3: "):
        Watch(0.1, 0.05, lines=2, samples=2).read(line, "log")


def test_only_the_first_line_can_be_a_header() -> None:
    found = Watch(0.1, 0.05).read("dense,pruned\n", "log").read("1,2\n", "log")
    assert (found.lines, found.samples, found.failures) == (2, 1, 1)
    assert found.read("dense,pruned\n", "log").failures == 2


def test_the_chain_names_every_line_in_its_order() -> None:
    one, two = Watch(0.1, 0.05), Watch(0.1, 0.05)
    for line, other in zip(("1,1\n", "2,2\n"), ("2,2\n", "1,1\n"), strict=True):
        one, two = one.read(line, ""), two.read(other, "")
    assert (one.samples, one.failures) == (two.samples, two.failures) and one.chain != two.chain


def test_it_is_read_as_it_was_written_and_nothing_else_is(tmp_path: Path) -> None:
    found, path = Watch(0.1, 0.05, "c" * 64, 5, 4, 1, 0, "a" * 64), tmp_path / "state.json"
    found.save(path)
    assert Watch.load(path) == found
    value = json.loads(path.read_text())
    for broken in ({**value, "more": 1}, {**value, "failures": 9}, {**value, "lines": True}, {**value, "lines": "x"}, [1]):
        path.write_text(json.dumps(broken))
        with pytest.raises(Refused):
            Watch.load(path)
