"""Sensitivities and costs against what they are defined to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from certify.networks.evidence import collect
from certify.networks.sensitivity import costs, sense, sensitivities
from certify.networks.targets import describe
from certify.records import COST_LEVELS, Evidence, Refused, Usage


class Tokens(nn.Module):
    """Two linear layers on three tokens, their mean to four classes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))).mean(1))


def made() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    return Tokens(), torch.randn(6, 3, 5)


def test_sensitivities_are_the_largest_row_sum_of_the_jacobian() -> None:
    model, images = made()
    found = sensitivities(model, describe(model), [images[:2], images[2:]])
    exact = model.double()
    hidden = exact.a(images.double()).detach()  # type: ignore[operator]

    def rest(h: torch.Tensor) -> torch.Tensor:
        return exact.c(torch.tanh(exact.b(torch.tanh(h))).mean(0))  # type: ignore[operator]

    for sample in range(6):
        jacobian = torch.autograd.functional.jacobian(rest, hidden[sample])
        assert found["a"][sample] == pytest.approx(float(jacobian.abs().sum((1, 2)).max()), rel=1e-10)
    assert np.allclose(found["c"], 1.0), "the last layer's outputs are the logits"


def test_they_are_first_order() -> None:
    """A small change of the output moves the logits by at most L_s times its max-norm, and some change moves them as far."""
    model, images = made()
    found = sensitivities(model, describe(model), [images])["b"]
    exact = model.double()
    hidden = exact.b(torch.tanh(exact.a(images.double()))).detach()  # type: ignore[operator]
    tail = lambda h: exact.c(torch.tanh(h).mean(1))  # type: ignore[operator]  # noqa: E731
    step = 1e-6
    worst = np.zeros(6)
    for klass in range(4):
        inner = hidden.clone().requires_grad_(True)
        tail(inner)[:, klass].sum().backward()
        assert inner.grad is not None
        moved = (tail(hidden + step * inner.grad.sign()) - tail(hidden)).abs().amax(1) / step
        assert np.all(moved.detach().numpy() <= found * (1 + 1e-4))
        worst = np.maximum(worst, moved.detach().numpy())
    assert np.allclose(worst, found, rtol=1e-4)


def test_costs_are_measured_and_leave_the_network_alone() -> None:
    model, images = made()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = costs(model, describe(model), [images[:4], images[4:]])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    weight = model.get_parameter("b.weight")
    with torch.no_grad():
        dense = model(images)
        gone = weight.abs().reshape(-1).argsort(stable=True)[: int(0.5 * 36)]
        weight.view(-1)[gone] = 0
        assert found["b"][COST_LEVELS.index(0.5)] == pytest.approx(float((model(images) - dense).abs().amax(1).mean()), rel=1e-5)
    assert all(len(cost) == len(COST_LEVELS) and np.all(cost >= 0) for cost in found.values())


def test_parts_are_added_to_the_evidence_that_is_there() -> None:
    model, images = made()
    targets = describe(model, exclude=("c",))
    evidence = collect(model, targets, [images], split="b" * 64, parts=("inputs",))
    found = sense(model, evidence, targets, [images], parts=("sensitivities",))
    assert isinstance(found, Evidence) and set(found.parts) == {"inputs", "sensitivities"}
    assert set(found.parts["sensitivities"]) == {"a", "b"}
    assert np.allclose(found.part("inputs", "a"), np.abs(images.numpy()).max(axis=1))
    with pytest.raises(Usage, match="collect holds the others"):
        sense(model, evidence, targets, [images], parts=("moments",))


def test_a_layer_that_is_never_used_is_named() -> None:
    model, images = made()
    model.spare = nn.Linear(2, 2)
    with pytest.raises(Refused, match="spare: the forward pass never uses"):
        sensitivities(model, describe(model), [images])


class Windows(nn.Module):
    """Splits six tokens of each image into windows of three, which become the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(5, 5), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.a(x.reshape(-1, 3, 5)))
        return self.c(h.reshape(len(x), 6, 5).mean(1))


def test_windows_are_not_taken_for_samples() -> None:
    torch.manual_seed(2)
    model, images = Windows(), torch.randn(4, 6, 5)
    targets = describe(model)
    whole = sensitivities(model, targets, [images])
    single = [sensitivities(model, targets, [image]) for image in images.split(1)]
    assert whole["a"].shape == (4,)
    for name in ("a", "c"):
        assert np.allclose(whole[name], np.concatenate([each[name] for each in single]), rtol=1e-12)
