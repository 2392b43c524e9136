"""The public functions, from a model to guarantees and back, without a run folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import certify
from certify.networks.loading import state_of
from certify.networks.vision import import_timm
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
