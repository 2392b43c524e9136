"""Trials of the layerwise budget. Left sides are forward passes or sums of products in `math.fsum`."""

from __future__ import annotations

import math

import numpy as np

from certify.theory import budget as layer
from certify.theory import cross_entropy as ce
from certify.theory import margins
from proofs_check.trials.core import Field, Side, Trial

WEIGHT = Field("target layer A", ("rows", "cols"))
KEPT = Field("1 where the weight stays, 0 where it is removed", ("rows", "cols"), kind="mask")
INPUTS = Field("vectors that each sample sends into the target, one per token", ("samples", "tokens", "cols"))
THETA = Field("share of the removed part that is left: 1 dense, 0 pruned", low=0.0, high=1.0)
LABELS = Field("true class of each sample", ("samples",), kind="label")
TAIL = {
    "hidden": Field("first layer after the target", ("hidden", "rows")),
    "readout": Field("last layer", ("classes", "hidden")),
    "activation": Field("after the target and the hidden layer: 0 ReLU, 1 |.|, 2 tanh, 3 none", kind="whole", low=0, high=3),
}
ACTIVATIONS = (lambda x: np.maximum(x, 0.0), np.abs, np.tanh, lambda x: x)


def tail(values, hidden, readout, activation):
    """Logits (T, K) after the target's outputs (T, P, rows): activation, mean over tokens, two layers."""
    bend = ACTIVATIONS[int(activation)]
    return bend(bend(values).mean(axis=1) @ hidden.T) @ readout.T


def magnitude(weight, inputs, hidden, readout):
    """Largest logit of the network of absolute values: the size of the terms that cancel in a forward pass."""
    return float((np.abs(inputs) @ np.abs(weight).T).mean(axis=1).dot(np.abs(hidden).T).dot(np.abs(readout).T).max())


def segment(weight, kept, inputs, theta, *, hidden, readout, activation):
    """Logits at A_1 and A_theta, the removed part, and a bound on the smallest common Lipschitz constant."""
    removed = np.where(kept, 0.0, weight)
    part = np.where(kept, weight, 0.0) + theta * removed
    logits = [tail(inputs @ matrix.T, hidden, readout, activation) for matrix in (weight, part)]
    return *logits, removed, layer.lipschitz_by_row_sums([hidden, readout])


def plain_size(removed, tokens):
    return max(abs(math.fsum(r * x for r, x in zip(row, token, strict=True))) for row in removed for token in tokens)


def plain_budget(lipschitz, removed, inputs):
    terms = [c * plain_size(removed, tokens) for c, tokens in zip(lipschitz, inputs, strict=True)]
    return 2.0 * math.fsum(terms) / len(terms)


def _norms(weight, vector):
    bound = float(layer.data_path_upper_rows(weight, vector[None]))
    scale = float((np.abs(weight) @ np.abs(vector)).max())
    yield Side("||A x||_inf <= ||A||_inf ||x||_inf", plain_size(weight, [vector]), bound, scale=scale)
    row = weight[np.abs(weight).sum(axis=1).argmax()]
    attained = float(layer.data_path_upper_rows(weight, np.sign(row)[None]))
    yield Side("attained at x = sign of the longest row", plain_size(weight, [np.sign(row)]), attained, True)
    both = float(layer.data_path_upper_rows(weight, np.stack([vector, np.sign(row)])))
    yield Side("a further token never lowers the bound", max(bound, attained), both)


def _layer(weight, kept, inputs, theta, **after):
    dense, part, removed, constant = segment(weight, kept, inputs, theta, **after)
    sizes = layer.data_path_size(removed, inputs)
    scale = magnitude(weight, inputs, after["hidden"], after["readout"])
    for s in range(len(sizes)):
        move = np.abs(part[s] - dense[s]).max()
        yield Side(f"sample {s}: logit change <= (1 - theta) L ||R V||", move, (1 - theta) * constant * sizes[s], scale=scale)


def _budget(weight, inputs, lipschitz, factor):
    def of(matrix, constants=lipschitz, samples=inputs):
        return layer.budget(constants, layer.data_path_size(matrix, samples))

    found, scale = of(weight), plain_budget(lipschitz, np.abs(weight), np.abs(inputs))
    yield Side("B = (2 / T) sum L max |R v|", plain_budget(lipschitz, weight, inputs), found, True, scale)
    yield Side("0 <= B", 0.0, found)
    yield Side("B(t R) = |t| B(R)", of(factor * weight), abs(factor) * found, True, abs(factor) * scale)
    twice = of(weight, np.tile(lipschitz, 2), np.concatenate([inputs, inputs]))
    yield Side("the list twice over", twice, found, True, scale)
    yield Side("the list backwards", of(weight, lipschitz[::-1], inputs[::-1]), found, True, scale)


def _calculus(weight, kept, inputs, lipschitz, l2, l1, rows):
    """Q is the part under the mask, P the rest; both removed together are the whole matrix."""

    def reward(matrix):
        return math.fsum([l2 * x * x for x in matrix.flat] + [l1 * abs(x) for x in matrix.flat])

    parts = {"Q": np.where(kept, weight, 0.0), "P": np.where(kept, 0.0, weight), "Q+P": weight}
    paid = {name: layer.budget(lipschitz, layer.data_path_size(part, inputs)) for name, part in parts.items()}
    net = {name: paid[name] - reward(part) for name, part in parts.items()}
    scale = plain_budget(lipschitz, np.abs(weight), np.abs(inputs)) + reward(weight)
    yield Side("(a) B(Q + P) <= B(Q) + B(P)", paid["Q+P"], paid["Q"] + paid["P"], scale=scale)
    yield Side("(a) certificates add", net["Q+P"], net["Q"] + net["P"], scale=scale)
    if not layer.restoration_can_help(paid["Q"], reward(parts["Q"])):
        yield Side("(b) Q certified: restoring it does not improve", net["Q+P"], net["P"], scale=scale)
    restored = layer.budget(lipschitz, layer.data_path_size(np.where(rows[:, None], 0.0, weight), inputs))
    yield Side("(c) restoring rows never increases B", restored, paid["Q+P"], scale=scale)


def _tokens(weight, inputs):
    sizes = layer.data_path_size(weight, inputs)
    for s, tokens in enumerate(inputs):
        scale = plain_size(np.abs(weight), np.abs(tokens))
        yield Side(f"sample {s}: max over rows and tokens", plain_size(weight, tokens), float(sizes[s]), True, scale)
        one = max(float(layer.data_path_size(weight, token[None])) for token in tokens)
        yield Side(f"sample {s}: largest of the sizes of its tokens", one, float(sizes[s]), True, scale)


def _row_norms(weight, inputs):
    """`scale` is that of the dot products alone: neither bound may hide behind the other."""
    scale = max(plain_size(np.abs(weight), np.abs(tokens)) for tokens in inputs)
    rows, euclidean = layer.data_path_upper_rows(weight, inputs), layer.data_path_upper_euclidean(weight, inputs)
    longest = [max(math.hypot(*token) for token in tokens) for tokens in inputs]
    for s, tokens in enumerate(inputs):
        size = plain_size(weight, tokens)
        yield Side(f"sample {s}: ||R V||_inf <= ||R||_inf max ||v||_inf", size, rows[s], scale=scale)
        yield Side(f"sample {s}: ||R V||_inf <= max ||R_i||_2 max ||v||_2", size, euclidean[s], scale=scale)
        operator = float(np.linalg.norm(weight, 2)) * longest[s]
        yield Side(f"sample {s}: max ||R_i||_2 max ||v||_2 <= ||R||_op max ||v||_2", euclidean[s], operator)


def _slopes(start, move, **after):
    constant = layer.lipschitz_by_row_sums([after["hidden"], after["readout"]])
    points = np.linspace(0.0, 1.0, 9)
    values = tail((start + points[:, None] * move)[:, None, :], **after)
    scale = magnitude(np.diag(np.abs(start) + np.abs(move)), np.ones((1, 1, len(start))), after["hidden"], after["readout"])
    for i in range(len(points) - 1):
        for j in (i + 1, len(points) - 1):
            change, distance = np.abs(values[i] - values[j]).max(), (points[j] - points[i]) * np.abs(move).max()
            yield Side(f"slope between {points[i]} and {points[j]}", change, constant * distance, scale=scale)


def _telescoped(logits, labels, steps):
    eta = layer.telescoped(np.abs(steps).max(axis=2))
    after = logits + steps.sum(axis=0)
    scale = float(np.abs(logits).max() + np.abs(steps).sum(axis=0).max() + 1.0)
    change = ce.cross_entropy(after, labels) - ce.cross_entropy(logits, labels)
    sharp = ce.increase_upper(*ce.log_probabilities(logits, labels), eta)
    for s in range(len(labels)):
        yield Side(f"sample {s}: logits", np.abs(after[s] - logits[s]).max(), eta[s], scale=scale)
        yield Side(f"sample {s}: loss", change[s], sharp[s], scale=scale)
    for name, of in (("true", lambda z: margins.true_margin(z, labels)), ("predicted", margins.predicted_margin)):
        moved = np.abs(of(after) - of(logits))
        yield Side(f"{name} margins move by at most 2 eta", 0.0, float(np.min(2.0 * eta - moved)), scale=scale)
    published = float(ce.increase_published(eta).mean())
    yield Side("|change of the mean loss| <= (2 / T) sum eta", abs(float(change.mean())), published, scale=scale)


LIPSCHITZ = Field("L_s of each sample", ("samples",), low=0.0)
PENALTY = Field("weight of a penalty", low=0.0)

TRIALS = (
    Trial("N0-norms", {"weight": WEIGHT, "vector": Field("x", ("cols",))}, lambda **i: list(_norms(**i))),
    Trial(
        "D5.0-layer",
        {"weight": WEIGHT, "kept": KEPT, "inputs": INPUTS, "theta": THETA, **TAIL},
        lambda **i: list(_layer(**i)),
    ),
    Trial(
        "D5.0-budget",
        {"weight": WEIGHT, "inputs": INPUTS, "lipschitz": LIPSCHITZ, "factor": Field("t in B(t R)")},
        lambda **i: list(_budget(**i)),
    ),
    Trial(
        "X12-budget-calculus",
        {
            "weight": WEIGHT,
            "kept": Field("1 on Q, 0 on P", ("rows", "cols"), kind="mask"),
            "inputs": INPUTS,
            "lipschitz": LIPSCHITZ,
            "l2": PENALTY,
            "l1": PENALTY,
            "rows": Field("rows that are restored as a whole in (c)", ("rows",), kind="mask"),
        },
        lambda **i: list(_calculus(**i)),
    ),
    Trial("X19-tokens", {"weight": WEIGHT, "inputs": INPUTS}, lambda **i: list(_tokens(**i))),
    Trial("F18", {"weight": WEIGHT, "inputs": INPUTS}, lambda **i: list(_row_norms(**i))),
    Trial(
        "ESM1-R2.9-local-lipschitz",
        {"start": Field("target output at one end", ("rows",)), "move": Field("its move along the segment", ("rows",)), **TAIL},
        lambda **i: list(_slopes(**i)),
    ),
    Trial(
        "ESM1-C1.3-multilayer-margin",
        {
            "logits": Field("logits of the dense network", ("samples", "classes")),
            "labels": LABELS,
            "steps": Field("what each removal adds to the logits", ("removals", "samples", "classes")),
        },
        lambda **i: list(_telescoped(**i)),
    ),
)
