"""Three architectures without biases: what each target sees of a sample, and what follows it.

A target's outputs on the P tokens of a sample, one token after the other, are one vector u. Where what follows is piecewise
linear in u it is given as a `Tail`; skips make its offsets differ from sample to sample (F3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from certify.laws._checks import Array

Weights = Mapping[str, Array]
EPSILON = 1e-5


@dataclass(frozen=True)
class Trace:
    """logits : (T, K).    paths : target -> (T, P, cols), the vectors each sample sends into it."""

    logits: Array
    paths: Mapping[str, Array]


@dataclass(frozen=True)
class Tail:
    """Everything after a target, exactly.

        gamma = W_L relu(.. W_1 relu(W_0 u + b_0) + b_1 ..) + b_L

    layers : (W_k, b_k), k = 0..L, W_k (rows, cols), b_k (T, rows).
    """

    layers: tuple[tuple[Array, Array], ...]


class Architecture(Protocol):
    """What a family supplies. `targets`: its weight matrices in order; `traceable`: those with a `Tail`."""

    targets: tuple[str, ...]
    traceable: tuple[str, ...]

    def shapes(self, classes: int) -> dict[str, tuple[int, int]]:
        """Target -> (rows, cols)."""
        ...

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Independent inputs."""
        ...

    def repeat(self, row: Array) -> Array:
        """An input that sends `row` itself (up to a normalisation) into the first target."""
        ...

    def run(self, weights: Weights, inputs: Array) -> Trace:
        """Logits and data paths."""
        ...

    def tail(self, weights: Weights, inputs: Array, layer: str) -> Tail:
        """What follows a traceable target."""
        ...


@dataclass(frozen=True)
class Mlp:
    """z = head relu(fc2 relu(fc1 x)), x standard Gaussian of the first width."""

    widths: tuple[int, int, int]
    targets = ("fc1", "fc2", "head")
    traceable = ("fc1", "fc2", "head")

    def shapes(self, classes: int) -> dict[str, tuple[int, int]]:
        first, hidden, last = self.widths
        return {"fc1": (hidden, first), "fc2": (last, hidden), "head": (classes, last)}

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((count, self.widths[0]))

    def repeat(self, row: Array) -> Array:
        return row

    def run(self, weights: Weights, inputs: Array) -> Trace:
        first = np.maximum(inputs @ weights["fc1"].T, 0.0)
        second = np.maximum(first @ weights["fc2"].T, 0.0)
        paths = {"fc1": inputs[:, None], "fc2": first[:, None], "head": second[:, None]}
        return Trace(second @ weights["head"].T, paths)

    def tail(self, weights: Weights, inputs: Array, layer: str) -> Tail:
        after = self.targets[self.targets.index(layer) + 1 :]
        return Tail(tuple(_plain(matrix, len(inputs)) for matrix in (np.eye(len(weights[layer])), *(weights[n] for n in after))))


@dataclass(frozen=True)
class Cnn:
    """z = head mean over positions of relu(conv2 * relu(conv1 * x)), 3 x 3 kernels without padding, x standard Gaussian."""

    channels: tuple[int, int, int]
    side: int = 6
    targets = ("conv1", "conv2", "head")
    traceable = ("conv1", "conv2", "head")

    def shapes(self, classes: int) -> dict[str, tuple[int, int]]:
        first, hidden, last = self.channels
        return {"conv1": (hidden, 9 * first), "conv2": (last, 9 * hidden), "head": (classes, last)}

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((count, self.channels[0], self.side, self.side))

    def repeat(self, row: Array) -> Array:
        image = np.zeros((self.channels[0], self.side, self.side))
        image[:, :3, :3] = row.reshape(-1, 3, 3)
        return image

    def run(self, weights: Weights, inputs: Array) -> Trace:
        one = patches(inputs)
        first = np.maximum(one @ weights["conv1"].T, 0.0)
        two = patches(_image(first))
        pooled = np.maximum(two @ weights["conv2"].T, 0.0).mean(axis=1)
        return Trace(pooled @ weights["head"].T, {"conv1": one, "conv2": two, "head": pooled[:, None]})

    def tail(self, weights: Weights, inputs: Array, layer: str) -> Tail:
        count, hidden = len(inputs), self.channels[1]
        if layer == "head":
            return Tail((_plain(np.eye(len(weights["head"])), count),))
        positions = (self.side - 4) ** 2
        pool = np.tile(weights["head"], (1, positions)) / positions
        if layer == "conv2":
            return Tail((_plain(np.eye(positions * self.channels[2]), count), _plain(pool, count)))
        size = (self.side - 2) ** 2 * hidden
        inner = _matrix(lambda u: patches(_image(u.reshape(len(u), -1, hidden))) @ weights["conv2"].T, size)
        return Tail((_plain(np.eye(size), count), _plain(inner, count), _plain(pool, count)))


@dataclass(frozen=True)
class Transformer:
    """One pre-norm block of one head with skips, then the mean over tokens and a linear head.

    x' = x + out attention(norm x),   x'' = x' + fc2 relu(fc1 norm x'),   z = head mean_p x''_p

    After fc1, fc2 and head everything is piecewise linear; after the attention's matrices softmax and normalisation follow,
    for which no constant is known.
    """

    dimension: int
    hidden: int
    tokens: int = 4
    targets = ("query", "key", "value", "out", "fc1", "fc2", "head")
    traceable = ("fc1", "fc2", "head")

    def shapes(self, classes: int) -> dict[str, tuple[int, int]]:
        d = self.dimension
        square = dict.fromkeys(("query", "key", "value", "out"), (d, d))
        return square | {"fc1": (self.hidden, d), "fc2": (d, self.hidden), "head": (classes, d)}

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((count, self.tokens, self.dimension))

    def repeat(self, row: Array) -> Array:
        return np.tile(row, (self.tokens, 1))

    def run(self, weights: Weights, inputs: Array) -> Trace:
        normed, mixed, middle = self._attention(weights, inputs)
        second = normalised(middle)
        features = np.maximum(second @ weights["fc1"].T, 0.0)
        pooled = (middle + features @ weights["fc2"].T).mean(axis=1)
        paths = dict.fromkeys(("query", "key", "value"), normed)
        paths |= {"out": mixed, "fc1": second, "fc2": features, "head": pooled[:, None]}
        return Trace(pooled @ weights["head"].T, paths)

    def tail(self, weights: Weights, inputs: Array, layer: str) -> Tail:
        if layer == "head":
            return Tail((_plain(np.eye(len(weights["head"])), len(inputs)),))
        skip = self._attention(weights, inputs)[2].mean(axis=1) @ weights["head"].T
        if layer == "fc2":
            return Tail(((np.tile(weights["head"], (1, self.tokens)) / self.tokens, skip),))
        readout = np.tile(weights["head"] @ weights["fc2"], (1, self.tokens)) / self.tokens
        return Tail((_plain(np.eye(self.tokens * self.hidden), len(inputs)), (readout, skip)))

    def _attention(self, weights: Weights, inputs: Array) -> tuple[Array, Array, Array]:
        normed = normalised(inputs)
        query, key, value = (normed @ weights[name].T for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(self.dimension)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = shares / shares.sum(axis=2, keepdims=True) @ value
        return normed, mixed, inputs + mixed @ weights["out"].T


def architecture(family: str, width: int, aspect: float) -> Architecture:
    """The architecture of a recipe: `aspect` is columns over rows of the second layer."""
    other = max(2, round(width * aspect))
    if family == "mlp":
        return Mlp((width, other, width))
    if family == "cnn":
        return Cnn((1, max(2, other // 2), max(2, width // 2)))
    return Transformer(width, other)


def patches(images: Array) -> Array:
    """(T, channels, side, side) -> (T, positions, channels 9), as a convolution of 3 x 3 lowered to a matrix sees them."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    count, _, high, wide = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(count, high * wide, -1)


def normalised(tokens: Array) -> Array:
    """Each token with mean 0 and variance 1 over its coordinates."""
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)


def _image(tokens: Array) -> Array:
    count, positions, channels = tokens.shape
    side = math.isqrt(positions)
    return tokens.transpose(0, 2, 1).reshape(count, channels, side, side)


def _matrix(linear: Callable[[Array], Array], size: int) -> Array:
    """The matrix of a linear map, from its values on the unit vectors."""
    return linear(np.eye(size)).reshape(size, -1).T


def _plain(matrix: Array, count: int) -> tuple[Array, Array]:
    return matrix, np.zeros((count, len(matrix)))
