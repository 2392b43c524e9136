"""Balls of inputs: every image within, corners and ascents included, moves no more than is proved for the ball."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from enclosing import spread_over
from torch import Tensor, nn

from certify.bounds import prove
from certify.bounds.enclosed import Encloser, road
from certify.networks.loading import State, state_of
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Refused


def vision(**options: object) -> nn.Module:
    torch.manual_seed(2)
    small = {"img_size": 4, "patch_size": 2, "in_chans": 1, "embed_dim": 8, "depth": 1, "num_heads": 2, "num_classes": 3}
    model = import_timm().models.vision_transformer.VisionTransformer(**(small | options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def chain(act: type[nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 9), act(), nn.Linear(9, 7), act(), nn.Linear(7, 3)).eval()


def convolutional() -> nn.Module:
    torch.manual_seed(4)
    pool = nn.MaxPool2d(2)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(12, 3)).eval()


NETWORKS = {
    "ViT": lambda: vision(),
    "ViT, mean": lambda: vision(global_pool="avg", class_token=False),
    "GELU": lambda: chain(nn.GELU),
    "ReLU": lambda: chain(nn.ReLU),
    "convolutions": convolutional,
}


def halved(model: nn.Module) -> State:
    return {
        name: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if t.ndim > 1 and "weight" in name else t
        for name, t in state_of(model).items()
    }


def within(image: Tensor, radius: float, segment: Segment) -> Tensor:
    """Images of the ball: corners at random, random points, and corners up the change of each class between both ends."""
    generator = torch.Generator().manual_seed(5)
    corners = torch.sign(torch.randn((30, *image.shape), generator=generator, dtype=torch.float64))
    inner = 2 * torch.rand((30, *image.shape), generator=generator, dtype=torch.float64) - 1
    shifts = [corners, inner]
    network = segment.network
    for k in range(3):
        slopes = []
        for theta in (0.0, 1.0):
            x = image[None].clone().requires_grad_()
            segment.logits(image[None], theta)
            (slope,) = torch.autograd.grad(network(x)[0, k], x)
            slopes.append(slope)
        shifts += [sign * torch.sign(slopes[0] - slopes[1]) for sign in (1, -1)]
    return image + radius * torch.cat(shifts)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("radius", [1e-6, 1e-3])
def test_every_image_of_the_ball_is_inside(name: str, radius: float) -> None:
    model = NETWORKS[name]()
    reference, shipped = state_of(model), halved(model)
    image = torch.randn(1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    segment = Segment(model, reference, shipped)
    found = Encloser(model, reference, shipped).enclose(image, radius=radius)
    alone = Encloser(model, reference, shipped).enclose(image)
    images = within(image, radius, segment)
    path = segment.path(images, np.linspace(0, 1, 41))
    changes = np.abs(path - path[-1]).max(axis=(0, 1))
    assert (changes <= found.deviation()).all() and (found.deviation() >= alone.deviation()).all()
    relative = path - path[..., :1]
    assert (np.abs(relative - relative[-1]).max(axis=(0, 1)) <= found.against(0)).all()
    last, error = found.last_logits()
    assert (np.abs(path[-1] - last) <= error).all()
    for theta in np.linspace(0, 1, 41):
        centre, rem = spread_over(found, float(theta))
        assert (np.abs(path[round(40 * theta)] - centre) <= rem).all()
    if radius == 1e-6:
        assert np.allclose(found.deviation(), alone.deviation(), rtol=0.02, atol=1e-3), "a small ball costs little"


def test_a_ball_forgotten_at_the_embedding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vision()
    segment = Segment(model, state_of(model), halved(model))
    image = torch.randn(1, 4, 4, dtype=torch.float64)
    path = segment.path(within(image, 1e-3, segment), np.array([1.0]))[0]
    ball = road.ball

    def misses() -> bool:
        last, error = Encloser(model, state_of(model), halved(model)).enclose(image, radius=1e-3).last_logits()
        return bool((np.abs(path - last) > error).any())

    assert not misses()
    monkeypatch.setattr(road, "ball", lambda *a: 0.01 * ball(*a))
    assert misses()


def test_the_door() -> None:
    model = chain(nn.ReLU)
    shipped = state_of(model) | {"3.weight": halved(model)["3.weight"]}
    images = torch.randn(3, 1, 4, 4)
    assert prove(model, state_of(model), shipped, images).road == "exact"
    found = prove(model, state_of(model), shipped, images, radius=1e-4)
    assert found.road == "enclosed" and (found.change >= prove(model, state_of(model), shipped, images).change).all()
    with pytest.raises(Refused, match="a ball of inputs is not traced"):
        prove(model, state_of(model), shipped, images, road="exact", radius=1e-4)
    for radius in (-1.0, math.nan, math.inf):
        with pytest.raises(Refused, match=r"radius = .* is not a finite number of at least 0"):
            prove(model, state_of(model), shipped, images, road="enclosed", radius=radius)


def test_a_large_ball_is_vacuous_and_said_to_be() -> None:
    model = vision()
    found = prove(model, state_of(model), halved(model), torch.randn(1, 1, 4, 4), radius=10.0)
    assert np.isinf(found.change).all() and not found.unchanged.any()
