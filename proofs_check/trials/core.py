"""A trial: a claim made runnable on one instance. What an instance holds, which hypotheses it meets, both sides.

One description serves four readers: a person with an instance of their own (`try`), a search for a violation (`attack`),
the Hypothesis tests (tests/proofs_check/test_trials.py draws from the same fields), and the looseness table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from certify.records import Refused

TOLERANCE = 1e-9
REACH = 1e3  # the search stays within it: further out nothing but rounding is found
KINDS = ("real", "whole", "label", "mask", "simplex")


@dataclass(frozen=True)
class Field:
    """One entry of an instance: an array over named sizes, or a number when there are none.

    sizes     : names of the dimensions, e.g. ("rows", "cols").
    low, high : closed range of the entries (kinds `real` and `whole`).
    kind      : real · whole · label (0..classes-1) · mask (0 or 1) · simplex (>= 0, sums to 1 over the last dimension).
    about     : what a reader should put here, with its unit.
    optional  : None stands for the value that `sides` derives, the tightest that meets the hypotheses.
    """

    about: str
    sizes: tuple[str, ...] = ()
    low: float = -np.inf
    high: float = np.inf
    kind: str = "real"
    optional: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r}; one of {', '.join(KINDS)} is expected")


class Side(NamedTuple):
    """One comparison: `left <= right`, or equality. `scale` is the size of the terms that cancel in it."""

    text: str
    left: float
    right: float
    equal: bool = False
    scale: float = 0.0

    @property
    def slack(self) -> float:
        """(right - left) over the size of the numbers compared; for an equality minus the relative error."""
        size = max(abs(self.left), abs(self.right), self.scale, 1e-300)
        gap = (self.right - self.left) / size
        return -abs(gap) if self.equal else gap


Instance = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A claim made runnable.

    fields     : name -> Field; `hypotheses` and `sides` are called with these names.
    hypotheses : instance -> {words: holds}. Functions of certify.theory refuse what the door refuses (Refused).
    sides      : instance -> the comparisons that must hold when every hypothesis does. The left side is computed by an
                 independent road (a forward pass, a definition), the right one by the claim's function.
    ranges     : name of a size -> (least, most); (1, 4) where absent.
    tolerance  : relative, for the float64 evaluation of both sides.
    """

    claim: str
    fields: Mapping[str, Field]
    sides: Callable[..., Sequence[Side]]
    hypotheses: Callable[..., Mapping[str, bool]] = lambda **_: {}
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    def range(self, size: str) -> tuple[int, int]:
        return self.ranges.get(size, (2, 5) if size == "classes" else (1, 4))

    @property
    def sizes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for entry in self.fields.values() for name in entry.sizes))


class Evaluation(NamedTuple):
    """Hypotheses in words and both sides of an instance. `slack` is nan where a hypothesis fails."""

    hypotheses: Mapping[str, bool]
    sides: tuple[Side, ...]

    @property
    def meets(self) -> bool:
        return all(self.hypotheses.values())

    @property
    def slack(self) -> float:
        return min(side.slack for side in self.sides) if self.meets and self.sides else float("nan")


def evaluate(trial: Trial, instance: Instance) -> Evaluation:
    """Hypotheses first; the sides only where all of them hold (a bound may be refused outside)."""
    hypotheses = {words: bool(holds) for words, holds in trial.hypotheses(**instance).items()}
    if not all(hypotheses.values()):
        return Evaluation(hypotheses, ())
    sides = tuple(Side(*side) for side in trial.sides(**instance))
    bad = [side.text for side in sides if not (np.isfinite(side.left) and np.isfinite(side.right))]
    if bad:
        raise Refused(f"{trial.claim}: {bad[0]}: a side is not finite")
    return Evaluation(hypotheses, sides)


def violated(trial: Trial, evaluation: Evaluation) -> list[Side]:
    """Comparisons that fail beyond the tolerance. A NaN would count as a failure."""
    return [side for side in evaluation.sides if not side.slack >= -trial.tolerance]


def draw(trial: Trial, rng: np.random.Generator) -> dict[str, Any]:
    """A random instance: sizes, then each field from one of the manners below."""
    size = {name: int(rng.integers(trial.range(name)[0], trial.range(name)[1] + 1)) for name in trial.sizes}
    return {
        name: None if entry.optional else _drawn(entry, tuple(size[s] for s in entry.sizes), size, rng)
        for name, entry in trial.fields.items()
    }


def _drawn(entry: Field, shape: tuple[int, ...], size: Mapping[str, int], rng: np.random.Generator) -> Any:
    if entry.kind == "label":
        return rng.integers(0, size["classes"], shape)
    if entry.kind == "mask":
        return rng.random(shape) < rng.choice([0.2, 0.5, 0.8])
    if entry.kind == "whole":
        low, high = int(max(entry.low, -6)), int(min(entry.high, 6))
        low, high = (int(entry.low), int(entry.low) + 12) if low > high else (low, high)
        return _plain(rng.integers(low, high + 1, shape), entry)
    if entry.kind == "simplex":
        return rng.dirichlet(np.full(shape[-1], rng.choice([0.2, 1.0, 5.0])), shape[:-1])
    manner = rng.integers(5)
    if manner == 0:
        values = rng.integers(-6, 7, shape) / 2.0
    elif manner == 1:
        values = np.zeros(shape)
    else:
        values = rng.standard_normal(shape) * rng.choice([0.1, 1.0, 4.0])
    return _plain(_inside(values, entry, rng), entry)


def _inside(values: np.ndarray, entry: Field, rng: np.random.Generator) -> np.ndarray:
    """Into [low, high]: uniformly where both ends are finite, by reflection at one finite end."""
    if np.isfinite(entry.low) and np.isfinite(entry.high):
        share = rng.choice([0.0, 0.5, 1.0, rng.random(), rng.random()], np.shape(values))
        return entry.low + (entry.high - entry.low) * share
    if np.isfinite(entry.low):
        return entry.low + np.abs(values)
    return entry.high - np.abs(values) if np.isfinite(entry.high) else values


def _plain(values: Any, entry: Field) -> Any:
    return values if entry.sizes else (int(values) if entry.kind == "whole" else float(values))


def nudge(trial: Trial, instance: Instance, rng: np.random.Generator, step: float) -> dict[str, Any]:
    """A neighbour of an instance: each real field moved by about `step` of its own size, back into its range."""
    moved = dict(instance)
    for name, entry in trial.fields.items():
        value = instance[name]
        if value is None or entry.kind not in ("real", "simplex"):
            continue
        array = np.asarray(value, dtype=np.float64)
        chosen = rng.random(array.shape) < rng.choice([0.3, 1.0])
        noise = rng.standard_normal(array.shape) * step
        array = np.where(chosen, array * (1.0 + noise) + noise * rng.choice([0.0, 1.0]), array)
        if entry.kind == "simplex":
            array = np.abs(array) + 1e-300
            array = array / array.sum(axis=-1, keepdims=True)
        moved[name] = _plain(np.clip(array, max(entry.low, -REACH), min(entry.high, REACH)), entry)
    return moved


def read(trial: Trial, stated: Mapping[str, Any]) -> dict[str, Any]:
    """A reader's instance (parsed JSON) as arrays, or one sentence that names the field that is wrong."""
    unknown = sorted(set(stated) - set(trial.fields))
    if unknown:
        raise Refused(f"{unknown[0]}: no such field; {trial.claim} has {', '.join(trial.fields)}")
    size: dict[str, int] = {}
    instance: dict[str, Any] = {}
    for name, entry in trial.fields.items():
        if stated.get(name) is None:
            if not entry.optional:
                raise Refused(f"{name}: missing; {entry.about}")
            instance[name] = None
            continue
        instance[name] = _read(name, entry, stated[name], size)
    for name, entry in trial.fields.items():
        if entry.kind == "label" and instance[name] is not None and np.max(instance[name]) >= size.get("classes", 2):
            raise Refused(f"{name}: {int(np.max(instance[name]))}; labels run from 0 to {size.get('classes', 2) - 1}")
    return instance


def _read(name: str, entry: Field, stated: Any, size: dict[str, int]) -> Any:
    try:
        array = np.asarray(stated)
    except ValueError:
        raise Refused(f"{name}: rows of different length; {entry.about}") from None
    if array.dtype.kind not in "biuf":
        raise Refused(f"{name}: entries of type {array.dtype}; {entry.about}")
    if array.ndim != len(entry.sizes):
        raise Refused(f"{name}: shape {array.shape}; ({', '.join(entry.sizes)}) is expected: {entry.about}")
    for dimension, found in zip(entry.sizes, array.shape, strict=True):
        if size.setdefault(dimension, found) != found:
            raise Refused(f"{name}: {found} {dimension}; another field has {size[dimension]}")
    whole = entry.kind in ("whole", "label", "mask")
    if whole and not np.array_equal(array, np.floor(array)):
        raise Refused(f"{name}: a fraction; whole numbers are expected: {entry.about}")
    array = array.astype(np.int64 if entry.kind in ("whole", "label") else np.bool_ if entry.kind == "mask" else np.float64)
    low = 0 if entry.kind in ("label", "mask", "simplex") else entry.low
    if array.size and not (np.all(np.isfinite(array)) and array.min() >= low and array.max() <= entry.high):
        raise Refused(f"{name}: from {array.min()} to {array.max()}; finite, within [{low}, {entry.high}]: {entry.about}")
    if entry.kind == "simplex" and np.max(np.abs(array.sum(axis=-1) - 1.0)) > 1e-9:
        raise Refused(f"{name}: sums to {float(array.sum(axis=-1).flat[0])!r}; 1 is expected: {entry.about}")
    return _plain(array, entry)


def written(instance: Instance) -> dict[str, Any]:
    """The instance as plain lists and numbers, ready for JSON."""
    return {name: np.asarray(value).tolist() if value is not None else None for name, value in instance.items()}


class Attack(NamedTuple):
    """What a search found: the instance of smallest slack, how many instances were evaluated, how many met all
    hypotheses."""

    slack: float
    instance: dict[str, Any]
    evaluated: int
    met: int


def attack(trial: Trial, rng: np.random.Generator, *, starts: int = 20, steps: int = 200) -> Attack:
    """Search for a violation: random starts, then a (1+1) evolution strategy with the one-fifth rule from each.

    The search minimises the relative slack over instances that meet all hypotheses; a violation is a slack below
    minus the trial's tolerance. A positive smallest slack proves nothing; it says how close the search came.
    """
    best: tuple[float, dict[str, Any]] = (float("inf"), {})
    evaluated = met = 0
    for _ in range(starts):
        here, instance, step = float("inf"), draw(trial, rng), 0.3
        for _ in range(steps):
            tried = draw(trial, rng) if here == float("inf") else nudge(trial, instance, rng, step)
            slack = _slack(trial, tried)
            evaluated, met = evaluated + 1, met + (slack < float("inf"))
            if slack <= here:
                step = min(step * 1.5, 10.0) if slack < here else step
                here, instance = slack, tried
            else:
                step = max(step * 0.9, 1e-12)
        if here < best[0]:
            best = (here, instance)
    return Attack(best[0], dict(best[1]), evaluated, met)


def _slack(trial: Trial, instance: Instance) -> float:
    try:
        slack = evaluate(trial, instance).slack
    except Refused:
        return float("inf")
    return slack if np.isfinite(slack) else float("inf")
