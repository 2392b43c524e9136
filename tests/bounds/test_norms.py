"""Bounds by norms and by boxes lie above the truth; norms lie above true ones; shrunk ones are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from certify.bounds import norms as rung
from certify.bounds.enclosed import operations as on
from certify.bounds.enclosed.layers import transformer
from certify.bounds.enclosed.taylor import Weights
from certify.bounds.exact.affine import Window
from certify.bounds.norms import gain, half_gain, norms
from certify.networks.loading import State, state_of
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Refused

END, NOW = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)


def network(kind: str) -> tuple[nn.Module, Tensor]:
    if kind == "mlp":
        return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.GELU(), nn.Linear(6, 3)), torch.randn(3, 5)
    trunk = (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.MaxPool2d(2, 1), nn.AvgPool2d(2))
    return nn.Sequential(*trunk, nn.Conv2d(4, 4, 2, groups=2), nn.Flatten(), nn.Linear(4, 3)), torch.randn(3, 2, 5, 5)


def pair(model: nn.Module, seed: int, *, statistics: bool) -> tuple[nn.Module, State, State]:
    generator = torch.Generator().manual_seed(seed)
    reference = state_of(model.eval())
    shipped = {
        name: tensor * (1 + 0.3 * torch.rand(tensor.shape, generator=generator))
        if tensor.is_floating_point() and (statistics or not name.startswith("1."))
        else tensor
        for name, tensor in reference.items()
    }
    return model, reference, shipped


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_truth_lies_below(kind: str, statistics: bool) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        model, images = network(kind)
        both = pair(model, seed, statistics=statistics)
        found = norms(*both, images)
        path = Segment(*both).path(images, np.linspace(0, 1, 101))
        true = np.abs(path - path[-1]).max(axis=(0, 2))
        assert (found.change >= true).all() and np.isfinite(found.change).all()
        assert (found.box >= true).all() and np.isfinite(found.box).all() == (kind == "mlp" or not statistics)
        assert found.layers[0] == "0" and len(found.layers) == len(found.lipschitz) == len(found.moved)
        if not statistics or kind == "mlp":
            assert found.change.max() < 1e3 * true.max(), "loose, not absurd, on a small network"


def test_boxes_contain_corners() -> None:
    """Weights drawn on their own from end to end, ends included: every logit stays in the box."""
    torch.manual_seed(0)
    model, images = network("mlp")
    model, reference, shipped = pair(model, 0, statistics=True)
    box = norms(model, reference, shipped, images).box
    segment = Segment(model, reference, shipped)
    last, worst = segment.logits(images, 1.0), np.zeros(3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(200):
        mixed = {k: torch.where(torch.rand(t.shape, generator=generator) < 0.5, t, shipped[k]) for k, t in reference.items()}
        worst = np.maximum(worst, np.abs(Segment(model, mixed, mixed).logits(images, 1.0) - last).max(1))
    assert (box >= worst).all() and (box < 20 * worst).all()


def test_an_instance_of_equality() -> None:
    """One matrix on its own: the bound is the largest row of R v, up to the l2 norm; a network that stands still: 0."""
    model = nn.Sequential(nn.Linear(4, 1, bias=False))
    reference, shipped = {"0.weight": torch.ones(1, 4)}, {"0.weight": torch.zeros(1, 4)}
    found = norms(model, reference, shipped, torch.ones(2, 4))
    np.testing.assert_allclose(found.change, 4.0, rtol=1e-11)
    np.testing.assert_allclose(found.box, 4.0, rtol=1e-11)
    np.testing.assert_allclose(found.lipschitz, 1.0, rtol=1e-11)
    still = norms(model, reference, reference, torch.ones(2, 4))
    assert not still.change.any() and still.layers == () and still.box.max() < 1e-12


def jacobian_norm(operation: on.Operation, x: Tensor) -> float:
    jacobian: Any = torch.autograd.functional.jacobian(lambda t: operation.value(NOW, t[None])[0], x)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2))


def operations() -> list[tuple[on.Operation, tuple[int, ...]]]:
    torch.manual_seed(0)

    def weights(*shape: int) -> Weights:
        return Weights(torch.randn(*shape, dtype=torch.float64), None)

    windows = [
        (Window((3, 3), (1, 1), (1, 1)), 2),
        (Window((3, 2), (2, 1), (0, 0)), 1),
        (Window((2, 2), (2, 2), (0, 0)), 2),
        (Window((3, 1), (2, 1), (1, 0), (2, 1)), 1),
    ]
    found: list[tuple[on.Operation, tuple[int, ...]]] = [(on.Linear(weights(4, 6), None), (6,)), (on.Gelu(), (9,))]
    for window, groups in windows:
        terms = 4 // groups * window.kernel[0] * window.kernel[1]
        found.append((on.Convolution(weights(groups, 4 // groups, terms), None, window), (4, 6, 6)))
        found.append((on.Average((-1,), False, window.kernel[0] * window.kernel[1], window), (2, 6, 6)))
        if window.dilation == (1, 1):
            found.append((on.MaxPool(window), (2, 6, 6)))
    variance = Weights(torch.rand(4, 1, 1, dtype=torch.float64) + 0.1, None)
    found.append((on.BatchNorm(weights(4, 1, 1), weights(4, 1, 1), variance, weights(4, 1, 1), 1e-5), (4, 2, 2)))
    return [*found, (on.Kink(-1.0), (5,)), (on.Kink(0.2), (5,)), (on.Average((2, 3), True, 16), (3, 4, 4))]


def gains_hold() -> bool:
    """Norms of derivatives lie below, and some come close."""
    ratios = []
    for operation, shape in operations():
        generator = torch.Generator().manual_seed(1)
        points = [3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(4)]
        points.append(torch.arange(np.prod(shape), dtype=torch.float64).reshape(shape))
        bound = gain(operation)
        ratios.append(max(jacobian_norm(operation, x) for x in points) / bound)
    assert min(ratios) > 0.3, "not so loose that the test could not fail"
    return max(ratios) <= 1 + 1e-12


def test_norms_of_operations() -> None:
    assert gains_hold()


@pytest.mark.parametrize("planted", ["spread", "_readers", "GELU_SLOPE"])
def test_a_norm_too_small_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest: Any = getattr(rung, planted)
    if planted == "spread":
        monkeypatch.setattr(rung, planted, lambda w: type(honest(w))(0.9 * honest(w).most, honest(w).step))
    else:
        monkeypatch.setattr(rung, planted, 1.0 if planted == "GELU_SLOPE" else lambda window: max(1, honest(window) - 3))
    assert not gains_hold()


def test_transformers_have_their_constants() -> None:
    """Half-blocks behind each other: astronomically large, above differences of the network itself; the rest is unknown."""
    timm = import_timm()
    torch.manual_seed(0)
    sizes = {"img_size": 4, "patch_size": 2, "in_chans": 1, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 3}
    model = timm.models.vision_transformer.VisionTransformer(**sizes, global_pool="avg", class_token=False).eval()
    reference = state_of(model)
    shipped = {k: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if t.ndim == 2 else t for k, t in reference.items()}
    found = norms(model, reference, shipped, torch.randn(2, 1, 4, 4))
    assert found.layers == ("patch_embed", "blocks.0.attn", "blocks.0.mlp", "blocks.1.attn", "blocks.1.mlp")
    assert (np.diff(found.lipschitz) < 0).all() and found.lipschitz[0] > 1e6
    assert np.isinf(found.change).all() and np.isinf(found.box).all()
    net = transformer(model, reference, shipped)
    generator = torch.Generator().manual_seed(0)
    for state in (reference, shipped):
        blocks: Any = Segment(model, state, state).network
        for number, half in enumerate(net.halves):
            block = blocks.blocks[number // 2]
            part = (lambda t, b=block: t + b.attn(b.norm1(t))) if number % 2 == 0 else (lambda t, b=block: t + b.mlp(b.norm2(t)))
            for size in (1e-3, 1.0):
                x = size * torch.randn(1, 4, 8, generator=generator, dtype=torch.float64)
                jacobian: Any = torch.autograd.functional.jacobian(part, x)
                assert float(torch.linalg.matrix_norm(jacobian.reshape(32, 32), 2)) <= half_gain(half, 4)


def test_what_is_not_known_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    with pytest.raises(Refused, match="1 is a Tanh"):
        norms(model, state_of(model), state_of(model), torch.randn(1, 3))
