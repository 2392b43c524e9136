"""Transformers of many tokens: errors through all heads at once, and still half-blocks in balls."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from enclosing import inside
from test_enclosed import VARIANTS, exact_half, vision
from torch import Tensor

from certify.bounds.enclosed import Encloser, many, road, still
from certify.bounds.enclosed.layers import Attention, first_moving, transformer
from certify.bounds.enclosed.steps import Pieces, attention, mlp, tokens_of
from certify.bounds.enclosed.taylor import Model
from certify.networks.loading import state_of
from certify.networks.segment import Segment
from certify.records import Refused
from certify.verifier import balls

MOVING = ["blocks.2.attn.proj.weight", "blocks.1.mlp.fc2.bias", "norm.weight", "fc_norm.weight", "head.weight"]
IMAGE = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(7))


def halved(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {
        name: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if name in names else t for name, t in state.items()
    }


@cache
def attentions(variant: str, seed: int) -> list[tuple[Any, Any, Model, Model, Pieces]]:
    """Attention halves on a wide piece: (half, way, model before, model after, piece)."""
    model = vision(seed, **(VARIANTS[variant] | {"depth": 2}))
    generator = torch.Generator().manual_seed(seed)
    shipped = {name: t + 0.05 * torch.randn(t.shape, generator=generator) for name, t in state_of(model).items()}
    net = transformer(model, state_of(model), shipped)
    at = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([2.0**-7], dtype=torch.float64))
    x, found = tokens_of(IMAGE.double(), net, at, 6), []
    for half in net.halves:
        x = Model(x.coef, torch.zeros_like(x.rem))
        out, way = attention(x, half, at) if isinstance(half, Attention) else mlp(x, half, at)
        if isinstance(half, Attention):
            found.append((half, way, x, out, at))
        x = out
    return found


@pytest.mark.claim("PE5-stacked-heads")
@pytest.mark.parametrize("radius", [1e-6, 1e-2])
@pytest.mark.parametrize("variant", ["average", "token", "scaled", "one head"])
def test_errors_through_all_heads_at_once(variant: str, radius: float) -> None:
    """Derivatives on the tube, applied to errors of the sizes stated: the worst found by ascent, token by token."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        for half, way, x, out, at in attentions(variant, seed):
            tokens = x.rem.shape[1]
            error = radius * torch.rand(1, tokens, generator=generator, dtype=torch.float64)
            gain = many.stacked_gain(half, way, at, error)
            bound, of_ones = gain.spread(error), gain.spread(torch.ones_like(error))
            closest = 0.0
            for u in (-1.0, 0.2, 1.0):
                centre, after = (
                    torch.einsum("k,kmtd->mtd", u ** torch.arange(7, dtype=torch.float64), m.coef)[0] for m in (x, out)
                )
                theta = float(at.mid + u * at.half)
                step = torch.randn(centre.shape, generator=generator, dtype=torch.float64)
                moved = centre + step / step.norm(dim=-1, keepdim=True) * error[0, :, None]
                off = (exact_half(half, moved, theta) - after).norm(dim=-1)
                assert (off <= bound[0] + out.rem[0].norm(dim=-1) + 1e-14).all()
                for point in (centre, moved):
                    jacobian = torch.autograd.functional.jacobian(lambda t, h=half, th=theta: exact_half(h, t, th), point)
                    for sizes, most in ((error[0], bound[0]), (torch.ones(tokens).double(), of_ones[0])):
                        reached = torch.stack([worst(jacobian[i], sizes, generator) for i in range(tokens)])
                        assert (reached <= most * (1 + 1e-9)).all()
                        closest = max(closest, float((reached / most).max()))
            assert closest > 0.12, "not so loose that the test could not fail"


def worst(rows: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
    """max |sum_j J_j d_j| over |d_j| <= sizes_j as ascent finds it; rows (dim, tokens, dim)."""
    best = torch.tensor(0.0, dtype=torch.float64)
    for _ in range(4):
        d = torch.randn(rows.shape[1:], generator=generator, dtype=torch.float64)
        for _ in range(20):
            d = d / d.norm(dim=-1, keepdim=True).clamp(min=1e-300) * sizes[:, None]
            out = torch.einsum("atb,tb->a", rows, d)
            best = torch.maximum(best, out.norm())
            d = torch.einsum("atb,a->tb", rows, out)
    return best


@pytest.mark.parametrize("planted", ["values", "norms", "tube"])
def test_a_spread_too_small_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spread, deviation, tube = many.spread, many.deviation, many.tube
    if planted == "values":
        monkeypatch.setattr(many, "deviation", lambda *a: 0.02 * deviation(*a))
        monkeypatch.setattr(many, "spread", lambda w: type(spread(w))(0.4 * spread(w).most, spread(w).step))
    elif planted == "norms":
        monkeypatch.setattr(many, "spread", lambda w: type(spread(w))(0.2 * spread(w).most, spread(w).step))
    else:
        thin = lambda *a: type(tube(*a))(tube(*a).unit_move, 0.2 * tube(*a).inverse, 0 * tube(*a).inverse, tube(*a).out_error)  # noqa: E731
        monkeypatch.setattr(many, "tube", thin)
    with pytest.raises(AssertionError, match=r"all\(\)|\.all"):
        test_errors_through_all_heads_at_once("one head", 1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_deviations_bound_covariances(variant: str) -> None:
    for _, way, _, _, _ in attentions(variant, 0):
        still_p = way.p.coef[0]
        v, o = way.v.coef[0], still_p @ way.v.coef[0]
        found = many.deviation(way.v, 0 * o, torch.zeros(v.shape[:3]).double(), still_p)
        gap = v[:, :, None] - o[:, :, :, None]
        exact = torch.linalg.matrix_norm(still_p.sqrt()[..., None] * gap, 2, dim=(-2, -1))
        assert (exact <= found * (1 + 1e-12)).all()


@pytest.mark.parametrize("tensor", MOVING)
@pytest.mark.parametrize("variant", VARIANTS)
def test_still_half_blocks(variant: str, tensor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In balls and in float64, blocks put together or not: each encloses the network, balls most tightly."""
    model = vision(3, **(VARIANTS[variant] | {"depth": 3}))
    state = state_of(model)
    if tensor not in state:
        pytest.skip("no such tensor")
    shipped = state | {tensor: 0.7 * state[tensor]}
    segment, rem = Segment(model, state, shipped), []
    for blocks, ask in ((2**26, False), (1, False), (1, True)):
        if ask:
            pytest.importorskip("flint")
        monkeypatch.setattr(road, "BLOCKS", blocks)
        found = Encloser(model, state, shipped, degree=6, balls=ask).enclose(IMAGE, start=2, tolerance=1e-6)
        assert inside(found, segment, IMAGE, np.linspace(0.0, 1.0, 15)) <= 1e-13
        rem.append(found.rem.max())
        path = segment.path(IMAGE[None], np.linspace(0.0, 1.0, 101))[:, 0]
        true = np.abs(path - path[-1]).max(0)
        assert (found.deviation() >= true - 1e-13).all() and found.deviation().max() <= 1.02 * true.max()
    assert rem[-1] <= min(rem)


def test_balls_agree_with_float64_and_with_the_verifier() -> None:
    pytest.importorskip("flint")
    model = vision(5, depth=2, class_token=True)
    state = state_of(model)
    net = transformer(model, state, state)
    number = first_moving(net)
    assert number == len(net.halves) == 4
    found = still.begin_in_balls(net, IMAGE.double(), number)
    loose = road._begin(net, IMAGE.double(), False)
    assert loose is not None
    off = (found.centre - loose.centre).norm(dim=-1)
    assert (off <= found.error + loose.error).all() and (found.error <= 1e-14).all() and (found.error > 0).all()
    # The head alone is left to float64: the verifier's 200-bit logits lie within its rounding.
    arrays = {name: t.double().numpy() for name, t in state.items()}
    with balls.precision():
        exact = balls.logits(model, arrays, arrays, 0.0, IMAGE.double().numpy())
        exact = np.array([float(exact[0, k]) for k in range(3)])
    enclosed = Encloser(model, state, state, balls=True).enclose(IMAGE)
    value, error = enclosed.last_logits()
    assert (np.abs(value - exact) <= error + 1e-16).all() and error.max() < 1e-12


def test_a_unit_of_float64_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a centre of balls moved by 2^-40 leaves what is stated."""
    pytest.importorskip("flint")
    model = vision(5, depth=2)
    net = transformer(model, state_of(model), state_of(model))
    truth = still.begin_in_balls(net, IMAGE.double(), 4)
    monkeypatch.setattr(still, "BITS", 30)
    rough = still.begin_in_balls(net, IMAGE.double(), 4)
    off = (truth.centre - rough.centre).norm(dim=-1)
    assert (off <= truth.error + rough.error).all() and rough.error.max() > 1e-8 > 1e-14 > truth.error.max()


def test_what_moves_first() -> None:
    model = vision(0, depth=2, init_values=0.5, class_token=True, global_pool="token")
    state = state_of(model)
    for name, number in {
        "patch_embed.proj.bias": 0,
        "cls_token": 0,
        "pos_embed": 0,
        "blocks.0.norm1.weight": 0,
        "blocks.0.ls2.gamma": 1,
        "blocks.1.attn.qkv.bias": 2,
        "blocks.1.mlp.fc1.weight": 3,
        "norm.bias": 4,
        "head.weight": 4,
    }.items():
        assert first_moving(transformer(model, state, state | {name: state[name] + 1.0})) == number, name


def test_without_flint_balls_are_refused_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vision(0, depth=2)
    state = state_of(model)
    shipped = halved(state, "blocks.1.mlp.fc2.weight")
    monkeypatch.setattr(still, "find_spec", lambda name: None)
    monkeypatch.setattr(road, "BLOCKS", 1)
    with pytest.raises(Refused, match="python-flint is not installed, which balls need"):
        Encloser(model, state, shipped, balls=True).enclose(IMAGE)
    assert np.isfinite(Encloser(model, state, shipped).enclose(IMAGE).deviation()).all()
