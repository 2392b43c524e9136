"""python -m simulations.export_benchmark [--out reports/deploy]

Files to ship of trained digits networks, pruned 2:4 by magnitude and not retrained: bytes of each format, every pruned matrix
found again in the ONNX graph, outputs of onnxruntime against torch, each file run as it is deployed against the reference.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from certify.bounds import measure
from certify.deploy.export import FORMATS, Exported, export
from certify.deploy.two_four import load
from certify.networks.evidence import collect
from certify.networks.loading import load_state, read_checkpoint, state_of
from certify.networks.masking import masked_state
from certify.networks.running import HALVES, Graph, Halved, runs_of
from certify.networks.targets import describe
from certify.pruning import prune
from certify.records import decision
from certify.records.files import atomic_write
from certify.theory.binomial import clopper_pearson_upper
from simulations.digits.networks import samples, splits, trained
from simulations.studies._page import table

NETWORKS, DELTA = ("vit", "vit-6", "resnet"), 0.05


@dataclass(frozen=True)
class Shipped:
    """One file: what export said of it, and decisions that differ from the reference's on the test samples."""

    network: str
    said: Exported
    disagreements: int
    difference: float
    samples: int


def ship(name: str, folder: Path) -> list[Shipped]:
    """All formats of one network."""
    reference = trained(name, 0)
    state, targets = state_of(reference), describe(reference)
    evidence = collect(reference, targets, (), split=splits().digest("calibration"), parts=())
    blocks = [target for target in targets if not target.skipped and target.role == "block" and target.cols % 4 == 0]
    pruned = prune(blocks, evidence, name="two-four", method="magnitude", pattern="2:4", seed=0, options={})
    shipped = masked_state(state, pruned)
    images = samples().images(splits().indices["calibration"])
    test = splits().indices["certification"]
    found = []
    for form in FORMATS:
        said = export(copy.deepcopy(reference), shipped, pruned.edits, pruned.pattern, form, folder / name, images=images)
        logits = measure((reference, _deployed(reference, said.path)), samples().images, test)
        before, after = (decision(each) for each in logits)
        plain = load_state(copy.deepcopy(reference), shipped, name)
        own = measure((plain,), samples().images, test)[0]
        differ = int(np.sum((before != after) | (before < 0)))
        found.append(Shipped(name, said, differ, float(np.abs(own - logits[1]).max()), len(test)))
    return found


def _deployed(reference: nn.Module, path: Path) -> nn.Module:
    way = runs_of(path)
    if way == "onnxruntime":
        return Graph(path, 1)
    state = load(path)
    if way in HALVES:
        return Halved(copy.deepcopy(reference), state, str(path), way)
    return load_state(copy.deepcopy(reference), read_checkpoint(path), str(path))


def page(rows: Sequence[Shipped]) -> str:
    graphs = [row for row in rows if row.said.format == "onnx"]
    lines = [
        "# Files to ship",
        "",
        "Written by `python -m simulations.export_benchmark`: trained digits networks, blocks pruned 2:4 by magnitude, not "
        f"retrained. torch {torch.__version__}, onnxruntime {graphs[0].said.details['onnxruntime']}, opset "
        f"{graphs[0].said.details['opset']}, CPU, one thread.",
        "",
        "## Bytes",
        "",
        "Every file was read again before it got its name: removed places 0 in its bytes, pattern kept.",
        "",
    ]
    names = list(dict.fromkeys(row.network for row in rows))
    by = {(row.network, row.said.format): row for row in rows}
    lines += table(
        ("network", "all tensors, float32", *FORMATS, "two-four / bf16"),
        [
            (
                name,
                f"{by[name, 'bf16'].said.dense:,}",
                *(f"{by[name, form].said.bytes:,}" for form in FORMATS),
                by[name, "two-four"].said.bytes / by[name, "bf16"].said.bytes,
            )
            for name in names
        ],
    )
    lines += ["## ONNX against torch, on the calibration samples", ""]
    lines += table(
        ("network", "pruned matrices found in the graph", "samples", "decisions equal", "largest difference of a logit"),
        [
            (
                row.network,
                _ways(row),
                row.said.details["samples"],
                row.said.details["decisions_equal"],
                float(row.said.details["largest_difference"]),
            )
            for row in graphs
        ],
    )
    lines += [
        "## Each file as a pair of its own",
        "",
        f"Run as it is deployed against the dense reference, on {rows[0].samples} test samples; the limit is that of one "
        f"statement at confidence {1 - DELTA:g} (Clopper–Pearson). "
        "*Moved* is the largest distance of a logit from the pruned network in float32.",
        "",
    ]
    lines += table(
        ("network", "format", "decisions that differ", "limit", "moved"),
        [
            (
                row.network,
                row.said.format,
                f"{row.disagreements} of {row.samples}",
                float(clopper_pearson_upper(row.disagreements, row.samples, DELTA)),
                row.difference,
            )
            for row in rows
        ],
    )
    return "\n".join(lines).rstrip("\n") + "\n"


def _ways(row: Shipped) -> str:
    ways = [entry["how"] or "as stored" for entry in row.said.details["matrices"].values()]
    return f"{len(ways)} ({', '.join(f'{ways.count(way)} {way}' for way in sorted(set(ways)))})"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/deploy"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in NETWORKS for row in ship(name, Path(folder))]
    atomic_write(options.out / "export.md", page(rows).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
