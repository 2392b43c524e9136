"""Certificates about a trained point: softmax regression, the noise law being that of its inputs."""

from __future__ import annotations

import numpy as np

from certify.laws._checks import Array
from certify.theory import stationarity
from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import log_probabilities, softmax
from certify.theory.elastic_net import frobenius_squared
from certify.theory.emp import retained_loss
from certify.theory.emp.effective_number import keep_mask
from certify.theory.stationarity import slope_upper
from simulations.networks.network import SyntheticNetwork
from simulations.networks.parts import noise
from simulations.networks.regression import Regression, train
from simulations.networks.removals import Measured, single

Generator = np.random.Generator
SAMPLES, COLS, CLASSES = 24, 5, 3
L2, L1 = 0.02, 0.005
EARLY, SMOOTHING, START, PRECONDITIONER = 3, 0.3, 20.0, 50.0


def stationary(network: SyntheticNetwork, rng: Generator, broken: str) -> tuple[Measured, bool]:
    """2 l2 ||R||^2 + l1 ||R||_1 against B_T(R), R a random half of the entries; nothing follows, so L_s = 1.

    "decoupled decay" stops where gradient + 2 l2 A / PRECONDITIONER = 0, as a preconditioned step with decay apart from it does.
    Claim T5.7-stationarity, F27.
    """
    trained, removed = _trained(network, rng, broken)
    bound = budget(np.ones(SAMPLES), data_path_size(removed, trained.inputs[:, None]))
    return single(bound, _price(removed)), trained.stationary and (trained.l2, trained.l1) == (L2, L1)


def stationary_weighted(network: SyntheticNetwork, rng: Generator, broken: str) -> tuple[Measured, bool]:
    """The same against mean (1 - p_s) osc(R v_s). Claim X13-stationarity-gradient."""
    trained, removed = _trained(network, rng, broken)
    _, log_not_p = log_probabilities(trained.inputs @ trained.weights.T, trained.labels)
    bound = slope_upper(log_not_p, np.ptp(trained.inputs @ removed.T, axis=1))
    return single(bound, _price(removed)), trained.stationary and (trained.l2, trained.l1) == (L2, L1)


def curvature(network: SyntheticNetwork, rng: Generator, broken: str) -> tuple[Measured, bool]:
    """CE(S) - CE(A) against slope and curvature, the smallest weights removed by their effective number.

    The Hessian of the cross-entropy is at most V^T V / (2 T) for each pair of classes (Boehning), wherever the weights are.
    "published trace" is the bound that EMP-P2 refutes. Claim EMP-T6, EMP-P2.
    """
    trained, _ = _trained(network, rng, broken)
    keep = keep_mask(trained.weights.ravel()).reshape(trained.weights.shape)
    removed = np.where(keep, 0.0, trained.weights)
    top = 0.5 * float(np.linalg.norm(trained.inputs, 2)) ** 2 / SAMPLES
    square = frobenius_squared(removed)
    slope = 0.0 if broken == "slope left out" else float(np.abs(trained.gradient[~keep]).max(initial=0.0))
    if broken == "end-point curvature":
        top = float(np.linalg.eigvalsh(_hessian(trained))[-1])
    bound = retained_loss.change_upper_curvature(slope, top, float(np.abs(removed).sum()), square)
    if broken == "published trace":
        bound = retained_loss.change_published_trace(keep.size, int(keep.sum()), float(np.trace(_hessian(trained))), square)
    return single(bound, max(trained.loss(trained.weights - removed) - trained.loss(trained.weights), 0.0)), True


def _trained(network: SyntheticNetwork, rng: Generator, broken: str) -> tuple[Regression, Array]:
    inputs = noise(network.recipe.noise, SAMPLES, COLS, float(SAMPLES), rng)
    teacher = rng.standard_normal((CLASSES, COLS))
    labels = np.argmax(inputs @ teacher.T + rng.gumbel(size=(SAMPLES, CLASSES)), axis=1)
    share = 1.0 / PRECONDITIONER if broken == "decoupled decay" else 1.0
    trained = train(
        inputs,
        labels,
        CLASSES,
        share * L2,
        share * L1,
        start=START * rng.standard_normal((CLASSES, COLS)),
        smoothing=SMOOTHING if broken == "label smoothing" else 0.0,
        **({"steps": EARLY} if broken == "stopped early" else {}),
    )
    return trained, np.where(rng.random((CLASSES, COLS)) < 0.5, trained.weights, 0.0)


def _price(removed: Array) -> float:
    return stationarity.descent_lower(0.0, removed, L2, L1)


def _hessian(trained: Regression) -> Array:
    """(classes cols, classes cols) of the mean cross-entropy at the trained point."""
    p = softmax(trained.inputs @ trained.weights.T)
    inner = np.einsum("sa,ab->sab", p, np.eye(CLASSES)) - np.einsum("sa,sb->sab", p, p)
    blocks = np.einsum("sab,si,sj->aibj", inner, trained.inputs, trained.inputs) / SAMPLES
    return blocks.reshape(CLASSES * COLS, CLASSES * COLS)
