"""Where the code, the notes or the training diverge from the theorem that is quoted for them."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from scipy.special import expit

from certify.theory.budget import data_path_size
from certify.theory.elastic_net import is_improvement, reward_additive
from certify.theory.margins import true_margin
from certify.theory.patterns import cheapest_masks, group_costs, group_moments, keep_patterns, row_energy_upper
from proofs_check.checks import Check
from proofs_check.counterexamples.core import Refutation, Relation


def _masked_twice(weights: np.ndarray, kept: np.ndarray, inputs: np.ndarray) -> float:
    """Mean of (r . x)^2 with r = (1 - m) * (m * w)."""
    return float(np.mean((inputs @ (np.where(kept, 0.0, 1.0) * (weights * kept))) ** 2))


def _lost(weights: np.ndarray, kept: np.ndarray, inputs: np.ndarray) -> float:
    return float(np.mean((inputs @ np.where(kept, 0.0, weights)) ** 2))


F17I = Refutation(
    "F17",
    "by hand",
    "w = (1,2,3,4), keep the last two, inputs e_1..e_4: r = (1-m) * (m * w) is 0 and so is its cost, for every mask; what the "
    "row loses is (1 + 4)/4",
    lambda weights, kept, inputs: {"2:4 mask": int(kept.sum()) == 2},
    lambda weights, kept, inputs: Relation(
        "cost with r = (1-m) * (m * w) = mean (r . x)^2 lost",
        _masked_twice(weights, kept, inputs),
        "=",
        _lost(weights, kept, inputs),
    ),
    lambda weights, kept, inputs: Relation(
        "cost with r = (1-m) * w = mean (r . x)^2 lost",
        float(group_costs(weights[None], group_moments(inputs, 4), kept[None])[0, 0, 0]),
        "=",
        _lost(weights, kept, inputs),
    ),
    {"weights": np.array([1.0, 2.0, 3.0, 4.0]), "kept": np.array([False, False, True, True]), "inputs": np.eye(4)},
    {"weights": np.array([0.0, 0.0, 3.0, 4.0]), "kept": np.array([False, False, True, True]), "inputs": np.eye(4)},
)

F17II = Refutation(
    "F17-ii",
    "by hand",
    "one sample, four groups that lose 1 each: the row loses (1+1+1+1)^2 = 16, the costs add to 4, and G = 4 times that is 16",
    lambda parts: {"one cost per group, (a_g)^2": parts.ndim == 1},
    lambda parts: Relation("energy lost by the row <= sum_g c_g", float(parts.sum() ** 2), "<=", float(np.sum(parts**2))),
    lambda parts: Relation(
        "energy lost by the row <= G sum_g c_g", float(parts.sum() ** 2), "<=", float(row_energy_upper(parts[None] ** 2)[0])
    ),
    {"parts": np.ones(4)},
    {"parts": np.array([1.0, -1.0, 1.0, -1.0])},
)


def _best_row(weights: np.ndarray, inputs: np.ndarray) -> float:
    """Smallest loss of the row over all choices of one 2:4 mask per group."""
    choices = itertools.product(keep_patterns(2, 4), repeat=len(weights) // 4)
    return min(_lost(weights, np.concatenate(masks), inputs) for masks in choices)


def _group_by_group(weights: np.ndarray, inputs: np.ndarray) -> tuple[float, float]:
    """What the row loses by the groupwise choice, and G times the sum of its group costs."""
    moments = group_moments(inputs, 4)
    least = group_costs(weights[None], moments, keep_patterns(2, 4)).min(axis=2)
    return _lost(weights, cheapest_masks(weights[None], moments, 2)[0], inputs), float(row_energy_upper(least)[0])


F17III = Refutation(
    "F17-iii",
    "by hand",
    "one sample that turns the weights into (0,1,2,10 | 0,1,-3,10), 2:4: group by group 0 and 1 go, in both, and the row loses "
    "(1+1)^2 = 4; removing 1, 2 and 0, -3 instead loses (3-3)^2 = 0",
    lambda weights, inputs: {"whole groups of four": weights.size % 4 == 0},
    lambda weights, inputs: Relation(
        "loss of the groupwise choice <= least loss of the row",
        _group_by_group(weights, inputs)[0],
        "<=",
        _best_row(weights, inputs),
    ),
    lambda weights, inputs: Relation(
        "loss of the groupwise choice <= G sum of its costs",
        _group_by_group(weights, inputs)[0],
        "<=",
        _group_by_group(weights, inputs)[1],
    ),
    {"weights": np.array([0.0, 1.0, 2.0, 10.0, 0.0, 1.0, -3.0, 10.0]), "inputs": np.ones((1, 8))},
    {"weights": np.array([0.0, 1.0, 2.0, 10.0, 0.0, 1.0, 3.0, 10.0]), "inputs": np.ones((1, 8))},
)


def _pull(weight: float, x: float) -> float:
    """-d/dw of log(1 + exp(-w x)): what the sample asks for."""
    return x * float(expit(-weight * x))


F27 = Refutation(
    "F27",
    "floats",
    "one weight, logits (w x, 0), x = 10^-6, sign-normalised gradient with decoupled decay c = 1/10: w <- w + (1 - c w) rests "
    "at w = 10; T5.7 with l2 = c/2 would say c w^2 = 10 <= B_T = 2 w x = 2e-5",
    lambda decay, x: {"the update is at rest at w = 1/c": np.sign(_pull(1 / decay, x)) - decay * (1 / decay) == 0.0},
    lambda decay, x: Relation(
        "2 l2 ||R||^2 <= B_T(R), l2 = c/2", decay / decay**2, "<=", 2.0 * float(data_path_size([[1 / decay]], [[x]]))
    ),
    lambda decay, x: Relation(
        "2 l2 ||R||^2 <= B_T(R) + eps, eps the slope of CE + (c/2) ||A||^2 there",
        decay / decay**2,
        "<=",
        2.0 * float(data_path_size([[1 / decay]], [[x]])) + max(0.0, 1 / decay - _pull(1 / decay, x) / decay),
    ),
    {"decay": 0.1, "x": 1e-6},
    {"decay": 0.1, "x": 10.0},
)

F28 = Refutation(
    "F28",
    "by hand",
    "pre-activations (-1,-2), true class first: they rank it right, the ReLU outputs (0,0) tie, and a tie is an error",
    lambda before: {"the true class leads before the last activation": bool(before[0, 0] > before[0, 1:].max())},
    lambda before: Relation("0 < true margin of relu(z)", 0.0, "<", float(true_margin(np.maximum(before, 0.0), [0])[0])),
    lambda before: Relation("0 < true margin of z", 0.0, "<", float(true_margin(before, [0])[0])),
    {"before": np.array([[-1.0, -2.0]])},
    {"before": np.array([[2.0, 1.0]])},
)


def _accepts(bound: Fraction, gain: Fraction) -> int:
    return int(is_improvement(float(bound), float(gain)))


F29 = Refutation(
    "F29",
    "rationals",
    "S = R = 1, l2 = 1, B = 1: the stated test 1 + 2|<S,R>| < 1 fails, the exact reward is ||A||^2 - ||S||^2 = 3 > 1",
    lambda S, R, bound: {"the decrease is certain: B < ||S + R||^2 - ||S||^2": bound < (S + R) ** 2 - S**2},
    lambda S, R, bound: Relation("B + 2 l2 |<S,R>| < l2 ||R||^2", bound + 2 * abs(S * R), "<", R**2),
    lambda S, R, bound: Relation(
        "the test with the exact reward accepts",
        0,
        "<",
        _accepts(bound, Fraction(reward_additive([[float(R)]], [[float(S)]], 1.0, 0.0))),
    ),
    {"S": Fraction(1), "R": Fraction(1), "bound": Fraction(1)},
    {"S": Fraction(0), "R": Fraction(2), "bound": Fraction(1)},
)

REFUTATIONS = (F17I, F17II, F17III, F27, F28, F29)
CHECKS: tuple[Check, ...] = tuple(item.check() for item in REFUTATIONS)
