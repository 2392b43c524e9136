"""python -m simulations.bounds_attack [--networks 240] [--seed 0] [--out reports/bounds]

An attack on the proven bounds: random networks of every kind that the roads know, random pairs, and evaluations at random theta,
at the ends of pieces and, half of them, along gradient ascent in theta of the change of a logit. Every evaluation has to lie
inside what `certify.bounds.prove` says and inside the piece of the enclosure, or of the traced path, that holds its theta. Writes
attack.md.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from certify.bounds import prove
from certify.bounds.enclosed import Encloser
from certify.bounds.exact import exact
from certify.networks.loading import State, state_of
from certify.networks.vision import import_timm
from certify.records.files import atomic_write
from simulations.studies._page import table

KINDS = ("chain", "kinked", "bent", "vision")
SCALES = ("usual", "large", "small", "mixed", "zeros")
PAIRS = ("half", "one halved", "one moved", "all moved", "far", "gone", "same")
# Starts and steps of the ascent, and as many evaluations elsewhere.
STARTS, STEPS = 24, 10


@dataclass(frozen=True)
class Target:
    """A pair, one image, and how its segment is cut for the piecewise check: few wide pieces."""

    name: str
    model: nn.Module
    reference: State
    shipped: State
    image: Tensor
    start: int


@dataclass
class Tally:
    """What was evaluated and found.

    finite, enclosed : networks whose bounds, and whose wide pieces, are finite throughout.
    slack, inner     : smallest (bound - value) / bound of changes, and of distances to the centre of a piece.
    outside          : what was found outside, in words.
    """

    networks: int = 0
    evaluations: int = 0
    ascended: int = 0
    finite: int = 0
    enclosed: int = 0
    slack: float = math.inf
    inner: float = math.inf
    seconds: float = 0.0
    outside: list[str] = field(default_factory=list)


# -- random networks --------------------------------------------------------------------------------------------------------


class Kinked(nn.Module):
    """Convolutions, batch norm, kinks, a pool, a residual connection with another convolution, linear layers."""

    def __init__(self, pick: np.random.Generator) -> None:
        super().__init__()
        width, classes = int(pick.integers(2, 6)), int(pick.integers(2, 5))
        kinks = (nn.ReLU, lambda: nn.LeakyReLU(float(pick.uniform(0, 1))))
        self.first = nn.Conv2d(2, width, 3, stride=int(pick.integers(1, 3)), padding=1, bias=bool(pick.integers(2)))
        self.norm = nn.BatchNorm2d(width, affine=bool(pick.integers(2)))
        self.kink, self.last_kink = (kinks[pick.integers(2)]() for _ in range(2))
        pools = (nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1))
        self.pool = pools[pick.integers(len(pools))]
        self.second, self.third = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)
        self.residual, self.end = bool(pick.integers(2)), (nn.AdaptiveAvgPool2d(1), nn.MaxPool2d(2))[pick.integers(2)]
        flat = self.end(self.pool(self.first(torch.zeros(1, 2, 8, 8)))).numel()
        self.hidden, self.head = nn.Linear(flat, 7), nn.Linear(7, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.kink(self.norm(self.first(x))))
        y = self.third(torch.relu(self.second(x)))
        x = torch.relu(x + y) if self.residual else y
        return self.head(self.last_kink(self.hidden(torch.flatten(self.end(x), 1))))


def _chain(pick: np.random.Generator) -> nn.Module:
    act = nn.GELU()
    widths = [int(w) for w in pick.integers(2, 20, size=int(pick.integers(2, 6)))]
    layers: list[nn.Module] = [nn.Flatten()] * int(pick.integers(2))
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bool(pick.integers(2))), act if pick.integers(2) else nn.GELU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], int(pick.integers(2, 5))))


def _vision(pick: np.random.Generator) -> nn.Module:
    heads, token = int(pick.integers(1, 4)), bool(pick.integers(2))
    pool = str(pick.choice(["avg", "token"])) if token else "avg"
    options = {
        "img_size": (4, 2 * int(pick.integers(1, 4))),
        "patch_size": 2,
        "in_chans": int(pick.integers(1, 3)),
        "embed_dim": heads * int(pick.integers(2, 6)),
        "depth": int(pick.integers(1, 3)),
        "num_heads": heads,
        "num_classes": int(pick.integers(2, 5)),
        "mlp_ratio": float(pick.choice([1.0, 2.0])),
        "qkv_bias": bool(pick.integers(2)),
        "class_token": token,
        "global_pool": pool,
        "no_embed_class": token and bool(pick.integers(2)),
        "init_values": [None, 0.1, 1.0][pick.integers(3)],
        "fc_norm": [None, True, False][pick.integers(3)],
    }
    model: Any = import_timm().models.vision_transformer.VisionTransformer(**options)
    for block in model.blocks:
        block.attn.fused_attn = False
    return model


def _states(model: nn.Module, scale: str, pair: str, kinked: bool, pick: np.random.Generator) -> tuple[State, State]:
    """Reference and shipped tensors. Where the road traces, one layer changes."""
    generator = torch.Generator().manual_seed(int(pick.integers(2**31)))
    factor = {"usual": 1.0, "large": 4.0, "small": 1e-3}

    def drawn(name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        if name.endswith("running_var"):
            return torch.rand(tensor.shape, generator=generator) + 0.2
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim < 2 or name in ("cls_token", "pos_embed"):
            return tensor + 0.3 * noise
        size = factor.get(scale) or (10.0 ** pick.uniform(-2, 1) if scale == "mixed" else 1.0)
        return size * noise / math.sqrt(tensor[0].numel())

    reference = {name: drawn(name, tensor) for name, tensor in state_of(model).items()}
    matrices = [name for name, t in reference.items() if name.endswith("weight") and t.ndim > 1]
    if scale == "zeros":
        reference[matrices[pick.integers(len(matrices))]].zero_()
    if pick.integers(4) == 0:
        reference = {name: t.double() if t.is_floating_point() else t for name, t in reference.items()}
    one = matrices[pick.integers(len(matrices))]
    own = [name for name, t in reference.items() if t.is_floating_point()]
    if kinked:
        own = [name for name in own if name.rpartition(".")[0] == one.rpartition(".")[0]]
    shipped = dict(reference)
    chosen = {"half": [n for n in matrices if n in own], "one halved": [one], "one moved": [one], "gone": [one], "same": []}
    for name in chosen.get(pair, own):
        tensor = reference[name]
        if pair in ("half", "one halved"):
            shipped[name] = torch.where(tensor.abs() > tensor.abs().median(), tensor, torch.zeros_like(tensor))
        elif pair == "gone":
            shipped[name] = torch.zeros_like(tensor)
        else:
            size = tensor.abs().mean() if pair == "far" else 10.0 ** pick.uniform(-8, -1)
            shipped[name] = tensor + size * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    return reference, shipped


def target(seed: int) -> Target:
    """The random pair of a seed; seeds go round the kinds."""
    pick = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind, scale, pair = KINDS[seed % len(KINDS)], str(pick.choice(SCALES)), str(pick.choice(PAIRS))
    model = {"chain": _chain, "kinked": Kinked, "bent": Kinked, "vision": _vision}[kind](pick).eval()
    reference, shipped = _states(model, scale, pair, kind == "kinked", pick)
    if next(iter(reference.values())).dtype == torch.float64:
        model = model.double()
    if kind == "vision":
        stem: Any = model.patch_embed  # type: ignore[union-attr]
        shape = (stem.proj.in_channels, *stem.img_size)
    else:
        shape = (
            (2, 8, 8)
            if kind in ("kinked", "bent")
            else (next(m for m in model.modules() if isinstance(m, nn.Linear)).in_features,)
        )
    image = torch.randn(shape) * 10.0 ** pick.uniform(-1, 1)
    return Target(f"{seed}: {kind}, {scale}, {pair}", model, reference, shipped, image, 2 ** int(pick.integers(3)))


# -- evaluations ------------------------------------------------------------------------------------------------------------


class Statistics(nn.Module):
    """Batch norm as torch evaluates it, differentiable in its running statistics, too; `norm` lends its tensors by name."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self._parameters, self._buffers, self.eps = norm._parameters, norm._buffers, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            None if t is None else t[:, None, None] for t in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return x if weight is None else x * weight + bias


class Evaluator:
    """Logits (n, K) in float64 at many theta (n,) at once, with their derivative."""

    def __init__(self, at: Target) -> None:
        self.network = at.model.double()
        if isinstance(getattr(self.network, "norm", None), nn.BatchNorm2d):
            self.network.norm = Statistics(self.network.norm)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        ends = [{k: t.double() if t.is_floating_point() else t for k, t in s.items()} for s in (at.shipped, at.reference)]
        self.still = ends[1]
        self.moving = {k: (ends[0][k], t - ends[0][k]) for k, t in ends[1].items() if not torch.equal(t, ends[0][k])}
        self.image = at.image.double()[None]
        self.reference = self._once(self.still)

    def _once(self, state: Mapping[str, Tensor]) -> Tensor:
        return functional_call(self.network, dict(state), (self.image,))[0]

    def __call__(self, theta: Tensor) -> Tensor:
        if not self.moving:
            return self.reference.expand(len(theta), -1) + 0.0 * theta[:, None]
        return vmap(lambda t: self._once(self.still | {k: a + t * r for k, (a, r) in self.moving.items()}))(theta)


def ascend(network: Evaluator, starts: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """theta and logits on the way up |z_k - z_k(1)|, each start with a class of its own; steps shrink from .1 to 1e-5."""
    classes = torch.arange(len(starts)) % len(network.reference)
    theta, seen, logits = starts.clone(), [], []
    for step in torch.logspace(-1, -5, steps, dtype=torch.float64):
        theta = theta.detach().requires_grad_()
        value = network(theta)
        change = (value - network.reference).abs()[torch.arange(len(theta)), classes]
        (slope,) = torch.autograd.grad(change.sum(), theta)
        seen.append(theta.detach())
        logits.append(value.detach())
        theta = (theta.detach() + step * slope.sign()).clamp(0.0, 1.0)
    return torch.cat(seen), torch.cat(logits)


def attack(seed: int, tally: Tally, starts: int = STARTS, steps: int = STEPS) -> None:
    """Attack the bounds of one random pair, and add to the tally what was found."""
    began = time.perf_counter()
    at = target(seed)
    found = prove(at.model, at.reference, at.shipped, at.image[None])
    edges, centre, rem = _pieces(at, found.road)
    network = Evaluator(at)
    inner = edges[np.linspace(0, len(edges) - 1, min(len(edges), starts * steps // 2)).astype(int)]
    ordinary = np.concatenate([inner, np.random.default_rng(seed).uniform(size=starts * steps - len(inner))])
    up_theta, up_logits = ascend(network, torch.linspace(0.0, 1.0, starts, dtype=torch.float64), steps)
    theta = np.concatenate([ordinary, up_theta.numpy()])
    logits = np.concatenate([network(torch.from_numpy(ordinary)).numpy(), up_logits.numpy()])
    last, decision = network.reference.numpy(), int(found.decided.classes[0])
    away = np.abs(logits - last)
    against = np.abs(logits - logits[:, [decision]] - (last - last[decision]))
    gap = last[decision] - last
    off = np.abs(logits - np.array([centre(t) for t in theta]))
    radius = np.array([rem(t) for t in theta])
    say = tally.outside.append
    for what, value, bound in (
        ("change", away, found.change[0]),
        ("pairwise change", against, found.decided.change[0]),
        ("piece", off, radius),
        ("margin", found.decided.least[0], gap),
        ("margin from above", gap, found.decided.most[0]),
    ):
        excess = np.where(value > bound, value - bound, 0.0)
        if excess.max() > 0:
            where = np.broadcast_to(bound, value.shape).flat[excess.argmax()]
            say(f"{at.name}: {what} outside by {excess.max():.3g} of {where:.3g}")
    if found.unchanged[0] and np.any(logits.argmax(axis=1) != decision):
        say(f"{at.name}: the decision changes")
    finite = np.isfinite(found.change[0]) & (found.change[0] > 0)
    tally.networks += 1
    tally.evaluations += len(theta)
    tally.ascended += len(up_theta)
    tally.finite += bool(np.isfinite(found.change[0]).all())
    tally.enclosed += bool(np.isfinite(radius).all())
    with np.errstate(invalid="ignore", divide="ignore"):
        tally.slack = min(tally.slack, float(np.min(1 - away.max(axis=0)[finite] / found.change[0][finite], initial=np.inf)))
        tally.inner = min(tally.inner, float(np.nanmin(1 - np.where(radius > 0, off / radius, np.nan), initial=np.inf)))
    tally.seconds += time.perf_counter() - began


def _pieces(at: Target, road: str) -> Any:
    """Ends of pieces, and the centre and the radius that are claimed at a theta."""
    if road == "exact":
        knots, tube = exact(at.model, at.reference, at.shipped, at.image[None]).tubes[0]

        def place(theta: float) -> int:
            return min(int(np.searchsorted(knots, theta, side="right")) - 1, len(knots) - 2)

        def line(theta: float) -> np.ndarray:
            i = place(theta)
            share = (theta - knots[i]) / (knots[i + 1] - knots[i])
            return tube.centre[i] + share * (tube.centre[i + 1] - tube.centre[i])

        return knots, line, lambda theta: tube.rem[min(place(theta), len(tube.rem) - 1)]
    found = Encloser(at.model, at.reference, at.shipped, degree=4).enclose(
        at.image, start=at.start, tolerance=0.5, most=4 * at.start
    )
    edges = np.concatenate([found.mid - found.half, [1.0]])

    def piece(theta: float) -> int:
        return min(int(np.searchsorted(edges, theta, side="right")) - 1, len(found.mid) - 1)

    def polynomial(theta: float) -> np.ndarray:
        i = piece(theta)
        return ((theta - found.mid[i]) / found.half[i]) ** np.arange(found.coef.shape[1]) @ found.coef[i]

    return edges, polynomial, lambda theta: found.rem[piece(theta)]


# -- the page ---------------------------------------------------------------------------------------------------------------


def page(tallies: Mapping[str, Tally], command: str) -> str:
    """The page's text, one row a kind."""
    head = ("kind", "networks", "evaluations", "by ascent", "finite", "finite pieces", "outside", "slack", "slack in pieces", "s")
    rows = [
        (
            kind,
            *(f"{n:,}" for n in (t.networks, t.evaluations, t.ascended, t.finite, t.enclosed, len(t.outside))),
            *(f"{value:.1e}" for value in (t.slack, t.inner)),
            f"{t.seconds:.0f}",
        )
        for kind, t in tallies.items()
    ]
    sums = [sum(getattr(t, name) for t in tallies.values()) for name in ("networks", "evaluations", "ascended")]
    said = [line for t in tallies.values() for line in t.outside]
    return "\n".join(
        [
            "# An attack on the proven bounds",
            "",
            f"`{command}` on {platform.machine()}, 1 thread, torch {torch.__version__}.",
            "",
            f"{sums[1]:,} evaluations of {sums[0]:,} random networks, {sums[2]:,} of them by gradient ascent in theta: "
            f"**{len(said) or 'none'} outside**.",
            "",
            *table(head, rows),
            "chain: Linear and GELU. kinked: convolutions, batch norm, kinks, pools, a residual connection; one "
            "layer moves. bent: the same, any tensors move. vision: timm's VisionTransformer; widths, heads, depths, "
            "class token, pools, layer scale and images at "
            "random. finite: networks with finite bounds, and with finite wide pieces. "
            f"Weights are {', '.join(SCALES)}; pairs are {', '.join(PAIRS)}; a quarter is stored in float64.",
            "",
            "An evaluation is one forward pass in float64. Half are at random theta and at the ends of pieces or at knots, half "
            "on the way up |z_k - z_k(1)|. Each is held against the changes, pairwise changes, margins and decisions of "
            "`certify.bounds.prove`, and against the piece that holds its theta: of the traced path, or of an enclosure of "
            "degree 4 on 1 to 16 wide pieces, where truncation is what is tested. No tolerance is granted for the rounding of an "
            "evaluation.",
            "",
            "slack: the smallest (bound - value) / bound found, below 0 where a bound is violated. For changes it is small "
            "because bounds are tight and ascent finds the maximum.",
            "",
            *(["## Outside", "", *(f"- {line}" for line in said), ""] if said else []),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.bounds_attack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0, help="of the first network")
    parser.add_argument("--out", type=Path, default=Path("reports/bounds"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tallies = {kind: Tally() for kind in KINDS}
    for seed in range(options.seed, options.seed + options.networks):
        attack(seed, tallies[KINDS[seed % len(KINDS)]])
    command = f"python -m simulations.bounds_attack --networks {options.networks} --seed {options.seed}"
    text = page(tallies, command)
    atomic_write(options.out / "attack.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
