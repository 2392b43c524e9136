"""Whole units as plans: exact counts, the weights that go, the same function as a sliced network, scores through evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certify.networks.gathering import gather
from certify.networks.hidden import fold_constants
from certify.networks.masking import apply
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.pruning import METHODS, prune
from certify.pruning.distortion.scores import SCORES
from certify.pruning.method import Request
from certify.pruning.neurons import units_of
from certify.pruning.units import groups_of
from certify.records import Plan, Refused, Usage

IMAGES = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = np.arange(40) % 10


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10)).eval()


def vit() -> nn.Module:
    torch.manual_seed(0)
    timm = import_timm()
    kwargs = {"img_size": 8, "patch_size": 2, "in_chans": 1, "embed_dim": 24, "depth": 2, "num_heads": 6, "num_classes": 10}
    return timm.create_model("vit_tiny_patch16_224", **kwargs).eval()


def made(model: nn.Module, sparsity: float = 0.5, **options: Any) -> Plan:
    parts = ("states", "taylor", "moments")
    evidence = gather(model, describe(model), lambda: [IMAGES], split="b" * 64, parts=parts, labels=LABELS)
    return prune(describe(model), evidence, name="p", method="neurons", sparsity=sparsity, options=options)


def mask_of(plan: Plan, target: str) -> np.ndarray:
    return next(edit.kept for edit in plan.edits if edit.target == target)


@pytest.mark.parametrize("score", SCORES)
def test_the_share_counts_units_of_each_layer(score):
    plan = made(mlp(), 0.3, score=score)
    for reader, writer, units in (("3", "1", 24), ("5", "3", 16)):
        gone = ~mask_of(plan, reader).any(axis=0)
        assert gone.sum() == round(0.3 * units) and not mask_of(plan, writer)[gone].any()
        assert plan.facts["units"][reader]["kept"] == units - gone.sum()
    rows, cols = mask_of(plan, "3").any(axis=1), mask_of(plan, "3").any(axis=0)
    assert np.array_equal(mask_of(plan, "3"), np.outer(rows, cols))  # rows and columns, and nothing else


def test_a_masked_network_is_the_sliced_one():
    model = mlp()
    masked = apply(model, made(model))
    one, two = (torch.from_numpy(mask_of(made(model), name).any(axis=0)) for name in ("3", "5"))
    first, second, last = model[1], model[3], model[5]
    hidden = torch.relu(IMAGES.flatten(1) @ first.weight[one].T + first.bias[one])
    hidden = torch.relu(hidden @ second.weight[two][:, one].T + second.bias[two])
    assert torch.allclose(masked(IMAGES), hidden @ last.weight[:, two].T + last.bias, atol=1e-5)


def test_units_of_a_transformer_and_its_heads():
    model = vit()
    plan = made(model, 0.25)
    assert all((~mask_of(plan, f"blocks.{block}.mlp.fc2").any(axis=0)).sum() == 24 for block in (0, 1))
    assert mask_of(plan, "blocks.0.attn.proj").all()
    heads = made(model, 1 / 3, unit="heads", width=4, weight="corr")
    columns = mask_of(heads, "blocks.0.attn.proj").any(axis=0).reshape(6, 4)
    assert (columns.all(axis=1) | ~columns.any(axis=1)).all() and (~columns.any(axis=1)).sum() == 2
    assert mask_of(heads, "blocks.0.mlp.fc2").all()
    assert made(model, 1 / 3, unit="heads", width=4, score="magnitude").removed == heads.removed


def test_the_norms_of_a_head_are_those_of_its_values_and_of_what_reads_it():
    model = vit()
    evidence = gather(model, describe(model), lambda: [IMAGES], split="b" * 64, parts=("states",))
    request = Request(tuple(describe(model)), evidence, 0.5)
    found = units_of(request, groups_of(request, "heads", 4)[0], "magnitude")
    values = model.blocks[0].attn.qkv.weight[48:].detach().reshape(6, 4, 24)
    reads = model.blocks[0].attn.proj.weight.detach().reshape(24, 6, 4)
    assert np.allclose(found.incoming, values.norm(dim=(1, 2)).numpy(), rtol=1e-5)
    assert np.allclose(found.outgoing, reads.norm(dim=(0, 2)).numpy(), rtol=1e-5)
    assert found.before.shape == (40 * 17 * 4, 6)


def test_reversed_and_pooled():
    low, high = made(mlp(), score="contribution"), made(mlp(), score="contribution", reverse=True)
    assert not np.any(mask_of(low, "5").any(axis=0) & mask_of(high, "5").any(axis=0))
    pooled = made(mlp(), score="rms", allocation="global")
    gone = sum((~mask_of(pooled, reader).any(axis=0)).sum() for reader in ("3", "5"))
    assert gone == 20


def test_removed_units_stay_removed_and_count():
    model = mlp()
    early = made(model, 0.25)
    late = made(apply(model, early), 0.5)
    for reader in ("3", "5"):
        before, after = (~mask_of(plan, reader).any(axis=0) for plan in (early, late))
        assert not np.any(before & ~after)
    assert (~mask_of(late, "3").any(axis=0)).sum() == 12


def test_constant_units_go_first_and_folding_them_leaves_no_trace():
    model = mlp()
    with torch.no_grad():
        model[1].weight[[2, 9]] = 0.0
        model[1].bias[[2, 9]] = torch.tensor([0.75, -1.0])  # constant, and dead
    plan = made(model, 2 / 24, score="random")
    constants = {reader: facts.get("constant", {}) for reader, facts in plan.facts["units"].items()}
    assert constants["3"] == {"2": 0.75, "9": 0.0} and (~mask_of(plan, "3").any(axis=0)).nonzero()[0].tolist() == [2, 9]
    values = {"3": {int(unit): value for unit, value in constants["3"].items()}}
    folded = fold_constants(model, values)
    for network in (model, folded):
        network[3].weight.data[:, [2, 9]] *= torch.tensor([1.0 if network is model else 0.0, 0.0])
    assert torch.allclose(folded(IMAGES), model(IMAGES), atol=1e-5)
    unfolded = mlp()
    unfolded.load_state_dict(model.state_dict())
    unfolded[3].weight.data[:, [2, 9]] = 0.0
    assert not torch.allclose(unfolded(IMAGES), model(IMAGES), atol=1e-3)
    with pytest.raises(Refused, match="no bias"):
        fold_constants(nn.Sequential(nn.Linear(2, 2, bias=False)), {"0": {0: 1.0}})


def test_bad_requests_get_one_sentence():
    with pytest.raises(Usage, match="do not divide"):
        made(vit(), unit="heads", width=5)
    with pytest.raises(Usage, match="heads"):
        made(mlp(), unit="heads", width=4)
    with pytest.raises(Usage, match="allocation"):
        made(mlp(), allocation="row")
    with pytest.raises(Usage, match="gut"):
        made(mlp(), score="gut")
    evidence = gather(mlp(), describe(mlp()), lambda: [IMAGES], split="b" * 64, parts=("moments",))
    named = vit()
    plain = gather(named, describe(named), lambda: [IMAGES], split="b" * 64, parts=("moments",))
    with pytest.raises(Refused, match="states"):
        prune(describe(named), plain, name="p", method="neurons", sparsity=0.5)
    with pytest.raises(Usage, match="no neurons"):
        prune(describe(mlp()), evidence, name="p", method="neurons", sparsity=0.5)
    assert METHODS["neurons"].needed({"score": "taylor"}) == ("states", "taylor")


def by_rank(model: nn.Module, sparsity: float = 0.5, **options: Any) -> Plan:
    evidence = gather(model, describe(model), lambda: [IMAGES], split="b" * 64, parts=("states", "taylor"), labels=LABELS)
    return prune(describe(model), evidence, name="p", method="ranked", sparsity=sparsity, options=options)


@pytest.mark.parametrize("score", ["mean", "l2", "minmax", "act", "wanda", "taylor"])
def test_monotone_features_of_a_base_give_one_plan(score):
    plans = [by_rank(mlp(), score=score, features=features) for features in ("A1=1", "A2=0.5", "A1=0.2,A2=1,A3=3", "F0=1")]
    for plan in plans:
        assert all(fact["differs_from_base"] == 0 and fact["runs"] == 1 for fact in plan.facts["units"].values())
        for one, other in zip(plan.edits, plans[0].edits, strict=True):
            assert np.array_equal(one.kept, other.kept)
    bump = by_rank(mlp(), score=score, features="A1=0.1,F1=1")
    assert any(fact["differs_from_base"] for fact in bump.facts["units"].values())


def test_scaling_a_base_inside_layers_changes_no_layer_and_may_change_a_pool():
    plain, scaled = by_rank(vit(), score="mean"), by_rank(vit(), score="minmax")
    assert all(np.array_equal(one.kept, other.kept) for one, other in zip(plain.edits, scaled.edits, strict=True))
    pooled = by_rank(vit(), allocation="global", features="D1=1")
    counts = [mask_of(pooled, f"blocks.{block}.mlp.fc2").any(axis=0).sum() for block in (0, 1)]
    assert sum(counts) == 96


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"score": "gut"}, "score"),
        ({"features": "A1"}, "NAME=WEIGHT"),
        ({"features": "A1=nan"}, "not finite"),
        ({"features": "Z=1"}, "none of"),
        ({"allocation": "row"}, "allocation"),
    ],
)
def test_bad_rankings_get_one_sentence(options, words):
    with pytest.raises(Usage, match=words):
        by_rank(mlp(), **options)
