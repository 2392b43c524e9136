"""Models for the deployment tests: built once, tiny where they run, on the meta device where only shapes matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from certify.networks.loading import build
from certify.networks.vision import import_timm
from certify.records.recipe import ModelRecipe


@pytest.fixture(scope="session")
def meta() -> Callable[[str], nn.Module]:
    """A timm model without memory."""
    return lambda name: build(ModelRecipe(name), meta=True)


@pytest.fixture
def vit() -> nn.Module:
    """A ViT of two heads and three blocks on 4 x 4 patches of 8: 17 tokens; random, eval mode."""
    torch.manual_seed(0)
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, num_classes=10
    )
    return model.eval().requires_grad_(False)
