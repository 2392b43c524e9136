"""Trials of stationarity: rates of descent from forward passes and complex steps against what the claims state."""

from __future__ import annotations

import numpy as np

from certify.theory import cross_entropy as ce
from certify.theory import stationarity as still
from certify.theory.budget import budget, data_path_size
from proofs_check.trials.core import Field, Side, Trial
from proofs_check.trials.elastic_net import INPUTS, LABELS, PENALTIES, fit, regulariser, split

STEP = 1e-20  # of the complex step: nothing cancels, and its square vanishes beside 1
FLOOR = 1e-200  # below it the step underflows
WEIGHTS = Field("softmax regression: logits are A v", ("classes", "cols"))
KEEP = Field("1 where the weight is kept", ("classes", "cols"), kind="mask")
ENTRYWISE = Field("one penalty weight per entry", ("classes", "cols"), low=0.0, high=4.0)
REGRESSION = {"inputs": INPUTS, "labels": LABELS}


def slope(weights, removed, inputs, labels):
    """-d/dh of the mean cross-entropy of (A - h R) v at h = 0, by a complex step through its definition."""
    logits = inputs @ (weights - 1j * STEP * removed).T
    logits -= logits.real.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return float(-np.mean(losses.imag) / STEP)


def gradient(weights, inputs, labels):
    """Mean of (rho - e_C) v^T."""
    logits = inputs @ weights.T
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(labels)), labels] -= 1.0
    return share.T @ inputs / len(labels)


def objective(layer, inputs, labels, l2, l1):
    return float(np.mean(ce.cross_entropy(inputs @ layer.T, labels))) + regulariser(layer, l2, l1)


def plain_budget(removed, inputs):
    """B_T(R) of softmax regression, L_s = 1."""
    return budget(np.ones(len(inputs)), data_path_size(removed, inputs[:, None, :]))


def _size(weights, inputs, labels, l2, l1):
    """What cancels in a difference of the objective near A."""
    return objective(weights, inputs, labels, l2, l1) + float(np.abs(inputs @ weights.T).max()) + 1.0


def _rates(weights, keep, inputs, labels, l2, l1, theta):
    """The rate at theta is the smallest epsilon that the second hypothesis allows there; the slope, that of the first."""
    _, removed = split(weights, keep)
    bound, scale = plain_budget(removed, inputs), _size(weights, inputs, labels, l2, l1)
    penalty = 2.0 * regulariser(removed, l2, 0.0) + regulariser(removed, 0.0, l1)
    exact = slope(weights, removed, inputs, labels) + penalty
    sides = [Side("bound <= -dJ/dh at A", still.descent_lower(bound, removed, l2, l1), exact, scale=penalty + bound + FLOOR)]
    ends = [objective(layer, inputs, labels, l2, l1) for layer in (weights, weights - (1.0 - theta) * removed)]
    lower, share = still.descent_lower(bound, removed, l2, l1, theta), 1.0 - theta
    return [*sides, Side("bound <= (J(A) - J(A_theta)) / (1 - theta)", lower, (ends[0] - ends[1]) / share, scale=scale / share)]


def _layers(first, second, keep_one, keep_two, inputs, labels, l2, l1, m2, m1, step):
    """z = W_2 relu(W_1 v), both layers shrunk together by h, W_1 first."""
    parts = np.where(keep_one, 0.0, first), np.where(keep_two, 0.0, second)
    ends = np.maximum(inputs @ first.T, 0.0), np.maximum(inputs @ (first - parts[0]).T, 0.0)
    through = np.maximum(*ends) @ np.abs(parts[1]).T  # relu of an affine path is convex: its ends bound it
    gain = np.full(len(inputs), np.abs(second).sum(axis=1).max())
    budgets = [budget(gain, data_path_size(parts[0], inputs[:, None, :])), budget(np.ones(len(inputs)), through.max(axis=1))]
    squares = [regulariser(parts[0], l2, 0.0), regulariser(parts[1], m2, 0.0)]
    ones = [regulariser(parts[0], 0.0, l1), regulariser(parts[1], 0.0, m1)]

    def total(h):
        layers = first - h * parts[0], second - h * parts[1]
        return fit(*layers, inputs, labels) + regulariser(layers[0], l2, l1) + regulariser(layers[1], m2, m1)

    scale = (total(0.0) + float(np.abs(inputs).max() * np.abs(first).sum() * gain[0]) + sum(budgets) + 1.0) / step
    lower = still.descent_lower_multilayer(budgets, squares, ones, step)
    return [Side("bound <= (J(alpha_0) - J(alpha_h)) / h", lower, (total(0.0) - total(step)) / step, scale=scale)]


def _penalty_rate(weights, removed, l2, l1, h):
    """One-sided rate of the penalties, exact: they are quadratic on a segment that crosses no zero."""
    here = regulariser(weights, l2, l1)
    quotients = [(here - regulariser(weights - t * removed, l2, l1)) / t for t in (h, h / 2.0)]
    return 2.0 * quotients[1] - quotients[0]


def _no_zero_crossed(weights, removed, **_):
    inside = (weights == 0.0) | (np.abs(weights) > 1e-2 * np.abs(removed))
    return {"no entry of A changes its sign within h = 0.01": bool(np.all(inside))}


def _directional(weights, removed, inputs, labels, l2, l1):
    """Any direction R; the last sides are the confidence-weighted budgets."""
    change = slope(weights, removed, inputs, labels)
    penalty = _penalty_rate(weights, removed, l2, l1, 2.0**-7)
    found = still.directional_descent(gradient(weights, inputs, labels), weights, removed, l2, l1)
    size = regulariser(np.abs(weights) + np.abs(removed), l2, l1) * 2.0**7 + np.abs(inputs).max() * np.abs(removed).sum()
    moved = inputs @ removed.T
    log_not_p = ce.log_probabilities(inputs @ weights.T, labels)[1]
    swing = still.slope_upper(log_not_p, np.ptp(moved, axis=1))
    wide = still.slope_upper(log_not_p, 2.0 * np.abs(moved).max(axis=1))
    return [
        Side("-dJ/dh by definition", change + penalty, found, equal=True, scale=float(size) + FLOOR),
        Side("|dCE/dh| <= mean (1 - p) osc", abs(change), swing, scale=float(np.abs(moved).max()) + FLOOR),
        Side("mean (1 - p) osc <= 2 mean (1 - p) ||R v||", swing, wide),
        Side("2 mean (1 - p) ||R v|| <= B_T(R)", wide, plain_budget(removed, inputs)),
    ]


def _collapse(kept, removed, inputs, labels, l2):
    """epsilon is the smallest that meets one-sided stationarity of J_2 along R."""
    weights, norm = kept + removed, float(np.linalg.norm(removed))
    cross = float(np.sum(kept * removed))
    epsilon = max(0.0, slope(weights, removed, inputs, labels) + 2.0 * l2 * float(np.sum(weights * removed)))
    bound = plain_budget(removed, inputs)
    scale = norm + abs(cross) / max(norm, 1e-300)
    return [Side("||R|| <= bound", norm, still.collapse_upper(bound / norm, -cross / norm, l2, epsilon), scale=scale)]


def _nonzero(removed, **_):
    return {"R is not 0": bool(np.linalg.norm(removed) > 1e-9)}


def _noise(kept, removed, inputs, labels, l2):
    weights, cross = kept + removed, float(np.sum(kept * removed))
    epsilon = max(0.0, slope(weights, removed, inputs, labels) + 2.0 * l2 * float(np.sum(weights * removed)))
    square = float(np.sum(removed**2))
    bound = still.noise_energy_upper(plain_budget(removed, inputs), max(-cross, 0.0), l2, epsilon)
    return [Side("||R||^2 <= bound", square, bound, scale=square + abs(cross))]


def _energy(kept, removed, inputs, labels, l2):
    weights = kept + removed
    cross = abs(float(np.sum(kept * removed)))
    return [
        Side("||A||^2 <= log K / l2", float(np.sum(weights**2)), still.energy_upper(len(weights), l2)),
        Side("||R||^2 <= log K / l2 + 2 |<S, R>|", float(np.sum(removed**2)), still.energy_upper(len(weights), l2, cross)),
    ]


def _no_worse_than_zero(kept, removed, inputs, labels, l2):
    return {"J(A) <= log K": objective(kept + removed, inputs, labels, l2, 0.0) <= np.log(len(kept))}


MASKED = {"weights": WEIGHTS, "keep": KEEP, **REGRESSION}
POSITIVE = Field("weight of the squared penalty", low=0.01, high=4.0)
NEARLY = Field("point of the path, below 1", low=0.0, high=0.999)
SPLIT = {"kept": Field("S", ("classes", "cols")), "removed": Field("R", ("classes", "cols")), **REGRESSION, "l2": POSITIVE}
NARROW = {
    "kept": Field("S", ("classes", "cols"), low=-1.5, high=1.5),
    "removed": Field("R", ("classes", "cols"), low=-1.5, high=1.5),
    "inputs": Field("inputs", ("samples", "cols"), low=-4.0, high=4.0),
    "labels": LABELS,
    "l2": Field("weight of the squared penalty", low=0.001, high=0.1),
}

TRIALS = (
    Trial("T5.7-stationarity", {**MASKED, **PENALTIES, "theta": NEARLY}, _rates),
    Trial("ESM1-C1.2-weighted-stationarity", {**MASKED, "l2": ENTRYWISE, "l1": ENTRYWISE, "theta": NEARLY}, _rates),
    Trial(
        "T5.9-multilayer-stationarity",
        {
            "first": Field("W_1", ("rows", "cols")),
            "second": Field("W_2", ("classes", "rows")),
            "keep_one": Field("1 where W_1 keeps a weight", ("rows", "cols"), kind="mask"),
            "keep_two": Field("1 where W_2 keeps a weight", ("classes", "rows"), kind="mask"),
            **REGRESSION,
            **PENALTIES,
            "m2": Field("weight of the squared penalty of W_2", low=0.0, high=4.0),
            "m1": Field("weight of the one-norm penalty of W_2", low=0.0, high=4.0),
            "step": Field("h", low=0.001, high=1.0),
        },
        _layers,
    ),
    Trial(
        "X13-stationarity-gradient",
        {"weights": WEIGHTS, "removed": Field("R, any direction", ("classes", "cols")), **REGRESSION, **PENALTIES},
        _directional,
        _no_zero_crossed,
    ),
    Trial("X24-scale-free-collapse", SPLIT, _collapse, _nonzero),
    Trial("T4.7-stationarity-collapse", SPLIT, _noise),
    Trial("X25-apriori-energy", NARROW, _energy, _no_worse_than_zero),
)
