"""Ladders of random networks hold; a ladder with one factor wrong does not."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jobs
import numpy as np
import pytest
import torch
from kinked import relu_pair
from torch import Tensor, nn

from certify.bounds import ladder
from certify.networks.data_path import data_paths
from certify.networks.evidence import collect
from certify.networks.loading import State, build, digest, state_of
from certify.networks.masking import masked_state
from certify.networks.targets import describe
from certify.pruning import prune
from certify.records import Ladder, Pair, Plan
from certify.records.recipe import BoundsRecipe, ModelRecipe
from certify.theory import cross_entropy, margins

# The function of that name hides the module.
room = importlib.import_module("certify.bounds.ladder")
layer_room = importlib.import_module("certify.bounds.rungs.layers")
SETTINGS = BoundsRecipe(max_order=16)


def mlp(seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 5))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network.eval(), torch.randn(60, 8)


def vit(seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    network = build(ModelRecipe(jobs.DIGITS["model"]["name"], "", 10, jobs.DIGITS["model"]["kwargs"]))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network, torch.randn(12, 1, 8, 8)


def resnet(seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    network = build(ModelRecipe(jobs.RESNET["name"], "", 3, jobs.RESNET["kwargs"])).train()
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(16, 3, 32, 32))
    return network.eval(), torch.randn(6, 3, 32, 32)


def planned(network: nn.Module, images: Tensor, **settings: Any) -> tuple[Plan, State]:
    targets = describe(network)
    plan = prune(targets, collect(network, targets, [images], split="c" * 64), name="p", method="magnitude", **settings)
    return plan, masked_state(state_of(network), plan)


def hang(network: nn.Module, images: Tensor, shipped: State, plan: Plan | None = None, **more: Any) -> Ladder:
    """The ladder of a network and a changed one; labels 0, 1, 2, ... unless told otherwise."""
    reference = state_of(network)
    with torch.no_grad():
        classes = network(images).shape[1]
    return ladder(
        network,
        reference,
        shipped,
        images,
        more.pop("labels", np.arange(len(images)) % classes),
        pair=Pair(digest(reference), digest(shipped), "test", "masked"),
        split="c" * 64,
        samples=[str(index) for index in range(len(images))],
        settings=more.pop("settings", SETTINGS),
        plan=plan,
        targets=describe(network),
        **more,
    )


@pytest.mark.parametrize("make", [mlp, vit, resnet])
@pytest.mark.parametrize("settings", [{"sparsity": 0.3}, {"sparsity": 0.9}, {"pattern": "2:4"}], ids=str)
def test_no_asserted_edge_is_violated(make: Callable[[int], tuple[nn.Module, Tensor]], settings: dict[str, Any]) -> None:
    network, images = make(0)
    plan, shipped = planned(network, images, **settings)
    found = hang(network, images, shipped, plan)
    assert not found.violations()
    proved = {bound.quantity for bound in found.bounds if bound.tier == "proved"}
    assert sum(edge.asserted for edge in found.edges) == 20 + len(proved) and len(found.layers) == len(plan.edits)
    assert {bound.tier for bound in found.bounds} - {"proved"} == {"resolved"}, "no float64 evaluation is a proof"
    assert len(proved) == (0 if any("nothing proved" in note for note in found.notes) else 5)
    modelled = {bound.quantity for bound in found.bounds if bound.modelled}
    assert modelled and not any({edge.below, edge.above} & modelled for edge in found.edges if edge.asserted)


def test_a_pair_of_unrelated_networks_has_a_ladder_too() -> None:
    """No plan is needed, biases and batch statistics move as well, and labels may be missing."""
    for make in (mlp, vit, resnet):
        network, images = make(1)
        found = hang(network, images, state_of(make(2)[0]), labels=None)
        assert not found.violations()
        assert found.layers == () and any("no labels" in note for note in found.notes)


def test_equal_networks_stand_on_the_ground() -> None:
    network, images = mlp(3)
    found = hang(network, images, state_of(network))
    for bound in found.bounds:
        assert np.all(bound.upper == 0) or bound.quantity in ("may_change_published", "may_change_label"), bound.quantity


def test_what_is_measured_is_what_the_networks_do() -> None:
    network, images = mlp(4)
    _, shipped = planned(network, images, sparsity=0.6)
    labels = np.arange(60) % 5
    found = hang(network, images, shipped, labels=labels)
    with torch.no_grad():
        before = network.double()(images.double()).numpy()
        network.load_state_dict(shipped)
        after = network(images.double()).numpy()
    loss = torch.nn.functional.cross_entropy
    change = loss(torch.tensor(after), torch.tensor(labels), reduction="none") - loss(
        torch.tensor(before), torch.tensor(labels), reduction="none"
    )
    assert np.allclose(found["logit_change"].upper, np.abs(after - before).max(axis=1), rtol=1e-9)
    assert np.allclose(found["ce_change"].upper, change.numpy(), atol=1e-9)
    assert np.array_equal(found["changes_label"].upper == 1, before.argmax(axis=1) != after.argmax(axis=1))
    right = before.argmax(axis=1) == labels
    assert np.array_equal(found["loses_decision"].upper == 1, right & (after.argmax(axis=1) != labels))
    assert found["loses_decision"].upper.sum() > 0 and found["changes_label"].upper.sum() >= 10


def test_a_linear_classifier_leaves_no_gap() -> None:
    """One layer, straight path: variation, speed, sum over layers and measured change are one number, and L_s is exactly 1."""
    torch.manual_seed(5)
    network, images = nn.Sequential(nn.Flatten(), nn.Linear(8, 4)).eval(), torch.randn(30, 8)
    plan, shipped = planned(network, images, sparsity=0.5)
    found = hang(network, images, shipped, plan, settings=BoundsRecipe(max_order=16, l1=0.01, l2=0.1))
    measured = found["logit_change"].upper
    for quantity in ("path_variation", "path_speed", "layer_variation", "layer_speed"):
        assert np.allclose(found[quantity].upper, measured, rtol=1e-9), quantity
    (row,) = found.layers
    removed = (state_of(network)["1.weight"] - shipped["1.weight"]).double().numpy()
    sizes = np.abs(images.double().numpy() @ removed.T).max(axis=1)
    assert row["size_mean"] == pytest.approx(sizes.mean()) and row["size_max"] == pytest.approx(sizes.max())
    assert row["lipschitz_median"] == pytest.approx(1) and row["lipschitz_max"] == pytest.approx(1)
    assert row["lipschitz_proved"] is None
    assert row["budget"] == pytest.approx(2 * sizes.mean())
    assert row["reward"] == pytest.approx(0.1 * np.sum(removed**2) + 0.01 * np.sum(np.abs(removed)))
    assert row["break_even_l2"] == pytest.approx(row["budget"] / row["frobenius_squared"])
    assert found.objective["lipschitz_proved"] == "L_s not available"


def test_layer_steps_are_taken_in_the_intermediate_networks() -> None:
    """Each row's data path is that of the network in which the earlier layers are pruned already and this one is not."""
    network, images = mlp(6)
    plan, shipped = planned(network, images, sparsity=0.6)
    found = hang(network, images, shipped, plan)
    assert [row["target"] for row in found.layers] == ["1", "3", "5"]
    assert [row["removed"] for row in found.layers] == [edit.removed for edit in plan.edits]
    reference = state_of(network)
    network.double()
    for step, row in enumerate(found.layers):
        done = {f"{name}.weight" for name in ("1", "3", "5")[:step]}
        network.load_state_dict({name: shipped[name] if name in done else tensor for name, tensor in reference.items()})
        target = next(target for target in describe(network) if target.name == row["target"])
        removed = (reference[target.weight] - shipped[target.weight]).double()
        path = data_paths(network, {target.name: target}, images.double(), {target.name: removed})[target.name]
        assert row["size_mean"] == pytest.approx(path.size.mean(), rel=1e-9)
    sums = sum(row["budget"] for row in found.layers)
    assert np.mean(found["ce_budget"].upper) == pytest.approx(sums, rel=1e-6)


def test_the_account_of_a_pair_without_a_plan_counts_all_weights() -> None:
    model, reference, shipped = relu_pair(7)
    model.load_state_dict(reference)
    found = hang(model, torch.randn(5, 6), shipped, settings=BoundsRecipe(max_order=8, l1=0.5, l2=0.25))
    squares, ones = (
        sum(power(reference[f"{name}.weight"].double()) - power(shipped[f"{name}.weight"].double()) for name in ("1", "3"))
        for power in (lambda w: float((w**2).sum()), lambda w: float(w.abs().sum()))
    )
    assert found.objective["reward"] == pytest.approx(0.25 * squares + 0.5 * ones)
    assert found.objective["form"] == "X10-universal"


def halved(original: Callable[..., np.ndarray], **inputs: float) -> Callable[..., np.ndarray]:
    """`original` with its last argument multiplied by a factor."""
    return lambda *arguments: original(*arguments[:-1], arguments[-1] * inputs["by"])


def negated(original: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda *arguments: -original(*arguments)


def path_with(**changes: float) -> Callable[..., Any]:
    """`resolve` whose result has fields multiplied."""
    original = room.resolve

    def resolved(*arguments: Any, **more: Any) -> Any:
        path = original(*arguments, **more)
        return replace(path, **{name: getattr(path, name) * factor for name, factor in changes.items()})

    return resolved


# What is wrong, where it is put, and an edge that must break.
MUTATIONS: dict[str, tuple[Any, str, Callable[[], Callable[..., Any]], str]] = {
    "2 eta without the 2": (
        cross_entropy,
        "increase_published",
        lambda: halved(cross_entropy.increase_published, by=0.5),
        "ce_sharp <= ce_published",
    ),
    "sharp bound without the 2": (
        cross_entropy,
        "increase_upper",
        lambda: halved(cross_entropy.increase_upper, by=0.5),
        "ce_oscillation <= ce_sharp",
    ),
    "oscillation halved": (
        cross_entropy,
        "increase_upper_oscillation",
        lambda: halved(cross_entropy.increase_upper_oscillation, by=0.5),
        "ce_pairwise <= ce_oscillation",
    ),
    "pairwise halved": (
        cross_entropy,
        "increase_upper_pairwise",
        lambda: halved(cross_entropy.increase_upper_pairwise, by=0.5),
        "ce_change <= ce_pairwise",
    ),
    "decrease with the wrong sign": (
        cross_entropy,
        "increase_lower",
        lambda: negated(cross_entropy.increase_lower),
        "ce_gain <= ce_gain_sharp",
    ),
    "variation halved": (room, "resolve", lambda: path_with(max_norm=0.5), "path_change <= path_variation"),
    "change halved": (room, "resolve", lambda: path_with(change=0.5), "logit_change <= path_change"),
    "speed halved": (room, "resolve", lambda: path_with(speed_sup=0.5), "path_variation <= path_speed"),
    "spread halved": (room, "resolve", lambda: path_with(oscillation=0.5), "logit_oscillation <= path_oscillation"),
    "one layer forgotten": (
        layer_room,
        "telescoped",
        lambda: lambda steps: steps[1:].sum(axis=0),
        "logit_change <= layer_variation",
    ),
    "masses against half": (
        importlib.import_module("certify.bounds.layers"),
        "smallest_lipschitz",
        lambda: lambda speed, size: np.divide(speed, 4 * size, out=np.zeros_like(size), where=size > 0),
        "layer_speed <= layer_mass",
    ),
    "margin against half of eta": (
        margins,
        "may_lose",
        lambda: halved(margins.may_lose, by=0.25),
        "may_lose_pairwise <= may_lose_signed",
    ),
    "published margin against eta": (
        margins,
        "may_change_published",
        lambda: halved(margins.may_change_published, by=0.5),
        "may_lose_signed <= may_change_published",
    ),
    "pairwise margin against a tenth": (
        margins,
        "may_lose_pairwise",
        lambda: halved(margins.may_lose_pairwise, by=0.1),
        "loses_decision <= may_lose_pairwise",
    ),
    "stable label against a tenth": (
        margins,
        "predicted_label_stable",
        lambda: halved(margins.predicted_label_stable, by=0.1),
        "changes_label <= may_change_label",
    ),
}


@pytest.fixture(scope="module")
def case() -> dict[str, Any]:
    """A pruned network whose ladder holds, labelled with its own decisions so that there is something to lose."""
    network, images = mlp(8)
    plan, shipped = planned(network, images, sparsity=0.5)
    with torch.no_grad():
        found = {
            "network": network,
            "images": images,
            "plan": plan,
            "shipped": shipped,
            "labels": network(images).argmax(1).numpy(),
        }
    assert not hang(**found).violations()
    return found


@pytest.mark.parametrize("name", MUTATIONS)
def test_one_wrong_factor_breaks_an_edge(name: str, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, mutate, edge = MUTATIONS[name]
    monkeypatch.setattr(where, what, mutate())
    assert any(edge in sentence for sentence in hang(**case).violations())


def test_a_job_stops_at_a_violated_edge_and_writes_no_ladder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cross_entropy, "increase_published", lambda eta: 0.1 * np.asarray(eta))
    threads = torch.get_num_threads()
    said = jobs.certify("run", jobs.write_recipe(tmp_path / "recipe.toml", jobs.DIGITS), "--out", tmp_path / "run", "--json")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    assert said.code == 3
    assert "ce_sharp <= ce_published" in said.err and "contradicts a theorem or its implementation" in said.err
    assert not list((tmp_path / "run").rglob("*ladder.parquet"))
