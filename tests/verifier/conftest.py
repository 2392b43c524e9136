"""One synthetic run for all tests of the verifier; each test that changes it gets a copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from verifier_run import Forge, build


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """A run that is in order. Do not write into it."""
    return build(tmp_path_factory.mktemp("verifier") / "run")


@pytest.fixture
def forge(issued: Forge, tmp_path: Path) -> Forge:
    """A copy to tamper with."""
    return issued.copy(tmp_path / "run")
