"""The matrix products of a network one by one: dense against every 2:4 kernel, correctness first, verdicts in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from certify.deploy.macs import MacTable
from certify.deploy.speed.backends import Backend, convert
from certify.deploy.speed.timing import Call, graphed, interleaved, reason
from certify.deploy.two_four import project

# bf16 rounds each operand to 2^-9; products agree to a few of these. Anything above is another function.
MAX_ERROR = 1e-2
Operands = tuple[Tensor, Tensor, Tensor]
_SET_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One product y = x W' + b that a network runs `count` times: x (tokens, cols), W (rows, cols)."""

    rows: int
    cols: int
    tokens: int
    count: int
    example: str

    def bytes(self, *, sparse: bool) -> float:
        """Least traffic in bf16: operands and result once; a 2:4 weight is 9/16 of the dense one."""
        weight = 2 * self.rows * self.cols * (9 / 16 if sparse else 1)
        return weight + 2 * self.tokens * (self.rows + self.cols)

    def floor_ms(self, ceilings: Mapping[str, float], *, sparse: bool) -> tuple[float, float]:
        """(arithmetic, memory) times that no kernel beats on a machine with these ceilings; 2:4 halves the first."""
        flops = 2 * self.rows * self.cols * self.tokens / (2 if sparse else 1)
        return 1e3 * flops / ceilings["flop_per_s"], 1e3 * self.bytes(sparse=sparse) / ceilings["bytes_per_s"]


@dataclass(frozen=True, kw_only=True)
class GemmRow:
    """One product by one kernel. `status`: measured, unsupported (`reason` says why), wrong (error above MAX_ERROR)."""

    model: str
    batch: int
    rows: int
    cols: int
    tokens: int
    count: int
    example: str
    kernel: str
    mode: str
    status: str
    reason: str = ""
    algorithm: int = 0
    error: float | None = None
    median_ms: float | None = None
    q25_ms: float | None = None
    q75_ms: float | None = None
    speedup: float | None = None
    bound_speedup: float | None = None
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One way to run the products of a shape; `call` is None where it cannot or must not be timed."""

    name: str
    status: str = "measured"
    reason: str = ""
    error: float | None = None
    algorithm: int = 0
    call: Call | None = None


def shapes(table: MacTable, names: Iterable[str], batch: int) -> tuple[Shape, ...]:
    """The distinct products of the named layers at a batch size, with how often each runs."""
    wanted, found = set(names), {}
    for layer in table.layers:
        if layer.name in wanted and layer.kind in ("linear", "conv"):
            key = (layer.rows, layer.cols, layer.positions * batch)
            found.setdefault(key, []).append(layer.name)
    return tuple(
        Shape(rows=rows, cols=cols, tokens=tokens, count=len(uses), example=uses[0])
        for (rows, cols, tokens), uses in found.items()
    )


def measure(
    model: str,
    batch: int,
    shape: Shape,
    backends: Iterable[Backend],
    *,
    device: torch.device,
    ceilings: Mapping[str, float],
    rounds: int = 3,
    window_ms: float = 30.0,
    seed: int = 0,
) -> list[GemmRow]:
    """Dense and every backend on one shape, in eager mode and, on a GPU, replayed from a CUDA graph.

    As many distinct weights and inputs as the network has of this shape (up to 4 GiB) run in turn, so that the
    weights are as cold as in the network. Weights and inputs are random-normal; the 2:4 weights are their exact
    magnitude projections, and the dense side runs the unprojected ones.
    """
    operands = _operands(shape, device, seed)
    sets = len(operands)
    kernels = [Kernel(name="dense", error=_error(operands[0], operands[0][1]), call=_sweep(operands))]
    for backend in backends:
        kernels += _prepare(backend, shape, operands, device)
    arithmetic = {"model": model, "batch": batch, **vars(shape)}
    rows = [
        GemmRow(
            **arithmetic, kernel=kernel.name, mode="-", status=kernel.status, reason=kernel.reason, error=kernel.error,
            algorithm=kernel.algorithm, verdict=f"do not use 2:4 here with {kernel.name}: {kernel.reason}",
        )
        for kernel in kernels
        if kernel.call is None
    ]  # fmt: skip
    bound = max(shape.floor_ms(ceilings, sparse=False)) / max(shape.floor_ms(ceilings, sparse=True))
    for mode in ("eager", "graph") if device.type == "cuda" else ("eager",):
        ready: dict[str, Call] = {}
        for kernel in kernels:
            try:
                if kernel.call is not None:
                    ready[kernel.name] = graphed(kernel.call, device) if mode == "graph" else kernel.call
            except Exception as error:
                rows.append(GemmRow(**arithmetic, kernel=kernel.name, mode=mode, status="unsupported", reason=reason(error)))
        timings = interleaved(ready, device=device, rounds=rounds, window_ms=window_ms)
        for kernel in kernels:
            if kernel.name not in timings:
                continue
            timing = timings[kernel.name]
            sparse = kernel.name != "dense" and "dense" in timings
            speedup = timings["dense"].median / timing.median if sparse else None
            words = judge(shape, speedup, timings["dense"].median / sets, ceilings, mode, batch) if speedup else ""
            rows.append(
                GemmRow(
                    **arithmetic, kernel=kernel.name, mode=mode, status="measured", algorithm=kernel.algorithm,
                    error=kernel.error, median_ms=timing.median / sets, q25_ms=timing.q25 / sets,
                    q75_ms=timing.q75 / sets, speedup=speedup, bound_speedup=bound if sparse else None, verdict=words,
                )
            )  # fmt: skip
    return rows


def _operands(shape: Shape, device: torch.device, seed: int) -> list[Operands]:
    each = 2 * (shape.rows * shape.cols + shape.tokens * (shape.rows + shape.cols))
    sets = max(1, min(shape.count, int(_SET_BYTES // each)))
    generator = torch.Generator(device=device).manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device, dtype=torch.bfloat16)

    return [
        (normal(shape.tokens, shape.cols), normal(shape.rows, shape.cols) / shape.cols**0.5, normal(shape.rows))
        for _ in range(sets)
    ]


def _sweep(operands: list[Operands]) -> Call:
    def call() -> list[Tensor]:
        with torch.inference_mode():
            return [F.linear(x, weight, bias) for x, weight, bias in operands]

    return call


def _error(operands: Operands, operand: Tensor) -> float:
    """||y - reference|| / ||reference||, the reference in fp32 from the dense form of the same weights."""
    x, dense, bias = operands
    with torch.inference_mode():
        reference = F.linear(x.float(), dense.float(), bias.float())
        found = F.linear(x, operand, bias).float()
        return float((found - reference).norm() / reference.norm())


def _prepare(backend: Backend, shape: Shape, operands: list[Operands], device: torch.device) -> list[Kernel]:
    """Convert and check every algorithm of a backend; keep its default and, where it has several, its fastest one."""
    projected = [project(weight) for _, weight, _ in operands]
    x, _, bias = operands[0]
    failed = Kernel(name=backend.name, status="unsupported", reason="no algorithm")
    times: dict[int, float] = {}
    errors: dict[int, float] = {}
    for algorithm in range(backend.algorithms):
        try:
            operand = convert(projected[0], backend, shape.example, algorithm)
            error = _error((x, projected[0], bias), operand)
        except Exception as why:
            # Numbers run from 0 without gaps, so the first refusal ends the list.
            failed = replace(failed, reason=reason(why)) if not errors else failed
            break
        errors[algorithm] = error
        if not error <= MAX_ERROR:
            failed = replace(
                failed, status="wrong", error=error, algorithm=algorithm,
                reason=f"relative error {error:.1e} with algorithm {algorithm}",
            )  # fmt: skip
            continue
        single = _sweep([(x, operand, bias)])
        times[algorithm] = interleaved({"one": single}, device=device, rounds=1, window_ms=3.0)["one"].median
    if not times:
        return [failed]
    chosen = {backend.name: min(times)}
    if backend.algorithms > 1:
        chosen[f"{backend.name}-tuned"] = min(times, key=lambda algorithm: times[algorithm])
    made: list[Kernel] = []
    for name, algorithm in chosen.items():
        converted = [
            (inputs, convert(weight, backend, shape.example, algorithm), offset)
            for (inputs, _, offset), weight in zip(operands, projected, strict=True)
        ]
        made.append(Kernel(name=name, error=errors[algorithm], algorithm=algorithm, call=_sweep(converted)))
    return made


def judge(shape: Shape, speedup: float, dense_ms: float, ceilings: Mapping[str, float], mode: str, batch: int) -> str:
    """One plain sentence on a measured product: use 2:4 or not, and the reason the numbers give."""
    arithmetic, memory = shape.floor_ms(ceilings, sparse=False)
    bound = max(arithmetic, memory) / max(shape.floor_ms(ceilings, sparse=True))
    if speedup >= 1.05:
        return f"use 2:4 here: {speedup:.2f}x of dense (at most {bound:.2f}x possible)"
    head = "no gain" if speedup >= 0.95 else "do not use 2:4 here"
    if max(arithmetic, memory) < 0.25 * dense_ms:
        work = 1e3 * max(arithmetic, memory)
        why = f"overhead-bound at batch {batch}: dense takes {dense_ms * 1e3:.1f} us, its work only {work:.1f} us"
    elif memory > arithmetic:
        why = f"memory-bound at batch {batch}: 2:4 spares arithmetic, not activations; at most {bound:.2f}x possible"
    else:
        why = f"the sparse kernel reaches {speedup:.2f}x where {bound:.2f}x is possible"
    return f"{head}: {why} ({speedup:.2f}x, {mode})"
