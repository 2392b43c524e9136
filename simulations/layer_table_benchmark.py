"""python -m simulations.layer_table_benchmark [--model vit_small_patch16_224] [--repeats 5] [--weightwatcher DIR] [--out FILE.md]

The layer table of a timm model's block matrices (random initialisation, seed 0; edges, fit, spikes, p-values, exponents, ranks;
no null layers, no vectors) beside the singular values alone, in one process: numpy.linalg.svd in float64, Gram and eigvalsh,
and weightwatcher with its Marchenko–Pastur fit, installed into DIR with

    pip install --no-deps --target DIR weightwatcher==0.7.7 powerlaw matplotlib_inline

Rounds alternate between the roads, so that a busy machine slows all of them. Without --weightwatcher it is not measured.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from certify.networks.vision import import_timm
from certify.records import Refused, Usage
from certify.records.files import atomic_write
from certify.spectra import layer_table
from certify.spectra.values import singular_values

MODEL = "vit_small_patch16_224"
TARGET_SECONDS = 1.5
Work = Callable[[], Any]


def block_matrices(model: Any) -> dict[str, np.ndarray]:
    """The weights of the linear layers in the model's blocks, float32, by module name."""
    import torch

    found = {
        name: module.weight.detach().numpy()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith("blocks.")
    }
    if not found:
        raise Refused("the model has no linear layers below `blocks`")
    return found


def timed(work: Work) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def alternate(roads: Mapping[str, Work], repeats: int) -> dict[str, tuple[float, float]]:
    """Fastest clock and processor time of each road over rounds that take every road once; the first round warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in roads}
    for _ in range(repeats + 1):
        for name, work in roads.items():
            times[name].append(timed(work))
    return {name: (min(t[0] for t in each[1:]), min(t[1] for t in each[1:])) for name, each in times.items()}


def accuracy(weights: Mapping[str, np.ndarray]) -> tuple[float, float, int]:
    """Worst relative error of any value against a full decomposition, worst condition, and how many layers left the Gram road."""
    worst = condition = 0.0
    full = 0
    for weight in weights.values():
        exact = np.linalg.svd(weight.astype(np.float64), compute_uv=False)
        worst = max(worst, float(np.max(np.abs(singular_values(weight) / exact - 1.0))))
        condition = max(condition, float(exact[0] / exact[-1]))
        full += bool(np.array_equal(singular_values(weight), singular_values(weight, accuracy=0.0)))
    return worst, condition, full


def weightwatcher_road(folder: str, model: Any) -> tuple[str, Work]:
    """weightwatcher's analysis of the same block matrices, from a folder that is searched last."""
    sys.path.append(folder)
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            package: Any = importlib.import_module("weightwatcher")
    except ImportError as error:
        raise Refused(f"{folder}: weightwatcher cannot be imported ({error})") from None
    watcher = package.WeightWatcher(model=model.blocks)

    def work() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            details = watcher.analyze(mp_fit=True, plot=False)
        rows.append(len(details))

    rows: list[int] = []
    work.rows = rows  # type: ignore[attr-defined]
    return str(package.__version__), work


def page(
    name: str,
    weights: Mapping[str, np.ndarray],
    times: Mapping[str, tuple[float, float]],
    checked: tuple[float, float, int],
    command: str,
    remarks: list[str],
) -> str:
    table_clock, table_cpu = times["certify layer table"]
    shapes = sorted({weight.shape for weight in weights.values()})
    lines = [
        f"# The layer table of {name}",
        "",
        f"`{command}`",
        "",
        f"{len(weights)} block matrices, random initialisation (seed 0), shapes "
        + ", ".join(f"{rows}×{cols}" for rows, cols in shapes)
        + f"; {os.cpu_count()} cores. Fastest of alternating rounds in one process; the ratio is to the layer table.",
        "",
        "| road | seconds | processor seconds | ratio of seconds | ratio of processor seconds |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {road} | {clock:.2f} | {cpu:.2f} | {clock / table_clock:.2f} | {cpu / table_cpu:.2f} |"
        for road, (clock, cpu) in times.items()
    ]
    worst, condition, full = checked
    lines += [
        "",
        f"Target of the table: {TARGET_SECONDS} s on 2 idle cores; {table_clock:.2f} s in this run, at a load average of "
        f"{os.getloadavg()[0]:.1f} at its end (2 is both cores busy; more slows every road, and leaves the ratios).",
        f"Worst relative error of a singular value against numpy.linalg.svd: {worst:.1e}, at conditions up to {condition:.3g}; "
        f"{full} of {len(weights)} layers took the full decomposition.",
        *remarks,
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations.layer_table_benchmark")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--weightwatcher", metavar="DIR")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    if asked.repeats < 1:
        raise Usage(f"--repeats {asked.repeats} must be at least 1")
    timm = import_timm()
    import torch

    torch.manual_seed(0)
    model = timm.create_model(asked.model, pretrained=False)
    weights = block_matrices(model)
    roads: dict[str, Work] = {
        "certify layer table": lambda: layer_table(weights),
        "certify singular values alone": lambda: [singular_values(weight) for weight in weights.values()],
        "numpy.linalg.svd values, float64": lambda: [
            np.linalg.svd(weight.astype(np.float64), compute_uv=False) for weight in weights.values()
        ],
    }
    first, _ = timed(lambda: layer_table(weights))
    remarks = [f"First call, with the tables of quantiles and of the Tracy–Widom tail still to make: {first:.2f} s."]
    times = alternate(roads, asked.repeats)
    if asked.weightwatcher:
        version, work = weightwatcher_road(asked.weightwatcher, model)
        times[f"weightwatcher {version}, mp_fit=True"] = timed(work)
        remarks.append(f"weightwatcher: one call, {work.rows[-1]} layers.")  # type: ignore[attr-defined]
    else:
        remarks.append("weightwatcher: not measured in this run.")
    flags = "".join(
        f" --{name} {value}"
        for name, value in (
            ("model", asked.model),
            ("repeats", asked.repeats),
            ("weightwatcher", "DIR" if asked.weightwatcher else ""),
            ("out", "reports/random-matrices/layer-table.md" if asked.out else ""),
        )
        if value
    )
    text = page(asked.model, weights, times, accuracy(weights), f"python -m simulations.layer_table_benchmark{flags}", remarks)
    print(text)
    if asked.out:
        atomic_write(asked.out, text.encode())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, Usage) as error:
        print(f"layer_table_benchmark: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
