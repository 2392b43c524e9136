"""The speed audit: what 2:4 weights and token merging are worth on this machine, against the best dense way to run.

audit      one network: every matrix product, then every endpoint per batch size and merge count
Report     the rows of all networks so far, kept in one JSON file, so that a later call continues
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from certify.deploy import macs, two_four
from certify.deploy.speed import endpoints, gemm
from certify.deploy.speed.backends import Backend, available
from certify.deploy.speed.endpoints import EndpointRow, Settings
from certify.deploy.speed.gemm import GemmRow
from certify.deploy.speed.timing import ceilings, machine
from certify.records import Refused
from certify.records.files import write_json

NOT_MEASURED = "not measured on this machine: no CUDA device"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything measured on one machine. `status` is "measured" or the sentence why not; then the rows are empty."""

    status: str
    machine: Mapping[str, Any]
    ceilings: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    macs: tuple[Mapping[str, Any], ...] = ()
    sizes: tuple[Mapping[str, Any], ...] = ()
    gemm: tuple[GemmRow, ...] = ()
    endpoints: tuple[EndpointRow, ...] = ()
    clocks: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA} | asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        if value.get("schema") != SCHEMA:
            raise Refused(f"speed report: schema {value.get('schema')}; this release reads {SCHEMA}.")
        rest = {key: entry for key, entry in value.items() if key != "schema"}
        return cls(
            **rest
            | {
                "macs": tuple(value["macs"]),
                "sizes": tuple(value["sizes"]),
                "clocks": tuple(value["clocks"]),
                "gemm": tuple(GemmRow(**row) for row in value["gemm"]),
                "endpoints": tuple(EndpointRow(**row | {"round_ms": tuple(row["round_ms"])}) for row in value["endpoints"]),
            }
        )

    def has(self, model: str, batch: int, merge: int) -> bool:
        """Whether this cell has been measured."""
        return any((row.model, row.batch, row.merge) == (model, batch, merge) for row in self.endpoints)


def start(path: Path, device: torch.device, settings: Settings) -> Report:
    """The report at `path` when it can be continued or shown here, else an empty one.

    A report measured on another GPU, or with other settings, is refused rather than mixed with rows of this one; where
    nothing can be measured, it is only shown again. Counts and sizes hold everywhere and are kept.
    """
    here, asked = machine(device), asdict(settings) | {"skip": list(settings.skip)}
    measurable = device.type == "cuda"
    found = Report(status=NOT_MEASURED, machine=here)
    if path.exists():
        found = Report.from_json(json.loads(path.read_text()))
        known = dict(found.settings) | {"budget_s": settings.budget_s}
        if found.status == "measured" and measurable and (dict(found.machine) != here or known != asked):
            raise Refused(
                f"{path}: measured on {found.machine.get('name')} with torch {found.machine.get('torch')}, or "
                "with other settings; rows of two machines do not mix. Give another --out."
            )
        if found.status == "measured":
            return found
    if not measurable:
        return replace(found, machine=here)
    return replace(found, status="measured", machine=here, ceilings=ceilings(device), settings=asked)


def static(report: Report, model: nn.Module, name: str, input_size: Sequence[int], merge: int) -> Report:
    """Add what needs no GPU: the multiply-adds, and the speed-up they would allow if nothing else cost time."""
    if any(row["model"] == name for row in report.macs):
        return report
    dense = macs.count(model, input_size=input_size, name=name)
    projected = endpoints.targets(model)
    plain = macs.sparse_execution(dense, dense, projected)
    row: dict[str, Any] = {
        "model": name, "input_size": list(input_size), "dense": dense.total, "attention": dense.of_kind("attention"),
        "projected": dense.of_layers(projected), "projected_layers": len(projected),
        "two_four_reduction": plain.reduction, "two_four_speedup": plain.speedup,
    }  # fmt: skip
    tokens = macs.tokens_of(model, input_size)
    for convention in ("executed", "paper") if merge and tokens else ():
        merged = macs.with_merging(dense, merge, tokens=tokens[0], protected=tokens[1], convention=convention)  # type: ignore[arg-type]
        both = macs.sparse_execution(dense, merged, projected)
        row |= {"merge": merge, f"merge_reduction_{convention}": 1 - merged.total / dense.total}
        row |= {f"both_reduction_{convention}": both.reduction, f"both_speedup_{convention}": both.speedup}
    return replace(report, macs=(*report.macs, row))


def stored(report: Report, model: nn.Module, name: str, seed: int = 0) -> Report:
    """Add the bytes of the bf16 network with 2:4 weights, three ways: dense, compressed, and as a file really written.

    The weights are random; no size depends on their values. `model` is filled with them.
    """
    if any(row["model"] == name for row in report.sizes):
        return report
    endpoints.randomise(model, seed)
    names = {f"{layer}.weight" for layer in endpoints.targets(model)}
    tensors = {
        key: (two_four.project(tensor) if key in names else tensor).bfloat16() if tensor.is_floating_point() else tensor
        for key, tensor in model.state_dict().items()
    }
    with TemporaryDirectory() as folder:
        sizes = two_four.save(tensors, Path(folder) / "model.safetensors", compressed=names)
        back = two_four.load(Path(folder) / "model.safetensors")
    if any(not torch.equal(back[key], tensor) for key, tensor in tensors.items()):
        raise Refused(f"{name}: the compressed file does not give back the tensors it was made from.")
    row = {"model": name, "dtype": "bfloat16", "compressed_tensors": len(names), **asdict(sizes), "ratio": sizes.ratio}
    return replace(report, sizes=(*report.sizes, row))


def audit(
    report: Report,
    model: nn.Module,
    name: str,
    *,
    input_size: Sequence[int],
    batches: Sequence[int],
    merges: Sequence[int],
    settings: Settings,
    device: torch.device,
    backends: Sequence[Backend] | None = None,
    random_weights: bool = True,
    save: Callable[[Report], None] = lambda report: None,
    stop: float = math.inf,
) -> Report:
    """Measure one network and return the longer report; `save` is called after every cell, so that a cut loses little.

    model          : fp32, eval mode; moved to `device`, its parameters frozen.
    merges         : token merge counts; 0 is the network as it is. Networks without tokens are measured at 0 only.
    random_weights : the weights carry no meaning: fill them with random numbers and make 2:4 copies by magnitude. Else
                     they are the weights in question, and weights that are not 2:4 are refused: no speed is quoted.
    stop           : `time.monotonic` value after which no cell is begun; the report then holds what was measured until then.
    Cells already in the report are not measured again.
    """
    deadline = min(time.monotonic() + settings.budget_s, stop)
    found = [b for b in (available(device) if backends is None else backends) if b.name not in settings.skip]
    model = model.requires_grad_(False).to(device)
    if random_weights:
        endpoints.randomise(model, settings.seed)
    table = macs.count(model, input_size=input_size, name=name)
    names = endpoints.targets(model)
    usable = [merge for merge in merges if not merge or macs.tokens_of(model, input_size)]
    for batch in batches:
        rows = [row for row in report.gemm if (row.model, row.batch) == (name, batch)]
        if time.monotonic() > stop:
            return report
        if not rows:
            for shape in gemm.shapes(table, names, batch):
                rows += gemm.measure(
                    name, batch, shape, found, device=device, ceilings=report.ceilings, rounds=settings.rounds,
                    window_ms=settings.window_ms / 5, seed=settings.seed,
                )  # fmt: skip
            report = replace(report, gemm=(*report.gemm, *rows))
            save(report)
        lowerings = {base: endpoints.targets(model, base) for base in ("bf16", "im2col", "1x1")}
        gains = {
            (base, kernel, mode): sums
            for base, layers in lowerings.items()
            for (kernel, mode), sums in linear_sums([row for row in rows if row.example in layers]).items()
        }
        wrong = {row.kernel: f"{row.example}: {row.reason}" for row in rows if row.status == "wrong"}
        for merge in usable:
            if report.has(name, batch, merge):
                continue
            if time.monotonic() > stop:
                return report
            cell, state = endpoints.measure(
                model, name, batch=batch, merge=merge, input_size=input_size, backends=found, distrusted=wrong,
                algorithms=tuned(rows), project_weights=random_weights, settings=settings, device=device,
                compile_variants=fastest(gains), deadline=deadline,
            )  # fmt: skip
            cell = endpoints.predicted(cell, gains)
            stamp = {"model": name, "batch": batch, "merge": merge, **state}
            report = replace(report, endpoints=(*report.endpoints, *cell), clocks=(*report.clocks, stamp))
            save(report)
    return report


def linear_sums(rows: Sequence[GemmRow]) -> dict[tuple[str, str], tuple[float, float]]:
    """(kernel, mode) -> milliseconds of all products (dense, by that kernel); products it cannot take count dense."""
    timed = [(row, row.median_ms) for row in rows if row.median_ms is not None]
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for kernel, mode in sorted({(row.kernel, row.mode) for row, _ in timed if row.kernel != "dense"}):
        dense = [(row, ms) for row, ms in timed if (row.kernel, row.mode) == ("dense", mode)]
        own = {row.example: ms for row, ms in timed if (row.kernel, row.mode) == (kernel, mode)}
        before = sum(row.count * ms for row, ms in dense)
        sums[kernel, mode] = (before, sum(row.count * own.get(row.example, ms) for row, ms in dense))
    return sums


def tuned(rows: Sequence[GemmRow]) -> dict[str, dict[tuple[int, int], int]]:
    """Per backend, the kernel number that was fastest for each (rows, cols)."""
    found: dict[str, dict[tuple[int, int], int]] = {}
    for row in rows:
        if row.kernel.endswith("-tuned"):
            found.setdefault(row.kernel.removesuffix("-tuned"), {})[row.rows, row.cols] = row.algorithm
    return found


def fastest(gains: Mapping[tuple[str, str, str], tuple[float, float]]) -> tuple[str, ...]:
    """The one sparse variant of each lowering worth compiling: the kernel with the least total time."""
    best: dict[str, tuple[float, str]] = {}
    for (base, kernel, mode), (_, after) in gains.items():
        if mode == "graph":
            best[base] = min(best.get(base, (float("inf"), "")), (after, kernel))
    return tuple(f"{base}+{kernel}" for base, (_, kernel) in best.items())


def write(report: Report, path: Path) -> None:
    """Write the report as JSON, whole or not at all."""
    write_json(path, json.loads(json.dumps(report.to_json())))
