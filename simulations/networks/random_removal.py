"""Certificates that hold with a stated probability: over the noise, over its signs, over the samples."""

from __future__ import annotations

import math

import numpy as np

from certify.theory.binomial import paired_drop_upper
from certify.theory.budget import data_path_size
from certify.theory.gaussian import gaussian_multiplier, sign_symmetric_size
from certify.theory.margins import true_margin
from simulations.networks.network import SyntheticNetwork
from simulations.networks.parts import noise
from simulations.networks.removals import Measured, single, worst

Generator = np.random.Generator
DELTA = 0.1
CALIBRATION, POPULATION, CANDIDATES, REMOVED = 30, 2000, 200, 0.7


def gaussian(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """max over samples and tokens of |R v|_inf / ||v|| against sqrt(entry variance) x, Šidák's x, on the first layer.

    Claim C5.10-gauss-budget, X15-gauss-exact, X19-tokens, F15.
    """
    layer = network.design.targets[0]
    tokens = network.data_path(layer).reshape(-1, network.noise[layer].shape[1])
    tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    removed = network.noise[layer]
    count = len(network.inputs) if broken == "tokens ignored" else len(tokens)
    level = gaussian_multiplier(len(removed), count, DELTA) * math.sqrt(network.entry_variance(layer))
    return single(level, float(data_path_size(removed, tokens)))


def signs(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """||R V_s||_inf of the smaller half of a noise matrix against what its signs allow.

    With the calibration reused, the half that the first sample pushes up most is removed instead, signs and all.
    Claim X21-sign-symmetric.
    """
    layer = network.design.targets[0]
    rows, cols = network.noise[layer].shape
    inputs = network.data_path(layer)
    whole = noise(network.recipe.noise, rows, cols, network.recipe.variance, rng)
    order = np.abs(whole) if broken == "none" else -whole * inputs[0, 0]
    removed = np.where(order <= np.median(order), whole, 0.0)
    return worst(sign_symmetric_size(removed, inputs, DELTA), data_path_size(removed, inputs))


def drop(network: SyntheticNetwork, rng: Generator, broken: str) -> Measured:
    """Drop of accuracy over 2,000 fresh samples against its upper limit from 30, for the best of 200 random masks.

    The best mask loses the fewest of the 30 calibration samples; the limit comes from 30 others, or from the same.
    Claim B2-paired-drop.
    """
    layer = network.layers[0]
    weights = network.weights[layer]
    inputs, labels = network.fresh(2 * CALIBRATION + POPULATION, rng)
    before = true_margin(network.forward(inputs=inputs), labels) > 0.0
    used = slice(0, CALIBRATION) if broken != "none" else slice(CALIBRATION, 2 * CALIBRATION)
    masks = [np.where(rng.random(weights.shape) < REMOVED, 0.0, weights) for _ in range(CANDIDATES)]
    seen = [true_margin(network.forward({layer: mask}, inputs[:CALIBRATION]), labels[:CALIBRATION]) > 0.0 for mask in masks]
    best = masks[int(np.argmax([found.sum() for found in seen]))]
    after = true_margin(network.forward({layer: best}, inputs), labels) > 0.0
    lost, won = int(np.sum((before & ~after)[used])), int(np.sum((~before & after)[used]))
    population = slice(2 * CALIBRATION, None)
    return single(paired_drop_upper(lost, won, CALIBRATION, DELTA), float(before[population].mean() - after[population].mean()))
