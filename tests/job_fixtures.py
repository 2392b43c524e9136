"""Fixtures around a finished digits job. The conftest files of `pipeline` and `cli` import them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import jobs
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Trained references are kept apart from those of the person who runs the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CERTIFY_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def own_torch() -> Iterator[None]:
    """A job sets threads and determinism for its process; other tests get back what they had."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A digits job that went the whole way. Do not write into it."""
    folder = tmp_path_factory.mktemp("finished")
    said = jobs.certify("run", jobs.write_recipe(folder / "recipe.toml", jobs.DIGITS), "--out", folder / "run", "--json")
    assert said.code == 0, said.err
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished job, register of looks included."""
    shutil.copytree(finished.parent, tmp_path / "copy")
    return tmp_path / "copy" / "run"
