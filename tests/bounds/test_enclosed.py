"""Enclosures of transformers: everything evaluated lies inside, gains bound true derivatives, what is not known is refused."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from enclosing import inside
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from certify.bounds.enclosed import Encloser, gains
from certify.bounds.enclosed.gains import Gain, attention_gain, head_gain, mlp_gain
from certify.bounds.enclosed.layers import Attention, transformer
from certify.bounds.enclosed.steps import Pieces, attention, head, mlp, tokens_of
from certify.bounds.enclosed.taylor import Model
from certify.networks.loading import state_of
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Refused


def vision(seed: int, **options: Any) -> nn.Module:
    timm = import_timm()
    torch.manual_seed(seed)
    kwargs = {
        "img_size": 4,
        "patch_size": 2,
        "in_chans": 1,
        "embed_dim": 8,
        "depth": 1,
        "num_heads": 2,
        "num_classes": 3,
        "mlp_ratio": 2.0,
        "global_pool": "avg",
        "class_token": False,
    }
    model = timm.models.vision_transformer.VisionTransformer(**(kwargs | options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.5 if "weight" in name and parameter.ndim > 1 else 0.2
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def changed(model: nn.Module, kind: str, seed: int) -> dict[str, Tensor]:
    """Another network: half of each matrix removed, one matrix alone, or everything moved a little."""
    state, generator = state_of(model), torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in state.items():
        matrix = tensor.ndim > 1 and name.endswith("weight")
        if kind == "moved":
            found[name] = tensor + 0.05 * torch.randn(tensor.shape, generator=generator)
        elif matrix and (kind == "half" or name == "blocks.0.attn.qkv.weight"):
            found[name] = torch.where(tensor.abs() > tensor.abs().median(), tensor, torch.zeros(()))
        else:
            found[name] = tensor
    return found


VARIANTS: dict[str, dict[str, Any]] = {
    "average": {},
    "token": {"class_token": True, "global_pool": "token"},
    "token unembedded": {"class_token": True, "global_pool": "token", "no_embed_class": True},
    "scaled": {"init_values": 0.5, "depth": 2},
    "average after norm": {"class_token": True, "fc_norm": False},
    "one head": {"num_heads": 1, "qkv_bias": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["half", "one", "moved"])
def test_evaluations_lie_inside(variant: str, kind: str) -> None:
    for seed in range(3):
        model = vision(seed, **VARIANTS[variant])
        shipped = changed(model, kind, seed)
        image = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(seed))
        found = Encloser(model, state_of(model), shipped, degree=6).enclose(image, start=4, tolerance=1e-2, most=64)
        segment = Segment(model, state_of(model), shipped)
        thetas = np.random.default_rng(seed).uniform(size=40)
        thetas = np.concatenate([thetas, found.mid - found.half, found.mid + found.half])
        assert inside(found, segment, image, thetas) <= 1e-12
        path = segment.path(image[None], np.linspace(0, 1, 101))[:, 0]
        true = np.abs(path - path[-1]).max(0)
        bound = found.deviation()
        assert (bound >= true - 1e-12).all() and (bound <= true * 1.1 + 0.1 * true.max()).all()
        winner = int(path[-1].argmax())
        margins = path - path[:, winner : winner + 1]
        assert (found.against(winner) >= np.abs(margins - margins[-1]).max(0) - 1e-12).all()
        value, error = found.last_logits()
        assert (np.abs(value - path[-1]) <= error + 1e-12).all()


def test_the_search_for_a_point_outside_finds_none() -> None:
    """Ascent in theta of the distance to the centre, from many starts, on each piece."""
    model = vision(11, depth=2)
    shipped = changed(model, "half", 11)
    image = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = Encloser(model, state_of(model), shipped, degree=3).enclose(image, start=2, tolerance=0.5, most=8)
    segment = Segment(model, state_of(model), shipped)
    worst = -math.inf
    for piece in range(len(found.mid)):
        low, high = found.mid[piece] - found.half[piece], found.mid[piece] + found.half[piece]
        for start in np.linspace(low, high, 9):
            theta, step = float(start), float(high - low) / 8
            here = inside(found, segment, image, np.array([theta]))
            while step > 1e-4 * (high - low):
                moves = [min(max(theta + s, low), high) for s in (-step, step)]
                values = [inside(found, segment, image, np.array([m])) for m in moves]
                best = int(np.argmax(values))
                if values[best] > here:
                    theta, here = moves[best], values[best]
                else:
                    step /= 2
            worst = max(worst, here)
    assert worst <= 1e-12 and found.rem.max() > 1e-8, "the pieces are wide: truncation, not rounding, is what is tested"


@cache
def half_way(variant: str, seed: int, error: float) -> list[tuple[Any, ...]]:
    """Half-blocks of a network on one wide piece: (half, model before, model after, gain, e) with a tube of the given radius."""
    model = vision(seed, **VARIANTS[variant])
    shipped = changed(model, "moved", seed)
    net = transformer(model, state_of(model), shipped)
    at = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.0625], dtype=torch.float64))
    image = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(seed)).double()
    x = tokens_of(image, net, at, 6)
    found = []
    for half in net.halves:
        x = Model(x.coef, torch.zeros_like(x.rem))
        e = torch.full(x.rem.shape[:2], error, dtype=torch.float64)
        if isinstance(half, Attention):
            out, way = attention(x, half, at)
            gain = attention_gain(half, way, at, e).norms()
        else:
            out, way = mlp(x, half, at)
            gain = torch.diag_embed(mlp_gain(half, way, at, e))
        found.append((half, x, out, gain, e))
        x = out
    return found


def exact_half(half: Any, x: Tensor, theta: float) -> Tensor:
    """A half-block in float64 at one theta; x (tokens, dim)."""

    def at(weights: Any) -> Tensor:
        return weights.start if weights.step is None else weights.start + theta * weights.step

    def affine(layer: Any, value: Tensor) -> Tensor:
        return value @ at(layer.weight).T + (0.0 if layer.bias is None else at(layer.bias))

    norm = half.norm
    y = torch.nn.functional.layer_norm(x, x.shape[-1:], at(norm.factor), at(norm.offset), norm.eps)
    if isinstance(half, Attention):
        tokens, dim = x.shape
        q, k, v = affine(half.qkv, y).reshape(tokens, 3, half.heads, dim // half.heads).permute(1, 2, 0, 3)
        weights = ((q @ k.transpose(-1, -2)) * half.scale).softmax(-1)
        out = affine(half.proj, (weights @ v).transpose(0, 1).reshape(tokens, dim))
    else:
        out = affine(half.fc2, torch.nn.functional.gelu(affine(half.fc1, y)))
    return x + (out if half.layer_scale is None else at(half.layer_scale) * out)


@pytest.mark.claim("PE1-token-gain")
@pytest.mark.parametrize("error", [1e-6, 1e-2])
@pytest.mark.parametrize("variant", ["average", "scaled", "one head", "token"])
def test_gains_bound_derivatives_on_the_tube(variant: str, error: float) -> None:
    for seed in range(3):
        for half, x, out, gain, e in half_way(variant, seed, error):
            generator = torch.Generator().manual_seed(seed)
            closest = 0.0
            for u in (-1.0, -0.3, 0.0, 0.6, 1.0):
                powers = u ** torch.arange(7, dtype=torch.float64)
                centre = torch.einsum("k,kmtd->mtd", powers, x.coef)[0]
                step = torch.randn(centre.shape, generator=generator, dtype=torch.float64)
                moved = centre + step / step.norm(dim=-1, keepdim=True) * e[0, :, None]
                theta = 0.5 + 0.0625 * u
                for point in (centre, moved):
                    jacobian = torch.autograd.functional.jacobian(lambda t, h=half, th=theta: exact_half(h, t, th), point)
                    norms = torch.linalg.matrix_norm(jacobian.permute(0, 2, 1, 3), 2)
                    assert (norms <= gain[0] * (1 + 1e-9) + 1e-12).all()
                    closest = max(closest, float((norms / gain[0].clamp(min=1e-9)).max()))
                # What the recursion says: |F(x + e) - p'| <= B e + remainder, token by token.
                after = torch.einsum("k,kmtd->mtd", powers, out.coef)[0]
                off = (exact_half(half, moved, theta) - after).norm(dim=-1)
                assert (off <= gain[0] @ e[0] + out.rem[0].norm(dim=-1) + 1e-13).all()
            assert closest > 0.15, "not so loose that the test could not fail"


@pytest.mark.parametrize("variant", ["average", "token", "average after norm"])
def test_gains_of_the_head(variant: str) -> None:
    model = vision(2, **VARIANTS[variant])
    shipped = changed(model, "moved", 2)
    net = transformer(model, state_of(model), shipped)
    at = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.0625], dtype=torch.float64))
    x = tokens_of(torch.randn(1, 4, 4).double(), net, at, 5)
    x = Model(x.coef, torch.zeros_like(x.rem))
    e = torch.full(x.rem.shape[:2], 1e-3, dtype=torch.float64)
    logits, way = head(x, net, at)
    reach = head_gain(net, x.coef.shape[2], way, at, e)
    own = Segment(model, state_of(model), shipped)
    generator = torch.Generator().manual_seed(0)
    for u in (-1.0, 0.0, 1.0):
        powers = u ** torch.arange(6, dtype=torch.float64)
        own.logits(torch.zeros(1, 1, 4, 4), 0.5 + 0.0625 * u)  # places the weights
        for _ in range(20):
            step = torch.randn(x.coef.shape[2:], generator=generator, dtype=torch.float64)
            tokens = torch.einsum("k,kmtd->mtd", powers, x.coef)[0] + 1e-3 * step / step.norm(dim=-1, keepdim=True)
            network: Any = own.network
            with torch.no_grad():
                exact = network.forward_head(network.norm(tokens[None]))[0]
            off = (exact - torch.einsum("k,kmc->mc", powers, logits.coef)[0]).abs()
            assert (off <= reach[0] @ e[0] + logits.rem[0] + 1e-13).all()


def pushed(gain: Gain, error: Tensor, generator: torch.Generator) -> Tensor:
    """(pieces, tokens) the largest ||sum_j J_ij r_j|| found: random r of norms e_j, turned towards what they give."""
    assert gain.blocks is not None
    pieces, tokens, _, dim, _ = gain.blocks.shape
    r = torch.randn((pieces, tokens, tokens, dim), generator=generator, dtype=torch.float64)
    best = torch.zeros((pieces, tokens), dtype=torch.float64)
    for _ in range(20):
        r = r / r.norm(dim=-1, keepdim=True).clamp(min=1e-300) * error[:, None, :, None]
        out = torch.einsum("mijab,mijb->mia", gain.blocks, r)
        best = torch.maximum(best, out.norm(dim=-1))
        r = torch.einsum("mijab,mia->mijb", gain.blocks, out)
    return best


@pytest.mark.claim("PE6-token-spread")
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([1, 3, 8]),
    st.sampled_from(["any", "aligned", "one", "zero"]),
)
def test_a_spread_bounds_every_error_within(seed: int, tokens: int, dim: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randn((2, tokens, tokens, dim, dim), generator=generator, dtype=torch.float64)
    if kind == "aligned":
        w, x = torch.randn((2, dim), generator=generator, dtype=torch.float64)
        blocks = torch.outer(w, x) * torch.rand((2, tokens, tokens, 1, 1), generator=generator, dtype=torch.float64)
    error = torch.rand((2, tokens), generator=generator, dtype=torch.float64) * 10.0 ** torch.randint(
        -12, 1, (1,), generator=generator
    )
    if kind == "one":
        error[:, 1:] = error[:, 1:] * 1e-18
    elif kind == "zero":
        error[:] = 0.0
    gain = Gain(blocks, torch.zeros((2, tokens, tokens), dtype=torch.float64))
    spread, found = gain.spread(error), pushed(gain, error, generator)
    summed = (torch.linalg.matrix_norm(blocks) * error[:, None]).sum(-1)
    assert (spread >= found * (1 - 1e-12)).all() and (spread <= summed * (1 + 1e-5) + 1e-280).all()
    if kind == "aligned":
        assert torch.allclose(spread, found, rtol=1e-5, atol=0.0), "equality where all blocks are one of rank one"
    rest = Gain(blocks, torch.ones((2, tokens, tokens), dtype=torch.float64)).spread(error)
    assert (rest >= spread + error.sum(-1, keepdim=True) * (1 - 1e-12)).all(), "what blocks are off by comes on top"


@pytest.mark.parametrize("planted", ["gain of values", "tube", "slope of gelu", "key path"])
def test_a_gain_too_small_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    half_way.cache_clear()
    upper = gains.norm_upper
    if planted == "gain of values":
        monkeypatch.setattr(gains, "norm_upper", lambda m, s=None: 0.5 * upper(m, s))
    elif planted == "tube":
        monkeypatch.setattr(gains, "up", lambda bound: 0.1 * bound)
    elif planted == "slope of gelu":
        slope = gains._slope
        monkeypatch.setattr(gains, "_slope", lambda x: (0.3 * slope(x)[0], 0.0 * slope(x)[1]))
    else:
        split = gains._split
        monkeypatch.setattr(
            gains, "_split", lambda *a: split(*a) | {"k": split(*a)["k"].__class__(0 * split(*a)["k"].start, None)}
        )
    with pytest.raises(AssertionError):
        test_gains_bound_derivatives_on_the_tube("average", 1e-6)
    half_way.cache_clear()


def exact_logits(model: nn.Module, reference: Any, shipped: Any, image: Tensor, theta: mpmath.mpf) -> list[mpmath.mpf]:
    """The network of `vision()` with its defaults, at 200 bits."""

    def weight(name: str) -> Any:
        start, end = shipped[name].double().numpy(), reference[name].double().numpy()
        return np.vectorize(lambda a, b: mpmath.mpf(float(a)) + theta * (mpmath.mpf(float(b)) - mpmath.mpf(float(a))))(start, end)

    def norm(x: Any, name: str, eps: float) -> Any:
        centred = x - x.sum(-1, keepdims=True) / x.shape[-1]
        variance = (centred * centred).sum(-1, keepdims=True) / x.shape[-1]
        sigma = np.vectorize(lambda v: mpmath.sqrt(v + mpmath.mpf(float(eps))))(variance)
        return centred / sigma * weight(f"{name}.weight") + weight(f"{name}.bias")

    def affine(x: Any, name: str) -> Any:
        matrix = weight(f"{name}.weight")
        return x @ matrix.reshape(matrix.shape[0], -1).T + weight(f"{name}.bias")

    network: Any = model
    pixels = np.vectorize(lambda v: mpmath.mpf(float(v)))(image.double().numpy())[0]
    patches = np.array([pixels[i : i + 2, j : j + 2].reshape(-1) for i in (0, 2) for j in (0, 2)])
    x = affine(patches, "patch_embed.proj") + weight("pos_embed")[0]
    eps = network.blocks[0].norm1.eps
    y = norm(x, "blocks.0.norm1", eps)
    tokens, dim, heads = 4, 8, 2
    qkv = affine(y, "blocks.0.attn.qkv").reshape(tokens, 3, heads, dim // heads)
    joined = np.zeros((tokens, dim), dtype=object)
    for h in range(heads):
        q, k, v = (qkv[:, which, h] for which in range(3))
        scores = q @ k.T * mpmath.mpf(float(network.blocks[0].attn.scale))
        grown = np.vectorize(mpmath.exp)(scores)
        joined[:, h * 4 : h * 4 + 4] = grown / grown.sum(-1, keepdims=True) @ v
    x = x + affine(joined, "blocks.0.attn.proj")
    hidden = affine(norm(x, "blocks.0.norm2", eps), "blocks.0.mlp.fc1")
    x = x + affine(np.vectorize(lambda t: t * mpmath.erfc(-t / mpmath.sqrt(2)) / 2)(hidden), "blocks.0.mlp.fc2")
    pooled = x.sum(0, keepdims=True) / tokens
    return list(affine(norm(pooled, "fc_norm", network.fc_norm.eps), "head")[0])


@pytest.mark.parametrize("kind", ["half", "moved"])
def test_evaluations_at_200_bits_lie_inside(kind: str) -> None:
    with mpmath.workprec(200):
        for seed in range(2):
            model = vision(seed)
            shipped = changed(model, kind, seed)
            image = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(seed))
            found = Encloser(model, state_of(model), shipped, degree=8).enclose(image, start=8, tolerance=1e-4)
            for theta in (0.0, 0.1, 0.5, 0.77, 1.0):
                exact = exact_logits(model, state_of(model), shipped, image, mpmath.mpf(theta))
                piece = int(np.argmax(np.abs(found.mid - theta) <= found.half))
                u = (mpmath.mpf(theta) - mpmath.mpf(float(found.mid[piece]))) / mpmath.mpf(float(found.half[piece]))
                for c in range(3):
                    centre = sum(mpmath.mpf(float(a)) * u**k for k, a in enumerate(found.coef[piece, :, c]))
                    assert abs(exact[c] - centre) <= mpmath.mpf(float(found.rem[piece, c]))


@given(st.integers(0, 10**6))
@settings(max_examples=12)
def test_chains_of_gelu(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 12), nn.GELU(), nn.Dropout(0.1), nn.Linear(12, 9), nn.GELU(), nn.Linear(9, 4)
    ).eval()
    state = state_of(model)
    shipped = {
        name: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if t.ndim == 2 else t for name, t in state.items()
    }
    image = torch.randn(6)
    found = Encloser(model, state, shipped).enclose(image)
    segment = Segment(model, state, shipped)
    assert inside(found, segment, image, np.linspace(0, 1, 57)) <= 1e-13
    path = segment.path(image[None], np.linspace(0, 1, 2001))[:, 0]
    true = np.abs(path - path[-1]).max(0)
    assert (found.deviation() >= true - 1e-13).all() and found.deviation().max() <= true.max() * 1.003 + 1e-12


def test_a_module_that_stands_twice_in_a_chain_is_read_twice() -> None:
    torch.manual_seed(0)
    act = nn.GELU()
    model = nn.Sequential(nn.Linear(4, 6), act, nn.Linear(6, 6), act, nn.Linear(6, 3)).eval()
    shipped = {name: 0.7 * tensor for name, tensor in state_of(model).items()}
    image = torch.randn(4)
    found = Encloser(model, state_of(model), shipped).enclose(image)
    assert inside(found, Segment(model, state_of(model), shipped), image, np.linspace(0, 1, 57)) <= 1e-13


class Doubled(nn.GELU):
    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * super().forward(x)


def test_a_network_that_runs_otherwise_than_it_reads_is_refused() -> None:
    hooked = vision(0)
    hooked.blocks[0].register_forward_hook(lambda module, args, out: 1.5 * out)  # type: ignore[union-attr,index]
    pooled = vision(1, class_token=True, pool_include_prefix=True)
    chained = nn.Sequential(nn.Linear(16, 5), Doubled(), nn.Linear(5, 3)).eval()
    for model in (hooked, pooled, chained):
        encloser = Encloser(model, state_of(model), state_of(model))
        said = "mul is a mul, which is not known" if model is chained else "as read and as run differ"
        with pytest.raises(Refused, match=said):
            encloser.enclose(torch.randn(16) if model is chained else torch.randn(1, 4, 4))


def test_equal_networks_do_not_differ() -> None:
    model = vision(4)
    found = Encloser(model, state_of(model), state_of(model)).enclose(torch.randn(1, 4, 4))
    assert found.deviation().max() < 1e-9 and len(found.mid) <= 512


def test_a_segment_that_cannot_be_enclosed_is_inf() -> None:
    """A normalisation whose input may vanish: no number is given."""
    model = vision(5)
    shipped = {
        name: torch.zeros_like(t) if name.startswith(("patch_embed", "pos_embed")) else t for name, t in state_of(model).items()
    }
    with torch.no_grad():
        for block in model.blocks:
            block.norm1.eps = 0.0
    found = Encloser(model, state_of(model), shipped).enclose(torch.randn(1, 4, 4), start=2, most=4)
    assert np.isinf(found.deviation()).all() and np.isinf(found.rem).any()


class Strange(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_what_is_not_known_is_refused_by_name() -> None:
    timm = import_timm()

    def refuse(model: nn.Module, words: str) -> None:
        with pytest.raises(Refused, match=words):
            Encloser(model, state_of(model), state_of(model))

    small = {"img_size": 32, "num_classes": 2}
    refuse(vision(0, qk_norm=True), r"blocks\.0\.attn\.q_norm: is a LayerNorm")
    refuse(vision(0, act_layer=nn.ReLU), r"blocks\.0\.mlp\.act: is ReLU")
    refuse(timm.create_model("vit_tiny_patch16_224", reg_tokens=2, **small), "register tokens")
    refuse(timm.create_model("vit_tiny_patch16_224", global_pool="map", **small), "pools by 'map'|attn_pool")
    model = vision(0)
    model.blocks[0].attn.proj = Strange()  # type: ignore[union-attr,index]
    refuse(model, r"blocks\.0\.attn\.proj: is a Strange")
    good = vision(0)
    bad = {name: tensor * math.nan for name, tensor in state_of(good).items()}
    with pytest.raises(Refused, match="not finite"):
        Encloser(good, state_of(good), bad)
    wide = nn.Sequential(nn.Linear(5000, 1))
    with pytest.raises(Refused, match="5000"):
        Encloser(wide, state_of(wide), state_of(wide)).enclose(torch.randn(5000))
    refuse(vision(0, img_size=128, patch_size=128), "a dimension of 16384")
    with pytest.raises(Refused, match="the image holds a value that is not finite"):
        Encloser(good, state_of(good), state_of(good)).enclose(torch.full((1, 4, 4), math.inf))
