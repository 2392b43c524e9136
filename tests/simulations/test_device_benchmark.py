"""The one call of the device benchmark on a CPU, with stand-ins for the 2:4 kernels that a CPU does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certify.deploy.speed.backends import Backend
from certify.deploy.two_four import load, verify
from simulations import device_benchmark

STAND_INS = (
    Backend(name="plain", rows=1, cols=1, convert=lambda weight, algorithm: weight.clone()),
    Backend(name="wrong", rows=1, cols=1, convert=lambda weight, algorithm: -weight),
    Backend(name="picky", rows=10**6, cols=1, convert=lambda weight, algorithm: weight),
)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_benchmark, "available", lambda device: STAND_INS)


@pytest.mark.usefixtures("brief")
def test_one_call_ends_with_a_row_for_every_way_to_run_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = device_benchmark.main(["--device", "cpu", "--epochs", "12", "--recovery", "2", "--out", str(tmp_path)])
    assert code == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    named = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert list(named) == ["dense bfloat16", "2:4 plain, 16 of 16 layers", "2:4 wrong, 16 of 16 layers", "2:4 picky"]
    dense, plain, wrong, picky = named.values()
    assert plain == dense, "the same weights by another kernel decide the same"
    assert float(wrong[2]) > float(dense[2]), "a kernel that computes something else shows in what is guaranteed"
    assert picky[:4] == ["-"] * 4 and "not divisible by 1000000" in picky[4]
    told = json.loads((tmp_path / "device.json").read_text())
    said = told["ways"][1]["guarantees"][0]
    assert said["arithmetic"]["kernel"] == "2:4 plain, 16 of 16 layers" and said["family"] == 8
    state = load(tmp_path / "model.two-four.safetensors")
    for name, weight in state.items():
        if name.startswith("blocks.") and name.endswith(("qkv.weight", "proj.weight", "fc1.weight", "fc2.weight")):
            verify(weight, name)


def test_an_unknown_device_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert device_benchmark.main(["--device", "abacus"]) == 2
    assert "device abacus" in capsys.readouterr().err
