"""python -m simulations.peer_bounds_benchmark [--limit 1800] [--out reports/bounds]

auto_LiRPA on the networks, masks and samples of `simulations.path_bounds_benchmark`, beside the proven roads in the same run. It
needs an environment of its own; the page it writes, peers.md, says how to make it. The page is rewritten after every row. What
the library refuses or asserts stands in the table in its own words; a row that takes longer than --limit seconds is stopped.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certify.networks.vision import import_timm
from certify.records import Refused
from certify.records.files import atomic_write
from simulations.path_cases import CASES, GRID, Case, Setting, ours, ratio_text, setting
from simulations.studies._page import table

REVISION = "a050a3d61f4cb68b108fa7f07dcb3e4d7ef304df"
# Where GELU is least, rounded outward to an interval.
LEAST_GELU = (-0.75180, -0.75179)


class Row(NamedTuple):
    """A method on the first `count` samples of a case, the segment cut into `pieces`.

    repaired : GELU's interval rule. dense : convolutions as matrices; the default, patches, is the library's own.
    """

    method: str
    pieces: int
    count: int = 5
    repaired: bool = False
    dense: bool = False


RELU = (
    *(Row(method, pieces) for method in ("IBP", "CROWN-IBP", "forward+backward", "CROWN") for pieces in (1, 8)),
    Row("CROWN-Optimized", 1, 2),
)
GELU = (
    *(Row(method, pieces, 5, fair) for method in ("IBP", "CROWN-IBP") for fair in (False, True) for pieces in (1, 8, 64)),
    *(Row(method, pieces) for method in ("forward+backward", "CROWN") for pieces in (1, 8)),
    Row("CROWN-Optimized", 1, 1),
)
VISION = (
    *(Row("IBP", pieces, 5, fair) for fair in (False, True) for pieces in (1, 8, 64, 512)),
    *(Row("CROWN-IBP", pieces, 1, fair) for fair in (False, True) for pieces in (1, 8, 64)),
    Row("forward+backward", 8, 1),
    Row("CROWN", 1, 1),
    Row("CROWN", 8, 1),
)
RESNET = (
    *(Row(method, 8, 5, dense=dense) for method in ("IBP", "CROWN-IBP", "forward+backward") for dense in (False, True)),
    *(Row("CROWN", pieces, 5, dense=dense) for dense in (False, True) for pieces in (1, 8)),
)
ROWS: dict[str, tuple[Row, ...]] = {
    "ReLU MLP, one layer": RELU,
    "GELU MLP, one layer": GELU,
    "GELU MLP, all layers": GELU,
    "ResNet, first block's first convolution": RESNET,
    "2-block ViT, one layer": VISION,
}


@dataclass(frozen=True)
class Found:
    """Of one row, per sample: the bound over the truth and seconds; or what was said instead."""

    case: str
    name: str
    pieces: str
    ratios: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    said: str = ""


def library() -> Any:
    """auto_LiRPA, or a refusal that says where the environment is described."""
    try:
        import auto_LiRPA  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise Refused("auto_LiRPA is not installed here; reports/bounds/peers.md says how to make its environment") from None
    return auto_LiRPA


# -- the pair as a network of theta -----------------------------------------------------------------------------------------


class Moved(nn.Module):
    """theta on activations: f(x, S) + theta f(x, R), which is f(x, S + theta R) for the linear maps f that networks have.

    What does not move has no batch axis, as the library asks of constants; `axes` is how many axes one activation has.
    """

    def __init__(self, layer: nn.Module, shipped: dict[str, Tensor], theta: list[Tensor], axes: int) -> None:
        super().__init__()
        self.start, self.step, self.theta, self.axes = copy.deepcopy(layer), copy.deepcopy(layer), theta, axes
        for name, end in layer.state_dict().items():
            self.start.get_parameter(name).data = shipped[name].clone()
            self.step.get_parameter(name).data = end - shipped[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.start(x) + self.theta[0].reshape(-1, *(1,) * self.axes) * self.step(x)


class Heads(nn.Module):
    """timm's attention with the batch first throughout and nothing fused; q, k and v by matrices of their own."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads, self.scale, self.proj = attention.num_heads, float(attention.scale), attention.proj
        self.parts = nn.ModuleList(_third(attention.qkv, which) for which in range(3))

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        tokens, dim = x.shape[-2:]
        q, k, v = (part(x).reshape(-1, tokens, self.heads, dim // self.heads).transpose(1, 2) for part in self.parts)
        shares = (self.scale * torch.matmul(q, k.transpose(2, 3))).softmax(-1)
        return self.proj(torch.matmul(shares, v).transpose(1, 2).reshape(-1, tokens, dim))


def _third(layer: nn.Module, which: int) -> nn.Module:
    """Rows of q, k or v of a fused Linear, moved or not."""
    found = copy.deepcopy(layer)
    for parameter in found.parameters():
        parameter.data = parameter.data.chunk(3)[which].clone()
    if isinstance(layer, Moved):
        found.theta = layer.theta  # type: ignore[assignment]
    return found


class Still(nn.Module):
    """A value that does not depend on theta."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: Tensor) -> Tensor:
        return self.value


class Blocks(nn.Module):
    """A timm transformer from its blocks on, average pool."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.blocks, self.norm, self.last, self.head = model.blocks, model.norm, model.fc_norm, model.head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.norm(self.blocks(x)).mean(1)))


class Along(nn.Module):
    """theta (pieces, 1) -> logits (pieces, classes) of one image."""

    def __init__(self, network: nn.Module, theta: list[Tensor], start: Tensor) -> None:
        super().__init__()
        self.network, self.theta = network, theta
        self.register_buffer("start", start)

    def forward(self, theta: Tensor) -> Tensor:
        self.theta[0] = theta
        return self.network(self.start)


def along(at: Setting, image: Tensor) -> Along:
    """The pair in the library's terms, float32: GELU as its own operation, nothing fused, from the first layer that may move."""
    timm, theta = import_timm(), [torch.ones(1, 1)]
    network = copy.deepcopy(at.model)
    axes = 1 if isinstance(network, nn.Sequential) else 2 if hasattr(network, "blocks") else 3
    gelu = library().operators.gelu.GELU

    def turn(parent: nn.Module, path: str) -> None:
        for name, child in list(parent.named_children()):
            turn(child, f"{path}{name}.")
            if isinstance(child, nn.GELU):
                setattr(parent, name, gelu())
            elif isinstance(child, nn.Dropout):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Linear | nn.Conv2d):
                own = {key: at.shipped[f"{path}{name}.{key}"] for key in child.state_dict()}
                if any(not torch.equal(own[key], end) for key, end in child.state_dict().items()):
                    setattr(parent, name, Moved(child, own, theta, axes))
            elif isinstance(child, timm.layers.Attention):
                setattr(parent, name, Heads(child))

    turn(network, "")
    with torch.no_grad():
        start, network = _split(network, image, axes)
    return Along(network.eval().requires_grad_(False), theta, start.contiguous()).eval()


def _split(network: Any, image: Tensor, axes: int) -> tuple[Tensor, nn.Module]:
    """What stands still in front, evaluated, and the rest: of a chain, a transformer or a ResNet."""
    if axes == 1:
        return image.flatten(), nn.Sequential(*list(network)[1:])
    if axes == 2:
        return network._pos_embed(network.patch_embed(image[None]))[0], Blocks(network)
    start = network.maxpool(network.act1(network.bn1(network.conv1(image[None]))))[0]
    network.layer1[0].downsample = Still(network.layer1[0].downsample(start[None])[0])
    stages = (network.layer1, network.layer2, network.layer3, network.layer4)
    return start, nn.Sequential(*stages, network.global_pool, network.fc)


# -- one row ----------------------------------------------------------------------------------------------------------------


def peer(row: Row, at: Setting, image: Tensor) -> tuple[np.ndarray, np.ndarray, float]:
    """(K,) the least and the largest logits on [0, 1] by the library, pieces together as one batch; seconds for bounds alone."""
    lirpa = library()
    torch.manual_seed(0)
    edges = torch.linspace(0.0, 1.0, row.pieces + 1)[:, None]
    middle = (edges[1:] + edges[:-1]) / 2
    options = {"optimize_bound_args": {"iteration": 20}} | ({"conv_mode": "matrix"} if row.dense else {})
    network = lirpa.BoundedModule(along(at, image), middle, bound_opts=options)
    ball = lirpa.PerturbationLpNorm(norm=float("inf"), x_L=edges[:-1], x_U=edges[1:])
    began = time.perf_counter()
    with torch.set_grad_enabled(row.method == "CROWN-Optimized"):
        low, high = network.compute_bounds(x=(lirpa.BoundedTensor(middle, ball),), method=row.method)
    seconds = time.perf_counter() - began
    return low.min(0).values.detach().double().numpy(), high.max(0).values.detach().double().numpy(), seconds


def repair() -> None:
    """GELU's interval rule takes in the global minimum only where the interval holds it; as shipped it always does."""
    kind, least = library().operators.gelu.BoundGelu, min(LEAST_GELU, key=lambda x: float(F.gelu(torch.tensor(x))))

    def interval(self: Any, *v: Any) -> tuple[Tensor, Tensor]:
        ends = [F.gelu(end) for end in v[0]]
        low, high = torch.minimum(*ends), torch.maximum(*ends)
        inside = (v[0][0] <= LEAST_GELU[1]) & (v[0][1] >= LEAST_GELU[0])
        return torch.where(inside, F.gelu(torch.tensor(least)).minimum(low), low), high

    kind.interval_propagate = interval


def evaluate(case: Case, row: Row) -> Found:
    """The row's ratios and seconds, those of building the library's graph left out."""
    at = setting(case, row.count)
    if row.repaired:
        repair()
    ratios, seconds = [], []
    for image in at.images:
        path, truth = at.path(image), at.truth(image)
        low, high, spent = peer(row, at, image)
        seconds.append(spent)
        if np.any(low > path.min(axis=0) + 1e-4) or np.any(high < path.max(axis=0) - 1e-4):
            return Found(case.name, _name(row), str(row.pieces), said="bounds below the truth: the network is not the same")
        ratios.append(float(np.maximum(high - path[-1], path[-1] - low).max() / truth.max()))
    return Found(case.name, _name(row), str(row.pieces), tuple(ratios), tuple(seconds))


def evaluate_ours(case: Case, count: int) -> Found:
    """The proven road on the same samples."""
    at = setting(case, count)
    bound, ratios, seconds, pieces = ours(case, at), [], [], []
    bound(at.images[0])
    for image in at.images:
        began = time.perf_counter()
        deviation, parts, _ = bound(image)
        seconds.append(time.perf_counter() - began)
        ratios.append(float(deviation.max() / at.truth(image).max()))
        pieces.append(parts)
    return Found(case.name, f"**certify, {case.road}**", f"{np.median(pieces):.0f}", tuple(ratios), tuple(seconds))


def limited(work: Callable[[], Found], otherwise: Callable[[str], Found], limit: float) -> Found:
    """`work` in a process of its own, stopped after `limit` seconds; what it raises is said by its first line."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run() -> None:
        try:
            there.send(work())
        except Exception as error:  # a library may raise anything
            first = (str(error).strip().splitlines() or ["no message"])[0]
            there.send(otherwise(f"{type(error).__name__}: {first}"))

    process = context.Process(target=run)
    began = time.perf_counter()
    process.start()
    there.close()
    try:
        found = here.recv() if here.poll(limit) else otherwise(f"not finished in {limit:.0f} s")
    except EOFError:
        process.join()
        found = otherwise(f"ended by signal {-(process.exitcode or 0)} after {time.perf_counter() - began:.0f} s")
    process.kill()
    process.join()
    return found


def _name(row: Row) -> str:
    shown = {"CROWN-Optimized": "alpha-CROWN, 20 steps"}.get(row.method, row.method)
    return shown + ", GELU repaired" * row.repaired + ", convolutions as matrices" * row.dense


# -- the page ---------------------------------------------------------------------------------------------------------------

HEAD = ("method", "pieces", "median", "worst", "s", "worst s", "samples")


def page(results: list[Found], limit: float) -> str:
    """The page's text."""
    lirpa = library()
    lines = [
        "# Proven bounds beside auto_LiRPA",
        "",
        f"`python -m simulations.peer_bounds_benchmark --limit {limit:.0f}` on {platform.machine()}, 1 thread, Python "
        f"{platform.python_version()}, torch {torch.__version__}, auto_LiRPA {lirpa.__version__} at {REVISION[:7]}.",
        "",
        "The networks, masks and test images of [paths](paths.md): half of the smallest weights of each pruned matrix are "
        f"removed. median, worst: the bound on max over theta and classes of |z(theta) - z(1)| over the largest change on {GRID} "
        "points of the segment. s: seconds a sample. auto_LiRPA reads theta as its input and weights as "
        "layer(x, S) + theta layer(x, R); the pieces of the segment are one batch, and z(1) is given to "
        "it exactly. Nothing in front of the first layer that moves is in its graph but as a constant, and building that graph, "
        "anew for each sample, is left out of its seconds. What the library refuses or asserts stands in the first line of its "
        "own words. Both libraries ran beside other load on 2 cores.",
        "",
        "## In which sense a row is sound",
        "",
        "- **certify**: tier `proved`, of the network in real arithmetic with weights and pixels as stored; every rounding is "
        "counted.",
        "- **auto_LiRPA**: float32, its default. Its rules are sound in real arithmetic but for those of softmax, which add "
        "1e-12 and 1e-8 to sums without an allowance; rounding is counted in none. No row lies more than 1e-4 "
        "inside the truth on the grid; one that did would say so in place of numbers.",
        "- **GELU repaired**: as shipped, the interval rule of GELU always takes in the global minimum -0.17, so that it never "
        "shrinks with the interval. Repaired, it does so only where the minimum lies inside. Compare with these rows.",
        "",
    ]
    for case in dict.fromkeys(found.case for found in results):
        rows = [_cells(found) for found in results if found.case == case]
        lines += [f"## {case}", "", *table(HEAD, rows)]
    lines += [
        "## The environment",
        "",
        "auto_LiRPA is no requirement of this project and nothing of it is in here. Beside an installed checkout:",
        "",
        "```",
        "python3.11 -m venv peers && . peers/bin/activate",
        "pip install -c constraints.txt -e .",
        f"git clone https://github.com/Verified-Intelligence/auto_LiRPA && git -C auto_LiRPA checkout {REVISION}",
        "pip install appdirs graphviz ninja packaging pyyaml sortedcontainers tqdm && pip install --no-deps ./auto_LiRPA",
        "python -m simulations.peer_bounds_benchmark",
        "```",
        "",
        "auto_LiRPA declares torch < 2.9, which `--no-deps` passes over; the versions above are those that ran. PyPI has "
        "older versions of it alone.",
    ]
    return "\n".join(lines) + "\n"


def _cells(found: Found) -> tuple[str, ...]:
    if found.said:
        return (found.name, found.pieces, found.said.replace("|", "\\|"), "", "", "", "")
    ratios, seconds = np.array(found.ratios), found.seconds
    shown = [ratio_text(float(value)) if np.isfinite(value) else "NaN" for value in (np.median(ratios), ratios.max())]
    return (found.name, found.pieces, *shown, f"{np.median(seconds):.3g}", f"{max(seconds):.3g}", str(len(ratios)))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.peer_bounds_benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which a row is stopped")
    parser.add_argument("--out", type=Path, default=Path("reports/bounds"))
    options = parser.parse_args()
    library()
    torch.set_num_threads(1)
    results: list[Found] = []
    for case in (case for case in CASES if case.name in ROWS):
        setting(case, 1)  # trained once, before the processes of the rows
        for row in (None, *ROWS[case.name]):
            count = max(each.count for each in ROWS[case.name])
            name, pieces = ("certify", "") if row is None else (_name(row), str(row.pieces))
            results.append(
                limited(
                    lambda case=case, row=row, count=count: evaluate_ours(case, count) if row is None else evaluate(case, row),
                    lambda said, case=case, name=name, pieces=pieces: Found(case.name, name, pieces, said=said),
                    options.limit,
                )
            )
            print(case.name, *_cells(results[-1]), sep=" | ", flush=True)
            atomic_write(options.out / "peers.md", page(results, options.limit).encode())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(3)
