"""What single units are worth, measured, and units whose redundancy is known because it was planted."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata, spearmanr
from torch import Tensor, nn
from torch.func import functional_call

from certify.theory.cross_entropy import log_probabilities
from simulations.digits.hidden import cut_weights, hidden_layers

PLANTED = ("twins", "silent", "opposite")
# Units of equal contribution, and what counts as one: within a bin of this share of a layer.
BIN = 0.05


@torch.no_grad()
def ablation_damage(network: nn.Module, batch: Tensor, labels: np.ndarray, means: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(units, 2) a layer: rise of the mean cross-entropy (nats) when one unit is set to 0, and when it is set to its mean.

    means : (units,) mean activation a layer, from other images than `batch`.
    """
    layers = hidden_layers(network)
    full = [np.ones(len(mean), dtype=bool) for mean in means]
    base = _loss(network, dict(network.named_parameters()), batch, labels)
    found = []
    for index, ((_, reader), mean) in enumerate(zip(layers, means, strict=True)):
        table = np.empty((len(mean), 2))
        outgoing, bias = network.get_parameter(f"{reader}.weight"), network.get_parameter(f"{reader}.bias")
        for unit, value in enumerate(mean):
            kept = [mask.copy() for mask in full]
            kept[index][unit] = False
            weights = cut_weights(network, kept)
            table[unit, 0] = _loss(network, weights, batch, labels) - base
            weights[f"{reader}.bias"] = bias + float(value) * outgoing[:, unit]
            table[unit, 1] = _loss(network, weights, batch, labels) - base
        found.append(table)
    return found


def _loss(network: nn.Module, weights: dict[str, Tensor], batch: Tensor, labels: np.ndarray) -> float:
    logits = functional_call(network, weights, (batch.to(next(network.parameters()).device),)).double().cpu().numpy()
    return float(-log_probabilities(logits, labels)[0].mean())


def partial_association(score: np.ndarray, damage: np.ndarray, controls: np.ndarray) -> float:
    """Fisher's z of the correlation of ranks of score and damage, both without their fit on the ranks of controls (n, c)."""
    ranks = np.column_stack([np.ones(len(score)), *(rankdata(column) for column in controls.T)])
    residuals = [values - ranks @ np.linalg.lstsq(ranks, values, rcond=None)[0] for values in map(rankdata, (score, damage))]
    correlation = np.corrcoef(*residuals)[0, 1]
    return float(np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12)))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    found: float = spearmanr(one, other)[0]  # type: ignore[assignment]
    return float(found)


def concordance(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau."""
    found: float = kendalltau(one, other)[0]  # type: ignore[assignment]
    return float(found)


def matched_pairs(score: np.ndarray, damage: np.ndarray, contribution: np.ndarray) -> tuple[int, int]:
    """Of pairs of units in one bin of contribution and in opposite thirds of the score: how many there are, and in how many the
    higher score has the higher damage."""
    n = len(score)
    bins = (rankdata(contribution, method="ordinal") - 1) // max(2, round(BIN * n))
    thirds = (rankdata(score, method="ordinal") - 1) * 3 // n
    pairs = wins = 0
    for each in np.unique(bins):
        low, high = (np.flatnonzero((bins == each) & (thirds == third)) for third in (0, 2))
        pairs += len(low) * len(high)
        wins += int(np.sum(damage[high][:, None] > damage[low][None, :]))
    return pairs, wins


def plant(network: nn.Module, kind: str, share: float, generator: np.random.Generator) -> tuple[nn.Module, list[np.ndarray]]:
    """A network of the same function with redundant units in every hidden layer, and which ones they are.

    twins    : copies of some units; each pair shares the outgoing weights, half and half. Both are planted.
    silent   : units with incoming weights of others, shuffled among them, read with 1e-9 of their outgoing ones.
    opposite : pairs of such copies with outgoing weights w and -w: removable together, not singly.
    share    : planted units over units.
    Returns the widened network and (units,) bool a layer. Logits agree to rounding (silent: to 1e-6).
    """
    wide = copy.deepcopy(network)
    marks: list[np.ndarray] = []
    for writer, reader in hidden_layers(network):
        one, two = wide.get_submodule(writer), wide.get_submodule(reader)
        assert isinstance(one, nn.Linear) and isinstance(two, nn.Linear)
        width = two.in_features
        chosen = torch.from_numpy(generator.choice(width, max(2, round(share * width)), replace=False))
        incoming, bias, outgoing = one.weight.data[:width], one.bias.data, two.weight.data
        if kind == "twins":
            added, shift, reads = incoming[chosen], bias[chosen], outgoing[:, chosen] / 2
            outgoing[:, chosen] /= 2
            planted = np.concatenate([np.isin(np.arange(width), chosen.numpy()), np.ones(len(chosen), dtype=bool)])
        elif kind in PLANTED:
            columns = torch.from_numpy(generator.permuted(incoming[chosen].cpu().numpy(), axis=0)).to(incoming.device)
            added, shift = columns, bias[chosen]
            reads = outgoing[:, chosen[torch.from_numpy(generator.permutation(len(chosen)))]]
            reads = 1e-9 * reads if kind == "silent" else reads
            if kind == "opposite":
                added, shift, reads = (torch.cat([added, added]), torch.cat([shift, shift]), torch.cat([reads, -reads], dim=1))
            planted = np.concatenate([np.zeros(width, dtype=bool), np.ones(len(added), dtype=bool)])
        else:
            raise ValueError(f"{kind!r} is none of {', '.join(PLANTED)}")
        one.weight, one.bias = nn.Parameter(torch.cat([one.weight.data, added])), nn.Parameter(torch.cat([bias, shift]))
        two.weight = nn.Parameter(torch.cat([outgoing, reads], dim=1))
        one.out_features, two.in_features = one.weight.shape[0], two.weight.shape[1]
        marks.append(planted)
    return wide.requires_grad_(False), marks


def auc(score: np.ndarray, planted: np.ndarray) -> float:
    """Chance that a planted unit scores below another one, ties half: 1 finds them all, 1/2 is blind."""
    ranks = rankdata(-score)
    inside = int(planted.sum())
    return float((ranks[planted].sum() - inside * (inside + 1) / 2) / (inside * (len(score) - inside)))
