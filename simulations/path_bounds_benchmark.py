"""python -m simulations.path_bounds_benchmark [--threads 2] [--out reports/bounds]
python -m simulations.path_bounds_benchmark --full-size vit_small_patch16_224 [--layer NAME] [--pieces 8] [--degree 8]

Proven bounds on how far the logits of trained digits networks move along the segment to their pruned form, beside the truth on
a grid: the exact road on ReLU networks of which one layer moves; the enclosure where all do, on chains, a ResNet and transformers
of 2, 6 and 12 blocks. Half of the smallest weights are removed, of each pruned matrix. The page is rewritten after every case.
With --full-size one random image and the random weights of a timm model, its block matrices halved, or those below NAME alone;
bound and truth are printed, and what each half-block contributed to the widest piece.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from certify.bounds.enclosed import Encloser, Step
from certify.networks.loading import build, state_of
from certify.networks.segment import Segment
from certify.networks.targets import describe
from certify.records import Usage
from certify.records.files import atomic_write
from certify.records.recipe import ModelRecipe
from simulations.measure import resident
from simulations.path_cases import CASES, GRID, Case, ours, ratio_text, setting
from simulations.studies._page import COLOURS, table

# Points of the segment at which a network of full size is evaluated.
FULL_GRID = 33


@dataclass
class Found:
    """Of one case, per sample: the bound over the truth, the largest true change, seconds, pieces or bends; the last's steps."""

    case: Case
    ratios: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    steps: tuple[Step, ...] = ()


def evaluate(case: Case, threads: int) -> Found:
    """Bounds and truths of the first test images. The network is trained on one thread, whatever is asked for here."""
    at, found = setting(case), Found(case)
    torch.set_num_threads(threads)
    bound = ours(case, at)
    bound(at.images[0])  # what is done once for a pair is not a sample's time
    for image in at.images:
        began = time.perf_counter()
        deviation, pieces, steps = bound(image)
        found.seconds.append(time.perf_counter() - began)
        truth = at.truth(image)
        if not np.all(deviation >= truth - 1e-9):
            raise AssertionError(f"{case.name}: a bound below the truth")
        found.ratios.append(float(deviation.max() / truth.max()))
        found.truths.append(float(truth.max()))
        found.pieces.append(pieces)
        found.steps = steps
    return found


def page(results: list[Found], threads: int) -> str:
    """The page's text."""
    rows = []
    for found in results:
        case, ratios = found.case, np.array(found.ratios)
        rows.append(
            (
                case.name,
                case.anchor,
                case.wanted,
                ratio_text(float(np.median(ratios))),
                ratio_text(float(ratios.max())),
                f"{np.median(found.seconds):.3g}",
                f"{max(found.seconds):.3g}",
                f"{np.median(found.pieces):.0f}",
                f"{np.median(found.truths):.3g}",
                f"{int(np.sum(ratios <= 1.05))} of {len(ratios)}",
            )
        )
    head = ("case", "anchor", "wanted", "median", "worst", "s", "worst s", "pieces", "true change", "within 1.05")
    lines = [
        "# Logits along the pruning path, bounded and proved",
        "",
        f"`python -m simulations.path_bounds_benchmark --threads {threads}` on {platform.machine()}, {threads} threads, torch "
        f"{torch.__version__}.",
        "",
        f"median, worst: the bound on max over theta and classes of |z(theta) - z(1)|, over the largest change on {GRID} points "
        "of the segment, over test images. Half of each pruned matrix is removed. Every bound is of tier `proved`: of the "
        "network in real arithmetic with weights and pixels as stored, all rounding counted. s: seconds a sample, everything "
        "included that depends on the sample. pieces: of the segment, or bends on the exact road. Anchors are figures of "
        "auto_LiRPA on networks of the same shape, trained elsewhere.",
        "",
        *table(head, rows),
        "![Where the error grows](paths.svg)",
        "",
    ]
    deep = results[-1]
    if deep.steps:
        lines += [
            f"## Where the factor goes: {deep.case.name}, the worst piece of the last sample",
            "",
            "gain: largest row sum of the proven token-block gains. defect: truncation and rounding of the half-block alone. "
            "error: what is known after it, l2 of the worst token.",
            "",
            *table(
                ("half-block", "gain", "defect", "error"),
                [(s.name, f"{s.gain:.3g}", f"{s.defect:.2g}", f"{s.error:.2g}") for s in deep.steps],
            ),
        ]
    return "\n".join(lines) + "\n"


def draw(results: list[Found], path: Path) -> None:
    """Error after each half-block, one curve a transformer."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.0, 4.0))
    for colour, found in zip(COLOURS, [each for each in results if each.steps], strict=False):
        axes.plot(
            range(1, len(found.steps) + 1), [s.error for s in found.steps], color=colour, marker="o", ms=3, label=found.case.name
        )
    axes.set(yscale="log", xlabel="half-block", ylabel="error bound, l2 of the worst token")
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def full_size(name: str, layer: str, pieces: int, most: int, degree: int) -> None:
    """Print bound, truth on a grid, time, memory and half-blocks of one sample of a timm model."""
    torch.manual_seed(0)
    model = build(ModelRecipe(name, num_classes=10))
    reference = state_of(model)
    halved = {t.weight for t in describe(model) if t.role == "block" and f"{t.name}.".startswith(f"{layer}." if layer else "")}
    if not halved:
        raise Usage(f"--layer {layer}: {name} has no block matrix of that name, or below it")
    shipped = {
        key: torch.where(tensor.abs() > tensor.abs().median(), tensor, torch.zeros(())) if key in halved else tensor
        for key, tensor in reference.items()
    }
    config: Any = model.pretrained_cfg
    image = torch.randn(*config["input_size"], generator=torch.Generator().manual_seed(1))
    path = Segment(model, reference, shipped).path(image[None], np.linspace(0.0, 1.0, FULL_GRID))[:, 0]
    truth = float(np.abs(path - path[-1]).max())
    began = time.perf_counter()
    found = Encloser(model, reference, shipped, degree).enclose(image, start=pieces, most=max(pieces, most))
    seconds, memory, bound = time.perf_counter() - began, resident() / 1024, float(found.deviation().max())
    print(
        f"{name}, {len(halved)} matrices halved, {len(found.mid)} pieces, degree {degree}: bound {bound:.6g}, largest change on "
        f"{FULL_GRID} points {truth:.6g}, ratio {ratio_text(bound / truth)}, remainder {found.rem.max():.2g}, {seconds:.0f} s, "
        f"{memory:.2f} GiB"
    )
    if bound < truth - 1e-9:
        raise AssertionError("a bound below the truth")
    for step in found.steps:
        print(f"{step.name:>16} gain {step.gain:.3g} defect {step.defect:.2g} error {step.error:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.path_bounds_benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("reports/bounds"))
    parser.add_argument("--full-size", metavar="MODEL", help="one sample of a timm vision transformer instead")
    parser.add_argument("--layer", default="", help="with --full-size: a matrix or module of blocks; all matrices otherwise")
    parser.add_argument("--pieces", type=int, default=8, help="with --full-size: to begin with, a power of two")
    parser.add_argument("--most", type=int, default=0, help="with --full-size: halved to so many pieces where the bound is loose")
    parser.add_argument("--degree", type=int, default=8, help="with --full-size")
    options = parser.parse_args()
    if options.full_size:
        torch.set_num_threads(options.threads)
        full_size(options.full_size, options.layer, options.pieces, options.most, options.degree)
        return
    results: list[Found] = []
    for case in CASES:
        results.append(evaluate(case, options.threads))
        atomic_write(options.out / "paths.md", page(results, options.threads).encode())
        draw(results, options.out / "paths.svg")
        print(case.name, ratio_text(float(np.median(results[-1].ratios))), f"{np.median(results[-1].seconds):.3g} s", flush=True)


if __name__ == "__main__":
    main()
