"""Clocks: interleaved repeats on a device, CUDA graphs, and what the machine says about itself."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from typing import Any

import numpy as np
import torch

Call = Callable[[], object]


class Unsupported(Exception):
    """This cannot run here; the text says why. Recorded in the table, never fatal."""


_CLOCK_FIELDS = (
    "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem", "power.draw", "power.limit", "temperature.gpu",
    "clocks_event_reasons.active", "driver_version",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Milliseconds per call over all rounds: median and quartiles of the single calls, and the median of each round."""

    median: float
    q25: float
    q75: float
    rounds: tuple[float, ...]
    calls: int

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        return (self.q75 - self.q25) / self.median


def interleaved(
    calls: Mapping[str, Call], *, device: torch.device, rounds: int = 3, window_ms: float = 150.0
) -> dict[str, Timing]:
    """Time every call in every round; odd rounds run in reverse order, so that drift hits all alike.

    Each call is warmed up, then repeated back to back for about `window_ms` per round (5 to 200 repeats). On a GPU
    the time of one repeat lies between two events of the stream; elsewhere the wall clock is read.
    """
    estimates = {name: _burst(call, 3, device, warm=2) for name, call in calls.items()}
    repeats = {name: int(np.clip(window_ms / max(np.median(e), 1e-4), 5, 200)) for name, e in estimates.items()}
    samples: dict[str, list[list[float]]] = {name: [] for name in calls}
    for index in range(rounds):
        order = list(calls) if index % 2 == 0 else list(calls)[::-1]
        for name in order:
            samples[name].append(_burst(calls[name], repeats[name], device, warm=2))
    return {name: _summary(found) for name, found in samples.items()}


def _burst(call: Call, repeats: int, device: torch.device, *, warm: int) -> list[float]:
    for _ in range(warm):
        call()
    if device.type != "cuda":
        stamps = [time.perf_counter()]
        for _ in range(repeats):
            call()
            stamps.append(time.perf_counter())
        return [1e3 * (b - a) for a, b in pairwise(stamps)]
    torch.cuda.synchronize(device)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    torch.cuda.synchronize(device)
    return [a.elapsed_time(b) for a, b in pairwise(events)]


def _summary(found: list[list[float]]) -> Timing:
    everything = np.concatenate([np.asarray(samples) for samples in found])
    q25, median, q75 = np.quantile(everything, (0.25, 0.5, 0.75))
    return Timing(
        median=float(median),
        q25=float(q25),
        q75=float(q75),
        rounds=tuple(float(np.median(samples)) for samples in found),
        calls=everything.size,
    )


def graphed(call: Call, device: torch.device) -> Call:
    """The call captured once into a CUDA graph; the result replays it. Warms up on a side stream, as capture needs."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = call()

    def replay() -> object:
        graph.replay()
        return output

    return replay


def reason(error: Exception) -> str:
    """The first sentence of an error, for a table cell."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return (first if type(error) is Unsupported else f"{type(error).__name__}: {first}")[:240]


def clocks(device: torch.device) -> dict[str, str]:
    """Clock, power and temperature readings of the GPU now; empty where nvidia-smi does not answer."""
    if device.type != "cuda" or shutil.which("nvidia-smi") is None:
        return {}
    index = torch.cuda.current_device() if device.index is None else device.index
    command = ["nvidia-smi", f"--id={index}", f"--query-gpu={','.join(_CLOCK_FIELDS)}", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(_CLOCK_FIELDS, (cell.strip() for cell in found.strip().split(",")), strict=False))


def machine(device: torch.device) -> dict[str, Any]:
    """Device and versions that a timing depends on."""
    found: dict[str, Any] = {"device": str(device), "python": platform.python_version(), "torch": torch.__version__}
    for package in ("timm", "triton"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    if device.type != "cuda":
        return found
    properties = torch.cuda.get_device_properties(device)
    found |= {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "l2_bytes": getattr(properties, "L2_cache_size", None),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "cusparselt": torch.backends.cusparselt.version() if torch.backends.cusparselt.is_available() else None,
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
    }
    return found


def ceilings(device: torch.device) -> dict[str, float]:
    """What this GPU reaches at most: copy bandwidth (bytes read + written) and a large bf16 product, on random data."""
    source = torch.randn(1 << 29, device=device, dtype=torch.bfloat16)
    target = torch.empty_like(source)
    left, right = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    found = interleaved({"copy": lambda: target.copy_(source), "product": lambda: left @ right}, device=device, window_ms=30.0)
    return {
        "bytes_per_s": 2 * source.numel() * 2 / (found["copy"].median * 1e-3),
        "flop_per_s": 2 * 8192**3 / (found["product"].median * 1e-3),
    }
