"""Certificates about the elastic-net objective, and about scores whose removed mass bounds the loss."""

from __future__ import annotations

import numpy as np

from certify.laws._checks import Array
from certify.theory import elastic_net as net
from certify.theory.cross_entropy import cross_entropy
from certify.theory.emp import data_path_scores as scores
from certify.theory.emp.effective_number import keep_mask
from simulations.networks.architectures import Weights
from simulations.networks.constants import row_sums
from simulations.networks.network import SyntheticNetwork
from simulations.networks.removals import Measured, removal, single

Generator = np.random.Generator
L2, L1 = 0.5, 0.3


def elastic_net(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """J(S) - J(A) + rew(R) against B_T(R), the smallest L_s. Claim T5.4-elastic-net, F1."""
    layer = network.layers[0]
    removed, kept = network.noise[layer], network.signal[layer]
    step = removal(network, layer, removed)
    if broken == "induced 1-norm":
        gain = [L2 * net.frobenius_squared(matrix) + L1 * np.linalg.norm(matrix, 1) for matrix in (removed, kept, kept + removed)]
    else:
        gain = [net.reward(matrix, L2, L1) for matrix in (removed, kept, kept + removed)]
    return single(2.0 * step.moves(broken).mean(), step.increases.mean() + gain[1] - gain[2] + gain[0])


def restored(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """J(S + Q) - J(A) + rew(P) against B_T(P), R = Q + P with half of the entries put back. Claim T5.5-prune-restore, F16."""
    layer = network.layers[0]
    removed, weights = network.noise[layer], network.weights[layer]
    back = rng.permutation(removed.size).reshape(removed.shape) % 2 == 0
    gone = np.where(back, 0.0, removed)
    step = removal(network, layer, gone)
    shipped = network.signal[layer] + np.where(back, removed, 0.0)
    if broken == "another checkpoint":
        shipped = shipped + np.where(back & (removed != 0.0), rng.permuted(removed, axis=1) - removed, 0.0)
    change = _objective(network, {layer: shipped}, (layer,)) - _objective(network, {layer: weights}, (layer,))
    return single(2.0 * step.trace.speed.mean(), change + net.reward(gone, L2, L1))


def multilayer(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """J(alpha_M) - J(alpha_0) + sum_j rew_j against sum_j B_j, each in the network where the earlier steps are made.

    Claim T5.8-multilayer, F10.
    """
    replaced: dict[str, Array] = {}
    budgets, rewards = [], []
    for layer in network.layers:
        removed = network.noise[layer]
        step = removal(network, layer, removed, None if broken == "dense budgets" else dict(replaced))
        budgets.append(2.0 * step.trace.speed.mean())
        rewards.append(net.reward(removed, L2, L1))
        replaced[layer] = network.weights[layer] - removed
    change = _objective(network, replaced, network.layers) - _objective(network, {}, network.layers)
    return single(sum(budgets), change + sum(rewards))


def mass(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """|CE(S) - CE(A)| against the removed mass of entry scores; N_eff of them are kept.

    "dense scores": two layers in a row, both scored in the dense network. Claim EMP-T10.
    """
    if broken != "dense scores":
        layer = network.layers[0]
        table, _, _ = _scores(network, layer, broken)
        keep = keep_mask(table.ravel())
        return single(scores.budget_upper_groups(table.ravel(), keep), _loss_change(network, {layer: keep}))
    masks, total = {}, 0.0
    for layer in network.layers:
        table, _, _ = _scores(network, layer, broken)
        masks[layer] = keep_mask(table.ravel())
        total += scores.budget_upper_groups(table.ravel(), masks[layer])
    return single(total, _loss_change(network, masks))


def row_mass(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """|CE(S) - CE(A)| against the least bound over the orders, from the masses that rows lose. Claim EMP-T11."""
    layer = network.layers[0]
    table, inputs, constants = _scores(network, layer, broken)
    keep = keep_mask(table.ravel())
    removed = np.where(keep.reshape(table.shape), 0.0, network.weights[layer])
    bound = min(scores.budget_upper_rows(removed, inputs, constants, order) for order in scores.ORDERS)
    return single(bound, _loss_change(network, {layer: keep}))


def _scores(network: SyntheticNetwork, layer: str, broken: str) -> tuple[Array, Array, Array]:
    """Entry scores of order 1, with the inputs and constants they are made of."""
    inputs = network.data_path(layer)
    inputs = inputs[:, :1] if broken == "tokens ignored" else inputs
    constants = np.full(len(inputs), 1.0 if broken == "L_s = 1" else row_sums(network, layer))
    return scores.entry_scores(network.weights[layer], inputs, constants), inputs, constants


def _loss_change(network: SyntheticNetwork, masks: dict[str, np.ndarray]) -> float:
    weights = network.weights
    pruned = {name: np.where(keep.reshape(weights[name].shape), weights[name], 0.0) for name, keep in masks.items()}
    dense, after = (cross_entropy(network.forward(found), network.labels).mean() for found in ({}, pruned))
    return abs(float(after - dense))


def _objective(network: SyntheticNetwork, replaced: Weights, layers: tuple[str, ...]) -> float:
    weights = network.weights | dict(replaced)
    loss = cross_entropy(network.forward(replaced), network.labels).mean()
    return float(loss) + sum(net.reward(weights[name], L2, L1) for name in layers)
