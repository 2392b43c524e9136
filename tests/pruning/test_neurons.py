"""Whole units as plans: exact counts, the weights that go, the same function as a sliced network, scores through evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certify.networks.gathering import gather
from certify.networks.masking import apply
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.pruning import METHODS, prune
from certify.pruning.distortion.scores import SCORES
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
