"""The door to the proven roads: which road, whose decision, what is said when none knows the network."""

from __future__ import annotations

from pathlib import Path

import jobs
import numpy as np
import pytest
import torch
from torch import nn

from certify.bounds import prove, proved
from certify.bounds.proved import Lead
from certify.networks.loading import state_of
from certify.networks.segment import Segment
from certify.records import Refused, Usage


def chain(act: type[nn.Module], seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 10), act(), nn.Linear(10, 8), act(), nn.Linear(8, 4)).eval()


def thinned(model: nn.Module, *names: str) -> dict[str, torch.Tensor]:
    state = state_of(model)
    return {
        name: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if name in names else t for name, t in state.items()
    }


@pytest.mark.parametrize(("act", "road"), [(nn.ReLU, "exact"), (nn.GELU, "enclosed")])
def test_the_road_that_knows_the_network(act: type[nn.Module], road: str) -> None:
    model = chain(act)
    shipped, images = thinned(model, "3.weight"), torch.randn(12, 6)
    found = prove(model, state_of(model), shipped, images)
    assert found.road == road and found.change.shape == (12, 4)
    path = Segment(model, state_of(model), shipped).path(images, np.linspace(0, 1, 401))
    assert (found.change >= np.abs(path - path[-1]).max(0) - 1e-12).all()
    assert (found.decided.classes == path[-1].argmax(1)).all() and found.labelled is found.decided
    same = (path.argmax(2) == path[-1].argmax(1)).all(0)
    assert not (found.unchanged & ~same).any(), "a decision said to stay changes on the segment"
    assert found.unchanged.sum() >= same.sum() - 1


def test_a_decision_that_changes_is_never_said_to_stay() -> None:
    model = chain(nn.GELU, 1)
    flipped = {name: -t if name.startswith("5") else t for name, t in state_of(model).items()}
    assert not prove(model, state_of(model), flipped, torch.randn(6, 6)).unchanged.any()


def test_the_margin_is_a_strict_comparison_and_nan_never_passes() -> None:
    classes, change = np.zeros(3, dtype=int), np.array([[0.0, 1.0], [0.0, np.nan], [0.0, np.inf]])
    assert not Lead(classes, change, np.array([[0.0, 1.0], [0.0, 9.0], [0.0, 9.0]]), change).kept.any()
    assert Lead(classes, change, np.array([[0.0, 1.1], [0.0, 9.0], [0.0, np.nan]]), change).kept.tolist() == [True, False, False]


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU])
def test_leads_of_the_true_class(act: type[nn.Module]) -> None:
    """What is said of a label against the networks on a grid: how far its lead moves, whether it leads, whether it keeps it."""
    model, labels = chain(act, 2), np.arange(40) % 4
    shipped, images = thinned(model, "3.weight"), torch.randn(40, 6)
    lead = prove(model, state_of(model), shipped, images, labels=labels).labelled
    path = Segment(model, state_of(model), shipped).path(images, np.linspace(0, 1, 401))
    relative = path - path[:, np.arange(40), labels][:, :, None]
    moved = np.abs(relative - relative[-1]).max(0)
    assert (lead.change >= moved - 1e-12).all() and np.allclose(lead.change, moved, rtol=1e-2, atol=1e-6)
    assert (lead.least <= -relative[-1] + 1e-12).all() and (lead.most >= -relative[-1] - 1e-12).all()
    first = path.argmax(2)
    assert (lead.behind == (first[-1] != labels)).all() and 5 < lead.behind.sum() < 35
    assert not (lead.kept & (first != labels).any(0)).any()
    assert lead.kept.sum() >= (first == labels).all(0).sum() - 2


def test_road_auto_leaves_large_networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(nn.GELU)
    monkeypatch.setattr(proved, "AUTO_PARAMETERS", 100)
    with pytest.raises(Refused, match="parameters; road auto tries up to 100, road exact or enclosed any number"):
        prove(model, state_of(model), thinned(model, "3.weight"), torch.randn(1, 6))
    assert prove(model, state_of(model), thinned(model, "3.weight"), torch.randn(1, 6), road="enclosed").unchanged.shape == (1,)
    monkeypatch.undo()
    monkeypatch.setattr(proved, "AUTO_BENDS", 0)
    bent, images = chain(nn.ReLU), torch.randn(8, 6)
    shipped = thinned(bent, "1.weight", "3.weight")
    with pytest.raises(Refused, match=r"the path of a sample bends . times; road auto follows up to 0"):
        prove(bent, state_of(bent), shipped, images)
    assert prove(bent, state_of(bent), shipped, images, road="enclosed").unchanged.shape == (8,)


def test_no_road() -> None:
    model = chain(nn.Tanh)
    with pytest.raises(Refused, match=r"no proven road .* exact: .* enclosed: enclosure: 2 is a Tanh"):
        prove(model, state_of(model), thinned(model, "3.weight"), torch.randn(1, 6))
    with pytest.raises(Refused, match="2 layers change"):
        prove(chain(nn.ReLU), state_of(model), thinned(model, "3.weight", "1.weight"), torch.randn(1, 6), road="exact")
    with pytest.raises(Usage, match="none of auto, exact, enclosed"):
        prove(model, state_of(model), state_of(model), torch.randn(1, 6), road="short")


def test_from_the_command_line(tmp_path: Path) -> None:
    recipe = jobs.write_recipe(tmp_path / "recipe.toml", jobs.DIGITS)
    assert jobs.certify("run", recipe, "--out", tmp_path / "run").code == 0
    before = jobs.contents(tmp_path / "run")
    said = jobs.certify("bound", tmp_path / "run", "--road", "auto", "--samples", "2")
    assert said.code == 0 and "enclosed" in said.out and "of 2" in said.out, said.err
    assert jobs.contents(tmp_path / "run") == before, "the run folder stays as it is"
    said = jobs.certify("bound", tmp_path / "run", "--road", "exact", "--samples", "1")
    assert said.code == 3 and "layers change" in said.err
    assert jobs.certify("bound", tmp_path / "run", "--road", "auto", "--samples", "0").code == 2


def test_samples_side_by_side_give_the_same_numbers() -> None:
    model, images = chain(nn.GELU, 5), torch.randn(7, 6)
    shipped = thinned(model, "1.weight", "3.weight", "5.weight")
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            seen: list[int] = []
            found.append(
                prove(model, state_of(model), shipped, images, progress=lambda done, count, seen=seen: seen.append(done))
            )
            assert torch.get_num_threads() == threads and seen == list(range(1, 8))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0].change, found[1].change) and np.array_equal(found[0].logits, found[1].logits)
