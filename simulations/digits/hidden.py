"""Hidden units of digits networks: the layers that write and read them, their base scores, and the network without some."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from certify.pruning.ranking.method import BASES, base_score
from simulations.digits.measure import images
from simulations.digits.networks import trained

# One vector of booleans, scores or whole numbers for each hidden layer, one entry a unit.
PerLayer = Sequence[np.ndarray]


def hidden_layers(network: nn.Module) -> list[tuple[str, str]]:
    """(writer, reader) of each hidden layer of a KINDS network named hidden-*: fc1 and fc2 of blocks, neighbours in an MLP."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    blocks = [name for name in linear if name.endswith("mlp.fc1")]
    if blocks:
        return [(name, name[:-1] + "2") for name in blocks]
    return list(itertools.pairwise(linear))


@torch.no_grad()
def logits_of(network: nn.Module, kept: PerLayer, batch: Tensor) -> np.ndarray:
    """(B, classes) float64 logits of the network that keeps these units of each hidden layer.

    kept : (units,) bool a layer. Weights are sliced, not multiplied by 0; the function is the same, nothing reads a removed unit.
    A layer without any unit passes on the bias of its reader.
    """
    return functional_call(network, cut_weights(network, kept), (batch,)).double().cpu().numpy()


@torch.no_grad()
def cut_weights(network: nn.Module, kept: PerLayer) -> dict[str, Tensor]:
    """Parameter name -> its entries that belong to kept units, for `functional_call`."""
    cut: dict[str, Tensor] = dict(network.named_parameters())
    for (writer, reader), mask in zip(hidden_layers(network), kept, strict=True):
        chosen = torch.from_numpy(np.flatnonzero(mask)).to(cut[f"{writer}.weight"].device)
        for name in (f"{writer}.weight", f"{writer}.bias"):
            cut[name] = cut[name][chosen]
        cut[f"{reader}.weight"] = cut[f"{reader}.weight"][:, chosen]
    return cut


class Measured:
    """Accuracy of sub-networks of one trained network on one split."""

    def __init__(self, kind: str, seed: int, purpose: str, epochs: int = 0) -> None:
        self.network = trained(kind, seed, epochs)
        self.layers = hidden_layers(self.network)
        batch, self.labels = images(purpose, kind)
        self.batch = batch.to(next(self.network.parameters()).device)

    @cached_property
    def dense(self) -> float:
        """Share of right decisions of the whole network."""
        return self([np.ones(self.network.get_parameter(f"{reader}.weight").shape[1], dtype=bool) for _, reader in self.layers])

    @property
    def incoming(self) -> list[np.ndarray]:
        """(units, cols) float64 a hidden layer: what each unit reads."""
        weights = dict(self.network.named_parameters())
        return [weights[f"{writer}.weight"].detach().double().cpu().numpy() for writer, _ in self.layers]

    def logits(self, kept: PerLayer) -> np.ndarray:
        """(B, classes)."""
        return logits_of(self.network, kept, self.batch)

    def __call__(self, kept: PerLayer) -> float:
        """Share of right decisions."""
        return float(np.mean(self.logits(kept).argmax(axis=1) == self.labels))


@lru_cache(maxsize=2)
def base_scores(kind: str, seed: int, epochs: int = 0) -> Mapping[str, tuple[np.ndarray, ...]]:
    """Scores of the units of every hidden layer by each base of `ranking.method.base_score` but minmax, in float64.

    Activations over calibration images and tokens; taylor sums |d loss / d mask_j| at mask = 1 over batches of them.
    """
    network = trained(kind, seed, epochs)
    batch, labels = images("calibration", kind)
    layers = hidden_layers(network)
    weights = {name: value.detach().double().cpu().numpy() for name, value in network.named_parameters()}
    device = next(network.parameters()).device
    squares, slopes = _passes(network, [reader for _, reader in layers], batch.to(device), torch.from_numpy(labels).to(device))
    found: dict[str, list[np.ndarray]] = {name: [] for name in BASES if name != "minmax"}
    for (writer, reader), square, slope in zip(layers, squares, slopes, strict=True):
        for name, scores in found.items():
            pair = weights[f"{writer}.weight"], weights[f"{reader}.weight"]
            scores.append(base_score(name, *pair, np.sqrt(square), slope))
    return {name: tuple(values) for name, values in found.items()}


BATCH = 32


def _passes(
    network: nn.Module, readers: Sequence[str], batch: Tensor, labels: Tensor
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each reader's inputs: mean squares, and sums over batches of |sum of a_j d loss / d a_j|."""
    seen: dict[str, Tensor] = {}
    squares: dict[str, Any] = dict.fromkeys(readers, 0.0)
    slopes: dict[str, Any] = dict.fromkeys(readers, 0.0)
    handles = [network.get_submodule(name).register_forward_pre_hook(_keep(seen, name)) for name in readers]
    try:
        for part, truth in zip(batch.split(BATCH), labels.split(BATCH), strict=True):
            loss = F.cross_entropy(network(part.clone().requires_grad_(True)), truth)
            states = [seen[name] for name in readers]
            for name, state, slope in zip(readers, states, torch.autograd.grad(loss, states), strict=True):
                rows = state.detach().double().reshape(-1, state.shape[-1])
                squares[name] = squares[name] + rows.square().sum(0).cpu().numpy() * len(part) / len(batch) / len(rows)
                slopes[name] = slopes[name] + (rows * slope.double().reshape(rows.shape)).sum(0).abs().cpu().numpy()
    finally:
        for handle in handles:
            handle.remove()
    return [squares[name] for name in readers], [slopes[name] for name in readers]


def _keep(seen: dict[str, Tensor], name: str) -> Callable[..., None]:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[name] = inputs[0]

    return hook
