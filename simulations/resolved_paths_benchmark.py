"""python -m simulations.resolved_paths_benchmark [--threads 2] [--samples 100] [--full-size vit_small_patch16_224]

How far the logits move along the segment, from at most ten evaluations of the network, beside the truth: trained digits
transformers of 2, 6 and 12 blocks, and a timm model at full size with random weights; half of the smallest weights of every
block matrix removed. Truth is the path at order 64 (65 evaluations). Samples that nine evaluations do not settle are flagged,
and go on.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds import ResolvedPath, resolve
from certify.networks.evidence import collect
from certify.networks.loading import build, state_of
from certify.networks.masking import masked_state
from certify.networks.segment import Segment
from certify.networks.targets import describe
from certify.pruning import prune
from certify.records.files import atomic_write
from certify.records.recipe import ModelRecipe
from simulations.digits.networks import samples, splits, trained
from simulations.studies._page import table

# Nine evaluations: degree 8. The next doubling takes seventeen.
ORDER, HIGHEST, TRUTH = 8, 64, 64
TOLERANCE = 1e-2
FULL_SIZE_SAMPLES = 4


@dataclass(frozen=True)
class Row:
    """One network: relative errors of the value at nine evaluations, and what became of the flagged samples."""

    name: str
    samples: int
    change: np.ndarray
    variation: np.ndarray
    flagged: np.ndarray
    escalated: np.ndarray
    covered: float
    seconds: float
    forward: float

    def cells(self) -> list[str]:
        def spread(errors: np.ndarray) -> str:
            return f"{100 * np.median(errors):.2g} / {100 * np.quantile(errors, 0.95):.2g} / {100 * errors.max():.2g}"

        kept = self.variation[~self.flagged]
        return [
            self.name,
            str(self.samples),
            spread(self.change),
            spread(self.variation),
            spread(kept) if len(kept) else "none settled",
            f"{int(self.flagged.sum())}",
            spread(self.escalated),
            f"{100 * self.covered:.4g} %",
            f"{self.seconds / self.forward:.3g}",
        ]


TITLES = (
    "network",
    "samples",
    "change, 9 evaluations: median / p95 / largest error, %",
    "variation, 9 evaluations, %",
    "of those settled, %",
    "flagged",
    "variation after escalation, %",
    "stated error covers",
    "time / one forward",
)


def evaluate(name: str, model: nn.Module, images: Tensor) -> Row:
    targets = [target for target in describe(model) if target.role == "block"]
    evidence = collect(model, targets, [images[:1]], split="0" * 64, parts=("moments",))
    plan = prune(targets, evidence, name="half", method="magnitude", sparsity=0.5, options={"scope": "layer"})
    segment = Segment(model, state_of(model), masked_state(state_of(model), plan))
    began = time.perf_counter()
    segment.logits(images, 1.0)
    forward = time.perf_counter() - began
    truth = resolve(segment, images, None, tolerance=1e-300, max_order=TRUTH)
    began = time.perf_counter()
    quick = resolve(segment, images, None, tolerance=TOLERANCE, max_order=ORDER)
    seconds = time.perf_counter() - began
    fine = resolve(segment, images, None, tolerance=TOLERANCE, max_order=HIGHEST)
    return Row(
        name,
        len(images),
        _off(quick.change.max(axis=1), truth.change.max(axis=1)),
        _off(quick.max_norm, truth.max_norm),
        ~quick.converged,
        _off(fine.max_norm, truth.max_norm),
        _covered(quick, truth),
        seconds,
        forward,
    )


def _off(value: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.abs(value - truth) / truth


def _covered(path: ResolvedPath, truth: ResolvedPath) -> float:
    off = np.abs(path.max_norm - truth.max_norm) - truth.max_norm_error
    return float(np.mean(off <= path.max_norm_error))


def page(rows: list[Row], threads: int, count: int) -> str:
    text = "\n".join(table(TITLES, [row.cells() for row in rows]))
    return (
        "# The resolved road at nine evaluations\n\n"
        f"`python -m simulations.resolved_paths_benchmark --threads {threads} --samples {count}`, {platform.machine()}, "
        f"torch {torch.__version__}, float64.\n\n"
        "All block matrices halved. *Change* is the largest move of a logit anywhere on the segment (mostly at its end, which is\n"
        "evaluated), *variation* the length of the path (X8); the error is relative to the path at order 64. A sample is *flagged*\n"
        f"when the doubling from 4 to 8 still moved its variation by more than {TOLERANCE:g} of it, and escalated up to order\n"
        f"{HIGHEST}. *Stated error covers*: share of samples whose error at nine evaluations is within the tolerance printed\n"
        "beside the value. Times were taken beside other load.\n\n"
        f"{text}"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--full-size", default="vit_small_patch16_224", help="timm model; empty leaves it out")
    parser.add_argument("--out", type=Path, default=Path("reports/bounds"))
    options = parser.parse_args(argv)
    rows = []
    for blocks in (2, 6, 12):
        model = trained(f"vit-{blocks}", 0)
        torch.set_num_threads(options.threads)
        images = samples().images(list(splits().indices["certification"][: options.samples]))
        rows.append(evaluate(f"digits ViT, {blocks} blocks", model, images))
        print(" | ".join(rows[-1].cells()), flush=True)
    if options.full_size:
        torch.manual_seed(0)
        model = build(ModelRecipe(options.full_size, "", 0, {}))
        rows.append(evaluate(f"{options.full_size}, random weights", model, torch.randn(FULL_SIZE_SAMPLES, 3, 224, 224)))
        print(" | ".join(rows[-1].cells()), flush=True)
    atomic_write(options.out / "resolved.md", page(rows, options.threads, options.samples).encode())


if __name__ == "__main__":
    main()
