"""Pruning in steps: masks, epochs, the switch of the drop-threshold variant, and a job stopped half way."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

import jobs
import numpy as np
import pytest
import torch
from torch import nn

from certify.data.sources import load_samples
from certify.data.splitting import split
from certify.networks.loading import build, preprocessing, state_of
from certify.networks.masking import apply
from certify.networks.targets import describe
from certify.pipeline.gradual import STEPS, Setting, geometric_steps, gradual, last_part
from certify.records import Certificate, Plan, Recipe, Usage
from certify.records.files import read_json, read_tensors
from certify.records.recipe import EvidenceRecipe, PlanRecipe, RecoveryRecipe
from certify.training import accuracy
from certify.training.movement import LEAST_STEPS

RECOVERY = RecoveryRecipe(epochs=7, batch_size=64)


@cache
def setting() -> Setting:
    recipe = Recipe.from_toml("\n".join(f"{key} = {jobs.toml(value)}" for key, value in jobs.DIGITS.items()), "test")
    torch.manual_seed(0)
    model = build(recipe.model).eval()
    samples = load_samples(recipe.data, preprocessing(model, recipe.model))
    return Setting(model, describe(model), samples, split(samples, recipe.splits), EvidenceRecipe(16), RECOVERY, 1)


def wanted(**options: object) -> PlanRecipe:
    return PlanRecipe("plan", "magnitude", 0.6, steps=(0.2, 0.4), **options)  # type: ignore[arg-type]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(state_of(one).values(), state_of(other).values(), strict=True))


def test_each_step_reaches_its_count_and_removed_weights_stay_removed() -> None:
    plan, start = gradual(setting(), wanted())
    rows = plan.facts[STEPS]
    assert [row["removed"] for row in rows] == [plan.total * share // 10 for share in (2, 4, 6)]
    assert plan.removed == rows[-1]["removed"] and plan.sparsity == 0.6 and plan.name == "plan"
    for edit in plan.edits:
        weight = start.get_submodule(edit.target).weight.detach().reshape(edit.kept.shape).numpy()
        assert not weight[~edit.kept].any() and weight[edit.kept].all()
    assert apply(setting().dense, plan) is not None, "the plan is one of the dense network"
    assert not same(apply(setting().dense, plan), start), "the start has been trained"
    assert all("tuning_accuracy" in row for row in rows[:-1]) and "tuning_accuracy" not in rows[-1]
    again, other = gradual(setting(), wanted())
    assert same(start, other) and all(np.array_equal(a.kept, b.kept) for a, b in zip(plan.edits, again.edits, strict=True))


def test_what_is_removed_early_stays_removed_under_magnitude() -> None:
    """The masks of a shorter plan are inside those of the longer one whose first steps are the same."""
    part = RECOVERY.epochs // 3
    early, _ = gradual(
        replace(setting(), recovery=replace(RECOVERY, epochs=2 * part)), replace(wanted(), sparsity=0.4, steps=(0.2,))
    )
    late, _ = gradual(setting(), wanted())
    assert early.removed == late.facts[STEPS][1]["removed"]
    assert all(not (late_edit.kept & ~edit.kept).any() for edit, late_edit in zip(early.edits, late.edits, strict=True))


def test_the_declared_epochs_are_shared() -> None:
    assert [last_part(RECOVERY, replace(wanted(), steps=steps)).epochs for steps in ((), (0.2,), (0.2, 0.4))] == [7, 4, 3]


@pytest.mark.parametrize(("drop", "reallocates"), [(1e-9, True), (1.0, False)])
def test_the_drop_threshold_switches_after_the_first_drop(drop: float, reallocates: bool) -> None:
    """A fresh network classifies at chance, so an allowed drop of 1e-9 is passed or not by the accuracies that are stated."""
    plan, _ = gradual(setting(), replace(wanted(drop=drop), method="hybrid", sparsity=0.5, steps=(0.2, 0.35)))
    rows = plan.facts[STEPS]
    samples, tuning = setting().samples, setting().splits.indices["tuning"]
    dense = accuracy(setting().dense, samples, tuning)
    dropped = any(round(dense - row["tuning_accuracy"], 12) > drop for row in rows[:-1])
    assert dropped <= reallocates
    assert (plan.facts.get("selection_steps", 0) >= LEAST_STEPS) == dropped
    assert "first" not in plan.options, "the drop decides, not a sparsity"


def test_a_stopped_call_goes_on_to_the_same_network(tmp_path: Path) -> None:
    whole, start = gradual(setting(), wanted())

    class Stopped(Exception):
        pass

    def stops_in_the_second_step(label: str):
        def after(epoch: int, epochs: int, loss: float) -> None:
            if label.endswith("0.4") and epoch == 1:
                raise Stopped

        return after

    with pytest.raises(Stopped):
        gradual(setting(), wanted(), states=tmp_path, epochs_of=stops_in_the_second_step)
    seen: list[str] = []
    again, other = gradual(setting(), wanted(), states=tmp_path, epochs_of=lambda label: lambda *_: seen.append(label))
    assert same(start, other) and all(np.array_equal(a.kept, b.kept) for a, b in zip(whole.edits, again.edits, strict=True))
    assert not [label for label in seen if label.endswith("0.2")], "the finished step is not trained again"


def test_steps_take_masks_alone() -> None:
    with pytest.raises(Usage, match="steps take masks alone"):
        gradual(setting(), replace(wanted(), method="sparsegpt"))
    with pytest.raises(Usage, match="needs labels and a tuning split"):
        bare = copy.copy(setting().splits)
        object.__setattr__(bare, "indices", {**bare.indices, "tuning": ()})
        gradual(replace(setting(), splits=bare), wanted(drop=0.1))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"steps": [0.4, 0.2]}, "steps rise between 0 and its sparsity"),
        ({"steps": [0.5]}, "steps rise between 0 and its sparsity"),
        ({"steps": [0.2], "sparsity": None, "pattern": "2:4"}, "steps rise between 0 and its sparsity"),
        ({"drop": 0.1}, "there are no steps"),
        ({"steps": [0.2], "drop": 0.1}, "no option 'first'"),
        ({"steps": [0.1, 0.2, 0.3]}, "2 recovery.epochs for 3 steps"),
    ],
)
def test_bad_steps_are_told_before_anything_is_trained(tmp_path: Path, plan: dict[str, object], words: str) -> None:
    table = {key: value for key, value in ({"name": "half", "sparsity": 0.5} | plan).items() if value is not None}
    recipe = jobs.changed(jobs.DIGITS, plan=[table], recovery={"epochs": 2})
    said = jobs.certify("run", jobs.write_recipe(tmp_path / "recipe.toml", recipe), "--out", tmp_path / "run")
    assert said.code == 2 and words in said.err and not (tmp_path / "run" / "reference.json").exists()


def test_a_job_in_steps_goes_the_whole_way(tmp_path: Path) -> None:
    plans = [{"name": "steps", "method": "hybrid", "sparsity": 0.5, "steps": [0.15, 0.3], "options": {"margin": 0.05}}]
    recipe = jobs.changed(jobs.DIGITS, plan=plans, recovery={"epochs": 3})
    said = jobs.certify("run", jobs.write_recipe(tmp_path / "recipe.toml", recipe), "--out", tmp_path / "run", "--json")
    assert said.code == 0, said.err
    folder = tmp_path / "run" / "plans" / "steps"
    shipped, start = read_tensors(folder / "model.safetensors"), read_tensors(folder / "start.safetensors")
    for edit in Plan.load(folder).edits:
        gone = ~edit.kept.reshape(start[f"{edit.target}.weight"].shape)
        assert not shipped[f"{edit.target}.weight"][gone].any() and not start[f"{edit.target}.weight"][gone].any()
    assert Plan.load(folder).facts["selection_steps"] == LEAST_STEPS, "more than the epoch of the last step"
    assert all((shipped[name] == start[name]).all() for name in start), "so what the steps left is shipped"
    assert Certificate.load(folder / "certificate.json").pair.kind == "recovered"
    assert [verdict["level"] for verdict in read_json(folder / "verdicts.json")] == ["files", "replay"]
    assert not list(folder.glob("*.state.safetensors"))
    assert jobs.certify("verify", folder / "certificate.json").code == 0


def test_without_updates_nothing_is_trained_between_steps() -> None:
    plain = replace(wanted(), updates=False)
    plan, start = gradual(setting(), plain)
    assert same(apply(setting().dense, plan), start) and last_part(RECOVERY, plain).epochs == RECOVERY.epochs
    assert [row["removed"] for row in plan.facts[STEPS]] == [plan.total * share // 10 for share in (2, 4, 6)]
    assert all("tuning_accuracy" not in row and "tuning_accuracy_masked" in row for row in plan.facts[STEPS])


def test_geometric_steps_remove_the_same_share_of_what_is_left() -> None:
    steps = geometric_steps(0.5, 4)
    left = 1 - np.array([0.0, *steps, 0.5])
    assert len(steps) == 3 and np.allclose(left[1:] / left[:-1], 0.5 ** (1 / 4))


@pytest.mark.parametrize("options", [{"updates": False, "steps": ()}, {"updates": False, "steps": (0.2,), "drop": 0.1}])
def test_updates_are_about_steps(options: dict[str, object]) -> None:
    with pytest.raises(Usage, match="updates"):
        PlanRecipe("plan", "magnitude", 0.6, **options)  # type: ignore[arg-type]
