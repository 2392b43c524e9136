"""The public functions, from a model to guarantees and back, without a run folder."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import certify
from certify.networks.loading import state_of
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Usage
from certify.records.recipe import RecoveryRecipe


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return import_timm().create_model("test_resnet", num_classes=5).eval()


@pytest.fixture(scope="module")
def batch() -> certify.Batch:
    images = torch.randn(24, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    return certify.Batch(images, np.arange(24) % 5)


def test_from_a_model_to_guarantees(model: torch.nn.Module, batch: certify.Batch) -> None:
    targets = certify.describe(model)
    assert [row.target for row in certify.fit_spectra(model, targets)] == [t.name for t in targets if not t.skipped]
    evidence = certify.collect(model, targets, batch, parts=("moments", "grams", "sensitivities"), gram_block=0)
    before = {name: tensor.clone() for name, tensor in state_of(model).items()}
    plan = certify.prune(model, evidence, method="cast", pattern="2:4", compensation=True, order="bucket")
    pruned = certify.apply(model, plan)
    assert all(torch.equal(before[name], tensor) for name, tensor in state_of(model).items())
    ladder = certify.bound(model, pruned, batch, plan=plan)
    assert not ladder.violations() and ladder.objective["form"] == "X10-universal"
    outcomes = certify.evaluate(model, pruned, batch)
    found = certify.guarantee(outcomes, statements=("disagreement", "accuracy_drop"), delta=0.1)
    assert [each.statement for each in found] == ["disagreement", "accuracy_drop"]
    assert all(0 <= each.limit <= 1 for each in found)


def test_recovery_keeps_the_plan(model: torch.nn.Module, batch: certify.Batch) -> None:
    from certify.data.sources import Samples

    class Few(Samples):
        def images(self, indices):
            return batch.images[list(indices)]

        def augmented(self, indices, generator):
            return self.images(indices)

    samples = Few("few", [str(i) for i in range(24)], batch.labels, ("a", "b", "c", "d", "e"), {}, "made up")
    evidence = certify.collect(model, certify.describe(model), batch)
    plan = certify.prune(model, evidence, method="lamp", sparsity=0.7)
    recipe = RecoveryRecipe(epochs=1, batch_size=3, batch_norm="reestimate")
    recovered = certify.recover(certify.apply(model, plan), plan, (samples, range(24)), teacher=model, recipe=recipe)
    for edit in plan.edits:
        weight = recovered.get_parameter(f"{edit.target}.weight").detach().reshape(edit.kept.shape).numpy()
        assert not weight[~edit.kept].any() and weight[edit.kept].any()


def test_words_that_are_not_known_are_refused(model: torch.nn.Module, batch: certify.Batch) -> None:
    targets = certify.describe(model)
    with pytest.raises(certify.records.Usage, match="'auras' is none of"):  # type: ignore[attr-defined]
        certify.collect(model, targets, batch, parts=("auras",))
    evidence = certify.collect(model, targets, batch)
    with pytest.raises(certify.records.Refused, match="collect it again with grams among its parts"):  # type: ignore[attr-defined]
        certify.prune(model, evidence, method="cast", pattern="2:4")


@pytest.mark.parametrize("road", ["measured", "resolved", "exact", "enclosed", "auto", "norms"])
def test_every_road_in_one_form(road: str) -> None:
    """One layer of a small ReLU network: every road bounds what a grid shows, class by class, and names its tier."""
    torch.manual_seed(2)
    reference = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 12), torch.nn.ReLU(), torch.nn.Linear(12, 4)).eval()
    shipped = copy.deepcopy(reference)
    with torch.no_grad():
        shipped[1].weight[::2, ::3] = 0
    data = certify.Batch(torch.randn(20, 9, generator=torch.Generator().manual_seed(3)), np.arange(20) % 4)
    rungs = {bound.quantity: bound for bound in certify.along(reference, shipped, data, road=road)}
    tier = "resolved" if road in ("measured", "resolved") else "proved"
    assert {bound.tier for bound in rungs.values()} == {tier} and {bound.unit for bound in rungs.values()} == {"logit"}
    path = Segment(reference, state_of(reference), state_of(shipped)).path(data.images, np.linspace(0, 1, 201))
    path = path[[0, -1]] if road == "measured" else path
    moved = np.abs(path - path[-1]).max(axis=0)
    if road == "norms":
        assert set(rungs) == {"change"} and (rungs["change"].upper >= moved.max(axis=1)).all()
        return
    relative = path - path[:, np.arange(20), data.labels][..., None]
    pairs = np.abs(relative - relative[-1]).max(axis=0)
    for k in range(4):
        for name, values in ((f"change.{k}", moved[:, k]), (f"pairwise.{k}", pairs[:, k])):
            assert (rungs[name].upper + rungs[name].tolerance >= values - 1e-12).all(), name
            if name.startswith("change"):
                assert np.allclose(rungs[name].upper, values, rtol=0.05, atol=0.02), name
    assert ("path_variation" in rungs) == (road not in ("measured", "enclosed"))


def test_no_such_road(model: torch.nn.Module, batch: certify.Batch) -> None:
    with pytest.raises(Usage, match="none of measured, resolved, auto, exact, enclosed, norms"):
        certify.along(model, model, batch, road="short")
    with pytest.raises(Usage, match="none of resolved, auto, exact, enclosed"):
        certify.bound(model, model, batch, road="norms")


def test_a_ladder_with_proofs_on_every_sample() -> None:
    torch.manual_seed(4)
    reference = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 12), torch.nn.ReLU(), torch.nn.Linear(12, 4)).eval()
    shipped = copy.deepcopy(reference)
    with torch.no_grad():
        shipped[1].weight[::2] *= 0.5
    data = certify.Batch(torch.randn(10, 9), np.arange(10) % 4)
    ladder = certify.bound(reference, shipped, data, road="exact")
    assert not ladder.violations() and np.isfinite(ladder["proved_variation"].upper).all()
    assert np.allclose(ladder["proved_variation"].upper, ladder["path_variation"].upper, rtol=0.02)
    assert not any(bound.tier == "proved" for bound in certify.bound(reference, shipped, data).bounds)
