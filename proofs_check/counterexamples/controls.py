"""Negative controls: wrong versions of true statements, each of which must fail. F1 to F19 have theirs beside the defect."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from certify.records import Refused
from certify.theory.budget import data_path_size, smallest_lipschitz
from certify.theory.elastic_net import is_improvement
from certify.theory.outward.objective import reward_lower
from proofs_check.checks import Check, Finding
from proofs_check.counterexamples.core import Refutation, Relation

# Values of the naive test on 20,000 random pairs, B one unit in the last place below the rounded reward.
SEED, PAIRS = 0, 20_000


def _exact_reward(removed: tuple[float, ...], l2: float) -> Fraction:
    return Fraction(l2) * sum(Fraction(value) ** 2 for value in removed)


def _naive_reward(removed: tuple[float, ...], l2: float) -> float:
    return l2 * sum(value * value for value in removed)


def _passes(bound: float, gain: float) -> int:
    return int(is_improvement(bound, gain))


NAIVE_FLOAT = Refutation(
    "NC-naive-float",
    "rationals",
    "R = (0.29, 0.47), l2 = 0.01 as doubles: the rounded reward 0.00305 is above B = 0.0030499999999999998, the exact one is not",
    lambda removed, l2, bound: {"B < fl(reward), so the naive test certifies": bound < _naive_reward(removed, l2)},
    lambda removed, l2, bound: Relation("B < exact reward", Fraction(bound), "<", _exact_reward(removed, l2)),
    lambda removed, l2, bound: Relation(
        "where B < reward rounded down, B < exact reward (0: not certified)",
        _passes(bound, reward_lower([list(removed)], l2, 0.0)),
        "<=",
        int(Fraction(bound) < _exact_reward(removed, l2)),
    ),
    {"removed": (0.29, 0.47), "l2": 0.01, "bound": 0.0030499999999999998},
    {"removed": (0.29, 0.47), "l2": 0.01, "bound": 0.003},
)


def naive_rate() -> Finding:
    """How often the naive test passes where the exact one fails, B just below the rounded reward."""
    rng = np.random.default_rng(SEED)
    wrong = certified = 0
    for _ in range(PAIRS):
        pair = tuple(round(float(value), 2) for value in rng.uniform(0.01, 1.0, 2))
        gain = _naive_reward(pair, 0.01)
        bound = math.nextafter(gain, 0.0)
        exact = _exact_reward(pair, 0.01)
        wrong += Fraction(bound) >= exact
        certified += bool(_passes(bound, reward_lower([list(pair)], 0.01, 0.0))) and Fraction(bound) >= exact
    if certified or not wrong:
        return Finding(f"{wrong} wrong naive certificates, {certified} wrong ones with the reward rounded down")
    return Finding("", f"{wrong} of {PAIRS} naive certificates are wrong (seed {SEED}), none with the reward rounded down")


def _ramp(u: Fraction) -> Fraction:
    """Flat up to 1/3 and from 2/3 on, slope 3 between: relu(3u - 1) - relu(3u - 2)."""
    return max(3 * u - 1, Fraction(0)) - max(3 * u - 2, Fraction(0))


def _jacobian(u: Fraction) -> Fraction:
    return Fraction(3) if Fraction(1, 3) < u < Fraction(2, 3) else Fraction(0)


ENDPOINT_JACOBIAN = Refutation(
    "NC-endpoint-jacobian",
    "rationals",
    "psi_2(u) = relu(3u - 1) - relu(3u - 2), from S v = 0 to A v = 1: slope 0 at both ends, the logit moves by 1; the smallest "
    "constant of the segment is 3",
    lambda start, end: {"L_s is the larger Jacobian of the end points": start < end},
    lambda start, end: Relation(
        "|z_S - z_A| <= L_s |R v|", abs(_ramp(end) - _ramp(start)), "<=", max(_jacobian(start), _jacobian(end)) * (end - start)
    ),
    lambda start, end: Relation(
        "|z_S - z_A| <= L_s |R v| with the supremum of the slope",
        float(abs(_ramp(end) - _ramp(start))),
        "<=",
        float(smallest_lipschitz([float(3 * (end - start))], data_path_size([[float(end - start)]], [[1.0]])[None])[0])
        * float(end - start),
    ),
    {"start": Fraction(0), "end": Fraction(1)},
    {"start": Fraction(2, 5), "end": Fraction(3, 5)},
)


def _certifies(test: Callable[[float, float], bool], bound: float, gain: float) -> int:
    try:
        return int(test(bound, gain))
    except Refused:
        return 0


NAN = Refutation(
    "NC-nan",
    "by hand",
    "B = NaN: `not (B >= reward)` is True; the positive comparison is not, and the product refuses NaN",
    lambda bound, gain: {"0 < reward": gain > 0.0},
    lambda bound, gain: Relation(
        "`not (B >= reward)` certifies only where B < reward",
        _certifies(lambda b, g: not (b >= g), bound, gain),
        "<=",
        int(bound < gain),
    ),
    lambda bound, gain: Relation(
        "the positive comparison certifies only where B < reward",
        _certifies(is_improvement, bound, gain),
        "<=",
        int(bound < gain),
    ),
    {"bound": float("nan"), "gain": 1.0},
    {"bound": 0.5, "gain": 1.0},
)

REFUTATIONS = (NAIVE_FLOAT, ENDPOINT_JACOBIAN, NAN)
CHECKS: tuple[Check, ...] = (
    *(item.check() for item in REFUTATIONS),
    Check(
        "CX-NC-naive-float-rate",
        "Monte Carlo",
        "20,000 random two-entry R of two decimals, l2 = 0.01, B one unit in the last place below the rounded reward",
        ("NC-naive-float",),
        naive_rate,
    ),
)
