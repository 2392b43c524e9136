"""The data path of a sample against plain loops: every token, every position."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from certify.networks.data_path import data_paths
from certify.networks.evidence import collect
from certify.networks.targets import describe
from certify.records import Refused, Target


def path_of(layer: nn.Module, inputs: Tensor, matrix: Tensor):
    network = nn.Sequential(layer)
    target = describe(network)[0]
    return data_paths(network, {target.name: target}, inputs, {target.name: matrix})[target.name]


@given(
    seed=st.integers(0, 10**6), batch=st.integers(1, 3), tokens=st.lists(st.integers(1, 4), max_size=2), cols=st.integers(1, 5)
)
def test_linear_layer_token_by_token(seed: int, batch: int, tokens: list[int], cols: int) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(cols, 3).double()
    inputs, removed = torch.randn(batch, *tokens, cols).double(), torch.randn(3, cols).double()
    found = path_of(layer, inputs, removed)
    rows = inputs.reshape(batch, -1, cols).numpy()
    assert found.tokens == rows.shape[1]
    assert np.allclose(found.size, [max(np.abs(removed.numpy() @ v).max() for v in sample) for sample in rows], rtol=1e-12)
    assert np.allclose(found.max_norm, [max(np.abs(v).max() for v in sample) for sample in rows], rtol=1e-12)
    assert np.allclose(found.two_norm, [max(np.linalg.norm(v) for v in sample) for sample in rows], rtol=1e-12)
    assert found.squares is not None and np.allclose(found.squares, sum(v**2 for sample in rows for v in sample), rtol=1e-12)


SHAPES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 3, "dilation": 2, "padding": 2},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (3, 5), "padding": "same", "dilation": 2},
    {"kernel_size": 3, "padding": 2, "padding_mode": "reflect"},
    {"kernel_size": 3, "padding": (1, 2), "padding_mode": "circular"},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolution_patch_by_patch(shape: dict) -> None:
    """A convolution is a matrix on unfolded patches; each patch is one token."""
    torch.manual_seed(1)
    layer = nn.Conv2d(3, 4, **shape).double()
    inputs, removed = torch.randn(2, 3, 7, 6).double(), torch.randn_like(layer.weight)
    padding = shape.get("padding", 0)
    mode = {"zeros": "constant"}.get(layer.padding_mode, layer.padding_mode)
    if padding == "same":
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        pads = [spans[1] // 2, spans[1] - spans[1] // 2, spans[0] // 2, spans[0] - spans[0] // 2]
    else:
        high, wide = padding if isinstance(padding, tuple) else (padding, padding)
        pads = [wide, wide, high, high]
    patches = F.unfold(F.pad(inputs, pads, mode=mode), layer.kernel_size, layer.dilation, 0, layer.stride).numpy()
    matrix = removed.reshape(4, -1).numpy()
    found = path_of(layer, inputs, removed)
    assert found.tokens == patches.shape[2]
    assert np.allclose(found.size, np.abs(matrix @ patches).max(axis=(1, 2)), rtol=1e-12)
    assert np.allclose(found.two_norm, np.sqrt((patches**2).sum(axis=1)).max(axis=1), rtol=1e-12)
    assert found.squares is not None and np.allclose(found.squares, (patches**2).sum(axis=(0, 2)), rtol=1e-12)
    assert np.allclose(found.max_norm, inputs.abs().amax((1, 2, 3)).numpy(), rtol=0)


def test_grouped_convolution_group_by_group() -> None:
    torch.manual_seed(2)
    layer = nn.Conv2d(4, 6, 3, groups=2).double()
    inputs, removed = torch.randn(2, 4, 5, 5).double(), torch.randn_like(layer.weight)
    halves = [F.unfold(inputs[:, part], 3).numpy() for part in (slice(0, 2), slice(2, 4))]
    rows = [removed[part].reshape(3, -1).numpy() for part in (slice(0, 3), slice(3, 6))]
    found = path_of(layer, inputs, removed)
    sizes = [np.abs(matrix @ patches).max(axis=(1, 2)) for matrix, patches in zip(rows, halves, strict=True)]
    norms = [np.sqrt((patches**2).sum(axis=1)).max(axis=1) for patches in halves]
    assert np.allclose(found.size, np.maximum(*sizes), rtol=1e-12)
    assert np.allclose(found.two_norm, np.maximum(*norms), rtol=1e-12)
    assert found.squares is None, "its rows read different inputs"


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.idle = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


@pytest.mark.parametrize(("name", "words"), [("layer", "uses this layer twice"), ("idle", "never uses this layer")])
def test_a_layer_without_exactly_one_input_is_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(Refused, match=f"{name}: .*{words}"):
        data_paths(Twice(), {name: Target(name, "linear", (3, 3))}, torch.ones(1, 3))


def test_a_refused_network_keeps_no_hooks() -> None:
    network = Twice()
    with pytest.raises(Refused):
        data_paths(network, {"layer": Target("layer", "linear", (3, 3))}, torch.ones(1, 3))
    assert not network.layer._forward_pre_hooks


def test_the_weights_are_those_of_the_reference_and_moments_are_means() -> None:
    """Evidence over unequal batches is the mean over all samples and tokens, not the mean of batch means."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    images = torch.randn(5, 2, 3, 3)
    found = collect(network, describe(network), [images[:4], images[4:]], split="a" * 64)
    assert found.samples == 5
    patches = F.unfold(images.double(), 2).numpy()
    hidden = nn.Sequential(*list(network)[:3]).double()(images.double()).detach().numpy()
    network.float()
    assert np.allclose(found.parts["moments"]["0"], (patches**2).mean(axis=(0, 2)), rtol=1e-6)
    assert np.allclose(found.parts["moments"]["3"], (hidden**2).mean(axis=0), rtol=1e-6)
    assert np.array_equal(found.weights["0"], network.state_dict()["0.weight"].double().reshape(3, 8).numpy())
    assert found.parts["moments"]["3"].shape == (12,)
