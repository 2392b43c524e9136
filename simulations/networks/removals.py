"""A removal in a synthetic network, and what it did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from certify.laws._checks import Array
from certify.theory.budget import data_path_size
from certify.theory.cross_entropy import cross_entropy
from simulations.networks.architectures import Weights
from simulations.networks.constants import Traced, traced
from simulations.networks.network import SyntheticNetwork

# A statement counts as violated when it fails by more than the rounding of both sides.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Measured:
    """A statement "truth <= bound" on one instance.

    bound, truth : both sides; of many samples, those of the sample that comes closest to failing.
    violated     : whether any sample fails by more than rounding.
    """

    bound: float
    truth: float
    violated: bool


@dataclass(frozen=True)
class Removal:
    """R taken out of one layer.

    dense, pruned : (T, K) logits with A and with A - R.
    trace         : the path between them.
    """

    network: SyntheticNetwork
    layer: str
    removed: Array
    dense: Array
    pruned: Array
    trace: Traced

    @property
    def increases(self) -> Array:
        """(T,) change of each sample's cross-entropy, nats."""
        return cross_entropy(self.pruned, self.network.labels) - cross_entropy(self.dense, self.network.labels)

    def moves(self, broken: str) -> Array:
        """(T,) what is taken for eta_s: the smallest L_s times the size, or the same with one hypothesis broken."""
        if broken == "end-point Jacobian":
            return self.trace.end_speed
        if broken == "L_s = 1":
            return self.trace.sizes
        if broken == "tokens ignored":
            return self.trace.lipschitz * data_path_size(self.removed, self.network.data_path(self.layer)[:, :1])
        return self.trace.speed


def removal(network: SyntheticNetwork, layer: str, removed: Array, replaced: Weights | None = None) -> Removal:
    """Take `removed` out of `layer`, some targets being replaced beforehand."""
    before = dict(replaced or {})
    after = before | {layer: before.get(layer, network.weights[layer]) - removed}
    path = traced(network, layer, removed, before)
    return Removal(network, layer, removed, network.forward(before), network.forward(after), path)


def single(bound: float, truth: float) -> Measured:
    """One statement."""
    return Measured(float(bound), float(truth), bool(truth > bound + _slack(bound, truth)))


def worst(bounds: Array, truths: Array) -> Measured:
    """One statement per sample; the sample nearest to failing stands for all."""
    beyond = np.flatnonzero(truths > bounds + _slack(bounds, truths))
    ratio = np.divide(truths, bounds, out=np.where(truths > 0.0, np.inf, 0.0), where=bounds > 0.0)
    at = int(np.argmax(ratio))
    return Measured(float(bounds[at]), float(truths[at]), bool(beyond.size))


def shares(flagged: np.ndarray, changed: np.ndarray) -> Measured:
    """A set of samples that must contain all that changed."""
    return Measured(float(np.mean(flagged)), float(np.mean(changed)), bool(np.any(changed & ~flagged)))


def _slack(bound: Array | float, truth: Array | float) -> Array:
    return ROUNDING * (1.0 + np.abs(bound) + np.abs(truth))
