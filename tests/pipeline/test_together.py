"""`certify recover` under torchrun: two processes ship what one does, up to the order of sums, and say it once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jobs
import numpy as np
import pytest

from certify.records.files import read_tensors

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "certify.cli"]


def together(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    command = [*LAUNCH, *map(str, arguments)]
    return subprocess.run(command, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of one job: recovered by one process, and bounded, for others to recover."""
    folder = tmp_path_factory.mktemp("together")
    recipe = jobs.changed(jobs.DIGITS, plan=[{"name": "half", "sparsity": 0.5}], recovery={"epochs": 2, "batch_size": 32})
    assert jobs.certify("run", jobs.write_recipe(folder / "recipe.toml", recipe), "--out", folder / "one").code == 0
    shutil.copytree(folder / "one", folder / "two")
    (folder / "two" / "plans" / "half" / "model.safetensors").unlink()
    return folder / "one", folder / "two"


def test_two_processes_recover_what_one_does(runs: tuple[Path, Path]) -> None:
    one, two = runs
    done = together("recover", two, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["plans"][0]["name"] == "half", "one of the processes speaks, once"
    found = [read_tensors(folder / "plans" / "half" / "model.safetensors") for folder in (one, two)]
    assert max(float(np.abs(found[0][name] - found[1][name]).max()) for name in found[0]) < 1e-5
    masked = [name for name in found[0] if (found[0][name] == 0).mean() > 0.2]
    assert masked and all(((found[0][name] == 0) == (found[1][name] == 0)).all() for name in masked)
    assert not list(two.rglob("*.state.safetensors"))


def test_a_refusal_ends_all_processes(tmp_path: Path) -> None:
    done = together("recover", tmp_path / "nothing")
    assert done.returncode != 0 and "nothing" in done.stderr
