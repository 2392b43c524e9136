"""How much the logits answer to a change at a target: the evidence that needs more than one pass over the images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from certify.records import COST_LEVELS, Evidence, Refused, Target, Usage

SENSED = ("sensitivities", "costs")
CLASSES = 16


def sense(
    model: nn.Module, evidence: Evidence, targets: Sequence[Target], batches: Iterable[Tensor], *, parts: Sequence[str] = SENSED
) -> Evidence:
    """The evidence with `parts` of SENSED added, for the targets it holds, from the same images it was collected on."""
    unknown = [part for part in parts if part not in SENSED]
    if unknown:
        raise Usage(f"sense: {unknown[0]!r} is none of {', '.join(SENSED)}; collect holds the others")
    asked = [target for target in targets if target.name in evidence.weights]
    kept = list(batches)
    found = dict(evidence.parts)
    if "sensitivities" in parts:
        found["sensitivities"] = sensitivities(model, asked, kept)
    if "costs" in parts:
        found["costs"] = costs(model, asked, kept)
    return replace(evidence, parts=found)


def sensitivities(model: nn.Module, targets: Sequence[Target], batches: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """First-order answer of the logits to a change of a target's output, for every sample.

        L_s = max_k sum_{t,i} |d z_k / d h_{t,i}|,   |z_k(h + d) - z_k(h)| <= L_s ||d||_inf + o(||d||)

    h is the target's output over all tokens t and coordinates i, the derivative taken at the dense network in float64. It is an
    L_s for infinitely small changes only: scores made of it are estimates (tier resolved) and no bound for the mask they choose.
    Where a layer's first axis is not the sample (windows of a Swin transformer), samples run one by one.
    Of more than CLASSES classes the largest logits of each sample are taken.
    Returns target name -> (samples,).
    """
    network = copy.deepcopy(model).double().eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    names = [target.name for target in targets]
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for batch in batches:
        logits, outputs = _outputs(network, names, batch)
        if any(len(tensor) != len(batch) for kept in outputs.values() for tensor in kept):
            parts = [_answers(*_outputs(network, names, image)) for image in batch.split(1)]
        else:
            parts = [_answers(logits, outputs)]
        for part in parts:
            for name, values in part.items():
                found[name].append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def _outputs(network: nn.Module, names: Sequence[str], images: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The logits, and what each named module returned, call by call, still attached to the graph."""
    outputs: dict[str, list[Tensor]] = {name: [] for name in names}
    handles = [network.get_submodule(name).register_forward_hook(_keep(outputs[name])) for name in names]
    try:
        with torch.enable_grad():
            logits = network(images.double().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    unused = next((name for name, kept in outputs.items() if not kept), None)
    if unused is not None:
        raise Refused(f"{unused}: the forward pass never uses this layer; exclude it")
    return logits, outputs


def _keep(outputs: list[Tensor]) -> Callable[..., None]:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)

    return hook


def _answers(logits: Tensor, outputs: dict[str, list[Tensor]]) -> dict[str, np.ndarray]:
    """Target name -> (B,) the largest sum of absolute derivatives over the classes."""
    largest = logits.topk(min(CLASSES, logits.shape[1]), dim=1).values
    flat = [tensor for kept in outputs.values() for tensor in kept]
    best = {name: torch.zeros(len(logits), dtype=torch.float64) for name in outputs}
    for place in range(largest.shape[1]):
        last = place == largest.shape[1] - 1
        gradients = iter(torch.autograd.grad(largest[:, place].sum(), flat, retain_graph=not last, allow_unused=True))
        for name, kept in outputs.items():
            sums = [found.abs().reshape(len(logits), -1).sum(1) for found in (next(gradients) for _ in kept) if found is not None]
            if sums:
                best[name] = torch.maximum(best[name], torch.stack(sums).sum(0))
    return {name: values.numpy() for name, values in best.items()}


@torch.no_grad()
def costs(model: nn.Module, targets: Sequence[Target], batches: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Measured price of thinning one target alone: its smallest magnitudes go, the others stay.

        c(level) = mean over samples of max_k |z'_k - z_k|,   level in COST_LEVELS

    One forward pass a target and level, in the network's own number format (tier resolved).
    Returns target name -> (levels,), logit units.
    """
    network = copy.deepcopy(model).eval()
    modules = dict(network.named_modules())
    dense = [network(batch) for batch in batches]
    found = {}
    for target in targets:
        weight: Tensor = modules[target.name].weight.data  # type: ignore[assignment,union-attr]
        own = weight.clone()
        ascending = own.abs().reshape(-1).argsort(stable=True)
        prices = []
        for level in COST_LEVELS:
            weight.copy_(own)
            weight.view(-1)[ascending[: int(level * len(ascending))]] = 0
            moved = [(network(batch) - logits).abs().amax(1).double() for batch, logits in zip(batches, dense, strict=True)]
            prices.append(float(torch.cat(moved).mean()))
        weight.copy_(own)
        found[target.name] = np.array(prices)
    return found
