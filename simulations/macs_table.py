"""python -m simulations.macs_table [--out reports/deploy]

Multiply-adds of the networks of the published table beside what was printed there, tokens that are left in each block where a
vision transformer merges, the merged network at r = 0 against the dense one, and what merging costs a trained digits network.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from certify.bounds import measure
from certify.deploy import macs
from certify.networks.loading import build
from certify.networks.merging import decreasing, merge_tokens, token_counts
from certify.records import decision
from certify.records.files import atomic_write
from certify.records.recipe import ModelRecipe
from simulations.digits.networks import samples, splits, trained
from simulations.studies._page import table

SIZE, MERGE = (3, 224, 224), 8


@dataclass(frozen=True)
class Published:
    """What arXiv:2606.02608 printed for a transformer with 2:4 and merging, in per cent, and what it is if it is wrong."""

    label: str
    reduction: float
    within: float
    reason: str


PUBLISHED = {
    "vit_base_patch16_224": Published("ViT-B, DeiT-B", 59.81, 0.005, ""),
    "vit_large_patch16_224": Published("ViT-L", 60.0, 0.5, "the share of 12 merging blocks; ViT-L merges in 24"),
    "deit_small_patch16_224": Published("DeiT-S", 59.81, 0.005, "the figure of ViT-B"),
    "deit_tiny_patch16_224": Published("DeiT-T", 59.81, 0.005, "the figure of ViT-B"),
}
CONVOLUTIONAL = ("resnet50", "resnet50d", "resnet101d")
EQUAL = (
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "vit_base_patch16_gap_224",
    "vit_little_patch16_reg4_gap_256",
)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def transformer(name: str) -> tuple[str, ...]:
    """One row of the published table, with a verdict on the printed reduction in the paper's own convention."""
    model, said = build(ModelRecipe(name), meta=True), PUBLISHED[name]
    dense, linears = macs.count(model, input_size=SIZE, name=name), macs.block_linears(model)
    merged = {
        way: macs.with_merging(dense, MERGE, tokens=197, convention=way)  # type: ignore[arg-type]
        for way in ("paper", "executed")
    }
    both = {way: macs.sparse_execution(dense, counted, linears) for way, counted in merged.items()}
    half, quarter = (macs.sparse_execution(dense, dense, linears, density=density) for density in (0.5, 0.75))
    right = abs(100 * both["paper"].reduction - said.reduction) <= said.within
    return (
        said.label,
        f"{dense.total / 1e9:.3f} ({dense.layers_only / 1e9:.3f})",
        f"{100 * dense.of_kind('linear') / dense.total:.1f} / {100 * dense.of_kind('attention') / dense.total:.1f} %",
        f"{percent(half.reduction)} ({percent(quarter.reduction)})",
        " / ".join(percent(1 - merged[way].total / dense.total) for way in merged),
        " / ".join(percent(both[way].reduction) for way in both),
        f"{both['executed'].speedup:.2f}x",
        f"{said.reduction:g} %",
        "right" if right else f"**wrong**: {said.reason}",
    )


def convolutional(name: str) -> tuple[str, ...]:
    """One row of the published counter: convolutions and the classifier."""
    model = build(ModelRecipe(name), meta=True)
    counted, every = macs.count(model, input_size=SIZE, name=name), (*macs.eligible_convs(model), "fc")
    ones = tuple(layer for layer in every if layer == "fc" or model.get_submodule(layer).kernel_size == (1, 1))
    shares = (f"{len(names)}: {percent(macs.sparse_execution(counted, counted, names).reduction)}" for names in (ones, every))
    return (name, f"{counted.layers_only / 1e9:.3f}", *shares)


def distance_at_zero(name: str) -> float:
    """Largest |logit of the network that merges 0 tokens - dense logit| on four random images, random weights."""
    torch.manual_seed(0)
    model = build(ModelRecipe(name))
    size = model.pretrained_cfg["input_size"]  # type: ignore[index]
    images = torch.randn(4, *size)  # type: ignore[misc]
    with torch.no_grad():
        return float((merge_tokens(model, 0)(images) - model(images)).abs().max())


def cost(model: nn.Module) -> list[tuple[object, ...]]:
    """Merged tokens a block -> tokens left, right decisions and decisions that differ, on the test samples of the digits."""
    test, labels = splits().indices["certification"], samples().labels
    assert labels is not None
    truth, rows = labels[list(test)], []
    tokens = macs.tokens_of(model, (1, 8, 8))
    assert tokens is not None
    for r in range(4):
        merged = merge_tokens(model, r)
        dense, found = (decision(each) for each in measure((model, merged), samples().images, test))
        left = token_counts(tokens[0], merged.blocks.r, tokens[1])  # type: ignore[union-attr, arg-type]
        differ = int(np.sum(dense != found))
        rows.append((r, " ".join(map(str, left)), f"{int(np.sum(found == truth))} of {len(test)}", differ))
    return rows


def page() -> str:
    lines = [
        "# Multiply-adds and token merging",
        "",
        "Written by `python -m simulations.macs_table`; `certify macs -m MODEL --merge 8` gives any of it layer by layer. One "
        "image of 224 x 224, in 10^9 multiply-adds.",
        "",
        "## Transformers",
        "",
        "2:4 in the linear layers of the blocks, 8 tokens merged a block. In brackets: no attention products. *Paper / "
        "executed*: the MLP counted at the tokens before or after the merge. *Published*: 2:4 with merging, judged against our "
        "count in the paper's own convention.",
        "",
        *table(
            (
                "model",
                "dense",
                "linear / attention",
                "2:4 (12:16)",
                "merging, paper / executed",
                "both, paper / executed",
                "at most",
                "published",
                "it is",
            ),
            [transformer(name) for name in PUBLISHED],
        ),
        "Published as 50 % and 2.00x, 2:4 or 6:12 without merging is the fourth column: what is not projected "
        "(patches, attention products, the head) stays.",
        "",
        "## Convolutional networks",
        "",
        "Convolutions and classifier, as the published counter has it. Layers with 2:4 and what that saves; the count of the "
        "ResNet-d is at 224 pixels although their accuracy was published at 256.",
        "",
        *table(("model", "dense", "1x1 and classifier", "all eligible"), [convolutional(name) for name in CONVOLUTIONAL]),
        "## Tokens at the entry of each block, and at the end",
        "",
    ]
    schedules = []
    for name, depth in (("ViT-B, DeiT-B, DeiT-S, DeiT-T", 12), ("ViT-L", 24)):
        for said, steps in (("8 in every block", (MERGE,) * depth), ("falling from 16 to 0", decreasing(MERGE, depth))):
            schedules.append((name, said, " ".join(map(str, token_counts(197, steps, 1)))))
    lines += table(("model", "schedule", "tokens"), schedules)
    lines += ["## At r = 0", "", "Random weights, four random images: the network that merges nothing is the dense one.", ""]
    lines += table(("model", "largest difference of a logit"), [(name, distance_at_zero(name)) for name in EQUAL])
    lines += [
        "## What merging costs",
        "",
        "A digits transformer as it was trained, without merging, on the test samples; nothing fine-tuned.",
        "",
        *table(("merged a block", "tokens", "right", "decisions that differ from dense"), cost(trained("vit", 0))),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/deploy"))
    options = parser.parse_args(arguments)
    atomic_write(options.out / "macs.md", page().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
