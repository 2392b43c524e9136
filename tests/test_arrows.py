"""Imports run one way. ARCHITECTURE.md draws the arrows, this test holds them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STEPS = (
    {"records"},
    {"theory", "laws"},
    {"data", "networks", "spectra"},
    {"pruning", "bounds", "risk", "training", "deploy"},
    {"pipeline"},
    {"cli"},
)
# Rooms that hang on the left end only, and what they may take from it.
SIDE_ROOMS = {"verifier": {"records", "theory"}, "report": {"records"}}
# Who may take from the side rooms.
THEIR_READERS = {"pipeline", "cli"}
# The one arrow inside a step: timm reads image folders, and torchvision's import has to be cured before it does.
SAME_STEP = {("data", "certify.networks.vision")}
STEP = {room: number for number, rooms in enumerate(STEPS) for room in rooms}
# The public functions stand outside the rooms: each is a door to one of them.
DOORS = {"api", "__init__"}

Arrow = tuple[str, str, str]


def imported(tree: ast.AST, module: str, package: bool) -> Iterator[str]:
    """Full names of all modules that are imported anywhere in `tree`, functions and TYPE_CHECKING blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".") + ([""] if package else [])
                base = ".".join([*parts[: len(parts) - node.level], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str))


def arrows(package: str) -> list[Arrow]:
    """(file, module, imported module) of every import below a package."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [(str(path.relative_to(ROOT)), module, name) for name in imported(tree, module, is_package)]
    return found


def room(module: str) -> str:
    """`certify.bounds.ladder` to `bounds`; "" outside certify, `__init__` for certify itself."""
    parts = module.split(".")
    if parts[0] != "certify":
        return ""
    known = {entry.stem for entry in (ROOT / "certify").iterdir()}
    return parts[1] if len(parts) > 1 and parts[1] in known else "__init__"


def forbidden(arrow: Arrow) -> bool:
    """Whether an import runs against the arrows."""
    _, module, name = arrow
    here, there = room(module), room(name)
    if not there or here == there or here in DOORS:
        return False
    if there in DOORS:
        return there == "api"
    if here in SIDE_ROOMS:
        return there not in SIDE_ROOMS[here]
    if there in SIDE_ROOMS:
        return here not in THEIR_READERS
    if STEP[here] == STEP[there]:
        return not any(here == who and (name == what or name.startswith(f"{what}.")) for who, what in SAME_STEP)
    return STEP[there] > STEP[here]


ARROWS = arrows("certify")


def test_every_room_has_its_place() -> None:
    rooms = {path.name for path in (ROOT / "certify").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert rooms == set(STEP) | set(SIDE_ROOMS)
    loose = {path.stem for path in (ROOT / "certify").glob("*.py")}
    assert loose == DOORS


def test_imports_run_one_way() -> None:
    wrong = sorted({f"{file} imports {name}" for file, module, name in ARROWS if forbidden((file, module, name))})
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("certify.records.files", "certify.theory"),
        ("certify.theory.path", "certify.networks.segment"),
        ("certify.theory.path", "certify.laws"),
        ("certify.data.sources", "certify.networks.loading"),
        ("certify.networks.loading", "certify.data"),
        ("certify.bounds.ladder", "certify.pruning"),
        ("certify.pruning", "certify.bounds"),
        ("certify.bounds.ladder", "certify.verifier"),
        ("certify.training.loop", "certify.pipeline"),
        ("certify.verifier.replay", "certify.networks.loading"),
        ("certify.report.page", "certify.theory"),
        ("certify.pipeline.job", "certify.cli.show"),
        ("certify.pipeline.job", "certify.api"),
    ],
)
def test_an_arrow_the_other_way_is_seen(module: str, name: str) -> None:
    assert forbidden(("", module, name))


@pytest.mark.parametrize(
    "text",
    [
        "import certify.cli as c",
        "from certify import cli",
        "from ..cli import app",
        "def f():\n    from certify.cli.app import main",
        "import importlib\nimportlib.import_module('certify.cli')",
    ],
)
def test_no_spelling_of_an_import_escapes(text: str) -> None:
    names = list(imported(ast.parse(text), "certify.bounds.ladder", False))
    assert any(forbidden(("", "certify.bounds.ladder", name)) for name in names)


def test_the_exception_is_still_needed() -> None:
    taken = {(room(module), name) for _, module, name in ARROWS}
    assert all(exception in taken for exception in SAME_STEP)


def test_formulas_and_files_know_no_torch() -> None:
    heavy = ("torch", "torchvision", "timm")
    wrong = {
        f"{file} imports {name}"
        for file, module, name in ARROWS
        if room(module) in ("records", "theory", "laws", "risk", "pruning", "spectra", "report") and name.split(".")[0] in heavy
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_the_product_knows_no_workbench() -> None:
    """Studies, proofs and tests import certify, never the reverse."""
    wrong = {
        f"{file} imports {name}" for file, _, name in ARROWS if name.split(".")[0] in ("simulations", "proofs_check", "tests")
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_only_the_command_line_prints() -> None:
    wrong = []
    for path in sorted((ROOT / "certify").rglob("*.py")):
        if path.relative_to(ROOT / "certify").parts[0] == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["records", "theory", "laws", "risk", "pruning", "spectra", "report", "verifier", "cli"])
def test_light_rooms_load_without_torch(name: str) -> None:
    """A machine that only rechecks files or draws a report needs no torch; `certify --help` does not wait for it."""
    program = f"import sys, certify.{name}; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
