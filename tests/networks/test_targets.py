"""Targets are the matrices a mask can reach, each under its own name, the others with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from certify.networks.loading import build, digest, state_of
from certify.networks.masking import apply, check_shipped, copied, masked_state, masks
from certify.networks.targets import describe
from certify.pruning import check_plan, prune
from certify.records import Edit, Evidence, Plan, Refused, Usage, parse_pattern
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


def normed(build: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return nn.Sequential(build(nn.Linear(4, 4)), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("build", "name", "words"),
    [
        (torch.nn.utils.weight_norm, "0", "its weight is computed from weight_g, weight_v in each forward pass"),
        (torch.nn.utils.spectral_norm, "0", "its weight is computed from weight_orig in each forward pass"),
        (parametrizations.weight_norm, "0.parametrizations.weight.original1", "a parametrisation computes the layer's weight"),
        (parametrizations.orthogonal, "0.parametrizations.weight.original", "a parametrisation computes the layer's weight"),
    ],
)
def test_a_weight_that_is_computed_is_skipped_with_its_reason(build: Any, name: str, words: str) -> None:
    network = normed(build)
    targets = {target.name: target for target in describe(network)}
    assert words in targets[name].skipped and not targets["1"].skipped
    state = state_of(network)
    kept = np.ones((4, 4), dtype=bool)
    with pytest.raises(Refused, match="0: the plan edits a layer the network does not have"):
        masks(Plan("p", "magnitude", "0" * 64, (Edit("0", kept),)), state)


def test_a_network_that_cannot_be_copied_names_the_computed_weight() -> None:
    network = normed(torch.nn.utils.weight_norm)
    network(torch.ones(1, 4))
    with pytest.raises(Refused, match=r"Sequential cannot be copied: 0\.weight is computed in the forward pass"):
        copied(network)


def test_a_layer_without_a_shape_is_refused_until_it_has_one() -> None:
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(Usage, match=r"0\.weight is built lazily and has no shape yet; run one forward pass"):
        describe(network)
    network(torch.ones(1, 3))
    assert [(target.name, target.shape, target.skipped) for target in describe(network)] == [("0", (4, 3), ""), ("2", (2, 4), "")]


class Overlapping(nn.Module):
    """Two parameters, one memory: the second is a part of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.second = nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 3)
        self.second.weight = nn.Parameter(self.first.weight.data[3:])

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.middle(self.first(x)))


def test_memory_with_two_names_is_skipped_under_both() -> None:
    network = Overlapping()
    reasons = {target.name: target.skipped for target in describe(network)}
    assert (
        reasons["first"] == "shares its weight with second.weight" and reasons["second"] == "shares its weight with first.weight"
    )
    assert not reasons["middle"]
    flat = torch.randn(40)
    for size, layer in ((0, network.first), (24, network.second)):
        layer.weight = nn.Parameter(flat[size : size + layer.weight.numel()].reshape(layer.weight.shape))
    assert not any(target.skipped for target in describe(network)), "neighbours in one buffer do not share"


def test_a_mask_that_a_second_name_undoes_is_refused() -> None:
    """A plan by hand edits the first name; the second name of the same parameter is loaded after it and puts the weights back."""
    network = Tied()
    plan = Plan("p", "magnitude", digest(state_of(network)), (Edit("first", np.zeros((4, 4), dtype=bool)),))
    with pytest.raises(Refused, match="first: 16 of 16 removed entries are not 0; row 0, column 0 holds"):
        apply(network, plan)


def test_a_vector_is_no_matrix() -> None:
    state = state_of(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)))
    with pytest.raises(Refused, match="1: the plan edits a layer whose weight is a vector of 3"):
        masks(Plan("p", "magnitude", "0" * 64, (Edit("1", np.ones((3, 1), dtype=bool)),)), state)


def test_weights_that_are_not_sparse_are_not_spoken_of(network: nn.Module, plan: Plan) -> None:
    state = state_of(network)
    shipped = masked_state(state, plan)
    assert check_shipped(shipped, plan) == {edit.target: edit.removed for edit in plan.edits}
    with pytest.raises(Refused, match=r"0: \d+ of \d+ removed entries are not 0"):
        check_shipped(state, plan)
    edit = plan.edits[1]
    row, col = (int(index) for index in np.argwhere(~edit.kept)[-1])
    for value, shown in ((1e-30, "1.0000000"), (float("nan"), "nan")):
        leaking = {name: tensor.clone() for name, tensor in shipped.items()}
        leaking[f"{edit.target}.weight"].flatten(1)[row, col] = value
        with pytest.raises(
            Refused, match=rf"2: 1 of {edit.removed} removed entries are not 0; row {row}, column {col} holds {shown}"
        ):
            check_shipped(leaking, plan)
    zeroed = shipped | {f"{edit.target}.weight": torch.zeros(3, 16)}
    assert check_shipped(zeroed, plan)[edit.target] == edit.removed, "zeros at kept entries are not counted as removed"


def test_roles_of_layers_that_no_name_tells() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=4),  # first
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 2, stride=2),
        nn.Conv2d(8, 8, 2, stride=2, padding=1),
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(8, 3, 3),
        nn.Conv2d(3, 8, 3),
        nn.Linear(8, 8),
        nn.Linear(8, 2),  # last
    )
    roles = [target.role for target in describe(network)]
    assert roles == ["stem", "grouped", "downsampling", "block", "block", "block", "stem", "block", "classifier"]
    own = describe(network, roles={"*": "stem", "2": "block"})
    assert [target.name for target in own if target.role == "block"] == ["2"]
    with pytest.raises(Usage, match="no target matches '9'"):
        describe(network, roles={"9": "block"})


def test_no_other_layer_becomes_the_classifier_where_none_was_asked_for() -> None:
    found = describe(build(ModelRecipe("test_vit", kwargs={"num_classes": 0})))
    assert not any(target.role == "classifier" for target in found)


# Section 2's table: matrices a 2:4 pattern is projected on, of all prunable ones.
@pytest.mark.parametrize(
    ("name", "projected", "prunable", "weights"),
    [
        ("vit_base_patch16_224", 48, 50, 86_292_480),
        ("vit_large_patch16_224", 96, 98, 303_800_320),
        ("deit_small_patch16_224", 48, 50, 21_912_576),
        ("convnextv2_base", 72, 113, None),
        ("resnet50", 52, 54, 25_502_912),
        ("resnet50d", 54, 56, None),
        ("resnet101d", 105, 107, None),
        ("resnet152d", 156, 158, None),
    ],
)
def test_the_published_models_project_the_published_matrices(
    name: str, projected: int, prunable: int, weights: int | None
) -> None:
    targets = [target for target in describe(build(ModelRecipe(name), meta=True)) if not target.skipped]
    assert (sum(target.role == "block" for target in targets), len(targets)) == (projected, prunable)
    assert weights is None or sum(target.size for target in targets) == weights
    asked = check_plan(targets, "p", "magnitude", None, "2:4", {})
    assert len(asked.targets) == projected


@pytest.mark.parametrize(
    ("name", "pattern", "classifier", "zeros"),
    [
        ("vit_base_patch16_224", "2:4", True, 42_851_328),
        ("vit_base_patch16_224", "12:16", True, 21_425_664),
        ("vit_large_patch16_224", "8:16", True, 151_506_944),
        ("deit_small_patch16_224", "2:4", True, 10_808_832),
        ("resnet50", "8:16", False, 11_722_752),
        ("resnet50", "10:16", False, 8_792_064),
        ("resnet50", "12:16", False, 5_861_376),
    ],
)
def test_a_plan_of_a_published_model_has_the_published_zeros(name: str, pattern: str, classifier: bool, zeros: int) -> None:
    """Rows · groups · (N - K) over the targets a plan would edit; the published transformers project the classifier too."""
    keep, group = parse_pattern(pattern)
    targets = describe(build(ModelRecipe(name), meta=True))
    asked = check_plan(targets, "p", "magnitude", None, pattern, {"classifier": classifier})
    assert sum(target.size // group * (group - keep) for target in asked.targets) == zeros
