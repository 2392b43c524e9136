"""Features along the rank axis of a layer: monotone ones, smooth and raw non-monotone ones, their nulls.

A base score m gives each of a layer's n channels a rank; a feature is a function of it. There are two exceptions: D1 reads the
values of the base, and R2 reads weights, because no function of the rank is independent of the ranking.
Source: methods/selection-plateau.md 1.3 and 1.6. The paper's own nine formulas could not be read; these are the specification's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

from certify.records import Refused, Usage
from certify.theory.rank_monotone import logistic_iterate

UNITS, GAIN, STEPS = 100, 1.5, 100
BUMP_WIDTH, BUMP_EXPONENT = 0.08, 2.0
FAKE_PERIODS = 3
LONGEST_DOSE = 12


@dataclass(frozen=True)
class Layer:
    """What features of one layer may read.

    base     : (n,) base scores m, without NaN.
    weights  : (n, cols) what each channel reads; only R2 asks for them.
    sparsity : share removed; only G asks for it.
    chaos    : seed of the random networks, the same for all layers of a network and all arms of a comparison.
    noise    : seed of the nulls; layers draw independently.
    index    : position of the layer.
    """

    base: np.ndarray
    weights: np.ndarray | None = None
    sparsity: float = 0.5
    chaos: int = 0
    noise: int = 0
    index: int = 0

    @property
    def rank(self) -> np.ndarray:
        """(n,) 0 .. n - 1 by ascending (m_j, j)."""
        if self.base.ndim != 1 or not self.base.size or np.any(np.isnan(self.base)):
            raise Refused(f"layer {self.index}: base scores are a vector of numbers without NaN, found shape {self.base.shape}")
        ranks = np.empty(self.base.size, dtype=np.int64)
        ranks[np.argsort(self.base, kind="stable")] = np.arange(self.base.size)
        return ranks

    @property
    def middle(self) -> np.ndarray:
        """(n,) z = u = (rank + 1/2) / n in (0, 1); r = .1 + .9 u is the paper's coordinate."""
        return (self.rank + 0.5) / self.base.size

    def generator(self, *which: int) -> np.random.Generator:
        """Of this layer's nulls."""
        return np.random.default_rng([self.noise, self.index, *which])


def chaotic(z: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Readout of a random network in its chaotic regime, driven by z; the same draw for every value.

        h <- tanh(g J h + b z),  J ~ N(0, 1/N), b ~ N(0, 1), N = 100, g = 1.5, 100 steps;   phi = w . h

    z : (n,). Returns (n,).
    """
    return _readout(_driven(np.multiply.outer(z, np.ones(1)), generator, STEPS)[-1], generator)


def _driven(inputs: np.ndarray, generator: np.random.Generator, steps: int) -> list[np.ndarray]:
    """States (n, UNITS) after each step, one random initial state for all n constant inputs (n, d)."""
    coupling = generator.normal(0.0, 1.0 / np.sqrt(UNITS), (UNITS, UNITS))
    entry = generator.normal(0.0, 1.0, (inputs.shape[1], UNITS))
    state = np.tile(generator.normal(0.0, 1.0, UNITS), (len(inputs), 1))
    states = []
    for _ in range(steps):
        state = np.tanh(GAIN * state @ coupling.T + inputs @ entry)
        states.append(state)
    return states


def _readout(state: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return state @ generator.normal(0.0, 1.0 / np.sqrt(UNITS), UNITS)


def smoothed(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Savitzky-Golay along the rank: window the largest odd number <= n / 3, polynomials of degree 2.

    A layer of fewer than 9 channels has no such window, and is returned as it is.
    """
    window = (len(values) // 3 - 1) // 2 * 2 + 1
    if window < 3:
        return values
    along = np.empty_like(values)
    along[rank] = values
    return np.asarray(savgol_filter(along, window, 2, mode="interp"))[rank]


def surrogate(values: np.ndarray, rank: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same power spectrum along the rank with random phases."""
    along = np.empty_like(values)
    along[rank] = values
    spectrum = np.fft.rfft(along)
    phases = np.exp(2j * np.pi * generator.random(len(spectrum)))
    phases[0] = 1.0
    if len(along) % 2 == 0:
        phases[-1] = 1.0
    return np.fft.irfft(spectrum * phases, len(along))[rank]


def _smooth_draw(layer: Layer, draw: int) -> np.ndarray:
    return smoothed(_chaos(layer, draw), layer.rank)


def _chaos(layer: Layer, draw: int) -> np.ndarray:
    return chaotic(layer.middle, np.random.default_rng([layer.chaos, draw]))


def _bump(layer: Layer) -> np.ndarray:
    return np.exp(-((layer.middle - layer.sparsity) ** BUMP_EXPONENT) / (2.0 * BUMP_WIDTH**2))


def _fake(layer: Layer) -> np.ndarray:
    low, high = layer.base.min(), layer.base.max()
    if not high > low:
        raise Refused(f"layer {layer.index}: all base scores are equal; D1 divides by their range")
    return np.sin(2.0 * np.pi * FAKE_PERIODS * (layer.base - low) / (high - low))


def _independent(layer: Layer) -> np.ndarray:
    """R2: variance over time of the chaotic network driven by the channel's unit-normalised weights, mean over its units."""
    if layer.weights is None or len(layer.weights) != layer.base.size:
        raise Usage(f"layer {layer.index}: R2 reads one row of weights a channel")
    norms = np.linalg.norm(layer.weights, axis=1, keepdims=True)
    rows = np.divide(layer.weights, norms, out=np.zeros_like(layer.weights, dtype=np.float64), where=norms > 0)
    states = np.stack(_driven(rows, np.random.default_rng([layer.chaos, 2]), STEPS))
    return states.var(axis=0).mean(axis=1)


def _monotone(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Layer], np.ndarray]:
    return lambda layer: function(0.1 + 0.9 * layer.middle)


def _iterate(times: int) -> Callable[[Layer], np.ndarray]:
    return lambda layer: logistic_iterate(layer.middle, times)


# Name -> formula, before standardising. A monotone, B smooth, C raw, D fake (made of base values), G the handcrafted bump at the
# cut, N nulls, R2 independent of the ranking, F0 .. F12 the iterates of the logistic map.
FEATURES: dict[str, Callable[[Layer], np.ndarray]] = {
    "A1": _monotone(lambda r: r),
    "A2": _monotone(np.square),
    "A3": _monotone(lambda r: np.tanh(3.0 * r)),
    "B1": _iterate(2),
    "B2": lambda layer: _smooth_draw(layer, 0),
    "B3": lambda layer: _smooth_draw(layer, 1),
    "C1": _iterate(5),
    "C2": lambda layer: _chaos(layer, 0),
    "D1": _fake,
    "G": _bump,
    "N1": lambda layer: layer.generator(1).normal(size=layer.base.size),
    "N2": lambda layer: surrogate(logistic_iterate(layer.middle, 5), layer.rank, layer.generator(2)),
    "N3": lambda layer: layer.generator(3).permutation(logistic_iterate(layer.middle, 5)),
    "R2": _independent,
} | {f"F{times}": _iterate(times) for times in range(LONGEST_DOSE + 1)}


def feature(name: str, layer: Layer, *, standardised: bool = True) -> np.ndarray:
    """(n,) values of one feature of one layer, with mean 0 and standard deviation 1 over its channels if standardised.

    A feature that is constant or not finite on a layer is refused by name. On a layer of one channel every feature is 0.
    """
    if name not in FEATURES:
        raise Usage(f"feature {name!r} is none of {', '.join(FEATURES)}")
    if layer.base.size == 1:
        return np.zeros(1)
    values = np.asarray(FEATURES[name](layer), dtype=np.float64)
    if not np.all(np.isfinite(values)):
        raise Refused(f"layer {layer.index}: feature {name} is not finite")
    spread = values.std()
    if not spread > 0.0:
        raise Refused(f"layer {layer.index}: feature {name} is constant on its {values.size} channels; it ranks nothing")
    return (values - values.mean()) / spread if standardised else values


def fused(table: np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Score s = sum_k W_k phi_k of one layer.

    table : (features, n). weights : (features,). Non-negative weights on rank-monotone features, not all 0, give a rank-monotone
    score: its mask is the base's (SEL-T5).
    """
    return np.asarray(weights, dtype=np.float64) @ table
