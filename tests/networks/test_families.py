"""Every family of the papers, built small with random weights: pruned by three methods, counted, run, written and read again."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certify.networks.evidence import collect
from certify.networks.loading import state_of
from certify.networks.masking import apply, check_shipped
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.pruning import prune
from certify.records import Evidence, Plan, Refused, Target, check_pattern

# name, its arguments, image size, matrices that a 2:4 pattern projects: 4 a block; swin: 4 blocks and 3 reductions; hiera:
# 4 blocks and 3 widenings; convnext: 2 a block; resnets: all convolutions but the first (16 + 4 shortcuts; 2 + 24 + 4).
FAMILIES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "vit": ("test_vit", {}, 160, 24),
    "deit": ("deit_tiny_patch16_224", {"img_size": 32, "depth": 2}, 32, 8),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 56, "depths": (1, 1, 1, 1), "embed_dim": 32, "num_heads": (1, 2, 4, 8), "window_size": 7},
        56,
        19,
    ),
    "hiera": ("hiera_tiny_224", {"img_size": 64, "embed_dim": 32, "stages": (1, 1, 1, 1)}, 64, 19),
    "convnextv2": ("convnextv2_atto", {"depths": (1, 1, 1, 1), "dims": (16, 32, 48, 64)}, 64, 8),
    "resnet": ("resnet18", {"channels": (8, 16, 24, 32)}, 64, 20),
    "resnet-d": ("resnet26d", {"channels": (8, 16, 24, 32), "stem_width": 8}, 64, 30),
    "mixer": ("mixer_s32_224", {"img_size": 64}, 64, 32),
}


@cache
def family(name: str) -> tuple[nn.Module, tuple[Target, ...], Evidence, torch.Tensor]:
    timm = import_timm()
    model_name, options, size, _ = FAMILIES[name]
    torch.manual_seed(0)
    model = timm.create_model(model_name, num_classes=7, **options).eval()
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    targets = describe(model)
    return model, targets, collect(model, targets, [images], split="b" * 64), images


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("method", "amount"), [("magnitude", {"sparsity": 0.6}), ("lamp", {"sparsity": 0.5}), ("wanda", {"pattern": "2:4"})]
)
def test_a_family_is_pruned_counted_and_runs(name: str, method: str, amount: dict[str, Any], tmp_path: Path) -> None:
    model, targets, evidence, images = family(name)
    before = {key: tensor.clone() for key, tensor in state_of(model).items()}
    plan = prune(targets, evidence, name="p", method=method, **amount)
    prunable = [target for target in targets if not target.skipped]
    if "sparsity" in amount:
        assert {edit.target for edit in plan.edits} == {target.name for target in prunable}, "stem, depthwise and head included"
        assert plan.total == sum(target.size for target in prunable)
        assert plan.removed == round(amount["sparsity"] * 100) * plan.total // 100
    else:
        assert len(plan.edits) == FAMILIES[name][3]
        for edit in plan.edits:
            check_pattern(edit.target, edit.kept, "2:4")
        assert plan.removed * 2 == plan.total
        roles = {target.name: target.role for target in targets}
        assert {roles[edit.target] for edit in plan.edits} == {"block"}
    pruned = apply(model, plan)
    with torch.no_grad():
        assert torch.isfinite(pruned(images)).all()
    assert sum(check_shipped(state_of(pruned), plan).values()) == plan.removed
    assert all(torch.equal(before[key], tensor) for key, tensor in state_of(model).items()), "the argument is untouched"
    plan.save(tmp_path)
    again = Plan.load(tmp_path)
    assert all(np.array_equal(one.kept, two.kept) for one, two in zip(plan.edits, again.edits, strict=True))


def test_roles_follow_the_families_rules() -> None:
    roles = {name: {t.name: t.role for t in family(name)[1] if not t.skipped} for name in FAMILIES}
    assert roles["convnextv2"]["stem.0"] == "stem" and roles["convnextv2"]["stages.1.downsample.1"] == "downsampling"
    assert roles["convnextv2"]["stages.0.blocks.0.conv_dw"] == "grouped"
    assert roles["resnet"]["conv1"] == "stem" and roles["resnet"]["fc"] == "classifier"
    assert roles["resnet-d"]["conv1.3"] == "block", "the deep stem's later convolutions are eligible"
    assert roles["swin"]["layers.1.downsample.reduction"] == "block"
    assert roles["deit"]["patch_embed.proj"] == "stem" and roles["deit"]["head"] == "classifier"


@pytest.mark.parametrize("name", ["deit_base_patch16_224", "vit_large_patch16_224", "convnextv2_base", "resnet50", "resnet152d"])
def test_mask_counts_of_the_published_models(name: str) -> None:
    """Matrices that a k:n pattern projects, on the meta device (methods/mp-pruning, section 2)."""
    from certify.networks.loading import build
    from certify.records.recipe import ModelRecipe

    expected = {
        "deit_base_patch16_224": 48,
        "vit_large_patch16_224": 96,
        "convnextv2_base": 72,
        "resnet50": 52,
        "resnet152d": 156,
    }
    targets = describe(build(ModelRecipe(name), meta=True))
    assert sum(t.role == "block" and not t.skipped and t.cols % 4 == 0 for t in targets) == expected[name]


def test_fused_attention_sees_the_same_inputs() -> None:
    import_timm()
    from timm.layers import set_fused_attn

    model, targets, evidence, images = family("deit")
    try:
        set_fused_attn(False)
        plain = import_timm().create_model("deit_tiny_patch16_224", num_classes=7, img_size=32, depth=2).eval()
        plain.load_state_dict(model.state_dict())
        found = collect(plain, targets, [images], split="b" * 64)
    finally:
        set_fused_attn(True)
    for name, moments in evidence.parts["moments"].items():
        assert np.allclose(found.parts["moments"][name], moments, rtol=1e-9)


class Odd(nn.Module):
    """Shared weights, a layer used twice, one never used, attention of torch, a subclass of Linear."""

    class Scaled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    def __init__(self, *, unused: bool = False) -> None:
        super().__init__()
        self.first, self.twin, self.again = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.twin.weight = self.first.weight
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.scaled, self.head = Odd.Scaled(8, 8), nn.Linear(8, 3)
        if unused:
            self.spare = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.again(torch.relu(self.again(self.twin(self.first(x)))))
        return self.head(self.scaled(self.attention(x, x, x)[0]).mean(1))


def test_odd_layers_are_handled_or_named() -> None:
    targets = {target.name: target for target in describe(Odd())}
    assert targets["first"].skipped == "shares its weight with twin.weight"
    assert "scaled" not in targets or targets["scaled"].skipped, "a subclass may use its weight in another way"
    assert targets["attention.in_proj_weight"].skipped == "not the weight of a Linear or Conv2d layer"
    images = torch.randn(3, 5, 8)
    evidence = collect(Odd(), tuple(targets.values()), [images], split="b" * 64)
    assert {"again", "head"} <= set(evidence.parts["moments"]), "a layer used twice contributes every use"
    with pytest.raises(Refused, match="spare: the forward pass never uses this layer"):
        model = Odd(unused=True)
        collect(model, describe(model), [images], split="b" * 64)
