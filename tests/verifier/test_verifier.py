"""verify: what is in order passes, one flipped bit does not, and it stands on its own feet."""

from __future__ import annotations

import ast
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from verifier_run import Forge, build

import certify.verifier
from certify.records import Refused, Unmet, Usage
from certify.verifier import verify

PACKAGE = Path(certify.verifier.__file__).parent
ALLOWED = ("records", "theory", "verifier")


def test_imports_none_of_the_producing_code():
    found = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                found |= {f"{node.module}.{alias.name}" if node.module == "certify" else str(node.module) for alias in node.names}
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                assert [ast.unparse(argument) for argument in node.args] == ["'timm'"], f"{path}: imports by a computed name"
    own = {name for name in found if name.split(".")[0] == "certify"}
    assert own and all(name.split(".")[1] in ALLOWED for name in own), sorted(own)
    foreign = {name.split(".")[0] for name in found} - {"certify"}
    assert foreign.isdisjoint({"safetensors", "pyarrow", "torchvision"}), sorted(foreign)


@pytest.mark.parametrize("level", ["files", "replay"])
def test_a_run_in_order_passes(issued: Forge, level: str):
    verdict = verify(issued.certificate, level=level, require=["sparsity>=0.5", "accuracy_drop<=0.9@0.95"])
    assert verdict.level == level
    assert verdict.certificate == json.loads(issued.certificate.read_text())["content_hash"]
    assert set(verdict.requirements) == {"sparsity>=0.5", "accuracy_drop<=0.9@0.95"}
    left = [check.name for check in verdict.checks if not check.done]
    assert left == (["layer table"] if level == "replay" else [])
    assert json.loads(json.dumps(verdict.to_json()))["checks"]


def test_replay_recomputes_the_rungs_it_knows(issued: Forge):
    said = {check.name: check.detail for check in verify(issued.certificate, level="replay").checks}
    assert said["ladder rerun"] == "7 rungs come out the same on 24 samples"
    assert said["masked ladder rerun"].startswith("8 rungs") and "not recomputed: layer_speed" in said["masked ladder rerun"]


@pytest.mark.parametrize("kind", ["masked", "given"])
def test_other_kinds_of_pairs_pass(tmp_path: Path, kind: str):
    run = build(tmp_path / "run", kind=kind)
    for level in ("files", "replay"):
        verify(run.certificate, level=level)
    with pytest.raises(Unmet, match="undecided") if kind == "given" else _passes():
        verify(run.certificate, require=["sparsity>=0.1"])


def test_unlabelled_pairs_pass(tmp_path: Path):
    data = '\n[data]\nsource = "digits"\nlabels = "none"\n'
    text = 'checkpoint = "given.safetensors"\n'
    run = build(tmp_path / "run", data=data, labelled=False, checkpoint=text)
    verify(run.certificate, level="replay", require=["disagreement<=0.9@0.95"])
    with pytest.raises(Unmet, match="undecided: the certificate holds no accuracy_drop guarantee"):
        verify(run.certificate, require=["accuracy_drop<=0.9@0.95"])


def test_relative_path(issued: Forge, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(issued.plan)
    verify(Path("certificate.json"))


def test_fifty_flipped_bits_are_refused(issued: Forge, tmp_path: Path):
    random = np.random.default_rng(2024)
    names = [*json.loads(issued.certificate.read_text())["files"], "plans/half/certificate.json"]
    forge = issued.copy(tmp_path / "run")
    for name in [*names, *random.choice(names, 50 - len(names))]:
        path = forge.folder / name
        whole = path.read_bytes()
        bit = int(random.integers(8 * len(whole)))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(Refused) as refusal:
            verify(forge.certificate)
        assert refusal.value.exit_code == 3 and "\n" not in str(refusal.value), f"{name}, bit {bit}"
        path.write_bytes(whole)
    verify(forge.certificate)


def test_every_bit_of_the_certificate_counts(forge: Forge):
    """Also where JSON would read the same value: an exponent in capitals, a space, the last newline."""
    whole = forge.certificate.read_bytes()
    for changed in (whole.rstrip(b"\n"), whole + b"\n", whole.replace(b": ", b":  ", 1), whole.replace(b"e-0", b"E-0", 1)):
        if changed != whole:
            forge.certificate.write_bytes(changed)
            with pytest.raises(Refused, match="not as certify issue writes"):
                verify(forge.certificate)


def test_truncated_files_are_refused(forge: Forge):
    for name in json.loads(forge.certificate.read_text())["files"]:
        path = forge.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        forge.reissue()
        with pytest.raises(Refused):
            verify(forge.certificate)
        path.write_bytes(whole)
        forge.reissue()


def test_absent_checkpoints_are_said_and_not_checked(forge: Forge):
    (forge.folder / "reference.safetensors").unlink()
    (forge.plan / "model.safetensors").unlink()
    verdict = verify(forge.certificate, require=["sparsity>=0.5"])
    left = {check.name: check.detail for check in verdict.checks if not check.done}
    assert left == {
        "reference.safetensors": "absent, not checked",
        "plans/half/model.safetensors": "absent, not checked",
        "removed weights": "model.safetensors absent, not checked",
        "masked network": "reference.safetensors absent, not checked",
    }
    with pytest.raises(Refused, match=r"reference.safetensors: absent, and level replay runs it"):
        verify(forge.certificate, level="replay")


@pytest.mark.parametrize("missing", ["reference.safetensors", "plans/half/model.safetensors"])
def test_one_checkpoint_alone_is_checked(forge: Forge, missing: str):
    (forge.folder / missing).unlink()
    assert any(not check.done for check in verify(forge.certificate).checks)


def test_other_absent_files_are_refused(forge: Forge):
    for name in json.loads(forge.certificate.read_text())["files"]:
        if not name.endswith("reference.safetensors") and not name.endswith("model.safetensors"):
            path = forge.folder / name
            path.rename(path.with_suffix(".away"))
            with pytest.raises(Refused, match="cannot be read"):
                verify(forge.certificate)
            path.with_suffix(".away").rename(path)


def test_wrong_calls(issued: Forge, tmp_path: Path):
    with pytest.raises(Usage, match="level 'everything' is not one of files, replay"):
        verify(issued.certificate, level="everything")
    with pytest.raises(Usage, match="not understood"):
        verify(issued.certificate, require=["accuracy_drop<0.01"])
    with pytest.raises(Usage):
        verify(tmp_path / "nowhere.json", require=["nonsense"])
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(Refused, match="cannot be read"):
            verify(path)


def test_a_certificate_out_of_its_place_is_refused(forge: Forge):
    shutil.copytree(forge.plan, forge.folder / "plans" / "other")
    with pytest.raises(Refused, match=r"expected at plans/half/certificate.json"):
        verify(forge.folder / "plans" / "other" / "certificate.json")
    shutil.copy(forge.certificate, forge.folder / "certificate.json")
    with pytest.raises(Refused, match="expected at plans/half"):
        verify(forge.folder / "certificate.json")


def test_integrity_comes_before_requirements(forge: Forge):
    (forge.folder / "env.json").write_text("{}")
    with pytest.raises(Refused, match=r"env.json"):
        verify(forge.certificate, require=["accuracy_drop<=-1@0.999"])


def test_threads_are_given_back(issued: Forge):
    import torch

    before = torch.get_num_threads()
    verify(issued.certificate, level="replay")
    assert torch.get_num_threads() == before and "HF_HUB_OFFLINE" in os.environ


def _passes():
    from contextlib import nullcontext

    return nullcontext()
