"""Units of digits networks removed in rounds: states taken again after each, nothing trained in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from certify.pipeline.gradual import geometric_steps
from certify.pruning.distortion.scores import Scored, Settings, Units, score_units
from certify.pruning.neurons import keep_units
from simulations.digits.hidden import PerLayer, cut_weights, hidden_layers
from simulations.digits.measure import images

IMAGES, TOKENS, BATCH = 1000, 2048, 100


def calibration(kind: str) -> tuple[Tensor, np.ndarray]:
    """At most IMAGES images of the train and calibration splits with their labels: what scores may see."""
    parts = [images(purpose, kind) for purpose in ("train", "calibration")]
    first = [(batch[:IMAGES], labels[:IMAGES]) for batch, labels in parts]
    return torch.cat([batch for batch, _ in first])[:IMAGES], np.concatenate([labels for _, labels in first])[:IMAGES]


def units_of(
    network: nn.Module,
    kept: PerLayer,
    batch: Tensor,
    labels: np.ndarray,
    *,
    seed: int,
    taylor: bool = False,
    tokens: int = TOKENS,
) -> list[Units]:
    """What is known of the kept units of each hidden layer: states at a draw of tokens, norms, first-order answers."""
    layers = hidden_layers(network)
    written: dict[str, list[Tensor]] = {writer: [] for writer, _ in layers}
    read: dict[str, list[Tensor]] = {reader: [] for _, reader in layers}
    handles = [network.get_submodule(w).register_forward_hook(lambda m, i, o, w=w: written[w].append(o)) for w, _ in layers]
    handles += [network.get_submodule(r).register_forward_pre_hook(lambda m, i, r=r: read[r].append(i[0])) for _, r in layers]
    weights, device = cut_weights(network, kept), next(network.parameters()).device
    slopes = [np.zeros(int(mask.sum())) for mask in kept]
    try:
        for part, truth in zip(batch.split(BATCH), torch.from_numpy(labels).split(BATCH), strict=True):
            with torch.set_grad_enabled(taylor):
                seen = part.to(device).clone().requires_grad_(taylor)
                loss = F.cross_entropy(functional_call(network, weights, (seen,)), truth.to(device))
            if taylor:
                states = [read[reader][-1] for _, reader in layers]
                for index, (state, slope) in enumerate(zip(states, torch.autograd.grad(loss, states), strict=True)):
                    slopes[index] += (state * slope).detach().double().reshape(-1, state.shape[-1]).sum(0).abs().cpu().numpy()
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for index, ((writer, reader), mask) in enumerate(zip(layers, kept, strict=True)):
        before, after = (_table(parts) for parts in (written[writer], read[reader]))
        chosen = np.arange(len(before))
        if len(before) > tokens:
            chosen = np.sort(np.random.default_rng([seed, index]).choice(len(before), tokens, replace=False))
        # of the network as it is: what a removed unit of the next layer reads does not count
        incoming, outgoing = (weights[f"{name}.weight"].double().cpu().numpy() for name in (writer, reader))
        norms = np.linalg.norm(incoming, axis=1), np.linalg.norm(outgoing, axis=0)
        answers = slopes[index] if taylor else np.full(int(mask.sum()), np.nan)
        found.append(Units(before[chosen], after[chosen], *norms, answers, seed + 1000 * index))
    return found


def _table(parts: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([part.detach().double().reshape(-1, part.shape[-1]).cpu().numpy() for part in parts])


def remove_in_rounds(
    network: nn.Module,
    batch: Tensor,
    labels: np.ndarray,
    sparsity: float,
    score: str,
    settings: Settings,
    *,
    rounds: int,
    seed: int,
    reverse: bool = False,
) -> list[np.ndarray]:
    """Kept units of each hidden layer after n (1 - S)^(t / R) of n are left in round t; the same schedule for every score."""
    widths = [network.get_parameter(f"{reader}.weight").shape[1] for _, reader in hidden_layers(network)]
    kept = [np.ones(width, dtype=bool) for width in widths]
    for turn, share in enumerate((*geometric_steps(sparsity, rounds), sparsity)):
        units = units_of(network, kept, batch, labels, seed=seed + 7 * turn, taylor=score == "taylor")
        scored = {str(index): _whole(score_units(each, score, settings), kept[index]) for index, each in enumerate(units)}
        kept = list(keep_units(scored, share, reverse=reverse).values())
    return kept


def _whole(scored: Scored, kept: np.ndarray) -> Scored:
    """Scores of all units of a layer from those of the kept ones; the others are gone."""

    def spread(values: np.ndarray, rest: float) -> np.ndarray:
        found = np.full(len(kept), rest)
        found[kept] = values
        return found

    return replace(
        scored,
        scores=spread(scored.scores, np.nan),
        gone=spread(scored.gone, True).astype(bool),
        constant=spread(scored.constant, False).astype(bool),
        fallback=spread(scored.fallback, 0.0),
    )


def parameter_masks(network: nn.Module, kept: PerLayer) -> Mapping[str, Tensor]:
    """Parameter name -> (rows, cols) True where the weight stays, for a recovery."""
    found: dict[str, Tensor] = {}
    for (writer, reader), mask in zip(hidden_layers(network), kept, strict=True):
        units = torch.from_numpy(np.asarray(mask))
        for name, along in ((f"{writer}.weight", units[:, None]), (f"{reader}.weight", units[None, :])):
            whole = torch.ones(network.get_parameter(name).shape, dtype=torch.bool) & along
            found[name] = found[name] & whole if name in found else whole
    return found
