"""Affine operations: y = W x + b, with what their rounding can add.

    |fl(W x + b) - (W x + b)| <= gamma_{n+1} (|W| |x| + |b|)   for every order of summation, fused or not

so that the tube of the input becomes, with x_l and x_r the ends of the centre and g = gamma_{n+1}:

    rem'   = |W| (rem   + g max(|x_l|, |x_r|)) + g |b|
    drift' = |W| (drift + g (|x_l| + |x_r|))   + 2 g |b|

The centre of the output is the line through its rounded values at the knots, and int |W a' - c_y'| is at most |W| int |a' - c_x'|
plus the two rounding errors at the ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from certify.bounds.exact.tubes import TINY, Tube, Values, gamma_up, outward, tube
from certify.theory._arrays import Array
from certify.theory.outward._rounding import UNIT

Pair = tuple[int, int]


class Affine:
    """One input, one output. A subclass gives W x, |W| x, the number n of terms, and b in the shape of one output."""

    terms: int
    bias: Any

    def linear(self, x: Values) -> Values:
        raise NotImplementedError

    def absolute(self, x: Values) -> Values:
        raise NotImplementedError

    def offset(self) -> Any:
        """A number or array at least |b|."""
        return 0.0 if self.bias is None else np.abs(self.bias)

    def value(self, x: Values) -> Values:
        product = self.linear(x)
        return product if self.bias is None else product + self.bias

    def tube(self, x: Tube) -> Tube:
        g, offset = gamma_up(self.terms + 1), self.offset()
        left, right = (np.abs(end) for end in x.ends)
        moving = len(x.centre) > 1
        inner = x.rem + g * np.maximum(left, right) + TINY
        if moving:
            inner = np.concatenate([inner, x.drift + g * (left + right) + TINY])
        errors = self.absolute(inner)
        rem, drift = errors[: len(x.rem)], errors[len(x.rem) :]
        rem = outward(rem + g * offset, self.terms)
        return tube(self.value(x.centre), rem, outward(drift + 2.0 * g * offset, self.terms) if moving else rem)


@dataclass(frozen=True, eq=False)
class Linear(Affine):
    """weight (out, in), bias (out,) or None; x (..., in)."""

    weight: Values
    bias: Values | None

    @property
    def terms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.weight.shape[1]

    @cached_property
    def size(self) -> Values:
        return np.abs(self.weight)

    def linear(self, x: Values) -> Values:
        return x @ self.weight.T

    def absolute(self, x: Values) -> Values:
        return x @ self.size.T


@dataclass(frozen=True)
class Window:
    """Where a kernel stands on the plane: kernel, stride, padding on both sides, dilation; each (rows, cols)."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)

    def of(self, x: Values, mode: Any = "constant") -> Values:
        """(M, C, H, W) -> (M, C, H', W', kernel rows, kernel cols), a view where nothing is padded. `mode` as in `np.pad`."""
        rows, cols = self.padding
        if rows or cols:
            x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (cols, cols)), mode=mode)
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
        (down, right), (step, hop) = self.stride, self.dilation
        return seen[:, :, ::down, ::right, ::step, ::hop]


@dataclass(frozen=True, eq=False)
class Conv(Affine):
    """weight (out, in / groups, rows, cols), bias (out, 1, 1) or None; unfolded and multiplied: no Winograd, no FFT."""

    weight: Values
    bias: Values | None
    window: Window
    groups: int

    @property
    def terms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return int(np.prod(self.weight.shape[1:]))

    @cached_property
    def matrices(self) -> tuple[Values, Values]:
        """(groups, terms, out / groups): the weights and their absolute values."""
        table = self.weight.reshape(self.groups, -1, self.terms).transpose(0, 2, 1)
        return table, np.abs(table)

    def linear(self, x: Values) -> Values:
        return self._product(x, self.matrices[0])

    def absolute(self, x: Values) -> Values:
        return self._product(x, self.matrices[1])

    def _product(self, x: Values, table: Values) -> Values:
        seen = self.window.of(x)
        count, channels, rows, cols = seen.shape[:4]
        if self.groups == 1:
            columns = seen.transpose(0, 2, 3, 1, 4, 5).reshape(-1, self.terms)
            return (columns @ table[0]).reshape(count, rows, cols, -1).transpose(0, 3, 1, 2)
        split = seen.reshape(count, self.groups, channels // self.groups, rows * cols, *self.window.kernel)
        columns = split.transpose(0, 1, 3, 2, 4, 5).reshape(count, self.groups, rows * cols, self.terms)
        return (columns @ table).transpose(0, 1, 3, 2).reshape(count, -1, rows, cols)


@dataclass(frozen=True)
class AveragePool(Affine):
    """Mean over windows, padding zeros counted."""

    window: Window
    bias = None

    @property
    def terms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.window.kernel[0] * self.window.kernel[1] + 1

    def linear(self, x: Values) -> Values:
        return self.window.of(x).sum(axis=(4, 5)) / (self.terms - 1)

    absolute = linear


@dataclass(frozen=True)
class Mean(Affine):
    """Mean over axes that hold `count` entries; no bias."""

    axes: tuple[int, ...]
    keep: bool
    count: int
    bias = None

    @property
    def terms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.count + 1

    def linear(self, x: Values) -> Values:
        return x.sum(axis=self.axes, keepdims=self.keep) / self.count

    absolute = linear


@dataclass(frozen=True, eq=False)
class Normalisation(Affine):
    """Batch norm in eval mode, scale (x - mean) + shift, all (C, 1, 1) or (C,).

    scale = weight / sqrt(variance + eps) passes three roundings, a term four more: gamma_9 covers both.
    """

    weight: Values
    mean: Values
    variance: Values
    shift: Values
    eps: float
    terms: int = 8
    bias = None

    @cached_property
    def scale(self) -> Values:
        with np.errstate(all="ignore"):
            return self.weight / np.sqrt(self.variance + self.eps)

    def linear(self, x: Values) -> Values:
        return self.scale * x

    def absolute(self, x: Values) -> Values:
        return np.abs(self.scale) * x

    def offset(self) -> Values:
        return np.abs(self.scale) * np.abs(self.mean) * (1.0 + 64 * UNIT) + np.abs(self.shift) + TINY

    def value(self, x: Values) -> Values:
        return (x - self.mean) * self.scale + self.shift


class Add:
    """Sum of two activations: a residual connection. The rounded sum is off by at most u |c|."""

    def value(self, x: Values, y: Values) -> Values:
        return x + y

    def tube(self, x: Tube, y: Tube) -> Tube:
        centre = x.centre + y.centre
        left, right = (np.abs(end) for end in Tube(centre, x.rem, x.drift).ends)
        rem = outward(x.rem + y.rem + 2 * UNIT * np.maximum(left, right), 8)
        return tube(centre, rem, outward(x.drift + y.drift + 2 * UNIT * (left + right), 8))


@dataclass(frozen=True)
class Flatten:
    """Axes from `first` on, become one."""

    first: int

    def value(self, x: Values) -> Values:
        return x.reshape(*x.shape[: self.first], -1)

    def tube(self, x: Tube) -> Tube:
        return Tube(self.value(x.centre), self.value(x.rem), self.value(x.drift))


@dataclass(frozen=True)
class Moved:
    """The layer that changes: y(theta) = (1 - theta) y_0 + theta y_1, y_0 the output with the shipped weights.

    The input stands still, and so do y_0 and y_1, known up to e_0 and e_1. The centre y_0 + fl(t (y_1 - y_0)) at a knot passes
    three roundings, of terms below |y_0| + |y_1|: off by r = 8 u (|y_0| + |y_1|), and by 0 at both ends and where y_0 = y_1.

        rem = max(e_0, e_1) + r,   drift = (t_{i+1} - t_i) (e_0 + e_1) + 2 r
    """

    shipped: Affine
    reference: Affine

    def value(self, x: Values, knots: Values) -> Values:
        return on_line(self.shipped.value(x), self.reference.value(x), knots)

    def tube(self, x: Tube, knots: Array) -> Tube:
        start, end = self.shipped.tube(x), self.reference.tube(x)
        off = np.where(start.centre == end.centre, 0.0, 8 * UNIT * (np.abs(start.centre) + np.abs(end.centre)))
        width = np.diff(knots).reshape(-1, *(1,) * (start.rem.ndim - 1))
        rem = outward(np.maximum(start.rem, end.rem) + off, 8)
        drift = outward(width * (start.rem + end.rem) + 2.0 * off, 8)
        return Tube(on_line(start.centre, end.centre, knots), np.broadcast_to(rem, drift.shape), drift)


def on_line(start: Values, end: Values, knots: Values) -> Values:
    """(m + 1, ...) points start + t (end - start) of (1, ...) ends; exactly `end` at t = 1."""
    t = knots.reshape(-1, *(1,) * (start.ndim - 1))
    return np.where(t == 1, end, start + t * (end - start))
