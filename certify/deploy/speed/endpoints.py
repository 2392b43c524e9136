"""The network end to end: every way to run it dense against every way to run it 2:4, in the same rounds."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from certify.deploy.macs import block_linears, eligible_convs
from certify.deploy.speed.backends import Backend, Unsupported, sparsify
from certify.deploy.speed.lowering import lower
from certify.deploy.speed.timing import Call, clocks, graphed, interleaved, reason
from certify.deploy.two_four import project, verify
from certify.networks.merging import merge_tokens
from certify.records import Refused

# Largest relative difference of the logits between 2:4 and dense runs of the same weights, both in bf16.
MAX_DIFFERENCE = 5e-2


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to hold the weights. `twin`: the dense variant with the same graph, for a ratio of like with like."""

    name: str
    sparse: bool
    twin: str
    lowered: str = ""
    backend: Backend | None = None
    tuned: bool = False
    autocast: bool = False


@dataclass(frozen=True, kw_only=True)
class EndpointRow:
    """One endpoint in one cell (model, batch, merge). Times in ms per batch; ratios are dense time over this time."""

    model: str
    batch: int
    merge: int
    variant: str
    mode: str
    sparse: bool
    status: str
    reason: str = ""
    difference: float | None = None
    layers_sparse: int = 0
    layers_dense: int = 0
    median_ms: float | None = None
    q25_ms: float | None = None
    q75_ms: float | None = None
    round_ms: tuple[float, ...] = ()
    images_per_s: float | None = None
    weight_bytes: int | None = None
    peak_bytes: int | None = None
    to_best_dense: float | None = None
    best_dense: str = ""
    to_same_mode: float | None = None
    to_autocast: float | None = None
    predicted_ms: float | None = None
    predicted_ratio: float | None = None
    linear_share: float | None = None
    compile_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is measured: repeats, time per endpoint and round, compilation and its budget, backends skipped."""

    rounds: int = 3
    window_ms: float = 150.0
    compile: bool = True
    compile_mode: str = "default"
    budget_s: float = 600.0
    seed: int = 0
    skip: tuple[str, ...] = ()


def variants(model: nn.Module, backends: Sequence[Backend]) -> tuple[Variant, ...]:
    """The variants that make sense for a network: linear layers as they are, convolutions lowered to products."""
    autocast = Variant(name="autocast", sparse=False, twin="autocast", autocast=True)
    dense = Variant(name="bf16", sparse=False, twin="bf16")
    bases = [dense]
    if not block_linears(model):
        bases = [replace(dense, name=name, twin=name, lowered=name) for name in ("im2col", "1x1")]
    sparse = [
        replace(base, name=f"{base.name}+{backend.name}{suffix}", sparse=True, backend=backend, tuned=bool(suffix))
        for base in bases
        for backend in backends
        for suffix in (("", "-tuned") if backend.algorithms > 1 else ("",))
    ]
    return (autocast, dense, *(base for base in bases if base is not dense), *sparse)


def targets(model: nn.Module, lowered: str = "") -> tuple[str, ...]:
    """Layers that a variant runs sparse: block Linears, else eligible convolutions ("1x1": only those of kernel 1)."""
    linears = block_linears(model)
    if linears:
        return linears
    names = eligible_convs(model)
    if lowered == "1x1":
        return tuple(name for name in names if model.get_submodule(name).kernel_size == (1, 1))
    return names


def randomise(model: nn.Module, seed: int) -> None:
    """Random-normal matrices (variance 1 / inputs) in place, and unit scales where an initialiser left zeros.

    Timing on zeros flatters every kernel; networks that start residual branches at zero would be such a case.
    """
    first = next(model.parameters())
    generator = torch.Generator(device=first.device).manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and parameter[0].numel() > 1:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=generator)
            elif name.endswith("weight") and not parameter.any():
                parameter.fill_(1.0)


def measure(
    model: nn.Module,
    name: str,
    *,
    batch: int,
    merge: int,
    input_size: Sequence[int],
    backends: Sequence[Backend],
    algorithms: Mapping[str, Mapping[tuple[int, int], int]],
    distrusted: Mapping[str, str],
    project_weights: bool,
    compile_variants: Sequence[str],
    settings: Settings,
    device: torch.device,
    deadline: float,
) -> tuple[list[EndpointRow], dict[str, Any]]:
    """All endpoints of one cell, interleaved; and the GPU's clocks before and after.

    model           : fp32 network in eval mode on `device`; left as it is.
    algorithms      : per backend name, the tuned kernel number of each (rows, cols).
    project_weights : make 2:4 weights by magnitude for the sparse side; else the weights given must be 2:4 already
                      (refused otherwise), and the dense side runs the same ones, zeros included.
    distrusted      : backends that gave a wrong product, and which; they are not timed.
    compile_variants: sparse variants to compile as well (the dense bf16 network always is).
    deadline        : `time.monotonic` value after which nothing more is compiled.
    """
    base = merge_tokens(model, merge) if merge else copy.deepcopy(model)
    kinds = variants(base, backends)
    wide = sum(isinstance(module, nn.Conv2d) for module in base.modules()) > 1
    generator = torch.Generator(device=device).manual_seed(settings.seed)
    x = torch.randn(batch, *input_size, device=device, generator=generator)
    rows: list[EndpointRow] = []
    calls: dict[str, Call] = {}
    if device.type == "cuda":
        torch._dynamo.reset()
    with torch.no_grad():
        references = _references(base, kinds, x, project_weights)
        for kind in kinds:
            row = EndpointRow(
                model=name,
                batch=batch,
                merge=merge,
                variant=kind.name,
                sparse=kind.sparse,
                mode="eager",
                status="measured",
            )
            if kind.backend and kind.backend.name in distrusted:
                rows.append(replace(row, status="wrong", reason=distrusted[kind.backend.name]))
                continue
            numbers = algorithms.get(kind.backend.name, {}) if kind.backend and kind.tuned else {}
            before = _allocated(device)
            try:
                net, left = build(base, kind, numbers, project_weights, wide)
                sample = _shaped(x, kind, wide)
                call = _forward(net, sample, kind, device)
                weight_bytes = _allocated(device) - before if device.type == "cuda" else None
                _reset_peak(device)
                difference = _difference(call(), references[kind.lowered, kind.sparse])
            except Refused:
                raise
            except Exception as why:
                rows.append(replace(row, status="unsupported", reason=reason(why)))
                continue
            wanted = len(targets(base, kind.lowered)) if kind.sparse else 0
            row = replace(
                row,
                layers_dense=len(left), layers_sparse=wanted - len(left), difference=difference,
                weight_bytes=weight_bytes, peak_bytes=_peak(device, before),
            )  # fmt: skip
            # Merging may break a tie the other way in bf16, so only the unmerged function is held to the tolerance.
            if kind.sparse and not merge and not difference <= MAX_DIFFERENCE:
                why = f"logits differ by {difference:.1e} from the dense run of the same weights"
                rows.append(replace(row, status="wrong", reason=why))
                continue
            compiles = settings.compile and (kind.name == "bf16" or kind.name in compile_variants)
            for mode, make in _modes(net, sample, kind, call, compiles, settings, device, deadline):
                begin = time.monotonic()
                try:
                    calls[f"{kind.name}/{mode}"] = make()
                except Exception as why:
                    rows.append(replace(row, mode=mode, status="unsupported", reason=reason(why)))
                    continue
                rows.append(replace(row, mode=mode, compile_s=time.monotonic() - begin if mode == "compiled" else None))
        if "bf16/eager" not in calls:
            why = next(row.reason for row in rows if row.variant == "bf16")
            raise Refused(f"{name} at batch {batch}: the dense network does not run on {device} ({why}).")
        state = {"before": clocks(device)}
        timings = interleaved(calls, device=device, rounds=settings.rounds, window_ms=settings.window_ms)
        state["after"] = clocks(device)
    rows = [_timed(row, timings.get(f"{row.variant}/{row.mode}")) for row in rows]
    return compared(rows, kinds), state


def build(
    base: nn.Module, kind: Variant, algorithms: Mapping[tuple[int, int], int], project_weights: bool, wide: bool
) -> tuple[nn.Module, dict[str, str]]:
    """The network of one variant, and the target layers it leaves dense with the reason."""
    names = targets(base, kind.lowered)
    net = copy.deepcopy(base)
    if kind.sparse and project_weights:
        _project(net, names)
    if kind.sparse:
        verified(net, names)
    if not kind.autocast:
        net = net.to(torch.bfloat16)
    if kind.lowered:
        net = lower(net, names)
    if wide and not kind.autocast:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if kind.backend is None:
        return net, {}
    left = sparsify(net, names, kind.backend, algorithms)
    if len(left) == len(names):
        raise Unsupported(f"no layer converts; first: {next(iter(left.values()), 'no target layer')}")
    return net, left


def verified(net: nn.Module, names: Sequence[str] | None = None) -> None:
    """Refuse a network whose target layers are not 2:4: no speed is quoted for weights that are not sparse."""
    for name in targets(net) if names is None else names:
        verify(net.get_submodule(name).weight, f"{name}.weight")  # type: ignore[arg-type]


def compared(rows: Sequence[EndpointRow], kinds: Sequence[Variant]) -> list[EndpointRow]:
    """Fill in the ratios: to the best dense endpoint of the cell, to the twin in the same mode, to dense autocast."""
    timed = {(row.variant, row.mode): row.median_ms for row in rows if row.median_ms is not None}
    dense = {key: ms for key, ms in timed.items() if not next(kind for kind in kinds if kind.name == key[0]).sparse}
    if not dense:
        return list(rows)
    best = min(dense, key=lambda key: dense[key])
    twins = {kind.name: kind.twin for kind in kinds}

    def ratios(row: EndpointRow) -> EndpointRow:
        if row.median_ms is None:
            return row
        twin, autocast = dense.get((twins[row.variant], row.mode)), dense.get(("autocast", "eager"))
        return replace(
            row,
            to_best_dense=dense[best] / row.median_ms,
            best_dense="/".join(best),
            to_same_mode=None if twin is None else twin / row.median_ms,
            to_autocast=None if autocast is None else autocast / row.median_ms,
        )

    return [ratios(row) for row in rows]


def predicted(rows: Sequence[EndpointRow], gains: Mapping[tuple[str, str, str], tuple[float, float]]) -> list[EndpointRow]:
    """Amdahl's prediction beside each sparse measurement without merging.

        T_predicted = T_dense(same mode) - sum over layers of (t_dense - t_sparse)

    gains : (lowering, kernel, mode) -> (sum t_dense, sum t_sparse) in ms over the layers the variant runs sparse. A
            compiled network uses the sums of graph mode.
    """
    dense = {(row.variant, row.mode): row.median_ms for row in rows if not row.sparse and row.median_ms}

    def filled(row: EndpointRow) -> EndpointRow:
        base, _, kernel = row.variant.partition("+")
        whole = dense.get((base, row.mode))
        sums = gains.get((base, kernel, "eager" if row.mode == "eager" else "graph"))
        if row.merge or not row.sparse or whole is None or sums is None or row.median_ms is None:
            return row
        time_left = whole - (sums[0] - sums[1])
        ratio = whole / time_left if time_left > 0 else None
        return replace(row, predicted_ms=time_left, predicted_ratio=ratio, linear_share=min(1.0, sums[0] / whole))

    return [filled(row) for row in rows]


def _modes(
    net: nn.Module,
    sample: Tensor,
    kind: Variant,
    call: Call,
    compiles: bool,
    settings: Settings,
    device: torch.device,
    deadline: float,
) -> list[tuple[str, Callable[[], Call]]]:
    """The execution modes to try for a variant, each with the function that prepares it."""
    modes: list[tuple[str, Callable[[], Call]]] = [("eager", lambda: call)]
    if kind.autocast or device.type != "cuda":
        return modes
    modes.append(("graph", lambda: graphed(call, device)))
    if not compiles:
        return modes
    made: list[Call] = []

    def compiled() -> Call:
        if time.monotonic() > deadline:
            raise Unsupported("not compiled: time budget spent")
        fast = _forward(torch.compile(net, mode=settings.compile_mode, dynamic=False), sample, kind, device)
        fast()
        made.append(fast)
        return fast

    def both() -> Call:
        if not made:
            raise Unsupported("not compiled, see mode compiled")
        return graphed(made[0], device)

    return [*modes, ("compiled", compiled), ("compiled+graph", both)]


def _forward(net: Any, sample: Tensor, kind: Variant, device: torch.device) -> Callable[[], Tensor]:
    def call() -> Tensor:
        with torch.inference_mode():
            return net(sample)

    def cast() -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
            return net(sample)

    return cast if kind.autocast else call


def _shaped(x: Tensor, kind: Variant, wide: bool) -> Tensor:
    if kind.autocast:
        return x
    return x.to(torch.bfloat16, memory_format=torch.channels_last if wide else torch.contiguous_format)


def _references(base: nn.Module, kinds: Sequence[Variant], x: Tensor, project_weights: bool) -> dict[tuple[str, bool], Tensor]:
    """Logits of the plain bf16 network for every set of weights in play: dense, and projected per set of targets."""
    found: dict[tuple[str, bool], Tensor] = {}
    for kind in kinds:
        key = (kind.lowered, kind.sparse)
        if key in found:
            continue
        net = copy.deepcopy(base)
        if kind.sparse and project_weights:
            _project(net, targets(base, kind.lowered))
        plain = replace(kind, autocast=False, lowered="", backend=None)
        found[key] = net.to(torch.bfloat16)(_shaped(x, plain, False))
    return found


def _project(net: nn.Module, names: Sequence[str]) -> None:
    for name in names:
        layer = net.get_submodule(name)
        layer.weight = nn.Parameter(project(layer.weight), requires_grad=False)  # type: ignore[arg-type]


def _difference(out: Any, reference: Tensor) -> float:
    return float((out.float() - reference.float()).norm() / reference.float().norm())


def _timed(row: EndpointRow, timing: Any) -> EndpointRow:
    if timing is None or row.status != "measured":
        return row
    return replace(
        row,
        median_ms=timing.median, q25_ms=timing.q25, q75_ms=timing.q75, round_ms=timing.rounds,
        images_per_s=1e3 * row.batch / timing.median,
    )  # fmt: skip


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device, before: int) -> int | None:
    return torch.cuda.max_memory_allocated(device) - before if device.type == "cuda" else None
