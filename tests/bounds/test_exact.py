"""The exact road against fractions, dense grids, known answers, degenerate kinks and planted violations."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from kinked import Twice
from torch import Tensor, nn

from certify.bounds.exact import affine, exact, exact_sequence, kinks, rational_path, summary
from certify.bounds.exact.graph import read
from certify.bounds.exact.proof import enclose, still_tubes
from certify.bounds.exact.summary import extent, variation
from certify.bounds.exact.tubes import Tube
from certify.networks.loading import State
from certify.networks.segment import Segment
from certify.networks.vision import import_timm
from certify.records import Refused

Pair = tuple[nn.Module, State, State]


class Small(nn.Module):
    """Functional relu, flatten, mean, max-pool and a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 3, stride=2, padding=1)
        x = torch.relu(self.norm(self.second(x)) + x)
        return self.head(torch.flatten(F.avg_pool2d(x, 2, 1), 1) + x.mean((2, 3)).mean(1, keepdim=True))


def changed(model: nn.Module, layers: list[str], seed: int, *, size: float = 1.0) -> Pair:
    """The pair of a random network whose reference has other weights in `layers`."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + (0.3 if "var" in name else -0.5))
    shipped = {name: tensor.clone() for name, tensor in model.eval().state_dict().items()}
    reference = {
        name: tensor + size * 0.3 * torch.randn(tensor.shape, generator=generator)
        if name.rpartition(".")[0] in layers
        else tensor
        for name, tensor in shipped.items()
    }
    return model, reference, shipped


def make(kind: str, seed: int) -> tuple[Pair, Tensor]:
    torch.manual_seed(seed)
    if kind == "mlp":
        model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.LeakyReLU(0.1), nn.Dropout(), nn.Linear(20, 4))
        return changed(model, ["2"], seed), torch.randn(4, 6)
    if kind == "conv":
        trunk = (nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Conv2d(4, 6, 2))
        tail = (nn.ReLU(), nn.AvgPool2d(2, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
        return changed(nn.Sequential(*trunk, *tail), ["0"], seed), torch.randn(4, 2, 8, 8)
    if kind == "block":
        return changed(Small(), ["first"], seed), torch.randn(3, 2, 8, 8)
    import_timm()
    from timm.models.resnet import BasicBlock, ResNet

    sizes = {"layers": (1, 1, 1, 1), "channels": (4, 4, 6, 6), "num_classes": 5, "in_chans": 1}
    # A last scale of zero would hide the change.
    model = ResNet(BasicBlock, **sizes, output_stride=8, zero_init_last=False)
    return changed(model, ["layer1.0.conv1"], seed), torch.randn(2, 1, 12, 12)


KINDS = ("mlp", "conv", "block", "resnet")


@pytest.mark.parametrize("kind", KINDS)
def test_dense_grid_lies_inside_and_the_maximum_is_attained(kind):
    for seed in range(3):
        pair, images = make(kind, seed)
        path = exact(*pair, images)
        segment = Segment(*pair)
        values = segment.path(images, np.linspace(0, 1, 201))
        away = np.abs(values - values[-1])
        assert np.all(away.max(axis=0) <= path.change + 1e-12 * np.abs(values).max())
        for index, (knots, tube) in enumerate(path.tubes):
            at_knots = segment.path(images[index : index + 1], knots)[:, 0]
            attained = np.abs(at_knots - at_knots[-1]).max(axis=0)
            np.testing.assert_allclose(path.change[index], attained, rtol=1e-9, atol=1e-9 * attained.max())
            walked = np.abs(np.diff(at_knots, axis=0))
            np.testing.assert_allclose(path.variation[index], walked.sum(axis=0), rtol=1e-7, atol=1e-8 * walked.sum())
            np.testing.assert_allclose(path.max_norm[index], walked.max(axis=1).sum(), rtol=1e-7)
            steps = np.diff(at_knots, axis=0)
            np.testing.assert_allclose(path.oscillation[index], (steps.max(1) - steps.min(1)).sum(), rtol=1e-7)
            relative = at_knots - at_knots[:, [path.labels[index]]]
            np.testing.assert_allclose(path.pairwise[index], np.abs(np.diff(relative, axis=0)).sum(axis=0), rtol=1e-7, atol=1e-8)
            np.testing.assert_allclose(
                path.pairwise_change[index], np.abs(relative - relative[-1]).max(axis=0), rtol=1e-9, atol=1e-9 * attained.max()
            )
            line = np.stack([np.interp(np.linspace(0, 1, 201), knots, column) for column in tube.centre.T], axis=1)
            assert np.abs(line - values[:, index]).max() <= 1e-9 * np.abs(values).max()
        assert np.all(path.change_lower <= path.change) and np.all(path.change <= path.variation)


# -- fractions --------------------------------------------------------------------------------------------------------------


def forward(weights: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> tuple[np.ndarray, list]:
    """Logits of a ReLU network in fractions, with its pre-activations: written apart from the code under test."""
    seen = []
    for number, (weight, bias) in enumerate(weights):
        x = np.array(
            [sum((w * v for w, v in zip(row, x, strict=True)), Fraction(0)) + b for row, b in zip(weight, bias, strict=True)]
        )
        if number < len(weights) - 1:
            seen += list(x)
            x = np.array([max(v, Fraction(0)) for v in x])
    return x, seen


def exact_table(tensor: Tensor) -> np.ndarray:
    return np.array([Fraction(v) for v in tensor.double().ravel().tolist()], dtype=object).reshape(tuple(tensor.shape))


def at(pair: Pair, theta: Fraction, image: Tensor) -> tuple[np.ndarray, list]:
    _, reference, shipped = pair
    mixed = {name: exact_table(shipped[name]) for name in shipped}
    for name, start in mixed.items():
        mixed[name] = start + theta * (exact_table(reference[name]) - start)
    layers = sorted({name.split(".")[0] for name in mixed})
    return forward([(mixed[f"{layer}.weight"], mixed[f"{layer}.bias"]) for layer in layers], exact_table(image)[0])


@st.composite
def tiny(draw) -> tuple[Pair, Tensor]:
    """Halves and small integers (ties, kinks at both ends, dead layers) or generic numbers, at scales from 2^-60 to 2^60."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    lattice = draw(st.booleans())
    scale = 2.0 ** draw(st.sampled_from([-60, 0, 0, 60]))

    def numbers(*shape: int) -> Tensor:
        if lattice:
            return torch.randint(-3, 4, shape, generator=generator).double() / 2
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    shipped = {name: numbers(*tensor.shape) for name, tensor in model.state_dict().items()}
    layer = draw(st.sampled_from(["0", "2", "4"]))
    reference = {name: scale * numbers(*t.shape) if name.startswith(layer) else t for name, t in shipped.items()}
    return (model, reference, shipped), numbers(1, 2)


@given(tiny())
def test_against_fractions(instance):
    pair, image = instance
    knots, logits = rational_path(*pair, image)
    # Straight lines between the knots: the independent forward agrees at the knots, and no sign changes in between.
    for left, right, low, high in zip(knots, knots[1:], logits, logits[1:], strict=False):
        (first, before), (last, after) = at(pair, left, image), at(pair, right, image)
        assert list(first) == list(low) and list(last) == list(high)
        middle, _ = at(pair, (left + right) / 2, image)
        assert list(2 * middle) == list(low + high)
        assert all(not (a < 0 < b or b < 0 < a) for a, b in zip(before, after, strict=True))
    path = exact(*pair, image)
    change = [max(abs(v - logits[-1][k]) for v in logits[:, k]) for k in range(2)]
    steps = np.diff(logits, axis=0)
    # Rounding is relative to the largest activation, dead ones included, and to the weights it meets.
    largest = max(abs(v) for theta in (Fraction(0), Fraction(1)) for part in at(pair, theta, image) for v in part)
    weight = max(Fraction(float(t.abs().max())) for state in pair[1:] for t in state.values())
    slack = Fraction(1e-9) * max(largest, Fraction(1)) * max(weight, Fraction(1))
    for k in range(2):
        assert path.change_lower[0, k] <= change[k] <= path.change[0, k] <= change[k] + slack
        assert sum(abs(steps[:, k])) <= path.variation[0, k] <= sum(abs(steps[:, k])) + slack
    assert sum(max(abs(row)) for row in steps) <= path.max_norm[0] <= sum(max(abs(row)) for row in steps) + slack
    spread = sum((max(row) - min(row) for row in steps), Fraction(0))
    assert spread <= path.oscillation[0] <= spread + slack
    other = 1 - path.labels[0]
    assert spread <= path.pairwise[0, other] <= spread + slack


def inside(tube: Tube, knots: np.ndarray, pair: Pair, image: Tensor, between: int = 3) -> bool:
    """The true logits, in fractions, within rem of the centre at every knot and at points in between."""
    for i, (left, right) in enumerate(zip(map(Fraction, knots), map(Fraction, knots[1:]), strict=False)):
        for part in range(between + 1):
            share = Fraction(part, between)
            true, _ = at(pair, left + share * (right - left), image)
            for k, value in enumerate(true):
                low, high = Fraction(tube.centre[i, k]), Fraction(tube.centre[i + 1, k])
                if abs(value - low - share * (high - low)) > Fraction(tube.rem[i, k]):
                    return False
    return True


def drifts(tube: Tube, knots: np.ndarray, pair: Pair, image: Tensor) -> bool:
    """int |z' - c'| of every interval, in fractions, within the drift."""
    bends, logits = rational_path(*pair, image)
    for i, (left, right) in enumerate(zip(map(Fraction, knots), map(Fraction, knots[1:]), strict=False)):
        grid = [left, *[b for b in bends if left < b < right], right]
        values = [value_at(bends, logits, point) for point in grid]
        slope = (np.array([Fraction(v) for v in tube.centre[i + 1]]) - [Fraction(v) for v in tube.centre[i]]) / (right - left)
        total = sum(abs(b - a - slope * (q - p)) for a, b, p, q in zip(values, values[1:], grid, grid[1:], strict=False))
        if any(t > Fraction(d) for t, d in zip(total, tube.drift[i], strict=True)):
            return False
    return True


def value_at(bends: np.ndarray, logits: np.ndarray, point: Fraction) -> np.ndarray:
    i = min(int(np.searchsorted(bends, point, side="right")) - 1, len(bends) - 2)
    return logits[i] + (point - bends[i]) / (bends[i + 1] - bends[i]) * (logits[i + 1] - logits[i])


def small_relu(seed: int) -> tuple[Pair, Tensor]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    return changed(model, ["0"], seed, size=3.0), torch.randn(1, 5, dtype=torch.float64)


def enclosed(knots: np.ndarray | None, seeds: int = 12) -> bool:
    """Rem and drift hold on all of some random networks, with these knots or the traced ones."""
    for seed in range(seeds):
        pair, image = small_relu(seed)
        network = read(*pair, image)
        grid = exact(*pair, image).tubes[0][0] if knots is None else knots
        tube = enclose(network, still_tubes(network, image.numpy()), grid)
        if not (inside(tube, grid, pair, image) and drifts(tube, grid, pair, image)):
            return False
    return True


@pytest.mark.parametrize("knots", [None, [0.0, 1.0], [0.0, 0.3, 1.0]])
def test_any_knots_are_sound(knots):
    assert enclosed(None if knots is None else np.array(knots))


# -- planted violations -----------------------------------------------------------------------------------------------------


def test_without_gamma_the_rounding_of_a_product_is_missed(monkeypatch):
    generator = np.random.default_rng(0)
    weight, bias, x = generator.normal(size=(100, 9)), generator.normal(size=100), generator.normal(size=(1, 9))
    layer = affine.Linear(weight, bias)

    def holds() -> bool:
        found = layer.tube(Tube(x, np.zeros_like(x), np.zeros_like(x)))
        true = [
            sum(Fraction(w) * Fraction(v) for w, v in zip(row, x[0], strict=True)) + Fraction(b)
            for row, b in zip(weight, bias, strict=True)
        ]
        return all(abs(Fraction(c) - t) <= Fraction(r) for c, t, r in zip(found.centre[0], true, found.rem[0], strict=True))

    assert holds()
    monkeypatch.setattr(affine, "gamma_up", lambda count: 0.0)
    assert not holds()


@pytest.mark.parametrize("ignored", ["rem", "drift"])
def test_without_the_relaxed_kink_the_proof_fails(monkeypatch, ignored):
    honest = kinks.Kink.tube

    def careless(self, x: Tube) -> Tube:
        found = honest(self, x)
        shrunk = {ignored: np.minimum(getattr(found, ignored), getattr(x, ignored) + 1e-12)}
        return found._replace(**shrunk)

    monkeypatch.setattr(kinks.Kink, "tube", careless)
    assert not enclosed(np.array([0.0, 1.0]))


def test_outward_rounding_is_needed_and_enough(monkeypatch):
    generator = np.random.default_rng(0)
    weight, rem = generator.normal(size=(200, 9)), np.abs(generator.normal(size=(1, 9)))
    layer = affine.Linear(weight, None)
    true = [sum(abs(Fraction(w)) * Fraction(r) for w, r in zip(row, rem[0], strict=True)) for row in weight]

    def holds() -> bool:
        found = layer.tube(Tube(np.zeros((1, 9)), rem, np.zeros((1, 9)))).rem[0]
        return all(Fraction(f) >= t for f, t in zip(found, true, strict=True))

    assert holds()
    monkeypatch.setattr(affine, "outward", lambda value, roundings: value)
    assert not holds()


def summary_holds() -> bool:
    generator = np.random.default_rng(1)
    for _ in range(30):
        centre = generator.normal(size=(5, 3))
        zero = np.zeros((4, 3))
        tube, table = Tube(centre, zero, zero), [[Fraction(v) for v in row] for row in centre]
        reached, walked = extent(tube, 0, centre[-1], zero[-1]), variation(tube, 0)
        off = [[v - w for v, w in zip(row, table[-1], strict=True)] for row in table]
        steps = [[b - a for a, b in zip(p, q, strict=True)] for p, q in pairwise(table)]
        claims = [(walked.max_norm, sum(max(map(abs, row)) for row in steps))]
        claims.append((walked.oscillation, sum(max(row) - min(row) for row in steps)))
        for k in range(3):
            claims += [
                (reached.change[k], max(abs(row[k]) for row in off)),
                (reached.pairwise[k], max(abs(row[k] - row[0]) for row in off)),
                (walked.variation[k], sum(abs(row[k]) for row in steps)),
                (walked.pairwise[k], sum(abs(row[k] - row[0]) for row in steps)),
            ]
        if any(Fraction(float(value)) < true for value, true in claims):
            return False
    return True


def test_summaries_are_rounded_up(monkeypatch):
    assert summary_holds()
    monkeypatch.setattr(summary, "outward", lambda value, roundings: value)
    assert not summary_holds()


def test_max_pool_encloses_on_any_knots(monkeypatch):
    generator = np.random.default_rng(2)
    pool = kinks.MaxPool(affine.Window((3, 3), (2, 2), (1, 1)))

    def holds() -> bool:
        centre = generator.integers(-3, 4, (2, 2, 5, 5)).astype(float)
        rem, drift = np.full((1, 2, 5, 5), 0.25), np.full((1, 2, 5, 5), 0.25)
        # An activation that stays within rem and drift: a bump of height h in the middle drifts by 2 h.
        bump = generator.choice([-0.125, 0.0, 0.125], centre[0].shape)
        found = pool.tube(Tube(centre, rem, drift))
        t = np.linspace(0, 1, 801)
        shape = (1 - np.abs(2 * t - 1))[:, None, None, None]
        true = centre[0] + t[:, None, None, None] * (centre[1] - centre[0]) + shape * bump
        out = pool.value(true)
        line = found.centre[0] + t[:, None, None, None] * (found.centre[1] - found.centre[0])
        size = np.abs(np.diff(out - line, axis=0)).sum(axis=0)
        return bool(np.all(np.abs(out - line).max(axis=0) <= found.rem[0]) and np.all(size <= found.drift[0] + 1e-9))

    assert all(holds() for _ in range(40))
    honest = kinks.MaxPool.tube
    for planted in ("rem", "drift"):
        monkeypatch.setattr(
            kinks.MaxPool,
            "tube",
            lambda self, x, planted=planted: honest(self, x)._replace(**{planted: 0.25 + 0 * honest(self, x).rem}),
        )
        assert not all(holds() for _ in range(40))


# -- known answers and degenerate paths -------------------------------------------------------------------------------------


def plain(first: list[list[float]], start: list[list[float]], last: list[list[float]]) -> Pair:
    """x -> last relu(W x), W from `start` (shipped) to `first` (reference)."""
    model = nn.Sequential(
        nn.Linear(len(first[0]), len(first), bias=False), nn.ReLU(), nn.Linear(len(first), len(last), bias=False)
    )
    tables = [torch.tensor(table, dtype=torch.float64) for table in (first, start, last)]
    return model.double(), {"0.weight": tables[0], "2.weight": tables[2]}, {"0.weight": tables[1], "2.weight": tables[2]}


ONE = torch.ones(1, 1, dtype=torch.float64)


@pytest.mark.parametrize(
    "reference, shipped, bends, change, walked",
    [
        ([[1.0]], [[-1.0]], 1, 1.0, 1.0),  # the kink in the middle
        ([[1.0]], [[0.0]], 0, 1.0, 1.0),  # exactly at theta = 0
        ([[0.0]], [[-1.0]], 0, 0.0, 0.0),  # exactly at theta = 1, and dead before
        ([[-1.0]], [[-2.0]], 0, 0.0, 0.0),  # a dead layer
        ([[1.0], [-1.0]], [[-1.0], [1.0]], 1, 1.0, 2.0),  # two kinks at one theta: |2 theta - 1|
        ([[1.0], [2.0]], [[1.0], [2.0]], 0, 0.0, 0.0),  # nothing changed
    ],
)
def test_known_answers(reference, shipped, bends, change, walked):
    last = [[1.0] * len(reference), [0.0] * len(reference)]
    path = exact(*plain(reference, shipped, last), ONE)
    assert path.bends[0] == bends
    assert change <= path.change[0, 0] <= change + 1e-13
    assert walked <= path.variation[0, 0] <= walked + 1e-13
    assert walked <= path.max_norm[0] <= walked + 1e-13


def test_nothing_changed_is_exactly_zero():
    pair, images = make("conv", 0)
    path = exact(pair[0], pair[1], pair[1], images)
    for name in ("change", "change_lower", "pairwise_change", "variation", "pairwise", "max_norm", "oscillation"):
        assert not getattr(path, name).any()


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e120])
def test_scales(scale):
    pair, images = small_relu(3)
    model, reference, shipped = pair
    large = [{n: scale * t if n.startswith("4") else t for n, t in state.items()} for state in (reference, shipped)]
    one, other = exact(*pair, images), exact(model, large[0], large[1], images)
    np.testing.assert_allclose(other.change, scale * one.change, rtol=1e-11)
    np.testing.assert_allclose(other.max_norm, scale * one.max_norm, rtol=1e-11)


def test_small_pieces_give_the_same_path(monkeypatch):
    pair, images = make("block", 1)
    whole = exact(*pair, images)
    for module in ("trace", "proof"):
        monkeypatch.setattr(f"certify.bounds.exact.{module}.MOST_NUMBERS", 1)
    pieces = exact(*pair, images)
    np.testing.assert_allclose(pieces.change, whole.change, rtol=1e-9)
    np.testing.assert_allclose(pieces.max_norm, whole.max_norm, rtol=1e-9)


# -- several layers ---------------------------------------------------------------------------------------------------------


def test_sequence_bounds_its_path():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))
    pair, images = changed(model, ["0", "2", "4"], 5), torch.randn(3, 6)
    for order in (None, ["4", "0", "2"]):
        found = exact_sequence(*pair, images, order=order)
        assert found.layers == tuple(order or ["0", "2", "4"])
        values = np.concatenate([np.stack([t.centre[::-1] for _, t in stage.tubes][:1]) for stage in found.stages], axis=1)[0]
        away = np.abs(values - values[0]).max(axis=0)
        np.testing.assert_allclose(found.change[0], away, rtol=1e-9)
        assert np.all(found.change <= found.summed) and np.any(found.change < found.summed)
        assert np.all(found.change <= found.variation)
        ends = Segment(*pair).path(images, np.array([0.0, 1.0]))
        assert np.all(np.abs(ends[0] - ends[1]) <= found.change + 1e-12)
        np.testing.assert_allclose(found.stages[0].reference, ends[1], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.stages[-1].shipped, ends[0], rtol=1e-9, atol=1e-12)


# -- refusals ---------------------------------------------------------------------------------------------------------------


class Soft(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.layer(x), dim=1)


@pytest.mark.parametrize(
    "model, words",
    [
        (nn.Sequential(nn.Linear(3, 3), nn.GELU()), "GELU"),
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), "Softmax"),
        (nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(2.0)), "slope 2.0"),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU6()), "ReLU6"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)), "batch it sees"),
        (Twice(), "more than once"),
        (Soft(), "softmax"),
    ],
)
def test_unknown_is_refused_by_name(model, words):
    layer = "layer" if hasattr(model, "layer") else "0"
    with pytest.raises(Refused, match=words):
        exact(*changed(model, [layer], 0), torch.randn(2, 3))


def test_nonsense_is_refused():
    (model, reference, shipped), images = make("mlp", 0)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(Refused, match="NaN or infinite"):
            exact(model, reference, shipped, images * bad)
        with pytest.raises(Refused, match=r"2\.weight"):
            exact(model, reference | {"2.weight": reference["2.weight"] * bad}, shipped, images)
    with pytest.raises(Refused, match="this road moves one"):
        exact(model, reference | {"0.bias": reference["0.bias"] + 1}, shipped, images)
    with pytest.raises(Refused, match="overflow"):
        large = [{name: tensor.double() * 1e160 for name, tensor in state.items()} for state in (reference, shipped)]
        exact(model.double(), *large, images)
    (model, reference, shipped), images = make("conv", 0)
    with pytest.raises(Refused, match="BatchNorm2d"):
        exact(model, shipped | {"1.weight": shipped["1.weight"] * 2}, shipped, images)
