"""`certify spectra RUN --out DIR` writes the full table and a picture of each layer, and leaves the run as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jobs
import pytest
from job_fixtures import cache, finished, own_torch

from certify.records import load_spectra

__all__ = ["cache", "finished", "own_torch"]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "journal.jsonl"
    }


def test_the_full_table_and_the_pictures_are_written_beside_the_run(finished: Path, tmp_path: Path) -> None:
    before = contents(finished)
    asked = ("spectra", finished, "--out", tmp_path / "layers", "--bands", "--vectors", "--seed", 3, "--json")
    said = jobs.certify(*asked)
    assert said.code == 0, said.err
    rows = load_spectra(tmp_path / "layers" / "layers.parquet")
    assert [row.target for row in rows] == [row.target for row in load_spectra(finished / "spectra.parquet")]
    kinds = {row.target: row.kind for row in rows}
    assert kinds["patch_embed.proj"] == "depthwise" and "linear" in kinds.values()
    assert any(row.fit_p_value is not None and row.haar_left_p is not None for row in rows)
    assert {path.stem for path in (tmp_path / "layers").glob("*.svg")} == set(kinds)
    written = contents(tmp_path / "layers")
    assert jobs.certify(*asked).code == 0 and contents(tmp_path / "layers") == written
    assert contents(finished) == before


@pytest.mark.parametrize("flags", [("--bands",), ("--vectors",), ("--seed", -1)])
def test_flags_that_would_do_nothing_are_usage_errors(flags: tuple[object, ...], tmp_path: Path) -> None:
    said = jobs.certify("spectra", tmp_path, *flags)
    assert said.code == 2 and said.err.count("\n") == 1
