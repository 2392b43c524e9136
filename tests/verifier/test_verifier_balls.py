"""Networks in 200-bit balls: they agree with torch in float64, hold the exact value, and name what they do not know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certify.verifier import balls
from certify.verifier.network import import_timm

pytest.importorskip("flint")

VISION = {"img_size": 6, "patch_size": 2, "in_chans": 2, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 3}


def vision(**options: Any) -> nn.Module:
    torch.manual_seed(3)
    model = import_timm().models.vision_transformer.VisionTransformer(**(VISION | options)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def chain() -> nn.Module:
    torch.manual_seed(4)
    layers = nn.Flatten(), nn.Linear(72, 9), nn.ReLU(), nn.Linear(9, 7), nn.GELU(), nn.Linear(7, 3, bias=False)
    return nn.Sequential(*layers).double().eval()


NETWORKS = {
    "class token": lambda: vision(),
    "mean": lambda: vision(global_pool="avg", class_token=False),
    "mean, with a class token": lambda: vision(global_pool="avg"),
    "layer scale": lambda: vision(init_values=0.3),
    "positions of patches alone": lambda: vision(no_embed_class=True),
    "no bias of queries": lambda: vision(qkv_bias=False),
    "chain": chain,
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("theta", [0.0, 0.3, 1.0])
def test_as_torch_has_it(name: str, theta: float) -> None:
    model = NETWORKS[name]()
    end = {key: tensor.numpy().copy() for key, tensor in model.state_dict().items()}
    start = {key: np.where(np.abs(array) > 0.1, array, 0.0) for key, array in end.items()}
    image = torch.randn(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    found = balls.logits(model, start, end, theta, image.numpy())
    model.load_state_dict({key: torch.tensor(start[key] + theta * (end[key] - start[key])) for key in end})
    with torch.no_grad():
        expected = model(image[None])[0].numpy()
    assert np.allclose([float(found[0, k].mid()) for k in range(3)], expected, rtol=0, atol=1e-13 * (1 + np.abs(expected).max()))
    assert all(float(found[0, k].rad()) < 1e-40 for k in range(3))


def test_an_affine_map_is_exact() -> None:
    """2^-80 beside 1 is lost in float64 and kept in a ball."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    weight = {"0.weight": np.array([[1.0, 1.0]])}
    found = balls.logits(model, weight, weight, 1.0, np.array([1.0, 2.0**-80]))
    with balls.precision() as flint:
        assert (found[0, 0] - 1 - flint.arb(2) ** -80).contains(0) and not found[0, 0].contains(1)
        change = balls.largest_change(flint, found, flint.arb_mat([[1]]))
        assert change <= 2.0**-80 and not change <= 2.0**-81


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: nn.Sequential(nn.Linear(72, 3), nn.Tanh()), "1: a Tanh is not evaluated"),
        (lambda: nn.Sequential(nn.Linear(72, 3), nn.GELU(approximate="tanh")), "1: a GELU is not evaluated"),
        (lambda: nn.Bilinear(2, 2, 2), "a Bilinear is not evaluated"),
        (lambda: vision(reg_tokens=1), "register tokens"),
        (lambda: vision(qk_norm=True), "blocks.0.attn.q_norm: a LayerNorm is not evaluated"),
        (lambda: vision(act_layer=nn.SiLU), "a SiLU is not evaluated"),
    ],
)
def test_what_is_not_known_is_named(model: Any, said: str) -> None:
    network = model().double()
    state = {key: tensor.detach().numpy() for key, tensor in network.state_dict().items()}
    with pytest.raises(balls.Unknown, match=said):
        balls.logits(network, state, state, 0.5, np.zeros((2, 6, 6)))


def test_a_large_network_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balls, "LARGEST", 10)
    state = {key: tensor.numpy() for key, tensor in chain().state_dict().items()}
    with pytest.raises(balls.Unknown, match="weights; ball arithmetic takes up to 10"):
        balls.logits(chain(), state, state, 0.5, np.zeros((2, 6, 6)))
