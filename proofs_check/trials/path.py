"""Trials of the path variation: tails of ReLUs, whose breakpoints are found by sorting, so that V is a sum over pieces.

On a piece between breakpoints the logits are a polynomial of degree one (one hidden layer) or two (two layers moved at once),
which `variation` represents exactly; V is additive over pieces.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from certify.theory import budget as layer
from certify.theory import cross_entropy as ce
from certify.theory import margins
from certify.theory.path import clenshaw_curtis_nodes, variation
from proofs_check.trials.budget import KEPT, LABELS, THETA, WEIGHT, plain_size
from proofs_check.trials.core import Field, Side, Trial

VECTORS = Field("vector that each sample sends into the target", ("samples", "cols"))
READOUT = Field("last layer, after the ReLU", ("classes", "rows"))
SPEED = "sup ||gamma'||"


def _relu(x):
    return np.maximum(x, 0.0)


def _between(candidates, low):
    """low, the candidates between low and 1, and 1, in order; at least one piece, of length 0 at low = 1."""
    inside = np.unique(candidates[(candidates > low) & (candidates < 1.0)])
    return np.concatenate([[low], inside, [1.0]])


def _signs(start, move, low):
    """Where start + t move changes sign for t in [low, 1]."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _between(-start / move, low)


def _on_pieces(gamma, breaks, order, label):
    """`variation` on every piece at once: the pieces stand where the samples do."""
    nodes = breaks[:-1, None] + np.diff(breaks)[:, None] * clenshaw_curtis_nodes(order)
    values = np.array([[gamma(t) for t in piece] for piece in nodes])
    return variation(np.moveaxis(values, 1, 0), np.full(len(nodes), label))


class _Tail:
    """gamma(t) = W relu(S v + t R v) of one sample, with the slope of every piece."""

    def __init__(self, weight, kept, vector, readout, low):
        self.removed, self.vector, self.readout = np.where(kept, 0.0, weight), vector, readout
        self.start, self.move = np.where(kept, weight, 0.0) @ vector, self.removed @ vector
        self.breaks = _signs(self.start, self.move, low)
        self.lengths = np.diff(self.breaks)
        middles = 0.5 * (self.breaks[1:] + self.breaks[:-1])
        self.slopes = np.array([readout @ (self.move * (self.start + t * self.move > 0.0)) for t in middles])
        self.speeds = np.abs(self.slopes).max(axis=1)
        self.scale = float((np.abs(readout) @ np.abs(weight) @ np.abs(vector)).max())

    def __call__(self, t):
        return self.readout @ _relu(self.start + t * self.move)

    @property
    def size(self):
        return float(layer.data_path_size(self.removed, self.vector[None]))

    @property
    def supremum(self):
        return float(self.speeds.max())


def _variation(weight, kept, vectors, readout, theta, labels):
    crude = layer.lipschitz_by_row_sums([readout])
    for s, label in enumerate(labels):
        tail = _Tail(weight, kept, vectors[s], readout, theta)
        scale, ends = tail.scale, (tail(1.0), tail(theta))
        found = _on_pieces(tail, tail.breaks, 2, label)
        total, swing = float(found.max_norm.sum()), float(found.oscillation.sum())
        yield Side(f"sample {s}: V by sorted breakpoints", float(tail.lengths @ tail.speeds), total, True, scale)
        oscillation = float(tail.lengths @ np.ptp(tail.slopes, axis=1))
        yield Side(f"sample {s}: the same of max - min", oscillation, swing, True, scale)
        yield Side(f"sample {s}: end point <= V", np.abs(ends[1] - ends[0]).max(), total, scale=scale)
        yield Side(f"sample {s}: V <= (1 - theta) {SPEED}", total, (1.0 - theta) * tail.supremum, scale=scale)
        bound = (1.0 - theta) * crude * tail.size
        yield Side(f"sample {s}: (1 - theta) {SPEED} <= (1 - theta) L ||R v||", (1.0 - theta) * tail.supremum, bound, scale=scale)
        whole = variation(np.array([[tail(theta + (1.0 - theta) * t)] for t in clenshaw_curtis_nodes(16)]), [label])
        yield Side(f"sample {s}: polyline of the whole segment <= V", float(whole.polyline[0]), total, scale=scale)
        yield from _consequences(s, label, *ends, total, swing, scale)


def _consequences(s, label, dense, part, total, swing, scale):
    """X8(c), and margins; scale as above, plus the loss."""
    pair = ce.log_probabilities(dense[None], [label])
    change = float((ce.cross_entropy(part[None], [label]) - ce.cross_entropy(dense[None], [label]))[0])
    by_swing, by_total = ce.increase_upper_oscillation(*pair, [swing])[0], ce.increase_upper(*pair, [total])[0]
    yield Side(f"sample {s}: increase <= Lambda(osc variation)", change, by_swing, scale=scale + 1.0)
    yield Side(f"sample {s}: Lambda(osc variation) <= Lambda(2 V)", by_swing, by_total, scale=scale + 1.0)
    moved = abs(float((margins.true_margin(part[None], [label]) - margins.true_margin(dense[None], [label]))[0]))
    yield Side(f"sample {s}: the margin moves by at most 2 V", moved, 2.0 * total, scale=scale)


def _smallest(weight, kept, vectors, readout):
    """The left sides are difference quotients of forward passes, multiplied out."""
    for s, vector in enumerate(vectors):
        tail = _Tail(weight, kept, vector, readout, 0.0)
        constant = float(layer.smallest_lipschitz([tail.supremum], [tail.size])[0])
        speed = 0.0 if np.isnan(constant) else constant * tail.size
        points = [tail(t) for t in tail.breaks]
        moves = np.array([np.abs(b - a).max() for a, b in pairwise(points)])
        for i, length in enumerate(tail.lengths):
            yield Side(f"sample {s}, piece {i}: slope <= L_min", moves[i], length * speed, scale=tail.scale)
        top = int(tail.speeds.argmax())
        yield Side(f"sample {s}: attained on piece {top}", moves[top], tail.lengths[top] * speed, True, tail.scale)
        crude = layer.lipschitz_by_row_sums([readout])
        yield Side(f"sample {s}: L_min ||R v|| <= ||W||_inf ||R v||", speed, crude * tail.size, scale=tail.scale)


def _architecture(weight, kept, vectors, readout, first, second):
    """Sampled slopes <= the local constant <= the product of row sums; 0 where the segment is one point."""
    for s, vector in enumerate(vectors):
        tail = _Tail(weight, kept, vector, readout, 0.0)
        constant = float(layer.smallest_lipschitz([tail.supremum], [tail.size])[0])
        local = 0.0 if np.isnan(constant) else constant
        slope, distance = np.abs(tail(second) - tail(first)).max(), abs(second - first) * plain_size(tail.removed, [vector])
        yield Side(f"sample {s}: sampled slope <= local constant", slope, local * distance, scale=tail.scale)
        crude = layer.lipschitz_by_row_sums([readout])
        yield Side(f"sample {s}: local constant <= row sums", local, crude, scale=tail.scale / (tail.size or np.inf))


class _TwoLayers:
    """z = W relu(A_2 relu(A_1 v)); at time t both removed parts are scaled by t, and 1 is the dense network."""

    def __init__(self, first, first_kept, second, second_kept, readout):
        self.parts = [(np.where(k, a, 0.0), np.where(k, 0.0, a)) for a, k in ((first, first_kept), (second, second_kept))]
        self.readout = readout

    def __call__(self, vector, first, second):
        """Logits with the removed parts scaled by `first` and `second`."""
        (s1, r1), (s2, r2) = self.parts
        return self.readout @ _relu((s2 + second * r2) @ _relu((s1 + first * r1) @ vector))

    def breaks(self, vector):
        (s1, r1), (s2, r2) = self.parts
        start, move = s1 @ vector, r1 @ vector
        outer = _signs(start, move, 0.0)
        inner = []
        for middle in 0.5 * (outer[1:] + outer[:-1]):
            a, r = start * (start + middle * move > 0.0), move * (start + middle * move > 0.0)
            for quadratic in np.stack([r2 @ r, s2 @ r + r2 @ a, s2 @ a], axis=1):
                inner += [root.real for root in _roots(quadratic)]
        return _between(np.concatenate([outer, inner]), 0.0)


def _roots(quadratic):
    size = np.abs(quadratic).max()
    return np.roots(quadratic / size) if size > 0.0 and np.all(np.isfinite(quadratic / size)) else ()


def _together(first, first_kept, second, second_kept, readout, vectors, labels):
    net = _TwoLayers(first, first_kept, second, second_kept, readout)
    dense, part = (np.array([net(v, t, t) for v in vectors]) for t in (1.0, 0.0))
    pair = ce.log_probabilities(dense, labels)
    change = ce.cross_entropy(part, labels) - ce.cross_entropy(dense, labels)
    scale = float((np.abs(vectors) @ np.abs(first).T @ np.abs(second).T @ np.abs(readout).T).max())
    simultaneous = np.empty(len(labels))
    for s, vector in enumerate(vectors):
        breaks = net.breaks(vector)
        found = _on_pieces(lambda t, v=vector: net(v, t, t), breaks, 4, labels[s])
        simultaneous[s] = found.max_norm.sum() + found.quadrature.sum()
        end = np.abs(part[s] - dense[s]).max()
        yield Side(f"sample {s}: (b) end point <= V of the simultaneous path", end, simultaneous[s], scale=scale)
    both = {"(b) simultaneous": ce.increase_upper(*pair, simultaneous)}
    for order, middle in (("input to output", (0.0, 1.0)), ("output to input", (1.0, 0.0))):
        between = np.array([net(v, *middle) for v in vectors])
        steps = np.array([np.abs(between - dense).max(axis=1), np.abs(part - between).max(axis=1)])
        bound = ce.increase_upper(*pair, layer.telescoped(steps))
        both[f"(c) {order}"] = bound
        odds = pair[1] - pair[0] + 2.0 * steps[0]
        stepwise = ce.increase_upper(*pair, steps[0])
        stepwise = stepwise + ce.increase_upper(-np.logaddexp(0.0, odds), -np.logaddexp(0.0, -odds), steps[1])
        for s in range(len(labels)):
            yield Side(f"sample {s}: (c) {order}: stepwise X1 composes", stepwise[s], bound[s], True, scale + 1.0)
    least = np.min(list(both.values()), axis=0)
    for s in range(len(labels)):
        for name, bound in both.items():
            yield Side(f"sample {s}: {name}", change[s], bound[s], scale=scale + 1.0)
    yield Side("mean increase <= mean of the smallest per sample", float(change.mean()), float(least.mean()), scale=scale + 1.0)


FIELDS = {"weight": WEIGHT, "kept": KEPT, "vectors": VECTORS, "readout": READOUT}
TIME = Field("point of the segment at which psi_2 is sampled", low=0.0, high=1.0)

TRIALS = (
    Trial(
        "X8-path-variation",
        FIELDS | {"theta": THETA, "labels": LABELS},
        lambda **i: list(_variation(**i)),
        ranges={"samples": (1, 2), "rows": (1, 4), "cols": (1, 3)},
    ),
    Trial("X9-best-L", FIELDS, lambda **i: list(_smallest(**i))),
    Trial("A4.1-architecture", FIELDS | {"first": TIME, "second": TIME}, lambda **i: list(_architecture(**i))),
    Trial(
        "X14-multilayer",
        {
            "first": Field("first layer A_1", ("hidden", "cols")),
            "first_kept": Field("1 where its weight stays", ("hidden", "cols"), kind="mask"),
            "second": Field("second layer A_2", ("rows", "hidden")),
            "second_kept": Field("1 where its weight stays", ("rows", "hidden"), kind="mask"),
            "readout": READOUT,
            "vectors": Field("samples", ("samples", "cols")),
            "labels": LABELS,
        },
        lambda **i: list(_together(**i)),
        ranges={"samples": (1, 2), "rows": (1, 3), "hidden": (1, 3), "cols": (1, 3), "classes": (2, 4)},
    ),
)
