"""Logits of a ReLU or absolute-value network along a segment, exactly.

A piecewise-linear network moves its logits along a polygon when the input of its tail moves along a straight line. The
corners lie at rational theta, so every variation of the path is a sum over finitely many pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from certify.records import Refused
from certify.theory._arrays import whole
from certify.theory.exact._rationals import Exact, Numbers, Scalar, exact, rational

Affine = tuple[Numbers, Numbers]
_ACTIVATIONS: dict[str, Callable[[Fraction], Fraction]] = {"relu": lambda value: max(value, Fraction(0)), "abs": abs}


@dataclass(frozen=True)
class ReluPath:
    """The polygon of one sample's logits, in logit units.

        endpoint <= max_norm <= speed_sup,   oscillation <= 2 max_norm,   pairwise_j <= oscillation

    points : (M + 1,) 0 = t_0 < ... < t_M = 1; gamma is linear between neighbours.
    logits : (M + 1, K) gamma(t_i).
    Claim X8-path-variation (sharpens Lemma 5.1 of arXiv:2606.02608), X9-best-L.
    """

    points: Exact
    logits: Exact

    @property
    def steps(self) -> Exact:
        """(M, K) gamma(t_{i+1}) - gamma(t_i)."""
        return np.diff(self.logits, axis=0)

    @property
    def endpoint(self) -> Fraction:
        """||gamma(1) - gamma(0)||_inf."""
        return max(abs(self.logits[-1] - self.logits[0]))

    @property
    def max_norm(self) -> Fraction:
        """V = int_0^1 ||gamma'||_inf."""
        return self.max_norm_from(0)

    @property
    def oscillation(self) -> Fraction:
        """int_0^1 (max_j gamma_j' - min_j gamma_j')."""
        return sum((max(step) - min(step) for step in self.steps), Fraction(0))

    @property
    def speed_sup(self) -> Fraction:
        """ess sup ||gamma'||_inf."""
        return max(max(abs(step)) / width for step, width in zip(self.steps, np.diff(self.points), strict=True))

    def max_norm_from(self, theta: Scalar) -> Fraction:
        """V(theta) = int_theta^1 ||gamma'||_inf."""
        start = rational(theta, "theta", 0, 1)
        total = Fraction(0)
        for low, high, step in zip(self.points, self.points[1:], self.steps, strict=False):
            total += max(abs(step)) * max(high - max(low, start), Fraction(0)) / (high - low)
        return total

    def pairwise(self, label: int) -> Exact:
        """(K,) int_0^1 |gamma_j' - gamma_C'|."""
        true = whole(label, "label", 0, self.logits.shape[1] - 1)
        return abs(self.steps - self.steps[:, [true]]).sum(axis=0)

    def at(self, theta: Scalar) -> Exact:
        """(K,) gamma(theta)."""
        place = rational(theta, "theta", 0, 1)
        after = next(i for i in range(1, len(self.points)) if place <= self.points[i])
        return _between(self.points, self.logits, after, place)


def relu_path(start: Numbers, direction: Numbers, layers: Sequence[Affine], activation: str = "relu") -> ReluPath:
    """Logits of one sample while the output of its target moves along a straight line.

        x_0 = start + theta direction,   x_k = W_k lambda(x_{k-1}) + b_k,   gamma(theta) = x_L(theta)

    With A_theta = S + theta R: start = S v_s + b_0 and direction = R v_s. Several tokens are one vector, one after the other.
    No layers: gamma is the line itself.
    start, direction : (n,).
    layers           : L pairs (W_k, b_k), (rows, cols) and (rows,), cols of the first = n.
    activation       : lambda, "relu" or "abs", applied before every W_k and not to the logits.
    Returns the polygon with every corner; corners where the slope does not change may be among them.
    Claim X8-path-variation (exactness for piecewise-linear tails; sharpens Lemma 5.1 of arXiv:2606.02608), X9-best-L.
    """
    if activation not in _ACTIVATIONS:
        raise Refused(f"activation: {activation!r} is not one of {', '.join(_ACTIVATIONS)}")
    x = exact(start, "start", (None,))
    points, values = (
        np.array([Fraction(0), Fraction(1)], dtype=np.object_),
        np.stack([x, x + exact(direction, "direction", x.shape)]),
    )
    for k, (matrix, offset) in enumerate(layers):
        w = exact(matrix, f"layers[{k}]", (None, values.shape[1]))
        b = exact(offset, f"layers[{k}] offset", w.shape[:1])
        points, values = _with_zeros(points, values)
        values = np.frompyfunc(_ACTIVATIONS[activation], 1, 1)(values) @ w.T + b
    return ReluPath(points, values)


def _with_zeros(points: Exact, values: Exact) -> tuple[Exact, Exact]:
    """The same polygon with a corner wherever a coordinate changes sign inside a piece."""
    crossings = set(points)
    for i in range(len(points) - 1):
        before, after = values[i], values[i + 1]
        for a, b in zip(before, after, strict=True):
            if a * b < 0:
                crossings.add(points[i] + (points[i + 1] - points[i]) * a / (a - b))
    new = np.array(sorted(crossings), dtype=np.object_)
    after = np.searchsorted(points, new)
    return new, np.stack([_between(points, values, max(int(i), 1), t) for i, t in zip(after, new, strict=True)])


def _between(points: Exact, values: Exact, after: int, place: Fraction) -> Exact:
    """The value at `place`, which lies in the piece that ends at index `after`."""
    low, high = points[after - 1], points[after]
    share = (place - low) / (high - low)
    return values[after - 1] + share * (values[after] - values[after - 1])
