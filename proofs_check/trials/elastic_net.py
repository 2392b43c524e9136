"""Trials of the elastic net: the left side is the objective itself, from a forward pass through z = W_o relu(A v)."""

from __future__ import annotations

import numpy as np

from certify.theory import cross_entropy as ce
from certify.theory import elastic_net as net
from certify.theory.budget import budget, data_path_size
from certify.theory.gaussian import gaussian_budget, gaussian_multiplier
from proofs_check.trials.core import Field, Side, Trial

WEIGHTS = Field("the dense layer A", ("rows", "cols"))
TAIL = Field("output weights W_o after the ReLU", ("classes", "rows"))
INPUTS = Field("what each sample sends into the layer", ("samples", "cols"))
LABELS = Field("true class of each sample", ("samples",), kind="label")
KEEP = Field("1 where the weight is kept", ("rows", "cols"), kind="mask")
L2 = Field("weight of the squared penalty", low=0.0, high=4.0)
L1 = Field("weight of the one-norm penalty", low=0.0, high=4.0)
THETA = Field("point of the path; 0 is full removal", low=0.0, high=1.0)
NETWORK = {"tail": TAIL, "inputs": INPUTS, "labels": LABELS}
MASKED = {"weights": WEIGHTS, "keep": KEEP, **NETWORK}


def fit(layer, tail, inputs, labels):
    """Mean cross-entropy of z = W_o relu(A v)."""
    return float(np.mean(ce.cross_entropy(np.maximum(inputs @ layer.T, 0.0) @ tail.T, labels)))


def regulariser(matrix, l2, l1):
    return float(np.sum(l2 * np.square(matrix)) + np.sum(l1 * np.abs(matrix)))


def budget_of(removed, tail, inputs):
    """B_T(R) with L_s = ||W_o||_inf, proved for a ReLU in between."""
    gain = np.abs(tail).sum(axis=1).max()
    return budget(np.full(len(inputs), gain), data_path_size(removed, inputs[:, None, :]))


def _change(before, after, tail, inputs, labels, l2, l1):
    """J(after) - J(before), and the size of what cancels in it."""
    fits = [fit(layer, tail, inputs, labels) for layer in (before, after)]
    penalties = [regulariser(layer, l2, l1) for layer in (before, after)]
    reach = np.abs(inputs @ before.T).max() * np.abs(tail).sum(axis=1).max()
    return fits[1] - fits[0] + penalties[1] - penalties[0], sum(fits) + sum(penalties) + float(reach) + 1.0


def split(weights, keep):
    return np.where(keep, weights, 0.0), np.where(keep, 0.0, weights)


def _additive(kept, removed, tail, inputs, labels, l2, theta):
    change, scale = _change(kept + removed, kept + theta * removed, tail, inputs, labels, l2, 0.0)
    bound = budget_of(removed, tail, inputs)
    sides = [("change of J_2 <= bound", change, net.change_upper_additive(theta, bound, removed, kept, l2))]
    gain = regulariser(kept + removed, l2, 0.0) - regulariser(kept, l2, 0.0)
    sides.append(
        (
            "J_2(S) - J_2(A) <= B - l2 (||A||^2 - ||S||^2)",
            _change(kept + removed, kept, tail, inputs, labels, l2, 0.0)[0],
            bound - gain,
        )
    )
    return [Side(*side, scale=scale + bound) for side in sides]


def _masked(weights, keep, tail, inputs, labels, l2, l1, theta):
    kept, removed = split(weights, keep)
    change, scale = _change(weights, kept + theta * removed, tail, inputs, labels, l2, l1)
    bound = budget_of(removed, tail, inputs)
    sides = [Side("change of J <= bound", change, net.change_upper(theta, bound, removed, kept, l2, l1), scale=scale)]
    gone, scale = _change(weights, kept, tail, inputs, labels, l2, l1)
    sides.append(Side("J(S) - J(A) <= B - reward", gone, bound - net.reward(removed, l2, l1), scale=scale))
    return sides


def _restored(weights, colour, tail, inputs, labels, l2, l1, theta):
    """Colours: 0 always kept, 1 restored, 2 removed."""
    pruned = np.where(colour == 2, weights, 0.0)
    kept = weights - pruned
    change, scale = _change(weights, kept + theta * pruned, tail, inputs, labels, l2, l1)
    bound = net.change_upper(theta, budget_of(pruned, tail, inputs), pruned, kept, l2, l1)
    return [Side("change of J with Q restored <= bound of P", change, bound, scale=scale)]


def _gain(weights, colour, tail, inputs, l2, l1, theta):
    removed, restored = np.where(colour == 0, 0.0, weights), np.where(colour == 1, weights, 0.0)
    pruned = np.where(colour == 2, weights, 0.0)
    bounds, terms = [], []
    for part in (removed, pruned):
        terms += [budget_of(part, tail, inputs), (1.0 + theta) * regulariser(part, l2, 0.0), regulariser(part, 0.0, l1)]
        bounds.append((1.0 - theta) * (terms[-3] - terms[-2] - terms[-1]))
    gain = net.restore_gain(theta, terms[0], terms[3], restored, l2, l1)
    criterion = terms[0] - terms[3] - l2 * (1.0 + theta) * np.sum(restored**2) - l1 * np.sum(np.abs(restored))
    sides = [Side("bound of R - bound of P", bounds[0] - bounds[1], gain, equal=True, scale=sum(terms))]
    if theta < 1.0 and abs(criterion) > 1e-9 * (1.0 + sum(terms)):
        sides.append(Side("improves iff the criterion holds", np.sign(criterion), np.sign(gain), equal=True))
    return sides


def _several(first, second, step_one, step_two, order, inputs, labels, l2, l1, m2, m1):
    """z = W_2 relu(W_1 v). Layer 1 loses part 1, layer 2 its part, layer 1 then part 2 (order 0), or layer 2 comes first."""
    moves = [(0, step_one == 1), (1, step_two), (0, step_one == 2)]
    moves = moves if order == 0 else [moves[1], moves[0], moves[2]]
    now, budgets, rewards = [first.copy(), second.copy()], [], []

    def objective():
        return fit(now[0], now[1], inputs, labels) + regulariser(now[0], l2, l1) + regulariser(now[1], m2, m1)

    before = objective()
    for layer, gone in moves:
        removed = np.where(gone, now[layer], 0.0)
        if layer == 0:
            budgets.append(budget_of(removed, now[1], inputs))
        else:
            hidden = np.maximum(inputs @ now[0].T, 0.0)
            budgets.append(budget(np.ones(len(inputs)), data_path_size(removed, hidden[:, None, :])))
        rewards.append(net.reward(removed, *((l2, l1) if layer == 0 else (m2, m1))))
        now[layer] = now[layer] - removed
    scale = before + sum(budgets) + float(np.abs(inputs).sum() * np.abs(first).sum() * np.abs(second).sum()) + 1.0
    return [Side("change of J <= bound", objective() - before, net.change_upper_multilayer(budgets, rewards), scale=scale)]


def _universal(weights, other, inputs, labels, strength):
    """The identity after the layer, so that V_s is the end-point distance; the regulariser is no norm at all."""

    def penalty(matrix):
        return float(strength * np.sum(np.log1p(np.square(matrix))))

    logits = inputs @ weights.T
    fits = [float(np.mean(ce.cross_entropy(inputs @ layer.T, labels))) for layer in (weights, other)]
    reach = np.abs(logits - inputs @ other.T).max(axis=1)
    increases = ce.increase_upper(*ce.log_probabilities(logits, labels), reach)
    bound = net.change_upper_universal(increases, penalty(weights), penalty(other))
    change = fits[1] - fits[0] + penalty(other) - penalty(weights)
    scale = sum(fits) + penalty(other) + penalty(weights) + float(np.abs(logits).max()) + 1.0
    return [Side("J(A') - J(A) <= bound", change, bound, scale=scale)]


def _shrinkage(removed, budget, l2, l1):
    square, one = float(np.sum(l2 * removed**2)), float(np.sum(l1 * np.abs(removed)))
    best = 1.0 - net.best_theta(budget, removed, l2, l1)
    grid = np.linspace(0.0, 1.0, 4001)

    def bound(share):
        return share * (budget - 2.0 * square - one) + share**2 * square

    scale = budget + square + one
    sides = [Side("bound at theta* <= bound on a dense grid", bound(best), float(bound(grid).min()), scale=scale)]
    if square > 1e-6 * scale and abs(budget - one) > 1e-6 * scale and abs(budget - one - 2.0 * square) > 1e-6 * scale:
        sides.append(Side("full removal is best iff B <= l1 ||R||_1", float(best == 1.0), float(budget <= one), equal=True))
        some = float(budget < 2.0 * square + one)
        sides.append(Side("some shrinkage iff B < 2 l2 ||R||^2 + l1 ||R||_1", float(best > 0.0), some, equal=True))
    return sides


def _convex(kept, removed, sigma, convexity, quartic, l2, l1):
    """Omega = sum of quartic/4 x^4 + convexity/2 x^2, and the elastic net with any admissible subgradient."""

    def omega(matrix):
        return float(np.sum(quartic / 4.0 * matrix**4 + convexity / 2.0 * matrix**2))

    found = net.bregman_divergence(omega(kept + removed), omega(kept), quartic * kept**3 + convexity * kept, removed)
    square, scale = float(np.sum(removed**2)), omega(np.abs(kept) + np.abs(removed))
    own = quartic / 4.0 * np.sum(6.0 * kept**2 * removed**2 + 4.0 * kept * removed**3 + removed**4) + convexity / 2.0 * square
    sides = [
        Side("mu/2 ||R||^2 <= D", convexity / 2.0 * square, found, scale=scale),
        Side("D in closed form", float(own), found, equal=True, scale=scale),
    ]
    gain = regulariser(kept + removed, l2, l1) - regulariser(kept, l2, l1)
    scale = regulariser(np.abs(kept) + np.abs(removed), l2, l1)
    best = net.reward_lower_convex(net.best_subgradient(removed, kept, l2, l1), removed, 2.0 * l2)
    xi = 2.0 * l2 * kept + l1 * np.where(kept != 0.0, np.sign(kept), sigma)
    sides.append(Side("any subgradient <= the best one", net.reward_lower_convex(xi, removed, 2.0 * l2), best, scale=scale))
    sides.append(Side("the best one <= Reg(S + R) - Reg(S)", best, gain, scale=scale))
    return sides


def _mask_or_not(kept, removed, keep, l2, l1):
    gain = regulariser(kept + removed, l2, l1) - regulariser(kept, l2, l1)
    scale = regulariser(np.abs(kept) + np.abs(removed), l2, l1)
    inside, outside = np.where(keep, kept, 0.0), np.where(keep, 0.0, removed)
    return [
        Side("Reg(S + R) - Reg(S)", gain, net.reward_additive(removed, kept, l2, l1), equal=True, scale=scale),
        Side(
            "of a mask: the reward",
            net.reward(outside, l2, l1),
            net.reward_additive(outside, inside, l2, l1),
            equal=True,
            scale=scale,
        ),
    ]


def _break_even(lipschitz, norms, rows, cols, l2, delta, removed, budget, l1):
    multiplier = gaussian_multiplier(rows, len(norms), delta, "paper")
    g = net.break_even_g(float(np.mean(lipschitz * norms)), rows, cols, l2, multiplier)
    tokens = np.ones(len(norms), dtype=np.int64)
    bound = gaussian_budget(lipschitz, norms, tokens, rows=rows, entry_variance=g / rows, delta=delta, method="paper")
    sides = [Side("budget at g* = expected reward", bound, l2 * g * cols, equal=True)]
    t = net.break_even_scale(budget, removed, l2, l1)
    if np.isfinite(t) and t > 0.0:
        rewarded = regulariser(t * removed, l2, l1)
        sides.append(Side("budget of t* R = its reward", t * budget, rewarded, equal=True))
    return sides


COLOURS = Field("0 kept, 1 restored, 2 removed", ("rows", "cols"), low=0, high=2, kind="whole")
ENTRYWISE = Field("one penalty weight per entry", ("rows", "cols"), low=0.0, high=4.0)
KEPT, REMOVED = Field("S, any matrix", ("rows", "cols")), Field("R, any matrix", ("rows", "cols"))
PENALTIES = {"l2": L2, "l1": L1}
SMALL = {"low": -30.0, "high": 30.0}

TRIALS = (
    Trial("T5.3-additive-frobenius", {"kept": KEPT, "removed": REMOVED, **NETWORK, "l2": L2, "theta": THETA}, _additive),
    Trial("T5.4-elastic-net", {**MASKED, **PENALTIES, "theta": THETA}, _masked),
    Trial("ESM1-C1.1-weighted-elastic-net", {**MASKED, "l2": ENTRYWISE, "l1": ENTRYWISE, "theta": THETA}, _masked),
    Trial("T5.5-prune-restore", {"weights": WEIGHTS, "colour": COLOURS, **NETWORK, **PENALTIES, "theta": THETA}, _restored),
    Trial(
        "C5.6-restore-gain",
        {"weights": WEIGHTS, "colour": COLOURS, "tail": TAIL, "inputs": INPUTS, **PENALTIES, "theta": THETA},
        _gain,
    ),
    Trial(
        "T5.8-multilayer",
        {
            "first": Field("W_1", ("rows", "cols")),
            "second": Field("W_2", ("classes", "rows")),
            "step_one": Field("0 kept, 1 removed first, 2 removed last", ("rows", "cols"), low=0, high=2, kind="whole"),
            "step_two": Field("1 where W_2 loses a weight", ("classes", "rows"), kind="mask"),
            "order": Field("0: W_1 first, 1: W_2 first", low=0, high=1, kind="whole"),
            "inputs": INPUTS,
            "labels": LABELS,
            **PENALTIES,
            "m2": Field("weight of the squared penalty of W_2", low=0.0, high=4.0),
            "m1": Field("weight of the one-norm penalty of W_2", low=0.0, high=4.0),
        },
        _several,
    ),
    Trial(
        "X10-universal",
        {
            "weights": Field("A", ("classes", "cols")),
            "other": Field("A', any matrix", ("classes", "cols")),
            "inputs": INPUTS,
            "labels": LABELS,
            "strength": Field("weight of the regulariser sum log(1 + x^2)", low=0.0, high=4.0),
        },
        _universal,
    ),
    Trial(
        "X11-optimal-theta",
        {"removed": REMOVED, "budget": Field("upper bound B on the increase, nats", low=0.0), **PENALTIES},
        _shrinkage,
    ),
    Trial(
        "ESM1-R2.8-bregman",
        {
            "kept": Field("S", ("rows", "cols"), **SMALL),
            "removed": Field("R", ("rows", "cols"), **SMALL),
            "sigma": Field("subgradient of |x| where S is 0", ("rows", "cols"), low=-1.0, high=1.0),
            "convexity": Field("mu", low=0.0, high=4.0),
            "quartic": Field("weight of x^4 / 4", low=0.0, high=4.0),
            **PENALTIES,
        },
        _convex,
    ),
    Trial("ESM1-R2.8c-mask-vs-additive", {"kept": KEPT, "removed": REMOVED, "keep": KEEP, **PENALTIES}, _mask_or_not),
    Trial(
        "ESM1-R2.7-reg-scaling",
        {
            "lipschitz": Field("L_s", ("samples",), low=0.0),
            "norms": Field("||v_s||_2", ("samples",), low=0.0),
            "rows": Field("rows of R", low=1, high=4096, kind="whole"),
            "cols": Field("columns of R", low=1, high=4096, kind="whole"),
            "l2": Field("weight of the squared penalty", low=0.01, high=4.0),
            "delta": Field("error probability", low=1e-6, high=0.5),
            "removed": Field("R of the ray t R", ("height", "width")),
            "budget": Field("B_T(R)", low=0.0),
            "l1": L1,
        },
        _break_even,
    ),
)
