"""Certificates about logits, cross-entropy and decisions."""

from __future__ import annotations

import numpy as np

from certify.laws._checks import Array
from certify.theory import budget, cross_entropy, margins
from simulations.networks.constants import row_sums, traced
from simulations.networks.network import SyntheticNetwork
from simulations.networks.removals import Measured, Removal, removal, shares, single, worst

Generator = np.random.Generator


def size(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """||R V_s||_inf against the longest row times the longest token; the operator norm times the largest entry is no bound (F18).

    Claim F18, X19-tokens.
    """
    removed, inputs = network.noise[network.layers[0]], network.data_path(network.layers[0])
    bound = budget.data_path_upper_euclidean(removed, inputs[:, :1] if broken == "tokens ignored" else inputs)
    if broken == "operator norm":
        bound = np.linalg.norm(removed, 2) * np.abs(inputs).max(axis=(1, 2))
    return worst(bound, budget.data_path_size(removed, inputs))


def move(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """||z_S - z_A||_inf against L_s ||R V_s||_inf, the smallest L_s. Claim L4.4-remove-R, X9-best-L."""
    step = _step(network)
    return worst(step.moves(broken), step.trace.endpoint)


def variation(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """||z_S - z_A||_inf against int ||gamma'||_inf. Claim X8-path-variation."""
    step = _step(network)
    return worst(step.moves(broken) if broken != "none" else step.trace.variation, step.trace.endpoint)


def budget_row_sums(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """|CE(S) - CE(A)| against B_T(R), L_s by row sums. Claim L5.1-ce-path, D5.0-budget."""
    step = _step(network)
    inputs = network.data_path(step.layer)
    sizes = budget.data_path_size(step.removed, inputs[:, :1] if broken == "tokens ignored" else inputs)
    constant = 1.0 if broken == "L_s = 1" else row_sums(network, step.layer)
    return single(budget.budget(np.full(len(sizes), constant), sizes), abs(step.increases.mean()))


def budget_smallest(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """The same with the smallest L_s. Claim L5.1-ce-path, X9-best-L."""
    step = _step(network)
    return single(2.0 * step.moves(broken).mean(), abs(step.increases.mean()))


def sharp(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """|ce_s(S) - ce_s(A)| against log(p + (1 - p) exp(2 eta)). Claim X1-ce-sharp."""
    step = _step(network)
    log_p, log_not_p = cross_entropy.log_probabilities(step.dense, network.labels)
    return worst(cross_entropy.increase_upper(log_p, log_not_p, step.moves(broken)), np.abs(step.increases))


def pairwise(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """ce_s(S) - ce_s(A) against log(p + sum_j q_j exp(pi_j)). Claim X2-ce-pairwise."""
    step = _step(network)
    bound = cross_entropy.increase_upper_pairwise(step.dense, network.labels, _pairs(step, broken))
    return worst(bound, np.maximum(step.increases, 0.0))


def margin_published(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """Changed decisions against |margin| <= 2 eta. Claim C5.2-margin."""
    step = _step(network)
    before, after = (margins.true_margin(z, network.labels) for z in (step.dense, step.pruned))
    return shares(margins.may_change_published(before, _up(step.moves(broken))), (before > 0.0) != (after > 0.0))


def margin_signed(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """Lost and gained decisions, each against its own set. Claim X5-margin-signed."""
    step = _step(network)
    before, after = (margins.true_margin(z, network.labels) for z in (step.dense, step.pruned))
    eta = _up(step.moves(broken))
    sets = np.stack([margins.may_lose(before, eta), margins.may_gain(before, eta)])
    return shares(sets, np.stack([(before > 0.0) & (after <= 0.0), (before <= 0.0) & (after > 0.0)]))


def margin_pairwise(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """The same with pairwise variations. Claim X6-margin-pairwise."""
    step = _step(network)
    before, after = (margins.true_margin(z, network.labels) for z in (step.dense, step.pruned))
    pairs = _up(_pairs(step, broken))
    lose = margins.may_lose_pairwise(step.dense, network.labels, pairs)
    gain = margins.may_gain_pairwise(step.dense, network.labels, pairs)
    changed = np.stack([(before > 0.0) & (after <= 0.0), (before <= 0.0) & (after > 0.0)])
    return shares(np.stack([lose, gain]), changed)


def several(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """||z_M - z_0||_inf against the sum of the steps, each bounded where the earlier ones are made.

    Claim ESM1-C1.3-multilayer-margin, F10.
    """
    replaced: dict[str, Array] = {}
    steps = []
    for layer in network.layers:
        found = traced(network, layer, network.noise[layer], None if broken == "dense budgets" else replaced)
        steps.append(found.speed)
        replaced[layer] = network.weights[layer] - network.noise[layer]
    moved = np.abs(network.forward(replaced) - network.forward()).max(axis=1)
    return worst(budget.telescoped(np.stack(steps)), moved)


def _step(network: SyntheticNetwork) -> Removal:
    return removal(network, network.layers[0], network.noise[network.layers[0]])


def _pairs(step: Removal, broken: str) -> Array:
    return step.trace.end_pairs if broken == "end-point Jacobian" else step.trace.pairwise


def _up(moves: Array) -> Array:
    """Room for the rounding of logits that are compared with 2 eta exactly."""
    return moves + 1e-9 * (1.0 + moves)
