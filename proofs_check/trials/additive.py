"""Trials of the additive framework: its identities and, on the data-path event, its bounds, from forward passes."""

from __future__ import annotations

import math

import numpy as np

from certify.theory import additive as split
from certify.theory import cross_entropy as ce
from certify.theory import three_layer as three
from certify.theory.budget import data_path_size
from certify.theory.gaussian import gaussian_budget
from certify.theory.margins import true_margin
from proofs_check.trials.core import Field, Side, Trial
from proofs_check.trials.elastic_net import INPUTS, KEPT, L2, LABELS, REMOVED, TAIL, THETA, fit, regulariser

ACTIVATIONS = (lambda x: np.maximum(x, 0.0), np.abs)


def _logits(layer, tail, inputs):
    return np.maximum(inputs @ layer.T, 0.0) @ tail.T


def _loss(layers, inputs, labels, l2):
    energy = [regulariser(layer, 1.0, 0.0) for layer in layers]
    return split.loss(ce.cross_entropy(_logits(*layers, inputs), labels), energy, l2)


def _scale(layers, inputs, labels, l2):
    reach = np.abs(inputs).max() * np.prod([np.abs(layer).sum() for layer in layers])
    return _loss(layers, inputs, labels, l2) + float(reach) + 1.0


def _definition(first, second, inputs, labels, l2):
    probabilities = -np.log(np.exp(ce.log_probabilities(_logits(first, second, inputs), labels)[0]))
    stated = float(np.mean(probabilities)) + l2 * float(np.linalg.norm(first) ** 2 + np.linalg.norm(second) ** 2)
    found = _loss((first, second), inputs, labels, l2)
    return [Side("L by probabilities and norms", stated, found, equal=True, scale=_scale((first, second), inputs, labels, l2))]


def _single(kept, removed, tail, inputs, labels, l2, theta=0.0):
    """The loss before and after, against -l2 (1 - theta^2) ||R||^2 plus the remainder."""
    dense, moved = kept + removed, kept + theta * removed
    cross = float(np.sum(kept * removed))
    changed = fit(moved, tail, inputs, labels) - fit(dense, tail, inputs, labels)
    left = _loss((moved, tail), inputs, labels, l2) - _loss((dense, tail), inputs, labels, l2)
    right = split.remainder([changed], [cross], l2, theta) - l2 * (1.0 - theta**2) * float(np.sum(removed**2))
    scale = _scale((np.abs(kept) + np.abs(removed), tail), inputs, labels, l2)
    return [Side("L(alpha_theta) - L(alpha)", left, right, equal=True, scale=scale)]


def _growing(kept, removed, tail, inputs, labels, l2, copies):
    """A list that grows by copies of its samples; every mean stays what it was."""
    longer = np.concatenate([inputs, np.repeat(inputs[:1], copies, axis=0)])
    classes = np.concatenate([labels, np.repeat(labels[:1], copies)])
    return _single(kept, removed, tail, longer, classes, l2)


def _telescoped(kept_one, removed_one, kept_two, removed_two, inputs, labels, l2):
    """z = W_2 relu(W_1 v), W_1 first."""
    stages = [(kept_one + removed_one, kept_two + removed_two), (kept_one, kept_two + removed_two), (kept_one, kept_two)]
    fits = [fit(*stage, inputs, labels) for stage in stages]
    crosses = [float(np.sum(kept_one * removed_one)), float(np.sum(kept_two * removed_two))]
    energy = float(np.sum(removed_one**2) + np.sum(removed_two**2))
    left = _loss(stages[2], inputs, labels, l2) - _loss(stages[0], inputs, labels, l2) + l2 * energy
    sizes = np.abs(kept_one) + np.abs(removed_one), np.abs(kept_two) + np.abs(removed_two)
    return [
        Side(
            "L - L_0 + l2 sum ||R||^2",
            left,
            split.remainder(np.diff(fits), crosses, l2),
            equal=True,
            scale=_scale(sizes, inputs, labels, l2),
        )
    ]


def _lengths(table):
    """Row norms whose squares do not underflow."""
    top = np.abs(table).max(axis=1, keepdims=True)
    return top[:, 0] * np.linalg.norm(np.divide(table, top, out=np.zeros_like(table), where=top > 0.0), axis=1)


def _pieces(kept, removed, tail, inputs, slack):
    """Radii L_s J d1 with J = ||.||_2 and the smallest d1 (times 1 + slack) that puts the instance on the data-path event."""
    sizes, norms = data_path_size(removed, inputs[:, None, :]), _lengths(inputs)
    ratios = np.divide(sizes, norms, out=np.zeros_like(sizes), where=norms > 0.0)
    gain = np.full(len(inputs), np.abs(tail).sum(axis=1).max())
    return split.scale(gain, norms, float(ratios.max()) * (1.0 + slack)), gain


def _moved(kept, removed, tail, inputs, slack):
    radii, gain = _pieces(kept, removed, tail, inputs, slack)
    change = np.abs(_logits(kept, tail, inputs) - _logits(kept + removed, tail, inputs)).max(axis=1)
    pointwise = gain * data_path_size(removed, inputs[:, None, :])
    size = float(np.abs(inputs).max() * (np.abs(kept) + np.abs(removed)).sum() * gain[0])
    for s in range(len(inputs)):
        yield Side(f"||dX_{s}|| <= L ||R v||", change[s], pointwise[s], scale=size)
        yield Side(f"||dX_{s}|| <= a_s", change[s], radii[s], scale=size)


def _scaled(lipschitz, inputs, d1):
    radii = split.scale(lipschitz, _lengths(inputs), d1)
    for s, v in enumerate(inputs):
        yield Side(f"a_{s} = L J d1 with J = ||.||_2", math.hypot(*v) * lipschitz[s] * d1, radii[s], equal=True)


def _path(kept, removed, tail, inputs, labels, l2, slack):
    """A grid of theta; eta is |<S, R>|, the smallest that meets the hypothesis."""
    radii, _ = _pieces(kept, removed, tail, inputs, slack)
    dense, cross = kept + removed, float(np.sum(kept * removed))
    scale = _scale((np.abs(kept) + np.abs(removed), tail), inputs, labels, l2)
    before, energy = _loss((dense, tail), inputs, labels, l2), float(np.sum(removed**2))
    for theta in (0.0, 0.25, 0.5, 0.75, 0.999, 1.0):
        left = _loss((kept + theta * removed, tail), inputs, labels, l2) - before + l2 * (1.0 - theta**2) * energy
        bound = split.remainder_upper(radii, abs(cross), l2, theta)
        yield Side(f"L(theta = {theta}) - L + l2 (1 - theta^2) ||R||^2 <= bound", left, bound, scale=scale)
        yield Side(f"-bound <= the same at theta = {theta}", -bound, left, scale=scale)


def _network(layer, first, outer, inputs, activation):
    act = ACTIVATIONS[activation]
    return act(act(act(inputs @ first.T) @ layer.T) @ outer.T)


def _three(kept, removed, first, outer, inputs, activation, excess):
    """The constant that puts ||R act(W_1 s)|| on the event for every sample, the published one where that suffices."""
    hidden, inner = ACTIVATIONS[activation](inputs @ first.T), inputs @ first.T
    norms = _lengths(inner)
    ratio = np.divide(np.abs(hidden @ removed.T).max(axis=1), norms, out=np.zeros(len(norms)), where=norms > 0.0)
    constant = max(split.PUBLISHED, float(ratio.max()) / split.gaussian_scale(len(kept), 1.0)) * (1.0 + excess)
    before, after = (_network(layer, first, outer, inputs, activation) for layer in (kept + removed, kept))
    size = np.abs(outer).sum() * (np.abs(kept) + np.abs(removed)).sum() * np.abs(first).sum() * np.abs(inputs).max()
    return three.removal_radius(outer, inner, constant), before, after, float(size)


def _radius(kept, removed, first, outer, inputs, activation, excess):
    radii, before, after, size = _three(kept, removed, first, outer, inputs, activation, excess)
    change = np.abs(after - before).max(axis=1)
    return [Side(f"||dX_{s}|| <= constant a(N, s)", change[s], radii[s], scale=size) for s in range(len(inputs))]


def _accuracy(kept, removed, first, outer, inputs, labels, activation, excess):
    radii, before, after, _ = _three(kept, removed, first, outer, inputs, activation, excess)
    margins = true_margin(before, labels)
    change = abs(float(np.mean(true_margin(after, labels) > 0.0)) - float(np.mean(margins > 0.0)))
    return [Side("|change of accuracy| <= bound", change, split.accuracy_change_upper(margins, radii))]


def _fit_change(kept, removed, first, outer, inputs, labels, activation, excess):
    radii, before, after, size = _three(kept, removed, first, outer, inputs, activation, excess)
    change = float(np.mean(ce.cross_entropy(after, labels)) - np.mean(ce.cross_entropy(before, labels)))
    return [Side("|dCE| <= (2/T) sum tau", abs(change), split.ce_change_upper(radii), scale=size + 1.0)]


def _three_path(kept, removed, first, outer, inputs, labels, activation, excess, l2, theta):
    radii, before, _, size = _three(kept, removed, first, outer, inputs, activation, excess)
    layer = kept + theta * removed
    after = _network(layer, first, outer, inputs, activation)
    losses = [
        split.loss(ce.cross_entropy(logits, labels), [regulariser(weights, 1.0, 0.0)], l2)
        for logits, weights in ((before, kept + removed), (after, layer))
    ]
    left = losses[1] - losses[0] + l2 * (1.0 - theta**2) * float(np.sum(removed**2))
    bound = split.remainder_upper(radii, abs(float(np.sum(kept * removed))), l2, theta)
    scale = size + sum(losses) + l2 * regulariser(np.abs(kept) + np.abs(removed), 1.0, 0.0) + 1.0
    return [Side("|remainder| <= bound", abs(left), bound, scale=scale)]


def _three_end(theta=0.0, **instance):
    return _three_path(theta=theta, **instance)


def _confident(first, outer, inputs, g, delta):
    """The radius is the Gaussian budget of one sample, T samples counted: 2 tau_s = budget."""
    inner = inputs @ first.T
    radii = three.confidence_radius(outer, inner, g, delta)
    rows, samples = outer.shape[1], len(inner)
    gain = float(np.abs(outer).sum(axis=1).max())
    tokens = np.array([samples])
    norms = _lengths(inner)
    for s in range(samples):
        bound = gaussian_budget([gain], norms[s : s + 1], tokens, rows=rows, entry_variance=g / rows, delta=delta, method="paper")
        yield Side(f"2 tau_{s} = budget of sample {s}", 2.0 * radii[s], bound, equal=True)
    sharp = three.confidence_radius(outer, inner, g, delta, method="sidak")
    yield Side("the Šidák radius is no larger", float(sharp.max()), float(radii.max()))


def _distance(kept, removed, kept_limit, removed_limit):
    now, limit = split.Decomposition(kept, removed), split.Decomposition(kept_limit, removed_limit)
    away = abs(float(np.linalg.norm(removed) - np.linalg.norm(removed_limit)))
    whole = float(np.linalg.norm(kept + removed - kept_limit - removed_limit))
    found = split.path_distance(now, limit)
    size = sum(float(np.linalg.norm(part)) for part in (kept, removed, kept_limit, removed_limit))
    return [
        Side("| ||R|| - ||R*|| | <= distance", away, found, scale=size),
        Side("||W - W*|| <= distance", whole, found, scale=size),
    ]


def _slack(values, bounds, slack, level):
    found = split.excess(values, bounds, slack)
    for k in range(len(values)):
        yield Side(f"(x - y)_+ <= (x - y - eta)_+ + eta, {k}", max(values[k] - bounds[k], 0.0), found[k] + slack)
    halved = split.excess(values, bounds, level / 2.0)
    outside = (values - bounds > level * (1.0 + 1e-9)) & (halved <= level / 2.0)
    yield Side("{x - y > d} lies in {x - y - d/2 > d/2}", float(np.sum(outside)), 0.0)


def _atoms(limit, moved, threshold, reach):
    """A finite joint law: equal weight on each pair."""
    below, above = np.mean(limit <= threshold - reach), np.mean(limit <= threshold + reach)
    apart = np.mean(np.abs(moved - limit) > reach)
    lower, upper = split.threshold_interval(float(below), float(above), float(apart))
    share = float(np.mean(moved <= threshold))
    return [Side("lower <= P(X_t <= c)", lower, share), Side("P(X_t <= c) <= upper", share, upper)]


def _numbers(**instance):
    """Shares of comparisons are numbers even where what they compare is none."""
    return {"every value is finite": all(bool(np.all(np.isfinite(value))) for value in instance.values())}


def _spectrum(matrix, points):
    rows, cols = matrix.shape
    shorter, excess = min(rows, cols), max(cols - rows, 0)
    eigenvalues = np.linalg.eigvalsh(matrix.T @ matrix)
    nu, mu = split.singular_distribution(matrix, points), split.gram_distribution(matrix, points**2)
    turned = split.singular_distribution(matrix.T, points)
    for k, x in enumerate(points):
        counted = float(np.sum(eigenvalues <= x**2))
        yield Side(f"eigenvalues up to x^2, {k}", counted, float(mu[k]) * cols, equal=True)
        yield Side(f"M mu = min(N, M) nu + (M - N)_+, {k}", counted, float(nu[k]) * shorter + excess, equal=True)
        yield Side(f"nu of the transpose, {k}", float(turned[k]), float(nu[k]), equal=True)
    atom = float(split.gram_distribution(matrix, [0.0])[0])
    yield Side("(1 - N/M)_+ <= atom at 0", max(1.0 - rows / cols, 0.0), atom)


def _away_from_the_spectrum(matrix, points):
    """The zeros that the shape forces come out of LAPACK as rounding errors of either sign."""
    values = np.linalg.svd(matrix, compute_uv=False)
    forced = [0.0] if matrix.shape[1] > matrix.shape[0] else []
    gap = np.abs(points[:, None] - np.array([*values, *forced])[None, :]).min()
    return {"no point within 1e-6 of the spectrum": bool(gap > 1e-6 * max(values.max(), 1.0))}


HIDDEN = {"kept": KEPT, "removed": REMOVED, "tail": TAIL, "inputs": INPUTS}
LABELLED = {**HIDDEN, "labels": LABELS, "l2": L2}
SLACK = {"slack": Field("d1 above the smallest that meets the event, relative", low=0.0, high=1.0)}
SQUARE = ("width", "width")
NETWORK = {
    "kept": Field("S", SQUARE),
    "removed": Field("R", SQUARE),
    "first": Field("W_1", ("width", "cols")),
    "outer": Field("W_3", ("classes", "width")),
    "inputs": INPUTS,
    "activation": Field("0 ReLU, 1 absolute value", low=0, high=1, kind="whole"),
    "excess": Field("constant above the smallest that meets the event, relative", low=0.0, high=1.0),
}
LABELLED_NETWORK = {**NETWORK, "labels": LABELS}

TRIALS = (
    Trial(
        "D4.3-loss",
        {
            "first": Field("W_1", ("rows", "cols"), low=-4.0, high=4.0),
            "second": Field("W_2", ("classes", "rows"), low=-4.0, high=4.0),
            "inputs": Field("inputs", ("samples", "cols"), low=-4.0, high=4.0),
            "labels": LABELS,
            "l2": L2,
        },
        _definition,
    ),
    Trial(
        "D4.3-scale",
        {"lipschitz": Field("L_s", ("samples",), low=0.0), "inputs": INPUTS, "d1": Field("d1(N)", low=0.0)},
        lambda **i: list(_scaled(**i)),
    ),
    Trial("L4.4-remove-R", {**HIDDEN, **SLACK}, lambda **i: list(_moved(**i))),
    Trial("T4.5-loss-reduction", LABELLED, _single),
    Trial(
        "T4.6-telescoping",
        {
            "kept_one": Field("S_1", ("rows", "cols")),
            "removed_one": Field("R_1", ("rows", "cols")),
            "kept_two": Field("S_2", ("classes", "rows")),
            "removed_two": Field("R_2", ("classes", "rows")),
            "inputs": INPUTS,
            "labels": LABELS,
            "l2": L2,
        },
        _telescoped,
    ),
    Trial(
        "ESM1-C2.1-growing-set",
        {**LABELLED, "copies": Field("copies of the first sample", low=0, high=12, kind="whole")},
        _growing,
    ),
    Trial("ESM1-C2.2-scaled-loss", {**LABELLED, "theta": THETA}, _single),
    Trial("ESM1-C2.3-finiteN-path", {**LABELLED, **SLACK}, lambda **i: list(_path(**i))),
    Trial("ESM1-L3.13-remove-R", NETWORK, _radius),
    Trial("ESM1-C3.14-margin-accuracy", LABELLED_NETWORK, _accuracy),
    Trial("ESM1-L3.15-ce-perturb", LABELLED_NETWORK, _fit_change),
    Trial("ESM1-T3.18-loss-reduction", {**LABELLED_NETWORK, "l2": L2}, _three_end),
    Trial("ESM1-C3.19-scaled", {**LABELLED_NETWORK, "l2": L2, "theta": THETA}, _three_path),
    Trial(
        "ESM1-T3.16-confidence",
        {
            "first": Field("W_1", ("width", "cols")),
            "outer": Field("W_3", ("classes", "width")),
            "inputs": INPUTS,
            "g": Field("N times the variance of an entry of R", low=0.0, high=4.0),
            "delta": Field("error probability", low=1e-9, high=0.999),
        },
        lambda **i: list(_confident(**i)),
    ),
    Trial(
        "ESM1-D3.12-local-path",
        {
            "kept": KEPT,
            "removed": REMOVED,
            "kept_limit": Field("S*", ("rows", "cols")),
            "removed_limit": Field("R*", ("rows", "cols")),
        },
        _distance,
    ),
    Trial(
        "ESM1-L4.1-slack",
        {
            "values": Field("x", ("many",)),
            "bounds": Field("y", ("many",)),
            "slack": Field("eta", low=0.0),
            "level": Field("delta", low=1e-6),
        },
        lambda **i: list(_slack(**i)),
    ),
    Trial(
        "ESM1-R2.8b-no-atom",
        {
            "limit": Field("values of X, equally likely", ("many",)),
            "moved": Field("values of X_t beside them", ("many",)),
            "threshold": Field("c"),
            "reach": Field("h", low=0.0),
        },
        _atoms,
        _numbers,
    ),
    Trial(
        "D2.1-esd",
        {"matrix": Field("G", ("rows", "cols")), "points": Field("x", ("places",), low=0.0)},
        lambda **i: list(_spectrum(**i)),
        _away_from_the_spectrum,
        ranges={"rows": (1, 6), "cols": (1, 6)},
    ),
)
