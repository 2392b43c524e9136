"""A synthetic network and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from certify.laws._checks import Array
from certify.records import Refused
from certify.theory._arrays import Whole
from certify.theory.margins import predicted_margin
from simulations.networks.architectures import Architecture, Tail, Weights, architecture
from simulations.networks.parts import blocks, low_rank, noise
from simulations.networks.recipe import Recipe

# Candidate inputs drawn for each sample that is kept; signal networks tried until one is tied on none of its samples, as
# narrow ones with dead units are.
POOL, ATTEMPTS = 4, 50


@dataclass(frozen=True)
class SyntheticNetwork:
    """W = S + R in every target, on samples whose margin is known in the signal network.

    recipe         : what it was made from.
    design         : its architecture.
    signal, noise  : target -> S and R, (rows, cols) each; the head carries no noise.
    inputs, labels : T samples and their classes; in the network of the signals alone every |true margin| is at least
                     `recipe.margin`, and one equals it.
    truth          : every hypothesis by name, True where it holds:
                     noise.gaussian, noise.iid, noise.independent_signs, noise.independent_of_inputs, signal.low_rank,
                     split.mask (S and R have disjoint supports), and for each target one_vector (one token a sample),
                     row_sums and exact_path (L_s by products of row sums, by exact tracing).
    """

    recipe: Recipe
    design: Architecture
    signal: Weights
    noise: Weights
    inputs: Array
    labels: Whole
    truth: Mapping[str, bool] = field(repr=False)

    @property
    def weights(self) -> dict[str, Array]:
        """Target -> W = S + R."""
        return {name: self.signal[name] + self.noise[name] for name in self.design.targets}

    @property
    def layers(self) -> tuple[str, ...]:
        """Targets that carry noise, and after which the network is piecewise linear."""
        return tuple(name for name in self.design.traceable if name != "head")

    def forward(self, replaced: Weights | None = None, inputs: Array | None = None) -> Array:
        """(T, K) logits, some targets replaced, on the network's samples or others."""
        return self.design.run(self._with(replaced), self.inputs if inputs is None else inputs).logits

    def data_path(self, layer: str, replaced: Weights | None = None) -> Array:
        """(T, P, cols) the vectors that each sample sends into a target."""
        self._known(layer)
        return self.design.run(self._with(replaced), self.inputs).paths[layer]

    def tail(self, layer: str, replaced: Weights | None = None) -> Tail:
        """What follows a target, where `truth` says LAYER.exact_path."""
        if layer not in self.design.traceable:
            raise Refused(f"{layer}: softmax or a normalisation follows; its tail is not piecewise linear")
        return self.design.tail(self._with(replaced), self.inputs, layer)

    def entry_variance(self, layer: str) -> float:
        """Variance of one entry of R that is not masked: g / rows."""
        self._known(layer)
        return self.recipe.variance / len(self.noise[layer]) if layer != "head" else 0.0

    def fresh(self, count: int, rng: np.random.Generator) -> tuple[Array, Whole]:
        """Other samples of the same law without a margin: inputs, and classes by the signal network with label errors."""
        inputs = self.design.draw(count, rng)
        return inputs, _labels(self.forward(self.signal, inputs), self.recipe.errors, rng)

    def _with(self, replaced: Weights | None) -> dict[str, Array]:
        weights = self.weights
        for name, matrix in (replaced or {}).items():
            self._known(name)
            if matrix.shape != weights[name].shape:
                raise Refused(f"{name}: shape {matrix.shape}; {weights[name].shape} is expected")
            weights[name] = matrix
        return weights

    def _known(self, layer: str) -> None:
        if layer not in self.design.targets:
            raise Refused(f"{layer!r} is not a target; known here: {', '.join(self.design.targets)}")


def build(recipe: Recipe, rng: np.random.Generator) -> SyntheticNetwork:
    """One network of a recipe.

    Inputs are drawn independently of all noise (unless the recipe says dependent) and chosen from POOL candidates a sample
    by their margin in the signal network, whose head is scaled to the wanted margin; none of that looks at R. A signal network
    that is tied on a sample is drawn again.
    """
    design = architecture(recipe.family, recipe.width, recipe.aspect)
    for _ in range(ATTEMPTS):
        signal, disturbance = _layers(recipe, design.shapes(recipe.classes), rng)
        pool = _pool(recipe, design, disturbance[design.targets[0]], rng)
        lead = predicted_margin(design.run(signal, pool).logits)
        chosen = np.sort(np.argsort(-lead)[: recipe.samples])
        least = float(lead[chosen].min())
        if least > 0.0:
            signal["head"] *= recipe.margin / least
            inputs = pool[chosen]
            labels = _labels(design.run(signal, inputs).logits, recipe.errors, rng)
            truth = _truth(recipe, design, signal, disturbance, inputs)
            return SyntheticNetwork(recipe, design, signal, disturbance, inputs, labels, truth)
    raise Refused(f"recipe: {ATTEMPTS} signal networks in a row are tied on a sample; give the layers more width")


def _layers(
    recipe: Recipe, shapes: Mapping[str, tuple[int, int]], rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Array]]:
    """S and R of every target; the head is Gaussian without noise."""
    signal, disturbance = {}, {}
    for name, (rows, cols) in shapes.items():
        signal[name] = _signal(recipe, rows, cols, rng)
        disturbance[name] = noise(recipe.noise, rows, cols, recipe.variance, rng)
        if recipe.split == "mask":
            kept = rng.permutation(rows * cols).reshape(rows, cols) % 2 == 0
            signal[name], disturbance[name] = np.where(kept, signal[name], 0.0), np.where(kept, 0.0, disturbance[name])
    signal["head"], disturbance["head"] = rng.standard_normal(shapes["head"]), np.zeros(shapes["head"])
    return signal, disturbance


def _signal(recipe: Recipe, rows: int, cols: int, rng: np.random.Generator) -> Array:
    if recipe.structure == "low-rank":
        return low_rank(rows, cols, recipe.strengths, rng)
    return blocks(rows, cols, recipe.strengths[0] / 2.0, rng)


def _pool(recipe: Recipe, design: Architecture, first: Array, rng: np.random.Generator) -> Array:
    count = POOL * recipe.samples
    pool = design.draw(count, rng)
    if recipe.dependent:
        sizes = np.linalg.norm(first, axis=1, keepdims=True)
        rows = np.divide(first, sizes, out=np.zeros_like(first), where=sizes > 0.0) * np.sqrt(first.shape[1])
        pool = 0.1 * pool + np.stack([design.repeat(rows[i % len(rows)]) for i in range(count)])
    return pool


def _labels(logits: Array, errors: float, rng: np.random.Generator) -> Whole:
    """The predicted class, or the runner-up for the given share of the samples (rounded down)."""
    order = np.argsort(-logits, axis=1)
    wrong = rng.permutation(len(logits)) < int(errors * len(logits))
    return np.where(wrong, order[:, 1], order[:, 0])


def _truth(recipe: Recipe, design: Architecture, signal: Weights, disturbance: Weights, inputs: Array) -> dict[str, bool]:
    independent = recipe.noise != "correlated"
    paths = design.run(signal, inputs).paths
    found = {
        "noise.gaussian": recipe.noise in ("gaussian", "correlated") and recipe.split == "additive",
        "noise.iid": independent and recipe.split == "additive",
        "noise.independent_signs": independent,
        "noise.independent_of_inputs": not recipe.dependent,
        "signal.low_rank": recipe.structure == "low-rank" and recipe.split == "additive",
        "split.mask": all(not np.any((signal[name] != 0.0) & (disturbance[name] != 0.0)) for name in design.targets),
    }
    for name in design.targets:
        found[f"{name}.one_vector"] = paths[name].shape[1] == 1
        found[f"{name}.row_sums"] = found[f"{name}.exact_path"] = name in design.traceable
    return found
