"""The whole way on somebody else's network and images: a local ResNet checkpoint and a folder of PNG files."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import pytest
import torch

from certify.data.sources import load_samples
from certify.networks.loading import build, load_state, preprocessing, read_checkpoint, save_state, state_of
from certify.records import Ladder, Outcomes, Plan, Splits
from certify.records.files import read_json
from certify.records.recipe import DataRecipe, ModelRecipe

pytestmark = pytest.mark.slow

MODEL = ModelRecipe(jobs.RESNET["name"], "", jobs.RESNET["num_classes"], jobs.RESNET["kwargs"])
KWARGS = [part for key, value in MODEL.kwargs.items() for part in ("--model-kwargs", f"{key}={jobs.toml(value)}")]
# A class name that a report must escape.
CLASSES = ("checks", "<b>columns</b>", "rows")


@dataclass(frozen=True)
class Shop:
    """What a user brings: images in class folders, the same images in one folder, and one network in two file formats."""

    folder: Path

    images = property(lambda self: self.folder / "images")
    flat = property(lambda self: self.folder / "flat")
    safetensors = property(lambda self: self.folder / "resnet.safetensors")
    pth = property(lambda self: self.folder / "resnet.pth")

    def recipe(self, **changes: Any) -> Path:
        """Two plans at 50 %, the second 2:4, on 60 certification images."""
        wanted = {
            "threads": 1,
            "model": jobs.RESNET | {"checkpoint": str(self.pth)},
            "data": {"dir": str(self.images)},
            "splits": {"train": 60, "calibration": 10, "tuning": 20, "certification": 60},
            "bounds": {"max_order": 8},
            "recovery": {"epochs": 1, "batch_size": 20},
            "plan": [{"name": "half", "sparsity": 0.5}, {"name": "pairs", "pattern": "2:4"}],
        }
        return jobs.write_recipe(self.folder / "recipe.toml", jobs.changed(wanted, **changes))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Images, and a ResNet that has learned them in forty steps, so that its batch norms carry real statistics."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    jobs.write_images(shop.images, classes=CLASSES)
    jobs.write_images(shop.flat, classes=("", "", ""))
    torch.manual_seed(0)
    network = build(MODEL).train()
    samples = load_samples(DataRecipe(dir=str(shop.images)), preprocessing(network, MODEL))
    images, labels = samples.images(range(len(samples))), torch.tensor(samples.labels)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        batch = torch.randperm(len(images))[:24]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()
    save_state(shop.safetensors, state_of(network))
    torch.save({"epoch": 40, "state_dict": network.state_dict()}, shop.pth)
    return shop


@pytest.fixture(scope="module")
def done(shop: Shop) -> Path:
    """The whole way from the TOML recipe."""
    said = jobs.certify("run", shop.recipe(), "--out", shop.folder / "run", "--json")
    assert said.code == 0, said.err
    return shop.folder / "run"


def test_the_reference_is_the_checkpoint_to_the_bit(shop: Shop, done: Path) -> None:
    stored = read_checkpoint(done / "reference.safetensors")
    for path in (shop.safetensors, shop.pth):
        brought = read_checkpoint(path)
        assert stored.keys() == brought.keys()
        assert all(torch.equal(stored[name], brought[name]) for name in stored)
    about = read_json(done / "reference.json")
    assert (about["origin"], about["preprocessing"]["input_size"]) == ("checkpoint", [3, 32, 32])
    assert about["tuning_accuracy"] >= 0.9


def test_the_counts_are_exact_and_zeros_stay_zero(done: Path) -> None:
    reference = read_checkpoint(done / "reference.safetensors")
    targets = {entry["name"]: entry for entry in read_json(done / "targets.json")}
    everything = sum(int(np.prod(entry["shape"])) for entry in targets.values())
    half, pairs = (Plan.load(done / "plans" / name) for name in ("half", "pairs"))
    assert (half.removed, half.total) == (everything // 2, everything)
    # 2:4 leaves out the stem, the classifier, and every block whose inputs do not divide by four.
    divisible = [name for name, entry in targets.items() if entry["role"] == "block" and np.prod(entry["shape"][1:]) % 4 == 0]
    assert {edit.target for edit in pairs.edits} == set(divisible)
    assert {name for name, _ in pairs.skipped} == set(targets) - set(divisible)
    assert all(2 * edit.removed == edit.kept.size for edit in pairs.edits)
    for plan in (half, pairs):
        shipped = read_checkpoint(done / "plans" / plan.name / "model.safetensors")
        for edit in plan.edits:
            weight = shipped[f"{edit.target}.weight"].reshape(edit.kept.shape).numpy()
            assert np.all(weight[~edit.kept] == 0)
            assert np.all(weight[edit.kept] != 0)
        moved = [name for name in shipped if not torch.equal(shipped[name], reference[name])]
        assert any(name.endswith("running_mean") for name in moved), "recovery trains with batch statistics of its own"


@pytest.mark.parametrize("plan", ["half", "pairs"])
def test_the_certificate_verifies_at_both_levels(shop: Shop, done: Path, plan: str) -> None:
    certificate = done / "plans" / plan / "certificate.json"
    for level in ("files", "replay"):
        said = jobs.certify("verify", certificate, "--level", level, "--data-dir", shop.images, "--json")
        assert said.code == 0, said.err
        checks = {check["name"]: check["done"] for check in json.loads(said.out)["checks"]}
        assert checks["removed weights"] and checks["guarantees"]
        assert level == "files" or {name for name, looked in checks.items() if not looked} == {"layer table"}


def test_a_certificate_without_networks_and_images_verifies_at_level_files(shop: Shop, done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "run")
    for path in (*(tmp_path / "run").rglob("model.safetensors"), tmp_path / "run" / "reference.safetensors"):
        path.unlink()
    said = jobs.certify("verify", tmp_path / "run" / "plans" / "half" / "certificate.json", "--json")
    assert said.code == 0, said.err
    missed = [check["name"] for check in json.loads(said.out)["checks"] if not check["done"]]
    assert "reference.safetensors" in missed and "plans/half/model.safetensors" in missed


def test_the_outcomes_are_what_the_two_networks_do(shop: Shop, done: Path) -> None:
    """Rerun by hand, batch norms in evaluation mode."""
    outcomes = Outcomes.load(done / "plans" / "half" / "outcomes.parquet")
    splits = Splits.from_json(read_json(done / "splits.json"))
    samples = load_samples(DataRecipe(dir=str(shop.images)), preprocessing(build(MODEL), MODEL))
    images = samples.images(splits.indices["certification"])
    for path, logits in (
        (done / "reference.safetensors", outcomes.reference),
        (done / "plans" / "half" / "model.safetensors", outcomes.shipped),
    ):
        network = load_state(build(MODEL), read_checkpoint(path), str(path)).eval()
        with torch.no_grad():
            assert np.allclose(network(images).double().numpy(), logits, rtol=0, atol=1e-4)
    assert outcomes.counts()["samples"] == 60
    assert set(outcomes.samples) <= set(samples.digests)


def test_ladders_have_no_violation_and_state_an_error(done: Path) -> None:
    for path in done.rglob("*ladder.parquet"):
        found = Ladder.load(path)
        assert not found.violations() and len(found.samples) == 10
        assert np.all(found["path_variation"].tolerance > 0), "a ReLU network is not resolved at order 8"
        assert any(edge.asserted for edge in found.edges)
    masked = Ladder.load(done / "plans" / "half" / "masked.ladder.parquet")
    assert [row["target"] for row in masked.layers] == [edit.target for edit in Plan.load(done / "plans" / "half").edits]


def test_the_report_escapes_names(done: Path) -> None:
    page = (done / "report.html").read_text(encoding="utf-8")
    assert "layer4.0.conv2" in page and "Guaranteed at confidence" in page
    assert "<b>columns</b>" not in page


def test_looks_are_entered_beside_the_data(shop: Shop, done: Path) -> None:
    lines = (shop.images / ".certify-looks.jsonl").read_text().splitlines()
    splits = Splits.from_json(read_json(done / "splits.json"))
    assert [json.loads(line)["split"] for line in lines] == [splits.digest("certification")]


def test_the_second_run_rewrites_nothing(shop: Shop, done: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*") if path.is_file() and path.name != "recipe.toml"}
    assert jobs.certify("run", shop.recipe(), "--out", done, "--json").code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def compare(shop: Shop, reference: Path, shipped: Path, out: Path, *more: object) -> jobs.Said:
    model = ["-m", MODEL.name, "--num-classes", 3, *KWARGS, "--workers", 1]
    return jobs.certify("compare", reference, shipped, *model, "--calibration", 6, "--out", out, *more, "--json")


def test_compare_needs_no_plan(shop: Shop, done: Path, tmp_path: Path) -> None:
    shipped = done / "plans" / "pairs" / "model.safetensors"
    said = compare(shop, shop.pth, shipped, tmp_path / "run", "--data-dir", shop.images, "--seed", 9)
    assert said.code == 0, said.err
    plan = json.loads(said.out)["plans"][0]
    assert (plan["name"], plan["verified"], plan["counts"]["samples"]) == ("given", ["files", "replay"], 120)
    assert [entry["statement"] for entry in plan["guarantees"]] == ["disagreement", "accuracy_drop"]
    certificate = read_json(Path(plan["certificate"]))
    assert certificate["pair"] == read_json(done / "plans" / "pairs" / "certificate.json")["pair"] | {"kind": "given"}
    assert certificate["about"]["plan"] is None


def test_a_network_against_itself_never_differs(shop: Shop, tmp_path: Path) -> None:
    """All variation is zero, no decision moves; what is left is the price of a finite sample, 1 - share^(1/n)."""
    said = compare(shop, shop.pth, shop.safetensors, tmp_path / "run", "--data-dir", shop.images, "--seed", 10)
    assert said.code == 0, said.err
    found = Ladder.load(tmp_path / "run" / "plans" / "given" / "ladder.parquet")
    assert np.all(found["path_variation"].upper == 0) and np.all(found["may_change_label"].upper == 0)
    disagreement = json.loads(said.out)["plans"][0]["guarantees"][0]
    assert disagreement["estimate"] == 0
    assert disagreement["limit"] == pytest.approx(1 - 0.025 ** (1 / 120), rel=1e-9)


def test_without_labels_there_is_one_guarantee(shop: Shop, done: Path, tmp_path: Path) -> None:
    shipped = done / "plans" / "half" / "model.safetensors"
    said = compare(shop, shop.pth, shipped, tmp_path / "run", "--data-dir", shop.flat, "--labels", "none")
    assert said.code == 0, said.err
    value = json.loads(said.out)
    assert value["reference"]["tuning_accuracy"] is None
    assert [entry["statement"] for entry in value["plans"][0]["guarantees"]] == ["disagreement"]
    assert set(value["plans"][0]["counts"]) == {"samples", "disagreements"}
    assert Outcomes.load(tmp_path / "run" / "plans" / "given" / "outcomes.parquet").labels is None


def test_unlabelled_images_prune_and_recover_too(shop: Shop, tmp_path: Path) -> None:
    """Recovery then distils from the reference alone."""
    recipe = shop.recipe(
        data={"dir": str(shop.flat), "labels": "none"},
        guarantees={"statements": ["disagreement"]},
        splits={"seed": 4},
        plan=[{"name": "pairs", "pattern": "2:4", "exclude": ["layer1.*"]}],
    )
    said = jobs.certify("run", recipe, "--out", tmp_path / "run", "--json")
    assert said.code == 0, said.err
    plan = Plan.load(tmp_path / "run" / "plans" / "pairs")
    assert ("layer1.0.conv1", "excluded by layer1.*") in plan.skipped
    shipped = read_checkpoint(tmp_path / "run" / "plans" / "pairs" / "model.safetensors")
    for edit in plan.edits:
        assert not shipped[f"{edit.target}.weight"].reshape(edit.kept.shape).numpy()[~edit.kept].any()


def test_images_that_changed_are_refused(shop: Shop, done: Path, tmp_path: Path) -> None:
    shutil.copytree(shop.images, tmp_path / "images")
    victim = sorted((tmp_path / "images" / "rows").iterdir())[0]
    victim.write_bytes(victim.read_bytes() + b" ")
    certificate = done / "plans" / "half" / "certificate.json"
    said = jobs.certify("verify", certificate, "--level", "replay", "--data-dir", tmp_path / "images", "--json")
    assert said.code == 3 and "the data changed" in said.err
    assert jobs.certify("verify", certificate, "--level", "replay", "--data-dir", shop.images, "--json").code == 0
