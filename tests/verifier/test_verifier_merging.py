"""The verifier's own token merging against the one that ships: two programs, the same logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from certify.networks.merging import merge_tokens
from certify.networks.vision import import_timm
from certify.records import Refused
from certify.verifier.merging import merged_logits

IMAGES = torch.randn(12, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def vit(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2, "num_classes": 5}
    name = options.pop("name", "vit_tiny_patch16_224")
    model = import_timm().create_model(name, **small, **options).eval().requires_grad_(False)
    for parameter in model.parameters():  # timm starts networks near 0, where every token is like every other
        parameter.copy_(torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5)
    return model


@pytest.mark.parametrize("merge", [(4,), (0, 5, 1), (100,)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_token": False, "global_pool": "avg"},
        {"reg_tokens": 3},
        {"qk_norm": True, "init_values": 0.1},
        {"name": "deit_tiny_distilled_patch16_224"},
    ],
)
def test_the_same_logits_by_two_programs(options: dict[str, Any], merge: tuple[int, ...]) -> None:
    model = vit(**options)
    found, clear = merged_logits(model, IMAGES, merge)
    wanted = merge_tokens(model, merge)(IMAGES)
    assert sum(clear) >= 10
    torch.testing.assert_close(found[clear], wanted[clear], rtol=1e-4, atol=1e-5)
    assert (model(IMAGES) - wanted).abs().max() > 1e-3, "merging must matter here"


@pytest.mark.parametrize("count", [4, 100])
def test_equal_candidates_are_told(count: int) -> None:
    """Of 16 equal tokens no four are the best; and where all merge, each has eight partners to choose from."""
    model = vit(class_token=False, global_pool="avg")
    model.get_parameter("pos_embed").zero_()
    _, clear = merged_logits(model, torch.ones(1, 3, 32, 32), (count,))
    assert clear == [False]


@pytest.mark.parametrize(("name", "merge"), [("resnet18", (4,)), ("vit_tiny_patch16_224", (4, 4))])
def test_what_cannot_merge_is_refused(name: str, merge: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="cannot merge tokens so"):
        merged_logits(import_timm().create_model(name, num_classes=3).eval(), torch.zeros(1, 3, 224, 224), merge)
