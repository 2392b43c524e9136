"""Operations of a network read as a graph: on Taylor models, everything bounded, and on plain numbers, where nothing is.

Models are (d + 1, pieces, ...), plain numbers (points, ...), each point at a theta of its own; then follows the shape of one
activation. A convolution is unfolded and multiplied, no Winograd and no FFT, so that the rounding counted in `linear` covers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from certify.bounds.enclosed.elementary import gelu, power
from certify.bounds.enclosed.steps import Pieces
from certify.bounds.enclosed.taylor import (
    Model,
    U,
    Weights,
    add,
    compose,
    constant,
    gamma,
    linear,
    product,
    scaled,
    shifted,
    to_bernstein,
    up,
)
from certify.bounds.exact.affine import Window


class Operation(Protocol):
    """`model` returns a model of the result for all functions that its arguments stand for; `value` the result in float64."""

    def model(self, at: Pieces, *inputs: Model) -> Model: ...

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor: ...


def unfolded(x: Tensor, window: Window, mode: str = "constant") -> Tensor:
    """(..., channels, rows, cols) -> (..., channels, rows', cols', kernel), padded with zeros or, "replicate", with the edge."""
    (down, right), (step, hop) = window.padding, window.dilation
    if down or right:
        x = F.pad(x.flatten(0, -4), (right, right, down, down), mode).unflatten(0, x.shape[:-3])
    reach = [d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]
    seen = x.unfold(-2, reach[0], window.stride[0]).unfold(-2, reach[1], window.stride[1])
    return seen[..., ::step, ::hop].flatten(-2)


def _turned(weights: Weights, theta: Tensor, x: Tensor) -> Tensor:
    """x W(theta)^T with a theta for every point."""
    found = x @ weights.start.mT
    if weights.step is not None:
        found = found + (theta.reshape(-1, *(1,) * (x.ndim - 1)) * x) @ weights.step.mT
    return found


@dataclass(frozen=True)
class Linear:
    """W(theta) x + b(theta) along the last axis; weight (out, in), bias (out,)."""

    weight: Weights
    bias: Weights | None

    def model(self, at: Pieces, *inputs: Model) -> Model:
        return linear(inputs[0], self.weight, self.bias, at.mid, at.half)

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return _plus(_turned(self.weight, theta, inputs[0]), self.bias, theta)


@dataclass(frozen=True)
class Convolution:
    """weight (groups, out / groups, in / groups * kernel), bias (groups, 1, out / groups); x (..., channels, rows, cols)."""

    weight: Weights
    bias: Weights | None
    window: Window

    def _rows(self, x: Tensor) -> Tensor:
        """(..., groups, rows' cols', in / groups * kernel)."""
        seen = unfolded(x, self.window).unflatten(-4, (len(self.weight.start), -1))  # (..., groups, c, rows', cols', kernel)
        return seen.movedim(-4, -2).flatten(-2).flatten(-3, -2)

    def _back(self, found: Tensor, x: Tensor) -> Tensor:
        """(..., out, rows', cols') of what stands in rows; x the input."""
        window = self.window
        room = x.shape[-2] + 2 * window.padding[0] - window.dilation[0] * (window.kernel[0] - 1) - 1
        return found.mT.flatten(-3, -2).unflatten(-1, (room // window.stride[0] + 1, -1))

    def model(self, at: Pieces, *inputs: Model) -> Model:
        (x,) = inputs
        found = linear(Model(self._rows(x.coef), self._rows(x.rem)), self.weight, self.bias, at.mid, at.half)
        return Model(self._back(found.coef, x.rem), self._back(found.rem, x.rem))

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return self._back(_plus(_turned(self.weight, theta, self._rows(inputs[0])), self.bias, theta), inputs[0])


@dataclass(frozen=True)
class BatchNorm:
    """Batch norm in eval mode: weight (x - mean) / sqrt(variance + eps) + bias, all four along theta, (C, 1, 1) or (C,)."""

    weight: Weights
    mean: Weights
    variance: Weights
    bias: Weights
    eps: float

    def scale(self, at: Pieces, degree: int) -> Model:
        """weight / sqrt(variance + eps)."""
        still = constant(torch.zeros((len(at.mid), *self.mean.start.shape), dtype=torch.float64), degree)
        variance = shifted(still, self.variance, at.mid, at.half)
        coef = variance.coef.clone()
        coef[0] += self.eps
        variance = Model(coef, up(variance.rem + 2 * U * (coef.abs().sum(0) + self.eps)))
        return scaled(compose(variance, power(variance, -0.5)), self.weight, None, at.mid, at.half)

    def model(self, at: Pieces, *inputs: Model) -> Model:
        (x,) = inputs
        step = None if self.mean.step is None else -self.mean.step
        centred = shifted(x, Weights(-self.mean.start, step), at.mid, at.half)
        return shifted(product(centred, self.scale(at, x.degree), torch.mul, 1), self.bias, at.mid, at.half)

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        weight, mean, variance, bias = (part.at(theta) for part in (self.weight, self.mean, self.variance, self.bias))
        return (inputs[0] - mean) * (weight / (variance + self.eps).sqrt()) + bias


@dataclass(frozen=True)
class Average:
    """Mean over the axes, which hold `count` entries, of x, or of its windows unfolded."""

    axes: tuple[int, ...]
    keep: bool
    count: int
    window: Window | None = None

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return (x if self.window is None else unfolded(x, self.window)).mean(self.axes, self.keep)

    def model(self, at: Pieces, *inputs: Model) -> Model:
        (x,) = inputs
        coef = torch.stack([self.value(at.mid, c) for c in x.coef])
        return Model(coef, up(self.value(at.mid, x.rem) + gamma(self.count + 2) * self.value(at.mid, x.size())))


class Sum:
    """Of two activations of one number of axes."""

    def model(self, at: Pieces, *inputs: Model) -> Model:
        return add(*inputs)

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass(frozen=True)
class Flatten:
    """Axes from `first` on become one; the axis of the pieces is number 0."""

    first: int

    def model(self, at: Pieces, *inputs: Model) -> Model:
        return inputs[0].map(lambda t: t.flatten(self.first))

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return inputs[0].flatten(self.first)


class Gelu:
    """x Phi(x)."""

    def model(self, at: Pieces, *inputs: Model) -> Model:
        return compose(inputs[0], gelu(inputs[0]))

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return F.gelu(inputs[0])


@dataclass(frozen=True)
class Kink:
    """max(x, slope x) with slope <= 1."""

    slope: float

    def model(self, at: Pieces, *inputs: Model) -> Model:
        (x,) = inputs
        factor, gap = chord(x, self.slope)
        coef = factor * x.coef
        coef[0] += gap / 2
        exact = (gap == 0) & ((factor == 0) | (factor.abs() == 1))
        rounding = torch.where(exact, 0.0, 4 * U * (factor.abs() * x.size() + gap))
        return Model(coef, up(factor.abs() * x.rem + gap / 2 + rounding))

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return torch.maximum(inputs[0], self.slope * inputs[0])

    def bends(self, x: Tensor) -> Tensor:
        """Pairs (point, one, other): entry `one` of `candidates` crosses `other` before the next point."""
        left, right = x[:-1].flatten(1), x[1:].flatten(1)
        point, unit = torch.nonzero(((left < 0) & (right > 0)) | ((left > 0) & (right < 0)), as_tuple=True)
        return torch.stack([point, unit, torch.full_like(unit, left.shape[1])], 1)

    def candidates(self, x: Tensor) -> Tensor:
        """(points, entries) that are compared: all of x, and 0."""
        return F.pad(x.flatten(1), (0, 1))


@dataclass(frozen=True)
class MaxPool:
    """Maximum over windows; the edge is repeated as padding, which adds no new candidate."""

    window: Window

    def model(self, at: Pieces, *inputs: Model) -> Model:
        """The largest at u = 0, where no other may pass it; elsewhere it is compared with those that may, one by one."""
        seen = inputs[0].map(lambda t: unfolded(t, self.window, "replicate"))
        first = seen.coef[0].argmax(-1, keepdim=True)
        best = seen.map(lambda t: t.gather(-1, first))
        lead = _less(best, seen)
        rivals = ~(lead.coef[0] >= lead.swing())
        rivals.scatter_(-1, first, False)
        found = best.map(lambda t: t[..., 0])
        for k in range(rivals.shape[-1]):
            here = rivals[..., k]
            if here.any():
                more = maximum(_picked(found, here), Model(seen.coef[:, here, k], seen.rem[here, k]))
                found.coef[:, here], found.rem[here] = more.coef, more.rem
        return found

    def value(self, theta: Tensor, *inputs: Tensor) -> Tensor:
        return unfolded(inputs[0], self.window, "replicate").amax(-1)

    def bends(self, x: Tensor) -> Tensor:
        """As of `Kink`: the winner at one point against that at the next."""
        seen = unfolded(x, self.window, "replicate").flatten(1, -2)  # (points, windows, kernel)
        top = seen.argmax(-1)
        point, place = torch.nonzero(seen[1:].gather(-1, top[:-1, :, None])[..., 0] < seen[1:].amax(-1), as_tuple=True)
        base = place * seen.shape[-1]
        return torch.stack([point, base + top[point, place], base + top[point + 1, place]], 1)

    def candidates(self, x: Tensor) -> Tensor:
        return unfolded(x, self.window, "replicate").flatten(1)


def chord(x: Model, slope: float) -> tuple[Tensor, Tensor]:
    """factor and gap with max(t, slope t) in factor t + [0, gap] for all t that x may be; slope <= 1.

        slope <= factor <= 1,   gap >= max((factor - slope) (-low), (1 - factor) high)

    The difference is convex in t and 0 at t = 0, hence >= 0 and largest at an end: any factor in between will do, and that of the
    chord from low to high has the least gap. Where no sign is open the gap is 0.
    """
    swing = x.swing()
    low, high = x.coef[0] - swing, x.coef[0] + swing
    open_ = ~((low >= 0) | (high <= 0))  # where a number is missing, too
    if open_.any():
        low[open_], high[open_] = extent(_picked(x, open_))
    factor = ((high - slope * low) / (high - low)).clamp(slope, 1.0)
    gap = up(torch.maximum((factor - slope) * -low, (1.0 - factor) * high))
    positive, negative = low >= 0, high <= 0
    factor = torch.where(positive, 1.0, torch.where(negative, slope, factor))
    return factor, torch.where(positive | negative, 0.0, gap)


def extent(x: Model) -> tuple[Tensor, Tensor]:
    """At most the least and at least the largest value of each entry: Bernstein coefficients, then rounding and remainder."""
    basis = torch.from_numpy(to_bernstein(x.degree))
    values = torch.einsum("bk,k...->b...", basis, x.coef)
    sizes = torch.einsum("bk,k...->b...", basis.abs(), x.coef.abs()).amax(0)
    slack = up(x.rem + gamma(4 * x.degree + 12) * sizes)
    low, high = values.amin(0) - slack, values.amax(0) + slack
    return low - 2 * U * low.abs(), high + 2 * U * high.abs()


def maximum(a: Model, b: Model) -> Model:
    """max(a, b) = b + relu(a - b), which lies in (1 - factor) b + factor a + [0, gap]."""
    factor, gap = chord(_less(a, b), 0.0)
    coef = torch.where(factor == 1, a.coef, b.coef + factor * (a.coef - b.coef))
    coef[0] += gap / 2
    rounding = torch.where((gap == 0) & ((factor == 0) | (factor == 1)), 0.0, 6 * U * (a.size() + b.size() + gap))
    return Model(coef, up(factor * a.rem + (1.0 - factor) * b.rem + gap / 2 + rounding))


def _less(a: Model, b: Model) -> Model:
    """a - b."""
    coef = a.coef - b.coef
    return Model(coef, up(a.rem + b.rem + U * coef.abs().sum(0)))


def _picked(x: Model, where: Tensor) -> Model:
    return Model(x.coef[:, where], x.rem[where])


def _plus(x: Tensor, bias: Weights | None, theta: Tensor) -> Tensor:
    if bias is None:
        return x
    found = bias.at(theta)
    return x + found.reshape(len(theta), *(1,) * (x.ndim - found.ndim), *found.shape[1:])
