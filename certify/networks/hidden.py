"""Hidden units: which layer writes them, their states on both sides of the activation, the loss's answer to masks on them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certify.networks.producers import calls_of, producer_of
from certify.records import Evidence, Refused, Target, Usage

OBSERVED = ("states", "taylor")
TOKENS = 4096


@dataclass(frozen=True)
class Hidden:
    """A target and where its inputs come from.

    reader   : name of the target.
    producer : name of the layer that writes its inputs.
    offset   : rows of the producer before those that correspond to the reader's inputs: 0 of a hidden layer; of attention, whose
               values are the last third of ..qkv, twice the number of inputs.
    """

    reader: str
    producer: str
    offset: int = 0


def hidden_layers(model: nn.Module, targets: Sequence[Target], batch: Tensor) -> list[Hidden]:
    """Targets whose inputs one linear layer writes alone, through activations by unit, and the outputs of attention.

    batch : images for one forward pass; a layer that is called twice is left out.
    Gated layers, convolutions and layers behind a norm are left out too: their units are not the producer's rows.
    """
    calls = calls_of(model, batch)
    modules = dict(model.named_modules())
    found = []
    for target in targets:
        layer = modules.get(target.name)
        if target.skipped or not isinstance(layer, nn.Linear) or calls.get(target.name) != 1:
            continue
        values = target.name.removesuffix("proj") + "qkv"
        if target.name.endswith("attn.proj") and calls.get(values) == 1:
            if getattr(modules[values], "out_features", 0) == 3 * target.cols:
                found.append(Hidden(target.name, values, 2 * target.cols))
            continue
        producer = producer_of(model, target.name, target.cols, calls)
        if producer is not None and not producer.between:
            found.append(Hidden(target.name, producer.layer))
    return found


def observe(
    model: nn.Module,
    evidence: Evidence,
    targets: Sequence[Target],
    batches: Iterable[Tensor],
    labels: np.ndarray | None = None,
    *,
    parts: Sequence[str] = OBSERVED,
    tokens: int = TOKENS,
    seed: int = 0,
) -> Evidence:
    """The evidence with `parts` of OBSERVED added for every hidden layer among the targets it holds, in float64.

    batches : the images it was collected on, batch by batch; labels: their (T,) classes, which taylor needs.
    tokens  : states are kept at so many tokens (image and position), drawn uniformly without replacement by `seed`, the same ones
              for every layer with as many tokens; all of them where there are fewer.
    taylor sums |d mean loss / d mask| over the batches as they are given.
    """
    unknown = [part for part in parts if part not in OBSERVED]
    if unknown:
        raise Usage(f"observe: {unknown[0]!r} is none of {', '.join(OBSERVED)}; collect and sense hold the others")
    if "taylor" in parts and labels is None:
        raise Usage("observe: taylor is a derivative of the loss and needs labels")
    kept = list(batches)
    if not kept:
        raise Refused("evidence: no calibration image was given; there are no states to look at")
    layers = hidden_layers(model, [target for target in targets if target.name in evidence.weights], kept[0][:1])
    network = copy.deepcopy(model).cpu().double().eval().requires_grad_(False)
    draws = {layer.reader: _Draw(tokens, seed) for layer in layers}
    slopes: dict[str, np.ndarray] = {}
    first = 0
    for batch in kept:
        truth = None if labels is None else torch.from_numpy(np.asarray(labels[first : first + len(batch)]))
        first += len(batch)
        logits, written, read = _pass(network, layers, batch)
        for layer in layers:
            width = read[layer.reader].shape[-1]
            before = written[layer.producer].detach()[..., layer.offset : layer.offset + width]
            draws[layer.reader].add(before.reshape(-1, width), read[layer.reader].detach().reshape(-1, width))
        if "taylor" in parts:
            assert truth is not None
            states = [read[layer.reader] for layer in layers]
            for layer, state, slope in zip(
                layers, states, torch.autograd.grad(F.cross_entropy(logits, truth), states), strict=True
            ):
                answer = (state.detach() * slope).reshape(-1, state.shape[-1]).sum(0).abs().numpy()
                slopes[layer.reader] = slopes.get(layer.reader, 0.0) + answer
    found = dict(evidence.parts)
    if "states" in parts:
        found["states"] = {name: draw.states() for name, draw in draws.items()}
    if "taylor" in parts:
        found["taylor"] = slopes
    return replace(evidence, parts=found, producers={layer.reader: layer.producer for layer in layers})


def _pass(network: nn.Module, layers: Sequence[Hidden], batch: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Logits, what each producer wrote, and what each reader read, attached to the graph."""
    written: dict[str, Tensor] = {}
    read: dict[str, Tensor] = {}

    def wrote(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: written.update({name: output})

    def reads(name: str) -> Callable[..., None]:
        return lambda layer, inputs: read.update({name: inputs[0]})

    handles = [network.get_submodule(layer.producer).register_forward_hook(wrote(layer.producer)) for layer in layers]
    handles += [network.get_submodule(layer.reader).register_forward_pre_hook(reads(layer.reader)) for layer in layers]
    try:
        with torch.enable_grad():
            logits = network(batch.double().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    return logits, written, read


class _Draw:
    """A uniform draw of rows from a stream: those with the smallest random keys."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.generator = size, np.random.default_rng(seed)
        self.keys = np.empty(0)
        self.rows: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, before: Tensor, after: Tensor) -> None:
        keys = np.concatenate([self.keys, self.generator.random(len(before))])
        rows = [before.numpy(), after.numpy()]
        if self.rows is not None:
            rows = [np.concatenate([old, new]) for old, new in zip(self.rows, rows, strict=True)]
        chosen = np.sort(np.argpartition(keys, self.size)[: self.size]) if len(keys) > self.size else np.arange(len(keys))
        self.keys, self.rows = keys[chosen], (rows[0][chosen], rows[1][chosen])

    def states(self) -> np.ndarray:
        assert self.rows is not None
        return np.stack(self.rows)


def fold_constants(model: nn.Module, constants: Mapping[str, Mapping[int, float]]) -> nn.Module:
    """A copy in which units of known constant value can go without a trace: b_next += W_out[:, j] c_j.

    constants : reader -> unit -> value, as the facts of a `neurons` plan name them. The copy without these units equals the
                model wherever they have these values, to rounding; elsewhere it does not. A reader without a bias is refused.
    Source: methods/spectral-distortion.md 1.2.
    """
    folded = copy.deepcopy(model)
    for reader, values in constants.items():
        layer = folded.get_submodule(reader)
        if not isinstance(layer, nn.Linear) or layer.bias is None:
            raise Refused(f"{reader}: it has no bias that could take up a constant; give it one, or leave its constant units in")
        with torch.no_grad():
            for unit, value in values.items():
                layer.bias.add_(layer.weight[:, unit] * value)
    return folded
