"""The largest loss a last normalisation allows: no input exceeds it, some input comes close, other endings have none."""

from __future__ import annotations

import math
from typing import Any

import jobs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from certify.networks.ceilings import WIDER, loss_ceiling
from certify.networks.loading import build
from certify.records.recipe import ModelRecipe


def vit(classes: int = 5, seed: int = 0, scale: float = 1.0, **kwargs: Any) -> Any:
    """A small transformer whose last normalisation and head are far from their initial values."""
    torch.manual_seed(seed)
    about = jobs.DIGITS["model"]
    model: Any = build(ModelRecipe(about["name"], "", classes, about["kwargs"] | kwargs)).eval()
    last = model.norm if isinstance(model.fc_norm, nn.Identity) else model.fc_norm
    with torch.no_grad():
        for tensor in (last.weight, last.bias, model.head.weight, model.head.bias):
            tensor.normal_(0.0, scale)
    return model


def worst_loss(model: Any, images: torch.Tensor) -> float:
    with torch.no_grad():
        return float(-torch.log_softmax(model(images).double(), dim=1).min())


@given(seed=st.integers(0, 50), size=st.sampled_from([0.0, 1.0, 1e3, 1e6]), pool=st.sampled_from(["avg", "token"]))
def test_no_input_exceeds_it(seed: int, size: float, pool: str) -> None:
    model = vit(seed=seed, global_pool=pool, class_token=pool == "token", fc_norm=seed % 2 == 0)
    images = size * torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    ceiling = loss_ceiling(model)
    assert ceiling is not None and worst_loss(model, images) <= ceiling


def test_it_is_attained_for_two_classes() -> None:
    """A vector along the difference of the two rows normalises to the end of the ball."""
    model = vit(classes=2)
    rows = (model.head.weight[1] - model.head.weight[0]) * model.fc_norm.weight
    with torch.no_grad():
        logits = model.head(model.fc_norm(1e3 * torch.stack([rows, -rows]))).double()
    found = float(-torch.log_softmax(logits, dim=1).min())
    ceiling = loss_ceiling(model)
    assert ceiling is not None
    assert found <= ceiling and found == pytest.approx((ceiling - WIDER) / (1 + WIDER), rel=1e-4)
    # Negative control: without gamma the ball would be another one.
    bare = math.sqrt(16) * float((model.head.weight[1] - model.head.weight[0]).detach().norm())
    assert abs(bare - found) > 0.1


def test_equal_logits_leave_the_logarithm_of_the_classes() -> None:
    model = vit()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    assert loss_ceiling(model) == pytest.approx(math.log(5) * (1 + WIDER) + WIDER)


def test_other_endings_have_none() -> None:
    about = jobs.RESNET
    assert loss_ceiling(build(ModelRecipe(about["name"], "", about["num_classes"], about["kwargs"]))) is None
    assert loss_ceiling(vit(global_pool="max", fc_norm=False)) is None
    assert loss_ceiling(vit(global_pool="max", fc_norm=True)) is not None
    headless = vit()
    headless.head = nn.Identity()
    assert loss_ceiling(headless) is None


def test_the_verifier_derives_the_same() -> None:
    from certify.verifier.limits import loss_ceiling as again

    model = vit(classes=7, seed=3)
    parts = (model.head.weight, model.head.bias, model.fc_norm.weight, model.fc_norm.bias)
    assert again(*(np.asarray(part.detach().double()) for part in parts)) == pytest.approx(loss_ceiling(model), rel=1e-12)
