"""The benchmark of the samplers writes what it measured, and refuses a folder that is a file."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from certify.records import Refused
from simulations.samplers.benchmark import Line, Seconds, as_markdown, main

ROOT = Path(__file__).parents[2]


def test_quick_run_writes_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "new"), "--quick"]) == 0
    with (tmp_path / "new" / "samplers.csv").open() as file:
        rows = list(csv.DictReader(file))
    text = (tmp_path / "new" / "samplers.md").read_text()
    assert capsys.readouterr().out == text
    assert {row["rank"] for row in rows if "sizes" in row["what"]} == {"1", "8", "48"}
    for row in rows:
        assert float(row["fast_seconds"]) > 0.0
        if row["dense_seconds"]:
            assert float(row["ratio"]) == pytest.approx(float(row["dense_seconds"]) / float(row["fast_seconds"]))
    assert text.count("\n| ") == len(rows) + 1


def test_a_ratio_below_one_is_printed() -> None:
    assert "| 0.5 | 0.25 |" in as_markdown([Line("x", 3, 1, Seconds(2.0, 4.0), Seconds(1.0, 1.0))], "command", 1)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Refused, match="taken"):
        main(["--out", str(tmp_path / "taken")])
    with pytest.raises(Refused, match="threads"):
        main(["--out", str(tmp_path / "new"), "--threads", "0"])
    command = [sys.executable, "-m", "simulations.samplers.benchmark", "--out", str(tmp_path / "taken")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and len(done.stderr.strip().splitlines()) == 1
