"""The canary on streams: quiet, ringing, stopped and gone on with, fed with nonsense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import pytest

from certify.records import Certificate
from certify.risk.canary import alarms


def stream(path: Path, rate: float, lines: int = 3000, seed: int = 0) -> Path:
    """Predictions that differ at this rate, CSV and JSON lines mixed."""
    rng = np.random.default_rng(seed)
    text = []
    for number, wrong in enumerate(rng.random(lines) < rate):
        dense, pruned = number % 10, (number + int(wrong)) % 10
        text.append(f"{json.dumps({'dense': dense, 'pruned': pruned})}\n" if number % 3 else f"{dense},{pruned}\n")
    path.write_text("".join(text))
    return path


def canary(*arguments: object) -> tuple[int, dict[str, Any]]:
    said = jobs.certify("canary", *arguments, "--json")
    assert said.code in (0, 1), said.err
    return said.code, json.loads(said.out)


def test_quiet_below_the_level_and_loud_above_it(tmp_path: Path) -> None:
    code, quiet = canary(stream(tmp_path / "good", 0.02), "--level", 0.05)
    assert (code, quiet["fired"], quiet["samples"]) == (0, 0, 3000) and quiet["evidence"] < 1
    code, loud = canary(stream(tmp_path / "bad", 0.15), "--level", 0.05, "--alpha", 0.01)
    assert code == 1 and 20 < loud["fired"] < 1000 and loud["evidence"] >= loud["wanted"] == 100
    # It stopped at the first line at which the evidence sufficed.
    assert bool(alarms(loud["disagreements"], loud["samples"], 0.05, 0.01))
    assert not bool(alarms(loud["disagreements"] - 1, loud["samples"] - 1, 0.05, 0.01))
    said = jobs.certify("canary", tmp_path / "bad", "--level", 0.05)
    assert said.code == 1 and said.out.startswith("ALARM at line ") and said.err == ""


def test_the_level_comes_from_a_certificate(finished: Path, tmp_path: Path) -> None:
    path = finished / "plans" / "half" / "certificate.json"
    issued = Certificate.load(path)
    code, found = canary(stream(tmp_path / "good", 0.01), "--certificate", path)
    assert code == 0 and found["certificate"] == issued.content_hash
    assert found["level"] == next(entry.limit for entry in issued.guarantees if entry.statement == "disagreement")


@pytest.mark.parametrize("rate", [0.03, 0.1])
def test_in_parts_it_comes_to_the_same(rate: float, tmp_path: Path) -> None:
    """A file that grows, read again after each part; a line that is still being written is left for later."""
    whole = stream(tmp_path / "whole", rate)
    expected = canary(whole, "--level", 0.05)
    lines, state = whole.read_text().splitlines(keepends=True), tmp_path / "state.json"
    text = "".join(lines)
    cut = len("".join(lines[:40])) + 2
    for end in (0, cut, len("".join(lines[:1000])), len(text)):
        (tmp_path / "growing").write_text(text[:end])
        code, found = canary(tmp_path / "growing", "--level", 0.05, "--state", state)
        if end == cut and not code:
            assert found["lines"] == 40
        if code:
            break
    assert (code, found) == expected
    assert canary(tmp_path / "growing", "--level", 0.05, "--state", state) == expected, "the alarm stays"


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, state = stream(tmp_path / "whole", 0.04), tmp_path / "state.json"
    command = [sys.executable, "-m", "certify.cli", "canary", "--level", "0.05", "--state", str(state)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdin is not None
        for line in whole.read_text().splitlines(keepends=True)[:2000]:
            process.stdin.write(line)
            process.stdin.flush()
            if state.exists():
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = json.loads(state.read_text())
    assert 0 < kept["lines"] < 2000 and kept["samples"] == kept["lines"]
    assert canary(whole, "--level", 0.05, "--state", state) == canary(whole, "--level", 0.05)


@pytest.mark.parametrize("broken", ["3;4\n", "\n", '{"dense": 3}\n', "3,4,5\n", '{"dense": 3, "pruned": 3\n'])
def test_a_broken_line_is_named_and_what_came_before_it_is_kept(broken: str, tmp_path: Path) -> None:
    path, state = stream(tmp_path / "log", 0.02, 100), tmp_path / "state.json"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:60], broken, *lines[60:]]))
    said = jobs.certify("canary", path, "--level", 0.05, "--state", state)
    assert said.code == 3 and f"{path}: line 61: " in said.err and said.err.count("\n") == 1 and said.out == ""
    assert json.loads(state.read_text())["lines"] == 60
    path.write_text("".join(lines))
    assert canary(path, "--level", 0.05, "--state", state) == canary(path, "--level", 0.05)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"1,1\n\xff\xfe,1\n")
    said = jobs.certify("canary", tmp_path / "log", "--level", 0.05)
    assert said.code == 3 and "not UTF-8" in said.err


def test_a_watch_keeps_what_it_began_with(tmp_path: Path, finished: Path) -> None:
    path, state = stream(tmp_path / "log", 0.02, 100), tmp_path / "state.json"
    canary(path, "--level", 0.05, "--state", state)
    for more, word in ((["--level", 0.06], "level"), (["--level", 0.05, "--alpha", 0.01], "alpha")):
        said = jobs.certify("canary", path, *more, "--state", state)
        assert said.code == 3 and f"begun with {word}" in said.err
    lines = path.read_text().splitlines(keepends=True)
    for other in ([*lines[1:], lines[0]], lines[:50]):
        path.write_text("".join(other))
        said = jobs.certify("canary", path, "--level", 0.05, "--state", state)
        assert said.code == 3 and "first 100 lines are not those that were counted" in said.err
    state.write_text("{}")
    said = jobs.certify("canary", path, "--level", 0.05, "--state", state)
    assert said.code == 3 and "not the state of a canary" in said.err


def test_an_alarm_stays_when_the_log_is_rotated(tmp_path: Path) -> None:
    path, state = stream(tmp_path / "log", 0.5, 200), tmp_path / "state.json"
    code, found = canary(path, "--level", 0.05, "--state", state)
    path.write_text("1,1\n")
    assert code == 1 and canary(path, "--level", 0.05, "--state", state) == (1, found)


def test_wrong_calls(tmp_path: Path, finished: Path) -> None:
    path = stream(tmp_path / "log", 0.02, 10)
    certificate = finished / "plans" / "half" / "certificate.json"
    for code, words, call in (
        (2, "--level or --certificate", [path]),
        (2, "not both", [path, "--level", 0.1, "--certificate", certificate]),
        (2, "inside (0, 1)", [path, "--level", 1.5]),
        (2, "inside (0, 1)", [path, "--level", 0.1, "--alpha", 0]),
        (3, "cannot be read", [tmp_path / "absent", "--level", 0.1]),
        (3, "not a JSON record", [path, "--certificate", path]),
    ):
        said = jobs.certify("canary", *call)
        assert said.code == code and words in said.err and said.err.count("\n") == 1, said.err
