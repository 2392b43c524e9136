"""Targets are the matrices a mask can reach, each under its own name, the others with the reason."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from certify.networks.loading import build, digest, state_of
from certify.networks.masking import apply, masked_state, masks
from certify.networks.targets import describe
from certify.pruning import prune
from certify.records import Edit, Evidence, Plan, Refused, Usage
from certify.records.recipe import ModelRecipe


class Tied(nn.Module):
    """Two layers with one weight, and an embedding that is somebody's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.head = (nn.Linear(4, 4) for _ in range(4))
        self.words = nn.Embedding(4, 4)
        self.second.weight = self.first.weight
        self.third.weight = self.words.weight
        self.alias = self.head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.first(x))))


def test_a_weight_that_stands_under_several_names_is_skipped_under_each() -> None:
    """A mask on one name would be undone when the checkpoint's other name is loaded."""
    reasons = {target.name: target.skipped for target in describe(Tied())}
    assert reasons["first"] == "shares its weight with second.weight"
    assert reasons["second"] == "shares its weight with first.weight"
    assert reasons["third"] == "shares its weight with words.weight"
    assert reasons["head"] == "shares its weight with alias.weight"


def test_names_shapes_and_roles_in_module_order() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 6), nn.Linear(6, 2))
    assert [(t.name, t.kind, t.shape, t.role, t.rows, t.cols) for t in describe(network)] == [
        ("0", "conv2d", (8, 3, 3, 3), "stem", 8, 27),
        ("3", "linear", (6, 8), "block", 6, 8),
        ("4", "linear", (2, 6), "classifier", 2, 6),
    ]


def test_globs_choose_and_a_glob_without_a_target_is_an_error() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    assert [t.skipped for t in describe(network, include=("0",))] == ["", "matches no include glob (0)"]
    assert [t.skipped for t in describe(network, exclude=("1",))] == ["", "excluded by 1"]
    for globs in ({"include": ("0", "2")}, {"exclude": ("2",)}):
        with pytest.raises(Usage, match="no target matches '2'"):
            describe(network, **globs)


def test_the_meta_device_tells_the_same() -> None:
    recipe = ModelRecipe("resnet18", num_classes=5)
    assert describe(build(recipe, meta=True)) == describe(build(recipe))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 2), nn.Flatten(), nn.Linear(16, 3)).eval()


@pytest.fixture
def plan(network: nn.Module) -> Plan:
    state = state_of(network)
    evidence = Evidence(
        digest(state), "a" * 64, 1, {name: state[f"{name}.weight"].double().flatten(1).numpy() for name in ("0", "2")}
    )
    return prune(describe(network), evidence, name="half", method="magnitude", sparsity=0.5)


def test_removed_weights_are_plus_zero_and_all_else_is_untouched(network: nn.Module, plan: Plan) -> None:
    state = state_of(network)
    found = masked_state(state, plan)
    for edit in plan.edits:
        before, after = (each[f"{edit.target}.weight"].flatten(1) for each in (state, found))
        kept = torch.from_numpy(edit.kept.copy())
        assert torch.equal(after[kept], before[kept])
        assert not after[~kept].any() and not torch.signbit(after[~kept]).any()
    assert all(torch.equal(found[name], state[name]) for name in ("0.bias", "2.bias"))


def test_apply_copies(network: nn.Module, plan: Plan) -> None:
    before = digest(state_of(network))
    pruned = apply(network, plan)
    assert digest(state_of(network)) == before
    assert digest(state_of(pruned)) == digest(masked_state(state_of(network), plan))
    assert int(sum((p == 0).sum() for n, p in pruned.named_parameters() if n.endswith("weight"))) == plan.removed == 40
    with pytest.raises(Refused, match="was made for network"):
        apply(pruned, plan)


def test_a_plan_of_another_network_is_refused(network: nn.Module, plan: Plan) -> None:
    state = state_of(network)
    with pytest.raises(Refused, match="the network does not have"):
        masks(Plan("p", "magnitude", plan.reference, (Edit("7", plan.edits[0].kept),)), state)
    with pytest.raises(Refused, match=r"mask of shape \(4, 8\) on a weight of shape \(3, 16\)"):
        masks(Plan("p", "magnitude", plan.reference, (Edit("2", plan.edits[0].kept),)), state)
