"""python -m simulations.cast_search_benchmark [--model vit_base_patch16_224] [--pattern 8:16] [--out FILE]

Time and peak memory of the exact k:n search on every block matrix of a timm model (random weights; second moments of the inputs
from two random images), and on a few rows of its first block matrix the naive way, a tensor of all patterns
(`certify.theory.patterns.cheapest_masks`), as ratios of time and memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import tracemalloc
from pathlib import Path

import numpy as np
import torch

from certify.networks.evidence import collect
from certify.networks.loading import build
from certify.networks.targets import describe
from certify.pruning.layout import Layout
from certify.pruning.structured.exact import cheapest, greedy
from certify.records import parse_pattern
from certify.records.files import atomic_write
from certify.records.recipe import ModelRecipe
from certify.theory.patterns import cheapest_masks
from simulations.measure import resident

IMAGES, NAIVE_ROWS, GREEDY_ROWS = 2, 16, 64


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m simulations.cast_search_benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--pattern", default="8:16")
    parser.add_argument("--out", type=Path, default=Path("reports/pruning/cast-search.md"))
    options = parser.parse_args()
    keep, group = parse_pattern(options.pattern)
    torch.manual_seed(0)
    model = build(ModelRecipe(options.model))
    size = model.pretrained_cfg["input_size"]  # type: ignore[index]
    targets = [target for target in describe(model) if target.role == "block" and target.cols % group == 0 and not target.skipped]
    evidence = collect(model, targets, [torch.randn(1, *size) for _ in range(IMAGES)], split="0" * 64, parts=("grams",))
    before = resident()
    rows, cells = [], 0
    began, processor = time.perf_counter(), time.process_time()
    for target in targets:
        layout = Layout(target.name, target.rows, target.cols, keep, group)
        start = time.perf_counter()
        slots, moments = layout.slots(evidence.weights[target.name]), layout.moments(evidence)
        kept, costs = cheapest(slots, moments, keep)
        assert np.all(kept.sum(axis=2) == keep)
        seconds = time.perf_counter() - start
        loose = greedy(slots[:GREEDY_ROWS], moments, keep)[1].sum() / costs[:GREEDY_ROWS].sum() - 1.0
        rows.append((target.name, target.rows, target.cols, seconds, loose))
        cells += costs.size
        print(f"{target.name}: {seconds:.1f} s", flush=True)
    clock, spent = time.perf_counter() - began, time.process_time() - processor
    search = sum(row[3] for row in rows)
    peak = resident()
    naive = _against_naive(Layout(targets[0].name, targets[0].rows, targets[0].cols, keep, group), evidence, keep)
    kinds = {name.rsplit(".", 2)[-1] if "mlp" in name else name.split(".", 2)[-1] for name, *_ in rows}
    lines = [
        f"# Exact {options.pattern} search",
        "",
        f"`python -m simulations.cast_search_benchmark --model {options.model} --pattern {options.pattern}`.",
        f"{os.cpu_count()} cores ({platform.machine()}), {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} "
        f"at the end; numpy {np.__version__}.",
        "",
        f"{len(rows)} matrices of {options.model}, random weights, {cells:,} groups, all patterns of each:",
        "",
        "| | |",
        "|---|---:|",
        f"| search, on the clock | {search:.0f} s |",
        f"| whole run, with the greedy search beside it | {clock:.0f} s on the clock, {spent:.0f} s of processor |",
        f"| peak resident memory of the program | {peak / 1024:.2f} GiB |",
        f"| of which before the search (model, weights and moments in float64) | {before / 1024:.2f} GiB |",
        "",
        "| kind of matrix | how many | median seconds | greedy search loses more by, median (first 64 rows) |",
        "|---|---:|---:|---:|",
    ]
    for kind in sorted(kinds):
        mine = [row for row in rows if row[0].endswith(kind)]
        seconds, loose = (float(np.median([row[place] for row in mine])) for place in (3, 4))
        lines.append(f"| {kind} | {len(mine)} | {seconds:.1f} | {loose:.2%} |")
    lines += ["", f"On {NAIVE_ROWS} rows of {rows[0][0]}, against a tensor of all patterns (same masks):", "", *naive, ""]
    atomic_write(options.out, "\n".join(lines).encode())
    print("\n".join(lines))


def _against_naive(layout: Layout, evidence, keep: int) -> list[str]:  # type: ignore[no-untyped-def]
    """The two ways on a few rows: seconds, and peak memory as numpy allocates it."""
    slots = layout.slots(evidence.weights[layout.target])[:NAIVE_ROWS]
    moments = layout.moments(evidence)
    found = []
    for run in (
        lambda: cheapest(slots, moments, keep)[0].reshape(NAIVE_ROWS, -1),
        lambda: cheapest_masks(slots.reshape(NAIVE_ROWS, -1), moments, keep),
    ):
        start = time.perf_counter()
        masks = run()
        seconds = time.perf_counter() - start
        tracemalloc.start()
        run()
        found.append((seconds, tracemalloc.get_traced_memory()[1] / 2**20, masks))
        tracemalloc.stop()
    (fast, small, ours), (slow, large, theirs) = found
    equal = np.array_equal(ours, theirs)
    return [
        "| | seconds | peak MiB |",
        "|---|---:|---:|",
        f"| this search | {fast:.3f} | {small:.1f} |",
        f"| all patterns at once | {slow:.3f} | {large:.0f} |",
        f"| ratio | {slow / fast:.0f} | {large / small:.0f} |",
        "",
        "The masks are the same." if equal else "THE MASKS DIFFER.",
    ]


if __name__ == "__main__":
    main()
