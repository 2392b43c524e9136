"""W(theta) = shipped + theta (reference - shipped): the ends are the networks, and a linear model walks a straight line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from certify.networks.loading import load_state, state_of
from certify.networks.segment import Segment, between
from certify.records import Refused


def batch_normed(seed: int) -> nn.Module:
    """A network whose buffers matter, with statistics of its own."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    for _ in range(seed + 1):
        network.train()(torch.randn(8, 1, 3, 3) * (seed + 1))
    return network.eval()


def run(network: nn.Module, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return network.double()(images.double()).numpy()


def test_the_ends_are_the_networks_to_the_bit() -> None:
    images = torch.randn(5, 1, 3, 3)
    reference, shipped = batch_normed(0), batch_normed(1)
    states = state_of(reference), state_of(shipped)
    segment = Segment(reference, *states)
    for _ in range(2):
        for theta in (1.0, 0.5, 0.0, 0.25):
            found = segment.logits(images, theta)
            if theta in (0.0, 1.0):
                state = states[0] if theta == 1.0 else states[1]
                assert np.array_equal(found, run(load_state(batch_normed(0), state, ""), images))
    assert all(torch.equal(tensor, states[0][name]) for name, tensor in state_of(reference).items()), "the argument is untouched"


def test_no_arithmetic_is_done_at_the_ends() -> None:
    """start + 1 · (end - start) loses an end that is small against the start."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    small, large = ({"1.weight": torch.full((2, 2), size)} for size in (3e-20, 7.0))
    for reference, shipped in ((small, large), (large, small)):
        segment, ones = Segment(model, reference, shipped), torch.ones(1, 2)
        for theta, state in ((0.0, shipped), (1.0, reference)):
            assert segment.logits(ones, theta)[0, 0] == 2 * float(state["1.weight"][0, 0])


def test_buffers_move_along() -> None:
    """Halfway, the running statistics are halfway: numpy with the interpolated tensors gives the same."""
    images = torch.randn(3, 1, 3, 3)
    reference, shipped = state_of(batch_normed(0)), state_of(batch_normed(1))
    middle = {
        name: (reference[name].double() + shipped[name].double()) / 2 if reference[name].is_floating_point() else reference[name]
        for name in reference
    }
    network = batch_normed(0).double()
    network.load_state_dict(middle)
    assert np.allclose(Segment(batch_normed(0), reference, shipped).logits(images, 0.5), run(network, images), rtol=1e-13)
    still = Segment(batch_normed(0), reference, shipped | {name: reference[name] for name in reference if "running" in name})
    assert not np.allclose(still.logits(images, 0.5), run(network, images), rtol=1e-6)


@given(seed=st.integers(0, 1000), theta=st.floats(0, 1))
def test_a_linear_model_walks_a_straight_line(seed: int, theta: float) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    reference, shipped = ({"1.weight": torch.randn(3, 6), "1.bias": torch.randn(3)} for _ in range(2))
    segment, images = Segment(model, reference, shipped), torch.randn(4, 6)
    ends = segment.path(images, np.array([0.0, 1.0]))
    assert np.allclose(segment.logits(images, theta), ends[0] + theta * (ends[1] - ends[0]), rtol=1e-12, atol=1e-12)


def test_batches_do_not_matter_and_another_pair_can_take_the_place() -> None:
    images = torch.randn(7, 1, 3, 3)
    reference, shipped = state_of(batch_normed(0)), state_of(batch_normed(1))
    segment = Segment(batch_normed(0), reference, shipped)
    thetas = np.array([0.0, 0.3, 1.0])
    whole = segment.path(images, thetas)
    assert whole.shape == (3, 7, 4)
    assert np.allclose(segment.path(images, thetas, batch_size=2), whole, rtol=1e-13)
    segment.place(shipped, reference)
    assert np.allclose(segment.path(images, 1 - thetas), whole, rtol=1e-12)
    segment.place(reference, shipped)
    assert np.array_equal(segment.path(images, thetas), whole)


def test_equal_tensors_stay_where_they_are() -> None:
    reference = state_of(batch_normed(0))
    step = between(reference, state_of(batch_normed(1)), {"4.weight"})
    assert [name for name in reference if not torch.equal(step[name], reference[name])] == ["4.weight"]
    segment = Segment(batch_normed(0), reference, reference)
    images = torch.randn(2, 1, 3, 3)
    assert np.array_equal(segment.logits(images, 0.4), segment.logits(images, 1.0))


def test_two_architectures_are_no_pair_and_features_are_no_logits() -> None:
    reference = state_of(batch_normed(0))
    with pytest.raises(Refused, match="two networks of one architecture"):
        Segment(batch_normed(0), reference, {name: tensor for name, tensor in reference.items() if "bias" not in name})
    maps = nn.Sequential(nn.Conv2d(1, 3, 2))
    with pytest.raises(Refused, match="class logits"):
        Segment(maps, state_of(maps), state_of(maps)).logits(torch.randn(1, 1, 3, 3), 0.5)
