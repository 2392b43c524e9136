"""Softmax regression with an elastic net, trained to stationarity: the smallest network for theorems about trained points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from certify.laws._checks import Array
from certify.theory._arrays import Whole
from certify.theory.cross_entropy import cross_entropy, softmax

# A point counts as stationary when no entry of the subgradient is further from 0.
STATIONARY = 1e-11
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Regression:
    """z = A v with one weight matrix, and how far A is from stationary.

    inputs, labels : (T, cols) and (T,).
    weights        : (classes, cols) A.
    l2, l1         : J(A) = CE(A) + l2 ||A||_F^2 + l1 ||A||_1.
    gradient       : (classes, cols) of the mean cross-entropy against the labels.
    residual       : (classes, cols) distance of 0 from the subdifferential of J, entry by entry.
    """

    inputs: Array
    labels: Whole
    weights: Array
    l2: float
    l1: float
    gradient: Array
    residual: Array

    @property
    def stationary(self) -> bool:
        """Whether A is a minimum of J up to rounding."""
        return bool(self.residual.max() <= STATIONARY)

    def loss(self, weights: Array) -> float:
        """Mean cross-entropy at other weights, nats."""
        return float(np.mean(cross_entropy(self.inputs @ weights.T, self.labels)))


def train(
    inputs: Array,
    labels: Whole,
    classes: int,
    l2: float,
    l1: float,
    *,
    start: Array,
    steps: int = MOST_STEPS,
    smoothing: float = 0.0,
) -> Regression:
    """Accelerated proximal gradient with restarts on J, until stationary or `steps` are done.

    inputs, labels : (T, cols) and (T,).
    l2, l1         : > 0 and >= 0; J is strongly convex.
    start          : (classes, cols).
    steps          : at most; few leave the point short of stationary.
    smoothing      : share of the targets spread evenly over the classes; 0 trains the cross-entropy of the labels.
    Returns the regression; gradient and residual are those of the hard labels whatever was trained.
    """
    targets = np.eye(classes)[labels] * (1.0 - smoothing) + smoothing / classes
    rate = 1.0 / (0.5 * float(np.linalg.norm(inputs, 2)) ** 2 / len(inputs) + 2.0 * l2)
    weights = ahead = np.array(start)
    momentum = 1.0
    for _ in range(steps):
        slope = _gradient(ahead, inputs, targets) + 2.0 * l2 * ahead
        moved = ahead - rate * slope
        after = np.sign(moved) * np.maximum(np.abs(moved) - rate * l1, 0.0)
        if np.sum((ahead - after) * (after - weights)) > 0.0:
            momentum = 1.0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead = after + (momentum - 1.0) / following * (after - weights)
        weights, momentum = after, following
        if _residual(weights, _gradient(weights, inputs, targets), l2, l1).max() <= 0.1 * STATIONARY:
            break
    gradient = _gradient(weights, inputs, np.eye(classes)[labels])
    return Regression(inputs, labels, weights, l2, l1, gradient, _residual(weights, gradient, l2, l1))


def _gradient(weights: Array, inputs: Array, targets: Array) -> Array:
    return (softmax(inputs @ weights.T) - targets).T @ inputs / len(inputs)


def _residual(weights: Array, gradient: Array, l2: float, l1: float) -> Array:
    smooth = gradient + 2.0 * l2 * weights
    return np.where(weights != 0.0, np.abs(smooth + l1 * np.sign(weights)), np.maximum(np.abs(smooth) - l1, 0.0))
