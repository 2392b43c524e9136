"""Hidden units: who writes them, their states, and the loss's first-order answer to masks on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from certify.networks.evidence import collect
from certify.networks.gathering import gather
from certify.networks.hidden import Hidden, hidden_layers, observe
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.records import Evidence, Refused, Usage


class Norm(nn.Module):
    """A layer norm stands between writer and reader: the reader's inputs are not the writer's rows, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.norm(self.one(x)))


def mlp(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)).eval()


IMAGES = torch.randn(10, 1, 2, 2, generator=torch.Generator().manual_seed(1))
LABELS = np.arange(10) % 3


def evidence(model: nn.Module, parts: tuple[str, ...] = ("states", "taylor"), batch: int = 10, **options: object) -> Evidence:
    return gather(model, describe(model), lambda: IMAGES.split(batch), split="a" * 64, parts=parts, labels=LABELS, **options)  # type: ignore[arg-type]


def test_layers_of_a_plain_network_and_of_a_transformer():
    assert hidden_layers(mlp(), describe(mlp()), IMAGES) == [Hidden("3", "1"), Hidden("5", "3")]
    timm = import_timm()
    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=2, in_chans=1, embed_dim=12, depth=1, num_heads=3
    ).eval()
    found = hidden_layers(vit, describe(vit), torch.randn(1, 1, 8, 8))
    assert found == [Hidden("blocks.0.attn.proj", "blocks.0.attn.qkv", 24), Hidden("blocks.0.mlp.fc2", "blocks.0.mlp.fc1")]


def test_layers_behind_a_norm_and_layers_used_twice_have_no_units():
    assert hidden_layers(Norm().eval(), describe(Norm()), torch.randn(2, 4)) == []
    shared = nn.Linear(4, 4)
    twice = nn.Sequential(nn.Flatten(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(4, 3)).eval()
    assert [layer.reader for layer in hidden_layers(twice, describe(twice), IMAGES)] == []


def test_states_are_those_of_the_forward_pass():
    model = mlp()
    found = evidence(model)
    assert found.producers == {"3": "1", "5": "3"}
    before = model[1](IMAGES.flatten(1)).detach().double().numpy()
    assert np.allclose(found.part("states", "3")[0], before, atol=1e-6)
    assert np.allclose(found.part("states", "3")[1], np.maximum(before, 0), atol=1e-6)
    assert np.allclose(found.part("states", "5")[1], F.gelu(torch.tensor(found.part("states", "5")[0])).numpy(), atol=1e-6)


def test_values_and_context_of_attention():
    timm = import_timm()
    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=2, in_chans=1, embed_dim=12, depth=1, num_heads=3
    ).eval()
    images = torch.randn(3, 1, 8, 8)
    found = gather(vit, describe(vit), lambda: [images], split="a" * 64, parts=("states",)).part("states", "blocks.0.attn.proj")
    qkv: dict[str, torch.Tensor] = {}
    vit.blocks[0].attn.qkv.register_forward_hook(lambda layer, inputs, output: qkv.update(out=output))
    vit(images)
    assert np.allclose(found[0], qkv["out"][..., 24:].detach().reshape(-1, 12).double().numpy(), atol=1e-5)
    assert found.shape == (2, 3 * 17, 12) and not np.allclose(found[0], found[1])


@pytest.mark.parametrize("batch", [10, 5, 1])
def test_taylor_is_the_derivative_of_a_mask(batch):
    model = mlp()
    found = evidence(model, ("taylor",), batch).part("taylor", "3")
    wanted = np.zeros(6)
    for images, labels in zip(IMAGES.split(batch), torch.from_numpy(LABELS).split(batch), strict=True):
        mask = torch.ones(6, dtype=torch.float64, requires_grad=True)
        double = mlp().double()
        hidden = double[2](double[1](images.double().flatten(1))) * mask
        F.cross_entropy(double[5](double[4](double[3](hidden))), labels).backward()
        assert mask.grad is not None
        wanted += mask.grad.abs().numpy()
    assert np.allclose(found, wanted, rtol=1e-9)


def test_a_draw_of_tokens_is_seeded_uniform_and_the_same_for_every_layer():
    model = mlp()
    empty = collect(model, describe(model), [IMAGES], split="a" * 64)
    draws = [
        observe(model, empty, describe(model), IMAGES.split(3), parts=("states",), tokens=4, seed=seed) for seed in (0, 0, 1)
    ]
    whole = observe(model, empty, describe(model), [IMAGES], parts=("states",))
    one, again, other = (draw.part("states", "3")[0] for draw in draws)
    assert one.shape == (4, 6) and np.array_equal(one, again) and not np.array_equal(one, other)
    rows = [int(np.argmin(np.abs(whole.part("states", "3")[0] - row).sum(axis=1))) for row in one]
    assert len(set(rows)) == 4
    assert np.allclose(draws[0].part("states", "5")[0], whole.part("states", "5")[0][rows], atol=1e-9)


def test_evidence_with_states_is_kept_whole_on_disk(tmp_path):
    found = evidence(mlp(), ("states", "taylor", "moments"))
    found.save(tmp_path / "e.safetensors")
    again = Evidence.load(tmp_path / "e.safetensors")
    assert again.producers == found.producers
    assert np.array_equal(again.part("states", "5"), found.part("states", "5"))
    plain = evidence(mlp(), ("moments",))
    plain.save(tmp_path / "plain.safetensors")
    assert Evidence.load(tmp_path / "plain.safetensors").producers == {}
    assert b"producers" not in (tmp_path / "plain.safetensors").read_bytes()


def test_what_cannot_be_collected_is_said():
    model = mlp()
    with pytest.raises(Usage, match="is none of"):
        evidence(model, ("movements",))
    with pytest.raises(Usage, match="needs labels"):
        gather(model, describe(model), lambda: [IMAGES], split="a" * 64, parts=("taylor",))
    with pytest.raises(Refused, match="no calibration image"):
        observe(model, collect(model, describe(model), [IMAGES], split="a" * 64), describe(model), [], parts=("states",))
