"""Plans of every kind go the whole way: changed values, orders, own amounts, mixed patterns, selections."""

from __future__ import annotations

from pathlib import Path

import jobs
import numpy as np
import pytest

from certify.records import Certificate, Evidence, Ladder, Plan
from certify.records.files import read_json, read_tensors, write_tensors

PLANS = [
    {"name": "ordered", "method": "wanda", "pattern": "2:4", "options": {"order": "search"}},
    {"name": "moved", "method": "cast", "pattern": "2:4", "options": {"compensation": True}},
    {"name": "surgeon", "method": "budget-surgeon", "sparsity": 0.5},
    {"name": "selected", "method": "ser", "sparsity": 0.5},
    {"name": "effective", "method": "emp", "options": {"score": "data-path"}},
    {"name": "mixed", "method": "mixed", "sparsity": 0.4},
    {"name": "distorted", "method": "neurons", "sparsity": 0.5, "steps": [0.25], "updates": False},
    {"name": "sensitive", "method": "neurons", "sparsity": 0.25, "options": {"score": "taylor"}},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    recipe = jobs.changed(jobs.DIGITS, plan=PLANS, evidence={"samples": 12}, recovery={"epochs": 2, "batch_size": 32})
    said = jobs.certify("run", jobs.write_recipe(folder / "recipe.toml", recipe), "--out", folder / "run", "--json")
    assert said.code == 0, said.err
    return folder / "run"


def test_the_evidence_holds_what_the_methods_read(done: Path) -> None:
    evidence = Evidence.load(done / "evidence.safetensors")
    assert set(evidence.parts) == {"moments", "grams", "inputs", "sensitivities", "costs", "states", "taylor"}
    assert evidence.samples == 12 and all(gram.shape[0] == 1 for gram in evidence.parts["grams"].values())


@pytest.mark.parametrize("name", [str(plan["name"]) for plan in PLANS])
def test_every_plan_is_certified_and_verified_by_the_independent_road(done: Path, name: str) -> None:
    folder = done / "plans" / name
    plan = Plan.load(folder)
    weights = read_tensors(folder / "model.safetensors")
    for edit in plan.edits:
        shipped = weights[f"{edit.target}.weight"].reshape(edit.kept.shape)
        assert not shipped[~edit.kept].any()
        if edit.pattern or plan.pattern:
            edit.check(edit.pattern or plan.pattern or "")
    assert [verdict["level"] for verdict in read_json(folder / "verdicts.json")] == ["files", "replay"]
    about = Certificate.load(folder / "certificate.json").about
    assert (about["plan"]["removed"], about["plan"]["total"]) == (plan.removed, plan.total)
    assert not Ladder.load(folder / "masked.ladder.parquet").violations()
    form = Ladder.load(folder / "masked.ladder.parquet").objective["form"]
    changed = any(edit.values is not None for edit in plan.edits)
    assert form == ("X10-universal" if changed else "T5.8-multilayer")


def test_each_kind_is_what_it_says(done: Path) -> None:
    plans = {str(wanted["name"]): Plan.load(done / "plans" / str(wanted["name"])) for wanted in PLANS}
    assert any(edit.order is not None for edit in plans["ordered"].edits)
    assert all(edit.values is not None for edit in plans["moved"].edits)
    assert plans["selected"].facts["selection_steps"] == 128 and plans["selected"].facts["restored"] > 0
    assert plans["effective"].sparsity is None and 0 < plans["effective"].removed < plans["effective"].total
    assert len({edit.pattern for edit in plans["mixed"].edits}) > 1
    for name, gone in (("distorted", 32), ("sensitive", 16)):
        masks = {edit.target: edit.kept for edit in plans[name].edits}
        assert (~masks["blocks.0.mlp.fc2"].any(axis=0)).sum() == (~masks["blocks.0.mlp.fc1"].any(axis=1)).sum() == gone
    assert [row["sparsity"] for row in plans["distorted"].facts["steps"]] == [0.25, 0.5]
    # 128 steps of selection are more than the 14 of two epochs: nothing is left to recover with.
    assert Certificate.load(done / "plans" / "selected" / "certificate.json").pair.kind == "masked"


def test_a_value_that_is_not_the_plans_is_found(done: Path, tmp_path: Path) -> None:
    """Negative control: one changed weight of the plan altered after the fact no longer gives the certified masked network."""
    import shutil

    shutil.copytree(done.parent, tmp_path / "copy")
    folder = tmp_path / "copy" / "run" / "plans" / "moved"
    arrays = read_tensors(folder / "plan.safetensors")
    name = next(key for key in arrays if key.endswith(".values"))
    arrays[name] = arrays[name] + np.float32(0.5) * (np.arange(arrays[name].size) == 0)
    write_tensors(folder / "plan.safetensors", arrays)
    said = jobs.certify("verify", folder / "certificate.json")
    assert said.code == 3 and "plan.safetensors" in said.err


def test_the_report_draws_them_all(done: Path) -> None:
    page = (done / "report.html").read_text()
    assert all(str(plan["name"]) in page for plan in PLANS)
