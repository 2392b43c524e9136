"""Weights laid out in a plan's orders: the same function, folded where one layer alone reads, gathered elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certify.networks.evidence import collect
from certify.networks.loading import state_of
from certify.networks.masking import apply
from certify.networks.permuting import lay_out, restored
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.pruning import prune
from certify.records import Plan, Refused, check_pattern


class Small(nn.Module):
    """fc1 alone feeds fc2 through a GELU; the residual feeds fc1 and the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fc1, self.fc2, self.head = nn.Linear(6, 16), nn.Linear(16, 24), nn.Linear(24, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x + self.fc2(nn.functional.gelu(self.fc1(x))))


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.one, self.norm1 = nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.two, self.head = nn.Conv2d(12, 8, 3), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm0(self.stem(x)))
        x = torch.relu(self.norm1(self.one(x)))
        return self.head(self.two(x).mean((2, 3)))


def planned(model: nn.Module, images: torch.Tensor, **options: Any) -> tuple[nn.Module, Plan]:
    targets = describe(model)
    evidence = collect(model, targets, [images], split="b" * 64, gram_block=0, parts=("moments", "grams"))
    plan = prune(targets, evidence, name="p", method="wanda", pattern="2:4", options={"order": "bucket", **options})
    return apply(model, plan), plan


def cases() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    timm = import_timm()
    vit = timm.create_model("deit_tiny_patch16_224", num_classes=5, img_size=32, depth=2)
    resnet = timm.create_model("resnet18", num_classes=5, channels=(8, 16, 24, 32))
    for module in resnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 32, 32)
    return {
        "small": (Small(), torch.randn(4, 6)),
        "convolutions": (Convolutions(), torch.randn(2, 3, 9, 9)),
        "vit": (vit, images),
        "resnet": (resnet, images),
    }


@pytest.mark.parametrize("layout", ["flattened", "channel-blocked"])
@pytest.mark.parametrize("name", ["small", "convolutions", "vit", "resnet"])
def test_the_function_stays_and_the_pattern_lies_in_memory(name: str, layout: str) -> None:
    model, images = cases()[name]
    pruned, plan = planned(model.eval(), images, layout=layout)
    found = lay_out(pruned, plan, images)
    with torch.no_grad():
        assert torch.allclose(found.network(images), pruned(images), atol=1e-5)
        assert torch.allclose(found.network.double()(images.double()), pruned.double()(images.double()), atol=1e-10)
    for edit in found.plan.edits:
        if edit.order is None:
            check_pattern(edit.target, edit.kept, "2:4")
        else:
            assert edit.target in found.blocked
            edit.check("2:4")
    assert found.plan.removed == plan.removed
    assert set(found.folded) | set(found.gathered) <= {edit.target for edit in plan.edits}


def test_what_one_layer_alone_reads_is_folded_and_the_rest_gathered() -> None:
    model, images = cases()["small"]
    pruned, plan = planned(model.eval(), images)
    found = lay_out(pruned, plan, images)
    assert found.folded == {"fc2": "fc1"} and found.gathered == ("fc1",), "the residual stream has two readers"
    assert set(found.network.state_dict()) - set(pruned.state_dict()) == {"fc1.input_order"}
    every = lay_out(pruned, plan, images, fold=False)
    assert every.folded == {} and set(every.gathered) == {"fc1", "fc2"}
    with torch.no_grad():
        assert torch.allclose(every.network(images), found.network(images), atol=1e-5)


def test_batch_norms_follow_their_channels() -> None:
    model, images = cases()["convolutions"]
    pruned, plan = planned(model.eval(), images, layout="channel-blocked")
    found = lay_out(pruned, plan, images)
    assert found.folded == {"one": "stem", "two": "one"} and found.gathered == ()


def test_a_laid_out_checkpoint_is_read_again() -> None:
    model, images = cases()["small"]
    pruned, plan = planned(model.eval(), images)
    laid = lay_out(pruned, plan, images).network
    state = state_of(laid)
    again = restored(Small(), state, "file")
    with torch.no_grad():
        assert torch.equal(again(images), laid(images))
    lost = {name: tensor for name, tensor in state.items() if not name.endswith("input_order")}
    with torch.no_grad():
        assert not torch.allclose(restored(Small(), lost, "file")(images), laid(images)), "a lost order is another function"
    with pytest.raises(Refused, match="is not a permutation of the 16 inputs"):
        restored(Small(), state | {"fc1.input_order": torch.zeros(16, dtype=torch.int64)}, "file")
    with pytest.raises(Refused, match="is the order of a layer the model does not have"):
        restored(Small(), state | {"fc9.input_order": torch.arange(16)}, "file")


def test_weights_that_are_not_sparse_are_not_laid_out() -> None:
    model, images = cases()["small"]
    _, plan = planned(model.eval(), images)
    with pytest.raises(Refused, match="removed entries are not 0"):
        lay_out(model, plan, images)


def test_an_order_that_takes_taps_apart_is_refused() -> None:
    model, images = cases()["convolutions"]
    pruned, plan = planned(model.eval(), images)
    edits = []
    for edit in plan.edits:
        order = np.arange(edit.kept.shape[1]) if edit.order is None else edit.order.copy()
        order[[0, 5]] = order[[5, 0]]
        edits.append(replace(edit, kept=edit.kept, order=order) if edit.target == "two" else edit)
    with pytest.raises(Refused, match=r"keeps|takes the 9 taps of a channel apart"):
        lay_out(pruned, replace(plan, pattern=None, edits=tuple(edits)), images)
