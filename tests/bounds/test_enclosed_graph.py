"""Enclosures of networks read as graphs, every tensor moving: evaluations lie inside, planted violations are caught."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from enclosing import inside
from hypothesis import given, settings
from hypothesis import strategies as st
from kinked import Twice
from torch import Tensor, nn

from certify.bounds import prove
from certify.bounds.enclosed import Encloser, taylor
from certify.bounds.enclosed import operations as on
from certify.bounds.enclosed.graph import Graph
from certify.bounds.enclosed.road import Piece, _halves
from certify.bounds.enclosed.steps import Pieces
from certify.bounds.enclosed.taylor import Model, Weights
from certify.bounds.exact import exact
from certify.bounds.exact.affine import Window
from certify.networks.loading import State, state_of
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Refused


class Residual(nn.Module):
    """Functional calls, a residual connection, overlapping windows, groups and dilation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 3, stride=1, padding=1)
        x = F.leaky_relu(self.norm(self.second(x)) + x, 0.2)
        return self.head(torch.flatten(F.avg_pool2d(x, 3, 1), 1) + x.mean((2, 3)).mean(1, keepdim=True))


def made(kind: str, seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    if kind == "mlp":
        act = (nn.ReLU(), nn.LeakyReLU(0.1), nn.GELU())[seed % 3]
        layers = (nn.Linear(6, 12), act, nn.BatchNorm1d(12), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 4))
        return nn.Sequential(*layers), torch.randn(6)
    if kind == "conv":
        trunk = (nn.Conv2d(2, 4, 3, padding=(1, 0), stride=(2, 1)), nn.BatchNorm2d(4, affine=bool(seed % 2)), nn.ReLU())
        tail = (nn.Conv2d(4, 6, (2, 1)), nn.GELU(), nn.AvgPool2d(2, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(*trunk, nn.MaxPool2d(2, 1), *tail, nn.Linear(6, 3)), torch.randn(2, 7, 6)
    if kind == "block":
        return Residual(), torch.randn(2, 7, 7)
    import_timm()
    from timm.models.resnet import BasicBlock, ResNet

    sizes = {"layers": (1, 1, 1, 1), "channels": (4, 4, 6, 6), "num_classes": 5, "in_chans": 1, "stem_width": 4}
    return ResNet(BasicBlock, **sizes, output_stride=8, zero_init_last=False), torch.randn(1, 8, 8)


def pair(model: nn.Module, way: str, seed: int) -> tuple[nn.Module, State, State]:
    """Half of each matrix removed, or every tensor moved, running statistics included."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.eval().named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + (0.3 if "var" in name else -0.5))
    reference, shipped = state_of(model), dict[str, Tensor]()
    for name, tensor in reference.items():
        if not tensor.is_floating_point():
            shipped[name] = tensor
        elif way == "half":
            shipped[name] = (
                torch.where(tensor.abs() > tensor.abs().median(), tensor, torch.zeros(())) if tensor.ndim > 1 else tensor
            )
        else:
            noise = torch.rand(tensor.shape, generator=generator) - 0.5
            shipped[name] = tensor * (1 + 0.5 * noise) if "running_var" in name else tensor + 0.3 * noise
    return model, reference, shipped


@pytest.mark.parametrize("way", ["half", "moved"])
@pytest.mark.parametrize("kind", ["mlp", "conv", "block", "resnet"])
def test_evaluations_lie_inside(kind: str, way: str) -> None:
    for seed in range(1 if kind == "resnet" else 3):
        model, image = made(kind, seed)
        both = pair(model, way, seed)
        found = Encloser(*both).enclose(image)
        segment = Segment(*both)
        assert inside(found, segment, image, np.random.default_rng(seed).uniform(size=60)) <= 1e-12
        path = segment.path(image[None], np.linspace(0, 1, 401))[:, 0]
        true = np.abs(path - path[-1]).max(0)
        bound = found.deviation()
        assert (bound >= true - 1e-12).all() and bound.max() <= 1.01 * true.max()
        winner = int(path[-1].argmax())
        margins = path - path[:, [winner]]
        assert (found.against(winner) >= np.abs(margins - margins[-1]).max(0) - 1e-12).all()


@pytest.mark.parametrize("kind", ["mlp", "conv", "block"])
def test_bends_are_hints(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide pieces with many kinks, knots beside them, or none at all: looser, never wrong."""
    model, image = made(kind, 0)
    both = pair(model, "moved", 0)
    segment, thetas = Segment(*both), np.random.default_rng(0).uniform(size=60)
    sharp = Encloser(*both).enclose(image)
    for knots in ([], [0.1, 0.3333], [k / 40 for k in range(1, 40)]):
        monkeypatch.setattr(Graph, "bends", lambda self, image, knots=knots: knots)
        for start, most in ((1, 1), (4, 4), (8, 64)):
            found = Encloser(*both, degree=3).enclose(image, start=start, most=most)
            assert inside(found, segment, image, thetas) <= 1e-12
            assert (found.deviation() >= sharp.deviation() * (1 - 1e-6)).all()


def test_agrees_with_the_exact_road() -> None:
    """One layer moves: the exact road knows the change to rounding, and so does the enclosure once it is cut at the bends."""
    for kind, layer in (("block", "first"), ("resnet", "layer1.0.conv1")):
        model, image = made(kind, 1)
        _, reference, shipped = pair(model, "moved", 1)
        shipped = {name: tensor if name.startswith(layer) else reference[name] for name, tensor in shipped.items()}
        change = exact(model, reference, shipped, image[None]).change[0]
        bound = Encloser(model, reference, shipped).enclose(image).deviation()
        assert (bound >= change * (1 - 1e-9)).all() and bound.max() <= change.max() * (1 + 1e-6)


def test_equality_and_what_stands_still() -> None:
    """Without kinks the path of one layer is a straight line and its bound is its length; equal networks do not differ at all."""
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3))
    torch.manual_seed(0)
    _, reference, shipped = pair(model, "half", 0)
    image = torch.randn(1, 3, 3)
    straight = shipped | {"2.weight": reference["2.weight"]}
    ends = Segment(model, reference, straight).path(image[None], np.array([0.0, 1.0]))[:, 0]
    bound = Encloser(model, reference, straight).enclose(image).deviation()
    np.testing.assert_allclose(bound, np.abs(ends[0] - ends[1]), rtol=1e-10, atol=1e-12)
    assert not Encloser(model, reference, reference).enclose(image).deviation().any()


# -- 200 bits ---------------------------------------------------------------------------------------------------------------


def tiny(seed: int) -> tuple[nn.Module, Tensor]:
    """Strides, padding, groups, dilation, a slope, ties in windows (equal pixels), moving statistics."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 2, 2, stride=(1, 2), padding=1, groups=2),
        nn.BatchNorm2d(2),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2, 1, 1),
        nn.Conv2d(2, 2, 2, dilation=2),
        nn.ReLU(),
        nn.AvgPool2d(2, 1),
        nn.Flatten(),
        nn.Linear(12, 2),
    )
    return model, torch.randint(-1, 2, (2, 4, 6)).float()


def exact_logits(model: Any, reference: State, shipped: State, image: Tensor, theta: mpmath.mpf) -> list[mpmath.mpf]:
    """The network of `tiny` at 200 bits, loop by loop."""

    def tensor(name: str) -> Any:
        ends = (shipped[name].double().numpy(), reference[name].double().numpy())
        return np.vectorize(lambda a, b: mpmath.mpf(float(a)) + theta * (mpmath.mpf(float(b)) - mpmath.mpf(float(a))))(*ends)

    def windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, empty: Any) -> Any:
        """(channels, rows, cols, kernel); places outside hold `empty`."""
        (c, h, w), (kh, kw) = x.shape, kernel
        wide = np.full((c, h + 2 * padding[0], w + 2 * padding[1]), empty, dtype=object)
        wide[:, padding[0] : padding[0] + h, padding[1] : padding[1] + w] = x
        rows = range(0, wide.shape[1] - dilation[0] * (kh - 1), stride[0])
        cols = range(0, wide.shape[2] - dilation[1] * (kw - 1), stride[1])
        seen = [
            [[wide[:, r + i * dilation[0], s + j * dilation[1]] for i in range(kh) for j in range(kw)] for s in cols]
            for r in rows
        ]
        return np.moveaxis(np.array(seen, dtype=object), 3, 0)

    two = lambda v: (v, v) if isinstance(v, int) else v  # noqa: E731
    x = np.vectorize(lambda v: mpmath.mpf(float(v)))(image.numpy())
    for name, layer in model.named_children():
        if isinstance(layer, nn.Conv2d):
            weight, bias = tensor(f"{name}.weight"), tensor(f"{name}.bias")
            seen = windows(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, mpmath.mpf(0))
            each = x.shape[0] // layer.groups
            rows = []
            for out, table in enumerate(weight):
                group = out // (weight.shape[0] // layer.groups)
                part = seen[group * each : (group + 1) * each]
                rows.append(np.einsum("crsk,ck->rs", part, table.reshape(each, -1)) + bias[out])
            x = np.array(rows, dtype=object)
        elif isinstance(layer, nn.BatchNorm2d):
            parts = [tensor(f"{name}.{part}")[:, None, None] for part in ("running_mean", "running_var", "weight", "bias")]
            root = np.vectorize(lambda v, eps=layer.eps: mpmath.sqrt(v + mpmath.mpf(eps)))(parts[1])
            x = (x - parts[0]) / root * parts[2] + parts[3]
        elif isinstance(layer, nn.ReLU | nn.LeakyReLU):
            slope = mpmath.mpf(getattr(layer, "negative_slope", 0.0))
            x = np.vectorize(lambda v, slope=slope: max(v, slope * v))(x)
        elif isinstance(layer, nn.MaxPool2d):
            x = windows(x, *(two(v) for v in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)), -mpmath.inf).max(
                -1
            )
        elif isinstance(layer, nn.AvgPool2d):
            x = windows(x, two(layer.kernel_size), two(layer.stride), (0, 0), (1, 1), mpmath.mpf(0)).sum(-1) / 4
        elif isinstance(layer, nn.Linear):
            x = tensor(f"{name}.weight") @ x.reshape(-1) + tensor(f"{name}.bias")
    return list(x)


def excess_at_200_bits(seed: int, way: str, thetas: list[float], **options: Any) -> mpmath.mpf:
    model, image = tiny(seed)
    both = pair(model, way, seed)
    found = Encloser(*both, degree=options.pop("degree", None)).enclose(image, **options)
    worst = mpmath.mpf("-inf")
    with mpmath.workprec(200):
        for theta in thetas:
            logits = exact_logits(*both, image, mpmath.mpf(theta))
            piece = int(np.argmax(np.abs(found.mid - theta) <= found.half))
            u = (mpmath.mpf(theta) - mpmath.mpf(float(found.mid[piece]))) / mpmath.mpf(float(found.half[piece]))
            for c in range(2):
                centre = sum(mpmath.mpf(float(a)) * u**k for k, a in enumerate(found.coef[piece, :, c]))
                worst = max(worst, abs(logits[c] - centre) - mpmath.mpf(float(found.rem[piece, c])))
    return worst


@pytest.mark.parametrize("way", ["half", "moved"])
def test_evaluations_at_200_bits_lie_inside(way: str) -> None:
    for seed in range(4):
        assert excess_at_200_bits(seed, way, [0.0, 0.13, 0.5, 0.77, 1.0]) <= 0
        assert excess_at_200_bits(seed, way, [0.0, 0.31, 0.52], start=1, most=1, degree=2) <= 0


def test_rounding_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gamma and the outward factor some evaluation at 200 bits lies outside."""
    for name, nothing in (("gamma", lambda n: 0.0), ("UP", 1.0), ("TINY", 0.0)):
        monkeypatch.setattr(taylor, name, nothing)
    monkeypatch.setattr(taylor, "U", 0.0)
    monkeypatch.setattr(on, "U", 0.0)
    monkeypatch.setattr(on, "gamma", lambda n: 0.0)
    # One layer moves in a chain without kinks or statistics: nothing is truncated, all that is left is rounding.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 2, 2), nn.Flatten(), nn.Linear(8, 2))
    _, reference, shipped = pair(model, "moved", 0)
    image = torch.randn(2, 3, 3)
    found = Encloser(model, reference, shipped).enclose(image, tolerance=1.0)
    with mpmath.workprec(200):
        off = mpmath.mpf(0)
        for piece, mid in enumerate(found.mid.tolist()):
            logits = exact_logits(model, reference, shipped, image, mpmath.mpf(mid))
            excess = [
                abs(v - mpmath.mpf(float(c))) - float(r)
                for v, c, r in zip(logits, found.coef[piece, 0], found.rem[piece], strict=True)
            ]
            off = max(off, *excess)
    assert off > 0


# -- kinks and windows on models --------------------------------------------------------------------------------------------

HALF = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64))


def models(seed: int, shape: tuple[int, ...], rem: float) -> Model:
    """(4, 1, *shape) polynomials around 0 with remainders; coefficients of a few bits, so that ties and ends at 0 occur."""
    generator = torch.Generator().manual_seed(seed)
    coef = torch.randint(-4, 5, (4, 1, *shape), generator=generator).double() / 4
    coef[2:] *= torch.randint(0, 2, (2, 1, *shape), generator=generator).double() / 4
    return Model(coef, rem * torch.randint(0, 3, (1, *shape), generator=generator).double())


def members(x: Model, seed: int) -> Tensor:
    """(points, ...) values of functions that the model stands for, on a grid of u."""
    u = torch.linspace(-1, 1, 41, dtype=torch.float64)
    values = torch.einsum("ku,k...->u...", u ** torch.arange(4)[:, None], x.coef)[:, 0]
    side = torch.randint(-1, 2, values.shape, generator=torch.Generator().manual_seed(seed)).double()
    return values + side * x.rem[0]


def holds(operation: on.Operation, x: Model, seed: int) -> bool:
    u = torch.linspace(-1, 1, 41, dtype=torch.float64)
    found = operation.model(HALF, x)
    centre = torch.einsum("ku,k...->u...", u ** torch.arange(4)[:, None], found.coef)[:, 0]
    exact = operation.value(0.5 + 0.5 * u, members(x, seed))
    return bool(((exact - centre).abs() <= found.rem[0] + 1e-13).all())


OPERATIONS: dict[str, on.Operation] = {
    "relu": on.Kink(0.0),
    "leaky": on.Kink(0.3),
    "abs": on.Kink(-1.0),
    "overlapping windows": on.MaxPool(Window((3, 3), (2, 2), (1, 1))),
    "windows": on.MaxPool(Window((2, 1), (1, 2), (0, 0))),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(seed=st.integers(0, 10**6), rem=st.sampled_from([0.0, 1e-9, 0.125, 1.0]))
@settings(max_examples=25)
def test_kinks_and_windows_of_models(name: str, seed: int, rem: float) -> None:
    assert holds(OPERATIONS[name], models(seed, (2, 5, 5), rem), seed)


PLANTED: dict[str, tuple[str, Any]] = {
    "half the gap": ("chord", lambda honest: lambda x, slope: (honest(x, slope)[0], 0.5 * honest(x, slope)[1])),
    "no gap": ("chord", lambda honest: lambda x, slope: (honest(x, slope)[0], 0.0 * honest(x, slope)[1])),
    "ends alone": ("extent", lambda honest: lambda x: (x.coef[0] - x.coef[1].abs(), x.coef[0] + x.coef[1].abs())),
    "no remainder": ("extent", lambda honest: lambda x: honest(Model(x.coef, 0 * x.rem))),
    "a steeper chord": ("chord", lambda honest: lambda x, slope: (honest(x, slope)[0].sqrt(), honest(x, slope)[1])),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_constant_too_small_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, wrong = PLANTED[planted]
    monkeypatch.setattr(on, where, wrong(getattr(on, where)))
    for name in ("relu", "overlapping windows"):
        assert not all(holds(OPERATIONS[name], models(seed, (2, 5, 5), 0.125), seed) for seed in range(60))


def test_remainders_and_rivals_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = on._less
    monkeypatch.setattr(on, "_less", lambda a, b: Model(honest(a, b).coef, 0 * a.rem * b.rem))
    pool = OPERATIONS["windows"]
    assert not all(holds(pool, models(seed, (2, 5, 5), 0.125), seed) for seed in range(60))
    monkeypatch.setattr(on, "_less", lambda a, b: Model(1e9 + 0 * honest(a, b).coef, honest(a, b).rem))
    assert not all(holds(pool, models(seed, (2, 5, 5), 0.0), seed) for seed in range(60))


def test_convolutions_are_those_of_torch() -> None:
    """Every stride, padding, dilation and grouping, at plain values and at the centre of a model."""
    torch.manual_seed(0)
    for stride, padding, dilation, groups in [((1, 2), (1, 0), (2, 1), 2), (2, 2, 1, 4), (1, 0, 1, 1), (3, 1, 2, 2)]:
        layer = nn.Conv2d(4, 8, (3, 2), stride, padding, dilation, groups).double()
        window = Window(*(v if isinstance(v, tuple) else (v, v) for v in ((3, 2), stride, padding, dilation)))
        weight = layer.weight.detach().reshape(groups, 8 // groups, -1)
        found = on.Convolution(Weights(weight, None), Weights(layer.bias.detach().reshape(groups, 1, -1), None), window)
        x = torch.randn(3, 4, 9, 8, dtype=torch.float64)
        truth = layer(x).detach()
        torch.testing.assert_close(found.value(torch.zeros(3), x), truth, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(found.model(HALF, taylor.constant(x[:1], 1)).coef[0], truth[:1], rtol=1e-13, atol=1e-13)


@given(st.integers(0, 2**40 - 1), st.integers(1, 2**40), st.lists(st.booleans(), min_size=60, max_size=60))
def test_halves_are_exact_or_none(low: int, width: int, turns: list[bool]) -> None:
    high = min(low + width, 2**40)
    piece = Piece((low + high) / 2**41, (high - low) / 2**41, np.zeros((1, 1)), np.zeros(1), ())
    ends = Fraction(piece.mid) - Fraction(piece.half), Fraction(piece.mid) + Fraction(piece.half)
    for turn in turns:
        halves = _halves(piece)
        if not halves:
            return
        (a, r), (b, same) = halves
        assert r == same and Fraction(a) - Fraction(r) == ends[0] and Fraction(b) + Fraction(r) == ends[1]
        assert Fraction(a) + Fraction(r) == Fraction(b) - Fraction(r)
        piece = Piece(halves[turn][0], r, piece.coef, piece.rem, ())
        ends = Fraction(piece.mid) - Fraction(r), Fraction(piece.mid) + Fraction(r)


# -- the door ---------------------------------------------------------------------------------------------------------------


def test_what_overflows_is_inf() -> None:
    model, image = made("conv", 0)
    model, reference, shipped = pair(model.double(), "half", 0)
    large = [{n: t * 1e160 if t.ndim > 1 else t for n, t in state.items()} for state in (reference, shipped)]
    found = Encloser(model, *large).enclose(image, most=8)
    assert np.isinf(found.deviation()).all()
    assert not prove(model, *large, image[None]).unchanged.any()


def test_auto_takes_the_enclosure_where_several_layers_move() -> None:
    model, image = made("resnet", 2)
    both = pair(model, "half", 2)
    images = torch.stack([image, image.flip(-1)])
    found = prove(*both, images)
    path = Segment(*both).path(images, np.linspace(0, 1, 201))
    assert found.road == "enclosed" and (found.change >= np.abs(path - path[-1]).max(0) - 1e-12).all()
    assert (found.decided.classes == path[-1].argmax(1)).all()
    assert not (found.unchanged & (path.argmax(2) != path[-1].argmax(1)).any(0)).any()


class Across(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + x.mean((2, 3))).flatten(1)


def test_a_layer_run_twice() -> None:
    torch.manual_seed(0)
    both, image = pair(Twice(), "moved", 0), torch.randn(3)
    found, segment = Encloser(*both).enclose(image), Segment(*both)
    assert inside(found, segment, image, np.linspace(0, 1, 41)) <= 1e-13 and np.isfinite(found.deviation()).all()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), "enclosure: 1 is a Softmax, which is not known .*GELU"),
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), "1 is a LayerNorm"),
        (nn.Sequential(nn.Linear(3, 3), nn.GELU("tanh")), "a GELU by tanh"),
        (nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(2.0)), "slope 2.0"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)), "batch it sees"),
        (nn.Sequential(nn.Linear(5, 3)), "does not run on an image of shape"),
    ],
)
def test_what_is_not_known_is_refused_by_name(model: nn.Module, words: str) -> None:
    with pytest.raises(Refused, match=words):
        Encloser(model.eval(), state_of(model), state_of(model)).enclose(torch.randn(3))


def test_more_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="different numbers of axes"):
        Encloser(Across(), {}, {}).enclose(torch.randn(2, 2, 2))
    wide = nn.Sequential(nn.Linear(5000, 2))
    with pytest.raises(Refused, match="a Linear sums 5000 terms"):
        Encloser(wide, state_of(wide), state_of(wide)).enclose(torch.randn(5000))
    model, image = made("mlp", 0)
    model, reference, shipped = pair(model, "half", 0)
    with pytest.raises(Refused, match=r"enclosure: 0\.weight holds NaN"):
        Encloser(model, reference | {"0.weight": reference["0.weight"] * math.nan}, shipped).enclose(image)
    with pytest.raises(Refused, match="the image holds a value"):
        Encloser(model, reference, shipped).enclose(image * math.inf)
    monkeypatch.setattr(on.Kink, "model", lambda self, at, x: x)
    with pytest.raises(Refused, match="as read and as run differ"):
        Encloser(model, reference, shipped).enclose(image)
