"""Searches for the weights of a fusion: the dung beetle optimizer as published, and uniform random search.

Every arm of a comparison gets the same number of requested evaluations; masks that were seen before are not evaluated again, so
that a class with one reachable mask costs one evaluation. Source: methods/selection-plateau.md 1.8 and section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from certify.pruning.ranking.masks import PerLayer, mask_digest
from certify.records import Refused, Usage

# Rollers, broods, foragers, thieves of a population of 30, in the proportions of Xue and Shen 2023.
POPULATION = (6, 6, 7, 11)
DEFLECTION, INERTIA = 0.3, 0.1
DANCE, REVERSAL = 0.1, 0.1
THEFT = 0.5


@dataclass
class Evaluated:
    """Candidates of a search, evaluated once a mask.

    masks_of : weights (d,) -> kept channels a layer. accuracy : kept channels -> value, larger is better.
    requested, distinct : evaluations asked for, and made.
    """

    masks_of: Callable[[np.ndarray], PerLayer]
    accuracy: Callable[[PerLayer], float]
    requested: int = 0
    best_value: float = -np.inf
    best_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    best_masks: PerLayer = ()
    seen: dict[bytes, float] = field(default_factory=dict)

    @property
    def distinct(self) -> int:
        return len(self.seen)

    def __call__(self, weights: np.ndarray) -> float:
        """Value of a candidate; of equal values the first seen stays the best."""
        self.requested += 1
        kept = self.masks_of(weights)
        key = mask_digest(kept)
        if key not in self.seen:
            value = float(self.accuracy(kept))
            if np.isnan(value):
                raise Refused("search: a candidate's value is NaN; nothing can be chosen by it")
            self.seen[key] = value
        if self.seen[key] > self.best_value:
            self.best_value, self.best_weights, self.best_masks = self.seen[key], np.array(weights), kept
        return self.seen[key]


def equal_weights(evaluated: Evaluated, size: int) -> None:
    """One candidate: all weights 1."""
    evaluated(np.ones(size))


def random_search(evaluated: Evaluated, size: int, budget: int, low: float, generator: np.random.Generator) -> None:
    """`budget` candidates, uniform in [low, 1]^size."""
    for weights in generator.uniform(low, 1.0, (_budget(budget), size)):
        evaluated(weights)


def dung_beetle(evaluated: Evaluated, size: int, budget: int, low: float, generator: np.random.Generator) -> None:
    """The dung beetle optimizer in [low, 1]^size: `budget` requested evaluations, the last generation cut where they end.

    With p the personal best, b the best of the current generation, g the best ever, w the worst, R = 1 - t / T:

        rollers   p + k |p - w| + a i x_prev with probability .9 (a = 1 w.p. .9, else -1), else p + tan(theta) |p - x_prev|
        broods    b + U1 (p - lo) + U2 (p - hi), clipped to [lo, hi] = b (1 -+ R)
        foragers  p + N (p - lo) + U (p - hi),   [lo, hi] = g (1 -+ R)
        thieves   g + S N (|p - b| + |p - g|)

    k = .3, i = .1, S = .5. Positions are clipped to the box; a personal best changes only for the better.
    Source: Xue and Shen 2023, as in methods/selection-plateau.md 1.8.
    """
    _budget(budget)
    count = min(sum(POPULATION), budget)
    generations = max(1, -(-budget // count) - 1)
    position = generator.uniform(low, 1.0, (count, size))
    values = np.array([evaluated(weights) for weights in position])
    best, best_values, previous = position.copy(), values.copy(), position.copy()
    step = 0
    while evaluated.requested < budget:
        shrink = max(0.0, 1.0 - step / generations)
        now, worst = position[np.argmax(values)], position[np.argmin(values)]
        ever = best[np.argmax(best_values)]
        moved = _moves(best, previous, now, worst, ever, shrink, low, generator)
        previous, position = position, moved
        left = budget - evaluated.requested
        for index in range(min(count, left)):
            values[index] = evaluated(position[index])
            if values[index] > best_values[index]:
                best[index], best_values[index] = position[index], values[index]
        step += 1


def _moves(
    best: np.ndarray,
    previous: np.ndarray,
    now: np.ndarray,
    worst: np.ndarray,
    ever: np.ndarray,
    shrink: float,
    low: float,
    generator: np.random.Generator,
) -> np.ndarray:
    rollers, broods, foragers, _ = np.cumsum(POPULATION)
    moved = np.empty_like(best)
    for index, own in enumerate(best):
        size = own.size
        if index < rollers:
            step = _rolled(own, previous[index], worst, generator)
        elif index < broods:
            bottom, top = _region(now, shrink, low)
            step = now + generator.random(size) * (own - bottom) + generator.random(size) * (own - top)
            step = np.clip(step, bottom, top)
        elif index < foragers:
            bottom, top = _region(ever, shrink, low)
            step = own + generator.normal() * (own - bottom) + generator.random(size) * (own - top)
        else:
            step = ever + THEFT * generator.normal(size=size) * (np.abs(own - now) + np.abs(own - ever))
        moved[index] = np.clip(step, low, 1.0)
    return moved


def _rolled(own: np.ndarray, previous: np.ndarray, worst: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if generator.random() >= DANCE:
        sign = -1.0 if generator.random() < REVERSAL else 1.0
        return own + DEFLECTION * np.abs(own - worst) + sign * INERTIA * previous
    degrees = int(generator.integers(0, 181))
    if degrees in (0, 90, 180):
        return own
    return own + np.tan(np.deg2rad(degrees)) * np.abs(own - previous)


def _region(around: np.ndarray, shrink: float, low: float) -> tuple[np.ndarray, np.ndarray]:
    """[x (1 - R), x (1 + R)] in the box; of a negative coordinate the ends change places."""
    ends = np.sort(np.stack([around * (1.0 - shrink), around * (1.0 + shrink)]), axis=0)
    return np.clip(ends[0], low, 1.0), np.clip(ends[1], low, 1.0)


def _budget(budget: int) -> int:
    if budget < 1:
        raise Usage(f"a search of {budget} evaluations finds nothing; give at least one")
    return budget
